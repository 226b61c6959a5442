// If this fails, the loop breaks one of its promises: what policy denies does not run, a repeated
// call is not run twice, a budget ends a turn with an error and a conversation that can go on,
// Ctrl-C ends it at once, a rendered prompt is reused. Runs the built-in model on real tools in
// real boxes.
#include "test.h"

#include "app.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "db.h"
#include "engine/schema.h"

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];
static struct app app;
static struct command command;
static const struct verb no_verb = {.name = "test", .arguments = "", .help = ""};

static int open_all(void **state)
{
    (void)state;
    err e = {0};
    strcpy(dir, "/tmp/hearth-agent-XXXXXX");
    if (!mkdtemp(dir)) return -1;
    char *db = path_join(dir, "hearth.db");
    setenv("HEARTH_STORE", db, 1);
    unsetenv("HEARTH_MODEL");
    free(db);
    command.verb = &no_verb;
    if (app_open(&app, &command, APP_ALL, &e)) {
        printf("%s\n", e.msg);
        return -1;
    }
    app.screen.quiet = true;
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    app_close(&app);
    file_remove_tree(dir);
    return 0;
}

static struct app_agent *agent_of(const char *spec)
{
    err e = {0};
    json_error_t bad;
    json_t *o = json_loads(spec, 0, &bad);
    if (!o) fail_msg("%s: %s", spec, bad.text);
    json_object_set_new(o, "workspace", json_string(dir));
    struct app_agent *a = app_agent_open(&app, o, &e);
    if (!a) fail_msg("%s", e.msg);
    json_decref(o);
    return a;
}

static int64_t count(const char *sql)
{
    err e;
    sqlite3_stmt *q = db_query(store_db(app.store), &e, sql, "");
    if (!q || db_step(q, &e) != 1) fail_msg("%s: %s", sql, e.msg);
    int64_t n = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return n;
}

static void test_a_calculation_is_answered(void **state)
{
    (void)state;
    err e = {0};
    struct agent_result r;
    struct app_agent *a = agent_of("{\"tools\": [\"calculate\"]}");
    if (agent_turn(a->agent, "How much is 45.5 + 210 + 38.25?", NULL, NULL, &r, &e))
        fail_msg("%s", e.msg);
    assert_non_null(strstr(r.answer, "293.75"));
    assert_string_equal(r.stopped, "answer");
    assert_int_equal(r.calls, 1);
    // The second prompt begins with the first one and what the model wrote: nearly all of it is
    // reused.
    assert_true(r.cached_tokens * 10 > (r.prompt_tokens - r.cached_tokens) * 7);
    agent_result_free(&r);
    app_agent_close(a);
}

static void test_what_policy_denies_does_not_run(void **state)
{
    (void)state;
    err e = {0};
    struct agent_result r;
    char *file = path_join(dir, "report.txt");
    int64_t before = count("SELECT count(*) FROM tool_call WHERE state=4");
    struct app_agent *a =
        agent_of("{\"tools\": [\"write_file\"], \"policy\": {\"write_file\": \"deny\"}}");
    if (agent_turn(a->agent, "save \"The total is 12.15.\" in report.txt", NULL, NULL, &r, &e))
        fail_msg("%s", e.msg);
    agent_result_free(&r);
    app_agent_close(a);
    assert_false(file_exists(file));
    assert_true(count("SELECT count(*) FROM tool_call WHERE state=4") > before);

    a = agent_of(
        "{\"tools\": [\"write_file\"], \"policy\": {\"*\": \"deny\", \"write_file\": \"allow\"}}");
    if (agent_turn(a->agent, "save \"The total is 12.15.\" in report.txt", NULL, NULL, &r, &e))
        fail_msg("%s", e.msg);
    agent_result_free(&r);
    app_agent_close(a);
    assert_true(file_exists(file));
    free(file);
}

