#include "random_schema.h"

#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"a", "b", "ab", "abc", "é", "x\"y", "", "name", "a b"};
#define N_NAME (sizeof names / sizeof names[0])

static json_t *any_schema(rng *r, int depth);

static json_t *string_schema(rng *r)
{
    json_t *s = json_pack("{s:s}", "type", "string");
    int min = (int)rng_below(r, 4);
    if (rng_below(r, 3) == 0) json_object_set_new(s, "minLength", json_integer(min));
    if (rng_below(r, 3) == 0)
        json_object_set_new(s, "maxLength", json_integer(min + (int)rng_below(r, 4)));
    return s;
}

static json_t *number_bound(rng *r, bool integer)
{
    int64_t n = (int64_t)rng_below(r, 260) - 130;
    if (integer || rng_below(r, 2)) return json_integer(n);
    return json_real((double)n / (rng_below(r, 2) ? 100 : 8));
}

static json_t *number_schema(rng *r)
{
    bool integer = rng_below(r, 2);
    json_t *s = json_pack("{s:s}", "type", integer ? "integer" : "number");
    static const char *const low[] = {"minimum", "exclusiveMinimum"}, *const high[] = {
                                                                          "maximum",
                                                                          "exclusiveMaximum"};
    if (rng_below(r, 5) == 0) return s;
    if (rng_below(r, 6) == 0) {
        json_object_set_new(s, low[rng_below(r, 2)], json_integer(0));
        return s;
    }
    if (rng_below(r, 3)) json_object_set_new(s, low[rng_below(r, 2)], number_bound(r, integer));
    if (rng_below(r, 3)) json_object_set_new(s, high[rng_below(r, 2)], number_bound(r, integer));
    return s;
}

static json_t *scalar(rng *r)
{
    switch (rng_below(r, 8)) {
    case 0: return json_null();
    case 1: return json_boolean(rng_below(r, 2));
    case 2: return json_integer((int64_t)rng_below(r, 300) - 100);
    case 3: return json_real((double)(2 * rng_below(r, 500) + 1) / 8);
    case 4: return json_string("漢😀");
    default: return json_string(names[rng_below(r, N_NAME)]);
    }
}

static json_t *constant(rng *r, int depth)
{
    if (depth <= 0 || rng_below(r, 4)) return scalar(r);
    if (rng_below(r, 2))
        return json_pack("{s:o, s:o}", "k", constant(r, depth - 1), "b", scalar(r));
    return json_pack("[o, o]", constant(r, depth - 1), scalar(r));
}

static json_t *enum_schema(rng *r, int depth)
{
    if (rng_below(r, 4) == 0) return json_pack("{s:o}", "const", constant(r, depth));
    json_t *list = json_array();
    for (uint64_t i = rng_below(r, 5) + 1; i > 0; i--)
        json_array_append_new(list, constant(r, depth));
    return json_pack("{s:o}", "enum", list);
}

static json_t *array_schema(rng *r, int depth)
{
    json_t *s = json_pack("{s:s}", "type", "array");
    int min = (int)rng_below(r, 3);
    if (rng_below(r, 4) == 0) {
        json_t *prefix = json_array();
        for (uint64_t i = rng_below(r, 3) + 1; i > 0; i--)
            json_array_append_new(prefix, any_schema(r, depth - 1));
        json_object_set_new(s, "prefixItems", prefix);
        if (rng_below(r, 3) == 0) json_object_set_new(s, "items", json_false());
    }
    if (!json_object_get(s, "items") && rng_below(r, 8))
        json_object_set_new(s, "items", any_schema(r, depth - 1));
    if (rng_below(r, 2)) json_object_set_new(s, "minItems", json_integer(min));
    if (rng_below(r, 2))
        json_object_set_new(s, "maxItems", json_integer(min + (int)rng_below(r, 3)));
    return s;
}

