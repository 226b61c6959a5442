#include "oracle.h"

#include "base/buf.h"
#include "base/mem.h"
#include "engine/json_write.h"
#include "engine/schema.h"

#include <stdlib.h>
#include <string.h>

static const char *const scalars[] = {"null", "true", "1",     "2",  "\"\"",  "\"a\"", "\"ab\"",
                                      "1.5",  "-1",   "false", "10", "\"b\"", "0",     "\"é\""};
enum { N_SCALAR = sizeof scalars / sizeof *scalars, N_MEMBER = 7, N_FEW = 3 };
static const char *const names[] = {"a", "b", "c", "ab"};
enum { N_NAME = sizeof names / sizeof *names };

// Values that the products do not reach, and other spellings of what they do.
static const struct {
    const char *text;
    bool valid, escaped, one_order;
} others[] = {
    {"[[]]", 1, 0, 0},
    {"[[1],[1]]", 1, 0, 0},
    {"[[1],[2]]", 1, 0, 0},
    {"[{},{}]", 1, 0, 0},
    {"[{\"a\":1,\"b\":2},{\"b\":2,\"a\":1}]", 1, 0, 1},
    {"[{\"a\":1},{\"a\":\"a\"}]", 1, 0, 1},
    {"[1,1,1,1]", 1, 0, 0},
    {"[1,2,\"a\",null]", 1, 0, 0},
    {"{\"a\":{}}", 1, 0, 0},
    {"{\"a\":{\"a\":{\"a\":1}}}", 1, 0, 0},
    {"{\"a\":{\"b\":1}}", 1, 0, 0},
    {"{\"b\":{\"a\":\"a\",\"c\":null}}", 1, 0, 1},
    {"{\"a\":[],\"b\":[1]}", 1, 0, 1},
    {"{\"c\":[1,\"a\",{\"a\":null}]}", 1, 0, 1},
    {"{\"a\":1,\"b\":1,\"c\":1,\"ab\":1}", 1, 0, 1},
    {"{\"\":1}", 1, 0, 0},
    {"{\"é\":1}", 1, 0, 0},
    {"{\"a\":1,\"a\":1}", 0, 0, 1},
    {"{\"a\":1,\"\\u0061\":1}", 0, 1, 1},
    {"{\"c\":1,\"b\":1,\"c\":1}", 0, 0, 1},
    {"\"\\u0061\"", 1, 1, 0},
    {"\"\\u0061b\"", 1, 1, 0},
    {"{\"\\u0061\":1}", 1, 1, 0},
    {"{\"b\":2,\"\\u0061b\":null}", 1, 1, 1},
    {"1.0", 1, 0, 0},
    {"1.50", 1, 0, 0},
    {"[1,1.0]", 1, 0, 0},
    {"01", 0, 0, 0},
    {"[1,]", 0, 0, 0},
    {"{\"a\":1,}", 0, 0, 0},
};

// ---- texts ----

static void gap(enum grammar_spacing spacing, rng *r, char before, buf *out, bool *wide)
{
    if (spacing == SPACING_PYTHON && (before == ',' || before == ':')) buf_byte(out, ' ');
    if (spacing != SPACING_FLEXIBLE || rng_below(r, 3)) return;
    uint64_t n = rng_below(r, 25) ? 1 + rng_below(r, UNIVERSE_GAP) : UNIVERSE_GAP + 1;
    *wide = *wide || n > UNIVERSE_GAP;
    for (; n > 0; n--) buf_byte(out, " \n\t\r"[rng_below(r, 4)]);
}

static size_t lexeme_length(const char *text)
{
    size_t n = 1;
    if (strchr("[]{},:", text[0])) return 1;
    if (text[0] != '"') return strcspn(text, "[]{},:");
    while (text[n] != '"') n += text[n] == '\\' ? 2 : 1;
    return n + 1;
}

