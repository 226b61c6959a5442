// The SQLite file: agents, conversations, messages, runs, steps, tool calls, memories, embeddings.
// One process owns a store for writing at a time (a lock file beside it); readers may look at any
// time. A function returns after its rows are on disk (WAL, synchronous=FULL): what a caller was
// told is saved survives kill -9 and a power cut. Opening recovers: a run that was cut off is
// marked so, and a call whose outcome is unknown gets a result that says that, before any prompt
// can be built from it.
#pragma once
#include "base/err.h"
#include <jansson.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct store store;

enum store_mode { STORE_READ, STORE_WRITE };

enum message_role { ROLE_SYSTEM, ROLE_USER, ROLE_ASSISTANT, ROLE_TOOL };
enum run_state { RUN_RUNNING, RUN_DONE, RUN_FAILED, RUN_CANCELLED, RUN_INTERRUPTED };
enum call_state {
    CALL_PROPOSED, // the model asked for it
    CALL_APPROVED, // policy or the user allowed it
    CALL_STARTED,  // it may have begun to act
    CALL_DONE,     // result is final
    CALL_DENIED,   // never ran
    CALL_UNKNOWN   // the process died while it ran
};
const char *run_state_name(int state);
const char *call_state_name(int state);
const char *role_name(int role);
int role_of(const char *name); // -1: no such role

// path is created with its folders when mode is STORE_WRITE. Fails with ERR_STORE when another
// process owns it, when it was written by a newer Hearth, or is no Hearth store.
store *store_open(const char *path, enum store_mode mode, err *e);
void store_close(store *s);
bool store_writable(const store *s); // opened with STORE_WRITE
const char *store_path(const store *s);
sqlite3 *store_db(store *s); // for the modules that own tables of their own (memory.c)

// All writes between begin and commit land together or not at all.
int store_begin(store *s, err *e);
int store_commit(store *s, err *e);
void store_rollback(store *s);

// Ids are > 0; -1 with *e on failure.
int64_t store_agent(store *s, const char *name, err *e); // finds or makes
int64_t store_conversation_add(store *s, int64_t agent, const char *title, err *e);
int64_t store_conversation_last(store *s, int64_t agent, err *e); // 0: none
bool store_conversation_exists(store *s, int64_t conversation);

// parts (may be NULL): what content alone does not hold: {tool_calls: [...]} or {name, call}.
int64_t store_message_add(store *s, int64_t conversation, int role, const char *content,
                          const json_t *parts, int n_token, err *e);
// New array of {id, role, content, parts?} in order.
json_t *store_messages(store *s, int64_t conversation, err *e);

int64_t store_run_add(store *s, int64_t conversation, const char *model, err *e);
int store_run_end(store *s, int64_t run, enum run_state state, const char *error, err *e);

struct step_usage {
    int prompt_tokens, cached_tokens, output_tokens;
    int forced_tokens; // of the output: those the grammar left no choice about (not stored)
    int passes;        // of the model over the output (not stored)
    int64_t started_us, ended_us;
};
int64_t store_step_add(store *s, int64_t run, int idx, int64_t message, const struct step_usage *u,
                       err *e);

int64_t store_call_add(store *s, int64_t step, int idx, const char *name, const json_t *args,
                       err *e);
int store_call_state(store *s, int64_t call, enum call_state state, err *e);
int store_call_result(store *s, int64_t call, enum call_state state, bool is_error,
                      const char *result, err *e);

// For `session` and `inspect`: new JSON arrays and objects.
json_t *store_list_conversations(store *s, int limit, err *e);
json_t *store_show_run(store *s, int64_t run, err *e); // run 0: the last one
