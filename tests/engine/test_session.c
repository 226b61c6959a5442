// If this fails, what the cache holds depends on how the tokens came, a cancelled or refused call
// leaves a timeline that lies, seeds do not repeat, or the shipped model no longer says what it
// said when it was made.
#include "test.h"

#include "base/mem.h"
#include "base/rng.h"
#include "engine/config.h"
#include "engine/decode_bench.h"
#include "engine/engine.h"
#include "engine/product_bench.h"
#include "engine/products.h"
#include "engine/session.h"
#include "tiny_model.h"

#include <math.h>
#include <pthread.h>
#include <time.h>

static const char builtin[] = HEARTH_SOURCE_DIR "/engine/builtin-model";
static const char pinned_file[] = HEARTH_SOURCE_DIR "/tests/engine/builtin_pinned.json";
static engine *en;
static int n_vocab;

static int open_engine(void **state)
{
    (void)state;
    err e = {0};
    struct engine_options o = {.model_dir = builtin, .backend = "cpu", .ctx_max = 600};
    en = engine_open(&o, &e);
    if (!en) fail_msg("%s", e.msg);
    n_vocab = engine_info(en)->n_vocab;
    return 0;
}

static int close_engine(void **state)
{
    (void)state;
    engine_close(en);
    return 0;
}

// Keys and values in e4m3. What differs by the order of sums may then become the next code.
static engine *open_small_cache(void)
{
    err e = {0};
    struct engine_options o = {.model_dir = builtin, .backend = "cpu", .ctx_max = 600, .kv = "fp8"};
    engine *small = engine_open(&o, &e);
    if (!small) fail_msg("%s", e.msg);
    return small;
}

static session *new_session(void)
{
    err e = {0};
    session *s = session_new(en, &e);
    if (!s) fail_msg("%s", e.msg);
    return s;
}

static void random_tokens(int32_t *tokens, size_t n, uint64_t seed)
{
    rng r = rng_seed(seed);
    for (size_t i = 0; i < n; i++) tokens[i] = (int32_t)rng_below(&r, 8176);
}

// Of the largest logit.
static double logits_differ(session *s, const float *want)
{
    double worst = 0, largest = 0;
    for (int i = 0; i < n_vocab; i++) {
        worst = fmax(worst, fabs((double)session_logits(s)[i] - (double)want[i]));
        largest = fmax(largest, fabs((double)want[i]));
    }
    return worst / largest;
}

static float *keep_logits(session *s)
{
    float *p = mem_new((size_t)n_vocab * sizeof *p);
    memcpy(p, session_logits(s), (size_t)n_vocab * sizeof *p);
    return p;
}

// However a timeline is reached, the logits at its end are the same up to the order of sums.
static void check_every_way_to_a_timeline(double limit)
{
    enum { N = 300 };
    err e = {0};
    size_t reused;
    int32_t tokens[N], other[N];
    random_tokens(tokens, N, 1);
    session *s = new_session();
    assert_int_equal(session_sync(s, tokens, N, &reused, NULL, &e), 0);
    assert_int_equal(reused, 0);
    float *want = keep_logits(s);

    assert_int_equal(session_sync(s, tokens, N, &reused, NULL, &e), 0); // already there
    assert_int_equal(reused, N);
    assert_true(logits_differ(s, want) == 0);

    assert_int_equal(session_sync(s, tokens, 100, &reused, NULL, &e), 0); // back
    assert_int_equal(reused, 99);
    assert_int_equal(session_length(s), 100);
    for (size_t i = 100; i < N; i++)
        assert_int_equal(session_step(s, tokens[i], &e), 0); // by steps
    assert_true(logits_differ(s, want) < limit);

    memcpy(other, tokens, sizeof other);
    other[170] ^= 1; // another branch and back again
    assert_int_equal(session_sync(s, other, N, &reused, NULL, &e), 0);
    assert_int_equal(reused, 170);
    assert_true(logits_differ(s, want) > 1e-4);
    assert_int_equal(session_sync(s, tokens, N, &reused, NULL, &e), 0);
    assert_int_equal(reused, 170);
    assert_true(logits_differ(s, want) < limit);

    rng r = rng_seed(2);
    for (int i = 0; i < 12; i++) { // random places
        size_t n = 1 + rng_below(&r, N);
        assert_int_equal(session_sync(s, rng_below(&r, 2) ? other : tokens, n, NULL, NULL, &e), 0);
        assert_int_equal(session_length(s), n);
    }
    assert_int_equal(session_sync(s, tokens, N, NULL, NULL, &e), 0);
    assert_true(logits_differ(s, want) < limit);
    free(want);
    session_free(s);
}

