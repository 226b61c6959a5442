// Attention for few tokens: all that a resident kernel (cuda_step.h) does from the products q, k
// and v to the input of the output projection: norm, rotation, the cache's new rows, attention.
//
// Bound by the bytes of keys and values, each read once: 4 KB per token of context and layer for 8
// heads of 128 in bf16, half of that in e4m3. Blocks divide the heads and the context (split-K);
// the last block that arrives for a head puts the parts together.
//
// Query rows are (token, head of the group) pairs, heads innermost, so that 16 rows make a tile for
// any group. Of one token 8 rows do, and the low halves of their numbers are the other 8: half as
// many products, and no more bytes unless a group has more heads than that.
#pragma once
#include "kernels/cuda_tiles.h"

#if defined(HEARTH_EMULATED_SMALL) ||                                                              \
    defined(__CUDA_ARCH__) && (__CUDA_ARCH__ < 900 || __CUDA_ARCH__ >= 1200)
#define IS_SMALL true // 99 KB of shared memory for a block, as GB10 has; else 227
#else
#define IS_SMALL false
#endif

// A wait that fails tries again, but not for ever: after 20 seconds it is taken for a fault.
struct patience {
    unsigned tries;
    long long start;
};

static __device__ __forceinline__ void be_patient(struct patience &p)
{
    if (++p.tries % 4096) return;
    long long now = nanoseconds();
    if (!p.start) p.start = now;
    if (now - p.start > 20000000000ll) give_up();
}

// What kernels divide by, known when a list is made: a division takes 200 cycles, a product 4. What
// is divided by d must be below 2^32 / d.
struct divisor {
    int by;
    unsigned inverse; // times 2^32, rounded up; of 1: 0
};

static inline struct divisor divisor_of(int by)
{
    return {by, ~0u / (unsigned)by + 1};
}

static __device__ __forceinline__ int quotient(int n, const struct divisor &d)
{
    return d.inverse ? (int)__umulhi((unsigned)n, d.inverse) : n;
}

// Each warp that takes keys (a taker) takes tiles of them by itself, and has room for one: while
// the scores are found the tile's values may still arrive, and then the next tile's keys do.
enum { FEW_WARPS = 8, FEW_THREADS = 32 * FEW_WARPS, FEW_ITEMS_MAX = 4096 };
enum { SMALL_TAKERS = 4 };
constexpr int TAKERS = IS_SMALL ? SMALL_TAKERS : 7;
// Putting parts together has its price: few tiles are one part, and a part has at least eight.
enum { ONE_PART_TILES = 16, PART_TILES = 8 };

struct attend_job {
    const float *q, *k, *v, *q_norm, *k_norm, *rope;
    float eps;
    struct k_cache cache;
    const int32_t *pos;
    int window;                 // INT_MAX: all
    const float *sinks;         // [n_head], or NULL
    int n_head, n_token, n_row; // n_row query rows of a group
    struct divisor group;       // heads that share a key head
    int n_row_tile;             // an item is a key head, a part of the context, a tile of rows
    struct divisor n_kv_head, n_part_max;
    float *parts;         // [block][ROWS][DIM + 2]: sums, then largest and sum
    unsigned *counters;   // [kv head][row tile]
    struct short_out out; // [n_token, n_head, DIM]
    unsigned want, leave; // tags of q, k and v, and of out
    enum short_parts parts_out;
};

// A kernel for one token (ONE) knows that when it is compiled: nothing has to look how many there
// are, here and in other jobs.
template <bool ONE, typename JOB> static __device__ __forceinline__ int tokens_of(const JOB &j)
{
    return ONE ? 1 : j.n_token;
}

static constexpr __host__ __device__ int item_rows(bool one)
{
    return one ? ROWS / 2 : ROWS;
}

static constexpr __host__ __device__ enum row_pairs rows_as(bool one)
{
    return one ? STACKED : PAIRS;
}

// Which token query row `row` is of; leaves the head of the group.
template <bool ONE> static __device__ __forceinline__ int token_of_row(int &row, int group)
{
    int token = 0;
    for (; !ONE && row >= group; row -= group) token++; // shorter than a division
    return token;
}

// The warps that attend meet among themselves: the others of their block wait at the next barrier.
static __device__ __forceinline__ void few_sync()
{
    barrier(1, FEW_THREADS);
}

template <int DIM> struct few_shared {
    __nv_bfloat16 ring[TAKERS][2][KEYS * DIM]; // keys, values
    __nv_bfloat16 q[2][ROWS][DIM + 8];         // hi, lo
    __nv_bfloat16 fresh[2][KEYS * DIM];        // keys and values of this call's tokens
    float largest[TAKERS][ROWS], sum[TAKERS][ROWS];
    float sink[ROWS]; // as scores
    unsigned arrived;
};

