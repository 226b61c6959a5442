// The vector instructions that cpu_simd.h is written in: arm64, which always has these.
#pragma once
#include <arm_neon.h>
#include <stdint.h>

#define SIMD_NAME  "neon"
#define SIMD_TABLE simd_neon
enum { VL = 4, TILE_ROWS = 6, TILE_VECS = 4 };
typedef float32x4_t vf;

#define V_INLINE static inline __attribute__((always_inline))

// clang-format off: one operation, one line
V_INLINE vf v_load(const float *p)
{
    return vld1q_f32(p);
}
V_INLINE void v_store(float *p, vf a)
{
    vst1q_f32(p, a);
}
V_INLINE vf v_set(float x)
{
    return vdupq_n_f32(x);
}
V_INLINE vf v_add(vf a, vf b)
{
    return vaddq_f32(a, b);
}
V_INLINE vf v_mul(vf a, vf b)
{
    return vmulq_f32(a, b);
}
V_INLINE vf v_div(vf a, vf b)
{
    return vdivq_f32(a, b);
}
V_INLINE vf v_max(vf a, vf b)
{
    return vmaxq_f32(a, b);
}
V_INLINE vf v_fma(vf a, vf b, vf c)
{
    return vfmaq_f32(c, a, b);
} // a * b + c
V_INLINE vf v_if_ge(vf a, vf b, vf yes, vf no)
{
    return vbslq_f32(vcgeq_f32(a, b), yes, no);
}
V_INLINE vf v_round(vf a)
{
    return vrndnq_f32(a);
}
V_INLINE vf v_exp2_whole(vf n) // 2^n for whole n in [-126, 127]
{
    int32x4_t e = vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127));
    return vreinterpretq_f32_s32(vshlq_n_s32(e, 23));
}
V_INLINE float v_sum(vf a)
{
    return vaddvq_f32(a);
}
// clang-format on

V_INLINE vf half_to_vf(uint16x4_t h)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(h));
}

// Two vectors of weights; for the e4m3 trick see simd_avx2.h.
V_INLINE void v_weights_e4m3(const uint8_t *p, vf out[2])
{
    int16x8_t wide = vmovl_s8(vreinterpret_s8_u8(vld1_u8(p)));
    uint16x8_t half = vandq_u16(vreinterpretq_u16_s16(vshlq_n_s16(wide, 7)), vdupq_n_u16(0xbfff));
    out[0] = half_to_vf(vget_low_u16(half));
    out[1] = half_to_vf(vget_high_u16(half));
}
V_INLINE void v_weights_f16(const uint16_t *p, vf out[2])
{
    out[0] = half_to_vf(vld1_u16(p));
    out[1] = half_to_vf(vld1_u16(p + 4));
}
V_INLINE void v_weights_bf16(const uint16_t *p, vf out[2])
{
    out[0] = vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16));
    out[1] = vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p + 4), 16));
}

// Four vectors of e4m3 codes, the even ones before the odd ones; see simd_avx2.h.
static const float QUAD_HALF_UNIT = 16.0f;

V_INLINE int v_quad_place(int i)
{
    return i % 2 * 2 * VL + i / 2;
}

V_INLINE void v_quads_e4m3(const uint8_t *p, vf out[4])
{
    int16x8_t word = vreinterpretq_s16_u8(vld1q_u8(p)), keep = vdupq_n_s16((int16_t)0xbf80);
    uint16x8_t even = vreinterpretq_u16_s16(vandq_s16(vshrq_n_s16(vshlq_n_s16(word, 8), 1), keep));
    uint16x8_t odd = vreinterpretq_u16_s16(vandq_s16(vshrq_n_s16(word, 1), keep));
    out[0] = half_to_vf(vget_low_u16(even));
    out[1] = half_to_vf(vget_high_u16(even));
    out[2] = half_to_vf(vget_low_u16(odd));
    out[3] = half_to_vf(vget_high_u16(odd));
}
