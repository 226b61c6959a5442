// Masks of positions by rules: a token may come when some thread alone can take it, so the mask is
// the union of theirs. Within text only the automaton's states matter until the text may end; what
// follows it then is the same wherever that is, and is only looked at where a byte fits it.
//
// Rules that can be read in many ways make steps slow, and the trie has hundreds of thousands of
// nodes. So no more of it is walked than has to be:
//   - Tokens of characters that lead a text back to where it is are taken at once, by their kinds.
//   - A subtree of which all tokens are taken is passed over.
//   - Threads at the same state of their texts are walked as one.
//   - Spots that are reached are kept for the walk, with the spots each byte leads to from there:
//     the same few come again and again, so that most steps are one look.
#include "base/mem.h"
#include "engine/grammar_rules.h"

#include <stdlib.h>
#include <string.h>

#define FEW_KINDS       24u // tokens of so few kinds are as quickly walked
#define SUBTREE_LEAST   4u  // nodes of a subtree that is worth a look at its kinds
#define SPOTS_MAX       4000u
#define SPOTS_BYTES_MAX ((size_t)6 << 20)
enum { SPOT_UNKNOWN, SPOT_DEAD, SPOT_FULL, SPOT_FIRST }; // else an index + SPOT_FIRST

struct spot {
    struct pos pos; // kept
    struct digest key;
    uint32_t finish;    // NO_LIMIT: not known yet
    struct kinds loops; // characters of which some thread stays where it is
    uint32_t loops_finish;
    uint16_t next[256];
};

struct walk {
    grammar *g;
    struct fill *f;
    const struct trie *t;
    uint64_t *bits; // tokens found so far
    struct spot **spot;
    uint16_t *slot; // [2 * SPOTS_MAX rounded up] by digest: SPOT_FIRST + index
    uint32_t n_spot;
    size_t bytes;
};
#define SLOTS 8192u

static bool is_taken(const struct walk *w, uint32_t from, uint32_t to)
{
    for (uint32_t k = from; k < to; k++)
        if (!has_bit(w->bits, (uint32_t)w->t->token[k])) return false;
    return true;
}

static void take_range(struct walk *w, uint32_t from, uint32_t to)
{
    for (uint32_t k = from; k < to; k++) set_bit(w->bits, (uint32_t)w->t->token[k]);
}

// ---- spots ----

static uint32_t finish_of(struct walk *w, const struct pos *p)
{
    struct chunk_mark mark = chunk_mark(&w->g->work);
    uint32_t finish = pos_finish(w->g, p);
    chunk_rewind(&w->g->work, mark);
    return finish;
}

// The widest of the kinds of characters of which some text of p stays where it is; the finish after
// them, with the three bytes more that an unfinished character needs.
static struct kinds loops_at(struct walk *w, const struct pos *p, uint32_t *finish)
{
    struct kinds widest = {{0}};
    *finish = FAR;
    for (uint32_t i = 0; p->mode == M_RULES && i < p->threads->n; i++) {
        const struct thread *t = &THREADS(p->threads)[i];
        if (t->json || t->s == LEX_DEAD) continue;
        struct kinds loops = lex_loops(w->g->raw, t->s);
        if (kinds_count(&loops) <= kinds_count(&widest)) continue;
        widest = loops;
        *finish = far_add(rules_thread_finish(w->g, t), 3);
    }
    return widest;
}

// The spot of p; SPOT_FULL: there is no more room.
static uint16_t spot_of(struct walk *w, const struct pos *p)
{
    struct digest key = pos_digest(p);
    uint32_t i = (uint32_t)key.h[0] & (SLOTS - 1);
    for (; w->slot && w->slot[i]; i = (i + 1) & (SLOTS - 1)) {
        const struct spot *x = w->spot[w->slot[i] - SPOT_FIRST];
        if (x->key.h[0] == key.h[0] && x->key.h[1] == key.h[1]) return w->slot[i];
    }
    if (w->n_spot == SPOTS_MAX || w->bytes > SPOTS_BYTES_MAX) return SPOT_FULL;
    if (!w->slot) {
        w->slot = mem_new(SLOTS * sizeof *w->slot);
        w->spot = mem_new(SPOTS_MAX * sizeof(struct spot *));
    }
    struct spot *x = mem_new(sizeof *x);
    x->pos = pos_keep(p);
    x->key = key;
    x->finish = NO_LIMIT;
    x->loops = loops_at(w, p, &x->loops_finish);
    w->bytes += sizeof *x + pos_bytes(&x->pos, NULL);
    w->spot[w->n_spot] = x;
    return w->slot[i] = (uint16_t)(SPOT_FIRST + w->n_spot++);
}

