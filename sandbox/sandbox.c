// The caller's side. A call is a small state machine over two sockets (protocol.h): it sends what
// the child will take, reads what comes, watches the clock and the cancel flag, and at the end
// kills the child by its pidfd whatever it was doing. Nothing here blocks without a deadline, and
// nothing here believes the child.
//
// Threads: the zygote's socket takes whole messages (SEQPACKET) and answers on the call's own
// status socket, so calls run side by side; the lock covers only starting and stopping the zygote.
#include "sandbox/sandbox.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "sandbox/asan.h"
#include "sandbox/frame.h"
#include "sandbox/landlock.h"
#include "sandbox/passing.h"
#include "sandbox/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    HELLO_MS = 10000, // for exec and libseccomp on a busy machine
    REPORT_MS = 2000, // for the zygote to say something it surely can
    CANCEL_POLL_MS = 20
};

struct sandbox {
    pthread_mutex_t lock; // zygote, control, n_started
    char *box_path;
    unsigned layers_off;
    int fault_step, fault_errno;
    pid_t zygote; // 0: none
    int control;  // -1: none
    int landlock_abi;
    uint64_t n_started;
};

int sandbox_landlock_abi(void)
{
    int abi = landlock_abi();
    return abi < 0 ? 0 : abi;
}

// --- the zygote

static char *find_box(err *e)
{
    static const char *const beside[] = {"hearth-box", "../libexec/hearth/hearth-box"};
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) {
        err_sys(e, errno, "/proc/self/exe");
        return NULL;
    }
    self[n] = 0;
    char *slash = strrchr(self, '/');
    if (slash) slash[1] = 0;
    for (size_t i = 0; i < sizeof beside / sizeof *beside; i++) {
        char *path = path_join(self, beside[i]);
        if (access(path, X_OK) == 0) return path;
        free(path);
    }
    err_set(e, ERR_REFUSED, "hearth-box: not found beside %s nor in ../libexec/hearth", self);
    return NULL;
}

// Signals reset, a session of its own (Ctrl-C is for hearth), no environment, and three descriptors
// that lead nowhere.
static int spawn_zygote(const struct sandbox *s, int control, pid_t *pid)
{
    extern char **environ;
    bool inherit = s->layers_off & BOX_FD;
    char *argv[] = {(char[]){"hearth-box"}, inherit ? (char[]){"keep-inheritance"} : NULL, NULL};
    char *empty[] = {NULL};
    posix_spawnattr_t attr;
    posix_spawn_file_actions_t files;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    if (!inherit) flags |= POSIX_SPAWN_SETSID;
    posix_spawnattr_setflags(&attr, flags);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, control, BOX_CONTROL_FD);
    for (int fd = 0; fd < (UNDER_ASAN ? 2 : 3); fd++)
        posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_RDWR, 0);
    int rc = posix_spawn(pid, s->box_path, &files, &attr, argv, inherit ? environ : empty);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    return rc;
}

static int wait_readable(int fd, int ms)
{
    struct pollfd p = {fd, POLLIN, 0};
    int64_t until = clock_us() + (int64_t)ms * 1000;
    for (;;) {
        int64_t left = (until - clock_us() + 999) / 1000;
        int rc = poll(&p, 1, left > 0 ? (int)left : 0);
        if (rc >= 0 || errno != EINTR) return rc;
    }
}

