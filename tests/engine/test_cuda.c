// If this fails, the model that runs on the GPU is not the one that runs on the CPU: greedy
// continuations of the built-in model differ where the CPU's logits leave no doubt, a run is not
// repeated bit for bit, steps of several tokens give other logits than steps of one, or tokens are
// drawn otherwise than by definition. The same for small mixtures of experts with random weights,
// of each kind of weights that has a fast kernel, and of a shape that has none; and for a
// checkpoint in the form of gpt-oss, whose rows fill no whole units of tensor cores.
//
// The input of products is shorter on the GPU (pairs of bf16, or f16), so logits differ by a
// little; a token may differ only where the CPU's two best are nearer than that. Both keep keys and
// values in the same type: in bf16, and in e4m3, where that little often decides for the next code,
// and logits differ by nearly as much as they do from those of longer keys and values.
#include "test.h"

#include "base/mem.h"
#include "base/rng.h"
#include "engine/engine.h"
#include "engine/products.h"
#include "engine/session.h"
#include "tiny_oss.h"

#include <math.h>

enum { N_STEP = 120 };
static const double logit_limit = 0.25, small_cache_limit = 2;
// Where two experts' scores are as good as equal, CPU and GPU may choose different ones, and then
// all logits of the step differ: one in so many steps of a mixture may.
enum { FAR_ONE_IN = 10 };

static const char *model_dir = HEARTH_SOURCE_DIR "/engine/builtin-model";
static const char *const texts[] = {
    "<|im_start|>user\nWhat is 12 + 30?<|im_end|>\n<|im_start|>assistant\n",
    "<|im_start|>user\nTell me a short story about a dog.<|im_end|>\n<|im_start|>assistant\n",
    "<|im_start|>user\nRead the file prices.txt and add up the prices. Then write the sum to a new "
    "file called sum.txt and tell me what you did.<|im_end|>\n<|im_start|>assistant\n",
};
enum { N_TEXT = sizeof texts / sizeof *texts };
static int n_step = N_STEP, n_text = N_TEXT; // fewer under a checker of memory or races

// A mixture of experts; without experts, or without one, it is the built-in model.
struct mixture {
    enum k_type type;
    int dim, ffn_dim, n_expert, n_used;
    bool normalise;
    const char *kv;              // of keys and values; NULL: bf16
    const struct oss_shape *oss; // a checkpoint of that shape instead
};

// On both sides the same.
static const char *kv_of(const struct mixture *m)
{
    return m && m->kv ? m->kv : "bf16";
}

static double limit_of(const struct mixture *m)
{
    return m && m->kv ? small_cache_limit : logit_limit;
}

struct side {
    engine *en;
    struct model *mixture;
    session *s;
    int n_vocab;
};

// With the scores of its routers made larger, so that the weakest expert that a token uses matters
// little: where two are as good as equal, the choice hangs on the last bit.
static struct model *open_mixture(const struct mixture *x, const char *backend)
{
    err e = {0};
    struct config c = {.architecture = "qwen3_moe",
                       .qk_norm = true,
                       .n_layer = 4,
                       .dim = x->dim,
                       .n_head = 8,
                       .n_kv_head = 2,
                       .head_dim = 64,
                       .ffn_dim = x->ffn_dim,
                       .n_vocab = 3000,
                       .n_expert = x->n_expert,
                       .n_expert_used = x->n_used,
                       .normalise_experts = x->normalise,
                       .norm_eps = 1e-6f,
                       .rope_scale = 1,
                       .ctx_max = 1024};
    for (int k = 0; k < c.head_dim / 2; k++) c.inv_freq[k] = pow(1e4, -2.0 * k / c.head_dim);
    struct model *m = model_synthetic(&c, x->type, K_BF16, k_ops_find(backend), 0, 1, &e);
    if (!m || k_kv_type(m->ops, kv_of(x), &m->kv_type, &e)) fail_msg("%s", e.msg);
    float *scale = mem_new((size_t)x->n_expert * sizeof *scale);
    for (int i = 0; i < x->n_expert; i++) scale[i] = 4 / sqrtf((float)x->dim);
    for (int l = 0; l < c.n_layer; l++)
        m->ops->upload(m->device, (void *)m->layers[l].router.scale, scale,
                       (size_t)x->n_expert * sizeof *scale);
    if (m->ops->finish(m->device, &e)) fail_msg("%s", e.msg);
    free(scale);
    return m;
}

static struct model *open_oss(const struct mixture *x, const char *backend)
{
    err e = {0};
    struct tiny t = tiny_oss(x->oss, 1);
    tiny_write(&t);
    struct model *m = model_open(t.dir, k_ops_find(backend), 0, &e);
    if (!m || k_kv_type(m->ops, kv_of(x), &m->kv_type, &e)) fail_msg("%s", e.msg);
    tiny_free(&t);
    return m;
}

