// Time in microseconds. Monotonic for durations, wall for records.
#pragma once
#include <stdint.h>

int64_t clock_us(void);      // CLOCK_MONOTONIC
int64_t clock_wall_us(void); // since 1970-01-01 UTC
