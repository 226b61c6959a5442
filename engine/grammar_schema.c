// JSON Schema to nodes and alternatives. A node is the set of ways a value may look; $ref and anyOf
// only unite such sets, so they vanish here, recursion included. What would need the intersection
// of two schemas (allOf, anyOf beside other assertions), or what the automaton cannot express
// (pattern, not, ...), is refused with the JSON pointer of the keyword: nothing is ever dropped in
// silence.
//
// After all schemas are read, the length of the shortest text of every alternative is computed as a
// least fixed point. FAR means that there is none: such alternatives, and what depends on them, are
// removed, which is what makes every reachable state of the automaton alive.
#include "base/mem.h"
#include "engine/float_text.h"
#include "engine/grammar_private.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES_MAX        200000u // nodes and alternatives, each
#define SCHEMA_BYTES_MAX ((size_t)192 << 20)
#define DEPTH_MAX        200
#define UNION_MAX        4000000u   // alternatives of all nodes together, anyOf resolved
#define WORK_MAX         100000000u // steps of the fixed point

enum type_bits {
    TYPE_NULL = 1,
    TYPE_BOOLEAN = 2,
    TYPE_INTEGER = 4,
    TYPE_FRACTION = 8, // numbers that are not integers
    TYPE_STRING = 16,
    TYPE_ARRAY = 32,
    TYPE_OBJECT = 64,
    TYPE_NUMBER = TYPE_INTEGER | TYPE_FRACTION,
    TYPE_ANY = 127
};

static const struct {
    const char *name;
    unsigned bits;
} type_names[] = {{"null", TYPE_NULL},     {"boolean", TYPE_BOOLEAN}, {"integer", TYPE_INTEGER},
                  {"number", TYPE_NUMBER}, {"string", TYPE_STRING},   {"array", TYPE_ARRAY},
                  {"object", TYPE_OBJECT}};

// Every keyword that asserts something, and of which types. `refused`: not enforced by this
// decoder. A keyword that is in no row is an annotation.
static const struct keyword {
    const char *name;
    unsigned types;
    bool refused;
} keywords[] = {
    {"$ref", TYPE_ANY, false},
    {"type", TYPE_ANY, false},
    {"enum", TYPE_ANY, false},
    {"const", TYPE_ANY, false},
    {"anyOf", TYPE_ANY, false},
    {"properties", TYPE_OBJECT, false},
    {"required", TYPE_OBJECT, false},
    {"additionalProperties", TYPE_OBJECT, false},
    {"minProperties", TYPE_OBJECT, false},
    {"maxProperties", TYPE_OBJECT, false},
    {"items", TYPE_ARRAY, false},
    {"prefixItems", TYPE_ARRAY, false},
    {"additionalItems", TYPE_ARRAY, false},
    {"minItems", TYPE_ARRAY, false},
    {"maxItems", TYPE_ARRAY, false},
    {"minLength", TYPE_STRING, false},
    {"maxLength", TYPE_STRING, false},
    {"minimum", TYPE_NUMBER, false},
    {"maximum", TYPE_NUMBER, false},
    {"exclusiveMinimum", TYPE_NUMBER, false},
    {"exclusiveMaximum", TYPE_NUMBER, false},
    {"allOf", TYPE_ANY, true},
    {"oneOf", TYPE_ANY, true},
    {"not", TYPE_ANY, true},
    {"if", TYPE_ANY, true},
    {"$dynamicRef", TYPE_ANY, true},
    {"$recursiveRef", TYPE_ANY, true},
    {"pattern", TYPE_STRING, true},
    {"format", TYPE_STRING, true},
    {"multipleOf", TYPE_NUMBER, true},
    {"uniqueItems", TYPE_ARRAY, true},
    {"contains", TYPE_ARRAY, true},
    {"unevaluatedItems", TYPE_ARRAY, true},
    {"patternProperties", TYPE_OBJECT, true},
    {"propertyNames", TYPE_OBJECT, true},
    {"dependencies", TYPE_OBJECT, true},
    {"dependentRequired", TYPE_OBJECT, true},
    {"dependentSchemas", TYPE_OBJECT, true},
    {"unevaluatedProperties", TYPE_OBJECT, true},
};

// Formats with a defined meaning; other names are annotations (OpenAPI's int32, password, ...).
static const char *const formats[] = {"date-time",
                                      "date",
                                      "time",
                                      "duration",
                                      "email",
                                      "idn-email",
                                      "hostname",
                                      "idn-hostname",
                                      "ipv4",
                                      "ipv6",
                                      "uri",
                                      "uri-reference",
                                      "iri",
                                      "uuid",
                                      "iri-reference",
                                      "regex",
                                      "uri-template",
                                      "json-pointer",
                                      "relative-json-pointer"};

struct build_node {
    uint32_t n_alt, cap_alt, *alt;
    uint32_t n_sub, cap_sub, *sub; // nodes whose alternatives are also this node's
};

struct memo {
    const json_t *schema; // NULL: any value
    unsigned types;
    uint32_t node;
};

struct compiler {
    struct schema *s;
    struct memo *memo; // open addressing, of cap_memo entries (a power of two)
    size_t n_memo, cap_memo;
    const json_t *root;
    buf path; // JSON pointer of where we are
    const char *what;
    int depth;
    bool nested_id; // below an $id that is not the root's, where $ref would mean something else
    bool failed;
    err *e;
};

static uint32_t compile(struct compiler *c, const json_t *schema, unsigned types);

// ---- words ----

struct word {
    const char *text;
    uint32_t len, id;
};

static int compare_word(const void *a, const void *b)
{
    const struct word *x = a, *y = b;
    size_t n = x->len < y->len ? x->len : y->len;
    int o = n ? memcmp(x->text, y->text, n) : 0;
    return o ? o : (x->len > y->len) - (x->len < y->len);
}

