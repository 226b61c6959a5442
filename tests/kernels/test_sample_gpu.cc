// If this fails, a GPU draws other tokens than a CPU, or its blocks do not wait for each other. The
// kernels' own code (kernels/cuda_sample.cu) runs on the CPU (emulated_gpu.h) and is compared,
// index for index, with the draw of the cpu instance, which test_kernels compares with the
// definition: few and many that are allowed, rows in which thousands are equal or all but equal, so
// that bins have to be divided again, settings at their ends, and one block to five.
#define HEARTH_EMULATED
#include "kernels/cuda_sample.cu"

#include <random>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

extern "C" {
#include <cmocka.h>
int32_t cpu_draw(const float *x, int n, const uint64_t *mask, const struct k_sampling *how,
                 uint64_t *room);
}

extern void (*emulated_call)(const void *kernel, void *argument);

bool cuda_check(k_device *, cudaError_t rc, const char *)
{
    return rc == cudaSuccess;
}

static k_device device;
static std::mt19937_64 engine(5);

static size_t pick(size_t low, size_t high)
{
    return std::uniform_int_distribution<size_t>(low, high)(engine);
}

static std::vector<float> logits(int kind, int n)
{
    static const float scales[] = {0.01f, 3, 30};
    std::vector<float> x((size_t)n);
    for (int i = 0; i < n; i++) {
        float v = std::normal_distribution<float>()(engine) * scales[kind % 3];
        switch (kind) {
        case 1: v = (float)pick(0, 3); break;
        case 2: v = pick(0, 3) ? v : NAN; break;
        case 3: v = pick(0, 3) ? -INFINITY : v; break;
        case 4: v = i % 2 ? -0.0f : 0.0f; break;
        case 5: v = 5 + (float)i * 0x1p-21f; break;
        case 6: v = (float)i * 0x1p-140f; break;
        case 7: v = -INFINITY; break;
        case 8: v = pick(0, (size_t)n) ? v : INFINITY; break;
        default: break;
        }
        x[(size_t)i] = v;
    }
    return x;
}
enum { KINDS = 12 };

static struct k_sampling settings(int n)
{
    static const float temperatures[] = {1, 0.6f, 0.05f, 1e-30f, 3, 1e30f},
                       top_p[] = {1, 0.9f, 0.5f, 0.999f, 1e-30f, 0}, min_p[] = {0, 0.05f, 1e-6f, 1};
    static const int top_k[] = {1, 2, 20, 1000, 1500};
    struct k_sampling how = {temperatures[pick(0, 5)], 1, 0, 0, engine()};
    if (pick(0, 1)) how.top_p = top_p[pick(0, 5)];
    if (pick(0, 2) == 0) how.min_p = min_p[pick(0, 3)];
    if (pick(0, 2) == 0) how.top_k = pick(0, 3) ? top_k[pick(0, 4)] : (int)pick(1, (size_t)n + 2);
    if (pick(0, 9) == 0) how.word = pick(0, 1) ? UINT64_MAX : 0;
    return how;
}

static void check(int kind, int n, size_t one_in, int n_draw)
{
    std::vector<float> x = logits(kind, n);
    std::vector<uint64_t> mask(((size_t)n + 63) / 64), room((size_t)n);
    for (int i = 0; i < n; i++)
        if (one_in && pick(1, one_in) == 1) mask[(size_t)i / 64] |= (uint64_t)1 << i % 64;
    const uint64_t *m = one_in == 1 ? nullptr : mask.data();
    device.n_sm = (int)pick(1, 5);
    for (int i = 0; i < n_draw; i++) {
        struct k_sampling how = settings(n);
        int32_t want = cpu_draw(x.data(), n, m, &how, room.data());
        int32_t got = cuda_sample(&device, x.data(), n, m, &how, room.data());
        if (got != want)
            fail_msg("kind %d of %d, one in %zu, %d blocks: %d, cpu %d (temperature %g, top-p %g, "
                     "min-p %g, top-k %d, word %llx)",
                     kind, n, one_in, device.n_sm, got, want, (double)how.temperature,
                     (double)how.top_p, (double)how.min_p, how.top_k, (unsigned long long)how.word);
    }
    struct k_sampling greedy = {0, 0, 0, 0, 0}, first = {1, 1, 0, 1, 0};
    assert_int_equal(cuda_sample(&device, x.data(), n, m, &greedy, room.data()),
                     cpu_draw(x.data(), n, m, &first, room.data()));
}

static void test_draws(void **)
{
    static const size_t rarity[] = {1, 2, 40, 900, 0};
    for (int kind = 0; kind < KINDS; kind++)
        for (size_t one_in : rarity) {
            check(kind, (int)pick(1, 200), one_in, 4);
            check(kind, (int)pick(1000, 3000), one_in, 4);
        }
}

static void test_bins_that_are_divided(void **)
{
    static const int kinds[] = {0, 1, 4, 5, 6, 9};
    for (int kind : kinds) check(kind, (int)pick(4000, 9000), 1, 10);
}

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draws),
        cmocka_unit_test(test_bins_that_are_divided),
    };
    emulated_call = [](const void *kernel, void *argument) {
        ((void (*)(struct sample_job))kernel)(*(const struct sample_job *)argument);
    };
    if (!cuda_sample_open(&device)) return 1;
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    cuda_sample_close(&device);
    return rc;
}
