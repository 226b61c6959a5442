// The kernel of decode steps (cuda_step.h): what its warps do, and jobs from their first products
// to sums.
#pragma once
#include "kernels/cuda_step_ask.h"
#include "kernels/cuda_step_choice.h"
#include "kernels/cuda_step_end.h"
#include "kernels/cuda_step_multiply.h"
#include "kernels/cuda_step_prepare.h"

#include <type_traits>

// Columns of a product that are one token's, added up, and the sums of tile t.
template <int FORM, int MODE>
static __device__ __forceinline__ void leave_tile(float *red, const float acc[4], int t, int warp,
                                                  int lane)
{
    int r = row_of_lane(lane), token = lane % 4 * 2;
    float v[4];
#pragma unroll
    for (int i = 0; i < 4; i++) // the low halves' columns are two lanes further
        v[i] = acc[i] + (x_halves(FORM, MODE) == 2 ? __shfl_xor_sync(~0u, acc[i], 2) : 0);
    if (MODE == ONE) {
        if (token) return;
        *sum_at<MODE>(red, warp, t, r, 0) = v[0];
        *sum_at<MODE>(red, warp, t, r + 8, 0) = v[2];
        return;
    }
    if (MODE == FEW && token >= 4) return;
    *(float2 *)sum_at<MODE>(red, warp, t, r, token) = make_float2(v[0], v[1]);
    *(float2 *)sum_at<MODE>(red, warp, t, r + 8, token) = make_float2(v[2], v[3]);
}

// Four lanes have their blocks' sums of rows g and g + 8 of each tile (multiply_blocks): each adds
// up those of one tile, of n which have gone round.
template <int N>
static __device__ __forceinline__ void leave_blocks(float *red, const float (&acc)[TILES][N], int n,
                                                    int warp, int lane)
{
    static_assert(TILES == 4, "a tile for each of four lanes");
    int r = row_of_lane(lane);
    float two[2][2], one[2];
#pragma unroll
    for (int t = 0; t < 2; t++) // tiles t and t + 2
#pragma unroll
        for (int i = 0; i < 2; i++) {
            bool high = lane & 2;
            two[t][i] = (high ? acc[t + 2][i] : acc[t][i]) +
                        __shfl_xor_sync(~0u, high ? acc[t][i] : acc[t + 2][i], 2);
        }
#pragma unroll
    for (int i = 0; i < 2; i++) {
        bool high = lane & 1;
        one[i] =
            (high ? two[1][i] : two[0][i]) + __shfl_xor_sync(~0u, high ? two[0][i] : two[1][i], 1);
    }
    int t = (lane + n) % TILES;
    *sum_at<ONE>(red, warp, t, r, 0) = one[0];
    *sum_at<ONE>(red, warp, t, r + 8, 0) = one[1];
}

// Sums of a group of n tiles. Where these have gone round (TURNED), those of tile 0 have come as
// far as n tiles bring them. Where there are two chains, they are one sum.
template <int FORM, int MODE, bool TURNED, int N>
static __device__ __forceinline__ void leave_sums(float *red, float (&acc)[TILES][N], int n,
                                                  int warp, int lane)
{
    if constexpr (by_blocks(FORM, MODE)) {
        static_assert(TURNED, "tiles are where leave_blocks looks for them");
        leave_blocks(red, acc, n, warp, lane);
    } else {
#pragma unroll
        for (int i = 0; i < TILES; i++) {
            int t = TURNED ? i - (TILES - n) : i;
            if (t < 0) continue;
            if (t >= n) break;
#pragma unroll
            for (int k = 0; k < 4 && N == 8; k++) acc[i][k] += acc[i][k + N - 4];
            leave_tile<FORM, MODE>(red, acc[i], t, warp, lane);
        }
    }
}

// Unit k of the n that a warp has of the step that begins with unit `first`; whether the lane has
// columns of it.
template <int FORM, int MODE, bool MIX>
static __device__ __forceinline__ bool
take_x(struct fragment<FORM> &f, const struct x_ring<FORM, MODE> &xs, const struct product_job &j,
       const struct choice<MIX> &c, int k, int n, int first, int warp, int lane)
{
    if (k < n) {
        return x_take(xs, f, j, c, k, first + units_of_warp<FORM, MIX>::place(k, warp), lane);
    } else {
        f = {};
        keep_fragment(f); // made here only
        return false;
    }
}