static void stop_zygote(struct sandbox *s)
{
    if (s->control >= 0) close(s->control);
    s->control = -1;
    if (s->zygote > 0) {
        kill(s->zygote, SIGKILL); // not reaped yet, so the number is still its own
        while (waitpid(s->zygote, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    s->zygote = 0;
}

static int read_hello(struct sandbox *s, err *e)
{
    struct box_hello hello;
    if (wait_readable(s->control, HELLO_MS) <= 0)
        return err_set(e, ERR_REFUSED, "%s: no word from it in %d ms", s->box_path, HELLO_MS);
    ssize_t n = recv(s->control, &hello, sizeof hello, 0);
    if (n != sizeof hello || hello.magic != BOX_MAGIC)
        return err_set(e, ERR_REFUSED, "%s: is not this version's hearth-box", s->box_path);
    hello.problem[sizeof hello.problem - 1] = 0;
    if (hello.problem[0])
        return err_set(e, ERR_REFUSED, "the sandbox cannot be set up here: %s", hello.problem);
    if ((s->layers_off || s->fault_step) && !hello.teeth)
        return err_set(e, ERR_REFUSED, "%s: does not switch layers off", s->box_path);
    s->landlock_abi = hello.landlock_abi;
    return 0;
}

// With the lock held.
static int start_zygote(struct sandbox *s, err *e)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_sys(e, errno, "sandbox: socketpair");
    s->control = pair[0];
    int rc = spawn_zygote(s, pair[1], &s->zygote);
    close(pair[1]);
    if (rc != 0) {
        s->zygote = 0;
        err_sys(e, rc, "%s: start", s->box_path);
        e->code = ERR_REFUSED;
    } else {
        s->n_started++;
        if (read_hello(s, e) == 0) return 0;
    }
    stop_zygote(s);
    return -1;
}

// --- one call

struct call {
    const struct box_request *q;
    struct box_limits limits;
    int64_t begin_us, deadline_us;
    int channel, status, pidfd; // -1: not there
    bool asked;                 // the zygote has the request
    bool channel_over, exited, zygote_lost;
    int wait_status, no_fork;
    uint64_t zygote; // which one was asked (sandbox.n_started)
    buf in;
    size_t in_max; // largest frame taken
    buf out;
    size_t sent;
    int64_t n_service;
    bool spoke; // a frame was taken
    bool finished, refused;
    struct box_result *r;
    err *e;
};

// Takes text over. Words of the child may have been cut inside a character on their way into it.
static void finish(struct call *c, enum box_status status, char *text)
{
    if (text) text[utf8_valid_prefix(text, strlen(text))] = 0;
    c->finished = true;
    c->r->status = status;
    c->r->text = text;
}

static int request_limits(const struct box_request *q, struct box_limits *l, err *e)
{
    static const struct row {
        const char *name;
        size_t at;
    } rows[] = {
        {"wall_ms", offsetof(struct box_limits, wall_ms)},
        {"cpu_ms", offsetof(struct box_limits, cpu_ms)},
        {"memory_mb", offsetof(struct box_limits, memory_mb)},
        {"output_kb", offsetof(struct box_limits, output_kb)},
    };
    struct box_limits most = BOX_MAX_LIMITS, usual = BOX_DEFAULT_LIMITS;
    *l = q->limits;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int *v = (int *)(void *)((char *)l + rows[i].at);
        int max = *(int *)(void *)((char *)&most + rows[i].at);
        if (*v < 0 || *v > max)
            return err_set(e, ERR_INPUT, "%s: limits.%s: found %d, expected 0 to %d", q->chunk_name,
                           rows[i].name, *v, max);
        if (*v == 0) *v = *(int *)(void *)((char *)&usual + rows[i].at);
    }
    return 0;
}

static int check_services(const struct box_request *q, err *e)
{
    size_t i;
    json_t *name;
    json_array_foreach(q->services, i, name)
    {
        const char *s = json_string_value(name);
        if (!s || !*s || strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_.") != strlen(s))
            return err_set(e, ERR_INPUT, "%s: services: expected names like fs.read",
                           q->chunk_name);
    }
    return 0;
}

static int put_request(struct call *c, err *e)
{
    const struct box_request *q = c->q;
    if (q->source_len == 0 || q->source_len > FRAME_SOURCE_MAX)
        return err_set(e, ERR_INPUT, "%s: %zu bytes of source, expected 1 to %d", q->chunk_name,
                       q->source_len, FRAME_SOURCE_MAX);
    json_t *j = json_pack("{s:s,s:s,s:O?,s:O?,s:O?}", "chunk", q->chunk_name, "entry", q->entry,
                          "args", q->args, "ctx", q->ctx, "services", q->services);
    if (!j) return err_set(e, ERR_INPUT, "%.100s: a name that is not UTF-8", q->chunk_name);
    char *text = json_dumps(j, JSON_COMPACT);
    json_decref(j);
    size_t n = text ? strlen(text) : 0;
    if (n == 0 || n > FRAME_REQUEST_MAX) {
        free(text);
        return err_set(e, ERR_INPUT, "%s: %zu bytes of arguments, expected at most %d",
                       q->chunk_name, n, FRAME_REQUEST_MAX);
    }
    frame_put(&c->out, text, n);
    frame_put(&c->out, q->source, q->source_len);
    free(text);
    return 0;
}

// Hands the far ends of two new sockets to the zygote, which is started again once if it has died.
static int start_child(struct sandbox *s, struct call *c, err *e)
{
    int channel[2], status[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) < 0)
        return err_sys(e, errno, "sandbox: socketpair");
    c->channel = channel[0];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, status) < 0) {
        close(channel[1]);
        return err_sys(e, errno, "sandbox: socketpair");
    }
    c->status = status[0];
    struct box_spawn spawn = {BOX_MAGIC,           s->layers_off,       c->limits.cpu_ms,
                              c->limits.memory_mb, c->limits.output_kb, s->fault_step,
                              s->fault_errno};
    int far[2] = {channel[1], status[1]}, rc = -1;
    pthread_mutex_lock(&s->lock);
    for (int attempt = 0; attempt < 2; attempt++) {
        if (s->control < 0 && start_zygote(s, e) < 0) break;
        c->zygote = s->n_started;
        rc = pass_send(s->control, &spawn, sizeof spawn, far, 2, 0);
        if (rc == 0) break;
        err_sys(e, errno, "sandbox: request to the zygote");
        stop_zygote(s);
    }
    pthread_mutex_unlock(&s->lock);
    close(far[0]);
    close(far[1]);
    c->asked = rc == 0;
    return rc;
}