static void test_every_way_to_a_timeline(void **state)
{
    (void)state;
    engine *usual = en;
    check_every_way_to_a_timeline(1e-5);
    en = open_small_cache();
    check_every_way_to_a_timeline(5e-2);
    engine_close(en);
    en = usual;
}

static void *set_after_a_moment(void *flag)
{
    struct timespec moment = {.tv_nsec = 20000000};
    nanosleep(&moment, NULL);
    *(volatile int *)flag = 1;
    return NULL;
}

static void test_cancel_leaves_a_true_timeline(void **state)
{
    (void)state;
    enum { N = 590 };
    err e = {0};
    size_t reused;
    int32_t tokens[N];
    volatile int cancel = 1;
    random_tokens(tokens, N, 3);
    session *s = new_session();
    assert_int_equal(session_sync(s, tokens, N, &reused, &cancel, &e), -1);
    assert_int_equal(e.code, ERR_CANCELLED);
    assert_int_equal(session_length(s), 0);

    pthread_t setter;
    cancel = 0;
    assert_int_equal(pthread_create(&setter, NULL, set_after_a_moment, (void *)&cancel), 0);
    int rc = session_sync(s, tokens, N, &reused, &cancel, &e);
    pthread_join(setter, NULL);
    size_t done = session_length(s);
    if (rc) assert_true(e.code == ERR_CANCELLED && done < N);
    assert_int_equal(session_sync(s, tokens, N, &reused, NULL, &e), 0);
    assert_int_equal(reused, rc ? done : N);
    float *got = keep_logits(s);
    session *fresh = new_session();
    assert_int_equal(session_sync(fresh, tokens, N, NULL, NULL, &e), 0);
    assert_true(logits_differ(fresh, got) < 1e-5);
    free(got);
    session_free(fresh);
    session_free(s);
}

static void test_limits(void **state)
{
    (void)state;
    err e = {0};
    int32_t tokens[601];
    float pooled[512];
    random_tokens(tokens, 601, 4);
    session *s = new_session();
    assert_int_equal(session_ctx_max(s), 600);
    assert_int_equal(session_sync(s, tokens, 601, NULL, NULL, &e), -1);
    assert_int_equal(e.code, ERR_BUDGET);
    assert_int_equal(session_sync(s, tokens, 0, NULL, NULL, &e), -1);
    assert_int_equal(session_sync(s, tokens, 600, NULL, NULL, &e), 0);
    assert_int_equal(session_step(s, 1, &e), -1);
    assert_int_equal(e.code, ERR_BUDGET);
    assert_int_equal(session_length(s), 600);
    for (int i = 0; i < 2; i++) {
        int32_t wrong = i ? n_vocab : -1;
        assert_int_equal(session_sync(s, &wrong, 1, NULL, NULL, &e), -1);
        assert_int_equal(e.code, ERR_INPUT);
        assert_non_null(strstr(e.msg, "outside the vocabulary"));
    }
    assert_int_equal(session_length(s), 600); // a refused call changes nothing
    assert_int_equal(session_embed(s, "", 0, pooled, &e), -1);
    char *longer = mem_new(4000);
    memset(longer, 'x', 4000);
    for (int i = 0; i < 4000; i += 2) longer[i] = '~';
    assert_int_equal(session_embed(s, longer, 4000, pooled, &e), -1);
    assert_int_equal(e.code, ERR_BUDGET);
    free(longer);
    session_free(s);
}

