// Attention over a bf16 cache: out = softmax(q k^T / sqrt(head_dim)) v, causal, query heads in
// groups that share their keys.
//
// Few tokens: bound by the bytes of keys and values, each read once: 4 KB per token of context and
// layer for 8 heads of 128. Blocks divide the heads and the context (split-K); the last block that
// arrives for a head puts the parts together, so one launch does everything from the products q, k
// and v to the input of the output projection: norm, rotation, the cache's new rows, attention.
//
// Many tokens: bound by multiply-adds, in the same tensor core steps, with 128 query rows of one
// group against blocks of keys that the whole thread block shares.
//
// Query rows are (token, head of the group) pairs, heads innermost, so that 16 rows make a tile for
// any group. Scores, maxima and sums are f32; q and the probabilities go to the tensor cores as
// pairs of bf16 when there are few tokens, and as bf16 when there are many.
#include "kernels/cuda.h"

#include <cassert>

enum { ROWS = 16, KEYS = 16 }; // of one tile

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

void cuda_kv_store(k_device *d, const struct k_cache *c, const float *k, const float *v,
                   const int32_t *pos, int n_token)
{
    size_t n = (size_t)n_token * c->n_kv_head * c->head_dim;
    kv_store_kernel<<<(unsigned)((n + 255) / 256), 256, 0, d->stream>>>(*c, k, v, pos, n);
    cuda_check(d, cudaGetLastError(), "kv_store");
}

// The definition: a block per token and head, warps share the keys. For any head_dim.

enum { PLAIN_WARPS = 4, LANE_DIMS = K_HEAD_DIM_MAX / 32 };

__global__ void attention_plain_kernel(float *out, const float *q, struct k_cache c, int n_head,
                                       const int32_t *pos)
{
    __shared__ float acc_of[PLAIN_WARPS][K_HEAD_DIM_MAX], largest_of[PLAIN_WARPS],
        sum_of[PLAIN_WARPS];
    int dim = c.head_dim, warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    int head = (int)blockIdx.x, token = (int)blockIdx.y, n_key = *pos + token + 1;
    size_t at = ((size_t)token * n_head + head) * dim,
           base = (size_t)(head / (n_head / c.n_kv_head)) * c.ctx_max * dim;
    const __nv_bfloat16 *keys = (const __nv_bfloat16 *)c.k + base,
                        *values = (const __nv_bfloat16 *)c.v + base;
    float mine[LANE_DIMS], acc[LANE_DIMS] = {0}, largest = -INFINITY, sum = 0;
#pragma unroll
    for (int i = 0; i < LANE_DIMS; i++) mine[i] = lane + 32 * i < dim ? q[at + lane + 32 * i] : 0;
    for (int j = warp; j < n_key; j += PLAIN_WARPS) {
        float score = 0;
#pragma unroll
        for (int i = 0; i < LANE_DIMS; i++)
            if (lane + 32 * i < dim)
                score += mine[i] * __bfloat162float(keys[(size_t)j * dim + lane + 32 * i]);
        score = warp_sum(score) / sqrtf((float)dim);
        float top = fmaxf(largest, score), keep = expf(largest - top), p = expf(score - top);
        sum = sum * keep + p;
        largest = top;
#pragma unroll
        for (int i = 0; i < LANE_DIMS; i++)
            if (lane + 32 * i < dim)
                acc[i] =
                    acc[i] * keep + p * __bfloat162float(values[(size_t)j * dim + lane + 32 * i]);
    }
#pragma unroll
    for (int i = 0; i < LANE_DIMS; i++) acc_of[warp][lane + 32 * i] = acc[i];
    if (lane == 0) largest_of[warp] = largest, sum_of[warp] = sum;
    __syncthreads();
    for (int i = (int)threadIdx.x; i < dim; i += 32 * PLAIN_WARPS) {
        float top = -INFINITY, y = 0, all = 0;
        for (int w = 0; w < PLAIN_WARPS; w++) top = fmaxf(top, largest_of[w]);
        for (int w = 0; w < PLAIN_WARPS; w++) {
            float keep = expf(largest_of[w] - top);
            y += keep * acc_of[w][i];
            all += keep * sum_of[w];
        }
        out[at + i] = y / all;
    }
}

