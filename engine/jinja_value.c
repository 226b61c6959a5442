// Values of the interpreter, with Python's meaning: truth, equality, order, text, arithmetic,
// indexing. A string is bytes plus one provenance byte each; whatever cuts, joins or rewrites
// strings goes through jsub or jbuild, which carry the provenance along.
#include "base/utf8.h"
#include "engine/float_text.h"
#include "engine/jinja_private.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

// ---- making values ----

jval jnone(void)
{
    return (jval){.kind = J_NONE};
}
jval jbool(bool b)
{
    return (jval){.kind = J_BOOL, .b = b};
}
jval jint(int64_t i)
{
    return (jval){.kind = J_INT, .i = i};
}
jval jfloat(double f)
{
    return (jval){.kind = J_FLOAT, .f = f};
}
jval jundefined(const jstr *name)
{
    return (jval){.kind = J_UNDEFINED, .s = name};
}

static jval str_value(jrun *r, jstr s)
{
    jstr *copy = jalloc(r, 1, sizeof *copy);
    *copy = s;
    return (jval){.kind = J_STR, .s = copy};
}

jval jcopy(jrun *r, const char *p, size_t n, uint8_t trusted)
{
    char *bytes = jalloc(r, n + 1, 1);
    uint8_t *marks = jalloc(r, n + 1, 1);
    if (n) memcpy(bytes, p, n);
    memset(marks, trusted, n);
    return str_value(r, (jstr){bytes, marks, n, false});
}

jval jdata(jrun *r, const char *p, size_t n)
{
    return jcopy(r, p, n, 0);
}

jval jsub(jrun *r, const jstr *s, size_t from, size_t to)
{
    assert(from <= to && to <= s->n);
    return str_value(r, (jstr){s->p + from, s->trusted + from, to - from, s->markup});
}

void jadd_bytes(struct jbuild *b, const char *p, size_t n, uint8_t trusted)
{
    jstr s = {p, NULL, n, false};
    jadd(b, &s);
    if (n) memset(b->trusted + b->n - n, trusted, n);
}

void jadd(struct jbuild *b, const jstr *s)
{
    if (s->n > b->cap - b->n) {
        size_t cap = b->cap ? b->cap : 32;
        while (cap - b->n < s->n) cap *= 2;
        char *p = jalloc(b->r, cap, 1);
        uint8_t *trusted = jalloc(b->r, cap, 1);
        if (b->n) memcpy(p, b->p, b->n);
        if (b->n) memcpy(trusted, b->trusted, b->n);
        b->p = p;
        b->trusted = trusted;
        b->cap = cap;
    }
    if (s->n) memcpy(b->p + b->n, s->p, s->n);
    if (s->n && s->trusted) memcpy(b->trusted + b->n, s->trusted, s->n);
    b->n += s->n;
}

jval jdone(struct jbuild *b)
{
    if (!b->p) return jcopy(b->r, "", 0, 0);
    return str_value(b->r, (jstr){b->p, b->trusted, b->n, false});
}

jval jlist_of(jrun *r, enum jkind kind, size_t cap)
{
    jlist *l = jalloc(r, 1, sizeof *l);
    if (cap) l->v = jalloc(r, cap, sizeof *l->v);
    l->cap = cap;
    return (jval){.kind = kind, .list = l};
}

void jpush(jrun *r, jlist *l, jval v)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 4;
        jval *p = jalloc(r, cap, sizeof *p);
        if (l->n) memcpy(p, l->v, l->n * sizeof *p);
        l->v = p;
        l->cap = cap;
    }
    l->v[l->n++] = v;
}

jval jdict_new(jrun *r)
{
    return (jval){.kind = J_DICT, .dict = jalloc(r, 1, sizeof(jdict))};
}

static void dict_add(jrun *r, jdict *d, jval key, jval value)
{
    if (d->n == d->cap) {
        size_t cap = d->cap ? d->cap * 2 : 4;
        struct jentry *p = jalloc(r, cap, sizeof *p);
        if (d->n) memcpy(p, d->v, d->n * sizeof *p);
        d->v = p;
        d->cap = cap;
    }
    d->v[d->n++] = (struct jentry){key, value};
}

// Python can hash it: what may be a key.
bool jhashable(jval v)
{
    if (v.kind == J_TUPLE) {
        for (size_t i = 0; i < v.list->n; i++)
            if (!jhashable(v.list->v[i])) return false;
        return true;
    }
    return v.kind == J_NONE || v.kind == J_BOOL || v.kind == J_INT || v.kind == J_FLOAT ||
           v.kind == J_STR;
}

const jval *jget(jrun *r, const jdict *d, jval key)
{
    for (size_t i = 0; i < d->n; i++)
        if (jequal(r, d->v[i].key, key)) return &d->v[i].value;
    return NULL;
}

