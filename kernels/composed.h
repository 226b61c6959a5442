// The fused operations made of the small ones, for instances that have nothing better: an act is
// then plain f32. The functions are shared; what each instance needs is a set that names its own
// table, which these two macros write.
#pragma once
#include "kernels/composed_plain.h"

struct k_act {
    float *x; // [n_token, n_col]
};

k_act *composed_act_new(const struct k_ops *op, k_device *d, int n_token, int n_col);
void composed_act_free(const struct k_ops *op, k_device *d, k_act *a);
void composed_gate(const struct k_ops *op, k_device *d, float *out, const float *x,
                   const struct k_gate *g, int n_token);
void composed_add(const struct k_ops *op, k_device *d, const float *a, const struct k_add *p,
                  int n_token);

void composed_mix(const struct k_ops *op, k_device *d, const float *a, const struct k_mix *m,
                  int n_token);
size_t composed_mix_room(const struct k_experts *e, int n_token);
int composed_list_experts(k_device *d, const struct k_experts *e, void **list); // none

void composed_fill(k_device *d, void *to, size_t n_bytes, uint64_t seed, uint64_t keep,
                   uint64_t set);
void composed_arrange(k_device *d, const struct k_matrix *w); // as it is
void composed_memory(k_device *d, uint64_t *free_bytes, uint64_t *floor_bytes);
size_t composed_act_bytes(int n_token, int n_col);
int composed_finish(k_device *d, err *e); // nothing is ever pending
void composed_replay(k_device *d, void **recording, void (*issue)(void *context), void *context);
void composed_forget(k_device *d, void *recording);

#define DEFINE_COMPOSED(table)                                                                     \
    static k_act *fused_act_new(k_device *d, int n_token, int n_col)                               \
    {                                                                                              \
        return composed_act_new(&table, d, n_token, n_col);                                        \
    }                                                                                              \
    static void fused_act_free(k_device *d, k_act *a)                                              \
    {                                                                                              \
        composed_act_free(&table, d, a);                                                           \
    }                                                                                              \
    static void fused_norm(k_device *d, k_act *a, const float *x, const float *gain, int n_token,  \
                           int dim, float eps)                                                     \
    {                                                                                              \
        table.rms_norm(d, a->x, x, gain, n_token, dim, eps);                                       \
    }                                                                                              \
    static void fused_project(k_device *d, const k_act *a, int n_token, const struct k_product *p, \
                              int n_product)                                                       \
    {                                                                                              \
        table.matmul(d, a->x, n_token, p, n_product);                                              \
    }                                                                                              \
    static void fused_attend(k_device *d, k_act *a, const struct k_attend *at, int n_token)        \
    {                                                                                              \
        composed_attend(&table, d, a->x, at, n_token);                                             \
    }                                                                                              \
    static void fused_gate(k_device *d, k_act *out, const k_act *a, const struct k_gate *g,        \
                           int n_token)                                                            \
    {                                                                                              \
        composed_gate(&table, d, out->x, a->x, g, n_token);                                        \
    }                                                                                              \
    static void fused_add(k_device *d, const k_act *a, const struct k_add *p, int n_token)         \
    {                                                                                              \
        composed_add(&table, d, a->x, p, n_token);                                                 \
        if (p->next) table.rms_norm(d, p->next->x, p->x, p->gain, n_token, p->w->n_row, p->eps);   \
    }                                                                                              \
    static void fused_mix(k_device *d, const k_act *a, const struct k_mix *m, int n_token)         \
    {                                                                                              \
        int dim = m->experts->router->n_col;                                                       \
        composed_mix(&table, d, a->x, m, n_token);                                                 \
        if (m->next) table.rms_norm(d, m->next->x, m->x, m->gain, n_token, dim, m->eps);           \
    }

#define COMPOSED_OPERATIONS                                                                        \
    .reads_host = true, .block_align = 1, .memory = composed_memory, .fill = composed_fill,        \
    .arrange = composed_arrange, .finish = composed_finish, .replay = composed_replay,             \
    .forget = composed_forget, .act_bytes = composed_act_bytes, .act_new = fused_act_new,          \
    .act_free = fused_act_free, .norm = fused_norm, .project = fused_project,                      \
    .attend = fused_attend, .gate = fused_gate, .add = fused_add, .mix = fused_mix,                \
    .mix_room = composed_mix_room, .list_experts = composed_list_experts
