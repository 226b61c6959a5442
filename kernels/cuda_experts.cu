// Feed-forward blocks of experts (k_ops.mix). A token's experts are known on the device only, so
// nothing here asks the host. Three ways, by the number of tokens and the weights' shape:
//
//   few      jobs of the resident kernel (cuda_step.h)
//   many     (token, expert) pairs are sorted by expert, and each expert's run of them is a product
//            on tensor cores (cuda_gemm_gate, cuda_gemm_down; cuda_short_mix), weights read once
//            for the run
//   plain    the definition, for every other shape: a warp for each pair and row
//
// Sorting is a matter of counting: where a pair goes depends on the pairs before it alone, and what
// a token's experts found is added in the order of its choice. Results repeat bit for bit.
#include "kernels/cuda_experts.h"

#include <cstdint>
#include <vector>

enum { THREADS = 256, WARPS = THREADS / 32, MID_UNIT = 256 };

int cuda_list_experts(k_device *d, const struct k_experts *e, void **list)
{
    size_t n_bytes = expert_list_bytes(e->n_expert);
    std::vector<char> all(n_bytes + alignof(struct weight_maps)); // the device's, to be
    char *to = (char *)(((uintptr_t)all.data() + alignof(struct weight_maps) - 1) /
                        alignof(struct weight_maps) * alignof(struct weight_maps));
    struct k_matrix *matrix = (struct k_matrix *)to;
    *list = NULL;
    if (cudaMalloc(list, n_bytes) != cudaSuccess) {
        cudaGetLastError();
        return -1;
    }
    for (int i = 0; i < e->n_expert; i++)
        for (const struct k_matrix *w : {e->gate + i, e->up + i, e->down + i})
            *matrix++ = with_steps(w);
    cuda_step_map_experts(d, e, expert_maps(to, e->n_expert));
    // Copied before the call returns: `all` is pageable memory.
    cuda_check(d, cudaMemcpyAsync(*list, to, n_bytes, cudaMemcpyHostToDevice, d->stream),
               "list of experts");
    return 0;
}

// Where everything is in the room of a call: from `at` on, in floats; with a NULL base it says how
// much there is.
struct mix_room {
    float *scores;           // [n_token, n_expert]
    int *index;              // [n_token, n_used]
    float *weight;           // [n_token, n_used]
    struct expert_runs runs; // many
    float *mid;              // plain: [pairs, ffn]
    struct short_mid mids;   // many: the same, sorted
    float *out;              // many: [pairs, dim], sorted
    struct short_out pairs;  // few: [pairs, ffn], rounded up to MID_UNIT
    size_t size;
};

template <typename T> static T *take(float *base, size_t *at, size_t n_bytes)
{
    T *p = base ? (T *)(base + *at) : NULL;
    *at += (n_bytes + 255) / 256 * 64;
    return p;
}

static struct mix_room room_of(float *base, const struct k_experts *e, int n_token)
{
    struct mix_room r = {};
    size_t at = 0, pairs = (size_t)n_token * (size_t)e->n_used, n_expert = (size_t)e->n_expert;
    size_t ffn = (size_t)e->gate->n_row, dim = (size_t)e->router->n_col;
    r.scores = take<float>(base, &at, (size_t)n_token * n_expert * sizeof(float));
    r.index = take<int>(base, &at, pairs * sizeof(int));
    r.weight = take<float>(base, &at, pairs * sizeof(float));
    size_t shared = at;
    r.mid = take<float>(base, &at, pairs * ffn * sizeof(float));
    r.size = at;
    at = shared;
    if (n_token <= FEW_TOKENS) {
        size_t n_mid = pairs * ((ffn + MID_UNIT - 1) / MID_UNIT * MID_UNIT);
        for (int i = 0; i < X_N_KIND; i++) {
            r.pairs.hi[i] = take<uint16_t>(base, &at, n_mid * sizeof(uint16_t));
            r.pairs.lo[i] = take<uint16_t>(base, &at, n_mid * sizeof(uint16_t));
        }
    } else {
        r.runs.n_used = e->n_used;
        r.runs.tile_max = (int)(pairs / RUN_TILE + n_expert);
        r.runs.order = take<int>(base, &at, pairs * sizeof(int));
        r.runs.place = take<int>(base, &at, pairs * sizeof(int));
        r.runs.first = take<int>(base, &at, (n_expert + 1) * sizeof(int));
        r.runs.n_tile = take<int>(base, &at, sizeof(int));
        r.runs.tiles =
            take<struct run_tile>(base, &at, (size_t)r.runs.tile_max * sizeof(struct run_tile));
        r.mids.f16 = take<uint16_t>(base, &at, pairs * ffn * sizeof(uint16_t));
        r.mids.q = take<unsigned char>(base, &at, pairs * ffn);
        r.mids.scale = take<float>(base, &at, pairs * (ffn / 128 + 1) * sizeof(float));
        r.out = take<float>(base, &at, pairs * dim * sizeof(float));
    }
    if (at > r.size) r.size = at;
    return r;
}