// What the zygote says about this child.
static void take_report(struct call *c)
{
    struct box_report r;
    int pidfd;
    ssize_t n = pass_receive(c->status, &r, sizeof r, &pidfd, 1, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n != sizeof r || r.magic != BOX_MAGIC) {
        c->zygote_lost = true;
        return;
    }
    if (pidfd >= 0) { // a second one replaces a child that died while it was waiting for its call
        if (c->pidfd >= 0) close(c->pidfd);
        c->pidfd = pidfd;
    }
    if (r.kind == REPORT_NO_FORK) c->no_fork = r.value;
    if (r.kind == REPORT_EXITED) {
        c->exited = true;
        c->wait_status = r.value;
    }
}

// Reads reports until the child is known (started) or known to be dead (exited), or REPORT_MS pass.
static bool await_report(struct call *c, bool exited)
{
    int64_t until = clock_us() + REPORT_MS * 1000;
    for (;;) {
        if (exited ? c->exited : c->pidfd >= 0) return true;
        int64_t left = (until - clock_us()) / 1000;
        if (c->exited || c->zygote_lost || c->no_fork || left <= 0) return false;
        if (wait_readable(c->status, (int)left) > 0) take_report(c);
    }
}

static void note_start(struct call *c, int64_t started_us)
{
    if (started_us >= c->begin_us && started_us <= clock_us())
        c->r->spawn_us = started_us - c->begin_us;
}

static bool is_granted(const json_t *services, const char *name)
{
    size_t i;
    json_t *s;
    json_array_foreach(services, i, s) if (strcmp(json_string_value(s), name) == 0) return true;
    return false;
}

static char *breach(const char *what)
{
    return mem_printf("the tool's process broke the protocol: %s", what);
}

