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
// - Every lane copies (cp.async) exactly the bytes that it will multiply itself into its own slots
//   of a ring in shared memory, several slots ahead. No thread ever waits for another's weights. A
//   slot is two neighbouring units (cuda_unpack.h): whole lines of 128 bytes of each row.
// - The 16 rows of a tile and 16 warps that divide its columns; all tokens go through the tensor
//   cores as one block of 8 columns, so 8 tokens cost what one costs. With up to 4 tokens the low
//   halves of x ride in the columns that would be empty.
// - What follows a product happens on its sums: residual, gated activation, the next norm's gain
// and
//   squares, the split into pairs of short numbers.
//
// Between two jobs all blocks meet. They can, because all of them are on the GPU at the same time:
// there is one for each multiprocessor, each needs most of one, and what was launched before ends
// without them. A block that waits for 20 seconds takes that for a fault and gives up.
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

constexpr int WARPS = warps_of(IS_SMALL), THREADS = 32 * WARPS;
enum { PARTS_MAX = 3, TILES = 2, WINDOW = 4 };

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

// What one slot of a warp's ring holds.
template <int FORM> struct slot {
    static constexpr int scale_bytes =
        FORM == W_E4M3_BLOCK ? 4 : 2 * unit<FORM>::scale_bytes; // of a row
    static constexpr int columns = 2 * unit<FORM>::columns;
    static constexpr int size = UNIT_ROWS * (2 * UNIT_BYTES + scale_bytes);
};

// Slots ahead.
static constexpr __host__ __device__ int depth_of(int form, bool small)
{
    if (small) return form == W_E4M3 || form == W_BF16 ? 3 : 2;
    return form == W_NVFP4 || form == W_MXFP4 ? 3 : 4;
}

// Where row r (0..15) of a tile lies.
struct row_place {
    const unsigned char *data, *scales;
};

template <int FORM>
static __device__ __forceinline__ struct row_place place_of(const struct product_job &j, int tile,
                                                            int r)
{
    int p = 0, row;
    if (j.ending == END_GATE) {
        p = r / 8;
        row = tile * 8 + r % 8;
    } else {
        if (j.n_part > 1 && tile >= j.part[1].first_tile) p = 1;
        if (j.n_part > 2 && tile >= j.part[2].first_tile) p = 2;
        row = (tile - j.part[p].first_tile) * 16 + r;
    }
    row = min(row, j.part[p].n_row - 1); // a ragged last tile repeats its last row
    constexpr int per_byte = FORM == W_NVFP4 || FORM == W_MXFP4 ? 2 : 1;
    unsigned row_bytes = FORM == W_BF16 ? 2 * (unsigned)j.n_col : (unsigned)j.n_col / per_byte;
    struct row_place at = {j.part[p].data + (size_t)(unsigned)row * row_bytes, nullptr};
    if constexpr (FORM == W_NVFP4)
        at.scales = j.part[p].block + (size_t)(unsigned)row * (unsigned)(j.n_col / 16);
    if constexpr (FORM == W_MXFP4)
        at.scales = j.part[p].block + (size_t)(unsigned)row * (unsigned)(j.n_col / 32);
    if constexpr (FORM == W_E4M3_BLOCK)
        at.scales = j.part[p].block + (unsigned)(row / 128) * (unsigned)((j.n_col + 127) / 128) * 4;
    return at;
}

// The blocks divide the tiles of a job evenly.
static __device__ __forceinline__ int tiles_before(const struct product_job &j, unsigned block)
{
    return (int)block * j.n_each + min((int)block, j.n_more);
}

template <int FORM>
static __device__ __forceinline__ int slots_of(const struct product_job &j, int warp)
{
    int n_slot = j.n_col / slot<FORM>::columns;
    return warp < n_slot ? (n_slot - warp + WARPS - 1) / WARPS : 0;
}

// What one warp copies, ahead of what it multiplies and in the same order: of each job the block's
// tiles, TILES at a time; of these the warp's slots, and of each slot the tiles.
template <int FORM> struct loader {
    const struct product_job *job;
    const unsigned char *data[TILES][2], *scales[TILES];
    int number; // of the job; the list's length: nothing is left
    int tile, end, n, t, i, n_mine, slot;
};

