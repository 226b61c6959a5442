#include "sandbox/lua_json.h"

#include "base/utf8.h"
#include "sandbox/frame.h"

#include <lauxlib.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char array_mark[] = "hearth.json.array"; // registry: the metatable of marked tables

// --- JSON to Lua

static void mark_array(lua_State *L)
{
    luaL_getmetatable(L, array_mark);
    lua_setmetatable(L, -2);
}

static void push_array(lua_State *L, const json_t *value)
{
    size_t n = json_array_size(value);
    lua_createtable(L, n < INT32_MAX ? (int)n : 0, 0);
    for (size_t i = 0; i < n; i++) {
        lua_json_push(L, json_array_get(value, i));
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    mark_array(L);
}

static void push_object(lua_State *L, const json_t *value)
{
    const char *key;
    json_t *item;
    lua_createtable(L, 0, (int)json_object_size(value));
    json_object_foreach((json_t *)(uintptr_t)value, key, item)
    {
        lua_json_push(L, item);
        lua_setfield(L, -2, key);
    }
}

void lua_json_push(lua_State *L, const json_t *value)
{
    luaL_checkstack(L, 8, "JSON");
    switch (json_typeof(value)) {
    case JSON_NULL: lua_pushlightuserdata(L, NULL); break;
    case JSON_TRUE: lua_pushboolean(L, 1); break;
    case JSON_FALSE: lua_pushboolean(L, 0); break;
    case JSON_INTEGER: lua_pushinteger(L, json_integer_value(value)); break;
    case JSON_REAL: lua_pushnumber(L, json_real_value(value)); break;
    case JSON_STRING:
        lua_pushlstring(L, json_string_value(value), json_string_length(value));
        break;
    case JSON_ARRAY: push_array(L, value); break;
    case JSON_OBJECT: push_object(L, value); break;
    }
}

// --- Lua to JSON

struct writer {
    lua_State *L;
    buf *out;
    const char *what;
    int functions, depth;
    struct place { // where we are, for the error message
        const char *key;
        lua_Integer index;
    } path[LUA_JSON_DEPTH_MAX];
};

static int fail(struct writer *w, const char *problem)
{
    buf where = buf_new(300);
    buf_str(&where, w->what);
    for (int i = 0; i < w->depth && i < 8; i++) {
        if (w->path[i].key)
            buf_printf(&where, ".%.40s", w->path[i].key);
        else
            buf_printf(&where, "[%lld]", (long long)w->path[i].index);
    }
    lua_pushfstring(w->L, "%s: %s", buf_text(&where), problem);
    buf_free(&where);
    return lua_error(w->L);
}

void json_write_string(buf *out, const char *s, size_t n)
{
    buf_byte(out, '"');
    size_t plain = 0; // bytes since the last one that needed an escape
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        buf_put(out, s + plain, i - plain);
        plain = i + 1;
        if (c == '\n')
            buf_str(out, "\\n");
        else if (c == '"' || c == '\\')
            buf_put(out, (char[]){'\\', (char)c}, 2);
        else
            buf_printf(out, "\\u%04x", c);
    }
    buf_put(out, s + plain, n - plain);
    buf_byte(out, '"');
}

static void write_string(struct writer *w, int index)
{
    size_t n;
    const char *s = lua_tolstring(w->L, index, &n);
    if (memchr(s, 0, n)) fail(w, "a string with a NUL byte has no JSON form");
    if (utf8_valid_prefix(s, n) != n) fail(w, "a string that is not UTF-8 has no JSON form");
    json_write_string(w->out, s, n);
}

static void write_number(struct writer *w, int index)
{
    if (lua_isinteger(w->L, index)) {
        buf_printf(w->out, "%lld", (long long)lua_tointeger(w->L, index));
        return;
    }
    double x = lua_tonumber(w->L, index);
    if (!isfinite(x)) fail(w, isnan(x) ? "NaN has no JSON form" : "infinity has no JSON form");
    char text[40];
    snprintf(text, sizeof text, "%.17g", x);
    bool looks_integer = strspn(text, "-0123456789") == strlen(text);
    buf_printf(w->out, "%s%s", text, looks_integer ? ".0" : "");
}

static void write_value(struct writer *w, int index);

// The raw length when the keys are exactly 1..n, else -1.
static lua_Integer sequence_length(lua_State *L, int table)
{
    lua_Integer n = 0, n_key = 0;
    lua_pushnil(L);
    while (lua_next(L, table)) {
        lua_pop(L, 1);
        if (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < 1) {
            lua_pop(L, 1);
            return -1;
        }
        if (lua_tointeger(L, -1) > n) n = lua_tointeger(L, -1);
        n_key++;
    }
    return n == n_key ? n : -1;
}

static bool is_marked(lua_State *L, int table)
{
    if (!lua_getmetatable(L, table)) return false;
    luaL_getmetatable(L, array_mark);
    bool same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same;
}

static void write_array(struct writer *w, int table, lua_Integer n)
{
    buf_byte(w->out, '[');
    for (lua_Integer i = 1; i <= n && !w->out->full; i++) {
        if (i > 1) buf_byte(w->out, ',');
        w->path[w->depth - 1] = (struct place){NULL, i};
        lua_rawgeti(w->L, table, i);
        write_value(w, lua_gettop(w->L));
        lua_pop(w->L, 1);
    }
    buf_byte(w->out, ']');
}