static void spots_free(struct walk *w)
{
    for (uint32_t i = 0; i < w->n_spot; i++) {
        pos_drop(&w->spot[i]->pos);
        free(w->spot[i]);
    }
    free(w->spot);
    free(w->slot);
}

static uint16_t step_spot(struct walk *w, struct spot *from, uint8_t c)
{
    struct pos next;
    if (from->next[c] != SPOT_UNKNOWN) return from->next[c];
    struct chunk_mark mark = chunk_mark(&w->g->step);
    uint16_t to = SPOT_DEAD;
    if (pos_may_begin(w->g, &from->pos, c) && pos_step(w->g, &w->g->step, &from->pos, c, &next))
        to = spot_of(w, &next);
    chunk_rewind(&w->g->step, mark);
    return from->next[c] = to;
}

static bool fits_spot(struct walk *w, struct spot *x)
{
    if (!fill_counts(w->f)) return true;
    if (x->finish == NO_LIMIT) x->finish = finish_of(w, &x->pos);
    return fill_fits_at(w->f, x->finish);
}

// Takes all that stands below a node when it is of kinds that loop there.
static bool take_below(struct walk *w, const struct trie_node *n, const struct kinds *loops,
                       uint32_t finish)
{
    if (!kinds_within(&n->below, loops) || !fill_fits_at(w->f, finish)) return false;
    take_range(w, n->token + n->n_token, w->t->node[n->skip].token);
    return true;
}

// The nodes from i on up to `end`, as children of one that `p` belongs to: step by step, where
// there is no room for spots.
static void walk_pos(struct walk *w, uint32_t i, uint32_t end, const struct pos *p)
{
    const struct trie *t = w->t;
    struct pos next;
    for (uint32_t after; i < end; i = after) {
        const struct trie_node *n = &t->node[i];
        after = n->skip;
        if (is_taken(w, n->token, t->node[after].token)) continue;
        struct chunk_mark mark = chunk_mark(&w->g->step);
        if (pos_may_begin(w->g, p, n->byte) && pos_step(w->g, &w->g->step, p, n->byte, &next)) {
            uint32_t finish;
            struct kinds loops = loops_at(w, &next, &finish);
            if (n->n_token && fill_fits(w->f, &next))
                take_range(w, n->token, n->token + n->n_token);
            if (!take_below(w, n, &loops, finish)) walk_pos(w, i + 1, after, &next);
        }
        chunk_rewind(&w->g->step, mark);
    }
}

// The same from a spot.
static void walk_spot(struct walk *w, uint32_t i, uint32_t end, struct spot *from)
{
    const struct trie *t = w->t;
    for (uint32_t after; i < end; i = after) {
        const struct trie_node *n = &t->node[i];
        after = n->skip;
        if (from->next[n->byte] == SPOT_DEAD || is_taken(w, n->token, t->node[after].token))
            continue;
        uint16_t to = step_spot(w, from, n->byte);
        if (to == SPOT_FULL) walk_pos(w, i, after, &from->pos);
        if (to < SPOT_FIRST) continue;
        struct spot *x = w->spot[to - SPOT_FIRST];
        if (n->n_token && fits_spot(w, x)) take_range(w, n->token, n->token + n->n_token);
        if (!take_below(w, n, &x->loops, x->loops_finish)) walk_spot(w, i + 1, after, x);
    }
}

static void walk_from(struct walk *w, uint32_t i, uint32_t end, const struct pos *p)
{
    uint16_t at = spot_of(w, p);
    if (at == SPOT_FULL)
        walk_pos(w, i, end, p);
    else
        walk_spot(w, i, end, w->spot[at - SPOT_FIRST]);
}

// ---- text ----

// Threads at one state of their texts, and what may follow them.
struct group {
    const struct thread *const *t;
    uint32_t n;
    lex_state s;
    uint32_t tail; // the least of theirs
    struct kinds loops;
    bool alive, full;
    struct spot *spot;
    struct pos pos; // where there is no room for a spot
};

