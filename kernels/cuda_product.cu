// Products for many tokens, y [n_token, n_row] = x W^T, and for shapes that nothing faster takes.
//
// Many tokens: bound by multiply-adds. 8B weights and 2048 tokens are 31 TFLOP: 0.04 s at an
// H200's 790 TFLOP/s of bf16.
#include "kernels/cuda_unpack.h"

// The definition: one warp per row of W, in f32. For shapes that are no multiple of anything.
enum { PLAIN_WARPS = 8, PLAIN_TOKENS = 8 };

__global__ void product_plain_kernel(struct k_product p, struct k_matrix w, const float *x,
                                     int n_token)
{
    int row = (int)(blockIdx.x * PLAIN_WARPS + threadIdx.x / 32), lane = (int)threadIdx.x % 32;
    int first = (int)blockIdx.y * PLAIN_TOKENS, n = min(PLAIN_TOKENS, n_token - first);
    float sum[PLAIN_TOKENS] = {0};
    if (row >= w.n_row) return;
    for (int c = lane; c < w.n_col; c += 32) {
        float value = weight_value(w, (size_t)row, (size_t)c);
#pragma unroll
        for (int t = 0; t < PLAIN_TOKENS; t++)
            if (t < n) sum[t] += value * x[(size_t)(first + t) * w.n_col + c];
    }
#pragma unroll
    for (int t = 0; t < PLAIN_TOKENS; t++) {
        float y = warp_sum(sum[t]);
        if (t >= n || lane) continue;
        float *out = p.out + (size_t)(first + t) * w.n_row + row;
        if (w.scale) y *= w.scale[row];
        if (p.bias) y += p.bias[row];
        *out = p.add ? *out + y : y;
    }
}

void cuda_matmul(k_device *d, const float *x, int n_token, const struct k_product *p, int n_product)
{
    for (int i = 0; i < n_product; i++) {
        dim3 grid((unsigned)(p[i].w->n_row + PLAIN_WARPS - 1) / PLAIN_WARPS,
                  (unsigned)(n_token + PLAIN_TOKENS - 1) / PLAIN_TOKENS);
        product_plain_kernel<<<grid, 32 * PLAIN_WARPS, 0, d->stream>>>(p[i], *p[i].w, x, n_token);
        cuda_check(d, cudaGetLastError(), "matmul");
    }
}

// Tensor cores: a block makes 128 rows by 128 tokens, a warp 32 rows by 64 tokens of it. Weights
// and x come through shared memory in units (cuda_unpack.h), some units ahead; each warp unpacks
// its rows once and meets 8 blocks of tokens with them.
enum { TILE = 128, GEMM_WARPS = 8, GEMM_THREADS = 32 * GEMM_WARPS };

template <int FORM> struct stage {
    static constexpr int row_bytes = unit<FORM>::columns * 2; // of a token's columns
    static constexpr int scale_bytes = FORM == W_E4M3_BLOCK ? 4 : unit<FORM>::scale_bytes;
    static constexpr int weights = TILE * (int)UNIT_BYTES, scales = TILE * scale_bytes;
    static constexpr int size = weights + scales + TILE * row_bytes;
    static constexpr int n_stage = unit<FORM>::is_fp4 ? 2 : 3; // GB10 has 99 KB for a block
    static constexpr int all = n_stage * size;
};

// Where a token's 16-byte piece c of a unit lies, so that the eight lanes that are served together
// (two tokens, four columns each) meet different banks.
template <int FORM> static __device__ __forceinline__ int piece_at(int token, int c)
{
    if constexpr (FORM == W_BF16) return token * 4 + c;
    if constexpr (FORM == W_E4M3 || FORM == W_E4M3_BLOCK) return token * 8 + (c ^ (token & 1));
    return token * 16 + (c ^ (c >> 3 | (token & 1) << 1));
}

struct gemm_job {
    struct k_matrix w;
    const uint16_t *x; // [n_token, n_col] of the kind that the weights' form wants
    const float *bias;
    float *out;
    int n_token;
    bool add;
};

