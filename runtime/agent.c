// The loop couples three parties that do not know each other: the engine (tokens), the tools
// (boxes) and the store (journal). Its order of commits is what makes a crash harmless:
//   1. the user's message and the run's row, before the model is asked;
//   2. the assistant's message, the step and all its calls as `proposed`, in one transaction;
//   3. each call `started` before its box may act;
//   4. its result and the tool message that shows it, in one transaction.
// Whatever dies in between, store_open settles it and the conversation goes on.
//
// A model that asks for the same thing again gets the old result and, on its next step, a grammar
// without calls: it must answer. Refusing alone is not enough, a small model asks a third time.
#include "agent.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "transcript.h"

#include <stdlib.h>
#include <string.h>

enum {
    TEXT_MAX = 1 << 20,
    FORCED_MAX = 64 // tokens that are taken without asking the model, at most
};

struct past_call { // for spotting repeats within a turn
    char *key;     // name and canonical arguments
    char *result;
    struct past_call *next;
};

struct agent {
    struct agent_options o;
    transcript *t;
    int64_t agent_id;
    const tool **tools; // [n_tool]
    size_t n_tool;
    json_t *descriptions;            // array for the template, NULL without tools
    grammar *with_calls, *text_only; // with_calls: NULL without tools
    grammar *must_call;              // of `called`; NULL: not made yet
    struct agent_choice called;      // what must_call is of; its name is a tool's own
    uint64_t *mask;                  // [(n_vocab + 63) / 64]
    token_buf prompt;
    // the turn in progress
    int64_t run, deadline_us;
    int tokens_left;
    struct past_call *past;
    bool must_answer;
    enum tool_choice choice;             // NONE, or of the next answer
    grammar *answer;                     // of what the turn in progress asks for; NULL: free text
    bool answer_is_json;                 // under a schema
    const char *think_begin, *think_end; // of a span of reasoning; think_end NULL: there is none
    bool torn;                           // a call's result could not be journaled
    bool unforced;                       // see agent_force
};

// A small model does best when it sees little choice: keys in the schema's order, none of its own,
// and one way to write a character, which also leaves most of a key without any choice.
static const struct grammar_options json_options = {
    .spacing = SPACING_PYTHON, .escapes = ESCAPES_MINIMAL, .closed = true};

static void emit(agent *a, struct agent_event ev)
{
    ev.run = a->run;
    if (a->o.on_event) a->o.on_event(a->o.user, &ev);
}

// ---- opening ----

static char *names_of(const tool *const *t, size_t n)
{
    buf b = buf_new(600);
    for (size_t i = 0; i < n; i++) buf_printf(&b, "%s%s", i ? ", " : "", t[i]->name);
    char *text = mem_str(n ? buf_text(&b) : "none");
    buf_free(&b);
    return text;
}

static int choose_tools(agent *a, err *e)
{
    const struct agent_options *o = &a->o;
    size_t n_all = o->tools ? tool_set_size(o->tools) : 0;
    a->tools = mem_new((n_all + o->n_tool_name) * sizeof *a->tools);
    if (!o->tool_names) {
        for (size_t i = 0; i < n_all; i++) a->tools[a->n_tool++] = tool_set_at(o->tools, i);
        return 0;
    }
    for (size_t i = 0; i < o->n_tool_name; i++) {
        const tool *t = o->tools ? tool_set_find(o->tools, o->tool_names[i]) : NULL;
        if (!t) {
            for (size_t k = 0; k < n_all; k++) a->tools[k] = tool_set_at(o->tools, k);
            char *have = names_of(a->tools, n_all);
            err_set(e, ERR_INPUT, "agent %s: there is no tool `%s`; there are: %s", o->name,
                    o->tool_names[i], have);
            free(have);
            return -1;
        }
        a->tools[a->n_tool++] = t;
    }
    return 0;
}

