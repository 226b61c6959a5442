// The journal of everything an agent did, in one SQLite file.
//
// The rule that all of it serves: a crash at any moment leaves a conversation that can go on. So
// the assistant's message and the rows of its calls are one transaction; a call is `started` on
// disk before it may act, and `done` on disk before the model sees its result; and opening a store
// first settles what the last owner left behind. WAL with synchronous=FULL costs one fsync per
// commit and loses nothing that was acknowledged.
//
// One writer: SQLite versions before 3.51.3 can lose a WAL reset when two connections write or
// checkpoint at the same time, and distributions ship those. The lock file makes that state
// unreachable; mmap stays off.
#include "store.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "db.h"
#include "schema.sql.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { APPLICATION_ID = 0x48525448 }; // "HRTH"

struct store {
    sqlite3 *db;
    char *path;
    int lock_fd;
};

static const char *const role_names[] = {"system", "user", "assistant", "tool"};
static const char *const run_names[] = {"running", "done", "failed", "cancelled", "interrupted"};
static const char *const call_names[] = {"proposed", "approved", "started",
                                         "done",     "denied",   "unknown"};

const char *role_name(int role)
{
    return role >= 0 && role < 4 ? role_names[role] : "?";
}
const char *run_state_name(int s)
{
    return s >= 0 && s < 5 ? run_names[s] : "?";
}
const char *call_state_name(int s)
{
    return s >= 0 && s < 6 ? call_names[s] : "?";
}

int role_of(const char *name)
{
    for (int i = 0; i < 4; i++)
        if (strcmp(name, role_names[i]) == 0) return i;
    return -1;
}

// ---- opening ----

static int lock_take(store *s, err *e)
{
    char *lock = mem_printf("%s-lock", s->path);
    int rc = 0;
    s->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->lock_fd < 0) {
        rc = err_sys(e, errno, "store %s: cannot open its lock file %s", s->path, lock);
        e->code = ERR_STORE;
    } else if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        char owner[32] = "";
        ssize_t n = pread(s->lock_fd, owner, sizeof owner - 1, 0);
        owner[n > 0 ? n : 0] = 0;
        owner[strcspn(owner, "\n")] = 0;
        rc = err_set(e, ERR_STORE,
                     "store %s: in use by another process%s%s; wait for it, or give this one its "
                     "own with --store",
                     s->path, *owner ? " with pid " : "", owner);
    } else {
        char pid[32];
        int n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
        if (ftruncate(s->lock_fd, 0) < 0 || pwrite(s->lock_fd, pid, (size_t)n, 0) != n)
            rc = err_sys(e, errno, "store %s: cannot write its lock file", s->path);
    }
    free(lock);
    return rc;
}

static int pragma_int(store *s, const char *name, int64_t *value, err *e)
{
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA %s", name);
    sqlite3_stmt *q = db_query(s->db, e, sql, "");
    if (!q) return -1;
    int rc = db_step(q, e);
    *value = rc == 1 ? sqlite3_column_int64(q, 0) : 0;
    sqlite3_finalize(q);
    return rc < 0 ? -1 : 0;
}

static int migrate(store *s, enum store_mode mode, err *e)
{
    int64_t version, application, n_table;
    if (pragma_int(s, "user_version", &version, e) ||
        pragma_int(s, "application_id", &application, e))
        return -1;
    sqlite3_stmt *q = db_query(s->db, e, "SELECT count(*) FROM sqlite_schema", "");
    if (!q) return -1;
    int rc = db_step(q, e);
    n_table = rc == 1 ? sqlite3_column_int64(q, 0) : 0;
    sqlite3_finalize(q);
    if (rc < 0) return -1;
    if (n_table > 0 && application != APPLICATION_ID)
        return err_set(e, ERR_STORE, "store %s: a SQLite database, but not one of Hearth's",
                       s->path);
    if (version < 0)
        return err_set(e, ERR_STORE, "store %s: damaged: user_version is %lld, expected 0 to %d",
                       s->path, (long long)version, (int)STORE_VERSION);
    if (version > STORE_VERSION)
        return err_set(e, ERR_STORE,
                       "store %s: written by a newer Hearth (schema %lld, this program knows %d); "
                       "it was not touched",
                       s->path, (long long)version, (int)STORE_VERSION);
    if (mode == STORE_READ) {
        if (version < STORE_VERSION)
            return err_set(
                e, ERR_STORE,
                "store %s: schema %lld is older than this program's %d; open it once for "
                "writing (`hearth run`) to bring it up to date",
                s->path, (long long)version, (int)STORE_VERSION);
        return 0;
    }
    for (; version < STORE_VERSION; version++) {
        char sql[128];
        snprintf(sql, sizeof sql, "PRAGMA application_id=%d; PRAGMA user_version=%d;",
                 APPLICATION_ID, (int)version + 1);
        if (store_begin(s, e)) return -1;
        if (db_exec(s->db, migrations[version], e) || db_exec(s->db, sql, e) ||
            store_commit(s, e)) {
            store_rollback(s);
            return -1;
        }
    }
    return 0;
}

