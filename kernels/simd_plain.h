// The vector operations that cpu_simd.h is written in, as plain C: for an x86-64 without AVX2, and
// as a check that the algorithms do not hang on one machine's vectors.
#pragma once
#include "kernels/number.h"

#include <math.h>
#include <stdint.h>

#define SIMD_NAME  "plain"
#define SIMD_TABLE simd_plain
enum { VL = 4, TILE_ROWS = 2, TILE_VECS = 2 };
typedef struct vf {
    float x[VL];
} vf;

#define V_INLINE static inline __attribute__((always_inline))
#define V_EACH(expression)                                                                         \
    vf r;                                                                                          \
    for (int i = 0; i < VL; i++) r.x[i] = (expression);                                            \
    return r

// clang-format off: one operation, one line
V_INLINE vf v_load(const float *p)
{
    V_EACH(p[i]);
}
V_INLINE void v_store(float *p, vf a)
{
    memcpy(p, a.x, sizeof a.x);
}
V_INLINE vf v_set(float x)
{
    V_EACH(x);
}
V_INLINE vf v_add(vf a, vf b)
{
    V_EACH(a.x[i] + b.x[i]);
}
V_INLINE vf v_mul(vf a, vf b)
{
    V_EACH(a.x[i] * b.x[i]);
}
V_INLINE vf v_div(vf a, vf b)
{
    V_EACH(a.x[i] / b.x[i]);
}
V_INLINE vf v_max(vf a, vf b)
{
    V_EACH(a.x[i] > b.x[i] ? a.x[i] : b.x[i]);
}
V_INLINE vf v_fma(vf a, vf b, vf c)
{
    V_EACH(a.x[i] * b.x[i] + c.x[i]);
}
V_INLINE vf v_if_ge(vf a, vf b, vf yes, vf no)
{
    V_EACH(a.x[i] >= b.x[i] ? yes.x[i] : no.x[i]);
}
V_INLINE vf v_round(vf a)
{
    V_EACH(nearbyintf(a.x[i]));
}
V_INLINE vf v_exp2_whole(vf n)
{
    V_EACH(f32_from_bits((uint32_t)((int)n.x[i] + 127) << 23));
}
V_INLINE float v_sum(vf a)
{
    return (a.x[0] + a.x[1]) + (a.x[2] + a.x[3]);
}
// clang-format on

// An f16's fields moved to those of an f32, and the exponent's bias put right by a multiplication,
// which also normalises subnormals.
V_INLINE float half_to_float(uint16_t h)
{
    float size = f32_from_bits((uint32_t)(h & 0x7fff) << 13) * 0x1p112f;
    if ((h & 0x7c00) == 0x7c00) size = f32_from_bits((uint32_t)(h & 0x7fff) << 13 | 0x7f800000u);
    return h & 0x8000 ? -size : size;
}

// Two vectors of weights; e4m3 comes out as 2^-8 of its value, as in simd_avx2.h.
V_INLINE void v_weights_e4m3(const uint8_t *p, vf out[2])
{
    for (int i = 0; i < 2 * VL; i++)
        out[i / VL].x[i % VL] = half_to_float((uint16_t)((p[i] & 0x80) << 8 | (p[i] & 0x7f) << 7));
}
V_INLINE void v_weights_f16(const uint16_t *p, vf out[2])
{
    for (int i = 0; i < 2 * VL; i++) out[i / VL].x[i % VL] = half_to_float(p[i]);
}
V_INLINE void v_weights_bf16(const uint16_t *p, vf out[2])
{
    for (int i = 0; i < 2 * VL; i++) out[i / VL].x[i % VL] = bf16_to_f32(p[i]);
}

// Four vectors of e4m3 codes, the even ones before the odd ones; see simd_avx2.h.
static const float QUAD_HALF_UNIT = 16.0f;

V_INLINE int v_quad_place(int i)
{
    return i % 2 * 2 * VL + i / 2;
}

V_INLINE void v_quads_e4m3(const uint8_t *p, vf out[4])
{
    for (int i = 0; i < 4 * VL; i++) {
        int at = v_quad_place(i);
        out[at / VL].x[at % VL] =
            half_to_float((uint16_t)((p[i] & 0x80) << 8 | (p[i] & 0x7f) << 7));
    }
}
