// Products for many tokens, y [n_token, n_row] = x W^T, in which x is rounded to what the weights
// are, so that tensor cores multiply the codes themselves. Only for weights that were made for it
// (short_x); ref stays exact.
//
//   NVFP4   x in e2m1 with an e4m3 scale for each 16 columns, one f32 for each token
//   e4m3    x in e4m3 with one f32 scale for each token and 128 columns; weights with a scale for
//           each 128 x 128, or for rows only
//
// Bound by multiply-adds. 8B weights and 2048 tokens are 31 TFLOP: GB10 has some 500 TFLOP/s of
// e2m1 and half of that of e4m3, against 125 of f16 (cuda_product.cu), so 0.06 s and 0.13 s at
// best. Reading the weights once takes it 0.02 s, so a wave of blocks must not read them twice:
// blocks of the same rows follow each other, and x, which all of them read, stays in the
// second-level cache.
//
// Tensor cores with e2m1 and scales (mma_nvfp4) exist on sm_12x only; those with e4m3 are
// instructions on sm_89 and sm_12x, and elsewhere cost more than products of f16. Which code the
// device runs is asked when it is opened, and what it has not is left to cuda_product.cu.
//
// Checked so far: by tests/kernels/test_short.cc, which runs this code on a CPU, where the
// instructions' layouts are written down from their documentation; and by
// tests/kernels/short_code.sh that compiled code has the instructions and keeps its sums in
// registers. test_kernels compares it with ref on a GPU that has them; no such run has been made
// yet, and no time was measured.
#include "kernels/cuda_experts.h"

enum { SHORT_NVFP4, SHORT_E4M3, N_SHORT };

// A block of 8 warps makes 256 rows by 128 tokens, a warp 32 rows of it, so that every code of W is
// unpacked once. Stages of 128 columns come through shared memory, as many as 99 KB hold.
//
// SHORT_GATE: of the 256 rows every other 8 are of gate and of up, so that one lane has both of a
// result, and what is written is silu(gate) * up, as short numbers: 4 bytes. To write both as f32
// and read them again is 16 more, which at 2048 tokens takes GB10 longer than the products.
//
// SHORT_RUN_GATE and SHORT_RUN_DOWN: of one tile of an expert's run (cuda_experts.h), with half as
// many tokens. Gate and up read x of a place's token and write to the place; down reads and writes
// places.
enum short_kind { SHORT_ALL, SHORT_GATE, SHORT_RUN_GATE, SHORT_RUN_DOWN, N_SHORT_KIND };
enum { ROWS = 256, TOKENS = 128, COLUMNS = 128, SHORT_THREADS = 256, WARP_ROWS = 32 };

static constexpr __host__ __device__ bool is_gate(int kind)
{
    return kind == SHORT_GATE || kind == SHORT_RUN_GATE;
}

static constexpr __host__ __device__ int tokens_of(int kind)
{
    return kind >= SHORT_RUN_GATE ? (int)RUN_TILE : (int)TOKENS;
}

template <int FORM, int KIND> struct short_stage {
    static constexpr int tokens = tokens_of(KIND);
    static constexpr bool is_fp4 = FORM == SHORT_NVFP4;
    static constexpr int row_bytes = is_fp4 ? COLUMNS / 2 : COLUMNS, pieces = row_bytes / 16;
    static constexpr int steps = row_bytes / 32; // of 32 bytes, what one instruction takes of a row
    static constexpr int w_scale_bytes = is_fp4 ? ROWS * COLUMNS / K_NVFP4_BLOCK : 16;
    static constexpr int x_scale_bytes = is_fp4 ? tokens * COLUMNS / K_NVFP4_BLOCK : tokens * 4;
    static constexpr int x = ROWS * row_bytes, w_scales = x + tokens * row_bytes,
                         x_scales = w_scales + w_scale_bytes, size = x_scales + x_scale_bytes;
    static constexpr int n_stage = is_fp4 ? 3 : 2, all = n_stage * size;
};
static_assert(short_stage<SHORT_NVFP4, SHORT_ALL>::all <= 99 << 10 &&
                  short_stage<SHORT_E4M3, SHORT_ALL>::all <= 99 << 10,
              "what sm_89 and sm_12x have for a block");

