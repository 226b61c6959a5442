// Values across the border between Lua and JSON.
//
//   JSON -> Lua   null: json.null; array: a table marked by json.array; object: a table; an integer
//                 stays an integer and a real stays a float.
//   Lua -> JSON   nil and json.null: null. A table is an array when json.array marked it or when
//   its
//                 keys are exactly 1..n with n > 0; otherwise all its keys must be strings and it
//                 is an object (so {} is an object, json.array{} an empty array). Keys are written
//                 in order of their bytes, so equal values give equal text. Strings must be UTF-8
//                 without NUL. Functions, threads, userdata, NaN, infinities and nesting over 64
//                 are errors that name the place: "result.items[3]: a function has no JSON form".
#pragma once
#include "base/buf.h"
#include <jansson.h>
#include <lua.h>

enum { LUA_JSON_DEPTH_MAX = 64 };

// Leaves the library table `json` on the stack: null, array, encode, decode.
void lua_json_open(lua_State *L);

void lua_json_push(lua_State *L, const json_t *value); // may raise an error of memory

// Writes the value at index; raises a Lua error as above. Check out->full afterwards. `functions`:
// a function directly in the outermost table is written as the string "function" (for manifests).
void lua_json_write(lua_State *L, int index, const char *what, int functions, buf *out);

void json_write_string(buf *out, const char *s, size_t n); // s is valid UTF-8
