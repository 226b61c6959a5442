// A JSON Schema validator that shares no code with the grammar compiler: the two check each other,
// and every tool call passes through this one before it runs. Draft 2020-12 with the older names
// that schemas in the wild still use (dependencies, lists of items, boolean exclusiveMinimum).
// `format` is an annotation, as the specification has it by default.
//
// Two kinds of failure: the document does not satisfy the schema (ERR_FAILED, with words that help
// a small model to repair its call), or the schema says something that is not checked here
// (ERR_INPUT): never taken for true.
#define PCRE2_CODE_UNIT_WIDTH 8
#include "base/buf.h"
#include "base/mem.h"
#include "engine/grammar.h"

#include <math.h>
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 300
#define STEPS_MAX 20000000u

enum verdict { VALID, INVALID, REFUSED };

struct checker {
    const json_t *root;
    buf path; // of the place in the document
    unsigned steps;
    int depth;
    bool nested_id;
    err *e;
    size_t e_depth; // length of the path that *e is about
};

typedef enum verdict check(struct checker *c, const json_t *schema, const json_t *rule,
                           const json_t *doc);

static enum verdict validate(struct checker *c, const json_t *schema, const json_t *doc);

// ---- messages ----

static const char *kind_of(const json_t *v)
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

static enum verdict invalid(struct checker *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static enum verdict invalid(struct checker *c, const char *fmt, ...)
{
    char text[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    c->e_depth = c->path.n;
    err_set(c->e, ERR_FAILED, "%.300s: %s", c->path.n ? buf_text(&c->path) : "the value", text);
    return INVALID;
}

static enum verdict refused(struct checker *c, const char *keyword, const char *why)
{
    err_set(c->e, ERR_INPUT, "schema: %s: %s", keyword, why);
    return REFUSED;
}

static size_t enter(struct checker *c, const char *name)
{
    size_t before = c->path.n;
    buf_byte(&c->path, '/');
    for (; *name; name++) {
        if (*name == '~' || *name == '/')
            buf_str(&c->path, *name == '~' ? "~0" : "~1");
        else
            buf_byte(&c->path, *name);
    }
    return before;
}

static size_t enter_index(struct checker *c, size_t i)
{
    char text[24];
    snprintf(text, sizeof text, "%zu", i);
    return enter(c, text);
}

static void leave(struct checker *c, size_t before)
{
    c->path.n = before;
    c->path.full = false;
    if (c->path.p) c->path.p[before] = 0;
}

static void put_short(buf *b, const json_t *v)
{
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
    buf_printf(b, "%.60s%s", text ? text : "?", text && strlen(text) > 60 ? "..." : "");
    free(text);
}

// ---- equality ----

static int order_numbers(const json_t *a, const json_t *b)
{
    if (json_is_integer(a) && json_is_integer(b)) {
        json_int_t x = json_integer_value(a), y = json_integer_value(b);
        return (x > y) - (x < y);
    }
    if (json_is_real(a) && json_is_real(b)) {
        double x = json_real_value(a), y = json_real_value(b);
        return (x > y) - (x < y);
    }
    if (json_is_real(a)) return -order_numbers(b, a);
    double f = json_real_value(b), whole = floor(f);
    if (f >= 9223372036854775808.0) return -1;
    if (f < -9223372036854775808.0) return 1;
    json_int_t i = json_integer_value(a), w = (json_int_t)whole;
    return i != w ? (i > w) - (i < w) : f > whole ? -1 : 0;
}

static bool same(struct checker *c, const json_t *a, const json_t *b)
{
    c->steps++;
    if (json_is_number(a) && json_is_number(b)) return order_numbers(a, b) == 0;
    if (json_typeof(a) != json_typeof(b)) return false;
    if (json_is_array(a)) {
        bool equal = json_array_size(a) == json_array_size(b);
        for (size_t i = 0; equal && i < json_array_size(a); i++)
            equal = same(c, json_array_get(a, i), json_array_get(b, i));
        return equal;
    }
    if (json_is_object(a)) {
        const char *key;
        json_t *value;
        if (json_object_size(a) != json_object_size(b)) return false;
        json_object_foreach((json_t *)a, key, value)
        {
            const json_t *other = json_object_get(b, key);
            if (!other || !same(c, value, other)) return false;
        }
        return true;
    }
    return json_equal(a, b);
}

// ---- any type ----

static bool is_type(const json_t *doc, const char *type)
{
    if (strcmp(type, "number") == 0) return json_is_number(doc);
    if (strcmp(type, "integer") == 0)
        return json_is_integer(doc) ||
               (json_is_real(doc) && json_real_value(doc) == floor(json_real_value(doc)));
    return strcmp(type, kind_of(doc)) == 0;
}

static enum verdict check_type(struct checker *c, const json_t *schema, const json_t *rule,
                               const json_t *doc)
{
    (void)schema;
    buf names = buf_new(200);
    size_t n = json_is_array(rule) ? json_array_size(rule) : 1;
    bool fits = false;
    for (size_t i = 0; i < n; i++) {
        const json_t *name = json_is_array(rule) ? json_array_get(rule, i) : rule;
        if (!json_is_string(name)) {
            buf_free(&names);
            return refused(c, "type", "expected a name or a list of names");
        }
        fits = fits || is_type(doc, json_string_value(name));
        buf_printf(&names, "%s%s", i ? " or " : "", json_string_value(name));
    }
    enum verdict v =
        fits ? VALID : invalid(c, "expected %s, found %s", buf_text(&names), kind_of(doc));
    buf_free(&names);
    return v;
}

static enum verdict check_enum(struct checker *c, const json_t *schema, const json_t *rule,
                               const json_t *doc)
{
    (void)schema;
    size_t i;
    json_t *v;
    if (!json_is_array(rule)) return refused(c, "enum", "expected a list");
    json_array_foreach(rule, i, v) if (same(c, v, doc)) return VALID;
    buf b = buf_new(400);
    json_array_foreach(rule, i, v)
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

static enum verdict check_const(struct checker *c, const json_t *schema, const json_t *rule,
                                const json_t *doc)
{
    (void)schema;
    if (same(c, rule, doc)) return VALID;
    buf b = buf_new(200);
    put_short(&b, rule);
    enum verdict result = invalid(c, "expected %s", buf_text(&b));
    buf_free(&b);
    return result;
}

// ---- branches ----

static enum verdict check_all_of(struct checker *c, const json_t *schema, const json_t *rule,
                                 const json_t *doc)
{
    (void)schema;
    enum verdict v = VALID;
    for (size_t i = 0; v == VALID && i < json_array_size(rule); i++)
        v = validate(c, json_array_get(rule, i), doc);
    return v;
}

// Counts the branches that hold; the message kept is of the branch that got furthest.
static enum verdict count_branches(struct checker *c, const json_t *rule, const json_t *doc,
                                   size_t *n)
{
    err best = {0};
    size_t best_depth = 0;
    *n = 0;
    for (size_t i = 0; i < json_array_size(rule); i++) {
        c->e_depth = c->path.n;
        enum verdict v = validate(c, json_array_get(rule, i), doc);
        if (v == REFUSED) return REFUSED;
        *n += v == VALID;
        if (v == INVALID && (best.code == ERR_NONE || c->e_depth > best_depth)) {
            best = *c->e;
            best_depth = c->e_depth;
        }
    }
    if (*n == 0 && best.code != ERR_NONE) {
        *c->e = best;
        c->e_depth = best_depth;
    }
    return VALID;
}

static enum verdict check_any_of(struct checker *c, const json_t *schema, const json_t *rule,
                                 const json_t *doc)
{
    (void)schema;
    size_t n;
    if (count_branches(c, rule, doc, &n) == REFUSED) return REFUSED;
    if (n > 0) return VALID;
    return json_array_size(rule) ? INVALID : refused(c, "anyOf", "expected schemas");
}

static enum verdict check_one_of(struct checker *c, const json_t *schema, const json_t *rule,
                                 const json_t *doc)
{
    (void)schema;
    size_t n;
    if (count_branches(c, rule, doc, &n) == REFUSED) return REFUSED;
    if (n == 1) return VALID;
    return n == 0 ? INVALID
                  : invalid(c, "fits %zu of the alternatives; it must fit exactly one", n);
}

static enum verdict check_not(struct checker *c, const json_t *schema, const json_t *rule,
                              const json_t *doc)
{
    (void)schema;
    enum verdict v = validate(c, rule, doc);
    if (v == REFUSED) return REFUSED;
    return v == INVALID ? VALID : invalid(c, "is what must not be");
}

static enum verdict check_if(struct checker *c, const json_t *schema, const json_t *rule,
                             const json_t *doc)
{
    enum verdict v = validate(c, rule, doc);
    if (v == REFUSED) return REFUSED;
    const json_t *next = json_object_get(schema, v == VALID ? "then" : "else");
    return next ? validate(c, next, doc) : VALID;
}

static const json_t *follow(const json_t *root, const char *pointer)
{
    const json_t *at = root;
    char name[512];
    while (at && *pointer == '/') {
        size_t n = 0;
        for (pointer++; *pointer && *pointer != '/' && n + 1 < sizeof name; pointer++) {
            unsigned hex;
            if (*pointer == '%' && sscanf(pointer + 1, "%2x", &hex) == 1 && pointer[2]) {
                name[n++] = (char)hex;
                pointer += 2;
            } else {
                name[n++] = *pointer;
            }
        }
        name[n] = 0;
        char *w = name;
        for (const char *p = name; *p; p++)
            *w++ = *p == '~' && (p[1] == '0' || p[1] == '1') ? (*++p == '0' ? '~' : '/') : *p;
        *w = 0;
        char *end;
        unsigned long i = strtoul(name, &end, 10);
        at = json_is_array(at) ? (*name && !*end ? json_array_get(at, i) : NULL)
                               : json_object_get(at, name);
    }
    return *pointer ? NULL : at;
}

static enum verdict check_ref(struct checker *c, const json_t *schema, const json_t *rule,
                              const json_t *doc)
{
    (void)schema;
    const char *ref = json_string_value(rule);
    if (!ref || ref[0] != '#' || (ref[1] && ref[1] != '/') || c->nested_id)
        return refused(c, "$ref",
                       "only references within the schema (#, #/$defs/...) are followed");
    const json_t *target = follow(c->root, ref + 1);
    return target ? validate(c, target, doc) : refused(c, ref, "there is nothing at this place");
}

static enum verdict refuse_keyword(struct checker *c, const json_t *schema, const json_t *rule,
                                   const json_t *doc)
{
    (void)schema;
    (void)rule;
    (void)doc;
    return refused(c, "unevaluated* and dynamic references", "not checked here");
}

// ---- numbers ----

static enum verdict check_bound(struct checker *c, const json_t *rule, const json_t *doc, int sign,
                                bool exclusive)
{
    if (!json_is_number(doc) || json_is_boolean(rule)) return VALID;
    if (!json_is_number(rule)) return refused(c, "minimum or maximum", "expected a number");
    int o = order_numbers(doc, rule) * sign;
    if (o > 0 || (o == 0 && !exclusive)) return VALID;
    buf b = buf_new(200);
    put_short(&b, rule);
    enum verdict v = invalid(c, "must be %s %s",
                             exclusive ? (sign > 0 ? "greater than" : "less than")
                                       : (sign > 0 ? "at least" : "at most"),
                             buf_text(&b));
    buf_free(&b);
    return v;
}

static enum verdict check_minimum(struct checker *c, const json_t *schema, const json_t *rule,
                                  const json_t *doc)
{
    return check_bound(c, rule, doc, 1, json_is_true(json_object_get(schema, "exclusiveMinimum")));
}

static enum verdict check_maximum(struct checker *c, const json_t *schema, const json_t *rule,
                                  const json_t *doc)
{
    return check_bound(c, rule, doc, -1, json_is_true(json_object_get(schema, "exclusiveMaximum")));
}

static enum verdict check_above(struct checker *c, const json_t *schema, const json_t *rule,
                                const json_t *doc)
{
    (void)schema;
    return check_bound(c, rule, doc, 1, true);
}

static enum verdict check_below(struct checker *c, const json_t *schema, const json_t *rule,
                                const json_t *doc)
{
    (void)schema;
    return check_bound(c, rule, doc, -1, true);
}

// A number as mantissa times a power of ten; a real number is the shortest decimal that reads back
// as it, so that 0.3 is a multiple of 0.1.
struct decimal {
    int64_t mantissa;
    int exponent;
};

static struct decimal decimal_of(const json_t *v)
{
    struct decimal d = {0};
    char text[40];
    if (json_is_integer(v)) return (struct decimal){json_integer_value(v), 0};
    for (int precision = 0; precision < 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, json_real_value(v));
        if (strtod(text, NULL) == json_real_value(v)) break;
    }
    const char *e = strchr(text, 'e'), *point = memchr(text, '.', (size_t)(e - text));
    for (const char *p = text; p < e; p++)
        if (*p >= '0' && *p <= '9') d.mantissa = d.mantissa * 10 + (*p - '0');
    if (text[0] == '-') d.mantissa = -d.mantissa;
    d.exponent = atoi(e + 1) - (point ? (int)(e - point) - 1 : 0);
    return d;
}

// The size of 10 * a modulo m, by additions that cannot overflow.
static int64_t times_ten(int64_t a, int64_t m)
{
    uint64_t x = a < 0 ? 0 - (uint64_t)a : (uint64_t)a, mod = m < 0 ? 0 - (uint64_t)m : (uint64_t)m,
             sum = 0;
    for (int i = 0; i < 10; i++) sum = (sum + x) % mod; // both are below 2^63
    return (int64_t)sum;
}

static bool is_multiple(struct decimal v, struct decimal of)
{
    for (; of.exponent > v.exponent; of.exponent--)
        if (__builtin_mul_overflow(of.mantissa, 10, &of.mantissa)) return v.mantissa == 0;
    int64_t rest = v.mantissa % of.mantissa;
    for (; v.exponent > of.exponent && rest != 0; v.exponent--) rest = times_ten(rest, of.mantissa);
    return rest == 0;
}

static enum verdict check_multiple(struct checker *c, const json_t *schema, const json_t *rule,
                                   const json_t *doc)
{
    (void)schema;
    if (!json_is_number(doc)) return VALID;
    if (!json_is_number(rule) || json_number_value(rule) <= 0)
        return refused(c, "multipleOf", "expected a number above 0");
    if (is_multiple(decimal_of(doc), decimal_of(rule))) return VALID;
    buf b = buf_new(200);
    put_short(&b, rule);
    enum verdict v = invalid(c, "must be a multiple of %s", buf_text(&b));
    buf_free(&b);
    return v;
}

// ---- counts ----

static enum verdict check_count(struct checker *c, const json_t *rule, size_t n, bool min,
                                const char *what)
{
    if (!json_is_number(rule) || json_number_value(rule) < 0)
        return refused(c, what, "expected a count");
    double limit = json_number_value(rule);
    if (min ? (double)n >= limit : (double)n <= limit) return VALID;
    return invalid(c, "must have at %s %.0f %s, has %zu", min ? "least" : "most", limit, what, n);
}

static size_t points(const char *s)
{
    size_t n = 0;
    for (; *s; s++) n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

#define COUNT(name_, is_, size_, min_, what_)                                                      \
    static enum verdict name_(struct checker *c, const json_t *schema, const json_t *rule,         \
                              const json_t *doc)                                                   \
    {                                                                                              \
        (void)schema;                                                                              \
        return is_(doc) ? check_count(c, rule, size_, min_, what_) : VALID;                        \
    }
COUNT(check_min_length, json_is_string, points(json_string_value(doc)), true, "characters")
COUNT(check_max_length, json_is_string, points(json_string_value(doc)), false, "characters")
COUNT(check_min_items, json_is_array, json_array_size(doc), true, "items")
COUNT(check_max_items, json_is_array, json_array_size(doc), false, "items")
COUNT(check_min_properties, json_is_object, json_object_size(doc), true, "properties")
COUNT(check_max_properties, json_is_object, json_object_size(doc), false, "properties")

// ---- strings ----

// 1: matches, 0: does not, -1: the pattern is refused.
static int matches(struct checker *c, const char *pattern, const char *text)
{
    int code;
    PCRE2_SIZE at;
    char why[160];
    pcre2_code *re =
        pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                      PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_BSUX | PCRE2_MATCH_UNSET_BACKREF,
                      &code, &at, NULL);
    if (!re) {
        pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof why);
        refused(c, pattern, why);
        return -1;
    }
    pcre2_match_context *limits = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(limits, 1000000);
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    int rc = pcre2_match(re, (PCRE2_SPTR)text, strlen(text), 0, 0, data, limits);
    pcre2_match_data_free(data);
    pcre2_match_context_free(limits);
    pcre2_code_free(re);
    if (rc < 0 && rc != PCRE2_ERROR_NOMATCH) {
        refused(c, pattern, "the pattern takes too long to match");
        return -1;
    }
    return rc >= 0;
}

static enum verdict check_pattern(struct checker *c, const json_t *schema, const json_t *rule,
                                  const json_t *doc)
{
    (void)schema;
    if (!json_is_string(doc)) return VALID;
    if (!json_is_string(rule)) return refused(c, "pattern", "expected a string");
    int m = matches(c, json_string_value(rule), json_string_value(doc));
    if (m < 0) return REFUSED;
    return m ? VALID : invalid(c, "must match the pattern %.200s", json_string_value(rule));
}

// ---- arrays ----

static enum verdict check_elements(struct checker *c, const json_t *rule, const json_t *doc,
                                   size_t from)
{
    enum verdict v = VALID;
    for (size_t i = from; v == VALID && i < json_array_size(doc); i++) {
        size_t before = enter_index(c, i);
        v = validate(c, rule, json_array_get(doc, i));
        leave(c, before);
    }
    return v;
}

static enum verdict check_prefix(struct checker *c, const json_t *schema, const json_t *rule,
                                 const json_t *doc)
{
    (void)schema;
    enum verdict v = VALID;
    for (size_t i = 0; v == VALID && i < json_array_size(rule) && i < json_array_size(doc); i++) {
        size_t before = enter_index(c, i);
        v = validate(c, json_array_get(rule, i), json_array_get(doc, i));
        leave(c, before);
    }
    return v;
}

static enum verdict check_items(struct checker *c, const json_t *schema, const json_t *rule,
                                const json_t *doc)
{
    if (!json_is_array(doc)) return VALID;
    if (json_is_array(rule)) return check_prefix(c, schema, rule, doc);
    return check_elements(c, rule, doc, json_array_size(json_object_get(schema, "prefixItems")));
}

static enum verdict check_additional_items(struct checker *c, const json_t *schema,
                                           const json_t *rule, const json_t *doc)
{
    const json_t *items = json_object_get(schema, "items");
    if (!json_is_array(doc) || !json_is_array(items)) return VALID;
    return check_elements(c, rule, doc, json_array_size(items));
}

static enum verdict check_unique(struct checker *c, const json_t *schema, const json_t *rule,
                                 const json_t *doc)
{
    (void)schema;
    for (size_t i = 0; json_is_true(rule) && i < json_array_size(doc); i++)
        for (size_t k = 0; k < i; k++) {
            if (c->steps > STEPS_MAX) return refused(c, "uniqueItems", "too many items to compare");
            if (same(c, json_array_get(doc, i), json_array_get(doc, k)))
                return invalid(c, "items %zu and %zu are equal; all must differ", k, i);
        }
    return VALID;
}

static enum verdict check_contains(struct checker *c, const json_t *schema, const json_t *rule,
                                   const json_t *doc)
{
    size_t n = 0;
    if (!json_is_array(doc)) return VALID;
    for (size_t i = 0; i < json_array_size(doc); i++) {
        enum verdict v = validate(c, rule, json_array_get(doc, i));
        if (v == REFUSED) return REFUSED;
        n += v == VALID;
    }
    const json_t *min = json_object_get(schema, "minContains"),
                 *max = json_object_get(schema, "maxContains");
    double least = min ? json_number_value(min) : 1;
    if ((double)n < least)
        return invalid(c, "has %zu of the items it must contain, needs %.0f", n, least);
    if (max && (double)n > json_number_value(max))
        return invalid(c, "has %zu items of a kind, at most %.0f may be", n,
                       json_number_value(max));
    return VALID;
}

// ---- objects ----

static enum verdict check_properties(struct checker *c, const json_t *schema, const json_t *rule,
                                     const json_t *doc)
{
    (void)schema;
    const char *key;
    json_t *sub;
    if (!json_is_object(doc)) return VALID;
    json_object_foreach((json_t *)rule, key, sub)
    {
        const json_t *value = json_object_get(doc, key);
        if (!value) continue;
        size_t before = enter(c, key);
        enum verdict v = validate(c, sub, value);
        leave(c, before);
        if (v != VALID) return v;
    }
    return VALID;
}

static enum verdict check_required(struct checker *c, const json_t *schema, const json_t *rule,
                                   const json_t *doc)
{
    (void)schema;
    size_t i;
    json_t *name;
    if (!json_is_object(doc)) return VALID;
    json_array_foreach(rule, i, name)
    {
        if (!json_is_string(name)) return refused(c, "required", "expected names");
        if (json_object_get(doc, json_string_value(name))) continue;
        size_t before = enter(c, json_string_value(name));
        enum verdict v = invalid(c, "missing");
        leave(c, before);
        return v;
    }
    return VALID;
}

// Is the key named by properties, or matched by a patternProperties? 1, 0; -1: refused.
static int is_declared(struct checker *c, const json_t *schema, const char *key)
{
    if (json_object_get(json_object_get(schema, "properties"), key)) return 1;
    const char *pattern;
    json_t *unused;
    json_object_foreach(json_object_get(schema, "patternProperties"), pattern, unused)
    {
        int m = matches(c, pattern, key);
        if (m) return m;
    }
    return 0;
}

static enum verdict unknown_property(struct checker *c, const json_t *schema)
{
    buf b = buf_new(300);
    const char *key;
    json_t *unused;
    json_object_foreach(json_object_get(schema, "properties"), key, unused)
    {
        if (b.n > 200) {
            buf_str(&b, ", ...");
            break;
        }
        buf_printf(&b, "%s%.60s", b.n ? ", " : "", key);
    }
    enum verdict v = b.n ? invalid(c, "not a known property; known are %s", buf_text(&b))
                         : invalid(c, "no properties are allowed here");
    buf_free(&b);
    return v;
}

static enum verdict check_additional(struct checker *c, const json_t *schema, const json_t *rule,
                                     const json_t *doc)
{
    const char *key;
    json_t *value;
    if (!json_is_object(doc)) return VALID;
    json_object_foreach((json_t *)doc, key, value)
    {
        int declared = is_declared(c, schema, key);
        if (declared < 0) return REFUSED;
        if (declared) continue;
        size_t before = enter(c, key);
        enum verdict v =
            json_is_false(rule) ? unknown_property(c, schema) : validate(c, rule, value);
        leave(c, before);
        if (v != VALID) return v;
    }
    return VALID;
}

static enum verdict check_pattern_properties(struct checker *c, const json_t *schema,
                                             const json_t *rule, const json_t *doc)
{
    (void)schema;
    const char *key, *pattern;
    json_t *value, *sub;
    if (!json_is_object(doc)) return VALID;
    json_object_foreach((json_t *)rule, pattern, sub)
    {
        json_object_foreach((json_t *)doc, key, value)
        {
            int m = matches(c, pattern, key);
            if (m < 0) return REFUSED;
            if (!m) continue;
            size_t before = enter(c, key);
            enum verdict v = validate(c, sub, value);
            leave(c, before);
            if (v != VALID) return v;
        }
    }
    return VALID;
}

static enum verdict check_names(struct checker *c, const json_t *schema, const json_t *rule,
                                const json_t *doc)
{
    (void)schema;
    const char *key;
    json_t *unused;
    if (!json_is_object(doc)) return VALID;
    json_object_foreach((json_t *)doc, key, unused)
    {
        json_t *name = json_string(key);
        enum verdict v = validate(c, rule, name);
        json_decref(name);
        if (v != VALID) return v;
    }
    return VALID;
}

// dependencies, dependentRequired and dependentSchemas: a list of names or a schema for each key.
static enum verdict check_dependent(struct checker *c, const json_t *schema, const json_t *rule,
                                    const json_t *doc)
{
    const char *key;
    json_t *sub;
    if (!json_is_object(doc)) return VALID;
    json_object_foreach((json_t *)rule, key, sub)
    {
        if (!json_object_get(doc, key)) continue;
        enum verdict v =
            json_is_array(sub) ? check_required(c, schema, sub, doc) : validate(c, sub, doc);
        if (v != VALID) return v;
    }
    return VALID;
}

// ---- one schema ----

static const struct {
    const char *name;
    check *run;
} checks[] = {
    {"type", check_type},
    {"enum", check_enum},
    {"const", check_const},
    {"minimum", check_minimum},
    {"maximum", check_maximum},
    {"exclusiveMinimum", check_above},
    {"exclusiveMaximum", check_below},
    {"multipleOf", check_multiple},
    {"minLength", check_min_length},
    {"maxLength", check_max_length},
    {"pattern", check_pattern},
    {"minItems", check_min_items},
    {"maxItems", check_max_items},
    {"uniqueItems", check_unique},
    {"prefixItems", check_prefix},
    {"items", check_items},
    {"additionalItems", check_additional_items},
    {"contains", check_contains},
    {"minProperties", check_min_properties},
    {"maxProperties", check_max_properties},
    {"required", check_required},
    {"properties", check_properties},
    {"patternProperties", check_pattern_properties},
    {"additionalProperties", check_additional},
    {"propertyNames", check_names},
    {"dependencies", check_dependent},
    {"dependentRequired", check_dependent},
    {"dependentSchemas", check_dependent},
    {"$ref", check_ref},
    {"allOf", check_all_of},
    {"anyOf", check_any_of},
    {"oneOf", check_one_of},
    {"not", check_not},
    {"if", check_if},
    {"unevaluatedItems", refuse_keyword},
    {"unevaluatedProperties", refuse_keyword},
    {"$dynamicRef", refuse_keyword},
    {"$recursiveRef", refuse_keyword},
};

static enum verdict run_checks(struct checker *c, const json_t *schema, const json_t *doc)
{
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        const json_t *rule = json_object_get(schema, checks[i].name);
        enum verdict v = rule ? checks[i].run(c, schema, rule, doc) : VALID;
        if (v != VALID) return v;
    }
    return VALID;
}

static enum verdict validate(struct checker *c, const json_t *schema, const json_t *doc)
{
    if (json_is_true(schema)) return VALID;
    if (json_is_false(schema)) return invalid(c, "nothing is allowed here");
    if (!json_is_object(schema))
        return refused(c, "a subschema", "expected an object, true or false");
    if (++c->steps > STEPS_MAX) return refused(c, "the schema", "takes too many steps");
    if (++c->depth > DEPTH_MAX) {
        c->depth--;
        return refused(c, "the schema", "refers to itself without an end, or nests too deeply");
    }
    bool id_before = c->nested_id;
    const json_t *id = json_object_get(schema, "$id");
    if (schema != c->root && json_is_string(id) && json_string_value(id)[0] != '#')
        c->nested_id = true;
    enum verdict v = run_checks(c, schema, doc);
    c->nested_id = id_before;
    c->depth--;
    return v;
}

int schema_validate(const json_t *schema, const json_t *doc, err *e)
{
    struct checker c = {.root = schema, .path = buf_new(4096), .e = e};
    enum verdict v = validate(&c, schema, doc);
    buf_free(&c.path);
    return v == VALID ? 0 : -1;
}
