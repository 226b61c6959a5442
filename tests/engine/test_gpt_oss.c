// If this fails, a gpt-oss checkpoint answers with other numbers than its definition gives, or
// numbers that depend on how its tokens arrived, or one that does not fit its config is taken.
//
// The definition is written down here once more, in double, whole matrices and no cache: attention
// over the positions of a window and a sink, experts one after the other, YaRN as OpenAI's own code
// puts it.
#include "test.h"

#include "base/mem.h"
#include "base/rng.h"
#include "engine/quantize.h"
#include "engine/session.h"
#include "kernels/number.h"
#include "tiny_oss.h"

#include <math.h>

enum { N_TOKEN = 60 };

static const struct oss_shape shape = {.dim = 96,
                                       .ffn = 64,
                                       .n_head = 6,
                                       .n_kv_head = 2,
                                       .head_dim = 16,
                                       .n_layer = 4,
                                       .n_vocab = 300,
                                       .n_expert = 6,
                                       .n_used = 3,
                                       .window = 7,
                                       .limit = 1.5};

// Values of tensors, as double

struct checkpoint {
    const struct tiny *t;
    const struct oss_shape *s;
};

// Of a layer, or, with -1, of the model.
static const void *tensor(const struct checkpoint *c, int layer, const char *name)
{
    char prefix[32] = "", full[160];
    if (layer >= 0) snprintf(prefix, sizeof prefix, "model.layers.%d.", layer);
    snprintf(full, sizeof full, "%s%s", prefix, name);
    const void *p = tiny_data(c->t, full);
    if (!p) fail_msg("no tensor %s", full);
    return p;
}

static double bf16(const void *p, size_t i)
{
    return (double)bf16_to_f32(((const uint16_t *)p)[i]);
}

// Row `row` of a stack of MXFP4 matrices, all of whose rows are numbered through.
static void mxfp4_row(const struct checkpoint *c, int layer, const char *projection, size_t row,
                      size_t n_col, double *out)
{
    static const double values[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
    char name[128];
    snprintf(name, sizeof name, "mlp.experts.%s_blocks", projection);
    const unsigned char *codes = tensor(c, layer, name);
    snprintf(name, sizeof name, "mlp.experts.%s_scales", projection);
    const unsigned char *scales = tensor(c, layer, name);
    for (size_t i = 0; i < n_col; i++) {
        unsigned code = codes[(row * n_col + i) / 2] >> (i % 2 * 4) & 15;
        out[i] = ldexp(values[code & 7], scales[(row * n_col + i) / 32] - 127);
        if (code & 8) out[i] = -out[i];
    }
}

// y = W x + b
static void linear(const struct checkpoint *c, int layer, const char *name, const double *x,
                   size_t n_col, double *y, size_t n_row)
{
    char full[128];
    snprintf(full, sizeof full, "%s.weight", name);
    const void *w = tensor(c, layer, full);
    snprintf(full, sizeof full, "%s.bias", name);
    const void *b = layer < 0 ? NULL : tensor(c, layer, full);
    for (size_t r = 0; r < n_row; r++) {
        y[r] = b ? bf16(b, r) : 0;
        for (size_t i = 0; i < n_col; i++) y[r] += bf16(w, r * n_col + i) * x[i];
    }
}

static void norm(const struct checkpoint *c, int layer, const char *name, const double *x,
                 double *y)
{
    const void *gain = tensor(c, layer, name);
    size_t n = (size_t)c->s->dim;
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i] * x[i];
    for (size_t i = 0; i < n; i++) y[i] = x[i] / sqrt(sum / (double)n + 1e-5) * bf16(gain, i);
}

// The angles of YaRN: index d of the frequencies, counted in halves of a head.
static void turn(double *head, int head_dim, int pos)
{
    double theta = 150000, factor = 32, old = 4096, n = head_dim / 2;
    double low = n * log(old / (32 * 2 * M_PI)) / log(theta);
    double high = n * log(old / (1 * 2 * M_PI)) / log(theta);
    double gain = 0.1 * log(factor) + 1;
    for (int d = 0; d < head_dim / 2; d++) {
        double frequency = pow(theta, -2.0 * d / head_dim);
        double ramp = (d - low) / (high - low);
        double keep = 1 - (ramp < 0 ? 0 : ramp > 1 ? 1 : ramp);
        double angle = pos * (frequency / factor * (1 - keep) + frequency * keep);
        double a = head[d], b = head[d + head_dim / 2];
        head[d] = gain * (a * cos(angle) - b * sin(angle));
        head[d + head_dim / 2] = gain * (b * cos(angle) + a * sin(angle));
    }
}

