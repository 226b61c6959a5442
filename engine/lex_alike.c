// Expressions that nobody can tell apart within a few characters.
//
// A counter that is far from its end does not matter to a token: "at most 5,000 characters, 4,321
// of them left" allows the same tokens as "any number of characters". What is alike here has one
// form, and a mask made for it serves all. That is what keeps patterns with counters, and lengths
// beside them, from asking for a mask at every character.
//
// Two expressions are alike within a reach when each text of at most that many characters is a
// member of both or of neither, and the beginning of a member of both or of neither.
//   r{m,n}   A text of `reach` characters holds at most k = reach / (fewest of r) times r, so all n
//            above k are alike, and all m above k. In a sequence, an alternative or another
//            repetition, members and beginnings follow from those of the parts, so the parts may be
//            replaced by what is alike.
//   a, at most n characters long: whatever is read of a, `stretch` characters more complete it; so
//            with n >= reach + stretch the length does not matter.
// Under and and not, beginnings do not follow from those of the parts: these stay as they are.
#include "engine/lex_private.h"

static expr alike_repeat(lex *x, struct expr_node p, enum lex_reach reach)
{
    uint32_t least = x->expr[p.a].min_len, k = x->reach[reach] / (least ? least : 1);
    expr body = expr_alike(x, p.a, reach);
    return expr_repeat(x, body, p.b > k ? k + 1 : p.b, p.c > k ? NO_MAX : p.c);
}

static expr alike_or(lex *x, struct expr_node p, enum lex_reach reach)
{
    expr all = EXPR_NONE;
    for (uint32_t i = 0; i < p.a; i++) all = expr_or(x, all, expr_alike(x, p.list[i], reach));
    return all;
}

#define ALTERNATIVES_MAX 64u // more are left as they are

static expr find_alike(lex *x, expr a, enum lex_reach reach)
{
    struct expr_node p = x->expr[a];
    switch (p.kind) {
    case EXPR_THEN:
        if (!p.regular) return a;
        return expr_then(x, expr_alike(x, p.a, reach), expr_alike(x, p.b, reach));
    case EXPR_REPEAT: return p.regular ? alike_repeat(x, p, reach) : a;
    case EXPR_OR: return p.a <= ALTERNATIVES_MAX ? alike_or(x, p, reach) : a;
    case EXPR_SIZED:
        if (p.b > 0 || !x->expr[p.a].regular) return a;
        if (p.c < far_sum(x->reach[reach], x->expr[p.a].stretch)) return a;
        return expr_alike(x, p.a, reach);
    default: return a;
    }
}

expr expr_alike(lex *x, expr a, enum lex_reach reach)
{
    if (x->expr[a].alike[reach] != EXPR_NONE) return x->expr[a].alike[reach];
    bool too_large = x->too_large;
    x->too_large = false;
    expr b = a == EXPR_NONE ? a : find_alike(x, a, reach);
    if (x->too_large) b = a;
    x->too_large = too_large;
    x->expr[a].alike[reach] = b;
    if (b != EXPR_NONE) x->expr[b].alike[reach] = b;
    return b;
}

void lex_set_reach(lex *x, uint32_t near, uint32_t far)
{
    x->reach[REACH_NEAR] = near;
    x->reach[REACH_FAR] = far;
}

lex_state lex_alike(lex *x, lex_state s, enum lex_reach reach)
{
    const struct state *p = &x->state[s];
    if (s == LEX_DEAD || p->stage >= STAGE_NUMBER || (p->stage != STAGE_CHAR && !p->same)) return s;
    expr a = expr_alike(x, p->a, reach);
    if (a == x->state[s].a) return s;
    if (x->state[s].stage == STAGE_CHAR) return string_state(x, a);
    return state_of(x, x->state[s].stage, true, a, x->state[s].b, false);
}

// Bytes that complete what is read of a, whatever that is; FAR: not known.
static uint32_t stretch_bytes(const lex *x, expr a)
{
    enum { CHARACTER = 12 }; // bytes of the longest spelling
    const struct expr_node *p = &x->expr[a];
    if (p->regular) return far_product(p->stretch + 1, CHARACTER);
    if (p->kind == EXPR_SIZED) return stretch_bytes(x, p->a);
    uint32_t longest = 0;
    if (p->kind != EXPR_OR) return FAR;
    for (uint32_t i = 0; i < p->a; i++) {
        uint32_t n = stretch_bytes(x, p->list[i]);
        if (n > longest) longest = n;
    }
    return longest;
}

uint32_t lex_furthest(lex *x, lex_state s, uint32_t seen)
{
    if (lex_alike(x, s, REACH_NEAR) == s && lex_alike(x, s, REACH_FAR) == s) return seen;
    uint32_t n = stretch_bytes(x, x->state[s].a);
    return n > seen ? n : seen;
}
