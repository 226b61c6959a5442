// A checkpoint is described by two tables of slots, one for the whole model and one for a layer:
// the tensor's name, its place in the struct, its shape in terms of the config, and when it must be
// there. Binding walks the tables; every tensor it takes is marked. Afterwards no tensor may be
// left over, except those listed as harmless: what a checkpoint holds and we do not know could be
// part of the arithmetic.
#include "engine/model.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/sha256.h"
#include "kernels/number.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static_assert((int)HEAD_DIM_MAX <= (int)K_HEAD_DIM_MAX, "operations must take every head");

enum size {
    SIZE_NONE,
    SIZE_DIM,
    SIZE_Q,
    SIZE_KV,
    SIZE_HEAD,
    SIZE_N_HEAD,
    SIZE_FFN,
    SIZE_EXPERTS,
    SIZE_VOCAB
};
enum when {
    ALWAYS,
    WITH_QK_NORM,
    WITH_QKV_BIAS,
    WITH_O_BIAS,
    WITH_SINKS,
    WITH_OWN_HEAD,
    WITH_SINGLE_EXPERTS,
    WITH_STACKED_EXPERTS,
    WITHOUT_EXPERTS
};

struct slot {
    const char *name;
    size_t at; // offset of a struct k_matrix, or of a float * when n_col is SIZE_NONE
    enum size n_row, n_col;
    enum when when;
};

static const struct slot model_slots[] = {
    {"model.embed_tokens.weight", offsetof(struct model, embedding), SIZE_VOCAB, SIZE_DIM, ALWAYS},
    {"model.norm.weight", offsetof(struct model, final_norm), SIZE_DIM, SIZE_NONE, ALWAYS},
    {"lm_head.weight", offsetof(struct model, head), SIZE_VOCAB, SIZE_DIM, WITH_OWN_HEAD},
};

#define AT(field) offsetof(struct layer, field)
static const struct slot layer_slots[] = {
    {"input_layernorm.weight", AT(attn_norm), SIZE_DIM, SIZE_NONE, ALWAYS},
    {"self_attn.q_proj.weight", AT(q), SIZE_Q, SIZE_DIM, ALWAYS},
    {"self_attn.k_proj.weight", AT(k), SIZE_KV, SIZE_DIM, ALWAYS},
    {"self_attn.v_proj.weight", AT(v), SIZE_KV, SIZE_DIM, ALWAYS},
    {"self_attn.q_proj.bias", AT(q_bias), SIZE_Q, SIZE_NONE, WITH_QKV_BIAS},
    {"self_attn.k_proj.bias", AT(k_bias), SIZE_KV, SIZE_NONE, WITH_QKV_BIAS},
    {"self_attn.v_proj.bias", AT(v_bias), SIZE_KV, SIZE_NONE, WITH_QKV_BIAS},
    {"self_attn.q_norm.weight", AT(q_norm), SIZE_HEAD, SIZE_NONE, WITH_QK_NORM},
    {"self_attn.k_norm.weight", AT(k_norm), SIZE_HEAD, SIZE_NONE, WITH_QK_NORM},
    {"self_attn.o_proj.weight", AT(o), SIZE_DIM, SIZE_Q, ALWAYS},
    {"self_attn.o_proj.bias", AT(o_bias), SIZE_DIM, SIZE_NONE, WITH_O_BIAS},
    {"self_attn.sinks", AT(sinks), SIZE_N_HEAD, SIZE_NONE, WITH_SINKS},
    {"post_attention_layernorm.weight", AT(ffn_norm), SIZE_DIM, SIZE_NONE, ALWAYS},
    {"mlp.gate_proj.weight", AT(gate), SIZE_FFN, SIZE_DIM, WITHOUT_EXPERTS},
    {"mlp.up_proj.weight", AT(up), SIZE_FFN, SIZE_DIM, WITHOUT_EXPERTS},
    {"mlp.down_proj.weight", AT(down), SIZE_DIM, SIZE_FFN, WITHOUT_EXPERTS},
    {"mlp.gate.weight", AT(router), SIZE_EXPERTS, SIZE_DIM, WITH_SINGLE_EXPERTS},
    {"mlp.router.weight", AT(router), SIZE_EXPERTS, SIZE_DIM, WITH_STACKED_EXPERTS},
    {"mlp.router.bias", AT(router_bias), SIZE_EXPERTS, SIZE_NONE, WITH_STACKED_EXPERTS},
};

// Of each expert; `at` is that of a list of them.
static const struct slot expert_slots[] = {
    {"gate_proj.weight", AT(e_gate), SIZE_FFN, SIZE_DIM, ALWAYS},
    {"up_proj.weight", AT(e_up), SIZE_FFN, SIZE_DIM, ALWAYS},
    {"down_proj.weight", AT(e_down), SIZE_DIM, SIZE_FFN, ALWAYS},
};
#undef AT

enum { STORE_ALIGN = 256 }; // of a tensor in device memory
static_assert((int)STORE_ALIGN >= (int)K_BEHIND, "what may be read behind a tensor is there");

#define COUNT(table) (sizeof(table) / sizeof *(table))

// Ends of names that may be there without being read. Where activations are rounded, their scales
// are found for each token, and those of the checkpoint change nothing; the rotary table is
// computed; a head beside tied embeddings is what the reference implementation ignores, too.
static const struct {
    const char *ending;
    bool only_tied;
} harmless[] = {
    {".rotary_emb.inv_freq", false},
    {".input_scale", false},
    {".input_global_scale", false},
    {".k_scale", false},
    {".v_scale", false},
    {".q_scale", false},
    {"lm_head.weight", true},
};

