// The C side of `require "hearth"`: a handful of functions over app_agent. Options and results
// cross as JSON, so that their checks and error texts are the same for scripts and for the command
// line.
#include "script.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "paths.h"
#include "sandbox/lua_json.h"
#include "workspace.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#define LIBRARY_CHUNK "@hearth.lua" // how scripts-lua/hearth.lua is named in Lua's own records

enum { SOURCE_MAX = 1 << 20, VALUE_MAX = 1 << 24, HOOK_COUNT = 10000 };

struct script {
    struct app *app;
    lua_State *L;
    char *dir;           // the script's folder: its own modules are found there
    int above;           // and in that many folders above it
    buf json;            // scratch of to_json; here, not on the C stack, since Lua errors jump
    err failure;         // the agent failure that an uncaught error carries
    int64_t deadline_us; // 0: none
};

static const char agent_type[] = "hearth.agent";

static struct script *script_of(lua_State *L)
{
    return *(struct script **)lua_getextraspace(L);
}

// ---- errors ----

// Where in the person's own script the call was made: the library's lines say nothing to them.
static void push_where(lua_State *L)
{
    lua_Debug ar;
    for (int level = 1; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        if (ar.currentline > 0 && strcmp(ar.source, LIBRARY_CHUNK) != 0) {
            lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
            return;
        }
    }
    lua_pushliteral(L, "");
}

// An error of the host becomes a Lua error whose text is the message; the class is kept for the
// exit code.
static int throw_err(lua_State *L, const err *e)
{
    script_of(L)->failure = *e;
    push_where(L);
    lua_pushstring(L, e->msg);
    lua_concat(L, 2);
    return lua_error(L);
}

static json_t *to_json(lua_State *L, int index, const char *what)
{
    struct script *s = script_of(L);
    err e;
    buf_clear(&s->json);
    lua_json_write(L, index, what, 0, &s->json);
    json_error_t bad;
    json_t *v =
        s->json.full ? NULL : json_loadb(buf_text(&s->json), s->json.n, JSON_DECODE_ANY, &bad);
    if (!v) {
        err_set(&e, ERR_INPUT, "%s: %s", what, s->json.full ? "too large" : bad.text);
        throw_err(L, &e);
    }
    return v;
}

// A string of the script as C text: what follows a NUL would be lost without a word.
static const char *text_at(lua_State *L, int index)
{
    size_t n;
    const char *text = lua_tolstring(L, index, &n);
    err e;
    if (!text) {
        err_set(&e, ERR_INPUT, "expected text, found %s", luaL_typename(L, index));
        throw_err(L, &e);
    } else if (strlen(text) != n) {
        err_set(&e, ERR_INPUT, "expected text, found a zero byte at %zu", strlen(text));
        throw_err(L, &e);
    }
    return text;
}

// ---- agents ----

static struct app_agent *agent_at(lua_State *L, int index)
{
    struct app_agent **box = luaL_checkudata(L, index, agent_type);
    if (!*box) luaL_error(L, "the agent is closed");
    return *box;
}

// A path in a script is meant from the script's folder, wherever the script is started.
static char *from_script(const struct script *s, const char *path)
{
    return path[0] == '/' || !*path ? mem_str(path) : path_join(s->dir, path);
}

static json_t *path_value(const struct script *s, const json_t *v)
{
    char *path = from_script(s, json_string_value(v));
    json_t *out = json_string(path);
    free(path);
    return out ? out : json_string("");
}

static void place_paths(const struct script *s, json_t *spec)
{
    json_t *workspace = json_object_get(spec, "workspace"),
           *dirs = json_object_get(spec, "tool_dirs");
    if (json_is_string(workspace)) json_object_set_new(spec, "workspace", path_value(s, workspace));
    for (size_t i = 0; i < json_array_size(dirs); i++)
        if (json_is_string(json_array_get(dirs, i)))
            json_array_set_new(dirs, i, path_value(s, json_array_get(dirs, i)));
}