static void put_reply(struct call *c, int64_t id, json_t *value, const char *why)
{
    json_t *j = value ? json_pack("{s:I,s:o}", "id", (json_int_t)id, "value", value)
                      : json_pack("{s:I,s:s%}", "id", (json_int_t)id, "error", why,
                                  utf8_valid_prefix(why, strlen(why)));
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    size_t n = text ? strlen(text) : 0;
    if (n == 0 || n > FRAME_REPLY_MAX) {
        free(text);
        text = mem_printf("{\"id\":%lld,\"error\":\"the answer is too large to pass on\"}",
                          (long long)id);
        n = strlen(text);
    }
    frame_put(&c->out, text, n);
    free(text);
}

static void handle_call(struct call *c, const struct message *m)
{
    char what[120];
    if (m->id != c->n_service + 1 || m->id > FRAME_SERVICE_CALLS_MAX) {
        snprintf(what, sizeof what, "call %lld after call %lld", (long long)m->id,
                 (long long)c->n_service);
        finish(c, BOX_CRASHED, breach(what));
        return;
    }
    if (!c->q->on_call || !is_granted(c->q->services, m->service)) {
        snprintf(what, sizeof what, "it called %.60s, which was not granted", m->service);
        finish(c, BOX_CRASHED, breach(what));
        return;
    }
    c->n_service++;
    err why = {ERR_NONE, ""};
    json_t *value = c->q->on_call(c->q->user, m->service, m->value, &why);
    put_reply(c, m->id, value, why.msg);
}

static void handle_fail(struct call *c, const struct message *m)
{
    static const struct {
        const char *name;
        enum box_status status;
    } rows[] = {{"error", BOX_ERROR},
                {"timeout", BOX_TIMEOUT},
                {"memory", BOX_MEMORY},
                {"output", BOX_OUTPUT}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(m->status, rows[i].name) != 0) continue;
        if (rows[i].status == BOX_MEMORY)
            finish(c, BOX_MEMORY, mem_printf("needed more memory than %d MB", c->limits.memory_mb));
        else
            finish(c, rows[i].status, mem_str(m->text));
        return;
    }
    finish(c, BOX_CRASHED, breach("an unknown status"));
}

static void handle_message(struct call *c, const struct message *m)
{
    note_start(c, m->started_us);
    switch (m->kind) {
    case MESSAGE_CALL: handle_call(c, m); break;
    case MESSAGE_FAIL: handle_fail(c, m); break;
    case MESSAGE_DONE:
        c->r->value = json_incref(m->value);
        finish(c, BOX_OK, NULL);
        break;
    case MESSAGE_REFUSED:
        // Only as the very first word: later it would be a lie about what has run.
        if (c->spoke) {
            finish(c, BOX_CRASHED, breach("a refusal after the start"));
            break;
        }
        err_sys(c->e, m->errno_value, "the sandbox layer \"%.60s\" cannot be applied here",
                m->text);
        c->e->code = ERR_REFUSED;
        c->finished = c->refused = true;
        break;
    }
    c->spoke = true;
}

static void take_frames(struct call *c)
{
    const char *payload;
    size_t n, used = 0;
    err why;
    int rc = 0;
    while (!c->finished) {
        rc = frame_next(c->in.p + used, c->in.n - used, c->in_max, &payload, &n, &why);
        if (rc <= 0) break;
        struct message m;
        rc = message_parse(payload, n, &m, &why);
        if (rc < 0) break;
        handle_message(c, &m);
        message_free(&m);
        used += FRAME_HEAD + n;
    }
    if (rc < 0 && !c->finished) finish(c, BOX_CRASHED, breach(why.msg));
    if (used) memmove(c->in.p, c->in.p + used, c->in.n - used);
    c->in.n -= used;
}

static void read_channel(struct call *c)
{
    char piece[65536];
    ssize_t n = recv(c->channel, piece, sizeof piece, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
        c->channel_over = true;
        return;
    }
    buf_put(&c->in, piece, (size_t)n); // has room: take_frames leaves less than one frame
    take_frames(c);
}

