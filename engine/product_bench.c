// One run is a recording of the same product over many matrices, together much larger than any
// cache. They are measured in two ways: each with results of its own, so that a device may begin
// with the next while it ends one; and in turn, each adding to what the one before left, as in a
// layer, where nothing begins before all of that is there. Plain reading of as many bytes, at most
// 1 GiB, is measured in the same repetition. What is left out of a repetition is recording it.
#include "engine/product_bench.h"

#include "base/clock.h"
#include "base/median.h"
#include "base/mem.h"
#include "kernels/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t bytes_min = (uint64_t)2 << 30;
static const uint64_t read_bytes_min = 16u << 20, read_bytes_max = 1u << 30;
enum { MATRICES_MAX = 512, REPEAT_MAX = 1000, SIZE_MAX_ROWS = 1 << 20 };
enum order { APART, IN_TURN, N_ORDER };

struct bench {
    const struct k_ops *op;
    k_device *device;
    struct k_matrix w[MATRICES_MAX];
    int n_matrix, n_token;
    uint64_t matrix_bytes;
    float *x, *gain, *out;
    k_act *act;
    void *recording[N_ORDER];
    enum order order;                // of what is issued
    double *product[N_ORDER], *read; // [repeat]
};

static int read_type(const char *name, struct k_matrix *w, err *e)
{
    static const struct {
        const char *name;
        enum k_type type;
    } known[] = {{"fp8", K_E4M3}, {"bf16", K_BF16}, {"nvfp4", K_NVFP4}, {"mxfp4", K_MXFP4}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(name, known[i].name)) {
            w->type = known[i].type;
            return 0;
        }
    return err_set(e, ERR_USAGE, "weights: expected fp8, bf16, nvfp4 or mxfp4, found \"%s\"", name);
}

// Random bits that no type reads as NaN, and block scales of 1.
static int make_matrix(struct bench *b, struct k_matrix *w, uint64_t seed, err *e)
{
    uint64_t keep = w->type == K_BF16 ? 0x807f807f807f807f : 0x8787878787878787;
    uint64_t set = w->type == K_BF16 ? 0x3f003f003f003f00 : 0x3030303030303030;
    size_t n = (size_t)w->n_row * k_row_bytes(w->type, w->n_col), n_block = 0;
    bool fp4 = w->type == K_NVFP4 || w->type == K_MXFP4;
    w->data = b->op->alloc(b->device, n);
    if (fp4) {
        w->block = w->data; // for its size
        n_block = k_block_bytes(w);
        w->block = b->op->alloc(b->device, n_block);
    }
    if (!w->data || (fp4 && !w->block))
        return err_set(e, ERR_SYSTEM, "no memory for a matrix of %zu bytes", n + n_block);
    b->op->fill(b->device, (void *)w->data, n, seed, fp4 ? UINT64_MAX : keep, fp4 ? 0 : set);
    uint64_t one = w->type == K_NVFP4 ? 0x3838383838383838 : 0x7f7f7f7f7f7f7f7f;
    if (fp4) b->op->fill(b->device, (void *)w->block, n_block, 0, 0, one);
    b->op->arrange(b->device, w);
    b->matrix_bytes = n + n_block;
    return 0;
}

static size_t n_out(const struct bench *b) // of one product
{
    return (size_t)b->n_token * (size_t)b->w[0].n_row;
}

static int open_bench(struct bench *b, const struct product_bench_options *o, err *e)
{
    struct k_matrix w = {.n_row = o->n_row, .n_col = o->n_col};
    size_t n_in = (size_t)o->n_token * (size_t)o->n_col;
    if (read_type(o->weights, &w, e)) return -1;
    if (!k_ops_known(o->backend, e)) return -1;
    b->op = k_ops_find(o->backend);
    if (!(b->device = b->op->open(o->n_thread, e))) return -1;
    do {
        b->w[b->n_matrix] = w;
        if (make_matrix(b, &b->w[b->n_matrix], (uint64_t)b->n_matrix, e)) return -1;
        b->n_matrix++;
    } while (b->n_matrix < MATRICES_MAX && (uint64_t)b->n_matrix * b->matrix_bytes < bytes_min);
    b->n_token = o->n_token;
    b->x = b->op->alloc(b->device, n_in * sizeof *b->x);
    b->gain = b->op->alloc(b->device, (size_t)o->n_col * sizeof *b->gain);
    b->out = b->op->alloc(b->device, (size_t)b->n_matrix * n_out(b) * sizeof *b->out);
    b->act = b->op->act_new(b->device, o->n_token, o->n_col);
    if (!b->x || !b->gain || !b->out || !b->act)
        return err_set(e, ERR_SYSTEM, "no memory for %d tokens", o->n_token);
    // Numbers from 0.5 to 1 of either sign.
    b->op->fill(b->device, b->x, n_in * sizeof *b->x, 1, 0x807fffff807fffff, 0x3f0000003f000000);
    b->op->fill(b->device, b->gain, (size_t)o->n_col * sizeof *b->gain, 0, 0, 0x3f8000003f800000);
    for (int i = 0; i < N_ORDER; i++)
        b->product[i] = mem_new((size_t)o->repeat * sizeof *b->product[i]);
    b->read = mem_new((size_t)o->repeat * sizeof *b->read);
    return b->op->reserve(b->device, o->n_token, o->n_col, e);
}

