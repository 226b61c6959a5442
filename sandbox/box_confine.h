// What a child gives up before it sees a byte of a script.
#pragma once
#include "sandbox/protocol.h"
#include <linux/filter.h>
#include <sys/types.h>

struct confinement {
    const struct box_spawn *spawn;
    const struct sock_fprog *filter;
    int landlock_abi; // 0: no such layer in this kernel
    pid_t zygote;
};

// Applies every step in order; the channel is in place already. NULL, or the name of the step that
// failed, with errno.
const char *box_confine(const struct confinement *c);
