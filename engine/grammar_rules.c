// Pieces: what a text by rules is made of, at compile time. Whatever of it is regular is put
// together in the lexical layer at once, where it becomes one automaton; only what holds JSON
// values, tokens or calls of rules stays a piece of its own.
#include "engine/grammar_rules.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

struct rules_piece {
    uint8_t kind;
    bool call; // in it everything is (part of) a call
    uint32_t a, b, c;
};

static piece add(grammar *g, struct rules_piece p)
{
    struct rules *r = g->rules;
    if (r->n_piece == 0) r->n_piece = 2; // PIECE_NONE, PIECE_EMPTY
    if (r->n_piece >= r->cap_piece) {
        r->cap_piece = r->cap_piece ? r->cap_piece * 2 : 64;
        r->piece = mem_grow(r->piece, r->cap_piece * sizeof *r->piece);
    }
    r->piece[r->n_piece] = p;
    return r->n_piece++;
}

static struct rules_piece at(const grammar *g, piece p)
{
    if (p < 2)
        return (struct rules_piece){.kind = p == PIECE_EMPTY ? PIECE_IS_EMPTY : PIECE_IS_NONE};
    return g->rules->piece[p];
}

piece piece_lang(grammar *g, lex_lang l)
{
    if (l == LEX_FAILED) return PIECE_FAILED;
    lex_state start = lex_start(g->raw, l);
    if (start == LEX_DEAD) return PIECE_NONE;
    if (lex_is_end(g->raw, start)) return PIECE_EMPTY;
    return add(g, (struct rules_piece){.kind = PIECE_LANG, .a = l});
}

piece piece_text(grammar *g, const char *text, size_t n)
{
    if (n == 0) return PIECE_EMPTY;
    return piece_lang(g, lex_words(g->raw, &text, &n, 1));
}

static piece prepared(grammar *g, lex_lang l, err *e)
{
    if (l == LEX_FAILED)
        err_set(e, ERR_INPUT, "too large");
    else if (lex_prepare(g->raw, l, e) == 0)
        return piece_lang(g, l);
    return PIECE_FAILED;
}

piece piece_pattern(grammar *g, const char *pattern, size_t n, err *e)
{
    char *whole = mem_printf("^(?:%.*s)$", (int)n, pattern);
    lex_lang l = LEX_FAILED;
    // The group must not be closed by the pattern itself: a)(b
    if (memchr(pattern, 0, n))
        err_set(e, ERR_INPUT, "a NUL byte in the pattern");
    else if (lex_regex(g->raw, pattern, n, e) != LEX_FAILED)
        l = lex_regex(g->raw, whole, strlen(whole), e);
    free(whole);
    return l == LEX_FAILED ? PIECE_FAILED : prepared(g, l, e);
}

// Texts in which one of the words stands somewhere.
static lex_lang with_words(lex *x, const char *const *words, size_t n)
{
    size_t *len = mem_new((n + 1) * sizeof *len);
    for (size_t i = 0; i < n; i++) len[i] = strlen(words[i]);
    lex_lang any = LEX_ANY_STRING, l = lex_words(x, words, len, n);
    free(len);
    return lex_then(x, any, lex_then(x, l, any));
}

piece piece_without(grammar *g, const char *const *words, size_t n, err *e)
{
    if (n == 0) return piece_lang(g, LEX_ANY_STRING);
    return prepared(g, lex_not(g->raw, with_words(g->raw, words, n)), e);
}

piece piece_until(grammar *g, const char *const *words, size_t n, size_t i, err *e)
{
    lex *x = g->raw;
    size_t len = strlen(words[i]);
    lex_lang ends = lex_then(x, LEX_ANY_STRING, lex_words(x, &words[i], &len, 1));
    lex_lang before = lex_then(x, with_words(x, words, n), lex_length(x, 1, UINT64_MAX));
    // A word that ends where another does, and begins before it, comes first all the same.
    return prepared(g, lex_and(x, ends, lex_not(x, before)), e);
}

piece piece_not_beginning(grammar *g, const char *text, err *e)
{
    size_t len = strlen(text);
    lex_lang l = lex_then(g->raw, lex_words(g->raw, &text, &len, 1), LEX_ANY_STRING);
    return prepared(g, lex_not(g->raw, l), e);
}

piece piece_json(grammar *g, set_id s)
{
    return add(g, (struct rules_piece){.kind = PIECE_JSON, .a = s});
}

