#include "app.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "engine/schema.h"
#include "paths.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

volatile int app_cancel;

const struct option_row app_model_options[] = {
    {"model", OPTION_TEXT, "DIR",
     "Hugging Face model directory (or HEARTH_MODEL; without: the built-in model)", NULL},
    {"backend", OPTION_TEXT, "NAME",
     "cuda, cpu or ref, the slow scalar reference (without: a GPU if there is one)", NULL},
    {"threads", OPTION_INT, "N", "threads of the engine; 0: one per CPU", "0"},
    {"ctx", OPTION_INT, "N", "tokens of context; 0: what the model has, at most 8192", "0"},
    {"kv", OPTION_TEXT, "TYPE",
     "of keys and values: bf16, fp8, or f32 on a CPU (without: bf16, on a CPU f32)", NULL},
    {0},
};

const struct option_row app_agent_options[] = {
    {"store", OPTION_TEXT, "FILE",
     "database (or HEARTH_STORE; without: ~/.local/share/hearth/hearth.db)", NULL},
    {"workspace", OPTION_TEXT, "DIR", "the folder that file tools work in and cannot leave", NULL},
    {"model", OPTION_TEXT, "DIR",
     "Hugging Face model directory (or HEARTH_MODEL; without: the built-in model)", NULL},
    {"backend", OPTION_TEXT, "NAME",
     "cuda, cpu or ref, the slow scalar reference (without: a GPU if there is one)", NULL},
    {"threads", OPTION_INT, "N", "threads of the engine; 0: one per CPU", "0"},
    {"ctx", OPTION_INT, "N", "tokens of context; 0: what the model has, at most 8192", "0"},
    {"kv", OPTION_TEXT, "TYPE",
     "of keys and values: bf16, fp8, or f32 on a CPU (without: bf16, on a CPU f32)", NULL},
    {"tools", OPTION_LIST, "DIR", "a folder of Lua tools, besides the shipped ones", NULL},
    {"allow", OPTION_LIST, "TOOL", "let a tool run without asking (`*`: all)", NULL},
    {"ask", OPTION_LIST, "TOOL", "ask before a tool runs", NULL},
    {"deny", OPTION_LIST, "TOOL", "never run a tool", NULL},
    {"tool-choice", OPTION_TEXT, "CHOICE",
     "how each turn begins: auto, none, required (a call), or with a call of the tool named", NULL},
    {"temperature", OPTION_NUMBER, "X", "sampling temperature; 0: greedy", NULL},
    {"top-p", OPTION_NUMBER, "X", "nucleus sampling", NULL},
    {"top-k", OPTION_INT, "N", "sample among the N likeliest", NULL},
    {"min-p", OPTION_NUMBER, "X", "least probability relative to the likeliest", NULL},
    {"seed", OPTION_INT, "N", "seed of sampling", NULL},
    {"stop", OPTION_LIST, "TEXT", "a text that ends the answer and is not part of it", NULL},
    {"steps", OPTION_INT, "N", "most model calls in a turn", NULL},
    {"tokens", OPTION_INT, "N", "most tokens made in a turn", NULL},
    {"seconds", OPTION_INT, "N", "most seconds a turn may take", NULL},
    {"recalled", OPTION_INT, "N", "memories put in front of each input", NULL},
    {"quiet", OPTION_FLAG, NULL, "only the answers", NULL},
    {0},
};

static void on_interrupt(int sig)
{
    (void)sig;
    if (app_cancel) _exit(ERR_CANCELLED);
    app_cancel = 1;
}

// Whether the verb at hand has an option of this name at all.
static const struct option_value *option_if(const struct command *c, const char *name)
{
    const struct option_row *tables[] = {c->verb->options, c->verb->shared};
    for (int t = 0; t < 2; t++)
        for (const struct option_row *r = tables[t]; r && r->name; r++)
            if (strcmp(r->name, name) == 0) return cli_option(c, name);
    return NULL;
}

