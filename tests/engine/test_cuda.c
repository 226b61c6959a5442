// If this fails, the model that runs on the GPU is not the one that runs on the CPU: greedy
// continuations of the built-in model differ where the CPU's logits leave no doubt, a run is not
// repeated bit for bit, or steps of several tokens give other logits than steps of one.
//
// Keys, values and the input of products are shorter on the GPU (bf16 and pairs of bf16), so logits
// differ by a little; a token may differ only where the CPU's two best are nearer than that.
#include "test.h"

#include "base/mem.h"
#include "engine/engine.h"
#include "engine/session.h"

#include <math.h>

enum { N_STEP = 120 };
static const double logit_limit = 0.25;

static const char *model_dir = HEARTH_SOURCE_DIR "/engine/builtin-model";
static const char *const texts[] = {
    "<|im_start|>user\nWhat is 12 + 30?<|im_end|>\n<|im_start|>assistant\n",
    "<|im_start|>user\nTell me a short story about a dog.<|im_end|>\n<|im_start|>assistant\n",
    "<|im_start|>user\nRead the file prices.txt and add up the prices. Then write the sum to a new "
    "file called sum.txt and tell me what you did.<|im_end|>\n<|im_start|>assistant\n",
};
enum { N_TEXT = sizeof texts / sizeof *texts };

struct side {
    engine *en;
    session *s;
};

static struct side open_side(const char *backend)
{
    err e = {0};
    struct engine_options o = {.model_dir = model_dir, .backend = backend};
    struct side x = {.en = engine_open(&o, &e)};
    if (!x.en) fail_msg("%s", e.msg);
    if (!(x.s = session_new(x.en, &e))) fail_msg("%s", e.msg);
    return x;
}

static void close_side(struct side *x)
{
    session_free(x->s);
    engine_close(x->en);
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
    tokenizer_encode_template(engine_tokenizer(x->en), text, NULL, strlen(text), &ids);
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
    int n = engine_info(a->en)->n_vocab;
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
    (void)state;
    struct side gpu = open_side("cuda"), cpu = open_side("cpu");
    double worst = 0;
    int n_differ = 0;
    for (int t = 0; t < N_TEXT; t++) {
        start(&gpu, texts[t]);
        start(&cpu, texts[t]);
        for (int i = 0; i < N_STEP; i++) {
            double differ = largest_difference(&gpu, &cpu);
            if (!(differ <= worst)) worst = differ;
            int32_t mine = greedy(&gpu), want = greedy(&cpu);
            const float *logits = session_logits(cpu.s);
            if (mine != want) {
                n_differ++;
                if (!((double)logits[want] - (double)logits[mine] < 2 * differ))
                    fail_msg("text %d, step %d: token %d, the CPU says %d by %g", t, i, mine, want,
                             (double)logits[want] - (double)logits[mine]);
            }
            step(&gpu, want);
            step(&cpu, want);
        }
    }
    print_message("largest difference of a logit %.3g; %d of %d greedy tokens differ\n", worst,
                  n_differ, N_TEXT * N_STEP);
    assert_true(worst <= logit_limit);
    close_side(&gpu);
    close_side(&cpu);
}

static void test_runs_repeat(void **state)
{
    (void)state;
    int n_vocab = 0;
    float *first = NULL;
    int32_t tokens[N_STEP];
    for (int run = 0; run < 3; run++) {
        struct side gpu = open_side("cuda");
        n_vocab = engine_info(gpu.en)->n_vocab;
        if (!first) first = mem_new((size_t)n_vocab * N_STEP * sizeof *first);
        start(&gpu, texts[2]);
        for (int i = 0; i < N_STEP; i++) {
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

static void test_rows_are_steps(void **state)
{
    (void)state;
    struct side one = open_side("cuda"), many = open_side("cuda");
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
    assert_true(worst <= logit_limit);
    close_side(&one);
    close_side(&many);
}

int main(int argc, char **argv)
{
    err e = {0};
    if (argc > 1) model_dir = argv[1];
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greedy_as_on_the_cpu),
        cmocka_unit_test(test_runs_repeat),
        cmocka_unit_test(test_rows_are_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
