#include "eval_task.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "db.h"
#include "sandbox/lua_json.h"
#include "script.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    SPEC_BYTES_MAX = 1 << 22,
    SHOWN_FILE_MAX =
        1 << 18, // a longer file of the workspace is shown to the check without its text
    SHOWN_FILES_MAX = 500,
    DEPTH_MAX = 16,
    FOLDERS_ABOVE = 4, // where modules that tasks share are looked for
    LOAD_SECONDS = 5,
    CHECK_SECONDS = 20
};

// ---- reading a task ----

// A task that is loaded: its Lua state, what it says as JSON, and its check, the state's only
// value.
struct loaded {
    script *s;
    json_t *spec;
};

static bool is_text(const json_t *v)
{
    return json_is_string(v);
}
static bool is_table(const json_t *v)
{
    return json_is_object(v);
}
static bool is_function(const json_t *v)
{
    return json_is_string(v) && strcmp(json_string_value(v), "function") == 0;
}

static bool is_list(const json_t *v)
{
    return json_is_array(v) || (json_is_object(v) && json_object_size(v) == 0); // Lua's {} is both
}

static bool is_texts(const json_t *v)
{
    json_t *item;
    size_t i;
    if (!is_list(v)) return false;
    json_array_foreach((json_t *)v, i, item) if (!json_is_string(item)) return false;
    return true;
}

static bool is_named_texts(const json_t *v)
{
    const char *key;
    json_t *item;
    if (!json_is_object(v)) return false;
    json_object_foreach((json_t *)v, key, item) if (!json_is_string(item)) return false;
    return true;
}

static bool is_turns(const json_t *v)
{
    const char *key;
    json_t *turn, *value;
    size_t i;
    if (json_array_size(v) == 0) return false;
    json_array_foreach((json_t *)v, i, turn)
    {
        if (json_is_string(turn)) continue;
        if (!json_is_string(json_object_get(turn, "say"))) return false;
        json_object_foreach(turn, key, value)
        {
            bool ok = strcmp(key, "say") == 0 ||
                      (strcmp(key, "new") == 0 && json_is_boolean(value)) ||
                      (strcmp(key, "schema") == 0 && json_is_object(value));
            if (!ok) return false;
        }
    }
    return true;
}

static const struct field {
    const char *name;
    bool (*is)(const json_t *v);
    const char *expected;
    bool required;
    bool of_agent; // goes to app_agent_open as it is, which checks what is inside
} fields[] = {
    {"kind", is_text, "text", true, false},
    {"turns", is_turns,
     "a list of what the user says, each text or {say = text, new = true for a new conversation, "
     "schema = table}",
     true, false},
    {"check", is_function, "a function of the run, such as expect.all{...}", true, false},
    {"files", is_named_texts, "a table of path = text", false, false},
    {"memories", is_texts, "a list of texts", false, false},
    {"own_tools", is_named_texts, "a table of name = Lua text of the tool", false, false},
    {"replies", is_list, "a list of replies that pass the check", false, false},
    {"instructions", is_text, "text", false, true},
    {"tools", is_texts, "a list of tool names", false, true},
    {"policy", is_table, "a table of tool = \"allow\" | \"ask\" | \"deny\"", false, true},
    {"limits", is_table, "a table", false, true},
    {"sampling", is_table, "a table", false, true},
    {0},
};

static int check_spec(const json_t *spec, err *e)
{
    const char *key;
    json_t *value;
    if (!json_is_object(spec))
        return err_set(e, ERR_INPUT, "expected it to return a table of named fields");
    json_object_foreach((json_t *)spec, key, value)
    {
        const struct field *f = fields;
        while (f->name && strcmp(f->name, key) != 0) f++;
        if (!f->name) return err_set(e, ERR_INPUT, "there is no field `%s`", key);
        if (!f->is(value)) {
            char *found = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
            err_set(e, ERR_INPUT, "field `%s`: expected %s, found %.80s", key, f->expected,
                    found ? found : "?");
            free(found);
            return -1;
        }
    }
    for (const struct field *f = fields; f->name; f++)
        if (f->required && !json_object_get(spec, f->name))
            return err_set(e, ERR_INPUT, "field `%s` is missing: expected %s", f->name,
                           f->expected);
    const json_t *said = json_object_get(spec, "replies");
    replies *r = replies_open(said, "field `replies`", e);
    replies_close(r);
    return r ? 0 : -1;
}

// The task's table as JSON, on the stack as text. Protected: values without a JSON form raise.
static int table_to_json(lua_State *L)
{
    buf *out = lua_touserdata(L, 2);
    buf_clear(out);
    lua_json_write(L, 1, "the task", 1, out);
    return 0;
}

