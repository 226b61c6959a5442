// What all grammars over one vocabulary share: the text tokens as a trie, so that a mask is one
// walk that leaves a branch at the first byte that cannot be; and masks that are known beforehand.
// Nearly every token is string-safe: whole characters, no quote, backslash or control character.
// Inside a string such a token is allowed exactly when its characters fit the maximum length, so
// these are kept as one mask for each number of characters, and only the few others are walked.
// In a string without a maximum, and in a key that may be any, all that a token without a quote
// does is known too; then only those with a quote are walked, for what comes after the string's
// end.
#include "base/mem.h"
#include "engine/grammar_private.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES ((size_t)64 << 10) // scratch memory of a walk

struct chunk {
    struct chunk *next;
    size_t cap;
    _Alignas(16) char bytes[];
};

void *chunk_alloc(struct chunks *p, size_t n)
{
    n = (n + 15) & ~(size_t)15;
    while (p->current && p->current->cap - p->used < n && p->current->next) {
        p->current = p->current->next;
        p->used = 0;
    }
    if (!p->current || p->current->cap - p->used < n) {
        size_t least = p->least ? p->least : CHUNK_BYTES, cap = n > least ? n : least;
        struct chunk *c = mem_grow(NULL, sizeof *c + cap);
        *c = (struct chunk){.next = NULL, .cap = cap};
        if (p->current)
            p->current->next = c;
        else
            p->first = c;
        p->current = c;
        p->used = 0;
    }
    void *out = p->current->bytes + p->used;
    p->used += n;
    memset(out, 0, n);
    return out;
}

struct chunk_mark chunk_mark(const struct chunks *p)
{
    return (struct chunk_mark){p->current, p->used};
}

void chunk_rewind(struct chunks *p, struct chunk_mark m)
{
    p->current = m.chunk ? m.chunk : p->first;
    p->used = m.chunk ? m.used : 0;
}

void chunk_free(struct chunks *p)
{
    for (struct chunk *c = p->first, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    *p = (struct chunks){.least = p->least};
}

size_t chunk_bytes(const struct chunks *p)
{
    size_t n = 0;
    for (const struct chunk *c = p->first; c; c = c->next) n += c->cap;
    return n;
}

// ---- the trie ----

struct entry {
    const char *p;
    uint32_t n;
    int32_t token;
};

static int compare_entry(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    size_t n = x->n < y->n ? x->n : y->n;
    int o = memcmp(x->p, y->p, n);
    if (o == 0) o = (x->n > y->n) - (x->n < y->n);
    return o ? o : (x->token > y->token) - (x->token < y->token);
}

static uint32_t common(const struct entry *a, const struct entry *b)
{
    uint32_t n = 0;
    while (n < a->n && n < b->n && a->p[n] == b->p[n]) n++;
    return n;
}

// The entries are sorted, so each adds the nodes after what it shares with the one before.
static void trie_build(struct trie *t, struct entry *v, uint32_t n)
{
    size_t total = 0;
    if (n) qsort(v, n, sizeof *v, compare_entry);
    for (uint32_t i = 0; i < n; i++) {
        total += v[i].n - (i ? common(&v[i - 1], &v[i]) : 0);
        if (v[i].n > t->depth) t->depth = v[i].n;
    }
    t->node = mem_new((total + 1) * sizeof *t->node);
    t->token = mem_new((n + 1) * sizeof *t->token);
    uint32_t *open = mem_new((t->depth + 1) * sizeof *open); // node at each depth of the last entry
    uint32_t depth = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t shared = i ? common(&v[i - 1], &v[i]) : 0;
        for (; depth > shared; depth--) t->node[open[depth]].skip = t->n;
        for (; depth < v[i].n; t->n++) {
            open[++depth] = t->n;
            t->node[t->n] =
                (struct trie_node){.byte = (uint8_t)v[i].p[depth - 1], .depth = depth, .token = i};
        }
        t->token[i] = v[i].token;
        t->node[open[depth]].n_token++;
    }
    for (; depth > 0; depth--) t->node[open[depth]].skip = t->n;
    free(open);
}

static void trie_release(struct trie *t)
{
    free(t->node);
    free(t->token);
    *t = (struct trie){0};
}

// ---- classes of tokens ----

// Code points of a token that may stand anywhere within a JSON string; 0 when it may not.
static uint32_t safe_points(const char *p, uint32_t n)
{
    uint32_t points = 0;
    int sub = STR_PLAIN;
    for (uint32_t i = 0; i < n; i++) {
        uint8_t c = (uint8_t)p[i];
        if (sub == STR_PLAIN && (c < 0x20 || c == '"' || c == '\\')) return 0;
        sub = utf8_step((uint8_t)sub, c);
        if (sub < 0) return 0;
        points += sub == STR_PLAIN;
    }
    return sub == STR_PLAIN && points <= SAFE_POINTS ? points : 0;
}

