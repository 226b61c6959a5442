#include "oracle.h"

#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ask {
    const json_t *root;
    bool python;
    const char *t;
    size_t n;
    bool viable;
    int depth;
};

typedef uint64_t ends; // bit i: the value may end at position i
#define AT(i) (1ull << (i))

static ends match(struct ask *a, const json_t *s, size_t i);

// ---- can it be satisfied at all ----

static const json_t *target(const json_t *root, const char *ref)
{
    if (strcmp(ref, "#") == 0) return root;
    const json_t *defs = json_object_get(root, "$defs");
    return json_object_get(defs, strcmp(ref, "#/$defs/d0") == 0 ? "d0" : "d~1");
}

static bool number_satisfiable(const json_t *s, bool integer);

static json_int_t limit(const json_t *s, const char *keyword, json_int_t absent)
{
    const json_t *v = json_object_get(s, keyword);
    return v ? json_integer_value(v) : absent;
}

static bool satisfiable(const json_t *root, const json_t *s, int depth);

static const json_t *element(const json_t *s, size_t i)
{
    const json_t *prefix = json_object_get(s, "prefixItems"), *items = json_object_get(s, "items");
    if (i < json_array_size(prefix)) return json_array_get(prefix, i);
    return items ? items : json_true();
}

static bool is_required(const json_t *s, const char *name)
{
    size_t i;
    json_t *v;
    json_array_foreach(json_object_get(s, "required"), i,
                       v) if (strcmp(json_string_value(v), name) == 0) return true;
    return false;
}

static const json_t *others(const json_t *s)
{
    const json_t *extra = json_object_get(s, "additionalProperties");
    return extra ? extra : json_object_get(s, "properties") ? json_false() : json_true();
}

// The names in order, required ones that are not declared last.
static size_t all_names(const json_t *s, const char **names, const json_t **subs)
{
    size_t n = 0, i;
    const char *key;
    json_t *sub, *name;
    json_object_foreach(json_object_get(s, "properties"), key, sub)
    {
        names[n] = key;
        subs[n++] = sub;
    }
    const json_t *extra = json_object_get(s, "additionalProperties");
    json_array_foreach(json_object_get(s, "required"), i, name)
    {
        bool known = false;
        for (size_t k = 0; k < n; k++)
            known = known || strcmp(names[k], json_string_value(name)) == 0;
        if (known) continue;
        names[n] = json_string_value(name);
        subs[n++] = extra ? extra : json_true();
    }
    return n;
}

// May an object with `count` members, whose next declared name is `next`, still become valid?
static bool object_can_finish(struct ask *a, const json_t *s, size_t next, size_t count, int depth)
{
    const char *names[32];
    const json_t *subs[32];
    size_t n = all_names(s, names, subs), required = 0, possible = 0;
    for (size_t i = next; i < n; i++) {
        bool ok = satisfiable(a->root, subs[i], depth - 1);
        if (is_required(s, names[i])) {
            if (!ok) return false;
            required++;
        }
        possible += ok;
    }
    if (satisfiable(a->root, others(s), depth - 1)) possible += 50;
    if (limit(s, "minProperties", 0) > limit(s, "maxProperties", 1000)) return false;
    return count + required <= (size_t)limit(s, "maxProperties", 1000) &&
           count + possible >= (size_t)limit(s, "minProperties", 0);
}

static bool type_satisfiable(const json_t *root, const json_t *s, const char *type, int depth)
{
    struct ask a = {.root = root};
    if (strcmp(type, "string") == 0) return limit(s, "minLength", 0) <= limit(s, "maxLength", 1000);
    if (strcmp(type, "integer") == 0 || strcmp(type, "number") == 0)
        return number_satisfiable(s, type[0] == 'i');
    if (strcmp(type, "object") == 0) return object_can_finish(&a, s, 0, 0, depth);
    if (strcmp(type, "array") != 0) return true;
    json_int_t min = limit(s, "minItems", 0);
    if (min > limit(s, "maxItems", 1000)) return false;
    for (json_int_t i = 0; i < min; i++)
        if (!satisfiable(root, element(s, (size_t)i), depth - 1)) return false;
    return true;
}

