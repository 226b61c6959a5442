// Products for many tokens, y [n_token, n_row] = x W^T, and for shapes that nothing faster takes.
//
// Many tokens: bound by multiply-adds. 8B weights and 2048 tokens are 31 TFLOP: 0.04 s at an
// H200's 790 TFLOP/s of bf16.
#include "kernels/cuda_experts.h"

// The definition: one warp per row of W, in f32. For shapes that are no multiple of anything.
enum { PLAIN_WARPS = 8, PLAIN_TOKENS = 8 };

__global__ void product_plain_kernel(struct k_product p, struct k_matrix w, const float *x,
                                     int n_token)
{
    int row = (int)(blockIdx.x * PLAIN_WARPS + threadIdx.x / 32), lane = (int)threadIdx.x % 32;
    int first = (int)blockIdx.y * PLAIN_TOKENS, n = min((int)PLAIN_TOKENS, n_token - first);
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
        cuda_launch(d, "matmul", product_plain_kernel, grid, 32 * PLAIN_WARPS, 0, p[i],
                    with_steps(p[i].w), x, n_token);
    }
}

// Tensor cores: a block makes 128 rows by 128 tokens, a warp 32 rows by 64 tokens of it; of an
// expert's run, which is short, half as many tokens. Weights and x come through shared memory in
// units (cuda_unpack.h), some units ahead; each warp unpacks its rows once and meets all of its
// blocks of 8 tokens with them.
//
// Experts: "tokens" are places of a run (cuda_experts.h). ONE_GATE: x is that of the place's token,
// and of the 128 rows every other 8 are of gate and of up, so that one lane has both of a result;
// ONE_DOWN: x and out are sorted.
enum { TILE = 128, GEMM_WARPS = 8, GEMM_THREADS = 32 * GEMM_WARPS };
enum gemm_kind { ALL, ONE_GATE, ONE_DOWN };

static constexpr __host__ __device__ int tokens_of(int kind)
{
    return kind == ALL ? (int)TILE : (int)RUN_TILE;
}

template <int FORM, int KIND> struct stage {
    static constexpr int row_bytes = unit<FORM>::columns * 2; // of a token's columns
    static constexpr int scale_bytes = FORM == W_E4M3_BLOCK ? 4 : unit<FORM>::scale_bytes;
    static constexpr int weights = TILE * (int)UNIT_BYTES, scales = TILE * scale_bytes;
    static constexpr int tokens = tokens_of(KIND);
    static constexpr int size = weights + scales + tokens * row_bytes;
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
    struct k_matrix w; // ALL
    const uint16_t *x; // [n_token, n_col] of the kind that the weights' form wants
    const float *bias;
    float *out;
    int n_token;
    bool add;
};

struct run_job {
    const struct k_matrix *list;
    const uint16_t *x; // ONE_GATE [n_token, n_col], ONE_DOWN [pairs, n_col]
    struct expert_runs runs;
    uint16_t *mid; // ONE_GATE
    float *out;    // ONE_DOWN
    struct expert_ends ends;
};

// The matrix that row r of a block's is of, and its row there.
template <int KIND>
static __device__ __forceinline__ const struct k_matrix &row_at(const struct k_matrix *w, int row0,
                                                                int r, size_t *row)
{
    int part = KIND == ONE_GATE ? r / 8 % 2 : 0;
    int at = KIND == ONE_GATE ? row0 + r / 16 * 8 + r % 8 : row0 + r;
    *row = (size_t)min(at, w[part].n_row - 1);
    return w[part];
}

// The rows of x that a block's tokens have: one after the other up to the last, or as `row` says.
struct token_rows {
    int first, last;
    const int *row;
};

template <int KIND>
static __device__ __forceinline__ size_t token_row(const struct token_rows &rows, int i)
{
    return KIND == ALL ? (size_t)min(rows.first + i, rows.last) : (size_t)rows.row[i];
}

