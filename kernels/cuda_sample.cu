// The choice of a token, on the GPU: only its index returns. Bound by reading a row of logits (600
// KB for 152,000 of them, which lie in the second-level cache) and by blocks waiting for each
// other.
//
// The largest is one pass: a logit and its index make one number (the key of sample.h), so the
// order in which blocks arrive does not matter.
//
// A draw asks up to three questions of one kind: where, in drawing order, does a sum first reach a
// bound? The sum is of ones (top-k) or of weights (top-p, the draw itself). Nothing is sorted for
// them but few:
//
//   1  the largest logit, from which distances are measured
//   2  weights and numbers by distance, in 2048 bins of 1/64, which say in which bin an answer is
//   3  where that bin, with all before it if they are few, holds up to 1024 logits, they are
//      listed, and every block sorts the list for itself; what the list covers answers the next
//      questions, too. A bin with more of them is divided again, by bits of the place in order.
//
// All blocks meet after each step, and what they gathered leads all of them to the same next one,
// because sums are whole numbers. They can meet, because all of them are on the GPU at the same
// time: there is at most one for each multiprocessor, and what was launched before ends without
// them. Usually a draw is three meetings. What a step gathers is in one of three rooms: one is
// being filled, the one before it still being read, and the one after it cleared.
#include "kernels/cuda.h"
#include "kernels/sample.h"

#include <cassert>

#ifdef HEARTH_EMULATED
enum { THREADS = 64 }; // fibers are slow
#else
enum { THREADS = 512 };
#endif

enum {
    WARPS = THREADS / 32,
    BLOCKS_MAX = 64,
    DIGIT = 11, // bits that a step decides
    BINS = 1 << DIGIT,
    BINS_OF_THREAD = BINS / THREADS,
    LIST = 1024,
    LISTED_OF_THREAD = LIST / THREADS,
    INDEX_BITS = 22,
    PLACE_BITS = 32 + INDEX_BITS,
    ROOMS = 3
};

// After which a block that waits for the others gives up.
constexpr long long PATIENCE_NS = 20000000000ll;

static_assert(K_SAMPLE_MAX == 1 << INDEX_BITS, "an index fits a place");
static_assert((PLACE_BITS - 4 * DIGIT) <= 10, "after four digits what is left fits the list");

typedef unsigned long long word64;

struct sample_room {
    word64 weight[BINS];
    word64 near; // weights that min-p keeps
    unsigned count[BINS];
    unsigned n_listed, unused;
    word64 list[LIST]; // not cleared
};
enum { ROOM_WORDS = offsetof(struct sample_room, list) / sizeof(word64) };
static_assert(offsetof(struct sample_room, list) % sizeof(word64) == 0, "whole words are cleared");

// `best`, `arrived` and `done` are zero between launches.
struct sample_state {
    word64 best; // ~key of the first in order; 0: none
    unsigned arrived, done;
    struct sample_room rooms[ROOMS];
};

struct sample_job {
    const float *x;
    const unsigned *mask; // or NULL
    int n;
    struct sample_rule rule;
    struct sample_state *state;
    word64 *result; // mapped host memory: index + 1, or 0
};

static __device__ __forceinline__ bool is_allowed(const unsigned *mask, unsigned i)
{
    return !mask || mask[i / 32] >> i % 32 & 1;
}

// ~key of the first of the block's own, in the first lane of each warp.
static __device__ __forceinline__ word64 best_of(const float *x, unsigned n, const unsigned *mask)
{
    word64 best = 0;
    for (unsigned i = blockIdx.x * THREADS + threadIdx.x; i < n; i += gridDim.x * THREADS)
        if (is_allowed(mask, i)) best = max(best, ~(word64)sample_key(x[i], i));
#pragma unroll
    for (int i = 16; i; i /= 2) best = max(best, __shfl_xor_sync(~0u, best, i));
    return best;
}

// The last block to arrive hands the result to the host and leaves the device as it was found.
__global__ void argmax_kernel(struct sample_job job)
{
    struct sample_state *s = job.state;
    early_wait();
    word64 best = best_of(job.x, (unsigned)job.n, job.mask);
    if (threadIdx.x % 32 == 0 && best) atomicMax(&s->best, best);
    __threadfence();
    __syncthreads();
    if (threadIdx.x || atomicAdd(&s->done, 1u) + 1 < gridDim.x) return;
    __threadfence();
    best = __ldcg(&s->best);
    *job.result = best ? (word64)(unsigned)~best + 1 : 0;
    s->best = 0;
    s->done = 0;
}

