// Decode steps (cuda_step.h): the warp that ends jobs.
#pragma once
#include "kernels/cuda_step_prepare.h"

// The warps that multiply leave their sums of a group of tiles and go on with the next, or with the
// next job. One warp adds them up and makes results of them. What these take from memory it has
// asked for before: scales and biases, and the residual, which this warp wrote itself, in the same
// lanes, wherever blocks have not met since (waits_for_numbers).

// Which row of the sums has row i of a group of gates; that of its up is HALF_ROWS further.
static __device__ __forceinline__ int gate_row(int i)
{
    return i / HALF_ROWS * 16 + i % HALF_ROWS;
}

// A row's sums of N tokens, added up over the warps.
template <int MODE, int N>
static __device__ __forceinline__ void add_warps(float (&y)[N], float *sums, int row, int token)
{
#pragma unroll
    for (int w = 0; w < WARPS; w++) {
        const float *of_warp = sum_at<MODE>(sums, w, 0, row, token);
        if constexpr (N == 4) {
            float4 v = *(const float4 *)of_warp;
            const float part[] = {v.x, v.y, v.z, v.w};
#pragma unroll
            for (int k = 0; k < N; k++) y[k] = w ? y[k] + part[k] : part[k];
        } else {
            y[0] = w ? y[0] + *of_warp : *of_warp;
        }
    }
}

// What the results of a row of a group take from memory, and where they go.
template <int MODE> struct row_end {
    int row;                     // of its part; -1: none
    float scale, other;          // other: the up row's scale, the next norm's gain
    float bias, up_bias;         // of experts' gate and up
    float old[sum_tokens(MODE)]; // what there is and, but for experts' gates, the bias
};

// What decides about a group's results, at hand once its sums are there.
struct group_end {
    enum ending ending;
    int n_token, n_row; // rows of the part
    enum short_parts parts_out;
    unsigned leave;
    bool has_next;
    float weight; // of the expert whose gate it is, for one token
};

// What expert u of all is to a token among its own.
template <int MODE>
static __device__ __forceinline__ int rank_of(const struct choice<true> &c, int u, int token)
{
    return MODE == ONE ? u : c.rank[u][token];
}

template <int FORM, int MODE, bool MIX>
static __device__ __forceinline__ struct row_end<MODE>
row_end_of(const struct product_job &j, const struct choice<MIX> &c, const struct group &g, int i) {
    struct row_end<MODE> x = {
        i < g.n_row ? g.row + i : -1, 1, 1, 0, 0, {}
    };
    const struct part &p = j.part[g.p];
    int row = x.row;
    if (row < 0) return x;
    if constexpr (MIX)
        if (is_mixed<MIX>(j, END_GATE)) {
            const struct expert_place &of = c.place[g.u];
            if (row >= p.n_row) return x;
            if (of.scale[EXPERT_GATE]) x.scale = of.scale[EXPERT_GATE][row];
            if (of.scale[EXPERT_UP]) x.other = of.scale[EXPERT_UP][row];
            if constexpr (may_have_biases(FORM)) {
                x.bias = expert_bias(p.bias, c.expert[g.u], p.n_row, row);
                x.up_bias = expert_bias(j.part[1].bias, c.expert[g.u], p.n_row, row);
            }
            return x;
        }
    const float *other = j.ending == END_GATE ? j.part[1].scale : j.gain;
    if (p.scale) x.scale = p.scale[row];
    if (other) x.other = other[row];
    if (j.ending == END_GATE) return x;
    bool of_experts = MIX && may_have_biases(FORM) && is_mixed<MIX>(j);
    float bias = p.bias && !of_experts ? p.bias[row] : 0;
#pragma unroll
    for (int token = 0; token < sum_tokens(MODE); token++) {
        if (token >= tokens_of<MODE == ONE>(j)) break;
        x.old[token] = bias + (p.add ? p.out[(unsigned)(token * p.n_row + row)] : 0);
        if constexpr (MIX && may_have_biases(FORM))
            for (int u = 0; of_experts && p.bias && u < c.n; u++) // of all that the token chose
                if (int rank = rank_of<MODE>(c, u, token); rank != NO_RANK)
                    x.old[token] +=
                        c.weight[token][rank] * expert_bias(p.bias, c.expert[u], p.n_row, row);
    }
    return x;
}

