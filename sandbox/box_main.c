// hearth-box: the zygote. It is started before hearth grows, holds nothing secret, has one thread,
// and does three things for ever: takes a request from the control socket, forks a child for it,
// and reaps children and reports how they ended. It dies when the control socket closes, and its
// children die with it.
//
// Why a process between: forking hearth itself costs time in proportion to its memory (100 ms at
// 2 GB), copies every secret into the child, and is undefined once a GPU context exists.
#include "sandbox/box_confine.h"
#include "sandbox/box_filter.h"
#include "sandbox/box_lua.h"
#include "sandbox/landlock.h"
#include "sandbox/passing.h"
#include "sandbox/protocol.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef HEARTH_BOX_TEETH
enum { TEETH = 1 };
#else
enum { TEETH = 0 };
#endif

enum { CHILDREN_MAX = 1024 };

static struct zygote {
    struct sock_fprog filter;
    int landlock_abi;
    int sigchld; // a signalfd
    struct spare {
        pid_t pid; // 0: none
        int pidfd, line;
    } spare;
    size_t n_child;
    struct child {
        pid_t pid;
        int status; // our end of its status socket
    } child[CHILDREN_MAX];
} zygote;

extern char **environ;

static __attribute__((format(printf, 1, 2))) int problem(const char *fmt, ...)
{
    struct box_hello hello = {.magic = BOX_MAGIC};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(hello.problem, sizeof hello.problem, fmt, ap);
    va_end(ap);
    send(BOX_CONTROL_FD, &hello, sizeof hello, MSG_NOSIGNAL);
    return 1;
}

// Puts fd at the number that the children expect.
static int move_fd(int fd, int to)
{
    if (fd == to) return 0;
    if (dup3(fd, to, O_CLOEXEC) < 0) return -1;
    return close(fd);
}

static int prepare(bool keep_inheritance)
{
    if (!keep_inheritance) {
        if (syscall(SYS_close_range, BOX_CONTROL_FD + 1, ~0u, 0) < 0)
            return problem("close descriptors: %s", strerror(errno));
        if (environ && environ[0]) return problem("the environment is not empty");
    }
    zygote.landlock_abi = landlock_abi();
    if (zygote.landlock_abi < 0)
        return problem("asking the kernel for Landlock: %s", strerror(errno));
    int ruleset = zygote.landlock_abi ? landlock_ruleset_deny_all(zygote.landlock_abi)
                                      : open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (ruleset < 0 || move_fd(ruleset, BOX_RULESET_FD) < 0)
        return problem("Landlock ruleset: %s", strerror(errno));
    if (box_filter_build(&zygote.filter) < 0)
        return problem("seccomp program: %s", strerror(errno));
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    zygote.sigchld = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (zygote.sigchld < 0) return problem("signalfd: %s", strerror(errno));
    json_object_seed(0);
    box_warm();
    return 0;
}

static void report(int status, uint32_t kind, int value, int pidfd)
{
    struct box_report r = {BOX_MAGIC, kind, value};
    // The caller may have gone away by now; that is its business.
    pass_send(status, &r, sizeof r, &pidfd, pidfd >= 0, MSG_DONTWAIT);
}

static _Noreturn void child(const struct box_spawn *spawn, int channel, pid_t parent)
{
    // First of all, since a refusal is sent there; the control socket, which was here, is gone with
    // it.
    if (dup2(channel, BOX_CHANNEL_FD) < 0) _exit(1);
    struct confinement c = {spawn, &zygote.filter, zygote.landlock_abi, parent};
    const char *failed = box_confine(&c);
    if (failed) box_refuse(failed, errno);
    box_serve(spawn);
}

// The life of a spare until its call comes: nothing but waiting. The far end of `line` closes when
// the zygote dies.
static _Noreturn void spare_wait(int line, pid_t parent)
{
    struct box_spawn spawn;
    int channel;
    box_warm(); // takes its own copies of the pages a call writes to, while no one waits
    if (pass_receive(line, &spawn, sizeof spawn, &channel, 1, 0) != sizeof spawn || channel < 0)
        _exit(0);
    child(&spawn, channel, parent);
}