static int size_of(const struct config *c, enum size s)
{
    switch (s) {
    case SIZE_NONE: return 0;
    case SIZE_DIM: return c->dim;
    case SIZE_Q: return c->n_head * c->head_dim;
    case SIZE_KV: return c->n_kv_head * c->head_dim;
    case SIZE_HEAD: return c->head_dim;
    case SIZE_N_HEAD: return c->n_head;
    case SIZE_FFN: return c->ffn_dim;
    case SIZE_EXPERTS: return c->n_expert;
    case SIZE_VOCAB: return c->n_vocab;
    }
    return 0;
}

static bool is_needed(const struct config *c, enum when when)
{
    switch (when) {
    case ALWAYS: return true;
    case WITH_QK_NORM: return c->qk_norm;
    case WITH_QKV_BIAS: return c->qkv_bias;
    case WITH_O_BIAS: return c->o_bias;
    case WITH_SINKS: return c->sinks;
    case WITH_OWN_HEAD: return !c->tied;
    case WITH_SINGLE_EXPERTS: return c->n_expert > 0 && !c->stacked_experts;
    case WITH_STACKED_EXPERTS: return c->n_expert > 0 && c->stacked_experts;
    case WITHOUT_EXPERTS: return c->n_expert == 0;
    }
    return false;
}

static void own(struct model *m, void *p)
{
    m->owned = mem_grow(m->owned, (m->n_owned + 1) * sizeof *m->owned);
    m->owned[m->n_owned++] = p;
}

static void *own_alloc(struct model *m, size_t n_bytes, err *e)
{
    void *p = m->ops->alloc(m->device, n_bytes);
    if (p)
        own(m, p);
    else
        err_set(e, ERR_SYSTEM,
                "no memory for %zu bytes of weights: end what else takes memory, or take a smaller "
                "model",
                n_bytes);
    return p;
}

static float *own_floats(struct model *m, const float *values, size_t n, err *e)
{
    float *p = own_alloc(m, n * sizeof *p, e);
    if (p) m->ops->upload(m->device, p, values, n * sizeof *p);
    return p;
}

static void count_bytes(struct model *m, uint64_t n_element, uint64_t n_bytes)
{
    m->n_parameter += n_element;
    m->weight_bytes += n_bytes;
}

// Tensors of the checkpoint

static float element(const struct tensor *t, size_t i)
{
    switch (t->type) {
    case TENSOR_F32: return ((const float *)t->data)[i];
    case TENSOR_F16: return f16_to_f32(((const uint16_t *)t->data)[i]);
    default: return bf16_to_f32(((const uint16_t *)t->data)[i]);
    }
}

static struct tensor *take_tensor(struct model *m, const char *name, int n_row, int n_col, err *e)
{
    char shape[128], found[128];
    struct tensor *t = weights_find(m->weights, name);
    struct tensor want = {.n_dim = n_col ? 2 : 1, .shape = {(uint64_t)n_row, (uint64_t)n_col}};
    tensor_shape_text(&want, shape);
    if (!t) {
        err_set(e, ERR_INPUT, "tensor %s %s is missing from the safetensors files", name, shape);
        return NULL;
    }
    if (t->n_dim != want.n_dim || t->shape[0] != want.shape[0] ||
        (n_col && t->shape[1] != want.shape[1])) {
        err_set(e, ERR_INPUT, "%s: tensor %s: expected shape %s by config.json, found %s", t->file,
                name, shape, tensor_shape_text(t, found));
        return NULL;
    }
    t->used = true;
    return t;
}

// A vector, or the scales of a matrix, as f32; `values` has room for n.
static int read_floats(const struct tensor *t, float *values, size_t n, err *e)
{
    if (t->type == TENSOR_F8_E4M3 || t->type == TENSOR_U8 || t->type == TENSOR_OTHER)
        return err_set(e, ERR_INPUT, "%s: tensor %s: expected F32, F16 or BF16, found %s", t->file,
                       t->name, t->type_name);
    for (size_t i = 0; i < n; i++) {
        values[i] = element(t, i);
        if (!isfinite(values[i]))
            return err_set(e, ERR_INPUT, "%s: tensor %s: element %zu is %f", t->file, t->name, i,
                           (double)values[i]);
    }
    return 0;
}

static int bind_vector(struct model *m, float **out, const char *name, int n, err *e)
{
    struct tensor *t = take_tensor(m, name, n, 0, e);
    if (!t) return -1;
    float *values = mem_new((size_t)n * sizeof *values);
    if (!read_floats(t, values, (size_t)n, e)) *out = own_floats(m, values, (size_t)n, e);
    free(values);
    count_bytes(m, (uint64_t)n, (uint64_t)n * sizeof *values);
    return *out ? 0 : -1;
}

// Scales, by the names and shapes that quantisers give them. P is the name without ".weight":
//
//   F8_E4M3  P.weight           P.weight_scale [], [1], [N], [N, 1]: of the whole or of rows
//                               P.weight_scale or P.weight_scale_inv [N / 128, K / 128], rounded up
//   NVFP4    P.weight U8        P.weight_scale F8_E4M3 [N, K / 16], P.weight_scale_2, a factor
//            P.weight_packed U8 P.weight_scale F8_E4M3 [N, K / 16], P.weight_global_scale, a
//            divisor
//   MXFP4    P.weight_packed U8 P.weight_scale U8 [N, K / 32]
//
// and of experts that are stacked, with Q for the name of their projection:
//
//   MXFP4    Q_blocks U8 [E, N, K / 32, 16]      Q_scales U8 [E, N, K / 32]
struct matrix_names {
    char weight[192], packed[192], scale[192], scale_inv[192], scale_2[192], global[192];
    char x_scale[192], x_global[192]; // of the activations that it meets
};