template <int FORM>
static __device__ __forceinline__ void load_stage(const struct gemm_job &j, unsigned char *to,
                                                  int u, int row0, int token0)
{
    constexpr int scale_bytes = stage<FORM>::scale_bytes, pieces = stage<FORM>::row_bytes / 16;
    const unsigned char *data = (const unsigned char *)j.w.data,
                        *block = (const unsigned char *)j.w.block;
    size_t row_bytes = FORM == W_BF16                       ? 2 * (size_t)j.w.n_col
                       : FORM == W_NVFP4 || FORM == W_MXFP4 ? (size_t)j.w.n_col / 2
                                                            : (size_t)j.w.n_col;
    for (int i = (int)threadIdx.x; i < TILE * 4; i += GEMM_THREADS) {
        size_t row = (size_t)min(row0 + i / 4, j.w.n_row - 1);
        copy_16(to + i * 16, data + row * row_bytes + (size_t)u * (size_t)UNIT_BYTES + i % 4 * 16);
    }
    if constexpr (scale_bytes > 0) {
        for (int i = (int)threadIdx.x; i < TILE * scale_bytes / 4; i += GEMM_THREADS) {
            size_t row = (size_t)min(row0 + i * 4 / scale_bytes, j.w.n_row - 1), at;
            if (FORM == W_E4M3_BLOCK)
                at = (row / 128 * (size_t)((j.w.n_col + 127) / 128) + (size_t)u / 2) * 4;
            else
                at = row * (size_t)(j.w.n_col / (FORM == W_NVFP4 ? 16 : 32)) +
                     (size_t)(u * scale_bytes + i * 4 % scale_bytes);
            copy_4(to + stage<FORM>::weights + i * 4, block + at);
        }
    }
    unsigned char *x = to + stage<FORM>::weights + stage<FORM>::scales;
    for (int i = (int)threadIdx.x; i < TILE * pieces; i += GEMM_THREADS) {
        size_t token = (size_t)min(token0 + i / pieces, j.n_token - 1);
        copy_16(x + piece_at<FORM>(i / pieces, i % pieces) * 16,
                j.x + token * (size_t)j.w.n_col +
                    (size_t)(u * unit<FORM>::columns + i % pieces * 8));
    }
}

template <int FORM>
static __device__ __forceinline__ void multiply_stage(float acc[2][8][4], const unsigned char *from,
                                                      int warp, int lane)
{
    constexpr int n = 2 * unit<FORM>::steps, lane_pieces = unit<FORM>::lane_columns / 8,
                  scale_bytes = stage<FORM>::scale_bytes;
    const unsigned char *scales = from + stage<FORM>::weights;
    const uint4 *x = (const uint4 *)(scales + stage<FORM>::scales);
    int g = lane / 4, t = lane % 4, row = warp % 4 * 32, token = warp / 4 * 64;
    unsigned a[2][2][n];
#pragma unroll
    for (int m = 0; m < 2; m++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            int r = row + m * 16 + h * 8 + g;
            unpack_row<FORM>(((const uint4 *)from)[r * 4 + t],
                             lane_scales<FORM>(scales + r * scale_bytes, t), a[m][h]);
        }
#pragma unroll
    for (int b = 0; b < 8; b++) {
        unsigned v[n];
        float c[2][4] = {};
#pragma unroll
        for (int i = 0; i < lane_pieces; i++) {
            uint4 p = x[piece_at<FORM>(token + b * 8 + g, t * lane_pieces + i)];
            v[4 * i] = p.x, v[4 * i + 1] = p.y, v[4 * i + 2] = p.z, v[4 * i + 3] = p.w;
        }
#pragma unroll
        for (int m = 0; m < 2; m++) {
            float *sum = FORM == W_E4M3_BLOCK ? c[m] : acc[m][b];
#pragma unroll
            for (int s = 0; s < n / 2; s++) {
                const unsigned f[4] = {a[m][0][2 * s], a[m][1][2 * s], a[m][0][2 * s + 1],
                                       a[m][1][2 * s + 1]};
                mma_unit<FORM>(sum, f, v[2 * s], v[2 * s + 1]);
            }
            if constexpr (FORM == W_E4M3_BLOCK) {
                float s0 = ((const float *)scales)[row + m * 16 + g],
                      s1 = ((const float *)scales)[row + m * 16 + 8 + g];
                acc[m][b][0] += c[m][0] * s0, acc[m][b][1] += c[m][1] * s0;
                acc[m][b][2] += c[m][2] * s1, acc[m][b][3] += c[m][3] * s1;
            }
        }
    }
}