static bool find_satisfiable(const json_t *root, const json_t *s, int depth)
{
    const json_t *v;
    size_t i;
    if ((v = json_object_get(s, "$ref")))
        return satisfiable(root, target(root, json_string_value(v)), depth - 1);
    if (json_object_get(s, "const")) return true;
    if ((v = json_object_get(s, "enum"))) return json_array_size(v) > 0;
    if ((v = json_object_get(s, "anyOf"))) {
        json_t *b;
        json_array_foreach(v, i, b) if (satisfiable(root, b, depth - 1)) return true;
        return false;
    }
    v = json_object_get(s, "type");
    if (!v) return true;
    if (json_is_string(v)) return type_satisfiable(root, s, json_string_value(v), depth);
    json_t *t;
    json_array_foreach(v, i,
                       t) if (type_satisfiable(root, s, json_string_value(t), depth)) return true;
    return false;
}

// Remembered per schema object: the recursion is otherwise exponential.
static struct {
    const json_t *s;
    int depth;
    bool answer;
} known[4096];

void oracle_reset(void)
{
    memset(known, 0, sizeof known);
}

static bool satisfiable(const json_t *root, const json_t *s, int depth)
{
    if (depth <= 0 || json_is_false(s)) return false;
    if (json_is_true(s)) return true;
    size_t slot = (((size_t)s >> 4) * 31 + (size_t)depth) % 4096;
    if (known[slot].s == s && known[slot].depth == depth) return known[slot].answer;
    bool answer = find_satisfiable(root, s, depth);
    known[slot].s = s;
    known[slot].depth = depth;
    known[slot].answer = answer;
    return answer;
}

#define DEPTH 9 // recursion of the test schemas needs no more

static bool can_be(struct ask *a, const json_t *s)
{
    return satisfiable(a->root, s, DEPTH);
}

// ---- literals and strings ----

static ends match_text(struct ask *a, const char *text, size_t i)
{
    size_t n = strlen(text);
    for (size_t k = 0; k < n; k++) {
        if (i + k == a->n) {
            a->viable = true;
            return 0;
        }
        if (a->t[i + k] != text[k]) return 0;
    }
    return AT(i + n);
}

// The end of one character of a JSON string at i, decoded to out. 0: no character begins so;
// a->n + 1: the text ends within it, and it can be completed.
static size_t character(struct ask *a, size_t i, char out[4], int *n_out)
{
    unsigned char c = (unsigned char)a->t[i];
    uint32_t cp;
    size_t open = a->n + 1;
    if (c != '\\') {
        if (c < 0x20) return 0;
        int len = utf8_decode(a->t + i, a->n - i, &cp);
        if (len == 0) return utf8_incomplete_tail(a->t + i, a->n - i) == a->n - i ? open : 0;
        memcpy(out, a->t + i, (size_t)len);
        *n_out = len;
        return i + (size_t)len;
    }
    if (i + 1 == a->n) return open;
    const char *escape = strchr("\"\\/bfnrt", a->t[i + 1]);
    if (a->t[i + 1] && escape) {
        out[0] = "\"\\/\b\f\n\r\t"[escape - "\"\\/bfnrt"];
        *n_out = 1;
        return i + 2;
    }
    if (a->t[i + 1] != 'u') return 0;
    // Try every code unit with these digits so far; 65536 is small enough for an oracle.
    char digits[5] = {0};
    size_t k = 0;
    for (; k < 4 && i + 2 + k < a->n; k++) {
        digits[k] = a->t[i + 2 + k];
        if (!strchr("0123456789abcdefABCDEF", digits[k]) || !digits[k]) return 0;
    }
    unsigned from = (unsigned)strtoul(k ? digits : "0", NULL, 16) << 4 * (4 - k),
             span = 1u << 4 * (4 - k);
    bool possible = false;
    for (unsigned u = from; u < from + span; u++) possible = possible || u < 0xdc00 || u > 0xdfff;
    if (!possible) return 0;
    if (k < 4) return open;
    if (from < 0xd800 || from > 0xdbff) {
        *n_out = utf8_put(from, out);
        return i + 6;
    }
    static const char lead[] = "\\u";
    for (size_t m = 0; m < 2; m++) {
        if (i + 6 + m == a->n) return open;
        if (a->t[i + 6 + m] != lead[m]) return 0;
    }
    char low[5] = {0};
    for (k = 0; k < 4 && i + 8 + k < a->n; k++) {
        low[k] = a->t[i + 8 + k];
        if (!strchr("0123456789abcdefABCDEF", low[k]) || !low[k]) return 0;
    }
    unsigned l = (unsigned)strtoul(k ? low : "0", NULL, 16) << 4 * (4 - k);
    if (l + (1u << 4 * (4 - k)) <= 0xdc00 || l > 0xdfff) return 0;
    if (k < 4) return open;
    *n_out = utf8_put(0x10000 + ((from - 0xd800) << 10) + (l - 0xdc00), out);
    return i + 12;
}

