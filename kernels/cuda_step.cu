// Decode steps: what a model does with up to 8 tokens, as a list of jobs that one resident kernel
// works through. A job is a product y [n_token, n_row] = x W^T with what a layer does with y, or
// the attention of one layer (cuda_attend.h). Operations that are recorded (k_ops.replay) are
// listed, and a list is one launch; outside recordings every operation is a list of one.
//
// Bound by the bytes of W, each read once: the matrices of an 8B model in e4m3 are 7 GB, 1.6 ms at
// 4.4 TB/s (H200) and 30 ms at 233 GB/s (GB10). Everything here serves keeping enough bytes in
// flight all the time:
//
// - One block on each multiprocessor stays for the whole list, so its stream of weights never ends:
//   weights depend on nothing, and while the blocks wait for each other between two jobs, the next
//   job's weights arrive. A ring of 148 KB is 4 us of an H200's memory; a wait is 1 to 2.
// - Two warps do nothing but ask for weights: one instruction brings what a step has of eight rows
//   (cp.async.bulk.tensor, cuda_maps.h). A copy for each row would be asked for one after another,
//   175 cycles each, and that alone was as slow as the memory. A stage of the ring is one step of
//   one tile, and as long as it has to be.
// - One more warp prepares what would hold the others up: norms' factors, and what the ends of jobs
//   take, which it brings near. Code that runs once for a job comes from far, so whatever a warp
//   apart can do, the warps that multiply do not.
// - Rows are divided evenly, to a row: a tile may be ragged, but every block has as many bytes, up
//   to the seven rows that a box brings too many and the second-level cache has.
// - What a warp needs of x it copies to shared memory some steps ahead, and what a result takes
//   (scales, the residual) is asked for before the product begins: whatever comes from the
//   second-level cache waits behind the weights. While all wait for that, fewer are asked for.
// - The 16 rows of a tile and 8 warps that divide its columns; all tokens go through the tensor
//   cores as one block of 8 columns, so 8 tokens cost what one costs. With bf16 weights and up to 4
//   tokens the low halves of x ride in the columns that would be empty. With one token and FP4 the
//   columns are the blocks of a row that the lanes hold, so that scales are applied to sums.
// - What follows a product happens on its sums: residual, gated activation, the next norm's gain
//   and squares, the short numbers that go on.
// - The warps that multiply take registers from the others (setmaxnreg), so that hardly anything is
//   spilled (on sm_121a nothing; on sm_90a some words of FP4 with experts or many tokens): what
//   comes back from local memory waits behind the weights, too.
// - x stays in registers while the tiles of a group go by.
//
// With experts (a kernel of its own, MIX) a job for the router's scores comes first; then every
// block chooses for itself, and only then is the next weight known, so the warps that ask wait for
// it. The experts that any token chose are one product: gate and up tile after tile, down side by
// side, its columns being those of all of them. A token meets those that it chose only.
//
// A job waits for the numbers that it takes, not for other blocks: the lowest bit of each says
// whether it has been written this time or last, since writers of a buffer give it 0 and 1 in turn
// (synchronise). That is one way through the second-level cache where a fence, a counter and then
// the numbers would be three. A list's first use of a buffer cannot tell, and of more than 4 tokens
// asking again and again is too much: there all blocks meet. They can, because all of them are on
// the GPU at the same time: there is one for each multiprocessor, each needs most of one, and what
// was launched before ends without them. A product whose x was there before the list, and whose
// results nobody has read yet, begins at once.
//
// Sums are added in an order that depends on the shape and the number of multiprocessors alone:
// results repeat bit for bit.
#include "kernels/cuda_attend.h"
#include "kernels/cuda_experts.h"
#include "kernels/cuda_maps.h"
#include "kernels/cuda_unpack.h"

#include <algorithm>
#include <cassert>
#include <climits>
#include <vector>

enum {
    WARPS = 8, // that multiply
    THREADS = 32 * WARPS,
    ASKERS = 2,                // warps that ask for weights: each for half of a tile's rows
    PREPARER = WARPS + ASKERS, // one that prepares what the others would wait for
    BLOCK = THREADS + 128,     // registers move between groups of four warps
    HALF_ROWS = 8,
    PARTS_MAX = 3,
    TILES = 4
};

// Registers of a thread that multiplies and of one that does not; a launch gives 168 to each, of
// which the others, who find their way through experts, need more where there are some.
static constexpr __host__ __device__ int registers(bool is_fp4, bool is_wide, bool mix)
{
    return !mix ? 224 : is_fp4 && (IS_SMALL || !is_wide) ? 208 : 216;
}

// A piece of a row is 128 bytes, two units (cuda_unpack.h). Units of a row that a warp has in a
// stage, at most.
enum { PIECE_UNITS = 2, PIECE_BYTES = PIECE_UNITS * UNIT_BYTES };

static constexpr __host__ __device__ int units_most(int form, bool mix, bool small)
{
    return small ? 2 : !mix && (form == W_NVFP4 || form == W_MXFP4) ? 5 : 4;
}

// Experts with biases and clamped gates come in these forms only (gpt-oss, as published and in
// bf16); of others they are not in the kernels, whose code is long enough, and not taken here.
static constexpr __host__ __device__ bool may_have_biases(int form)
{
    return form == W_BF16 || form == W_MXFP4;
}

// How many tokens there are: one, up to 4, up to 8.
enum mode { ONE, FEW, WIDE, N_MODE };

// What the columns of a product's x are: tokens, or, of one and FP4 weights, each lane's blocks.
static constexpr __host__ __device__ bool by_blocks(int form, int mode)
{
    return mode == ONE && (form == W_NVFP4 || form == W_MXFP4);
}

// Short numbers that x is the sum of.
static constexpr __host__ __device__ int x_halves(int form, int mode)
{
    return form == W_BF16 && mode != WIDE ? 2 : 1;
}

// Experts that all tokens of a step may choose together, and that a layer may have.
enum { CHOSEN_MAX = 96, USED_MAX = 16, EXPERTS_MAX = 512, NO_RANK = 255 };

enum job_kind { JOB_PRODUCT, JOB_ATTEND, JOB_SCORES };
enum ending { END_STORE, END_GATE, END_ADD };

// One matrix of a product. Rows of all matrices are numbered through.
struct part {
    const unsigned char *data, *block;
    const float *scale, *bias;
    float *out;
    int n_row, first;
    bool add;
};

struct product_job {
    struct part part[PARTS_MAX];
    int n_part, n_row, n_col, n_token; // END_GATE: n_row of one part
    int box, n_step;                   // units of a row that a step has, and steps
    unsigned inverse;                  // of the units of a row of one matrix, times 2^32
    int n_each, n_more;                // every block has n_each rows, the first n_more have another
    enum ending ending;
    // x
    const uint16_t *hi, *lo; // of the kind that the weights' form wants
    const float *sums;
    int n_sum, norm_dim;
    float eps;
    // END_GATE: rows 0..7 of a tile are of part 0, 8..15 of part 1; END_ADD: the next norm's input
    struct short_out next;
    float *next_sums;
    const float *gain;
    // With experts. END_GATE: the parts are those of every chosen one, and n_row is of one, as many
    // as END_ADD has columns; next has rows [n_token, n_used]. END_ADD: x has such rows, and n_col
    // is of one, in whole units. Rows that a part lacks are zeros, and so is what becomes of them.
    // Biases of parts are those of all experts.
    const struct k_matrix *experts; // a list, or NULL
    const struct weight_maps *expert_maps;
    int side_each, side_max;  // of what stands side by side: boxes of a row, of a step at most
    unsigned box_inverse;     // of a box's units, times 2^32
    const float *scores;      // [n_token, n_expert], without norm and bias
    const float *router_bias; // [n_expert], or NULL
    struct k_gating gating;   // END_GATE, with or without
    int n_expert, n_used;
    bool normalise;
    bool chooses;               // else the job before has
    bool goes_on;               // the next job waits for nothing
    unsigned n_before;          // choices of the list before this one
    enum short_parts parts_out; // of next
    // Tags (NO_TAG: what is read was there before; what is written nobody waits for).
    unsigned want, want_scores, leave;
};

// The scores of experts: a product of few rows, by all blocks. The norm's factor and the bias are
// left to the choice, which has the one before anybody needs it.
struct scores_job {
    const uint16_t *w; // bf16 [n_expert, n_col]
    const float *scale;
    int n_expert, n_col, n_token;
    struct short_out x; // both halves of the kind that the list's form wants
    float *out;         // [n_token, n_expert]
    unsigned want, leave;
};

struct alignas(16) step_job {
    enum job_kind kind;
    unsigned meeting; // all blocks meet before it, for the meeting-th time; 0: they do not
    union {
        struct product_job product;
        struct attend_job attend;
        struct scores_job scores;
    };
};

static_assert(sizeof(struct step_job) <= 32 * SECTOR, "a warp brings one near");

// Where blocks meet: how many have arrived in all, and how many are done with the list. Zero
// between launches.
struct step_sync {
    unsigned arrived, done;
};

struct step_list {
    const struct step_job *jobs;    // NULL: `only` is all
    const struct weight_maps *maps; // [n][PARTS_MAX], or NULL: `only_maps`
    int n;
    struct step_sync *sync;
    struct step_job only;
    struct weight_maps only_maps[PARTS_MAX];
};

// The ring: what has been asked for and not been taken yet, one stage after another, each as long
// as it has to be. A stage is one step of a tile: [half][piece][8 rows][128 bytes] as cuda_maps.h
// says, then the scales of blocks [half][box][8 rows][pitch].
// With experts a block's choice takes some room; x of many tokens does.
static constexpr __host__ __device__ int ring_bytes(int mode, bool mix, bool small)
{
    return (small ? 38 : 148 - (mix ? 8 : 0) - (mode == WIDE ? 8 : 0)) << 10;
}

enum { STAGES = 8 }; // in the ring, at most
constexpr unsigned STAGE_ALIGN = (unsigned)HALF_ROWS * (unsigned)PIECE_BYTES;

// Bytes that are asked for and not there yet are all that the ring has room for. But that is a
// queue in which everything else waits (x, results, and the counter at which blocks meet), so while
// others wait for something (CALM) one stage is asked for at a time, or what is less than this.
enum { IN_FLIGHT_CALM = IS_SMALL ? 19 << 10 : 9 << 10 };

// Scales of a row, `n_unit` of its units, lie an odd number of 16 bytes apart, so that the same
// scale of 8 rows is in different banks.
static constexpr __host__ __device__ unsigned scale_pitch(int scale_bytes, int n_unit)
{
    return scale_bytes ? ((unsigned)(n_unit * scale_bytes + 15) / 16 | 1) * 16 : 0;
}

struct stage_shape {
    unsigned half, pitch, box_scales, half_scales, size; // bytes
};

static constexpr __host__ __device__ struct stage_shape shape_of(int scale_bytes, int box,
                                                                 int n_box)
{
    unsigned pitch = scale_pitch(scale_bytes, box), n = (unsigned)n_box,
             half = (unsigned)box * n * HALF_ROWS * UNIT_BYTES,
             size = 2 * half + 2 * n * HALF_ROWS * pitch;
    return {half, pitch, HALF_ROWS * pitch, n * HALF_ROWS * pitch,
            (size + STAGE_ALIGN - 1) / STAGE_ALIGN * STAGE_ALIGN};
}

// Half of the ring at most, so that there is room for a stage whatever is left at the end.
static constexpr bool fits(bool small)
{
    int n = WARPS * units_most(W_NVFP4, false, small);
    return 2 * shape_of(8, PIECE_UNITS, n / PIECE_UNITS).size <=
           (unsigned)ring_bytes(WIDE, true, small);
}
static_assert(fits(false) && fits(true), "two stages fit the ring");

struct stage_sync {
    unsigned long long full, empty;
};

// What some warps make for others again and again. Every lane arrives that has written or read some
// of it: arrivals of one lane for all of its warp are as good, but compute-sanitizer takes them for
// nobody else's.
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
    struct handed sync;
    int n;     // experts that any token chose, in order of their indices
    int n_box; // of a step of their matrices that stand side by side
    struct expert_place place[CHOSEN_MAX];
    unsigned short expert[CHOSEN_MAX];          // which they are
    unsigned char rank[CHOSEN_MAX][FEW_TOKENS]; // the expert's among the token's own, or NO_RANK
    float weight[FEW_TOKENS][USED_MAX];
    float top[FEW_TOKENS];                             // the best score
    unsigned chosen[FEW_TOKENS + 1][EXPERTS_MAX / 32]; // a bit for each expert; the last: by any
};

// Where there is one token, nothing has to look how many there are.
template <int MODE, typename JOB> static __device__ __forceinline__ int tokens_of(const JOB &j)
{
    return MODE == ONE ? 1 : j.n_token;
}

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
template <bool MIX>
static __device__ __forceinline__ int rows_before(const struct product_job &j,
                                                  const struct choice<MIX> &c, unsigned block)
{
    if constexpr (MIX)
        if (is_mixed<MIX>(j, END_GATE)) {
            unsigned n = (unsigned)c.n * (unsigned)j.n_row;
            return (int)(block * (n / gridDim.x) + min(block, n % gridDim.x));
        }
    return (int)block * j.n_each + min((int)block, j.n_more);
}

// Rows of a tile: a gate's has as many of either part.
static __device__ __forceinline__ int tile_rows(const struct product_job &j)
{
    return j.ending == END_GATE ? 8 : 16;
}

// Neighbouring rows of one part, in up to TILES tiles that are multiplied side by side; the last
// may have fewer rows than a tile.
struct group {
    int p, row, n_row; // the part, its first row, how many
    int n;             // tiles
    int u;             // END_GATE with experts: of the chosen ones
};

