// Masks. A mask is a walk over the token trie from the current position; most of it is never
// walked:
//   - Inside a string of free content all string-safe tokens are allowed at once, from a mask made
//     beforehand; of those that end the string, each suffix after the quote is tried once for all.
//   - The same holds for keys that an object does not declare; only tokens that would complete a
//     name which is declared, or taken, are looked at one by one.
//   - Where a walk comes upon such a string below a token's beginning ({"…), the safe tokens of
//   that
//     branch are allowed without a step.
// A mask is kept as a base and a list of single tokens, under a digest of the position it was made
// for, since the same positions come again and again.
//
// The budget takes part only near its end: the longest finish that any token of a mask leads to is
// found once for each mask that is asked for with a budget, and only when that no longer fits are
// the tokens looked at one by one.
#include "base/mem.h"
#include "engine/grammar_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_BYTES ((size_t)4 << 20)
#define LIST_MAX    1500 // tokens of a mask that are kept one by one
#define SLACK       16   // bytes by which a token without a quote can make the finish longer

struct mask {
    const uint64_t *base;       // NULL: nothing
    uint64_t *own;              // the base when it is this mask's own
    struct shared_bits *shared; // the base when it is that of a lexeme
    int n_base;
    uint32_t n_less, n;
    int32_t *token;   // [n_less] not to be taken from the base, then [n] beside it
    uint32_t longest; // finish of the costliest token; NO_LIMIT: not known
};

struct cache_entry {
    struct digest key;
    struct mask mask; // mask.token NULL and n 0 with base NULL: empty
    bool used;
};

// Memory of walks, kept between them: they do not overlap.
struct walk_room {
    uint32_t levels;
    struct pos *at;
    struct chunk_mark *mark;
    uint8_t *done, *byte;
};

struct mask_cache {
    struct cache_entry *entry;
    uint32_t n, cap; // cap: a power of two
    size_t bytes;
};

static const struct vocab_tables *tables(const grammar *g)
{
    return g->v->prepared;
}

static const struct string_tables *strings(const grammar *g)
{
    return &tables(g)->string[g->o.escapes];
}

// ---- walks ----

struct fill {
    grammar *g;
    uint32_t limit; // largest finish that a token may lead to; NO_LIMIT: any
    bool measure;   // find the longest finish
    uint32_t longest;
    const uint64_t *base;
    int n_base;
    struct shared_bits *shared; // the base where that is one of these; counted here
    int32_t *token;
    uint32_t n, cap;
    int32_t *except;     // tokens that are looked at on their own
    uint64_t *is_except; // [words] the same
    uint32_t n_except;
    int32_t *less; // those of the base that are out
    uint32_t n_less;
    uint64_t *dense; // [words] instead of the list, where that grew long
};

static void make_dense(struct fill *f)
{
    f->dense = mem_new((size_t)tables(f->g)->words * sizeof *f->dense);
    for (uint32_t i = 0; i < f->n; i++) set_bit(f->dense, (uint32_t)f->token[i]);
    f->n = 0;
}

static void put(struct fill *f, int32_t token)
{
    if (f->n == LIST_MAX && !f->dense) make_dense(f);
    if (f->dense) {
        set_bit(f->dense, (uint32_t)token);
        return;
    }
    if (f->n == f->cap) {
        f->cap = f->cap ? f->cap * 2 : 128;
        f->token = mem_grow(f->token, f->cap * sizeof *f->token);
    }
    f->token[f->n++] = token;
}

// May tokens that lead to `p` be allowed?
static bool fits(struct fill *f, const struct pos *p)
{
    if (f->limit == NO_LIMIT && !f->measure) return true;
    struct chunk_mark mark = chunk_mark(&f->g->work);
    uint32_t finish = pos_finish(f->g, p);
    chunk_rewind(&f->g->work, mark);
    if (f->limit != NO_LIMIT && finish > f->limit) return false;
    if (finish > f->longest) f->longest = finish;
    return true;
}

// A string or key that may go on with any characters, at most *room of them.
static bool is_free(struct fill *f, const struct pos *p, uint32_t *min, uint32_t *room)
{
    grammar *g = f->g;
    if (p->mode == M_KEY)
        return !p->choices && p->other != LEX_DEAD && lex_is_free(g->x, p->other, min, room) &&
               *min == 0 && *room == NONE;
    return p->mode == M_STRING && p->choices->n == 1 && lex_is_free(g->x, p->s, min, room) &&
           *room > 0;
}

// Whether all string-safe tokens may be allowed from here without a look at their finish. A key may
// leave the declared name that it began like: then nothing but the finish of an undeclared one is
// certain, and the condition that the name would have met is still to be met.
static bool fits_freely(struct fill *f, const struct pos *p)
{
    if (f->limit == NO_LIMIT && !f->measure) return true;
    struct chunk_mark mark = chunk_mark(&f->g->work);
    struct pos other = *p;
    if (p->mode == M_KEY) other.s = LEX_DEAD;
    uint32_t finish = far_add(pos_finish(f->g, &other), SLACK);
    chunk_rewind(&f->g->work, mark);
    if (f->limit != NO_LIMIT && finish > f->limit) return false;
    if (finish > f->longest) f->longest = finish;
    return true;
}

static uint32_t count_points(const char *p, uint32_t n)
{
    uint32_t points = 0;
    for (uint32_t i = 0; i < n; i++) points += ((uint8_t)p[i] & 0xc0) != 0x80;
    return points;
}

// The safe tokens of the subtree at node i, but for those that end there.
static void put_subtree(struct fill *f, const struct trie *t, uint32_t i, uint32_t room)
{
    const struct trie_node *n = &t->node[i];
    uint32_t end = t->node[n->skip].token;
    for (uint32_t k = n->token + n->n_token; k < end; k++) {
        int32_t token = t->token[k];
        if (t->safe_from[k] > n->depth) continue;
        uint32_t len = f->g->v->len[token] - n->depth;
        if (len > room && count_points(f->g->v->bytes[token] + n->depth, len) > room) continue;
        put(f, token);
    }
}

static struct walk_room *walk_room(grammar *g, uint32_t levels)
{
    struct walk_room *r = g->room;
    if (!r) r = g->room = mem_new(sizeof *r);
    if (r->levels >= levels) return r;
    r->levels = levels;
    r->at = mem_grow(r->at, levels * sizeof *r->at);
    r->mark = mem_grow(r->mark, levels * sizeof *r->mark);
    r->done = mem_grow(r->done, levels);
    r->byte = mem_grow(r->byte, levels);
    return r;
}

