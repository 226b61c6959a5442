// If this fails, a tool file with a mistake in it is accepted (or its error names the wrong thing),
// or a hostile tool does more to its caller than return a failed result.
#include "test.h"

#include "base/clock.h"
#include "check.h"
#include "temp_dir.h"
#include "tools/json_text.h"
#include "tools/tool.h"

#include <pthread.h>
#include <sys/stat.h>

static sandbox *box;

static int open_box(void **state)
{
    (void)state;
    err e;
    struct sandbox_options o = {.box_path = HEARTH_BINARY_DIR "/hearth-box"};
    box = sandbox_open(&o, &e);
    return box ? 0 : -1;
}

static int close_box(void **state)
{
    (void)state;
    sandbox_close(box);
    return 0;
}

static const struct tool_host host = {.validate = check_args};

// A whole tool file around some fields; NULL takes the good one.
struct fields {
    const char *name, *description, *parameters, *effect, *rest, *run;
};

static char *tool_source(struct fields f)
{
    return mem_printf("return {%s %s %s %s %s %s}", f.name ? f.name : "name = 'x',",
                      f.description ? f.description : "description = 'An x.',",
                      f.parameters ? f.parameters : "parameters = {type = 'object'},",
                      f.effect ? f.effect : "effect = 'pure',", f.rest ? f.rest : "",
                      f.run ? f.run : "run = function() return 'done' end");
}

static void manifests_with_mistakes(void **state)
{
    (void)state;
    static const struct {
        struct fields f;
        const char *message; // after "DIR/x.lua: "; NULL: the file is good
    } rows[] = {
        {{NULL}, NULL},
        {{.name = ""}, "field name is missing"},
        {{.name = "name = 5,"}, "field name: found a number, expected a letter or _"},
        {{.name = "name = 'a b',"}, "field name: found \"a b\", expected a letter or _"},
        {{.name = "name = '9a',"}, "field name: found \"9a\""},
        {{.name = "name = '',"}, "field name: found \"\""},
        {{.name = "name = ('n'):rep(65),"}, "field name: found \"nnnn"},
        {{.name = "name = ('n'):rep(64),"}, NULL},
        {{.description = ""}, "field description is missing"},
        {{.description = "description = {},"}, "field description: found a table"},
        {{.description = "description = '',"}, "field description: found an empty one"},
        {{.parameters = ""}, "field parameters is missing"},
        {{.parameters = "parameters = 'x',"}, "field parameters: found a string"},
        {{.parameters = "parameters = {},"}, "field parameters.type: found nothing"},
        {{.parameters = "parameters = {type = 'string'},"}, "field parameters.type: found string"},
        {{.parameters = "parameters = {type = 'object', required = {'a'}},"},
         "field parameters.required: a is not among the properties"},
        {{.parameters = "parameters = {type = 'object', required = {}},"}, NULL},
        {{.parameters = "parameters = {type = 'object', properties = {1}},"},
         "field parameters.properties: found a list, expected a table"},
        {{.effect = ""}, "field effect is missing"},
        {{.effect = "effect = 'maybe',"}, "field effect: found maybe, expected pure, idempotent"},
        {{.run = ""}, "field run is missing"},
        {{.run = "run = 'function() end'"}, "field run: found a string, expected a function"},
        {{.rest = "capabilites = {},"}, "unknown field \"capabilites\"; a tool has name"},
        {{.rest = "capabilities = {net = true},"}, "field capabilities: unknown \"net\""},
        {{.rest = "capabilities = {fs = 'w'},"}, "field capabilities.fs: found w, expected \"r\""},
        {{.rest = "capabilities = {clock = 'yes'},"}, "field capabilities.clock: found yes"},
        {{.rest = "capabilities = 'all',"}, "field capabilities: found a string"},
        {{.rest = "limits = {wall_ms = 0},"}, "field limits.wall_ms: expected a whole number"},
        {{.rest = "limits = {memory_mb = 1.5},"},
         "field limits.memory_mb: expected a whole number"},
        {{.rest = "limits = {memory_mb = 1e9},"},
         "field limits.memory_mb: expected a whole number"},
        {{.rest = "limits = {files = 3},"}, "field limits: unknown \"files\""},
        {{.rest = "limits = {wall_ms = 50}, capabilities = {fs = 'rw', memory = 'r'},"}, NULL},
        {{.rest = "extra = function() end,"}, "unknown field \"extra\""},
        {{.run = "run = function() return 1"}, "x.lua:1: "},
        {{.run = "run = function() end, [1] = 2"}, "keys must be all strings"},
        {{.run = "run = error('at load')"}, "at load"},
        {{.run = "run = (function() while true do end end)()"}, "CPU time"},
        {{.run = "run = ('x'):rep(1 << 40)"}, "x.lua: "},
    };
    char *dir = temp_dir(), *path = path_join(dir, "x.lua");
    const char *dirs[] = {dir};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *source = tool_source(rows[i].f);
        temp_file(dir, "x.lua", source);
        err e = {ERR_NONE, ""};
        tool_set *ts = tool_set_open(box, dirs, 1, NULL, &host, &e);
        bool right = rows[i].message ? !ts && strstr(e.msg, rows[i].message) &&
                                           strncmp(e.msg, path, strlen(path)) == 0
                                     : ts != NULL;
        if (!right) fail_msg("%s\n  %s", source, ts ? "accepted" : e.msg);
        if (!ts) assert_int_equal(e.code, ERR_INPUT);
        tool_set_close(ts);
        free(source);
    }
    free(path);
    temp_remove(dir);
}