template <bool MIX>
static __device__ __forceinline__ struct group group_of(const struct product_job &j, int row,
                                                        int end)
{
    struct group g = {0, row, 0, 0, 0};
    int last = end, in_tile = tile_rows(j);
    if (is_mixed<MIX>(j, END_GATE)) {
        g.u = row / j.n_row;
        g.row = row - g.u * j.n_row;
        last = (g.u + 1) * j.n_row;
    } else if (j.ending != END_GATE) {
        if (j.n_part > 1 && row >= j.part[1].first) g.p = 1;
        if (j.n_part > 2 && row >= j.part[2].first) g.p = 2;
        if (g.p + 1 < j.n_part) last = j.part[g.p + 1].first;
        g.row = row - j.part[g.p].first;
    }
    // What does not fill a group comes first: the rows that a box has beyond it are the next
    // group's, which asks for them at once.
    int left = min(end, last) - row;
    g.n_row = left % (TILES * in_tile);
    if (!g.n_row) g.n_row = TILES * in_tile;
    g.n = (g.n_row + in_tile - 1) / in_tile;
    return g;
}

// A warp's units of a row. Pairs of them are neighbours where their sums have scales of their own:
// a pair shares them.
static constexpr __host__ __device__ int near_units(int form, bool mix)
{
    return mix || form == W_E4M3_BLOCK ? 2 : 1;
}

// Units of a step that a warp has at most.
static constexpr __host__ __device__ int units_each(int step, int near)
{
    return (step + WARPS * near - 1) / (WARPS * near) * near;
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

// Full: the copies of a stage have arrived. Empty: the warps have taken what was in it.

static __device__ __forceinline__ void sync_wait(unsigned long long *s, unsigned phase)
{
    struct patience p = {0, 0};
    while (!sync_try(s, phase)) be_patient(p);
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

// Units of a row of one matrix: whole pieces. A row of FP4 may end within them. What copies bring
// behind its end is of other rows, and its scales there are 0, as is x (x_pieces).
static constexpr __host__ __device__ int units_of(int n_col, int columns)
{
    return (n_col + PIECE_UNITS * columns - 1) / (PIECE_UNITS * columns) * PIECE_UNITS;
}

template <int FORM> static __device__ __forceinline__ int units_of_row(const struct product_job &j)
{
    return units_of(j.n_col, unit<FORM>::columns);
}

// Whether units are more than the columns of a row of x: of experts' gate and up (takes_expert).
template <int FORM, bool MIX>
static __device__ __forceinline__ bool is_ragged(const struct product_job &j)
{
    return MIX && unit<FORM>::is_fp4 && j.n_col % (PIECE_UNITS * unit<FORM>::columns);
}

// And of a row of the job.
template <int FORM, bool MIX>
static __device__ __forceinline__ int units_all(const struct product_job &j,
                                                const struct choice<MIX> &c)
{
    if constexpr (MIX)
        if (is_mixed<MIX>(j, END_ADD)) return c.n * units_of_row<FORM>(j);
    return units_of_row<FORM>(j);
}

// Boxes of a step, and the units of each.
template <bool MIX>
static __device__ __forceinline__ int boxes_of_step(const struct product_job &j,
                                                    const struct choice<MIX> &c)
{
    if constexpr (MIX)
        if (is_mixed<MIX>(j, END_ADD)) return c.n_box;
    return 1;
}

template <bool MIX>
static __device__ __forceinline__ int units_of_step(const struct product_job &j,
                                                    const struct choice<MIX> &c)
{
    return j.box * boxes_of_step(j, c);
}

// Which of the matrices that stand side by side has unit u.
static __device__ __forceinline__ int matrix_of(const struct product_job &j, unsigned u)
{
    return (int)__umulhi(u, j.inverse);
}

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
                                                 const struct choice<true> &c, int asker, int lane)
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
        unsigned row_bytes = (unsigned)units_of_row<FORM>(j) * UNIT_BYTES;
        int end = rows_before(j, c, blockIdx.x + 1), n_part = j.ending == END_GATE ? 2 : 1;
        struct group g;
        for (int row = rows_before(j, c, blockIdx.x); row < end && left > 0; row += g.n_row) {
            g = group_of<true>(j, row, end);
            for (int p = 0; p < n_part; p++)
                for (int r = asker * 32 + lane; r < g.n_row; r += ASKERS * 32)
                    bring_near(j.part[g.p + p].data + (size_t)(unsigned)(g.row + r) * row_bytes,
                               row_bytes);
            left -= (int)row_bytes * n_part * g.n_row;
        }
    }
}

// A hint between the warps of a block: others wait for memory.

static __device__ __forceinline__ void set_hint(unsigned *hint, unsigned value)
{
    atomicExch(hint, value);
}

static __device__ __forceinline__ bool is_set(unsigned *hint)
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

