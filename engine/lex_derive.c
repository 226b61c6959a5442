// The derivative of an expression by a character: the expression of what may follow it. All
// characters that no set in question tells apart have the same one, so a row holds one per class.
#include "engine/lex_private.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

// ---- one character ----

static expr derive(lex *x, expr a, uint32_t c);

static expr derive_words(lex *x, struct expr_node p, uint32_t c)
{
    uint32_t lo = p.b, hi = p.c, n = wordset_narrow(x, p.a, &lo, &hi, p.d, c);
    return n ? expr_words_at(x, p.a, lo, hi, p.d + n) : EXPR_NONE;
}

// Most characters are the end of it.
static bool is_narrow(const lex *x, expr a)
{
    const struct expr_node *p = &x->expr[a];
    return p->kind == EXPR_CLOCK || p->kind == EXPR_SET || p->kind == EXPR_WORDS ||
           (p->kind == EXPR_THEN && !x->expr[p->a].nullable);
}

// Those that most characters are the end of come first: then the others need not be asked.
static expr derive_and(lex *x, struct expr_node p, uint32_t c)
{
    expr all = EXPR_ALL;
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; i < p.a && all != EXPR_NONE; i++)
            if (is_narrow(x, p.list[i]) == (pass == 0))
                all = expr_and(x, all, derive(x, p.list[i], c));
    return all;
}

static expr derive_or(lex *x, struct expr_node p, uint32_t c)
{
    expr all = EXPR_NONE;
    if (p.a > 4) { // at once: one by one, the growing union would be sorted again each time
        expr *to = mem_new(p.a * sizeof *to);
        for (uint32_t i = 0; i < p.a; i++) to[i] = derive(x, p.list[i], c);
        all = expr_or_of(x, to, p.a);
        free(to);
        return all;
    }
    for (uint32_t i = 0; i < p.a; i++) all = expr_or(x, all, derive(x, p.list[i], c));
    return all;
}

static expr derive_kind(lex *x, struct expr_node p, uint32_t c)
{
    switch (p.kind) {
    case EXPR_SET: return set_has(x, p.a, c) ? EXPR_END : EXPR_NONE;
    case EXPR_THEN: {
        expr first = expr_then(x, derive(x, p.a, c), p.b);
        return x->expr[p.a].nullable ? expr_or(x, first, derive(x, p.b, c)) : first;
    }
    case EXPR_REPEAT: {
        uint32_t max = p.c == NO_MAX ? NO_MAX : p.c - 1;
        return expr_then(x, derive(x, p.a, c), expr_repeat(x, p.a, p.b ? p.b - 1 : 0, max));
    }
    case EXPR_OR: return derive_or(x, p, c);
    case EXPR_AND: return derive_and(x, p, c);
    case EXPR_NOT: return expr_not(x, derive(x, p.a, c));
    case EXPR_SIZED:
        if (p.c == 0) return EXPR_NONE;
        return expr_and(x, derive(x, p.a, c),
                        expr_length(x, p.b ? p.b - 1 : 0, p.c == NO_MAX ? NO_MAX : p.c - 1));
    case EXPR_WORDS: return derive_words(x, p, c);
    case EXPR_CLOCK: return clock_derive(x, p.a, p.b, p.c, c);
    case EXPR_LOOP: return derive(x, x->loop[p.a], c);
    default: return EXPR_NONE;
    }
}

// Shared parts are derived once per character: x->mark tells what belongs to this one.
static expr derive(lex *x, expr a, uint32_t c)
{
    struct expr_node p = x->expr[a]; // a copy: the array moves when expressions are made
    if (p.kind == EXPR_SET || p.kind == EXPR_WORDS) return derive_kind(x, p, c);
    if (p.mark == x->mark) return p.memo;
    if (p.row) return row_find(p.row, c);
    expr to = derive_kind(x, p, c);
    x->expr[a].mark = x->mark;
    x->expr[a].memo = to;
    return to;
}

// ---- all characters ----

