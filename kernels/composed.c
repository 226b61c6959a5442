#include "kernels/composed.h"

#include "base/mem.h"
#include "kernels/number.h"

#include <stdlib.h>
#include <string.h>

k_act *composed_act_new(const struct k_ops *op, k_device *d, int n_token, int n_col)
{
    k_act *a = mem_new(sizeof *a);
    a->x = op->alloc(d, (size_t)n_token * (size_t)n_col * sizeof *a->x);
    if (a->x) return a;
    free(a);
    return NULL;
}

void composed_act_free(const struct k_ops *op, k_device *d, k_act *a)
{
    if (a) op->release(d, a->x);
    free(a);
}

void composed_prepare(const struct k_ops *op, k_device *d, const struct k_attend *at, int n_token)
{
    const struct k_cache *c = at->cache;
    if (at->q_norm)
        op->rms_norm(d, at->q, at->q, at->q_norm, n_token * at->n_head, c->head_dim, at->eps);
    if (at->k_norm)
        op->rms_norm(d, at->k, at->k, at->k_norm, n_token * c->n_kv_head, c->head_dim, at->eps);
    op->rope(d, at->q, at->rope, n_token, at->n_head, c->head_dim);
    op->rope(d, at->k, at->rope, n_token, c->n_kv_head, c->head_dim);
    op->kv_store(d, c, at->k, at->v, at->pos, n_token);
}

void composed_attend(const struct k_ops *op, k_device *d, float *out, const struct k_attend *at,
                     int n_token)
{
    composed_prepare(op, d, at, n_token);
    op->attention(d, out, at->q, at->cache, at->n_head, at->pos, n_token);
}

void composed_gate(const struct k_ops *op, k_device *d, float *out, const float *x,
                   const struct k_gate *g, int n_token)
{
    const struct k_product both[] = {{.w = g->gate, .out = out}, {.w = g->up, .out = g->room[0]}};
    op->matmul(d, x, n_token, both, 2);
    op->swiglu(d, out, g->room[0], n_token, g->gate->n_row);
}

void composed_add(const struct k_ops *op, k_device *d, const float *a, const struct k_add *p,
                  int n_token)
{
    const struct k_product back = {.w = p->w, .out = p->x, .add = true};
    op->matmul(d, a, n_token, &back, 1);
}

void composed_fill(k_device *d, void *to, size_t n_bytes, uint64_t seed, uint64_t keep,
                   uint64_t set)
{
    (void)d;
    for (size_t at = 0; at < n_bytes; at += 8) {
        uint64_t word = (k_random_word(seed, at / 8) & keep) | set;
        memcpy((char *)to + at, &word, n_bytes - at < 8 ? n_bytes - at : 8);
    }
}

void composed_arrange(k_device *d, const struct k_matrix *w)
{
    (void)d;
    (void)w;
}

int composed_finish(k_device *d, err *e)
{
    (void)d, (void)e;
    return 0;
}

void composed_replay(k_device *d, void **recording, void (*issue)(void *context), void *context)
{
    (void)d, (void)recording;
    issue(context);
}

void composed_forget(k_device *d, void *recording)
{
    (void)d, (void)recording;
}