// 0, or -1 and errno.
static int spare_make(void)
{
    int line[2];
    if (zygote.spare.pid) return 0;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, line) < 0) return -1;
    pid_t self = getpid(), pid = fork();
    if (pid == 0) {
        close(line[0]);
        spare_wait(line[1], self);
    }
    // Only this process reaps, and it does so later, so the number still names this child.
    int pidfd = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0), why = errno;
    close(line[1]);
    if (pidfd < 0) {
        close(line[0]); // which ends a spare that was forked
        errno = why;
        return -1;
    }
    zygote.spare = (struct spare){pid, pidfd, line[0]};
    return 0;
}

static void spare_forget(void)
{
    if (!zygote.spare.pid) return;
    close(zygote.spare.line);
    close(zygote.spare.pidfd);
    zygote.spare.pid = 0;
}

// Hands the call to the spare, or to a second one if something has killed the first.
static void start_call(const struct box_spawn *spawn, int channel, int status)
{
    int rc = -1;
    errno = EAGAIN;
    for (int attempt = 0; rc < 0 && attempt < 2 && zygote.n_child < CHILDREN_MAX; attempt++) {
        if (spare_make() < 0) break;
        // The report first: when the child's words arrive, the caller can already kill it.
        report(status, REPORT_STARTED, zygote.spare.pid, zygote.spare.pidfd);
        rc = pass_send(zygote.spare.line, spawn, sizeof *spawn, &channel, 1, 0);
        if (rc < 0) spare_forget();
    }
    if (rc < 0) {
        report(status, REPORT_NO_FORK, errno, -1);
        close(status);
        return;
    }
    zygote.child[zygote.n_child++] = (struct child){zygote.spare.pid, status};
    spare_forget();
}

// Takes one request. False when hearth has closed its end.
static bool take_request(void)
{
    struct box_spawn spawn;
    int fds[2];
    ssize_t n = pass_receive(BOX_CONTROL_FD, &spawn, sizeof spawn, fds, 2, 0);
    if (n != sizeof spawn || spawn.magic != BOX_MAGIC || fds[0] < 0) return false;
    if (!TEETH) spawn.layers_off = 0, spawn.fault_step = 0;
    start_call(&spawn, fds[0], fds[1]);
    close(fds[0]);
    return true;
}

static void reap(void)
{
    struct signalfd_siginfo drained;
    while (read(zygote.sigchld, &drained, sizeof drained) > 0) {
    }
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == zygote.spare.pid) spare_forget();
        for (size_t i = 0; i < zygote.n_child; i++) {
            if (zygote.child[i].pid != pid) continue;
            report(zygote.child[i].status, REPORT_EXITED, status, -1);
            close(zygote.child[i].status);
            zygote.child[i] = zygote.child[--zygote.n_child];
            break;
        }
    }
}

static int serve(void)
{
    for (;;) {
        struct pollfd fds[] = {{BOX_CONTROL_FD, POLLIN, 0}, {zygote.sigchld, POLLIN, 0}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR) return 1;
        if (fds[0].revents && !take_request()) return 0;
        if (fds[1].revents) {
            reap();
            spare_make(); // when a call has ended, not beside it; the next one says why it failed
        }
    }
}

int main(int argc, char **argv)
{
    struct box_hello hello = {.magic = BOX_MAGIC, .teeth = TEETH};
    int type;
    socklen_t size = sizeof type;
    if (getsockopt(BOX_CONTROL_FD, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
        type != SOCK_SEQPACKET) {
        fprintf(stderr, "hearth-box: started by hearth, not by hand\n");
        return 2;
    }
    if (prepare(TEETH && argc > 1 && strcmp(argv[1], "keep-inheritance") == 0) != 0) return 1;
    hello.landlock_abi = zygote.landlock_abi;
    if (send(BOX_CONTROL_FD, &hello, sizeof hello, MSG_NOSIGNAL) != sizeof hello) return 1;
    spare_make();
    return serve();
}