// Of an answer with calls. When they are required they come at once: a model that would rather
// talk would fill the budget with words.
static grammar *calls_grammar(const agent *a, struct agent_choice c, err *e)
{
    struct grammar_tool *tools = mem_new(a->n_tool * sizeof *tools);
    for (size_t i = 0; i < a->n_tool; i++)
        tools[i] = (struct grammar_tool){a->tools[i]->name, a->tools[i]->parameters};
    struct grammar_tools_options o = {.tools = tools,
                                      .n_tool = a->n_tool,
                                      .choice = c.kind,
                                      .named = c.named,
                                      .parallel = c.kind != CHOICE_NAMED,
                                      .at_once = true,
                                      .think_begin = a->think_begin,
                                      .think_end = a->think_end,
                                      .json = json_options};
    grammar *g = NULL;
    if (chat_call_format(a->o.chat, &o, e) == 0)
        g = grammar_from_tools(engine_vocab(a->o.en), &o, e);
    free(tools);
    return g;
}

static int compile_grammars(agent *a, err *e)
{
    const grammar_vocab *v = engine_vocab(a->o.en);
    // Text that must not be a call: where the template's format is known, its opening is kept out
    // too.
    struct grammar_tools_options none = {.choice = CHOICE_NONE};
    err unknown;
    chat_reasoning(a->o.chat, engine_tokenizer(a->o.en), &a->think_begin, &a->think_end);
    none.think_begin = a->think_begin, none.think_end = a->think_end;
    if (chat_call_format(a->o.chat, &none, &unknown)) {
        none.begin = "<tool_call>", none.end = "</tool_call>", none.between = "";
        none.before_name = "{\"name\": \"", none.after_name = "\", \"arguments\": ";
        none.after_args = "}";
        // Nobody asked for a tool by name: the model can still talk.
        if (!a->o.tool_names && a->n_tool > 0) {
            a->n_tool = 0;
            emit(a, (struct agent_event){.kind = EVENT_NOTE,
                                         .text = "no tools are offered: the model's chat template "
                                                 "writes tool calls in no format known here"});
        }
    }
    a->text_only = grammar_from_tools(v, &none, e);
    if (!a->text_only) return -1;
    if (a->n_tool == 0) return 0;
    a->descriptions = json_array();
    for (size_t i = 0; i < a->n_tool; i++)
        json_array_append_new(a->descriptions, tool_describe(a->tools[i]));
    a->with_calls = calls_grammar(a, (struct agent_choice){CHOICE_AUTO, NULL}, e);
    return a->with_calls ? 0 : -1;
}

// Sees to it that what is chosen can be asked for, before anything is.
static int take_choice(agent *a, struct agent_choice c, err *e)
{
    size_t i = 0;
    bool must = c.kind == CHOICE_REQUIRED || c.kind == CHOICE_NAMED;
    if (!must) return 0;
    if (a->n_tool == 0)
        return err_set(e, ERR_INPUT, "tool_choice: a call is required, but no tools are offered");
    if (a->o.limits.steps < 2)
        return err_set(e, ERR_INPUT,
                       "tool_choice: a call is required, but limits.steps leaves only the answer");
    while (c.kind == CHOICE_NAMED && i < a->n_tool && strcmp(a->tools[i]->name, c.named) != 0) i++;
    if (i == a->n_tool) {
        char *have = names_of(a->tools, a->n_tool);
        err_set(e, ERR_INPUT, "tool_choice: no tool `%s` is offered; there are: %s", c.named, have);
        free(have);
        return -1;
    }
    if (c.kind == CHOICE_NAMED) c.named = a->tools[i]->name;
    if (a->must_call && a->called.kind == c.kind && a->called.named == c.named) return 0;
    grammar_free(a->must_call);
    a->must_call = calls_grammar(a, c, e);
    a->called = c;
    return a->must_call ? 0 : -1;
}

agent *agent_open(const struct agent_options *o, err *e)
{
    agent *a = mem_new(sizeof *a);
    a->o = *o;
    a->unforced = o->replies != NULL; // written words say all of it themselves
    a->mask = mem_new(((size_t)engine_info(o->en)->n_vocab + 63) / 64 * sizeof *a->mask);
    if (choose_tools(a, e) || compile_grammars(a, e) || take_choice(a, o->choice, e)) goto fail;
    a->agent_id = store_agent(o->store, o->name, e);
    if (a->agent_id < 0) goto fail;
    if (o->conversation) {
        if (!store_conversation_exists(o->store, o->conversation)) {
            err_set(e, ERR_USAGE, "store %s: there is no session %lld", store_path(o->store),
                    (long long)o->conversation);
            goto fail;
        }
        a->t = transcript_open(o->store, o->conversation, o->instructions, e);
        if (!a->t) goto fail;
    }
    return a;
fail:
    agent_close(a);
    return NULL;
}

