// hearth eval: how often does an agent do what it was asked? Tasks are run by workers (eval_pool.h)
// and summed up (eval_report.h).
#include "app.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "eval_report.h"
#include "verbs.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REPORT_FILE_MAX = 256 << 20, BAR = 24 };

struct evaluation {
    struct app app; // paths only: workers open the rest
    struct command *c;
    struct eval_suite suite;
    struct eval_pool pool;
    char *keep;    // the folder of all runs' folders; NULL when nothing is kept in one
    bool keep_all; // else only what did not pass
    size_t n_done, n_passed;
    bool bar;
    int64_t start_us;
};

// ---- progress ----

static bool is_passed(const json_t *result)
{
    const char *status = json_string_value(json_object_get(result, "status"));
    return status && strcmp(status, "passed") == 0;
}

static void draw(const struct evaluation *ev)
{
    if (!ev->bar) return;
    size_t n = ev->pool.n, full = n ? ev->n_done * BAR / n : BAR;
    double spent = (double)(clock_us() - ev->start_us) / 1e6;
    fprintf(stderr, "\r\033[K[");
    for (size_t i = 0; i < BAR; i++) fputc(i < full ? '#' : '.', stderr);
    fprintf(stderr, "] %zu/%zu  %zu passed", ev->n_done, n, ev->n_passed);
    if (ev->n_done && ev->n_done < n)
        fprintf(stderr, "  %.0f s left", spent / (double)ev->n_done * (double)(n - ev->n_done));
    fflush(stderr);
}

static void on_result(void *user, const struct eval_run *run)
{
    struct evaluation *ev = user;
    ev->n_done++;
    ev->n_passed += is_passed(run->result);
    if (run->dir && (ev->keep_all || !is_passed(run->result)))
        json_object_set_new(run->result, "dir", json_string(run->dir));
    else if (run->dir)
        file_remove_tree(run->dir);
    draw(ev);
}

// ---- what to run ----

static int count_option(const struct command *c, const char *name, int least, int most, int *n,
                        err *e)
{
    long long given = cli_int(c, name);
    if (given < least || given > most)
        return err_set(e, ERR_USAGE, "--%s: expected %d to %d, found %lld", name, least, most,
                       given);
    *n = (int)given;
    return 0;
}

