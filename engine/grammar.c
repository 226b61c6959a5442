// Masks and tool calls over the automaton of grammar_step.c.
//
// A mask is a walk over the token trie from the current position. It is kept under the position it
// was made for, since the same positions come again and again (the same kind of string, the same
// place in the next element of an array); positions are compared whole, so a hit is never wrong.
// The budget takes part only near its end: a kept mask remembers the longest finish that any of its
// tokens leads to, and only when that no longer fits are the tokens looked at one by one.
//
// A state owns two pools: a step builds the new position in the one that does not hold the old, and
// copies over what it still stands on. So a state is a few hundred bytes, copying it is one copy of
// its stack, and nothing is counted or collected.
#include "base/mem.h"
#include "engine/grammar_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_BYTES ((size_t)8 << 20)
#define NO_LIMIT    (UINT32_MAX - 1)

struct grammar_state {
    const grammar *g;
    struct chunks pool[2]; // pos lives in pool[now]
    int now;
    struct pos pos;
};

struct cache_entry {
    uint64_t hash;
    uint64_t *bits; // NULL: empty
    int n;
    uint32_t longest; // finish of the costliest token in the mask
    struct chunks mem;
    struct pos pos;
};

struct mask_cache {
    pthread_mutex_t lock;
    uint32_t n; // a power of two
    struct cache_entry *entry;
};

static const struct vocab_tables *tables(const grammar *g)
{
    return g->v->prepared;
}

// ---- walks ----

struct fill {
    const grammar *g;
    const struct pos *from;
    uint32_t limit; // largest finish that a token may lead to
    uint64_t *bits;
    uint32_t longest;
};

static void allow(struct fill *f, int32_t token, uint32_t finish)
{
    if (finish > f->longest) f->longest = finish;
    f->bits[token / 64] |= 1ull << (token % 64);
}

static void walk(struct fill *f, const struct trie *t, const struct pos *from)
{
    struct chunks mem = {0};
    struct pos *at = mem_new((t->depth + 1) * sizeof *at);
    struct chunk_mark *mark = mem_new((t->depth + 1) * sizeof *mark);
    at[0] = *from;
    mark[0] = chunk_mark(&mem);
    for (uint32_t i = 0; i < t->n;) {
        const struct trie_node *n = &t->node[i];
        chunk_rewind(&mem, mark[n->depth - 1]);
        if (!pos_step(f->g, &mem, &at[n->depth - 1], n->byte, &at[n->depth])) {
            i = n->skip;
            continue;
        }
        mark[n->depth] = chunk_mark(&mem);
        if (n->n_token) {
            uint32_t finish = pos_finish(f->g, &at[n->depth]);
            assert(finish < FAR);
            for (uint32_t k = 0; k < n->n_token && finish <= f->limit; k++)
                allow(f, t->token[n->token + k], finish);
        }
        i++;
    }
    free(at);
    free(mark);
    chunk_free(&mem);
}

static void allow_all(struct fill *f, const uint64_t *bits, uint32_t finish)
{
    int words = tables(f->g)->words;
    if (finish > f->longest) f->longest = finish;
    for (int w = 0; w < words; w++) f->bits[w] |= bits[w];
}

// ---- masks known beforehand ----

// In a string of free text, string-safe tokens are allowed by their number of characters alone.
static bool fill_string(struct fill *f)
{
    const struct pos *p = f->from;
    const struct choices *x = p->choices;
    if (p->mode != M_STRING || p->sub != STR_PLAIN) return false;
    uint32_t room = 0, finish = 0, n_words = 0;
    for (uint32_t i = 0; i < x->n; i++) {
        const struct choice *ch = &CHOICE_LIST(x)[i];
        const struct alt *a = &f->g->s.alt[ch->alt];
        n_words += a->kind == ALT_WORDS;
        if (a->kind == ALT_WORDS || a->string.max <= p->points) continue;
        uint32_t left = a->string.max == NONE ? NONE : a->string.max - p->points;
        uint32_t need = a->string.min > p->points ? a->string.min - p->points : 0;
        uint32_t longest = far_add(need + 1, ch->tail); // a safe token brings the end nearer
        if (left > room) room = left;
        if (longest > finish) finish = longest;
    }
    if (room == 0 || (n_words && room < SAFE_POINTS)) return false;
    const struct vocab_tables *t = tables(f->g);
    bool open = room == NONE && finish + CHARACTER_REST_MAX <= f->limit;
    if (!open && finish > f->limit) return false;
    if (open)
        allow_all(f, t->open, finish + CHARACTER_REST_MAX);
    else
        allow_all(f, t->safe[room < SAFE_POINTS ? room - 1 : SAFE_POINTS - 1], finish);
    walk(f, open ? &t->quoted : &t->unsafe, p);
    return true;
}

