// A JSON Schema becomes sets of values. Every subschema is a node; its set is made from the
// keywords that stand in it, all together (and), with the sets of in-place subschemas ($ref, allOf,
// anyOf, oneOf, not, if) taken apart at once and those of properties and elements left as nodes,
// which are worked off one after the other. All of a schema that can be reached is read before the
// first token, so what cannot be enforced is refused here, with its place.
#include "base/mem.h"
#include "engine/float_text.h"
#include "engine/grammar_private.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define NODES_MAX    400000
#define BRANCHES_MAX 128 // ways in which unevaluated* can be decided
#define DEPTH_MAX    400 // in-place subschemas within one another

struct compiler {
    grammar *g;
    struct places places;
    const json_t *document;
    const char *what;
    bool old;    // draft 7 and before: nothing counts beside $ref
    bool draft4; // and before: const, contains, propertyNames and if are unknown
    bool open;   // combined with another schema: nothing closes by itself here
    int depth;
    bool failed;
    err *e;
};

// ---- refusals ----

// Writes the JSON pointer of `wanted` within `at`; false: it is not there.
static bool find_path(const json_t *at, const json_t *wanted, buf *path, int depth)
{
    const char *key;
    json_t *sub;
    size_t i, n = path->n;
    if (at == wanted) return true;
    if (depth > 2000) return false;
    if (json_is_array(at)) {
        json_array_foreach(at, i, sub)
        {
            char index[24];
            snprintf(index, sizeof index, "/%zu", i);
            buf_str(path, index);
            if (find_path(sub, wanted, path, depth + 1)) return true;
            path->n = n;
        }
    }
    if (!json_is_object(at)) return false;
    json_object_foreach((json_t *)at, key, sub)
    {
        buf_str(path, "/");
        for (const char *c = key; *c; c++)
            buf_str(path, *c == '~' ? "~0" : *c == '/' ? "~1" : (char[]){*c, 0});
        if (find_path(sub, wanted, path, depth + 1)) return true;
        path->n = n;
    }
    return false;
}

__attribute__((format(printf, 4, 5))) static void refuse(struct compiler *c, const json_t *schema,
                                                         const char *keyword, const char *fmt, ...)
{
    if (c->failed) return;
    char why[300];
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    buf path = buf_new((size_t)16 << 20);
    if (!find_path(c->document, schema, &path, 0)) path.n = 0;
    if (path.n) path.p[path.n] = 0;
    const char *at = path.n ? path.p : "";
    size_t n = strlen(at);
    err_set(c->e, ERR_INPUT, "%s: #%s%s%s%s: %s", c->what, n > 400 ? "..." : "",
            n > 400 ? at + n - 400 : at, keyword ? "/" : "", keyword ? keyword : "", why);
    buf_free(&path);
    c->failed = true;
}

static bool went_too_far(struct compiler *c, const json_t *schema, const char *keyword)
{
    if (c->g->too_much) refuse(c, schema, keyword, "%s", c->g->why);
    return c->failed;
}

// ---- nodes ----

static uint64_t node_hash_of(const json_t *schema, uint32_t base, bool open)
{
    uint64_t h = mix((uint64_t)(uintptr_t)schema >> 4, (uint64_t)open << 32 | base);
    return h ^ h >> 32;
}

static uint64_t node_hash(const void *owner, uint32_t id)
{
    const struct node *n = &((const grammar *)owner)->nodes[id];
    return node_hash_of(n->schema, n->base, n->open);
}

static uint32_t node_for(struct compiler *c, const json_t *schema, uint32_t base)
{
    grammar *g = c->g;
    if (json_is_true(schema)) return NODE_ALL;
    if (json_is_false(schema)) return NODE_NONE;
    if (!json_is_object(schema)) {
        refuse(c, schema, NULL, "expected a schema: an object, true or false");
        return NODE_NONE;
    }
    if (json_object_size(schema) == 0) return NODE_ALL;
    for (uint32_t i = 1; i < c->places.n; i++) // a resource of its own
        if (c->places.v[i].schema == schema && c->places.v[i].base == i) base = i;
    struct table *t = &g->node_table;
    table_room(t, node_hash, g);
    bool open = c->open && g->o.closed;
    uint32_t at = (uint32_t)node_hash_of(schema, base, open) & (t->cap - 1);
    for (; t->slot[at]; at = (at + 1) & (t->cap - 1)) {
        const struct node *n = &g->nodes[t->slot[at] - 1];
        if (n->schema == schema && n->base == base && n->open == open) return t->slot[at] - 1;
    }
    if (g->n_node == NODES_MAX) {
        refuse(c, schema, NULL, "more than %d subschemas", NODES_MAX);
        return NODE_NONE;
    }
    if (g->n_node == g->cap_node) {
        g->cap_node = g->cap_node ? g->cap_node * 2 : 32;
        g->nodes = mem_grow(g->nodes, g->cap_node * sizeof *g->nodes);
    }
    g->nodes[g->n_node] = (struct node){.schema = schema, .base = base, .open = open};
    t->slot[at] = g->n_node + 1;
    t->n++;
    return g->n_node++;
}

static set_id schema_set(struct compiler *c, const json_t *schema, uint32_t base);

