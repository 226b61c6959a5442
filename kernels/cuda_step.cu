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
//   job's weights arrive. A ring of 130 KB is 4 us of an H200's memory; a wait is 1 to 2.
// - One warp does nothing but ask for weights, whole pieces of rows at a time (cp.async.bulk). A
//   stage of the ring is one step of one tile: 256 bytes of each row for each of the other warps.
// - What a warp needs of x it copies to shared memory some steps ahead, and what a result takes
//   (scales, the residual) is asked for before the product begins: whatever comes from the
//   second-level cache waits behind the weights.
// - The 16 rows of a tile and 8 warps that divide its columns; all tokens go through the tensor
//   cores as one block of 8 columns, so 8 tokens cost what one costs. With up to 4 tokens the low
//   halves of x ride in the columns that would be empty.
// - What follows a product happens on its sums: residual, gated activation, the next norm's gain
// and
//   squares, the split into pairs of short numbers.
// - Little code: between two uses of a line the rest of a layer's code is run, and instructions
// that
//   are no longer in the cache take longer to come than to execute.
//
// With experts (a kernel of its own, MIX) a job for the router's scores comes first; then every
// block chooses for itself, and only then is the next weight known, so the warp that asks waits for
// it. The experts that any token chose are one product: gate and up tile after tile, down side by
// side, its columns being those of all of them. A token meets those that it chose only.
//
// Between two jobs all blocks meet. They can, because all of them are on the GPU at the same time:
// there is one for each multiprocessor, each needs most of one, and what was launched before ends
// without them.
//
// Sums are added in an order that depends on the shape alone: results repeat bit for bit.
#include "kernels/cuda_attend.h"
#include "kernels/cuda_experts.h"
#include "kernels/cuda_unpack.h"

#include <cassert>
#include <vector>

enum {
    WARPS = 8, // that multiply
    THREADS = 32 * WARPS,
    BLOCK = THREADS + 32, // and one warp that asks for weights
    PARTS_MAX = 3,
    TILES = 4,
    SLOT_BYTES = 2 * UNIT_BYTES // of a row
};

// Slots of a row that a warp has in a stage.
static constexpr __host__ __device__ int slots_of(bool small)
{
    return small ? 1 : 2;
}

constexpr int SLOTS = slots_of(IS_SMALL);

// Experts that all tokens of a step may choose together, and that a layer may have.
enum { CHOSEN_MAX = 96, USED_MAX = 16, EXPERTS_MAX = 512, NO_RANK = 255 };

enum job_kind { JOB_PRODUCT, JOB_ATTEND, JOB_SCORES };
enum ending { END_STORE, END_GATE, END_ADD };

// One matrix of a product. Tiles of all matrices are numbered through.
struct part {
    const unsigned char *data, *block;
    const float *scale, *bias;
    float *out;
    int n_row, first_tile;
    bool add;
};

struct product_job {
    struct part part[PARTS_MAX];
    int n_part, n_tile, n_col, n_token;
    int n_each, n_more; // every block has n_each tiles, the first n_more have another
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
    // With experts. END_GATE: the parts are those of every chosen one, and n_tile is of one; next
    // has rows [n_token, n_used]. END_ADD: x has such rows, and n_col is of one.
    const struct k_matrix *experts; // a list, or NULL
    const float *scores;            // [n_token, n_expert]
    int n_expert, n_used;
    bool normalise;
    bool chooses;   // else the job before has
    unsigned phase; // choices of the list before this one, modulo 2
};

// The scores of experts: a product of few rows, by all blocks.
struct scores_job {
    const uint16_t *w; // bf16 [n_expert, n_col]
    const float *scale;
    int n_expert, n_col, n_token;
    const uint16_t *hi, *lo; // f16
    const float *sums;
    int n_sum, norm_dim;
    float eps;
    float *out; // [n_token, n_expert]
};

struct alignas(16) step_job {
    enum job_kind kind;
    union {
        struct product_job product;
        struct attend_job attend;
        struct scores_job scores;
    };
};

// Where blocks meet: how many have arrived in all, and how many are done with the list. Zero
// between launches.
struct step_sync {
    unsigned arrived, done;
};

struct step_list {
    const struct step_job *jobs; // NULL: `only` is all
    int n;
    struct step_sync *sync;
    struct step_job only;
};

// What a warp multiplies at a time: two neighbouring units (cuda_unpack.h) of each row, whole lines
// of 128 bytes.
template <int FORM> struct slot {
    static constexpr int scale_bytes = 2 * unit<FORM>::scale_bytes; // of a row
    static constexpr int columns = 2 * unit<FORM>::columns;
};

// Rows lie a little further apart than they are long, so that the eight lanes that are served
// together (two rows) meet different banks.
static constexpr __host__ __device__ int row_pitch(bool small)
{
    return WARPS * slots_of(small) * SLOT_BYTES + 64;
}

static constexpr __host__ __device__ int scale_pitch(int form, bool small)
{
    int bytes = form == W_NVFP4 ? 16 : form == W_MXFP4 ? 8 : 0;
    return bytes ? WARPS * slots_of(small) * bytes + 16 : 0;
}

static constexpr __host__ __device__ int stage_size(int form, bool small)
{
    return UNIT_ROWS * (row_pitch(small) + scale_pitch(form, small));
}

// Stages that are asked for and not there yet. More of them than the memory needs to be busy only
// make a queue in which everything else waits: x, results, and the counter at which blocks meet.
enum { IN_FLIGHT = 2 };

// Stages ahead.
static constexpr __host__ __device__ int depth_of(int form, bool small)
{
    return small ? 2 : form == W_NVFP4 || form == W_MXFP4 ? 3 : 4;
}

struct stage_sync {
    unsigned long long full, empty;
};

// Where the matrices of an expert are.
struct expert_place {
    const unsigned char *data[EXPERT_MATRICES], *block[EXPERT_MATRICES];
    const float *scale[EXPERT_MATRICES];
};

// A block's own copy of what the tokens chose.
template <bool MIX> struct choice;
template <> struct choice<false> {
};
template <> struct choice<true> {
    struct stage_sync sync; // full: it is made; empty: the warp that asks does not need it any more
    int n;                  // experts that any token chose, in order of their indices
    struct expert_place place[CHOSEN_MAX];
    unsigned char rank[CHOSEN_MAX][FEW_TOKENS]; // the expert's among the token's own, or NO_RANK
    int index[FEW_TOKENS][USED_MAX];
    float weight[FEW_TOKENS][USED_MAX];
    unsigned used[EXPERTS_MAX / 32]; // a bit for each expert; zero between choices
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

// The blocks divide the tiles of a job evenly.
template <bool MIX>
static __device__ __forceinline__ int tiles_before(const struct product_job &j,
                                                   const struct choice<MIX> &c, unsigned block)
{
    if constexpr (MIX)
        if (is_mixed<MIX>(j, END_GATE)) {
            unsigned n = (unsigned)c.n * (unsigned)j.n_tile;
            return (int)(block * (n / gridDim.x) + min(block, n % gridDim.x));
        }
    return (int)block * j.n_each + min((int)block, j.n_more);
}

// Up to TILES neighbouring tiles of one part, which are multiplied side by side.
struct group {
    int p, row, n; // the part, the first tile's first row in it, tiles
    int u;         // END_GATE with experts: of the chosen ones
};

template <bool MIX>
static __device__ __forceinline__ struct group group_of(const struct product_job &j, int tile,
                                                        int end)
{
    struct group g = {0, 0, 0, 0};
    int last = j.n_tile;
    if (is_mixed<MIX>(j, END_GATE)) {
        g.u = tile / j.n_tile;
        g.row = (tile - g.u * j.n_tile) * 8;
        last = (g.u + 1) * j.n_tile;
    } else if (j.ending == END_GATE) {
        g.row = tile * 8;
    } else {
        if (j.n_part > 1 && tile >= j.part[1].first_tile) g.p = 1;
        if (j.n_part > 2 && tile >= j.part[2].first_tile) g.p = 2;
        if (g.p + 1 < j.n_part) last = j.part[g.p + 1].first_tile;
        g.row = (tile - j.part[g.p].first_tile) * 16;
    }
    g.n = min((int)TILES, min(end, last) - tile);
    return g;
}

// Full: the copies of a stage have arrived. Empty: the warps have taken what was in it.

static __device__ __forceinline__ void sync_init(unsigned long long *s, unsigned n)
{
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(s)), "r"(n)
                 : "memory");
}

