// Each repetition measures plain reading, prefill and decoding one after the other, so that a slow
// phase of the machine falls on all of them. The buffer for plain reading is as large as the
// weights of one step (within reason), so that a cache which holds the one would hold the other.
//
// The ratio counts weights only. Keys, values and activations are read, too, so at a long context
// the true figure is higher.
#include "engine/decode_bench.h"

#include "base/clock.h"
#include "base/median.h"
#include "base/mem.h"
#include "base/rng.h"
#include "engine/forward.h"
#include "engine/session.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPEAT_MAX = 1000, TOKENS_MAX = 1 << 20 };
static const uint64_t read_bytes_min = 16u << 20, read_bytes_max = 1u << 30;

// What both sizes of it share.
#define OF_GPT_OSS                                                                                 \
    .qkv_bias = true, .o_bias = true, .sinks = true, .window = 128, .dim = 2880, .n_head = 64,     \
    .n_kv_head = 8, .head_dim = 64, .ffn_dim = 2880, .n_vocab = 201088, .n_expert_used = 4,        \
    .normalise_experts = true, .stacked_experts = true, .gating = {1.702f, 1, 7}

static const struct {
    const char *name;
    struct config config; // without what does not change the speed
} shapes[] = {
    {"builtin",
     {.architecture = "qwen3",
      .qk_norm = true,
      .tied = true,
      .n_layer = 12,
      .dim = 512,
      .n_head = 8,
      .n_kv_head = 2,
      .head_dim = 64,
      .ffn_dim = 1024,
      .n_vocab = 8192}},
    {"qwen2.5-0.5b",
     {.architecture = "qwen2",
      .qkv_bias = true,
      .tied = true,
      .n_layer = 24,
      .dim = 896,
      .n_head = 14,
      .n_kv_head = 2,
      .head_dim = 64,
      .ffn_dim = 4864,
      .n_vocab = 151936}},
    {"qwen3-0.6b",
     {.architecture = "qwen3",
      .qk_norm = true,
      .tied = true,
      .n_layer = 28,
      .dim = 1024,
      .n_head = 16,
      .n_kv_head = 8,
      .head_dim = 128,
      .ffn_dim = 3072,
      .n_vocab = 151936}},
    {"llama-3.2-1b",
     {.architecture = "llama",
      .tied = true,
      .n_layer = 16,
      .dim = 2048,
      .n_head = 32,
      .n_kv_head = 8,
      .head_dim = 64,
      .ffn_dim = 8192,
      .n_vocab = 128256}},
    {"qwen3-4b",
     {.architecture = "qwen3",
      .qk_norm = true,
      .tied = true,
      .n_layer = 36,
      .dim = 2560,
      .n_head = 32,
      .n_kv_head = 8,
      .head_dim = 128,
      .ffn_dim = 9728,
      .n_vocab = 151936}},
    {"llama-3.1-8b",
     {.architecture = "llama",
      .n_layer = 32,
      .dim = 4096,
      .n_head = 32,
      .n_kv_head = 8,
      .head_dim = 128,
      .ffn_dim = 14336,
      .n_vocab = 128256}},
    {"qwen3-8b",
     {.architecture = "qwen3",
      .qk_norm = true,
      .n_layer = 36,
      .dim = 4096,
      .n_head = 32,
      .n_kv_head = 8,
      .head_dim = 128,
      .ffn_dim = 12288,
      .n_vocab = 151936}},
    {"qwen3-32b",
     {.architecture = "qwen3",
      .qk_norm = true,
      .n_layer = 64,
      .dim = 5120,
      .n_head = 64,
      .n_kv_head = 8,
      .head_dim = 128,
      .ffn_dim = 25600,
      .n_vocab = 151936}},
    {"qwen3-30b-a3b",
     {.architecture = "qwen3_moe",
      .qk_norm = true,
      .n_layer = 48,
      .dim = 2048,
      .n_head = 32,
      .n_kv_head = 4,
      .head_dim = 128,
      .ffn_dim = 768,
      .n_vocab = 151936,
      .n_expert = 128,
      .n_expert_used = 8,
      .normalise_experts = true}},
    {"gpt-oss-20b", {.architecture = "gpt_oss", .n_layer = 24, .n_expert = 32, OF_GPT_OSS}},
    {"gpt-oss-120b", {.architecture = "gpt_oss", .n_layer = 36, .n_expert = 128, OF_GPT_OSS}},
    {"llama-3.3-70b",
     {.architecture = "llama",
      .n_layer = 80,
      .dim = 8192,
      .n_head = 64,
      .n_kv_head = 8,
      .head_dim = 128,
      .ffn_dim = 28672,
      .n_vocab = 128256}},
};
enum { N_SHAPE = sizeof shapes / sizeof *shapes };