set_id node_set(grammar *g, uint32_t node)
{
    struct node *n = &g->nodes[node];
    if (n->state == 2) return n->set;
    struct compiler *c = g->compiler;
    if (n->state == 1) {
        refuse(c, n->schema, NULL, "this schema comes back to itself without a value in between");
        return SET_NONE;
    }
    if (c->failed) return SET_NONE;
    if (++c->depth > DEPTH_MAX) {
        refuse(c, n->schema, NULL, "nested deeper than %d levels", DEPTH_MAX);
        return SET_NONE;
    }
    bool open = c->open;
    n->state = 1;
    c->open = n->open;
    set_id s = schema_set(c, n->schema, n->base);
    c->open = open;
    n = &g->nodes[node];
    n->set = s;
    n->state = 2;
    c->depth--;
    return s;
}

static set_id in_place(struct compiler *c, const json_t *schema, uint32_t base)
{
    return node_set(c->g, node_for(c, schema, base));
}

// One that is combined with others: had its objects been closed by the option, what is left of the
// others, or what it leaves where it is negated, would not be what the schema says.
static set_id combined_place(struct compiler *c, const json_t *schema, uint32_t base)
{
    bool open = c->open;
    c->open = true;
    set_id s = in_place(c, schema, base);
    c->open = open;
    return s;
}

// ---- values of keywords ----

static const char *number_text(const json_t *v, char room[40])
{
    if (json_is_integer(v)) {
        snprintf(room, 40, "%lld", (long long)json_integer_value(v));
        return room;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(room, 40, "%.*g", digits, json_real_value(v));
        if (strtod(room, NULL) == json_real_value(v)) break;
    }
    return room;
}

// A count; those beyond what fits are as good as unlimited.
static bool count_of(struct compiler *c, const json_t *schema, const char *key, uint32_t *out)
{
    const json_t *v = json_object_get(schema, key);
    if (!v) return false;
    double d = json_is_integer(v) ? (double)json_integer_value(v) : json_real_value(v);
    if (!json_is_number(v) || d < 0 || floor(d) != d) {
        refuse(c, schema, key, "expected a count");
        return false;
    }
    *out = d >= (double)FAR ? FAR : (uint32_t)d;
    return true;
}

static bool is_list(struct compiler *c, const json_t *schema, const char *key, const json_t *v,
                    const char *of)
{
    if (json_is_array(v)) return true;
    refuse(c, schema, key, "expected a list of %s", of);
    return false;
}

static const struct {
    const char *name;
    uint8_t bit;
} types[] = {{"null", 1},    {"boolean", 2}, {"integer", 4}, {"number", 8},
             {"string", 16}, {"array", 32},  {"object", 64}};

static unsigned type_bit(struct compiler *c, const json_t *schema, const json_t *v)
{
    for (size_t i = 0; json_is_string(v) && i < sizeof types / sizeof *types; i++)
        if (strcmp(json_string_value(v), types[i].name) == 0) return types[i].bit;
    refuse(c, schema, "type", "expected null, boolean, integer, number, string, array or object");
    return 0;
}

static unsigned type_bits(struct compiler *c, const json_t *schema)
{
    const json_t *v = json_object_get(schema, "type");
    unsigned bits = 0;
    if (!v) return 127 & ~4u;
    for (size_t i = 0; json_is_array(v) && i < json_array_size(v); i++)
        bits |= type_bit(c, schema, json_array_get(v, i));
    return json_is_array(v) ? bits : type_bit(c, schema, v);
}

// ---- numbers and strings ----

static void meet(struct compiler *c, const json_t *schema, const char *key, lex_lang *lang,
                 lex_lang more, const err *e)
{
    if (more == LEX_FAILED)
        refuse(c, schema, key, "%s", e->msg);
    else
        *lang = lex_and(c->g->x, *lang, more);
}

static const json_t *number_of(struct compiler *c, const json_t *schema, const char *key)
{
    const json_t *v = json_object_get(schema, key);
    if (v && !json_is_number(v)) {
        refuse(c, schema, key, "expected a number");
        return NULL;
    }
    return v;
}

static lex_lang number_lang(struct compiler *c, const json_t *schema, unsigned bits)
{
    lex *x = c->g->x;
    lex_lang lang = LEX_ANY_NUMBER;
    char room[40];
    err e = {0};
    if (!(bits & 8)) lang = c->draft4 ? lex_plain_integer(x) : lex_integer(x);
    const json_t *low = number_of(c, schema, "minimum"), *high = number_of(c, schema, "maximum");
    const json_t *above = json_object_get(schema, "exclusiveMinimum");
    const json_t *below = json_object_get(schema, "exclusiveMaximum");
    bool low_open = json_is_true(above), high_open = json_is_true(below); // as draft 4 has it
    if (json_is_boolean(above)) above = NULL;
    if (json_is_boolean(below)) below = NULL;
    if (above) above = number_of(c, schema, "exclusiveMinimum");
    if (below) below = number_of(c, schema, "exclusiveMaximum");
    if (low)
        meet(c, schema, "minimum", &lang, lex_at_least(x, number_text(low, room), low_open, &e),
             &e);
    if (high)
        meet(c, schema, "maximum", &lang, lex_at_most(x, number_text(high, room), high_open, &e),
             &e);
    if (above)
        meet(c, schema, "exclusiveMinimum", &lang,
             lex_at_least(x, number_text(above, room), true, &e), &e);
    if (below)
        meet(c, schema, "exclusiveMaximum", &lang,
             lex_at_most(x, number_text(below, room), true, &e), &e);
    const json_t *step = number_of(c, schema, "multipleOf");
    if (step) {
        if (json_number_value(step) <= 0)
            refuse(c, schema, "multipleOf", "expected a number above 0");
        else
            meet(c, schema, "multipleOf", &lang, lex_multiple(x, number_text(step, room), &e), &e);
    }
    return lang;
}

