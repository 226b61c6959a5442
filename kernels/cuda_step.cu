// Decode steps (cuda_step.h), the host's side: operations become jobs, jobs a list, and a list
// knows where its jobs must wait for each other.
#include "kernels/cuda_step.h"

#include <algorithm>
#include <cassert>
#include <climits>
#include <vector>

// Of a unit.
static const int form_columns[W_N_FORM] = {unit<W_BF16>::columns, unit<W_E4M3>::columns,
                                           unit<W_E4M3_BLOCK>::columns, unit<W_NVFP4>::columns,
                                           unit<W_MXFP4>::columns};

static const step_table *const kernels[W_N_FORM] = {
    &step_kernels_bf16,  &step_kernels_e4m3,  &step_kernels_e4m3_block,
    &step_kernels_nvfp4, &step_kernels_mxfp4,
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
    return shared_bytes(mode, mix, is_small(d));
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
                                (const void *)(*kernels[form])[i / 8][i / 4 % 2][i / 2 % 2][i % 2],
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

// Of what does not stand side by side.
static struct product_cut cut_evenly(const k_device *d, const struct product_job &p, int form,
                                     int mode, int n_unit)
{
    struct product_cut cut = {};
    bool gate = p.ending == END_GATE;
    cut.n_each = p.n_row / d->n_sm, cut.n_more = p.n_row % d->n_sm;
    for (int i = 0; i < PARTS_MAX - 1; i++)
        cut.first[i] = !gate && i + 1 < p.n_part ? p.part[i + 1].first : INT_MAX;
    cut.tile_bits = gate ? 3 : 4;
    cut.n_unit = n_unit;
    cut.step = p.box, cut.n_step = (n_unit + p.box - 1) / p.box;
    cut.x_each = units_each(p.box, near_units(form, d->steps->mix));
    cut.x_depth = x_depth(form, mode, cut.x_each, cut.n_step, p.n_token, is_small(d));
    cut.stage = shape_of(form_scale_bytes[form], p.box, 1);
    return cut;
}

// What depends on the whole list: its form, and whether it has experts.
static bool complete(k_device *d, struct product_job *p, struct weight_maps *maps, int form,
                     int mode)
{
    int n_unit = units_of(p->n_col, form_columns[form]);
    const struct row_steps step = {(uint64_t)n_unit * UNIT_BYTES,
                                   (uint64_t)(n_unit * form_scale_bytes[form])};
    bool ok = true;
    p->row_units = divisor_of(n_unit);
    if (!p->experts)
        p->box = dense_box(n_unit, units_held(form, mode, d->steps->mix, p->n_token, is_small(d)),
                           near_units(form, d->steps->mix));
    p->cut = cut_evenly(d, *p, form, mode, n_unit);
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

// Whether a job may begin at once: no job before it has touched anything that it takes or writes.
// Plain products only: of what others touch not all is listed.
static bool waits_for_nothing(const struct step_job &job, const struct job_uses &u,
                              std::vector<struct written> &all,
                              const std::vector<const void *> &read)
{
    if (job.kind != JOB_PRODUCT || job.product.ending != END_STORE) return false;
    for (const struct job_reads &r : u.reads)
        if (find(all, r.at)) return false;
    for (const struct written &w : u.writes)
        if (find(all, w.at) || std::find(read.begin(), read.end(), w.at) != read.end())
            return false;
    return true;
}

// Tags, and where blocks must meet.
static void synchronise(std::vector<struct step_job> &jobs, bool tags)
{
    std::vector<struct written> all;
    std::vector<const void *> read;
    unsigned n_meeting = 0;
    for (int i = 0; i < (int)jobs.size(); i++) {
        struct job_uses u = uses_of(&jobs[(size_t)i]);
        bool waits = i && waits_for_numbers(jobs, i, u, all),
             at_once = !waits && waits_for_nothing(jobs[(size_t)i], u, all, read);
        if (i && !waits && !at_once)
            jobs[(size_t)i].meeting = ++n_meeting, jobs[(size_t)i - 1].meets = true;
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
        if (jobs.size() == 1 || !tags) *u.leave = NO_TAG;
        for (struct written &w : u.writes) {
            struct written *was = find(all, w.at);
            w.tag = *u.leave, w.job = i;
            w.in_turn = was && was->n == w.n && was->tag != w.tag && w.tag != NO_TAG;
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
    for (size_t i = 0; i < q->jobs.size(); i++)
        for (size_t k = 0; k < 2 && i + 1 + k < q->jobs.size(); k++)
            if (const struct step_job &next = q->jobs[i + 1 + k];
                next.kind == JOB_PRODUCT && !next.product.experts)
                q->jobs[i].n_map[k] = (unsigned char)next.product.n_part;
    choose_parts(q->jobs, form, q->mix);
    synchronise(q->jobs, has_tags(form, mode, q->mix));
    list.n = (int)q->jobs.size(), list.sync = q->sync, list.only = q->jobs[0];
    for (int i = 0; i < PARTS_MAX; i++) list.only_maps[i] = q->maps[(size_t)i];
    if (ok && list.n > 1)
        ok = (list.jobs = kept(d, q->jobs)) != NULL && (list.maps = kept(d, q->maps)) != NULL;
    if (ok)
        cuda_launch_early(d, "a step", (*kernels[form])[mode][q->mix][q->head_dim != 64][q->codes],
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
    next->form = FORM_PAIR, next->n_sum = d->n_sm;
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
    int n_head = n_kv * j->n_row_tile,
        n_part = std::clamp(d->n_sm / n_head, 1, (int)ATTEND_SPLIT_MAX);
    if (n_head * n_part > FEW_ITEMS_MAX) n_part = 1;
    j->group = divisor_of(at->n_head / n_kv);
    j->n_kv_head = divisor_of(n_kv), j->n_part_max = divisor_of(n_part);
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

int cuda_step_mid(const struct k_experts *e)
{
    int columns = form_columns[weight_form(e->down)];
    return units_of(e->down->n_col, columns) * columns;
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
    // Rows of all that may be chosen are divided by those of one (divisor).
    uint64_t mid = (uint64_t)cuda_step_mid(e),
             n_chosen = (uint64_t)std::min(n_token * e->n_used, e->n_expert);
    return !(n_chosen * mid * mid >> 32);
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
    j->side_max = divisor_of(WARPS * most / side);
    j->box_units = divisor_of(side);
    j->gate_rows = divisor_of(cuda_step_mid(e)), j->n_block = divisor_of(d->n_sm);
    j->gating = gating_of(e->gating);
    j->n_expert = e->n_expert, j->n_used = e->n_used, j->normalise = e->normalise;
    for (int i = 0; i < j->n_part; i++) j->part[i].scale = nullptr; // each expert has its own
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