// Waits until there is room for a stage; where it begins.
template <int MODE, bool MIX>
static __device__ __forceinline__ unsigned
make_room(struct asker<MODE, MIX> &a, struct stage_sync *sync, unsigned size, unsigned *calm)
{
    constexpr unsigned all = ring_at<MODE, MIX>::all;
    unsigned used = size + (a.ring.at + size > all ? all - a.ring.at : 0);
    while (a.flying && a.flying + size > (is_set(calm) ? (unsigned)IN_FLIGHT_CALM : all)) {
        sync_wait(&sync[stage_of(a.landed)].full, phase_of(a.landed));
        one_landed(a);
    }
    while (a.free < used || a.ring.n - a.oldest == STAGES) {
        sync_wait(&sync[stage_of(a.oldest)].empty, phase_of(a.oldest));
        if (a.landed == a.oldest) one_landed(a);
        a.free += a.sizes[stage_of(a.oldest)];
        a.oldest++;
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
        const struct group &g, int t, int half, unsigned first, unsigned n_unit,
        const struct stage_shape &shape, unsigned char *stage, unsigned long long *full)
{
    bool gate = j.ending == END_GATE;
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
            unsigned n = min((unsigned)c.n_box, (n_unit - first) / box),
                     each = (unsigned)units_of_row<FORM>(j);
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
    int end = rows_before(j, c, blockIdx.x + 1);
    unsigned n_unit = (unsigned)units_all<FORM>(j, c), step = (unsigned)units_of_step(j, c);
    struct stage_shape shape = shape_of(unit<FORM>::scale_bytes, j.box, boxes_of_step(j, c));
    struct group g;
    for (int row = rows_before(j, c, blockIdx.x); row < end; row += g.n_row) {
        g = group_of<MIX>(j, row, end);
        for (unsigned first = 0; first < n_unit; first += step)
            for (int t = 0; t < g.n; t++) {
                unsigned long long *full = &sync[stage_of(a.ring.n)].full;
                unsigned at = make_room(a, sync, shape.size, calm);
                ask_for<FORM>(j, c, maps, g, t, half, first, n_unit, shape, ring + at, full);
            }
    }
}

template <int FORM, int MODE, bool MIX>
static __device__ void run_loader(const struct step_job *jobs, const struct weight_maps *maps,
                                  int n_job, unsigned char *ring, struct stage_sync *sync,
                                  unsigned *sizes, struct choice<MIX> &c, int half, int lane,
                                  unsigned *calm)
{
    struct asker<MODE, MIX> a = {
        {0, 0}, 0, 0, ring_at<MODE, MIX>::all, 0, sizes
    };
    for (int i = 0; i < n_job; i++) {
        __syncwarp(); // every lane is done with the job before
        for (int k = i + 1; k < n_job && k <= i + 2; k++)
            if (lane * SECTOR < (int)sizeof *jobs)
                bring_sector_near((const char *)(jobs + k) + lane * SECTOR);
        if (jobs[i].kind != JOB_PRODUCT) continue;
        const struct product_job &j = jobs[i].product;
        if constexpr (MIX)
            if (is_mixed<MIX>(j) && j.chooses) {
                if (j.n_before) sync_arrive(&c.sync.taken);
                ask_ahead<FORM>(jobs, i + 1, n_job, c, half, lane);
                sync_wait(&c.sync.made, j.n_before % 2);
                if (half == 0 && lane < c.n) { // the next job's
                    bring_map_near(&c.place[lane].maps[EXPERT_DOWN].data);
                    if (unit<FORM>::is_fp4) bring_map_near(&c.place[lane].maps[EXPERT_DOWN].scales);
                }
            }
        // Maps of the next jobs. Attention has none.
        for (int k = i + 1; half == 1 && k < n_job && k <= i + 2; k++)
            if (jobs[k].kind == JOB_PRODUCT && lane < jobs[k].product.n_part) {
                bring_map_near(&maps[k * PARTS_MAX + lane].data);
                if (unit<FORM>::is_fp4) bring_map_near(&maps[k * PARTS_MAX + lane].scales);
            }
        if (lane == 0) ask_for_job<FORM>(j, c, maps + i * PARTS_MAX, a, half, ring, sync, calm);
    }
}

// A lane's columns of x for one unit, of column g = lane / 4 of the product.
template <int FORM> struct fragment {
    unsigned v[2 * unit<FORM>::steps];
};

// A warp's own ring of x, [unit][token][half][columns of a unit] for each step. Where it holds all
// steps of a job they are copied once, for all groups of tiles.
constexpr __host__ __device__ int x_ring_bytes(int mode, bool small)
{
    return small ? 4096 : mode == WIDE ? 8192 : 7680;
}

template <int FORM, int MODE> struct x_ring {
    static constexpr int room = x_ring_bytes(MODE, IS_SMALL);
    static constexpr int halves = x_halves(FORM, MODE);
    static constexpr int pieces = unit<FORM>::columns / 8; // of a half
    static constexpr int token_bytes = halves * unit<FORM>::columns * 2;
    unsigned char *at;            // of `room` bytes
    int per;                      // units of a step that a warp has
    int unit_bytes;               // of all tokens
    int depth, n_step;            // steps that it holds; steps of a group of tiles
    int from, to;                 // the steps that come next
    int step, taken;              // of the next load; that have been taken of a group of tiles
    bool whole;                   // all steps are there, or asked for
    bool fresh;                   // what was read may not have been written yet
    const unsigned char *lane_at; // a lane's columns of the first unit
    bool lane_has;                // any
    int turn;                     // x_turn
};

// Whose x a lane has columns of.
template <int FORM, int MODE> static __device__ __forceinline__ int lane_token(int lane)
{
    return by_blocks(FORM, MODE) ? 0 : x_halves(FORM, MODE) == 2 ? lane / 4 % 4 : lane / 4;
}

// Where unit u of a token's x begins, and with which column of the row; false: the token does not
// meet that expert.
template <int FORM, int MODE, bool MIX>
static __device__ __forceinline__ bool x_place(const struct product_job &j,
                                               const struct choice<MIX> &c, int u, int token,
                                               size_t *at, int *column)
{
    unsigned row = (unsigned)token;
    if constexpr (MIX)
        if (tokens_of<MODE>(j) > 1 &&
            is_mixed<MIX>(j, END_ADD)) { // one token's are one after another
            int each = units_of_row<FORM>(j), expert = matrix_of(j, (unsigned)u),
                rank = c.rank[expert][token];
            if (rank == NO_RANK) return false;
            row = row * (unsigned)j.n_used + (unsigned)rank;
            u -= expert * each;
        }
    *column = u * unit<FORM>::columns;
    *at = (size_t)row * (unsigned)j.n_col + (unsigned)*column;
    return true;
}

// A lane's pieces of 16 bytes are exchanged in pairs, so that the eight lanes that are served
// together, four of two tokens each, meet different banks: piece i of the lane that is the
// `lane`-th of its token stands where i ^ x_turn is.
template <int FORM> static __device__ __forceinline__ int x_turn(int lane, int token)
{
    constexpr int n = unit<FORM>::lane_columns / 8;
    return (n == 4 ? lane / 2 : 0) ^ token % 2 * (n / 2);
}

// A lane's pieces of step i of a group, which are or belong in the ring's place `to`: each(in the
// ring, where they come from, whether there are such columns).
template <int FORM, int MODE, bool MIX, typename EACH>
static __device__ __forceinline__ void
x_pieces(const struct x_ring<FORM, MODE> &r, const struct product_job &j,
         const struct choice<MIX> &c, int i_step, int i_to, int warp, int lane, EACH each)
{
    // 32 pieces at a time, of [unit][half][piece]. Nothing is unrolled: code that runs once for a
    // job has to come from far.
    constexpr int of_unit = r.halves * r.pieces, at_once = 32 / of_unit;
    typedef units_of_warp<FORM, MIX> mine;
    int step = units_of_step(j, c), first = i_step * step,
        end = min(first + step, units_all<FORM>(j, c));
    constexpr int of_lane = unit<FORM>::lane_columns / 8;
    int k = lane / of_unit, half = lane / r.pieces % r.halves, piece = lane % r.pieces;
    unsigned char *to = r.at + i_to * r.per * r.unit_bytes + half * r.pieces * 16;
    const uint16_t *x = (half ? j.lo : j.hi) + piece * 8;
#pragma unroll 1
    for (int token = 0; token < tokens_of<MODE>(j); token++) {
        int place = (piece ^ x_turn<FORM>(piece / of_lane, token)) * 16 + token * r.token_bytes;
#pragma unroll 1
        for (int i = k; i < r.per; i += at_once) {
            int u = first + mine::place(i, warp), column;
            size_t from;
            if (u >= end) break; // so are those that follow
            if (!x_place<FORM, MODE>(j, c, u, token, &from, &column)) continue;
            each(to + i * r.unit_bytes + place, x + from,
                 !is_ragged<FORM, MIX>(j) || column + piece * 8 < j.n_col);
        }
    }
}

// Asks for the next step; after a group's last comes the first of the next group, if there is one.
template <int FORM, int MODE, bool MIX>
static __device__ __forceinline__ void x_load(struct x_ring<FORM, MODE> &r,
                                              const struct product_job &j,
                                              const struct choice<MIX> &c, int warp, int lane)
{
    x_pieces(r, j, c, r.step, r.to, warp, lane,
             [](unsigned char *to, const uint16_t *from, bool exists) {
                 if constexpr (MIX && unit<FORM>::is_fp4)
                     copy_16_or_zeros(to, from, exists);
                 else
                     copy_16(to, from);
             });
    copy_commit();
    if (++r.to == r.depth) r.to = 0;
    if (++r.step == r.n_step) r.step = 0;
}

static __device__ __forceinline__ bool all_tagged(uint4 eight, unsigned tag)
{
    const unsigned both = 0x00010001u, tags = tag * both;
    return !(((eight.x ^ tags) | (eight.y ^ tags) | (eight.z ^ tags) | (eight.w ^ tags)) & both);
}

template <int FORM, int MODE, bool MIX>
static __device__ __forceinline__ void
x_start(struct x_ring<FORM, MODE> &r, const struct product_job &j, const struct choice<MIX> &c,
        unsigned char *at, int warp, int lane)
{
    int token = lane_token<FORM, MODE>(lane), g = lane / 4;
    int row = r.halves == 2 ? token * 2 + g / 4 : token;
    // Of the columns of a product: every second one is of a lane's own blocks.
    bool exists = token < tokens_of<MODE>(j) && (!by_blocks(FORM, MODE) || lane % 4 * 2 == g);
    r.at = at;
    r.lane_at = at + (row * unit<FORM>::columns + lane % 4 * unit<FORM>::lane_columns) * 2;
    r.lane_has = exists, r.turn = x_turn<FORM>(lane % 4, token);
    int step = units_of_step(j, c);
    r.per = units_each(step, units_of_warp<FORM, MIX>::near);
    r.unit_bytes = tokens_of<MODE>(j) * r.token_bytes;
    r.n_step = j.n_step;
    if constexpr (MIX)
        if (is_mixed<MIX>(j, END_ADD)) r.n_step = (units_all<FORM>(j, c) + step - 1) / step;
    int n_bytes = r.per * r.unit_bytes;
    r.whole = r.n_step * n_bytes <= r.room;
    r.depth = r.whole                 ? r.n_step
              : n_bytes <= r.room / 8 ? 8
              : n_bytes <= r.room / 4 ? 4
              : n_bytes <= r.room / 2 ? 2
                                      : 1;
    r.from = r.to = r.step = r.taken = 0;
    r.fresh = j.want != NO_TAG;
    for (int i = 0; i < r.depth; i++) x_load(r, j, c, warp, lane);
}

// Waits for the next step's columns. Of those that had not been written when they were read a lane
// asks again and again for its own pieces.
template <int FORM, int MODE, bool MIX>
static __device__ __forceinline__ void x_wait(const struct x_ring<FORM, MODE> &r,
                                              const struct product_job &j,
                                              const struct choice<MIX> &c, int warp, int lane)
{
    if (r.whole) {
        copy_wait<0>(); // all were asked for together
    } else {
        if (r.depth == 8) copy_wait<7>();
        if (r.depth == 4) copy_wait<3>();
        if (r.depth == 2) copy_wait<1>();
        if (r.depth == 1) copy_wait<0>();
    }
    struct patience p = {0, 0};
    while (r.fresh) {
        bool missing = false;
        x_pieces(r, j, c, r.taken, r.from, warp, lane,
                 [&](unsigned char *to, const uint16_t *from, bool exists) {
                     if (!exists || all_tagged(*(const uint4 *)to, j.want)) return;
                     missing = true;
                     copy_16(to, from);
                 });
        if (!__any_sync(~0u, missing)) break;
        copy_commit();
        copy_wait<0>();
        be_patient(p);
    }
    __syncwarp();
}

template <int FORM> static __device__ __forceinline__ void keep_fragment(struct fragment<FORM> &f)
{
#pragma unroll
    for (unsigned &v : f.v) keep_number(v);
}

// A lane's columns of one unit.
template <int FORM>
static __device__ __forceinline__ void x_read(struct fragment<FORM> &f, const unsigned char *from,
                                              int turn)
{
#pragma unroll
    for (int i = 0; i < unit<FORM>::lane_columns / 8; i++) {
        uint4 v = ((const uint4 *)from)[i ^ turn];
        f.v[4 * i] = v.x, f.v[4 * i + 1] = v.y;
        f.v[4 * i + 2] = v.z, f.v[4 * i + 3] = v.w;
    }
}

// Unit k of them, which is unit u of the job. Lanes without columns keep what they have: zeros.
template <int FORM, int MODE, bool MIX>
static __device__ __forceinline__ void x_take(const struct x_ring<FORM, MODE> &r,
                                              struct fragment<FORM> &f, const struct product_job &j,
                                              const struct choice<MIX> &c, int k, int u, int lane)
{
    bool exists = r.lane_has;
    if constexpr (MIX)
        if (tokens_of<MODE>(j) > 1) { // one token has chosen all
            size_t at;
            int column;
            exists =
                exists && x_place<FORM, MODE>(j, c, u, lane_token<FORM, MODE>(lane), &at, &column);
            if (!exists) f = {};
        }
    if (exists) x_read<FORM>(f, r.lane_at + (r.from * r.per + k) * r.unit_bytes, r.turn);
}

// They are not needed any more.
template <int FORM, int MODE, bool MIX>
static __device__ __forceinline__ void x_done(struct x_ring<FORM, MODE> &r,
                                              const struct product_job &j,
                                              const struct choice<MIX> &c, int warp, int lane)
{
    if (++r.from == r.depth) r.from = 0;
    if (++r.taken == r.n_step) r.taken = 0, r.fresh = false;
    if (r.whole) return;
    __syncwarp();
    x_load(r, j, c, warp, lane);
}

// What a warp takes of a stage: a unit of the rows g and g + 8.
template <int FORM> struct raw_unit {
    uint4 row[2];
    unsigned scales[2];
};

// The row of its half that a lane has: those of the eight lanes that are served together, two rows,
// are four apart, so that these lanes meet different banks.
static __device__ __forceinline__ int row_of_lane(int lane)
{
    return lane / 4 % 2 * 4 + lane / 8;
}

// Where in a stage a lane finds its 16 bytes of the warp's first unit, in the first half's row, and
// the scales of that row.
struct lane_place {
    unsigned data, scales;
};

template <int FORM, bool MIX>
static __device__ __forceinline__ struct lane_place lane_place_of(const struct stage_shape &shape,
                                                                  int warp, int lane)
{
    unsigned r = (unsigned)row_of_lane(lane), t = (unsigned)lane % 4;
    struct lane_place at;
    unsigned u = (unsigned)units_of_warp<FORM, MIX>::place(0, warp);
    at.data = u / PIECE_UNITS * (HALF_ROWS * PIECE_BYTES) + r * PIECE_BYTES +
              ((u % PIECE_UNITS * 4 + t) ^ r) * 16;
    at.scales = 2 * shape.half + r * shape.pitch;
    return at;
}

// Unit k of a warp.
template <int FORM, bool MIX>
static __device__ __forceinline__ void
take_unit(struct raw_unit<FORM> &s, const unsigned char *stage, const struct stage_shape &shape,
          const struct lane_place &at, const struct product_job &j, int k, int warp, int lane)
{
    constexpr int near = units_of_warp<FORM, MIX>::near;
    // A pair is the two units of a piece, whose places differ in one bit; the next is behind those
    // of all warps. Alone, a warp's next unit is behind one of each warp, in the same half of a
    // piece.
    const unsigned char *row =
        stage + (at.data ^ (near == 2 ? (unsigned)k % 2 * 64 : 0)) +
        (near == 2 ? k / 2 * WARPS : k * (WARPS / PIECE_UNITS)) * HALF_ROWS * PIECE_BYTES;
    int place = units_of_warp<FORM, MIX>::place(k, warp);
    const unsigned char *scales = stage + at.scales + place * unit<FORM>::scale_bytes;
    if constexpr (MIX && unit<FORM>::is_fp4)
        if (is_mixed<MIX>(j, END_ADD)) {
            int box = (int)__umulhi((unsigned)place, j.box_inverse); // of those side by side
            scales += box * ((int)shape.box_scales - j.box * unit<FORM>::scale_bytes);
        }
#pragma unroll
    for (int h = 0; h < 2; h++) {
        s.row[h] = *(const uint4 *)(row + h * shape.half);
        s.scales[h] = lane_scales<FORM>(scales + h * shape.half_scales, lane % 4);
    }
}

// One token and FP4: column 2 t of a product is what lane t holds of a row's blocks, so that sums
// of one block are the lane's own, and take the block's scale. N units side by side: a product of
// tensor cores is awaited longer than the next ones' weights take to unpack.
template <int FORM, int N>
static __device__ __forceinline__ void
multiply_blocks(float sum[2], const struct raw_unit<FORM> *raw, const struct fragment<FORM> *f)
{
    float c[N][2][4]; // of either half of a lane's columns, with NVFP4 a block each
#pragma unroll
    for (int i = 0; i < 2; i++) {
        unsigned a[N][2][2][4];
#pragma unroll
        for (int u = 0; u < N; u++)
#pragma unroll
            for (int b = 0; b < 2; b++) {
                const uint4 &x = raw[u].row[0], &y = raw[u].row[1];
                const unsigned w[2][4] = {{x.x, x.y, x.z, x.w}, {y.x, y.y, y.z, y.w}};
                unsigned top[4], bottom[4];
                unpack_e2m1(w[0][2 * b + i], top);
                unpack_e2m1(w[1][2 * b + i], bottom);
#pragma unroll
                for (int s = 0; s < 2; s++) {
                    a[u][b][s][0] = top[2 * s], a[u][b][s][1] = bottom[2 * s];
                    a[u][b][s][2] = top[2 * s + 1], a[u][b][s][3] = bottom[2 * s + 1];
                }
            }
#pragma unroll
        for (int s = 0; s < 2; s++)
#pragma unroll
            for (int u = 0; u < N; u++)
#pragma unroll
                for (int b = 0; b < 2; b++) {
                    const unsigned *x = f[u].v + 4 * (2 * b + i) + 2 * s;
                    mma_unit<FORM>(i == 0 && s == 0, c[u][b], a[u][b][s], x[0], x[1]);
                }
    }
#pragma unroll
    for (int u = 0; u < N; u++)
#pragma unroll
        for (int r = 0; r < 2; r++) {
            float scale[2];
            lane_block_scales<FORM>(raw[u].scales[r], scale);
#pragma unroll
            for (int b = 0; b < 2; b++) sum[r] += c[u][b][2 * r] * scale[b];
        }
}

template <int FORM>
static __device__ __forceinline__ void multiply_unit(bool is_first, float sum[4],
                                                     const struct raw_unit<FORM> &raw,
                                                     const struct fragment<FORM> &f)
{
    constexpr int n = 2 * unit<FORM>::steps;
    unsigned top[n], bottom[n];
    unpack_row<FORM>(raw.row[0], raw.scales[0], top);
    unpack_row<FORM>(raw.row[1], raw.scales[1], bottom);
#pragma unroll
    for (int s = 0; s < n / 2; s++) {
        const unsigned a[4] = {top[2 * s], bottom[2 * s], top[2 * s + 1], bottom[2 * s + 1]};
        mma_unit<FORM>(is_first && s == 0, sum, a, f.v[2 * s], f.v[2 * s + 1]);
    }
}

// N units, 1 or 2. `block`: what the sums are multiplied with (SCALED), for the rows of either
// half.
template <int FORM, int MODE, bool SCALED, int N>
static __device__ __forceinline__ void multiply(float acc[4], const struct raw_unit<FORM> *raw,
                                                const struct fragment<FORM> *f,
                                                const float block[2])
{
    float c[2][4] = {}; // two chains of products are shorter than one
    constexpr bool of_blocks = by_blocks(FORM, MODE);
    if constexpr (of_blocks) {
        multiply_blocks<FORM, N>(SCALED ? c[0] : acc, raw, f);
    } else {
#pragma unroll
        for (int k = 0; k < N; k++) multiply_unit<FORM>(true, c[k], raw[k], f[k]);
    }
    if constexpr (!of_blocks || SCALED)
#pragma unroll
        for (int i = 0; i < (of_blocks ? 2 : 4); i++)
            acc[i] +=
                SCALED ? (c[0][i] + c[1][i]) * block[of_blocks ? i : i / 2] : c[0][i] + c[1][i];
}

// The scales of a lane's rows of a tile for a pair of units, the first of which is u, of blocks of
// 128 x 128. With experts also those of the rows of every chosen one's down, which the sums of all
// of them do not share.
template <int FORM, bool MIX>
static __device__ __forceinline__ void load_blocks(float block[2], const struct product_job &j,
                                                   const struct choice<MIX> &c,
                                                   const struct group &g, int t, int u, int lane)
{
    bool gate = j.ending == END_GATE, mixed = is_mixed<MIX>(j);
    int r = row_of_lane(lane),
        row[2] = {g.row + t * tile_rows(j) + r, g.row + t * tile_rows(j) + r + 8};
    unsigned across = (unsigned)(j.n_col + 127) / 128;
    unsigned each = (unsigned)units_of_row<FORM>(j),
             expert = mixed && !gate ? (unsigned)matrix_of(j, (unsigned)u) : 0;
    unsigned column = ((unsigned)u - expert * each) * (unsigned)unit<FORM>::columns / 128;
    const float *from[2] = {(const float *)j.part[g.p].block,
                            (const float *)j.part[gate ? 1 : g.p].block};
    block[0] = block[1] = 1;
    if (gate) row[1] = row[0];
    int last = j.part[gate ? 0 : g.p].n_row - 1;
#pragma unroll
    for (int k = 0; k < 2; k++) row[k] = min(row[k], last);
    if constexpr (MIX)
        if (mixed) {
            const struct expert_place &at = c.place[gate ? (unsigned)g.u : expert];
            int m[2] = {gate ? (int)EXPERT_GATE : (int)EXPERT_DOWN,
                        gate ? (int)EXPERT_UP : (int)EXPERT_DOWN};
            from[0] = (const float *)at.block[m[0]], from[1] = (const float *)at.block[m[1]];
            const float *scale = at.scale[EXPERT_DOWN];
            if (!gate && scale) block[0] = __ldg(scale + row[0]), block[1] = __ldg(scale + row[1]);
        }
    if constexpr (FORM == W_E4M3_BLOCK)
#pragma unroll
        for (int k = 0; k < 2; k++)
            block[k] *= __ldg(from[k] + (unsigned)row[k] / 128 * across + column);
}

// What one warp prepares for those that multiply, for whom code that runs once for a job is dear:
// the factors 1 / rms of norms, and scales, bias and gain in the second-level cache.

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

template <bool MIX>
static __device__ __forceinline__ void prefetch_ends(const struct product_job &j,
                                                     const struct choice<MIX> &c, int lane)
{
    int first = rows_before(j, c, blockIdx.x), end = rows_before(j, c, blockIdx.x + 1),
        in_tile = tile_rows(j);
    if constexpr (MIX)
        if (is_mixed<MIX>(j, END_ADD)) {
#pragma unroll 1
            for (int i = lane; first + i / c.n * 16 < end; i += 32)
                prefetch_expert(j, chosen_expert(j, c, i % c.n), EXPERT_DOWN, j.part[0].bias,
                                first + i / c.n * 16);
        }
#pragma unroll 1
    for (int row = first + lane * in_tile; row < end; row += 32 * in_tile) {
        struct group g = group_of<MIX>(j, row, end);
        if constexpr (MIX)
            if (is_mixed<MIX>(j, END_GATE)) {
                int expert = chosen_expert(j, c, g.u);
                if (g.row >= j.part[0].n_row) continue;
                prefetch_expert(j, expert, EXPERT_GATE, j.part[0].bias, g.row);
                prefetch_expert(j, expert, EXPERT_UP, j.part[1].bias, g.row);
                continue;
            }
        prefetch_row(j.part[g.p].scale, g.row);
        if (j.ending == END_GATE) prefetch_row(j.part[1].scale, g.row);
        if (!is_mixed<MIX>(j)) prefetch_row(j.part[g.p].bias, g.row);
        prefetch_row(j.gain, g.row);
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
    return {j.sums, j.n_sum, j.norm_dim, tokens_of<MODE>(j), j.eps, j.want};
}

// The factors of one job.
struct norm_shared {
    struct handed sync;
    float factor[FEW_TOKENS];
};

// 1 / rms of a token, once all parts are there. They are read two at a time, and many at once.
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
        for (int first = 0; first < n.n_sum; first += 64 * at_once)
#pragma unroll
            for (int k = 0; k < at_once; k++) {
                int i = first + k * 64 + lane * 2;
                if (i >= n.n_sum) continue;
                float2 part = load_seen((const float2 *)(from + i));
                unsigned wrong =
                    (__float_as_uint(part.x) ^ n.want) | (__float_as_uint(part.y) ^ n.want);
                missing |= n.want != NO_TAG && (wrong & 1);
                sum += part.x + part.y;
            }
        if (!__any_sync(~0u, missing))
            return rsqrtf(__fdividef(warp_sum(sum), (float)n.dim) + n.eps);
        be_patient(p);
    }
}