piece piece_token(grammar *g, int32_t token)
{
    return add(g, (struct rules_piece){.kind = PIECE_TOKEN, .a = (uint32_t)token});
}

piece piece_any(grammar *g, int32_t except)
{
    return add(g, (struct rules_piece){.kind = PIECE_ANY, .a = (uint32_t)except});
}

piece piece_rule(grammar *g, uint32_t rule)
{
    return add(g, (struct rules_piece){.kind = PIECE_RULE, .a = rule});
}

static bool is_lang(const grammar *g, piece a)
{
    return at(g, a).kind == PIECE_LANG;
}

// The piece of a language that was put together from parts; where it is too large for one automaton
// they stay apart.
static piece joined(grammar *g, struct rules_piece apart, lex_lang l)
{
    err ignored;
    if (l == LEX_FAILED) return add(g, apart);
    // Without and and not it is not empty, and is looked at when all of it stands.
    if (!lex_is_plain(g->raw, l) && lex_prepare(g->raw, l, &ignored)) return add(g, apart);
    return piece_lang(g, l);
}

piece piece_then(grammar *g, piece a, piece b)
{
    if (a == PIECE_FAILED || b == PIECE_FAILED) return PIECE_FAILED;
    if (a == PIECE_NONE || b == PIECE_NONE) return PIECE_NONE;
    if (a == PIECE_EMPTY) return b;
    if (b == PIECE_EMPTY) return a;
    struct rules_piece apart = {.kind = PIECE_SEQUENCE, .a = a, .b = b};
    if (!is_lang(g, a) || !is_lang(g, b)) return add(g, apart);
    return joined(g, apart, lex_then(g->raw, at(g, a).a, at(g, b).a));
}

piece piece_or(grammar *g, piece a, piece b)
{
    if (a == PIECE_FAILED || b == PIECE_FAILED) return PIECE_FAILED;
    if (a == PIECE_NONE || a == b) return b;
    if (b == PIECE_NONE) return a;
    struct rules_piece apart = {.kind = PIECE_CHOICE, .a = a, .b = b};
    if (!is_lang(g, a) || !is_lang(g, b)) return add(g, apart);
    return joined(g, apart, lex_or(g->raw, at(g, a).a, at(g, b).a));
}

piece piece_or_all(grammar *g, const piece *list, uint32_t n)
{
    if (n == 0) return PIECE_NONE;
    if (n == 1) return list[0];
    return piece_or(g, piece_or_all(g, list, n / 2), piece_or_all(g, list + n / 2, n - n / 2));
}

piece piece_repeat(grammar *g, piece a, uint32_t min, uint32_t max)
{
    if (a == PIECE_FAILED) return PIECE_FAILED;
    if (a == PIECE_NONE) return min ? PIECE_NONE : PIECE_EMPTY;
    if (a == PIECE_EMPTY || max == 0) return PIECE_EMPTY;
    if (min == 1 && max == 1) return a;
    struct rules_piece apart = {.kind = PIECE_REPEAT, .a = a, .b = min, .c = max};
    return is_lang(g, a) ? joined(g, apart, lex_repeat(g->raw, at(g, a).a, min, max))
                         : add(g, apart);
}

piece piece_call(grammar *g, piece a)
{
    if (a < 2 || a == PIECE_FAILED) return a;
    return add(g, (struct rules_piece){.kind = PIECE_CALL, .a = a});
}

// Added and special tokens, once for a grammar.
static void find_named(grammar *g)
{
    struct rules *r = g->rules;
    const grammar_vocab *v = g->v;
    if (r->named) return;
    r->named = mem_grow(NULL, 16 * sizeof *r->named);
    for (int32_t i = 0; i < v->n_token; i++) {
        if (v->kind[i] == VOCAB_TEXT || v->len[i] == 0 || i == v->end) continue;
        if (r->n_named >= 16 && (r->n_named & (r->n_named - 1)) == 0)
            r->named = mem_grow(r->named, 2 * r->n_named * sizeof *r->named);
        r->named[r->n_named++] = i;
    }
}

int32_t rules_named(grammar *g, const char *text, size_t n)
{
    const grammar_vocab *v = g->v;
    int32_t best = -1;
    find_named(g);
    for (uint32_t i = 0; i < g->rules->n_named; i++) {
        int32_t token = g->rules->named[i];
        uint32_t len = v->len[token];
        if (len <= n && (best < 0 || len > v->len[best]) && memcmp(v->bytes[token], text, len) == 0)
            best = token;
    }
    return best;
}

