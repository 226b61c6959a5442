// Every field has one row that names it and the function that checks it. What is not in the table
// is an error: a misspelt "capabilites" must not silently mean "none".
#include "tools/manifest.h"

#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 64, DESCRIPTION_MAX_BYTES = 2000 };

struct field {
    const char *name;
    bool required;
    int (*read)(json_t *value, const char *path, tool *t, err *e);
};

static const char *kind_of(const json_t *value)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "a table",   [JSON_ARRAY] = "a list",  [JSON_STRING] = "a string",
        [JSON_INTEGER] = "a number", [JSON_REAL] = "a number", [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",      [JSON_NULL] = "null"};
    return value ? names[json_typeof(value)] : "nothing";
}

static int read_name(json_t *value, const char *path, tool *t, err *e)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    static const char rest[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789-";
    const char *s = json_string_value(value);
    if (!s || !*s || !strchr(first, *s) || strspn(s, rest) != strlen(s) ||
        strlen(s) > NAME_MAX_BYTES)
        return err_set(e, ERR_INPUT,
                       "%s: field name: found %s%.80s%s, expected a letter or _, then up to 63 "
                       "letters, digits, _ or -",
                       path, s ? "\"" : "", s ? s : kind_of(value), s ? "\"" : "");
    t->name = s;
    return 0;
}

static int read_description(json_t *value, const char *path, tool *t, err *e)
{
    const char *s = json_string_value(value);
    if (!s || !*s || strlen(s) > DESCRIPTION_MAX_BYTES)
        return err_set(e, ERR_INPUT,
                       "%s: field description: found %s, expected a string of 1 to %d bytes", path,
                       s ? (*s ? "a longer one" : "an empty one") : kind_of(value),
                       DESCRIPTION_MAX_BYTES);
    t->description = s;
    return 0;
}

// Lua tables have no order. Keywords get the one that people write and that models were trained on.
static void order_keywords(json_t *schema)
{
    static const char *const first[] = {"type",  "description", "enum",    "const",
                                        "items", "properties",  "required"};
    json_t *all = json_copy(schema);
    json_object_clear(schema);
    for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
        json_t *item = json_object_get(all, first[i]);
        if (item) json_object_set(schema, first[i], item);
    }
    json_object_update_missing(schema, all);
    json_decref(all);
}

// Lua's {} reads as an object; where a schema means a list, an empty one is left out. Properties
// get the order that `required` gives, so that the model meets path before content.
static void order_schema(json_t *schema)
{
    order_keywords(schema);
    json_t *required = json_object_get(schema, "required");
    if (json_is_object(required) && json_object_size(required) == 0) {
        json_object_del(schema, "required");
        required = NULL;
    }
    json_t *properties = json_object_get(schema, "properties");
    const char *key;
    json_t *item, *name;
    if (json_is_object(properties)) {
        json_t *ordered = json_object();
        size_t i;
        json_array_foreach(required, i, name)
        {
            item = json_object_get(properties, json_string_value(name));
            if (item) json_object_set(ordered, json_string_value(name), item);
        }
        json_object_update_missing(ordered, properties);
        json_object_set_new(schema, "properties", ordered);
        json_object_foreach(ordered, key, item) if (json_is_object(item)) order_schema(item);
    }
    item = json_object_get(schema, "items");
    if (json_is_object(item)) order_schema(item);
}

static int read_parameters(json_t *value, const char *path, tool *t, err *e)
{
    const char *type = json_string_value(json_object_get(value, "type"));
    if (!json_is_object(value))
        return err_set(e, ERR_INPUT, "%s: field parameters: found %s, expected a JSON Schema", path,
                       kind_of(value));
    if (!type || strcmp(type, "object") != 0)
        return err_set(e, ERR_INPUT, "%s: field parameters.type: found %s, expected \"object\"",
                       path, type ? type : kind_of(json_object_get(value, "type")));
    order_schema(value);
    json_t *properties = json_object_get(value, "properties");
    if (properties && !json_is_object(properties))
        return err_set(e, ERR_INPUT, "%s: field parameters.properties: found %s, expected a table",
                       path, kind_of(properties));
    json_t *required = json_object_get(value, "required"), *name;
    size_t i;
    if (required && !json_is_array(required))
        return err_set(e, ERR_INPUT, "%s: field parameters.required: found %s, expected a list",
                       path, kind_of(required));
    json_array_foreach(
        required, i,
        name) if (!json_object_get(properties,
                                   json_string_value(
                                       name))) return err_set(e, ERR_INPUT,
                                                              "%s: field parameters.required: %s "
                                                              "is not among the properties",
                                                              path,
                                                              json_is_string(name)
                                                                  ? json_string_value(name)
                                                                  : kind_of(name));
    t->parameters = value;
    return 0;
}