// The same of a cache in e4m3. Tiles are half as large, so that a taker has room for two; all that
// there is besides lies in the place of few_shared's fresh tiles.
template <int DIM> struct code_shared {
    unsigned char code[2][KEYS * DIM], scale[2][KEYS]; // of this call's tokens
    unsigned char old_scale[TAKERS][2][2][KEYS];       // of the old tiles, turns, keys and values
    float unit[ROWS];                                  // of q
};

template <int DIM>
static __device__ __forceinline__ struct code_shared<DIM> &codes_of(struct few_shared<DIM> &sh) {
    static_assert(sizeof(struct code_shared<DIM>) <= sizeof sh.fresh, "it fits");
    return *(struct code_shared<DIM> *)sh.fresh;
}

template <int DIM>
static __device__ __forceinline__ unsigned char *old_codes(struct few_shared<DIM> &sh, int warp,
                                                           int turn, int which)
{
    return (unsigned char *)sh.ring[warp] + (turn * 2 + which) * KEYS * DIM;
}

// What an item takes of this call's products, each by one warp: its query rows, the new keys and
// the new values.
enum vector_kind { A_QUERY, A_KEY, A_VALUE };

struct vector_place {
    enum vector_kind kind;
    int row, token; // of the tile; of the call
    const float *from, *gain;
};

// One of them, DIM / 32 neighbouring values in each lane, and what its norm and rotation take. The
// values that are rotated with a lane's are those of lane ^ 16.
template <int DIM> struct head_vector {
    float x[DIM / 32], gain[DIM / 32], cos[DIM / 32], sin[DIM / 32];
};

// The same of what other blocks write. Four or two numbers, there or not.
template <int N> static __device__ __forceinline__ void load_new(float (&to)[N], const float *from)
{
    if constexpr (N == 4)
        *(float4 *)to = load_seen((const float4 *)from);
    else
        *(float2 *)to = load_seen((const float2 *)from);
}

template <int N>
static __device__ __forceinline__ bool all_tagged(const float (&x)[N], unsigned tag)
{
    unsigned other = 0;
#pragma unroll
    for (int i = 0; i < N; i++) other |= __float_as_uint(x[i]) ^ tag;
    return tag == NO_TAG || !(other & 1);
}

template <int N> static __device__ __forceinline__ void load_near(float (&to)[N], const float *from)
{
    if constexpr (N == 4)
        *(float4 *)to = *(const float4 *)from;
    else
        *(float2 *)to = *(const float2 *)from;
}

template <int N>
static __device__ __forceinline__ void store_near(__nv_bfloat16 *to, const unsigned (&pairs)[N])
{
    if constexpr (N == 2)
        *(uint2 *)to = make_uint2(pairs[0], pairs[1]);
    else
        *(unsigned *)to = pairs[0];
}

// Norm and rotation do not wait for the products.
template <int DIM>
static __device__ __forceinline__ void load_turn(struct head_vector<DIM> &h,
                                                 const struct vector_place &at,
                                                 const struct attend_job &j, int lane)
{
    constexpr int n = DIM / 32;
    const float *turn = j.rope + (unsigned)(at.token * DIM + lane % 16 * n);
    load_near(h.cos, turn);
    load_near(h.sin, turn + DIM / 2);
    if (at.gain) load_near(h.gain, at.gain + lane * n);
}

template <int DIM>
static __device__ __forceinline__ void load_vector(struct head_vector<DIM> &h,
                                                   const struct vector_place &at, int lane)
{
    load_new(h.x, at.from + lane * (DIM / 32));
}

// Until all of both is there.
template <int DIM>
static __device__ __forceinline__ void
await_vectors(struct head_vector<DIM> &a, const struct vector_place &a_at,
              struct head_vector<DIM> &b, const struct vector_place &b_at, unsigned tag, int lane)
{
    struct patience p = {0, 0};
    while (__any_sync(~0u, !(all_tagged(a.x, tag) && all_tagged(b.x, tag)))) {
        load_vector<DIM>(a, a_at, lane);
        load_vector<DIM>(b, b_at, lane);
        be_patient(p);
    }
}

template <int DIM>
static __device__ __forceinline__ void norm_and_turn(struct head_vector<DIM> &h, bool has_norm,
                                                     float eps, int lane)
{
    constexpr int n = DIM / 32;
    if (has_norm) {
        float sum = 0;
#pragma unroll
        for (int i = 0; i < n; i++) sum += h.x[i] * h.x[i];
        float factor = rsqrtf(warp_sum(sum) / DIM + eps);
#pragma unroll
        for (int i = 0; i < n; i++) h.x[i] *= factor * h.gain[i];
    }
#pragma unroll
    for (int i = 0; i < n; i++) {
        float other = __shfl_xor_sync(~0u, h.x[i], 16) * h.sin[i];
        h.x[i] = h.x[i] * h.cos[i] + (lane < 16 ? -other : other);
    }
}