// What tells characters apart here.
struct split {
    uint32_t *set; // sets
    uint32_t n_set, cap_set;
    uint32_t *at; // where a class may begin
    uint32_t n_at, cap_at;
    uint32_t *single; // characters that are like no other: they go on words
    uint32_t n_single, cap_single;
};

static void split_at(struct split *s, uint32_t c)
{
    if (c > CODE_POINT_MAX) return;
    s->at = array_room(s->at, s->n_at, &s->cap_at, sizeof *s->at);
    s->at[s->n_at++] = c;
}

static void split_set(const lex *x, struct split *s, uint32_t set)
{
    for (uint32_t i = 0; i < s->n_set; i++)
        if (s->set[i] == set) return;
    s->set = array_room(s->set, s->n_set, &s->cap_set, sizeof *s->set);
    s->set[s->n_set++] = set;
    for (uint32_t i = 0; i < x->set[set].n; i++) {
        split_at(s, x->set[set].span[i].lo);
        split_at(s, x->set[set].span[i].hi + 1);
    }
}

static void split_single(struct split *s, uint32_t c)
{
    split_at(s, c);
    split_at(s, c + 1);
    s->single = array_room(s->single, s->n_single, &s->cap_single, sizeof *s->single);
    s->single[s->n_single++] = c;
}

static void split_words(const lex *x, struct split *s, const struct expr_node *p)
{
    const struct words *w = &x->words[p->a];
    for (uint32_t i = p->b; i < p->c;) {
        uint32_t c, lo = i, hi = p->c;
        if (w->len[i] == p->d || utf8_decode(w->text[i] + p->d, w->len[i] - p->d, &c) == 0) {
            i++;
            continue;
        }
        split_single(s, c);
        wordset_narrow(x, p->a, &lo, &hi, p->d, c);
        i = hi;
    }
}

static void split_by(lex *x, struct split *s, expr a)
{
    struct expr_node *p = &x->expr[a];
    if (p->mark == x->mark) return;
    p->mark = x->mark;
    switch (p->kind) {
    case EXPR_SET: split_set(x, s, p->a); break;
    case EXPR_THEN:
        split_by(x, s, p->a);
        if (x->expr[p->a].nullable) split_by(x, s, p->b);
        break;
    case EXPR_REPEAT:
    case EXPR_NOT:
    case EXPR_SIZED: split_by(x, s, p->a); break;
    case EXPR_OR:
    case EXPR_AND:
        for (uint32_t i = 0; i < p->a; i++) split_by(x, s, p->list[i]);
        break;
    case EXPR_WORDS: split_words(x, s, p); break;
    case EXPR_CLOCK:
        for (const char *c = clock_characters(p->a); *c; c++) split_single(s, (uint8_t)*c);
        break;
    case EXPR_LOOP: split_by(x, s, x->loop[p->a]); break;
    default: break;
    }
}

static int by_value(const void *a, const void *b)
{
    const uint32_t *p = a, *q = b;
    return (*p > *q) - (*p < *q);
}

static void sort_values(uint32_t *v, uint32_t n)
{
    if (n > 64) {
        qsort(v, n, sizeof *v, by_value);
        return;
    }
    for (uint32_t i = 1; i < n; i++) {
        uint32_t c = v[i], k = i;
        for (; k > 0 && v[k - 1] > c; k--) v[k] = v[k - 1];
        v[k] = c;
    }
}

// One bit per set: does c belong to it?
static uint64_t signature(const lex *x, const struct split *s, uint32_t c)
{
    uint64_t bits = 0;
    for (uint32_t i = 0; i < s->n_set; i++) bits |= (uint64_t)set_has(x, s->set[i], c) << i;
    return bits;
}

static void row_add(struct row *r, uint32_t from, expr to)
{
    if (r->n && r->to[r->n - 1] == to) return;
    r->from[r->n] = from;
    r->to[r->n++] = to;
}

enum { N_ALIKE = 32 }; // classes remembered while a row is made

static bool is_single(const struct split *s, uint32_t c)
{
    return s->n_single && bsearch(&c, s->single, s->n_single, sizeof c, by_value);
}