static void loaded_free(struct loaded *l)
{
    script_close(l->s);
    json_decref(l->spec);
    *l = (struct loaded){0};
}

static int load(struct app *app, const struct eval_task *task, struct loaded *l, err *e)
{
    *l = (struct loaded){.s = script_open(app, task->file, FOLDERS_ABOVE, e)};
    if (!l->s) return -1;
    lua_State *L = script_lua(l->s);
    buf text = buf_new(SPEC_BYTES_MAX);
    json_error_t bad;
    script_deadline(l->s, LOAD_SECONDS);
    if (script_load_file(l->s, task->file, e)) goto fail;
    if (script_call(l->s, 0, 1, e)) {
        if (!strstr(e->msg, task->file)) err_wrap(e, "%s", task->file);
        if (e->code != ERR_CANCELLED) e->code = ERR_INPUT;
        goto fail;
    }
    lua_pushcfunction(L, table_to_json);
    lua_pushvalue(L, 1);
    lua_pushlightuserdata(L, &text);
    if (script_call(l->s, 2, 0, e)) {
        err_wrap(e, "%s", task->file);
        e->code = ERR_INPUT;
        goto fail;
    }
    if (text.full) {
        err_set(e, ERR_INPUT, "%s: larger than %d bytes", task->file, SPEC_BYTES_MAX);
        goto fail;
    }
    l->spec = json_loadb(buf_text(&text), text.n, JSON_DECODE_ANY, &bad);
    if (!l->spec) {
        err_set(e, ERR_INPUT, "%s: %s", task->file, bad.text);
        goto fail;
    }
    if (check_spec(l->spec, e)) {
        err_wrap(e, "%s", task->file);
        goto fail;
    }
    lua_getfield(L, 1, "check");
    lua_replace(L, 1);
    buf_free(&text);
    return 0;
fail:
    buf_free(&text);
    loaded_free(l);
    return -1;
}

// ---- the suite ----

static void task_free(struct eval_task *t)
{
    free(t->id);
    free(t->kind);
    free(t->file);
    json_decref(t->bfcl);
}

void eval_suite_add(struct eval_suite *suite, struct eval_task task)
{
    suite->tasks = mem_grow(suite->tasks, (suite->n + 1) * sizeof *suite->tasks);
    suite->tasks[suite->n++] = task;
}

void eval_suite_free(struct eval_suite *suite)
{
    for (size_t i = 0; i < suite->n; i++) task_free(&suite->tasks[i]);
    free(suite->tasks);
    *suite = (struct eval_suite){0};
}

static bool is_plain_name(const char *name, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)name[i]) && name[i] != '-' && name[i] != '_') return false;
    return n > 0;
}

static int add_file(struct eval_suite *suite, const char *file, const char *id, err *e)
{
    size_t n = strlen(id) - 4; // without .lua
    const char *slash = strrchr(id, '/'), *name = slash ? slash + 1 : id;
    if (!is_plain_name(name, n - (size_t)(name - id)))
        return err_set(e, ERR_INPUT,
                       "%s: expected the name of a task to be of letters, digits, `-` and `_`",
                       file);
    eval_suite_add(suite, (struct eval_task){.id = mem_strn(id, n), .file = mem_str(file)});
    return 0;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);
    return n > k && strcmp(s + n - k, end) == 0;
}

static int add_folder(struct eval_suite *suite, const char *folder, const char *below, int depth,
                      err *e)
{
    DIR *d = opendir(folder);
    if (!d) return err_sys(e, errno, "%s", folder);
    int rc = 0;
    struct dirent *entry;
    while (rc == 0 && (entry = readdir(d))) {
        if (entry->d_name[0] == '.' || entry->d_name[0] == '_') continue;
        char *path = path_join(folder, entry->d_name);
        char *id = mem_printf("%s%s%s", below, *below ? "/" : "", entry->d_name);
        if (file_is_dir(path))
            rc = depth < DEPTH_MAX ? add_folder(suite, path, id, depth + 1, e)
                                   : err_set(e, ERR_INPUT, "%s: nested too deep", path);
        else if (ends_with(path, ".lua"))
            rc = add_file(suite, path, id, e);
        free(path);
        free(id);
    }
    closedir(d);
    return rc;
}

