// Threads that run the items of one loop. The caller is one of them. Between loops the others spin
// for some microseconds, then sleep in the kernel: a model that is not used costs nothing.
#pragma once
#include "base/err.h"

typedef struct pool pool;
typedef void (*pool_fn)(void *arg, int item, int worker); // worker in [0, pool_size)

pool *pool_new(int n_thread, err *e); // 0: one per CPU this process may use
void pool_free(pool *p);
int pool_size(const pool *p);

// Calls fn for every item in [0, n_item), highest first, and returns when all are done. Calls from
// several threads take turns.
void pool_run(pool *p, int n_item, pool_fn fn, void *arg);
