// The arithmetic of drawing an index from a row of logits, one for all instances: what decides is
// computed in whole numbers, or in single operations of f32 that every machine rounds alike, so the
// same logits, mask, settings and random word give the same index on a CPU and on a GPU.
//
//   order     larger logit first, then lower index; NaN counts as -infinity, -0 as 0
//   distance  (largest - logit) / temperature, in f32
//   weight    exp(-distance) * 2^42, to 1e-8 of itself; 0 beyond a distance of 29
//
// Up to 2^22 weights add up to less than 2^64, in any order. Only the limit of min-p depends on a
// library's logarithm, of the host. What can differ between instances is the logits they are given.
#pragma once
#include "kernels/kernels.h"

#include <math.h>
#include <string.h>

#if defined(__CUDACC__)
#define SAMPLE_FUNCTION static __host__ __device__ __forceinline__
#else
#define SAMPLE_FUNCTION static inline
#endif

// Ascending in drawing order; the index is in the lower half.
SAMPLE_FUNCTION uint64_t sample_key(float x, uint32_t index)
{
    uint32_t bits;
    x = x == x ? x + 0.0f : -INFINITY;
    memcpy(&bits, &x, sizeof bits);
    bits = bits >> 31 ? bits : ~bits & 0x7fffffffu;
    return (uint64_t)bits << 32 | index;
}

SAMPLE_FUNCTION float sample_logit(uint64_t key)
{
    uint32_t bits = (uint32_t)(key >> 32);
    float x;
    bits = bits >> 31 ? bits : ~bits & 0x7fffffffu;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// Never smaller for a later key. NaN where both are infinite.
SAMPLE_FUNCTION float sample_distance(float largest, float x, float temperature)
{
    return (largest - x) / temperature;
}

// A distance in units of 2^-27; those that fit are below 32.
SAMPLE_FUNCTION uint32_t sample_steps(float distance)
{
    return distance < 32 ? (uint32_t)(distance * 0x1p27f) : UINT32_MAX;
}

// 2^-(distance / ln 2): the whole part of the exponent is a shift, 1 - its fraction goes into a
// polynomial for 2^g - 1 in units of 2^-32, which is 0 at 0 and has no negative coefficient.
SAMPLE_FUNCTION uint64_t sample_weight(uint32_t steps)
{
    const uint64_t log2_e = 0xb8aa3b29; // in units of 2^-31
    uint64_t exponent = steps * log2_e; // in units of 2^-58
    uint64_t g = ~(uint32_t)(exponent >> 26), p = 0xe44b7;
    p = (p * g >> 32) + 0x51680c;
    p = (p * g >> 32) + 0x27a6aba;
    p = (p * g >> 32) + 0xe341fcc;
    p = (p * g >> 32) + 0x3d7fb390;
    p = (p * g >> 32) + 0xb1721518;
    return (0x80000000u + (p * g >> 33)) << 10 >> (exponent >> 58);
}

SAMPLE_FUNCTION uint64_t sample_product_high(uint64_t a, uint64_t b)
{
#if defined(__CUDA_ARCH__)
    return __umul64hi(a, b);
#else
    return (uint64_t)((unsigned __int128)a * b >> 64);
#endif
}

// What the settings say, on the host, in the numbers that decide.
struct sample_rule {
    float temperature;
    float far_off;  // distances beyond are cut by min-p
    uint32_t top_k; // UINT32_MAX: off
    uint64_t top_p; // in units of 2^-64; 0: off
    uint64_t word;
};

static inline struct sample_rule sample_rule(const struct k_sampling *o)
{
    struct sample_rule r = {o->temperature, INFINITY, UINT32_MAX, 0, o->word};
    // The first is always kept.
    if (o->min_p > 0) r.far_off = o->min_p < 1 ? (float)-log((double)o->min_p) : 0.0f;
    if (o->top_k > 0) r.top_k = (uint32_t)o->top_k;
    if (o->top_p > 0 && o->top_p < 1) {
        r.top_p = (uint64_t)((double)o->top_p * 0x1p64);
        if (!r.top_p) r.top_p = 1;
    }
    return r;
}

// The least sum of weights that top-p is content with, of what top-k left.
SAMPLE_FUNCTION uint64_t sample_limit(uint64_t mass, uint64_t top_p)
{
    uint64_t limit = top_p ? sample_product_high(mass, top_p) + (mass * top_p != 0) : mass;
    return limit ? limit : 1;
}

// Which part of a sum the random word points at: from 0 to mass - 1.
SAMPLE_FUNCTION uint64_t sample_target(uint64_t mass, uint64_t word)
{
    return sample_product_high(mass, word);
}
