// Agent scripts: Lua in the main process, written and trusted by the person who runs them, but
// without io, os.execute, debug and native modules, so that what acts on the machine goes through
// tools and their sandbox. `require "hearth"` is scripts-lua/hearth.lua over the functions here.
#pragma once
#include "app.h"

// Runs the script with `arg` set to args. -1 with *e: syntax error (ERR_INPUT), an error it raised
// (ERR_FAILED, or the class of the agent's failure that it did not catch), or ERR_CANCELLED.
int script_run(struct app *app, const char *path, const char *const *args, int n_arg, err *e);
