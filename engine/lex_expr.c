// Expressions over code points and their derivatives (Brzozowski 1964; extended by and, not and
// repetition counts as in Owens, Reppy and Turon 2009). The constructors keep one form for what is
// easily seen to be the same, which is what makes the automaton finite and small:
//
//   then     nests to the right; r{a,b} r{c,d} is r{a+c,b+d}
//   repeat   r{0,n} where r may be empty; (r*){m,n} is r*
//   or, and  flat, sorted, without duplicates; sets merge; r{a,b}s | r{c,d}s is one repetition when
//            the counts meet, so that ambiguous counters do not multiply
//   lengths  .{a,b} over all characters: not and or are worked out, and `and` becomes EXPR_SIZED,
//   so
//            that no product with a counter is ever searched
#include "engine/lex_private.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define EVERY_CHARACTER 1u // the id of that set

// ---- interning ----

static bool same_expr(const lex *x, uint32_t id, const void *key)
{
    const struct expr_node *p = &x->expr[id], *q = key;
    if (p->kind != q->kind || p->a != q->a) return false;
    if (p->kind == EXPR_OR || p->kind == EXPR_AND)
        return memcmp(p->list, q->list, p->a * sizeof *p->list) == 0;
    return p->b == q->b && p->c == q->c && p->d == q->d;
}

