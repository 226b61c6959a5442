// What PTX has and CUDA C has not: asynchronous copies, barriers of some of a block's warps,
// barriers that count bytes, the tensor cores. tests/kernels/emulated_gpu.h has the same functions
// for a CPU.
#pragma once
#ifdef HEARTH_EMULATED
#include "emulated_gpu.h"
#else
#include "kernels/cuda_maps.h"

#include <cuda_runtime.h>

#define DYNAMIC_SHARED(name) extern __shared__ __align__(1024) unsigned char name[]

// A launch that may begin before the one before it has ended.

static __device__ __forceinline__ void early_trigger()
{
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
}

static __device__ __forceinline__ void early_wait()
{
    asm volatile("griddepcontrol.wait;" ::: "memory");
}

// n threads of the block meet.
static __device__ __forceinline__ void barrier(int id, int n)
{
    asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(n) : "memory");
}

// What each thread of four warps, a group of the block's, has from now on; those who take wait
// until others have given.

template <int N> static __device__ __forceinline__ void give_registers()
{
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(N));
}

template <int N> static __device__ __forceinline__ void take_registers()
{
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(N));
}

// The launch fails. (Where there is a trap, the compiler uses no register that was taken.)
static __device__ __forceinline__ void give_up()
{
    asm volatile("st.global.u32 [%0], 0;" ::"l"(0ull) : "memory");
}

// Counters that all blocks see. What a thread and those that met it wrote before `release` is seen
// by whoever finds the count with `acquire`, and by those that meet it then.

static __device__ __forceinline__ void add_release(unsigned *p)
{
    asm volatile("red.release.gpu.global.add.u32 [%0], 1;" ::"l"(p) : "memory");
}

static __device__ __forceinline__ unsigned load_acquire(const unsigned *p)
{
    unsigned v;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(v) : "l"(p) : "memory");
    return v;
}

// One of n arrives: how many were there before. After the last there is none again.
static __device__ __forceinline__ unsigned arrive_of(unsigned *p, unsigned n)
{
    unsigned v;
    asm volatile("atom.acq_rel.gpu.global.inc.u32 %0, [%1], %2;"
                 : "=r"(v)
                 : "l"(p), "r"(n - 1)
                 : "memory");
    return v;
}

// Numbers that other blocks see soon, and those that others may write meanwhile. One number is
// whole: nobody sees a part of it.

static __device__ __forceinline__ void store_seen(uint16_t *p, uint16_t x)
{
    asm volatile("st.relaxed.gpu.global.u16 [%0], %1;" ::"l"(p), "h"(x) : "memory");
}

static __device__ __forceinline__ void store_seen(unsigned *p, unsigned x)
{
    asm volatile("st.relaxed.gpu.global.u32 [%0], %1;" ::"l"(p), "r"(x) : "memory");
}

static __device__ __forceinline__ void store_seen(float *p, float x)
{
    asm volatile("st.relaxed.gpu.global.f32 [%0], %1;" ::"l"(p), "f"(x) : "memory");
}

static __device__ __forceinline__ float load_seen(const float *p)
{
    float x;
    asm volatile("ld.relaxed.gpu.global.f32 %0, [%1];" : "=f"(x) : "l"(p) : "memory");
    return x;
}

static __device__ __forceinline__ uint4 load_seen(const uint4 *p)
{
    uint4 x;
    asm volatile("ld.relaxed.gpu.global.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(x.x), "=r"(x.y), "=r"(x.z), "=r"(x.w)
                 : "l"(p)
                 : "memory");
    return x;
}

static __device__ __forceinline__ float4 load_seen(const float4 *p)
{
    float4 x;
    asm volatile("ld.relaxed.gpu.global.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(x.x), "=f"(x.y), "=f"(x.z), "=f"(x.w)
                 : "l"(p)
                 : "memory");
    return x;
}

static __device__ __forceinline__ float2 load_seen(const float2 *p)
{
    float2 x;
    asm volatile("ld.relaxed.gpu.global.v2.f32 {%0, %1}, [%2];"
                 : "=f"(x.x), "=f"(x.y)
                 : "l"(p)
                 : "memory");
    return x;
}

static __device__ __forceinline__ long long nanoseconds()
{
    long long now;
    asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
    return now;
}

// A number stays in its register, and what it is, is not known any more.
static __device__ __forceinline__ void keep_number(unsigned &x)
{
    asm volatile("" : "+r"(x));
}

// The same of a pointer.
template <typename T> static __device__ __forceinline__ void keep_pointer(T *&p)
{
    asm volatile("" : "+l"(p));
}

static __device__ __forceinline__ unsigned shared_address(const void *p)
{
    return (unsigned)__cvta_generic_to_shared(p);
}

