#include "bfcl.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "engine/json_write.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_BYTES_MAX = 256 << 20, TEXT_BYTES_MAX = 1 << 20, CALLS_MAX = 64 };

// ---- reading ----

// The names of types that the files use for those of JSON Schema; "any" is no type at all.
static const struct {
    const char *theirs, *ours;
} type_names[] = {
    {"dict", "object"},  {"HashMap", "object"},  {"Hashtable", "object"}, {"hash", "object"},
    {"float", "number"}, {"double", "number"},   {"Float", "number"},     {"Double", "number"},
    {"tuple", "array"},  {"list", "array"},      {"Array", "array"},      {"ArrayList", "array"},
    {"Queue", "array"},  {"Stack", "array"},     {"Set", "array"},        {"set", "array"},
    {"str", "string"},   {"String", "string"},   {"char", "string"},      {"Bigint", "integer"},
    {"int", "integer"},  {"long", "integer"},    {"short", "integer"},    {"byte", "integer"},
    {"bool", "boolean"}, {"Boolean", "boolean"}, {"any", NULL},           {"Any", NULL},
};

// A JSON Schema of theirs as one that means the same here.
static json_t *schema_of(const json_t *theirs, bool is_schema)
{
    const char *key;
    json_t *value, *out;
    size_t i;
    if (json_is_array(theirs)) {
        out = json_array();
        json_array_foreach((json_t *)theirs, i, value)
            json_array_append_new(out, schema_of(value, is_schema));
        return out;
    }
    if (!json_is_object(theirs)) return json_incref((json_t *)theirs);
    out = json_object();
    json_object_foreach((json_t *)theirs, key, value)
    {
        const char *type = json_string_value(value);
        bool names_fields = is_schema && strcmp(key, "properties") == 0;
        // What describes and does not constrain is left out: `default` may be of any type, and
        // some files write `optional`, `required: true` on a field, and the like.
        static const char *const kept[] = {"type",    "properties", "required", "items",
                                           "enum",    "anyOf",      "oneOf",    "description",
                                           "minimum", "maximum",    "format",   NULL};
        size_t k = 0;
        while (is_schema && kept[k] && strcmp(kept[k], key) != 0) k++;
        if (is_schema && !kept[k]) continue;
        if (is_schema && strcmp(key, "required") == 0 && !json_is_array(value)) continue;
        if (is_schema && strcmp(key, "enum") == 0 && json_array_size(value) == 0) continue;
        if (is_schema && strcmp(key, "format") == 0) continue;
        if (is_schema && strcmp(key, "type") == 0 && type) {
            for (k = 0; k < sizeof type_names / sizeof *type_names; k++)
                if (strcmp(type_names[k].theirs, type) == 0) break;
            if (k == sizeof type_names / sizeof *type_names)
                json_object_set(out, key, value);
            else if (type_names[k].ours)
                json_object_set_new(out, key, json_string(type_names[k].ours));
            continue;
        }
        bool literal = is_schema && strcmp(key, "enum") == 0;
        json_object_set_new(out, key,
                            literal ? json_incref(value) : schema_of(value, !names_fields));
    }
    return out;
}

