// How long a tool call takes on this machine, for `hearth bench tool`.
#pragma once
#include "base/err.h"
#include "sandbox/sandbox.h"
#include <stdint.h>

struct tool_bench {
    int n;          // calls measured, 1 to 1,000,000
    int ballast_mb; // dirty memory held by this process meanwhile: the time must not depend on it
    // Results.
    int64_t p50_us, p99_us, max_us;     // request to answer
    int64_t spawn_p50_us, spawn_p99_us; // request to the child's first Lua instruction
    double calls_per_s;
};

// Runs n calls of a tool that returns at once, one after another.
int tool_bench_run(sandbox *box, struct tool_bench *b, err *e);