// Copies that nobody may rely on, nor overwrite what they read, before copy_wait and a meeting:
// these tell the compiler about memory, so that it may keep what it knows between copies.

static __device__ __forceinline__ void copy_16(void *shared, const void *global)
{
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16;" ::"r"(shared_address(shared)),
                 "l"(global));
}

// The same, or 16 bytes of zeros.
static __device__ __forceinline__ void copy_16_or_zeros(void *shared, const void *global,
                                                        bool exists)
{
    asm volatile(
        "cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(shared_address(shared)),
        "l"(global), "r"(exists ? 16 : 0));
}

static __device__ __forceinline__ void copy_8(void *shared, const void *global)
{
    asm volatile("cp.async.ca.shared.global [%0], [%1], 8;" ::"r"(shared_address(shared)),
                 "l"(global));
}

static __device__ __forceinline__ void copy_4(void *shared, const void *global)
{
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(shared_address(shared)),
                 "l"(global));
}

static __device__ __forceinline__ void copy_commit()
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}

template <int N> static __device__ __forceinline__ void copy_wait() // all but the last N groups
{
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

// Barriers in shared memory that wait for arrivals and for the bytes that these announced.

static __device__ __forceinline__ void sync_init(unsigned long long *s, unsigned n)
{
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(s)), "r"(n)
                 : "memory");
}

static __device__ __forceinline__ void sync_expect(unsigned long long *s, unsigned n_bytes)
{
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(s)),
                 "r"(n_bytes)
                 : "memory");
}

static __device__ __forceinline__ void sync_arrive(unsigned long long *s)
{
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(s)) : "memory");
}

// Whether the barrier's phase of this parity is complete; waits a while for it.
static __device__ __forceinline__ bool sync_try(unsigned long long *s, unsigned phase)
{
    unsigned done;
    asm volatile("{ .reg .pred done;\n"
                 "mbarrier.try_wait.parity.shared::cta.b64 done, [%1], %2;\n"
                 "selp.u32 %0, 1, 0, done; }"
                 : "=r"(done)
                 : "r"(shared_address(s)), "r"(phase)
                 : "memory");
    return done;
}

// What sync_init did is seen by copies.
static __device__ __forceinline__ void sync_fence()
{
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

// Boxes of a matrix (cuda_maps.h) that begin at x, y, z, to shared memory; the barrier waits for
// their bytes, those beyond the matrix too. Weights are read once: they must not drive out what is
// needed again in every layer, code too. (To shared::cluster a copy would be a call on sm_12x, and
// registers could not be taken beside it.)

static __device__ __forceinline__ unsigned long long first_out()
{
    unsigned long long policy;
    asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
    return policy;
}

static __device__ __forceinline__ void copy_box_2(void *shared, const struct tensor_map *map, int x,
                                                  int y, unsigned long long *s)
{
    asm volatile("cp.async.bulk.tensor.2d.shared::cta.global.tile.mbarrier::complete_tx::bytes"
                 ".L2::cache_hint [%0], [%1, {%2, %3}], [%4], %5;" ::"r"(shared_address(shared)),
                 "l"(map), "r"(x), "r"(y), "r"(shared_address(s)), "l"(first_out())
                 : "memory");
}

static __device__ __forceinline__ void copy_box_3(void *shared, const struct tensor_map *map, int x,
                                                  int y, int z, unsigned long long *s)
{
    asm volatile(
        "cp.async.bulk.tensor.3d.shared::cta.global.tile.mbarrier::complete_tx::bytes"
        ".L2::cache_hint [%0], [%1, {%2, %3, %4}], [%5], %6;" ::"r"(shared_address(shared)),
        "l"(map), "r"(x), "r"(y), "r"(z), "r"(shared_address(s)), "l"(first_out())
        : "memory");
}

// The map itself.
static __device__ __forceinline__ void bring_map_near(const struct tensor_map *map)
{
    asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}

// Into the second-level cache: n_bytes, a multiple of 16; a line.

static __device__ __forceinline__ void bring_near(const void *p, unsigned n_bytes)
{
    asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(p), "r"(n_bytes) : "memory");
}

static __device__ __forceinline__ void bring_line_near(const void *p)
{
    asm volatile("prefetch.global.L2 [%0];" ::"l"(p));
}

// Into the first-level cache.
enum { SECTOR = 32 };

static __device__ __forceinline__ void bring_sector_near(const void *p)
{
    asm volatile("prefetch.global.L1 [%0];" ::"l"(p));
}

// Four matrices of 8 x 8 16-bit values: lane i gives the address of row i % 8 of matrix i / 8, and
// lane 4 g + t gets of each row g, columns 2t and 2t + 1; turned: column g, rows 2t and 2t + 1.

