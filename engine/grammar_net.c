// Positions in the net of rules: sets of threads, one byte or token further, and what the shortest
// finish from there is. See grammar_rules.h.
#include "base/mem.h"
#include "engine/grammar_rules.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

// ---- a set of threads being made ----

struct visit {
    uint32_t node, entry;
    const struct column *column;
};

// Edges behind which a rule was called from here, the last one first.
struct back {
    struct rules_back b;
    const struct back *before;
};
struct opened { // a rule that is entered here
    uint32_t rule, n;
    const struct back *back;
};

// Where things of which there may be many are found again: slots hold index + 1.
struct index {
    uint32_t *slot, cap; // cap: a power of two, or 0
};

struct making {
    grammar *g;
    struct chunks *mem;
    struct thread *t;
    uint32_t n, cap;
    struct visit *visit;
    uint32_t n_visit, cap_visit, n_done;
    struct opened *open;
    uint32_t n_open, cap_open;
    struct index threads, visits;
    bool accepts;
};

static const struct column here; // stands for the column that is being made

static void *more(struct chunks *mem, void *p, uint32_t n, uint32_t *cap, size_t size)
{
    if (n < *cap) return p;
    uint32_t bigger = *cap ? *cap * 2 : 8;
    void *q = chunk_alloc(mem, bigger * size);
    if (n) memcpy(q, p, n * size);
    *cap = bigger;
    return q;
}

enum { FEW = 8 }; // are looked through one by one

// Makes room in an index for n + 1 things; `hash` tells where each of the n is looked for.
static void index_room(struct making *m, struct index *x, uint32_t n,
                       uint64_t (*hash)(const struct making *m, uint32_t i))
{
    if (n < FEW || (n + 1) * 2 <= x->cap) return;
    x->cap = x->cap ? x->cap * 2 : 4 * FEW;
    x->slot = chunk_alloc(m->mem, x->cap * sizeof *x->slot);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = (uint32_t)hash(m, i) & (x->cap - 1);
        while (x->slot[k]) k = (k + 1) & (x->cap - 1);
        x->slot[k] = i + 1;
    }
}

static uint64_t hash_visit(const struct making *m, uint32_t i)
{
    const struct visit *v = &m->visit[i];
    return mix((uint64_t)v->node << 32 | v->entry, (uintptr_t)v->column);
}

static bool same_visit(const struct making *m, uint32_t i, const struct visit *v)
{
    const struct visit *x = &m->visit[i];
    return x->node == v->node && x->entry == v->entry && x->column == v->column;
}

// Notes that a thread is at this node, between two edges.
static void visit(struct making *m, uint32_t node, const struct column *c, uint32_t entry)
{
    struct visit v = {node, entry, c};
    uint32_t n = m->n_visit, k = 0;
    if (n < FEW)
        for (; k < n; k++)
            if (same_visit(m, k, &v)) return;
    m->visit = more(m->mem, m->visit, n, &m->cap_visit, sizeof *m->visit);
    m->visit[n] = v;
    index_room(m, &m->visits, n, hash_visit);
    if (n >= FEW) {
        k = (uint32_t)hash_visit(m, n) & (m->visits.cap - 1);
        for (; m->visits.slot[k]; k = (k + 1) & (m->visits.cap - 1))
            if (same_visit(m, m->visits.slot[k] - 1, &v)) return;
        m->visits.slot[k] = n + 1;
    }
    m->n_visit++;
}

static void add_back(struct making *m, struct opened *o, struct rules_back b)
{
    for (const struct back *x = o->back; x; x = x->before)
        if (x->b.to == b.to && x->b.entry == b.entry && x->b.column == b.column) return;
    struct back *x = chunk_alloc(m->mem, sizeof *x);
    *x = (struct back){b, o->back};
    o->back = x;
    o->n++;
}

