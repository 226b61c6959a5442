// Free text with tool calls in it. If this fails, a model can name a tool that does not exist,
// leave a call unfinished, or write a call where none may be.
#include "test.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "test_vocab.h"

static const struct grammar_tools_options hermes = {
    .choice = CHOICE_AUTO,
    .parallel = true,
    .begin = "<tool_call>\n",
    .before_name = "{\"name\": \"",
    .after_name = "\", \"arguments\": ",
    .after_args = "}",
    .end = "\n</tool_call>",
    .between = "\n",
    .json = {.spacing = SPACING_PYTHON, .closed = true}};

struct fixture {
    rng r;
    grammar_vocab *v, *plain; // plain: without added tokens
    json_t *path, *sum;
    struct grammar_tool tools[3];
};

static struct fixture f;

static int setup(void **state)
{
    (void)state;
    f.r = rng_seed(21);
    f.v = test_vocab_new(&f.r, 50);
    f.plain = test_vocab_new(&f.r, 20);
    grammar_vocab_release(f.plain);
    for (int i = 0; i < f.plain->n_token; i++)
        if (f.plain->kind[i] == VOCAB_ADDED) {
            ((uint8_t *)f.plain->kind)[i] = VOCAB_SPECIAL;
            ((uint32_t *)f.plain->len)[i] = 0; // it spells nothing
        }
    err e;
    assert_int_equal(grammar_vocab_prepare(f.plain, &e), 0);
    f.path = json_loads("{\"type\": \"object\", \"properties\": {\"path\": {\"type\": \"string\", "
                        "\"maxLength\": 4}},"
                        "\"required\": [\"path\"]}",
                        0, NULL);
    f.sum = json_loads("{\"type\": \"object\", \"properties\": {\"n\": {\"type\": \"array\", "
                       "\"items\": {\"type\": "
                       "\"integer\", \"minimum\": -20, \"maximum\": 300}}}, \"required\": [\"n\"]}",
                       0, NULL);
    f.tools[0] = (struct grammar_tool){"read", f.path};
    f.tools[1] = (struct grammar_tool){"read_all", NULL};
    f.tools[2] = (struct grammar_tool){"s\"um", f.sum};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    test_vocab_free(f.v);
    test_vocab_free(f.plain);
    json_decref(f.path);
    json_decref(f.sum);
    return 0;
}

static grammar *compile(const grammar_vocab *v, struct grammar_tools_options o)
{
    err e;
    o.tools = f.tools;
    o.n_tool = 3;
    grammar *g = grammar_from_tools(v, &o, &e);
    if (!g) fail_msg("%s", e.msg);
    return g;
}

// Feeds text in which {N} stands for the added token N of the vocabulary. False where refused.
static bool feed(const grammar_vocab *v, grammar_state *s, const char *text)
{
    while (*text) {
        size_t n = strcspn(text, "{}");
        const char *marks[] = {"{<tool_call>}", "{</tool_call>}", "{<think>}"};
        bool token = false;
        for (size_t i = 0; i < 3 && !token; i++)
            if (strncmp(text, marks[i], strlen(marks[i])) == 0) {
                char *name = mem_strn(marks[i] + 1, strlen(marks[i]) - 2);
                token = true;
                bool ok = grammar_accept(s, test_vocab_find(v, name, VOCAB_ADDED));
                free(name);
                if (!ok) return false;
                text += strlen(marks[i]);
            }
        if (token) continue;
        if (n == 0) n = 1;
        if (!test_vocab_feed(v, s, &f.r, text, n)) return false;
        text += n;
    }
    return true;
}

enum outcome { REFUSED, OPEN, MAY_END };

struct row {
    const char *text;
    enum outcome outcome;
};

static void check_rows(const grammar_vocab *v, struct grammar_tools_options o,
                       const struct row *rows, size_t n)
{
    grammar *g = compile(v, o);
    for (size_t i = 0; i < n; i++)
        for (int again = 0; again < 5; again++) {
            grammar_state *s = grammar_start(g);
            enum outcome got = !feed(v, s, rows[i].text) ? REFUSED
                               : grammar_may_end(s)      ? MAY_END
                                                         : OPEN;
            if (got != rows[i].outcome)
                fail_msg("'%s': %d, expected %d", rows[i].text, got, rows[i].outcome);
            grammar_state_free(s);
        }
    grammar_free(g);
}

#define CALL             "{<tool_call>}\n{\"name\": \"read\", \"arguments\": {\"path\": \"a\"}}\n{</tool_call>}"
#define ROWS(v, o, rows) check_rows(v, o, rows, sizeof rows / sizeof rows[0])

