// What the .cu files of the cuda instance share: the device, the forms of an act, and the few
// device functions that more than one family uses. Included by CUDA code only.
//
// A product's input comes in one of three forms, and whoever makes an act chooses by the number of
// tokens and columns (act_form), so that producer and reader agree without asking:
//
//   FORM_PAIR   few tokens: x * gain as a short number, hi, which tensor cores can take, and what
//   it
//               leaves of x, lo. f16 alone has 10 bits, since one is a tag, and products take no
//               more; bf16 has 7, so they take both, 14. The factor 1/rms of a norm is not in it:
//               its writer leaves sums of squares behind, one per tile of rows, and the reader
//               multiplies.
//   FORM_SHORT  many tokens: hi alone, finished
//   FORM_F32    shapes that the fast kernels do not take: f32, finished
//
// Short numbers are written both as bf16, for bf16 weights, and as f16, for the others. f16 is
// scaled by 2^-4: up to 2^20 it holds, and down to 2^-20 of absolute error.
//
// Operations for few tokens are jobs of a resident kernel (cuda_step.h); all others are launches,
// and before one of them is issued what is listed must be (cuda_steps_flush).
#pragma once
#include "kernels/cuda_probe.h"
#include "kernels/kernels.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#include <cuda_runtime.h>
#include <math.h>
#include <mutex>
#include <vector>

enum {
    SUMS_MAX = 512,       // sums of squares that a norm leaves behind for a token, at most
    FEW_TOKENS = 8,       // up to here products are bound by the bytes of weights
    COLUMNS_STEP = 64,    // the fast kernels take multiples of this many columns
    ATTEND_SPLIT_MAX = 64 // parts of a context that are attended to side by side
};

enum form { FORM_PAIR, FORM_SHORT, FORM_F32 };
enum { X_BF16, X_F16, X_N_KIND };
enum q_form { Q_NONE, Q_TOKEN, Q_BLOCK, Q_NVFP4 };
#define F16_UNIT 0x1p-4f

struct k_act {
    enum form form; // of what was written last
    int n_col;
    float *x;               // FORM_F32 [n_token, n_col]
    uint16_t *hi[X_N_KIND]; // FORM_PAIR and FORM_SHORT [n_token, n_col] each
    uint16_t *lo[X_N_KIND]; // FORM_PAIR [FEW_TOKENS, n_col] each
    // FORM_SHORT: the same rounded further, made when a product wants it so.
    //   Q_TOKEN  e4m3 [n_token, n_col], a scale for each token
    //   Q_BLOCK  e4m3 [n_token, n_col], a scale for each token and 128 columns
    //   Q_NVFP4  e2m1 [n_token, n_col], behind it e4m3 [n_token, n_col / 16]; a scale for each
    //   token
    enum q_form q_form;
    unsigned char *q;
    float *q_scale;
    float *sums;  // FORM_PAIR [token, n_sum] sums of squares
    int n_sum;    // 0: no norm
    int norm_dim; // of which the sums are
    float eps;
};

// Where short numbers go.
struct short_out {
    uint16_t *hi[X_N_KIND], *lo[X_N_KIND];
};

struct send_buffer {
    char *bytes;      // pinned; NULL: not there
    cudaEvent_t left; // what was sent from it has left it
};

struct k_device {
    int index, n_sm, major, minor, integrated;
    size_t shared_max;   // bytes of shared memory that one block may use
    size_t shared_sm;    // and that one multiprocessor has
    cudaStream_t stream; // everything is issued here
    struct send_buffer stages[K_STAGES];
    cudaError_t failed; // the first error, and where
    char failed_at[128];
    char name[192];
    std::recursive_mutex lock; // held by an operation that issues

    float *scratch[3]; // [n_token, n_col] each, for the forms in between
    size_t scratch_size;
    float *parts;                // attention: what the parts of a context found
    unsigned *counters;          // attention: how many parts have arrived; zero between launches
    struct sample_state *sample; // what the blocks that choose a token share
    unsigned long long *sample_result; // mapped host memory
    void *sample_mask;                 // a mask's copy
    size_t sample_mask_n;              // its bytes
    unsigned *read_sum;
    struct step_queue *steps; // jobs that are not launched yet
    struct cuda_lt *lt;
    unsigned short_forms; // which forms of cuda_short.cu the device has tensor cores for
};

