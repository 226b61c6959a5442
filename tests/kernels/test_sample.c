// If this fails, tokens are drawn from another distribution than the settings say. It is about the
// definition (ref and the arithmetic of kernels/sample.h), which every other instance is compared
// with, index for index, in test_kernels.
#include "test.h"

#include "base/mem.h"
#include "base/rng.h"
#include "kernels/kernels.h"
#include "kernels/sample.h"

#include <math.h>

enum { N = 70 };

static k_device *device;

static int32_t draw(const float *x, int n, const uint64_t *mask, struct k_sampling how)
{
    uint64_t room[N];
    return k_ref.sample(device, x, n, mask, &how, room);
}

// Weights, to 1e-8 of themselves or one unit.
static void test_weights(void **state)
{
    (void)state;
    rng r = rng_seed(3);
    for (int i = 0; i < 200000; i++) {
        float distance = (float)(rng_unit(&r) * (i % 2 ? 33 : 1e-3));
        double want = exp(-(double)distance) * 0x1p42;
        double got = (double)sample_weight(sample_steps(distance));
        if (fabs(got - want) > want * 1e-8 + 1)
            fail_msg("distance %.9g: weight %.0f, expected %.3f", (double)distance, got, want);
    }
    assert_true(sample_weight(0) < (uint64_t)1 << 42);
    assert_true(sample_weight(sample_steps(INFINITY)) == 0);
    assert_true(sample_weight(sample_steps(NAN)) == 0);
}

// Keys are in drawing order, and logits come back from them.
static void test_keys(void **state)
{
    (void)state;
    static const float falling[] = {INFINITY, 3e38f, 1, 0x1p-149f, 0, -0x1p-149f, -1, -INFINITY};
    for (size_t i = 0; i < sizeof falling / sizeof *falling; i++) {
        uint64_t key = sample_key(falling[i], 7);
        assert_true((uint32_t)key == 7 && sample_logit(key) == falling[i]);
        assert_true(key < sample_key(falling[i], 8));
        if (i) assert_true(key > sample_key(falling[i - 1], UINT32_MAX));
    }
    assert_true(sample_key(-0.0f, 1) == sample_key(0.0f, 1));
    assert_true(sample_key(NAN, 1) == sample_key(-INFINITY, 1));
    assert_true(sample_key(-NAN, 1) == sample_key(-INFINITY, 1));
}

static void test_masks_and_what_is_no_number(void **state)
{
    (void)state;
    float x[N] = {0};
    uint64_t mask[2] = {0};
    const struct k_sampling greedy = {0}, wrong = {.temperature = NAN};
    struct k_sampling warm = {.temperature = 1, .top_p = 1};
    rng r = rng_seed(1);
    x[5] = x[9] = x[66] = 3;
    assert_int_equal(draw(x, N, NULL, greedy), 5);
    assert_int_equal(draw(x, N, NULL, wrong), 5);
    mask[0] = ~((uint64_t)1 << 5);
    assert_int_equal(draw(x, N, mask, greedy), 9);
    mask[0] = 0;
    assert_int_equal(draw(x, N, mask, greedy), -1);
    assert_int_equal(draw(x, N, mask, warm), -1);
    mask[1] = 6; // 65 and 66
    assert_int_equal(draw(x, N, mask, greedy), 66);
    assert_int_equal(draw(x, 66, mask, greedy), 65); // 66 is not there
    x[65] = NAN;
    assert_int_equal(draw(x, N, mask, greedy), 66);
    for (int i = 0; i < 200; i++) {
        warm.word = rng_u64(&r);
        assert_int_equal(draw(x, N, mask, warm), 66);
    }
    x[66] = -INFINITY;
    assert_int_equal(draw(x, N, mask, greedy), 65);
    assert_int_equal(draw(x, N, mask, warm), 65);
    x[66] = INFINITY;
    assert_int_equal(draw(x, N, mask, warm), 66);
}

// What is kept, found by the lowest and the highest word.
static void check_kept(const float *x, struct k_sampling how, int first, int last)
{
    how.word = 0;
    assert_int_equal(draw(x, N, NULL, how), first);
    how.word = UINT64_MAX;
    assert_int_equal(draw(x, N, NULL, how), last);
}

static void test_extremes(void **state)
{
    (void)state;
    float x[N], flat[N] = {0};
    for (int i = 0; i < N; i++) x[i] = (float)((i * 37 + 11) % N) / 10; // 0 .. 6.9, all different
    int order[N];
    for (int i = 0; i < N; i++) order[N - 1 - (i * 37 + 11) % N] = i;
    int top = order[0], low = order[N - 1];
    check_kept(x, (struct k_sampling){.temperature = 1, .top_p = 1}, top, low);
    check_kept(x, (struct k_sampling){.temperature = 1}, top, low);
    check_kept(x, (struct k_sampling){.temperature = 1e-30f, .top_p = 1}, top, top);
    check_kept(x, (struct k_sampling){.temperature = 0x1p-149f, .top_p = 1}, top, top);
    check_kept(x, (struct k_sampling){.temperature = 3e38f, .top_p = 1}, top, low);
    check_kept(x, (struct k_sampling){.temperature = INFINITY, .top_p = 1}, top, low);
    check_kept(x, (struct k_sampling){.temperature = 1, .top_p = 1e-40f}, top, top);
    check_kept(x, (struct k_sampling){.temperature = 1, .top_p = 0.9999999f}, top, low);
    check_kept(x, (struct k_sampling){.temperature = 1, .min_p = 1}, top, top);
    check_kept(x, (struct k_sampling){.temperature = 1, .min_p = 5}, top, top);
    check_kept(x, (struct k_sampling){.temperature = 1, .min_p = 0.6f}, top, order[5]); // e^-0.5
    check_kept(x, (struct k_sampling){.temperature = 1, .top_k = 1}, top, top);
    check_kept(x, (struct k_sampling){.temperature = 1, .top_k = 9}, top, order[8]);
    check_kept(x, (struct k_sampling){.temperature = 1, .top_k = N}, top, low);
    check_kept(x, (struct k_sampling){.temperature = 1, .top_k = INT32_MAX}, top, low);
    // A third of seventy equals is twenty-four of them; ten equals of half of ten are five.
    check_kept(flat, (struct k_sampling){.temperature = 1, .top_p = 1 / 3.0f}, 0, 23);
    check_kept(flat, (struct k_sampling){.temperature = 1, .top_k = 10, .top_p = 0.5f}, 0, 4);
    check_kept(flat, (struct k_sampling){.temperature = 1, .min_p = 1}, 0, N - 1);
}

