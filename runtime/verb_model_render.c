// hearth model render: what a model is shown of a conversation. It is the bridge to the training
// recipe, whose own renderer is held against it.
#include "app.h"
#include "base/file.h"
#include "base/mem.h"
#include "engine/json_write.h"
#include "verbs.h"

#include <stdlib.h>
#include <string.h>

enum { FILE_BYTES_MAX = 64 << 20 };

// The tools of a document: names stand for the tools that ship, objects for themselves.
static json_t *shown_tools(const tool_set *set, const json_t *tools, err *e)
{
    json_t *shown = json_array(), *item;
    size_t i;
    json_array_foreach((json_t *)tools, i, item)
    {
        const char *name = json_string_value(item);
        const tool *t = name ? tool_set_find(set, name) : NULL;
        if (name && !t) {
            tool_unknown(set, name, e);
            json_decref(shown);
            return NULL;
        }
        json_array_append_new(shown,
                              t ? tool_describe(t)
                                : json_pack("{s:s, s:O}", "type", "function", "function", item));
    }
    return shown;
}

static bool by_assistant(const json_t *messages)
{
    const json_t *last = json_array_get(messages, json_array_size(messages) - 1);
    const char *role = json_string_value(json_object_get(last, "role"));
    return role && strcmp(role, "assistant") == 0;
}

static int render_document(struct app *app, const tool_set *set, const json_t *doc, bool json,
                           err *e)
{
    const json_t *messages = json_object_get(doc, "messages"),
                 *tools = json_object_get(doc, "tools");
    if (!json_is_array(messages) || (tools && !json_is_array(tools)))
        return err_set(e, ERR_INPUT, "expected {\"messages\": [...], \"tools\": [...]}");
    json_t *shown = json_array_size(tools) ? shown_tools(set, tools, e) : NULL;
    if (json_array_size(tools) && !shown) return -1;
    token_buf ids = {0};
    char *text = NULL;
    int rc = chat_render(app->chat, engine_tokenizer(app->en), messages, shown,
                         !by_assistant(messages), &ids, &text, e);
    if (rc == 0 && json) {
        json_t *list = json_array();
        for (size_t i = 0; i < ids.n; i++) json_array_append_new(list, json_integer(ids.ids[i]));
        json_t *out = json_pack("{s:s, s:o}", "text", text, "tokens", list);
        json_dumpf(out, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(out);
    } else if (rc == 0) {
        puts(text);
    }
    free(text);
    token_buf_free(&ids);
    json_decref(shown);
    return rc;
}

static int render_lines(struct app *app, const tool_set *set, const char *path, bool json, err *e)
{
    size_t n;
    char *all = file_read(path, FILE_BYTES_MAX, &n, e);
    if (!all) return -1;
    int rc = 0, number = 0;
    for (char *line = all; rc == 0 && *line;) {
        size_t length = strcspn(line, "\n");
        json_error_t bad;
        json_t *doc = json_read(line, length, JSON_REJECT_DUPLICATES, &bad);
        number++;
        if (!doc)
            rc = err_set(e, ERR_INPUT, "%s", bad.text);
        else
            rc = render_document(app, set, doc, json, e);
        if (rc) err_wrap(e, "%s: line %d", path, number);
        json_decref(doc);
        line += length + (line[length] == '\n');
    }
    free(all);
    return rc;
}

static int render(struct command *c, err *e)
{
    struct app app;
    tool_set *set = NULL;
    int rc = app_open(&app, c, APP_BOX | APP_ENGINE, e);
    if (rc == 0) set = app_tools_open(&app, NULL, NULL, NULL, e);
    if (rc == 0) rc = set ? render_lines(&app, set, c->args[0], c->json, e) : -1;
    tool_set_close(set);
    app_close(&app);
    return rc;
}

const struct verb verb_model_render = {
    .name = "model render",
    .arguments = "FILE",
    .help = "the text a model is shown of {messages, tools}, one conversation a line",
    .shared = app_model_options,
    .args_min = 1,
    .args_max = 1,
    .run = render,
};
