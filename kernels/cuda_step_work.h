// Decode steps (cuda_step.h): what warps of a block share, and how they divide the work: the rows
// of a block into groups of tiles, those into steps of columns, and these into units.
#pragma once
#include "kernels/cuda_step.h"

// Full: the copies of a stage have arrived. Empty: the warps have taken what was in it.
struct stage_sync {
    unsigned long long full, empty;
};

// What some warps make for others again and again. Every lane arrives that has written or read some
// of it: one lane's arrival for its warp would be as good, but compute-sanitizer sees in it only
// what that lane has done.
struct handed {
    unsigned long long made, taken;
};

// Where the matrices of an expert are.
struct expert_place {
    const struct weight_maps *maps; // [EXPERT_MATRICES]
    const void *block[EXPERT_MATRICES];
    const float *scale[EXPERT_MATRICES];
};

// A block's own copy of what the tokens chose.
template <bool MIX> struct choice;
template <> struct choice<false> {
};
template <> struct choice<true> {
    struct handed sync;         // places
    unsigned long long weighed; // and weights
    int n;                      // experts that any token chose, in order of their indices
    int n_box, n_step; // of their matrices that stand side by side: boxes of a step, and steps
    struct expert_place place[CHOSEN_MAX];
    unsigned short expert[CHOSEN_MAX];          // which they are
    unsigned char rank[CHOSEN_MAX][FEW_TOKENS]; // the expert's among the token's own, or NO_RANK
    float weight[FEW_TOKENS][USED_MAX];
    float top[FEW_TOKENS];                             // the best score
    unsigned chosen[FEW_TOKENS + 1][EXPERTS_MAX / 32]; // a bit for each expert; the last: by any
};

// Of all experts' products.
template <bool MIX> static __device__ __forceinline__ bool is_mixed(const struct product_job &j)
{
    return MIX && j.experts;
}

template <bool MIX>
static __device__ __forceinline__ bool is_mixed(const struct product_job &j, enum ending ending)
{
    return MIX && j.experts && j.ending == ending;
}

// The blocks divide the rows of a job evenly.
static __device__ __forceinline__ int rows_before(const struct product_cut &cut, unsigned block)
{
    return (int)block * cut.n_each + min((int)block, cut.n_more);
}

// Whether tiles have as many rows of a gate as of its up.
static __device__ __forceinline__ bool of_gates(const struct product_cut &cut)
{
    return cut.tile_bits == 3;
}

// Neighbouring rows of one part, in up to TILES tiles that are multiplied side by side; the last
// may have fewer rows than a tile.
struct group {
    int p, row, n_row; // the part, its first row, how many
    int n;             // tiles
    int u;             // END_GATE with experts: of the chosen ones
};

template <bool MIX>
static __device__ __forceinline__ struct group
group_of(const struct product_job &j, const struct product_cut &cut, int row, int end)
{
    struct group g = {0, row, 0, 0, 0};
    int last = end;
    if (is_mixed<MIX>(j, END_GATE)) {
        g.u = quotient(row, j.gate_rows);
        g.row = row - g.u * j.n_row;
        last = (g.u + 1) * j.n_row;
    } else {
        int p1 = cut.first[0], p2 = cut.first[1];
        g.p = (row >= p1) + (row >= p2);
        last = g.p == 0 ? p1 : g.p == 1 ? p2 : INT_MAX;
        g.row -= g.p == 0 ? 0 : g.p == 1 ? p1 : p2;
    }
    // What does not fill a group comes first: the rows that a box has beyond it are the next
    // group's, which asks for them at once.
    int left = min(end, last) - row, bits = cut.tile_bits, full = TILES << bits;
    g.n_row = left & (full - 1);
    if (!g.n_row) g.n_row = full;
    g.n = (g.n_row + (1 << bits) - 1) >> bits;
    return g;
}

