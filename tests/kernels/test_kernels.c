// If this fails, a fast operation gives other numbers than its definition. Every operation of every
// instance is compared with `ref` on random inputs: all weight types, shapes that are no multiple
// of anything, outputs filled with NaN before, and guards behind them. Everything passes through
// the instance's own memory, whether that is the host's or a GPU's.
//
// Tolerances are relative to the size of the terms, not of the result: a sum of n products in f32
// is off by at most about n * 2^-24 times the sum of their sizes, in practice sqrt(n) of that; the
// limit is 2e-6 times the sum of sizes. Operations without long sums get 2e-6 of their own size.
// Fused operations of a GPU hand each other f16 (few tokens: 1e-3 of the terms) or bf16 (many:
// 1e-2), and keep keys and values in bf16, which the reference then gets, too. Keys and values in
// e4m3 are the same bits in every instance.
#include "test.h"

#include "base/mem.h"
#include "base/rng.h"
#include "kernels/kernels.h"
#include "kernels/number.h"
#include "short_x.h"

#include <math.h>

enum { GUARD = 16 };
static const float guard_value = 12345.0f;

struct pair {
    const struct k_ops *fast;
    k_device *fast_device, *ref_device;
    enum k_type kv_type; // of the caches that are tested
    rng random;
};

// Of the larger cases one in so many is tried: under a checker of memory or races all would take
// hours.
static size_t keep_one_in = 1;

static bool left_out(struct pair *x)
{
    return keep_one_in > 1 && rng_below(&x->random, keep_one_in);
}

// The instance's copy of n host floats, guard and all when `guarded`; and back.
static float *sent(struct pair *x, const float *host, size_t n)
{
    float *p = x->fast->alloc(x->fast_device, n * sizeof *p);
    assert_non_null(p);
    x->fast->upload(x->fast_device, p, host, n * sizeof *p);
    return p;
}

// Into host, which has room for n, and gives the instance's copy back.
static void fetched(struct pair *x, float *host, float *p, size_t n)
{
    err e = {0};
    if (x->fast->finish(x->fast_device, &e)) fail_msg("%s", e.msg);
    x->fast->download(x->fast_device, host, p, n * sizeof *p);
    x->fast->release(x->fast_device, p);
}

static void dropped(struct pair *x, const void *p)
{
    x->fast->release(x->fast_device, (void *)p);
}

static float *floats(struct pair *x, size_t n, double scale)
{
    float *p = mem_new((n + 1) * sizeof *p);
    for (size_t i = 0; i < n; i++) p[i] = (float)(rng_normal(&x->random) * scale);
    return p;
}

static float *poisoned(size_t n)
{
    float *p = mem_new((n + GUARD) * sizeof *p);
    for (size_t i = 0; i < n + GUARD; i++) p[i] = i < n ? NAN : guard_value;
    return p;
}

static float *copy_floats(const float *from, size_t n)
{
    float *p = poisoned(n);
    memcpy(p, from, n * sizeof *p);
    return p;
}

// size[i] (NULL: the reference itself) is what an error is relative to.
static void check_within(const char *what, const float *fast, const float *ref, const float *size,
                         size_t n, double relative)
{
    for (size_t i = 0; i < n; i++) {
        double limit = relative * fabs((double)(size ? size[i] : ref[i])) + 1e-30;
        if (!(fabs((double)fast[i] - (double)ref[i]) <= limit))
            fail_msg("%s: element %zu of %zu: %g, reference %g, limit %g", what, i, n,
                     (double)fast[i], (double)ref[i], limit);
    }
    for (size_t i = n; i < n + GUARD; i++)
        if (fast[i] != guard_value) fail_msg("%s: wrote behind its output", what);
}

static void check_close(const char *what, const float *fast, const float *ref, const float *size,
                        size_t n)
{
    check_within(what, fast, ref, size, n, 2e-6);
}

static size_t pick(struct pair *x, size_t low, size_t high)
{
    return low + rng_below(&x->random, high - low + 1);
}

// Weights

// One random code of a byte or more.
static void random_code(struct pair *x, enum k_type type, unsigned char *to)
{
    float v = (float)rng_normal(&x->random);
    uint32_t bits = f32_bits(v);
    uint16_t half = (uint16_t)(rng_u64(&x->random) & 0xbfff); // any f16 below 2, subnormals too
    uint16_t bf16 = f32_to_bf16(v);
    uint8_t code = (uint8_t)rng_u64(&x->random);
    if (type == K_E4M3 && e4m3_is_nan(code)) code ^= 0x40;
    const void *from[] = {[K_F32] = &bits,  [K_F16] = &half,   [K_BF16] = &bf16,
                          [K_E4M3] = &code, [K_NVFP4] = &code, [K_MXFP4] = &code};
    memcpy(to, from[type], k_row_bytes(type, 1));
}

static void *random_weights(struct pair *x, enum k_type type, size_t n_row, size_t n_col)
{
    size_t code_bytes = k_row_bytes(type, 1), n_bytes = n_row * k_row_bytes(type, (int)n_col);
    unsigned char *p = mem_new(n_bytes + 1);
    for (size_t i = 0; i < n_bytes; i += code_bytes) random_code(x, type, p + i);
    return p;
}

// Columns of the FP4 types are rounded up to whole blocks.
static struct k_matrix random_matrix(struct pair *x, enum k_type type, size_t n_row, size_t n_col)
{
    struct k_matrix w = {.type = type, .n_row = (int)n_row, .n_col = (int)n_col};
    w.data = random_weights(x, type, n_row, n_col);
    if (type == K_NVFP4 || type == K_MXFP4 || (type == K_E4M3 && rng_below(&x->random, 2))) {
        w.block = w.data; // for its size
        size_t n = k_block_bytes(&w);
        unsigned char *block = mem_new(n + 4);
        for (size_t i = 0; i < n; i++) // nvfp4: any scale, subnormals too; mxfp4: 2^-8 .. 2^7
            block[i] = (uint8_t)(type == K_NVFP4 ? rng_below(&x->random, 0x7f)
                                                 : 119 + rng_below(&x->random, 16));
        for (size_t i = 0; type == K_E4M3 && i < n / 4; i++)
            ((float *)block)[i] = (float)(rng_normal(&x->random) * 0.1);
        w.block = block;
    }
    if (type == K_E4M3 || rng_below(&x->random, 2)) w.scale = floats(x, n_row, 0.01);
    return w;
}

static enum k_type random_type(struct pair *x, size_t n_col)
{
    enum k_type type = (enum k_type)rng_below(&x->random, K_N_TYPE);
    if ((type == K_NVFP4 && n_col % K_NVFP4_BLOCK) || (type == K_MXFP4 && n_col % K_MXFP4_BLOCK))
        return K_E4M3;
    return type;
}

static void free_matrix(struct k_matrix *w)
{
    free((void *)w->data);
    free((void *)w->block);
    free((void *)w->scale);
}

// Block scales in the instance's memory; those of a row begin where it wants them to.
static void send_blocks(struct pair *x, struct k_matrix *s, const struct k_matrix *w)
{
    k_device *d = x->fast_device;
    size_t n_bytes = k_block_bytes(w), align = (size_t)x->fast->block_align;
    void *raw = x->fast->alloc(d, n_bytes);
    x->fast->upload(d, raw, w->block, n_bytes);
    s->block = raw;
    if (w->type == K_E4M3 || k_block_step(w) % align == 0) return;
    s->block_step = (k_block_step(w) + align - 1) / align * align;
    s->block = x->fast->alloc(d, k_block_bytes(s));
    x->fast->spread(d, (void *)s->block, s->block_step, raw, k_block_step(w), (size_t)w->n_row);
    dropped(x, raw);
}

// The matrix in the instance's memory, as it came; its scales.
static struct k_matrix sent_bytes(struct pair *x, const struct k_matrix *w)
{
    struct k_matrix s = *w;
    size_t n_bytes = (size_t)w->n_row * k_row_bytes(w->type, w->n_col);
    s.data = x->fast->alloc(x->fast_device, n_bytes + K_BEHIND);
    x->fast->upload(x->fast_device, (void *)s.data, w->data, n_bytes);
    if (w->block) send_blocks(x, &s, w);
    if (w->scale) s.scale = sent(x, w->scale, (size_t)w->n_row);
    return s;
}

static struct k_matrix sent_matrix(struct pair *x, const struct k_matrix *w)
{
    struct k_matrix s = sent_bytes(x, w);
    x->fast->arrange(x->fast_device, &s);
    return s;
}

// The even and the odd rows of an FP4 matrix as two of half as many, in its memory.
static void split_rows(const struct k_matrix *whole, struct k_matrix *even, struct k_matrix *odd)
{
    *even = *whole;
    even->n_row /= 2;
    even->data_step = 2 * k_data_step(whole);
    even->block_step = 2 * k_block_step(whole);
    *odd = *even;
    odd->data = (const char *)whole->data + k_data_step(whole);
    odd->block = (const char *)whole->block + k_block_step(whole);
}

static void drop_matrix(struct pair *x, struct k_matrix *w)
{
    dropped(x, w->data);
    dropped(x, w->block);
    dropped(x, w->scale);
}

// |x| |W|^T |scale| + |bias| + |old|: what the error of each output is relative to.
static float *term_sizes(struct pair *x, const struct k_matrix *w, const float *in, size_t n_token,
                         const float *bias, const float *old)
{
    err e = {0};
    size_t n_row = (size_t)w->n_row, n_col = (size_t)w->n_col;
    float *rows = mem_new(n_row * n_col * sizeof *rows),
          *out = mem_new(n_token * n_row * sizeof *out);
    float *in_size = mem_new(n_token * n_col * sizeof *in_size);
    int32_t *ids = mem_new(n_row * sizeof *ids);
    for (size_t r = 0; r < n_row; r++) ids[r] = (int32_t)r;
    assert_int_equal(k_ref.reserve(x->ref_device, (int)n_token, (int)n_col, &e), 0);
    k_ref.embed(x->ref_device, rows, w, ids, (int)n_row);
    for (size_t i = 0; i < n_row * n_col; i++) rows[i] = fabsf(rows[i]);
    for (size_t i = 0; i < n_token * n_col; i++) in_size[i] = fabsf(in[i]);
    struct k_matrix size = {.type = K_F32, .n_row = w->n_row, .n_col = w->n_col, .data = rows};
    struct k_product p = {.w = &size, .out = out};
    k_ref.matmul(x->ref_device, in_size, (int)n_token, &p, 1);
    for (size_t i = 0; i < n_token * n_row; i++)
        out[i] += (bias ? fabsf(bias[i % n_row]) : 0) + (old ? fabsf(old[i]) : 0);
    free(rows);
    free(in_size);
    free(ids);
    return out;
}

// Up to three products of one input, of mixed types, with and without bias and adding.
struct products {
    struct k_matrix w[3], sent_w[3];
    struct k_product fast[3], ref[3];
    float *host[3], *size[3];
    int n;
};

static void make_products(struct pair *x, struct products *s, const float *in, size_t n_token,
                          size_t n_col)
{
    err e = {0};
    assert_int_equal(x->fast->reserve(x->fast_device, (int)n_token, (int)n_col, &e), 0);
    assert_int_equal(k_ref.reserve(x->ref_device, (int)n_token, (int)n_col, &e), 0);
    s->n = (int)pick(x, 1, 3);
    for (int i = 0; i < s->n; i++) {
        s->w[i] = random_matrix(x, random_type(x, n_col), pick(x, 1, 90), n_col);
        size_t n_row = (size_t)s->w[i].n_row, n_out = n_token * n_row;
        s->ref[i] = (struct k_product){.w = &s->w[i], .add = rng_below(&x->random, 2)};
        if (rng_below(&x->random, 2)) s->ref[i].bias = floats(x, n_row, 1);
        float *old = s->ref[i].add ? floats(x, n_out, 1) : NULL;
        s->host[i] = old ? copy_floats(old, n_out) : poisoned(n_out);
        s->ref[i].out = old ? copy_floats(old, n_out) : poisoned(n_out);
        s->size[i] = term_sizes(x, &s->w[i], in, n_token, s->ref[i].bias, old);
        s->sent_w[i] = sent_matrix(x, &s->w[i]);
        s->fast[i] = s->ref[i];
        s->fast[i].w = &s->sent_w[i];
        s->fast[i].out = sent(x, s->host[i], n_out + GUARD);
        if (s->ref[i].bias) s->fast[i].bias = sent(x, s->ref[i].bias, n_row);
        free(old);
    }
}

