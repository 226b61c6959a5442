// hearth schema sample: random documents of a schema, written under the same masks as a model's
// answer and each judged by the validator before anyone sees it. Of one schema, or of a whole file
// of them for checks by other programs.
#include "base/mem.h"
#include "base/utf8.h"
#include "engine/chat.h"
#include "engine/json_write.h"
#include "engine/lines.h"
#include "engine/random_text.h"
#include "engine/schema.h"
#include "paths.h"
#include "screen.h"
#include "verb_schema.h"
#include "verbs.h"
#include "vocabulary.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES_MAX ((size_t)64 << 20)

static const struct option_row options[] = {
    {"data", OPTION_TEXT, "FILE",
     "instead of FILE: lines of {id, schema} (.jsonl, .xz); one line of output for each", NULL},
    {"n", OPTION_INT, "N", "documents of a schema", "10"},
    {"seed", OPTION_INT, "N", "of the random choices", "1"},
    {"max-tokens", OPTION_INT, "N", "of a document; more where the shortest one takes more", "200"},
    {"max", OPTION_INT, "N", "with --data: only the first N schemas; 0: all", "0"},
    {"how", OPTION_TEXT, "NAME", "uniform, rarest, or model: by the probabilities of a model",
     "uniform"},
    {"model", OPTION_TEXT, "DIR", "of --how model (without: the built-in model)", NULL},
    {"vocab", OPTION_TEXT, "FILE",
     "a tokenizer.json, or `bytes` (without it: the built-in model's)", NULL},
    {"kind", OPTION_TEXT, "NAME", "what FILE is: schema, regex, ebnf or tags", "schema"},
    {0},
};

struct sampler {
    const struct command *c;
    struct grammar_options grammar;
    enum random_how how;
    int n, max_tokens;
    rng random;
    const grammar_vocab *vocab;
    struct vocabulary own; // unless a model has it
    engine *en;            // of --how model
    session *session;
    chat *chat;
    size_t wrong; // documents that the validator does not accept: mistakes of ours
};

// The documents of one schema.
struct drawn {
    json_t *docs;     // texts
    json_t *failures; // {doc, why}
    size_t unjudged;  // that Jansson cannot hold (NUL in a key, a number beyond double)
};

// ---- the model ----

static int open_model(struct sampler *s, err *e)
{
    char *dir = paths_model(cli_text(s->c, "model"), e);
    if (!dir) return -1;
    struct engine_options o = {.model_dir = dir};
    s->en = engine_open(&o, e);
    free(dir);
    if (!s->en || !(s->session = session_new(s->en, e))) return -1;
    s->vocab = engine_vocab(s->en);
    const char *source = engine_chat_template(s->en);
    if (!source) return 0;
    s->chat = chat_open(source, "chat_template", engine_bos(s->en), engine_eos(s->en), e);
    return s->chat ? 0 : -1;
}

// The prompt that shows the schema; one that is too long for the context is cut.
static int make_prompt(const struct sampler *s, const struct constraint *from, token_buf *out,
                       err *e)
{
    static const char *const asks[CONSTRAINT_KINDS] = {
        "Write a JSON document that satisfies this JSON Schema:\n",
        "Write a text that this regular expression matches:\n",
        "Write a text that this grammar describes:\n", "Write a text in this format:\n"};
    size_t room = (size_t)(session_ctx_max(s->session) - s->max_tokens) / 2 + 1;
    buf text = buf_new(TEXT_BYTES_MAX);
    buf_str(&text, asks[from->kind]);
    if (from->json)
        json_write(&text, from->json, false);
    else
        buf_str(&text, from->text);
    int rc = 0;
    if (s->chat) {
        size_t shown = text.n < 2 * room ? text.n : utf8_valid_prefix(text.p, 2 * room);
        json_t *messages = json_pack("[{s:s, s:s%}]", "role", "user", "content", text.p, shown);
        rc = chat_render(s->chat, engine_tokenizer(s->en), messages, NULL, true, out, NULL, e);
        json_decref(messages);
    } else {
        tokenizer_encode(engine_tokenizer(s->en), text.p, text.n, out);
        if (out->n > room) out->n = room;
    }
    buf_free(&text);
    return rc;
}

// ---- one schema ----

static void add_failure(struct drawn *d, const buf *text, const char *why)
{
    // A text that breaks off may do so within a character.
    json_t *doc = json_stringn(buf_text(text), utf8_valid_prefix(buf_text(text), text->n));
    json_array_append_new(d->failures, json_pack("{s:o, s:s}", "doc", doc, "why", why));
}

