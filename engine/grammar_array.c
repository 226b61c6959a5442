// What an array may still become. Without alternatives the shortest end is a sum; with conditions
// that some element must meet or fail, elements are added one by one until the array may close.
#include "engine/grammar_private.h"

#include <string.h>

#define ELEMENTS_MAX 4000 // looked at in one search
#define DEPTH_MAX    600

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

// So many distinct words, each with its quotes and a comma.
static uint32_t words_cost(grammar *g, lex_lang words, uint32_t needed, const struct used *used)
{
    uint32_t n = lex_words_least(g->x, words, used->taken, needed, used->writing);
    return n == LEX_NONE ? FAR : far_add(n, far_mul(needed, 2 + comma_bytes(g)));
}

// Distinct elements for the places from `count` on: the shortest ones of one set grow longer, by a
// byte for each power of ten at most; where a set is small, whether there are enough is counted.
static uint32_t distinct_cost(grammar *g, set_id s, uint32_t needed, const struct used *used)
{
    set_id left = used->set == SET_NONE ? s : values_and(g, s, values_not(g, used->set));
    uint32_t n = values_count(g, left);
    if (n != LEX_MANY && n < needed) return FAR;
    return values_cost(g, left);
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
            total = far_add(total, words_cost(g, used->words, least - at, used));
            break;
        }
        uint32_t cost = unique ? distinct_cost(g, s, least - at, used) : values_cost(g, s);
        cost = far_add(cost, comma_bytes(g));
        if (at >= fixed) {
            uint32_t growth = unique ? 12 : 0; // distinct elements: digits that tell them apart
            uint32_t all = far_mul(least - at, cost + growth);
            lex_lang words = unique ? words_of(g, s) : (lex_lang)LEX_EMPTY; // or they become words
            struct used none = {.set = SET_NONE, .writing = used->writing}; // no bits are kept here
            if (words != LEX_EMPTY && used->set == SET_NONE && all < FAR)
                all = max_of(all, words_cost(g, words, least - at, &none));
            total = far_add(total, all);
            break;
        }
        total = far_add(total, cost);
        if (total >= FAR) return FAR;
    }
    return total >= FAR ? FAR : total - (count == 0 && least > 0 ? comma_bytes(g) : 0);
}

// Adds elements until the array may close. A form that comes back to itself at a place beyond all
// that is counted has gained nothing.
static uint32_t walk_rest(grammar *g, form_id f, uint32_t count, uint32_t depth, uint32_t *left)
{
    if (array_closes(g, f, count)) return 1;
    if (*left == 0 || depth > DEPTH_MAX) return FAR;
    --*left;
    uint32_t n, best = FAR;
    const struct term *v = form_terms(g, f, NULL, count, &n);
    for (uint32_t i = 0; i < n; i++) {
        if (v[i].rest == f && count >= g->forms[f].settled) continue;
        uint32_t cost = values_cost(g, v[i].value);
        if (cost >= FAR || cost >= best) continue;
        uint32_t rest = walk_rest(g, v[i].rest, count + 1, depth + 1, left);
        best = min_of(best, far_add(far_add(cost, comma_bytes(g)), rest));
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

uint32_t array_rest(grammar *g, form_id f, uint32_t count, const struct used *used)
{
    struct form x = g->forms[f];
    if (x.plain)
        return plain_rest(g, x.kind == F_AND ? x.list : &f, x.kind == F_AND ? x.n : 1, count, used);
    uint32_t left = ELEMENTS_MAX, rest = walk_rest(g, f, count, 0, &left);
    if (left == 0 && rest >= FAR)
        grammar_too_much(g, "alternatives of an array: no completion found among 4,000");
    return rest >= FAR ? FAR : rest - (count == 0 && rest > 1 ? comma_bytes(g) : 0);
}
