// If this fails, a GPU's products for many tokens, or its experts for many tokens and for shapes
// that nothing fast takes, are not y = x W^T and k_ops.mix. The kernels' own code runs on the CPU
// (emulated_gpu.h) and is compared with plain loops in double precision: weights of every form,
// rows, tokens and runs that fill no tile, FP4 rows that end within a unit and lie apart, experts
// with biases and a clamped gating.
//
// x is such that its short forms hold all of it; what is left of errors is the order of sums, and
// of experts the rounding of what goes from the first products to the second.
#define HEARTH_EMULATED
#include "emulated_gpu.h"
#define cudaLaunchKernelEx emulated_launch
#include "kernels/cuda_experts.cu"
#include "kernels/cuda_product.cu"

#include <random>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

extern "C" {
#include <cmocka.h>
}

typedef std::vector<double> numbers;

static std::mt19937 source(5);
static std::vector<void *> blocks; // memory of a case; what is not written holds NaNs

template <typename T> static T *many(size_t n)
{
    size_t n_bytes = (n * sizeof(T) + K_BEHIND + 255) / 256 * 256;
    T *p = (T *)aligned_alloc(256, n_bytes);
    memset((void *)p, 0xff, n_bytes);
    blocks.push_back(p);
    return p;
}

static void forget_all()
{
    for (void *p : blocks) free(p);
    blocks.clear();
}

static float normal()
{
    return std::normal_distribution<float>()(source);
}

static float *normals(size_t n, float scale)
{
    float *p = many<float>(n);
    for (size_t i = 0; i < n; i++) p[i] = normal() * scale;
    return p;
}

// What the other files of the instance do, or would do.

bool cuda_check(k_device *, cudaError_t rc, const char *)
{
    return rc == cudaSuccess;
}

void cuda_steps_flush(k_device *) {}

bool cuda_step_mixes(const struct k_experts *, int)
{
    return false;
}

bool cuda_step_scores(k_device *, const k_act *, const struct k_experts *, float *, int)
{
    return false;
}

void cuda_step_mix(k_device *, const k_act *, const struct k_mix *, const float *,
                   const struct short_out *, int)
{
}

void cuda_step_map_experts(k_device *, const struct k_experts *, struct weight_maps *) {}

bool cuda_short_mixes(const k_device *, const k_act *, const struct k_experts *)
{
    return false;
}

void cuda_short_mix(k_device *, k_act *, const struct k_experts *, const struct expert_runs &,
                    const struct short_mid &, float *, int)
{
}

void cuda_norm(k_device *, k_act *, const float *, const float *, int, int, float) {}

const float *cuda_act_read(k_device *, const k_act *a, int)
{
    return a->x;
}

void cuda_project(k_device *d, const k_act *a, int n_token, const struct k_product *p,
                  int n_product)
{
    cuda_matmul(d, a->x, n_token, p, n_product);
}

// Matrices of about 1 / sqrt(n_col), of FP4 in rows as far apart as the engine puts them.
static struct k_matrix matrix(int form, int n_row, int n_col)
{
    static const enum k_type types[] = {K_BF16, K_E4M3, K_E4M3, K_NVFP4, K_MXFP4};
    struct k_matrix w = {};
    size_t n = (size_t)n_row * (size_t)n_col;
    float size = 1 / sqrtf((float)n_col);
    w.type = types[form], w.n_row = n_row, w.n_col = n_col;
    if (form == W_BF16) {
        uint16_t *data = many<uint16_t>(n);
        for (size_t i = 0; i < n; i++) data[i] = bf16_bits(normal() * size);
        w.data = data;
        return w;
    }
    bool is_fp4 = form == W_NVFP4 || form == W_MXFP4;
    unsigned char *data = many<unsigned char>(n);
    for (size_t i = 0; i < n; i++)
        data[i] = is_fp4 ? (unsigned char)source()
                         : __nv_cvt_float_to_fp8(normal(), __NV_SATFINITE, __NV_E4M3);
    w.data = data;
    w.scale = normals((size_t)n_row, size / 2);
    if (form == W_E4M3_BLOCK)
        w.block = normals((size_t)((n_row + 127) / 128 * ((n_col + 127) / 128)), 1);
    if (!is_fp4) return w;
    w = with_steps(&w);
    size_t n_block = w.block_step;
    w.block_step = (n_block + BLOCK_ALIGN - 1) / BLOCK_ALIGN * BLOCK_ALIGN;
    unsigned char *block = many<unsigned char>((size_t)n_row * w.block_step);
    memset(block, 0, (size_t)n_row * w.block_step);
    for (size_t i = 0; i < (size_t)n_row * n_block; i++)
        block[i / n_block * w.block_step + i % n_block] =
            (unsigned char)(form == W_NVFP4 ? 0x20 + source() % 32 : 124 + source() % 4);
    w.block = block;
    return w;
}

static double weight_of(const struct k_matrix &w, size_t row, size_t col)
{
    return (double)weight_value(w, row, col) * (double)(w.scale ? w.scale[row] : 1);
}

