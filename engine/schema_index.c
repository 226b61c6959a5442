// Which schema stands where. `$id` gives a schema a URI and makes references below it relative to
// that; `$anchor` and `$dynamicAnchor` give it a name within the nearest URI above. Both count only
// where a schema can stand, not in an enum or an unknown keyword, so the walk goes by a table of
// the keywords that hold schemas.
#include "engine/schema_private.h"

#include "base/mem.h"
#include "engine/uri.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NESTING_MAX = 1000 };

enum holds { ONE, LIST, ONE_OR_LIST, MAP };

static const struct {
    const char *keyword;
    enum holds what;
} holders[] = {
    {"$defs", MAP},
    {"additionalItems", ONE},
    {"additionalProperties", ONE},
    {"allOf", LIST},
    {"anyOf", LIST},
    {"contains", ONE},
    {"contentSchema", ONE},
    {"definitions", MAP},
    {"dependencies", MAP},
    {"dependentSchemas", MAP},
    {"else", ONE},
    {"if", ONE},
    {"items", ONE_OR_LIST},
    {"not", ONE},
    {"oneOf", LIST},
    {"patternProperties", MAP},
    {"prefixItems", LIST},
    {"properties", MAP},
    {"propertyNames", ONE},
    {"then", ONE},
    {"unevaluatedItems", ONE},
    {"unevaluatedProperties", ONE},
};

struct walk {
    struct index *x;
    buf at;
    size_t resource;
    int depth;
};

// ---- drafts ----

static int draft_of(const json_t *schema, enum draft above, enum draft *out, err *e)
{
    static const struct {
        const char *uri;
        enum draft draft;
    } rows[] = {
        {"http://json-schema.org/draft-04/schema", DRAFT_4},
        {"http://json-schema.org/draft-06/schema", DRAFT_6},
        {"http://json-schema.org/draft-07/schema", DRAFT_7},
        {"https://json-schema.org/draft/2019-09/schema", DRAFT_2019},
        {"https://json-schema.org/draft/2020-12/schema", DRAFT_2020},
        {"http://json-schema.org/schema", DRAFT_ANY}, // "the latest"
    };
    const json_t *name = json_object_get(schema, "$schema");
    *out = above;
    if (!name) return 0;
    const char *uri = json_is_string(name) ? json_string_value(name) : "";
    const char *from = strstr(uri, "://");
    size_t n = strlen(uri);
    if (n && uri[n - 1] == '#') n--;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *known = strstr(rows[i].uri, "://"); // http or https: both are seen
        if (from && strlen(known) == n - (size_t)(from - uri) &&
            strncmp(known, from, strlen(known)) == 0) {
            *out = rows[i].draft;
            return 0;
        }
    }
    return err_set(e, ERR_INPUT,
                   "schema: $schema: expected the URI of draft 4, 6, 7, 2019-09 or 2020-12, found "
                   "%.200s",
                   json_is_string(name) ? uri : "no text");
}

// ---- the walk ----

static const char *id_of(const json_t *schema, enum draft draft)
{
    if (draft <= DRAFT_7 && json_object_get(schema, "$ref")) return NULL; // it stands alone
    const char *id = json_string_value(json_object_get(schema, draft == DRAFT_4 ? "id" : "$id"));
    return id && *id ? id : NULL;
}

static size_t add_resource(struct index *x, char *uri, const json_t *root, const char *at,
                           enum draft draft)
{
    x->resources = mem_grow(x->resources, (x->n_resource + 1) * sizeof *x->resources);
    x->resources[x->n_resource] =
        (struct resource){.uri = uri, .root = root, .at = mem_str(at), .draft = draft};
    return x->n_resource++;
}

static void add_anchor(const struct walk *w, const char *name, const json_t *node, bool dynamic)
{
    struct index *x = w->x;
    x->anchors = mem_grow(x->anchors, (x->n_anchor + 1) * sizeof *x->anchors);
    x->anchors[x->n_anchor++] = (struct anchor){.resource = w->resource,
                                                .name = mem_str(name),
                                                .node = node,
                                                .at = mem_str(buf_text(&w->at)),
                                                .dynamic = dynamic};
}

