#include "cli.h"

#include "base/mem.h"
#include "screen.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option_row common_options[] = {
    {"json", OPTION_FLAG, NULL, "machine-readable output", NULL},
    {"help", OPTION_FLAG, NULL, "this text", NULL},
    {0},
};

// Row i of the verb's three tables taken as one; NULL past the end.
static const struct option_row *row_at(const struct verb *v, size_t i)
{
    const struct option_row *tables[] = {v->options, v->shared, common_options};
    for (int t = 0; t < 3; t++)
        for (const struct option_row *r = tables[t]; r && r->name; r++)
            if (i-- == 0) return r;
    return NULL;
}

const struct option_value *cli_option(const struct command *c, const char *name)
{
    for (size_t i = 0;; i++) {
        const struct option_row *r = row_at(c->verb, i);
        assert(r && "the verb's table has no such option");
        if (strcmp(r->name, name) == 0) return &c->values[i];
    }
}

const char *cli_text(const struct command *c, const char *name)
{
    return cli_option(c, name)->text;
}
bool cli_flag(const struct command *c, const char *name)
{
    return cli_option(c, name)->given;
}
long long cli_int(const struct command *c, const char *name)
{
    return cli_option(c, name)->integer;
}
double cli_number(const struct command *c, const char *name)
{
    return cli_option(c, name)->number;
}

// ---- help ----

static void print_options(FILE *f, const struct verb *v)
{
    const struct option_row *r;
    fprintf(f, "\noptions:\n");
    for (size_t i = 0; (r = row_at(v, i)); i++) {
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", r->name, r->value ? " " : "",
                 r->value ? r->value : "");
        fprintf(f, "  %-24s %s%s", left, r->help,
                r->type == OPTION_LIST ? " (may be given several times)" : "");
        if (r->initial) fprintf(f, " [%s]", r->initial);
        fputc('\n', f);
    }
}

static void print_verb_help(FILE *f, const struct verb *v)
{
    fprintf(f, "usage: hearth %s%s%s [options]\n\n%s\n", v->name, *v->arguments ? " " : "",
            v->arguments, v->help);
    if (v->more) fprintf(f, "\n%s\n", v->more);
    print_options(f, v);
}

static void print_help(FILE *f, const struct verb *const *verbs, const char *group)
{
    fprintf(f, "usage: hearth VERB [options]\n\nHearth %s: private agents on one machine.\n\n",
            HEARTH_VERSION);
    for (const struct verb *const *v = verbs; *v; v++) {
        size_t n = group ? strlen(group) : 0;
        if (n && (strncmp((*v)->name, group, n) != 0 || (*v)->name[n] != ' ')) continue;
        char left[64];
        snprintf(left, sizeof left, "%s %s", (*v)->name, (*v)->arguments);
        fprintf(f, "  %-34s %s\n", left, (*v)->help);
    }
    fprintf(f, "\n`hearth VERB --help` tells a verb's options. Exit codes: 0 done, 1 the task "
               "failed, 2 wrong usage,\n"
               "3 a file or value is not what it must be, 4 refused (policy, sandbox), 5 the "
               "store, 6 a budget\n"
               "is used up, 7 the operating system, 130 cancelled.\n");
}

// ---- parsing ----

static const struct verb *find_verb(const struct verb *const *verbs, int argc, char **argv,
                                    int *n_word)
{
    for (const struct verb *const *v = verbs; *v; v++) {
        const char *space = strchr((*v)->name, ' ');
        if (!space && argc > 1 && strcmp((*v)->name, argv[1]) == 0) {
            *n_word = 1;
            return *v;
        }
        if (space && argc > 2 && strlen(argv[1]) == (size_t)(space - (*v)->name) &&
            strncmp((*v)->name, argv[1], strlen(argv[1])) == 0 && strcmp(space + 1, argv[2]) == 0) {
            *n_word = 2;
            return *v;
        }
    }
    return NULL;
}

static int option_set(const struct option_row *r, struct option_value *v, const char *text, err *e)
{
    char *end = NULL;
    errno = 0;
    v->text = text;
    switch (r->type) {
    case OPTION_FLAG: return 0;
    case OPTION_TEXT:
        // An unset variable in a script gives ""; taken for "not given" it would be a silent
        // choice.
        if (!*text && strcmp(r->value, "TEXT") != 0)
            return err_set(e, ERR_USAGE, "--%s: expected %s, found an empty text", r->name,
                           r->value);
        return 0;
    case OPTION_INT:
        v->integer = strtoll(text, &end, 10);
        if (!*text || *end || errno)
            return err_set(e, ERR_USAGE, "--%s: expected a whole number, found `%s`", r->name,
                           text);
        return 0;
    case OPTION_NUMBER:
        v->number = strtod(text, &end);
        if (!*text || *end || errno || !isfinite(v->number))
            return err_set(e, ERR_USAGE, "--%s: expected a number, found `%s`", r->name, text);
        return 0;
    case OPTION_LIST:
        if (v->n_list == OPTION_VALUES_MAX)
            return err_set(e, ERR_USAGE, "--%s: given more than %d times", r->name,
                           OPTION_VALUES_MAX);
        v->list[v->n_list++] = text;
        return 0;
    }
    return 0;
}

