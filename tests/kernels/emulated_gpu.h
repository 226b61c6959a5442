// CUDA code on a CPU, for tests: what CUDA C and PTX (kernels/cuda_ptx.h) offer to a kernel, for
// code that a C++ compiler compiles. Every thread of a block is a fiber of one operating-system
// thread, and blocks run side by side. Whatever a GPU may do late is done late:
//
// - copies to shared memory arrive when they are waited for, bulk copies in random order; what they
//   bring they have read then, or when they were asked for
// - warps run in random order, some rest for a while: a barrier that is missing is missed
// - shared memory holds NaNs at the start
// - what others may wait for (store_seen) they see late, and in random order, but before what is
//   written behind it with a release
//
// Not emulated: that plain stores are seen late (others see them at once), and speed. Every
// function that takes a whole warp must be called by all 32 of its threads.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#include <cuda_runtime.h>

#include "kernels/cuda_maps.h"

#include <functional>
#include <math.h>
#include <stdint.h>
#include <string.h>

#undef __device__
#undef __forceinline__
#undef __global__
#undef __grid_constant__
#undef __launch_bounds__
#undef __noinline__
#undef __shared__
#define __device__
#define __forceinline__ inline
#define __global__      static
#define __grid_constant__
#define __launch_bounds__(...)
#define __noinline__         __attribute__((noinline))
#define __shared__           static thread_local // a block is an operating-system thread
#define DYNAMIC_SHARED(name) unsigned char *name = emulated_shared()

struct emulated_axis {
    unsigned (*value)();
    operator unsigned() const { return value(); }
};

struct emulated_index {
    struct emulated_axis x, y; // of a grid, two; of a block, one
};
extern const struct emulated_index threadIdx, blockIdx, blockDim, gridDim;

// Runs `thread` as every thread of a grid.
void emulated_run(const cudaLaunchConfig_t *config, const std::function<void()> &thread);

// What cudaLaunchKernelEx does, for files that launch kernels of several arguments.
template <typename... Formal>
static inline cudaError_t emulated_launch(const cudaLaunchConfig_t *config,
                                          void (*kernel)(Formal...), Formal... args)
{
    emulated_run(config, [=] { kernel(args...); });
    return cudaSuccess;
}

enum { EMULATED_SHARED = 227 << 10 };
unsigned char *emulated_shared();

// All threads of a warp give n bytes and get those of all, [32][n]. n <= 64
void emulated_exchange(const void *mine, void *all, size_t n);

void barrier(int id, int n);
void emulated_sync_threads();
void add_release(unsigned *p);
unsigned load_acquire(const unsigned *p);
unsigned arrive_of(unsigned *p, unsigned n);
void emulated_yield();
void sync_init(unsigned long long *s, unsigned n);
void sync_expect(unsigned long long *s, unsigned n_bytes);
void sync_arrive(unsigned long long *s);
bool sync_try(unsigned long long *s, unsigned phase);
void copy_box_2(void *shared, const struct tensor_map *map, int x, int y, unsigned long long *s);
void copy_box_3(void *shared, const struct tensor_map *map, int x, int y, int z,
                unsigned long long *s);
void emulated_copy(void *shared, const void *global, size_t n_bytes);
void emulated_store(void *to, const void *from, size_t n_bytes);
void copy_commit();
void emulated_copy_wait(int n);

static inline void copy_16(void *shared, const void *global)
{
    emulated_copy(shared, global, 16);
}

static inline void copy_16_or_zeros(void *shared, const void *global, bool exists)
{
    static const unsigned char zeros[16] = {};
    emulated_copy(shared, exists ? global : zeros, 16);
}

static inline void copy_8(void *shared, const void *global)
{
    emulated_copy(shared, global, 8);
}

static inline void copy_4(void *shared, const void *global)
{
    emulated_copy(shared, global, 4);
}

template <int N> static inline void copy_wait()
{
    emulated_copy_wait(N);
}

template <typename T> static inline void store_seen(T *p, T x)
{
    emulated_store(p, &x, sizeof x);
}