// Unit length, the same for the same text, chunked or not, and closer for closer texts.
static void test_embedding(void **state)
{
    (void)state;
    static const char *const texts[] = {"Turn on the light in the kitchen.",
                                        "Please turn on the kitchen light.",
                                        "SELECT name FROM customers WHERE id = 7;"};
    err e = {0};
    float v[3][512], again[512];
    session *s = new_session();
    int32_t some[50];
    random_tokens(some, 50, 5);
    for (int i = 0; i < 3; i++)
        assert_int_equal(session_embed(s, texts[i], strlen(texts[i]), v[i], &e), 0);
    assert_int_equal(session_sync(s, some, 50, NULL, NULL, &e), 0);
    assert_int_equal(session_embed(s, texts[0], strlen(texts[0]), again, &e), 0);
    assert_int_equal(session_length(s), 0);
    assert_memory_equal(again, v[0], sizeof again);
    double near = 0, far = 0, unit = 0;
    for (int i = 0; i < 512; i++) {
        unit += (double)v[0][i] * (double)v[0][i];
        near += (double)v[0][i] * (double)v[1][i];
        far += (double)v[0][i] * (double)v[2][i];
    }
    assert_true(fabs(unit - 1) < 1e-5);
    assert_true(near > far);
    session_free(s);
}

// Sampling, by the table's operation (tests/kernels/test_sample.c)

static void test_seeds_repeat(void **state)
{
    (void)state;
    enum { N = 30 };
    static const struct sample_options warm = {.temperature = 4, .top_p = 1, .top_k = 200};
    err e = {0};
    int32_t first[N], tokens[20];
    random_tokens(tokens, 20, 6);
    session *s = new_session();
    int n_same_other = 0;
    for (int round = 0; round < 3; round++) {
        session_seed(s, round == 2 ? 8 : 7);
        assert_int_equal(session_sync(s, tokens, 20, NULL, NULL, &e), 0);
        for (int i = 0; i < N; i++) {
            int32_t id = session_sample(s, &warm, NULL);
            if (round == 0) first[i] = id;
            if (round == 1) assert_int_equal(id, first[i]);
            if (round == 2) n_same_other += id == first[i];
            assert_int_equal(session_step(s, id, &e), 0);
        }
    }
    assert_true(n_same_other < N);
    session_free(s);
}

// Two sessions of one engine, each in its own thread, share the device.
static void *decode_alone(void *out)
{
    err e = {0};
    int32_t tokens[40];
    random_tokens(tokens, 40, 12);
    session *s = new_session();
    session_sync(s, tokens, 30, NULL, NULL, &e);
    for (int i = 30; i < 40; i++) session_step(s, tokens[i], &e);
    memcpy(out, session_logits(s), (size_t)n_vocab * sizeof(float));
    session_free(s);
    return NULL;
}

static void test_sessions_in_threads(void **state)
{
    (void)state;
    enum { N = 4 };
    pthread_t threads[N];
    float *out[N + 1];
    for (int i = 0; i <= N; i++) out[i] = mem_new((size_t)n_vocab * sizeof(float));
    for (int i = 0; i < N; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, decode_alone, out[i]), 0);
    for (int i = 0; i < N; i++) pthread_join(threads[i], NULL);
    decode_alone(out[N]);
    for (int i = 0; i <= N; i++) {
        assert_memory_equal(out[i], out[N], (size_t)n_vocab * sizeof(float));
        if (i < N) free(out[i]);
    }
    free(out[N]);
}

// What the shipped model said, by the scalar backend, when it was made: greedy ids token for token,
// and the log-probability of each, to 1e-3 (float32 sums in another order differ by some 1e-5).

static double log_prob(session *s, int32_t id)
{
    const float *x = session_logits(s);
    double largest = -INFINITY, sum = 0;
    for (int i = 0; i < n_vocab; i++) largest = fmax(largest, (double)x[i]);
    for (int i = 0; i < n_vocab; i++) sum += exp((double)x[i] - largest);
    return (double)x[id] - largest - log(sum);
}

