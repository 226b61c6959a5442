// The cpu backend: which instruction set this machine has, and how each operation is divided over
// the threads. The arithmetic is in cpu_simd.h. Operations too small to be worth waking anyone for
// run in the calling thread.
#include "kernels/cpu_table.h"

#include "base/mem.h"
#include "kernels/composed.h"
#include "kernels/number.h"
#include "kernels/pool.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

enum {
    FEW_TOKENS = 4,        // up to here one product per token beats unpacking weights
    ITEM_BYTES = 48 << 10, // weights in one item of a product for one token
    SMALL_WORK = 1 << 14,  // elements that one thread handles alone
    ATTEND_TOGETHER = 4,   // tokens from which attention works on panels
    READ_ITEM_BYTES = 1 << 20,
    HUGE_PAGE_BYTES = 2 << 20,
};

struct k_device {
    const struct cpu_table *simd;
    pool *pool;
    char name[32];
    struct scratch *scratch; // [n_thread]
    pthread_mutex_t panels;  // held while `packed` is in use
    float *packed;           // [n_packed] the tokens of one matmul, in panels or arranged
    size_t n_packed;
};

#if defined(__x86_64__)
static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

static bool has_avx2(void)
{
    // Not every compiler's __builtin_cpu_supports knows F16C.
    unsigned a, b, c, d;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

static bool has_avx2_amd(void)
{
    return has_avx2() && __builtin_cpu_is("amd");
}
#endif

static bool always(void)
{
    return true;
}

// The best first.
static const struct {
    const struct cpu_table *table;
    bool (*is_supported)(void);
} tables[] = {
#if defined(__x86_64__)
    {&simd_avx512, has_avx512},
    {&simd_avx2_amd, has_avx2_amd},
    {&simd_avx2, has_avx2},
#elif defined(__aarch64__)
    {&simd_neon, always},
#endif
    {&simd_plain, always},
};

static void cpu_close(k_device *d)
{
    if (!d) return;
    pool_free(d->pool);
    pthread_mutex_destroy(&d->panels);
    free(d->scratch);
    free(d->packed);
    free(d);
}

// name NULL: the best this machine has.
static k_device *open_with(const char *name, int n_thread, err *e)
{
    k_device *d = mem_new(sizeof *d);
    for (size_t i = 0; !d->simd && i < sizeof tables / sizeof *tables; i++)
        if (tables[i].is_supported() && (!name || !strcmp(name, tables[i].table->name)))
            d->simd = tables[i].table;
    if (!d->simd) {
        free(d);
        err_set(e, ERR_INPUT, "backend: this CPU has no %s", name);
        return NULL;
    }
    pthread_mutex_init(&d->panels, NULL);
    snprintf(d->name, sizeof d->name, "cpu %s", d->simd->name);
    if (!(d->pool = pool_new(n_thread, e))) goto fail;
    d->scratch = aligned_alloc(64, (size_t)pool_size(d->pool) * sizeof *d->scratch);
    if (!d->scratch) {
        err_set(e, ERR_SYSTEM, "no memory for the scratch of %d threads", pool_size(d->pool));
        goto fail;
    }
    return d;
fail:
    cpu_close(d);
    return NULL;
}

static k_device *cpu_open(int n_thread, err *e)
{
    return open_with(NULL, n_thread, e);
}

static k_device *avx2_open(int n_thread, err *e)
{
    return open_with("avx2", n_thread, e);
}

static k_device *plain_open(int n_thread, err *e)
{
    return open_with("plain", n_thread, e);
}

static const char *cpu_describe(const k_device *d)
{
    return d->name;
}

static int cpu_n_thread(const k_device *d)
{
    return pool_size(d->pool);
}

// Large blocks come from mmap inside the allocator, zero already; asking for a multiple of the
// alignment is what aligned_alloc demands.
static void *cpu_alloc(k_device *d, size_t n_bytes)
{
    (void)d;
    size_t rounded;
    if (__builtin_add_overflow(n_bytes, (size_t)127, &rounded)) return NULL;
    char *raw = mem_try(rounded + sizeof(void *));
    if (!raw) return NULL;
    char *p = (char *)(((uintptr_t)raw + sizeof(void *) + 63) & ~(uintptr_t)63);
    if (n_bytes >= HUGE_PAGE_BYTES) {
        // A request, not a need: fewer translations for what is read from end to end.
        char *whole =
            (char *)(((uintptr_t)p + HUGE_PAGE_BYTES - 1) & ~(uintptr_t)(HUGE_PAGE_BYTES - 1));
        if (whole < p + n_bytes) madvise(whole, (size_t)(p + n_bytes - whole), MADV_HUGEPAGE);
    }
    memcpy(p - sizeof(void *), &raw, sizeof raw);
    return p;
}

static void cpu_release(k_device *d, void *p)
{
    (void)d;
    void *raw;
    if (!p) return;
    memcpy(&raw, (char *)p - sizeof(void *), sizeof raw);
    free(raw);
}

static void cpu_copy(k_device *d, void *to, const void *from, size_t n_bytes)
{
    (void)d;
    memcpy(to, from, n_bytes);
}

static const void *cpu_place(k_device *d, const void *host, size_t n_bytes)
{
    (void)d, (void)n_bytes;
    return host;
}

static size_t round_up(size_t n, size_t step)
{
    return (n + step - 1) / step * step;
}

// Room for n_token tokens in panels, or for a few arranged.
static size_t packed_size(const k_device *d, int n_token, int n_col)
{
    return round_up((size_t)n_token, (size_t)d->simd->panel) * round_up((size_t)n_col, STEP_MAX);
}

static int cpu_reserve(k_device *d, int n_token, int n_col, err *e)
{
    int rc = 0;
    size_t n = packed_size(d, n_token, n_col);
    pthread_mutex_lock(&d->panels);
    if (n > d->n_packed) {
        free(d->packed);
        d->packed = aligned_alloc(64, round_up(n * sizeof *d->packed, 64));
        d->n_packed = d->packed ? n : 0;
        if (!d->packed)
            rc = err_set(e, ERR_SYSTEM, "no memory for %d tokens of %d columns", n_token, n_col);
    }
    pthread_mutex_unlock(&d->panels);
    return rc;
}

// Products

struct product_job {
    k_device *d;
    const float *x; // [n_token, n_col]
    int n_token;
    const struct k_product *p;
    int n_product;
    int rows_per_item;
};

static int items_of(const struct product_job *j, const struct k_product *p)
{
    return (p->w->n_row + j->rows_per_item - 1) / j->rows_per_item;
}

// The items of all products of a call are numbered through.
static const struct k_product *find_item(const struct product_job *j, int *item)
{
    const struct k_product *p = j->p;
    while (*item >= items_of(j, p)) *item -= items_of(j, p++);
    return p;
}

static int count_items(const struct product_job *j)
{
    int n = 0;
    for (int i = 0; i < j->n_product; i++) n += items_of(j, &j->p[i]);
    return n;
}

static int min_int(int a, int b)
{
    return a < b ? a : b;
}

static size_t arranged_size(int n_col)
{
    return round_up((size_t)n_col, STEP_MAX);
}

static void run_product_one(void *arg, int item, int worker)
{
    const struct product_job *j = arg;
    (void)worker;
    struct k_product p = *find_item(j, &item);
    int row = item * j->rows_per_item, end = min_int(row + j->rows_per_item, p.w->n_row);
    for (int t = 0; t < j->n_token; t++, p.out += p.w->n_row)
        j->d->simd->product_one(&p, j->d->packed + (size_t)t * arranged_size(p.w->n_col), row, end);
}

static bool is_alike(const struct k_matrix *a, const struct k_matrix *b)
{
    return a->type == b->type && !a->block == !b->block;
}

// A few tokens: products of one type go together, as x is arranged for a type.
static void product_few(struct product_job *j)
{
    const struct k_matrix *w = j->p->w;
    const struct k_product *end = j->p + j->n_product;
    while (j->p < end) {
        w = j->p->w;
        j->n_product = 0;
        while (j->p + j->n_product < end && is_alike(j->p[j->n_product].w, w)) j->n_product++;
        size_t row_bytes = k_row_bytes(w->type, w->n_col);
        j->rows_per_item = (int)round_up((size_t)ITEM_BYTES / row_bytes + 1, 4);
        for (int t = 0; t < j->n_token; t++)
            j->d->simd->arrange(j->d->packed + (size_t)t * arranged_size(w->n_col),
                                j->x + (size_t)t * (size_t)w->n_col, w);
        pool_run(j->d->pool, count_items(j), run_product_one, j);
        j->p += j->n_product;
    }
}

static void run_pack(void *arg, int item, int worker)
{
    const struct product_job *j = arg;
    (void)worker;
    int panel = j->d->simd->panel, n_col = j->p->w->n_col, t = item * panel;
    j->d->simd->pack_panel(j->d->packed + (size_t)t * (size_t)n_col,
                           j->x + (size_t)t * (size_t)n_col, min_int(panel, j->n_token - t), n_col);
}

static void run_product_block(void *arg, int item, int worker)
{
    const struct product_job *j = arg;
    const struct k_product *p = find_item(j, &item);
    int row = item * j->rows_per_item, end = min_int(row + j->rows_per_item, p->w->n_row);
    j->d->simd->product_block(p, j->d->packed, j->n_token, row, end, &j->d->scratch[worker]);
}

static void product_many(struct product_job *j)
{
    int n_panel = (j->n_token + j->d->simd->panel - 1) / j->d->simd->panel;
    j->rows_per_item = BLOCK_ROWS;
    pool_run(j->d->pool, n_panel, run_pack, j);
    pool_run(j->d->pool, count_items(j), run_product_block, j);
}

static void cpu_matmul(k_device *d, const float *x, int n_token, const struct k_product *p,
                       int n_product)
{
    struct product_job j = {.d = d, .x = x, .n_token = n_token, .p = p, .n_product = n_product};
    pthread_mutex_lock(&d->panels);
    assert(n_token <= CPU_BATCH_MAX && packed_size(d, n_token, p->w->n_col) <= d->n_packed);
    if (n_token <= FEW_TOKENS)
        product_few(&j);
    else
        product_many(&j);
    pthread_mutex_unlock(&d->panels);
}

// Attention

struct attention_job {
    k_device *d;
    struct attention a;
    int heads_per_item; // when not in panels
};

static void run_attend_panel(void *arg, int item, int worker)
{
    const struct attention_job *j = arg;
    const struct cpu_table *simd = j->d->simd;
    int head = item % j->a.n_head, token = item / j->a.n_head * simd->panel;
    simd->attend_panel(&j->a, token, head, &j->d->scratch[worker]);
}

static void run_attend_one(void *arg, int item, int worker)
{
    const struct attention_job *j = arg;
    int n_part = j->a.n_head / j->heads_per_item;
    j->d->simd->attend_one(&j->a, item / n_part, item % n_part * j->heads_per_item,
                           j->heads_per_item, &j->d->scratch[worker]);
}

static void cpu_attention(k_device *d, float *out, const struct k_attend *at, int n_token)
{
    const struct k_cache *c = at->cache;
    int n_head = at->n_head;
    struct attention_job j = {.d = d,
                              .a = {.out = out,
                                    .q = at->q,
                                    .cache = c,
                                    .n_head = n_head,
                                    .pos = *at->pos,
                                    .n_token = n_token,
                                    .window = at->window ? at->window : INT_MAX,
                                    .sinks = at->sinks}};
    if (n_token >= ATTEND_TOGETHER) {
        int n_panel = (n_token + d->simd->panel - 1) / d->simd->panel;
        pool_run(d->pool, n_panel * n_head, run_attend_panel, &j);
        return;
    }
    // Heads that share keys stay together unless that leaves threads without work.
    bool together = c->n_kv_head * n_token >= pool_size(d->pool);
    j.heads_per_item = together ? n_head / c->n_kv_head : 1;
    pool_run(d->pool, n_token * n_head / j.heads_per_item, run_attend_one, &j);
}

// Operations on rows, each row by itself

struct row_job {
    k_device *d;
    float *out;
    const float *x, *y;
    const struct k_matrix *table;
    const int32_t *tokens;
    const double *inv_freq;
    int n_row, dim, n_head, pos, rows_per_item;
    float eps, scale;
    const struct k_gating *gating;
    void (*row)(const struct row_job *j, size_t r);
};

static void run_rows(void *arg, int item, int worker)
{
    const struct row_job *j = arg;
    (void)worker;
    int r = item * j->rows_per_item, end = min_int(r + j->rows_per_item, j->n_row);
    for (; r < end; r++) j->row(j, (size_t)r);
}

// `row_size` elements are touched per row.
static void for_rows(struct row_job *j, size_t row_size)
{
    j->rows_per_item = (int)(SMALL_WORK / (row_size + 1)) + 1;
    int n = (j->n_row + j->rows_per_item - 1) / j->rows_per_item;
    if (n > 1)
        pool_run(j->d->pool, n, run_rows, j);
    else
        run_rows(j, 0, 0);
}

static void embed_row(const struct row_job *j, size_t r)
{
    j->d->simd->unpack(j->out + r * (size_t)j->dim, j->table, j->tokens[r]);
}

static void cpu_embed(k_device *d, float *out, const struct k_matrix *table, const int32_t *tokens,
                      int n_token)
{
    struct row_job j = {.d = d,
                        .out = out,
                        .table = table,
                        .tokens = tokens,
                        .n_row = n_token,
                        .dim = table->n_col,
                        .row = embed_row};
    for_rows(&j, (size_t)table->n_col);
}

static void norm_row(const struct row_job *j, size_t r)
{
    size_t at = r * (size_t)j->dim;
    j->d->simd->rms_norm(j->out + at, j->x + at, j->y, j->dim, j->eps);
}

static void cpu_rms_norm(k_device *d, float *out, const float *x, const float *gain, int n_row,
                         int dim, float eps)
{
    struct row_job j = {.d = d,
                        .out = out,
                        .x = x,
                        .y = gain,
                        .n_row = n_row,
                        .dim = dim,
                        .eps = eps,
                        .row = norm_row};
    for_rows(&j, (size_t)dim);
}

static void rope_table_row(const struct row_job *j, size_t r)
{
    int half = j->dim / 2;
    float *out = j->out + r * (size_t)j->dim;
    for (int i = 0; i < half; i++) {
        double angle = ((double)j->pos + (double)r) * j->inv_freq[i];
        out[i] = (float)cos(angle) * j->scale;
        out[half + i] = (float)sin(angle) * j->scale;
    }
}

static void cpu_rope_table(k_device *d, float *out, const double *inv_freq, int n_half, float scale,
                           const int32_t *pos, int n_token)
{
    enum { SLOWNESS = 64 }; // a sine costs as much as that many plain elements
    struct row_job j = {.d = d,
                        .out = out,
                        .inv_freq = inv_freq,
                        .dim = 2 * n_half,
                        .scale = scale,
                        .pos = *pos,
                        .n_row = n_token,
                        .row = rope_table_row};
    for_rows(&j, (size_t)n_half * SLOWNESS);
}

static void rope_row(const struct row_job *j, size_t r)
{
    j->d->simd->rope(j->out + r * (size_t)(j->n_head * j->dim), j->x + r * (size_t)j->dim,
                     j->n_head, j->dim);
}

static void cpu_rope(k_device *d, float *x, const float *table, int n_token, int n_head,
                     int head_dim)
{
    struct row_job j = {.d = d,
                        .out = x,
                        .x = table,
                        .n_row = n_token,
                        .n_head = n_head,
                        .dim = head_dim,
                        .row = rope_row};
    for_rows(&j, (size_t)n_head * (size_t)head_dim);
}

static void store_bf16(uint16_t *to, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) to[i] = f32_to_bf16(x[i]);
}