struct short_job {
    struct k_matrix w[2];   // SHORT_GATE: gate and up
    const unsigned char *x; // codes [n_token or pairs, n_col], e2m1 in the order of straighten
    const void *blocks;     // SHORT_NVFP4: e4m3 [.., n_col / 16]
    const float *scale;     // SHORT_NVFP4 [..], SHORT_E4M3 [.., n_col / 128]
    const float *bias;
    float *out;
    struct short_out gated; // SHORT_GATE; SHORT_RUN_GATE: f16 alone
    int n_token;
    int n_tile; // of tokens
    bool add;
    const struct k_matrix *list; // runs
    struct expert_runs runs;
};

// Which of the matrices row r of a block's is of, and which row of it.
template <int KIND> static __device__ __forceinline__ int matrix_of(int r)
{
    return is_gate(KIND) ? r / 8 % 2 : 0;
}

template <int KIND>
static __device__ __forceinline__ size_t row_of(const struct k_matrix *w, int row0, int r)
{
    int row = is_gate(KIND) ? row0 + r / 16 * 8 + r % 8 : row0 + r;
    return (size_t)min(row, w->n_row - 1);
}

// A block's tokens: rows first .. first + n - 1 of what is written, and those of x, too, or as
// `row` says.
struct tile_tokens {
    int first, n;
    const int *row; // SHORT_RUN_GATE
};

template <int KIND>
static __device__ __forceinline__ size_t x_row(const struct tile_tokens &t, int i)
{
    return KIND == SHORT_RUN_GATE ? (size_t)t.row[i] : (size_t)(t.first + min(i, t.n - 1));
}

// Where piece c of 16 bytes of a row lies, so that eight rows' pieces c are in different banks.
template <int PIECES> static __device__ __forceinline__ int piece_at(int row, int c)
{
    return (row * PIECES + (c ^ (PIECES == 4 ? row / 2 & 3 : row & 7))) * 16;
}

template <int FORM, int KIND>
static __device__ __forceinline__ void
load_stage(const struct short_job &j, const struct k_matrix *w, const struct tile_tokens &t,
           unsigned char *to, int row0, int u)
{
    using stage = struct short_stage<FORM, KIND>;
    constexpr int pieces = stage::pieces, tokens = stage::tokens;
    int thread = (int)threadIdx.x;
    size_t n_unit = (size_t)(w->n_col / COLUMNS), row_bytes = n_unit * stage::row_bytes;
    size_t from = (size_t)u * stage::row_bytes;
#pragma unroll
    for (int k = 0; k < ROWS * pieces / SHORT_THREADS; k++) {
        int i = k * SHORT_THREADS + thread, r = i / pieces, c = i % pieces;
        const unsigned char *data = (const unsigned char *)w[matrix_of<KIND>(r)].data;
        copy_16(to + piece_at<pieces>(r, c),
                data + row_of<KIND>(w, row0, r) * row_bytes + from + c * 16);
    }
#pragma unroll
    for (int k = 0; k < tokens * pieces / SHORT_THREADS; k++) {
        int i = k * SHORT_THREADS + thread, r = i / pieces, c = i % pieces;
        copy_16(to + stage::x + piece_at<pieces>(r, c),
                j.x + x_row<KIND>(t, r) * row_bytes + from + c * 16);
    }
    if constexpr (FORM == SHORT_NVFP4) {
        const struct k_matrix &m = w[matrix_of<KIND>(thread)];
        copy_8(
            to + stage::w_scales + thread * 8,
            (const uint2 *)((const char *)m.block + row_of<KIND>(w, row0, thread) * m.block_step) +
                u);
        if (thread < tokens)
            copy_8(to + stage::x_scales + thread * 8,
                   (const uint2 *)j.blocks + x_row<KIND>(t, thread) * n_unit + u);
    } else {
        if (thread < tokens)
            copy_4(to + stage::x_scales + thread * 4,
                   j.scale + x_row<KIND>(t, thread) * n_unit + u);
        if (w->block && thread < 2) { // of rows below 128 and the others, of gate and up
            size_t row = row_of<SHORT_ALL>(w, row0, is_gate(KIND) ? 0 : thread * K_E4M3_BLOCK);
            copy_4(to + stage::w_scales + thread * 4,
                   (const float *)w[is_gate(KIND) ? thread : 0].block +
                       row / K_E4M3_BLOCK * n_unit + u);
        }
    }
}

