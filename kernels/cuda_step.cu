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
// - One warp does nothing but ask for weights, whole pieces of rows at a time (cp.async.bulk), as
// far
//   ahead as the ring has stages. A stage is one step of one tile: 128 bytes of each row for each
//   of the other warps.
// - The 16 rows of a tile and 16 warps that divide its columns; all tokens go through the tensor
//   cores as one block of 8 columns, so 8 tokens cost what one costs. With up to 4 tokens the low
//   halves of x ride in the columns that would be empty.
// - What follows a product happens on its sums: residual, gated activation, the next norm's gain
// and
//   squares, the split into pairs of short numbers.
//
// Between two jobs all blocks meet. They can, because all of them are on the GPU at the same time:
// there is one for each multiprocessor, each needs most of one, and what was launched before ends
// without them.
//
// Sums are added in an order that depends on the shape alone: results repeat bit for bit.
#include "kernels/cuda_attend.h"
#include "kernels/cuda_unpack.h"

#include <cassert>
#include <vector>

static constexpr __host__ __device__ int warps_of(bool small)
{
    return small ? 8 : 16;
}

constexpr int WARPS = warps_of(IS_SMALL), THREADS = 32 * WARPS; // that multiply

// And one that asks for weights.
static constexpr __host__ __device__ int block_size(bool small)
{
    return 32 * (warps_of(small) + 1);
}

enum { PARTS_MAX = 3, TILES = 4, STAGES_MAX = 4, WARP_BYTES = 2 * UNIT_BYTES };

enum job_kind { JOB_PRODUCT, JOB_ATTEND };
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
};

