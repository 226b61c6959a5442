// Weights as tensor cores want them. A unit is 64 bytes of each of 16 rows; lane 4 g + t of a warp
// holds bytes [16 t, 16 t + 16) of rows g and g + 8. The order of columns in a product is free as
// long as both factors have the same, so a lane's own 16 bytes make whole fragments.
//
// bf16 weights stay what they are and meet x in bf16. The others become f16, exactly, times a power
// of two that the caller puts right at the end, and meet x in f16:
//
//   e4m3   by the conversion that the hardware has
//   e2m1   its fields moved into those of f16, which is 2^-14 of the value; times the block's
//   scale,
//          taken larger (2^6; MXFP4: 2^8) so that the product, which is short, is exact. MXFP4's
//          weights are so from 2^-18 on; its scales below 2^-22 count as 0, those above 2^7 as
//          infinite.
//
// Moving fields is integer work, and on GPUs with as much bandwidth for each multiprocessor as an
// H200's it is what FP4 weights are bound by. So the device keeps the bits of the eight codes of a
// 32-bit word in another order: each half of the word has every second code, and of
// four codes two lie so that one shift brings sign and size into place together:
//
//   bit of a half   15 14 13 12 11 10  9  8  7  6  5  4  3  2  1  0
//   code             0  2  3  1  0  0  0  1  1  1  2  2  2  3  3  3
//   field            s  s  s  s  e  e  m  e  e  m  e  e  m  e  e  m
#pragma once
#include "kernels/cuda.h"

enum weight_form { W_BF16, W_E4M3, W_E4M3_BLOCK, W_NVFP4, W_MXFP4, W_N_FORM };

enum { UNIT_BYTES = 64, UNIT_ROWS = 16 };

template <int FORM> struct unit {
    static constexpr bool is_fp4 = FORM == W_NVFP4 || FORM == W_MXFP4;
    static constexpr int columns = FORM == W_BF16 ? 32 : is_fp4 ? 128 : 64;
    static constexpr int steps = columns / 16;       // products of 16 columns
    static constexpr int lane_columns = columns / 4; // that one lane holds of a row
    static constexpr int scale_bytes = FORM == W_NVFP4 ? 8 : FORM == W_MXFP4 ? 4 : 0; // of a row
    static constexpr int kind = FORM == W_BF16 ? X_BF16 : X_F16;                      // of x
    // What a sum of products must be multiplied with.
    static constexpr float factor = FORM == W_BF16    ? 1.0f
                                    : FORM == W_NVFP4 ? 0x1p8f / F16_UNIT
                                    : FORM == W_MXFP4 ? 0x1p6f / F16_UNIT
                                                      : 1 / F16_UNIT;
};

static inline int weight_form(const struct k_matrix *w) // W_N_FORM: none
{
    switch (w->type) {
    case K_BF16: return W_BF16;
    case K_E4M3: return w->block ? W_E4M3_BLOCK : W_E4M3;
    case K_NVFP4: return W_NVFP4;
    case K_MXFP4: return W_MXFP4;
    default: return W_N_FORM;
    }
}

// Of sums of products with FP4 codes whose blocks' scales are not in them.
constexpr float one_factor = 0x1p14f / F16_UNIT;

#if defined(__CUDACC__) || defined(HEARTH_EMULATED)
// Eight e2m1 codes, in order, from the order that the device keeps.
static __device__ __forceinline__ void unpack_e2m1(unsigned w, unsigned out[4])
{
    const unsigned sign = 0x80008000u, size = 0x0e000e00u;
    out[0] = w & (sign | size);
    out[1] = w << 3 & (sign | size);
    // (w << 6 & size) | (w << 1 & sign) and the same with 9 and 2: a product is both shifts, and
    // what it adds up elsewhere does not reach these bits.
    out[2] = (w & 0x40384038u) * (1u << 6 | 1u << 1) & (sign | size);
    out[3] = (w & 0x20072007u) * (1u << 9 | 1u << 2) & (sign | size);
}

// The scales of a lane's two blocks of 16 columns, times 2^6, each twice in a register.
static __device__ __forceinline__ void nvfp4_scales(unsigned two, unsigned out[2])
{
    unsigned s[2];
    unpack_e4m3(two, s);
    s[0] = multiply_f16x2(s[0], 0x54005400u); // 64
    out[0] = __byte_perm(s[0], 0, 0x1010);
    out[1] = __byte_perm(s[0], 0, 0x3232);
}

// 2^(b - 127 + 8), twice.
static __device__ __forceinline__ unsigned mxfp4_scale(unsigned b)
{
    unsigned bits = (unsigned)min(max((int)b - 104, 0), 31) << 10;
    return bits | bits << 16;
}

// The same scales as they are: of the lane's blocks (MXFP4: of its one block).
template <int FORM>
static __device__ __forceinline__ void lane_block_scales(unsigned of_lane, float out[2])
{
    if constexpr (FORM == W_NVFP4) {
        unsigned s[2];
        unpack_e4m3(of_lane, s);
        float2 both = __half22float2(*(const __half2 *)&s[0]);
        out[0] = both.x, out[1] = both.y;
    } else {
        out[0] = out[1] = e8m0_value((unsigned char)of_lane);
    }
}

// What lane t needs of the scales of one row of a unit (NVFP4 and MXFP4).
template <int FORM>
static __device__ __forceinline__ unsigned lane_scales(const unsigned char *of_row, int t)
{
    return FORM == W_NVFP4 ? ((const unsigned short *)of_row)[t] : FORM == W_MXFP4 ? of_row[t] : 0;
}

// One row's 16 bytes to fragments: out[2 s], out[2 s + 1] are its halves of step s.
template <int FORM>
static __device__ __forceinline__ void unpack_row(uint4 raw, unsigned scales,
                                                  unsigned out[2 * unit<FORM>::steps])
{
    const unsigned w[4] = {raw.x, raw.y, raw.z, raw.w};
    if constexpr (FORM == W_BF16) {
#pragma unroll
        for (int i = 0; i < 4; i++) out[i] = w[i];
    } else if constexpr (!unit<FORM>::is_fp4) {
#pragma unroll
        for (int i = 0; i < 4; i++) unpack_e4m3(w[i], out + 2 * i);
    } else {
        unsigned s[2];
        if constexpr (FORM == W_NVFP4)
            nvfp4_scales(scales, s);
        else
            s[0] = s[1] = mxfp4_scale(scales);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            unpack_e2m1(w[i], out + 4 * i);
#pragma unroll
            for (int k = 0; k < 4; k++) out[4 * i + k] = multiply_f16x2(out[4 * i + k], s[i / 2]);
        }
    }
}

template <int FORM>
static __device__ __forceinline__ void mma_unit(bool is_first, float d[4], const unsigned a[4],
                                                unsigned b0, unsigned b1)
{
    if constexpr (unit<FORM>::kind == X_BF16)
        is_first ? mma_bf16_first(d, a, b0, b1) : mma_bf16(d, a, b0, b1);
    else
        is_first ? mma_f16_first(d, a, b0, b1) : mma_f16(d, a, b0, b1);
}
#endif