static void folders(void **state)
{
    (void)state;
    char *a = temp_dir(), *b = temp_dir();
    char *one = tool_source((struct fields){.name = "name = 'one',"});
    char *two = tool_source((struct fields){.name = "name = 'two',"});
    char *new_one =
        tool_source((struct fields){.name = "name = 'one',", .effect = "effect = 'once',"});
    err e = {ERR_NONE, ""};
    temp_file(a, "b.lua", two);
    temp_file(a, "c.lua", one);
    temp_file(a, ".hidden.lua", "syntax error");
    temp_file(a, "notes.txt", "not a tool");
    temp_file(b, "z.lua", new_one);
    const char *dirs[] = {a, b};
    tool_set *ts = tool_set_open(box, dirs, 2, NULL, &host, &e);
    assert_non_null(ts);
    assert_int_equal(tool_set_size(ts), 2);
    assert_string_equal(tool_set_at(ts, 0)->name, "one");
    assert_int_equal(tool_set_at(ts, 0)->effect, EFFECT_ONCE); // the later folder won
    assert_int_equal(strlen(tool_set_at(ts, 0)->sha256), 64);
    assert_null(tool_set_find(ts, "three"));
    tool_unknown(ts, "three", &e);
    assert_string_equal(e.msg, "there is no tool \"three\"; the tools are: one, two");
    tool_set_close(ts);

    temp_file(a, "d.lua", one);
    assert_null(tool_set_open(box, dirs, 1, NULL, &host, &e));
    assert_non_null(strstr(e.msg, "d.lua: field name: \"one\" is also the name in "));

    const char *none[] = {"/nonexistent"};
    assert_null(tool_set_open(box, none, 1, NULL, &host, &e));
    assert_non_null(strstr(e.msg, "/nonexistent"));
    assert_null(tool_set_open(box, dirs, 0, "/nonexistent", &host, &e));
    assert_non_null(strstr(e.msg, "workspace /nonexistent"));

    char *fifo = path_join(b, "fifo.lua");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    const char *only_b[] = {b};
    assert_null(tool_set_open(box, only_b, 1, NULL, &host, &e)); // and does not hang
    assert_non_null(strstr(e.msg, "fifo.lua: expected a regular file"));
    unlink(fifo);
    char *big = mem_new(300 * 1024);
    memset(big, ' ', 300 * 1024 - 1);
    temp_file(b, "y.lua", big);
    assert_null(tool_set_open(box, only_b, 1, NULL, &host, &e));
    assert_non_null(strstr(e.msg, "y.lua: 307199 bytes, at most 262144"));
    temp_file(b, "y.lua", "");
    assert_null(tool_set_open(box, only_b, 1, NULL, &host, &e));
    assert_non_null(strstr(e.msg, "y.lua: the file is empty"));
    free(big), free(fifo), free(one), free(two), free(new_one);
    temp_remove(a), temp_remove(b);
}

// --- calls

struct fixture {
    char *dir, *workspace;
    tool_set *ts;
};

// One tool `x` with this run body and these other fields.
static struct fixture fixture_open(const char *rest, const char *body, const struct tool_host *h)
{
    struct fixture f = {.dir = temp_dir(), .workspace = temp_dir()};
    char *run = mem_printf("run = function(args, ctx) %s end", body);
    char *source = tool_source((struct fields){.rest = rest, .run = run});
    temp_file(f.dir, "x.lua", source);
    temp_file(f.workspace, "a.txt", "hello");
    const char *dirs[] = {f.dir};
    err e;
    f.ts = tool_set_open(box, dirs, 1, f.workspace, h, &e);
    if (!f.ts) fail_msg("%s: %s", source, e.msg);
    free(source);
    free(run);
    return f;
}

static void fixture_close(struct fixture *f)
{
    tool_set_close(f->ts);
    temp_remove(f->dir);
    temp_remove(f->workspace);
}

