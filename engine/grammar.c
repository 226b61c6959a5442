// The public functions: grammars, states and their history.
//
// A state is a place in a history: each accepted token adds a moment that points to the one before
// it. Moments and the frames they stand on are shared and counted, so a copy of a state is one
// count, and going back any number of tokens is following that many pointers.
#include "base/mem.h"
#include "engine/grammar_rules.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct moment {
    atomic_uint refs;
    uint32_t n;    // tokens accepted until here
    int32_t token; // the last of them; -1: none
    struct moment *before;
    struct pos pos;
};

struct grammar_state {
    grammar *g;
    struct moment *now;
};

static void lock(grammar *g)
{
    pthread_mutex_lock(&g->lock);
}

static void unlock(grammar *g)
{
    pthread_mutex_unlock(&g->lock);
}

// ---- grammars ----

static grammar *grammar_new(const grammar_vocab *v, const struct grammar_options *o)
{
    assert(v->prepared);
    grammar *g = mem_new(sizeof *g);
    g->v = v;
    if (o) g->o = *o;
    if (g->o.space_max == 0) g->o.space_max = GRAMMAR_SPACE_DEFAULT;
    g->mem.least = 4096;
    g->x = lex_new(g->o.escapes);
    uint32_t reach = ((const struct vocab_tables *)v->prepared)->reach;
    lex_set_reach(g->x, min_of(reach, FEW_POINTS), reach);
    g->cache = mask_cache_new();
    g->lexemes = lexeme_cache_new();
    g->allowed = mem_new(ALLOWED_MAX * sizeof *g->allowed);
    pthread_mutex_init(&g->lock, NULL);
    form_make(g, (struct form){.kind = F_FALSE});
    form_make(g, (struct form){.kind = F_TRUE});
    values_make(g, (struct set){0});
    values_make(g, (struct set){.literals = LITERAL_ALL,
                                .number = LEX_ANY_NUMBER,
                                .string = LEX_ANY_STRING,
                                .array = FORM_TRUE,
                                .object = FORM_TRUE});
    g->nodes = mem_grow(NULL, 16 * sizeof *g->nodes);
    g->cap_node = 16;
    g->n_node = 2;
    g->nodes[NODE_NONE] = (struct node){.set = SET_NONE, .state = 2};
    g->nodes[NODE_ALL] = (struct node){.set = SET_ALL, .state = 2};
    return g;
}

void grammar_free(grammar *g)
{
    if (!g) return;
    rules_free(g->rules);
    lex_free(g->raw);
    mask_cache_free(g->cache);
    lexeme_cache_free(g->lexemes);
    walk_room_free(g->room);
    for (int i = 0; i < ALLOWED_MAX; i++) free(g->allowed[i].may);
    free(g->allowed);
    free(g->rests);
    lex_free(g->x);
    free(g->sets);
    free(g->forms);
    free(g->names);
    free(g->nodes);
    free(g->props);
    free(g->items);
    free(g->keys);
    free(g->terms);
    free(g->cheapest);
    struct table *tables[] = {&g->set_table,  &g->form_table, &g->name_table,    &g->keys_table,
                              &g->term_table, &g->node_table, &g->cheapest_table};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) free(tables[i]->slot);
    chunk_free(&g->mem);
    chunk_free(&g->work);
    chunk_free(&g->step);
    pthread_mutex_destroy(&g->lock);
    free(g);
}

size_t grammar_bytes(const grammar *g)
{
    lock((grammar *)g);
    size_t n = sizeof *g + grammar_interned_bytes(g) + mask_cache_bytes(g->cache) +
               lexeme_cache_bytes(g->lexemes);
    n += rules_bytes(g->rules) + (g->raw ? lex_bytes(g->raw) : 0);
    n += g->rests ? RESTS_MAX * sizeof *g->rests : 0;
    unlock((grammar *)g);
    return n;
}

