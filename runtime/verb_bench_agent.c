// hearth bench agent: what taking forced tokens without asking the model saves. The same
// conversation, tool calls and an answer under a schema among it, is held twice: with every token
// asked of the model, and with those that the grammar leaves no choice about taken as they are. The
// same for the turns of a script.
#include "app.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "script.h"
#include "verbs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct option_row options[] = {
    {"repeat", OPTION_INT, "N", "repetitions; the fastest counts", "3"},
    {"script", OPTION_TEXT, "FILE", "the turns of this agent script, each time over an empty store",
     NULL},
    {0},
};

static const struct {
    const char *input, *schema;
} turns[] = {
    {"read prices.txt and add up the prices", NULL},
    {"How much is 45.5 + 210 + 38.25?", NULL},
    {"What is the total?",
     "{\"type\": \"object\", \"properties\": {\"total\": {\"type\": \"number\"}, \"currency\": "
     "{\"enum\": [\"EUR\", \"USD\"]}, \"paid\": {\"type\": \"boolean\"}, \"largest\": {\"enum\": "
     "[\"desk "
     "lamp\", \"office chair\", \"keyboard\"]}}, \"required\": [\"total\", \"currency\", \"paid\", "
     "\"largest\"]}"},
};

struct measure {
    struct app_spent now; // of the last repetition
    int64_t decode_us;    // the least
};

static int hold(struct app_agent *a, struct measure *m, err *e)
{
    for (size_t i = 0; i < sizeof turns / sizeof *turns; i++) {
        struct agent_result r;
        struct constraint output = {0};
        if (turns[i].schema) output.json = json_loads(turns[i].schema, 0, NULL);
        int rc = agent_turn(a->agent, turns[i].input, output.json ? &output : NULL, NULL, &r, e);
        constraint_free(&output);
        if (rc == 0) app_spend(&m->now, &r);
        agent_result_free(&r);
        if (rc) return -1;
    }
    return 0;
}

static int hold_turns(struct app *app, const json_t *spec, struct measure *m, err *e)
{
    struct app_agent *a = app_agent_open(app, spec, e);
    if (!a) return -1;
    if (app->unforced) agent_force(a->agent, false);
    int rc = hold(a, m, e);
    app_agent_close(a);
    return rc;
}

// Over a store of its own, which the next repetition finds empty again; nothing is shown.
static int hold_script(struct app *app, const char *file, const char *dir, struct measure *m,
                       err *e)
{
    FILE *shown = app->screen.out, *nowhere = fopen("/dev/null", "w");
    if (!nowhere) return err_sys(e, errno, "/dev/null");
    char *place = path_join(dir, "script");
    free(app->store_path);
    app->store_path = path_join(place, "bench.db");
    app->screen.out = nowhere;
    app->spent = &m->now;
    int rc = file_mkdirs(place, e);
    if (rc == 0) rc = (app->store = store_open(app->store_path, STORE_WRITE, e)) ? 0 : -1;
    if (rc == 0) rc = script_run(app, file, NULL, 0, e);
    store_close(app->store);
    app->store = NULL;
    app->screen.out = shown;
    app->spent = NULL;
    fclose(nowhere);
    file_remove_tree(place);
    free(place);
    return rc;
}

static int compare(struct app *app, const json_t *spec, const char *file, const char *dir,
                   int repeat, struct measure m[2], err *e)
{
    for (int i = 0; i < 2 * repeat; i++) {
        struct measure *x = &m[i % 2];
        buf_clear(&x->now.text);
        x->now = (struct app_spent){.text = x->now.text};
        app->unforced = i % 2 == 0;
        if (file ? hold_script(app, file, dir, x, e) : hold_turns(app, spec, x, e)) return -1;
        if (x->decode_us == 0 || x->now.decode_us < x->decode_us) x->decode_us = x->now.decode_us;
    }
    return 0;
}

static void print_results(const struct command *c, const struct measure m[2])
{
    bool same = strcmp(buf_text(&m[0].now.text), buf_text(&m[1].now.text)) == 0;
    if (c->json) {
        json_t *o = json_pack(
            "{s:b, s:i, s:i, s:i, s:i, s:f, s:f}", "same_text", same, "output_tokens",
            m[1].now.output_tokens, "forced_tokens", m[1].now.forced_tokens, "passes_asked",
            m[0].now.passes, "passes_forced", m[1].now.passes, "decode_asked_ms",
            (double)m[0].decode_us / 1e3, "decode_forced_ms", (double)m[1].decode_us / 1e3);
        json_dumpf(o, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
        putchar('\n');
        json_decref(o);
        return;
    }
    printf("%d tokens, %d of them forced\n", m[1].now.output_tokens, m[1].now.forced_tokens);
    printf("  every token asked of the model  %5d passes  %8.1f ms\n", m[0].now.passes,
           (double)m[0].decode_us / 1e3);
    printf("  forced tokens taken             %5d passes  %8.1f ms\n", m[1].now.passes,
           (double)m[1].decode_us / 1e3);
    printf("  the answers are %s\n", same ? "the same" : "NOT the same");
}

// A workspace of its own, with the list that the turns speak of, and a store in it.
static json_t *make_place(struct app *app, const char *dir, err *e)
{
    static const char prices[] = "desk lamp: 45.50\noffice chair: 210.00\nkeyboard: 38.25\n";
    char *work = path_join(dir, "work"), *file = path_join(work, "prices.txt");
    char *db = path_join(dir, "bench.db");
    json_t *spec = NULL;
    if (file_mkdirs(work, e) == 0 && file_replace(file, prices, sizeof prices - 1, e) == 0 &&
        (app->store = store_open(db, STORE_WRITE, e)))
        spec = json_pack("{s:s, s:s, s:[s, s]}", "name", "bench", "workspace", work, "tools",
                         "read_file", "calculate");
    free(work);
    free(file);
    free(db);
    return spec;
}

static int bench_agent(struct command *c, err *e)
{
    char dir[] = "/tmp/hearth-bench-XXXXXX";
    long long repeat = cli_int(c, "repeat");
    const char *file = cli_text(c, "script");
    struct measure m[2] = {{.now.text = buf_new(1 << 20)}, {.now.text = buf_new(1 << 20)}};
    struct app app;
    json_t *spec = NULL;
    if (repeat < 1 || repeat > 1000)
        return err_set(e, ERR_USAGE, "--repeat: expected 1 to 1000, found %lld", repeat);
    int rc = app_open(&app, c, APP_BOX | APP_ENGINE, e);
    if (rc == 0 && !mkdtemp(dir)) rc = err_sys(e, errno, "%s", dir);
    if (rc == 0) {
        app.screen.quiet = true;
        spec = file ? NULL : make_place(&app, dir, e);
        rc = spec || file ? compare(&app, spec, file, dir, (int)repeat, m, e) : -1;
    }
    app_close(&app);
    if (rc == 0) print_results(c, m);
    json_decref(spec);
    file_remove_tree(dir);
    for (int i = 0; i < 2; i++) buf_free(&m[i].now.text);
    return rc;
}

const struct verb verb_bench_agent = {
    .name = "bench agent",
    .arguments = "",
    .help = "passes of the model that forced tokens save in a conversation",
    .options = options,
    .shared = app_model_options,
    .run = bench_agent,
};