// Sorts v and drops repeated texts.
static struct words words_make(struct chunks *mem, struct word *v, uint32_t n)
{
    if (n) qsort(v, n, sizeof *v, compare_word);
    struct words w = {.shortest = FAR};
    w.text = chunk_alloc(mem, (n + 1) * sizeof *w.text);
    w.len = chunk_alloc(mem, (n + 1) * sizeof *w.len);
    w.id = chunk_alloc(mem, (n + 1) * sizeof *w.id);
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0 && compare_word(&v[i - 1], &v[i]) == 0) continue;
        w.text[w.n] = v[i].text;
        w.len[w.n] = v[i].len;
        w.id[w.n++] = v[i].id;
        if (v[i].len < w.shortest) w.shortest = v[i].len;
    }
    return w;
}

static struct word word_copy(struct chunks *mem, const char *text, size_t n, uint32_t id)
{
    char *p = chunk_alloc(mem, n + 1);
    memcpy(p, text, n);
    return (struct word){p, (uint32_t)n, id};
}

struct words words_of(struct chunks *mem, const char *const *text, const uint32_t *id, uint32_t n)
{
    struct word *v = mem_new((n + 1) * sizeof *v);
    for (uint32_t i = 0; i < n; i++) v[i] = word_copy(mem, text[i], strlen(text[i]), id[i]);
    struct words w = words_make(mem, v, n);
    free(v);
    return w;
}

bool words_narrow(const struct words *w, uint32_t *lo, uint32_t *hi, uint32_t off, uint8_t c)
{
    uint32_t from = *lo, to = *hi, end = *hi;
    while (from < to) { // first word whose byte at off is not below c; shorter words come first
        uint32_t mid = from + (to - from) / 2;
        if (w->len[mid] <= off || (uint8_t)w->text[mid][off] < c)
            from = mid + 1;
        else
            to = mid;
    }
    *lo = from;
    to = end;
    while (from < to) {
        uint32_t mid = from + (to - from) / 2;
        if ((uint8_t)w->text[mid][off] <= c)
            from = mid + 1;
        else
            to = mid;
    }
    *hi = from;
    return *lo < *hi;
}

void json_quoted(buf *b, const char *s, size_t n)
{
    static const char from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf";
    buf_byte(b, '"');
    for (size_t i = 0; i < n; i++) {
        const char *known = s[i] ? strchr(from, s[i]) : NULL;
        if (known) {
            buf_byte(b, '\\');
            buf_byte(b, to[known - from]);
        } else if ((unsigned char)s[i] < 0x20) {
            buf_printf(b, "\\u%04x", (unsigned char)s[i]);
        } else {
            buf_byte(b, s[i]);
        }
    }
    buf_byte(b, '"');
}

void json_scalar_text(buf *b, const json_t *v)
{
    char text[40];
    switch (json_typeof(v)) {
    case JSON_STRING: json_quoted(b, json_string_value(v), json_string_length(v)); break;
    case JSON_INTEGER: buf_printf(b, "%" JSON_INTEGER_FORMAT, json_integer_value(v)); break;
    case JSON_REAL:
        float_text(json_real_value(v), text);
        buf_str(b, text);
        break;
    case JSON_TRUE: buf_str(b, "true"); break;
    case JSON_FALSE: buf_str(b, "false"); break;
    default: buf_str(b, "null"); break;
    }
}

// ---- errors and the path ----

static uint32_t refuse(struct compiler *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static uint32_t refuse(struct compiler *c, const char *fmt, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!c->failed) {
        const char *path = buf_text(&c->path);
        size_t n = strlen(path);
        err_set(c->e, ERR_INPUT, "%s: #%s%s: %s", c->what, n > 400 ? "..." : "",
                n > 400 ? path + n - 400 : path, text);
    }
    c->failed = true;
    return NONE;
}

static size_t path_enter(struct compiler *c, const char *name)
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

static size_t path_enter_index(struct compiler *c, size_t i)
{
    char text[24];
    snprintf(text, sizeof text, "%zu", i);
    return path_enter(c, text);
}

static void path_leave(struct compiler *c, size_t before)
{
    c->path.n = before;
    if (c->path.p) c->path.p[before] = 0;
    c->path.full = false;
}

static uint32_t refuse_at(struct compiler *c, const char *keyword, const char *why)
{
    size_t before = path_enter(c, keyword);
    refuse(c, "%s", why);
    path_leave(c, before);
    return NONE;
}

// ---- nodes ----

static void push(uint32_t **v, uint32_t *n, uint32_t *cap, uint32_t x)
{
    if (*n == *cap) {
        *cap = *cap ? *cap * 2 : 4;
        *v = mem_grow(*v, *cap * sizeof **v);
    }
    (*v)[(*n)++] = x;
}

static uint32_t node_new(struct compiler *c)
{
    struct schema *s = c->s;
    if (s->n_node >= NODES_MAX || chunk_bytes(&s->mem) > SCHEMA_BYTES_MAX)
        return refuse(c, "the schema is too large (%u subschemas, %zu MiB)", s->n_node,
                      chunk_bytes(&s->mem) >> 20);
    if (s->n_node == s->cap_build) {
        s->cap_build = s->cap_build ? s->cap_build * 2 : 64;
        s->build = mem_grow(s->build, s->cap_build * sizeof *s->build);
    }
    s->build[s->n_node] = (struct build_node){0};
    return s->n_node++;
}

static void add_alt(struct compiler *c, uint32_t node, struct alt a)
{
    struct schema *s = c->s;
    if (s->n_alt >= NODES_MAX) {
        refuse(c, "the schema is too large (%u alternatives)", s->n_alt);
        return;
    }
    if (s->n_alt == s->cap_alt) {
        s->cap_alt = s->cap_alt ? s->cap_alt * 2 : 64;
        s->alt = mem_grow(s->alt, s->cap_alt * sizeof *s->alt);
    }
    a.shortest = FAR;
    s->alt[s->n_alt] = a;
    struct build_node *b = &s->build[node];
    push(&b->alt, &b->n_alt, &b->cap_alt, s->n_alt++);
}

static void add_sub(struct compiler *c, uint32_t node, uint32_t sub)
{
    if (sub == NONE) return;
    struct build_node *b = &c->s->build[node];
    push(&b->sub, &b->n_sub, &b->cap_sub, sub);
}

// ---- memo: one node for one schema object and set of types ----