static int core_agent(lua_State *L)
{
    struct app_agent **box = lua_newuserdatauv(L, sizeof *box, 0);
    *box = NULL;
    luaL_setmetatable(L, agent_type);
    json_t *spec = to_json(L, 1, "agent");
    err e = {0};
    place_paths(script_of(L), spec);
    *box = app_agent_open(script_of(L)->app, spec, &e);
    if (*box && script_of(L)->app->unforced) agent_force((*box)->agent, false);
    json_decref(spec);
    return *box ? 1 : throw_err(L, &e);
}

static int agent_gc(lua_State *L)
{
    struct app_agent **box = luaL_checkudata(L, 1, agent_type);
    app_agent_close(*box);
    *box = NULL;
    return 0;
}

static void push_result(lua_State *L, const struct agent_result *r, int64_t session_id)
{
    json_t *o = json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:f, s:I, s:I, s:s}", "answer", r->answer,
                          "steps", r->steps, "calls", r->calls, "tokens_in", r->prompt_tokens,
                          "tokens_cached", r->cached_tokens, "tokens_out", r->output_tokens,
                          "seconds", (double)r->us / 1e6, "run", (json_int_t)r->run, "session",
                          (json_int_t)session_id, "stopped", r->stopped);
    if (r->value) json_object_set(o, "value", r->value);
    lua_json_push(L, o);
    json_decref(o);
}

// What the answer has to be, from core.run's third and fourth argument. False: nothing is asked
// for.
static bool output_at(lua_State *L, struct constraint *output)
{
    *output = (struct constraint){0};
    if (lua_isnoneornil(L, 3)) return false;
    output->kind = (enum constraint_kind)constraint_of(luaL_checkstring(L, 3));
    if (output->kind == CONSTRAINT_SCHEMA || output->kind == CONSTRAINT_TAGS)
        output->json = to_json(L, 4, constraint_name(output->kind));
    else
        output->text = mem_str(text_at(L, 4));
    return true;
}

// core.run(agent, input, kind or nil, constraint, tool choice as JSON or nil) -> result; raises.
static int core_run(lua_State *L)
{
    struct app_agent *a = agent_at(L, 1);
    const char *input = text_at(L, 2);
    struct constraint output;
    struct agent_choice choice;
    const char *chosen_text = lua_isnoneornil(L, 5) ? NULL : text_at(L, 5);
    bool asked = output_at(L, &output);
    json_t *chosen = chosen_text ? json_loads(chosen_text, JSON_DECODE_ANY, NULL) : NULL;
    struct agent_result r = {0};
    err e = {0};
    int rc = chosen ? app_choice(chosen, &choice, &e) : 0;
    if (rc == 0)
        rc = agent_turn(a->agent, input, asked ? &output : NULL, chosen ? &choice : NULL, &r, &e);
    json_decref(chosen);
    constraint_free(&output);
    if (rc == 0) {
        if (a->app->spent) app_spend(a->app->spent, &r);
        screen_result(&a->app->screen, &r);
        push_result(L, &r, agent_conversation(a->agent));
    }
    agent_result_free(&r);
    return rc == 0 ? 1 : throw_err(L, &e);
}

// core.call(agent, tool, args) -> text or nil, text: the tool alone, without the model, in its
// sandbox.
static int core_call(lua_State *L)
{
    struct app_agent *a = agent_at(L, 1);
    const char *name = luaL_checkstring(L, 2);
    const tool *t = tool_set_find(a->tools, name);
    err e = {0};
    if (!t) {
        err_set(&e, ERR_INPUT, "there is no tool `%s`", name);
        return throw_err(L, &e);
    }
    if (lua_isnoneornil(L, 3)) {
        lua_settop(L, 2);
        lua_newtable(L);
    }
    json_t *args = to_json(L, 3, "arguments");
    struct tool_result r = {0};
    int rc = tool_check_args(t, args, &e) ? -1 : tool_call(a->tools, t, args, &app_cancel, &r, &e);
    json_decref(args);
    if (rc) return throw_err(L, &e);
    if (!r.ok) lua_pushnil(L);
    lua_pushstring(L, r.text);
    int n = r.ok ? 1 : 2;
    tool_result_free(&r);
    return n;
}