static void test_a_budget_ends_the_turn_and_not_the_conversation(void **state)
{
    (void)state;
    err e = {0};
    struct agent_result r;
    struct app_agent *a = agent_of("{\"tools\": [\"calculate\"], \"limits\": {\"tokens\": 4}}");
    assert_int_equal(
        agent_turn(a->agent, "How much is 45.5 + 210?", NULL, NULL, &r, &e) == 0 && r.calls > 0, 0);
    agent_result_free(&r);
    int64_t session_id = agent_conversation(a->agent);
    app_agent_close(a);
    char spec[100];
    snprintf(spec, sizeof spec, "{\"tools\": [\"calculate\"], \"session\": %lld}",
             (long long)session_id);
    a = agent_of(spec);
    if (agent_turn(a->agent, "How much is 45.5 + 210?", NULL, NULL, &r, &e)) fail_msg("%s", e.msg);
    agent_result_free(&r);
    app_agent_close(a);

    a = agent_of("{\"tools\": [\"calculate\"], \"limits\": {\"steps\": 1}}");
    if (agent_turn(a->agent, "How much is 45.5 + 210?", NULL, NULL, &r, &e)) fail_msg("%s", e.msg);
    assert_string_equal(r.stopped, "steps");
    assert_int_equal(r.calls, 0); // the only step had to be the answer
    agent_result_free(&r);
    app_agent_close(a);
}

static void test_a_repeated_call_is_not_run_again(void **state)
{
    (void)state;
    err e = {0};
    // A tool that counts its runs in a file, offered to a model that is asked for the same thing
    // twice in one turn.
    char *tools = path_join(dir, "tools"), *file = path_join(tools, "ring_bell.lua");
    static const char source[] =
        "return { name = 'ring_bell', description = 'Ring the bell.', parameters = { type = "
        "'object', properties = {} },\n"
        "  effect = 'pure', capabilities = { fs = 'rw' }, run = function(args, ctx)\n"
        "    local old = ctx.fs.read('rings.txt') or ''\n"
        "    assert(ctx.fs.write('rings.txt', old .. 'x'))\n"
        "    return 'Error: not heard, ring again' end }\n";
    assert_int_equal(file_mkdirs(tools, &e), 0);
    assert_int_equal(file_replace(file, source, strlen(source), &e), 0);
    char *spec = mem_printf(
        "{\"tools\": [\"ring_bell\"], \"tool_dirs\": [\"%s\"], \"policy\": {\"*\": \"allow\"}, "
        "\"tool_choice\": \"required\"}",
        tools);
    struct app_agent *a = agent_of(spec);
    struct agent_result r;
    if (agent_turn(a->agent, "ring the bell", NULL, NULL, &r, &e)) fail_msg("%s", e.msg);
    size_t n = 0;
    char *rings = path_join(dir, "rings.txt"), *text = file_read(rings, 100, &n, &e);
    assert_non_null(text);
    assert_int_equal(n, 1);
    assert_true(r.calls == 1 || strcmp(r.stopped, "repeated call") == 0);
    printf("%d calls asked for, 1 run, ended by: %s\n", r.calls, r.stopped);
    agent_result_free(&r);
    app_agent_close(a);
    free(text);
    free(rings);
    free(spec);
    free(file);
    free(tools);
}

static int64_t cancelled_at;

static void *cancel_soon(void *arg)
{
    usleep((useconds_t)(intptr_t)arg);
    cancelled_at = clock_us();
    app_cancel = 1;
    return NULL;
}