static void attend(const struct checkpoint *c, int layer, const double *q, const double *k,
                   const double *v, size_t t, double *out)
{
    const struct oss_shape *s = c->s;
    size_t dim = (size_t)s->head_dim, n_kv = (size_t)s->n_kv_head, n_head = (size_t)s->n_head;
    const void *sinks = tensor(c, layer, "self_attn.sinks");
    for (size_t h = 0; h < n_head; h++) {
        size_t kv = h / (n_head / n_kv);
        double sum = exp(bf16(sinks, h)), weight[N_TOKEN] = {0};
        for (size_t p = 0; p <= t; p++) {
            double score = 0;
            if (layer % 2 == 0 && t - p >= (size_t)s->window) continue;
            for (size_t i = 0; i < dim; i++) score += q[h * dim + i] * k[(p * n_kv + kv) * dim + i];
            sum += weight[p] = exp(score / sqrt((double)dim));
        }
        for (size_t i = 0; i < dim; i++) {
            out[h * dim + i] = 0;
            for (size_t p = 0; p <= t; p++)
                out[h * dim + i] += weight[p] / sum * v[(p * n_kv + kv) * dim + i];
        }
    }
}

static size_t n_clamped;

static double gated(double gate, double up, double limit)
{
    n_clamped += gate > limit || fabs(up) > limit;
    gate = fmin(gate, limit);
    up = fmax(fmin(up, limit), -limit);
    return (up + 1) * gate / (1 + exp(-1.702 * gate));
}

static void expert(const struct checkpoint *c, int layer, size_t k, const double *x, double weight,
                   double *sum)
{
    size_t dim = (size_t)c->s->dim, ffn = (size_t)c->s->ffn;
    const void *in_bias = tensor(c, layer, "mlp.experts.gate_up_proj_bias");
    const void *out_bias = tensor(c, layer, "mlp.experts.down_proj_bias");
    double *row = mem_new((dim + ffn) * sizeof *row), *mid = mem_new(2 * ffn * sizeof *mid);
    for (size_t r = 0; r < 2 * ffn; r++) {
        mxfp4_row(c, layer, "gate_up_proj", k * 2 * ffn + r, dim, row);
        mid[r] = bf16(in_bias, k * 2 * ffn + r);
        for (size_t i = 0; i < dim; i++) mid[r] += row[i] * x[i];
    }
    for (size_t r = 0; r < ffn; r++) mid[r] = gated(mid[2 * r], mid[2 * r + 1], c->s->limit);
    for (size_t r = 0; r < dim; r++) {
        mxfp4_row(c, layer, "down_proj", k * dim + r, ffn, row);
        double y = bf16(out_bias, k * dim + r);
        for (size_t i = 0; i < ffn; i++) y += row[i] * mid[i];
        sum[r] += weight * y;
    }
    free(row);
    free(mid);
}

static void feed_forward(const struct checkpoint *c, int layer, const double *x, double *sum)
{
    size_t n = (size_t)c->s->n_expert;
    double score[64], all = 0;
    bool chosen[64] = {false};
    assert_true(n <= 64);
    linear(c, layer, "mlp.router", x, (size_t)c->s->dim, score, n);
    for (int i = 0; i < c->s->n_used; i++) {
        size_t best = n;
        for (size_t k = 0; k < n; k++)
            if (!chosen[k] && (best == n || score[k] > score[best])) best = k;
        chosen[best] = true;
        all += exp(score[best]);
    }
    for (size_t k = 0; k < n; k++)
        if (chosen[k]) expert(c, layer, k, x, exp(score[k]) / all, sum);
}