static void past_free(agent *a)
{
    while (a->past) {
        struct past_call *p = a->past;
        a->past = p->next;
        free(p->key);
        free(p->result);
        free(p);
    }
}

void agent_close(agent *a)
{
    if (!a) return;
    past_free(a);
    transcript_close(a->t);
    grammar_free(a->answer);
    grammar_free(a->with_calls);
    grammar_free(a->must_call);
    grammar_free(a->text_only);
    json_decref(a->descriptions);
    token_buf_free(&a->prompt);
    free(a->tools);
    free(a->mask);
    free(a);
}

void agent_force(agent *a, bool on)
{
    a->unforced = !on;
}

int64_t agent_conversation(const agent *a)
{
    return a->t ? transcript_conversation(a->t) : 0;
}

static bool cancelled(const agent *a)
{
    return a->o.cancel && *a->o.cancel;
}

// ---- one step of the model ----

// The text under way. Free text is shown as it comes, whole characters only, and not what may turn
// out to be a stop string; calls are not shown at all.
struct output {
    buf text;
    size_t shown;   // bytes shown, or passed over as part of a call
    size_t free_at; // where the free text under way begins
    size_t seen;    // how far stop strings were looked for
};

static void show_text(agent *a, struct output *out, size_t end)
{
    if (end <= out->shown) return;
    size_t whole = end - utf8_incomplete_tail(out->text.p, end);
    if (whole > out->shown)
        emit(a, (struct agent_event){
                    .kind = EVENT_TEXT, .text = out->text.p + out->shown, .n = whole - out->shown});
    if (whole > out->shown) out->shown = whole;
}

// After a token of free text: true when a stop string ends it; the text is cut in front of it.
static bool free_text_stops(agent *a, const struct stop_list *stop, struct output *out, bool stream)
{
    size_t held,
        at = stop_find(stop, buf_text(&out->text), out->free_at, out->seen, out->text.n, &held);
    out->seen = out->text.n;
    if (stream) show_text(a, out, at == STOP_NONE ? out->text.n - held : at);
    if (at == STOP_NONE) return false;
    out->text.n = at;
    out->text.p[at] = 0;
    return true;
}

static int check_budgets(agent *a, err *e)
{
    if (cancelled(a)) return err_set(e, ERR_CANCELLED, "cancelled");
    if (clock_us() > a->deadline_us)
        return err_set(e, ERR_BUDGET, "the turn's %d seconds are used up", a->o.limits.seconds);
    return 0;
}

// The transcript as it stands as tokens, in a->prompt.
static int render_prompt(agent *a, const json_t *tools, err *e)
{
    a->prompt.n = 0;
    if (chat_render(a->o.chat, engine_tokenizer(a->o.en), transcript_messages(a->t), tools, true,
                    &a->prompt, NULL, e))
        return -1;
    int ctx = session_ctx_max(a->o.session);
    if ((int64_t)a->prompt.n >= ctx)
        return err_set(
            e, ERR_BUDGET,
            "the prompt is %zu tokens long and the model's context holds %d: shorten the input, "
            "offer fewer tools, or start a new session",
            a->prompt.n, ctx);
    return 0;
}

// Writes the prompt of the transcript into the session.
static int prompt_model(agent *a, const json_t *tools, struct step_usage *u, err *e)
{
    if (render_prompt(a, tools, e)) return -1;
    size_t reused = 0;
    u->prompt_tokens = (int)a->prompt.n;
    if (a->o.replies) return replies_next(a->o.replies, a->o.chat, a->tools, a->n_tool, e);
    if (session_sync(a->o.session, a->prompt.ids, a->prompt.n, &reused, a->o.cancel, e)) return -1;
    u->cached_tokens = (int)reused;
    return 0;
}