// Without a validator (only schemas have one) a text is what the grammar made it.
static void judge(validator *v, const buf *text, struct drawn *d)
{
    struct schema_fault f;
    json_error_t je;
    if (!v) {
        json_array_append_new(d->docs, json_stringn(buf_text(text), text->n));
        return;
    }
    json_t *doc = json_read(buf_text(text), text->n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &je);
    if (!doc && (json_error_code(&je) == json_error_null_byte_in_key ||
                 json_error_code(&je) == json_error_numeric_overflow)) {
        d->unjudged++;
    } else if (!doc || validator_check(v, doc, &f)) {
        char *why = doc ? mem_printf("%s: %s (schema: #%s)", f.instance, f.text, f.rule)
                        : mem_printf("no JSON: %s", je.text);
        add_failure(d, text, why);
        free(why);
    } else {
        json_array_append_new(d->docs, json_stringn(buf_text(text), text->n));
    }
    json_decref(doc);
}

static int draw_texts(struct sampler *s, const grammar *g, validator *v, const token_buf *prompt,
                      struct drawn *d, err *e)
{
    struct random_text_options o = {.vocab = s->vocab,
                                    .how = s->how,
                                    .max_tokens = s->max_tokens,
                                    .session = s->session,
                                    .prompt = prompt->ids,
                                    .n_prompt = prompt->n};
    random_text *t = random_text_new(&o);
    buf text = buf_new(TEXT_BYTES_MAX);
    int rc = 0;
    for (int i = 0; rc == 0 && i < s->n; i++) {
        rc = random_text_make(t, g, &s->random, &text, e);
        if (rc == 0) {
            judge(v, &text, d);
        } else if (e->code == ERR_FAILED) { // a mistake of the decoder; the others are wanted still
            add_failure(d, &text, e->msg);
            rc = 0;
        }
    }
    buf_free(&text);
    random_text_free(t);
    return rc;
}

// -1 and *e: the schema is refused (ERR_INPUT), or something went wrong.
static int draw(struct sampler *s, const struct constraint *from, struct drawn *d, err *e)
{
    bool judged = from->kind == CONSTRAINT_SCHEMA;
    token_buf prompt = {0};
    *d = (struct drawn){.docs = json_array(), .failures = json_array()};
    grammar *g = constraint_compile(from, s->vocab, &s->grammar, NULL, NULL, e);
    validator *v = g && judged ? validator_open(from->json, NULL, e) : NULL;
    int rc = g && (v || !judged) ? 0 : -1;
    if (rc == 0 && s->how == RANDOM_MODEL) rc = make_prompt(s, from, &prompt, e);
    if (rc == 0) rc = draw_texts(s, g, v, &prompt, d, e);
    s->wrong += json_array_size(d->failures);
    token_buf_free(&prompt);
    validator_close(v);
    grammar_free(g);
    return rc;
}

static void drawn_free(struct drawn *d)
{
    json_decref(d->docs);
    json_decref(d->failures);
}

// ---- the output ----

