// Replays a file of schemas with valid and invalid instances (maskbench's format, one JSON object
// per line: {id, origin, schema, tests: [{valid, data}]}) through the decoder: is every instance
// judged right, what does a mask cost, how long does compiling take.
//
//   py           as maskbench's own runner: each instance as Python's json.dumps spells it;
//                accepted is what all its tokens are allowed of, may the text end there or not.
//   strict       compact and Python's spelling, each under its own spacing; the end token must be
//                allowed exactly where the text is a whole value that the validator accepts.
//   adversarial  other spellings, orders and tokenisations of the instances, and damaged ones,
//                judged by the validator; under the most permissive policies. What it looks at:
//                mask_adversarial.c.
#pragma once
#include "engine/grammar.h"
#include "engine/spread.h"
#include "engine/tokenizer.h"

enum mask_mode { MASK_PY, MASK_STRICT, MASK_ADVERSARIAL };

struct mask_bench_options {
    const char *path;   // .jsonl or .jsonl.xz
    const char *tokens; // recorded ids of the same instances, one {id, t: [{py, compact}]} a line;
                        // NULL: our tokenizer makes them
    enum mask_mode mode;
    struct grammar_options grammar;
    bool spacing_given; // for all texts; else each spelling is tried under its own
    const tokenizer *tokenizer;
    const grammar_vocab *vocab; // prepared, of the same tokenizer
    size_t max_schemas;         // 0: all
    uint64_t seed;              // of the adversarial mode
    uint64_t places;            // in one text of so many it compares masks; at least 1
    // Called for each schema that is refused and each instance judged wrongly; may be NULL.
    void (*report)(void *context, const char *id, const char *what);
    void *context;
    bool processor_time; // count that, not the time on the wall: for a machine that is shared
    uint64_t
        verify;     // one step in so many, drawn at random, is compared with the slow mask; 0: none
    size_t n_worst; // so many of the slowest steps, slowest compiles and largest grammars are
                    // reported at the end
    const volatile int *cancel; // may be NULL
};

enum { MASK_ORIGINS_MAX = 64 };

// The figures of one origin, or of all.
struct mask_row {
    char origin[48];
    size_t schemas;
    size_t passed; // compiled, and every instance judged right
    size_t compile_errors;
    size_t unreadable;                // numbers that no double holds, or NUL in a key: left out
    size_t without_tests;             // of `passed`
    size_t valid, valid_rejected;     // texts of compiled schemas
    size_t invalid, invalid_accepted; // the same
    size_t end_wrong; // strict: the end allowed where the text is no valid value, or the reverse
    size_t verified, masks_wrong;     // steps compared with the slow mask; where that differs
    size_t states;                    // that those steps were at, each walked by every token
    size_t checks, check_failures;    // adversarial: properties looked at, and those that failed
    size_t masks;                     // each with the accept after it
    struct spread step_us;            // mask and accept together, pooled over all steps
    struct spread fill_us, commit_us; // apart
    struct spread worst_us;           // of each schema's slowest step
    struct spread compile_ms;         // with the first mask
    struct spread compile_only_ms;    // without
    struct spread grammar_bytes;      // after the last instance: what is made lazily counts
    char slowest[64], slowest_to_compile[64]; // ids of schemas
};

struct mask_bench_result {
    struct mask_row all, origins[MASK_ORIGINS_MAX]; // origins in order of appearance
    size_t n_origin;
};

// The cost of a schema's first mask counts twice, as the compile time with it and as the fill of
// the first step: it is not measured a second time on warm tables.
int mask_bench(const struct mask_bench_options *o, struct mask_bench_result *out, err *e);