// What an instruction takes, from what the device keeps. Of e2m1 (cuda_unpack.h) each code comes
// into four bits: those of columns 6, 4, 2, 0, 7, 5, 3, 1 from the lowest bits on. In this order no
// field moves far; x has it, too.
template <int FORM> static __device__ __forceinline__ unsigned straighten(unsigned w)
{
    if constexpr (FORM == SHORT_E4M3) return w;
    return (w & 0x80078007u) | (w << 1 & 0x00700070u) | (w << 2 & 0x07000700u) |
           (w << 3 & 0x70007000u) | (w >> 1 & 0x08000800u) | (w >> 7 & 0x00800080u) |
           (w >> 10 & 0x00080008u);
}

// What a warp multiplies with in a stage: fragments of its 32 rows, and their scales. Of NVFP4 lane
// 4 g + t has those of row 8 t + g, 64 columns in a register, so that either pair of lanes gives
// one of the two fragments its own; of e4m3 there is one for all of a fragment's rows g, and one
// for its rows g + 8.
template <int FORM> struct warp_rows {
    unsigned a[2][short_stage<FORM, SHORT_ALL>::steps][4];
    uint2 scales;
    float scale[2];
};

template <int FORM, int KIND>
static __device__ __forceinline__ void
take_rows(struct warp_rows<FORM> &r, const unsigned char *from, bool in_blocks, int warp, int lane)
{
    using stage = struct short_stage<FORM, KIND>;
    int row = warp * WARP_ROWS;
#pragma unroll
    for (int m = 0; m < 2; m++)
#pragma unroll
        for (int s = 0; s < stage::steps; s++) {
            matrices(r.a[m][s],
                     from + piece_at<stage::pieces>(row + m * 16 + lane % 16, s * 2 + lane / 16));
#pragma unroll
            for (int i = 0; i < 4; i++) r.a[m][s][i] = straighten<FORM>(r.a[m][s][i]);
        }
    const unsigned char *scales = from + stage::w_scales;
    if constexpr (FORM == SHORT_NVFP4)
        r.scales = ((const uint2 *)scales)[row + lane % 4 * 8 + lane / 4];
    else
#pragma unroll
        for (int h = 0; h < 2; h++)
            r.scale[h] =
                in_blocks ? ((const float *)scales)[is_gate(KIND) ? h : row / K_E4M3_BLOCK] : 1;
}

// 8 tokens from `token` on, number FROM of four such.
template <int FORM, int KIND, int FROM>
static __device__ __forceinline__ void
multiply_tokens(float sum0[4], float sum1[4], const struct warp_rows<FORM> &r,
                const unsigned char *from, int token, uint2 x_scales, int lane)
{
    using stage = struct short_stage<FORM, KIND>;
    const unsigned char *x = from + stage::x;
    unsigned v[stage::pieces];
#pragma unroll
    for (int i = 0; i < stage::pieces; i += 4)
        matrices(v + i, x + piece_at<stage::pieces>(token + lane % 8, i + lane / 8));
    if constexpr (FORM == SHORT_NVFP4) {
        mma_nvfp4<0, FROM>(sum0, r.a[0][0], v[0], v[1], r.scales.x, x_scales.x);
        mma_nvfp4<1, FROM>(sum1, r.a[1][0], v[0], v[1], r.scales.x, x_scales.x);
        mma_nvfp4<0, FROM>(sum0, r.a[0][1], v[2], v[3], r.scales.y, x_scales.y);
        mma_nvfp4<1, FROM>(sum1, r.a[1][1], v[2], v[3], r.scales.y, x_scales.y);
    } else {
        float c[2][4] = {};
#pragma unroll
        for (int s = 0; s < stage::steps; s++) {
            mma_e4m3(c[0], r.a[0][s], v[2 * s], v[2 * s + 1]);
            mma_e4m3(c[1], r.a[1][s], v[2 * s], v[2 * s + 1]);
        }
        float2 scale = ((const float2 *)(from + stage::x_scales))[token / 2 + lane % 4];
#pragma unroll
        for (int i = 0; i < 4; i++) {
            float both = (i % 2 ? scale.y : scale.x) * r.scale[i / 2];
            sum0[i] += c[0][i] * both;
            sum1[i] += c[1][i] * both;
        }
    }
}