void walk_room_free(struct walk_room *r)
{
    if (!r) return;
    free(r->at);
    free(r->mark);
    free(r->done);
    free(r->byte);
    free(r);
}

// The same n steps from `from` without a guess.
static bool step_surely(grammar *g, const struct pos *from, const uint8_t *byte, uint32_t n,
                        struct pos *to)
{
    bool guess = g->guess, alive = true;
    struct pos at = *from;
    g->guess = false;
    for (uint32_t k = 0; k < n && alive; k++, at = *to)
        alive = pos_step(g, &g->step, &at, byte[k], to);
    g->guess = guess;
    return alive;
}

// Are there elements that this one has to differ from and that are not known? Where its length is
// limited a string may have become one of them.
static bool is_unknown(const struct pos *p)
{
    return p->top->unmerged || p->top->guessed;
}

// May tokens that lead from `from` to `p` by these bytes be allowed? Where p was guessed about, its
// finish is a bound.
static bool fits_surely(struct fill *f, const struct pos *from, const uint8_t *byte, uint32_t n,
                        const struct pos *p)
{
    struct pos sure;
    if (fits(f, p)) return true;
    if (!f->g->guess || !p->top || (!p->top->unmerged && !p->top->guessed)) return false;
    if (!from->top || from->top->unmerged || from->top->guessed) return false;
    f->g->least = true;
    bool hopeless = !fits(f, p);
    f->g->least = false;
    return !hopeless && step_surely(f->g, from, byte, n, &sure) && fits(f, &sure);
}

// Is it guessed that p lives? Of what follows a string that is not known all is taken for alive.
static bool is_guessed(grammar *g, const struct pos *from, const struct pos *p)
{
    bool known = from->top && !from->top->unmerged && !from->top->guessed;
    return g->guess && known && pos_unclear(g, &g->step, p, UNMERGED_MAX - 1);
}

// Walks the nodes [i, end) of the trie from `from`, where the first ones have depth `depth` + 1.
static void walk(struct fill *f, const struct trie *t, uint32_t i, uint32_t end, uint32_t depth,
                 const struct pos *from)
{
    struct chunks *mem = &f->g->step;
    struct walk_room *room_of = walk_room(f->g, t->depth - depth + 1);
    struct pos *at = room_of->at; // at[d - depth]: after d bytes
    struct chunk_mark *mark = room_of->mark;
    uint8_t *done = room_of->done; // tokens safe from here on have been put already
    bool ids_are_tokens = t != &strings(f->g)->suffixes; // else characters cannot be counted
    at[0] = *from;
    mark[0] = chunk_mark(mem);
    done[0] = 0;
    while (i < end) {
        const struct trie_node *n = &t->node[i];
        uint32_t d = n->depth - depth;
        if (done[d - 1] && n->safe_from <= done[d - 1]) {
            i = n->skip;
            continue;
        }
        if (!pos_may_begin(f->g, &at[d - 1], n->byte)) {
            i = n->skip;
            continue;
        }
        chunk_rewind(mem, mark[d - 1]);
        room_of->byte[d - 1] = n->byte;
        f->g->guesses = 0;
        if (!pos_step(f->g, mem, &at[d - 1], n->byte, &at[d]) ||
            (is_guessed(f->g, &at[0], &at[d]) &&
             !step_surely(f->g, &at[0], room_of->byte, d, &at[d]))) {
            i = n->skip;
            continue;
        }
        mark[d] = chunk_mark(mem);
        done[d] = done[d - 1];
        if (n->n_token && !(done[d] && t->safe_from[n->token] <= done[d]) &&
            fits_surely(f, &at[0], room_of->byte, d, &at[d]))
            for (uint32_t k = 0; k < n->n_token; k++) put(f, t->token[n->token + k]);
        uint32_t min, room;
        if (!done[d] && n->depth < 255 && n->skip > i + 1 && is_free(f, &at[d], &min, &room) &&
            (room == NONE || (ids_are_tokens && n->safe_from <= n->depth && !is_unknown(&at[d]))) &&
            fits_freely(f, &at[d])) {
            put_subtree(f, t, i, room);
            done[d] = (uint8_t)n->depth;
        }
        i++;
    }
    chunk_rewind(mem, mark[0]);
}

static bool is_excepted(const struct fill *f, int32_t token)
{
    return f->n_except && has_bit(f->is_except, (uint32_t)token);
}

static void add_except(struct fill *f, int32_t token)
{
    f->except[f->n_except++] = token;
    set_bit(f->is_except, (uint32_t)token);
}

// Looks at a token on its own.
static void put_alone(struct fill *f, const struct pos *from, int32_t token)
{
    const grammar_vocab *v = f->g->v;
    struct chunk_mark mark = chunk_mark(&f->g->step);
    const uint8_t *byte = (const uint8_t *)v->bytes[token];
    struct pos at = *from, next;
    bool alive = true, guessed = false;
    f->g->guesses = 0;
    for (uint32_t k = 0; k < v->len[token] && alive && !guessed; k++, at = next) {
        alive = pos_step(f->g, &f->g->step, &at, byte[k], &next);
        guessed = alive && is_guessed(f->g, from, &next);
    }
    if (guessed) alive = step_surely(f->g, from, byte, v->len[token], &at);
    if (alive && fits(f, &at)) put(f, token);
    chunk_rewind(&f->g->step, mark);
}

// Where elements are compared, what comes before the quote matters to a value after it.
static bool remembers(const struct pos *p)
{
    return p->top->record || p->top->distinct != LEX_EMPTY;
}

// So it does to another key of the same object.
static bool looks_back(const struct pos *p)
{
    return remembers(p) || p->mode == M_KEY;
}

// Where the text of a group leads behind a string that ended: is that so whatever the string is?
static bool group_holds_for_all(struct fill *f, const struct pos *closed, uint32_t group)
{
    const struct string_tables *t = strings(f->g);
    int32_t token = t->quote[t->group[group]].token;
    const char *text = f->g->v->bytes[token];
    uint32_t len = f->g->v->len[token], i = 0;
    while (text[i] != '"') i += text[i] == '\\' ? 2 : 1;
    struct chunk_mark mark = chunk_mark(&f->g->step);
    struct pos at = *closed, next;
    bool alive = true;
    f->g->guesses = 0;
    for (i++; i < len && alive; i++, at = next)
        alive = pos_step(f->g, &f->g->step, &at, (uint8_t)text[i], &next);
    bool holds = alive && !pos_unclear(f->g, &f->g->step, &at, 1);
    chunk_rewind(&f->g->step, mark);
    return holds;
}