// Tile `tile` of a taker's old keys, or of their values; keys from `n_key` on are not read (their
// scores are masked, their values must be finite: the last key again).
template <int DIM>
static __device__ __forceinline__ void load_tile(__nv_bfloat16 *to, const void *from, size_t base,
                                                 int tile, int n_key, int lane)
{
    constexpr int pieces = DIM / 8;
#pragma unroll 2 // more would be code that comes from far
    for (int k = 0; k < KEYS * pieces / 32; k++) {
        int i = k * 32 + lane, row = i / pieces, piece = i % pieces;
        size_t at = base + (size_t)min(tile * KEYS + row, n_key - 1) * DIM + piece * 8;
        copy_16(piece_of<DIM>(to, row, piece), (const __nv_bfloat16 *)from + at);
    }
    copy_commit();
}

// The keys that the query rows of a lane see: from low on, below limit.
struct seen_keys {
    int low[2], limit[2];

    __device__ __forceinline__ bool has(int key, int k) const
    {
        return key < limit[k / 2] && key >= low[k / 2];
    }
};

// The scores of a tile, which begins with key `first`.
template <int DIM, enum row_pairs AS>
static __device__ __forceinline__ void score_tile(float s[2][4], struct few_shared<DIM> &sh,
                                                  __nv_bfloat16 *keys, int first,
                                                  const struct seen_keys &seen, int lane)
{
    float c[2][2][4] = {}; // two chains of products are shorter than one
    auto multiply = [&](int h) {
#pragma unroll
        for (int i = 0; i < DIM / 16; i++) {
            unsigned q[4], k[4];
            matrices(k, piece_of<DIM>(keys, lane % 8 + lane / 16 * 8, 2 * i + lane / 8 % 2));
            matrices(q, &sh.q[h][lane % 16][i * 16 + lane / 16 * 8]);
            mma_bf16(c[i % 2][0], q, k[0], k[1]);
            mma_bf16(c[i % 2][1], q, k[2], k[3]);
        }
    };
    multiply(0);
    if (AS == PAIRS) multiply(1);
    const float scale = 1.44269504f * rsqrtf((float)DIM);
#pragma unroll
    for (int b = 0; b < 2; b++) {
        float both[4];
#pragma unroll
        for (int k = 0; k < 4; k++) both[k] = c[0][b][k] + c[1][b][k];
        if (AS == STACKED) both[0] += both[2], both[1] += both[3];
#pragma unroll
        for (int k = 0; k < 4; k++)
            s[b][k] =
                seen.has(first + b * 8 + lane % 4 * 2 + k % 2, k) ? both[k] * scale : -INFINITY;
    }
}

// Columns c and c + 1 of a row. KIND: which of out has tags.
template <int KIND, int DIM, bool ONE>
static __device__ __forceinline__ void write_out(const struct attend_job &j, int kv, int row, int c,
                                                 float y0, float y1)
{
    int group = j.group.by, token = token_of_row<ONE>(row, group);
    size_t at = (size_t)(unsigned)((token * j.n_head + kv * group + row) * DIM + c);
    write_tagged_two<KIND>(j.out, at, y0, y1, j.leave, j.parts_out);
}