static size_t memo_slot(const struct compiler *c, const json_t *schema, unsigned types)
{
    uint64_t h = ((uint64_t)(uintptr_t)schema >> 4) * 0x9e3779b97f4a7c15u + types * 0x85ebca6bu;
    size_t i = (size_t)(h >> 20) & (c->cap_memo - 1);
    while (c->memo[i].types && (c->memo[i].schema != schema || c->memo[i].types != types))
        i = (i + 1) & (c->cap_memo - 1);
    return i;
}

static void memo_grow(struct compiler *c)
{
    struct memo *old = c->memo;
    size_t n = c->cap_memo;
    c->cap_memo = n ? n * 2 : 256;
    c->memo = mem_new(c->cap_memo * sizeof *c->memo);
    for (size_t i = 0; i < n; i++)
        if (old[i].types) c->memo[memo_slot(c, old[i].schema, old[i].types)] = old[i];
    free(old);
}

// The node of this schema; *fresh when it was made now and has to be filled. types is not 0.
static uint32_t memo_node(struct compiler *c, const json_t *schema, unsigned types, bool *fresh)
{
    if ((c->n_memo + 1) * 2 > c->cap_memo) memo_grow(c);
    struct memo *m = &c->memo[memo_slot(c, schema, types)];
    *fresh = m->types == 0;
    if (*fresh) {
        *m = (struct memo){schema, types, node_new(c)};
        c->n_memo++;
    }
    return m->node;
}

// ---- leaves ----

static void add_words(struct compiler *c, uint32_t node, struct word *v, uint32_t n)
{
    if (n == 0) return;
    struct words *w = chunk_alloc(&c->s->mem, sizeof *w);
    *w = words_make(&c->s->mem, v, n);
    add_alt(c, node, (struct alt){.kind = ALT_WORDS, .words = w});
}

static void add_constants(struct compiler *c, uint32_t node, unsigned types)
{
    struct word v[3];
    uint32_t n = 0;
    if (types & TYPE_BOOLEAN) v[n++] = (struct word){"true", 4, 0};
    if (types & TYPE_BOOLEAN) v[n++] = (struct word){"false", 5, 0};
    if (types & TYPE_NULL) v[n++] = (struct word){"null", 4, 0};
    add_words(c, node, v, n);
}

static uint32_t any_value(struct compiler *c, unsigned types)
{
    bool fresh;
    uint32_t node = memo_node(c, NULL, types, &fresh);
    if (!fresh || c->failed) return node;
    struct chunks *mem = &c->s->mem;
    add_constants(c, node, types);
    if (types & TYPE_STRING)
        add_alt(c, node, (struct alt){.kind = ALT_STRING, .string = {0, NONE}});
    if (types & TYPE_NUMBER) {
        struct range *r = chunk_alloc(mem, sizeof *r);
        r->integer = !(types & TYPE_FRACTION);
        range_finish(r);
        add_alt(c, node, (struct alt){.kind = ALT_NUMBER, .range = r});
    }
    if (types & TYPE_ARRAY) {
        struct array *a = chunk_alloc(mem, sizeof *a);
        a->items = any_value(c, TYPE_ANY);
        a->max = NONE;
        add_alt(c, node, (struct alt){.kind = ALT_ARRAY, .array = a});
    }
    if (types & TYPE_OBJECT) {
        struct object *o = chunk_alloc(mem, sizeof *o);
        o->extra = any_value(c, TYPE_ANY);
        o->max = NONE;
        add_alt(c, node, (struct alt){.kind = ALT_OBJECT, .object = o});
    }
    return node;
}

static unsigned types_of(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_NULL: return TYPE_NULL;
    case JSON_TRUE:
    case JSON_FALSE: return TYPE_BOOLEAN;
    case JSON_INTEGER: return TYPE_INTEGER;
    case JSON_REAL:
        return json_real_value(v) == floor(json_real_value(v)) ? TYPE_INTEGER : TYPE_FRACTION;
    case JSON_STRING: return TYPE_STRING;
    case JSON_ARRAY: return TYPE_ARRAY;
    default: return TYPE_OBJECT;
    }
}

// ---- values of enum and const ----

struct word_list {
    struct word *v;
    uint32_t n, cap;
};

static void list_word(struct compiler *c, struct word_list *l, const char *text, size_t n)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 8;
        l->v = mem_grow(l->v, l->cap * sizeof *l->v);
    }
    l->v[l->n++] = word_copy(&c->s->mem, text, n, 0);
}

static void list_scalar(struct compiler *c, struct word_list *l, const json_t *v)
{
    buf b = buf_new(64 << 20);
    json_scalar_text(&b, v);
    list_word(c, l, b.p, b.n);
    if (b.n > 2 && json_is_real(v) && memcmp(b.p + b.n - 2, ".0", 2) == 0)
        list_word(c, l, b.p, b.n - 2); // 1.0 may also be written 1
    buf_free(&b);
}

static struct object *object_of(struct compiler *c, struct property *p, const char **names,
                                uint32_t n);

static void add_value(struct compiler *c, uint32_t node, struct word_list *scalars,
                      const json_t *v);

static uint32_t constant_node(struct compiler *c, const json_t *v)
{
    uint32_t node = node_new(c);
    if (c->failed) return NONE;
    if (++c->depth > DEPTH_MAX) refuse(c, "nested deeper than %d levels", DEPTH_MAX);
    struct word_list scalars = {0};
    if (!c->failed) add_value(c, node, &scalars, v);
    add_words(c, node, scalars.v, scalars.n);
    free(scalars.v);
    c->depth--;
    return node;
}

static void add_array_value(struct compiler *c, uint32_t node, const json_t *v)
{
    struct array *a = chunk_alloc(&c->s->mem, sizeof *a);
    a->n_prefix = a->min = a->max = (uint32_t)json_array_size(v);
    a->prefix = chunk_alloc(&c->s->mem, (a->n_prefix + 1) * sizeof *a->prefix);
    a->items = NONE;
    for (uint32_t i = 0; i < a->n_prefix; i++)
        a->prefix[i] = constant_node(c, json_array_get(v, i));
    add_alt(c, node, (struct alt){.kind = ALT_ARRAY, .array = a});
}