static int add_path(struct eval_suite *suite, const char *given, err *e)
{
    char *path = mem_str(given);
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') path[--n] = 0;
    int rc = 0;
    size_t before = suite->n;
    if (!file_exists(path)) {
        rc = err_set(e, ERR_INPUT, "%s: there is no such file or folder", path);
    } else if (file_is_dir(path)) {
        rc = add_folder(suite, path, "", 0, e);
        if (rc == 0 && suite->n == before)
            rc = err_set(e, ERR_INPUT, "%s: holds no task (NAME.lua)", path);
    } else if (!ends_with(path, ".lua")) {
        rc = err_set(e, ERR_INPUT, "%s: expected a Lua file or a folder of them", path);
    } else {
        const char *slash = strrchr(path, '/');
        rc = add_file(suite, path, slash ? slash + 1 : path, e);
    }
    free(path);
    return rc;
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct eval_task *)a)->id, ((const struct eval_task *)b)->id);
}

void eval_suite_sort(struct eval_suite *suite)
{
    if (suite->n) qsort(suite->tasks, suite->n, sizeof *suite->tasks, by_id);
}

int eval_suite_find(struct app *app, const char *const *paths, size_t n_path,
                    struct eval_suite *suite, err *e)
{
    for (size_t i = 0; i < n_path; i++)
        if (add_path(suite, paths[i], e)) return -1;
    eval_suite_sort(suite);
    for (size_t i = 0; i < suite->n; i++) {
        struct eval_task *t = &suite->tasks[i];
        struct loaded l;
        if (i && strcmp(t->id, t[-1].id) == 0)
            return err_set(e, ERR_INPUT, "%s and %s: two tasks of the name `%s`", t[-1].file,
                           t->file, t->id);
        if (load(app, t, &l, e)) return -1;
        t->kind = mem_str(json_string_value(json_object_get(l.spec, "kind")));
        loaded_free(&l);
    }
    return 0;
}

static bool matches(const char *text, const char *pattern)
{
    return strpbrk(pattern, "*?[") ? fnmatch(pattern, text, 0) == 0 : strstr(text, pattern) != NULL;
}

void eval_suite_filter(struct eval_suite *suite, const char *pattern)
{
    size_t kept = 0;
    for (size_t i = 0; i < suite->n; i++) {
        struct eval_task t = suite->tasks[i];
        if (matches(t.id, pattern) || matches(t.kind, pattern))
            suite->tasks[kept++] = t;
        else
            task_free(&t);
    }
    suite->n = kept;
}

// ---- running one ----

struct run {
    struct app *app;
    const char *dir;
    char *workspace, *tools;
    json_t *spec;  // of the task
    json_t *agent; // of app_agent_open
    json_t *turns, *calls;
    json_t *result;
};

json_t *eval_result(const char *status, const char *reason)
{
    return json_pack("{s:s, s:s, s:f, s:i, s:i, s:i, s:i, s:i, s:s}", "status", status, "reason",
                     reason, "seconds", 0.0, "steps", 0, "calls", 0, "tokens_in", 0,
                     "tokens_cached", 0, "tokens_out", 0, "answer", "");
}

static void count(json_t *result, const char *key, int n)
{
    json_int_t old = json_integer_value(json_object_get(result, key));
    json_object_set_new(result, key, json_integer(old + n));
}

static void settle(json_t *result, const char *status, const char *reason)
{
    json_object_set_new(result, "status", json_string(status));
    json_object_set_new(result, "reason", json_string(reason));
}

static int write_files(const char *folder, const json_t *files, const char *suffix, err *e)
{
    const char *name;
    json_t *text;
    json_object_foreach((json_t *)files, name, text)
    {
        if (*name == '/' || strstr(name, "..") || !*name)
            return err_set(e, ERR_INPUT, "file `%s`: expected a path inside the workspace", name);
        char *file = mem_printf("%s/%s%s", folder, name, suffix), *slash = strrchr(file, '/');
        *slash = 0;
        int rc = file_mkdirs(file, e);
        *slash = '/';
        if (rc == 0) rc = file_replace(file, json_string_value(text), json_string_length(text), e);
        free(file);
        if (rc) return -1;
    }
    return 0;
}

// The folder with the task's workspace and tools, and what the agent is to be.
static int prepare(struct run *r, err *e)
{
    if (file_exists(r->dir)) return err_set(e, ERR_INPUT, "%s: is there already", r->dir);
    if (file_mkdirs(r->workspace, e) || file_mkdirs(r->tools, e) ||
        write_files(r->workspace, json_object_get(r->spec, "files"), "", e) ||
        write_files(r->tools, json_object_get(r->spec, "own_tools"), ".lua", e))
        return -1;
    r->agent = json_pack("{s:s, s:[s], s:s}", "workspace", r->workspace, "tool_dirs", r->tools,
                         "name", "eval");
    for (const struct field *f = fields; f->name; f++) {
        json_t *v = json_object_get(r->spec, f->name);
        if (f->of_agent && v) json_object_set(r->agent, f->name, v);
    }
    // Nobody is there to ask, and the workspace is the task's own.
    json_t *policy = json_pack("{s:s}", "*", "allow"), *given = json_object_get(r->agent, "policy");
    json_object_update(policy, given);
    json_object_set_new(r->agent, "policy", policy);
    return 0;
}

