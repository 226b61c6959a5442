// What the choice of a token costs, from logits that lie on the device to the token on the host.
#pragma once
#include "base/err.h"

struct sample_bench_options {
    const char *backend; // as engine_options
    int n_vocab, repeat; // at least 1
};

enum { SAMPLE_BENCH_ROWS = 6 };

struct sample_bench_result {
    char backend[160];
    struct {
        const char *what;
        double us, masked_us; // medians; masked: half of the vocabulary is allowed
    } rows[SAMPLE_BENCH_ROWS];
    double download_us; // of the logits: what a choice on the host would begin with
};

int sample_bench(const struct sample_bench_options *o, struct sample_bench_result *r, err *e);
