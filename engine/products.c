#include "engine/products.h"

#include "base/mem.h"
#include "engine/model.h"

#include <stdlib.h>
#include <string.h>

struct asking {
    const struct k_ops *op;
    k_device *device;
    product_listener *tell;
    void *context;
    struct product_kind *told; // [n_told] so far
    size_t n_told;
};

static bool alike(const struct product_kind *a, const struct product_kind *b)
{
    return !strcmp(a->weights, b->weights) && a->blocks == b->blocks && a->experts == b->experts &&
           a->n_row == b->n_row && a->n_col == b->n_col && !strcmp(a->how, b->how);
}

static void ask(struct asking *a, const struct k_matrix *w, const float *bias, bool experts)
{
    char how[256] = "";
    const struct k_product p = {.w = w, .bias = bias};
    struct product_kind k = {.weights = k_type_name(w->type),
                             .blocks = w->type == K_E4M3 && w->block,
                             .experts = experts,
                             .n_row = w->n_row,
                             .n_col = w->n_col,
                             .how = how};
    if (a->op->explain) a->op->explain(a->device, &p, a->op->batch_max, experts, how, sizeof how);
    for (size_t i = 0; i < a->n_told; i++)
        if (alike(&a->told[i], &k)) return;
    a->told = mem_grow(a->told, (a->n_told + 1) * sizeof *a->told);
    a->told[a->n_told] = k;
    a->told[a->n_told++].how = mem_str(how);
    a->tell(a->context, &k);
}

static void forget(struct asking *a)
{
    for (size_t i = 0; i < a->n_told; i++) free((void *)a->told[i].how);
    free(a->told);
}

void products_of_model(const struct model *m, product_listener *tell, void *context)
{
    struct asking a = {m->ops, m->device, tell, context, NULL, 0};
    for (int i = 0; i < m->config.n_layer; i++) {
        const struct layer *l = &m->layers[i];
        ask(&a, &l->q, l->q_bias, false);
        ask(&a, &l->k, l->k_bias, false);
        ask(&a, &l->v, l->v_bias, false);
        ask(&a, &l->o, l->o_bias, false);
        if (m->config.n_expert) {
            ask(&a, &l->router, NULL, false);
            ask(&a, &l->e_gate[0], NULL, true);
            ask(&a, &l->e_up[0], NULL, true);
            ask(&a, &l->e_down[0], NULL, true);
        } else {
            ask(&a, &l->gate, NULL, false);
            ask(&a, &l->up, NULL, false);
            ask(&a, &l->down, NULL, false);
        }
    }
    forget(&a);
}

int products_typical(product_listener *tell, void *context, err *e)
{
    static const int shapes[][2] = {{4096, 4096}, {1024, 4096}, {14336, 4096}, {4096, 14336}};
    static const struct {
        enum k_type type;
        bool blocks;
    } kinds[] = {
        {K_E4M3, false}, {K_E4M3, true}, {K_NVFP4, false}, {K_MXFP4, false}, {K_BF16, false}};
    // There must be scales, but nobody reads them.
    static const float scale;
    struct asking a = {k_ops_find(NULL), NULL, tell, context, NULL, 0};
    if (!a.op->explain) return 0;
    if (!(a.device = a.op->open(0, e))) return -1;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
            bool fp4 = kinds[k].type == K_NVFP4 || kinds[k].type == K_MXFP4;
            const struct k_matrix w = {.type = kinds[k].type,
                                       .n_row = shapes[i][0],
                                       .n_col = shapes[i][1],
                                       .block = kinds[k].blocks || fp4 ? &scale : NULL,
                                       .scale = kinds[k].type == K_E4M3 ? &scale : NULL,
                                       .short_x = kinds[k].type == K_E4M3};
            ask(&a, &w, NULL, false);
        }
    a.op->close(a.device);
    forget(&a);
    return 0;
}