// w: one matrix, or gate and up.
template <int FORM, int KIND>
static __device__ __forceinline__ void load_stage(const struct k_matrix *w, const uint16_t *x_all,
                                                  const struct token_rows &rows, unsigned char *to,
                                                  int u, int row0)
{
    using stage = struct stage<FORM, KIND>;
    constexpr int scale_bytes = stage::scale_bytes, pieces = stage::row_bytes / 16;
    size_t n_col = (size_t)w->n_col;
    // Of FP4 the last unit may have fewer columns: what there is of weights behind them meets
    // zeros.
    constexpr bool is_fp4 = unit<FORM>::is_fp4;
    size_t row_bytes = is_fp4 ? w->data_step : FORM == W_BF16 ? 2 * n_col : n_col;
    for (int i = (int)threadIdx.x; i < TILE * 4; i += GEMM_THREADS) {
        size_t row;
        const struct k_matrix &m = row_at<KIND>(w, row0, i / 4, &row);
        copy_16(to + i * 16, (const unsigned char *)m.data + row * row_bytes +
                                 (size_t)u * (size_t)UNIT_BYTES + i % 4 * 16);
    }
    if constexpr (scale_bytes > 0) {
        for (int i = (int)threadIdx.x; i < TILE * scale_bytes / 4; i += GEMM_THREADS) {
            size_t row, at;
            const struct k_matrix &m = row_at<KIND>(w, row0, i * 4 / scale_bytes, &row);
            if (FORM == W_E4M3_BLOCK)
                at = (row / 128 * ((n_col + 127) / 128) + (size_t)u / 2) * 4;
            else
                at = row * w->block_step + (size_t)(u * scale_bytes + i * 4 % scale_bytes);
            copy_4(to + stage::weights + i * 4, (const unsigned char *)m.block + at);
        }
    }
    unsigned char *x = to + stage::weights + stage::scales;
    for (int i = (int)threadIdx.x; i < stage::tokens * pieces; i += GEMM_THREADS) {
        unsigned char *piece = x + piece_at<FORM>(i / pieces, i % pieces) * 16;
        int column = u * unit<FORM>::columns + i % pieces * 8;
        const uint16_t *from = x_all + token_row<KIND>(rows, i / pieces) * n_col + column;
        if constexpr (is_fp4)
            copy_16_or_zeros(piece, from, column < w->n_col);
        else
            copy_16(piece, from);
    }
}