static void add_anchors(const struct walk *w, const json_t *schema, enum draft draft)
{
    const char *id = id_of(schema, draft), *hash = id ? strchr(id, '#') : NULL;
    const char *name = json_string_value(json_object_get(schema, "$anchor"));
    const char *dynamic = json_string_value(json_object_get(schema, "$dynamicAnchor"));
    if (hash && hash[1] && (draft <= DRAFT_7 || draft == DRAFT_ANY))
        add_anchor(w, hash + 1, schema, false);
    if (name && draft >= DRAFT_2019) add_anchor(w, name, schema, false);
    if (dynamic && draft >= DRAFT_2020) add_anchor(w, dynamic, schema, true);
}

static int walk_schema(struct walk *w, const json_t *schema);

static int walk_map(struct walk *w, const json_t *map)
{
    const char *key;
    json_t *sub;
    json_object_foreach((json_t *)map, key, sub)
    {
        size_t before = path_enter(&w->at, key);
        int rc = walk_schema(w, sub);
        path_leave(&w->at, before);
        if (rc) return -1;
    }
    return 0;
}

static int walk_list(struct walk *w, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        size_t before = path_enter_index(&w->at, i);
        int rc = walk_schema(w, json_array_get(list, i));
        path_leave(&w->at, before);
        if (rc) return -1;
    }
    return 0;
}

static int walk_keywords(struct walk *w, const json_t *schema)
{
    for (size_t i = 0; i < sizeof holders / sizeof holders[0]; i++) {
        const json_t *held = json_object_get(schema, holders[i].keyword);
        enum holds what = holders[i].what;
        if (!held) continue;
        size_t before = path_enter(&w->at, holders[i].keyword);
        int rc = what == MAP ? walk_map(w, held)
                 : what == LIST || (what == ONE_OR_LIST && json_is_array(held))
                     ? walk_list(w, held)
                     : walk_schema(w, held);
        path_leave(&w->at, before);
        if (rc) return -1;
    }
    return 0;
}

static int walk_schema(struct walk *w, const json_t *schema)
{
    struct index *x = w->x;
    size_t resource = w->resource;
    enum draft draft = x->resources[resource].draft;
    if (!json_is_object(schema)) return 0;
    if (++w->depth > NESTING_MAX)
        return err_set(x->e, ERR_INPUT, "schema: nests more than %d schemas", NESTING_MAX);
    bool top = schema == x->resources[resource].root;
    const char *id = id_of(schema, draft);
    if (id && id[0] != '#' && !top) { // only here may a schema be of another draft than those above
        if (draft_of(schema, draft, &draft, x->e)) return -1;
        w->resource = add_resource(x, uri_resolve(x->resources[resource].uri, id), schema,
                                   buf_text(&w->at), draft);
    }
    add_anchors(w, schema, draft);
    if (json_object_get(schema, "unevaluatedItems") ||
        json_object_get(schema, "unevaluatedProperties"))
        x->tracks = true;
    int rc = walk_keywords(w, schema);
    w->resource = resource;
    w->depth--;
    return rc;
}

void index_each(const json_t *schema, void see(const json_t *schema, void *context), void *context)
{
    const char *key;
    json_t *sub;
    size_t i;
    if (!json_is_object(schema)) return;
    see(schema, context);
    for (size_t h = 0; h < sizeof holders / sizeof holders[0]; h++) {
        const json_t *held = json_object_get(schema, holders[h].keyword);
        if (holders[h].what != MAP) index_each(held, see, context);
        json_array_foreach(held, i, sub) index_each(sub, see, context);
        if (holders[h].what != MAP) continue;
        json_object_foreach((json_t *)held, key, sub)
        {
            index_each(sub, see, context);
        }
    }
}

int index_add(struct index *x, const json_t *document, const char *uri, const char *at,
              enum draft draft)
{
    if (draft_of(document, draft, &draft, x->e)) return -1;
    const char *id = id_of(document, draft);
    char *own = id ? uri_resolve(uri, id) : mem_str(uri);
    struct walk w = {.x = x, .at = buf_new(1 << 20)};
    buf_str(&w.at, at);
    w.resource = add_resource(x, own, document, at, draft);
    if (*uri) x->resources[w.resource].found_at = mem_str(uri);
    int rc = walk_schema(&w, document);
    buf_free(&w.at);
    return rc;
}