// The logits after each of n tokens, [n, n_vocab], to be freed.
static double *defined_logits(const struct checkpoint *c, const int32_t *tokens, size_t n)
{
    const struct oss_shape *s = c->s;
    size_t dim = (size_t)s->dim, n_q = (size_t)(s->n_head * s->head_dim),
           n_kv = (size_t)(s->n_kv_head * s->head_dim), n_vocab = (size_t)s->n_vocab;
    double *x = mem_new(n * dim * sizeof *x), *h = mem_new(dim * sizeof *h);
    double *q = mem_new(n * n_q * sizeof *q), *k = mem_new(n * n_kv * sizeof *k);
    double *v = mem_new(n * n_kv * sizeof *v), *out = mem_new(n_q * sizeof *out);
    double *logits = mem_new(n * n_vocab * sizeof *logits), *y = mem_new(dim * sizeof *y);
    const void *embedding = tensor(c, -1, "model.embed_tokens.weight");
    for (size_t i = 0; i < n * dim; i++)
        x[i] = bf16(embedding, (size_t)tokens[i / dim] * dim + i % dim);
    for (int l = 0; l < s->n_layer; l++) {
        for (size_t t = 0; t < n; t++) {
            norm(c, l, "input_layernorm.weight", x + t * dim, h);
            linear(c, l, "self_attn.q_proj", h, dim, q + t * n_q, n_q);
            linear(c, l, "self_attn.k_proj", h, dim, k + t * n_kv, n_kv);
            linear(c, l, "self_attn.v_proj", h, dim, v + t * n_kv, n_kv);
            for (int i = 0; i < s->n_head; i++)
                turn(q + t * n_q + (size_t)(i * s->head_dim), s->head_dim, (int)t);
            for (int i = 0; i < s->n_kv_head; i++)
                turn(k + t * n_kv + (size_t)(i * s->head_dim), s->head_dim, (int)t);
        }
        for (size_t t = 0; t < n; t++) {
            attend(c, l, q + t * n_q, k, v, t, out);
            linear(c, l, "self_attn.o_proj", out, n_q, y, dim);
            for (size_t i = 0; i < dim; i++) x[t * dim + i] += y[i];
            norm(c, l, "post_attention_layernorm.weight", x + t * dim, h);
            feed_forward(c, l, h, x + t * dim);
        }
    }
    for (size_t t = 0; t < n; t++) {
        norm(c, -1, "model.norm.weight", x + t * dim, h);
        linear(c, -1, "lm_head", h, dim, logits + t * n_vocab, n_vocab);
    }
    double *all[] = {x, h, q, k, v, out, y};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    return logits;
}

// The engine's

static struct model *open_model(const struct tiny *t, const char *backend)
{
    err e = {0};
    struct model *m = model_open(t->dir, k_ops_find(backend), 2, &e);
    if (!m) fail_msg("%s", e.msg);
    return m;
}

static void check_logits(session *s, const double *want, size_t n_vocab, const char *what)
{
    const float *got = session_logits(s);
    for (size_t i = 0; i < n_vocab; i++)
        if (!(fabs((double)got[i] - want[i]) < 1e-4))
            fail_msg("%s: logit %zu is %g, expected %g", what, i, (double)got[i], want[i]);
}

// In pieces of n tokens; the logits after each piece.
static void check_in_pieces(struct model *m, const int32_t *tokens, size_t each, const double *want,
                            const char *backend)
{
    err e = {0};
    char what[64];
    size_t n_vocab = (size_t)m->config.n_vocab;
    session *s = session_open(m, NULL, N_TOKEN + 4, &e);
    assert_non_null(s);
    for (size_t n = each; n <= N_TOKEN; n += each) {
        if (session_sync(s, tokens, n, NULL, NULL, &e)) fail_msg("%s", e.msg);
        snprintf(what, sizeof what, "%s, %zu at a time, after %zu", backend, each, n);
        check_logits(s, want + (n - 1) * n_vocab, n_vocab, what);
    }
    session_free(s);
}

static void test_as_defined(void **state)
{
    static const char *const backends[] = {"ref", "cpu", "cpu-plain"};
    static const size_t pieces[] = {1, 3, 10, 20, N_TOKEN};
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct tiny t = tiny_oss(&shape, seed);
        const struct checkpoint c = {&t, &shape};
        rng r = rng_seed(seed);
        int32_t tokens[N_TOKEN];
        for (int i = 0; i < N_TOKEN; i++) tokens[i] = (int32_t)rng_below(&r, 300);
        tiny_write(&t);
        n_clamped = 0;
        double *want = defined_logits(&c, tokens, N_TOKEN);
        assert_true(n_clamped > 1000);
        for (size_t b = 0; b < sizeof backends / sizeof *backends; b++) {
            struct model *m = open_model(&t, backends[b]);
            for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
                check_in_pieces(m, tokens, pieces[i], want, backends[b]);
            model_close(m);
        }
        free(want);
        tiny_free(&t);
    }
}

