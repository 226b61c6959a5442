// If this fails, a fast operation gives other numbers than its definition. Every operation of every
// cpu instance is compared with `ref` on random inputs: all weight types, shapes that are no
// multiple of anything, outputs filled with NaN before, and guards behind them.
//
// Tolerances are relative to the size of the terms, not of the result: a sum of n products in f32
// is off by at most about n * 2^-24 times the sum of their sizes, in practice sqrt(n) of that; the
// limit is 2e-6 times the sum of sizes. Operations without long sums get 2e-6 of their own size.
#include "test.h"

#include "base/mem.h"
#include "base/rng.h"
#include "kernels/kernels.h"
#include "kernels/number.h"

#include <math.h>

enum { GUARD = 16 };
static const float guard_value = 12345.0f;

struct pair {
    const struct k_ops *fast;
    k_device *fast_device, *ref_device;
    rng random;
};

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
static void check_close(const char *what, const float *fast, const float *ref, const float *size,
                        size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double limit = 2e-6 * fabs((double)(size ? size[i] : ref[i])) + 1e-30;
        if (!(fabs((double)fast[i] - (double)ref[i]) <= limit))
            fail_msg("%s: element %zu of %zu: %g, reference %g, limit %g", what, i, n,
                     (double)fast[i], (double)ref[i], limit);
    }
    for (size_t i = n; i < n + GUARD; i++)
        if (fast[i] != guard_value) fail_msg("%s: wrote behind its output", what);
}

static size_t pick(struct pair *x, size_t low, size_t high)
{
    return low + rng_below(&x->random, high - low + 1);
}

// Weights

static void *random_weights(struct pair *x, enum k_type type, size_t n)
{
    unsigned char *p = mem_new(n * k_type_bytes(type) + 1);
    for (size_t i = 0; i < n; i++) {
        float v = (float)rng_normal(&x->random);
        uint32_t bits = f32_bits(v);
        uint16_t half = (uint16_t)(rng_u64(&x->random) & 0xbfff); // any f16 below 2, subnormals too
        uint16_t bf16 = f32_to_bf16(v);
        uint8_t code = (uint8_t)rng_u64(&x->random); // any code that is no NaN
        if (e4m3_is_nan(code)) code ^= 0x40;
        const void *from[] = {[K_F32] = &bits, [K_F16] = &half, [K_BF16] = &bf16, [K_E4M3] = &code};
        memcpy(p + i * k_type_bytes(type), from[type], k_type_bytes(type));
    }
    return p;
}

static struct k_matrix random_matrix(struct pair *x, enum k_type type, size_t n_row, size_t n_col)
{
    struct k_matrix w = {.type = type, .n_row = (int)n_row, .n_col = (int)n_col};
    w.data = random_weights(x, type, n_row * n_col);
    if (type == K_E4M3 || rng_below(&x->random, 2)) w.scale = floats(x, n_row, 0.01);
    return w;
}

