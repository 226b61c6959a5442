// If this fails, an item of a loop runs twice, never, or with the arguments of another loop: the
// errors that show up as one wrong token in a million.
#include "test.h"

#include "base/mem.h"
#include "base/rng.h"
#include "kernels/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

enum { ITEMS_MAX = 200 };

struct loop {
    int number, n_item, n_thread;
    atomic_int runs[ITEMS_MAX];
    atomic_int wrong;
};

static void count_item(void *arg, int item, int worker)
{
    struct loop *l = arg;
    if (item < 0 || item >= l->n_item || worker < 0 || worker >= l->n_thread)
        atomic_fetch_add(&l->wrong, 1);
    else
        atomic_fetch_add(&l->runs[item], 1);
}

static void run_loops(pool *p, int n_loop, uint64_t seed)
{
    rng r = rng_seed(seed);
    for (int i = 0; i < n_loop; i++) {
        struct loop l = {
            .number = i, .n_item = (int)rng_below(&r, ITEMS_MAX + 1), .n_thread = pool_size(p)};
        pool_run(p, l.n_item, count_item, &l);
        assert_int_equal(atomic_load(&l.wrong), 0);
        for (int k = 0; k < l.n_item; k++) assert_int_equal(atomic_load(&l.runs[k]), 1);
        if (rng_below(&r, 500) == 0) usleep(300); // long enough for the workers to fall asleep
    }
}

static void test_every_item_runs_once(void **state)
{
    (void)state;
    err e = {0};
    static const int sizes[] = {1, 2, 3, 8};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        pool *p = pool_new(sizes[i], &e);
        assert_non_null(p);
        assert_int_equal(pool_size(p), sizes[i]);
        run_loops(p, 4000, i);
        pool_free(p);
    }
}

static void *call_from_thread(void *arg)
{
    run_loops(arg, 1500, (uint64_t)(uintptr_t)pthread_self());
    return NULL;
}

static void test_callers_take_turns(void **state)
{
    (void)state;
    err e = {0};
    pthread_t callers[3];
    pool *p = pool_new(3, &e);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&callers[i], NULL, call_from_thread, p), 0);
    for (int i = 0; i < 3; i++) pthread_join(callers[i], NULL);
    pool_free(p);
}

static void test_idle_pool_uses_no_cpu(void **state)
{
    (void)state;
    err e = {0};
    pool *p = pool_new(4, &e);
    run_loops(p, 10, 1);
    clock_t before = clock();
    usleep(300000);
    double used = (double)(clock() - before) / CLOCKS_PER_SEC;
    pool_free(p);
    assert_true(used < 0.05);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_item_runs_once),
        cmocka_unit_test(test_callers_take_turns),
        cmocka_unit_test(test_idle_pool_uses_no_cpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