static lex_lang string_lang(struct compiler *c, const json_t *schema)
{
    lex *x = c->g->x;
    lex_lang lang = LEX_ANY_STRING;
    err e = {0};
    const json_t *pattern = json_object_get(schema, "pattern");
    if (pattern && !json_is_string(pattern))
        refuse(c, schema, "pattern", "expected a regular expression");
    else if (pattern)
        meet(c, schema, "pattern", &lang,
             lex_regex(x, json_string_value(pattern), json_string_length(pattern), &e), &e);
    const json_t *format = json_object_get(schema, "format");
    if (json_is_string(format)) {
        bool known = false;
        lex_lang more = lex_format(x, json_string_value(format), &known, &e);
        if (known) meet(c, schema, "format", &lang, more, &e);
    }
    uint32_t min = 0, max = NONE;
    bool has_min = count_of(c, schema, "minLength", &min);
    bool has_max = count_of(c, schema, "maxLength", &max);
    if (has_min && min > LEX_LENGTH_MAX && (!has_max || min <= max)) {
        refuse(c, schema, "minLength", "more than 25,000 characters");
    } else if (has_min || (has_max && max < FAR)) {
        lex_lang more = lex_short_length(x, min, has_max && max < FAR ? max : UINT64_MAX);
        meet(c, schema, has_min ? "minLength" : "maxLength", &lang, more, &e);
    }
    return lang;
}

// ---- arrays ----

static form_id add_items(grammar *g, struct items *p)
{
    while (p->n && p->prefix[p->n - 1] == p->rest) p->n--;
    if (p->n == 0 && p->rest == NODE_ALL) return FORM_TRUE;
    if (g->n_items == g->cap_items) {
        g->cap_items = g->cap_items ? g->cap_items * 2 : 8;
        g->items = mem_grow(g->items, g->cap_items * sizeof *g->items);
    }
    g->items[g->n_items] = p;
    return form_atom(g, A_ITEMS, g->n_items++, 0, 0);
}

static form_id item_form(struct compiler *c, const json_t *schema, uint32_t base)
{
    const json_t *prefix = json_object_get(schema, "prefixItems");
    const json_t *items = json_object_get(schema, "items");
    const char *key = "prefixItems";
    if (json_is_array(items)) { // draft 2019-09 and before
        if (prefix)
            refuse(c, schema, "items", "a list beside prefixItems: which of them is meant?");
        key = "items";
        prefix = items;
        items = json_object_get(schema, "additionalItems");
    }
    if (!prefix && !items) return FORM_TRUE;
    if (prefix && !is_list(c, schema, key, prefix, "schemas")) return FORM_TRUE;
    struct items *p = chunk_alloc(&c->g->mem, sizeof *p);
    p->n = (uint32_t)json_array_size(prefix);
    p->prefix = chunk_alloc(&c->g->mem, (p->n + 1) * sizeof *p->prefix);
    for (uint32_t i = 0; i < p->n; i++) p->prefix[i] = node_for(c, json_array_get(prefix, i), base);
    p->rest = items ? node_for(c, items, base) : (uint32_t)NODE_ALL;
    return add_items(c->g, p);
}

static form_id array_form(struct compiler *c, const json_t *schema, uint32_t base)
{
    grammar *g = c->g;
    uint32_t min = 0, max = NONE;
    form_id f = item_form(c, schema, base);
    if (count_of(c, schema, "minItems", &min)) f = form_and(g, f, form_atom(g, A_MIN, min, 0, 0));
    if (count_of(c, schema, "maxItems", &max) && max < FAR)
        f = form_and(g, f, form_atom(g, A_MAX, max, 0, 0));
    if (json_is_true(json_object_get(schema, "uniqueItems")))
        f = form_and(g, f, form_atom(g, A_UNIQUE, 0, 0, 0));
    const json_t *contains = c->draft4 ? NULL : json_object_get(schema, "contains");
    if (contains) {
        min = 1;
        max = NONE;
        count_of(c, schema, "minContains", &min);
        count_of(c, schema, "maxContains", &max);
        bool open = c->open;
        c->open = true; // how many are counted, not only that they are
        uint32_t node = node_for(c, contains, base);
        c->open = open;
        f = form_and(g, f, form_atom(g, A_CONTAINS, node, min, max < FAR ? max : NONE));
    }
    return f;
}

// ---- objects ----

static bool closes(const struct compiler *c, const json_t *schema)
{
    static const char *const open[] = {"additionalProperties",
                                       "patternProperties",
                                       "allOf",
                                       "anyOf",
                                       "oneOf",
                                       "$ref",
                                       "if",
                                       "unevaluatedProperties",
                                       "$dynamicRef",
                                       "not",
                                       "dependentSchemas",
                                       "dependencies"};
    if (!c->g->o.closed || c->open || !json_object_get(schema, "properties")) return false;
    for (size_t i = 0; i < sizeof open / sizeof *open; i++)
        if (json_object_get(schema, open[i])) return false;
    return true;
}

static form_id add_props(grammar *g, struct props *p)
{
    if (p->n == 0 && p->n_pattern == 0 && p->extra == NODE_ALL) return FORM_TRUE;
    props_sort(g, p);
    if (g->n_props == g->cap_props) {
        g->cap_props = g->cap_props ? g->cap_props * 2 : 8;
        g->props = mem_grow(g->props, g->cap_props * sizeof *g->props);
    }
    g->props[g->n_props] = p;
    return form_atom(g, O_PROPS, g->n_props++, 0, 0);
}