static json_t *object_schema(rng *r, int depth)
{
    json_t *s = json_pack("{s:s}", "type", "object"), *properties = json_object(),
           *required = json_array();
    for (uint64_t i = rng_below(r, 4); i > 0; i--) {
        const char *name = names[rng_below(r, N_NAME)];
        if (json_object_get(properties, name)) continue;
        json_object_set_new(properties, name, any_schema(r, depth - 1));
        if (rng_below(r, 2)) json_array_append_new(required, json_string(name));
    }
    if (rng_below(r, 12) == 0) json_array_append_new(required, json_string("req"));
    if (json_object_size(properties) || rng_below(r, 4))
        json_object_set(s, "properties", properties);
    json_object_set(s, "required", required);
    switch (rng_below(r, 5)) {
    case 0: json_object_set_new(s, "additionalProperties", json_false()); break;
    case 1: json_object_set_new(s, "additionalProperties", json_true()); break;
    case 2: json_object_set_new(s, "additionalProperties", any_schema(r, depth - 1)); break;
    default: break;
    }
    if (rng_below(r, 6) == 0)
        json_object_set_new(s, "minProperties", json_integer((int)rng_below(r, 4)));
    if (rng_below(r, 6) == 0)
        json_object_set_new(s, "maxProperties", json_integer((int)rng_below(r, 4)));
    json_decref(properties);
    json_decref(required);
    return s;
}

static json_t *union_schema(rng *r, int depth)
{
    json_t *list = json_array();
    for (uint64_t i = rng_below(r, 3) + 1; i > 0; i--)
        json_array_append_new(list, any_schema(r, depth - 1));
    return json_pack("{s:o}", "anyOf", list);
}

static json_t *any_schema(rng *r, int depth)
{
    static const char *const refs[] = {"#", "#/$defs/d0", "#/$defs/d~01"};
    uint64_t kind = rng_below(r, depth > 0 ? 16 : 8);
    switch (kind) {
    case 0:
    case 1: return string_schema(r);
    case 2:
    case 3: return number_schema(r);
    case 4: return enum_schema(r, 1);
    case 5: return json_pack("{s:s}", "type", rng_below(r, 2) ? "boolean" : "null");
    case 6:
        return json_pack("{s:[s,s]}", "type", rng_below(r, 2) ? "string" : "integer",
                         rng_below(r, 2) ? "null" : "boolean");
    case 7: return json_pack("{s:s}", "$ref", refs[rng_below(r, 3)]);
    case 8: return rng_below(r, 4) ? json_object() : rng_below(r, 2) ? json_true() : json_false();
    case 9:
    case 10: return array_schema(r, depth);
    case 11:
    case 12: return union_schema(r, depth);
    default: return object_schema(r, depth);
    }
}

json_t *random_schema(rng *r)
{
    json_t *s;
    do {
        s = any_schema(r, 3);
        if (json_is_object(s)) break;
        json_decref(s);
    } while (true);
    json_t *defs = json_pack("{s:o, s:o}", "d0", any_schema(r, 2), "d~1", any_schema(r, 1));
    json_object_set_new(s, "$defs", defs);
    return s;
}

// ---- small schemas of all keywords ----

static json_t *small(rng *r, int depth);

static const char *const letters[] = {"a", "b", "c", "ab"};

static const char *letter(rng *r)
{
    return letters[rng_below(r, 4)];
}

static json_t *small_value(rng *r)
{
    static const char *const values[] = {"null", "true", "1",  "2",   "\"a\"",     "\"ab\"",
                                         "\"\"", "1.5",  "[]", "[1]", "{\"a\":1}", "{}"};
    return json_loads(values[rng_below(r, 12)], JSON_DECODE_ANY, NULL);
}

static json_t *small_list(rng *r, int depth, json_t *make(rng *, int))
{
    json_t *list = json_array();
    for (uint64_t n = 1 + rng_below(r, 3); n > 0; n--) json_array_append_new(list, make(r, depth));
    return list;
}

static json_t *small_constant(rng *r, int depth)
{
    (void)depth;
    return small_value(r);
}

static json_t *small_name(rng *r, int depth)
{
    (void)depth;
    return json_string(letter(r));
}

static void set_count(json_t *s, rng *r, const char *key, uint64_t below)
{
    json_object_set_new(s, key, json_integer((int)rng_below(r, below)));
}

static void add_type(json_t *s, rng *r)
{
    static const char *const types[] = {"object", "array", "object",  "string",
                                        "number", "array", "integer", "null"};
    const char *type = types[rng_below(r, 8)];
    if (rng_below(r, 3))
        json_object_set_new(s, "type", json_string(type));
    else
        json_object_set_new(s, "type", json_pack("[s,s]", type, types[rng_below(r, 8)]));
}

