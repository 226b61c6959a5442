// Decode steps (cuda_step.h): the warp that prepares.
#pragma once
#include "kernels/cuda_step_work.h"

// What one warp prepares for the others, for whom code that runs once for a job is dear: the words
// of jobs, the factors 1 / rms of norms, and experts' scales and biases in the second-level cache.

static __device__ __forceinline__ void prefetch_row(const float *p, int row)
{
    if (p) bring_line_near(p + row);
}

// Experts are not placed yet when they are prepared: only their maps are known.
static __device__ __forceinline__ int chosen_expert(const struct product_job &j,
                                                    const struct choice<true> &c, int u)
{
    return (int)(c.place[u].maps - j.expert_maps) / EXPERT_MATRICES;
}

static __device__ __forceinline__ void prefetch_expert(const struct product_job &j, int expert,
                                                       int matrix, const float *bias, int row)
{
    const struct k_matrix *w = j.experts + expert * EXPERT_MATRICES + matrix;
    prefetch_row((const float *)__ldg((const unsigned long long *)&w->scale), row);
    prefetch_row(bias, expert * j.part[0].n_row + row);
}

// Of a job of experts.
static __device__ __forceinline__ void prefetch_ends(const struct product_job &j,
                                                     const struct choice<true> &c, int lane)
{
    struct product_cut cut = j.cut;
    if (j.ending == END_GATE) cut_rows(cut, j, c);
    int first = rows_before(cut, blockIdx.x), end = rows_before(cut, blockIdx.x + 1);
    if (j.ending == END_ADD) {
#pragma unroll 1
        for (int i = lane; first + i / c.n * 16 < end; i += 32)
            prefetch_expert(j, chosen_expert(j, c, i % c.n), EXPERT_DOWN, j.part[0].bias,
                            first + i / c.n * 16);
        return;
    }
#pragma unroll 1
    for (int row = first + lane * HALF_ROWS; row < end; row += 32 * HALF_ROWS) {
        struct group g = group_of<true>(j, cut, row, end);
        int expert = chosen_expert(j, c, g.u);
        if (g.row >= j.part[0].n_row) continue;
        prefetch_expert(j, expert, EXPERT_GATE, j.part[0].bias, g.row);
        prefetch_expert(j, expert, EXPERT_UP, j.part[1].bias, g.row);
    }
}

// A norm before a job: its factor, 1 / rms of each token, comes from parts of sums of squares.
struct norm_of_job {
    const float *sums;
    int n_sum, dim, n_token; // n_sum 0: there is no norm
    float eps;
    unsigned want;
};

template <int MODE>
static __device__ __forceinline__ struct norm_of_job norm_of(const struct product_job &j)
{
    return {j.sums, j.n_sum, j.norm_dim, tokens_of<MODE == ONE>(j), j.eps, j.want};
}

// The factors of one job, of the next one with a norm.
struct norm_shared {
    struct handed sync;
    float factor[2][FEW_TOKENS];
};

// 1 / rms of a token, once all parts are there. Many are read at once.
static __device__ __forceinline__ float norm_factor(const struct norm_of_job &n, int token,
                                                    int lane)
{
    constexpr int at_once = 5;
    const float *from = n.sums + token * n.n_sum;
    struct patience p = {0, 0};
    for (;;) {
        float sum = 0;
        bool missing = false;
#pragma unroll 1
        for (int first = 0; first < n.n_sum; first += 32 * at_once)
#pragma unroll
            for (int k = 0; k < at_once; k++) {
                int i = first + k * 32 + lane;
                if (i >= n.n_sum) continue;
                float part = load_seen(from + i);
                missing |= n.want != NO_TAG && ((__float_as_uint(part) ^ n.want) & 1);
                sum += part;
            }
        if (!__any_sync(~0u, missing))
            return rsqrtf(__fdividef(warp_sum(sum), (float)n.dim) + n.eps);
        be_patient(p);
    }
}

// A warp waits until all blocks have met; what the others wrote before it sees then.
static __device__ __forceinline__ void wait_for_meeting(struct step_sync *s, unsigned meeting,
                                                        int lane)
{
    struct patience p = {0, 0};
    while (lane == 0 && meeting && load_acquire(&s->arrived) < meeting * gridDim.x) be_patient(p);
    __syncwarp();
}

static __device__ __forceinline__ void deliver_norm(const struct norm_of_job &n, unsigned meeting,
                                                    struct norm_shared &norm, unsigned turn,
                                                    struct step_sync *s, int lane)
{
    wait_for_meeting(s, meeting, lane);
    float mine = 0; // of token `lane`
#pragma unroll 1
    for (int t = 0; t < n.n_token; t++) {
        float factor = norm_factor(n, t, lane);
        if (lane == t) mine = factor;
    }
    sync_wait(&norm.sync.taken, turn ^ 1);
    if (lane < n.n_token) norm.factor[turn][lane] = mine;
    sync_arrive(&norm.sync.made);
}

// The factors of many tokens are more than one warp makes in time: there every warp makes one.
template <int MODE, bool MIX>
static __device__ void run_preparer(const struct step_job *jobs, int n_job, struct step_sync *sync,
                                    struct job_slots &slots, struct norm_shared &norm,
                                    struct choice<MIX> &c, int lane)
{
    unsigned n_norm = 0;
    early_wait();
    bring_job(slots, jobs, 1, n_job, lane); // the first is there
#pragma unroll 1
    for (int i = 0; i < n_job; i++) {
        bring_job(slots, jobs, i + 2, n_job, lane);
        const struct step_job &job = job_of(slots, i);
        if (job.kind != JOB_PRODUCT) continue;
        const struct product_job &j = job.product;
        struct norm_of_job n = norm_of<MODE>(j);
        if (n.n_sum && MODE != WIDE) deliver_norm(n, job.meeting, norm, n_norm++ % 2, sync, lane);
        if constexpr (MIX)
            if (is_mixed<MIX>(j) && j.chooses) { // its experts', and those of the next job
                sync_wait(&c.sync.made, j.n_before % 2);
                prefetch_ends(j, c, lane);
                if (i + 1 < n_job)
                    if (const struct step_job &next = job_of(slots, i + 1);
                        next.kind == JOB_PRODUCT && is_mixed<MIX>(next.product) &&
                        !next.product.chooses)
                        prefetch_ends(next.product, c, lane);
                __syncwarp();
                sync_arrive(&c.sync.taken);
            }
    }
}