template <int FORM>
static __device__ __forceinline__ void loader_group(struct loader<FORM> &l, int lane)
{
    l.n = min((int)TILES, l.end - l.tile);
    l.t = l.i = 0;
#pragma unroll
    for (int t = 0; t < TILES; t++) {
        if (t >= l.n) continue;
        l.data[t][0] = place_of<FORM>(*l.job, l.tile + t, lane / 4).data + lane % 4 * 16;
        l.data[t][1] = place_of<FORM>(*l.job, l.tile + t, lane / 4 + 8).data + lane % 4 * 16;
        if constexpr (slot<FORM>::scale_bytes > 0)
            l.scales[t] = place_of<FORM>(*l.job, l.tile + t, lane % 16).scales;
    }
}

// Jobs near the current one are in shared memory.
static __device__ __forceinline__ const struct step_job *
job_at(const struct step_job *jobs, const struct step_job *window, int index, int current)
{
    return index - current < WINDOW - 1 ? window + index % WINDOW : jobs + index;
}

// The first job from l.number on that has slots for this warp.
template <int FORM>
static __device__ void loader_open(struct loader<FORM> &l, const struct step_job *jobs, int n_job,
                                   const struct step_job *window, int current, int warp, int lane)
{
    for (; l.number < n_job; l.number++) {
        const struct step_job *job = job_at(jobs, window, l.number, current);
        if (job->kind != JOB_PRODUCT) continue;
        l.job = &job->product;
        l.tile = tiles_before(*l.job, blockIdx.x), l.end = tiles_before(*l.job, blockIdx.x + 1);
        l.n_mine = slots_of<FORM>(*l.job, warp);
        if (l.tile >= l.end || !l.n_mine) continue;
        loader_group<FORM>(l, lane);
        return;
    }
}