const jval *jgets(jrun *r, const jdict *d, const char *key)
{
    jspend(r, d->n);
    for (size_t i = 0; i < d->n; i++)
        if (d->v[i].key.kind == J_STR && jstr_is(d->v[i].key.s, key)) return &d->v[i].value;
    return NULL;
}

void jput(jrun *r, jdict *d, jval key, jval value)
{
    if (!jhashable(key)) jfail(r, "a value of type %s cannot be a key", jtype_name(key));
    jval *old = (jval *)jget(r, d, key);
    if (old)
        *old = value;
    else
        dict_add(r, d, key, value);
}

jval jfrom_json(jrun *r, const json_t *j, bool trusted, int depth)
{
    jspend(r, 1);
    if (depth > JINJA_DEPTH_MAX) jfail(r, "data nested deeper than %d levels", JINJA_DEPTH_MAX);
    switch (json_typeof(j)) {
    case JSON_NULL: return jnone();
    case JSON_TRUE: return jbool(true);
    case JSON_FALSE: return jbool(false);
    case JSON_INTEGER: return jint(json_integer_value(j));
    case JSON_REAL: return jfloat(json_real_value(j));
    case JSON_STRING: return jcopy(r, json_string_value(j), json_string_length(j), trusted);
    case JSON_ARRAY: {
        jval list = jlist_of(r, J_LIST, json_array_size(j));
        for (size_t i = 0; i < json_array_size(j); i++)
            jpush(r, list.list, jfrom_json(r, json_array_get(j, i), trusted, depth + 1));
        return list;
    }
    case JSON_OBJECT: {
        jval dict = jdict_new(r);
        const char *key;
        json_t *value;
        json_object_foreach((json_t *)j, key, value)
            dict_add(r, dict.dict, jcopy(r, key, strlen(key), trusted),
                     jfrom_json(r, value, trusted, depth + 1));
        return dict;
    }
    }
    return jnone();
}

// ---- code points ----

size_t jpoints(const jstr *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) n += ((unsigned char)s->p[i] & 0xc0) != 0x80;
    return n;
}

size_t jpoint_offset(const jstr *s, size_t point)
{
    size_t at = 0;
    while (at < s->n && point > 0) {
        at++;
        while (at < s->n && ((unsigned char)s->p[at] & 0xc0) == 0x80) at++;
        point--;
    }
    return at;
}

int jpoint(const jstr *s, size_t byte, uint32_t *cp)
{
    int n = utf8_decode(s->p + byte, s->n - byte, cp);
    assert(n > 0); // every string is valid UTF-8 and is cut between code points only
    return n;
}

bool jspace(uint32_t cp)
{
    return (cp >= 9 && cp <= 13) || (cp >= 0x1c && cp <= 0x20) || cp == 0x85 || cp == 0xa0 ||
           cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 || cp == 0x2029 ||
           cp == 0x202f || cp == 0x205f || cp == 0x3000;
}

bool jstr_is(const jstr *s, const char *text)
{
    return s->n == strlen(text) && memcmp(s->p, text, s->n) == 0;
}

// ---- truth, equality, order ----

static bool is_number(jval v)
{
    return v.kind == J_BOOL || v.kind == J_INT || v.kind == J_FLOAT;
}
static int64_t as_int(jval v)
{
    return v.kind == J_BOOL ? v.b : v.i;
}
static double as_float(jval v)
{
    return v.kind == J_FLOAT ? v.f : (double)as_int(v);
}

bool jhas_length(jval v, size_t *n)
{
    switch (v.kind) {
    case J_UNDEFINED: *n = 0; return true;
    case J_STR: *n = jpoints(v.s); return true;
    case J_LIST:
    case J_TUPLE:
    case J_RANGE:
    case J_VIEW: *n = v.list->n; return true;
    case J_DICT: *n = v.dict->n; return true;
    case J_LOOP: *n = v.loop->list->n; return true;
    default: return false;
    }
}

bool jtruth(jval v)
{
    size_t n;
    switch (v.kind) {
    case J_NONE: return false;
    case J_BOOL: return v.b;
    case J_INT: return v.i != 0;
    case J_FLOAT: return v.f != 0;
    default: return !jhas_length(v, &n) || n > 0;
    }
}

// Exact comparison of an integer with a float. NaN compares as neither (2).
static int order_int_float(int64_t i, double f)
{
    if (isnan(f)) return 2;
    if (f >= 9223372036854775808.0) return -1;
    if (f < -9223372036854775808.0) return 1;
    double whole = floor(f);
    int64_t w = (int64_t)whole;
    return i != w ? (i < w ? -1 : 1) : (f > whole ? -1 : 0);
}