static __device__ __forceinline__ void sync_expect(unsigned long long *s, unsigned n_bytes)
{
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(s)),
                 "r"(n_bytes)
                 : "memory");
}

static __device__ __forceinline__ void sync_arrive(unsigned long long *s)
{
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(s)) : "memory");
}

// A wait that fails tries again, but not for ever: after 20 seconds it is taken for a fault.
struct patience {
    unsigned tries;
    long long start;
};

static __device__ __forceinline__ void be_patient(struct patience &p)
{
    long long now;
    if (++p.tries % 4096) return;
    asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
    if (!p.start) p.start = now;
    if (now - p.start > 20000000000ll) __trap();
}

static __device__ __forceinline__ void sync_wait(unsigned long long *s, unsigned phase)
{
    struct patience p = {0, 0};
    for (;;) {
        unsigned done;
        asm volatile("{ .reg .pred done;\n"
                     "mbarrier.try_wait.parity.shared::cta.b64 done, [%1], %2;\n"
                     "selp.u32 %0, 1, 0, done; }"
                     : "=r"(done)
                     : "r"(shared_address(s)), "r"(phase)
                     : "memory");
        if (done) return;
        be_patient(p);
    }
}

static __device__ __forceinline__ void copy_bulk(void *shared, const void *global, unsigned n_bytes,
                                                 unsigned long long *s)
{
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes "
                 "[%0], [%1], %2, [%3];" ::"r"(shared_address(shared)),
                 "l"(global), "r"(n_bytes), "r"(shared_address(s))
                 : "memory");
}

static __device__ __forceinline__ void copy_bulk_once(void *shared, const void *global,
                                                      unsigned n_bytes, unsigned long long *s)
{
    unsigned long long first_out;
    asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(first_out));
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint "
                 "[%0], [%1], %2, [%3], %4;" ::"r"(shared_address(shared)),
                 "l"(global), "r"(n_bytes), "r"(shared_address(s)), "l"(first_out)
                 : "memory");
}

// Where in the ring a warp is.
struct ring_at {
    unsigned stage, phase;
};

template <int DEPTH> static __device__ __forceinline__ void ring_next(struct ring_at &at)
{
    if (++at.stage < DEPTH) return;
    at.stage = 0, at.phase ^= 1;
}

// One lane's row of a tile: rows 0..15, of a gate's tile 8 of either part.
struct row_place {
    const unsigned char *data, *scales;
};

template <int FORM, bool MIX>
static __device__ __forceinline__ struct row_place place_of(const struct product_job &j,
                                                            const struct choice<MIX> &c,
                                                            const struct group &g, int t, int r)
{
    bool gate = j.ending == END_GATE;
    const struct part &p = j.part[gate ? r / 8 : g.p];
    const unsigned char *data = p.data, *block = p.block;
    if constexpr (MIX)
        if (is_mixed<MIX>(j)) {
            int i = gate ? r / 8 : (int)EXPERT_DOWN;
            data = c.place[g.u].data[i], block = c.place[g.u].block[i];
        }
    unsigned row = (unsigned)min(gate ? g.row + t * 8 + r % 8 : g.row + t * 16 + r,
                                 p.n_row - 1); // a ragged last tile repeats its last row
    constexpr unsigned per_byte = unit<FORM>::is_fp4 ? 2 : 1;
    unsigned n_col = (unsigned)j.n_col, row_bytes = FORM == W_BF16 ? 2 * n_col : n_col / per_byte;
    struct row_place at = {data + (size_t)row * row_bytes, nullptr};
    if constexpr (FORM == W_NVFP4) at.scales = block + (size_t)row * (n_col / 16);
    if constexpr (FORM == W_MXFP4) at.scales = block + (size_t)row * (n_col / 32);
    return at;
}

// Slots of a row of one matrix, and of a row of the job.
template <int FORM> static __device__ __forceinline__ int slots_each(const struct product_job &j)
{
    return j.n_col / slot<FORM>::columns;
}

template <int FORM, bool MIX>
static __device__ __forceinline__ int slots_all(const struct product_job &j,
                                                const struct choice<MIX> &c)
{
    if constexpr (MIX)
        if (is_mixed<MIX>(j, END_ADD)) return c.n * slots_each<FORM>(j);
    return slots_each<FORM>(j);
}

// A lane's row of a stage from the matrices whose slots stand side by side in it.
template <int FORM, bool MIX>
static __device__ __forceinline__ void
load_side_by_side(const struct product_job &j, const struct choice<MIX> &c, struct group g, int t,
                  unsigned first, unsigned n, unsigned char *data, unsigned char *scales,
                  unsigned long long *full, int r)
{
    constexpr unsigned scale_bytes = (unsigned)slot<FORM>::scale_bytes;
    unsigned each = (unsigned)slots_each<FORM>(j);
    for (unsigned u = first, k; u < first + n; u += k) {
        unsigned from = u % each;
        k = min(each - from, first + n - u);
        if (j.ending == END_ADD) g.u = (int)(u / each);
        struct row_place at = place_of<FORM, MIX>(j, c, g, t, r);
        copy_bulk_once(data + (u - first) * SLOT_BYTES, at.data + (size_t)from * SLOT_BYTES,
                       k * SLOT_BYTES, full);
        if constexpr (scale_bytes > 0)
            copy_bulk_once(scales + (u - first) * scale_bytes,
                           at.scales + (size_t)from * scale_bytes, k * scale_bytes, full);
    }
}

// While the next weights depend on a choice, memory would be idle: it brings what comes after the
// experts near, and these, which are read once, do not drive it out again (copy_bulk_once).
enum { AHEAD_BYTES = IS_SMALL ? 32 << 10 : 160 << 10 };

static __device__ __forceinline__ void bring_near(const void *p, unsigned n_bytes)
{
    asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(p), "r"(n_bytes) : "memory");
}

// One thread of n.
static __device__ __forceinline__ void bring_list_near(const struct product_job &j, int thread,
                                                       int n)
{
    constexpr int each = EXPERT_MATRICES * (int)sizeof(struct k_matrix);
    const char *list = (const char *)j.experts;
    for (int i = thread * 128; i < j.n_expert * each; i += n * 128)
        asm volatile("prefetch.global.L2 [%0];" ::"l"(list + i));
}

template <int FORM>
static __device__ __forceinline__ void ask_ahead(const struct step_job *jobs, int i, int n_job,
                                                 const struct choice<true> &c, int lane)
{
    for (int left = AHEAD_BYTES; i < n_job && left > 0; i++) {
        if (jobs[i].kind == JOB_SCORES) {
            const struct scores_job &j = jobs[i].scores;
            if (lane == 0 && (int)blockIdx.x < j.n_expert)
                bring_near(j.w + (size_t)blockIdx.x * (unsigned)j.n_col, (unsigned)j.n_col * 2);
        }
        if (jobs[i].kind != JOB_PRODUCT) continue;
        const struct product_job &j = jobs[i].product;
        if (j.experts && j.chooses) {
            bring_list_near(j, (int)blockIdx.x * 32 + lane, (int)gridDim.x * 32);
            return;
        }
        if (j.experts) continue;
        unsigned n_slot = (unsigned)slots_each<FORM>(j);
        int end = tiles_before(j, c, blockIdx.x + 1);
        struct group g;
        for (int tile = tiles_before(j, c, blockIdx.x); tile < end && left > 0; tile += g.n) {
            g = group_of<true>(j, tile, end);
            for (int t = 0; t < g.n; t++) {
                struct row_place at = place_of<FORM>(j, c, g, t, lane % UNIT_ROWS);
                if (lane < UNIT_ROWS) bring_near(at.data, n_slot * SLOT_BYTES);
                left -= (int)(n_slot * SLOT_BYTES * UNIT_ROWS);
            }
        }
    }
}

