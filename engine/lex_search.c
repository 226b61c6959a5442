// What an expression accepts. Plain expressions (no and, no not) are never empty, and their
// shortest text follows from their parts; so does that of one with a length when its lengths have
// no gaps. All else is decided on the graph of its derivatives: it is explored to the end, under a
// cap, and the shortest way out of every node is found by relaxation. A node with no way out is
// empty.
#include "engine/lex_private.h"

#include "base/mem.h"

#include <stdlib.h>

#define COUNT_DEPTH 2000 // characters; longer finite texts count as many

// ---- the shortest text ----

static uint32_t rest_known(const lex *x, expr a)
{
    const struct expr_node *p = &x->expr[a];
    if (p->rest != UNKNOWN) return p->rest;
    return p->shape && p->cheap ? p->min_len : UNKNOWN;
}

struct search {
    expr *node; // in the order found
    uint32_t n, cap;
};

static void search_add(lex *x, struct search *s, expr a)
{
    uint32_t known = rest_known(x, a);
    x->expr[a].rest = known;
    if (known != UNKNOWN || x->expr[a].seen == x->n_search) return;
    x->expr[a].seen = x->n_search;
    x->expr[a].slot = s->n;
    s->node = array_room(s->node, s->n, &s->cap, sizeof *s->node);
    s->node[s->n++] = a;
}

static void search_from(lex *x, struct search *s, expr a)
{
    struct expr_node p = x->expr[a];
    if (p.kind == EXPR_OR) {
        for (uint32_t k = 0; k < p.a; k++) search_add(x, s, p.list[k]);
    } else if (p.kind == EXPR_THEN && x->expr[p.a].plain) {
        search_add(x, s, p.b);
    } else {
        const struct row *r = expr_row(x, a);
        for (uint32_t k = 0; k < r->n; k++) search_add(x, s, r->to[k]);
    }
}

static bool search_all(lex *x, struct search *s)
{
    uint64_t work = x->work;
    for (uint32_t i = 0; i < s->n && !x->too_large; i++) {
        if (x->n_explored + s->n > LEX_STATES_MAX) {
            x->too_large = true;
            x->why = "more than 20000 states";
        }
        if (x->work - work > LEX_WORK_MAX) {
            x->too_large = true;
            x->why = "states of too many alternatives";
        }
        search_from(x, s, s->node[i]);
    }
    return !x->too_large;
}

static uint32_t best_of(const lex *x, const uint32_t *best, expr a)
{
    return x->expr[a].rest != UNKNOWN ? x->expr[a].rest : best[x->expr[a].slot];
}

// The least rest that follows from what is known about the nodes that a leads to.
static uint32_t improved(const lex *x, const uint32_t *best, expr a)
{
    const struct expr_node *p = &x->expr[a];
    if (p->nullable) return 0;
    if (p->kind == EXPR_THEN && x->expr[p->a].plain)
        return far_sum(x->expr[p->a].rest, best_of(x, best, p->b));
    uint32_t least = FAR;
    uint32_t n = p->kind == EXPR_OR ? p->a : p->row->n;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t rest;
        if (p->kind == EXPR_OR) {
            rest = best_of(x, best, p->list[k]);
        } else {
            uint32_t hi = k + 1 < n ? p->row->from[k + 1] - 1 : CODE_POINT_MAX;
            rest = far_sum(best_of(x, best, p->row->to[k]), span_cost(x, p->row->from[k], hi));
        }
        if (rest < least) least = rest;
    }
    return least;
}

// Backwards over the order of discovery, which is mostly the order of distance, until all is calm.
static void search_relax(lex *x, const struct search *s)
{
    uint32_t *best = mem_new(s->n * sizeof *best);
    for (uint32_t i = 0; i < s->n; i++) best[i] = FAR;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = s->n; i-- > 0;) {
            uint32_t rest = improved(x, best, s->node[i]);
            changed = changed || rest < best[i];
            best[i] = rest < best[i] ? rest : best[i];
        }
    }
    for (uint32_t i = 0; i < s->n; i++) x->expr[s->node[i]].rest = best[i];
    free(best);
}