static bool is_empty(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *entry;
    bool empty = d != NULL;
    while (d && (entry = readdir(d)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) empty = false;
    if (d) closedir(d);
    return empty;
}

// The folder for the runs: the one asked for, or a fresh one for what fails.
static int open_keep(struct evaluation *ev, err *e)
{
    const char *given = cli_text(ev->c, "keep"), *tmp = getenv("TMPDIR");
    ev->keep_all = given != NULL;
    if (given) {
        if (file_exists(given) && !is_empty(given))
            return err_set(e, ERR_USAGE, "--keep: %s: expected a new or empty folder", given);
        ev->keep = mem_str(given);
        return file_mkdirs(given, e);
    }
    char *dir = mem_printf("%s/hearth-eval-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(dir)) {
        err_sys(e, errno, "%s", dir);
        free(dir);
        return -1;
    }
    ev->keep = dir;
    return 0;
}

static char *run_dir(const struct evaluation *ev, const struct eval_task *t, int number, int repeat)
{
    char *dir =
        repeat > 1 ? mem_printf("%s/%s.%d", ev->keep, t->id, number) : path_join(ev->keep, t->id);
    for (char *p = dir + strlen(ev->keep) + 1; *p; p++)
        if (*p == '/') *p = '.';
    return dir;
}

static void add_run(struct evaluation *ev, size_t task, int number, int repeat, enum eval_mode mode)
{
    struct eval_pool *p = &ev->pool;
    const struct eval_task *t = &ev->suite.tasks[task];
    p->runs = mem_grow(p->runs, (p->n + 1) * sizeof *p->runs);
    p->runs[p->n++] = (struct eval_run){.task = task,
                                        .number = number,
                                        .mode = mode,
                                        .dir = t->bfcl ? NULL : run_dir(ev, t, number, repeat)};
}

static int find_tasks(struct evaluation *ev, err *e)
{
    struct command *c = ev->c;
    const char *filter = cli_text(c, "filter");
    if (cli_flag(c, "bfcl") && c->n_arg > 2)
        return err_set(e, ERR_USAGE, "--bfcl: expected QUESTIONS [ANSWERS], found %d files",
                       c->n_arg);
    int rc = cli_flag(c, "bfcl")
                 ? bfcl_read(c->args[0], c->n_arg > 1 ? c->args[1] : NULL, &ev->suite, e)
                 : eval_suite_find(&ev->app, c->args, (size_t)c->n_arg, &ev->suite, e);
    if (rc) return -1;
    if (filter) eval_suite_filter(&ev->suite, filter);
    if (ev->suite.n == 0)
        return err_set(e, ERR_USAGE, "--filter: no task's name or kind matches `%s`", filter);
    return 0;
}

static int prepare(struct evaluation *ev, err *e)
{
    struct eval_pool *p = &ev->pool;
    *p = (struct eval_pool){
        .command = ev->c, .suite = &ev->suite, .on_result = on_result, .user = ev};
    const char *choice = cli_text(ev->c, "tool-choice");
    if (strcmp(choice, "auto") != 0 && strcmp(choice, "required") != 0)
        return err_set(e, ERR_USAGE, "--tool-choice: expected auto or required, found `%s`",
                       choice);
    p->choice = strcmp(choice, "auto") == 0 ? CHOICE_AUTO : CHOICE_REQUIRED;
    if (count_option(ev->c, "jobs", 1, 256, &p->jobs, e) ||
        count_option(ev->c, "timeout", 0, 1 << 20, &p->timeout_s, e))
        return -1;
    return app_open(&ev->app, ev->c, 0, e) || find_tasks(ev, e) || open_keep(ev, e) ? -1 : 0;
}

static int run_all(struct evaluation *ev, err *e)
{
    if ((size_t)ev->pool.jobs > ev->pool.n) ev->pool.jobs = (int)ev->pool.n;
    ev->start_us = clock_us();
    ev->bar = isatty(STDERR_FILENO);
    draw(ev);
    int rc = eval_pool_run(&ev->pool, e);
    if (ev->bar) fprintf(stderr, "\r\033[K");
    return rc;
}

static void evaluation_close(struct evaluation *ev)
{
    for (size_t i = 0; i < ev->pool.n; i++) {
        struct eval_run *r = &ev->pool.runs[i];
        // Of a run that was stopped nothing is told, so nothing is left.
        if (r->dir && !r->result && !ev->keep_all) file_remove_tree(r->dir);
        json_decref(r->result);
        free(r->dir);
    }
    free(ev->pool.runs);
    json_decref(ev->pool.model);
    if (ev->keep && !ev->keep_all) rmdir(ev->keep); // stays when it holds something
    free(ev->keep);
    eval_suite_free(&ev->suite);
    app_close(&ev->app);
}

// ---- evaluating ----

static int write_junit(const json_t *report, const char *path, err *e)
{
    char *xml = eval_report_junit(report, e);
    int rc = xml ? file_replace(path, xml, strlen(xml), e) : -1;
    free(xml);
    return rc;
}

static int tell(struct evaluation *ev, bool partial, err *e)
{
    double least = cli_number(ev->c, "min-rate");
    const char *junit = cli_text(ev->c, "junit");
    json_t *report = eval_report(&ev->pool, (double)(clock_us() - ev->start_us) / 1e6);
    if (ev->c->json) {
        json_dumpf(report, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
        putchar('\n');
    } else {
        eval_report_print(report, stdout);
    }
    const json_t *total = json_object_get(report, "total");
    double rate = json_number_value(json_object_get(total, "rate"));
    int rc = junit ? write_junit(report, junit, e) : 0;
    if (rc == 0 && !partial && rate < least)
        rc = err_set(e, ERR_FAILED,
                     "%.4g of %lld tasks passed (%.1f %%; at least %.1f %% asked for)",
                     json_number_value(json_object_get(total, "passed")),
                     (long long)json_integer_value(json_object_get(total, "tasks")), 100 * rate,
                     100 * least);
    json_decref(report);
    return rc;
}

static int evaluate(struct command *c, err *e)
{
    struct evaluation ev = {.c = c};
    int repeat = 1;
    double least = cli_number(c, "min-rate");
    if (least < 0 || least > 1)
        return err_set(e, ERR_USAGE, "--min-rate: expected 0 to 1, found %g", least);
    if (count_option(c, "repeat", 1, 10000, &repeat, e)) return -1;
    int rc = prepare(&ev, e);
    if (rc == 0) {
        for (int k = 1; k <= repeat; k++)
            for (size_t i = 0; i < ev.suite.n; i++) add_run(&ev, i, k, repeat, EVAL_MODEL);
        rc = run_all(&ev, e);
        err later = {0};
        if (rc == 0)
            rc = tell(&ev, false, e);
        else if (e->code == ERR_CANCELLED || ev.n_done) // what was run is worth telling
            tell(&ev, true, &later);
    }
    evaluation_close(&ev);
    return rc;
}

// ---- checking a suite ----

// One line for each task that is not as it must be; returns their number.
static size_t check_runs(const struct evaluation *ev, json_t *list)
{
    size_t n_bad = 0;
    for (size_t i = 0; i < ev->pool.n; i++) {
        const struct eval_run *r = &ev->pool.runs[i];
        if (!r->result) continue;
        const char *status = json_string_value(json_object_get(r->result, "status")),
                   *reason = json_string_value(json_object_get(r->result, "reason")), *what;
        // An agent that cannot even be silent (an answer under a schema) fails as it must.
        bool judged = strncmp(reason, "the check", 9) != 0;
        if (r->mode == EVAL_SILENT &&
            (strcmp(status, "failed") == 0 || (strcmp(status, "error") == 0 && judged)))
            continue;
        if (r->mode == EVAL_REPLIES && strcmp(status, "passed") == 0) continue;
        n_bad++;
        if (r->mode == EVAL_REPLIES)
            what = "its own replies do not pass";
        else if (strcmp(status, "passed") == 0)
            what = "the check passes an agent that says and does nothing";
        else
            what = "the check cannot judge an agent that says and does nothing";
        const struct eval_task *t = &ev->suite.tasks[r->task];
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s, s:s, s:s}", "id", t->id, "file", t->file,
                                        "what", what, "status", status, "reason", reason));
        if (ev->c->json) continue;
        printf("%s: %s%s", t->file, what, *reason ? ": " : "");
        screen_text(stdout, reason, strlen(reason));
        putchar('\n');
    }
    return n_bad;
}

