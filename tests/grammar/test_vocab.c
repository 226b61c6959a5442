#include "test_vocab.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static const char *const fixed[] = {
    "\":",      "\": ",   "\", \"", "\"}",      "\"]",        "},",     "}, {",    "]]",
    "[[",       "{\"",    "{\"a",   "[{\"",     "]}",         "}}",     ", ",      ",\"",
    ": ",       "true",   "tru",    "ue",       "null",       "nul",    "false",   "fal",
    "12",       "-1",     "10",     "00",       "0.",         ".5",     "1.",      "5,",
    "7]",       "3}",     "1, ",    "e5",       "E-",         "e+",     "\\u",     "\\\"",
    "\\n",      "\\\\",   "u00",    "d8",       "\\ud8",      "dc0",    "ab",      "abc",
    "a\"",      "b\", ",  "\"a\"",  "\"a\":",   "é",          "a\xc3",  "\xa9q",   "漢",
    "\xe6\xbc", "\xa2\"", "😀",      "\xf0\x9f", "\x98\x80",   "\x80\"", "  ",      "\n",
    "\n</",     "tool",   "_call",  "<tool",    "{}",         "[]",     "\"\"",    "\"b",
    "name",     "\": \"", "}\n",    "hello",    "name\": \"", "x",      "\xff\xfe"};

static void add(grammar_vocab *v, const char *p, size_t n, uint8_t kind)
{
    v->bytes = mem_grow(v->bytes, (size_t)(v->n_token + 1) * sizeof *v->bytes);
    v->len = mem_grow((void *)v->len, (size_t)(v->n_token + 1) * sizeof *v->len);
    v->kind = mem_grow((void *)v->kind, (size_t)(v->n_token + 1));
    v->bytes[v->n_token] = mem_strn(p, n);
    ((uint32_t *)v->len)[v->n_token] = (uint32_t)n;
    ((uint8_t *)v->kind)[v->n_token] = kind;
    v->n_token++;
}

// Pieces in a row.
static void add_random(grammar_vocab *v, rng *r, const char *const *piece, size_t n_piece,
                       size_t parts)
{
    char text[256];
    size_t n = 0;
    for (size_t i = 0; i < parts; i++) {
        const char *p = piece[rng_below(r, n_piece)];
        if (n + strlen(p) > sizeof text) break;
        memcpy(text + n, p, strlen(p));
        n += strlen(p);
    }
    add(v, text, n, VOCAB_TEXT);
}

static grammar_vocab *bytes_new(void)
{
    grammar_vocab *v = mem_new(sizeof *v);
    for (int c = 0; c < 256; c++) add(v, (const char[]){(char)c}, 1, VOCAB_TEXT);
    return v;
}

static grammar_vocab *with_special(grammar_vocab *v)
{
    err e;
    add(v, "", 0, VOCAB_TEXT);
    add(v, "<|start|>", 9, VOCAB_SPECIAL);
    add(v, "<|end|>", 7, VOCAB_SPECIAL);
    v->end = v->n_token - 1;
    add(v, "<tool_call>", 11, VOCAB_ADDED);
    add(v, "</tool_call>", 12, VOCAB_ADDED);
    add(v, "<think>", 7, VOCAB_ADDED);
    add(v, "</think>", 8, VOCAB_ADDED);
    if (grammar_vocab_prepare(v, &e) < 0) abort();
    return v;
}

grammar_vocab *test_vocab_new(rng *r, int n_random)
{
    grammar_vocab *v = bytes_new();
    size_t n_fixed = sizeof fixed / sizeof fixed[0];
    for (size_t i = 0; i < n_fixed; i++) add(v, fixed[i], strlen(fixed[i]), VOCAB_TEXT);
    for (int i = 0; i < n_random; i++) add_random(v, r, fixed, n_fixed, 2 + rng_below(r, 2));
    return with_special(v);
}

grammar_vocab *test_vocab_of(rng *r, const char *const *piece, size_t n_piece, int n_random)
{
    grammar_vocab *v = bytes_new();
    for (int i = 0; i < n_random; i++) add_random(v, r, piece, n_piece, 1 + rng_below(r, 3));
    return with_special(v);
}

void test_vocab_free(grammar_vocab *v)
{
    grammar_vocab_release(v);
    for (int i = 0; i < v->n_token; i++) free((char *)v->bytes[i]);
    free(v->bytes);
    free((void *)v->len);
    free((void *)v->kind);
    free(v);
}

int32_t test_vocab_find(const grammar_vocab *v, const char *text, uint8_t kind)
{
    for (int32_t i = 0; i < v->n_token; i++)
        if (v->kind[i] == kind && v->len[i] == strlen(text) &&
            memcmp(v->bytes[i], text, v->len[i]) == 0)
            return i;
    return -1;
}

bool test_vocab_feed(const grammar_vocab *v, grammar_state *s, rng *r, const char *text, size_t n)
{
    for (size_t at = 0; at < n;) {
        int32_t chosen = -1;
        uint64_t fits = 0;
        for (int32_t t = 0; t < v->n_token; t++) {
            if (v->kind[t] != VOCAB_TEXT || v->len[t] == 0 || v->len[t] > n - at) continue;
            if (memcmp(v->bytes[t], text + at, v->len[t]) == 0 && rng_below(r, ++fits) == 0)
                chosen = t;
        }
        if (chosen < 0 || !grammar_accept(s, chosen)) return false;
        at += v->len[chosen];
    }
    return true;
}
