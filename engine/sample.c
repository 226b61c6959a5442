// Greedy looks for the largest logit, the lowest id among equals. Otherwise the allowed tokens form
// a heap, largest first, and are taken off it in order until top-k, min-p or top-p says enough; the
// heap costs one pass, and each token taken a few steps, so a small nucleus of a large vocabulary
// is cheap. What was taken lies in order at the end of the same array. With a small top-k only the
// k best so far are kept in the pass: most tokens then cost one comparison.
//
// top-p is measured against the mass of what top-k left, as in the usual implementations, where
// each filter renormalises for the next.
#include "engine/sample.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>

enum { TOP_K_SMALL = 1024 };

// The allowed ids among the 64 from 64 * word on, as bits. Masks are walked word by word, so that
// what is not allowed costs nothing: half of all masks hold few tokens.
static uint64_t allowed(const uint64_t *mask, int word, int n)
{
    uint64_t bits = mask ? mask[word] : UINT64_MAX;
    int left = n - word * 64;
    return left < 64 ? bits & ((1ull << left) - 1) : bits;
}

// NaN must not win or poison a sum: it counts as impossible.
static float clean(float x)
{
    return x == x ? x : -INFINITY;
}

static int32_t sample_greedy(const float *logits, int n, const uint64_t *mask)
{
    int32_t best = -1;
    float best_logit = -INFINITY;
    for (int w = 0; w * 64 < n; w++)
        for (uint64_t bits = allowed(mask, w, n); bits; bits &= bits - 1) {
            int i = w * 64 + __builtin_ctzll(bits);
            float x = clean(logits[i]);
            if (best >= 0 && x <= best_logit) continue;
            best = i;
            best_logit = x;
        }
    return best;
}

// In drawing order: larger logit first, then lower id.
static bool before(struct candidate a, struct candidate b)
{
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

static void sift_down(struct candidate *heap, int n, int i)
{
    struct candidate x = heap[i];
    for (int child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && before(heap[child + 1], heap[child])) child++;
        if (before(x, heap[child])) break;
        heap[i] = heap[child];
    }
    heap[i] = x;
}

// Moves the first of the heap behind its shrunken end, where it is the lowest of those taken.
static struct candidate take_first(struct candidate *heap, int *n)
{
    struct candidate first = heap[0];
    heap[0] = heap[--*n];
    if (*n) sift_down(heap, *n, 0);
    heap[*n] = first;
    return first;
}

// The other way round: the last in drawing order on top.
static void sift_last(struct candidate *heap, int n, int i)
{
    struct candidate x = heap[i];
    for (int child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && before(heap[child], heap[child + 1])) child++;
        if (before(heap[child], x)) break;
        heap[i] = heap[child];
    }
    heap[i] = x;
}

// The k first in drawing order of those allowed, in any order; or all, where k is 0 or too large to
// be worth it.
static int gather(const float *logits, int n_usable, const uint64_t *mask, float temperature, int k,
                  struct candidate *room)
{
    int n = 0, most = k > 0 && k <= TOP_K_SMALL ? k : n_usable;
    for (int w = 0; w * 64 < n_usable; w++)
        for (uint64_t bits = allowed(mask, w, n_usable); bits; bits &= bits - 1) {
            int i = w * 64 + __builtin_ctzll(bits);
            struct candidate c = {clean(logits[i]) / temperature, i};
            if (n < most) {
                room[n++] = c;
                if (n == most && most < n_usable)
                    for (int at = n / 2 - 1; at >= 0; at--) sift_last(room, n, at);
            } else if (before(c, room[0])) {
                room[0] = c;
                sift_last(room, n, 0);
            }
        }
    return n;
}

int32_t sample_token(const float *logits, int n_usable, const uint64_t *mask,
                     const struct sample_options *o, rng *r, struct candidate *room)
{
    if (o->temperature <= 0) return sample_greedy(logits, n_usable, mask);

    int n = gather(logits, n_usable, mask, o->temperature, o->top_k, room);
    if (n == 0) return -1;
    for (int i = n / 2 - 1; i >= 0; i--) sift_down(room, n, i);
    float largest = room[0].logit;
    if (!isfinite(largest)) return room[0].id;

    // top-k: the k first, or all. Their mass is needed before top-p can cut.
    int n_all = n, n_keep = o->top_k > 0 && o->top_k < n ? o->top_k : n;
    bool cut = o->top_p > 0 && o->top_p < 1;
    double mass = 0;
    if (n_keep < n_all) {
        while (n > n_all - n_keep)
            mass += exp((double)take_first(room, &n).logit - (double)largest);
    } else {
        for (int i = 0; i < n; i++) mass += exp((double)room[i].logit - (double)largest);
    }

    // Now in order: position i of the order is room[n_all - 1 - i], taken off the heap on demand.
    int n_left = 0;
    double kept = 0, limit = cut ? (double)o->top_p * mass : INFINITY;
    double least = o->min_p > 0 ? log((double)o->min_p) : -INFINITY;
    while (n_left < n_keep && kept < limit) {
        if (n > n_all - 1 - n_left) take_first(room, &n);
        double log_ratio = (double)room[n_all - 1 - n_left].logit - (double)largest;
        if (log_ratio < least) break;
        kept += exp(log_ratio);
        n_left++;
    }

    double at = rng_unit(r) * kept;
    for (int i = 0; i < n_left; i++) {
        struct candidate c = room[n_all - 1 - i];
        at -= exp((double)c.logit - (double)largest);
        if (at < 0) return c.id;
    }
    return room[n_all - n_left].id; // rounding left a crumb: the last one kept
}