// A draw

// A thread's part of the sums by bins, and what lies before it.
struct bins {
    word64 weight[BINS_OF_THREAD], weight_before;
    unsigned count[BINS_OF_THREAD], count_before;
};

// Where a sum reaches its bound: the bin, and what lies before it and in it.
struct crossing {
    unsigned bin;
    word64 weight_before, weight;
    unsigned count_before, count;
};

// Logits that a step looks at: by distance, and by the digits of the place decided so far.
struct window {
    unsigned bin_low, bin_high;
    int shift; // of the bits of a place that are not decided
    word64 digits;
};

struct block_room {
    unsigned low[BINS], high[BINS], count[BINS]; // of the block's own: sums of weights, in halves
    word64 list[LIST];                           // places in order
    word64 sum[LIST];                            // weights through each
    word64 warp_weight[WARPS];
    unsigned warp_count[WARPS];
    word64 total_weight;
    unsigned total_count;
    struct crossing at;
    word64 answer_weight; // of select: the sum through the one that reaches the bound
    unsigned answer_index;
};

struct drawing {
    const struct sample_job *job;
    struct block_room *room;
    unsigned n_met; // meetings so far
    word64 first;   // key
    // What the list covers: weights and numbers before it, and its own.
    word64 list_weight_before, list_weight;
    unsigned list_count_before, list_count;
};

static __device__ __forceinline__ struct sample_room *room_of(const struct drawing *d,
                                                              unsigned ahead)
{
    return &d->job->state->rooms[(d->n_met + ahead) % ROOMS];
}

// What each block did is seen by all; the room of the next step is empty.
static __device__ void meet(struct drawing *d)
{
    struct sample_state *s = d->job->state;
    word64 *next = (word64 *)room_of(d, 1);
    for (unsigned i = blockIdx.x * THREADS + threadIdx.x; i < ROOM_WORDS; i += gridDim.x * THREADS)
        next[i] = 0;
    d->n_met++;
    __syncthreads();
    if (threadIdx.x == 0) {
        long long start = 0;
        add_release(&s->arrived);
        for (unsigned tries = 1; load_acquire(&s->arrived) < d->n_met * gridDim.x; tries++) {
            if (tries % 4096) continue;
            if (!start) start = nanoseconds();
            if (nanoseconds() - start > PATIENCE_NS) give_up();
        }
    }
    __syncthreads();
}

// Calls visit(place, bin of the distance, weight, distance) for what is allowed, has a weight and
// is in the window. Places count from the first in order.
template <typename Visit>
static __device__ __forceinline__ void each(const struct drawing *d, struct window w, Visit visit)
{
    const struct sample_job *job = d->job;
    float largest = sample_logit(d->first), temperature = job->rule.temperature;
    unsigned n = (unsigned)job->n;
    for (unsigned i = blockIdx.x * THREADS + threadIdx.x; i < n; i += gridDim.x * THREADS) {
        if (!is_allowed(job->mask, i)) continue;
        word64 key = sample_key(job->x[i], i);
        word64 place = ((key >> 32) - (d->first >> 32)) << INDEX_BITS | i;
        float distance = sample_distance(largest, sample_logit(key), temperature);
        unsigned steps = sample_steps(distance), bin = steps >> (32 - DIGIT);
        word64 weight = sample_weight(steps);
        if (weight && bin >= w.bin_low && bin <= w.bin_high && place >> w.shift == w.digits)
            visit(place, bin, weight, distance);
    }
}

static __device__ __forceinline__ word64 weight_at(const struct drawing *d, word64 place)
{
    float x = sample_logit(((place >> INDEX_BITS) + (d->first >> 32)) << 32);
    float distance = sample_distance(sample_logit(d->first), x, d->job->rule.temperature);
    return sample_weight(sample_steps(distance));
}

static __device__ __forceinline__ void bins_clear(struct block_room *r)
{
    for (unsigned i = threadIdx.x; i < BINS; i += THREADS) r->low[i] = r->high[i] = r->count[i] = 0;
    __syncthreads();
}

// Shared memory adds 32 bits at once: a carry is what the lower half tells.
static __device__ __forceinline__ void bins_add(struct block_room *r, unsigned bin, word64 weight)
{
    unsigned low = (unsigned)weight, before = atomicAdd(&r->low[bin], low);
    unsigned high = (unsigned)(weight >> 32) + (before + low < before);
    if (high) atomicAdd(&r->high[bin], high);
    atomicAdd(&r->count[bin], 1u);
}