// The warp that asks: everything that the others will take, in the same order.
template <int FORM, bool MIX>
static __device__ void run_loader(const struct step_job *jobs, int n_job, unsigned char *ring,
                                  struct stage_sync *sync, struct choice<MIX> &c, int lane)
{
    constexpr int depth = depth_of(FORM, IS_SMALL), pitch = row_pitch(IS_SMALL),
                  scales_pitch = scale_pitch(FORM, IS_SMALL);
    constexpr unsigned step_slots = WARPS * SLOTS, step_bytes = step_slots * SLOT_BYTES,
                       step_scales = step_slots * (unsigned)slot<FORM>::scale_bytes;
    struct ring_at at = {0, 0}, landed = {0, 0};
    int flight = IN_FLIGHT;
    bool is_first = true; // of the list's choices
    for (int i = 0; i < n_job; i++) {
        if (jobs[i].kind != JOB_PRODUCT) continue;
        const struct product_job &j = jobs[i].product;
        if constexpr (MIX)
            if (is_mixed<MIX>(j) && j.chooses) {
                __syncwarp(); // every lane is done with the choice before
                if (!is_first && lane == 0) sync_arrive(&c.sync.empty);
                is_first = false;
                ask_ahead<FORM>(jobs, i + 1, n_job, c, lane);
                sync_wait(&c.sync.full, j.phase);
            }
        int end = tiles_before(j, c, blockIdx.x + 1), n_slot = slots_all<FORM>(j, c);
        struct group g;
        for (int tile = tiles_before(j, c, blockIdx.x); tile < end; tile += g.n) {
            g = group_of<MIX>(j, tile, end);
            for (unsigned step = 0; step * step_slots < (unsigned)n_slot; step++) {
                unsigned n = min(step_slots, (unsigned)n_slot - step * step_slots);
                unsigned row_bytes = n * SLOT_BYTES,
                         row_scales = n * (unsigned)slot<FORM>::scale_bytes;
                for (int t = 0; t < g.n; t++) {
                    struct row_place from;
                    if (!is_mixed<MIX>(j)) from = place_of<FORM>(j, c, g, t, lane % UNIT_ROWS);
                    struct stage_sync *s = sync + at.stage;
                    unsigned char *to = ring + at.stage * stage_size(FORM, IS_SMALL);
                    if (flight == 0) {
                        sync_wait(&sync[landed.stage].full, landed.phase);
                        ring_next<depth>(landed);
                    } else {
                        flight--;
                    }
                    sync_wait(&s->empty, at.phase ^ 1);
                    if (lane == 0) sync_expect(&s->full, UNIT_ROWS * (row_bytes + row_scales));
                    __syncwarp();
                    if (is_mixed<MIX>(j)) {
                        if (lane < UNIT_ROWS)
                            load_side_by_side<FORM>(
                                j, c, g, t, step * step_slots, n, to + lane * pitch,
                                to + UNIT_ROWS * pitch + lane * scales_pitch, &s->full, lane);
                    } else if (lane < UNIT_ROWS) {
                        copy_bulk(to + lane * pitch, from.data + (size_t)step * step_bytes,
                                  row_bytes, &s->full);
                        if constexpr (slot<FORM>::scale_bytes > 0)
                            copy_bulk(to + UNIT_ROWS * pitch + lane * scales_pitch,
                                      from.scales + (size_t)step * step_scales, row_scales,
                                      &s->full);
                    }
                    ring_next<depth>(at);
                }
            }
        }
    }
}

// A lane's columns of x for one slot, of the token of column g = lane / 4. With up to 4 tokens,
// g >= 4 has the low halves; with more there is no room for them (WIDE).
template <int FORM> struct fragment {
    unsigned v[2][2 * unit<FORM>::steps];
};

template <int FORM>
static __device__ __forceinline__ void take_columns(struct fragment<FORM> &f, const uint16_t *x,
                                                    bool exists)
{
#pragma unroll
    for (int h = 0; h < 2; h++)
#pragma unroll
        for (int i = 0; i < unit<FORM>::lane_columns / 8; i++) {
            uint4 v =
                exists ? ((const uint4 *)(x + h * unit<FORM>::columns))[i] : make_uint4(0, 0, 0, 0);
            f.v[h][4 * i] = v.x, f.v[h][4 * i + 1] = v.y;
            f.v[h][4 * i + 2] = v.z, f.v[h][4 * i + 3] = v.w;
        }
}

// A warp's own ring of x, [slot][token][hi, lo][columns of a slot] for each step, WIDE without lo.
// Where it holds all steps of a job they are copied once, for all groups of tiles.
constexpr __host__ __device__ int x_ring_size(bool small)
{
    return small ? 4096 : 8192;
}

constexpr int X_RING = x_ring_size(IS_SMALL);

template <int FORM, bool WIDE> struct x_ring {
    static constexpr int halves = WIDE ? 1 : 2;
    static constexpr int token_bytes = halves * slot<FORM>::columns * 2;
    unsigned char *at; // of X_RING bytes
    int depth, n_step; // steps that it holds: 1, 2, 4 or 8; steps of a group of tiles
    int from, to;      // the slots that come next
    int step;          // of the next load
    bool whole;        // all steps are there, or asked for
    int n_slot;        // of x
};

// Where slot u of a token's x begins, in columns; false: the token does not meet that expert.
template <int FORM, bool MIX>
static __device__ __forceinline__ bool
x_place(const struct product_job &j, const struct choice<MIX> &c, int u, int token, size_t *at)
{
    unsigned row = (unsigned)token;
    if constexpr (MIX)
        if (is_mixed<MIX>(j, END_ADD)) {
            int each = slots_each<FORM>(j), expert = u / each, rank = c.rank[expert][token];
            if (rank == NO_RANK) return false;
            row = row * (unsigned)j.n_used + (unsigned)rank;
            u -= expert * each;
        }
    *at = (size_t)row * (unsigned)j.n_col + (unsigned)(u * slot<FORM>::columns);
    return true;
}

// Asks for the next step; after a group's last comes the first of the next group, if there is one.
template <int FORM, bool WIDE, bool MIX>
static __device__ __forceinline__ void x_load(struct x_ring<FORM, WIDE> &r,
                                              const struct product_job &j,
                                              const struct choice<MIX> &c, int warp, int lane)
{
    constexpr int columns = slot<FORM>::columns, pieces = columns / 8; // of 16 bytes
#pragma unroll
    for (int s = 0; s < SLOTS; s++) {
        int u = (r.step * SLOTS + s) * WARPS + warp;
        if (MIX ? u >= r.n_slot : u * columns >= j.n_col) continue;
        unsigned char *to = r.at + (r.to * SLOTS + s) * j.n_token * r.token_bytes;
        if constexpr (MIX) {
            for (int k = lane; k < j.n_token * r.halves * pieces; k += 32) {
                int row = k / pieces;
                size_t at;
                if (!x_place<FORM>(j, c, u, row / r.halves, &at)) continue;
                copy_16(to + k * 16, (row % r.halves ? j.lo : j.hi) + at + k % pieces * 8);
            }
            continue;
        }
        const uint16_t *hi = j.hi + u * columns, *lo = j.lo + u * columns;
        for (int k = lane; k < j.n_token * r.halves * pieces; k += 32) {
            int row = k / pieces;
            copy_16(to + k * 16, (row % r.halves ? lo : hi) +
                                     (size_t)(unsigned)(row / r.halves) * (unsigned)j.n_col +
                                     (unsigned)(k % pieces * 8));
        }
    }
    copy_commit();
    if (++r.to == r.depth) r.to = 0;
    if (++r.step == r.n_step) r.step = 0;
}

template <int FORM, bool WIDE, bool MIX>
static __device__ __forceinline__ void
x_start(struct x_ring<FORM, WIDE> &r, const struct product_job &j, const struct choice<MIX> &c,
        unsigned char *at, int warp, int lane)
{
    int n_bytes = SLOTS * j.n_token * r.token_bytes;
    r.at = at;
    r.depth = n_bytes <= X_RING / 8 ? 8 : n_bytes <= X_RING / 4 ? 4 : n_bytes <= X_RING / 2 ? 2 : 1;
    r.n_slot = slots_all<FORM>(j, c);
    r.n_step = (r.n_slot + WARPS * SLOTS - 1) / (WARPS * SLOTS);
    r.whole = r.n_step <= r.depth;
    if (r.whole) r.depth = r.n_step;
    r.from = r.to = r.step = 0;
    for (int i = 0; i < r.depth; i++) x_load(r, j, c, warp, lane);
}