// What the journal holds of the turn's calls, for the check.
static int note_calls(struct run *r, int64_t run, size_t turn, err *e)
{
    json_t *shown = store_show_run(r->app->store, run, e), *step, *call;
    size_t i, k;
    if (!shown) return -1;
    json_array_foreach(json_object_get(shown, "steps"), i, step)
    {
        json_array_foreach(json_object_get(step, "calls"), k, call)
        {
            bool ran = strcmp(json_string_value(json_object_get(call, "state")), "done") == 0;
            bool ok = ran && !json_is_true(json_object_get(call, "is_error"));
            json_array_append_new(r->calls, json_pack("{s:O, s:O, s:O, s:b, s:b, s:i}", "name",
                                                      json_object_get(call, "name"), "args",
                                                      json_object_get(call, "args"), "result",
                                                      json_object_get(call, "result"), "ok", ok,
                                                      "ran", ran, "turn", (int)turn + 1));
        }
    }
    json_decref(shown);
    return 0;
}

static int take_turn(struct run *r, struct app_agent *a, const json_t *turn, size_t i, err *e)
{
    const char *say = json_string_value(json_is_string(turn) ? turn : json_object_get(turn, "say"));
    struct agent_result got;
    err late;
    // Borrowed from the task.
    const struct constraint output = {.kind = CONSTRAINT_SCHEMA,
                                      .json = json_object_get(turn, "schema")};
    int rc = agent_turn(a->agent, say, output.json ? &output : NULL, NULL, &got, e);
    count(r->result, "steps", got.steps);
    count(r->result, "calls", got.calls);
    count(r->result, "tokens_in", got.prompt_tokens);
    count(r->result, "tokens_cached", got.cached_tokens);
    count(r->result, "tokens_out", got.output_tokens);
    if (got.run > 0 && note_calls(r, got.run, i, &late) && rc == 0) {
        *e = late;
        rc = -1;
    }
    if (rc == 0) {
        json_object_set_new(r->result, "answer", json_string(got.answer));
        json_t *o = json_pack("{s:s, s:i, s:i, s:s}", "answer", got.answer, "steps", got.steps,
                              "calls", got.calls, "stopped", got.stopped);
        if (got.value) json_object_set(o, "value", got.value);
        json_array_append_new(r->turns, o);
    }
    agent_result_free(&got);
    return rc;
}

static int take_turns(struct run *r, err *e)
{
    json_t *turns = json_object_get(r->spec, "turns"), *turn, *fact;
    struct app_agent *a = NULL;
    int rc = 0;
    size_t i, k;
    json_array_foreach(turns, i, turn)
    {
        if (json_is_true(json_object_get(turn, "new"))) {
            app_agent_close(a);
            a = NULL;
        }
        if (!a) a = app_agent_open(r->app, r->agent, e);
        rc = a ? 0 : -1;
        if (rc == 0 && i == 0) json_array_foreach(json_object_get(r->spec, "memories"), k, fact)
            {
                if (rc == 0 && memory_remember(a->memory, 0, json_string_value(fact), e) < 0)
                    rc = -1;
            }
        if (rc == 0) rc = take_turn(r, a, turn, i, e);
        if (rc) {
            if (json_array_size(turns) > 1) err_wrap(e, "turn %zu", i + 1);
            break;
        }
    }
    app_agent_close(a);
    return rc;
}

// The workspace's files as {path: text}; a text that cannot be shown is false.
static void note_files(json_t *out, const char *folder, const char *below, int depth)
{
    DIR *d = depth < DEPTH_MAX ? opendir(folder) : NULL;
    struct dirent *entry;
    while (d && (entry = readdir(d)) && json_object_size(out) < SHOWN_FILES_MAX) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        char *path = path_join(folder, entry->d_name);
        char *name = mem_printf("%s%s%s", below, *below ? "/" : "", entry->d_name);
        if (file_is_dir(path)) {
            note_files(out, path, name, depth + 1);
        } else {
            err ignored;
            size_t n = 0;
            char *text = file_read(path, SHOWN_FILE_MAX, &n, &ignored);
            bool shown = text && strlen(text) == n && utf8_valid_prefix(text, n) == n;
            json_object_set_new(out, name, shown ? json_stringn(text, n) : json_false());
            free(text);
        }
        free(name);
        free(path);
    }
    if (d) closedir(d);
}