// x of such a step, to registers; what is wrong with its tags.
template <int FORM, int MODE, bool MIX, int N>
static __device__ __forceinline__ unsigned
take_step(struct fragment<FORM> (&x)[N], const struct x_ring<FORM, MODE> &xs,
          const struct product_job &j, const struct choice<MIX> &c, int n, int first, int warp,
          int lane)
{
    unsigned wrong = 0;
    // Nearly always: without a branch between them.
    bool at_once = n >= N - 1 && (!MIX || tokens_of<MODE == ONE>(j) == 1);
    const unsigned char *from = xs.lane_at + xs.from * xs.per * xs.unit_bytes;
    if (at_once && xs.lane_has) {
#pragma unroll
        for (int k = 0; k < N - 1; k++) {
            x_read<FORM>(x[k], from + k * xs.unit_bytes, xs.turn);
            wrong |= wrong_tags(x[k], j.want);
        }
        if (n == N) {
            x_read<FORM>(x[N - 1], from + (N - 1) * xs.unit_bytes, xs.turn);
            wrong |= wrong_tags(x[N - 1], j.want);
        }
    }
    if (at_once && n < N) x[N - 1] = {};
#pragma unroll
    for (int k = 0; k < N && !at_once; k++)
        if (take_x(x[k], xs, j, c, k, n, first, warp, lane)) wrong |= wrong_tags(x[k], j.want);
    return wrong;
}

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

template <int FORM, int MODE, bool MIX>
static __device__ __forceinline__ void
run_product(const struct product_job &j, struct choice<MIX> &c, const unsigned char *ring,
            struct stage_sync *sync, struct ring_at<MODE, MIX> &at, struct sums_room<MODE> &room,
            struct norm_shared &norm, unsigned &n_norm, const struct no_columns &none,
            struct calm_hint &calm, int warp, int lane)
{
    constexpr int UNITS = units_most(FORM, MIX, IS_SMALL);
    constexpr bool scaled = MIX || FORM == W_E4M3_BLOCK;
    int thread = warp * 32 + lane;
    unsigned norm_turn = n_norm % 2;
    struct x_ring<FORM, MODE> xs;
    struct group g;
    // Where there are registers for it, x stays in them while tiles go by. Of blocks a lane has so
    // many columns that they are taken again from shared memory, and code that goes round is short
    // enough for the instruction cache.
    constexpr bool goes_round = by_blocks(FORM, MODE), keeps_x = !IS_SMALL && !goes_round;
    constexpr bool looks = keeps_x && looks_at_taken(FORM, MODE, MIX);
    constexpr bool turns = unit<FORM>::is_fp4 || MIX; // what has the larger code
    // Where nothing else is done to sums of a pair they stay where they are, in two chains, which
    // are shorter than one.
    constexpr int n_chain = turns || scaled ? 1 : 2;
    constexpr int n_x = keeps_x ? UNITS : 2;
    fragment<FORM> x[n_x] = {};
    bool leaves_squares = j.ending == END_ADD && j.gain, chooses = is_mixed<MIX>(j) && j.chooses;
    n_norm += j.n_sum > 0;
    struct product_cut cut = j.cut;
    if constexpr (MIX)
        if (is_mixed<MIX>(j, END_ADD)) cut_steps<FORM, MODE>(cut, j, c);
    x_start(xs, j, cut, c, room.at + ROOM_FOR_SUMS + warp * xs.room, none, warp, lane);
    if (MODE == WIDE && j.n_sum && warp < j.n_token) {
        float mine = norm_factor(norm_of<MODE>(j), warp, lane);
        if (lane == 0) norm.factor[norm_turn][warp] = mine; // seen with the sums
    }
    if constexpr (MIX)
        if (chooses) { // once x has been asked for: it would wait behind the weights that follow
            set_calm(calm, false, thread);
            take_all_back(room);
            run_choice<MODE>(j, c, norm, norm_turn, (float *)room.at, warp, lane);
        }
    if constexpr (MIX)
        if (is_mixed<MIX>(j, END_GATE)) cut_rows(cut, j, c);
    int row = rows_before(cut, blockIdx.x), end = rows_before(cut, blockIdx.x + 1);
    const struct stage_shape &shape = cut.stage;
    // Without rows there is nothing to wait for, nor for others to wait for but sums of squares.
    for (int i = 0; row == end && leaves_squares && i < xs.n_step; i++) {
        x_wait(xs);
        struct patience p = {0, 0};
        while (xs.fresh && x_again(xs, j, c, warp, lane)) be_patient(p);
        x_done(xs, j, c, warp, lane);
    }
    if (row == end) {
        take_back(room, room.turn);
        lend(room);
    }
    struct lane_place places = lane_place_of<FORM, MIX>(shape, warp, lane);
    for (bool is_first = true; row < end; is_first = false, row += g.n_row) {
        float acc[TILES][4 * n_chain] = {};
        g = group_of<MIX>(j, cut, row, end);
        for (int first = 0; first < cut.n_unit; first += cut.step) {
            typedef units_of_warp<FORM, MIX> mine_of;
            int n = mine_of::count(min(cut.step, cut.n_unit - first), warp);
            x_wait(xs);
            struct patience p = {0, 0};
            while (!looks && xs.fresh && x_again(xs, j, c, warp, lane)) be_patient(p);
            while (keeps_x && (is_first || xs.n_step > 1)) { // that of the only step is still there
                unsigned wrong = take_step(x, xs, j, c, n, first, warp, lane);
                if (!looks || !xs.fresh || !__any_sync(~0u, wrong & BOTH_TAGS)) break;
                x_again(xs, j, c, warp, lane);
                be_patient(p);
            }
            set_calm(calm, false, thread);
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
                                               min(first + mine_of::place(k, warp), cut.n_unit - 1),
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
                // N units of the warp, from unit k on.
                auto take_units = [&](auto n_units, int k) {
                    constexpr int N = decltype(n_units)::value;
                    struct raw_unit<FORM> raw[N];
                    struct fragment<FORM> of_units[N];
                    const unsigned char *of_lane =
                        xs.lane_at + (xs.from * xs.per + k) * xs.lane_step;
                    float block[2];
                    if (scaled)
                        load_blocks<FORM, MIX>(block, j, c, g, t, first + mine_of::place(k, warp),
                                               lane);
#pragma unroll
                    for (int i = 0; i < N; i++) {
                        take_unit<FORM, MIX>(raw[i], stage, shape, places, j, k + i, warp, lane);
                        x_read<FORM>(of_units[i], of_lane + i * xs.lane_step, xs.turn);
                    }
                    multiply<FORM, MODE, scaled, N>(sum, raw, of_units, block);
                };
                if constexpr (goes_round) {
                    int k = 0;
#pragma unroll 1
                    for (; k + 1 < n; k += 2) take_units(std::integral_constant<int, 2>(), k);
                    if (k < n) take_units(std::integral_constant<int, 1>(), k);
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
                if (first + cut.step < cut.n_unit)
                    for (int t = g.n; t < TILES; t++) turn_sums(acc);
            } else {
#pragma unroll
                for (int t = 0; t < TILES; t++)
                    if (t < g.n) take_tile(t, acc[t]);
            }
            x_done(xs, j, c, warp, lane);
        }
        if (row + g.n_row >= end && !j.goes_on) set_calm(calm, true, thread);
        take_back(room, room.turn);
        leave_sums<FORM, MODE, turns>(sums_at(room), acc, g.n, warp, lane);
        lend(room);
    }
    copy_wait<0>();
}