void cuda_attention(k_device *d, float *out, const float *q, const struct k_cache *c, int n_head,
                    const int32_t *pos, int n_token)
{
    attention_plain_kernel<<<dim3((unsigned)n_head, (unsigned)n_token), 32 * PLAIN_WARPS, 0,
                             d->stream>>>(out, q, *c, n_head, pos);
    cuda_check(d, cudaGetLastError(), "attention");
}

// Tensor core steps that both fast kernels are made of

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

static __device__ __forceinline__ unsigned pack(float a, float b)
{
    __nv_bfloat162 v = __floats2bfloat162_rn(a, b);
    return *(unsigned *)&v;
}

static __device__ __forceinline__ unsigned pack_rest(float a, float b, unsigned hi)
{
    __nv_bfloat162 h = *(__nv_bfloat162 *)&hi;
    return pack(a - __low2float(h), b - __high2float(h));
}

// A row of a key or value tile holds DIM values in pieces of 16 bytes; the piece's place depends on
// the row, so that eight rows' pieces lie in different banks.
template <int DIM>
static __device__ __forceinline__ __nv_bfloat16 *piece_of(__nv_bfloat16 *tile, int row, int piece)
{
    return tile + row * DIM + (piece ^ (row & 7)) * 8;
}

// The state of 16 query rows in one warp; lane 4 g + t has rows g and g + 8.
template <int DIM> struct query_rows {
    float acc[DIM / 8][4], largest[2], sum[2];
};

template <int DIM> static __device__ __forceinline__ void rows_start(struct query_rows<DIM> &r)
{
#pragma unroll
    for (int i = 0; i < DIM / 8; i++)
#pragma unroll
        for (int k = 0; k < 4; k++) r.acc[i][k] = 0;
    r.largest[0] = r.largest[1] = -INFINITY;
    r.sum[0] = r.sum[1] = 0;
}

// Takes the scores [16 rows, 16 keys] (already scaled by log2 e / sqrt(dim), -infinity where a key
// is not seen) and the values of those keys into the state.
template <int DIM, bool PAIRS>
static __device__ __forceinline__ void rows_take(struct query_rows<DIM> &r, float s[2][4],
                                                 __nv_bfloat16 *values, int lane)
{
    unsigned p[4], rest[4];
#pragma unroll
    for (int h = 0; h < 2; h++) {
        float top = fmaxf(fmaxf(s[0][2 * h], s[0][2 * h + 1]), fmaxf(s[1][2 * h], s[1][2 * h + 1]));
        top = fmaxf(top, __shfl_xor_sync(~0u, top, 1));
        top = fmaxf(fmaxf(top, __shfl_xor_sync(~0u, top, 2)), r.largest[h]);
        float from = top == -INFINITY ? 0 : top, keep = exp2f(r.largest[h] - from), sum = 0;
        r.largest[h] = top;
#pragma unroll
        for (int b = 0; b < 2; b++)
#pragma unroll
            for (int k = 0; k < 2; k++) {
                s[b][2 * h + k] = exp2f(s[b][2 * h + k] - from);
                sum += s[b][2 * h + k];
            }
        r.sum[h] = r.sum[h] * keep + sum;
#pragma unroll
        for (int i = 0; i < DIM / 8; i++) r.acc[i][2 * h] *= keep, r.acc[i][2 * h + 1] *= keep;
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
        p[i] = pack(s[i / 2][i % 2 * 2], s[i / 2][i % 2 * 2 + 1]);
        if (PAIRS) rest[i] = pack_rest(s[i / 2][i % 2 * 2], s[i / 2][i % 2 * 2 + 1], p[i]);
    }
#pragma unroll
    for (int i = 0; i < DIM / 16; i++) {
        unsigned v[4];
        matrices_turned(v, piece_of<DIM>(values, lane % 16, 2 * i + lane / 16));
        mma_bf16(r.acc[2 * i], p, v[0], v[1]);
        mma_bf16(r.acc[2 * i + 1], p, v[2], v[3]);
        if (PAIRS) {
            mma_bf16(r.acc[2 * i], rest, v[0], v[1]);
            mma_bf16(r.acc[2 * i + 1], rest, v[2], v[3]);
        }
    }
}

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

// The sums of the four lanes that hold a row.
template <int DIM> static __device__ __forceinline__ void rows_end(struct query_rows<DIM> &r)
{
#pragma unroll
    for (int h = 0; h < 2; h++) {
        r.sum[h] += __shfl_xor_sync(~0u, r.sum[h], 1);
        r.sum[h] += __shfl_xor_sync(~0u, r.sum[h], 2);
    }
}