static void calls_by_token(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"", MAY_END},
        {"hello 漢", MAY_END},
        {"half \xe6\xbc", OPEN},
        {"\xff", REFUSED},
        {"text <tool_call> as bytes", MAY_END},
        {"{<think>}", REFUSED},
        {"{</tool_call>}", REFUSED},
        {"{<tool_call>}", OPEN},
        {CALL, MAY_END},
        {"hi\n" CALL, MAY_END},
        {CALL "\n" CALL, MAY_END},
        {CALL "\n", OPEN},
        {CALL CALL, REFUSED},
        {CALL " more", REFUSED},
        {"{<tool_call>}\n{\"name\": \"read_all\", \"arguments\": {}}\n</tool_call>", MAY_END},
        {"{<tool_call>}\n{\"name\": \"s\\\"um\", \"arguments\": {\"n\": [1, -20, "
         "300]}}\n{</tool_call>}",
         MAY_END},
        {"{<tool_call>}\n{\"name\": \"s\\\"um\", \"arguments\": {\"n\": [301", REFUSED},
        {"{<tool_call>}\n{\"name\": \"write", REFUSED},
        {"{<tool_call>}\n{\"name\": \"read\", \"arguments\": {}", REFUSED},
        {"{<tool_call>}\n{\"name\": \"read\", \"arguments\": {\"path\": \"{</tool_call>}", REFUSED},
        {"{<tool_call>}x", REFUSED},
    };
    ROWS(f.v, hermes, rows);
}

static void calls_by_bytes(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"", MAY_END},
        {"a <tool_call> b", MAY_END},
        {"<tool_call>\n", OPEN},
        {"<<tool_call>\n{\"name\": \"read_all\", \"arguments\": {}}\n</tool_call>", MAY_END},
        {"<tool_call>\nx", REFUSED},
        {"<tool_call>\n{\"name\": \"read_all\", \"arguments\": "
         "{}}\n</tool_call>\n<tool_call>\n{\"name\": \"re",
         OPEN},
        {"<tool_call>\n{\"name\": \"read_all\", \"arguments\": {}}\n</tool_call>\nand", REFUSED},
    };
    ROWS(f.plain, hermes, rows);
}

static void choices(void **state)
{
    (void)state;
    struct grammar_tools_options o = hermes;
    static const struct row none[] = {{"", MAY_END}, {"x", MAY_END}, {"{<tool_call>}", REFUSED}};
    o.choice = CHOICE_NONE;
    ROWS(f.v, o, none);
    static const struct row none_bytes[] = {{"<tool_call>", MAY_END}, {"<tool_call>\n", REFUSED}};
    ROWS(f.plain, o, none_bytes);
    static const struct row required[] = {
        {"", OPEN}, {"x", OPEN}, {CALL, MAY_END}, {CALL "\n" CALL, MAY_END}};
    o.choice = CHOICE_REQUIRED;
    ROWS(f.v, o, required);
    static const struct row at_once[] = {
        {"", OPEN}, {"x", REFUSED}, {CALL, MAY_END}, {CALL "\n" CALL, MAY_END}};
    o.at_once = true;
    ROWS(f.v, o, at_once);
    static const struct row at_once_bytes[] = {{"<tool", OPEN}, {"x", REFUSED}, {"<x", REFUSED}};
    ROWS(f.plain, o, at_once_bytes);
    o.at_once = false;
    o.parallel = false;
    static const struct row single[] = {{CALL, MAY_END}, {CALL "\n", REFUSED}};
    ROWS(f.v, o, single);
    o.choice = CHOICE_NAMED;
    o.named = "read_all";
    static const struct row named[] = {
        {CALL, REFUSED},
        {"{<tool_call>}\n{\"name\": \"read_all\", \"arguments\": {}}\n{</tool_call>}", MAY_END}};
    ROWS(f.v, o, named);
}

static void whole_answer_is_a_call(void **state)
{
    (void)state;
    struct grammar_tools_options o = {.choice = CHOICE_AUTO,
                                      .parallel = true,
                                      .begin = "",
                                      .before_name = "{\"name\": \"",
                                      .after_name = "\", \"parameters\": ",
                                      .after_args = "}",
                                      .end = "",
                                      .between = NULL,
                                      .json = {.spacing = SPACING_PYTHON, .closed = true}};
    static const struct row rows[] = {
        {"", MAY_END},
        {"text", MAY_END},
        {"{\"name", MAY_END},
        {"{\"nam 漢", MAY_END},
        {"{\"name\": \"", OPEN},
        {"{\"name\": \"x", REFUSED},
        {"{\"name\": \"read_all\", \"parameters\": {}}", MAY_END},
        {"{\"name\": \"read_all\", \"parameters\": {}}x", REFUSED},
        {" {\"name\": \"x", MAY_END},
    };
    ROWS(f.v, o, rows);
    o.choice = CHOICE_REQUIRED;
    static const struct row required[] = {{"", OPEN}, {"t", REFUSED}, {"{\"name\": \"read", OPEN}};
    ROWS(f.v, o, required);
}

static bool bit(const uint64_t *bits, int32_t t)
{
    return bits[t / 64] >> (t % 64) & 1;
}

