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
// - One more warp prepares what would hold the others up (the words of jobs, norms' factors), and
//   one makes results of sums. Code that runs once for a job costs the warps that multiply as much
//   as their products do, so whatever a warp apart can do, they do not; how jobs are divided is
//   found out on the host.
// - What runs again and again for a job is kept to some 30 KB of code, since that is what a
//   multiprocessor has at hand: the same instructions behind that come at a third of the pace when
//   one warp runs them (measured on an H200). So units, tiles and rows go round in loops instead of
//   standing side by side.
// - Rows are divided evenly, to a row: a tile may be ragged, but every block has as many bytes, up
//   to the seven rows that a box brings too many and the second-level cache has.
// - What a warp needs of x it copies to shared memory some steps ahead, and what a result takes
//   (scales, the residual) is asked for while the product goes on: whatever comes from the
//   second-level cache waits behind the weights. While all wait for that, fewer are asked for.
// - The 16 rows of a tile and 8 warps that divide its columns; all tokens go through the tensor
//   cores as one block of 8 columns, so 8 tokens cost what one costs. With bf16 weights and up to 4
//   tokens the low halves of x ride in the columns that would be empty. With one token and FP4 the
//   columns are the blocks of a row that the lanes hold, so that scales are applied to sums.
// - What follows a product happens on its sums: residual, gated activation, the next norm's gain
//   and squares, the short numbers that go on.
// - The warps that multiply take registers from the others (setmaxnreg), so that hardly anything is
//   spilled (on sm_121a nothing; on sm_90a some words with several tokens, where x is kept): what
//   comes back from local memory waits behind the weights, too.
// - x stays in registers while the tiles of a group go by, but for one token and FP4, of which a
//   lane would have 16 of each unit.
//
// With experts (a kernel of its own, MIX) a job for the router's scores comes first; then every
// block chooses for itself, and only then is the next weight known, so the warps that ask wait for
// it. The experts that any token chose are one product: gate and up tile after tile, down side by
// side, its columns being those of all of them. A token meets those that it chose only.
//
// A job waits for the numbers that it takes, not for other blocks: the lowest bit of each says
// whether it has been written this time or last, since writers of a buffer give it 0 and 1 in turn
// (synchronise). That is one way through the second-level cache where a fence, a counter and then
// the numbers would be three; with more than 4 tokens, whose numbers are too many to be asked for
// again and again, it is two, since a warp waits for a few of them first. A list's first use of a
// buffer cannot tell, and some numbers have no bit to spare (has_tags): there all blocks meet. They
// can, because all of them are on the GPU at the same time: there is one for each multiprocessor,
// each needs most of one, and what was launched before ends without them. A product whose x was
// there before the list, and whose results nobody has read yet, begins at once.
//
// Sums are added in an order that depends on the shape and the number of multiprocessors alone:
// results repeat bit for bit.
//
// Here is what both sides know: jobs, lists, how a block's shared memory is laid out. The host's
// side, which makes lists of operations, is cuda_step.cu; the kernel is cuda_step_kernel.h, and is
// compiled for each form of weights by itself.
#pragma once
#include "kernels/cuda_attend.h"
#include "kernels/cuda_experts.h"
#include "kernels/cuda_maps.h"
#include "kernels/cuda_unpack.h"

enum {
    WARPS = 8, // that multiply
    THREADS = 32 * WARPS,
    ASKERS = 2,                // warps that ask for weights: each for half of a tile's rows
    PREPARER = WARPS + ASKERS, // one that prepares what the others would wait for
    ENDER = PREPARER + 1,      // one that makes results of sums
    BLOCK = THREADS + 128,     // registers move between groups of four warps
    HALF_ROWS = 8,
    PARTS_MAX = 3,
    TILES = 4
};

// How many tokens there are: one, up to 4, up to 8.
enum mode { ONE, FEW, WIDE, N_MODE };

// Registers of a thread that multiplies. A launch gives 168 to each, and what two of these take
// more one of the others gives: 88 are enough for those who ask, prepare and end.
enum { REGISTERS = 208 };

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

// Whether a warp looks at the tags of x in the registers that it takes it to, as is quicker where
// tokens are many, or where x lies in shared memory. FP4 with experts has too few registers, and
// rows that end within a unit.
static constexpr __host__ __device__ bool looks_at_taken(int form, int mode, bool mix)
{
    return mode != ONE && !(mix && (form == W_NVFP4 || form == W_MXFP4));
}

