// The vocabulary as grammars want it, from a tokenizer. The bytes stay the tokenizer's, which must
// outlive it.
#pragma once
#include "base/err.h"
#include "engine/grammar.h"
#include "engine/tokenizer.h"

// n_token: rows of the model's output, at least tokenizer_size. end: the token that ends a turn.
// Prepared on success.
int vocab_make(grammar_vocab *v, const tokenizer *t, int n_token, int32_t end, err *e);
void vocab_free(grammar_vocab *v);

// A vocabulary of the 256 bytes and an end token: what a grammar says without any model's habits.
// Prepared on success.
int vocab_of_bytes(grammar_vocab *v, err *e);