static struct matrix_names names_of(const char *weight)
{
    struct matrix_names n;
    snprintf(n.weight, sizeof n.weight, "%.160s", weight);
    snprintf(n.packed, sizeof n.packed, "%.160s_packed", weight);
    snprintf(n.scale, sizeof n.scale, "%.160s_scale", weight);
    snprintf(n.scale_inv, sizeof n.scale_inv, "%.160s_scale_inv", weight);
    snprintf(n.scale_2, sizeof n.scale_2, "%.160s_scale_2", weight);
    snprintf(n.global, sizeof n.global, "%.160s_global_scale", weight);
    int stem = (int)strlen(n.weight) - (int)strlen("weight");
    snprintf(n.x_scale, sizeof n.x_scale, "%.*sinput_scale", stem > 0 ? stem : 0, n.weight);
    snprintf(n.x_global, sizeof n.x_global, "%.*sinput_global_scale", stem > 0 ? stem : 0,
             n.weight);
    return n;
}

// n finite scales that are not negative, as f32, or NULL.
static float *read_scales(struct tensor *t, size_t n, err *e)
{
    float *values = mem_new(n * sizeof *values);
    int rc = read_floats(t, values, n, e);
    for (size_t i = 0; !rc && i < n; i++)
        if (values[i] < 0)
            rc = err_set(e, ERR_INPUT, "%s: tensor %s: scale %zu is negative", t->file, t->name, i);
    t->used = true;
    if (!rc) return values;
    free(values);
    return NULL;
}

static bool is_grid(const struct tensor *t, uint64_t n_row, uint64_t n_col)
{
    return t->n_dim == 2 && t->shape[0] == n_row && t->shape[1] == n_col;
}

// Scales of blocks of 128 rows and columns.
static int bind_block_scale(struct model *m, struct k_matrix *w, struct tensor *t, err *e)
{
    size_t n = (size_t)(t->shape[0] * t->shape[1]);
    float *values = read_scales(t, n, e);
    if (values) w->block = own_floats(m, values, n, e);
    free(values);
    count_bytes(m, 0, n * sizeof *values);
    return w->block ? 0 : -1;
}

// Whether a tensor holds one scale for all ([] or [1]) or one per row ([N] or [N, 1]); how many.
static bool is_row_scale(const struct tensor *t, uint64_t n_row, uint64_t *n)
{
    bool one_long = t->n_dim <= 2; // at most one size differs from 1
    *n = 1;
    for (int i = 0; i < t->n_dim && i < 2; i++) {
        one_long &= *n == 1 || t->shape[i] == 1;
        if (__builtin_mul_overflow(*n, t->shape[i], n)) return false;
    }
    bool rows_last = t->n_dim == 2 && t->shape[0] == 1 && n_row != 1 && *n == n_row; // [1, N]
    return one_long && !rows_last && (*n == 1 || *n == n_row);
}

static int bind_row_scale(struct model *m, struct k_matrix *w, struct tensor *t, uint64_t n, err *e)
{
    uint64_t n_row = (uint64_t)w->n_row;
    float *values = read_scales(t, (size_t)n, e);
    if (!values) return -1;
    values = mem_grow(values, (size_t)n_row * sizeof *values);
    for (uint64_t i = n; i < n_row; i++) values[i] = values[0];
    w->scale = own_floats(m, values, (size_t)n_row, e);
    free(values);
    count_bytes(m, 0, n_row * sizeof *values);
    return w->scale ? 0 : -1;
}

static int bind_scale(struct model *m, struct k_matrix *w, const struct tensor *of,
                      const struct matrix_names *names, err *e)
{
    uint64_t n, n_row = (uint64_t)w->n_row, b = K_E4M3_BLOCK;
    uint64_t down = (n_row + b - 1) / b, across = ((uint64_t)w->n_col + b - 1) / b;
    char shape[128];
    struct tensor *t = weights_find(m->weights, names->scale);
    if (!t) t = weights_find(m->weights, names->scale_inv);
    if (!t)
        return err_set(e, ERR_INPUT, "%s: tensor %s is F8_E4M3 but there is no %s", of->file,
                       of->name, names->scale);
    if (is_row_scale(t, n_row, &n)) return bind_row_scale(m, w, t, n, e);
    if (is_grid(t, down, across)) return bind_block_scale(m, w, t, e);
    return err_set(e, ERR_INPUT,
                   "%s: tensor %s: expected shape [], [1], [%d], [%d, 1] or [%llu, %llu], found %s",
                   t->file, t->name, w->n_row, w->n_row, (unsigned long long)down,
                   (unsigned long long)across, tensor_shape_text(t, shape));
}

static const struct code_check any_code = {0, 0}, no_nan = {0x7f, 0xff}, nvfp4_scale = {0x7f, 0x7f},
                               mxfp4_scale = {0xff, 0xff};

static char *take_store(struct model *m, uint64_t n_bytes)
{
    char *to = m->store + m->store_used;
    m->store_used += (n_bytes + STORE_ALIGN - 1) / STORE_ALIGN * STORE_ALIGN;
    assert(m->store_used <= m->store_bytes);
    return to;
}

static void load_later(struct model *m, const struct tensor *t, char *to,
                       const struct code_check *check)
{
    m->incoming = mem_grow(m->incoming, (m->n_incoming + 1) * sizeof *m->incoming);
    m->incoming[m->n_incoming++] = (struct load_item){t, to, *check};
}

// A tensor's bytes as operations read them. Instances that read host memory take them from the
// mapped file; for the others they are only noted, and come with all the rest (bring_all).
static int place_tensor(struct model *m, const void **out, const struct tensor *t,
                        const struct code_check *check, err *e)
{
    if (m->ops->reads_host) {
        // Also brings the pages in.
        if (code_check_bytes(check, t->data, (size_t)t->n_bytes, t, 0, e)) return -1;
        *out = m->ops->place(m->device, t->data, t->n_bytes);
        return 0;
    }
    char *to = take_store(m, t->n_bytes);
    load_later(m, t, to, check);
    *out = to;
    return 0;
}