static __device__ __forceinline__ void deliver_norm(const struct norm_of_job &n, unsigned meeting,
                                                    struct norm_shared &norm, unsigned turn,
                                                    struct step_sync *s, int lane)
{
    struct patience p = {0, 0};
    while (lane == 0 && meeting && load_acquire(&s->arrived) < meeting * gridDim.x) be_patient(p);
    __syncwarp();
    float mine = 0; // of token `lane`
#pragma unroll 1
    for (int t = 0; t < n.n_token; t++) {
        float factor = norm_factor(n, t, lane);
        if (lane == t) mine = factor;
    }
    sync_wait(&norm.sync.taken, turn ^ 1);
    if (lane < n.n_token) norm.factor[lane] = mine;
    sync_arrive(&norm.sync.made);
}

// Scales and the like are brought near a job ahead, those of experts once they are chosen. The
// factors of many tokens are more than one warp makes in time: there every warp makes one.
template <int MODE, bool MIX>
static __device__ void run_preparer(const struct step_job *jobs, int n_job, struct step_sync *sync,
                                    struct norm_shared &norm, struct choice<MIX> &c, int lane)
{
    unsigned n_norm = 0;
    early_wait();
#pragma unroll 1
    for (int i = -1; i < n_job; i++) {
        struct norm_of_job n = {};
        bool chooses = false;
        if (i >= 0 && jobs[i].kind == JOB_PRODUCT) {
            n = norm_of<MODE>(jobs[i].product);
            chooses = is_mixed<MIX>(jobs[i].product) && jobs[i].product.chooses;
        }
        if (n.n_sum && MODE != WIDE)
            deliver_norm(n, jobs[i].meeting, norm, n_norm++ % 2, sync, lane);
        if constexpr (MIX)
            if (chooses) sync_wait(&c.sync.made, jobs[i].product.n_before % 2);
#pragma unroll 1
        for (int k = chooses ? i : i + 1; k <= i + 1 && k < n_job; k++) {
            if (jobs[k].kind != JOB_PRODUCT) continue;
            const struct product_job &j = jobs[k].product;
            if (k == i || !is_mixed<MIX>(j) || !j.chooses) prefetch_ends<MIX>(j, c, lane);
        }
        __syncwarp();
        if constexpr (MIX)
            if (chooses) sync_arrive(&c.sync.taken);
    }
}

// Where sums of a tile meet: [warp][tile][row][token].
static constexpr __host__ __device__ int sum_tokens(int mode)
{
    return mode == WIDE ? 8 : mode == FEW ? 4 : 1;
}

template <int MODE>
static __device__ __forceinline__ float *red_at(float *red, int warp, int t, int r, int token)
{
    return red + ((warp * TILES + t) * 16 + r) * sum_tokens(MODE) + token;
}

template <int FORM, int MODE>
static __device__ __forceinline__ void leave_sums(float *red, const float acc[4], int t, int warp,
                                                  int lane)
{
    int r = row_of_lane(lane), token = lane % 4 * 2;
    float v[4];
    if constexpr (by_blocks(FORM, MODE)) { // each lane has its blocks' sums of the rows g and g + 8
#pragma unroll
        for (int i = 0; i < 2; i++) {
            v[i] = acc[i] + __shfl_xor_sync(~0u, acc[i], 1);
            v[i] += __shfl_xor_sync(~0u, v[i], 2);
        }
        if (token) return;
        *red_at<MODE>(red, warp, t, r, 0) = v[0];
        *red_at<MODE>(red, warp, t, r + 8, 0) = v[1];
    } else {
#pragma unroll
        for (int i = 0; i < 4; i++) // the low halves' columns are two lanes further
            v[i] = acc[i] + (x_halves(FORM, MODE) == 2 ? __shfl_xor_sync(~0u, acc[i], 2) : 0);
        if (MODE == ONE) {
            if (token) return;
            *red_at<MODE>(red, warp, t, r, 0) = v[0];
            *red_at<MODE>(red, warp, t, r + 8, 0) = v[2];
            return;
        }
        if (MODE == FEW && token >= 4) return;
        *(float2 *)red_at<MODE>(red, warp, t, r, token) = make_float2(v[0], v[1]);
        *(float2 *)red_at<MODE>(red, warp, t, r + 8, token) = make_float2(v[2], v[3]);
    }
}

// Row r of tile t of this group for a token, summed over the warps.
template <int MODE>
static __device__ __forceinline__ float total(float *red, int t, int r, int token)
{
    float y = 0;
#pragma unroll
    for (int w = 0; w < WARPS; w++) y += *red_at<MODE>(red, w, t, r, token);
    return y;
}

// The sums of a group belong to threads by row, tile and token: 16 rows (a gate's tile has 8
// results) of TILES tiles.
struct result {
    unsigned at; // where it goes, or NOWHERE
    // Of the row. other: bias, the up row's scale, the next norm's gain; old: what there is, or the
    // gate's bias.
    float scale, other, old, up_bias;
    float weight; // of the expert whose gate it is
};

constexpr unsigned NOWHERE = ~0u;

// Row r of tile t, result i of a group.
struct result_place {
    int r, t, token;
};

static __device__ __forceinline__ struct result_place place_of_result(const struct product_job &j,
                                                                      int i)
{
    int bits = j.ending == END_GATE ? 3 : 4;
    return (struct result_place){i & ((1 << bits) - 1), (i >> bits) % TILES, (i >> bits) / TILES};
}

// What expert u of all is to a token among its own.
template <int MODE>
static __device__ __forceinline__ int rank_of(const struct choice<true> &c, int u, int token)
{
    return MODE == ONE ? u : c.rank[u][token];
}

// What a result takes from memory, asked for before it is known.
template <int FORM, int MODE, bool MIX>
static __device__ __forceinline__ struct result
result_of(const struct product_job &j, const struct choice<MIX> &c, const struct group &g, int i)
{
    struct result x = {NOWHERE, 1, 0, 0, 0, 1};
    const struct part &p = j.part[g.p];
    struct result_place is = place_of_result(j, i);
    int in_group = is.t * tile_rows(j) + is.r, row = g.row + in_group;
    if (in_group >= g.n_row || is.token >= tokens_of<MODE>(j)) return x;
    if (MODE == ONE) is.token = 0;
    if constexpr (MIX)
        if (is_mixed<MIX>(j, END_GATE)) {
            const struct expert_place &of = c.place[g.u];
            int rank = rank_of<MODE>(c, g.u, is.token);
            if (rank == NO_RANK) return x;
            x.at = (unsigned)((is.token * j.n_used + rank) * j.n_row + row);
            x.weight = c.weight[is.token][rank];
            if (row >= p.n_row) return x;
            x.scale = of.scale[EXPERT_GATE] ? of.scale[EXPERT_GATE][row] : 1;
            x.other = of.scale[EXPERT_UP] ? of.scale[EXPERT_UP][row] : 1;
            if constexpr (may_have_biases(FORM)) {
                x.old = expert_bias(p.bias, c.expert[g.u], p.n_row, row);
                x.up_bias = expert_bias(j.part[1].bias, c.expert[g.u], p.n_row, row);
            }
            return x;
        }
    x.at = (unsigned)(is.token * p.n_row + row);
    const float *other = j.ending == END_STORE  ? p.bias
                         : j.ending == END_GATE ? j.part[1].scale
                                                : j.gain;
    if (j.ending == END_GATE) x.other = 1;
    if (p.scale) x.scale = p.scale[row];
    if (other) x.other = other[row];
    if (p.add) x.old = p.out[x.at];
    if (j.ending == END_ADD && p.bias) {
        if constexpr (MIX && may_have_biases(FORM))
            if (is_mixed<MIX>(j)) { // of all that the token chose
                for (int u = 0; u < c.n; u++)
                    if (int rank = rank_of<MODE>(c, u, is.token); rank != NO_RANK)
                        x.old += c.weight[is.token][rank] *
                                 expert_bias(p.bias, c.expert[u], p.n_row, row);
                return x;
            }
        x.old += p.bias[row];
    }
    return x;
}

// END_ADD: returns the square of the new x.
template <int FORM, int MODE, bool MIX>
static __device__ __forceinline__ float finish(const struct product_job &j, const struct group &g,
                                               float *red, float factor, const struct result &x,
                                               int i)
{
    constexpr int kind = unit<FORM>::kind;
    struct result_place is = place_of_result(j, i);
    if (x.at == NOWHERE) return 0;
    float y = total<MODE>(red, is.t, is.r, is.token) * factor * x.scale;
    if (j.ending == END_STORE) {
        store_seen(j.part[g.p].out + x.at, tagged(y + x.other + x.old, j.leave));
    } else if (j.ending == END_GATE) {
        float up = total<MODE>(red, is.t, is.r + 8, is.token) * factor * x.other;
        if constexpr (MIX && may_have_biases(FORM))
            y = gated(y + x.old, up + x.up_bias, j.gating);
        else
            y = gated(y, up, {1, 0, INFINITY});
        if (MIX) y *= x.weight;
        write_tagged<kind>(j.next, x.at, y, j.leave, j.parts_out);
    } else {
        y += x.old;
        j.part[0].out[x.at] = y;
        if (j.gain) write_tagged<kind>(j.next, x.at, y * x.other, j.leave, j.parts_out);
        return y * y;
    }
    return 0;
}