static const char *text_if(const struct command *c, const char *name)
{
    const struct option_value *v = option_if(c, name);
    return v ? v->text : NULL;
}

static long long int_if(const struct command *c, const char *name)
{
    const struct option_value *v = option_if(c, name);
    return v ? v->integer : 0;
}

// A bar while weights are copied to a GPU, where somebody looks and it takes a while.
struct load_bar {
    int64_t start_us;
    bool is_drawn;
};

static void draw_load(void *user, uint64_t n_done, uint64_t n_bytes)
{
    enum { WIDTH = 30, WAIT_US = 500000 };
    struct load_bar *b = user;
    double spent = (double)(clock_us() - b->start_us) / 1e6;
    if (spent * 1e6 < WAIT_US && !b->is_drawn) return;
    b->is_drawn = n_done < n_bytes;
    fprintf(stderr, "\r\033[K");
    if (!b->is_drawn) return;
    fprintf(stderr, "loading [");
    for (uint64_t i = 0; i < WIDTH; i++) fputc(i * n_bytes < n_done * WIDTH ? '#' : '.', stderr);
    fprintf(stderr, "] %.1f of %.1f GB, %.1f GB/s", (double)n_done / 1e9, (double)n_bytes / 1e9,
            (double)n_done / 1e9 / spent);
    fflush(stderr);
}

static int open_engine(struct app *app, const struct command *c, err *e)
{
    char *dir = paths_model(text_if(c, "model"), e);
    if (!dir) return -1;
    struct engine_options o = {
        .model_dir = dir, .backend = text_if(c, "backend"), .kv = text_if(c, "kv")};
    struct load_bar bar = {.start_us = clock_us()};
    if (isatty(STDERR_FILENO) && !c->json) o.watch = (struct load_watch){draw_load, &bar};
    long long threads = int_if(c, "threads"), ctx = int_if(c, "ctx");
    int rc = -1;
    if (threads < 0 || threads > 1024)
        err_set(e, ERR_USAGE, "--threads: expected 0 to 1024, found %lld", threads);
    else if (ctx < 0 || ctx > 1 << 20)
        err_set(e, ERR_USAGE, "--ctx: expected 0 to %d, found %lld", 1 << 20, ctx);
    else {
        o.n_thread = (int)threads;
        o.ctx_max = (int)ctx;
        o.n_session = 2; // one to talk, one for embeddings
        app->en = engine_open(&o, e);
        rc = app->en ? 0 : -1;
    }
    free(dir);
    return rc;
}

static int open_chat(struct app *app, err *e)
{
    const char *source = engine_chat_template(app->en);
    if (!source)
        return err_set(e, ERR_INPUT,
                       "the model has no chat template (tokenizer_config.json: chat_template); "
                       "only `hearth model info` and `hearth bench` work with it");
    app->chat = chat_open(source, "chat_template", engine_bos(app->en), engine_eos(app->en), e);
    app->session = app->chat ? session_new(app->en, e) : NULL;
    app->embed = app->session ? session_new(app->en, e) : NULL;
    return app->embed ? 0 : -1;
}

int app_open(struct app *app, const struct command *c, unsigned parts, err *e)
{
    *app = (struct app){.command = c};
    const struct option_value *quiet = option_if(c, "quiet");
    screen_open(&app->screen, c->json, quiet && quiet->given);
    struct sigaction act = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    signal(SIGPIPE, SIG_IGN);
    app->scripts = paths_scripts(e);
    if (!app->scripts) return -1;
    if (parts & APP_BOX) {
        app->box = sandbox_open(&(struct sandbox_options){0}, e);
        if (!app->box) return -1;
    }
    if (parts & (APP_STORE | APP_STORE_READ)) {
        app->store_path = paths_store(text_if(c, "store"), e);
        if (!app->store_path) return -1;
        app->store = store_open(app->store_path, parts & APP_STORE ? STORE_WRITE : STORE_READ, e);
        if (!app->store) return -1;
    }
    if ((parts & APP_ENGINE) && (open_engine(app, c, e) || open_chat(app, e))) return -1;
    return 0;
}

