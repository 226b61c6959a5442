// hearth bench mask: time and truth of constrained decoding over a file of schemas, for people as a
// table by origin, as JSON with every figure.
#include "app.h"
#include "base/mem.h"
#include "engine/mask_bench.h"
#include "screen.h"
#include "verbs.h"
#include "vocabulary.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const struct option_row options[] = {
    {"data", OPTION_TEXT, "FILE",
     "lines of {id, origin, schema, tests: [{valid, data}]} (maskbench's format; .jsonl, .xz)",
     NULL},
    {"tokens", OPTION_TEXT, "FILE",
     "recorded token ids of the same tests, lines of {id, t: [{py, compact}]}", NULL},
    {"vocab", OPTION_TEXT, "FILE", "a tokenizer.json (without it: the built-in model's)", NULL},
    {"mode", OPTION_TEXT, "NAME",
     "py: as maskbench; strict: both spellings, and where the text may end; adversarial: other "
     "spellings, orders and tokens at random, damage, and a look around on the way",
     "py"},
    {"max", OPTION_INT, "N", "only the first N schemas; 0: all", "0"},
    {"seed", OPTION_INT, "N", "of the adversarial mode", "1"},
    {"places", OPTION_INT, "N", "adversarial: looks around (slowly) in one text of N", "1"},
    {"verify", OPTION_INT, "N",
     "compare the mask of one step in N with a walk of every token alone, made once for each "
     "state; 1: of every step, 0: of none",
     "0"},
    {"processor-time", OPTION_FLAG, NULL,
     "count processor time, not time on the wall: for a machine that is shared", NULL},
    {"worst", OPTION_INT, "N",
     "name the N slowest steps, slowest compiles and largest grammars (on stderr)", "0"},
    {"failures", OPTION_FLAG, NULL,
     "name each schema refused and each instance judged wrongly (on stderr)", NULL},
    {0},
};

static void report_failure(void *context, const char *id, const char *what)
{
    (void)context;
    fprintf(stderr, "%s: ", id);
    screen_text(stderr, what, strlen(what));
    fputc('\n', stderr);
}

// ---- the answer ----

static void put_spread(json_t *o, const struct spread *s, const char *prefix, const char *unit)
{
    const struct {
        const char *name;
        double value;
    } rows[] = {{"avg", s->avg}, {"p50", s->p50},   {"p90", s->p90},
                {"p99", s->p99}, {"p999", s->p999}, {"max", s->max}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char key[80];
        snprintf(key, sizeof key, "%s%s%s", prefix, rows[i].name, unit);
        json_object_set_new(o, key, json_real(rows[i].value));
    }
}

static json_t *row_json(const struct mask_row *r)
{
    json_t *o = json_object();
    const struct {
        const char *key;
        size_t value;
    } counts[] = {{"schemas", r->schemas},
                  {"passed", r->passed},
                  {"compile_errors", r->compile_errors},
                  {"unreadable", r->unreadable},
                  {"without_tests", r->without_tests},
                  {"valid", r->valid},
                  {"valid_rejected", r->valid_rejected},
                  {"invalid", r->invalid},
                  {"invalid_accepted", r->invalid_accepted},
                  {"end_wrong", r->end_wrong},
                  {"verified", r->verified},
                  {"verified_states", r->states},
                  {"masks_wrong", r->masks_wrong},
                  {"checks", r->checks},
                  {"check_failures", r->check_failures},
                  {"masks", r->masks}};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        json_object_set_new(o, counts[i].key, json_integer((json_int_t)counts[i].value));
    put_spread(o, &r->step_us, "", "_us");
    put_spread(o, &r->fill_us, "fill_", "_us");
    put_spread(o, &r->commit_us, "commit_", "_us");
    put_spread(o, &r->worst_us, "schema_max_", "_us");
    put_spread(o, &r->compile_ms, "compile_", "_ms");
    put_spread(o, &r->compile_only_ms, "compile_only_", "_ms");
    put_spread(o, &r->grammar_bytes, "grammar_bytes_", "");
    json_object_set_new(o, "slowest", json_string(r->slowest));
    json_object_set_new(o, "slowest_to_compile", json_string(r->slowest_to_compile));
    return o;
}