// Unit k of the n that a warp has of the step that begins with unit `first`.
template <int FORM, int MODE, bool MIX>
static __device__ __forceinline__ void
take_x(struct fragment<FORM> &f, const struct x_ring<FORM, MODE> &xs, const struct product_job &j,
       const struct choice<MIX> &c, int k, int n, int first, int warp, int lane)
{
    if (k < n) {
        x_take(xs, f, j, c, k, first + units_of_warp<FORM, MIX>::place(k, warp), lane);
    } else {
        f = {};
        keep_fragment(f); // made here only
    }
}

// The warps that multiply meet among themselves.
static __device__ __forceinline__ void block_sync()
{
    barrier(2, THREADS);
}

// Bytes of the sums of a group. There is room for two of them, but for those of 8 tokens.
static constexpr __host__ __device__ int sums_bytes(int mode)
{
    return WARPS * TILES * 16 * sum_tokens(mode) * (int)sizeof(float);
}

constexpr int ROOM_FOR_SUMS = sums_bytes(WIDE);

template <int N> static __device__ __forceinline__ void turn_sums(float (&acc)[TILES][N])
{
#pragma unroll
    for (int i = 0; i < N; i++) {
        float first = acc[0][i];
#pragma unroll
        for (int t = 0; t + 1 < TILES; t++) acc[t][i] = acc[t + 1][i];
        acc[TILES - 1][i] = first;
    }
}

// The warps that have results of one token, of 16 rows of TILES tiles: each leaves a sum of
// squares.
enum { TOKEN_WARPS = 16 * TILES / 32 };

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
                                                  unsigned n_norm, float *room, int warp, int lane)
{
    unsigned *order = (unsigned *)room; // [n_token, pitch], not 0; then nothing is better than 0
    int thread = warp * 32 + lane, n_expert = j.n_expert, pitch = (n_expert + 7) / 8 * 8;
    sync_wait(&c.sync.taken, j.n_before % 2 ^ 1);
    // The norm's factor changes no order, so it need not be there first, unless a bias is added.
    bool early = j.n_sum && j.router_bias;
    const float *factor = j.n_sum && !early ? norm.factor : nullptr;
    if (MODE == WIDE) block_sync(); // factors that warps have made for each other
    if (MODE != WIDE && early) sync_wait(&norm.sync.made, n_norm % 2);
    struct patience p = {0, 0};
    for (int t = 0; t < tokens_of<MODE>(j); t++)
        for (int e = thread; e < pitch; e += THREADS) {
            float score = 0, bias = e < n_expert && j.router_bias ? __ldg(j.router_bias + e) : 0;
            if (e < n_expert) do {
                    score = load_seen(j.scores + t * n_expert + e);
                    be_patient(p);
                } while (j.want_scores != NO_TAG && (__float_as_uint(score) & 1) != j.want_scores);
            score = score * (early ? *(volatile const float *)&norm.factor[t] : 1) + bias;
            order[t * pitch + e] = e < n_expert ? score_order(score) + 1 : 0;
        }
    for (int i = thread; i < (FEW_TOKENS + 1) * (EXPERTS_MAX / 32); i += THREADS)
        (&c.chosen[0][0])[i] = 0;
    block_sync();
    for (int t = 0; t < tokens_of<MODE>(j); t++)
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
            int n_box = (int)n * j.side_each, n_step = (n_box + j.side_max - 1) / j.side_max;
            c.n = (int)n, c.n_box = (n_box + n_step - 1) / n_step;
        }
    }
    sync_arrive(&c.sync.made);
    if (MODE != WIDE && factor) sync_wait(&norm.sync.made, n_norm % 2);
    for (int e = thread; e < n_expert; e += THREADS)
        if (has_bit(any, e)) place_expert<MODE>(c, j, e, bits_before(any, e), order, pitch, factor);
    block_sync();
    if (warp < tokens_of<MODE>(j)) { // the token's weights
        float mine = lane < j.n_used ? c.weight[warp][lane] : 0, all = j.normalise ? mine : 0;
        for (int e = lane; e < n_expert && !j.normalise; e += 32)
            all += weight_of(order[warp * pitch + e], c.top[warp], factor, warp);
        all = warp_sum(all);
        if (lane < j.n_used) c.weight[warp][lane] = __fdividef(mine, all);
    }
    block_sync();
}

template <int FORM, int MODE, bool MIX>
static __device__ __forceinline__ void
run_product(const struct product_job &j, struct choice<MIX> &c, const unsigned char *ring,
            struct stage_sync *sync, struct ring_at<MODE, MIX> &at, unsigned char *room,
            struct norm_shared &norm, unsigned &n_norm, int warp, int lane, unsigned *calm)
{
    constexpr int UNITS = units_most(FORM, MIX, IS_SMALL);
    constexpr int n_mine = MODE == WIDE ? 2 : 1; // results that a thread has of a group
    static_assert(n_mine * THREADS >= TILES * 16 * sum_tokens(MODE), "every result has a thread");
    constexpr bool scaled = MIX || FORM == W_E4M3_BLOCK;
    constexpr int n_red = MODE == WIDE ? 1 : 2;
    int thread = warp * 32 + lane;
    float *red = (float *)room, squares[n_mine] = {}, factor[n_mine];
    struct x_ring<FORM, MODE> xs;
    struct group g;
    // Where there are registers for it, x stays in them while tiles go by.
    constexpr bool keeps_x = !IS_SMALL;
    constexpr bool turns = unit<FORM>::is_fp4 || MIX; // what has the larger code
    // Where nothing else is done to sums of a pair they stay where they are, in two chains, which
    // are shorter than one.
    constexpr int n_chain = turns || scaled ? 1 : 2;
    constexpr int n_x = keeps_x ? UNITS : 2;
    fragment<FORM> x[n_x] = {};
    bool leaves_squares = j.ending == END_ADD && j.gain, chooses = is_mixed<MIX>(j) && j.chooses;
    auto take_norm = [&] {
#pragma unroll
        for (int i = 0; i < n_mine; i++)
            factor[i] = by_blocks(FORM, MODE) ? one_factor : unit<FORM>::factor;
        if (!j.n_sum) return;
        if (MODE != WIDE) sync_wait(&norm.sync.made, n_norm++ % 2);
#pragma unroll
        for (int i = 0; i < n_mine; i++)
            factor[i] *= norm.factor[min(place_of_result(j, thread + i * THREADS).token,
                                         tokens_of<MODE>(j) - 1)];
        if (MODE != WIDE) sync_arrive(&norm.sync.taken);
    };
    x_start(xs, j, c, room + ROOM_FOR_SUMS + warp * xs.room, warp, lane);
    if (MODE == WIDE && j.n_sum && warp < j.n_token) {
        float mine = norm_factor(norm_of<MODE>(j), warp, lane);
        if (lane == 0) norm.factor[warp] = mine; // seen once the warps have met
    }
    if constexpr (MIX)
        if (chooses) { // once x has been asked for: it would wait behind the weights that follow
            if (thread == 0) set_hint(calm, 0);
            run_choice<MODE>(j, c, norm, n_norm, (float *)room, warp, lane);
        }
    int row = rows_before(j, c, blockIdx.x), end = rows_before(j, c, blockIdx.x + 1);
    // Without rows there is nothing to wait for, nor for others to wait for but sums of squares.
    if (row == end) take_norm();
    for (int i = 0; row == end && leaves_squares && i < xs.n_step; i++) {
        x_wait(xs, j, c, warp, lane);
        x_done(xs, j, c, warp, lane);
    }
    int n_unit = units_all<FORM>(j, c), step = units_of_step(j, c);
    struct stage_shape shape = shape_of(unit<FORM>::scale_bytes, j.box, boxes_of_step(j, c));
    struct lane_place places = lane_place_of<FORM, MIX>(shape, warp, lane);
    for (bool is_first = true; row < end; is_first = false, row += g.n_row) {
        float acc[TILES][4 * n_chain] = {};
        g = group_of<MIX>(j, row, end);
        struct result mine[n_mine];
#pragma unroll
        for (int i = 0; i < n_mine; i++)
            mine[i] = result_of<FORM, MODE>(j, c, g, thread + i * THREADS);
        for (int first = 0; first < n_unit; first += step) {
            typedef units_of_warp<FORM, MIX> mine_of;
            int n = mine_of::count(min(step, n_unit - first), warp);
            x_wait(xs, j, c, warp, lane);
            if (thread == 0) set_hint(calm, 0);
            // Those of the only step are still there.
            if (keeps_x && (is_first || xs.n_step > 1)) {
                // Nearly always: without a branch between them.
                bool at_once = n >= UNITS - 1 && (!MIX || tokens_of<MODE>(j) == 1);
                const unsigned char *from = xs.lane_at + xs.from * xs.per * xs.unit_bytes;
                if (at_once && xs.lane_has) {
#pragma unroll
                    for (int k = 0; k < UNITS - 1; k++)
                        x_read<FORM>(x[k], from + k * xs.unit_bytes, xs.turn);
                    if (n == UNITS)
                        x_read<FORM>(x[UNITS - 1], from + (UNITS - 1) * xs.unit_bytes, xs.turn);
                }
                if (at_once && n < UNITS) x[UNITS - 1] = {};
#pragma unroll
                for (int k = 0; k < UNITS && !at_once; k++)
                    take_x(x[k], xs, j, c, k, n, first, warp, lane);
            }
            // One piece of code for all tiles, since what is not in the instruction cache costs
            // more than the work; so their sums go round.
            auto take_tile = [&](int t, float *sum) {
                struct stage_sync *s = &sync[stage_of(at.n)];
                sync_wait(&s->full, phase_of(at.n));
                const unsigned char *stage = ring + ring_take(at, shape.size);
                auto take_pair = [&](int k) {
                    bool two = k + 1 < UNITS;
                    struct raw_unit<FORM> raw[2];
                    float block[2];
                    if (scaled)
                        load_blocks<FORM, MIX>(block, j, c, g, t,
                                               min(first + mine_of::place(k, warp), n_unit - 1),
                                               lane);
#pragma unroll
                    for (int i = 0; i < 1 + two; i++)
                        take_unit<FORM, MIX>(raw[i], stage, shape, places, j, min(k + i, n - 1),
                                             warp, lane);
                    if (!keeps_x)
#pragma unroll
                        for (int i = 0; i < 1 + two; i++)
                            take_x(x[i], xs, j, c, k + i, n, first, warp, lane);
                    struct fragment<FORM> *of_pair = x + (keeps_x ? k : 0);
                    if constexpr (n_chain == 2)
#pragma unroll
                        for (int i = 0; i < 1 + two; i++)
                            multiply_unit<FORM>(false, sum + 4 * i, raw[i], of_pair[i]);
                    else if (two)
                        multiply<FORM, MODE, scaled, 2>(sum, raw, of_pair, block);
                    else
                        multiply<FORM, MODE, scaled, 1>(sum, raw, of_pair, block);
                    // Otherwise the zeros of lanes without columns would be made again each time.
                    if (!keeps_x)
#pragma unroll
                        for (int i = 0; i < 1 + two; i++) keep_fragment(x[i]);
                };
                // Without a branch between pairs they overlap. Units that a warp has not meet
                // zeros.
                if (by_blocks(FORM, MODE) && keeps_x && !MIX) {
                    if (n == UNITS)
#pragma unroll
                        for (int k = 0; k < UNITS; k += 2) take_pair(k);
                    else if (n)
#pragma unroll
                        for (int k = 0; k < UNITS - 1; k += 2) take_pair(k);
                } else {
#pragma unroll
                    for (int k = 0; k < UNITS; k += 2) {
                        if (k >= n) break;
                        take_pair(k);
                    }
                }
                __syncwarp();
                if (lane == 0) sync_arrive(&s->empty);
            };
            if constexpr (turns) {
#pragma unroll 1
                for (int t = 0; t < g.n; t++) {
                    take_tile(t, acc[0]);
                    turn_sums(acc);
                }
                for (int t = g.n; t < TILES; t++) turn_sums(acc);
            } else {
#pragma unroll
                for (int t = 0; t < TILES; t++)
                    if (t < g.n) take_tile(t, acc[t]);
            }
            x_done(xs, j, c, warp, lane);
        }
        if (row + g.n_row >= end) {
            if (thread == 0 && !j.goes_on) set_hint(calm, 1);
        }
        if (n_red == 1) block_sync(); // the sums of the group before have been read
#pragma unroll
        for (int t = 0; t < TILES; t++) {
            if (t >= g.n) break;
#pragma unroll
            for (int i = 0; i < 4 && n_chain == 2; i++) acc[t][i] += acc[t][i + 4 * (n_chain - 1)];
            leave_sums<FORM, MODE>(red, acc[t], t, warp, lane);
        }
        block_sync();
        if (is_first) take_norm();
#pragma unroll
        for (int i = 0; i < n_mine; i++) {
            squares[i] +=
                finish<FORM, MODE, MIX>(j, g, red, factor[i], mine[i], thread + i * THREADS);
        }
        // When all have met again, these have been read.
        if (n_red == 2)
            red = (float *)(room + ((unsigned char *)red == room ? sums_bytes(MODE) : 0));
    }
    if (leaves_squares) {
#pragma unroll
        for (int i = 0; i < n_mine; i++) {
            float sum = warp_sum(squares[i]);
            int token = (warp + i * WARPS) / TOKEN_WARPS;
            if (lane == 0 && token < tokens_of<MODE>(j))
                store_seen(j.next_sums + ((unsigned)token * gridDim.x + blockIdx.x) * TOKEN_WARPS +
                               (unsigned)warp % TOKEN_WARPS,
                           tagged(sum, j.leave));
        }
    }
    copy_wait<0>();
}

// Blocks meet: what each of them wrote before is seen by all after.