static int order_numbers(jval a, jval b)
{
    bool fa = a.kind == J_FLOAT, fb = b.kind == J_FLOAT;
    if (fa && fb) return isnan(a.f) || isnan(b.f) ? 2 : a.f < b.f ? -1 : a.f > b.f;
    if (!fa && !fb) return as_int(a) < as_int(b) ? -1 : as_int(a) > as_int(b);
    if (fb) return order_int_float(as_int(a), b.f);
    int o = order_int_float(as_int(b), a.f);
    return o == 2 ? 2 : -o;
}

static int order_strings(const jstr *a, const jstr *b)
{
    size_t n = a->n < b->n ? a->n : b->n;
    int o = n ? memcmp(a->p, b->p, n) : 0;
    return o ? o : a->n < b->n ? -1 : a->n > b->n;
}

static bool equal_dicts(jrun *r, const jdict *a, const jdict *b)
{
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++) {
        const jval *other = jget(r, b, a->v[i].key);
        if (!other || !jequal(r, a->v[i].value, *other)) return false;
    }
    return true;
}

bool jequal(jrun *r, jval a, jval b)
{
    jspend(r, 1);
    if (is_number(a) && is_number(b)) return order_numbers(a, b) == 0;
    if (a.kind != b.kind) return false;
    switch (a.kind) {
    case J_UNDEFINED:
    case J_NONE: return true;
    case J_STR: return order_strings(a.s, b.s) == 0;
    case J_LIST:
    case J_TUPLE:
    case J_RANGE: {
        bool same = a.list->n == b.list->n;
        jenter(r);
        for (size_t i = 0; same && i < a.list->n; i++) same = jequal(r, a.list->v[i], b.list->v[i]);
        jleave(r);
        return same;
    }
    case J_DICT: {
        jenter(r);
        bool same = equal_dicts(r, a.dict, b.dict);
        jleave(r);
        return same;
    }
    default: jfail(r, "comparing values of type %s is not supported", jtype_name(a));
    }
}

int jorder(jrun *r, jval a, jval b)
{
    jspend(r, 1);
    if (is_number(a) && is_number(b)) {
        int o = order_numbers(a, b);
        if (o == 2) jfail(r, "ordering NaN is not supported");
        return o;
    }
    if (a.kind == J_STR && b.kind == J_STR) return order_strings(a.s, b.s);
    if (a.kind == b.kind && (a.kind == J_LIST || a.kind == J_TUPLE)) {
        jenter(r);
        size_t i = 0;
        while (i < a.list->n && i < b.list->n && jequal(r, a.list->v[i], b.list->v[i])) i++;
        int o = i < a.list->n && i < b.list->n
                    ? jorder(r, a.list->v[i], b.list->v[i])
                    : (a.list->n < b.list->n ? -1 : a.list->n > b.list->n);
        jleave(r);
        return o;
    }
    jfail(r, "%s and %s have no order", jtype_name(a), jtype_name(b));
}

const char *jtype_name(jval v)
{
    static const char *const names[] = {[J_UNDEFINED] = "undefined", [J_NONE] = "none",
                                        [J_BOOL] = "bool",           [J_INT] = "int",
                                        [J_FLOAT] = "float",         [J_STR] = "str",
                                        [J_LIST] = "list",           [J_TUPLE] = "tuple",
                                        [J_RANGE] = "range",         [J_VIEW] = "dict view",
                                        [J_STREAM] = "generator",    [J_DICT] = "dict",
                                        [J_NAMESPACE] = "namespace", [J_LOOP] = "loop",
                                        [J_FUNCTION] = "function",   [J_METHOD] = "method",
                                        [J_MACRO] = "macro"};
    return names[v.kind];
}

// ---- text ----

static bool printable(uint32_t cp)
{
    if (cp == ' ') return true;
    switch (utf8proc_category((utf8proc_int32_t)cp)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP: return false;
    default: return true;
    }
}

static void put_text(struct jbuild *b, const char *text)
{
    jadd_bytes(b, text, strlen(text), 0);
}

static void repr_string(struct jbuild *b, const jstr *s)
{
    bool single = memchr(s->p, '\'', s->n) && !memchr(s->p, '"', s->n);
    char quote = single ? '"' : '\'', text[16];
    jadd_bytes(b, &quote, 1, 0);
    uint32_t cp;
    for (size_t i = 0, n; i < s->n; i += n) {
        n = (size_t)jpoint(s, i, &cp);
        if (cp == '\\' || cp == (uint32_t)quote)
            snprintf(text, sizeof text, "\\%c", (char)cp);
        else if (cp == '\n' || cp == '\r' || cp == '\t')
            snprintf(text, sizeof text, "\\%c", cp == '\n' ? 'n' : cp == '\r' ? 'r' : 't');
        else if (!printable(cp))
            snprintf(text, sizeof text,
                     cp < 0x100     ? "\\x%02x"
                     : cp < 0x10000 ? "\\u%04x"
                                    : "\\U%08x",
                     cp);
        else {
            jadd_bytes(b, s->p + i, n, 0);
            continue;
        }
        put_text(b, text);
    }
    jadd_bytes(b, &quote, 1, 0);
}

