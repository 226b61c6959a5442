// Random schemas from the supported keywords, and random documents that satisfy them, written as
// the grammar writes (declared keys in order, then others).
#pragma once
#include "base/buf.h"
#include "base/rng.h"
#include "engine/grammar.h"

json_t *random_schema(rng *r);
// Any keywords beside one another, over the names and values of the small universe (oracle.h).
json_t *random_small_schema(rng *r);
// Appends a document's text; false when the schema is not satisfiable or the text grew too long.
bool random_document(rng *r, const json_t *root, const json_t *schema, enum grammar_spacing spacing,
                     buf *out);