// A call for fewer tokens than the room was made for may be one for few.
size_t cuda_mix_room(const struct k_experts *e, int n_token)
{
    size_t few = room_of(NULL, e, n_token < FEW_TOKENS ? n_token : (int)FEW_TOKENS).size,
           many = room_of(NULL, e, n_token).size;
    return few > many ? few : many;
}

// A warp for each token.
__global__ void choose_kernel(float *scores, int n_token, int n_expert, int n_used, bool normalise,
                              int *index, float *weight)
{
    int t = (int)(blockIdx.x * WARPS + threadIdx.x / 32), lane = (int)threadIdx.x % 32;
    if (t >= n_token) return;
    choose_experts(scores + (size_t)t * n_expert, n_expert, n_used, normalise,
                   index + (size_t)t * n_used, weight + (size_t)t * n_used, lane);
}

// A block for each expert: its pairs in order, behind those of all experts before it. A thread has
// a stretch of all pairs, which it goes through twice.
__global__ void sort_kernel(struct expert_runs runs, const int *index, int n_pair)
{
    __shared__ int of_warp[2][WARPS];
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32, expert = (int)blockIdx.x;
    int each = (n_pair + THREADS - 1) / THREADS, from = min((int)threadIdx.x * each, n_pair),
        to = min(from + each, n_pair), mine = 0, before = 0;
    for (int i = from; i < to; i++) mine += index[i] == expert, before += index[i] < expert;
    int at = mine, all_before = before;
#pragma unroll
    for (int k = 1; k < 32; k *= 2) {
        int other = __shfl_up_sync(~0u, at, k);
        if (lane >= k) at += other;
    }
#pragma unroll
    for (int k = 16; k; k /= 2) all_before += __shfl_xor_sync(~0u, all_before, k);
    if (lane == 31) of_warp[0][warp] = at, of_warp[1][warp] = all_before;
    __syncthreads();
    int first = 0, n = 0;
    for (int w = 0; w < WARPS; w++) {
        first += of_warp[1][w];
        n += of_warp[0][w];
    }
    at += first - mine;
    for (int w = 0; w < warp; w++) at += of_warp[0][w];
    for (int i = from; i < to; i++)
        if (index[i] == expert) runs.order[at] = i, runs.place[i] = at++;
    if (threadIdx.x == 0) {
        runs.first[expert] = first;
        if (expert == (int)gridDim.x - 1) runs.first[expert + 1] = first + n;
    }
}

// One warp: the tiles of all runs.
__global__ void tiles_kernel(struct expert_runs runs, int n_expert)
{
    int lane = (int)threadIdx.x, n_tile = 0;
    for (int base = 0; base < n_expert; base += 32) {
        int e = base + lane, first = 0, n = 0;
        if (e < n_expert) first = runs.first[e], n = runs.first[e + 1] - first;
        int mine = (n + RUN_TILE - 1) / RUN_TILE, at = mine;
#pragma unroll
        for (int k = 1; k < 32; k *= 2) {
            int other = __shfl_up_sync(~0u, at, k);
            if (lane >= k) at += other;
        }
        for (int i = 0; i < mine; i++)
            runs.tiles[n_tile + at - mine + i] = {e, first + i * RUN_TILE,
                                                  min(n - i * RUN_TILE, (int)RUN_TILE)};
        n_tile += __shfl_sync(~0u, at, 31);
    }
    if (lane == 0) *runs.n_tile = n_tile;
}

// x += what the token's experts found, by their weights; out is sorted.
__global__ void join_kernel(float *x, const float *out, const int *place, const float *weight,
                            int n_used, int dim)
{
    size_t t = blockIdx.x;
    for (int c = (int)threadIdx.x; c < dim; c += THREADS) {
        float y = x[t * dim + c];
        for (int k = 0; k < n_used; k++)
            y += weight[t * n_used + k] * out[(size_t)place[t * n_used + k] * dim + c];
        x[t * dim + c] = y;
    }
}

static __device__ __forceinline__ float dot_row(const struct k_matrix &w, int row, const float *x,
                                                int lane)
{
    float sum = 0;
    for (int c = lane; c < w.n_col; c += 32) sum += weight_value(w, (size_t)row, (size_t)c) * x[c];
    return warp_sum(sum) * (w.scale ? w.scale[row] : 1);
}

// A warp for each row of each pair.
__global__ void plain_gate_kernel(float *mid, const struct k_matrix *list, const int *index,
                                  const float *x, struct expert_ends ends, int n_used, int ffn)
{
    size_t pair = blockIdx.x;
    int row = (int)(blockIdx.y * WARPS + threadIdx.x / 32), lane = (int)threadIdx.x % 32;
    if (row >= ffn) return;
    const struct k_matrix *w = list + index[pair] * EXPERT_MATRICES;
    x += pair / (size_t)n_used * (size_t)w->n_col;
    float gate = dot_row(w[EXPERT_GATE], row, x, lane) +
                 expert_bias(ends.gate_bias, index[pair], ffn, row),
          up = dot_row(w[EXPERT_UP], row, x, lane) +
               expert_bias(ends.up_bias, index[pair], ffn, row);
    if (lane == 0) mid[pair * ffn + row] = gated(gate, up, ends.gating);
}