// Remembers the first failure; true when there is none now.
bool cuda_check(k_device *d, cudaError_t rc, const char *where);

template <typename... Formal, typename... Actual>
void cuda_launch(k_device *d, const char *where, void (*kernel)(Formal...), dim3 grid, int block,
                 size_t shared, Actual... args)
{
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = dim3((unsigned)block);
    config.dynamicSmemBytes = shared;
    config.stream = d->stream;
    cuda_check(d, cudaLaunchKernelEx(&config, kernel, Formal(args)...), where);
}

// Launches a kernel that may begin before its predecessor has ended: it must execute
// griddepcontrol.wait before it touches what another kernel writes or reads.
template <typename... Formal, typename... Actual>
void cuda_launch_early(k_device *d, const char *where, void (*kernel)(Formal...), dim3 grid,
                       int block, size_t shared, Actual... args)
{
    cudaLaunchConfig_t config = {};
    cudaLaunchAttribute early = {};
    config.gridDim = grid;
    config.blockDim = dim3((unsigned)block);
    config.dynamicSmemBytes = shared;
    config.stream = d->stream;
    early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    early.val.programmaticStreamSerializationAllowed = 1;
    config.attrs = &early;
    config.numAttrs = 1;
    cuda_check(d, cudaLaunchKernelEx(&config, kernel, Formal(args)...), where);
}

static inline enum form act_form(int n_token, int n_col)
{
    if (n_col % COLUMNS_STEP) return FORM_F32;
    return n_token <= FEW_TOKENS ? FORM_PAIR : FORM_SHORT;
}

// The families' host sides, of the operations that kernels.h describes.
void cuda_embed(k_device *d, float *out, const struct k_matrix *table, const int32_t *tokens,
                int n_token);
void cuda_rms_norm(k_device *d, float *out, const float *x, const float *gain, int n_row, int dim,
                   float eps);
void cuda_rope_table(k_device *d, float *out, const double *inv_freq, int n_half, float scale,
                     const int32_t *pos, int n_token);
void cuda_rope(k_device *d, float *x, const float *table, int n_token, int n_head, int head_dim);
void cuda_swiglu(k_device *d, float *gate, const float *up, int n_token, int dim,
                 const struct k_gating *how);
void cuda_sum_rows(k_device *d, float *out, const float *x, int n_row, int dim);
uint64_t cuda_read_all(k_device *d, const void *p, size_t n_bytes);
void cuda_fill(k_device *d, void *to, size_t n_bytes, uint64_t seed, uint64_t keep, uint64_t set);

// The choice of a token.
bool cuda_sample_open(k_device *d);
void cuda_sample_close(k_device *d);
int32_t cuda_argmax(k_device *d, const float *x, int n, const uint64_t *mask);
int32_t cuda_sample(k_device *d, const float *x, int n, const uint64_t *mask,
                    const struct k_sampling *how, uint64_t *room);

void cuda_norm(k_device *d, k_act *a, const float *x, const float *gain, int n_token, int dim,
               float eps);
void cuda_act_write(k_device *d, k_act *a, const float *x, int n_token); // from f32, no norm
const float *cuda_act_read(k_device *d, const k_act *a, int n_token);    // into scratch[2], or a->x
void cuda_gate_act(k_device *d, k_act *a, const float *gate, const float *up, int n_token);

void cuda_project(k_device *d, const k_act *a, int n_token, const struct k_product *p,
                  int n_product); // by the fastest kernel that takes them
void cuda_matmul(k_device *d, const float *x, int n_token, const struct k_product *p,
                 int n_product);
bool cuda_gemm_takes(const struct k_matrix *w);
void cuda_gemm(k_device *d, const k_act *a, int n_token, const struct k_product *p); // FORM_SHORT

void cuda_kv_store(k_device *d, const struct k_cache *c, const float *k, const float *v,
                   const int32_t *pos, int n_token);
void cuda_attention(k_device *d, float *out, const struct k_attend *at, int n_token);
void cuda_attend_many(k_device *d, k_act *a, const struct k_attend *at, int n_token);

