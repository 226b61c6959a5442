// From a parsed pattern to an expression. Parts that look at nothing around them are expressions by
// themselves. ^ \b (?=...) look at what stands around a position, so a part is translated together
// with what follows it, as far as the end of the string: then (?=A)B is A.* and B, (?!A)B is (not
// A.*) and B, and $ is what of B matches the empty string. What follows may depend on the character
// before it (\b) or on there being none (^): a `tail` holds it for each case.
#include "engine/lex_regex.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define UNROLLED_MAX 1000u  // times that a part with assertions is repeated
#define WORK_MAX     50000u // parts translated

enum before { BEFORE_NONE, BEFORE_WORD, BEFORE_OTHER, N_BEFORE };

struct tail {
    expr of[N_BEFORE];
};

struct translation {
    lex *x;
    uint32_t word, other; // sets
    uint32_t work;
};

static struct tail tail_all(expr a)
{
    return (struct tail){{a, a, a}};
}

static bool tail_equal(struct tail a, struct tail b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static bool is_uniform(struct tail t)
{
    return t.of[0] == t.of[1] && t.of[1] == t.of[2];
}

static struct tail tail_or(lex *x, struct tail a, struct tail b)
{
    for (int i = 0; i < N_BEFORE; i++) a.of[i] = expr_or(x, a.of[i], b.of[i]);
    return a;
}

static void too_large(lex *x, const char *why)
{
    x->too_large = true;
    x->why = why;
}

// ---- without assertions ----

static expr closed(lex *x, const struct part *p);

// All alternatives at once: one by one, the growing union would be sorted again for each.
static expr closed_choice(lex *x, const struct part *p)
{
    expr *list = NULL;
    uint32_t n = 0, cap = 0;
    for (const struct part *q = p->first; q; q = q->next) {
        list = array_room(list, n, &cap, sizeof *list);
        list[n++] = closed(x, q);
    }
    expr all = expr_or_of(x, list, n);
    free(list);
    return all;
}

static expr closed(lex *x, const struct part *p)
{
    expr all = EXPR_END;
    switch (p->kind) {
    case PART_SET: return expr_set(x, p->set);
    case PART_REPEAT: return expr_repeat(x, closed(x, p->first), p->min, p->max);
    case PART_CHOICE: return closed_choice(x, p);
    case PART_SEQUENCE: { // from the right: `then` nests that way
        const struct part *list[64];
        const struct part *q = p->first;
        while (q) {
            uint32_t n = 0;
            expr some = EXPR_END;
            for (; q && n < 64; q = q->next) list[n++] = q;
            while (n > 0) some = expr_then(x, closed(x, list[--n]), some);
            all = expr_then(x, all, some);
        }
        return all;
    }
    default: return EXPR_END;
    }
}

// ---- with them ----

// What matches p and then: `idle` where p read nothing since the loop around it began, `moved`
// where it did. A loop goes round again only when something was read, so it never waits for itself.
static struct tail translate(struct translation *t, const struct part *p, struct tail idle,
                             struct tail moved);

// One character, then what goes with it as the character before.
static expr after_set(struct translation *t, uint32_t set, struct tail moved)
{
    lex *x = t->x;
    if (moved.of[BEFORE_WORD] == moved.of[BEFORE_OTHER])
        return expr_then(x, expr_set(x, set), moved.of[BEFORE_WORD]);
    expr word = expr_set(x, set_and(x, set, t->word)),
         other = expr_set(x, set_and(x, set, t->other));
    return expr_or(x, expr_then(x, word, moved.of[BEFORE_WORD]),
                   expr_then(x, other, moved.of[BEFORE_OTHER]));
}

static struct tail translate_sequence(struct translation *t, const struct part *q, struct tail idle,
                                      struct tail moved)
{
    if (!q) return idle;
    struct tail then_moved = translate_sequence(t, q->next, moved, moved);
    struct tail then_idle =
        tail_equal(idle, moved) ? then_moved : translate_sequence(t, q->next, idle, moved);
    return translate(t, q, then_idle, then_moved);
}

// As many times as one likes: loops, one for each kind of character before.
static struct tail round_and_round(struct translation *t, const struct part *body,
                                   struct tail moved)
{
    lex *x = t->x;
    struct tail again = moved, none = tail_all(EXPR_NONE);
    for (int i = BEFORE_WORD; i < N_BEFORE; i++) again.of[i] = expr_loop(x, moved.of[i]);
    struct tail more = translate(t, body, none, again);
    for (int i = BEFORE_WORD; i < N_BEFORE; i++)
        expr_loop_body(x, again.of[i], expr_or(x, moved.of[i], more.of[i]));
    return more;
}

static struct tail translate_repeat(struct translation *t, const struct part *p, struct tail idle,
                                    struct tail moved)
{
    lex *x = t->x;
    struct tail none = tail_all(EXPR_NONE), leave = moved, leave_idle = idle;
    if (p->first->kind == PART_AHEAD) // once is as good as many times
        return p->min ? translate(t, p->first, idle, moved) : idle;
    if (p->max == NO_MAX) {
        struct tail more = round_and_round(t, p->first, moved);
        moved = tail_or(x, moved, more);
        idle = tail_or(x, idle, more);
    } else {
        if (p->max > UNROLLED_MAX) too_large(x, "a part with assertions is repeated too often");
        for (uint32_t i = p->min; i < p->max && !x->too_large; i++) {
            struct tail more = translate(t, p->first, none, moved);
            moved = tail_or(x, leave, more);
            idle = tail_or(x, leave_idle, more);
        }
    }
    if (p->min > UNROLLED_MAX) too_large(x, "a part with assertions is repeated too often");
    for (uint32_t i = 0; i < p->min && !x->too_large; i++) {
        struct tail next = translate(t, p->first, moved, moved);
        idle = tail_equal(idle, moved) ? next : translate(t, p->first, idle, moved);
        moved = next;
    }
    return idle;
}

static struct tail translate_word(struct translation *t, bool negative, struct tail idle)
{
    lex *x = t->x;
    expr word = expr_then(x, expr_set(x, t->word), EXPR_ALL);
    expr other = expr_or(x, EXPR_END, expr_then(x, expr_set(x, t->other), EXPR_ALL));
    for (int i = 0; i < N_BEFORE; i++) {
        bool want_word = (i != BEFORE_WORD) != negative;
        idle.of[i] = expr_and(x, idle.of[i], want_word ? word : other);
    }
    return idle;
}

static struct tail translate_ahead(struct translation *t, const struct part *p, struct tail idle)
{
    struct tail all = tail_all(EXPR_ALL), seen = translate(t, p->first, all, all);
    for (int i = 0; i < N_BEFORE; i++) {
        expr a = p->negative ? expr_not(t->x, seen.of[i]) : seen.of[i];
        idle.of[i] = expr_and(t->x, idle.of[i], a);
    }
    return idle;
}

static struct tail translate(struct translation *t, const struct part *p, struct tail idle,
                             struct tail moved)
{
    lex *x = t->x;
    struct tail out = tail_all(EXPR_NONE);
    if (++t->work > WORK_MAX) too_large(x, "too many assertions within repetitions");
    if (x->too_large) return out;
    if (p->closed && is_uniform(moved) && p->kind != PART_EMPTY) {
        expr a = closed(x, p);
        if (tail_equal(idle, moved) || !x->expr[a].nullable)
            return tail_all(expr_then(x, a, moved.of[0]));
    }
    switch (p->kind) {
    case PART_EMPTY: return idle;
    case PART_SET: return tail_all(after_set(t, p->set, moved));
    case PART_SEQUENCE: return translate_sequence(t, p->first, idle, moved);
    case PART_CHOICE:
        for (const struct part *q = p->first; q; q = q->next)
            out = tail_or(x, out, translate(t, q, idle, moved));
        return out;
    case PART_REPEAT: return translate_repeat(t, p, idle, moved);
    case PART_START: out.of[BEFORE_NONE] = idle.of[BEFORE_NONE]; return out;
    case PART_END: // what remains must be the end
        for (int i = 0; i < N_BEFORE; i++) out.of[i] = expr_and(x, idle.of[i], EXPR_END);
        return out;
    case PART_WORD: return translate_word(t, p->negative, idle);
    default: return translate_ahead(t, p, idle);
    }
}

// A match may begin anywhere.
static expr anywhere(struct translation *t, struct tail m)
{
    lex *x = t->x;
    expr first = m.of[BEFORE_NONE], word = m.of[BEFORE_WORD], other = m.of[BEFORE_OTHER];
    if (word == EXPR_NONE && other == EXPR_NONE) return first;
    if (is_uniform(m)) return expr_then(x, EXPR_ALL, first);
    if (word == other) return expr_or(x, first, expr_then(x, expr_length(x, 1, NO_MAX), word));
    struct tail later = m;
    later.of[BEFORE_WORD] = expr_loop(x, word);
    later.of[BEFORE_OTHER] = expr_loop(x, other);
    expr more = after_set(t, set_or(x, t->word, t->other), later);
    expr_loop_body(x, later.of[BEFORE_WORD], expr_or(x, word, more));
    expr_loop_body(x, later.of[BEFORE_OTHER], expr_or(x, other, more));
    return expr_or(x, first, more);
}

expr pattern_expr(lex *x, const struct part *p)
{
    uint32_t word = regex_word_set(x);
    struct translation t = {.x = x, .word = word, .other = set_not(x, word)};
    struct tail all = tail_all(EXPR_ALL);
    return anywhere(&t, translate(&t, p, all, all));
}

expr pattern_whole(lex *x, const struct part *p)
{
    return closed(x, p);
}
