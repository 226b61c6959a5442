// Calls and tags in other spellings. A decoder can be too strict without anyone seeing it: whatever
// spelling the options allow (white space, escapes, order of keys, forms of numbers) and however it
// is cut into tokens, a valid call must be accepted, by every format. If this fails, a model is
// kept from writing what it was trained to write.
#include "test.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "engine/schema.h"
#include "test_vocab.h"

#include <stdlib.h>
#include <string.h>

static rng r;
static grammar_vocab *vocab;

static int setup(void **state)
{
    (void)state;
    r = rng_seed(31);
    vocab = test_vocab_new(&r, 80);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    test_vocab_free(vocab);
    return 0;
}

// ---- random spelling ----

static void put_gap(const struct grammar_options *o, bool usual, buf *out)
{
    if (o->spacing != SPACING_FLEXIBLE) {
        if (usual && o->spacing == SPACING_PYTHON) buf_byte(out, ' ');
        return;
    }
    for (uint64_t n = rng_below(&r, 2) ? 0 : 1 + rng_below(&r, 4); n; n--)
        buf_byte(out, " \n\t\r"[rng_below(&r, 4)]);
}

static void put_escape(uint32_t c, buf *out)
{
    if (c >= 0x10000) {
        put_escape(0xd800 + ((c - 0x10000) >> 10), out);
        put_escape(0xdc00 + ((c - 0x10000) & 0x3ff), out);
        return;
    }
    buf_printf(out, rng_below(&r, 2) ? "\\u%04x" : "\\u%04X", c);
}

