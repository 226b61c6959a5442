// Lua's libraries, made smaller. This is the first of three walls and not the one that holds: a bug
// in the interpreter walks through it, and the process around it is built for that day. What it is
// for: an honest script meets one clear error instead of EPERM, and equal calls give equal answers
// (no addresses, no clock that was not granted).
//
// The allow-list is by library, then by name: what is not in a row does not exist. Functions that
// are needed in a weaker form are replaced below.
#include "sandbox/box_env.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>
#include <time.h>

static const char *const base_names[] = {"assert",   "error",  "getmetatable", "ipairs", "next",
                                         "pairs",    "pcall",  "rawequal",     "rawget", "rawlen",
                                         "rawset",   "select", "tonumber",     "type",   "xpcall",
                                         "_VERSION", NULL};
static const char *const string_names[] = {
    "byte", "char",     "find", "gmatch",  "gsub", "len",    "lower", "match",
    "pack", "packsize", "rep",  "reverse", "sub",  "unpack", "upper", NULL};
static const char *const os_names[] = {"clock", "difftime", NULL};

static const struct library {
    const char *name;
    lua_CFunction open;
    const char *const *names; // NULL: all of it
} libraries[] = {
    {LUA_COLIBNAME, luaopen_coroutine, NULL},       {LUA_TABLIBNAME, luaopen_table, NULL},
    {LUA_MATHLIBNAME, luaopen_math, NULL},          {LUA_UTF8LIBNAME, luaopen_utf8, NULL},
    {LUA_STRLIBNAME, luaopen_string, string_names}, {LUA_OSLIBNAME, luaopen_os, os_names},
};

// Replaces the table on the top of the stack by one with only these names.
static void keep_only(lua_State *L, const char *const *names)
{
    lua_newtable(L);
    for (; *names; names++) {
        lua_getfield(L, -2, *names);
        lua_setfield(L, -2, *names);
    }
    lua_remove(L, -2);
}

const char *box_env_text(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    switch (lua_type(L, index)) {
    case LUA_TNIL:
    case LUA_TBOOLEAN:
    case LUA_TNUMBER:
    case LUA_TSTRING: return luaL_tolstring(L, index, NULL);
    }
    if (luaL_getmetafield(L, index, "__tostring") != LUA_TNIL) {
        lua_pop(L, 1);
        return luaL_tolstring(L, index, NULL);
    }
    if (lua_islightuserdata(L, index) && lua_touserdata(L, index) == NULL)
        return lua_pushstring(L, "null");
    return lua_pushstring(L, luaL_typename(L, index));
}

static int l_tostring(lua_State *L)
{
    luaL_checkany(L, 1);
    box_env_text(L, 1);
    return 1;
}

static int l_print(lua_State *L)
{
    (void)L; // there is nowhere to print to
    return 0;
}

// string.format without %p, and with %s as tostring above.
static int l_format(lua_State *L)
{
    const char *f = luaL_checkstring(L, 1);
    for (; (f = strchr(f, '%')) != NULL; f++) {
        f++;
        f += strspn(f, "-+ #0123456789.");
        if (*f == 'p') return luaL_argerror(L, 1, "%p is not available");
        if (!*f) break;
    }
    int n = lua_gettop(L);
    for (int i = 2; i <= n; i++) {
        if (lua_type(L, i) <= LUA_TSTRING && lua_type(L, i) != LUA_TLIGHTUSERDATA) continue;
        box_env_text(L, i);
        lua_replace(L, i);
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, n, 1);
    return 1;
}