static void add_scalar_keyword(json_t *s, rng *r)
{
    static const char *const patterns[] = {"^a",  "b$",      "^(a|b)*$", "a",
                                           "^.$", "^[^b]*$", "é|^$",     "^(a|ab|c)$"};
    switch (rng_below(r, 6)) {
    case 0: json_object_set_new(s, "pattern", json_string(patterns[rng_below(r, 8)])); break;
    case 1: set_count(s, r, "minLength", 3); break;
    case 2: set_count(s, r, "maxLength", 3); break;
    case 3: set_count(s, r, rng_below(r, 2) ? "minimum" : "exclusiveMinimum", 3); break;
    case 4: set_count(s, r, rng_below(r, 2) ? "maximum" : "exclusiveMaximum", 12); break;
    default: json_object_set_new(s, "multipleOf", json_pack("f", rng_below(r, 2) ? 2 : 0.5));
    }
}

static void add_array_keyword(json_t *s, rng *r, int depth)
{
    switch (rng_below(r, 7)) {
    case 0: json_object_set_new(s, "prefixItems", small_list(r, depth - 1, small)); break;
    case 1: json_object_set_new(s, "items", small(r, depth - 1)); break;
    case 2: set_count(s, r, "minItems", 3); break;
    case 3: set_count(s, r, "maxItems", 4); break;
    case 4: json_object_set_new(s, "uniqueItems", json_true()); break;
    case 5:
        json_object_set_new(s, "contains", small(r, depth - 1));
        if (rng_below(r, 2)) set_count(s, r, "minContains", 3);
        if (rng_below(r, 2)) set_count(s, r, "maxContains", 3);
        break;
    default:
        if (rng_below(r, 2))
            json_object_set_new(s, "unevaluatedItems", small(r, depth - 2));
        else
            json_object_set_new(s, "items", small(r, depth - 1));
    }
}

static void add_object_keyword(json_t *s, rng *r, int depth)
{
    static const char *const patterns[] = {"^a", "b", "^.$", "c$", "^[abc]$", "^ab?$"};
    json_t *map = json_object();
    switch (rng_below(r, 9)) {
    case 0: json_object_set_new(s, "required", small_list(r, depth, small_name)); break;
    case 1: json_object_set_new(s, "additionalProperties", small(r, depth - 1)); break;
    case 2:
        json_object_set_new(map, patterns[rng_below(r, 6)], small(r, depth - 1));
        json_object_set(s, "patternProperties", map);
        break;
    case 3: json_object_set_new(s, "propertyNames", small(r, 0)); break;
    case 4: set_count(s, r, rng_below(r, 2) ? "minProperties" : "maxProperties", 4); break;
    case 5:
        json_object_set_new(map, letter(r), small_list(r, depth, small_name));
        json_object_set(s, "dependentRequired", map);
        break;
    case 6:
        json_object_set_new(map, letter(r), small(r, depth - 1));
        json_object_set(s, "dependentSchemas", map);
        break;
    case 7:
        if (rng_below(r, 2)) {
            json_object_set_new(s, "unevaluatedProperties", small(r, depth - 2));
            break;
        } // fall through
    default:
        for (uint64_t n = 1 + rng_below(r, 3); n > 0; n--)
            json_object_set_new(map, letter(r), small(r, depth - 1));
        json_object_set(s, "properties", map);
    }
    json_decref(map);
}

static void add_combination(json_t *s, rng *r, int depth)
{
    static const char *const lists[] = {"allOf", "anyOf", "oneOf"};
    switch (rng_below(r, 6)) {
    case 0: json_object_set_new(s, "not", small(r, depth - 1)); break;
    case 1:
        json_object_set_new(s, "if", small(r, depth - 1));
        if (rng_below(r, 4)) json_object_set_new(s, "then", small(r, depth - 1));
        if (rng_below(r, 2)) json_object_set_new(s, "else", small(r, depth - 1));
        break;
    case 2:
        json_object_set_new(s, "$ref", json_string(rng_below(r, 6) ? "#/$defs/d0" : "#"));
        break;
    default: json_object_set_new(s, lists[rng_below(r, 3)], small_list(r, depth - 1, small));
    }
}