// Calls a rule; once it is complete, the caller goes on at node `to`. A call that is the last thing
// its caller does goes back to where that one would: so a list that calls itself last stays flat.
static void call_rule(struct making *m, uint32_t rule, uint32_t to, const struct column *c,
                      uint32_t entry)
{
    const struct rules *r = m->g->rules;
    uint32_t i = 0;
    while (i < m->n_open && m->open[i].rule != rule) i++;
    if (i == m->n_open) {
        m->open = more(m->mem, m->open, m->n_open, &m->cap_open, sizeof *m->open);
        m->open[m->n_open++] = (struct opened){.rule = rule};
        visit(m, r->rule[rule].start, &here, i);
    }
    if (!r->node[to].is_last || c == &here) {
        add_back(m, &m->open[i], (struct rules_back){to, entry, c});
        return;
    }
    const struct rules_entry *x = &COLUMN_ENTRIES(c)[entry];
    for (uint32_t k = x->first; k < x->first + x->n; k++) {
        struct rules_back b = COLUMN_BACK(c)[k];
        if (!b.column) b.column = c;
        add_back(m, &m->open[i], b);
    }
}

static uint64_t hash_thread(const struct making *m, uint32_t i)
{
    const struct thread *t = &m->t[i];
    uint64_t h = mix((uint64_t)t->edge << 32 | t->entry, (uintptr_t)t->column + t->s);
    return t->json ? mix(h, pos_digest(t->json).h[0]) : h;
}

static bool same_thread(const struct thread *a, const struct thread *b)
{
    if (a->edge != b->edge || a->s != b->s || a->entry != b->entry || a->column != b->column)
        return false;
    if (!a->json || !b->json) return a->json == b->json;
    struct digest x = pos_digest(a->json), y = pos_digest(b->json);
    return x.h[0] == y.h[0] && x.h[1] == y.h[1];
}

// Threads that have come to the same place are one.
static void add_thread(struct making *m, struct thread t)
{
    uint32_t n = m->n, k = 0;
    if (n < FEW)
        for (; k < n; k++)
            if (same_thread(&m->t[k], &t)) return;
    m->t = more(m->mem, m->t, n, &m->cap, sizeof *m->t);
    m->t[n] = t;
    index_room(m, &m->threads, n, hash_thread);
    if (n >= FEW) {
        k = (uint32_t)hash_thread(m, n) & (m->threads.cap - 1);
        for (; m->threads.slot[k]; k = (k + 1) & (m->threads.cap - 1))
            if (same_thread(&m->t[m->threads.slot[k] - 1], &t)) return;
        m->threads.slot[k] = n + 1;
    }
    m->n++;
}

// Follows all that can be followed without reading anything.
static void settle(struct making *m)
{
    const struct rules *r = m->g->rules;
    for (; m->n_done < m->n_visit; m->n_done++) {
        struct visit v = m->visit[m->n_done];
        const struct rules_node *node = &r->node[v.node];
        for (uint32_t i = node->first; i != NONE; i = r->edge[i].next) {
            const struct rules_edge *x = &r->edge[i];
            if (x->kind == PIECE_RULE) call_rule(m, x->a, x->to, v.column, v.entry);
            if (x->kind == PIECE_IS_EMPTY || (x->kind == PIECE_RULE && r->rule[x->a].nullable))
                visit(m, x->to, v.column, v.entry);
            else if (x->kind != PIECE_RULE)
                add_thread(m, (struct thread){i, v.entry, v.column, x->s, NULL});
        }
        // A rule that is left where it was entered read nothing: its callers went on without it.
        if (!node->is_end || v.column == &here) continue;
        const struct rules_entry *x = &COLUMN_ENTRIES(v.column)[v.entry];
        for (uint32_t k = x->first; k < x->first + x->n; k++) {
            const struct rules_back *b = &COLUMN_BACK(v.column)[k];
            if (b->to == NONE)
                m->accepts = true;
            else
                visit(m, b->to, b->column ? b->column : v.column, b->entry);
        }
    }
}