static void write_channel(struct call *c)
{
    ssize_t n =
        send(c->channel, c->out.p + c->sent, c->out.n - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR) c->sent = c->out.n; // the read side will say why
        return;
    }
    c->sent += (size_t)n;
    if (c->sent == c->out.n) {
        buf_clear(&c->out);
        c->sent = 0;
    }
}

// The child is gone without an answer: its exit status says why.
static void explain_death(struct call *c)
{
    await_report(c, true);
    int st = c->wait_status, sig = c->exited && WIFSIGNALED(st) ? WTERMSIG(st) : 0;
    if (c->zygote_lost || !c->exited) return; // the caller looks at these
    if (sig == SIGPROF || sig == SIGXCPU)
        finish(c, BOX_TIMEOUT,
               mem_printf("still running after %d ms of CPU time", c->limits.cpu_ms));
    else if (sig == SIGSYS)
        finish(c, BOX_CRASHED, mem_str("the tool's process was killed for a forbidden call"));
    else if (sig)
        finish(c, BOX_CRASHED,
               mem_printf("the tool's process died of signal %d (%s)", sig,
                          sigdescr_np(sig) ? sigdescr_np(sig) : "unknown"));
    else if (WEXITSTATUS(st) == BOX_EXIT_MEMORY)
        finish(c, BOX_MEMORY, mem_printf("needed more memory than %d MB", c->limits.memory_mb));
    else
        finish(c, BOX_CRASHED,
               mem_printf("the tool's process ended without an answer (exit code %d)",
                          WEXITSTATUS(st)));
}

static bool is_cancelled(const struct call *c)
{
    return c->q->cancel && *c->q->cancel;
}

static void call_wait(struct call *c, bool no_deadline)
{
    int64_t left_ms = no_deadline ? INT_MAX : (c->deadline_us - clock_us() + 999) / 1000;
    if (c->q->cancel && left_ms > CANCEL_POLL_MS) left_ms = CANCEL_POLL_MS;
    short want = POLLIN;
    if (c->sent < c->out.n) want |= POLLOUT;
    struct pollfd fds[] = {{c->channel, want, 0}, {c->exited ? -1 : c->status, POLLIN, 0}};
    if (poll(fds, 2, left_ms > 0 ? (int)left_ms : 0) < 0) return;
    if (fds[1].revents) take_report(c); // before the child's words, which it was sent before
    if (fds[0].revents & POLLOUT) write_channel(c);
    if (fds[0].revents & (POLLIN | POLLHUP | POLLERR)) read_channel(c);
}

static int call_loop(struct call *c, bool no_deadline)
{
    while (!c->finished) {
        if (is_cancelled(c)) {
            finish(c, BOX_CANCELLED, mem_str("cancelled"));
            break;
        }
        if (!no_deadline && clock_us() >= c->deadline_us) {
            if (c->pidfd < 0)
                return err_set(c->e, ERR_SYSTEM, "sandbox: the zygote started no process in %d ms",
                               c->limits.wall_ms);
            finish(c, BOX_TIMEOUT, mem_printf("no answer within %d ms", c->limits.wall_ms));
            break;
        }
        call_wait(c, no_deadline);
        if (c->channel_over && !c->finished && !c->no_fork) explain_death(c);
        if (c->finished) break;
        if (c->no_fork) return err_sys(c->e, c->no_fork, "sandbox: no process for the call");
        if (c->zygote_lost || c->channel_over)
            return err_set(
                c->e, ERR_SYSTEM,
                "sandbox: the zygote died during the call; the next call starts it again");
    }
    return c->refused ? -1 : 0;
}