// Block scales in rows of n_bytes, as operations want them: *step apart, or 0, with nothing between
// them. Where they are moved for it they are loaded to the end of their place.
struct spread_scales {
    char *to, *from;
    size_t step, n_bytes, n_row;
};

static int place_scales(struct model *m, const void **out, size_t *step, const struct tensor *t,
                        size_t n_bytes, const struct code_check *check, err *e)
{
    size_t align = (size_t)m->ops->block_align, n_row = (size_t)t->n_bytes / n_bytes;
    *step = 0;
    if (n_bytes % align == 0) return place_tensor(m, out, t, check, e);
    *step = (n_bytes + align - 1) / align * align;
    char *to = take_store(m, *step * n_row), *from = to + (*step - n_bytes) * n_row;
    load_later(m, t, from, check);
    m->to_spread = mem_grow(m->to_spread, (m->n_to_spread + 1) * sizeof *m->to_spread);
    m->to_spread[m->n_to_spread++] = (struct spread_scales){to, from, *step, n_bytes, n_row};
    *out = to;
    return 0;
}

// By way of memory that is free again before anything else is allocated.
static int spread_all(struct model *m, err *e)
{
    size_t most = 0;
    for (size_t i = 0; i < m->n_to_spread; i++) {
        size_t n = m->to_spread[i].n_bytes * m->to_spread[i].n_row;
        most = n > most ? n : most;
    }
    void *room = most ? m->ops->alloc(m->device, most) : NULL;
    if (most && !room)
        return err_set(e, ERR_SYSTEM, "no memory for %zu bytes of scales while loading", most);
    for (size_t i = 0; i < m->n_to_spread; i++) {
        const struct spread_scales *s = &m->to_spread[i];
        m->ops->spread(m->device, room, s->n_bytes, s->from, s->n_bytes, s->n_row);
        m->ops->spread(m->device, s->to, s->step, room, s->n_bytes, s->n_row);
    }
    m->ops->release(m->device, room);
    return 0;
}

// One allocation for all that place_tensor will be asked for.
static int make_store(struct model *m, err *e)
{
    const struct tensor *t;
    if (m->ops->reads_host) return 0;
    for (size_t i = 0; (t = weights_at(m->weights, i)); i++)
        m->store_bytes += (tensor_bytes_apart(t, (uint64_t)m->ops->block_align) + STORE_ALIGN - 1) /
                          STORE_ALIGN * STORE_ALIGN;
    m->store_bytes += STORE_ALIGN; // what may be read behind the last
    m->store = own_alloc(m, (size_t)m->store_bytes, e);
    return m->store ? 0 : -1;
}

// Once its bytes are there.
static void arrange_later(struct model *m, const struct k_matrix *w)
{
    if (m->ops->reads_host) {
        m->ops->arrange(m->device, w);
        return;
    }
    m->to_arrange = mem_grow(m->to_arrange, (m->n_to_arrange + 1) * sizeof *m->to_arrange);
    m->to_arrange[m->n_to_arrange++] = w;
}

static int bring_all(struct model *m, const struct load_watch *watch, err *e)
{
    int rc = 0;
    if (m->n_incoming)
        rc = load_tensors(m->ops, m->device, m->incoming, m->n_incoming, watch, &m->loaded, e);
    if (!rc) rc = spread_all(m, e);
    for (size_t i = 0; !rc && i < m->n_to_arrange; i++)
        m->ops->arrange(m->device, m->to_arrange[i]);
    free(m->to_spread);
    free(m->to_arrange);
    free(m->incoming);
    m->to_spread = NULL, m->n_to_spread = 0;
    m->to_arrange = NULL, m->n_to_arrange = 0;
    m->incoming = NULL, m->n_incoming = 0;
    return rc;
}

// The one factor of an NVFP4 matrix, for each row: the operations know no other.
static int bind_global_scale(struct model *m, struct k_matrix *w, const struct matrix_names *names,
                             bool is_packed, err *e)
{
    const char *name = is_packed ? names->global : names->scale_2;
    struct tensor *t = weights_find(m->weights, name);
    uint64_t n;
    char shape[128];
    if (!t) return err_set(e, ERR_INPUT, "tensor %s is missing from the safetensors files", name);
    if (!is_row_scale(t, 1, &n) || n != 1)
        return err_set(e, ERR_INPUT, "%s: tensor %s: expected shape [] or [1], found %s", t->file,
                       name, tensor_shape_text(t, shape));
    float *value = read_scales(t, 1, e);
    if (!value) return -1;
    float factor = is_packed ? 1 / *value : *value;
    free(value);
    if (!isfinite(factor))
        return err_set(e, ERR_INPUT, "%s: tensor %s: expected more than 0", t->file, name);
    float *values = mem_new((size_t)w->n_row * sizeof *values);
    for (int i = 0; i < w->n_row; i++) values[i] = factor;
    w->scale = own_floats(m, values, (size_t)w->n_row, e);
    free(values);
    count_bytes(m, 0, (uint64_t)w->n_row * sizeof *values);
    return w->scale ? 0 : -1;
}

