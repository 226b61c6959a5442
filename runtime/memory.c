// Recall by two witnesses and reciprocal rank fusion (Cormack, Clarke and Buettcher 2009): a fact's
// score is the sum of 1 / (60 + rank) over the lists that hold it. Ranks are comparable where BM25
// and cosine are not.
//
// The vectors are scanned exactly, straight from their rows: a person's few thousand facts are a
// few megabytes. The query for FTS5 is built from quoted words only, so no input can be a syntax
// error or an operator.
#include "memory.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "base/utf8.h"
#include "db.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEG_MAX = 50, FUSE_K = 60, TEXT_MAX = 4096, WORDS_MAX = 32, WORD_MAX = 200 };

struct memory {
    store *s;
    int64_t agent, model; // model: row of embed_model, 0 without an engine
    engine *en;
    session *embed;
    int dim;
    float *vector; // [dim], scratch
};

memory *memory_open(store *s, int64_t agent, engine *en, session *embed, err *e)
{
    memory *m = mem_new(sizeof *m);
    *m = (memory){.s = s, .agent = agent, .en = en, .embed = embed};
    if (!en) return m;
    const struct engine_info *info = engine_info(en);
    m->dim = info->dim;
    m->vector = mem_new((size_t)m->dim * sizeof *m->vector);
    sqlite3 *db = store_db(s);
    sqlite3_stmt *q =
        db_query(db, e, "SELECT id FROM embed_model WHERE digest=?", "t", info->digest);
    if (!q) goto fail;
    int rc = db_step(q, e);
    if (rc == 1) m->model = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    if (rc == 0 && store_writable(s))
        m->model = db_run(db, e, "INSERT INTO embed_model(digest, name, dim) VALUES(?, ?, ?)",
                          "tti", info->digest, info->architecture, (int64_t)m->dim);
    if (rc < 0 || m->model < 0) goto fail;
    return m;
fail:
    memory_close(m);
    return NULL;
}

void memory_close(memory *m)
{
    if (!m) return;
    free(m->vector);
    free(m);
}

// Lower case (ASCII) with runs of white space as one blank: what "the same fact" means.
static char *normal_form(const char *text)
{
    buf b = buf_new(TEXT_MAX + 1);
    bool gap = false;
    for (const char *p = text; *p; p++) {
        if (isspace((unsigned char)*p)) {
            gap = b.n > 0;
            continue;
        }
        if (gap) buf_byte(&b, ' ');
        gap = false;
        buf_byte(&b, (char)tolower((unsigned char)*p));
    }
    return buf_take(&b);
}

int64_t memory_remember(memory *m, int64_t conversation, const char *text, err *e)
{
    size_t n = strlen(text), valid = utf8_valid_prefix(text, n);
    if (valid != n)
        return err_set(e, ERR_INPUT, "the text to remember is not valid UTF-8 at byte %zu", valid);
    char *normal = normal_form(text);
    char hash[65];
    sha256 sum = sha256_start();
    sha256_add(&sum, normal, strlen(normal));
    sha256_hex(&sum, hash);
    bool empty = !*normal;
    free(normal);
    if (empty) return err_set(e, ERR_INPUT, "there is nothing to remember: the text is empty");
    if (n > TEXT_MAX)
        return err_set(e, ERR_INPUT, "too long to remember: %zu bytes, at most %d", n, TEXT_MAX);
    sqlite3 *db = store_db(m->s);
    int64_t now = clock_wall_us(), id = -1;
    // The model runs before the transaction opens: a transaction is as short as its writes.
    if (m->en && session_embed(m->embed, text, n, m->vector, e)) return -1;
    if (store_begin(m->s, e)) return -1;
    sqlite3_stmt *q = db_query(
        db, e, "SELECT id FROM memory WHERE agent_id=? AND content_hash=? AND valid_to_us IS NULL",
        "it", m->agent, hash);
    if (!q) goto fail;
    int rc = db_step(q, e);
    id = rc == 1 ? sqlite3_column_int64(q, 0) : 0;
    sqlite3_finalize(q);
    if (rc < 0) goto fail;
    if (id > 0) {
        if (db_run(db, e, "UPDATE memory SET last_used_us=?, uses=uses+1 WHERE id=?", "ii", now,
                   id) < 0)
            goto fail;
    } else {
        id = db_run(
            db, e,
            "INSERT INTO memory(agent_id, conversation_id, content, content_hash, created_us)"
            " VALUES(?, nullif(?, 0), ?, ?, ?)",
            "iitti", m->agent, conversation, text, hash, now);
        if (id < 0) goto fail;
    }
    if (m->en &&
        db_run(db, e,
               "INSERT OR REPLACE INTO embedding(model_id, memory_id, vector) VALUES(?, ?, ?)",
               "iib", m->model, id, (const void *)m->vector,
               (int)((size_t)m->dim * sizeof *m->vector)) < 0)
        goto fail;
    if (store_commit(m->s, e) == 0) return id;
fail:
    store_rollback(m->s);
    return -1;
}