static void check_products(struct pair *x, struct products *s, const char *what, size_t n_token,
                           double limit)
{
    for (int i = 0; i < s->n; i++) {
        char text[128];
        size_t n_out = n_token * (size_t)s->w[i].n_row;
        fetched(x, s->host[i], s->fast[i].out, n_out + GUARD);
        snprintf(text, sizeof text, "%s %s %s%s [%d, %d] x %zu", x->fast->name, what,
                 k_type_name(s->w[i].type), s->w[i].block ? " in blocks" : "", s->w[i].n_row,
                 s->w[i].n_col, n_token);
        check_within(text, s->host[i], s->ref[i].out, s->size[i], n_out, limit);
        drop_matrix(x, &s->sent_w[i]);
        dropped(x, s->fast[i].bias);
        free(s->host[i]);
        free(s->ref[i].out);
        free((void *)s->ref[i].bias);
        free(s->size[i]);
        free_matrix(&s->w[i]);
    }
}

static void check_matmul(struct pair *x, size_t n_token, size_t n_col)
{
    if (left_out(x)) return;
    struct products s;
    float *in = floats(x, n_token * n_col, 1);
    make_products(x, &s, in, n_token, n_col);
    float *sent_in = sent(x, in, n_token * n_col);
    x->fast->matmul(x->fast_device, sent_in, (int)n_token, s.fast, s.n);
    k_ref.matmul(x->ref_device, in, (int)n_token, s.ref, s.n);
    check_products(x, &s, "matmul", n_token, 2e-6);
    dropped(x, sent_in);
    free(in);
}

static void test_matmul(struct pair *x)
{
    static const size_t tokens[] = {1, 2, 4, 5, 16, 17, 33, 100};
    static const size_t cols[] = {1, 7, 8, 31, 32, 33, 64, 100, 255, 512, 1023, 1025, 2100};
    for (size_t t = 0; t < sizeof tokens / sizeof *tokens; t++)
        for (size_t c = 0; c < sizeof cols / sizeof *cols; c++) check_matmul(x, tokens[t], cols[c]);
    check_matmul(x, (size_t)x->fast->batch_max, 96);
    for (int i = 0; i < 40; i++) check_matmul(x, pick(x, 1, 40), pick(x, 1, 300));
}

// Every e4m3 code in every lane: a row holds one code throughout, x is one-hot.
static void test_every_code_in_every_lane(struct pair *x)
{
    enum { N_COL = 130 };
    err e = {0};
    unsigned char *codes = mem_new(256 * N_COL);
    float in[N_COL] = {0}, *out = poisoned(256);
    for (int c = 0; c < 256; c++) memset(codes + c * N_COL, e4m3_is_nan((uint8_t)c) ? 0 : c, N_COL);
    struct k_matrix w = {.type = K_E4M3, .n_row = 256, .n_col = N_COL, .data = codes};
    struct k_matrix sent_w = sent_matrix(x, &w);
    assert_int_equal(x->fast->reserve(x->fast_device, 1, N_COL, &e), 0);
    for (int lane = 0; lane < N_COL; lane++) {
        in[lane] = 1;
        struct k_product p = {.w = &sent_w, .out = sent(x, out, 256)};
        float *sent_in = sent(x, in, N_COL);
        x->fast->matmul(x->fast_device, sent_in, 1, &p, 1);
        fetched(x, out, p.out, 256);
        dropped(x, sent_in);
        for (int c = 0; c < 256; c++)
            assert_true(e4m3_is_nan((uint8_t)c) ? out[c] == 0 : out[c] == e4m3_to_f32((uint8_t)c));
        in[lane] = 0;
    }
    drop_matrix(x, &sent_w);
    free(codes);
    free(out);
}

static void test_embed(struct pair *x)
{
    for (int type = 0; type < K_N_TYPE; type++)
        for (int i = 0; i < 10; i++) {
            size_t dim = pick(x, 1, 700), n = pick(x, 1, 60);
            if (type == K_NVFP4 || type == K_MXFP4) dim = (dim + 31) / 32 * 32;
            struct k_matrix w = random_matrix(x, (enum k_type)type, 150, dim);
            struct k_matrix sent_w = sent_matrix(x, &w);
            int32_t ids[60], *sent_ids = x->fast->alloc(x->fast_device, sizeof ids);
            for (size_t t = 0; t < n; t++) ids[t] = (int32_t)rng_below(&x->random, 150);
            x->fast->upload(x->fast_device, sent_ids, ids, sizeof ids);
            float *fast = poisoned(n * dim), *ref = poisoned(n * dim);
            float *out = sent(x, fast, n * dim + GUARD);
            x->fast->embed(x->fast_device, out, &sent_w, sent_ids, (int)n);
            k_ref.embed(x->ref_device, ref, &w, ids, (int)n);
            fetched(x, fast, out, n * dim + GUARD);
            check_close("embed", fast, ref, NULL, n * dim);
            drop_matrix(x, &sent_w);
            dropped(x, sent_ids);
            free(fast);
            free(ref);
            free_matrix(&w);
        }
}

static void test_rms_norm(struct pair *x)
{
    for (int i = 0; i < 40; i++) {
        size_t dim = pick(x, 1, 1200), n = pick(x, 1, 50);
        float *in = floats(x, n * dim, pow(10, (double)pick(x, 0, 6) - 3)),
              *gain = floats(x, dim, 1);
        float *fast = poisoned(n * dim), *ref = poisoned(n * dim), *same = copy_floats(in, n * dim);
        float *sent_in = sent(x, in, n * dim), *sent_gain = sent(x, gain, dim);
        float *out = sent(x, fast, n * dim + GUARD), *place = sent(x, same, n * dim + GUARD);
        x->fast->rms_norm(x->fast_device, out, sent_in, sent_gain, (int)n, (int)dim, 1e-6f);
        x->fast->rms_norm(x->fast_device, place, place, sent_gain, (int)n, (int)dim, 1e-6f);
        k_ref.rms_norm(x->ref_device, ref, in, gain, (int)n, (int)dim, 1e-6f);
        fetched(x, fast, out, n * dim + GUARD);
        fetched(x, same, place, n * dim + GUARD);
        check_close("rms_norm", fast, ref, NULL, n * dim);
        check_close("rms_norm in place", same, ref, NULL, n * dim);
        dropped(x, sent_in);
        dropped(x, sent_gain);
        free(in);
        free(gain);
        free(fast);
        free(ref);
        free(same);
    }
}

static int32_t *sent_position(struct pair *x, int32_t pos)
{
    int32_t *p = x->fast->alloc(x->fast_device, sizeof *p);
    x->fast->upload(x->fast_device, p, &pos, sizeof pos);
    return p;
}

static void check_rope(struct pair *x, size_t half, size_t n_head, size_t n, int32_t pos)
{
    if (left_out(x)) return;
    double inv_freq[70], *sent_freq = x->fast->alloc(x->fast_device, sizeof inv_freq);
    for (size_t k = 0; k < half; k++) inv_freq[k] = pow(1e4, -(double)k / (double)half);
    x->fast->upload(x->fast_device, sent_freq, inv_freq, half * sizeof *inv_freq);
    int32_t *sent_pos = sent_position(x, pos);
    size_t n_table = 2 * n * half, count = n_table * n_head;
    float *fast_table = poisoned(n_table), *table = poisoned(n_table);
    float *out = sent(x, fast_table, n_table + GUARD);
    float scale = pick(x, 0, 1) ? 1 : 1.3465736f;
    x->fast->rope_table(x->fast_device, out, sent_freq, (int)half, scale, sent_pos, (int)n);
    k_ref.rope_table(x->ref_device, table, inv_freq, (int)half, scale, &pos, (int)n);
    fetched(x, fast_table, out, n_table + GUARD);
    for (size_t k = 0; k < n_table; k++) // near 0 a cosine's last bit is that of its angle
        if (fabsf(table[k]) < 1e-4f && fabsf(fast_table[k] - table[k]) < 1e-9f)
            fast_table[k] = table[k];
    check_close("rope_table", fast_table, table, NULL, n_table);

    float *in = floats(x, count, 1), *size = mem_new(count * sizeof *size);
    float *fast = copy_floats(in, count), *ref = copy_floats(in, count);
    for (size_t k = 0; k < count; k++) { // a rotation's error is relative to the pair's length
        size_t partner = k / half % 2 ? k - half : k + half;
        size[k] = hypotf(in[k], in[partner]);
    }
    float *sent_table = sent(x, table, n_table), *turned = sent(x, fast, count + GUARD);
    x->fast->rope(x->fast_device, turned, sent_table, (int)n, (int)n_head, (int)(2 * half));
    k_ref.rope(x->ref_device, ref, table, (int)n, (int)n_head, (int)(2 * half));
    fetched(x, fast, turned, count + GUARD);
    check_close("rope", fast, ref, size, count);
    dropped(x, sent_table);
    dropped(x, sent_freq);
    dropped(x, sent_pos);
    free(fast_table);
    free(table);
    free(in);
    free(size);
    free(fast);
    free(ref);
}

static void test_rope(struct pair *x)
{
    for (int i = 0; i < 40; i++)
        check_rope(x, pick(x, 1, 70), pick(x, 1, 9), pick(x, 1, 40), (int32_t)pick(x, 0, 100000));
}

// The types of cache that the instance has.
static size_t cache_types(const struct pair *x, enum k_type types[3])
{
    static const char *const names[] = {"f32", "bf16", "fp8"};
    err e = {0};
    size_t n = 0;
    for (int i = 0; i < 3; i++)
        if (!k_kv_type(x->fast, names[i], &types[n], &e)) n++;
    assert_int_equal(n, x->fast->kv_type == K_F32 ? 3 : 2);
    return n;
}

// A cache of the tested type for the instance, and for ref, whose holds NaNs where it can.
static void new_caches(struct pair *x, struct k_cache *fast, struct k_cache *ref, size_t n_kv,
                       size_t dim, size_t ctx)
{
    const struct k_ops *ops[] = {x->fast, &k_ref};
    k_device *devices[] = {x->fast_device, x->ref_device};
    struct k_cache *caches[] = {fast, ref};
    for (int i = 0; i < 2; i++) {
        struct k_cache *c = caches[i];
        *c = (struct k_cache){
            .type = x->kv_type, .n_kv_head = (int)n_kv, .head_dim = (int)dim, .ctx_max = (int)ctx};
        c->k = ops[i]->alloc(devices[i], k_cache_bytes(c));
        c->v = ops[i]->alloc(devices[i], k_cache_bytes(c));
        c->k_scale = ops[i]->alloc(devices[i], k_scale_bytes(c));
        c->v_scale = ops[i]->alloc(devices[i], k_scale_bytes(c));
        assert_true(c->k && c->v && c->k_scale && c->v_scale);
    }
    if (ref->type == K_E4M3) return;
    memset(ref->k, 0xff, k_cache_bytes(ref)); // NaN in f32 and in bf16
    memset(ref->v, 0xff, k_cache_bytes(ref));
}

static void drop_caches(struct pair *x, const struct k_cache *fast, const struct k_cache *ref)
{
    void *mine[] = {fast->k, fast->v, fast->k_scale, fast->v_scale};
    void *other[] = {ref->k, ref->v, ref->k_scale, ref->v_scale};
    for (int i = 0; i < 4; i++) {
        x->fast->release(x->fast_device, mine[i]);
        k_ref.release(x->ref_device, other[i]);
    }
}

