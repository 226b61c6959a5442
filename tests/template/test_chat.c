// Conversations through real templates: the call format is recognised, what the model is made to
// write is what the template writes for the same call, and the model's text comes back as content
// and calls. If this fails, tools are called wrongly or every turn computes its prompt anew.
#include "test.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "engine/chat.h"

static const char *const own[] = {"builtin.jinja", "qwen2.5.jinja", "qwen3.jinja"};

static chat *open_template(const char *dir, const char *name)
{
    err e = {0};
    size_t n;
    char *path = path_join(dir, name), *source = file_read(path, 1 << 20, &n, &e);
    if (!source) fail_msg("%s", e.msg);
    chat *c = chat_open(source, name, "<s>", "<|im_end|>", &e);
    if (!c) fail_msg("%s", e.msg);
    free(source);
    free(path);
    return c;
}

static chat *open_own(const char *name)
{
    return open_template(HEARTH_SOURCE_DIR "/tests/template", name);
}

static void formats_are_recognised(void **state)
{
    (void)state;
    err e;
    for (size_t i = 0; i < 3; i++) {
        struct grammar_tools_options o = {0};
        chat *c = open_own(own[i]);
        assert_int_equal(chat_call_format(c, &o, &e), 0);
        assert_string_equal(o.begin, "<tool_call>\n");
        assert_string_equal(o.after_name, "\", \"arguments\": ");
        assert_string_equal(o.end, "\n</tool_call>");
        assert_string_equal(o.between, "\n");
        assert_int_equal(o.json.spacing, SPACING_PYTHON);
        chat_close(c);
    }
    struct grammar_tools_options o = {0};
    chat *c =
        chat_open("{% for m in messages %}{{ m.content }}{% endfor %}", "plain", NULL, NULL, &e);
    assert_non_null(c);
    assert_int_equal(chat_call_format(c, &o, &e), -1);
    assert_string_equal(e.msg, "plain: the template writes tool calls in no format known here");
    chat_close(c);
}

static void published_formats(void **state)
{
    (void)state;
    static const struct {
        const char *file, *after_name;
    } rows[] = {
        {"NousResearch-Hermes-3-Llama-3.1-8B-tool_use.jinja", "\", \"arguments\": "},
        {"Qwen-Qwen2.5-7B-Instruct.jinja", "\", \"arguments\": "},
        {"meta-llama-Llama-3.1-8B-Instruct.jinja", "\", \"parameters\": "},
        {"meta-llama-Llama-3.2-3B-Instruct.jinja", "\", \"parameters\": "},
        {"meta-llama-Llama-3.3-70B-Instruct.jinja", "\", \"parameters\": "},
    };
    const char *dir = HEARTH_SHARED_DIR "/assets/chat_templates/llama.cpp/templates";
    if (!file_is_dir(dir)) {
        print_message("no %s\n", dir);
        skip();
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        err e;
        struct grammar_tools_options o = {0};
        chat *c = open_template(dir, rows[i].file);
        if (chat_call_format(c, &o, &e) < 0) fail_msg("%s", e.msg);
        assert_string_equal(o.after_name, rows[i].after_name);
        chat_close(c);
    }
}

// The text that the grammar forces for these calls, from the format's own parts.
static char *forced_text(const struct grammar_tools_options *o, const char *const *names,
                         const char *const *arguments, size_t n)
{
    buf b = buf_new(1 << 16);
    for (size_t i = 0; i < n; i++) {
        if (i) buf_str(&b, o->between);
        buf_printf(&b, "%s%s%s%s%s%s%s", o->begin, o->before_name, names[i], o->after_name,
                   arguments[i], o->after_args, o->end);
    }
    return buf_take(&b);
}

// A turn as the model writes it comes back, is rendered again, and the same bytes stand there.
static void calls_render_as_written(void **state)
{
    (void)state;
    static const char *const names[] = {"read_file", "sum"};
    static const char *const arguments[] = {"{\"zeta\": \"ümläut \\\"q\\\" \\n 漢字 😀 "
                                            "<|im_end|>\", \"alpha\": {\"b\": [1, 2.5, -3e-07], "
                                            "\"a\": null}, \"empty\": {}, \"none\": []}",
                                            "{\"x\": 9007199254740993, \"ok\": true}"};
    for (size_t i = 0; i < 3; i++) {
        err e;
        struct grammar_tools_options o = {0};
        chat *c = open_own(own[i]);
        assert_int_equal(chat_call_format(c, &o, &e), 0);
        char *written = forced_text(&o, names, arguments, 2), *content;
        json_t *calls, *call;
        if (chat_parse(c, written, strlen(written), &content, &calls, &e) < 0)
            fail_msg("%s", e.msg);
        assert_string_equal(content, "");
        assert_int_equal(json_array_size(calls), 2);
        json_t *list = json_array();
        size_t k;
        json_array_foreach(calls, k, call) json_array_append_new(
            list, json_pack("{s:s, s:O}", "type", "function", "function", call));
        json_t *messages = json_pack("[{s:s, s:s}, {s:s, s:s, s:o}, {s:s, s:s}]", "role", "user",
                                     "content", "hi", "role", "assistant", "content", content,
                                     "tool_calls", list, "role", "tool", "content", "done");
        // A tokenizer is not needed to compare text; the encoding has its own test.
        tokenizer *t = tokenizer_open(HEARTH_SOURCE_DIR "/tests/template/tiny_tokenizer.json", &e);
        if (!t) fail_msg("%s", e.msg);
        token_buf ids = {0}, prompt_ids = {0};
        char *text, *prompt;
        json_t *before = json_pack("[O]", json_array_get(messages, 0));
        assert_int_equal(chat_render(c, t, messages, NULL, false, &ids, &text, &e), 0);
        assert_int_equal(chat_render(c, t, before, NULL, true, &prompt_ids, &prompt, &e), 0);
        size_t n = strlen(prompt);
        assert_memory_equal(text, prompt, n);
        assert_memory_equal(text + n, written, strlen(written));
        free(text);
        free(prompt);
        free(written);
        free(content);
        token_buf_free(&ids);
        token_buf_free(&prompt_ids);
        tokenizer_close(t);
        json_decref(calls);
        json_decref(messages);
        json_decref(before);
        chat_close(c);
    }
}