static int check(struct command *c, err *e)
{
    struct evaluation ev = {.c = c};
    if (cli_flag(c, "bfcl")) {
        int read = prepare(&ev, e);
        if (read == 0) printf("%zu questions\n", ev.suite.n);
        evaluation_close(&ev);
        return read;
    }
    int rc = prepare(&ev, e);
    if (rc == 0) {
        for (size_t i = 0; i < ev.suite.n; i++) {
            add_run(&ev, i, 1, 2, EVAL_SILENT);
            add_run(&ev, i, 2, 2, EVAL_REPLIES);
        }
        rc = run_all(&ev, e);
    }
    if (rc == 0) {
        json_t *list = json_array();
        size_t n_bad = check_runs(&ev, list);
        if (c->json) {
            json_t *o = json_pack("{s:I, s:O}", "tasks", (json_int_t)ev.suite.n, "wrong", list);
            json_dumpf(o, stdout, JSON_INDENT(1));
            putchar('\n');
            json_decref(o);
        } else {
            printf("%zu task%s, %zu wrong\n", ev.suite.n, ev.suite.n == 1 ? "" : "s", n_bad);
        }
        json_decref(list);
        if (n_bad)
            rc = err_set(e, ERR_INPUT, "%zu of %zu tasks are not what they must be", n_bad,
                         ev.suite.n);
    }
    evaluation_close(&ev);
    return rc;
}

