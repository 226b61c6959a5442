// Products for a few tokens: y [n_token, n_row] = x W^T for up to 8 tokens, and what a layer does
// with y. Bound by the bytes of W, each read once: 58.7 MB for one 4096 x 14336 matrix in e4m3 are
// 13 us at 4.5 TB/s (H200) and 250 us at 233 GB/s (GB10). Everything here serves keeping enough
// bytes in flight all the time:
//
// - Every lane copies (cp.async) exactly the bytes that it will multiply itself into its own slots
//   of a ring in shared memory, several slots ahead. No thread ever waits for another's weights. A
//   slot is two neighbouring units (cuda_unpack.h): whole lines of 128 bytes of each row.
// - The 16 rows of a tile and 8 warps that divide its columns; all tokens go through the tensor
//   cores as one block of 8 columns, so 8 tokens cost what one costs. With up to 4 tokens the low
//   halves of x ride in the columns that would be empty.
// - A kernel starts its copies before it waits for its predecessor (cuda.h), so the ring is full
//   when its input arrives. The ring takes more than half of a multiprocessor's shared memory, so
//   that one never gets two blocks while another has none, and leaves room for attention.
// - What follows a product happens on its sums in the same kernel: residual, gated activation, the
//   next norm's gain and squares, the split into bf16 pairs.
//
// Sums are added in an order that depends on the shape alone: results repeat bit for bit.
#include "kernels/cuda_unpack.h"

#include <cassert>

enum { WARPS = 16, THREADS = 32 * WARPS, PARTS_MAX = 3 };

enum ending { END_STORE, END_GATE, END_ADD };

// One matrix of a call. Tiles of all matrices are numbered through.
struct part {
    const unsigned char *data, *block;
    const float *scale, *bias;
    float *out;
    int n_row, first_tile;
    bool add;
};

