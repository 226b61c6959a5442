// What must come next. Where only one byte may follow, and then only one, and so on, nothing has to
// be asked of the model. But bytes are not tokens: fed in another cut than the tokenizer's own, the
// same text is one that the model has hardly ever seen. So the run of forced bytes is written by
// the tokenizer behind the text so far, and what stands near its end is held back: as long as some
// token may begin in the run and end behind it, what follows decides how the run's end is cut.
#include "base/mem.h"
#include "engine/grammar_private.h"

#include <string.h>

enum {
    RUN_MAX = 1024, // forced bytes looked at
    CONTEXT_BYTES = 256,
    IDS_MAX = CONTEXT_BYTES + RUN_MAX
};

// The only byte that may come next, or -1: there is a choice, or only a token may come.
static int only_byte(grammar *g, const struct pos *p, struct pos *to)
{
    int only = -1;
    if (pos_may_end(g, &g->step, p)) return -1;
    for (int c = 0; c < 256; c++) {
        struct pos next;
        if (!pos_may_begin(g, p, (uint8_t)c) || !pos_step(g, &g->step, p, (uint8_t)c, &next))
            continue;
        if (only >= 0) return -1;
        only = c;
        *to = next;
    }
    return only;
}

size_t force_bytes(grammar *g, const struct pos *from, char *out, size_t cap)
{
    struct pos p = *from, next;
    size_t n = 0;
    for (int c; n < cap && (c = only_byte(g, &p, &next)) >= 0; p = next) out[n++] = (char)c;
    return n;
}

// The added token that may come next; -1: none, -2: several.
static int32_t only_added(grammar *g, const struct pos *p, struct pos *to)
{
    const struct vocab_tables *t = g->v->prepared;
    int32_t only = -1;
    for (int i = 0; i < t->n_added; i++) {
        struct pos next;
        if (!pos_added(g, &g->step, p, t->added[i], &next)) continue;
        if (only >= 0) return -2;
        only = t->added[i];
        *to = next;
    }
    return only;
}

static bool any_byte(grammar *g, const struct pos *p)
{
    struct pos next;
    for (int c = 0; c < 256; c++)
        if (pos_may_begin(g, p, (uint8_t)c) && pos_step(g, &g->step, p, (uint8_t)c, &next))
            return true;
    return false;
}

bool force_end(grammar *g, const struct pos *p)
{
    struct pos to;
    return pos_may_end(g, &g->step, p) && only_added(g, p, &to) == -1 && !any_byte(g, p);
}

// The forced bytes from *p on, which moves behind them. *token: the added token that must come
// then, or -1; where it can be written as bytes too, the token is the tokenizer's way.
static size_t take_run(grammar *g, struct pos *p, char *run, int32_t *token)
{
    size_t n = 0;
    for (;;) {
        struct pos by_token, by_byte;
        *token = -1;
        if (pos_may_end(g, &g->step, p)) return n;
        int32_t added = only_added(g, p, &by_token);
        if (added == -2) return n;
        int c = only_byte(g, p, &by_byte);
        if (added >= 0) {
            bool same = c >= 0 && g->v->len[added] && c == (uint8_t)g->v->bytes[added][0];
            if (!same && any_byte(g, p)) return n;
            *token = added;
            *p = by_token;
            return n;
        }
        if (c < 0 || n == RUN_MAX) return n;
        run[n++] = (char)c;
        *p = by_byte;
    }
}

// ---- where the run may be cut ----

// May some token come that begins with what ends at node i of the trie, and goes on from p?
static bool goes_on(grammar *g, uint32_t i, const struct pos *p)
{
    const struct trie *t = &((const struct vocab_tables *)g->v->prepared)->all;
    uint32_t depth = t->node[i].depth, end = t->node[i].skip;
    struct pos next;
    for (uint32_t k = i + 1; k < end; k = t->node[k].skip) {
        if (t->node[k].depth != depth + 1) continue;
        struct chunk_mark mark = chunk_mark(&g->step);
        bool may = pos_step(g, &g->step, p, t->node[k].byte, &next) &&
                   (t->node[k].n_token || goes_on(g, k, &next));
        chunk_rewind(&g->step, mark);
        if (may) return true;
    }
    return false;
}

