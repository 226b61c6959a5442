#include "engine/mask_bench.h"
#include "engine/schema.h"

#include "base/mem.h"
#include "engine/json_write.h"
#include "engine/lines.h"
#include "engine/mask_bench_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TEXT_BYTES_MAX ((size_t)64 << 20)

// An instance in one spelling.
struct instance {
    const json_t *data;
    bool valid, spaced;
    token_buf tokens;
    buf text; // what the tokens spell
};

static uint64_t now_ns(const struct bench *b)
{
    struct timespec t;
    clock_gettime(b->o->processor_time ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void bench_report(struct bench *b, const char *fmt, ...)
{
    static const char white[] = "\n\r\t";
    char text[1200];
    va_list ap;
    b->failed = true;
    if (!b->o->report) return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    buf line = buf_new(4 * sizeof text); // one line, whatever the text at fault holds
    for (const char *p = text; *p; p++) {
        const char *known = strchr(white, *p);
        if (known)
            buf_printf(&line, "\\%c", "nrt"[known - white]);
        else
            buf_byte(&line, *p);
    }
    b->o->report(b->o->context, b->id, buf_text(&line));
    buf_free(&line);
}

// ---- the worst ----

static void keep_worst(const struct bench *b, struct worst *w, double value, const char *fmt, ...)
{
    size_t max = b->o->n_worst, at = w->n;
    if (max == 0 || (w->n == max && value <= w->v[max - 1].value)) return;
    char text[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!w->v) w->v = mem_new(max * sizeof *w->v);
    if (w->n == max) {
        free(w->v[--at].id);
        free(w->v[at].what);
    } else {
        w->n++;
    }
    for (; at > 0 && w->v[at - 1].value < value; at--) w->v[at] = w->v[at - 1];
    w->v[at] = (struct worst_row){value, mem_str(b->id), mem_str(text)};
}

static void report_worst(struct bench *b, struct worst *w, const char *unit)
{
    for (size_t i = 0; i < w->n; i++) {
        b->id = w->v[i].id;
        bench_report(b, "%.3f %s: %s", w->v[i].value, unit, w->v[i].what);
        free(w->v[i].id);
        free(w->v[i].what);
    }
    free(w->v);
}

// ---- compile and step ----

static grammar *compile(const struct bench *b, enum grammar_spacing spacing, err *e)
{
    struct grammar_options o = b->o->grammar;
    if (!b->o->spacing_given && b->o->mode != MASK_ADVERSARIAL) o.spacing = spacing;
    return grammar_from_schema(b->o->vocab, b->schema, &o, e);
}

// Keeps the id of the schema with the largest time so far.
static void keep_slowest(uint64_t *max_ns, char name[64], uint64_t ns, const char *id)
{
    if (ns <= *max_ns) return;
    *max_ns = ns;
    snprintf(name, 64, "%s", id);
}

grammar *bench_compile(struct bench *b, enum grammar_spacing spacing, err *e)
{
    struct mask_tally *t = b->tally;
    free(b->slow.v);
    b->slow = (struct slow_masks){0};
    uint64_t start = now_ns(b);
    grammar *g = compile(b, spacing, e);
    uint64_t compiled = now_ns(b);
    if (!g) return NULL;
    grammar_state *s = grammar_start(g);
    uint64_t started = now_ns(b);
    grammar_mask(s, -1, b->bits);
    uint64_t end = now_ns(b);
    grammar_state_free(s);
    b->first_fill_ns = end - started;
    keep_slowest(&t->slowest_compile_ns, t->row.slowest_to_compile, end - start, b->id);
    samples_add(&t->compile_only, compiled - start);
    samples_add(&t->compile, end - start);
    keep_worst(b, &b->slow_compiles, (double)(end - start) / 1e6, "compile with first mask");
    return g;
}

static void digest_of(const uint64_t *bits, size_t words, uint64_t digest[2])
{
    uint64_t a = 0x9e3779b97f4a7c15u, c = 0xc2b2ae3d27d4eb4fu;
    for (size_t i = 0; i < words; i++) {
        a = (a ^ bits[i]) * 0xff51afd7ed558ccdu;
        a ^= a >> 29;
        c = (c + bits[i]) * 0xc4ceb9fe1a85ec53u;
        c ^= c >> 31;
    }
    digest[0] = a;
    digest[1] = c | 1; // never {0, 0}
}

// The place of the state in the table, empty when it was not there.
static struct slow_mask *slow_mask_at(struct slow_masks *m, const uint64_t state[2])
{
    if (2 * m->n >= m->cap) {
        struct slow_masks old = *m;
        m->cap = old.cap ? 2 * old.cap : 256;
        m->v = mem_new(m->cap * sizeof *m->v);
        m->n = 0;
        for (size_t i = 0; i < old.cap; i++) {
            if (!old.v[i].mask[1]) continue;
            *slow_mask_at(m, old.v[i].state) = old.v[i];
            m->n++;
        }
        free(old.v);
    }
    size_t i = (size_t)state[0] & (m->cap - 1);
    while (m->v[i].mask[1] && memcmp(m->v[i].state, state, sizeof m->v[i].state) != 0)
        i = (i + 1) & (m->cap - 1);
    return &m->v[i];
}

// Is the mask in b->bits that of walking every token alone? The walk takes milliseconds, so it is
// done once for each state of a grammar, and every step there is compared with what it gave.
static void verify_mask(struct bench *b, const grammar_state *s)
{
    size_t words = ((size_t)b->o->vocab->n_token + 63) / 64;
    uint64_t state[2], fast[2];
    grammar_digest(s, state);
    digest_of(b->bits, words, fast);
    struct slow_mask *seen = slow_mask_at(&b->slow, state);
    b->tally->row.verified++;
    if (seen->mask[1] && memcmp(seen->mask, fast, sizeof fast) == 0) return;

    uint64_t *slow = mem_new((words + 1) * sizeof *slow);
    grammar_mask_slow(s, -1, slow);
    if (!seen->mask[1]) {
        b->tally->row.states++;
        b->slow.n++;
        memcpy(seen->state, state, sizeof state);
        digest_of(slow, words, seen->mask);
    }
    for (size_t w = 0; w < words; w++) {
        if (slow[w] == b->bits[w]) continue;
        int bit = __builtin_ctzll(slow[w] ^ b->bits[w]);
        b->tally->row.masks_wrong++;
        bench_report(b, "after %zu tokens: token %zu is in the %s mask only", grammar_length(s),
                     w * 64 + (size_t)bit, slow[w] >> bit & 1 ? "slow" : "fast");
        break;
    }
    free(slow);
}

bool bench_step(struct bench *b, grammar_state *s, int32_t token)
{
    uint64_t start = now_ns(b);
    grammar_mask(s, -1, b->bits);
    uint64_t filled = now_ns(b);
    if (b->o->verify && rng_below(&b->random, b->o->verify) == 0) {
        verify_mask(b, s);
        uint64_t spent = now_ns(b) - filled;
        start += spent;
        filled += spent;
    }
    bool ok = (b->bits[token / 64] >> (token % 64) & 1) && grammar_accept(s, token);
    uint64_t fill = filled - start, commit = now_ns(b) - filled;
    if (b->first_fill_ns) fill = b->first_fill_ns;
    b->first_fill_ns = 0;
    samples_add(&b->tally->fill, fill);
    samples_add(&b->tally->commit, commit);
    samples_add(&b->tally->step, fill + commit);
    if (fill + commit > b->worst_ns) b->worst_ns = fill + commit;
    b->step_ns = fill + commit;
    return ok;
}

// ---- one instance ----

// Is the text so far a JSON value that satisfies the schema? 1, 0; -1: the validator refuses.
static int is_valid_text(const struct bench *b, const char *text, size_t n)
{
    err e = {0};
    json_error_t je;
    json_t *v = json_read(text, n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &je);
    if (!v) return 0;
    int rc = schema_validate(b->schema, v, &e);
    json_decref(v);
    return rc == 0 ? 1 : e.code == ERR_INPUT ? -1 : 0;
}

// Strict: the end must be allowed after n bytes exactly where they are a whole valid value. Cheap
// in the common case: a text that the grammar will not let end is a value only where it is a bare
// number.
static void check_end(struct bench *b, const struct instance *in, const grammar_state *s, size_t n)
{
    const char *text = buf_text(&in->text);
    bool may_end = grammar_may_end(s);
    bool bare_number = n > 0 && strchr("-0123456789", text[0]) && strchr("0123456789", text[n - 1]);
    if (!may_end && !bare_number) return;
    int valid = is_valid_text(b, text, n);
    if (valid < 0 || (valid == 1) == may_end) return;
    b->tally->row.end_wrong++;
    bench_report(b, "%s: the end is %s behind byte %zu of %.300s", in->valid ? "valid" : "invalid",
                 may_end ? "allowed" : "not allowed", n, text);
}

// Returns the number of tokens accepted, *end_allowed whether the text may end behind them.
static size_t replay(struct bench *b, const grammar *g, const struct instance *in,
                     bool *end_allowed)
{
    grammar_state *s = grammar_start(g);
    size_t i = 0, bytes = 0, k;
    for (; i < in->tokens.n; i++) {
        if (b->o->mode == MASK_STRICT) check_end(b, in, s, bytes);
        bool ok = bench_step(b, s, in->tokens.ids[i]);
        keep_worst(b, &b->slow_steps, (double)b->step_ns / 1e3,
                   "mask and accept at byte %zu: %.40s", bytes, buf_text(&in->text) + bytes);
        if (!ok) break;
        tokenizer_bytes(b->o->tokenizer, in->tokens.ids[i], &k);
        bytes += k;
    }
    *end_allowed = grammar_may_end(s);
    grammar_state_free(s);
    return i;
}

static void judge(struct bench *b, const grammar *g, size_t number, const struct instance *in)
{
    bool end_allowed, accepted;
    size_t n = replay(b, g, in, &end_allowed), at = 0, k;
    struct mask_row *row = &b->tally->row;
    accepted = n == in->tokens.n && (b->o->mode == MASK_PY || end_allowed);
    row->valid += in->valid;
    row->invalid += !in->valid;
    row->valid_rejected += in->valid && !accepted;
    row->invalid_accepted += !in->valid && accepted;
    if (accepted == in->valid) return;
    for (size_t i = 0; i < n; i++) {
        tokenizer_bytes(b->o->tokenizer, in->tokens.ids[i], &k);
        at += k;
    }
    if (in->valid)
        bench_report(
            b, "test %zu: valid, rejected at token %zu, byte %zu: %.60s -->%.60s <-- in %.300s",
            number, n, at, at > 60 ? in->text.p + at - 60 : "", buf_text(&in->text) + at,
            buf_text(&in->text));
    else
        bench_report(b, "test %zu: invalid, accepted: %.500s", number, buf_text(&in->text));
}

static void take_recorded(struct bench *b, struct instance *in, const json_t *ids)
{
    size_t i, k;
    json_t *id;
    json_array_foreach(ids, i, id)
    {
        int32_t t = (int32_t)json_integer_value(id);
        token_buf_push(&in->tokens, t);
        const char *bytes = tokenizer_bytes(b->o->tokenizer, t, &k);
        buf_put(&in->text, bytes, k);
    }
}

// One instance in one spelling; `recorded`: its ids, or NULL.
static void run_instance(struct bench *b, const grammar *g, size_t number, const json_t *test,
                         bool spaced, const json_t *recorded)
{
    struct instance in = {.data = json_object_get(test, "data"),
                          .valid = json_is_true(json_object_get(test, "valid")),
                          .spaced = spaced,
                          .text = buf_new(TEXT_BYTES_MAX)};
    const json_t *ids = json_object_get(recorded, spaced ? "py" : "compact");
    if (ids) {
        take_recorded(b, &in, ids);
    } else {
        json_write(&in.text, in.data, spaced);
        tokenizer_encode(b->o->tokenizer, buf_text(&in.text), in.text.n, &in.tokens);
    }
    judge(b, g, number, &in);
    token_buf_free(&in.tokens);
    buf_free(&in.text);
}

// ---- one schema ----

// All instances in one spelling. False: the schema is refused.
static bool run_spelling(struct bench *b, const json_t *tests, const json_t *recorded, bool spaced)
{
    err e = {0};
    size_t i;
    json_t *test;
    grammar *g = bench_compile(b, spaced ? SPACING_PYTHON : SPACING_COMPACT, &e);
    if (!g) {
        b->tally->row.compile_errors++;
        bench_report(b, "compile error: %s", e.msg);
        return false;
    }
    json_array_foreach(tests, i, test)
    {
        run_instance(b, g, i, test, spaced, json_array_get(recorded, i));
    }
    samples_add(&b->tally->bytes, grammar_bytes(g));
    keep_worst(b, &b->large, (double)grammar_bytes(g) / 1e6, "a grammar after its tests");
    grammar_free(g);
    return true;
}

static struct mask_tally *tally_of(struct bench *b, const char *origin)
{
    for (size_t i = 0; i < b->n_tally; i++)
        if (strncmp(b->tallies[i].row.origin, origin, sizeof b->tallies[i].row.origin - 1) == 0)
            return &b->tallies[i];
    if (b->n_tally == MASK_ORIGINS_MAX) return &b->tallies[MASK_ORIGINS_MAX - 1];
    struct mask_tally *t = &b->tallies[b->n_tally++];
    snprintf(t->row.origin, sizeof t->row.origin, "%s", origin);
    return t;
}

// `recorded`: the array of ids for each test, or NULL.
static void run_schema(struct bench *b, const json_t *line, const json_t *recorded)
{
    const json_t *tests = json_object_get(line, "tests");
    struct mask_row *row = &b->tally->row;
    b->schema = json_object_get(line, "schema");
    b->failed = false;
    b->worst_ns = b->first_fill_ns = 0;
    bool attacked = b->o->mode == MASK_ADVERSARIAL;
    bool compiled = attacked ? mask_adversarial(b, tests) : run_spelling(b, tests, recorded, true);
    if (compiled && b->o->mode == MASK_STRICT) run_spelling(b, tests, recorded, false);
    if (b->worst_ns) {
        keep_slowest(&b->tally->slowest_ns, row->slowest, b->worst_ns, b->id);
        samples_add(&b->tally->worst, b->worst_ns);
    }
    row->passed += compiled && !b->failed;
    row->without_tests += compiled && !b->failed && json_array_size(tests) == 0;
}

// ---- the files ----

// Finds the recorded ids of b->id, which come in the order of the schemas; some may be left out.
static json_t *find_recorded(const struct bench *b, lines *tokens, size_t n_test, err *e)
{
    const char *text;
    size_t n;
    int rc;
    while ((rc = lines_next(tokens, &text, &n, e)) > 0) {
        json_error_t je;
        json_t *line = json_loadb(text, n, 0, &je), *all = NULL;
        const char *id = json_string_value(json_object_get(line, "id"));
        if (!line || !id) {
            err_set(e, ERR_INPUT, "%s:%zu: expected {id, t}: %s", b->o->tokens,
                    lines_number(tokens), line ? "no id" : je.text);
            json_decref(line);
            return NULL;
        }
        if (strcmp(id, b->id) == 0) all = json_incref(json_object_get(line, "t"));
        json_decref(line);
        if (!all) continue;
        if (json_array_size(all) == n_test) return all;
        err_set(e, ERR_INPUT, "%s:%zu: expected the ids of %zu tests of %s, found %zu",
                b->o->tokens, lines_number(tokens), n_test, b->id, json_array_size(all));
        json_decref(all);
        return NULL;
    }
    if (rc == 0)
        err_set(e, ERR_INPUT, "%s: expected the ids of %s behind those of the schemas before it",
                b->o->tokens, b->id);
    return NULL;
}

static int check_ids(const struct bench *b, const json_t *ids, err *e)
{
    size_t i;
    json_t *id;
    json_array_foreach(ids, i, id)
    {
        json_int_t t = json_integer_value(id);
        if (!json_is_integer(id) || t < 0 || t >= b->o->vocab->n_token)
            return err_set(e, ERR_INPUT, "%s: %s: expected ids from 0 to %d, found %lld",
                           b->o->tokens, b->id, b->o->vocab->n_token - 1, (long long)t);
    }
    return 0;
}

static int check_recorded(const struct bench *b, const json_t *recorded, err *e)
{
    size_t i;
    json_t *test;
    json_array_foreach(recorded, i, test)
    {
        const json_t *py = json_object_get(test, "py"), *compact = json_object_get(test, "compact");
        if (!json_is_array(py) || !json_is_array(compact))
            return err_set(e, ERR_INPUT, "%s: %s: expected {py, compact}, two lists of ids",
                           b->o->tokens, b->id);
        if (check_ids(b, py, e) || check_ids(b, compact, e)) return -1;
    }
    return 0;
}

static int run_line(struct bench *b, const json_t *line, lines *tokens, err *e)
{
    const char *id = json_string_value(json_object_get(line, "id")),
               *origin = json_string_value(json_object_get(line, "origin"));
    b->id = id ? id : "?";
    b->tally = tally_of(b, origin ? origin : "?");
    b->tally->row.schemas++;
    json_t *recorded = NULL;
    if (tokens) {
        recorded = find_recorded(b, tokens, json_array_size(json_object_get(line, "tests")), e);
        if (!recorded || check_recorded(b, recorded, e)) {
            json_decref(recorded);
            return -1;
        }
    }
    run_schema(b, line, recorded);
    json_decref(recorded);
    return 0;
}

static int run_file(struct bench *b, lines *data, lines *tokens, err *e)
{
    const char *text;
    size_t n, done = 0;
    int rc;
    while ((rc = lines_next(data, &text, &n, e)) > 0) {
        json_error_t je;
        if (b->o->cancel && *b->o->cancel) return err_set(e, ERR_CANCELLED, "cancelled");
        if (n == 0) continue;
        if (b->o->max_schemas && done++ == b->o->max_schemas) return 0;
        json_t *line = json_read(text, n, JSON_ALLOW_NUL, &je);
        if (!line && (json_error_code(&je) == json_error_numeric_overflow ||
                      json_error_code(&je) == json_error_null_byte_in_key)) {
            tally_of(b, "?")->row.unreadable++;
            continue;
        }
        if (!json_is_object(line) || !json_object_get(line, "schema"))
            rc = err_set(e, ERR_INPUT, "%s:%zu: expected {schema, tests}: %s", b->o->path,
                         lines_number(data), line ? "no schema" : je.text);
        else
            rc = run_line(b, line, tokens, e);
        json_decref(line);
        if (rc) return -1;
    }
    return rc;
}

// ---- the sums ----

static void add_row(struct mask_row *to, const struct mask_row *from)
{
    to->schemas += from->schemas;
    to->passed += from->passed;
    to->compile_errors += from->compile_errors;
    to->unreadable += from->unreadable;
    to->without_tests += from->without_tests;
    to->valid += from->valid;
    to->valid_rejected += from->valid_rejected;
    to->invalid += from->invalid;
    to->invalid_accepted += from->invalid_accepted;
    to->end_wrong += from->end_wrong;
    to->verified += from->verified;
    to->states += from->states;
    to->masks_wrong += from->masks_wrong;
    to->checks += from->checks;
    to->check_failures += from->check_failures;
}

static void add_tally(struct mask_tally *to, const struct mask_tally *from)
{
    add_row(&to->row, &from->row);
    samples_add_all(&to->step, &from->step);
    samples_add_all(&to->fill, &from->fill);
    samples_add_all(&to->commit, &from->commit);
    samples_add_all(&to->worst, &from->worst);
    samples_add_all(&to->compile, &from->compile);
    samples_add_all(&to->compile_only, &from->compile_only);
    samples_add_all(&to->bytes, &from->bytes);
}

static void finish_row(struct mask_tally *t)
{
    struct mask_row *row = &t->row;
    row->masks = t->step.n;
    row->step_us = samples_spread(&t->step, 1e3);
    row->fill_us = samples_spread(&t->fill, 1e3);
    row->commit_us = samples_spread(&t->commit, 1e3);
    row->worst_us = samples_spread(&t->worst, 1e3);
    row->compile_ms = samples_spread(&t->compile, 1e6);
    row->compile_only_ms = samples_spread(&t->compile_only, 1e6);
    row->grammar_bytes = samples_spread(&t->bytes, 1);
}

static void free_tally(struct mask_tally *t)
{
    samples_free(&t->step);
    samples_free(&t->fill);
    samples_free(&t->commit);
    samples_free(&t->worst);
    samples_free(&t->compile);
    samples_free(&t->compile_only);
    samples_free(&t->bytes);
}

static void summarise(struct bench *b, struct mask_bench_result *out)
{
    struct mask_tally all = {.row = {.origin = "all"}};
    *out = (struct mask_bench_result){.n_origin = b->n_tally};
    for (size_t i = 0; i < b->n_tally; i++) {
        add_tally(&all, &b->tallies[i]);
        finish_row(&b->tallies[i]);
        out->origins[i] = b->tallies[i].row;
    }
    finish_row(&all);
    out->all = all.row;
    for (size_t i = 0; i < b->n_tally; i++) { // who was slowest is known by origin
        const struct mask_row *r = &out->origins[i];
        if (r->worst_us.max >= out->all.worst_us.max)
            memcpy(out->all.slowest, r->slowest, sizeof r->slowest);
        if (r->compile_ms.max >= out->all.compile_ms.max)
            memcpy(out->all.slowest_to_compile, r->slowest_to_compile,
                   sizeof r->slowest_to_compile);
        free_tally(&b->tallies[i]);
    }
    free_tally(&all);
}

int mask_bench(const struct mask_bench_options *o, struct mask_bench_result *out, err *e)
{
    lines *data = lines_open(o->path, e), *tokens = NULL;
    if (!data) return -1;
    if (o->tokens && !(tokens = lines_open(o->tokens, e))) {
        lines_close(data);
        return -1;
    }
    struct bench *b = mem_new(sizeof *b);
    b->o = o;
    b->random = rng_seed(o->seed);
    b->bits = mem_new(((size_t)o->vocab->n_token / 64 + 1) * sizeof *b->bits);
    int rc = run_file(b, data, tokens, e);
    report_worst(b, &b->slow_steps, "us");
    report_worst(b, &b->slow_compiles, "ms");
    report_worst(b, &b->large, "MB");
    summarise(b, out);
    mask_adversarial_free(b);
    free(b->bits);
    free(b->slow.v);
    free(b);
    lines_close(tokens);
    lines_close(data);
    return rc;
}
