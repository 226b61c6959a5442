// Brings tensors from their files to a device's own memory, past the page cache: one thread reads
// (O_DIRECT where the file system has it) into a ring of buffers, the caller's thread checks what
// came and sends it on. Beside the ring no host memory is taken, however large the model is.
#pragma once
#include "base/err.h"
#include "engine/weights.h"
#include "kernels/kernels.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct load_item {
    const struct tensor *tensor;
    void *to; // device memory for its bytes; NULL: it is read, and goes nowhere
    struct code_check check;
};

struct load_watch { // called by the caller's thread after each piece
    void (*progress)(void *user, uint64_t n_done, uint64_t n_bytes);
    void *user;
};

struct load_result {
    uint64_t n_bytes; // of tensors
    uint64_t n_read;  // from the files, with what lay between
    double seconds;
    bool is_direct; // no file had to be read through the page cache
    uint64_t ring_bytes;
};

// Reads all items in the order in which they lie in their files. `watch` may be NULL. The device
// has what was sent when its next operation begins. -1: a file could not be read or a tensor holds
// a code that it must not.
int load_tensors(const struct k_ops *ops, k_device *d, const struct load_item *items, size_t n,
                 const struct load_watch *watch, struct load_result *r, err *e);
