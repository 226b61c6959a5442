// Which tokens may come within a string or a key, from one state of its language on. What stands
// around it does not matter until the quote: so this is worked out once for each state, and holds
// for every string of that language in the grammar. Of the tokens that end it, with something after
// the quote or not, only that their first part ends it well is known here.
//
//   - Tokens made of kinds of characters that lead to life whatever their order (a run) are put
//     together from the rows of the vocabulary; the walk passes over whole subtrees of them.
//   - Where nearly every character leads to a state from which all is free, what is not allowed is
//     taken from what a free string allows.
//   - A state whose counters are far from their ends (lex_alike) takes the short tokens from the
//     one that is like it, and looks only at the long ones.
#include "base/mem.h"
#include "engine/grammar_private.h"

#include <stdlib.h>
#include <string.h>

#define CACHE_BYTES   ((size_t)3 << 20)
#define DEPTH_MAX     255  // bytes of a token that are looked at
#define LIST_MAX      1500 // tokens that are kept one by one
#define FEW_KINDS     24u  // tokens of so few kinds are as quickly walked
#define SUBTREE_LEAST 4u   // nodes of a subtree that is worth a look at its kinds

// What is being made for one state.
struct making {
    grammar *g;
    const struct trie *t; // the tokens to be looked at
    lex_state start;
    uint32_t most; // bytes that a string may still need after a token; NO_LIMIT: any
    bool counts;   // states of few members have to be looked at one by one

    // The run: tokens of at most `run` characters (NONE: any number) whose first one is of the
    // kinds `first` and the others of `loops`.
    struct kinds first, loops;
    uint32_t run;
    bool dead;           // with more characters of these kinds there is no such token
    struct kinds passed; // subtrees of these alone are not looked at: `loops`, and what is death
    uint32_t rest;       // the most bytes that are needed after any of these
    lex_state next;      // where all these lead; LEX_DEAD: not to one state

    struct lexeme *out;
};

static const struct vocab_tables *tables(const grammar *g)
{
    return g->v->prepared;
}

static const struct string_tables *strings(const grammar *g)
{
    return &tables(g)->string[g->o.escapes];
}

// ---- what is found ----

static void list_add(struct token_list *l, int32_t token)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 32;
        l->v = mem_grow(l->v, l->cap * sizeof *l->v);
    }
    l->v[l->n++] = token;
}

static void make_own(struct making *m)
{
    struct lexeme *o = m->out;
    size_t words = (size_t)tables(m->g)->words;
    o->own = mem_new(sizeof *o->own + words * sizeof *o->own->w);
    o->own->refs = 1;
    if (o->base) memcpy(o->own->w, o->base, words * sizeof *o->own->w);
    o->base = o->own->w;
    for (uint32_t i = 0; i < o->inside.n; i++) set_bit(o->own->w, (uint32_t)o->inside.v[i]);
    o->inside.n = 0;
}

static void put(struct making *m, int32_t token)
{
    struct lexeme *o = m->out;
    if (!o->own && o->inside.n == LIST_MAX) make_own(m);
    if (o->own)
        set_bit(o->own->w, (uint32_t)token);
    else
        list_add(&o->inside, token);
}

static bool fits(struct making *m, uint32_t rest)
{
    if (rest > m->most) return false;
    if (rest > m->out->furthest) m->out->furthest = rest;
    return true;
}

// Whether all tokens that stay at s may be allowed without a look at their finish; those that end
// within a character need up to three bytes more.
static bool loops_fit(struct making *m, lex_state s)
{
    return fits(m, far_add(lex_rest(m->g->x, s), 3));
}

static void put_node(struct making *m, const struct trie_node *n, lex_state s)
{
    bool few = m->counts && lex_count(m->g->x, s) != LEX_MANY;
    if (!m->counts && !fits(m, lex_rest(m->g->x, s))) return; // of keys nobody asks how far it is
    for (uint32_t k = n->token; k < n->token + n->n_token; k++) {
        if (few)
            list_add(&m->out->few, m->t->token[k]);
        else
            put(m, m->t->token[k]);
    }
}

