// Free text and tool calls around the JSON: text until what opens a call, the name, the arguments
// under their schema, what closes the call, and so on.
#include "base/mem.h"
#include "engine/grammar_private.h"

#include <stdlib.h>
#include <string.h>

// ---- words ----

struct word_entry {
    const char *text;
    uint32_t len, id;
};

static int compare_words(const void *a, const void *b)
{
    const struct word_entry *x = a, *y = b;
    int o = memcmp(x->text, y->text, min_of(x->len, y->len));
    return o ? o : (x->len > y->len) - (x->len < y->len);
}

struct word_list word_list_of(struct chunks *mem, const char *const *text, const uint32_t *id,
                              uint32_t n)
{
    struct word_entry *v = mem_new((n + 1) * sizeof *v);
    for (uint32_t i = 0; i < n; i++)
        v[i] = (struct word_entry){text[i], (uint32_t)strlen(text[i]), id[i]};
    if (n) qsort(v, n, sizeof *v, compare_words);
    struct word_list w = {.n = n,
                          .text = chunk_alloc(mem, (n + 1) * sizeof *w.text),
                          .len = chunk_alloc(mem, (n + 1) * sizeof *w.len),
                          .id = chunk_alloc(mem, (n + 1) * sizeof *w.id)};
    for (uint32_t i = 0; i < n; i++) {
        char *copy = chunk_alloc(mem, v[i].len + 1);
        memcpy(copy, v[i].text, v[i].len);
        w.text[i] = copy;
        w.len[i] = v[i].len;
        w.id[i] = v[i].id;
    }
    free(v);
    return w;
}

// Narrows [*lo, *hi) to the words whose byte at `off` is c; false: none.
bool word_list_narrow(const struct word_list *w, uint32_t *lo, uint32_t *hi, uint32_t off,
                      uint8_t c)
{
    uint32_t a = *lo, b = *hi;
    while (a < b && (w->len[a] <= off || (uint8_t)w->text[a][off] < c)) a++;
    uint32_t end = a;
    while (end < b && (uint8_t)w->text[end][off] == c) end++;
    *lo = a;
    *hi = end;
    return a < end;
}

// ---- the format ----

// The longest added token that `text` begins with, or -1.
static int32_t added_prefix(const grammar_vocab *v, const char *text)
{
    const struct vocab_tables *t = v->prepared;
    size_t n = strlen(text);
    for (int i = 0; i < t->n_added; i++) {
        int32_t token = t->added[i];
        if (v->len[token] && v->len[token] <= n &&
            memcmp(v->bytes[token], text, v->len[token]) == 0)
            return token;
    }
    return -1;
}

static struct literal_text literal_make(const grammar_vocab *v, const char *a, const char *b,
                                        const char *c)
{
    struct literal_text l = {.text = mem_printf("%s%s%s", a, b, c)};
    const struct vocab_tables *t = v->prepared;
    l.len = (uint32_t)strlen(l.text);
    l.cost = mem_new((l.len + 1) * sizeof *l.cost);
    for (uint32_t i = l.len; i-- > 0;) {
        l.cost[i] = 1 + l.cost[i + 1];
        for (int k = 0; k < t->n_added; k++) {
            uint32_t n = v->len[t->added[k]];
            if (n == 0 || n > l.len - i || memcmp(l.text + i, v->bytes[t->added[k]], n) != 0)
                continue;
            if (1 + l.cost[i + n] < l.cost[i]) l.cost[i] = 1 + l.cost[i + n];
        }
    }
    return l;
}

static void set_trigger(struct tools *t, const char *text)
{
    t->trigger = mem_str(text);
    t->trigger_len = (uint32_t)strlen(text);
    t->failure = mem_new((t->trigger_len + 1) * sizeof *t->failure);
    for (uint32_t i = 1, k = 0; i < t->trigger_len; i++) {
        while (k > 0 && text[i] != text[k]) k = t->failure[k];
        if (text[i] == text[k]) k++;
        t->failure[i + 1] = k;
    }
}

