// What a suite's runs come to: the report as JSON, as a table, as JUnit's XML; and two reports held
// against each other.
#pragma once
#include "eval_pool.h"
#include <stdio.h>

// New: {hearth, model, options, total: RATE, not_run, tokens_out, seconds, kinds: {KIND: RATE},
// tasks: [{id, kind, file?, passed, runs: [result...]}]} with RATE {tasks, passed, rate, interval}
// and results as eval_task_run makes them, `dir` added where the run's folder is kept. `rate` is
// the mean over tasks of the share of a task's runs that passed; `interval` its 95 % Wilson
// interval with a task as the unit, since runs of one task are not independent.
json_t *eval_report(const struct eval_pool *p, double seconds);

void eval_report_print(const json_t *report, FILE *f);

// The report in the XML that build servers read. NULL with *e when it is too large.
char *eval_report_junit(const json_t *report, err *e);

// {before: RATE, after: RATE, p, same, better: [{id, before, after}], worse: [...], only_before:
// [id], only_after: [id]}, all but the last two over the tasks that stand in both reports. p:
// two-sided exact sign test over the tasks that changed (McNemar's exact test when each task ran
// once). NULL and *e (ERR_INPUT) when a file is no report.
json_t *eval_compare(const json_t *before, const char *before_name, const json_t *after,
                     const char *after_name, err *e);
void eval_compare_print(const json_t *c, FILE *f);

// Wilson's score interval for k of n at 95 %: low and high. k need not be whole.
void eval_wilson(double k, double n, double *low, double *high);
// Two-sided exact binomial test of a split a : b against 1 : 1.
double eval_sign_test(int a, int b);