// Kills the child, whatever it is doing. When it did not answer of its own will, this returns only
// after it is dead; a zygote that cannot even report that is ended, and its children with it.
static void end_child(struct sandbox *s, struct call *c)
{
    bool answered = c->finished && (c->r->status == BOX_OK || c->r->status == BOX_ERROR);
    bool known = await_report(c, false);
    if (known && !c->exited) syscall(SYS_pidfd_send_signal, c->pidfd, SIGKILL, NULL, 0);
    if (c->no_fork || c->exited || (known && answered)) return;
    if (known && await_report(c, true)) return;
    pthread_mutex_lock(&s->lock);
    if (c->zygote == s->n_started) stop_zygote(s); // another call may have done it
    pthread_mutex_unlock(&s->lock);
}

static void call_end(struct sandbox *s, struct call *c)
{
    if (c->asked) end_child(s, c);
    if (c->pidfd >= 0) close(c->pidfd);
    if (c->channel >= 0) close(c->channel);
    if (c->status >= 0) close(c->status);
    buf_free(&c->in);
    buf_free(&c->out);
}

int sandbox_run(sandbox *s, const struct box_request *q, struct box_result *r, err *e)
{
    *r = (struct box_result){0};
    struct call c = {.q = q, .r = r, .e = e, .begin_us = clock_us()};
    c.channel = c.status = c.pidfd = -1;
    if (request_limits(q, &c.limits, e) < 0 || check_services(q, e) < 0) return -1;
    c.deadline_us = c.begin_us + (int64_t)c.limits.wall_ms * 1000;
    c.in_max = (size_t)c.limits.output_kb * 1024 + 4096;
    if (c.in_max < FRAME_CALL_MAX) c.in_max = FRAME_CALL_MAX;
    c.in = buf_new(c.in_max + FRAME_HEAD + 65536);
    c.out = buf_new((size_t)FRAME_REQUEST_MAX + FRAME_SOURCE_MAX + 2 * FRAME_HEAD);
    int rc = put_request(&c, e);
    if (rc == 0) rc = start_child(s, &c, e);
    if (rc == 0) rc = call_loop(&c, s->layers_off & BOX_WALL);
    call_end(s, &c);
    r->wall_us = clock_us() - c.begin_us;
    if (rc < 0) box_result_free(r);
    return rc;
}

void box_result_free(struct box_result *r)
{
    json_decref(r->value);
    free(r->text);
    *r = (struct box_result){0};
}

// --- open and close

// One empty call: every layer is applied for real, so a machine where one cannot be is known at
// once and not at the first tool.
static int prove(struct sandbox *s, err *e)
{
    static const char source[] = "return {}";
    struct box_request q = {.source = source,
                            .source_len = sizeof source - 1,
                            .chunk_name = "probe",
                            .entry = "manifest"};
    struct box_result r;
    if (sandbox_run(s, &q, &r, e) < 0) return -1;
    int rc = r.status == BOX_OK ? 0 : err_set(e, ERR_REFUSED, "sandbox: probe: %s", r.text);
    box_result_free(&r);
    return rc;
}

sandbox *sandbox_open(const struct sandbox_options *o, err *e)
{
    struct sandbox *s = mem_new(sizeof *s);
    pthread_mutex_init(&s->lock, NULL);
    s->control = -1;
    s->layers_off = o ? o->layers_off : 0;
    s->fault_step = o ? o->fault_step : 0;
    s->fault_errno = o ? o->fault_errno : 0;
    s->box_path = o && o->box_path ? mem_str(o->box_path) : find_box(e);
    if (s->box_path && prove(s, e) == 0) return s;
    sandbox_close(s);
    return NULL;
}

void sandbox_close(sandbox *s)
{
    if (!s) return;
    stop_zygote(s);
    pthread_mutex_destroy(&s->lock);
    free(s->box_path);
    free(s);
}

void sandbox_get_status(sandbox *s, struct sandbox_status *st)
{
    pthread_mutex_lock(&s->lock);
    *st =
        (struct sandbox_status){s->landlock_abi, BOX_ALL & ~s->layers_off, s->zygote, s->n_started};
    pthread_mutex_unlock(&s->lock);
    if (st->landlock_abi == 0) st->layers &= ~(unsigned)BOX_LANDLOCK;
}
