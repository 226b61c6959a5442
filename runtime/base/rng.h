// A small seeded generator (SplitMix64, Steele, Lea and Flood 2014): sampling, tests, synthetic
// weights. Not for secrets.
#pragma once
#include <stdint.h>

typedef struct rng {
    uint64_t state;
} rng;

static inline rng rng_seed(uint64_t seed)
{
    return (rng){seed};
}
uint64_t rng_u64(rng *r);
uint64_t rng_below(rng *r, uint64_t n); // uniform in [0, n), n > 0
double rng_unit(rng *r);                // uniform in [0, 1), 53 bits
double rng_normal(rng *r);              // mean 0, variance 1 (Box and Muller)