// Few tokens

enum { FEW_WARPS = 4, FEW_THREADS = 32 * FEW_WARPS, FEW_STAGES = 2, FEW_BLOCKS_MAX = 4096 };
// Putting parts together has its price: few tiles are one part, and a part has two tiles per warp.
enum { ONE_PART_TILES = 4 * FEW_WARPS, PART_TILES = 2 * FEW_WARPS };

struct attend_job {
    const float *q, *k, *v, *q_norm, *k_norm, *rope;
    float eps;
    struct k_cache cache;
    const int32_t *pos;
    int n_head, n_token, n_row; // n_row query rows of a group
    float *parts;               // [block][ROWS][DIM + 2]: sums, then largest and sum
    unsigned *counters;         // [kv head][row tile]
    struct short_out out;       // [n_token, n_head, DIM]
};

template <int DIM> struct few_shared {
    __nv_bfloat16 ring[FEW_WARPS][FEW_STAGES][2][KEYS * DIM]; // keys, values
    __nv_bfloat16 q[2][ROWS][DIM + 8];                        // hi, lo
    __nv_bfloat16 fresh[2][KEYS * DIM]; // keys and values of this call's tokens
    float largest[FEW_WARPS][ROWS], sum[FEW_WARPS][ROWS];
    unsigned arrived;
};

// One head's vector of DIM, DIM / 32 values in each lane: norm and rotation.
template <int DIM>
static __device__ __forceinline__ void norm_and_turn(float x[DIM / 32], const float *gain,
                                                     const float *rope, float eps, int lane)
{
    constexpr int n = DIM / 32, half = DIM / 2;
    if (gain) {
        float sum = 0;
#pragma unroll
        for (int i = 0; i < n; i++) sum += x[i] * x[i];
        float factor = 1 / sqrtf(warp_sum(sum) / DIM + eps);
#pragma unroll
        for (int i = 0; i < n; i++) x[i] *= factor * gain[lane + 32 * i];
    }
#pragma unroll
    for (int i = 0; i < n / 2; i++) {
        float c = rope[lane + 32 * i], s = rope[half + lane + 32 * i], a = x[i], b = x[i + n / 2];
        x[i] = a * c - b * s;
        x[i + n / 2] = b * c + a * s;
    }
}

// Tile `tile` of old keys and values into a stage of a warp's ring; keys from `n_key` on are not
// read (their scores are masked, their values must be finite: the last key again).
template <int DIM>
static __device__ __forceinline__ void load_tile(__nv_bfloat16 (*to)[KEYS * DIM],
                                                 const struct attend_job &j, size_t base, int tile,
                                                 int n_key, int lane)
{
    constexpr int pieces = DIM / 8;
    for (int i = lane; i < KEYS * pieces; i += 32) {
        int row = i / pieces, piece = i % pieces;
        size_t at = base + (size_t)min(tile * KEYS + row, n_key - 1) * DIM + piece * 8;
        copy_16(piece_of<DIM>(to[0], row, piece), (const __nv_bfloat16 *)j.cache.k + at);
        copy_16(piece_of<DIM>(to[1], row, piece), (const __nv_bfloat16 *)j.cache.v + at);
    }
}

// A vector of DIM floats, DIM / 32 of them in each lane; zeros where it does not exist.
template <int DIM>
static __device__ __forceinline__ void load_vector(float x[DIM / 32], const float *from,
                                                   bool exists, int lane)
{
#pragma unroll
    for (int i = 0; i < DIM / 32; i++) x[i] = exists ? from[lane + 32 * i] : 0;
}