static void add_object_value(struct compiler *c, uint32_t node, const json_t *v)
{
    uint32_t n = (uint32_t)json_object_size(v), i = 0;
    struct property *p = chunk_alloc(&c->s->mem, (n + 1) * sizeof *p);
    const char **names = chunk_alloc(&c->s->mem, (n + 1) * sizeof *names);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)v, key, value)
    {
        names[i] = key;
        p[i++] = (struct property){.node = constant_node(c, value), .required = true};
    }
    struct object *o = object_of(c, p, names, n);
    o->extra = NONE;
    o->max = NONE;
    add_alt(c, node, (struct alt){.kind = ALT_OBJECT, .object = o});
}

static void add_value(struct compiler *c, uint32_t node, struct word_list *scalars, const json_t *v)
{
    if (json_is_array(v))
        add_array_value(c, node, v);
    else if (json_is_object(v))
        add_object_value(c, node, v);
    else
        list_scalar(c, scalars, v);
}

static void add_enum(struct compiler *c, uint32_t node, const json_t *values, unsigned types)
{
    struct word_list scalars = {0};
    size_t i;
    json_t *v;
    json_array_foreach(values, i, v)
    {
        if (types_of(v) & types && !c->failed) add_value(c, node, &scalars, v);
    }
    add_words(c, node, scalars.v, scalars.n);
    free(scalars.v);
}

// ---- numbers of keywords ----

// A keyword whose value is a count; `absent` when it is not there. Counts beyond 32 bits are NONE.
static uint32_t count_of(struct compiler *c, const json_t *schema, const char *keyword,
                         uint32_t absent)
{
    const json_t *v = json_object_get(schema, keyword);
    if (!v) return absent;
    double f = json_number_value(v);
    if (!json_is_number(v) || f < 0 || f != floor(f)) {
        refuse_at(c, keyword, "expected a count");
        return absent;
    }
    return f >= NONE ? NONE : (uint32_t)f;
}

static bool read_bound(struct compiler *c, const json_t *schema, const char *keyword,
                       struct bound *b)
{
    const json_t *v = json_object_get(schema, keyword);
    *b = (struct bound){0};
    if (!v || json_is_boolean(v)) return true; // draft 4 has exclusiveMinimum: true; see below
    if (!json_is_number(v)) {
        refuse_at(c, keyword, "expected a number");
        return false;
    }
    bool low = strstr(keyword, "inimum") != NULL;
    double f = json_number_value(v);
    if (low ? f < -1e39 : f > 1e39) return true; // beyond every number that is written
    if (bound_from_json(b, v)) return true;
    refuse_at(c, keyword, "a bound of more than 40 digits before or 60 after the point");
    return false;
}

// The tighter of an inclusive and an exclusive bound. sign 1: a lower bound.
static struct bound tighter(const struct bound *inclusive, const struct bound *exclusive, int sign)
{
    if (!exclusive->given) return *inclusive;
    struct bound e = *exclusive;
    e.exclusive = true;
    return inclusive->given && bound_compare(inclusive, exclusive) * sign > 0 ? *inclusive : e;
}

static void add_number(struct compiler *c, uint32_t node, const json_t *schema, unsigned types)
{
    struct bound low, high, above, below;
    struct range *r = chunk_alloc(&c->s->mem, sizeof *r);
    r->integer = !(types & TYPE_FRACTION);
    if (!read_bound(c, schema, "minimum", &low) || !read_bound(c, schema, "maximum", &high) ||
        !read_bound(c, schema, "exclusiveMinimum", &above) ||
        !read_bound(c, schema, "exclusiveMaximum", &below))
        return;
    low.exclusive = json_is_true(json_object_get(schema, "exclusiveMinimum"));
    high.exclusive = json_is_true(json_object_get(schema, "exclusiveMaximum"));
    r->low = tighter(&low, &above, 1);
    r->high = tighter(&high, &below, -1);
    if (r->integer) range_close_integer(r);
    if (!range_finish(r)) {
        refuse(c, "these numeric bounds cannot be kept exactly");
        return;
    }
    add_alt(c, node, (struct alt){.kind = ALT_NUMBER, .range = r});
}

static void add_string(struct compiler *c, uint32_t node, const json_t *schema)
{
    uint32_t min = count_of(c, schema, "minLength", 0);
    uint32_t max = count_of(c, schema, "maxLength", NONE);
    if (min <= max) add_alt(c, node, (struct alt){.kind = ALT_STRING, .string = {min, max}});
}

// ---- arrays and objects ----

static void read_prefix(struct compiler *c, struct array *a, const json_t *list,
                        const char *keyword)
{
    size_t before = path_enter(c, keyword);
    a->n_prefix = (uint32_t)json_array_size(list);
    a->prefix = chunk_alloc(&c->s->mem, (a->n_prefix + 1) * sizeof *a->prefix);
    for (uint32_t i = 0; i < a->n_prefix && !c->failed; i++) {
        size_t here = path_enter_index(c, i);
        a->prefix[i] = compile(c, json_array_get(list, i), TYPE_ANY);
        path_leave(c, here);
    }
    path_leave(c, before);
}

static uint32_t compile_at(struct compiler *c, const json_t *schema, const char *keyword)
{
    size_t before = path_enter(c, keyword);
    uint32_t node = compile(c, schema, TYPE_ANY);
    path_leave(c, before);
    return node;
}

static void add_array(struct compiler *c, uint32_t node, const json_t *schema)
{
    struct array *a = chunk_alloc(&c->s->mem, sizeof *a);
    const json_t *items = json_object_get(schema, "items");
    const json_t *prefix = json_object_get(schema, "prefixItems");
    const char *rest = "items";
    if (json_is_array(items)) { // before 2020-12, the prefix and the rest had these names
        if (prefix) {
            refuse_at(c, "prefixItems", "stands beside a list of items");
            return;
        }
        read_prefix(c, a, items, "items");
        rest = "additionalItems";
        items = json_object_get(schema, rest);
    } else if (prefix) {
        if (!json_is_array(prefix)) {
            refuse_at(c, "prefixItems", "expected a list of schemas");
            return;
        }
        read_prefix(c, a, prefix, "prefixItems");
    }
    a->items = items ? compile_at(c, items, rest) : any_value(c, TYPE_ANY);
    a->min = count_of(c, schema, "minItems", 0);
    a->max = count_of(c, schema, "maxItems", NONE);
    add_alt(c, node, (struct alt){.kind = ALT_ARRAY, .array = a});
}

