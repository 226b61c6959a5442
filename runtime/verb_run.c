// hearth run: an agent script from start to end.
#include "app.h"
#include "base/file.h"
#include "script.h"
#include "verbs.h"

static int run(struct command *c, err *e)
{
    struct app app;
    // Before a second is spent on loading a model.
    if (!file_exists(c->args[0])) return err_set(e, ERR_INPUT, "%s: no such script", c->args[0]);
    if (file_is_dir(c->args[0]))
        return err_set(e, ERR_INPUT, "%s: a folder; expected a Lua script", c->args[0]);
    int rc = app_open(&app, c, APP_ALL, e);
    if (rc == 0) rc = script_run(&app, c->args[0], c->args + 1, c->n_arg - 1, e);
    app_close(&app);
    return rc;
}

const struct verb verb_run = {
    .name = "run",
    .arguments = "SCRIPT [ARG...]",
    .help = "run an agent script (Lua)",
    .more =
        "Options stand before SCRIPT; what follows it is the script's own, in the table `arg`.\n"
        "With --json each event is one line of JSON, written once the journal holds it.",
    .shared = app_agent_options,
    .args_min = 1,
    .args_max = -1,
    .run = run,
};