// Queries of this tile to shared memory; with `is_last` also the new keys and values, to the cache
// and to shared memory. A warp's first query, key and value are asked for together.
template <int DIM>
static __device__ void prepare(struct few_shared<DIM> &sh, const struct attend_job &j, int kv,
                               int row0, int pos, bool is_last, int warp, int lane)
{
    constexpr int n = DIM / 32;
    int group = j.n_head / j.cache.n_kv_head;
    float k[n], v[n], x[n];
    const size_t step = (size_t)j.cache.n_kv_head * DIM;
    bool exists = is_last && warp < j.n_token;
    load_vector<DIM>(k, j.k + warp * step + (size_t)kv * DIM, exists, lane);
    load_vector<DIM>(v, j.v + warp * step + (size_t)kv * DIM, exists, lane);
    for (int r = warp; r < ROWS; r += FEW_WARPS) {
        int token = (row0 + r) / group, head = kv * group + (row0 + r) % group;
        bool is_query = row0 + r < j.n_row;
        load_vector<DIM>(x, j.q + ((size_t)token * j.n_head + head) * DIM, is_query, lane);
        if (is_query) norm_and_turn<DIM>(x, j.q_norm, j.rope + (size_t)token * DIM, j.eps, lane);
#pragma unroll
        for (int i = 0; i < n; i++) {
            __nv_bfloat16 hi = __float2bfloat16_rn(x[i]);
            sh.q[0][r][lane + 32 * i] = hi;
            sh.q[1][r][lane + 32 * i] = __float2bfloat16_rn(x[i] - __bfloat162float(hi));
        }
    }
    for (int t = warp; is_last && t < KEYS; t += FEW_WARPS) {
        size_t to = ((size_t)kv * j.cache.ctx_max + pos + t) * DIM;
        exists = t < j.n_token;
        if (t >= FEW_WARPS) {
            load_vector<DIM>(k, j.k + t * step + (size_t)kv * DIM, exists, lane);
            load_vector<DIM>(v, j.v + t * step + (size_t)kv * DIM, exists, lane);
        }
        if (exists) norm_and_turn<DIM>(k, j.k_norm, j.rope + (size_t)t * DIM, j.eps, lane);
#pragma unroll
        for (int i = 0; i < n; i++) {
            int c = lane + 32 * i;
            __nv_bfloat16 key = __float2bfloat16_rn(k[i]), value = __float2bfloat16_rn(v[i]);
            piece_of<DIM>(sh.fresh[0], t, c / 8)[c % 8] = key;
            piece_of<DIM>(sh.fresh[1], t, c / 8)[c % 8] = value;
            if (!exists || row0) continue;
            ((__nv_bfloat16 *)j.cache.k)[to + c] = key;
            ((__nv_bfloat16 *)j.cache.v)[to + c] = value;
        }
    }
}

// The scores of a tile: key `first + i` is seen by a row whose limit exceeds it.
template <int DIM>
static __device__ __forceinline__ void
take_tile(struct query_rows<DIM> &rows, struct few_shared<DIM> &sh,
          __nv_bfloat16 (*tile)[KEYS * DIM], int first, const int limit[2], int lane)
{
    float s[2][4] = {}, rest[2][4] = {}; // two chains of products are shorter than one
#pragma unroll
    for (int i = 0; i < DIM / 16; i++) {
        unsigned q[4];
        matrices(q, &sh.q[0][lane % 16][i * 16 + lane / 16 * 8]);
        scores_step<DIM>(s, q, tile[0], i, lane);
        matrices(q, &sh.q[1][lane % 16][i * 16 + lane / 16 * 8]);
        scores_step<DIM>(rest, q, tile[0], i, lane);
    }
    const float scale = 1.44269504f * rsqrtf((float)DIM);
#pragma unroll
    for (int b = 0; b < 2; b++)
#pragma unroll
        for (int k = 0; k < 4; k++)
            s[b][k] = first + b * 8 + lane % 4 * 2 + k % 2 < limit[k / 2]
                          ? (s[b][k] + rest[b][k]) * scale
                          : -INFINITY;
    rows_take<DIM, true>(rows, s, tile[1], lane);
}

template <int DIM>
static __device__ __forceinline__ void write_out(const struct attend_job &j, int kv, int row, int c,
                                                 float y)
{
    int group = j.n_head / j.cache.n_kv_head;
    if (row >= j.n_row) return;
    size_t at = ((size_t)(row / group) * j.n_head + kv * group + row % group) * DIM + c;
    write_pair(j.out, at, y);
}