static int read_effect(json_t *value, const char *path, tool *t, err *e)
{
    static const char *const names[] = {
        [EFFECT_PURE] = "pure", [EFFECT_IDEMPOTENT] = "idempotent", [EFFECT_ONCE] = "once"};
    const char *s = json_string_value(value);
    for (int i = 0; s && i < 3; i++) {
        if (strcmp(s, names[i]) != 0) continue;
        t->effect = (enum tool_effect)i;
        return 0;
    }
    return err_set(e, ERR_INPUT, "%s: field effect: found %.80s, expected pure, idempotent or once",
                   path, s ? s : kind_of(value));
}

static int read_capabilities(json_t *value, const char *path, tool *t, err *e)
{
    static const struct {
        const char *name, *expected;
        bool is_access; // "r" or "rw"; otherwise true or false
    } rows[] = {{"fs", "\"r\" or \"rw\"", true},
                {"memory", "\"r\" or \"rw\"", true},
                {"clock", "true", false}};
    if (!json_is_object(value))
        return err_set(e, ERR_INPUT, "%s: field capabilities: found %s, expected a table", path,
                       kind_of(value));
    const char *key;
    json_t *item;
    json_object_foreach(value, key, item)
    {
        size_t i = 0, n = sizeof rows / sizeof *rows;
        while (i < n && strcmp(rows[i].name, key) != 0) i++;
        if (i == n)
            return err_set(
                e, ERR_INPUT,
                "%s: field capabilities: unknown \"%.80s\", expected fs, memory or clock", path,
                key);
        const char *s = json_string_value(item);
        bool fits = rows[i].is_access ? s && (strcmp(s, "r") == 0 || strcmp(s, "rw") == 0)
                                      : json_is_boolean(item);
        if (!fits)
            return err_set(e, ERR_INPUT, "%s: field capabilities.%s: found %.80s, expected %s",
                           path, key, s ? s : kind_of(item), rows[i].expected);
    }
    t->capabilities = value;
    return 0;
}

static int read_limits(json_t *value, const char *path, tool *t, err *e)
{
    struct box_limits most = BOX_MAX_LIMITS;
    struct row {
        const char *name;
        int *at, max;
    } rows[] = {{"wall_ms", &t->limits.wall_ms, most.wall_ms},
                {"cpu_ms", &t->limits.cpu_ms, most.cpu_ms},
                {"memory_mb", &t->limits.memory_mb, most.memory_mb},
                {"output_kb", &t->limits.output_kb, most.output_kb}};
    if (!json_is_object(value))
        return err_set(e, ERR_INPUT, "%s: field limits: found %s, expected a table", path,
                       kind_of(value));
    const char *key;
    json_t *item;
    json_object_foreach(value, key, item)
    {
        struct row *r = rows, *end = rows + sizeof rows / sizeof *rows;
        while (r < end && strcmp(r->name, key) != 0) r++;
        if (r == end)
            return err_set(e, ERR_INPUT,
                           "%s: field limits: unknown \"%.80s\", expected wall_ms, cpu_ms, "
                           "memory_mb or output_kb",
                           path, key);
        json_int_t x = json_integer_value(item);
        if (!json_is_integer(item) || x < 1 || x > r->max)
            return err_set(e, ERR_INPUT,
                           "%s: field limits.%s: expected a whole number from 1 to %d", path, key,
                           r->max);
        *r->at = (int)x;
    }
    return 0;
}

static int read_run(json_t *value, const char *path, tool *t, err *e)
{
    (void)t;
    const char *s = json_string_value(value); // a function arrives as this word
    if (s && strcmp(s, "function") == 0) return 0;
    return err_set(e, ERR_INPUT, "%s: field run: found %s, expected a function", path,
                   kind_of(value));
}

static const struct field fields[] = {
    {"name", true, read_name},
    {"description", true, read_description},
    {"parameters", true, read_parameters},
    {"effect", true, read_effect},
    {"capabilities", false, read_capabilities},
    {"limits", false, read_limits},
    {"run", true, read_run},
};

enum { N_FIELD = sizeof fields / sizeof *fields };

static const struct field *field_find(const char *name)
{
    for (int i = 0; i < N_FIELD; i++)
        if (strcmp(fields[i].name, name) == 0) return &fields[i];
    return NULL;
}

int manifest_read(json_t *manifest, const char *path, tool *t, err *e)
{
    if (!json_is_object(manifest))
        return err_set(e, ERR_INPUT, "%s: expected it to return a table, found %s", path,
                       kind_of(manifest));
    t->limits = BOX_DEFAULT_LIMITS;
    const char *key;
    json_t *value;
    json_object_foreach(manifest, key, value) if (!field_find(key)) return err_set(
        e, ERR_INPUT,
        "%s: unknown field \"%.80s\"; a tool has name, description, parameters, "
        "effect, capabilities, limits, run",
        path, key);
    if (!json_object_get(manifest, "capabilities"))
        json_object_set_new(manifest, "capabilities", json_object());
    for (int i = 0; i < N_FIELD; i++) {
        value = json_object_get(manifest, fields[i].name);
        if (!value && fields[i].required)
            return err_set(e, ERR_INPUT, "%s: field %s is missing", path, fields[i].name);
        if (value && fields[i].read(value, path, t, e) < 0) return -1;
    }
    return 0;
}
