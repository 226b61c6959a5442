// The oracle: every operation as its formula, one scalar loop, sums in double. Nothing here is
// clever, so that it can be checked by reading; it is what cpu (and any later instance) is compared
// with, and a backend in its own right for finding out whose fault a wrong answer is.
//
// A weight row is unpacked to double once and used for all tokens of the call: the only concession
// to time, and it changes no result.
#include "kernels/kernels.h"

#include "base/mem.h"
#include "kernels/composed.h"
#include "kernels/number.h"
#include "kernels/sample.h"

#include <assert.h>
#include <stdlib.h>

struct k_device {
    double *row; // [row_cap] one weight row
    int row_cap;
    float e4m3[256]; // the value of each code
};

static k_device *ref_open(int n_thread, err *e)
{
    (void)n_thread, (void)e;
    k_device *d = mem_new(sizeof *d);
    for (int i = 0; i < 256; i++) d->e4m3[i] = e4m3_to_f32((uint8_t)i);
    return d;
}

static void ref_close(k_device *d)
{
    if (d) free(d->row);
    free(d);
}

static const char *ref_describe(const k_device *d)
{
    (void)d;
    return "ref";
}

static int ref_n_thread(const k_device *d)
{
    (void)d;
    return 1;
}

static void *ref_alloc(k_device *d, size_t n_bytes)
{
    (void)d;
    return mem_try(n_bytes);
}

static void ref_release(k_device *d, void *p)
{
    (void)d;
    free(p);
}

static void ref_copy(k_device *d, void *to, const void *from, size_t n_bytes)
{
    (void)d;
    memcpy(to, from, n_bytes);
}

static const void *ref_place(k_device *d, const void *host, size_t n_bytes)
{
    (void)d, (void)n_bytes;
    return host;
}

static int ref_reserve(k_device *d, int n_token, int n_col, err *e)
{
    (void)n_token;
    if (n_col <= d->row_cap) return 0;
    double *row = mem_try(sizeof *row * (size_t)n_col);
    if (!row) return err_set(e, ERR_SYSTEM, "no memory for a weight row of %d columns", n_col);
    free(d->row);
    d->row = row;
    d->row_cap = n_col;
    return 0;
}

static float weight_at(const k_device *d, const struct k_matrix *w, size_t row, size_t col)
{
    size_t n_col = (size_t)w->n_col, i = row * n_col + col;
    const uint8_t *bytes = w->data, *block = w->block;
    bool is_fp4 = w->type == K_NVFP4 || w->type == K_MXFP4;
    uint8_t code = is_fp4 ? bytes[row * k_data_step(w) + col / 2] >> col % 2 * 4 & 15 : 0;
    switch (w->type) {
    case K_F32: return ((const float *)w->data)[i];
    case K_F16: return f16_to_f32(((const uint16_t *)w->data)[i]);
    case K_BF16: return bf16_to_f32(((const uint16_t *)w->data)[i]);
    case K_NVFP4:
        return e2m1_to_f32(code) * d->e4m3[block[row * k_block_step(w) + col / K_NVFP4_BLOCK]];
    case K_MXFP4:
        return e2m1_to_f32(code) * e8m0_to_f32(block[row * k_block_step(w) + col / K_MXFP4_BLOCK]);
    case K_E4M3: break;
    default: assert(!"a weight type without a reference"); return 0;
    }
    if (!block) return d->e4m3[bytes[i]];
    size_t n_block = (n_col + K_E4M3_BLOCK - 1) / K_E4M3_BLOCK;
    return d->e4m3[bytes[i]] *
           ((const float *)w->block)[row / K_E4M3_BLOCK * n_block + col / K_E4M3_BLOCK];
}

static void ref_embed(k_device *d, float *out, const struct k_matrix *table, const int32_t *tokens,
                      int n_token)
{
    size_t dim = (size_t)table->n_col;
    for (size_t t = 0; t < (size_t)n_token; t++) {
        size_t row = (size_t)tokens[t];
        float scale = table->scale ? table->scale[row] : 1.0f;
        for (size_t i = 0; i < dim; i++) out[t * dim + i] = weight_at(d, table, row, i) * scale;
    }
}