// The warps' states into one, [ROWS][DIM] with largest and sum behind each row: to `part`, or, when
// there is one part only, to the output.
template <int DIM>
static __device__ void join_warps(struct few_shared<DIM> &sh, const struct attend_job &j,
                                  struct query_rows<DIM> &rows, float *part, int kv, int row0,
                                  int warp, int lane)
{
    float(*acc)[ROWS][DIM] = (float(*)[ROWS][DIM])sh.ring; // [FEW_WARPS], over the tiles
    static_assert(sizeof(float) * ROWS * DIM * FEW_WARPS <= sizeof sh.ring,
                  "the ring holds all states");
    int g = lane / 4, t = lane % 4;
    rows_end<DIM>(rows);
    __syncthreads();
#pragma unroll
    for (int i = 0; i < DIM / 8; i++)
#pragma unroll
        for (int k = 0; k < 4; k++)
            acc[warp][g + k / 2 * 8][i * 8 + t * 2 + k % 2] = rows.acc[i][k];
    if (t == 0) {
        sh.largest[warp][g] = rows.largest[0], sh.largest[warp][g + 8] = rows.largest[1];
        sh.sum[warp][g] = rows.sum[0], sh.sum[warp][g + 8] = rows.sum[1];
    }
    __syncthreads();
    for (int i = (int)threadIdx.x; i < ROWS * DIM; i += FEW_THREADS) {
        int r = i / DIM, c = i % DIM;
        if (row0 + r >= j.n_row) break;
        float top = -INFINITY, y = 0, sum = 0;
        for (int w = 0; w < FEW_WARPS; w++) top = fmaxf(top, sh.largest[w][r]);
        for (int w = 0; w < FEW_WARPS && top != -INFINITY; w++) {
            float keep = exp2f(sh.largest[w][r] - top);
            y += keep * acc[w][r][c];
            sum += keep * sh.sum[w][r];
        }
        if (!part) {
            write_out<DIM>(j, kv, row0 + r, c, y / sum);
            continue;
        }
        part[r * (DIM + 2) + c] = y;
        if (c == 0) part[r * (DIM + 2) + DIM] = top, part[r * (DIM + 2) + DIM + 1] = sum;
    }
}

// The parts' maxima and sums come first, together, then their values: two round trips to memory
// however many parts there are.
template <int DIM>
static __device__ void join_parts(struct few_shared<DIM> &sh, const struct attend_job &j,
                                  const float *parts, int n_part, int kv, int row0)
{
    constexpr size_t part_size = ROWS * (DIM + 2);
    float(*largest)[ATTEND_SPLIT_MAX] =
        (float(*)[ATTEND_SPLIT_MAX])sh.ring; // [ROWS], over the tiles
    float(*sum)[ATTEND_SPLIT_MAX] = largest + ROWS;
    int n_row = min((int)ROWS, j.n_row - row0);
    for (int i = (int)threadIdx.x; i < n_row * n_part; i += FEW_THREADS) {
        const float *p = parts + (size_t)(i % n_part) * part_size + i / n_part * (DIM + 2) + DIM;
        largest[i / n_part][i % n_part] = __ldcg(p);
        sum[i / n_part][i % n_part] = __ldcg(p + 1);
    }
    __syncthreads();
    for (int i = (int)threadIdx.x; i < n_row * DIM; i += FEW_THREADS) {
        int r = i / DIM, c = i % DIM;
        float top = -INFINITY, y = 0, all = 0;
        const float *p = parts + r * (DIM + 2) + c;
        for (int s = 0; s < n_part; s++) top = fmaxf(top, largest[r][s]);
#pragma unroll 8
        for (int s = 0; s < n_part; s++) {
            float keep = exp2f(largest[r][s] - top);
            y += keep * __ldcg(p + (size_t)s * part_size);
            all += keep * sum[r][s];
        }
        write_out<DIM>(j, kv, row0 + r, c, y / all);
    }
}

