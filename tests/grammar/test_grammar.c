// The constrained decoder against oracles. If this fails, a model is kept from writing what its
// schema allows, may write what it forbids, or is led into a text that cannot be finished.
#include "test.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "oracle.h"
#include "random_schema.h"
#include "engine/schema.h"
#include "test_vocab.h"

#define TEXT_MAX 4000

// Other numbers ask other questions: SEED=7 build/release/test_grammar
static rng seed(uint64_t n)
{
    const char *other = getenv("SEED");
    return rng_seed(other ? strtoull(other, NULL, 10) : n);
}

static char *dump(const json_t *j)
{
    return json_dumps(j, JSON_ENCODE_ANY);
}

static bool bit(const uint64_t *bits, int32_t t)
{
    return bits[t / 64] >> (t % 64) & 1;
}

// A random allowed token, small ones (which close things) a little more often; -1: none.
static int32_t choose(const grammar_vocab *v, const uint64_t *bits, rng *r)
{
    int32_t chosen = -1;
    uint64_t n = 0;
    for (int32_t t = 0; t < v->n_token; t++)
        if (bit(bits, t)) {
            uint64_t weight = t == v->end                                         ? 20
                              : v->len[t] == 1 && strchr("]},\"", v->bytes[t][0]) ? 12
                                                                                  : 1;
            n += weight;
            if (rng_below(r, n) < weight) chosen = t;
        }
    return chosen;
}

struct walk {
    const grammar_vocab *v;
    const json_t *schema;
    enum grammar_spacing spacing;
    grammar *g;
    grammar_state *s;
    char text[TEXT_MAX + 64];
    size_t n;
    uint64_t *fast, *slow;
};

static size_t masks_compared, oracle_questions;

static void fail_walk(struct walk *w, int32_t t, const char *why)
{
    char *text = dump(w->schema);
    fail_msg("%s\nschema %s\nspacing %d\nafter  %.*s\ntoken  %d '%.*s'", why, text, w->spacing,
             (int)w->n, w->text, t, (int)(t >= 0 ? w->v->len[t] : 0), t >= 0 ? w->v->bytes[t] : "");
}

// Every bit of the mask at this place, against the slow twin and the oracle.
static void compare_masks(struct walk *w)
{
    int n = grammar_mask(w->s, -1, w->fast), m = grammar_mask_slow(w->s, -1, w->slow);
    masks_compared++;
    if (n == 0) fail_walk(w, -1, "dead end");
    for (int32_t t = 0; t < w->v->n_token; t++)
        if (bit(w->fast, t) != bit(w->slow, t))
            fail_walk(w, t, bit(w->fast, t) ? "fast only" : "slow only");
    assert_int_equal(n, m);
    for (int32_t t = 0; t < w->v->n_token; t++) {
        bool expected = false;
        if (t == w->v->end) {
            if (w->n > ORACLE_TEXT_MAX) continue;
            expected = oracle_ask(w->schema, w->spacing, w->text, w->n).complete;
        } else if (w->v->kind[t] == VOCAB_TEXT && w->v->len[t] > 0) {
            if (w->n + w->v->len[t] > ORACLE_TEXT_MAX) continue;
            memcpy(w->text + w->n, w->v->bytes[t], w->v->len[t]);
            expected = oracle_ask(w->schema, w->spacing, w->text, w->n + w->v->len[t]).viable;
        }
        oracle_questions++;
        if (bit(w->fast, t) != expected)
            fail_walk(w, t,
                      expected ? "the mask forbids what can be completed"
                               : "the mask allows what cannot be completed");
    }
}

static bool begin_walk(struct walk *w, const grammar_vocab *v, json_t *schema,
                       enum grammar_spacing spacing)
{
    err e;
    oracle_reset();
    *w = (struct walk){.v = v, .schema = schema, .spacing = spacing};
    w->g = grammar_from_schema(v, schema, &(struct grammar_options){.spacing = spacing}, &e);
    if (!w->g) {
        // The generator writes supported keywords only, but also schemas that nothing satisfies,
        // and references that lead in a circle.
        bool empty = strstr(e.msg, "no value of reasonable length") != NULL;
        if (!empty && !strstr(e.msg, "comes back to itself")) fail_walk(w, -1, e.msg);
        if (empty && oracle_ask(schema, spacing, "", 0).viable)
            fail_walk(w, -1, "refused, but satisfiable");
        return false;
    }
    w->s = grammar_start(w->g);
    w->fast = mem_new((size_t)(v->n_token / 64 + 1) * 8);
    w->slow = mem_new((size_t)(v->n_token / 64 + 1) * 8);
    return true;
}

static void end_walk(struct walk *w)
{
    grammar_state_free(w->s);
    grammar_free(w->g);
    free(w->fast);
    free(w->slow);
}