// Where any key may come, no token without a quote can spoil it: a key is judged at its end.
static bool fill_key(struct fill *f)
{
    const struct pos *p = f->from;
    if (p->mode != M_KEY || p->sub != STR_PLAIN) return false;
    uint32_t finish = 0;
    for (uint32_t i = 0; i < p->choices->n; i++) {
        const struct choice *ch = &CHOICE_LIST(p->choices)[i];
        if (ch->c == NONE) continue;
        uint32_t n = extra_key_finish(f->g, p, ch);
        if (n > finish) finish = n;
    }
    if (finish == 0 || finish > f->limit) return false;
    allow_all(f, tables(f->g)->open, finish);
    walk(f, &tables(f->g)->quoted, p);
    return true;
}

// Free text in which only a token opens calls.
static bool fill_text(struct fill *f)
{
    const struct pos *p = f->from;
    if (p->mode != M_TEXT || p->sub != STR_PLAIN) return false;
    if (!f->g->tools.anchored && f->g->tools.trigger_len) return false;
    uint32_t finish = pos_finish(f->g, p) + 3; // at most three bytes of a character are left over
    if (finish > f->limit) return false;
    allow_all(f, tables(f->g)->text, finish);
    return true;
}

static void fill_added(struct fill *f)
{
    const struct vocab_tables *t = tables(f->g);
    struct chunks mem = {0};
    for (int i = 0; i < t->n_added; i++) {
        struct pos to;
        if (!pos_added(f->g, &mem, f->from, t->added[i], &to)) continue;
        uint32_t finish = pos_finish(f->g, &to);
        if (finish <= f->limit) allow(f, t->added[i], finish);
    }
    chunk_free(&mem);
    if (pos_may_end(f->g, f->from)) f->bits[f->g->v->end / 64] |= 1ull << (f->g->v->end % 64);
}

