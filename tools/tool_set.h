// Inside of `tools`: what loading knows and calling needs.
#pragma once
#include "tools/fs_broker.h"
#include "tools/tool.h"

struct loaded_tool {
    tool pub; // first: a `const tool *` handed out is a `struct loaded_tool *`
    const struct tool_set *set;
    json_t *manifest; // owns what pub points into
    char *path, *source;
    size_t folder; // index of the folder it came from
};

struct tool_set {
    sandbox *box;
    struct tool_host host;
    fs_broker *fs;             // NULL: no workspace
    struct loaded_tool **tool; // [n], by name
    size_t n;
};