// One answer under way. Tokens that are taken wait in `next` until the model has to be asked again,
// and then run through it at once.
struct writing {
    grammar_state *state;
    const struct stop_list *stop;
    struct output *out;
    struct step_usage *usage;
    bool stream;  // free text is shown as it comes
    int budget;   // tokens that may still be made
    bool stopped; // a stop string ends it
    int32_t next[FORCED_MAX + 1];
    size_t n_next;
};

static int take_token(agent *a, struct writing *w, int32_t token, err *e)
{
    const grammar_vocab *v = engine_vocab(a->o.en);
    struct output *out = w->out;
    bool in_call = grammar_in_call(w->state);
    if (!grammar_accept(w->state, token))
        return err_set(e, ERR_FAILED, "the grammar refused token %d that its own mask allowed",
                       (int)token);
    w->usage->output_tokens++;
    a->tokens_left--;
    w->budget--;
    if (token == v->end) return 0;
    w->next[w->n_next++] = token;
    buf_put(&out->text, v->bytes[token], v->len[token]);
    in_call = in_call || grammar_in_call(w->state); // a call is shown as an event, not as text
    if (in_call)
        out->shown = out->free_at = out->seen = out->text.n;
    else
        w->stopped = free_text_stops(a, w->stop, out, w->stream);
    return 0;
}

// Takes the tokens that must come next, as far as the budget is not made too small for the end.
static int take_forced(agent *a, struct writing *w, err *e)
{
    int32_t forced[FORCED_MAX];
    size_t n = a->unforced ? 0 : grammar_force(w->state, forced, FORCED_MAX - w->n_next);
    grammar_state *ahead = n ? grammar_copy(w->state) : NULL;
    for (size_t i = 0; i < n && !w->stopped; i++) {
        if (!grammar_accept(ahead, forced[i]) || grammar_shortest_finish(ahead) >= w->budget) break;
        if (take_token(a, w, forced[i], e)) {
            grammar_state_free(ahead);
            return -1;
        }
        w->usage->forced_tokens++;
    }
    grammar_state_free(ahead);
    return 0;
}

// The model runs over what was taken, and the mask of the next token is made meanwhile. *n: tokens
// that may come.
static int advance(agent *a, struct writing *w, bool run, int *n, err *e)
{
    if (a->o.replies) w->n_next = 0; // nobody reads it
    run = run && w->n_next > 0;
    if (run && session_issue(a->o.session, w->next, w->n_next, e)) return -1;
    *n = w->budget <= 0 ? 0 : grammar_mask(w->state, w->budget, a->mask);
    if (run && session_await(a->o.session, e)) return -1;
    w->usage->passes += run;
    if (run) w->n_next = 0;
    return 0;
}

static int write_text(agent *a, struct writing *w, err *e)
{
    int32_t end = engine_vocab(a->o.en)->end, token = -1;
    bool by_tokens = w->budget == a->tokens_left;
    while (token != end && !w->stopped) {
        if (check_budgets(a, e) || take_forced(a, w, e)) return -1;
        if (w->stopped) break;
        // What was taken last need not run through the model when nothing can follow it.
        bool ends = !a->unforced && grammar_must_end(w->state);
        int n;
        if (advance(a, w, !ends, &n, e)) return -1;
        if (n == 0)
            return err_set(e, ERR_BUDGET, "%s",
                           by_tokens ? "the turn's budget of tokens is used up"
                                     : "the model's context is full: start a new session");
        if (ends)
            token = end;
        else if (a->o.replies)
            token = replies_token(a->o.replies, engine_vocab(a->o.en), a->mask, e);
        else
            token = session_sample(a->o.session, &a->o.sample, a->mask);
        if (token < 0) return -1;
        if (take_token(a, w, token, e)) return -1;
    }
    return 0;
}

// Generates under g until the end token. `stream`: free text is shown as it comes.
static int generate(agent *a, const grammar *g, bool stream, struct output *out,
                    struct step_usage *u, err *e)
{
    static const struct stop_list none = {0};
    int room = session_ctx_max(a->o.session) - (int)a->prompt.n;
    struct writing w = {.state = grammar_start(g),
                        .stop = g == a->answer ? &none : &a->o.stop, // JSON is never cut
                        .out = out,
                        .usage = u,
                        .stream = stream,
                        .budget = a->tokens_left < room ? a->tokens_left : room};
    int rc = write_text(a, &w, e);
    if (rc == 0 && stream && !grammar_in_call(w.state)) show_text(a, out, out->text.n);
    if (rc == 0 && out->text.full)
        rc = err_set(e, ERR_BUDGET, "the model wrote more than %d bytes in one step", TEXT_MAX);
    grammar_state_free(w.state);
    return rc;
}