// After the model was exchanged: HEARTH_REPIN=1 test_session writes the scalar backend's figures.
static void pin(json_t *prompt, engine *ref)
{
    enum { N_GREEDY = 40 };
    err e = {0};
    token_buf ids = {0};
    static const struct sample_options options = {0};
    const json_t *text = json_object_get(prompt, "text");
    tokenizer_encode_template(engine_tokenizer(ref), json_string_value(text), NULL,
                              json_string_length(text), &ids);
    session *s = session_new(ref, &e);
    if (!s) fail_msg("%s", e.msg);
    double nll = 0;
    for (size_t i = 0; i < ids.n; i++) {
        if (i) nll -= log_prob(s, ids.ids[i]);
        assert_int_equal(session_sync(s, ids.ids, i + 1, NULL, NULL, &e), 0);
    }
    json_t *greedy_ids = json_array(), *logp = json_array();
    for (int i = 0, end = 0; i < N_GREEDY && !end; i++) {
        int32_t id = session_sample(s, &options, NULL);
        json_array_append_new(greedy_ids, json_integer(id));
        json_array_append_new(logp, json_real(round(log_prob(s, id) * 1e5) / 1e5));
        end = engine_is_end(ref, id);
        if (!end) assert_int_equal(session_step(s, id, &e), 0);
    }
    json_object_set_new(prompt, "n_token", json_integer((json_int_t)ids.n));
    json_object_set_new(prompt, "mean_nll",
                        json_real(round(nll / (double)(ids.n - 1) * 1e6) / 1e6));
    json_object_set_new(prompt, "greedy_ids", greedy_ids);
    json_object_set_new(prompt, "greedy_logp", logp);
    session_free(s);
    token_buf_free(&ids);
}

static void pin_all(json_t *doc)
{
    err e = {0};
    struct engine_options o = {.model_dir = builtin, .backend = "ref", .ctx_max = 600};
    engine *ref = engine_open(&o, &e);
    if (!ref) fail_msg("%s", e.msg);
    json_t *prompt;
    size_t p;
    json_array_foreach(json_object_get(doc, "prompts"), p, prompt)
    {
        pin(prompt, ref);
    }
    engine_close(ref);
    assert_int_equal(json_dump_file(doc, pinned_file, JSON_COMPACT | JSON_REAL_PRECISION(7)), 0);
}

static void test_shipped_model_says_what_it_said(void **state)
{
    (void)state;
    static const struct sample_options greedy = {0};
    json_t *doc = json_load_file(pinned_file, 0, NULL), *prompt;
    size_t p;
    assert_true(json_array_size(json_object_get(doc, "prompts")) >= 3);
    if (getenv("HEARTH_REPIN")) pin_all(doc);
    json_array_foreach(json_object_get(doc, "prompts"), p, prompt)
    {
        err e = {0};
        token_buf ids = {0};
        const json_t *text = json_object_get(prompt, "text");
        const json_t *greedy_ids = json_object_get(prompt, "greedy_ids");
        const json_t *logp = json_object_get(prompt, "greedy_logp");
        tokenizer_encode_template(engine_tokenizer(en), json_string_value(text), NULL,
                                  json_string_length(text), &ids);
        assert_int_equal(ids.n, json_integer_value(json_object_get(prompt, "n_token")));
        session *s = new_session();
        double nll = 0;
        for (size_t i = 0; i < ids.n; i++) {
            if (i) nll -= log_prob(s, ids.ids[i]);
            assert_int_equal(session_sync(s, ids.ids, i + 1, NULL, NULL, &e), 0);
        }
        double want = json_number_value(json_object_get(prompt, "mean_nll"));
        assert_true(fabs(nll / (double)(ids.n - 1) - want) < 1e-3);
        for (size_t i = 0; i < json_array_size(greedy_ids); i++) {
            int32_t id = (int32_t)json_integer_value(json_array_get(greedy_ids, i));
            assert_int_equal(session_sample(s, &greedy, NULL), id);
            double p_want = json_number_value(json_array_get(logp, i));
            assert_true(fabs(log_prob(s, id) - p_want) < 1e-3);
            assert_int_equal(session_step(s, id, &e), 0);
        }
        session_free(s);
        token_buf_free(&ids);
    }
    json_decref(doc);
}