// Waits for the next step's columns.
template <int FORM, bool WIDE>
static __device__ __forceinline__ void x_wait(const struct x_ring<FORM, WIDE> &r)
{
    if (r.whole) {
        copy_wait<0>(); // all were asked for together
    } else {
        if (r.depth == 8) copy_wait<7>();
        if (r.depth == 4) copy_wait<3>();
        if (r.depth == 2) copy_wait<1>();
        if (r.depth == 1) copy_wait<0>();
    }
    __syncwarp();
}

// Slot s of them, which is slot u of the job.
template <int FORM, bool WIDE, bool MIX>
static __device__ __forceinline__ void x_take(const struct x_ring<FORM, WIDE> &r,
                                              struct fragment<FORM> &f, const struct product_job &j,
                                              const struct choice<MIX> &c, int s, int u, int lane)
{
    constexpr int columns = slot<FORM>::columns;
    int g = lane / 4, token = WIDE ? g : g % 4, row = WIDE ? g : token * 2 + g / 4;
    const unsigned char *from = r.at + (r.from * SLOTS + s) * j.n_token * r.token_bytes;
    bool exists = token < j.n_token;
    if constexpr (MIX) {
        size_t at;
        exists = exists && x_place<FORM>(j, c, u, token, &at);
    }
    take_columns<FORM>(
        f, (const uint16_t *)from + row * columns + lane % 4 * unit<FORM>::lane_columns, exists);
}

// They are not needed any more.
template <int FORM, bool WIDE, bool MIX>
static __device__ __forceinline__ void x_done(struct x_ring<FORM, WIDE> &r,
                                              const struct product_job &j,
                                              const struct choice<MIX> &c, int warp, int lane)
{
    if (++r.from == r.depth) r.from = 0;
    if (r.whole) return;
    __syncwarp();
    x_load(r, j, c, warp, lane);
}

// What a warp takes of a stage: a slot of the rows g and g + 8.
template <int FORM> struct raw_slot {
    uint4 row[2][2];
    unsigned scales[2][2];
};

template <int FORM>
static __device__ __forceinline__ void take_slot(struct raw_slot<FORM> &s,
                                                 const unsigned char *stage, int place, int lane)
{
    constexpr int pitch = row_pitch(IS_SMALL), scales_pitch = scale_pitch(FORM, IS_SMALL);
    int g = lane / 4, t = lane % 4;
    const unsigned char *row = stage + g * pitch + place * SLOT_BYTES + t * 16;
    const unsigned char *scales =
        stage + UNIT_ROWS * pitch + g * scales_pitch + place * slot<FORM>::scale_bytes;
#pragma unroll
    for (int h = 0; h < 2; h++)
#pragma unroll
        for (int k = 0; k < 2; k++) {
            s.row[h][k] = *(const uint4 *)(row + h * UNIT_BYTES + k * 8 * pitch);
            s.scales[h][k] =
                lane_scales<FORM>(scales + h * unit<FORM>::scale_bytes + k * 8 * scales_pitch, t);
        }
}

// `block`: what the slot's sums are multiplied with (SCALED), for the rows of either half.
template <int FORM, bool SCALED>
static __device__ __forceinline__ void multiply_slot(float acc[4], const struct raw_slot<FORM> &raw,
                                                     const struct fragment<FORM> &f,
                                                     const float block[2])
{
    constexpr int n = 2 * unit<FORM>::steps;
    float c[4] = {0, 0, 0, 0}, *sum = SCALED ? c : acc;
#pragma unroll
    for (int h = 0; h < 2; h++) {
        unsigned top[n], bottom[n];
        unpack_row<FORM>(raw.row[h][0], raw.scales[h][0], top);
        unpack_row<FORM>(raw.row[h][1], raw.scales[h][1], bottom);
#pragma unroll
        for (int s = 0; s < n / 2; s++) {
            const unsigned a[4] = {top[2 * s], bottom[2 * s], top[2 * s + 1], bottom[2 * s + 1]};
            mma_unit<FORM>(sum, a, f.v[h][2 * s], f.v[h][2 * s + 1]);
        }
    }
    if constexpr (SCALED) {
        acc[0] += c[0] * block[0], acc[1] += c[1] * block[0];
        acc[2] += c[2] * block[1], acc[3] += c[3] * block[1];
    }
}

// The scales of rows 0..7 and 8..15 of a tile for one slot, which is one block wide.
static __device__ __forceinline__ void load_blocks(float block[2], const struct product_job &j,
                                                   const struct group &g, int t, int u)
{
    bool gate = j.ending == END_GATE;
    unsigned across = (unsigned)(j.n_col + 127) / 128;
    unsigned row = (unsigned)(gate ? g.row + t * 8 : g.row + t * 16) / 128;
    const float *top = (const float *)j.part[g.p].block + row * across + (unsigned)u;
    block[0] = __ldg(top);
    block[1] = gate ? __ldg((const float *)j.part[1].block + row * across + (unsigned)u) : block[0];
}

// The same with experts: their blocks' scales, and those of the rows of every chosen one's down,
// which the sums of all of them do not share.
template <int FORM, bool MIX>
static __device__ __forceinline__ void load_mixed(float block[2], const struct product_job &j,
                                                  const struct choice<MIX> &c,
                                                  const struct group &g, int t, int u, int lane)
{
    unsigned across = (unsigned)(j.n_col + 127) / 128;
    block[0] = block[1] = 1;
    if (!is_mixed<MIX>(j)) {
        if constexpr (FORM == W_E4M3_BLOCK) load_blocks(block, j, g, t, u);
    } else if (j.ending == END_ADD) {
        unsigned each = (unsigned)slots_each<FORM>(j), expert = (unsigned)u / each;
        int row = g.row + t * 16 + lane / 4, last = j.part[0].n_row - 1;
        const float *scale = c.place[expert].scale[EXPERT_DOWN];
        if (scale)
            block[0] = __ldg(scale + min(row, last)), block[1] = __ldg(scale + min(row + 8, last));
        if constexpr (FORM == W_E4M3_BLOCK) {
            float b = __ldg((const float *)c.place[expert].block[EXPERT_DOWN] +
                            (unsigned)(g.row + t * 16) / 128 * across + (unsigned)u % each);
            block[0] *= b, block[1] *= b;
        }
    } else if (FORM == W_E4M3_BLOCK) {
        unsigned at = (unsigned)(g.row + t * 8) / 128 * across + (unsigned)u;
        block[0] = __ldg((const float *)c.place[g.u].block[EXPERT_GATE] + at);
        block[1] = __ldg((const float *)c.place[g.u].block[EXPERT_UP] + at);
    }
}

// Brings what the ends of this block's tiles will want (scales, bias, gain) near, one tile a
// thread.
static __device__ __forceinline__ void prefetch_row(const float *p, int row)
{
    if (p) asm volatile("prefetch.global.L2 [%0];" ::"l"(p + row));
}

template <bool MIX>
static __device__ __forceinline__ void prefetch_ends(const struct product_job &j,
                                                     const struct choice<MIX> &c, int thread)
{
    int first = tiles_before(j, c, blockIdx.x), tile = first + thread,
        end = tiles_before(j, c, blockIdx.x + 1);
    if constexpr (MIX)
        if (is_mixed<MIX>(j, END_ADD))
            for (int i = thread; i < (end - first) * c.n; i += THREADS)
                prefetch_row(c.place[i % c.n].scale[EXPERT_DOWN], (first + i / c.n) * 16);
    if (tile >= end) return;
    struct group g = group_of<MIX>(j, tile, end);
    int row = min(g.row, j.part[g.p].n_row - 1);
    if constexpr (MIX)
        if (is_mixed<MIX>(j, END_GATE)) {
            prefetch_row(c.place[g.u].scale[EXPERT_GATE], row);
            prefetch_row(c.place[g.u].scale[EXPERT_UP], row);
        }
    prefetch_row(j.part[g.p].scale, row);
    if (j.ending == END_GATE) prefetch_row(j.part[1].scale, row);
    prefetch_row(j.part[g.p].bias, row);
    prefetch_row(j.gain, row);
}

