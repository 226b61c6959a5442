// Small vocabularies for tests: every byte, tokens that cross the borders of JSON's structure, and
// halves of characters.
#pragma once
#include "base/rng.h"
#include "engine/grammar.h"

grammar_vocab *test_vocab_new(rng *r, int n_random);
// Every byte, and n_random tokens of one to three of the pieces in a row.
grammar_vocab *test_vocab_of(rng *r, const char *const *piece, size_t n_piece, int n_random);
void test_vocab_free(grammar_vocab *v);
int32_t test_vocab_find(const grammar_vocab *v, const char *text, uint8_t kind);
// Accepts the text as tokens chosen at random among those that fit it; false where refused.
bool test_vocab_feed(const grammar_vocab *v, grammar_state *s, rng *r, const char *text, size_t n);