// By halves, quarters, eighths: without the popcnt instruction the builtin is a call.
static int count_bits(const uint64_t *bits, int words)
{
    uint64_t n = 0;
    for (int w = 0; w < words; w++) {
        uint64_t x = bits[w];
        x -= x >> 1 & 0x5555555555555555u;
        x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
        n += ((x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu) * 0x0101010101010101u >> 56;
    }
    return (int)n;
}

// The mask at p of tokens whose shortest finish is at most `limit`; *longest is of those set.
static int fill_mask(const grammar *g, const struct pos *p, uint32_t limit, uint64_t *bits,
                     uint32_t *longest)
{
    struct fill f = {g, p, limit, bits, 0};
    memset(bits, 0, (size_t)tables(g)->words * sizeof *bits);
    if (!fill_string(&f) && !fill_key(&f) && !fill_text(&f)) walk(&f, &tables(g)->all, p);
    fill_added(&f);
    *longest = f.longest;
    return count_bits(bits, tables(g)->words);
}

// ---- the cache ----

static struct mask_cache *cache_new(const grammar_vocab *v)
{
    const struct vocab_tables *t = v->prepared;
    struct mask_cache *c = mem_new(sizeof *c);
    size_t each = (size_t)t->words * sizeof(uint64_t) + 1024, n = 16;
    while (n < 1024 && n * 2 * each <= CACHE_BYTES) n *= 2;
    c->n = (uint32_t)n;
    c->entry = mem_new(n * sizeof *c->entry);
    for (size_t i = 0; i < n; i++) c->entry[i].mem.least = 512;
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

static void cache_free(struct mask_cache *c)
{
    for (uint32_t i = 0; c && i < c->n; i++) {
        free(c->entry[i].bits);
        chunk_free(&c->entry[i].mem);
    }
    if (!c) return;
    pthread_mutex_destroy(&c->lock);
    free(c->entry);
    free(c);
}

static bool cache_find(const grammar *g, const struct pos *p, uint64_t hash, uint64_t *bits, int *n,
                       uint32_t *longest)
{
    struct mask_cache *c = g->cache;
    pthread_mutex_lock(&c->lock);
    const struct cache_entry *x = &c->entry[hash & (c->n - 1)];
    bool hit = x->bits && x->hash == hash && pos_equal(&x->pos, p);
    if (hit) {
        memcpy(bits, x->bits, (size_t)tables(g)->words * sizeof *bits);
        *n = x->n;
        *longest = x->longest;
    }
    pthread_mutex_unlock(&c->lock);
    return hit;
}

static void cache_put(const grammar *g, const struct pos *p, uint64_t hash, const uint64_t *bits,
                      int n, uint32_t longest)
{
    struct mask_cache *c = g->cache;
    size_t bytes = (size_t)tables(g)->words * sizeof *bits;
    pthread_mutex_lock(&c->lock);
    struct cache_entry *x = &c->entry[hash & (c->n - 1)];
    if (!x->bits) x->bits = mem_new(bytes);
    memcpy(x->bits, bits, bytes);
    chunk_rewind(&x->mem, (struct chunk_mark){0});
    pos_copy(&x->mem, p, &x->pos);
    x->hash = hash;
    x->n = n;
    x->longest = longest;
    pthread_mutex_unlock(&c->lock);
}

static int unlimited_mask(const grammar *g, const struct pos *p, uint64_t *bits, uint32_t *longest)
{
    int n;
    uint64_t hash = pos_hash(p);
    if (cache_find(g, p, hash, bits, &n, longest)) return n;
    n = fill_mask(g, p, NO_LIMIT, bits, longest);
    cache_put(g, p, hash, bits, n, *longest);
    return n;
}

int grammar_mask(const grammar_state *s, int budget, uint64_t *bits)
{
    const grammar *g = s->g;
    uint32_t longest;
    memset(bits, 0, (size_t)tables(g)->words * sizeof *bits);
    if (s->pos.mode == M_ENDED) return 0;
    if (budget >= 0 && (uint32_t)budget < pos_finish(g, &s->pos) + 1) return 0;
    int n = unlimited_mask(g, &s->pos, bits, &longest);
    if (budget < 0 || (uint32_t)budget >= longest + 2) return n;
    // After a token, its finish and the end token have to fit; for the last, only the end token is
    // left.
    if (budget >= 2) return fill_mask(g, &s->pos, (uint32_t)budget - 2, bits, &longest);
    memset(bits, 0, (size_t)tables(g)->words * sizeof *bits);
    bits[g->v->end / 64] |= 1ull << (g->v->end % 64);
    return 1;
}

int grammar_mask_slow(const grammar_state *s, int budget, uint64_t *bits)
{
    const grammar *g = s->g;
    const grammar_vocab *v = g->v;
    struct chunks mem = {0};
    memset(bits, 0, (size_t)tables(g)->words * sizeof *bits);
    if (s->pos.mode == M_ENDED) return 0;
    for (int32_t t = 0; t < v->n_token; t++) {
        struct pos p = s->pos, next;
        bool may = t == v->end ? pos_may_end(g, &p) : v->kind[t] != VOCAB_SPECIAL && v->len[t] > 0;
        chunk_rewind(&mem, (struct chunk_mark){0});
        if (may && t != v->end && v->kind[t] == VOCAB_ADDED) {
            may = pos_added(g, &mem, &s->pos, t, &p);
        } else if (t != v->end) {
            for (uint32_t i = 0; may && i < v->len[t]; i++, p = next)
                may = pos_step(g, &mem, &p, (uint8_t)v->bytes[t][i], &next);
        }
        uint32_t tokens = t == v->end ? 1 : may ? pos_finish(g, &p) + 2 : 0;
        if (may && (budget < 0 || tokens <= (uint32_t)budget)) bits[t / 64] |= 1ull << (t % 64);
    }
    chunk_free(&mem);
    return count_bits(bits, tables(g)->words);
}

// ---- states ----

static grammar_state *state_new(const grammar *g)
{
    grammar_state *s = mem_new(sizeof *s);
    s->g = g;
    s->pool[0].least = s->pool[1].least = 2048;
    return s;
}

grammar_state *grammar_start(const grammar *g)
{
    grammar_state *s = state_new(g);
    pos_start(g, &s->pool[0], &s->pos);
    return s;
}

grammar_state *grammar_copy(const grammar_state *from)
{
    grammar_state *s = state_new(from->g);
    pos_copy(&s->pool[0], &from->pos, &s->pos);
    return s;
}

void grammar_state_free(grammar_state *s)
{
    if (!s) return;
    chunk_free(&s->pool[0]);
    chunk_free(&s->pool[1]);
    free(s);
}

// Moves s to `p`, which may stand partly on pool[now] and partly on scratch memory.
static void settle(grammar_state *s, const struct pos *p)
{
    struct chunks *next = &s->pool[!s->now];
    chunk_rewind(next, (struct chunk_mark){0});
    pos_copy(next, p, &s->pos);
    s->now = !s->now;
}

bool grammar_accept(grammar_state *s, int32_t token)
{
    const grammar *g = s->g;
    const grammar_vocab *v = g->v;
    if (token < 0 || token >= v->n_token || s->pos.mode == M_ENDED) return false;
    if (token == v->end) {
        if (!pos_may_end(g, &s->pos)) return false;
        settle(s, &(struct pos){.mode = M_ENDED});
        return true;
    }
    struct chunks mem = {0};
    struct pos p = s->pos, next;
    bool may = v->kind[token] != VOCAB_SPECIAL && v->len[token] > 0;
    if (may && v->kind[token] == VOCAB_ADDED)
        may = pos_added(g, &mem, &s->pos, token, &p);
    else
        for (uint32_t i = 0; may && i < v->len[token]; i++, p = next)
            may = pos_step(g, &mem, &p, (uint8_t)v->bytes[token][i], &next);
    if (may) settle(s, &p);
    chunk_free(&mem);
    return may;
}

bool grammar_may_end(const grammar_state *s)
{
    return pos_may_end(s->g, &s->pos);
}

bool grammar_in_call(const grammar_state *s)
{
    const struct pos *p = &s->pos;
    if (!s->g->tools.on) return false;
    if (p->mode == M_LITERAL) return p->literal != LIT_BETWEEN;
    return p->mode == M_NAME || p->top != NULL;
}

int grammar_shortest_finish(const grammar_state *s)
{
    return s->pos.mode == M_ENDED ? 0 : (int)pos_finish(s->g, &s->pos) + 1;
}

// The only byte that may come next, or -1.
static int only_byte(const grammar *g, struct chunks *mem, const struct pos *p, struct pos *to)
{
    int only = -1;
    if (pos_may_end(g, p) || p->mode == M_BEGIN) return -1;
    for (int c = 0; c < 256; c++) {
        struct pos next;
        if (!pos_step(g, mem, p, (uint8_t)c, &next)) continue;
        if (only >= 0) return -1;
        only = c;
        *to = next;
    }
    return only;
}

size_t grammar_forced(const grammar_state *s, char *out, size_t cap)
{
    struct chunks mem = {0};
    struct pos p = s->pos, next;
    size_t n = 0;
    for (int c; n < cap && (c = only_byte(s->g, &mem, &p, &next)) >= 0; p = next)
        out[n++] = (char)c;
    chunk_free(&mem);
    return n;
}

// ---- grammars ----

static grammar *grammar_new(const grammar_vocab *v, enum grammar_spacing spacing)
{
    assert(v->prepared);
    grammar *g = mem_new(sizeof *g);
    g->v = v;
    g->s.spacing = spacing;
    g->s.mem.least = 8192;
    g->root = NONE;
    g->tools.begin_token = -1;
    g->cache = cache_new(v);
    return g;
}

void grammar_free(grammar *g)
{
    if (!g) return;
    schema_release_build(&g->s);
    chunk_free(&g->s.mem);
    free(g->s.alt);
    for (int i = 0; i < LIT_COUNT; i++) {
        free(g->tools.literal[i].text);
        free(g->tools.literal[i].cost);
    }
    free(g->tools.trigger);
    free(g->tools.failure);
    free(g->tools.node);
    cache_free(g->cache);
    free(g);
}

size_t grammar_bytes(const grammar *g)
{
    size_t n = sizeof *g + chunk_bytes(&g->s.mem) + g->s.cap_alt * sizeof *g->s.alt;
    n += g->cache->n * sizeof *g->cache->entry;
    for (uint32_t i = 0; i < g->cache->n; i++)
        if (g->cache->entry[i].bits)
            n += (size_t)tables(g)->words * sizeof(uint64_t) + chunk_bytes(&g->cache->entry[i].mem);
    return n;
}

grammar *grammar_from_schema(const grammar_vocab *v, const json_t *schema,
                             enum grammar_spacing spacing, err *e)
{
    grammar *g = grammar_new(v, spacing);
    const char *what = "schema";
    g->root = schema_add(&g->s, schema, what, false, e);
    if (g->root == NONE || schema_finish(&g->s, &g->root, 1, &what, e) < 0) {
        grammar_free(g);
        return NULL;
    }
    return g;
}

// ---- tool calls ----

// The longest added token that `text` begins with, or -1.
static int32_t added_prefix(const grammar_vocab *v, const char *text)
{
    const struct vocab_tables *t = v->prepared;
    size_t n = strlen(text);
    for (int i = 0; i < t->n_added; i++) {
        int32_t token = t->added[i];
        if (v->len[token] && v->len[token] <= n &&
            memcmp(v->bytes[token], text, v->len[token]) == 0)
            return token;
    }
    return -1;
}

static struct literal_text literal_make(const grammar_vocab *v, const char *a, const char *b,
                                        const char *c)
{
    struct literal_text l = {.text = mem_printf("%s%s%s", a, b, c)};
    const struct vocab_tables *t = v->prepared;
    l.len = (uint32_t)strlen(l.text);
    l.cost = mem_new((l.len + 1) * sizeof *l.cost);
    for (uint32_t i = l.len; i-- > 0;) {
        l.cost[i] = 1 + l.cost[i + 1];
        for (int k = 0; k < t->n_added; k++) {
            uint32_t n = v->len[t->added[k]];
            if (n == 0 || n > l.len - i || memcmp(l.text + i, v->bytes[t->added[k]], n) != 0)
                continue;
            if (1 + l.cost[i + n] < l.cost[i]) l.cost[i] = 1 + l.cost[i + n];
        }
    }
    return l;
}

static void set_trigger(struct tools *t, const char *text)
{
    t->trigger = mem_str(text);
    t->trigger_len = (uint32_t)strlen(text);
    t->failure = mem_new((t->trigger_len + 1) * sizeof *t->failure);
    for (uint32_t i = 1, k = 0; i < t->trigger_len; i++) {
        while (k > 0 && text[i] != text[k]) k = t->failure[k];
        if (text[i] == text[k]) k++;
        t->failure[i + 1] = k;
    }
}

static void set_format(grammar *g, const struct grammar_tools_options *o)
{
    struct tools *t = &g->tools;
    const char *between = o->between ? o->between : "";
    t->on = true;
    t->choice = o->choice;
    t->anchored = o->begin[0] == 0;
    t->parallel = o->parallel && o->between && !t->anchored;
    t->begin_token = t->anchored ? -1 : added_prefix(g->v, o->begin);
    const char *rest = t->begin_token >= 0 ? o->begin + g->v->len[t->begin_token] : "";
    t->literal[LIT_OPEN] = literal_make(g->v, rest, o->before_name, "");
    t->literal[LIT_RETRY] = literal_make(g->v, o->before_name, "", "");
    t->literal[LIT_CLOSE] = literal_make(g->v, o->after_args, o->end, "");
    t->literal[LIT_BETWEEN] = t->begin_token >= 0
                                  ? literal_make(g->v, between, "", "")
                                  : literal_make(g->v, between, o->begin, o->before_name);
    if (t->anchored)
        set_trigger(t, o->before_name);
    else if (t->begin_token < 0)
        set_trigger(t, o->begin);
}

static int check_tools(const struct grammar_tools_options *o, err *e)
{
    bool named = false;
    for (size_t i = 0; i < o->n_tool; i++) {
        if (!o->tools[i].name[0]) return err_set(e, ERR_INPUT, "tool %zu has no name", i);
        for (size_t k = 0; k < i; k++)
            if (strcmp(o->tools[i].name, o->tools[k].name) == 0)
                return err_set(e, ERR_INPUT, "tool %s: declared twice", o->tools[i].name);
        named = named || (o->named && strcmp(o->named, o->tools[i].name) == 0);
    }
    if (o->choice == CHOICE_NAMED && !named)
        return err_set(e, ERR_INPUT, "tool %s: required by name, but not among the tools",
                       o->named ? o->named : "?");
    if (o->choice == CHOICE_REQUIRED && o->n_tool == 0)
        return err_set(e, ERR_INPUT, "a tool call is required, but there is no tool");
    if (!o->begin || !o->before_name || !o->after_name || !o->after_args || !o->end ||
        !o->after_name[0] || (!o->begin[0] && !o->before_name[0]))
        return err_set(e, ERR_INPUT, "tool call format: a part is missing");
    return 0;
}

static int add_tools(grammar *g, const struct grammar_tools_options *o, err *e)
{
    static const char empty_object[] = "{\"type\": \"object\", \"properties\": {}}";
    json_t *none = json_loads(empty_object, 0, NULL);
    const char **what = mem_new((o->n_tool + 1) * sizeof *what);
    g->tools.node = mem_new((o->n_tool + 1) * sizeof *g->tools.node);
    int rc = 0;
    for (size_t i = 0; i < o->n_tool && rc == 0; i++) {
        const json_t *parameters = o->tools[i].parameters ? o->tools[i].parameters : none;
        what[i] = mem_printf("tool %s: parameters", o->tools[i].name);
        g->tools.node[i] = schema_add(&g->s, parameters, what[i], true, e);
        if (g->tools.node[i] == NONE) rc = -1;
    }
    if (rc == 0) rc = schema_finish(&g->s, g->tools.node, o->n_tool, what, e);
    for (size_t i = 0; i < o->n_tool; i++) free((char *)what[i]);
    free(what);
    json_decref(none);
    return rc;
}

static void add_names(grammar *g, const struct grammar_tools_options *o)
{
    const char **text = mem_new((o->n_tool + 1) * sizeof *text);
    uint32_t *id = mem_new((o->n_tool + 1) * sizeof *id), n = 0;
    for (size_t i = 0; i < o->n_tool; i++) {
        if (o->choice == CHOICE_NAMED && strcmp(o->named, o->tools[i].name) != 0) continue;
        buf b = buf_new(1 << 20);
        json_quoted(&b, o->tools[i].name, strlen(o->tools[i].name));
        b.n--; // the closing quote belongs to what follows the name
        b.p[b.n] = 0;
        buf_str(&b, o->after_name);
        text[n] = mem_str(b.p + 1);
        id[n++] = (uint32_t)i;
        buf_free(&b);
    }
    g->tools.names = words_of(&g->s.mem, text, id, n);
    for (uint32_t i = 0; i < n; i++) free((char *)text[i]);
    free(text);
    free(id);
}

grammar *grammar_from_tools(const grammar_vocab *v, const struct grammar_tools_options *o, err *e)
{
    if (check_tools(o, e) < 0) return NULL;
    grammar *g = grammar_new(v, o->spacing);
    set_format(g, o);
    if (add_tools(g, o, e) < 0) {
        grammar_free(g);
        return NULL;
    }
    add_names(g, o);
    return g;
}