static ends match_string(struct ask *a, const json_t *s, size_t i)
{
    json_int_t min = limit(s, "minLength", 0), max = limit(s, "maxLength", 1000), count = 0;
    char out[4];
    int n_out;
    if (a->t[i] != '"') return 0;
    for (i++;;) {
        if (i == a->n) {
            a->viable = a->viable || min <= max;
            return 0;
        }
        if (a->t[i] == '"') return count >= min ? AT(i + 1) : 0;
        if (count == max) return 0;
        size_t next = character(a, i, out, &n_out);
        if (next == 0) return 0;
        if (next > a->n) {
            a->viable = a->viable || min <= max;
            return 0;
        }
        i = next;
        count++;
    }
}

// ---- numbers: by brute force over what may follow ----

struct range {
    const json_t *s;
    bool integer, bounded, exclusive;
};

static struct range range_of(const json_t *s, bool integer)
{
    struct range r = {s, integer, false, false};
    const json_t *low = json_object_get(s, "minimum"),
                 *above = json_object_get(s, "exclusiveMinimum");
    const json_t *high = json_object_get(s, "maximum"),
                 *below = json_object_get(s, "exclusiveMaximum");
    bool zero = (low && json_number_value(low) == 0 && !above) ||
                (above && json_number_value(above) == 0 && !low);
    if (integer && above && json_number_value(above) == 0) zero = false; // then the bound is 1
    if (low && above) zero = fmax(json_number_value(low), json_number_value(above)) == 0;
    r.bounded = high || below || ((low || above) && !zero);
    r.exclusive = !integer && (above || below);
    return r;
}

static bool in_range(const struct range *r, double v)
{
    const json_t *b;
    if ((b = json_object_get(r->s, "minimum")) && v < json_number_value(b)) return false;
    if ((b = json_object_get(r->s, "maximum")) && v > json_number_value(b)) return false;
    if ((b = json_object_get(r->s, "exclusiveMinimum")) && v <= json_number_value(b)) return false;
    if ((b = json_object_get(r->s, "exclusiveMaximum")) && v >= json_number_value(b)) return false;
    return true;
}

// Is the text a number that this decoder writes, or (prefix) the beginning of one? Syntax and the
// documented caps only.
static bool number_syntax(const struct range *r, const char *t, bool prefix)
{
    size_t i = 0, ints, fracs = 0, cap = r->exclusive && r->bounded ? 15 : 100;
    bool minus_ok = true;
    const json_t *low = json_object_get(r->s, "minimum"),
                 *above = json_object_get(r->s, "exclusiveMinimum");
    if ((low && json_number_value(low) >= 0) ||
        (above && json_number_value(above) >= (r->integer ? -1 : 0)))
        minus_ok = false;
    if (t[i] == '-') {
        if (!minus_ok) return false;
        i++;
    }
    if (!t[i]) return prefix;
    if (t[i] == '0')
        ints = 1;
    else
        for (ints = 0; t[i + ints] >= '0' && t[i + ints] <= '9';) ints++;
    if (ints == 0 || ints > 18 || ints > cap) return false;
    i += ints;
    if (!t[i]) return true;
    if (r->integer) return false;
    if (t[i] == '.') {
        for (i++; t[i] >= '0' && t[i] <= '9'; i++) fracs++;
        if (fracs > 20 || ints + fracs > cap) return false;
        if (fracs == 0) return prefix && !t[i] && ints < cap;
        if (!t[i]) return true;
    }
    if (r->bounded || (t[i] | 32) != 'e') return false;
    i++;
    bool sign = t[i] == '+' || t[i] == '-';
    if (sign) i++;
    size_t exps = 0;
    for (; t[i] >= '0' && t[i] <= '9'; i++) exps++;
    if (t[i] || exps > 2) return false;
    return exps > 0 || prefix;
}

