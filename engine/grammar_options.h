// The choices a grammar is compiled under, for the verbs that let a person make them.
#pragma once
#include "engine/grammar.h"

#ifdef GRAMMAR_SPACE_DEFAULT // grammar.h knows the choices itself

static inline grammar *grammar_under(const grammar_vocab *v, const json_t *schema,
                                     const struct grammar_options *o, err *e)
{
    return grammar_from_schema(v, schema, o, e);
}

#else

#define SPACING_FLEXIBLE ((enum grammar_spacing)2)
enum grammar_order { ORDER_SCHEMA, ORDER_ANY, ORDER_REQUIRED_FIRST };
enum lex_escapes { ESCAPES_ANY, ESCAPES_MINIMAL };

struct grammar_options {
    enum grammar_spacing spacing;
    enum grammar_order order;
    enum lex_escapes escapes;
    bool closed;
};

// Of the choices only a fixed spacing is known yet; the others are as grammar.h says.
static inline grammar *grammar_under(const grammar_vocab *v, const json_t *schema,
                                     const struct grammar_options *o, err *e)
{
    enum grammar_spacing spacing = o->spacing == SPACING_COMPACT ? SPACING_COMPACT : SPACING_PYTHON;
    return grammar_from_schema(v, schema, spacing, e);
}

#endif
