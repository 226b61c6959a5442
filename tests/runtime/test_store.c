// If this fails, a crash can brick a conversation or lose what was acknowledged; or two processes
// can write one store; or a store from a newer Hearth, a full disk or a foreign database is damaged
// instead of refused.
#include "test.h"

#include "base/file.h"
#include "base/mem.h"
#include "db.h"
#include "store.h"
#include "transcript.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64], path[96];

static int fresh_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/hearth-store-XXXXXX");
    if (!mkdtemp(dir)) return -1;
    snprintf(path, sizeof path, "%s/sub/hearth.db", dir);
    return 0;
}

static int drop_dir(void **state)
{
    (void)state;
    file_remove_tree(dir);
    return 0;
}

static store *open_ok(enum store_mode mode)
{
    err e = {0};
    store *s = store_open(path, mode, &e);
    if (!s) fail_msg("%s", e.msg);
    return s;
}

static int64_t count(store *s, const char *sql)
{
    err e;
    sqlite3_stmt *q = db_query(store_db(s), &e, sql, "");
    assert_non_null(q);
    assert_int_equal(db_step(q, &e), 1);
    int64_t n = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return n;
}

// One turn up to the point where a call has started: what a crash leaves in the worst case.
static int64_t half_a_turn(store *s, int64_t *conversation, int64_t *call)
{
    err e = {0};
    int64_t agent = store_agent(s, "a", &e);
    *conversation = store_conversation_add(s, agent, "t", &e);
    transcript *t = transcript_open(s, *conversation, NULL, &e);
    assert_true(transcript_add(t, ROLE_USER, "read notes.txt", NULL, 0, &e) > 0);
    int64_t run = store_run_add(s, *conversation, "model", &e);
    assert_int_equal(store_begin(s, &e), 0);
    json_t *parts =
        json_pack("{s:[{s:s, s:{s:s}}, {s:s, s:{}}]}", "tool_calls", "name", "read_file",
                  "arguments", "path", "notes.txt", "name", "now", "arguments");
    int64_t message = transcript_add(t, ROLE_ASSISTANT, "", parts, 5, &e);
    json_decref(parts);
    struct step_usage u = {10, 0, 5, 1, 2};
    int64_t step = store_step_add(s, run, 0, message, &u, &e);
    json_t *args = json_pack("{s:s}", "path", "notes.txt"), *none = json_object();
    *call = store_call_add(s, step, 0, "read_file", args, &e);
    assert_true(store_call_add(s, step, 1, "now", none, &e) > 0);
    json_decref(args);
    json_decref(none);
    assert_int_equal(store_commit(s, &e), 0);
    assert_int_equal(store_call_state(s, *call, CALL_STARTED, &e), 0);
    transcript_close(t);
    return run;
}

static void test_a_crash_mid_call_is_settled_at_the_next_open(void **state)
{
    (void)state;
    int64_t conversation, call;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        store *s = open_ok(STORE_WRITE);
        half_a_turn(s, &conversation, &call);
        kill(getpid(), SIGKILL);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_true(WIFSIGNALED(status));

    store *s = open_ok(STORE_WRITE);
    assert_int_equal(count(s, "SELECT count(*) FROM tool_call WHERE state=5 AND name='read_file'"),
                     1);
    assert_int_equal(count(s, "SELECT count(*) FROM tool_call WHERE state=4 AND name='now'"), 1);
    assert_int_equal(count(s, "SELECT count(*) FROM run WHERE state=4"), 1);
    assert_int_equal(count(s, "SELECT count(*) FROM message WHERE role=3"), 2);
    err e;
    transcript *t = transcript_open(s, 1, "be brief", &e);
    char *text = json_dumps(transcript_messages(t), JSON_COMPACT);
    assert_non_null(strstr(text, "its outcome is unknown"));
    assert_non_null(strstr(text, "before this call started"));
    free(text);
    transcript_close(t);
    store_close(s);
    s = open_ok(STORE_WRITE); // and settling is done once
    assert_int_equal(count(s, "SELECT count(*) FROM message"), 4);
    store_close(s);
}