static const char *text_of(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static int check_messages(const json_t *messages, err *e)
{
    const json_t *m;
    size_t i;
    if (json_array_size(messages) == 0)
        return err_set(e, ERR_INPUT, "question: expected [[{role, content}...]]");
    json_array_foreach((json_t *)messages, i, m)
    {
        if (!text_of(m, "role") || !text_of(m, "content"))
            return err_set(e, ERR_INPUT, "question: message %zu: expected {role, content}", i + 1);
    }
    return 0;
}

// The functions, each with a schema of ours.
static json_t *functions_of(const json_t *given, err *e)
{
    json_t *out = json_array(), *f;
    size_t i;
    json_t *list = json_is_object(given) ? json_pack("[O]", given) : json_incref((json_t *)given);
    json_array_foreach(list, i, f)
    {
        const json_t *parameters = json_object_get(f, "parameters");
        if (!text_of(f, "name") || (parameters && !json_is_object(parameters))) {
            err_set(e, ERR_INPUT, "function %zu: expected {name, description, parameters: {...}}",
                    i + 1);
            json_decref(out);
            json_decref(list);
            return NULL;
        }
        json_t *schema = parameters ? schema_of(parameters, true) : json_object();
        json_object_set_new(schema, "type", json_string("object"));
        if (!json_is_object(json_object_get(schema, "properties")))
            json_object_set_new(schema, "properties", json_object());
        const char *about = text_of(f, "description");
        json_array_append_new(out,
                              json_pack("{s:s, s:s, s:o}", "name", text_of(f, "name"),
                                        "description", about ? about : "", "parameters", schema));
    }
    json_decref(list);
    return out;
}

static int check_truth(const json_t *truth, err *e)
{
    const json_t *call;
    const char *name, *key;
    json_t *args, *alternatives;
    size_t i;
    if (!json_is_array(truth)) goto bad;
    json_array_foreach((json_t *)truth, i, call)
    {
        if (json_object_size(call) != 1) goto bad;
        json_object_foreach((json_t *)call, name, args)
        {
            if (!json_is_object(args)) goto bad;
            json_object_foreach(args, key, alternatives) if (!json_is_array(alternatives)) goto bad;
        }
    }
    if (json_array_size(truth) <= CALLS_MAX) return 0;
bad:
    return err_set(e, ERR_INPUT,
                   "ground_truth: expected at most %d calls {\"FUNCTION\": {\"ARGUMENT\": "
                   "[alternatives...]}}",
                   CALLS_MAX);
}

// The kind of a question stands in its id: "live_parallel_3-1-0" is of kind "live_parallel".
static char *kind_of(const char *id)
{
    size_t n = strcspn(id, "0123456789");
    while (n > 1 && (id[n - 1] == '_' || id[n - 1] == '-')) n--;
    return n ? mem_strn(id, n) : mem_str("bfcl");
}

static int question_read(const json_t *line, struct eval_suite *suite, err *e)
{
    const char *id = text_of(line, "id");
    const json_t *question = json_object_get(line, "question"),
                 *messages = json_array_get(question, 0);
    if (!id || !*id) return err_set(e, ERR_INPUT, "expected an object with a text `id`");
    if (json_array_size(question) > 1)
        return err_set(e, ERR_INPUT, "%s: a question of several turns, which is not read here", id);
    if (json_is_object(messages)) messages = question; // some files leave the outer list out
    if (check_messages(messages, e)) return err_wrap(e, "%s", id);
    json_t *functions = functions_of(json_object_get(line, "function"), e);
    if (!functions) return err_wrap(e, "%s", id);
    if (json_array_size(functions) == 0) {
        json_decref(functions);
        return err_set(e, ERR_INPUT, "%s: function: expected a list of functions", id);
    }
    eval_suite_add(suite, (struct eval_task){.id = mem_str(id),
                                             .kind = kind_of(id),
                                             .bfcl = json_pack("{s:O, s:o}", "question", messages,
                                                               "function", functions)});
    return 0;
}

static struct eval_task *find(struct eval_suite *suite, const char *id)
{
    struct eval_task key = {.id = (char *)id};
    size_t low = 0, high = suite->n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        int order = strcmp(key.id, suite->tasks[mid].id);
        if (order == 0) return &suite->tasks[mid];
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

static int answer_read(const json_t *line, struct eval_suite *suite, err *e)
{
    const char *id = text_of(line, "id");
    if (!id) return err_set(e, ERR_INPUT, "expected an object with a text `id`");
    struct eval_task *t = find(suite, id);
    if (!t) return err_set(e, ERR_INPUT, "%s: there is no question of this id", id);
    const json_t *truth = json_object_get(line, "ground_truth");
    if (json_object_get(t->bfcl, "truth")) return err_set(e, ERR_INPUT, "%s: answered twice", id);
    if (check_truth(truth, e)) return err_wrap(e, "%s", id);
    return json_object_set(t->bfcl, "truth", (json_t *)truth);
}

static int lines_read(const char *text, size_t n, const char *name,
                      int (*take)(const json_t *, struct eval_suite *, err *),
                      struct eval_suite *suite, err *e)
{
    int number = 0;
    for (const char *line = text, *end = text + n; line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        size_t length = (size_t)((stop ? stop : end) - line);
        number++;
        size_t blank = 0;
        while (blank < length && isspace((unsigned char)line[blank])) blank++;
        if (blank < length) {
            json_error_t bad;
            json_t *v = json_read(line, length, 0, &bad);
            int rc = v ? take(v, suite, e) : err_set(e, ERR_INPUT, "%s", bad.text);
            json_decref(v);
            if (rc) return err_wrap(e, "%s: line %d", name, number);
        }
        line += length + 1;
    }
    return 0;
}

int bfcl_read_text(const char *questions, size_t n_question, const char *questions_name,
                   const char *answers, size_t n_answer, const char *answers_name,
                   struct eval_suite *suite, err *e)
{
    if (lines_read(questions, n_question, questions_name, question_read, suite, e)) return -1;
    if (suite->n == 0) return err_set(e, ERR_INPUT, "%s: holds no question", questions_name);
    eval_suite_sort(suite);
    for (size_t i = 1; i < suite->n; i++)
        if (strcmp(suite->tasks[i].id, suite->tasks[i - 1].id) == 0)
            return err_set(e, ERR_INPUT, "%s: two questions of the id `%s`", questions_name,
                           suite->tasks[i].id);
    if (answers && lines_read(answers, n_answer, answers_name, answer_read, suite, e)) return -1;
    for (size_t i = 0; i < suite->n; i++) {
        const struct eval_task *t = &suite->tasks[i];
        if (json_object_get(t->bfcl, "truth") || strstr(t->kind, "relevance")) continue;
        return err_set(e, ERR_INPUT, "%s: there is no answer to the question `%s`",
                       answers ? answers_name : questions_name, t->id);
    }
    // Without a ground truth: a call of any kind for `relevance`, none for `irrelevance`.
    for (size_t i = 0; i < suite->n; i++) {
        struct eval_task *t = &suite->tasks[i];
        if (!json_object_get(t->bfcl, "truth"))
            json_object_set_new(t->bfcl, "relevant", json_boolean(!strstr(t->kind, "irrelevance")));
    }
    return 0;
}

int bfcl_read(const char *questions, const char *answers, struct eval_suite *suite, err *e)
{
    size_t n_question = 0, n_answer = 0;
    char *q = file_read(questions, FILE_BYTES_MAX, &n_question, e);
    char *a = q && answers ? file_read(answers, FILE_BYTES_MAX, &n_answer, e) : NULL;
    int rc = -1;
    if (q && (a || !answers))
        rc = bfcl_read_text(q, n_question, questions, a, n_answer, answers, suite, e);
    free(q);
    free(a);
    return rc;
}

// ---- judging ----

// Of a text what counts: no case, no spaces, no ,./-_*^, one kind of quote. The caller frees.
static char *normal(const char *s)
{
    char *out = mem_new(strlen(s) + 1), *p = out;
    for (; *s; s++)
        if (!strchr(" ,./-_*^", *s)) *p++ = *s == '\'' ? '"' : (char)tolower((unsigned char)*s);
    return out;
}

static bool same_text(const char *a, const char *b)
{
    char *x = normal(a), *y = normal(b);
    bool same = strcmp(x, y) == 0;
    free(x);
    free(y);
    return same;
}

static bool is_blank(const json_t *v)
{
    return json_is_string(v) && json_string_length(v) == 0;
}

static bool may_be_missing(const json_t *alternatives)
{
    const json_t *v;
    size_t i;
    json_array_foreach((json_t *)alternatives, i, v) if (is_blank(v)) return true;
    return false;
}

static bool among(const json_t *value, const json_t *alternatives);

// An object among the alternatives holds a list of alternatives for each key.
static bool same_object(const json_t *value, const json_t *wanted)
{
    const char *key;
    json_t *v;
    if (!json_is_object(value)) return false;
    json_object_foreach((json_t *)value, key, v)
    {
        const json_t *alternatives = json_object_get(wanted, key);
        bool ok = json_is_array(alternatives) ? among(v, alternatives)
                                              : alternatives && json_equal(v, alternatives);
        if (!ok) return false;
    }
    json_object_foreach((json_t *)wanted, key,
                        v) if (!json_object_get(value, key) && !may_be_missing(v)) return false;
    return true;
}

static bool same_value(const json_t *value, const json_t *wanted)
{
    if (json_is_string(value) && json_is_string(wanted))
        return same_text(json_string_value(value), json_string_value(wanted));
    if (json_is_number(value) && json_is_number(wanted))
        return json_number_value(value) == json_number_value(wanted);
    if (json_is_object(wanted)) return same_object(value, wanted);
    if (json_is_array(value) && json_is_array(wanted)) {
        if (json_array_size(value) != json_array_size(wanted)) return false;
        for (size_t i = 0; i < json_array_size(value); i++)
            if (!same_value(json_array_get(value, i), json_array_get(wanted, i))) return false;
        return true;
    }
    return json_equal(value, wanted);
}

static bool among(const json_t *value, const json_t *alternatives)
{
    const json_t *wanted;
    size_t i;
    json_array_foreach((json_t *)alternatives, i,
                       wanted) if (same_value(value, wanted)) return true;
    return false;
}

static bool wrong(err *why, const char *name, const char *fmt, const char *key, const json_t *value)
{
    char *found = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    char *what = mem_printf(fmt, key); // every fmt below has one %s
    err_set(why, ERR_FAILED, "%s: %s%s%.100s", name, what, found ? ", found " : "",
            found ? found : "");
    free(what);
    free(found);
    return false;
}

// Whether the call is the one wanted: {"FUNCTION": {"ARGUMENT": [alternatives...]}}.
static bool call_is(const json_t *functions, const json_t *call, const json_t *wanted, err *why)
{
    const char *name = text_of(call, "name"), *key;
    const char *wanted_name = json_object_iter_key(json_object_iter((json_t *)wanted));
    const json_t *args = json_object_get(call, "arguments"),
                 *truth = json_object_get(wanted, wanted_name), *declared = NULL, *required = NULL;
    json_t *f, *v;
    size_t i;
    if (!name || strcmp(name, wanted_name) != 0) {
        err_set(why, ERR_FAILED, "expected a call of %s, found %s", wanted_name, name ? name : "?");
        return false;
    }
    json_array_foreach((json_t *)functions, i, f)
    {
        if (strcmp(text_of(f, "name"), name) != 0) continue;
        const json_t *parameters = json_object_get(f, "parameters");
        declared = json_object_get(parameters, "properties");
        required = json_object_get(parameters, "required");
    }
    json_array_foreach((json_t *)required, i, v)
    {
        key = json_string_value(v);
        if (key && !json_object_get(args, key))
            return wrong(why, name, "argument `%s` is required", key, NULL);
    }
    json_object_foreach((json_t *)args, key, v)
    {
        const json_t *alternatives = json_object_get(truth, key);
        if (!json_object_get(declared, key) || !alternatives)
            return wrong(why, name, "argument `%s` is not expected", key, v);
        if (!among(v, alternatives))
            return wrong(why, name, "argument `%s` is not among the right values", key, v);
    }
    json_object_foreach(
        (json_t *)truth, key,
        v) if (!json_object_get(args, key) &&
               !may_be_missing(v)) return wrong(why, name, "argument `%s` is missing", key, NULL);
    return true;
}

struct pairing { // calls and those wanted, matched so that every one wanted has its own
    const json_t *functions, *calls, *truth;
    size_t n, owner[CALLS_MAX]; // owner[call]: 1 + the wanted one it serves; 0: free
    bool tried[CALLS_MAX];
};

static bool place(struct pairing *p, size_t wanted, err *why)
{
    for (size_t i = 0; i < p->n; i++) {
        if (p->tried[i] || !call_is(p->functions, json_array_get(p->calls, i),
                                    json_array_get(p->truth, wanted), why))
            continue;
        p->tried[i] = true;
        if (p->owner[i] && !place(p, p->owner[i] - 1, why)) continue;
        p->owner[i] = wanted + 1;
        return true;
    }
    return false;
}

bool bfcl_check(const json_t *entry, const json_t *calls, err *why)
{
    const json_t *truth = json_object_get(entry, "truth");
    size_t n = json_array_size(calls), n_wanted = json_array_size(truth);
    *why = (err){0};
    if (!truth) {
        bool relevant = json_is_true(json_object_get(entry, "relevant"));
        if ((n > 0) == relevant) return true;
        if (relevant)
            err_set(why, ERR_FAILED, "expected a call");
        else
            err_set(why, ERR_FAILED, "expected no call, found %zu", n);
        return false;
    }
    if (n != n_wanted) {
        err_set(why, ERR_FAILED, "expected %zu call%s, found %zu", n_wanted,
                n_wanted == 1 ? "" : "s", n);
        return false;
    }
    struct pairing p = {
        .functions = json_object_get(entry, "function"), .calls = calls, .truth = truth, .n = n};
    for (size_t i = 0; i < n_wanted; i++) {
        memset(p.tried, 0, sizeof p.tried);
        if (!place(&p, i, why)) return false;
    }
    return true;
}

// ---- asking ----

struct answer {
    buf text;
    int n_prompt, n_token;
};

static int generate(struct app *app, const grammar *g, const struct agent_options *o,
                    struct answer *out, err *e)
{
    const grammar_vocab *v = engine_vocab(app->en);
    uint64_t *mask = mem_new(((size_t)v->n_token + 63) / 64 * sizeof *mask);
    int room = session_ctx_max(app->session) - out->n_prompt;
    int budget = o->limits.tokens < room ? o->limits.tokens : room;
    int64_t deadline_us = clock_us() + (int64_t)o->limits.seconds * 1000000;
    grammar_state *state = grammar_start(g);
    int rc = -1;
    for (;; budget--) {
        if (app_cancel) {
            err_set(e, ERR_CANCELLED, "cancelled");
            break;
        }
        if (clock_us() > deadline_us || budget <= 0 || grammar_mask(state, budget, mask) == 0) {
            err_set(e, ERR_BUDGET, "the budget of tokens or seconds is used up");
            break;
        }
        int32_t token = session_sample(app->session, &o->sample, mask);
        if (!grammar_accept(state, token)) {
            err_set(e, ERR_FAILED, "the grammar refused token %d that its own mask allowed",
                    (int)token);
            break;
        }
        out->n_token++;
        if (token == v->end) {
            rc = 0;
            break;
        }
        buf_put(&out->text, v->bytes[token], v->len[token]);
        if (session_step(app->session, token, e)) break;
    }
    grammar_state_free(state);
    free(mask);
    return rc;
}

static grammar *grammar_of(struct app *app, const json_t *functions, enum tool_choice choice,
                           err *e)
{
    size_t n = json_array_size(functions);
    struct grammar_tool *tools = mem_new(n * sizeof *tools);
    for (size_t i = 0; i < n; i++) {
        const json_t *f = json_array_get(functions, i);
        tools[i] = (struct grammar_tool){text_of(f, "name"), json_object_get(f, "parameters")};
    }
    struct grammar_tools_options o = {.tools = tools,
                                      .n_tool = n,
                                      .choice = choice,
                                      .parallel = true,
                                      .json = {.spacing = SPACING_PYTHON, .closed = true}};
    chat_reasoning(app->chat, engine_tokenizer(app->en), &o.think_begin, &o.think_end);
    grammar *g = chat_call_format(app->chat, &o, e)
                     ? NULL
                     : grammar_from_tools(engine_vocab(app->en), &o, e);
    free(tools);
    return g;
}

static int ask(struct app *app, const json_t *entry, const grammar *g,
               const struct agent_options *o, struct answer *out, err *e)
{
    json_t *shown = json_array(), *f;
    size_t i;
    json_array_foreach(json_object_get(entry, "function"), i, f)
        json_array_append_new(shown, json_pack("{s:s, s:O}", "type", "function", "function", f));
    token_buf prompt = {0};
    int rc = chat_render(app->chat, engine_tokenizer(app->en), json_object_get(entry, "question"),
                         shown, true, &prompt, NULL, e);
    json_decref(shown);
    out->n_prompt = (int)prompt.n;
    if (rc == 0 && (int64_t)prompt.n >= session_ctx_max(app->session))
        rc = err_set(e, ERR_BUDGET, "the prompt is %zu tokens long and the context holds %d",
                     prompt.n, session_ctx_max(app->session));
    session_seed(app->session, o->sample.seed);
    if (rc == 0) rc = session_sync(app->session, prompt.ids, prompt.n, NULL, &app_cancel, e);
    if (rc == 0) rc = generate(app, g, o, out, e);
    token_buf_free(&prompt);
    return rc;
}

json_t *bfcl_run(struct app *app, const struct eval_task *task, enum tool_choice choice)
{
    int64_t start = clock_us();
    err e = {0};
    struct agent_options o = {0};
    struct answer out = {.text = buf_new(TEXT_BYTES_MAX)};
    char *content = NULL;
    json_t *calls = NULL;
    bool right = false;
    int rc = app_take_limits(&o, NULL, app->command, &e);
    grammar *g =
        rc == 0 ? grammar_of(app, json_object_get(task->bfcl, "function"), choice, &e) : NULL;
    session_free(app->session);
    app->session = g ? session_new(app->en, &e) : NULL;
    rc = app->session ? ask(app, task->bfcl, g, &o, &out, &e) : -1;
    if (rc == 0) {
        size_t from = chat_answer(app->chat, buf_text(&out.text), out.text.n);
        rc = chat_parse(app->chat, buf_text(&out.text) + from, out.text.n - from, &content, &calls,
                        &e);
    }
    if (rc == 0) right = bfcl_check(task->bfcl, calls, &e);
    const char *status = rc == 0                   ? right ? "passed" : "failed"
                         : e.code == ERR_CANCELLED ? "cancelled"
                                                   : "error";
    json_t *result = eval_result(status, right ? "" : e.msg);
    json_object_set_new(result, "steps", json_integer(1));
    json_object_set_new(result, "calls", json_integer((json_int_t)json_array_size(calls)));
    json_object_set_new(result, "tokens_in", json_integer(out.n_prompt));
    json_object_set_new(result, "tokens_out", json_integer(out.n_token));
    json_object_set_new(result, "answer", json_stringn(buf_text(&out.text), out.text.n));
    json_object_set_new(result, "seconds", json_real((double)(clock_us() - start) / 1e6));
    buf_free(&out.text);
    free(content);
    json_decref(calls);
    grammar_free(g);
    return result;
}
