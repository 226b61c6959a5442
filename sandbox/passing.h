// Messages that carry descriptors (SCM_RIGHTS) over a SEQPACKET socket.
#pragma once
#include <stddef.h>
#include <sys/types.h>

enum { PASS_MAX = 2 };

// Sends n bytes and n_fd descriptors as one message; 0, or -1 and errno. flags as for send.
int pass_send(int socket, const void *bytes, size_t n, const int *fds, int n_fd, int flags);

// Receives one message. fds[0..n_fd) are set, close-on-exec, to -1 unless exactly n_fd came with
// it. Returns its length, 0 at the end, -1 and errno.
ssize_t pass_receive(int socket, void *bytes, size_t n, int *fds, int n_fd, int flags);
