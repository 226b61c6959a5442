// If this fails, model_quantize writes another file each time, or FP8 loses more than it did.
#include "test.h"

#include "base/file.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/quantize.h"

#include <jansson.h>
#include <math.h>
#include <unistd.h>

static const char *const trained = HEARTH_SHARED_DIR "/default-model/model";
static const char *const files[] = {"model.safetensors", "config.json", "generation_config.json",
                                    "tokenizer.json", "tokenizer_config.json"};
enum { N_FILE = sizeof files / sizeof *files };

static char *scratch_path(const char *name)
{
    return mem_printf("%s/%s.%ld", HEARTH_BINARY_DIR, name, (long)getpid());
}

static void remove_directory(const char *dir)
{
    for (int i = 0; i < N_FILE; i++) {
        char *path = path_join(dir, files[i]);
        unlink(path);
        free(path);
    }
    rmdir(dir);
}

static void test_the_same_is_made_again(void **state)
{
    (void)state;
    err e = {0};
    char *dir = scratch_path("quantize"), *again = scratch_path("again");
    if (model_quantize(trained, dir, &e)) fail_msg("%s", e.msg);
    if (model_quantize(trained, again, &e)) fail_msg("%s", e.msg);
    for (int i = 0; i < N_FILE; i++) {
        size_t n[2];
        char *path[2] = {path_join(dir, files[i]), path_join(again, files[i])};
        char *text[2] = {file_read(path[0], 1 << 30, &n[0], &e),
                         file_read(path[1], 1 << 30, &n[1], &e)};
        if (!text[0] || !text[1]) fail_msg("%s", e.msg);
        if (n[0] != n[1] || memcmp(text[0], text[1], n[0])) fail_msg("%s differs", files[i]);
        for (int j = 0; j < 2; j++) {
            free(path[j]);
            free(text[j]);
        }
    }
    // What is there is not replaced, and FP8 is not quantised again.
    assert_int_equal(model_quantize(trained, dir, &e), -1);
    assert_non_null(strstr(e.msg, "where nothing is yet"));
    remove_directory(again);
    assert_int_equal(model_quantize(dir, again, &e), -1);
    assert_non_null(strstr(e.msg, "found F8_E4M3"));
    assert_false(file_exists(again));
    remove_directory(dir);
    free(dir);
    free(again);
}

// The loss against bf16

struct side {
    engine *en;
    session *s;
    double *logp; // [n_vocab]
};

static struct side open_side(const char *dir)
{
    err e = {0};
    struct engine_options o = {.model_dir = dir, .backend = "cpu"};
    struct side x = {.en = engine_open(&o, &e)};
    if (!x.en) fail_msg("%s", e.msg);
    x.s = session_new(x.en, &e);
    if (!x.s) fail_msg("%s", e.msg);
    x.logp = mem_new((size_t)engine_info(x.en)->n_vocab * sizeof *x.logp);
    return x;
}

static void close_side(struct side *x)
{
    session_free(x->s);
    engine_close(x->en);
    free(x->logp);
}

static int32_t next_distribution(struct side *x, const int32_t *ids, size_t n)
{
    err e = {0};
    int n_vocab = engine_info(x->en)->n_vocab, best = 0;
    if (session_sync(x->s, ids, n, NULL, NULL, &e)) fail_msg("%s", e.msg);
    const float *logits = session_logits(x->s);
    double sum = 0;
    for (int i = 0; i < n_vocab; i++)
        if (logits[i] > logits[best]) best = i;
    for (int i = 0; i < n_vocab; i++) sum += exp((double)(logits[i] - logits[best]));
    for (int i = 0; i < n_vocab; i++) x->logp[i] = (double)(logits[i] - logits[best]) - log(sum);
    return best;
}

struct loss {
    double nll_bf16, nll_fp8, kl, worst_kl;
    size_t n, n_predicted, n_same;
};

static void add_position(struct loss *sum, struct side *a, struct side *b, const int32_t *ids,
                         size_t n, bool has_next)
{
    int n_vocab = engine_info(a->en)->n_vocab;
    double kl = 0;
    sum->n_same += next_distribution(a, ids, n) == next_distribution(b, ids, n);
    for (int i = 0; i < n_vocab; i++) kl += exp(a->logp[i]) * (a->logp[i] - b->logp[i]);
    sum->kl += kl;
    sum->worst_kl = fmax(sum->worst_kl, kl);
    sum->n++;
    if (!has_next) return;
    sum->nll_bf16 -= a->logp[ids[n]];
    sum->nll_fp8 -= b->logp[ids[n]];
    sum->n_predicted++;
}

static void test_loss_is_as_stated(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__)
    print_message("not measured under sanitizers: it takes all positions to compare the figures\n");
    skip();
#endif
    err e = {0};
    char *dir = scratch_path("loss");
    if (model_quantize(trained, dir, &e)) fail_msg("%s", e.msg);
    struct side a = open_side(trained), b = open_side(dir);
    json_t *doc = json_load_file(HEARTH_SHARED_DIR "/default-model/eval/reference.json", 0, NULL);
    struct loss sum = {0};
    size_t i, j;
    json_t *prompt, *id;
    json_array_foreach(json_object_get(doc, "prompts"), i, prompt)
    {
        int32_t ids[4096];
        size_t n = 0;
        json_array_foreach(json_object_get(prompt, "ids"), j, id)
        {
            ids[n++] = (int32_t)json_integer_value(id);
        }
        for (j = 1; j <= n; j++) add_position(&sum, &a, &b, ids, j, j < n);
    }
    double n = (double)sum.n, n_predicted = (double)sum.n_predicted;
    print_message("%zu positions: mean NLL bf16 %.4f, FP8 %.4f; KL mean %.5f, largest %.4f; same "
                  "greedy token %.2f %%\n",
                  sum.n, sum.nll_bf16 / n_predicted, sum.nll_fp8 / n_predicted, sum.kl / n,
                  sum.worst_kl, 100 * (double)sum.n_same / n);
    // The figures of the model's first version, with room for another order of summation.
    assert_true(fabs(sum.nll_bf16 / n_predicted - 1.0000) < 0.0005);
    assert_true(fabs(sum.nll_fp8 / n_predicted - 1.0008) < 0.0005);
    assert_true(fabs(sum.kl / n - 0.0086) < 0.0002);
    assert_true((double)sum.n_same / n > 0.968);
    json_decref(doc);
    close_side(&a);
    close_side(&b);
    remove_directory(dir);
    free(dir);
}

int main(void)
{
    if (!file_exists(trained)) {
        printf("skipped: no %s\n", trained);
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_is_made_again),
        cmocka_unit_test(test_loss_is_as_stated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