grammar *grammar_from_schema(const grammar_vocab *v, const json_t *schema,
                             const struct grammar_options *o, err *e)
{
    grammar *g = grammar_new(v, o);
    uint32_t node = schema_add(g, schema, "schema", false, e);
    if (node == NONE) {
        grammar_free(g);
        return NULL;
    }
    g->root = g->nodes[node].set;
    return g;
}

// A grammar by rules, for its maker to add them; what it returned decides.
static grammar *rules_new(const grammar_vocab *v, const struct grammar_options *o)
{
    grammar *g = grammar_new(v, o);
    g->raw = lex_new(ESCAPES_NONE);
    g->rules = mem_new(sizeof *g->rules);
    return g;
}

static grammar *rules_made(grammar *g, int rc)
{
    if (rc == 0) return g;
    grammar_free(g);
    return NULL;
}

grammar *grammar_from_tools(const grammar_vocab *v, const struct grammar_tools_options *o, err *e)
{
    grammar *g = rules_new(v, &o->json);
    return rules_made(g, tools_add(g, o, e));
}

grammar *grammar_from_tags(const grammar_vocab *v, const json_t *tags,
                           const struct grammar_options *o, err *e)
{
    grammar *g = rules_new(v, o);
    return rules_made(g, tags_add(g, tags, e));
}

grammar *grammar_from_regex(const grammar_vocab *v, const char *pattern, err *e)
{
    grammar *g = rules_new(v, NULL);
    piece p = piece_pattern(g, pattern, strlen(pattern), e);
    int rc = p == PIECE_FAILED ? -1 : rules_compile(g, p, e);
    if (rc < 0) err_wrap(e, "regex");
    return rules_made(g, rc);
}

grammar *grammar_from_ebnf(const grammar_vocab *v, const char *text, err *e)
{
    grammar *g = rules_new(v, NULL);
    return rules_made(g, ebnf_add(g, text, strlen(text), e));
}

// ---- states ----

static struct moment *hold(struct moment *m)
{
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    return m;
}

static void let_go(struct moment *m)
{
    while (m && atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) == 1) {
        struct moment *before = m->before;
        pos_drop(&m->pos);
        free(m);
        m = before;
    }
}

// Moves s on to p.
static void advance(grammar_state *s, int32_t token, const struct pos *p)
{
    struct moment *m = mem_new(sizeof *m);
    atomic_init(&m->refs, 1);
    m->before = s->now;
    m->n = s->now ? s->now->n + 1 : 0;
    m->token = token;
    m->pos = pos_keep(p);
    s->now = m;
}

grammar_state *grammar_start(const grammar *constant)
{
    grammar *g = (grammar *)constant;
    grammar_state *s = mem_new(sizeof *s);
    struct chunks mem = {.least = 1024};
    struct pos p;
    s->g = g;
    lock(g);
    pos_start(g, &mem, &p);
    advance(s, -1, &p);
    unlock(g);
    chunk_free(&mem);
    return s;
}

grammar_state *grammar_copy(const grammar_state *from)
{
    grammar_state *s = mem_new(sizeof *s);
    s->g = from->g;
    s->now = hold(from->now);
    return s;
}

void grammar_state_free(grammar_state *s)
{
    if (!s) return;
    let_go(s->now);
    free(s);
}

size_t grammar_state_bytes(const grammar_state *s, size_t n)
{
    size_t bytes = sizeof *s;
    for (const struct moment *m = s->now; m && n > 0; m = m->before, n--)
        bytes += sizeof *m + pos_bytes(&m->pos, m->before ? &m->before->pos : NULL);
    return bytes;
}

size_t grammar_length(const grammar_state *s)
{
    return s->now->n;
}

void grammar_rollback(grammar_state *s, size_t n)
{
    assert(n <= s->now->n);
    struct moment *m = s->now;
    for (; n > 0; n--) m = m->before;
    hold(m);
    let_go(s->now);
    s->now = m;
}