// "word" OR "word" ...: letters, digits and every byte above ASCII make words; all else separates.
// What is longer than a word ever is (an encoded blob) is passed over, so that the buffer holds
// all.
static char *fts_query(const char *text)
{
    buf b = buf_new(WORDS_MAX * (WORD_MAX + 8));
    int n = 0;
    for (const char *p = text; *p && n < WORDS_MAX;) {
        while (*p && !isalnum((unsigned char)*p) && (unsigned char)*p < 0x80) p++;
        const char *start = p;
        while (isalnum((unsigned char)*p) || (unsigned char)*p >= 0x80) p++;
        if (p == start) break;
        if (p - start > WORD_MAX) continue;
        if (n++) buf_str(&b, " OR ");
        buf_byte(&b, '"');
        buf_put(&b, start, (size_t)(p - start));
        buf_byte(&b, '"');
    }
    return buf_take(&b);
}

struct hit {
    int64_t id;
    double score; // within its leg
    int words_rank, vector_rank;
};

static int words_leg(memory *m, const char *query, struct hit *hits, err *e)
{
    char *match = fts_query(query);
    int n = 0, rc = 0;
    if (*match) {
        sqlite3_stmt *q = db_query(
            store_db(m->s), e,
            "SELECT m.id FROM memory_fts f JOIN memory m ON m.id=f.rowid WHERE memory_fts MATCH ?"
            " AND m.agent_id=? AND m.valid_to_us IS NULL ORDER BY f.rank, m.id DESC LIMIT ?",
            "tii", match, m->agent, (int64_t)LEG_MAX);
        if (!q) {
            free(match);
            return -1;
        }
        while ((rc = db_step(q, e)) == 1) hits[n++].id = sqlite3_column_int64(q, 0);
        sqlite3_finalize(q);
    }
    free(match);
    return rc < 0 ? -1 : n;
}

static int by_score(const void *a, const void *b)
{
    const struct hit *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return x->id < y->id ? 1 : x->id > y->id ? -1 : 0; // the newer of equals
}

// The vectors of all live memories of the agent: ids [n], rows [n, dim]. Returns n, -1 with *e.
static int64_t read_vectors(memory *m, int64_t **ids, float **rows, err *e)
{
    sqlite3_stmt *q =
        db_query(store_db(m->s), e,
                 "SELECT m.id, v.vector FROM embedding v JOIN memory m ON m.id=v.memory_id"
                 " WHERE v.model_id=? AND m.agent_id=? AND m.valid_to_us IS NULL",
                 "ii", m->model, m->agent);
    if (!q) return -1;
    size_t n = 0, cap = 0, row_bytes = (size_t)m->dim * sizeof **rows;
    int rc;
    while ((rc = db_step(q, e)) == 1) {
        const void *v = sqlite3_column_blob(q, 1);
        if (!v || (size_t)sqlite3_column_bytes(q, 1) != row_bytes) continue;
        if (n == cap) {
            cap = cap ? cap * 2 : 64;
            *ids = mem_grow(*ids, cap * sizeof **ids);
            *rows = mem_grow(*rows, cap * row_bytes);
        }
        (*ids)[n] = sqlite3_column_int64(q, 0);
        memcpy(*rows + n++ * (size_t)m->dim, v, row_bytes);
    }
    sqlite3_finalize(q);
    return rc < 0 ? -1 : (int64_t)n;
}