static void check_bytes(struct pair *x, const char *what, const void *fast, const void *ref,
                        size_t n)
{
    unsigned char *host = mem_new(n + 1);
    x->fast->download(x->fast_device, host, fast, n);
    for (size_t i = 0; i < n; i++)
        if (host[i] != ((const unsigned char *)ref)[i])
            fail_msg("%s, %s: byte %zu is %02x, reference %02x", x->fast->name, what, i, host[i],
                     ((const unsigned char *)ref)[i]);
    free(host);
}

static float cached(const struct pair *x, const void *values, size_t i)
{
    return x->kv_type == K_BF16 ? bf16_to_f32(((const uint16_t *)values)[i])
                                : ((const float *)values)[i];
}

static void check_values(struct pair *x, const void *fast, const void *ref, size_t n)
{
    size_t n_bytes = k_row_bytes(x->kv_type, (int)n);
    void *host = mem_new(n_bytes);
    x->fast->download(x->fast_device, host, fast, n_bytes);
    for (size_t i = 0; i < n; i++) {
        float mine = cached(x, host, i), want = cached(x, ref, i);
        if (!isnan(want) && mine != want)
            fail_msg("cache: element %zu is %g, reference %g", i, (double)mine, (double)want);
    }
    free(host);
}

// The instance's cache and ref's hold the same.
static void check_caches(struct pair *x, const struct k_cache *fast, const struct k_cache *ref)
{
    size_t n = (size_t)ref->n_kv_head * (size_t)ref->ctx_max * (size_t)ref->head_dim;
    if (ref->type == K_E4M3) {
        check_bytes(x, "keys", fast->k, ref->k, n);
        check_bytes(x, "values", fast->v, ref->v, n);
        check_bytes(x, "scales of keys", fast->k_scale, ref->k_scale, k_scale_bytes(ref));
        check_bytes(x, "scales of values", fast->v_scale, ref->v_scale, k_scale_bytes(ref));
    } else {
        check_values(x, fast->k, ref->k, n);
        check_values(x, fast->v, ref->v, n);
    }
}

// k and v [n, n_kv, dim] to both caches.
static void store(struct pair *x, const struct k_cache *fast, const struct k_cache *ref,
                  const float *k, const float *v, size_t pos, size_t n)
{
    size_t n_float = n * (size_t)ref->n_kv_head * (size_t)ref->head_dim;
    int32_t here = (int32_t)pos, *sent_here = sent_position(x, here);
    float *sent_k = sent(x, k, n_float), *sent_v = sent(x, v, n_float);
    x->fast->kv_store(x->fast_device, fast, sent_k, sent_v, sent_here, (int)n);
    k_ref.kv_store(x->ref_device, ref, k, v, &here, (int)n);
    dropped(x, sent_k);
    dropped(x, sent_v);
    dropped(x, sent_here);
}

// A window that hides something, one that hides nothing, or none.
static int random_window(struct pair *x, size_t n_key)
{
    switch (pick(x, 0, 3)) {
    case 0: return 0;
    case 1: return (int)pick(x, 1, 4);
    case 2: return (int)pick(x, 1, n_key);
    default: return (int)pick(x, n_key, n_key + 100);
    }
}

// Sinks that weigh like a key, like all of them, like none, and nothing at all; or NULL.
static float *random_sinks(struct pair *x, size_t n_head)
{
    static const float some[] = {-INFINITY, -1e4f, 0, 10, 100, 1e4f};
    if (pick(x, 0, 2) == 0) return NULL;
    float *sinks = floats(x, n_head, 2);
    for (size_t i = 0; i < n_head; i++)
        if (pick(x, 0, 2) == 0) sinks[i] = some[pick(x, 0, 5)];
    return sinks;
}

// Stores a history in pieces and lets the last n_token tokens attend to it, sharply or evenly.
static void check_attention(struct pair *x, size_t group, size_t n_kv, size_t dim, size_t pos,
                            size_t n_token, double sharpness)
{
    if (left_out(x)) return;
    size_t ctx = pos + n_token + pick(x, 0, 3), n_head = group * n_kv, n_all = pos + n_token;
    size_t n_out = n_token * n_head * dim;
    float *q = floats(x, n_out, sharpness), *k = floats(x, n_all * n_kv * dim, 1);
    float *v = floats(x, n_all * n_kv * dim, 1), *size = mem_new(n_out * sizeof *size);
    float *fast = poisoned(n_out), *ref = poisoned(n_out);
    struct k_cache a, b;
    new_caches(x, &a, &b, n_kv, dim, ctx);
    for (size_t at = 0; at < n_all;) {
        size_t n = pick(x, 1, n_all - at), from = at * n_kv * dim;
        if (n > (size_t)x->fast->batch_max) n = (size_t)x->fast->batch_max;
        store(x, &a, &b, k + from, v + from, at, n);
        at += n;
    }
    check_caches(x, &a, &b);
    int32_t start = (int32_t)pos, *sent_start = sent_position(x, start);
    float *sent_q = sent(x, q, n_out), *out = sent(x, fast, n_out + GUARD);
    float *sinks = random_sinks(x, n_head), *sent_sinks = sinks ? sent(x, sinks, n_head) : NULL;
    struct k_attend at = {.q = sent_q,
                          .cache = &a,
                          .n_head = (int)n_head,
                          .pos = sent_start,
                          .window = random_window(x, n_all),
                          .sinks = sent_sinks};
    struct k_attend ref_at = at;
    ref_at.q = q, ref_at.cache = &b, ref_at.pos = &start, ref_at.sinks = sinks;
    x->fast->attention(x->fast_device, out, &at, (int)n_token);
    k_ref.attention(x->ref_device, ref, &ref_at, (int)n_token);
    fetched(x, fast, out, n_out + GUARD);
    // Relative to the values' size, times what an error of the scores' last bits does to e^score.
    for (size_t i = 0; i < n_out; i++) size[i] = (float)(4 + 4 * sharpness);
    char what[128];
    snprintf(what, sizeof what,
             "%s attention in %s, group %zu, %zu kv heads of %zu, %zu tokens at "
             "%zu, window %d%s",
             x->fast->name, k_type_name(x->kv_type), group, n_kv, dim, n_token, pos, at.window,
             sinks ? ", sinks" : "");
    check_close(what, fast, ref, size, n_out);
    drop_caches(x, &a, &b);
    dropped(x, sent_q);
    dropped(x, sent_start);
    dropped(x, sent_sinks);
    free(sinks);
    free(q);
    free(k);
    free(v);
    free(size);
    free(fast);
    free(ref);
}

static void attention_of_all_shapes(struct pair *x, enum k_type kv_type)
{
    x->kv_type = kv_type;
    static const size_t dims[] = {2, 8, 10, 64, 80, 128};
    static const size_t tokens[] = {1, 3, 4, 15, 33, 70};
    static const size_t positions[] = {0, 1, 95, 96, 97, 300};
    for (size_t d = 0; d < sizeof dims / sizeof *dims; d++)
        for (size_t t = 0; t < sizeof tokens / sizeof *tokens; t++)
            for (size_t p = 0; p < sizeof positions / sizeof *positions; p++)
                check_attention(x, pick(x, 1, 4), pick(x, 1, 3), dims[d], positions[p], tokens[t],
                                (double)pick(x, 0, 2) * 2 + 0.1);
    check_attention(x, K_GROUP_MAX, 1, 6, 100, 2, 1);
    check_attention(x, 1, 1, K_HEAD_DIM_MAX, 20, 40, 1);
    check_attention(x, 2, 1, 16, 0, 256, 1);
}

static void test_attention(struct pair *x)
{
    enum k_type types[3];
    size_t n = cache_types(x, types);
    for (size_t i = 0; i < n; i++) attention_of_all_shapes(x, types[i]);
}

// Rows of e4m3 at the edges of what they hold: the largest and the smallest numbers, ties between
// two codes, zeros, and what is no number. Before the largest are there, an attention over rows
// whose sizes differ by many binades, and one over rows that are no numbers.
enum { CODE_ROWS = 4000, CODE_WRONG = 6, CODE_HUGE = 64, CODE_TOKENS = 4 };

static void fill_code_rows(struct pair *x, float *k, float *v, size_t dim)
{
    static const float edges[] = {
        0.0f,      -0.0f,     448,           449,         464,       480,       0x1.bp8f,
        1.0f,      0x1.1p0f,  0x1.3p0f,      0x1p-9f,     0x1.8p-9f, 0x1p-10f,  0x1p-6f,
        0x1.ep-7f, 0x1.fp-7f, 0x1.c00002p0f, 0x1.cp-118f, 0x1p-126f, 0x1p-149f, -448};
    static const float wrong[] = {NAN, INFINITY, -INFINITY};
    for (size_t r = 0; r < CODE_ROWS; r++) {
        float *key = k + r * dim, *value = v + r * dim;
        float size = ldexpf(1, r % 16 == 3 ? (int)pick(x, 0, 240) - 140 : (int)pick(x, 0, 20) - 10);
        for (size_t i = 0; i < dim; i++) {
            if (r % 4 == 1) value[i] = edges[pick(x, 0, sizeof edges / sizeof *edges - 1)];
            if (r % 8 == 2) key[i] = pick(x, 0, 1) ? 0 : edges[pick(x, 0, 16)] * 0.01f;
            value[i] *= r % 16 == 5 ? 0 : size;
        }
        if (r >= CODE_ROWS - CODE_WRONG) value[pick(x, 0, dim - 1)] = wrong[r % 3];
    }
}

static void attend_to_codes(struct pair *x, const struct k_cache *a, const struct k_cache *b,
                            const float *q, int32_t pos, bool with_wrong)
{
    size_t dim = (size_t)b->head_dim, n = CODE_TOKENS * dim;
    float *fast = poisoned(n), *ref = poisoned(n), *size = mem_new(n * sizeof *size);
    float *out = sent(x, fast, n + GUARD), *sent_q = sent(x, q, n);
    int32_t *sent_pos = sent_position(x, pos);
    struct k_attend at = {.q = sent_q, .cache = a, .n_head = 1, .pos = sent_pos}, ref_at = at;
    ref_at.q = (float *)q, ref_at.cache = b, ref_at.pos = &pos;
    x->fast->attention(x->fast_device, out, &at, CODE_TOKENS);
    k_ref.attention(x->ref_device, ref, &ref_at, CODE_TOKENS);
    fetched(x, fast, out, n + GUARD);
    for (size_t i = 0; i < n; i++) {
        if (with_wrong && (!isnan(fast[i]) || !isnan(ref[i])))
            fail_msg("%s: a row with NaN gave %g, reference %g", x->fast->name, (double)fast[i],
                     (double)ref[i]);
        for (size_t c = i - i % dim; c < i - i % dim + dim; c++) // stands for the size of the terms
            size[i] = fmaxf(size[i], fabsf(ref[c]));
    }
    if (!with_wrong) check_within("attention over rows of all sizes", fast, ref, size, n, 1e-4);
    dropped(x, sent_q);
    dropped(x, sent_pos);
    free(fast);
    free(ref);
    free(size);
}

static void test_code_rows(struct pair *x)
{
    static const size_t dims[] = {2, 10, 64, 80, 128};
    x->kv_type = K_E4M3;
    for (size_t d = 0; d < sizeof dims / sizeof *dims; d++) {
        size_t dim = dims[d], n = CODE_ROWS * dim;
        float *k = floats(x, n, 1), *v = floats(x, n, 1), *q = floats(x, CODE_TOKENS * dim, 1);
        fill_code_rows(x, k, v, dim);
        struct k_cache a, b;
        new_caches(x, &a, &b, 1, dim, CODE_ROWS + 5);
        for (size_t at = 0, some; at < CODE_ROWS; at += some) {
            some = CODE_ROWS - at < 250 ? CODE_ROWS - at : 250;
            store(x, &a, &b, k + at * dim, v + at * dim, at, some);
        }
        check_caches(x, &a, &b);
        attend_to_codes(x, &a, &b, q, CODE_ROWS - CODE_WRONG - CODE_TOKENS, false);
        attend_to_codes(x, &a, &b, q, CODE_ROWS - 2 - CODE_TOKENS, true);
        for (size_t i = 0; i < CODE_HUGE * dim; i++)
            k[i] = v[i] = pick(x, 0, 1) ? 3.4e38f : ldexpf(v[i], (int)pick(x, 0, 100));
        store(x, &a, &b, k, v, 0, CODE_HUGE);
        check_caches(x, &a, &b);
        drop_caches(x, &a, &b);
        free(k);
        free(v);
        free(q);
    }
}

