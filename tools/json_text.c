#include "tools/json_text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The fewest digits that read back as the same number.
static void put_real(buf *out, double x)
{
    char s[40];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(s, sizeof s, "%.*g", digits, x);
        if (strtod(s, NULL) == x) break;
    }
    buf_str(out, s);
    if (strspn(s, "-0123456789") == strlen(s)) buf_str(out, ".0");
}

static void put_scalar(buf *out, const json_t *value)
{
    char *s = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    if (s) buf_str(out, s);
    free(s);
}

static void put_key(buf *out, const char *key)
{
    json_t *k = json_string(key);
    put_scalar(out, k);
    json_decref(k);
    buf_str(out, ": ");
}

void json_text(buf *out, const json_t *value)
{
    size_t i;
    const char *key, *join = "";
    json_t *item;
    if (json_is_array(value)) {
        buf_byte(out, '[');
        json_array_foreach(value, i, item)
        {
            if (i) buf_str(out, ", ");
            json_text(out, item);
        }
        buf_byte(out, ']');
    } else if (json_is_object(value)) {
        buf_byte(out, '{');
        json_object_foreach((json_t *)(uintptr_t)value, key, item)
        {
            buf_str(out, join);
            join = ", ";
            put_key(out, key);
            json_text(out, item);
        }
        buf_byte(out, '}');
    } else if (json_is_real(value)) {
        put_real(out, json_real_value(value));
    } else {
        put_scalar(out, value);
    }
}