template <int FORM, bool MIX> struct units_of_warp {
    static constexpr int near = near_units(FORM, MIX);
    // Unit k of a warp in a step.
    static __device__ __forceinline__ int place(int k, int warp)
    {
        return (k / near * WARPS + warp) * near + k % near;
    }
    // How many of a step's n units the warp has.
    static __device__ __forceinline__ int count(int n, int warp)
    {
        int whole = n / (WARPS * near), rest = n - whole * WARPS * near - warp * near;
        return whole * near + min(max(rest, 0), near);
    }
};

// Without patience, whose code is long: who hangs here holds up a warp that asks for weights, which
// gives up (sync_watch).
static __device__ __forceinline__ void sync_wait(unsigned long long *s, unsigned phase)
{
    while (!sync_try(s, phase)) continue;
}

// Where in the ring a warp is.
template <int MODE, bool MIX> struct ring_at {
    static constexpr unsigned all = (unsigned)ring_bytes(MODE, MIX, IS_SMALL);
    unsigned at, n; // the next stage's place and number
};

// Where a stage of that many bytes stands: in one piece.
template <int MODE, bool MIX>
static __device__ __forceinline__ unsigned ring_take(struct ring_at<MODE, MIX> &r, unsigned size)
{
    unsigned at = r.at + size > r.all ? 0 : r.at;
    r.at = at + size, r.n++;
    return at;
}

static __device__ __forceinline__ unsigned stage_of(unsigned n)
{
    return n % STAGES;
}

static __device__ __forceinline__ unsigned phase_of(unsigned n)
{
    return n / STAGES % 2;
}

// Whether units are more than the columns of a row of x: of experts' gate and up (takes_expert).
template <int FORM, bool MIX>
static __device__ __forceinline__ bool is_ragged(const struct product_job &j)
{
    return MIX && unit<FORM>::is_fp4 && j.n_col % (PIECE_UNITS * unit<FORM>::columns);
}

// What a choice of experts decides of a job's cut: of gates the rows of each block, of what stands
// side by side the steps.

static __device__ __forceinline__ void
cut_rows(struct product_cut &cut, const struct product_job &j, const struct choice<true> &c)
{
    int n = c.n * j.n_row;
    cut.n_each = quotient(n, j.n_block);
    cut.n_more = n - cut.n_each * j.n_block.by;
}

template <int FORM, int MODE>
static __device__ __forceinline__ void
cut_steps(struct product_cut &cut, const struct product_job &j, const struct choice<true> &c)
{
    cut.n_unit = c.n * j.row_units.by;
    cut.step = j.box * c.n_box, cut.n_step = c.n_step;
    cut.stage = shape_of(unit<FORM>::scale_bytes, j.box, c.n_box);
    cut.x_each = units_each(cut.step, near_units(FORM, true));
    cut.x_depth = x_depth(FORM, MODE, cut.x_each, cut.n_step, tokens_of<MODE == ONE>(j), IS_SMALL);
}

template <int FORM, int MODE, bool MIX>
static __device__ __forceinline__ struct product_cut cut_of(const struct product_job &j,
                                                            const struct choice<MIX> &c)
{
    struct product_cut cut = j.cut;
    if constexpr (MIX) {
        if (is_mixed<MIX>(j, END_GATE)) cut_rows(cut, j, c);
        if (is_mixed<MIX>(j, END_ADD)) cut_steps<FORM, MODE>(cut, j, c);
    }
    return cut;
}

// Which of the matrices that stand side by side has unit u.
static __device__ __forceinline__ int matrix_of(const struct product_job &j, unsigned u)
{
    return quotient((int)u, j.row_units);
}

// The warps that multiply meet among themselves; 1 is attention's barrier (cuda_attend.h).
static __device__ __forceinline__ void block_sync()
{
    barrier(2, THREADS);
}

// The sums of a group of tiles, which the warps that multiply leave for the one that ends jobs, are
// [warp][tile][row][token]. There are two places for them, of 8 tokens one.
enum { SUMS_PLACES = 2 };