// Settles what a process that died left behind. A proposed or approved call never ran; a started
// one may have, and the model is told so instead of the call being repeated. A message that shows
// calls without results would be refused by chat templates, so each such call gets its result
// message here.
static int recover(store *s, err *e)
{
    static const char sql[] =
        "UPDATE tool_call SET state=4, is_error=1, ended_us=?1,"
        "  result='not run: the program was stopped before this call started' WHERE state IN (0, "
        "1);"
        "UPDATE tool_call SET state=5, is_error=1, ended_us=?1,"
        "  result='interrupted: the program was stopped while this call ran; its outcome is "
        "unknown' WHERE state=2;"
        "UPDATE run SET state=4, ended_us=?1, error='the program was stopped' WHERE state=0;";
    int64_t now = clock_wall_us();
    if (store_begin(s, e)) return -1;
    const char *rest = sql;
    while (*rest) {
        sqlite3_stmt *q = NULL;
        if (sqlite3_prepare_v2(s->db, rest, -1, &q, &rest) != SQLITE_OK) goto fail_db;
        sqlite3_bind_int64(q, 1, now);
        int rc = sqlite3_step(q);
        sqlite3_finalize(q);
        if (rc != SQLITE_DONE) goto fail_db;
    }
    // Calls of the last assistant message of a conversation whose results were never appended to
    // it.
    sqlite3_stmt *q = db_query(
        s->db, e,
        "SELECT c.id, c.name, c.result, m.conversation_id FROM tool_call c JOIN step t ON "
        "t.id=c.step_id"
        " JOIN message m ON m.id=t.message_id WHERE NOT EXISTS (SELECT 1 FROM message r WHERE"
        "  r.conversation_id=m.conversation_id AND r.seq>m.seq AND r.role=3 AND "
        "r.parts->>'call'=c.id)"
        " ORDER BY c.id",
        "");
    if (!q) goto fail;
    int rc;
    while ((rc = db_step(q, e)) == 1) {
        json_t *parts = json_pack("{s:s, s:I}", "name", db_text(q, 1), "call",
                                  (json_int_t)sqlite3_column_int64(q, 0));
        int64_t id =
            store_message_add(s, sqlite3_column_int64(q, 3), ROLE_TOOL, db_text(q, 2), parts, 0, e);
        json_decref(parts);
        if (id < 0) {
            rc = -1;
            break;
        }
    }
    sqlite3_finalize(q);
    if (rc < 0) goto fail;
    return store_commit(s, e);
fail_db:
    db_err(s->db, e);
fail:
    store_rollback(s);
    return -1;
}

store *store_open(const char *path, enum store_mode mode, err *e)
{
    store *s = mem_new(sizeof *s);
    s->path = mem_str(path);
    s->lock_fd = -1;
    if (mode == STORE_READ && !file_exists(path)) {
        err_set(e, ERR_STORE,
                "store %s: no such file (it is made by the first `hearth run` or `hearth chat`)",
                path);
        goto fail;
    }
    if (mode == STORE_WRITE) {
        char *dir = mem_str(path), *slash = strrchr(dir, '/');
        int rc = 0;
        if (slash && slash != dir) {
            *slash = 0;
            rc = file_mkdirs(dir, e);
        }
        free(dir);
        if (rc || lock_take(s, e)) goto fail;
    }
    mode_t old = umask(0077);
    int flags =
        mode == STORE_WRITE ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READWRITE;
    int rc = sqlite3_open_v2(path, &s->db, flags, NULL);
    umask(old);
    if (rc != SQLITE_OK) {
        err_set(e, ERR_STORE, "store %s: cannot be opened: %s", path,
                s->db ? sqlite3_errmsg(s->db) : "no memory");
        goto fail;
    }
    sqlite3_busy_timeout(s->db, 5000);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    // trusted_schema stays on: FTS5 within our own triggers needs it, and no functions of ours are
    // registered that a hostile schema could call. Reading the version first: a file that is no
    // database is refused before any pragma writes to it.
    int64_t version;
    if (pragma_int(s, "user_version", &version, e)) goto fail;
    if (version > STORE_VERSION) {
        migrate(s, STORE_READ, e);
        goto fail;
    }
    if (db_exec(s->db,
                mode == STORE_WRITE
                    ? "PRAGMA page_size=16384; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                      "PRAGMA foreign_keys=ON; PRAGMA mmap_size=0; PRAGMA cell_size_check=ON;"
                    : "PRAGMA query_only=ON; PRAGMA mmap_size=0; PRAGMA cell_size_check=ON;",
                e) ||
        migrate(s, mode, e))
        goto fail;
    if (mode == STORE_WRITE && recover(s, e)) goto fail;
    return s;
fail:
    store_close(s);
    return NULL;
}

