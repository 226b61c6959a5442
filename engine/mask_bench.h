// Replays a file of schemas with valid and invalid instances (maskbench's format, one JSON object
// per line: {id, schema, tests: [{valid, data}]}) through the decoder: is every instance judged
// right, and how long does a mask take. Instances are written as Python's json.dumps writes them.
#pragma once
#include "engine/grammar.h"
#include "engine/tokenizer.h"

struct mask_bench_options {
    const char *path; // .jsonl, not compressed
    const tokenizer *tokenizer;
    const grammar_vocab *vocab; // prepared, of the same tokenizer
    size_t max_schemas;         // 0: all
    // Called for each schema that is refused and each instance judged wrongly; may be NULL.
    void (*report)(void *context, const char *id, const char *what);
    void *context;
};

struct mask_bench_result {
    size_t schemas, compiled, refused;
    size_t unreadable;                // lines with an integer beyond 64 bits, left out
    size_t valid, valid_rejected;     // instances of compiled schemas
    size_t invalid, invalid_accepted; // accepted to their end, where the end token was allowed too
    size_t masks;                     // each with the accept after it
    double avg_us, p50_us, p90_us, p99_us, max_us;
    char slowest[64]; // id of the schema with the slowest mask
    double compile_p50_ms, compile_p99_ms, compile_max_ms;
    size_t grammar_bytes_max;
};

int mask_bench(const struct mask_bench_options *o, struct mask_bench_result *out, err *e);
