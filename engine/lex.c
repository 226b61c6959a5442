// Languages and states: the public functions, and the rows of the automaton. A row is made of
// blocks of 16 targets, worked out when a byte in it is first asked for; equal blocks are shared,
// so that a state costs about a hundred bytes, and a warm step three loads.
#include "engine/lex_regex.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

// ---- states ----

static bool same_state(const lex *x, uint32_t id, const void *key)
{
    const struct state *p = &x->state[id], *q = key;
    return p->stage == q->stage && p->same == q->same && p->a == q->a && p->b == q->b;
}

lex_state state_of(lex *x, enum stage stage, bool same, uint32_t a, uint32_t b, bool accepts)
{
    struct state s = {.stage = (uint8_t)stage, .same = same, .accepts = accepts, .a = a, .b = b};
    s.rest = s.count = UNKNOWN;
    uint32_t key[3] = {(uint32_t)stage << 1 | same, a, b};
    uint32_t hash = hash_words(key, 3, 0), id = ids_find(&x->states, hash, same_state, x, &s);
    if (id) return id;
    id = x->n_state++;
    x->state = array_room(x->state, id, &x->cap_state, sizeof *x->state);
    x->hot.row = array_room(x->hot.row, id, &x->cap_row, sizeof *x->hot.row);
    x->state[id] = s;
    ids_add(&x->states, hash, id);
    return id;
}

static bool same_block(const lex *x, uint32_t id, const void *key)
{
    return memcmp(x->hot.block[id], key, sizeof x->hot.block[id]) == 0;
}

static uint32_t block_of(lex *x, const lex_state target[16])
{
    uint32_t hash = hash_words(target, 16, 0);
    uint32_t id = ids_find(&x->blocks, hash, same_block, x, target);
    if (id) return id;
    id = x->n_block++;
    x->hot.block = array_room(x->hot.block, id, &x->cap_block, sizeof *x->hot.block);
    memcpy(x->hot.block[id], target, sizeof x->hot.block[id]);
    ids_add(&x->blocks, hash, id);
    return id;
}

static bool is_number(const struct state *s)
{
    return s->stage >= STAGE_NUMBER;
}

lex_state lex_step_new(lex *x, lex_state s, uint8_t byte)
{
    if (s == LEX_DEAD) return LEX_DEAD;
    lex_state target[16];
    struct state from = x->state[s]; // a copy: the array moves when states are made
    for (int i = 0; i < 16; i++) {
        uint8_t c = (uint8_t)((byte & 0xf0) | i);
        target[i] = is_number(&from) ? number_read(x, &from, c) : string_step(x, &from, c);
    }
    uint32_t block = block_of(x, target);
    x->hot.row[s][byte >> 4] = block;
    return target[byte & 15];
}

// ---- languages ----

static bool same_lang(const lex *x, uint32_t id, const void *key)
{
    const struct lang *p = &x->lang[id], *q = key;
    return p->number == q->number && p->narrow == q->narrow && p->a == q->a;
}

// Fixed ids: strings LEX_EMPTY and LEX_ANY_STRING, then numbers LEX_ANY_NUMBER and LEX_NO_NUMBER.
lex_lang lang_of(lex *x, bool number, bool narrow, uint32_t a)
{
    struct lang key = {.number = number, .narrow = narrow, .a = a};
    uint32_t hash = hash_words((uint32_t[]){number, narrow, a}, 3, 0);
    if (!number && !narrow && a == EXPR_NONE) return LEX_EMPTY;
    uint32_t id = ids_find(&x->langs, hash, same_lang, x, &key);
    if (id) return id;
    id = x->n_lang++;
    x->lang = array_room(x->lang, id, &x->cap_lang, sizeof *x->lang);
    x->lang[id] = key;
    ids_add(&x->langs, hash, id);
    return id;
}

static lex_lang string_lang(lex *x, bool narrow, expr a)
{
    bool failed = x->too_large;
    x->too_large = false;
    return failed ? LEX_FAILED : lang_of(x, false, narrow, a);
}

lex *lex_new(enum lex_escapes escapes)
{
    lex *x = mem_new(sizeof *x);
    x->escapes = escapes;
    x->mem = arena_new(2000);
    x->n_state = x->n_block = 1; // LEX_DEAD, and the block that is not known yet
    x->hot.row = array_room(x->hot.row, 0, &x->cap_row, sizeof *x->hot.row);
    x->hot.block = array_room(x->hot.block, 0, &x->cap_block, sizeof *x->hot.block);
    x->state = array_room(x->state, 0, &x->cap_state, sizeof *x->state);
    expr_begin(x);
    x->lang = array_room(x->lang, 0, &x->cap_lang, sizeof *x->lang);
    x->n_lang = 1;
    lang_of(x, false, false, EXPR_ALL);
    lang_of(x, true, false, NUMBER_ANY);
    lang_of(x, true, false, NUMBER_NONE);
    return x;
}