// Tokens with this suffix after their quote, of min to room characters before it.
static void put_group(struct fill *f, const struct pos *p, uint32_t group, bool look, uint32_t min,
                      uint32_t room)
{
    const struct string_tables *t = strings(f->g);
    for (uint32_t i = t->group[group]; i < t->group[group + 1]; i++) {
        if (t->quote[i].points < min || t->quote[i].points > room ||
            is_excepted(f, t->quote[i].token))
            continue;
        if (look)
            put_alone(f, p, t->quote[i].token);
        else
            put(f, t->quote[i].token);
    }
}

// What may come after the quote of a string or a key that leads to `closed`: [groups] 1: it may,
// 2: perhaps, where what comes before the quote matters.
static uint8_t *suffixes_of(struct fill *f, const struct pos *p, const struct pos *closed)
{
    const struct string_tables *t = strings(f->g);
    struct fill suffixes = {.g = f->g, .limit = f->limit, .measure = f->measure};
    uint8_t *allowed = chunk_alloc(&f->g->step, t->suffixes.n_token + 1);
    if (t->suffixes.n_token && t->suffixes.node[0].token == 1 && fits(f, closed)) allowed[0] = 1;
    walk(&suffixes, &t->suffixes, 0, t->suffixes.n, 0, closed);
    for (uint32_t i = 0; i < suffixes.n; i++) allowed[suffixes.token[i]] = 1;
    for (uint32_t i = 0; suffixes.dense && i < t->suffixes.n_token; i++)
        if (has_bit(suffixes.dense, i)) allowed[i] = 1;
    bool known = p->mode == M_STRING && p->top->distinct == LEX_EMPTY; // without the string itself
    for (uint32_t i = 0; looks_back(p) && i < t->suffixes.n_token; i++) {
        if ((t->simple[i] && !known) || (known && !allowed[i])) continue;
        if (p->mode == M_KEY && !t->of_key[i]) continue;
        if (!known || !group_holds_for_all(f, closed, i)) allowed[i] = 2; // looked at one by one
    }
    if (suffixes.longest > f->longest) f->longest = suffixes.longest;
    free(suffixes.token);
    free(suffixes.dense);
    return allowed;
}

// All tokens that end the lexeme with a quote, which leads to `closed`. Where any number of
// characters may come before it, those that have nothing after it are in the base.
static void put_quotes(struct fill *f, const struct pos *p, const struct pos *closed, uint32_t min,
                       uint32_t room)
{
    const struct string_tables *t = strings(f->g);
    const uint8_t *allowed = suffixes_of(f, p, closed);
    bool empty = t->suffixes.n_token && t->suffixes.node[0].token == 1; // stands above the trie
    if (empty && allowed[0]) {
        if (min == 0 && f->base == t->open) {
            f->base = t->closed;
            f->n_base = t->n_closed;
            for (uint32_t i = 0; i < f->n_except; i++)
                if (has_bit(t->closed, (uint32_t)f->except[i]) &&
                    !has_bit(t->open, (uint32_t)f->except[i]))
                    f->less[f->n_less++] = f->except[i];
        } else {
            put_group(f, p, 0, false, min, room);
        }
    }
    for (uint32_t i = empty; i < t->suffixes.n_token; i++)
        if (allowed[i]) put_group(f, p, i, allowed[i] == 2, min, room);
}

// Does a token have a backslash before its quote? Then it has been walked.
static bool is_walked(const grammar_vocab *v, int32_t token)
{
    const char *text = v->bytes[token], *end = memchr(text, '"', v->len[token]);
    return memchr(text, '\\', (size_t)(end - text));
}

// The same where tokens with a backslash have been walked.
static void put_plain_quotes(struct fill *f, const struct pos *p, const struct pos *closed,
                             uint32_t min, uint32_t room)
{
    const grammar_vocab *v = f->g->v;
    struct fill all = *f;
    all.token = NULL;
    all.dense = NULL;
    all.n = all.cap = 0;
    all.base = NULL;
    put_quotes(&all, p, closed, min, room);
    for (uint32_t i = 0; i < all.n; i++)
        if (!is_walked(v, all.token[i])) put(f, all.token[i]);
    for (int w = 0; w < tables(f->g)->words && all.dense; w++)
        for (uint64_t b = all.dense[w]; b; b &= b - 1)
            if (!is_walked(v, w * 64 + __builtin_ctzll(b))) put(f, w * 64 + __builtin_ctzll(b));
    f->longest = all.longest;
    free(all.token);
    free(all.dense);
}

// ---- lexemes ----

// Tokens that end the lexeme and go on with what may come then; closed NULL: nothing may.
static void put_closing(struct fill *f, const struct pos *p, const struct lexeme *x,
                        const struct pos *closed, const uint8_t *allowed)
{
    const struct trie *t = &tables(f->g)->all;
    const uint16_t *group = strings(f->g)->group_of;
    for (uint32_t i = 0; i < x->closing.n; i++) {
        int32_t token = x->closing.v[i];
        if (!allowed[group[token]] || is_excepted(f, token)) continue;
        if (allowed[group[token]] == 2)
            put_alone(f, p, token);
        else
            put(f, token);
    }
    for (uint32_t i = 0; i < x->nodes.n; i++) {
        uint32_t at = (uint32_t)x->nodes.v[i];
        const struct trie_node *n = &t->node[at];
        if (remembers(p)) {
            for (uint32_t k = n->token; k < t->node[n->skip].token; k++)
                put_alone(f, p, t->token[k]);
            continue;
        }
        if (n->n_token && fits(f, closed))
            for (uint32_t k = 0; k < n->n_token; k++) put(f, t->token[n->token + k]);
        walk(f, t, at + 1, n->skip, n->depth, closed);
    }
}

// How the keys go on that are taken or declared and begin with what is written of this one.
struct spent {
    const char **text;
    uint32_t *len;
    uint32_t n;
};

static void add_spent(struct spent *v, const char *prefix, uint32_t n, const char *key,
                      uint32_t len)
{
    if (len < n || memcmp(key, prefix, n) != 0) return;
    v->text[v->n] = key + n;
    v->len[v->n++] = len - n;
}