void app_close(struct app *app)
{
    chat_close(app->chat);
    session_free(app->session);
    session_free(app->embed);
    store_close(app->store);
    engine_close(app->en);
    sandbox_close(app->box);
    free(app->scripts);
    free(app->store_path);
    *app = (struct app){0};
}

// ---- an agent from its description ----

struct field {
    const char *name;
    bool (*is)(const json_t *v);
    const char *expected;
};

static bool is_text(const json_t *v)
{
    return json_is_string(v);
}
static bool is_object(const json_t *v)
{
    return json_is_object(v);
}
static bool is_whole(const json_t *v)
{
    return json_is_integer(v) && json_integer_value(v) >= 0;
}
static bool is_number(const json_t *v)
{
    return json_is_number(v) && json_number_value(v) >= 0;
}

static bool is_texts(const json_t *v)
{
    json_t *item;
    size_t i;
    if (json_is_object(v) && json_object_size(v) == 0) return true; // Lua's {} is both
    if (!json_is_array(v)) return false;
    json_array_foreach((json_t *)v, i, item) if (!json_is_string(item)) return false;
    return true;
}

static bool is_verdicts(const json_t *v)
{
    const char *key;
    json_t *item;
    if (!json_is_object(v)) return false;
    json_object_foreach((json_t *)v, key,
                        item) if (!json_is_string(item) ||
                                  policy_of(json_string_value(item)) < 0) return false;
    return true;
}

static bool is_session(const json_t *v)
{
    return (json_is_integer(v) && json_integer_value(v) > 0) ||
           (json_is_string(v) && strcmp(json_string_value(v), "last") == 0);
}

#define CHOICE_EXPECTED "\"auto\", \"none\", \"required\" or a table with the name of a tool"
static const char *const choice_names[] = {"auto", "none", "required"}; // enum tool_choice

static bool is_choice(const json_t *v)
{
    bool known =
        json_is_object(v) && json_object_size(v) == 1 && json_is_string(json_object_get(v, "name"));
    for (int i = CHOICE_AUTO; i <= CHOICE_REQUIRED; i++)
        known = known || (json_is_string(v) && strcmp(json_string_value(v), choice_names[i]) == 0);
    return known;
}

static const struct field agent_fields[] = {
    {"name", is_text, "text"},
    {"instructions", is_text, "text"},
    {"tools", is_texts, "a list of tool names"},
    {"tool_dirs", is_texts, "a list of folders"},
    {"workspace", is_text, "a folder"},
    {"policy", is_verdicts, "a table of tool = \"allow\" | \"ask\" | \"deny\""},
    {"limits", is_object, "a table"},
    {"sampling", is_object, "a table"},
    {"session", is_session, "a session's number or \"last\""},
    {"tool_choice", is_choice, CHOICE_EXPECTED},
    {0},
};
static const struct field limit_fields[] = {
    {"steps", is_whole, "a whole number"},
    {"tokens", is_whole, "a whole number"},
    {"seconds", is_whole, "a whole number"},
    {"recalled", is_whole, "a whole number"},
    {0},
};
static const struct field sampling_fields[] = {
    {"temperature", is_number, "a number from 0"},
    {"top_p", is_number, "a number from 0 to 1"},
    {"top_k", is_whole, "a whole number"},
    {"min_p", is_number, "a number from 0 to 1"},
    {"seed", is_whole, "a whole number"},
    {"stop", is_texts, "a list of texts"},
    {0},
};

static int check_fields(const json_t *o, const char *where, const struct field *fields, err *e)
{
    const char *key;
    json_t *value;
    if (!json_is_object(o))
        return err_set(e, ERR_INPUT, "%s: expected a table of named fields, found %s", where,
                       json_is_array(o) ? "a list" : "a single value");
    json_object_foreach((json_t *)o, key, value)
    {
        const struct field *f = fields;
        while (f->name && strcmp(f->name, key) != 0) f++;
        if (!f->name) return err_set(e, ERR_INPUT, "%s: there is no field `%s`", where, key);
        if (!f->is(value)) {
            char *found = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
            err_set(e, ERR_INPUT, "%s: field `%s`: expected %s, found %.80s", where, key,
                    f->expected, found ? found : "?");
            free(found);
            return -1;
        }
    }
    return 0;
}