static struct side open_side(const struct mixture *mixture, const char *backend)
{
    err e = {0};
    if (mixture && (mixture->n_expert || mixture->oss)) {
        struct side x = {.mixture = (mixture->oss ? open_oss : open_mixture)(mixture, backend)};
        x.n_vocab = x.mixture->config.n_vocab;
        if (!(x.s = session_open(x.mixture, NULL, 1024, &e))) fail_msg("%s", e.msg);
        return x;
    }
    struct engine_options o = {.model_dir = model_dir, .backend = backend, .kv = kv_of(mixture)};
    struct side x = {.en = engine_open(&o, &e)};
    if (!x.en) fail_msg("%s", e.msg);
    if (!(x.s = session_new(x.en, &e))) fail_msg("%s", e.msg);
    x.n_vocab = engine_info(x.en)->n_vocab;
    return x;
}

static void close_side(struct side *x)
{
    session_free(x->s);
    engine_close(x->en);
    model_close(x->mixture);
}

static int32_t greedy(struct side *x)
{
    static const struct sample_options o = {0};
    return session_sample(x->s, &o, NULL);
}

static void start(struct side *x, const char *text)
{
    err e = {0};
    token_buf ids = {0};
    if (x->en) {
        tokenizer_encode_template(engine_tokenizer(x->en), text, NULL, strlen(text), &ids);
    } else { // a byte, a token
        ids.n = strlen(text);
        ids.ids = mem_new(ids.n * sizeof *ids.ids);
        for (size_t i = 0; i < ids.n; i++) ids.ids[i] = (int32_t)(text[i] & 127) * 23;
    }
    if (session_sync(x->s, ids.ids, ids.n, NULL, NULL, &e)) fail_msg("%s", e.msg);
    token_buf_free(&ids);
}

static void step(struct side *x, int32_t token)
{
    err e = {0};
    if (session_step(x->s, token, &e)) fail_msg("%s", e.msg);
}

static double largest_difference(struct side *a, struct side *b)
{
    int n = a->n_vocab;
    const float *p = session_logits(a->s), *q = session_logits(b->s);
    double worst = 0;
    for (int i = 0; i < n; i++) {
        double differ = fabs((double)p[i] - (double)q[i]);
        if (!(differ <= worst)) worst = differ;
    }
    return worst;
}

static void test_greedy_as_on_the_cpu(void **state)
{
    struct side gpu = open_side(*state, "cuda"), cpu = open_side(*state, "cpu");
    double worst = 0, worse = 0, limit = limit_of(*state);
    int n_differ = 0, n_far = 0;
    for (int t = 0; t < n_text; t++) {
        start(&gpu, texts[t]);
        start(&cpu, texts[t]);
        for (int i = 0; i < n_step; i++) {
            double differ = largest_difference(&gpu, &cpu);
            if (!(differ <= worst)) worst = differ;
            n_far += !(differ <= limit);
            int32_t mine = greedy(&gpu), want = greedy(&cpu);
            const float *logits = session_logits(cpu.s);
            if (mine != want) {
                double by = (double)logits[want] - (double)logits[mine];
                n_differ++;
                if (!(by <= worse)) worse = by;
                if (!(by < 2 * differ))
                    fail_msg("text %d, step %d: token %d, the CPU says %d by %g", t, i, mine, want,
                             by);
            }
            step(&gpu, want);
            step(&cpu, want);
        }
    }
    print_message("largest difference of a logit %.3g, over %g in %d steps; %d of %d greedy tokens "
                  "differ, worse ones on the CPU by %.3g at most\n",
                  worst, limit, n_far, n_differ, n_text * n_step, worse);
    assert_true(n_far <= (*state ? n_step / FAR_ONE_IN : 0));
    close_side(&gpu);
    close_side(&cpu);
}

static void test_runs_repeat(void **state)
{
    int n_vocab = 0;
    float *first = NULL;
    int32_t tokens[N_STEP];
    for (int run = 0; run < 3; run++) {
        struct side gpu = open_side(*state, "cuda");
        n_vocab = gpu.n_vocab;
        if (!first) first = mem_new((size_t)n_vocab * N_STEP * sizeof *first);
        start(&gpu, texts[2]);
        for (int i = 0; i < n_step; i++) {
            float *at = first + (size_t)i * (size_t)n_vocab;
            int32_t token = greedy(&gpu);
            if (run == 0) {
                tokens[i] = token;
                memcpy(at, session_logits(gpu.s), (size_t)n_vocab * sizeof *at);
            }
            assert_int_equal(token, tokens[i]);
            assert_memory_equal(session_logits(gpu.s), at, (size_t)n_vocab * sizeof *at);
            step(&gpu, token);
        }
        close_side(&gpu);
    }
    free(first);
}