static void put_string(const struct grammar_options *o, const char *s, buf *out)
{
    static const char codes[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    buf_byte(out, '"');
    for (size_t i = 0, n = strlen(s); i < n;) {
        uint32_t c;
        int len = utf8_decode(s + i, n - i, &c);
        const char *at = c < 0x80 ? strchr(codes, (int)c) : NULL;
        bool any = o->escapes == ESCAPES_ANY;
        if (at && (!any || rng_below(&r, 2)))
            buf_printf(out, "\\%c", letters[at - codes]);
        else if (at || c < 0x20 || (any && rng_below(&r, 4) == 0))
            if (any)
                put_escape(c, out);
            else
                buf_printf(out, "\\u%04x", c);
        else if (any && c == '/' && rng_below(&r, 2))
            buf_str(out, "\\/");
        else
            buf_put(out, s + i, (size_t)len);
        i += (size_t)len;
    }
    buf_byte(out, '"');
}

static void put_value(const struct grammar_options *o, const json_t *v, buf *out)
{
    if (json_is_integer(v)) {
        static const char *const forms[] = {"%lld",    "%lld",   "%lld.0",
                                            "%lld.00", "%llde0", "%lldE+0"};
        // A whole number may end in zeros; an exponent goes with one digit before the point.
        long long n = json_integer_value(v);
        buf_printf(out, forms[rng_below(&r, n > -10 && n < 10 ? 6 : 4)], n);
    } else if (json_is_real(v)) {
        buf_printf(out, rng_below(&r, 2) ? "%.2f" : "%.3f", json_real_value(v));
    } else if (json_is_string(v)) {
        put_string(o, json_string_value(v), out);
    } else if (json_is_array(v)) {
        buf_byte(out, '[');
        for (size_t i = 0; i < json_array_size(v); i++) {
            if (i) buf_byte(out, ',');
            put_gap(o, i > 0, out);
            put_value(o, json_array_get(v, i), out);
            if (o->spacing == SPACING_FLEXIBLE) put_gap(o, false, out);
        }
        buf_byte(out, ']');
    } else if (json_is_object(v)) {
        const char *key, *keys[16];
        json_t *item;
        size_t n = 0;
        json_object_foreach((json_t *)v, key, item) keys[n++] = key;
        for (size_t i = n; o->order == ORDER_ANY && i > 1; i--) {
            size_t k = rng_below(&r, i);
            const char *swap = keys[k];
            keys[k] = keys[i - 1];
            keys[i - 1] = swap;
        }
        buf_byte(out, '{');
        for (size_t i = 0; i < n; i++) {
            if (i) buf_byte(out, ',');
            put_gap(o, i > 0, out);
            put_string(o, keys[i], out);
            if (o->spacing == SPACING_FLEXIBLE) put_gap(o, false, out);
            buf_byte(out, ':');
            put_gap(o, true, out);
            put_value(o, json_object_get(v, keys[i]), out);
            if (o->spacing == SPACING_FLEXIBLE) put_gap(o, false, out);
        }
        buf_byte(out, '}');
    } else {
        buf_str(out, json_is_null(v) ? "null" : json_is_true(v) ? "true" : "false");
    }
}

// ---- formats ----

static const struct {
    const char *schema, *doc;
} cases[] = {
    {"{\"type\": \"object\", \"properties\": {\"path\": {\"type\": \"string\"}, \"n\": {\"type\": "
     "\"integer\", \"minimum\": 0, "
     "\"maximum\": 500}}, \"required\": [\"path\"], \"additionalProperties\": false}",
     "{\"path\": \"a/b \\\"c\\\" \\\\ \\n\\u0001 漢 😀\", \"n\": 120}"},
    {"{\"type\": \"object\", \"properties\": {\"list\": {\"type\": \"array\", \"items\": "
     "{\"type\": [\"number\", \"null\", "
     "\"boolean\"]}, \"minItems\": 2}, \"sub\": {\"type\": \"object\", \"properties\": {\"x\": {}, "
     "\"y\": {}}}}}",
     "{\"list\": [1.25, -7, null, true, 0], \"sub\": {\"x\": [], \"y\": {\"z\": \"\"}}}"},
    {"{\"type\": \"object\", \"properties\": {\"kind\": {\"enum\": [\"a/b\", \"né\", 3]}, "
     "\"when\": {\"type\": \"string\", "
     "\"format\": \"date\"}, \"id\": {\"type\": \"string\", \"pattern\": \"^[a-f0-9]{4}$\"}}, "
     "\"required\": [\"kind\", \"id\"]}",
     "{\"kind\": \"né\", \"when\": \"2024-02-29\", \"id\": \"00af\"}"},
    {"{\"type\": \"object\", \"patternProperties\": {\"^k\": {\"type\": \"integer\"}}, "
     "\"additionalProperties\": {\"type\": "
     "\"string\"}, \"minProperties\": 2}",
     "{\"k1\": 3, \"other\": \"x\", \"k/é\": -4}"},
    {"{\"type\": \"object\", \"properties\": {\"tags\": {\"type\": \"array\", \"uniqueItems\": "
     "true, \"items\": {\"type\": "
     "\"string\", \"minLength\": 1}}, \"v\": {\"oneOf\": [{\"type\": \"integer\"}, {\"type\": "
     "\"string\"}]}}}",
     "{\"tags\": [\"a\", \"b\", \"\\t\"], \"v\": 12}"},
};
enum { N_CASE = sizeof cases / sizeof *cases, N_FORMAT = 5 };

struct format {
    grammar *g;
    const char *before, *after; // {NAME} stands for an added token
};

static struct format tool_format(const json_t *schema, const struct grammar_options *json,
                                 int which)
{
    const struct grammar_tool tool = {"call_me", schema};
    struct grammar_tools_options o = {.tools = &tool,
                                      .n_tool = 1,
                                      .choice = CHOICE_REQUIRED,
                                      .begin = which == 0   ? "<tool_call>\n"
                                               : which == 1 ? "[call]"
                                                            : "",
                                      .before_name = "{\"name\": \"",
                                      .after_name = "\", \"arguments\": ",
                                      .after_args = "}",
                                      .end = which == 0   ? "\n</tool_call>"
                                             : which == 1 ? "[end]"
                                                          : "",
                                      .between = which < 2 ? "\n" : NULL,
                                      .parallel = true,
                                      .json = *json};
    static const struct format around[] = {
        {NULL, "so {<tool_call>}\n{\"name\": \"call_me\", \"arguments\": ", "}\n{</tool_call>}"},
        {NULL, "so [ca[call]{\"name\": \"call_me\", \"arguments\": ", "}[end]"},
        {NULL, "{\"name\": \"call_me\", \"arguments\": ", "}"}};
    struct format f = around[which];
    err e;
    f.g = grammar_from_tools(vocab, &o, &e);
    if (!f.g) fail_msg("%s", e.msg);
    return f;
}

static struct format tag_format(json_t *schema, const struct grammar_options *json, int which)
{
    static const struct format around[] = {{NULL, "text <f <f=call_me>", "</f> more"},
                                           {NULL, "{<think>}hm {{</think>}", "{<tool_call>}"}};
    json_t *content = json_pack("{s:s, s:O}", "type", "json_schema", "json_schema", schema), *o;
    if (which == 0)
        o = json_pack("{s:s, s:[s], s:[{s:s, s:o, s:s}]}", "type", "triggered_tags", "triggers",
                      "<f=", "tags", "begin", "<f=call_me>", "content", content, "end", "</f>");
    else
        o = json_pack("{s:s, s:[{s:s, s:s, s:s}, o, {s:s, s:s}]}", "type", "sequence", "elements",
                      "type", "reasoning", "begin", "<think>", "end", "</think>", content, "type",
                      "token", "token", "<tool_call>");
    struct format f = around[which];
    err e;
    f.g = grammar_from_tags(vocab, o, json, &e);
    if (!f.g) fail_msg("%s", e.msg);
    json_decref(o);
    return f;
}

static bool feed(grammar_state *s, const char *text, size_t n)
{
    static const char *const names[] = {"{<think>}", "{</think>}", "{<tool_call>}",
                                        "{</tool_call>}"};
    size_t from = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < 4; k++) {
            size_t len = strlen(names[k]);
            if (n - i < len || memcmp(text + i, names[k], len) != 0) continue;
            if (!test_vocab_feed(vocab, s, &r, text + from, i - from)) return false;
            char *name = mem_strn(names[k] + 1, len - 2);
            bool ok = grammar_accept(s, test_vocab_find(vocab, name, VOCAB_ADDED));
            free(name);
            if (!ok) return false;
            from = i + len;
        }
    return test_vocab_feed(vocab, s, &r, text + from, n - from);
}

