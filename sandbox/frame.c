#include "sandbox/frame.h"

#include <string.h>

void frame_put(buf *out, const void *bytes, size_t n)
{
    unsigned char head[FRAME_HEAD];
    for (int i = 0; i < FRAME_HEAD; i++) head[i] = (unsigned char)(n >> (8 * i));
    buf_put(out, head, sizeof head);
    buf_put(out, bytes, n);
}

int frame_next(const char *in, size_t n_in, size_t max, const char **payload, size_t *n, err *e)
{
    if (n_in < FRAME_HEAD) return 0;
    size_t size = 0;
    for (int i = 0; i < FRAME_HEAD; i++) size |= (size_t)(unsigned char)in[i] << (8 * i);
    if (size == 0 || size > max)
        return err_set(e, ERR_FAILED, "a frame of %zu bytes, expected 1 to %zu", size, max);
    if (n_in - FRAME_HEAD < size) return 0;
    *payload = in + FRAME_HEAD;
    *n = size;
    return 1;
}

// Looks before Jansson does, so that what a parse costs is ours to choose: stack in proportion to
// the nesting (Jansson alone goes to 2048), memory in proportion to the values (an empty object
// takes two bytes of text and some 300 of memory).
static int shape_check(const char *p, size_t n, err *e)
{
    int depth = 0, n_value = 1;
    bool in_string = false;
    for (size_t i = 0; i < n; i++) {
        char c = p[i];
        if (in_string && c == '\\')
            i++; // the escaped byte cannot end the string
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '[' || c == '{'))
            depth++;
        else if (!in_string && (c == ']' || c == '}'))
            depth--;
        if (!in_string && (c == ',' || c == '[' || c == '{')) n_value++;
        if (n_value > FRAME_VALUES_MAX)
            return err_set(e, ERR_FAILED, "JSON of more than %d values", FRAME_VALUES_MAX);
        if (depth > FRAME_DEPTH_MAX)
            return err_set(e, ERR_FAILED, "JSON deeper than %d", FRAME_DEPTH_MAX);
    }
    return 0;
}

json_t *frame_json(const char *payload, size_t n, err *e)
{
    if (shape_check(payload, n, e) < 0) return NULL;
    json_error_t why;
    json_t *j = json_loadb(payload, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (!j) err_set(e, ERR_FAILED, "not JSON: %.150s (at byte %d)", why.text, why.position);
    return j;
}

static json_t *object_of(const char *payload, size_t n, err *e)
{
    json_t *j = frame_json(payload, n, e);
    if (!j || json_is_object(j)) return j;
    err_set(e, ERR_FAILED, "a frame that is not an object");
    json_decref(j);
    return NULL;
}

// One row per kind of message: its name and the exact set of its fields in the order of `unpack`.
// json_unpack_ex with JSON_STRICT refuses a missing, a mistyped and a surplus field alike.
static int unpack(enum message_kind kind, struct message *m, const char *type)
{
    json_int_t id = 0, started = 0;
    int rc = -1;
    switch (kind) {
    case MESSAGE_CALL:
        rc =
            json_unpack_ex(m->json, NULL, JSON_STRICT, "{s:s,s:I,s:s,s:o,s:I}", "type", &type, "id",
                           &id, "service", &m->service, "args", &m->value, "started", &started);
        if (rc == 0 && !json_is_array(m->value)) rc = -1;
        break;
    case MESSAGE_DONE:
        rc = json_unpack_ex(m->json, NULL, JSON_STRICT, "{s:s,s:o,s:I}", "type", &type, "value",
                            &m->value, "started", &started);
        break;
    case MESSAGE_FAIL:
        rc = json_unpack_ex(m->json, NULL, JSON_STRICT, "{s:s,s:s,s:s,s:I}", "type", &type,
                            "status", &m->status, "text", &m->text, "started", &started);
        break;
    case MESSAGE_REFUSED:
        rc = json_unpack_ex(m->json, NULL, JSON_STRICT, "{s:s,s:s,s:i}", "type", &type, "step",
                            &m->text, "errno", &m->errno_value);
        break;
    }
    m->id = id;
    m->started_us = started;
    return rc;
}

int message_parse(const char *payload, size_t n, struct message *m, err *e)
{
    static const char *const names[] = {
        [MESSAGE_CALL] = "call",
        [MESSAGE_DONE] = "done",
        [MESSAGE_FAIL] = "fail",
        [MESSAGE_REFUSED] = "refused",
    };
    *m = (struct message){0};
    m->json = object_of(payload, n, e);
    if (!m->json) return -1;
    const char *type = json_string_value(json_object_get(m->json, "type"));
    for (int kind = MESSAGE_CALL; type && kind <= MESSAGE_REFUSED; kind++) {
        if (strcmp(type, names[kind]) != 0) continue;
        m->kind = (enum message_kind)kind;
        if (unpack(m->kind, m, type) == 0 && m->started_us >= 0) return 0;
        err_set(e, ERR_FAILED, "a \"%s\" message with wrong fields", type);
        message_free(m);
        return -1;
    }
    err_set(e, ERR_FAILED, "a message of no known type");
    message_free(m);
    return -1;
}

void message_free(struct message *m)
{
    json_decref(m->json);
    *m = (struct message){0};
}

int reply_parse(const char *payload, size_t n, int64_t id, struct reply *r, err *e)
{
    *r = (struct reply){0};
    r->json = object_of(payload, n, e);
    if (!r->json) return -1;
    r->value = json_object_get(r->json, "value");
    r->error = json_string_value(json_object_get(r->json, "error"));
    bool one = (r->value != NULL) != (r->error != NULL);
    json_t *got = json_object_get(r->json, "id");
    if (one && json_object_size(r->json) == 2 && json_is_integer(got) &&
        json_integer_value(got) == id)
        return 0;
    json_decref(r->json);
    *r = (struct reply){0};
    return err_set(e, ERR_FAILED, "not an answer to call %lld", (long long)id);
}