static void test_cancel_ends_the_turn_at_once(void **state)
{
    (void)state;
    err e = {0};
    struct app_agent *a =
        agent_of("{\"sampling\": {\"temperature\": 3}, \"limits\": {\"tokens\": 2000}}");
    int64_t worst = 0;
    for (int i = 0; i < 6; i++) {
        struct agent_result r;
        pthread_t thread;
        app_cancel = 0;
        assert_int_equal(
            pthread_create(&thread, NULL, cancel_soon, (void *)(intptr_t)(1000 + i * 40000)), 0);
        int rc = agent_turn(a->agent, "Tell me a long story about a kettle and a lighthouse", NULL,
                            NULL, &r, &e);
        int64_t took = clock_us() - cancelled_at;
        pthread_join(thread, NULL);
        agent_result_free(&r);
        if (rc == 0) continue; // it was done before
        assert_int_equal(e.code, ERR_CANCELLED);
        if (took > worst) worst = took;
    }
    app_cancel = 0;
    printf("worst time from cancel to the end of the turn: %.1f ms\n", (double)worst / 1000);
    assert_true(worst > 0);
    assert_true(worst < 2000000); // a bound for hangs; the figure above is what matters
    assert_true(count("SELECT count(*) FROM run WHERE state=3") > 0);
    assert_int_equal(count("SELECT count(*) FROM run WHERE state=0"), 0);
    app_agent_close(a);
}

static void test_an_answer_under_a_schema(void **state)
{
    (void)state;
    err e = {0};
    struct agent_result r;
    json_t *schema =
        json_pack("{s:s, s:{s:{s:s}, s:{s:s}}, s:[s, s]}", "type", "object", "properties", "sum",
                  "type", "number", "ok", "type", "boolean", "required", "sum", "ok");
    const struct constraint output = {.kind = CONSTRAINT_SCHEMA, .json = schema};
    struct app_agent *a = agent_of("{\"tools\": [\"calculate\"]}");
    if (agent_turn(a->agent, "How much is 2 + 3?", &output, NULL, &r, &e)) fail_msg("%s", e.msg);
    assert_true(json_is_number(json_object_get(r.value, "sum")));
    assert_true(json_is_boolean(json_object_get(r.value, "ok")));
    if (schema_validate(schema, r.value, &e)) fail_msg("%s", e.msg);
    agent_result_free(&r);

    // One that cannot be enforced is refused before anything is journaled or run.
    int64_t runs = count("SELECT count(*) FROM run");
    json_t *unenforced = json_pack("{s:s, s:s}", "type", "string", "pattern", "(a)\\1");
    const struct constraint refused = {.kind = CONSTRAINT_SCHEMA, .json = unenforced};
    assert_int_equal(agent_turn(a->agent, "How much is 2 + 3?", &refused, NULL, &r, &e), -1);
    assert_non_null(strstr(e.msg, "pattern"));
    assert_int_equal(count("SELECT count(*) FROM run"), runs);
    agent_result_free(&r);
    app_agent_close(a);
    json_decref(schema);
    json_decref(unenforced);
}

static void test_an_answer_in_a_format(void **state)
{
    (void)state;
    static const struct {
        struct constraint output;
        const char *begin, *end;
    } rows[] = {
        {{.kind = CONSTRAINT_REGEX, .text = "Sum: [0-9]{1,3}\\."}, "Sum: ", "."},
        {{.kind = CONSTRAINT_GRAMMAR, .text = "root = '<' ('+' | '-') [0-9]{1,3} '>'"}, "<", ">"},
    };
    struct app_agent *a = agent_of("{\"tools\": [\"calculate\"]}");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        err e = {0};
        struct agent_result r;
        if (agent_turn(a->agent, "How much is 2 + 3?", &rows[i].output, NULL, &r, &e))
            fail_msg("%s", e.msg);
        size_t n = strlen(r.answer);
        assert_true(n > 2 && strncmp(r.answer, rows[i].begin, strlen(rows[i].begin)) == 0);
        assert_string_equal(r.answer + n - 1, rows[i].end);
        assert_null(r.value);
        assert_true(r.forced_tokens > 0 && r.passes < r.output_tokens);
        agent_result_free(&r);
    }
    err e = {0};
    struct agent_result r;
    const struct constraint bad = {.kind = CONSTRAINT_GRAMMAR, .text = "root = x"};
    assert_int_equal(agent_turn(a->agent, "How much is 2 + 3?", &bad, NULL, &r, &e), -1);
    assert_string_equal(e.msg, "the answer's ebnf: grammar: 1:8: there is no rule x");
    agent_result_free(&r);
    app_agent_close(a);
}