static void cpu_kv_store(k_device *d, const struct k_cache *c, const float *k, const float *v,
                         const int32_t *pos, int n_token)
{
    size_t dim = (size_t)c->head_dim, n_scale = k_scale_bytes(c) / (size_t)c->n_kv_head;
    for (size_t t = 0; t < (size_t)n_token; t++)
        for (size_t h = 0; h < (size_t)c->n_kv_head; h++, k += dim, v += dim) {
            size_t at = (size_t)*pos + t, to = (h * (size_t)c->ctx_max + at) * dim;
            if (c->type == K_E4M3) {
                at += h * n_scale;
                c->k_scale[at] = d->simd->store_codes((unsigned char *)c->k + to, k, c->head_dim);
                c->v_scale[at] = d->simd->store_codes((unsigned char *)c->v + to, v, c->head_dim);
            } else if (c->type == K_BF16) {
                store_bf16((uint16_t *)c->k + to, k, dim);
                store_bf16((uint16_t *)c->v + to, v, dim);
            } else {
                memcpy((float *)c->k + to, k, dim * sizeof *k);
                memcpy((float *)c->v + to, v, dim * sizeof *v);
            }
        }
}

static void swiglu_row(const struct row_job *j, size_t r)
{
    size_t at = r * (size_t)j->dim;
    j->d->simd->swiglu(j->out + at, j->x + at, (size_t)j->dim, j->gating);
}