// Tokens made of characters that lead from the group's state back to it are taken at once.
static void take_loops(struct walk *w, struct group *x)
{
    const struct vocab_tables *v = w->g->v->prepared;
    struct kinds loops = lex_loops(w->g->raw, x->s);
    // An unfinished character needs three bytes more.
    if (kinds_count(&loops) <= FEW_KINDS ||
        !fill_fits_at(w->f, far_add(far_add(lex_rest(w->g->raw, x->s), x->tail), 3)))
        return;
    const struct kind_mask *known = vocab_kinds(w->g->v, loops, loops);
    uint64_t *bits = known ? known->bits : mem_new((size_t)v->words * sizeof *bits);
    if (!known) vocab_kinds_fill(w->g->v, loops, loops, bits);
    for (int i = 0; i < v->words; i++) w->bits[i] |= bits[i];
    if (!known) free(bits);
    x->loops = loops;
}

static void find_follow(struct walk *w, struct group *x)
{
    x->alive = rules_after_any(w->g, &w->g->step, x->t, x->n, &x->pos);
    uint16_t at = x->alive ? spot_of(w, &x->pos) : SPOT_DEAD;
    x->full = at == SPOT_FULL;
    if (at >= SPOT_FIRST) x->spot = w->spot[at - SPOT_FIRST];
}

static void walk_follow(struct walk *w, const struct group *x, uint32_t i)
{
    if (x->full) walk_pos(w, i, i + 1, &x->pos);
    if (x->spot) walk_spot(w, i, i + 1, x->spot);
}

struct reached {
    lex_state s;
    bool pure; // all characters so far are of those that are taken at once
};

static bool is_of(const struct trie_node *n, const struct kinds *k)
{
    return n->kind == KIND_MIDDLE ? kinds_has(k, KIND_BEYOND) && kinds_has(k, KIND_WHITE)
                                  : kinds_has(k, n->kind);
}

static bool take_text_below(struct walk *w, const struct trie_node *n, lex_state s, uint32_t tail)
{
    struct kinds loops = lex_loops(w->g->raw, s);
    return take_below(w, n, &loops, far_add(far_add(lex_rest(w->g->raw, s), tail), 3));
}

static void walk_text(struct walk *w, struct group *x)
{
    lex *l = w->g->raw;
    const struct trie *t = w->t;
    struct chunk_mark mark = chunk_mark(&w->g->step);
    struct reached *at = mem_new((t->depth + 2) * sizeof *at);
    at[0] = (struct reached){x->s, !kinds_none(&x->loops)};
    find_follow(w, x);
    for (uint32_t i = 0; i < t->n;) {
        const struct trie_node *n = &t->node[i];
        uint32_t d = n->depth;
        lex_state before = at[d - 1].s, s = x->s;
        bool pure = at[d - 1].pure && is_of(n, &x->loops);
        if (pure ? kinds_within(&n->below, &x->loops)
                 : is_taken(w, n->token, t->node[n->skip].token)) {
            i = n->skip;
            continue;
        }
        // Behind at[0] what follows has threads of its own.
        if (d > 1 && x->alive && lex_accepts(l, before)) walk_follow(w, x, i);
        if (!pure || n->kind == KIND_MIDDLE) s = lex_step(l, before, n->byte);
        if (s == LEX_DEAD) {
            i = n->skip;
            continue;
        }
        at[d] = (struct reached){s, pure};
        if (!pure && n->n_token && fill_fits_at(w->f, far_add(lex_rest(l, s), x->tail)))
            take_range(w, n->token, n->token + n->n_token);
        bool all = !pure && n->skip > i + SUBTREE_LEAST && take_text_below(w, n, s, x->tail);
        i = all ? n->skip : i + 1;
    }
    free(at);
    chunk_rewind(&w->g->step, mark);
}

static int by_state(const void *a, const void *b)
{
    const struct thread *x = *(const struct thread *const *)a,
                        *y = *(const struct thread *const *)b;
    return (x->s > y->s) - (x->s < y->s);
}

// The texts among the threads, those at one state as one.
static void walk_texts(struct walk *w, const struct thread **text, uint32_t n)
{
    struct group *all = mem_new((n + 1) * sizeof *all);
    uint32_t n_group = 0;
    if (n) qsort(text, n, sizeof *text, by_state);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t tail = rules_tail(w->g, text[i]->edge, text[i]->column, text[i]->entry);
        if (n_group == 0 || all[n_group - 1].s != text[i]->s)
            all[n_group++] = (struct group){.t = &text[i], .s = text[i]->s, .tail = tail};
        struct group *x = &all[n_group - 1];
        x->n++;
        x->tail = min_of(x->tail, tail);
    }
    for (uint32_t i = 0; i < n_group; i++) take_loops(w, &all[i]);
    for (uint32_t i = 0; i < n_group; i++) walk_text(w, &all[i]);
    free(all);
}

