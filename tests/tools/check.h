// A small schema check for these tests: required, unknown and mistyped arguments, enum, minLength.
// The runtime lends the real one.
#pragma once
#include "base/err.h"
#include <jansson.h>
#include <string.h>

static inline int check_one(const char *name, const json_t *schema, const json_t *value, err *e)
{
    const char *type = json_string_value(json_object_get(schema, "type"));
    if (type && strcmp(type, "string") == 0 && !json_is_string(value))
        return err_set(e, ERR_INPUT, "/%s: expected a string", name);
    if (type && strcmp(type, "integer") == 0 && !json_is_integer(value))
        return err_set(e, ERR_INPUT, "/%s: expected an integer", name);
    if (json_string_length(value) <
        (size_t)json_integer_value(json_object_get(schema, "minLength")))
        return err_set(e, ERR_INPUT, "/%s: too short", name);
    const json_t *choices = json_object_get(schema, "enum");
    size_t i;
    json_t *choice;
    json_array_foreach(choices, i, choice) if (json_equal(choice, value)) return 0;
    return choices ? err_set(e, ERR_INPUT, "/%s: not one of the choices", name) : 0;
}

static inline int check_args(const json_t *schema, const json_t *doc, err *e)
{
    const json_t *properties = json_object_get(schema, "properties");
    size_t i;
    const char *key;
    json_t *value;
    if (!json_is_object(doc)) return err_set(e, ERR_INPUT, "expected an object");
    json_array_foreach(
        json_object_get(schema, "required"), i,
        value) if (!json_object_get(doc,
                                    json_string_value(
                                        value))) return err_set(e, ERR_INPUT, "/%s: missing",
                                                                json_string_value(value));
    json_object_foreach((json_t *)(uintptr_t)doc, key, value)
    {
        const json_t *p = json_object_get(properties, key);
        if (!p) return err_set(e, ERR_INPUT, "/%s: unknown", key);
        if (check_one(key, p, value, e) < 0) return -1;
    }
    return 0;
}