static int l_setmetatable(lua_State *L)
{
    if (lua_istable(L, 2)) {
        lua_pushstring(L, "__gc");
        lua_rawget(L, 2);
        if (!lua_isnil(L, -1)) return luaL_argerror(L, 2, "__gc is not available");
        lua_pop(L, 1);
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

static int l_collectgarbage(lua_State *L)
{
    if (strcmp(luaL_optstring(L, 1, "collect"), "count") != 0)
        return luaL_argerror(L, 1, "only \"count\" is available");
    lua_pushnumber(L, lua_gc(L, LUA_GCCOUNT) + lua_gc(L, LUA_GCCOUNTB) / 1024.0);
    return 1;
}

// load(chunk [, name [, mode [, env]]]): text only, whatever the mode says. The chunk's globals are
// these same globals, or env.
static int l_load(lua_State *L)
{
    size_t n;
    const char *text = luaL_checklstring(L, 1, &n);
    const char *name = luaL_optstring(L, 2, "=load");
    int has_env = !lua_isnone(L, 4);
    if (luaL_loadbufferx(L, text, n, name, "t") != LUA_OK) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    if (has_env) {
        lua_pushvalue(L, 4);
        if (!lua_setupvalue(L, -2, 1)) lua_pop(L, 1);
    }
    return 1;
}

// "Now" in seconds; an error when the clock was not granted.
static lua_Integer now_s(lua_State *L)
{
    if (!lua_isinteger(L, lua_upvalueindex(2)))
        luaL_error(L, "no clock: this tool's capabilities do not grant it");
    return lua_tointeger(L, lua_upvalueindex(2)) / 1000000;
}

static int l_time(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) {
        lua_pushinteger(L, now_s(L));
        return 1;
    }
    lua_settop(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

static int l_date(lua_State *L)
{
    const char *format = luaL_optstring(L, 1, "%c");
    lua_Integer t = lua_isnoneornil(L, 2) ? now_s(L) : luaL_checkinteger(L, 2);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushstring(L, format);
    lua_pushinteger(L, t);
    lua_call(L, 2, 1);
    return 1;
}

// os.time and os.date keep Lua's function and ctx.now_us as upvalues.
static void wrap_clock(lua_State *L, int os_full, int ctx, const char *name, lua_CFunction f)
{
    lua_getfield(L, os_full, name);
    lua_getfield(L, ctx, "now_us");
    lua_pushcclosure(L, f, 2);
    lua_setfield(L, -2, name);
}

static void open_libraries(lua_State *L, int ctx)
{
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        const struct library *lib = &libraries[i];
        luaL_requiref(L, lib->name, lib->open, 0);
        int full = lua_gettop(L);
        lua_pushvalue(L, full);
        if (lib->names) keep_only(L, lib->names);
        if (lib->open == luaopen_string) {
            lua_getfield(L, full, "format");
            lua_pushcclosure(L, l_format, 1);
            lua_setfield(L, -2, "format");
        }
        if (lib->open == luaopen_os) {
            wrap_clock(L, full, ctx, "time", l_time);
            wrap_clock(L, full, ctx, "date", l_date);
        }
        lua_setglobal(L, lib->name);
        lua_settop(L, full - 1);
    }
}

// Methods of strings come from the filtered table, and no script can change that table's place.
static void lock_strings(lua_State *L)
{
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1); // keeps "10" + 1, whose metamethods live here
    lua_getglobal(L, LUA_STRLIBNAME);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 2);
}

static void replace_base(lua_State *L)
{
    static const luaL_Reg ours[] = {{"tostring", l_tostring},
                                    {"print", l_print},
                                    {"collectgarbage", l_collectgarbage},
                                    {"load", l_load},
                                    {NULL, NULL}};
    lua_pushglobaltable(L);
    luaL_setfuncs(L, ours, 0);
    lua_pop(L, 1);
}

// The global table in place: the same table is _G, the environment of every chunk, and what the
// registry calls globals, so there is no fuller one behind it.
static void strip_globals(lua_State *L)
{
    lua_pushglobaltable(L);
    int globals = lua_gettop(L), kept = globals + 1;
    lua_pushvalue(L, globals);
    keep_only(L, base_names);
    lua_getfield(L, globals, "setmetatable");
    lua_pushcclosure(L, l_setmetatable, 1);
    lua_setfield(L, kept, "setmetatable");
    for (lua_pushnil(L); lua_next(L, globals);) { // a field may be cleared during the walk
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        lua_pushnil(L);
        lua_rawset(L, globals);
    }
    for (lua_pushnil(L); lua_next(L, kept);) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, globals);
    }
    lua_pushvalue(L, globals);
    lua_setfield(L, globals, "_G");
    lua_settop(L, globals - 1);
}

void box_env_open(lua_State *L, int ctx)
{
    luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
    lua_pop(L, 1);
    strip_globals(L);
    replace_base(L);
    open_libraries(L, ctx);
    lock_strings(L);
    lua_pushnil(L); // nothing keeps the full libraries: not even the table of loaded ones
    lua_setfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
}