// Others may go on, since whoever loads may wait for what they write.
template <typename T> static inline T load_seen(const T *p)
{
    T x;
    emulated_yield();
    memcpy(&x, p, sizeof x);
    return x;
}

static inline void early_trigger() {}

static inline void early_wait() {}

static inline void sync_fence() {}

static inline void bring_near(const void *, unsigned) {}

static inline void bring_line_near(const void *) {}

enum { SECTOR = 32 };

static inline void bring_sector_near(const void *) {}

static inline void bring_map_near(const struct tensor_map *) {}

static inline void keep_number(unsigned &) {}

template <typename T> static inline void keep_pointer(T *&) {}

static inline size_t shared_address(const void *p)
{
    return (size_t)p;
}

static inline long long nanoseconds()
{
    return 1; // whoever waits too long is found by the emulation itself
}

static inline unsigned emulated_lane()
{
    return threadIdx.x % 32;
}

// Warps

template <typename T> static inline T __shfl_xor_sync(unsigned, T v, int mask)
{
    T all[32];
    emulated_exchange(&v, all, sizeof v);
    return all[emulated_lane() ^ (unsigned)mask];
}

template <typename T> static inline T __shfl_sync(unsigned, T v, int from)
{
    T all[32];
    emulated_exchange(&v, all, sizeof v);
    return all[from % 32];
}

template <typename T> static inline T __shfl_up_sync(unsigned, T v, unsigned by)
{
    T all[32];
    emulated_exchange(&v, all, sizeof v);
    return all[emulated_lane() < by ? emulated_lane() : emulated_lane() - by];
}

static inline unsigned __ballot_sync(unsigned, bool v)
{
    bool all[32];
    unsigned bits = 0;
    emulated_exchange(&v, all, sizeof v);
    for (int i = 0; i < 32; i++) bits |= (unsigned)all[i] << i;
    return bits;
}

static inline bool __any_sync(unsigned mask, bool v)
{
    return __ballot_sync(mask, v) != 0;
}

static inline unsigned __reduce_max_sync(unsigned, unsigned v)
{
    unsigned all[32], best = 0;
    emulated_exchange(&v, all, sizeof v);
    for (int i = 0; i < 32; i++) best = all[i] > best ? all[i] : best;
    return best;
}

static inline unsigned __reduce_min_sync(unsigned mask, unsigned v)
{
    return ~__reduce_max_sync(mask, ~v);
}

static inline unsigned __reduce_add_sync(unsigned, unsigned v)
{
    unsigned all[32], sum = 0;
    emulated_exchange(&v, all, sizeof v);
    for (int i = 0; i < 32; i++) sum += all[i];
    return sum;
}

static inline void __syncwarp()
{
    char nothing = 0, all[32];
    emulated_exchange(&nothing, all, 1);
}

static inline void __syncthreads()
{
    emulated_sync_threads();
}

// Tensor cores, as PTX defines the places of values in lanes.

static inline float emulated_float(unsigned bits, bool is_bf16)
{
    __half_raw h;
    float x;
    h.x = (unsigned short)bits;
    bits <<= 16;
    memcpy(&x, &bits, sizeof x);
    return is_bf16 ? x : __half2float(__half(h));
}

// A [16, 8 n] and B [8 n, 8] of n in a register: value(bits) of 32 / n bits each.
template <int N, typename VALUE>
static inline void emulated_products(float d[4], const unsigned a[4], unsigned b0, unsigned b1,
                                     VALUE value)
{
    struct {
        unsigned a[4], b[2];
    } mine = {{a[0], a[1], a[2], a[3]}, {b0, b1}}, all[32];
    emulated_exchange(&mine, all, sizeof mine);
    int g = (int)emulated_lane() / 4, t = (int)emulated_lane() % 4;
    for (int i = 0; i < 4; i++) {
        int row = g + i / 2 * 8, column = t * 2 + i % 2;
        double sum = d[i];
        for (int k = 0; k < 8 * N; k++) {
            int t_of_k = k % (4 * N) / N, at = k % N * (32 / N);
            unsigned x = all[row % 8 * 4 + t_of_k].a[k / (4 * N) * 2 + row / 8],
                     y = all[column * 4 + t_of_k].b[k / (4 * N)], mask = (1u << 32 / N) - 1;
            sum += (double)value(x >> at & mask) * (double)value(y >> at & mask);
        }
        d[i] = (float)sum;
    }
}

