// What a child gives up before it sees a byte of a script.
#pragma once
#include "sandbox/protocol.h"
#include <linux/filter.h>
#include <sys/types.h>

struct confinement {
    const struct box_spawn *spawn;
    const struct sock_fprog *filter;
    int landlock_abi; // 0: no such layer in this kernel
    int channel;      // becomes BOX_CHANNEL_FD
    pid_t zygote;
};

unsigned box_confine_steps(void);

// Applies every step in order. NULL, or the name of the step that failed, with errno.
const char *box_confine(const struct confinement *c);