static __device__ __forceinline__ void bins_send(const struct block_room *r, struct sample_room *to)
{
    __syncthreads();
    for (unsigned i = threadIdx.x; i < BINS; i += THREADS) {
        if (!r->count[i]) continue;
        atomicAdd(&to->weight[i], (word64)r->high[i] << 32 | r->low[i]);
        atomicAdd(&to->count[i], r->count[i]);
    }
}

// What the threads before this one have, and all together in the room's totals.
static __device__ void sums_before(struct block_room *r, word64 *weight, unsigned *count)
{
    word64 own_weight = *weight;
    unsigned own_count = *count, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
    for (unsigned i = 1; i < 32; i *= 2) {
        word64 w = __shfl_up_sync(~0u, *weight, i);
        unsigned c = __shfl_up_sync(~0u, *count, i);
        if (lane >= i) *weight += w, *count += c;
    }
    if (lane == 31) r->warp_weight[warp] = *weight, r->warp_count[warp] = *count;
    __syncthreads();
    for (unsigned i = 0; i < warp; i++) *weight += r->warp_weight[i], *count += r->warp_count[i];
    if (threadIdx.x == THREADS - 1) r->total_weight = *weight, r->total_count = *count;
    *weight -= own_weight, *count -= own_count;
    __syncthreads();
}

static __device__ struct bins bins_get(struct block_room *r, const struct sample_room *from)
{
    struct bins b;
    word64 weight = 0;
    unsigned count = 0;
#pragma unroll
    for (unsigned i = 0; i < BINS_OF_THREAD; i++) {
        b.weight[i] = __ldcg(&from->weight[threadIdx.x * BINS_OF_THREAD + i]);
        b.count[i] = __ldcg(&from->count[threadIdx.x * BINS_OF_THREAD + i]);
        weight += b.weight[i], count += b.count[i];
    }
    sums_before(r, &weight, &count);
    b.weight_before = weight, b.count_before = count;
    return b;
}

// One thread finds it.
static __device__ struct crossing find(struct block_room *r, const struct bins *b, bool by_count,
                                       word64 bound)
{
    word64 weight = b->weight_before;
    unsigned count = b->count_before;
#pragma unroll
    for (unsigned i = 0; i < BINS_OF_THREAD; i++) {
        word64 before = by_count ? count : weight, own = by_count ? b->count[i] : b->weight[i];
        if (before < bound && bound <= before + own)
            r->at = {threadIdx.x * BINS_OF_THREAD + i, weight, b->weight[i], count, b->count[i]};
        weight += b->weight[i], count += b->count[i];
    }
    __syncthreads();
    struct crossing at = r->at;
    __syncthreads();
    return at;
}

// Lists the window and sorts the list; `before` is what the window does not hold of what is first.
static __device__ void take_list(struct drawing *d, struct window w, word64 weight_before,
                                 unsigned count_before)
{
    struct sample_room *from = room_of(d, 0);
    struct block_room *r = d->room;
    each(d, w, [&](word64 place, unsigned, word64, float) {
        from->list[atomicAdd(&from->n_listed, 1u)] = place;
    });
    meet(d);
    unsigned n = __ldcg(&from->n_listed), n_sorted = 2;
    while (n_sorted < n) n_sorted *= 2;
    for (unsigned i = threadIdx.x; i < LIST; i += THREADS)
        r->list[i] = i < n ? __ldcg(&from->list[i]) : ~0ull;
    __syncthreads();
    // Runs of `size` in order, rising and falling in turn, become runs of twice that.
    for (unsigned size = 2; size <= n_sorted; size *= 2)
        for (unsigned stride = size / 2; stride; stride /= 2) {
            for (unsigned t = threadIdx.x; t < n_sorted / 2; t += THREADS) {
                unsigned i = 2 * t - (t & (stride - 1));
                word64 p = r->list[i], q = r->list[i + stride];
                if ((p > q) == !(i & size)) r->list[i] = q, r->list[i + stride] = p;
            }
            __syncthreads();
        }
    word64 own[LISTED_OF_THREAD], weight = 0;
    unsigned count = 0;
#pragma unroll
    for (unsigned i = 0; i < LISTED_OF_THREAD; i++) {
        unsigned at = threadIdx.x * LISTED_OF_THREAD + i;
        own[i] = at < n ? weight_at(d, r->list[at]) : 0;
        weight += own[i], count += at < n;
    }
    sums_before(r, &weight, &count);
    weight += weight_before;
#pragma unroll
    for (unsigned i = 0; i < LISTED_OF_THREAD; i++) {
        weight += own[i];
        r->sum[threadIdx.x * LISTED_OF_THREAD + i] = weight;
    }
    __syncthreads();
    d->list_weight_before = weight_before, d->list_weight = r->total_weight;
    d->list_count_before = count_before, d->list_count = n;
}