// Grid: kv heads, parts of the context, tiles of query rows.
template <int DIM>
__global__ void __launch_bounds__(FEW_THREADS)
    attend_few_kernel(const __grid_constant__ struct attend_job j)
{
    extern __shared__ __align__(128) unsigned char raw[];
    struct few_shared<DIM> &sh = *(struct few_shared<DIM> *)raw;
    int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32, kv = (int)blockIdx.x,
        row0 = (int)blockIdx.z * ROWS;
    int pos = *j.pos, n_tile = (pos + KEYS - 1) / KEYS;
    int n_part = n_tile > ONE_PART_TILES ? min((int)gridDim.y, n_tile / PART_TILES) : 1,
        part = (int)blockIdx.y;
    early_trigger();
    if (part >= n_part) return;
    // The old rows of the cache and the position were there before this step began.
    int first = (int)((long long)n_tile * part / n_part) + warp,
        end = (int)((long long)n_tile * (part + 1) / n_part);
    size_t base = (size_t)kv * j.cache.ctx_max * DIM;
#pragma unroll
    for (int i = 0; i < FEW_STAGES; i++) {
        int tile = first + i * FEW_WARPS;
        if (tile < end) load_tile<DIM>(sh.ring[warp][i], j, base, tile, pos, lane);
        copy_commit();
    }
    early_wait();
    bool is_last = part == n_part - 1;
    prepare<DIM>(sh, j, kv, row0, pos, is_last, warp, lane);
    __syncthreads();

    struct query_rows<DIM> rows;
    rows_start<DIM>(rows);
    int group = j.n_head / j.cache.n_kv_head, stage = 0;
    const int old[2] = {pos, pos}; // every row sees all old keys
    for (int tile = first; tile < end; tile += FEW_WARPS) {
        copy_wait<FEW_STAGES - 1>();
        __syncwarp();
        take_tile<DIM>(rows, sh, sh.ring[warp][stage], tile * KEYS, old, lane);
        __syncwarp();
        int next = tile + FEW_STAGES * FEW_WARPS;
        if (next < end) load_tile<DIM>(sh.ring[warp][stage], j, base, next, pos, lane);
        copy_commit();
        stage = stage + 1 == FEW_STAGES ? 0 : stage + 1;
    }
    if (is_last && warp == FEW_WARPS - 1) {
        const int seen[2] = {(row0 + lane / 4) / group + 1, (row0 + lane / 4 + 8) / group + 1};
        take_tile<DIM>(rows, sh, sh.fresh, 0, seen, lane);
    }
    copy_wait<0>();
    int id = (int)blockIdx.z * (int)gridDim.x + kv;
    float *parts = j.parts + (size_t)id * gridDim.y * ROWS * (DIM + 2);
    join_warps<DIM>(sh, j, rows, n_part > 1 ? parts + (size_t)part * ROWS * (DIM + 2) : nullptr, kv,
                    row0, warp, lane);
    if (n_part == 1) return;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) sh.arrived = atomicAdd(j.counters + id, 1);
    __syncthreads();
    if (sh.arrived != (unsigned)n_part - 1) return;
    __threadfence();
    join_parts<DIM>(sh, j, parts, n_part, kv, row0);
    if (threadIdx.x == 0) j.counters[id] = 0;
}

bool cuda_attend_takes(const struct k_attend *at, int n_token)
{
    (void)n_token;
    return at->cache->head_dim == 64 || at->cache->head_dim == 128;
}

template <int DIM> static void launch_few(k_device *d, const struct attend_job *j)
{
    int n_row_tile = (j->n_row + ROWS - 1) / ROWS, n_head = j->cache.n_kv_head * n_row_tile;
    int n_part = d->n_sm / n_head < 1 ? 1 : d->n_sm / n_head;
    if (n_part > ATTEND_SPLIT_MAX) n_part = ATTEND_SPLIT_MAX;
    if (n_head * n_part > FEW_BLOCKS_MAX) n_part = 1;
    cuda_check(d,
               cudaFuncSetAttribute(attend_few_kernel<DIM>,
                                    cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    (int)sizeof(struct few_shared<DIM>)),
               "shared memory of attention");
    cuda_launch_early(d, "attention", attend_few_kernel<DIM>,
                      dim3((unsigned)j->cache.n_kv_head, (unsigned)n_part, (unsigned)n_row_tile),
                      FEW_THREADS, sizeof(struct few_shared<DIM>), *j);
}

void cuda_attend_few(k_device *d, k_act *a, const struct k_attend *at, int n_token)
{
    struct attend_job j = {};
    j.q = at->q, j.k = at->k, j.v = at->v, j.q_norm = at->q_norm, j.k_norm = at->k_norm,
    j.rope = at->rope;
    j.eps = at->eps, j.cache = *at->cache, j.pos = at->pos, j.n_head = at->n_head,
    j.n_token = n_token;
    j.n_row = n_token * (at->n_head / at->cache->n_kv_head);
    j.parts = d->parts, j.counters = d->counters;
    for (int i = 0; i < X_N_KIND; i++) j.out.hi[i] = a->hi[i], j.out.lo[i] = a->lo[i];
    a->form = FORM_PAIR, a->n_sum = 0;
    if (at->cache->head_dim == 64)
        launch_few<64>(d, &j);
    else
        launch_few<128>(d, &j);
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
    struct short_out out; // [n_token, n_head, DIM]
};

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

