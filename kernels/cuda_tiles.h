// Tiles of 16 keys or values on tensor cores: what attention for few tokens (cuda_attend.h) and for
// many (cuda_attention.cu) are made of. A warp has 16 query rows and meets 16 keys at a time.
// Scores, maxima and sums are f32.
//
// bf16 tiles meet q and the probabilities as pairs of bf16 when there are few tokens, and as bf16
// when there are many.
//
// e4m3 tiles, of a cache of codes and a power of two for each row, meet them as pairs of f16, to
// which codes are converted by one instruction for two, between shared memory and the tensor cores:
// half the bytes, and less work than any way to bf16. Only codes are converted. A key's power goes
// to its scores; a value's to its probability, of which a query row's largest is made 1, so that
// f16, which holds less than bf16, holds all that counts. A query row is brought to [1, 2) in the
// same way. (Many tokens share their keys, and those are made bf16 once: as exact, since a power of
// two costs no bit.)
#pragma once
#include "kernels/cuda.h"

enum { ROWS = 16, KEYS = 16 }; // of one tile

static __device__ __forceinline__ unsigned pack(float a, float b)
{
    __nv_bfloat162 v = __floats2bfloat162_rn(a, b);
    return *(unsigned *)&v;
}

static __device__ __forceinline__ unsigned pack_rest(float a, float b, unsigned hi)
{
    __nv_bfloat162 h = *(__nv_bfloat162 *)&hi;
    return pack(a - __low2float(h), b - __high2float(h));
}

// A row of a key or value tile holds DIM values in pieces of 16 bytes; the piece's place depends on
// the row, so that eight rows' pieces lie in different banks.
template <int DIM>
static __device__ __forceinline__ __nv_bfloat16 *piece_of(__nv_bfloat16 *tile, int row, int piece)
{
    return tile + row * DIM + (piece ^ (row & 7)) * 8;
}

// The state of 16 query rows in one warp, N of the DIM values; lane 4 g + t has rows g and g + 8.
template <int N> struct query_rows {
    float acc[N / 8][4], largest[2], sum[2];
};

template <int N> static __device__ __forceinline__ void rows_start(struct query_rows<N> &r)
{
#pragma unroll
    for (int i = 0; i < N / 8; i++)
#pragma unroll
        for (int k = 0; k < 4; k++) r.acc[i][k] = 0;
    r.largest[0] = r.largest[1] = -INFINITY;
    r.sum[0] = r.sum[1] = 0;
}

// What a tile's 16 rows are multiplied as: as bf16; as pairs of bf16, whose low halves are one more
// product; or as pairs of 8 rows at most, whose low halves are in the other 8 rows of one product.
// Then rows 8 to 15 of a state are to be added to rows 0 to 7 (rows_join).
enum row_pairs { SINGLE, PAIRS, STACKED };

