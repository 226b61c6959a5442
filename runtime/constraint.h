// What an answer may be, of any kind: a JSON Schema, a regular expression, EBNF, structural tags.
// Read from a file by the verbs, from a script's table by agents.
#pragma once
#include "base/err.h"
#include "engine/grammar.h"
#include <jansson.h>

enum constraint_kind {
    CONSTRAINT_SCHEMA,
    CONSTRAINT_REGEX,
    CONSTRAINT_GRAMMAR, // EBNF
    CONSTRAINT_TAGS
};
#define CONSTRAINT_KINDS 4

struct constraint {
    enum constraint_kind kind;
    json_t *json; // SCHEMA, TAGS; owned
    char *text;   // REGEX, GRAMMAR; owned
};

const char *constraint_name(enum constraint_kind kind); // "schema", "regex", "ebnf", "tags"
int constraint_of(const char *name);                    // -1: there is no such kind

// From a file, "-" for standard input. A regular expression is its text without the last line end.
int constraint_read(struct constraint *c, enum constraint_kind kind, const char *path, err *e);
void constraint_free(struct constraint *c);

// With a span of reasoning in front, where think_end is not NULL: see grammar_tools_options.
grammar *constraint_compile(const struct constraint *c, const grammar_vocab *v,
                            const struct grammar_options *o, const char *think_begin,
                            const char *think_end, err *e);
