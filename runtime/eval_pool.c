#include "eval_pool.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    LINE_MAX_BYTES = 8 << 20,
    GRACE_US = 3000000, // from the polite signal to SIGKILL
    TICK_MS = 200
};

struct worker {
    pid_t pid;                    // 0: none
    int to, from;                 // pipes
    buf line;                     // what came of the line under way
    bool ready;                   // it said hello
    struct eval_run *at;          // the run under way; NULL: idle
    int64_t deadline_us, kill_us; // kill_us: 0, or when it gets SIGKILL
    bool late;                    // it was stopped because its time was up
};

// ---- the worker's side ----

static int say(int fd, json_t *line)
{
    char *text = json_dumps(line, JSON_COMPACT);
    json_decref(line);
    size_t n = text ? strlen(text) : 0;
    if (!text) return -1;
    text[n] = '\n'; // in place of the NUL
    for (size_t at = 0; at <= n;) {
        ssize_t k = write(fd, text + at, n + 1 - at);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) break;
        at += (size_t)k;
    }
    free(text);
    return 0;
}

static json_t *about_model(const struct app *app)
{
    const struct engine_info *i = engine_info(app->en);
    return json_pack("{s:s, s:I, s:s, s:s, s:s, s:s, s:i}", "architecture", i->architecture,
                     "parameters", (json_int_t)i->n_parameter, "weights", i->weight_type, "kv_type",
                     k_type_name(i->plan.kv_type), "backend", i->backend, "digest", i->digest,
                     "context", i->ctx_max);
}

static void set_option(struct command *c, const char *name, long long value)
{
    struct option_value *v = (struct option_value *)cli_option(c, name); // of our own copy
    v->given = true;
    v->integer = value;
}

// Several runs of one task are to differ: the n-th gets the n-th seed.
static void set_seed(struct command *own, const struct command *given, int number)
{
    const struct option_value *seed = cli_option(given, "seed");
    if (seed->given || number > 1)
        set_option(own, "seed", (seed->given ? seed->integer : 0) + number - 1);
}

static void work(const struct eval_pool *p, int in, int out)
{
    struct command own = *p->command;
    struct app app;
    err e = {0};
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    if (p->jobs > 1 && cli_int(&own, "threads") == 0)
        set_option(&own, "threads", cpus > p->jobs ? cpus / p->jobs : 1);
    int rc = app_open(&app, &own, APP_BOX | APP_ENGINE, &e);
    signal(SIGINT, SIG_IGN); // the terminal sends it to all; only the pool's word counts here
    say(out, rc ? json_pack("{s:i, s:s}", "fatal", (int)e.code, "message", e.msg)
                : json_pack("{s:o}", "ready", about_model(&app)));
    FILE *tasks = fdopen(in, "r");
    app.screen.out = fopen("/dev/null", "w");
    app.screen.quiet = true;
    app.screen.json = false;
    unsigned long index;
    while (rc == 0 && tasks && app.screen.out && fscanf(tasks, "%lu", &index) == 1) {
        const struct eval_run *run = &p->runs[index];
        const struct eval_task *task = &p->suite->tasks[run->task];
        app_cancel = 0;
        set_seed(&own, p->command, run->number);
        say(out, task->bfcl ? bfcl_run(&app, task, p->choice)
                            : eval_task_run(&app, task, run->mode, run->dir));
    }
    app_close(&app);
    _exit(0);
}

// ---- the pool's side ----

static int start(struct eval_pool *p, struct worker *all, struct worker *w, err *e)
{
    int down[2], up[2];
    fflush(NULL);
    if (pipe2(down, O_CLOEXEC)) return err_sys(e, errno, "pipe");
    if (pipe2(up, O_CLOEXEC)) {
        close(down[0]);
        close(down[1]);
        return err_sys(e, errno, "pipe");
    }
    pid_t pool = getpid(), pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != pool) _exit(0);
        // Another worker's pipe held open here would hide its end.
        for (int i = 0; i < p->jobs; i++) {
            if (!all[i].pid) continue;
            close(all[i].to);
            close(all[i].from);
        }
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        dup2(null, STDIN_FILENO); // nobody is asked anything
        dup2(null, STDOUT_FILENO);
        close(down[1]);
        close(up[0]);
        work(p, down[0], up[1]);
    }
    close(down[0]);
    close(up[1]);
    if (pid < 0) {
        close(down[1]);
        close(up[0]);
        return err_sys(e, errno, "fork");
    }
    *w = (struct worker){.pid = pid, .to = down[1], .from = up[0], .line = buf_new(LINE_MAX_BYTES)};
    return 0;
}

// Takes the worker's end; returns its wait status.
static int reap(struct worker *w)
{
    int status = 0;
    close(w->to);
    close(w->from);
    while (waitpid(w->pid, &status, 0) < 0 && errno == EINTR) {
    }
    buf_free(&w->line);
    *w = (struct worker){0};
    return status;
}

static void finish(struct eval_pool *p, struct eval_run *run, json_t *result)
{
    run->result = result;
    if (p->on_result) p->on_result(p->user, run);
}

static json_t *result_late(const struct eval_pool *p, json_t *said)
{
    char *why = mem_printf("longer than %d seconds (--timeout)", p->timeout_s);
    json_t *result = said ? said : eval_result("timeout", why);
    json_object_set_new(result, "status", json_string("timeout"));
    json_object_set_new(result, "reason", json_string(why));
    if (!said) json_object_set_new(result, "seconds", json_real(p->timeout_s));
    free(why);
    return result;
}

