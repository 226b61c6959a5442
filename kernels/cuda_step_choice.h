// Decode steps (cuda_step.h): which experts the tokens of a step use.
#pragma once
#include "kernels/cuda_step_prepare.h"

// Bits of experts, a word of 32 after the other; how many come before an expert.
static __device__ __forceinline__ bool has_bit(const unsigned *bits, int e)
{
    return bits[e / 32] >> e % 32 & 1;
}

static __device__ __forceinline__ int bits_before(const unsigned *bits, int e)
{
    int n = __popc(bits[e / 32] & ((1u << e % 32) - 1));
#pragma unroll 1
    for (int i = 0; i < e / 32; i++) n += __popc(bits[i]);
    return n;
}

// The size of a score's softmax. `factor`: the norm's of each token, which is not in the scores
// yet, or NULL.
static __device__ __forceinline__ float weight_of(unsigned order, float top, const float *factor,
                                                  int token)
{
    return expf((score_of_order(order - 1) - top) * (factor ? factor[token] : 1));
}

// What a chosen expert's results take, for the u-th of all.
template <int MODE>
static __device__ __forceinline__ void
place_expert(struct choice<true> &c, const struct product_job &j, int expert, int u,
             const unsigned *order, int pitch, const float *factor)
{
    struct expert_place &at = c.place[u];
    c.expert[u] = (unsigned short)expert;
#pragma unroll
    for (int i = 0; i < EXPERT_MATRICES; i++) {
        const struct k_matrix *w = j.experts + expert * EXPERT_MATRICES + i;
        at.block[i] = (const void *)__ldg((const unsigned long long *)&w->block);
        at.scale[i] = (const float *)__ldg((const unsigned long long *)&w->scale);
    }
    if constexpr (MODE == ONE) {
        c.weight[0][u] = weight_of(order[expert], c.top[0], factor, 0);
    } else {
#pragma unroll 1
        for (int t = 0; t < j.n_token; t++) {
            bool meets = has_bit(c.chosen[t], expert);
            int rank = meets ? bits_before(c.chosen[t], expert) : (int)NO_RANK;
            c.rank[u][t] = (unsigned char)rank;
            if (meets)
                c.weight[t][rank] = weight_of(order[t * pitch + expert], c.top[t], factor, t);
        }
    }
}

// Every block chooses for itself: that is shorter than to meet once more. An expert is chosen when
// fewer than n_used are better, which two threads count for it. A token's own are numbered by their
// indices, so those of one token as all are.
template <int MODE>
static __device__ __forceinline__ void run_choice(const struct product_job &j,
                                                  struct choice<true> &c, struct norm_shared &norm,
                                                  unsigned turn, float *room, int warp, int lane)
{
    unsigned *order = (unsigned *)room; // [n_token, pitch], not 0; then nothing is better than 0
    int thread = warp * 32 + lane, n_expert = j.n_expert, pitch = (n_expert + 7) / 8 * 8;
    sync_wait(&c.sync.taken, j.n_before % 2 ^ 1);
    // The norm's factor changes no order, so it need not be there first, unless a bias is added.
    bool early = j.n_sum && j.router_bias;
    const float *factor = j.n_sum && !early ? norm.factor[turn] : nullptr;
    if (MODE == WIDE) block_sync(); // factors that warps have made for each other
    if (MODE != WIDE && early) sync_wait(&norm.sync.made, turn);
    struct patience p = {0, 0};
    for (int t = 0; t < tokens_of<MODE == ONE>(j); t++)
        for (int e = thread; e < pitch; e += THREADS) {
            float score = 0, bias = e < n_expert && j.router_bias ? __ldg(j.router_bias + e) : 0;
            if (e < n_expert) do {
                    score = load_seen(j.scores + t * n_expert + e);
                    be_patient(p);
                } while (j.want_scores != NO_TAG && (__float_as_uint(score) & 1) != j.want_scores);
            score = score * (early ? *(volatile const float *)&norm.factor[turn][t] : 1) + bias;
            order[t * pitch + e] = e < n_expert ? score_order(score) + 1 : 0;
        }
    for (int i = thread; i < (FEW_TOKENS + 1) * (EXPERTS_MAX / 32); i += THREADS)
        (&c.chosen[0][0])[i] = 0;
    block_sync();
    for (int t = 0; t < tokens_of<MODE == ONE>(j); t++)
        for (int i = 0; i < n_expert; i += THREADS / 2) { // all threads go round together
            int e = i + thread / 2, better = 0, half = pitch / 2 * (thread % 2);
            const unsigned *all = order + t * pitch;
            unsigned mine = all[min(e, n_expert - 1)];
            // Equals count before it: four at a time, but for those of its own four.
#pragma unroll 4
            for (int k = half; k < half + pitch / 2; k += 4) {
                uint4 v = *(const uint4 *)(all + k);
                unsigned least = mine - (k + 3 < e);
                better += (v.x > least) + (v.y > least) + (v.z > least) + (v.w > least);
            }
            if (e < n_expert && (e >= pitch / 2) == thread % 2)
#pragma unroll
                for (int k = 1; k < 4; k++) better += k <= e % 4 && all[e - k] == mine;
            better += __shfl_xor_sync(~0u, better, 1);
            if (e >= n_expert || thread % 2 || better >= j.n_used) continue;
            atomicOr(&c.chosen[t][e / 32], 1u << e % 32);
            atomicOr(&c.chosen[FEW_TOKENS][e / 32], 1u << e % 32);
            if (!better) c.top[t] = score_of_order(mine - 1);
        }
    block_sync();
    // First what the warps that ask wait for.
    const unsigned *any = c.chosen[FEW_TOKENS];
    for (int e = thread; e < n_expert; e += THREADS)
        if (has_bit(any, e))
            c.place[bits_before(any, e)].maps = j.expert_maps + e * EXPERT_MATRICES;
    if (warp == WARPS - 1) {
        unsigned n =
            __reduce_add_sync(~0u, lane < EXPERTS_MAX / 32 ? (unsigned)__popc(any[lane]) : 0u);
        if (lane == 0) {
            int n_box = (int)n * j.side_each,
                n_step = quotient(n_box + j.side_max.by - 1, j.side_max);
            c.n = (int)n, c.n_box = (n_box + n_step - 1) / n_step;
            c.n_step = (n_box + c.n_box - 1) / c.n_box;
        }
    }
    sync_arrive(&c.sync.made);
    if (MODE != WIDE && factor) sync_wait(&norm.sync.made, turn);
    for (int e = thread; e < n_expert; e += THREADS)
        if (has_bit(any, e)) place_expert<MODE>(c, j, e, bits_before(any, e), order, pitch, factor);
    block_sync();
    if (warp < tokens_of<MODE == ONE>(j)) { // the token's weights
        float mine = lane < j.n_used ? c.weight[warp][lane] : 0, all = j.normalise ? mine : 0;
        for (int e = lane; e < n_expert && !j.normalise; e += 32)
            all += weight_of(order[warp * pitch + e], c.top[warp], factor, warp);
        all = warp_sum(all);
        if (lane < j.n_used) c.weight[warp][lane] = __fdividef(mine, all);
    }
    sync_arrive(&c.weighed);
    block_sync();
}