const char *decode_bench_shape(int i)
{
    return i >= 0 && i < N_SHAPE ? shapes[i].name : NULL;
}

static int check_options(const struct decode_bench_options *o, err *e)
{
    enum k_type kv;
    if (!k_ops_known(o->backend, e) || k_kv_type(k_ops_find(o->backend), o->kv, &kv, e)) return -1;
    if (o->n_thread < 0 || o->n_thread > 1024)
        return err_set(e, ERR_USAGE, "threads: expected 0 to 1024, found %d", o->n_thread);
    if (o->activations && strcmp(o->activations, "fp8") && strcmp(o->activations, "fp4") &&
        strcmp(o->activations, "16bit"))
        return err_set(e, ERR_USAGE, "activations: expected fp8, fp4 or 16bit, found \"%s\"",
                       o->activations);
    if (o->activations && !strcmp(o->activations, "fp4") &&
        (!o->weights || strcmp(o->weights, "nvfp4")))
        return err_set(e, ERR_USAGE, "activations: fp4 is for nvfp4 weights, found %s",
                       o->weights ? o->weights : "fp8");
    if (o->n_prompt < 1 || o->n_decode < 0 || o->n_prompt > TOKENS_MAX || o->n_decode > TOKENS_MAX)
        return err_set(e, ERR_USAGE, "tokens: expected 1 to %d, found %d and %d", TOKENS_MAX,
                       o->n_prompt, o->n_decode);
    if (o->n_row < 1 || o->n_row > STEP_ROWS)
        return err_set(e, ERR_USAGE, "rows: expected 1 to %d, found %d", STEP_ROWS, o->n_row);
    if (o->repeat < 1 || o->repeat > REPEAT_MAX)
        return err_set(e, ERR_USAGE, "repeat: expected 1 to %d, found %d", REPEAT_MAX, o->repeat);
    return 0;
}

static int read_type(const char *name, const char *what, enum k_type *type, err *e)
{
    static const struct {
        const char *name;
        enum k_type type;
    } known[] = {{"fp8", K_E4M3}, {"bf16", K_BF16}, {"nvfp4", K_NVFP4}, {"mxfp4", K_MXFP4}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(name, known[i].name)) {
            *type = known[i].type;
            return 0;
        }
    return err_set(e, ERR_USAGE, "%s: expected fp8, bf16, nvfp4 or mxfp4, found \"%s\"", what,
                   name);
}

static struct model *open_shape(const struct decode_bench_options *o, err *e)
{
    enum k_type type = K_E4M3, head = K_BF16;
    if (read_type(o->weights ? o->weights : "fp8", "weights", &type, e)) return NULL;
    bool fp4 = type == K_NVFP4 || type == K_MXFP4;
    for (int i = 0; o->shape && i < N_SHAPE; i++) {
        if (strcmp(o->shape, shapes[i].name)) continue;
        struct config c = shapes[i].config;
        const char *usual = fp4 && !c.stacked_experts ? "fp8" : "bf16";
        if (read_type(o->head ? o->head : usual, "head", &head, e)) return NULL;
        for (int l = 0; c.window && l < c.n_layer; l += 2) c.windowed[l] = true;
        c.rope_scale = 1;
        c.norm_eps = 1e-6f;
        c.nvfp4_x = o->activations && !strcmp(o->activations, "fp4");
        c.fp8_x = c.nvfp4_x || !o->activations || !strcmp(o->activations, "fp8");
        c.ctx_max = 2 * TOKENS_MAX;
        for (int k = 0; k < c.head_dim / 2; k++) c.inv_freq[k] = pow(1e4, -2.0 * k / c.head_dim);
        return model_synthetic(&c, type, head, k_ops_find(o->backend), o->n_thread, 1, e);
    }
    char known[256] = "";
    for (int i = 0; i < N_SHAPE; i++) {
        size_t n = strlen(known);
        snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "", shapes[i].name);
    }
    err_set(e, ERR_USAGE, "shape: expected one of %s, found \"%s\"", known,
            o->shape ? o->shape : "");
    return NULL;
}