static __device__ __forceinline__ bool list_covers(const struct drawing *d, bool by_count,
                                                   word64 bound)
{
    word64 before = by_count ? d->list_count_before : d->list_weight_before;
    return before < bound && bound <= before + (by_count ? d->list_count : d->list_weight);
}

// Makes a list that covers the bound. `all` are the bins by distance.
static __device__ void list_bound(struct drawing *d, const struct bins *all, bool by_count,
                                  word64 bound)
{
    struct block_room *r = d->room;
    struct crossing at = find(r, all, by_count, bound);
    struct window w = {at.bin, at.bin, PLACE_BITS, 0};
    if (at.count_before + at.count <= LIST) w.bin_low = 0, at.weight_before = at.count_before = 0;
    for (int shift = PLACE_BITS - DIGIT; at.count > LIST; shift -= DIGIT) {
        bins_clear(r);
        each(d, w, [&](word64 place, unsigned, word64 weight, float) {
            bins_add(r, (unsigned)(place >> shift) % BINS, weight);
        });
        bins_send(r, room_of(d, 0));
        struct sample_room *from = room_of(d, 0);
        meet(d);
        struct bins parts = bins_get(r, from);
        parts.weight_before += at.weight_before, parts.count_before += at.count_before;
        at = find(r, &parts, by_count, bound);
        w.shift = shift;
        w.digits = w.digits << DIGIT | at.bin;
    }
    take_list(d, w, at.weight_before, at.count_before);
}

// Where the sum of weights, or of ones, in drawing order first reaches the bound, which is from 1
// to all there is: the index, and in *mass the sum of weights through it.
static __device__ unsigned select_bound(struct drawing *d, const struct bins *all, bool by_count,
                                        word64 bound, word64 *mass)
{
    struct block_room *r = d->room;
    if (!list_covers(d, by_count, bound)) list_bound(d, all, by_count, bound);
    for (unsigned i = threadIdx.x; i < d->list_count; i += THREADS) {
        word64 before = i ? r->sum[i - 1] : d->list_weight_before;
        bool here =
            by_count ? d->list_count_before + i + 1 == bound : before < bound && bound <= r->sum[i];
        if (here) r->answer_weight = r->sum[i], r->answer_index = (unsigned)r->list[i];
    }
    __syncthreads();
    unsigned index = r->answer_index % K_SAMPLE_MAX;
    *mass = r->answer_weight;
    __syncthreads();
    return index;
}

// Bins by distance, and the sum of weights that min-p keeps.
static __device__ struct bins measure(struct drawing *d, word64 *near)
{
    struct block_room *r = d->room;
    struct sample_room *to = room_of(d, 0);
    const struct window everything = {0, BINS - 1, PLACE_BITS, 0};
    float far_off = d->job->rule.far_off;
    word64 own = 0;
    bins_clear(r);
    each(d, everything, [&](word64, unsigned bin, word64 weight, float distance) {
        bins_add(r, bin, weight);
        if (!(distance > far_off)) own += weight;
    });
    bins_send(r, to);
#pragma unroll
    for (int i = 16; i; i /= 2) own += __shfl_xor_sync(~0u, own, i);
    if (threadIdx.x % 32 == 0 && own) atomicAdd(&to->near, own);
    meet(d);
    *near = __ldcg(&to->near);
    return bins_get(r, to);
}

// The questions in turn. One after another in one place: three copies of the code would have to
// come from memory, which takes longer than to run them.
static __device__ unsigned draw(struct drawing *d)
{
    enum { TOP_K, TOP_P, DRAW };
    const struct sample_rule *rule = &d->job->rule;
    word64 near, nucleus = ~0ull, through;
    unsigned index = 0;
    struct bins all = measure(d, &near);
    word64 mass = d->room->total_weight;
    bool cuts_number = rule->top_k < d->room->total_count;
#pragma unroll 1
    for (int question = TOP_K; question <= DRAW; question++) {
        if (question == TOP_K && !cuts_number) continue;
        if (question == TOP_P && !rule->top_p) continue;
        word64 kept = min(min(mass, near), nucleus);
        word64 bound = question == TOP_K   ? rule->top_k
                       : question == TOP_P ? sample_limit(mass, rule->top_p)
                                           : sample_target(kept, rule->word) + 1;
        index = select_bound(d, &all, question == TOP_K, bound, &through);
        if (question == TOP_K) mass = through;
        if (question == TOP_P) nucleus = through;
    }
    return index;
}