// Products with x in e4m3, FORM_SHORT.
bool cuda_lt_open(k_device *d);
void cuda_lt_close(k_device *d);
bool cuda_lt_takes(k_device *d, const k_act *a, const struct k_product *p, int n_token);
// Why a product of that many tokens is not taken, "" when nobody would expect it to be; NULL: it
// is.
const char *cuda_lt_refuses(k_device *d, const struct k_product *p, int n_token);
bool cuda_lt_scales_rows(k_device *d, const struct k_matrix *w, int n_token); // of one it takes
void cuda_lt_product(k_device *d, k_act *a, const struct k_product *p, int n_token);

// Products with x in what the weights are, e4m3 or NVFP4, FORM_SHORT.
bool cuda_short_open(k_device *d);
bool cuda_short_takes(const k_device *d, const k_act *a, const struct k_matrix *w);
void cuda_short_product(k_device *d, k_act *a, const struct k_product *p, int n_token);
bool cuda_short_gates(const k_device *d, const k_act *out, const k_act *a, const struct k_gate *g,
                      int n_token);
void cuda_short_gate(k_device *d, k_act *out, k_act *a, const struct k_gate *g, int n_token);

// Jobs for few tokens, x in FORM_PAIR.
bool cuda_steps_open(k_device *d);
void cuda_steps_close(k_device *d);
// From now on jobs are listed until a flush, and lists are kept in device memory that `lists` gets;
// NULL: each is launched at once.
void cuda_steps_record(k_device *d, std::vector<void *> *lists);
void cuda_steps_flush(k_device *d);
bool cuda_step_takes(const struct k_matrix *w);
bool cuda_step_attends(const struct k_attend *at, int n_token);
void cuda_step_project(k_device *d, const k_act *a, int n_token, const struct k_product *p,
                       int n_product);
void cuda_step_attend(k_device *d, k_act *a, const struct k_attend *at, int n_token);
void cuda_step_gate(k_device *d, k_act *out, const k_act *a, const struct k_gate *g, int n_token);
void cuda_step_add(k_device *d, const k_act *a, const struct k_add *p, int n_token);
bool cuda_step_mixes(const struct k_experts *e, int n_token);
int cuda_step_mid(const struct k_experts *e); // columns of what goes on from gate and up, if so
bool cuda_step_scores(k_device *d, const k_act *a, const struct k_experts *e, float *scores,
                      int n_token);
void cuda_step_mix(k_device *d, const k_act *a, const struct k_mix *m, const float *scores,
                   const struct short_out *mid, int n_token);

// Experts.
int cuda_list_experts(k_device *d, const struct k_experts *e, void **list);
size_t cuda_mix_room(const struct k_experts *e, int n_token);
void cuda_mix(k_device *d, const k_act *a, const struct k_mix *m, int n_token);

// The order of bits in which FP4 weights are kept (cuda_unpack.h).
void cuda_arrange(k_device *d, const struct k_matrix *w);
void cuda_spread(k_device *d, void *to, size_t step, const void *from, size_t n_bytes,
                 size_t n_row);

enum { BLOCK_ALIGN = 16 }; // of a row's block scales: what copies of tensors take

// A matrix as kernels take it: with the steps of FP4, whatever stood for them.
static inline struct k_matrix with_steps(const struct k_matrix *w)
{
    struct k_matrix m = *w;
    size_t n_col = (size_t)w->n_col;
    if (w->type != K_NVFP4 && w->type != K_MXFP4) return m;
    if (!m.data_step) m.data_step = n_col / 2;
    if (!m.block_step) m.block_step = n_col / (w->type == K_NVFP4 ? K_NVFP4_BLOCK : K_MXFP4_BLOCK);
    return m;
}

static inline struct k_gating gating_of(const struct k_gating *how)
{
    return how ? *how : (struct k_gating){1, 0, INFINITY};
}

#if defined(__CUDACC__) || defined(HEARTH_EMULATED)
#include "kernels/cuda_ptx.h"

static __device__ __forceinline__ uint16_t bf16_bits(float x)
{
    return __bfloat16_as_ushort(__float2bfloat16_rn(x));
}

static __device__ __forceinline__ float bf16_value(uint16_t bits)
{
    return __bfloat162float(__ushort_as_bfloat16(bits));
}

