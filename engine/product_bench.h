// How near one product of a few tokens comes to the speed at which the device reads memory.
#pragma once
#include "base/err.h"

struct product_bench_options {
    const char *weights; // "fp8", "bf16", "nvfp4" or "mxfp4"
    const char *backend; // as engine_options
    int n_thread;        // 0: one per CPU
    int n_row, n_col;    // of the matrix
    int n_token;         // 1 to 8
    int repeat;          // at least 1
};

struct product_bench_result {
    char backend[160];
    double us;            // of one product among others that do not wait for it: the median
    double gbps;          // of weights and their scales
    double read_gbps;     // plain reading: the median
    double ratio;         // gbps / read_gbps
    double in_turn_us;    // of one that waits for all of the one before
    double in_turn_ratio; // the same share of plain reading
};

int product_bench(const struct product_bench_options *o, struct product_bench_result *r, err *e);