static void ref_rms_norm(k_device *d, float *out, const float *x, const float *gain, int n_row,
                         int dim, float eps)
{
    (void)d;
    for (int r = 0; r < n_row; r++, x += dim, out += dim) {
        double sum = 0;
        for (int i = 0; i < dim; i++) sum += (double)x[i] * x[i];
        double inverse = 1 / sqrt(sum / dim + (double)eps);
        for (int i = 0; i < dim; i++) out[i] = (float)(x[i] * inverse * gain[i]);
    }
}

// Four partial sums: the additions of one sum wait for each other, those of four do not.
static double dot(const double *w, const float *x, size_t n)
{
    double sum[4] = {0}, rest = 0;
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (size_t j = 0; j < 4; j++) sum[j] += w[i + j] * x[i + j];
    for (; i < n; i++) rest += w[i] * x[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]) + rest;
}

static void ref_matmul(k_device *d, const float *x, int n_token, const struct k_product *p,
                       int n_product)
{
    for (int i = 0; i < n_product; i++, p++) {
        size_t n_row = (size_t)p->w->n_row, n_col = (size_t)p->w->n_col;
        assert(p->w->n_col <= d->row_cap);
        for (size_t r = 0; r < n_row; r++) {
            for (size_t c = 0; c < n_col; c++) d->row[c] = (double)weight_at(d, p->w, r, c);
            double scale = p->w->scale ? (double)p->w->scale[r] : 1;
            for (size_t t = 0; t < (size_t)n_token; t++) {
                float *out = p->out + t * n_row + r;
                double y = dot(d->row, x + t * n_col, n_col) * scale;
                if (p->bias) y += (double)p->bias[r];
                *out = (float)(p->add ? *out + y : y);
            }
        }
    }
}

static void ref_rope_table(k_device *d, float *out, const double *inv_freq, int n_half, float scale,
                           const int32_t *pos, int n_token)
{
    (void)d;
    for (int t = 0; t < n_token; t++, out += 2 * n_half)
        for (int i = 0; i < n_half; i++) {
            double angle = (double)(*pos + t) * inv_freq[i];
            out[i] = (float)(cos(angle) * (double)scale);
            out[n_half + i] = (float)(sin(angle) * (double)scale);
        }
}

static void ref_rope(k_device *d, float *x, const float *table, int n_token, int n_head,
                     int head_dim)
{
    (void)d;
    int half = head_dim / 2;
    for (int t = 0; t < n_token; t++, table += head_dim)
        for (int h = 0; h < n_head; h++, x += head_dim)
            for (int i = 0; i < half; i++) {
                double a = (double)x[i], b = (double)x[half + i];
                double c = (double)table[i], s = (double)table[half + i];
                x[i] = (float)(a * c - b * s);
                x[half + i] = (float)(b * c + a * s);
            }
}

enum { CODE_NAN = 0x7f, SCALE_ONE = 127, SCALE_MIN = 1 };

// A row of a K_E4M3 cache; returns its scale.
static uint8_t store_codes(uint8_t *codes, const float *x, size_t n)
{
    double largest = 0;
    bool is_finite = true;
    int scale = SCALE_MIN;
    for (size_t i = 0; i < n; i++) {
        largest = fmax(largest, fabs((double)x[i]));
        is_finite &= isfinite(x[i]) != 0;
    }
    if (!is_finite) {
        memset(codes, CODE_NAN, n);
        return SCALE_ONE;
    }
    while (ldexp((double)E4M3_LARGEST, scale - SCALE_ONE) < largest) scale++;
    for (size_t i = 0; i < n; i++) codes[i] = f32_to_e4m3(ldexpf(x[i], SCALE_ONE - scale));
    return (uint8_t)scale;
}

static void store_bf16(uint16_t *to, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) to[i] = f32_to_bf16(x[i]);
}

static size_t scale_place(const struct k_cache *c, size_t head, size_t pos)
{
    return k_scale_bytes(c) / (size_t)c->n_kv_head * head + pos;
}

