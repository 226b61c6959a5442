// Masks of positions by rules: a token may come when some thread alone can take it, so the mask is
// the union of theirs. Within text only the automaton's states matter until the text may end; what
// follows it then is the same wherever that is, and is only looked at where a byte fits it.
#include "base/mem.h"
#include "engine/grammar_rules.h"

#include <stdlib.h>
#include <string.h>

struct walk {
    grammar *g;
    struct fill *f;
    const struct trie *t;
    uint64_t *bits; // tokens found so far
};

static void take(struct walk *w, uint32_t i)
{
    const struct trie_node *n = &w->t->node[i];
    for (uint32_t k = n->token; k < n->token + n->n_token; k++)
        set_bit(w->bits, (uint32_t)w->t->token[k]);
}

// The nodes from i on up to `end`, as children of one that `p` belongs to.
static void walk_pos(struct walk *w, uint32_t i, uint32_t end, const struct pos *p)
{
    const struct trie *t = w->t;
    struct pos next;
    for (uint32_t after; i < end; i = after) {
        after = t->node[i].skip;
        struct chunk_mark mark = chunk_mark(&w->g->step);
        if (pos_may_begin(w->g, p, t->node[i].byte) &&
            pos_step(w->g, &w->g->step, p, t->node[i].byte, &next)) {
            if (t->node[i].n_token && fill_fits(w->f, &next)) take(w, i);
            walk_pos(w, i + 1, after, &next);
        }
        chunk_rewind(&w->g->step, mark);
    }
}

// What may follow a text, made when it is first asked for.
struct follow {
    const struct thread *t;
    bool known, alive;
    struct pos pos;
    uint8_t may[256]; // 0: not known, 1: no, 2: yes
};

static bool may_follow(grammar *g, struct follow *x, uint8_t c)
{
    struct pos next;
    if (!x->known)
        x->alive = rules_after(g, &g->step, x->t->edge, x->t->column, x->t->entry, &x->pos);
    x->known = true;
    if (!x->alive) return false;
    if (x->may[c]) return x->may[c] == 2;
    struct chunk_mark mark = chunk_mark(&g->step);
    bool may = pos_may_begin(g, &x->pos, c) && pos_step(g, &g->step, &x->pos, c, &next);
    chunk_rewind(&g->step, mark);
    x->may[c] = may ? 2 : 1;
    return may;
}

// ---- text ----

#define FEW_KINDS     24u // tokens of so few kinds are as quickly walked
#define SUBTREE_LEAST 4u  // nodes of a subtree that is worth a look at its kinds

// Tokens made of characters that lead from the thread's state back to it are taken at once.
static struct kinds take_loops(struct walk *w, const struct thread *t, uint32_t tail)
{
    const struct vocab_tables *v = w->g->v->prepared;
    struct kinds loops = lex_loops(w->g->raw, t->s), none = {{0}};
    // An unfinished character needs three bytes more.
    if (kinds_count(&loops) <= FEW_KINDS ||
        !fill_fits_at(w->f, far_add(far_add(lex_rest(w->g->raw, t->s), tail), 3)))
        return none;
    const struct kind_mask *known = vocab_kinds(w->g->v, loops, loops);
    uint64_t *bits = known ? known->bits : mem_new((size_t)v->words * sizeof *bits);
    if (!known) vocab_kinds_fill(w->g->v, loops, loops, bits);
    for (int i = 0; i < v->words; i++) w->bits[i] |= bits[i];
    if (!known) free(bits);
    return loops;
}

// Takes what stands below a node after which the text is at s, if all of it leads back to s.
static bool take_below(struct walk *w, const struct trie_node *n, lex_state s, uint32_t tail)
{
    struct kinds loops = lex_loops(w->g->raw, s);
    if (!kinds_within(&n->below, &loops) ||
        !fill_fits_at(w->f, far_add(far_add(lex_rest(w->g->raw, s), tail), 3)))
        return false;
    uint32_t end = w->t->node[n->skip].token;
    for (uint32_t k = n->token + n->n_token; k < end; k++)
        set_bit(w->bits, (uint32_t)w->t->token[k]);
    return true;
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

static void walk_text(struct walk *w, const struct thread *thread)
{
    lex *x = w->g->raw;
    const struct trie *t = w->t;
    struct chunk_mark mark = chunk_mark(&w->g->step);
    uint32_t tail = rules_tail(w->g, thread->edge, thread->column, thread->entry);
    struct kinds loops = take_loops(w, thread, tail);
    struct reached *at = mem_new((t->depth + 2) * sizeof *at);
    struct follow *follow = mem_new(sizeof *follow);
    follow->t = thread;
    at[0] = (struct reached){thread->s, !kinds_none(&loops)};
    may_follow(w->g, follow, 0); // before any mark that is gone back to
    for (uint32_t i = 0; i < t->n;) {
        const struct trie_node *n = &t->node[i];
        uint32_t d = n->depth;
        lex_state before = at[d - 1].s, s = thread->s;
        bool pure = at[d - 1].pure && is_of(n, &loops);
        if (pure && kinds_within(&n->below, &loops)) {
            i = n->skip;
            continue;
        }
        // Behind at[0] what follows has threads of its own.
        if (d > 1 && lex_accepts(x, before) && may_follow(w->g, follow, n->byte))
            walk_pos(w, i, i + 1, &follow->pos);
        if (!pure || n->kind == KIND_MIDDLE) s = lex_step(x, before, n->byte);
        if (s == LEX_DEAD) {
            i = n->skip;
            continue;
        }
        at[d] = (struct reached){s, pure};
        if (!pure && n->n_token && fill_fits_at(w->f, far_add(lex_rest(x, s), tail))) take(w, i);
        bool all = !pure && n->skip > i + SUBTREE_LEAST && take_below(w, n, s, tail);
        i = all ? n->skip : i + 1;
    }
    free(at);
    free(follow);
    chunk_rewind(&w->g->step, mark);
}

// One thread by itself, as a position.
static void walk_json(struct walk *w, const struct thread *thread)
{
    const struct trie *t = w->t;
    struct chunk_mark mark = chunk_mark(&w->g->step);
    struct threads *one = chunk_alloc(&w->g->step, sizeof *one + sizeof *thread);
    one->n = 1;
    *THREADS(one) = *thread;
    struct pos p = {.mode = M_RULES, .threads = one};
    for (uint32_t b = 0; b < 256; b++)
        if (pos_may_begin(w->g, thread->json, (uint8_t)b) || thread->json->mode == M_NUMBER)
            walk_pos(w, t->first[b], t->first[b + 1], &p);
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
    const uint64_t *base = NULL;
    for (uint32_t i = 0; i < x->n; i++) {
        const struct thread *t = &THREADS(x)[i];
        if (t->json) {
            walk_json(&w, t);
        } else if (t->s != LEX_DEAD) {
            bool all = is_free_text(g, t) && // an unfinished character needs three bytes more
                       fill_fits_at(f, far_add(rules_thread_finish(g, t), 3));
            if (all)
                base = v->text;
            else
                walk_text(&w, t);
        }
    }
    take_named(&w, p);
    if (base) fill_base(f, base, v->n_text);
    put_all(&w, base);
    free(w.bits);
}
