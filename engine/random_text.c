#include "engine/random_text.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum kind { QUOTE, STRUCTURE, LETTER, DIGIT, ESCAPE, SPACE, WIDE, OTHER, END, N_KIND };

struct random_text {
    struct random_text_options o;
    uint64_t *bits;  // [n_token]
    uint32_t *taken; // [n_token] how often each token was
    uint8_t *kind;   // [n_token], enum kind of its first byte
};

static enum kind kind_of(unsigned char c)
{
    if (c == '"') return QUOTE;
    if (c == '\\') return ESCAPE;
    if (c >= 0x80) return WIDE;
    if (strchr("{}[],:", c) && c) return STRUCTURE;
    if (strchr(" \t\n\r", c) && c) return SPACE;
    if ((c >= '0' && c <= '9') || c == '-') return DIGIT;
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z' ? LETTER : OTHER;
}

random_text *random_text_new(const struct random_text_options *o)
{
    size_t n = (size_t)o->vocab->n_token;
    random_text *t = mem_new(sizeof *t);
    *t = (random_text){.o = *o,
                       .bits = mem_new((n / 64 + 1) * sizeof *t->bits),
                       .taken = mem_new(n * sizeof *t->taken),
                       .kind = mem_new(n)};
    for (size_t i = 0; i < n; i++)
        t->kind[i] = o->vocab->len[i] ? kind_of((unsigned char)o->vocab->bytes[i][0]) : OTHER;
    t->kind[o->vocab->end] = END;
    return t;
}

void random_text_free(random_text *t)
{
    if (!t) return;
    free(t->bits);
    free(t->taken);
    free(t->kind);
    free(t);
}

static bool allowed(const random_text *t, int32_t id)
{
    return t->bits[id / 64] >> (id % 64) & 1;
}

// One token of each kind is drawn in the same pass, then one of the kinds.
static int32_t pick_uniform(const random_text *t, rng *r)
{
    uint64_t seen[N_KIND] = {0}, kinds = 0;
    int32_t drawn[N_KIND], id = -1;
    for (int32_t i = 0; i < t->o.vocab->n_token; i++)
        if (allowed(t, i) && rng_below(r, ++seen[t->kind[i]]) == 0) drawn[t->kind[i]] = i;
    for (int k = 0; k < N_KIND; k++)
        if (seen[k] && rng_below(r, ++kinds) == 0) id = drawn[k];
    return id;
}

static int32_t pick_rarest(const random_text *t, rng *r)
{
    uint64_t ties = 0;
    int32_t id = -1;
    for (int32_t i = 0; i < t->o.vocab->n_token; i++) {
        if (!allowed(t, i)) continue;
        if (id >= 0 && t->taken[i] > t->taken[id]) continue;
        if (id < 0 || t->taken[i] < t->taken[id]) ties = 0;
        if (rng_below(r, ++ties) == 0) id = i;
    }
    return id;
}

static int32_t pick(const random_text *t, rng *r)
{
    const struct sample_options plain = {.temperature = 1, .top_p = 1};
    switch (t->o.how) {
    case RANDOM_UNIFORM: return pick_uniform(t, r);
    case RANDOM_RAREST: return pick_rarest(t, r);
    default: return session_sample(t->o.session, &plain, t->bits);
    }
}

static int begin(random_text *t, rng *r, err *e)
{
    if (t->o.how != RANDOM_MODEL) return 0;
    session_seed(t->o.session, rng_u64(r));
    return session_sync(t->o.session, t->o.prompt, t->o.n_prompt, NULL, NULL, e);
}

int random_text_make(random_text *t, const grammar *g, rng *r, buf *out, err *e)
{
    const grammar_vocab *v = t->o.vocab;
    grammar_state *s = grammar_start(g);
    int budget = grammar_shortest_finish(s), rc = begin(t, r, e);
    if (budget < t->o.max_tokens) budget = t->o.max_tokens;
    buf_clear(out);
    for (int32_t id = -1; rc == 0 && id != v->end; budget--) {
        if (grammar_mask(s, budget, t->bits) == 0) {
            rc = err_set(e, ERR_FAILED, "no token is allowed behind %.300s", buf_text(out));
            break;
        }
        id = pick(t, r);
        if (!grammar_accept(s, id)) {
            rc = err_set(e, ERR_FAILED, "a token of the mask is not accepted behind %.300s",
                         buf_text(out));
            break;
        }
        t->taken[id]++;
        if (id == v->end) break;
        buf_put(out, v->bytes[id], v->len[id]);
        if (t->o.how == RANDOM_MODEL) rc = session_step(t->o.session, id, e);
    }
    grammar_state_free(s);
    return rc;
}