// The takers' states into one, [ROWS][DIM] with largest and sum behind each row: to `part`, or,
// when there is one part only, to the output.
template <int KIND, int DIM, bool CODES, bool ONE>
static __device__ void join_warps(struct few_shared<DIM> &sh, const struct attend_job &j,
                                  struct query_rows<DIM> &rows, float *part, int kv, int row0,
                                  int warp, int lane)
{
    // [TAKERS], over the tiles and the queries; rows are apart so that lanes meet other banks
    float(*acc)[ROWS][DIM + 8] = (float(*)[ROWS][DIM + 8]) sh.ring;
    static_assert(sizeof(float) * ROWS * (DIM + 8) * TAKERS <= sizeof sh.ring + sizeof sh.q,
                  "there is room for all states");
    int g = lane / 4, t = lane % 4, thread = warp * 32 + lane;
    int n_row = min(item_rows(ONE), j.n_row - row0);
    rows_end(rows);
    few_sync();
#pragma unroll
    for (int k = 0; k < 2; k++) {
        if (g + k * 8 >= n_row || warp >= TAKERS) break;
        float *to = acc[warp][g + k * 8];
        if (CODES) { // rows_take_codes has another order
#pragma unroll
            for (int i = 0; i < DIM / 8; i++) {
                to[i / 8 * 64 + t * 16 + i % 8] = rows.acc[i][2 * k];
                to[i / 8 * 64 + t * 16 + 8 + i % 8] = rows.acc[i][2 * k + 1];
            }
        } else {
#pragma unroll
            for (int i = 0; i < DIM / 8; i++)
                *(float2 *)&to[i * 8 + t * 2] =
                    make_float2(rows.acc[i][2 * k], rows.acc[i][2 * k + 1]);
        }
        if (t == 0) {
            sh.largest[warp][g + k * 8] = rows.largest[k];
            sh.sum[warp][g + k * 8] = rows.sum[k];
        }
    }
    few_sync();
    for (int i = thread; i < n_row * (DIM / 2); i += FEW_THREADS) {
        int r = i / (DIM / 2), c = i % (DIM / 2) * 2;
        float sink = part ? -INFINITY : sh.sink[r], top = sink, y0 = 0, y1 = 0;
#pragma unroll
        for (int w = 0; w < TAKERS; w++) top = fmaxf(top, sh.largest[w][r]);
        float from = top == -INFINITY ? 0 : top, sum = exp2f(sink - from);
#pragma unroll
        for (int w = 0; w < TAKERS; w++) {
            float keep = exp2f(sh.largest[w][r] - from);
            float2 v = *(float2 *)&acc[w][r][c];
            y0 += keep * v.x, y1 += keep * v.y;
            sum += keep * sh.sum[w][r];
        }
        if (!part) {
            write_out<KIND, DIM, ONE>(j, kv, row0 + r, c, __fdividef(y0, sum), __fdividef(y1, sum));
            continue;
        }
        part[r * (DIM + 2) + c] = y0, part[r * (DIM + 2) + c + 1] = y1;
        if (c == 0) part[r * (DIM + 2) + DIM] = top, part[r * (DIM + 2) + DIM + 1] = sum;
    }
}

// Everything of a row's parts is asked for at once: one round trip to memory however many there
// are.
enum { JOIN_STEP = 8 };

template <int KIND, int DIM, bool ONE>
static __device__ void join_parts(const struct few_shared<DIM> &sh, const struct attend_job &j,
                                  const float *parts, int n_part, int kv, int row0, int thread)
{
    constexpr size_t part_size = ROWS * (DIM + 2);
    int n_row = min(item_rows(ONE), j.n_row - row0);
    for (int i = thread; i < n_row * (DIM / 2); i += FEW_THREADS) {
        int r = i / (DIM / 2), c = i % (DIM / 2) * 2;
        float top = sh.sink[r], y0 = 0, y1 = 0, all = top == -INFINITY ? 0 : 1;
        for (int first = 0; first < n_part; first += JOIN_STEP) {
            float was = top;
            float2 end[JOIN_STEP], v[JOIN_STEP]; // largest and sum; the columns
#pragma unroll
            for (int k = 0; k < JOIN_STEP; k++) {
                const float *p = parts + (size_t)(first + k) * part_size + r * (DIM + 2);
                bool exists = first + k < n_part;
                end[k] = exists ? __ldcg((const float2 *)(p + DIM)) : make_float2(-INFINITY, 0);
                v[k] = exists ? __ldcg((const float2 *)(p + c)) : make_float2(0, 0);
            }
#pragma unroll
            for (int k = 0; k < JOIN_STEP; k++) top = fmaxf(top, end[k].x);
            float keep = exp2f(was - top);
            y0 *= keep, y1 *= keep, all *= keep;
#pragma unroll
            for (int k = 0; k < JOIN_STEP; k++) {
                keep = exp2f(end[k].x - top);
                y0 += keep * v[k].x, y1 += keep * v[k].y;
                all += keep * end[k].y;
            }
        }
        write_out<KIND, DIM, ONE>(j, kv, row0 + r, c, __fdividef(y0, all), __fdividef(y1, all));
    }
}

// One head, part of the context and tile of query rows.
struct attend_item {
    int kv, row0, part, n_part, pos;
    int first, end; // of this taker's tiles, which are TAKERS apart
    size_t base;
    bool exists; // a short context has fewer parts
};