static void parsing(void **state)
{
    (void)state;
    static const struct {
        const char *text, *content, *calls, *error;
    } rows[] = {
        {"just text", "just text", "[]", NULL},
        {"", "", "[]", NULL},
        {"Sure.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>", "Sure.",
         "[{\"name\": \"f\", \"arguments\": {}}]", NULL},
        {"<tool_call>{\"name\":\"f\",\"arguments\":{\"a\":\"</tool_call>\"}}</tool_call>\n", "",
         "[{\"name\": \"f\", \"arguments\": {\"a\": \"</tool_call>\"}}]", NULL},
        {"<tool_call>\n{\"name\": \"f\"", NULL, NULL, "tool call: '}' expected"},
        {"<tool_call>\n{\"name\": \"f\", \"arguments\": 1}\n</tool_call>", NULL, NULL,
         "tool call of f: \"arguments\" must be an object"},
        {"<tool_call>\n{\"arguments\": {}}\n</tool_call>", NULL, NULL,
         "tool call: expected an object with a string \"name\""},
        {"<tool_call>\n[]\n</tool_call>", NULL, NULL,
         "tool call: expected an object with a string \"name\""},
        {"<tool_call>\n{\"name\": \"f\", \"arguments\": {}}", NULL, NULL,
         "tool call without its end tag"},
        {"<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call> more", NULL, NULL,
         "text after a tool call"},
    };
    chat *c = open_own("builtin.jinja");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        err e = {0};
        char *content = NULL;
        json_t *calls = NULL, *expected = rows[i].calls ? json_loads(rows[i].calls, 0, NULL) : NULL;
        int rc = chat_parse(c, rows[i].text, strlen(rows[i].text), &content, &calls, &e);
        assert_int_equal(rc, rows[i].error ? -1 : 0);
        if (rows[i].error) {
            assert_int_equal(strncmp(e.msg, rows[i].error, strlen(rows[i].error)), 0);
        } else {
            assert_string_equal(content, rows[i].content);
            assert_true(json_equal(calls, expected));
        }
        free(content);
        json_decref(calls);
        json_decref(expected);
    }
    chat_close(c);
}

// A tokenizer like the one of the tests, with tokens around reasoning.
static tokenizer *reasoning_tokenizer(void)
{
    err e;
    json_error_t bad;
    json_t *o = json_load_file(HEARTH_SOURCE_DIR "/tests/template/tiny_tokenizer.json", 0, &bad);
    json_t *added = json_object_get(o, "added_tokens");
    tokenizer *plain = tokenizer_open(HEARTH_SOURCE_DIR "/tests/template/tiny_tokenizer.json", &e);
    assert_true(added && plain);
    int n = tokenizer_size(plain);
    tokenizer_close(plain);
    static const char *const texts[] = {"<think>", "</think>"};
    for (int i = 0; i < 2; i++) {
        json_t *one = json_deep_copy(json_array_get(added, 0));
        json_object_set_new(one, "id", json_integer(n + i));
        json_object_set_new(one, "content", json_string(texts[i]));
        json_object_set_new(one, "special", json_false());
        json_array_append_new(added, one);
    }
    char *text = json_dumps(o, 0);
    tokenizer *t = tokenizer_parse(text, strlen(text), "test", &e);
    if (!t) fail_msg("%s", e.msg);
    free(text);
    json_decref(o);
    return t;
}

static void reasoning_is_recognised(void **state)
{
    (void)state;
    static const char asked[] = "{{ messages[0].content.split('</think>')[-1] }}";
    static const struct {
        const char *prompt, *begin, *written;
        size_t answer;
    } rows[] = {
        {"", "<think>", "<think>so</think>\n\nyes", 19},
        {"", "<think>", "yes </think>", 0},
        {"", "<think>", "<think>cut off", 0},
        {"<think>\n", "", "so</think>yes", 10},
        {"<think>\n\n</think>\n\n", NULL, "<think></think>x", 0},
    };
    tokenizer *t = reasoning_tokenizer();
    const char *begin, *end;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        err e;
        char *source = mem_printf("%s%s", asked, rows[i].prompt);
        chat *c = chat_open(source, "test", NULL, NULL, &e);
        if (!c) fail_msg("%s", e.msg);
        chat_reasoning(c, t, &begin, &end);
        assert_true((begin == NULL) == (rows[i].begin == NULL) && (begin == NULL) == (end == NULL));
        if (begin) assert_string_equal(begin, rows[i].begin);
        assert_int_equal(chat_answer(c, rows[i].written, strlen(rows[i].written)), rows[i].answer);
        chat_close(c);
        free(source);
    }
    for (size_t i = 0; i < 3; i++) { // of the published ones only Qwen3 reasons
        chat *c = open_own(own[i]);
        chat_reasoning(c, t, &begin, &end);
        assert_int_equal(end != NULL, strcmp(own[i], "qwen3.jinja") == 0);
        chat_close(c);
    }
    tokenizer_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_are_recognised),  cmocka_unit_test(published_formats),
        cmocka_unit_test(calls_render_as_written), cmocka_unit_test(parsing),
        cmocka_unit_test(reasoning_is_recognised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
