// Decode steps (cuda_step.h): the warps that ask for weights.
#pragma once
#include "kernels/cuda_step_work.h"

// While the next weights depend on a choice, memory would be idle: it brings what comes after the
// experts near, and these, which are read once, do not drive it out again (first_out).
enum { AHEAD_BYTES = IS_SMALL ? 32 << 10 : 160 << 10 };

// One thread of n.
static __device__ __forceinline__ void bring_list_near(const struct product_job &j, int thread,
                                                       int n)
{
    const char *list = (const char *)j.experts;
    int n_bytes = (int)expert_list_bytes(j.n_expert);
    for (int i = thread * 128; i < n_bytes; i += n * 128) bring_line_near(list + i);
}

template <int FORM>
static __device__ __forceinline__ void ask_ahead(const struct step_job *jobs, int i, int n_job,
                                                 int asker, int lane)
{
    for (int left = AHEAD_BYTES; i < n_job && left > 0; i++) {
        if (jobs[i].kind == JOB_SCORES) {
            const struct scores_job &j = jobs[i].scores;
            if (lane == 0 && asker == 0 && (int)blockIdx.x < j.n_expert)
                bring_near(j.w + (size_t)blockIdx.x * (unsigned)j.n_col, (unsigned)j.n_col * 2);
        }
        if (jobs[i].kind != JOB_PRODUCT) continue;
        const struct product_job &j = jobs[i].product;
        if (j.experts && j.chooses) {
            bring_list_near(j, ((int)blockIdx.x * ASKERS + asker) * 32 + lane,
                            (int)gridDim.x * ASKERS * 32);
            return;
        }
        if (j.experts) continue;
        unsigned row_bytes = (unsigned)j.row_units.by * UNIT_BYTES;
        int end = rows_before(j.cut, blockIdx.x + 1), n_part = j.ending == END_GATE ? 2 : 1;
        struct group g;
        for (int row = rows_before(j.cut, blockIdx.x); row < end && left > 0; row += g.n_row) {
            g = group_of<true>(j, j.cut, row, end);
            for (int p = 0; p < n_part; p++)
                for (int r = asker * 32 + lane; r < g.n_row; r += ASKERS * 32)
                    bring_near(j.part[g.p + p].data + (size_t)(unsigned)(g.row + r) * row_bytes,
                               row_bytes);
            left -= (int)row_bytes * n_part * g.n_row;
        }
    }
}

// A hint between the warps of a block: others wait for memory. One thread sets it, and knows what
// it is.
struct calm_hint {
    unsigned *at;
    bool is;
};

static __device__ __forceinline__ void set_calm(struct calm_hint &h, bool calm, int thread)
{
    if (h.is == calm) return;
    h.is = calm;
    if (thread == 0) atomicExch(h.at, calm ? 1u : 0u);
}

static __device__ __forceinline__ bool is_calm(unsigned *hint)
{
    return atomicOr(hint, 0u);
}

// One lane of each warp that asks. Its half of every stage, in the order in which the others take
// them.
template <int MODE, bool MIX> struct asker {
    struct ring_at<MODE, MIX> ring;
    unsigned oldest, landed; // stages: the first that has not been taken, that has not arrived
    unsigned free, flying;   // bytes
    unsigned *sizes;         // [STAGES] in shared memory, with what was left over at the ring's end
};

template <int MODE, bool MIX>
static __device__ __forceinline__ void one_landed(struct asker<MODE, MIX> &a)
{
    a.flying -= a.sizes[stage_of(a.landed)];
    a.landed++;
}

static __device__ __forceinline__ void sync_watch(unsigned long long *s, unsigned phase)
{
    struct patience p = {0, 0};
    while (!sync_try(s, phase)) be_patient(p);
}

