// libs: engine
// Any bytes as a JSON Schema: it compiles or is refused; what compiles is walked at random, with
// tokens taken back and states copied, then under a budget to a finished document: fast and slow
// masks agree, and the validator accepts it. The bytes also choose the options and the walk.
#include "base/buf.h"
#include "base/mem.h"
#include "base/rng.h"
#include "engine/grammar.h"
#include "engine/json_write.h"
#include "engine/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char *const more[] = {
    "\": ", "\", \"", "\"}", "},", "]]",  "{\"", "[{", "true",  "nul",  "12",       "-1", "0.",
    ".5",   "e5",     "\\u", "d8", "dc0", "ab",  "é",  "a\xc3", "\xa9", "\xf0\x9f", "{}", "[]"};
enum { N_MORE = sizeof more / sizeof more[0], N_TOKEN = 256 + N_MORE + 1 };

static grammar_vocab *vocabulary(void)
{
    static grammar_vocab v;
    static char byte[256];
    static const char *bytes[N_TOKEN];
    static uint32_t len[N_TOKEN];
    static uint8_t kind[N_TOKEN];
    err e;
    if (v.prepared) return &v;
    for (int i = 0; i < 256; i++) {
        byte[i] = (char)i;
        bytes[i] = &byte[i];
        len[i] = 1;
    }
    for (int i = 0; i < N_MORE; i++) {
        bytes[256 + i] = more[i];
        len[256 + i] = (uint32_t)strlen(more[i]);
    }
    bytes[N_TOKEN - 1] = "<end>";
    len[N_TOKEN - 1] = 5;
    kind[N_TOKEN - 1] = VOCAB_SPECIAL;
    v = (grammar_vocab){N_TOKEN, bytes, len, kind, N_TOKEN - 1, NULL};
    if (grammar_vocab_prepare(&v, &e) < 0) abort();
    return &v;
}

static void check(bool holds, const char *what, const buf *text)
{
    if (holds) return;
    fprintf(stderr, "%s after: %s\n", what, buf_text(text));
    abort();
}

enum { WORDS = (N_TOKEN + 63) / 64, SPECULATED = 12 };

struct walk {
    const grammar *g;
    grammar_state *s;
    rng r;
    buf text;
    uint64_t fast[WORDS], slow[WORDS];
};

static int masks(struct walk *w, int budget, bool compare)
{
    int n = grammar_mask(w->s, budget, w->fast);
    check(n > 0, "dead end", &w->text);
    if (!compare) return n;
    int m = grammar_mask_slow(w->s, budget, w->slow);
    for (int32_t t = 0; t < N_TOKEN; t++) {
        if ((w->fast[t / 64] ^ w->slow[t / 64]) >> (t % 64) & 1) {
            bool fast = w->fast[t / 64] >> (t % 64) & 1;
            fprintf(stderr, "budget %d, token %d in the %s mask only\n", budget, t,
                    fast ? "fast" : "slow");
            check(false, "slow mask differs", &w->text);
        }
    }
    check(n == m, "the count is not that of the slow mask", &w->text);
    return n;
}

static int32_t take_any(struct walk *w)
{
    uint64_t seen = 0;
    int32_t t = -1;
    for (int32_t k = 0; k < N_TOKEN; k++)
        if (w->fast[k / 64] >> (k % 64) & 1 && rng_below(&w->r, ++seen) == 0) t = k;
    check(grammar_accept(w->s, t), "masked in, but not accepted", &w->text);
    if (t != N_TOKEN - 1) buf_put(&w->text, vocabulary()->bytes[t], vocabulary()->len[t]);
    return t;
}

// Tokens that are taken back leave no trace.
static void speculate(struct walk *w)
{
    uint64_t before[WORDS], after[WORDS];
    size_t length = grammar_length(w->s), n_text = w->text.n;
    grammar_state *old = w->s;
    int finish = grammar_shortest_finish(old);
    grammar_mask(old, -1, before);
    if (rng_below(&w->r, 2)) w->s = grammar_copy(old);
    for (uint64_t k = rng_below(&w->r, SPECULATED); k > 0; k--) {
        masks(w, -1, k % 5 == 0);
        if (take_any(w) == N_TOKEN - 1) break;
    }
    grammar_rollback(w->s, grammar_length(w->s) - length);
    w->text.n = n_text;
    if (w->s != old) grammar_state_free(old); // either may outlive the other
    grammar_mask(w->s, -1, after);
    check(memcmp(before, after, sizeof before) == 0, "a trace of what was taken back", &w->text);
    check(finish == grammar_shortest_finish(w->s), "another finish after it", &w->text);
}

static void finish(struct walk *w, int budget)
{
    for (int32_t t = -1; t != N_TOKEN - 1; budget--) {
        masks(w, budget, budget % 4 == 0);
        t = take_any(w);
    }
    check(budget >= 0, "beyond the budget", &w->text);
}

static void check_document(struct walk *w, const json_t *schema)
{
    err e = {0};
    json_error_t je;
    json_t *doc = json_read(buf_text(&w->text), w->text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &je);
    // Jansson keeps no NUL in keys and no numbers beyond double; all else must parse.
    if (doc && schema_validate(schema, doc, &e) < 0 && e.code == ERR_FAILED)
        check(false, e.msg, &w->text);
    if (!doc && !strstr(buf_text(&w->text), "\\u0000")) check(false, "no JSON", &w->text);
    json_decref(doc);
}

static void walk(const grammar *g, const json_t *schema, uint64_t seed)
{
    struct walk w = {.g = g, .s = grammar_start(g), .r = rng_seed(seed), .text = buf_new(1 << 20)};
    if (grammar_shortest_finish(w.s) < 3000) {
        for (uint64_t k = rng_below(&w.r, 4); k > 0; k--) {
            speculate(&w);
            masks(&w, grammar_shortest_finish(w.s) + 20, true);
            if (take_any(&w) == N_TOKEN - 1) break;
        }
        if (grammar_shortest_finish(w.s))
            finish(&w, grammar_shortest_finish(w.s) + (int)rng_below(&w.r, 40));
        check_document(&w, schema);
    }
    buf_free(&w.text);
    grammar_state_free(w.s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    err e;
    uint64_t seed = n;
    if (n > 4000) return 0;
    for (size_t i = 0; i < n; i++) seed = seed * 31 + data[i];
    json_t *schema = json_loadb((const char *)data, n, JSON_DECODE_ANY, NULL);
    if (!schema) return 0;
    struct grammar_options o = {.spacing = (enum grammar_spacing)(seed % 3),
                                .order = (enum grammar_order)(seed / 3 % 3),
                                .escapes = (enum lex_escapes)(seed / 9 % 2),
                                .closed = seed / 18 % 4 == 0,
                                .space_max = 3};
    grammar *g = grammar_from_schema(vocabulary(), schema, &o, &e);
    if (g) {
        walk(g, schema, seed);
        grammar_free(g);
    }
    json_decref(schema);
    return 0;
}
