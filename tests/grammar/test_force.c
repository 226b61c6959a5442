// Tokens that are taken without asking the model. If this fails, the model is fed a text cut in
// another way than its tokenizer cuts it: every document here is replayed by the tokenizer's own
// tokens, and whatever is forced on the way must be those that come next.
#include "test.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "engine/json_write.h"
#include "engine/lines.h"
#include "engine/tokenizer.h"
#include "engine/vocab.h"
#include "random_schema.h"

static tokenizer *small;
static grammar_vocab vocab;
static rng r;

static void open_vocabulary(tokenizer **t, grammar_vocab *v, const char *path, const char *end)
{
    err e;
    *t = tokenizer_open(path, &e);
    if (!*t || vocab_make(v, *t, tokenizer_size(*t), tokenizer_id(*t, end), &e))
        fail_msg("%s", e.msg);
}

static int setup(void **state)
{
    (void)state;
    r = rng_seed(77);
    open_vocabulary(&small, &vocab, HEARTH_SOURCE_DIR "/engine/builtin-model/tokenizer.json",
                    "<|im_end|>");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    vocab_free(&vocab);
    tokenizer_close(small);
    return 0;
}

struct tally {
    size_t tokens, forced, exceptions;
};

static bool is_accepted(const grammar *g, const int32_t *ids, size_t n)
{
    grammar_state *s = grammar_start(g);
    bool ok = true;
    for (size_t i = 0; i < n && ok; i++) ok = grammar_accept(s, ids[i]);
    ok = ok && grammar_may_end(s);
    grammar_state_free(s);
    return ok;
}

// Replays ids, which spell a document of g; false where g refuses it (keys in another order).
static bool replay(const grammar_vocab *v, const grammar *g, const int32_t *ids, size_t n,
                   struct tally *t)
{
    enum { MOST = 64 };
    int32_t forced[MOST];
    if (!is_accepted(g, ids, n)) return false;
    grammar_state *s = grammar_start(g);
    size_t known = 0; // tokens that were forced
    for (size_t i = 0; i <= n; i++) {
        size_t m = grammar_force(s, forced, MOST);
        for (size_t k = 0; k < m; k++) {
            bool same = i + k < n && forced[k] == ids[i + k];
            if (same) continue;
            t->exceptions++;
            printf("forced `%.*s` at token %zu of %zu, not `%.*s`\n", (int)v->len[forced[k]],
                   v->bytes[forced[k]], i, n, i + k < n ? (int)v->len[ids[i + k]] : 0,
                   i + k < n ? v->bytes[ids[i + k]] : "");
            break;
        }
        if (i + m > known) {
            t->forced += i + m - (known > i ? known : i);
            known = i + m;
        }
        if (i < n) grammar_accept(s, ids[i]);
    }
    t->tokens += n;
    grammar_state_free(s);
    return true;
}

static void random_documents_stay_canonical(void **state)
{
    (void)state;
    struct tally t = {0};
    for (int i = 0; i < 300; i++) {
        struct grammar_options o = {.spacing = i % 2 ? SPACING_PYTHON : SPACING_COMPACT,
                                    .escapes = ESCAPES_MINIMAL};
        json_t *schema = random_schema(&r);
        err e;
        grammar *g = grammar_from_schema(&vocab, schema, &o, &e);
        for (int k = 0; g && k < 4; k++) {
            buf text = buf_new(10000);
            token_buf ids = {0};
            if (random_document(&r, schema, schema, o.spacing, &text)) {
                tokenizer_encode(small, text.p, text.n, &ids);
                replay(&vocab, g, ids.ids, ids.n, &t);
            }
            token_buf_free(&ids);
            buf_free(&text);
        }
        grammar_free(g);
        json_decref(schema);
    }
    printf("%zu of %zu tokens forced, %zu exceptions\n", t.forced, t.tokens, t.exceptions);
    assert_int_equal(t.exceptions, 0);
    assert_true(t.forced * 20 > t.tokens);
}

// What is forced, written out: added tokens as `<...>`, the others between bars.
static void force_text(grammar_state *s, buf *out)
{
    int32_t ids[64];
    size_t n = grammar_force(s, ids, 64);
    buf_clear(out);
    for (size_t i = 0; i < n; i++) {
        assert_true(grammar_accept(s, ids[i]));
        if (vocab.kind[ids[i]] == VOCAB_TEXT) buf_str(out, "|");
        buf_put(out, vocab.bytes[ids[i]], vocab.len[ids[i]]);
    }
}

static void calls_are_forced_with_their_tags(void **state)
{
    (void)state;
    json_t *args = json_loads("{\"type\": \"object\", \"properties\": {\"op\": {\"enum\": "
                              "[\"add\", \"sub\"]}}, \"required\": [\"op\"]}",
                              0, NULL);
    const struct grammar_tool tool = {"calculate", args};
    struct grammar_tools_options o = {
        .tools = &tool,
        .n_tool = 1,
        .choice = CHOICE_NAMED,
        .named = "calculate",
        .begin = "<tool_call>\n",
        .before_name = "{\"name\": \"",
        .after_name = "\", \"arguments\": ",
        .after_args = "}",
        .end = "\n</tool_call>",
        .json = {.spacing = SPACING_PYTHON, .escapes = ESCAPES_MINIMAL, .closed = true}};
    static const char call[] = "<tool_call>\n{\"name\": \"calculate\", \"arguments\": {\"op\": "
                               "\"add\"}}\n</tool_call>";
    err e;
    grammar *g = grammar_from_tools(&vocab, &o, &e);
    assert_non_null(g);
    grammar_state *s = grammar_start(g);
    buf text = buf_new(10000);
    force_text(s, &text); // free text may come first
    assert_int_equal(text.n, 0);
    token_buf ids = {0};
    tokenizer_encode_template(small, call, NULL, strlen(call), &ids);
    struct tally t = {0};
    assert_true(replay(&vocab, g, ids.ids, ids.n, &t));
    assert_int_equal(t.exceptions, 0);
    assert_true(t.forced * 3 > ids.n * 2);
    assert_true(grammar_accept(s, ids.ids[0]));
    force_text(s, &text);
    assert_non_null(strstr(buf_text(&text), "alcul"));
    token_buf_free(&ids);
    buf_free(&text);
    grammar_state_free(s);
    grammar_free(g);
    json_decref(args);
}

