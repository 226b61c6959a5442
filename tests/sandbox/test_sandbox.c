// If this fails, a tool call may hang, leak, answer with something that is not JSON, outlive its
// limits, or take the caller down with it.
#include "test.h"

#include "base/clock.h"
#include "base/mem.h"
#include "sandbox/sandbox.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static sandbox *box;

static int open_box(void **state)
{
    (void)state;
    err e;
    struct sandbox_options o = {.box_path = HEARTH_BINARY_DIR "/hearth-box"};
    box = sandbox_open(&o, &e);
    if (!box) print_message("sandbox_open: %s\n", e.msg);
    return box ? 0 : -1;
}

static int close_box(void **state)
{
    (void)state;
    sandbox_close(box);
    return 0;
}

// Wraps a body into a tool file: `return {run = function(args, ctx) BODY end}`.
static struct box_result run_body(const char *body, struct box_request q)
{
    char *source = mem_printf("return {run = function(args, ctx) %s end}", body);
    q.source = source;
    q.source_len = strlen(source);
    q.chunk_name = "t.lua";
    q.entry = "run";
    struct box_result r;
    err e = {ERR_NONE, ""};
    int rc = sandbox_run(box, &q, &r, &e);
    if (rc != 0) print_message("%s: %s\n", body, e.msg);
    assert_int_equal(rc, 0);
    free(source);
    return r;
}

static void expect_text(const char *body, enum box_status status, const char *part)
{
    struct box_result r = run_body(body, (struct box_request){0});
    if (r.status != status || !r.text || !strstr(r.text, part))
        fail_msg("%.200s: status %d, text \"%.300s\"; expected %d, \"%s\"", body, r.status,
                 r.text ? r.text : "", status, part);
    box_result_free(&r);
}

static void expect_json(const char *body, const char *args, const char *expected)
{
    json_t *a = json_loads(args, JSON_DECODE_ANY, NULL);
    json_t *want = json_loads(expected, JSON_DECODE_ANY, NULL);
    struct box_result r = run_body(body, (struct box_request){.args = a});
    char *got = r.value ? json_dumps(r.value, JSON_ENCODE_ANY) : mem_str(r.text ? r.text : "");
    if (r.status != BOX_OK || !json_equal(r.value, want))
        fail_msg("%.200s: status %d, %s; expected %s", body, r.status, got, expected);
    free(got);
    json_decref(a);
    json_decref(want);
    box_result_free(&r);
}