struct weight {
    double p;
    int id;
};

static int larger_first(const void *a, const void *b)
{
    const struct weight *x = a, *y = b;
    if (x->p != y->p) return x->p > y->p ? -1 : 1;
    return x->id - y->id;
}

// The distribution by its definition: sort, cut, renormalise.
static void define(const float *logits, const uint64_t *mask, const struct k_sampling *o, double *p)
{
    struct weight w[N];
    int n = 0;
    for (int i = 0; i < N; i++) {
        p[i] = 0;
        if (mask[i / 64] >> i % 64 & 1)
            w[n++] = (struct weight){exp((double)logits[i] / (double)o->temperature), i};
    }
    qsort(w, (size_t)n, sizeof *w, larger_first);
    if (o->top_k > 0 && o->top_k < n) n = o->top_k;
    double mass = 0, kept = 0, total = 0;
    int n_kept = 0;
    for (int i = 0; i < n; i++) mass += w[i].p;
    while (n_kept < n && (o->top_p <= 0 || o->top_p >= 1 || kept < (double)o->top_p * mass))
        kept += w[n_kept++].p;
    for (int i = 0; i < n_kept; i++)
        if (w[i].p >= (double)o->min_p * w[0].p) total += p[w[i].id] = w[i].p;
    for (int i = 0; i < N; i++) p[i] /= total;
}

// 20,000 draws for each of many option sets: nothing outside the set, and every count within
// five standard deviations and five draws (the tail of rare tokens is not a normal one).
static void test_draws_follow_the_distribution(void **state)
{
    (void)state;
    static const struct k_sampling sets[] = {
        {.temperature = 1, .top_p = 1},
        {.temperature = 0.3f, .top_p = 1},
        {.temperature = 2, .top_p = 0.5f},
        {.temperature = 1, .top_p = 1, .top_k = 1},
        {.temperature = 1, .top_p = 1, .top_k = 7},
        {.temperature = 1, .top_p = 0.9f, .top_k = 30},
        {.temperature = 1.5f, .top_p = 1, .min_p = 0.1f},
        {.temperature = 1, .top_p = 0.8f, .top_k = 20, .min_p = 0.05f},
        {.temperature = 1, .top_p = 0.0001f},
    };
    enum { DRAWS = 20000 };
    float logits[N];
    double p[N];
    rng r = rng_seed(9);
    for (size_t k = 0; k < sizeof sets / sizeof *sets; k++) {
        int count[N] = {0};
        uint64_t mask[2] = {rng_u64(&r) | 1, rng_u64(&r)};
        for (int i = 0; i < N; i++) logits[i] = (float)(2 * rng_normal(&r));
        define(logits, mask, &sets[k], p);
        for (int i = 0; i < DRAWS; i++) {
            struct k_sampling how = sets[k];
            how.word = rng_u64(&r);
            count[draw(logits, N, mask, how)]++;
        }
        for (int i = 0; i < N; i++) {
            double deviation = sqrt(DRAWS * p[i] * (1 - p[i]));
            if (fabs(count[i] - DRAWS * p[i]) > 5 * deviation + 5 || (p[i] == 0 && count[i]))
                fail_msg("set %zu, token %d: %d draws, expected %.1f", k, i, count[i],
                         DRAWS * p[i]);
        }
    }
}

// Every word of a grid: a share of them that is its probability falls on each index, to one.
static void test_words_are_shared_out(void **state)
{
    (void)state;
    enum { WORDS = 5000 };
    float x[N];
    double p[N];
    uint64_t mask[2] = {0x5555555555555555u, 0x15};
    int count[N] = {0};
    struct k_sampling how = {.temperature = 0.7f, .top_p = 0.95f};
    rng r = rng_seed(4);
    for (int i = 0; i < N; i++) x[i] = (float)rng_normal(&r);
    define(x, mask, &how, p);
    for (int i = 0; i < WORDS; i++) {
        how.word = (uint64_t)i * (UINT64_MAX / WORDS);
        count[draw(x, N, mask, how)]++;
    }
    for (int i = 0; i < N; i++) assert_true(fabs(count[i] - WORDS * p[i]) <= 1.01);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_masks_and_what_is_no_number),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_draws_follow_the_distribution),
        cmocka_unit_test(test_words_are_shared_out),
    };
    err e = {0};
    device = k_ref.open(0, &e);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    k_ref.close(device);
    return rc;
}