static void set_format(grammar *g, const struct grammar_tools_options *o)
{
    struct tools *t = &g->tools;
    const char *between = o->between ? o->between : "";
    t->on = true;
    t->choice = o->choice;
    t->anchored = o->begin[0] == 0;
    t->parallel = o->parallel && o->between && !t->anchored;
    t->begin_token = t->anchored ? -1 : added_prefix(g->v, o->begin);
    const char *rest = t->begin_token >= 0 ? o->begin + g->v->len[t->begin_token] : "";
    t->literal[LIT_OPEN] = literal_make(g->v, rest, o->before_name, "");
    t->literal[LIT_RETRY] = literal_make(g->v, o->before_name, "", "");
    t->literal[LIT_CLOSE] = literal_make(g->v, o->after_args, o->end, "");
    t->literal[LIT_BETWEEN] = t->begin_token >= 0
                                  ? literal_make(g->v, between, "", "")
                                  : literal_make(g->v, between, o->begin, o->before_name);
    if (t->anchored)
        set_trigger(t, o->before_name);
    else if (t->begin_token < 0)
        set_trigger(t, o->begin);
}

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

static int add_tools(grammar *g, const struct grammar_tools_options *o, err *e)
{
    static const char empty_object[] = "{\"type\": \"object\", \"additionalProperties\": false}";
    json_t *none = json_loads(empty_object, 0, NULL);
    g->tools.set = mem_new((o->n_tool + 1) * sizeof *g->tools.set);
    int rc = 0;
    for (size_t i = 0; i < o->n_tool && rc == 0; i++) {
        char *what = mem_printf("tool %s: parameters", o->tools[i].name);
        uint32_t node =
            schema_add(g, o->tools[i].parameters ? o->tools[i].parameters : none, what, true, e);
        if (node == NONE)
            rc = -1;
        else
            g->tools.set[i] = g->nodes[node].set;
        free(what);
    }
    json_decref(none);
    return rc;
}

static void add_names(grammar *g, const struct grammar_tools_options *o)
{
    const char **text = mem_new((o->n_tool + 1) * sizeof *text);
    uint32_t *id = mem_new((o->n_tool + 1) * sizeof *id), n = 0;
    for (size_t i = 0; i < o->n_tool; i++) {
        if (o->choice == CHOICE_NAMED && strcmp(o->named, o->tools[i].name) != 0) continue;
        buf b = buf_new(1 << 20);
        json_quoted(&b, o->tools[i].name, strlen(o->tools[i].name));
        b.n--; // the closing quote belongs to what follows the name
        b.p[b.n] = 0;
        buf_str(&b, o->after_name);
        text[n] = mem_str(b.p + 1);
        id[n++] = (uint32_t)i;
        buf_free(&b);
    }
    g->tools.names = word_list_of(&g->mem, text, id, n);
    for (uint32_t i = 0; i < n; i++) free((char *)text[i]);
    free(text);
    free(id);
}

int tools_add(grammar *g, const struct grammar_tools_options *o, err *e)
{
    if (check_tools(o, e) < 0) return -1;
    set_format(g, o);
    if (add_tools(g, o, e) < 0) return -1;
    add_names(g, o);
    return 0;
}

void tools_release(grammar *g)
{
    for (int i = 0; i < LIT_COUNT; i++) {
        free(g->tools.literal[i].text);
        free(g->tools.literal[i].cost);
    }
    free(g->tools.trigger);
    free(g->tools.failure);
    free(g->tools.set);
}

// ---- steps ----

int utf8_step(uint8_t sub, uint8_t c)
{
    switch (sub) {
    case STR_PLAIN:
        if (c < 0x80) return STR_PLAIN;
        if (c >= 0xc2 && c <= 0xdf) return STR_U1;
        if (c == 0xe0) return STR_E0;
        if (c == 0xed) return STR_ED;
        if (c >= 0xe1 && c <= 0xef) return STR_U2;
        if (c == 0xf0) return STR_F0;
        if (c >= 0xf1 && c <= 0xf3) return STR_U3;
        return c == 0xf4 ? STR_F4 : -1;
    case STR_U1: return (c & 0xc0) == 0x80 ? STR_PLAIN : -1;
    case STR_U2: return (c & 0xc0) == 0x80 ? STR_U1 : -1;
    case STR_U3: return (c & 0xc0) == 0x80 ? STR_U2 : -1;
    case STR_E0: return c >= 0xa0 && c <= 0xbf ? STR_U1 : -1;
    case STR_ED: return c >= 0x80 && c <= 0x9f ? STR_U1 : -1;
    case STR_F0: return c >= 0x90 && c <= 0xbf ? STR_U2 : -1;
    case STR_F4: return c >= 0x80 && c <= 0x8f ? STR_U2 : -1;
    default: return -1;
    }
}

