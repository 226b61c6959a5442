// Loading. A tool file is a stranger's program: it is read as bytes here and run only in a box,
// which hands back its table as JSON; a file that loops, crashes or lies costs one error line.
#include "tools/tool_set.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "base/utf8.h"
#include "tools/manifest.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TOOL_FILE_MAX = 256 * 1024, TOOLS_MAX = 512 };

static void loaded_free(struct loaded_tool *t)
{
    if (!t) return;
    json_decref(t->manifest);
    free(t->path);
    free(t->source);
    free(t);
}

// Runs the file's text in a box for its table.
static int evaluate(sandbox *box, struct loaded_tool *t, err *e)
{
    const char *slash = strrchr(t->path, '/');
    struct box_request q = {.source = t->pub.source,
                            .source_len = t->pub.source_len,
                            .chunk_name = slash ? slash + 1 : t->path,
                            .entry = "manifest"};
    struct box_result r;
    if (sandbox_run(box, &q, &r, e) < 0) return err_wrap(e, "%s", t->path);
    int rc = 0;
    if (r.status == BOX_OK)
        t->manifest = json_incref(r.value);
    else
        rc = err_set(e, ERR_INPUT, "%s: %.800s", t->path, r.text);
    box_result_free(&r);
    return rc;
}

static struct loaded_tool *load_file(sandbox *box, const char *path, err *e)
{
    struct loaded_tool *t = mem_new(sizeof *t);
    t->path = mem_str(path);
    t->source = file_read(path, TOOL_FILE_MAX, &t->pub.source_len, e);
    if (!t->source) goto fail;
    t->pub.path = t->path;
    t->pub.source = t->source;
    if (t->pub.source_len == 0) {
        err_set(e, ERR_INPUT, "%s: the file is empty, expected a table of a tool", path);
        goto fail;
    }
    if (evaluate(box, t, e) < 0 || manifest_read(t->manifest, path, &t->pub, e) < 0) goto fail;
    sha256 sum = sha256_start();
    sha256_add(&sum, t->source, t->pub.source_len);
    sha256_hex(&sum, t->pub.sha256);
    return t;
fail:
    loaded_free(t);
    return NULL;
}

static int add_tool(struct tool_set *ts, struct loaded_tool *t, err *e)
{
    for (size_t i = 0; i < ts->n; i++) {
        struct loaded_tool *old = ts->tool[i];
        if (strcmp(old->pub.name, t->pub.name) != 0) continue;
        if (old->folder == t->folder)
            return err_set(e, ERR_INPUT, "%s: field name: \"%s\" is also the name in %s", t->path,
                           t->pub.name, old->path);
        loaded_free(old);
        ts->tool[i] = t;
        return 0;
    }
    if (ts->n == TOOLS_MAX)
        return err_set(e, ERR_INPUT, "%s: more than %d tools", t->path, TOOLS_MAX);
    ts->tool = mem_grow(ts->tool, (ts->n + 1) * sizeof(struct loaded_tool *));
    ts->tool[ts->n++] = t;
    return 0;
}

static int is_tool_file(const struct dirent *entry)
{
    static const char lua[] = ".lua", test[] = "_test.lua";
    const char *name = entry->d_name;
    size_t n = strlen(name);
    bool is_test = n >= sizeof test - 1 && strcmp(name + n - (sizeof test - 1), test) == 0;
    return n >= sizeof lua && name[0] != '.' && !is_test &&
           strcmp(name + n - (sizeof lua - 1), lua) == 0;
}

static int load_folder(struct tool_set *ts, const char *dir, size_t folder, err *e)
{
    struct dirent **entries;
    int n = scandir(dir, &entries, is_tool_file, alphasort), rc = 0;
    if (n < 0) {
        err_sys(e, errno, "tools folder %s", dir);
        e->code = ERR_INPUT;
        return -1;
    }
    for (int i = 0; i < n; i++) {
        char *path = path_join(dir, entries[i]->d_name);
        struct loaded_tool *t = rc == 0 ? load_file(ts->box, path, e) : NULL;
        if (t) {
            t->set = ts;
            t->folder = folder;
            rc = add_tool(ts, t, e);
            if (rc < 0) loaded_free(t);
        } else {
            rc = -1;
        }
        free(path);
        free(entries[i]);
    }
    free(entries);
    return rc;
}

static int by_name(const void *a, const void *b)
{
    const struct loaded_tool *x = *(struct loaded_tool *const *)a;
    const struct loaded_tool *y = *(struct loaded_tool *const *)b;
    return strcmp(x->pub.name, y->pub.name);
}

tool_set *tool_set_open(sandbox *box, const char *const *dirs, size_t n_dir, const char *workspace,
                        const struct tool_host *host, err *e)
{
    struct tool_set *ts = mem_new(sizeof *ts);
    ts->box = box;
    if (host) ts->host = *host;
    if (workspace && !(ts->fs = fs_broker_open(workspace, e))) goto fail;
    for (size_t i = 0; i < n_dir; i++)
        if (load_folder(ts, dirs[i], i, e) < 0) goto fail;
    if (ts->n) qsort(ts->tool, ts->n, sizeof *ts->tool, by_name);
    return ts;
fail:
    tool_set_close(ts);
    return NULL;
}

void tool_set_close(tool_set *ts)
{
    if (!ts) return;
    for (size_t i = 0; i < ts->n; i++) loaded_free(ts->tool[i]);
    free(ts->tool);
    fs_broker_close(ts->fs);
    free(ts);
}

size_t tool_set_size(const tool_set *ts)
{
    return ts->n;
}

const tool *tool_set_at(const tool_set *ts, size_t i)
{
    return &ts->tool[i]->pub;
}

const tool *tool_set_find(const tool_set *ts, const char *name)
{
    for (size_t i = 0; i < ts->n; i++)
        if (strcmp(ts->tool[i]->pub.name, name) == 0) return &ts->tool[i]->pub;
    return NULL;
}

int tool_unknown(const tool_set *ts, const char *name, err *e)
{
    buf names = buf_new(700);
    for (size_t i = 0; i < ts->n; i++)
        buf_printf(&names, "%s%s", i ? ", " : "", ts->tool[i]->pub.name);
    err_set(e, ERR_INPUT, "there is no tool \"%.*s\"; the tools are: %s",
            (int)utf8_valid_prefix(name, strnlen(name, 100)), name, buf_text(&names));
    buf_free(&names);
    return -1;
}

// What the grammar enforces whether the model knows of it or not only costs tokens in the prompt.
static void drop_unsaid(json_t *schema)
{
    const char *key;
    json_t *item;
    if (!json_is_object(schema)) return;
    json_object_del(schema, "minLength");
    if (json_is_false(json_object_get(schema, "additionalProperties")))
        json_object_del(schema, "additionalProperties");
    json_object_foreach(json_object_get(schema, "properties"), key, item) drop_unsaid(item);
    drop_unsaid(json_object_get(schema, "items"));
}

json_t *tool_describe(const tool *t)
{
    json_t *shown = json_deep_copy(t->parameters);
    drop_unsaid(shown);
    return json_pack("{s:s,s:{s:s,s:s,s:o}}", "type", "function", "function", "name", t->name,
                     "description", t->description, "parameters", shown);
}
