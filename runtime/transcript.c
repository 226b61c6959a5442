#include "transcript.h"

#include "base/buf.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

struct transcript {
    store *s;
    int64_t conversation;
    json_t *messages; // in template form
};

// {name, arguments} as stored -> {type: "function", function: {...}} as templates expect.
static json_t *template_calls(const json_t *stored)
{
    json_t *calls = json_array(), *call;
    size_t i;
    json_array_foreach((json_t *)stored, i, call)
        json_array_append_new(calls, json_pack("{s:s, s:O}", "type", "function", "function", call));
    return calls;
}

// What was recalled stands ahead of the user's words as plain text: data, never instructions of the
// template.
static char *with_recalled(const char *content, const json_t *recalled)
{
    buf b = buf_new((size_t)1 << 24);
    json_t *fact;
    size_t i;
    buf_str(&b, "Notes from memory:\n");
    json_array_foreach((json_t *)recalled, i, fact)
        buf_printf(&b, "- %s\n", json_string_value(fact));
    buf_printf(&b, "\n%s", content);
    return buf_take(&b);
}

static json_t *template_message(const char *role, const char *content, const json_t *parts)
{
    const json_t *recalled = json_object_get(parts, "recalled"),
                 *calls = json_object_get(parts, "tool_calls");
    char *shown = json_array_size(recalled) ? with_recalled(content, recalled) : mem_str(content);
    json_t *m = json_pack("{s:s, s:s}", "role", role, "content", shown);
    free(shown);
    if (json_array_size(calls)) json_object_set_new(m, "tool_calls", template_calls(calls));
    json_t *name = json_object_get(parts, "name");
    if (name) json_object_set(m, "name", name);
    return m;
}

transcript *transcript_open(store *s, int64_t conversation, const char *instructions, err *e)
{
    json_t *stored = store_messages(s, conversation, e), *row;
    if (!stored) return NULL;
    transcript *t = mem_new(sizeof *t);
    *t = (transcript){.s = s, .conversation = conversation, .messages = json_array()};
    if (instructions && *instructions)
        json_array_append_new(t->messages, template_message("system", instructions, NULL));
    size_t i;
    json_array_foreach(stored, i, row) json_array_append_new(
        t->messages, template_message(json_string_value(json_object_get(row, "role")),
                                      json_string_value(json_object_get(row, "content")),
                                      json_object_get(row, "parts")));
    json_decref(stored);
    return t;
}

void transcript_close(transcript *t)
{
    if (!t) return;
    json_decref(t->messages);
    free(t);
}

int64_t transcript_conversation(const transcript *t)
{
    return t->conversation;
}

int64_t transcript_add(transcript *t, int role, const char *content, json_t *parts, int n_token,
                       err *e)
{
    int64_t id = store_message_add(t->s, t->conversation, role, content, parts, n_token, e);
    if (id > 0)
        json_array_append_new(t->messages, template_message(role_name(role), content, parts));
    return id;
}

void transcript_drop_last(transcript *t)
{
    size_t n = json_array_size(t->messages);
    if (n) json_array_remove(t->messages, n - 1);
}

const json_t *transcript_messages(const transcript *t)
{
    return t->messages;
}