// The tables of names of an object.
static struct object *object_of(struct compiler *c, struct property *p, const char **names,
                                uint32_t n)
{
    struct chunks *mem = &c->s->mem;
    struct object *o = chunk_alloc(mem, sizeof *o);
    struct word *keys = mem_new((n + 1) * sizeof *keys);
    struct word *all = mem_new((n + 1) * sizeof *all);
    buf b = buf_new(64 << 20);
    for (uint32_t i = 0; i < n; i++) {
        buf_clear(&b);
        json_quoted(&b, names[i], strlen(names[i]));
        p[i].key_len = (uint32_t)b.n;
        keys[i] = word_copy(mem, b.p + 1, b.n - 1, i);
        all[i] = word_copy(mem, names[i], strlen(names[i]), 0);
    }
    o->n = n;
    o->p = p;
    o->keys = words_make(mem, keys, n);
    o->names = words_make(mem, all, n);
    buf_free(&b);
    free(keys);
    free(all);
    return o;
}

static uint32_t read_additional(struct compiler *c, const json_t *schema)
{
    const json_t *extra = json_object_get(schema, "additionalProperties");
    if (extra) return json_is_false(extra) ? NONE : compile_at(c, extra, "additionalProperties");
    return json_object_get(schema, "properties") ? NONE : any_value(c, TYPE_ANY);
}

static bool is_required(const json_t *required, const char *name)
{
    size_t i;
    json_t *v;
    json_array_foreach(required, i, v) if (strcmp(json_string_value(v), name) == 0) return true;
    return false;
}

static bool check_object(struct compiler *c, const json_t *properties, const json_t *required)
{
    if (properties && !json_is_object(properties))
        return refuse_at(c, "properties", "expected an object"), false;
    if (required && !json_is_array(required))
        return refuse_at(c, "required", "expected a list of names"), false;
    size_t i;
    json_t *v;
    json_array_foreach(required, i, v) if (!json_is_string(v)) return refuse_at(
        c, "required", "expected a list of names"),
        false;
    if (json_object_size(properties) * json_array_size(required) > 50000000)
        return refuse_at(c, "required", "too many names"), false;
    return true;
}

static void add_object(struct compiler *c, uint32_t node, const json_t *schema)
{
    const json_t *properties = json_object_get(schema, "properties");
    const json_t *required = json_object_get(schema, "required");
    if (!check_object(c, properties, required)) return;
    uint32_t extra = read_additional(c, schema);
    // A required name that is not declared has the schema of additional properties.
    uint32_t undeclared =
        json_object_get(schema, "additionalProperties") ? extra : any_value(c, TYPE_ANY);
    uint32_t cap = (uint32_t)(json_object_size(properties) + json_array_size(required)), n = 0;
    struct property *p = chunk_alloc(&c->s->mem, (cap + 1) * sizeof *p);
    const char **names = chunk_alloc(&c->s->mem, (cap + 1) * sizeof *names);
    const char *key;
    json_t *value;
    size_t before = path_enter(c, "properties"), i;
    json_object_foreach((json_t *)properties, key, value)
    {
        if (c->failed) return;
        size_t here = path_enter(c, key);
        names[n] = key;
        p[n++] = (struct property){.node = compile(c, value, TYPE_ANY),
                                   .required = is_required(required, key)};
        path_leave(c, here);
    }
    path_leave(c, before);
    uint32_t declared = n;
    json_array_foreach(required, i, value)
    {
        const char *name = json_string_value(value);
        bool known = json_object_get(properties, name) != NULL;
        for (uint32_t k = declared; k < n && !known; k++) known = strcmp(names[k], name) == 0;
        if (known) continue;
        names[n] = name;
        p[n++] = (struct property){.node = undeclared, .required = true};
    }
    if (c->failed) return;
    struct object *o = object_of(c, p, names, n);
    o->extra = extra;
    o->min = count_of(c, schema, "minProperties", 0);
    if (o->min > 1000 || o->min > json_array_size(required) + EXTRA_KEYS_MAX) {
        refuse_at(c, "minProperties", "too many properties for this decoder");
        return;
    }
    o->max = count_of(c, schema, "maxProperties", NONE);
    add_alt(c, node, (struct alt){.kind = ALT_OBJECT, .object = o});
}

// ---- one schema ----

static const struct keyword *find_keyword(const char *name)
{
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++)
        if (strcmp(keywords[i].name, name) == 0) return &keywords[i];
    return NULL;
}

// Does a refused keyword with this value assert anything after all?
static bool asserts(const char *keyword, const json_t *value)
{
    if (strcmp(keyword, "uniqueItems") == 0) return !json_is_false(value);
    if (strcmp(keyword, "format") == 0) {
        for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
            if (json_is_string(value) && strcmp(json_string_value(value), formats[i]) == 0)
                return true;
        return false;
    }
    if (strcmp(keyword, "allOf") == 0 || strcmp(keyword, "oneOf") == 0)
        return json_array_size(value) != 1; // of one branch: the branch
    return true;
}

static bool read_types(struct compiler *c, const json_t *schema, unsigned *types)
{
    const json_t *type = json_object_get(schema, "type"), *v;
    size_t n = json_is_array(type) ? json_array_size(type) : 1;
    unsigned own = 0;
    for (size_t i = 0; type && i < n; i++) {
        v = json_is_array(type) ? json_array_get(type, i) : type;
        unsigned bits = 0;
        for (size_t k = 0; k < sizeof type_names / sizeof type_names[0]; k++)
            if (json_is_string(v) && strcmp(json_string_value(v), type_names[k].name) == 0)
                bits = type_names[k].bits;
        if (!bits) {
            refuse_at(c, "type",
                      "expected null, boolean, integer, number, string, array or object");
            return false;
        }
        own |= bits;
    }
    if (type) *types &= own;
    return true;
}

// Types that the keywords present speak of; see the policy in grammar.h.
static unsigned implied_types(const json_t *schema)
{
    unsigned bits = 0;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)schema, key, value)
    {
        const struct keyword *k = find_keyword(key);
        if (k && k->types != TYPE_ANY && !(k->refused && !asserts(key, value))) bits |= k->types;
    }
    return bits ? bits : TYPE_ANY;
}

