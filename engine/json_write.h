// JSON documents to text and back where Jansson alone is not exact enough: the spelling of Python's
// json.dumps, and integers of any size.
#pragma once
#include "base/buf.h"
#include <jansson.h>
#include <stdbool.h>

// As json.dumps(v, ensure_ascii=False) writes it, keys in their order. spaced: ", " and ": "
// between the parts (its default); else nothing.
void json_write(buf *b, const json_t *v, bool spaced);

// json_loadb, but an integer beyond 64 bits is read as the real number next to it and not an error.
// NULL and *e where the text is no JSON; NUL in keys and numbers beyond double stay errors.
json_t *json_read(const char *text, size_t n, size_t flags, json_error_t *e);