static void repr(struct jbuild *b, jval v);

static void repr_items(struct jbuild *b, const jlist *l, const char *open, const char *close)
{
    put_text(b, open);
    for (size_t i = 0; i < l->n; i++) {
        if (i) put_text(b, ", ");
        repr(b, l->v[i]);
    }
    put_text(b, close);
}

static void repr_dict(struct jbuild *b, const jdict *d)
{
    put_text(b, "{");
    for (size_t i = 0; i < d->n; i++) {
        if (i) put_text(b, ", ");
        repr(b, d->v[i].key);
        put_text(b, ": ");
        repr(b, d->v[i].value);
    }
    put_text(b, "}");
}

static void repr(struct jbuild *b, jval v)
{
    char text[48];
    jspend(b->r, 1);
    jenter(b->r);
    switch (v.kind) {
    case J_UNDEFINED: put_text(b, "Undefined"); break;
    case J_NONE: put_text(b, "None"); break;
    case J_BOOL: put_text(b, v.b ? "True" : "False"); break;
    case J_INT:
        snprintf(text, sizeof text, "%lld", (long long)v.i);
        put_text(b, text);
        break;
    case J_FLOAT:
        float_text(v.f, text);
        put_text(b, text);
        break;
    case J_STR:
        if (v.s->markup) jfail(b->r, "showing a safe string inside a list is not supported");
        repr_string(b, v.s);
        break;
    case J_LIST: repr_items(b, v.list, "[", "]"); break;
    case J_TUPLE: repr_items(b, v.list, "(", v.list->n == 1 ? ",)" : ")"); break;
    case J_DICT: repr_dict(b, v.dict); break;
    default: jfail(b->r, "printing a %s is not supported", jtype_name(v));
    }
    jleave(b->r);
}

const jstr *jrepr(jrun *r, jval v)
{
    struct jbuild b = {.r = r};
    repr(&b, v);
    return jdone(&b).s;
}

const jstr *jtext(jrun *r, jval v)
{
    if (v.kind == J_STR) return v.s;
    if (v.kind == J_UNDEFINED) return jcopy(r, "", 0, 0).s;
    return jrepr(r, v);
}

const jstr *jplain(jrun *r, jval v)
{
    const jstr *s = jtext(r, v);
    if (s->markup) jfail(r, "changing a string after 'safe' is not supported");
    return s;
}

// ---- walking ----

jlist *jwalk(jrun *r, jval v)
{
    switch (v.kind) {
    case J_LIST:
    case J_TUPLE:
    case J_RANGE:
    case J_VIEW: return v.list;
    case J_STREAM: // Python would go on where the first walk stopped; nothing we saw needs that
        if (v.list->at) jfail(r, "walking over a generator twice is not supported");
        v.list->at = 1;
        return v.list;
    default: return jwalk_copy(r, v);
    }
}

jlist *jwalk_copy(jrun *r, jval v)
{
    jlist *out = jlist_of(r, J_LIST, 0).list;
    switch (v.kind) {
    case J_UNDEFINED: break;
    case J_DICT:
        for (size_t i = 0; i < v.dict->n; i++) jpush(r, out, v.dict->v[i].key);
        break;
    case J_STR: {
        uint32_t cp;
        for (size_t i = 0, n; i < v.s->n; i += n) {
            n = (size_t)jpoint(v.s, i, &cp);
            jpush(r, out, jsub(r, v.s, i, i + n));
        }
        break;
    }
    case J_LIST:
    case J_TUPLE:
    case J_RANGE:
    case J_VIEW:
    case J_STREAM: {
        const jlist *in = jwalk(r, v);
        for (size_t i = 0; i < in->n; i++) jpush(r, out, in->v[i]);
        break;
    }
    default: jfail(r, "%s cannot be walked over", jtype_name(v));
    }
    jspend(r, out->n);
    return out;
}

static bool contains_text(const jstr *whole, const jstr *part)
{
    return part->n == 0 || (whole->n && memmem(whole->p, whole->n, part->p, part->n));
}

