// What the verbs about grammars share: a vocabulary to compile over, and the choices of how
// documents may be written.
#pragma once
#include "cli.h"
#include "engine/grammar.h"
#include "engine/tokenizer.h"

// --spacing --order --escapes --closed
extern const struct option_row grammar_option_rows[];
int grammar_options_read(const struct command *c, struct grammar_options *o, err *e);

struct vocabulary {
    tokenizer *t; // NULL: the vocabulary of bytes
    grammar_vocab v;
    double ms;    // that its tables took
    size_t bytes; // of the heap that they hold
};

// `given`: a tokenizer.json, "bytes", or NULL for the built-in model's.
int vocabulary_open(struct vocabulary *v, const char *given, err *e);
void vocabulary_close(struct vocabulary *v);
