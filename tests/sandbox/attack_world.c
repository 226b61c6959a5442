#include "attack_world.h"

#include <sys/prctl.h>

char victim_memory[SECRET_BYTES];

static void random_text(char out[SECRET_BYTES])
{
    unsigned char raw[SECRET_BYTES];
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, raw, sizeof raw) != sizeof raw) abort();
    close(fd);
    for (int i = 0; i < SECRET_BYTES - 1; i++) out[i] = (char)('a' + raw[i] % 26);
    out[SECRET_BYTES - 1] = 0;
}

char *world_path(const struct world *w, const char *name)
{
    return mem_printf("%s/%s", w->dir, name);
}

static void put_canary(const struct world *w)
{
    char *path = world_path(w, "canary");
    unlink(path);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, w->secret, SECRET_BYTES - 1) != SECRET_BYTES - 1) abort();
    close(fd);
    free(path);
}

static int bind_inet(int type, int *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0) abort();
    if (type == SOCK_STREAM && listen(fd, 16) < 0) abort();
    getsockname(fd, (struct sockaddr *)&a, &n);
    *port = ntohs(a.sin_port);
    return fd;
}

static int bind_unix(const char *name, bool abstract)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    size_t n = strlen(name);
    memcpy(a.sun_path + abstract, name, n);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, size) < 0 || listen(fd, 16) < 0) abort();
    return fd;
}

static void start_victim(struct world *w)
{
    memcpy(victim_memory, w->victim_secret, SECRET_BYTES);
    w->victim = fork();
    if (w->victim == 0) {
        for (;;) pause();
    }
    memset(victim_memory, 0, SECRET_BYTES);
}

// A process that was started with a secret in its environment.
static void start_keeper(struct world *w)
{
    char *env[] = {mem_printf("KEY=%s", w->secret), NULL};
    char *argv[] = {(char[]){"sleep"}, (char[]){"1000"}, NULL};
    w->keeper = fork();
    if (w->keeper == 0) {
        execve("/bin/sleep", argv, env);
        _exit(127);
    }
    free(env[0]);
}

void world_open(struct world *w)
{
    *w = (struct world){.dir = mem_str("/tmp/hearth-attack-XXXXXX"), .zygotes = w->zygotes};
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (!mkdtemp(w->dir)) abort();
    random_text(w->secret);
    random_text(w->victim_secret);
    put_canary(w);
    w->tcp = bind_inet(SOCK_STREAM, &w->tcp_port);
    w->udp = bind_inet(SOCK_DGRAM, &w->udp_port);
    w->unix_name = world_path(w, "socket");
    w->unix_path = bind_unix(w->unix_name, false);
    w->abstract_name = mem_printf("hearth-attack-%s", w->secret + 10);
    w->unix_abstract = bind_unix(w->abstract_name, true);
    start_victim(w);
    start_keeper(w);
    setenv("HEARTH_TEST_API_KEY", w->secret, 1);
    char *path = world_path(w, "inherited");
    int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, w->secret, SECRET_BYTES - 1) != SECRET_BYTES - 1) abort();
    if (dup2(fd, INHERITED_FD) < 0) abort(); // without close-on-exec, on purpose
    close(fd);
    free(path);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
    (void)st, (void)flag, (void)f;
    return remove(path);
}

void world_close(struct world *w)
{
    kill(w->victim, SIGKILL);
    waitpid(w->victim, NULL, 0);
    kill(w->keeper, SIGKILL);
    waitpid(w->keeper, NULL, 0);
    close(w->tcp), close(w->udp), close(w->unix_path), close(w->unix_abstract);
    close(INHERITED_FD);
    nftw(w->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(w->dir), free(w->unix_name), free(w->abstract_name);
}

bool world_connected(int listener)
{
    char piece[100];
    if (recv(listener, piece, sizeof piece, MSG_DONTWAIT) > 0) return true;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return false;
    close(fd);
    return true;
}

void world_reset(struct world *w)
{
    static const char *const made[] = {"new", "link", "filled"};
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        char *path = world_path(w, made[i]);
        remove(path);
        free(path);
    }
    put_canary(w);
    int listeners[] = {w->tcp, w->udp, w->unix_path, w->unix_abstract};
    for (size_t i = 0; i < 4; i++)
        while (world_connected(listeners[i])) {
        }
    if (world_victim_dead(w) || world_victim_changed(w)) {
        kill(w->victim, SIGKILL);
        waitpid(w->victim, NULL, 0);
        start_victim(w);
    }
    lseek(INHERITED_FD, 0, SEEK_SET);
    world_strays(w, true);
    w->child = 0;
    w->child_rss_kb = 0;
    w->child_fds[0] = w->child_user_ns[0] = w->child_root[0] = 0;
}

bool world_has(const struct world *w, const char *name)
{
    return world_size(w, name) >= 0;
}

long world_size(const struct world *w, const char *name)
{
    struct stat st;
    char *path = world_path(w, name);
    int rc = lstat(path, &st);
    free(path);
    return rc < 0 ? -1 : (long)st.st_size;
}

bool world_canary_changed(const struct world *w)
{
    char text[SECRET_BYTES] = {0}, *path = world_path(w, "canary");
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    free(path);
    if (fd < 0) return true;
    ssize_t n = read(fd, text, sizeof text);
    bool same = fstat(fd, &st) == 0 && n == SECRET_BYTES - 1 && strcmp(text, w->secret) == 0 &&
                (st.st_mode & 07777) == 0600;
    close(fd);
    return !same;
}

