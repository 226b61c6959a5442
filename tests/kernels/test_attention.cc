// If this fails, a GPU stores other keys and values than kernels.h says, or its attention for many
// tokens, or the plain one, is not softmax(q k^T / sqrt(dim)) v over them. The kernels' own code
// runs on the CPU (emulated_gpu.h) and is compared with plain loops in double precision: bf16 and
// e4m3, contexts that end anywhere in a block of keys, tokens that fill no tile.
#define HEARTH_EMULATED
#include "emulated_gpu.h"
#define cudaLaunchKernelEx emulated_launch
#include "kernels/cuda_attention.cu"

#include "cache_rows.h"

#include <random>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

extern "C" {
#include <cmocka.h>
}

bool cuda_check(k_device *, cudaError_t rc, const char *)
{
    return rc == cudaSuccess;
}

typedef std::vector<double> numbers;

struct shape {
    int n_kv_head, group, dim, pos, n_token;
    int window; // 0: none
    bool sinks;
};

struct setting {
    struct shape s;
    struct k_cache cache;
    std::vector<unsigned char> k, v, k_scale, v_scale; // its memory, 0xff where nothing is written
    std::vector<float> q, sinks;
    k_device device;
    int32_t pos;
};

static std::mt19937 source(11);

static std::vector<float> normals(int n)
{
    std::vector<float> x((size_t)n);
    for (float &v : x) v = std::normal_distribution<float>()(source);
    return x;
}

// A history and this call's tokens, stored by the kernel; what it stored is checked.
static void store(struct setting &x, enum k_type type, bool hard)
{
    const struct shape &s = x.s;
    int n = s.pos + s.n_token, ctx = n + 3, n_row = s.n_kv_head * ctx;
    x.cache = {type, nullptr, nullptr, nullptr, nullptr, s.n_kv_head, s.dim, ctx};
    size_t n_code = (size_t)(n_row * s.dim) * (type == K_E4M3 ? 1 : 2),
           n_scale = type == K_E4M3 ? scale_place(x.cache, (size_t)n_row) : 0;
    for (std::vector<unsigned char> *p : {&x.k, &x.v}) p->assign(n_code, 0xff);
    for (std::vector<unsigned char> *p : {&x.k_scale, &x.v_scale}) p->assign(n_scale, 0xff);
    x.cache.k = x.k.data(), x.cache.v = x.v.data();
    x.cache.k_scale = x.k_scale.data(), x.cache.v_scale = x.v_scale.data();
    std::vector<float> k = normals(n * s.n_kv_head * s.dim), v = normals(n * s.n_kv_head * s.dim);
    for (size_t i = 0; hard && i < v.size(); i++) { // rows of all sizes, a few of zeros
        size_t row = i / (size_t)s.dim;
        v[i] *= row % 7 == 3 ? 0 : ldexpf(1, (int)(row * 5 % 17) - 8);
        if (row % 4 == 1) k[i] = roundf(k[i]);
        // The largest number that a power takes, and the next.
        if (row % 4 == 2) k[i] = i % 3 ? k[i] / 8 : row % 8 == 2 ? 1.75f : 0x1.c00002p0f;
    }
    x.pos = 0;
    cuda_kv_store(&x.device, &x.cache, k.data(), v.data(), &x.pos, s.pos);
    x.pos = s.pos;
    size_t first = (size_t)(s.pos * s.n_kv_head * s.dim);
    cuda_kv_store(&x.device, &x.cache, &k[first], &v[first], &x.pos, s.n_token);
    for (int which = 0; which < 2; which++)
        for (int t = 0; t < n; t++)
            for (int h = 0; h < s.n_kv_head; h++) {
                size_t row = (size_t)(h * ctx + t), from = (size_t)((t * s.n_kv_head + h) * s.dim);
                const std::vector<float> &all = which ? v : k;
                numbers want(all.begin() + (long)from, all.begin() + (long)from + s.dim);
                keep(want.data(), x.cache, which, false, row);
                for (size_t i = 0; i < want.size(); i++)
                    if (cached(x.cache, which, row, i) != want[i])
                        fail_msg("row %zu holds %g, not %g", row, cached(x.cache, which, row, i),
                                 want[i]);
            }
}

// The output of head `head` for token t.
static numbers attended(const struct setting &x, int t, int head)
{
    const struct shape &s = x.s;
    size_t dim = (size_t)s.dim, from = (size_t)(head / s.group * x.cache.ctx_max);
    const float *q = &x.q[((size_t)t * (size_t)(s.n_kv_head * s.group) + (size_t)head) * dim];
    numbers score((size_t)(s.pos + t + 1)), out(dim);
    double sink = s.sinks ? (double)x.sinks[(size_t)head] : -INFINITY, top = sink;
    for (size_t j = 0; j < score.size(); j++) {
        if (s.window && score.size() - j > (size_t)s.window) score[j] = -INFINITY;
        for (size_t i = 0; i < dim; i++)
            score[j] += (double)q[i] * cached(x.cache, false, from + j, i) / sqrt((double)dim);
        top = fmax(top, score[j]);
    }
    double sum = exp(sink - top);
    for (double &p : score) sum += p = exp(p - top);
    for (size_t j = 0; j < score.size(); j++)
        for (size_t i = 0; i < dim; i++)
            out[i] += score[j] / sum * cached(x.cache, true, from + j, i);
    return out;
}

