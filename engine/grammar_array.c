// What an array may still become. Without alternatives the shortest end is a sum; with conditions
// that some element must meet or fail, elements are added one by one until the array may close.
#include "base/mem.h"
#include "engine/grammar_private.h"

#include <stdlib.h>
#include <string.h>

#define ELEMENTS_MAX 4000 // looked at in one search
#define DEPTH_MAX    600
#define SMALL_MAX    10  // sets of few members that are looked at together
#define PREFIX_MAX   40  // elements before one that are compared with it
#define GROWTH       12  // bytes by which elements that differ grow, see add_others
#define FEW_MEMBERS  512 // sets of so many are looked at one by one,
#define LINKS_MAX    128 // as far as this

static bool closes(grammar *g, form_id f, uint32_t count)
{
    struct form *x = &g->forms[f];
    switch (x->kind) {
    case F_AND:
    case F_OR:
        if (x->asked == g->question) return x->answer;
        x->answer = x->kind == F_AND;
        for (uint32_t i = 0; i < x->n && x->answer == (x->kind == F_AND); i++)
            x->answer = closes(g, x->list[i], count);
        x->asked = g->question;
        return x->answer;
    case A_MIN: return count >= x->a;
    case A_MAX: return count <= x->a;
    case A_CONTAINS: return x->b == 0;
    case F_FALSE:
    case A_BAD: return false;
    default: return true;
    }
}

bool array_closes(grammar *g, form_id f, uint32_t count)
{
    g->question++;
    return closes(g, f, count);
}

static uint32_t comma_bytes(const grammar *g)
{
    return g->o.spacing == SPACING_PYTHON ? 2 : 1;
}

static set_id element_set(grammar *g, const form_id *atom, uint32_t n, uint32_t index)
{
    set_id s = SET_ALL;
    for (uint32_t i = 0; i < n; i++) {
        const struct form *x = &g->forms[atom[i]];
        if (x->kind != A_ITEMS) continue;
        const struct items *p = g->items[x->a];
        s = values_and(g, s, node_set(g, index < p->n ? p->prefix[index] : p->rest));
    }
    return s;
}

// The language of enumerated strings, if the set holds nothing else; else LEX_EMPTY.
static lex_lang words_of(const grammar *g, set_id id)
{
    struct set s = g->sets[id];
    bool only = !s.literals && !s.number && !s.array && !s.object && s.string;
    return only && lex_words_count(g->x, s.string) ? s.string : (lex_lang)LEX_EMPTY;
}

// So many of the words that are left, each with its quotes and a comma. While one is being written,
// whichever it is takes the place of the shortest.
static uint32_t words_cost(grammar *g, uint32_t needed, const struct used *used)
{
    uint32_t n = lex_words_sum(g->x, used->words, used->taken, used->writing, needed);
    return n == LEX_NONE ? FAR : far_add(n, far_mul(needed, 2 + comma_bytes(g)));
}

// What is left of s for elements that have to differ.
static set_id distinct_left(grammar *g, set_id s, const struct used *used)
{
    return used->set == SET_NONE ? s : values_and(g, s, values_not(g, used->set));
}

static bool may_be_one(grammar *g, set_id a, set_id b)
{
    return a == b || values_cost(g, values_and(g, a, b)) < FAR;
}

// What members of a set cost: `n` of them each.
struct costs {
    struct cost {
        uint32_t each, n;
    } * v;
    uint32_t n, cap;
};

static void add_cost(struct costs *c, uint32_t each, uint32_t n)
{
    if (each >= FAR || n == 0) return;
    if (c->n == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 16;
        c->v = mem_grow(c->v, c->cap * sizeof *c->v);
    }
    c->v[c->n++] = (struct cost){each, n};
}

static int by_each(const void *a, const void *b)
{
    const struct cost *x = a, *y = b;
    return (x->each > y->each) - (x->each < y->each);
}

// The n cheapest strings; false: how long they are is not known.
static bool add_strings(grammar *g, struct costs *c, lex_lang lang, uint32_t n)
{
    lex_state s = lang == LEX_EMPTY ? (lex_state)LEX_DEAD : lex_start(g->x, lang);
    uint32_t rest = 0;
    for (uint32_t k = 1; k <= n && s != LEX_DEAD;) {
        uint32_t upto = n;
        rest = lex_rest_left(g->x, s, NULL, 0, rest, k, &upto);
        if (rest == LEX_NONE) break;
        if (rest == LEX_UNKNOWN) return false;
        add_cost(c, rest + 2, upto - k + 1);
        k = upto + 1;
    }
    return true;
}

