#include "engine/forward.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static float *room(const struct model *m, int n_row, int n_col)
{
    return m->ops->alloc(m->device, (size_t)n_row * (size_t)n_col * sizeof(float));
}

// A layer's cache without its memory.
static struct k_cache cache_shape(const struct config *c, enum k_type type, int ctx_max)
{
    return (struct k_cache){
        .type = type, .n_kv_head = c->n_kv_head, .head_dim = c->head_dim, .ctx_max = ctx_max};
}

static bool open_caches(struct work *w, const struct model *m)
{
    const struct k_ops *op = m->ops;
    const struct k_cache shape = cache_shape(&m->config, m->kv_type, w->ctx_max);
    size_t n_bytes = k_cache_bytes(&shape), n_scale = k_scale_bytes(&shape);
    bool ok = true;
    w->caches = mem_new((size_t)m->config.n_layer * sizeof *w->caches);
    for (int l = 0; l < m->config.n_layer; l++) {
        struct k_cache *c = &w->caches[l];
        *c = shape;
        c->k = op->alloc(m->device, n_bytes);
        c->v = op->alloc(m->device, n_bytes);
        ok &= c->k && c->v;
        if (!n_scale) continue;
        c->k_scale = op->alloc(m->device, n_scale);
        c->v_scale = op->alloc(m->device, n_scale);
        ok &= c->k_scale && c->v_scale;
    }
    return ok;
}

static int max_int(int a, int b)
{
    return a > b ? a : b;
}

void work_bytes(const struct config *c, const struct k_ops *ops, enum k_type kv_type, int ctx_max,
                uint64_t *cache, uint64_t *scratch)
{
    const struct k_cache shape = cache_shape(c, kv_type, ctx_max);
    int n = ctx_max < ops->batch_max ? ctx_max : ops->batch_max;
    int n_q = c->n_head * c->head_dim, n_kv = c->n_kv_head * c->head_dim;
    const struct k_matrix router = {.n_col = c->dim}, gate = {.n_row = c->ffn_dim};
    const struct k_experts experts = {
        .router = &router, .gate = &gate, .n_expert = c->n_expert, .n_used = c->n_expert_used};
    uint64_t floats =
        (uint64_t)n * (uint64_t)(c->dim + n_q + 2 * n_kv + 2 * c->ffn_dim + c->head_dim);
    floats += (uint64_t)STEP_ROWS * (uint64_t)c->n_vocab + (uint64_t)c->dim;
    if (c->n_expert) floats += ops->mix_room(&experts, n);
    *cache = 2 * (uint64_t)c->n_layer * (k_cache_bytes(&shape) + k_scale_bytes(&shape));
    *scratch = floats * sizeof(float) + (uint64_t)(n + 1) * sizeof(int32_t) +
               (uint64_t)(c->head_dim / 2) * sizeof(double) + ops->act_bytes(n, c->dim) +
               ops->act_bytes(n, n_q) + ops->act_bytes(n, c->ffn_dim);
}

int work_open(struct work *w, const struct model *m, int ctx_max, err *e)
{
    const struct config *c = &m->config;
    int n = ctx_max < m->ops->batch_max ? ctx_max : m->ops->batch_max;
    int n_q = c->n_head * c->head_dim, n_kv = c->n_kv_head * c->head_dim;
    size_t freq_bytes = (size_t)c->head_dim / 2 * sizeof *w->inv_freq;
    *w = (struct work){.chunk_max = n,
                       .ctx_max = ctx_max,
                       .host_place = mem_new((size_t)(n + 1) * sizeof *w->place),
                       .place = m->ops->alloc(m->device, (size_t)(n + 1) * sizeof *w->place),
                       .inv_freq = m->ops->alloc(m->device, freq_bytes),
                       .x = room(m, n, c->dim),
                       .h = m->ops->act_new(m->device, n, c->dim),
                       .attn = m->ops->act_new(m->device, n, n_q),
                       .ffn = m->ops->act_new(m->device, n, c->ffn_dim),
                       .q = room(m, n, n_q),
                       .k = room(m, n, n_kv),
                       .v = room(m, n, n_kv),
                       .gate = room(m, n, c->ffn_dim),
                       .up = room(m, n, c->ffn_dim),
                       .rope = room(m, n, c->head_dim),
                       .logits = room(m, STEP_ROWS, c->n_vocab),
                       .pooled = room(m, 1, c->dim)};
    if (c->n_expert)
        w->mix =
            m->ops->alloc(m->device, m->ops->mix_room(&m->layers[0].experts, n) * sizeof *w->mix);
    bool ok = (!c->n_expert || w->mix) && open_caches(w, m) && w->place && w->inv_freq && w->x &&
              w->h && w->attn && w->ffn && w->q && w->k && w->v && w->gate && w->up && w->rope &&
              w->logits && w->pooled;
    if (!ok) {
        work_close(w, m);
        return err_set(e, ERR_SYSTEM,
                       "no memory for a context of %d tokens; a smaller --ctx takes less", ctx_max);
    }
    m->ops->upload(m->device, w->inv_freq, c->inv_freq, freq_bytes);
    if (m->ops->reserve(m->device, n, max_int(max_int(c->dim, n_q), c->ffn_dim), e)) {
        work_close(w, m);
        return -1;
    }
    return 0;
}