static void test_ids_are_those_of_the_rows(void **state)
{
    (void)state;
    err e = {0};
    store *s = open_ok(STORE_WRITE);
    int64_t agent = store_agent(s, "a", &e);
    assert_int_equal(store_agent(s, "a", &e), agent);
    int64_t c = store_conversation_add(s, agent, "t", &e);
    int64_t first = store_message_add(s, c, ROLE_USER, "one two", NULL, 0, &e);
    int64_t second = store_message_add(s, c, ROLE_USER, "three", NULL, 0, &e);
    assert_int_equal(first, count(s, "SELECT id FROM message WHERE content='one two'"));
    assert_int_equal(second, count(s, "SELECT id FROM message WHERE content='three'"));
    assert_int_equal(count(s, "SELECT count(*) FROM message_fts WHERE message_fts MATCH 'two'"), 1);
    assert_int_equal(store_conversation_last(s, agent, &e), c);
    store_close(s);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_one_owner_and_any_number_of_readers(void **state)
{
    (void)state;
    store *s = open_ok(STORE_WRITE);
    err e = {0};
    assert_null(store_open(path, STORE_WRITE,
                           &e)); // flock is per open file, so this process counts as another
    assert_int_equal(e.code, ERR_STORE);
    assert_non_null(strstr(e.msg, "in use by another process"));
    assert_non_null(strstr(e.msg, path));
    store *reader = open_ok(STORE_READ);
    assert_int_equal(count(reader, "SELECT count(*) FROM run"), 0);
    assert_int_equal(db_exec(store_db(reader), "DELETE FROM run", &e), -1);
    store_close(reader);
    store_close(s);
}

static void test_a_newer_store_is_refused_untouched(void **state)
{
    (void)state;
    err e = {0};
    store *s = open_ok(STORE_WRITE);
    assert_int_equal(db_exec(store_db(s), "PRAGMA user_version=99", &e), 0);
    store_close(s);
    size_t n_before, n_after;
    char *before = file_read(path, 1 << 24, &n_before, &e);
    assert_null(store_open(path, STORE_WRITE, &e));
    assert_int_equal(e.code, ERR_STORE);
    assert_non_null(strstr(e.msg, "newer Hearth (schema 99"));
    char *after = file_read(path, 1 << 24, &n_after, &e);
    assert_int_equal(n_before, n_after);
    assert_memory_equal(before, after, n_before);
    free(before);
    free(after);
}

static void test_a_version_below_zero_is_refused(void **state)
{
    (void)state;
    err e = {0};
    store *s = open_ok(STORE_WRITE);
    assert_int_equal(db_exec(store_db(s), "PRAGMA user_version=-1", &e), 0);
    store_close(s);
    assert_null(store_open(path, STORE_WRITE, &e));
    assert_int_equal(e.code, ERR_STORE);
    assert_non_null(strstr(e.msg, "user_version is -1"));
}

static void test_foreign_files_are_refused(void **state)
{
    (void)state;
    err e = {0};
    char other[128], text[128];
    snprintf(other, sizeof other, "%s/other.db", dir);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(other, &db), SQLITE_OK);
    sqlite3_exec(db, "CREATE TABLE t(x)", NULL, NULL, NULL);
    sqlite3_close(db);
    assert_null(store_open(other, STORE_WRITE, &e));
    assert_non_null(strstr(e.msg, "not one of Hearth's"));
    snprintf(text, sizeof text, "%s/text", dir);
    assert_int_equal(file_replace(text,
                                  "this is no database, but long enough to be looked "
                                  "at..................................................",
                                  100, &e),
                     0);
    assert_null(store_open(text, STORE_WRITE, &e));
    assert_int_equal(e.code, ERR_STORE);
    assert_null(store_open("/nonexistent/x.db", STORE_READ, &e));
    assert_non_null(strstr(e.msg, "/nonexistent/x.db"));
}

// A disk that fills up is a limit on the file's size here. Every write until then is whole, the
// failed one leaves no trace.
static void test_a_full_disk_loses_nothing_that_was_saved(void **state)
{
    (void)state;
    err e = {0};
    store *s = open_ok(STORE_WRITE);
    int64_t c = store_conversation_add(s, store_agent(s, "a", &e), "t", &e);
    store_close(s);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){1 << 20, 1 << 20});
        s = open_ok(STORE_WRITE);
        char *big = mem_new(20001);
        memset(big, 'x', 20000);
        int saved = 0;
        while (saved < 100 && store_message_add(s, c, ROLE_USER, big, NULL, 0, &e) > 0) saved++;
        _exit(e.code == ERR_STORE && strstr(e.msg, path) ? saved : 255);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status));
    int saved = WEXITSTATUS(status);
    assert_in_range(saved, 3, 99);
    s = open_ok(STORE_WRITE);
    assert_int_equal(count(s, "SELECT count(*) FROM message"), saved);
    assert_int_equal(
        count(s, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check<>'ok'"), 0);
    assert_true(store_message_add(s, c, ROLE_USER, "room again", NULL, 0, &e) > 0);
    store_close(s);
}

int main(void)
{
#define WITH_DIR(f) cmocka_unit_test_setup_teardown(f, fresh_dir, drop_dir)
    const struct CMUnitTest tests[] = {
        WITH_DIR(test_a_crash_mid_call_is_settled_at_the_next_open),
        WITH_DIR(test_ids_are_those_of_the_rows),
        WITH_DIR(test_one_owner_and_any_number_of_readers),
        WITH_DIR(test_a_newer_store_is_refused_untouched),
        WITH_DIR(test_a_version_below_zero_is_refused),
        WITH_DIR(test_foreign_files_are_refused),
        WITH_DIR(test_a_full_disk_loses_nothing_that_was_saved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