static void cpu_swiglu(k_device *d, float *gate, const float *up, int n_token, int dim,
                       const struct k_gating *how)
{
    struct row_job j = {.d = d,
                        .out = gate,
                        .x = up,
                        .n_row = n_token,
                        .dim = dim,
                        .gating = how ? how : &k_silu,
                        .row = swiglu_row};
    for_rows(&j, (size_t)dim);
}

static void cpu_sum_rows(k_device *d, float *out, const float *x, int n_row, int dim)
{
    (void)d;
    for (int r = 0; r < n_row; r++)
        for (int i = 0; i < dim; i++) out[i] += x[(size_t)r * (size_t)dim + (size_t)i];
}

// Plain reading

struct read_job {
    k_device *d;
    const char *p;
    size_t n_bytes;
    uint64_t sum;
};

static void run_read(void *arg, int item, int worker)
{
    struct read_job *j = arg;
    (void)worker;
    size_t at = (size_t)item * READ_ITEM_BYTES, left = j->n_bytes - at;
    uint64_t sum = j->d->simd->read_all(j->p + at, left < READ_ITEM_BYTES ? left : READ_ITEM_BYTES);
    __atomic_fetch_add(&j->sum, sum, __ATOMIC_RELAXED);
}

static uint64_t cpu_read_all(k_device *d, const void *p, size_t n_bytes)
{
    struct read_job j = {.d = d, .p = p, .n_bytes = n_bytes};
    pool_run(d->pool, (int)((n_bytes + READ_ITEM_BYTES - 1) / READ_ITEM_BYTES), run_read, &j);
    return j.sum;
}