// The node at which text ends, or NONE.
static uint32_t find_node(const struct trie *t, const char *text, size_t n)
{
    uint32_t i = t->first[(uint8_t)text[0]], end = t->first[(uint8_t)text[0] + 1];
    for (size_t k = 0;; i++) {
        while (i < end && t->node[i].byte < (uint8_t)text[k]) i = t->node[i].skip;
        if (i >= end || t->node[i].byte != (uint8_t)text[k]) return NONE;
        if (++k == n) return i;
        end = t->node[i].skip;
    }
}

// May a token begin at this place in the run and end behind it?
static bool may_span(grammar *g, const char *run, size_t n, const struct pos *after)
{
    const struct trie *t = &((const struct vocab_tables *)g->v->prepared)->all;
    uint32_t node = n > t->depth ? NONE : find_node(t, run, n);
    return node != NONE && goes_on(g, node, after);
}

struct context {
    char text[CONTEXT_BYTES];
    size_t n;
};

struct run {
    char text[RUN_MAX];
    size_t n;
    bool open;        // what comes behind it is not known
    struct pos after; // where it ends
};

// The tokens of context and run that are the same whatever follows. Where a token spans the run's
// end it begins somewhere in the run, and the tokenizer cuts what stands in front of it as it would
// by itself: so the ones that all these cuts agree on.
static size_t agreed(grammar *g, const char *text, size_t from, size_t n, const struct pos *after,
                     const int32_t *ids, size_t n_id)
{
    int32_t other[IDS_MAX];
    for (size_t at = from; at < n; at++) {
        if (!may_span(g, text + at, n - at, after)) continue;
        size_t m = g->v->encode(g->v->user, text, at, other, IDS_MAX), same = 0;
        while (same < m && same < n_id && other[same] == ids[same]) same++;
        n_id = same;
    }
    return n_id;
}

// Writes the tokens of the run that stand fast into out; *all: they are all of it.
static size_t write_run(grammar *g, const struct context *c, const struct run *r, int32_t *out,
                        size_t cap, bool *all)
{
    char text[CONTEXT_BYTES + RUN_MAX];
    int32_t ids[IDS_MAX];
    size_t at = 0, first = 0, n = 0;
    *all = r->n == 0;
    if (*all) return 0;
    memcpy(text, c->text, c->n);
    memcpy(text + c->n, r->text, r->n);
    size_t n_id = g->v->encode(g->v->user, text, c->n + r->n, ids, IDS_MAX);
    if (n_id > IDS_MAX) return 0;
    while (first < n_id && at < c->n) at += g->v->len[ids[first++]];
    if (at != c->n) return 0; // the tokenizer would not have cut here
    size_t fast = r->open ? agreed(g, text, c->n, c->n + r->n, &r->after, ids, n_id) : n_id;
    for (size_t i = first; i < fast && n < cap; i++) out[n++] = ids[i];
    *all = first + n == n_id;
    return n;
}

static void context_of(const grammar *g, const int32_t *before, size_t n, struct context *c)
{
    size_t from = 0;
    c->n = 0;
    while (from < n && c->n + g->v->len[before[from]] <= CONTEXT_BYTES)
        c->n += g->v->len[before[from++]];
    for (size_t at = 0; from > 0; at += g->v->len[before[from]]) {
        from--;
        memcpy(c->text + at, g->v->bytes[before[from]], g->v->len[before[from]]);
    }
}

size_t force_tokens(grammar *g, const struct pos *from, const int32_t *before, size_t n_before,
                    int32_t *out, size_t cap)
{
    struct run r = {.after = *from};
    struct context c;
    size_t n = 0;
    int32_t token = 0;
    bool all = true;
    chunk_rewind(&g->work, (struct chunk_mark){0});
    context_of(g, before, n_before, &c);
    while (all && token >= 0 && n < cap && r.after.mode != M_ENDED) {
        r.n = take_run(g, &r.after, r.text, &token);
        // The end, and an added token, are cut off from what stands in front of them.
        r.open = token < 0 && !force_end(g, &r.after);
        n += write_run(g, &c, &r, out + n, cap - n, &all);
        if (all && token >= 0 && n < cap) out[n++] = token;
        c.n = 0;
    }
    return n;
}