static void test_swiglu(struct pair *x)
{
    for (int i = 0; i < 40; i++) {
        size_t dim = pick(x, 1, 900), n = pick(x, 1, 60), count = n * dim;
        float *gate = floats(x, count, i % 4 ? 3 : 60), *up = floats(x, count, 1);
        gate[0] = i % 2 ? 1e4f : -1e4f;
        float *fast = copy_floats(gate, count), *ref = copy_floats(gate, count);
        float *size = mem_new(count * sizeof *size);
        float *out = sent(x, fast, count + GUARD), *sent_up = sent(x, up, count);
        const struct k_gating clamped = {1.702f, 1, 0.9f}, *how = i % 3 ? NULL : &clamped;
        x->fast->swiglu(x->fast_device, out, sent_up, (int)n, (int)dim, how);
        k_ref.swiglu(x->ref_device, ref, up, (int)n, (int)dim, how);
        fetched(x, fast, out, count + GUARD);
        // Below -87 the fast exponential's limit shows, in values of 1e-36; up + 1 may be next to
        // nothing.
        for (size_t k = 0; k < count; k++)
            size[k] = fabsf(ref[k]) + (how ? 0.1f * fminf(fabsf(gate[k]), 1) : 0) + 1e-24f;
        check_close("swiglu", fast, ref, size, count);
        dropped(x, sent_up);
        free(gate);
        free(up);
        free(fast);
        free(ref);
        free(size);
    }
}

static void test_sum_rows(struct pair *x)
{
    size_t dim = 77, n = 50;
    float *in = floats(x, n * dim, 1), *start = floats(x, dim, 1),
          *size = mem_new(dim * sizeof *size);
    float *fast = copy_floats(start, dim), *ref = copy_floats(start, dim);
    for (size_t i = 0; i < dim; i++) size[i] = (float)n;
    float *sent_in = sent(x, in, n * dim), *out = sent(x, fast, dim + GUARD);
    x->fast->sum_rows(x->fast_device, out, sent_in, (int)n, (int)dim);
    k_ref.sum_rows(x->ref_device, ref, in, (int)n, (int)dim);
    fetched(x, fast, out, dim + GUARD);
    check_close("sum_rows", fast, ref, size, dim);
    dropped(x, sent_in);
    free(in);
    free(start);
    free(size);
    free(fast);
    free(ref);
}

// Ties, NaN, -0, masks and nothing to choose from.
static void test_argmax(struct pair *x)
{
    enum { N = 3000 };
    for (int i = 0; i < 60; i++) {
        int n = (int)pick(x, 1, N);
        float *in = floats(x, (size_t)n, 1);
        uint64_t mask[(N + 63) / 64] = {0};
        for (int k = 0; k < n; k++) {
            if (i % 3 == 0) in[k] = (float)pick(x, 0, 3) - 2; // many equals
            if (i % 5 == 0 && pick(x, 0, 3) == 0) in[k] = NAN;
            if (i % 7 == 0) in[k] = k % 2 ? -0.0f : 0.0f;
            if (i % 11 == 0) in[k] = -INFINITY;
            if (i % 4 == 1 && pick(x, 0, 9) == 0) mask[k / 64] |= (uint64_t)1 << k % 64;
        }
        const uint64_t *m = i % 4 == 1 || i % 4 == 3 ? mask : NULL; // i % 4 == 3: an empty one
        float *sent_in = sent(x, in, (size_t)n);
        assert_int_equal(x->fast->argmax(x->fast_device, sent_in, n, m),
                         k_ref.argmax(x->ref_device, in, n, m));
        dropped(x, sent_in);
        free(in);
    }
}

// Rows of logits of every kind that a draw may meet.
static void random_logits(struct pair *x, int kind, float *in, int n)
{
    double scale = kind % 3 == 0 ? 0.01 : kind % 3 == 1 ? 3 : 30;
    for (int k = 0; k < n; k++) {
        in[k] = (float)(rng_normal(&x->random) * scale);
        if (kind % 5 == 1) in[k] = (float)pick(x, 0, 3) - 2; // many equals
        if (kind % 7 == 2 && pick(x, 0, 3) == 0) in[k] = NAN;
        if (kind % 7 == 3 && pick(x, 0, 3)) in[k] = -INFINITY;
        if (kind % 11 == 4) in[k] = k % 2 ? -0.0f : 0.0f;
        if (kind % 13 == 5) in[k] = 5 + (float)k * 0x1p-21f; // all but equal
        if (kind % 31 == 6) in[k] = -INFINITY;
        if (kind % 31 == 7 && pick(x, 0, 2 * (size_t)n) == 0) in[k] = INFINITY;
    }
}

static struct k_sampling random_sampling(struct pair *x, int n)
{
    static const float temperatures[] = {1, 0.6f, 0.05f, 1e-30f, 3, 1e30f, 0, 1};
    static const float top_p[] = {1, 0.9f, 0.5f, 0.999f, 1e-30f, 0};
    static const float min_p[] = {0, 0.05f, 1e-6f, 1};
    static const int top_k[] = {1, 2, 20, 64, 1000, 1500};
    struct k_sampling how = {
        .temperature = temperatures[pick(x, 0, 7)], .top_p = 1, .word = rng_u64(&x->random)};
    if (pick(x, 0, 1)) how.top_p = top_p[pick(x, 0, 5)];
    if (pick(x, 0, 2) == 0) how.min_p = min_p[pick(x, 0, 3)];
    if (pick(x, 0, 2) == 0)
        how.top_k = pick(x, 0, 3) ? top_k[pick(x, 0, 5)] : (int)pick(x, 1, (size_t)n + 2);
    if (pick(x, 0, 15) == 0) how.word = UINT64_MAX;
    if (pick(x, 0, 15) == 0) how.word = 0;
    return how;
}

// The same index, whatever the logits, the mask and the settings are.
static void check_sample(struct pair *x, int kind, int n)
{
    if (left_out(x)) return;
    float *in = floats(x, (size_t)n, 1);
    uint64_t *mask = mem_new(((size_t)n + 63) / 64 * sizeof *mask);
    uint64_t *room = mem_new((size_t)n * sizeof *room);
    static const size_t rarity[] = {0, 1, 9, 1000};
    size_t one_in = rarity[pick(x, 0, 3)];
    const uint64_t *m = pick(x, 0, 2) ? NULL : mask;
    random_logits(x, kind, in, n);
    for (int k = 0; k < n; k++)
        if (pick(x, 0, one_in) == 0) mask[k / 64] |= (uint64_t)1 << k % 64;
    if (kind % 17 == 3) memset(mask, 0, ((size_t)n + 63) / 64 * sizeof *mask);
    float *sent_in = sent(x, in, (size_t)n);
    for (int i = 0; i < 8; i++) {
        struct k_sampling how = random_sampling(x, n);
        int32_t fast = x->fast->sample(x->fast_device, sent_in, n, m, &how, room);
        int32_t ref = k_ref.sample(x->ref_device, in, n, m, &how, room);
        if (fast != ref)
            fail_msg("%s sample %d of %d: %d, reference %d (temperature %g, top-p %g, min-p %g, "
                     "top-k %d, word %llx)",
                     x->fast->name, kind, n, fast, ref, (double)how.temperature, (double)how.top_p,
                     (double)how.min_p, how.top_k, (unsigned long long)how.word);
    }
    dropped(x, sent_in);
    free(in);
    free(mask);
    free(room);
}

static void test_sample(struct pair *x)
{
    for (int i = 0; i < 200; i++) check_sample(x, i, (int)pick(x, 1, i % 4 ? 3000 : 100));
    for (int i = 0; i < 8; i++) check_sample(x, i, i % 2 ? 151936 : 128256 + i);
    check_sample(x, 1, 1 << 20);
}

static void test_fill(struct pair *x)
{
    size_t n = 1003;
    unsigned char *got = mem_new(n), *want = mem_new(n);
    void *p = x->fast->alloc(x->fast_device, n);
    x->fast->fill(x->fast_device, p, n, 5, 0x8787878787878787u, 0x3030303030303030u);
    k_ref.fill(x->ref_device, want, n, 5, 0x8787878787878787u, 0x3030303030303030u);
    x->fast->download(x->fast_device, got, p, n);
    assert_memory_equal(got, want, n);
    dropped(x, p);
    free(got);
    free(want);
}

static void test_read_all_reads_all(struct pair *x)
{
    size_t n = (2 << 20) + 77;
    unsigned char *p = mem_new(n), *there = x->fast->alloc(x->fast_device, n);
    x->fast->upload(x->fast_device, there, p, n);
    uint64_t before = x->fast->read_all(x->fast_device, there, n);
    for (int i = 0; i < 200; i++) {
        size_t at = i == 0 ? 0 : i == 1 ? n - 1 : pick(x, 0, n - 1);
        p[at] ^= 1;
        x->fast->upload(x->fast_device, there + at, p + at, 1);
        assert_true(x->fast->read_all(x->fast_device, there, n) != before);
        p[at] ^= 1;
        x->fast->upload(x->fast_device, there + at, p + at, 1);
    }
    dropped(x, there);
    free(p);
}

// The number of threads must not change a bit.
static void test_threads_change_nothing(struct pair *x)
{
    enum { N_COL = 300, N_ROW = 500 };
    static const int tokens[] = {1, 40};
    err e = {0};
    if (x->fast->n_thread(x->fast_device) == 1) return; // no threads, then
    k_device *alone = x->fast->open(1, &e);
    struct k_matrix w = random_matrix(x, K_E4M3, N_ROW, N_COL);
    for (size_t i = 0; i < 2; i++) {
        size_t n = (size_t)tokens[i] * N_ROW;
        float *in = floats(x, (size_t)tokens[i] * N_COL, 1), *a = poisoned(n), *b = poisoned(n);
        struct k_product p = {.w = &w, .out = a}, p_alone = {.w = &w, .out = b};
        assert_int_equal(x->fast->reserve(x->fast_device, tokens[i], N_COL, &e), 0);
        assert_int_equal(x->fast->reserve(alone, tokens[i], N_COL, &e), 0);
        x->fast->matmul(x->fast_device, in, tokens[i], &p, 1);
        x->fast->matmul(alone, in, tokens[i], &p_alone, 1);
        assert_memory_equal(a, b, n * sizeof *a);
        free(in);
        free(a);
        free(b);
    }
    free_matrix(&w);
    x->fast->close(alone);
}

// The fused operations, with the shapes of a real layer in small

// How near a fused operation must come, relative to the terms it sums.
static double fused_limit(const struct pair *x, size_t n_token)
{
    if (x->fast->kv_type == K_F32) return 4e-6;
    return n_token <= 4 ? 1e-3 : 1e-2;
}