template <int FORM>
__global__ void __launch_bounds__(GEMM_THREADS, 1)
    gemm_kernel(const __grid_constant__ struct gemm_job j)
{
    constexpr int n_stage = stage<FORM>::n_stage;
    extern __shared__ __align__(128) unsigned char shared[];
    int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    int row0 = (int)blockIdx.x * TILE, token0 = (int)blockIdx.y * TILE,
        n_unit = j.w.n_col / unit<FORM>::columns;
    float acc[2][8][4] = {};
#pragma unroll
    for (int i = 0; i < n_stage - 1; i++) {
        if (i < n_unit) load_stage<FORM>(j, shared + i * stage<FORM>::size, i, row0, token0);
        copy_commit();
    }
    for (int u = 0; u < n_unit; u++) {
        copy_wait<n_stage - 2>();
        __syncthreads();
        int next = u + n_stage - 1;
        if (next < n_unit)
            load_stage<FORM>(j, shared + next % n_stage * stage<FORM>::size, next, row0, token0);
        copy_commit();
        multiply_stage<FORM>(acc, shared + u % n_stage * stage<FORM>::size, warp, lane);
    }
    int g = lane / 4, t = lane % 4;
#pragma unroll
    for (int m = 0; m < 2; m++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            int row = row0 + warp % 4 * 32 + m * 16 + h * 8 + g;
            if (row >= j.w.n_row) continue;
            float scale = j.w.scale ? j.w.scale[row] : 1, bias = j.bias ? j.bias[row] : 0;
#pragma unroll
            for (int b = 0; b < 8; b++)
#pragma unroll
                for (int k = 0; k < 2; k++) {
                    int token = token0 + warp / 4 * 64 + b * 8 + t * 2 + k;
                    if (token >= j.n_token) continue;
                    float *out = j.out + (size_t)token * (size_t)j.w.n_row + row;
                    float y = acc[m][b][2 * h + k] * unit<FORM>::factor * scale + bias;
                    *out = j.add ? *out + y : y;
                }
        }
}

typedef void (*gemm_function)(struct gemm_job);

static const struct {
    gemm_function kernel;
    int shared;
} gemms[W_N_FORM] = {
    {gemm_kernel<W_BF16>, stage<W_BF16>::all},
    {gemm_kernel<W_E4M3>, stage<W_E4M3>::all},
    {gemm_kernel<W_E4M3_BLOCK>, stage<W_E4M3_BLOCK>::all},
    {gemm_kernel<W_NVFP4>, stage<W_NVFP4>::all},
    {gemm_kernel<W_MXFP4>, stage<W_MXFP4>::all},
};

bool cuda_gemm_takes(const struct k_matrix *w)
{
    int form = weight_form(w), step = form == W_NVFP4 || form == W_MXFP4 ? 128 : COLUMNS_STEP;
    return form != W_N_FORM && w->n_col % step == 0 && (uintptr_t)w->data % 16 == 0;
}

void cuda_gemm(k_device *d, const k_act *a, int n_token, const struct k_product *p)
{
    int form = weight_form(p->w);
    struct gemm_job j = {*p->w, a->hi[form == W_BF16 ? X_BF16 : X_F16], p->bias, p->out, n_token,
                         p->add};
    dim3 grid((unsigned)(p->w->n_row + TILE - 1) / TILE, (unsigned)(n_token + TILE - 1) / TILE);
    // Cheap, and needed once per device: it is not worth a place to remember it.
    cuda_check(d,
               cudaFuncSetAttribute(gemms[form].kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    gemms[form].shared),
               "shared memory of a product");
    gemms[form].kernel<<<grid, GEMM_THREADS, (size_t)gemms[form].shared, d->stream>>>(j);
    cuda_check(d, cudaGetLastError(), "a product for many tokens");
}
