// The members of a set from the cheapest one on, one by one. A member is found by writing it, as a
// model would that is to end as soon as it can, and taken out of the set.
#include "base/buf.h"
#include "base/mem.h"
#include "engine/grammar_private.h"

#include <string.h>

#define TEXT_MAX 100000 // bytes of a member

static uint32_t finish_of(grammar *g, const struct pos *p)
{
    struct chunk_mark mark = chunk_mark(&g->work);
    uint32_t finish = pos_finish(g, p);
    chunk_rewind(&g->work, mark);
    return finish;
}

// One byte nearer to the end; false: none is.
static bool nearer(grammar *g, struct chunks *mem, const struct pos *p, uint32_t finish, buf *text,
                   struct pos *to)
{
    for (int c = 0; c < 256; c++) {
        struct chunk_mark mark = chunk_mark(mem);
        if (pos_may_begin(g, p, (uint8_t)c) && pos_step(g, mem, p, (uint8_t)c, to) &&
            finish_of(g, to) < finish) {
            buf_byte(text, (char)c);
            return true;
        }
        chunk_rewind(mem, mark);
    }
    return false;
}

static json_t *write_member(grammar *g, set_id s)
{
    struct chunks mem = {0};
    buf text = buf_new(TEXT_MAX);
    struct pos p = {.mode = M_VALUE, .top = frame_root(&mem, s)}, to;
    bool guess = g->guess, nears = true;
    g->guess = false;
    for (uint32_t finish; nears && (finish = finish_of(g, &p)) > 0; p = to)
        nears = nearer(g, &mem, &p, finish, &text, &to);
    g->guess = guess;
    json_t *v =
        nears ? json_loadb(buf_text(&text), text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : NULL;
    buf_free(&text);
    chunk_free(&mem);
    return v;
}

static uint64_t cheapest_hash(const void *owner, uint32_t id)
{
    return mix(1, ((const grammar *)owner)->cheapest[id].of);
}

set_id values_but_cheapest(grammar *g, set_id s)
{
    struct table *t = &g->cheapest_table;
    table_room(t, cheapest_hash, g);
    uint32_t hash = (uint32_t)mix(1, s), at = hash & (t->cap - 1);
    for (; t->slot[at]; at = (at + 1) & (t->cap - 1))
        if (g->cheapest[t->slot[at] - 1].of == s) return g->cheapest[t->slot[at] - 1].rest;
    json_t *v = write_member(g, s);
    set_id rest = v ? values_minus(g, s, values_of_json(g, v)) : s;
    json_decref(v);
    if (g->n_cheapest == g->cap_cheapest) {
        g->cap_cheapest = g->cap_cheapest ? g->cap_cheapest * 2 : 16;
        g->cheapest = mem_grow(g->cheapest, g->cap_cheapest * sizeof *g->cheapest);
    }
    table_room(t, cheapest_hash, g); // what was asked meanwhile is there too
    g->cheapest[g->n_cheapest] = (struct cheapest){s, rest};
    for (at = hash & (t->cap - 1); t->slot[at];) at = (at + 1) & (t->cap - 1);
    t->slot[at] = ++g->n_cheapest;
    t->n++;
    return rest;
}