struct stream_job {
    struct part part[PARTS_MAX];
    int n_part, n_tile, n_col, n_token;
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

// What one slot of a warp's ring holds.
template <int FORM> struct slot {
    static constexpr int scale_bytes =
        FORM == W_E4M3_BLOCK ? 4 : 2 * unit<FORM>::scale_bytes; // of a row
    static constexpr int columns = 2 * unit<FORM>::columns;
    static constexpr int size = UNIT_ROWS * (2 * UNIT_BYTES + scale_bytes);
};

// Slots ahead. GB10 has 100 KB of shared memory where an H200 has 228.
static constexpr __host__ __device__ int depth_of(int form, bool small)
{
    return small ? 2 : form == W_NVFP4 || form == W_MXFP4 ? 3 : 4;
}

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 1200
#define IS_SMALL true
#else
#define IS_SMALL false
#endif

// Where row r (0..15) of a tile lies.
struct row_place {
    const unsigned char *data, *scales;
};

template <int FORM>
static __device__ __forceinline__ struct row_place place_of(const struct stream_job &j, int tile,
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
    size_t row_bytes = FORM == W_BF16 ? 2 * (size_t)j.n_col : (size_t)j.n_col / per_byte;
    struct row_place at = {j.part[p].data + (size_t)row * row_bytes, nullptr};
    if constexpr (FORM == W_NVFP4)
        at.scales = j.part[p].block + (size_t)row * (size_t)(j.n_col / 16);
    if constexpr (FORM == W_MXFP4)
        at.scales = j.part[p].block + (size_t)row * (size_t)(j.n_col / 32);
    if constexpr (FORM == W_E4M3_BLOCK)
        at.scales = j.part[p].block + (size_t)(row / 128) * (size_t)((j.n_col + 127) / 128) * 4;
    return at;
}

// The tiles that one warp copies, ahead of those that it multiplies.
template <int FORM, int TILES> struct loader {
    const unsigned char *data[TILES][2], *scales[TILES];
    int tile, end, i, n_mine, slot;
};

template <int FORM, int TILES>
static __device__ __forceinline__ void loader_group(struct loader<FORM, TILES> &l,
                                                    const struct stream_job &j, int lane)
{
#pragma unroll
    for (int t = 0; t < TILES; t++) {
        if (l.tile + t >= l.end) continue;
        l.data[t][0] = place_of<FORM>(j, l.tile + t, lane / 4).data + lane % 4 * 16;
        l.data[t][1] = place_of<FORM>(j, l.tile + t, lane / 4 + 8).data + lane % 4 * 16;
        if constexpr (slot<FORM>::scale_bytes > 0)
            l.scales[t] = place_of<FORM>(j, l.tile + t, lane % 16).scales;
    }
}

template <int FORM, int TILES, int DEPTH>
static __device__ __forceinline__ void load_slot(struct loader<FORM, TILES> &l,
                                                 const struct stream_job &j, int t,
                                                 unsigned char *ring, int warp, int lane)
{
    constexpr int scale_bytes = slot<FORM>::scale_bytes;
    if (l.i < l.n_mine && l.tile + t < l.end) {
        int u = warp + l.i * WARPS;
        unsigned char *to = ring + l.slot * slot<FORM>::size + lane * 16;
        const unsigned char *top = l.data[t][0] + (size_t)u * 2 * UNIT_BYTES;
        const unsigned char *bottom = l.data[t][1] + (size_t)u * 2 * UNIT_BYTES;
        copy_16(to, top);
        copy_16(to + 512, bottom);
        copy_16(to + 1024, top + UNIT_BYTES);
        copy_16(to + 1536, bottom + UNIT_BYTES);
        unsigned char *to_scales = ring + l.slot * slot<FORM>::size + 2048 + lane * scale_bytes;
        if (scale_bytes && lane < UNIT_ROWS) {
            const unsigned char *scales = l.scales[t] + u * scale_bytes;
            if constexpr (scale_bytes == 16) copy_16(to_scales, scales);
            if constexpr (scale_bytes == 8) copy_8(to_scales, scales);
            if constexpr (scale_bytes == 4) copy_4(to_scales, scales);
        }
    }
    copy_commit();
    l.slot = l.slot + 1 == DEPTH ? 0 : l.slot + 1;
    if (t + 1 < TILES) return;
    if (++l.i >= l.n_mine) {
        l.i = 0;
        l.tile += TILES;
        if (l.tile < l.end) loader_group<FORM, TILES>(l, j, lane);
    }
}

// A lane's columns of x for one slot: the token of column g = lane / 4. With up to 4 tokens, g >= 4
// has the low halves.
template <int FORM, bool WIDE> struct fragment {
    unsigned hi[2][2 * unit<FORM>::steps];
    unsigned lo[WIDE ? 2 : 1][WIDE ? 2 * unit<FORM>::steps : 1];
};

template <int FORM>
static __device__ __forceinline__ void load_columns(unsigned *out, const uint16_t *x)
{
    constexpr int n = unit<FORM>::lane_columns / 8;
#pragma unroll
    for (int i = 0; i < n; i++) {
        uint4 v = ((const uint4 *)x)[i];
        out[4 * i] = v.x, out[4 * i + 1] = v.y, out[4 * i + 2] = v.z, out[4 * i + 3] = v.w;
    }
}

template <int FORM, bool WIDE>
static __device__ __forceinline__ void load_fragment(struct fragment<FORM, WIDE> &f,
                                                     const struct stream_job &j, int u, int lane)
{
    constexpr int n = 2 * unit<FORM>::steps;
    int g = lane / 4, token = WIDE ? g : g % 4;
    size_t at = (size_t)token * (size_t)j.n_col +
                (size_t)(u * slot<FORM>::columns + lane % 4 * unit<FORM>::lane_columns);
#pragma unroll
    for (int h = 0; h < 2; h++) {
#pragma unroll
        for (int i = 0; i < n; i++) {
            f.hi[h][i] = 0;
            if constexpr (WIDE) f.lo[h][i] = 0;
        }
        if (token >= j.n_token) continue;
        load_columns<FORM>(f.hi[h], (WIDE || g < 4 ? j.hi : j.lo) + at + h * unit<FORM>::columns);
        if constexpr (WIDE) load_columns<FORM>(f.lo[h], j.lo + at + h * unit<FORM>::columns);
    }
}

template <int FORM, bool WIDE>
static __device__ __forceinline__ void multiply_slot(float acc[4], const unsigned char *from,
                                                     const struct fragment<FORM, WIDE> &f, int lane)
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
            mma_unit<FORM>(sum, a, f.hi[h][2 * s], f.hi[h][2 * s + 1]);
            if constexpr (WIDE) mma_unit<FORM>(sum, a, f.lo[h][2 * s], f.lo[h][2 * s + 1]);
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

static __device__ __forceinline__ void prefetch_ends(const struct stream_job &j, int begin, int end)
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
static __device__ __forceinline__ float norm_factor(const struct stream_job &j, int token, int lane)
{
    float sum = 0;
    if (!j.n_sum) return 1;
    for (int i = lane; i < j.n_sum; i += 32) sum += j.sums[i * FEW_TOKENS + token];
    return rsqrtf(warp_sum(sum) / (float)j.norm_dim + j.eps);
}

// Row r of tile t of this group for a token, summed over the warps.
template <int TILES, bool WIDE>
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

template <int TILES, bool WIDE>
static __device__ __forceinline__ void end_store(const struct stream_job &j, const float *red,
                                                 const float *factor, int tile, int n)
{
    for (int i = (int)threadIdx.x; i < n * 16 * j.n_token; i += THREADS) {
        int r = i % 16, token = i / 16 % j.n_token, t = i / 16 / j.n_token, p = 0;
        if (j.n_part > 1 && tile + t >= j.part[1].first_tile) p = 1;
        if (j.n_part > 2 && tile + t >= j.part[2].first_tile) p = 2;
        const struct part &part = j.part[p];
        int row = (tile + t - part.first_tile) * 16 + r;
        if (row >= part.n_row) continue;
        float y = row_result(part, row, total<TILES, WIDE>(red, t, r, token) * factor[token]);
        float *out = part.out + (size_t)token * (size_t)part.n_row + row;
        *out = part.add ? *out + y : y;
    }
}

template <int TILES, bool WIDE>
static __device__ __forceinline__ void end_gate(const struct stream_job &j, const float *red,
                                                const float *factor, int tile, int n)
{
    for (int i = (int)threadIdx.x; i < n * 8 * j.n_token; i += THREADS) {
        int r = i % 8, token = i / 8 % j.n_token, t = i / 8 / j.n_token, row = (tile + t) * 8 + r;
        if (row >= j.part[0].n_row) continue;
        float gate =
            row_result(j.part[0], row, total<TILES, WIDE>(red, t, r, token) * factor[token]);
        float up =
            row_result(j.part[1], row, total<TILES, WIDE>(red, t, r + 8, token) * factor[token]);
        size_t at = (size_t)token * (size_t)j.part[0].n_row + row;
        write_pair(j.next, at, gate / (1 + __expf(-gate)) * up);
    }
}

// Also leaves the squares of the new x, summed over each tile; 16 lanes hold one tile and token.
template <int TILES, bool WIDE>
static __device__ __forceinline__ void end_add(const struct stream_job &j, const float *red,
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
            x = part.out[at] +
                row_result(part, row, total<TILES, WIDE>(red, t, r, token) * factor[token]);
            part.out[at] = x;
            if (j.gain) write_pair(j.next, at, x * j.gain[row]);
        }
        float square = x * x;
#pragma unroll
        for (int k = 8; k; k /= 2) square += __shfl_xor_sync(~0u, square, k);
        if (j.gain && r == 0 && i < n_all) j.next_sums[(tile + t) * FEW_TOKENS + token] = square;
    }
}

