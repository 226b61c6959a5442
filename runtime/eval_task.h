// One task of `hearth eval`: a Lua file that says what there is (files, tools, facts, budgets),
// what the user says, and how to judge what came of it. Running one makes a fresh workspace and a
// fresh store in a folder of its own and lets a real agent work there. tests/model/README.md is the
// guide for those who write tasks; entries of function-calling files are in bfcl.h.
#pragma once
#include "app.h"

struct eval_task {
    char *id;     // path below the suite without .lua, or the id of a function-calling entry
    char *kind;   // what reports group by
    char *file;   // where it is written, for messages
    json_t *bfcl; // {question, function, truth}: a function-calling entry; NULL: a Lua task
};

struct eval_suite {
    struct eval_task *tasks; // [n], in order of id
    size_t n;
};

enum eval_mode {
    EVAL_MODEL,   // the model answers
    EVAL_REPLIES, // the replies in the task's own file are said: they must pass
    EVAL_SILENT   // every reply is empty: that must fail
};

// Finds the tasks below the paths (folders or single files) and reads each. Files and folders whose
// names begin with `_` hold what tasks share. -1 and *e (ERR_INPUT) at the first file that is no
// task: file, field, what was expected.
int eval_suite_find(struct app *app, const char *const *paths, size_t n_path,
                    struct eval_suite *suite, err *e);
// Keeps the tasks whose id or kind matches: a glob when it has one of *?[, else a part of the text.
void eval_suite_filter(struct eval_suite *suite, const char *pattern);
void eval_suite_add(struct eval_suite *suite, struct eval_task task); // moves what it owns
void eval_suite_sort(struct eval_suite *suite);
void eval_suite_free(struct eval_suite *suite);

// Runs it in the folder `dir` (made here; must not exist) and returns what came of it, never NULL:
//   {status: "passed" | "failed" (the check says no) | "error" | "cancelled", reason, seconds,
//    steps, calls, tokens_in, tokens_cached, tokens_out, answer}
// app: opened with APP_BOX | APP_ENGINE; its store is set here for the time of the run.
json_t *eval_task_run(struct app *app, const struct eval_task *task, enum eval_mode mode,
                      const char *dir);

// The result of a run that has nothing to count.
json_t *eval_result(const char *status, const char *reason);