template <int FORM>
static __device__ __forceinline__ void
load_slot(struct loader<FORM> &l, unsigned char *ring, const struct step_job *jobs, int n_job,
          const struct step_job *window, int current, int warp, int lane)
{
    constexpr int scale_bytes = slot<FORM>::scale_bytes, depth = depth_of(FORM, IS_SMALL);
    if (l.number >= n_job) {
        copy_commit();
        return;
    }
    int u = warp + l.i * WARPS;
    unsigned char *to = ring + l.slot * slot<FORM>::size + lane * 16;
    const unsigned char *top = (l.t ? l.data[1][0] : l.data[0][0]) + (size_t)u * 2 * UNIT_BYTES;
    const unsigned char *bottom = (l.t ? l.data[1][1] : l.data[0][1]) + (size_t)u * 2 * UNIT_BYTES;
    copy_16(to, top);
    copy_16(to + 512, bottom);
    copy_16(to + 1024, top + UNIT_BYTES);
    copy_16(to + 1536, bottom + UNIT_BYTES);
    if (scale_bytes && lane < UNIT_ROWS) {
        unsigned char *to_scales = ring + l.slot * slot<FORM>::size + 2048 + lane * scale_bytes;
        const unsigned char *scales = (l.t ? l.scales[1] : l.scales[0]) + u * scale_bytes;
        if constexpr (scale_bytes == 16) copy_16(to_scales, scales);
        if constexpr (scale_bytes == 8) copy_8(to_scales, scales);
        if constexpr (scale_bytes == 4) copy_4(to_scales, scales);
    }
    copy_commit();
    l.slot = l.slot + 1 == depth ? 0 : l.slot + 1;
    if (++l.t < l.n) return;
    l.t = 0;
    if (++l.i < l.n_mine) return;
    l.tile += TILES;
    if (l.tile < l.end) {
        loader_group<FORM>(l, lane);
    } else {
        l.number++;
        loader_open<FORM>(l, jobs, n_job, window, current, warp, lane);
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

template <int FORM>
static __device__ __forceinline__ void multiply_slot(float acc[4], const unsigned char *from,
                                                     const struct fragment<FORM> &f, int lane)
{
    constexpr int n = 2 * unit<FORM>::steps, scale_bytes = slot<FORM>::scale_bytes;
    const unsigned char *scales = from + 2048;
    int g = lane / 4, t = lane % 4;
    float c[4] = {0, 0, 0, 0}, *sum = FORM == W_E4M3_BLOCK ? c : acc;
    const uint4 *raw = (const uint4 *)from + lane;
#pragma unroll
    for (int h = 0; h < 2; h++) {
        unsigned top[n], bottom[n];
        const unsigned char *row_scales = scales + h * unit<FORM>::scale_bytes;
        unpack_row<FORM>(raw[h * 64], row_scales + g * scale_bytes, t, top);
        unpack_row<FORM>(raw[h * 64 + 32], row_scales + (g + 8) * scale_bytes, t, bottom);
#pragma unroll
        for (int s = 0; s < n / 2; s++) {
            const unsigned a[4] = {top[2 * s], bottom[2 * s], top[2 * s + 1], bottom[2 * s + 1]};
            mma_unit<FORM>(sum, a, f.v[h][2 * s], f.v[h][2 * s + 1]);
        }
    }
    if constexpr (FORM == W_E4M3_BLOCK) {
        float s0 = ((const float *)scales)[g], s1 = ((const float *)scales)[g + 8];
        acc[0] += c[0] * s0, acc[1] += c[1] * s0, acc[2] += c[2] * s1, acc[3] += c[3] * s1;
    }
}

// Brings what the ends of this block's tiles will want (scales, bias, gain) near, one tile a
// thread.
static __device__ __forceinline__ void prefetch_row(const float *p, int row)
{
    if (p) asm volatile("prefetch.global.L2 [%0];" ::"l"(p + row));
}

static __device__ __forceinline__ void prefetch_ends(const struct product_job &j, int begin,
                                                     int end)
{
    int tile = begin + (int)threadIdx.x, p = 0;
    if (tile >= end) return;
    if (j.ending == END_GATE) {
        prefetch_row(j.part[0].scale, min(tile * 8, j.part[0].n_row - 1));
        prefetch_row(j.part[1].scale, min(tile * 8, j.part[0].n_row - 1));
        return;
    }
    if (j.n_part > 1 && tile >= j.part[1].first_tile) p = 1;
    if (j.n_part > 2 && tile >= j.part[2].first_tile) p = 2;
    int row = (tile - j.part[p].first_tile) * 16;
    prefetch_row(j.part[p].scale, row);
    prefetch_row(j.part[p].bias, row);
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
                                                 const float *factor, int tile, int n)
{
    for (int i = (int)threadIdx.x; i < n * 16 * j.n_token; i += THREADS) {
        int r = i % 16, token = i / 16 % j.n_token, t = i / 16 / j.n_token, p = 0;
        if (j.n_part > 1 && tile + t >= j.part[1].first_tile) p = 1;
        if (j.n_part > 2 && tile + t >= j.part[2].first_tile) p = 2;
        const struct part &part = j.part[p];
        int row = (tile + t - part.first_tile) * 16 + r;
        if (row >= part.n_row) continue;
        float y = row_result(part, row, total<WIDE>(red, t, r, token) * factor[token]);
        float *out = part.out + (size_t)token * (size_t)part.n_row + row;
        *out = part.add ? *out + y : y;
    }
}

template <bool WIDE>
static __device__ __forceinline__ void end_gate(const struct product_job &j, const float *red,
                                                const float *factor, int tile, int n)
{
    for (int i = (int)threadIdx.x; i < n * 8 * j.n_token; i += THREADS) {
        int r = i % 8, token = i / 8 % j.n_token, t = i / 8 / j.n_token, row = (tile + t) * 8 + r;
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
                                               const float *factor, int tile, int n)
{
    const struct part &part = j.part[0];
    int n_all = n * 16 * j.n_token;
    for (int i = (int)threadIdx.x; i < (n_all + 31) / 32 * 32; i += THREADS) {
        int r = i % 16, token = i / 16 % j.n_token, t = i / 16 / j.n_token;
        int row = (tile + t) * 16 + r;
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
        if (j.gain && r == 0 && i < n_all) j.next_sums[(tile + t) * FEW_TOKENS + token] = square;
    }
}

// The columns of x that a slot meets are in registers once for TILES tiles.
template <int FORM, bool WIDE>
static __device__ __forceinline__ void
run_product(const struct product_job &j, struct loader<FORM> &l, unsigned char *ring, int *at,
            float *red, float *factor, const struct step_job *jobs, int n_job,
            const struct step_job *window, int current, int warp, int lane)
{
    constexpr int depth = depth_of(FORM, IS_SMALL);
    constexpr bool has_scales = slot<FORM>::scale_bytes > 0;
    constexpr bool ahead =
        !unit<FORM>::is_fp4; // x of the next slot is fetched early; FP4's is too large
    int begin = tiles_before(j, blockIdx.x), end = tiles_before(j, blockIdx.x + 1),
        n_mine = slots_of<FORM>(j, warp);
    if (begin >= end) return;
    struct fragment<FORM> x;
    if (ahead && n_mine) load_fragment<FORM, WIDE>(x, j, warp, lane);
    if (warp < j.n_token) {
        float f = norm_factor(j, warp, lane) * unit<FORM>::factor;
        if (lane == 0) factor[warp] = f;
    }
    for (int tile = begin; tile < end; tile += TILES) {
        float acc[TILES][4] = {};
        int n = min((int)TILES, end - tile);
        for (int i = 0; i < n_mine; i++) {
            struct fragment<FORM> now = x;
            if constexpr (ahead)
                load_fragment<FORM, WIDE>(x, j, warp + (i + 1 < n_mine ? i + 1 : 0) * WARPS, lane);
            else
                load_fragment<FORM, WIDE>(now, j, warp + i * WARPS, lane);
#pragma unroll
            for (int t = 0; t < TILES; t++) {
                if (t >= n) break;
                copy_wait<depth - 1>();
                if constexpr (has_scales) __syncwarp();
                multiply_slot<FORM>(acc[t], ring + *at * slot<FORM>::size, now, lane);
                if constexpr (has_scales) __syncwarp();
                *at = *at + 1 == depth ? 0 : *at + 1;
                load_slot<FORM>(l, ring, jobs, n_job, window, current, warp, lane);
            }
        }
        __syncthreads(); // the sums of the group before have been read
#pragma unroll
        for (int t = 0; t < TILES; t++) {
            float *p = red + (warp * TILES + t) * 128 + lane / 4 * 8 + lane % 4 * 2;
            *(float2 *)p = make_float2(acc[t][0], acc[t][1]);
            *(float2 *)(p + 64) = make_float2(acc[t][2], acc[t][3]);
        }
        __syncthreads();
        if (j.ending == END_STORE) end_store<WIDE>(j, red, factor, tile, n);
        if (j.ending == END_GATE) end_gate<WIDE>(j, red, factor, tile, n);
        if (j.ending == END_ADD) end_add<WIDE>(j, red, factor, tile, n);
    }
}

// Blocks meet: what each of them wrote before is seen by all after.

static __device__ __forceinline__ void meet_arrive(struct step_sync *s)
{
    __syncthreads();
    if (threadIdx.x == 0)
        asm volatile("red.release.gpu.global.add.u32 [%0], 1;" ::"l"(&s->arrived) : "memory");
}

static __device__ __forceinline__ void meet_wait(struct step_sync *s, unsigned n)
{
    if (threadIdx.x == 0) {
        unsigned arrived, tries = 0;
        long long start = 0, now;
        for (;;) {
            asm volatile("ld.acquire.gpu.global.u32 %0, [%1];"
                         : "=r"(arrived)
                         : "l"(&s->arrived)
                         : "memory");
            if (arrived >= n) break;
            if (++tries % 4096) continue;
            asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
            if (!start) start = now;
            if (now - start > 20000000000ll) __trap();
        }
    }
    __syncthreads();
}

static __device__ __forceinline__ void meet_last(struct step_sync *s)
{
    if (threadIdx.x || atomicAdd(&s->done, 1u) + 1 < gridDim.x) return;
    s->arrived = s->done = 0; // everybody has left the last meeting
}

// Not inlined, so that it has registers of its own.
template <int DIM>
static __device__ __noinline__ void run_attend(unsigned char *room, const struct attend_job *job,
                                               struct step_sync *sync, unsigned n_arrived)
{
    struct few_shared<DIM> &sh = *(struct few_shared<DIM> *)room;
    const struct attend_job &j = *job;
    int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
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

constexpr int JOB_PIECES = (int)sizeof(struct step_job) / 16;

// WIDE: more than 4 tokens.
template <int FORM, bool WIDE>
__global__ void __launch_bounds__(THREADS, 1)
    step_kernel(const __grid_constant__ struct step_list list)
{
    constexpr int depth = depth_of(FORM, IS_SMALL);
    extern __shared__ __align__(128) unsigned char shared[];
    __shared__ struct {
        alignas(16) unsigned char bytes[WINDOW * sizeof(struct step_job)];
    } near;
    __shared__ float factor[FEW_TOKENS];
    const struct step_job *window = (const struct step_job *)near.bytes;
    const struct step_job *jobs = list.jobs ? list.jobs : &list.only;
    int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32, n_job = list.n, at = 0;
    unsigned char *ring = shared + warp * depth * slot<FORM>::size;
    unsigned char *room = shared + WARPS * depth * slot<FORM>::size; // sums, or attention

    early_trigger();
    for (int i = (int)threadIdx.x; i < min(n_job, WINDOW - 1) * JOB_PIECES; i += THREADS)
        ((uint4 *)near.bytes)[i] = ((const uint4 *)jobs)[i];
    __syncthreads();
    struct loader<FORM> l = {
    };
    loader_open<FORM>(l, jobs, n_job, window, 0, warp, lane);
    for (int i = 0; i < depth; i++) load_slot<FORM>(l, ring, jobs, n_job, window, 0, warp, lane);

    for (int i = 0; i < n_job; i++) {
        const struct step_job &job = window[i % WINDOW];
        unsigned n_arrived = (unsigned)i * gridDim.x;
        bool fetches = i + WINDOW - 1 < n_job && threadIdx.x < JOB_PIECES;
        uint4 piece;
        if (fetches) piece = ((const uint4 *)(jobs + i + WINDOW - 1))[threadIdx.x];
        if (i == 0) early_wait();
        if (job.kind == JOB_PRODUCT) {
            prefetch_ends(job.product, tiles_before(job.product, blockIdx.x),
                          tiles_before(job.product, blockIdx.x + 1));
            meet_wait(list.sync, n_arrived);
            run_product<FORM, WIDE>(job.product, l, ring, &at, (float *)room, factor, jobs, n_job,
                                    window, i, warp, lane);
        } else if (job.attend.cache.head_dim == 64) {
            run_attend<64>(room, &job.attend, list.sync, n_arrived);
        } else {
            run_attend<128>(room, &job.attend, list.sync, n_arrived);
        }
        if (fetches)
            ((uint4 *)near.bytes)[(i + WINDOW - 1) % WINDOW * JOB_PIECES + threadIdx.x] = piece;
        if (i + 1 < n_job) meet_arrive(list.sync);
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

static size_t shared_of(const k_device *d, int form)
{
    bool small = d->shared_max < 200 << 10; // as IS_SMALL
    size_t warps = (size_t)warps_of(small), scale_bytes = form == W_NVFP4        ? 16
                                                          : form == W_MXFP4      ? 8
                                                          : form == W_E4M3_BLOCK ? 4
                                                                                 : 0;
    size_t ring =
        warps * (size_t)depth_of(form, small) * UNIT_ROWS * (2 * UNIT_BYTES + scale_bytes);
    size_t sums = warps * TILES * 128 * sizeof(float);
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
                          32 * warps_of(d->shared_max < 200 << 10), shared_of(d, form), list);
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
    int form = weight_form(w), step = form == W_NVFP4 || form == W_MXFP4 ? 256
                                      : form == W_BF16                   ? 64
                                                                         : 128;
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