// A draw on the GPU is the one that the definition makes from the same logits and seed.
static void test_draws_are_those_of_the_definition(void **state)
{
    static const struct sample_options sets[] = {
        {.temperature = 1, .top_p = 1},
        {.temperature = 0.8f, .top_p = 0.95f, .top_k = 40},
        {.temperature = 1.3f, .top_p = 0.9f, .min_p = 0.02f},
        {.temperature = 100, .top_p = 0.99f},
    };
    err e = {0};
    struct side gpu = open_side(*state, "cuda");
    int n = gpu.en ? tokenizer_size(engine_tokenizer(gpu.en)) : gpu.n_vocab;
    k_device *ref = k_ref.open(0, &e);
    uint64_t *room = mem_new((size_t)n * sizeof *room);
    rng r = rng_seed(3);
    session_seed(gpu.s, 3);
    start(&gpu, texts[1]);
    for (int i = 0; i < n_step / 2; i++) {
        const struct sample_options *o = &sets[i % 4];
        const struct k_sampling how = {o->temperature, o->top_p, o->min_p, o->top_k, rng_u64(&r)};
        int32_t token = session_sample(gpu.s, o, NULL);
        assert_int_equal(token, k_ref.sample(ref, session_logits(gpu.s), n, NULL, &how, room));
        step(&gpu, token);
    }
    k_ref.close(ref);
    free(room);
    close_side(&gpu);
}

static void count_ways(void *context, const struct product_kind *k)
{
    print_message("prefill: %s%s [%d, %d]: %s\n", k->weights, k->blocks ? " in blocks" : "",
                  k->n_row, k->n_col, k->how);
    assert_true(*k->how);
    ++*(int *)context;
}

// Five kinds of weights, four shapes.
static void test_ways_of_products(void **state)
{
    (void)state;
    int n = 0;
    err e = {0};
    if (products_typical(count_ways, &n, &e)) fail_msg("%s", e.msg);
    assert_int_equal(n, 20);
}

static void test_rows_are_steps(void **state)
{
    struct side one = open_side(*state, "cuda"), many = open_side(*state, "cuda");
    err e = {0};
    double worst = 0;
    start(&one, texts[1]);
    start(&many, texts[1]);
    for (int n = 1; n <= 8; n++) {
        int32_t row[8];
        for (int i = 0; i < n; i++) {
            row[i] = greedy(&one);
            step(&one, row[i]);
        }
        if (session_steps(many.s, row, n, &e)) fail_msg("%s", e.msg);
        worst = fmax(worst, largest_difference(&one, &many));
    }
    print_message("steps of several tokens: largest difference of a logit %.3g\n", worst);
    assert_true(worst <= limit_of(*state));
    close_side(&one);
    close_side(&many);
}

static struct CMUnitTest named(const char *name, CMUnitTestFunction test, const struct mixture *of)
{
    return (struct CMUnitTest){name, test, NULL, NULL, (void *)of};
}

#define TEST(what, of, mixture) named(#what ", " of, test_##what, mixture)

int main(int argc, char **argv)
{
    err e = {0};
    if (argc > 1) model_dir = argv[1];
    if (argc > 2 && !strcmp(argv[2], "small")) n_step = 12, n_text = 1;
    if (argc > 3) cmocka_set_test_filter(argv[3]); // names of tests, with * for the rest
#ifdef HEARTH_CUDA
    k_device *d = k_cuda.open(0, &e);
    if (!d) {
        printf("skipped: %s\n", e.msg);
        return TEST_SKIPPED;
    }
    k_cuda.close(d);
#else
    (void)e;
    printf("skipped: a build without CUDA\n");
    return TEST_SKIPPED;
#endif
#define WITH(of, mixture)                                                                          \
    TEST(greedy_as_on_the_cpu, of, mixture), TEST(runs_repeat, of, mixture),                       \
        TEST(rows_are_steps, of, mixture)
    static const struct mixture fp8 = {K_E4M3, 512, 256, 32, 4, true, NULL},
                                bf16 = {K_BF16, 256, 128, 16, 2, false, NULL},
                                nvfp4 = {K_NVFP4, 512, 256, 32, 4, true, NULL},
                                mxfp4 = {K_MXFP4, 512, 512, 12, 3, true, NULL},
                                odd = {K_E4M3, 192, 40, 9, 3, true, NULL},
                                small_cache = {.kv = "fp8"};
    static const struct oss_shape oss_shape = {448, 320, 8, 2, 64, 4, 3000, 12, 4, 40, 1.5},
                                  plain_shape = {96, 64, 4, 2, 64, 2, 3000, 12, 4, 16, 1.5};
    static const struct mixture oss = {.oss = &oss_shape},
                                oss_fp8 = {.kv = "fp8", .oss = &oss_shape},
                                oss_plain = {.oss = &plain_shape};
    const struct CMUnitTest tests[] = {
        WITH("built-in", NULL),
        WITH("fp8", &fp8),
        WITH("bf16", &bf16),
        WITH("nvfp4", &nvfp4),
        WITH("mxfp4", &mxfp4),
        WITH("odd fp8", &odd),
        WITH("built-in, fp8 cache", &small_cache),
        WITH("gpt-oss", &oss),
        WITH("gpt-oss, fp8 cache", &oss_fp8),
        WITH("odd gpt-oss", &oss_plain),
        TEST(draws_are_those_of_the_definition, "built-in", NULL),
        TEST(draws_are_those_of_the_definition, "fp8", &fp8),
        cmocka_unit_test(test_ways_of_products),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
