// If this fails, a crash loses what a person was told is saved, or leaves a store that does not
// open. `hearth run --json` tells of a message, a step or a result only once the journal holds it;
// so it is killed with SIGKILL at a random moment, and everything it had told of by then must be in
// the store, which must open, be sound, and carry the next run.
//
// HEARTH_KILLS sets the number of kills; without it, as many as take about half a minute, at least
// 3 and at most 12.
#include "test.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "db.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64], store_file[96], script[96];

static const char source[] =
    "local hearth = require 'hearth'\n"
    "local a = hearth.agent { name = 'k', session = arg[1] == 'last' and 'last' or nil,\n"
    "  tools = { 'calculate', 'remember', 'recall' }, limits = { tokens = 300 } }\n"
    "for i = 1, 4 do\n"
    "  a:run('remember that the code is ' .. (1000 + i))\n"
    "  a:run('How much is ' .. i .. ' + 3?')\n"
    "end\n";

// Starts `hearth run --json` with its output on a pipe, on a new session or on the last, which may
// be one that was killed in the middle of a call.
static pid_t start(const char *session_name, int *out)
{
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(fds[1], 1);
        execl(HEARTH_BINARY_DIR "/hearth", "hearth", "run", "--json", "--store", store_file, script,
              session_name, NULL);
        _exit(127);
    }
    close(fds[1]);
    *out = fds[0];
    return pid;
}

// Reads what the process tells until it ends; kills it `after_us` from now (0: never). Returns the
// whole lines.
static char *listen_and_kill(pid_t pid, int out, int64_t after_us, int *status)
{
    size_t n = 0, cap = 1 << 16;
    char *text = mem_new(cap + 1);
    int64_t end = clock_us() + after_us;
    for (;;) {
        int64_t left = end - clock_us();
        if (after_us && left <= 0) {
            kill(pid, SIGKILL);
            after_us = 0;
        }
        struct pollfd p = {.fd = out, .events = POLLIN};
        if (poll(&p, 1, after_us ? (int)(left / 1000) + 1 : -1) <= 0) continue;
        if (n == cap) text = mem_grow(text, (cap *= 2) + 1);
        ssize_t k = read(out, text + n, cap - n);
        if (k <= 0) break;
        n += (size_t)k;
    }
    close(out);
    waitpid(pid, status, 0);
    while (n && text[n - 1] != '\n') n--;
    text[n] = 0;
    return text;
}

static int64_t one(store *s, const char *sql, int64_t id)
{
    err e;
    sqlite3_stmt *q = db_query(store_db(s), &e, sql, "i", id);
    if (!q || db_step(q, &e) != 1) fail_msg("%s: %s", sql, e.msg);
    int64_t v = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return v;
}

