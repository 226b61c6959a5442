// Rules that take too long are refused before they are used. What a step costs depends on how many
// ways there are to read the text so far, which no look at the rules alone tells: so a few random
// texts are read, and where a step is found to be dear, masks are made there, under a bound of
// their work. At run time there is none: every mask is exact.
#include "base/mem.h"
#include "base/rng.h"
#include "engine/grammar_rules.h"

#include <stdlib.h>

enum {
    TEXTS = 3,
    TEXT_BYTES = 160, // of one
    FIRST_BYTES = 32, // of the first: where all its steps are cheap, no more is read
    CHEAP = 24,       // visits in a step
    DEAR = 100,       // more is looked at closely
    MASKS_MAX = 8     // that are made
};
#define EFFORT_MAX 10000000u // of one mask: about a tenth of a second
#define MASKS_ALL  25000000u // of all masks
#define STEPS_ALL  25000000u // of all steps

struct trial {
    grammar *g;
    rng r;
    uint64_t *bits;
    uint64_t dearest, steps, masks; // effort of one step, of all, of all masks
    int n_mask;
};

static bool take_byte(struct trial *t, const struct pos *p, uint8_t c, struct pos *to)
{
    grammar *g = t->g;
    struct chunk_mark mark = chunk_mark(&g->step);
    struct pos next;
    bool may = pos_may_begin(g, p, c) && pos_step(g, &g->step, p, c, &next);
    if (may) *to = pos_keep(&next);
    chunk_rewind(&g->step, mark);
    return may;
}

static bool take_token(struct trial *t, const struct pos *p, struct pos *to)
{
    grammar *g = t->g;
    struct chunk_mark mark = chunk_mark(&g->step);
    struct pos next;
    bool may = false;
    for (uint32_t i = 0; p->mode == M_RULES && i < p->threads->n && !may; i++) {
        const struct rules_edge *x = &g->rules->edge[THREADS(p->threads)[i].edge];
        may = x->kind == PIECE_TOKEN && pos_added(g, &g->step, p, (int32_t)x->a, &next);
    }
    if (may) *to = pos_keep(&next);
    chunk_rewind(&g->step, mark);
    return may;
}

// One byte further, letters rather than others, or one token. False: only the end can come.
static bool go_on(struct trial *t, const struct pos *p, struct pos *to)
{
    if (p->mode == M_ENDED || p->mode == M_DONE) return false;
    for (int i = 0; i < 4; i++)
        if (take_byte(t, p, (uint8_t)('a' + rng_below(&t->r, 26)), to)) return true;
    uint32_t from = (uint32_t)rng_below(&t->r, 256);
    for (uint32_t i = 0; i < 256; i++)
        if (take_byte(t, p, (uint8_t)(from + i), to)) return true;
    return take_token(t, p, to);
}

static bool mask_is_dear(struct trial *t, const struct pos *p)
{
    struct rules *r = t->g->rules;
    r->effort = 0;
    r->effort_max = EFFORT_MAX;
    mask_make(t->g, p, -1, t->bits);
    r->effort_max = 0;
    t->n_mask++;
    t->masks += r->effort;
    return r->tired || t->masks > MASKS_ALL;
}

static bool text_is_dear(struct trial *t)
{
    grammar *g = t->g;
    struct rules *r = g->rules;
    struct chunk_mark mark = chunk_mark(&g->step);
    struct pos p, next;
    bool dear = false;
    pos_start(g, &g->step, &p);
    p = pos_keep(&p);
    chunk_rewind(&g->step, mark);
    for (int i = 0; i < TEXT_BYTES && !dear; i++) {
        if (i == FIRST_BYTES && t->dearest <= CHEAP) break;
        r->effort = 0;
        if (!go_on(t, &p, &next)) break;
        pos_drop(&p);
        p = next;
        t->steps += r->effort;
        if (r->effort > t->dearest) t->dearest = r->effort;
        bool look = r->effort > DEAR && (i < 3 || i == 12 || i == 50 || i + 1 == TEXT_BYTES);
        dear = t->steps > STEPS_ALL || (look && t->n_mask < MASKS_MAX && mask_is_dear(t, &p));
    }
    pos_drop(&p);
    return dear;
}

bool rules_too_dear(grammar *g)
{
    int words = ((const struct vocab_tables *)g->v->prepared)->words;
    struct trial t = {.g = g, .r = rng_seed(1)};
    bool dear = false;
    t.bits = mem_new((size_t)words * sizeof *t.bits);
    for (int i = 0; i < TEXTS && !dear && (i == 0 || t.dearest > CHEAP); i++)
        dear = text_is_dear(&t);
    chunk_rewind(&g->step, (struct chunk_mark){0});
    free(t.bits);
    return dear;
}