static void read_patterns(struct compiler *c, const json_t *schema, uint32_t base, struct props *p)
{
    const json_t *patterns = json_object_get(schema, "patternProperties");
    const char *key;
    json_t *sub;
    size_t len;
    p->pattern = chunk_alloc(&c->g->mem, (json_object_size(patterns) + 1) * sizeof *p->pattern);
    json_object_keylen_foreach((json_t *)patterns, key, len, sub)
    {
        err e = {0};
        lex_lang lang = lex_regex(c->g->x, key, len, &e);
        if (lang != LEX_FAILED && lex_prepare(c->g->x, lang, &e) < 0) lang = LEX_FAILED;
        if (lang == LEX_FAILED) {
            refuse(c, sub, NULL, "%s", e.msg);
            return;
        }
        p->pattern[p->n_pattern++] = (struct pattern){lang, node_for(c, sub, base)};
    }
}

static form_id props_form(struct compiler *c, const json_t *schema, uint32_t base)
{
    const json_t *own = json_object_get(schema, "properties");
    const json_t *patterns = json_object_get(schema, "patternProperties");
    const json_t *extra = json_object_get(schema, "additionalProperties");
    const char *key;
    json_t *sub;
    size_t len;
    if (own && !json_is_object(own)) refuse(c, schema, "properties", "expected an object");
    if (patterns && !json_is_object(patterns))
        refuse(c, schema, "patternProperties", "expected an object");
    if (c->failed) return FORM_FALSE;
    if (!own && !patterns && !extra) return FORM_TRUE;
    struct props *p = chunk_alloc(&c->g->mem, sizeof *p);
    p->p = chunk_alloc(&c->g->mem, (json_object_size(own) + 1) * sizeof *p->p);
    json_object_keylen_foreach((json_t *)own, key, len, sub)
    {
        p->p[p->n].name = name_of(c->g, key, len);
        p->p[p->n++].node = node_for(c, sub, base);
    }
    read_patterns(c, schema, base, p);
    p->extra = extra ? node_for(c, extra, base) : closes(c, schema) ? NODE_NONE : NODE_ALL;
    return c->failed ? FORM_FALSE : add_props(c->g, p);
}

static form_id names_form(struct compiler *c, const json_t *schema, const char *key,
                          const json_t *list)
{
    size_t n = json_array_size(list), i;
    json_t *v;
    if (!is_list(c, schema, key, list, "names")) return FORM_FALSE;
    name_id *names = mem_new((n + 1) * sizeof *names);
    json_array_foreach(list, i, v)
    {
        if (!json_is_string(v)) {
            refuse(c, schema, key, "expected a list of names");
            break;
        }
        names[i] = name_of(c->g, json_string_value(v), json_string_length(v));
    }
    form_id f = c->failed ? (form_id)FORM_FALSE : form_names(c->g, O_HAS, 0, names, (uint32_t)n);
    free(names);
    return f;
}

// What holds for objects once a key is there, from dependentRequired, dependentSchemas and
// dependencies.
static form_id dependent_form(struct compiler *c, const json_t *schema, uint32_t base,
                              const char *keyword)
{
    const json_t *all = json_object_get(schema, keyword);
    const char *key;
    json_t *v;
    size_t len;
    form_id f = FORM_TRUE;
    if (all && !json_is_object(all)) refuse(c, schema, keyword, "expected an object");
    json_object_keylen_foreach((json_t *)all, key, len, v)
    {
        if (c->failed) break;
        set_id s = json_is_array(v) ? (set_id)SET_NONE : combined_place(c, v, base);
        form_id then = json_is_array(v) ? names_form(c, all, key, v) : c->g->sets[s].object;
        form_id lacks = form_atom(c->g, O_LACKS, name_of(c->g, key, len), 0, 0);
        f = form_and(c->g, f, form_or(c->g, lacks, then));
    }
    return f;
}

static form_id object_form(struct compiler *c, const json_t *schema, uint32_t base)
{
    grammar *g = c->g;
    uint32_t count;
    form_id f = props_form(c, schema, base);
    const json_t *required = json_object_get(schema, "required");
    if (required && !json_is_boolean(required)) // draft 3 had a boolean there
        f = form_and(g, f, names_form(c, schema, "required", required));
    if (count_of(c, schema, "minProperties", &count))
        f = form_and(g, f, form_atom(g, O_MIN, count, 0, 0));
    if (count_of(c, schema, "maxProperties", &count) && count < FAR)
        f = form_and(g, f, form_atom(g, O_MAX, count, 0, 0));
    const json_t *names = c->draft4 ? NULL : json_object_get(schema, "propertyNames");
    if (names) {
        set_id s = in_place(c, names, base);
        lex_lang lang = g->sets[s].string;
        f = form_and(g, f,
                     lang == LEX_EMPTY ? form_atom(g, O_MAX, 0, 0, 0)
                                       : form_atom(g, O_NAMES, lang, 0, 0));
    }
    static const char *const dependent[] = {"dependentRequired", "dependentSchemas",
                                            "dependencies"};
    for (int i = 0; i < 3; i++) f = form_and(g, f, dependent_form(c, schema, base, dependent[i]));
    return f;
}

// ---- constants ----

