// What all grammars over one vocabulary share: the text tokens as a trie, so that a mask is one
// walk that leaves a branch at the first byte that cannot be; and masks that are known beforehand.
// Nearly every token is string-safe: whole characters, no quote, backslash or control character.
// Inside a string of free content such a token is allowed exactly when its characters fit the
// maximum length, so these are kept as one mask for each number of characters. Of the tokens that
// end a string only what comes after the quote matters, and there are few such suffixes: each is
// tried once for all tokens that share it.
#include "base/mem.h"
#include "base/utf8.h"
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

static bool is_unsafe(uint8_t c)
{
    return c < 0x20 || c == '"' || c == '\\';
}

int utf8_step(uint8_t sub, uint8_t c)
{
    switch (sub) {
    case STR_PLAIN:
        if (c < 0x80) return STR_PLAIN;
        if (c >= 0xc2 && c <= 0xdf) return STR_U1;
        if (c == 0xe0) return STR_E0;
        if (c == 0xed) return STR_ED;
        if (c >= 0xe1 && c <= 0xef) return STR_U2;
        if (c == 0xf0) return STR_F0;
        if (c >= 0xf1 && c <= 0xf3) return STR_U3;
        return c == 0xf4 ? STR_F4 : -1;
    case STR_U1: return (c & 0xc0) == 0x80 ? STR_PLAIN : -1;
    case STR_U2: return (c & 0xc0) == 0x80 ? STR_U1 : -1;
    case STR_U3: return (c & 0xc0) == 0x80 ? STR_U2 : -1;
    case STR_E0: return c >= 0xa0 && c <= 0xbf ? STR_U1 : -1;
    case STR_ED: return c >= 0x80 && c <= 0x9f ? STR_U1 : -1;
    case STR_F0: return c >= 0x90 && c <= 0xbf ? STR_U2 : -1;
    case STR_F4: return c >= 0x80 && c <= 0x8f ? STR_U2 : -1;
    default: return -1;
    }
}

// Is p[0..n) the beginning of UTF-8 text, from between two characters?
static bool goes_on(const char *p, uint32_t n)
{
    int sub = STR_PLAIN;
    for (uint32_t i = 0; i < n && sub >= 0; i++) sub = utf8_step((uint8_t)sub, (uint8_t)p[i]);
    return sub >= 0;
}

static uint8_t safe_from(const char *p, uint32_t n)
{
    uint32_t from = n;
    while (from > 0 && !is_unsafe((uint8_t)p[from - 1])) from--;
    while (from < n && !goes_on(p + from, n - from)) from++;
    return from < 255 ? (uint8_t)from : 255;
}

// kind[i]: of the character that is complete after p[0 .. i], or KIND_MIDDLE. False: no UTF-8.
static bool kinds_of(const char *p, uint32_t n, uint8_t *kind)
{
    bool fine = goes_on(p, n);
    for (uint32_t i = 0, c, len; i < n; i += len) {
        len = (uint32_t)utf8_decode(p + i, n - i, &c);
        if (len == 0) { // begun, or none
            memset(kind + i, KIND_MIDDLE, n - i);
            break;
        }
        memset(kind + i, KIND_MIDDLE, len);
        kind[i + len - 1] = (uint8_t)lex_kind(c);
    }
    return fine;
}

