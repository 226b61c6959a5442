// Sets of code points as sorted spans, and sets of words in byte order. Both are interned: equal
// sets have equal ids.
#include "engine/lex_private.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

// ---- interning ----

uint32_t hash_words(const uint32_t *p, size_t n, uint32_t seed)
{
    uint64_t h = seed ^ 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < n; i++) {
        h = (h ^ p[i]) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    return (uint32_t)h;
}

uint32_t ids_find(const struct ids *t, uint32_t hash, same_fn *same, const lex *x, const void *key)
{
    if (t->cap == 0) return 0;
    for (uint32_t i = hash & (t->cap - 1); t->slot[i].id; i = (i + 1) & (t->cap - 1))
        if (t->slot[i].hash == hash && same(x, t->slot[i].id, key)) return t->slot[i].id;
    return 0;
}

static void ids_put(struct ids *t, struct ids_slot s)
{
    uint32_t i = s.hash & (t->cap - 1);
    while (t->slot[i].id) i = (i + 1) & (t->cap - 1);
    t->slot[i] = s;
}

void ids_add(struct ids *t, uint32_t hash, uint32_t id)
{
    if (2 * (t->n + 1) > t->cap) {
        struct ids old = *t;
        t->cap = old.cap ? 2 * old.cap : 16;
        t->slot = mem_new(t->cap * sizeof *t->slot);
        for (uint32_t i = 0; i < old.cap; i++)
            if (old.slot[i].id) ids_put(t, old.slot[i]);
        free(old.slot);
    }
    ids_put(t, (struct ids_slot){hash, id});
    t->n++;
}

void *array_room(void *p, uint32_t n, uint32_t *cap, size_t size)
{
    if (n < *cap) return p;
    uint32_t before = *cap;
    *cap = before ? 2 * before : 8;
    p = mem_grow(p, *cap * size);
    memset((char *)p + before * size, 0, (*cap - before) * size);
    return p;
}

// ---- code points ----

static uint32_t cost_of(uint32_t c)
{
    if (c < 0x20) return c == '\b' || c == '\f' || c == '\n' || c == '\r' || c == '\t' ? 2 : 6;
    if (c == '"' || c == '\\') return 2;
    return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
}

uint32_t span_cost(const lex *x, uint32_t lo, uint32_t hi)
{
    if (x->escapes == ESCAPES_NONE) return lo < 0x80 ? 1 : cost_of(lo);
    // The cost is constant between these.
    static const uint32_t edge[] = {0x08, 0x0b, 0x0c, 0x0e, 0x20,  0x22,
                                    0x23, 0x5c, 0x5d, 0x80, 0x800, 0x10000};
    uint32_t least = cost_of(lo);
    for (size_t i = 0; i < sizeof edge / sizeof *edge; i++)
        if (edge[i] > lo && edge[i] <= hi && cost_of(edge[i]) < least) least = cost_of(edge[i]);
    return least;
}

uint32_t span_size(uint32_t lo, uint32_t hi)
{
    uint32_t from = lo > 0xd800 ? lo : 0xd800, to = hi < 0xdfff ? hi : 0xdfff;
    return hi - lo + 1 - (from <= to ? to - from + 1 : 0);
}

struct set_key {
    const struct span *span;
    uint32_t n;
};

static bool same_set(const lex *x, uint32_t id, const void *key)
{
    const struct set_key *k = key;
    return x->set[id].n == k->n && memcmp(x->set[id].span, k->span, k->n * sizeof *k->span) == 0;
}

static uint32_t set_intern(lex *x, const struct span *s, uint32_t n)
{
    if (n == 0) return 0;
    struct set_key key = {s, n};
    uint32_t hash = hash_words((const uint32_t *)s, (size_t)n * 2, n);
    uint32_t id = ids_find(&x->sets, hash, same_set, x, &key);
    if (id) return id;
    if (x->n_set == 0) x->n_set = 1; // 0 is the empty set
    id = x->n_set;
    x->set = array_room(x->set, id, &x->cap_set, sizeof *x->set);
    struct span *copy = arena_alloc(x->mem, n * sizeof *copy);
    memcpy(copy, s, n * sizeof *copy);
    x->set[id] = (struct set){.n = n, .span = copy, .cost = FAR};
    for (uint32_t i = 0; i < n; i++) {
        uint32_t cost = span_cost(x, s[i].lo, s[i].hi);
        if (cost < x->set[id].cost) x->set[id].cost = cost;
    }
    x->n_set++;
    ids_add(&x->sets, hash, id);
    return id;
}

