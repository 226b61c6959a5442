// One call inside the child, after the doors are shut. The state of a call is one static struct:
// the process is the scope. Nothing is freed and lua_close never runs; _exit is the destructor,
// which also means that no finalizer of a script runs after its result is out.
//
// The child is honest until a script breaks the interpreter, so its checks (output size, CPU hook,
// status names) exist for clear messages only. Whatever it says, the parent checks again.
#include "sandbox/box_lua.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "sandbox/box_env.h"
#include "sandbox/frame.h"
#include "sandbox/lua_json.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef HEARTH_BOX_TEETH
#include "sandbox/box_attack.h"
#endif

enum { HOOK_EVERY = 100000, ERROR_TEXT_MAX = 4000 };

static struct {
    const struct box_spawn *spawn;
    size_t heap, heap_max; // bytes of Lua's heap
    int64_t started_us;
    int64_t n_call; // service calls made
    const char *chunk, *entry;
    char *source;
    size_t source_len;
    json_t *args, *ctx, *services;
    buf result; // JSON text of the answer
    const char *fail_status;
} box;

// --- the channel

static void channel_write(const char *p, size_t n)
{
    while (n) {
        ssize_t k = write(BOX_CHANNEL_FD, p, n);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) _exit(1); // the parent is gone
        p += k;
        n -= (size_t)k;
    }
}

static void channel_send(const buf *payload)
{
    buf out = buf_new(payload->n + FRAME_HEAD);
    frame_put(&out, payload->p, payload->n);
    channel_write(out.p, out.n);
    buf_free(&out);
}

static void channel_read(char *p, size_t n)
{
    while (n) {
        ssize_t k = read(BOX_CHANNEL_FD, p, n);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) _exit(1);
        p += k;
        n -= (size_t)k;
    }
}

// One whole frame from the parent; the caller frees.
static char *channel_take(size_t max, size_t *n)
{
    char head[FRAME_HEAD];
    channel_read(head, sizeof head);
    size_t size = 0;
    for (int i = 0; i < FRAME_HEAD; i++) size |= (size_t)(unsigned char)head[i] << (8 * i);
    if (size > max) _exit(1);
    char *p = mem_try(size + 1);
    if (!p) _exit(BOX_EXIT_MEMORY);
    channel_read(p, size);
    *n = size;
    return p;
}

// --- last words

// Error texts come from anywhere; what is not UTF-8 is shown as '?'.
static void put_error_text(buf *out, const char *s, size_t n)
{
    buf clean = buf_new(ERROR_TEXT_MAX);
    while (n && clean.n < ERROR_TEXT_MAX - 4) {
        uint32_t cp;
        int k = utf8_decode(s, n, &cp);
        if (k && cp)
            buf_put(&clean, s, (size_t)k);
        else
            buf_byte(&clean, '?');
        s += k ? k : 1;
        n -= k ? (size_t)k : 1;
    }
    json_write_string(out, buf_text(&clean), clean.n);
    buf_free(&clean);
}

static _Noreturn void finish_fail(const char *status, const char *text, size_t n)
{
    buf out = buf_new(ERROR_TEXT_MAX * 8);
    buf_printf(&out, "{\"type\":\"fail\",\"status\":\"%s\",\"started\":%lld,\"text\":", status,
               (long long)box.started_us);
    put_error_text(&out, text, n);
    buf_byte(&out, '}');
    channel_send(&out);
    _exit(0);
}

static _Noreturn void finish_done(void)
{
    buf out = buf_new(box.result.n + 100);
    buf_printf(&out, "{\"type\":\"done\",\"started\":%lld,\"value\":", (long long)box.started_us);
    buf_put(&out, box.result.p, box.result.n);
    buf_byte(&out, '}');
    channel_send(&out);
    _exit(0);
}

_Noreturn void box_refuse(const char *step, int errno_value)
{
    buf out = buf_new(200);
    buf_printf(&out, "{\"type\":\"refused\",\"step\":\"%s\",\"errno\":%d}", step, errno_value);
    channel_send(&out);
    _exit(0);
}

// --- limits that can speak

static void *heap_alloc(void *unused, void *p, size_t old, size_t want)
{
    (void)unused;
    size_t had = p ? old : 0; // for a new object `old` is its type
    if (want == 0) {
        free(p);
        box.heap -= had;
        return NULL;
    }
    if (want > had && want - had > box.heap_max - box.heap) return NULL;
    void *q = realloc(p, want);
    if (q) box.heap = box.heap - had + want;
    return q;
}

static int64_t cpu_used_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