// The largest of 64, NaN left out: eight running maxima, so that the compiler takes a vector.
static float largest_of_64(const float *x)
{
    float m[8], best = -INFINITY;
    for (int k = 0; k < 8; k++) m[k] = -INFINITY;
    for (int i = 0; i < 64; i += 8)
        for (int k = 0; k < 8; k++) m[k] = x[i + k] > m[k] ? x[i + k] : m[k];
    for (int k = 0; k < 8; k++) best = m[k] > best ? m[k] : best;
    return best;
}

// One pass over the mask's words: what is not allowed is not looked at, and 64 that all are, and
// hold nothing larger, are passed over at once.
static int32_t cpu_argmax(k_device *d, const float *x, int n, const uint64_t *mask)
{
    (void)d;
    int32_t best = -1;
    float largest = -INFINITY;
    for (int at = 0; at < n; at += 64) {
        uint64_t bits = mask ? mask[at / 64] : UINT64_MAX;
        if (n - at < 64) bits &= (1ull << (n - at)) - 1;
        if (bits == UINT64_MAX && best >= 0 && largest_of_64(x + at) <= largest) continue;
        for (; bits; bits &= bits - 1) {
            int i = at + __builtin_ctzll(bits);
            float value = x[i] == x[i] ? x[i] : -INFINITY;
            if (best >= 0 && value <= largest) continue;
            best = i;
            largest = value;
        }
    }
    return best;
}

