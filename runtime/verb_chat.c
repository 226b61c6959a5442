// hearth chat: a conversation on the terminal, or one message given as an argument or on standard
// input.
#include "app.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "verbs.h"

#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct option_row options[] = {
    {"session", OPTION_TEXT, "ID", "go on with a session: its number, or `last`", NULL},
    {"name", OPTION_TEXT, "NAME", "whose memories and sessions", "default"},
    {"system", OPTION_TEXT, "TEXT", "instructions to the model", NULL},
    {"tool", OPTION_LIST, "NAME", "offer only these tools", NULL},
    {0},
};

struct chat_ui {
    struct app app;
    struct app_agent *agent;
    json_t *spec;
    bool quit;
};

static int check_text(const char *option, const char *text, err *e)
{
    size_t n = text ? strlen(text) : 0, valid = n ? utf8_valid_prefix(text, n) : 0;
    return valid == n ? 0
                      : err_set(e, ERR_USAGE, "--%s: `%s` is not valid UTF-8 at byte %zu", option,
                                text, valid);
}

static json_t *spec_of(const struct command *c, err *e)
{
    const char *name = cli_text(c, "name"), *system = cli_text(c, "system"),
               *which = cli_text(c, "session");
    const struct option_value *tools = cli_option(c, "tool");
    if (check_text("name", name, e) || check_text("system", system, e)) return NULL;
    for (size_t i = 0; i < tools->n_list; i++)
        if (check_text("tool", tools->list[i], e)) return NULL;
    json_t *spec = json_pack("{s:s}", "name", name);
    if (system) json_object_set_new(spec, "instructions", json_string(system));
    if (which) {
        char *end;
        long long id = strtoll(which, &end, 10);
        if (strcmp(which, "last") != 0 && (*end || id < 1)) {
            err_set(e, ERR_USAGE, "--session: expected a session's number or `last`, found `%s`",
                    which);
            json_decref(spec);
            return NULL;
        }
        json_object_set_new(spec, "session", *end ? json_string("last") : json_integer(id));
    }
    if (tools->n_list) {
        json_t *list = json_array();
        for (size_t i = 0; i < tools->n_list; i++)
            json_array_append_new(list, json_string(tools->list[i]));
        json_object_set_new(spec, "tools", list);
    }
    return spec;
}

// ---- slash commands ----

static int slash_help(struct chat_ui *ui, err *e);

static int slash_tools(struct chat_ui *ui, err *e)
{
    (void)e;
    for (size_t i = 0; i < tool_set_size(ui->agent->tools); i++) {
        const tool *t = tool_set_at(ui->agent->tools, i);
        printf("  %-16s ", t->name);
        screen_text(stdout, t->description, strlen(t->description));
        putchar('\n');
    }
    return 0;
}

static int slash_new(struct chat_ui *ui, err *e)
{
    json_object_del(ui->spec, "session");
    struct app_agent *fresh = app_agent_open(&ui->app, ui->spec, e);
    if (!fresh) return -1;
    app_agent_close(ui->agent);
    ui->agent = fresh;
    printf("  a new session\n");
    return 0;
}

static int slash_quit(struct chat_ui *ui, err *e)
{
    (void)e;
    ui->quit = true;
    return 0;
}

static const struct {
    const char *name, *help;
    int (*run)(struct chat_ui *ui, err *e);
} slashes[] = {
    {"/help", "this list", slash_help},
    {"/tools", "what the agent can use", slash_tools},
    {"/new", "start a new session", slash_new},
    {"/quit", "end (so does Ctrl-D)", slash_quit},
};

static int slash_help(struct chat_ui *ui, err *e)
{
    (void)ui;
    (void)e;
    for (size_t i = 0; i < sizeof slashes / sizeof *slashes; i++)
        printf("  %-8s %s\n", slashes[i].name, slashes[i].help);
    return 0;
}

// ---- turns ----

static int turn(struct chat_ui *ui, const char *input, err *e)
{
    struct agent_result r;
    int rc = agent_turn(ui->agent->agent, input, NULL, NULL, &r, e);
    if (rc == 0) screen_result(&ui->app.screen, &r);
    agent_result_free(&r);
    return rc;
}