void lex_free(lex *x)
{
    if (!x) return;
    numbers_free(x->numbers);
    tallies_free(x->tallies);
    struct ids *const tables[] = {&x->states, &x->blocks, &x->langs,
                                  &x->exprs,  &x->sets,   &x->patterns};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) free(tables[i]->slot);
    free(x->hot.row);
    free(x->hot.block);
    free(x->state);
    free(x->lang);
    free(x->expr);
    free(x->loop);
    free(x->stack);
    free(x->set);
    free(x->words);
    free(x->pattern);
    arena_free(x->mem);
    free(x);
}

size_t lex_bytes(const lex *x)
{
    const struct ids *const tables[] = {&x->states, &x->blocks, &x->langs,
                                        &x->exprs,  &x->sets,   &x->patterns};
    size_t n =
        sizeof *x + arena_used(x->mem) + numbers_bytes(x->numbers) + tallies_bytes(x->tallies);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        n += tables[i]->cap * sizeof *tables[i]->slot;
    n += x->cap_row * sizeof *x->hot.row + x->cap_block * sizeof *x->hot.block;
    n += x->cap_state * sizeof *x->state + x->cap_lang * sizeof *x->lang;
    n += x->cap_expr * sizeof *x->expr + (x->cap_loop + x->cap_stack) * sizeof(expr);
    n += x->cap_pattern * sizeof *x->pattern;
    return n + x->cap_set * sizeof *x->set + x->cap_words * sizeof *x->words;
}

lex_lang lex_length(lex *x, uint64_t min, uint64_t max)
{
    uint32_t hi = max >= UNKNOWN ? NO_MAX : (uint32_t)max;
    // A string of four thousand million characters is longer than any that can be written.
    return min >= UNKNOWN ? LEX_EMPTY : string_lang(x, false, expr_length(x, (uint32_t)min, hi));
}

lex_lang lex_short_length(lex *x, uint64_t min, uint64_t max)
{
    if (min > LEX_LENGTH_MAX) return LEX_FAILED;
    if (max == UINT64_MAX || max <= LEX_LENGTH_MAX) return lex_length(x, min, max);
    return string_lang(x, true, expr_length(x, (uint32_t)min, LEX_LENGTH_MAX));
}

lex_lang lex_words(lex *x, const char *const *text, const size_t *len, size_t n)
{
    uint32_t *length = mem_new(n * sizeof *length);
    for (size_t i = 0; i < n; i++) length[i] = (uint32_t)len[i];
    expr a = expr_words(x, wordset_of(x, text, length, (uint32_t)n));
    free(length);
    return string_lang(x, false, a);
}

static bool same_pattern(const lex *x, uint32_t id, const void *key)
{
    const struct pattern *p = &x->pattern[id], *q = key;
    return p->n == q->n && p->whole == q->whole && memcmp(p->text, q->text, q->n) == 0;
}

static lex_lang pattern_lang(lex *x, const struct pattern *q, err *e)
{
    arena *mem = arena_new(4000);
    struct part *p = regex_parse(x, mem, q->text, q->n, e);
    expr a = EXPR_NONE;
    x->too_large = false;
    if (p) a = q->whole ? pattern_whole(x, p) : pattern_expr(x, p);
    arena_free(mem);
    if (!p) return LEX_FAILED;
    if (x->too_large) err_set(e, ERR_INPUT, "%s", x->why);
    return string_lang(x, false, a);
}

static lex_lang regex_lang(lex *x, struct pattern key, err *e)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < key.n; i++) hash = (hash ^ (uint8_t)key.text[i]) * 16777619u;
    uint32_t id = ids_find(&x->patterns, hash, same_pattern, x, &key);
    if (id) return x->pattern[id].lang;
    key.lang = pattern_lang(x, &key, e);
    if (key.lang == LEX_FAILED) return LEX_FAILED;
    key.text = arena_strn(x->mem, key.text, key.n);
    if (x->n_pattern == 0) x->n_pattern = 1; // id 0 means none
    x->pattern = array_room(x->pattern, x->n_pattern, &x->cap_pattern, sizeof *x->pattern);
    x->pattern[x->n_pattern] = key;
    ids_add(&x->patterns, hash, x->n_pattern++);
    return key.lang;
}

lex_lang lex_regex(lex *x, const char *pattern, size_t n, err *e)
{
    return regex_lang(x, (struct pattern){.text = pattern, .n = n}, e);
}

lex_lang regex_whole(lex *x, const char *pattern, err *e)
{
    return regex_lang(x, (struct pattern){pattern, strlen(pattern), true, 0}, e);
}