// Says where a loop is. A script can catch this error and go on; the kernel's timer ends it then.
static void cpu_hook(lua_State *L, lua_Debug *ar)
{
    if (cpu_used_us() < (int64_t)box.spawn->cpu_ms * 1000) return;
    box.fail_status = "timeout";
    lua_getinfo(L, "Sl", ar);
    lua_pushfstring(L, "%s:%d: still running after %d ms of CPU time", ar->short_src,
                    ar->currentline, (int)box.spawn->cpu_ms);
    lua_error(L);
}

// --- services

static void send_call(lua_State *L, const char *service)
{
    buf out = buf_new(FRAME_CALL_MAX);
    buf_printf(&out,
               "{\"type\":\"call\",\"id\":%lld,\"service\":\"%s\",\"started\":%lld,\"args\":[",
               (long long)++box.n_call, service, (long long)box.started_us);
    int n = lua_gettop(L);
    for (int i = 1; i <= n; i++) {
        char what[40];
        snprintf(what, sizeof what, "argument %d", i);
        if (i > 1) buf_byte(&out, ',');
        lua_json_write(L, i, what, 0, &out);
    }
    buf_str(&out, "]}");
    if (out.full) {
        buf_free(&out);
        box.n_call--;
        luaL_error(L, "ctx.%s: arguments of more than 4 MB", service);
    }
    channel_send(&out);
    buf_free(&out);
}

// ctx.fs.read(...) and all others: value, or nil and the reason.
static int l_service(lua_State *L)
{
    const char *service = lua_tostring(L, lua_upvalueindex(1));
    if (box.n_call == FRAME_SERVICE_CALLS_MAX)
        return luaL_error(L, "more than %d calls of ctx", FRAME_SERVICE_CALLS_MAX);
    send_call(L, service);
    size_t n;
    char *payload = channel_take(FRAME_REPLY_MAX, &n);
    struct reply r;
    err e;
    if (reply_parse(payload, n, box.n_call, &r, &e) < 0) _exit(1);
    free(payload);
    if (r.value)
        lua_json_push(L, r.value);
    else
        lua_pushnil(L);
    if (r.error) lua_pushstring(L, r.error);
    json_decref(r.json);
    return r.error ? 2 : 1;
}

// "fs.read" becomes ctx.fs.read.
static void add_service(lua_State *L, int ctx, const char *name)
{
    const char *dot = strchr(name, '.');
    lua_pushvalue(L, ctx);
    if (dot) {
        lua_pushlstring(L, name, (size_t)(dot - name));
        lua_pushvalue(L, -1);
        if (lua_rawget(L, ctx) != LUA_TTABLE) {
            lua_pop(L, 1);
            lua_newtable(L);
            lua_pushvalue(L, -2);
            lua_pushvalue(L, -2);
            lua_rawset(L, ctx);
        }
    }
    lua_pushstring(L, name);
    lua_pushcclosure(L, l_service, 1);
    lua_setfield(L, -2, dot ? dot + 1 : name);
    lua_settop(L, ctx);
}

// --- the call

static void push_ctx(lua_State *L)
{
    if (json_is_object(box.ctx))
        lua_json_push(L, box.ctx);
    else
        lua_newtable(L);
    int ctx = lua_gettop(L);
    size_t i;
    json_t *name;
    json_array_foreach(box.services, i, name) add_service(L, ctx, json_string_value(name));
}

static void open_globals(lua_State *L, int ctx)
{
    if (box.spawn->layers_off & BOX_LUA)
        luaL_openlibs(L);
    else
        box_env_open(L, ctx);
    lua_json_open(L);
    lua_setglobal(L, "json");
#ifdef HEARTH_BOX_TEETH
    box_attack_open(L);
#endif
}

// Turns the error value on the top of the stack into a string. It may run a script's __tostring,
// which may raise, so it is called protected.
static int l_failure_text(lua_State *L)
{
    if (lua_istable(L, 1) && lua_getfield(L, 1, "message") == LUA_TSTRING) return 1;
    box_env_text(L, 1);
    return 1;
}

// Raises with exactly this text.
static int give_up(lua_State *L, const char *status)
{
    box.fail_status = status;
    return lua_error(L);
}