// A few keywords beside one another, whatever they are.
static json_t *small(rng *r, int depth)
{
    json_t *s = json_object();
    if (rng_below(r, 12) == 0) {
        json_decref(s);
        return json_boolean(rng_below(r, 2));
    }
    if (rng_below(r, 2)) add_type(s, r);
    if (rng_below(r, 10) == 0) json_object_set_new(s, "const", small_value(r));
    if (rng_below(r, 8) == 0) json_object_set_new(s, "enum", small_list(r, 0, small_constant));
    for (uint64_t n = 1 + rng_below(r, depth > 0 ? 4 : 2); n > 0; n--) {
        uint64_t kind = depth > 0 ? rng_below(r, 8) : 0;
        if (kind < 2)
            add_scalar_keyword(s, r);
        else if (kind < 4)
            add_array_keyword(s, r, depth);
        else if (kind < 6)
            add_object_keyword(s, r, depth);
        else
            add_combination(s, r, depth);
    }
    return s;
}

json_t *random_small_schema(rng *r)
{
    json_t *s = small(r, 3);
    while (!json_is_object(s)) {
        json_decref(s);
        s = small(r, 3);
    }
    json_object_set_new(s, "$defs", json_pack("{s:o}", "d0", small(r, 1)));
    return s;
}

// ---- documents ----

struct writer {
    rng *r;
    const json_t *root;
    enum grammar_spacing spacing;
    buf *out;
    int depth;
};

static bool write(struct writer *w, const json_t *s);

static const char *comma(const struct writer *w)
{
    return w->spacing == SPACING_PYTHON ? ", " : ",";
}
static const char *colon(const struct writer *w)
{
    return w->spacing == SPACING_PYTHON ? ": " : ":";
}

static void write_json(struct writer *w, const json_t *v)
{
    size_t flags = JSON_ENCODE_ANY | (w->spacing == SPACING_COMPACT ? JSON_COMPACT : 0);
    char *text = json_dumps(v, flags | JSON_REAL_PRECISION(15));
    buf_str(w->out, text);
    free(text);
}

static void write_quoted(struct writer *w, const char *text)
{
    json_t *s = json_string(text);
    write_json(w, s);
    json_decref(s);
}

static bool write_string(struct writer *w, const json_t *s)
{
    static const char *const chars[] = {
        "a", "\\n", "\\u0041", "\\ud83d\\ude00", "é", "漢", "😀", " ", "\\\"", "/", "\\/"};
    json_int_t min = json_integer_value(json_object_get(s, "minLength"));
    const json_t *max = json_object_get(s, "maxLength");
    json_int_t n = min + (json_int_t)rng_below(w->r, 3);
    if (max && n > json_integer_value(max)) n = json_integer_value(max);
    if (n < min) return false;
    buf_byte(w->out, '"');
    for (; n > 0; n--) buf_str(w->out, chars[rng_below(w->r, sizeof chars / sizeof chars[0])]);
    buf_byte(w->out, '"');
    return true;
}

// Tries decimals with two digits after the point until one fits; bounds are small in these tests.
static bool write_number(struct writer *w, const json_t *s, bool integer)
{
    for (int tries = 0; tries < 400; tries++) {
        int64_t n = (int64_t)rng_below(w->r, 40000) - 20000;
        double v = integer ? (double)(n / 100) : (double)n / 100;
        const json_t *lo = json_object_get(s, "minimum"), *hi = json_object_get(s, "maximum");
        const json_t *above = json_object_get(s, "exclusiveMinimum"),
                     *below = json_object_get(s, "exclusiveMaximum");
        if ((lo && v < json_number_value(lo)) || (hi && v > json_number_value(hi)) ||
            (above && v <= json_number_value(above)) || (below && v >= json_number_value(below)))
            continue;
        if (integer)
            buf_printf(w->out, "%lld", (long long)v);
        else
            buf_printf(w->out, v < 0 ? "-%lld.%02lld" : "%lld.%02lld", llabs(n) / 100ll,
                       llabs(n) % 100ll);
        return true;
    }
    return false;
}

static bool write_array(struct writer *w, const json_t *s)
{
    const json_t *prefix = json_object_get(s, "prefixItems"), *items = json_object_get(s, "items");
    const json_t *max = json_object_get(s, "maxItems");
    size_t min = (size_t)json_integer_value(json_object_get(s, "minItems")),
           n = min + rng_below(w->r, 3);
    if (max && n > (size_t)json_integer_value(max)) n = (size_t)json_integer_value(max);
    if (json_is_false(items) && n > json_array_size(prefix)) n = json_array_size(prefix);
    if (n < min) return false;
    buf_byte(w->out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i) buf_str(w->out, comma(w));
        const json_t *sub = i < json_array_size(prefix) ? json_array_get(prefix, i)
                            : items                     ? items
                                                        : json_true();
        if (!write(w, sub)) return false;
    }
    buf_byte(w->out, ']');
    return true;
}