// ---- calls ----

static char *call_key(const char *name, const json_t *args)
{
    char *text = json_dumps(args, JSON_COMPACT | JSON_SORT_KEYS);
    char *key = mem_printf("%s %s", name, text);
    free(text);
    return key;
}

static struct past_call *past_find(agent *a, const char *key)
{
    for (struct past_call *p = a->past; p; p = p->next)
        if (strcmp(p->key, key) == 0) return p;
    return NULL;
}

// After a call that can change things, the same question may have another answer: the past is
// forgotten.
static void past_note(agent *a, const tool *t, char *key, const char *result)
{
    const char *fs = json_string_value(json_object_get(t->capabilities, "fs"));
    const char *mem = json_string_value(json_object_get(t->capabilities, "memory"));
    if (t->effect != EFFECT_PURE &&
        ((fs && strcmp(fs, "rw") == 0) || (mem && strcmp(mem, "rw") == 0)))
        past_free(a);
    struct past_call *p = mem_new(sizeof *p);
    *p = (struct past_call){.key = key, .result = mem_str(result), .next = a->past};
    a->past = p;
}

// Commits a call's result together with the message that shows it to the model.
static int journal_result(agent *a, int64_t call, const char *name, enum call_state state, bool ok,
                          const char *text, int64_t us, err *e)
{
    if (store_begin(a->o.store, e)) return -1;
    json_t *parts = json_pack("{s:s, s:I}", "name", name, "call", (json_int_t)call);
    int64_t message = -1;
    if (store_call_result(a->o.store, call, state, !ok, text, e) == 0)
        message = transcript_add(a->t, ROLE_TOOL, text, parts, 0, e);
    json_decref(parts);
    if (message < 0 || store_commit(a->o.store, e)) {
        store_rollback(a->o.store);
        if (message > 0) transcript_drop_last(a->t);
        a->torn = true;
        return -1;
    }
    emit(a, (struct agent_event){.kind = EVENT_RESULT,
                                 .tool = name,
                                 .call = call,
                                 .text = text,
                                 .n = strlen(text),
                                 .ok = ok,
                                 .us = us,
                                 .state = state,
                                 .message = message});
    return 0;
}

static int settle_without_running(agent *a, int64_t call, const char *name, err *e, const char *why)
{
    return journal_result(a, call, name, CALL_DENIED, false, why, 0, e);
}

static int run_call(agent *a, int64_t call, const char *name, const json_t *args, err *e)
{
    const tool *t = NULL;
    for (size_t i = 0; i < a->n_tool; i++)
        if (strcmp(a->tools[i]->name, name) == 0) t = a->tools[i];
    if (!t) return settle_without_running(a, call, name, e, "there is no tool of this name");

    char *key = call_key(name, args);
    struct past_call *past = past_find(a, key);
    if (past) {
        a->must_answer = true;
        int rc = journal_result(a, call, name, CALL_DENIED, true, past->result, 0, e);
        emit(a, (struct agent_event){
                    .kind = EVENT_NOTE,
                    .tool = name,
                    .text = "repeated call: not run again; the model must answer now"});
        free(key);
        return rc;
    }
    struct tool_result r = {0};
    err bad;
    int rc = -1;
    if (tool_check_args(t, args, &bad)) {
        char *text = mem_printf("invalid arguments: %s", bad.msg);
        rc = settle_without_running(a, call, name, e, text);
        free(text);
        goto out;
    }
    enum policy_verdict verdict = policy_decide(a->o.rules, a->o.n_rule, t);
    bool allowed = verdict == POLICY_ALLOW ||
                   (verdict == POLICY_ASK && a->o.approve && a->o.approve(a->o.user, t, args));
    if (!allowed) {
        char *text = mem_printf("denied: %s may not run here (%s); answer without it", name,
                                verdict == POLICY_DENY ? "policy says deny" : "nobody approved it");
        rc = settle_without_running(a, call, name, e, text);
        free(text);
        goto out;
    }
    // A person's yes is worth a row of its own; policy's can be read off the policy.
    if (verdict == POLICY_ASK && store_call_state(a->o.store, call, CALL_APPROVED, e)) goto out;
    if (store_call_state(a->o.store, call, CALL_STARTED, e)) goto out;
    if (tool_call(a->o.tools, t, args, a->o.cancel, &r, e)) {
        // Cancelled, or the sandbox refused: the journal must not keep a call open that nobody will
        // finish.
        err ignored;
        journal_result(a, call, name, t->effect == EFFECT_ONCE ? CALL_UNKNOWN : CALL_DONE, false,
                       e->msg, 0, &ignored);
        goto out;
    }
    rc = journal_result(a, call, name, CALL_DONE, r.ok, r.text, r.us, e);
    if (rc == 0) {
        past_note(a, t, key, r.text);
        key = NULL;
    }
out:
    tool_result_free(&r);
    free(key);
    return rc;
}