template <int FORM, int KIND>
static __device__ __forceinline__ void multiply_stage(float sum[2][tokens_of(KIND) / 8][4],
                                                      const unsigned char *from, bool in_blocks,
                                                      int n_token, int warp, int lane)
{
    using stage = struct short_stage<FORM, KIND>;
    struct warp_rows<FORM> r;
    take_rows<FORM, KIND>(r, from, in_blocks, warp, lane);
#pragma unroll
    for (int i = 0; i < stage::tokens / 32; i++) {
        if (i * 32 >= n_token) break;
        uint2 s = {};
        // Lane 4 g + t has the scales of token g of the t-th 8.
        if constexpr (FORM == SHORT_NVFP4)
            s = ((const uint2 *)(from + stage::x_scales))[i * 32 + lane % 4 * 8 + lane / 4];
        float(*sum0)[4] = sum[0] + 4 * i, (*sum1)[4] = sum[1] + 4 * i;
        multiply_tokens<FORM, KIND, 0>(sum0[0], sum1[0], r, from, i * 32, s, lane);
        multiply_tokens<FORM, KIND, 1>(sum0[1], sum1[1], r, from, i * 32 + 8, s, lane);
        multiply_tokens<FORM, KIND, 2>(sum0[2], sum1[2], r, from, i * 32 + 16, s, lane);
        multiply_tokens<FORM, KIND, 3>(sum0[3], sum1[3], r, from, i * 32 + 24, s, lane);
    }
}

template <int FORM, int KIND>
static __device__ __forceinline__ void write_sums(const struct short_job &j,
                                                  const struct k_matrix *w,
                                                  const float sum[2][tokens_of(KIND) / 8][4],
                                                  const struct tile_tokens &t, int row0, int lane)
{
#pragma unroll
    for (int i = 0; i < 4; i++) {
        int m = i / 2, h = i % 2, row = row0 + i * 8 + lane / 4;
        if (row >= w->n_row) continue;
        float scale = w->scale ? w->scale[row] : 1, bias = j.bias ? j.bias[row] : 0;
#pragma unroll
        for (int b = 0; b < tokens_of(KIND) / 8; b++)
#pragma unroll
            for (int k = 0; k < 2; k++) {
                int token = b * 8 + lane % 4 * 2 + k;
                if (token >= t.n) continue;
                float *out = j.out + (size_t)(t.first + token) * (size_t)w->n_row + row;
                float y = sum[m][b][2 * h + k] * scale;
                if constexpr (FORM == SHORT_NVFP4) y *= j.scale[x_row<KIND>(t, token)];
                y += bias;
                *out = j.add ? *out + y : y;
            }
    }
}

template <int FORM, int KIND>
static __device__ __forceinline__ void write_gated(const struct short_job &j,
                                                   const struct k_matrix *w,
                                                   const float sum[2][tokens_of(KIND) / 8][4],
                                                   const struct tile_tokens &t, int row0, int lane)
{
#pragma unroll
    for (int m = 0; m < 2; m++) {
        int row = row0 + m * 8 + lane / 4;
        if (row >= w->n_row) continue;
        float scale[2];
#pragma unroll
        for (int i = 0; i < 2; i++) scale[i] = w[i].scale ? w[i].scale[row] : 1;
#pragma unroll
        for (int b = 0; b < tokens_of(KIND) / 8; b++)
#pragma unroll
            for (int k = 0; k < 2; k++) {
                int token = b * 8 + lane % 4 * 2 + k;
                if (token >= t.n) continue;
                size_t at = (size_t)(t.first + token) * (size_t)w->n_row + (size_t)row;
                float of_token = FORM == SHORT_NVFP4 ? j.scale[x_row<KIND>(t, token)] : 1;
                float gate = sum[m][b][k] * scale[0] * of_token,
                      up = sum[m][b][2 + k] * scale[1] * of_token,
                      y = gate / (1 + __expf(-gate)) * up;
                if constexpr (KIND == SHORT_GATE)
                    write_short(j.gated, at, y);
                else
                    j.gated.hi[X_F16][at] = f16_bits(y * F16_UNIT);
            }
    }
}

