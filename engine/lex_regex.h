// A parsed pattern: what lex_regex.c hands to lex_pattern.c. Private to the lexical layer.
#pragma once
#include "engine/lex_private.h"

enum part_kind {
    PART_EMPTY,    // also an empty sequence
    PART_SET,      // one character of `set`
    PART_SEQUENCE, // the parts from `first` on
    PART_CHOICE,
    PART_REPEAT, // `first`, min to max times
    PART_START,  // ^
    PART_END,    // $
    PART_WORD,   // \b; negative: \B
    PART_AHEAD   // (?=first); negative: (?!first)
};

struct part {
    enum part_kind kind;
    bool negative;
    bool closed; // neither it nor a part of it looks at what stands around it
    uint32_t set, min, max;
    struct part *first, *next;
};

// Parses an ECMA-262 pattern; parts are in `mem`. NULL with *e: not a pattern, or not one that is
// enforced here.
struct part *regex_parse(lex *x, arena *mem, const char *pattern, size_t n, err *e);
uint32_t regex_word_set(lex *x); // \w
// The strings in which it matches somewhere.
expr pattern_whole(lex *x, const struct part *p); // all of it; p is closed
expr pattern_expr(lex *x, const struct part *p);