template <bool ONE>
static __device__ __forceinline__ struct attend_item item_at(const struct attend_job &j, int item,
                                                             int warp, int pos)
{
    // No row sees what is behind the first token's window.
    int behind = max(pos + 1 - j.window, 0) / KEYS, n_tile = (pos + KEYS - 1) / KEYS - behind;
    struct attend_item a;
    a.pos = pos;
    int of_head = quotient(item, j.n_kv_head), row_tile = quotient(of_head, j.n_part_max);
    a.kv = item - of_head * j.n_kv_head.by;
    a.part = of_head - row_tile * j.n_part_max.by;
    a.row0 = row_tile * item_rows(ONE);
    a.n_part = 1, a.first = behind + warp, a.end = behind + n_tile;
    if (n_tile > ONE_PART_TILES) {
        a.n_part = min(j.n_part_max.by, n_tile / PART_TILES);
        a.first = behind + (int)((unsigned)n_tile * (unsigned)a.part / (unsigned)a.n_part) + warp;
        a.end = behind + (int)((unsigned)n_tile * (unsigned)(a.part + 1) / (unsigned)a.n_part);
    }
    a.base = (size_t)a.kv * j.cache.ctx_max * j.cache.head_dim;
    a.exists = a.part < a.n_part;
    return a;
}

template <bool ONE>
static __device__ __forceinline__ struct attend_item item_of(const struct attend_job &j, int item,
                                                             int warp)
{
    return item_at<ONE>(j, item, warp, *j.pos);
}

static __device__ __forceinline__ int attend_items(const struct attend_job &j)
{
    return j.n_kv_head.by * j.n_part_max.by * j.n_row_tile;
}

// What the rows of a lane see of a tile of old keys, or of the new ones. Every row's token sees all
// old keys that are in its window, and of the new ones those up to its own.
template <bool ONE>
static __device__ __forceinline__ struct seen_keys
seen_by_lane(const struct attend_job &j, const struct attend_item &a, bool is_old, int lane)
{
    int row = a.row0 + lane / 4;
    struct seen_keys seen;
#pragma unroll
    for (int h = 0; h < 2; h++) {
        int end = a.pos + (ONE ? 0 : quotient(row + h * 8, j.group)) + 1;
        seen.limit[h] = is_old ? a.pos : end;
        seen.low[h] = end - j.window;
    }
    return seen;
}

template <bool ONE>
static __device__ __forceinline__ int vectors_of(const struct attend_job &j,
                                                 const struct attend_item &a)
{
    int n_query = min(item_rows(ONE), j.n_row - a.row0);
    return a.part == a.n_part - 1 ? n_query + 2 * tokens_of<ONE>(j) : n_query;
}

template <int DIM, bool ONE>
static __device__ __forceinline__ struct vector_place vector_at(const struct attend_job &j,
                                                                const struct attend_item &a, int i)
{
    int n_query = min(item_rows(ONE), j.n_row - a.row0), n_kv = j.n_kv_head.by, group = j.group.by;
    struct vector_place at;
    if (i < n_query) {
        int row = a.row0 + i;
        at.kind = A_QUERY, at.row = i, at.token = token_of_row<ONE>(row, group);
        at.gain = j.q_norm;
        at.from = j.q + (unsigned)((at.token * j.n_head + a.kv * group + row) * DIM);
    } else {
        i -= n_query;
        at.kind = i < tokens_of<ONE>(j) ? A_KEY : A_VALUE;
        at.row = at.token = at.kind == A_KEY ? i : i - tokens_of<ONE>(j);
        at.gain = at.kind == A_KEY ? j.k_norm : nullptr;
        at.from = (at.kind == A_KEY ? j.k : j.v) + (unsigned)((at.token * n_kv + a.kv) * DIM);
    }
    return at;
}

// Where the low half of a query row is.
template <int DIM, bool ONE>
static __device__ __forceinline__ auto &low_half(struct few_shared<DIM> &sh, int row)
{
    return rows_as(ONE) == STACKED ? sh.q[0][row + ROWS / 2] : sh.q[1][row];
}

