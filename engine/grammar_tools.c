// Free text and tool calls as rules: text until what opens a call, the name, the arguments under
// their schema, what closes the call, and so on.
#include "base/mem.h"
#include "engine/grammar_rules.h"

#include <stdlib.h>
#include <string.h>

static int check_tools(const struct grammar_tools_options *o, err *e)
{
    bool named = false;
    for (size_t i = 0; i < o->n_tool; i++) {
        if (!o->tools[i].name[0]) return err_set(e, ERR_INPUT, "tool %zu has no name", i);
        for (size_t k = 0; k < i; k++)
            if (strcmp(o->tools[i].name, o->tools[k].name) == 0)
                return err_set(e, ERR_INPUT, "tool %s: declared twice", o->tools[i].name);
        named = named || (o->named && strcmp(o->named, o->tools[i].name) == 0);
    }
    if (o->choice == CHOICE_NAMED && !named)
        return err_set(e, ERR_INPUT, "tool %s: required by name, but not among the tools",
                       o->named ? o->named : "?");
    if (o->choice == CHOICE_REQUIRED && o->n_tool == 0)
        return err_set(e, ERR_INPUT, "a tool call is required, but there is no tool");
    if (!o->begin || !o->before_name || !o->after_name || !o->after_args || !o->end ||
        !o->after_name[0] || (!o->begin[0] && !o->before_name[0]))
        return err_set(e, ERR_INPUT, "tool call format: a part is missing");
    return 0;
}

static set_id arguments_set(grammar *g, const struct grammar_tool *t, err *e)
{
    static const char empty_object[] = "{\"type\": \"object\", \"additionalProperties\": false}";
    json_t *none = t->parameters ? NULL : json_loads(empty_object, 0, NULL);
    char *what = mem_printf("tool %s: parameters", t->name);
    uint32_t node = schema_add(g, none ? none : t->parameters, what, true, e);
    free(what);
    json_decref(none);
    return node == NONE ? NONE : g->nodes[node].set;
}

// The name as in JSON, what follows it, and the arguments.
static piece tool_piece(grammar *g, const struct grammar_tools_options *o, size_t i, err *e)
{
    set_id set = arguments_set(g, &o->tools[i], e);
    if (set == NONE) return PIECE_FAILED;
    buf b = buf_new(1 << 20);
    json_quoted(&b, o->tools[i].name, strlen(o->tools[i].name));
    b.n--; // the closing quote belongs to what follows the name
    buf_str(&b, o->after_name);
    piece name = piece_text(g, b.p + 1, b.n - 1);
    buf_free(&b);
    return piece_then(g, name, piece_json(g, set));
}

// From the name on to the end of the call. PIECE_NONE: there is no tool to call; PIECE_FAILED: *e.
static piece body_piece(grammar *g, const struct grammar_tools_options *o, err *e)
{
    piece any = PIECE_NONE;
    for (size_t i = 0; i < o->n_tool; i++) {
        piece one = tool_piece(g, o, i, e); // all are checked, whichever may be called
        if (one == PIECE_FAILED) return PIECE_FAILED;
        if (o->choice == CHOICE_NAMED && strcmp(o->named, o->tools[i].name) != 0) continue;
        any = piece_or(g, any, one);
    }
    if (o->choice == CHOICE_NONE) return PIECE_NONE;
    char *close = mem_printf("%s%s", o->after_args, o->end);
    any = piece_then(g, any, piece_format(g, close));
    free(close);
    return any;
}

// first, then any number of (between, next).
static piece calls_piece(grammar *g, const struct grammar_tools_options *o, piece first, piece next)
{
    if (!o->parallel || !o->between) return first;
    piece more = piece_then(g, piece_format(g, o->between), next);
    return piece_then(g, first, piece_repeat(g, more, 0, UINT32_MAX));
}

// Free text before calls, unless they come at once, and calls. Text alone where there may be no
// call.
static piece answer_piece(grammar *g, const struct grammar_tools_options *o, piece body, err *e)
{
    bool must = o->choice == CHOICE_REQUIRED || o->choice == CHOICE_NAMED;
    bool at_once = must && o->at_once;
    int32_t token = rules_named(g, o->begin, strlen(o->begin));
    piece text, calls;
    if (token >= 0) {
        piece rest = piece_format(g, o->begin + g->v->len[token]);
        piece open = piece_then(g, rest, piece_format(g, o->before_name));
        piece call = piece_call(g, piece_then(g, open, body));
        call = piece_then(g, piece_token(g, token), call);
        text = piece_lang(g, LEX_ANY_STRING);
        calls = piece_then(g, at_once ? PIECE_EMPTY : text, calls_piece(g, o, call, call));
    } else if (o->begin[0]) {
        piece call = piece_call(g, piece_then(g, piece_format(g, o->before_name), body));
        piece next = piece_then(g, piece_format(g, o->begin), call);
        text = piece_without(g, &o->begin, 1, e);
        piece opened = at_once ? piece_format(g, o->begin) : piece_until(g, &o->begin, 1, 0, e);
        calls = piece_then(g, opened, calls_piece(g, o, call, next));
    } else {
        text = piece_not_beginning(g, o->before_name, e);
        calls = piece_call(g, piece_then(g, piece_format(g, o->before_name), body));
    }
    if (body == PIECE_NONE) return text;
    return must ? calls : piece_or(g, calls, text);
}

piece reasoning_piece(grammar *g, const char *begin, const char *end, bool required, err *e)
{
    int32_t opens = rules_named(g, begin, strlen(begin)), closes = rules_named(g, end, strlen(end));
    if (begin[0] && (opens < 0 || g->v->len[opens] != strlen(begin))) {
        err_set(e, ERR_INPUT, "`%s` is no added token of the vocabulary", begin);
        return PIECE_FAILED;
    }
    if (closes < 0 || g->v->len[closes] != strlen(end)) {
        err_set(e, ERR_INPUT, "`%s` is no added token of the vocabulary", end);
        return PIECE_FAILED;
    }
    piece span = piece_then(g, piece_any(g, closes), piece_token(g, closes));
    if (begin[0]) span = piece_then(g, piece_token(g, opens), span);
    return required || !begin[0] ? span : piece_or(g, span, PIECE_EMPTY);
}

int tools_add(grammar *g, const struct grammar_tools_options *o, err *e)
{
    if (check_tools(o, e) < 0) return -1;
    piece body = body_piece(g, o, e);
    piece all = body == PIECE_FAILED ? PIECE_FAILED : answer_piece(g, o, body, e);
    if (o->think_end && all != PIECE_FAILED)
        all = piece_then(g, reasoning_piece(g, o->think_begin, o->think_end, false, e), all);
    return all == PIECE_FAILED ? -1 : rules_compile(g, all, e);
}