// The string may end before node i, which is a quote.
static void put_closing(struct making *m, uint32_t i)
{
    const struct trie *t = m->t;
    if (!lex_between(m->g->x, m->start)) { // the groups are of tokens that begin between characters
        list_add(&m->out->nodes, (int32_t)i);
        return;
    }
    uint32_t end = t->node[t->node[i].skip].token;
    for (uint32_t k = t->node[i].token; k < end; k++)
        if (strings(m->g)->group_of[t->token[k]] != NONE_GROUP)
            list_add(&m->out->closing, t->token[k]);
}

// ---- the run ----

// The state that the first character leads to most often, if something loops there.
static void find_next(struct making *m)
{
    struct {
        lex_state to;
        uint32_t n;
    } seen[8] = {{0, 0}};
    lex *l = m->g->x;
    uint32_t n = 0, best = 0;
    for (uint32_t c = 0x20; c < 0x7f; c++) {
        lex_state to = lex_step(l, m->start, (uint8_t)c);
        uint32_t i = 0;
        while (i < n && seen[i].to != to) i++;
        if (to == LEX_DEAD || i == 8) continue;
        if (i == n) seen[n++].to = to;
        seen[i].n++;
    }
    for (uint32_t i = 1; i < n; i++)
        if (seen[i].n > seen[best].n) best = i;
    m->next = seen[best].to;
    m->loops = lex_loops(l, m->next);
    for (uint32_t c = 0x20; c < 0x7f; c++)
        if (c != '\\' && m->next && lex_step(l, m->start, (uint8_t)c) == m->next)
            kinds_add(&m->first, c);
}

// Of states with few members each has to be looked at: the run ends before the first of them.
static void shorten_run(struct making *m)
{
    lex *l = m->g->x;
    uint32_t c = 0x20, n = 0, most = min_of(m->run, SAFE_POINTS);
    lex_state s = m->start, before = LEX_DEAD;
    while (c < 0x7f && !kinds_has(&m->first, c)) c++;
    for (; c < 0x7f && n < most && s != before; n++) {
        before = s;
        s = lex_step(l, s, (uint8_t)c);
        if (s == LEX_DEAD || lex_count(l, s) != LEX_MANY) break;
    }
    if (n == m->run || (s == before && s != LEX_DEAD)) return;
    m->run = n;
    m->dead = false;
}

// What leads from the start to one state that it leads back to, or, where that is more, to life.
static void find_run(struct making *m)
{
    lex *l = m->g->x;
    struct lex_run run;
    m->first = m->loops = lex_loops(l, m->start);
    m->next = m->start;
    bool lives = lex_run(l, m->start, m->counts, &run), none = kinds_none(&m->loops);
    bool more = lives && kinds_count(&run.kinds) > kinds_count(&m->loops);
    more = more && (run.most == NONE || none);
    if (none && (!lives || kinds_count(&run.kinds) <= FEW_KINDS)) {
        find_next(m);
        more = more && kinds_none(&m->loops);
    }
    if (!more) {
        m->rest = lex_rest(l, m->next);
        m->passed = lex_doomed(l, m->next);
        return;
    }
    m->first = m->loops = run.kinds;
    m->next = LEX_DEAD;
    m->rest = run.rest;
    m->run = min_of(run.most, run.most == NONE ? NONE : SAFE_POINTS);
    m->dead = run.dead && m->run == run.most;
    m->passed = run.doomed;
    if (m->counts && run.most != NONE) shorten_run(m);
}

// Begins with the tokens of the run.
static void put_run(struct making *m)
{
    const struct vocab_tables *t = tables(m->g);
    const struct kind_mask *known = vocab_kinds(m->g->v, m->first, m->loops);
    uint64_t *bits = known ? known->bits : mem_new((size_t)t->words * sizeof *bits);
    if (!known) vocab_kinds_fill(m->g->v, m->first, m->loops, bits);
    if (known && m->run == NONE) {
        m->out->base = bits;
        return;
    }
    make_own(m);
    uint64_t *own = m->out->own->w;
    const uint64_t *safe = m->run <= SAFE_POINTS ? t->safe[m->run - 1] : NULL;
    for (int w = 0; w < t->words; w++) own[w] |= safe ? bits[w] & safe[w] : bits[w];
    for (uint32_t i = 0; safe && i < t->n_odd; i++)
        if (t->odd[i].points <= m->run && has_bit(bits, (uint32_t)t->odd[i].token))
            set_bit(own, (uint32_t)t->odd[i].token);
    if (!known) free(bits);
}