// With keys and values in e4m3 it says nearly the same, along the texts and its own continuations.
static void test_small_cache_says_nearly_the_same(void **state)
{
    (void)state;
    enum { N_STEP = 100 };
    static const struct sample_options greedy = {0};
    json_t *doc = json_load_file(pinned_file, 0, NULL), *prompt;
    engine *small = open_small_cache();
    int n = 0, n_same = 0;
    double worst = 0;
    size_t p;
    assert_true(engine_info(small)->plan.cache < engine_info(en)->plan.cache / 3);
    json_array_foreach(json_object_get(doc, "prompts"), p, prompt)
    {
        err e = {0};
        token_buf ids = {0};
        const json_t *text = json_object_get(prompt, "text");
        tokenizer_encode_template(engine_tokenizer(en), json_string_value(text), NULL,
                                  json_string_length(text), &ids);
        session *a = session_new(en, &e), *b = session_new(small, &e);
        assert_int_equal(session_sync(a, ids.ids, ids.n, NULL, NULL, &e), 0);
        assert_int_equal(session_sync(b, ids.ids, ids.n, NULL, NULL, &e), 0);
        for (int i = 0; i < N_STEP && session_length(a) < 600; i++) {
            int32_t id = session_sample(a, &greedy, NULL);
            n++;
            n_same += session_sample(b, &greedy, NULL) == id;
            worst = fmax(worst, fabs(log_prob(a, id) - log_prob(b, id)));
            if (engine_is_end(en, id)) break;
            assert_int_equal(session_step(a, id, &e), 0);
            assert_int_equal(session_step(b, id, &e), 0);
        }
        session_free(a);
        session_free(b);
        token_buf_free(&ids);
    }
    print_message("%d of %d greedy tokens are the same, log-probabilities differ by at most %.2g\n",
                  n_same, n, worst);
    assert_true(n > 50 && n_same * 10 >= n * 9);
    engine_close(small);
    json_decref(doc);
}

// The facts engine_info states about it.
static void test_info(void **state)
{
    (void)state;
    const struct engine_info *f = engine_info(en);
    assert_string_equal(f->architecture, "qwen3");
    assert_string_equal(f->weight_type, "fp8_e4m3");
    assert_int_equal(f->n_layer, 12);
    assert_int_equal(f->n_parameter, 30947328);
    assert_true(f->weight_bytes > 35000000 && f->weight_bytes < 36000000);
    assert_true(f->weight_bytes_per_token <= f->weight_bytes);
    assert_int_equal(strlen(f->digest), 64);
    assert_int_equal(tokenizer_eos(engine_tokenizer(en)), 8178);
    assert_non_null(engine_chat_template(en));
}

// Llama 3.1's frequencies by the formula as published, with its three branches.
static void test_llama3_rope(void **state)
{
    (void)state;
    static const char text[] =
        "{\"architectures\": [\"LlamaForCausalLM\"], \"hidden_size\": 2048, \"num_hidden_layers\": "
        "16,"
        "\"num_attention_heads\": 32, \"num_key_value_heads\": 8, \"intermediate_size\": 8192,"
        "\"vocab_size\": 128256, \"max_position_embeddings\": 131072, \"rope_theta\": 500000.0,"
        "\"rope_scaling\": {\"factor\": 32.0, \"high_freq_factor\": 4.0, \"low_freq_factor\": 1.0,"
        "\"original_max_position_embeddings\": 8192, \"rope_type\": \"llama3\"}}";
    err e = {0};
    struct config c;
    int n_kept = 0, n_slowed = 0, n_blended = 0;
    if (config_parse(&c, text, sizeof text - 1, "there", &e)) fail_msg("%s", e.msg);
    for (int i = 0; i < 32; i++) {
        double f = pow(500000.0, -i / 32.0), wave = 2 * M_PI / f, want;
        if (wave < 8192 / 4.0) {
            want = f;
            n_kept++;
        } else if (wave > 8192 / 1.0) {
            want = f / 32;
            n_slowed++;
        } else {
            double smooth = (8192 / wave - 1) / (4 - 1);
            want = (1 - smooth) * f / 32 + smooth * f;
            n_blended++;
        }
        assert_true(fabs(c.inv_freq[i] - want) <= 1e-12 * want);
    }
    assert_true(n_kept && n_slowed && n_blended);
}