static bool begins_text(const char *p, uint32_t n)
{
    int sub = STR_PLAIN;
    for (uint32_t i = 0; i < n && sub >= 0; i++) sub = utf8_step((uint8_t)sub, (uint8_t)p[i]);
    return sub >= 0 && n > 0;
}

static void set_token(uint64_t *bits, int32_t token)
{
    bits[token / 64] |= 1ull << (token % 64);
}

static int check(const grammar_vocab *v, err *e)
{
    bool single[256] = {0};
    if (v->n_token <= 0 || v->end < 0 || v->end >= v->n_token)
        return err_set(e, ERR_INPUT, "vocabulary: end token %d is not one of %d tokens", v->end,
                       v->n_token);
    for (int t = 0; t < v->n_token; t++)
        if (v->kind[t] == VOCAB_TEXT && v->len[t] == 1) single[(uint8_t)v->bytes[t][0]] = true;
    for (int c = 0; c < 256; c++) {
        bool needed = c == '\n' || (c >= 0x20 && c < 0x7f) || (c >= 0x80 && c < 0xc0) ||
                      (c >= 0xc2 && c < 0xf5);
        if (needed && !single[c])
            return err_set(e, ERR_INPUT, "vocabulary: no token for the byte 0x%02x alone", c);
    }
    return 0;
}

static int longest_first(const void *a, const void *b, void *vocab)
{
    const grammar_vocab *v = vocab;
    uint32_t x = v->len[*(const int32_t *)a], y = v->len[*(const int32_t *)b];
    return x < y ? 1 : x > y ? -1 : 0;
}

static void classify(const grammar_vocab *v, struct vocab_tables *t)
{
    struct entry *all = mem_new(((size_t)v->n_token + 1) * sizeof *all);
    struct entry *unsafe = mem_new(((size_t)v->n_token + 1) * sizeof *unsafe);
    struct entry *quoted = mem_new(((size_t)v->n_token + 1) * sizeof *quoted);
    uint32_t n_all = 0, n_unsafe = 0, n_quoted = 0;
    for (int32_t i = 0; i < v->n_token; i++) {
        if (v->kind[i] == VOCAB_ADDED) t->added[t->n_added++] = i;
        if (v->kind[i] != VOCAB_TEXT || v->len[i] == 0) continue;
        struct entry entry = {v->bytes[i], v->len[i], i};
        all[n_all++] = entry;
        uint32_t points = safe_points(v->bytes[i], v->len[i]);
        if (points == 0) unsafe[n_unsafe++] = entry;
        for (uint32_t k = points; points && k <= SAFE_POINTS; k++) set_token(t->safe[k - 1], i);
        if (memchr(v->bytes[i], '"', v->len[i]))
            quoted[n_quoted++] = entry;
        else if (string_goes_on(v->bytes[i], v->len[i]))
            set_token(t->open, i);
        if (begins_text(v->bytes[i], v->len[i])) set_token(t->text, i);
    }
    qsort_r(t->added, (size_t)t->n_added, sizeof *t->added, longest_first, (void *)v);
    trie_build(&t->all, all, n_all);
    trie_build(&t->unsafe, unsafe, n_unsafe);
    trie_build(&t->quoted, quoted, n_quoted);
    free(all);
    free(unsafe);
    free(quoted);
}

int grammar_vocab_prepare(grammar_vocab *v, err *e)
{
    if (v->prepared) return 0;
    if (check(v, e) < 0) return -1;
    struct vocab_tables *t = mem_new(sizeof *t);
    t->words = (v->n_token + 63) / 64;
    for (int i = 0; i < SAFE_POINTS; i++) t->safe[i] = mem_new((size_t)t->words * sizeof(uint64_t));
    t->open = mem_new((size_t)t->words * sizeof(uint64_t));
    t->text = mem_new((size_t)t->words * sizeof(uint64_t));
    t->added = mem_new(((size_t)v->n_token + 1) * sizeof *t->added);
    classify(v, t);
    v->prepared = t;
    return 0;
}

void grammar_vocab_release(grammar_vocab *v)
{
    struct vocab_tables *t = v->prepared;
    if (!t) return;
    trie_release(&t->all);
    trie_release(&t->unsafe);
    trie_release(&t->quoted);
    for (int i = 0; i < SAFE_POINTS; i++) free(t->safe[i]);
    free(t->open);
    free(t->text);
    free(t->added);
    free(t);
    v->prepared = NULL;
}
