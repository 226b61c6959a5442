// Weights as tensor cores want them. A unit is 64 bytes of each of 16 rows; lane 4 g + t of a warp
// holds bytes [16 t, 16 t + 16) of rows g and g + 8. The order of columns in a product is free as
// long as both factors have the same, so a lane's own 16 bytes make whole fragments, and what an
// unpacking trick would leave in an odd order stays in that order: x is shuffled instead, once for
// all rows.
//
// Everything becomes bf16, exactly, times a power of two that the caller puts right at the end:
//
//   e4m3   its 7 bits of exponent and fraction moved into those of bf16: 2^-120 of the value
//   e2m1   likewise 2^-126; times the block's scale * 2^118, both short enough that the product is
//          exact: 2^-8 of the value
//
// bf16 counts subnormals like f32, so small codes come out right, too.
#pragma once
#include "kernels/cuda.h"

enum weight_form { W_BF16, W_E4M3, W_E4M3_BLOCK, W_NVFP4, W_MXFP4, W_N_FORM };

enum { UNIT_BYTES = 64, UNIT_ROWS = 16 };

template <int FORM> struct unit {
    static constexpr int columns = FORM == W_BF16 ? 32 : FORM == W_NVFP4 || FORM == W_MXFP4 ? 128 : 64;
    static constexpr int steps = columns / 16;                  // products of 16 columns
    static constexpr int lane_columns = columns / 4;            // that one lane holds of a row
    static constexpr int scale_bytes = FORM == W_NVFP4 ? 8 : FORM == W_MXFP4 || FORM == W_E4M3_BLOCK ? 4 : 0; // of a row
    // What a sum of products with PAIR_UNIT must be multiplied with.
    static constexpr float factor = FORM == W_BF16 ? 0x1p-60f : FORM == W_NVFP4 || FORM == W_MXFP4 ? 0x1p-52f : 0x1p60f;
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

#ifdef __CUDACC__
static __device__ __forceinline__ unsigned multiply_bf16x2(unsigned a, unsigned b)
{
    unsigned r;
    asm("mul.rn.bf16x2 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
    return r;
}

// Four e4m3 codes: (0, 2) and (1, 3).
static __device__ __forceinline__ void unpack_e4m3(unsigned w, unsigned *even, unsigned *odd)
{
    *even = (w << 4 & 0x07f007f0u) | (w << 8 & 0x80008000u);
    *odd = (w >> 4 & 0x07f007f0u) | (w & 0x80008000u);
}

// Eight e2m1 codes: (0, 4), (1, 5), (2, 6), (3, 7).
static __device__ __forceinline__ void unpack_e2m1(unsigned w, unsigned out[4])
{
    out[0] = (w << 6 & 0x01c001c0u) | (w << 12 & 0x80008000u);
    out[1] = (w << 2 & 0x01c001c0u) | (w << 8 & 0x80008000u);
    out[2] = (w >> 2 & 0x01c001c0u) | (w << 4 & 0x80008000u);
    out[3] = (w >> 6 & 0x01c001c0u) | (w & 0x80008000u);
}

// The scales of a lane's two blocks of 16 columns, each twice in a register, times 2^118.
static __device__ __forceinline__ void nvfp4_scales(unsigned two, unsigned out[2])
{
    const unsigned up_119 = 0x7b007b00u; // 2^119 twice
    unsigned s = __byte_perm(two, 0, 0x4140) << 4; // (first, second) at 2^-120
    s = multiply_bf16x2(multiply_bf16x2(s, up_119), up_119);
    out[0] = __byte_perm(s, 0, 0x1010);
    out[1] = __byte_perm(s, 0, 0x3232);
}

// 2^(b - 127 + 118), infinite from 2^128 on.
static __device__ __forceinline__ unsigned mxfp4_scale(unsigned b)
{
    unsigned bits = min(b + 118u, 255u) << 7;
    return bits | bits << 16;
}

// One row's 16 bytes to fragments: out[2 s], out[2 s + 1] are its halves of step s. `scales` points
// at the row's scales of this unit (NVFP4 and MXFP4).
template <int FORM>
static __device__ __forceinline__ void unpack_row(uint4 raw, const unsigned char *scales, int t,
                                                  unsigned out[2 * unit<FORM>::steps])
{
    const unsigned w[4] = {raw.x, raw.y, raw.z, raw.w};
    if constexpr (FORM == W_BF16) {
#pragma unroll
        for (int i = 0; i < 4; i++) out[i] = w[i];
    } else if constexpr (FORM == W_E4M3 || FORM == W_E4M3_BLOCK) {
#pragma unroll
        for (int i = 0; i < 4; i++) unpack_e4m3(w[i], &out[2 * i], &out[2 * i + 1]);
    } else {
        unsigned s[2];
        if constexpr (FORM == W_NVFP4)
            nvfp4_scales(((const unsigned short *)scales)[t], s);
        else
            s[0] = s[1] = mxfp4_scale(scales[t]);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            unpack_e2m1(w[i], out + 4 * i);
#pragma unroll
            for (int k = 0; k < 4; k++) out[4 * i + k] = multiply_bf16x2(out[4 * i + k], s[i / 2]);
        }
    }
}

// A lane's columns of x, in bf16 and in order, to the order that unpack_row leaves.
template <int FORM> static __device__ __forceinline__ void shuffle_columns(unsigned x[2 * unit<FORM>::steps])
{
    if constexpr (FORM == W_E4M3 || FORM == W_E4M3_BLOCK) {
#pragma unroll
        for (int i = 0; i < 8; i += 2) {
            unsigned a = x[i], b = x[i + 1];
            x[i] = __byte_perm(a, b, 0x5410);
            x[i + 1] = __byte_perm(a, b, 0x7632);
        }
    } else if constexpr (FORM == W_NVFP4 || FORM == W_MXFP4) {
#pragma unroll
        for (int i = 0; i < 16; i += 4) {
            unsigned a = x[i], b = x[i + 1], c = x[i + 2], e = x[i + 3];
            x[i] = __byte_perm(a, c, 0x5410);
            x[i + 1] = __byte_perm(a, c, 0x7632);
            x[i + 2] = __byte_perm(b, e, 0x5410);
            x[i + 3] = __byte_perm(b, e, 0x7632);
        }
    }
}
#endif
