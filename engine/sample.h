// One token from logits, under a mask.
#pragma once
#include "base/rng.h"
#include "engine/engine.h"

struct candidate {
    float logit;
    int32_t id;
};

// `room` has n_vocab candidates. Tokens from n_usable on are never picked. mask may be NULL.
int32_t sample_token(const float *logits, int n_usable, const uint64_t *mask,
                     const struct sample_options *o, rng *r, struct candidate *room);
