// The keywords of objects.
#include "engine/schema_private.h"

#include <string.h>

static void mark_key(struct seen *seen, const json_t *doc, const char *key)
{
    const char *own;
    json_t *value;
    size_t i = 0;
    if (!seen) return;
    json_object_foreach((json_t *)doc, own, value)
    {
        if (strcmp(own, key) == 0) seen_mark_item(seen, i);
        i++;
    }
}

static bool is_map(struct checker *c, const struct rule *r)
{
    if (!json_is_object(r->value))
        refused(c, "expected an object of schemas, found %s", json_kind(r->value));
    return json_is_object(r->value);
}

// One member of doc against one schema of the map in which it stands by this name.
static enum verdict check_member(struct checker *c, const char *name, const json_t *schema,
                                 const char *key, const json_t *value)
{
    size_t before = path_enter(&c->at, name);
    enum verdict v = validate_member(c, key, schema, value);
    path_leave(&c->at, before);
    return v;
}

enum verdict check_properties(struct checker *c, const struct rule *r, const json_t *doc)
{
    const char *key;
    json_t *sub;
    if (!is_map(c, r)) return REFUSED;
    json_object_foreach((json_t *)r->value, key, sub)
    {
        const json_t *value = json_object_get(doc, key);
        enum verdict v = value ? check_member(c, key, sub, key, value) : VALID;
        if (v != VALID) return v;
        if (value) mark_key(r->seen, doc, key);
    }
    return VALID;
}

static enum verdict check_names_present(struct checker *c, const json_t *names, const json_t *doc)
{
    size_t i;
    json_t *name;
    if (!json_is_array(names)) return refused(c, "expected a list of names");
    json_array_foreach(names, i, name)
    {
        if (!json_is_string(name)) return refused(c, "expected a list of names");
        if (!json_is_object(doc) || json_object_get(doc, json_string_value(name))) continue;
        size_t before = path_enter(&c->path, json_string_value(name));
        enum verdict v = invalid(c, "missing");
        path_leave(&c->path, before);
        return v;
    }
    return VALID;
}

enum verdict check_required(struct checker *c, const struct rule *r, const json_t *doc)
{
    return check_names_present(c, r->value, doc);
}

// Is the key named by properties, or matched by a patternProperties? 1, 0; -1: refused.
static int is_declared(struct checker *c, const json_t *schema, const char *key)
{
    if (json_object_get(json_object_get(schema, "properties"), key)) return 1;
    const char *pattern;
    json_t *unused;
    json_object_foreach(json_object_get(schema, "patternProperties"), pattern, unused)
    {
        int m = pattern_matches(c, pattern, strlen(pattern), key, strlen(key));
        if (m) return m;
    }
    return 0;
}

static enum verdict unknown_property(struct checker *c, const json_t *schema)
{
    const char *key;
    json_t *unused;
    if (c->quiet) return INVALID;
    buf b = buf_new(300);
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

static enum verdict check_extra(struct checker *c, const struct rule *r, const char *key,
                                const json_t *value)
{
    if (!json_is_false(r->value)) return validate_member(c, key, r->value, value);
    size_t before = path_enter(&c->path, key);
    enum verdict v = unknown_property(c, r->schema);
    path_leave(&c->path, before);
    return v;
}

enum verdict check_additional(struct checker *c, const struct rule *r, const json_t *doc)
{
    const char *key;
    json_t *value;
    size_t i = 0;
    json_object_foreach((json_t *)doc, key, value)
    {
        int declared = is_declared(c, r->schema, key);
        if (declared < 0) return REFUSED;
        enum verdict v = declared ? VALID : check_extra(c, r, key, value);
        if (v != VALID) return v;
        if (!declared) seen_mark_item(r->seen, i);
        i++;
    }
    return VALID;
}

enum verdict check_unevaluated_properties(struct checker *c, const struct rule *r,
                                          const json_t *doc)
{
    const char *key;
    json_t *value;
    size_t i = 0;
    json_object_foreach((json_t *)doc, key, value)
    {
        enum verdict v = r->seen->member[i] ? VALID : check_extra(c, r, key, value);
        if (v != VALID) return v;
        r->seen->member[i++] = true;
    }
    return VALID;
}

enum verdict check_pattern_properties(struct checker *c, const struct rule *r, const json_t *doc)
{
    const char *key, *pattern;
    json_t *value, *sub;
    if (!is_map(c, r)) return REFUSED;
    json_object_foreach((json_t *)r->value, pattern, sub)
    {
        size_t i = 0;
        json_object_foreach((json_t *)doc, key, value)
        {
            int m = pattern_matches(c, pattern, strlen(pattern), key, strlen(key));
            if (m < 0) return REFUSED;
            enum verdict v = m ? check_member(c, pattern, sub, key, value) : VALID;
            if (v != VALID) return v;
            if (m) seen_mark_item(r->seen, i);
            i++;
        }
    }
    return VALID;
}

enum verdict check_names(struct checker *c, const struct rule *r, const json_t *doc)
{
    const char *key;
    json_t *unused;
    json_object_foreach((json_t *)doc, key, unused)
    {
        json_t *name = json_string(key);
        enum verdict v = validate_member(c, key, r->value, name);
        json_decref(name);
        if (v != VALID) return v;
    }
    return VALID;
}

// dependencies, dependentRequired and dependentSchemas: a list of names or a schema for each key.
enum verdict check_dependencies(struct checker *c, const struct rule *r, const json_t *doc)
{
    const char *key;
    json_t *sub;
    if (!is_map(c, r)) return REFUSED;
    json_object_foreach((json_t *)r->value, key, sub)
    {
        if (!json_object_get(doc, key)) continue;
        size_t before = path_enter(&c->at, key);
        enum verdict v =
            json_is_array(sub) ? check_names_present(c, sub, doc) : validate(c, sub, doc, r->seen);
        path_leave(&c->at, before);
        if (v != VALID) return v;
    }
    return VALID;
}
