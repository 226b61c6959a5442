// Where $ref leads. A document is walked once along the keywords that hold schemas; each $id opens
// a resource, each $anchor names a place in one. URIs are joined as RFC 3986, section 5.2 says.
#include "base/mem.h"
#include "engine/grammar_private.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 400

// ---- URIs ----

static size_t scheme_length(const char *uri)
{
    size_t n = strcspn(uri, ":/?#");
    return n > 0 && uri[n] == ':' ? n + 1 : 0;
}

static size_t authority_end(const char *uri)
{
    size_t n = scheme_length(uri);
    return uri[n] == '/' && uri[n + 1] == '/' ? n + 2 + strcspn(uri + n + 2, "/?#") : n;
}

// Takes "." and ".." out of the path that begins at `path`, in place.
static void remove_dots(char *path)
{
    char *out = path, *in = path, *end = path + strcspn(path, "?#");
    while (in < end) {
        char *next = in + 1 + strcspn(in + 1, "/?#");
        size_t n = (size_t)(next - in);
        bool last = next == end;
        if (n == 2 && memcmp(in, "/.", 2) == 0) {
            if (last) *out++ = '/';
        } else if (n == 3 && memcmp(in, "/..", 3) == 0) {
            while (out > path && *--out != '/') {
            }
            if (last) *out++ = '/';
        } else {
            memmove(out, in, n);
            out += n;
        }
        in = next;
    }
    memmove(out, end, strlen(end) + 1);
}

static char *uri_join(const char *base, const char *ref)
{
    char *out;
    size_t path = authority_end(base), end = strcspn(base, "#");
    if (scheme_length(ref) || base[0] == 0) {
        out = mem_str(ref);
    } else if (ref[0] == '#' || ref[0] == 0) {
        out = mem_printf("%.*s%s", (int)end, base, ref);
    } else if (ref[0] == '/' && ref[1] == '/') {
        out = mem_printf("%.*s%s", (int)scheme_length(base), base, ref);
    } else if (ref[0] == '/') {
        out = mem_printf("%.*s%s", (int)path, base, ref);
    } else {
        size_t query = strcspn(base, "?#"), slash = query;
        while (slash > path && base[slash - 1] != '/') slash--;
        bool bare = slash == path && path > scheme_length(base);
        out = mem_printf("%.*s%s%s", (int)slash, base, bare ? "/" : "", ref);
    }
    size_t from = authority_end(out);
    if (out[from] == '/') remove_dots(out + from);
    size_t n = strlen(out);
    if (n && out[n - 1] == '#') out[n - 1] = 0; // an empty fragment says nothing
    return out;
}

// ---- places ----

static uint32_t add_place(struct places *p, char *uri, const json_t *schema, uint32_t base,
                          bool dynamic)
{
    if (p->n == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 8;
        p->v = mem_grow(p->v, p->cap * sizeof *p->v);
    }
    p->v[p->n] = (struct place){uri, schema, base == NONE ? p->n : base, dynamic};
    return p->n++;
}

static const char *text_of(const json_t *schema, const char *key)
{
    return json_string_value(json_object_get(schema, key));
}

// The name of the resource that a schema opens; NULL: it opens none.
static const char *own_id(const struct places *p, const json_t *schema)
{
    if (p->ref_alone && json_object_get(schema, "$ref")) return NULL;
    const char *id = text_of(schema, "$id");
    if (!id && json_object_size(schema) > 1) id = text_of(schema, "id"); // draft 4
    return id && id[0] != '#' ? id : NULL;
}

static const char *const schema_keys[] = {"additionalItems",
                                          "additionalProperties",
                                          "contains",
                                          "contentSchema",
                                          "else",
                                          "if",
                                          "items",
                                          "not",
                                          "propertyNames",
                                          "then",
                                          "unevaluatedItems",
                                          "unevaluatedProperties"};
static const char *const list_keys[] = {"allOf", "anyOf", "oneOf", "prefixItems", "items"};
static const char *const map_keys[] = {"$defs",      "definitions",       "dependencies",
                                       "properties", "patternProperties", "dependentSchemas"};

static bool is_one_of(const char *key, const char *const *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(key, v[i]) == 0) return true;
    return false;
}
#define IS_ONE_OF(key, v) is_one_of(key, v, sizeof(v) / sizeof *(v))