static json_t *note_memories(store *s, err *e)
{
    sqlite3_stmt *q = db_query(
        store_db(s), e, "SELECT content FROM memory WHERE valid_to_us IS NULL ORDER BY id", "");
    if (!q) return NULL;
    json_t *list = json_array();
    int rc;
    while ((rc = db_step(q, e)) == 1) json_array_append_new(list, json_string(db_text(q, 0)));
    sqlite3_finalize(q);
    if (rc == 0) return list;
    json_decref(list);
    return NULL;
}

static int push_json(lua_State *L)
{
    lua_json_push(L, lua_touserdata(L, 1));
    return 1;
}

// check(run) -> true, or false/nil and why not.
static int judge(struct run *r, struct loaded *l, err *e)
{
    lua_State *L = script_lua(l->s);
    json_t *memories = note_memories(r->app->store, e), *files = json_object();
    if (!memories) {
        json_decref(files);
        return -1;
    }
    note_files(files, r->workspace, "", 0);
    json_t *last = json_array_get(r->turns, json_array_size(r->turns) - 1);
    json_t *view =
        json_pack("{s:O, s:O, s:O, s:o, s:o}", "answer", json_object_get(last, "answer"), "turns",
                  r->turns, "calls", r->calls, "files", files, "memories", memories);
    script_deadline(l->s, CHECK_SECONDS);
    lua_settop(L, 1); // the check
    lua_pushvalue(L, 1);
    lua_pushcfunction(L, push_json);
    lua_pushlightuserdata(L, view);
    int rc = script_call(l->s, 1, 1, e);
    json_decref(view);
    if (rc == 0) rc = script_call(l->s, 1, 2, e);
    if (rc) return err_wrap(e, "the check");
    bool passed = lua_isboolean(L, -2) && lua_toboolean(L, -2);
    if (!passed && lua_toboolean(L, -2))
        return err_set(e, ERR_FAILED,
                       "the check: expected it to return true, or nil and the reason; found %s",
                       luaL_typename(L, -2));
    const char *why = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "the check says no";
    settle(r->result, passed ? "passed" : "failed", passed ? "" : why);
    return 0;
}

static int run_in_store(struct run *r, struct loaded *l, enum eval_mode mode, err *e)
{
    struct app *app = r->app;
    const json_t *said = json_object_get(l->spec, "replies");
    if (mode == EVAL_REPLIES && json_array_size(said) == 0)
        return err_set(e, ERR_INPUT, "the task has no `replies`");
    if (mode == EVAL_MODEL) {
        // Nothing of the task before may be left in the cache: results do not depend on the order.
        session_free(app->session);
        app->session = session_new(app->en, e);
        if (!app->session) return -1;
    } else {
        app->replies = replies_open(mode == EVAL_REPLIES ? said : NULL, "field `replies`", e);
        if (!app->replies) return -1;
    }
    char *db = path_join(r->dir, "hearth.db");
    int rc = prepare(r, e);
    if (rc == 0) {
        app->store = store_open(db, STORE_WRITE, e);
        rc = app->store ? take_turns(r, e) : -1;
    }
    if (rc == 0) rc = judge(r, l, e);
    if (rc == 0 && app->replies && replies_left(app->replies))
        rc = err_set(e, ERR_FAILED, "%zu of the replies were not asked for",
                     replies_left(app->replies));
    store_close(app->store);
    app->store = NULL;
    replies_close(app->replies);
    app->replies = NULL;
    free(db);
    return rc;
}

json_t *eval_task_run(struct app *app, const struct eval_task *task, enum eval_mode mode,
                      const char *dir)
{
    int64_t start = clock_us();
    err e = {0};
    struct loaded l = {0};
    struct run r = {.app = app,
                    .dir = dir,
                    .workspace = path_join(dir, "workspace"),
                    .tools = path_join(dir, "tools"),
                    .turns = json_array(),
                    .calls = json_array(),
                    .result = eval_result("error", "")};
    int rc = load(app, task, &l, &e);
    r.spec = l.spec;
    if (rc == 0) rc = run_in_store(&r, &l, mode, &e);
    if (rc) settle(r.result, e.code == ERR_CANCELLED || app_cancel ? "cancelled" : "error", e.msg);
    json_object_set_new(r.result, "seconds", json_real((double)(clock_us() - start) / 1e6));
    loaded_free(&l);
    free(r.workspace);
    free(r.tools);
    json_decref(r.agent);
    json_decref(r.turns);
    json_decref(r.calls);
    return r.result;
}