// Everything told is there. Returns how many rows were checked.
static int check_told(store *s, char *text)
{
    int n = 0;
    for (char *save, *line = strtok_r(text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        json_error_t bad;
        json_t *o = json_loads(line, 0, &bad);
        if (!o) fail_msg("not JSON: %s", line);
        const char *kind = json_string_value(json_object_get(o, "event"));
        int64_t message = json_integer_value(json_object_get(o, "message")),
                call = json_integer_value(json_object_get(o, "call")),
                run = json_integer_value(json_object_get(o, "run"));
        if (run) n += one(s, "SELECT count(*) FROM run WHERE id=?", run) == 1;
        if (message) {
            assert_int_equal(one(s, "SELECT count(*) FROM message WHERE id=?", message), 1);
            n++;
        }
        if (call) {
            assert_int_equal(one(s, "SELECT count(*) FROM tool_call WHERE id=?", call), 1);
            n++;
        }
        if (strcmp(kind, "result") == 0 &&
            strcmp(json_string_value(json_object_get(o, "state")), "done") == 0) {
            err e;
            sqlite3_stmt *q = db_query(store_db(s), &e,
                                       "SELECT state, result FROM tool_call WHERE id=?", "i", call);
            assert_int_equal(db_step(q, &e), 1);
            assert_int_equal(sqlite3_column_int(q, 0), CALL_DONE);
            assert_string_equal(db_text(q, 1), json_string_value(json_object_get(o, "text")));
            sqlite3_finalize(q);
        }
        if (strcmp(kind, "end") == 0)
            assert_string_equal(
                run_state_name((int)one(s, "SELECT state FROM run WHERE id=?", run)),
                json_string_value(json_object_get(o, "state")));
        json_decref(o);
    }
    return n;
}

static void check_sound(store *s)
{
    assert_int_equal(
        one(s, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check<>'ok' AND ?=0",
            0),
        0);
    assert_int_equal(one(s, "SELECT count(*) FROM pragma_foreign_key_check WHERE ?=0", 0), 0);
    assert_int_equal(one(s, "SELECT count(*) FROM run WHERE state=0 AND ?=0", 0), 0);
    assert_int_equal(one(s, "SELECT count(*) FROM tool_call WHERE state IN (0, 1, 2) AND ?=0", 0),
                     0);
    // Each call that a message shows has the message with its result; each memory its vector.
    assert_int_equal(one(s,
                         "SELECT count(*) FROM tool_call c WHERE ?=0 AND NOT EXISTS"
                         " (SELECT 1 FROM message m WHERE m.role=3 AND m.parts->>'call'=c.id)",
                         0),
                     0);
    assert_int_equal(one(s,
                         "SELECT count(*) FROM memory m WHERE ?=0 AND NOT EXISTS"
                         " (SELECT 1 FROM embedding v WHERE v.memory_id=m.id)",
                         0),
                     0);
    err e;
    assert_int_equal(db_exec(store_db(s),
                             "INSERT INTO memory_fts(memory_fts) VALUES('integrity-check');"
                             "INSERT INTO message_fts(message_fts) VALUES('integrity-check')",
                             &e),
                     0);
}

static store *open_ok(void)
{
    err e = {0};
    store *s = store_open(store_file, STORE_WRITE, &e);
    if (!s) fail_msg("the store does not open: %s", e.msg);
    return s;
}

static void test_killed_at_random_moments(void **state)
{
    (void)state;
    const char *wanted = getenv("HEARTH_KILLS"), *seed = getenv("HEARTH_FUZZ_SEED");
    int out, status, checked = 0;
    rng r = rng_seed(seed ? strtoull(seed, NULL, 10) : (uint64_t)clock_wall_us());
    printf("seed %llu\n", (unsigned long long)r.state);

    int64_t t0 = clock_us();
    pid_t pid = start("new", &out);
    char *told = listen_and_kill(pid, out, 0, &status);
    int64_t whole_us = clock_us() - t0;
    int64_t fit = 60000000 / (whole_us + 1); // a kill comes half-way through a run on average
    int kills = wanted ? atoi(wanted) : fit < 3 ? 3 : fit > 12 ? 12 : (int)fit;
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    store *s = open_ok();
    assert_true(check_told(s, told) > 20);
    check_sound(s);
    store_close(s);
    free(told);

    for (int i = 0; i < kills; i++) {
        pid = start(i % 2 ? "last" : "new", &out);
        told = listen_and_kill(pid, out, 1 + (int64_t)rng_below(&r, (uint64_t)whole_us), &status);
        s = open_ok();
        checked += check_told(s, told);
        check_sound(s);
        store_close(s);
        free(told);
    }
    pid = start("last", &out);
    told = listen_and_kill(pid, out, 0, &status);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    free(told);
    printf("%d kills over a run of %.2f s, %d acknowledged rows found again, the next run works\n",
           kills, (double)whole_us / 1e6, checked);
}

int main(void)
{
    err e;
    strcpy(dir, "/tmp/hearth-kill-XXXXXX");
    if (!mkdtemp(dir)) return 1;
    snprintf(store_file, sizeof store_file, "%s/hearth.db", dir);
    snprintf(script, sizeof script, "%s/kill.lua", dir);
    if (file_replace(script, source, strlen(source), &e)) return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_killed_at_random_moments)};
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    file_remove_tree(dir);
    return rc;
}