// LEX_EMPTY goes with numbers too.
static bool both_numbers(const lex *x, lex_lang *a, lex_lang *b)
{
    bool number = x->lang[*a].number || x->lang[*b].number;
    if (number && *a == LEX_EMPTY) *a = LEX_NO_NUMBER;
    if (number && *b == LEX_EMPTY) *b = LEX_NO_NUMBER;
    assert(x->lang[*a].number == x->lang[*b].number);
    return number;
}

// The words of a that belong to b.
static expr words_within(lex *x, expr a, expr b)
{
    struct words w = x->words[x->expr[a].a];
    const char **text = mem_new(w.n * sizeof *text);
    uint32_t *len = mem_new(w.n * sizeof *len), n = 0;
    for (uint32_t i = 0; i < w.n; i++) {
        if (!expr_has(x, b, w.text[i], w.len[i])) continue;
        text[n] = w.text[i];
        len[n++] = w.len[i];
    }
    expr some = expr_words(x, wordset_of(x, text, len, n));
    free(text);
    free(len);
    return some;
}

lex_lang lex_and(lex *x, lex_lang a, lex_lang b)
{
    if (a == LEX_FAILED || b == LEX_FAILED) return LEX_FAILED;
    if (both_numbers(x, &a, &b)) return number_lang(x, number_and(x, x->lang[a].a, x->lang[b].a));
    expr p = x->lang[a].a, q = x->lang[b].a;
    bool narrow = x->lang[a].narrow || x->lang[b].narrow;
    if (x->expr[p].kind == EXPR_WORDS) return string_lang(x, narrow, words_within(x, p, q));
    if (x->expr[q].kind == EXPR_WORDS) return string_lang(x, narrow, words_within(x, q, p));
    return string_lang(x, narrow, expr_and(x, p, q));
}

lex_lang lex_or(lex *x, lex_lang a, lex_lang b)
{
    if (a == LEX_FAILED || b == LEX_FAILED) return LEX_FAILED;
    if (both_numbers(x, &a, &b)) return number_lang(x, number_or(x, x->lang[a].a, x->lang[b].a));
    bool narrow = x->lang[a].narrow || x->lang[b].narrow;
    return string_lang(x, narrow, expr_or(x, x->lang[a].a, x->lang[b].a));
}

lex_lang lex_not(lex *x, lex_lang a)
{
    if (a == LEX_FAILED || x->lang[a].narrow) return LEX_FAILED;
    if (x->lang[a].number) return number_lang(x, number_not(x, x->lang[a].a));
    return string_lang(x, false, expr_not(x, x->lang[a].a));
}

int lex_prepare(lex *x, lex_lang a, err *e)
{
    if (a == LEX_FAILED) return err_set(e, ERR_INPUT, "a language that was refused before");
    struct lang *p = &x->lang[a];
    if (p->prepared) return 0;
    bool fine = p->number ? number_prepare(x, p->a) : expr_prepare(x, p->a);
    if (!fine) return err_set(e, ERR_INPUT, "%s", x->why);
    x->lang[a].prepared = true;
    return 0;
}

bool lex_is_empty(lex *x, lex_lang a)
{
    return lex_start(x, a) == LEX_DEAD;
}

bool lex_has(lex *x, lex_lang a, const char *decoded, size_t n)
{
    const struct lang *p = &x->lang[a];
    return p->number ? number_has(x, p->a, decoded, n) : expr_has(x, p->a, decoded, n);
}

// ---- positions ----

lex_state lex_start(lex *x, lex_lang a)
{
    return x->lang[a].number ? number_start(x, x->lang[a].a) : string_state(x, x->lang[a].a);
}

bool lex_accepts(const lex *x, lex_state s)
{
    return x->state[s].accepts;
}

uint32_t lex_rest(lex *x, lex_state s)
{
    if (s == LEX_DEAD) return FAR;
    const struct state *p = &x->state[s];
    if (p->accepts) return 0;
    if (p->rest != UNKNOWN) return p->rest;
    if (p->stage == STAGE_CHAR) return x->state[s].rest = expr_rest(x, p->a);
    if (p->stage == STAGE_NUMBER) return x->state[s].rest = number_finish(x, p->a);
    uint32_t least = FAR; // in the middle of a character or an exponent: a few bytes deep at most
    for (int c = 0; c < 256; c++) {
        uint32_t rest = lex_rest(x, lex_step(x, s, (uint8_t)c));
        if (rest < least) least = rest;
    }
    return x->state[s].rest = far_sum(least, 1);
}

uint32_t lex_count(lex *x, lex_state s)
{
    if (s == LEX_DEAD) return 0;
    struct state p = x->state[s];
    if (p.count != UNKNOWN) return p.count;
    uint32_t n = is_number(&p) ? number_count(x, &p) : string_count(x, &p);
    return x->state[s].count = n;
}

