#include "replies.h"

#include "base/buf.h"
#include "base/mem.h"
#include "engine/json_write.h"

#include <stdlib.h>
#include <string.h>

enum { REPLY_BYTES_MAX = 1 << 20 };

struct replies {
    const json_t *list; // NULL: silence
    const char *where;
    size_t next;
    buf text;  // the reply under way
    size_t at; // what of it is written
};

static bool is_call(const json_t *v)
{
    return json_is_array(v) && json_array_size(v) == 2 && json_is_string(json_array_get(v, 0)) &&
           json_is_object(json_array_get(v, 1));
}

static bool is_reply(const json_t *v)
{
    const json_t *call;
    size_t i;
    if (json_is_string(v) || is_call(v)) return true;
    if (json_array_size(v) == 0) return false;
    json_array_foreach((json_t *)v, i, call) if (!is_call(call)) return false;
    return true;
}

replies *replies_open(const json_t *list, const char *where, err *e)
{
    const json_t *item;
    size_t i;
    json_array_foreach((json_t *)list, i, item)
    {
        if (is_reply(item)) continue;
        err_set(e, ERR_INPUT,
                "%s: reply %zu: expected text, a call {\"NAME\", {arguments}}, or a list of calls",
                where, i + 1);
        return NULL;
    }
    replies *r = mem_new(sizeof *r);
    *r = (replies){.list = list, .where = where, .text = buf_new(REPLY_BYTES_MAX)};
    return r;
}

void replies_close(replies *r)
{
    if (!r) return;
    buf_free(&r->text);
    free(r);
}

size_t replies_left(const replies *r)
{
    return r->list ? json_array_size(r->list) - r->next : 0;
}

// Keys in the order in which the schema lists them, as the grammar wants them; the others last.
static json_t *in_order(const json_t *value, const json_t *schema)
{
    const json_t *properties = json_object_get(schema, "properties"),
                 *items = json_object_get(schema, "items"), *one;
    const char *key;
    size_t i;
    json_t *out;
    if (json_is_array(value)) {
        out = json_array();
        json_array_foreach((json_t *)value, i, one)
            json_array_append_new(out, in_order(one, items));
        return out;
    }
    if (!json_is_object(value)) return json_incref((json_t *)value);
    out = json_object();
    json_object_foreach((json_t *)properties, key, one)
    {
        const json_t *given = json_object_get(value, key);
        if (given) json_object_set_new(out, key, in_order(given, one));
    }
    json_object_foreach((json_t *)value, key, one) if (!json_object_get(out, key))
        json_object_set(out, key, (json_t *)one);
    return out;
}

static int write_call(replies *r, const struct grammar_tools_options *f, const json_t *call,
                      const tool *const *tools, size_t n_tool, err *e)
{
    const char *name = json_string_value(json_array_get(call, 0));
    const json_t *args = json_array_get(call, 1), *schema = NULL;
    for (size_t i = 0; i < n_tool; i++)
        if (strcmp(tools[i]->name, name) == 0) schema = tools[i]->parameters;
    if (!schema)
        return err_set(e, ERR_FAILED, "%s: reply %zu calls `%s`, which is not offered", r->where,
                       r->next, name);
    json_t *ordered = in_order(args, schema);
    buf_printf(&r->text, "%s%s%s%s", f->begin, f->before_name, name, f->after_name);
    json_write(&r->text, ordered, true);
    buf_printf(&r->text, "%s%s", f->after_args, f->end);
    json_decref(ordered);
    return 0;
}

int replies_next(replies *r, const chat *c, const tool *const *tools, size_t n_tool, err *e)
{
    buf_clear(&r->text);
    r->at = 0;
    if (!r->list) return 0;
    const json_t *reply = json_array_get(r->list, r->next);
    if (!reply)
        return err_set(e, ERR_FAILED, "%s: its %zu replies are used up and the agent goes on",
                       r->where, r->next);
    r->next++;
    if (json_is_string(reply)) {
        buf_put(&r->text, json_string_value(reply), json_string_length(reply));
        return 0;
    }
    struct grammar_tools_options format = {0};
    if (chat_call_format(c, &format, e)) return -1;
    if (is_call(reply)) return write_call(r, &format, reply, tools, n_tool, e);
    const json_t *call;
    size_t i;
    json_array_foreach((json_t *)reply, i, call)
    {
        if (i) buf_str(&r->text, format.between ? format.between : "");
        if (write_call(r, &format, call, tools, n_tool, e)) return -1;
    }
    return 0;
}

int32_t replies_token(replies *r, const grammar_vocab *v, const uint64_t *mask, err *e)
{
    const char *rest = buf_text(&r->text) + r->at;
    size_t left = r->text.n - r->at;
    int32_t best = left ? -1 : v->end;
    uint32_t longest = 0;
    for (int32_t t = 0; left && t < v->n_token; t++) {
        uint32_t n = v->len[t];
        if (n <= longest || n > left || !(mask[t / 64] >> (t % 64) & 1)) continue;
        if (memcmp(v->bytes[t], rest, n) != 0) continue;
        best = t;
        longest = n;
    }
    if (best < 0 || !(mask[best / 64] >> (best % 64) & 1)) {
        err_set(e, ERR_FAILED,
                "%s: reply %zu: the grammar does not allow it from byte %zu on: %.60s%s", r->where,
                r->next, r->at, left ? rest : "(its end)", left > 60 ? "..." : "");
        return -1;
    }
    r->at += longest;
    return best;
}
