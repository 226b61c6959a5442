// How many bytes the k-th shortest of the texts that are left takes. Texts are counted by what they
// cost, from the top: a count stops as soon as there are enough, and those of late are remembered.
#include "engine/lex_private.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX  2000   // characters
#define ENTRIES    65536u // remembered, a power of two
#define EFFORT_MAX 200000 // expressions looked at for one answer

struct tally { // of the texts of an expression that take at most `limit` bytes
    expr a;    // EXPR_NONE: empty
    uint32_t limit, n;
    uint32_t next; // where the next ones come, FAR: there are none; 0: n was enough, there are more
};

struct tallies {
    uint32_t n, cap;
    struct tally *v;
    uint32_t effort;
};

void tallies_free(struct tallies *t)
{
    if (t) free(t->v);
    free(t);
}

size_t tallies_bytes(const struct tallies *t)
{
    return t ? sizeof *t + t->cap * sizeof *t->v : 0;
}

static struct tally *tally_at(const struct tallies *t, expr a, uint32_t limit)
{
    uint32_t i = hash_words((uint32_t[]){a, limit}, 2, 0) & (t->cap - 1);
    while (t->v[i].a != EXPR_NONE && (t->v[i].a != a || t->v[i].limit != limit))
        i = (i + 1) & (t->cap - 1);
    return &t->v[i];
}

static void tally_put(struct tallies *t, struct tally x)
{
    if (2 * t->n >= t->cap && t->cap == ENTRIES) {
        memset(t->v, 0, t->cap * sizeof *t->v);
        t->n = 0;
    } else if (2 * t->n >= t->cap) {
        struct tallies old = *t;
        t->cap = old.cap ? 2 * old.cap : 64;
        t->v = mem_new(t->cap * sizeof *t->v);
        for (uint32_t i = 0; i < old.cap; i++)
            if (old.v[i].a != EXPR_NONE) *tally_at(t, old.v[i].a, old.v[i].limit) = old.v[i];
        free(old.v);
    }
    struct tally *at = tally_at(t, x.a, x.limit);
    t->n += at->a == EXPR_NONE;
    *at = x;
}

// Characters lo..hi by their cost, the cheapest ones first.
struct prices {
    uint32_t cost[8], n[8];
    int count;
};

static void add_price(struct prices *p, uint32_t cost, uint32_t n)
{
    int at = 0;
    while (at < p->count && p->cost[at] < cost) at++;
    if (n == 0) return;
    if (at == p->count || p->cost[at] != cost) {
        for (int i = p->count++; i > at; i--) {
            p->cost[i] = p->cost[i - 1];
            p->n[i] = p->n[i - 1];
        }
        p->cost[at] = cost;
        p->n[at] = 0;
    }
    p->n[at] += n;
}

// What is due of character c where a state stands in the middle of it.
static uint32_t price_within(enum stage stage, uint32_t c)
{
    uint32_t second = c >= 0x10000 ? 6 : 0;
    switch (stage) {
    case STAGE_ESCAPE:
        if (c && c < 0x80 && strchr("\b\f\n\r\t\"\\", (int)c)) return 1;
        return 5 + second;
    case STAGE_UTF8_1:
    case STAGE_UTF8_2:
    case STAGE_UTF8_3: return (uint32_t)(stage - STAGE_UTF8_1) + 1;
    case STAGE_HEX_1:
    case STAGE_HEX_2:
    case STAGE_HEX_3:
    case STAGE_HEX_4: return (uint32_t)(stage - STAGE_HEX_1) + 1 + second;
    case STAGE_LOW_U: return 5;
    case STAGE_LOW_BACKSLASH: return 6;
    default: return (uint32_t)(stage - STAGE_LOW_1) + 1;
    }
}

static uint32_t price(const lex *x, enum stage stage, uint32_t c)
{
    return stage == STAGE_CHAR ? span_cost(x, c, c) : price_within(stage, c);
}

static struct prices prices_of(const lex *x, enum stage stage, uint32_t lo, uint32_t hi)
{
    // The price is constant between these.
    static const uint32_t edge[] = {0x08,
                                    0x0b,
                                    0x0c,
                                    0x0e,
                                    0x20,
                                    0x22,
                                    0x23,
                                    0x5c,
                                    0x5d,
                                    0x80,
                                    0x800,
                                    0x10000,
                                    CODE_POINT_MAX + 1};
    struct prices p = {.count = 0};
    for (size_t i = 0; i < sizeof edge / sizeof *edge && lo <= hi; i++) {
        if (edge[i] <= lo) continue;
        uint32_t to = edge[i] - 1 < hi ? edge[i] - 1 : hi;
        add_price(&p, price(x, stage, lo), span_size(lo, to));
        lo = to + 1;
    }
    return p;
}

struct count {
    lex *x;
    uint32_t total, enough, next;
    bool failed; // too deep, or too much work
};

static void count_texts(struct count *c, expr a, uint32_t limit, uint32_t depth);

