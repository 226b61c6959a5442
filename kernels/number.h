// The number formats that weights are stored in, one value at a time: what the fast paths are
// compared with.
//
//   name   sign exponent fraction  bias  largest        special
//   f32       1        8       23   127  3.4e38         inf, NaN
//   f16       1        5       10    15  65504          inf, NaN
//   bf16      1        8        7   127  3.4e38         inf, NaN: the upper half of an f32
//   e4m3      1        4        3     7  448            NaN is 0x7f and 0xff; there is no infinity
//   e2m1      1        2        1     1  6              none
//   e8m0      0        8        0   127  1.7e38         NaN is 0xff: a scale, a power of two
#pragma once
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define E4M3_LARGEST 448.0f

static inline float f32_from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, 4);
    return x;
}

static inline uint32_t f32_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return bits;
}

static inline float bf16_to_f32(uint16_t b)
{
    return f32_from_bits((uint32_t)b << 16);
}

static inline float f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    int exponent = h >> 10 & 31, fraction = h & 0x3ff;
    if (exponent == 31) return f32_from_bits(sign | 0x7f800000u | (uint32_t)fraction << 13);
    float size =
        exponent ? ldexpf((float)(1024 + fraction), exponent - 25) : ldexpf((float)fraction, -24);
    return sign ? -size : size;
}

static inline bool e4m3_is_nan(uint8_t b)
{
    return (b & 0x7f) == 0x7f;
}

static inline float e4m3_to_f32(uint8_t b)
{
    int exponent = b >> 3 & 15, fraction = b & 7;
    if (e4m3_is_nan(b)) return NAN;
    float size =
        exponent ? ldexpf((float)(8 + fraction), exponent - 10) : ldexpf((float)fraction, -9);
    return b & 0x80 ? -size : size;
}

static inline float e2m1_to_f32(uint8_t code) // the low four bits
{
    static const float size[8] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
    return code & 8 ? -size[code & 7] : size[code & 7];
}

static inline float e8m0_to_f32(uint8_t b)
{
    return b == 0xff ? NAN : ldexpf(1, (int)b - 127);
}

// To the nearest, ties to even. NaN stays NaN (quiet).
static inline uint16_t f32_to_bf16(float x)
{
    uint32_t bits = f32_bits(x);
    if (x != x) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// To the nearest, ties to even; larger than 448 becomes 448 (weights are scaled so that none is).
static inline uint8_t f32_to_e4m3(float x)
{
    uint8_t sign = signbit(x) ? 0x80 : 0;
    float size = fabsf(x);
    if (x != x) return sign | 0x7f;
    if (size >= E4M3_LARGEST) return sign | 0x7e;
    // One step of the grid is 2^(exponent - 3), and 2^-9 among the subnormals. Dividing by it is
    // exact, so rounding the quotient rounds the value; nearbyintf takes ties to even. A quotient
    // of 16 is the next binade's 8, which the carry of the addition below writes by itself.
    int exponent;
    frexpf(size, &exponent);
    if (size < 0x1p-6f) exponent = -5; // also for 0, of which frexpf says 0
    int quotient = (int)nearbyintf(ldexpf(size, 4 - exponent));
    return (uint8_t)(sign | (quotient + ((exponent + 5) << 3)));
}

// To the nearest, ties to the even code; larger than 6 becomes 6, and so does NaN, which e2m1 has
// not.
static inline uint8_t f32_to_e2m1(float x)
{
    static const float edge[7] = {0.25f, 0.75f, 1.25f, 1.75f, 2.5f, 3.5f, 5};
    uint8_t code = 0;
    float size = fabsf(x);
    while (code < 7 && (code % 2 ? !(size < edge[code]) : !(size <= edge[code]))) code++;
    return (uint8_t)(code | (signbit(x) ? 8 : 0));
}

// The scale (e8m0) of a row of e4m3 codes, as kernels.h describes it, from the bits of the largest
// |x|, which is finite: a number above 1.75 x 2^n takes the power of the next binade.
static inline uint8_t e4m3_row_scale(uint32_t largest)
{
    int scale = (int)((largest + 0x1fffff) >> 23) - 8;
    return (uint8_t)(scale < 1 ? 1 : scale);
}

// Word i of an endless random sequence: any word can be had without those before it.
static inline uint64_t k_random_word(uint64_t seed, uint64_t i)
{
    uint64_t z = seed + (i + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