// The text with the gaps of the spacing; *wide: one has more than UNIVERSE_GAP bytes.
static char *spaced(enum grammar_spacing spacing, rng *r, const char *text, bool *wide)
{
    buf out = buf_new(4096);
    char before = 0;
    *wide = false;
    while (*text) {
        size_t n = lexeme_length(text);
        gap(spacing, r, before, &out, wide);
        buf_put(&out, text, n);
        before = *text;
        text += n;
    }
    gap(spacing, r, 0, &out, wide);
    return buf_take(&out);
}

// ---- the universe ----

static uint32_t value_number(struct universe *u, const json_t *doc)
{
    for (size_t i = 0; i < u->n; i++)
        if (u->doc[i].doc && json_equal(u->doc[i].doc, doc)) return u->doc[i].value;
    return u->n_value++;
}

static struct universe_doc *add(struct universe *u, enum grammar_spacing spacing, rng *r,
                                const char *text, bool valid)
{
    bool wide;
    if (u->n == u->cap) {
        u->cap = u->cap ? u->cap * 2 : 256;
        u->doc = mem_grow(u->doc, u->cap * sizeof *u->doc);
    }
    struct universe_doc d = {.text = spaced(spacing, r, text, &wide)};
    d.n = strlen(d.text);
    json_error_t je;
    if (valid && !wide) d.doc = json_read(text, strlen(text), JSON_DECODE_ANY, &je);
    d.value = d.doc ? value_number(u, d.doc) : u->n_value++;
    u->doc[u->n] = d;
    return &u->doc[u->n++];
}

static void add_arrays(struct universe *u, enum grammar_spacing spacing, rng *r)
{
    char text[100];
    add(u, spacing, r, "[]", true);
    for (int i = 0; i < N_SCALAR; i++) {
        snprintf(text, sizeof text, "[%s]", scalars[i]);
        add(u, spacing, r, text, true);
    }
    for (int i = 0; i < N_MEMBER * N_MEMBER; i++) {
        snprintf(text, sizeof text, "[%s,%s]", scalars[i / N_MEMBER], scalars[i % N_MEMBER]);
        add(u, spacing, r, text, true);
    }
    for (int i = 0; i < N_FEW * N_FEW * N_FEW; i++) {
        const char *x = scalars[3 + i / (N_FEW * N_FEW)], *y = scalars[3 + i / N_FEW % N_FEW];
        snprintf(text, sizeof text, "[%s,%s,%s]", x, y, scalars[3 + i % N_FEW]);
        add(u, spacing, r, text, true);
    }
}

static void add_objects(struct universe *u, enum grammar_spacing spacing, rng *r)
{
    char text[100];
    add(u, spacing, r, "{}", true);
    for (int i = 0; i < N_NAME * N_MEMBER; i++) {
        snprintf(text, sizeof text, "{\"%s\":%s}", names[i / N_MEMBER], scalars[i % N_MEMBER]);
        add(u, spacing, r, text, true);
    }
    for (int i = 0; i < N_NAME * N_NAME * N_FEW * N_FEW; i++) {
        int a = i % N_NAME, b = i / N_NAME % N_NAME, x = i / (N_NAME * N_NAME);
        if (a == b) continue;
        // The values go with the names, so that either order of the two is there.
        const char *first = scalars[2 * (x % N_FEW)], *second = scalars[2 * (x / N_FEW) + 1];
        snprintf(text, sizeof text, "{\"%s\":%s,\"%s\":%s}", names[a], a < b ? first : second,
                 names[b], a < b ? second : first);
        add(u, spacing, r, text, true);
    }
    for (int i = 0; i < N_NAME * N_NAME * N_NAME; i++) {
        int a = i % N_NAME, b = i / N_NAME % N_NAME, c = i / (N_NAME * N_NAME);
        if (a == b || b == c || a == c) continue;
        snprintf(text, sizeof text, "{\"%s\":%s,\"%s\":%s,\"%s\":%s}", names[a], scalars[a],
                 names[b], scalars[b], names[c], scalars[c]);
        add(u, spacing, r, text, true);
    }
}

