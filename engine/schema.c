// One schema object against one value. Its keywords are rows of a table; each row is a function
// that answers valid, invalid or refused. Keywords whose meaning depends on what the others
// evaluated come last, and every schema object starts with nothing evaluated, so that
// `unevaluated*` sees its own neighbours and what they applied, and nothing else.
//
// Two kinds of failure never mix: the document does not satisfy the schema, or the schema says
// something that cannot be checked. A refusal ends the whole check, also below `not` and `anyOf`.
#include "base/clock.h"
#include "base/mem.h"
#include "engine/schema_private.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX         1000
#define STEPS_MAX         2000000u // and so many more for each value in the document:
#define STEPS_PER_VALUE   500u
#define TIME_MAX_US       20000000 // whatever a step costs
#define POINTER_BYTES_MAX ((size_t)1 << 20)

// ---- messages ----

const char *json_kind(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT: return "object";
    case JSON_ARRAY: return "array";
    case JSON_STRING: return "string";
    case JSON_INTEGER: return "integer";
    case JSON_REAL: return "number";
    case JSON_NULL: return "null";
    default: return "boolean";
    }
}

static void fault(struct checker *c, enum err_code code, const char *fmt, va_list ap)
{
    c->f_depth = c->path.n;
    c->f->code = code;
    snprintf(c->f->instance, sizeof c->f->instance, "%s", buf_text(&c->path));
    snprintf(c->f->rule, sizeof c->f->rule, "%s", buf_text(&c->at));
    vsnprintf(c->f->text, sizeof c->f->text, fmt, ap);
}

enum verdict invalid(struct checker *c, const char *fmt, ...)
{
    va_list ap;
    if (c->quiet) return INVALID;
    va_start(ap, fmt);
    fault(c, ERR_FAILED, fmt, ap);
    va_end(ap);
    return INVALID;
}

enum verdict refused(struct checker *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fault(c, ERR_INPUT, fmt, ap);
    va_end(ap);
    return REFUSED;
}

bool spend(struct checker *c, unsigned steps)
{
    uint64_t before = c->steps / 4096;
    c->steps += steps;
    return c->steps <= c->steps_max && (c->steps / 4096 == before || clock_us() < c->end_us);
}

size_t path_enter(buf *path, const char *name)
{
    size_t before = path->n;
    buf_byte(path, '/');
    for (; *name; name++) {
        if (*name == '~' || *name == '/')
            buf_str(path, *name == '~' ? "~0" : "~1");
        else
            buf_byte(path, *name);
    }
    return before;
}

size_t path_enter_index(buf *path, size_t i)
{
    char text[24];
    snprintf(text, sizeof text, "%zu", i);
    return path_enter(path, text);
}

void path_leave(buf *path, size_t before)
{
    path->n = before;
    path->full = false;
    if (path->p) path->p[before] = 0;
}

void put_short(buf *b, const json_t *v)
{
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
    buf_printf(b, "%.60s%s", text ? text : "?", text && strlen(text) > 60 ? "..." : "");
    free(text);
}

// ---- what was evaluated ----

struct seen seen_new(const json_t *doc)
{
    size_t n = json_is_object(doc) ? json_object_size(doc) : json_array_size(doc);
    return (struct seen){.member = mem_new(n + 1), .n = n};
}

void seen_free(struct seen *s)
{
    free(s->member);
}

void seen_merge(struct seen *to, const struct seen *from)
{
    for (size_t i = 0; i < to->n; i++) to->member[i] = to->member[i] || from->member[i];
}

void seen_mark_item(struct seen *s, size_t i)
{
    if (s && i < s->n) s->member[i] = true;
}

// ---- any type ----

static bool is_type(const struct checker *c, const json_t *doc, const char *type)
{
    if (strcmp(type, "number") == 0) return json_is_number(doc);
    if (strcmp(type, "integer") == 0)
        return json_is_integer(doc) || (json_is_real(doc) && c->draft != DRAFT_4 &&
                                        json_real_value(doc) == floor(json_real_value(doc)));
    return strcmp(type, json_kind(doc)) == 0;
}

static bool is_type_name(const char *name)
{
    static const char *const names[] = {"string", "object",  "array", "integer",
                                        "number", "boolean", "null"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0) return true;
    return false;
}