bool jcontains(jrun *r, jval whole, jval part)
{
    if (whole.kind == J_STR) {
        if (part.kind != J_STR)
            jfail(r, "'in' a string needs a string on its left, found %s", jtype_name(part));
        jspend(r, whole.s->n / 64);
        return contains_text(whole.s, part.s);
    }
    if (whole.kind == J_DICT) {
        if (!jhashable(part)) jfail(r, "a %s cannot be a key", jtype_name(part));
        return jget(r, whole.dict, part) != NULL;
    }
    const jlist *l = jwalk(r, whole);
    for (size_t i = 0; i < l->n; i++)
        if (jequal(r, l->v[i], part)) return true;
    return false;
}

// ---- arithmetic ----

_Noreturn static void no_operator(jrun *r, enum jop op, jval a, jval b)
{
    static const char *const names[] = {
        [OP_ADD] = "+", [OP_SUB] = "-",  [OP_MUL] = "*",      [OP_DIV] = "/",
        [OP_MOD] = "%", [OP_POW] = "**", [OP_FLOORDIV] = "//"};
    if (a.kind == J_UNDEFINED || b.kind == J_UNDEFINED) {
        const jstr *s = a.kind == J_UNDEFINED ? a.s : b.s;
        jfail(r, "'%.*s' is undefined", s ? (int)(s->n > 60 ? 60 : s->n) : 5, s ? s->p : "value");
    }
    jfail(r, "'%s' of %s and %s is not supported", names[op], jtype_name(a), jtype_name(b));
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static jval int_power(jrun *r, int64_t base, int64_t exponent)
{
    if (exponent < 0 && base == 0) jfail(r, "division by zero");
    if (exponent < 0) return jfloat(pow((double)base, (double)exponent));
    if (exponent == 0 || base == 1) return jint(1);
    if (base == 0) return jint(0);
    if (base == -1) return jint(exponent % 2 ? -1 : 1);
    int64_t v = base;
    for (int64_t i = 1; i < exponent; i++)
        if (__builtin_mul_overflow(v, base, &v)) jfail(r, "integer beyond 64 bits");
    return jint(v);
}

static jval int_arithmetic(jrun *r, enum jop op, int64_t a, int64_t b)
{
    int64_t v = 0;
    bool over = false;
    if ((op == OP_DIV || op == OP_FLOORDIV || op == OP_MOD) && b == 0) jfail(r, "division by zero");
    switch (op) {
    case OP_ADD: over = __builtin_add_overflow(a, b, &v); break;
    case OP_SUB: over = __builtin_sub_overflow(a, b, &v); break;
    case OP_MUL: over = __builtin_mul_overflow(a, b, &v); break;
    case OP_DIV:
        if (llabs(a / 2) > (1ll << 51) || llabs(b / 2) > (1ll << 51))
            jfail(r, "division of integers beyond 52 bits is not supported");
        return jfloat((double)a / (double)b);
    case OP_POW: return int_power(r, a, b);
    default:
        over = a == INT64_MIN && b == -1;
        if (!over) v = op == OP_MOD ? a - floor_div(a, b) * b : floor_div(a, b);
    }
    if (over) jfail(r, "integer beyond 64 bits");
    return jint(v);
}

static jval float_arithmetic(jrun *r, enum jop op, double a, double b)
{
    if ((op == OP_DIV || op == OP_FLOORDIV || op == OP_MOD) && b == 0) jfail(r, "division by zero");
    double m;
    switch (op) {
    case OP_ADD: return jfloat(a + b);
    case OP_SUB: return jfloat(a - b);
    case OP_MUL: return jfloat(a * b);
    case OP_DIV: return jfloat(a / b);
    case OP_POW:
        if (a < 0 && b != floor(b)) jfail(r, "complex numbers are not supported");
        if (a == 0 && b < 0) jfail(r, "division by zero");
        if (!isfinite(pow(a, b))) jfail(r, "a power out of range");
        return jfloat(pow(a, b));
    default:
        m = fmod(a, b);
        if (m != 0 && (m < 0) != (b < 0)) m += b;
        if (m == 0) m = copysign(0, b);
        if (op == OP_MOD) return jfloat(m);
        double q = (a - m) / b, whole = floor(q);
        return jfloat(q == 0 ? copysign(0, a / b) : q - whole > 0.5 ? whole + 1 : whole);
    }
}

static jval repeat(jrun *r, jval v, int64_t times)
{
    if (v.kind == J_STR) {
        const jstr *s = jplain(r, v);
        struct jbuild b = {.r = r};
        for (int64_t i = 0; i < times && s->n; i++) {
            jspend(r, 1);
            jadd(&b, s);
        }
        return jdone(&b);
    }
    jval out = jlist_of(r, v.kind, 0);
    for (int64_t i = 0; i < times && v.list->n; i++)
        for (size_t k = 0; k < v.list->n; k++) {
            jspend(r, 1);
            jpush(r, out.list, v.list->v[k]);
        }
    return out;
}

static bool is_sequence(jval v)
{
    return v.kind == J_STR || v.kind == J_LIST || v.kind == J_TUPLE;
}
static bool is_whole(jval v)
{
    return v.kind == J_INT || v.kind == J_BOOL;
}

// What + does to a string that meets a safe one.
static void add_escaped(struct jbuild *b, const jstr *s)
{
    static const struct {
        char c;
        const char *text;
    } rows[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'\'', "&#39;"}, {'"', "&#34;"}};
    for (size_t i = 0; i < s->n; i++) {
        const char *text = NULL;
        for (size_t k = 0; k < 5; k++)
            if (s->p[i] == rows[k].c) text = rows[k].text;
        if (text)
            jadd_bytes(b, text, strlen(text), 0);
        else
            jadd_bytes(b, s->p + i, 1, s->trusted[i]);
    }
}