void work_close(struct work *w, const struct model *m)
{
    void *rooms[] = {w->place, w->inv_freq, w->x,    w->q,      w->k,      w->v,
                     w->up,    w->gate,     w->rope, w->logits, w->pooled, w->mix};
    k_act *acts[] = {w->h, w->attn, w->ffn};
    for (int i = 0; i < STEP_ROWS; i++) m->ops->forget(m->device, w->steps[i]);
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) m->ops->release(m->device, rooms[i]);
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) m->ops->act_free(m->device, acts[i]);
    for (int l = 0; w->caches && l < m->config.n_layer; l++) {
        const struct k_cache *c = &w->caches[l];
        void *parts[] = {c->k, c->v, c->k_scale, c->v_scale};
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
            m->ops->release(m->device, parts[i]);
    }
    free(w->caches);
    free(w->host_place);
    *w = (struct work){0};
}

// From h, the normed input of the layer, to the normed input of its second half.
static void attention_block(struct work *w, const struct model *m, int l, int n)
{
    const struct config *c = &m->config;
    const struct k_ops *op = m->ops;
    const struct layer *y = &m->layers[l];
    const struct k_product qkv[] = {{.w = &y->q, .bias = y->q_bias, .out = w->q},
                                    {.w = &y->k, .bias = y->k_bias, .out = w->k},
                                    {.w = &y->v, .bias = y->v_bias, .out = w->v}};
    const struct k_attend attend = {.q = w->q,
                                    .k = w->k,
                                    .v = w->v,
                                    .q_norm = c->qk_norm ? y->q_norm : NULL,
                                    .k_norm = c->qk_norm ? y->k_norm : NULL,
                                    .eps = c->norm_eps,
                                    .rope = w->rope,
                                    .cache = &w->caches[l],
                                    .n_head = c->n_head,
                                    .pos = w->place,
                                    .window = c->windowed[l] ? c->window : 0,
                                    .sinks = y->sinks};
    const struct k_add back = {.w = &y->o,
                               .bias = y->o_bias,
                               .x = w->x,
                               .next = w->h,
                               .gain = y->ffn_norm,
                               .eps = c->norm_eps};
    op->project(m->device, w->h, n, qkv, 3);
    op->attend(m->device, w->attn, &attend, n);
    op->add(m->device, w->attn, &back, n);
}

// From there to the normed input of the next layer, or, of the last one, of the head; NULL `final`:
// no head follows.
static void ffn_block(struct work *w, const struct model *m, int l, int n, const float *final)
{
    const struct layer *y = &m->layers[l];
    const float *gain = l + 1 < m->config.n_layer ? y[1].attn_norm : final;
    if (m->config.n_expert) {
        const struct k_mix mix = {.experts = &y->experts,
                                  .x = w->x,
                                  .room = w->mix,
                                  .next = gain ? w->h : NULL,
                                  .gain = gain,
                                  .eps = m->config.norm_eps};
        m->ops->mix(m->device, w->h, &mix, n);
        return;
    }
    const struct k_gate in = {.gate = &y->gate, .up = &y->up, .room = {w->gate, w->up}};
    const struct k_add back = {.w = &y->down,
                               .x = w->x,
                               .next = gain ? w->h : NULL,
                               .gain = gain,
                               .eps = m->config.norm_eps};
    m->ops->gate(m->device, w->ffn, w->h, &in, n);
    m->ops->add(m->device, w->ffn, &back, n);
}

static void set_place(struct work *w, const struct model *m, const int32_t *tokens, int n, int pos)
{
    assert(n >= 1 && n <= w->chunk_max && pos + n <= w->ctx_max);
    w->host_place[0] = pos;
    memcpy(w->host_place + 1, tokens, (size_t)n * sizeof *tokens);
    m->ops->upload(m->device, w->place, w->host_place, (size_t)(n + 1) * sizeof *w->place);
}

// The chunk whose place is set; `final` as above.
static int run_layers(struct work *w, const struct model *m, int n, const float *final,
                      const volatile int *cancel)
{
    const struct config *c = &m->config;
    m->ops->embed(m->device, w->x, &m->embedding, w->place + 1, n);
    m->ops->rope_table(m->device, w->rope, w->inv_freq, c->head_dim / 2, c->rope_scale, w->place,
                       n);
    m->ops->norm(m->device, w->h, w->x, m->layers[0].attn_norm, n, c->dim, c->norm_eps);
    for (int l = 0; l < c->n_layer; l++) {
        if (cancel && *cancel) return -1;
        attention_block(w, m, l, n);
        if (cancel && *cancel) return -1;
        ffn_block(w, m, l, n, final);
    }
    return 0;
}

int forward_chunk(struct work *w, const struct model *m, const int32_t *tokens, int n, int pos,
                  const volatile int *cancel)
{
    set_place(w, m, tokens, n, pos);
    return run_layers(w, m, n, NULL, cancel);
}

// The logits of n tokens, of which w->h is the normed state.
static void run_head(struct work *w, const struct model *m, int n)
{
    const struct k_product head = {.w = &m->head, .out = w->logits};
    m->ops->project(m->device, w->h, n, &head, 1);
}

void forward_head(struct work *w, const struct model *m, int t)
{
    const struct config *c = &m->config;
    const float *x = w->x + (size_t)t * (size_t)c->dim;
    m->ops->norm(m->device, w->h, x, m->final_norm, 1, c->dim, c->norm_eps);
    run_head(w, m, 1);
}

struct step {
    struct work *work;
    const struct model *model;
    int n;
};

static void issue_step(void *context)
{
    struct step *s = context;
    run_layers(s->work, s->model, s->n, s->model->final_norm, NULL);
    run_head(s->work, s->model, s->n);
}

void forward_step(struct work *w, const struct model *m, const int32_t *tokens, int n, int pos)
{
    struct step s = {.work = w, .model = m, .n = n};
    assert(n >= 1 && n <= STEP_ROWS);
    set_place(w, m, tokens, n, pos);
    m->ops->replay(m->device, &w->steps[n - 1], issue_step, &s);
}