// What a token adds to the nodes above its end.
static struct kinds kinds_at_end(const uint8_t *kind, uint32_t n, bool fine)
{
    struct kinds k = {{0}};
    if (!fine) kinds_add(&k, KIND_OTHER);
    if (n && kind[n - 1] == KIND_MIDDLE) {
        kinds_add(&k, KIND_BEYOND);
        kinds_add(&k, KIND_WHITE);
    }
    return k;
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
    t->n_token = n;
    t->node = mem_new((total + 1) * sizeof *t->node);
    t->token = mem_new((n + 1) * sizeof *t->token);
    t->safe_from = mem_new(n + 1);
    uint32_t *open = mem_new((t->depth + 1) * sizeof *open); // node at each depth of the last entry
    uint8_t *kind = mem_new(t->depth + 1);
    uint32_t depth = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t shared = i ? common(&v[i - 1], &v[i]) : 0;
        bool fine = kinds_of(v[i].p, v[i].n, kind);
        for (; depth > shared; depth--) t->node[open[depth]].skip = t->n;
        for (; depth < v[i].n; t->n++) {
            open[++depth] = t->n;
            t->node[t->n] = (struct trie_node){.byte = (uint8_t)v[i].p[depth - 1],
                                               .depth = (uint16_t)depth,
                                               .token = i,
                                               .kind = kind[depth - 1]};
        }
        t->token[i] = v[i].token;
        t->safe_from[i] = safe_from(v[i].p, v[i].n);
        if (depth) t->node[open[depth]].n_token++;
        struct kinds below = kinds_at_end(kind, depth, fine);
        for (uint32_t d = depth; d > 0; d--) {
            struct trie_node *at = &t->node[open[d]];
            if (at->safe_from < t->safe_from[i]) at->safe_from = t->safe_from[i];
            uint32_t deep = min_of(depth - d, 255);
            if (at->deepest < deep) at->deepest = (uint8_t)deep;
            if (d < depth || !fine) {
                at->below.w[0] |= below.w[0];
                at->below.w[1] |= below.w[1];
            }
            if (kind[d - 1] != KIND_MIDDLE) kinds_add(&below, kind[d - 1]);
        }
    }
    for (; depth > 0; depth--) t->node[open[depth]].skip = t->n;
    t->node[t->n].token = n; // the end of the last subtree's tokens
    for (uint32_t b = 0, i = 0; b <= 256; b++) {
        while (i < t->n && t->node[i].byte < b) i = t->node[i].skip;
        t->first[b] = i;
    }
    free(open);
    free(kind);
}

static void trie_release(struct trie *t)
{
    free(t->node);
    free(t->token);
    free(t->safe_from);
    *t = (struct trie){0};
}

static size_t trie_bytes(const struct trie *t)
{
    return t->n * sizeof *t->node + t->n_token * (sizeof *t->token + 1);
}

// ---- classes of tokens ----

// Code points of a token that may stand anywhere within a JSON string; 0 when it may not.
static uint32_t safe_points(const char *p, uint32_t n)
{
    uint32_t points = 0;
    int sub = STR_PLAIN;
    for (uint32_t i = 0; i < n; i++) {
        if (sub == STR_PLAIN && is_unsafe((uint8_t)p[i])) return 0;
        sub = utf8_step((uint8_t)sub, (uint8_t)p[i]);
        if (sub < 0) return 0;
        points += sub == STR_PLAIN;
    }
    return sub == STR_PLAIN ? points : 0;
}

static uint32_t begun_points(const char *p, uint32_t n)
{
    uint32_t points = 0;
    for (uint32_t i = 0; i < n; i++) points += ((uint8_t)p[i] & 0xc0) != 0x80;
    return points;
}

static void set_token(uint64_t *bits, int *n, int32_t token)
{
    bits[token / 64] |= 1ull << (token % 64);
    ++*n;
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

struct quoted {
    int32_t token;
    uint32_t quote; // where it stands
    uint32_t points;
};

static uint32_t skip_of(const char *p, uint32_t n, uint32_t i, const char *set)
{
    while (i < n && p[i] && strchr(set, p[i])) i++;
    return i;
}

// Once a comma stands, is there at most the beginning of another value?
static bool is_simple(const char *p, uint32_t n)
{
    const char *comma = memchr(p, ',', n);
    if (!comma) return true;
    uint32_t i = skip_of(p, n, (uint32_t)(comma - p) + 1, " \t\r\n");
    if (i < n && strchr("\"[{", p[i])) i++;
    return i == n;
}

// Groups the tokens that end a string by what they have after the quote.
static void group_quotes(const grammar_vocab *v, struct string_tables *t, const struct quoted *q,
                         uint32_t n)
{
    struct entry *e = mem_new(((size_t)n + 1) * sizeof *e), *distinct;
    uint32_t n_group = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t from = q[i].quote + 1;
        e[i] = (struct entry){v->bytes[q[i].token] + from, v->len[q[i].token] - from, (int32_t)i};
    }
    if (n) qsort(e, n, sizeof *e, compare_entry);
    distinct = mem_new(((size_t)n + 1) * sizeof *distinct);
    t->group = mem_new(((size_t)n + 2) * sizeof *t->group);
    t->quote = mem_new(((size_t)n + 1) * sizeof *t->quote);
    t->simple = mem_new(((size_t)n + 1) * sizeof *t->simple);
    t->of_key = mem_new(((size_t)n + 1) * sizeof *t->of_key);
    t->n_quote = n;
    for (uint32_t i = 0; i < n; i++) {
        bool same = i && e[i].n == e[i - 1].n && memcmp(e[i].p, e[i - 1].p, e[i].n) == 0;
        if (!same) {
            distinct[n_group] = (struct entry){e[i].p, e[i].n, (int32_t)n_group};
            t->simple[n_group] = is_simple(e[i].p, e[i].n);
            t->of_key[n_group] = e[i].n && strchr(": \t\r\n", e[i].p[0]) && e[i].p[0];
            t->group[n_group++] = i;
        }
        const struct quoted *x = &q[e[i].token];
        t->quote[i] = (struct quote_token){x->token, n_group - 1, x->points,
                                           memchr(v->bytes[x->token], '\\', x->quote) != NULL};
    }
    t->group[n_group] = n;
    trie_build(&t->suffixes, distinct, n_group);
    free(distinct);
    free(e);
}