template <int MODE> struct sums_room {
    static constexpr int n = ROOM_FOR_SUMS / sums_bytes(MODE) > 1 ? SUMS_PLACES : 1;
    unsigned char *at;
    struct handed *sync; // [SUMS_PLACES]
    unsigned turn;       // the place of the next group
    unsigned phases;     // a bit for each place: of what is awaited next
    unsigned lent;       // and whether it has not come back
};

// The sum of row r of tile t; or of row r of the group, with t 0.
template <int MODE>
static __device__ __forceinline__ float *sum_at(float *sums, int warp, int t, int r, int token)
{
    return sums + ((warp * TILES + t) * 16 + r) * sum_tokens(MODE) + token;
}

template <int MODE>
static __device__ __forceinline__ float *sums_at(const struct sums_room<MODE> &s)
{
    return (float *)(s.at + s.turn * (unsigned)sums_bytes(MODE));
}

template <int MODE> static __device__ __forceinline__ void sums_turn(struct sums_room<MODE> &s)
{
    s.turn = (s.turn + 1) % s.n;
}

// Waits until the place has been taken (who multiplies) or made (who ends).
template <int MODE>
static __device__ __forceinline__ void sums_wait(struct sums_room<MODE> &s,
                                                 unsigned long long handed::*which, unsigned place)
{
    sync_wait(&(s.sync[place].*which), s.phases >> place & 1);
    s.phases ^= 1u << place;
}

template <int MODE>
static __device__ __forceinline__ void take_back(struct sums_room<MODE> &s, unsigned place)
{
    if (!(s.lent >> place & 1)) return;
    sums_wait(s, &handed::taken, place);
    s.lent &= ~(1u << place);
}

// Before their places are used for something else.
template <int MODE> static __device__ __forceinline__ void take_all_back(struct sums_room<MODE> &s)
{
    for (unsigned i = 0; i < (unsigned)s.n; i++) take_back(s, i);
}

// Before the whole room is, where other warps may still have copies of x under way.
template <int MODE> static __device__ __forceinline__ void take_room(struct sums_room<MODE> &s)
{
    if (!s.lent) return; // since all met behind the job before
    take_all_back(s);
    block_sync();
}

template <int MODE> static __device__ __forceinline__ void lend(struct sums_room<MODE> &s)
{
    sync_arrive(&s.sync[s.turn].made);
    s.lent |= 1u << s.turn;
    sums_turn(s);
}

// The words of jobs, which the warp that prepares brings to shared memory two jobs ahead: what is
// read of them in the second-level cache comes behind the weights. Those who ask are further ahead,
// and bring their own.

enum { SLOTS = 4 };

struct job_slots {
    struct step_job job[SLOTS];
    struct handed sync[SLOTS];
};

enum { JOB_READERS = 32 * (WARPS + 1) }; // those that multiply and the one that ends

// Job i, once it is there.
static __device__ __forceinline__ const struct step_job &job_of(struct job_slots &s, int i)
{
    sync_wait(&s.sync[i % SLOTS].made, (unsigned)i / SLOTS % 2);
    return s.job[i % SLOTS];
}

// One of its readers does not need it any more.
static __device__ __forceinline__ void job_done(struct job_slots &s, int i)
{
    sync_arrive(&s.sync[i % SLOTS].taken);
}

// A warp asks for job i, if there is one, and sees to it that the one before is there.
static __device__ __forceinline__ void bring_job(struct job_slots &s, const struct step_job *jobs,
                                                 int i, int n_job, int lane)
{
    __syncwarp(); // this warp reads words, too
    if (i < n_job) {
        sync_wait(&s.sync[i % SLOTS].taken, (unsigned)i / SLOTS % 2 ^ 1);
        if (lane < JOB_PIECES)
            copy_16((uint4 *)&s.job[i % SLOTS] + lane, (const uint4 *)(jobs + i) + lane);
    }
    copy_commit();
    copy_wait<1>();
    if (i - 1 < n_job) sync_arrive(&s.sync[(i - 1) % SLOTS].made);
}