static void the_end_is_forced(void **state)
{
    (void)state;
    json_t *schema = json_loads("{\"const\": {\"answer\": [1, 2, \"three\"]}}", 0, NULL);
    err e;
    struct grammar_options o = {.escapes = ESCAPES_MINIMAL};
    grammar *g = grammar_from_schema(&vocab, schema, &o, &e);
    grammar_state *s = grammar_start(g);
    buf text = buf_new(1000);
    force_text(s, &text);                      // numbers can be spelt in several ways
    assert_int_equal(buf_text(&text)[0], '|'); // something is forced: what may be cut one way only
    assert_false(grammar_must_end(s));
    static const char rest[] = "{\"answer\":[1,2,\"three\"]}";
    token_buf ids = {0};
    tokenizer_encode(small, rest, strlen(rest), &ids);
    struct tally t = {0};
    assert_true(replay(&vocab, g, ids.ids, ids.n, &t));
    assert_int_equal(t.exceptions, 0);
    for (size_t i = grammar_length(s); i < ids.n; i++) assert_true(grammar_accept(s, ids.ids[i]));
    assert_true(grammar_must_end(s));
    assert_true(grammar_accept(s, vocab.end));
    assert_false(grammar_must_end(s));
    token_buf_free(&ids);
    buf_free(&text);
    grammar_state_free(s);
    grammar_free(g);
    json_decref(schema);
}

// The recorded tokens of one line's valid instances, each under the spacing they were written in.
static void replay_line(const grammar_vocab *v, const json_t *schema, const json_t *tests, int i,
                        struct tally *t)
{
    static const char *const names[] = {"compact", "py"};
    struct grammar_options o = {.spacing = i % 2 ? SPACING_PYTHON : SPACING_COMPACT,
                                .escapes = i % 3 ? ESCAPES_MINIMAL : ESCAPES_ANY,
                                .order = i % 5 ? ORDER_SCHEMA : ORDER_ANY};
    err e;
    grammar *g = grammar_from_schema(v, schema, &o, &e);
    size_t k;
    json_t *test;
    json_array_foreach((json_t *)tests, k, test)
    {
        const json_t *list = json_object_get(test, names[i % 2]);
        size_t n = json_array_size(list);
        if (!g || !json_is_true(json_object_get(test, "valid")) || n > 1500) continue;
        int32_t *ids = mem_new((n + 1) * sizeof *ids);
        for (size_t j = 0; j < n; j++)
            ids[j] = (int32_t)json_integer_value(json_array_get(list, j));
        replay(v, g, ids, n, t);
        free(ids);
    }
    grammar_free(g);
}

static void measured_documents_stay_canonical(void **state)
{
    (void)state;
    static const char *const files[] = {
        HEARTH_SHARED_DIR "/assets/tokenizers/derived/llama3/tokenizer.json",
        HEARTH_SHARED_DIR "/assets/constrained/maskbench-dev.jsonl.xz",
        HEARTH_SHARED_DIR "/assets/constrained/maskbench-dev.llama3tok.jsonl.xz"};
    for (int i = 0; i < 3; i++)
        if (!file_exists(files[i])) {
            printf("skipped: there is no %s\n", files[i]);
            skip();
        }
    err e;
    tokenizer *t;
    grammar_vocab v;
    open_vocabulary(&t, &v, files[0], "<|eot_id|>");
    lines *schemas = lines_open(files[1], &e), *tokens = lines_open(files[2], &e);
    assert_true(schemas && tokens);
    const char *text;
    size_t n;
    struct tally sum = {0};
    const char *every = getenv("HEARTH_FORCE_EVERY");
    int step = every ? atoi(every) : 29; // 1: all of them, which takes minutes
    for (int i = 0; lines_next(schemas, &text, &n, &e) > 0; i++) {
        json_t *a = i % step ? NULL : json_loadb(text, n, JSON_ALLOW_NUL, NULL);
        if (lines_next(tokens, &text, &n, &e) <= 0) break;
        json_t *b = a ? json_loadb(text, n, 0, NULL) : NULL;
        if (a && b) {
            assert_string_equal(json_string_value(json_object_get(a, "id")),
                                json_string_value(json_object_get(b, "id")));
            replay_line(&v, json_object_get(a, "schema"), json_object_get(b, "t"), i / step, &sum);
        }
        json_decref(a);
        json_decref(b);
    }
    printf("%zu of %zu tokens forced, %zu exceptions\n", sum.forced, sum.tokens, sum.exceptions);
    assert_int_equal(sum.exceptions, 0);
    assert_true(sum.forced * 20 > sum.tokens);
    lines_close(schemas);
    lines_close(tokens);
    vocab_free(&v);
    tokenizer_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_documents_stay_canonical),
        cmocka_unit_test(calls_are_forced_with_their_tags),
        cmocka_unit_test(the_end_is_forced),
        cmocka_unit_test(measured_documents_stay_canonical),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