// Each token is read as the content of a string from between two characters.
static void classify_strings(const grammar_vocab *v, struct vocab_tables *all,
                             enum lex_escapes escapes)
{
    struct string_tables *t = &all->string[escapes];
    struct quoted *q = mem_new(((size_t)v->n_token + 1) * sizeof *q);
    lex *x = lex_new(escapes);
    uint32_t n = 0;
    t->open = mem_new((size_t)all->words * sizeof(uint64_t));
    t->closed = mem_new((size_t)all->words * sizeof(uint64_t));
    for (int32_t i = 0; i < v->n_token; i++) {
        if (v->kind[i] != VOCAB_TEXT || v->len[i] == 0) continue;
        lex_state s = lex_start(x, LEX_ANY_STRING);
        uint32_t at = 0, points = 0;
        for (; at < v->len[i]; at++) {
            uint8_t c = (uint8_t)v->bytes[i][at];
            lex_state next = lex_step(x, s, c);
            if (next == LEX_DEAD && (c != '"' || !lex_accepts(x, s))) break;
            if (next == LEX_DEAD) {
                q[n++] = (struct quoted){i, at, points};
                if (at + 1 == v->len[i]) set_token(t->closed, &t->n_closed, i);
                break;
            }
            s = next;
            points += lex_between(x, s);
        }
        if (at < v->len[i]) continue;
        set_token(t->open, &t->n_open, i);
        set_token(t->closed, &t->n_closed, i);
    }
    lex_free(x);
    group_quotes(v, t, q, n);
    free(q);
    uint16_t *group = mem_new((size_t)v->n_token * sizeof *group);
    memset(group, 0xff, (size_t)v->n_token * sizeof *group);
    for (uint32_t i = 0; i < t->n_quote; i++)
        if (t->quote[i].suffix < NONE_GROUP)
            group[t->quote[i].token] = (uint16_t)t->quote[i].suffix;
    t->group_of = group;
}