static int by_lo(const void *a, const void *b)
{
    const struct span *p = a, *q = b;
    return (p->lo > q->lo) - (p->lo < q->lo);
}

// Sorts and joins s[0..n) in place; returns how many are left.
static uint32_t spans_join(struct span *s, size_t n)
{
    uint32_t m = 0;
    qsort(s, n, sizeof *s, by_lo);
    for (size_t i = 0; i < n; i++) {
        if (m && s[i].lo <= s[m - 1].hi + 1) {
            if (s[i].hi > s[m - 1].hi) s[m - 1].hi = s[i].hi;
        } else {
            s[m++] = s[i];
        }
    }
    return m;
}

// Surrogates in or out, as U+D7FF is. There is room for one span more.
static uint32_t spans_settle(struct span *s, uint32_t n)
{
    uint32_t m = 0;
    bool with = false;
    for (uint32_t i = 0; i < n; i++) {
        struct span p = s[i];
        with = with || (p.lo <= 0xd7ff && p.hi >= 0xd7ff);
        if (p.lo >= 0xd800 && p.lo <= 0xdfff) p.lo = 0xe000;
        if (p.hi >= 0xd800 && p.hi <= 0xdfff) p.hi = 0xd7ff;
        if (p.lo <= p.hi) s[m++] = p;
    }
    for (uint32_t i = 0; !with && i < m; i++) assert(!(s[i].lo < 0xd800 && s[i].hi > 0xdfff));
    if (with) s[m++] = (struct span){0xd800, 0xdfff};
    return spans_join(s, m);
}

uint32_t set_one(lex *x, uint32_t c)
{
    struct span one = {c, c};
    bool ascii = c < sizeof x->single / sizeof *x->single;
    if (ascii && x->single[c]) return x->single[c];
    uint32_t id = c >= 0xd7ff && c <= 0xdfff ? set_of(x, &one, 1) : set_intern(x, &one, 1);
    if (ascii) x->single[c] = id;
    return id;
}

uint32_t set_of(lex *x, const struct span *s, size_t n)
{
    struct span *copy = mem_new((n + 1) * sizeof *copy);
    memcpy(copy, s, n * sizeof *s);
    uint32_t id = set_intern(x, copy, spans_settle(copy, spans_join(copy, n)));
    free(copy);
    return id;
}

uint32_t set_or(lex *x, uint32_t a, uint32_t b)
{
    if (a == b || b == 0) return a;
    if (a == 0) return b;
    uint32_t na = x->set[a].n, nb = x->set[b].n;
    struct span *all = mem_new((na + nb) * sizeof *all);
    memcpy(all, x->set[a].span, na * sizeof *all);
    memcpy(all + na, x->set[b].span, nb * sizeof *all);
    uint32_t id = set_intern(x, all, spans_join(all, na + nb));
    free(all);
    return id;
}

uint32_t set_not(lex *x, uint32_t a)
{
    uint32_t n = a ? x->set[a].n : 0, m = 0, from = 0;
    struct span *out = mem_new((n + 1) * sizeof *out);
    for (uint32_t i = 0; i < n; i++) {
        if (x->set[a].span[i].lo > from) out[m++] = (struct span){from, x->set[a].span[i].lo - 1};
        from = x->set[a].span[i].hi + 1;
    }
    if (from <= CODE_POINT_MAX) out[m++] = (struct span){from, CODE_POINT_MAX};
    uint32_t id = set_intern(x, out, m);
    free(out);
    return id;
}

uint32_t set_and(lex *x, uint32_t a, uint32_t b)
{
    if (a == b || a == 0 || b == 0) return b ? a : 0;
    const struct set *p = &x->set[a], *q = &x->set[b];
    struct span *out = mem_new((p->n + q->n) * sizeof *out);
    uint32_t m = 0;
    for (uint32_t i = 0, k = 0; i < p->n && k < q->n;) {
        uint32_t lo = p->span[i].lo > q->span[k].lo ? p->span[i].lo : q->span[k].lo;
        uint32_t hi = p->span[i].hi < q->span[k].hi ? p->span[i].hi : q->span[k].hi;
        if (lo <= hi) out[m++] = (struct span){lo, hi};
        if (p->span[i].hi < q->span[k].hi)
            i++;
        else
            k++;
    }
    uint32_t id = set_intern(x, out, m);
    free(out);
    return id;
}