// Whether jobs wait for numbers by their tags. Of more tokens than FEW has they are too many to be
// looked at twice; and a bf16 that stands alone loses none of its few bits.
static constexpr __host__ __device__ bool has_tags(int form, int mode, bool mix)
{
    return mode != WIDE || (form != W_BF16 && looks_at_taken(form, mode, mix));
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

// A stage of the ring (ring_bytes) begins at a multiple of this.
constexpr unsigned STAGE_ALIGN = (unsigned)HALF_ROWS * (unsigned)PIECE_BYTES;

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

// How a product is divided, which every warp finds out first. Of experts' products a part of it
// depends on their choice (cut_of).
struct alignas(16) product_cut {
    int n_each, n_more;       // every block has n_each rows, the first n_more have another
    int first[PARTS_MAX - 1]; // of the rows of parts 1 and 2; INT_MAX: there is none
    int tile_bits;            // rows of a tile: 2^
    int n_unit;               // of a row
    int step, n_step;         // units of a row that a step has, and steps
    int x_each, x_depth;      // units of a step that a warp has; steps that its ring of x holds
    struct stage_shape stage;
};

struct product_job {
    struct product_cut cut;
    struct part part[PARTS_MAX];
    int n_part, n_row, n_col, n_token; // END_GATE: n_row of one part
    int box;                           // units of a row that a copy brings
    struct divisor row_units;          // of one matrix
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
    int side_each;                                // boxes of a row of what stands side by side,
    struct divisor side_max;                      // and of a step at most
    struct divisor box_units, gate_rows, n_block; // the latter END_GATE
    const float *scores;                          // [n_token, n_expert], without norm and bias
    const float *router_bias;                     // [n_expert], or NULL
    struct k_gating gating;                       // END_GATE, with or without
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
    unsigned meeting;       // all blocks meet before it, for the meeting-th time; 0: they do not
    bool meets;             // they meet before the next
    unsigned char n_map[2]; // maps of the next job, and of the one behind it
    union {
        struct product_job product;
        struct attend_job attend;
        struct scores_job scores;
    };
};

// A job's words are copied 16 bytes at a time.
constexpr int JOB_PIECES = (int)sizeof(struct step_job) / 16;
static_assert(JOB_PIECES <= 32, "a warp brings one near at once");

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
    return (small ? 38 - (mix ? 1 : 0) : 148 - (mix ? 8 : 0) - (mode == WIDE ? 8 : 0)) << 10;
}

enum { STAGES = 8 }; // in the ring, at most

// Bytes that are asked for and not there yet are all that the ring has room for. But that is a
// queue in which everything else waits (x, results, and the counter at which blocks meet), so while
// others wait for something (CALM) one stage is asked for at a time, or what is less than this.
enum { IN_FLIGHT_CALM = IS_SMALL ? 19 << 10 : 9 << 10 };

// Half of the ring at most, so that there is room for a stage whatever is left at the end.
static constexpr bool fits(bool small)
{
    int n = WARPS * units_most(W_NVFP4, false, small);
    return 2 * shape_of(8, PIECE_UNITS, n / PIECE_UNITS).size <=
           (unsigned)ring_bytes(WIDE, true, small);
}
static_assert(fits(false) && fits(true), "two stages fit the ring");

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

// Units of a row of one matrix: whole pieces. A row of FP4 may end within them. What copies bring
// behind its end is of other rows, and its scales there are 0, as is x (x_pieces).
static constexpr __host__ __device__ int units_of(int n_col, int columns)
{
    return (n_col + PIECE_UNITS * columns - 1) / (PIECE_UNITS * columns) * PIECE_UNITS;
}

// A warp's own ring of x, [unit][token][half][columns of a unit] for each step. Where it holds all
// steps of a job they are copied once, for all groups of tiles.
constexpr __host__ __device__ int x_ring_bytes(int mode, bool small)
{
    return small ? 4096 : mode == WIDE ? 8192 : 7168;
}

// How many steps of a job that ring holds: all of them, or 8, 4, 2 or 1.
static constexpr __host__ __device__ int x_depth(int form, int mode, int each, int n_step,
                                                 int n_token, bool small)
{
    int columns = form == W_BF16         ? unit<W_BF16>::columns
                  : form == W_NVFP4      ? unit<W_NVFP4>::columns
                  : form == W_MXFP4      ? unit<W_MXFP4>::columns
                  : form == W_E4M3_BLOCK ? unit<W_E4M3_BLOCK>::columns
                                         : unit<W_E4M3>::columns,
        room = x_ring_bytes(mode, small), n = each * n_token * x_halves(form, mode) * columns * 2;
    return n_step * n <= room ? n_step
           : n <= room / 8    ? 8
           : n <= room / 4    ? 4
           : n <= room / 2    ? 2
                              : 1;
}

// The sums of a group of tiles are [warp][tile][row][token], of so many tokens.
static constexpr __host__ __device__ int sum_tokens(int mode)
{
    return mode == WIDE ? 8 : mode == FEW ? 4 : 1;
}

// Bytes of the sums of a group. There is room for two of them, but for those of 8 tokens.
static constexpr __host__ __device__ int sums_bytes(int mode)
{
    return WARPS * TILES * 16 * sum_tokens(mode) * (int)sizeof(float);
}

constexpr int ROOM_FOR_SUMS = sums_bytes(WIDE);

// Shared memory that a launch asks for: the ring, and behind it room for sums and x or for
// attention. What a kernel has besides is declared in it.
static constexpr __host__ __device__ size_t shared_bytes(int mode, bool mix, bool small)
{
    size_t product = (size_t)(ROOM_FOR_SUMS + WARPS * x_ring_bytes(mode, small)),
           attend =
               sizeof(struct few_shared<128>) -
               (small ? (TAKERS - SMALL_TAKERS) * sizeof((struct few_shared<128> *)0)->ring[0] : 0);
    return (size_t)ring_bytes(mode, mix, small) + (attend > product ? attend : product);
}

// What a block may have of it: of 100 KB or of 228, less 1 that the system keeps.
constexpr size_t SHARED_MOST = IS_SMALL ? 99 << 10 : 227 << 10;

// The kernels of one form: for a mode, without experts or with (MIX), for heads of 64 or 128, and
// for caches in bf16 or e4m3.
typedef void (*step_function)(struct step_list);
typedef step_function step_table[N_MODE][2][2][2];

extern const step_table step_kernels_bf16, step_kernels_e4m3, step_kernels_e4m3_block,
    step_kernels_nvfp4, step_kernels_mxfp4;
