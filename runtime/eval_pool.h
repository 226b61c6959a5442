// The processes that run a suite. Each worker is forked before anything large is open, opens its
// own sandbox and model, and takes one run after another; what it says of each comes back as one
// line of JSON. So runs go side by side, and one that crashes, hangs or eats its memory is one
// failed run: the worker is replaced and the suite goes on.
#pragma once
#include "bfcl.h"
#include "eval_task.h"

struct eval_run {
    size_t task;
    int number; // 1..repeat
    enum eval_mode mode;
    json_t *result; // owned; NULL: not run
    char *dir;      // owned; where its store and workspace are; NULL for function-calling entries
};

struct eval_pool {
    const struct command *command;
    const struct eval_suite *suite;
    struct eval_run *runs; // [n]
    size_t n;
    int jobs, timeout_s;     // timeout_s: of one run as a whole
    enum tool_choice choice; // of function-calling entries
    void (*on_result)(void *user, const struct eval_run *run);
    void *user;
    json_t *model; // out: {architecture, parameters, weights, kv_type, backend, digest, context};
                   // owned by the caller
};

// Runs all. 0, also when some failed; -1 and *e when no worker can run anything (a model that does
// not open), or ERR_CANCELLED: then the runs that were not finished have no result.
int eval_pool_run(struct eval_pool *p, err *e);