static int take_int(const json_t *o, const char *key, const struct command *c, const char *option,
                    int *out, err *e)
{
    const json_t *v = json_object_get(o, key);
    const struct option_value *given = option_if(c, option);
    bool by_option = given && given->given;
    if (!v && !by_option) return 0;
    long long value = by_option ? given->integer : json_integer_value(v);
    if (value < 0 || value > INT_MAX)
        return err_set(e, by_option ? ERR_USAGE : ERR_INPUT,
                       "%s%s: expected a whole number from 0 to %d, found %lld",
                       by_option ? "--" : "agent: field ", by_option ? option : key, INT_MAX,
                       value);
    *out = (int)value;
    return 0;
}

static void take_number(const json_t *o, const char *key, const struct command *c,
                        const char *option, float *out)
{
    const json_t *v = json_object_get(o, key);
    const struct option_value *given = option_if(c, option);
    if (v) *out = (float)json_number_value(v);
    if (given && given->given) *out = (float)given->number;
}

int app_take_limits(struct agent_options *o, const json_t *spec, const struct command *c, err *e)
{
    const json_t *l = json_object_get(spec, "limits"), *s = json_object_get(spec, "sampling");
    if ((l && check_fields(l, "agent: limits", limit_fields, e)) ||
        (s && check_fields(s, "agent: sampling", sampling_fields, e)))
        return -1;
    o->limits = AGENT_DEFAULT_LIMITS;
    o->sample = (struct sample_options){.temperature = 0, .top_p = 1};
    if (take_int(l, "steps", c, "steps", &o->limits.steps, e) ||
        take_int(l, "tokens", c, "tokens", &o->limits.tokens, e) ||
        take_int(l, "seconds", c, "seconds", &o->limits.seconds, e) ||
        take_int(l, "recalled", c, "recalled", &o->limits.recalled, e) ||
        take_int(s, "top_k", c, "top-k", &o->sample.top_k, e))
        return -1;
    if (o->limits.steps < 1 || o->limits.tokens < 1 || o->limits.seconds < 1)
        return err_set(e, ERR_INPUT,
                       "agent: limits: steps, tokens and seconds must each be at least 1");
    take_number(s, "temperature", c, "temperature", &o->sample.temperature);
    take_number(s, "top_p", c, "top-p", &o->sample.top_p);
    take_number(s, "min_p", c, "min-p", &o->sample.min_p);
    const json_t *seed = json_object_get(s, "seed");
    const struct option_value *given = option_if(c, "seed");
    o->sample.seed =
        given && given->given ? (uint64_t)given->integer : (uint64_t)json_integer_value(seed);
    if (o->sample.temperature < 0 || o->sample.temperature > 100 || o->sample.top_p <= 0 ||
        o->sample.top_p > 1 || o->sample.min_p < 0 || o->sample.min_p > 1 || o->sample.top_k < 0)
        return err_set(e, ERR_INPUT,
                       "sampling: expected temperature 0 to 100, top_p above 0 to 1, min_p 0 to 1, "
                       "top_k from 0");
    return 0;
}

// Stop strings of the script, then of the command line.
static int take_stops(struct app_agent *a, struct agent_options *o, err *e)
{
    const json_t *list = json_object_get(json_object_get(a->spec, "sampling"), "stop");
    const struct option_value *given = option_if(a->app->command, "stop");
    size_t n = json_array_size(list), n_given = given ? given->n_list : 0;
    a->stops = mem_new((n + n_given + 1) * sizeof *a->stops);
    for (size_t i = 0; i < n; i++) a->stops[i] = json_string_value(json_array_get(list, i));
    for (size_t i = 0; i < n_given; i++) a->stops[n + i] = given->list[i];
    for (size_t i = 0; i < n + n_given; i++)
        if (!*a->stops[i])
            return err_set(e, ERR_INPUT, "sampling: stop: expected texts, found an empty one");
    o->stop = (struct stop_list){a->stops, n + n_given};
    return 0;
}