// 1 / rms of a token, by one warp; the same in all lanes.
template <typename JOB>
static __device__ __forceinline__ float norm_factor(const JOB &j, int token, int lane)
{
    float sum = 0;
    if (!j.n_sum) return 1;
    for (int i = lane; i < j.n_sum; i += 32) sum += j.sums[token * j.n_sum + i];
    return rsqrtf(warp_sum(sum) / (float)j.norm_dim + j.eps);
}

// Where sums of a tile meet: [warp][tile][row][token], of 8 tokens or of 4.
template <bool WIDE>
static __device__ __forceinline__ float *red_at(float *red, int warp, int t, int r, int token)
{
    constexpr int n = WIDE ? 8 : 4;
    return red + ((warp * TILES + t) * 16 + r) * n + token;
}

template <bool WIDE>
static __device__ __forceinline__ void leave_sums(float *red, const float acc[4], int t, int warp,
                                                  int lane)
{
    int g = lane / 4, token = lane % 4 * 2;
    float v[4];
#pragma unroll
    for (int i = 0; i < 4; i++) // the low halves' columns are two lanes further
        v[i] = WIDE ? acc[i] : acc[i] + __shfl_xor_sync(~0u, acc[i], 2);
    if (!WIDE && token >= 4) return;
    *(float2 *)red_at<WIDE>(red, warp, t, g, token) = make_float2(v[0], v[1]);
    *(float2 *)red_at<WIDE>(red, warp, t, g + 8, token) = make_float2(v[2], v[3]);
}

// Row r of tile t of this group for a token, summed over the warps.
template <bool WIDE>
static __device__ __forceinline__ float total(float *red, int t, int r, int token)
{
    float y = 0;
#pragma unroll
    for (int w = 0; w < WARPS; w++) y += *red_at<WIDE>(red, w, t, r, token);
    return y;
}

// The sums of a group belong to threads by row, tile and token: 16 rows (a gate's tile has 8
// results) of TILES tiles.
struct result {
    int r, t, token, row;
    bool exists;
    float scale, other, old; // of the row; other: bias, the up row's scale, the next norm's gain
    size_t at;               // where it goes
};

// What a result takes from memory, asked for before it is known.
template <bool MIX>
static __device__ __forceinline__ struct result
result_of(const struct product_job &j, const struct choice<MIX> &c, const struct group &g, int i)
{
    struct result x;
    const struct part &p = j.part[g.p];
    int n_row = j.ending == END_GATE ? 8 : 16;
    x.r = i % n_row, x.t = i / n_row % TILES, x.token = i / n_row / TILES;
    x.row = g.row + x.t * n_row + x.r;
    x.exists = x.t < g.n && x.row < p.n_row && x.token < j.n_token;
    x.scale = 1, x.other = 0, x.old = 0;
    x.at = (size_t)(unsigned)x.token * (unsigned)p.n_row + (unsigned)x.row;
    if (!x.exists) return x;
    if constexpr (MIX)
        if (is_mixed<MIX>(j, END_GATE)) {
            const struct expert_place &at = c.place[g.u];
            int rank = c.rank[g.u][x.token];
            x.exists = rank != NO_RANK;
            if (!x.exists) return x;
            x.at =
                (size_t)(unsigned)(x.token * j.n_used + rank) * (unsigned)p.n_row + (unsigned)x.row;
            x.scale = at.scale[EXPERT_GATE] ? at.scale[EXPERT_GATE][x.row] : 1;
            x.other = at.scale[EXPERT_UP] ? at.scale[EXPERT_UP][x.row] : 1;
            x.other *= c.weight[x.token][rank];
            return x;
        }
    const float *other = j.ending == END_STORE  ? p.bias
                         : j.ending == END_GATE ? j.part[1].scale
                                                : j.gain;
    if (j.ending == END_GATE) x.other = 1;
    if (p.scale) x.scale = p.scale[x.row];
    if (other) x.other = other[x.row];
    if (p.add) x.old = p.out[x.at];
    return x;
}

// END_ADD also leaves the squares of the new x, summed over each tile, which 16 lanes hold.
template <bool WIDE>
static __device__ __forceinline__ void finish(const struct product_job &j, float *red,
                                              const float *factor, const struct group &g,
                                              const struct result &x)
{
    float y = 0;
    if (x.exists) y = total<WIDE>(red, x.t, x.r, x.token) * factor[x.token] * x.scale;
    if (j.ending == END_STORE) {
        if (x.exists) j.part[g.p].out[x.at] = y + x.other + x.old;
    } else if (j.ending == END_GATE) {
        if (!x.exists) return;
        float up = total<WIDE>(red, x.t, x.r + 8, x.token) * factor[x.token] * x.other;
        write_pair(j.next, x.at, y / (1 + __expf(-y)) * up);
    } else {
        y += x.old;
        if (x.exists) j.part[0].out[x.at] = y;
        if (x.exists && j.gain) write_pair(j.next, x.at, y * x.other);
        float square = x.exists ? y * y : 0;
#pragma unroll
        for (int k = 8; k; k /= 2) square += __shfl_xor_sync(~0u, square, k);
        if (j.gain && x.r == 0 && x.t < g.n && x.token < j.n_token)
            j.next_sums[x.token * j.n_tile + g.row / 16 + x.t] = square;
    }
}

// The warps that multiply meet among themselves.
static __device__ __forceinline__ void block_sync()
{
    asm volatile("bar.sync 2, %0;" ::"r"(THREADS) : "memory");
}

static constexpr __host__ __device__ int room_for_sums(bool wide)
{
    return WARPS * TILES * 16 * (wide ? 8 : 4) * (int)sizeof(float);
}

static __device__ __forceinline__ void turn_sums(float acc[TILES][4])
{
#pragma unroll
    for (int i = 0; i < 4; i++) {
        float first = acc[0][i];
#pragma unroll
        for (int t = 0; t + 1 < TILES; t++) acc[t][i] = acc[t + 1][i];
        acc[TILES - 1][i] = first;
    }
}

template <int FORM, bool WIDE, bool MIX>
static __device__ __forceinline__ void
run_product(const struct product_job &j, const struct choice<MIX> &c, const unsigned char *ring,
            struct stage_sync *sync, struct ring_at &at, unsigned char *room, float *factor,
            int warp, int lane)
{
    constexpr int depth = depth_of(FORM, IS_SMALL);
    constexpr int n_mine = WIDE ? 2 : 1; // results that a thread has of a group
    static_assert(n_mine * THREADS >= TILES * 16 * (WIDE ? 8 : 4), "every result has a thread");
    constexpr bool scaled = MIX || FORM == W_E4M3_BLOCK;
    int end = tiles_before(j, c, blockIdx.x + 1), n_slot = slots_all<FORM>(j, c),
        thread = warp * 32 + lane;
    float *red = (float *)room;
    struct x_ring<FORM, WIDE> xs;
    struct group g;
    x_start(xs, j, c, room + room_for_sums(WIDE) + warp * X_RING, warp, lane);
    if (warp < j.n_token) {
        float f = norm_factor(j, warp, lane) * unit<FORM>::factor;
        if (lane == 0) factor[warp] = f;
    }
    for (int tile = tiles_before(j, c, blockIdx.x); tile < end; tile += g.n) {
        float acc[TILES][4] = {};
        g = group_of<MIX>(j, tile, end);
        struct result mine[n_mine];
#pragma unroll
        for (int i = 0; i < n_mine; i++) mine[i] = result_of(j, c, g, thread + i * THREADS);
        for (int first = 0; first < n_slot; first += WARPS * SLOTS) {
            x_wait(xs);
            // One piece of code for all tiles, since what is not in the instruction cache costs
            // more than the work; so their sums go round.
#pragma unroll 1
            for (int t = 0; t < g.n; t++) {
                struct raw_slot<FORM> raw[SLOTS];
                float block[SLOTS][2];
#pragma unroll
                for (int s = 0; scaled && s < SLOTS; s++) {
                    int u = min(first + s * WARPS + warp, n_slot - 1);
                    if constexpr (MIX)
                        load_mixed<FORM>(block[s], j, c, g, t, u, lane);
                    else
                        load_blocks(block[s], j, g, t, u);
                }
                sync_wait(&sync[at.stage].full, at.phase);
#pragma unroll
                for (int s = 0; s < SLOTS; s++)
                    if (first + s * WARPS + warp < n_slot)
                        take_slot<FORM>(raw[s], ring + at.stage * stage_size(FORM, IS_SMALL),
                                        s * WARPS + warp, lane);
                __syncwarp();
                if (lane == 0) sync_arrive(&sync[at.stage].empty);
#pragma unroll
                for (int s = 0; s < SLOTS; s++) {
                    struct fragment<FORM> x;
                    if (first + s * WARPS + warp >= n_slot) continue;
                    x_take(xs, x, j, c, s, first + s * WARPS + warp, lane);
                    multiply_slot<FORM, scaled>(acc[0], raw[s], x, block[s]);
                }
                ring_next<depth>(at);
                turn_sums(acc);
            }
            for (int t = g.n; t < TILES; t++) turn_sums(acc);
            x_done(xs, j, c, warp, lane);
        }
        block_sync(); // the sums of the group before have been read
#pragma unroll
        for (int t = 0; t < TILES; t++)
            if (t < g.n) leave_sums<WIDE>(red, acc[t], t, warp, lane);
        block_sync();
#pragma unroll
        for (int i = 0; i < n_mine; i++) finish<WIDE>(j, red, factor, g, mine[i]);
    }
    copy_wait<0>();
}