static bool number_complete(const struct range *r, const char *t)
{
    char *end;
    if (!number_syntax(r, t, false)) return false;
    double v = strtod(t, &end);
    return !*end && in_range(r, v);
}

// Digits and a fraction only ever enlarge a number, and by less than a unit of its last digit.
static bool out_of_reach(const struct range *r, const char *t)
{
    if (!r->bounded || !strpbrk(t, "0123456789")) return false;
    double low = -INFINITY, high = INFINITY, size = fabs(strtod(t, NULL)), unit = INFINITY;
    const json_t *b;
    if ((b = json_object_get(r->s, "minimum"))) low = json_number_value(b);
    if ((b = json_object_get(r->s, "exclusiveMinimum"))) low = fmax(low, json_number_value(b));
    if ((b = json_object_get(r->s, "maximum"))) high = json_number_value(b);
    if ((b = json_object_get(r->s, "exclusiveMaximum"))) high = fmin(high, json_number_value(b));
    const char *point = strchr(t, '.');
    if (point) unit = pow(10, -(double)strlen(point + 1));
    if (t[0] == '-') return -size < low || -size - unit > high;
    return size > high || size + unit < low;
}

// Appends up to `left` characters in all ways.
static bool number_prefix(const struct range *r, char *t, size_t n, int left)
{
    t[n] = 0;
    if (!number_syntax(r, t, true)) return false;
    if (number_complete(r, t)) return true;
    if (left == 0 || n > 60 || out_of_reach(r, t)) return false;
    for (const char *c = "5091.2346-78"; *c; c++) {
        t[n] = *c;
        if (number_prefix(r, t, n + 1, left - 1)) return true;
    }
    t[n] = 0;
    return false;
}

static bool number_satisfiable(const json_t *s, bool integer)
{
    struct range r = range_of(s, integer);
    char t[80];
    return number_prefix(&r, t, 0, 6);
}

static ends match_number(struct ask *a, const json_t *s, bool integer, size_t i)
{
    char t[80];
    size_t n = 0;
    while (i + n < a->n && a->t[i + n] && strchr("+-.0123456789eE", a->t[i + n])) {
        t[n] = a->t[i + n];
        n++;
    }
    t[n] = 0;
    if (n == 0) return 0;
    struct range r = range_of(s, integer);
    bool complete = number_complete(&r, t);
    if (i + n == a->n) {
        // An exponent cannot take the number out of a range that allows one.
        bool more = complete;
        for (int left = 1; left <= 6 && !more; left++) {
            char copy[80];
            memcpy(copy, t, n + 1);
            more = number_prefix(&r, copy, n, left);
        }
        a->viable = a->viable || more;
    }
    return complete ? AT(i + n) : 0;
}

// ---- arrays and objects ----

static size_t skip(struct ask *a, const char *text, ends e, ends *out)
{
    *out = 0;
    for (size_t i = 0; i <= a->n; i++)
        if (e & AT(i)) *out |= match_text(a, text, i);
    return 0;
}

static ends match_array(struct ask *a, const json_t *s, size_t i)
{
    json_int_t min = limit(s, "minItems", 0), max = limit(s, "maxItems", 1000);
    if (a->t[i] != '[' || !satisfiable(a->root, s, DEPTH)) return 0;
    ends here = AT(i + 1), done = 0;
    for (json_int_t k = 0; here; k++) { // `here`: k elements are written
        if (k >= min) {
            ends closed;
            skip(a, "]", here, &closed);
            done |= closed;
        }
        if (k >= max || !can_be(a, element(s, (size_t)k))) break;
        ends start = here, next = 0;
        if (k > 0) skip(a, a->python ? ", " : ",", here, &start);
        for (size_t p = 0; p <= a->n; p++)
            if (start & AT(p)) next |= match(a, element(s, (size_t)k), p);
        here = next;
    }
    return done;
}