bool lex_is_free(const lex *x, lex_state s, uint32_t *min, uint32_t *max)
{
    const struct state *p = &x->state[s];
    return s != LEX_DEAD && p->stage == STAGE_CHAR && expr_is_length(x, p->a, min, max);
}

bool lex_between(const lex *x, lex_state s)
{
    return x->state[s].stage == STAGE_CHAR;
}

uint32_t lex_words_count(const lex *x, lex_lang a)
{
    const struct expr_node *p = &x->expr[x->lang[a].a];
    if (x->lang[a].number || p->kind != EXPR_WORDS) return 0;
    return p->b == 0 && p->c == x->words[p->a].n && p->d == 0 ? p->c : 0;
}

static bool is_taken(const uint64_t *taken, uint32_t i)
{
    return taken[i / 64] >> (i % 64) & 1;
}

uint32_t lex_words_next(const uint64_t *taken, uint32_t lo, uint32_t hi)
{
    while (lo < hi) {
        uint64_t free = ~taken[lo / 64] >> (lo % 64);
        if (free)
            return lo + (uint32_t)__builtin_ctzll(free) < hi ? lo + (uint32_t)__builtin_ctzll(free)
                                                             : hi;
        lo = (lo / 64 + 1) * 64;
    }
    return hi;
}

bool lex_words_left(lex *x, lex_state s, const uint64_t *taken)
{
    uint32_t lo, hi;
    if (!lex_words_range(x, s, &lo, &hi)) return false;
    lo = lex_words_next(taken, lo, hi);
    if (lo == hi || lex_between(x, s)) return lo < hi;
    for (int c = 0; c < 256; c++) // within a character: its words may all be taken
        if (lex_words_left(x, lex_step(x, s, (uint8_t)c), taken)) return true;
    return false;
}

uint32_t lex_words_rest(lex *x, lex_state s, const uint64_t *taken)
{
    uint32_t lo, hi, least = LEX_NONE;
    if (!lex_words_range(x, s, &lo, &hi)) return LEX_NONE;
    if (!lex_between(x, s)) {
        for (int c = 0; c < 256; c++) {
            uint32_t rest = lex_words_rest(x, lex_step(x, s, (uint8_t)c), taken);
            if (rest < least) least = rest + 1;
        }
        return least;
    }
    const struct expr_node *p = &x->expr[x->state[s].a];
    for (uint32_t i = lo; (i = lex_words_next(taken, i, hi)) < hi; i++) {
        uint32_t rest = word_cost(x, &x->words[p->a], i, p->d);
        if (rest < least) least = rest;
    }
    return least;
}

static int by_cost(const void *a, const void *b, void *cost)
{
    const uint32_t *c = cost, *i = a, *k = b;
    return (c[*i] > c[*k]) - (c[*i] < c[*k]);
}

// Sorted once: it is asked for at every element.
static void sort_words(lex *x, struct words *w)
{
    w->cost = arena_alloc(x->mem, w->n * sizeof *w->cost);
    w->by_cost = arena_alloc(x->mem, w->n * sizeof *w->by_cost);
    for (uint32_t i = 0; i < w->n; i++) {
        w->cost[i] = word_cost(x, w, i, 0);
        w->by_cost[i] = i;
    }
    qsort_r(w->by_cost, w->n, sizeof *w->by_cost, by_cost, w->cost);
}

uint32_t lex_words_sum(lex *x, lex_lang a, const uint64_t *taken, uint32_t skip, uint32_t k)
{
    struct words *w = &x->words[x->expr[x->lang[a].a].a];
    uint32_t n = w->n, sum = 0;
    for (uint32_t i = 0; taken && i < (w->n + 63) / 64; i++)
        n -= (uint32_t)__builtin_popcountll(taken[i]);
    if (skip == LEX_NONE) skip = n > k ? n - k : 0;
    if (n < k || n - k < skip) return LEX_NONE;
    if (k && !w->cost) sort_words(x, w);
    for (uint32_t i = 0; k > 0; i++) {
        if (taken && is_taken(taken, w->by_cost[i])) continue;
        if (skip > 0) {
            skip--;
            continue;
        }
        sum = far_sum(sum, w->cost[w->by_cost[i]]);
        k--;
    }
    return sum;
}

bool lex_words_range(const lex *x, lex_state s, uint32_t *lo, uint32_t *hi)
{
    const struct state *p = &x->state[s];
    if (s == LEX_DEAD || is_number(p) || p->same || x->expr[p->a].kind != EXPR_WORDS) return false;
    *lo = x->expr[p->a].b;
    *hi = x->expr[p->a].c;
    return true;
}