piece piece_format(grammar *g, const char *text)
{
    piece all = PIECE_EMPTY;
    size_t n = strlen(text), from = 0;
    for (size_t i = 0; i < n;) {
        int32_t token = rules_named(g, text + i, n - i);
        if (token < 0) {
            i++;
            continue;
        }
        size_t len = g->v->len[token];
        piece either = piece_or(g, piece_token(g, token), piece_text(g, text + i, len));
        all = piece_then(g, piece_then(g, all, piece_text(g, text + from, i - from)), either);
        from = i += len;
    }
    return piece_then(g, all, piece_text(g, text + from, n - from));
}

uint32_t rule_new(grammar *g)
{
    struct rules *r = g->rules;
    if (r->n_rule == r->cap_rule) {
        r->cap_rule = r->cap_rule ? r->cap_rule * 2 : 16;
        r->rule = mem_grow(r->rule, r->cap_rule * sizeof *r->rule);
    }
    r->rule[r->n_rule] = (struct rules_rule){.piece = PIECE_NONE, .cost = FAR};
    return r->n_rule++;
}

void rule_set(grammar *g, uint32_t rule, piece p)
{
    g->rules->rule[rule].piece = p;
}

// May p be completed, as far as rules are known to be?
static bool is_productive(const grammar *g, piece p)
{
    for (;;) {
        struct rules_piece x = at(g, p);
        switch (x.kind) {
        case PIECE_IS_NONE: return false;
        case PIECE_RULE: return g->rules->rule[x.a].cost < FAR;
        case PIECE_SEQUENCE:
            if (!is_productive(g, x.b)) return false;
            break;
        case PIECE_CHOICE:
            if (is_productive(g, x.b)) return true;
            break;
        case PIECE_REPEAT:
            if (x.b == 0) return true;
            break;
        case PIECE_CALL: break;
        default: return true;
        }
        p = x.a;
    }
}

uint32_t rules_unproductive(const grammar *g)
{
    const struct rules *r = g->rules;
    uint32_t bad = NONE;
    for (bool changed = true, up = true; changed; up = !up) { // up and down: most come in order
        changed = false;
        bad = NONE;
        for (uint32_t k = 0; k < r->n_rule; k++) {
            uint32_t i = up ? k : r->n_rule - 1 - k;
            if (r->rule[i].cost < FAR) continue;
            if (is_productive(g, r->rule[i].piece)) {
                r->rule[i].cost = 0;
                changed = true;
            } else {
                bad = i;
            }
        }
    }
    return bad;
}

// ---- the net ----

static uint32_t node_new(struct rules *r)
{
    if (r->n_node == r->cap_node) {
        r->cap_node = r->cap_node ? r->cap_node * 2 : 64;
        r->node = mem_grow(r->node, r->cap_node * sizeof *r->node);
    }
    if (r->n_node >= RULES_NODES_MAX) r->too_large = true;
    r->node[r->n_node] = (struct rules_node){.first = NONE, .cost = FAR, .starts = NONE};
    return r->n_node++;
}

static void edge_new(struct rules *r, uint32_t from, struct rules_edge x)
{
    if (r->n_edge == r->cap_edge) {
        r->cap_edge = r->cap_edge ? r->cap_edge * 2 : 64;
        r->edge = mem_grow(r->edge, r->cap_edge * sizeof *r->edge);
    }
    x.next = r->node[from].first;
    r->node[from].first = r->n_edge;
    r->edge[r->n_edge++] = x;
}

static void spell(grammar *g, piece p, uint32_t from, uint32_t to, bool call);

static void spell_repeat(grammar *g, struct rules_piece x, uint32_t from, uint32_t to, bool call)
{
    struct rules *r = g->rules;
    uint32_t here = node_new(r);
    spell(g, PIECE_EMPTY, from, here, call);
    for (uint32_t i = 0; i < x.b && !r->too_large; i++) {
        uint32_t next = node_new(r);
        spell(g, x.a, here, next, call);
        here = next;
    }
    if (x.c == UINT32_MAX) {
        uint32_t loop = node_new(r);
        spell(g, PIECE_EMPTY, here, loop, call);
        spell(g, x.a, loop, loop, call);
        here = loop;
    }
    for (uint32_t i = x.b; x.c != UINT32_MAX && i < x.c && !r->too_large; i++) {
        uint32_t next = node_new(r);
        spell(g, PIECE_EMPTY, here, to, call);
        spell(g, x.a, here, next, call);
        here = next;
    }
    spell(g, PIECE_EMPTY, here, to, call);
}