// out [n_token, n_head, dim]; errors are relative to the largest number of a token's head.
static void check(const struct setting &x, const char *what, const std::vector<float> &out,
                  double limit)
{
    const struct shape &s = x.s;
    int n_head = s.n_kv_head * s.group;
    double worst = 0;
    for (int t = 0; t < s.n_token; t++)
        for (int head = 0; head < n_head; head++) {
            numbers want = attended(x, t, head);
            double size = 0;
            for (double v : want) size = fmax(size, fabs(v));
            for (size_t i = 0; i < want.size(); i++) {
                double error =
                    fabs((double)out[(size_t)((t * n_head + head) * s.dim) + i] - want[i]) /
                    (size + 1e-30);
                worst = error > worst || error != error ? error : worst;
            }
        }
    printf("%s, %s, %d x %d heads of %d, %d tokens at %d, window %d%s: %.1e\n", what,
           x.cache.type == K_E4M3 ? "e4m3" : "bf16", s.n_kv_head, s.group, s.dim, s.n_token, s.pos,
           s.window, s.sinks ? ", sinks" : "", worst);
    if (!(worst <= limit)) fail_msg("off by %g, limit %g", worst, limit);
}

// Some sinks outweigh all keys, some weigh nothing.
static struct k_attend attend_of(struct setting &x)
{
    int n_head = x.s.n_kv_head * x.s.group;
    struct k_attend at = {};
    x.sinks = normals(n_head);
    for (int i = 0; i < n_head; i++) x.sinks[(size_t)i] = x.sinks[(size_t)i] * 3 + 3;
    x.sinks[0] = -INFINITY;
    at.q = x.q.data(), at.cache = &x.cache, at.n_head = n_head, at.pos = &x.pos;
    at.window = x.s.window, at.sinks = x.s.sinks ? x.sinks.data() : nullptr;
    return at;
}

static void check_many(const struct shape &s, enum k_type type)
{
    struct setting x = {s, {}, {}, {}, {}, {}, {}, {}, {}, 0};
    int n = s.n_token * s.n_kv_head * s.group * s.dim;
    store(x, type, true);
    x.q = normals(n);
    std::vector<uint16_t> hi[X_N_KIND];
    std::vector<float> out((size_t)n);
    struct k_act a = {};
    for (int i = 0; i < X_N_KIND; i++) hi[i].assign((size_t)n, 0xffff), a.hi[i] = hi[i].data();
    struct k_attend at = attend_of(x);
    cuda_attend_many(&x.device, &a, &at, s.n_token);
    for (size_t i = 0; i < out.size(); i++) out[i] = bf16_value(hi[X_BF16][i]);
    check(x, "many, bf16", out, 2e-2);
    for (size_t i = 0; i < out.size(); i++) out[i] = f16_value(hi[X_F16][i]) / F16_UNIT;
    check(x, "many, f16", out, 2e-2);
}

static void check_plain(const struct shape &s, enum k_type type)
{
    struct setting x = {s, {}, {}, {}, {}, {}, {}, {}, {}, 0};
    int n = s.n_token * s.n_kv_head * s.group * s.dim;
    store(x, type, true);
    x.q = normals(n);
    std::vector<float> out((size_t)n, NAN);
    struct k_attend at = attend_of(x);
    cuda_attention(&x.device, out.data(), &at, s.n_token);
    check(x, "plain", out, 2e-5);
}

template <enum k_type TYPE> static void test_many(void **)
{
    const struct shape shapes[] = {
        {1, 2, 64, 0, 9, 0, false},    {2, 4, 128, 37, 20, 0, true},
        {1, 5, 64, 100, 30, 0, false}, {1, 1, 128, 63, 65, 0, false},
        {2, 3, 64, 130, 12, 0, false}, {2, 8, 64, 200, 40, 128, true}, // as gpt-oss
        {1, 2, 64, 150, 70, 5, false}, {1, 1, 128, 129, 65, 64, true},
        {1, 3, 128, 90, 20, 1, true},  {1, 4, 64, 30, 20, 1000, true},
    };
    for (const struct shape &s : shapes) check_many(s, TYPE);
}

template <enum k_type TYPE> static void test_plain(void **)
{
    const struct shape shapes[] = {{2, 2, 80, 5, 3, 0, false},   {1, 3, 10, 37, 2, 0, true},
                                   {1, 1, 512, 0, 2, 0, false},  {2, 2, 80, 5, 3, 4, true},
                                   {1, 2, 10, 37, 2, 100, true}, {1, 2, 10, 37, 2, 1, false}};
    for (const struct shape &s : shapes) check_plain(s, TYPE);
}

int main()
{
    const struct CMUnitTest tests[] = {
        {"many tokens, bf16", test_many<K_BF16>, NULL, NULL, NULL},
        {"many tokens, e4m3", test_many<K_E4M3>, NULL, NULL, NULL},
        {"plain, bf16", test_plain<K_BF16>, NULL, NULL, NULL},
        {"plain, e4m3", test_plain<K_E4M3>, NULL, NULL, NULL},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
