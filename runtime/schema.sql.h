// The tables, as one script per version: migration n brings a store from user_version n to n + 1.
// Written once, never edited after a release; a change is a new row. STRICT everywhere; states and
// JSON are checked by SQLite itself.
#pragma once

static const char *const migrations[] = {
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;"

    "CREATE TABLE agent(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_us INTEGER NOT "
    "NULL) STRICT;"

    "CREATE TABLE conversation(id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " agent_id INTEGER NOT NULL REFERENCES agent ON DELETE CASCADE, title TEXT,"
    " created_us INTEGER NOT NULL, updated_us INTEGER NOT NULL) STRICT;"

    "CREATE TABLE message(id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " conversation_id INTEGER NOT NULL REFERENCES conversation ON DELETE CASCADE, seq INTEGER NOT "
    "NULL,"
    " role INTEGER NOT NULL CHECK(role BETWEEN 0 AND 3), created_us INTEGER NOT NULL, content TEXT "
    "NOT NULL,"
    " parts TEXT CHECK(parts IS NULL OR json_valid(parts)), n_tokens INTEGER,"
    " UNIQUE(conversation_id, seq)) STRICT;"

    "CREATE TABLE run(id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " conversation_id INTEGER NOT NULL REFERENCES conversation ON DELETE CASCADE, model TEXT NOT "
    "NULL,"
    " state INTEGER NOT NULL CHECK(state BETWEEN 0 AND 4), started_us INTEGER NOT NULL, ended_us "
    "INTEGER,"
    " error TEXT) STRICT;"

    "CREATE TABLE step(id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " run_id INTEGER NOT NULL REFERENCES run ON DELETE CASCADE, idx INTEGER NOT NULL,"
    " message_id INTEGER REFERENCES message ON DELETE SET NULL, started_us INTEGER NOT NULL,"
    " ended_us INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL,"
    " output_tokens INTEGER NOT NULL, UNIQUE(run_id, idx)) STRICT;"

    "CREATE TABLE tool_call(id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " step_id INTEGER NOT NULL REFERENCES step ON DELETE CASCADE, idx INTEGER NOT NULL, name TEXT "
    "NOT NULL,"
    " args TEXT NOT NULL CHECK(json_valid(args)), state INTEGER NOT NULL CHECK(state BETWEEN 0 AND "
    "5),"
    " result TEXT, is_error INTEGER, started_us INTEGER, ended_us INTEGER, UNIQUE(step_id, idx)) "
    "STRICT;"

    "CREATE TABLE memory(id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " agent_id INTEGER NOT NULL REFERENCES agent ON DELETE CASCADE,"
    " conversation_id INTEGER REFERENCES conversation ON DELETE SET NULL, content TEXT NOT NULL,"
    " content_hash TEXT NOT NULL, created_us INTEGER NOT NULL, valid_to_us INTEGER,"
    " last_used_us INTEGER, uses INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE UNIQUE INDEX memory_live ON memory(agent_id, content_hash) WHERE valid_to_us IS NULL;"

    "CREATE TABLE embed_model(id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, name TEXT NOT "
    "NULL,"
    " dim INTEGER NOT NULL) STRICT;"
    "CREATE TABLE embedding(id INTEGER PRIMARY KEY,"
    " model_id INTEGER NOT NULL REFERENCES embed_model ON DELETE CASCADE,"
    " memory_id INTEGER NOT NULL REFERENCES memory ON DELETE CASCADE, vector BLOB NOT NULL,"
    " UNIQUE(model_id, memory_id)) STRICT;"

    // External-content FTS5: the triggers hand the old values to 'delete', or the index would keep
    // dead words.
    "CREATE VIRTUAL TABLE message_fts USING fts5(content, content='message', content_rowid='id',"
    " tokenize='unicode61 remove_diacritics 2');"
    "CREATE TRIGGER message_ai AFTER INSERT ON message BEGIN"
    " INSERT INTO message_fts(rowid, content) VALUES(new.id, new.content); END;"
    "CREATE TRIGGER message_ad AFTER DELETE ON message BEGIN"
    " INSERT INTO message_fts(message_fts, rowid, content) VALUES('delete', old.id, old.content); "
    "END;"
    "CREATE TRIGGER message_au AFTER UPDATE OF content ON message BEGIN"
    " INSERT INTO message_fts(message_fts, rowid, content) VALUES('delete', old.id, old.content);"
    " INSERT INTO message_fts(rowid, content) VALUES(new.id, new.content); END;"

    "CREATE VIRTUAL TABLE memory_fts USING fts5(content, content='memory', content_rowid='id',"
    " tokenize='unicode61 remove_diacritics 2');"
    "CREATE TRIGGER memory_ai AFTER INSERT ON memory BEGIN"
    " INSERT INTO memory_fts(rowid, content) VALUES(new.id, new.content); END;"
    "CREATE TRIGGER memory_ad AFTER DELETE ON memory BEGIN"
    " INSERT INTO memory_fts(memory_fts, rowid, content) VALUES('delete', old.id, old.content); "
    "END;"
    "CREATE TRIGGER memory_au AFTER UPDATE OF content ON memory BEGIN"
    " INSERT INTO memory_fts(memory_fts, rowid, content) VALUES('delete', old.id, old.content);"
    " INSERT INTO memory_fts(rowid, content) VALUES(new.id, new.content); END;",
};

enum { STORE_VERSION = sizeof migrations / sizeof *migrations };
