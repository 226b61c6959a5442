#include "engine/mask_bench.h"

#include "base/buf.h"
#include "base/mem.h"
#include "engine/grammar_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct times { // nanoseconds
    uint64_t *v;
    size_t n, cap;
};

struct bench {
    const struct mask_bench_options *o;
    struct mask_bench_result *out;
    struct times step, compile;
    uint64_t *bits, slowest_ns;
    const char *id;
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void add_time(struct times *t, uint64_t ns)
{
    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 4096;
        t->v = mem_grow(t->v, t->cap * sizeof *t->v);
    }
    t->v[t->n++] = ns;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double percentile(const struct times *t, double share)
{
    return t->n ? (double)t->v[(size_t)(share * (double)(t->n - 1))] : 0;
}

static void report(const struct bench *b, const char *what)
{
    if (b->o->report) b->o->report(b->o->context, b->id, what);
}

// As json.dumps(value, ensure_ascii=False) writes it.
static void write_python(buf *b, const json_t *v)
{
    const char *key;
    json_t *sub;
    size_t i;
    if (json_is_array(v)) {
        buf_byte(b, '[');
        json_array_foreach(v, i, sub)
        {
            if (i) buf_str(b, ", ");
            write_python(b, sub);
        }
        buf_byte(b, ']');
    } else if (json_is_object(v)) {
        bool first = true;
        buf_byte(b, '{');
        json_object_foreach((json_t *)v, key, sub)
        {
            if (!first) buf_str(b, ", ");
            first = false;
            json_quoted(b, key, strlen(key));
            buf_str(b, ": ");
            write_python(b, sub);
        }
        buf_byte(b, '}');
    } else {
        json_scalar_text(b, v);
    }
}

// Accepted to the end? The clock runs over mask and accept together, as maskbench's does.
static bool replay(struct bench *b, const grammar *g, const token_buf *tokens)
{
    grammar_state *s = grammar_start(g);
    bool ok = true;
    for (size_t i = 0; ok && i < tokens->n; i++) {
        uint64_t start = now_ns();
        int32_t t = tokens->ids[i];
        grammar_mask(s, -1, b->bits);
        ok = (b->bits[t / 64] >> (t % 64) & 1) && grammar_accept(s, t);
        uint64_t ns = now_ns() - start;
        if (ns > b->slowest_ns) {
            b->slowest_ns = ns;
            snprintf(b->out->slowest, sizeof b->out->slowest, "%s", b->id);
        }
        add_time(&b->step, ns);
    }
    ok = ok && grammar_may_end(s);
    grammar_state_free(s);
    return ok;
}

static void run_test(struct bench *b, const grammar *g, const json_t *test)
{
    bool valid = json_is_true(json_object_get(test, "valid"));
    buf text = buf_new((size_t)64 << 20);
    token_buf tokens = {0};
    write_python(&text, json_object_get(test, "data"));
    tokenizer_encode(b->o->tokenizer, buf_text(&text), text.n, &tokens);
    bool accepted = replay(b, g, &tokens);
    b->out->valid += valid;
    b->out->invalid += !valid;
    b->out->valid_rejected += valid && !accepted;
    b->out->invalid_accepted += !valid && accepted;
    if (valid != accepted) {
        char *what = mem_printf("%s: %.300s", valid ? "valid, rejected" : "invalid, accepted",
                                buf_text(&text));
        report(b, what);
        free(what);
    }
    token_buf_free(&tokens);
    buf_free(&text);
}

static void run_schema(struct bench *b, const json_t *line)
{
    err e;
    size_t i;
    json_t *test;
    b->id = json_string_value(json_object_get(line, "id"));
    if (!b->id) b->id = "?";
    b->out->schemas++;
    uint64_t start = now_ns();
    grammar *g =
        grammar_from_schema(b->o->vocab, json_object_get(line, "schema"), SPACING_PYTHON, &e);
    add_time(&b->compile, now_ns() - start);
    if (!g) {
        b->out->refused++;
        report(b, e.msg);
        return;
    }
    b->out->compiled++;
    json_array_foreach(json_object_get(line, "tests"), i, test) run_test(b, g, test);
    if (grammar_bytes(g) > b->out->grammar_bytes_max) b->out->grammar_bytes_max = grammar_bytes(g);
    grammar_free(g);
}

static void summarise(struct bench *b)
{
    struct mask_bench_result *out = b->out;
    double sum = 0;
    if (b->step.n) qsort(b->step.v, b->step.n, sizeof *b->step.v, by_size);
    if (b->compile.n) qsort(b->compile.v, b->compile.n, sizeof *b->compile.v, by_size);
    for (size_t i = 0; i < b->step.n; i++) sum += (double)b->step.v[i];
    out->masks = b->step.n;
    out->avg_us = b->step.n ? sum / (double)b->step.n / 1e3 : 0;
    out->p50_us = percentile(&b->step, 0.5) / 1e3;
    out->p90_us = percentile(&b->step, 0.9) / 1e3;
    out->p99_us = percentile(&b->step, 0.99) / 1e3;
    out->max_us = percentile(&b->step, 1) / 1e3;
    out->compile_p50_ms = percentile(&b->compile, 0.5) / 1e6;
    out->compile_p99_ms = percentile(&b->compile, 0.99) / 1e6;
    out->compile_max_ms = percentile(&b->compile, 1) / 1e6;
}

int mask_bench(const struct mask_bench_options *o, struct mask_bench_result *out, err *e)
{
    struct bench b = {.o = o, .out = out};
    *out = (struct mask_bench_result){0};
    FILE *f = fopen(o->path, "r");
    if (!f) return err_sys(e, errno, "%s", o->path);
    b.bits = mem_new(((size_t)o->vocab->n_token / 64 + 1) * sizeof *b.bits);
    char *line = NULL;
    size_t cap = 0, number = 0;
    int rc = 0;
    for (ssize_t n; rc == 0 && (n = getline(&line, &cap, f)) >= 0;) {
        json_error_t je;
        number++;
        if (n <= 1 || (o->max_schemas && out->schemas == o->max_schemas)) continue;
        json_t *j = json_loadb(line, (size_t)n, JSON_ALLOW_NUL, &je);
        if (!j && json_error_code(&je) == json_error_numeric_overflow) {
            out->unreadable++; // an integer beyond 64 bits
            continue;
        }
        if (!json_is_object(j) || !json_object_get(j, "schema"))
            rc = err_set(e, ERR_INPUT, "%s:%zu: expected {schema, tests}: %s", o->path, number,
                         j ? "no schema" : je.text);
        else
            run_schema(&b, j);
        json_decref(j);
    }
    summarise(&b);
    free(line);
    free(b.bits);
    free(b.step.v);
    free(b.compile.v);
    fclose(f);
    return rc;
}