static void check_project(struct pair *x, size_t n_token, size_t dim)
{
    if (left_out(x)) return;
    struct products s;
    float *in = floats(x, n_token * dim, 2), *gain = floats(x, dim, 1);
    float *normed = mem_new(n_token * dim * sizeof *normed);
    k_ref.rms_norm(x->ref_device, normed, in, gain, (int)n_token, (int)dim, 1e-6f);
    make_products(x, &s, normed, n_token, dim);
    float *sent_in = sent(x, in, n_token * dim), *sent_gain = sent(x, gain, dim);
    k_act *a = x->fast->act_new(x->fast_device, (int)n_token, (int)dim);
    x->fast->norm(x->fast_device, a, sent_in, sent_gain, (int)n_token, (int)dim, 1e-6f);
    x->fast->project(x->fast_device, a, (int)n_token, s.fast, s.n);
    k_ref.matmul(x->ref_device, normed, (int)n_token, s.ref, s.n);
    check_products(x, &s, "project", n_token, fused_limit(x, n_token));
    x->fast->act_free(x->fast_device, a);
    dropped(x, sent_in);
    dropped(x, sent_gain);
    free(in);
    free(gain);
    free(normed);
}

// What a chain of fused operations gives an identity matrix to print: [n_token, dim].
static float *act_values(struct pair *x, const k_act *a, size_t n_token, size_t dim)
{
    float *one = mem_new(dim * dim * sizeof *one), *out = poisoned(n_token * dim);
    uint16_t *bits = mem_new(dim * dim * sizeof *bits);
    for (size_t i = 0; i < dim; i++) one[i * dim + i] = 1, bits[i * dim + i] = f32_to_bf16(1);
    struct k_matrix w = {.type = K_BF16, .n_row = (int)dim, .n_col = (int)dim, .data = bits};
    struct k_matrix sent_w = sent_matrix(x, &w);
    struct k_product p = {.w = &sent_w, .out = sent(x, out, n_token * dim + GUARD)};
    err e = {0};
    assert_int_equal(x->fast->reserve(x->fast_device, (int)n_token, (int)dim, &e), 0);
    x->fast->project(x->fast_device, a, (int)n_token, &p, 1);
    fetched(x, out, p.out, n_token * dim + GUARD);
    for (size_t i = n_token * dim; i < n_token * dim + GUARD; i++)
        assert_true(out[i] == guard_value);
    drop_matrix(x, &sent_w);
    free(one);
    free(bits);
    return out;
}

static double worst_of(const float *fast, const float *ref, const float *size, size_t n)
{
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        double error = fabs((double)fast[i] - (double)ref[i]) / ((double)size[i] + 1e-30);
        if (!isfinite(error)) return INFINITY;
        worst = fmax(worst, error);
    }
    return worst;
}

static float *largest_of(const float *p, size_t n)
{
    float *size = mem_new(n * sizeof *size), largest = 0;
    for (size_t i = 0; i < n; i++) largest = fmaxf(largest, fabsf(p[i]));
    for (size_t i = 0; i < n; i++) size[i] = largest;
    return size;
}

// A feed-forward block as the engine issues it, which an instance may record.
struct block {
    const struct k_ops *op;
    k_device *d;
    k_act *a, *b;
    const float *in, *gain;
    const struct k_gate *gate;
    const struct k_add *add;
    int n_token, dim;
};

static void issue_block(void *context)
{
    const struct block *c = context;
    c->op->norm(c->d, c->a, c->in, c->gain, c->n_token, c->dim, 1e-6f);
    c->op->gate(c->d, c->b, c->a, c->gate, c->n_token);
    c->op->add(c->d, c->b, c->add, c->n_token);
}