static void free_matrix(struct k_matrix *w)
{
    free((void *)w->data);
    free((void *)w->scale);
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
static void check_matmul(struct pair *x, size_t n_token, size_t n_col)
{
    err e = {0};
    struct k_matrix w[3];
    struct k_product fast[3], ref[3];
    float *size[3], *in = floats(x, n_token * n_col, 1);
    int n = (int)pick(x, 1, 3);
    assert_int_equal(x->fast->reserve(x->fast_device, (int)n_token, (int)n_col, &e), 0);
    assert_int_equal(k_ref.reserve(x->ref_device, (int)n_token, (int)n_col, &e), 0);
    for (int i = 0; i < n; i++) {
        w[i] =
            random_matrix(x, (enum k_type)rng_below(&x->random, K_N_TYPE), pick(x, 1, 90), n_col);
        size_t n_row = (size_t)w[i].n_row, n_out = n_token * n_row;
        fast[i] = (struct k_product){.w = &w[i], .add = rng_below(&x->random, 2)};
        if (rng_below(&x->random, 2)) fast[i].bias = floats(x, n_row, 1);
        float *old = fast[i].add ? floats(x, n_out, 1) : NULL;
        fast[i].out = old ? copy_floats(old, n_out) : poisoned(n_out);
        ref[i] = fast[i];
        ref[i].out = old ? copy_floats(old, n_out) : poisoned(n_out);
        size[i] = term_sizes(x, &w[i], in, n_token, fast[i].bias, old);
        free(old);
    }
    x->fast->matmul(x->fast_device, in, (int)n_token, fast, n);
    k_ref.matmul(x->ref_device, in, (int)n_token, ref, n);
    for (int i = 0; i < n; i++) {
        char what[96];
        snprintf(what, sizeof what, "%s matmul %s [%d, %d] x %zu", x->fast->name,
                 k_type_name(w[i].type), w[i].n_row, w[i].n_col, n_token);
        check_close(what, fast[i].out, ref[i].out, size[i], n_token * (size_t)w[i].n_row);
        free(fast[i].out);
        free(ref[i].out);
        free((void *)fast[i].bias);
        free(size[i]);
        free_matrix(&w[i]);
    }
    free(in);
}

static void test_matmul(struct pair *x)
{
    static const size_t tokens[] = {1, 2, 4, 5, 16, 17, 33, 100};
    static const size_t cols[] = {1, 7, 8, 31, 32, 33, 64, 100, 255, 512, 1023, 1025, 2100};
    for (size_t t = 0; t < sizeof tokens / sizeof *tokens; t++)
        for (size_t c = 0; c < sizeof cols / sizeof *cols; c++) check_matmul(x, tokens[t], cols[c]);
    check_matmul(x, K_BATCH_MAX, 96);
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
    struct k_product p = {.w = &w, .out = out};
    assert_int_equal(x->fast->reserve(x->fast_device, 1, N_COL, &e), 0);
    for (int lane = 0; lane < N_COL; lane++) {
        in[lane] = 1;
        x->fast->matmul(x->fast_device, in, 1, &p, 1);
        for (int c = 0; c < 256; c++)
            assert_true(e4m3_is_nan((uint8_t)c) ? out[c] == 0 : out[c] == e4m3_to_f32((uint8_t)c));
        in[lane] = 0;
    }
    free(codes);
    free(out);
}

static void test_embed(struct pair *x)
{
    for (int type = 0; type < K_N_TYPE; type++)
        for (int i = 0; i < 10; i++) {
            size_t dim = pick(x, 1, 700), n = pick(x, 1, 60);
            struct k_matrix w = random_matrix(x, (enum k_type)type, 50, dim);
            int32_t ids[60];
            for (size_t t = 0; t < n; t++) ids[t] = (int32_t)rng_below(&x->random, 50);
            float *fast = poisoned(n * dim), *ref = poisoned(n * dim);
            x->fast->embed(x->fast_device, fast, &w, ids, (int)n);
            k_ref.embed(x->ref_device, ref, &w, ids, (int)n);
            check_close("embed", fast, ref, NULL, n * dim);
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
        float *fast = poisoned(n * dim), *ref = poisoned(n * dim);
        x->fast->rms_norm(x->fast_device, fast, in, gain, (int)n, (int)dim, 1e-6f);
        k_ref.rms_norm(x->ref_device, ref, in, gain, (int)n, (int)dim, 1e-6f);
        check_close("rms_norm", fast, ref, NULL, n * dim);
        float *same = copy_floats(in, n * dim);
        x->fast->rms_norm(x->fast_device, same, same, gain, (int)n, (int)dim, 1e-6f);
        check_close("rms_norm in place", same, ref, NULL, n * dim);
        free(in);
        free(gain);
        free(fast);
        free(ref);
        free(same);
    }
}

static void test_rope(struct pair *x)
{
    for (int i = 0; i < 40; i++) {
        size_t half = pick(x, 1, 70), n_head = pick(x, 1, 9), n = pick(x, 1, 40);
        int pos = (int)pick(x, 0, 100000);
        double inv_freq[70];
        for (size_t k = 0; k < half; k++) inv_freq[k] = pow(1e4, -(double)k / (double)half);
        float *fast_table = poisoned(2 * n * half), *table = poisoned(2 * n * half);
        x->fast->rope_table(x->fast_device, fast_table, inv_freq, (int)half, pos, (int)n);
        k_ref.rope_table(x->ref_device, table, inv_freq, (int)half, pos, (int)n);
        check_close("rope_table", fast_table, table, NULL, 2 * n * half);

        size_t count = 2 * n * n_head * half;
        float *in = floats(x, count, 1), *size = mem_new(count * sizeof *size);
        float *fast = copy_floats(in, count), *ref = copy_floats(in, count);
        for (size_t k = 0; k < count; k++) { // a rotation's error is relative to the pair's length
            size_t partner = k / half % 2 ? k - half : k + half;
            size[k] = hypotf(in[k], in[partner]);
        }
        x->fast->rope(x->fast_device, fast, table, (int)n, (int)n_head, (int)(2 * half));
        k_ref.rope(x->ref_device, ref, table, (int)n, (int)n_head, (int)(2 * half));
        check_close("rope", fast, ref, size, count);
        free(fast_table);
        free(table);
        free(in);
        free(size);
        free(fast);
        free(ref);
    }
}

// Stores a history in pieces and lets the last n_token tokens attend to it, sharply or evenly.
static void check_attention(struct pair *x, size_t group, size_t n_kv, size_t dim, size_t pos,
                            size_t n_token, double sharpness)
{
    size_t ctx = pos + n_token + pick(x, 0, 3), n_head = group * n_kv, n_all = pos + n_token;
    size_t n_cache = ctx * n_kv * dim, n_out = n_token * n_head * dim;
    float *q = floats(x, n_out, sharpness), *k = floats(x, n_all * n_kv * dim, 1);
    float *v = floats(x, n_all * n_kv * dim, 1), *size = mem_new(n_out * sizeof *size);
    float *caches[4], *fast = poisoned(n_out), *ref = poisoned(n_out);
    for (int i = 0; i < 4; i++) caches[i] = poisoned(n_cache);
    struct k_cache a = {caches[0], caches[1], (int)n_kv, (int)dim, (int)ctx};
    struct k_cache b = {caches[2], caches[3], (int)n_kv, (int)dim, (int)ctx};
    for (size_t at = 0; at < n_all;) {
        size_t n = pick(x, 1, n_all - at), from = at * n_kv * dim;
        x->fast->kv_store(x->fast_device, &a, k + from, v + from, (int)at, (int)n);
        k_ref.kv_store(x->ref_device, &b, k + from, v + from, (int)at, (int)n);
        at += n;
    }
    assert_memory_equal(caches[0], caches[2], n_cache * sizeof **caches);
    assert_memory_equal(caches[1], caches[3], n_cache * sizeof **caches);
    x->fast->attention(x->fast_device, fast, q, &a, (int)n_head, (int)pos, (int)n_token);
    k_ref.attention(x->ref_device, ref, q, &b, (int)n_head, (int)pos, (int)n_token);
    // Relative to the values' size, times what an error of the scores' last bits does to e^score.
    for (size_t i = 0; i < n_out; i++) size[i] = (float)(4 + 4 * sharpness);
    char what[128];
    snprintf(what, sizeof what, "%s attention group %zu, %zu kv heads of %zu, %zu tokens at %zu",
             x->fast->name, group, n_kv, dim, n_token, pos);
    check_close(what, fast, ref, size, n_out);
    for (int i = 0; i < 4; i++) free(caches[i]);
    free(q);
    free(k);
    free(v);
    free(size);
    free(fast);
    free(ref);
}

static void test_attention(struct pair *x)
{
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
    check_attention(x, 2, 1, 16, 0, K_BATCH_MAX, 1);
}

static void test_swiglu(struct pair *x)
{
    for (int i = 0; i < 40; i++) {
        size_t dim = pick(x, 1, 900), n = pick(x, 1, 60);
        float *gate = floats(x, n * dim, i % 4 ? 3 : 60), *up = floats(x, n * dim, 1);
        gate[0] = i % 2 ? 1e4f : -1e4f;
        float *fast = copy_floats(gate, n * dim), *ref = copy_floats(gate, n * dim);
        float *size = mem_new(n * dim * sizeof *size);
        x->fast->swiglu(x->fast_device, fast, up, (int)n, (int)dim);
        k_ref.swiglu(x->ref_device, ref, up, (int)n, (int)dim);
        // Below -87 the fast exponential's limit shows, in values of 1e-36.
        for (size_t k = 0; k < n * dim; k++) size[k] = fabsf(ref[k]) + 1e-24f;
        check_close("swiglu", fast, ref, size, n * dim);
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
    x->fast->sum_rows(x->fast_device, fast, in, (int)n, (int)dim);
    k_ref.sum_rows(x->ref_device, ref, in, (int)n, (int)dim);
    check_close("sum_rows", fast, ref, size, dim);
    free(in);
    free(start);
    free(size);
    free(fast);
    free(ref);
}

static void test_read_all_reads_all(struct pair *x)
{
    size_t n = (2 << 20) + 77;
    unsigned char *p = mem_new(n);
    uint64_t before = x->fast->read_all(x->fast_device, p, n);
    for (int i = 0; i < 200; i++) {
        size_t at = i == 0 ? 0 : i == 1 ? n - 1 : pick(x, 0, n - 1);
        p[at] ^= 1;
        assert_true(x->fast->read_all(x->fast_device, p, n) != before);
        p[at] ^= 1;
    }
    free(p);
}

// The number of threads must not change a bit.
static void test_threads_change_nothing(struct pair *x)
{
    enum { N_COL = 300, N_ROW = 500 };
    static const int tokens[] = {1, 40};
    err e = {0};
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

static void test_instance(void **state)
{
    static void (*const tests[])(struct pair *) = {
        test_matmul,
        test_every_code_in_every_lane,
        test_embed,
        test_rms_norm,
        test_rope,
        test_attention,
        test_swiglu,
        test_sum_rows,
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_instance, (void *)&k_cpu),
        cmocka_unit_test_prestate(test_instance, (void *)&k_cpu_avx2),
        cmocka_unit_test_prestate(test_instance, (void *)&k_cpu_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