// Do containers of this form grow by more than GROWTH with what may always be added to them?
static bool grows_much(grammar *g, form_id f)
{
    struct form x = g->forms[f];
    uint32_t n = x.kind == F_AND ? x.n : 1;
    for (uint32_t i = 0; i < n && f > FORM_TRUE; i++) {
        struct form y = g->forms[x.kind == F_AND ? x.list[i] : f];
        uint32_t node = y.kind == A_ITEMS   ? g->items[y.a]->rest
                        : y.kind == O_PROPS ? g->props[y.a]->extra
                                            : (uint32_t)NODE_ALL;
        if (node != NODE_ALL && node != NODE_NONE &&
            values_cost(g, node_set(g, node)) > GROWTH - (y.kind == A_ITEMS ? 2 : 6))
            return true;
    }
    return false;
}

// A bound of the n cheapest members of s: one by one where there are not many, else each but the
// first one up to GROWTH bytes more than the cheapest of all that s was before elements were taken
// from it, so that the bound does not grow with them.
static void add_others(grammar *g, struct costs *c, set_id s, set_id all, uint32_t n)
{
    bool outer = g->cut;
    uint32_t cost = values_cost(g, s), done = 0;
    g->cut = false;
    bool few = cost < FAR && n > 1 &&
               (values_count(g, s) <= FEW_MEMBERS || grows_much(g, g->sets[s].array) ||
                grows_much(g, g->sets[s].object)) &&
               !g->cut;
    g->cut = g->cut || outer;
    for (; few && done < n && done < LINKS_MAX && cost < FAR && !g->too_much; done++) {
        add_cost(c, cost, 1);
        s = values_but_cheapest(g, s);
        grammar_effort(g, 200);
        uint32_t next = values_cost(g, s);
        if (next < cost) next = cost; // that was not the cheapest one
        cost = next;
    }
    if (done >= n || cost >= FAR) return;
    if (done == 0) {
        add_cost(c, cost, 1);
        done++;
    }
    add_cost(c, max_of(cost, far_add(values_cost(g, all), GROWTH)), n - done);
}

// The n cheapest members of s, in order.
static void member_costs(grammar *g, struct costs *c, set_id s, set_id all, uint32_t n)
{
    struct set x = g->sets[s], y = g->sets[all];
    add_cost(c, 4, (uint32_t)__builtin_popcount(x.literals & (LITERAL_NULL | LITERAL_TRUE)));
    add_cost(c, 5, x.literals & LITERAL_FALSE ? 1 : 0);
    bool known = add_strings(g, c, x.string, n);
    x.literals = y.literals = 0;
    if (known) x.string = y.string = LEX_EMPTY;
    uint32_t have = 0, most = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        have += c->v[i].n;
        most = max_of(most, c->v[i].each);
    }
    set_id others = values_make(g, x);
    if (have < n || values_cost(g, others) < most) add_others(g, c, others, values_make(g, y), n);
    if (c->n) qsort(c->v, c->n, sizeof *c->v, by_each);
}

// So many distinct elements of `left`, which is what is left of `all`, with commas, of which
// `before` members may be taken by others: those behind as many cheaper ones.
static uint32_t distinct_costs(grammar *g, set_id left, set_id all, uint32_t before,
                               uint32_t needed)
{
    uint32_t cost = values_cost(g, left);
    if (cost >= FAR) return FAR;
    uint32_t commas = far_mul(needed, comma_bytes(g)), total = 0, n = before + needed;
    if (n == 1) return far_add(cost, commas);
    lex_lang words = words_of(g, left);
    if (words != LEX_EMPTY) {
        total = lex_words_sum(g->x, words, NULL, before, needed);
        if (total == LEX_NONE) // those before take others
            total = lex_words_sum(g->x, words, NULL, LEX_NONE, needed);
        return total == LEX_NONE ? FAR : far_add(total, far_add(commas, far_mul(needed, 2)));
    }
    struct costs c = {0};
    member_costs(g, &c, left, all, n);
    uint32_t have = 0, skip = before;
    for (uint32_t i = 0; i < c.n; i++) have += min_of(c.v[i].n, NONE - have);
    if (have < n) skip = have > needed ? have - needed : 0; // those before take others
    for (uint32_t i = 0; i < c.n && needed; i++) {
        uint32_t passed = min_of(skip, c.v[i].n), taken = min_of(c.v[i].n - passed, needed);
        skip -= passed;
        needed -= taken;
        total = far_add(total, far_mul(taken, c.v[i].each));
    }
    free(c.v);
    return needed ? FAR : far_add(total, commas);
}