static inline void emulated_mma(float d[4], const unsigned a[4], unsigned b0, unsigned b1,
                                bool is_bf16)
{
    emulated_products<2>(d, a, b0, b1,
                         [=](unsigned bits) { return emulated_float(bits, is_bf16); });
}

static inline void mma_bf16(float d[4], const unsigned a[4], unsigned b0, unsigned b1)
{
    emulated_mma(d, a, b0, b1, true);
}

static inline void mma_f16(float d[4], const unsigned a[4], unsigned b0, unsigned b1)
{
    emulated_mma(d, a, b0, b1, false);
}

static inline void mma_bf16_first(float d[4], const unsigned a[4], unsigned b0, unsigned b1)
{
    for (int i = 0; i < 4; i++) d[i] = 0;
    emulated_mma(d, a, b0, b1, true);
}

static inline void mma_f16_first(float d[4], const unsigned a[4], unsigned b0, unsigned b1)
{
    for (int i = 0; i < 4; i++) d[i] = 0;
    emulated_mma(d, a, b0, b1, false);
}

#define HAS_MMA_E4M3  1
#define HAS_MMA_NVFP4 1

static inline float emulated_e4m3(unsigned code)
{
    __half_raw h = __nv_cvt_fp8_to_halfraw((__nv_fp8_storage_t)code, __NV_E4M3);
    return __half2float(__half(h));
}