static enum verdict check_type(struct checker *c, const struct rule *r, const json_t *doc)
{
    size_t n = json_is_array(r->value) ? json_array_size(r->value) : 1;
    bool fits = false;
    buf names = buf_new(200);
    for (size_t i = 0; i < n; i++) {
        const json_t *name = json_is_array(r->value) ? json_array_get(r->value, i) : r->value;
        const char *type = json_is_string(name) ? json_string_value(name) : "";
        if (!is_type_name(type)) {
            buf_free(&names);
            return refused(c, "expected the name of a type or a list of them, found %.60s",
                           json_is_string(name) ? type : json_kind(name));
        }
        fits = fits || is_type(c, doc, type);
        buf_printf(&names, "%s%s", i ? " or " : "", type);
    }
    enum verdict v =
        fits ? VALID : invalid(c, "expected %s, found %s", buf_text(&names), json_kind(doc));
    buf_free(&names);
    return v;
}

static enum verdict not_in_list(struct checker *c, const json_t *list, const json_t *doc)
{
    size_t i;
    json_t *v;
    if (c->quiet) return INVALID;
    buf b = buf_new(400);
    json_array_foreach(list, i, v)
    {
        if (b.n > 250) {
            buf_str(&b, ", ...");
            break;
        }
        if (i) buf_str(&b, ", ");
        put_short(&b, v);
    }
    buf_str(&b, "; found ");
    put_short(&b, doc);
    enum verdict result = invalid(c, "expected one of %s", buf_text(&b));
    buf_free(&b);
    return result;
}

static enum verdict check_enum(struct checker *c, const struct rule *r, const json_t *doc)
{
    size_t i;
    json_t *v;
    if (!json_is_array(r->value))
        return refused(c, "expected a list, found %s", json_kind(r->value));
    json_array_foreach(r->value, i, v)
    {
        if (same_value(c, v, doc)) return VALID;
    }
    return not_in_list(c, r->value, doc);
}

static enum verdict check_const(struct checker *c, const struct rule *r, const json_t *doc)
{
    if (same_value(c, r->value, doc)) return VALID;
    if (c->quiet) return INVALID;
    buf b = buf_new(200);
    put_short(&b, r->value);
    enum verdict result = invalid(c, "expected %s", buf_text(&b));
    buf_free(&b);
    return result;
}

// ---- counts ----

static enum verdict check_count(struct checker *c, const struct rule *r, size_t n, const char *what)
{
    double limit = json_number_value(r->value);
    bool min = r->keyword[1] == 'i'; // minX, maxX
    if (!json_is_number(r->value) || limit < 0 || limit != floor(limit))
        return refused(c, "expected a count");
    if (min ? (double)n >= limit : (double)n <= limit) return VALID;
    return invalid(c, "must have at %s %.0f %s, has %zu", min ? "least" : "most", limit, what, n);
}

static size_t code_points(const json_t *v)
{
    const char *s = json_string_value(v);
    size_t n = 0;
    for (size_t i = 0; i < json_string_length(v); i++) n += ((unsigned char)s[i] & 0xc0) != 0x80;
    return n;
}

static enum verdict check_length(struct checker *c, const struct rule *r, const json_t *doc)
{
    return json_is_string(doc) ? check_count(c, r, code_points(doc), "characters") : VALID;
}

static enum verdict check_item_count(struct checker *c, const struct rule *r, const json_t *doc)
{
    return json_is_array(doc) ? check_count(c, r, json_array_size(doc), "items") : VALID;
}

static enum verdict check_property_count(struct checker *c, const struct rule *r, const json_t *doc)
{
    return json_is_object(doc) ? check_count(c, r, json_object_size(doc), "properties") : VALID;
}

// ---- one schema ----

