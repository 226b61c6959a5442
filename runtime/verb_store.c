// hearth session, memory, inspect: what the store holds. They read only, and so may run beside an
// agent at work.
#include "app.h"
#include "verbs.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct option_row store_options[] = {
    {"store", OPTION_TEXT, "FILE",
     "database (or HEARTH_STORE; without: ~/.local/share/hearth/hearth.db)", NULL},
    {0},
};

static void print_json(json_t *v)
{
    json_dumpf(v, stdout, JSON_INDENT(2));
    putchar('\n');
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static long long int_of(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

static void print_time(long long us)
{
    time_t t = (time_t)(us / 1000000);
    struct tm tm;
    char s[32] = "";
    if (localtime_r(&t, &tm)) strftime(s, sizeof s, "%Y-%m-%d %H:%M", &tm);
    printf("%s", s);
}

static int parse_id(const char *text, int64_t *id, const char *what, err *e)
{
    char *end;
    *id = strtoll(text, &end, 10);
    if (!*text || *end || *id < 1)
        return err_set(e, ERR_USAGE, "expected the number of a %s, found `%s`", what, text);
    return 0;
}

// A count from the command line that SQLite or memory takes as an int.
static int count_option(const struct command *c, const char *name, int *n, err *e)
{
    long long given = cli_int(c, name);
    if (given < 1 || given > 1000000)
        return err_set(e, ERR_USAGE, "--%s: expected 1 to 1000000, found %lld", name, given);
    *n = (int)given;
    return 0;
}

static void print_line(const char *text)
{
    screen_text(stdout, text, strlen(text));
    putchar('\n');
}

// ---- session ls ----

static int session_ls(struct command *c, err *e)
{
    struct app app;
    int limit = 0;
    if (count_option(c, "limit", &limit, e)) return -1;
    int rc = app_open(&app, c, APP_STORE_READ, e);
    json_t *list = rc == 0 ? store_list_conversations(app.store, limit, e) : NULL, *row;
    size_t i;
    if (list && c->json)
        print_json(list);
    else if (list) {
        printf("%-6s %-16s %-12s %5s %5s  %s\n", "ID", "CHANGED", "AGENT", "MSGS", "RUNS",
               "BEGINS WITH");
        json_array_foreach(list, i, row)
        {
            printf("%-6lld ", int_of(row, "id"));
            print_time(int_of(row, "updated_us"));
            printf(" %-12s %5lld %5lld  ", text_of(row, "agent"), int_of(row, "messages"),
                   int_of(row, "runs"));
            print_line(text_of(row, "title"));
        }
    }
    rc = list ? 0 : -1;
    json_decref(list);
    app_close(&app);
    return rc;
}

static const struct option_row ls_options[] = {
    {"limit", OPTION_INT, "N", "how many, the latest first", "20"},
    {0},
};

const struct verb verb_session_ls = {.name = "session ls",
                                     .arguments = "",
                                     .help = "the conversations in the store",
                                     .options = ls_options,
                                     .shared = store_options,
                                     .run = session_ls};

// ---- session show ----

static void show_message(const json_t *m)
{
    const json_t *parts = json_object_get(m, "parts");
    json_t *call;
    size_t i;
    printf("%s", text_of(m, "role"));
    if (json_object_get(parts, "name")) printf(" %s", text_of(parts, "name"));
    printf(": ");
    print_line(text_of(m, "content"));
    json_array_foreach(json_object_get(parts, "tool_calls"), i, call)
    {
        char *args = json_dumps(json_object_get(call, "arguments"), JSON_COMPACT);
        printf("  -> %s ", text_of(call, "name"));
        print_line(args);
        free(args);
    }
}

static int session_show(struct command *c, err *e)
{
    int64_t id;
    struct app app;
    if (parse_id(c->args[0], &id, "session", e)) return -1;
    int rc = app_open(&app, c, APP_STORE_READ, e);
    if (rc == 0 && !store_conversation_exists(app.store, id))
        rc = err_set(e, ERR_USAGE, "store %s: there is no session %lld", app.store_path,
                     (long long)id);
    json_t *list = rc == 0 ? store_messages(app.store, id, e) : NULL, *m;
    size_t i;
    if (list && c->json) print_json(list);
    if (list && !c->json) json_array_foreach(list, i, m) show_message(m);
    rc = list ? 0 : -1;
    json_decref(list);
    app_close(&app);
    return rc;
}

const struct verb verb_session_show = {.name = "session show",
                                       .arguments = "ID",
                                       .help = "the messages of one conversation",
                                       .shared = store_options,
                                       .args_min = 1,
                                       .args_max = 1,
                                       .run = session_show};

// ---- memory search ----

static const struct option_row memory_options[] = {
    {"name", OPTION_TEXT, "NAME", "whose memories", "default"},
    {"k", OPTION_INT, "N", "how many", "5"},
    {"store", OPTION_TEXT, "FILE",
     "database (or HEARTH_STORE; without: ~/.local/share/hearth/hearth.db)", NULL},
    {0},
};

static int64_t agent_row(store *s, const char *name, err *e)
{
    // A reader must not make the agent that it asks for.
    sqlite3_stmt *q = NULL;
    int64_t id = -1;
    if (sqlite3_prepare_v2(store_db(s), "SELECT id FROM agent WHERE name=?", -1, &q, NULL) ==
        SQLITE_OK) {
        sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC);
        if (sqlite3_step(q) == SQLITE_ROW) id = sqlite3_column_int64(q, 0);
    }
    sqlite3_finalize(q);
    if (id < 0) err_set(e, ERR_USAGE, "store %s: there is no agent `%s`", store_path(s), name);
    return id;
}

static int memory_search(struct command *c, err *e)
{
    struct app app;
    memory *m = NULL;
    json_t *list = NULL, *row;
    size_t i;
    int k = 0;
    if (count_option(c, "k", &k, e)) return -1;
    int rc = app_open(&app, c, APP_STORE_READ | APP_ENGINE, e);
    int64_t owner = rc == 0 ? agent_row(app.store, cli_text(c, "name"), e) : -1;
    if (owner > 0) m = memory_open(app.store, owner, app.en, app.embed, e);
    if (m) list = memory_recall(m, c->args[0], k, e);
    if (list && c->json) print_json(list);
    if (list && !c->json) {
        json_array_foreach(list, i, row)
        {
            printf("%6lld  words %lld vector %lld  ", int_of(row, "id"), int_of(row, "words_rank"),
                   int_of(row, "vector_rank"));
            print_line(text_of(row, "text"));
        }
        if (json_array_size(list) == 0) printf("nothing is remembered\n");
    }
    rc = list ? 0 : -1;
    json_decref(list);
    memory_close(m);
    app_close(&app);
    return rc;
}

const struct verb verb_memory_search = {.name = "memory search",
                                        .arguments = "QUERY",
                                        .help = "facts that fit, with the rank each witness gave",
                                        .options = memory_options,
                                        .shared = app_model_options,
                                        .args_min = 1,
                                        .args_max = 1,
                                        .run = memory_search};

// ---- inspect ----

static void show_run(const json_t *run)
{
    json_t *step, *call;
    size_t i, k;
    printf("run %lld of session %lld, agent %s: %s", int_of(run, "run"), int_of(run, "session"),
           text_of(run, "agent"), text_of(run, "state"));
    if (*text_of(run, "error")) {
        printf(" (");
        screen_text(stdout, text_of(run, "error"), strlen(text_of(run, "error")));
        putchar(')');
    }
    printf("\nbegan ");
    print_time(int_of(run, "started_us"));
    if (int_of(run, "ended_us"))
        printf(", took %.2f s",
               (double)(int_of(run, "ended_us") - int_of(run, "started_us")) / 1e6);
    printf("\n> ");
    print_line(text_of(run, "input"));
    json_array_foreach(json_object_get(run, "steps"), i, step)
    {
        printf("step %lld: %lld tokens in (%lld cached), %lld out, %.2f s\n", int_of(step, "step"),
               int_of(step, "prompt_tokens"), int_of(step, "cached_tokens"),
               int_of(step, "output_tokens"), (double)int_of(step, "us") / 1e6);
        if (*text_of(step, "text")) {
            printf("  ");
            print_line(text_of(step, "text"));
        }
        json_array_foreach(json_object_get(step, "calls"), k, call)
        {
            char *args = json_dumps(json_object_get(call, "args"), JSON_COMPACT);
            printf("  -> %s ", text_of(call, "name"));
            print_line(args);
            printf("  <- %s%s, %.1f ms: ", text_of(call, "state"),
                   json_is_true(json_object_get(call, "is_error")) ? ", failed" : "",
                   (double)int_of(call, "us") / 1e3);
            print_line(text_of(call, "result"));
            free(args);
        }
    }
}

static int inspect(struct command *c, err *e)
{
    struct app app;
    int64_t id = 0;
    if (c->n_arg && parse_id(c->args[0], &id, "run", e)) return -1;
    int rc = app_open(&app, c, APP_STORE_READ, e);
    json_t *run = rc == 0 ? store_show_run(app.store, id, e) : NULL;
    if (run && c->json)
        print_json(run);
    else if (run)
        show_run(run);
    rc = run ? 0 : -1;
    json_decref(run);
    app_close(&app);
    return rc;
}

const struct verb verb_inspect = {
    .name = "inspect",
    .arguments = "[RUN]",
    .help = "what happened in a run, step by step (without RUN: the last)",
    .shared = store_options,
    .args_min = 0,
    .args_max = 1,
    .run = inspect};