static __device__ __forceinline__ void meet_arrive(struct step_sync *s)
{
    if (threadIdx.x == 0) add_release(&s->arrived); // after a block_sync
}

static __device__ __forceinline__ void meet_wait(struct step_sync *s, unsigned meeting)
{
    if (!meeting) return;
    if (threadIdx.x == 0) {
        struct patience p = {0, 0};
        while (load_acquire(&s->arrived) < meeting * gridDim.x) be_patient(p);
    }
    block_sync();
}

static __device__ __forceinline__ void meet_last(struct step_sync *s)
{
    if (threadIdx.x || atomicAdd(&s->done, 1u) + 1 < gridDim.x) return;
    s->arrived = s->done = 0; // everybody has left the last meeting
}

template <int KIND, int DIM, bool CODES, bool ONE_TOKEN>
static __device__ __forceinline__ void run_attend(unsigned char *room, const struct attend_job *job,
                                                  struct step_sync *sync, unsigned meeting,
                                                  int warp, int lane)
{
    struct few_shared<DIM> &sh = *(struct few_shared<DIM> *)room;
    const struct attend_job &j = *job;
    int n_item = attend_items(j), item = (int)blockIdx.x;
#pragma unroll 1
    do {
        bool mine = item < n_item;
        struct attend_item a;
        struct vector_place at;
        struct head_vector<DIM> vector;
        if (mine) {
            a = item_of<ONE_TOKEN>(j, item, warp);
            attend_begin<DIM, CODES, ONE_TOKEN>(sh, j, a, at, vector, warp, lane);
        }
        if (item == (int)blockIdx.x) meet_wait(sync, meeting);
        if (mine) attend_end<KIND, DIM, CODES, ONE_TOKEN>(sh, j, a, at, vector, warp, lane);
        item += (int)gridDim.x;
    } while (item < n_item);
}

// Scores of experts. A block has a row at a time, a thread 8 of its columns: what comes from memory
// comes at once.
template <int KIND> static __device__ __forceinline__ float2 two_values(unsigned bits)
{
    return KIND == X_BF16
               ? make_float2(__uint_as_float(bits << 16), __uint_as_float(bits & ~0xffffu))
               : __half22float2(*(const __half2 *)&bits);
}

template <int KIND> static __device__ __forceinline__ float dot_8(uint4 w, uint4 hi, uint4 lo)
{
    const unsigned a[4] = {w.x, w.y, w.z, w.w}, h[4] = {hi.x, hi.y, hi.z, hi.w},
                   l[4] = {lo.x, lo.y, lo.z, lo.w};
    float sum = 0;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        float2 y = two_values<X_BF16>(a[i]), x = two_values<KIND>(h[i]),
               rest = two_values<KIND>(l[i]);
        sum += y.x * (x.x + rest.x) + y.y * (x.y + rest.y);
    }
    return sum;
}

template <int KIND, int MODE>
static __device__ __forceinline__ void run_scores(const struct scores_job &j,
                                                  struct step_sync *sync, unsigned meeting,
                                                  float *room, int warp, int lane)
{
    float(*part)[FEW_TOKENS] = (float(*)[FEW_TOKENS])room;
    int thread = warp * 32 + lane, row = (int)blockIdx.x;
    unsigned n_col = (unsigned)j.n_col;
    const uint16_t *of_row = j.w + (size_t)(unsigned)row * n_col;
    bool has_first = row < j.n_expert && thread * 8 < j.n_col;
    uint4 early = make_uint4(0, 0, 0, 0);
    const uint16_t *hi_at = j.x.hi[KIND], *lo_at = j.x.lo[KIND];
    float scale = 1;
    if (has_first) early = __ldg((const uint4 *)of_row + thread); // depends on nothing
    if (row < j.n_expert && j.scale) scale = __ldg(j.scale + row);
    meet_wait(sync, meeting);
    if (row >= j.n_expert) return;
    for (; row < j.n_expert; row += (int)gridDim.x) {
        of_row = j.w + (size_t)(unsigned)row * n_col;
        for (int t = 0; t < tokens_of<MODE>(j); t++) {
            float sum = 0;
            for (int c = thread * 8; c < j.n_col; c += THREADS * 8) {
                bool has = row == (int)blockIdx.x && c == thread * 8;
                uint4 w = has ? early : __ldg((const uint4 *)(of_row + c));
                size_t at = (size_t)(unsigned)t * n_col + (unsigned)c;
                uint4 hi = load_seen((const uint4 *)(hi_at + at)),
                      lo = load_seen((const uint4 *)(lo_at + at));
                struct patience p = {0, 0};
                while (j.want != NO_TAG && !(all_tagged(hi, j.want) && all_tagged(lo, j.want))) {
                    hi = load_seen((const uint4 *)(hi_at + at));
                    lo = load_seen((const uint4 *)(lo_at + at));
                    be_patient(p);
                }
                sum += dot_8<KIND>(w, hi, lo);
            }
            sum = warp_sum(sum);
            if (lane == 0) part[warp][t] = sum;
        }
        block_sync();
        if (thread < tokens_of<MODE>(j)) {
            float y = 0;
            if (row != (int)blockIdx.x && j.scale) scale = __ldg(j.scale + row);
            for (int i = 0; i < WARPS; i++) y += part[i][thread];
            y *= (KIND == X_F16 ? 1 / F16_UNIT : 1) * scale;
            store_seen(j.out + (size_t)(unsigned)thread * (unsigned)j.n_expert + (unsigned)row,
                       tagged(y, j.leave));
        }
        block_sync();
    }
}

// A job's words, from where they are kept to shared memory.
constexpr int JOB_PIECES = (int)sizeof(struct step_job) / 16;

// MIX: some jobs are of experts. DIM: of the heads of all attentions, CODES: whose caches are in
// e4m3. What a list does not need is in no kernel of it, since not all of the code stays in the
// cache of a multiprocessor: one token needs an eighth less, and with experts is a tenth faster.
template <int FORM, int MODE, bool MIX, int DIM, bool CODES>
__global__ void __launch_bounds__(BLOCK, 1)
    step_kernel(const __grid_constant__ struct step_list list)
{
    DYNAMIC_SHARED(ring);
    __shared__ __align__(16) unsigned char near[2][sizeof(struct step_job)]; // this job, the next
    __shared__ struct stage_sync sync[STAGES];
    __shared__ unsigned sizes[ASKERS][STAGES];
    __shared__ struct norm_shared norm;
    __shared__ unsigned calm; // others wait for memory
    __shared__ struct choice<MIX> choice;
    int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    unsigned char *room = ring + ring_at<MODE, MIX>::all; // sums, or attention
    constexpr int n_register = registers(unit<FORM>::is_fp4, MODE == WIDE, MIX);

    early_trigger();
    if (threadIdx.x < JOB_PIECES)
        ((uint4 *)near[0])[threadIdx.x] =
            ((const uint4 *)(list.jobs ? list.jobs : &list.only))[threadIdx.x];
    if (threadIdx.x == 0) {
        calm = 0;
        if (shared_address(ring) % STAGE_ALIGN) give_up(); // boxes would be laid out otherwise
        for (int i = 0; i < STAGES; i++) {
            sync_init(&sync[i].full, ASKERS);
            sync_init(&sync[i].empty, WARPS);
        }
        sync_init(&norm.sync.made, 32);
        sync_init(&norm.sync.taken, THREADS);
        if constexpr (MIX) {
            sync_init(&choice.sync.made, THREADS);
            sync_init(&choice.sync.taken, 32 * (ASKERS + 1));
        }
        sync_fence();
    }
    __syncthreads();
    if (warp >= WARPS) {
        give_registers<3 * 168 - 2 * n_register>();
        const struct step_job *jobs = list.jobs ? list.jobs : &list.only;
        if (warp == PREPARER) run_preparer<MODE>(jobs, list.n, list.sync, norm, choice, lane);
        if (warp >= PREPARER) return;
        run_loader<FORM, MODE>(jobs, list.maps ? list.maps : list.only_maps, list.n, ring, sync,
                               sizes[warp - WARPS], choice, warp - WARPS, lane, &calm);
        return;
    }
    take_registers<n_register>();
    struct ring_at<MODE, MIX> at = {
        0, 0
    };
    unsigned n_norm = 0;              // factors that have been taken
    struct stage_sync *stages = sync; // in a register, not found anew at each use
    keep_pointer(stages);
    for (int i = 0; i < list.n; i++) {
        // What follows from these is to be found anew for each job: kept for the whole list, it
        // would not fit the registers.
        asm volatile("" : "+r"(warp), "+r"(lane));
        const struct step_job &job = *(const struct step_job *)near[i % 2];
        if (i + 1 < list.n && threadIdx.x < JOB_PIECES)
            copy_16(near[(i + 1) % 2] + threadIdx.x * 16,
                    (const uint4 *)(list.jobs + i + 1) + threadIdx.x);
        if (i == 0) early_wait();
        if (job.kind == JOB_PRODUCT) {
            meet_wait(list.sync, job.meeting);
            run_product<FORM, MODE>(job.product, choice, ring, stages, at, room, norm, n_norm, warp,
                                    lane, &calm);
        } else if (MIX && job.kind == JOB_SCORES) {
            if constexpr (MIX)
                run_scores<unit<FORM>::kind, MODE>(job.scores, list.sync, job.meeting,
                                                   (float *)room, warp, lane);
        } else {
            run_attend<unit<FORM>::kind, DIM, CODES, MODE == ONE>(room, &job.attend, list.sync,
                                                                  job.meeting, warp, lane);
        }
        copy_commit();
        copy_wait<0>(); // the next job's words
        block_sync();
        if (i + 1 < list.n && ((const struct step_job *)near[(i + 1) % 2])->meeting)
            meet_arrive(list.sync);
    }
    meet_last(list.sync);
}

// The host's side

typedef void (*step_function)(struct step_list);

// Of a unit.
static const int form_columns[W_N_FORM] = {unit<W_BF16>::columns, unit<W_E4M3>::columns,
                                           unit<W_E4M3_BLOCK>::columns, unit<W_NVFP4>::columns,
                                           unit<W_MXFP4>::columns};

#define OF_HEADS(form, mode, mix)                                                                  \
    {                                                                                              \
        {step_kernel<form, mode, mix, 64, false>, step_kernel<form, mode, mix, 64, true>},         \
            {step_kernel<form, mode, mix, 128, false>, step_kernel<form, mode, mix, 128, true>},   \
    }
#define OF_MODE(form, mode)                                                                        \
    {                                                                                              \
        OF_HEADS(form, mode, false), OF_HEADS(form, mode, true)                                    \
    }
#define OF_FORM(form)                                                                              \
    {                                                                                              \
        OF_MODE(form, ONE), OF_MODE(form, FEW), OF_MODE(form, WIDE)                                \
    }
static const step_function kernels[W_N_FORM][N_MODE][2][2][2] = {
    // mode, MIX, DIM, CODES
    OF_FORM(W_BF16), OF_FORM(W_E4M3), OF_FORM(W_E4M3_BLOCK), OF_FORM(W_NVFP4), OF_FORM(W_MXFP4),
};

struct step_queue {
    std::vector<struct step_job> jobs;
    std::vector<struct weight_maps> maps; // [jobs][PARTS_MAX]
    int mode;                             // of all of them
    int form, head_dim;        // of the products among them, and of the attentions; 0: none
    bool has_form, mix, codes; // codes: those attentions' caches are in e4m3
    unsigned n_choice;
    std::vector<void *> *lists; // where lists in device memory are kept; NULL: not recording
    struct step_sync *sync;
    cudaStream_t side; // what is copied while d->stream records
};

static bool is_small(const k_device *d) // as IS_SMALL
{
    return d->shared_max < 200 << 10;
}

static size_t shared_of(const k_device *d, int mode, bool mix)
{
    bool small = is_small(d);
    size_t ring = (size_t)ring_bytes(mode, mix, small);
    size_t product = (size_t)(ROOM_FOR_SUMS + WARPS * x_ring_bytes(mode, small));
    size_t of_taker = sizeof((struct few_shared<128> *)0)->ring[0];
    size_t attend =
        sizeof(struct few_shared<128>) - (small ? (TAKERS - SMALL_TAKERS) * of_taker : 0);
    return ring + (attend > product ? attend : product);
}

bool cuda_steps_open(k_device *d)
{
    struct step_queue *q = d->steps = new step_queue();
    bool ok = cuda_check(d, cudaMalloc(&q->sync, sizeof *q->sync), "scratch") &&
              cuda_check(d, cudaMemset(q->sync, 0, sizeof *q->sync), "scratch") &&
              cuda_check(d, cudaStreamCreateWithFlags(&q->side, cudaStreamNonBlocking), "stream");
    for (int form = 0; ok && form < W_N_FORM; form++)
        for (int i = 0; ok && i < 8 * N_MODE; i++)
            ok = cuda_check(d,
                            cudaFuncSetAttribute(
                                (const void *)kernels[form][i / 8][i / 4 % 2][i / 2 % 2][i % 2],
                                cudaFuncAttributeMaxDynamicSharedMemorySize,
                                (int)shared_of(d, i / 8, i / 4 % 2)),
                            "shared memory of a step");
    return ok;
}

void cuda_steps_close(k_device *d)
{
    if (!d->steps) return;
    cudaFree(d->steps->sync);
    if (d->steps->side) cudaStreamDestroy(d->steps->side);
    delete d->steps;
    d->steps = nullptr;
}

void cuda_steps_record(k_device *d, std::vector<void *> *lists)
{
    cuda_steps_flush(d);
    d->steps->lists = lists;
}