struct object_state {
    const json_t *s;
    const char *names[32];
    const json_t *subs[32];
    size_t n_name;
    char used[40][64]; // additional keys so far, decoded
    size_t n_used;
};

static ends match_members(struct ask *a, struct object_state *o, size_t i, size_t next,
                          size_t count);

static void quoted(const char *name, char *out, size_t cap)
{
    json_t *s = json_string(name);
    char *text = json_dumps(s, JSON_ENCODE_ANY);
    snprintf(out, cap, "%s", text);
    free(text);
    json_decref(s);
}

static bool key_ok(struct ask *a, struct object_state *o, size_t j, size_t next, size_t count)
{
    for (size_t k = next; k < j; k++)
        if (is_required(o->s, o->names[k])) return false;
    return can_be(a, o->subs[j]) && object_can_finish(a, o->s, j + 1, count + 1, DEPTH);
}

static bool extra_ok(struct ask *a, struct object_state *o, size_t next, size_t count)
{
    for (size_t k = next; k < o->n_name; k++)
        if (is_required(o->s, o->names[k])) return false;
    return can_be(a, others(o->s)) && object_can_finish(a, o->s, o->n_name, count + 1, DEPTH);
}

static ends after_key(struct ask *a, struct object_state *o, const json_t *sub, size_t i,
                      size_t next, size_t count)
{
    ends values, done = 0;
    skip(a, a->python ? ": " : ":", AT(i), &values);
    for (size_t p = 0; p <= a->n; p++) {
        if (!(values & AT(p))) continue;
        ends e = match(a, sub, p);
        for (size_t q = 0; q <= a->n; q++)
            if (e & AT(q)) done |= match_members(a, o, q, next, count);
    }
    return done;
}

// A key at i, its opening quote included.
static ends match_key(struct ask *a, struct object_state *o, size_t i, size_t next, size_t count)
{
    ends done = 0;
    char text[80], decoded[64], out[4];
    int n_out;
    size_t n = 0;
    if (i == a->n || a->t[i] == '"')
        for (size_t j = next; j < o->n_name; j++) {
            if (!key_ok(a, o, j, next, count)) continue;
            quoted(o->names[j], text, sizeof text);
            ends e = match_text(a, text, i);
            if (e)
                done |= after_key(a, o, o->subs[j], (size_t)__builtin_ctzll(e), j + 1, count + 1);
        }
    if (!extra_ok(a, o, next, count)) return done;
    if (i == a->n) {
        a->viable = true;
        return done;
    }
    if (a->t[i] != '"') return done;
    for (i++;;) {
        if (i == a->n) {
            a->viable = true;
            return done;
        }
        if (a->t[i] == '"') break;
        size_t end = character(a, i, out, &n_out);
        if (end == 0) return done;
        if (end > a->n) {
            a->viable = true;
            return done;
        }
        memcpy(decoded + n, out, (size_t)n_out);
        n += (size_t)n_out;
        i = end;
    }
    decoded[n] = 0;
    if (strlen(decoded) == n) {
        for (size_t k = 0; k < o->n_name; k++)
            if (strcmp(o->names[k], decoded) == 0) return done;
        for (size_t k = 0; k < o->n_used; k++)
            if (strcmp(o->used[k], decoded) == 0) return done;
    }
    memcpy(o->used[o->n_used++], decoded, n + 1);
    done |= after_key(a, o, others(o->s), i + 1, o->n_name, count + 1);
    o->n_used--;
    return done;
}