// One whole line from a worker.
static int take_line(struct eval_pool *p, struct worker *w, const char *text, size_t n, err *e)
{
    json_error_t bad;
    json_t *said = json_loadb(text, n, 0, &bad), *model = json_object_get(said, "ready");
    if (model) {
        if (!p->model) p->model = json_incref(model);
        w->ready = true;
        json_decref(said);
        return 0;
    }
    if (json_object_get(said, "fatal")) {
        err_set(e, (enum err_code)json_integer_value(json_object_get(said, "fatal")), "%s",
                json_string_value(json_object_get(said, "message")));
        json_decref(said);
        return -1;
    }
    struct eval_run *run = w->at;
    w->at = NULL;
    if (!run || !said) {
        json_decref(said);
        return err_set(e, ERR_FAILED, "a worker said what cannot be read: %s", bad.text);
    }
    const char *status = json_string_value(json_object_get(said, "status"));
    bool cancelled = status && strcmp(status, "cancelled") == 0;
    if (cancelled && w->late)
        finish(p, run, result_late(p, said));
    else if (cancelled && app_cancel)
        json_decref(said); // not run
    else
        finish(p, run, said);
    w->late = false;
    w->kill_us = 0;
    return 0;
}

static int worker_ended(struct eval_pool *p, struct worker *w, err *e)
{
    struct eval_run *run = w->at;
    bool ready = w->ready, late = w->late;
    int status = reap(w);
    char how[80];
    if (WIFSIGNALED(status))
        snprintf(how, sizeof how, "killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(how, sizeof how, "exit code %d", WEXITSTATUS(status));
    if (run && late)
        finish(p, run, result_late(p, NULL));
    else if (run && !app_cancel) {
        char *why = mem_printf("the process that ran it ended: %s", how);
        finish(p, run, eval_result("crashed", why));
        free(why);
    }
    if (!ready && !app_cancel)
        return err_set(e, ERR_SYSTEM, "a worker ended before it could run anything: %s", how);
    return 0;
}

// Reads what there is. -1 with *e: nothing can be run.
static int take(struct eval_pool *p, struct worker *w, err *e)
{
    char bytes[65536];
    ssize_t n = read(w->from, bytes, sizeof bytes);
    if (n < 0 && errno == EINTR) return 0;
    if (n <= 0) return worker_ended(p, w, e);
    for (ssize_t at = 0; at < n;) {
        char *end = memchr(bytes + at, '\n', (size_t)(n - at));
        buf_put(&w->line, bytes + at, (size_t)((end ? end : bytes + n) - (bytes + at)));
        if (!end) break;
        at = end + 1 - bytes;
        int rc = w->line.full ? err_set(e, ERR_FAILED, "a worker's line is too long")
                              : take_line(p, w, buf_text(&w->line), w->line.n, e);
        buf_clear(&w->line);
        if (rc) return -1;
    }
    return 0;
}

static void stop_late(struct eval_pool *p, struct worker *w, int64_t now)
{
    if (!w->pid || !w->at) return;
    if (!w->kill_us && (app_cancel || (p->timeout_s && w->ready && now > w->deadline_us))) {
        w->late = !app_cancel;
        w->kill_us = now + GRACE_US;
        kill(w->pid, SIGTERM);
    } else if (w->kill_us && now > w->kill_us) {
        kill(w->pid, SIGKILL);
    }
}

static int hand_out(struct eval_pool *p, struct worker *all, size_t *next, err *e)
{
    for (int i = 0; i < p->jobs && *next < p->n; i++) {
        struct worker *w = &all[i];
        if (w->at) continue;
        if (!w->pid && start(p, all, w, e)) return -1;
        if (!w->ready) continue;
        char line[32];
        int n = snprintf(line, sizeof line, "%zu\n", *next);
        if (write(w->to, line, (size_t)n) != n) continue; // it died: its end is read next
        w->at = &p->runs[(*next)++];
        w->deadline_us = clock_us() + (int64_t)p->timeout_s * 1000000;
    }
    return 0;
}

static bool busy(const struct eval_pool *p, const struct worker *all)
{
    for (int i = 0; i < p->jobs; i++)
        if (all[i].pid && all[i].at) return true;
    return false;
}

static int wait_for_words(struct eval_pool *p, struct worker *all, err *e)
{
    struct pollfd *fds = mem_new((size_t)p->jobs * sizeof *fds);
    for (int i = 0; i < p->jobs; i++)
        fds[i] = (struct pollfd){.fd = all[i].pid ? all[i].from : -1, .events = POLLIN};
    int rc = 0;
    if (poll(fds, (nfds_t)p->jobs, TICK_MS) > 0)
        for (int i = 0; i < p->jobs && rc == 0; i++)
            if (fds[i].revents) rc = take(p, &all[i], e);
    free(fds);
    return rc;
}

int eval_pool_run(struct eval_pool *p, err *e)
{
    assert(p->jobs > 0);
    struct worker *all = mem_new((size_t)p->jobs * sizeof *all);
    size_t next = 0;
    int rc = 0;
    while (rc == 0 && (app_cancel ? busy(p, all) : next < p->n || busy(p, all))) {
        if (!app_cancel) rc = hand_out(p, all, &next, e);
        if (rc == 0) rc = wait_for_words(p, all, e);
        for (int i = 0; i < p->jobs; i++) stop_late(p, &all[i], clock_us());
    }
    for (int i = 0; i < p->jobs; i++) {
        if (!all[i].pid) continue;
        if (rc || app_cancel) kill(all[i].pid, SIGKILL);
        reap(&all[i]); // its pipe is closed: it ends by itself
    }
    free(all);
    if (rc == 0 && app_cancel) return err_set(e, ERR_CANCELLED, "cancelled");
    return rc;
}