// A keyword exists from one draft on; the first table that knew it said what later ones kept.
static const struct {
    const char *name;
    enum draft since, until;
    check *run;
} checks[] = {
    {"type", DRAFT_4, DRAFT_ANY, check_type},
    {"enum", DRAFT_4, DRAFT_ANY, check_enum},
    {"const", DRAFT_6, DRAFT_ANY, check_const},
    {"minimum", DRAFT_4, DRAFT_ANY, check_minimum},
    {"maximum", DRAFT_4, DRAFT_ANY, check_maximum},
    {"exclusiveMinimum", DRAFT_4, DRAFT_ANY, check_above},
    {"exclusiveMaximum", DRAFT_4, DRAFT_ANY, check_below},
    {"multipleOf", DRAFT_4, DRAFT_ANY, check_multiple},
    {"minLength", DRAFT_4, DRAFT_ANY, check_length},
    {"maxLength", DRAFT_4, DRAFT_ANY, check_length},
    {"pattern", DRAFT_4, DRAFT_ANY, check_pattern},
    {"format", DRAFT_4, DRAFT_ANY, check_format},
    {"minItems", DRAFT_4, DRAFT_ANY, check_item_count},
    {"maxItems", DRAFT_4, DRAFT_ANY, check_item_count},
    {"uniqueItems", DRAFT_4, DRAFT_ANY, check_unique},
    {"prefixItems", DRAFT_2020, DRAFT_ANY, check_prefix},
    {"items", DRAFT_4, DRAFT_ANY, check_items},
    {"additionalItems", DRAFT_4, DRAFT_ANY, check_additional_items},
    {"contains", DRAFT_6, DRAFT_ANY, check_contains},
    {"minProperties", DRAFT_4, DRAFT_ANY, check_property_count},
    {"maxProperties", DRAFT_4, DRAFT_ANY, check_property_count},
    {"required", DRAFT_4, DRAFT_ANY, check_required},
    {"properties", DRAFT_4, DRAFT_ANY, check_properties},
    {"patternProperties", DRAFT_4, DRAFT_ANY, check_pattern_properties},
    {"additionalProperties", DRAFT_4, DRAFT_ANY, check_additional},
    {"propertyNames", DRAFT_6, DRAFT_ANY, check_names},
    {"dependencies", DRAFT_4, DRAFT_ANY, check_dependencies},
    {"dependentRequired", DRAFT_2019, DRAFT_ANY, check_dependencies},
    {"dependentSchemas", DRAFT_2019, DRAFT_ANY, check_dependencies},
    {"$ref", DRAFT_4, DRAFT_ANY, check_ref},
    {"$recursiveRef", DRAFT_2019, DRAFT_2019, check_recursive_ref},
    {"$dynamicRef", DRAFT_2020, DRAFT_ANY, check_dynamic_ref},
    {"allOf", DRAFT_4, DRAFT_ANY, check_all_of},
    {"anyOf", DRAFT_4, DRAFT_ANY, check_any_of},
    {"oneOf", DRAFT_4, DRAFT_ANY, check_one_of},
    {"not", DRAFT_4, DRAFT_ANY, check_not},
    {"if", DRAFT_7, DRAFT_ANY, check_if},
    {"unevaluatedItems", DRAFT_2019, DRAFT_ANY, check_unevaluated_items},
    {"unevaluatedProperties", DRAFT_2019, DRAFT_ANY, check_unevaluated_properties},
};

static enum verdict run_check(struct checker *c, size_t i, const json_t *schema,
                              const json_t *value, const json_t *doc, struct seen *seen)
{
    struct rule r = {.schema = schema, .value = value, .keyword = checks[i].name, .seen = seen};
    size_t before = path_enter(&c->at, checks[i].name);
    enum verdict v = checks[i].run(c, &r, doc);
    path_leave(&c->at, before);
    return v;
}

static enum verdict run_checks(struct checker *c, const json_t *schema, const json_t *doc,
                               struct seen *seen)
{
    const json_t *ref = json_object_get(schema, "$ref");
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        const json_t *value = json_object_get(schema, checks[i].name);
        if (!value || c->draft < checks[i].since || c->draft > checks[i].until) continue;
        // Until draft 7 a reference stands for the whole schema: its neighbours are ignored.
        if (ref && c->draft <= DRAFT_7 && value != ref) continue;
        enum verdict v = run_check(c, i, schema, value, doc, seen);
        if (v != VALID) return v;
    }
    return VALID;
}