static int parse_option(struct command *c, int argc, char **argv, int *i, err *e)
{
    const char *word = argv[*i] + 2, *equals = strchr(word, '=');
    size_t n = equals ? (size_t)(equals - word) : strlen(word);
    const struct option_row *r;
    for (size_t k = 0; (r = row_at(c->verb, k)); k++) {
        if (strlen(r->name) != n || strncmp(r->name, word, n) != 0) continue;
        c->values[k].given = true;
        if (r->type == OPTION_FLAG)
            return equals ? err_set(e, ERR_USAGE, "--%s takes no value", r->name) : 0;
        if (!equals && *i + 1 >= argc)
            return err_set(e, ERR_USAGE, "--%s: expected %s behind it", r->name, r->value);
        return option_set(r, &c->values[k], equals ? equals + 1 : argv[++*i], e);
    }
    return err_set(e, ERR_USAGE, "hearth %s: there is no option --%.*s (see `hearth %s --help`)",
                   c->verb->name, (int)n, word, c->verb->name);
}

// Whether a command line that could not be read was meant to answer in JSON.
static bool asks_for_json(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--json") == 0) return true;
    return false;
}

static int parse(struct command *c, int argc, char **argv, int first, err *e)
{
    const struct option_row *r;
    for (size_t k = 0; (r = row_at(c->verb, k)); k++) {
        assert(k < OPTIONS_MAX);
        if (r->initial && r->type != OPTION_FLAG && option_set(r, &c->values[k], r->initial, e))
            return -1;
    }
    bool options_over = false;
    for (int i = first; i < argc; i++) {
        if (!options_over && strcmp(argv[i], "--") == 0) {
            options_over = true;
        } else if (!options_over && strncmp(argv[i], "--", 2) == 0) {
            if (parse_option(c, argc, argv, &i, e)) return -1;
        } else {
            // A script's own arguments may look like options; they are not ours.
            if (c->verb->args_max < 0 && c->n_arg + 1 >= c->verb->args_min) options_over = true;
            c->args[c->n_arg++] = argv[i];
        }
    }
    c->json = cli_flag(c, "json");
    if (cli_flag(c, "help")) return 0;
    if (c->n_arg < c->verb->args_min || (c->verb->args_max >= 0 && c->n_arg > c->verb->args_max))
        return err_set(e, ERR_USAGE,
                       "hearth %s: expected %s, found %d argument%s (see `hearth %s --help`)",
                       c->verb->name, *c->verb->arguments ? c->verb->arguments : "no arguments",
                       c->n_arg, c->n_arg == 1 ? "" : "s", c->verb->name);
    return 0;
}

static void print_error(const err *e, bool json)
{
    if (!json) {
        fprintf(stderr, "hearth: ");
        screen_text(stderr, e->msg, strlen(e->msg)); // it may quote a tool or a model
        fputc('\n', stderr);
        return;
    }
    json_t *o = json_pack("{s:{s:i, s:s}}", "error", "code", (int)e->code, "message", e->msg);
    json_dumpf(o, stderr, JSON_COMPACT);
    fputc('\n', stderr);
    json_decref(o);
}

int cli_main(const struct verb *const *verbs, int argc, char **argv)
{
    err e = {0};
    int n_word = 0;
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(argc < 2 ? stderr : stdout, verbs, NULL);
        return argc < 2 ? ERR_USAGE : 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("hearth %s\n", HEARTH_VERSION);
        return 0;
    }
    const struct verb *v = find_verb(verbs, argc, argv, &n_word);
    if (!v) {
        for (const struct verb *const *g = verbs; *g; g++) {
            const char *space = strchr((*g)->name, ' ');
            if (!space || strlen(argv[1]) != (size_t)(space - (*g)->name) ||
                strncmp((*g)->name, argv[1], strlen(argv[1])))
                continue;
            bool asked = argc > 2 && strcmp(argv[2], "--help") == 0;
            print_help(asked ? stdout : stderr, verbs, argv[1]);
            return asked ? 0 : ERR_USAGE;
        }
        err_set(&e, ERR_USAGE, "there is no verb `%s` (see `hearth --help`)", argv[1]);
        print_error(&e, asks_for_json(argc, argv));
        return ERR_USAGE;
    }
    struct command c = {.verb = v, .args = mem_new((size_t)argc * sizeof *c.args)};
    int rc = parse(&c, argc, argv, 1 + n_word, &e);
    if (rc) {
        c.json = asks_for_json(argc, argv);
    } else {
        if (cli_flag(&c, "help"))
            print_verb_help(stdout, v);
        else
            rc = v->run(&c, &e);
    }
    if (rc) {
        fflush(stdout);
        print_error(&e, c.json);
    } else if (fflush(stdout) != 0 || ferror(stdout)) {
        // An answer that did not reach its reader is not an answer: a full disk behind `>` is a
        // failure.
        err_sys(&e, errno, "standard output");
        print_error(&e, c.json);
        rc = -1;
    }
    free(c.args);
    return rc == 0 ? 0 : e.code ? (int)e.code : ERR_FAILED;
}