// A matrix of e2m1 codes, two in a byte, and its scales.
static int bind_fp4(struct model *m, struct k_matrix *w, struct tensor *t, int n_row, int n_col,
                    const struct matrix_names *names, bool is_packed, err *e)
{
    char shape[128];
    struct tensor *s = weights_find(m->weights, names->scale);
    if (!s)
        return err_set(e, ERR_INPUT, "%s: tensor %s is U8 but there is no %s", t->file, t->name,
                       names->scale);
    bool is_nv = s->type == TENSOR_F8_E4M3;
    int block = is_nv ? K_NVFP4_BLOCK : K_MXFP4_BLOCK;
    if (!is_nv && s->type != TENSOR_U8)
        return err_set(e, ERR_INPUT, "%s: tensor %s: expected F8_E4M3 or U8, found %s", s->file,
                       s->name, s->type_name);
    if (n_col % block || !is_grid(t, (uint64_t)n_row, (uint64_t)n_col / 2))
        return err_set(e, ERR_INPUT,
                       "%s: tensor %s: expected shape [%d, %d] by config.json, in blocks of %d "
                       "columns, found %s",
                       t->file, t->name, n_row, n_col / 2, block, tensor_shape_text(t, shape));
    if (!is_grid(s, (uint64_t)n_row, (uint64_t)(n_col / block)))
        return err_set(e, ERR_INPUT, "%s: tensor %s: expected shape [%d, %d], found %s", s->file,
                       s->name, n_row, n_col / block, tensor_shape_text(s, shape));
    *w = (struct k_matrix){.type = is_nv ? K_NVFP4 : K_MXFP4, .n_row = n_row, .n_col = n_col};
    t->used = s->used = true;
    // A checkpoint may mix matrices that are meant to meet FP4 with others: the first have a scale.
    w->short_x = is_nv && m->config.nvfp4_x &&
                 weights_find(m->weights, is_packed ? names->x_global : names->x_scale);
    if ((is_nv && bind_global_scale(m, w, names, is_packed, e)) ||
        place_scales(m, &w->block, &w->block_step, s, (size_t)(n_col / block),
                     is_nv ? &nvfp4_scale : &mxfp4_scale, e) ||
        place_tensor(m, &w->data, t, &any_code, e))
        return -1;
    arrange_later(m, w);
    count_bytes(m, (uint64_t)n_row * (uint64_t)n_col, t->n_bytes + s->n_bytes);
    return 0;
}

static int bind_matrix(struct model *m, struct k_matrix *w, const char *name, int n_row, int n_col,
                       err *e)
{
    static const enum k_type k_types[] = {[TENSOR_F32] = K_F32,
                                          [TENSOR_F16] = K_F16,
                                          [TENSOR_BF16] = K_BF16,
                                          [TENSOR_F8_E4M3] = K_E4M3};
    struct matrix_names names = names_of(name);
    struct tensor *t = weights_find(m->weights, name);
    struct tensor *packed = weights_find(m->weights, names.packed);
    if (!t && packed && packed->type == TENSOR_U8)
        return bind_fp4(m, w, packed, n_row, n_col, &names, true, e);
    if (t && t->type == TENSOR_U8) return bind_fp4(m, w, t, n_row, n_col, &names, false, e);
    if (!(t = take_tensor(m, name, n_row, n_col, e))) return -1;
    if (t->type == TENSOR_OTHER)
        return err_set(e, ERR_INPUT,
                       "%s: tensor %s: expected F32, F16, BF16, F8_E4M3 or U8, found %s", t->file,
                       name, t->type_name);
    *w = (struct k_matrix){.type = k_types[t->type], .n_row = n_row, .n_col = n_col};
    bool is_e4m3 = t->type == TENSOR_F8_E4M3;
    if (is_e4m3 && bind_scale(m, w, t, &names, e)) return -1;
    w->short_x = w->type == K_E4M3 && m->config.fp8_x;
    if (place_tensor(m, &w->data, t, is_e4m3 ? &no_nan : &any_code, e)) return -1;
    count_bytes(m, (uint64_t)n_row * (uint64_t)n_col, t->n_bytes);
    return 0;
}

// Synthetic tensors: a random sign and fraction, an exponent that puts the size in [0.5, 1), and a
// scale that keeps activations near 1.

// Block scales of 1, where the type has them.
static int fill_blocks(struct model *m, void **block, size_t *block_step, int n_row, int n_col,
                       enum k_type type, err *e)
{
    static const uint64_t one[K_N_TYPE] = {
        [K_NVFP4] = 0x3838383838383838, [K_MXFP4] = 0x7f7f7f7f7f7f7f7f};
    *block = NULL;
    *block_step = 0;
    if (!one[type]) return 0;
    struct k_matrix w = {.type = type, .n_row = n_row, .n_col = n_col, .block = block};
    size_t align = (size_t)m->ops->block_align, step = k_block_step(&w);
    if (step % align) w.block_step = *block_step = (step + align - 1) / align * align;
    if (!(*block = own_alloc(m, k_block_bytes(&w), e))) return -1;
    m->ops->fill(m->device, *block, k_block_bytes(&w), 0, 0, one[type]);
    count_bytes(m, 0, k_block_bytes(&w));
    return 0;
}

static int fill_matrix(struct model *m, struct k_matrix *w, int n_row, int n_col, enum k_type type,
                       rng *r, err *e)
{
    static const struct {
        uint64_t keep, set;
    } bits[K_N_TYPE] = {
        [K_F32] = {0x807fffff807fffff, 0x3f0000003f000000},
        [K_F16] = {0x83ff83ff83ff83ff, 0x3800380038003800},
        [K_BF16] = {0x807f807f807f807f, 0x3f003f003f003f00},
        [K_E4M3] = {0x8787878787878787, 0x3030303030303030},
        [K_NVFP4] = {0x9999999999999999, 0x1111111111111111}, // +-0.5 or 1
        [K_MXFP4] = {0x9999999999999999, 0x1111111111111111},
    };
    size_t n_bytes = (size_t)n_row * k_row_bytes(type, n_col);
    char *data = own_alloc(m, n_bytes + K_BEHIND, e);
    if (!data) return -1;
    m->ops->fill(m->device, data, n_bytes, rng_u64(r), bits[type].keep, bits[type].set);
    void *block;
    size_t block_step;
    if (fill_blocks(m, &block, &block_step, n_row, n_col, type, e)) return -1;
    float *scale = mem_new((size_t)n_row * sizeof *scale);
    for (int i = 0; i < n_row; i++) scale[i] = 1 / sqrtf((float)n_col);
    *w = (struct k_matrix){.type = type,
                           .n_row = n_row,
                           .n_col = n_col,
                           .data = data,
                           .block = block,
                           .block_step = block_step,
                           .scale = own_floats(m, scale, (size_t)n_row, e),
                           .short_x = (type == K_E4M3 && m->config.fp8_x) ||
                                      (type == K_NVFP4 && m->config.nvfp4_x)};
    free(scale);
    m->ops->arrange(m->device, w);
    count_bytes(m, (uint64_t)n_row * (uint64_t)n_col, n_bytes + (size_t)n_row * sizeof *scale);
    return w->scale ? 0 : -1;
}