// Random walks: fast == slow, never a dead end, within the budget, calls parse and fit.
static void random_walks(void **state)
{
    (void)state;
    uint64_t *bits = mem_new(8 * (size_t)(f.v->n_token / 64 + 1)),
             *slow = mem_new(8 * (size_t)(f.v->n_token / 64 + 1));
    int calls = 0;
    for (int i = 0; i < 240; i++) {
        const grammar_vocab *v = i % 3 ? f.v : f.plain;
        struct grammar_tools_options o = hermes;
        o.choice = i % 4 == 0 ? CHOICE_AUTO : i % 4 == 1 ? CHOICE_NONE : CHOICE_REQUIRED;
        o.parallel = i % 5 > 1;
        grammar *g = compile(v, o);
        grammar_state *s = grammar_start(g);
        buf text = buf_new(100000);
        int budget = grammar_shortest_finish(s) + (int)rng_below(&f.r, 60);
        for (int32_t t = -1; t != v->end; budget--) {
            int n = grammar_mask(s, budget, bits);
            assert_int_equal(n, grammar_mask_slow(s, budget, slow));
            assert_memory_equal(bits, slow, (size_t)(v->n_token + 63) / 64 * 8);
            if (n == 0) fail_msg("dead end after %s", buf_text(&text));
            uint64_t total = 0;
            for (int32_t k = 0; k < v->n_token; k++) {
                uint64_t weight = !bit(bits, k) ? 0 : v->kind[k] == VOCAB_TEXT ? 1 : 30;
                total += weight;
                if (weight && rng_below(&f.r, total) < weight) t = k;
            }
            assert_true(grammar_accept(s, t));
            if (t != v->end) buf_put(&text, v->bytes[t], v->len[t]);
        }
        assert_true(budget >= 0);
        assert_int_equal(grammar_mask(s, -1, bits), 0);
        const char *at = text.n ? memmem(text.p, text.n, "\", \"arguments\": ", 16) : NULL;
        assert_true(o.choice != CHOICE_REQUIRED || at);
        assert_int_equal(utf8_valid_prefix(text.p, text.n), text.n);
        calls += o.choice == CHOICE_REQUIRED;
        buf_free(&text);
        grammar_state_free(s);
        grammar_free(g);
    }
    assert_true(calls > 50);
    free(bits);
    free(slow);
}

static void in_call(void **state)
{
    (void)state;
    grammar *g = compile(f.v, hermes);
    grammar_state *s = grammar_start(g);
    assert_true(feed(f.v, s, "hi "));
    assert_false(grammar_in_call(s));
    assert_true(feed(f.v, s, "{<tool_call>}"));
    assert_true(grammar_in_call(s));
    assert_true(feed(f.v, s, "\n{\"name\": \"read\", \"arguments\": {\"path\": \"a"));
    assert_true(grammar_in_call(s));
    assert_true(feed(f.v, s, "\"}}\n{</tool_call>}"));
    assert_false(grammar_in_call(s));
    assert_true(feed(f.v, s, "\n"));
    assert_false(grammar_in_call(s));
    assert_true(grammar_shortest_finish(s) < 60);
    assert_true(grammar_bytes(g) > 0);
    grammar_state_free(s);
    grammar_free(g);
}

static void bad_tools(void **state)
{
    (void)state;
    json_t *reference =
        json_loads("{\"properties\": {\"a\": {\"pattern\": \"(a)\\\\1\"}}}", 0, NULL);
    json_t *number = json_loads("{\"type\": \"integer\"}", 0, NULL);
    const struct {
        struct grammar_tool tools[2];
        size_t n;
        enum tool_choice choice;
        const char *named, *message;
    } rows[] = {
        {{{"a", reference}},
         1,
         CHOICE_AUTO,
         NULL,
         "tool a: parameters: #/properties/a/pattern: back-references are not enforced (at byte 5 "
         "of "
         "the pattern)"},
        {{{"a", number}},
         1,
         CHOICE_AUTO,
         NULL,
         "tool a: parameters: #: no value of reasonable length satisfies this schema"},
        {{{"a", NULL}, {"a", NULL}}, 2, CHOICE_AUTO, NULL, "tool a: declared twice"},
        {{{"", NULL}}, 1, CHOICE_AUTO, NULL, "tool 0 has no name"},
        {{{"a", NULL}}, 1, CHOICE_NAMED, "b", "tool b: required by name, but not among the tools"},
        {{{"a", NULL}}, 0, CHOICE_REQUIRED, NULL, "a tool call is required, but there is no tool"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        err e = {0};
        struct grammar_tools_options o = hermes;
        o.tools = rows[i].tools;
        o.n_tool = rows[i].n;
        o.choice = rows[i].choice;
        o.named = rows[i].named;
        assert_null(grammar_from_tools(f.v, &o, &e));
        assert_string_equal(e.msg, rows[i].message);
    }
    json_decref(reference);
    json_decref(number);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_by_token), cmocka_unit_test(calls_by_bytes),
        cmocka_unit_test(choices),        cmocka_unit_test(whole_answer_is_a_call),
        cmocka_unit_test(random_walks),   cmocka_unit_test(in_call),
        cmocka_unit_test(bad_tools),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
