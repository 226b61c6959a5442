// Conversations to tokens and back. The format in which a model writes tool calls is not guessed
// from the template's source: each format known here renders a probe call, and is the template's
// format when the template's own rendering of the same call holds exactly those bytes. So what the
// grammar makes the model write is what the template writes for the same call next turn, and the
// KV cache stays valid.
#include "engine/chat.h"

#include "base/buf.h"
#include "base/mem.h"
#include "engine/jinja.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

// One way of writing calls. `between` NULL: the format has no second call in a turn; begin "": the
// call is the whole answer.
struct call_format {
    const char *begin, *before_name, *after_name, *after_args, *end, *between;
    const char *arguments_key;
};

static const struct call_format formats[] = {
    {"<tool_call>\n", "{\"name\": \"", "\", \"arguments\": ", "}", "\n</tool_call>", "\n",
     "arguments"},
    {"", "{\"name\": \"", "\", \"parameters\": ", "}", "", NULL, "parameters"},
};

struct chat {
    jinja *template;
    char *where;
    json_t *bos, *eos;
    const struct call_format *format; // NULL: none known
    bool reasons;                     // the template speaks of a span of reasoning
    const char *think_begin;          // "": the prompt opens it
};

static const char think_begin[] = "<think>", think_end[] = "</think>";

static const char probe_name[] = "probe_tool";
static const char probe_arguments[] = "{\"key\": \"välue\", \"list\": [1, true]}";

static int render_text(const chat *c, const json_t *messages, const json_t *tools,
                       bool add_generation_prompt, struct jinja_text *out, err *e)
{
    json_t *null = json_null();
    const struct jinja_var vars[] = {
        {"messages", messages, false},
        {"tools", tools ? tools : null, false},
        {"documents", null, false},
        {"add_generation_prompt", json_boolean(add_generation_prompt), false},
        {"bos_token", c->bos, true},
        {"eos_token", c->eos, true},
    };
    return jinja_render(c->template, vars, sizeof vars / sizeof vars[0], NULL, out, e);
}

// What the format writes for n calls of the probe.
static void write_probe(buf *b, const struct call_format *f, int n)
{
    for (int i = 0; i < n; i++) {
        if (i) buf_str(b, f->between);
        buf_str(b, f->begin);
        buf_str(b, f->before_name);
        buf_str(b, probe_name);
        buf_str(b, f->after_name);
        buf_str(b, probe_arguments);
        buf_str(b, f->after_args);
        buf_str(b, f->end);
    }
}

static json_t *probe_conversation(int n)
{
    json_t *calls = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(calls, json_pack("{s:s, s:s, s:{s:s, s:o}}", "id", "call00001",
                                               "type", "function", "function", "name", probe_name,
                                               "arguments", json_loads(probe_arguments, 0, NULL)));
    return json_pack("[{s:s, s:s}, {s:s, s:s, s:o}, {s:s, s:s, s:s, s:s}]", "role", "user",
                     "content", "go", "role", "assistant", "content", "", "tool_calls", calls,
                     "role", "tool", "name", probe_name, "tool_call_id", "call00001", "content",
                     "ok");
}

static json_t *probe_tools(void)
{
    return json_pack("[{s:s, s:{s:s, s:s, s:{s:s, s:{s:{s:s, s:s}}}}}]", "type", "function",
                     "function", "name", probe_name, "description", "d", "parameters", "type",
                     "object", "properties", "key", "type", "string", "description", "d");
}

// Does the template write n calls as the format does?
static bool format_fits(const chat *c, const struct call_format *f, int n)
{
    err ignored;
    struct jinja_text text;
    json_t *messages = probe_conversation(n), *tools = probe_tools();
    buf expected = buf_new(1 << 16);
    write_probe(&expected, f, n);
    bool fits = render_text(c, messages, tools, false, &text, &ignored) == 0;
    if (fits) {
        fits = strstr(text.text, buf_text(&expected)) != NULL;
        free(text.text);
        free(text.trusted);
    }
    buf_free(&expected);
    json_decref(messages);
    json_decref(tools);
    return fits;
}

static const struct call_format *find_format(const chat *c)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (format_fits(c, &formats[i], 1) &&
            (!formats[i].between || format_fits(c, &formats[i], 2)))
            return &formats[i];
    return NULL;
}

// Is the last of text[0..n), white space aside, this?
static bool ends_with(const char *text, size_t n, const char *what)
{
    size_t len = strlen(what);
    while (n > 0 && strchr(" \t\r\n", text[n - 1])) n--;
    return n >= len && memcmp(text + n - len, what, len) == 0;
}

// A template that knows of reasoning takes it out of old answers; whether the prompt opens the
// span, has closed it, or leaves it to the model shows in its end.
static void find_reasoning(chat *c, const char *source)
{
    err ignored;
    struct jinja_text text;
    json_t *messages = json_pack("[{s:s, s:s}]", "role", "user", "content", "go");
    if (strstr(source, think_end) && render_text(c, messages, NULL, true, &text, &ignored) == 0) {
        c->reasons = !ends_with(text.text, text.n, think_end);
        c->think_begin = ends_with(text.text, text.n, think_begin) ? "" : think_begin;
        free(text.text);
        free(text.trusted);
    }
    json_decref(messages);
}

chat *chat_open(const char *source, const char *where, const char *bos, const char *eos, err *e)
{
    jinja *template = jinja_compile(source, strlen(source), JINJA_CHAT, where, e);
    if (!template) return NULL;
    chat *c = mem_new(sizeof *c);
    c->template = template;
    c->where = mem_str(where);
    c->bos = json_string(bos ? bos : "");
    c->eos = json_string(eos ? eos : "");
    c->format = find_format(c);
    find_reasoning(c, source);
    return c;
}

