// What the fuzz drivers of grammars share: a small vocabulary, and states that are moved, copied
// and taken back as bytes say, while fast masks are held against slow ones.
#pragma once
#include "base/buf.h"
#include "base/mem.h"
#include "base/rng.h"
#include "engine/grammar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const walk_tokens[] = {
    "ab",           "ba",    "abc",   "12",           "((",  "))",    "){",       "\"a",
    "\":",          "{\"",   "\"}",   "}}",           "[[",  "],",    ", ",       "<f",
    "<f=",          "=a>",   "</f",   "/f>",          "f>x", "xx",    "\n\n",     "- ",
    "+(",           "true",  "nul",   "null",         "\\n", "\\u00", "\xe6\xbc", "\xbc\xa2",
    "\xe6\xbc\xa2", "a\xc3", "\xa9z", "\xf0\x9f\x98", "--",  "?*",    "z\"",      "0."};
enum {
    WALK_FIXED = sizeof walk_tokens / sizeof *walk_tokens,
    WALK_END = 256 + WALK_FIXED,
    WALK_SPECIAL,
    WALK_OPEN,
    WALK_CLOSE,
    WALK_TOKENS,
    WALK_WORDS = (WALK_TOKENS + 63) / 64
};

static const grammar_vocab *walk_vocabulary(void)
{
    static char letters[256];
    static const char *bytes[WALK_TOKENS];
    static uint32_t len[WALK_TOKENS];
    static uint8_t kind[WALK_TOKENS];
    static grammar_vocab v = {
        .n_token = WALK_TOKENS, .bytes = bytes, .len = len, .kind = kind, .end = WALK_END};
    static const char *const named[] = {"<end>", "<|x|>", "<t>", "</t>"};
    err e;
    if (v.prepared) return &v;
    for (int i = 0; i < WALK_TOKENS; i++) {
        if (i < 256) letters[i] = (char)i;
        bytes[i] = i < 256        ? &letters[i]
                   : i < WALK_END ? walk_tokens[i - 256]
                                  : named[i - WALK_END];
        len[i] = i < 256 ? 1 : (uint32_t)strlen(bytes[i]);
        kind[i] = i < WALK_END ? VOCAB_TEXT : i < WALK_OPEN ? VOCAB_SPECIAL : VOCAB_ADDED;
    }
    if (grammar_vocab_prepare(&v, &e)) abort();
    return &v;
}

static void walk_check(bool holds, const char *what)
{
    if (holds) return;
    fprintf(stderr, "%s\n", what);
    abort();
}

static int walk_masks(const grammar_state *s, int budget, bool compare, uint64_t *fast)
{
    uint64_t slow[WALK_WORDS];
    int n = grammar_mask(s, budget, fast);
    if (!compare) return n;
    int m = grammar_mask_slow(s, budget, slow);
    for (int t = 0; t < WALK_TOKENS; t++)
        if ((fast[t / 64] ^ slow[t / 64]) >> (t % 64) & 1) {
            fprintf(stderr, "budget %d, token %d: %s\n", budget, t,
                    slow[t / 64] >> (t % 64) & 1 ? "in the slow mask only"
                                                 : "in the fast mask only");
            abort();
        }
    walk_check(n == m, "counts of fast and slow masks differ");
    return n;
}

static int32_t walk_pick(rng *r, const uint64_t *mask)
{
    uint64_t seen = 0;
    int32_t t = -1;
    for (int32_t k = 0; k < WALK_TOKENS; k++)
        if (mask[k / 64] >> (k % 64) & 1)
            for (int w = k < WALK_END ? 1 : 12; w > 0; w--)
                if (rng_below(r, ++seen) == 0) t = k;
    return t;
}

// From the start to the end within a budget.
static void walk_to_end(const grammar *g, rng *r)
{
    uint64_t mask[WALK_WORDS];
    grammar_state *s = grammar_start(g);
    int budget = grammar_shortest_finish(s);
    if (budget < 200) {
        budget += (int)rng_below(r, 30);
        for (int32_t t = -1; t != WALK_END; budget--) {
            walk_check(walk_masks(s, budget, budget % 3 == 0, mask) > 0, "dead end");
            t = walk_pick(r, mask);
            walk_check(grammar_accept(s, t), "masked in, but not accepted");
        }
        walk_check(budget >= 0, "beyond the budget");
    }
    grammar_state_free(s);
}

enum { WALK_STATES = 4, WALK_LENGTH = 60 };
struct walk_state {
    grammar_state *s;
    int32_t token[WALK_LENGTH];
    size_t n;
};

static void walk_replay(const grammar *g, const struct walk_state *x)
{
    uint64_t mask[WALK_WORDS], again[WALK_WORDS];
    grammar_state *fresh = grammar_start(g);
    for (size_t i = 0; i < x->n; i++)
        walk_check(grammar_accept(fresh, x->token[i]), "refused when replayed");
    walk_masks(x->s, -1, true, mask);
    walk_masks(fresh, -1, false, again);
    walk_check(memcmp(mask, again, sizeof mask) == 0, "another mask when replayed");
    walk_check(grammar_shortest_finish(fresh) == grammar_shortest_finish(x->s), "another finish");
    walk_check(grammar_length(x->s) == x->n, "another length");
    grammar_state_free(fresh);
}

// One byte, one move.
static void walk_move(const grammar *g, struct walk_state *all, uint8_t op, rng *r)
{
    struct walk_state *x = &all[op & 3], *y = &all[op >> 2 & 3];
    uint64_t mask[WALK_WORDS];
    size_t back = rng_below(r, x->n + 1);
    switch (op >> 5) {
    case 0:
        if (x == y) return;
        grammar_state_free(y->s);
        *y = *x;
        y->s = grammar_copy(x->s);
        return;
    case 1:
        grammar_rollback(x->s, back);
        x->n -= back;
        return;
    case 2: walk_replay(g, x); return;
    default:
        if (x->n == WALK_LENGTH || walk_masks(x->s, -1, op % 3 == 0, mask) == 0) return;
        x->token[x->n] = walk_pick(r, mask);
        walk_check(grammar_accept(x->s, x->token[x->n]), "masked in, but not accepted");
        x->n++;
    }
}

static void walk_moves(const grammar *g, const uint8_t *op, size_t n, rng *r)
{
    struct walk_state *all = mem_new(WALK_STATES * sizeof *all);
    for (int i = 0; i < WALK_STATES; i++) all[i].s = grammar_start(g);
    for (size_t i = 0; i < n; i++) walk_move(g, all, op[i], r);
    for (int i = 0; i < WALK_STATES; i++) {
        walk_replay(g, &all[i]);
        grammar_state_free(all[i].s);
    }
    free(all);
}

// Moves drawn from the seed.
static inline void walk_anyhow(const grammar *g, uint64_t seed)
{
    uint8_t op[40];
    rng r = rng_seed(seed);
    for (size_t i = 0; i < sizeof op; i++) op[i] = (uint8_t)rng_below(&r, 256);
    walk_to_end(g, &r);
    walk_moves(g, op, sizeof op, &r);
}

static uint64_t walk_seed(const uint8_t *data, size_t n)
{
    uint64_t seed = n;
    for (size_t i = 0; i < n; i++) seed = seed * 31 + data[i];
    return seed;
}
