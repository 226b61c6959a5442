// Shared by the verbs of `hearth schema`.
#pragma once
#include "base/err.h"
#include "cli.h"
#include "constraint.h"
#include <jansson.h>
#include <stddef.h>

// A whole text from a file, or from standard input for "-". The caller frees it.
char *text_from(const char *path, size_t *n, err *e);
// A whole JSON document from a file, or from standard input for "-". The caller releases it.
json_t *json_from(const char *path, err *e);
// The constraint of the first argument, of the kind that --kind says.
int constraint_from(const struct command *c, struct constraint *out, err *e);
