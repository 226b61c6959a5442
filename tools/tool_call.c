// Calling. The manifest's capabilities become the list of services the box lets through; a service
// that is not on it does not exist for the script, and asking for it anyway ends the child. Which
// function answers which name is one table.
#include "tools/tool_set.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "tools/json_text.h"

#include <stdlib.h>
#include <string.h>

enum {
    RECALL_DEFAULT = 5,
    RECALL_MAX = 50,
    // The box takes a few times what is shown, so that a long result is cut visibly, not lost.
    OUTPUT_SLACK = 4
};

struct calling {
    const struct tool_set *set;
    struct fs_use use;
};

static json_t *memory_remember(struct calling *c, const json_t *args, err *why)
{
    const char *text = json_string_value(json_array_get(args, 0));
    if (!text || !*text) {
        err_set(why, ERR_INPUT, "expected the text to remember");
        return NULL;
    }
    if (c->set->host.remember) return c->set->host.remember(c->set->host.user, text, why);
    err_set(why, ERR_REFUSED, "there is no memory here");
    return NULL;
}

static json_t *memory_recall(struct calling *c, const json_t *args, err *why)
{
    const char *query = json_string_value(json_array_get(args, 0));
    const json_t *k_arg = json_array_get(args, 1);
    json_int_t k = json_is_integer(k_arg) ? json_integer_value(k_arg) : RECALL_DEFAULT;
    if (k < 1) k = 1;
    if (k > RECALL_MAX) k = RECALL_MAX;
    if (!query) {
        err_set(why, ERR_INPUT, "expected the text to look for");
        return NULL;
    }
    if (c->set->host.recall) return c->set->host.recall(c->set->host.user, query, (int)k, why);
    err_set(why, ERR_REFUSED, "there is no memory here");
    return NULL;
}

// A service: the capability that grants it, whether it needs "rw", and who answers.
static const struct service {
    const char *name, *capability;
    bool writes;
    json_t *(*fs)(fs_broker *, struct fs_use *, const json_t *, err *);
    json_t *(*memory)(struct calling *, const json_t *, err *);
} services[] = {
    {"fs.read", "fs", false, fs_read, NULL},
    {"fs.list", "fs", false, fs_list, NULL},
    {"fs.stat", "fs", false, fs_stat, NULL},
    {"fs.search", "fs", false, fs_search, NULL},
    {"fs.write", "fs", true, fs_write, NULL},
    {"memory.recall", "memory", false, NULL, memory_recall},
    {"memory.remember", "memory", true, NULL, memory_remember},
};

enum { N_SERVICE = sizeof services / sizeof *services };

static json_t *granted_services(const tool *t)
{
    json_t *names = json_array();
    for (int i = 0; i < N_SERVICE; i++) {
        const char *grant =
            json_string_value(json_object_get(t->capabilities, services[i].capability));
        if (grant && (!services[i].writes || strcmp(grant, "rw") == 0))
            json_array_append_new(names, json_string(services[i].name));
    }
    return names;
}

static json_t *answer(void *user, const char *name, const json_t *args, err *why)
{
    struct calling *c = user;
    for (int i = 0; i < N_SERVICE; i++) {
        if (strcmp(services[i].name, name) != 0) continue;
        if (services[i].memory) return services[i].memory(c, args, why);
        if (c->set->fs) return services[i].fs(c->set->fs, &c->use, args, why);
        err_set(why, ERR_REFUSED, "no workspace is open");
        return NULL;
    }
    err_set(why, ERR_REFUSED, "%s: no such service", name);
    return NULL;
}

int tool_check_args(const tool *t, const json_t *args, err *e)
{
    const struct loaded_tool *lt = (const struct loaded_tool *)t;
    if (!lt->set->host.validate)
        return err_set(e, ERR_REFUSED, "%s: arguments cannot be checked here, so it is not called",
                       t->name);
    if (lt->set->host.validate(t->parameters, args, e) == 0) return 0;
    return err_wrap(e, "%s: wrong arguments", t->name);
}

// What the model is shown of a value.
static char *value_text(const json_t *value, size_t max)
{
    buf out = buf_new(SIZE_MAX / 4);
    if (json_is_string(value))
        buf_put(&out, json_string_value(value), json_string_length(value));
    else
        json_text(&out, value);
    if (out.n <= max) return buf_take(&out);
    size_t keep = utf8_valid_prefix(out.p, max);
    char *text =
        mem_printf("%.*s\n[truncated: %zu of %zu bytes are shown]", (int)keep, out.p, keep, out.n);
    buf_free(&out);
    return text;
}

static int take_result(const tool *t, struct box_result *b, struct tool_result *r, err *e)
{
    r->status = b->status;
    r->us = b->wall_us;
    r->ok = b->status == BOX_OK;
    switch (b->status) {
    case BOX_CANCELLED: return err_set(e, ERR_CANCELLED, "%s: cancelled", t->name);
    case BOX_OK: r->text = value_text(b->value, (size_t)t->limits.output_kb * 1024); break;
    case BOX_ERROR:
    case BOX_CRASHED: r->text = mem_str(b->text); break;
    case BOX_TIMEOUT:
    case BOX_MEMORY:
    case BOX_OUTPUT: r->text = mem_printf("%s was stopped: %s", t->name, b->text); break;
    }
    return 0;
}

int tool_call(tool_set *ts, const tool *t, const json_t *args, const volatile int *cancel,
              struct tool_result *r, err *e)
{
    *r = (struct tool_result){0};
    if (tool_check_args(t, args, e) < 0) {
        if (e->code == ERR_REFUSED) return -1;
        size_t n = utf8_valid_prefix(e->msg, strlen(e->msg)); // the message may have been cut
        *r = (struct tool_result){.text = mem_strn(e->msg, n), .status = BOX_ERROR};
        return 0;
    }
    struct box_limits most = BOX_MAX_LIMITS, limits = t->limits;
    limits.output_kb = limits.output_kb > most.output_kb / OUTPUT_SLACK
                           ? most.output_kb
                           : limits.output_kb * OUTPUT_SLACK;
    const char *slash = strrchr(t->path, '/');
    struct calling c = {.set = ts};
    json_t *names = granted_services(t), *ctx = json_object();
    if (json_is_true(json_object_get(t->capabilities, "clock")))
        json_object_set_new(ctx, "now_us", json_integer(clock_wall_us()));
    struct box_request q = {.source = t->source,
                            .source_len = t->source_len,
                            .chunk_name = slash ? slash + 1 : t->path,
                            .entry = "run",
                            .args = args,
                            .ctx = ctx,
                            .services = names,
                            .limits = limits,
                            .on_call = answer,
                            .user = &c,
                            .cancel = cancel};
    struct box_result b;
    int rc = sandbox_run(ts->box, &q, &b, e);
    if (rc == 0) {
        rc = take_result(t, &b, r, e);
        box_result_free(&b);
    } else {
        err_wrap(e, "%s", t->name);
    }
    json_decref(names);
    json_decref(ctx);
    return rc;
}

void tool_result_free(struct tool_result *r)
{
    free(r->text);
    *r = (struct tool_result){0};
}
