// Logits as models have them: most of the vocabulary around one value, a few tokens far above. Each
// repetition is a random word of its own; what a mask allows is random, too.
#include "engine/sample_bench.h"

#include "base/clock.h"
#include "base/median.h"
#include "base/mem.h"
#include "base/rng.h"
#include "kernels/kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { REPEAT_MAX = 100000 };

static const struct {
    const char *what;
    struct k_sampling how;
} settings[SAMPLE_BENCH_ROWS] = {
    {"greedy", {.temperature = 0}},
    {"temperature 1", {.temperature = 1, .top_p = 1}},
    {"top-p 0.95", {.temperature = 0.7f, .top_p = 0.95f}},
    {"top-k 40, top-p 0.95", {.temperature = 0.7f, .top_p = 0.95f, .top_k = 40}},
    {"min-p 0.05", {.temperature = 1, .top_p = 1, .min_p = 0.05f}},
    {"temperature 5", {.temperature = 5, .top_p = 0.99f}},
};

struct bench {
    const struct k_ops *op;
    k_device *device;
    float *x, *host; // [n]
    uint64_t *mask, *room;
    double *us; // [repeat]
    int n, repeat;
    rng random;
};

static double median_us(struct bench *b, struct k_sampling how, const uint64_t *mask)
{
    for (int i = -1; i < b->repeat; i++) {
        how.word = rng_u64(&b->random);
        int64_t start = clock_us();
        b->op->sample(b->device, b->x, b->n, mask, &how, b->room);
        if (i >= 0) b->us[i] = (double)(clock_us() - start);
    }
    return median(b->us, b->repeat);
}

static int measure(struct bench *b, struct sample_bench_result *r, err *e)
{
    for (int i = 0; i < SAMPLE_BENCH_ROWS; i++) {
        r->rows[i].what = settings[i].what;
        r->rows[i].us = median_us(b, settings[i].how, NULL);
        r->rows[i].masked_us = median_us(b, settings[i].how, b->mask);
    }
    for (int i = 0; i < b->repeat; i++) {
        int64_t start = clock_us();
        b->op->download(b->device, b->host, b->x, (size_t)b->n * sizeof *b->host);
        b->us[i] = (double)(clock_us() - start);
    }
    r->download_us = median(b->us, b->repeat);
    snprintf(r->backend, sizeof r->backend, "%s", b->op->describe(b->device));
    return b->op->finish(b->device, e);
}

int sample_bench(const struct sample_bench_options *o, struct sample_bench_result *r, err *e)
{
    struct bench b = {.n = o->n_vocab, .repeat = o->repeat, .random = rng_seed(1)};
    if (o->n_vocab < 1 || o->n_vocab > K_SAMPLE_MAX || o->repeat < 1 || o->repeat > REPEAT_MAX)
        return err_set(e, ERR_USAGE, "sample: expected 1 to %d tokens and up to %d repetitions",
                       K_SAMPLE_MAX, REPEAT_MAX);
    if (!k_ops_known(o->backend, e)) return -1;
    b.op = k_ops_find(o->backend);
    if (!(b.device = b.op->open(0, e))) return -1;
    size_t n = (size_t)b.n, n_word = (n + 63) / 64;
    b.x = b.op->alloc(b.device, n * sizeof *b.x);
    b.host = mem_new(n * sizeof *b.host);
    b.mask = mem_new(n_word * sizeof *b.mask);
    b.room = mem_new(n * sizeof *b.room);
    b.us = mem_new((size_t)o->repeat * sizeof *b.us);
    for (size_t i = 0; i < n; i++)
        b.host[i] = (float)(2 * rng_normal(&b.random) + (i % 1000 ? 0 : 8 * rng_unit(&b.random)));
    for (size_t i = 0; i < n_word; i++) b.mask[i] = rng_u64(&b.random);
    int rc = -1;
    if (b.x) {
        b.op->upload(b.device, b.x, b.host, n * sizeof *b.x);
        rc = b.op->finish(b.device, e) || measure(&b, r, e) ? -1 : 0;
    } else {
        err_set(e, ERR_SYSTEM, "no memory for %d logits", b.n);
    }
    b.op->release(b.device, b.x);
    b.op->close(b.device);
    void *all[] = {b.host, b.mask, b.room, b.us};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    return rc;
}