static int core_recall(lua_State *L)
{
    struct app_agent *a = agent_at(L, 1);
    const char *query = text_at(L, 2);
    lua_Integer k = luaL_optinteger(L, 3, 5);
    err e = {0};
    if (k < 1 || k > 1000000) {
        err_set(&e, ERR_INPUT, "recall: expected to be asked for 1 to 1000000 facts, found %lld",
                (long long)k);
        return throw_err(L, &e);
    }
    json_t *found = memory_recall(a->memory, query, (int)k, &e);
    if (!found) return throw_err(L, &e);
    lua_json_push(L, found);
    json_decref(found);
    return 1;
}

static int core_remember(lua_State *L)
{
    struct app_agent *a = agent_at(L, 1);
    err e = {0};
    int64_t id = memory_remember(a->memory, agent_conversation(a->agent), text_at(L, 2), &e);
    if (id < 0) return throw_err(L, &e);
    lua_pushinteger(L, id);
    return 1;
}

static int core_fresh_workspace(lua_State *L)
{
    struct script *s = script_of(L);
    const char *from = luaL_checkstring(L, 1);
    err e = {0};
    char *source = from_script(s, from);
    char *parent = paths_workspaces(s->app->store_path, &e);
    char *copy = parent ? workspace_copy(source, parent, &e) : NULL;
    free(source);
    free(parent);
    if (!copy) return throw_err(L, &e);
    lua_pushstring(L, copy);
    free(copy);
    return 1;
}

static int script_print(lua_State *L)
{
    struct screen *screen = &script_of(L)->app->screen;
    int n = lua_gettop(L); // before the buffer takes its own place on the stack
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (int i = 1; i <= n; i++) {
        if (i > 1) luaL_addchar(&b, '\t');
        luaL_tolstring(L, i, NULL);
        luaL_addvalue(&b);
    }
    luaL_pushresult(&b);
    size_t len;
    const char *text = lua_tolstring(L, -1, &len);
    if (screen->json) {
        json_t *o = json_pack("{s:s, s:o}", "event", "print", "text",
                              json_stringn_nocheck(text, utf8_valid_prefix(text, len)));
        json_dumpf(o, screen->out, JSON_COMPACT);
        json_decref(o);
    } else {
        screen_text(screen->out, text, len);
    }
    fputc('\n', screen->out);
    fflush(screen->out);
    return 0;
}

// ---- the state ----

static void cancel_hook(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    int64_t deadline_us = script_of(L)->deadline_us;
    err e;
    if (app_cancel)
        err_set(&e, ERR_CANCELLED, "cancelled");
    else if (deadline_us && clock_us() > deadline_us)
        err_set(&e, ERR_BUDGET, "this took too long");
    else
        return;
    throw_err(L, &e);
}

static int load_text(lua_State *L, const char *path, const char *shown, err *e)
{
    size_t n;
    char *source = file_read(path, SOURCE_MAX, &n, e);
    if (!source) return -1;
    char *chunk = mem_printf("@%s", shown);
    const char *start = source;
    if (n > 1 &&
        source[0] == '#') { // a #! line: kept as an empty one, so that line numbers stay right
        const char *line = memchr(source, '\n', n);
        start = line ? line : source + n;
    }
    int rc = luaL_loadbufferx(L, start, n - (size_t)(start - source), chunk, "t");
    free(chunk);
    free(source);
    if (rc != LUA_OK) {
        err_set(e, ERR_INPUT, "%s", lua_tostring(L, -1));
        lua_pop(L, 1);
        return -1;
    }
    return 0;
}