// Commits what the model said with its step and calls; ids gets the calls' row ids.
static int journal_step(agent *a, int step, const char *content, const json_t *calls,
                        const struct step_usage *u, int64_t *ids, err *e)
{
    json_t *parts = json_array_size(calls) ? json_pack("{s:O}", "tool_calls", calls) : NULL, *call;
    if (store_begin(a->o.store, e)) {
        json_decref(parts);
        return -1;
    }
    int64_t message = transcript_add(a->t, ROLE_ASSISTANT, content, parts, u->output_tokens, e);
    json_decref(parts);
    int64_t row = message > 0 ? store_step_add(a->o.store, a->run, step, message, u, e) : -1;
    size_t i;
    json_array_foreach((json_t *)calls, i, call)
    {
        if (row < 0) break;
        ids[i] = store_call_add(a->o.store, row, (int)i,
                                json_string_value(json_object_get(call, "name")),
                                json_object_get(call, "arguments"), e);
        if (ids[i] < 0) row = -1;
    }
    if (row < 0 || store_commit(a->o.store, e)) {
        store_rollback(a->o.store);
        if (message > 0) transcript_drop_last(a->t);
        return -1;
    }
    emit(a, (struct agent_event){.kind = EVENT_STEP, .step = step, .usage = u, .message = message});
    return 0;
}

static int run_calls(agent *a, const json_t *calls, const int64_t *ids, err *e)
{
    json_t *call;
    size_t i;
    json_array_foreach((json_t *)calls, i, call)
    {
        const char *name = json_string_value(json_object_get(call, "name"));
        const json_t *args = json_object_get(call, "arguments");
        emit(a,
             (struct agent_event){.kind = EVENT_CALL, .tool = name, .args = args, .call = ids[i]});
        if (run_call(a, ids[i], name, args, e)) {
            // The calls behind it never ran, and a template cannot show calls without results.
            err ignored;
            for (size_t k = i + 1; k < json_array_size(calls); k++)
                settle_without_running(
                    a, ids[k], json_string_value(json_object_get(json_array_get(calls, k), "name")),
                    &ignored, "not run: the turn was stopped");
            return -1;
        }
    }
    return 0;
}

// ---- the turn ----

static int begin_turn(agent *a, const char *input, err *e)
{
    store *s = a->o.store;
    json_t *parts = NULL, *found = NULL;
    if (a->o.limits.recalled > 0 && a->o.memory) {
        found = memory_recall(a->o.memory, input, a->o.limits.recalled, e);
        if (!found) return -1;
        json_t *texts = json_array(), *fact;
        size_t i;
        json_array_foreach(found, i, fact) json_array_append(texts, json_object_get(fact, "text"));
        parts = json_pack("{s:o}", "recalled", texts);
        json_decref(found);
    }
    int64_t conversation = agent_conversation(a);
    bool fresh = !conversation;
    if (store_begin(s, e)) goto fail;
    if (fresh) {
        char title[81];
        size_t n = strlen(input) < 80 ? strlen(input) : 80;
        memcpy(title, input, n);
        title[utf8_valid_prefix(title, n)] = 0;
        conversation = store_conversation_add(s, a->agent_id, title, e);
        if (conversation < 0) goto undo;
        a->t = transcript_open(s, conversation, a->o.instructions, e);
        if (!a->t) goto undo;
    }
    if (transcript_add(a->t, ROLE_USER, input, parts, 0, e) < 0) goto undo;
    // Words that do not fit never enter the conversation: it could not go on with them in it.
    a->run = render_prompt(a, a->descriptions, e)
                 ? -1
                 : store_run_add(s, conversation, engine_info(a->o.en)->digest, e);
    if (a->run < 0 || store_commit(s, e)) {
        transcript_drop_last(a->t);
        goto undo;
    }
    json_decref(parts);
    return 0;
undo:
    store_rollback(s);
    if (fresh) {
        transcript_close(a->t);
        a->t = NULL;
    }
fail:
    json_decref(parts);
    return -1;
}