// Waits until the oldest stage has been taken.
template <int MODE, bool MIX>
static __device__ __forceinline__ void one_taken(struct asker<MODE, MIX> &a,
                                                 struct stage_sync *sync)
{
    sync_watch(&sync[stage_of(a.oldest)].empty, phase_of(a.oldest));
    if (a.landed == a.oldest) one_landed(a);
    a.free += a.sizes[stage_of(a.oldest)];
    a.oldest++;
}

// Waits until there is room for a stage; where it begins.
template <int MODE, bool MIX>
static __device__ __forceinline__ unsigned
make_room(struct asker<MODE, MIX> &a, struct stage_sync *sync, unsigned size, unsigned *calm)
{
    constexpr unsigned all = ring_at<MODE, MIX>::all;
    unsigned used = size + (a.ring.at + size > all ? all - a.ring.at : 0);
    while (a.free < used || a.ring.n - a.oldest == STAGES) one_taken(a, sync);
    while (a.flying && is_calm(calm) && a.flying + size > IN_FLIGHT_CALM) {
        sync_watch(&sync[stage_of(a.landed)].full, phase_of(a.landed));
        one_landed(a);
    }
    a.sizes[stage_of(a.ring.n)] = used;
    a.free -= used, a.flying += used;
    return ring_take(a.ring, size);
}

// A box of 8 rows and its scales.
template <int FORM>
static __device__ __forceinline__ void copy_box(unsigned char *data, unsigned char *scales,
                                                const struct weight_maps *maps, int row,
                                                unsigned first, unsigned long long *full)
{
    copy_box_3(data, &maps->data, 0, row, (int)first / PIECE_UNITS, full);
    if constexpr (unit<FORM>::scale_bytes > 0)
        copy_box_2(scales, &maps->scales, (int)first * unit<FORM>::scale_bytes / 2, row, full);
}

// One half of tile t of a group: the step that begins with unit `first`.
template <int FORM, bool MIX>
static __device__ __forceinline__ void
ask_for(const struct product_job &j, const struct choice<MIX> &c, const struct weight_maps *maps,
        const struct product_cut &cut, const struct group &g, int t, int half, unsigned first,
        unsigned char *stage, unsigned long long *full)
{
    const struct stage_shape &shape = cut.stage;
    bool gate = of_gates(cut);
    unsigned char *data = stage + half * shape.half,
                  *scales = stage + 2 * shape.half + half * shape.half_scales;
    unsigned box = (unsigned)j.box,
             box_bytes = box * HALF_ROWS * UNIT_BYTES; // whatever lies beyond the matrix
    int row = g.row + (gate ? t * HALF_ROWS : (2 * t + half) * HALF_ROWS);
    if (!gate && (2 * t + half) * HALF_ROWS >= g.n_row) {
        sync_arrive(full);
        return;
    }
    if constexpr (MIX)
        if (is_mixed<MIX>(j, END_ADD)) {
            unsigned n = min((unsigned)c.n_box, ((unsigned)cut.n_unit - first) / box),
                     each = (unsigned)j.row_units.by;
            sync_expect(full, n * (box_bytes + shape.box_scales));
            for (unsigned b = 0; b < n; b++) {
                unsigned u = first + b * box, matrix = (unsigned)matrix_of(j, u);
                copy_box<FORM>(data + b * box_bytes, scales + b * shape.box_scales,
                               c.place[matrix].maps + EXPERT_DOWN, row, u - matrix * each, full);
            }
            return;
        }
    const struct weight_maps *map = maps + (gate ? half : g.p);
    if constexpr (MIX)
        if (is_mixed<MIX>(j)) map = c.place[g.u].maps + (half ? EXPERT_UP : EXPERT_GATE);
    sync_expect(full, box_bytes + shape.box_scales);
    copy_box<FORM>(data, scales, map, row, first, full);
}

