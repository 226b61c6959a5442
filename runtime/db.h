// The few lines that make SQLite's C interface readable: a statement is prepared, bound and stepped
// in one call each.
#pragma once
#include "base/err.h"
#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

// Prepares sql and binds the arguments by `types`: i int64_t, d double, t text (NULL: SQL NULL), b
// blob (two arguments: pointer and int size). NULL and *e on failure. The caller finalizes.
sqlite3_stmt *db_query(sqlite3 *db, err *e, const char *sql, const char *types, ...);

// 1: a row is there; 0: no more rows; -1: *e.
int db_step(sqlite3_stmt *q, err *e);

// Runs a statement to its end. Returns the id of the last inserted row (or 0), -1 with *e.
int64_t db_run(sqlite3 *db, err *e, const char *sql, const char *types, ...);

// Runs a script of statements.
int db_exec(sqlite3 *db, const char *sql, err *e);

// Fills *e from the connection: which file, what SQLite says, and ERR_STORE.
int db_err(sqlite3 *db, err *e);

// A column as text; "" for NULL.
const char *db_text(sqlite3_stmt *q, int column);