bool world_victim_dead(struct world *w)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)w->victim, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
           info.si_pid == w->victim;
}

bool world_victim_changed(const struct world *w)
{
    char now[SECRET_BYTES];
    struct iovec here = {now, sizeof now}, there = {victim_memory, sizeof now};
    // Our own child: allowed unless a hardened kernel forbids it even to parents.
    if (process_vm_readv(w->victim, &here, 1, &there, 1, 0) != sizeof now) return false;
    return memcmp(now, w->victim_secret, sizeof now) != 0;
}

struct process {
    pid_t pid, parent;
    char state, name[32];
};

static bool read_process(const char *pid, struct process *p)
{
    char path[300], text[500];
    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    FILE *f = fopen(path, "r");
    if (!f) return false;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    char *open = strchr(text, '('), *close_ = strrchr(text, ')');
    if (!open || !close_) return false;
    snprintf(p->name, sizeof p->name, "%.*s", (int)(close_ - open - 1), open + 1);
    p->pid = atoi(pid);
    return sscanf(close_ + 1, " %c %d", &p->state, &p->parent) == 2;
}

// Calls f for every process until it returns true.
static void each_process(bool (*f)(const struct process *, void *), void *user)
{
    DIR *d = opendir("/proc");
    for (struct dirent *entry; d && (entry = readdir(d)) != NULL;) {
        struct process p;
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
        if (read_process(entry->d_name, &p) && f(&p, user)) break;
    }
    if (d) closedir(d);
}

// Orphans of a box come to this process (it is their subreaper), so a process of that name whose
// parent we are is a zygote or a stray. Boxes of other test runs have other parents.
struct stray_count {
    pid_t zygotes[64];
    int n_zygote, n;
    bool kill_them;
};

static bool count_stray(const struct process *p, void *user)
{
    struct stray_count *c = user;
    if (p->parent != getpid() || strncmp(p->name, "hearth-box-teet", 15) != 0) return false;
    for (int i = 0; i < c->n_zygote; i++)
        if (c->zygotes[i] == p->pid) return false;
    if (p->state != 'Z') c->n++;
    if (c->kill_them) {
        kill(p->pid, SIGKILL);
        waitpid(p->pid, NULL, 0);
    }
    return false;
}

int world_strays(const struct world *w, bool kill_them)
{
    struct stray_count c = {.kill_them = kill_them};
    c.n_zygote = w->zygotes(c.zygotes, 64);
    each_process(count_stray, &c);
    return c.n;
}

// The child in a call is the one that this process holds a pidfd of.
static pid_t running_child(void)
{
    pid_t found = 0;
    DIR *d = opendir("/proc/self/fdinfo");
    for (struct dirent *entry; d && (entry = readdir(d)) != NULL;) {
        char path[300], line[200];
        snprintf(path, sizeof path, "/proc/self/fdinfo/%s", entry->d_name);
        FILE *f = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
        while (f && fgets(line, sizeof line, f)) sscanf(line, "Pid: %d", &found);
        if (f) fclose(f);
    }
    if (d) closedir(d);
    return found;
}

static void read_link(pid_t pid, const char *name, char *out, size_t n_out)
{
    char path[100];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    ssize_t n = readlink(path, out, n_out - 1);
    out[n > 0 ? n : 0] = 0;
}

void world_probe(struct world *w)
{
    char path[100];
    long pages = 0, ignored;
    w->child = running_child();
    snprintf(path, sizeof path, "/proc/%d/statm", w->child);
    FILE *f = fopen(path, "r");
    if (f && fscanf(f, "%ld %ld", &ignored, &pages) == 2)
        w->child_rss_kb = pages * (sysconf(_SC_PAGESIZE) / 1024);
    if (f) fclose(f);
    read_link(w->child, "ns/user", w->child_user_ns, sizeof w->child_user_ns);
    read_link(w->child, "root", w->child_root, sizeof w->child_root);
    size_t used = 0;
    for (int fd = 0; fd < 64; fd++) {
        char name[20], target[100];
        snprintf(name, sizeof name, "fd/%d", fd);
        read_link(w->child, name, target, sizeof target);
        if (*target && used < sizeof w->child_fds - 120)
            used += (size_t)snprintf(w->child_fds + used, 120, "%d:%s ", fd, target);
    }
}

json_t *world_args(const struct world *w)
{
    char *canary = world_path(w, "canary"), *made = world_path(w, "new");
    char *link = world_path(w, "link"), *filled = world_path(w, "filled");
    json_t *j = json_pack(
        "{s:s,s:s,s:s,s:s,s:s,s:i,s:i,s:s,s:s,s:i,s:I,s:i,s:i}", "canary", canary, "new", made,
        "link", link, "filled", filled, "dir", w->dir, "tcp", w->tcp_port, "udp", w->udp_port,
        "unix", w->unix_name, "abstract", w->abstract_name, "victim", (int)w->victim, "address",
        (json_int_t)(intptr_t)victim_memory, "n", SECRET_BYTES - 1, "keeper", (int)w->keeper);
    free(canary), free(made), free(link), free(filled);
    return j;
}
