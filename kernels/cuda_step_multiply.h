// Decode steps (cuda_step.h): how a warp gets its columns of x and its units of weights, and
// multiplies them.
#pragma once
#include "kernels/cuda_step_work.h"

// A lane's columns of x for one unit, of column g = lane / 4 of the product.
template <int FORM> struct fragment {
    unsigned v[2 * unit<FORM>::steps];
};

// What lanes take that have no columns of x.
struct no_columns {
    uint4 zeros[4];
};

template <int FORM, int MODE> struct x_ring {
    static constexpr int room = x_ring_bytes(MODE, IS_SMALL);
    static constexpr int halves = x_halves(FORM, MODE);
    static constexpr int pieces = unit<FORM>::columns / 8; // of a half
    static constexpr int token_bytes = halves * unit<FORM>::columns * 2;
    unsigned char *at;            // of `room` bytes
    int n_unit, units;            // of a row, of a step
    int per;                      // units of a step that a warp has
    int unit_bytes;               // of all tokens
    int depth, n_step;            // steps that it holds; steps of a group of tiles
    int from, to;                 // the steps that come next
    int step, taken;              // of the next load; that have been taken of a group of tiles
    bool whole;                   // all steps are there, or asked for
    bool fresh;                   // what was read may not have been written yet
    const unsigned char *lane_at; // a lane's columns of the first unit, or zeros (by_blocks)
    int lane_step;                // to those of the next unit (by_blocks)
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
        if (tokens_of<MODE == ONE>(j) > 1 &&
            is_mixed<MIX>(j, END_ADD)) { // one token's are one after another
            int each = j.row_units.by, expert = matrix_of(j, (unsigned)u),
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
    int first = i_step * r.units, end = min(first + r.units, r.n_unit);
    constexpr int of_lane = unit<FORM>::lane_columns / 8;
    int k = lane / of_unit, half = lane / r.pieces % r.halves, piece = lane % r.pieces;
    unsigned char *to = r.at + i_to * r.per * r.unit_bytes + half * r.pieces * 16;
    const uint16_t *x = (half ? j.lo : j.hi) + piece * 8;
#pragma unroll 1
    for (int token = 0; token < tokens_of<MODE == ONE>(j); token++) {
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

// The tags of two short numbers.
constexpr unsigned BOTH_TAGS = 0x00010001u;

static __device__ __forceinline__ bool all_tagged(uint4 eight, unsigned tag)
{
    unsigned tags = tag * BOTH_TAGS;
    return !(((eight.x ^ tags) | (eight.y ^ tags) | (eight.z ^ tags) | (eight.w ^ tags)) &
             BOTH_TAGS);
}

// Of many tokens all that a warp takes is too much to ask for again and again: it waits for what it
// takes first of the last one's, which is written last.
template <int FORM, int MODE, bool MIX>
static __device__ __forceinline__ void x_await(const struct x_ring<FORM, MODE> &r,
                                               const struct product_job &j,
                                               const struct choice<MIX> &c, int warp, int lane)
{
    int k = lane / r.pieces, piece = lane % r.pieces, column = 0;
    int u = units_of_warp<FORM, MIX>::place(k, warp);
    size_t at = 0;
    bool mine = k < r.per && u < r.n_unit &&
                x_place<FORM, MODE>(j, c, u, tokens_of<MODE == ONE>(j) - 1, &at, &column);
    const uint4 *from = (const uint4 *)(j.hi + at + piece * 8);
    struct patience p = {0, 0};
    while (__any_sync(~0u, mine && !all_tagged(load_seen(from), j.want))) be_patient(p);
}

template <int FORM, int MODE, bool MIX>
static __device__ __forceinline__ void
x_start(struct x_ring<FORM, MODE> &r, const struct product_job &j, const struct product_cut &cut,
        const struct choice<MIX> &c, unsigned char *at, const struct no_columns &none, int warp,
        int lane)
{
    int token = lane_token<FORM, MODE>(lane), g = lane / 4;
    int row = r.halves == 2 ? token * 2 + g / 4 : token;
    // Of the columns of a product: every second one is of a lane's own blocks.
    bool exists =
        token < tokens_of<MODE == ONE>(j) && (!by_blocks(FORM, MODE) || lane % 4 * 2 == g);
    r.at = at;
    r.lane_at = at + (row * unit<FORM>::columns + lane % 4 * unit<FORM>::lane_columns) * 2;
    r.lane_has = exists, r.turn = x_turn<FORM>(lane % 4, token);
    if (by_blocks(FORM, MODE) && !exists) r.lane_at = (const unsigned char *)none.zeros;
    r.n_unit = cut.n_unit, r.units = cut.step;
    r.per = cut.x_each, r.unit_bytes = tokens_of<MODE == ONE>(j) * r.token_bytes;
    r.depth = cut.x_depth, r.n_step = cut.n_step;
    r.whole = r.depth == r.n_step;
    r.lane_step = exists ? r.unit_bytes : 0;
    r.from = r.to = r.step = r.taken = 0;
    r.fresh = j.want != NO_TAG;
    if constexpr (MODE == WIDE && has_tags(FORM, MODE, MIX))
        if (r.fresh) x_await(r, j, c, warp, lane);
    for (int i = 0; i < r.depth; i++) x_load(r, j, c, warp, lane);
}

// Waits for the copies of the next step's columns.
template <int FORM, int MODE>
static __device__ __forceinline__ void x_wait(const struct x_ring<FORM, MODE> &r)
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

// Some may not have been written when they were read: a lane asks again for its own pieces. Whether
// there were any.
template <int FORM, int MODE, bool MIX>
static __device__ __forceinline__ bool x_again(const struct x_ring<FORM, MODE> &r,
                                               const struct product_job &j,
                                               const struct choice<MIX> &c, int warp, int lane)
{
    bool missing = false;
    x_pieces(r, j, c, r.taken, r.from, warp, lane,
             [&](unsigned char *to, const uint16_t *from, bool exists) {
                 if (!exists || all_tagged(*(const uint4 *)to, j.want)) return;
                 missing = true;
                 copy_16(to, from);
             });
    if (!__any_sync(~0u, missing)) return false;
    copy_commit();
    copy_wait<0>();
    __syncwarp();
    return true;
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

// What is wrong with the tags of a lane's columns, in bits of BOTH_TAGS.
template <int FORM>
static __device__ __forceinline__ unsigned wrong_tags(const struct fragment<FORM> &f, unsigned want)
{
    unsigned wrong = 0;
#pragma unroll
    for (unsigned v : f.v) wrong |= v ^ want * BOTH_TAGS;
    return wrong;
}

// Unit k of them, which is unit u of the job; whether the lane has columns. If not, it keeps what
// it has: zeros.
template <int FORM, int MODE, bool MIX>
static __device__ __forceinline__ bool x_take(const struct x_ring<FORM, MODE> &r,
                                              struct fragment<FORM> &f, const struct product_job &j,
                                              const struct choice<MIX> &c, int k, int u, int lane)
{
    bool exists = r.lane_has;
    if constexpr (MIX)
        if (tokens_of<MODE == ONE>(j) > 1) { // one token has chosen all
            size_t at;
            int column;
            exists =
                exists && x_place<FORM, MODE>(j, c, u, lane_token<FORM, MODE>(lane), &at, &column);
            if (!exists) f = {};
        }
    if (exists) x_read<FORM>(f, r.lane_at + (r.from * r.per + k) * r.unit_bytes, r.turn);
    return exists;
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
            int box = quotient(place, j.box_units); // of those side by side
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
    int r = row_of_lane(lane), row[2] = {g.row + (t << (gate ? 3 : 4)) + r, g.row + t * 16 + r + 8};
    unsigned across = (unsigned)(j.n_col + 127) / 128;
    unsigned each = (unsigned)j.row_units.by,
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