struct alignas(16) step_job {
    enum job_kind kind;
    union {
        struct product_job product;
        struct attend_job attend;
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
    return warps_of(small) * WARP_BYTES + 64;
}

static constexpr __host__ __device__ int scale_pitch(int form, bool small)
{
    int bytes = form == W_NVFP4 ? 16 : form == W_MXFP4 ? 8 : 0;
    return bytes ? warps_of(small) * bytes + 16 : 0;
}

static constexpr __host__ __device__ int stage_size(int form, bool small)
{
    return UNIT_ROWS * (row_pitch(small) + scale_pitch(form, small));
}

// Stages ahead.
static constexpr __host__ __device__ int depth_of(int form, bool small)
{
    return small ? 2 : form == W_NVFP4 || form == W_MXFP4 ? 3 : 4;
}

// The blocks divide the tiles of a job evenly.
static __device__ __forceinline__ int tiles_before(const struct product_job &j, unsigned block)
{
    return (int)block * j.n_each + min((int)block, j.n_more);
}

// Up to TILES neighbouring tiles of one part, which are multiplied side by side.
struct group {
    int p, row, n; // the part, the first tile's first row in it, tiles
};

static __device__ __forceinline__ struct group group_of(const struct product_job &j, int tile,
                                                        int end)
{
    struct group g = {0, 0, 0};
    int last = j.n_tile;
    if (j.ending == END_GATE) {
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

struct stage_sync {
    unsigned long long full, empty;
};

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

template <int FORM>
static __device__ __forceinline__ struct row_place place_of(const struct product_job &j,
                                                            const struct group &g, int t, int r)
{
    bool gate = j.ending == END_GATE;
    const struct part &p = j.part[gate ? r / 8 : g.p];
    unsigned row = (unsigned)min(gate ? g.row + t * 8 + r % 8 : g.row + t * 16 + r,
                                 p.n_row - 1); // a ragged last tile repeats its last row
    constexpr unsigned per_byte = unit<FORM>::is_fp4 ? 2 : 1;
    unsigned n_col = (unsigned)j.n_col, row_bytes = FORM == W_BF16 ? 2 * n_col : n_col / per_byte;
    struct row_place at = {p.data + (size_t)row * row_bytes, nullptr};
    if constexpr (FORM == W_NVFP4) at.scales = p.block + (size_t)row * (n_col / 16);
    if constexpr (FORM == W_MXFP4) at.scales = p.block + (size_t)row * (n_col / 32);
    return at;
}

// The warp that asks: everything that the others will take, in the same order.
template <int FORM>
static __device__ void run_loader(const struct step_job *jobs, int n_job, unsigned char *ring,
                                  struct stage_sync *sync, int lane)
{
    constexpr int depth = depth_of(FORM, IS_SMALL), pitch = row_pitch(IS_SMALL),
                  scales_pitch = scale_pitch(FORM, IS_SMALL);
    constexpr unsigned step_bytes = WARPS * WARP_BYTES,
                       step_scales = WARPS * (unsigned)slot<FORM>::scale_bytes;
    struct ring_at at = {0, 0};
    for (int i = 0; i < n_job; i++) {
        if (jobs[i].kind != JOB_PRODUCT) continue;
        const struct product_job &j = jobs[i].product;
        int end = tiles_before(j, blockIdx.x + 1), n_slot = j.n_col / slot<FORM>::columns;
        struct group g;
        for (int tile = tiles_before(j, blockIdx.x); tile < end; tile += g.n) {
            g = group_of(j, tile, end);
            for (unsigned step = 0; step * WARPS < (unsigned)n_slot; step++) {
                unsigned n = min((unsigned)WARPS, (unsigned)n_slot - step * WARPS);
                unsigned row_bytes = n * WARP_BYTES,
                         row_scales = n * (unsigned)slot<FORM>::scale_bytes;
                for (int t = 0; t < g.n; t++) {
                    struct row_place from = place_of<FORM>(j, g, t, lane % UNIT_ROWS);
                    struct stage_sync *s = sync + at.stage;
                    unsigned char *to = ring + at.stage * stage_size(FORM, IS_SMALL);
                    sync_wait(&s->empty, at.phase ^ 1);
                    if (lane == 0) sync_expect(&s->full, UNIT_ROWS * (row_bytes + row_scales));
                    __syncwarp();
                    if (lane < UNIT_ROWS) {
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

template <int FORM, bool WIDE>
static __device__ __forceinline__ void load_fragment(struct fragment<FORM> &f,
                                                     const struct product_job &j, int u, int lane)
{
    constexpr int n = unit<FORM>::lane_columns / 8;
    int g = lane / 4, token = WIDE ? g : g % 4;
    const uint16_t *x = (WIDE || g < 4 ? j.hi : j.lo) + (size_t)token * (size_t)j.n_col +
                        (size_t)(u * slot<FORM>::columns + lane % 4 * unit<FORM>::lane_columns);
#pragma unroll
    for (int h = 0; h < 2; h++)
#pragma unroll
        for (int i = 0; i < n; i++) {
            uint4 v = token < j.n_token ? ((const uint4 *)(x + h * unit<FORM>::columns))[i]
                                        : make_uint4(0, 0, 0, 0);
            f.v[h][4 * i] = v.x, f.v[h][4 * i + 1] = v.y;
            f.v[h][4 * i + 2] = v.z, f.v[h][4 * i + 3] = v.w;
        }
}

// A warp's slot of a stage, with the tile's two block scales (W_E4M3_BLOCK).
template <int FORM>
static __device__ __forceinline__ void multiply_slot(float acc[4], const unsigned char *stage,
                                                     const struct fragment<FORM> &f,
                                                     const float block[2], int warp, int lane)
{
    constexpr int n = 2 * unit<FORM>::steps, pitch = row_pitch(IS_SMALL),
                  scales_pitch = scale_pitch(FORM, IS_SMALL);
    int g = lane / 4, t = lane % 4;
    float c[4] = {0, 0, 0, 0}, *sum = FORM == W_E4M3_BLOCK ? c : acc;
    const unsigned char *row = stage + g * pitch + warp * WARP_BYTES + t * 16;
    const unsigned char *scales =
        stage + UNIT_ROWS * pitch + g * scales_pitch + warp * slot<FORM>::scale_bytes;
#pragma unroll
    for (int h = 0; h < 2; h++) {
        unsigned top[n], bottom[n];
        const unsigned char *of_row = scales + h * unit<FORM>::scale_bytes;
        unpack_row<FORM>(*(const uint4 *)(row + h * UNIT_BYTES), of_row, t, top);
        unpack_row<FORM>(*(const uint4 *)(row + h * UNIT_BYTES + 8 * pitch),
                         of_row + 8 * scales_pitch, t, bottom);
#pragma unroll
        for (int s = 0; s < n / 2; s++) {
            const unsigned a[4] = {top[2 * s], bottom[2 * s], top[2 * s + 1], bottom[2 * s + 1]};
            mma_unit<FORM>(sum, a, f.v[h][2 * s], f.v[h][2 * s + 1]);
        }
    }
    if constexpr (FORM == W_E4M3_BLOCK) {
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

// Brings what the ends of this block's tiles will want (scales, bias, gain) near, one tile a
// thread.
static __device__ __forceinline__ void prefetch_row(const float *p, int row)
{
    if (p) asm volatile("prefetch.global.L2 [%0];" ::"l"(p + row));
}

static __device__ __forceinline__ void prefetch_ends(const struct product_job &j, int thread)
{
    int tile = tiles_before(j, blockIdx.x) + thread, end = tiles_before(j, blockIdx.x + 1);
    if (tile >= end) return;
    struct group g = group_of(j, tile, end);
    int row = min(g.row, j.part[g.p].n_row - 1);
    prefetch_row(j.part[g.p].scale, row);
    if (j.ending == END_GATE) prefetch_row(j.part[1].scale, row);
    prefetch_row(j.part[g.p].bias, row);
    prefetch_row(j.gain, row);
}

// 1 / rms of a token, by one warp; the same in all lanes.
static __device__ __forceinline__ float norm_factor(const struct product_job &j, int token,
                                                    int lane)
{
    float sum = 0;
    if (!j.n_sum) return 1;
    for (int i = lane; i < j.n_sum; i += 32) sum += j.sums[i * FEW_TOKENS + token];
    return rsqrtf(warp_sum(sum) / (float)j.norm_dim + j.eps);
}

// Row r of tile t of this group for a token, summed over the warps.
template <bool WIDE>
static __device__ __forceinline__ float total(const float *red, int t, int r, int token)
{
    float y = 0;
#pragma unroll
    for (int w = 0; w < WARPS; w++) {
        const float *p = red + (w * TILES + t) * 128 + r * 8 + token;
        y += WIDE ? p[0] : p[0] + p[4];
    }
    return y;
}

static __device__ __forceinline__ float row_result(const struct part &p, int row, float y)
{
    if (p.scale) y *= p.scale[row];
    return p.bias ? y + p.bias[row] : y;
}

template <bool WIDE>
static __device__ __forceinline__ void end_store(const struct product_job &j, const float *red,
                                                 const float *factor, const struct group &g,
                                                 int thread)
{
    const struct part &part = j.part[g.p];
    for (int i = thread; i < g.n * 16 * j.n_token; i += THREADS) {
        int r = i % 16, t = i / 16 % g.n, token = i / 16 / g.n, row = g.row + t * 16 + r;
        if (row >= part.n_row) continue;
        float y = row_result(part, row, total<WIDE>(red, t, r, token) * factor[token]);
        float *out = part.out + (size_t)token * (size_t)part.n_row + row;
        *out = part.add ? *out + y : y;
    }
}

template <bool WIDE>
static __device__ __forceinline__ void end_gate(const struct product_job &j, const float *red,
                                                const float *factor, const struct group &g,
                                                int thread)
{
    for (int i = thread; i < g.n * 8 * j.n_token; i += THREADS) {
        int r = i % 8, t = i / 8 % g.n, token = i / 8 / g.n, row = g.row + t * 8 + r;
        if (row >= j.part[0].n_row) continue;
        float gate = row_result(j.part[0], row, total<WIDE>(red, t, r, token) * factor[token]);
        float up = row_result(j.part[1], row, total<WIDE>(red, t, r + 8, token) * factor[token]);
        size_t at = (size_t)token * (size_t)j.part[0].n_row + row;
        write_pair(j.next, at, gate / (1 + __expf(-gate)) * up);
    }
}

// Also leaves the squares of the new x, summed over each tile; 16 lanes hold one tile and token.
template <bool WIDE>
static __device__ __forceinline__ void end_add(const struct product_job &j, const float *red,
                                               const float *factor, const struct group &g,
                                               int thread)
{
    const struct part &part = j.part[0];
    int n_all = g.n * 16 * j.n_token;
    for (int i = thread; i < (n_all + 31) / 32 * 32; i += THREADS) {
        int r = i % 16, t = i / 16 % g.n, token = i / 16 / g.n, row = g.row + t * 16 + r;
        float x = 0;
        if (i < n_all && row < part.n_row) {
            size_t at = (size_t)token * (size_t)part.n_row + row;
            x = part.out[at] + row_result(part, row, total<WIDE>(red, t, r, token) * factor[token]);
            part.out[at] = x;
            if (j.gain) write_pair(j.next, at, x * j.gain[row]);
        }
        float square = x * x;
#pragma unroll
        for (int k = 8; k; k /= 2) square += __shfl_xor_sync(~0u, square, k);
        if (j.gain && r == 0 && i < n_all)
            j.next_sums[(g.row / 16 + t) * FEW_TOKENS + token] = square;
    }
}

// The warps that multiply meet among themselves.
static __device__ __forceinline__ void block_sync()
{
    asm volatile("bar.sync 2, %0;" ::"r"(THREADS) : "memory");
}

// The columns of x that a slot meets are in registers once for TILES tiles.
template <int FORM, bool WIDE>
static __device__ __forceinline__ void
run_product(const struct product_job &j, const unsigned char *ring, struct stage_sync *sync,
            struct ring_at &at, float *red, float *factor, int warp, int lane)
{
    constexpr int depth = depth_of(FORM, IS_SMALL);
    constexpr bool ahead =
        !unit<FORM>::is_fp4; // x of the next slot is fetched early; FP4's is too large
    int end = tiles_before(j, blockIdx.x + 1), n_slot = j.n_col / slot<FORM>::columns;
    struct fragment<FORM> x;
    struct group g;
    if (ahead && warp < n_slot) load_fragment<FORM, WIDE>(x, j, warp, lane);
    if (warp < j.n_token) {
        float f = norm_factor(j, warp, lane) * unit<FORM>::factor;
        if (lane == 0) factor[warp] = f;
    }
    for (int tile = tiles_before(j, blockIdx.x); tile < end; tile += g.n) {
        float acc[TILES][4] = {};
        g = group_of(j, tile, end);
        for (int first = 0; first < n_slot; first += WARPS) {
            int u = first + warp, next = u + WARPS;
            struct fragment<FORM> now = x;
            if constexpr (ahead) {
                if (next >= n_slot) next = warp;
                if (next < n_slot) load_fragment<FORM, WIDE>(x, j, next, lane);
            } else if (u < n_slot) {
                load_fragment<FORM, WIDE>(now, j, u, lane);
            }
            float block[TILES][2];
#pragma unroll
            for (int t = 0; FORM == W_E4M3_BLOCK && t < TILES; t++)
                if (t < g.n && u < n_slot) load_blocks(block[t], j, g, t, u);
#pragma unroll
            for (int t = 0; t < TILES; t++) {
                if (t >= g.n) continue;
                sync_wait(&sync[at.stage].full, at.phase);
                if (u < n_slot)
                    multiply_slot<FORM>(acc[t], ring + at.stage * stage_size(FORM, IS_SMALL), now,
                                        block[t], warp, lane);
                __syncwarp();
                if (lane == 0) sync_arrive(&sync[at.stage].empty);
                ring_next<depth>(at);
            }
        }
        block_sync(); // the sums of the group before have been read
#pragma unroll
        for (int t = 0; t < TILES; t++) {
            if (t >= g.n) continue;
            float *p = red + (warp * TILES + t) * 128 + lane / 4 * 8 + lane % 4 * 2;
            *(float2 *)p = make_float2(acc[t][0], acc[t][1]);
            *(float2 *)(p + 64) = make_float2(acc[t][2], acc[t][3]);
        }
        block_sync();
        if (j.ending == END_STORE) end_store<WIDE>(j, red, factor, g, warp * 32 + lane);
        if (j.ending == END_GATE) end_gate<WIDE>(j, red, factor, g, warp * 32 + lane);
        if (j.ending == END_ADD) end_add<WIDE>(j, red, factor, g, warp * 32 + lane);
    }
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

// A job's words, from where they are kept to shared memory.
constexpr int JOB_PIECES = (int)sizeof(struct step_job) / 16;

// WIDE: more than 4 tokens.
template <int FORM, bool WIDE>
__global__ void __launch_bounds__(block_size(IS_SMALL), 1)
    step_kernel(const __grid_constant__ struct step_list list)
{
    constexpr int depth = depth_of(FORM, IS_SMALL);
    extern __shared__ __align__(128) unsigned char ring[];
    __shared__ __align__(16) unsigned char near[2][sizeof(struct step_job)]; // this job, the next
    __shared__ struct stage_sync sync[depth];
    __shared__ float factor[FEW_TOKENS];
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
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    __syncthreads();
    if (warp >= WARPS) {
        run_loader<FORM>(jobs, list.n, ring, sync, lane);
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
        if (fetches) piece = ((const uint4 *)(jobs + i + 1))[threadIdx.x];
        if (i == 0) early_wait();
        if (job.kind == JOB_PRODUCT) {
            prefetch_ends(job.product, warp * 32 + lane);
            meet_wait(list.sync, n_arrived);
            run_product<FORM, WIDE>(job.product, ring, sync, at, (float *)room, factor, warp, lane);
        } else if (job.attend.cache.head_dim == 64) {
            run_attend<64>(room, &job.attend, list.sync, n_arrived, warp, lane);
        } else {
            run_attend<128>(room, &job.attend, list.sync, n_arrived, warp, lane);
        }
        if (fetches) ((uint4 *)near[(i + 1) % 2])[threadIdx.x] = piece;
        if (i + 1 < list.n) meet_arrive(list.sync);
    }
    meet_last(list.sync);
}

// The host's side

typedef void (*step_function)(struct step_list);

static const step_function kernels[W_N_FORM][2] = {
    {step_kernel<W_BF16, false>, step_kernel<W_BF16, true>},
    {step_kernel<W_E4M3, false>, step_kernel<W_E4M3, true>},
    {step_kernel<W_E4M3_BLOCK, false>, step_kernel<W_E4M3_BLOCK, true>},
    {step_kernel<W_NVFP4, false>, step_kernel<W_NVFP4, true>},
    {step_kernel<W_MXFP4, false>, step_kernel<W_MXFP4, true>},
};

struct step_queue {
    std::vector<struct step_job> jobs;
    int form, wide; // of the products among them
    bool has_form;
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
    size_t sums = (size_t)warps_of(small) * TILES * 128 * sizeof(float);
    size_t tiles = sizeof(((struct few_shared<128> *)0)->ring) / FEW_STAGES;
    size_t attend = sizeof(struct few_shared<128>) - (small ? tiles : 0);
    return ring + (attend > sums ? attend : sums);
}

bool cuda_steps_open(k_device *d)
{
    struct step_queue *q = d->steps = new step_queue();
    bool ok = cuda_check(d, cudaMalloc(&q->sync, sizeof *q->sync), "scratch") &&
              cuda_check(d, cudaMemset(q->sync, 0, sizeof *q->sync), "scratch") &&
              cuda_check(d, cudaStreamCreateWithFlags(&q->side, cudaStreamNonBlocking), "stream");
    for (int form = 0; ok && form < W_N_FORM; form++)
        for (int wide = 0; ok && wide < 2; wide++)
            ok = cuda_check(d,
                            cudaFuncSetAttribute(kernels[form][wide],
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
        cuda_launch_early(d, "a step", kernels[form][wide], dim3((unsigned)d->n_sm),
                          block_size(is_small(d)), shared_of(d, form), list);
    q->jobs.clear();
    q->has_form = false;
}

static void enqueue(k_device *d, const struct step_job &job)
{
    d->steps->jobs.push_back(job);
    if (!d->steps->lists) cuda_steps_flush(d);
}

static void enqueue_product(k_device *d, const struct product_job &p, const k_act *a,
                            const struct k_matrix *w)
{
    struct step_queue *q = d->steps;
    int form = weight_form(w), wide = p.n_token > 4, kind = form == W_BF16 ? X_BF16 : X_F16;
    struct step_job job = {};
    if (q->has_form && (q->form != form || q->wide != wide)) cuda_steps_flush(d);
    q->has_form = true, q->form = form, q->wide = wide;
    job.kind = JOB_PRODUCT, job.product = p;
    job.product.hi = a->hi[kind], job.product.lo = a->lo[kind];
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
        enqueue_product(d, j, a, w);
    }
}

static void set_next(struct product_job *j, const k_act *next)
{
    for (int i = 0; i < X_N_KIND; i++) j->next.hi[i] = next->hi[i], j->next.lo[i] = next->lo[i];
}

void cuda_step_gate(k_device *d, k_act *out, const k_act *a, const struct k_gate *g, int n_token)
{
    struct product_job j = new_job(a, n_token, END_GATE);
    set_part(&j, g->gate, nullptr, nullptr, false);
    set_part(&j, g->up, nullptr, nullptr, false);
    j.n_tile = (g->gate->n_row + 7) / 8;
    set_next(&j, out);
    out->form = FORM_PAIR, out->n_sum = 0;
    enqueue_product(d, j, a, g->gate);
}

void cuda_step_add(k_device *d, const k_act *a, const struct k_add *p, int n_token)
{
    struct product_job j = new_job(a, n_token, END_ADD);
    set_part(&j, p->w, nullptr, p->x, true);
    if (p->next) {
        k_act *next = p->next;
        set_next(&j, next);
        j.next_sums = next->sums, j.gain = p->gain;
        next->form = FORM_PAIR, next->n_sum = j.n_tile, next->norm_dim = p->w->n_row,
        next->eps = p->eps;
    }
    enqueue_product(d, j, a, p->w);
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