// Takes the scores [16 rows, 16 keys] (already scaled by log2 e / sqrt(dim), -infinity where a key
// is not seen) and the values of those keys, from value `first` on, into the state.
template <int DIM, int N, enum row_pairs AS>
static __device__ __forceinline__ void rows_take(struct query_rows<N> &r, float s[2][4],
                                                 __nv_bfloat16 *values, int first, int lane)
{
    unsigned p[4], rest[4];
    float keep = 1;
#pragma unroll
    for (int h = 0; h < 2; h++) {
        if (h && AS == STACKED) { // as their upper halves
#pragma unroll
            for (int i = 0; i < N / 8; i++) r.acc[i][2] *= keep, r.acc[i][3] *= keep;
            break;
        }
        float top = fmaxf(fmaxf(s[0][2 * h], s[0][2 * h + 1]), fmaxf(s[1][2 * h], s[1][2 * h + 1]));
        top = fmaxf(top, __shfl_xor_sync(~0u, top, 1));
        top = fmaxf(fmaxf(top, __shfl_xor_sync(~0u, top, 2)), r.largest[h]);
        float from = top == -INFINITY ? 0 : top, sum = 0;
        keep = exp2f(r.largest[h] - from);
        r.largest[h] = top;
#pragma unroll
        for (int b = 0; b < 2; b++)
#pragma unroll
            for (int k = 0; k < 2; k++) {
                s[b][2 * h + k] = exp2f(s[b][2 * h + k] - from);
                sum += s[b][2 * h + k];
            }
        r.sum[h] = r.sum[h] * keep + sum;
#pragma unroll
        for (int i = 0; i < N / 8; i++) r.acc[i][2 * h] *= keep, r.acc[i][2 * h + 1] *= keep;
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
        p[i] = pack(s[i / 2][i % 2 * 2], s[i / 2][i % 2 * 2 + 1]);
        rest[i] = pack_rest(s[i / 2][i % 2 * 2], s[i / 2][i % 2 * 2 + 1], p[i]);
    }
    if (AS == STACKED) p[1] = rest[0], p[3] = rest[2];
    auto multiply = [&](const unsigned with[4]) {
#pragma unroll
        for (int i = 0; i < N / 16; i++) {
            unsigned v[4];
            matrices_turned(v, piece_of<DIM>(values, lane % 16, first / 8 + 2 * i + lane / 16));
            mma_bf16(r.acc[2 * i], with, v[0], v[1]);
            mma_bf16(r.acc[2 * i + 1], with, v[2], v[3]);
        }
    };
    multiply(p);
    if (AS == PAIRS) multiply(rest);
}

template <int N> static __device__ __forceinline__ void rows_join(struct query_rows<N> &r)
{
#pragma unroll
    for (int i = 0; i < N / 8; i++) r.acc[i][0] += r.acc[i][2], r.acc[i][1] += r.acc[i][3];
}

// A head's sink as a score; without sinks one that weighs nothing.
static __device__ __forceinline__ float sink_of(const float *sinks, int head)
{
    return sinks ? sinks[head] * 1.44269504f : -INFINITY;
}

// The sums of the four lanes that hold a row.
template <int N> static __device__ __forceinline__ void rows_end(struct query_rows<N> &r)
{
#pragma unroll
    for (int h = 0; h < 2; h++) {
        r.sum[h] += __shfl_xor_sync(~0u, r.sum[h], 1);
        r.sum[h] += __shfl_xor_sync(~0u, r.sum[h], 2);
    }
}

// e4m3

// From the first scale of a cache to the first of a head.
static __device__ __forceinline__ size_t scales_before(const struct k_cache &c, size_t head)
{
    return head * ((unsigned)(c.ctx_max + K_SCALE_STEP - 1) / K_SCALE_STEP * K_SCALE_STEP);
}

// 2^(scale - 127)
static __device__ __forceinline__ float power_of(unsigned scale)
{
    return __uint_as_float(scale << 23);
}

// A row of the cache, of which each lane has some numbers: its largest, as bits; its scale; the
// codes of two of them.

static __device__ __forceinline__ unsigned size_bits(float x)
{
    return __float_as_uint(x) & 0x7fffffffu;
}

static __device__ __forceinline__ unsigned code_scale(unsigned largest)
{
    int scale = (int)((largest + 0x1fffffu) >> 23) - 8; // above 1.75 x 2^n: one more
    return largest >= 0x7f800000u ? 127u : (unsigned)max(scale, 1);
}

static __device__ __forceinline__ unsigned code_pair(float a, float b, unsigned largest)
{
    float by = power_of(254 - code_scale(largest));
    unsigned two = __nv_cvt_float2_to_fp8x2(make_float2(a * by, b * by), __NV_SATFINITE, __NV_E4M3);
    return largest >= 0x7f800000u ? 0x7f7fu : two;
}

// A tile's row of DIM codes in pieces of 16: the same two pieces of four rows, neighbours or every
// second one, lie in different banks.
template <int DIM>
static __device__ __forceinline__ unsigned char *code_piece(unsigned char *tile, int row, int piece)
{
    int at = row * (DIM / 16) + piece;
    at ^= (row & 6) ^ (DIM == 128 ? (row & 1) << 2 : 0);
    return tile + at * 16;
}