static struct spent spent_keys(struct fill *f, const struct pos *p)
{
    const struct keys *k = p->top->keys;
    uint32_t n = k->n, len = p->key ? p->key->len : 0;
    for (const struct seen_key *x = p->top->extra; x; x = x->before) n++;
    struct spent v = {.text = chunk_alloc(&f->g->step, (n + 1) * sizeof *v.text),
                      .len = chunk_alloc(&f->g->step, (n + 1) * sizeof *v.len)};
    char *prefix = chunk_alloc(&f->g->step, len + 1);
    const struct text_byte *b = p->key;
    for (uint32_t i = len; i-- > 0; b = b->before) prefix[i] = b->byte;
    for (uint32_t i = 0; i < k->n; i++)
        add_spent(&v, prefix, len, f->g->names[k->name[i]].text, f->g->names[k->name[i]].len);
    for (const struct seen_key *x = p->top->extra; x; x = x->before)
        add_spent(&v, prefix, len, x->text, x->len);
    return v;
}

// With this token the key begins as no spent one does: then a member that is left goes on so. Only
// seen where the token is plain ASCII, so that it means what it spells.
static bool is_unspent(const struct spent *v, const char *text, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (text[i] == '\\' || (uint8_t)text[i] >= 0x80) return false;
    for (uint32_t i = 0; i < v->n; i++)
        if (v->len[i] >= n && memcmp(v->text[i], text, n) == 0) return false;
    return true;
}

// Tokens that lead to states of few members. A key is written in plain characters so far.
static void put_few(struct fill *f, const struct pos *p, const struct lexeme *x)
{
    const grammar_vocab *v = f->g->v;
    bool known = p->mode == M_KEY && f->limit == NO_LIMIT && !f->measure;
    struct spent spent = known && x->few.n ? spent_keys(f, p) : (struct spent){0};
    for (uint32_t i = 0; i < x->few.n; i++) {
        int32_t token = x->few.v[i];
        if (known && is_unspent(&spent, v->bytes[token], v->len[token]))
            put(f, token);
        else
            put_alone(f, p, token);
    }
}

static void put_inside(struct fill *f, const struct pos *p, const struct lexeme *x)
{
    f->base = x->base;
    f->n_base = x->n_base;
    f->shared = x->own;
    if (x->own) x->own->refs++;
    for (uint32_t i = 0; i < x->inside.n; i++) put(f, x->inside.v[i]);
    put_few(f, p, x);
}

static const struct mask *unlimited_mask(grammar *g, const struct pos *p, bool measure);

static bool fill_lexeme(struct fill *f, const struct pos *p)
{
    grammar *g = f->g;
    if (p->mode != M_STRING || p->choices->n != 1) return false;
    struct chunk_mark mark = chunk_mark(&g->step);
    struct pos closed;
    struct lexeme own = {0};
    const struct lexeme *x = &own;
    uint32_t tail = 0;
    if (f->limit != NO_LIMIT || f->measure) tail = pos_finish(g, p) - lex_rest(g->x, p->s);
    bool closes = pos_close_string(g, &g->step, p, &closed);
    uint8_t *allowed = closes ? suffixes_of(f, p, &closed) : NULL;
    if (f->limit == NO_LIMIT)
        x = lexeme_of(g, p->s, false);
    else
        lexeme_make(g, p->s, false, tail <= f->limit ? f->limit - tail : 0, &own);
    // What was made for a state alike may be for one that is nearer its end.
    uint32_t furthest = f->measure ? lex_furthest(g->x, p->s, x->furthest) : x->furthest;
    uint32_t longest = far_add(furthest, tail);
    if (longest > f->longest) f->longest = longest;
    if (tail <= f->limit) put_inside(f, p, x);
    if (closes) put_closing(f, p, x, &closed, allowed);
    lexeme_release(&own);
    chunk_rewind(&g->step, mark);
    return true;
}

// One of distinct words: of the tokens that would be allowed if none were taken, those that lead to
// one that is left.
static bool fill_distinct(struct fill *f, const struct pos *p)
{
    struct pos free;
    struct chunk_mark mark = chunk_mark(&f->g->step);
    if (!pos_without_taken(&f->g->step, p, &free)) return false;
    const struct mask *m = unlimited_mask(f->g, &free, false);
    for (int w = 0; w < tables(f->g)->words && m->base; w++) {
        uint64_t bits = m->base[w];
        for (; bits; bits &= bits - 1) put_alone(f, p, w * 64 + __builtin_ctzll(bits));
    }
    for (uint32_t i = m->n_less; i < m->n_less + m->n; i++) put_alone(f, p, m->token[i]);
    chunk_rewind(&f->g->step, mark);
    return true;
}

// ---- masks known beforehand ----

static bool fill_string(struct fill *f, const struct pos *p)
{
    const struct vocab_tables *t = tables(f->g);
    uint32_t min, room;
    struct pos at = *p, next, closed;
    if (p->mode != M_STRING || !is_free(f, p, &min, &room) || !fits_freely(f, p)) return false;
    if (room == NONE) {
        f->base = strings(f->g)->open;
        f->n_base = strings(f->g)->n_open;
    } else {
        uint32_t at_most = min_of(room, SAFE_POINTS);
        f->base = t->safe[at_most - 1];
        f->n_base = t->n_safe[at_most - 1];
        for (uint32_t i = 0; i < t->n_odd; i++)
            if (t->odd[i].points <= room) put(f, t->odd[i].token);
        walk(f, &t->escaped, 0, t->escaped.n, 0, p);
    }
    struct chunk_mark mark = chunk_mark(&f->g->step);
    bool ends = min <= SAFE_POINTS;
    for (uint32_t i = 0; i < min && ends; i++, at = next)
        ends = pos_step(f->g, &f->g->step, &at, 'a', &next);
    if (ends && pos_step(f->g, &f->g->step, &at, '"', &closed)) {
        if (room == NONE)
            put_quotes(f, p, &closed, min, room);
        else
            put_plain_quotes(f, p, &closed, min, room);
    }
    chunk_rewind(&f->g->step, mark);
    return true;
}

