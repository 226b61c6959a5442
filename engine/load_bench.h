// How near loading a model's weights into a device's memory comes to the speed at which its files
// can be read.
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

struct load_bench_options {
    const char *model_dir;
    const char *backend; // as engine_options
    bool copy;           // copies also where weights would stay mapped: for machines without a GPU
    int repeat;          // at least 1
};

struct load_bench_result {
    char backend[160];
    uint64_t n_bytes;    // of weights
    bool is_direct;      // read past the page cache
    double load_seconds; // medians: of the weights' way to the device,
    double open_seconds; // of opening the model with all that belongs to it,
    double read_seconds; // of reading the same bytes in the same way and dropping them
    double load_gbps, read_gbps;
    double ratio;         // read_seconds / load_seconds
    uint64_t extra_bytes; // host memory at the peak beyond what was there before, the largest seen
};

int load_bench(const struct load_bench_options *o, struct load_bench_result *r, err *e);
