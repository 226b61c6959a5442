// The table a tool file returns, checked.
#pragma once
#include "tools/tool.h"

// Fills name, description, parameters, capabilities, effect and limits of *t, borrowed from
// manifest (whose schema is put in order). path is for messages.
int manifest_read(json_t *manifest, const char *path, tool *t, err *e);
