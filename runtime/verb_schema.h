// Shared by the verbs of `hearth schema`.
#pragma once
#include "base/err.h"
#include <jansson.h>

// A whole JSON document from a file, or from standard input for "-". The caller releases it.
json_t *json_from(const char *path, err *e);
