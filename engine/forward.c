#include "engine/forward.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

// Tokens per chunk: enough that unpacking weights is small beside multiplying, few enough that a
// cancel is seen soon.
enum { CHUNK_TOKENS = 256 };
static_assert((int)CHUNK_TOKENS <= (int)K_BATCH_MAX, "a chunk is one call of each operation");

static float *room(const struct model *m, int n_row, int n_col)
{
    return m->ops->alloc(m->device, (size_t)n_row * (size_t)n_col * sizeof(float));
}

static bool open_caches(struct work *w, const struct model *m)
{
    const struct config *c = &m->config;
    size_t n_bytes = (size_t)c->n_kv_head * (size_t)w->ctx_max * (size_t)c->head_dim *
                     k_type_bytes(m->ops->kv_type);
    bool ok = true;
    w->caches = mem_new((size_t)c->n_layer * sizeof *w->caches);
    for (int l = 0; l < c->n_layer; l++) {
        w->caches[l] = (struct k_cache){.k = m->ops->alloc(m->device, n_bytes),
                                        .v = m->ops->alloc(m->device, n_bytes),
                                        .n_kv_head = c->n_kv_head,
                                        .head_dim = c->head_dim,
                                        .ctx_max = w->ctx_max};
        ok &= w->caches[l].k && w->caches[l].v;
    }
    return ok;
}

static int max_int(int a, int b)
{
    return a > b ? a : b;
}

int work_open(struct work *w, const struct model *m, int ctx_max, err *e)
{
    const struct config *c = &m->config;
    int n = ctx_max < CHUNK_TOKENS ? ctx_max : CHUNK_TOKENS;
    int n_q = c->n_head * c->head_dim, n_kv = c->n_kv_head * c->head_dim;
    *w = (struct work){.chunk_max = n,
                       .ctx_max = ctx_max,
                       .x = room(m, n, c->dim),
                       .h = room(m, n, c->dim),
                       .q = room(m, n, n_q),
                       .attn = room(m, n, n_q),
                       .k = room(m, n, n_kv),
                       .v = room(m, n, n_kv),
                       .gate = room(m, n, c->ffn_dim),
                       .up = room(m, n, c->ffn_dim),
                       .rope = room(m, n, c->head_dim),
                       .logits = room(m, 1, c->n_vocab),
                       .pooled = room(m, 1, c->dim)};
    bool ok = open_caches(w, m) && w->x && w->h && w->q && w->attn && w->k && w->v && w->gate &&
              w->up && w->rope && w->logits && w->pooled;
    if (!ok) {
        work_close(w, m);
        return err_set(e, ERR_SYSTEM, "no memory for a context of %d tokens", ctx_max);
    }
    if (m->ops->reserve(m->device, n, max_int(max_int(c->dim, n_q), c->ffn_dim), e)) {
        work_close(w, m);
        return -1;
    }
    return 0;
}

void work_close(struct work *w, const struct model *m)
{
    float *rooms[] = {w->x,  w->h,    w->q,    w->attn,   w->k,     w->v,
                      w->up, w->gate, w->rope, w->logits, w->pooled};
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) m->ops->release(m->device, rooms[i]);
    for (int l = 0; w->caches && l < m->config.n_layer; l++) {
        m->ops->release(m->device, w->caches[l].k);
        m->ops->release(m->device, w->caches[l].v);
    }
    free(w->caches);
    *w = (struct work){0};
}

static void attention_block(struct work *w, const struct model *m, int l, int n, int pos)
{
    const struct config *c = &m->config;
    const struct k_ops *op = m->ops;
    const struct layer *y = &m->layers[l];
    k_device *d = m->device;
    const struct k_product qkv[] = {{.w = &y->q, .bias = y->q_bias, .out = w->q},
                                    {.w = &y->k, .bias = y->k_bias, .out = w->k},
                                    {.w = &y->v, .bias = y->v_bias, .out = w->v}};
    const struct k_product back = {.w = &y->o, .out = w->x, .add = true};

    op->rms_norm(d, w->h, w->x, y->attn_norm, n, c->dim, c->norm_eps);
    op->matmul(d, w->h, n, qkv, 3);
    if (c->qk_norm) {
        op->rms_norm(d, w->q, w->q, y->q_norm, n * c->n_head, c->head_dim, c->norm_eps);
        op->rms_norm(d, w->k, w->k, y->k_norm, n * c->n_kv_head, c->head_dim, c->norm_eps);
    }
    op->rope(d, w->q, w->rope, n, c->n_head, c->head_dim);
    op->rope(d, w->k, w->rope, n, c->n_kv_head, c->head_dim);
    op->kv_store(d, &w->caches[l], w->k, w->v, pos, n);
    op->attention(d, w->attn, w->q, &w->caches[l], c->n_head, pos, n);
    op->matmul(d, w->attn, n, &back, 1);
}

static void ffn_block(struct work *w, const struct model *m, int l, int n)
{
    const struct config *c = &m->config;
    const struct k_ops *op = m->ops;
    const struct layer *y = &m->layers[l];
    k_device *d = m->device;
    const struct k_product in[] = {{.w = &y->gate, .out = w->gate}, {.w = &y->up, .out = w->up}};
    const struct k_product back = {.w = &y->down, .out = w->x, .add = true};

    op->rms_norm(d, w->h, w->x, y->ffn_norm, n, c->dim, c->norm_eps);
    op->matmul(d, w->h, n, in, 2);
    op->swiglu(d, w->gate, w->up, n, c->ffn_dim);
    op->matmul(d, w->gate, n, &back, 1);
}

int forward_chunk(struct work *w, const struct model *m, const int32_t *tokens, int n, int pos,
                  const volatile int *cancel)
{
    const struct config *c = &m->config;
    assert(n >= 1 && n <= w->chunk_max && pos + n <= w->ctx_max);
    m->ops->embed(m->device, w->x, &m->embedding, tokens, n);
    m->ops->rope_table(m->device, w->rope, c->inv_freq, c->head_dim / 2, pos, n);
    for (int l = 0; l < c->n_layer; l++) {
        if (cancel && *cancel) return -1;
        attention_block(w, m, l, n, pos);
        if (cancel && *cancel) return -1;
        ffn_block(w, m, l, n);
    }
    return 0;
}

void forward_head(struct work *w, const struct model *m, int t)
{
    const struct config *c = &m->config;
    const struct k_product head = {.w = &m->head, .out = w->logits};
    const float *x = w->x + (size_t)t * (size_t)c->dim;
    m->ops->rms_norm(m->device, w->h, x, m->final_norm, 1, c->dim, c->norm_eps);
    m->ops->matmul(m->device, w->h, 1, &head, 1);
}