// ---- JSON values ----

// One thread by itself, as a position.
static void walk_json(struct walk *w, const struct thread *thread)
{
    const struct trie *t = w->t;
    struct chunk_mark mark = chunk_mark(&w->g->step);
    struct pos p = rules_alone(&w->g->step, thread);
    for (uint32_t b = 0; b < 256; b++)
        if (pos_may_begin(w->g, thread->json, (uint8_t)b) || thread->json->mode == M_NUMBER)
            walk_from(w, t->first[b], t->first[b + 1], &p);
    chunk_rewind(&w->g->step, mark);
}

// Free text that nothing but a token ends: all of it is known beforehand.
static bool is_free_text(grammar *g, const struct thread *t)
{
    uint32_t min, max, kind = g->rules->edge[t->edge].kind;
    return (kind == PIECE_LANG || kind == PIECE_ANY) && lex_between(g->raw, t->s) &&
           lex_is_free(g->raw, t->s, &min, &max) && min == 0 && max == NONE;
}

// Added and special tokens.
static void take_named(struct walk *w, const struct pos *p)
{
    const struct vocab_tables *v = w->g->v->prepared;
    const struct rules *r = w->g->rules;
    bool any = false;
    struct pos to;
    for (uint32_t i = 0; i < p->threads->n; i++) {
        const struct rules_edge *e = &r->edge[THREADS(p->threads)[i].edge];
        any = any || e->kind == PIECE_ANY;
        if (e->kind != PIECE_TOKEN) continue;
        struct chunk_mark mark = chunk_mark(&w->g->step);
        if (pos_added(w->g, &w->g->step, p, (int32_t)e->a, &to) && fill_fits(w->f, &to))
            set_bit(w->bits, e->a);
        chunk_rewind(&w->g->step, mark);
    }
    for (int i = 0; i < v->n_added && any; i++) {
        struct chunk_mark mark = chunk_mark(&w->g->step);
        if (pos_added(w->g, &w->g->step, p, v->added[i], &to) && fill_fits(w->f, &to))
            set_bit(w->bits, (uint32_t)v->added[i]);
        chunk_rewind(&w->g->step, mark);
    }
}

static void put_all(struct walk *w, const uint64_t *base)
{
    int words = ((const struct vocab_tables *)w->g->v->prepared)->words;
    for (int i = 0; i < words && base; i++) w->bits[i] &= ~base[i];
    fill_bits(w->f, w->bits);
}

void rules_fill_behind(grammar *g, struct fill *f, const struct pos *p)
{
    const struct vocab_tables *v = g->v->prepared;
    struct pos end;
    if (p->top->kind != FRAME_ROOT || !pos_end_number(g, &g->step, p, &end) || end.mode != M_RULES)
        return;
    struct walk w = {
        .g = g, .f = f, .t = &v->all, .bits = mem_new((size_t)v->words * sizeof(uint64_t))};
    take_named(&w, &end);
    put_all(&w, NULL);
    free(w.bits);
}

void rules_fill(grammar *g, struct fill *f, const struct pos *p)
{
    const struct vocab_tables *v = g->v->prepared;
    const struct threads *x = p->threads;
    struct walk w = {
        .g = g, .f = f, .t = &v->all, .bits = mem_new((size_t)v->words * sizeof(uint64_t))};
    const struct thread **text = mem_new((x->n + 1) * sizeof *text);
    const uint64_t *base = NULL;
    uint32_t n = 0;
    for (uint32_t i = 0; i < x->n; i++) {
        const struct thread *t = &THREADS(x)[i];
        if (t->json || t->s == LEX_DEAD) continue;
        // An unfinished character needs three bytes more.
        if (is_free_text(g, t) && fill_fits_at(f, far_add(rules_thread_finish(g, t), 3)))
            base = v->text;
        else
            text[n++] = t;
    }
    // All that is valid text is taken then; only what is not may be added.
    for (int i = 0; i < v->words && base; i++) w.bits[i] = base[i];
    walk_texts(&w, text, n);
    for (uint32_t i = 0; i < x->n; i++)
        if (THREADS(x)[i].json) walk_json(&w, &THREADS(x)[i]);
    take_named(&w, p);
    if (base) fill_base(f, base, v->n_text);
    put_all(&w, base);
    spots_free(&w);
    free(text);
    free(w.bits);
}