// What is listed in device memory, for as long as the recording lives.
template <typename T> static const T *kept(k_device *d, const std::vector<T> &all)
{
    struct step_queue *q = d->steps;
    size_t n_bytes = all.size() * sizeof all[0];
    void *p = NULL;
    if (!cuda_check(d, cudaMalloc(&p, n_bytes), "a list of jobs")) return NULL;
    q->lists->push_back(p);
    if (!cuda_check(d, cudaMemcpyAsync(p, all.data(), n_bytes, cudaMemcpyHostToDevice, q->side),
                    "a list of jobs") ||
        !cuda_check(d, cudaStreamSynchronize(q->side), "a list of jobs"))
        return NULL;
    return (const T *)p;
}

// How rows are taken apart.

static const int form_scale_bytes[W_N_FORM] = {
    unit<W_BF16>::scale_bytes, unit<W_E4M3>::scale_bytes, unit<W_E4M3_BLOCK>::scale_bytes,
    unit<W_NVFP4>::scale_bytes, unit<W_MXFP4>::scale_bytes};

// Units of a step for each warp, at most: those whose x the ring of x holds.
static int units_held(int form, int mode, bool mix, int n_token, bool small)
{
    int token_bytes = x_halves(form, mode) * form_columns[form] * 2,
        n = x_ring_bytes(mode, small) / (token_bytes * n_token);
    return std::min(n, units_most(form, mix, small));
}

// Units of a step of rows of n_unit: as few steps as possible, and these alike.
static int dense_box(int n_unit, int most, int near)
{
    int each = units_each(n_unit, near), n_step;
    most -= most % near;
    n_step = (each + most - 1) / most;
    int step = (each + n_step - 1) / n_step;
    step = (step + near - 1) / near * near * WARPS;
    return step < n_unit ? step : n_unit;
}

// Of an expert's down, several of which stand side by side: as many as divide it.
static int side_box(int n_unit, int most)
{
    int box = WARPS * most < n_unit ? WARPS * most : n_unit;
    while (n_unit % box || box % PIECE_UNITS) box--;
    return box;
}

// The same for every number of tokens, since an expert has one map; whole pairs.
static int expert_most(int form, bool small)
{
    return units_held(form, WIDE, true, FEW_TOKENS, small) / 2 * 2;
}

static int expert_box(int form, int matrix, const struct k_matrix *w, bool small)
{
    int n_unit = units_of(w->n_col, form_columns[form]), most = expert_most(form, small);
    return matrix == EXPERT_DOWN ? side_box(n_unit, most)
                                 : dense_box(n_unit, most, near_units(form, true));
}

// Bytes from a row to the next, of data and of scales.
struct row_steps {
    uint64_t data, scales;
};

static bool make_maps(struct weight_maps *maps, int form, const void *data, const void *block,
                      int n_row, int n_unit, const struct row_steps &step, int box)
{
    int scale_bytes = form_scale_bytes[form];
    uint64_t rows = (uint64_t)n_row, units = (uint64_t)n_unit;
    uint64_t size[] = {PIECE_BYTES, rows, units / PIECE_UNITS}, stride[] = {step.data, PIECE_BYTES};
    uint32_t of_box[] = {PIECE_BYTES, HALF_ROWS, (uint32_t)(box / PIECE_UNITS)};
    *maps = {};
    if (!cuda_make_map(&maps->data, data, 1, 3, size, stride, of_box, true)) return false;
    if (!scale_bytes) return true;
    uint64_t of_row[] = {units * (unsigned)scale_bytes / 2, rows};
    uint32_t scales[] = {scale_pitch(scale_bytes, box) / 2, HALF_ROWS};
    return cuda_make_map(&maps->scales, block, 2, 2, of_row, &step.scales, scales, false);
}

void cuda_step_map_experts(k_device *d, const struct k_experts *e, struct weight_maps *maps)
{
    bool ok = true;
    if (!cuda_step_mixes(e, 1)) return;
    int form = weight_form(e->gate);
    for (int i = 0; i < e->n_expert; i++) {
        const struct k_matrix *w[] = {e->gate + i, e->up + i, e->down + i};
        for (int k = 0; k < EXPERT_MATRICES; k++) {
            int n_unit = units_of(w[k]->n_col, form_columns[form]);
            struct k_matrix m = with_steps(w[k]);
            struct row_steps step = {m.data_step, m.block_step};
            if (!form_scale_bytes[form]) step.data = (uint64_t)n_unit * UNIT_BYTES;
            ok = make_maps(&maps[i * EXPERT_MATRICES + k], form, m.data, m.block, m.n_row, n_unit,
                           step, expert_box(form, k, w[k], is_small(d))) &&
                 ok;
        }
    }
    if (!ok) cuda_check(d, cudaErrorNotSupported, "maps of experts");
}

// What depends on the whole list: its form, and whether it has experts.
static bool complete(k_device *d, struct product_job *p, struct weight_maps *maps, int form,
                     int mode)
{
    int n_unit = units_of(p->n_col, form_columns[form]);
    const struct row_steps step = {(uint64_t)n_unit * UNIT_BYTES,
                                   (uint64_t)(n_unit * form_scale_bytes[form])};
    bool ok = true;
    p->inverse = ~0u / (unsigned)n_unit + 1;
    if (!p->experts)
        p->box = dense_box(n_unit, units_held(form, mode, d->steps->mix, p->n_token, is_small(d)),
                           near_units(form, d->steps->mix));
    p->n_step = (n_unit + p->box - 1) / p->box;
    for (int i = 0; !p->experts && i < p->n_part; i++)
        ok = make_maps(&maps[i], form, p->part[i].data, p->part[i].block, p->part[i].n_row, n_unit,
                       step, p->box) &&
             ok;
    return ok;
}

// How the jobs of a list wait for each other

// What a job of this list has written: from where on, how many numbers, with which tag.
struct written {
    const void *at;
    size_t n;
    unsigned tag;
    int job, reader; // the last that has read it
    bool in_turn;    // what was there before has the other tag, all of it
};

struct job_reads {
    const void *at;
    unsigned *want;
};

struct job_uses {
    std::vector<struct job_reads> reads;
    std::vector<struct written> writes;
    const float *old; // of rows that the job adds to
    unsigned *leave;
};

static void writes_numbers(struct job_uses &u, const void *at, size_t n)
{
    u.writes.push_back({at, n, NO_TAG, 0, -1, false});
}

static void writes_act(struct job_uses &u, const struct short_out &o, size_t n)
{
    for (const uint16_t *at : o.hi) writes_numbers(u, at, n);
}

static void uses_of_product(struct job_uses &u, struct product_job *p)
{
    size_t n_token = (size_t)p->n_token, n_row = (size_t)p->part[0].n_row;
    u.leave = &p->leave;
    u.reads.push_back({p->hi, &p->want});
    if (p->experts && p->chooses) u.reads.push_back({p->scores, &p->want_scores});
    if (p->ending == END_GATE) {
        writes_act(u, p->next, n_token * (size_t)(p->experts ? p->n_used * p->n_row : (int)n_row));
        return;
    }
    for (int i = 0; i < p->n_part; i++) {
        if (p->part[i].add) u.old = p->part[i].out;
        writes_numbers(u, p->part[i].out, n_token * (size_t)p->part[i].n_row);
    }
    if (p->ending == END_ADD && p->gain) writes_act(u, p->next, n_token * n_row); // and its sums
}

static struct job_uses uses_of(struct step_job *job)
{
    struct job_uses u = {};
    if (job->kind == JOB_PRODUCT) {
        uses_of_product(u, &job->product);
    } else if (job->kind == JOB_SCORES) {
        struct scores_job *s = &job->scores;
        u.leave = &s->leave;
        u.reads.push_back({s->x.hi[0], &s->want});
        writes_numbers(u, s->out, (size_t)(s->n_token * s->n_expert));
    } else {
        struct attend_job *a = &job->attend;
        u.leave = &a->leave;
        for (const float *p : {a->q, a->k, a->v}) u.reads.push_back({p, &a->want});
        writes_act(u, a->out, (size_t)(a->n_token * a->n_head * a->cache.head_dim));
        writes_numbers(u, a->cache.k, 0);
    }
    return u;
}

static struct written *find(std::vector<struct written> &all, const void *at)
{
    for (struct written &w : all)
        if (w.at == at) return &w;
    return NULL;
}

// Whether job i may begin before all blocks have ended the job before, since it waits for every
// number that it takes. When it writes its first number, all blocks have then ended the jobs that
// it waits for; attention, which waits for what its head takes only, those before.
static bool waits_for_numbers(const std::vector<struct step_job> &jobs, int i,
                              const struct job_uses &u, std::vector<struct written> &all)
{
    const struct step_job &job = jobs[(size_t)i];
    bool follows = false, attends = job.kind == JOB_ATTEND;
    unsigned tag = NO_TAG;
    for (const struct job_reads &r : u.reads) {
        const struct written *w = find(all, r.at);
        if (!w) continue;
        if (!w->in_turn || (attends && tag != NO_TAG && tag != w->tag)) return false;
        follows |= w->job == i - 1;
        tag = w->tag;
    }
    for (const struct written &w : u.writes) {
        const struct written *was = find(all, w.at);
        if (attends && was && (w.at == job.attend.cache.k || was->reader == i - 1)) return false;
    }
    if (!u.old || !follows) return follows;
    // The block that adds to a row must have written it itself: as many rows are divided alike.
    const struct written *w = find(all, u.old);
    if (!w) return true;
    const struct product_job &was = jobs[(size_t)w->job].product, &is = job.product;
    return jobs[(size_t)w->job].kind == JOB_PRODUCT && was.n_part == 1 && is.n_part == 1 &&
           was.n_row == is.n_row && was.ending == is.ending;
}

// Whether job i may begin at once: nothing that it takes or writes is touched by the jobs before,
// but that these have written the same rows, which the same blocks have.
static bool waits_for_nothing(const std::vector<struct step_job> &jobs, int i,
                              const struct job_uses &u, std::vector<struct written> &all,
                              const std::vector<const void *> &read)
{
    const struct step_job &job = jobs[(size_t)i];
    const struct product_job &is = job.product;
    if (job.kind != JOB_PRODUCT || is.ending != END_STORE || u.old) return false;
    for (const struct job_reads &r : u.reads)
        if (find(all, r.at)) return false;
    for (const struct written &w : u.writes) {
        const struct written *was = find(all, w.at);
        if (std::find(read.begin(), read.end(), w.at) != read.end()) return false;
        if (!was) continue;
        const struct product_job &first = jobs[(size_t)was->job].product;
        if (jobs[(size_t)was->job].kind != JOB_PRODUCT || first.ending != END_STORE ||
            first.n_part != 1 || is.n_part != 1 || first.n_row != is.n_row)
            return false;
    }
    return true;
}

// With more tokens than FEW has the inputs of a job are many: asked for again and again until they
// are there, they would keep the second-level cache busy. And a bf16 that stands alone loses none
// of its few bits. Then blocks meet.
static bool is_wide(const struct step_job &job)
{
    return (job.kind == JOB_PRODUCT  ? job.product.n_token
            : job.kind == JOB_SCORES ? job.scores.n_token
                                     : job.attend.n_token) > 4;
}

// Tags, and where blocks must meet.
static void synchronise(std::vector<struct step_job> &jobs)
{
    std::vector<struct written> all;
    std::vector<const void *> read;
    unsigned n_meeting = 0;
    for (int i = 0; i < (int)jobs.size(); i++) {
        struct job_uses u = uses_of(&jobs[(size_t)i]);
        bool waits = i && waits_for_numbers(jobs, i, u, all),
             at_once = !waits && waits_for_nothing(jobs, i, u, all, read);
        if (i && !waits && !at_once) jobs[(size_t)i].meeting = ++n_meeting;
        if (i && at_once && jobs[(size_t)i - 1].kind == JOB_PRODUCT)
            jobs[(size_t)i - 1].product.goes_on = true;
        for (const struct job_reads &r : u.reads) *r.want = NO_TAG, read.push_back(r.at);
        for (const struct job_reads &r : u.reads)
            if (struct written *w = find(all, r.at)) {
                w->reader = i;
                if (waits) *r.want = w->tag;
            }
        const struct written *first = find(all, u.writes[0].at);
        *u.leave = first && first->tag != NO_TAG ? first->tag ^ 1 : 0;
        if (jobs.size() == 1 || is_wide(jobs[(size_t)i])) *u.leave = NO_TAG;
        for (struct written &w : u.writes) {
            struct written *was = find(all, w.at);
            w.tag = *u.leave, w.job = i;
            w.in_turn = was && was->n == w.n && was->tag != w.tag && w.tag != NO_TAG && !at_once;
            if (was)
                *was = w;
            else
                all.push_back(w);
        }
    }
}

// What a job writes and a later one writes again only jobs between them have read: products, which
// take one kind of it, and the router's scores, which take both halves.
static void choose_parts(std::vector<struct step_job> &jobs, int form, bool mix)
{
    std::vector<const void *> later;
    for (size_t i = jobs.size(); i--;) {
        struct step_job &job = jobs[i];
        bool attends = job.kind == JOB_ATTEND;
        if (job.kind == JOB_SCORES) continue;
        const void *at = attends ? job.attend.out.hi[0] : job.product.next.hi[0];
        bool again = std::find(later.begin(), later.end(), at) != later.end(),
             pair = form == W_BF16 || (mix && !attends && job.product.ending == END_ADD);
        enum short_parts parts = !again ? PARTS_ALL : pair ? PARTS_PAIR : PARTS_HI;
        (attends ? job.attend.parts_out : job.product.parts_out) = parts;
        if (at) later.push_back(at);
    }
}

