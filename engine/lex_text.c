// Languages of plain text put together from others, for grammars beyond JSON.
#include "engine/lex_private.h"

static lex_lang text_lang(lex *x, lex_lang a, lex_lang b, expr e)
{
    bool failed = x->too_large;
    x->too_large = false;
    return failed ? LEX_FAILED : lang_of(x, false, x->lang[a].narrow || x->lang[b].narrow, e);
}

lex_lang lex_then(lex *x, lex_lang a, lex_lang b)
{
    if (a == LEX_FAILED || b == LEX_FAILED) return LEX_FAILED;
    return text_lang(x, a, b, expr_then(x, x->lang[a].a, x->lang[b].a));
}

lex_lang lex_repeat(lex *x, lex_lang a, uint32_t min, uint32_t max)
{
    if (a == LEX_FAILED) return LEX_FAILED;
    return text_lang(x, a, a, expr_repeat(x, x->lang[a].a, min, max));
}

bool lex_is_end(const lex *x, lex_state s)
{
    const struct state *p = &x->state[s];
    const struct expr_node *a = &x->expr[p->a];
    if (p->stage != STAGE_CHAR || !p->accepts) return false;
    if (a->kind == EXPR_WORDS) return a->b + 1 == a->c;
    return a->kind == EXPR_EPSILON;
}

bool lex_is_plain(const lex *x, lex_lang a)
{
    return x->expr[x->lang[a].a].plain;
}