// WIDE: more than 4 tokens. TILES tiles share each fragment of x.
template <int FORM, int TILES, bool WIDE>
__global__ void __launch_bounds__(THREADS, 1) __maxnreg__(WIDE ? 128 : 96)
    stream_kernel(const __grid_constant__ struct stream_job j)
{
    constexpr int depth = depth_of(FORM, IS_SMALL);
    constexpr bool has_scales = slot<FORM>::scale_bytes > 0;
    constexpr bool ahead =
        !unit<FORM>::is_fp4; // x of the next slot is fetched early; FP4's is too large
    extern __shared__ __align__(128) unsigned char shared[];
    __shared__ float factor[FEW_TOKENS];
    int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    unsigned char *ring = shared + warp * depth * slot<FORM>::size;
    float *red = (float *)(shared + WARPS * depth * slot<FORM>::size);
    int begin = (int)((long long)j.n_tile * blockIdx.x / gridDim.x);
    int end = (int)((long long)j.n_tile * (blockIdx.x + 1) / gridDim.x);
    int n_unit = j.n_col / slot<FORM>::columns,
        n_mine = warp < n_unit ? (n_unit - warp + WARPS - 1) / WARPS : 0;

    early_trigger();
    struct loader<FORM, TILES> l = {
    };
    l.tile = begin, l.end = end, l.n_mine = n_mine;
    if (begin < end) loader_group<FORM, TILES>(l, j, lane);
    // The loop's order of tiles, as many slots as the ring has.
    int t_next = 0;
    for (int i = 0; i < depth; i++) {
#pragma unroll
        for (int t = 0; t < TILES; t++)
            if (t == t_next) load_slot<FORM, TILES, depth>(l, j, t, ring, warp, lane);
        t_next = t_next + 1 == TILES ? 0 : t_next + 1;
    }
    prefetch_ends(j, begin, end);
    early_wait();
    if (warp < j.n_token) {
        float f = norm_factor(j, warp, lane) * unit<FORM>::factor;
        if (lane == 0) factor[warp] = f;
    }

    struct fragment<FORM, WIDE> x;
    int at = 0;
    if (ahead && n_mine) load_fragment<FORM, WIDE>(x, j, warp, lane);
    for (int tile = begin; tile < end; tile += TILES) {
        float acc[TILES][4] = {};
        int n = min(TILES, end - tile);
        for (int i = 0; i < n_mine; i++) {
            struct fragment<FORM, WIDE> now = x;
            if constexpr (!ahead) load_fragment<FORM, WIDE>(now, j, warp + i * WARPS, lane);
#pragma unroll
            for (int h = 0; h < 2; h++) {
                shuffle_columns<FORM>(now.hi[h]);
                if constexpr (WIDE) shuffle_columns<FORM>(now.lo[h]);
            }
            if constexpr (ahead)
                load_fragment<FORM, WIDE>(x, j, warp + (i + 1 < n_mine ? i + 1 : 0) * WARPS, lane);
#pragma unroll
            for (int t = 0; t < TILES; t++) {
                copy_wait<depth - 1>();
                if constexpr (has_scales) __syncwarp();
                if (t < n)
                    multiply_slot<FORM, WIDE>(acc[t], ring + at * slot<FORM>::size, now, lane);
                if constexpr (has_scales) __syncwarp();
                at = at + 1 == depth ? 0 : at + 1;
                load_slot<FORM, TILES, depth>(l, j, (t + depth) % TILES, ring, warp, lane);
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
        if (j.ending == END_STORE) end_store<TILES, WIDE>(j, red, factor, tile, n);
        if (j.ending == END_GATE) end_gate<TILES, WIDE>(j, red, factor, tile, n);
        if (j.ending == END_ADD) end_add<TILES, WIDE>(j, red, factor, tile, n);
    }
}

typedef void (*stream_function)(struct stream_job);

enum { NARROW_TILES = 2, WIDE_TILES = 2 };

static const stream_function kernels[W_N_FORM][2] = {
    {stream_kernel<W_BF16, NARROW_TILES, false>, stream_kernel<W_BF16, WIDE_TILES, true>},
    {stream_kernel<W_E4M3, NARROW_TILES, false>, stream_kernel<W_E4M3, WIDE_TILES, true>},
    {stream_kernel<W_E4M3_BLOCK, NARROW_TILES, false>,
     stream_kernel<W_E4M3_BLOCK, WIDE_TILES, true>},
    {stream_kernel<W_NVFP4, NARROW_TILES, false>, stream_kernel<W_NVFP4, WIDE_TILES, true>},
    {stream_kernel<W_MXFP4, NARROW_TILES, false>, stream_kernel<W_MXFP4, WIDE_TILES, true>},
};

static size_t shared_of(const k_device *d, int form, int wide)
{
    size_t scale_bytes = form == W_NVFP4 ? 16 : form == W_MXFP4 ? 8 : form == W_E4M3_BLOCK ? 4 : 0;
    size_t slot_bytes = UNIT_ROWS * (2 * UNIT_BYTES + scale_bytes);
    return WARPS * ((size_t)depth_of(form, d->major >= 12) * slot_bytes +
                    (size_t)(wide ? WIDE_TILES : NARROW_TILES) * 128 * sizeof(float));
}

bool cuda_stream_init(k_device *d)
{
    for (int form = 0; form < W_N_FORM; form++)
        for (int wide = 0; wide < 2; wide++)
            if (!cuda_check(d,
                            cudaFuncSetAttribute(kernels[form][wide],
                                                 cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                 (int)shared_of(d, form, wide)),
                            "shared memory of a product"))
                return false;
    return true;
}

bool cuda_stream_takes(const struct k_matrix *w)
{
    int form = weight_form(w), step = form == W_NVFP4 || form == W_MXFP4 ? 256
                                      : form == W_BF16                   ? 64
                                                                         : 128;
    return form != W_N_FORM && w->n_col % step == 0 && (uintptr_t)w->data % 16 == 0;
}

static void set_part(struct stream_job *j, const struct k_matrix *w, const float *bias, float *out,
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

static struct stream_job new_job(const k_act *a, int n_token, enum ending ending)
{
    struct stream_job j = {};
    assert(a->form == FORM_PAIR && n_token <= FEW_TOKENS);
    j.n_col = a->n_col, j.n_token = n_token, j.ending = ending;
    j.sums = a->sums, j.n_sum = a->n_sum;
    j.norm_dim = a->norm_dim, j.eps = a->eps;
    return j;
}

static void launch(k_device *d, struct stream_job *j, const k_act *a, const struct k_matrix *w)
{
    int form = weight_form(w), wide = j->n_token > 4, kind = form == W_BF16 ? X_BF16 : X_F16;
    j->hi = a->hi[kind], j->lo = a->lo[kind];
    cuda_launch_early(d, "a product for few tokens", kernels[form][wide], dim3((unsigned)d->n_sm),
                      THREADS, shared_of(d, form, wide), *j);
}

// Products of one kind share a launch.
void cuda_stream_project(k_device *d, const k_act *a, int n_token, const struct k_product *p,
                         int n_product)
{
    for (int i = 0; i < n_product;) {
        struct stream_job j = new_job(a, n_token, END_STORE);
        const struct k_matrix *w = p[i].w;
        for (; i < n_product && j.n_part < PARTS_MAX && weight_form(p[i].w) == weight_form(w); i++)
            set_part(&j, p[i].w, p[i].bias, p[i].out, p[i].add);
        launch(d, &j, a, w);
    }
}

static void set_next(struct stream_job *j, const k_act *next)
{
    for (int i = 0; i < X_N_KIND; i++) j->next.hi[i] = next->hi[i], j->next.lo[i] = next->lo[i];
}

void cuda_stream_gate(k_device *d, k_act *out, const k_act *a, const struct k_gate *g, int n_token)
{
    struct stream_job j = new_job(a, n_token, END_GATE);
    set_part(&j, g->gate, nullptr, nullptr, false);
    set_part(&j, g->up, nullptr, nullptr, false);
    j.n_tile = (g->gate->n_row + 7) / 8;
    set_next(&j, out);
    out->form = FORM_PAIR, out->n_sum = 0;
    launch(d, &j, a, g->gate);
}

void cuda_stream_add(k_device *d, const k_act *a, const struct k_add *p, int n_token)
{
    struct stream_job j = new_job(a, n_token, END_ADD);
    set_part(&j, p->w, nullptr, p->x, true);
    if (p->next) {
        k_act *next = p->next;
        set_next(&j, next);
        j.next_sums = next->sums, j.gain = p->gain;
        next->form = FORM_PAIR, next->n_sum = j.n_tile, next->norm_dim = p->w->n_row,
        next->eps = p->eps;
    }
    launch(d, &j, a, p->w);
}