static void row_fill(lex *x, expr a, const struct split *s, struct row *r)
{
    uint64_t known[N_ALIKE];
    expr to[N_ALIKE];
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n_at; i++) {
        bool alike = s->n_set <= 64 && !is_single(s, s->at[i]);
        uint64_t bits = alike ? signature(x, s, s->at[i]) : 0;
        uint32_t k = 0;
        while (alike && k < n && known[k] != bits) k++;
        if (alike && k < n) {
            row_add(r, s->at[i], to[k]);
            continue;
        }
        x->mark++;
        expr q = derive(x, a, s->at[i]);
        row_add(r, s->at[i], q);
        if (!alike || n == N_ALIKE) continue;
        known[n] = bits;
        to[n++] = q;
    }
}

static struct row *row_make(lex *x, expr a)
{
    struct split s = {0};
    uint32_t n = 0;
    struct expr_node p = x->expr[a];
    for (uint32_t i = 0; p.kind == EXPR_AND && i < p.a; i++)
        if (!is_narrow(x, p.list[i]) && !x->too_large) expr_row(x, p.list[i]);
    split_at(&s, 0);
    x->mark++;
    split_by(x, &s, a);
    sort_values(s.single, s.n_single);
    sort_values(s.at, s.n_at);
    for (uint32_t i = 0; i < s.n_at; i++)
        if (n == 0 || s.at[n - 1] != s.at[i]) s.at[n++] = s.at[i];
    s.n_at = n;
    struct row r = {0, mem_new(n * sizeof *r.from), mem_new(n * sizeof *r.to)};
    row_fill(x, a, &s, &r);
    struct row *kept = arena_alloc(x->mem, sizeof *kept + r.n * (sizeof *r.from + sizeof *r.to));
    *kept = (struct row){r.n, (uint32_t *)(kept + 1), (uint32_t *)(kept + 1) + r.n};
    memcpy(kept->from, r.from, r.n * sizeof *r.from);
    memcpy(kept->to, r.to, r.n * sizeof *r.to);
    free(r.from);
    free(r.to);
    free(s.set);
    free(s.at);
    free(s.single);
    return kept;
}

const struct row *expr_row(lex *x, expr a)
{
    if (!x->expr[a].row) {
        struct row *r = row_make(x, a); // may move x->expr
        if (x->too_large) return r;     // not right: not to be kept
        x->expr[a].row = r;
    }
    return x->expr[a].row;
}

expr row_find(const struct row *r, uint32_t c)
{
    uint32_t lo = 0, hi = r->n; // the last that begins at or before c
    while (hi - lo > 1) {
        uint32_t mid = (lo + hi) / 2;
        if (r->from[mid] <= c)
            lo = mid;
        else
            hi = mid;
    }
    return r->to[lo];
}

static bool words_have(const lex *x, const struct expr_node *p, const char *text, size_t n)
{
    const struct words *w = &x->words[p->a];
    uint32_t lo = p->b, hi = p->c;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        size_t len = w->len[mid] - p->d, m = len < n ? len : n;
        int o = memcmp(w->text[mid] + p->d, text, m);
        if (o == 0 && len == n) return true;
        if (o < 0 || (o == 0 && len < n))
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}

// Words, and what is put together, are asked for as a whole: their derivatives would stay.
bool expr_has(lex *x, expr a, const char *text, size_t n)
{
    struct expr_node p = x->expr[a];
    switch (p.kind) {
    case EXPR_WORDS: return words_have(x, &p, text, n);
    case EXPR_NOT: return !expr_has(x, p.a, text, n);
    case EXPR_OR:
    case EXPR_AND:
        for (uint32_t i = 0; i < p.a; i++)
            if (expr_has(x, p.list[i], text, n) != (p.kind == EXPR_AND)) return p.kind == EXPR_OR;
        return p.kind == EXPR_AND;
    default: break;
    }
    for (size_t i = 0; i < n && a != EXPR_NONE;) {
        uint32_t c;
        int len = utf8_decode(text + i, n - i, &c);
        if (len == 0) return false;
        i += (size_t)len;
        a = row_find(expr_row(x, a), c);
    }
    return x->expr[a].nullable;
}
