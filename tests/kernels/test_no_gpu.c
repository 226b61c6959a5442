// If this fails, somebody whose GPU cannot be used is not told why, or not what to do. The driver
// is one that this test brings along (fake_driver.c, by LD_LIBRARY_PATH), so it needs no GPU. Each
// case is a process of its own, because a runtime that has met a driver stays with it.
#include "test.h"

#include "kernels/cuda_probe.h"
#include "kernels/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

// What opening the GPU says, and what doctor would.
static void ask(const char *version, const char *rc, char *opened, char *probed, size_t n)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        err e = {0};
        struct cuda_device devices[1];
        char text[2000] = {0};
        setenv("FAKE_DRIVER_VERSION", version, 1);
        setenv("FAKE_DRIVER_RC", rc, 1);
        if (cuda_probe(devices, 1, text + n, n) >= 0) snprintf(text + n, n, "none");
        if (!k_cuda.open(0, &e)) snprintf(text, n, "%.*s", (int)n - 1, e.msg);
        _exit(write(ends[1], text, 2 * n) != (ssize_t)(2 * n));
    }
    int status;
    close(ends[1]);
    assert_int_equal(read(ends[0], opened, n), n);
    assert_int_equal(read(ends[0], probed, n), n);
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void expect(const char *text, const char *part)
{
    if (!strstr(text, part)) fail_msg("expected \"%s\" in: %s", part, text);
}

static void test_drivers(void **state)
{
    (void)state;
    static const struct {
        const char *version, *rc, *part, *todo;
    } cases[] = {
        {"12040", "0", "supports CUDA 12.4, this build needs 13.0", "update the driver"},
        {"99000", "100", "no NVIDIA GPU", "CUDA_VISIBLE_DEVICES"},
        {"99000", "803", "different versions", "restart"},
        {"99000", "802", "a service", "nvidia-fabricmanager"},
        {"99000", "46", "another process", "wait for it"},
        {"99000", "999", "does not start", "nvidia-smi"},
        {"99000", "3", "does not start", "/dev/nvidia"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char opened[600], probed[600];
        ask(cases[i].version, cases[i].rc, opened, probed, sizeof opened);
        expect(opened, cases[i].part);
        expect(opened, cases[i].todo);
        expect(opened, "--backend cpu");
        if (!strcmp(cases[i].rc, "100")) {
            expect(probed, "none");
            continue;
        }
        expect(probed, cases[i].part);
        expect(probed, cases[i].todo);
    }
}

static void test_no_code(void **state)
{
    (void)state;
    char text[400];
    cuda_why_no_code("A GPU", 12, 0, text, sizeof text);
    expect(text, "A GPU is sm_120");
    expect(text, "-DHEARTH_CUDA_ARCHITECTURES=120a-real");
    cuda_why_no_code("An old GPU", 8, 6, text, sizeof text);
    expect(text, "sm_86");
    expect(text, "sm_90 or later");
}

// By the runtime's numbers.
static void test_failures_at_work(void **state)
{
    (void)state;
    static const struct {
        int rc;
        const char *todo;
    } cases[] = {{2, "smaller context"}, {700, "report it"},  {719, "report it"},
                 {702, "display"},       {214, "nvidia-smi"}, {209, "hearth doctor"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[400];
        cuda_why_failed(cases[i].rc, "a step", text, sizeof text);
        expect(text, "a step: ");
        expect(text, cases[i].todo);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drivers),
        cmocka_unit_test(test_no_code),
        cmocka_unit_test(test_failures_at_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
