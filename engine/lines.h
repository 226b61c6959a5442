// The lines of a text file, plain or compressed with xz (told by the first bytes, not by the name).
#pragma once
#include "base/err.h"
#include <stddef.h>

typedef struct lines lines;

lines *lines_open(const char *path, err *e);
void lines_close(lines *l);

// The next line without its newline, NUL-terminated, borrowed until the next call. Returns 1; 0 at
// the end of the file; -1 and *e where it cannot be read.
int lines_next(lines *l, const char **text, size_t *n, err *e);

size_t lines_number(const lines *l); // of the line that came last, from 1