static void spell_lang(grammar *g, struct rules_edge edge, uint32_t from)
{
    struct rules *r = g->rules;
    err ignored;
    if (lex_prepare(g->raw, edge.a, &ignored)) r->too_large = true;
    edge.s = lex_start(g->raw, edge.a);
    edge_new(r, from, edge);
    if (lex_accepts(g->raw, edge.s)) spell(g, PIECE_EMPTY, from, edge.to, edge.call);
}

// Edges from node `from` to node `to` that spell p. Long sequences and choices nest to the left.
static void spell(grammar *g, piece p, uint32_t from, uint32_t to, bool call)
{
    struct rules *r = g->rules;
    while (!r->too_large) {
        struct rules_piece x = at(g, p);
        struct rules_edge edge = {.kind = x.kind, .to = to, .a = x.a, .call = call};
        switch (x.kind) {
        case PIECE_IS_NONE: return;
        case PIECE_LANG: spell_lang(g, edge, from); return;
        case PIECE_ANY:
            edge.s = lex_start(g->raw, LEX_ANY_STRING);
            edge_new(r, from, edge);
            spell(g, PIECE_EMPTY, from, to, call);
            return;
        case PIECE_SEQUENCE: {
            uint32_t middle = node_new(r);
            spell(g, x.b, middle, to, call);
            to = middle;
            break;
        }
        case PIECE_CHOICE: spell(g, x.b, from, to, call); break;
        case PIECE_CALL: call = true; break;
        case PIECE_REPEAT: spell_repeat(g, x, from, to, call); return;
        default: edge_new(r, from, edge); return;
        }
        p = x.a;
    }
}

static uint32_t edge_cost(grammar *g, const struct rules_edge *x)
{
    switch (x->kind) {
    case PIECE_IS_EMPTY:
    case PIECE_ANY: return 0;
    case PIECE_LANG: return lex_rest(g->raw, x->s);
    case PIECE_JSON: return values_cost(g, x->a);
    case PIECE_TOKEN: return 1;
    default: return g->rules->rule[x->a].cost;
    }
}

static bool improve_cost(grammar *g, uint32_t i)
{
    struct rules *r = g->rules;
    bool better = false;
    for (uint32_t k = r->node[i].first; k != NONE; k = r->edge[k].next) {
        uint32_t cost = far_add(edge_cost(g, &r->edge[k]), r->node[r->edge[k].to].cost);
        if (cost >= r->node[i].cost) continue;
        r->node[i].cost = cost;
        better = true;
        if (r->node[i].starts != NONE) r->rule[r->node[i].starts].cost = cost;
    }
    return better;
}

// Fewest tokens from each node to the end of its rule, and of each rule.
static void find_costs(grammar *g)
{
    struct rules *r = g->rules;
    for (uint32_t i = 0; i < r->n_rule; i++) {
        r->node[r->rule[i].end].cost = 0;
        r->node[r->rule[i].start].starts = i;
        r->rule[i].cost = FAR;
    }
    for (bool changed = true, up = false; changed; up = !up) {
        changed = false;
        for (uint32_t k = 0; k < r->n_node; k++)
            changed = improve_cost(g, up ? k : r->n_node - 1 - k) || changed;
    }
}

// Which rules may be left without reading anything.
static void find_nullable(struct rules *r)
{
    uint8_t *empty = mem_new((size_t)r->n_node + 1); // its rule's end may be reached at once
    for (uint32_t i = 0; i < r->n_rule; i++) empty[r->rule[i].end] = 1;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = 0; i < r->n_node; i++)
            for (uint32_t k = r->node[i].first; k != NONE && !empty[i]; k = r->edge[k].next) {
                const struct rules_edge *x = &r->edge[k];
                bool silent = x->kind == PIECE_IS_EMPTY ||
                              (x->kind == PIECE_RULE && empty[r->rule[x->a].start]);
                if (!silent || !empty[x->to]) continue;
                empty[i] = 1;
                changed = true;
            }
    }
    for (uint32_t i = 0; i < r->n_rule; i++) r->rule[i].nullable = empty[r->rule[i].start];
    free(empty);
}

