// UTF-8 as RFC 3629 defines it: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Decodes the code point at s[0..n). Returns its length in bytes (1 to 4) and sets *cp, or 0 when
// the bytes are not valid or not complete.
int utf8_decode(const char *s, size_t n, uint32_t *cp);

// Writes cp as UTF-8 into out (4 bytes of room; not named _encode: a static Jansson has that);
// returns the length, or 0 when cp is not a scalar value.
int utf8_put(uint32_t cp, char out[4]);

// Length of the longest valid prefix; == n when all of it is valid.
size_t utf8_valid_prefix(const char *s, size_t n);

// Bytes at the end of s that are the beginning of an incomplete but so far valid sequence (0 to 3).
size_t utf8_incomplete_tail(const char *s, size_t n);
