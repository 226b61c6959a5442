// Attention: out = softmax(q k^T / sqrt(head_dim)) v, causal, query heads in groups that share
// their keys. The definition, storing, and the kernel for many tokens; few tokens: cuda_attend.h.
//
// Many tokens: bound by multiply-adds, 128 query rows of one group against blocks of keys that the
// whole thread block shares. Codes are made bf16 once for all of them, while those of the next
// block arrive.
#include "kernels/cuda_tiles.h"

#include <climits>

// Storing

__global__ void kv_store_kernel(struct k_cache c, const float *k, const float *v,
                                const int32_t *pos, size_t n)
{
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    size_t dim = i % c.head_dim, head = i / c.head_dim % c.n_kv_head,
           t = i / c.head_dim / c.n_kv_head;
    size_t to = (head * c.ctx_max + *pos + t) * c.head_dim + dim;
    ((__nv_bfloat16 *)c.k)[to] = __float2bfloat16_rn(k[i]);
    ((__nv_bfloat16 *)c.v)[to] = __float2bfloat16_rn(v[i]);
}

// Rows of codes, the keys' and then the values': a warp for each.
enum { STORE_WARPS = 8 };

__global__ void store_codes_kernel(struct k_cache c, const float *k, const float *v,
                                   const int32_t *pos, int n_row)
{
    int row = (int)blockIdx.x * STORE_WARPS + (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    if (row >= 2 * n_row) return;
    bool is_value = row >= n_row;
    if (is_value) row -= n_row;
    int dim = c.head_dim;
    size_t head = row % c.n_kv_head, at = *pos + row / c.n_kv_head;
    const float *x = (is_value ? v : k) + (size_t)row * dim;
    unsigned char *codes = (unsigned char *)(is_value ? c.v : c.k) + (head * c.ctx_max + at) * dim;
    unsigned largest = 0;
    for (int i = lane; i < dim; i += 32) largest = max(largest, size_bits(x[i]));
    largest = __reduce_max_sync(~0u, largest);
    for (int i = 2 * lane; i < dim; i += 64)
        *(unsigned short *)(codes + i) = (unsigned short)code_pair(x[i], x[i + 1], largest);
    if (lane == 0)
        (is_value ? c.v_scale : c.k_scale)[scales_before(c, head) + at] =
            (unsigned char)code_scale(largest);
}

void cuda_kv_store(k_device *d, const struct k_cache *c, const float *k, const float *v,
                   const int32_t *pos, int n_token)
{
    if (c->type == K_E4M3) {
        int n_row = n_token * c->n_kv_head;
        cuda_launch(d, "kv_store", store_codes_kernel,
                    dim3((unsigned)(2 * n_row + STORE_WARPS - 1) / STORE_WARPS), STORE_WARPS * 32,
                    0, *c, k, v, pos, n_row);
        return;
    }
    size_t n = (size_t)n_token * c->n_kv_head * c->head_dim;
    cuda_launch(d, "kv_store", kv_store_kernel, dim3((unsigned)((n + 255) / 256)), 256, 0, *c, k, v,
                pos, n);
}

// The definition: a block per token and head, warps share the keys. For any head_dim.

enum { PLAIN_WARPS = 4, LANE_DIMS = K_HEAD_DIM_MAX / 32 };

// A cache's row of one head, as codes or bf16.
template <bool CODES> struct plain_row {
    const void *data;
    float by;

    __device__ plain_row(const struct k_cache &c, bool is_value, size_t head, size_t at)
    {
        size_t first = (head * c.ctx_max + at) * c.head_dim * (CODES ? 1 : sizeof(__nv_bfloat16));
        data = (const char *)(is_value ? c.v : c.k) + first;
        by = CODES ? power_of((is_value ? c.v_scale : c.k_scale)[scales_before(c, head) + at]) : 1;
    }
    __device__ float operator[](int i) const
    {
        return CODES ? e4m3_value(((const unsigned char *)data)[i]) * by
                     : __bfloat162float(((const __nv_bfloat16 *)data)[i]);
    }
};

template <bool CODES>
__global__ void attention_plain_kernel(float *out, const float *q, struct k_cache c, int n_head,
                                       const int32_t *pos, int window, const float *sinks)
{
    __shared__ float acc_of[PLAIN_WARPS][K_HEAD_DIM_MAX], largest_of[PLAIN_WARPS],
        sum_of[PLAIN_WARPS];
    int dim = c.head_dim, warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    int head = (int)blockIdx.x, token = (int)blockIdx.y, n_key = *pos + token + 1,
        first = max(n_key - window, 0);
    size_t at = ((size_t)token * n_head + head) * dim, kv = head / (n_head / c.n_kv_head);
    float mine[LANE_DIMS], acc[LANE_DIMS] = {0}, largest = -INFINITY, sum = 0;
#pragma unroll
    for (int i = 0; i < LANE_DIMS; i++) mine[i] = lane + 32 * i < dim ? q[at + lane + 32 * i] : 0;
    for (int j = first + warp; j < n_key; j += PLAIN_WARPS) {
        float score = 0;
        struct plain_row<CODES> key(c, false, kv, j), value(c, true, kv, j);
#pragma unroll
        for (int i = 0; i < LANE_DIMS; i++)
            if (lane + 32 * i < dim) score += mine[i] * key[lane + 32 * i];
        score = warp_sum(score) / sqrtf((float)dim);
        float top = fmaxf(largest, score), keep = expf(largest - top), p = expf(score - top);
        sum = sum * keep + p;
        largest = top;
#pragma unroll
        for (int i = 0; i < LANE_DIMS; i++)
            if (lane + 32 * i < dim) acc[i] = acc[i] * keep + p * value[lane + 32 * i];
    }
#pragma unroll
    for (int i = 0; i < LANE_DIMS; i++) acc_of[warp][lane + 32 * i] = acc[i];
    if (lane == 0) largest_of[warp] = largest, sum_of[warp] = sum;
    __syncthreads();
    for (int i = (int)threadIdx.x; i < dim; i += 32 * PLAIN_WARPS) {
        float sink = sinks ? sinks[head] : -INFINITY, top = sink, y = 0;
        for (int w = 0; w < PLAIN_WARPS; w++) top = fmaxf(top, largest_of[w]);
        float all = expf(sink - top);
        for (int w = 0; w < PLAIN_WARPS; w++) {
            float keep = expf(largest_of[w] - top);
            y += keep * acc_of[w][i];
            all += keep * sum_of[w];
        }
        out[at + i] = y / all;
    }
}

// In place of a window that is none.
static int window_of(const struct k_attend *at)
{
    return at->window ? at->window : INT_MAX;
}

void cuda_attention(k_device *d, float *out, const struct k_attend *at, int n_token)
{
    auto kernel =
        at->cache->type == K_E4M3 ? attention_plain_kernel<true> : attention_plain_kernel<false>;
    cuda_launch(d, "attention", kernel, dim3((unsigned)at->n_head, (unsigned)n_token),
                32 * PLAIN_WARPS, 0, out, at->q, *at->cache, at->n_head, at->pos, window_of(at),
                at->sinks);
}

// Many tokens

enum {
    MANY_WARPS = 8,
    MANY_THREADS = 32 * MANY_WARPS,
    MANY_ROWS = ROWS * MANY_WARPS,
    MANY_KEYS = 64,
    MANY_STAGES = 2
};

struct flash_job {
    const float *q; // normed and turned
    struct k_cache cache;
    const int32_t *pos;
    int n_head, n_token;
    int window;           // INT_MAX: all
    const float *sinks;   // [n_head], or NULL
    struct short_out out; // [n_token, n_head, DIM]
};

// One 16-wide step of scores: q is the rows' fragment of step i.
template <int DIM>
static __device__ __forceinline__ void scores_step(float s[2][4], const unsigned q[4],
                                                   __nv_bfloat16 *keys, int i, int lane)
{
    unsigned k[4];
    matrices(k, piece_of<DIM>(keys, lane % 8 + lane / 16 * 8, 2 * i + lane / 8 % 2));
    mma_bf16(s[0], q, k[0], k[1]);
    mma_bf16(s[1], q, k[2], k[3]);
}

template <int DIM>
static __device__ __forceinline__ void load_keys(__nv_bfloat16 (*to)[MANY_KEYS * DIM],
                                                 const struct flash_job &j, size_t base, int first,
                                                 int n_key)
{
    constexpr int pieces = DIM / 8;
    for (int i = (int)threadIdx.x; i < MANY_KEYS * pieces; i += MANY_THREADS) {
        int row = i / pieces, piece = i % pieces;
        size_t at = base + (size_t)min(first + row, n_key - 1) * DIM + piece * 8;
        copy_16(piece_of<DIM>(to[0], row, piece), (const __nv_bfloat16 *)j.cache.k + at);
        copy_16(piece_of<DIM>(to[1], row, piece), (const __nv_bfloat16 *)j.cache.v + at);
    }
}

// Codes as they come, rows behind each other, and their scales.
template <int DIM> struct code_block {
    unsigned char code[2][MANY_KEYS * DIM], scale[2][MANY_KEYS];
};

template <int DIM>
static __device__ __forceinline__ void
load_codes(struct code_block<DIM> &to, const struct flash_job &j, size_t base, int first, int n_key)
{
    constexpr int pieces = DIM / 16;
    for (int i = (int)threadIdx.x; i < MANY_KEYS * pieces; i += MANY_THREADS) {
        size_t at = base + (size_t)min(first + i / pieces, n_key - 1) * DIM + i % pieces * 16;
        copy_16(to.code[0] + i * 16, (const unsigned char *)j.cache.k + at);
        copy_16(to.code[1] + i * 16, (const unsigned char *)j.cache.v + at);
    }
    int i = (int)threadIdx.x % (MANY_KEYS / K_SCALE_STEP) * K_SCALE_STEP;
    if (threadIdx.x < 2 * MANY_KEYS / K_SCALE_STEP && first + i < n_key) {
        bool is_value = threadIdx.x >= MANY_KEYS / K_SCALE_STEP;
        copy_16(to.scale[is_value] + i, (is_value ? j.cache.v_scale : j.cache.k_scale) +
                                            scales_before(j.cache, blockIdx.y) + first + i);
    }
}

// n_key of the block's keys are there; the others are the last of them again.
template <int DIM>
static __device__ __forceinline__ void widen_block(__nv_bfloat16 (*to)[MANY_KEYS * DIM],
                                                   const struct code_block<DIM> &from, int n_key)
{
    constexpr int pieces = DIM / 16;
#pragma unroll
    for (int which = 0; which < 2; which++)
#pragma unroll 1
        for (int i = (int)threadIdx.x; i < MANY_KEYS * pieces; i += MANY_THREADS) {
            int row = i / pieces, piece = i % pieces;
            unsigned out[8];
            widen_codes(*(const uint4 *)(from.code[which] + i * 16),
                        power_of(from.scale[which][min(row, n_key - 1)]), out);
#pragma unroll
            for (int k = 0; k < 2; k++)
                *(uint4 *)piece_of<DIM>(to[which], row, 2 * piece + k) =
                    make_uint4(out[4 * k], out[4 * k + 1], out[4 * k + 2], out[4 * k + 3]);
        }
}

// Shared memory: MANY_STAGES blocks of keys and values in bf16; or one, and as many of codes.
template <int DIM, bool CODES> constexpr size_t many_shared()
{
    size_t block = sizeof(__nv_bfloat16) * 2 * MANY_KEYS * DIM;
    return CODES ? block + MANY_STAGES * sizeof(struct code_block<DIM>) : MANY_STAGES * block;
}

// Grid: tiles of MANY_ROWS query rows, the last ones first since they see most; kv heads. A block
// begins with the first key that any of its rows sees.
template <int DIM, bool CODES>
__global__ void __launch_bounds__(MANY_THREADS, 1)
    attend_many_kernel(const __grid_constant__ struct flash_job j)
{
    DYNAMIC_SHARED(raw);
    __nv_bfloat16(*ring)[2][MANY_KEYS * DIM] = (__nv_bfloat16(*)[2][MANY_KEYS * DIM]) raw;
    int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4,
        kv = (int)blockIdx.y;
    int group = j.n_head / j.cache.n_kv_head, n_row = j.n_token * group, pos = *j.pos;
    int row0 = ((int)gridDim.x - 1 - (int)blockIdx.x) * MANY_ROWS, mine = row0 + warp * ROWS;
    int n_key = pos + min(j.n_token, (row0 + MANY_ROWS - 1) / group + 1);
    const int limit[2] = {pos + (mine + g) / group + 1, pos + (mine + g + 8) / group + 1},
              low[2] = {limit[0] - j.window, limit[1] - j.window};
    size_t base = (size_t)kv * j.cache.ctx_max * DIM;
    int n_block = (n_key + MANY_KEYS - 1) / MANY_KEYS,
        b0 = max(pos + row0 / group + 1 - j.window, 0) / MANY_KEYS;
    struct code_block<DIM> *codes = (struct code_block<DIM> *)ring[1];
    if constexpr (CODES)
        load_codes<DIM>(codes[b0 % MANY_STAGES], j, base, b0 * MANY_KEYS, n_key);
    else
        load_keys<DIM>(ring[b0 % MANY_STAGES], j, base, b0 * MANY_KEYS, n_key);
    copy_commit();

    unsigned q[DIM / 16][4];
    const float scale = 1.44269504f * rsqrtf((float)DIM);
#pragma unroll
    for (int i = 0; i < DIM / 16; i++)
#pragma unroll
        for (int k = 0; k < 4; k++) {
            int row = min(mine + g + k % 2 * 8, n_row - 1);
            const float *p = j.q +
                             ((size_t)(row / group) * j.n_head + kv * group + row % group) * DIM +
                             i * 16 + k / 2 * 8 + t * 2;
            q[i][k] = pack(p[0] * scale, p[1] * scale);
        }
    struct query_rows<DIM> rows;
    rows_start(rows);
    for (int b = b0; b < n_block; b++) {
        int next = (b + 1) % MANY_STAGES;
        if constexpr (CODES) {
            if (b + 1 < n_block) load_codes<DIM>(codes[next], j, base, (b + 1) * MANY_KEYS, n_key);
        } else {
            if (b + 1 < n_block) load_keys<DIM>(ring[next], j, base, (b + 1) * MANY_KEYS, n_key);
        }
        copy_commit();
        copy_wait<1>();
        __syncthreads();
        __nv_bfloat16(*tile)[MANY_KEYS * DIM] = ring[CODES ? 0 : b % MANY_STAGES];
        if constexpr (CODES) {
            widen_block<DIM>(tile, codes[b % MANY_STAGES], n_key - b * MANY_KEYS);
            __syncthreads();
        }
#pragma unroll
        for (int part = 0; part < MANY_KEYS / KEYS; part++) {
            float s[2][4] = {};
            int first = b * MANY_KEYS + part * KEYS;
#pragma unroll
            for (int i = 0; i < DIM / 16; i++)
                scores_step<DIM>(s, q[i], tile[0] + part * KEYS * DIM, i, lane);
#pragma unroll
            for (int n = 0; n < 2; n++)
#pragma unroll
                for (int k = 0; k < 4; k++)
                    if (int key = first + n * 8 + t * 2 + k % 2;
                        key >= limit[k / 2] || key < low[k / 2])
                        s[n][k] = -INFINITY;
            rows_take<DIM, DIM, SINGLE>(rows, s, tile[1] + part * KEYS * DIM, 0, lane);
        }
        __syncthreads();
    }
    rows_end(rows);
#pragma unroll
    for (int h = 0; h < 2; h++) {
        int row = mine + g + h * 8;
        if (row >= n_row) continue;
        int head = kv * group + row % group;
        float sink = sink_of(j.sinks, head), top = fmaxf(rows.largest[h], sink),
              keep = exp2f(rows.largest[h] - top),
              by = keep / (rows.sum[h] * keep + exp2f(sink - top));
        size_t at = ((size_t)(row / group) * j.n_head + head) * DIM + t * 2;
#pragma unroll
        for (int i = 0; i < DIM / 8; i++) {
            float a = rows.acc[i][2 * h] * by, b = rows.acc[i][2 * h + 1] * by;
            __half2 both = __floats2half2_rn(a * F16_UNIT, b * F16_UNIT);
            *(unsigned *)(j.out.hi[X_BF16] + at + i * 8) = pack(a, b);
            *(unsigned *)(j.out.hi[X_F16] + at + i * 8) = *(unsigned *)&both;
        }
    }
}

template <int DIM, bool CODES> static void launch_many(k_device *d, const struct flash_job *j)
{
    constexpr size_t shared = many_shared<DIM, CODES>();
    void (*kernel)(struct flash_job) = attend_many_kernel<DIM, CODES>;
    int n_row = j->n_token * (j->n_head / j->cache.n_kv_head);
    cuda_check(d,
               cudaFuncSetAttribute((const void *)kernel,
                                    cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared),
               "shared memory of attention");
    cuda_launch(d, "attention of many tokens", kernel,
                dim3((unsigned)(n_row + MANY_ROWS - 1) / MANY_ROWS, (unsigned)j->cache.n_kv_head),
                MANY_THREADS, shared, *j);
}

// q is already normed and turned, the cache written.
void cuda_attend_many(k_device *d, k_act *a, const struct k_attend *at, int n_token)
{
    struct flash_job j = {at->q,   *at->cache,    at->pos,   at->n_head,
                          n_token, window_of(at), at->sinks, {{a->hi[0], a->hi[1]}, {}}};
    bool codes = at->cache->type == K_E4M3;
    a->form = FORM_SHORT, a->n_sum = 0, a->q_form = Q_NONE;
    if (at->cache->head_dim == 64)
        (codes ? launch_many<64, true> : launch_many<64, false>)(d, &j);
    else
        (codes ? launch_many<128, true> : launch_many<128, false>)(d, &j);
}