// Runs a schema object within its resource, which is entered where it begins here.
static enum verdict validate_object(struct checker *c, const json_t *schema, const json_t *doc,
                                    struct seen *seen)
{
    size_t resource = c->resource, n_scope = c->n_scope;
    enum draft draft = c->draft;
    if (json_object_get(schema, "$id") || json_object_get(schema, "id")) {
        size_t own = index_resource_at(&c->v->index, schema);
        if (own != SIZE_MAX) c->resource = own;
    }
    c->draft = c->v->index.resources[c->resource].draft;
    if (c->n_scope == 0 || c->scope[c->n_scope - 1] != c->resource)
        c->scope[c->n_scope++] = c->resource;
    enum verdict v = run_checks(c, schema, doc, seen);
    c->n_scope = n_scope;
    c->resource = resource;
    c->draft = draft;
    return v;
}

enum verdict validate(struct checker *c, const json_t *schema, const json_t *doc, struct seen *seen)
{
    if (json_is_true(schema)) return VALID;
    if (json_is_false(schema)) return invalid(c, "nothing is allowed here");
    if (!json_is_object(schema))
        return refused(c, "expected a schema: an object, true or false, found %s",
                       schema ? json_kind(schema) : "nothing");
    if (!spend(c, 1)) return refused(c, "the check takes too many steps");
    if (c->depth == DEPTH_MAX)
        return refused(c, "the schema refers to itself without an end, or nests too deeply");
    c->depth++;
    struct seen own, *tracked = NULL;
    if (c->v->index.tracks && (json_is_object(doc) || json_is_array(doc))) {
        own = seen_new(doc);
        tracked = &own;
    }
    enum verdict v = validate_object(c, schema, doc, tracked);
    if (tracked) {
        if (seen && v == VALID) seen_merge(seen, tracked);
        seen_free(tracked);
    }
    c->depth--;
    return v;
}

enum verdict validate_under(struct checker *c, const char *name, const json_t *schema,
                            const json_t *doc, struct seen *seen)
{
    size_t before = path_enter(&c->at, name);
    enum verdict v = validate(c, schema, doc, seen);
    path_leave(&c->at, before);
    return v;
}

enum verdict validate_nth(struct checker *c, size_t i, const json_t *schema, const json_t *doc,
                          struct seen *seen)
{
    size_t before = path_enter_index(&c->at, i);
    enum verdict v = validate(c, schema, doc, seen);
    path_leave(&c->at, before);
    return v;
}

enum verdict validate_item(struct checker *c, size_t i, const json_t *schema, const json_t *doc)
{
    size_t before = path_enter_index(&c->path, i);
    enum verdict v = validate(c, schema, doc, NULL);
    path_leave(&c->path, before);
    return v;
}

enum verdict validate_member(struct checker *c, const char *key, const json_t *schema,
                             const json_t *doc)
{
    size_t before = path_enter(&c->path, key);
    enum verdict v = validate(c, schema, doc, NULL);
    path_leave(&c->path, before);
    return v;
}

// ---- the whole ----

static uint64_t count_values(const json_t *v)
{
    uint64_t n = 1;
    const char *key;
    json_t *sub;
    size_t i;
    json_array_foreach(v, i, sub) n += count_values(sub);
    json_object_foreach((json_t *)v, key, sub)
    {
        n += count_values(sub);
    }
    return n;
}

validator *validator_open(const json_t *text, const struct schema_options *o, err *e)
{
    validator *s = mem_new(sizeof *s);
    *s = (validator){.index.e = e, .formats = !o || !o->formats_ignored};
    int rc = json_is_object(text) || json_is_boolean(text)
                 ? index_add(&s->index, text, "", "", DRAFT_ANY)
                 : err_set(e, ERR_INPUT, "schema: expected an object, true or false, found %s",
                           text ? json_kind(text) : "nothing");
    const char *uri;
    json_t *document;
    json_object_foreach(o ? (json_t *)o->documents : NULL, uri, document)
    {
        char *at = mem_printf("%s#", uri);
        if (rc == 0) rc = index_add(&s->index, document, uri, at, s->index.resources[0].draft);
        free(at);
    }
    s->index.e = NULL; // the caller's; not for later
    if (rc == 0) return s;
    validator_close(s);
    return NULL;
}