static void find_entry_costs(const struct rules *r, struct column *c)
{
    for (uint32_t i = 0; i < c->n; i++) COLUMN_ENTRIES(c)[i].cost = FAR;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = 0; i < c->n; i++) {
            struct rules_entry *x = &COLUMN_ENTRIES(c)[i];
            for (uint32_t k = x->first; k < x->first + x->n; k++) {
                const struct rules_back *b = &COLUMN_BACK(c)[k];
                const struct column *to = b->column ? b->column : c;
                uint32_t cost =
                    b->to == NONE ? 0
                                  : far_add(r->node[b->to].cost, COLUMN_ENTRIES(to)[b->entry].cost);
                if (cost >= x->cost) continue;
                x->cost = cost;
                changed = true;
            }
        }
    }
}

static void hash_column(const struct making *m, struct column *c)
{
    uint64_t h = 3, k = 5;
    for (uint32_t i = 0; i < c->n; i++) {
        h = mix(h, (uint64_t)m->open[i].rule << 32 | COLUMN_ENTRIES(c)[i].n);
        for (uint32_t j = 0; j < COLUMN_ENTRIES(c)[i].n; j++) {
            const struct rules_back *b = &COLUMN_BACK(c)[COLUMN_ENTRIES(c)[i].first + j];
            h = mix(h, (uint64_t)b->to << 32 | b->entry);
            h = mix(h, b->column ? b->column->hash[0] : 7);
            k = mix(k, b->column ? b->column->hash[1] : 11);
        }
    }
    c->hash[0] = h;
    c->hash[1] = mix(k, h);
}

static size_t column_bytes(uint32_t n, uint32_t n_back)
{
    return sizeof(struct column) + ((n + 1) & ~1u) * sizeof(struct rules_entry) +
           n_back * sizeof(struct rules_back);
}

static const struct column *make_column(const struct making *m)
{
    uint32_t n_back = 0;
    if (m->n_open == 0) return NULL;
    for (uint32_t i = 0; i < m->n_open; i++) n_back += m->open[i].n;
    struct column *c = chunk_alloc(m->mem, column_bytes(m->n_open, n_back));
    c->n = m->n_open;
    c->n_back = n_back;
    n_back = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        COLUMN_ENTRIES(c)[i] = (struct rules_entry){n_back, m->open[i].n, 0};
        for (const struct back *x = m->open[i].back; x; x = x->before) {
            struct rules_back *b = &COLUMN_BACK(c)[n_back++];
            *b = x->b;
            if (b->column == &here) b->column = NULL;
        }
    }
    find_entry_costs(m->g->rules, c);
    hash_column(m, c);
    return c;
}

// ---- from threads to a position ----

static struct pos json_start(grammar *g, struct chunks *mem, uint32_t edge, const struct column *c,
                             uint32_t entry)
{
    struct frame *f = (struct frame *)frame_root(mem, g->rules->edge[edge].a);
    f->column = c;
    f->entry = entry;
    f->edge = edge;
    if (c) {
        f->hash[0] = mix(f->hash[0], c->hash[0] + entry);
        f->hash[1] = mix(f->hash[1], c->hash[1] + edge);
    }
    return (struct pos){.mode = M_VALUE, .top = f};
}

static bool has_numbers(const grammar *g, uint32_t edge)
{
    lex_lang numbers = g->sets[g->rules->edge[edge].a].number;
    return numbers != LEX_NO_NUMBER && numbers != LEX_EMPTY;
}

// Could what follows a number be taken for more of it? Only the first byte of what follows is
// looked at, and nothing is entered for that: there may be another number.
static bool number_unclear(grammar *g, struct chunks *mem, const struct thread *t)
{
    struct making m = {.g = g, .mem = mem};
    if (!has_numbers(g, t->edge)) return false;
    visit(&m, g->rules->edge[t->edge].to, t->column, t->entry);
    settle(&m);
    for (uint32_t i = 0; i < m.n; i++) {
        const struct rules_edge *x = &g->rules->edge[m.t[i].edge];
        if (x->kind == PIECE_JSON && has_numbers(g, m.t[i].edge)) return true;
        for (const char *c = "0123456789.eE+-"; *c && m.t[i].s != LEX_DEAD; c++)
            if (lex_step(g->raw, m.t[i].s, (uint8_t)*c) != LEX_DEAD) return true;
    }
    return false;
}