bool set_has(const lex *x, uint32_t a, uint32_t c)
{
    if (a == 0) return false;
    const struct set *s = &x->set[a];
    uint32_t lo = 0, hi = s->n;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (s->span[mid].hi < c)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < s->n && s->span[lo].lo <= c;
}

// ---- words ----

struct word {
    const char *text;
    uint32_t len;
};

static int by_bytes(const void *a, const void *b)
{
    const struct word *p = a, *q = b;
    uint32_t n = p->len < q->len ? p->len : q->len;
    int o = memcmp(p->text, q->text, n);
    return o ? o : (p->len > q->len) - (p->len < q->len);
}

// Sorted, distinct, and only what is UTF-8: no text equals another word.
static uint32_t words_sort(struct word *w, uint32_t n)
{
    uint32_t valid = 0, m = 0;
    for (uint32_t i = 0; i < n; i++)
        if (utf8_valid_prefix(w[i].text, w[i].len) == w[i].len) w[valid++] = w[i];
    if (valid) qsort(w, valid, sizeof *w, by_bytes);
    for (uint32_t i = 0; i < valid; i++)
        if (m == 0 || by_bytes(&w[m - 1], &w[i]) != 0) w[m++] = w[i];
    return m;
}

static uint32_t words_hash(const struct word *w, uint32_t n)
{
    uint64_t h = n;
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < w[i].len; k++) h = (h ^ (uint8_t)w[i].text[k]) * 0x100000001b3u;
        h = (h ^ 0x100u) * 0x100000001b3u;
        h ^= h >> 29;
    }
    return (uint32_t)h;
}

static bool words_equal(const struct words *s, const struct word *w, uint32_t n, uint32_t hash)
{
    if (s->n != n || s->hash != hash) return false;
    for (uint32_t i = 0; i < n; i++)
        if (s->len[i] != w[i].len || memcmp(s->text[i], w[i].text, w[i].len) != 0) return false;
    return true;
}

static uint32_t words_intern(lex *x, struct word *w, uint32_t n)
{
    n = words_sort(w, n);
    uint32_t hash = words_hash(w, n);
    for (uint32_t i = 0; i < x->n_words; i++)
        if (words_equal(&x->words[i], w, n, hash)) return i;
    x->words = array_room(x->words, x->n_words, &x->cap_words, sizeof *x->words);
    struct words *s = &x->words[x->n_words];
    *s = (struct words){n, hash, arena_alloc(x->mem, n * sizeof *s->text),
                        arena_alloc(x->mem, n * sizeof *s->len)};
    for (uint32_t i = 0; i < n; i++) {
        s->text[i] = arena_strn(x->mem, w[i].text, w[i].len);
        s->len[i] = w[i].len;
    }
    return x->n_words++;
}

uint32_t wordset_of(lex *x, const char *const *text, const uint32_t *len, uint32_t n)
{
    struct word *w = mem_new(n * sizeof *w);
    for (uint32_t i = 0; i < n; i++) w[i] = (struct word){text[i], len[i]};
    uint32_t id = words_intern(x, w, n);
    free(w);
    return id;
}

uint32_t wordset_union(lex *x, uint32_t a, uint32_t b)
{
    const struct words *p = &x->words[a], *q = &x->words[b];
    struct word *w = mem_new((p->n + q->n) * sizeof *w);
    for (uint32_t i = 0; i < p->n; i++) w[i] = (struct word){p->text[i], p->len[i]};
    for (uint32_t i = 0; i < q->n; i++) w[p->n + i] = (struct word){q->text[i], q->len[i]};
    uint32_t id = words_intern(x, w, p->n + q->n);
    free(w);
    return id;
}

// The first of words [lo, hi) whose byte at `off` is at least c; none at all counts as less.
static uint32_t words_bound(const struct words *s, uint32_t lo, uint32_t hi, uint32_t off, int c)
{
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        int at = s->len[mid] > off ? (uint8_t)s->text[mid][off] : -1;
        if (at < c)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

uint32_t wordset_narrow(const lex *x, uint32_t set, uint32_t *lo, uint32_t *hi, uint32_t off,
                        uint32_t c)
{
    char bytes[4];
    int n = utf8_put(c, bytes);
    for (int i = 0; i < n; i++) {
        const struct words *s = &x->words[set];
        *lo = words_bound(s, *lo, *hi, off + (uint32_t)i, (uint8_t)bytes[i]);
        *hi = words_bound(s, *lo, *hi, off + (uint32_t)i, (uint8_t)bytes[i] + 1);
    }
    return *lo < *hi ? (uint32_t)n : 0;
}