static void ref_kv_store(k_device *d, const struct k_cache *c, const float *k, const float *v,
                         const int32_t *pos, int n_token)
{
    (void)d;
    size_t dim = (size_t)c->head_dim;
    for (size_t t = 0; t < (size_t)n_token; t++)
        for (size_t h = 0; h < (size_t)c->n_kv_head; h++) {
            size_t at = (size_t)*pos + t, to = (h * (size_t)c->ctx_max + at) * dim;
            size_t from = (t * (size_t)c->n_kv_head + h) * dim, scale = scale_place(c, h, at);
            if (c->type == K_E4M3) {
                c->k_scale[scale] = store_codes((uint8_t *)c->k + to, k + from, dim);
                c->v_scale[scale] = store_codes((uint8_t *)c->v + to, v + from, dim);
            } else if (c->type == K_BF16) {
                store_bf16((uint16_t *)c->k + to, k + from, dim);
                store_bf16((uint16_t *)c->v + to, v + from, dim);
            } else {
                memcpy((float *)c->k + to, k + from, dim * sizeof *k);
                memcpy((float *)c->v + to, v + from, dim * sizeof *v);
            }
        }
}

// The rows of one head's keys, or values.
struct rows {
    const k_device *d;
    enum k_type type;
    const void *data;
    const uint8_t *scale; // K_E4M3
    size_t dim;
};

static struct rows rows_of(const k_device *d, const struct k_cache *c, bool values, size_t head)
{
    const uint8_t *scale = values ? c->v_scale : c->k_scale;
    size_t at = head * (size_t)c->ctx_max * k_row_bytes(c->type, c->head_dim);
    return (struct rows){.d = d,
                         .type = c->type,
                         .data = (const char *)(values ? c->v : c->k) + at,
                         .scale = c->type == K_E4M3 ? scale + scale_place(c, head, 0) : NULL,
                         .dim = (size_t)c->head_dim};
}

// Row j, or its values in `room`.
static const float *row_at(const struct rows *r, int j, float room[K_HEAD_DIM_MAX])
{
    size_t at = (size_t)j * r->dim;
    if (r->type == K_F32) return (const float *)r->data + at;
    for (size_t i = 0; i < r->dim; i++)
        room[i] = r->type == K_BF16 ? bf16_to_f32(((const uint16_t *)r->data)[at + i])
                                    : ldexpf(r->d->e4m3[((const uint8_t *)r->data)[at + i]],
                                             r->scale[j] - SCALE_ONE);
    return room;
}

static double score(const float *q, const float *k, int head_dim)
{
    double sum = 0;
    for (int i = 0; i < head_dim; i++) sum += (double)q[i] * k[i];
    return sum / sqrt(head_dim);
}

// One query against the keys from `first` on that it may see, up to `end`, and a sink (-infinity:
// none). Scores are computed twice, first for their largest, so that no buffer of the context's
// length is needed.
static void attend(float *out, const float *q, const struct rows *k, const struct rows *v,
                   int head_dim, int first, int end, double sink)
{
    float room[K_HEAD_DIM_MAX];
    double sum = 0, largest = sink, acc[K_HEAD_DIM_MAX] = {0};
    for (int j = first; j < end; j++)
        largest = fmax(largest, score(q, row_at(k, j, room), head_dim));
    for (int j = first; j < end; j++) {
        double p = exp(score(q, row_at(k, j, room), head_dim) - largest);
        const float *value = row_at(v, j, room);
        for (int i = 0; i < head_dim; i++) acc[i] += p * (double)value[i];
        sum += p;
    }
    sum += exp(sink - largest);
    for (int i = 0; i < head_dim; i++) out[i] = (float)(acc[i] / sum);
}

static void ref_attention(k_device *d, float *out, const struct k_attend *at, int n_token)
{
    const struct k_cache *c = at->cache;
    const float *q = at->q;
    int group = at->n_head / c->n_kv_head;
    for (int t = 0; t < n_token; t++)
        for (int h = 0; h < at->n_head; h++, q += c->head_dim, out += c->head_dim) {
            struct rows k = rows_of(d, c, false, (size_t)(h / group)),
                        v = rows_of(d, c, true, (size_t)(h / group));
            int end = *at->pos + t + 1,
                first = at->window && end > at->window ? end - at->window : 0;
            attend(out, q, &k, &v, c->head_dim, first, end,
                   at->sinks ? (double)at->sinks[h] : -INFINITY);
        }
}

