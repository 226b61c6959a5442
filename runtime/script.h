// Agent scripts: Lua in the main process, written and trusted by the person who runs them, but
// without io, os.execute, debug and native modules, so that what acts on the machine goes through
// tools and their sandbox. `require "hearth"` is scripts-lua/hearth.lua over the functions here.
#pragma once
#include "app.h"
#include <lua.h>

// Runs the script with `arg` set to args. -1 with *e: syntax error (ERR_INPUT), an error it raised
// (ERR_FAILED, or the class of the agent's failure that it did not catch), or ERR_CANCELLED.
int script_run(struct app *app, const char *path, const char *const *args, int n_arg, err *e);

// The same Lua without agents (`require "hearth"` is refused), for files that describe something,
// such as the tasks of `hearth eval`. Modules are found beside `path`, then in the
// nearest of `above` folders above it, and `hearth.NAME` among those that ship.
typedef struct script script;
script *script_open(struct app *app, const char *path, int above, err *e);
void script_close(script *s);
lua_State *script_lua(script *s);
void script_deadline(script *s, int seconds); // from now on; Lua that runs longer fails. 0: none
int script_load_file(script *s, const char *path, err *e); // leaves the chunk on the stack
// lua_pcall, with the error as text in *e: ERR_FAILED, or ERR_BUDGET at the deadline.
int script_call(script *s, int n_arg, int n_result, err *e);