// Adds what another fill found to the mask of f.
static void absorb(struct fill *f, struct fill *one)
{
    int words = tables(f->g)->words;
    const uint64_t *base = one->base, *dense = one->dense;
    for (int w = 0; w < words && base; w++) f->dense[w] |= base[w];
    for (int w = 0; w < words && dense; w++) f->dense[w] |= dense[w];
    for (uint32_t k = 0; k < one->n; k++) set_bit(f->dense, (uint32_t)one->token[k]);
    if (one->longest > f->longest) f->longest = one->longest;
    bits_release(one->shared);
    free(one->token);
    free(one->dense);
}

static void add_mask(struct fill *f, const struct mask *m)
{
    int words = tables(f->g)->words;
    // What the base has too much is put back: it may be there for another reason.
    uint64_t *kept = chunk_alloc(&f->g->step, (m->n_less + 1) * sizeof *kept);
    for (uint32_t i = 0; i < m->n_less; i++) kept[i] = has_bit(f->dense, (uint32_t)m->token[i]);
    for (int w = 0; w < words && m->base; w++) f->dense[w] |= m->base[w];
    for (uint32_t i = 0; i < m->n_less; i++)
        if (!kept[i]) f->dense[m->token[i] / 64] &= ~(1ull << (m->token[i] % 64));
    for (uint32_t i = m->n_less; i < m->n_less + m->n; i++)
        set_bit(f->dense, (uint32_t)m->token[i]);
}

// A string that can be read in several ways may go on as any of them does.
static bool fill_readings(struct fill *f, const struct pos *p)
{
    grammar *g = f->g;
    if (p->mode != M_STRING || p->choices->n < 2) return false;
    struct chunk_mark mark = chunk_mark(&g->step);
    bool known = f->limit == NO_LIMIT && !f->measure && !p->top->record;
    f->dense = mem_new((size_t)tables(g)->words * sizeof *f->dense);
    for (uint32_t i = 0; i < p->choices->n; i++) {
        struct fill one = {.g = g, .limit = f->limit, .measure = f->measure};
        struct pos reading = pos_reading(&g->step, p, i);
        if (known) {
            add_mask(f, unlimited_mask(g, &reading, false));
            continue;
        }
        if (!fill_string(&one, &reading)) fill_lexeme(&one, &reading);
        absorb(f, &one);
    }
    chunk_rewind(&g->step, mark);
    return true;
}

// Follows text and then a quote from the root of the trie; the node they end at, or NONE.
static uint32_t follow(const struct trie *t, const char *text, uint32_t n)
{
    uint8_t c = n ? (uint8_t)text[0] : '"';
    uint32_t i = t->first[c], end = t->first[c + 1];
    for (uint32_t k = 0;; k++) {
        c = k < n ? (uint8_t)text[k] : '"';
        while (i < end && t->node[i].byte < c) i = t->node[i].skip;
        if (i >= end || t->node[i].byte != c) return NONE;
        if (k == n) return i;
        end = t->node[i].skip;
        i++;
    }
}

struct special { // a key that is not like any other, as far as it is still to be written
    const char *text;
    uint32_t len;
    uint32_t points; // characters
    bool raw;        // nothing in it has to be escaped
};

static void add_special(struct special *v, uint32_t *n, const char *prefix, uint32_t n_prefix,
                        const char *name, uint32_t len)
{
    if (len < n_prefix || memcmp(name, prefix, n_prefix) != 0) return;
    struct special *s = &v[(*n)++];
    s->raw = quoted_bytes(name, len) == len + 2;
    s->text = name + n_prefix;
    s->len = len - n_prefix;
    s->points = count_points(s->text, s->len);
}

// Declared names and taken keys that begin as the key written so far does.
static struct special *specials(struct fill *f, const struct pos *p, uint32_t *n)
{
    const struct keys *k = p->top->keys;
    uint32_t lo = 0, hi = 0, n_extra = 0, len = p->key ? p->key->len : 0;
    char *prefix = chunk_alloc(&f->g->step, len + 1);
    const struct text_byte *b = p->key;
    for (uint32_t i = len; i-- > 0; b = b->before) prefix[i] = b->byte;
    lex_state s = k->words; // whether or not one of them is still allowed
    for (uint32_t i = 0; i < len && s != LEX_DEAD; i++)
        s = lex_step(f->g->x, s, (uint8_t)prefix[i]);
    if (s == LEX_DEAD || !lex_words_range(f->g->x, s, &lo, &hi)) lo = hi = 0;
    for (const struct seen_key *x = p->top->extra; x; x = x->before) n_extra++;
    struct special *v = chunk_alloc(&f->g->step, (hi - lo + n_extra + 1) * sizeof *v);
    for (uint32_t i = lo; i < hi; i++) {
        const struct name *x = &f->g->names[k->name[k->by_bytes[i]]];
        add_special(v, n, prefix, len, x->text, x->len);
    }
    for (const struct seen_key *x = p->top->extra; x; x = x->before)
        add_special(v, n, prefix, len, x->text, x->len);
    return v;
}

static void put_special(struct fill *f, const struct pos *p, const struct special *s, uint32_t node)
{
    const struct trie *t = &tables(f->g)->all;
    struct chunk_mark mark = chunk_mark(&f->g->step);
    struct pos at = *p, next;
    bool alive = true;
    for (uint32_t i = 0; i <= s->len && alive; i++, at = next) {
        uint8_t c = i < s->len ? (uint8_t)s->text[i] : '"';
        alive = pos_step(f->g, &f->g->step, &at, c, &next);
    }
    if (alive) {
        const struct trie_node *n = &t->node[node];
        if (n->n_token && fits(f, &at))
            for (uint32_t k = 0; k < n->n_token; k++) put(f, t->token[n->token + k]);
        walk(f, t, node + 1, n->skip, n->depth, &at);
    }
    chunk_rewind(&f->g->step, mark);
}

static bool plain_prefix(const struct pos *p)
{
    for (const struct text_byte *b = p->key; b; b = b->before)
        if (b->byte == '\\') return false;
    return true;
}