static int fill_vector(struct model *m, float **out, int n, float value, err *e)
{
    float *values = mem_new((size_t)n * sizeof *values);
    for (int i = 0; i < n; i++) values[i] = value;
    *out = own_floats(m, values, (size_t)n, e);
    free(values);
    count_bytes(m, (uint64_t)n, (uint64_t)n * sizeof *values);
    return *out ? 0 : -1;
}

// Walking the slots, for both kinds

struct source {
    enum k_type type; // synthetic: of the layers' matrices
    enum k_type embedding, head;
    rng *random; // NULL: from the checkpoint
};

// Where there is a checkpoint, it says the type.
static int bind_slot(struct model *m, const struct slot *s, void *base, const char *name,
                     enum k_type type, const struct source *from, err *e)
{
    void *place = (char *)base + s->at;
    int n_row = size_of(&m->config, s->n_row), n_col = size_of(&m->config, s->n_col);
    bool is_vector = s->n_col == SIZE_NONE;
    if (!is_needed(&m->config, s->when)) return 0;
    if (!from->random)
        return is_vector ? bind_vector(m, place, name, n_row, e)
                         : bind_matrix(m, place, name, n_row, n_col, e);
    if (is_vector) return fill_vector(m, place, n_row, strstr(name, "bias") ? 0 : 1, e);
    return fill_matrix(m, place, n_row, n_col, type, from->random, e);
}

static int bind_single_experts(struct model *m, int l, const struct source *from, err *e)
{
    struct layer *y = &m->layers[l];
    for (size_t i = 0; i < COUNT(expert_slots); i++) {
        struct k_matrix *list = *(struct k_matrix **)((char *)y + expert_slots[i].at);
        struct slot s = expert_slots[i];
        s.at = 0;
        for (int k = 0; k < m->config.n_expert; k++) {
            char name[128];
            snprintf(name, sizeof name, "model.layers.%d.mlp.experts.%d.%s", l, k, s.name);
            if (bind_slot(m, &s, &list[k], name, from->type, from, e)) return -1;
        }
    }
    return 0;
}

// Stacked experts

// One tensor of n_expert matrices: the first of them.
static int bind_stack(struct model *m, struct k_matrix *first, int l, const char *projection,
                      int n_row, int n_col, err *e)
{
    char name[2][128], want[128], found[128];
    uint64_t n_block = (uint64_t)(n_col / K_MXFP4_BLOCK);
    struct tensor *t[2], shapes[2] = {{.n_dim = 4}, {.n_dim = 3}};
    if (n_col % K_MXFP4_BLOCK)
        return err_set(e, ERR_INPUT,
                       "model.layers.%d.mlp.experts.%s: %d columns by config.json are no whole "
                       "blocks of %d",
                       l, projection, n_col, K_MXFP4_BLOCK);
    for (int i = 0; i < 2; i++) {
        const uint64_t shape[] = {(uint64_t)m->config.n_expert, (uint64_t)n_row, n_block,
                                  K_MXFP4_BLOCK / 2};
        memcpy(shapes[i].shape, shape, sizeof shape);
        snprintf(name[i], sizeof name[i], "model.layers.%d.mlp.experts.%s_%s", l, projection,
                 i ? "scales" : "blocks");
        t[i] = weights_find(m->weights, name[i]);
        tensor_shape_text(&shapes[i], want);
        if (!t[i])
            return err_set(e, ERR_INPUT, "tensor %s %s is missing from the safetensors files",
                           name[i], want);
        bool same = t[i]->n_dim == shapes[i].n_dim;
        for (int k = 0; same && k < t[i]->n_dim; k++) same = t[i]->shape[k] == shape[k];
        if (!same || t[i]->type != TENSOR_U8)
            return err_set(
                e, ERR_INPUT, "%s: tensor %s: expected U8 of shape %s by config.json, found %s %s",
                t[i]->file, name[i], want, t[i]->type_name, tensor_shape_text(t[i], found));
        t[i]->used = true;
    }
    *first = (struct k_matrix){.type = K_MXFP4, .n_row = n_row, .n_col = n_col};
    count_bytes(m, t[0]->n_bytes * 2, t[0]->n_bytes + t[1]->n_bytes);
    return place_scales(m, &first->block, &first->block_step, t[1], n_block, &mxfp4_scale, e) ||
                   place_tensor(m, &first->data, t[0], &any_code, e)
               ? -1
               : 0;
}

// The same of random numbers. Scales of blocks are what a row's would be, to the next power.
static int fill_stack(struct model *m, struct k_matrix *first, int n_row, int n_col,
                      const struct source *from, err *e)
{
    int power = ilogbf(sqrtf((float)n_col));
    if (fill_matrix(m, first, m->config.n_expert * n_row, n_col, K_MXFP4, from->random, e))
        return -1;
    uint64_t set = 0x0101010101010101 * (uint64_t)(127 - power);
    m->ops->fill(m->device, (void *)first->block, k_block_bytes(first), 0, 0, set);
    first->n_row = n_row;
    first->scale = NULL;
    return 0;
}

