#include "base/buf.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

buf buf_new(size_t max_bytes)
{
    return (buf){.max = max_bytes};
}

void buf_free(buf *b)
{
    free(b->p);
    *b = (buf){.max = b->max};
}

void buf_clear(buf *b)
{
    b->n = 0;
    b->full = false;
    if (b->p) b->p[0] = 0;
}

// Makes room for n more bytes and the NUL; false when the maximum forbids it.
static bool room(buf *b, size_t n)
{
    if (b->full || n > b->max - b->n) {
        b->full = true;
        return false;
    }
    size_t need = b->n + n + 1;
    if (need > b->cap) {
        size_t cap = b->cap ? b->cap : 64;
        while (cap < need) cap *= 2;
        b->p = mem_grow(b->p, cap);
        b->cap = cap;
    }
    return true;
}

void buf_put(buf *b, const void *bytes, size_t n)
{
    if (!room(b, n)) return;
    if (n) memcpy(b->p + b->n, bytes, n);
    b->n += n;
    b->p[b->n] = 0;
}

void buf_str(buf *b, const char *s)
{
    buf_put(b, s, strlen(s));
}

void buf_byte(buf *b, char c)
{
    buf_put(b, &c, 1);
}

void buf_printf(buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n >= 0 && room(b, (size_t)n)) {
        vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
}

char *buf_take(buf *b)
{
    char *p = b->p ? b->p : mem_new(1);
    *b = (buf){.max = b->max};
    return p;
}

const char *buf_text(const buf *b)
{
    return b->p ? b->p : "";
}