void index_free(struct index *x)
{
    for (size_t i = 0; i < x->n_resource; i++) {
        free(x->resources[i].uri);
        free(x->resources[i].found_at);
        free(x->resources[i].at);
    }
    for (size_t i = 0; i < x->n_anchor; i++) {
        free(x->anchors[i].name);
        free(x->anchors[i].at);
    }
    free(x->resources);
    free(x->anchors);
}

// ---- references ----

size_t index_resource_at(const struct index *x, const json_t *node)
{
    for (size_t i = 0; i < x->n_resource; i++)
        if (x->resources[i].root == node) return i;
    return SIZE_MAX;
}

const struct anchor *index_anchor(const struct index *x, size_t resource, const char *name)
{
    for (size_t i = 0; i < x->n_anchor; i++)
        if (x->anchors[i].resource == resource && strcmp(x->anchors[i].name, name) == 0)
            return &x->anchors[i];
    return NULL;
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9'                     ? c - '0'
           : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                    : -1;
}

// The fragment of a URI, percent-encoding undone. The caller frees.
static char *decoded(const char *s)
{
    char *out = mem_str(s), *w = out;
    for (; *s; s++) {
        int high = *s == '%' ? hex_value(s[1]) : -1, low = high >= 0 ? hex_value(s[2]) : -1;
        if (low > 0 || (low == 0 && high > 0)) { // never a NUL
            *w++ = (char)(high * 16 + low);
            s += 2;
        } else {
            *w++ = *s;
        }
    }
    *w = 0;
    return out;
}

// One step of a JSON pointer, its escapes undone; *p moves behind it. The caller frees.
static char *pointer_step(const char **p)
{
    size_t n = strcspn(*p, "/");
    char *name = mem_strn(*p, n), *w = name;
    for (const char *s = name; *s; s++)
        *w++ = *s == '~' && (s[1] == '0' || s[1] == '1') ? (*++s == '0' ? '~' : '/') : *s;
    *w = 0;
    *p += n;
    return name;
}

static const json_t *element(const json_t *list, const char *name)
{
    char *end;
    if (*name < '0' || *name > '9' || (*name == '0' && name[1])) return NULL;
    unsigned long i = strtoul(name, &end, 10);
    return *end ? NULL : json_array_get(list, i);
}

static void follow_pointer(const struct index *x, const char *pointer, struct target *t)
{
    while (t->node && *pointer == '/') {
        pointer++;
        char *name = pointer_step(&pointer);
        t->node = json_is_array(t->node) ? element(t->node, name) : json_object_get(t->node, name);
        path_enter(&t->at, name);
        size_t inner = index_resource_at(x, t->node);
        if (inner != SIZE_MAX) t->resource = inner;
        free(name);
    }
}

// The same but for a fragment of its own?
static bool is_uri_of(const char *own, const char *uri)
{
    size_t n = strlen(uri);
    return own && strncmp(own, uri, n) == 0 && (!own[n] || own[n] == '#');
}

static size_t find_resource(const struct index *x, size_t from, const char *ref)
{
    if (*ref == 0 || *ref == '#') return from;
    char *uri = uri_resolve(x->resources[from].uri, ref);
    size_t found = SIZE_MAX;
    for (size_t i = 0; i < x->n_resource && found == SIZE_MAX; i++)
        if (is_uri_of(x->resources[i].uri, uri) || is_uri_of(x->resources[i].found_at, uri))
            found = i;
    free(uri);
    return found;
}

bool index_follow(const struct index *x, size_t resource, const char *ref, struct target *out,
                  char why[200])
{
    size_t found = find_resource(x, resource, ref);
    if (found == SIZE_MAX) {
        snprintf(why, 200, "%.120s leads out of the schema; nothing is fetched", ref);
        return false;
    }
    const struct resource *r = &x->resources[found];
    const char *hash = strchr(ref, '#');
    char *fragment = decoded(hash ? hash + 1 : "");
    *out = (struct target){.node = r->root, .resource = found, .at = buf_new(1 << 20)};
    const struct anchor *a =
        *fragment && *fragment != '/' ? index_anchor(x, found, fragment) : NULL;
    buf_str(&out->at, a ? a->at : r->at);
    if (a)
        out->node = a->node;
    else if (*fragment == '/')
        follow_pointer(x, fragment, out);
    else if (*fragment)
        out->node = NULL;
    free(fragment);
    if (out->node) return true;
    snprintf(why, 200, "there is nothing at %.120s", ref);
    buf_free(&out->at);
    return false;
}
