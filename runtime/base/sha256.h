// SHA-256 (FIPS 180-4), for naming models and files by what they contain.
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef struct sha256 {
    uint32_t h[8];
    uint64_t n_bytes;
    unsigned char block[64];
} sha256;

sha256 sha256_start(void);
void sha256_add(sha256 *s, const void *bytes, size_t n);
void sha256_hex(sha256 *s, char out[65]); // finishes; `s` is used up