static void take(struct walk *w, int32_t t)
{
    if (!grammar_accept(w->s, t)) fail_walk(w, t, "masked in, but not accepted");
    if (t == w->v->end) return;
    memcpy(w->text + w->n, w->v->bytes[t], w->v->len[t]);
    w->n += w->v->len[t];
}

static void check_document(struct walk *w)
{
    err e;
    json_error_t je;
    json_t *doc = json_loadb(w->text, w->n, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &je);
    // Jansson holds no NUL in keys; everything else must parse.
    if (!doc && strstr(w->text, "\\u0000")) return;
    if (!doc) fail_walk(w, -1, je.text);
    if (schema_validate(w->schema, doc, &e) < 0) fail_walk(w, -1, e.msg);
    json_decref(doc);
}

// Finishes by the shortest way: each token must bring the end nearer.
static void finish(struct walk *w, rng *r)
{
    for (int32_t t = -1; t != w->v->end;) {
        int bound = grammar_shortest_finish(w->s);
        if (grammar_mask(w->s, bound, w->fast) == 0)
            fail_walk(w, t, "no token within the shortest finish");
        t = choose(w->v, w->fast, r);
        take(w, t);
        if (grammar_shortest_finish(w->s) >= bound)
            fail_walk(w, t, "the finish does not come nearer");
    }
    check_document(w);
}

static void masks_are_exact(void **state)
{
    (void)state;
    rng r = seed(11);
    grammar_vocab *v = test_vocab_new(&r, 40);
    int compiled = 0, finished = 0;
    for (int i = 0; i < 260; i++) {
        json_t *schema = random_schema(&r);
        struct walk w;
        enum grammar_spacing spacing = i % 2 ? SPACING_PYTHON : SPACING_COMPACT;
        if (begin_walk(&w, v, schema, spacing)) {
            compiled++;
            int32_t t = -1;
            for (int step = 0; step < 14 && t != v->end; step++) {
                if (i % 2 == 0 || step % 3 == 0)
                    compare_masks(&w);
                else
                    grammar_mask(w.s, -1, w.fast);
                t = choose(v, w.fast, &r);
                take(&w, t);
            }
            if (t == v->end)
                check_document(&w);
            else
                finish(&w, &r);
            finished++;
            end_walk(&w);
        }
        json_decref(schema);
    }
    print_message("%d schemas, %zu masks, %zu questions to the oracle, %d documents valid\n",
                  compiled, masks_compared, oracle_questions, finished);
    assert_true(compiled > 150 && oracle_questions > 100000);
    test_vocab_free(v);
}

// Long random walks: fast mask == slow mask everywhere, and every document is valid.
static void documents_are_valid(void **state)
{
    (void)state;
    rng r = seed(5);
    grammar_vocab *v = test_vocab_new(&r, 60);
    int documents = 0;
    for (int i = 0; i < 900; i++) {
        json_t *schema = random_schema(&r);
        struct walk w;
        if (begin_walk(&w, v, schema, i % 2 ? SPACING_PYTHON : SPACING_COMPACT)) {
            int32_t t = -1;
            for (int step = 0; step < 40 && t != v->end; step++) {
                int n = grammar_mask(w.s, -1, w.fast);
                if (step % 5 == 0) {
                    assert_int_equal(n, grammar_mask_slow(w.s, -1, w.slow));
                    assert_memory_equal(w.fast, w.slow, (size_t)(v->n_token + 63) / 64 * 8);
                }
                t = choose(v, w.fast, &r);
                if (t < 0) fail_walk(&w, t, "dead end");
                take(&w, t);
            }
            if (t == v->end)
                check_document(&w);
            else
                finish(&w, &r);
            documents++;
            end_walk(&w);
        }
        json_decref(schema);
    }
    print_message("%d documents valid\n", documents);
    test_vocab_free(v);
}

// Under every budget from the least upwards, a random walk ends in time with a valid document.
static void budgets_are_kept(void **state)
{
    (void)state;
    rng r = seed(7);
    grammar_vocab *v = test_vocab_new(&r, 30);
    int runs = 0;
    for (int i = 0; i < 160; i++) {
        json_t *schema = random_schema(&r);
        struct walk w;
        for (int extra = 0; extra < 16; extra += 1 + extra / 5) {
            if (!begin_walk(&w, v, schema, i % 2 ? SPACING_PYTHON : SPACING_COMPACT)) break;
            int budget = grammar_shortest_finish(w.s) + extra;
            assert_int_equal(grammar_mask(w.s, grammar_shortest_finish(w.s) - 1, w.fast), 0);
            for (int32_t t = -1; t != v->end; budget--) {
                int n = grammar_mask(w.s, budget, w.fast);
                if (n == 0) fail_walk(&w, t, "dead end under a budget");
                if (runs % 7 == 0) {
                    grammar_mask_slow(w.s, budget, w.slow);
                    assert_memory_equal(w.fast, w.slow, (size_t)(v->n_token + 63) / 64 * 8);
                }
                t = choose(v, w.fast, &r);
                take(&w, t);
            }
            assert_true(budget >= 0);
            check_document(&w);
            end_walk(&w);
            runs++;
        }
        json_decref(schema);
    }
    print_message("%d runs under a budget\n", runs);
    assert_true(runs > 500);
    test_vocab_free(v);
}

