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
    struct iovec io = {&r, sizeof r};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1};
    if (pidfd >= 0) {
        m.msg_control = control.bytes;
        m.msg_controllen = sizeof control.bytes;
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        *c = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(c), &pidfd, sizeof pidfd);
    }
    // The caller may have gone away by now; that is its business.
    sendmsg(status, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
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

static void spawn_child(const struct box_spawn *spawn, int channel, int status)
{
    if (zygote.n_child == CHILDREN_MAX) {
        report(status, REPORT_NO_FORK, EAGAIN, -1);
        close(status);
        return;
    }
    pid_t self = getpid(), pid = fork();
    if (pid == 0) child(spawn, channel, self);
    if (pid < 0) {
        report(status, REPORT_NO_FORK, errno, -1);
        close(status);
        return;
    }
    // Only this process reaps, and it does so later, so the number still names this child.
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) {
        report(status, REPORT_NO_FORK, errno, -1);
        kill(pid, SIGKILL);
    } else {
        report(status, REPORT_STARTED, pid, pidfd);
        close(pidfd);
    }
    zygote.child[zygote.n_child++] = (struct child){pid, status};
}

// Takes one request. 0 when hearth has closed its end.
static int take_request(void)
{
    struct box_spawn spawn;
    struct iovec io = {&spawn, sizeof spawn};
    union {
        char bytes[CMSG_SPACE(2 * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct msghdr m = {.msg_iov = &io,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    ssize_t n = recvmsg(BOX_CONTROL_FD, &m, MSG_CMSG_CLOEXEC);
    if (n <= 0) return n < 0 && errno == EINTR;
    int fd[2] = {-1, -1};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof fd))
        memcpy(fd, CMSG_DATA(c), sizeof fd);
    if (n != sizeof spawn || spawn.magic != BOX_MAGIC || fd[0] < 0) return 0;
    if (!TEETH) spawn.layers_off = 0, spawn.fault_step = 0;
    spawn_child(&spawn, fd[0], fd[1]);
    close(fd[0]);
    return 1;
}

static void reap(void)
{
    struct signalfd_siginfo drained;
    while (read(zygote.sigchld, &drained, sizeof drained) > 0) {
    }
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
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
        if (fds[1].revents) reap();
    }
}

int main(int argc, char **argv)
{
    struct box_hello hello = {.magic = BOX_MAGIC, .teeth = TEETH, .n_step = box_confine_steps()};
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
    return serve();
}