static void check_gate_and_add(struct pair *x, enum k_type type, size_t n_token, size_t dim,
                               size_t ffn, bool recorded)
{
    if (left_out(x)) return;
    err e = {0};
    struct k_matrix w[3] = {random_matrix(x, type, ffn, dim), random_matrix(x, type, ffn, dim),
                            random_matrix(x, type, dim, ffn)};
    struct k_matrix s[3];
    for (int i = 0; i < 3; i++) {
        // Sums that stay near 1, as a model's do: e4m3 codes reach 448, and so do NVFP4's scales.
        static const double largest[K_N_TYPE] = {1, 1, 1, 200, 1000, 100};
        free((void *)w[i].scale);
        w[i].scale = floats(x, (size_t)w[i].n_row, 1 / largest[type] / sqrt((double)w[i].n_col));
        s[i] = sent_matrix(x, &w[i]);
    }
    size_t n_in = n_token * dim, n_mid = n_token * ffn, wide = dim > ffn ? dim : ffn;
    float *in = floats(x, n_in, 1), *gain = floats(x, dim, 1),
          *room = mem_new(n_mid * sizeof *room);
    float *normed = mem_new(n_in * sizeof *normed), *mid = mem_new(n_mid * sizeof *mid);
    float *up = mem_new(n_mid * sizeof *up), *after = copy_floats(in, n_in);
    float *sent_in = sent(x, in, n_in), *sent_gain = sent(x, gain, dim), *fast = poisoned(n_in);
    k_device *d = x->fast_device;
    k_act *a = x->fast->act_new(d, (int)n_token, (int)dim);
    k_act *b = x->fast->act_new(d, (int)n_token, (int)ffn);
    struct k_gate g = {&s[0], &s[1], {sent(x, room, n_mid), sent(x, room, n_mid)}};
    float *bias = pick(x, 0, 1) ? floats(x, dim, 1) : NULL,
          *sent_bias = bias ? sent(x, bias, dim) : NULL;
    struct k_add p = {
        .w = &s[2], .bias = sent_bias, .x = sent_in, .next = a, .gain = sent_gain, .eps = 1e-6f};
    assert_int_equal(x->fast->reserve(d, (int)n_token, (int)wide, &e), 0);
    assert_int_equal(k_ref.reserve(x->ref_device, (int)n_token, (int)wide, &e), 0);
    struct block block = {x->fast, d, a, b, sent_in, sent_gain, &g, &p, (int)n_token, (int)dim};
    void *recording = NULL;
    if (recorded)
        x->fast->replay(d, &recording, issue_block, &block);
    else
        issue_block(&block);

    k_ref.rms_norm(x->ref_device, normed, in, gain, (int)n_token, (int)dim, 1e-6f);
    struct k_product both[] = {{.w = &w[0], .out = mid}, {.w = &w[1], .out = up}};
    k_ref.matmul(x->ref_device, normed, (int)n_token, both, 2);
    k_ref.swiglu(x->ref_device, mid, up, (int)n_token, (int)ffn, NULL);
    struct k_product down = {.w = &w[2], .bias = bias, .out = after, .add = true};
    k_ref.matmul(x->ref_device, mid, (int)n_token, &down, 1);

    char what[128];
    snprintf(what, sizeof what, "%s gate and add %s%s [%zu, %zu] x %zu%s", x->fast->name,
             k_type_name(type), w[0].block ? " in blocks" : "", ffn, dim, n_token,
             recorded ? " recorded" : "");
    float *next = act_values(x, a, n_token, dim);
    k_ref.rms_norm(x->ref_device, normed, after, gain, (int)n_token, (int)dim, 1e-6f);
    float *size = largest_of(normed, n_in), *size_x = largest_of(after, n_in);
    check_within(what, next, normed, size, n_in, 10 * fused_limit(x, n_token));
    fetched(x, fast, sent_in, n_in);
    check_within(what, fast, after, size_x, n_in, 10 * fused_limit(x, n_token));
    x->fast->forget(d, recording);
    x->fast->act_free(d, a);
    x->fast->act_free(d, b);
    for (int i = 0; i < 3; i++) {
        drop_matrix(x, &s[i]);
        free_matrix(&w[i]);
    }
    dropped(x, g.room[0]);
    dropped(x, g.room[1]);
    dropped(x, sent_gain);
    dropped(x, sent_bias);
    float *all[] = {in, gain, bias, room, normed, mid, up, after, fast, next, size, size_x};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

// Experts

struct mix_shape {
    size_t dim, ffn;
    int n_expert, n_used;
    enum k_type router;
    bool normalise, ties; // ties: of two neighbouring experts the first is to be chosen first
    bool short_x;
    bool dressed; // with biases, a clamped gating and, of FP4, rows of gate and up in turn
};

static struct k_matrix layer_matrix(struct pair *x, enum k_type type, size_t n_row, size_t n_col,
                                    double size)
{
    static const double largest[K_N_TYPE] = {1, 1, 1, 200, 1000, 100};
    struct k_matrix w = random_matrix(x, type, n_row, n_col);
    free((void *)w.scale);
    w.scale = floats(x, n_row, size / largest[type] / sqrt((double)n_col));
    return w;
}

// Whether the choice hangs on less than what scores may be off.
static int largest_first(const void *a, const void *b)
{
    float p = *(const float *)a, q = *(const float *)b;
    return (p < q) - (p > q);
}

static bool is_close_call(const float *score, size_t n, size_t n_used)
{
    if (n_used == n) return false;
    float *sorted = mem_new(n * sizeof *sorted);
    bool close = false;
    for (size_t i = 0; i < n; i++) sorted[i] = score[i];
    qsort(sorted, n, sizeof *sorted, largest_first);
    for (size_t i = 0; i < n; i++)
        for (size_t k = n_used - 1; k <= n_used; k++) {
            float apart = fabsf(sorted[i] - sorted[k]);
            close |= apart != 0 && apart < (sorted[0] - sorted[n - 1]) / 150;
        }
    free(sorted);
    return close;
}

// Inputs of which each leaves no doubt about its experts.
static float *clear_inputs(struct pair *x, const struct k_experts *e, const float *gain,
                           size_t n_token)
{
    const struct k_matrix *router = e->router;
    size_t dim = (size_t)router->n_col;
    float *in = mem_new(n_token * dim * sizeof *in), *normed = mem_new(dim * sizeof *normed);
    float *score = mem_new((size_t)router->n_row * sizeof *score);
    const struct k_product route = {.w = router, .bias = e->router_bias, .out = score};
    for (size_t t = 0; t < n_token; t++) do {
            for (size_t i = 0; i < dim; i++) in[t * dim + i] = (float)rng_normal(&x->random);
            k_ref.rms_norm(x->ref_device, normed, in + t * dim, gain, 1, (int)dim, 1e-6f);
            k_ref.matmul(x->ref_device, normed, 1, &route, 1);
        } while (is_close_call(score, (size_t)router->n_row, (size_t)e->n_used));
    free(normed);
    free(score);
    return in;
}

struct mix_block {
    const struct k_ops *op;
    k_device *d;
    k_act *a;
    const float *in, *gain;
    const struct k_mix *mix;
    int n_token, dim;
};

static void issue_mix(void *context)
{
    const struct mix_block *c = context;
    c->op->norm(c->d, c->a, c->in, c->gain, c->n_token, c->dim, 1e-6f);
    c->op->mix(c->d, c->a, c->mix, c->n_token);
}

enum { OF_EXPERT = 3 }; // gate, up, down

// Gate and up of one expert, rows in turn: `w`, and in the instance's memory `s`.
static void mingled_rows(struct pair *x, enum k_type type, size_t ffn, size_t dim,
                         struct k_matrix *w[2], struct k_matrix *s[2])
{
    struct k_matrix whole = layer_matrix(x, type, 2 * ffn, dim, 1);
    const float *scale = whole.scale;
    whole.scale = NULL;
    struct k_matrix sent_whole = sent_bytes(x, &whole);
    split_rows(&whole, w[0], w[1]);
    split_rows(&sent_whole, s[0], s[1]);
    for (size_t i = 0; i < 2; i++) {
        w[i]->scale = copy_floats(scale + i * ffn, ffn);
        s[i]->scale = sent(x, w[i]->scale, ffn);
        x->fast->arrange(x->fast_device, s[i]);
    }
    free((void *)scale);
}

// Biases of as many rows, in ref's memory and the instance's; or none.
static void some_bias(struct pair *x, bool wanted, size_t n, double size, const float **ref,
                      const float **fast)
{
    *ref = wanted ? floats(x, n, size) : NULL;
    *fast = wanted ? sent(x, *ref, n) : NULL;
}

static void check_mix(struct pair *x, enum k_type type, const struct mix_shape *shape,
                      size_t n_token, bool recorded)
{
    if (left_out(x)) return;
    err e = {0};
    size_t dim = shape->dim, ffn = shape->ffn, n_in = n_token * dim,
           n_expert = (size_t)shape->n_expert;
    k_device *d = x->fast_device;
    struct k_matrix *w[OF_EXPERT], *s[OF_EXPERT];
    bool mingled = shape->dressed && (type == K_NVFP4 || type == K_MXFP4);
    for (int i = 0; i < OF_EXPERT; i++) {
        w[i] = mem_new(n_expert * sizeof *w[i]);
        s[i] = mem_new(n_expert * sizeof *s[i]);
    }
    for (size_t k = 0; mingled && k < n_expert; k++) {
        struct k_matrix *both[] = {&w[0][k], &w[1][k]}, *sent_both[] = {&s[0][k], &s[1][k]};
        mingled_rows(x, type, ffn, dim, both, sent_both);
    }
    for (int i = mingled ? 2 : 0; i < OF_EXPERT; i++)
        for (size_t k = 0; k < n_expert; k++) {
            // What experts add is larger than what they add it to.
            w[i][k] =
                i < 2 ? layer_matrix(x, type, ffn, dim, 1) : layer_matrix(x, type, dim, ffn, 8);
            if (type == K_E4M3 && !w[i][k].block != !w[0][0].block) {
                free((void *)w[i][k].block); // all alike
                w[i][k].block = NULL;
                if (w[0][0].block) {
                    w[i][k].block = w[i][k].data; // for its size
                    w[i][k].block = floats(x, k_block_bytes(&w[i][k]) / sizeof(float), 0.1);
                }
            }
            w[i][k].short_x = shape->short_x;
            s[i][k] = sent_matrix(x, &w[i][k]);
        }
    struct k_matrix router = layer_matrix(x, shape->router, n_expert, dim, 1);
    size_t row_bytes = k_row_bytes(router.type, (int)dim);
    for (size_t k = 1; shape->ties && k < n_expert; k += 2) {
        memcpy((char *)router.data + k * row_bytes, (char *)router.data + (k - 1) * row_bytes,
               row_bytes);
        ((float *)router.scale)[k] = router.scale[k - 1];
    }
    struct k_matrix sent_router = sent_matrix(x, &router);
    struct k_experts ref_experts = {.router = &router,
                                    .gate = w[0],
                                    .up = w[1],
                                    .down = w[2],
                                    .n_expert = shape->n_expert,
                                    .n_used = shape->n_used,
                                    .normalise = shape->normalise};
    const struct k_gating clamped = {1.702f, 1, 0.6f}; // that many a gate and up goes beyond
    if (shape->dressed) ref_experts.gating = &clamped;
    struct k_experts experts = ref_experts;
    some_bias(x, shape->dressed, n_expert, 0.3, &ref_experts.router_bias, &experts.router_bias);
    some_bias(x, shape->dressed, n_expert * ffn, 0.5, &ref_experts.gate_bias, &experts.gate_bias);
    some_bias(x, shape->dressed, n_expert * ffn, 0.5, &ref_experts.up_bias, &experts.up_bias);
    some_bias(x, shape->dressed, n_expert * dim, 8, &ref_experts.down_bias, &experts.down_bias);
    experts.router = &sent_router, experts.gate = s[0], experts.up = s[1], experts.down = s[2];
    assert_int_equal(x->fast->list_experts(d, &experts, &experts.list), 0);
    int widest = (int)(dim > ffn ? dim : ffn);
    assert_int_equal(x->fast->reserve(d, (int)n_token, widest, &e), 0);
    assert_int_equal(k_ref.reserve(x->ref_device, (int)n_token, widest, &e), 0);

    float *gain = floats(x, dim, 1), *in = clear_inputs(x, &ref_experts, gain, n_token);
    float *before = copy_floats(in, n_in), *after = copy_floats(in, n_in),
          *normed = mem_new(n_in * sizeof *normed), *fast[2] = {poisoned(n_in), poisoned(n_in)};
    float *sent_in = sent(x, in, n_in), *sent_gain = sent(x, gain, dim);
    size_t n_room = x->fast->mix_room(&experts, (int)n_token);
    float *room = poisoned(n_room), *sent_room = sent(x, room, n_room + GUARD), *next = NULL;
    k_act *a = x->fast->act_new(d, (int)n_token, (int)dim);
    struct k_mix mix = {.experts = &experts,
                        .x = sent(x, before, n_in + GUARD),
                        .room = sent_room,
                        .next = a,
                        .gain = sent_gain,
                        .eps = 1e-6f};
    struct mix_block block = {x->fast, d, a, sent_in, sent_gain, &mix, (int)n_token, (int)dim};
    void *recording = NULL;
    for (int run = 0; run < 2; run++) {
        x->fast->upload(d, mix.x, before, (n_in + GUARD) * sizeof *before);
        if (recorded)
            x->fast->replay(d, &recording, issue_mix, &block);
        else
            issue_mix(&block);
        if (x->fast->finish(d, &e)) fail_msg("%s", e.msg);
        x->fast->download(d, fast[run], mix.x, (n_in + GUARD) * sizeof *fast[run]);
    }
    next = act_values(x, a, n_token, dim);
    x->fast->act_free(d, a);
    dropped(x, mix.x);

    k_act *ref_a = k_ref.act_new(x->ref_device, (int)n_token, (int)dim);
    float *ref_room = mem_new(k_ref.mix_room(&ref_experts, (int)n_token) * sizeof *ref_room);
    struct k_mix ref_mix = {.experts = &ref_experts, .x = after, .room = ref_room};
    k_ref.norm(x->ref_device, ref_a, in, gain, (int)n_token, (int)dim, 1e-6f);
    k_ref.mix(x->ref_device, ref_a, &ref_mix, (int)n_token);
    k_ref.rms_norm(x->ref_device, normed, after, gain, (int)n_token, (int)dim, 1e-6f);
    k_ref.act_free(x->ref_device, ref_a);

    char what[160];
    snprintf(what, sizeof what, "%s mix %s%s [%zu, %zu], %d of %d experts%s%s%s x %zu%s",
             x->fast->name, k_type_name(type), w[0][0].block ? " in blocks" : "", ffn, dim,
             shape->n_used, shape->n_expert, shape->normalise ? " normalised" : "",
             shape->ties ? " with ties" : "", shape->dressed ? " with biases" : "", n_token,
             recorded ? " recorded" : "");
    double limit = x->fast->kv_type == K_F32 ? 4e-5 : n_token <= 4 ? 2e-3 : 2e-2;
    float *size = largest_of(normed, n_in), *size_x = largest_of(after, n_in);
    // Rounded twice, by a tenth or by a fortieth of each value; codes or scales in wrong places
    // would leave nothing that is right.
    bool may_round = shape->short_x && x->fast->kv_type != K_F32 && n_token > 8;
    if (may_round) limit = type == K_NVFP4 ? 0.6 : 0.1;
    if (may_round && strstr(x->fast->describe(d), "GB10") &&
        worst_of(fast[0], after, size_x, n_in) < 4e-3)
        fail_msg("%s: does not round its activations", what);
    check_within(what, fast[0], after, size_x, n_in, limit);
    check_within(what, next, normed, size, n_in, limit);
    if (memcmp(fast[0], fast[1], n_in * sizeof **fast)) fail_msg("%s: does not repeat", what);
    fetched(x, room, sent_room, n_room + GUARD);
    for (size_t i = n_room; i < n_room + GUARD; i++)
        if (room[i] != guard_value) fail_msg("%s: wrote behind its room", what);

    x->fast->forget(d, recording);
    x->fast->release(d, experts.list);
    for (int i = 0; i < OF_EXPERT; i++) {
        for (size_t k = 0; k < n_expert; k++) {
            if (mingled && i == 1) // in gate's memory
                w[i][k].data = w[i][k].block = s[i][k].data = s[i][k].block = NULL;
            drop_matrix(x, &s[i][k]);
            free_matrix(&w[i][k]);
        }
        free(w[i]);
        free(s[i]);
    }
    const float *biases[] = {ref_experts.router_bias, ref_experts.gate_bias, ref_experts.up_bias,
                             ref_experts.down_bias};
    const float *sent_biases[] = {experts.router_bias, experts.gate_bias, experts.up_bias,
                                  experts.down_bias};
    for (size_t i = 0; i < sizeof biases / sizeof *biases; i++) {
        free((void *)biases[i]);
        dropped(x, sent_biases[i]);
    }
    drop_matrix(x, &sent_router);
    free_matrix(&router);
    dropped(x, sent_in);
    dropped(x, sent_gain);
    float *all[] = {gain,    in,   before, after,    normed, fast[0],
                    fast[1], room, next,   ref_room, size,   size_x};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static void test_mix(struct pair *x)
{
    static const size_t tokens[] = {1, 2, 4, 5, 8, 9, 40};
    static const struct mix_shape shapes[] = {
        {512, 512, 6, 2, K_BF16, true, false, false, false}, // every type's fast kernel
        {256, 128, 33, 4, K_BF16, false, false, false, false},
        // Of all; 8-bit weights have no whole slots.
        {192, 64, 5, 5, K_F32, true, false, false, false},
        {128, 72, 4, 1, K_E4M3, false, false, false, false},
        {40, 96, 6, 2, K_BF16, true, false, false, false},
        {256, 384, 9, 3, K_BF16, true, false, false, true},
        {448, 320, 9, 4, K_BF16, true, false, false, true}, // no whole units, as gpt-oss has them
        {96, 64, 5, 2, K_F32, false, false, false, true},
    };
    static const struct mix_shape wide = {512, 768, 20, 6, K_BF16, true, false, false, false},
                                  ties = {128, 128, 12, 5, K_BF16, true, true, false, false},
                                  many = {64, 64, 300, 5, K_BF16, true, false, false, false},
                                  most = {64, 64, 30, 20, K_F16, false, false, false, false},
                                  oss = {2880, 2880, 7, 4, K_BF16, true, false, false, true};
    bool is_composed = x->fast->reads_host; // one mix for all such instances: less will do
    for (size_t t = 0; t < sizeof tokens / sizeof *tokens; t++) {
        if (is_composed && tokens[t] != 2 && tokens[t] != 9) continue;
        for (size_t i = is_composed; i < sizeof shapes / sizeof *shapes; i++)
            for (int type = 0; type < K_N_TYPE; type++) {
                const struct mix_shape *s = &shapes[i];
                if (type == K_NVFP4 && (s->dim % K_NVFP4_BLOCK || s->ffn % K_NVFP4_BLOCK)) continue;
                if (type == K_MXFP4 && (s->dim % K_MXFP4_BLOCK || s->ffn % K_MXFP4_BLOCK)) continue;
                check_mix(x, (enum k_type)type, s, tokens[t], (t + i) % 2);
            }
        if (!is_composed) check_mix(x, K_MXFP4, &oss, tokens[t], t % 2);
        check_mix(x, K_E4M3, &ties, tokens[t], true);
        check_mix(x, K_BF16, &many, tokens[t], true);
        check_mix(x, K_BF16, &most, tokens[t], true);
        if (tokens[t] == 1 || tokens[t] == 8 || tokens[t] == 40) {
            check_mix(x, K_E4M3, &wide, tokens[t], true);
            check_mix(x, K_E4M3, &wide, tokens[t], true); // in blocks or not
            check_mix(x, K_NVFP4, &wide, tokens[t], true);
            check_mix(x, K_BF16, &wide, tokens[t], false);
        }
    }
    check_mix(x, K_E4M3, &ties, 200, false); // runs of more than one tile
    check_mix(x, K_MXFP4, &shapes[6], 200, false);
    static const struct mix_shape rounds = {256, 384, 7, 3, K_BF16, true, false, true, false};
    static const size_t many_tokens[] = {9, 40, 300};
    for (size_t t = 0; t < sizeof many_tokens / sizeof *many_tokens; t++)
        for (int i = 0; i < 4; i++) { // in blocks or not
            if (is_composed && (t || i > 1)) continue;
            check_mix(x, i % 2 ? K_E4M3 : K_NVFP4, &rounds, many_tokens[t], i % 2);
        }
}

// attend against the small operations of ref, over a history that a first call of it stored.
static void check_attend(struct pair *x, size_t group, size_t n_kv, size_t dim, size_t pos,
                         size_t n_token, bool with_norm)
{
    if (left_out(x)) return;
    size_t n_head = group * n_kv, ctx = pos + n_token + 2, n_cache = pos * n_kv * dim;
    size_t n_q = n_token * n_head * dim, n_kv_all = n_token * n_kv * dim, half = dim / 2;
    float *q = floats(x, n_q, 1), *k = floats(x, n_kv_all, 1), *v = floats(x, n_kv_all, 1);
    float *table = floats(x, n_token * dim, 1), *ref = poisoned(n_q);
    float *gain = floats(x, dim, 1), *sent_gain = sent(x, gain, dim);
    float *old_k = floats(x, n_cache, 1), *old_v = floats(x, n_cache, 1),
          *size = mem_new(n_q * sizeof *size);
    for (size_t i = 0; i < n_token * half; i++) { // true cosines and sines
        float angle = table[i];
        table[i / half * dim + i % half] = cosf(angle);
        table[i / half * dim + half + i % half] = sinf(angle);
    }
    struct k_cache a, b;
    new_caches(x, &a, &b, n_kv, dim, ctx);
    for (size_t at = 0, some; at < pos; at += some) {
        some = pos - at < (size_t)x->fast->batch_max ? pos - at : (size_t)x->fast->batch_max;
        store(x, &a, &b, old_k + at * n_kv * dim, old_v + at * n_kv * dim, at, some);
    }
    int32_t start = (int32_t)pos;
    struct k_attend at = {.q = sent(x, q, n_q),
                          .k = sent(x, k, n_kv_all),
                          .v = sent(x, v, n_kv_all),
                          .q_norm = with_norm ? sent_gain : NULL,
                          .k_norm = with_norm ? sent_gain : NULL,
                          .eps = 1e-6f,
                          .rope = sent(x, table, n_token * dim),
                          .cache = &a,
                          .n_head = (int)n_head,
                          .pos = sent_position(x, start),
                          .window = random_window(x, pos + n_token)};
    float *sinks = random_sinks(x, n_head), *sent_sinks = sinks ? sent(x, sinks, n_head) : NULL;
    at.sinks = sent_sinks;
    struct k_attend ref_at = at;
    ref_at.sinks = sinks, ref_at.q = q, ref_at.k = k, ref_at.v = v, ref_at.rope = table,
    ref_at.cache = &b;
    ref_at.q_norm = ref_at.k_norm = with_norm ? gain : NULL, ref_at.pos = &start;
    err e = {0};
    int width = (int)(n_head * dim);
    assert_int_equal(x->fast->reserve(x->fast_device, (int)n_token, width, &e), 0);
    k_act *act = x->fast->act_new(x->fast_device, (int)n_token, width);
    k_act *ref_act = k_ref.act_new(x->ref_device, (int)n_token, width);
    x->fast->attend(x->fast_device, act, &at, (int)n_token);
    k_ref.attend(x->ref_device, ref_act, &ref_at, (int)n_token);
    k_ref.download(x->ref_device, ref, *(float **)ref_act, n_q * sizeof *ref);
    float *fast = act_values(x, act, n_token, n_head * dim);
    // Values are of size 1; keys and values of this call's tokens are rounded to the cache's type.
    for (size_t i = 0; i < n_q; i++) size[i] = fmaxf(2, fabsf(ref[i]));
    char what[128];
    snprintf(what, sizeof what,
             "%s attend in %s, group %zu, %zu kv heads of %zu, %zu tokens at %zu, window %d%s",
             x->fast->name, k_type_name(x->kv_type), group, n_kv, dim, n_token, pos, at.window,
             sinks ? ", sinks" : "");
    // A key's last bit may decide for the next number of its type: of codes, a sixteenth of it
    // away.
    double limit = x->fast->kv_type == K_F32 ? 1e-5 : 1e-2;
    check_within(what, fast, ref, size, n_q, x->kv_type == x->fast->kv_type ? limit : limit + 1e-2);
    x->fast->act_free(x->fast_device, act);
    k_ref.act_free(x->ref_device, ref_act);
    drop_caches(x, &a, &b);
    const void *on_device[] = {at.q, at.k, at.v, at.rope, at.pos, sent_gain, sent_sinks};
    void *on_host[] = {q, k, v, table, ref, gain, old_k, old_v, size, fast, sinks};
    for (size_t i = 0; i < sizeof on_device / sizeof *on_device; i++) dropped(x, on_device[i]);
    for (size_t i = 0; i < sizeof on_host / sizeof *on_host; i++) free(on_host[i]);
}

// Matrices whose activations may be rounded to e4m3: three bits of each are left.
static void test_short_x(struct pair *x)
{
    static const size_t shape[][3] = {{16, 64, 128}, {40, 48, 512}, {33, 256, 1024}, {2, 64, 128}};
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++)
        for (int add = 0; add < 2; add++) {
            err e = {0};
            size_t n_token = shape[i][0], n_row = shape[i][1], n_col = shape[i][2];
            size_t n_out = n_token * n_row;
            struct k_matrix w = {.type = K_E4M3, .n_row = (int)n_row, .n_col = (int)n_col};
            w.data = random_weights(x, K_E4M3, n_row, n_col);
            w.scale = floats(x, n_row, 0.01);
            w.short_x = true;
            struct k_matrix s = sent_matrix(x, &w);
            float *in = floats(x, n_token * n_col, 2), *gain = floats(x, n_col, 1);
            float *normed = mem_new(n_token * n_col * sizeof *normed);
            float *old = floats(x, n_out, 1), *fast = poisoned(n_out);
            float *ref = copy_floats(old, n_out);
            memcpy(fast, old, n_out * sizeof *fast);
            float *sent_in = sent(x, in, n_token * n_col), *sent_gain = sent(x, gain, n_col);
            float *out = sent(x, fast, n_out + GUARD);
            k_act *a = x->fast->act_new(x->fast_device, (int)n_token, (int)n_col);
            struct k_product p = {.w = &s, .out = out, .add = add};
            struct k_product q = {.w = &w, .out = ref, .add = add};
            assert_int_equal(x->fast->reserve(x->fast_device, (int)n_token, (int)n_col, &e), 0);
            assert_int_equal(k_ref.reserve(x->ref_device, (int)n_token, (int)n_col, &e), 0);
            x->fast->norm(x->fast_device, a, sent_in, sent_gain, (int)n_token, (int)n_col, 1e-6f);
            x->fast->project(x->fast_device, a, (int)n_token, &p, 1);
            k_ref.rms_norm(x->ref_device, normed, in, gain, (int)n_token, (int)n_col, 1e-6f);
            k_ref.matmul(x->ref_device, normed, (int)n_token, &q, 1);
            float *size = term_sizes(x, &w, normed, n_token, NULL, old);
            fetched(x, fast, out, n_out + GUARD);
            check_within("fp8 activations", fast, ref, size, n_out,
                         x->fast->kv_type == K_F32 ? 4e-6 : 4e-2);
            x->fast->act_free(x->fast_device, a);
            drop_matrix(x, &s);
            free_matrix(&w);
            dropped(x, sent_in);
            dropped(x, sent_gain);
            float *all[] = {in, gain, normed, old, fast, ref, size};
            for (size_t k = 0; k < sizeof all / sizeof *all; k++) free(all[k]);
        }
}

// The same for weights that have kernels of their own (kernels/cuda_short.cu), where the GPU has
// tensor cores for them: then what is left is the product of x rounded by its definition, but for
// the order of sums, 1e-3. Elsewhere x keeps 11 bits, 1e-2, or all.
struct short_case {
    enum k_type type;
    bool in_blocks, add, with_bias;
    size_t n_token, n_row, n_col;
};

static bool check_short_x(struct pair *x, const struct short_case *s)
{
    err e = {0};
    size_t n_token = s->n_token, n_row = s->n_row, n_col = s->n_col, n_out = n_token * n_row;
    struct k_matrix w = random_matrix(x, s->type, n_row, n_col);
    while (s->type == K_E4M3 && !w.block == s->in_blocks) {
        free_matrix(&w);
        w = random_matrix(x, s->type, n_row, n_col);
    }
    w.short_x = true;
    struct k_matrix sent_w = sent_matrix(x, &w);
    float *in = floats(x, n_token * n_col, 2), *gain = floats(x, n_col, 1);
    float *bias = s->with_bias ? floats(x, n_row, 1) : NULL, *old = floats(x, n_out, 1);
    float *fast = s->add ? copy_floats(old, n_out) : poisoned(n_out);
    float *exact = copy_floats(old, n_out), *rounded = copy_floats(old, n_out);
    float *normed = mem_new(n_token * n_col * sizeof *normed);
    float *short_x = mem_new(n_token * n_col * sizeof *short_x);
    float *sent_in = sent(x, in, n_token * n_col), *sent_gain = sent(x, gain, n_col);
    float *sent_bias = bias ? sent(x, bias, n_row) : NULL, *out = sent(x, fast, n_out + GUARD);
    k_act *a = x->fast->act_new(x->fast_device, (int)n_token, (int)n_col);
    struct k_product p = {.w = &sent_w, .bias = sent_bias, .out = out, .add = s->add};
    struct k_product q = {.w = &w, .bias = bias, .out = exact, .add = s->add};
    assert_int_equal(x->fast->reserve(x->fast_device, (int)n_token, (int)n_col, &e), 0);
    assert_int_equal(k_ref.reserve(x->ref_device, (int)n_token, (int)n_col, &e), 0);
    x->fast->norm(x->fast_device, a, sent_in, sent_gain, (int)n_token, (int)n_col, 1e-6f);
    x->fast->project(x->fast_device, a, (int)n_token, &p, 1);
    k_ref.rms_norm(x->ref_device, normed, in, gain, (int)n_token, (int)n_col, 1e-6f);
    k_ref.matmul(x->ref_device, normed, (int)n_token, &q, 1);
    for (size_t t = 0; n_col % 128 == 0 && t < n_token; t++)
        (s->type == K_NVFP4 ? short_x_nvfp4 : short_x_e4m3)(short_x + t * n_col, normed + t * n_col,
                                                            (int)n_col);
    q.out = rounded;
    if (n_col % 128 == 0) k_ref.matmul(x->ref_device, short_x, (int)n_token, &q, 1);
    float *size = term_sizes(x, &w, normed, n_token, bias, s->add ? old : NULL);
    fetched(x, fast, out, n_out + GUARD);
    double of_exact = worst_of(fast, exact, size, n_out);
    double of_rounded = n_col % 128 == 0 ? worst_of(fast, rounded, size, n_out) : INFINITY;
    bool is_rounded = of_rounded <= 1e-3;
    if (!(of_exact <= (x->fast->kv_type == K_F32 ? 4e-6 : 1e-2)) && !is_rounded)
        fail_msg("%s short x, %s%s [%zu, %zu] x %zu: off by %g, by %g from the rounded",
                 x->fast->name, k_type_name(s->type), w.block ? " in blocks" : "", n_row, n_col,
                 n_token, of_exact, of_rounded);
    for (size_t i = n_out; i < n_out + GUARD; i++) assert_true(fast[i] == guard_value);
    x->fast->act_free(x->fast_device, a);
    drop_matrix(x, &sent_w);
    free_matrix(&w);
    dropped(x, sent_in);
    dropped(x, sent_gain);
    dropped(x, sent_bias);
    float *all[] = {in, gain, bias, old, fast, exact, rounded, normed, short_x, size};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) free(all[k]);
    return is_rounded;
}