// ---- comparing two reports ----

static json_t *read_report(const char *path, err *e)
{
    size_t n;
    json_error_t bad;
    char *text = file_read(path, REPORT_FILE_MAX, &n, e);
    if (!text) return NULL;
    json_t *v = json_loadb(text, n, JSON_REJECT_DUPLICATES, &bad);
    if (!v) err_set(e, ERR_INPUT, "%s: line %d: %s", path, bad.line, bad.text);
    free(text);
    return v;
}

static int compare(struct command *c, err *e)
{
    if (c->n_arg != 2)
        return err_set(e, ERR_USAGE, "--compare: expected two reports, found %d files", c->n_arg);
    json_t *before = read_report(c->args[0], e),
           *after = before ? read_report(c->args[1], e) : NULL;
    json_t *found = after ? eval_compare(before, c->args[0], after, c->args[1], e) : NULL;
    if (found && c->json) {
        json_dumpf(found, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
        putchar('\n');
    } else if (found) {
        eval_compare_print(found, stdout);
    }
    int rc = found ? 0 : -1;
    json_decref(before);
    json_decref(after);
    json_decref(found);
    return rc;
}

static int eval(struct command *c, err *e)
{
    if (cli_flag(c, "compare")) return compare(c, e);
    return cli_flag(c, "check") ? check(c, e) : evaluate(c, e);
}

static const struct option_row eval_options[] = {
    {"repeat", OPTION_INT, "N", "runs of each task, each with the next seed", "1"},
    {"jobs", OPTION_INT, "N", "runs side by side, each in a process with the model open", "1"},
    {"filter", OPTION_TEXT, "PATTERN",
     "only tasks whose name or kind matches (a glob, or a part of it)", NULL},
    {"timeout", OPTION_INT, "N", "most seconds of one run, all turns and the check; 0: any", "600"},
    {"min-rate", OPTION_NUMBER, "X", "exit with 0 when at least this share passed, 0 to 1", "1"},
    {"keep", OPTION_TEXT, "DIR",
     "a new folder for every run's store and workspace (without: those that failed, in a fresh "
     "one)",
     NULL},
    {"junit", OPTION_TEXT, "FILE", "also write the report as JUnit XML", NULL},
    {"check", OPTION_FLAG, NULL,
     "run no model: is each task well-formed, does silence fail it, do its own replies pass?",
     NULL},
    {"compare", OPTION_FLAG, NULL, "the arguments are two reports (--json): what changed", NULL},
    {"bfcl", OPTION_FLAG, NULL,
     "the arguments are QUESTIONS [ANSWERS], function-calling files as the Berkeley leaderboard "
     "has them",
     NULL},
    {"tool-choice", OPTION_TEXT, "MODE", "of --bfcl: auto, or required: it must call", "auto"},
    {0},
};

const struct verb verb_eval = {
    .name = "eval",
    .arguments = "SUITE...",
    .help = "run tasks and judge what came of them",
    .more = "A suite is a folder of tasks, or one task: a Lua file with files, turns, tools, "
            "budgets and\n"
            "a check of the outcome (tests/model/README.md tells how to write one). Each runs in a "
            "fresh\n"
            "workspace and store. What does not pass keeps them for `hearth inspect`.\n"
            "Exit code 0: all passed, or the share that --min-rate asks for; 130: stopped by "
            "Ctrl-C, with\n"
            "a report of what was run.",
    .options = eval_options,
    .shared = app_agent_options + APP_PLACE_OPTIONS,
    .args_min = 1,
    .args_max = 64,
    .run = eval,
};
