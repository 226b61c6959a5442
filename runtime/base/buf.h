// A growable run of bytes with a maximum it is born with. A write that would pass the maximum sets
// `full` and writes nothing more, so a caller may write freely and look once at the end. The bytes
// are always followed by a NUL that does not count.
#pragma once
#include <stdbool.h>
#include <stddef.h>

typedef struct buf {
    char *p;    // owned; NULL until the first write
    size_t n;   // bytes in use
    size_t cap; // bytes allocated
    size_t max; // most bytes ever held
    bool full;  // a write was refused
} buf;

buf buf_new(size_t max_bytes);
void buf_free(buf *b);
void buf_clear(buf *b);
void buf_put(buf *b, const void *bytes, size_t n);
void buf_str(buf *b, const char *s);
void buf_byte(buf *b, char c);
void buf_printf(buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *buf_take(buf *b);             // moves the bytes to the caller, who frees; never NULL
const char *buf_text(const buf *b); // the bytes as a C string; "" when empty
