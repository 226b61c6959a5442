#include "tools/tool_bench.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { WARM_CALLS = 20, CALLS_MAX = 1000000 };

static int time_order(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// One call; its two times.
static int call_once(sandbox *box, int64_t *wall_us, int64_t *spawn_us, err *e)
{
    static const char source[] = "return {run = function() return 1 end}";
    struct box_request q = {
        .source = source, .source_len = sizeof source - 1, .chunk_name = "bench", .entry = "run"};
    struct box_result r;
    if (sandbox_run(box, &q, &r, e) < 0) return -1;
    int rc = r.status == BOX_OK ? 0 : err_set(e, ERR_FAILED, "bench: %s", r.text);
    *wall_us = r.wall_us;
    *spawn_us = r.spawn_us;
    box_result_free(&r);
    return rc;
}

static int measure(sandbox *box, struct tool_bench *b, int64_t *wall, int64_t *spawn, err *e)
{
    int64_t ignored;
    for (int i = 0; i < WARM_CALLS; i++)
        if (call_once(box, &ignored, &ignored, e) < 0) return -1;
    int64_t begin = clock_us();
    for (int i = 0; i < b->n; i++)
        if (call_once(box, &wall[i], &spawn[i], e) < 0) return -1;
    b->calls_per_s = b->n * 1e6 / (double)(clock_us() - begin);
    return 0;
}

int tool_bench_run(sandbox *box, struct tool_bench *b, err *e)
{
    if (b->n < 1 || b->n > CALLS_MAX)
        return err_set(e, ERR_USAGE, "bench tool: %d calls, expected 1 to %d", b->n, CALLS_MAX);
    if (b->ballast_mb < 0)
        return err_set(e, ERR_USAGE, "bench tool: ballast of %d MB", b->ballast_mb);
    size_t n = (size_t)b->n, ballast_bytes = (size_t)b->ballast_mb << 20;
    char *ballast = ballast_bytes ? malloc(ballast_bytes) : NULL;
    if (ballast_bytes && !ballast)
        return err_set(e, ERR_SYSTEM, "bench tool: no memory for %d MB", b->ballast_mb);
    if (ballast) memset(ballast, 1, ballast_bytes);
    int64_t *wall = mem_new(n * sizeof *wall), *spawn = mem_new(n * sizeof *spawn);
    int rc = measure(box, b, wall, spawn, e);
    if (rc == 0) {
        qsort(wall, n, sizeof *wall, time_order);
        qsort(spawn, n, sizeof *spawn, time_order);
        b->p50_us = wall[n / 2];
        b->p99_us = wall[n * 99 / 100];
        b->max_us = wall[n - 1];
        b->spawn_p50_us = spawn[n / 2];
        b->spawn_p99_us = spawn[n * 99 / 100];
    }
    free(wall);
    free(spawn);
    free(ballast);
    return rc;
}