static uint32_t sum_max(uint32_t a, uint32_t b)
{
    return a == NO_MAX || b == NO_MAX || (uint64_t)a + b >= UNKNOWN ? NO_MAX : a + b;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t most(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static uint32_t width(const struct expr_node *p)
{
    return p->max_len == NO_MAX ? NO_MAX : p->max_len - p->min_len;
}

// Of a sequence of between b and c times what q is.
static void shape_of_repeat(struct expr_node *p, const struct expr_node *q)
{
    uint64_t max = (uint64_t)q->max_len * p->c;
    p->min_len = far_product(q->min_len, p->b);
    p->max_len = p->c == NO_MAX || q->max_len == NO_MAX || max >= UNKNOWN ? NO_MAX : (uint32_t)max;
    p->cheap = q->cheap;
    // From the longest of i to the shortest of i + 1 times it is furthest for the least i.
    uint64_t shortest = (uint64_t)(p->b + 1) * q->min_len, longest = (uint64_t)p->b * q->max_len;
    bool once = p->b == p->c || (q->max_len == NO_MAX && p->b > 0) || shortest <= longest;
    uint64_t apart = once ? 0 : shortest - longest;
    p->gap = most(q->gap, apart < FAR ? (uint32_t)apart : FAR);
}

static void shape_of_then(struct expr_node *p, const struct expr_node *q, const struct expr_node *r)
{
    p->min_len = far_sum(q->min_len, r->min_len);
    p->max_len = sum_max(q->max_len, r->max_len);
    p->cheap = q->cheap && r->cheap;
    // The lengths of one, shifted by each of the other's: wide ones cover the other's gaps.
    uint32_t by_q = most(q->gap, r->gap > width(q) ? r->gap - width(q) : 0);
    uint32_t by_r = most(r->gap, q->gap > width(r) ? q->gap - width(r) : 0);
    p->gap = least(by_q, by_r);
}

// Of the operands of an or: all, or those that are cheap.
static void shape_of_some(const lex *x, struct expr_node *p, bool cheap)
{
    p->min_len = FAR;
    p->max_len = p->gap = 0;
    for (uint32_t i = 0; i < p->a; i++) {
        const struct expr_node *q = &x->expr[p->list[i]];
        if (cheap && !q->cheap) continue;
        p->gap = most(p->gap, q->gap);
        p->min_len = least(p->min_len, q->min_len);
        p->max_len = most(p->max_len, q->max_len);
    }
    // And the gaps between one operand's lengths and the next one's.
    for (uint32_t reach = p->min_len; reach < p->max_len;) {
        uint32_t before = reach, next = FAR;
        for (uint32_t i = 0; i < p->a; i++) {
            const struct expr_node *q = &x->expr[p->list[i]];
            if (cheap && !q->cheap) continue;
            if (q->min_len <= before)
                reach = most(reach, q->max_len);
            else
                next = least(next, q->min_len);
        }
        if (reach != before) continue;
        p->gap = most(p->gap, next - reach);
        reach = next;
    }
}

static void shape_of_or(const lex *x, struct expr_node *p)
{
    struct expr_node cheap = *p;
    bool all = true;
    for (uint32_t i = 0; i < p->a; i++) all = all && x->expr[p->list[i]].cheap;
    shape_of_some(x, p, false);
    p->cheap = all;
    if (all) return;
    // Those that are not cheap do not matter where the others have all their lengths.
    shape_of_some(x, &cheap, true);
    p->cheap = cheap.gap <= 1 && cheap.min_len == p->min_len && cheap.max_len == p->max_len;
    if (p->cheap) p->gap = cheap.gap;
}

// Known where all lengths between the ends come up, or the least one is still allowed: then the
// cheapest text is too, if it cannot be too long (it has no more characters than bytes).
static void shape_of_sized(struct expr_node *p, const struct expr_node *q)
{
    bool least_fits = p->b <= q->min_len, rest_fits = q->rest < UNKNOWN && q->rest <= p->c;
    p->shape = q->shape && (q->cheap ? q->gap <= 1 || least_fits : least_fits && rest_fits);
    if (!p->shape) return;
    p->min_len = most(q->min_len, p->b);
    p->max_len = least(q->max_len, p->c);
    p->gap = q->gap;
    p->cheap = q->cheap;
    p->plain = true;
}

static uint32_t rest_of_sized(const struct expr_node *p, const struct expr_node *q)
{
    return p->cheap ? p->min_len : q->rest;
}

void expr_sized_again(lex *x, expr a)
{
    struct expr_node *p = &x->expr[a];
    const struct expr_node *q = &x->expr[p->a];
    if (p->plain || p->rest != UNKNOWN) return;
    bool none = q->shape && (p->c < q->min_len || p->b > q->max_len);
    if (!none) shape_of_sized(p, q);
    if (none || q->rest == FAR)
        p->rest = FAR;
    else if (p->shape)
        p->rest = rest_of_sized(p, q);
}

// Few words are never all words of a length: see ONE_BYTE_CHARACTERS.
static void shape_of_other_words(struct expr_node *p, const struct expr_node *q)
{
    p->shape = q->kind == EXPR_WORDS && q->c - q->b < ONE_BYTE_CHARACTERS;
    p->min_len = q->nullable;
    p->max_len = NO_MAX;
    p->cheap = true;
}

// Which lengths come up, and whether the cheapest text of each is one byte per character.
static void shape_of(const lex *x, struct expr_node *p)
{
    const struct expr_node *e = x->expr;
    p->shape = true;
    switch (p->kind) {
    case EXPR_EPSILON: p->cheap = true; break;
    case EXPR_SET:
        p->min_len = p->max_len = 1;
        p->cheap = x->set[p->a].cost == 1;
        break;
    case EXPR_THEN:
        p->shape = e[p->a].shape && e[p->b].shape;
        if (p->shape) shape_of_then(p, &e[p->a], &e[p->b]);
        break;
    case EXPR_REPEAT:
        p->shape = e[p->a].shape;
        if (p->shape) shape_of_repeat(p, &e[p->a]);
        break;
    case EXPR_OR:
        for (uint32_t i = 0; i < p->a; i++) p->shape = p->shape && e[p->list[i]].shape;
        if (p->shape) shape_of_or(x, p);
        break;
    case EXPR_SIZED: shape_of_sized(p, &e[p->a]); break;
    case EXPR_NOT: shape_of_other_words(p, &e[p->a]); break;
    case EXPR_CLOCK: // ...60Z or 60+00:00, 60.1Z and so on
        p->min_len = clock_rest(p->a, p->b, p->c);
        p->max_len = NO_MAX;
        p->gap = 2;
        p->cheap = true;
        break;
    default: p->shape = false; break;
    }
}

uint32_t word_cost(const lex *x, const struct words *s, uint32_t i, uint32_t off)
{
    uint32_t n = 0;
    for (uint32_t k = off; k < s->len[i]; k++) {
        uint8_t c = (uint8_t)s->text[i][k];
        n += c < 0x80 ? span_cost(x, c, c) : 1;
    }
    return n;
}

static uint32_t rest_of_words(const lex *x, const struct expr_node *p)
{
    uint32_t least_cost = FAR;
    for (uint32_t i = p->b; i < p->c; i++)
        least_cost = least(least_cost, word_cost(x, &x->words[p->a], i, p->d));
    return least_cost;
}

// Of a plain expression: from its parts alone.
static uint32_t rest_of_plain(const lex *x, const struct expr_node *p)
{
    uint32_t least = FAR;
    switch (p->kind) {
    case EXPR_EPSILON: return 0;
    case EXPR_SET: return x->set[p->a].cost;
    case EXPR_THEN: return far_sum(x->expr[p->a].rest, x->expr[p->b].rest);
    case EXPR_REPEAT: return far_product(x->expr[p->a].rest, p->b);
    case EXPR_WORDS: return rest_of_words(x, p);
    case EXPR_SIZED: return rest_of_sized(p, &x->expr[p->a]);
    case EXPR_CLOCK: return p->min_len; // it is cheap
    default:
        for (uint32_t i = 0; i < p->a; i++)
            if (x->expr[p->list[i]].rest < least) least = x->expr[p->list[i]].rest;
        return least;
    }
}

static bool all_of(const lex *x, const struct expr_node *p, bool *nullable_all, bool *nullable_any)
{
    bool plain = true;
    *nullable_all = true;
    *nullable_any = false;
    for (uint32_t i = 0; i < p->a; i++) {
        const struct expr_node *q = &x->expr[p->list[i]];
        plain = plain && q->plain;
        *nullable_all = *nullable_all && q->nullable;
        *nullable_any = *nullable_any || q->nullable;
    }
    return plain;
}

static bool is_sized_list(const lex *x, const struct expr_node *p)
{
    for (uint32_t i = 0; i < p->a; i++)
        if (x->expr[p->list[i]].sized) return true;
    return false;
}

static void derive_flags(const lex *x, struct expr_node *p)
{
    const struct expr_node *e = x->expr;
    bool all, any;
    switch (p->kind) {
    case EXPR_EPSILON: p->plain = p->nullable = true; break;
    case EXPR_SET:
    case EXPR_CLOCK: p->plain = true; break;
    case EXPR_THEN:
        p->plain = e[p->a].plain && e[p->b].plain;
        p->nullable = e[p->a].nullable && e[p->b].nullable;
        break;
    case EXPR_REPEAT:
        p->plain = e[p->a].plain;
        p->nullable = p->b == 0;
        p->sized = p->a == EXPR_CHARACTER && (p->b || p->c != NO_MAX);
        break;
    case EXPR_OR:
        p->plain = all_of(x, p, &all, &any);
        p->nullable = any;
        p->sized = is_sized_list(x, p);
        break;
    case EXPR_AND:
        all_of(x, p, &all, &any);
        p->nullable = all;
        p->sized = is_sized_list(x, p);
        break;
    case EXPR_NOT: p->nullable = !e[p->a].nullable; break;
    case EXPR_SIZED:
        p->nullable = e[p->a].nullable && p->b == 0;
        p->sized = true;
        break;
    case EXPR_WORDS:
        p->plain = true;
        p->nullable = x->words[p->a].len[p->b] == p->d;
        break;
    default: break;
    }
}

// The stretch of a sequence of b times q: before the first, or within the first one.
static uint32_t stretch_of_repeat(const struct expr_node *p, const struct expr_node *q)
{
    uint32_t all = far_product(q->min_len, p->b);
    return most(all, far_sum(q->stretch, far_product(q->min_len, p->b ? p->b - 1 : 0)));
}

static void stretch_of(const lex *x, struct expr_node *p)
{
    const struct expr_node *e = x->expr;
    p->regular = true;
    switch (p->kind) {
    case EXPR_EPSILON: break;
    case EXPR_SET: p->stretch = 1; break;
    case EXPR_THEN:
        p->regular = e[p->a].regular && e[p->b].regular && e[p->b].shape;
        p->stretch = most(far_sum(e[p->a].stretch, e[p->b].min_len), e[p->b].stretch);
        break;
    case EXPR_REPEAT:
        p->regular = e[p->a].regular && e[p->a].shape;
        p->stretch = stretch_of_repeat(p, &e[p->a]);
        break;
    case EXPR_OR:
        for (uint32_t i = 0; i < p->a; i++) {
            p->regular = p->regular && e[p->list[i]].regular;
            p->stretch = most(p->stretch, e[p->list[i]].stretch);
        }
        break;
    default: p->regular = false; break;
    }
}

static expr expr_intern(lex *x, struct expr_node node)
{
    bool list = node.kind == EXPR_OR || node.kind == EXPR_AND;
    uint32_t key[5] = {node.kind, node.a, node.b, node.c, node.d};
    uint32_t hash = list ? hash_words(node.list, node.a, node.kind) : hash_words(key, 5, 0);
    uint32_t id = ids_find(&x->exprs, hash, same_expr, x, &node);
    if (id) return id;
    id = x->n_expr;
    x->expr = array_room(x->expr, id, &x->cap_expr, sizeof *x->expr);
    if (list) {
        expr *copy = arena_alloc(x->mem, node.a * sizeof *copy);
        memcpy(copy, node.list, node.a * sizeof *copy);
        node.list = copy;
    }
    derive_flags(x, &node);
    shape_of(x, &node);
    stretch_of(x, &node);
    node.rest = node.plain ? rest_of_plain(x, &node) : UNKNOWN;
    node.count = UNKNOWN;
    x->expr[id] = node;
    x->n_expr++;
    ids_add(&x->exprs, hash, id);
    return id;
}

// ---- constructors ----

void expr_begin(lex *x)
{
    struct span every = {0, CODE_POINT_MAX};
    x->expr = array_room(x->expr, 0, &x->cap_expr, sizeof *x->expr);
    x->n_expr = 1; // EXPR_NONE
    x->expr[EXPR_NONE] = (struct expr_node){.kind = EXPR_EMPTY, .rest = FAR, .count = 0};
    uint32_t set = set_of(x, &every, 1);
    expr end = expr_intern(x, (struct expr_node){.kind = EXPR_EPSILON});
    expr one = expr_set(x, set);
    expr all = expr_repeat(x, one, 0, NO_MAX);
    assert(set == EVERY_CHARACTER && end == EXPR_END && one == EXPR_CHARACTER && all == EXPR_ALL);
    (void)end, (void)all;
}

expr expr_set(lex *x, uint32_t set)
{
    return set ? expr_intern(x, (struct expr_node){.kind = EXPR_SET, .a = set}) : EXPR_NONE;
}

expr expr_words(lex *x, uint32_t set)
{
    return x->words[set].n ? expr_words_at(x, set, 0, x->words[set].n, 0) : EXPR_NONE;
}

expr expr_words_at(lex *x, uint32_t set, uint32_t lo, uint32_t hi, uint32_t off)
{
    // Not EXPR_END when all is read: which word it was can be asked for.
    return expr_intern(
        x, (struct expr_node){.kind = EXPR_WORDS, .a = set, .b = lo, .c = hi, .d = off});
}

expr expr_clock(lex *x, uint32_t part, uint32_t hour, uint32_t minute)
{
    return expr_intern(x,
                       (struct expr_node){.kind = EXPR_CLOCK, .a = part, .b = hour, .c = minute});
}

expr expr_then(lex *x, expr a, expr b)
{
    if (a == EXPR_NONE || b == EXPR_NONE) return EXPR_NONE;
    if (a == EXPR_END) return b;
    if (b == EXPR_END) return a;
    struct expr_node p = x->expr[a], q = x->expr[b];
    if (p.kind == EXPR_THEN) return expr_then(x, p.a, expr_then(x, p.b, b));
    if (p.kind == EXPR_REPEAT) {
        if (q.kind == EXPR_REPEAT && q.a == p.a)
            return expr_repeat(x, p.a, far_sum(p.b, q.b), sum_max(p.c, q.c));
        if (q.kind == EXPR_THEN && x->expr[q.a].kind == EXPR_REPEAT && x->expr[q.a].a == p.a) {
            struct expr_node head = x->expr[q.a];
            expr both = expr_repeat(x, p.a, far_sum(p.b, head.b), sum_max(p.c, head.c));
            return expr_then(x, both, q.b);
        }
    }
    return expr_intern(x, (struct expr_node){.kind = EXPR_THEN, .a = a, .b = b});
}

expr expr_repeat(lex *x, expr a, uint32_t min, uint32_t max)
{
    if (max == 0 || a == EXPR_END) return EXPR_END;
    if (a == EXPR_NONE) return min == 0 ? EXPR_END : EXPR_NONE;
    if (x->expr[a].nullable) min = 0;
    if (min == 1 && max == 1) return a;
    struct expr_node p = x->expr[a];
    if (p.kind == EXPR_REPEAT && p.c == NO_MAX && p.b <= 1)
        return p.b == 0 ? a : expr_repeat(x, p.a, min, NO_MAX);
    if (p.kind == EXPR_REPEAT && p.b == 0 && p.c == 1) return expr_repeat(x, p.a, 0, max);
    if (p.kind == EXPR_OR && p.nullable && p.list[0] == EXPR_END) {
        expr rest = EXPR_NONE; // (a|)* is a*
        for (uint32_t i = 1; i < p.a; i++) rest = expr_or(x, rest, p.list[i]);
        return expr_repeat(x, rest, 0, max);
    }
    return expr_intern(x, (struct expr_node){.kind = EXPR_REPEAT, .a = a, .b = min, .c = max});
}

expr expr_length(lex *x, uint32_t min, uint32_t max)
{
    return min > max ? EXPR_NONE : expr_repeat(x, EXPR_CHARACTER, min, max);
}

bool expr_is_length(const lex *x, expr a, uint32_t *min, uint32_t *max)
{
    const struct expr_node *p = &x->expr[a];
    bool set = a == EXPR_CHARACTER, repeat = p->kind == EXPR_REPEAT && p->a == EXPR_CHARACTER;
    if (!set && !repeat && a != EXPR_END) return false;
    *min = set ? 1 : repeat ? p->b : 0;
    *max = set ? 1 : repeat ? p->c : 0;
    return true;
}

expr expr_loop(lex *x, expr leave)
{
    x->loop = array_room(x->loop, x->n_loop, &x->cap_loop, sizeof *x->loop);
    expr a = expr_intern(x, (struct expr_node){.kind = EXPR_LOOP, .a = x->n_loop++});
    x->expr[a].nullable = x->expr[leave].nullable;
    return a;
}

void expr_loop_body(lex *x, expr a, expr body)
{
    assert(x->too_large || x->expr[a].nullable == x->expr[body].nullable);
    x->loop[x->expr[a].a] = body;
}

static void push(lex *x, expr a)
{
    x->stack = array_room(x->stack, x->n_stack, &x->cap_stack, sizeof *x->stack);
    x->stack[x->n_stack++] = a;
}

static void push_flat(lex *x, expr a, enum expr_kind kind)
{
    struct expr_node p = x->expr[a];
    if (kind == EXPR_AND && p.kind == EXPR_SIZED) {
        push(x, expr_length(x, p.b, p.c));
        push_flat(x, p.a, kind);
    } else if (p.kind != kind)
        push(x, a);
    else
        for (uint32_t i = 0; i < p.a; i++) push(x, p.list[i]);
}

static int by_id(const void *a, const void *b)
{
    const expr *p = a, *q = b;
    return (*p > *q) - (*p < *q);
}

#define FEW 24u // are sorted by insertion, and need no memory of their own

static void sort_ids(expr *v, uint32_t n)
{
    if (n > FEW) {
        qsort(v, n, sizeof *v, by_id);
        return;
    }
    for (uint32_t i = 1; i < n; i++) {
        expr a = v[i];
        uint32_t k = i;
        for (; k > 0 && v[k - 1] > a; k--) v[k] = v[k - 1];
        v[k] = a;
    }
}

static void stack_sort(lex *x, uint32_t base)
{
    uint32_t n = base;
    sort_ids(x->stack + base, x->n_stack - base);
    for (uint32_t i = base; i < x->n_stack; i++)
        if (n == base || x->stack[n - 1] != x->stack[i]) x->stack[n++] = x->stack[i];
    x->n_stack = n;
}

// Is some operand the complement of another?
static bool stack_contradicts(const lex *x, uint32_t base)
{
    for (uint32_t i = base; i < x->n_stack; i++) {
        if (x->expr[x->stack[i]].kind != EXPR_NOT) continue;
        expr a = x->expr[x->stack[i]].a;
        if (bsearch(&a, x->stack + base, x->n_stack - base, sizeof a, by_id)) return true;
    }
    return false;
}

static expr stack_take(lex *x, uint32_t base, enum expr_kind kind, expr neutral)
{
    uint32_t n = x->n_stack - base;
    expr id = neutral;
    x->work += n;
    if (n > LEX_OPERANDS_MAX) {
        x->too_large = true;
        x->why = "too many alternatives at one place";
        id = EXPR_NONE;
    } else if (n == 1) {
        id = x->stack[base];
    } else if (n > 1) {
        id = expr_intern(x, (struct expr_node){.kind = kind, .a = n, .list = x->stack + base});
    }
    x->n_stack = base;
    return id;
}

// An alternative taken apart as r{min,max} then tail; a lone set is r once.
struct counted {
    expr body, tail;
    uint32_t min, max;
};

static struct counted counted_of(const lex *x, expr a)
{
    struct counted c = {a, EXPR_END, 1, 1};
    if (x->expr[a].kind == EXPR_THEN) {
        c.body = x->expr[a].a;
        c.tail = x->expr[a].b;
    }
    if (x->expr[c.body].kind == EXPR_REPEAT) {
        c.min = x->expr[c.body].b;
        c.max = x->expr[c.body].c;
        c.body = x->expr[c.body].a;
    }
    return c;
}

static int by_counted(const void *a, const void *b)
{
    const struct counted *p = a, *q = b;
    if (p->body != q->body) return p->body < q->body ? -1 : 1;
    if (p->tail != q->tail) return p->tail < q->tail ? -1 : 1;
    return (p->min > q->min) - (p->min < q->min);
}

static void sort_counted(struct counted *v, uint32_t n)
{
    if (n > FEW) {
        qsort(v, n, sizeof *v, by_counted);
        return;
    }
    for (uint32_t i = 1; i < n; i++) {
        struct counted c = v[i];
        uint32_t k = i;
        for (; k > 0 && by_counted(&v[k - 1], &c) > 0; k--) v[k] = v[k - 1];
        v[k] = c;
    }
}

// Joins counters that meet: a{0,4}b | a{2,9}b is a{0,9}b.
static void join_counters(lex *x, uint32_t base)
{
    uint32_t n = x->n_stack - base, m = 0;
    bool any = false;
    for (uint32_t i = base; i < x->n_stack && !any; i++) any = counted_of(x, x->stack[i]).max != 1;
    if (!any || n < 2) return;
    struct counted room[FEW], *c = n <= FEW ? room : mem_new(n * sizeof *c);
    for (uint32_t i = 0; i < n; i++) c[i] = counted_of(x, x->stack[base + i]);
    sort_counted(c, n);
    for (uint32_t i = 0; i < n; i++) {
        struct counted *p = m ? &c[m - 1] : NULL;
        bool meets = p && p->body == c[i].body && p->tail == c[i].tail &&
                     (p->max == NO_MAX || c[i].min <= p->max + 1);
        if (!meets)
            c[m++] = c[i];
        else if (c[i].max > p->max)
            p->max = c[i].max;
    }
    x->n_stack = base;
    for (uint32_t i = 0; i < m; i++) {
        expr head = expr_repeat(x, c[i].body, c[i].min, c[i].max);
        push(x, expr_then(x, head, c[i].tail));
    }
    if (c != room) free(c);
}

// Sets before the same tail become one set.
static void join_sets(lex *x, uint32_t base)
{
    uint32_t n = x->n_stack - base, m = 0;
    struct counted room[FEW], *c = n <= FEW ? room : mem_new(n * sizeof *c);
    for (uint32_t i = 0; i < n; i++) {
        struct counted p = counted_of(x, x->stack[base + i]);
        if (p.max == 1 && p.min == 1 && x->expr[p.body].kind == EXPR_SET)
            c[m++] = (struct counted){.body = 0, .tail = p.tail, .min = x->expr[p.body].a};
        else
            c[m++] = (struct counted){.body = 1, .tail = x->stack[base + i]};
    }
    sort_counted(c, m);
    x->n_stack = base;
    for (uint32_t i = 0; i < m;) {
        uint32_t set = c[i].min, k = i + 1;
        for (; k < m && c[i].body == 0 && c[k].body == 0 && c[k].tail == c[i].tail; k++)
            set = set_or(x, set, c[k].min);
        push(x, c[i].body ? c[i].tail : expr_then(x, expr_set(x, set), c[i].tail));
        i = k;
    }
    if (c != room) free(c);
}

#define ABSORB_MAX 64u // operands among which all pairs are looked at

// Are all operands of p (of this kind, or p itself) among those of q?
static bool operands_within(const lex *x, expr p, expr q, enum expr_kind kind)
{
    const struct expr_node *a = &x->expr[p], *b = &x->expr[q];
    if (b->kind != kind) return false;
    const expr *list = a->kind == kind ? a->list : &p;
    uint32_t n = a->kind == kind ? a->a : 1;
    if (n >= b->a) return false;
    for (uint32_t i = 0; i < n; i++)
        if (!bsearch(&list[i], b->list, b->a, sizeof *list, by_id)) return false;
    return true;
}

// a | (a & b) is a, and a & (a | b) is a: `kind` is that of the inner ones. Look-ahead within a
// loop would pile up without it.
static void absorb(lex *x, uint32_t base, enum expr_kind kind)
{
    uint32_t end = x->n_stack, n_kept = 0;
    expr kept[ABSORB_MAX];
    bool any = false;
    for (uint32_t i = base; i < end; i++) any = any || x->expr[x->stack[i]].kind == kind;
    if (!any || end - base > ABSORB_MAX) return;
    for (uint32_t i = base; i < end; i++) {
        bool keep = true;
        for (uint32_t k = base; k < end && keep; k++)
            keep = k == i || !operands_within(x, x->stack[k], x->stack[i], kind);
        kept[n_kept] = x->stack[i];
        n_kept += keep;
    }
    memcpy(x->stack + base, kept, n_kept * sizeof *kept);
    x->n_stack = base + n_kept;
}

static expr or_of_stack(lex *x, uint32_t base)
{
    stack_sort(x, base);
    if (x->n_stack - base > 1) {
        join_counters(x, base);
        join_sets(x, base);
        stack_sort(x, base);
        absorb(x, base, EXPR_AND);
    }
    uint32_t n = base;
    bool nullable = false, all = stack_contradicts(x, base);
    for (uint32_t i = base; i < x->n_stack; i++) {
        expr a = x->stack[i];
        all = all || a == EXPR_ALL;
        nullable = nullable || (a != EXPR_END && x->expr[a].nullable);
    }
    for (uint32_t i = base; i < x->n_stack; i++) {
        expr a = x->stack[i];
        if (a != EXPR_NONE && !(a == EXPR_END && nullable)) x->stack[n++] = a;
    }
    x->n_stack = all ? base : n;
    return stack_take(x, base, EXPR_OR, all ? EXPR_ALL : EXPR_NONE);
}

expr expr_or(lex *x, expr a, expr b)
{
    if (a == b || b == EXPR_NONE || a == EXPR_ALL) return a;
    if (a == EXPR_NONE || b == EXPR_ALL) return b;
    struct expr_node p = x->expr[a], q = x->expr[b];
    if (p.kind == EXPR_WORDS && q.kind == EXPR_WORDS && p.d == 0 && q.d == 0 &&
        p.c - p.b == x->words[p.a].n && q.c - q.b == x->words[q.a].n)
        return expr_words(x, wordset_union(x, p.a, q.a));
    uint32_t base = x->n_stack;
    push_flat(x, a, EXPR_OR);
    push_flat(x, b, EXPR_OR);
    return or_of_stack(x, base);
}

expr expr_or_of(lex *x, const expr *list, uint32_t n)
{
    uint32_t base = x->n_stack;
    for (uint32_t i = 0; i < n; i++) push_flat(x, list[i], EXPR_OR);
    return or_of_stack(x, base);
}

static expr expr_sized(lex *x, expr a, uint32_t min, uint32_t max)
{
    uint32_t lo, hi;
    struct expr_node p = x->expr[a];
    if (a == EXPR_NONE || min > max) return EXPR_NONE;
    if (expr_is_length(x, a, &lo, &hi))
        return expr_length(x, min > lo ? min : lo, max < hi ? max : hi);
    if (p.kind == EXPR_SIZED)
        return expr_sized(x, p.a, min > p.b ? min : p.b, max < p.c ? max : p.c);
    if (p.shape) {
        if (min > p.max_len || max < p.min_len) return EXPR_NONE;
        if (min <= p.min_len) min = 0;
        if (max >= p.max_len) max = NO_MAX;
    }
    if (min == 0 && max == NO_MAX) return a;
    if (max == 0) return p.nullable ? EXPR_END : EXPR_NONE;
    bool set = p.kind == EXPR_REPEAT && x->expr[p.a].kind == EXPR_SET;
    if (set) return expr_repeat(x, p.a, min > p.b ? min : p.b, max < p.c ? max : p.c);
    return expr_intern(x, (struct expr_node){.kind = EXPR_SIZED, .a = a, .b = min, .c = max});
}

// The or among the operands that lengths have to be carried into, or -1.
static int64_t find_sized_or(const lex *x, uint32_t base)
{
    for (uint32_t i = base; i < x->n_stack; i++)
        if (x->expr[x->stack[i]].kind == EXPR_OR && x->expr[x->stack[i]].sized) return i;
    return -1;
}

static expr and_of_stack(lex *x, uint32_t base);

static expr distribute(lex *x, uint32_t base, uint32_t at)
{
    struct expr_node p = x->expr[x->stack[at]];
    uint32_t n = x->n_stack;
    expr all = EXPR_NONE;
    for (uint32_t k = 0; k < p.a; k++) {
        uint32_t from = x->n_stack;
        for (uint32_t i = base; i < n; i++)
            push_flat(x, i == at ? p.list[k] : x->stack[i], EXPR_AND);
        all = expr_or(x, all, and_of_stack(x, from));
    }
    x->n_stack = base;
    return all;
}

static bool is_absent_words(const lex *x, expr a)
{
    const struct expr_node *p = &x->expr[a];
    return p->kind == EXPR_NOT && x->expr[p->a].kind == EXPR_WORDS && x->expr[p->a].d == 0;
}

// Takes lengths, sets and refused words out of the operands, each into one.
static bool and_reduce(lex *x, uint32_t base, uint32_t *min, uint32_t *max)
{
    uint32_t n = base, set = EVERY_CHARACTER, lo, hi;
    bool has_set = false;
    expr words = EXPR_NONE; // refused
    for (uint32_t i = base; i < x->n_stack; i++) {
        expr a = x->stack[i];
        if (a == EXPR_NONE) return false;
        if (x->expr[a].kind == EXPR_SET && x->expr[a].a != EVERY_CHARACTER) {
            set = set_and(x, set, x->expr[a].a);
            has_set = true;
        } else if (expr_is_length(x, a, &lo, &hi)) {
            *min = lo > *min ? lo : *min;
            *max = hi < *max ? hi : *max;
        } else if (is_absent_words(x, a)) {
            words = expr_or(x, words, x->expr[a].a);
        } else {
            x->stack[n++] = a;
        }
    }
    x->n_stack = n;
    if (has_set) push(x, expr_set(x, set));
    if (words) push(x, expr_not(x, words));
    return !has_set || set;
}

static expr and_of_stack(lex *x, uint32_t base)
{
    int64_t at = find_sized_or(x, base);
    if (at >= 0) return distribute(x, base, (uint32_t)at);
    uint32_t min = 0, max = NO_MAX;
    bool none = !and_reduce(x, base, &min, &max);
    stack_sort(x, base);
    absorb(x, base, EXPR_OR);
    none = none || min > max || stack_contradicts(x, base);
    if (none) x->n_stack = base;
    if (!none && x->n_stack == base) return expr_length(x, min, max);
    expr all = stack_take(x, base, EXPR_AND, EXPR_NONE);
    return expr_sized(x, all, min, max);
}

expr expr_and(lex *x, expr a, expr b)
{
    if (a == b || a == EXPR_NONE || b == EXPR_ALL) return a;
    if (b == EXPR_NONE || a == EXPR_ALL) return b;
    uint32_t base = x->n_stack;
    push_flat(x, a, EXPR_AND);
    push_flat(x, b, EXPR_AND);
    return and_of_stack(x, base);
}

expr expr_not(lex *x, expr a)
{
    uint32_t min, max;
    struct expr_node p = x->expr[a];
    if (a == EXPR_NONE) return EXPR_ALL;
    if (a == EXPR_ALL) return EXPR_NONE;
    if (p.kind == EXPR_NOT) return p.a;
    if (expr_is_length(x, a, &min, &max)) {
        expr below = min ? expr_length(x, 0, min - 1) : EXPR_NONE;
        expr above = max != NO_MAX ? expr_length(x, max + 1, NO_MAX) : EXPR_NONE;
        return expr_or(x, below, above);
    }
    if (p.kind == EXPR_SIZED)
        return expr_or(x, expr_not(x, p.a), expr_not(x, expr_length(x, p.b, p.c)));
    if (p.sized && (p.kind == EXPR_OR || p.kind == EXPR_AND)) {
        expr all = p.kind == EXPR_OR ? EXPR_ALL : EXPR_NONE;
        for (uint32_t i = 0; i < p.a; i++) {
            expr q = expr_not(x, p.list[i]);
            all = p.kind == EXPR_OR ? expr_and(x, all, q) : expr_or(x, all, q);
        }
        return all;
    }
    return expr_intern(x, (struct expr_node){.kind = EXPR_NOT, .a = a});
}