void chat_close(chat *c)
{
    if (!c) return;
    jinja_free(c->template);
    json_decref(c->bos);
    json_decref(c->eos);
    free(c->where);
    free(c);
}

int chat_render(const chat *c, const tokenizer *t, const json_t *messages, const json_t *tools,
                bool add_generation_prompt, token_buf *out, char **text, err *e)
{
    struct jinja_text rendered;
    if (render_text(c, messages, tools, add_generation_prompt, &rendered, e) < 0) return -1;
    tokenizer_encode_template(t, rendered.text, rendered.trusted, rendered.n, out);
    free(rendered.trusted);
    if (text)
        *text = rendered.text;
    else
        free(rendered.text);
    return 0;
}

int chat_call_format(const chat *c, struct grammar_tools_options *o, err *e)
{
    if (!c->format)
        return err_set(e, ERR_INPUT, "%s: the template writes tool calls in no format known here",
                       c->where);
    o->begin = c->format->begin;
    o->before_name = c->format->before_name;
    o->after_name = c->format->after_name;
    o->after_args = c->format->after_args;
    o->end = c->format->end;
    o->between = c->format->between;
    o->json.spacing = SPACING_PYTHON;
    return 0;
}

void chat_reasoning(const chat *c, const tokenizer *t, const char **begin, const char **end)
{
    bool may = c->reasons && tokenizer_id(t, think_begin) >= 0 && tokenizer_id(t, think_end) >= 0;
    *begin = may ? c->think_begin : NULL;
    *end = may ? think_end : NULL;
}

// ---- back from text ----

static bool starts_with(const char *p, size_t n, const char *with)
{
    return n >= strlen(with) && memcmp(p, with, strlen(with)) == 0;
}

static size_t skip_space(const char *text, size_t at, size_t n)
{
    while (at < n && strchr(" \t\r\n", text[at]) && text[at]) at++;
    return at;
}

size_t chat_answer(const chat *c, const char *text, size_t n)
{
    if (!c->reasons || !starts_with(text, n, c->think_begin)) return 0;
    const char *end = n ? memmem(text, n, think_end, strlen(think_end)) : NULL;
    if (!end) return 0;
    size_t at = (size_t)(end - text) + strlen(think_end);
    while (at < n && text[at] == '\n') at++;
    return at;
}

// The bytes of `tag` that are not white space at its ends: models vary in the newlines around.
static size_t take_tag(const char *text, size_t at, size_t n, const char *tag)
{
    size_t from = skip_space(tag, 0, strlen(tag)), to = strlen(tag);
    while (to > from && strchr(" \t\r\n", tag[to - 1])) to--;
    at = skip_space(text, at, n);
    if (n - at < to - from || memcmp(text + at, tag + from, to - from) != 0) return 0;
    return at + (to - from);
}

// One JSON call at text[at..n); appends it to calls. Returns the position after it, or 0 with *e.
static size_t parse_call(const struct call_format *f, const char *text, size_t at, size_t n,
                         json_t *calls, err *e)
{
    json_error_t je;
    json_t *call =
        json_loadb(text + at, n - at, JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, &je);
    if (!call) {
        err_set(e, ERR_INPUT, "tool call: %s at byte %d of the JSON", je.text, je.position);
        return 0;
    }
    json_t *name = json_object_get(call, "name");
    json_t *arguments = json_object_get(call, f->arguments_key);
    if (!json_is_string(name))
        err_set(e, ERR_INPUT, "tool call: expected an object with a string \"name\"");
    else if (!json_is_object(arguments))
        err_set(e, ERR_INPUT, "tool call of %s: \"%s\" must be an object", json_string_value(name),
                f->arguments_key);
    else {
        json_array_append_new(calls, json_pack("{s:O, s:O}", "name", name, "arguments", arguments));
        at += (size_t)je.position;
        json_decref(call);
        return at;
    }
    json_decref(call);
    return 0;
}

static int parse_tagged(const struct call_format *f, const char *text, size_t at, size_t n,
                        json_t *calls, err *e)
{
    while (skip_space(text, at, n) < n) {
        if (!(at = take_tag(text, at, n, f->begin)))
            return err_set(e, ERR_INPUT, "text after a tool call");
        at = skip_space(text, at, n);
        if (!(at = parse_call(f, text, at, n, calls, e))) return -1;
        if (!(at = take_tag(text, at, n, f->end)))
            return err_set(e, ERR_INPUT, "tool call without its end tag");
    }
    return 0;
}

// Where the first call begins; n when there is none.
static size_t find_call(const struct call_format *f, const char *text, size_t n)
{
    if (!f) return n;
    if (f->begin[0] == 0) return starts_with(text, n, f->before_name) ? 0 : n;
    size_t tag = strcspn(f->begin, " \n");
    const char *p = n ? memmem(text, n, f->begin, tag) : NULL;
    return p ? (size_t)(p - text) : n;
}

int chat_parse(const chat *c, const char *text, size_t n, char **content, json_t **calls, err *e)
{
    const struct call_format *f = c->format;
    size_t at = find_call(f, text, n), end = at;
    json_t *found = json_array();
    int rc = 0;
    if (at < n && f->begin[0])
        rc = parse_tagged(f, text, at, n, found, e);
    else if (at < n) {
        size_t after = parse_call(f, text, at, n, found, e);
        if (after == 0)
            rc = -1;
        else if (skip_space(text, after, n) < n)
            rc = err_set(e, ERR_INPUT, "text after a tool call");
    }
    if (rc < 0) {
        json_decref(found);
        return -1;
    }
    if (at < n && end > 0 && text[end - 1] == '\n') end--; // the template writes it before a call
    *content = mem_strn(text, end);
    *calls = found;
    return 0;
}