static set_id enum_set(struct compiler *c, const json_t *schema, const json_t *list)
{
    grammar *g = c->g;
    if (!is_list(c, schema, "enum", list, "values")) return SET_NONE;
    size_t n = json_array_size(list), i, n_text = 0;
    const char **text = mem_new((n + 1) * sizeof *text);
    size_t *len = mem_new((n + 1) * sizeof *len);
    json_t *seen = json_object();
    set_id s = SET_NONE;
    json_t *v;
    json_array_foreach(list, i, v)
    {
        if (!json_is_string(v)) {
            s = values_or(g, s, values_of_json(g, v));
            continue;
        }
        len[n_text] = json_string_length(v);
        if (json_object_getn(seen, json_string_value(v), len[n_text])) continue;
        json_object_setn_new(seen, json_string_value(v), len[n_text], json_true());
        text[n_text++] = json_string_value(v);
    }
    if (n_text)
        s = values_or(g, s,
                      values_make(g, (struct set){.string = lex_words(g->x, text, len, n_text)}));
    json_decref(seen);
    free(text);
    free(len);
    return s;
}

// ---- subschemas on the same value ----

static set_id any_of(struct compiler *c, const json_t *schema, uint32_t base, const json_t *list)
{
    size_t i;
    json_t *v;
    set_id s = SET_NONE;
    json_array_foreach(list, i, v)
    {
        s = values_or(c->g, s, in_place(c, v, base));
        if (went_too_far(c, schema, "anyOf")) break;
    }
    return s;
}

static set_id all_of(struct compiler *c, const json_t *schema, uint32_t base, const json_t *list)
{
    size_t i;
    json_t *v;
    set_id s = SET_ALL;
    json_array_foreach(list, i, v)
    {
        s = values_and(c->g, s, combined_place(c, v, base));
        if (went_too_far(c, schema, "allOf")) break;
    }
    return s;
}

// Exactly one: each without all the others.
static set_id one_of(struct compiler *c, const json_t *schema, uint32_t base, const json_t *list)
{
    size_t n = json_array_size(list);
    set_id *v = mem_new((n + 1) * sizeof *v), s = SET_NONE;
    for (size_t i = 0; i < n; i++) v[i] = combined_place(c, json_array_get(list, i), base);
    for (size_t i = 0; i < n && !c->failed; i++) {
        set_id only = v[i];
        for (size_t k = 0; k < n && only != SET_NONE; k++)
            if (k != i) only = values_minus(c->g, only, v[k]);
        s = values_or(c->g, s, only);
        went_too_far(c, schema, "oneOf");
    }
    free(v);
    return s;
}

static set_id if_set(struct compiler *c, const json_t *schema, uint32_t base)
{
    grammar *g = c->g;
    const json_t *yes = json_object_get(schema, "then"), *no = json_object_get(schema, "else");
    if (!yes && !no) return SET_ALL;
    set_id is = combined_place(c, json_object_get(schema, "if"), base);
    set_id then = yes ? combined_place(c, yes, base) : (set_id)SET_ALL;
    set_id other = no ? combined_place(c, no, base) : (set_id)SET_ALL;
    set_id s = values_and(g, values_or(g, values_not(g, is), then), values_or(g, is, other));
    went_too_far(c, schema, "if");
    return s;
}

static const json_t *ref_target(struct compiler *c, const json_t *schema, const char *keyword,
                                uint32_t *base)
{
    const json_t *ref = json_object_get(schema, keyword);
    const char *why;
    if (!json_is_string(ref)) {
        refuse(c, schema, keyword, "expected a reference");
        return NULL;
    }
    const char *text = json_string_value(ref), *hash = strchr(text, '#');
    if (keyword[1] == 'd' && hash && hash[1] != '/' && places_dynamic(&c->places, hash + 1) > 1) {
        refuse(c, schema, keyword, "several schemas have this dynamic anchor");
        return NULL;
    }
    if (strcmp(keyword, "$recursiveRef") == 0 && c->places.recursive_anchor && c->places.n > 1) {
        refuse(c, schema, keyword, "several schemas may be meant");
        return NULL;
    }
    const json_t *target = places_find(&c->places, text, base, &why);
    if (!target) refuse(c, schema, keyword, "%s", why);
    return target;
}

static set_id ref_set(struct compiler *c, const json_t *schema, const char *keyword, uint32_t base)
{
    const json_t *target = ref_target(c, schema, keyword, &base);
    return target ? in_place(c, target, base) : (set_id)SET_NONE;
}

static set_id unevaluated_set(struct compiler *c, const json_t *schema, uint32_t base);

static set_id combined(struct compiler *c, const json_t *schema, uint32_t base, set_id s)
{
    static const char *const refs[] = {"$ref", "$dynamicRef", "$recursiveRef"};
    static const struct {
        const char *key;
        set_id (*make)(struct compiler *, const json_t *, uint32_t, const json_t *);
    } lists[] = {{"allOf", all_of}, {"anyOf", any_of}, {"oneOf", one_of}};
    grammar *g = c->g;
    const json_t *v;
    for (int i = 0; i < 3 && !c->failed; i++)
        if (json_object_get(schema, refs[i]))
            s = values_and(g, s, ref_set(c, schema, refs[i], base));
    for (int i = 0; i < 3 && !c->failed; i++) {
        if (!(v = json_object_get(schema, lists[i].key))) continue;
        if (!json_array_size(v))
            refuse(c, schema, lists[i].key, "expected a list of schemas");
        else
            s = values_and(g, s, lists[i].make(c, schema, base, v));
    }
    if ((v = json_object_get(schema, "not")) && !c->failed) {
        s = values_minus(g, s, combined_place(c, v, base));
        went_too_far(c, schema, "not");
    }
    if (!c->draft4 && json_object_get(schema, "if") && !c->failed)
        s = values_and(g, s, if_set(c, schema, base));
    return s;
}