static char *without_reasoning(const agent *a, const struct output *out)
{
    size_t from = chat_answer(a->o.chat, buf_text(&out->text), out->text.n);
    return mem_strn(buf_text(&out->text) + from, out->text.n - from);
}

// The last words, once more, as the caller asked for them.
static int structured_answer(agent *a, struct output *out, struct step_usage *u, err *e)
{
    buf_clear(&out->text);
    out->shown = out->free_at = out->seen = 0;
    return prompt_model(a, a->descriptions, u, e) || generate(a, a->answer, true, out, u, e) ? -1
                                                                                             : 0;
}

// One step: 1 when it was the answer, 0 when calls were run, -1 with *e.
static int agent_step(agent *a, int step, struct agent_result *r, err *e)
{
    struct step_usage u = {.started_us = clock_wall_us()};
    struct output out = {.text = buf_new(TEXT_MAX)};
    char *content = NULL;
    json_t *calls = NULL;
    int64_t *ids = NULL;
    int rc = -1;
    bool last = a->must_answer || step + 1 >= a->o.limits.steps;
    bool none = last || !a->with_calls || a->choice == CHOICE_NONE; // no call can come
    bool direct = a->answer && none; // the answer at once, under its schema
    const grammar *first = none                       ? a->text_only
                           : a->choice == CHOICE_AUTO ? a->with_calls
                                                      : a->must_call;
    int64_t t0 = clock_us();
    if (direct) {
        if (structured_answer(a, &out, &u, e)) goto out;
        content = without_reasoning(a, &out);
        calls = json_array();
    } else {
        if (prompt_model(a, a->descriptions, &u, e)) goto out;
        int64_t t1 = clock_us();
        r->prefill_us += t1 - t0;
        if (step == 0) r->first_token_us = t1 - t0;
        t0 = t1;
        if (generate(a, first, !a->answer, &out, &u, e)) goto out;
        if (a->with_calls) {
            size_t from = chat_answer(a->o.chat, buf_text(&out.text), out.text.n);
            if (chat_parse(a->o.chat, buf_text(&out.text) + from, out.text.n - from, &content,
                           &calls, e))
                goto out;
        } else {
            content = without_reasoning(a, &out);
            calls = json_array();
        }
        if (a->answer && json_array_size(calls) == 0) {
            free(content);
            if (structured_answer(a, &out, &u, e)) {
                content = NULL;
                goto out;
            }
            content = without_reasoning(a, &out);
        }
    }
    r->decode_us += clock_us() - t0;
    u.ended_us = clock_wall_us();
    r->steps++;
    r->prompt_tokens += u.prompt_tokens;
    r->cached_tokens += u.cached_tokens;
    r->output_tokens += u.output_tokens;
    r->forced_tokens += u.forced_tokens;
    r->passes += u.passes;
    r->calls += (int)json_array_size(calls);
    ids = mem_new((json_array_size(calls) + 1) * sizeof *ids);
    if (journal_step(a, step, content, calls, &u, ids, e)) goto out;
    if (a->choice != CHOICE_NONE) a->choice = CHOICE_AUTO;
    if (json_array_size(calls)) {
        rc = run_calls(a, calls, ids, e);
    } else {
        json_error_t bad;
        r->answer = content;
        content = NULL;
        if (a->answer_is_json && !(r->value = json_loads(r->answer, JSON_DECODE_ANY, &bad))) {
            // A schema allows numbers that no machine type holds.
            err_set(e, ERR_FAILED, "the answer under the schema cannot be read: %s", bad.text);
            goto out;
        }
        r->stopped = a->must_answer ? "repeated call" : last ? "steps" : "answer";
        rc = 1;
    }
out:
    buf_free(&out.text);
    free(content);
    free(ids);
    json_decref(calls);
    return rc;
}