static void close_bench(struct bench *b)
{
    if (b->device) {
        for (int i = 0; i < N_ORDER; i++) b->op->forget(b->device, b->recording[i]);
        b->op->act_free(b->device, b->act);
        b->op->release(b->device, b->x);
        b->op->release(b->device, b->gain);
        b->op->release(b->device, b->out);
        for (int i = 0; i < MATRICES_MAX; i++) {
            b->op->release(b->device, (void *)b->w[i].data);
            b->op->release(b->device, (void *)b->w[i].block);
        }
        b->op->close(b->device);
    }
    for (int i = 0; i < N_ORDER; i++) free(b->product[i]);
    free(b->read);
}

static void issue(void *context)
{
    struct bench *b = context;
    int n_col = b->w[0].n_col;
    b->op->norm(b->device, b->act, b->x, b->gain, b->n_token, n_col, 1e-6f);
    for (int i = 0; i < b->n_matrix; i++) {
        bool in_turn = b->order == IN_TURN;
        float *out = b->out + (in_turn ? 0 : (size_t)i * n_out(b));
        const struct k_product p = {.w = &b->w[i], .out = out, .add = in_turn};
        b->op->project(b->device, b->act, b->n_token, &p, 1);
    }
}

static double seconds_since(int64_t start)
{
    return (double)(clock_us() - start + 1) / 1e6;
}

static int measure_once(struct bench *b, int i, err *e)
{
    for (b->order = 0; b->order < N_ORDER; b->order++) {
        if (b->op->finish(b->device, e)) return -1;
        int64_t start = clock_us();
        b->op->replay(b->device, &b->recording[b->order], issue, b);
        if (b->op->finish(b->device, e)) return -1;
        b->product[b->order][i] = seconds_since(start) / b->n_matrix;
    }
    return 0;
}

static int measure(struct bench *b, const struct product_bench_options *o,
                   struct product_bench_result *r, err *e)
{
    uint64_t all = (uint64_t)b->n_matrix * b->matrix_bytes;
    size_t n = all < read_bytes_min ? read_bytes_min : all > read_bytes_max ? read_bytes_max : all;
    void *buffer = b->op->alloc(b->device, n);
    if (!buffer) return err_set(e, ERR_SYSTEM, "no memory for %zu bytes to read", n);
    b->op->fill(b->device, buffer, n, 1, UINT64_MAX, 0);
    int rc = measure_once(b, 0, e); // records
    for (int i = 0; !rc && i < o->repeat; i++) {
        rc = measure_once(b, i, e);
        int64_t start = clock_us();
        volatile uint64_t sum = b->op->read_all(b->device, buffer, n);
        (void)sum;
        b->read[i] = (double)n / seconds_since(start) / 1e9;
    }
    b->op->release(b->device, buffer);
    if (rc) return -1;
    snprintf(r->backend, sizeof r->backend, "%s", b->op->describe(b->device));
    r->us = median(b->product[APART], o->repeat) * 1e6;
    r->in_turn_us = median(b->product[IN_TURN], o->repeat) * 1e6;
    r->gbps = (double)b->matrix_bytes / 1e3 / r->us;
    r->read_gbps = median(b->read, o->repeat);
    r->ratio = r->gbps / r->read_gbps;
    r->in_turn_ratio = r->ratio * r->us / r->in_turn_us;
    return 0;
}

int product_bench(const struct product_bench_options *o, struct product_bench_result *r, err *e)
{
    struct bench *b = mem_new(sizeof *b);
    if (o->n_row < 1 || o->n_col < 32 || o->n_row > SIZE_MAX_ROWS || o->n_col > SIZE_MAX_ROWS ||
        o->n_col % 32 || o->n_token < 1 || o->n_token > 8 || o->repeat < 1 ||
        o->repeat > REPEAT_MAX) {
        free(b);
        return err_set(e, ERR_USAGE,
                       "kernel: expected 1 to 2^20 rows, as many columns in multiples of 32, 1 to "
                       "8 tokens and up to %d repetitions, found %d rows, %d columns, %d tokens "
                       "and %d repetitions",
                       REPEAT_MAX, o->n_row, o->n_col, o->n_token, o->repeat);
    }
    int rc = open_bench(b, o, e) || measure(b, o, r, e) ? -1 : 0;
    close_bench(b);
    free(b);
    return rc;
}