void cuda_steps_flush(k_device *d)
{
    struct step_queue *q = d->steps;
    if (q->jobs.empty()) return;
    struct step_list list = {};
    int form = q->has_form ? q->form : W_E4M3, mode = q->mode;
    bool ok = true;
    q->maps.assign(q->jobs.size() * PARTS_MAX, weight_maps());
    for (size_t i = 0; i < q->jobs.size(); i++) {
        if (q->jobs[i].kind == JOB_PRODUCT)
            ok = complete(d, &q->jobs[i].product, &q->maps[i * PARTS_MAX], form, mode) && ok;
    }
    if (!ok) cuda_check(d, cudaErrorNotSupported, "maps of weights");
    choose_parts(q->jobs, form, q->mix);
    synchronise(q->jobs);
    list.n = (int)q->jobs.size(), list.sync = q->sync, list.only = q->jobs[0];
    for (int i = 0; i < PARTS_MAX; i++) list.only_maps[i] = q->maps[(size_t)i];
    if (ok && list.n > 1)
        ok = (list.jobs = kept(d, q->jobs)) != NULL && (list.maps = kept(d, q->maps)) != NULL;
    if (ok)
        cuda_launch_early(d, "a step", kernels[form][mode][q->mix][q->head_dim != 64][q->codes],
                          dim3((unsigned)d->n_sm), BLOCK, shared_of(d, mode, q->mix), list);
    q->jobs.clear();
    q->has_form = q->mix = q->codes = false;
    q->head_dim = 0;
    q->n_choice = 0;
}

static enum mode mode_of(int n_token)
{
    return n_token == 1 ? ONE : n_token <= 4 ? FEW : WIDE;
}

// The list that takes a job of so many tokens.
static struct step_queue *list_for(k_device *d, int n_token)
{
    if (d->steps->mode != mode_of(n_token)) cuda_steps_flush(d);
    d->steps->mode = mode_of(n_token);
    return d->steps;
}

static void enqueue(k_device *d, const struct step_job &job)
{
    d->steps->jobs.push_back(job);
    if (!d->steps->lists) cuda_steps_flush(d);
}

// hi and lo: x, of either kind.
static void enqueue_product(k_device *d, const struct product_job &p, uint16_t *const *hi,
                            uint16_t *const *lo, const struct k_matrix *w)
{
    struct step_queue *q = list_for(d, p.n_token);
    int form = weight_form(w), kind = form == W_BF16 ? X_BF16 : X_F16;
    struct step_job job = {};
    if (q->has_form && q->form != form) cuda_steps_flush(d);
    q->has_form = true, q->form = form;
    job.kind = JOB_PRODUCT, job.product = p;
    job.product.hi = hi[kind], job.product.lo = lo[kind];
    if (p.experts) {
        q->mix = true;
        job.product.chooses = p.chooses || q->jobs.empty();
        if (job.product.chooses) job.product.n_before = q->n_choice++;
    }
    job.product.n_each = p.n_row / d->n_sm, job.product.n_more = p.n_row % d->n_sm;
    enqueue(d, job);
}

static bool lies_well(const struct k_matrix *w)
{
    return (uintptr_t)w->data % 16 == 0 && (uintptr_t)w->block % 16 == 0;
}

bool cuda_step_takes(const struct k_matrix *w)
{
    static const int steps[] = {64, 128, 128, 256,
                                512}; // whole slots, scales in pieces of 16 bytes
    int form = weight_form(w), step = form < W_N_FORM ? steps[form] : 1;
    return form != W_N_FORM && w->n_col % step == 0 && !w->data_step && !w->block_step &&
           lies_well(w);
}

// An expert's matrix has maps of its own, so rows of FP4 may lie apart, and end anywhere.
static bool takes_expert(const struct k_matrix *w)
{
    struct k_matrix m = with_steps(w);
    if (w->type != K_NVFP4 && w->type != K_MXFP4) return cuda_step_takes(w);
    return w->n_col % COLUMNS_STEP == 0 && m.data_step % 16 == 0 &&
           m.block_step % BLOCK_ALIGN == 0 && lies_well(w);
}

static void set_part(struct product_job *j, const struct k_matrix *w, const float *bias, float *out,
                     bool add)
{
    struct part *p = &j->part[j->n_part++];
    *p = (struct part){(const unsigned char *)w->data,
                       (const unsigned char *)w->block,
                       w->scale,
                       bias,
                       out,
                       w->n_row,
                       j->n_row,
                       add};
    j->n_row += w->n_row;
}

static struct product_job new_job(const k_act *a, int n_token, enum ending ending)
{
    struct product_job j = {};
    assert(a->form == FORM_PAIR && n_token <= FEW_TOKENS);
    j.n_col = a->n_col, j.n_token = n_token, j.ending = ending;
    assert(a->n_sum % 2 == 0); // they are read two at a time
    j.sums = a->sums, j.n_sum = a->n_sum;
    j.norm_dim = a->norm_dim, j.eps = a->eps;
    return j;
}

// Products of one kind share a job.
void cuda_step_project(k_device *d, const k_act *a, int n_token, const struct k_product *p,
                       int n_product)
{
    for (int i = 0; i < n_product;) {
        struct product_job j = new_job(a, n_token, END_STORE);
        const struct k_matrix *w = p[i].w;
        for (; i < n_product && j.n_part < PARTS_MAX && weight_form(p[i].w) == weight_form(w); i++)
            set_part(&j, p[i].w, p[i].bias, p[i].out, p[i].add);
        enqueue_product(d, j, a->hi, a->lo, w);
    }
}

static void set_next(struct product_job *j, const k_act *next)
{
    for (int i = 0; i < X_N_KIND; i++) j->next.hi[i] = next->hi[i], j->next.lo[i] = next->lo[i];
}

// The norm that follows END_ADD.
static void set_norm(k_device *d, struct product_job *j, k_act *next, const float *gain, float eps)
{
    set_next(j, next);
    j->next_sums = next->sums, j->gain = gain;
    next->form = FORM_PAIR, next->n_sum = d->n_sm * TOKEN_WARPS;
    next->norm_dim = j->part[0].n_row, next->eps = eps;
}

void cuda_step_gate(k_device *d, k_act *out, const k_act *a, const struct k_gate *g, int n_token)
{
    struct product_job j = new_job(a, n_token, END_GATE);
    set_part(&j, g->gate, nullptr, nullptr, false);
    set_part(&j, g->up, nullptr, nullptr, false);
    j.n_row = g->gate->n_row, j.gating = gating_of(nullptr);
    set_next(&j, out);
    out->form = FORM_PAIR, out->n_sum = 0;
    enqueue_product(d, j, a->hi, a->lo, g->gate);
}

void cuda_step_add(k_device *d, const k_act *a, const struct k_add *p, int n_token)
{
    struct product_job j = new_job(a, n_token, END_ADD);
    set_part(&j, p->w, p->bias, p->x, true);
    if (p->next) set_norm(d, &j, p->next, p->gain, p->eps);
    enqueue_product(d, j, a->hi, a->lo, p->w);
}

bool cuda_step_attends(const struct k_attend *at, int n_token)
{
    int rows = item_rows(n_token == 1), n_row = n_token * (at->n_head / at->cache->n_kv_head),
        n_row_tile = (n_row + rows - 1) / rows;
    int dim = at->cache->head_dim;
    // Vectors are read four numbers at a time.
    uintptr_t places = (uintptr_t)at->q | (uintptr_t)at->k | (uintptr_t)at->v |
                       (uintptr_t)at->q_norm | (uintptr_t)at->k_norm | (uintptr_t)at->rope;
    return n_token <= FEW_TOKENS && (dim == 64 || dim == 128) && places % 16 == 0 &&
           at->cache->n_kv_head * n_row_tile <= FEW_ITEMS_MAX;
}

void cuda_step_attend(k_device *d, k_act *a, const struct k_attend *at, int n_token)
{
    struct step_job job = {};
    struct attend_job *j = &job.attend;
    int n_kv = at->cache->n_kv_head, rows = item_rows(n_token == 1);
    job.kind = JOB_ATTEND;
    j->q = at->q, j->k = at->k, j->v = at->v, j->q_norm = at->q_norm, j->k_norm = at->k_norm;
    j->rope = at->rope, j->eps = at->eps, j->cache = *at->cache, j->pos = at->pos;
    j->window = at->window ? at->window : INT_MAX, j->sinks = at->sinks;
    j->n_head = at->n_head, j->n_token = n_token, j->n_row = n_token * (at->n_head / n_kv);
    j->n_row_tile = (j->n_row + rows - 1) / rows;
    int n_head = n_kv * j->n_row_tile, n_part = d->n_sm / n_head;
    j->n_part_max = n_part < 1 ? 1 : n_part > ATTEND_SPLIT_MAX ? (int)ATTEND_SPLIT_MAX : n_part;
    if (n_head * j->n_part_max > FEW_ITEMS_MAX) j->n_part_max = 1;
    j->parts = d->parts, j->counters = d->counters;
    for (int i = 0; i < X_N_KIND; i++) j->out.hi[i] = a->hi[i], j->out.lo[i] = a->lo[i];
    a->form = FORM_PAIR, a->n_sum = 0;
    struct step_queue *q = list_for(d, n_token);
    bool codes = at->cache->type == K_E4M3;
    if (q->head_dim && (q->head_dim != at->cache->head_dim || q->codes != codes))
        cuda_steps_flush(d);
    q->head_dim = at->cache->head_dim, q->codes = codes;
    enqueue(d, job);
}

// Experts: their weights must be of one form, and the choice of all tokens must find its room.
bool cuda_step_mixes(const struct k_experts *e, int n_token)
{
    int form = weight_form(e->gate);
    bool plain = !e->gating && !e->gate_bias && !e->up_bias && !e->down_bias;
    if (!plain && !may_have_biases(form)) return false;
    if (n_token > FEW_TOKENS || e->n_expert > EXPERTS_MAX || e->n_used > USED_MAX) return false;
    if (n_token * e->n_used > CHOSEN_MAX || e->gate->n_row % COLUMNS_STEP) return false;
    for (int i = 0; i < e->n_expert; i++) {
        const struct k_matrix *w[] = {e->gate + i, e->up + i, e->down + i};
        for (int k = 0; k < EXPERT_MATRICES; k++)
            if (weight_form(w[k]) != form || !takes_expert(w[k])) return false;
    }
    return true;
}

// The scores of all experts [n_token, n_expert]; false: the router is not as checkpoints have it.
bool cuda_step_scores(k_device *d, const k_act *a, const struct k_experts *e, float *scores,
                      int n_token)
{
    const struct k_matrix *router = e->router;
    struct step_job job = {};
    struct scores_job *j = &job.scores;
    if (router->type != K_BF16 || router->n_col % 8 || (uintptr_t)router->data % 16) return false;
    assert(a->form == FORM_PAIR && n_token <= FEW_TOKENS);
    job.kind = JOB_SCORES;
    j->w = (const uint16_t *)router->data, j->scale = router->scale;
    j->n_expert = router->n_row, j->n_col = router->n_col, j->n_token = n_token;
    for (int i = 0; i < X_N_KIND; i++) j->x.hi[i] = a->hi[i], j->x.lo[i] = a->lo[i];
    j->out = scores;
    list_for(d, n_token)->mix = true;
    enqueue(d, job);
    return true;
}

static void set_experts(k_device *d, struct product_job *j, int matrix, const struct k_experts *e,
                        const float *scores)
{
    int form = weight_form(e->gate), most = expert_most(form, is_small(d)),
        side = expert_box(form, EXPERT_DOWN, e->down, is_small(d));
    j->experts = (const struct k_matrix *)e->list;
    j->scores = scores, j->router_bias = e->router_bias;
    j->expert_maps = expert_maps(e->list, e->n_expert);
    j->box = matrix == EXPERT_DOWN ? side : expert_box(form, matrix, e->gate, is_small(d));
    j->side_each = units_of(e->down->n_col, form_columns[form]) / side;
    j->side_max = WARPS * most / side;
    j->box_inverse = ~0u / (unsigned)side + 1;
    j->gating = gating_of(e->gating);
    j->n_expert = e->n_expert, j->n_used = e->n_used, j->normalise = e->normalise;
    for (int i = 0; i < j->n_part; i++) j->part[i].scale = nullptr; // each expert has its own
}

int cuda_step_mid(const struct k_experts *e)
{
    int columns = form_columns[weight_form(e->down)];
    return units_of(e->down->n_col, columns) * columns;
}

// From the scores on; `mid` is room for [n_token, n_used, cuda_step_mid].
void cuda_step_mix(k_device *d, const k_act *a, const struct k_mix *m, const float *scores,
                   const struct short_out *mid, int n_token)
{
    const struct k_experts *e = m->experts;
    struct product_job in = new_job(a, n_token, END_GATE), out = {};
    set_part(&in, e->gate, e->gate_bias, nullptr, false);
    set_part(&in, e->up, e->up_bias, nullptr, false);
    in.n_row = cuda_step_mid(e), in.chooses = true, in.next = *mid;
    set_experts(d, &in, EXPERT_GATE, e, scores);
    enqueue_product(d, in, a->hi, a->lo, e->gate);

    out.n_col = cuda_step_mid(e), out.n_token = n_token, out.ending = END_ADD;
    set_part(&out, e->down, e->down_bias, m->x, true);
    set_experts(d, &out, EXPERT_DOWN, e, scores);
    if (m->next) set_norm(d, &out, m->next, m->gain, m->eps);
    enqueue_product(d, out, mid->hi, mid->lo, e->down);
}