// Blocks meet: what each of them wrote before is seen by all after.

static __device__ __forceinline__ void meet_arrive(struct step_sync *s)
{
    block_sync();
    if (threadIdx.x == 0)
        asm volatile("red.release.gpu.global.add.u32 [%0], 1;" ::"l"(&s->arrived) : "memory");
}

static __device__ __forceinline__ void meet_wait(struct step_sync *s, unsigned n)
{
    if (threadIdx.x == 0) {
        struct patience p = {0, 0};
        for (;;) {
            unsigned arrived;
            asm volatile("ld.acquire.gpu.global.u32 %0, [%1];"
                         : "=r"(arrived)
                         : "l"(&s->arrived)
                         : "memory");
            if (arrived >= n) break;
            be_patient(p);
        }
    }
    block_sync();
}

static __device__ __forceinline__ void meet_last(struct step_sync *s)
{
    if (threadIdx.x || atomicAdd(&s->done, 1u) + 1 < gridDim.x) return;
    s->arrived = s->done = 0; // everybody has left the last meeting
}

template <int DIM>
static __device__ __forceinline__ void run_attend(unsigned char *room, const struct attend_job *job,
                                                  struct step_sync *sync, unsigned n_arrived,
                                                  int warp, int lane)
{
    struct few_shared<DIM> &sh = *(struct few_shared<DIM> *)room;
    const struct attend_job &j = *job;
    int n_item = attend_items(j), item = (int)blockIdx.x;
    bool mine = warp < FEW_WARPS && item < n_item;
    struct attend_item a;
    if (mine) {
        a = item_of(j, item, warp);
        attend_begin<DIM>(sh, j, a, warp, lane);
    }
    meet_wait(sync, n_arrived);
    while (mine) {
        attend_end<DIM>(sh, j, a, warp, lane);
        item += (int)gridDim.x;
        if (item >= n_item) break;
        a = item_of(j, item, warp);
        attend_begin<DIM>(sh, j, a, warp, lane);
    }
}

// Scores of experts. A block has a row at a time, a thread 8 of its columns: what comes from memory
// comes at once.
static __device__ __forceinline__ float dot_8(uint4 w, uint4 hi, uint4 lo)
{
    const unsigned a[4] = {w.x, w.y, w.z, w.w}, h[4] = {hi.x, hi.y, hi.z, hi.w},
                   l[4] = {lo.x, lo.y, lo.z, lo.w};
    float sum = 0;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        float2 x = __half22float2(*(const __half2 *)&h[i]),
               rest = __half22float2(*(const __half2 *)&l[i]);
        sum += __uint_as_float(a[i] << 16) * (x.x + rest.x);
        sum += __uint_as_float(a[i] & 0xffff0000u) * (x.y + rest.y);
    }
    return sum;
}

static __device__ __noinline__ void run_scores(const struct scores_job &j, struct step_sync *sync,
                                               unsigned n_arrived, float *room, int warp, int lane)
{
    float(*part)[FEW_TOKENS] = (float(*)[FEW_TOKENS])room, *factor = room + WARPS * FEW_TOKENS;
    int thread = warp * 32 + lane, row = (int)blockIdx.x;
    unsigned n_col = (unsigned)j.n_col;
    const uint16_t *of_row = j.w + (size_t)(unsigned)row * n_col;
    bool has_first = row < j.n_expert && thread * 8 < j.n_col;
    uint4 early = make_uint4(0, 0, 0, 0);
    float scale = 1;
    if (has_first) early = __ldg((const uint4 *)of_row + thread); // depends on nothing
    if (row < j.n_expert && j.scale) scale = __ldg(j.scale + row);
    meet_wait(sync, n_arrived);
    if (warp < j.n_token) {
        float f = norm_factor(j, warp, lane) * (float)(1 / F16_UNIT);
        if (lane == 0) factor[warp] = f;
    }
    for (; row < j.n_expert; row += (int)gridDim.x) {
        of_row = j.w + (size_t)(unsigned)row * n_col;
        for (int t = 0; t < j.n_token; t++) {
            float sum = 0;
            for (int c = thread * 8; c < j.n_col; c += THREADS * 8) {
                bool has = row == (int)blockIdx.x && c == thread * 8;
                uint4 w = has ? early : __ldg((const uint4 *)(of_row + c));
                size_t at = (size_t)(unsigned)t * n_col + (unsigned)c;
                sum += dot_8(w, __ldcg((const uint4 *)(j.hi + at)),
                             __ldcg((const uint4 *)(j.lo + at)));
            }
            sum = warp_sum(sum);
            if (lane == 0) part[warp][t] = sum;
        }
        block_sync();
        if (thread < j.n_token) {
            float y = 0;
            if (row != (int)blockIdx.x && j.scale) scale = __ldg(j.scale + row);
            for (int i = 0; i < WARPS; i++) y += part[i][thread];
            j.out[(size_t)(unsigned)thread * (unsigned)j.n_expert + (unsigned)row] =
                y * factor[thread] * scale;
        }
        block_sync();
    }
}

static __device__ __forceinline__ struct expert_place expert_place_of(const struct k_matrix *list,
                                                                      int expert)
{
    struct expert_place at;
#pragma unroll
    for (int i = 0; i < EXPERT_MATRICES; i++) {
        const struct k_matrix *w = list + expert * EXPERT_MATRICES + i;
        at.data[i] = (const unsigned char *)__ldg((const unsigned long long *)&w->data);
        at.block[i] = (const unsigned char *)__ldg((const unsigned long long *)&w->block);
        at.scale[i] = (const float *)__ldg((const unsigned long long *)&w->scale);
    }
    return at;
}

