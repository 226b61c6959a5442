// The slow, separate answer to "is there a document under this schema that begins with this text":
// every document of a small universe, each judged by the validator. It shares nothing with the
// decoder. All texts of the universe begin another's or differ early, so a tree of them holds many
// wrong turns for each right one.
#pragma once
#include "base/rng.h"
#include "engine/grammar.h"

struct universe_doc {
    char *text;
    size_t n;
    json_t *doc;    // NULL: valid under no schema (a key twice, too wide a gap)
    uint32_t value; // texts of equal values have equal numbers
    bool escaped;   // has an escape that ESCAPES_MINIMAL does not write
    bool one_order; // the same members in other orders are not in the universe
};

struct universe {
    size_t n, cap;
    uint32_t n_value;
    struct universe_doc *doc; // [n] by the bytes of their texts
};

#define UNIVERSE_GAP 2 // space_max of the texts with flexible spacing

// Every value in the spacing given. Flexible: with white space at random, some gaps too wide.
struct universe *universe_new(enum grammar_spacing spacing, rng *r);
void universe_free(struct universe *u);

// valid[u->n]: what the validator says. False: it refuses the schema.
bool universe_judge(const struct universe *u, const json_t *schema, bool *valid);

// The schema with what the option `closed` adds to it written out.
json_t *schema_closed(const json_t *schema);