// Does every length from min_len on come up, one byte for each character?
static bool is_open(const struct expr_node *p)
{
    return p->shape && p->gap <= 1 && p->cheap && p->max_len == NO_MAX;
}

// Is p open by way of characters of one byte that lead to open nodes, or to itself?
static bool opens(const lex *x, expr a)
{
    const struct expr_node *p = &x->expr[a];
    for (uint32_t k = 0; k < p->row->n; k++) {
        expr to = p->row->to[k];
        uint32_t hi = k + 1 < p->row->n ? p->row->from[k + 1] - 1 : CODE_POINT_MAX;
        if (span_cost(x, p->row->from[k], hi) != 1) continue;
        if (p->nullable && to == a) return true;
        if (!is_open(&x->expr[to])) continue;
        if (p->nullable ? x->expr[to].min_len == 0 : p->rest == 1 + x->expr[to].min_len)
            return true;
    }
    return false;
}

// A lower bound on the characters of what `to` matches; `fewest` holds those of the nodes.
static uint32_t least_characters(const lex *x, const uint32_t *fewest, expr to)
{
    const struct expr_node *p = &x->expr[to];
    if (p->rest == FAR) return FAR;
    if (p->shape) return p->min_len;
    if (p->seen == x->n_search) return fewest[p->slot];
    return p->rest > 0;
}

// Fewest characters of each node, by relaxation: not those of the cheapest text, where characters
// of several bytes make a shorter one.
static uint32_t *search_fewest(const lex *x, const struct search *s)
{
    uint32_t *fewest = mem_new(s->n * sizeof *fewest);
    for (uint32_t i = 0; i < s->n; i++) fewest[i] = x->expr[s->node[i]].row ? FAR : 0;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = s->n; i-- > 0;) {
            const struct expr_node *p = &x->expr[s->node[i]];
            uint32_t least = p->nullable ? 0 : FAR;
            for (uint32_t k = 0; p->row && k < p->row->n; k++) {
                uint32_t n = far_sum(1, least_characters(x, fewest, p->row->to[k]));
                least = n < least ? n : least;
            }
            if (least >= fewest[i]) continue;
            fewest[i] = least;
            changed = true;
        }
    }
    return fewest;
}

// The lengths of the nodes, where there is no end of them: what limits these by a number is then
// decided without another search.
static void search_shapes(lex *x, const struct search *s)
{
    uint32_t *fewest = search_fewest(x, s);
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = s->n; i-- > 0;) {
            struct expr_node *p = &x->expr[s->node[i]];
            if (p->shape || !p->row || p->rest == FAR || p->rest != fewest[i]) continue;
            if (!opens(x, s->node[i])) continue;
            p->shape = p->cheap = changed = true;
            p->min_len = p->rest;
            p->max_len = NO_MAX;
            p->gap = 1;
        }
    }
    free(fewest);
}

uint32_t expr_rest(lex *x, expr a)
{
    if (x->expr[a].rest != UNKNOWN) return x->expr[a].rest;
    struct search s = {0};
    x->n_search++;
    search_add(x, &s, a);
    if (search_all(x, &s)) {
        search_relax(x, &s);
        search_shapes(x, &s);
        x->n_explored += s.n;
    }
    free(s.node);
    // What was too large to know is left out: lex_prepare has refused it.
    return x->expr[a].rest == UNKNOWN ? FAR : x->expr[a].rest;
}

#define POSITIONS_MAX 20000u // of a pattern whose counters are written out

// Takes the positions of a, `times` over, off *left; false: there are more. A union of derivatives
// has no more operands than there are positions.
static bool within_positions(const lex *x, expr a, uint64_t times, uint64_t *left)
{
    for (;;) {
        const struct expr_node *p = &x->expr[a];
        if (*left < times) return false;
        *left -= times;
        if (p->kind == EXPR_THEN) {
            if (!within_positions(x, p->a, times, left)) return false;
            a = p->b;
        } else if (p->kind == EXPR_REPEAT) {
            // Counters of one set join, but for those that must count exactly.
            uint32_t counts = p->c == NO_MAX ? (p->b ? p->b : 1) : p->c;
            if (x->expr[p->a].kind == EXPR_SET && counts > 1000) counts = 1000;
            times *= counts;
            a = p->a;
        } else if (p->kind == EXPR_OR) {
            for (uint32_t i = 0; i < p->a; i++)
                if (!within_positions(x, p->list[i], times, left)) return false;
            return true;
        } else if (p->kind == EXPR_SIZED) {
            a = p->a;
        } else {
            return true;
        }
    }
}