// What of a window and a sink is left out changes the answer: the test above would see it.
static void test_everything_counts(void **state)
{
    static const struct {
        const char *field, *value;
    } changes[] = {{"sliding_window", "8"}, {"swiglu_limit", "1.6"}, {"rope_theta", "140000"}};
    err e = {0};
    int32_t tokens[N_TOKEN];
    (void)state;
    struct tiny t = tiny_oss(&shape, 5);
    float *before = NULL;
    for (int i = 0; i < N_TOKEN; i++) tokens[i] = (i * 7 + 3) % 300;
    for (size_t i = 0; i <= sizeof changes / sizeof *changes; i++) {
        if (i)
            json_object_set_new(t.config, changes[i - 1].field,
                                json_loads(changes[i - 1].value, JSON_DECODE_ANY, NULL));
        tiny_write(&t);
        struct model *m = open_model(&t, "cpu");
        session *s = session_open(m, NULL, N_TOKEN, &e);
        assert_non_null(s);
        if (session_sync(s, tokens, N_TOKEN, NULL, NULL, &e)) fail_msg("%s", e.msg);
        double apart = 0;
        for (int k = 0; before && k < 300; k++)
            apart = fmax(apart, fabs((double)session_logits(s)[k] - (double)before[k]));
        if (i && apart < 1e-3) fail_msg("%s changes nothing", changes[i - 1].field);
        if (!before) before = mem_new(300 * sizeof *before);
        memcpy(before, session_logits(s), 300 * sizeof *before);
        session_free(s);
        model_close(m);
    }
    free(before);
    tiny_free(&t);
}

// An instance that wants scales of rows 16 bytes apart, in memory of its own.

static void spread(k_device *d, void *to, size_t step, const void *from, size_t n_bytes,
                   size_t n_row)
{
    (void)d;
    if (step != n_bytes) memset(to, 0, step * n_row);
    for (size_t r = 0; r < n_row; r++)
        memcpy((char *)to + r * step, (const char *)from + r * n_bytes, n_bytes);
}

static void test_scales_apart(void **state)
{
    err e = {0};
    int32_t tokens[] = {5, 9, 200, 31};
    size_t n = sizeof tokens / sizeof *tokens, n_vocab = (size_t)shape.n_vocab;
    struct k_ops ops = k_ref;
    (void)state;
    ops.reads_host = false;
    ops.block_align = 16;
    ops.spread = spread;
    struct tiny t = tiny_oss(&shape, 3);
    const struct checkpoint c = {&t, &shape};
    tiny_write(&t);
    struct memory_plan plan;
    const struct model_need need = {.ctx_default = 64, .n_session = 1};
    struct model *m = model_open_planned(t.dir, &ops, 1, &need, &plan, &e);
    if (!m) fail_msg("%s", e.msg);
    assert_int_equal(m->layers[0].e_gate[0].block_step, 32);
    assert_int_equal(m->layers[0].e_down[1].block_step, 16);
    // 3 bytes of a row of gate and up, 2 of down, become 16; the end is what may be read behind it.
    uint64_t of_scales = (uint64_t)(shape.n_layer * shape.n_expert) *
                         (uint64_t)(2 * shape.ffn * 13 + shape.dim * 14);
    assert_int_equal(plan.weights, t.n_data + of_scales);
    assert_true(m->store_bytes >= plan.weights && m->store_used <= m->store_bytes);
    double *want = defined_logits(&c, tokens, n);
    session *s = session_open(m, NULL, 16, &e);
    assert_non_null(s);
    if (session_sync(s, tokens, n, NULL, NULL, &e)) fail_msg("%s", e.msg);
    check_logits(s, want + (n - 1) * n_vocab, n_vocab, "scales apart");
    session_free(s);
    model_close(m);
    free(want);
    tiny_free(&t);
}

// Attention in FP8 beside the experts as they are: logits move a little.
static void test_quantized(void **state)
{
    err e = {0};
    int32_t tokens[] = {5, 9, 200, 31};
    size_t n = sizeof tokens / sizeof *tokens, n_vocab = (size_t)shape.n_vocab;
    (void)state;
    struct tiny t = tiny_oss(&shape, 3);
    const struct checkpoint c = {&t, &shape};
    tiny_write(&t);
    char *dir = mem_printf("%s.fp8", t.dir);
    if (model_quantize(t.dir, dir, &e)) fail_msg("%s", e.msg);
    struct model *m = model_open(dir, &k_ref, 1, &e);
    if (!m) fail_msg("%s", e.msg);
    assert_int_equal(m->layers[0].q.type, K_E4M3);
    assert_int_equal(m->layers[0].e_up[0].type, K_MXFP4);
    double *want = defined_logits(&c, tokens, n), worst = 0;
    session *s = session_open(m, NULL, 16, &e);
    assert_non_null(s);
    if (session_sync(s, tokens, n, NULL, NULL, &e)) fail_msg("%s", e.msg);
    for (size_t i = 0; i < n_vocab; i++)
        worst = fmax(worst, fabs((double)session_logits(s)[i] - want[(n - 1) * n_vocab + i]));
    if (!(worst > 1e-4 && worst < 0.5)) fail_msg("logits moved by %g", worst);
    session_free(s);
    model_close(m);
    free(want);
    tiny_dir_remove(dir);
    tiny_free(&t);
}