// The names of the tools that a run called, in order.
static char *called(int64_t run)
{
    err e;
    sqlite3_stmt *q =
        db_query(store_db(app.store), &e,
                 "SELECT coalesce(group_concat(name, ' '), '') FROM (SELECT c.name FROM "
                 "tool_call c JOIN step s ON c.step_id=s.id WHERE s.run_id=? ORDER BY "
                 "c.id)",
                 "i", run);
    if (!q || db_step(q, &e) != 1) fail_msg("%s", e.msg);
    char *names = mem_str((const char *)sqlite3_column_text(q, 0));
    sqlite3_finalize(q);
    return names;
}

static void test_a_choice_of_calls(void **state)
{
    (void)state;
    static const struct agent_choice automatic = {CHOICE_AUTO, NULL}, none = {CHOICE_NONE, NULL},
                                     required = {CHOICE_REQUIRED, NULL},
                                     named = {CHOICE_NAMED, "recall"};
    static const struct {
        const struct agent_choice *choice; // NULL: the agent's, which is `required`
        const char *input, *first;         // "": no call at all
    } rows[] = {
        {NULL, "Hello!", "?"},
        {&required, "What is the capital of France?", "?"},
        {&named, "How much is 2 + 3?", "recall"},
        {&none, "How much is 45.5 + 210?", ""},
        {&automatic, "How much is 45.5 + 210?", "calculate"},
        {&named, "Hello!", "recall"},
    };
    struct app_agent *a =
        agent_of("{\"tools\": [\"calculate\", \"recall\"], \"tool_choice\": \"required\"}");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        err e = {0};
        struct agent_result r;
        if (agent_turn(a->agent, rows[i].input, NULL, rows[i].choice, &r, &e))
            fail_msg("%s: %s", rows[i].input, e.msg);
        char *names = called(r.run);
        if (*rows[i].first == '?')
            assert_true(r.calls > 0);
        else
            assert_true(*rows[i].first ? strncmp(names, rows[i].first, strlen(rows[i].first)) == 0
                                       : !*names);
        assert_true(r.steps >= 2 || r.calls == 0); // after the call it answers
        free(names);
        agent_result_free(&r);
    }
    // Under a schema the call comes first too.
    err e = {0};
    struct agent_result r;
    json_t *schema = json_pack("{s:s}", "type", "boolean");
    const struct constraint output = {.kind = CONSTRAINT_SCHEMA, .json = schema};
    if (agent_turn(a->agent, "Is 2 + 3 five?", &output, &named, &r, &e)) fail_msg("%s", e.msg);
    assert_true(json_is_boolean(r.value));
    assert_true(r.calls > 0);
    agent_result_free(&r);
    if (agent_turn(a->agent, "Is 2 + 3 five?", &output, &none, &r, &e)) fail_msg("%s", e.msg);
    assert_true(json_is_boolean(r.value));
    assert_int_equal(r.calls, 0);
    agent_result_free(&r);
    json_decref(schema);

    // What cannot be asked for is refused before anything is journaled.
    int64_t runs = count("SELECT count(*) FROM run");
    const struct agent_choice wrong = {CHOICE_NAMED, "read_file"};
    assert_int_equal(agent_turn(a->agent, "Hello!", NULL, &wrong, &r, &e), -1);
    assert_string_equal(
        e.msg, "tool_choice: no tool `read_file` is offered; there are: calculate, recall");
    agent_result_free(&r);
    app_agent_close(a);
    a = agent_of("{\"tools\": []}");
    assert_int_equal(agent_turn(a->agent, "Hello!", NULL, &required, &r, &e), -1);
    assert_string_equal(e.msg, "tool_choice: a call is required, but no tools are offered");
    agent_result_free(&r);
    app_agent_close(a);
    a = agent_of("{\"tools\": [\"recall\"], \"limits\": {\"steps\": 1}}");
    assert_int_equal(agent_turn(a->agent, "Hello!", NULL, &named, &r, &e), -1);
    assert_non_null(strstr(e.msg, "limits.steps"));
    agent_result_free(&r);
    app_agent_close(a);
    assert_int_equal(count("SELECT count(*) FROM run"), runs);
}

