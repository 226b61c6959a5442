#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned try_fail_at;

static void *checked(void *p, size_t n_bytes)
{
    if (!p) {
        fprintf(stderr, "hearth: out of memory (%zu bytes)\n", n_bytes);
        _Exit(7);
    }
    return p;
}

void *mem_new(size_t n_bytes)
{
    return checked(calloc(1, n_bytes ? n_bytes : 1), n_bytes);
}

void *mem_grow(void *p, size_t n_bytes)
{
    return checked(realloc(p, n_bytes ? n_bytes : 1), n_bytes);
}

char *mem_strn(const char *s, size_t n)
{
    char *copy = mem_new(n + 1);
    memcpy(copy, s, n);
    return copy;
}

char *mem_str(const char *s)
{
    return mem_strn(s, strlen(s));
}

void *mem_try(size_t n_bytes)
{
    if (try_fail_at && --try_fail_at == 0) return NULL;
    return calloc(1, n_bytes ? n_bytes : 1);
}

void mem_try_fail_at(unsigned n)
{
    try_fail_at = n;
}

char *mem_printf(const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *text = mem_new((size_t)(n < 0 ? 0 : n) + 1);
    if (n >= 0) vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    return text;
}
