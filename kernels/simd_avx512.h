// The vector instructions that cpu_simd.h is written in: x86-64 with AVX-512 F, BW, DQ and VL.
#pragma once
#include <immintrin.h>
#include <stdint.h>

#define SIMD_NAME  "avx512"
#define SIMD_TABLE simd_avx512
enum { VL = 16, TILE_ROWS = 12, TILE_VECS = 2 };
typedef __m512 vf;

#define V_INLINE static inline __attribute__((always_inline))

// clang-format off: one operation, one line
V_INLINE vf v_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
V_INLINE void v_store(float *p, vf a)
{
    _mm512_storeu_ps(p, a);
}
V_INLINE vf v_set(float x)
{
    return _mm512_set1_ps(x);
}
V_INLINE vf v_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}
V_INLINE vf v_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}
V_INLINE vf v_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}
V_INLINE vf v_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}
V_INLINE vf v_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
} // a * b + c
V_INLINE vf v_if_ge(vf a, vf b, vf yes, vf no)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_GE_OQ), no, yes);
}
V_INLINE vf v_round(vf a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
V_INLINE vf v_exp2_whole(vf n) // 2^n for whole n in [-126, 127]
{
    __m512i e = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
    return _mm512_castsi512_ps(_mm512_slli_epi32(e, 23));
}
V_INLINE float v_sum(vf a)
{
    return _mm512_reduce_add_ps(a);
}
// clang-format on

// Two vectors of weights; for the e4m3 trick see simd_avx2.h.
V_INLINE void v_weights_e4m3(const uint8_t *p, vf out[2])
{
    __m512i wide = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)p));
    __m512i half = _mm512_and_si512(_mm512_slli_epi16(wide, 7), _mm512_set1_epi16((short)0xbfff));
    out[0] = _mm512_cvtph_ps(_mm512_castsi512_si256(half));
    out[1] = _mm512_cvtph_ps(_mm512_extracti64x4_epi64(half, 1));
}
V_INLINE void v_weights_f16(const uint16_t *p, vf out[2])
{
    out[0] = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
    out[1] = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(p + 16)));
}
V_INLINE void v_weights_bf16(const uint16_t *p, vf out[2])
{
    for (int i = 0; i < 2; i++) {
        __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(p + 16 * i)));
        out[i] = _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
    }
}

// Four vectors of e4m3 codes, the even ones before the odd ones; see simd_avx2.h.
static const float QUAD_HALF_UNIT = 16.0f;

V_INLINE int v_quad_place(int i)
{
    return i % 2 * 2 * VL + i / 2;
}

V_INLINE void v_quads_e4m3(const uint8_t *p, vf out[4])
{
    __m512i word = _mm512_loadu_si512(p), keep = _mm512_set1_epi16((short)0xbf80);
    __m512i even = _mm512_and_si512(_mm512_srai_epi16(_mm512_slli_epi16(word, 8), 1), keep);
    __m512i odd = _mm512_and_si512(_mm512_srai_epi16(word, 1), keep);
    out[0] = _mm512_cvtph_ps(_mm512_castsi512_si256(even));
    out[1] = _mm512_cvtph_ps(_mm512_extracti64x4_epi64(even, 1));
    out[2] = _mm512_cvtph_ps(_mm512_castsi512_si256(odd));
    out[3] = _mm512_cvtph_ps(_mm512_extracti64x4_epi64(odd, 1));
}