void store_close(store *s)
{
    if (!s) return;
    sqlite3_close(s->db);
    if (s->lock_fd >= 0) close(s->lock_fd);
    free(s->path);
    free(s);
}

bool store_writable(const store *s)
{
    return s->lock_fd >= 0;
}

const char *store_path(const store *s)
{
    return s->path;
}
sqlite3 *store_db(store *s)
{
    return s->db;
}

int store_begin(store *s, err *e)
{
    return db_exec(s->db, "BEGIN IMMEDIATE", e);
}
int store_commit(store *s, err *e)
{
    return db_exec(s->db, "COMMIT", e);
}

void store_rollback(store *s)
{
    if (!sqlite3_get_autocommit(s->db)) sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

// ---- rows ----

// The one integer a query gives, `none` when there is no row, -1 with *e on failure.
static int64_t one_int(sqlite3_stmt *q, int64_t none, err *e)
{
    if (!q) return -1;
    int rc = db_step(q, e);
    int64_t value = rc == 1 ? sqlite3_column_int64(q, 0) : rc == 0 ? none : -1;
    sqlite3_finalize(q);
    return value;
}

int64_t store_agent(store *s, const char *name, err *e)
{
    int64_t id = one_int(db_query(s->db, e, "SELECT id FROM agent WHERE name=?", "t", name), 0, e);
    if (id) return id;
    return db_run(s->db, e, "INSERT INTO agent(name, created_us) VALUES(?, ?)", "ti", name,
                  clock_wall_us());
}

int64_t store_conversation_add(store *s, int64_t agent, const char *title, err *e)
{
    int64_t now = clock_wall_us();
    return db_run(
        s->db, e,
        "INSERT INTO conversation(agent_id, title, created_us, updated_us) VALUES(?, ?, ?, ?)",
        "itii", agent, title, now, now);
}

int64_t store_conversation_last(store *s, int64_t agent, err *e)
{
    return one_int(db_query(s->db, e,
                            "SELECT id FROM conversation WHERE agent_id=? ORDER BY id DESC LIMIT 1",
                            "i", agent),
                   0, e);
}

bool store_conversation_exists(store *s, int64_t conversation)
{
    err e;
    return one_int(db_query(s->db, &e, "SELECT 1 FROM conversation WHERE id=?", "i", conversation),
                   0, &e) == 1;
}

int64_t store_message_add(store *s, int64_t conversation, int role, const char *content,
                          const json_t *parts, int n_token, err *e)
{
    char *text = parts ? json_dumps(parts, JSON_COMPACT) : NULL;
    int64_t now = clock_wall_us();
    int64_t id = db_run(
        s->db, e,
        "INSERT INTO message(conversation_id, seq, role, created_us, content, parts, n_tokens)"
        " VALUES(?1, (SELECT coalesce(max(seq), 0) + 1 FROM message WHERE conversation_id=?1),"
        " ?2, ?3, ?4, ?5, ?6)",
        "iiitti", conversation, (int64_t)role, now, content, text, (int64_t)n_token);
    free(text);
    if (id > 0 && db_run(s->db, e, "UPDATE conversation SET updated_us=? WHERE id=?", "ii", now,
                         conversation) < 0)
        return -1;
    return id;
}

json_t *store_messages(store *s, int64_t conversation, err *e)
{
    sqlite3_stmt *q = db_query(
        s->db, e,
        "SELECT id, role, content, parts FROM message WHERE conversation_id=? ORDER BY seq", "i",
        conversation);
    if (!q) return NULL;
    json_t *list = json_array();
    int rc;
    while ((rc = db_step(q, e)) == 1) {
        json_t *m =
            json_pack("{s:I, s:s, s:s}", "id", (json_int_t)sqlite3_column_int64(q, 0), "role",
                      role_name(sqlite3_column_int(q, 1)), "content", db_text(q, 2));
        if (sqlite3_column_type(q, 3) == SQLITE_TEXT)
            json_object_set_new(m, "parts", json_loads(db_text(q, 3), JSON_DECODE_ANY, NULL));
        json_array_append_new(list, m);
    }
    sqlite3_finalize(q);
    if (rc < 0) {
        json_decref(list);
        return NULL;
    }
    return list;
}

int64_t store_run_add(store *s, int64_t conversation, const char *model, err *e)
{
    return db_run(s->db, e,
                  "INSERT INTO run(conversation_id, model, state, started_us) VALUES(?, ?, 0, ?)",
                  "iti", conversation, model, clock_wall_us());
}

int store_run_end(store *s, int64_t run, enum run_state state, const char *error, err *e)
{
    return db_run(s->db, e, "UPDATE run SET state=?, ended_us=?, error=? WHERE id=?", "iiti",
                  (int64_t)state, clock_wall_us(), error, run) < 0
               ? -1
               : 0;
}

int64_t store_step_add(store *s, int64_t run, int idx, int64_t message, const struct step_usage *u,
                       err *e)
{
    return db_run(s->db, e,
                  "INSERT INTO step(run_id, idx, message_id, started_us, ended_us, prompt_tokens, "
                  "cached_tokens,"
                  " output_tokens) VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
                  "iiiiiiii", run, (int64_t)idx, message, u->started_us, u->ended_us,
                  (int64_t)u->prompt_tokens, (int64_t)u->cached_tokens, (int64_t)u->output_tokens);
}

int64_t store_call_add(store *s, int64_t step, int idx, const char *name, const json_t *args,
                       err *e)
{
    char *text = json_dumps(args, JSON_COMPACT);
    int64_t id = db_run(
        s->db, e, "INSERT INTO tool_call(step_id, idx, name, args, state) VALUES(?, ?, ?, ?, 0)",
        "iitt", step, (int64_t)idx, name, text);
    free(text);
    return id;
}

int store_call_state(store *s, int64_t call, enum call_state state, err *e)
{
    return db_run(s->db, e,
                  "UPDATE tool_call SET state=?1, started_us=CASE WHEN ?1=2 THEN ?2 ELSE "
                  "started_us END"
                  " WHERE id=?3",
                  "iii", (int64_t)state, clock_wall_us(), call) < 0
               ? -1
               : 0;
}

int store_call_result(store *s, int64_t call, enum call_state state, bool is_error,
                      const char *result, err *e)
{
    return db_run(s->db, e,
                  "UPDATE tool_call SET state=?, is_error=?, result=?, ended_us=? WHERE id=?",
                  "iitii", (int64_t)state, (int64_t)is_error, result, clock_wall_us(), call) < 0
               ? -1
               : 0;
}

// ---- what was done ----

json_t *store_list_conversations(store *s, int limit, err *e)
{
    sqlite3_stmt *q =
        db_query(s->db, e,
                 "SELECT c.id, a.name, coalesce(c.title, ''), c.created_us, c.updated_us,"
                 " (SELECT count(*) FROM message WHERE conversation_id=c.id), (SELECT count(*) "
                 "FROM run WHERE conversation_id=c.id)"
                 " FROM conversation c JOIN agent a ON a.id=c.agent_id ORDER BY c.id DESC LIMIT ?",
                 "i", (int64_t)limit);
    if (!q) return NULL;
    json_t *list = json_array();
    int rc;
    while ((rc = db_step(q, e)) == 1)
        json_array_append_new(
            list, json_pack("{s:I, s:s, s:s, s:I, s:I, s:i, s:i}", "id",
                            (json_int_t)sqlite3_column_int64(q, 0), "agent", db_text(q, 1), "title",
                            db_text(q, 2), "created_us", (json_int_t)sqlite3_column_int64(q, 3),
                            "updated_us", (json_int_t)sqlite3_column_int64(q, 4), "messages",
                            sqlite3_column_int(q, 5), "runs", sqlite3_column_int(q, 6)));
    sqlite3_finalize(q);
    if (rc < 0) {
        json_decref(list);
        return NULL;
    }
    return list;
}

static json_t *calls_of_step(store *s, int64_t step, err *e)
{
    sqlite3_stmt *q =
        db_query(s->db, e,
                 "SELECT id, name, args, state, coalesce(result, ''), coalesce(is_error, 0),"
                 " coalesce(ended_us - started_us, 0) FROM tool_call WHERE step_id=? ORDER BY idx",
                 "i", step);
    if (!q) return NULL;
    json_t *list = json_array();
    int rc;
    while ((rc = db_step(q, e)) == 1)
        json_array_append_new(
            list, json_pack("{s:I, s:s, s:o, s:s, s:s, s:b, s:I}", "id",
                            (json_int_t)sqlite3_column_int64(q, 0), "name", db_text(q, 1), "args",
                            json_loads(db_text(q, 2), JSON_DECODE_ANY, NULL), "state",
                            call_state_name(sqlite3_column_int(q, 3)), "result", db_text(q, 4),
                            "is_error", sqlite3_column_int(q, 5), "us",
                            (json_int_t)sqlite3_column_int64(q, 6)));
    sqlite3_finalize(q);
    if (rc < 0) {
        json_decref(list);
        return NULL;
    }
    return list;
}

static json_t *steps_of_run(store *s, int64_t run, err *e)
{
    sqlite3_stmt *q =
        db_query(s->db, e,
                 "SELECT t.id, t.idx, coalesce(m.content, ''), t.prompt_tokens, t.cached_tokens,"
                 " t.output_tokens, t.ended_us - t.started_us FROM step t LEFT JOIN message m"
                 " ON m.id=t.message_id WHERE t.run_id=? ORDER BY t.idx",
                 "i", run);
    if (!q) return NULL;
    json_t *list = json_array();
    int rc;
    while ((rc = db_step(q, e)) == 1) {
        json_t *calls = calls_of_step(s, sqlite3_column_int64(q, 0), e);
        if (!calls) {
            rc = -1;
            break;
        }
        json_array_append_new(
            list, json_pack("{s:i, s:s, s:i, s:i, s:i, s:I, s:o}", "step", sqlite3_column_int(q, 1),
                            "text", db_text(q, 2), "prompt_tokens", sqlite3_column_int(q, 3),
                            "cached_tokens", sqlite3_column_int(q, 4), "output_tokens",
                            sqlite3_column_int(q, 5), "us", (json_int_t)sqlite3_column_int64(q, 6),
                            "calls", calls));
    }
    sqlite3_finalize(q);
    if (rc < 0) {
        json_decref(list);
        return NULL;
    }
    return list;
}

json_t *store_show_run(store *s, int64_t run, err *e)
{
    sqlite3_stmt *q =
        db_query(s->db, e,
                 "SELECT r.id, r.conversation_id, a.name, r.model, r.state, r.started_us, "
                 "coalesce(r.ended_us, 0),"
                 " coalesce(r.error, ''), coalesce((SELECT content FROM message WHERE "
                 "conversation_id=r.conversation_id AND"
                 " role=1 AND created_us<=coalesce(r.ended_us, 9e18) ORDER BY seq DESC LIMIT 1), "
                 "'') FROM run r"
                 " JOIN conversation c ON c.id=r.conversation_id JOIN agent a ON a.id=c.agent_id"
                 " WHERE r.id=?1 OR ?1=0 ORDER BY r.id DESC LIMIT 1",
                 "i", run);
    if (!q) return NULL;
    json_t *out = NULL;
    int rc = db_step(q, e);
    if (rc == 0) {
        if (run)
            err_set(e, ERR_USAGE, "store %s: there is no run %lld", s->path, (long long)run);
        else
            err_set(e, ERR_USAGE, "store %s: holds no run yet", s->path);
    }
    if (rc == 1) {
        json_t *steps = steps_of_run(s, sqlite3_column_int64(q, 0), e);
        if (steps)
            out = json_pack("{s:I, s:I, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:o}", "run",
                            (json_int_t)sqlite3_column_int64(q, 0), "session",
                            (json_int_t)sqlite3_column_int64(q, 1), "agent", db_text(q, 2), "model",
                            db_text(q, 3), "state", run_state_name(sqlite3_column_int(q, 4)),
                            "error", db_text(q, 7), "input", db_text(q, 8), "started_us",
                            (json_int_t)sqlite3_column_int64(q, 5), "ended_us",
                            (json_int_t)sqlite3_column_int64(q, 6), "steps", steps);
    }
    sqlite3_finalize(q);
    return out;
}