// What a separate writer of documents produces is accepted, in any tokenisation.
static void valid_documents_are_accepted(void **state)
{
    (void)state;
    rng r = seed(3);
    grammar_vocab *v = test_vocab_new(&r, 60);
    int accepted = 0;
    for (int i = 0; i < 1500; i++) {
        json_t *schema = random_schema(&r);
        enum grammar_spacing spacing = i % 2 ? SPACING_PYTHON : SPACING_COMPACT;
        buf text = buf_new(100000);
        struct walk w;
        if (random_document(&r, schema, schema, spacing, &text) &&
            begin_walk(&w, v, schema, spacing)) {
            json_t *doc =
                json_loadb(text.p, text.n, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
            assert_non_null(doc);
            w.n = text.n < TEXT_MAX ? text.n : TEXT_MAX;
            memcpy(w.text, text.p, w.n);
            if (!test_vocab_feed(v, w.s, &r, text.p, text.n))
                fail_walk(&w, -1, "a valid document is refused");
            if (!grammar_may_end(w.s))
                fail_walk(&w, -1, "the end is refused after a valid document");
            accepted++;
            json_decref(doc);
            end_walk(&w);
        }
        buf_free(&text);
        json_decref(schema);
    }
    print_message("%d documents accepted\n", accepted);
    assert_true(accepted > 600);
    test_vocab_free(v);
}

// A copy and its original go their own ways.
static void copies_are_independent(void **state)
{
    (void)state;
    rng r = rng_seed(9);
    grammar_vocab *v = test_vocab_new(&r, 10);
    for (int i = 0; i < 120; i++) {
        json_t *schema = random_schema(&r);
        struct walk w;
        if (begin_walk(&w, v, schema, SPACING_COMPACT)) {
            for (int step = 0; step < 6; step++) {
                if (grammar_mask(w.s, -1, w.fast) == 0) break;
                int32_t t = choose(v, w.fast, &r);
                if (t == v->end) break;
                grammar_state *copy = grammar_copy(w.s);
                take(&w, t);
                grammar_mask(copy, -1, w.slow);
                assert_memory_equal(w.fast, w.slow, (size_t)(v->n_token + 63) / 64 * 8);
                int32_t other = choose(v, w.slow, &r);
                grammar_mask(w.s, -1, w.fast);
                assert_true(grammar_accept(copy, other));
                grammar_mask(w.s, -1, w.slow);
                assert_memory_equal(w.fast, w.slow, (size_t)(v->n_token + 63) / 64 * 8);
                grammar_state_free(copy);
            }
            end_walk(&w);
        }
        json_decref(schema);
    }
    test_vocab_free(v);
}

static void forced_bytes(void **state)
{
    (void)state;
    rng r = rng_seed(1);
    err e;
    grammar_vocab *v = test_vocab_new(&r, 0);
    static const struct {
        const char *schema, *written, *forced;
    } rows[] = {
        {"{\"properties\": {\"path\": {\"type\": \"string\"}}, \"required\": [\"path\"]}", "",
         "{\"path\": \""},
        {"{\"enum\": [\"left\", \"lemon\"]}", "", "\"le"},
        {"{\"enum\": [\"left\", \"lemon\"]}", "\"lef", "t\""},
        {"{\"const\": {\"a\": [1, true]}}", "", "{\"a\": [1, true]}"},
        {"{\"type\": \"boolean\"}", "t", "rue"},
        {"{\"type\": \"integer\"}", "1", ""},
        {"{\"type\": \"string\", \"maxLength\": 1}", "\"a", "\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_t *schema = json_loads(rows[i].schema, 0, NULL);
        grammar *g = grammar_from_schema(v, schema, &(struct grammar_options){.spacing = SPACING_PYTHON}, &e);
        assert_non_null(g);
        grammar_state *s = grammar_start(g);
        char out[64] = {0};
        assert_true(test_vocab_feed(v, s, &r, rows[i].written, strlen(rows[i].written)));
        size_t n = grammar_forced(s, out, sizeof out - 1);
        out[n] = 0;
        assert_string_equal(out, rows[i].forced);
        grammar_state_free(s);
        grammar_free(g);
        json_decref(schema);
    }
    test_vocab_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_are_exact),        cmocka_unit_test(documents_are_valid),
        cmocka_unit_test(budgets_are_kept),       cmocka_unit_test(valid_documents_are_accepted),
        cmocka_unit_test(copies_are_independent), cmocka_unit_test(forced_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