static void ref_swiglu(k_device *d, float *gate, const float *up, int n_token, int dim,
                       const struct k_gating *how)
{
    (void)d;
    if (!how) how = &k_silu;
    double limit = (double)how->limit;
    for (size_t i = 0; i < (size_t)n_token * (size_t)dim; i++) {
        double g = (double)gate[i], u = (double)up[i];
        if (g > limit) g = limit; // not fmin, which would lose a NaN
        if (u > limit) u = limit;
        if (u < -limit) u = -limit;
        gate[i] = (float)(g / (1 + exp(-(double)how->slope * g)) * (u + (double)how->shift));
    }
}

static void ref_sum_rows(k_device *d, float *out, const float *x, int n_row, int dim)
{
    (void)d;
    for (int i = 0; i < dim; i++) {
        double sum = (double)out[i];
        for (int r = 0; r < n_row; r++) sum += (double)x[(size_t)r * (size_t)dim + (size_t)i];
        out[i] = (float)sum;
    }
}

static int32_t ref_argmax(k_device *d, const float *x, int n, const uint64_t *mask)
{
    (void)d;
    int32_t best = -1;
    float largest = 0;
    for (int i = 0; i < n; i++) {
        if (mask && !(mask[i / 64] >> i % 64 & 1)) continue;
        float value = x[i] == x[i] ? x[i] : -INFINITY;
        if (best >= 0 && value <= largest) continue;
        best = i;
        largest = value;
    }
    return best;
}

static int by_key(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

// All that are allowed, in order; each filter ends what is kept.
static int32_t ref_sample(k_device *d, const float *x, int n, const uint64_t *mask,
                          const struct k_sampling *how, uint64_t *room)
{
    if (!(how->temperature > 0)) return ref_argmax(d, x, n, mask);
    const struct sample_rule rule = sample_rule(how);
    uint64_t mass = 0, kept = 0;
    uint32_t n_kept = 0;
    assert(n <= K_SAMPLE_MAX);
    for (int i = 0; i < n; i++)
        if (!mask || mask[i / 64] >> i % 64 & 1) room[n_kept++] = sample_key(x[i], (uint32_t)i);
    if (n_kept == 0) return -1;
    qsort(room, n_kept, sizeof *room, by_key);
    float largest = sample_logit(room[0]);
    if (isinf(largest)) return (int32_t)room[0];

    if (n_kept > rule.top_k) n_kept = rule.top_k;
    for (uint32_t i = 0; i < n_kept; i++)
        mass += sample_weight(
            sample_steps(sample_distance(largest, sample_logit(room[i]), rule.temperature)));
    for (uint32_t i = 0; i < n_kept && kept < sample_limit(mass, rule.top_p); i++) {
        float distance = sample_distance(largest, sample_logit(room[i]), rule.temperature);
        if (distance > rule.far_off) break;
        kept += sample_weight(sample_steps(distance));
    }
    uint64_t target = sample_target(kept, rule.word), sum = 0;
    for (uint32_t i = 0;; i++) {
        sum += sample_weight(
            sample_steps(sample_distance(largest, sample_logit(room[i]), rule.temperature)));
        if (sum > target) return (int32_t)room[i];
    }
}

static uint64_t ref_read_all(k_device *d, const void *p, size_t n_bytes)
{
    (void)d;
    uint64_t sum = 0;
    for (size_t i = 0; i < n_bytes; i++) sum += ((const unsigned char *)p)[i];
    return sum;
}

DEFINE_COMPOSED(k_ref)

const struct k_ops k_ref = {
    .name = "ref",
    .kv_type = K_F32,
    .batch_max = 256,
    .open = ref_open,
    .close = ref_close,
    .describe = ref_describe,
    .n_thread = ref_n_thread,
    .alloc = ref_alloc,
    .release = ref_release,
    .upload = ref_copy,
    .download = ref_copy,
    .place = ref_place,
    .reserve = ref_reserve,
    .embed = ref_embed,
    .rms_norm = ref_rms_norm,
    .matmul = ref_matmul,
    .rope_table = ref_rope_table,
    .rope = ref_rope,
    .kv_store = ref_kv_store,
    .attention = ref_attention,
    .swiglu = ref_swiglu,
    .sum_rows = ref_sum_rows,
    .argmax = ref_argmax,
    .sample = ref_sample,
    .read_all = ref_read_all,
    COMPOSED_OPERATIONS,
};