// Refuses the first keyword beside `main` (and type) that asserts something.
static bool stands_alone(struct compiler *c, const json_t *schema, const char *main)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)schema, key, value)
    {
        const struct keyword *k = find_keyword(key);
        if (!k || strcmp(key, main) == 0 || strcmp(key, "type") == 0) continue;
        if (k->refused && !asserts(key, value) && k->types != TYPE_ANY) continue;
        char why[80];
        snprintf(why, sizeof why, "not enforced beside %s", main);
        refuse_at(c, key, why);
        return false;
    }
    return true;
}

static bool check_refused(struct compiler *c, const json_t *schema, unsigned types)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)schema, key, value)
    {
        const struct keyword *k = find_keyword(key);
        if (!k || !k->refused || !(k->types & types) || !asserts(key, value)) continue;
        refuse_at(c, key, "this keyword is not enforced");
        return false;
    }
    return true;
}

static int from_hex(char c)
{
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
}

// One step of a JSON pointer in a URI fragment: the text between slashes, decoded.
static char *pointer_step(const char *from, const char *to)
{
    char *out = mem_new((size_t)(to - from) + 1), *w = out;
    for (; from < to; from++) {
        char ch = *from;
        if (ch == '%' && to - from > 2 && from_hex(from[1]) >= 0 && from_hex(from[2]) >= 0) {
            ch = (char)(from_hex(from[1]) * 16 + from_hex(from[2]));
            from += 2;
        }
        if (w > out && w[-1] == 1) { // after "~", kept as 1 until now
            w[-1] = ch == '1' ? '/' : '~';
            if (ch != '0' && ch != '1') *w++ = ch;
        } else {
            *w++ = ch == '~' ? 1 : ch;
        }
    }
    *w = 0;
    return out;
}

static const json_t *resolve(const json_t *root, const char *ref)
{
    const json_t *at = root;
    const char *p = ref + 1;
    while (at && *p == '/') {
        const char *end = strchr(p + 1, '/');
        if (!end) end = p + strlen(p);
        char *name = pointer_step(p + 1, end), *rest;
        if (json_is_array(at)) {
            unsigned long i = strtoul(name, &rest, 10);
            at = *name && !*rest ? json_array_get(at, i) : NULL;
        } else {
            at = json_object_get(at, name);
        }
        free(name);
        p = end;
    }
    return *p ? NULL : at;
}

static void follow_ref(struct compiler *c, uint32_t node, const json_t *schema, unsigned types)
{
    const json_t *ref = json_object_get(schema, "$ref");
    if (!stands_alone(c, schema, "$ref")) return;
    const char *text = json_string_value(ref);
    if (!text || text[0] != '#' || (text[1] && text[1] != '/') || c->nested_id) {
        refuse_at(c, "$ref", "only references within the schema (#, #/$defs/...) are resolved");
        return;
    }
    const json_t *target = resolve(c->root, text);
    if (!target) {
        refuse_at(c, "$ref", "there is nothing at this place");
        return;
    }
    char *saved = mem_str(buf_text(&c->path));
    path_leave(c, 0);
    buf_str(&c->path, text + 1);
    add_sub(c, node, compile(c, target, types));
    path_leave(c, 0);
    buf_str(&c->path, saved);
    free(saved);
}

static void add_union(struct compiler *c, uint32_t node, const json_t *schema, const char *keyword,
                      unsigned types)
{
    const json_t *branches = json_object_get(schema, keyword), *branch;
    if (!stands_alone(c, schema, keyword)) return;
    if (!json_is_array(branches) || json_array_size(branches) == 0) {
        refuse_at(c, keyword, "expected a list of schemas");
        return;
    }
    size_t before = path_enter(c, keyword), i;
    json_array_foreach(branches, i, branch)
    {
        size_t here = path_enter_index(c, i);
        if (!c->failed) add_sub(c, node, compile(c, branch, types));
        path_leave(c, here);
    }
    path_leave(c, before);
}

static void fill(struct compiler *c, uint32_t node, const json_t *schema, unsigned types)
{
    static const char *const unions[] = {"anyOf", "oneOf", "allOf"};
    if (!read_types(c, schema, &types) || !check_refused(c, schema, types)) return;
    if (json_object_get(schema, "$ref")) {
        if (types) follow_ref(c, node, schema, types);
        return;
    }
    for (size_t i = 0; i < 3; i++)
        if (json_object_get(schema, unions[i])) {
            if (types) add_union(c, node, schema, unions[i], types);
            return;
        }
    const json_t *values = json_object_get(schema, "enum"),
                 *value = json_object_get(schema, "const");
    if (values || value) {
        if (!stands_alone(c, schema, values ? "enum" : "const")) return;
        if (values && !json_is_array(values)) {
            refuse_at(c, "enum", "expected a list of values");
            return;
        }
        json_t *one = value ? json_pack("[O]", value) : NULL;
        add_enum(c, node, value ? one : values, types);
        json_decref(one);
        return;
    }
    if (!json_object_get(schema, "type")) types &= implied_types(schema);
    add_constants(c, node, types);
    if (types & TYPE_STRING) add_string(c, node, schema);
    if (types & TYPE_NUMBER) add_number(c, node, schema, types);
    if (types & TYPE_ARRAY) add_array(c, node, schema);
    if (types & TYPE_OBJECT) add_object(c, node, schema);
}

static uint32_t compile(struct compiler *c, const json_t *schema, unsigned types)
{
    if (c->failed) return NONE;
    if (json_is_true(schema)) return any_value(c, types);
    if (json_is_false(schema)) return node_new(c);
    if (!json_is_object(schema)) return refuse(c, "expected a schema: an object, true or false");
    bool fresh, id_before = c->nested_id;
    uint32_t node = memo_node(c, schema, types, &fresh);
    if (!fresh || c->failed) return node;
    if (++c->depth > DEPTH_MAX) return refuse(c, "nested deeper than %d levels", DEPTH_MAX);
    const json_t *id = json_object_get(schema, "$id");
    if (schema != c->root && json_is_string(id) && json_string_value(id)[0] != '#')
        c->nested_id = true;
    fill(c, node, schema, types);
    c->nested_id = id_before;
    c->depth--;
    return node;
}