// Rows `at`, at + each, ... of expert k of a stack of matrices.
static struct k_matrix of_stack(const struct k_matrix *first, int k, int at, int each)
{
    struct k_matrix w = *first;
    size_t row = (size_t)k * (size_t)w.n_row + (size_t)at;
    w.data = (const char *)w.data + row * k_data_step(first);
    w.block = (const char *)w.block + row * k_block_step(first);
    w.n_row /= each;
    w.data_step = (size_t)each * k_data_step(first);
    w.block_step = (size_t)each * k_block_step(first);
    return w;
}

// The biases of all experts [n_expert, n_row], of rows `at`, at + each, ... of each.
static int bind_stacked_bias(struct model *m, const float **out, const float *values, int n_row,
                             int at, int each, err *e)
{
    size_t n = (size_t)m->config.n_expert * (size_t)(n_row / each);
    float *some = mem_new(n * sizeof *some);
    for (size_t i = 0; i < n; i++) some[i] = values[i * (size_t)each + (size_t)at];
    *out = own_floats(m, some, n, e);
    free(some);
    return *out ? 0 : -1;
}

static float *read_stacked_bias(struct model *m, int l, const char *projection, int n_row,
                                const struct source *from, err *e)
{
    char name[128];
    int n_expert = m->config.n_expert;
    size_t n = (size_t)n_expert * (size_t)n_row;
    float *values = mem_new(n * sizeof *values);
    count_bytes(m, n, n * sizeof *values);
    if (from->random) return values;
    snprintf(name, sizeof name, "model.layers.%d.mlp.experts.%s_bias", l, projection);
    struct tensor *t = take_tensor(m, name, n_expert, n_row, e);
    if (t && !read_floats(t, values, n, e)) return values;
    free(values);
    return NULL;
}

static int bind_stacked_experts(struct model *m, int l, const struct source *from, err *e)
{
    static const char *const names[] = {"gate_up_proj", "down_proj"};
    const struct config *c = &m->config;
    struct layer *y = &m->layers[l];
    struct k_experts *x = &y->experts;
    const int n_row[] = {2 * c->ffn_dim, c->dim}, n_col[] = {c->dim, c->ffn_dim};
    for (int i = 0; i < 2; i++) {
        struct k_matrix stack;
        if (from->random ? fill_stack(m, &stack, n_row[i], n_col[i], from, e)
                         : bind_stack(m, &stack, l, names[i], n_row[i], n_col[i], e))
            return -1;
        for (int k = 0; k < c->n_expert; k++)
            if (i)
                y->e_down[k] = of_stack(&stack, k, 0, 1);
            else
                y->e_gate[k] = of_stack(&stack, k, 0, 2), y->e_up[k] = of_stack(&stack, k, 1, 2);
        float *bias = read_stacked_bias(m, l, names[i], n_row[i], from, e);
        int rc = !bias ? -1
                 : i   ? bind_stacked_bias(m, &x->down_bias, bias, n_row[i], 0, 1, e)
                 : bind_stacked_bias(m, &x->gate_bias, bias, n_row[i], 0, 2, e) ||
                         bind_stacked_bias(m, &x->up_bias, bias, n_row[i], 1, 2, e)
                     ? -1
                     : 0;
        free(bias);
        if (rc) return -1;
    }
    for (int k = 0; !from->random && k < c->n_expert; k++) {
        arrange_later(m, &y->e_gate[k]);
        arrange_later(m, &y->e_up[k]);
        arrange_later(m, &y->e_down[k]);
    }
    return 0;
}

static int bind_experts(struct model *m, int l, const struct source *from, err *e)
{
    struct layer *y = &m->layers[l];
    const struct config *c = &m->config;
    struct k_matrix **const lists[] = {&y->e_gate, &y->e_up, &y->e_down};
    for (size_t i = 0; i < COUNT(lists); i++)
        *lists[i] = mem_new((size_t)c->n_expert * sizeof **lists[i]);
    // Of random numbers only MXFP4 is stacked.
    bool stacked = c->stacked_experts && (!from->random || from->type == K_MXFP4);
    if ((stacked ? bind_stacked_experts : bind_single_experts)(m, l, from, e)) return -1;
    struct k_experts *x = &y->experts;
    x->router = &y->router;
    x->router_bias = y->router_bias;
    x->gate = y->e_gate, x->up = y->e_up, x->down = y->e_down;
    x->gating = c->gating.slope > 0 ? &c->gating : NULL;
    x->n_expert = c->n_expert, x->n_used = c->n_expert_used;
    x->normalise = c->normalise_experts;
    if (m->ops->list_experts(m->device, x, &x->list))
        return err_set(e, ERR_SYSTEM, "no device memory for the list of a layer's experts");
    own(m, x->list);
    return 0;
}

static int bind_all(struct model *m, const struct source *from, err *e)
{
    for (size_t i = 0; i < COUNT(model_slots); i++)
        if (bind_slot(m, &model_slots[i], m, model_slots[i].name,
                      model_slots[i].at == offsetof(struct model, head) ? from->head
                                                                        : from->embedding,
                      from, e))
            return -1;
    m->layers = mem_new((size_t)m->config.n_layer * sizeof *m->layers);
    for (int l = 0; l < m->config.n_layer; l++) {
        for (size_t i = 0; i < COUNT(layer_slots); i++) {
            char name[128];
            snprintf(name, sizeof name, "model.layers.%d.%s", l, layer_slots[i].name);
            // As checkpoints have it: routers are never quantised, and beside stacked experts
            // nothing is.
            bool is_bf16 = layer_slots[i].n_row == SIZE_EXPERTS || m->config.stacked_experts;
            if (bind_slot(m, &layer_slots[i], &m->layers[l], name, is_bf16 ? K_BF16 : from->type,
                          from, e))
                return -1;
        }
        if (m->config.n_expert && bind_experts(m, l, from, e)) return -1;
    }
    if (m->config.tied) m->head = m->embedding;
    return 0;
}

