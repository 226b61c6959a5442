// The slow, separate answer to "is there a document under this schema that begins with this text":
// a recursive matcher over the schema itself that returns sets of end positions. It shares nothing
// with the decoder. Texts are at most 62 bytes; a set is 64 bits.
#pragma once
#include "engine/grammar.h"

struct oracle_answer {
    bool viable;   // some completion exists (or it is complete)
    bool complete; // it is a document
};
struct oracle_answer oracle_ask(const json_t *schema, enum grammar_spacing spacing,
                                const char *text, size_t n);
void oracle_reset(void); // before each new schema: forgets what was remembered by address
#define ORACLE_TEXT_MAX 62