// The order of columns in a product is free: with this one a lane finds its codes of two steps side
// by side. Column of q for the even number d of a head; d + 1 is beside it.
static __device__ __forceinline__ int code_column(int d)
{
    return (d & ~31) + d / 4 % 2 * 16 + d / 2 % 2 * 8 + d / 8 % 4 * 2;
}

static __device__ __forceinline__ unsigned pack_f16(float a, float b)
{
    __half2 v = __floats2half2_rn(a, b);
    return *(unsigned *)&v;
}

static __device__ __forceinline__ unsigned pack_f16_rest(float a, float b, unsigned hi)
{
    __half2 h = *(__half2 *)&hi;
    return pack_f16(a - __low2float(h), b - __high2float(h));
}

// Two neighbouring scales as powers.
static __device__ __forceinline__ float2 two_powers(const unsigned char *scales)
{
    unsigned both = *(const unsigned short *)scales;
    return make_float2(power_of(both & 0xff), power_of(both >> 8));
}

// The products of the rows of q, pairs of f16, with the codes of 16 keys, times the keys' powers.
template <int DIM, enum row_pairs AS, typename QUERY>
static __device__ __forceinline__ void score_codes(float s[2][4], QUERY (&query)[2][ROWS][DIM + 8],
                                                   unsigned char *keys, const unsigned char *scales,
                                                   int lane)
{
    float rest[2][4] = {};
    int g = lane / 4, t = lane % 4;
#pragma unroll 1 // more of a key at a time would not fit the registers
    for (int i = 0; i < DIM / 32; i++) {
        uint2 raw[2];
#pragma unroll
        for (int b = 0; b < 2; b++)
            raw[b] = *(const uint2 *)(code_piece<DIM>(keys, b * 8 + g, 2 * i + t / 2) + t % 2 * 8);
#pragma unroll
        for (int step = 0; step < 2; step++) {
            unsigned q[2][4], k[2][2];
#pragma unroll
            for (int h = 0; h < (AS == PAIRS ? 2 : 1); h++)
                matrices(q[h], &query[h][lane % 16][(2 * i + step) * 16 + lane / 16 * 8]);
#pragma unroll
            for (int b = 0; b < 2; b++) {
                unpack_e4m3(step ? raw[b].y : raw[b].x, k[b]);
                mma_f16(s[b], q[0], k[b][0], k[b][1]);
                if (AS == PAIRS) mma_f16(rest[b], q[1], k[b][0], k[b][1]);
            }
        }
    }
#pragma unroll
    for (int b = 0; b < 2; b++) {
        float2 by = two_powers(scales + b * 8 + t * 2);
        if (AS == STACKED) rest[b][0] = s[b][2], rest[b][1] = s[b][3];
#pragma unroll
        for (int k = 0; k < 4; k++) s[b][k] = (s[b][k] + rest[b][k]) * (k % 2 ? by.y : by.x);
    }
}