// Grid: tiles of MANY_ROWS query rows, the last ones first since they see most; kv heads.
template <int DIM>
__global__ void __launch_bounds__(MANY_THREADS, 1)
    attend_many_kernel(const __grid_constant__ struct flash_job j)
{
    extern __shared__ __align__(128) unsigned char raw[];
    __nv_bfloat16(*ring)[2][MANY_KEYS * DIM] = (__nv_bfloat16(*)[2][MANY_KEYS * DIM]) raw;
    int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4,
        kv = (int)blockIdx.y;
    int group = j.n_head / j.cache.n_kv_head, n_row = j.n_token * group, pos = *j.pos;
    int row0 = ((int)gridDim.x - 1 - (int)blockIdx.x) * MANY_ROWS, mine = row0 + warp * ROWS;
    int n_key = pos + min(j.n_token, (row0 + MANY_ROWS - 1) / group + 1);
    const int limit[2] = {pos + (mine + g) / group + 1, pos + (mine + g + 8) / group + 1};
    size_t base = (size_t)kv * j.cache.ctx_max * DIM;
    int n_block = (n_key + MANY_KEYS - 1) / MANY_KEYS;
    load_keys<DIM>(ring[0], j, base, 0, n_key);
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
    rows_start<DIM>(rows);
    for (int b = 0; b < n_block; b++) {
        if (b + 1 < n_block)
            load_keys<DIM>(ring[(b + 1) % MANY_STAGES], j, base, (b + 1) * MANY_KEYS, n_key);
        copy_commit();
        copy_wait<1>();
        __syncthreads();
        __nv_bfloat16(*tile)[MANY_KEYS * DIM] = ring[b % MANY_STAGES];
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
                    if (first + n * 8 + t * 2 + k % 2 >= limit[k / 2]) s[n][k] = -INFINITY;
            rows_take<DIM, false>(rows, s, tile[1] + part * KEYS * DIM, lane);
        }
        __syncthreads();
    }
    rows_end<DIM>(rows);
#pragma unroll
    for (int h = 0; h < 2; h++) {
        int row = mine + g + h * 8;
        if (row >= n_row) continue;
        float by = 1 / rows.sum[h];
        size_t at = ((size_t)(row / group) * j.n_head + kv * group + row % group) * DIM + t * 2;
#pragma unroll
        for (int i = 0; i < DIM / 8; i++) {
            float a = rows.acc[i][2 * h] * by, b = rows.acc[i][2 * h + 1] * by;
            __half2 both = __floats2half2_rn(a * F16_UNIT, b * F16_UNIT);
            *(unsigned *)(j.out.hi[X_BF16] + at + i * 8) = pack(a, b);
            *(unsigned *)(j.out.hi[X_F16] + at + i * 8) = *(unsigned *)&both;
        }
    }
}

template <int DIM> static void launch_many(k_device *d, const struct flash_job *j)
{
    size_t shared = sizeof(__nv_bfloat16) * MANY_STAGES * 2 * MANY_KEYS * DIM;
    int n_row = j->n_token * (j->n_head / j->cache.n_kv_head);
    cuda_check(d,
               cudaFuncSetAttribute(attend_many_kernel<DIM>,
                                    cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared),
               "shared memory of attention");
    attend_many_kernel<DIM>
        <<<dim3((unsigned)(n_row + MANY_ROWS - 1) / MANY_ROWS, (unsigned)j->cache.n_kv_head),
           MANY_THREADS, shared, d->stream>>>(*j);
    cuda_check(d, cudaGetLastError(), "attention of many tokens");
}

// q is already normed and turned, the cache written.
void cuda_attend_many(k_device *d, k_act *a, const struct k_attend *at, int n_token)
{
    struct flash_job j = {at->q,      *at->cache, at->pos,
                          at->n_head, n_token,    {{a->hi[0], a->hi[1]}, {}}};
    a->form = FORM_SHORT, a->n_sum = 0;
    if (at->cache->head_dim == 64)
        launch_many<64>(d, &j);
    else
        launch_many<128>(d, &j);
}