static bool is_harmless(const struct model *m, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < COUNT(harmless); i++) {
        size_t k = strlen(harmless[i].ending);
        if (n >= k && !strcmp(name + n - k, harmless[i].ending) &&
            (!harmless[i].only_tied || m->config.tied))
            return true;
    }
    return false;
}

static int check_leftover(struct model *m, err *e)
{
    const struct tensor *t;
    for (size_t i = 0; (t = weights_at(m->weights, i)); i++)
        if (!t->used && !is_harmless(m, t->name))
            return err_set(e, ERR_INPUT,
                           "%s: tensor %.200s is not part of %s as config.json describes it",
                           t->file, t->name, m->config.architecture);
    return 0;
}

// Without what lies between rows.
static uint64_t matrix_bytes(const struct k_matrix *w)
{
    struct k_matrix near = *w;
    near.block_step = 0;
    return (uint64_t)w->n_row * (k_row_bytes(w->type, w->n_col) + (w->scale ? sizeof(float) : 0)) +
           k_block_bytes(&near);
}

// What one decode step reads, and which type most of the bytes have. Of the experts of a layer,
// which are alike, as many are read as a token uses.
static void sum_up(struct model *m)
{
    uint64_t of_type[K_N_TYPE] = {0};
    for (int l = 0; l < m->config.n_layer; l++) {
        const struct layer *y = &m->layers[l];
        for (size_t i = 0; i < COUNT(layer_slots); i++) {
            if (layer_slots[i].n_col == SIZE_NONE || !is_needed(&m->config, layer_slots[i].when))
                continue;
            const struct k_matrix *w = (void *)((char *)&m->layers[l] + layer_slots[i].at);
            of_type[w->type] += matrix_bytes(w);
        }
        for (int k = 0; k < m->config.n_expert_used; k++) {
            const struct k_matrix *of_one[] = {&y->e_gate[k], &y->e_up[k], &y->e_down[k]};
            for (int i = 0; i < 3; i++) of_type[of_one[i]->type] += matrix_bytes(of_one[i]);
        }
    }
    of_type[m->head.type] += matrix_bytes(&m->head);
    for (int i = 0; i < K_N_TYPE; i++) {
        m->weight_bytes_per_token += of_type[i];
        if (of_type[i] > of_type[m->weight_type]) m->weight_type = (enum k_type)i;
    }
}

// config.json decides what the tensors mean, so it is part of the name.
static int make_digest(struct model *m, const char *dir, err *e)
{
    size_t n;
    char *path = path_join(dir, "config.json");
    char *text = file_read(path, 1 << 20, &n, e);
    free(path);
    if (!text) return -1;
    sha256 s = sha256_start();
    sha256_add(&s, text, n);
    sha256_add(&s, weights_digest(m->weights), 64);
    sha256_hex(&s, m->digest);
    free(text);
    return 0;
}

static int make_plan(const struct model *m, const struct model_need *need, struct memory_plan *plan,
                     err *e)
{
    int limit = m->config.ctx_max;
    if (need->ctx_max > limit)
        return err_set(e, ERR_USAGE,
                       "context: %d tokens, but config.json: max_position_embeddings is %d",
                       need->ctx_max, limit);
    int ctx = need->ctx_max ? need->ctx_max : limit < need->ctx_default ? limit : need->ctx_default;
    *plan = memory_plan_make(&m->config, m->weights, m->ops, m->kv_type, m->device, ctx,
                             need->n_session);
    return memory_plan_check(plan, e);
}

struct model *model_open_planned(const char *dir, const struct k_ops *ops, int n_thread,
                                 const struct model_need *need, struct memory_plan *plan, err *e)
{
    struct model *m = mem_new(sizeof *m);
    const struct source checkpoint = {.random = NULL};
    m->ops = ops;
    if (k_kv_type(ops, need ? need->kv : NULL, &m->kv_type, e) || config_load(&m->config, dir, e) ||
        !(m->weights = weights_open(dir, e)) || make_digest(m, dir, e) ||
        !(m->device = ops->open(n_thread, e)) || (need && make_plan(m, need, plan, e)) ||
        make_store(m, e) || bind_all(m, &checkpoint, e) || check_leftover(m, e) ||
        bring_all(m, need ? &need->watch : NULL, e)) {
        if (!strstr(e->msg, dir)) err_wrap(e, "%s", dir);
        model_close(m);
        return NULL;
    }
    sum_up(m);
    return m;
}

struct model *model_open(const char *dir, const struct k_ops *ops, int n_thread, err *e)
{
    return model_open_planned(dir, ops, n_thread, NULL, NULL, e);
}

struct model *model_synthetic(const struct config *c, enum k_type type, enum k_type head,
                              const struct k_ops *ops, int n_thread, uint64_t seed, err *e)
{
    struct model *m = mem_new(sizeof *m);
    rng r = rng_seed(seed);
    const struct source random = {
        .type = type, .embedding = c->tied ? head : K_BF16, .head = head, .random = &r};
    m->ops = ops;
    m->kv_type = ops->kv_type;
    m->config = *c;
    assert(c->rope_scale > 0);
    if (!(m->device = ops->open(n_thread, e)) || bind_all(m, &random, e)) {
        model_close(m);
        return NULL;
    }
    sum_up(m);
    return m;
}

void model_close(struct model *m)
{
    if (!m) return;
    for (size_t i = 0; i < m->n_owned; i++) m->ops->release(m->device, m->owned[i]);
    free(m->owned);
    free(m->incoming);
    free(m->to_arrange);
    free(m->to_spread);
    for (int l = 0; m->layers && l < m->config.n_layer; l++) {
        free(m->layers[l].e_gate);
        free(m->layers[l].e_up);
        free(m->layers[l].e_down);
    }
    free(m->layers);
    if (m->device) m->ops->close(m->device);
    weights_close(m->weights);
    free(m);
}
