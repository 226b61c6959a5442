#include "sandbox/passing.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
    char bytes[CMSG_SPACE(PASS_MAX * sizeof(int))];
    struct cmsghdr align;
};

int pass_send(int socket, const void *bytes, size_t n, const int *fds, int n_fd, int flags)
{
    struct iovec io = {(void *)(uintptr_t)bytes, n};
    union control control = {{0}};
    struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1};
    assert(n_fd <= PASS_MAX);
    if (n_fd > 0) {
        size_t size = (size_t)n_fd * sizeof(int);
        m.msg_control = control.bytes;
        m.msg_controllen = CMSG_SPACE(size);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        *c = (struct cmsghdr){CMSG_LEN(size), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(c), fds, size);
    }
    for (;;) {
        if (sendmsg(socket, &m, flags | MSG_NOSIGNAL) >= 0) return 0;
        if (errno != EINTR) return -1;
    }
}

ssize_t pass_receive(int socket, void *bytes, size_t n, int *fds, int n_fd, int flags)
{
    struct iovec io = {bytes, n};
    union control control;
    struct msghdr m = {.msg_iov = &io,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    ssize_t got;
    do {
        got = recvmsg(socket, &m, flags | MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    for (int i = 0; i < n_fd; i++) fds[i] = -1;
    struct cmsghdr *c = got > 0 ? CMSG_FIRSTHDR(&m) : NULL;
    if (!c || c->cmsg_type != SCM_RIGHTS) return got;
    int came[PASS_MAX], n_came = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    memcpy(came, CMSG_DATA(c), (size_t)n_came * sizeof(int));
    for (int i = 0; i < n_came; i++) {
        if (n_came == n_fd)
            fds[i] = came[i];
        else
            close(came[i]);
    }
    return got;
}