static void results_are_text(void **state)
{
    (void)state;
    static const struct {
        const char *rest, *body;
        bool ok;
        const char *text; // ~: contains
    } rows[] = {
        {"", "return 'plain'", true, "plain"},
        {"", "return 0.1", true, "0.1"},
        {"", "return 2.0", true, "2.0"},
        {"", "return 1e300", true, "1e+300"},
        {"", "return {b = {1, 2.5}, a = 'q\"'}", true, "{\"a\": \"q\\\"\", \"b\": [1, 2.5]}"},
        {"", "return nil", true, "null"},
        {"", "return true", true, "true"},
        {"", "error('broken')", false, "x.lua:1: broken"},
        {"", "return nil, 'not today'", false, "not today"},
        {"", "return print", false, "result: a function has no JSON form"},
        {"", "return '\\xff'", false, "~not UTF-8"},
        {"limits = {cpu_ms = 100},", "while true do end", false,
         "~x was stopped: x.lua:1: still running after 100 ms of CPU time"},
        {"limits = {wall_ms = 100},", "while true do end", false,
         "x was stopped: no answer within 100 ms"},
        {"", "return ('x'):rep(10 << 30)", false, "x.lua:1: resulting string too large"},
        {"", "return ('x'):rep(1 << 30)", false, "x was stopped: needed more memory than 64 MB"},
        {"", "return ('x'):rep(8 << 20)", false, "~x was stopped: the result is larger than"},
        {"limits = {output_kb = 1},", "return ('\\u{20ac}'):rep(1000)", true,
         "~[truncated: 1023 of 3000 bytes are shown]"},
        {"", "return ctx.fs == nil and ctx.memory == nil and ctx.now_us == nil", true, "true"},
        {"", "return ctx.fs.read('a.txt')", false, "~attempt to index a nil value (field 'fs')"},
        {"capabilities = {fs = 'r'},", "return ctx.fs.read('a.txt')", true, "hello"},
        {"capabilities = {fs = 'r'},", "return ctx.fs.write == nil", true, "true"},
        {"capabilities = {fs = 'r'},", "return ctx.fs.stat('a.txt')", true,
         "{\"size\": 5, \"type\": \"file\"}"},
        {"capabilities = {fs = 'rw'},", "return ctx.fs.write('b.txt', 'xyz')", true, "3"},
        {"capabilities = {fs = 'rw'},", "return ctx.fs.write('b.txt')", false,
         "b.txt: expected the text to write (a string)"},
        {"capabilities = {fs = 'rw'},", "return ctx.fs.write(5, 5)", false,
         "expected a path (a string)"},
        {"capabilities = {fs = 'rw'},",
         "for i = 1, 300 do local ok, why = ctx.fs.write('f' .. i, '') if not ok then return why "
         "end end",
         true, "f201: one call may write 16 MB and 200 files"},
        {"capabilities = {memory = 'r'},", "return ctx.memory.recall('x')", false,
         "there is no memory here"},
        {"capabilities = {memory = 'r'},", "return ctx.memory.remember == nil", true, "true"},
        {"capabilities = {clock = true},", "return ctx.now_us > 1e15 and os.time() > 1e9", true,
         "true"},
        {"capabilities = {clock = false},", "return os.time()", false, "~no clock"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fixture f = fixture_open(rows[i].rest, rows[i].body, &host);
        struct tool_result r;
        err e;
        json_t *args = json_object();
        assert_int_equal(tool_call(f.ts, tool_set_at(f.ts, 0), args, NULL, &r, &e), 0);
        const char *want = rows[i].text;
        bool same = *want == '~' ? strstr(r.text, want + 1) != NULL : strcmp(r.text, want) == 0;
        if (r.ok != rows[i].ok || !same)
            fail_msg("%s: %d \"%.300s\", expected %d \"%s\"", rows[i].body, r.ok, r.text,
                     rows[i].ok, want);
        tool_result_free(&r);
        json_decref(args);
        fixture_close(&f);
    }
}

static void *raise_flag(void *flag)
{
    usleep(50000);
    *(volatile int *)flag = 1;
    return NULL;
}

static void a_call_can_be_cancelled(void **state)
{
    (void)state;
    struct fixture f = fixture_open("limits = {cpu_ms = 4000},", "while true do end", &host);
    int flag = 0;
    pthread_t t;
    pthread_create(&t, NULL, raise_flag, &flag);
    struct tool_result r;
    err e;
    json_t *args = json_object();
    int64_t begin = clock_us();
    assert_int_equal(tool_call(f.ts, tool_set_at(f.ts, 0), args, &flag, &r, &e), -1);
    assert_int_equal(e.code, ERR_CANCELLED);
    assert_in_range(clock_us() - begin, 40000, 500000);
    pthread_join(t, NULL);
    json_decref(args);
    fixture_close(&f);
}

static void without_a_check_nothing_is_called(void **state)
{
    (void)state;
    struct tool_host none = {0};
    struct fixture f = fixture_open("", "return 1", &none);
    struct tool_result r;
    err e;
    json_t *args = json_object();
    assert_int_equal(tool_call(f.ts, tool_set_at(f.ts, 0), args, NULL, &r, &e), -1);
    assert_int_equal(e.code, ERR_REFUSED);
    json_decref(args);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manifests_with_mistakes),
        cmocka_unit_test(folders),
        cmocka_unit_test(results_are_text),
        cmocka_unit_test(a_call_can_be_cancelled),
        cmocka_unit_test(without_a_check_nothing_is_called),
    };
    return cmocka_run_group_tests(tests, open_box, close_box);
}