static int rules_add(struct app_agent *a, size_t *n, const char *name, enum policy_verdict v,
                     err *e)
{
    struct policy_rule r = {.verdict = v};
    if (strlen(name) >= sizeof r.tool)
        return err_set(e, ERR_INPUT, "policy: `%.80s`: no tool has a name that long", name);
    strcpy(r.tool, name);
    a->rules = mem_grow(a->rules, (*n + 1) * sizeof *a->rules);
    a->rules[(*n)++] = r;
    return 0;
}

// The script's rules first, the command line's behind them: the last rule wins.
static int take_rules(struct app_agent *a, size_t *n, err *e)
{
    const char *key;
    json_t *value, *policy = json_object_get(a->spec, "policy");
    // "*" goes first, so that a rule for one tool is stronger than the rule for all.
    for (int pass = 0; pass < 2; pass++) json_object_foreach(policy, key, value)
        {
            if ((strcmp(key, "*") == 0) != (pass == 0)) continue;
            if (rules_add(a, n, key, (enum policy_verdict)policy_of(json_string_value(value)), e))
                return -1;
        }
    for (int v = POLICY_ALLOW; v <= POLICY_DENY; v++) {
        const struct option_value *o =
            option_if(a->app->command, policy_name((enum policy_verdict)v));
        for (size_t i = 0; o && i < o->n_list; i++)
            if (rules_add(a, n, o->list[i], (enum policy_verdict)v, e)) return -1;
    }
    return 0;
}

int app_choice(const json_t *v, struct agent_choice *choice, err *e)
{
    if (!is_choice(v)) {
        char *found = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
        err_set(e, ERR_INPUT, "tool_choice: expected %s, found %.80s", CHOICE_EXPECTED,
                found ? found : "?");
        free(found);
        return -1;
    }
    *choice = (struct agent_choice){CHOICE_NAMED, json_string_value(json_object_get(v, "name"))};
    for (int i = CHOICE_AUTO; !choice->named && i <= CHOICE_REQUIRED; i++)
        if (strcmp(json_string_value(v), choice_names[i]) == 0) choice->kind = (enum tool_choice)i;
    return 0;
}

// The script's choice, or the command line's instead.
static int take_choice(const struct app_agent *a, struct agent_options *o, err *e)
{
    const char *given = text_if(a->app->command, "tool-choice");
    const json_t *v = json_object_get(a->spec, "tool_choice");
    if (!given) return v ? app_choice(v, &o->choice, e) : 0;
    o->choice = (struct agent_choice){CHOICE_NAMED, given};
    for (int i = CHOICE_AUTO; i <= CHOICE_REQUIRED; i++)
        if (strcmp(given, choice_names[i]) == 0)
            o->choice = (struct agent_choice){(enum tool_choice)i, NULL};
    return 0;
}

tool_set *app_tools_open(struct app *app, const json_t *dirs, const char *workspace,
                         struct app_agent *owner, err *e)
{
    const struct option_value *given = option_if(app->command, "tools");
    size_t n = 0, n_spec = json_array_size(dirs), n_given = given ? given->n_list : 0;
    const char **list = mem_new((1 + n_spec + n_given) * sizeof *list);
    char *shipped = path_join(app->scripts, "tools");
    list[n++] = shipped;
    for (size_t i = 0; i < n_spec; i++) list[n++] = json_string_value(json_array_get(dirs, i));
    for (size_t i = 0; i < n_given; i++) list[n++] = given->list[i];
    struct tool_host host = {.user = owner ? &owner->agent : NULL,
                             .remember = owner ? agent_remember : NULL,
                             .recall = owner ? agent_recall : NULL,
                             .validate = schema_validate};
    tool_set *ts = tool_set_open(app->box, list, n, workspace, &host, e);
    free(list);
    free(shipped);
    return ts;
}

