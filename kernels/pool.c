// A loop is published as one 64-bit ticket: its number in the upper half, the items nobody has
// taken yet in the lower. Taking an item is a compare-and-swap that lowers the count by one; it can
// succeed only while the number is that of the loop whose function the worker has read, so a worker
// that overslept a loop can never run an item of it with the arguments of the next. Items are taken
// one by one rather than dealt out: on a machine that does other work as well, a worker that is not
// running holds nobody up, and its share is done by the others.
//
// Token generation is some hundred loops of a few microseconds each. Waking a sleeping thread costs
// about as much as such a loop, hence the spinning; a sleeper is woken only when there is one.
#include "kernels/pool.h"

#include "base/clock.h"
#include "base/mem.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    SPIN_US = 60,       // longer than the gaps inside a token, shorter than those between
    SPINS_PER_LOOK = 64 // pauses between two looks at the clock
};

struct worker {
    pool *pool;
    int index;
    pthread_t thread;
};

struct pool {
    _Alignas(64) atomic_uint_fast64_t ticket; // loop number << 32 | items left to take
    _Alignas(64) atomic_uint n_done;          // items of the loop that are finished
    _Alignas(64) _Atomic pool_fn fn;
    void *_Atomic arg;
    atomic_uint wake; // the loop number again: what sleepers wait on
    atomic_int n_asleep;
    atomic_bool stop;
    pthread_mutex_t caller; // one loop at a time
    struct worker *workers; // [n_thread - 1]
    int n_thread, n_started;
};

static void pause_cpu(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

static void take_items(pool *p, uint32_t loop, int worker)
{
    for (;;) {
        uint_fast64_t t = atomic_load(&p->ticket);
        if (t >> 32 != loop || (uint32_t)t == 0) return;
        pool_fn fn = atomic_load_explicit(&p->fn, memory_order_relaxed);
        void *arg = atomic_load_explicit(&p->arg, memory_order_relaxed);
        if (!atomic_compare_exchange_weak(&p->ticket, &t, t - 1)) continue;
        fn(arg, (int)((uint32_t)t - 1), worker);
        atomic_fetch_add_explicit(&p->n_done, 1, memory_order_release);
    }
}

// Returns the number of a loop other than `last`.
static uint32_t wait_for_loop(pool *p, uint32_t last)
{
    int64_t until = 0;
    for (unsigned i = 1;; i++) {
        uint32_t now = atomic_load_explicit(&p->wake, memory_order_acquire);
        if (now != last) return now;
        pause_cpu();
        if (i % SPINS_PER_LOOK) continue;
        if (!until) until = clock_us() + SPIN_US;
        if (clock_us() < until) continue;
        // The kernel compares again, so a loop published since the look above is not slept through.
        atomic_fetch_add(&p->n_asleep, 1);
        syscall(SYS_futex, &p->wake, FUTEX_WAIT_PRIVATE, last, NULL, NULL, 0);
        atomic_fetch_sub(&p->n_asleep, 1);
        until = 0;
    }
}

static void *work(void *arg)
{
    struct worker *w = arg;
    uint32_t loop = 0;
    for (;;) {
        loop = wait_for_loop(w->pool, loop);
        if (atomic_load(&w->pool->stop)) return NULL;
        take_items(w->pool, loop, w->index);
    }
}

static void publish(pool *p, uint32_t n_item)
{
    uint32_t loop = atomic_load(&p->wake) + 1;
    atomic_store(&p->ticket, (uint_fast64_t)loop << 32 | n_item);
    atomic_store(&p->wake, loop);
    if (atomic_load(&p->n_asleep))
        syscall(SYS_futex, &p->wake, FUTEX_WAKE_PRIVATE, p->n_thread, NULL, NULL, 0);
}

void pool_run(pool *p, int n_item, pool_fn fn, void *arg)
{
    if (n_item <= 0) return;
    pthread_mutex_lock(&p->caller);
    if (n_item == 1 || p->n_thread == 1) {
        for (int i = n_item - 1; i >= 0; i--) fn(arg, i, 0);
    } else {
        atomic_store_explicit(&p->fn, fn, memory_order_relaxed);
        atomic_store_explicit(&p->arg, arg, memory_order_relaxed);
        atomic_store(&p->n_done, 0);
        publish(p, (uint32_t)n_item);
        take_items(p, atomic_load(&p->wake), 0);
        for (unsigned i = 1;
             atomic_load_explicit(&p->n_done, memory_order_acquire) != (unsigned)n_item; i++) {
            pause_cpu();
            if (i % 4096 == 0) sched_yield(); // the worker we wait for may need this CPU
        }
    }
    pthread_mutex_unlock(&p->caller);
}

static int usable_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}

pool *pool_new(int n_thread, err *e)
{
    pool *p = aligned_alloc(64, (sizeof *p + 63) / 64 * 64);
    if (!p) {
        err_set(e, ERR_SYSTEM, "no memory for threads");
        return NULL;
    }
    *p = (pool){.n_thread = n_thread > 0 ? n_thread : usable_cpus()};
    pthread_mutex_init(&p->caller, NULL);
    p->workers = mem_new((size_t)p->n_thread * sizeof *p->workers);
    for (int i = 0; i < p->n_thread - 1; i++) {
        struct worker *w = &p->workers[i];
        *w = (struct worker){.pool = p, .index = i + 1};
        int failed = pthread_create(&w->thread, NULL, work, w);
        if (failed) {
            err_sys(e, failed, "thread %d of %d", i + 2, p->n_thread);
            pool_free(p);
            return NULL;
        }
        p->n_started++;
    }
    return p;
}

void pool_free(pool *p)
{
    if (!p) return;
    atomic_store(&p->stop, true);
    publish(p, 0);
    for (int i = 0; i < p->n_started; i++) pthread_join(p->workers[i].thread, NULL);
    pthread_mutex_destroy(&p->caller);
    free(p->workers);
    free(p);
}

int pool_size(const pool *p)
{
    return p->n_thread;
}