// From after a member: a closing brace or a comma and another.
static ends match_members(struct ask *a, struct object_state *o, size_t i, size_t next,
                          size_t count)
{
    ends done = 0, start;
    bool required = false;
    for (size_t k = next; k < o->n_name; k++) required = required || is_required(o->s, o->names[k]);
    if (!required && count >= (size_t)limit(o->s, "minProperties", 0))
        done |= match_text(a, "}", i);
    bool more = extra_ok(a, o, next, count);
    for (size_t j = next; j < o->n_name && !more; j++) more = key_ok(a, o, j, next, count);
    if (!more) return done;
    if (count == 0) return done | match_key(a, o, i, next, count);
    skip(a, a->python ? ", " : ",", AT(i), &start);
    for (size_t p = 0; p <= a->n; p++)
        if (start & AT(p)) done |= match_key(a, o, p, next, count);
    return done;
}

static ends match_object(struct ask *a, const json_t *s, size_t i)
{
    if (a->t[i] != '{' || !object_can_finish(a, s, 0, 0, DEPTH)) return 0;
    struct object_state *o = calloc(1, sizeof *o);
    o->s = s;
    o->n_name = all_names(s, o->names, o->subs);
    ends e = match_members(a, o, i + 1, 0, 0);
    free(o);
    return e;
}

// ---- any value ----

static ends match_type(struct ask *a, const json_t *s, const char *type, size_t i)
{
    if (strcmp(type, "string") == 0) return match_string(a, s, i);
    if (strcmp(type, "integer") == 0) return match_number(a, s, true, i);
    if (strcmp(type, "number") == 0) return match_number(a, s, false, i);
    if (strcmp(type, "array") == 0) return match_array(a, s, i);
    if (strcmp(type, "object") == 0) return match_object(a, s, i);
    if (strcmp(type, "null") == 0) return match_text(a, "null", i);
    return match_text(a, "true", i) | match_text(a, "false", i);
}

static ends match_constant(struct ask *a, const json_t *v, size_t i)
{
    char text[300];
    json_t *key;
    (void)key;
    char *dumped =
        json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15) | (a->python ? 0 : JSON_COMPACT));
    snprintf(text, sizeof text, "%s", dumped);
    free(dumped);
    ends e = match_text(a, text, i);
    size_t n = strlen(text);
    if (json_is_real(v) && n > 2 && strcmp(text + n - 2, ".0") == 0) {
        text[n - 2] = 0;
        e |= match_text(a, text, i);
    }
    return e;
}

static ends match(struct ask *a, const json_t *s, size_t i)
{
    static const char *const types[] = {"string", "number", "array", "object", "null", "boolean"};
    const json_t *v;
    size_t k;
    ends e = 0;
    if (!can_be(a, s)) return 0;
    if (i == a->n) {
        a->viable = true;
        return 0;
    }
    if (a->depth > 40) return 0; // only by references that read nothing
    a->depth++;
    json_t *branch;
    if (!json_is_object(s)) s = json_object_get(a->root, "no such keyword"); // true
    if ((v = json_object_get(s, "$ref")))
        e = match(a, target(a->root, json_string_value(v)), i);
    else if ((v = json_object_get(s, "anyOf"))) {
        json_array_foreach(v, k, branch) e |= match(a, branch, i);
    } else if ((v = json_object_get(s, "enum"))) {
        json_array_foreach(v, k, branch) e |= match_constant(a, branch, i);
    } else if ((v = json_object_get(s, "const"))) {
        e = match_constant(a, v, i);
    } else if ((v = json_object_get(s, "type"))) {
        for (k = 0; k < (json_is_array(v) ? json_array_size(v) : 1); k++)
            e |=
                match_type(a, s, json_string_value(json_is_array(v) ? json_array_get(v, k) : v), i);
    } else {
        static json_t *nothing;
        if (!nothing) nothing = json_object();
        for (k = 0; k < 6; k++) e |= match_type(a, nothing, types[k], i);
    }
    a->depth--;
    return e;
}

struct oracle_answer oracle_ask(const json_t *schema, enum grammar_spacing spacing,
                                const char *text, size_t n)
{
    struct ask a = {.root = schema, .python = spacing == SPACING_PYTHON, .t = text, .n = n};
    ends e = match(&a, schema, 0);
    struct oracle_answer answer = {.complete = n > 0 && (e & AT(n)) != 0};
    answer.viable = a.viable || answer.complete;
    return answer;
}