// A vector of a call with a cache in e4m3.
template <int DIM, bool ONE>
static __device__ __forceinline__ void
put_codes(struct few_shared<DIM> &sh, const struct attend_job &j, const struct attend_item &a,
          const struct vector_place &at, const struct head_vector<DIM> &h, int lane)
{
    constexpr int n = DIM / 32;
    struct code_shared<DIM> &codes = codes_of<DIM>(sh);
    unsigned largest = 0;
#pragma unroll
    for (int i = 0; i < n; i++) largest = max(largest, size_bits(h.x[i]));
    largest = __reduce_max_sync(~0u, largest);
    if (at.kind == A_QUERY) {
        unsigned exponent = min(max(largest >> 23, 1u), 253u);
        float by = power_of(254 - exponent);
#pragma unroll
        for (int i = 0; i < n; i += 2) {
            int column = code_column(lane * n + i);
            unsigned hi = pack_f16(h.x[i] * by, h.x[i + 1] * by);
            *(unsigned *)&sh.q[0][at.row][column] = hi;
            *(unsigned *)&low_half<DIM, ONE>(sh, at.row)[column] =
                pack_f16_rest(h.x[i] * by, h.x[i + 1] * by, hi);
        }
        if (lane == 0) codes.unit[at.row] = power_of(exponent);
        return;
    }
    int which = at.kind == A_VALUE;
    size_t row = (unsigned)(a.pos + at.token);
    unsigned char *near = code_piece<DIM>(codes.code[which], at.row, lane * n / 16) + lane * n % 16,
                  *far = (unsigned char *)(which ? j.cache.v : j.cache.k) + a.base + row * DIM +
                         lane * n,
                  *scale = (which ? j.cache.v_scale : j.cache.k_scale) +
                           scales_before(j.cache, (size_t)a.kv) + row;
    unsigned two = code_pair(h.x[0], h.x[1], largest);
    if constexpr (n == 4) {
        unsigned four = two | code_pair(h.x[2], h.x[3], largest) << 16;
        *(unsigned *)near = four;
        if (!a.row0) *(unsigned *)far = four;
    } else {
        *(unsigned short *)near = (unsigned short)two;
        if (!a.row0) *(unsigned short *)far = (unsigned short)two;
    }
    if (lane) return;
    codes.scale[which][at.row] = (unsigned char)code_scale(largest);
    if (!a.row0) *scale = (unsigned char)code_scale(largest);
}

// And of one in bf16.
template <int DIM, bool ONE>
static __device__ __forceinline__ void
put_shorts(struct few_shared<DIM> &sh, const struct attend_job &j, const struct attend_item &a,
           const struct vector_place &at, const struct head_vector<DIM> &h, int lane)
{
    constexpr int n = DIM / 32;
    unsigned hi[n / 2], lo[n / 2];
#pragma unroll
    for (int i = 0; i < n / 2; i++) {
        hi[i] = pack(h.x[2 * i], h.x[2 * i + 1]);
        lo[i] = pack_rest(h.x[2 * i], h.x[2 * i + 1], hi[i]);
    }
    int c = lane * n;
    if (at.kind == A_QUERY) {
        store_near(&sh.q[0][at.row][c], hi);
        store_near(&low_half<DIM, ONE>(sh, at.row)[c], lo);
        return;
    }
    int which = at.kind == A_VALUE;
    store_near(piece_of<DIM>(sh.fresh[which], at.row, c / 8) + c % 8, hi);
    __nv_bfloat16 *cache = (__nv_bfloat16 *)(which ? j.cache.v : j.cache.k) + a.base +
                           (size_t)(unsigned)(a.pos + at.token) * DIM;
    if (!a.row0) store_near(cache + c, hi);
}

// A query to shared memory; a key or a value there and to the cache.
template <int DIM, bool CODES, bool ONE>
static __device__ __forceinline__ void
put_vector(struct few_shared<DIM> &sh, const struct attend_job &j, const struct attend_item &a,
           const struct vector_place &at, struct head_vector<DIM> &h, int lane)
{
    if (at.kind != A_VALUE) norm_and_turn<DIM>(h, at.gain, j.eps, lane);
    if constexpr (CODES)
        put_codes<DIM, ONE>(sh, j, a, at, h, lane);
    else
        put_shorts<DIM, ONE>(sh, j, a, at, h, lane);
}

// Tile `tile` of a taker's old keys (`which` 0) or values, and their scales, as load_tile does it.
template <int DIM>
static __device__ __forceinline__ void
load_codes(struct few_shared<DIM> &sh, const struct attend_job &j, const struct attend_item &a,
           int tile, int which, int turn, int warp, int lane)
{
    constexpr int pieces = DIM / 16;
    const unsigned char *from = (const unsigned char *)(which ? j.cache.v : j.cache.k),
                        *scales = which ? j.cache.v_scale : j.cache.k_scale;
    unsigned char *to = old_codes<DIM>(sh, warp, turn, which);
#pragma unroll
    for (int k = 0; k < KEYS * pieces / 32; k++) {
        int i = k * 32 + lane, row = i / pieces, piece = i % pieces;
        size_t at = a.base + (size_t)min(tile * KEYS + row, a.pos - 1) * DIM + piece * 16;
        copy_16(code_piece<DIM>(to, row, piece), from + at);
    }
    if (lane == 0)
        copy_16(codes_of<DIM>(sh).old_scale[warp][turn][which],
                scales + scales_before(j.cache, (size_t)a.kv) + tile * KEYS);
    copy_commit();
}