static __device__ __forceinline__ uint16_t f16_bits(float x)
{
    return __half_as_ushort(__float2half_rn(x));
}

static __device__ __forceinline__ float f16_value(uint16_t bits)
{
    return __half2float(__ushort_as_half(bits));
}

static __device__ __forceinline__ void write_short(const struct short_out &o, size_t at, float x)
{
    o.hi[X_BF16][at] = bf16_bits(x);
    o.hi[X_F16][at] = f16_bits(x * F16_UNIT);
}

// A number that other blocks wait for while a kernel runs says by its lowest bit that it has been
// written: writers of a buffer give all its numbers a tag, 0 and 1 in turn (cuda_step.cu).
enum { NO_TAG = 2 };

static __device__ __forceinline__ float tagged(float x, unsigned tag)
{
    unsigned bits = __float_as_uint(x);
    return tag == NO_TAG ? x : __uint_as_float((bits & ~1u) | tag);
}

template <int KIND> static __device__ __forceinline__ uint16_t short_bits(float x)
{
    return KIND == X_BF16 ? bf16_bits(x) : f16_bits(x);
}

template <int KIND> static __device__ __forceinline__ float short_value(uint16_t bits)
{
    return KIND == X_BF16 ? bf16_value(bits) : f16_value(bits);
}

// Of the short numbers with that tag the nearest to x. From 0 it goes up, so that a sign stays one.
template <int KIND> static __device__ __forceinline__ uint16_t tagged_bits(float x, unsigned tag)
{
    uint16_t bits = short_bits<KIND>(x);
    if (tag == NO_TAG || (bits & 1) == tag) return bits;
    return (uint16_t)(fabsf(x) < fabsf(short_value<KIND>(bits)) ? bits - 1 : bits + 1);
}

// x in two short numbers, of which lo has what hi leaves.
struct short_two {
    uint16_t hi, lo;
};

template <int KIND> static __device__ __forceinline__ struct short_two split(float x, unsigned tag)
{
    float scaled = KIND == X_F16 ? x * F16_UNIT : x;
    uint16_t hi = tagged_bits<KIND>(scaled, tag);
    return {hi, tagged_bits<KIND>(scaled - short_value<KIND>(hi), tag)};
}

// What is written of a number: hi of one kind, lo, too, or all of either kind.
enum short_parts { PARTS_HI, PARTS_PAIR, PARTS_ALL };

// Numbers of KIND are tagged; of the other kind nobody waits for them.
template <int KIND>
static __device__ __forceinline__ void write_tagged(const struct short_out &o, size_t at, float x,
                                                    unsigned tag, enum short_parts parts)
{
    constexpr int other = X_BF16 + X_F16 - KIND;
    struct short_two a = split<KIND>(x, tag);
    store_seen(o.hi[KIND] + at, a.hi);
    if (parts == PARTS_HI) return;
    store_seen(o.lo[KIND] + at, a.lo);
    if (parts == PARTS_PAIR) return;
    struct short_two b = split<other>(x, NO_TAG);
    store_seen(o.hi[other] + at, b.hi);
    store_seen(o.lo[other] + at, b.lo);
}

// The same of places `at` (even) and the next.
template <int KIND>
static __device__ __forceinline__ void write_tagged_two(const struct short_out &o, size_t at,
                                                        float x, float y, unsigned tag,
                                                        enum short_parts parts)
{
    constexpr int other = X_BF16 + X_F16 - KIND;
    struct short_two a = split<KIND>(x, tag), b = split<KIND>(y, tag);
    store_seen((unsigned *)(o.hi[KIND] + at), a.hi | (unsigned)b.hi << 16);
    if (parts == PARTS_HI) return;
    store_seen((unsigned *)(o.lo[KIND] + at), a.lo | (unsigned)b.lo << 16);
    if (parts == PARTS_PAIR) return;
    a = split<other>(x, NO_TAG), b = split<other>(y, NO_TAG);
    store_seen((unsigned *)(o.hi[other] + at), a.hi | (unsigned)b.hi << 16);
    store_seen((unsigned *)(o.lo[other] + at), a.lo | (unsigned)b.lo << 16);
}