// Cosine of the vectors after the mean of all of them is taken off both sides. Pooled states of a
// language model share one large direction that says nothing about the text and drowns what does
// (Mu and Viswanath 2018).
static void score_centred(const float *rows, size_t n, int dim, const float *query, struct hit *all)
{
    double *mean = mem_new((size_t)dim * sizeof *mean);
    for (size_t r = 0; r < n; r++)
        for (int i = 0; i < dim; i++) mean[i] += rows[r * (size_t)dim + (size_t)i] / (double)n;
    for (size_t r = 0; r < n; r++) {
        const float *row = rows + r * (size_t)dim;
        double dot = 0, norm = 0;
        for (int i = 0; i < dim; i++) {
            double centred =
                n > 2 ? row[i] - mean[i] : row[i]; // the mean of two says only how they differ
            dot += centred * (n > 2 ? query[i] - mean[i] : query[i]);
            norm += centred * centred;
        }
        all[r].score = norm > 0 ? dot / sqrt(norm) : 0;
    }
    free(mean);
}

static int vector_leg(memory *m, const char *query, struct hit *hits, err *e)
{
    if (!m->en || m->model == 0 || !*query) return 0;
    if (session_embed(m->embed, query, strlen(query), m->vector, e)) return -1;
    int64_t *ids = NULL;
    float *rows = NULL;
    int64_t n = read_vectors(m, &ids, &rows, e);
    if (n > 0) {
        struct hit *all = mem_new((size_t)n * sizeof *all);
        for (int64_t i = 0; i < n; i++) all[i].id = ids[i];
        score_centred(rows, (size_t)n, m->dim, m->vector, all);
        qsort(all, (size_t)n, sizeof *all, by_score);
        if (n > LEG_MAX) n = LEG_MAX;
        memcpy(hits, all, (size_t)n * sizeof *hits);
        free(all);
    }
    free(ids);
    free(rows);
    return (int)n;
}

static struct hit *hit_of(struct hit *fused, int *n, int64_t id)
{
    for (int i = 0; i < *n; i++)
        if (fused[i].id == id) return &fused[i];
    fused[*n] = (struct hit){.id = id};
    return &fused[(*n)++];
}

json_t *memory_recall(memory *m, const char *query, int k, err *e)
{
    struct hit words[LEG_MAX] = {0}, vectors[LEG_MAX] = {0}, fused[2 * LEG_MAX] = {0};
    int n_words = words_leg(m, query, words, e);
    if (n_words < 0) return NULL;
    int n_vectors = vector_leg(m, query, vectors, e);
    if (n_vectors < 0) return NULL;
    int n = 0;
    for (int i = 0; i < n_words; i++) hit_of(fused, &n, words[i].id)->words_rank = i + 1;
    for (int i = 0; i < n_vectors; i++) hit_of(fused, &n, vectors[i].id)->vector_rank = i + 1;
    for (int i = 0; i < n; i++)
        fused[i].score = (fused[i].words_rank ? 1.0 / (FUSE_K + fused[i].words_rank) : 0) +
                         (fused[i].vector_rank ? 1.0 / (FUSE_K + fused[i].vector_rank) : 0);
    if (n) qsort(fused, (size_t)n, sizeof *fused, by_score);
    json_t *out = json_array();
    for (int i = 0; i < n && i < k; i++) {
        sqlite3_stmt *q =
            db_query(store_db(m->s), e, "SELECT content, created_us FROM memory WHERE id=?", "i",
                     fused[i].id);
        if (!q || db_step(q, e) != 1) {
            sqlite3_finalize(q);
            json_decref(out);
            return NULL;
        }
        json_array_append_new(
            out, json_pack("{s:I, s:s, s:f, s:i, s:i, s:I}", "id", (json_int_t)fused[i].id, "text",
                           db_text(q, 0), "score", fused[i].score, "words_rank",
                           fused[i].words_rank, "vector_rank", fused[i].vector_rank, "created_us",
                           (json_int_t)sqlite3_column_int64(q, 1)));
        sqlite3_finalize(q);
    }
    return out;
}

int64_t memory_count(memory *m, err *e)
{
    sqlite3_stmt *q = db_query(
        store_db(m->s), e, "SELECT count(*) FROM memory WHERE agent_id=? AND valid_to_us IS NULL",
        "i", m->agent);
    if (!q) return -1;
    int64_t n = db_step(q, e) == 1 ? sqlite3_column_int64(q, 0) : -1;
    sqlite3_finalize(q);
    return n;
}
