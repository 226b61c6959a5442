// Numbers as JSON means them: 1 and 1.0 are one value, and 0.3 is a multiple of 0.1. A real number
// counts as the shortest decimal that reads back as it.
#include "engine/schema_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int order_numbers(const json_t *a, const json_t *b)
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

// ---- bounds ----

static enum verdict check_bound(struct checker *c, const struct rule *r, const json_t *doc,
                                int sign, bool exclusive)
{
    if (!json_is_number(r->value))
        return refused(c, "expected a number, found %s", json_kind(r->value));
    if (!json_is_number(doc)) return VALID;
    int o = order_numbers(doc, r->value) * sign;
    if (o > 0 || (o == 0 && !exclusive)) return VALID;
    buf b = buf_new(200);
    put_short(&b, r->value);
    enum verdict v = invalid(c, "must be %s %s",
                             exclusive ? (sign > 0 ? "greater than" : "less than")
                                       : (sign > 0 ? "at least" : "at most"),
                             buf_text(&b));
    buf_free(&b);
    return v;
}

enum verdict check_minimum(struct checker *c, const struct rule *r, const json_t *doc)
{
    bool exclusive = json_is_true(json_object_get(r->schema, "exclusiveMinimum"));
    return check_bound(c, r, doc, 1, exclusive);
}

enum verdict check_maximum(struct checker *c, const struct rule *r, const json_t *doc)
{
    bool exclusive = json_is_true(json_object_get(r->schema, "exclusiveMaximum"));
    return check_bound(c, r, doc, -1, exclusive);
}

// In draft 4, and in schemas that still write it so, a boolean beside minimum or maximum.
enum verdict check_above(struct checker *c, const struct rule *r, const json_t *doc)
{
    return json_is_boolean(r->value) ? VALID : check_bound(c, r, doc, 1, true);
}

enum verdict check_below(struct checker *c, const struct rule *r, const json_t *doc)
{
    return json_is_boolean(r->value) ? VALID : check_bound(c, r, doc, -1, true);
}

// ---- multiples ----

// mantissa * 10^exponent
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

static uint64_t size_of(int64_t x)
{
    return x < 0 ? 0 - (uint64_t)x : (uint64_t)x;
}

static bool is_multiple(struct decimal v, struct decimal of)
{
    uint64_t m = size_of(of.mantissa), rest = size_of(v.mantissa);
    for (; of.exponent > v.exponent; of.exponent--) // beyond 2^64 it is larger than any v
        if (__builtin_mul_overflow(m, 10, &m)) return v.mantissa == 0;
    rest %= m;
    for (; v.exponent > of.exponent && rest != 0; v.exponent--)
        rest = (uint64_t)((unsigned __int128)rest * 10 % m);
    return rest == 0;
}

enum verdict check_multiple(struct checker *c, const struct rule *r, const json_t *doc)
{
    if (!json_is_number(r->value) || json_number_value(r->value) <= 0)
        return refused(c, "expected a number above 0");
    if (!json_is_number(doc)) return VALID;
    if (is_multiple(decimal_of(doc), decimal_of(r->value))) return VALID;
    buf b = buf_new(200);
    put_short(&b, r->value);
    enum verdict v = invalid(c, "must be a multiple of %s", buf_text(&b));
    buf_free(&b);
    return v;
}

// ---- equality ----

static bool same_members(struct checker *c, const json_t *a, const json_t *b)
{
    const char *key;
    json_t *value;
    if (json_object_size(a) != json_object_size(b)) return false;
    json_object_foreach((json_t *)a, key, value)
    {
        const json_t *other = json_object_get(b, key);
        if (!other || !same_value(c, value, other)) return false;
    }
    return true;
}

bool same_value(struct checker *c, const json_t *a, const json_t *b)
{
    c->steps++;
    if (json_is_number(a) && json_is_number(b)) return order_numbers(a, b) == 0;
    if (json_typeof(a) != json_typeof(b)) return false;
    if (json_is_object(a)) return same_members(c, a, b);
    if (!json_is_array(a)) return json_equal(a, b);
    bool equal = json_array_size(a) == json_array_size(b);
    for (size_t i = 0; equal && i < json_array_size(a); i++)
        equal = same_value(c, json_array_get(a, i), json_array_get(b, i));
    return equal;
}

static uint64_t mix(uint64_t h, uint64_t x)
{
    h = (h ^ x) * 0x9e3779b97f4a7c15u;
    return h ^ (h >> 29);
}

static uint64_t hash_bytes(const char *s, size_t n)
{
    uint64_t h = n;
    for (size_t i = 0; i < n; i++) h = mix(h, (unsigned char)s[i]);
    return h;
}

uint64_t hash_value(struct checker *c, const json_t *v)
{
    uint64_t h = 0, bits;
    const char *key;
    json_t *sub;
    size_t i;
    double f;
    c->steps++;
    switch (json_typeof(v)) {
    case JSON_OBJECT: // the order of keys is no part of the value
        json_object_foreach((json_t *)v, key, sub)
        {
            h += mix(hash_bytes(key, strlen(key)), hash_value(c, sub));
        }
        return mix(1, h);
    case JSON_ARRAY:
        json_array_foreach(v, i, sub)
        {
            h = mix(h, hash_value(c, sub));
        }
        return mix(2, h);
    case JSON_STRING: return mix(3, hash_bytes(json_string_value(v), json_string_length(v)));
    case JSON_INTEGER:
    case JSON_REAL:                     // large integers share the hash of the double next to them
        f = json_number_value(v) + 0.0; // no -0
        memcpy(&bits, &f, sizeof bits);
        return mix(4, bits);
    default: return mix(5, (uint64_t)json_typeof(v));
    }
}