bool pos_token(grammar *g, struct chunks *mem, const struct pos *from, int32_t token,
               struct pos *to)
{
    const grammar_vocab *v = g->v;
    if (token < 0 || token >= v->n_token || from->mode == M_ENDED) return false;
    if (token == v->end) {
        *to = (struct pos){.mode = M_ENDED};
        return pos_may_end(g, mem, from);
    }
    if (v->kind[token] != VOCAB_TEXT) return pos_added(g, mem, from, token, to);
    if (v->len[token] == 0) return false;
    struct pos p = *from;
    for (uint32_t i = 0; i < v->len[token]; i++, p = *to)
        if (!pos_step(g, mem, &p, (uint8_t)v->bytes[token][i], to)) return false;
    return true;
}

bool grammar_accept(grammar_state *s, int32_t token)
{
    grammar *g = s->g;
    struct pos to;
    lock(g);
    chunk_rewind(&g->work, (struct chunk_mark){0});
    bool may = pos_token(g, &g->step, &s->now->pos, token, &to);
    if (may) advance(s, token, &to);
    chunk_rewind(&g->step, (struct chunk_mark){0});
    unlock(g);
    return may;
}

int grammar_mask(const grammar_state *s, int budget, uint64_t *bits)
{
    lock(s->g);
    int n = mask_make(s->g, &s->now->pos, budget, bits);
    unlock(s->g);
    return n;
}

int grammar_mask_slow(const grammar_state *s, int budget, uint64_t *bits)
{
    lock(s->g);
    s->g->forget = true;
    int n = mask_make_slow(s->g, &s->now->pos, budget, bits);
    s->g->forget = false;
    unlock(s->g);
    return n;
}

void grammar_digest(const grammar_state *s, uint64_t digest[2])
{
    lock(s->g);
    struct digest d = pos_digest(&s->now->pos);
    unlock(s->g);
    digest[0] = d.h[0];
    digest[1] = d.h[1];
}

bool grammar_may_end(const grammar_state *s)
{
    lock(s->g);
    bool may = pos_may_end(s->g, &s->g->step, &s->now->pos);
    chunk_rewind(&s->g->step, (struct chunk_mark){0});
    unlock(s->g);
    return may;
}

bool grammar_in_call(const grammar_state *s)
{
    const struct pos *p = &s->now->pos;
    return s->g->rules && rules_in_call(s->g, p);
}

int grammar_shortest_finish(const grammar_state *s)
{
    if (s->now->pos.mode == M_ENDED) return 0;
    lock(s->g);
    chunk_rewind(&s->g->work, (struct chunk_mark){0});
    uint32_t n = pos_finish(s->g, &s->now->pos);
    unlock(s->g);
    return (int)n + 1;
}

size_t grammar_forced(const grammar_state *s, char *out, size_t cap)
{
    grammar *g = s->g;
    lock(g);
    size_t n = force_bytes(g, &s->now->pos, out, cap);
    chunk_rewind(&g->step, (struct chunk_mark){0});
    unlock(g);
    return n;
}

bool grammar_must_end(const grammar_state *s)
{
    lock(s->g);
    bool must = force_end(s->g, &s->now->pos);
    chunk_rewind(&s->g->step, (struct chunk_mark){0});
    unlock(s->g);
    return must;
}

size_t grammar_force(const grammar_state *s, int32_t *out, size_t cap)
{
    grammar *g = s->g;
    int32_t before[FORCE_CONTEXT]; // the last text tokens, the last one first
    size_t n = 0;
    if (!g->v->encode) return 0;
    for (struct moment *m = s->now; n < FORCE_CONTEXT && m->token >= 0; m = m->before) {
        if (g->v->kind[m->token] != VOCAB_TEXT) break;
        before[n++] = m->token;
    }
    lock(g);
    n = force_tokens(g, &s->now->pos, before, n, out, cap);
    chunk_rewind(&g->step, (struct chunk_mark){0});
    unlock(g);
    return n;
}