static void hash_threads(struct threads *x)
{
    uint64_t h = mix(x->n, x->accepts), k = 13;
    for (uint32_t i = 0; i < x->n; i++) {
        const struct thread *t = &THREADS(x)[i];
        h = mix(h, (uint64_t)t->edge << 32 | t->entry);
        h = mix(h, t->s);
        h = mix(h, t->column->hash[0]);
        k = mix(k, t->column->hash[1]);
        if (!t->json) continue;
        struct digest d = pos_digest(t->json);
        h = mix(h, d.h[0]);
        k = mix(k, d.h[1]);
    }
    x->hash[0] = h;
    x->hash[1] = mix(k, h);
}

// False: no thread is left, and the text may not end.
static bool finish(struct making *m, struct pos *to)
{
    grammar *g = m->g;
    settle(m);
    if (m->n == 0 && !m->accepts) return false;
    const struct column *c = make_column(m);
    struct threads *x = chunk_alloc(m->mem, sizeof *x + m->n * sizeof(struct thread));
    x->n = m->n;
    x->accepts = m->accepts;
    for (uint32_t i = 0; i < m->n; i++) {
        struct thread *t = &THREADS(x)[i];
        *t = m->t[i];
        if (t->column == &here) t->column = c;
    }
    struct thread *only = &THREADS(x)[0];
    if (x->n == 1 && !x->accepts && g->rules->edge[only->edge].kind == PIECE_JSON && !only->json &&
        !number_unclear(g, m->mem, only)) {
        *to = json_start(g, m->mem, only->edge, only->column, only->entry);
        return true;
    }
    for (uint32_t i = 0; i < x->n; i++) {
        struct thread *t = &THREADS(x)[i];
        if (g->rules->edge[t->edge].kind != PIECE_JSON || t->json) continue;
        struct pos *json = chunk_alloc(m->mem, sizeof *json);
        *json = json_start(g, m->mem, t->edge, NULL, 0);
        t->json = json;
    }
    hash_threads(x);
    *to = (struct pos){.mode = M_RULES, .threads = x};
    return true;
}

bool rules_after(grammar *g, struct chunks *mem, uint32_t edge, const struct column *c,
                 uint32_t entry, struct pos *to)
{
    struct making m = {.g = g, .mem = mem};
    visit(&m, g->rules->edge[edge].to, c, entry);
    return finish(&m, to);
}

bool rules_after_any(grammar *g, struct chunks *mem, const struct thread *const *t, uint32_t n,
                     struct pos *to)
{
    struct making m = {.g = g, .mem = mem};
    for (uint32_t i = 0; i < n; i++)
        visit(&m, g->rules->edge[t[i]->edge].to, t[i]->column, t[i]->entry);
    return finish(&m, to);
}

struct pos rules_alone(struct chunks *mem, const struct thread *t)
{
    struct threads *x = chunk_alloc(mem, sizeof *x + sizeof *t);
    x->n = 1;
    *THREADS(x) = *t;
    hash_threads(x);
    return (struct pos){.mode = M_RULES, .threads = x};
}

void rules_start(grammar *g, struct chunks *mem, struct pos *to)
{
    const struct rules *r = g->rules;
    struct making m = {.g = g, .mem = mem};
    m.open = more(mem, NULL, 0, &m.cap_open, sizeof *m.open);
    m.open[m.n_open++] = (struct opened){.rule = r->root};
    add_back(&m, &m.open[0], (struct rules_back){.to = NONE});
    visit(&m, r->rule[r->root].start, &here, 0);
    m.accepts = r->rule[r->root].nullable;
    bool alive = finish(&m, to);
    assert(alive); // rules_compile saw to it
    (void)alive;
}

// ---- steps ----

static bool number_may_end(grammar *g, struct chunks *mem, const struct pos *p)
{
    return p->mode == M_NUMBER && p->top->kind == FRAME_ROOT && pos_may_end(g, mem, p);
}