// Blocks meet: what each of them wrote before is seen by all after.

static __device__ __forceinline__ bool is_first_worker() // of those that multiply
{
    return threadIdx.x == 0;
}

static __device__ __forceinline__ void meet_arrive(struct step_sync *s)
{
    if (is_first_worker()) add_release(&s->arrived); // after a block_sync
}

static __device__ __forceinline__ void meet_wait(struct step_sync *s, unsigned meeting)
{
    if (!meeting) return;
    if (is_first_worker()) {
        struct patience p = {0, 0};
        while (load_acquire(&s->arrived) < meeting * gridDim.x) be_patient(p);
    }
    block_sync();
}

static __device__ __forceinline__ void meet_last(struct step_sync *s)
{
    if (!is_first_worker() || atomicAdd(&s->done, 1u) + 1 < gridDim.x) return;
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
        for (int t = 0; t < tokens_of<MODE == ONE>(j); t++) {
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
        if (thread < tokens_of<MODE == ONE>(j)) {
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

// MIX: some jobs are of experts. DIM: of the heads of all attentions, CODES: whose caches are in
// e4m3. What a list does not need is in no kernel of it, since not all of the code stays in the
// cache of a multiprocessor: one token needs an eighth less, and with experts is a tenth faster.
template <int FORM, int MODE, bool MIX, int DIM, bool CODES>
__global__ void __launch_bounds__(BLOCK, 1)
    step_kernel(const __grid_constant__ struct step_list list)
{
    DYNAMIC_SHARED(ring);
    __shared__ struct job_slots slots;
    __shared__ struct no_columns none;
    __shared__ struct handed sums_sync[SUMS_PLACES];
    __shared__ struct stage_sync sync[STAGES];
    __shared__ unsigned sizes[ASKERS][STAGES];
    __shared__ struct jobs_at_hand at_hand[ASKERS];
    __shared__ struct norm_shared norm;
    __shared__ unsigned calm; // others wait for memory
    __shared__ struct choice<MIX> choice;
    int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    unsigned char *room = ring + ring_at<MODE, MIX>::all; // sums, or attention
    struct sums_room<MODE> sums = {
        room, sums_sync, 0, 0, 0
    };

    constexpr size_t declared = sizeof slots + sizeof none + sizeof sums_sync + sizeof sync +
                                sizeof sizes + sizeof at_hand + sizeof norm + sizeof calm +
                                sizeof choice;
    static_assert((declared + STAGE_ALIGN - 1) / STAGE_ALIGN * STAGE_ALIGN +
                          shared_bytes(MODE, MIX, IS_SMALL) <=
                      SHARED_MOST,
                  "a block's shared memory");

    early_trigger();
    if (threadIdx.x < JOB_PIECES)
        ((uint4 *)&slots.job[0])[threadIdx.x] =
            ((const uint4 *)(list.jobs ? list.jobs : &list.only))[threadIdx.x];
    if (threadIdx.x < 4) none.zeros[threadIdx.x] = make_uint4(0, 0, 0, 0);
    if (threadIdx.x == 0) {
        calm = 0;
        if (shared_address(ring) % STAGE_ALIGN) give_up(); // boxes would be laid out otherwise
        for (int i = 0; i < STAGES; i++) {
            sync_init(&sync[i].full, ASKERS);
            sync_init(&sync[i].empty, WARPS);
        }
        for (int i = 0; i < SLOTS; i++) {
            sync_init(&slots.sync[i].made, 32);
            sync_init(&slots.sync[i].taken, JOB_READERS);
        }
        for (int i = 0; i < SUMS_PLACES; i++) {
            sync_init(&sums_sync[i].made, THREADS);
            sync_init(&sums_sync[i].taken, 32);
        }
        sync_init(&norm.sync.made, 32);
        sync_init(&norm.sync.taken, 32);
        if constexpr (MIX) {
            sync_init(&choice.sync.made, THREADS);
            sync_init(&choice.weighed, THREADS);
            sync_init(&choice.sync.taken, 32 * (ASKERS + 2));
        }
        sync_fence();
    }
    __syncthreads();
    if (warp >= WARPS) {
        give_registers<3 * 168 - 2 * REGISTERS>();
        const struct step_job *jobs = list.jobs ? list.jobs : &list.only;
        if (warp == PREPARER)
            run_preparer<MODE>(jobs, list.n, list.sync, slots, norm, choice, lane);
        if (warp == ENDER)
            run_ender<FORM, MODE>(list.n, list.sync, slots, sums, norm, choice, lane);
        if (warp >= PREPARER) return;
        run_loader<FORM, MODE>(jobs, list.maps ? list.maps : list.only_maps, list.n, ring, sync,
                               sizes[warp - WARPS], at_hand, choice, warp - WARPS, lane, &calm);
        return;
    }
    take_registers<REGISTERS>();
    struct ring_at<MODE, MIX> at = {
        0, 0
    };
    struct calm_hint hint = {&calm, false};
    unsigned n_norm = 0;              // of jobs so far
    struct stage_sync *stages = sync; // in a register, not found anew at each use
    keep_pointer(stages);
    for (int i = 0; i < list.n; i++) {
        // What follows from these is to be found anew for each job: kept for the whole list, it
        // would not fit the registers.
        asm volatile("" : "+r"(warp), "+r"(lane));
        const struct step_job &job = job_of(slots, i);
        if (i == 0) early_wait();
        if (job.kind == JOB_PRODUCT) {
            meet_wait(list.sync, job.meeting);
            run_product<FORM, MODE>(job.product, choice, ring, stages, at, sums, norm, n_norm, none,
                                    hint, warp, lane);
        } else if (MIX && job.kind == JOB_SCORES) {
            take_room(sums);
            if constexpr (MIX)
                run_scores<unit<FORM>::kind, MODE>(job.scores, list.sync, job.meeting,
                                                   (float *)room, warp, lane);
        } else {
            take_room(sums);
            run_attend<unit<FORM>::kind, DIM, CODES, MODE == ONE>(room, &job.attend, list.sync,
                                                                  job.meeting, warp, lane);
        }
        if (job.kind != JOB_PRODUCT) {
            block_sync(); // the room is free again
            if (job.meets) meet_arrive(list.sync);
        }
        job_done(slots, i);
    }
    take_all_back(sums);
    meet_last(list.sync);
}

#define OF_HEADS(form, mode, mix)                                                                  \
    {                                                                                              \
        {step_kernel<form, mode, mix, 64, false>, step_kernel<form, mode, mix, 64, true>},         \
            {step_kernel<form, mode, mix, 128, false>, step_kernel<form, mode, mix, 128, true>},   \
    }
#define OF_MODE(form, mode)                                                                        \
    {                                                                                              \
        OF_HEADS(form, mode, false), OF_HEADS(form, mode, true)                                    \
    }
#define STEP_TABLE(form)                                                                           \
    {                                                                                              \
        OF_MODE(form, ONE), OF_MODE(form, FEW), OF_MODE(form, WIDE)                                \
    }