static void values_cross_the_border(void **state)
{
    (void)state;
    static const struct {
        const char *body, *args, *value;
    } rows[] = {
        {"return args.a + args.b", "{\"a\":2,\"b\":3}", "5"},
        {"return args", "{\"a\":[1,2.5,\"x\",null,true],\"o\":{}}",
         "{\"a\":[1,2.5,\"x\",null,true],\"o\":{}}"},
        {"return args", "[]", "[]"},
        {"return args", "[[],{}]", "[[],{}]"},
        {"return {}", "null", "{}"},
        {"return json.array{}", "null", "[]"},
        {"return {1,2,3}", "null", "[1,2,3]"},
        {"return json.null", "null", "null"},
        {"return nil", "null", "null"},
        {"return {a = json.null}", "null", "{\"a\":null}"},
        {"return 2.0", "null", "2.0"},
        {"return 7 // 2", "null", "3"},
        {"return 9223372036854775807", "null", "9223372036854775807"},
        {"return math.type(args[1]) .. math.type(args[2])", "[1,1.0]", "\"integerfloat\""},
        {"return 0.1", "null", "0.1"},
        {"return 1e300", "null", "1e300"},
        {"return 'line\\n\"quoted\" \\\\ \\t caf\\u{e9}'", "null",
         "\"line\\n\\\"quoted\\\" \\\\ \\t caf\\u00e9\""},
        {"return args == json.null", "null", "true"},
        {"return json.decode('{\"a\":[1]}').a[1]", "null", "1"},
        {"return json.encode({b = 1, a = {true}})", "null", "\"{\\\"a\\\":[true],\\\"b\\\":1}\""},
        {"return '10' + 1", "null", "11"},
        {"return ('x'):rep(3) .. ('%d-%s'):format(4, {})", "null", "\"xxx4-table\""},
        {"return load('return 1 + 1')()", "null", "2"},
        {"return load('return x', 'n', 't', {x = 5})()", "null", "5"},
        {"return select('#', table.unpack({1, 2, 3}))", "null", "3"},
        {"return type(os.time{year = 2026, month = 1, day = 2})", "null", "\"number\""},
        {"return os.date('!%Y-%m-%d', 0)", "null", "\"1970-01-01\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_json(rows[i].body, rows[i].args, rows[i].value);
}

static void failures_have_words(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        enum box_status status;
        const char *text;
    } rows[] = {
        {"error('no such city')", BOX_ERROR, "no such city"},
        {"error('plain', 0)", BOX_ERROR, "plain"},
        {"error{message = 'from a table'}", BOX_ERROR, "from a table"},
        {"error({})", BOX_ERROR, "table"},
        {"error()", BOX_ERROR, "nil"},
        {"return nil, 'not found'", BOX_ERROR, "not found"},
        {"return function() end", BOX_ERROR, "result: a function has no JSON form"},
        {"return {a = {print}}", BOX_ERROR, "result.a[1]: a function has no JSON form"},
        {"return 0/0", BOX_ERROR, "result: NaN has no JSON form"},
        {"return {1, math.huge}", BOX_ERROR, "result[2]: infinity has no JSON form"},
        {"local t = {} t.t = t return t", BOX_ERROR, "nested deeper than 64, or a cycle"},
        {"return '\\xff'", BOX_ERROR, "not UTF-8"},
        {"return 'a\\0b'", BOX_ERROR, "NUL"},
        {"return {['\\xff'] = 1}", BOX_ERROR, "not UTF-8"},
        {"return {1, x = 2}", BOX_ERROR, "keys must be all strings"},
        {"return {[2] = 1}", BOX_ERROR, "keys must be all strings"},
        {"return coroutine.create(print)", BOX_ERROR, "a thread has no JSON form"},
        {"return json.encode{print}", BOX_ERROR, "value[1]: a function has no JSON form"},
        {"return json.encode(('x'):rep(5 << 20))", BOX_ERROR, "more than 4 MB of JSON"},
        {"return nil + 1", BOX_ERROR, "t.lua:1: attempt to perform arithmetic on a nil value"},
        {"return io.open('/etc/passwd')", BOX_ERROR, "nil value (global 'io')"},
        {"return os.time()", BOX_ERROR, "no clock"},
        {"return ('x'):rep(300 * 1024)", BOX_OUTPUT, "larger than 256 KB"},
        {"return ('x'):rep(1 << 30)", BOX_MEMORY, "more memory than 64 MB"},
        {"local t = {} for i = 1, 1e9 do t[i] = i end", BOX_MEMORY, "64 MB"},
        {"local s = 'x' while true do s = s .. s end", BOX_MEMORY, "64 MB"},
        {"local function f() return f() + 1 end return f()", BOX_MEMORY, "64 MB"},
        {"return string.format('%p', {})", BOX_ERROR, "not available"},
        {"setmetatable({}, {__gc = print})", BOX_ERROR, "__gc is not available"},
        {"collectgarbage()", BOX_ERROR, "only \"count\""},
        {"return setmetatable(json.array{}, {})", BOX_ERROR, "protected metatable"},
        {"error(setmetatable({}, {__tostring = function() error('again') end}))", BOX_ERROR,
         "cannot be shown"},
        {"error('\\xff\\0bytes', 0)", BOX_ERROR, "??bytes"},
        {"return require('x')", BOX_ERROR, "nil value (global 'require')"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_text(rows[i].body, rows[i].status, rows[i].text);
}

static void a_chunk_that_is_no_tool(void **state)
{
    (void)state;
    static const struct {
        const char *source, *entry;
        enum box_status status;
        const char *text;
    } rows[] = {
        {"return 5", "run", BOX_ERROR, "t.lua: expected it to return a table, found number"},
        {"return {}", "run", BOX_ERROR, "t.lua: field run: expected a function, found nil"},
        {"return {run = 1}", "run", BOX_ERROR, "field run: expected a function, found number"},
        {"return {", "run", BOX_ERROR, "t.lua:1:"},
        {"\x1bLua", "run", BOX_ERROR, "attempt to load a binary chunk"},
        {"x = = 2", "manifest", BOX_ERROR, "unexpected symbol"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct box_request q = {.source = rows[i].source,
                                .source_len = strlen(rows[i].source),
                                .chunk_name = "t.lua",
                                .entry = rows[i].entry};
        struct box_result r;
        err e;
        assert_int_equal(sandbox_run(box, &q, &r, &e), 0);
        if (r.status != rows[i].status || !strstr(r.text, rows[i].text))
            fail_msg("%s: %d %s", rows[i].source, r.status, r.text);
        box_result_free(&r);
    }
}

static void manifests_show_their_functions(void **state)
{
    (void)state;
    static const char source[] = "return {name = 'x', run = function() end, list = {1}}";
    struct box_request q = {source, sizeof source - 1, "m.lua", "manifest"};
    struct box_result r;
    err e;
    assert_int_equal(sandbox_run(box, &q, &r, &e), 0);
    assert_int_equal(r.status, BOX_OK);
    char *text = json_dumps(r.value, JSON_COMPACT);
    assert_string_equal(text, "{\"list\":[1],\"name\":\"x\",\"run\":\"function\"}");
    free(text);
    box_result_free(&r);
}

// --- services

static json_t *service(void *user, const char *name, const json_t *args, err *why)
{
    int *calls = user;
    ++*calls;
    if (strcmp(name, "echo") == 0) return json_incref(json_array_get(args, 0));
    if (strcmp(name, "fs.read") == 0)
        return json_sprintf("content of %s", json_string_value(json_array_get(args, 0)));
    if (strcmp(name, "big.get") == 0) {
        char *s = mem_new(6 << 20);
        memset(s, 'x', (6 << 20) - 1);
        json_t *j = json_string(s);
        free(s);
        return j;
    }
    err_set(why, ERR_FAILED, "%s: no such file", "a.txt");
    return NULL;
}

static void services_answer(void **state)
{
    (void)state;
    static const struct {
        const char *body, *value;
        int calls;
    } rows[] = {
        {"return ctx.fs.read('a')", "\"content of a\"", 1},
        {"return {ctx.fs.write('a')}", "{\"1\":0}", 1}, // nil, why: replaced below
        {"return ctx.echo({a = {1, 2.5}})", "{\"a\":[1,2.5]}", 1},
        {"local n = 0 for i = 1, 200 do n = n + ctx.echo(i) end return n", "20100", 200},
        {"return #ctx.big.get()", "6291455", 1},
        {"return ctx.workspace .. ctx.now_us", "\"w5\"", 0},
        {"return os.time()", "0", 0},
        {"return ctx.memory == nil and ctx.fs.list == nil", "true", 0},
    };
    json_t *names = json_pack("[s,s,s,s]", "fs.read", "fs.write", "echo", "big.get");
    json_t *ctx = json_pack("{s:s,s:i}", "workspace", "w", "now_us", 5);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int calls = 0;
        struct box_request q = {.ctx = ctx, .services = names, .on_call = service, .user = &calls};
        q.limits.memory_mb = 128;
        bool fails = strstr(rows[i].body, "fs.write") != NULL;
        struct box_result r =
            run_body(fails ? "local v, why = ctx.fs.write('a') return why" : rows[i].body, q);
        json_t *want = fails ? json_string("a.txt: no such file")
                             : json_loads(rows[i].value, JSON_DECODE_ANY, NULL);
        if (r.status != BOX_OK || !json_equal(r.value, want) || calls != rows[i].calls)
            fail_msg("%s: status %d, %s", rows[i].body, r.status, r.text ? r.text : "other value");
        json_decref(want);
        box_result_free(&r);
    }
    int calls = 0;
    struct box_request q = {.services = names, .on_call = service, .user = &calls};
    struct box_result r = run_body("while true do ctx.echo(1) end", q);
    assert_int_equal(r.status, BOX_ERROR);
    assert_non_null(strstr(r.text, "more than 1000 calls"));
    assert_int_equal(calls, 1000);
    box_result_free(&r);
    json_decref(names);
    json_decref(ctx);
}

// --- limits

static void deadlines_hold(void **state)
{
    (void)state;
    static const struct {
        const char *body, *text;
        int wall_ms, cpu_ms, at_most_ms;
    } rows[] = {
        {"while true do end", "still running after 100 ms of CPU time", 5000, 100, 2000},
        {"while true do pcall(function() while true do end end) end", "CPU time", 5000, 100, 2000},
        {"return ('a'):rep(40):find(('a?'):rep(40) .. ('a'):rep(40) .. 'b')", "", 300, 5000, 700},
        {"return ('a'):rep(200):find(('.-'):rep(20) .. 'b')", "CPU time", 5000, 100, 2000},
        {"coroutine.wrap(function() while true do end end)()", "CPU time", 5000, 100, 2000},
        {"while true do end", "no answer within 100 ms", 100, 5000, 500},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct box_request q = {.limits = {rows[i].wall_ms, rows[i].cpu_ms, 0, 0}};
        struct box_result r = run_body(rows[i].body, q);
        if (r.status != BOX_TIMEOUT || !strstr(r.text, rows[i].text) ||
            r.wall_us > (int64_t)rows[i].at_most_ms * 1000)
            fail_msg("%s: status %d after %lld us: %s", rows[i].body, r.status,
                     (long long)r.wall_us, r.text ? r.text : "");
        box_result_free(&r);
    }
}

static void *raise_flag(void *flag)
{
    usleep(100000);
    *(volatile int *)flag = 1;
    return NULL;
}

static void cancel_is_quick(void **state)
{
    (void)state;
    int flag = 0;
    pthread_t t;
    pthread_create(&t, NULL, raise_flag, &flag);
    struct box_request q = {.cancel = &flag, .limits = {5000, 5000, 0, 0}};
    struct box_result r = run_body("while true do end", q);
    pthread_join(t, NULL);
    assert_int_equal(r.status, BOX_CANCELLED);
    assert_in_range(r.wall_us, 90000, 500000); // 100 ms until the flag, 20 ms to see it, and noise
    box_result_free(&r);
}

static void bad_requests_are_named(void **state)
{
    (void)state;
    struct box_result r;
    err e;
    struct box_request q = {"return {}", 9, "t.lua", "manifest"};
    q.limits.wall_ms = -1;
    assert_int_equal(sandbox_run(box, &q, &r, &e), -1);
    assert_string_equal(e.msg, "t.lua: limits.wall_ms: found -1, expected 0 to 600000");
    assert_int_equal(e.code, ERR_INPUT);
    q.limits = (struct box_limits){0};
    q.source_len = (size_t)2 << 20;
    assert_int_equal(sandbox_run(box, &q, &r, &e), -1);
    assert_non_null(strstr(e.msg, "2097152 bytes of source"));
}

// --- the process

static int open_fds(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

// Processes whose parent is `parent`, zombies too.
static int children_of(int parent)
{
    char path[80];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", parent, parent);
    FILE *f = fopen(path, "r");
    if (!f) return -1;
    int n = 0, pid;
    while (fscanf(f, "%d", &pid) == 1) n++;
    fclose(f);
    return n;
}

static void many_calls_leave_nothing(void **state)
{
    (void)state;
    struct sandbox_status st;
    sandbox_get_status(box, &st);
    int before = open_fds();
    for (int i = 0; i < 2000; i++) {
        struct box_result r = run_body(i % 10 ? "return 1" : "error('x')", (struct box_request){0});
        assert_int_equal(r.status, i % 10 ? BOX_OK : BOX_ERROR);
        box_result_free(&r);
    }
    assert_int_equal(open_fds(), before);
    int left = -1;
    for (int i = 0; i < 100 && left != 1; i++, usleep(10000)) left = children_of(st.zygote_pid);
    if (left == -1) print_message("children not counted: /proc/PID/task/PID/children is absent\n");
    if (left > 1) fail_msg("%d children left beside the one that waits for a call", left - 1);
    struct sandbox_status now;
    sandbox_get_status(box, &now);
    assert_int_equal(now.zygote_pid, st.zygote_pid);
}

static void a_dead_zygote_is_replaced(void **state)
{
    (void)state;
    struct sandbox_status st, now;
    sandbox_get_status(box, &st);
    assert_true(st.zygote_pid > 1);
    kill(st.zygote_pid, SIGKILL);
    usleep(50000);
    struct box_result r = run_body("return 1", (struct box_request){0});
    assert_int_equal(r.status, BOX_OK);
    box_result_free(&r);
    sandbox_get_status(box, &now);
    assert_int_equal(now.n_started, st.n_started + 1);
}

static json_t *kill_zygote(void *user, const char *name, const json_t *args, err *why)
{
    (void)user, (void)name, (void)args, (void)why;
    struct sandbox_status st;
    sandbox_get_status(box, &st);
    kill(st.zygote_pid, SIGKILL);
    return json_true();
}

static void a_zygote_that_dies_in_a_call(void **state)
{
    (void)state;
    static const char source[] = "return {run = function(a, ctx) ctx.die() while true do end end}";
    json_t *names = json_pack("[s]", "die");
    struct box_request q = {source, sizeof source - 1, "t.lua",
                            "run",  .services = names, .on_call = kill_zygote};
    struct box_result r;
    err e;
    assert_int_equal(sandbox_run(box, &q, &r, &e), -1);
    assert_int_equal(e.code, ERR_SYSTEM);
    assert_non_null(strstr(e.msg, "zygote died"));
    json_decref(names);
    struct box_result again = run_body("return 1", (struct box_request){0});
    assert_int_equal(again.status, BOX_OK);
    box_result_free(&again);
}

static void a_zygote_that_hangs(void **state)
{
    (void)state;
    static const char source[] = "return {run = function() return 1 end}";
    struct sandbox_status st, now;
    sandbox_get_status(box, &st);
    kill(st.zygote_pid, SIGSTOP);
    struct box_request q = {source, sizeof source - 1, "t.lua", "run", .limits = {100, 0, 0, 0}};
    struct box_result r;
    err e;
    assert_int_equal(sandbox_run(box, &q, &r, &e), -1);
    assert_non_null(strstr(e.msg, "the zygote started no process in 100 ms"));
    struct box_result again = run_body("return 1", (struct box_request){0});
    assert_int_equal(again.status, BOX_OK);
    box_result_free(&again);
    sandbox_get_status(box, &now);
    assert_int_equal(now.n_started, st.n_started + 1);
}

static void *many_in_a_thread(void *ok)
{
    for (int i = 0; i < 100; i++) {
        char body[60];
        snprintf(body, sizeof body, "return %d", i);
        struct box_result r = run_body(body, (struct box_request){0});
        *(int *)ok += r.status == BOX_OK && json_integer_value(r.value) == i;
        box_result_free(&r);
    }
    return NULL;
}

static void calls_run_side_by_side(void **state)
{
    (void)state;
    pthread_t t[4];
    int ok[4] = {0};
    for (int i = 0; i < 4; i++) pthread_create(&t[i], NULL, many_in_a_thread, &ok[i]);
    for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
    for (int i = 0; i < 4; i++) assert_int_equal(ok[i], 100);
}

static void a_box_that_is_none(void **state)
{
    (void)state;
    static const char *const paths[] = {"/nonexistent/hearth-box", "/bin/true", "/etc/passwd"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        err e;
        struct sandbox_options o = {.box_path = paths[i]};
        assert_null(sandbox_open(&o, &e));
        assert_int_equal(e.code, ERR_REFUSED);
        assert_non_null(strstr(e.msg, paths[i]));
    }
    err e;
    struct sandbox_options o = {.box_path = HEARTH_BINARY_DIR "/hearth-box", .layers_off = BOX_LUA};
    assert_null(sandbox_open(&o, &e));
    assert_non_null(strstr(e.msg, "does not switch layers off"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_cross_the_border),
        cmocka_unit_test(failures_have_words),
        cmocka_unit_test(a_chunk_that_is_no_tool),
        cmocka_unit_test(manifests_show_their_functions),
        cmocka_unit_test(services_answer),
        cmocka_unit_test(deadlines_hold),
        cmocka_unit_test(cancel_is_quick),
        cmocka_unit_test(bad_requests_are_named),
        cmocka_unit_test(many_calls_leave_nothing),
        cmocka_unit_test(a_dead_zygote_is_replaced),
        cmocka_unit_test(a_zygote_that_dies_in_a_call),
        cmocka_unit_test(a_zygote_that_hangs),
        cmocka_unit_test(calls_run_side_by_side),
        cmocka_unit_test(a_box_that_is_none),
    };
    return cmocka_run_group_tests(tests, open_box, close_box);
}
