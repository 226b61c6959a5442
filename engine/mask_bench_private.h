// Shared by the modes of the mask bench.
#pragma once
#include "base/buf.h"
#include "base/rng.h"
#include "engine/mask_bench.h"

// What of an origin is still being measured: nanoseconds and bytes.
struct mask_tally {
    struct mask_row row;
    struct samples step, fill, commit, worst, compile, compile_only, bytes;
    uint64_t slowest_ns, slowest_compile_ns;
};

// The N greatest of something, with what they are.
struct worst {
    struct worst_row {
        double value;
        char *id, *what;
    } * v; // [n] descending
    size_t n;
};

struct bench {
    const struct mask_bench_options *o;
    struct mask_tally tallies[MASK_ORIGINS_MAX];
    size_t n_tally;
    rng random;
    uint64_t *bits;        // [n_token]
    struct cutter *cutter; // of the adversarial mode

    // of the schema at hand
    struct mask_tally *tally;
    const char *id;
    const json_t *schema;
    bool failed;                // an instance was judged wrongly, or a check did not hold
    uint64_t first_fill_ns;     // of the first mask, until a step has taken it; 0: taken
    uint64_t worst_ns, step_ns; // of all its steps; of the last one
    struct slow_masks {         // of the grammar's states that were verified: an open hash table
        struct slow_mask {
            uint64_t state[2], mask[2]; // digests; a mask of {0, 0}: an empty place
        } * v;
        size_t n, cap; // a power of two
    } slow;
    struct worst slow_steps, slow_compiles, large; // us, ms, MB
};

void bench_report(struct bench *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// Compiles b->schema, the one place that knows how; times it and its first mask. NULL: refused.
grammar *bench_compile(struct bench *b, enum grammar_spacing spacing, err *e);
// One timed mask and accept; false where the token is not allowed.
bool bench_step(struct bench *b, grammar_state *s, int32_t token);

// Attacks b->schema; false: it is refused.
bool mask_adversarial(struct bench *b, const json_t *tests);
void mask_adversarial_free(struct bench *b);