// What ends within a character counts as BEYOND and as WHITE, but lives where one of them does:
// where the other is death, it must not be passed over with that.
static void keep_begun(struct kinds *passed, const struct kinds *loops)
{
    uint64_t both = 1ull << KIND_BEYOND | 1ull << KIND_WHITE, live = loops->w[0] & both;
    if (live && live != both) passed->w[0] &= ~(both & ~live);
}

static void begin_with_run(struct making *m)
{
    static const struct kinds none = {{0}};
    m->run = NONE;
    if (!lex_between(m->g->x, m->start)) return;
    find_run(m);
    bool some = m->run > 0 && !kinds_none(&m->first) && kinds_count(&m->loops) > FEW_KINDS;
    if (some && fits(m, far_add(m->rest, 3))) // those that end within a character need more
        put_run(m);
    else
        m->first = m->loops = m->passed = none;
    keep_begun(&m->passed, &m->loops);
    m->passed.w[0] |= m->loops.w[0];
    m->passed.w[1] |= m->loops.w[1];
}

// ---- the walk ----

// The kinds that may stand in a string as they are.
static struct kinds kinds_of_strings(void)
{
    struct kinds k = {{0}};
    kinds_add(&k, KIND_BEYOND);
    kinds_add(&k, KIND_WHITE);
    for (uint32_t c = 0x20; c < 0x7f; c++)
        if (c != '"' && c != '\\') kinds_add(&k, c);
    return k;
}

// Does every token of the subtree at n, where the walk is at s, stay within the string, and at no
// state of few members? So it is where something loops: there are infinitely many members. And
// where all is free for more characters than the longest token below n can have.
static bool subtree_lives(const struct making *m, const struct kinds *free,
                          const struct trie_node *n, lex_state s)
{
    uint32_t min, room;
    if (!kinds_within(&n->below, free)) return false;
    struct kinds loops = lex_loops(m->g->x, s);
    if (kinds_within(&n->below, &loops)) return true;
    return lex_is_free(m->g->x, s, &min, &room) && min == 0 && n->deepest < 255 &&
           room > n->deepest;
}

// How far a walk is: whether all whole characters so far are of the run, and which they are.
struct reached {
    lex_state s;
    uint32_t points; // characters, a begun one counted
    bool pure;       // all whole ones are of the run, and not too many
    bool known;      // tokens that end here are of the run
};

static struct reached reach_on(const struct making *m, const struct reached *before,
                               const struct trie_node *n)
{
    struct reached at = {.points = before->points + ((n->byte & 0xc0) != 0x80)};
    const struct kinds *k = at.points <= 1 ? &m->first : &m->loops;
    bool middle = n->kind == KIND_MIDDLE;
    bool of_run =
        middle ? kinds_has(k, KIND_BEYOND) && kinds_has(k, KIND_WHITE) : kinds_has(k, n->kind);
    of_run = of_run && at.points <= m->run;
    at.pure = before->pure && (middle || of_run);
    at.known = before->pure && of_run;
    return at;
}

// Is all of the subtree at n of the run, or dead?
static bool subtree_known(const struct making *m, const struct reached *at,
                          const struct trie_node *n)
{
    bool in_first = at->points <= 1 && n->kind == KIND_MIDDLE; // the first one is not complete
    if (!at->pure || (n->n_token && !at->known) || !kinds_within(&n->below, &m->passed))
        return false;
    if (in_first && !kinds_within(&n->below, &m->first)) return false;
    return m->run == NONE || m->dead || at->points + n->deepest <= m->run;
}

static void put_below(struct making *m, const struct trie_node *n)
{
    uint32_t end = m->t->node[n->skip].token;
    for (uint32_t k = n->token + n->n_token; k < end; k++) put(m, m->t->token[k]);
}