static int take_session(struct app_agent *a, struct agent_options *o, err *e)
{
    const json_t *v = json_object_get(a->spec, "session");
    if (json_is_integer(v)) o->conversation = json_integer_value(v);
    if (json_is_string(v)) {
        int64_t row = store_agent(a->app->store, o->name, e);
        o->conversation = row < 0 ? -1 : store_conversation_last(a->app->store, row, e);
    }
    return o->conversation < 0 ? -1 : 0;
}

// A rule that meets no tool is a slip of the pen that would leave the tool it means unguarded.
static int check_rules(const struct app_agent *a, size_t n, err *e)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(a->rules[i].tool, "*") != 0 && !tool_set_find(a->tools, a->rules[i].tool))
            return err_set(e, ERR_INPUT, "policy: %s: there is no tool `%s`",
                           policy_name(a->rules[i].verdict), a->rules[i].tool);
    return 0;
}

struct app_agent *app_agent_open(struct app *app, const json_t *spec, err *e)
{
    if (check_fields(spec, "agent", agent_fields, e)) return NULL;
    struct app_agent *a = mem_new(sizeof *a);
    a->app = app;
    a->spec = json_deep_copy(spec);
    const char *name = json_string_value(json_object_get(a->spec, "name"));
    const char *workspace = text_if(app->command, "workspace");
    if (!workspace) workspace = json_string_value(json_object_get(a->spec, "workspace"));
    struct agent_options o = {.en = app->en,
                              .session = app->session,
                              .chat = app->chat,
                              .store = app->store,
                              .name = name && *name ? name : "default",
                              .instructions =
                                  json_string_value(json_object_get(a->spec, "instructions")),
                              .replies = app->replies,
                              .on_event = screen_event,
                              .approve = screen_approve,
                              .user = &app->screen,
                              .cancel = &app_cancel};
    const json_t *tools = json_object_get(a->spec, "tools");
    if (tools) {
        o.n_tool_name = json_array_size(tools);
        a->names = mem_new((o.n_tool_name + 1) * sizeof *a->names);
        for (size_t i = 0; i < o.n_tool_name; i++)
            a->names[i] = json_string_value(json_array_get(tools, i));
        o.tool_names = a->names;
    }
    if (app_take_limits(&o, a->spec, app->command, e) || take_stops(a, &o, e) ||
        take_rules(a, &o.n_rule, e) || take_session(a, &o, e) || take_choice(a, &o, e))
        goto fail;
    o.rules = a->rules;
    a->tools = app_tools_open(app, json_object_get(a->spec, "tool_dirs"), workspace, a, e);
    if (!a->tools) goto fail;
    o.tools = a->tools;
    if (check_rules(a, o.n_rule, e)) goto fail;
    int64_t row = store_agent(app->store, o.name, e);
    a->memory = row < 0 ? NULL : memory_open(app->store, row, app->en, app->embed, e);
    if (!a->memory) goto fail;
    o.memory = a->memory;
    a->agent = agent_open(&o, e);
    if (!a->agent) goto fail;
    return a;
fail:
    app_agent_close(a);
    return NULL;
}

void app_spend(struct app_spent *s, const struct agent_result *r)
{
    s->output_tokens += r->output_tokens;
    s->forced_tokens += r->forced_tokens;
    s->passes += r->passes;
    s->decode_us += r->decode_us;
    buf_printf(&s->text, "%s\n", r->answer);
}

void app_agent_close(struct app_agent *a)
{
    if (!a) return;
    agent_close(a->agent);
    memory_close(a->memory);
    tool_set_close(a->tools);
    json_decref(a->spec);
    free(a->names);
    free(a->stops);
    free(a->rules);
    free(a);
}