// One line of input. On a terminal a failed turn is shown and the chat goes on; elsewhere it ends
// the program.
static int line(struct chat_ui *ui, char *text, bool terminal, err *e)
{
    text[strcspn(text, "\n")] = 0;
    while (*text == ' ') text++;
    if (!*text) return 0;
    int rc = 0;
    if (terminal) app_cancel = 0; // it ended the turn before; elsewhere it ends the program
    if (terminal && *text == '/') {
        rc = err_set(e, ERR_USAGE, "there is no command %s; /help lists them", text);
        for (size_t i = 0; i < sizeof slashes / sizeof *slashes; i++)
            if (strcmp(text, slashes[i].name) == 0) rc = slashes[i].run(ui, e);
    } else {
        rc = turn(ui, text, e);
    }
    if (rc && terminal) {
        printf("  ! ");
        screen_text(stdout, e->msg, strlen(e->msg));
        putchar('\n');
        rc = 0;
    }
    return rc;
}

static char *prompt(EditLine *el)
{
    (void)el;
    return (char *)"> ";
}

static int on_terminal(struct chat_ui *ui, err *e)
{
    HistEvent event;
    setlocale(LC_CTYPE, "");
    EditLine *el = el_init("hearth", stdin, stdout, stderr);
    History *past = history_init();
    if (!el || !past)
        return err_set(e, ERR_SYSTEM, "the terminal cannot be set up for line editing");
    history(past, &event, H_SETSIZE, 500);
    el_set(el, EL_PROMPT, prompt);
    el_set(el, EL_EDITOR, "emacs");
    el_set(el, EL_HIST, history, past);
    el_set(el, EL_SIGNAL, 1);
    ui->app.screen.typed = true;
    printf("Hearth %s, model %s, %s. /help lists the commands.\n", HEARTH_VERSION,
           engine_info(ui->app.en)->architecture, engine_info(ui->app.en)->backend);
    int n, rc = 0;
    const char *got;
    while (rc == 0 && !ui->quit && (got = el_gets(el, &n)) && n > 0) {
        history(past, &event, H_ENTER, got);
        char *copy = mem_str(got);
        rc = line(ui, copy, true, e);
        free(copy);
    }
    history_end(past);
    el_end(el);
    return rc;
}

static int on_pipe(struct chat_ui *ui, err *e)
{
    char *text = NULL;
    size_t cap = 0;
    ssize_t n;
    int rc = 0;
    while (rc == 0 && (n = getline(&text, &cap, stdin)) > 0)
        rc = strlen(text) == (size_t)n
                 ? line(ui, text, false, e)
                 : err_set(e, ERR_INPUT, "standard input: expected text, found a zero byte");
    if (rc == 0 && app_cancel) rc = err_set(e, ERR_CANCELLED, "cancelled");
    if (rc == 0 && ferror(stdin)) rc = err_sys(e, errno, "standard input");
    free(text);
    return rc;
}

static int run(struct command *c, err *e)
{
    struct chat_ui ui = {0};
    ui.spec = spec_of(c, e);
    if (!ui.spec) return -1;
    int rc = app_open(&ui.app, c, APP_ALL, e);
    if (rc == 0) {
        ui.agent = app_agent_open(&ui.app, ui.spec, e);
        if (!ui.agent)
            rc = -1;
        else if (c->n_arg)
            rc = turn(&ui, c->args[0], e);
        else
            rc = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) ? on_terminal(&ui, e)
                                                               : on_pipe(&ui, e);
    }
    app_agent_close(ui.agent);
    json_decref(ui.spec);
    app_close(&ui.app);
    return rc;
}

const struct verb verb_chat = {
    .name = "chat",
    .arguments = "[MESSAGE]",
    .help = "talk with an agent; one message, or a conversation",
    .more = "Without MESSAGE: line by line from the terminal or from standard input.",
    .options = options,
    .shared = app_agent_options,
    .args_min = 0,
    .args_max = 1,
    .run = run,
};