int agent_turn(agent *a, const char *input, const struct constraint *output,
               const struct agent_choice *choice, struct agent_result *r, err *e)
{
    *r = (struct agent_result){.stopped = ""};
    int64_t start = clock_us();
    size_t n = strlen(input);
    if (utf8_valid_prefix(input, n) != n)
        return err_set(e, ERR_INPUT, "the input is not valid UTF-8 at byte %zu",
                       utf8_valid_prefix(input, n));
    // Words behind a call without a result would put that result, once it is settled, after them.
    if (a->torn)
        return err_set(
            e, ERR_STORE,
            "store %s: a call's result could not be saved; start again, and session %lld "
            "goes on",
            store_path(a->o.store), (long long)agent_conversation(a));
    a->deadline_us = start + (int64_t)a->o.limits.seconds * 1000000;
    a->tokens_left = a->o.limits.tokens;
    a->must_answer = false;
    a->run = 0;
    past_free(a);
    if (cancelled(a)) return err_set(e, ERR_CANCELLED, "cancelled"); // nothing began
    // Before anything acts: what cannot be enforced is refused here, not after the tools have run.
    grammar_free(a->answer);
    a->answer = output ? constraint_compile(output, engine_vocab(a->o.en), &json_options,
                                            a->think_begin, a->think_end, e)
                       : NULL;
    if (output && !a->answer) return err_wrap(e, "the answer's %s", constraint_name(output->kind));
    a->answer_is_json = output && output->kind == CONSTRAINT_SCHEMA;
    if (!choice) choice = &a->o.choice;
    if (take_choice(a, *choice, e)) return -1;
    a->choice = choice->kind;
    session_seed(a->o.session, a->o.sample.seed);
    if (begin_turn(a, input, e)) return -1;
    r->run = a->run;
    emit(a, (struct agent_event){.kind = EVENT_TURN, .text = input, .n = n});

    int done = 0;
    for (int step = 0; done == 0 && step < a->o.limits.steps; step++)
        done = agent_step(a, step, r, e);
    if (done == 0)
        done = err_set(e, ERR_BUDGET, "the turn's %d steps are used up", a->o.limits.steps);

    enum run_state state = done > 0                   ? RUN_DONE
                           : e->code == ERR_CANCELLED ? RUN_CANCELLED
                                                      : RUN_FAILED;
    err late;
    if (store_run_end(a->o.store, a->run, state, done > 0 ? NULL : e->msg, &late) && done > 0) {
        *e = late;
        done = -1;
    }
    if (!r->answer) r->answer = mem_str("");
    r->us = clock_us() - start;
    emit(a, (struct agent_event){.kind = EVENT_END,
                                 .text = r->answer,
                                 .n = strlen(r->answer),
                                 .state = state,
                                 .ok = done > 0,
                                 .us = r->us});
    return done > 0 ? 0 : -1;
}

void agent_result_free(struct agent_result *r)
{
    free(r->answer);
    json_decref(r->value);
    *r = (struct agent_result){.stopped = ""};
}

// ---- what tools are lent ----

json_t *agent_remember(void *user, const char *text, err *why)
{
    agent *a = *(agent **)user;
    if (!a || !a->o.memory) {
        err_set(why, ERR_REFUSED, "no memory is available here");
        return NULL;
    }
    int64_t id = memory_remember(a->o.memory, agent_conversation(a), text, why);
    return id < 0 ? NULL : json_integer(id);
}

json_t *agent_recall(void *user, const char *query, int k, err *why)
{
    agent *a = *(agent **)user;
    if (!a || !a->o.memory) {
        err_set(why, ERR_REFUSED, "no memory is available here");
        return NULL;
    }
    return memory_recall(a->o.memory, query, k, why);
}