static __device__ __forceinline__ void matrices(unsigned r[4], const void *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row)));
}

static __device__ __forceinline__ void matrices_turned(unsigned r[4], const void *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row)));
}

// D += A B of the tensor cores: A [16, 16] and B [16, 8] bf16, D f32. Lane 4 g + t holds, of A,
// rows g and g + 8 at columns 2t, 2t + 1 and 8 more; of B, column g at the same rows; of D, rows g
// and g + 8 at columns 2t and 2t + 1.
static __device__ __forceinline__ void mma_bf16(float d[4], const unsigned a[4], unsigned b0,
                                                unsigned b1)
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

static __device__ __forceinline__ void mma_f16(float d[4], const unsigned a[4], unsigned b0,
                                               unsigned b1)
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// D = A B: whoever begins with zeros need not make them.

static __device__ __forceinline__ void mma_bf16_first(float d[4], const unsigned a[4], unsigned b0,
                                                      unsigned b1)
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%10,%10,%10};"
        : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "f"(0.0f));
}

static __device__ __forceinline__ void mma_f16_first(float d[4], const unsigned a[4], unsigned b0,
                                                     unsigned b1)
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%10,%10,%10};"
        : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "f"(0.0f));
}

// Only sm_12x has tensor cores that take scales of blocks, and only code for this one family (121a,
// 120f and their like) may use them.
#define HAS_MMA_NVFP4                                                                              \
    (__CUDA_ARCH_FAMILY_SPECIFIC__ >= 1200 && __CUDA_ARCH_FAMILY_SPECIFIC__ < 1300)

// Of e4m3, A [16, 32] and B [32, 8]: columns 4t to 4t + 3 and 16 more take the places of 2t, 2t + 1
// and 8 more. Every architecture from sm_89 on compiles it, but on Hopper and data-centre Blackwell
// it is a row of conversions and products of f16. GeForce parts do it at half their speed when sums
// are f32, but not with scales of blocks: so those are there, and all 1.
#define HAS_MMA_E4M3 (__CUDA_ARCH__ == 890 || __CUDA_ARCH__ >= 1200)

static __device__ __forceinline__ void mma_e4m3(float d[4], const unsigned a[4], unsigned b0,
                                                unsigned b1)
{
#if HAS_MMA_NVFP4
    asm("mma.sync.aligned.m16n8k32.row.col.kind::mxf8f6f4.block_scale.scale_vec::1X"
        ".f32.e4m3.e4m3.f32.ue8m0 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3}, "
        "%10, {0, 0}, %10, {0, 0};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "r"(0x7f7f7f7f));
#else
    asm("mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32 "
        "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#endif
}

// Of e2m1, A [16, 64] and B [64, 8], eight in a register: columns 8t to 8t + 7 and 32 more. Each
// row of A and column of B has four scales, unsigned e4m3, of 16 columns each; byte i is that of
// the i-th 16. Of four lanes 4 g + t two give those of A's rows g and g + 8, t = 2 PAIR and the
// next; one, t = FROM, those of B's column g.
template <int PAIR, int FROM>
static __device__ __forceinline__ void mma_nvfp4(float d[4], const unsigned a[4], unsigned b0,
                                                 unsigned b1, unsigned a_scales, unsigned b_scales)
{
    asm("mma.sync.aligned.m16n8k64.row.col.kind::mxf4nvf4.block_scale.scale_vec::4X"
        ".f32.e2m1.e2m1.f32.ue4m3 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3}, "
        "%10, {0, %11}, %12, {0, %13};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "r"(a_scales), "n"(PAIR),
          "r"(b_scales), "n"(FROM));
}

// The nearest e2m1 codes, ties to the even one and larger than 6 as 6; `low` in the lower half of a
// byte. Where mma_nvfp4 is.
static __device__ __forceinline__ unsigned pack_e2m1(float low, float high)
{
    unsigned r;
    asm("{ .reg .b8 two; cvt.rn.satfinite.e2m1x2.f32 two, %2, %1; mov.b32 %0, {two, 0, 0, 0}; }"
        : "=r"(r)
        : "f"(low), "f"(high));
    return r;
}

static __device__ __forceinline__ unsigned multiply_f16x2(unsigned a, unsigned b)
{
    unsigned r;
    asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
    return r;
}

// Four e4m3 codes, in order.
static __device__ __forceinline__ void unpack_e4m3(unsigned w, unsigned out[2])
{
    asm("{ .reg .b16 a, b; mov.b32 {a, b}, %2; cvt.rn.f16x2.e4m3x2 %0, a; cvt.rn.f16x2.e4m3x2 %1, "
        "b; }"
        : "=r"(out[0]), "=r"(out[1])
        : "r"(w));
}
#endif