struct key {
    const char *s; // stays valid: the table that holds it is on the stack and nothing changes it
    size_t n;
};

static int key_order(const void *a, const void *b)
{
    const struct key *x = a, *y = b;
    int c = memcmp(x->s, y->s, x->n < y->n ? x->n : y->n);
    return c ? c : (x->n > y->n) - (x->n < y->n);
}

// The sorted keys of a table, in a userdata left on the stack so that an error frees it.
static struct key *sorted_keys(struct writer *w, int table, size_t *n_key)
{
    lua_State *L = w->L;
    size_t n = 0;
    lua_pushnil(L);
    for (; lua_next(L, table); n++) {
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING)
            fail(w, "keys must be all strings, or exactly 1..n for an array");
    }
    struct key *keys = lua_newuserdatauv(L, (n + 1) * sizeof *keys, 0);
    *n_key = 0;
    lua_pushnil(L);
    while (lua_next(L, table) && *n_key < n) {
        lua_pop(L, 1);
        struct key *k = &keys[(*n_key)++];
        k->s = lua_tolstring(L, -1, &k->n);
    }
    qsort(keys, n, sizeof *keys, key_order);
    return keys;
}

static void write_object(struct writer *w, int table)
{
    lua_State *L = w->L;
    size_t n;
    const struct key *keys = sorted_keys(w, table, &n);
    buf_byte(w->out, '{');
    for (size_t i = 0; i < n && !w->out->full; i++) {
        if (i) buf_byte(w->out, ',');
        w->path[w->depth - 1] = (struct place){keys[i].s, 0};
        lua_pushlstring(L, keys[i].s, keys[i].n);
        write_string(w, lua_gettop(L));
        buf_byte(w->out, ':');
        lua_rawget(L, table);
        if (w->functions && w->depth == 1 && lua_isfunction(L, -1))
            buf_str(w->out, "\"function\"");
        else
            write_value(w, lua_gettop(L));
        lua_pop(L, 1);
    }
    buf_byte(w->out, '}');
    lua_pop(L, 1); // keys
}

static void write_table(struct writer *w, int table)
{
    if (w->depth == LUA_JSON_DEPTH_MAX) fail(w, "nested deeper than 64, or a cycle");
    luaL_checkstack(w->L, 10, "JSON");
    w->depth++;
    w->path[w->depth - 1] = (struct place){NULL, 0};
    lua_Integer n = sequence_length(w->L, table);
    bool marked = is_marked(w->L, table);
    if (marked && n < 0) fail(w, "marked by json.array, but its keys are not 1..n");
    if (marked || n > 0)
        write_array(w, table, n);
    else
        write_object(w, table);
    w->depth--;
}

static void write_value(struct writer *w, int index)
{
    if (w->out->full) return;
    switch (lua_type(w->L, index)) {
    case LUA_TNIL: buf_str(w->out, "null"); break;
    case LUA_TBOOLEAN: buf_str(w->out, lua_toboolean(w->L, index) ? "true" : "false"); break;
    case LUA_TNUMBER: write_number(w, index); break;
    case LUA_TSTRING: write_string(w, index); break;
    case LUA_TTABLE: write_table(w, index); break;
    case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(w->L, index) == NULL) {
            buf_str(w->out, "null");
            break;
        } // fallthrough
    default: {
        char problem[60];
        snprintf(problem, sizeof problem, "a %s has no JSON form", luaL_typename(w->L, index));
        fail(w, problem);
    }
    }
}

void lua_json_write(lua_State *L, int index, const char *what, int functions, buf *out)
{
    struct writer w = {.L = L, .out = out, .what = what, .functions = functions};
    write_value(&w, lua_absindex(L, index));
}

// --- the library a script sees

static int l_array(lua_State *L)
{
    if (lua_isnoneornil(L, 1))
        lua_newtable(L);
    else
        luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    mark_array(L);
    return 1;
}

static int l_encode_into(lua_State *L) // value, buf
{
    buf *out = lua_touserdata(L, 2);
    lua_json_write(L, 1, "value", 0, out);
    if (out->full) return luaL_error(L, "more than 4 MB of JSON");
    lua_pushlstring(L, buf_text(out), out->n);
    return 1;
}

static int l_encode(lua_State *L)
{
    enum { TEXT_MAX = 4 << 20 };
    luaL_checkany(L, 1);
    buf out = buf_new(TEXT_MAX);
    lua_settop(L, 1);
    lua_pushcfunction(L, l_encode_into);
    lua_insert(L, 1);
    lua_pushlightuserdata(L, &out);
    int rc = lua_pcall(L, 2, 1, 0); // so that the buffer is freed before an error goes on
    buf_free(&out);
    return rc == LUA_OK ? 1 : lua_error(L);
}

static int l_decode(lua_State *L)
{
    size_t n;
    const char *text = luaL_checklstring(L, 1, &n);
    err e;
    json_t *j = frame_json(text, n, &e);
    if (!j) {
        lua_pushnil(L);
        lua_pushstring(L, e.msg);
        return 2;
    }
    lua_json_push(L, j);
    json_decref(j);
    return 1;
}

void lua_json_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"array", l_array}, {"encode", l_encode}, {"decode", l_decode}, {NULL, NULL}};
    luaL_newmetatable(L, array_mark);
    lua_pushboolean(L, 0); // getmetatable answers false, setmetatable refuses
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
}
