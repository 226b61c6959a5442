// The seccomp program of a child, built once by the zygote.
#pragma once
#include <linux/filter.h>

// Fills *program (owned by this file, for the life of the process). 0, or -1 and errno.
int box_filter_build(struct sock_fprog *program);
int box_filter_apply(const struct sock_fprog *program); // on the calling thread