struct bench {
    struct model *model;
    session *session;
    int32_t *prompt;                    // [n_prompt]
    int n_prompt, n_context, n_decoded; // tokens; the last two at the end of a repetition
    char *buffer;                       // device memory for plain reading
    size_t n_buffer;
    double *prefill, *decode, *read, *between; // [repeat]
};

// The instance's own answer to the tokens before it: the whole of what a step costs a greedy run.
static const struct sample_options greedy = {0};

static double seconds_since(int64_t start)
{
    return (double)(clock_us() - start + 1) / 1e6;
}

static int measure_once(struct bench *b, const struct decode_bench_options *o, int i,
                        const volatile int *cancel, err *e)
{
    const struct k_ops *op = b->model->ops;
    int32_t other = b->prompt[0] == 0; // a timeline that shares nothing with the prompt
    if (session_sync(b->session, &other, 1, NULL, cancel, e)) return -1;

    int64_t start = clock_us();
    volatile uint64_t sum = op->read_all(b->model->device, b->buffer, b->n_buffer);
    (void)sum;
    b->read[i] = (double)b->n_buffer / seconds_since(start) / 1e9;

    start = clock_us();
    if (session_sync(b->session, b->prompt, (size_t)o->n_prompt, NULL, cancel, e)) return -1;
    b->prefill[i] = o->n_prompt / seconds_since(start);

    int64_t between = 0;
    start = clock_us();
    for (int t = 0; t < o->n_decode; t++) {
        int32_t row[STEP_ROWS];
        if (cancel && *cancel) return err_set(e, ERR_CANCELLED, "cancelled");
        int64_t before = clock_us();
        row[0] = session_sample(b->session, &greedy, NULL);
        for (int k = 1; k < o->n_row; k++) row[k] = b->prompt[(t + k) % o->n_prompt];
        if (session_issue(b->session, row, (size_t)o->n_row, e)) return -1;
        between += clock_us() - before;
        if (session_await(b->session, e)) return -1;
    }
    b->between[i] = o->n_decode ? (double)between / o->n_decode : 0;
    b->decode[i] = o->n_decode ? o->n_decode / seconds_since(start) : 0;
    return 0;
}

// Of one pass over the prompt: every matrix of the layers for every token, and a causal attention
// that meets half of the pairs. The head is for one token and left out.
static double prefill_flops(const struct model *m, double n)
{
    const struct config *c = &m->config;
    double q = (double)c->n_head * c->head_dim, kv = (double)c->n_kv_head * c->head_dim;
    double n_ffn = c->n_expert ? c->n_expert_used : 1;
    double matrices = c->dim * (2 * q + 2 * kv + 3.0 * n_ffn * c->ffn_dim + c->n_expert);
    return c->n_layer * (2 * n * matrices + 2 * n * n * q);
}