// What an act holds, by f16: e4m3 weights that are 1 on the diagonal.
static float *act_values_f16(struct pair *x, const k_act *a, size_t n_token, size_t dim)
{
    err e = {0};
    float *out = poisoned(n_token * dim);
    unsigned char *codes = mem_new(dim * dim);
    for (size_t i = 0; i < dim; i++) codes[i * dim + i] = 0x38;
    struct k_matrix w = {.type = K_E4M3, .n_row = (int)dim, .n_col = (int)dim, .data = codes};
    struct k_matrix sent_w = sent_matrix(x, &w);
    struct k_product p = {.w = &sent_w, .out = sent(x, out, n_token * dim + GUARD)};
    assert_int_equal(x->fast->reserve(x->fast_device, (int)n_token, (int)dim, &e), 0);
    x->fast->project(x->fast_device, a, (int)n_token, &p, 1);
    fetched(x, out, p.out, n_token * dim + GUARD);
    drop_matrix(x, &sent_w);
    free(codes);
    return out;
}

static const double gate_limit = 1.5e-3; // of what is left of gates whose x was rounded

// silu(gate) * up of such weights, in place of [n_token, n_row] gate; and what an error is relative
// to: the terms of the one times the value of the other. An f16, a sixteenth of the result on a
// GPU, goes on in steps of 2^-24 where it is small, and may be off by half of one.
static float *gated_sizes(struct pair *x, float *gate, const float *up, const float *const size[2],
                          size_t n)
{
    float *out = mem_new(n * sizeof *out);
    double least = x->fast->reads_host ? 0 : 0x1p-21 / gate_limit;
    for (size_t i = 0; i < n; i++) {
        double g = (double)gate[i], silu = g / (1 + exp(-g)), u = (double)up[i];
        out[i] = (float)(fabs(silu) * (double)size[1][i] + fabs(u) * (double)size[0][i] +
                         1e-3 * (double)size[0][i] * (double)size[1][i] + least);
    }
    k_ref.swiglu(x->ref_device, gate, up, 1, (int)n, NULL);
    return out;
}