// Where the module `name` (dots are folders) is: beside the script, else in the nearest folder
// above it that is looked at. The caller frees.
static char *module_file(const struct script *s, const char *name)
{
    bool shipped = strncmp(name, "hearth", 6) == 0 && (!name[6] || name[6] == '.');
    char *relative = mem_printf("%s.lua", name),
         *above = mem_str(shipped ? s->app->scripts : s->dir);
    for (char *p = relative; p < relative + strlen(name); p++)
        if (*p == '.') *p = '/';
    char *file = path_join(above, relative);
    for (int i = 0; !shipped && i < s->above && !file_exists(file); i++) {
        free(file);
        char *next = path_join(above, "..");
        free(above);
        above = next;
        file = path_join(above, relative);
    }
    free(above);
    free(relative);
    return file;
}

// require: "hearth", a part of it, or a module of the script's own. Text chunks only; each is
// loaded once.
static int script_require(lua_State *L)
{
    struct script *s = script_of(L);
    const char *name = luaL_checkstring(L, 1);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, "hearth.loaded");
    if (lua_getfield(L, -1, name) != LUA_TNIL) return 1;
    lua_pop(L, 1);
    for (const char *p = name; *p; p++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.", *p) ||
            (*p == '.' && (p == name || p[1] == '.' || !p[1])))
            return luaL_error(
                L, "require \"%s\": expected a name of letters, digits, `_`, `-` and single dots",
                name);
    bool library = strcmp(name, "hearth") == 0;
    if (library && lua_getfield(L, LUA_REGISTRYINDEX, "hearth.core") == LUA_TNIL)
        return luaL_error(L, "require \"hearth\": there are no agents here; `hearth run` has them");
    if (library) lua_pop(L, 1);
    char *file = module_file(s, name);
    err e = {0};
    int rc = load_text(L, file, library ? LIBRARY_CHUNK + 1 : file, &e);
    free(file);
    if (rc) return throw_err(L, &e);
    lua_pushstring(L, name);
    if (library)
        lua_getfield(L, LUA_REGISTRYINDEX, "hearth.core");
    else
        lua_pushnil(L);
    lua_call(L, 2, 1);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushboolean(L, 1);
    }
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, name);
    return 1;
}

// `load` of text only, so that crafted bytecode has no way in.
static int script_load(lua_State *L)
{
    size_t n;
    const char *source = luaL_checklstring(L, 1, &n);
    const char *chunk = luaL_optstring(L, 2, "=load");
    bool has_env = !lua_isnone(L, 4);
    if (luaL_loadbufferx(L, source, n, chunk, "t") != LUA_OK) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    if (has_env) {
        lua_pushvalue(L, 4);
        lua_setupvalue(L, -2, 1);
    }
    return 1;
}

static void open_libraries(lua_State *L)
{
    static const luaL_Reg libs[] = {{"_G", luaopen_base},     {"string", luaopen_string},
                                    {"table", luaopen_table}, {"math", luaopen_math},
                                    {"utf8", luaopen_utf8},   {"coroutine", luaopen_coroutine},
                                    {"os", luaopen_os},       {NULL, NULL}};
    for (const luaL_Reg *l = libs; l->name; l++) {
        luaL_requiref(L, l->name, l->func, 1);
        lua_pop(L, 1);
    }
    static const char *const gone[] = {"dofile", "loadfile", "load"};
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
        lua_pushnil(L);
        lua_setglobal(L, gone[i]);
    }
    static const char *const os_kept[] = {"clock", "date", "difftime", "time"};
    lua_getglobal(L, "os");
    lua_newtable(L);
    for (size_t i = 0; i < sizeof os_kept / sizeof *os_kept; i++) {
        lua_getfield(L, -2, os_kept[i]);
        lua_setfield(L, -2, os_kept[i]);
    }
    lua_setglobal(L, "os");
    lua_pop(L, 1);
    lua_getglobal(L, "string");
    lua_pushnil(L);
    lua_setfield(L, -2, "dump");
    lua_pop(L, 1);
    lua_register(L, "print", script_print);
    lua_register(L, "require", script_require);
    lua_register(L, "load", script_load);
}