static jval add_strings(jrun *r, const jstr *a, const jstr *b)
{
    struct jbuild out = {.r = r};
    bool markup = a->markup || b->markup;
    (markup && !a->markup ? add_escaped : jadd)(&out, a);
    (markup && !b->markup ? add_escaped : jadd)(&out, b);
    jval v = jdone(&out);
    ((jstr *)v.s)->markup = markup;
    return v;
}

static jval add_sequences(jrun *r, jval a, jval b)
{
    if (a.kind == J_STR) return add_strings(r, a.s, b.s);
    jval out = jlist_of(r, a.kind, a.list->n + b.list->n);
    jspend(r, a.list->n + b.list->n);
    for (size_t i = 0; i < a.list->n; i++) jpush(r, out.list, a.list->v[i]);
    for (size_t i = 0; i < b.list->n; i++) jpush(r, out.list, b.list->v[i]);
    return out;
}

jval jbinary(jrun *r, enum jop op, jval a, jval b)
{
    if (is_number(a) && is_number(b)) {
        if (a.kind != J_FLOAT && b.kind != J_FLOAT)
            return int_arithmetic(r, op, as_int(a), as_int(b));
        return float_arithmetic(r, op, as_float(a), as_float(b));
    }
    if (op == OP_ADD && a.kind == b.kind && is_sequence(a)) return add_sequences(r, a, b);
    if (op == OP_MUL && is_sequence(a) && is_whole(b)) return repeat(r, a, as_int(b));
    if (op == OP_MUL && is_whole(a) && is_sequence(b)) return repeat(r, b, as_int(a));
    no_operator(r, op, a, b);
}

// ---- indexing ----

int64_t jarg_int(jrun *r, jval v, const char *what)
{
    if (!is_whole(v)) jfail(r, "%s: expected an integer, found %s", what, jtype_name(v));
    return as_int(v);
}

// One end of a slice, clamped as Python does.
static int64_t slice_end(jrun *r, jval v, int64_t n, int64_t missing, int64_t low, int64_t high)
{
    if (v.kind == J_NONE) return missing;
    int64_t i = jarg_int(r, v, "slice");
    if (i < 0) i = i < -n ? low : i + n;
    return i < low ? low : i > high ? high : i;
}

jval jslice(jrun *r, jval v, jval from, jval to, jval step_value)
{
    size_t count;
    if (!is_sequence(v) || !jhas_length(v, &count)) {
        if (v.kind == J_UNDEFINED) no_operator(r, OP_ADD, v, v);
        if (v.kind == J_DICT || v.kind == J_NONE || is_number(v)) return jundefined(NULL);
        jfail(r, "a slice of %s is not supported", jtype_name(v));
    }
    int64_t n = (int64_t)count,
            step = step_value.kind == J_NONE ? 1 : jarg_int(r, step_value, "slice");
    if (step == 0) jfail(r, "a slice cannot step by zero");
    if (step > n + 1) step = n + 1;
    if (step < -n - 1) step = -n - 1;
    int64_t low = step > 0 ? 0 : -1, high = step > 0 ? n : n - 1;
    int64_t i = slice_end(r, from, n, step > 0 ? 0 : n - 1, low, high);
    int64_t end = slice_end(r, to, n, step > 0 ? n : -1, low, high);
    if (v.kind == J_STR && step == 1) {
        size_t a = jpoint_offset(v.s, (size_t)i);
        size_t b = end > i ? jpoint_offset(v.s, (size_t)end) : a;
        return jsub(r, v.s, a, b);
    }
    const jlist *items = jwalk(r, v);
    jval out = jlist_of(r, v.kind == J_STR ? J_LIST : v.kind, 0);
    for (; step > 0 ? i < end : i > end; i += step) {
        jspend(r, 1);
        jpush(r, out.list, items->v[i]);
    }
    if (v.kind != J_STR) return out;
    struct jbuild b = {.r = r};
    for (size_t k = 0; k < out.list->n; k++) jadd(&b, out.list->v[k].s);
    return jdone(&b);
}