static void call_run(lua_State *L, int ctx)
{
    if (!lua_istable(L, -1)) {
        lua_pushfstring(L, "%s: expected it to return a table, found %s", box.chunk,
                        luaL_typename(L, -1));
        give_up(L, "error");
    }
    if (lua_getfield(L, -1, "run") != LUA_TFUNCTION) {
        lua_pushfstring(L, "%s: field run: expected a function, found %s", box.chunk,
                        luaL_typename(L, -1));
        give_up(L, "error");
    }
    lua_json_push(L, box.args);
    lua_pushvalue(L, ctx);
    lua_call(L, 2, 2);
    if (lua_isnil(L, -2) && !lua_isnil(L, -1)) { // nil, "why"
        lua_pushcfunction(L, l_failure_text);
        lua_insert(L, -2);
        lua_call(L, 1, 1);
        give_up(L, "error");
    }
    lua_pop(L, 1);
}

static int protected_call(lua_State *L)
{
    int bytecode = box.spawn->layers_off & BOX_LUA;
    push_ctx(L);
    int ctx = lua_gettop(L);
    open_globals(L, ctx);
    if (!(box.spawn->layers_off & BOX_RLIMIT)) lua_sethook(L, cpu_hook, LUA_MASKCOUNT, HOOK_EVERY);
    box.started_us = clock_us();
    lua_pushfstring(L, "@%s", box.chunk);
    if (luaL_loadbufferx(L, box.source, box.source_len, lua_tostring(L, -1),
                         bytecode ? "bt" : "t") != LUA_OK)
        return lua_error(L);
    lua_call(L, 0, 1);
    int manifest = strcmp(box.entry, "manifest") == 0;
    if (!manifest) call_run(L, ctx);
    lua_sethook(L, NULL, 0, 0);
    lua_json_write(L, -1, manifest ? box.chunk : "result", manifest, &box.result);
    if (box.result.full) {
        lua_pushfstring(L, "the result is larger than %d KB", (int)box.spawn->output_kb);
        give_up(L, "output");
    }
    return 0;
}

static void run(void)
{
    box.heap_max =
        box.spawn->layers_off & BOX_RLIMIT ? SIZE_MAX / 2 : (size_t)box.spawn->memory_mb << 20;
    box.result = buf_new((size_t)box.spawn->output_kb * 1024);
    lua_State *L = lua_newstate(heap_alloc, NULL);
    if (!L) _exit(BOX_EXIT_MEMORY);
    lua_pushcfunction(L, protected_call);
    int rc = lua_pcall(L, 0, 0, 0);
    if (rc == LUA_OK) return;
    size_t n;
    if (rc == LUA_ERRMEM) {
        static const char text[] = "out of memory";
        finish_fail("memory", text, sizeof text - 1);
    }
    lua_pushcfunction(L, l_failure_text);
    lua_insert(L, -2);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
        lua_pop(L, 1);
        lua_pushliteral(L, "an error that cannot be shown: its __tostring failed");
    }
    const char *text = lua_tolstring(L, -1, &n);
    finish_fail(box.fail_status ? box.fail_status : "error", text, n);
}

static void take_request(void)
{
    size_t n;
    char *payload = channel_take(FRAME_REQUEST_MAX, &n);
    json_t *j = json_loadb(payload, n, 0, NULL);
    free(payload);
    if (!j || json_unpack(j, "{s:s,s:s,s:o,s:o,s:o}", "chunk", &box.chunk, "entry", &box.entry,
                          "args", &box.args, "ctx", &box.ctx, "services", &box.services) < 0)
        _exit(1);
    box.source = channel_take(FRAME_SOURCE_MAX, &box.source_len);
}

_Noreturn void box_serve(const struct box_spawn *spawn)
{
    box.spawn = spawn;
    take_request();
    run();
    finish_done();
}

void box_warm(void)
{
    static const char script[] =
        "local t = {} for i = 1, 20 do t[i] = ('%d'):format(i) .. ('x'):rep(i) end "
        "table.sort(t) local s = table.concat(t):gsub('x', 'y') "
        "return {a = 1.5, run = pcall, list = t, text = s, pcall(error, 'x')}";
    static const struct box_spawn spawn = {.cpu_ms = 1000, .memory_mb = 16, .output_kb = 64};
    box.spawn = &spawn;
    box.heap_max = 16 << 20;
    box.chunk = "warm";
    box.entry = "run";
    box.source = (char *)(uintptr_t)script;
    box.source_len = sizeof script - 1;
    json_t *j = json_loads("{\"a\":[1,2.5,\"x\",null]}", 0, NULL);
    box.args = box.ctx = j;
    box.result = buf_new(65536);
    tzset(); // the local time zone, read while files can be read
    lua_State *L = lua_newstate(heap_alloc, NULL);
    lua_pushcfunction(L, protected_call);
    lua_pcall(L, 0, 0, 0);
    lua_close(L);
    buf_free(&box.result);
    json_decref(j);
    memset(&box, 0, sizeof box);
}
