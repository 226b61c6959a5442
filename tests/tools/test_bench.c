// If this fails, a tool call costs more than it may, or its cost grows with the memory of the
// caller (which would mean that the caller itself is forked). The bound is wide, since test
// machines are noisy; the figures are printed.
#include "test.h"

#include "sandbox/asan.h"
#include "tools/tool_bench.h"

static struct tool_bench bench(sandbox *box, int ballast_mb)
{
    err e;
    struct tool_bench b = {.n = 1000, .ballast_mb = ballast_mb};
    assert_int_equal(tool_bench_run(box, &b, &e), 0);
    print_message("%4d MB: p50 %lld us, p99 %lld us, max %lld us; first instruction p50 %lld us, "
                  "p99 %lld us; %.0f calls/s\n",
                  ballast_mb, (long long)b.p50_us, (long long)b.p99_us, (long long)b.max_us,
                  (long long)b.spawn_p50_us, (long long)b.spawn_p99_us, b.calls_per_s);
    return b;
}

static void a_call_is_quick_whatever_the_caller_weighs(void **state)
{
    (void)state;
    err e;
    struct sandbox_options o = {.box_path = HEARTH_BINARY_DIR "/hearth-box"};
    sandbox *box = sandbox_open(&o, &e);
    assert_non_null(box);
    struct tool_bench small = bench(box, 0), large = bench(box, 1024);
    sandbox_close(box);
    if (!UNDER_ASAN) assert_true(small.p50_us < 2000);
    assert_true(large.p50_us < small.p50_us * 2 + 500);
}

static void counts_are_checked(void **state)
{
    (void)state;
    err e;
    struct tool_bench b = {.n = 0};
    assert_int_equal(tool_bench_run(NULL, &b, &e), -1);
    assert_int_equal(e.code, ERR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_is_quick_whatever_the_caller_weighs),
        cmocka_unit_test(counts_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