static bool listed(const json_t *required, const char *name)
{
    size_t i;
    json_t *v;
    json_array_foreach(required, i, v) if (strcmp(json_string_value(v), name) == 0) return true;
    return false;
}

static bool write_member(struct writer *w, const char *key, const json_t *s, size_t *count)
{
    if ((*count)++) buf_str(w->out, comma(w));
    write_quoted(w, key);
    buf_str(w->out, colon(w));
    return write(w, s);
}

static bool write_object(struct writer *w, const json_t *s)
{
    const json_t *properties = json_object_get(s, "properties"),
                 *required = json_object_get(s, "required");
    const json_t *extra = json_object_get(s, "additionalProperties"),
                 *max = json_object_get(s, "maxProperties");
    const json_t *others = extra ? extra : json_true();
    size_t count = 0, i;
    const char *key;
    json_t *sub, *name;
    buf_byte(w->out, '{');
    json_object_foreach((json_t *)properties, key, sub)
    {
        if (!listed(required, key) && rng_below(w->r, 2)) continue;
        if (!write_member(w, key, sub, &count)) return false;
    }
    json_array_foreach(required, i, name)
    {
        if (json_object_get(properties, json_string_value(name))) continue;
        if (!write_member(w, json_string_value(name), extra ? extra : json_true(), &count))
            return false;
    }
    static const char *const more[] = {"zz", "q\\", "aé"};
    for (size_t k = 0; k < 3 && !json_is_false(others); k++)
        if (rng_below(w->r, 2) && !write_member(w, more[k], others, &count)) return false;
    buf_byte(w->out, '}');
    if (max && count > (size_t)json_integer_value(max)) return false;
    return count >= (size_t)json_integer_value(json_object_get(s, "minProperties"));
}

static bool write_any(struct writer *w)
{
    static const char *const values[] = {"1",  "\"s\"", "null",     "[]",
                                         "{}", "true",  "-2.5e+03", "[1]"};
    buf_str(w->out, values[rng_below(w->r, 8)]);
    return true;
}

static bool write_type(struct writer *w, const json_t *s, const char *type)
{
    if (strcmp(type, "string") == 0) return write_string(w, s);
    if (strcmp(type, "integer") == 0) return write_number(w, s, true);
    if (strcmp(type, "number") == 0) return write_number(w, s, false);
    if (strcmp(type, "array") == 0) return write_array(w, s);
    if (strcmp(type, "object") == 0) return write_object(w, s);
    buf_str(w->out, strcmp(type, "null") == 0 ? "null" : rng_below(w->r, 2) ? "true" : "false");
    return true;
}

static const json_t *target(const json_t *root, const char *ref)
{
    if (strcmp(ref, "#") == 0) return root;
    const json_t *defs = json_object_get(root, "$defs");
    return json_object_get(defs, strcmp(ref, "#/$defs/d0") == 0 ? "d0" : "d~1");
}

static bool write_keyword(struct writer *w, const json_t *s)
{
    const json_t *v;
    if ((v = json_object_get(s, "$ref"))) return write(w, target(w->root, json_string_value(v)));
    if ((v = json_object_get(s, "anyOf")))
        return write(w, json_array_get(v, rng_below(w->r, json_array_size(v))));
    if ((v = json_object_get(s, "enum"))) {
        write_json(w, json_array_get(v, rng_below(w->r, json_array_size(v))));
        return true;
    }
    if ((v = json_object_get(s, "const"))) {
        write_json(w, v);
        return true;
    }
    v = json_object_get(s, "type");
    if (json_is_array(v)) v = json_array_get(v, rng_below(w->r, json_array_size(v)));
    return v ? write_type(w, s, json_string_value(v)) : write_any(w);
}

static bool write(struct writer *w, const json_t *s)
{
    if (json_is_true(s)) return write_any(w);
    if (json_is_false(s) || w->depth > 12 || w->out->n > 2000) return false;
    w->depth++;
    bool ok = write_keyword(w, s);
    w->depth--;
    return ok;
}

bool random_document(rng *r, const json_t *root, const json_t *schema, enum grammar_spacing spacing,
                     buf *out)
{
    struct writer w = {r, root, spacing, out, 0};
    return write(&w, schema);
}
