// The globals of a script.
#pragma once
#include <lua.h>

// Opens the libraries and takes away what reaches outside, shows addresses, or loads bytecode. ctx
// is at index `ctx`: os.time and os.date know no other "now" than ctx.now_us.
void box_env_open(lua_State *L, int ctx);

// What print and error messages show for any value: never an address. Leaves a string on the stack.
const char *box_env_text(lua_State *L, int index);