static void walk(struct making *m)
{
    lex *l = m->g->x;
    const struct trie *t = m->t;
    struct kinds free = kinds_of_strings();
    struct reached at[DEPTH_MAX + 1];
    at[0] = (struct reached){.s = m->start, .pure = !kinds_none(&m->first)};
    for (uint32_t i = 0; i < t->n;) {
        const struct trie_node *n = &t->node[i];
        uint32_t d = n->depth;
        if (d > DEPTH_MAX) { // no token of sense is that long
            i = n->skip;
            continue;
        }
        lex_state before = at[d - 1].s, s = m->next;
        at[d] = reach_on(m, &at[d - 1], n);
        if (subtree_known(m, &at[d], n)) {
            i = n->skip;
            continue;
        }
        if (!at[d].pure || n->kind == KIND_MIDDLE || s == LEX_DEAD)
            s = lex_step(l, before, n->byte);
        if (s == LEX_DEAD) {
            if (n->byte == '"' && lex_accepts(l, before)) put_closing(m, i);
            i = n->skip;
            continue;
        }
        at[d].s = s;
        if (n->n_token && !at[d].known) put_node(m, n, s);
        if (!at[d].pure && n->skip > i + SUBTREE_LEAST && subtree_lives(m, &free, n, s) &&
            loops_fit(m, s)) {
            put_below(m, n);
            i = n->skip;
            continue;
        }
        i++;
    }
}

// ---- states from which nearly all is free ----

static bool is_all_free(const lex *l, lex_state s)
{
    uint32_t min, max;
    return lex_is_free(l, s, &min, &max) && min == 0 && max == NONE;
}

static bool soon_free(lex *l, lex_state s)
{
    uint32_t n = 0;
    if (!lex_between(l, s)) return false;
    for (uint8_t c = ' '; c < 127; c++) n += is_all_free(l, lex_step(l, s, c));
    return n > 60;
}

static void clear_range(uint64_t *bits, const struct trie *t, uint32_t from, uint32_t to)
{
    for (uint32_t k = from; k < to; k++) bits[t->token[k] / 64] &= ~(1ull << (t->token[k] % 64));
}

// Begins with what a free string allows, and takes out what this state does not.
static void walk_exceptions(struct making *m)
{
    lex *l = m->g->x;
    const struct trie *t = m->t;
    const struct string_tables *q = strings(m->g);
    lex_state at[DEPTH_MAX + 1];
    m->out->base = q->open;
    make_own(m);
    uint64_t *own = m->out->own->w;
    uint64_t *closing = mem_new((size_t)tables(m->g)->words * sizeof *closing);
    for (uint32_t i = 0; i < q->n_quote; i++) set_bit(closing, (uint32_t)q->quote[i].token);
    at[0] = m->start;
    for (uint32_t i = 0; i < t->n;) {
        const struct trie_node *n = &t->node[i];
        uint32_t d = n->depth;
        lex_state s = d > DEPTH_MAX ? (lex_state)LEX_DEAD : lex_step(l, at[d - 1], n->byte);
        bool ends = n->byte == '"' && d <= DEPTH_MAX && lex_accepts(l, at[d - 1]);
        if (s == LEX_DEAD || is_all_free(l, s)) {
            if (s == LEX_DEAD) clear_range(own, t, n->token, t->node[n->skip].token);
            if (s == LEX_DEAD && !ends) clear_range(closing, t, n->token, t->node[n->skip].token);
            i = n->skip;
            continue;
        }
        at[d] = s;
        clear_range(own, t, n->token, n->token + n->n_token);
        put_node(m, n, s);
        i++;
    }
    for (uint32_t i = 0; i < q->n_quote; i++)
        if (has_bit(closing, (uint32_t)q->quote[i].token))
            list_add(&m->out->closing, q->quote[i].token);
    free(closing);
}

// ---- counters far from their ends ----

static void take_few(const uint64_t *few, struct token_list *to, const struct token_list *from)
{
    for (uint32_t i = 0; i < from->n; i++)
        if (has_bit(few, (uint32_t)from->v[i])) list_add(to, from->v[i]);
}

static bool begin_with_alike(struct making *m)
{
    const struct vocab_tables *t = tables(m->g);
    lex_state alike = lex_alike(m->g->x, m->start, REACH_NEAR);
    if (m->counts || m->most != NO_LIMIT || alike == m->start) return false;
    // In the middle of a character what may follow is little, and `nodes` are of the whole trie.
    if (!lex_between(m->g->x, m->start)) return false;
    const struct lexeme *from = lexeme_of(m->g, alike, false);
    if (from->base) {
        m->out->base = from->base;
        make_own(m);
        for (int w = 0; w < t->words; w++) m->out->own->w[w] &= t->few[w];
    }
    for (uint32_t i = 0; i < from->inside.n; i++)
        if (has_bit(t->few, (uint32_t)from->inside.v[i])) put(m, from->inside.v[i]);
    take_few(t->few, &m->out->closing, &from->closing);
    m->t = &t->many;
    return true;
}