static jval index_sequence(jrun *r, jval v, int64_t i)
{
    size_t n;
    jhas_length(v, &n);
    if (i < 0) i += (int64_t)n;
    if (i < 0 || i >= (int64_t)n) return jundefined(NULL);
    if (v.kind != J_STR) return v.list->v[i];
    size_t from = jpoint_offset(v.s, (size_t)i);
    uint32_t cp;
    return jsub(r, v.s, from, from + (size_t)jpoint(v.s, from, &cp));
}

static jval loop_attribute(jrun *r, const struct jloop *l, const jstr *name)
{
    int64_t n = (int64_t)l->list->n, i = (int64_t)l->index0;
    const struct {
        const char *name;
        jval v;
    } rows[] = {{"index", jint(i + 1)},
                {"index0", jint(i)},
                {"revindex", jint(n - i)},
                {"revindex0", jint(n - i - 1)},
                {"first", jbool(i == 0)},
                {"last", jbool(i + 1 == n)},
                {"length", jint(n)},
                {"depth", jint((int64_t)l->depth0 + 1)},
                {"depth0", jint((int64_t)l->depth0)},
                {"previtem", i > 0 ? l->list->v[i - 1] : jundefined(name)},
                {"nextitem", i + 1 < n ? l->list->v[i + 1] : jundefined(name)}};
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++)
        if (jstr_is(name, rows[k].name)) return rows[k].v;
    jfail(r, "loop.%.*s is not supported", name->n > 40 ? 40 : (int)name->n, name->p);
}

// getattr(v, name) alone; false when Python finds nothing.
static bool attribute(jrun *r, jval v, const jstr *name, jval *out)
{
    int shown = name->n > 60 ? 60 : (int)name->n;
    if (name->n >= 2 && name->p[0] == '_' && name->p[1] == '_')
        jfail(r, "attribute '%.*s' is not supported", shown, name->p);
    if (v.kind == J_NAMESPACE) {
        const jval *found = jget(r, v.dict, (jval){.kind = J_STR, .s = name});
        if (found) *out = *found;
        return found != NULL;
    }
    const struct jfunction *f = jinja_method(v.kind, name);
    if (f) {
        if (!f->call) jfail(r, "%s.%.*s is not supported", jtype_name(v), shown, name->p);
        *out = jmethod_of(r, v, f);
        return true;
    }
    if (v.kind == J_LOOP) {
        *out = loop_attribute(r, v.loop, name);
        return true;
    }
    if (v.kind == J_MACRO || v.kind == J_FUNCTION || v.kind == J_METHOD || v.kind == J_STREAM ||
        v.kind == J_VIEW || v.kind == J_RANGE)
        jfail(r, "attribute '%.*s' of a %s is not supported", shown, name->p, jtype_name(v));
    return false;
}

static void must_be_defined(jrun *r, jval v)
{
    if (v.kind != J_UNDEFINED) return;
    if (!v.s) jfail(r, "an attribute of an undefined value");
    jfail(r, "'%.*s' is undefined", v.s->n > 60 ? 60 : (int)v.s->n, v.s->p);
}

jval jgetattr(jrun *r, jval v, const jstr *name)
{
    jval out;
    must_be_defined(r, v);
    if (attribute(r, v, name, &out)) return out;
    const jval *found = v.kind == J_DICT ? jget(r, v.dict, (jval){.kind = J_STR, .s = name}) : NULL;
    return found ? *found : jundefined(name);
}

jval jgetitem(jrun *r, jval v, jval key)
{
    must_be_defined(r, v);
    if (v.kind == J_DICT && jhashable(key)) {
        const jval *found = jget(r, v.dict, key);
        if (found) return *found;
    }
    if ((is_sequence(v) || v.kind == J_RANGE) && is_whole(key))
        return index_sequence(r, v, as_int(key));
    if (v.kind == J_STREAM || v.kind == J_VIEW) return jundefined(NULL);
    jval out;
    if (key.kind != J_STR) return jundefined(NULL);
    return attribute(r, v, key.s, &out) ? out : jundefined(key.s);
}

// ---- JSON ----

struct json_writer {
    struct jbuild b;
    const struct jjson_style *style;
};