// Takes out the edges that lead to no end, and finds the nodes behind which only the end of the
// rule can come.
static void tidy(grammar *g)
{
    struct rules *r = g->rules;
    for (uint32_t i = 0; i < r->n_node; i++) {
        uint32_t *link = &r->node[i].first;
        while (*link != NONE) {
            struct rules_edge *x = &r->edge[*link];
            x->cost = edge_cost(g, x);
            if (x->cost >= FAR || r->node[x->to].cost >= FAR)
                *link = x->next;
            else
                link = &x->next;
        }
        r->node[i].is_last = r->node[i].is_end && r->node[i].first == NONE;
    }
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = r->n_node; i-- > 0;) {
            bool last = !r->node[i].is_last && r->node[i].first != NONE;
            for (uint32_t k = r->node[i].first; k != NONE && last; k = r->edge[k].next)
                last = r->edge[k].kind == PIECE_IS_EMPTY && r->node[r->edge[k].to].is_last;
            if (!last) continue;
            r->node[i].is_last = changed = true;
        }
    }
}

// What can be stood in from a node on without reading anything: at most so many ways, and rules
// that are entered, or every step would take too long.
struct width {
    uint32_t *mark, *stack, n, ways, rules;
};

static void widen(struct width *w, uint32_t node, uint32_t from)
{
    if (w->mark[node] == from + 1) return;
    w->mark[node] = from + 1;
    w->stack[w->n++] = node;
}

static bool is_too_wide(const struct rules *r, struct width *w, uint32_t from)
{
    w->n = w->ways = w->rules = 0;
    widen(w, from, from);
    for (uint32_t done = 0; done < w->n; done++)
        for (uint32_t k = r->node[w->stack[done]].first; k != NONE; k = r->edge[k].next) {
            const struct rules_edge *x = &r->edge[k];
            w->ways += x->kind != PIECE_IS_EMPTY;
            if (x->kind == PIECE_RULE && w->mark[r->rule[x->a].start] != from + 1) w->rules++;
            if (x->kind == PIECE_RULE) widen(w, r->rule[x->a].start, from);
            if (x->kind == PIECE_IS_EMPTY || (x->kind == PIECE_RULE && r->rule[x->a].nullable))
                widen(w, x->to, from);
            if (w->ways > RULES_WAYS_MAX || w->rules > RULES_OPEN_MAX) return true;
        }
    return false;
}

static bool is_too_wide_anywhere(const struct rules *r)
{
    struct width w = {.mark = mem_new((r->n_node + 1) * sizeof *w.mark),
                      .stack = mem_new((r->n_node + 1) * sizeof *w.stack)};
    bool wide = is_too_wide(r, &w, r->rule[r->root].start);
    for (uint32_t i = 0; i < r->n_edge && !wide; i++)
        wide = r->edge[i].kind != PIECE_IS_EMPTY && is_too_wide(r, &w, r->edge[i].to);
    free(w.mark);
    free(w.stack);
    return wide;
}

int rules_compile(grammar *g, piece root, err *e)
{
    struct rules *r = g->rules;
    if (root == PIECE_FAILED) return err_set(e, ERR_INPUT, "too large");
    r->root = rule_new(g);
    rule_set(g, r->root, root);
    for (uint32_t i = 0; i < r->n_rule; i++) {
        r->rule[i].start = node_new(r);
        r->rule[i].end = node_new(r);
        r->node[r->rule[i].end].is_end = true;
    }
    for (uint32_t i = 0; i < r->n_rule; i++)
        spell(g, r->rule[i].piece, r->rule[i].start, r->rule[i].end, false);
    if (!r->too_large) {
        find_costs(g);
        find_nullable(r);
        tidy(g);
    }
    free(r->piece);
    r->piece = NULL;
    r->cap_piece = r->n_piece = 0;
    if (r->too_large)
        return err_set(e, ERR_INPUT, "too large: more than %u places", RULES_NODES_MAX);
    if (is_too_wide_anywhere(r))
        return err_set(e, ERR_INPUT,
                       "too large: more than %u rules, or %u ways to go on, at one place",
                       RULES_OPEN_MAX, RULES_WAYS_MAX);
    if (r->rule[r->root].cost >= FAR)
        return err_set(e, ERR_INPUT, "no text of reasonable length satisfies it");
    return 0;
}

void rules_free(struct rules *r)
{
    if (!r) return;
    free(r->piece);
    free(r->named);
    free(r->rule);
    free(r->node);
    free(r->edge);
    free(r);
}

size_t rules_bytes(const struct rules *r)
{
    if (!r) return 0;
    return sizeof *r + r->cap_rule * sizeof *r->rule + r->cap_node * sizeof *r->node +
           r->cap_edge * sizeof *r->edge;
}
