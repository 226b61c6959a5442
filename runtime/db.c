#include "db.h"

#include <stdarg.h>
#include <stdint.h>

int db_err(sqlite3 *db, err *e)
{
    const char *file = sqlite3_db_filename(db, "main");
    int code = sqlite3_errcode(db) & 0xff;
    return err_set(e, ERR_STORE, "store %s: %s%s", file && *file ? file : "(memory)",
                   sqlite3_errmsg(db),
                   code == SQLITE_FULL || code == SQLITE_IOERR
                       ? " (nothing of this change was saved; what was there before is intact)"
                       : "");
}

static sqlite3_stmt *query_v(sqlite3 *db, err *e, const char *sql, const char *types, va_list ap)
{
    sqlite3_stmt *q = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) != SQLITE_OK) {
        db_err(db, e);
        return NULL;
    }
    for (int i = 1; *types; types++, i++) {
        switch (*types) {
        case 'i': sqlite3_bind_int64(q, i, va_arg(ap, int64_t)); break;
        case 'd': sqlite3_bind_double(q, i, va_arg(ap, double)); break;
        case 't': sqlite3_bind_text(q, i, va_arg(ap, const char *), -1, SQLITE_TRANSIENT); break;
        case 'b': {
            const void *p = va_arg(ap, const void *);
            sqlite3_bind_blob(q, i, p, va_arg(ap, int), SQLITE_TRANSIENT);
            break;
        }
        }
    }
    return q;
}

sqlite3_stmt *db_query(sqlite3 *db, err *e, const char *sql, const char *types, ...)
{
    va_list ap;
    va_start(ap, types);
    sqlite3_stmt *q = query_v(db, e, sql, types, ap);
    va_end(ap);
    return q;
}

int db_step(sqlite3_stmt *q, err *e)
{
    int rc = sqlite3_step(q);
    return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : db_err(sqlite3_db_handle(q), e);
}

int64_t db_run(sqlite3 *db, err *e, const char *sql, const char *types, ...)
{
    va_list ap;
    va_start(ap, types);
    sqlite3_stmt *q = query_v(db, e, sql, types, ap);
    va_end(ap);
    if (!q) return -1;
    int rc;
    while ((rc = db_step(q, e)) == 1) {
    }
    sqlite3_finalize(q);
    return rc < 0 ? -1 : sqlite3_last_insert_rowid(db);
}

int db_exec(sqlite3 *db, const char *sql, err *e)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_err(db, e);
}

const char *db_text(sqlite3_stmt *q, int column)
{
    const char *text = (const char *)sqlite3_column_text(q, column);
    return text ? text : "";
}
