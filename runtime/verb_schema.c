// hearth schema check|validate: what of a schema is enforced, and whether documents satisfy it.
#include "verb_schema.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "engine/json_write.h"
#include "engine/schema.h"
#include "screen.h"
#include "verbs.h"
#include "vocabulary.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX ((size_t)256 << 20)

// ---- documents ----

static char *read_standard_input(size_t *n, err *e)
{
    buf b = buf_new(FILE_BYTES_MAX);
    char chunk[1 << 14];
    for (size_t k; (k = fread(chunk, 1, sizeof chunk, stdin)) > 0;) buf_put(&b, chunk, k);
    if (ferror(stdin) || b.full) {
        if (b.full)
            err_set(e, ERR_INPUT, "standard input: more than %zu bytes", FILE_BYTES_MAX);
        else
            err_sys(e, errno, "standard input");
        buf_free(&b);
        return NULL;
    }
    *n = b.n;
    return buf_take(&b);
}

char *text_from(const char *path, size_t *n, err *e)
{
    return strcmp(path, "-") == 0 ? read_standard_input(n, e)
                                  : file_read(path, FILE_BYTES_MAX, n, e);
}

json_t *json_from(const char *path, err *e)
{
    const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
    size_t n;
    json_error_t je;
    char *text = text_from(path, &n, e);
    if (!text) return NULL;
    json_t *v = json_read(text, n, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &je);
    if (!v)
        err_set(e, ERR_INPUT, "%s:%d:%d: expected a JSON document: %s", name, je.line, je.column,
                je.text);
    free(text);
    return v;
}