static void print_line(const char *id, const struct drawn *d, const char *error)
{
    json_t *o = json_pack("{s:s, s:O, s:O, s:I}", "id", id, "docs", d->docs, "failures",
                          d->failures, "unjudged", (json_int_t)d->unjudged);
    if (error) json_object_set_new(o, "error", json_string(error));
    json_dumpf(o, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(o);
}

static void print_failures(const json_t *failures)
{
    size_t i;
    json_t *f;
    json_array_foreach(failures, i, f)
    {
        const char *why = json_string_value(json_object_get(f, "why")),
                   *doc = json_string_value(json_object_get(f, "doc"));
        fputs("not accepted by the validator: ", stderr);
        screen_text(stderr, why, strlen(why));
        fputs(": ", stderr);
        screen_text(stderr, doc, strlen(doc));
        fputc('\n', stderr);
    }
}

static int sample_one(struct sampler *s, const char *path, err *e)
{
    size_t i;
    json_t *doc;
    struct constraint from;
    struct drawn d;
    if (constraint_from(s->c, &from, e)) {
        constraint_free(&from);
        return -1;
    }
    int rc = draw(s, &from, &d, e);
    if (rc) {
        err_wrap(e, "%s", path);
    } else if (s->c->json) {
        print_line(path, &d, NULL);
    } else {
        json_array_foreach(d.docs, i, doc)
        {
            fwrite(json_string_value(doc), 1, json_string_length(doc), stdout);
            putchar('\n');
        }
        print_failures(d.failures);
    }
    drawn_free(&d);
    constraint_free(&from);
    return rc;
}

static int sample_line(struct sampler *s, const json_t *line, err *e)
{
    const char *id = json_string_value(json_object_get(line, "id"));
    struct drawn d;
    const struct constraint from = {.json = json_object_get(line, "schema")};
    int rc = draw(s, &from, &d, e);
    // A schema that is refused is no failure of the run; it is told in its line.
    if (rc == 0 || e->code == ERR_INPUT || e->code == ERR_BUDGET) {
        print_line(id ? id : "?", &d, rc ? e->msg : NULL);
        rc = 0;
    }
    drawn_free(&d);
    return rc;
}

static int sample_file(struct sampler *s, const char *path, err *e)
{
    const char *text;
    size_t n, done = 0, max = (size_t)cli_int(s->c, "max");
    int rc = 0;
    lines *l = lines_open(path, e);
    if (!l) return -1;
    while (rc >= 0 && (max == 0 || done++ < max) && (rc = lines_next(l, &text, &n, e)) > 0) {
        json_error_t je;
        json_t *line = json_read(text, n, JSON_ALLOW_NUL, &je);
        if (!json_object_get(line, "schema"))
            rc = err_set(e, ERR_INPUT, "%s:%zu: expected {id, schema}: %s", path, lines_number(l),
                         line ? "no schema" : je.text);
        else
            rc = sample_line(s, line, e);
        json_decref(line);
    }
    lines_close(l);
    return rc < 0 ? -1 : 0;
}

// ---- the verb ----

static int read_options(struct sampler *s, err *e)
{
    static const char *const hows[] = {"uniform", "rarest", "model"};
    const struct command *c = s->c;
    long long n = cli_int(c, "n"), max_tokens = cli_int(c, "max-tokens");
    const char *how = cli_text(c, "how");
    int h = 0;
    while (h < 3 && strcmp(hows[h], how) != 0) h++;
    if (h == 3)
        return err_set(e, ERR_USAGE, "--how: expected uniform, rarest or model, found `%s`", how);
    if (n < 1 || n > 1000000)
        return err_set(e, ERR_USAGE, "--n: expected 1 to 1000000, found %lld", n);
    if (max_tokens < 1 || max_tokens > 100000)
        return err_set(e, ERR_USAGE, "--max-tokens: expected 1 to 100000, found %lld", max_tokens);
    if (cli_int(c, "max") < 0)
        return err_set(e, ERR_USAGE, "--max: expected 0 or more, found %lld", cli_int(c, "max"));
    if ((c->n_arg == 1) == (cli_text(c, "data") != NULL))
        return err_set(e, ERR_USAGE, "hearth schema sample: expected a FILE or --data FILE");
    if (cli_text(c, "data") && strcmp(cli_text(c, "kind"), "schema") != 0)
        return err_set(e, ERR_USAGE, "--kind: the lines of --data hold schemas");
    if (h == RANDOM_MODEL && cli_text(c, "vocab"))
        return err_set(e, ERR_USAGE, "--vocab: a model brings its own");
    s->how = (enum random_how)h;
    s->n = (int)n;
    s->max_tokens = (int)max_tokens;
    s->random = rng_seed((uint64_t)cli_int(c, "seed"));
    return grammar_options_read(c, &s->grammar, e);
}

static int open_vocabulary(struct sampler *s, err *e)
{
    if (s->how == RANDOM_MODEL) return open_model(s, e);
    s->vocab = &s->own.v;
    return vocabulary_open(&s->own, cli_text(s->c, "vocab"), e);
}

static int schema_verb_sample(struct command *c, err *e)
{
    struct sampler s = {.c = c};
    int rc = -1;
    const char *data = cli_text(c, "data");
    if (read_options(&s, e) == 0 && open_vocabulary(&s, e) == 0)
        rc = data ? sample_file(&s, data, e) : sample_one(&s, c->args[0], e);
    if (rc == 0 && s.wrong)
        rc = err_set(e, ERR_FAILED, "%zu documents were written that the validator does not accept",
                     s.wrong);
    session_free(s.session);
    chat_close(s.chat);
    engine_close(s.en);
    vocabulary_close(&s.own);
    return rc;
}

const struct verb verb_schema_sample = {
    .name = "schema sample",
    .arguments = "[FILE]",
    .help = "random documents that satisfy a JSON Schema",
    .more = "Each is written under the masks that a model's answer would have, and one of a schema "
            "checked by the\nvalidator. --kind says what FILE is, if no schema.\nWith --json or "
            "--data: lines of {id, docs: [text], failures: [{doc, why}], "
            "unjudged}.",
    .options = options,
    .shared = grammar_option_rows,
    .args_max = 1,
    .run = schema_verb_sample,
};
