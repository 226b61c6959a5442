// The agent loop. agent_turn is the function to read first: recall, prompt, generate under the
// grammar, journal, run the tools, and again, until the model answers or a budget ends.
#pragma once
#include "base/err.h"
#include "constraint.h"
#include "engine/chat.h"
#include "engine/engine.h"
#include "engine/stop.h"
#include "memory.h"
#include "policy.h"
#include "replies.h"
#include "store.h"
#include "tools/tool.h"

typedef struct agent agent;

enum event_kind {
    EVENT_TURN,   // a turn began: text is the input, run its id
    EVENT_TEXT,   // text[0..n): a piece of what the model writes, whole UTF-8 characters
    EVENT_CALL,   // tool, args, call: journaled as proposed
    EVENT_RESULT, // tool, call, text (the result), ok, us, state: journaled
    EVENT_STEP,   // usage, step: the step and its message are journaled
    EVENT_NOTE,   // text: something the person should know (a repeated call was stopped, ...)
    EVENT_END     // the turn ended: text is the answer, state the run's state
};

struct agent_event {
    enum event_kind kind;
    const char *text;
    size_t n;
    const char *tool;
    const json_t *args;
    int64_t run, call, message, us;
    bool ok;
    int step, state;
    const struct step_usage *usage;
};

struct agent_limits {
    int steps;    // model calls in a turn
    int tokens;   // made by the model in a turn
    int seconds;  // wall clock of a turn
    int recalled; // memories put in front of the user's words; 0: only the recall tool
};
#define AGENT_DEFAULT_LIMITS ((struct agent_limits){12, 2048, 300, 0})

// May a turn call tools? REQUIRED and NAMED: its first answer begins with calls, or with one call
// of the tool named, and after that it goes on as with AUTO, or it would never end.
struct agent_choice {
    enum tool_choice kind;
    const char *named; // CHOICE_NAMED: the tool
};

// Everything is borrowed and must outlive the agent.
struct agent_options {
    engine *en;
    session *session;
    chat *chat;
    store *store;
    memory *memory;
    tool_set *tools;               // NULL: none
    const char *const *tool_names; // which of the set; NULL: all
    size_t n_tool_name;
    struct agent_choice choice;      // of turns that do not choose for themselves
    const char *name, *instructions; // instructions may be NULL
    int64_t conversation;            // 0: a new one, made by the first turn
    const struct policy_rule *rules;
    size_t n_rule;
    struct agent_limits limits;
    struct sample_options sample;
    struct replies *replies; // said in place of the model; NULL: the model itself
    struct stop_list stop;   // texts that end an answer; they are not part of it
    void (*on_event)(void *user, const struct agent_event *ev);     // may be NULL
    bool (*approve)(void *user, const tool *t, const json_t *args); // for POLICY_ASK; NULL: denied
    void *user;
    const volatile int *cancel; // may be NULL; looked at often enough for 100 ms
};

agent *agent_open(const struct agent_options *o, err *e); // compiles the tools' grammars
void agent_close(agent *a);
// False: every token is asked of the model, also those that the grammar leaves no choice about. For
// comparison only.
void agent_force(agent *a, bool on);
int64_t agent_conversation(const agent *a); // 0 before the first turn

struct agent_result {
    char *answer;  // owned; "" when there is none
    json_t *value; // owned; the answer under a schema, NULL without one
    int64_t run;
    int steps, calls, prompt_tokens, cached_tokens, output_tokens;
    int forced_tokens, passes; // of the output: without a choice; passes of the model over it
    int64_t us, prefill_us, decode_us, first_token_us;
    const char
        *stopped; // "answer", or the budget that ended it: "steps", "tokens", "repeated call"
};

// One turn. output (may be NULL): what the final answer has to be; choice (may be NULL): instead of
// the agent's own. 0: there is an answer. -1: *e; the journal holds what was done and the
// conversation can go on.
int agent_turn(agent *a, const char *input, const struct constraint *output,
               const struct agent_choice *choice, struct agent_result *r, err *e);
void agent_result_free(struct agent_result *r);

// The memory functions that tools are lent: `user` is a pointer to an agent pointer.
json_t *agent_remember(void *user, const char *text, err *why);
json_t *agent_recall(void *user, const char *query, int k, err *why);