static uint32_t plain_rest(grammar *g, const form_id *atom, uint32_t n, uint32_t count,
                           const struct used *used)
{
    uint32_t least = 0, most = NONE, fixed = 0, total = 1;
    bool unique = false;
    for (uint32_t i = 0; i < n; i++) {
        const struct form *x = &g->forms[atom[i]];
        if (x->kind == F_FALSE) return FAR;
        if (x->kind == A_MIN && x->a > least) least = x->a;
        if (x->kind == A_MAX && x->a < most) most = x->a;
        if (x->kind == A_ITEMS && g->items[x->a]->n > fixed) fixed = g->items[x->a]->n;
        unique = unique || x->kind == A_UNIQUE;
    }
    if (count > most || least > most) return FAR;
    for (uint32_t at = count; at < least; at++) {
        set_id s = element_set(g, atom, n, at);
        if (used->words != LEX_EMPTY) {
            total = far_add(total, words_cost(g, least - at, used));
            break;
        }
        uint32_t cost = far_add(values_cost(g, s), comma_bytes(g)),
                 times = at < fixed ? 1 : least - at;
        if (unique) {
            set_id left = distinct_left(g, s, used);
            uint32_t before = used->writing && may_be_one(g, used->open, left);
            if (at - count > PREFIX_MAX) before = at - count; // of more than that, all are counted
            for (uint32_t i = count; i < at && at - count <= PREFIX_MAX; i++)
                before += may_be_one(g, distinct_left(g, element_set(g, atom, n, i), used), left);
            total = far_add(total, distinct_costs(g, left, s, before, times));
        } else {
            total = far_add(total, far_mul(times, cost));
        }
        if (total >= FAR) return FAR;
        if (at >= fixed) break;
    }
    return total >= FAR ? FAR : total - (count == 0 && least > 0 ? comma_bytes(g) : 0);
}

static bool is_unique(const grammar *g, form_id f)
{
    const struct form *x = &g->forms[f];
    bool unique = x->kind == A_UNIQUE;
    for (uint32_t i = 0; x->kind == F_AND && i < x->n; i++)
        unique = unique || g->forms[x->list[i]].kind == A_UNIQUE;
    return unique;
}

// Elements that are to come: so many of each set.
struct wanted {
    set_id set;
    uint32_t times;
};

static set_id spare_of(grammar *g, const struct wanted *v, uint32_t n, set_id one)
{
    struct wanted small[SMALL_MAX];
    uint32_t n_small = 0, total = 1;
    set_id taken = SET_NONE;
    for (uint32_t i = 0; i < n; i++) total += v[i].times;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = 0;
        if (values_count(g, v[i].set) >= total) continue; // the others cannot take all of them
        while (k < n_small && small[k].set != v[i].set) k++;
        if (k == SMALL_MAX) continue;
        if (k == n_small) small[n_small++] = (struct wanted){v[i].set, 0};
        small[k].times += v[i].times;
    }
    for (uint32_t some = 1; some < 1u << n_small; some++) {
        struct wanted all = {SET_NONE, 0};
        for (uint32_t k = 0; k < n_small; k++) {
            if (!(some >> k & 1)) continue;
            all.set = values_or(g, all.set, small[k].set);
            all.times += small[k].times;
        }
        uint32_t members = values_count(g, all.set);
        if (members < all.times) return SET_NONE;
        if (members == all.times) taken = values_or(g, taken, all.set);
    }
    return taken == SET_NONE ? one : values_minus(g, one, taken);
}

// The elements of a completion that were added so far: where they have to differ, each takes a
// member away from those behind it.
struct added {
    const struct used *used;
    set_id set[DEPTH_MAX + 1];
    uint32_t before[DEPTH_MAX + 1]; // of each: how many that come earlier may be members of its set
    uint32_t n;
};

// A bound of what an element of s costs, with its comma, where it may have to differ from those
// before it.
static uint32_t element_cost(grammar *g, set_id s, struct added *a, bool unique)
{
    a->set[a->n] = SET_NONE;
    if (!unique) return far_add(values_cost(g, s), comma_bytes(g));
    set_id left = distinct_left(g, s, a->used);
    uint32_t before = a->used->writing && may_be_one(g, a->used->open, left);
    if (a->n && a->set[a->n - 1] == left) // one more of the same
        before = a->before[a->n - 1] + 1;
    else
        for (uint32_t i = 0; i < a->n; i++) before += may_be_one(g, a->set[i], left);
    a->set[a->n] = left;
    a->before[a->n] = before;
    return distinct_costs(g, left, s, before, 1);
}