// The tokens of the subtrees at `node` are left to put_special.
static void except_specials(struct fill *f, const struct special *v, const uint32_t *node,
                            uint32_t n)
{
    const struct trie *t = &tables(f->g)->all;
    const struct string_tables *q = strings(f->g);
    uint32_t m = q->n_quote;
    for (uint32_t i = 0; i < n; i++)
        if (node[i] != NONE) m += t->node[t->node[node[i]].skip].token - t->node[node[i]].token;
    f->except = mem_new((m + 1) * sizeof *f->except);
    f->less = mem_new((m + 1) * sizeof *f->less);
    f->is_except = mem_new((size_t)tables(f->g)->words * sizeof *f->is_except);
    for (uint32_t i = 0; i < n; i++) {
        if (node[i] == NONE) continue;
        uint32_t end = t->node[t->node[node[i]].skip].token;
        for (uint32_t k = t->node[node[i]].token; k < end; k++) add_except(f, t->token[k]);
    }
    for (uint32_t i = 0; i < q->n_quote && n; i++) // a name may be spelt with escapes
        for (uint32_t k = 0; k < n && q->quote[i].escaped; k++)
            if (q->quote[i].points == v[k].points && !is_excepted(f, q->quote[i].token)) {
                add_except(f, q->quote[i].token);
                break;
            }
}

// Tokens that spell the end of some key with escapes, one by one.
static void put_escaped(struct fill *f, const struct pos *p)
{
    const grammar_vocab *v = f->g->v;
    for (uint32_t i = 0; i < f->n_except; i++) {
        const char *text = v->bytes[f->except[i]];
        const char *end = memchr(text, '"', v->len[f->except[i]]); // or that of an escaped quote
        if (memchr(text, '\\', (size_t)(end - text))) put_alone(f, p, f->except[i]);
    }
}

// What is kept of a key are whole characters: half of one is no part of it yet.
static bool is_within_character(const struct fill *f, const struct pos *p)
{
    lex_state s = p->other;
    for (uint32_t c = 0; p->choices && s == LEX_DEAD && c < p->choices->n; c++)
        s = CHOICE_STATES(p->choices)[c];
    return s != LEX_DEAD && !lex_between(f->g->x, s);
}

// Undeclared keys that may be any: all that a token without a quote does is known.
static bool fill_free_keys(struct fill *f, const struct pos *p)
{
    struct chunk_mark mark = chunk_mark(&f->g->step);
    struct pos closed;
    f->base = strings(f->g)->open;
    f->n_base = strings(f->g)->n_open;
    if (pos_close_key(f->g, &f->g->step, p, p->top->keys->n, &closed))
        put_quotes(f, p, &closed, 0, NONE);
    chunk_rewind(&f->g->step, mark);
    return true;
}

// Undeclared keys of a class, the one with number c.
static void fill_class(struct fill *f, const struct pos *p, uint32_t c, lex_state s)
{
    grammar *g = f->g;
    struct chunk_mark mark = chunk_mark(&g->step);
    struct pos closed;
    bool closes = pos_close_key(g, &g->step, p, p->top->keys->n + c, &closed);
    uint8_t *allowed = closes ? suffixes_of(f, p, &closed) : NULL;
    const struct lexeme *x = lexeme_of(g, s, p->top->extra || p->top->keys->n);
    put_inside(f, p, x);
    if (closes) put_closing(f, p, x, &closed, allowed);
    chunk_rewind(&g->step, mark);
}

// What may come after the quote of a key: [groups] 1: whatever its class, 0: for none of them, 2:
// that depends on it.
static uint8_t *suffixes_of_classes(struct fill *f, const struct pos *p)
{
    grammar *g = f->g;
    uint32_t n = strings(g)->suffixes.n_token + 1;
    uint8_t *all = NULL;
    for (uint32_t c = 0; c < p->choices->n; c++) {
        struct pos closed;
        if (CHOICE_STATES(p->choices)[c] == LEX_DEAD) continue;
        bool closes = pos_close_key(g, &g->step, p, p->top->keys->n + c, &closed);
        uint8_t *one = closes ? suffixes_of(f, p, &closed) : chunk_alloc(&g->step, n);
        for (uint32_t i = 0; i < n && all; i++)
            if (all[i] != one[i]) all[i] = 2;
        if (!all) all = one;
    }
    return all;
}

// All classes that may come at once, as the one language that they are together. Only what follows
// the quote can depend on the class.
static bool fill_all_classes(struct fill *f, const struct pos *p)
{
    grammar *g = f->g;
    const struct keys *k = p->top->keys;
    if (!p->choices) return false;
    lex_state s = keys_together(g, k, pos_classes(g, &g->step, p));
    if (s == LEX_DEAD) return false;
    struct chunk_mark mark = chunk_mark(&g->step);
    uint32_t len = p->key ? p->key->len : 0;
    char *key = chunk_alloc(&g->step, len + 1);
    const struct text_byte *b = p->key;
    for (uint32_t i = len; i-- > 0; b = b->before) key[i] = b->byte;
    for (uint32_t i = 0; i < len && s != LEX_DEAD; i++) s = lex_step(g->x, s, (uint8_t)key[i]);
    if (s != LEX_DEAD && lex_between(g->x, s)) {
        uint8_t *allowed = suffixes_of_classes(f, p);
        const struct lexeme *x = lexeme_of(g, s, p->top->extra || k->n);
        put_inside(f, p, x);
        if (allowed) put_closing(f, p, x, NULL, allowed);
    }
    chunk_rewind(&g->step, mark);
    return s == LEX_DEAD || lex_between(g->x, s);
}

static void fill_classes(struct fill *f, const struct pos *p)
{
    const struct trie *all = &tables(f->g)->all;
    uint32_t n = p->top->keys->n_class;
    if (n == 1 && p->s == LEX_DEAD && p->other != LEX_DEAD) {
        fill_class(f, p, 0, p->other);
        return;
    }
    f->dense = mem_new((size_t)tables(f->g)->words * sizeof *f->dense);
    struct fill whole = {.g = f->g,
                         .limit = NO_LIMIT,
                         .except = f->except,
                         .is_except = f->is_except,
                         .n_except = f->n_except};
    bool at_once = fill_all_classes(&whole, p);
    if (at_once) absorb(f, &whole);
    for (uint32_t c = 0; c < n && !at_once; c++) {
        lex_state s = p->choices ? CHOICE_STATES(p->choices)[c] : p->other;
        struct fill one = whole;
        if (s == LEX_DEAD) continue;
        fill_class(&one, p, c, s);
        absorb(f, &one);
    }
    if (p->s == LEX_DEAD) return;
    struct chunk_mark mark = chunk_mark(&f->g->step);
    struct pos names = *p; // declared names
    names.other = LEX_DEAD;
    names.choices = NULL;
    if (n > 1) {
        struct choices *none =
            chunk_alloc(&f->g->step, sizeof *none + ((n + 1) & ~1u) * sizeof(lex_state));
        none->n = n;
        names.choices = none;
    }
    walk(f, all, 0, all->n, 0, &names);
    chunk_rewind(&f->g->step, mark);
}

