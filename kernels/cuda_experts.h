// Which experts work for a token (k_experts), for the resident kernel and for launches alike, and
// the list of a layer's experts that the device keeps.
#pragma once
#include "kernels/cuda_maps.h"
#include "kernels/cuda_unpack.h"

// A list is [n_expert][EXPERT_MATRICES] matrices, then as many maps of them, for the resident
// kernel.
enum { EXPERT_GATE, EXPERT_UP, EXPERT_DOWN, EXPERT_MATRICES };

static constexpr __host__ __device__ size_t expert_maps_at(int n_expert)
{
    size_t n = (size_t)n_expert * EXPERT_MATRICES * sizeof(struct k_matrix);
    return (n + alignof(struct weight_maps) - 1) / alignof(struct weight_maps) *
           alignof(struct weight_maps);
}

static constexpr __host__ __device__ size_t expert_list_bytes(int n_expert)
{
    return expert_maps_at(n_expert) +
           (size_t)n_expert * EXPERT_MATRICES * sizeof(struct weight_maps);
}

static inline struct weight_maps *expert_maps(void *list, int n_expert)
{
    return (struct weight_maps *)((char *)list + expert_maps_at(n_expert));
}

// What becomes of the sums of experts' products, but for their scales.
struct expert_ends {
    const float *gate_bias, *up_bias, *down_bias; // as in k_experts
    struct k_gating gating;
};

static inline struct expert_ends ends_of(const struct k_experts *e)
{
    return {e->gate_bias, e->up_bias, e->down_bias, gating_of(e->gating)};
}

// Into host memory; zeros where the resident kernel does not take them.
void cuda_step_map_experts(k_device *d, const struct k_experts *e, struct weight_maps *maps);

// Many tokens: (token, expert) pairs by expert, each expert's run of them cut into tiles. Pair p is
// of token p / n_used.
enum { RUN_TILE = 64, RUN_TILES_MAX = 65535 };

struct run_tile {
    int expert, first, n; // places first .. first + n - 1
};

struct expert_runs {
    int n_used, tile_max;
    int *order;             // [pairs] the pair at a place
    int *place;             // [pairs] and the place of a pair
    int *first;             // [n_expert + 1] places of runs
    int *n_tile;            // how many of tile_max there are
    struct run_tile *tiles; // [tile_max]
};

// mid [pairs, ffn], sorted, in the short numbers that the weights want; out [pairs, dim], sorted.
void cuda_gemm_gate(k_device *d, const k_act *a, const struct k_experts *e,
                    const struct expert_runs &runs, uint16_t *mid);
void cuda_gemm_down(k_device *d, const uint16_t *mid, const struct k_experts *e,
                    const struct expert_runs &runs, float *out);

// The same where activations are rounded like the experts' weights (cuda_short.cu).
struct short_mid {
    uint16_t *f16;    // [pairs, ffn], sorted
    unsigned char *q; // and rounded: as in k_act
    float *scale;     // [pairs, ffn / 128]
};
bool cuda_short_mixes(const k_device *d, const k_act *a, const struct k_experts *e);
void cuda_short_mix(k_device *d, k_act *a, const struct k_experts *e,
                    const struct expert_runs &runs, const struct short_mid &mid, float *out,
                    int n_token);

#if defined(__CUDACC__) || defined(HEARTH_EMULATED)
// A number in whose order scores are. NaN is last, and so is a score that is taken.
static __device__ __forceinline__ unsigned score_order(float x)
{
    unsigned bits = __float_as_uint(x + 0.0f); // -0 equals 0
    if (x != x) return 0;
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static __device__ __forceinline__ float score_of_order(unsigned order)
{
    return __uint_as_float(order & 0x80000000u ? order & 0x7fffffffu : ~order);
}

// The best of a lane's scores, which are lane, lane + 32, ...: the first among equals.
struct best_score {
    unsigned order, at;
};

static __device__ __forceinline__ struct best_score best_of_lane(const float *score, int n,
                                                                 int lane)
{
    struct best_score best = {0, (unsigned)lane};
    for (int i = lane; i < n; i += 32) {
        unsigned order = score_order(score[i]);
        if (order > best.order) best.order = order, best.at = (unsigned)i;
    }
    return best;
}

// Of row `row` of an expert; 0 of a table that is not there.
static __device__ __forceinline__ float expert_bias(const float *table, int expert, int n_row,
                                                    int row)
{
    return table ? table[(size_t)(unsigned)expert * (unsigned)n_row + (unsigned)row] : 0;
}

// One warp, one token: its n_used experts and their weights; uses the scores up.
static __device__ __forceinline__ void choose_experts(float *score, int n_expert, int n_used,
                                                      bool normalise, int *index, float *weight,
                                                      int lane)
{
    struct best_score best = best_of_lane(score, n_expert, lane);
    float top = score_of_order(__reduce_max_sync(~0u, best.order)), sum = 0, chosen = 0;
    for (int i = lane; i < n_expert; i += 32) sum += expf(score[i] - top);
    float share = __fdividef(1, warp_sum(sum));
    for (int k = 0; k < n_used; k++) {
        unsigned order = __reduce_max_sync(~0u, best.order),
                 at = __reduce_min_sync(~0u, best.order == order ? best.at : ~0u);
        float w = expf(score_of_order(order) - top) * share;
        chosen += w;
        if (lane == 0) index[k] = (int)at, weight[k] = w;
        if (best.at == at) { // at % 32 is one lane
            score[at] = __uint_as_float(0x7fc00000);
            best = best_of_lane(score, n_expert, lane);
        }
    }
    __syncwarp();
    for (int k = lane; normalise && k < n_used; k += 32) weight[k] = __fdividef(weight[k], chosen);
}
#endif