uint32_t schema_add(struct schema *s, const json_t *schema, const char *what, bool object_only,
                    err *e)
{
    struct compiler c = {.s = s, .root = schema, .what = what, .e = e, .path = buf_new(1 << 16)};
    uint32_t node = compile(&c, schema, object_only ? TYPE_OBJECT : TYPE_ANY);
    buf_free(&c.path);
    free(c.memo);
    return c.failed ? NONE : node;
}

// ---- lengths, and what cannot be satisfied ----

// Alternatives of a node with those of its subs, each once.
struct flatten {
    struct schema *s;
    uint32_t *seen_alt, *seen_node; // stamps
    uint32_t stamp;
    uint32_t *out, n, cap;
    bool cycle; // a node is, through its subs alone, its own alternative
};

static void flatten(struct flatten *f, uint32_t node)
{
    // An explicit stack: chains of $ref may be long.
    uint32_t *stack = NULL, n = 0, cap = 0;
    push(&stack, &n, &cap, node);
    while (n) {
        uint32_t at = stack[--n];
        if (f->seen_node[at] == f->stamp) continue;
        f->seen_node[at] = f->stamp;
        const struct build_node *b = &f->s->build[at];
        for (uint32_t i = 0; i < b->n_alt; i++)
            if (f->seen_alt[b->alt[i]] != f->stamp) {
                f->seen_alt[b->alt[i]] = f->stamp;
                push(&f->out, &f->n, &f->cap, b->alt[i]);
            }
        for (uint32_t i = b->n_sub; i-- > 0;) {
            f->cycle = f->cycle || b->sub[i] == node;
            push(&stack, &n, &cap, b->sub[i]);
        }
    }
    free(stack);
}

static int flatten_all(struct schema *s, err *e)
{
    struct flatten f = {.s = s};
    f.seen_alt = mem_new((s->n_alt + 1) * sizeof *f.seen_alt);
    f.seen_node = mem_new((s->n_node + 1) * sizeof *f.seen_node);
    s->node = chunk_alloc(&s->mem, (s->n_node + 1) * sizeof *s->node);
    uint64_t total = 0;
    for (uint32_t i = 0; i < s->n_node && total <= UNION_MAX; i++) {
        f.stamp = i + 1;
        f.n = 0;
        flatten(&f, i);
        total += f.n;
        s->node[i] = (struct node){.n = f.n, .shortest = FAR};
        s->node[i].alt = chunk_alloc(&s->mem, (f.n + 1) * sizeof *s->node[i].alt);
        if (f.n) memcpy(s->node[i].alt, f.out, f.n * sizeof *f.out);
    }
    free(f.seen_alt);
    free(f.seen_node);
    free(f.out);
    if (f.cycle)
        return err_set(e, ERR_INPUT,
                       "schema: a $ref comes back to itself without describing anything");
    if (total <= UNION_MAX) return 0;
    return err_set(e, ERR_INPUT, "schema: more than %u alternatives in its anyOf", UNION_MAX);
}

static uint32_t separator(const struct schema *s)
{
    return s->spacing == SPACING_PYTHON ? 2 : 1;
}

static uint32_t node_shortest(const struct schema *s, uint32_t node)
{
    uint32_t best = FAR;
    if (node == NONE) return FAR;
    for (uint32_t i = 0; i < s->node[node].n; i++) {
        uint32_t n = s->alt[s->node[node].alt[i]].shortest;
        if (n < best) best = n;
    }
    return best;
}

// While the fixed point is computed node.shortest is not yet known.
static uint32_t node_least(const struct schema *s, uint32_t node)
{
    if (node == NONE) return FAR;
    return s->node[node].shortest < FAR ? s->node[node].shortest : node_shortest(s, node);
}

static uint32_t array_shortest(const struct schema *s, const struct array *a)
{
    uint32_t total = 2, min = a->min;
    if (min > a->max) return FAR;
    for (uint32_t i = 0; i < a->n_prefix && i < min; i++)
        total = far_add(total, far_add(node_shortest(s, a->prefix[i]), i ? separator(s) : 0));
    if (min > a->n_prefix) {
        uint32_t each = far_add(node_shortest(s, a->items), separator(s));
        total = far_add(total, far_mul(min - a->n_prefix, each));
        if (a->n_prefix == 0 && total < FAR) total -= separator(s);
    }
    return total;
}

static uint32_t property_cost(const struct schema *s, uint32_t key_len, uint32_t value)
{
    return far_add(far_add(separator(s) + separator(s), key_len),
                   value); // comma, key, colon, value
}

// The cheapest `need` properties that are not required: declared ones from `next` on, and up to
// `extra` additional ones. By repeated selection in the order of (cost, position): need is small.
static uint32_t cheapest(const struct schema *s, const struct object *o, uint32_t next,
                         uint32_t need, uint32_t extra)
{
    uint32_t each = extra ? property_cost(s, EXTRA_KEY_BYTES, node_least(s, o->extra)) : FAR;
    uint32_t total = 0, last_cost = 0, last_at = 0;
    for (uint32_t taken = 0; taken < need; taken++) {
        uint32_t best = FAR, at = 0;
        for (uint32_t i = next; i < o->n; i++) {
            if (o->p[i].required) continue;
            uint32_t cost = property_cost(s, o->p[i].key_len, node_least(s, o->p[i].node));
            bool fresh = taken == 0 || cost > last_cost || (cost == last_cost && i > last_at);
            if (cost < best && fresh) {
                best = cost;
                at = i;
            }
        }
        if (best > each && extra > 0) {
            extra--;
            total = far_add(total, each);
            continue;
        }
        if (best == FAR) return FAR;
        total = far_add(total, best);
        last_cost = best;
        last_at = at;
    }
    return total;
}

// The same for any state of the object; required: of those from next on, their number and cost.
static uint32_t rest_of_object(const struct schema *s, const struct object *o, uint32_t next,
                               uint32_t count, uint32_t n_used, uint32_t required, uint32_t cost)
{
    if (count + required > o->max || o->min > o->max) return FAR;
    uint32_t need = o->min > count + required ? o->min - count - required : 0;
    uint32_t extra = o->extra == NONE ? 0 : EXTRA_KEYS_MAX - n_used;
    uint32_t more = need ? cheapest(s, o, next, need, extra) : 0;
    return far_add(far_add(cost, more), 1);
}

