// Products for many tokens whose activations may be e4m3, too, through cuBLASLt: y = x W^T with x
// rounded to e4m3, one scale for each token. Bound by multiply-adds, which are twice as fast as
// those of 16 bits.
//
// The library is opened when it is first wanted, so that a build runs where it is not installed;
// then nothing is taken here. Whether it takes a shape is asked once for each (AlgoGetHeuristic):
//
//   row scales   scales of rows of W and of x within the product (Hopper)
//   no scales    1 and 1, and the scales in a pass behind it (GB10, which has no row scales)
//
// x comes from the f16 that its producer left, and is rounded once however many products read it.
#include "kernels/cuda.h"

#include <cublasLt.h>
#include <dlfcn.h>
#include <map>
#include <tuple>

enum { WORKSPACE_BYTES = 32 << 20, TURN_THREADS = 256 };

struct plan {
    bool works, row_scales;
    cublasLtMatmulDesc_t op;
    cublasLtMatrixLayout_t w, x, y;
    cublasLtMatmulAlgo_t algo;
};

struct cuda_lt {
    void *library;
    cublasLtHandle_t handle; // NULL: cannot be used
    char why[128];           // then
    void *workspace;
    float *one;                                      // 1, in device memory
    std::map<std::tuple<int, int, int>, plan> plans; // by rows, columns, tokens
    decltype(&cublasLtCreate) create;
    decltype(&cublasLtDestroy) destroy;
    decltype(&cublasLtMatmul) matmul;
    decltype(&cublasLtMatmulDescCreate) op_create;
    decltype(&cublasLtMatmulDescDestroy) op_destroy;
    decltype(&cublasLtMatmulDescSetAttribute) op_set;
    decltype(&cublasLtMatrixLayoutCreate) layout_create;
    decltype(&cublasLtMatrixLayoutDestroy) layout_destroy;
    decltype(&cublasLtMatmulPreferenceCreate) preference_create;
    decltype(&cublasLtMatmulPreferenceDestroy) preference_destroy;
    decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set;
    decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic;
};

static bool find_all(struct cuda_lt *t)
{
    const struct {
        void **to;
        const char *name;
    } names[] = {
        {(void **)&t->create, "cublasLtCreate"},
        {(void **)&t->destroy, "cublasLtDestroy"},
        {(void **)&t->matmul, "cublasLtMatmul"},
        {(void **)&t->op_create, "cublasLtMatmulDescCreate"},
        {(void **)&t->op_destroy, "cublasLtMatmulDescDestroy"},
        {(void **)&t->op_set, "cublasLtMatmulDescSetAttribute"},
        {(void **)&t->layout_create, "cublasLtMatrixLayoutCreate"},
        {(void **)&t->layout_destroy, "cublasLtMatrixLayoutDestroy"},
        {(void **)&t->preference_create, "cublasLtMatmulPreferenceCreate"},
        {(void **)&t->preference_destroy, "cublasLtMatmulPreferenceDestroy"},
        {(void **)&t->preference_set, "cublasLtMatmulPreferenceSetAttribute"},
        {(void **)&t->heuristic, "cublasLtMatmulAlgoGetHeuristic"},
    };
    for (const auto &n : names)
        if (!(*n.to = dlsym(t->library, n.name))) return false;
    return true;
}

bool cuda_lt_open(k_device *d)
{
    static const float one = 1;
    struct cuda_lt *t = d->lt = new cuda_lt();
    char name[64];
    snprintf(name, sizeof name, "libcublasLt.so.%d", CUBLAS_VER_MAJOR);
    t->library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!t->library) {
        snprintf(t->why, sizeof t->why, "%s is not installed", name);
        return true; // then without
    }
    bool complete = find_all(t);
    if (!complete || t->create(&t->handle) != CUBLAS_STATUS_SUCCESS) {
        snprintf(t->why, sizeof t->why, complete ? "%s cannot be used here" : "%s lacks functions",
                 name);
        t->handle = NULL;
        return true;
    }
    return cuda_check(d, cudaMalloc(&t->workspace, WORKSPACE_BYTES), "scratch") &&
           cuda_check(d, cudaMalloc(&t->one, sizeof one), "scratch") &&
           cuda_check(d, cudaMemcpy(t->one, &one, sizeof one, cudaMemcpyHostToDevice), "scratch");
}

static void drop_plan(struct cuda_lt *t, struct plan *p)
{
    if (p->op) t->op_destroy(p->op);
    if (p->w) t->layout_destroy(p->w);
    if (p->x) t->layout_destroy(p->x);
    if (p->y) t->layout_destroy(p->y);
    *p = plan();
}

