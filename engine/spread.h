// Measured values and how they spread. Percentiles are order statistics of all values, not of
// buckets of them.
#pragma once
#include <stddef.h>
#include <stdint.h>

struct samples {
    uint64_t *v; // owned
    size_t n, cap;
};

void samples_add(struct samples *s, uint64_t value);
void samples_add_all(struct samples *to, const struct samples *from);
void samples_free(struct samples *s);

struct spread {
    double avg, p50, p90, p99, p999, max; // all 0 of no values
};

// Sorts the values. Each is divided by `unit`: 1e3 makes microseconds of nanoseconds.
struct spread samples_spread(struct samples *s, double unit);
