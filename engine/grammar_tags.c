// Structural tags as rules: the JSON objects of grammar_from_tags. Every type is one row of a
// table; a fault is told with the JSON pointer of where it stands.
#include "base/mem.h"
#include "engine/grammar_rules.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 100, REPEAT_MAX = 10000 };

struct tags {
    grammar *g;
    err *e;
    char where[800]; // JSON pointer of the object being read
    int depth;
};

static piece fault(struct tags *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static piece fault(struct tags *t, const char *fmt, ...)
{
    char text[400];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    err_set(t->e, ERR_INPUT, "tags: #%s: %s", t->where, text);
    return PIECE_FAILED;
}

// What was failed below, with its place in front.
static piece place(struct tags *t, piece p, const char *field)
{
    if (p == PIECE_FAILED && strncmp(t->e->msg, "tags: ", 6) != 0)
        err_wrap(t->e, "tags: #%s/%s", t->where, field);
    return p;
}

static piece format_piece(struct tags *t, const json_t *v);

// The format at a field, or at an index of it.
static piece child(struct tags *t, const json_t *v, const char *field, int index)
{
    size_t n = strlen(t->where);
    if (index < 0)
        snprintf(t->where + n, sizeof t->where - n, "/%s", field);
    else
        snprintf(t->where + n, sizeof t->where - n, "/%s/%d", field, index);
    piece p = format_piece(t, v);
    if (p != PIECE_FAILED) t->where[n] = 0; // else it stays where the fault is
    return p;
}

// A text of the object; NULL with *e.
static const char *text_of(struct tags *t, const json_t *v, const char *field)
{
    const json_t *x = json_object_get(v, field);
    const char *text = json_string_value(x);
    if (!text) {
        fault(t, x ? "`%s` is no text" : "there is no `%s`, a text", field);
    } else if (strlen(text) != json_string_length(x)) {
        fault(t, "a NUL in `%s`", field);
        text = NULL;
    }
    return text;
}

static bool flag_of(const json_t *v, const char *field)
{
    return json_is_true(json_object_get(v, field));
}

static int check_flag(struct tags *t, const json_t *v, const char *field)
{
    const json_t *x = json_object_get(v, field);
    if (!x || json_is_boolean(x)) return 0;
    fault(t, "`%s` is neither true nor false", field);
    return -1;
}

// A list of texts that are not empty; *n of them. NULL with *e; the caller frees.
static const char **texts_of(struct tags *t, const json_t *v, const char *field, bool needed,
                             size_t *n)
{
    const json_t *list = json_object_get(v, field);
    size_t i;
    json_t *x;
    *n = json_array_size(list);
    if ((list && !json_is_array(list)) || (needed && *n == 0)) {
        fault(t, "`%s`: expected a list of texts", field);
        return NULL;
    }
    const char **texts = mem_new((*n + 1) * sizeof *texts);
    json_array_foreach((json_t *)list, i, x)
    {
        texts[i] = json_string_value(x);
        if (texts[i] && texts[i][0] && strlen(texts[i]) == json_string_length(x)) continue;
        fault(t, "`%s`: expected texts that are not empty", field);
        free(texts);
        return NULL;
    }
    return texts;
}

// The added or special token that is spelt so, or -1.
static int32_t token_named(grammar *g, const char *text)
{
    int32_t id = rules_named(g, text, strlen(text));
    return id >= 0 && g->v->len[id] == strlen(text) ? id : -1;
}

// ---- the types ----

static piece const_string(struct tags *t, const json_t *v)
{
    const char *text = text_of(t, v, "value");
    return text ? piece_format(t->g, text) : PIECE_FAILED;
}

static piece json_schema(struct tags *t, const json_t *v)
{
    const json_t *schema = json_object_get(v, "json_schema");
    if (!schema) return fault(t, "there is no `json_schema`");
    char *what = mem_printf("tags: #%s/json_schema", t->where);
    uint32_t node = schema_add(t->g, schema, what, false, t->e);
    free(what);
    return node == NONE ? PIECE_FAILED : piece_json(t->g, t->g->nodes[node].set);
}

static piece regex(struct tags *t, const json_t *v)
{
    const char *pattern = text_of(t, v, "pattern");
    if (!pattern) return PIECE_FAILED;
    return place(t, piece_pattern(t->g, pattern, strlen(pattern), t->e), "pattern");
}

static piece ebnf(struct tags *t, const json_t *v)
{
    const char *text = text_of(t, v, "grammar");
    return text ? place(t, ebnf_piece(t->g, text, strlen(text), t->e), "grammar") : PIECE_FAILED;
}

static piece any_text(struct tags *t, const json_t *v)
{
    size_t n;
    const char **texts = texts_of(t, v, "excludes", false, &n);
    if (!texts) return PIECE_FAILED;
    piece p = piece_without(t->g, texts, n, t->e);
    free(texts);
    return place(t, p, "excludes");
}

static piece token(struct tags *t, const json_t *v)
{
    const char *text = text_of(t, v, "token");
    const grammar_vocab *all = t->g->v;
    if (!text) return PIECE_FAILED;
    if (all->len[all->end] == strlen(text) && memcmp(all->bytes[all->end], text, strlen(text)) == 0)
        return fault(t, "`%s` ends the answer: it comes by itself", text);
    int32_t id = token_named(t->g, text);
    if (id < 0) return fault(t, "`%s` is no added token of the vocabulary", text);
    return piece_token(t->g, id);
}

static piece elements(struct tags *t, const json_t *v, bool sequence)
{
    const json_t *list = json_object_get(v, "elements");
    piece all = sequence ? PIECE_EMPTY : PIECE_NONE;
    size_t i;
    json_t *x;
    if (!json_is_array(list) || (json_array_size(list) == 0 && !sequence))
        return fault(t, "`elements`: expected a list of formats");
    json_array_foreach((json_t *)list, i, x)
    {
        piece one = child(t, x, "elements", (int)i);
        if (one == PIECE_FAILED) return one;
        all = sequence ? piece_then(t->g, all, one) : piece_or(t->g, all, one);
    }
    return all;
}

static piece sequence(struct tags *t, const json_t *v)
{
    return elements(t, v, true);
}

static piece choice(struct tags *t, const json_t *v)
{
    return elements(t, v, false);
}

static piece repeated(struct tags *t, const json_t *v, uint32_t min, uint32_t max)
{
    const json_t *content = json_object_get(v, "content");
    if (!content) return fault(t, "there is no `content`");
    piece p = child(t, content, "content", -1);
    return p == PIECE_FAILED ? p : piece_repeat(t->g, p, min, max);
}

static piece optional(struct tags *t, const json_t *v)
{
    return repeated(t, v, 0, 1);
}

static piece star(struct tags *t, const json_t *v)
{
    return repeated(t, v, 0, UINT32_MAX);
}

static piece plus(struct tags *t, const json_t *v)
{
    return repeated(t, v, 1, UINT32_MAX);
}

static piece repeat(struct tags *t, const json_t *v)
{
    const json_t *min = json_object_get(v, "min"), *max = json_object_get(v, "max");
    json_int_t lo = json_integer_value(min), hi = max ? json_integer_value(max) : -1;
    if ((min && !json_is_integer(min)) || (max && !json_is_integer(max)) || lo < 0 ||
        lo > REPEAT_MAX || (max && (hi < lo || hi > REPEAT_MAX)))
        return fault(t, "expected whole numbers, 0 <= `min` <= `max` <= %d", REPEAT_MAX);
    return repeated(t, v, (uint32_t)lo, max ? (uint32_t)hi : UINT32_MAX);
}

// Content and end of a tag.
static piece tag_inside(struct tags *t, const json_t *v)
{
    const char *end = text_of(t, v, "end");
    const json_t *content = json_object_get(v, "content");
    if (!end) return PIECE_FAILED;
    if (!content) return fault(t, "there is no `content`");
    piece p = child(t, content, "content", -1);
    return p == PIECE_FAILED ? p : piece_then(t->g, p, piece_format(t->g, end));
}

// Text that opens something: where it begins with an added token, that token only.
static piece opening(grammar *g, const char *text)
{
    int32_t id = rules_named(g, text, strlen(text));
    if (id < 0) return piece_format(g, text);
    return piece_then(g, piece_token(g, id), piece_format(g, text + g->v->len[id]));
}

static piece tag(struct tags *t, const json_t *v)
{
    const char *begin = text_of(t, v, "begin");
    piece inside = begin ? tag_inside(t, v) : PIECE_FAILED;
    if (inside == PIECE_FAILED) return inside;
    return piece_call(t->g, piece_then(t->g, opening(t->g, begin), inside));
}

// The tags of a list whose begin starts with `trigger`, from behind it on; NULL: from the begin on.
static piece tags_from(struct tags *t, const json_t *list, const char *trigger, bool *used)
{
    piece all = PIECE_NONE;
    size_t i, n = trigger ? strlen(trigger) : 0, at = strlen(t->where);
    json_t *x;
    json_array_foreach((json_t *)list, i, x)
    {
        snprintf(t->where + at, sizeof t->where - at, "/tags/%d", (int)i);
        const char *begin = text_of(t, x, "begin");
        if (!begin) return PIECE_FAILED;
        if (!trigger || strncmp(begin, trigger, n) == 0) {
            piece inside = tag_inside(t, x);
            if (inside == PIECE_FAILED) return inside;
            piece open = trigger ? piece_format(t->g, begin + n) : opening(t->g, begin);
            all = piece_or(t->g, all, piece_then(t->g, open, inside));
            if (used) used[i] = true;
        }
        t->where[at] = 0;
    }
    return piece_call(t->g, all);
}

static const json_t *tag_list(struct tags *t, const json_t *v)
{
    const json_t *list = json_object_get(v, "tags");
    if (json_array_size(list) > 0 && check_flag(t, v, "at_least_one") == 0 &&
        check_flag(t, v, "stop_after_first") == 0)
        return list;
    if (json_array_size(list) == 0) fault(t, "`tags`: expected a list of tags");
    return NULL;
}

// Free text up to and with the trigger, then one of its tags.
static piece triggered(struct tags *t, const json_t *list, const char **bytes, size_t n_bytes,
                       const char *trigger, int32_t id, bool *used)
{
    piece before = PIECE_FAILED;
    piece after = tags_from(t, list, trigger, used);
    if (after == PIECE_FAILED) return after;
    if (after == PIECE_NONE) return fault(t, "no tag begins with the trigger `%s`", trigger);
    for (size_t i = 0; i < n_bytes && id < 0; i++)
        if (strcmp(bytes[i], trigger) == 0)
            before = place(t, piece_until(t->g, bytes, n_bytes, i, t->e), "triggers");
    if (id >= 0)
        before = piece_then(t->g, place(t, piece_without(t->g, bytes, n_bytes, t->e), "triggers"),
                            piece_token(t->g, id));
    return piece_then(t->g, before, after);
}

static piece with_triggers(struct tags *t, const json_t *v, const json_t *list,
                           const char **triggers, size_t n, bool *used)
{
    const char **bytes = mem_new((n + 1) * sizeof *bytes);
    size_t n_bytes = 0;
    piece one = PIECE_NONE, text = PIECE_FAILED;
    for (size_t i = 0; i < n; i++)
        if (token_named(t->g, triggers[i]) < 0) bytes[n_bytes++] = triggers[i];
    for (size_t i = 0; i < n && one != PIECE_FAILED; i++) {
        int32_t id = token_named(t->g, triggers[i]);
        one = piece_or(t->g, one, triggered(t, list, bytes, n_bytes, triggers[i], id, used));
    }
    for (size_t i = 0; i < json_array_size(list) && one != PIECE_FAILED; i++)
        if (!used[i]) one = fault(t, "tags/%zu begins with none of the triggers", i);
    if (one != PIECE_FAILED) text = place(t, piece_without(t->g, bytes, n_bytes, t->e), "triggers");
    free(bytes);
    if (text == PIECE_FAILED) return text;
    bool once = flag_of(v, "stop_after_first"), must = flag_of(v, "at_least_one");
    if (once) return must ? one : piece_or(t->g, one, text);
    return piece_then(t->g, piece_repeat(t->g, one, must, UINT32_MAX), text);
}

static piece triggered_tags(struct tags *t, const json_t *v)
{
    size_t n;
    const json_t *list = tag_list(t, v);
    const char **triggers = list ? texts_of(t, v, "triggers", true, &n) : NULL;
    if (!triggers) return PIECE_FAILED;
    bool *used = mem_new(json_array_size(list) + 1);
    piece p = with_triggers(t, v, list, triggers, n, used);
    free(used);
    free(triggers);
    return p;
}

static piece tags_with_separator(struct tags *t, const json_t *v)
{
    const json_t *list = tag_list(t, v);
    const char *separator = list ? text_of(t, v, "separator") : NULL;
    piece one = separator ? tags_from(t, list, NULL, NULL) : PIECE_FAILED;
    if (one == PIECE_FAILED) return one;
    piece all = one;
    if (!flag_of(v, "stop_after_first")) {
        piece more = piece_then(t->g, piece_format(t->g, separator), one);
        all = piece_then(t->g, one, piece_repeat(t->g, more, 0, UINT32_MAX));
    }
    return flag_of(v, "at_least_one") ? all : piece_or(t->g, all, PIECE_EMPTY);
}

static piece reasoning(struct tags *t, const json_t *v)
{
    const char *begin = text_of(t, v, "begin"), *end = begin ? text_of(t, v, "end") : NULL;
    if (!end || check_flag(t, v, "required")) return PIECE_FAILED;
    return place(t, reasoning_piece(t->g, begin, end, flag_of(v, "required"), t->e), "begin");
}

static piece structural_tag(struct tags *t, const json_t *v)
{
    const json_t *format = json_object_get(v, "format");
    return format ? child(t, format, "format", -1) : fault(t, "there is no `format`");
}

#define FIELDS_MAX 5
static const struct format {
    const char *type;
    piece (*make)(struct tags *t, const json_t *v);
    const char *fields[FIELDS_MAX];
} formats[] = {
    {"any_text", any_text, {"excludes"}},
    {"const_string", const_string, {"value"}},
    {"grammar", ebnf, {"grammar"}},
    {"json_schema", json_schema, {"json_schema"}},
    {"optional", optional, {"content"}},
    {"or", choice, {"elements"}},
    {"plus", plus, {"content"}},
    {"reasoning", reasoning, {"begin", "end", "required"}},
    {"regex", regex, {"pattern"}},
    {"repeat", repeat, {"content", "min", "max"}},
    {"sequence", sequence, {"elements"}},
    {"star", star, {"content"}},
    {"structural_tag", structural_tag, {"format"}},
    {"tag", tag, {"begin", "content", "end"}},
    {"tags_with_separator",
     tags_with_separator,
     {"tags", "separator", "at_least_one", "stop_after_first"}},
    {"token", token, {"token"}},
    {"triggered_tags", triggered_tags, {"triggers", "tags", "at_least_one", "stop_after_first"}},
};
enum { N_FORMAT = sizeof formats / sizeof *formats };

static bool check_fields(struct tags *t, const json_t *v, const struct format *f)
{
    const char *key;
    json_t *x;
    json_object_foreach((json_t *)v, key, x)
    {
        bool known = strcmp(key, "type") == 0;
        for (int i = 0; i < FIELDS_MAX && f->fields[i]; i++)
            known = known || strcmp(key, f->fields[i]) == 0;
        if (known) continue;
        fault(t, "%s has no field `%s`", f->type, key);
        return false;
    }
    return true;
}

static piece format_piece(struct tags *t, const json_t *v)
{
    const char *type = json_string_value(json_object_get(v, "type"));
    if (!json_is_object(v)) return fault(t, "expected an object with a `type`");
    if (!type) return fault(t, "there is no `type`, a text");
    if (t->depth == DEPTH_MAX) return fault(t, "nested deeper than %d", DEPTH_MAX);
    for (int i = 0; i < N_FORMAT; i++) {
        if (strcmp(formats[i].type, type) != 0) continue;
        if (!check_fields(t, v, &formats[i])) return PIECE_FAILED;
        t->depth++;
        piece p = formats[i].make(t, v);
        t->depth--;
        return p;
    }
    return fault(t, "there is no type `%s`", type);
}

int tags_add(grammar *g, const json_t *spec, err *e)
{
    struct tags t = {.g = g, .e = e};
    piece all = format_piece(&t, spec);
    if (all == PIECE_FAILED) return -1;
    if (rules_compile(g, all, e) == 0) return 0;
    err_wrap(e, "tags");
    return -1;
}