// A store that fails in the middle of a turn: no further words may follow a call without a result,
// or its result would be settled behind them.
static void test_a_lost_result_ends_the_agent_and_not_the_conversation(void **state)
{
    (void)state;
    err e = {0};
    struct agent_result r;
    struct app_agent *a = agent_of("{\"tools\": [\"calculate\"]}");
    assert_int_equal(db_exec(store_db(app.store),
                             "CREATE TEMP TRIGGER full BEFORE UPDATE ON tool_call WHEN new.state=3"
                             " BEGIN SELECT RAISE(FAIL, 'no room'); END",
                             &e),
                     0);
    assert_int_equal(agent_turn(a->agent, "How much is 45.5 + 210?", NULL, NULL, &r, &e), -1);
    assert_int_equal(e.code, ERR_STORE);
    agent_result_free(&r);
    assert_int_equal(db_exec(store_db(app.store), "DROP TRIGGER full", &e), 0);
    int64_t before = count("SELECT count(*) FROM message");
    assert_int_equal(agent_turn(a->agent, "How much is 1 + 1?", NULL, NULL, &r, &e), -1);
    assert_int_equal(e.code, ERR_STORE);
    agent_result_free(&r);
    assert_int_equal(count("SELECT count(*) FROM message"), before);
    int64_t id = agent_conversation(a->agent);
    app_agent_close(a);

    store_close(app.store);
    app.store = store_open(app.store_path, STORE_WRITE, &e);
    if (!app.store) fail_msg("%s", e.msg);
    char spec[100];
    snprintf(spec, sizeof spec, "{\"tools\": [\"calculate\"], \"session\": %lld}", (long long)id);
    a = agent_of(spec);
    if (agent_turn(a->agent, "How much is 1 + 1?", NULL, NULL, &r, &e)) fail_msg("%s", e.msg);
    agent_result_free(&r);
    app_agent_close(a);
}

// What does not fit the context never enters the conversation.
static void test_words_that_do_not_fit_are_not_kept(void **state)
{
    (void)state;
    err e = {0};
    struct agent_result r;
    struct app_agent *a = agent_of("{\"tools\": [\"calculate\"]}");
    char *words = mem_new(100001);
    memset(words, 'a', 100000);
    int64_t before = count("SELECT count(*) FROM conversation");
    assert_int_equal(agent_turn(a->agent, words, NULL, NULL, &r, &e), -1);
    assert_int_equal(e.code, ERR_BUDGET);
    agent_result_free(&r);
    assert_int_equal(agent_conversation(a->agent), 0);
    assert_int_equal(count("SELECT count(*) FROM conversation"), before);
    if (agent_turn(a->agent, "How much is 1 + 1?", NULL, NULL, &r, &e)) fail_msg("%s", e.msg);
    agent_result_free(&r);
    assert_int_equal(agent_turn(a->agent, words, NULL, NULL, &r, &e), -1);
    agent_result_free(&r);
    if (agent_turn(a->agent, "How much is 1 + 2?", NULL, NULL, &r, &e)) fail_msg("%s", e.msg);
    agent_result_free(&r);
    free(words);
    app_agent_close(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_calculation_is_answered),
        cmocka_unit_test(test_what_policy_denies_does_not_run),
        cmocka_unit_test(test_a_budget_ends_the_turn_and_not_the_conversation),
        cmocka_unit_test(test_a_repeated_call_is_not_run_again),
        cmocka_unit_test(test_cancel_ends_the_turn_at_once),
        cmocka_unit_test(test_an_answer_under_a_schema),
        cmocka_unit_test(test_an_answer_in_a_format),
        cmocka_unit_test(test_a_choice_of_calls),
        cmocka_unit_test(test_a_lost_result_ends_the_agent_and_not_the_conversation),
        cmocka_unit_test(test_words_that_do_not_fit_are_not_kept),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
