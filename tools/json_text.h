// JSON as a person would write it: like json_dumps, but 0.1 stays 0.1 instead of
// 0.10000000000000001.
#pragma once
#include "base/buf.h"
#include <jansson.h>

void json_text(buf *out, const json_t *value);