// Every block chooses for itself: that is shorter than to meet once more.
static __device__ __noinline__ void run_choice(const struct product_job &j, struct choice<true> &c,
                                               float *room, int warp, int lane)
{
    int thread = warp * 32 + lane;
    sync_wait(&c.sync.empty, j.phase ^ 1);
    if (warp < j.n_token) {
        const float *from = j.scores + warp * j.n_expert;
        float *score = room + warp * j.n_expert;
        for (int i = lane; i < j.n_expert; i += 32) score[i] = __ldcg(from + i);
        choose_experts(score, j.n_expert, j.n_used, j.normalise, c.index[warp], c.weight[warp],
                       lane);
        __syncwarp();
        if (lane < j.n_used) {
            int e = c.index[warp][lane];
            atomicOr(&c.used[e / 32], 1u << e % 32);
        }
    }
    block_sync();
    for (int e = thread; e < j.n_expert; e += THREADS) {
        unsigned word = c.used[e / 32];
        if (!(word >> e % 32 & 1)) continue;
        int u = __popc(word & ((1u << e % 32) - 1));
        for (int i = 0; i < e / 32; i++) u += __popc(c.used[i]);
        c.place[u] = expert_place_of(j.experts, e);
        for (int t = 0; t < FEW_TOKENS; t++) {
            int rank = NO_RANK;
            for (int k = 0; t < j.n_token && k < j.n_used; k++)
                if (c.index[t][k] == e) rank = k;
            c.rank[u][t] = (unsigned char)rank;
        }
    }
    if (thread == 0) {
        int n = 0;
        for (int i = 0; i < EXPERTS_MAX / 32; i++) n += __popc(c.used[i]);
        c.n = n;
    }
    block_sync();
    if (thread < EXPERTS_MAX / 32) c.used[thread] = 0;
    if (thread == 0) sync_arrive(&c.sync.full);
}

// A job's words, from where they are kept to shared memory.
constexpr int JOB_PIECES = (int)sizeof(struct step_job) / 16;