void cuda_lt_close(k_device *d)
{
    struct cuda_lt *t = d->lt;
    if (!t) return;
    for (auto &entry : t->plans) drop_plan(t, &entry.second);
    if (t->handle) t->destroy(t->handle);
    cudaFree(t->workspace);
    cudaFree(t->one);
    if (t->library) dlclose(t->library);
    delete t;
    d->lt = NULL;
}

template <typename T>
static bool set(struct cuda_lt *t, cublasLtMatmulDesc_t op, cublasLtMatmulDescAttributes_t what,
                T value)
{
    return t->op_set(op, what, &value, sizeof value) == CUBLAS_STATUS_SUCCESS;
}

// cuBLASLt thinks in columns: W [n_row, n_col] by rows is its transpose by columns, and so is y.
static bool make_plan(struct cuda_lt *t, struct plan *p, int n_row, int n_col, int n_token,
                      bool row_scales)
{
    cublasLtMatmulPreference_t preference = NULL;
    cublasLtMatmulHeuristicResult_t found = {};
    size_t workspace = WORKSPACE_BYTES;
    int n_found = 0, mode = row_scales ? CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F
                                       : CUBLASLT_MATMUL_MATRIX_SCALE_SCALAR_32F;
    uint64_t rows = (uint64_t)n_row, cols = (uint64_t)n_col, tokens = (uint64_t)n_token;
    *p = plan();
    p->row_scales = row_scales;
    // A pointer must be set for the heuristic; the true ones are set for each product.
    bool ok =
        t->op_create(&p->op, CUBLAS_COMPUTE_32F, CUDA_R_32F) == CUBLAS_STATUS_SUCCESS &&
        set(t, p->op, CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T) &&
        set(t, p->op, CUBLASLT_MATMUL_DESC_TRANSB, CUBLAS_OP_N) &&
        set(t, p->op, CUBLASLT_MATMUL_DESC_A_SCALE_MODE, mode) &&
        set(t, p->op, CUBLASLT_MATMUL_DESC_B_SCALE_MODE, mode) &&
        set(t, p->op, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, (const void *)t->one) &&
        set(t, p->op, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, (const void *)t->one) &&
        t->layout_create(&p->w, CUDA_R_8F_E4M3, cols, rows, n_col) == CUBLAS_STATUS_SUCCESS &&
        t->layout_create(&p->x, CUDA_R_8F_E4M3, cols, tokens, n_col) == CUBLAS_STATUS_SUCCESS &&
        t->layout_create(&p->y, CUDA_R_32F, rows, tokens, n_row) == CUBLAS_STATUS_SUCCESS &&
        t->preference_create(&preference) == CUBLAS_STATUS_SUCCESS &&
        t->preference_set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace,
                          sizeof workspace) == CUBLAS_STATUS_SUCCESS &&
        t->heuristic(t->handle, p->op, p->w, p->x, p->y, p->y, preference, 1, &found, &n_found) ==
            CUBLAS_STATUS_SUCCESS &&
        n_found == 1;
    if (preference) t->preference_destroy(preference);
    if (!ok) {
        drop_plan(t, p);
        return false;
    }
    p->algo = found.algo;
    return p->works = true;
}

static struct plan *plan_of(k_device *d, const struct k_matrix *w, int n_token)
{
    struct cuda_lt *t = d->lt;
    auto key = std::make_tuple(w->n_row, w->n_col, n_token);
    auto at = t->plans.find(key);
    if (at != t->plans.end()) return &at->second;
    struct plan p;
    if (!make_plan(t, &p, w->n_row, w->n_col, n_token, true))
        make_plan(t, &p, w->n_row, w->n_col, n_token, false);
    return &(t->plans[key] = p);
}

const char *cuda_lt_refuses(k_device *d, const struct k_product *p, int n_token)
{
    const struct k_matrix *w = p->w;
    if (w->type != K_E4M3) return "";
    if (w->block) return "cuBLASLt is not asked about blocks";
    if (!w->short_x) return "the model wants longer activations than FP8";
    if (!w->scale || p->bias) return "cuBLASLt is not asked without scales, or with a bias";
    if (!d->lt->handle) return d->lt->why;
    if (w->n_row % 16 || w->n_col % 16) return "cuBLASLt needs multiples of 16";
    return plan_of(d, w, n_token)->works ? NULL : "cuBLASLt refuses the shape";
}