static void test_product_bench(void **state)
{
    (void)state;
    err e = {0};
    struct product_bench_result r;
    struct product_bench_options o = {.weights = "nvfp4",
                                      .backend = "cpu",
                                      .n_thread = 1,
                                      .n_row = 48,
                                      .n_col = 64,
                                      .n_token = 2,
                                      .repeat = 2};
    if (product_bench(&o, &r, &e)) fail_msg("%s", e.msg);
    assert_true(r.us > 0 && r.gbps > 0 && r.read_gbps > 0 && r.in_turn_us > 0);
    o.weights = "fp5";
    assert_int_equal(product_bench(&o, &r, &e), -1);
    assert_non_null(strstr(e.msg, "fp5"));
    o.n_col = 33;
    assert_int_equal(product_bench(&o, &r, &e), -1);
    assert_int_equal(e.code, ERR_USAGE);
}

// A step of several tokens is as many steps of one.
static void test_steps_of_several(void **state)
{
    (void)state;
    err e = {0};
    const int32_t tokens[] = {5, 900, 17, 4, 4, 1200, 77, 300, 12, 13, 14};
    session *one = session_new(en, &e), *many = session_new(en, &e);
    for (int at = 0, n = 1; at < 10; at += n, n = n % 4 + 1) {
        if (session_steps(many, tokens + at, n, &e)) fail_msg("%s", e.msg);
        for (int i = 0; i < n; i++)
            if (session_step(one, tokens[at + i], &e)) fail_msg("%s", e.msg);
        assert_int_equal(session_length(many), session_length(one));
        const float *a = session_logits(one), *b = session_logits(many);
        for (int i = 0; i < engine_info(en)->n_vocab; i++)
            assert_true(fabs((double)a[i] - (double)b[i]) < 1e-3);
    }
    session_free(one);
    session_free(many);
}

// However many tokens are appended at once, in one call or in two halves.
static void test_appending_many(void **state)
{
    (void)state;
    err e = {0};
    int32_t tokens[60];
    random_tokens(tokens, 60, 8);
    session *one = session_new(en, &e), *many = session_new(en, &e);
    for (size_t at = 0, n = 1; at + n <= 60; at += n, n = n * 2 + 1) { // 1, 3, 7, 15, 31
        if (n % 4 == 3) {
            if (session_issue(many, tokens + at, n, &e) || session_await(many, &e))
                fail_msg("%s", e.msg);
        } else if (session_append(many, tokens + at, n, &e)) {
            fail_msg("%s", e.msg);
        }
        for (size_t i = 0; i < n; i++)
            if (session_step(one, tokens[at + i], &e)) fail_msg("%s", e.msg);
        assert_int_equal(session_length(many), session_length(one));
        const float *a = session_logits(one), *b = session_logits(many);
        for (int i = 0; i < engine_info(en)->n_vocab; i++)
            assert_true(fabs((double)a[i] - (double)b[i]) < 1e-2);
    }
    size_t length = session_length(many), room = (size_t)session_ctx_max(many) - length + 1;
    int32_t *too_many = mem_new(room * sizeof *too_many);
    assert_int_equal(session_append(many, too_many, room, &e), -1);
    assert_int_equal(e.code, ERR_BUDGET);
    assert_int_equal(session_length(many), length);
    free(too_many);
    session_free(one);
    session_free(many);
}

