// Random texts of a grammar, for looking at what a schema allows and for checking the decoder: the
// mask is asked for at every step and one of its tokens taken. Never a dead end: a budget of tokens
// makes the text finish.
#pragma once
#include "base/buf.h"
#include "base/rng.h"
#include "engine/engine.h"
#include "engine/grammar.h"

enum random_how {
    // Each kind of next byte (quote, letter, digit, ...) alike, then each token of that kind.
    RANDOM_UNIFORM,
    RANDOM_RAREST, // the allowed token that was taken least often so far
    RANDOM_MODEL   // as a model would, by its logits
};

typedef struct random_text random_text;

struct random_text_options {
    const grammar_vocab *vocab;
    enum random_how how;
    int max_tokens;        // raised where even the shortest text takes more
    session *session;      // RANDOM_MODEL: holds the prompt already
    const int32_t *prompt; // [n_prompt] the same, to come back to
    size_t n_prompt;
};

random_text *random_text_new(const struct random_text_options *o);
void random_text_free(random_text *t);

// Writes one text to `out` (cleared before). -1 and *e only where the model fails, or where a mask
// is empty or not kept: that is a mistake of ours (ERR_FAILED), and `out` holds the text so far.
int random_text_make(random_text *t, const grammar *g, rng *r, buf *out, err *e);