static void sum_up(struct bench *b, int n, struct decode_bench_result *r)
{
    const struct model *m = b->model;
    *r = (struct decode_bench_result){.n_thread = m->ops->n_thread(m->device),
                                      .n_parameter = m->n_parameter,
                                      .weight_bytes_per_token = m->weight_bytes_per_token,
                                      .prefill_tps = median(b->prefill, n),
                                      .decode_tps = median(b->decode, n),
                                      .between_us = median(b->between, n),
                                      .read_gbps = median(b->read, n)};
    snprintf(r->backend, sizeof r->backend, "%s", m->ops->describe(m->device));
    snprintf(r->weight_type, sizeof r->weight_type, "%s", k_type_name(m->weight_type));
    snprintf(r->kv_type, sizeof r->kv_type, "%s", k_type_name(m->kv_type));
    r->prefill_tflops = prefill_flops(m, b->n_prompt) * r->prefill_tps / b->n_prompt / 1e12;
    r->decode_spread = r->decode_tps > 0 ? (b->decode[n - 1] - b->decode[0]) / r->decode_tps : 0;
    r->ratio = r->decode_tps * (double)r->weight_bytes_per_token / 1e9 / r->read_gbps;
    const struct config *c = &m->config;
    size_t row_bytes = k_row_bytes(m->kv_type, c->head_dim) + (m->kv_type == K_E4M3); // its scale
    r->kv_bytes_per_token =
        2.0 * c->n_layer * c->n_kv_head * (b->n_context - b->n_decoded / 2.0) * (double)row_bytes;
    r->full_ratio = r->ratio * (1 + r->kv_bytes_per_token / (double)r->weight_bytes_per_token);
}

static int open_bench(struct bench *b, const struct decode_bench_options *o, err *e)
{
    b->model = o->model_dir ? model_open(o->model_dir, k_ops_find(o->backend), o->n_thread, e)
                            : open_shape(o, e);
    if (!b->model || k_kv_type(b->model->ops, o->kv, &b->model->kv_type, e)) return -1;
    int ctx = o->n_prompt + o->n_decode * o->n_row;
    b->n_prompt = o->n_prompt;
    b->n_context = ctx;
    b->n_decoded = o->n_decode * o->n_row;
    if (ctx > b->model->config.ctx_max)
        return err_set(e, ERR_USAGE, "tokens: %d do not fit the model's context of %d", ctx,
                       b->model->config.ctx_max);
    if (!(b->session = session_open(b->model, NULL, ctx, e))) return -1;

    uint64_t n = b->model->weight_bytes_per_token;
    b->n_buffer = n < read_bytes_min ? read_bytes_min : n > read_bytes_max ? read_bytes_max : n;
    b->buffer = b->model->ops->alloc(b->model->device, b->n_buffer);
    if (!b->buffer) return err_set(e, ERR_SYSTEM, "no memory for %zu bytes to read", b->n_buffer);
    // Written, so that no two pages are one page of zeros.
    b->model->ops->fill(b->model->device, b->buffer, b->n_buffer, 1, UINT64_MAX, 0);

    rng r = rng_seed(1);
    b->prompt = mem_new((size_t)o->n_prompt * sizeof *b->prompt);
    for (int i = 0; i < o->n_prompt; i++)
        b->prompt[i] = (int32_t)rng_below(&r, (uint64_t)b->model->config.n_vocab);
    b->prefill = mem_new((size_t)o->repeat * sizeof *b->prefill);
    b->decode = mem_new((size_t)o->repeat * sizeof *b->decode);
    b->read = mem_new((size_t)o->repeat * sizeof *b->read);
    b->between = mem_new((size_t)o->repeat * sizeof *b->between);
    return 0;
}

static void close_bench(struct bench *b)
{
    session_free(b->session);
    if (b->model) b->model->ops->release(b->model->device, b->buffer);
    model_close(b->model);
    free(b->prompt);
    free(b->prefill);
    free(b->decode);
    free(b->read);
    free(b->between);
}

int decode_bench(const struct decode_bench_options *o, struct decode_bench_result *result,
                 const volatile int *cancel, err *e)
{
    struct bench b = {0};
    if (check_options(o, e)) return -1;
    int rc = open_bench(&b, o, e);
    for (int i = 0; !rc && i < o->repeat; i++) rc = measure_once(&b, o, i, cancel, e);
    if (!rc) sum_up(&b, o->repeat, result);
    close_bench(&b);
    return rc;
}