static void walk(struct places *p, const json_t *schema, uint32_t base, int depth)
{
    if (!json_is_object(schema) || depth > DEPTH_MAX) return;
    const char *id = own_id(p, schema), *key;
    json_t *value, *sub;
    size_t i;
    if (id && depth > 0) base = add_place(p, uri_join(p->v[base].uri, id), schema, NONE, false);
    const char *anchors[] = {text_of(schema, "$anchor"), text_of(schema, "$dynamicAnchor"),
                             text_of(schema, "$id") && text_of(schema, "$id")[0] == '#'
                                 ? text_of(schema, "$id") + 1
                                 : NULL};
    for (int a = 0; a < 3; a++)
        if (anchors[a])
            add_place(p, mem_printf("%s#%s", p->v[base].uri, anchors[a]), schema, base, a == 1);
    if (json_is_true(json_object_get(schema, "$recursiveAnchor"))) p->recursive_anchor = true;
    json_object_foreach((json_t *)schema, key, value)
    {
        const char *inner;
        if (json_is_object(value) && IS_ONE_OF(key, schema_keys)) {
            walk(p, value, base, depth + 1);
        } else if (json_is_array(value) && IS_ONE_OF(key, list_keys)) {
            json_array_foreach(value, i, sub) walk(p, sub, base, depth + 1);
        } else if (json_is_object(value) && IS_ONE_OF(key, map_keys)) {
            json_object_foreach(value, inner, sub) walk(p, sub, base, depth + 1);
        }
    }
}

void places_add(struct places *p, const json_t *document)
{
    const char *id = json_is_object(document) ? own_id(p, document) : NULL;
    uint32_t root = add_place(p, uri_join("", id ? id : ""), document, NONE, false);
    walk(p, document, root, 0);
}

void places_free(struct places *p)
{
    for (uint32_t i = 0; i < p->n; i++) free(p->v[i].uri);
    free(p->v);
    *p = (struct places){0};
}

uint32_t places_dynamic(const struct places *p, const char *anchor)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->n; i++) {
        const char *hash = strchr(p->v[i].uri, '#');
        n += p->v[i].dynamic && hash && strcmp(hash + 1, anchor) == 0;
    }
    return n;
}

// ---- JSON pointers ----

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static void percent_decode(char *s)
{
    char *out = s;
    for (; *s; s++) {
        if (*s == '%' && hex(s[1]) >= 0 && hex(s[2]) >= 0) {
            *out++ = (char)(hex(s[1]) * 16 + hex(s[2]));
            s += 2;
        } else {
            *out++ = *s;
        }
    }
    *out = 0;
}

// One reference token of a pointer, unescaped in place.
static void unescape(char *s)
{
    char *out = s;
    for (; *s; s++) {
        if (*s == '~' && (s[1] == '0' || s[1] == '1'))
            *out++ = *++s == '0' ? '~' : '/';
        else
            *out++ = *s;
    }
    *out = 0;
}

static const json_t *follow(const struct places *p, const json_t *at, char *pointer, uint32_t *base)
{
    for (char *next; at && pointer; pointer = next) {
        next = strchr(pointer, '/');
        if (next) *next++ = 0;
        unescape(pointer);
        char *end;
        unsigned long index = strtoul(pointer, &end, 10);
        at = json_is_array(at) ? (*pointer && !*end ? json_array_get(at, index) : NULL)
                               : json_object_get(at, pointer);
        for (uint32_t i = 0; at && i < p->n; i++)
            if (p->v[i].schema == at && p->v[i].base == i) *base = i;
    }
    return at;
}

const json_t *places_find(const struct places *p, const char *ref, uint32_t *base, const char **why)
{
    char *uri = uri_join(p->v[*base].uri, ref);
    char *hash = strchr(uri, '#');
    const json_t *found = NULL;
    *why = "there is nothing at this place";
    uint32_t resource = NONE;
    for (uint32_t i = 0; i < p->n; i++)
        if (strcmp(p->v[i].uri, uri) == 0) {
            found = p->v[i].schema;
            *base = p->v[i].base;
            goto done;
        }
    size_t n = hash ? (size_t)(hash - uri) : strlen(uri);
    for (uint32_t i = 0; i < p->n && resource == NONE; i++)
        if (p->v[i].base == i && strlen(p->v[i].uri) == n && memcmp(p->v[i].uri, uri, n) == 0)
            resource = i;
    if (resource == NONE) {
        *why = "refers to another document: only references within the schema are resolved";
    } else if (hash) {
        *base = resource;
        percent_decode(hash + 1);
        if (hash[1] == '/')
            found = follow(p, p->v[resource].schema, hash + 2, base);
        else if (hash[1] == 0)
            found = p->v[resource].schema;
    }
done:
    free(uri);
    return found;
}