// All columns of a block's rows and tokens. w: one matrix, or gate and up.
template <int FORM, int KIND>
static __device__ __forceinline__ void multiply_all(const struct short_job &j,
                                                    const struct k_matrix *w,
                                                    const struct tile_tokens &t, int row0)
{
    using stage = struct short_stage<FORM, KIND>;
    constexpr int n_stage = stage::n_stage;
    DYNAMIC_SHARED(shared);
    int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    int n_unit = w->n_col / COLUMNS;
    float sum[2][stage::tokens / 8][4] = {};
#pragma unroll
    for (int i = 0; i < n_stage - 1; i++) {
        if (i < n_unit) load_stage<FORM, KIND>(j, w, t, shared + i * stage::size, row0, i);
        copy_commit();
    }
    for (int u = 0; u < n_unit; u++) {
        copy_wait<n_stage - 2>();
        __syncthreads();
        int next = u + n_stage - 1;
        if (next < n_unit)
            load_stage<FORM, KIND>(j, w, t, shared + next % n_stage * stage::size, row0, next);
        copy_commit();
        multiply_stage<FORM, KIND>(sum, shared + u % n_stage * stage::size, w->block, t.n, warp,
                                   lane);
    }
    if constexpr (is_gate(KIND))
        write_gated<FORM, KIND>(j, w, sum, t, row0 + warp * (WARP_ROWS / 2), lane);
    else
        write_sums<FORM, KIND>(j, w, sum, t, row0 + warp * WARP_ROWS, lane);
}

template <int FORM, int KIND>
static __device__ __forceinline__ void multiply_tile(const struct short_job &j)
{
    int at = (int)blockIdx.x % j.n_tile,
        row0 = (int)blockIdx.x / j.n_tile * (is_gate(KIND) ? ROWS / 2 : ROWS);
    if constexpr (KIND < SHORT_RUN_GATE) {
        int first = at * TOKENS;
        multiply_all<FORM, KIND>(j, j.w, {first, j.n_token - first, nullptr}, row0);
    } else {
        __shared__ int row[RUN_TILE];
        __shared__ struct k_matrix w[2];
        int thread = (int)threadIdx.x;
        if (at >= *j.runs.n_tile) return;
        struct run_tile tile = j.runs.tiles[at];
        if (KIND == SHORT_RUN_GATE && thread < RUN_TILE)
            row[thread] = j.runs.order[tile.first + min(thread, tile.n - 1)] / j.runs.n_used;
        if (thread < 2)
            w[thread] = j.list[tile.expert * EXPERT_MATRICES +
                               (is_gate(KIND) ? (int)EXPERT_GATE + thread : (int)EXPERT_DOWN)];
        __syncthreads();
        multiply_all<FORM, KIND>(j, w, {tile.first, tile.n, row}, row0);
    }
}

template <int KIND>
__global__ void __launch_bounds__(SHORT_THREADS, 1)
    short_nvfp4_kernel(const __grid_constant__ struct short_job j)
{
#if HAS_MMA_NVFP4
    multiply_tile<SHORT_NVFP4, KIND>(j);
#endif
}

template <int KIND>
__global__ void __launch_bounds__(SHORT_THREADS, 1)
    short_e4m3_kernel(const __grid_constant__ struct short_job j)
{
#if HAS_MMA_E4M3
    multiply_tile<SHORT_E4M3, KIND>(j);
#endif
}

// Rounding x, which is f16 times F16_UNIT. The size of a value is compared by its bits, which puts
// NaN above everything: then a scale or the codes say so.

struct round_job {
    const uint16_t *x; // [n_token, n_col], or pairs in place of tokens
    unsigned char *q, *blocks;
    float *scale;
    int n_token, n_col;
};

