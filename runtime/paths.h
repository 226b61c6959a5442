// Where Hearth's own parts are: beside the executable in a build tree, or under ../share and
// ../libexec after an install. And where the user's data goes.
#pragma once
#include "base/err.h"

// Each returns a new string, or NULL with *e naming the places that were looked at.
char *paths_model(const char *given, err *e); // --model, else $HEARTH_MODEL, else the built-in one
char *paths_scripts(err *e);                  // folder scripts-lua
char *paths_store(const char *given,
                  err *e); // --store, else $HEARTH_STORE, else ~/.local/share/hearth/hearth.db
char *paths_workspaces(const char *store, err *e); // folder for fresh copies, beside the store