int count_bits(const uint64_t *bits, int words)
{
    uint64_t n = 0;
    for (int w = 0; w < words; w++) {
        uint64_t x = bits[w]; // without the popcnt instruction the builtin is a call
        x -= x >> 1 & 0x5555555555555555u;
        x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
        n += ((x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu) * 0x0101010101010101u >> 56;
    }
    return (int)n;
}

static void take_off(uint64_t *bits, const uint64_t *less, int words)
{
    for (int w = 0; w < words && less; w++) bits[w] &= ~less[w];
}

// Kinds that mostly stand together, so that their masks are taken off as one.
static const struct kind_block {
    uint8_t lo, hi;
} blocks[KIND_BLOCKS] = {{'a', 'f'}, {'g', 'z'}, {'A', 'F'}, {'G', 'Z'}, {'0', '9'},
                         {'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}};

static bool any_of(const struct kinds *k, struct kind_block b)
{
    for (uint32_t c = b.lo; c <= b.hi; c++)
        if (kinds_has(k, c)) return true;
    return false;
}

static void keep_kinds(const struct vocab_tables *t, uint64_t *const *row, uint64_t *const *block,
                       const struct kinds *k, uint64_t *bits)
{
    struct kinds known = *k; // of whole blocks it has been seen to
    for (int i = 0; i < KIND_BLOCKS; i++) {
        if (any_of(k, blocks[i])) continue;
        take_off(bits, block[i], t->words);
        for (uint32_t c = blocks[i].lo; c <= blocks[i].hi; c++) kinds_add(&known, c);
    }
    for (uint32_t c = 0; c < KINDS; c++)
        if (!kinds_has(&known, c)) take_off(bits, row[c], t->words);
}

// From all that is valid text, tokens with any other kind are taken off.
void vocab_kinds_fill(const grammar_vocab *v, struct kinds first, struct kinds kinds,
                      uint64_t *bits)
{
    const struct vocab_tables *t = v->prepared;
    memcpy(bits, t->text, (size_t)t->words * sizeof *bits);
    keep_kinds(t, t->first, t->first_block, &first, bits);
    keep_kinds(t, t->later, t->later_block, &kinds, bits);
}

const struct kind_mask *vocab_kinds(const grammar_vocab *v, struct kinds first, struct kinds kinds)
{
    struct vocab_tables *t = v->prepared;
    const struct kind_mask *found = NULL;
    pthread_mutex_lock(&t->lock);
    for (uint32_t i = 0; i < t->n_kinds && !found; i++)
        if (memcmp(&t->kinds[i].kinds, &kinds, sizeof kinds) == 0 &&
            memcmp(&t->kinds[i].first, &first, sizeof first) == 0)
            found = &t->kinds[i];
    if (!found && t->n_kinds < KINDS_MAX) {
        struct kind_mask *m = &t->kinds[t->n_kinds++];
        m->first = first;
        m->kinds = kinds;
        m->bits = mem_new((size_t)t->words * sizeof *m->bits);
        vocab_kinds_fill(v, first, kinds, m->bits);
        m->n = count_bits(m->bits, t->words);
        found = m;
    }
    pthread_mutex_unlock(&t->lock);
    return found;
}

static void add_kind(struct vocab_tables *t, uint64_t **row, uint32_t kind, int32_t token)
{
    if (!row[kind]) row[kind] = mem_new((size_t)t->words * sizeof *row[kind]);
    set_bit(row[kind], (uint32_t)token);
}

static void join_block(const struct vocab_tables *t, uint64_t *const *row, uint64_t **block)
{
    for (int i = 0; i < KIND_BLOCKS; i++) {
        block[i] = mem_new((size_t)t->words * sizeof **block);
        for (uint32_t c = blocks[i].lo; c <= blocks[i].hi; c++)
            for (int w = 0; w < t->words && row[c]; w++) block[i][w] |= row[c][w];
    }
}

static void classify_kinds(const grammar_vocab *v, struct vocab_tables *t, int32_t token)
{
    uint8_t room[256], *kind = v->len[token] <= 256 ? room : mem_new(v->len[token]);
    uint32_t n = v->len[token];
    bool first = true;
    kinds_of(v->bytes[token], n, kind);
    for (uint32_t i = 0; i < n; i++) {
        if (kind[i] == KIND_MIDDLE && i + 1 < n) continue;
        uint64_t **row = first ? t->first : t->later;
        if (kind[i] == KIND_MIDDLE) add_kind(t, row, KIND_WHITE, token);
        add_kind(t, row, kind[i] == KIND_MIDDLE ? KIND_BEYOND : kind[i], token);
        first = false;
    }
    if (kind != room) free(kind);
}

// Tokens of many characters, and the mask of all others.
static void classify_long(const grammar_vocab *v, struct vocab_tables *t)
{
    struct entry *e = mem_new(((size_t)v->n_token + 1) * sizeof *e);
    uint32_t n = 0;
    t->few = mem_new((size_t)t->words * sizeof *t->few);
    for (int32_t i = 0; i < v->n_token; i++) {
        uint32_t points = begun_points(v->bytes[i], v->len[i]);
        if (v->kind[i] != VOCAB_SPECIAL && points > t->reach) t->reach = points;
        if (v->kind[i] == VOCAB_TEXT && points > FEW_POINTS)
            e[n++] = (struct entry){v->bytes[i], v->len[i], i};
        else
            t->few[i / 64] |= 1ull << (i % 64);
    }
    trie_build(&t->many, e, n);
    free(e);
}

static void classify(const grammar_vocab *v, struct vocab_tables *t)
{
    struct entry *all = mem_new(((size_t)v->n_token + 1) * sizeof *all);
    struct entry *escaped = mem_new(((size_t)v->n_token + 1) * sizeof *escaped);
    t->odd = mem_new(((size_t)v->n_token + 1) * sizeof *t->odd);
    uint32_t n_all = 0, n_escaped = 0;
    for (int32_t i = 0; i < v->n_token; i++) {
        if (v->kind[i] == VOCAB_ADDED) t->added[t->n_added++] = i;
        if (v->kind[i] != VOCAB_TEXT || v->len[i] == 0) continue;
        struct entry entry = {v->bytes[i], v->len[i], i};
        all[n_all++] = entry;
        uint32_t first = 0, points = safe_points(v->bytes[i], v->len[i]);
        while (first < v->len[i] && !is_unsafe((uint8_t)v->bytes[i][first])) first++;
        bool whole = first == 0 || safe_points(v->bytes[i], first) > 0;
        for (uint32_t k = points; points && k <= SAFE_POINTS; k++)
            set_token(t->safe[k - 1], &t->n_safe[k - 1], i);
        if (first == v->len[i] && goes_on(v->bytes[i], v->len[i])) {
            uint32_t all_points = begun_points(v->bytes[i], v->len[i]);
            if (all_points > t->points_max) t->points_max = all_points;
            if (points == 0 || points > SAFE_POINTS)
                t->odd[t->n_odd++] = (struct quote_token){.token = i, .points = all_points};
        }
        if (first < v->len[i] && whole && v->bytes[i][first] == '\\') escaped[n_escaped++] = entry;
        if (!goes_on(v->bytes[i], v->len[i])) continue;
        set_token(t->text, &t->n_text, i);
        classify_kinds(v, t, i);
    }
    join_block(t, t->first, t->first_block);
    join_block(t, t->later, t->later_block);
    qsort_r(t->added, (size_t)t->n_added, sizeof *t->added, longest_first, (void *)v);
    trie_build(&t->all, all, n_all);
    trie_build(&t->escaped, escaped, n_escaped);
    classify_strings(v, t, ESCAPES_ANY);
    classify_strings(v, t, ESCAPES_MINIMAL);
    t->odd = mem_grow(t->odd, (t->n_odd + 1) * sizeof *t->odd);
    t->added = mem_grow(t->added, ((size_t)t->n_added + 1) * sizeof *t->added);
    free(all);
    free(escaped);
}

int grammar_vocab_prepare(grammar_vocab *v, err *e)
{
    if (v->prepared) return 0;
    if (check(v, e) < 0) return -1;
    struct vocab_tables *t = mem_new(sizeof *t);
    t->words = (v->n_token + 63) / 64;
    t->kinds = mem_new(KINDS_MAX * sizeof *t->kinds);
    pthread_mutex_init(&t->lock, NULL);
    for (int i = 0; i < SAFE_POINTS; i++) t->safe[i] = mem_new((size_t)t->words * sizeof(uint64_t));
    t->text = mem_new((size_t)t->words * sizeof(uint64_t));
    t->added = mem_new(((size_t)v->n_token + 1) * sizeof *t->added);
    classify(v, t);
    classify_long(v, t);
    v->prepared = t;
    return 0;
}

size_t grammar_vocab_bytes(const grammar_vocab *v)
{
    const struct vocab_tables *t = v->prepared;
    size_t n =
        (SAFE_POINTS + 6 + 2 * KIND_BLOCKS + t->n_kinds) * (size_t)t->words * sizeof(uint64_t);
    for (int k = 0; k < KINDS; k++)
        n += (size_t)((t->first[k] != NULL) + (t->later[k] != NULL)) * (size_t)t->words * 8;
    n += 2 * (size_t)v->n_token * sizeof(uint16_t);
    for (int i = 0; i < 2; i++)
        n += trie_bytes(&t->string[i].suffixes) + t->string[i].n_quote * sizeof *t->string[i].quote;
    return sizeof *t + n + trie_bytes(&t->all) + trie_bytes(&t->escaped) + trie_bytes(&t->many) +
           (size_t)t->n_added * sizeof *t->added + t->n_odd * sizeof *t->odd;
}

void grammar_vocab_release(grammar_vocab *v)
{
    struct vocab_tables *t = v->prepared;
    if (!t) return;
    trie_release(&t->all);
    trie_release(&t->escaped);
    trie_release(&t->many);
    for (int i = 0; i < 2; i++) {
        trie_release(&t->string[i].suffixes);
        free(t->string[i].group);
        free(t->string[i].quote);
        free(t->string[i].simple);
        free(t->string[i].of_key);
        free(t->string[i].open);
        free(t->string[i].closed);
        free(t->string[i].group_of);
    }
    for (uint32_t i = 0; i < t->n_kinds; i++) free(t->kinds[i].bits);
    free(t->kinds);
    for (int i = 0; i < KIND_BLOCKS; i++) {
        free(t->first_block[i]);
        free(t->later_block[i]);
    }
    for (int k = 0; k < KINDS; k++) {
        free(t->first[k]);
        free(t->later[k]);
    }
    pthread_mutex_destroy(&t->lock);
    for (int i = 0; i < SAFE_POINTS; i++) free(t->safe[i]);
    free(t->odd);
    free(t->text);
    free(t->few);
    free(t->added);
    free(t);
    v->prepared = NULL;
}