void validator_close(validator *s)
{
    if (!s) return;
    patterns_free(s);
    index_free(&s->index);
    free(s);
}

int validator_check(validator *s, const json_t *doc, struct schema_fault *f)
{
    struct checker c = {.v = s,
                        .draft = s->index.resources[0].draft,
                        .scope = mem_new((DEPTH_MAX + 1) * sizeof *c.scope),
                        .path = buf_new(POINTER_BYTES_MAX),
                        .at = buf_new(POINTER_BYTES_MAX),
                        .f = f,
                        .steps_max = STEPS_MAX + STEPS_PER_VALUE * count_values(doc),
                        .end_us = clock_us() + TIME_MAX_US};
    enum verdict v = validate(&c, s->index.resources[0].root, doc, NULL);
    free(c.scope);
    buf_free(&c.path);
    buf_free(&c.at);
    return v == VALID ? 0 : -1;
}

int schema_validate(const json_t *text, const json_t *doc, err *e)
{
    struct schema_fault f;
    validator *s = validator_open(text, NULL, e);
    if (!s) return -1;
    int rc = validator_check(s, doc, &f);
    validator_close(s);
    if (rc == 0) return 0;
    if (f.code == ERR_FAILED)
        return err_set(e, f.code, "%.300s: %s", *f.instance ? f.instance : "the value", f.text);
    return err_set(e, f.code, "schema: %.300s: %s", f.rule, f.text);
}

// ---- the survey ----

static bool is_asserted(const char *keyword)
{
    static const char *const helpers[] = {"then", "else", "minContains", "maxContains"};
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
        if (strcmp(checks[i].name, keyword) == 0) return true;
    for (size_t i = 0; i < sizeof helpers / sizeof helpers[0]; i++)
        if (strcmp(helpers[i], keyword) == 0) return true;
    return false;
}

static bool is_structure(const char *keyword)
{
    static const char *const names[] = {
        "$schema",          "$id",   "id",          "$anchor",    "$dynamicAnchor",
        "$recursiveAnchor", "$defs", "definitions", "$vocabulary"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], keyword) == 0) return true;
    return false;
}

// Are they the same but for capitals, and - and _ within?
static bool alike(const char *a, const char *b)
{
    for (;; a++, b++) {
        while (*a == '_' || *a == '-') a++;
        while (*b == '_' || *b == '-') b++;
        if (tolower((uint8_t)*a) != tolower((uint8_t)*b)) return false;
        if (!*a) return true;
    }
}

// Or but for one letter more, less or other?
static bool one_letter_apart(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b), i = 0;
    while (a[i] && a[i] == b[i]) i++;
    if (n == m) return n > 4 && strcmp(a + i + 1, b + i + 1) == 0;
    if (n > m) return n == m + 1 && m > 4 && strcmp(a + i + 1, b + i) == 0;
    return m == n + 1 && n > 4 && strcmp(a + i, b + i + 1) == 0;
}

const char *schema_keyword_meant(const char *name)
{
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
        if (strcmp(name, checks[i].name) == 0) return NULL;
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
        if (alike(name, checks[i].name) || one_letter_apart(name, checks[i].name))
            return checks[i].name;
    return NULL;
}

static void count_keyword(json_t *counts, const char *keyword)
{
    json_int_t n = json_integer_value(json_object_get(counts, keyword));
    json_object_set_new(counts, keyword, json_integer(n + 1));
}

static void survey_one(const json_t *schema, void *context)
{
    const char *key;
    json_t *value, *out = context;
    json_object_foreach((json_t *)schema, key, value)
    {
        const char *format = strcmp(key, "format") == 0 ? json_string_value(value) : NULL;
        if (is_structure(key)) continue;
        bool asserted = format ? schema_format_known(format) : is_asserted(key);
        char *name = format ? mem_printf("format %s", format) : mem_str(key);
        count_keyword(json_object_get(out, asserted ? "asserted" : "ignored"), name);
        free(name);
    }
}

json_t *schema_survey(const json_t *text)
{
    json_t *out = json_pack("{s:{}, s:{}}", "asserted", "ignored");
    index_each(text, survey_one, out);
    return out;
}