static bool fill_key(struct fill *f, const struct pos *p)
{
    const struct trie *all = &tables(f->g)->all;
    uint32_t min, room, n = 0;
    if (p->mode != M_KEY || !plain_prefix(p) || !p->top->keys->n_class) return false;
    if (is_within_character(f, p)) return false;
    bool free_keys = is_free(f, p, &min, &room) && fits_freely(f, p);
    if (!free_keys && (f->limit != NO_LIMIT || f->measure)) return false;
    struct chunk_mark mark = chunk_mark(&f->g->step);
    struct special *v = specials(f, p, &n);
    uint32_t *node = chunk_alloc(&f->g->step, (n + 1) * sizeof *node);
    for (uint32_t i = 0; i < n; i++) node[i] = v[i].raw ? follow(all, v[i].text, v[i].len) : NONE;
    except_specials(f, v, node, n);
    if (free_keys)
        fill_free_keys(f, p);
    else
        fill_classes(f, p);
    put_escaped(f, p);
    for (uint32_t i = 0; i < n; i++)
        if (node[i] != NONE) put_special(f, p, &v[i], node[i]);
    free(f->except);
    free(f->is_except);
    f->n_except = 0;
    chunk_rewind(&f->g->step, mark);
    return true;
}

void fill_bits(struct fill *f, const uint64_t *bits)
{
    int words = tables(f->g)->words;
    if (!f->dense && f->n + (uint32_t)count_bits(bits, words) > LIST_MAX) make_dense(f);
    for (int w = 0; w < words && f->dense; w++) f->dense[w] |= bits[w];
    for (int w = 0; w < words && !f->dense; w++)
        for (uint64_t b = bits[w]; b; b &= b - 1) put(f, w * 64 + __builtin_ctzll(b));
}

void fill_base(struct fill *f, const uint64_t *bits, int n)
{
    f->base = bits;
    f->n_base = n;
}

bool fill_fits(struct fill *f, const struct pos *p)
{
    return fits(f, p);
}

bool fill_counts(const struct fill *f)
{
    return f->limit != NO_LIMIT || f->measure;
}

bool fill_fits_at(struct fill *f, uint32_t finish)
{
    if (f->limit == NO_LIMIT && !f->measure) return true;
    if (f->limit != NO_LIMIT && finish > f->limit) return false;
    if (finish > f->longest) f->longest = finish;
    return true;
}

static void fill_end(struct fill *f, const struct pos *p)
{
    struct chunk_mark mark = chunk_mark(&f->g->step);
    if (f->g->rules && p->mode == M_NUMBER) rules_fill_behind(f->g, f, p);
    if (pos_may_end(f->g, &f->g->step, p)) put(f, f->g->v->end);
    chunk_rewind(&f->g->step, mark);
}

// Where few bytes can come, only their branches are gone to.
static void walk_branches(struct fill *f, const struct pos *p)
{
    const struct trie *t = &tables(f->g)->all;
    for (uint32_t b = 0; b < 256; b++)
        if (t->first[b] < t->first[b + 1] && pos_may_begin(f->g, p, (uint8_t)b))
            walk(f, t, t->first[b], t->first[b + 1], 0, p);
}

static void fill_all(struct fill *f, const struct pos *p)
{
    // Where elements are compared, the finish depends on the very text of this one.
    if (p->top && remembers(p) && f->limit != NO_LIMIT) {
        bool guess = f->g->guess;
        f->g->guess = true;
        walk_branches(f, p);
        f->g->guess = guess;
        fill_end(f, p);
        return;
    }
    if (p->mode == M_RULES)
        rules_fill(f->g, f, p);
    else if (!fill_distinct(f, p) && !fill_string(f, p) && !fill_lexeme(f, p) &&
             !fill_readings(f, p) && !fill_key(f, p))
        walk_branches(f, p);
    fill_end(f, p);
}

static int write_mask(const grammar *g, const struct mask *m, uint64_t *bits)
{
    size_t bytes = (size_t)tables(g)->words * sizeof *bits;
    if (m->base)
        memcpy(bits, m->base, bytes);
    else
        memset(bits, 0, bytes);
    const int32_t *t = m->token;
    for (uint32_t i = 0; i < m->n_less; i++, t++) bits[*t / 64] &= ~(1ull << (*t % 64));
    for (uint32_t i = 0; i < m->n; i++, t++) bits[*t / 64] |= 1ull << (*t % 64);
    return m->n_base - (int)m->n_less + (int)m->n;
}

// What was filled as one list of its own, or as one mask.
static struct mask finished_mask(struct fill *f, bool measured)
{
    int words = tables(f->g)->words;
    struct mask m = {
        .base = f->base, .shared = f->shared, .n_base = f->n_base, .n_less = f->n_less, .n = f->n};
    m.longest = measured ? f->longest : NO_LIMIT;
    if (f->dense) {
        for (int w = 0; w < words && f->base; w++) f->dense[w] |= f->base[w];
        bits_release(f->shared);
        m = (struct mask){.base = f->dense, .own = f->dense, .longest = m.longest};
        m.n_base = count_bits(f->dense, words);
    } else {
        m.token = mem_grow(NULL, (f->n_less + f->n + 1) * sizeof *m.token);
        if (f->n_less) memcpy(m.token, f->less, f->n_less * sizeof *m.token);
        if (f->n) memcpy(m.token + f->n_less, f->token, f->n * sizeof *m.token);
    }
    free(f->less);
    free(f->token);
    return m;
}

static void mask_release(struct mask *m)
{
    free(m->token);
    free(m->own);
    bits_release(m->shared);
}

// ---- the cache ----

struct mask_cache *mask_cache_new(void)
{
    return mem_new(sizeof(struct mask_cache));
}

static void cache_clear(struct mask_cache *c)
{
    for (uint32_t i = 0; i < c->cap; i++) mask_release(&c->entry[i].mask);
    free(c->entry);
    *c = (struct mask_cache){0};
}

void mask_cache_free(struct mask_cache *c)
{
    if (c) cache_clear(c);
    free(c);
}

size_t mask_cache_bytes(const struct mask_cache *c)
{
    return c->bytes + c->cap * sizeof *c->entry;
}

