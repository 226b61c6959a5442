// Drawing an index on a CPU. The allowed ones form a heap, first in order on top, and are taken off
// it until enough is known; the heap costs one pass, and each one taken a few steps, so a small
// nucleus of a large vocabulary is cheap. What was taken lies in order at the end of the same
// array. With a small top-k only the k first so far are kept in the pass: most then cost one
// comparison.
#include "kernels/cpu_table.h"
#include "kernels/sample.h"

#include <math.h>

enum { TOP_K_SMALL = 1024 };

// Keys room[0..n_heap) are the heap; the i-th in order, once taken, is room[n - 1 - i].
struct order {
    uint64_t *room;
    int n, n_heap;
    float largest, temperature;
};

static void sift_down(uint64_t *heap, int n, int i)
{
    uint64_t x = heap[i];
    for (int child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && heap[child + 1] < heap[child]) child++;
        if (x < heap[child]) break;
        heap[i] = heap[child];
    }
    heap[i] = x;
}

// The other way round: the last in order on top.
static void sift_last(uint64_t *heap, int n, int i)
{
    uint64_t x = heap[i];
    for (int child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && heap[child + 1] > heap[child]) child++;
        if (x > heap[child]) break;
        heap[i] = heap[child];
    }
    heap[i] = x;
}

// The allowed indices among the 64 from 64 * word on, as bits. Masks are walked word by word, so
// that what is not allowed costs nothing: half of all masks hold few tokens.
static uint64_t allowed(const uint64_t *mask, int word, int n)
{
    uint64_t bits = mask ? mask[word] : UINT64_MAX;
    int left = n - word * 64;
    return left < 64 ? bits & ((1ull << left) - 1) : bits;
}

// The k first in order of those allowed, in any order; or all, where k is too large to be worth it.
static int gather(const float *x, int n, const uint64_t *mask, uint32_t k, uint64_t *room)
{
    int n_found = 0, most = k <= TOP_K_SMALL ? (int)k : n;
    for (int w = 0; w * 64 < n; w++)
        for (uint64_t bits = allowed(mask, w, n); bits; bits &= bits - 1) {
            int i = w * 64 + __builtin_ctzll(bits);
            uint64_t key = sample_key(x[i], (uint32_t)i);
            if (n_found < most) {
                room[n_found++] = key;
                if (n_found == most && most < n)
                    for (int at = n_found / 2 - 1; at >= 0; at--) sift_last(room, n_found, at);
            } else if (key < room[0]) {
                room[0] = key;
                sift_last(room, n_found, 0);
            }
        }
    return n_found;
}

static float distance_of(const struct order *o, uint64_t key)
{
    return sample_distance(o->largest, sample_logit(key), o->temperature);
}

static uint64_t weight_of(const struct order *o, uint64_t key)
{
    return sample_weight(sample_steps(distance_of(o, key)));
}

// The i-th in order; what is taken off the heap goes behind its shrunken end.
static uint64_t take(struct order *o, int i)
{
    while (o->n - o->n_heap <= i) {
        uint64_t first = o->room[0];
        o->room[0] = o->room[--o->n_heap];
        if (o->n_heap) sift_down(o->room, o->n_heap, 0);
        o->room[o->n_heap] = first;
    }
    return o->room[o->n - 1 - i];
}

int32_t cpu_draw(const float *x, int n, const uint64_t *mask, const struct k_sampling *how,
                 uint64_t *room)
{
    const struct sample_rule rule = sample_rule(how);
    struct order o = {room, 0, 0, 0, rule.temperature};
    uint64_t mass = 0, near = 0, kept, sum = 0;
    assert(n <= K_SAMPLE_MAX);
    o.n = o.n_heap = gather(x, n, mask, rule.top_k, room);
    if (o.n == 0) return -1;
    for (int i = o.n / 2 - 1; i >= 0; i--) sift_down(room, o.n, i);
    o.largest = sample_logit(room[0]);
    if (isinf(o.largest)) return (int32_t)room[0];

    // The weights of what top-k leaves, and of those among them that min-p leaves.
    bool all = (uint32_t)o.n <= rule.top_k;
    for (int i = 0, n_kept = all ? o.n : (int)rule.top_k; i < n_kept; i++) {
        uint64_t key = all ? room[i] : take(&o, i), weight = weight_of(&o, key);
        mass += weight;
        if (!(distance_of(&o, key) > rule.far_off)) near += weight;
    }
    kept = near;
    if (rule.top_p) {
        uint64_t limit = sample_limit(mass, rule.top_p), nucleus = 0;
        for (int i = 0; nucleus < limit && nucleus < near; i++)
            nucleus += weight_of(&o, take(&o, i));
        if (nucleus < kept) kept = nucleus;
    }
    uint64_t target = sample_target(kept, rule.word);
    for (int i = 0;; i++) {
        uint64_t key = take(&o, i);
        sum += weight_of(&o, key);
        if (sum > target) return (int32_t)key;
    }
}