static void valid_calls_are_accepted_in_any_spelling(void **state)
{
    (void)state;
    for (int i = 0; i < N_CASE * N_FORMAT * 6; i++) {
        int which = i % N_FORMAT;
        json_t *schema = json_loads(cases[i / N_FORMAT % N_CASE].schema, 0, NULL);
        json_t *doc = json_loads(cases[i / N_FORMAT % N_CASE].doc, 0, NULL);
        struct grammar_options o = {.spacing = (enum grammar_spacing)rng_below(&r, 3),
                                    .order = rng_below(&r, 2) ? ORDER_ANY : ORDER_SCHEMA,
                                    .escapes = rng_below(&r, 3) ? ESCAPES_ANY : ESCAPES_MINIMAL};
        struct format f =
            which < 3 ? tool_format(schema, &o, which) : tag_format(schema, &o, which - 3);
        for (int k = 0; k < 12; k++) {
            buf text = buf_new(100000);
            buf_str(&text, f.before);
            size_t from = text.n;
            put_value(&o, doc, &text);
            json_t *again = json_loadb(text.p + from, text.n - from, 0, NULL);
            err e;
            if (!again || schema_validate(schema, again, &e))
                fail_msg("the test's own spelling: %s", buf_text(&text));
            json_decref(again);
            buf_str(&text, f.after);
            grammar_state *s = grammar_start(f.g);
            if (!feed(s, text.p, text.n) || !grammar_may_end(s))
                fail_msg("format %d refuses %s", which, buf_text(&text));
            grammar_state_free(s);
            buf_free(&text);
        }
        grammar_free(f.g);
        json_decref(schema);
        json_decref(doc);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_calls_are_accepted_in_any_spelling),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