// Of a cache in e4m3: the first tiles, and zeros for values that nobody sees.
template <int DIM, bool ONE>
static __device__ __forceinline__ void begin_codes(struct few_shared<DIM> &sh,
                                                   const struct attend_job &j,
                                                   const struct attend_item &a, int warp, int lane)
{
    constexpr int pieces = DIM / 16;
#pragma unroll 1
    for (int turn = 0; turn < 2 && a.exists && warp < TAKERS; turn++)
#pragma unroll
        for (int which = 0; which < 2; which++)
            if (a.first + turn * TAKERS < a.end)
                load_codes<DIM>(sh, j, a, a.first + turn * TAKERS, which, turn, warp, lane);
            else
                copy_commit();
    if (a.part == a.n_part - 1)
        for (int i = tokens_of<ONE>(j) * pieces + warp * 32 + lane; i < KEYS * pieces;
             i += FEW_THREADS)
            *(uint4 *)code_piece<DIM>(codes_of<DIM>(sh).code[1], i / pieces, i % pieces) =
                make_uint4(0, 0, 0, 0);
}

// All tiles of a taker; the new keys and values are one more, if `last`.
template <int DIM, bool ONE>
static __device__ __forceinline__ void
take_codes(struct few_shared<DIM> &sh, const struct attend_job &j, const struct attend_item &a,
           struct query_rows<DIM> &rows, int last, int warp, int lane)
{
    struct code_shared<DIM> &codes = codes_of<DIM>(sh);
    int turn = 0;
    float unit[2] = {0, 0}, scale[2];
#pragma unroll
    for (int h = 0; h < 2; h++)
        scale[h] = codes.unit[lane / 4 + h * 8] * (1.44269504f * rsqrtf((float)DIM));
#pragma unroll 1
    for (int tile = a.first; warp < TAKERS; tile += TAKERS, turn ^= 1) {
        bool is_old = tile < a.end;
        if (!is_old && !last--) break;
        // Places of a lane are found anew for each tile: all of them would not fit the registers.
        asm volatile("" : "+r"(lane));
        unsigned char *from[2], *power[2];
#pragma unroll
        for (int i = 0; i < 2; i++) {
            from[i] = is_old ? old_codes<DIM>(sh, warp, turn, i) : codes.code[i];
            power[i] = is_old ? codes.old_scale[warp][turn][i] : codes.scale[i];
        }
        int key = is_old ? tile * KEYS : a.pos, next = tile + 2 * TAKERS;
        const struct seen_keys seen = seen_by_lane<ONE>(j, a, is_old, lane);
        float s[2][4] = {};
        copy_wait<3>(); // keys
        __syncwarp();
        score_codes<DIM, rows_as(ONE)>(s, sh.q, from[0], power[0], lane);
#pragma unroll
        for (int b = 0; b < 2; b++)
#pragma unroll
            for (int k = 0; k < 4; k++)
                s[b][k] = seen.has(key + b * 8 + lane % 4 * 2 + k % 2, k) ? s[b][k] * scale[k / 2]
                                                                          : -INFINITY;
        __syncwarp();
        if (next < a.end)
            load_codes<DIM>(sh, j, a, next, 0, turn, warp, lane);
        else
            copy_commit();
        copy_wait<3>(); // values
        __syncwarp();
        rows_take_codes<DIM, rows_as(ONE)>(rows, unit, s, from[1], power[1],
                                           (is_old ? a.pos : a.pos + tokens_of<ONE>(j)) - key,
                                           lane);
        __syncwarp();
        if (next < a.end)
            load_codes<DIM>(sh, j, a, next, 1, turn, warp, lane);
        else
            copy_commit();
    }
    if (rows_as(ONE) == STACKED) rows_join(rows);
#pragma unroll
    for (int i = 0; i < DIM / 8; i++)
#pragma unroll
        for (int k = 0; k < 4; k++) rows.acc[i][k] *= unit[k / 2];
}

// What need not wait for this step's products: the cache's old rows, the position, sinks, and what
// the first vector of the warp takes.
template <int DIM, bool CODES, bool ONE>
static __device__ __forceinline__ void
attend_begin(struct few_shared<DIM> &sh, const struct attend_job &j, const struct attend_item &a,
             struct vector_place &at, struct head_vector<DIM> &vector, int warp, int lane)
{
    if constexpr (CODES) {
        begin_codes<DIM, ONE>(sh, j, a, warp, lane);
    } else {
        if (a.exists && warp < TAKERS && a.first < a.end) {
            load_tile<DIM>(sh.ring[warp][0], j.cache.k, a.base, a.first, a.pos, lane);
            load_tile<DIM>(sh.ring[warp][1], j.cache.v, a.base, a.first, a.pos, lane);
        }
        // Values of keys that nobody sees are multiplied with 0, so they must be numbers.
        if (a.part == a.n_part - 1)
            for (int i = tokens_of<ONE>(j) * (DIM / 8) + warp * 32 + lane; i < KEYS * DIM / 8;
                 i += FEW_THREADS)
                ((uint4 *)sh.fresh[1])[i] = make_uint4(0, 0, 0, 0);
    }
    if (warp == 0 && lane < ROWS) {
        int row = min(a.row0 + lane, j.n_row - 1);
        if (!ONE) row -= quotient(row, j.group) * j.group.by; // of the group
        sh.sink[lane] = sink_of(j.sinks, a.kv * j.group.by + row);
    }
    if (!a.exists || warp >= vectors_of<ONE>(j, a)) return;
    at = vector_at<DIM, ONE>(j, a, warp);
    load_turn<DIM>(vector, at, j, lane);
}