static __device__ __forceinline__ unsigned largest_bits(unsigned of, unsigned two)
{
    return max(of, max(two & 0x7fff, two >> 16 & 0x7fff));
}

// A token for each block. Its largest value becomes 6 * 448, so that the largest block's scale is
// the largest e4m3.
__global__ void __launch_bounds__(SHORT_THREADS)
    round_nvfp4_kernel(const __grid_constant__ struct round_job j)
{
#if HAS_MMA_NVFP4
    __shared__ unsigned largest[SHORT_THREADS / 32];
    size_t n_col = (size_t)j.n_col, at = blockIdx.x * n_col;
    const uint4 *from = (const uint4 *)(j.x + at);
    uint2 *to = (uint2 *)(j.q + at / 2);
    unsigned char *scales = j.blocks + at / K_NVFP4_BLOCK;
    int thread = (int)threadIdx.x, n_block = j.n_col / K_NVFP4_BLOCK;
    unsigned bits = 0;
    for (int i = thread; i < 2 * n_block; i += SHORT_THREADS) {
        uint4 v = from[i];
        bits = largest_bits(largest_bits(largest_bits(largest_bits(bits, v.x), v.y), v.z), v.w);
    }
    bits = __reduce_max_sync(~0u, bits);
    if (thread % 32 == 0) largest[thread / 32] = bits;
    __syncthreads();
#pragma unroll
    for (int i = 0; i < SHORT_THREADS / 32; i++) bits = max(bits, largest[i]);
    float top = f16_value((uint16_t)bits), unit = bits ? top / (6 * 448) : 1;
    if (thread == 0) j.scale[blockIdx.x] = unit / F16_UNIT;
    for (int i = thread; i < n_block; i += SHORT_THREADS) {
        const uint4 both[2] = {from[2 * i], from[2 * i + 1]};
        unsigned two[8], word[2], of_block = 0;
#pragma unroll
        for (int k = 0; k < 2; k++)
            two[4 * k] = both[k].x, two[4 * k + 1] = both[k].y, two[4 * k + 2] = both[k].z,
                    two[4 * k + 3] = both[k].w;
#pragma unroll
        for (int k = 0; k < 8; k++) of_block = largest_bits(of_block, two[k]);
        unsigned char code = __nv_cvt_float_to_fp8(f16_value((uint16_t)of_block) / (6 * unit),
                                                   __NV_SATFINITE, __NV_E4M3);
        float scale = e4m3_value(code) * unit, by = scale > 0 ? 1 / scale : 0, x[16];
#pragma unroll
        for (int k = 0; k < 16; k++)
            x[k] = f16_value((uint16_t)(two[k / 2] >> k % 2 * 16 & 0xffff)) * by;
#pragma unroll
        for (int k = 0; k < 2; k++) { // as straighten puts them
            const float *v = x + 8 * k;
            word[k] = pack_e2m1(v[6], v[4]) | pack_e2m1(v[2], v[0]) << 8 |
                      pack_e2m1(v[7], v[5]) << 16 | pack_e2m1(v[3], v[1]) << 24;
        }
        to[i] = make_uint2(word[0], word[1]);
        scales[i] = code;
    }
#endif
}

// 128 columns of a token for each warp. Their largest value becomes 448, the largest e4m3.
__global__ void __launch_bounds__(SHORT_THREADS)
    round_e4m3_kernel(const __grid_constant__ struct round_job j)
{
    size_t at = blockIdx.x * (SHORT_THREADS / 32) + threadIdx.x / 32;
    int lane = (int)threadIdx.x % 32;
    if (at >= (size_t)j.n_token * (size_t)(j.n_col / COLUMNS)) return;
    uint2 v = ((const uint2 *)(j.x + at * COLUMNS))[lane];
    unsigned bits = __reduce_max_sync(~0u, largest_bits(largest_bits(0, v.x), v.y));
    float unit = bits ? f16_value((uint16_t)bits) / 448 : 1, by = 1 / unit;
    const unsigned two[2] = {v.x, v.y};
    unsigned pair[2];
#pragma unroll
    for (int k = 0; k < 2; k++) {
        float2 f = make_float2(f16_value((uint16_t)(two[k] & 0xffff)) * by,
                               f16_value((uint16_t)(two[k] >> 16)) * by);
        pair[k] = __nv_cvt_float2_to_fp8x2(f, __NV_SATFINITE, __NV_E4M3);
    }
    ((unsigned *)(j.q + at * COLUMNS))[lane] = pair[0] | pair[1] << 16;
    if (lane == 0) j.scale[at] = unit / F16_UNIT;
}