uint32_t object_rest(const struct schema *s, const struct object *o, uint32_t next, uint32_t count,
                     uint32_t n_used)
{
    return rest_of_object(s, o, next, count, n_used, o->required_from[next], o->cost_from[next]);
}

static uint32_t object_shortest(const struct schema *s, const struct object *o)
{
    uint32_t required = 0, cost = 0;
    for (uint32_t i = 0; i < o->n; i++) {
        if (!o->p[i].required) continue;
        required++;
        cost = far_add(cost, property_cost(s, o->p[i].key_len, node_shortest(s, o->p[i].node)));
    }
    uint32_t total = far_add(1, rest_of_object(s, o, 0, 0, 0, required, cost));
    bool empty = required == 0 && o->min == 0;
    return empty || total == FAR ? total : total - separator(s); // none before the first
}

static uint32_t alt_shortest(const struct schema *s, const struct alt *a)
{
    static const struct number nothing = {.sub = NUM_MINUS},
                               minus = {.sub = NUM_MINUS, .minus = true};
    switch (a->kind) {
    case ALT_STRING: return far_add(a->string.min, 2);
    case ALT_WORDS: return a->words->shortest;
    case ALT_ARRAY: return array_shortest(s, a->array);
    case ALT_OBJECT: return object_shortest(s, a->object);
    case ALT_NUMBER: break;
    }
    uint32_t n = number_rest(a->range, &nothing), m = far_add(1, number_rest(a->range, &minus));
    return n < m ? n : m;
}

static uint64_t alt_work(const struct alt *a)
{
    if (a->kind == ALT_ARRAY) return 1 + a->array->n_prefix;
    return a->kind == ALT_OBJECT ? 1 + (uint64_t)a->object->n * (1 + a->object->min) : 1;
}

static int find_lengths(struct schema *s, err *e)
{
    uint64_t work = 0;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = 0; i < s->n_alt; i++) {
            struct alt *a = &s->alt[i];
            if ((a->kind == ALT_STRING || a->kind == ALT_WORDS || a->kind == ALT_NUMBER) &&
                a->shortest < FAR)
                continue;
            uint32_t n = alt_shortest(s, a);
            work += alt_work(a);
            if (n < a->shortest) {
                a->shortest = n;
                changed = true;
            }
        }
        if (work > WORK_MAX)
            return err_set(e, ERR_INPUT, "schema: too deeply entangled to compile");
    }
    return 0;
}

// Removes what no document can use, so that every state that is reached can be left again.
static void prune_array(struct schema *s, struct array *a)
{
    for (uint32_t i = 0; i < a->n_prefix; i++)
        if (s->node[a->prefix[i]].shortest == FAR) {
            a->n_prefix = i;
            a->items = NONE;
        }
    if (a->items != NONE && s->node[a->items].shortest == FAR) a->items = NONE;
    if (a->items == NONE && a->max > a->n_prefix) a->max = a->n_prefix;
    if (a->n_prefix > a->max) a->n_prefix = a->max;
    a->cost = chunk_alloc(&s->mem, (a->n_prefix + 1) * sizeof *a->cost);
    for (uint32_t i = 0; i < a->n_prefix; i++)
        a->cost[i + 1] = far_add(a->cost[i], far_add(separator(s), s->node[a->prefix[i]].shortest));
}

static void prune_object(struct schema *s, struct object *o)
{
    if (o->extra != NONE && s->node[o->extra].shortest == FAR) o->extra = NONE;
    o->required_from = chunk_alloc(&s->mem, (o->n + 1) * sizeof(uint32_t));
    o->cost_from = chunk_alloc(&s->mem, (o->n + 1) * sizeof(uint32_t));
    o->next_required = chunk_alloc(&s->mem, (o->n + 1) * sizeof(uint32_t));
    o->next_required[o->n] = o->n;
    for (uint32_t i = o->n; i-- > 0;) {
        const struct property *p = &o->p[i];
        uint32_t value = s->node[p->node].shortest;
        o->next_required[i] = p->required ? i : o->next_required[i + 1];
        o->required_from[i] = o->required_from[i + 1] + p->required;
        o->cost_from[i] = p->required
                              ? far_add(o->cost_from[i + 1], property_cost(s, p->key_len, value))
                              : o->cost_from[i + 1];
        o->p[i].usable = value < FAR;
    }
    o->usable_from = chunk_alloc(&s->mem, (o->n + 1) * sizeof(uint32_t));
    for (uint32_t i = o->n; i-- > 0;) o->usable_from[i] = o->usable_from[i + 1] + o->p[i].usable;
}

static void prune(struct schema *s)
{
    for (uint32_t i = 0; i < s->n_node; i++) {
        struct node *n = &s->node[i];
        uint32_t kept = 0;
        n->shortest = node_shortest(s, i);
        for (uint32_t k = 0; k < n->n; k++)
            if (s->alt[n->alt[k]].shortest < FAR) n->alt[kept++] = n->alt[k];
        n->n = kept;
    }
    for (uint32_t i = 0; i < s->n_alt; i++) {
        if (s->alt[i].shortest == FAR) continue;
        if (s->alt[i].kind == ALT_ARRAY) prune_array(s, s->alt[i].array);
        if (s->alt[i].kind == ALT_OBJECT) prune_object(s, s->alt[i].object);
    }
}

void schema_release_build(struct schema *s)
{
    for (uint32_t i = 0; s->build && i < s->n_node; i++) {
        free(s->build[i].alt);
        free(s->build[i].sub);
    }
    free(s->build);
    s->build = NULL;
}

int schema_finish(struct schema *s, const uint32_t *roots, size_t n_root, const char *const *what,
                  err *e)
{
    if (flatten_all(s, e) < 0 || find_lengths(s, e) < 0) return -1;
    prune(s);
    schema_release_build(s);
    for (size_t i = 0; i < n_root; i++)
        if (s->node[roots[i]].shortest == FAR)
            return err_set(e, ERR_INPUT,
                           "%s: #: no value of reasonable length satisfies this schema", what[i]);
    return 0;
}