static set_id own_set(struct compiler *c, const json_t *schema, uint32_t base)
{
    grammar *g = c->g;
    unsigned bits = type_bits(c, schema);
    struct set own = {.literals = (uint8_t)((bits & 1 ? LITERAL_NULL : 0) |
                                            (bits & 2 ? LITERAL_TRUE | LITERAL_FALSE : 0))};
    if (bits & (4 | 8)) own.number = number_lang(c, schema, bits);
    if (bits & 16) own.string = string_lang(c, schema);
    if (bits & 32) own.array = array_form(c, schema, base);
    if (bits & 64) own.object = object_form(c, schema, base);
    if (c->failed) return SET_NONE;
    set_id s = values_make(g, own);
    const json_t *v = json_object_get(schema, "enum");
    if (v) s = values_and(g, s, enum_set(c, schema, v));
    if (!c->draft4 && (v = json_object_get(schema, "const")))
        s = values_and(g, s, values_of_json(g, v));
    return s;
}

static set_id schema_set(struct compiler *c, const json_t *schema, uint32_t base)
{
    if (c->old && json_object_get(schema, "$ref")) return ref_set(c, schema, "$ref", base);
    if (json_object_get(schema, "unevaluatedProperties") ||
        json_object_get(schema, "unevaluatedItems")) {
        c->open = true; // every way to decide what is unevaluated is taken apart
        return unevaluated_set(c, schema, base);
    }
    set_id s = own_set(c, schema, base);
    if (!c->failed) s = combined(c, schema, base, s);
    went_too_far(c, schema, NULL);
    return s;
}

// ---- unevaluated properties and items ----

// One way in which the subschemas on a value can hold, and what they look at when they do.
struct branch {
    set_id set;
    struct prop *prop; // names; node unused
    uint32_t n_prop;
    struct pattern *pattern;
    uint32_t n_pattern;
    bool all_props;
    uint32_t n_items;
    bool all_items;
    uint32_t *contains; // nodes: elements in them are looked at
    uint32_t n_contains;
};

struct branches {
    struct branch v[BRANCHES_MAX];
    uint32_t n;
};

static void *joined(struct chunks *mem, const void *a, size_t na, const void *b, size_t nb)
{
    char *p = chunk_alloc(mem, na + nb + 1);
    if (na) memcpy(p, a, na);
    if (nb) memcpy(p + na, b, nb);
    return p;
}

static struct branch both(struct compiler *c, const struct branch *a, const struct branch *b)
{
    struct chunks *m = &c->g->mem;
    return (struct branch){.set = values_and(c->g, a->set, b->set),
                           .prop = joined(m, a->prop, a->n_prop * sizeof *a->prop, b->prop,
                                          b->n_prop * sizeof *b->prop),
                           .n_prop = a->n_prop + b->n_prop,
                           .pattern = joined(m, a->pattern, a->n_pattern * sizeof *a->pattern,
                                             b->pattern, b->n_pattern * sizeof *b->pattern),
                           .n_pattern = a->n_pattern + b->n_pattern,
                           .all_props = a->all_props || b->all_props,
                           .n_items = a->n_items > b->n_items ? a->n_items : b->n_items,
                           .all_items = a->all_items || b->all_items,
                           .contains = joined(m, a->contains, a->n_contains * sizeof *a->contains,
                                              b->contains, b->n_contains * sizeof *b->contains),
                           .n_contains = a->n_contains + b->n_contains};
}

static void add_branch(struct compiler *c, const json_t *schema, struct branches *out,
                       struct branch b)
{
    if (b.set == SET_NONE || c->failed) return;
    if (out->n == BRANCHES_MAX)
        refuse(c, schema, NULL, "more than %d ways to decide what is unevaluated", BRANCHES_MAX);
    else
        out->v[out->n++] = b;
}

// Every way of `into` together with every way of `more`.
static void cross(struct compiler *c, const json_t *schema, struct branches *into,
                  const struct branches *more)
{
    struct branches *out = mem_new(sizeof *out);
    for (uint32_t i = 0; i < into->n; i++)
        for (uint32_t k = 0; k < more->n; k++)
            add_branch(c, schema, out, both(c, &into->v[i], &more->v[k]));
    *into = *out;
    free(out);
}

static void expand(struct compiler *c, const json_t *schema, uint32_t base, struct branches *out);

// The ways of a subschema, and the one in which it does not hold.
static void cross_choice(struct compiler *c, const json_t *schema, uint32_t base, const json_t *sub,
                         bool may_fail, struct branches *into)
{
    struct branches *b = mem_new(sizeof *b);
    expand(c, sub, base, b);
    if (may_fail)
        add_branch(c, schema, b, (struct branch){.set = values_not(c->g, in_place(c, sub, base))});
    cross(c, schema, into, b);
    free(b);
}

static void expand_own(struct compiler *c, const json_t *schema, uint32_t base, struct branch *b)
{
    const char *key;
    size_t len;
    json_t *v, *own = json_object_get(schema, "properties");
    b->set = own_set(c, schema, base);
    b->prop = chunk_alloc(&c->g->mem, (json_object_size(own) + 1) * sizeof *b->prop);
    json_object_keylen_foreach(own, key, len, v) b->prop[b->n_prop++].name =
        name_of(c->g, key, len);
    struct props p = {0};
    read_patterns(c, schema, base, &p);
    b->pattern = p.pattern;
    b->n_pattern = p.n_pattern;
    b->all_props = json_object_get(schema, "additionalProperties") ||
                   json_object_get(schema, "unevaluatedProperties");
    const json_t *items = json_object_get(schema, "items");
    const json_t *prefix = json_is_array(items) ? items : json_object_get(schema, "prefixItems");
    b->n_items = (uint32_t)json_array_size(prefix);
    b->all_items =
        json_object_get(schema, "unevaluatedItems") ||
        (json_is_array(items) ? json_object_get(schema, "additionalItems") != NULL : items != NULL);
    if (!json_object_get(schema, "contains")) return;
    b->contains = chunk_alloc(&c->g->mem, sizeof *b->contains);
    b->contains[b->n_contains++] = node_for(c, json_object_get(schema, "contains"), base);
}