// The host's side

struct has_job {
    unsigned *out; // bit i: form i
};

__global__ void __launch_bounds__(32) short_has_kernel(const __grid_constant__ struct has_job j)
{
    unsigned has = 0;
#if HAS_MMA_NVFP4
    has |= 1u << SHORT_NVFP4;
#endif
#if HAS_MMA_E4M3
    has |= 1u << SHORT_E4M3;
#endif
    if (threadIdx.x == 0) *j.out = has;
}

template <typename Job>
static void launch(k_device *d, const char *where, void (*kernel)(Job), size_t n_block, int shared,
                   const Job &job, int n_thread = SHORT_THREADS)
{
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3((unsigned)n_block), config.blockDim = dim3((unsigned)n_thread);
    config.dynamicSmemBytes = (size_t)shared, config.stream = d->stream;
    cuda_check(d, cudaLaunchKernelEx(&config, kernel, job), where);
}

bool cuda_short_open(k_device *d)
{
    launch(d, "which tensor cores there are", short_has_kernel, 1, 0, {d->read_sum}, 32);
    return cuda_check(d,
                      cudaMemcpyAsync(&d->short_forms, d->read_sum, sizeof d->short_forms,
                                      cudaMemcpyDeviceToHost, d->stream),
                      "which tensor cores there are") &&
           cuda_check(d, cudaStreamSynchronize(d->stream), "which tensor cores there are");
}

static int short_form(const struct k_matrix *w) // N_SHORT: none
{
    return w->type == K_NVFP4 ? SHORT_NVFP4 : w->type == K_E4M3 ? SHORT_E4M3 : N_SHORT;
}

static bool takes_matrix(const k_device *d, const struct k_matrix *w)
{
    struct k_matrix m = with_steps(w);
    if (w->type == K_NVFP4 && (m.data_step != (size_t)w->n_col / 2 || m.block_step % 8))
        return false;
    return w->short_x && d->short_forms >> short_form(w) & 1 && w->n_col % COLUMNS == 0 &&
           (uintptr_t)w->data % 16 == 0 && (uintptr_t)w->block % 8 == 0;
}

static bool are_alike(const struct k_matrix *w, const struct k_matrix *v)
{
    return w->type == v->type && !w->block == !v->block;
}

bool cuda_short_takes(const k_device *d, const k_act *a, const struct k_matrix *w)
{
    return a->form == FORM_SHORT && a->q && takes_matrix(d, w);
}

static void round_rows(k_device *d, int form, const struct round_job &j)
{
    constexpr size_t n_warp = SHORT_THREADS / 32;
    size_t n_piece = (size_t)j.n_token * (size_t)(j.n_col / COLUMNS);
    if (form == SHORT_NVFP4)
        launch(d, "rounding activations", round_nvfp4_kernel, (size_t)j.n_token, 0, j);
    else
        launch(d, "rounding activations", round_e4m3_kernel, (n_piece + n_warp - 1) / n_warp, 0, j);
}

// Behind the codes of n rows.
static unsigned char *blocks_of(unsigned char *q, int n, int n_col)
{
    return q + (size_t)n * (size_t)n_col / 2;
}

// x in the form's codes, unless an earlier product left it so.
static void take_x(k_device *d, struct short_job *j, k_act *a, int form, int n_token)
{
    enum q_form q_form = form == SHORT_NVFP4 ? Q_NVFP4 : Q_BLOCK;
    unsigned char *blocks = blocks_of(a->q, n_token, a->n_col);
    if (a->q_form != q_form)
        round_rows(d, form, {a->hi[X_F16], a->q, blocks, a->q_scale, n_token, a->n_col});
    a->q_form = q_form;
    j->x = a->q, j->blocks = blocks, j->scale = a->q_scale;
}