// Are there enough members for all that were added, and for the value that is being written?
static bool can_differ(grammar *g, const struct added *a)
{
    struct wanted v[DEPTH_MAX + 2];
    uint32_t n = 0;
    for (uint32_t i = 0; i < a->n; i++)
        if (a->set[i] != SET_NONE) v[n++] = (struct wanted){a->set[i], 1};
    if (n && a->used->writing) v[n++] = (struct wanted){a->used->open, 1};
    return n == 0 || spare_of(g, v, n, SET_ALL) != SET_NONE;
}

// Adds elements until the array may close. A form that comes back to itself at a place beyond all
// that is counted has gained nothing.
static uint32_t walk_rest(grammar *g, form_id f, uint32_t count, struct added *a, uint32_t *left)
{
    if (array_closes(g, f, count)) return can_differ(g, a) ? 1 : FAR;
    if (*left == 0 || a->n > DEPTH_MAX) return FAR;
    --*left;
    uint32_t n, best = FAR;
    const struct term *v = form_terms(g, f, NULL, count, &n);
    for (uint32_t i = 0; i < n; i++) {
        if (v[i].rest == f && count >= g->forms[f].settled) continue;
        uint32_t cost = element_cost(g, v[i].value, a, form_compares(g, v[i].rest));
        if (cost >= FAR || cost >= best) continue;
        a->n++;
        uint32_t rest = walk_rest(g, v[i].rest, count + 1, a, left);
        a->n--;
        best = min_of(best, far_add(cost, rest));
    }
    return best;
}

lex_lang array_words(grammar *g, form_id f)
{
    struct form x = g->forms[f];
    const form_id *atom = x.kind == F_AND ? x.list : &f;
    uint32_t n = x.kind == F_AND ? x.n : 1;
    bool unique = false;
    if (!x.plain) return LEX_EMPTY;
    for (uint32_t i = 0; i < n; i++) {
        const struct form *y = &g->forms[atom[i]];
        if (y->kind == A_ITEMS && g->items[y->a]->n > 0) return LEX_EMPTY;
        unique = unique || y->kind == A_UNIQUE;
    }
    if (!unique) return LEX_EMPTY;
    return words_of(g, element_set(g, atom, n, 0));
}

set_id array_even(grammar *g, form_id f)
{
    struct form x = g->forms[f];
    const form_id *atom = x.kind == F_AND ? x.list : &f;
    uint32_t n = x.kind == F_AND ? x.n : 1;
    if (!x.plain) return SET_NONE;
    for (uint32_t i = 0; i < n; i++)
        if (g->forms[atom[i]].kind == A_ITEMS && g->items[g->forms[atom[i]].a]->n > 0)
            return SET_NONE;
    return element_set(g, atom, n, 0);
}

// There is no end of them where one more element may always come.
static bool find_many(grammar *g, form_id f)
{
    struct form x = g->forms[f];
    const form_id *atom = x.kind == F_AND ? x.list : &f;
    uint32_t n = x.kind == F_AND ? x.n : 1;
    if (f == FORM_FALSE || !x.plain || x.compares || form_cost(g, f, false) >= FAR) return false;
    for (uint32_t i = 0; i < n; i++)
        if (g->forms[atom[i]].kind == A_MAX) return false;
    return values_live(g, element_set(g, atom, n, NONE));
}

bool array_many(grammar *g, form_id f)
{
    if (g->forms[f].many == 0) {
        bool many = find_many(g, f);
        g->forms[f].many = many ? 2 : 1;
    }
    return g->forms[f].many == 2;
}

uint32_t array_more(grammar *g, form_id f, uint32_t k)
{
    struct form x = g->forms[f];
    if (!array_many(g, f)) return FAR;
    set_id s = element_set(g, x.kind == F_AND ? x.list : &f, x.kind == F_AND ? x.n : 1, NONE);
    return far_mul(k, far_add(values_cost(g, s), comma_bytes(g)));
}

#define BEYOND 32 // bytes that a search may find too much

uint32_t many_cost(grammar *g, set_id a, uint32_t k)
{
    struct set s = g->sets[a];
    uint32_t best = FAR, upto = k;
    if (s.string && lex_count(g->x, lex_start(g->x, s.string)) == LEX_MANY) {
        uint32_t rest = lex_rest_left(g->x, lex_start(g->x, s.string), NULL, 0, 0, k, &upto);
        if (rest < FAR) best = rest + 2;
    }
    if (best > NUMBER_BYTES && s.number && lex_count(g->x, lex_start(g->x, s.number)) == LEX_MANY)
        best = NUMBER_BYTES;
    if (best >= FAR && s.array)
        best = far_add(far_add(form_cost(g, s.array, false), BEYOND), array_more(g, s.array, k));
    if (best >= FAR && s.object)
        best = far_add(far_add(form_cost(g, s.object, true), BEYOND), object_more(g, s.object, k));
    return best;
}