static inline float emulated_e2m1(unsigned code)
{
    static const float size[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
    return code & 8 ? -size[code & 7] : size[code & 7];
}

static inline void mma_e4m3(float d[4], const unsigned a[4], unsigned b0, unsigned b1)
{
    emulated_products<4>(d, a, b0, b1, emulated_e4m3);
}

template <int PAIR, int FROM>
static inline void mma_nvfp4(float d[4], const unsigned a[4], unsigned b0, unsigned b1,
                             unsigned a_scales, unsigned b_scales)
{
    static_assert((PAIR == 0 || PAIR == 1) && FROM >= 0 && FROM < 4, "selectors of lanes");
    struct {
        unsigned a[4], b[2], a_scales, b_scales;
    } mine = {{a[0], a[1], a[2], a[3]}, {b0, b1}, a_scales, b_scales}, all[32];
    emulated_exchange(&mine, all, sizeof mine);
    int g = (int)emulated_lane() / 4, t = (int)emulated_lane() % 4;
    for (int i = 0; i < 4; i++) {
        int row = g + i / 2 * 8, column = t * 2 + i % 2;
        unsigned of_row = all[row % 8 * 4 + 2 * PAIR + row / 8].a_scales,
                 of_column = all[column * 4 + FROM].b_scales;
        double sum = d[i];
        for (int k = 0; k < 64; k++) {
            int t_of_k = k % 32 / 8, nibble = k % 8 * 4, byte = k / 16 * 8;
            unsigned x = all[row % 8 * 4 + t_of_k].a[k / 32 * 2 + row / 8],
                     y = all[column * 4 + t_of_k].b[k / 32];
            // Of a scale's byte the sign does not count.
            sum += (double)(emulated_e2m1(x >> nibble & 15) * emulated_e2m1(y >> nibble & 15)) *
                   (double)(emulated_e4m3(of_row >> byte & 127) *
                            emulated_e4m3(of_column >> byte & 127));
        }
        d[i] = (float)sum;
    }
}

// The nearest of the eight sizes; of two as near the one whose code is even.
static inline unsigned emulated_nearest_e2m1(float x)
{
    float size = fabsf(x);
    unsigned best = 0;
    for (unsigned i = 1; i < 8; i++) {
        float near = fabsf(emulated_e2m1(i) - size), of_best = fabsf(emulated_e2m1(best) - size);
        if (near < of_best || (near <= of_best && i % 2 == 0)) best = i;
    }
    return best | (signbit(x) ? 8 : 0);
}

static inline unsigned pack_e2m1(float low, float high)
{
    return emulated_nearest_e2m1(low) | emulated_nearest_e2m1(high) << 4;
}

static inline void emulated_matrices(unsigned r[4], const void *row, bool turned)
{
    const void *all[32];
    int g = (int)emulated_lane() / 4, t = (int)emulated_lane() % 4;
    emulated_exchange(&row, all, sizeof row);
    for (int m = 0; m < 4; m++) {
        uint16_t v[2];
        for (int i = 0; i < 2; i++) {
            int of_row = turned ? 2 * t + i : g, column = turned ? g : 2 * t + i;
            memcpy(&v[i], (const char *)all[m * 8 + of_row] + column * 2, 2);
        }
        r[m] = v[0] | (unsigned)v[1] << 16;
    }
}

static inline void matrices(unsigned r[4], const void *row)
{
    emulated_matrices(r, row, false);
}

static inline void matrices_turned(unsigned r[4], const void *row)
{
    emulated_matrices(r, row, true);
}

static inline unsigned multiply_f16x2(unsigned a, unsigned b)
{
    unsigned r = 0;
    for (int i = 0; i < 32; i += 16) {
        float x = emulated_float(a >> i & 0xffff, false) * emulated_float(b >> i & 0xffff, false);
        r |= (unsigned)__half_as_ushort(__float2half_rn(x)) << i;
    }
    return r;
}

static inline void unpack_e4m3(unsigned w, unsigned out[2])
{
    for (int i = 0; i < 2; i++) {
        __half2_raw h = __nv_cvt_fp8x2_to_halfraw2((__nv_fp8x2_storage_t)(w >> 16 * i), __NV_E4M3);
        out[i] = h.x | (unsigned)h.y << 16;
    }
}

// Arithmetic and memory

template <typename T> static inline T min(T a, T b)
{
    return b < a ? b : a;
}

template <typename T> static inline T max(T a, T b)
{
    return a < b ? b : a;
}

template <typename T> static inline T __ldg(const T *p)
{
    return *p;
}

template <typename T> static inline T __ldcg(const T *p)
{
    return *p;
}

static inline unsigned atomicAdd(unsigned *p, unsigned v)
{
    return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);
}

static inline unsigned long long atomicAdd(unsigned long long *p, unsigned long long v)
{
    return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);
}

static inline unsigned long long atomicMax(unsigned long long *p, unsigned long long v)
{
    unsigned long long old = __atomic_load_n(p, __ATOMIC_SEQ_CST);
    while (old < v &&
           !__atomic_compare_exchange_n(p, &old, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        continue;
    return old;
}

static inline void __threadfence() {}

static inline unsigned atomicOr(unsigned *p, unsigned v)
{
    return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST);
}

static inline unsigned atomicExch(unsigned *p, unsigned v)
{
    return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);
}

static inline unsigned __umulhi(unsigned a, unsigned b)
{
    return (unsigned)((unsigned long long)a * b >> 32);
}

static inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector)
{
    unsigned long long both = (unsigned long long)b << 32 | a;
    unsigned r = 0;
    for (int i = 0; i < 4; i++) r |= (unsigned)(both >> (selector >> 4 * i & 7) * 8 & 255) << 8 * i;
    return r;
}

static inline int __popc(unsigned x)
{
    return __builtin_popcount(x);
}

static inline unsigned __float_as_uint(float x)
{
    unsigned bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float __uint_as_float(unsigned bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline float rsqrtf(float x)
{
    return 1 / sqrtf(x);
}

static inline float emulated_exp(float x)
{
    return expf(x);
}
#define __expf emulated_exp

static inline float __fdividef(float x, float y)
{
    return x / y;
}

static inline void give_up()
{
    __builtin_trap();
}

template <int N> static inline void give_registers() {}

template <int N> static inline void take_registers() {}