template <int KIND>
static void multiply(k_device *d, int form, int n_row, const struct short_job &j)
{
    constexpr int rows = is_gate(KIND) ? ROWS / 2 : ROWS;
    void (*kernel)(struct short_job) =
        form == SHORT_NVFP4 ? short_nvfp4_kernel<KIND> : short_e4m3_kernel<KIND>;
    int shared = form == SHORT_NVFP4 ? (int)short_stage<SHORT_NVFP4, KIND>::all
                                     : (int)short_stage<SHORT_E4M3, KIND>::all;
    // Cheap, and needed once per device: it is not worth a place to remember it.
    cuda_check(d,
               cudaFuncSetAttribute((const void *)kernel,
                                    cudaFuncAttributeMaxDynamicSharedMemorySize, shared),
               "shared memory of a product");
    launch(d, "a product of short numbers", kernel,
           (size_t)((n_row + rows - 1) / rows) * (size_t)j.n_tile, shared, j);
}

void cuda_short_product(k_device *d, k_act *a, const struct k_product *p, int n_token)
{
    struct short_job j = {};
    int form = short_form(p->w);
    j.w[0] = with_steps(p->w), j.bias = p->bias, j.out = p->out, j.add = p->add;
    j.n_token = n_token, j.n_tile = (n_token + TOKENS - 1) / TOKENS;
    take_x(d, &j, a, form, n_token);
    multiply<SHORT_ALL>(d, form, p->w->n_row, j);
}

bool cuda_short_gates(const k_device *d, const k_act *out, const k_act *a, const struct k_gate *g,
                      int n_token)
{
    return act_form(n_token, out->n_col) == FORM_SHORT && are_alike(g->gate, g->up) &&
           cuda_short_takes(d, a, g->gate) && cuda_short_takes(d, a, g->up);
}

void cuda_short_gate(k_device *d, k_act *out, k_act *a, const struct k_gate *g, int n_token)
{
    struct short_job j = {};
    int form = short_form(g->gate);
    j.w[0] = with_steps(g->gate), j.w[1] = with_steps(g->up);
    j.n_token = n_token, j.n_tile = (n_token + TOKENS - 1) / TOKENS;
    for (int i = 0; i < X_N_KIND; i++) j.gated.hi[i] = out->hi[i];
    take_x(d, &j, a, form, n_token);
    multiply<SHORT_GATE>(d, form, g->gate->n_row, j);
    out->form = FORM_SHORT, out->n_sum = 0, out->q_form = Q_NONE;
}

bool cuda_short_mixes(const k_device *d, const k_act *a, const struct k_experts *e)
{
    if (a->form != FORM_SHORT || !a->q) return false;
    if (e->gating || e->gate_bias || e->up_bias || e->down_bias) return false; // no kernel has them
    for (int i = 0; i < e->n_expert; i++)
        for (const struct k_matrix *w : {e->gate + i, e->up + i, e->down + i})
            if (!takes_matrix(d, w) || !are_alike(w, e->gate)) return false;
    return true;
}

void cuda_short_mix(k_device *d, k_act *a, const struct k_experts *e,
                    const struct expert_runs &runs, const struct short_mid &mid, float *out,
                    int n_token)
{
    struct short_job j = {};
    int form = short_form(e->gate), n_pair = n_token * runs.n_used, ffn = e->gate->n_row;
    j.list = (const struct k_matrix *)e->list, j.runs = runs, j.n_tile = runs.tile_max;
    j.gated.hi[X_F16] = mid.f16, j.out = out;
    take_x(d, &j, a, form, n_token);
    multiply<SHORT_RUN_GATE>(d, form, ffn, j);
    j.x = mid.q, j.blocks = blocks_of(mid.q, n_pair, ffn), j.scale = mid.scale;
    round_rows(d, form, {mid.f16, mid.q, blocks_of(mid.q, n_pair, ffn), mid.scale, n_pair, ffn});
    multiply<SHORT_RUN_DOWN>(d, form, e->down->n_row, j);
}
