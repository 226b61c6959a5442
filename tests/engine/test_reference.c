// If this fails, the engine computes something other than the model: ids that are not the
// tokenizer's, logits that are not the network's, or a cache whose contents depend on how the
// tokens arrived.
//
// The expected values were made by an independent implementation in float32 (eval/reference.json).
// A sum of n products in float32 in another order differs by about sqrt(n) units in the last place;
// over the depth of this network that comes to 1e-4 on logits of size 20, which is the tolerance
// for every listed logit and log-sum. Greedy continuations must agree token for token.
#include "test.h"

#include "base/file.h"
#include "base/mem.h"
#include "engine/engine.h"

#include <jansson.h>
#include <math.h>

static const char *const model_dir = HEARTH_SHARED_DIR "/default-model/model";
static const double tolerance = 1e-4;

// The sanitizers make both backends several times slower; they then run the shorter prompts only.
#if defined(__SANITIZE_ADDRESS__)
enum { REF_TOKENS_MAX = 50, CPU_TOKENS_MAX = 100 };
#else
enum { REF_TOKENS_MAX = 300, CPU_TOKENS_MAX = 4096 };
#endif

struct fixture {
    const char *backend;
    size_t n_token_max; // longer prompts are left to the other backend
    engine *en;
    session *s;
    json_t *prompts;
};

static json_t *load_prompts(void)
{
    json_t *doc = json_load_file(HEARTH_SHARED_DIR "/default-model/eval/reference.json", 0, NULL);
    json_t *prompts = json_incref(json_object_get(doc, "prompts"));
    json_decref(doc);
    assert_true(json_array_size(prompts) > 0);
    return prompts;
}

static int open_fixture(struct fixture *f)
{
    err e = {0};
    struct engine_options o = {.model_dir = model_dir, .backend = f->backend};
    f->en = engine_open(&o, &e);
    if (!f->en) fail_msg("%s", e.msg);
    f->s = session_new(f->en, &e);
    if (!f->s) fail_msg("%s", e.msg);
    f->prompts = load_prompts();
    return 0;
}

static struct fixture on_ref = {.backend = "ref", .n_token_max = REF_TOKENS_MAX};
static struct fixture on_cpu = {.backend = "cpu", .n_token_max = CPU_TOKENS_MAX};

static int open_ref(void **state)
{
    *state = &on_ref;
    return open_fixture(&on_ref);
}

static int open_cpu(void **state)
{
    *state = &on_cpu;
    return open_fixture(&on_cpu);
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    session_free(f->s);
    engine_close(f->en);
    json_decref(f->prompts);
    return 0;
}

static size_t read_ids(const json_t *list, int32_t **ids)
{
    size_t n = json_array_size(list);
    *ids = mem_new((n + 1) * sizeof **ids);
    for (size_t i = 0; i < n; i++) (*ids)[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return n;
}

static void test_ids_are_exact(void **state)
{
    struct fixture *f = *state;
    size_t i;
    json_t *prompt;
    json_array_foreach(f->prompts, i, prompt)
    {
        int32_t *want;
        size_t n = read_ids(json_object_get(prompt, "ids"), &want);
        const json_t *text = json_object_get(prompt, "text");
        token_buf got = {0};
        tokenizer_encode_template(engine_tokenizer(f->en), json_string_value(text), NULL,
                                  json_string_length(text), &got);
        assert_int_equal(got.n, n);
        assert_memory_equal(got.ids, want, n * sizeof *want);
        token_buf_free(&got);
        free(want);
    }
}

static double log_sum_exp(const float *x, int n)
{
    double largest = -INFINITY, sum = 0;
    for (int i = 0; i < n; i++) largest = fmax(largest, (double)x[i]);
    for (int i = 0; i < n; i++) sum += exp((double)x[i] - largest);
    return largest + log(sum);
}

static double check_row(const struct fixture *f, const json_t *row)
{
    const float *logits = session_logits(f->s);
    double worst = fabs(log_sum_exp(logits, engine_info(f->en)->n_vocab) -
                        json_number_value(json_object_get(row, "logsumexp")));
    size_t i;
    json_t *pair;
    json_array_foreach(json_object_get(row, "top5"), i, pair)
    {
        json_int_t id = json_integer_value(json_array_get(pair, 0));
        double difference = fabs((double)logits[id] - json_number_value(json_array_get(pair, 1)));
        worst = fmax(worst, difference);
    }
    return worst;
}

static void check_greedy(const struct fixture *f, const json_t *prompt, size_t n_prompt)
{
    static const struct sample_options greedy = {0};
    err e = {0};
    int32_t *want;
    size_t n = read_ids(json_object_get(prompt, "greedy_ids"), &want);
    assert_int_equal(session_length(f->s), n_prompt);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(session_sample(f->s, &greedy, NULL), want[i]);
        assert_int_equal(session_step(f->s, want[i], &e), 0);
    }
    free(want);
}

// Every listed position is reached by a sync of its prefix, which reuses the one before.
static void test_logits_and_greedy(void **state)
{
    struct fixture *f = *state;
    size_t i, r, n_left_out = 0;
    json_t *prompt, *row;
    double worst = 0;
    json_array_foreach(f->prompts, i, prompt)
    {
        err e = {0};
        int32_t *ids;
        size_t n = read_ids(json_object_get(prompt, "ids"), &ids);
        if (n > f->n_token_max) {
            n_left_out++;
            free(ids);
            continue;
        }
        json_array_foreach(json_object_get(prompt, "logits"), r, row)
        {
            size_t pos = (size_t)json_integer_value(json_object_get(row, "pos"));
            if (session_sync(f->s, ids, pos + 1, NULL, NULL, &e)) fail_msg("%s", e.msg);
            worst = fmax(worst, check_row(f, row));
        }
        if (session_sync(f->s, ids, n, NULL, NULL, &e)) fail_msg("%s", e.msg);
        check_greedy(f, prompt, n);
        free(ids);
    }
    print_message("%s: largest difference of any listed logit %.1e (tolerance %.0e); %zu long "
                  "prompts left out\n",
                  f->backend, worst, tolerance, n_left_out);
    assert_true(worst < tolerance);
}

int main(void)
{
    if (!file_exists(model_dir)) {
        printf("skipped: no %s\n", model_dir);
        return TEST_SKIPPED;
    }
    const struct CMUnitTest on_each[] = {
        cmocka_unit_test_setup_teardown(test_ids_are_exact, open_ref, close_fixture),
        cmocka_unit_test_setup_teardown(test_logits_and_greedy, open_ref, close_fixture),
        cmocka_unit_test_setup_teardown(test_logits_and_greedy, open_cpu, close_fixture),
    };
    return cmocka_run_group_tests(on_each, NULL, NULL);
}
