#include "engine/json_write.h"

#include "engine/float_text.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void write_string(buf *b, const char *s, size_t n)
{
    static const char plain[] = "\"\\\n\r\t\b\f", letter[] = "\"\\nrtbf";
    buf_byte(b, '"');
    for (size_t i = 0; i < n; i++) {
        const char *known = s[i] ? strchr(plain, s[i]) : NULL;
        if (known) {
            buf_byte(b, '\\');
            buf_byte(b, letter[known - plain]);
        } else if ((unsigned char)s[i] < 0x20) {
            buf_printf(b, "\\u%04x", (unsigned char)s[i]);
        } else {
            buf_byte(b, s[i]);
        }
    }
    buf_byte(b, '"');
}

static void write_scalar(buf *b, const json_t *v)
{
    char text[40];
    switch (json_typeof(v)) {
    case JSON_STRING: write_string(b, json_string_value(v), json_string_length(v)); break;
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

void json_write(buf *b, const json_t *v, bool spaced)
{
    const char *key, *comma = spaced ? ", " : ",", *colon = spaced ? ": " : ":", *before = "";
    json_t *sub;
    size_t i;
    if (json_is_array(v)) {
        buf_byte(b, '[');
        json_array_foreach(v, i, sub)
        {
            buf_str(b, i ? comma : "");
            json_write(b, sub, spaced);
        }
        buf_byte(b, ']');
    } else if (json_is_object(v)) {
        buf_byte(b, '{');
        json_object_foreach((json_t *)v, key, sub)
        {
            buf_str(b, before);
            before = comma;
            write_string(b, key, strlen(key));
            buf_str(b, colon);
            json_write(b, sub, spaced);
        }
        buf_byte(b, '}');
    } else {
        write_scalar(b, v);
    }
}

// Bytes of the number at s; *integer says that it has neither point nor exponent.
static size_t number_length(const char *s, size_t n, bool *integer)
{
    size_t i = 0;
    *integer = true;
    for (; i < n && (isalnum((unsigned char)s[i]) || (s[i] && strchr("+-.", s[i]))); i++)
        if (s[i] != '-' && !isdigit((unsigned char)s[i])) *integer = false;
    return i;
}

static bool beyond_64_bits(const char *digits, size_t n)
{
    if (n < 19) return false;
    char text[24] = "";
    if (n > 20) return true;
    memcpy(text, digits, n);
    errno = 0;
    (void)strtoll(text, NULL, 10);
    return errno == ERANGE;
}

// The same text with ".0" behind each integer that does not fit.
static void spell_as_reals(buf *b, const char *s, size_t n)
{
    bool in_string = false, integer;
    for (size_t i = 0; i < n;) {
        size_t k = 1;
        if (in_string) {
            if (s[i] == '\\' && i + 1 < n) k = 2;
            in_string = s[i] != '"';
            buf_put(b, s + i, k);
        } else if (s[i] == '-' || isdigit((unsigned char)s[i])) {
            k = number_length(s + i, n - i, &integer);
            buf_put(b, s + i, k);
            if (integer && beyond_64_bits(s + i, k)) buf_str(b, ".0");
        } else {
            in_string = s[i] == '"';
            buf_byte(b, s[i]);
        }
        i += k;
    }
}

json_t *json_read(const char *text, size_t n, size_t flags, json_error_t *e)
{
    json_t *v = json_loadb(text, n, flags, e);
    if (v || json_error_code(e) != json_error_numeric_overflow) return v;
    buf b = buf_new(2 * n + 64);
    spell_as_reals(&b, text, n);
    v = json_loadb(buf_text(&b), b.n, flags, e);
    buf_free(&b);
    return v;
}