// Fewest bytes until the character that has been begun is complete.
static uint32_t character_rest(const struct pos *p)
{
    switch (p->sub) {
    case STR_PLAIN: return 0;
    case STR_U1: return 1;
    case STR_U2:
    case STR_E0:
    case STR_ED: return 2;
    default: return 3;
    }
}

static void enter_literal(const grammar *g, enum literal which, struct pos *to)
{
    *to = (struct pos){.mode = M_LITERAL, .literal = (uint8_t)which};
    if (g->tools.literal[which].len) return;
    *to = (struct pos){0};
    switch (which) { // an empty literal is passed at once
    case LIT_OPEN:
    case LIT_RETRY: *to = (struct pos){.mode = M_NAME, .b = g->tools.names.n}; break;
    case LIT_CLOSE: to->mode = M_AFTER; break;
    default: to->mode = M_BEGIN; break;
    }
}

void tools_close(grammar *g, struct pos *to)
{
    enter_literal(g, LIT_CLOSE, to);
}

uint32_t tools_close_cost(const grammar *g)
{
    return g->tools.literal[LIT_CLOSE].cost[0];
}

void tools_start(grammar *g, struct pos *p)
{
    *p = (struct pos){.mode = g->tools.anchored ? M_ANCHOR : M_TEXT};
}

static bool step_literal(const grammar *g, const struct pos *from, uint8_t c, struct pos *to)
{
    const struct literal_text *l = &g->tools.literal[from->literal];
    if ((uint8_t)l->text[from->off] != c) return false;
    *to = *from;
    if (++to->off < l->len) return true;
    bool name = from->literal == LIT_OPEN || from->literal == LIT_RETRY ||
                (from->literal == LIT_BETWEEN && g->tools.begin_token < 0);
    *to = (struct pos){.mode = name ? M_NAME : from->literal == LIT_CLOSE ? M_AFTER : M_BEGIN};
    if (name) to->b = g->tools.names.n;
    return true;
}

static bool step_name(const grammar *g, struct chunks *mem, const struct pos *from, uint8_t c,
                      struct pos *to)
{
    const struct word_list *w = &g->tools.names;
    *to = *from;
    if (!word_list_narrow(w, &to->a, &to->b, from->off, c)) return false;
    to->off++;
    if (w->len[to->a] != to->off) return true;
    uint32_t tool = w->id[to->a];
    *to = (struct pos){.mode = M_VALUE, .top = frame_root(mem, g->tools.set[tool], tool)};
    return true;
}

static bool may_call(const struct tools *t)
{
    return t->choice != CHOICE_NONE && t->names.n > 0;
}

// The bytes that open a call are recognised wherever they end.
static bool step_trigger(const grammar *g, struct pos *to, uint8_t c)
{
    const struct tools *t = &g->tools;
    if (t->trigger_len == 0) return true;
    uint32_t k = to->off;
    while (k > 0 && (uint8_t)t->trigger[k] != c) k = t->failure[k];
    if ((uint8_t)t->trigger[k] == c) k++;
    to->off = k;
    if (k < t->trigger_len) return true;
    if (!may_call(t)) return false;
    enter_literal(g, LIT_RETRY, to);
    return true;
}

static bool step_text(const grammar *g, const struct pos *from, uint8_t c, struct pos *to)
{
    int sub = utf8_step(from->sub, c);
    if (sub < 0) return false;
    *to = *from;
    to->sub = (uint8_t)sub;
    return g->tools.anchored || step_trigger(g, to, c);
}

static bool step_anchor(const grammar *g, const struct pos *from, uint8_t c, struct pos *to)
{
    const struct tools *t = &g->tools;
    if ((uint8_t)t->trigger[from->off] == c) {
        *to = *from;
        if (++to->off < t->trigger_len) return true;
        *to = (struct pos){.mode = M_NAME, .b = t->names.n};
        return may_call(t);
    }
    struct pos text = {.mode = M_TEXT};
    return (t->choice == CHOICE_AUTO || t->choice == CHOICE_NONE) && step_text(g, &text, c, to);
}