static void cross_one_of(struct compiler *c, const json_t *schema, uint32_t base,
                         const json_t *list, struct branches *out)
{
    struct branches *ways = mem_new(sizeof *ways);
    for (size_t i = 0; i < json_array_size(list) && !c->failed; i++) {
        struct branches *b = mem_new(sizeof *b);
        expand(c, json_array_get(list, i), base, b);
        for (uint32_t w = 0; w < b->n; w++) {
            for (size_t k = 0; k < json_array_size(list); k++)
                if (k != i)
                    b->v[w].set =
                        values_minus(c->g, b->v[w].set, in_place(c, json_array_get(list, k), base));
            add_branch(c, schema, ways, b->v[w]);
        }
        free(b);
    }
    cross(c, schema, out, ways);
    free(ways);
}

static void cross_any_of(struct compiler *c, const json_t *schema, uint32_t base,
                         const json_t *list, struct branches *out)
{
    set_id some = any_of(c, schema, base, list);
    for (uint32_t i = 0; i < out->n; i++) out->v[i].set = values_and(c->g, out->v[i].set, some);
    for (size_t i = 0; i < json_array_size(list) && !c->failed; i++)
        cross_choice(c, schema, base, json_array_get(list, i), true, out);
}

static void cross_if(struct compiler *c, const json_t *schema, uint32_t base, struct branches *out)
{
    const json_t *is = json_object_get(schema, "if"), *yes = json_object_get(schema, "then"),
                 *no = json_object_get(schema, "else");
    struct branches *ways = mem_new(2 * sizeof *ways);
    expand(c, is, base, &ways[0]);
    if (yes) cross_choice(c, schema, base, yes, false, &ways[0]);
    ways[1].v[ways[1].n++] = (struct branch){.set = values_not(c->g, in_place(c, is, base))};
    if (no) cross_choice(c, schema, base, no, false, &ways[1]);
    for (uint32_t i = 0; i < ways[1].n; i++) add_branch(c, schema, &ways[0], ways[1].v[i]);
    cross(c, schema, out, &ways[0]);
    free(ways);
}

static void cross_dependent(struct compiler *c, const json_t *schema, uint32_t base,
                            struct branches *out)
{
    const char *key;
    json_t *v;
    grammar *g = c->g;
    json_object_foreach(json_object_get(schema, "dependentSchemas"), key, v)
    {
        struct branches *b = mem_new(sizeof *b);
        name_id name = name_of(g, key, strlen(key));
        struct set all = g->sets[SET_ALL];
        all.object = form_atom(g, O_LACKS, name, 0, 0);
        set_id lacks = values_make(g, all), has = values_not(g, lacks);
        expand(c, v, base, b);
        for (uint32_t i = 0; i < b->n; i++) b->v[i].set = values_and(g, b->v[i].set, has);
        add_branch(c, schema, b, (struct branch){.set = lacks});
        cross(c, schema, out, b);
        free(b);
    }
}

// All the ways in which a value can be valid under `schema`; they cover its set.
static void expand(struct compiler *c, const json_t *schema, uint32_t base, struct branches *out)
{
    size_t i;
    json_t *v;
    *out = (struct branches){.n = 1};
    out->v[0].set = SET_ALL;
    if (!json_is_object(schema)) {
        out->v[0].set = in_place(c, schema, base);
        if (out->v[0].set == SET_NONE) out->n = 0;
        return;
    }
    if (c->failed || ++c->depth > DEPTH_MAX) {
        refuse(c, schema, NULL, "nested deeper than %d levels", DEPTH_MAX);
        return;
    }
    expand_own(c, schema, base, &out->v[0]);
    if (json_object_get(schema, "unevaluatedProperties") ||
        json_object_get(schema, "unevaluatedItems"))
        out->v[0].set = values_and(c->g, out->v[0].set, in_place(c, schema, base));
    static const char *const refs[] = {"$ref", "$dynamicRef", "$recursiveRef"};
    for (int r = 0; r < 3; r++) {
        if (!json_object_get(schema, refs[r])) continue;
        uint32_t there = base;
        const json_t *target = ref_target(c, schema, refs[r], &there);
        if (target) cross_choice(c, schema, there, target, false, out);
    }
    json_array_foreach(json_object_get(schema, "allOf"), i, v)
        cross_choice(c, schema, base, v, false, out);
    if ((v = json_object_get(schema, "anyOf"))) cross_any_of(c, schema, base, v, out);
    if ((v = json_object_get(schema, "oneOf"))) cross_one_of(c, schema, base, v, out);
    if ((v = json_object_get(schema, "not")))
        for (uint32_t k = 0; k < out->n; k++)
            out->v[k].set = values_minus(c->g, out->v[k].set, in_place(c, v, base));
    if (json_object_get(schema, "if")) cross_if(c, schema, base, out);
    cross_dependent(c, schema, base, out);
    c->depth--;
}

