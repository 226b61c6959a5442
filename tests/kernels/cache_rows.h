// What a cache of bf16 or e4m3 holds, number by number, as kernels.h defines it: for tests of the
// kernels that read and write one, compiled for a CPU.
#pragma once
#include "kernels/cuda.h"
#include "kernels/number.h"

static inline size_t scale_place(const struct k_cache &c, size_t row) // of all heads' rows
{
    size_t ctx = (size_t)c.ctx_max;
    return row / ctx * ((ctx + K_SCALE_STEP - 1) / K_SCALE_STEP * K_SCALE_STEP) + row % ctx;
}

// What the cache holds at `row` of keys, or of values.
static inline double cached(const struct k_cache &c, bool value, size_t row, size_t i)
{
    const void *data = value ? c.v : c.k;
    size_t at = row * (size_t)c.head_dim + i;
    if (c.type != K_E4M3) return (double)bf16_value(((const uint16_t *)data)[at]);
    int scale = (value ? c.v_scale : c.k_scale)[scale_place(c, row)];
    return ldexp((double)e4m3_to_f32(((const uint8_t *)data)[at]), scale - 127);
}

// Numbers as the cache's type holds them; with `to` they are written to that row, too.
static inline void keep(double *x, const struct k_cache &c, bool value, bool to, size_t row)
{
    size_t n = (size_t)c.head_dim;
    unsigned char *codes = (unsigned char *)(value ? c.v : c.k) + row * n;
    uint16_t *shorts = (uint16_t *)(value ? c.v : c.k) + row * n;
    double largest = 0;
    int scale = 1;
    for (size_t i = 0; i < n; i++) largest = fmax(largest, fabs(x[i]));
    while (ldexp(448, scale - 127) < largest) scale++;
    for (size_t i = 0; i < n; i++)
        if (c.type == K_E4M3) {
            uint8_t code = f32_to_e4m3((float)ldexp(x[i], 127 - scale));
            x[i] = ldexp((double)e4m3_to_f32(code), scale - 127);
            if (to) codes[i] = code;
        } else {
            uint16_t bits = bf16_bits((float)x[i]);
            x[i] = (double)bf16_value(bits);
            if (to) shorts[i] = bits;
        }
    if (to && c.type == K_E4M3)
        (value ? c.v_scale : c.k_scale)[scale_place(c, row)] = (unsigned char)scale;
}