static bool step_after(const grammar *g, uint8_t c, struct pos *to)
{
    struct pos between;
    if (!g->tools.parallel) return false;
    enter_literal(g, LIT_BETWEEN, &between);
    return between.mode == M_LITERAL && step_literal(g, &between, c, to);
}

bool tools_step(grammar *g, struct chunks *mem, const struct pos *from, uint8_t c, struct pos *to)
{
    switch (from->mode) {
    case M_TEXT: return step_text(g, from, c, to);
    case M_ANCHOR: return step_anchor(g, from, c, to);
    case M_LITERAL: return step_literal(g, from, c, to);
    case M_NAME: return step_name(g, mem, from, c, to);
    case M_AFTER: return step_after(g, c, to);
    default: return false;
    }
}

// An added token counts as its content within a literal, and as the begin tag where one may come.
bool pos_added(grammar *g, struct chunks *mem, const struct pos *from, int32_t token,
               struct pos *to)
{
    const struct tools *t = &g->tools;
    if (!t->on) return false;
    bool begins = from->mode == M_BEGIN ||
                  (from->mode == M_TEXT && from->sub == STR_PLAIN && may_call(t)) ||
                  (from->mode == M_AFTER && t->parallel && t->literal[LIT_BETWEEN].len == 0);
    if (begins && token == t->begin_token) {
        enter_literal(g, LIT_OPEN, to);
        return true;
    }
    struct pos p = *from;
    if (p.mode == M_AFTER && t->parallel) enter_literal(g, LIT_BETWEEN, &p);
    if (p.mode != M_LITERAL) return false;
    const struct literal_text *l = &t->literal[p.literal];
    const char *text = g->v->bytes[token];
    uint32_t n = g->v->len[token];
    if (n == 0 || n > l->len - p.off || memcmp(l->text + p.off, text, n) != 0) return false;
    for (uint32_t i = 0; i < n; i++) {
        struct pos next;
        if (!pos_step(g, mem, &p, (uint8_t)text[i], &next)) return false;
        p = next;
    }
    *to = p;
    return true;
}

// ---- the shortest finish ----

static uint32_t names_finish(grammar *g, uint32_t lo, uint32_t hi, uint32_t off)
{
    const struct tools *t = &g->tools;
    uint32_t best = FAR;
    for (uint32_t i = lo; i < hi; i++)
        best = min_of(best, far_add(t->names.len[i] - off, values_cost(g, t->set[t->names.id[i]])));
    return far_add(best, t->literal[LIT_CLOSE].cost[0]);
}

static uint32_t literal_finish(grammar *g, const struct pos *p)
{
    const struct tools *t = &g->tools;
    uint32_t rest = t->literal[p->literal].cost[p->off];
    if (p->literal == LIT_CLOSE) return rest;
    uint32_t call = names_finish(g, 0, t->names.n, 0);
    if (p->literal == LIT_BETWEEN && t->begin_token >= 0)
        return far_add(far_add(rest, 1 + t->literal[LIT_OPEN].cost[0]), call);
    return far_add(rest, call);
}

static uint32_t text_finish(grammar *g, const struct pos *p)
{
    const struct tools *t = &g->tools;
    bool must_call = t->choice == CHOICE_REQUIRED || t->choice == CHOICE_NAMED;
    if (!must_call) return p->mode == M_ANCHOR ? 0 : character_rest(p);
    uint32_t call = names_finish(g, 0, t->names.n, 0);
    if (p->mode == M_ANCHOR) return far_add(t->trigger_len - p->off, call);
    if (t->begin_token >= 0)
        return far_add(character_rest(p) + 1 + t->literal[LIT_OPEN].cost[0], call);
    uint32_t begun = p->sub == STR_PLAIN ? p->off : 0; // a continuation byte breaks off the trigger
    return far_add(character_rest(p) + t->trigger_len - begun + t->literal[LIT_RETRY].cost[0],
                   call);
}

uint32_t tools_finish(grammar *g, const struct pos *p)
{
    const struct tools *t = &g->tools;
    switch (p->mode) {
    case M_TEXT:
    case M_ANCHOR: return text_finish(g, p);
    case M_LITERAL: return literal_finish(g, p);
    case M_NAME: return names_finish(g, p->a, p->b, p->off);
    case M_BEGIN:
        return far_add(1 + t->literal[LIT_OPEN].cost[0], names_finish(g, 0, t->names.n, 0));
    default: return 0;
    }
}