template <int FORM, int MODE, bool MIX>
static __device__ __forceinline__ void
ask_for_job(const struct product_job &j, const struct choice<MIX> &c,
            const struct weight_maps *maps, struct asker<MODE, MIX> &a, int half,
            unsigned char *ring, struct stage_sync *sync, unsigned *calm)
{
    const struct product_cut cut = cut_of<FORM, MODE>(j, c);
    int end = rows_before(cut, blockIdx.x + 1);
    struct group g;
    for (int row = rows_before(cut, blockIdx.x); row < end; row += g.n_row) {
        g = group_of<MIX>(j, cut, row, end);
        for (int first = 0; first < cut.n_unit; first += cut.step)
            for (int t = 0; t < g.n; t++) {
                unsigned long long *full = &sync[stage_of(a.ring.n)].full;
                unsigned at = make_room(a, sync, cut.stage.size, calm);
                ask_for<FORM>(j, c, maps, cut, g, t, half, (unsigned)first, ring + at, full);
            }
    }
}

// Jobs that a warp that asks has at hand: this one, the next.
struct jobs_at_hand {
    struct step_job job[2];
};

static __device__ __forceinline__ void first_job(struct jobs_at_hand &near,
                                                 const struct step_job *jobs, int lane)
{
    if (lane < JOB_PIECES) // which may be a parameter of the kernel
        ((uint4 *)&near.job[0])[lane] = ((const uint4 *)jobs)[lane];
}

// Job i, which all lanes begin; the next is on its way.
static __device__ __forceinline__ const struct step_job &
job_at_hand(struct jobs_at_hand &near, const struct step_job *jobs, int i, int n_job, int lane)
{
    __syncwarp(); // every lane is done with the job before
    if (i + 1 < n_job && lane < JOB_PIECES)
        copy_16((uint4 *)&near.job[(i + 1) % 2] + lane, (const uint4 *)(jobs + i + 1) + lane);
    copy_commit();
    copy_wait<1>();
    __syncwarp();
    return near.job[i % 2];
}

template <int FORM, int MODE, bool MIX>
static __device__ void run_loader(const struct step_job *jobs, const struct weight_maps *maps,
                                  int n_job, unsigned char *ring, struct stage_sync *sync,
                                  unsigned *sizes, struct jobs_at_hand *at_hand,
                                  struct choice<MIX> &c, int half, int lane, unsigned *calm)
{
    struct asker<MODE, MIX> a = {
        {0, 0}, 0, 0, ring_at<MODE, MIX>::all, 0, sizes
    };
    first_job(at_hand[half], jobs, lane);
    for (int i = 0; i < n_job; i++) {
        // What follows from these is found anew for each job, for want of registers.
        asm volatile("" : "+r"(half), "+r"(lane));
        const struct step_job &job = job_at_hand(at_hand[half], jobs, i, n_job, lane);
        if (i + 2 < n_job && lane * SECTOR < (int)sizeof *jobs)
            bring_sector_near((const char *)(jobs + i + 2) + lane * SECTOR);
        if (job.kind != JOB_PRODUCT) continue;
        const struct product_job &j = job.product;
        if constexpr (MIX)
            if (is_mixed<MIX>(j) && j.chooses) {
                if (j.n_before) sync_arrive(&c.sync.taken);
                ask_ahead<FORM>(jobs, i + 1, n_job, half, lane);
                sync_wait(&c.sync.made, j.n_before % 2);
                if (half == 0 && lane < c.n) { // the next job's
                    bring_map_near(&c.place[lane].maps[EXPERT_DOWN].data);
                    if (unit<FORM>::is_fp4) bring_map_near(&c.place[lane].maps[EXPERT_DOWN].scales);
                }
            }
        for (int k = 0; k < 2; k++) // maps of the next jobs
            if (lane < job.n_map[k] && (half == 0 || unit<FORM>::is_fp4)) {
                const struct weight_maps *soon = &maps[(i + 1 + k) * PARTS_MAX + lane];
                bring_map_near(half ? &soon->scales : &soon->data);
            }
        if (lane == 0) ask_for_job<FORM>(j, c, maps + i * PARTS_MAX, a, half, ring, sync, calm);
    }
    while (lane == 0 && a.oldest != a.ring.n) one_taken(a, sync);
}