static int by_text(const void *a, const void *b)
{
    const struct universe_doc *x = a, *y = b;
    return strcmp(x->text, y->text);
}

struct universe *universe_new(enum grammar_spacing spacing, rng *r)
{
    struct universe *u = mem_new(sizeof *u);
    for (int i = 0; i < N_SCALAR; i++) add(u, spacing, r, scalars[i], true);
    add_arrays(u, spacing, r);
    add_objects(u, spacing, r);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct universe_doc *d = add(u, spacing, r, others[i].text, others[i].valid);
        d->escaped = others[i].escaped;
        d->one_order = others[i].one_order;
    }
    qsort(u->doc, u->n, sizeof *u->doc, by_text);
    return u;
}

void universe_free(struct universe *u)
{
    for (size_t i = 0; i < u->n; i++) {
        free(u->doc[i].text);
        json_decref(u->doc[i].doc);
    }
    free(u->doc);
    free(u);
}

bool universe_judge(const struct universe *u, const json_t *schema, bool *valid)
{
    err e;
    struct schema_fault f = {.code = ERR_FAILED};
    validator *v = validator_open(schema, NULL, &e);
    for (size_t i = 0; v && i < u->n && f.code == ERR_FAILED; i++)
        valid[i] = u->doc[i].doc && validator_check(v, u->doc[i].doc, &f) == 0;
    validator_close(v);
    return v && f.code == ERR_FAILED;
}

// ---- closed objects ----

static bool may_close(const json_t *schema)
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
    for (size_t i = 0; i < sizeof open / sizeof *open; i++)
        if (json_object_get(schema, open[i])) return false;
    return json_object_get(schema, "properties") != NULL;
}

static json_t *closed_copy(const json_t *schema, bool combined);

static json_t *closed_map(const json_t *map, bool combined)
{
    json_t *out = json_object(), *sub;
    const char *key;
    json_object_foreach((json_t *)map, key, sub)
        json_object_set_new(out, key, closed_copy(sub, combined));
    return out;
}

static json_t *closed_copy(const json_t *schema, bool combined)
{
    static const char *const apart[] = {"allOf", "oneOf", "not",      "if",
                                        "then",  "else",  "contains", "dependentSchemas"};
    static const char *const maps[] = {"properties", "patternProperties", "dependentSchemas",
                                       "$defs"};
    static const char *const values[] = {"enum", "const", "required", "dependentRequired"};
    const char *key;
    json_t *v, *out;
    size_t k;
    bool decides = json_object_get(schema, "unevaluatedProperties") ||
                   json_object_get(schema, "unevaluatedItems");
    if (!json_is_object(schema)) return json_deep_copy(schema);
    out = json_object();
    json_object_foreach((json_t *)schema, key, v)
    {
        bool below = combined || decides, map = false, value = false;
        for (size_t i = 0; i < sizeof apart / sizeof *apart; i++)
            below = below || strcmp(key, apart[i]) == 0;
        for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
            map = map || strcmp(key, maps[i]) == 0;
        for (size_t i = 0; i < sizeof values / sizeof *values; i++)
            value = value || strcmp(key, values[i]) == 0;
        if (map) {
            json_object_set_new(out, key, closed_map(v, below));
        } else if (json_is_array(v) && !value) {
            json_t *list = json_array(), *x;
            json_array_foreach(v, k, x) json_array_append_new(list, closed_copy(x, below));
            json_object_set_new(out, key, list);
        } else {
            json_object_set_new(out, key, value ? json_deep_copy(v) : closed_copy(v, below));
        }
    }
    if (!combined && !decides && may_close(schema))
        json_object_set_new(out, "additionalProperties", json_false());
    return out;
}

json_t *schema_closed(const json_t *schema)
{
    return closed_copy(schema, false);
}
