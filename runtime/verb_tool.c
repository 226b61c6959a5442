// hearth tool ls|run|new|test: making and trying tools without a model. A tool runs here exactly as
// an agent runs it: the same box, the same broker, the same checks.
#include "app.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "verbs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct option_row options[] = {
    {"tools", OPTION_LIST, "DIR", "a folder of Lua tools, besides the shipped ones", NULL},
    {"workspace", OPTION_TEXT, "DIR", "the folder that file tools work in and cannot leave", NULL},
    {0},
};

static const char *effect_name(enum tool_effect effect)
{
    static const char *const names[] = {"pure", "idempotent", "once"};
    return names[effect];
}

// ---- ls ----

static json_t *tool_row(const tool *t)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:O, s:O, s:s, s:s}", "name", t->name, "description",
                     t->description, "path", t->path, "effect", effect_name(t->effect),
                     "capabilities", t->capabilities, "parameters", t->parameters, "policy",
                     policy_name(policy_decide(NULL, 0, t)), "sha256", t->sha256);
}

static int ls(struct command *c, err *e)
{
    struct app app;
    tool_set *ts = NULL;
    int rc = app_open(&app, c, APP_BOX, e);
    if (rc == 0) {
        ts = app_tools_open(&app, NULL, NULL, NULL, e);
        rc = ts ? 0 : -1;
    }
    if (rc == 0 && c->json) {
        json_t *list = json_array();
        for (size_t i = 0; i < tool_set_size(ts); i++)
            json_array_append_new(list, tool_row(tool_set_at(ts, i)));
        json_dumpf(list, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(list);
    } else if (rc == 0) {
        printf("%-14s %-6s %-11s %-28s %s\n", "NAME", "POLICY", "EFFECT", "MAY USE", "DESCRIPTION");
        for (size_t i = 0; i < tool_set_size(ts); i++) {
            const tool *t = tool_set_at(ts, i);
            char *may = json_dumps(t->capabilities, JSON_COMPACT);
            printf("%-14s %-6s %-11s %-28s ", t->name, policy_name(policy_decide(NULL, 0, t)),
                   effect_name(t->effect), may);
            screen_text(stdout, t->description, strlen(t->description));
            putchar('\n');
            free(may);
        }
    }
    tool_set_close(ts);
    app_close(&app);
    return rc;
}

const struct verb verb_tool_ls = {
    .name = "tool ls",
    .arguments = "",
    .help = "the tools, what each may use, and whether it asks first",
    .options = options,
    .run = ls,
};

// ---- run ----

static int tool_run(struct command *c, err *e)
{
    struct app app;
    tool_set *ts = NULL;
    json_error_t bad;
    struct tool_result r = {0};
    const char *text = c->n_arg > 1 ? c->args[1] : "{}";
    json_t *args = json_loads(text, JSON_REJECT_DUPLICATES, &bad);
    if (!json_is_object(args)) {
        json_decref(args);
        return err_set(e, ERR_USAGE,
                       "arguments: expected a JSON object such as {\"path\": \"notes.txt\"}, found "
                       "`%.80s`%s%s",
                       text, args ? "" : ": ", args ? "" : bad.text);
    }
    int rc = app_open(&app, c, APP_BOX, e);
    if (rc == 0) {
        ts = app_tools_open(&app, NULL, cli_text(c, "workspace"), NULL, e);
        rc = ts ? 0 : -1;
    }
    const tool *t = rc == 0 ? tool_set_find(ts, c->args[0]) : NULL;
    if (rc == 0 && !t)
        rc = err_set(e, ERR_USAGE, "there is no tool `%s` (see `hearth tool ls`)", c->args[0]);
    if (rc == 0 && tool_check_args(t, args, e)) rc = err_wrap(e, "tool %s: arguments", t->name);
    if (rc == 0) rc = tool_call(ts, t, args, &app_cancel, &r, e);
    if (rc == 0 && c->json) {
        json_t *o = json_pack("{s:s, s:b, s:s, s:I}", "tool", t->name, "ok", r.ok, "result", r.text,
                              "us", (json_int_t)r.us);
        json_dumpf(o, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(o);
    } else if (rc == 0 && r.ok) {
        screen_text(stdout, r.text, strlen(r.text));
        putchar('\n');
    }
    if (rc == 0 && !r.ok) rc = err_set(e, ERR_FAILED, "tool %s: %s", t->name, r.text);
    tool_result_free(&r);
    tool_set_close(ts);
    json_decref(args);
    app_close(&app);
    return rc;
}

const struct verb verb_tool_run = {
    .name = "tool run",
    .arguments = "NAME [ARGUMENTS]",
    .help = "run one tool, arguments as a JSON object",
    .options = options,
    .args_min = 1,
    .args_max = 2,
    .run = tool_run,
};

// ---- new ----

static const char new_tool[] =
    "--- %s: say in one line what it is for.\n"
    "return {\n"
    "  name = \"%s\",\n"
    "  description = \"Counts the words of a text.\", -- the model chooses by this sentence\n"
    "  parameters = {\n"
    "    type = \"object\",\n"
    "    properties = { text = { type = \"string\", description = \"the text\" } },\n"
    "    required = { \"text\" },\n"
    "    additionalProperties = false,\n"
    "  },\n"
    "  effect = \"pure\", -- pure | idempotent | once\n"
    "  capabilities = {}, -- nothing but computing; fs = \"r\" or \"rw\", memory = \"r\" or "
    "\"rw\", clock = true\n"
    "  limits = { wall_ms = 1000 },\n"
    "  --- @return text for the model, or nil and what went wrong\n"
    "  run = function(args)\n"
    "    local n = 0\n"
    "    for _ in args.text:gmatch(\"%%S+\") do n = n + 1 end\n"
    "    return tostring(n)\n"
    "  end,\n"
    "}\n";
static const char new_test[] =
    "-- Cases for `hearth tool test`: args, files the workspace starts with, and what must come "
    "out.\n"
    "return {\n"
    "  { name = \"counts words\", args = { text = \"one two  three\" }, expect = \"3\" },\n"
    "  { name = \"wants a text\", args = {}, error = \"text\" },\n"
    "}\n";

static int new_file(const char *dir, const char *name, const char *suffix, const char *format,
                    bool json, err *e)
{
    char *path = mem_printf("%s/%s%s.lua", dir, name, suffix);
    buf b = buf_new(1 << 16);
    for (const char *p = format; *p; p++) {
        if (p[0] == '%' && p[1] == 's')
            buf_str(&b, name), p++;
        else if (p[0] == '%' && p[1] == '%')
            buf_byte(&b, '%'), p++;
        else
            buf_byte(&b, *p);
    }
    int rc = file_exists(path)
                 ? err_set(e, ERR_INPUT, "%s: exists already; it was not touched", path)
                 : file_replace(path, b.p, b.n, e);
    if (rc == 0 && !json) printf("%s\n", path);
    buf_free(&b);
    free(path);
    return rc;
}

static int tool_new(struct command *c, err *e)
{
    const char *name = c->args[0], *dir = c->n_arg > 1 ? c->args[1] : ".";
    size_t n = strlen(name);
    if (n == 0 || n > 64 ||
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != n ||
        strchr("0123456789-", name[0]))
        return err_set(e, ERR_USAGE,
                       "`%.80s`: expected a name of letters, digits, `_` and `-`, at most 64, not "
                       "starting with a "
                       "digit or `-`",
                       name);
    if (file_mkdirs(dir, e)) return -1;
    if (new_file(dir, name, "", new_tool, c->json, e) ||
        new_file(dir, name, "_test", new_test, c->json, e))
        return -1;
    if (c->json) {
        json_t *o = json_pack("{s:s, s:s}", "name", name, "dir", dir);
        json_dumpf(o, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(o);
    } else {
        printf("try it: hearth tool test %s/%s.lua\n", dir, name);
    }
    return 0;
}

const struct verb verb_tool_new = {
    .name = "tool new",
    .arguments = "NAME [DIR]",
    .help = "write NAME.lua and NAME_test.lua to start from",
    .args_min = 1,
    .args_max = 2,
    .run = tool_new,
};

// ---- test ----

// The cases as data: the test file is read in a box, like a tool is.
static json_t *read_cases(sandbox *box, const char *path, err *e)
{
    size_t n;
    char *source = file_read(path, 1 << 20, &n, e);
    if (!source) return NULL;
    struct box_result r = {0};
    struct box_request q = {.source = source,
                            .source_len = n,
                            .chunk_name = path,
                            .entry = "manifest",
                            .limits = BOX_DEFAULT_LIMITS};
    json_t *cases = NULL;
    if (sandbox_run(box, &q, &r, e) == 0) {
        if (r.status != BOX_OK)
            err_set(e, ERR_INPUT, "%s", r.text);
        else if (!json_is_array(r.value))
            err_set(e, ERR_INPUT,
                    "%s: expected a list of cases {name =, args =, files =, expect = | contains = "
                    "| error =, after =}",
                    path);
        else
            cases = json_incref(r.value);
        box_result_free(&r);
    }
    free(source);
    return cases;
}

static int write_files(const char *dir, const json_t *files, err *e)
{
    const char *name;
    json_t *text;
    json_object_foreach((json_t *)files, name, text)
    {
        if (strstr(name, "..") || name[0] == '/' || !json_is_string(text))
            return err_set(e, ERR_INPUT,
                           "files: `%s`: expected a path within the workspace and its text", name);
        char *path = path_join(dir, name), *slash = strrchr(path, '/');
        *slash = 0;
        int rc = file_mkdirs(path, e);
        *slash = '/';
        if (rc == 0) rc = file_replace(path, json_string_value(text), json_string_length(text), e);
        free(path);
        if (rc) return -1;
    }
    return 0;
}

static bool has_expected(const json_t *item, const struct tool_result *r, const char *dir, buf *why)
{
    const char *expect = json_string_value(json_object_get(item, "expect")),
               *contains = json_string_value(json_object_get(item, "contains")),
               *error = json_string_value(json_object_get(item, "error")), *name;
    json_t *text;
    if (r->ok != !error)
        buf_printf(why, "expected %s, got %s: %s", error ? "a failure" : "success",
                   r->ok ? "success" : "a failure", r->text);
    else if (expect && strcmp(expect, r->text) != 0)
        buf_printf(why, "expected `%s`, got `%s`", expect, r->text);
    else if (contains && !strstr(r->text, contains))
        buf_printf(why, "expected text with `%s`, got `%s`", contains, r->text);
    else if (error && !strstr(r->text, error))
        buf_printf(why, "expected an error with `%s`, got `%s`", error, r->text);
    json_object_foreach(json_object_get(item, "after"), name, text)
    {
        err e;
        size_t n;
        char *path = path_join(dir, name), *found = file_read(path, 1 << 20, &n, &e);
        if (!found || !json_is_string(text) || strcmp(found, json_string_value(text)) != 0)
            buf_printf(why, "%safter: %s: %s%s", why->n ? "; " : "", name,
                       found ? "it holds " : e.msg, found ? found : "");
        free(found);
        free(path);
    }
    return why->n == 0;
}

// 1 passed, 0 failed with the reason in why, -1 *e.
static int run_case(struct app *app, const char *tool_dir, const char *name, const json_t *item,
                    buf *why, err *e)
{
    static const char *const known[] = {"name",     "args",  "files", "expect",
                                        "contains", "error", "after"};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)item, key, value)
    {
        size_t i = 0;
        while (i < sizeof known / sizeof *known && strcmp(known[i], key) != 0) i++;
        if (i == sizeof known / sizeof *known)
            return err_set(e, ERR_INPUT, "a case has no field `%s`", key);
    }
    char dir[] = "/tmp/hearth-tool-test-XXXXXX";
    if (!mkdtemp(dir)) return err_sys(e, errno, "%s", dir);
    tool_set *ts = NULL;
    int rc = -1;
    json_t *dirs = json_pack("[s]", tool_dir), *args = json_incref(json_object_get(item, "args"));
    if (!args) args = json_object();
    if (write_files(dir, json_object_get(item, "files"), e)) goto out;
    ts = app_tools_open(app, dirs, dir, NULL, e);
    const tool *t = ts ? tool_set_find(ts, name) : NULL;
    if (ts && !t)
        err_set(e, ERR_INPUT,
                "%s/%s.lua: its `name` is not `%s`; a tool is tested under the name of its file",
                tool_dir, name, name);
    if (!t) goto out;
    struct tool_result r = {0};
    err bad;
    if (tool_check_args(t, args, &bad)) {
        r = (struct tool_result){.ok = false, .text = mem_printf("invalid arguments: %s", bad.msg)};
        rc = 0;
    } else {
        rc = tool_call(ts, t, args, &app_cancel, &r, e);
    }
    if (rc == 0) rc = has_expected(item, &r, dir, why) ? 1 : 0;
    tool_result_free(&r);
out:
    tool_set_close(ts);
    json_decref(dirs);
    json_decref(args);
    file_remove_tree(dir);
    return rc;
}

static int tool_test(struct command *c, err *e)
{
    struct app app;
    char *path = mem_str(c->args[0]), *dir = NULL, *cases_path = NULL;
    json_t *cases = NULL, *item, *rows = json_array();
    size_t i, passed = 0;
    int rc = app_open(&app, c, APP_BOX, e);
    if (rc) goto out;
    size_t n = strlen(path);
    if (n > 9 && strcmp(path + n - 9, "_test.lua") == 0)
        strcpy(path + n - 9, ".lua"); // either file names the pair
    n = strlen(path);
    if (n < 5 || strcmp(path + n - 4, ".lua") != 0) {
        rc = err_set(e, ERR_USAGE, "%s: expected a tool's file, NAME.lua", path);
        goto out;
    }
    path[n - 4] = 0;
    cases_path = mem_printf("%s_test.lua", path);
    char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    dir = slash ? mem_strn(path, (size_t)(slash - path)) : mem_str(".");
    cases = read_cases(app.box, cases_path, e);
    if (!cases) {
        rc = -1;
        goto out;
    }
    json_array_foreach(cases, i, item)
    {
        buf why = buf_new(4096);
        int verdict = run_case(&app, dir, name, item, &why, e);
        const char *label = json_string_value(json_object_get(item, "name"));
        if (verdict < 0) {
            err_wrap(e, "%s: case %zu", cases_path, i + 1);
            buf_free(&why);
            rc = -1;
            goto out;
        }
        passed += verdict > 0;
        if (c->json) {
            json_array_append_new(rows, json_pack("{s:s, s:b, s:s}", "name", label ? label : "",
                                                  "passed", verdict, "why", buf_text(&why)));
        } else {
            printf("%s %s%s", verdict ? "ok    " : "FAILED", label ? label : "(no name)",
                   verdict ? "" : ": ");
            screen_text(stdout, buf_text(&why), why.n);
            putchar('\n');
        }
        buf_free(&why);
    }
    if (c->json) {
        json_t *o = json_pack("{s:s, s:i, s:i, s:O}", "tool", name, "passed", (int)passed, "failed",
                              (int)(json_array_size(cases) - passed), "cases", rows);
        json_dumpf(o, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(o);
    } else {
        printf("%zu passed, %zu failed\n", passed, json_array_size(cases) - passed);
    }
    if (json_array_size(cases) == 0)
        rc = err_set(e, ERR_FAILED, "%s: holds no case", cases_path);
    else if (passed < json_array_size(cases))
        rc = err_set(e, ERR_FAILED, "%s: %zu of %zu cases failed", cases_path,
                     json_array_size(cases) - passed, json_array_size(cases));
out:
    json_decref(cases);
    json_decref(rows);
    free(cases_path);
    free(dir);
    free(path);
    app_close(&app);
    return rc;
}

const struct verb verb_tool_test = {
    .name = "tool test",
    .arguments = "NAME.lua",
    .help = "run the cases of NAME_test.lua, each in a fresh workspace",
    .args_min = 1,
    .args_max = 1,
    .run = tool_test,
};