static int print_json(const struct mask_bench_result *r, const struct vocabulary *v)
{
    json_t *o = row_json(&r->all), *rows = json_array();
    for (size_t i = 0; i < r->n_origin; i++) {
        json_t *row = row_json(&r->origins[i]);
        json_object_set_new(row, "origin", json_string(r->origins[i].origin));
        json_array_append_new(rows, row);
    }
    json_object_set_new(o, "vocabulary_bytes", json_integer((json_int_t)v->bytes));
    json_object_set_new(o, "vocabulary_ms", json_real(v->ms));
    json_object_set_new(o, "origins", rows);
    json_dumpf(o, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(o);
    return 0;
}

static void print_row(const struct mask_row *r)
{
    printf("%-20.20s %7zu %7zu %7zu %8zu %8zu %8.1f %7.1f %7.1f %8.1f %9.1f\n", r->origin,
           r->schemas, r->passed, r->compile_errors, r->valid_rejected, r->invalid_accepted,
           r->step_us.avg, r->step_us.p50, r->step_us.p90, r->step_us.p99, r->step_us.max);
}

static void print_times(const char *name, const struct spread *s, const char *unit)
{
    printf("  %-26s avg %.3f, p50 %.3f, p90 %.3f, p99 %.3f, p99.9 %.3f, max %.3f %s\n", name,
           s->avg, s->p50, s->p90, s->p99, s->p999, s->max, unit);
}

static int print_table(const struct mask_bench_result *r, const struct vocabulary *v)
{
    const struct mask_row *all = &r->all;
    printf("%-20s %7s %7s %7s %8s %8s %8s %7s %7s %8s %9s\n", "origin", "schemas", "passed",
           "refused", "rejected", "accepted", "avg us", "p50", "p90", "p99", "max");
    for (size_t i = 0; i < r->n_origin; i++) print_row(&r->origins[i]);
    print_row(all);
    printf("rejected: of %zu valid texts; accepted: of %zu invalid ones", all->valid, all->invalid);
    if (all->unreadable) printf("; %zu schemas cannot be read", all->unreadable);
    if (all->end_wrong) printf("; %zu ends judged wrongly", all->end_wrong);
    if (all->verified)
        printf("; %zu of %zu masks not as the slow walk's", all->masks_wrong, all->verified);
    if (all->checks) printf("; %zu of %zu checks failed", all->check_failures, all->checks);
    printf("\n  %zu masks, slowest %s; slowest to compile %s\n", all->masks, all->slowest,
           all->slowest_to_compile);
    print_times("mask + accept", &all->step_us, "us");
    print_times("mask", &all->fill_us, "us");
    print_times("accept", &all->commit_us, "us");
    print_times("slowest step of a schema", &all->worst_us, "us");
    print_times("compile with first mask", &all->compile_ms, "ms");
    print_times("compile", &all->compile_only_ms, "ms");
    print_times("bytes of a grammar", &all->grammar_bytes, "");
    printf("  vocabulary: %.1f MB of tables, made in %.1f ms\n", (double)v->bytes / 1e6, v->ms);
    return 0;
}

// ---- the run ----

static int read_options(struct command *c, struct mask_bench_options *o, err *e)
{
    static const char *const modes[] = {"py", "strict", "adversarial"};
    const char *mode = cli_text(c, "mode");
    size_t m = 0;
    while (m < 3 && strcmp(mode, modes[m]) != 0) m++;
    if (m == 3)
        return err_set(e, ERR_USAGE, "--mode: expected py, strict or adversarial, found `%s`",
                       mode);
    if (cli_int(c, "max") < 0)
        return err_set(e, ERR_USAGE, "--max: expected 0 or more, found %lld", cli_int(c, "max"));
    if (cli_int(c, "worst") < 0)
        return err_set(e, ERR_USAGE, "--worst: expected 0 or more, found %lld",
                       cli_int(c, "worst"));
    if (cli_int(c, "verify") < 0)
        return err_set(e, ERR_USAGE, "--verify: expected 0 or more, found %lld",
                       cli_int(c, "verify"));
    if (cli_int(c, "places") < 1)
        return err_set(e, ERR_USAGE, "--places: expected 1 or more, found %lld",
                       cli_int(c, "places"));
    bool report = cli_flag(c, "failures") || cli_int(c, "worst");
    *o = (struct mask_bench_options){.path = cli_text(c, "data"),
                                     .tokens = cli_text(c, "tokens"),
                                     .mode = (enum mask_mode)m,
                                     .seed = (uint64_t)cli_int(c, "seed"),
                                     .max_schemas = (size_t)cli_int(c, "max"),
                                     .report = report ? report_failure : NULL,
                                     .processor_time = cli_flag(c, "processor-time"),
                                     .verify = (uint64_t)cli_int(c, "verify"),
                                     .places = (uint64_t)cli_int(c, "places"),
                                     .n_worst = (size_t)cli_int(c, "worst"),
                                     .cancel = &app_cancel};
    if (!o->path)
        return err_set(e, ERR_USAGE,
                       "--data: expected a file of schemas and instances, one JSON object a line");
    const char *vocab = cli_text(c, "vocab");
    if (vocab && strcmp(vocab, "bytes") == 0)
        return err_set(e, ERR_USAGE, "--vocab: expected a tokenizer.json, found `bytes`");
    if (o->tokens && o->mode == MASK_ADVERSARIAL)
        return err_set(e, ERR_USAGE, "--tokens: the adversarial mode makes its own tokens");
    o->spacing_given = cli_text(c, "spacing") != NULL;
    if (o->mode == MASK_ADVERSARIAL && !o->spacing_given) o->grammar.spacing = SPACING_FLEXIBLE;
    // The instances were not written for this decoder: their keys come in any order.
    o->grammar.order = ORDER_ANY;
    return grammar_options_read(c, &o->grammar, e);
}

static int bench_mask(struct command *c, err *e)
{
    struct mask_bench_options o;
    struct vocabulary v = {0};
    if (read_options(c, &o, e)) return -1;
    struct mask_bench_result *r = mem_new(sizeof *r);
    int rc = vocabulary_open(&v, cli_text(c, "vocab"), e);
    if (rc == 0) {
        o.tokenizer = v.t;
        o.vocab = &v.v;
        rc = mask_bench(&o, r, e);
    }
    if (rc == 0) rc = c->json ? print_json(r, &v) : print_table(r, &v);
    vocabulary_close(&v);
    free(r);
    return rc;
}

const struct verb verb_bench_mask = {
    .name = "bench mask",
    .arguments = "",
    .help = "time and truth of constrained decoding over a file of schemas",
    .more = "Unless said otherwise keys come in any order, and white space is that of the text "
            "at hand (py, strict)\nor flexible (adversarial).",
    .options = options,
    .shared = grammar_option_rows,
    .run = bench_mask,
};