// All tiles of a taker; the new keys and values are one more, if `last`.
template <int DIM, bool ONE>
static __device__ __forceinline__ void
take_tiles(struct few_shared<DIM> &sh, const struct attend_job &j, const struct attend_item &a,
           struct query_rows<DIM> &rows, int last, int warp, int lane)
{
#pragma unroll 1
    for (int tile = a.first; warp < TAKERS; tile += TAKERS) {
        bool is_old = tile < a.end;
        if (!is_old && !last--) break;
        __nv_bfloat16(*from)[KEYS * DIM] = is_old ? sh.ring[warp] : sh.fresh;
        int key = is_old ? tile * KEYS : a.pos, next = tile + TAKERS;
        const struct seen_keys seen = seen_by_lane<ONE>(j, a, is_old, lane);
        float s[2][4] = {};
        copy_wait<1>(); // keys
        __syncwarp();
        score_tile<DIM, rows_as(ONE)>(s, sh, from[0], key, seen, lane);
        __syncwarp();
        if (next < a.end)
            load_tile<DIM>(from[0], j.cache.k, a.base, next, a.pos, lane);
        else
            copy_commit();
        copy_wait<1>(); // values
        __syncwarp();
        rows_take<DIM, DIM, rows_as(ONE)>(rows, s, from[1], 0, lane);
        __syncwarp();
        if (next < a.end)
            load_tile<DIM>(from[1], j.cache.v, a.base, next, a.pos, lane);
        else
            copy_commit();
    }
    if (rows_as(ONE) == STACKED) rows_join(rows);
}

template <int KIND, int DIM, bool CODES, bool ONE>
static __device__ __forceinline__ void
attend_end(struct few_shared<DIM> &sh, const struct attend_job &j, const struct attend_item &a,
           struct vector_place &at, struct head_vector<DIM> &vector, int warp, int lane)
{
    bool is_last = a.part == a.n_part - 1;
    int thread = warp * 32 + lane, n_vector = vectors_of<ONE>(j, a);
    if (!a.exists) return;
    if (warp < n_vector) load_vector<DIM>(vector, at, lane);
#pragma unroll 1
    for (int i = warp; i < n_vector;) {
        struct vector_place at_next = at; // asked for and awaited together with this one
        struct head_vector<DIM> next = vector;
        i += FEW_WARPS;
        if (i < n_vector) {
            at_next = vector_at<DIM, ONE>(j, a, i);
            load_turn<DIM>(next, at_next, j, lane);
            load_vector<DIM>(next, at_next, lane);
        }
        await_vectors<DIM>(vector, at, next, at_next, j.want, lane);
        put_vector<DIM, CODES, ONE>(sh, j, a, at, vector, lane);
        at = at_next, vector = next;
    }
    few_sync();

    struct query_rows<DIM> rows;
    rows_start(rows);
    // The new keys and values are one tile more. It falls to the taker that has the fewest.
    int last = is_last && warp == (a.end - (a.first - warp)) % TAKERS;
    if constexpr (CODES)
        take_codes<DIM, ONE>(sh, j, a, rows, last, warp, lane);
    else
        take_tiles<DIM, ONE>(sh, j, a, rows, last, warp, lane);
    copy_wait<0>();
    int n_kv = j.cache.n_kv_head, id = a.row0 / item_rows(ONE) * n_kv + a.kv;
    constexpr size_t part_size = ROWS * (DIM + 2);
    float *parts = j.parts + (size_t)id * j.n_part_max.by * part_size;
    join_warps<KIND, DIM, CODES, ONE>(sh, j, rows,
                                      a.n_part > 1 ? parts + (size_t)a.part * part_size : nullptr,
                                      a.kv, a.row0, warp, lane);
    if (a.n_part > 1) {
        few_sync();
        if (thread == 0) sh.arrived = arrive_of(j.counters + id, (unsigned)a.n_part);
        few_sync();
        if (sh.arrived == (unsigned)a.n_part - 1)
            join_parts<KIND, DIM, ONE>(sh, j, parts, a.n_part, a.kv, a.row0, thread);
    }
    few_sync(); // the next item may use the memory
}
