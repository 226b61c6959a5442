// libs: engine
// Any bytes as a JSON Schema: it compiles or is refused; what compiles is walked at random under a
// budget to a finished document, fast and slow masks agreeing, and the validator accepts it.
#include "engine/schema.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/rng.h"
#include "engine/grammar.h"

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

static void walk(const grammar *g, const json_t *schema, rng *r)
{
    uint64_t fast[N_TOKEN / 64 + 1], slow[N_TOKEN / 64 + 1];
    grammar_state *s = grammar_start(g);
    buf text = buf_new(1 << 20);
    int budget = grammar_shortest_finish(s);
    bool affordable = budget < 3000;
    budget += (int)rng_below(r, 40);
    for (int32_t t = -1; affordable && t != N_TOKEN - 1; budget--) {
        int n = grammar_mask(s, budget, fast);
        check(n > 0, "dead end", &text);
        if (budget % 4 == 0) {
            check(grammar_mask_slow(s, budget, slow) == n, "slow mask differs", &text);
            check(memcmp(fast, slow, (N_TOKEN + 63) / 64 * 8) == 0, "slow mask differs", &text);
        }
        uint64_t seen = 0;
        for (int32_t k = 0; k < N_TOKEN; k++)
            if (fast[k / 64] >> (k % 64) & 1 && rng_below(r, ++seen) == 0) t = k;
        check(grammar_accept(s, t), "masked in, but not accepted", &text);
        if (t != N_TOKEN - 1) buf_put(&text, vocabulary()->bytes[t], vocabulary()->len[t]);
    }
    if (affordable) {
        err e = {0};
        json_t *doc =
            json_loadb(buf_text(&text), text.n, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
        // Jansson keeps no NUL in keys and no numbers beyond double; all else must parse.
        if (doc && schema_validate(schema, doc, &e) < 0 && e.code == ERR_FAILED)
            check(false, e.msg, &text);
        if (!doc && !strstr(buf_text(&text), "\\u0000")) check(false, "no JSON", &text);
        json_decref(doc);
    }
    buf_free(&text);
    grammar_state_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    err e;
    uint64_t seed = n;
    if (n > 4000) return 0;
    for (size_t i = 0; i < n; i++) seed = seed * 31 + data[i];
    rng r = rng_seed(seed);
    json_t *schema = json_loadb((const char *)data, n, JSON_DECODE_ANY, NULL);
    if (!schema) return 0;
    grammar *g =
        grammar_from_schema(vocabulary(), schema, &(struct grammar_options){.spacing = (enum grammar_spacing)(seed % 3), .order = (enum grammar_order)(seed / 3 % 3), .escapes = (enum lex_escapes)(seed / 9 % 2), .space_max = 3}, &e);
    if (g) {
        walk(g, schema, &r);
        grammar_free(g);
    }
    json_decref(schema);
    return 0;
}