template <int MODE, bool MIX>
static __device__ __forceinline__ struct group_end
group_end_of(const struct product_job &j, const struct choice<MIX> &c, const struct group &g)
{
    const struct part &p = j.part[g.p];
    struct group_end e = {
        j.ending, tokens_of<MODE == ONE>(j), p.n_row, j.parts_out, j.leave, j.gain != NULL, 1};
    if constexpr (MIX)
        if (is_mixed<MIX>(j, END_GATE)) {
            e.n_row = j.n_row;
            if (MODE == ONE) e.weight = c.weight[0][g.u];
        }
    return e;
}

// The result of a row for a token. END_ADD: returns the square of the new x.
template <int FORM, int MODE, bool MIX>
static __device__ __forceinline__ float
end_result(const struct product_job &j, const struct choice<MIX> &c, const struct group &g,
           const struct group_end &e, const struct row_end<MODE> &x, int token, float y, float up)
{
    constexpr int kind = unit<FORM>::kind;
    int row_of_next = token;
    if (e.ending == END_STORE) {
        store_seen(j.part[g.p].out + (unsigned)(token * e.n_row + x.row),
                   tagged(y + x.old[token], e.leave));
    } else if (e.ending == END_GATE) {
        float weight = e.weight;
        if constexpr (MIX)
            if (is_mixed<MIX>(j)) {
                int rank = rank_of<MODE>(c, g.u, token);
                if (rank == NO_RANK) return 0;
                row_of_next = token * j.n_used + rank;
                if (MODE != ONE) weight = c.weight[token][rank];
            }
        if constexpr (MIX && may_have_biases(FORM))
            y = gated(y + x.bias, up + x.up_bias, j.gating);
        else
            y = gated(y, up, {1, 0, INFINITY});
        if (MIX) y *= weight;
        write_tagged<kind>(j.next, (unsigned)(row_of_next * e.n_row + x.row), y, e.leave,
                           e.parts_out);
    } else {
        unsigned at = (unsigned)(token * e.n_row + x.row);
        y += x.old[token];
        if (e.has_next) write_tagged<kind>(j.next, at, y * x.other, e.leave, e.parts_out);
        j.part[0].out[at] = y;
        return y * y;
    }
    return 0;
}

// Row i of a group. factor: of the norm, of each token, or NULL.
template <int FORM, int MODE, bool MIX>
static __device__ __forceinline__ void
end_row(const struct product_job &j, const struct choice<MIX> &c, const struct group &g,
        const struct group_end &e, const struct row_end<MODE> &x, int i, float *sums,
        const float *factor, float (&squares)[sum_tokens(MODE)])
{
    constexpr int at_once = sum_tokens(MODE) < 4 ? sum_tokens(MODE) : 4;
    constexpr float unit_factor = by_blocks(FORM, MODE) ? one_factor : unit<FORM>::factor;
    bool gate = e.ending == END_GATE;
    int of_row = gate ? gate_row(i) : i;
    if (x.row < 0) return;
#pragma unroll
    for (int first = 0; first < sum_tokens(MODE); first += at_once) {
        float y[at_once], up[at_once] = {};
        if (first >= e.n_token) break;
        add_warps<MODE>(y, sums, of_row, first);
        if (gate) add_warps<MODE>(up, sums, of_row + HALF_ROWS, first);
#pragma unroll
        for (int k = 0; k < at_once; k++) {
            int token = first + k;
            if (token >= e.n_token) break;
            float of_token = factor ? unit_factor * factor[token] : unit_factor;
            squares[token] += end_result<FORM, MODE, MIX>(
                j, c, g, e, x, token, y[k] * of_token * x.scale, up[k] * of_token * x.other);
        }
    }
}

