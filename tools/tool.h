// What a tool is. A tool is one Lua file that returns a table {name, description, parameters,
// effect, capabilities, limits, run}; it is read inside a box, never executed in this process.
// Calling one: arguments are checked against the schema that made the grammar, then run(args, ctx)
// runs in a fresh box, and each service it asks for is answered here if and only if its
// capabilities grant it.
#pragma once
#include "base/err.h"
#include "sandbox/sandbox.h"
#include <jansson.h>

enum tool_effect {
    EFFECT_PURE,       // may be run again freely
    EFFECT_IDEMPOTENT, // again with the same arguments gives the same state
    EFFECT_ONCE        // must not be repeated when its outcome is unknown
};

typedef struct tool {
    const char *name, *description, *path;
    const json_t *parameters; // JSON Schema, type object
    const json_t
        *capabilities; // {fs = "r" | "rw", memory = "r" | "rw", clock = true}; {} grants nothing
    enum tool_effect effect;
    struct box_limits limits;
    char sha256[65]; // of the file
    const char *source;
    size_t source_len;
} tool;

// What the runtime lends to tools that declare the capability. Any may be NULL: then not available.
// The memory functions return a new JSON value, or NULL with the reason.
struct tool_host {
    void *user;
    json_t *(*remember)(void *user, const char *text, err *why);
    json_t *(*recall)(void *user, const char *query, int k, err *why);
    // Checks arguments against a tool's schema (schema_validate of engine/schema.h): 0, or -1 and
    // *e with the JSON pointer. Without it no tool is called: ERR_REFUSED.
    int (*validate)(const json_t *schema, const json_t *doc, err *e);
};

typedef struct tool_set tool_set;

// Reads every *.lua file of the folders but *_test.lua, the cases of a tool (later folders win over
// earlier ones by name; two of one name in a folder are an error). Properties of `parameters` stand
// in the order of `required`, then by name, since a Lua table has no order. host: borrowed, as is
// box. workspace: a directory the fs services cannot leave, or NULL for none.
tool_set *tool_set_open(sandbox *box, const char *const *dirs, size_t n_dir, const char *workspace,
                        const struct tool_host *host, err *e);
void tool_set_close(tool_set *ts);
size_t tool_set_size(const tool_set *ts);
const tool *tool_set_at(const tool_set *ts, size_t i); // in order of name
const tool *tool_set_find(const tool_set *ts, const char *name);
json_t *
tool_describe(const tool *t); // new: {type: "function", function: {name, description, parameters}}

// Says for the model that there is no such tool and what there is. Returns -1.
int tool_unknown(const tool_set *ts, const char *name, err *e);

// 0 when args satisfy the tool's schema; -1 and *e for the model otherwise.
int tool_check_args(const tool *t, const json_t *args, err *e);

struct tool_result {
    bool ok;
    char *text; // owned: what the model is shown (a string result as it is, anything else as JSON)
    int64_t us;
    enum box_status status;
};

// Runs one call. Text over limits.output_kb is cut with a note that says so. A tool that fails is
// not an error here: ok is false and text says why. -1: cancelled or the sandbox refused.
int tool_call(tool_set *ts, const tool *t, const json_t *args, const volatile int *cancel,
              struct tool_result *r, err *e);
void tool_result_free(struct tool_result *r);
