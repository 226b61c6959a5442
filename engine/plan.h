// What a model will take of a backend's memory, known before any of it is taken.
#pragma once
#include "base/err.h"
#include "engine/config.h"
#include "engine/weights.h"
#include "kernels/kernels.h"

struct memory_plan {
    int ctx_max, n_session;
    enum k_type kv_type;
    uint64_t weights;        // bytes of the checkpoint's tensors
    bool is_mapped;          // they stay in the files: the system reads and drops them as it likes
    uint64_t cache, scratch; // of all sessions: keys and values, and everything else
    uint64_t free, floor;    // as k_ops.memory
    char backend[64];
};

struct memory_plan memory_plan_make(const struct config *c, struct weights *w,
                                    const struct k_ops *ops, enum k_type kv_type, k_device *d,
                                    int ctx_max, int n_session);
uint64_t memory_plan_need(const struct memory_plan *p); // bytes that must be free

// "weights 16.1 GB, ..." to be freed.
char *memory_plan_text(const struct memory_plan *p);

// 0, or -1 with the plan when it does not fit.
int memory_plan_check(const struct memory_plan *p, err *e);