// A job of this block: its groups, as the warps that multiply leave them; without rows one that is
// empty.
template <int FORM, int MODE, bool MIX>
static __device__ __forceinline__ void
end_product(const struct product_job &j, const struct choice<MIX> &c, struct sums_room<MODE> &room,
            struct norm_shared &norm, unsigned turn, int lane)
{
    constexpr int T = sum_tokens(MODE);
    static_assert(TILES * 16 == 2 * 32, "a lane has two rows of a group");
    float squares[T] = {};
    bool leaves_squares = j.ending == END_ADD && j.gain;
    struct product_cut cut = j.cut;
    if constexpr (MIX)
        if (is_mixed<MIX>(j, END_GATE)) cut_rows(cut, j, c);
    int row = rows_before(cut, blockIdx.x), end = rows_before(cut, blockIdx.x + 1);
    bool is_first = true;
    do {
        struct group g = {0, 0, 0, 0, 0};
        if (row < end) g = group_of<MIX>(j, cut, row, end);
        // Rows of either half of a group. The same code for both: what is not in the instruction
        // cache costs more.
        struct row_end<MODE> mine = {}, next = {
        };
#pragma unroll 1
        for (int i = lane; i < lane + g.n_row; i += 32) {
            mine = next;
            next = row_end_of<FORM, MODE>(j, c, g, i);
        }
        if (g.n_row <= 32) mine = next;
        struct group_end e = group_end_of<MODE>(j, c, g);
        // Of many tokens the warps that multiply make the factors, before their first sums.
        if (is_first && j.n_sum && MODE != WIDE) sync_wait(&norm.sync.made, turn);
        const float *factor = j.n_sum ? norm.factor[turn] : nullptr;
        sums_wait(room, &handed::made, room.turn);
#pragma unroll 1
        for (int i = lane; i < lane + g.n_row; i += 32) {
            end_row<FORM, MODE, MIX>(j, c, g, e, mine, i, sums_at(room), factor, squares);
            mine = next;
        }
        sync_arrive(&room.sync[room.turn].taken);
        sums_turn(room);
        row += g.n_row, is_first = false;
    } while (row < end);
    if (j.n_sum && MODE != WIDE) sync_arrive(&norm.sync.taken);
    if (!leaves_squares) return;
    float mine = 0; // of token `lane`
#pragma unroll
    for (int token = 0; token < T; token++) {
        if (token >= tokens_of<MODE == ONE>(j)) break;
        float sum = warp_sum(squares[token]);
        if (lane == token) mine = sum;
    }
    if (lane < tokens_of<MODE == ONE>(j))
        store_seen(j.next_sums + ((unsigned)lane * gridDim.x + blockIdx.x), tagged(mine, j.leave));
}

template <int FORM, int MODE, bool MIX>
static __device__ void run_ender(int n_job, struct step_sync *sync, struct job_slots &slots,
                                 struct sums_room<MODE> sums, struct norm_shared &norm,
                                 struct choice<MIX> &c, int lane)
{
    unsigned n_norm = 0;
    early_wait();
    for (int i = 0; i < n_job; i++, job_done(slots, i - 1)) {
        asm volatile("" : "+r"(lane)); // what follows from it is found anew for each job
        const struct step_job &job = job_of(slots, i);
        if (job.kind != JOB_PRODUCT) continue;
        const struct product_job &j = job.product;
        if constexpr (MIX)
            if (is_mixed<MIX>(j) && j.chooses) {
                if (j.n_before) sync_arrive(&c.sync.taken);
                sync_wait(&c.weighed, j.n_before % 2);
            }
        wait_for_meeting(sync, job.meeting, lane);
        end_product<FORM, MODE>(j, c, sums, norm, n_norm % 2, lane);
        n_norm += j.n_sum > 0;
        __syncwarp(); // all results have been written
        if (job.meets && lane == 0) add_release(&sync->arrived);
    }
}