static bool check_short_gate(struct pair *x, const struct short_case *s)
{
    err e = {0};
    size_t n_token = s->n_token, n_row = s->n_row, n_col = s->n_col, n_out = n_token * n_row;
    struct k_matrix w[2], sent_w[2];
    for (int i = 0; i < 2; i++) {
        do w[i] = random_matrix(x, s->type, n_row, n_col);
        while (s->type == K_E4M3 && !w[i].block == s->in_blocks && (free_matrix(&w[i]), true));
        free((void *)w[i].scale);
        w[i].scale = floats(x, n_row, 1e-3);
        w[i].short_x = true;
        sent_w[i] = sent_matrix(x, &w[i]);
    }
    float *in = floats(x, n_token * n_col, 2), *gain = floats(x, n_col, 1);
    float *room = mem_new(n_out * sizeof *room), *up = mem_new(n_out * sizeof *up);
    float *exact = mem_new(n_out * sizeof *exact), *rounded = mem_new(n_out * sizeof *rounded);
    float *normed = mem_new(n_token * n_col * sizeof *normed);
    float *short_x = mem_new(n_token * n_col * sizeof *short_x);
    float *sent_in = sent(x, in, n_token * n_col), *sent_gain = sent(x, gain, n_col);
    k_act *a = x->fast->act_new(x->fast_device, (int)n_token, (int)n_col);
    k_act *b = x->fast->act_new(x->fast_device, (int)n_token, (int)n_row);
    struct k_gate g = {&sent_w[0], &sent_w[1], {sent(x, room, n_out), sent(x, room, n_out)}};
    int wide = (int)(n_col > n_row ? n_col : n_row);
    assert_int_equal(x->fast->reserve(x->fast_device, (int)n_token, wide, &e), 0);
    assert_int_equal(k_ref.reserve(x->ref_device, (int)n_token, wide, &e), 0);
    x->fast->norm(x->fast_device, a, sent_in, sent_gain, (int)n_token, (int)n_col, 1e-6f);
    x->fast->gate(x->fast_device, b, a, &g, (int)n_token);
    float *fast = act_values_f16(x, b, n_token, n_row);

    k_ref.rms_norm(x->ref_device, normed, in, gain, (int)n_token, (int)n_col, 1e-6f);
    for (size_t t = 0; t < n_token; t++)
        (s->type == K_NVFP4 ? short_x_nvfp4 : short_x_e4m3)(short_x + t * n_col, normed + t * n_col,
                                                            (int)n_col);
    float *size[2] = {term_sizes(x, &w[0], normed, n_token, NULL, NULL),
                      term_sizes(x, &w[1], normed, n_token, NULL, NULL)};
    struct k_product both[] = {{.w = &w[0], .out = exact}, {.w = &w[1], .out = up}};
    k_ref.matmul(x->ref_device, normed, (int)n_token, both, 2);
    float *size_exact = gated_sizes(x, exact, up, (const float *const *)size, n_out);
    both[0].out = rounded;
    k_ref.matmul(x->ref_device, short_x, (int)n_token, both, 2);
    float *size_rounded = gated_sizes(x, rounded, up, (const float *const *)size, n_out);
    double of_exact = worst_of(fast, exact, size_exact, n_out);
    double of_rounded = worst_of(fast, rounded, size_rounded, n_out);
    bool is_rounded = of_rounded <= gate_limit;
    // By rows it may be cuBLASLt's, as in test_short_x.
    double limit = x->fast->kv_type == K_F32            ? 1e-5
                   : s->type == K_E4M3 && !s->in_blocks ? 4e-2
                                                        : 1e-2;
    if (!(of_exact <= limit) && !is_rounded)
        fail_msg("%s short gate, %s%s [%zu, %zu] x %zu: off by %g, by %g from the rounded",
                 x->fast->name, k_type_name(s->type), w[0].block ? " in blocks" : "", n_row, n_col,
                 n_token, of_exact, of_rounded);
    x->fast->act_free(x->fast_device, a);
    x->fast->act_free(x->fast_device, b);
    for (int i = 0; i < 2; i++) {
        drop_matrix(x, &sent_w[i]);
        free_matrix(&w[i]);
        dropped(x, g.room[i]);
        free(size[i]);
    }
    dropped(x, sent_in);
    dropped(x, sent_gain);
    float *all[] = {in,      gain, room,   up,         exact,       rounded,
                    short_x, fast, normed, size_exact, size_rounded};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) free(all[k]);
    return is_rounded;
}

static void test_short_x_of_weights(struct pair *x)
{
    static const size_t shapes[][3] = {{9, 40, 128},    {16, 256, 256}, {128, 300, 384},
                                       {130, 257, 640}, {200, 1, 256},  {300, 700, 512},
                                       {40, 64, 192},   {4, 64, 256}};
    static const size_t gates[][3] = {{9, 64, 256}, {33, 192, 256}, {140, 320, 384}};
    static const struct {
        enum k_type type;
        bool in_blocks;
    } kinds[] = {{K_NVFP4, true}, {K_E4M3, true}, {K_E4M3, false}};
    // Which has them; elsewhere either is right.
    bool must = strstr(x->fast->describe(x->fast_device), "GB10") != NULL;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        int n = 0, n_rounded = 0;
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
            for (int add = 0; add < 2; add++) {
                // By rows and without bias it may be cuBLASLt's, which rounds otherwise:
                // test_short_x.
                bool bias = add || !kinds[k].in_blocks;
                struct short_case s = {kinds[k].type, kinds[k].in_blocks, add,         bias,
                                       shapes[i][0],  shapes[i][1],       shapes[i][2]};
                if (x->fast->reads_host && s.n_token > 40) continue; // a CPU rounds nothing
                bool fits = s.n_token > 8 && s.n_col % 128 == 0, rounded = check_short_x(x, &s);
                n += fits, n_rounded += fits && rounded;
            }
        for (size_t i = 0; i < sizeof gates / sizeof *gates; i++) {
            struct short_case s = {.type = kinds[k].type,
                                   .in_blocks = kinds[k].in_blocks,
                                   .n_token = gates[i][0],
                                   .n_row = gates[i][1],
                                   .n_col = gates[i][2]};
            if (x->fast->reads_host && s.n_token > 40) continue;
            n++, n_rounded += check_short_gate(x, &s);
        }
        if (n_rounded)
            print_message("%s%s: activations are rounded like the weights\n",
                          k_type_name(kinds[k].type), kinds[k].in_blocks ? " in blocks" : "");
        if (n_rounded != n && (n_rounded || must))
            fail_msg("%s: of %d products %d round their activations", k_type_name(kinds[k].type), n,
                     n_rounded);
    }
}

static void test_fused(struct pair *x)
{
    static const size_t tokens[] = {1, 2, 4, 5, 8, 9, 40};
    static const size_t dims[] = {40, 64, 128, 192, 512, 1152};
    for (size_t t = 0; t < sizeof tokens / sizeof *tokens; t++) {
        for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
            check_project(x, tokens[t], dims[i]);
            check_project(x, tokens[t], dims[i]);
        }
        for (int type = 0; type < K_N_TYPE; type++) {
            check_gate_and_add(x, (enum k_type)type, tokens[t], 128, 256, false);
            check_gate_and_add(x, (enum k_type)type, tokens[t], 384, 640, true);
            check_gate_and_add(x, (enum k_type)type, tokens[t], 512, 768, true);
            check_gate_and_add(x, (enum k_type)type, tokens[t], 128, 4608, true);
            check_gate_and_add(x, (enum k_type)type, tokens[t], 96, 32, true);
        }
        enum k_type kv_types[3];
        size_t n_type = cache_types(x, kv_types);
        for (size_t i = 0; i < n_type; i++) {
            x->kv_type = kv_types[i];
            check_attend(x, 4, 2, 64, 0, tokens[t], true);
            check_attend(x, 2, 3, 128, 37, tokens[t], false);
            check_attend(x, 8, 1, 128, 700, tokens[t], true);
            check_attend(x, 3, 2, 64, 1029, tokens[t], false);
            check_attend(x, 1, 2, 80, 33, tokens[t], true);
            check_attend(x, 8, 2, 128, 257, tokens[t], false); // groups of tokens fill row tiles
        }
    }
}

static void test_instance(void **state)
{
    static void (*const tests[])(struct pair *) = {
        test_matmul,
        test_every_code_in_every_lane,
        test_embed,
        test_rms_norm,
        test_rope,
        test_attention,
        test_code_rows,
        test_swiglu,
        test_sum_rows,
        test_argmax,
        test_sample,
        test_fill,
        test_fused,
        test_mix,
        test_short_x,
        test_short_x_of_weights,
        test_read_all_reads_all,
        test_threads_change_nothing,
    };
    err e = {0};
    struct pair x = {.fast = *state, .random = rng_seed(7)};
    x.fast_device = x.fast->open(3, &e);
    if (!x.fast_device) {
        print_message("%s not compared: %s\n", x.fast->name, e.msg);
        skip();
    }
    x.ref_device = k_ref.open(0, &e);
    print_message("comparing %s with ref\n", x.fast->describe(x.fast_device));
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) tests[i](&x);
    x.fast->close(x.fast_device);
    k_ref.close(x.ref_device);
}

int main(int argc, char **argv)
{
#ifdef HEARTH_CUDA
    const struct CMUnitTest on_gpu[] = {
        cmocka_unit_test_prestate(test_instance, (void *)&k_cuda),
    };
    if (argc > 1 && !strcmp(argv[1], "cuda")) {
        err e = {0};
        k_device *d = k_cuda.open(0, &e);
        if (!d) {
            printf("skipped: %s\n", e.msg);
            return TEST_SKIPPED;
        }
        k_cuda.close(d);
        if (argc > 2 && !strcmp(argv[2], "small")) keep_one_in = 10;
        return cmocka_run_group_tests(on_gpu, NULL, NULL);
    }
#else
    if (argc > 1 && !strcmp(argv[1], "cuda")) {
        printf("skipped: a build without CUDA\n");
        return TEST_SKIPPED;
    }
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_instance, (void *)&k_cpu),
        cmocka_unit_test_prestate(test_instance, (void *)&k_cpu_avx2),
        cmocka_unit_test_prestate(test_instance, (void *)&k_cpu_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