static int32_t cpu_sample(k_device *d, const float *x, int n, const uint64_t *mask,
                          const struct k_sampling *how, uint64_t *room)
{
    return how->temperature > 0 ? cpu_draw(x, n, mask, how, room) : cpu_argmax(d, x, n, mask);
}

DEFINE_COMPOSED(k_cpu)

#define CPU_OPERATIONS                                                                             \
    .kv_type = K_F32, .batch_max = CPU_BATCH_MAX, .close = cpu_close, .describe = cpu_describe,    \
    .n_thread = cpu_n_thread, .alloc = cpu_alloc, .release = cpu_release, .upload = cpu_copy,      \
    .download = cpu_copy, .place = cpu_place, .reserve = cpu_reserve, .embed = cpu_embed,          \
    .rms_norm = cpu_rms_norm, .matmul = cpu_matmul, .rope_table = cpu_rope_table,                  \
    .rope = cpu_rope, .kv_store = cpu_kv_store, .attention = cpu_attention, .swiglu = cpu_swiglu,  \
    .sum_rows = cpu_sum_rows, .argmax = cpu_argmax, .sample = cpu_sample,                          \
    .read_all = cpu_read_all, COMPOSED_OPERATIONS

const struct k_ops k_cpu = {.name = "cpu", .open = cpu_open, CPU_OPERATIONS};
const struct k_ops k_cpu_avx2 = {.name = "cpu-avx2", .open = avx2_open, CPU_OPERATIONS};
const struct k_ops k_cpu_plain = {.name = "cpu-plain", .open = plain_open, CPU_OPERATIONS};