__global__ void plain_down_kernel(float *x, const struct k_matrix *list, const int *index,
                                  const float *weight, const float *mid, const float *bias,
                                  int n_used, int ffn, int dim)
{
    size_t t = blockIdx.x;
    int row = (int)(blockIdx.y * WARPS + threadIdx.x / 32), lane = (int)threadIdx.x % 32;
    if (row >= dim) return;
    float y = x[t * dim + row];
    for (int k = 0; k < n_used; k++) {
        size_t pair = t * n_used + k;
        const struct k_matrix &w = list[index[pair] * EXPERT_MATRICES + EXPERT_DOWN];
        y += weight[pair] *
             (dot_row(w, row, mid + pair * ffn, lane) + expert_bias(bias, index[pair], dim, row));
    }
    if (lane == 0) x[t * dim + row] = y;
}

static bool gemm_takes_all(const struct k_experts *e)
{
    int form = weight_form(e->gate);
    for (int i = 0; i < e->n_expert; i++)
        for (const struct k_matrix *w : {e->gate + i, e->up + i, e->down + i})
            if (weight_form(w) != form || !cuda_gemm_takes(w)) return false;
    return true;
}

static void mix_many(k_device *d, const k_act *a, const struct k_mix *m, const struct mix_room &r,
                     int n_token)
{
    const struct k_experts *e = m->experts;
    int n_pair = n_token * e->n_used, dim = e->router->n_col;
    cuda_launch(d, "sorting by expert", sort_kernel, dim3((unsigned)e->n_expert), THREADS, 0,
                r.runs, r.index, n_pair);
    cuda_launch(d, "tiles of experts", tiles_kernel, dim3(1), 32, 0, r.runs, e->n_expert);
    if (cuda_short_mixes(d, a, e)) {
        cuda_short_mix(d, (k_act *)a, e, r.runs, r.mids, r.out, n_token);
    } else {
        cuda_gemm_gate(d, a, e, r.runs, r.mids.f16);
        cuda_gemm_down(d, r.mids.f16, e, r.runs, r.out);
    }
    cuda_launch(d, "joining experts", join_kernel, dim3((unsigned)n_token), THREADS, 0, m->x, r.out,
                r.runs.place, r.weight, e->n_used, dim);
}

static void mix_plain(k_device *d, const k_act *a, const struct k_mix *m, const struct mix_room &r,
                      int n_token)
{
    const struct k_experts *e = m->experts;
    const struct k_matrix *list = (const struct k_matrix *)e->list;
    int n_pair = n_token * e->n_used, dim = e->router->n_col, ffn = e->gate->n_row;
    dim3 gate((unsigned)n_pair, (unsigned)(ffn + WARPS - 1) / WARPS),
        down((unsigned)n_token, (unsigned)(dim + WARPS - 1) / WARPS);
    cuda_launch(d, "gate and up", plain_gate_kernel, gate, THREADS, 0, r.mid, list, r.index,
                cuda_act_read(d, a, n_token), ends_of(e), e->n_used, ffn);
    cuda_launch(d, "down", plain_down_kernel, down, THREADS, 0, m->x, list, r.index, r.weight,
                r.mid, e->down_bias, e->n_used, ffn, dim);
}

void cuda_mix(k_device *d, const k_act *a, const struct k_mix *m, int n_token)
{
    const struct k_experts *e = m->experts;
    const struct mix_room r = room_of(m->room, e, n_token);
    const struct k_product route = {e->router, e->router_bias, r.scores, false};
    if (a->form == FORM_PAIR && cuda_step_mixes(e, n_token)) {
        if (!cuda_step_scores(d, a, e, r.scores, n_token)) cuda_project(d, a, n_token, &route, 1);
        cuda_step_mix(d, a, m, r.scores, &r.pairs, n_token);
        return;
    }
    cuda_project(d, a, n_token, &route, 1);
    cuda_steps_flush(d);
    cuda_launch(d, "choosing experts", choose_kernel, dim3((unsigned)(n_token + WARPS - 1) / WARPS),
                THREADS, 0, r.scores, n_token, e->n_expert, e->n_used, e->normalise, r.index,
                r.weight);
    if (a->form == FORM_SHORT && r.runs.tile_max <= RUN_TILES_MAX && gemm_takes_all(e))
        mix_many(d, a, m, r, n_token);
    else
        mix_plain(d, a, m, r, n_token);
    if (m->next) cuda_norm(d, m->next, m->x, m->gain, n_token, e->router->n_col, m->eps);
}
