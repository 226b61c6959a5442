// Activations as products of short numbers round them (kernels/cuda_short.cu), by the definition:
// first to f16 of a sixteenth, which their producer leaves, then to the codes and scales of a
// format. x and out [n_col], of one token; every value finite.
#pragma once
#include "kernels/number.h"

static inline float short_x_f16(float x)
{
    int exponent;
    frexpf(x / 16, &exponent);
    if (exponent < -13) exponent = -13; // the subnormals have one step
    return ldexpf(nearbyintf(ldexpf(x / 16, 11 - exponent)), exponent - 11);
}

static inline float short_x_largest(const float *x, int n)
{
    float largest = 0;
    for (int i = 0; i < n; i++) largest = fmaxf(largest, fabsf(short_x_f16(x[i])));
    return largest;
}

static inline void short_x_nvfp4(float *out, const float *x, int n_col)
{
    float top = short_x_largest(x, n_col), unit = top > 0 ? top / (6 * 448) : 1;
    for (int c = 0; c < n_col; c++) {
        float of_block = short_x_largest(x + c / 16 * 16, 16);
        float scale = e4m3_to_f32(f32_to_e4m3(of_block / (6 * unit))) * unit;
        float by = scale > 0 ? 1 / scale : 0;
        out[c] = e2m1_to_f32(f32_to_e2m1(short_x_f16(x[c]) * by)) * scale * 16;
    }
}

static inline void short_x_e4m3(float *out, const float *x, int n_col)
{
    for (int c = 0; c < n_col; c++) {
        float top = short_x_largest(x + c / 128 * 128, 128), unit = top > 0 ? top / 448 : 1;
        float by = 1 / unit;
        out[c] = e4m3_to_f32(f32_to_e4m3(short_x_f16(x[c]) * by)) * unit * 16;
    }
}