// Walks all that a plain expression leads to: it may be too much where counters are nested.
static void explore(lex *x, expr a)
{
    struct search s = {0};
    x->n_search++;
    x->expr[a].seen = x->n_search;
    s.node = array_room(s.node, s.n, &s.cap, sizeof *s.node);
    s.node[s.n++] = a;
    uint64_t work = x->work;
    for (uint32_t i = 0; i < s.n && !x->too_large; i++) {
        const struct row *r = expr_row(x, s.node[i]);
        for (uint32_t k = 0; k < r->n && !x->too_large; k++) {
            if (x->expr[r->to[k]].seen == x->n_search) continue;
            x->expr[r->to[k]].seen = x->n_search;
            s.node = array_room(s.node, s.n, &s.cap, sizeof *s.node);
            s.node[s.n++] = r->to[k];
        }
        if (s.n <= LEX_STATES_MAX && x->work - work <= LEX_WORK_MAX) continue;
        x->too_large = true;
        x->why = "counters within counters: more than 20000 states";
    }
    free(s.node);
}

// Of a length and something else, that alone first: its lengths may decide it.
static void prepare_sized(lex *x, expr a)
{
    struct expr_node p = x->expr[a];
    if (p.kind == EXPR_OR)
        for (uint32_t i = 0; i < p.a; i++) prepare_sized(x, p.list[i]);
    if (p.kind != EXPR_SIZED || p.plain) return;
    expr_rest(x, p.a);
    x->too_large = false;
    x->n_explored = 0;
    expr_sized_again(x, a);
}

bool expr_prepare(lex *x, expr a)
{
    x->n_explored = 0;
    x->too_large = false;
    prepare_sized(x, a);
    uint64_t left = POSITIONS_MAX;
    if (x->expr[a].plain && !within_positions(x, a, 1, &left)) explore(x, a);
    if (!x->too_large) expr_rest(x, a);
    bool fine = !x->too_large;
    x->too_large = false;
    return fine;
}

// ---- how many texts ----

static uint32_t many_sum(uint32_t a, uint64_t n, uint32_t b)
{
    if (n == 0 || b == 0) return a;
    uint64_t sum = a + n * b;
    return a == LEX_MANY || b == LEX_MANY || sum > 65535 ? LEX_MANY : (uint32_t)sum;
}

static uint32_t count_from(lex *x, expr a, uint32_t depth);

static uint32_t count_row(lex *x, expr a, uint32_t depth)
{
    const struct row *r = expr_row(x, a);
    uint32_t total = x->expr[a].nullable;
    for (uint32_t k = 0; k < r->n && total != LEX_MANY; k++) {
        if (expr_rest(x, r->to[k]) == FAR) continue;
        uint32_t hi = k + 1 < r->n ? r->from[k + 1] - 1 : CODE_POINT_MAX;
        uint32_t size = span_size(r->from[k], hi);
        if (size) total = many_sum(total, size, count_from(x, r->to[k], depth));
    }
    return total;
}

static uint32_t count_from(lex *x, expr a, uint32_t depth)
{
    struct expr_node *p = &x->expr[a];
    if (p->count != UNKNOWN) return p->count;
    if (p->kind == EXPR_WORDS) return p->count = p->c - p->b > 65535 ? LEX_MANY : p->c - p->b;
    if (expr_rest(x, a) == FAR) return x->expr[a].count = 0;
    p = &x->expr[a];
    // Round in a circle that has a way out: no end of texts.
    if (p->busy || depth == COUNT_DEPTH || (p->shape && p->max_len == NO_MAX)) return LEX_MANY;
    p->busy = true;
    uint32_t total = count_row(x, a, depth + 1);
    x->expr[a].busy = false;
    return x->expr[a].count = total;
}

uint32_t expr_count(lex *x, expr a)
{
    return count_from(x, a, 0);
}