// Checkpoints that are wrong

static void test_wrong_configs(void **state)
{
    static const struct {
        const char *field, *value, *why; // value NULL: without it
    } cases[] = {
        {"layer_types", NULL, "layer_types: expected one for each of 4 layers, found nothing"},
        {"layer_types", "[\"full_attention\"]", "layer_types: expected one for each of 4 layers"},
        {"layer_types",
         "[\"full_attention\", \"full_attention\", \"chunked_attention\", \"full_attention\"]",
         "layer_types: only \"full_attention\" and \"sliding_attention\" are supported, found "
         "\"chunked_attention\""},
        {"sliding_window", NULL, "sliding_window: expected an integer from 1"},
        {"sliding_window", "0", "sliding_window: expected an integer from 1"},
        {"num_local_experts", NULL, "num_local_experts: expected an integer from 1"},
        {"num_experts_per_tok", "7", "num_experts_per_tok: expected an integer from 1 to 6"},
        {"num_experts_per_tok", NULL, "experts_per_token: expected an integer from 1 to 6"},
        {"swiglu_limit", "-1", "swiglu_limit: expected a positive number"},
        {"hidden_act", "\"gelu\"", "hidden_act"},
        {"hidden_size", "80", "model.embed_tokens.weight: expected shape [300, 80]"},
        {"intermediate_size", "96",
         "gate_up_proj_blocks: expected U8 of shape [6, 192, 3, 16] by "
         "config.json, found U8 [6, 128, 3, 16]"},
        {"num_local_experts", "5", "mlp.router.weight: expected shape [5, 96]"},
    };
    (void)state;
    struct tiny t = tiny_oss(&shape, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *was = json_deep_copy(t.config);
        if (cases[i].value)
            json_object_set_new(t.config, cases[i].field,
                                json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
        else
            json_object_del(t.config, cases[i].field);
        tiny_refused(&t, cases[i].why);
        json_decref(t.config);
        t.config = was;
    }
    tiny_free(&t);
}

static void rename_tensor(struct tiny *t, const char *from, const char *to)
{
    json_object_set(t->header, to, json_object_get(t->header, from));
    json_object_del(t->header, from);
}

static void test_wrong_tensors(void **state)
{
    static const char *const names[] = {
        "model.layers.2.self_attn.sinks",
        "model.layers.1.self_attn.o_proj.bias",
        "model.layers.0.mlp.router.bias",
        "model.layers.3.mlp.experts.gate_up_proj_blocks",
        "model.layers.3.mlp.experts.gate_up_proj_scales",
        "model.layers.0.mlp.experts.gate_up_proj_bias",
        "model.layers.1.mlp.experts.down_proj_blocks",
        "model.layers.1.mlp.experts.down_proj_scales",
        "model.layers.2.mlp.experts.down_proj_bias",
    };
    (void)state;
    struct tiny t = tiny_oss(&shape, 1);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char why[160];
        rename_tensor(&t, names[i], "other");
        snprintf(why, sizeof why, "tensor %s [", names[i]);
        tiny_refused(&t, why);
        rename_tensor(&t, "other", names[i]);
    }
    json_t *meta = json_object_get(t.header, "model.layers.1.mlp.experts.down_proj_blocks");
    json_object_set_new(meta, "shape", json_pack("[i, i, i, i]", 6, 96, 1, 32));
    tiny_refused(&t, "model.layers.1.mlp.experts.down_proj_blocks: expected U8 of shape [6, 96, "
                     "2, 16] by config.json, found U8 [6, 96, 1, 32]");
    json_object_set_new(meta, "shape", json_pack("[i, i, i, i]", 6, 96, 2, 16));
    json_object_set_new(meta, "dtype", json_string("I8"));
    tiny_refused(&t, "found I8 [6, 96, 2, 16]");
    json_object_set_new(meta, "dtype", json_string("U8"));
    unsigned char *scales = tiny_data(&t, "model.layers.1.mlp.experts.down_proj_scales");
    scales[7] = 255;
    tiny_refused(&t, "model.layers.1.mlp.experts.down_proj_scales: holds NaN");
    tiny_free(&t);
    struct oss_shape uneven = shape;
    uneven.ffn = 48;
    t = tiny_oss(&uneven, 1);
    tiny_refused(&t, "experts.down_proj: 48 columns by config.json are no whole blocks of 32");
    tiny_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_defined),    cmocka_unit_test(test_everything_counts),
        cmocka_unit_test(test_scales_apart),  cmocka_unit_test(test_quantized),
        cmocka_unit_test(test_wrong_configs), cmocka_unit_test(test_wrong_tensors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