// As rows_take: the first n_key of the tile's keys are seen by any row. The state's numbers are to
// be multiplied with the rows' units, and numbers of acc[8 c + i] are not of columns 2t and 2t + 1
// but of columns 64 c + 16 t + i and 8 more.
template <int DIM, enum row_pairs AS>
static __device__ __forceinline__ void
rows_take_codes(struct query_rows<DIM> &r, float unit[2], float s[2][4], unsigned char *values,
                const unsigned char *scales, int n_key, int lane)
{
    int g = lane / 4, t = lane % 4;
    unsigned p[4], rest[4];
    float by[2][2], keep = 1;
#pragma unroll
    for (int b = 0; b < 2; b++) {
        float2 two = two_powers(scales + b * 8 + t * 2);
        by[b][0] = b * 8 + t * 2 < n_key ? two.x : 0;
        by[b][1] = b * 8 + t * 2 + 1 < n_key ? two.y : 0;
    }
#pragma unroll
    for (int h = 0; h < 2; h++) {
        if (h && AS == STACKED) { // as their upper halves
#pragma unroll
            for (int i = 0; i < DIM / 8; i++) r.acc[i][2] *= keep, r.acc[i][3] *= keep;
            break;
        }
        float top = fmaxf(fmaxf(s[0][2 * h], s[0][2 * h + 1]), fmaxf(s[1][2 * h], s[1][2 * h + 1]));
        top = fmaxf(top, __shfl_xor_sync(~0u, top, 1));
        top = fmaxf(fmaxf(top, __shfl_xor_sync(~0u, top, 2)), r.largest[h]);
        float from = top == -INFINITY ? 0 : top, sum = 0, most = 0;
        keep = exp2f(r.largest[h] - from);
        r.largest[h] = top;
#pragma unroll
        for (int b = 0; b < 2; b++)
#pragma unroll
            for (int k = 0; k < 2; k++) {
                float x = exp2f(s[b][2 * h + k] - from);
                sum += x;
                s[b][2 * h + k] = x * by[b][k];
                most = fmaxf(most, x * by[b][k]);
            }
        most = fmaxf(most, __shfl_xor_sync(~0u, most, 1));
        most = fmaxf(most, __shfl_xor_sync(~0u, most, 2));
        r.sum[h] = r.sum[h] * keep + sum;
        float before = unit[h] * keep;
        unit[h] = fmaxf(before, most);
        float to_one = unit[h] > 0 ? __fdividef(1, unit[h]) : 0;
#pragma unroll
        for (int b = 0; b < 2; b++)
#pragma unroll
            for (int k = 0; k < 2; k++) s[b][2 * h + k] *= to_one;
        keep = before * to_one;
#pragma unroll
        for (int i = 0; i < DIM / 8; i++) r.acc[i][2 * h] *= keep, r.acc[i][2 * h + 1] *= keep;
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
        p[i] = pack_f16(s[i / 2][i % 2 * 2], s[i / 2][i % 2 * 2 + 1]);
        rest[i] = pack_f16_rest(s[i / 2][i % 2 * 2], s[i / 2][i % 2 * 2 + 1], p[i]);
    }
    if (AS == STACKED) p[1] = rest[0], p[3] = rest[2];
        // A lane reads eight columns of its four keys; pairs of keys are brought together there.
#pragma unroll
    for (int c = 0; c < DIM / 64; c++) {
        uint2 raw[4];
#pragma unroll
        for (int k = 0; k < 4; k++)
            raw[k] =
                *(const uint2 *)(code_piece<DIM>(values, k / 2 * 8 + t * 2 + k % 2, 4 * c + g / 2) +
                                 g % 2 * 8);
#pragma unroll
        for (int i = 0; i < 8; i += 2) {
            unsigned v[2][2], w[4];
#pragma unroll
            for (int k = 0; k < 4; k++) w[k] = i < 4 ? raw[k].x : raw[k].y;
#pragma unroll
            for (int b = 0; b < 2; b++)
                unpack_e4m3(__byte_perm(w[2 * b], w[2 * b + 1], i % 4 ? 0x7362 : 0x5140), v[b]);
#pragma unroll
            for (int k = 0; k < 2; k++) {
                mma_f16(r.acc[8 * c + i + k], p, v[0][k], v[1][k]);
                if (AS == PAIRS) mma_f16(r.acc[8 * c + i + k], rest, v[0][k], v[1][k]);
            }
        }
    }
}

// Piece `piece` of codes of a row to bf16, times the row's power: exact.
static __device__ __forceinline__ void widen_codes(uint4 codes, float by, unsigned out[8])
{
    const unsigned w[4] = {codes.x, codes.y, codes.z, codes.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        unsigned f16[2];
        unpack_e4m3(w[i], f16);
#pragma unroll
        for (int k = 0; k < 2; k++) {
            float2 two = __half22float2(*(const __half2 *)&f16[k]);
            out[2 * i + k] = pack(two.x * by, two.y * by);
        }
    }
}