static void step_json_thread(struct making *m, const struct thread *t, uint8_t c)
{
    struct pos *next = chunk_alloc(m->mem, sizeof *next);
    if (!pos_step(m->g, m->mem, t->json, c, next)) return;
    if (next->mode == M_DONE || number_may_end(m->g, m->mem, next))
        visit(m, m->g->rules->edge[t->edge].to, t->column, t->entry);
    if (next->mode == M_DONE) return;
    struct thread further = *t;
    further.json = next;
    add_thread(m, further);
}

bool rules_step(grammar *g, struct chunks *mem, const struct pos *from, uint8_t c, struct pos *to)
{
    const struct threads *x = from->threads;
    struct making m = {.g = g, .mem = mem};
    for (uint32_t i = 0; i < x->n; i++) {
        struct thread t = THREADS(x)[i];
        if (t.json) {
            step_json_thread(&m, &t, c);
            continue;
        }
        if (t.s == LEX_DEAD) continue; // a token
        t.s = lex_step(g->raw, t.s, c);
        if (t.s == LEX_DEAD) continue;
        if (lex_accepts(g->raw, t.s)) visit(&m, g->rules->edge[t.edge].to, t.column, t.entry);
        if (!lex_is_end(g->raw, t.s)) add_thread(&m, t);
    }
    return (m.n || m.n_visit) && finish(&m, to);
}

bool rules_token(grammar *g, struct chunks *mem, const struct pos *from, int32_t token,
                 struct pos *to)
{
    const struct threads *x = from->threads;
    struct making m = {.g = g, .mem = mem};
    bool special = g->v->kind[token] == VOCAB_SPECIAL;
    for (uint32_t i = 0; i < x->n; i++) {
        const struct thread *t = &THREADS(x)[i];
        const struct rules_edge *e = &g->rules->edge[t->edge];
        if (e->kind == PIECE_TOKEN && e->a == (uint32_t)token)
            visit(&m, e->to, t->column, t->entry);
        if (e->kind == PIECE_ANY && !special && e->a != (uint32_t)token &&
            lex_accepts(g->raw, t->s)) {
            add_thread(&m, *t);
            visit(&m, e->to, t->column, t->entry);
        }
    }
    return (m.n || m.n_visit) && finish(&m, to);
}

// Any added token, where a grammar has rules.
bool pos_added(grammar *g, struct chunks *mem, const struct pos *from, int32_t token,
               struct pos *to)
{
    struct pos end;
    if (!g->rules) return false;
    if (from->mode == M_RULES) return rules_token(g, mem, from, token, to);
    // Only a number can end in front of something that is no byte.
    return from->mode == M_NUMBER && from->top->kind == FRAME_ROOT && from->top->column &&
           pos_end_number(g, mem, from, &end) && end.mode == M_RULES &&
           rules_token(g, mem, &end, token, to);
}

bool rules_json_done(grammar *g, struct chunks *mem, const struct frame *f, struct pos *to)
{
    return rules_after(g, mem, f->edge, f->column, f->entry, to);
}

bool rules_may_end(const struct pos *p)
{
    return p->threads->accepts;
}

// ---- the shortest finish ----

uint32_t rules_json_tail(const grammar *g, const struct frame *root)
{
    return rules_tail(g, root->edge, root->column, root->entry);
}

uint32_t rules_tail(const grammar *g, uint32_t edge, const struct column *c, uint32_t entry)
{
    return far_add(g->rules->node[g->rules->edge[edge].to].cost, COLUMN_ENTRIES(c)[entry].cost);
}

uint32_t rules_thread_finish(grammar *g, const struct thread *t)
{
    uint32_t rest = t->json            ? pos_finish(g, t->json)
                    : t->s != LEX_DEAD ? lex_rest(g->raw, t->s)
                                       : 1;
    return far_add(rest, rules_tail(g, t->edge, t->column, t->entry));
}

uint32_t rules_finish(grammar *g, const struct pos *p)
{
    uint32_t best = p->threads->accepts ? 0 : FAR;
    for (uint32_t i = 0; i < p->threads->n; i++)
        best = min_of(best, rules_thread_finish(g, &THREADS(p->threads)[i]));
    return best;
}