static int print_json(json_t *o)
{
    json_dumpf(o, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(o);
    return 0;
}

// ---- validate ----

static const struct option_row validate_options[] = {
    {"with", OPTION_LIST, "FILE", "a schema that references may lead to, by its $id", NULL},
    {"ignore-formats", OPTION_FLAG, NULL, "`format` is an annotation and not checked", NULL},
    {0},
};

// {$id: schema} of the files given by --with.
static json_t *read_documents(const struct command *c, err *e)
{
    const struct option_value *files = cli_option(c, "with");
    json_t *all = json_object();
    for (size_t i = 0; i < files->n_list; i++) {
        json_t *schema = json_from(files->list[i], e);
        const char *id = json_string_value(json_object_get(schema, "$id"));
        if (schema && !id)
            err_set(e, ERR_INPUT, "%s: expected a schema that has an $id", files->list[i]);
        if (id) json_object_set(all, id, schema);
        json_decref(schema);
        if (!id) {
            json_decref(all);
            return NULL;
        }
    }
    return all;
}

static void print_fault(const char *name, const struct schema_fault *f)
{
    char text[1600];
    snprintf(text, sizeof text, "%s: %s: %s (schema: #%s)\n", name,
             *f->instance ? f->instance : "the value", f->text, f->rule);
    screen_text(stdout, text, strlen(text));
}

// Checks one document and tells the result. 1: valid, 0: not; -1 and *e: it cannot be told.
static int validate_one(const struct command *c, validator *v, const char *name, json_t *rows,
                        err *e)
{
    struct schema_fault f = {0};
    json_t *doc = json_from(name, e);
    if (!doc) return -1;
    int rc = validator_check(v, doc, &f);
    json_decref(doc);
    if (rc && f.code != ERR_FAILED)
        return err_set(e, f.code, "%s: #%s: %s", c->args[0], f.rule, f.text);
    json_t *row = json_pack("{s:s, s:b}", "file", name, "valid", rc == 0);
    if (rc) {
        json_object_set_new(row, "instance", json_string(f.instance));
        json_object_set_new(row, "schema", json_string(f.rule));
        json_object_set_new(row, "message", json_string(f.text));
    }
    json_array_append_new(rows, row);
    if (!c->json && rc)
        print_fault(name, &f);
    else if (!c->json)
        printf("%s: valid\n", name);
    return rc == 0;
}

static int validate_all(struct command *c, validator *v, err *e)
{
    json_t *rows = json_array();
    int invalid = 0, rc = 0;
    for (int i = 1; rc >= 0 && i < c->n_arg; i++) {
        rc = validate_one(c, v, c->args[i], rows, e);
        invalid += rc == 0;
    }
    if (c->json && rc >= 0)
        print_json(rows);
    else
        json_decref(rows);
    if (rc < 0) return -1;
    return invalid ? err_set(e, ERR_FAILED, "%d of %d documents do not satisfy %s", invalid,
                             c->n_arg - 1, c->args[0])
                   : 0;
}

static int schema_verb_validate(struct command *c, err *e)
{
    int rc = -1;
    json_t *documents = read_documents(c, e), *schema = documents ? json_from(c->args[0], e) : NULL;
    struct schema_options o = {.formats_ignored = cli_flag(c, "ignore-formats"),
                               .documents = documents};
    validator *v = schema ? validator_open(schema, &o, e) : NULL;
    if (v)
        rc = validate_all(c, v, e);
    else if (schema)
        err_wrap(e, "%s", c->args[0]);
    validator_close(v);
    json_decref(schema);
    json_decref(documents);
    return rc;
}

const struct verb verb_schema_validate = {
    .name = "schema validate",
    .arguments = "FILE DOC...",
    .help = "whether documents satisfy a JSON Schema, and if not, why",
    .more =
        "DOC may be - for standard input. Exit code 0: all are valid; 1: some are not; 3: a file "
        "is no JSON,\nor the schema is refused.",
    .options = validate_options,
    .args_min = 2,
    .args_max = 1000,
    .run = schema_verb_validate,
};

// ---- check ----

static const struct option_row check_options[] = {
    {"vocab", OPTION_TEXT, "FILE",
     "a tokenizer.json, or `bytes` (without it: the built-in model's)", NULL},
    {"kind", OPTION_TEXT, "NAME", "what FILE is: schema, regex, ebnf or tags", "schema"},
    {0},
};

struct compiled {
    grammar *g;
    double compile_ms, first_mask_ms;
    size_t bytes;
};

static int compile(struct compiled *out, const grammar_vocab *v, const struct constraint *from,
                   const struct grammar_options *o, err *e)
{
    int64_t start = clock_us();
    out->g = constraint_compile(from, v, o, NULL, NULL, e);
    out->compile_ms = (double)(clock_us() - start) / 1e3;
    if (!out->g) return -1;
    grammar_state *s = grammar_start(out->g);
    uint64_t *bits = mem_new(((size_t)v->n_token / 64 + 1) * sizeof *bits);
    start = clock_us();
    grammar_mask(s, -1, bits);
    out->first_mask_ms = (double)(clock_us() - start) / 1e3;
    out->bytes = grammar_bytes(out->g);
    free(bits);
    grammar_state_free(s);
    return 0;
}

// "schema: POINTER: REASON" as the compiler words a refusal; of EBNF "grammar: LINE:COLUMN:
// REASON".
static void split_refusal(const char *message, char pointer[600], const char **reason)
{
    static const char *const kinds[] = {"schema: ", "tags: ", "grammar: ", "regex: "};
    const char *at = message;
    for (int i = 0; i < 4; i++)
        if (strncmp(message, kinds[i], strlen(kinds[i])) == 0) at = message + strlen(kinds[i]);
    const char *end =
        *at == '#' || *at == '/' || (*at >= '0' && *at <= '9') ? strstr(at, ": ") : NULL;
    size_t n = end ? (size_t)(end - at) : 0;
    snprintf(pointer, 600, "%.*s", (int)(n < 599 ? n : 599), at);
    *reason = end ? end + 2 : at;
}

static void print_counts(const char *title, const json_t *counts)
{
    const char *name;
    json_t *n, *first = json_true();
    if (json_object_size(counts) == 0) return;
    printf("  %s", title);
    json_object_foreach((json_t *)counts, name, n)
    {
        if (!first) putchar(',');
        first = NULL;
        putchar(' ');
        screen_text(stdout, name, strlen(name));
        if (json_integer_value(n) > 1) printf(" x%lld", (long long)json_integer_value(n));
    }
    putchar('\n');
}

// Names that are no keywords and look like one: a constraint that somebody believes to hold.
static json_t *meant_keywords(const json_t *ignored)
{
    json_t *meant = json_object(), *n;
    const char *name;
    json_object_foreach((json_t *)ignored, name, n) if (schema_keyword_meant(name))
        json_object_set_new(meant, name, json_string(schema_keyword_meant(name)));
    return meant;
}

static void print_meant(const json_t *ignored)
{
    json_t *meant = meant_keywords(ignored), *keyword;
    const char *name;
    json_object_foreach(meant, name, keyword)
    {
        fputs("  note: ", stdout);
        screen_text(stdout, name, strlen(name));
        printf(" is no keyword; was %s meant?\n", json_string_value(keyword));
    }
    json_decref(meant);
}

static int print_enforced(const struct command *c, const struct compiled *m, json_t *survey)
{
    if (c->json) {
        json_t *ignored = json_object_get(survey, "ignored");
        json_t *o = json_pack("{s:b, s:O, s:O, s:o, s:I, s:f, s:f}", "enforceable", true,
                              "enforced", json_object_get(survey, "asserted"), "ignored", ignored,
                              "meant", meant_keywords(ignored), "bytes", (json_int_t)m->bytes,
                              "compile_ms", m->compile_ms, "first_mask_ms", m->first_mask_ms);
        return print_json(o);
    }
    printf("%s: enforced exactly\n", c->args[0]);
    print_counts("enforced", json_object_get(survey, "asserted"));
    print_counts("ignored ", json_object_get(survey, "ignored"));
    print_meant(json_object_get(survey, "ignored"));
    printf("  %.1f KB, compiled in %.3f ms, first mask in %.3f ms\n", (double)m->bytes / 1024,
           m->compile_ms, m->first_mask_ms);
    return 0;
}

static int print_refused(const struct command *c, const struct compiled *m, const char *message,
                         err *e)
{
    char pointer[600];
    const char *reason;
    split_refusal(message, pointer, &reason);
    if (c->json)
        print_json(json_pack("{s:b, s:s, s:s, s:f}", "enforceable", false, "pointer", pointer,
                             "reason", reason, "compile_ms", m->compile_ms));
    return err_set(e, ERR_FAILED, "%s: cannot be enforced: %.900s", c->args[0], message);
}

int constraint_from(const struct command *c, struct constraint *out, err *e)
{
    const char *kind = cli_text(c, "kind");
    *out = (struct constraint){0};
    if (constraint_of(kind) < 0)
        return err_set(e, ERR_USAGE, "--kind: expected schema, regex, ebnf or tags; found `%s`",
                       kind);
    return constraint_read(out, (enum constraint_kind)constraint_of(kind), c->args[0], e);
}

static int schema_verb_check(struct command *c, err *e)
{
    struct grammar_options o = {0};
    struct constraint from = {0};
    struct vocabulary v = {0};
    struct compiled m = {0};
    err why = {0};
    int rc = -1;
    if (grammar_options_read(c, &o, e) == 0 && constraint_from(c, &from, e) == 0 &&
        vocabulary_open(&v, cli_text(c, "vocab"), e) == 0) {
        json_t *survey =
            from.kind == CONSTRAINT_SCHEMA
                ? schema_survey(from.json)
                : json_pack("{s:{}, s:{}}", "asserted", "ignored"); // they know no annotations
        rc = compile(&m, &v.v, &from, &o, &why) ? print_refused(c, &m, why.msg, e)
                                                : print_enforced(c, &m, survey);
        json_decref(survey);
    }
    grammar_free(m.g);
    vocabulary_close(&v);
    constraint_free(&from);
    return rc;
}

const struct verb verb_schema_check = {
    .name = "schema check",
    .arguments = "FILE",
    .help = "what of a JSON Schema generation enforces, or why it is refused",
    .more =
        "The same for a regular expression, EBNF or structural tags, by --kind. Exit code 0: "
        "everything that\nasserts is enforced exactly; 1: refused, with the place and the reason; "
        "3: the file cannot be read.",
    .options = check_options,
    .shared = grammar_option_rows,
    .args_min = 1,
    .args_max = 1,
    .run = schema_verb_check,
};
