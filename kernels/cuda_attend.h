// Attention over a bf16 cache on tensor cores: the steps that both fast kernels are made of, and
// all that a resident kernel (cuda_step.cu) does for few tokens, from the products q, k and v to
// the input of the output projection: norm, rotation, the cache's new rows, attention.
//
// Few tokens: bound by the bytes of keys and values, each read once: 4 KB per token of context and
// layer for 8 heads of 128. Blocks divide the heads and the context (split-K); the last block that
// arrives for a head puts the parts together.
//
// Query rows are (token, head of the group) pairs, heads innermost, so that 16 rows make a tile for
// any group. Scores, maxima and sums are f32; q and the probabilities go to the tensor cores as
// pairs of bf16 when there are few tokens, and as bf16 when there are many.
#pragma once
#include "kernels/cuda.h"

#if defined(__CUDA_ARCH__) && (__CUDA_ARCH__ < 900 || __CUDA_ARCH__ >= 1200)
#define IS_SMALL true // 99 KB of shared memory for a block, as GB10 has; else 227
#else
#define IS_SMALL false
#endif

enum { ROWS = 16, KEYS = 16 }; // of one tile

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

// The state of 16 query rows in one warp, N of the DIM values; lane 4 g + t has rows g and g + 8.
template <int N> struct query_rows {
    float acc[N / 8][4], largest[2], sum[2];
};

template <int N> static __device__ __forceinline__ void rows_start(struct query_rows<N> &r)
{
#pragma unroll
    for (int i = 0; i < N / 8; i++)
#pragma unroll
        for (int k = 0; k < 4; k++) r.acc[i][k] = 0;
    r.largest[0] = r.largest[1] = -INFINITY;
    r.sum[0] = r.sum[1] = 0;
}

// Takes the scores [16 rows, 16 keys] (already scaled by log2 e / sqrt(dim), -infinity where a key
// is not seen) and the values of those keys, from value `first` on, into the state.
template <int DIM, int N, bool PAIRS>
static __device__ __forceinline__ void rows_take(struct query_rows<N> &r, float s[2][4],
                                                 __nv_bfloat16 *values, int first, int lane)
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
        for (int i = 0; i < N / 8; i++) r.acc[i][2 * h] *= keep, r.acc[i][2 * h + 1] *= keep;
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
        p[i] = pack(s[i / 2][i % 2 * 2], s[i / 2][i % 2 * 2 + 1]);
        if (PAIRS) rest[i] = pack_rest(s[i / 2][i % 2 * 2], s[i / 2][i % 2 * 2 + 1], p[i]);
    }