// WIDE: more than 4 tokens. MIX: some jobs are of experts.
template <int FORM, bool WIDE, bool MIX>
__global__ void __launch_bounds__(BLOCK, 1)
    step_kernel(const __grid_constant__ struct step_list list)
{
    constexpr int depth = depth_of(FORM, IS_SMALL);
    extern __shared__ __align__(128) unsigned char ring[];
    __shared__ __align__(16) unsigned char near[2][sizeof(struct step_job)]; // this job, the next
    __shared__ struct stage_sync sync[depth];
    __shared__ float factor[FEW_TOKENS];
    __shared__ struct choice<MIX> choice;
    const struct step_job *jobs = list.jobs ? list.jobs : &list.only;
    int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    unsigned char *room = ring + depth * stage_size(FORM, IS_SMALL); // sums, or attention

    early_trigger();
    if (threadIdx.x < JOB_PIECES)
        ((uint4 *)near[0])[threadIdx.x] = ((const uint4 *)jobs)[threadIdx.x];
    if (threadIdx.x == 0) {
        for (int i = 0; i < depth; i++) {
            sync_init(&sync[i].full, 1);
            sync_init(&sync[i].empty, WARPS);
        }
        if constexpr (MIX) {
            sync_init(&choice.sync.full, 1);
            sync_init(&choice.sync.empty, 1);
        }
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    if constexpr (MIX)
        if (threadIdx.x < EXPERTS_MAX / 32) choice.used[threadIdx.x] = 0;
    __syncthreads();
    if (warp >= WARPS) {
        run_loader<FORM>(jobs, list.n, ring, sync, choice, lane);
        return;
    }
    struct ring_at at = {0, 0};
    for (int i = 0; i < list.n; i++) {
        // What follows from these is to be found anew for each job: kept for the whole list, it
        // would not fit the registers.
        asm volatile("" : "+r"(warp), "+r"(lane));
        const struct step_job &job = *(const struct step_job *)near[i % 2];
        unsigned n_arrived = (unsigned)i * gridDim.x;
        bool fetches = i + 1 < list.n && threadIdx.x < JOB_PIECES;
        uint4 piece;
        // MIX has no registers left to keep it in.
        if (MIX && fetches)
            copy_16(near[(i + 1) % 2] + threadIdx.x * 16,
                    (const uint4 *)(jobs + i + 1) + threadIdx.x);
        if (!MIX && fetches) piece = ((const uint4 *)(jobs + i + 1))[threadIdx.x];
        if (i == 0) early_wait();
        if (job.kind == JOB_PRODUCT) {
            bool chooses = is_mixed<MIX>(job.product) && job.product.chooses;
            if (!chooses) prefetch_ends(job.product, choice, warp * 32 + lane);
            meet_wait(list.sync, n_arrived);
            if constexpr (MIX)
                if (chooses) {
                    run_choice(job.product, choice, (float *)room, warp, lane);
                    prefetch_ends(job.product, choice, warp * 32 + lane);
                }
            run_product<FORM, WIDE>(job.product, choice, ring, sync, at, room, factor, warp, lane);
        } else if (MIX && job.kind == JOB_SCORES) {
            if constexpr (MIX)
                run_scores(job.scores, list.sync, n_arrived, (float *)room, warp, lane);
        } else if (job.attend.cache.head_dim == 64) {
            run_attend<64>(room, &job.attend, list.sync, n_arrived, warp, lane);
        } else {
            run_attend<128>(room, &job.attend, list.sync, n_arrived, warp, lane);
        }
        if (MIX) {
            copy_commit();
            copy_wait<0>();
        }
        if (!MIX && fetches) ((uint4 *)near[(i + 1) % 2])[threadIdx.x] = piece;
        if (i + 1 < list.n) meet_arrive(list.sync);
    }
    meet_last(list.sync);
}

// The host's side

typedef void (*step_function)(struct step_list);

#define OF_FORM(form)                                                                              \
    {                                                                                              \
        {step_kernel<form, false, false>, step_kernel<form, false, true>},                         \
            {step_kernel<form, true, false>, step_kernel<form, true, true>},                       \
    }
static const step_function kernels[W_N_FORM][2][2] = {
    // WIDE, MIX
    OF_FORM(W_BF16), OF_FORM(W_E4M3), OF_FORM(W_E4M3_BLOCK), OF_FORM(W_NVFP4), OF_FORM(W_MXFP4),
};

struct step_queue {
    std::vector<struct step_job> jobs;
    int form, wide; // of the products among them
    bool has_form, mix;
    unsigned n_choice;
    std::vector<void *> *lists; // where lists in device memory are kept; NULL: not recording
    struct step_sync *sync;
    cudaStream_t side; // what is copied while d->stream records
};

static bool is_small(const k_device *d) // as IS_SMALL
{
    return d->shared_max < 200 << 10;
}

static size_t shared_of(const k_device *d, int form)
{
    bool small = is_small(d);
    size_t ring = (size_t)depth_of(form, small) * (size_t)stage_size(form, small);
    size_t product = (size_t)(room_for_sums(true) + WARPS * x_ring_size(small));
    size_t tiles = sizeof(((struct few_shared<128> *)0)->ring) / FEW_STAGES;
    size_t attend = sizeof(struct few_shared<128>) - (small ? tiles : 0);
    return ring + (attend > product ? attend : product);
}

bool cuda_steps_open(k_device *d)
{
    struct step_queue *q = d->steps = new step_queue();
    bool ok = cuda_check(d, cudaMalloc(&q->sync, sizeof *q->sync), "scratch") &&
              cuda_check(d, cudaMemset(q->sync, 0, sizeof *q->sync), "scratch") &&
              cuda_check(d, cudaStreamCreateWithFlags(&q->side, cudaStreamNonBlocking), "stream");
    for (int form = 0; ok && form < W_N_FORM; form++)
        for (int i = 0; ok && i < 4; i++)
            ok = cuda_check(d,
                            cudaFuncSetAttribute(kernels[form][i / 2][i % 2],
                                                 cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                 (int)shared_of(d, form)),
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

// The list in device memory, for as long as the recording lives.
static const struct step_job *kept_list(k_device *d)
{
    struct step_queue *q = d->steps;
    size_t n_bytes = q->jobs.size() * sizeof q->jobs[0];
    void *p = NULL;
    if (!cuda_check(d, cudaMalloc(&p, n_bytes), "a list of jobs")) return NULL;
    q->lists->push_back(p);
    if (!cuda_check(d, cudaMemcpyAsync(p, q->jobs.data(), n_bytes, cudaMemcpyHostToDevice, q->side),
                    "a list of jobs") ||
        !cuda_check(d, cudaStreamSynchronize(q->side), "a list of jobs"))
        return NULL;
    return (const struct step_job *)p;
}

void cuda_steps_flush(k_device *d)
{
    struct step_queue *q = d->steps;
    if (q->jobs.empty()) return;
    struct step_list list = {NULL, (int)q->jobs.size(), q->sync, q->jobs[0]};
    int form = q->has_form ? q->form : W_E4M3, wide = q->has_form && q->wide;
    bool ok = list.n == 1 || (list.jobs = kept_list(d));
    if (ok)
        cuda_launch_early(d, "a step", kernels[form][wide][q->mix], dim3((unsigned)d->n_sm), BLOCK,
                          shared_of(d, form), list);
    q->jobs.clear();
    q->has_form = q->mix = false;
    q->n_choice = 0;
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
    struct step_queue *q = d->steps;
    int form = weight_form(w), wide = p.n_token > 4, kind = form == W_BF16 ? X_BF16 : X_F16;
    struct step_job job = {};
    if (q->has_form && (q->form != form || q->wide != wide)) cuda_steps_flush(d);
    q->has_form = true, q->form = form, q->wide = wide;
    job.kind = JOB_PRODUCT, job.product = p;
    job.product.hi = hi[kind], job.product.lo = lo[kind];
    if (p.experts) {
        q->mix = true;
        job.product.chooses = p.chooses || q->jobs.empty();
        if (job.product.chooses) job.product.phase = q->n_choice++ % 2;
    }
    job.product.n_each = p.n_tile / d->n_sm, job.product.n_more = p.n_tile % d->n_sm;
    enqueue(d, job);
}

bool cuda_step_takes(const struct k_matrix *w)
{
    static const int steps[] = {64, 128, 128, 256,
                                512}; // whole slots, scales in pieces of 16 bytes
    int form = weight_form(w), step = form < W_N_FORM ? steps[form] : 1;
    return form != W_N_FORM && w->n_col % step == 0 && (uintptr_t)w->data % 16 == 0;
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
                       j->n_tile,
                       add};
    j->n_tile += (w->n_row + UNIT_ROWS - 1) / UNIT_ROWS;
}

static struct product_job new_job(const k_act *a, int n_token, enum ending ending)
{
    struct product_job j = {};
    assert(a->form == FORM_PAIR && n_token <= FEW_TOKENS);
    j.n_col = a->n_col, j.n_token = n_token, j.ending = ending;
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
static void set_norm(struct product_job *j, k_act *next, const float *gain, float eps)
{
    set_next(j, next);
    j->next_sums = next->sums, j->gain = gain;
    next->form = FORM_PAIR, next->n_sum = j->n_tile, next->norm_dim = j->part[0].n_row,
    next->eps = eps;
}

void cuda_step_gate(k_device *d, k_act *out, const k_act *a, const struct k_gate *g, int n_token)
{
    struct product_job j = new_job(a, n_token, END_GATE);
    set_part(&j, g->gate, nullptr, nullptr, false);
    set_part(&j, g->up, nullptr, nullptr, false);
    j.n_tile = (g->gate->n_row + 7) / 8;
    set_next(&j, out);
    out->form = FORM_PAIR, out->n_sum = 0;
    enqueue_product(d, j, a->hi, a->lo, g->gate);
}

void cuda_step_add(k_device *d, const k_act *a, const struct k_add *p, int n_token)
{
    struct product_job j = new_job(a, n_token, END_ADD);
    set_part(&j, p->w, nullptr, p->x, true);
    if (p->next) set_norm(&j, p->next, p->gain, p->eps);
    enqueue_product(d, j, a->hi, a->lo, p->w);
}

bool cuda_step_attends(const struct k_attend *at, int n_token)
{
    int group = at->n_head / at->cache->n_kv_head, n_row_tile = (n_token * group + ROWS - 1) / ROWS;
    int dim = at->cache->head_dim;
    return n_token <= FEW_TOKENS && (dim == 64 || dim == 128) &&
           at->cache->n_kv_head * n_row_tile <= FEW_ITEMS_MAX;
}

void cuda_step_attend(k_device *d, k_act *a, const struct k_attend *at, int n_token)
{
    struct step_job job = {};
    struct attend_job *j = &job.attend;
    int n_kv = at->cache->n_kv_head;
    job.kind = JOB_ATTEND;
    j->q = at->q, j->k = at->k, j->v = at->v, j->q_norm = at->q_norm, j->k_norm = at->k_norm;
    j->rope = at->rope, j->eps = at->eps, j->cache = *at->cache, j->pos = at->pos;
    j->n_head = at->n_head, j->n_token = n_token, j->n_row = n_token * (at->n_head / n_kv);
    j->n_row_tile = (j->n_row + ROWS - 1) / ROWS;
    int n_head = n_kv * j->n_row_tile, n_part = d->n_sm / n_head;
    j->n_part_max = n_part < 1 ? 1 : n_part > ATTEND_SPLIT_MAX ? (int)ATTEND_SPLIT_MAX : n_part;
    if (n_head * j->n_part_max > FEW_ITEMS_MAX) j->n_part_max = 1;
    j->parts = d->parts, j->counters = d->counters;
    for (int i = 0; i < X_N_KIND; i++) j->out.hi[i] = a->hi[i], j->out.lo[i] = a->lo[i];
    a->form = FORM_PAIR, a->n_sum = 0;
    enqueue(d, job);
}

// Experts: their weights must be of one form, and the choice of all tokens must find its room.
bool cuda_step_mixes(const struct k_experts *e, int n_token)
{
    int form = weight_form(e->gate);
    if (n_token > FEW_TOKENS || e->n_expert > EXPERTS_MAX || e->n_used > USED_MAX) return false;
    if (n_token * e->n_used > CHOSEN_MAX || e->gate->n_row % COLUMNS_STEP) return false;
    for (int i = 0; i < e->n_expert; i++) {
        const struct k_matrix *w[] = {e->gate + i, e->up + i, e->down + i};
        for (int k = 0; k < EXPERT_MATRICES; k++)
            if (weight_form(w[k]) != form || !cuda_step_takes(w[k])) return false;
    }
    return true;
}

// The scores of all experts [n_token, n_expert]; false: the router is not as checkpoints have it.
bool cuda_step_scores(k_device *d, const k_act *a, const struct k_matrix *router, float *scores,
                      int n_token)
{
    struct step_job job = {};
    struct scores_job *j = &job.scores;
    if (router->type != K_BF16 || router->n_col % 8 || (uintptr_t)router->data % 16) return false;
    assert(a->form == FORM_PAIR && n_token <= FEW_TOKENS);
    job.kind = JOB_SCORES;
    j->w = (const uint16_t *)router->data, j->scale = router->scale;
    j->n_expert = router->n_row, j->n_col = router->n_col, j->n_token = n_token;
    j->hi = a->hi[X_F16], j->lo = a->lo[X_F16];
    j->sums = a->sums, j->n_sum = a->n_sum, j->norm_dim = a->norm_dim, j->eps = a->eps;
    j->out = scores;
    d->steps->mix = true;
    enqueue(d, job);
    return true;
}

static void set_experts(struct product_job *j, const struct k_experts *e, const float *scores)
{
    j->experts = (const struct k_matrix *)e->list, j->scores = scores;
    j->n_expert = e->n_expert, j->n_used = e->n_used, j->normalise = e->normalise;
    for (int i = 0; i < j->n_part; i++) j->part[i].scale = nullptr; // each expert has its own
}

// From the scores on; `mid` is room for [n_token, n_used, ffn].
void cuda_step_mix(k_device *d, const k_act *a, const struct k_mix *m, const float *scores,
                   const struct short_out *mid, int n_token)
{
    const struct k_experts *e = m->experts;
    struct product_job in = new_job(a, n_token, END_GATE), out = {};
    set_part(&in, e->gate, nullptr, nullptr, false);
    set_part(&in, e->up, nullptr, nullptr, false);
    in.n_tile = e->gate->n_row / 8, in.chooses = true, in.next = *mid;
    set_experts(&in, e, scores);
    enqueue_product(d, in, a->hi, a->lo, e->gate);

    out.n_col = e->down->n_col, out.n_token = n_token, out.ending = END_ADD;
    set_part(&out, e->down, nullptr, m->x, true);
    set_experts(&out, e, scores);
    if (m->next) set_norm(&out, m->next, m->gain, m->eps);
    enqueue_product(d, out, mid->hi, mid->lo, e->down);
}
