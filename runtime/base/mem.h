// Allocation for small things. Running out of memory for a few kilobytes is not a condition a
// caller can repair, so these never return NULL: they print one line and exit with code 7 (SQLite's
// journal keeps the store whole). Anything whose size comes from a file or a user is allocated with
// mem_try, which returns NULL and lets the caller name the thing that was too large.
#pragma once
#include <stddef.h>

void *mem_new(size_t n_bytes);           // zeroed; n_bytes may be 0
void *mem_grow(void *p, size_t n_bytes); // realloc that never returns NULL
char *mem_str(const char *s);            // strdup
char *mem_strn(const char *s, size_t n); // strndup over n bytes, always NUL-terminated
void *mem_try(size_t n_bytes);           // zeroed, or NULL
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

// Tests make the n-th call of mem_try from now on fail (1 = the next one); 0 turns it off.
void mem_try_fail_at(unsigned n);