#pragma unroll
    for (int i = 0; i < N / 16; i++) {
        unsigned v[4];
        matrices_turned(v, piece_of<DIM>(values, lane % 16, first / 8 + 2 * i + lane / 16));
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
template <int N> static __device__ __forceinline__ void rows_end(struct query_rows<N> &r)
{
#pragma unroll
    for (int h = 0; h < 2; h++) {
        r.sum[h] += __shfl_xor_sync(~0u, r.sum[h], 1);
        r.sum[h] += __shfl_xor_sync(~0u, r.sum[h], 2);
    }
}

// Few tokens

// Two warps share tiles of keys: both find the scores, each takes half of the values. So the state
// fits the registers that a resident kernel leaves.
enum {
    FEW_PAIRS = 4,
    FEW_WARPS = 2 * FEW_PAIRS,
    FEW_THREADS = 32 * FEW_WARPS,
    FEW_ITEMS_MAX = 4096
};
constexpr int FEW_STAGES = IS_SMALL ? 1 : 2;
// Putting parts together has its price: few tiles are one part, and a part has two tiles per warp.
enum { ONE_PART_TILES = 4 * FEW_PAIRS, PART_TILES = 2 * FEW_PAIRS };

struct attend_job {
    const float *q, *k, *v, *q_norm, *k_norm, *rope;
    float eps;
    struct k_cache cache;
    const int32_t *pos;
    int n_head, n_token, n_row; // n_row query rows of a group
    int n_row_tile, n_part_max; // an item is a key head, a part of the context, a tile of rows
    float *parts;               // [block][ROWS][DIM + 2]: sums, then largest and sum
    unsigned *counters;         // [kv head][row tile]
    struct short_out out;       // [n_token, n_head, DIM]
};

// The warps that attend meet among themselves: the others of their block wait at the next barrier.
static __device__ __forceinline__ void few_sync()
{
    asm volatile("bar.sync 1, %0;" ::"r"((int)FEW_THREADS) : "memory");
}

static __device__ __forceinline__ void pair_sync(int pair)
{
    asm volatile("bar.sync %0, 64;" ::"r"(pair + 3) : "memory");
}

template <int DIM> struct few_shared {
    __nv_bfloat16 ring[FEW_PAIRS][FEW_STAGES][2][KEYS * DIM]; // keys, values
    __nv_bfloat16 q[2][ROWS][DIM + 8];                        // hi, lo
    __nv_bfloat16 fresh[2][KEYS * DIM]; // keys and values of this call's tokens
    float largest[FEW_PAIRS][ROWS], sum[FEW_PAIRS][ROWS];
    unsigned arrived;
};

// One head's vector of DIM, DIM / 32 values in each lane, and what its norm and rotation take: all
// of it is asked for before any of it is used.
template <int DIM> struct head_vector {
    float x[DIM / 32], gain[DIM / 32], turn[DIM / 32]; // cosines, then sines
};

template <int DIM>
static __device__ __forceinline__ void load_vector(struct head_vector<DIM> &h, const float *from,
                                                   const float *gain, const float *rope, int lane)
{
#pragma unroll
    for (int i = 0; i < DIM / 32; i++) {
        h.x[i] = from[lane + 32 * i];
        h.gain[i] = gain ? gain[lane + 32 * i] : 1;
        h.turn[i] = rope[lane + 32 * i];
    }
}

template <int DIM>
static __device__ __forceinline__ void norm_and_turn(struct head_vector<DIM> &h, bool has_norm,
                                                     float eps)
{
    constexpr int n = DIM / 32;
    if (has_norm) {
        float sum = 0;
#pragma unroll
        for (int i = 0; i < n; i++) sum += h.x[i] * h.x[i];
        float factor = 1 / sqrtf(warp_sum(sum) / DIM + eps);
#pragma unroll
        for (int i = 0; i < n; i++) h.x[i] *= factor * h.gain[i];
    }
#pragma unroll
    for (int i = 0; i < n / 2; i++) {
        float c = h.turn[i], s = h.turn[i + n / 2], p = h.x[i], q = h.x[i + n / 2];
        h.x[i] = p * c - q * s;
        h.x[i + n / 2] = q * c + p * s;
    }
}

// One warp's half of tile `tile` of old keys and values into a stage of a pair's ring; keys from
// `n_key` on are not read (their scores are masked, their values must be finite: the last key
// again).
template <int DIM>
static __device__ __forceinline__ void load_tile(__nv_bfloat16 (*to)[KEYS * DIM],
                                                 const struct attend_job &j, size_t base, int tile,
                                                 int n_key, int half, int lane)
{
    constexpr int pieces = DIM / 8;
    for (int i = half * 32 + lane; i < KEYS * pieces; i += 64) {
        int row = i / pieces, piece = i % pieces;
        size_t at = base + (size_t)min(tile * KEYS + row, n_key - 1) * DIM + piece * 8;
        copy_16(piece_of<DIM>(to[0], row, piece), (const __nv_bfloat16 *)j.cache.k + at);
        copy_16(piece_of<DIM>(to[1], row, piece), (const __nv_bfloat16 *)j.cache.v + at);
    }
}

// Queries of this tile to shared memory; with `is_last` also the new keys and values, to the cache
// and to shared memory. Rows that do not exist are zeros. The first warps have the first queries,
// the last ones the first keys.
template <int DIM>
static __device__ void prepare(struct few_shared<DIM> &sh, const struct attend_job &j, int kv,
                               int row0, int pos, bool is_last, int warp, int lane)
{
    constexpr int n = DIM / 32;
    int group = j.n_head / j.cache.n_kv_head;
    for (int r = warp; r < ROWS; r += FEW_WARPS) {
        struct head_vector<DIM> h = {
        };
        int token = (row0 + r) / group, head = kv * group + (row0 + r) % group;
        if (row0 + r < j.n_row) {
            load_vector<DIM>(h, j.q + ((size_t)token * j.n_head + head) * DIM, j.q_norm,
                             j.rope + (size_t)token * DIM, lane);
            norm_and_turn<DIM>(h, j.q_norm, j.eps);
        }
#pragma unroll
        for (int i = 0; i < n; i++) {
            __nv_bfloat16 hi = __float2bfloat16_rn(h.x[i]);
            sh.q[0][r][lane + 32 * i] = hi;
            sh.q[1][r][lane + 32 * i] = __float2bfloat16_rn(h.x[i] - __bfloat162float(hi));
        }
    }
    for (int t = FEW_WARPS - 1 - warp; is_last && t < KEYS; t += FEW_WARPS) {
        struct head_vector<DIM> h = {
        };
        float v[n] = {};
        if (t < j.n_token) {
            size_t at = ((size_t)t * j.cache.n_kv_head + kv) * DIM;
            load_vector<DIM>(h, j.k + at, j.k_norm, j.rope + (size_t)t * DIM, lane);
#pragma unroll
            for (int i = 0; i < n; i++) v[i] = j.v[at + lane + 32 * i];
            norm_and_turn<DIM>(h, j.k_norm, j.eps);
        }
        size_t to = ((size_t)kv * j.cache.ctx_max + pos + t) * DIM;
#pragma unroll
        for (int i = 0; i < n; i++) {
            int c = lane + 32 * i;
            __nv_bfloat16 key = __float2bfloat16_rn(h.x[i]), value = __float2bfloat16_rn(v[i]);
            piece_of<DIM>(sh.fresh[0], t, c / 8)[c % 8] = key;
            piece_of<DIM>(sh.fresh[1], t, c / 8)[c % 8] = value;
            if (t >= j.n_token || row0) continue;
            ((__nv_bfloat16 *)j.cache.k)[to + c] = key;
            ((__nv_bfloat16 *)j.cache.v)[to + c] = value;
        }
    }
}

// The scores of a tile: key `first + i` is seen by a row whose limit exceeds it.
template <int DIM>
static __device__ __forceinline__ void
take_tile(struct query_rows<DIM / 2> &rows, struct few_shared<DIM> &sh,
          __nv_bfloat16 (*tile)[KEYS * DIM], int first, const int limit[2], int half, int lane)
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
    rows_take<DIM, DIM / 2, true>(rows, s, tile[1], half * (DIM / 2), lane);
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

// The pairs' states into one, [ROWS][DIM] with largest and sum behind each row: to `part`, or, when
// there is one part only, to the output.
template <int DIM>
static __device__ void join_warps(struct few_shared<DIM> &sh, const struct attend_job &j,
                                  struct query_rows<DIM / 2> &rows, float *part, int kv, int row0,
                                  int warp, int lane)
{
    float(*acc)[ROWS][DIM] = (float(*)[ROWS][DIM])sh.ring; // [FEW_PAIRS], over the tiles
    static_assert(sizeof(float) * ROWS * DIM * FEW_PAIRS <= sizeof sh.ring,
                  "the ring holds all states");
    int g = lane / 4, t = lane % 4, pair = warp / 2, half = warp % 2, thread = warp * 32 + lane;
    rows_end(rows);
    few_sync();
#pragma unroll
    for (int i = 0; i < DIM / 16; i++)
#pragma unroll
        for (int k = 0; k < 4; k++)
            acc[pair][g + k / 2 * 8][half * (DIM / 2) + i * 8 + t * 2 + k % 2] = rows.acc[i][k];
    if (t == 0 && half == 0) {
        sh.largest[pair][g] = rows.largest[0], sh.largest[pair][g + 8] = rows.largest[1];
        sh.sum[pair][g] = rows.sum[0], sh.sum[pair][g + 8] = rows.sum[1];
    }
    few_sync();
    for (int i = thread; i < ROWS * DIM; i += FEW_THREADS) {
        int r = i / DIM, c = i % DIM;
        if (row0 + r >= j.n_row) break;
        float top = -INFINITY, y = 0, sum = 0;
        for (int w = 0; w < FEW_PAIRS; w++) top = fmaxf(top, sh.largest[w][r]);
        for (int w = 0; w < FEW_PAIRS && top != -INFINITY; w++) {
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

// Everything of a row's parts is asked for at once: one round trip to memory however many there
// are.
enum { JOIN_STEP = 8 };

template <int DIM>
static __device__ void join_parts(const struct attend_job &j, const float *parts, int n_part,
                                  int kv, int row0, int thread)
{
    constexpr size_t part_size = ROWS * (DIM + 2);
    int n_row = min((int)ROWS, j.n_row - row0);
    for (int i = thread; i < n_row * DIM; i += FEW_THREADS) {
        int r = i / DIM, c = i % DIM;
        float top = -INFINITY, y = 0, all = 0;
        for (int first = 0; first < n_part; first += JOIN_STEP) {
            float largest[JOIN_STEP], sum[JOIN_STEP], v[JOIN_STEP], was = top;
#pragma unroll
            for (int k = 0; k < JOIN_STEP; k++) {
                const float *p = parts + (size_t)(first + k) * part_size + r * (DIM + 2);
                bool exists = first + k < n_part;
                largest[k] = exists ? __ldcg(p + DIM) : -INFINITY;
                sum[k] = exists ? __ldcg(p + DIM + 1) : 0;
                v[k] = exists ? __ldcg(p + c) : 0;
            }
#pragma unroll
            for (int k = 0; k < JOIN_STEP; k++) top = fmaxf(top, largest[k]);
            float keep = exp2f(was - top);
            y *= keep, all *= keep;
#pragma unroll
            for (int k = 0; k < JOIN_STEP; k++) {
                keep = exp2f(largest[k] - top);
                y += keep * v[k];
                all += keep * sum[k];
            }
        }
        write_out<DIM>(j, kv, row0 + r, c, y / all);
    }
}

// One head, part of the context and tile of query rows.
struct attend_item {
    int kv, row0, part, n_part, pos;
    int first, end; // of this pair's tiles, which are FEW_PAIRS apart
    size_t base;
    bool exists; // a short context has fewer parts
};

static __device__ __forceinline__ struct attend_item item_of(const struct attend_job &j, int item,
                                                             int warp)
{
    int n_kv = j.cache.n_kv_head, pos = *j.pos, n_tile = (pos + KEYS - 1) / KEYS;
    struct attend_item a;
    a.pos = pos;
    a.kv = item % n_kv;
    a.part = item / n_kv % j.n_part_max;
    a.row0 = item / n_kv / j.n_part_max * ROWS;
    a.n_part = n_tile > ONE_PART_TILES ? min(j.n_part_max, n_tile / PART_TILES) : 1;
    a.first = (int)((unsigned)n_tile * (unsigned)a.part / (unsigned)a.n_part) + warp / 2;
    a.end = (int)((unsigned)n_tile * (unsigned)(a.part + 1) / (unsigned)a.n_part);
    a.base = (size_t)a.kv * j.cache.ctx_max * j.cache.head_dim;
    a.exists = a.part < a.n_part;
    return a;
}

static __device__ __forceinline__ int attend_items(const struct attend_job &j)
{
    return j.cache.n_kv_head * j.n_part_max * j.n_row_tile;
}

// Asks for the first tiles. The cache's old rows and the position were there before this step
// began, so this need not wait for anything.
template <int DIM>
static __device__ void attend_begin(struct few_shared<DIM> &sh, const struct attend_job &j,
                                    const struct attend_item &a, int warp, int lane)
{
#pragma unroll
    for (int i = 0; i < FEW_STAGES; i++) {
        int tile = a.first + i * FEW_PAIRS;
        if (a.exists && tile < a.end)
            load_tile<DIM>(sh.ring[warp / 2][i], j, a.base, tile, a.pos, warp % 2, lane);
        copy_commit();
    }
}

template <int DIM>
static __device__ void attend_end(struct few_shared<DIM> &sh, const struct attend_job &j,
                                  const struct attend_item &a, int warp, int lane)
{
    bool is_last = a.part == a.n_part - 1;
    int thread = warp * 32 + lane;
    if (!a.exists) return;
    prepare<DIM>(sh, j, a.kv, a.row0, a.pos, is_last, warp, lane);
    few_sync();

    struct query_rows<DIM / 2> rows;
    rows_start(rows);
    int group = j.n_head / j.cache.n_kv_head, stage = 0, pair = warp / 2, half = warp % 2;
    // The new keys and values are one tile more. Every row sees all old keys, and of the new ones
    // those up to its own token's.
    int last = is_last && pair == FEW_PAIRS - 1;
#pragma unroll 1
    for (int tile = a.first;; tile += FEW_PAIRS) {
        bool is_old = tile < a.end;
        if (!is_old && !last--) break;
        // Addresses are cheaper found anew for each tile than kept: there are not enough registers.
        asm volatile("" : "+r"(lane));
        copy_wait<FEW_STAGES - 1>();
        pair_sync(pair);
        int row = a.row0 + lane / 4, first = is_old ? tile * KEYS : a.pos;
        const int limit[2] = {is_old ? a.pos : a.pos + row / group + 1,
                              is_old ? a.pos : a.pos + (row + 8) / group + 1};
        take_tile<DIM>(rows, sh, is_old ? sh.ring[pair][stage] : sh.fresh, first, limit, half,
                       lane);
        pair_sync(pair);
        int next = tile + FEW_STAGES * FEW_PAIRS;
        if (next < a.end) load_tile<DIM>(sh.ring[pair][stage], j, a.base, next, a.pos, half, lane);
        copy_commit();
        stage = stage + 1 == FEW_STAGES ? 0 : stage + 1;
    }
    copy_wait<0>();
    int n_kv = j.cache.n_kv_head, id = a.row0 / ROWS * n_kv + a.kv;
    constexpr size_t part_size = ROWS * (DIM + 2);
    float *parts = j.parts + (size_t)id * j.n_part_max * part_size;
    join_warps<DIM>(sh, j, rows, a.n_part > 1 ? parts + (size_t)a.part * part_size : nullptr, a.kv,
                    a.row0, warp, lane);
    if (a.n_part > 1) {
        few_sync();
        if (thread == 0)
            asm volatile("atom.acq_rel.gpu.global.add.u32 %0, [%1], 1;"
                         : "=r"(sh.arrived)
                         : "l"(j.counters + id)
                         : "memory");
        few_sync();
        if (sh.arrived == (unsigned)a.n_part - 1) {
            join_parts<DIM>(j, parts, a.n_part, a.kv, a.row0, thread);
            if (thread == 0) j.counters[id] = 0;
        }
    }
    few_sync(); // the next item may use the memory
}
