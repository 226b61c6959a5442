// SHA-256 (FIPS 180-4): names of models, tools and facts.
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef struct sha256_state {
    uint32_t h[8];
    uint64_t n; // bytes taken in
    uint8_t block[64];
} sha256_state;

void sha256_init(sha256_state *s);
void sha256_add(sha256_state *s, const void *bytes, size_t n);
void sha256_end(sha256_state *s, uint8_t out[32]);

void sha256(const void *bytes, size_t n, uint8_t out[32]);
void sha256_hex(const uint8_t digest[32], char out[65]);