bool cuda_lt_scales_rows(k_device *d, const struct k_matrix *w, int n_token)
{
    return plan_of(d, w, n_token)->row_scales;
}

bool cuda_lt_takes(k_device *d, const k_act *a, const struct k_product *p, int n_token)
{
    return a->form == FORM_SHORT && a->q && !cuda_lt_refuses(d, p, n_token);
}

// One block per token: its largest value becomes 448, the largest e4m3.
__global__ void shorten_kernel(unsigned char *q, float *scale, const uint16_t *x, int n_col)
{
    __shared__ float largest[TURN_THREADS / 32];
    const uint4 *from = (const uint4 *)(x + (size_t)blockIdx.x * n_col);
    uint2 *to = (uint2 *)(q + (size_t)blockIdx.x * n_col);
    float top = 0;
    for (int i = threadIdx.x; i < n_col / 8; i += TURN_THREADS) {
        uint4 v = from[i];
        const __half2 *h = (const __half2 *)&v;
#pragma unroll
        for (int k = 0; k < 4; k++)
            top = fmaxf(top, fmaxf(fabsf(__low2float(h[k])), fabsf(__high2float(h[k]))));
    }
    top = warp_max(top);
    if (threadIdx.x % 32 == 0) largest[threadIdx.x / 32] = top;
    __syncthreads();
#pragma unroll
    for (int i = 0; i < TURN_THREADS / 32; i++) top = fmaxf(top, largest[i]);
    float unit = top > 0 ? top / 448 : 1, by = 1 / unit;
    if (threadIdx.x == 0) scale[blockIdx.x] = unit / F16_UNIT;
    for (int i = threadIdx.x; i < n_col / 8; i += TURN_THREADS) {
        uint4 v = from[i];
        const __half2 *h = (const __half2 *)&v;
        unsigned pair[4];
#pragma unroll
        for (int k = 0; k < 4; k++) {
            float2 f = make_float2(__low2float(h[k]) * by, __high2float(h[k]) * by);
            pair[k] = __nv_cvt_float2_to_fp8x2(f, __NV_SATFINITE, __NV_E4M3);
        }
        to[i] = make_uint2(pair[0] | pair[1] << 16, pair[2] | pair[3] << 16);
    }
}

// out (+)= y * scale of the row * scale of the token, for y without scales.
__global__ void scale_kernel(float *out, const float *y, const float *of_row, const float *of_token,
                             int n_row, size_t n, bool add)
{
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float v = y[i] * of_row[i % n_row] * of_token[i / n_row];
    out[i] = add ? out[i] + v : v;
}

void cuda_lt_product(k_device *d, k_act *a, const struct k_product *p, int n_token)
{
    struct cuda_lt *t = d->lt;
    const struct k_matrix *w = p->w;
    struct plan *plan = plan_of(d, w, n_token);
    const float one = 1, beta = p->add && plan->row_scales ? 1.0f : 0.0f;
    if (a->q_form != Q_TOKEN) {
        shorten_kernel<<<(unsigned)n_token, TURN_THREADS, 0, d->stream>>>(a->q, a->q_scale,
                                                                          a->hi[X_F16], w->n_col);
        cuda_check(d, cudaGetLastError(), "rounding activations");
        a->q_form = Q_TOKEN;
    }
    // Without row scales the product goes to scratch, which holds what a layer's widest matrix
    // makes.
    float *y = plan->row_scales ? p->out : d->scratch[1];
    bool ok = true;
    if (plan->row_scales)
        ok = set(t, plan->op, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, (const void *)w->scale) &&
             set(t, plan->op, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, (const void *)a->q_scale);
    cublasStatus_t rc = CUBLAS_STATUS_INVALID_VALUE;
    if (ok)
        rc = t->matmul(t->handle, plan->op, &one, w->data, plan->w, a->q, plan->x, &beta, y,
                       plan->y, y, plan->y, &plan->algo, t->workspace, WORKSPACE_BYTES, d->stream);
    if (rc != CUBLAS_STATUS_SUCCESS) {
        char where[64];
        snprintf(where, sizeof where, "cuBLASLt, status %d", (int)rc);
        cuda_check(d, cudaErrorUnknown, where);
    }
    if (plan->row_scales) return;
    size_t n = (size_t)n_token * (size_t)w->n_row;
    scale_kernel<<<(unsigned)((n + TURN_THREADS - 1) / TURN_THREADS), TURN_THREADS, 0, d->stream>>>(
        p->out, y, w->scale, a->q_scale, w->n_row, n, p->add);
    cuda_check(d, cudaGetLastError(), "scales");
}