static struct mask *cache_find(struct mask_cache *c, struct digest key)
{
    for (uint32_t i = (uint32_t)key.h[1] & (c->cap - 1); c->cap; i = (i + 1) & (c->cap - 1)) {
        struct cache_entry *x = &c->entry[i];
        if (!x->used) return NULL;
        if (x->key.h[0] == key.h[0] && x->key.h[1] == key.h[1]) return &x->mask;
    }
    return NULL;
}

static void cache_insert(struct mask_cache *c, struct cache_entry e)
{
    uint32_t i = (uint32_t)e.key.h[1] & (c->cap - 1);
    while (c->entry[i].used) i = (i + 1) & (c->cap - 1);
    c->entry[i] = e;
    c->n++;
}

static struct mask *cache_put(struct mask_cache *c, struct digest key, struct mask m, size_t words)
{
    size_t bytes = (m.n_less + m.n + 1) * sizeof *m.token + (m.own ? words * sizeof(uint64_t) : 0);
    if (c->bytes + bytes > CACHE_BYTES) cache_clear(c);
    if ((c->n + 1) * 2 > c->cap) {
        struct mask_cache old = *c;
        c->cap = old.cap ? old.cap * 2 : 16;
        c->entry = mem_new(c->cap * sizeof *c->entry);
        c->n = 0;
        for (uint32_t i = 0; i < old.cap; i++)
            if (old.entry[i].used) cache_insert(c, old.entry[i]);
        free(old.entry);
    }
    c->bytes += bytes;
    cache_insert(c, (struct cache_entry){key, m, true});
    return cache_find(c, key);
}

// The position of which p is one of many: no token can tell them apart.
static struct pos alike_pos(grammar *g, const struct pos *p)
{
    struct pos q = *p;
    if (p->mode != M_STRING || p->top->record) return q;
    if (p->choices->n == 1)
        q.s = lex_alike(g->x, p->s, REACH_FAR);
    else
        q.choices = choices_alike(g, &g->step, p->choices);
    return q;
}

static const struct mask *unlimited_mask(grammar *g, const struct pos *from, bool measure)
{
    struct chunk_mark mark = chunk_mark(&g->step);
    struct pos p = measure ? *from : alike_pos(g, from);
    struct digest key = pos_digest(&p);
    struct mask *m = cache_find(g->cache, key);
    if (m && (!measure || m->longest != NO_LIMIT)) {
        chunk_rewind(&g->step, mark);
        return m;
    }
    struct fill f = {.g = g, .limit = NO_LIMIT, .measure = measure};
    bool guess = g->guess;
    g->guess = true;
    fill_all(&f, &p);
    g->guess = guess;
    chunk_rewind(&g->step, mark);
    struct mask made = finished_mask(&f, measure);
    if (!m) return cache_put(g->cache, key, made, (size_t)tables(g)->words);
    m->longest = made.longest; // it was made without a measure
    mask_release(&made);
    return m;
}

static uint32_t looser(uint32_t limit)
{
    return limit + limit / 4 + 2;
}

int mask_make(grammar *g, const struct pos *p, int budget, uint64_t *bits)
{
    size_t bytes = (size_t)tables(g)->words * sizeof *bits;
    chunk_rewind(&g->work, (struct chunk_mark){0});
    if (p->mode == M_ENDED || (budget >= 0 && (uint32_t)budget < pos_finish(g, p) + 1)) {
        memset(bits, 0, bytes);
        return 0;
    }
    const struct mask *m = unlimited_mask(g, p, budget >= 0);
    if (budget < 0 || (uint32_t)budget >= m->longest + 2) return write_mask(g, m, bits);
    if (budget < 2) { // only the end token is left
        int32_t end = g->v->end;
        return write_mask(g, &(struct mask){.n = 1, .token = &end}, bits);
    }
    // After a token, its finish and the end token have to fit. The finish is an upper bound, so it
    // can happen that no token brings it down fast enough: then those that do best.
    int n = 0;
    for (uint32_t limit = (uint32_t)budget - 2; n == 0 && limit < FAR; limit = looser(limit)) {
        struct fill f = {.g = g, .limit = limit};
        fill_all(&f, p);
        struct mask near = finished_mask(&f, false);
        n = write_mask(g, &near, bits);
        mask_release(&near);
    }
    return n;
}

// The tokens after which the finish is at most `limit`, one by one.
static int slow_mask(grammar *g, const struct pos *from, uint32_t limit, uint64_t *bits)
{
    const grammar_vocab *v = g->v;
    struct chunks mem = {0};
    int n = 0;
    memset(bits, 0, (size_t)tables(g)->words * sizeof *bits);
    for (int32_t t = 0; t < v->n_token && from->mode != M_ENDED; t++) {
        struct pos p = *from, next;
        bool may =
            t == v->end ? pos_may_end(g, &mem, &p) : v->kind[t] != VOCAB_TEXT || v->len[t] > 0;
        chunk_rewind(&mem, (struct chunk_mark){0});
        chunk_rewind(&g->work, (struct chunk_mark){0});
        if (may && t != v->end && v->kind[t] != VOCAB_TEXT) {
            may = pos_added(g, &mem, from, t, &p);
        } else if (t != v->end) {
            for (uint32_t i = 0; may && i < v->len[t]; i++, p = next)
                may = pos_step(g, &mem, &p, (uint8_t)v->bytes[t][i], &next);
        }
        if (!may || (limit != NO_LIMIT && t != v->end && pos_finish(g, &p) > limit)) continue;
        bits[t / 64] |= 1ull << (t % 64);
        n++;
    }
    chunk_free(&mem);
    return n;
}

int mask_make_slow(grammar *g, const struct pos *p, int budget, uint64_t *bits)
{
    if (budget < 0) return slow_mask(g, p, NO_LIMIT, bits);
    memset(bits, 0, (size_t)tables(g)->words * sizeof *bits);
    chunk_rewind(&g->work, (struct chunk_mark){0});
    if (p->mode == M_ENDED || (uint32_t)budget < pos_finish(g, p) + 1) return 0;
    if (budget < 2) { // only the end token is left
        bits[g->v->end / 64] |= 1ull << (g->v->end % 64);
        return 1;
    }
    int n = 0;
    for (uint32_t limit = (uint32_t)budget - 2; n == 0 && limit < FAR; limit = looser(limit))
        n = slow_mask(g, p, limit, bits);
    return n;
}
