// SHA-256 (FIPS 180-4): names a tool file by its content.
#pragma once
#include <stddef.h>
#include <stdint.h>

void sha256_hex(const void *bytes, size_t n, char out[65]);