static form_id rest_of_props(struct compiler *c, const struct branch *b, uint32_t node)
{
    if (b->all_props) return FORM_TRUE;
    struct props *p = chunk_alloc(&c->g->mem, sizeof *p);
    p->p = chunk_alloc(&c->g->mem, (b->n_prop + 1) * sizeof *p->p);
    for (uint32_t i = 0; i < b->n_prop; i++) {
        bool twice = false;
        for (uint32_t k = 0; k < p->n; k++) twice = twice || p->p[k].name == b->prop[i].name;
        if (!twice) p->p[p->n++] = (struct prop){b->prop[i].name, NODE_ALL};
    }
    p->pattern = chunk_alloc(&c->g->mem, (b->n_pattern + 1) * sizeof *p->pattern);
    for (uint32_t i = 0; i < b->n_pattern; i++)
        p->pattern[p->n_pattern++] = (struct pattern){b->pattern[i].lang, NODE_ALL};
    p->extra = node;
    return add_props(c->g, p);
}

static form_id rest_of_items(struct compiler *c, const struct branch *b, uint32_t node)
{
    if (b->all_items) return FORM_TRUE;
    struct items *p = chunk_alloc(&c->g->mem, sizeof *p);
    set_id s = node_set(c->g, node);
    for (uint32_t i = 0; i < b->n_contains; i++)
        s = values_or(c->g, s, node_set(c->g, b->contains[i]));
    p->n = b->n_items;
    p->prefix = chunk_alloc(&c->g->mem, (p->n + 1) * sizeof *p->prefix);
    for (uint32_t i = 0; i < p->n; i++) p->prefix[i] = NODE_ALL;
    p->rest = node_of_set(c->g, s);
    return add_items(c->g, p);
}

static set_id unevaluated_set(struct compiler *c, const json_t *schema, uint32_t base)
{
    grammar *g = c->g;
    const json_t *props = json_object_get(schema, "unevaluatedProperties");
    const json_t *items = json_object_get(schema, "unevaluatedItems");
    json_t *plain = json_copy((json_t *)schema);
    struct branches *b = mem_new(sizeof *b);
    json_object_del(plain, "unevaluatedProperties");
    json_object_del(plain, "unevaluatedItems");
    expand(c, plain, base, b);
    set_id s = SET_NONE;
    for (uint32_t i = 0; i < b->n && !c->failed; i++) {
        struct set all = g->sets[SET_ALL];
        if (props) all.object = rest_of_props(c, &b->v[i], node_for(c, props, base));
        if (items) all.array = rest_of_items(c, &b->v[i], node_for(c, items, base));
        s = values_or(g, s, values_and(g, b->v[i].set, values_make(g, all)));
    }
    went_too_far(c, schema, props ? "unevaluatedProperties" : "unevaluatedItems");
    free(b);
    json_decref(plain);
    return s;
}

// ---- the whole ----

static bool is_old(const json_t *document)
{
    const char *dialect = json_string_value(json_object_get(document, "$schema"));
    return dialect && (strstr(dialect, "draft-07") || strstr(dialect, "draft-06") ||
                       strstr(dialect, "draft-04") || strstr(dialect, "draft-03"));
}

static bool is_draft4(const json_t *document)
{
    const char *dialect = json_string_value(json_object_get(document, "$schema"));
    return dialect && (strstr(dialect, "draft-04") || strstr(dialect, "draft-03"));
}

// What a position can lead to is looked at now, as far as the caps allow, so that languages which
// grow too large when they meet are found while the schema can still be refused.
static void explore(struct compiler *c)
{
    grammar *g = c->g;
    for (uint32_t i = 0; i < g->n_node && !c->failed; i++) {
        const json_t *schema = g->nodes[i].schema;
        set_id s = node_set(g, i);
        went_too_far(c, schema ? schema : c->document, NULL);
        (void)s;
    }
}

// Containers with alternatives are looked for an end now: if that takes too long, it is not to be
// found out while a mask is made. An end that is not found is none, now and later.
static void try_alternatives(struct compiler *c)
{
    grammar *g = c->g;
    g->trying = true;
    for (uint32_t i = 0; i < g->n_node && !c->failed; i++) {
        struct set s = g->sets[g->nodes[i].set];
        if (s.array > FORM_TRUE && !g->forms[s.array].plain) form_cost(g, s.array, false);
        if (s.object > FORM_TRUE && !g->forms[s.object].plain) form_cost(g, s.object, true);
        went_too_far(c, g->nodes[i].schema ? g->nodes[i].schema : c->document, NULL);
    }
    g->trying = false;
}

uint32_t schema_add(grammar *g, const json_t *schema, const char *what, bool object_only, err *e)
{
    struct compiler c = {.g = g, .document = schema, .what = what, .e = e};
    c.old = is_old(schema);
    c.draft4 = is_draft4(schema);
    c.places.ref_alone = c.old;
    places_add(&c.places, schema);
    g->compiler = &c;
    // The same subschema may be read anew in another document.
    free(g->node_table.slot);
    g->node_table = (struct table){0};
    uint32_t root = node_for(&c, schema, 0);
    if (!c.failed) node_set(g, root);
    if (!c.failed) explore(&c);
    set_id s = c.failed ? (set_id)SET_NONE : g->nodes[root].set;
    if (!c.failed && object_only) {
        s = values_make(g, (struct set){.object = g->sets[s].object});
        root = node_of_set(g, s);
    }
    if (!c.failed && values_cost(g, s) >= FAR && !went_too_far(&c, schema, NULL))
        refuse(&c, schema, NULL, "no value of reasonable length satisfies this schema");
    if (!c.failed) try_alternatives(&c);
    went_too_far(&c, schema, NULL);
    for (uint32_t i = 0; i < g->n_node; i++) g->nodes[i].schema = NULL;
    places_free(&c.places);
    g->compiler = NULL;
    return c.failed ? NONE : root;
}

// ---- JSON text ----

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
