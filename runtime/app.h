// The parts of a running Hearth, opened in the one order that works: the box zygote before anything
// large exists, then the engine, then the store. And the making of an agent from a plain
// description, shared by `run`, `chat` and scripts.
#pragma once
#include "agent.h"
#include "base/buf.h"
#include "cli.h"
#include "screen.h"
#include <signal.h>

enum app_parts { APP_BOX = 1, APP_ENGINE = 2, APP_STORE = 4, APP_STORE_READ = 8, APP_ALL = 7 };

// What the turns of scripts took, for bench agent.
struct app_spent {
    int output_tokens, forced_tokens, passes;
    int64_t decode_us;
    buf text; // every answer
};

struct app {
    sandbox *box;
    engine *en;
    session *session, *embed; // embed: scratch of memory's vectors, so that they never evict the
                              // conversation's KV
    chat *chat;
    store *store;
    char *scripts, *store_path;
    struct screen screen;
    replies *replies;              // what agents say in place of the model; NULL: nothing
    const struct command *command; // whose options override what a script asks for
    struct app_spent *spent;       // may be NULL; the turns of scripts are added to it
    bool unforced;                 // agents of scripts ask the model for every token
};

// Options every verb that opens the app shares.
extern const struct option_row app_model_options[]; // --model --backend --threads --ctx --kv
extern const struct option_row
    app_agent_options[];    // those, --store, tools, policy, sampling and limits
#define APP_PLACE_OPTIONS 2 // the first rows of app_agent_options: where an agent works and is kept

extern volatile int app_cancel; // set by Ctrl-C; a second one ends the process at once

int app_open(struct app *app, const struct command *c, unsigned parts, err *e);
void app_close(struct app *app);

// "auto", "none", "required" or {name: TOOL}; *named points into v.
int app_choice(const json_t *v, struct agent_choice *choice, err *e);

// One agent with what belongs to it alone. Never moved after app_agent_open: tools hold a pointer
// to it.
struct app_agent {
    struct app *app;
    agent *agent;
    tool_set *tools;
    memory *memory;
    json_t *spec; // keeps the strings that the agent borrows
    const char **names, **stops;
    struct policy_rule *rules;
};

// spec: {name, instructions, tools: [name...], tool_dirs: [dir...], workspace, policy: {tool:
// verdict}, limits: {...}, sampling: {...}, session: id | "last", tool_choice: as above}; every
// field may be missing, an unknown one is an error. The command line's options win over it.
struct app_agent *app_agent_open(struct app *app, const json_t *spec, err *e);
void app_agent_close(struct app_agent *a);
void app_spend(struct app_spent *s, const struct agent_result *r);

// Limits and sampling alone, of the spec and of the command line's options.
int app_take_limits(struct agent_options *o, const json_t *spec, const struct command *c, err *e);

// A tool set alone, for `hearth tool`: the shipped tools, then the folders given by --tools.
tool_set *app_tools_open(struct app *app, const json_t *dirs, const char *workspace,
                         struct app_agent *owner, err *e);