__global__ void __launch_bounds__(THREADS) sample_kernel(struct sample_job job)
{
    __shared__ struct block_room room;
    struct sample_state *s = job.state;
    struct drawing d = {&job, &room, 0, 0, 0, 0, 0, 0};
    word64 result = 0;
    early_wait();
    word64 best = best_of(job.x, (unsigned)job.n, job.mask);
    if (threadIdx.x % 32 == 0 && best) atomicMax(&s->best, best);
    meet(&d);
    best = __ldcg(&s->best);
    d.first = ~best;
    if (best)
        result = 1 + (isinf(sample_logit(d.first)) ? (word64)(unsigned)d.first : (word64)draw(&d));
    __syncthreads();
    if (threadIdx.x) return;
    if (blockIdx.x == 0) *job.result = result;
    if (atomicAdd(&s->done, 1u) + 1 < gridDim.x) return;
    s->best = 0; // everybody has left the last meeting
    s->arrived = s->done = 0;
}

bool cuda_sample_open(k_device *d)
{
    void *state = NULL;
    bool ok = cuda_check(d, cudaMalloc(&state, sizeof *d->sample), "scratch") &&
              cuda_check(d, cudaMemset(state, 0, sizeof *d->sample), "scratch") &&
              cuda_check(d, cudaMallocHost((void **)&d->sample_result, sizeof *d->sample_result),
                         "scratch");
    d->sample = (struct sample_state *)state;
    return ok;
}

void cuda_sample_close(k_device *d)
{
    cudaFree(d->sample);
    cudaFree(d->sample_mask);
    cudaFreeHost(d->sample_result);
}

// The device's copy of a mask; NULL after a failure.
static const unsigned *send_mask(k_device *d, int n, const uint64_t *mask)
{
    size_t n_bytes = ((size_t)n + 63) / 64 * 8;
    if (n_bytes > d->sample_mask_n) {
        cudaFree(d->sample_mask);
        d->sample_mask = NULL;
        d->sample_mask_n = 0;
        if (!cuda_check(d, cudaMalloc(&d->sample_mask, n_bytes), "mask")) return NULL;
        d->sample_mask_n = n_bytes;
    }
    bool ok = cuda_check(
        d, cudaMemcpyAsync(d->sample_mask, mask, n_bytes, cudaMemcpyHostToDevice, d->stream),
        "mask");
    return ok ? (const unsigned *)d->sample_mask : NULL;
}

static int32_t choose(k_device *d, const char *what, void (*kernel)(struct sample_job),
                      struct sample_job job, const uint64_t *mask)
{
    assert(job.n > 0 && job.n <= K_SAMPLE_MAX);
    if (mask && !(job.mask = send_mask(d, job.n, mask))) return -1;
    int n_block = (job.n + THREADS - 1) / THREADS,
        most = d->n_sm < BLOCKS_MAX ? d->n_sm : BLOCKS_MAX;
    *d->sample_result = 0;
    job.state = d->sample, job.result = d->sample_result;
    cuda_launch_early(d, what, kernel, dim3((unsigned)(n_block < most ? n_block : most)), THREADS,
                      0, job);
    if (!cuda_check(d, cudaStreamSynchronize(d->stream), what)) return -1;
    return (int32_t)*d->sample_result - 1;
}

int32_t cuda_argmax(k_device *d, const float *x, int n, const uint64_t *mask)
{
    struct sample_job job = {x, NULL, n, {}, NULL, NULL};
    return choose(d, "argmax", argmax_kernel, job, mask);
}

int32_t cuda_sample(k_device *d, const float *x, int n, const uint64_t *mask,
                    const struct k_sampling *how, uint64_t *)
{
    struct sample_job job = {x, NULL, n, sample_rule(how), NULL, NULL};
    if (!(how->temperature > 0)) return cuda_argmax(d, x, n, mask);
    return choose(d, "sample", sample_kernel, job, mask);
}
