// Running Lua where it can do nothing but compute and ask. sandbox_open starts `hearth-box` as a
// zygote (a small process of its own executable, started before anything large exists); every call
// is a fresh child of it, confined by no_new_privs, Landlock, seccomp, rlimits, closed descriptors
// and an empty environment, that runs one chunk, answers and dies. All I/O goes by message to the
// `on_call` function of the caller. A layer that cannot be applied is a refusal (ERR_REFUSED with
// the reason), never a warning. The one exception is a kernel built without Landlock: the filter
// denies every call that takes a path or makes a socket anyway, so calls run with the layers that
// are there, and sandbox_get_status says so.
#pragma once
#include "base/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct sandbox sandbox;

// Layers, for `doctor` and for the tests that switch one off to show that its attack then works.
enum box_layer {
    BOX_LUA = 1, // filtered globals, text chunks only, locked string metatable
    BOX_SECCOMP = 2,
    BOX_LANDLOCK = 4,
    BOX_RLIMIT = 8, // rlimits, the CPU timer and the allocator's cap
    BOX_WALL = 16,  // SIGKILL at the deadline
    BOX_FD = 32,    // descriptors closed, environment empty, new session, no capabilities
    BOX_ALL = 63
};

struct sandbox_options {
    const char
        *box_path;       // hearth-box; NULL: beside the running executable, or in ../libexec/hearth
    unsigned layers_off; // tests only; must be 0 elsewhere. hearth-box honours it only when it was
                         // built for the tests (a separate executable, hearth-box-teeth)
    int fault_step;      // tests only: the n-th step of confinement (from 1) fails ...
    int fault_errno;     // ... with this errno
};

// Starts the zygote and proves by one empty call that every layer can be applied here.
sandbox *sandbox_open(const struct sandbox_options *o, err *e);
void sandbox_close(sandbox *s);
int sandbox_landlock_abi(void); // 0: the kernel has none

struct sandbox_status {
    int landlock_abi;   // 0: the kernel has no Landlock, the other layers hold alone
    unsigned layers;    // enum box_layer bits that every call gets
    int zygote_pid;     // 0: not running; the next call starts it again
    uint64_t n_started; // how often a zygote was started
};
void sandbox_get_status(sandbox *s, struct sandbox_status *st);

struct box_limits {
    int wall_ms, cpu_ms, memory_mb, output_kb; // 0: the default below
};
#define BOX_DEFAULT_LIMITS ((struct box_limits){5000, 2000, 64, 256})

// The most that may be asked for; more, or less than 0, is ERR_INPUT.
#define BOX_MAX_LIMITS ((struct box_limits){600000, 600000, 4096, 8192})

enum box_status {
    BOX_OK,      // result is the JSON the chunk returned
    BOX_ERROR,   // Lua error or a value that is not JSON: text says what, for the model
    BOX_TIMEOUT, // wall or CPU time
    BOX_MEMORY,
    BOX_OUTPUT,  // the answer was larger than output_kb
    BOX_CRASHED, // died of a signal, or broke the protocol
    BOX_CANCELLED
};

// A host service asked for by the child (ctx.fs.read, ctx.memory.recall, ...). `args` is an array
// of what the script passed. Returns a new reference, or NULL with `why` filled: the script gets
// `nil, why`.
typedef json_t *(*box_service)(void *user, const char *name, const json_t *args, err *why);

struct box_request {
    const char *source; // Lua text
    size_t source_len;
    const char *chunk_name; // shown in error messages: "tools/calculate.lua"
    const char *entry;      // "manifest": return the chunk's table, each function in it as the
                            // string "function"; "run": call its run(args, ctx)
    const json_t *args;     // for "run"
    const json_t *ctx;      // plain values put into ctx ({workspace=..., now_us=...}); may be NULL
    const json_t *services; // names that become functions of ctx: ["fs.read", ...]; NULL: none.
                            // A call of any other name ends the child.
    struct box_limits limits;
    box_service on_call; // may be NULL: no services
    void *user;
    const volatile int *cancel; // may be NULL
};

struct box_result {
    enum box_status status;
    json_t *value;    // owned; BOX_OK only
    char *text;       // owned; the error otherwise
    int64_t wall_us;  // from request to answer
    int64_t spawn_us; // from request to the child's first Lua instruction; 0: never reached
};

// 0: *r says how it went. -1: the sandbox itself failed or refused; nothing of the chunk ran, or
// nothing that reached the outside. May be called from several threads at once.
int sandbox_run(sandbox *s, const struct box_request *q, struct box_result *r, err *e);
void box_result_free(struct box_result *r);