// Seven bits: as f16 and as bf16 they are what they are.
static struct k_act act(int n_token, int n_col)
{
    size_t n = (size_t)(n_token * n_col);
    struct k_act a = {};
    a.form = act_form(n_token, n_col), a.n_col = n_col;
    a.x = many<float>(n);
    for (int i = 0; i < X_N_KIND; i++) a.hi[i] = many<uint16_t>(n);
    for (size_t i = 0; i < n; i++) {
        a.x[i] = roundf(normal() * 16) / 16;
        a.hi[X_BF16][i] = bf16_bits(a.x[i]);
        a.hi[X_F16][i] = f16_bits(a.x[i] * F16_UNIT);
    }
    return a;
}

static void check(const char *what, const float *found, const numbers &want, double limit)
{
    double worst = 0, sum = 0;
    for (size_t i = 0; i < want.size(); i++) {
        double error = fabs((double)found[i] - want[i]);
        worst = error > worst || error != error ? error : worst;
        sum += want[i] * want[i];
    }
    worst /= sqrt(sum / (double)want.size());
    printf("%s: %.1e\n", what, worst);
    if (!(worst <= limit)) fail_msg("off by %g of the root mean square, limit %g", worst, limit);
}

// Products

static void check_product(int form, int n_token, int n_row, int n_col, bool add)
{
    k_device device = {};
    struct k_matrix w = matrix(form, n_row, n_col);
    struct k_act a = act(n_token, n_col);
    size_t n = (size_t)(n_token * n_row);
    float *bias = add ? nullptr : normals((size_t)n_row, 1), *out = normals(n, 1);
    numbers want(n);
    for (size_t i = 0; i < n; i++) {
        size_t t = i / (size_t)n_row, r = i % (size_t)n_row;
        want[i] = (add ? (double)out[i] : 0) + (bias ? (double)bias[r] : 0);
        for (size_t c = 0; c < (size_t)n_col; c++)
            want[i] += weight_of(w, r, c) * (double)a.x[t * (size_t)n_col + c];
    }
    struct k_product p = {&w, bias, out, add};
    char what[96];
    snprintf(what, sizeof what, "form %d [%d, %d] x %d", form, n_row, n_col, n_token);
    if (!cuda_gemm_takes(&w)) fail_msg("%s is not taken", what);
    cuda_gemm(&device, &a, n_token, &p);
    check(what, out, want, 2e-5);
    forget_all();
}

template <int FORM> static void test_products(void **)
{
    constexpr bool is_fp4 = unit<FORM>::is_fp4;
    check_product(FORM, 9, 70, 256, false);
    check_product(FORM, 130, 140, 384, true);
    if (!is_fp4) return;
    check_product(FORM, 20, 200, 64, false);
    check_product(FORM, 70, 30, 448, true);
    check_product(FORM, 12, 40, 2880, false);
}

// Experts

enum { N_EXPERT = 6, N_USED = 3 };

struct mixture {
    struct k_matrix w[EXPERT_MATRICES][N_EXPERT], router;
    struct k_experts e;
};

static void make_experts(struct mixture &m, int form, int dim, int ffn, bool dressed)
{
    static const struct k_gating clamped = {1.702f, 1, 0.7f}; // what some go beyond
    bool is_fp4 = form == W_NVFP4 || form == W_MXFP4;
    for (int n = 0; n < N_EXPERT; n++) {
        struct k_matrix &gate = m.w[EXPERT_GATE][n], &up = m.w[EXPERT_UP][n];
        m.w[EXPERT_DOWN][n] = matrix(form, dim, ffn);
        gate = matrix(form, ffn, dim), up = matrix(form, ffn, dim);
        if (!dressed || !is_fp4) continue;
        gate = matrix(form, 2 * ffn, dim); // rows of both in turn
        gate.n_row = ffn;
        up = gate;
        up.data = (const char *)gate.data + gate.data_step;
        up.block = (const char *)gate.block + gate.block_step;
        up.scale = gate.scale + ffn;
        for (struct k_matrix *w : {&gate, &up}) w->data_step *= 2, w->block_step *= 2;
    }
    m.router = matrix(W_BF16, N_EXPERT, dim);
    m.e = {};
    m.e.router = &m.router, m.e.gate = m.w[EXPERT_GATE], m.e.up = m.w[EXPERT_UP];
    m.e.down = m.w[EXPERT_DOWN];
    m.e.n_expert = N_EXPERT, m.e.n_used = N_USED, m.e.normalise = dressed;
    if (!dressed) return;
    m.e.gating = &clamped, m.e.router_bias = normals(N_EXPERT, 0.5f);
    m.e.gate_bias = normals((size_t)(N_EXPERT * ffn), 0.5f);
    m.e.up_bias = normals((size_t)(N_EXPERT * ffn), 0.5f);
    m.e.down_bias = normals((size_t)(N_EXPERT * dim), 1);
}

