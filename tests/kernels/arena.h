// What tests that run a kernel's own code on the CPU begin with; included behind that code.
#pragma once
#include <algorithm>
#include <random>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

extern "C" {
#include <cmocka.h>
}

extern void (*emulated_call)(const void *kernel, void *argument);

bool cuda_check(k_device *, cudaError_t rc, const char *)
{
    return rc == cudaSuccess;
}

typedef std::vector<double> numbers;

// Memory that lives as long as a case; what is not written holds NaNs, and behind it, too.
struct arena {
    std::vector<void *> blocks;
    std::mt19937 random;

    explicit arena(unsigned seed) : random(seed) {}
    ~arena()
    {
        for (void *p : blocks) free(p);
    }
    void *bytes(size_t n)
    {
        n = (n + 511) / 256 * 256;
        void *p = aligned_alloc(256, n);
        memset(p, 0xff, n);
        blocks.push_back(p);
        return p;
    }
    template <typename T> T *many(size_t n) { return (T *)bytes(n * sizeof(T)); }
    float normal() { return std::normal_distribution<float>()(random); }
    float between(float low, float high)
    {
        return std::uniform_real_distribution<float>(low, high)(random);
    }
    int whole(int low, int high) { return low + (int)(random() % (unsigned)(high - low + 1)); }
    float *normals(size_t n, float scale)
    {
        float *p = many<float>(n);
        for (size_t i = 0; i < n; i++) p[i] = normal() * scale;
        return p;
    }
};