// ---- what is made ----

void lexeme_make(grammar *g, lex_state s, bool counts, uint32_t most, struct lexeme *out)
{
    struct making m = {.g = g,
                       .t = &tables(g)->all,
                       .start = s,
                       .most = most,
                       .counts = counts,
                       .run = NONE,
                       .out = out};
    *out = (struct lexeme){0};
    if (begin_with_alike(&m)) {
        walk(&m);
    } else if (most == NO_LIMIT && soon_free(g->x, s)) {
        walk_exceptions(&m);
    } else {
        begin_with_run(&m);
        walk(&m);
    }
    out->furthest = lex_furthest(g->x, s, out->furthest);
    if (out->own && count_bits(out->own->w, tables(g)->words) <= LIST_MAX) {
        uint64_t *w = out->own->w;
        for (int i = 0; i < tables(g)->words; i++)
            for (uint64_t bits = w[i]; bits; bits &= bits - 1)
                list_add(&out->inside, i * 64 + __builtin_ctzll(bits));
        free(out->own);
        out->own = NULL;
        out->base = NULL;
    }
    out->n_base = out->base ? count_bits(out->base, tables(g)->words) : 0;
}

void bits_release(struct shared_bits *b)
{
    if (b && --b->refs == 0) free(b);
}

void lexeme_release(struct lexeme *x)
{
    bits_release(x->own);
    free(x->inside.v);
    free(x->closing.v);
    free(x->few.v);
    free(x->nodes.v);
}

// ---- what is known ----

struct lexeme_entry {
    lex_state s; // LEX_DEAD: empty
    bool counts;
    struct lexeme lexeme;
};

struct lexeme_cache {
    struct lexeme_entry *entry;
    uint32_t n, cap; // cap: a power of two
    size_t bytes;
};

struct lexeme_cache *lexeme_cache_new(void)
{
    return mem_new(sizeof(struct lexeme_cache));
}

static void cache_clear(struct lexeme_cache *c)
{
    for (uint32_t i = 0; i < c->cap; i++) lexeme_release(&c->entry[i].lexeme);
    free(c->entry);
    *c = (struct lexeme_cache){0};
}

void lexeme_cache_free(struct lexeme_cache *c)
{
    if (c) cache_clear(c);
    free(c);
}

size_t lexeme_cache_bytes(const struct lexeme_cache *c)
{
    return c->bytes + c->cap * sizeof *c->entry;
}

static struct lexeme_entry *find(const struct lexeme_cache *c, lex_state s, bool counts)
{
    uint32_t i = (s * 2 + counts) * 0x9e3779b9u >> 7 & (c->cap - 1);
    while (c->entry[i].s != LEX_DEAD && (c->entry[i].s != s || c->entry[i].counts != counts))
        i = (i + 1) & (c->cap - 1);
    return &c->entry[i];
}

static void make_room(struct lexeme_cache *c)
{
    struct lexeme_cache old = *c;
    if ((c->n + 1) * 2 <= c->cap) return;
    c->cap = old.cap ? old.cap * 2 : 8;
    c->entry = mem_new(c->cap * sizeof *c->entry);
    for (uint32_t i = 0; i < old.cap; i++)
        if (old.entry[i].s != LEX_DEAD)
            *find(c, old.entry[i].s, old.entry[i].counts) = old.entry[i];
    free(old.entry);
}

const struct lexeme *lexeme_of(grammar *g, lex_state s, bool counts)
{
    struct lexeme_cache *c = g->lexemes;
    if (!counts) s = lex_alike(g->x, s, REACH_FAR);
    if (c->cap && find(c, s, counts)->s == s) return &find(c, s, counts)->lexeme;
    struct lexeme made;
    lexeme_make(g, s, counts, NO_LIMIT, &made);
    size_t lists = made.inside.cap + made.closing.cap + made.few.cap + made.nodes.cap;
    size_t bytes = lists * sizeof(int32_t);
    if (made.own) bytes += sizeof *made.own + (size_t)tables(g)->words * sizeof(uint64_t);
    if (c->bytes + bytes > CACHE_BYTES) cache_clear(c);
    make_room(c);
    struct lexeme_entry *e = find(c, s, counts);
    *e = (struct lexeme_entry){s, counts, made};
    c->n++;
    c->bytes += bytes;
    return &e->lexeme;
}