static void write_string(struct json_writer *w, const jstr *s)
{
    static const char from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf";
    char text[16];
    put_text(&w->b, "\"");
    uint32_t cp;
    for (size_t i = 0, n; i < s->n; i += n) {
        n = (size_t)jpoint(s, i, &cp);
        const char *known = cp && cp < 128 ? strchr(from, (int)cp) : NULL;
        if (known)
            snprintf(text, sizeof text, "\\%c", to[known - from]);
        else if (cp < 0x20 || (w->style->ascii && cp > 0x7e && cp < 0x10000))
            snprintf(text, sizeof text, "\\u%04x", cp);
        else if (w->style->ascii && cp >= 0x10000)
            snprintf(text, sizeof text, "\\u%04x\\u%04x", 0xd800 + ((cp - 0x10000) >> 10),
                     0xdc00 + ((cp - 0x10000) & 0x3ff));
        else {
            jadd_bytes(&w->b, s->p + i, n, 0);
            continue;
        }
        put_text(&w->b, text);
    }
    put_text(&w->b, "\"");
}

static void write_newline(struct json_writer *w, int level)
{
    if (w->style->indent < 0) return;
    put_text(&w->b, "\n");
    for (int i = 0; i < level * w->style->indent; i++) put_text(&w->b, " ");
}

static void write_value(struct json_writer *w, jval v, int level);

static void write_key(struct json_writer *w, jval key)
{
    char text[48];
    switch (key.kind) {
    case J_STR: write_string(w, key.s); return;
    case J_NONE: strcpy(text, "null"); break;
    case J_BOOL: strcpy(text, key.b ? "true" : "false"); break;
    case J_INT: snprintf(text, sizeof text, "%lld", (long long)key.i); break;
    case J_FLOAT: float_text(key.f, text); break;
    default: jfail(w->b.r, "tojson: a key of type %s", jtype_name(key));
    }
    put_text(&w->b, "\"");
    put_text(&w->b, text);
    put_text(&w->b, "\"");
}

static int order_entries(jrun *r, const void *a, const void *b)
{
    return jorder(r, ((const struct jentry *)a)->key, ((const struct jentry *)b)->key);
}

static const struct jentry *sorted_entries(struct json_writer *w, const jdict *d)
{
    if (!w->style->sort) return d->v;
    struct jentry *v = jalloc(w->b.r, d->n, sizeof *v);
    for (size_t i = 0; i < d->n; i++) { // by insertion: stable, and objects are small
        size_t k = i;
        while (k > 0 && order_entries(w->b.r, &v[k - 1], &d->v[i]) > 0) {
            v[k] = v[k - 1];
            k--;
        }
        v[k] = d->v[i];
    }
    return v;
}

static void write_dict(struct json_writer *w, const jdict *d, int level)
{
    const struct jentry *v = sorted_entries(w, d);
    put_text(&w->b, "{");
    for (size_t i = 0; i < d->n; i++) {
        if (i) jadd(&w->b, w->style->item_sep);
        write_newline(w, level + 1);
        write_key(w, v[i].key);
        jadd(&w->b, w->style->key_sep);
        write_value(w, v[i].value, level + 1);
    }
    if (d->n) write_newline(w, level);
    put_text(&w->b, "}");
}

static void write_list(struct json_writer *w, const jlist *l, int level)
{
    put_text(&w->b, "[");
    for (size_t i = 0; i < l->n; i++) {
        if (i) jadd(&w->b, w->style->item_sep);
        write_newline(w, level + 1);
        write_value(w, l->v[i], level + 1);
    }
    if (l->n) write_newline(w, level);
    put_text(&w->b, "]");
}

static void write_value(struct json_writer *w, jval v, int level)
{
    char text[48];
    jspend(w->b.r, 1);
    jenter(w->b.r);
    switch (v.kind) {
    case J_NONE: put_text(&w->b, "null"); break;
    case J_BOOL: put_text(&w->b, v.b ? "true" : "false"); break;
    case J_INT:
        snprintf(text, sizeof text, "%lld", (long long)v.i);
        put_text(&w->b, text);
        break;
    case J_FLOAT:
        float_text(v.f, text);
        put_text(&w->b, isfinite(v.f) ? text
                        : isnan(v.f)  ? "NaN"
                        : v.f < 0     ? "-Infinity"
                                      : "Infinity");
        break;
    case J_STR: write_string(w, v.s); break;
    case J_LIST:
    case J_TUPLE: write_list(w, v.list, level); break;
    case J_DICT: write_dict(w, v.dict, level); break;
    default: jfail(w->b.r, "tojson: a value of type %s has no JSON", jtype_name(v));
    }
    jleave(w->b.r);
}

jval jto_json(jrun *r, jval v, const struct jjson_style *style)
{
    struct json_writer w = {{.r = r}, style};
    write_value(&w, v, 0);
    return jdone(&w.b);
}