bool rules_in_call(const grammar *g, const struct pos *p)
{
    const struct frame *f = p->top;
    while (f && f->parent) f = f->parent;
    if (p->mode != M_RULES) return f && g->rules->edge[f->edge].call;
    const struct threads *x = p->threads;
    bool all = x->n > 0 && !x->accepts;
    for (uint32_t i = 0; i < x->n && all; i++) all = g->rules->edge[THREADS(x)[i].edge].call;
    return all;
}

struct digest rules_digest(const struct pos *p)
{
    return (struct digest){{p->threads->hash[0], p->threads->hash[1]}};
}

// ---- positions that stay ----

const struct column *column_keep(const struct column *c)
{
    if (!c) return NULL;
    if (!c->kept && c->copy) c = c->copy;
    if (c->kept) {
        atomic_fetch_add_explicit(&((struct column *)c)->refs, 1, memory_order_relaxed);
        return c;
    }
    size_t n = column_bytes(c->n, c->n_back);
    struct column *copy = mem_new(n);
    memcpy(copy, c, n);
    copy->kept = true;
    atomic_init(&copy->refs, 1);
    for (uint32_t i = 0; i < copy->n_back; i++) // as deep as the columns made since the last token
        COLUMN_BACK(copy)[i].column = column_keep(COLUMN_BACK(copy)[i].column);
    ((struct column *)c)->copy = copy;
    return copy;
}

static bool let_go(const struct column *c)
{
    return c &&
           atomic_fetch_sub_explicit(&((struct column *)c)->refs, 1, memory_order_acq_rel) == 1;
}

void column_drop(const struct column *first)
{
    if (!let_go(first)) return;
    struct column *list = (struct column *)first; // those to free, linked by `copy`
    list->copy = NULL;
    while (list) {
        struct column *c = list;
        list = (struct column *)c->copy;
        for (uint32_t i = 0; i < c->n_back; i++) {
            struct column *to = (struct column *)COLUMN_BACK(c)[i].column;
            if (!let_go(to)) continue;
            to->copy = list;
            list = to;
        }
        free(c);
    }
}

const struct threads *threads_keep(const struct threads *x)
{
    if (!x) return NULL;
    size_t n = sizeof *x + x->n * sizeof(struct thread);
    struct threads *copy = mem_new(n);
    memcpy(copy, x, n);
    for (uint32_t i = 0; i < copy->n; i++) {
        struct thread *t = &THREADS(copy)[i];
        t->column = column_keep(t->column);
        if (!t->json) continue;
        struct pos *json = mem_new(sizeof *json);
        *json = pos_keep(t->json);
        t->json = json;
    }
    return copy;
}

void threads_drop(const struct threads *x)
{
    if (!x) return;
    for (uint32_t i = 0; i < x->n; i++) {
        struct thread *t = &THREADS(x)[i];
        column_drop(t->column);
        if (t->json) pos_drop((struct pos *)t->json);
        free((void *)t->json);
    }
    free((void *)x);
}

// Is the column one that these threads, or what they go back to, stand on? Looked for a few steps
// deep.
static bool holds_column(const struct threads *x, const struct column *c)
{
    for (uint32_t i = 0; x && i < x->n; i++) {
        const struct column *k = THREADS(x)[i].column;
        if (k == c) return true;
        for (uint32_t b = 0; b < k->n_back; b++)
            if (COLUMN_BACK(k)[b].column == c) return true;
    }
    return false;
}

size_t threads_bytes(const struct threads *x, const struct threads *before)
{
    if (!x) return 0;
    size_t n = sizeof *x + x->n * sizeof(struct thread);
    for (uint32_t i = 0; i < x->n; i++) {
        const struct thread *t = &THREADS(x)[i];
        bool counted = holds_column(before, t->column);
        for (uint32_t k = 0; k < i && !counted; k++) counted = THREADS(x)[k].column == t->column;
        if (!counted) n += column_bytes(t->column->n, t->column->n_back);
        if (t->json) n += sizeof *t->json + pos_bytes(t->json, NULL);
    }
    return n;
}