// Those that go on with one of these characters, which lead to a.
static void count_behind(struct count *c, const struct prices *p, expr a, uint32_t limit,
                         uint32_t depth)
{
    uint32_t rest = expr_rest(c->x, a);
    if (rest == FAR) return;
    for (int i = 0; i < p->count && c->total < c->enough && !c->failed; i++) {
        if (far_sum(p->cost[i], rest) > limit) {
            uint32_t next = far_sum(p->cost[i], rest);
            c->next = next < c->next ? next : c->next;
            return; // the others cost more
        }
        struct count below = {.x = c->x, .next = FAR};
        below.enough = (c->enough - c->total + p->n[i] - 1) / p->n[i];
        count_texts(&below, a, limit - p->cost[i], depth + 1);
        uint32_t next = far_sum(p->cost[i], below.next);
        c->next = next < c->next ? next : c->next;
        uint64_t total = c->total + (uint64_t)below.total * p->n[i];
        c->total = total < c->enough ? (uint32_t)total : c->enough;
        c->failed = below.failed;
    }
}

static void count_texts(struct count *c, expr a, uint32_t limit, uint32_t depth)
{
    lex *x = c->x;
    struct tallies *t = x->tallies;
    struct tally *known = t->cap ? tally_at(t, a, limit) : NULL;
    if (known && known->a != EXPR_NONE && (known->next || known->n >= c->enough)) {
        c->total = known->n < c->enough ? known->n : c->enough;
        c->next = known->next;
        return;
    }
    c->failed = depth >= DEPTH_MAX || t->effort++ >= EFFORT_MAX;
    if (c->failed) return;
    const struct row *r = expr_row(x, a);
    c->total = x->expr[a].nullable;
    for (uint32_t k = 0; k < r->n && c->total < c->enough && !c->failed; k++) {
        uint32_t hi = k + 1 < r->n ? r->from[k + 1] - 1 : CODE_POINT_MAX;
        struct prices p = prices_of(x, STAGE_CHAR, r->from[k], hi);
        count_behind(c, &p, r->to[k], limit, depth);
    }
    if (!c->failed)
        tally_put(t, (struct tally){a, limit, c->total, c->total < c->enough ? c->next : 0});
}

// From a state, which may be in the middle of a character.
static void count_from(struct count *c, const struct state *s, uint32_t limit)
{
    if (s->stage == STAGE_CHAR) {
        count_texts(c, s->a, limit, 0);
        return;
    }
    struct open_spans o = string_open(c->x, s->stage, s->b);
    for (int i = 0; i < o.n; i++) {
        const struct row *r = s->same ? NULL : expr_row(c->x, s->a);
        for (uint32_t k = 0; k < (r ? r->n : 1); k++) {
            uint32_t lo = o.s[i].lo, hi = o.s[i].hi;
            if (r && r->from[k] > lo) lo = r->from[k];
            if (r && k + 1 < r->n && r->from[k + 1] - 1 < hi) hi = r->from[k + 1] - 1;
            if (lo > hi) continue;
            struct prices p = prices_of(c->x, s->stage, lo, hi);
            count_behind(c, &p, r ? r->to[k] : s->a, limit, 0);
        }
    }
}

uint32_t lex_rest_left(lex *x, lex_state s, const uint32_t *spent, uint32_t n_spent, uint32_t least,
                       uint32_t k, uint32_t *upto)
{
    if (s == LEX_DEAD) return LEX_NONE;
    struct state from = x->state[s];
    uint32_t limit = lex_rest(x, s);
    if (limit < least) limit = least;
    if (n_spent == 0 && k == 1 && *upto == 1) return limit;
    if (!x->tallies) x->tallies = mem_new(sizeof *x->tallies);
    x->tallies->effort = 0;
    while (limit != FAR) {
        uint32_t gone = 0;
        for (uint32_t i = 0; i < n_spent; i++) gone += spent[i] <= limit;
        struct count c = {.x = x, .enough = gone + *upto, .next = FAR};
        count_from(&c, &from, limit);
        if (c.failed) return LEX_UNKNOWN;
        if (c.total >= gone + k) {
            *upto = c.total - gone;
            return limit;
        }
        limit = c.next;
    }
    return LEX_NONE;
}

// Takes one character off the text.
static uint32_t next_character(const char **p, const char *end)
{
    uint32_t c = 0xfffd;
    int n = utf8_decode(*p, (size_t)(end - *p), &c);
    *p += n > 0 ? n : 1;
    return c;
}

// May c still come of the character that s is in? Where that does not matter to what follows s
// does not know all of it, and the caller has compared the bytes.
static bool leaves_open(const lex *x, const struct state *s, uint32_t c)
{
    bool utf8 = s->stage >= STAGE_UTF8_1 && s->stage <= STAGE_UTF8_3;
    bool exact = !s->same || s->stage == STAGE_ESCAPE || (x->escapes == ESCAPES_MINIMAL && !utf8);
    struct open_spans o = string_open(x, s->stage, s->b);
    for (int i = 0; i < o.n; i++)
        if (c >= o.s[i].lo && c <= o.s[i].hi) return true;
    return !exact;
}

uint32_t lex_rest_of(lex *x, lex_state s, const char *text, size_t n)
{
    if (s == LEX_DEAD) return LEX_NONE;
    struct state from = x->state[s];
    const char *p = text, *end = text + n;
    uint32_t cost = 0;
    expr a = from.a;
    if (from.stage != STAGE_CHAR) {
        if (n == 0) return LEX_NONE;
        uint32_t c = next_character(&p, end);
        if (!leaves_open(x, &from, c)) return LEX_NONE;
        cost = price(x, from.stage, c);
        if (!from.same) a = row_find(expr_row(x, a), c);
    }
    if (!expr_has(x, a, p, (size_t)(end - p))) return LEX_NONE;
    while (p < end) cost += price(x, STAGE_CHAR, next_character(&p, end));
    return cost;
}