static double bias_of(const float *table, size_t at)
{
    return table ? (double)table[at] : 0;
}

static double dot(const struct k_matrix &w, size_t row, const double *x, double bias)
{
    for (size_t c = 0; c < (size_t)w.n_col; c++) bias += weight_of(w, row, c) * x[c];
    return bias;
}

// What expert n makes of a token's x, times `weight`, is added to y.
static void add_expert(const struct k_experts &e, size_t n, const double *x, double weight,
                       double *y)
{
    size_t ffn = (size_t)e.gate->n_row, dim = (size_t)e.down->n_row;
    const struct k_gating how = gating_of(e.gating);
    double limit = (double)how.limit;
    numbers mid(ffn);
    for (size_t r = 0; r < ffn; r++) {
        double gate = dot(e.gate[n], r, x, bias_of(e.gate_bias, n * ffn + r)),
               up = dot(e.up[n], r, x, bias_of(e.up_bias, n * ffn + r));
        gate = fmin(gate, limit), up = fmin(fmax(up, -limit), limit);
        mid[r] = gate / (1 + exp(-(double)how.slope * gate)) * (up + (double)how.shift);
    }
    for (size_t r = 0; r < dim; r++)
        y[r] += weight * dot(e.down[n], r, mid.data(), bias_of(e.down_bias, n * dim + r));
}

static void mix_plainly(const struct k_experts &e, const double *x, double *y)
{
    double score[N_EXPERT], all = 0, chosen = 0;
    bool used[N_EXPERT] = {};
    for (size_t n = 0; n < N_EXPERT; n++)
        all += score[n] = exp(dot(*e.router, n, x, bias_of(e.router_bias, n)));
    for (int k = 0; k < N_USED; k++) {
        int best = -1;
        for (int n = 0; n < N_EXPERT; n++)
            if (!used[n] && (best < 0 || score[n] > score[best])) best = n;
        used[best] = true, chosen += score[best];
    }
    for (size_t n = 0; n < N_EXPERT; n++)
        if (used[n]) add_expert(e, n, x, score[n] / (e.normalise ? chosen : all), y);
}

static void check_experts(int form, int n_token, int dim, int ffn, bool dressed)
{
    k_device device = {};
    struct mixture m;
    make_experts(m, form, dim, ffn, dressed);
    if (cuda_list_experts(&device, &m.e, &m.e.list)) fail_msg("no list");
    struct k_act a = act(n_token, dim);
    size_t n = (size_t)(n_token * dim);
    float *x = normals(n, 1);
    numbers want(x, x + n), in(a.x, a.x + n);
    for (size_t at = 0; at < n; at += (size_t)dim) mix_plainly(m.e, &in[at], &want[at]);
    struct k_mix mix = {};
    mix.experts = &m.e, mix.x = x, mix.room = many<float>(cuda_mix_room(&m.e, n_token));
    cuda_mix(&device, &a, &mix, n_token);
    char what[96];
    snprintf(what, sizeof what, "experts of form %d [%d, %d] x %d%s%s", form, ffn, dim, n_token,
             dressed ? ", with biases" : "", a.form == FORM_SHORT ? "" : ", plain");
    // As what goes on from gate and up is short.
    check(what, x, want, a.form != FORM_SHORT ? 1e-4 : form == W_BF16 ? 1e-2 : 5e-3);
    cudaFree(m.e.list);
    forget_all();
}

template <int FORM> static void test_experts(void **)
{
    constexpr bool is_fp4 = unit<FORM>::is_fp4;
    check_experts(FORM, 12, 256, 128, false);
    check_experts(FORM, 150, 128, 192, true);
    check_experts(FORM, 3, 256, 128, true);
    if (!is_fp4) return;
    check_experts(FORM, 40, 448, 320, true);
    check_experts(FORM, 9, 64, 576, true);
    check_experts(FORM, 10, 96, 32, true);
}

int main(int n_arg, char **args)
{
    const struct CMUnitTest tests[] = {
        {"bf16", test_products<W_BF16>, NULL, NULL, NULL},
        {"fp8", test_products<W_E4M3>, NULL, NULL, NULL},
        {"fp8 in blocks", test_products<W_E4M3_BLOCK>, NULL, NULL, NULL},
        {"nvfp4", test_products<W_NVFP4>, NULL, NULL, NULL},
        {"mxfp4", test_products<W_MXFP4>, NULL, NULL, NULL},
        {"bf16 experts", test_experts<W_BF16>, NULL, NULL, NULL},
        {"fp8 experts", test_experts<W_E4M3>, NULL, NULL, NULL},
        {"fp8 experts in blocks", test_experts<W_E4M3_BLOCK>, NULL, NULL, NULL},
        {"nvfp4 experts", test_experts<W_NVFP4>, NULL, NULL, NULL},
        {"mxfp4 experts", test_experts<W_MXFP4>, NULL, NULL, NULL},
    };
    if (n_arg > 1) cmocka_set_test_filter(args[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
