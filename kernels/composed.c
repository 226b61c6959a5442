#include "kernels/composed.h"

#include "base/mem.h"
#include "kernels/number.h"

#include <math.h>
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
    op->attention(d, out, at, n_token);
}

void composed_gate(const struct k_ops *op, k_device *d, float *out, const float *x,
                   const struct k_gate *g, int n_token)
{
    const struct k_product both[] = {{.w = g->gate, .out = out}, {.w = g->up, .out = g->room[0]}};
    op->matmul(d, x, n_token, both, 2);
    op->swiglu(d, out, g->room[0], n_token, g->gate->n_row, NULL);
}

void composed_add(const struct k_ops *op, k_device *d, const float *a, const struct k_add *p,
                  int n_token)
{
    const struct k_product back = {.w = p->w, .bias = p->bias, .out = p->x, .add = true};
    op->matmul(d, a, n_token, &back, 1);
}

// Expert by expert, so that each is read once however many tokens chose it: their rows are brought
// together, and the results go back to where they came from. Memory of these instances is the
// host's.

size_t composed_mix_room(const struct k_experts *e, int n_token)
{
    size_t dim = (size_t)e->router->n_col, ffn = (size_t)e->gate->n_row;
    return (size_t)n_token * ((size_t)e->n_expert + 2 * dim + 2 * ffn + 2 * (size_t)e->n_used);
}

int composed_list_experts(k_device *d, const struct k_experts *e, void **list)
{
    (void)d, (void)e;
    *list = NULL;
    return 0;
}

// The n_used largest of a token's scores and their softmax among all; scores are used up.
static void choose_experts(const struct k_experts *e, float *score, float *index, float *weight)
{
    float largest = score[0], sum = 0, chosen = 0;
    for (int i = 1; i < e->n_expert; i++) largest = fmaxf(largest, score[i]);
    for (int i = 0; i < e->n_expert; i++) sum += score[i] = expf(score[i] - largest);
    for (int k = 0; k < e->n_used; k++) {
        int best = 0;
        for (int i = 1; i < e->n_expert; i++)
            if (score[i] > score[best]) best = i;
        index[k] = (float)best;
        chosen += weight[k] = score[best] / sum;
        score[best] = -1;
    }
    for (int k = 0; k < e->n_used && e->normalise; k++) weight[k] /= chosen;
}

static const float *row_of(const float *table, int row, int n_col) // of one that may be NULL
{
    return table ? table + (size_t)row * (size_t)n_col : NULL;
}

// Room: [n_token, n_expert] scores, [n_token, n_used] chosen and weights, rows in and out of one
// expert [n_token, dim] each, and between its products [n_token, ffn] twice.
void composed_mix(const struct k_ops *op, k_device *d, const float *a, const struct k_mix *m,
                  int n_token)
{
    const struct k_experts *e = m->experts;
    size_t dim = (size_t)e->router->n_col, n = (size_t)n_token, n_used = (size_t)e->n_used;
    float *score = m->room, *index = score + n * (size_t)e->n_expert, *weight = index + n * n_used;
    float *in = weight + n * n_used, *out = in + n * dim, *gate = out + n * dim,
          *up = gate + n * (size_t)e->gate->n_row;
    const struct k_product route = {.w = e->router, .bias = e->router_bias, .out = score};
    op->matmul(d, a, n_token, &route, 1);
    for (size_t t = 0; t < n; t++)
        choose_experts(e, score + t * (size_t)e->n_expert, index + t * n_used, weight + t * n_used);
    for (int i = 0; i < e->n_expert; i++) {
        int n_row = 0;
        for (size_t k = 0; k < n * n_used; k++)
            if ((int)index[k] == i)
                memcpy(in + (size_t)n_row++ * dim, a + k / n_used * dim, dim * sizeof *in);
        if (!n_row) continue;
        int ffn = e->gate->n_row;
        const struct k_product both[] = {
            {.w = &e->gate[i], .bias = row_of(e->gate_bias, i, ffn), .out = gate},
            {.w = &e->up[i], .bias = row_of(e->up_bias, i, ffn), .out = up}};
        const struct k_product back = {
            .w = &e->down[i], .bias = row_of(e->down_bias, i, (int)dim), .out = out};
        op->matmul(d, in, n_row, both, 2);
        op->swiglu(d, gate, up, n_row, ffn, e->gating);
        op->matmul(d, gate, n_row, &back, 1);
        const float *from = out;
        for (size_t k = 0; k < n * n_used; k++) {
            if ((int)index[k] != i) continue;
            float *x = m->x + k / n_used * dim;
            for (size_t c = 0; c < dim; c++) x[c] += weight[k] * from[c];
            from += dim;
        }
    }
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

void composed_memory(k_device *d, uint64_t *free_bytes, uint64_t *floor_bytes)
{
    (void)d;
    *free_bytes = k_memory_available();
    *floor_bytes = 0;
}

size_t composed_act_bytes(int n_token, int n_col)
{
    return (size_t)n_token * (size_t)n_col * sizeof(float);
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