static __device__ __forceinline__ void write_pair(const struct short_out &o, size_t at, float x)
{
    struct short_two b = split<X_BF16>(x, NO_TAG), h = split<X_F16>(x, NO_TAG);
    o.hi[X_BF16][at] = b.hi, o.lo[X_BF16][at] = b.lo;
    o.hi[X_F16][at] = h.hi, o.lo[X_F16][at] = h.lo;
}

// What becomes of a gate and its up. Comparisons with a NaN are false: it stays what it is.
static __device__ __forceinline__ float gated(float gate, float up, const struct k_gating &how)
{
    gate = gate > how.limit ? how.limit : gate;
    up = up > how.limit ? how.limit : up < -how.limit ? -how.limit : up;
    return __fdividef(gate, 1 + __expf(-how.slope * gate)) * (up + how.shift);
}

// Sum over the 32 lanes, in all of them, in an order that never changes.
static __device__ __forceinline__ float warp_sum(float x)
{
#pragma unroll
    for (int i = 16; i; i /= 2) x += __shfl_xor_sync(~0u, x, i);
    return x;
}

static __device__ __forceinline__ float warp_max(float x)
{
#pragma unroll
    for (int i = 16; i; i /= 2) x = fmaxf(x, __shfl_xor_sync(~0u, x, i));
    return x;
}

static __device__ __forceinline__ float e4m3_value(unsigned char code)
{
    __half_raw h = __nv_cvt_fp8_to_halfraw(code, __NV_E4M3);
    return __half2float(__half(h));
}

static __device__ __forceinline__ float e2m1_value(unsigned code)
{
    // The fields of e2m1 in those of f32, the difference of the biases as a factor.
    float size = __uint_as_float((code & 7) << 22) * 0x1p126f;
    return code & 8 ? -size : size;
}

// Code i of the eight in a word, as the device keeps them (cuda_unpack.h).
static __device__ __forceinline__ unsigned arranged_code(unsigned word, unsigned i)
{
    unsigned half = i % 2 ? word >> 16 : word & 0xffff;
    switch (i / 2) {
    case 0: return (half >> 12 & 8) | (half >> 9 & 7);
    case 1: return (half >> 9 & 8) | (half >> 6 & 7);
    case 2: return (half >> 11 & 8) | (half >> 3 & 7);
    default: return (half >> 10 & 8) | (half & 7);
    }
}

static __device__ __forceinline__ float fp4_value(const struct k_matrix &w, size_t row, size_t col)
{
    const unsigned *words = (const unsigned *)((const char *)w.data + row * w.data_step);
    return e2m1_value(arranged_code(words[col / 8], (unsigned)(col % 8)));
}

static __device__ __forceinline__ float e8m0_value(unsigned char b)
{
    return b == 255 ? __uint_as_float(0x7fc00000)
           : b      ? __uint_as_float((unsigned)b << 23)
                    : 0x1p-127f;
}

// One weight of a matrix with_steps without its row's scale: the definition, for kernels that need
// not be fast.
static __device__ __forceinline__ float weight_value(const struct k_matrix &w, size_t row,
                                                     size_t col)
{
    size_t n_col = (size_t)w.n_col;
    const unsigned char *bytes = (const unsigned char *)w.data;
    const unsigned char *block = (const unsigned char *)w.block;
    switch (w.type) {
    case K_F32: return ((const float *)w.data)[row * n_col + col];
    case K_F16: return __half2float(((const __half *)w.data)[row * n_col + col]);
    case K_BF16: return __bfloat162float(((const __nv_bfloat16 *)w.data)[row * n_col + col]);
    case K_E4M3: {
        float x = e4m3_value(bytes[row * n_col + col]);
        size_t n_across = (n_col + K_E4M3_BLOCK - 1) / K_E4M3_BLOCK;
        if (!block) return x;
        return x * ((const float *)w.block)[row / K_E4M3_BLOCK * n_across + col / K_E4M3_BLOCK];
    }
    case K_NVFP4:
        return fp4_value(w, row, col) * e4m3_value(block[row * w.block_step + col / K_NVFP4_BLOCK]);
    default:
        return fp4_value(w, row, col) * e8m0_value(block[row * w.block_step + col / K_MXFP4_BLOCK]);
    }
}
#endif