static void open_core(lua_State *L)
{
    static const luaL_Reg core[] = {{"agent", core_agent},
                                    {"run", core_run},
                                    {"call", core_call},
                                    {"recall", core_recall},
                                    {"remember", core_remember},
                                    {"fresh_workspace", core_fresh_workspace},
                                    {NULL, NULL}};
    luaL_newmetatable(L, agent_type);
    lua_pushcfunction(L, agent_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
    luaL_newlib(L, core);
    lua_pushstring(L, HEARTH_VERSION);
    lua_setfield(L, -2, "version");
    lua_json_open(L);
    lua_setfield(L, -2, "json");
    lua_setfield(L, LUA_REGISTRYINDEX, "hearth.core");
}

// The error as text, made while the call is still protected: a `__tostring` of the script may
// raise.
static int error_text(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    return 1;
}

script *script_open(struct app *app, const char *path, int above, err *e)
{
    lua_State *L = luaL_newstate();
    if (!L) {
        err_set(e, ERR_SYSTEM, "no memory for a Lua state");
        return NULL;
    }
    script *s = mem_new(sizeof *s);
    *s = (struct script){
        .app = app, .L = L, .dir = mem_str(path), .above = above, .json = buf_new(VALUE_MAX)};
    char *slash = strrchr(s->dir, '/');
    if (slash)
        slash[slash == s->dir] = 0;
    else
        strcpy(s->dir, ".");
    *(struct script **)lua_getextraspace(L) = s;
    open_libraries(L);
    lua_sethook(L, cancel_hook, LUA_MASKCOUNT, HOOK_COUNT);
    return s;
}

void script_close(script *s)
{
    if (!s) return;
    lua_close(s->L);
    buf_free(&s->json);
    free(s->dir);
    free(s);
}

lua_State *script_lua(script *s)
{
    return s->L;
}

void script_deadline(script *s, int seconds)
{
    s->deadline_us = seconds ? clock_us() + (int64_t)seconds * 1000000 : 0;
}

int script_load_file(script *s, const char *path, err *e)
{
    return load_text(s->L, path, path, e);
}

int script_call(script *s, int n_arg, int n_result, err *e)
{
    lua_State *L = s->L;
    int handler = lua_gettop(L) - n_arg;
    s->failure = (err){0};
    lua_pushcfunction(L, error_text);
    lua_insert(L, handler);
    int rc = lua_pcall(L, n_arg, n_result, handler);
    lua_remove(L, handler);
    if (rc != LUA_OK) {
        const char *text = lua_type(L, -1) == LUA_TSTRING
                               ? lua_tostring(L, -1)
                               : "the script raised an error that cannot be shown as text";
        // The class of the failure counts only when it is that failure which ended the script.
        bool same = s->failure.code && strstr(text, s->failure.msg);
        err_set(e, same ? s->failure.code : ERR_FAILED, "%s", text);
        lua_pop(L, 1);
        return -1;
    }
    return 0;
}

int script_run(struct app *app, const char *path, const char *const *args, int n_arg, err *e)
{
    script *s = script_open(app, path, 0, e);
    if (!s) return -1;
    lua_State *L = s->L;
    open_core(L);
    lua_createtable(L, n_arg, 1);
    lua_pushstring(L, path);
    lua_seti(L, -2, 0);
    for (int i = 0; i < n_arg; i++) {
        lua_pushstring(L, args[i]);
        lua_seti(L, -2, i + 1);
    }
    lua_setglobal(L, "arg");
    int rc = script_load_file(s, path, e);
    if (rc == 0) rc = script_call(s, 0, 0, e);
    if (rc && app_cancel) err_set(e, ERR_CANCELLED, "cancelled");
    script_close(s);
    return rc;
}
