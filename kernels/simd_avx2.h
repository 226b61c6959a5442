// The vector instructions that cpu_simd.h is written in: x86-64 with AVX2, FMA and F16C.
#pragma once
#include <immintrin.h>
#include <stdint.h>

#if defined(SIMD_SUBNORMALS_ARE_CHEAP)
#define SIMD_NAME  "avx2 amd"
#define SIMD_TABLE simd_avx2_amd
#else
#define SIMD_NAME  "avx2"
#define SIMD_TABLE simd_avx2
#endif
enum { VL = 8, TILE_ROWS = 6, TILE_VECS = 2 };
typedef __m256 vf;

#define V_INLINE static inline __attribute__((always_inline))

// clang-format off: one operation, one line
V_INLINE vf v_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
V_INLINE void v_store(float *p, vf a)
{
    _mm256_storeu_ps(p, a);
}
V_INLINE vf v_set(float x)
{
    return _mm256_set1_ps(x);
}
V_INLINE vf v_add(vf a, vf b)
{
    return _mm256_add_ps(a, b);
}
V_INLINE vf v_mul(vf a, vf b)
{
    return _mm256_mul_ps(a, b);
}
V_INLINE vf v_div(vf a, vf b)
{
    return _mm256_div_ps(a, b);
}
V_INLINE vf v_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}
V_INLINE vf v_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
} // a * b + c
V_INLINE vf v_if_ge(vf a, vf b, vf yes, vf no)
{
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_GE_OQ));
}
V_INLINE vf v_round(vf a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
V_INLINE vf v_exp2_whole(vf n) // 2^n for whole n in [-126, 127]
{
    __m256i e = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(e, 23));
}
V_INLINE float v_sum(vf a)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
// clang-format on

// Two vectors of weights. An e4m3 code becomes the f16 with the same fields: sign to bit 15, the
// other seven bits to 7..13. The exponent's bias is then 8 too large, so the value is 2^-8 of what
// it should be. Sign-extending first puts the sign at bit 15 after the shift, and at 14 as well.
V_INLINE void v_weights_e4m3(const uint8_t *p, vf out[2])
{
    __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p));
    __m256i half = _mm256_and_si256(_mm256_slli_epi16(wide, 7), _mm256_set1_epi16((short)0xbfff));
    out[0] = _mm256_cvtph_ps(_mm256_castsi256_si128(half));
    out[1] = _mm256_cvtph_ps(_mm256_extracti128_si256(half, 1));
}
V_INLINE void v_weights_f16(const uint16_t *p, vf out[2])
{
    out[0] = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
    out[1] = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p + 8)));
}
V_INLINE void v_weights_bf16(const uint16_t *p, vf out[2])
{
    for (int i = 0; i < 2; i++) {
        __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(p + 8 * i)));
        out[i] = _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
    }
}

// Four vectors of e4m3 codes for fewer instructions than twice v_weights: shifts of 16-bit lanes
// put the even and the odd codes where a wider format has their fields. Code i of the 4 * VL is in
// lane v_quad_place(i) of the four; the values are QUAD_HALF_UNIT^-2 of what they should be.
#if defined(SIMD_SUBNORMALS_ARE_CHEAP)

// The wider format is bf16, the upper half of an f32, which needs no conversion: 20 GB/s of codes
// on a core of Zen 3 where the other variant does 12. But subnormal codes become subnormal factors,
// on which other processors than AMD's spend a hundred cycles each.
static const float QUAD_HALF_UNIT = 0x1p60f;

V_INLINE int v_quad_place(int i)
{
    return i % 4 * VL + i / 4;
}

V_INLINE void v_quads_e4m3(const uint8_t *p, vf out[4])
{
    __m256i word = _mm256_loadu_si256((const __m256i *)p), keep = _mm256_set1_epi16((short)0x87f0);
    __m256i even = _mm256_and_si256(_mm256_srai_epi16(_mm256_slli_epi16(word, 8), 4), keep);
    __m256i odd = _mm256_and_si256(_mm256_srai_epi16(word, 4), keep);
    __m256i high = _mm256_set1_epi32((int)0xffff0000);
    out[0] = _mm256_castsi256_ps(_mm256_slli_epi32(even, 16));
    out[1] = _mm256_castsi256_ps(_mm256_slli_epi32(odd, 16));
    out[2] = _mm256_castsi256_ps(_mm256_and_si256(even, high));
    out[3] = _mm256_castsi256_ps(_mm256_and_si256(odd, high));
}

#else

static const float QUAD_HALF_UNIT = 16.0f;

V_INLINE int v_quad_place(int i)
{
    return i % 2 * 2 * VL + i / 2;
}

V_INLINE void v_quads_e4m3(const uint8_t *p, vf out[4])
{
    __m256i word = _mm256_loadu_si256((const __m256i *)p), keep = _mm256_set1_epi16((short)0xbf80);
    __m256i even = _mm256_and_si256(_mm256_srai_epi16(_mm256_slli_epi16(word, 8), 1), keep);
    __m256i odd = _mm256_and_si256(_mm256_srai_epi16(word, 1), keep);
    out[0] = _mm256_cvtph_ps(_mm256_castsi256_si128(even));
    out[1] = _mm256_cvtph_ps(_mm256_extracti128_si256(even, 1));
    out[2] = _mm256_cvtph_ps(_mm256_castsi256_si128(odd));
    out[3] = _mm256_cvtph_ps(_mm256_extracti128_si256(odd, 1));
}

#endif