static void test_decode_bench(void **state)
{
    (void)state;
    err e = {0};
    struct decode_bench_result r;
    struct decode_bench_options o = {.shape = "builtin",
                                     .weights = "fp8",
                                     .n_prompt = 20,
                                     .n_decode = 5,
                                     .n_row = 1,
                                     .repeat = 3};
    if (decode_bench(&o, &r, NULL, &e)) fail_msg("%s", e.msg);
    assert_true(r.prefill_tps > 0 && r.decode_tps > 0 && r.read_gbps > 0);
    assert_true(r.decode_spread >= 0 && r.ratio > 0);
    assert_string_equal(r.weight_type, "fp8_e4m3");
    // The shape's weights are as large as the model's, up to scales.
    double same =
        (double)r.weight_bytes_per_token / (double)engine_info(en)->weight_bytes_per_token;
    assert_true(fabs(same - 1) < 0.01);
    o.n_row = 3;
    if (decode_bench(&o, &r, NULL, &e)) fail_msg("%s", e.msg);
    double usual = r.kv_bytes_per_token;
    assert_string_equal(r.kv_type, "f32");
    o.kv = "bf16";
    if (decode_bench(&o, &r, NULL, &e)) fail_msg("%s", e.msg);
    assert_string_equal(r.kv_type, "bf16");
    assert_true(fabs(r.kv_bytes_per_token - usual / 2) < 1);
    o.kv = "fp8";
    if (decode_bench(&o, &r, NULL, &e)) fail_msg("%s", e.msg);
    assert_string_equal(r.kv_type, "fp8_e4m3");
    assert_true(fabs(r.kv_bytes_per_token - usual / 4 * 65 / 64) < 1); // a scale for 64 codes
    o.kv = "fp4";
    assert_int_equal(decode_bench(&o, &r, NULL, &e), -1);
    assert_non_null(strstr(e.msg, "kv: backend"));
    o.kv = NULL;
    o.n_row = 9;
    assert_int_equal(decode_bench(&o, &r, NULL, &e), -1);
    assert_non_null(strstr(e.msg, "rows"));
    o.n_row = 1;
    o.model_dir = builtin;
    if (decode_bench(&o, &r, NULL, &e)) fail_msg("%s", e.msg);
    o.n_decode = 5000;
    assert_int_equal(decode_bench(&o, &r, NULL, &e), -1);
    assert_int_equal(e.code, ERR_USAGE);
    o.model_dir = NULL;
    o.shape = "colossus";
    assert_int_equal(decode_bench(&o, &r, NULL, &e), -1);
    assert_non_null(strstr(e.msg, "colossus"));
}

// Every shape of a layer's products once, and nothing to say about them: a CPU has one way.
struct shapes {
    int n, shape[16][2];
};

static void add_shape(void *context, const struct product_kind *k)
{
    struct shapes *s = context;
    assert_true(s->n < 16);
    assert_string_equal(k->how, "");
    assert_string_equal(k->weights, engine_info(en)->weight_type);
    assert_false(k->experts);
    s->shape[s->n][0] = k->n_row;
    s->shape[s->n++][1] = k->n_col;
}

static void test_products(void **state)
{
    (void)state;
    const struct engine_info *i = engine_info(en);
    int q = i->n_head * i->head_dim, kv = i->n_kv_head * i->head_dim;
    const int want[][2] = {
        {q, i->dim}, {kv, i->dim}, {i->dim, q}, {i->ffn_dim, i->dim}, {i->dim, i->ffn_dim}};
    struct shapes s = {0};
    products_of_engine(en, add_shape, &s);
    for (size_t k = 0; k < sizeof want / sizeof *want; k++) {
        int n_found = 0;
        for (int j = 0; j < s.n; j++) n_found += !memcmp(s.shape[j], want[k], sizeof want[k]);
        assert_int_equal(n_found, 1);
    }
    for (int j = 0; j < s.n; j++) {
        bool known = false;
        for (size_t k = 0; k < sizeof want / sizeof *want; k++)
            known |= !memcmp(s.shape[j], want[k], sizeof want[k]);
        assert_true(known);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_way_to_a_timeline),
        cmocka_unit_test(test_cancel_leaves_a_true_timeline),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_embedding),
        cmocka_unit_test(test_seeds_repeat),
        cmocka_unit_test(test_sessions_in_threads),
        cmocka_unit_test(test_shipped_model_says_what_it_said),
        cmocka_unit_test(test_small_cache_says_nearly_the_same),
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_llama3_rope),
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_product_bench),
        cmocka_unit_test(test_steps_of_several),
        cmocka_unit_test(test_appending_many),
        cmocka_unit_test(test_decode_bench),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