// A warp's sums: 32 rows by BLOCKS times 8 tokens, of which the first n_token exist.
template <int FORM, int KIND>
static __device__ __forceinline__ void multiply_stage(float acc[2][tokens_of(KIND) / 16][4],
                                                      const unsigned char *from, int n_token,
                                                      int warp, int lane)
{
    using stage = struct stage<FORM, KIND>;
    constexpr int n = 2 * unit<FORM>::steps, lane_pieces = unit<FORM>::lane_columns / 8,
                  scale_bytes = stage::scale_bytes, blocks = stage::tokens / 16;
    const unsigned char *scales = from + stage::weights;
    const uint4 *x = (const uint4 *)(scales + stage::scales);
    int g = lane / 4, t = lane % 4, row = warp % 4 * 32, token = warp / 4 * (blocks * 8);
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
    for (int b = 0; b < blocks; b++) {
        if (KIND != ALL && token + b * 8 >= n_token) break;
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
                mma_unit<FORM>(false, sum, f, v[2 * s], v[2 * s + 1]);
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

// All columns of a block's rows and tokens.
template <int FORM, int KIND>
static __device__ __forceinline__ void
multiply_all(float acc[2][tokens_of(KIND) / 16][4], const struct k_matrix *w, const uint16_t *x,
             const struct token_rows &rows, int row0, int n_token, unsigned char *shared, int warp,
             int lane)
{
    using stage = struct stage<FORM, KIND>;
    constexpr int n_stage = stage::n_stage;
    int n_unit = (w->n_col + unit<FORM>::columns - 1) / unit<FORM>::columns;
#pragma unroll
    for (int i = 0; i < n_stage - 1; i++) {
        if (i < n_unit) load_stage<FORM, KIND>(w, x, rows, shared + i * stage::size, i, row0);
        copy_commit();
    }
    for (int u = 0; u < n_unit; u++) {
        copy_wait<n_stage - 2>();
        __syncthreads();
        int next = u + n_stage - 1;
        if (next < n_unit)
            load_stage<FORM, KIND>(w, x, rows, shared + next % n_stage * stage::size, next, row0);
        copy_commit();
        multiply_stage<FORM, KIND>(acc, shared + u % n_stage * stage::size, n_token, warp, lane);
    }
}

template <int FORM>
__global__ void __launch_bounds__(GEMM_THREADS, 1)
    gemm_kernel(const __grid_constant__ struct gemm_job j)
{
    DYNAMIC_SHARED(shared);
    int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    int row0 = (int)blockIdx.x * TILE, token0 = (int)blockIdx.y * TILE;
    float acc[2][8][4] = {};
    const struct token_rows rows = {token0, j.n_token - 1, nullptr};
    multiply_all<FORM, ALL>(acc, &j.w, j.x, rows, row0, TILE, shared, warp, lane);
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

// One tile of an expert's run.
template <int FORM, int KIND>
__global__ void __launch_bounds__(GEMM_THREADS, 1)
    run_kernel(const __grid_constant__ struct run_job j)
{
    constexpr int tokens = tokens_of(KIND), blocks = tokens / 16;
    DYNAMIC_SHARED(shared);
    __shared__ int row[tokens];
    __shared__ struct k_matrix w[2];
    int thread = (int)threadIdx.x, warp = thread / 32, lane = thread % 32;
    if ((int)blockIdx.y >= *j.runs.n_tile) return;
    struct run_tile tile = j.runs.tiles[blockIdx.y];
    int row0 = (int)blockIdx.x * (KIND == ONE_GATE ? TILE / 2 : TILE);
    if (thread < tokens) {
        int place = tile.first + min(thread, tile.n - 1);
        row[thread] = KIND == ONE_GATE ? j.runs.order[place] / j.runs.n_used : place;
    }
    if (thread < 2)
        w[thread] = j.list[tile.expert * EXPERT_MATRICES +
                           (KIND == ONE_GATE ? (int)EXPERT_GATE + thread : (int)EXPERT_DOWN)];
    __syncthreads();
    float acc[2][blocks][4] = {};
    multiply_all<FORM, KIND>(acc, w, j.x, {0, 0, row}, row0, tile.n, shared, warp, lane);
    int g = lane / 4, t = lane % 4;
#pragma unroll
    for (int i = 0; i < (KIND == ONE_GATE ? 2 : 4); i++) {
        int m = KIND == ONE_GATE ? i : i / 2, h = KIND == ONE_GATE ? 0 : i % 2;
        int r = KIND == ONE_GATE ? row0 + (warp % 4 * 2 + m) * 8 + g
                                 : row0 + warp % 4 * 32 + m * 16 + h * 8 + g;
        if (r >= w[0].n_row) continue;
        float scale = w[0].scale ? w[0].scale[r] : 1, up_scale = 1, up_bias = 0;
        float bias = expert_bias(KIND == ONE_GATE ? j.ends.gate_bias : j.ends.down_bias,
                                 tile.expert, w[0].n_row, r);
        if (KIND == ONE_GATE && w[1].scale) up_scale = w[1].scale[r];
        if (KIND == ONE_GATE) up_bias = expert_bias(j.ends.up_bias, tile.expert, w[0].n_row, r);
#pragma unroll
        for (int b = 0; b < blocks; b++)
#pragma unroll
            for (int k = 0; k < 2; k++) {
                int token = warp / 4 * (blocks * 8) + b * 8 + t * 2 + k;
                if (token >= tile.n) continue;
                size_t at = (size_t)(tile.first + token) * (size_t)w[0].n_row + (size_t)r;
                float y = acc[m][b][2 * h + k] * unit<FORM>::factor * scale + bias;
                if constexpr (KIND == ONE_GATE) {
                    float up = acc[m][b][2 + k] * unit<FORM>::factor * up_scale + up_bias;
                    y = gated(y, up, j.ends.gating);
                    j.mid[at] = unit<FORM>::kind == X_BF16 ? bf16_bits(y) : f16_bits(y * F16_UNIT);
                } else {
                    j.out[at] = y;
                }
            }
    }
}

typedef void (*gemm_function)(struct gemm_job);
typedef void (*run_function)(struct run_job);

static const struct {
    gemm_function kernel;
    int shared;
} gemms[W_N_FORM] = {
    {gemm_kernel<W_BF16>, stage<W_BF16, ALL>::all},
    {gemm_kernel<W_E4M3>, stage<W_E4M3, ALL>::all},
    {gemm_kernel<W_E4M3_BLOCK>, stage<W_E4M3_BLOCK, ALL>::all},
    {gemm_kernel<W_NVFP4>, stage<W_NVFP4, ALL>::all},
    {gemm_kernel<W_MXFP4>, stage<W_MXFP4, ALL>::all},
};

static const struct {
    run_function gate, down;
    int shared;
} run_gemms[W_N_FORM] = {
    {run_kernel<W_BF16, ONE_GATE>, run_kernel<W_BF16, ONE_DOWN>, stage<W_BF16, ONE_GATE>::all},
    {run_kernel<W_E4M3, ONE_GATE>, run_kernel<W_E4M3, ONE_DOWN>, stage<W_E4M3, ONE_GATE>::all},
    {run_kernel<W_E4M3_BLOCK, ONE_GATE>, run_kernel<W_E4M3_BLOCK, ONE_DOWN>,
     stage<W_E4M3_BLOCK, ONE_GATE>::all},
    {run_kernel<W_NVFP4, ONE_GATE>, run_kernel<W_NVFP4, ONE_DOWN>, stage<W_NVFP4, ONE_GATE>::all},
    {run_kernel<W_MXFP4, ONE_GATE>, run_kernel<W_MXFP4, ONE_DOWN>, stage<W_MXFP4, ONE_GATE>::all},
};

bool cuda_gemm_takes(const struct k_matrix *w)
{
    int form = weight_form(w);
    if (form == W_N_FORM || w->n_col % COLUMNS_STEP || (uintptr_t)w->data % 16) return false;
    if (form != W_NVFP4 && form != W_MXFP4) return true;
    size_t scales = (size_t)(w->n_col + 127) / 128 * (form == W_NVFP4 ? 8 : 4); // of whole units
    struct k_matrix m = with_steps(w);
    return m.data_step % 16 == 0 && m.block_step % 4 == 0 && m.block_step >= scales;
}

void cuda_gemm(k_device *d, const k_act *a, int n_token, const struct k_product *p)
{
    int form = weight_form(p->w);
    struct gemm_job j = {
        with_steps(p->w), a->hi[form == W_BF16 ? X_BF16 : X_F16], p->bias, p->out, n_token, p->add};
    dim3 grid((unsigned)(p->w->n_row + TILE - 1) / TILE, (unsigned)(n_token + TILE - 1) / TILE);
    // Cheap, and needed once per device: it is not worth a place to remember it.
    cuda_check(d,
               cudaFuncSetAttribute((const void *)gemms[form].kernel,
                                    cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    gemms[form].shared),
               "shared memory of a product");
    cuda_launch(d, "a product for many tokens", gemms[form].kernel, grid, GEMM_THREADS,
                (size_t)gemms[form].shared, j);
}

// Experts

static void run_gemm(k_device *d, run_function kernel, int shared, const struct run_job &j,
                     int n_row, int rows)
{
    dim3 grid((unsigned)(n_row + rows - 1) / (unsigned)rows, (unsigned)j.runs.tile_max);
    cuda_check(d,
               cudaFuncSetAttribute((const void *)kernel,
                                    cudaFuncAttributeMaxDynamicSharedMemorySize, shared),
               "shared memory of a product");
    cuda_launch(d, "a product of experts", kernel, grid, GEMM_THREADS, (size_t)shared, j);
}

void cuda_gemm_gate(k_device *d, const k_act *a, const struct k_experts *e,
                    const struct expert_runs &runs, uint16_t *mid)
{
    int form = weight_form(e->gate);
    struct run_job j = {(const struct k_matrix *)e->list,
                        a->hi[form == W_BF16 ? X_BF16 : X_F16],
                        runs,
                        mid,
                        nullptr,
                        ends_of(e)};
    run_gemm(d, run_gemms[form].gate, run_gemms[form].shared, j, e->gate->n_row, TILE / 2);
}

void cuda_gemm_down(k_device *d, const uint16_t *mid, const struct k_experts *e,
                    const struct expert_runs &runs, float *out)
{
    int form = weight_form(e->gate);
    struct run_job j = {(const struct k_matrix *)e->list, mid, runs, nullptr, out, ends_of(e)};
    run_gemm(d, run_gemms[form].down, run_gemms[form].shared, j, e->down->n_row, TILE);
}