// A bound of array_rest where it is not known what the elements are.
static uint32_t guessed_rest(grammar *g, form_id f, uint32_t count, const struct used *used)
{
    struct form x = g->forms[f];
    uint32_t least = 0;
    for (uint32_t i = 0; i < (x.kind == F_AND ? x.n : 1); i++) {
        const struct form *y = &g->forms[x.kind == F_AND ? x.list[i] : f];
        if (y->kind == A_MIN && y->a > least) least = y->a;
    }
    set_id s = array_even(g, f);
    if (s == SET_NONE) return FAR;
    if (count >= least) return 1;
    uint32_t needed = least - count, each = many_cost(g, s, used->n + used->writing + needed);
    return far_add(far_mul(needed, far_add(each, GROWTH + comma_bytes(g))), 1);
}

struct spare {
    grammar *g;
    const struct used *used;
    set_id one, found;
    uint32_t left; // elements that may still be looked at
    struct wanted path[DEPTH_MAX];
};

static set_id plain_spare(struct spare *w, const form_id *atom, uint32_t n, uint32_t count)
{
    grammar *g = w->g;
    uint32_t least = 0, fixed = 0, m = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct form *x = &g->forms[atom[i]];
        if (x->kind == A_MIN && x->a > least) least = x->a;
        if (x->kind == A_ITEMS && g->items[x->a]->n > fixed) fixed = g->items[x->a]->n;
    }
    for (uint32_t at = count; at < least && m < DEPTH_MAX; at++) {
        set_id set = distinct_left(g, element_set(g, atom, n, at), w->used);
        w->path[m++] = (struct wanted){set, at >= fixed ? least - at : 1};
        if (at >= fixed) break;
    }
    return spare_of(g, w->path, m, w->one);
}

static void walk_spare(struct spare *w, form_id f, uint32_t count, uint32_t depth)
{
    grammar *g = w->g;
    if (array_closes(g, f, count)) {
        w->found = values_or(g, w->found, spare_of(g, w->path, depth, w->one));
        return;
    }
    uint32_t n;
    const struct term *v = form_terms(g, f, NULL, count, &n);
    for (uint32_t i = 0; i < n && depth < DEPTH_MAX && w->found != w->one && w->left; i++) {
        if (v[i].rest == f && count >= g->forms[f].settled) continue;
        w->left--;
        set_id set = distinct_left(g, v[i].value, w->used);
        w->path[depth] = (struct wanted){set, 1};
        if (values_cost(g, set) < FAR) walk_spare(w, v[i].rest, count + 1, depth + 1);
    }
}

set_id array_spare(grammar *g, form_id f, uint32_t count, const struct used *used, set_id one)
{
    struct form x = g->forms[f];
    if (!is_unique(g, f) || used->words != LEX_EMPTY) return one;
    struct spare w = {.g = g, .used = used, .one = one, .left = ELEMENTS_MAX};
    if (x.plain)
        return plain_spare(&w, x.kind == F_AND ? x.list : &f, x.kind == F_AND ? x.n : 1, count);
    walk_spare(&w, f, count, 0);
    return w.found;
}

uint32_t array_rest(grammar *g, form_id f, uint32_t count, const struct used *used)
{
    struct form x = g->forms[f];
    uint32_t left = ELEMENTS_MAX, rest = FAR;
    if (x.kind == F_OR && x.compares) {
        for (uint32_t i = 0; i < x.n; i++)
            rest = min_of(rest, array_rest(g, x.list[i], count, used));
        return rest;
    }
    if (used->n) return guessed_rest(g, f, count, used);
    if (array_spare(g, f, count, used, SET_ALL) == SET_NONE) return FAR;
    if (x.plain)
        return plain_rest(g, x.kind == F_AND ? x.list : &f, x.kind == F_AND ? x.n : 1, count, used);
    struct added added = {.used = used};
    rest = walk_rest(g, f, count, &added, &left);
    if (left == 0 && rest >= FAR)
        grammar_too_much(g, "alternatives of an array: no completion found among 4,000");
    return rest >= FAR ? FAR : rest - (count == 0 && rest > 1 ? comma_bytes(g) : 0);
}
