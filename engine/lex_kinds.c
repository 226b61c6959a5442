// Kinds of characters that a state does not tell apart: they lead back to it, or to life for so
// many characters. Masks of the tokens made of some kinds of characters are quickly put together,
// so that no token of these alone has to be walked.
#include "engine/lex_private.h"

// ---- kinds ----

// White space of ECMA-262 beyond ASCII: what \s, \S and the dot tell from other characters.
static const struct span white[] = {{0xa0, 0xa0},     {0x1680, 0x1680}, {0x2000, 0x200a},
                                    {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f},
                                    {0x3000, 0x3000}, {0xfeff, 0xfeff}};
enum { N_WHITE = sizeof white / sizeof white[0] };

uint32_t lex_kind(uint32_t c)
{
    if (c < 0x80) return c < 0x20 ? KIND_CONTROL : c;
    for (int i = 0; i < N_WHITE; i++)
        if (c >= white[i].lo && c <= white[i].hi) return KIND_WHITE;
    return KIND_BEYOND;
}

static void add_ascii(struct kinds *k, uint32_t lo, uint32_t hi)
{
    for (uint32_t c = lo < 0x20 ? 0x20 : lo; c <= hi && c < 0x7f; c++)
        if (c != '"' && c != '\\') kinds_add(k, c);
}

// Takes the kinds off k that some of the characters from lo to hi are of.
static void take_beyond(struct kinds *k, uint32_t lo, uint32_t hi)
{
    bool within = false;
    if (hi < 0x80) return;
    if (lo < 0x80) lo = 0x80;
    for (int i = 0; i < N_WHITE; i++) {
        if (hi >= white[i].lo && lo <= white[i].hi) k->w[0] &= ~(1ull << KIND_WHITE);
        within = within || (lo >= white[i].lo && hi <= white[i].hi);
    }
    if (!within) k->w[0] &= ~(1ull << KIND_BEYOND);
}

static const struct kinds all_beyond = {{1u << KIND_BEYOND | 1u << KIND_WHITE, 0}};

static struct kinds kinds_of_set(const lex *x, uint32_t set)
{
    struct kinds k = all_beyond;
    uint32_t from = 0;
    for (uint32_t i = 0; i < x->set[set].n; i++) {
        struct span s = x->set[set].span[i];
        add_ascii(&k, s.lo, s.hi);
        if (s.lo > from) take_beyond(&k, from, s.lo - 1);
        from = s.hi + 1;
    }
    if (from <= CODE_POINT_MAX) take_beyond(&k, from, CODE_POINT_MAX);
    return k;
}

// ---- loops ----

// Of plain text: a quote and a backslash are characters like any other, and control characters too.
static void add_plain(struct kinds *k, uint32_t lo, uint32_t hi, uint32_t *n_control)
{
    if (lo <= '"' && hi >= '"') kinds_add(k, '"');
    if (lo <= '\\' && hi >= '\\') kinds_add(k, '\\');
    if (lo < 0x20) *n_control += (hi < 0x20 ? hi : 0x1f) - lo + 1;
    if (*n_control == 0x20) kinds_add(k, KIND_CONTROL);
}

static struct kinds loops_of(lex *x, expr a)
{
    struct kinds k = {{0}};
    uint32_t n_control = 0;
    if (x->expr[a].kind == EXPR_WORDS) return k;
    const struct row *r = expr_row(x, a);
    k = all_beyond;
    for (uint32_t i = 0; i < r->n; i++) {
        uint32_t hi = i + 1 < r->n ? r->from[i + 1] - 1 : CODE_POINT_MAX;
        if (r->to[i] != a) {
            take_beyond(&k, r->from[i], hi);
            continue;
        }
        add_ascii(&k, r->from[i], hi);
        if (x->escapes == ESCAPES_NONE) add_plain(&k, r->from[i], hi, &n_control);
    }
    return k;
}

struct kinds lex_loops(lex *x, lex_state s)
{
    if (s == LEX_DEAD || x->state[s].stage != STAGE_CHAR) return (struct kinds){{0}};
    if (!x->state[s].has_loops) {
        struct kinds k = loops_of(x, x->state[s].a);
        x->state[s].loops = k;
        x->state[s].has_loops = true;
    }
    return x->state[s].loops;
}

// ---- death ----

// Takes off the kinds that some of the characters from lo to hi are of.
static void take_kinds(struct kinds *k, uint32_t lo, uint32_t hi)
{
    for (uint32_t c = lo < 0x20 ? 0x20 : lo; c <= hi && c < 0x80; c++)
        k->w[c / 64] &= ~(1ull << (c % 64));
    take_beyond(k, lo, hi);
}

static struct kinds doomed_of(lex *x, expr a)
{
    const struct row *r = expr_row(x, a);
    struct kinds k = {{~0ull, ~0ull}};
    for (uint32_t i = 0; i < r->n; i++) {
        uint32_t hi = i + 1 < r->n ? r->from[i + 1] - 1 : CODE_POINT_MAX;
        if (expr_rest(x, r->to[i]) != FAR) take_kinds(&k, r->from[i], hi);
    }
    take_kinds(&k, '\\', '\\'); // an escape may be anything
    if (x->expr[a].nullable) take_kinds(&k, '"', '"');
    if (!x->expr[a].nullable) kinds_add(&k, '"');
    return k;
}

struct kinds lex_doomed(lex *x, lex_state s)
{
    if (s == LEX_DEAD || x->state[s].stage != STAGE_CHAR) return (struct kinds){{0}};
    return doomed_of(x, x->state[s].a);
}

// ---- runs ----

// Does no character of the set begin what a matches?
static bool is_foreign(lex *x, expr a, uint32_t set)
{
    const struct row *r = expr_row(x, a);
    for (uint32_t i = 0; i < r->n; i++) {
        uint32_t hi = i + 1 < r->n ? r->from[i + 1] - 1 : CODE_POINT_MAX;
        if (r->to[i] == EXPR_NONE) continue;
        for (uint32_t k = 0; k < x->set[set].n; k++)
            if (x->set[set].span[k].lo <= hi && x->set[set].span[k].hi >= r->from[i]) return false;
    }
    return true;
}

// Characters of one set, then something else.
static bool run_of_set(lex *x, expr a, struct lex_run *run)
{
    expr head = a, tail = EXPR_END;
    if (x->expr[a].kind == EXPR_THEN) {
        head = x->expr[a].a;
        tail = x->expr[a].b;
    }
    run->most = 1;
    if (x->expr[head].kind == EXPR_REPEAT) {
        run->most = x->expr[head].c;
        head = x->expr[head].a;
    }
    if (x->expr[head].kind != EXPR_SET || !x->expr[tail].plain) return false;
    uint32_t set = x->expr[head].a;
    run->kinds = kinds_of_set(x, set);
    bool foreign = is_foreign(x, tail, set);
    run->dead = run->most != NO_MAX && foreign;
    run->rest = expr_rest(x, a); // fewer and fewer
    // What the run may have read of the tail as well goes on in other ways.
    run->doomed = foreign ? doomed_of(x, tail) : (struct kinds){{0}};
    for (uint32_t i = 0; i < x->set[set].n; i++)
        take_kinds(&run->doomed, x->set[set].span[i].lo, x->set[set].span[i].hi);
    take_kinds(&run->doomed, '"', '"');
    return true;
}

// A length beside something that loops, whose lengths have no gaps.
static bool run_of_sized(lex *x, expr a, struct lex_run *run)
{
    struct expr_node p = x->expr[a], q = x->expr[p.a];
    if (!q.shape || q.gap > 1 || q.max_len != NO_MAX || p.c == NO_MAX || p.c <= q.min_len)
        return false;
    run->kinds = loops_of(x, p.a);
    run->most = p.c - q.min_len;
    run->dead = true;
    run->rest = expr_rest(x, a);
    run->doomed = doomed_of(x, p.a);
    return true;
}

static bool run_of(lex *x, expr a, struct lex_run *run)
{
    bool known = x->expr[a].kind == EXPR_SIZED ? run_of_sized(x, a, run) : run_of_set(x, a, run);
    return known && !kinds_none(&run->kinds);
}

// The widest of those that have no end: what one alternative lets live, all together do.
static bool run_of_or(lex *x, struct expr_node p, struct lex_run *run)
{
    struct lex_run one;
    bool known = false;
    for (uint32_t i = 0; i < p.a; i++) {
        if (!run_of(x, p.list[i], &one) || one.most != NO_MAX) continue;
        if (known && kinds_count(&one.kinds) <= kinds_count(&run->kinds)) continue;
        *run = one;
        known = true;
    }
    run->doomed = (struct kinds){{0}}; // another alternative may live
    return known;
}

#define STATES_MAX 160 // that are looked at to find a run

// The kinds of which every character leads from a to life.
static struct kinds alive_of(lex *x, expr a)
{
    const struct row *r = expr_row(x, a);
    struct kinds k = all_beyond;
    for (uint32_t i = 0; i < r->n; i++) {
        uint32_t hi = i + 1 < r->n ? r->from[i + 1] - 1 : CODE_POINT_MAX;
        if (expr_rest(x, r->to[i]) != FAR)
            add_ascii(&k, r->from[i], hi);
        else
            take_beyond(&k, r->from[i], hi);
    }
    return k;
}

static void meet(struct kinds *k, struct kinds more)
{
    k->w[0] &= more.w[0];
    k->w[1] &= more.w[1];
}

static bool any_of(const struct kinds *k, uint32_t lo, uint32_t hi)
{
    for (uint32_t c = lo; c <= hi && c < 0x7f; c++)
        if (c >= 0x20 && kinds_has(k, c)) return true;
    return hi >= 0x80 && (kinds_has(k, KIND_BEYOND) || kinds_has(k, KIND_WHITE));
}

// The states that characters of some kinds lead to, and the kinds that lead to life from all of
// them: until neither changes.
static bool run_of_graph(lex *x, expr a, bool many, struct lex_run *run)
{
    expr seen[STATES_MAX];
    uint32_t n = 1;
    seen[0] = a;
    *run = (struct lex_run){alive_of(x, a), NO_MAX, false, expr_rest(x, a), doomed_of(x, a)};
    for (uint32_t i = 0; i < n; i++) {
        const struct row *r = expr_row(x, seen[i]);
        for (uint32_t k = 0; k < r->n; k++) {
            uint32_t hi = k + 1 < r->n ? r->from[k + 1] - 1 : CODE_POINT_MAX, at = 0;
            if (expr_rest(x, r->to[k]) == FAR || !any_of(&run->kinds, r->from[k], hi)) continue;
            while (at < n && seen[at] != r->to[k]) at++;
            if (at < n) continue;
            if (n == STATES_MAX || (many && expr_count(x, r->to[k]) != LEX_MANY)) return false;
            if (expr_rest(x, r->to[k]) > run->rest) run->rest = expr_rest(x, r->to[k]);
            meet(&run->kinds, alive_of(x, r->to[k]));
            meet(&run->doomed, doomed_of(x, r->to[k]));
            seen[n++] = r->to[k];
        }
    }
    return !kinds_none(&run->kinds);
}

bool lex_run(lex *x, lex_state s, bool many, struct lex_run *run)
{
    if (s == LEX_DEAD || x->state[s].stage != STAGE_CHAR) return false;
    expr a = x->state[s].a;
    struct expr_node p = x->expr[a];
    if (p.kind == EXPR_WORDS) return false;
    bool known = p.kind == EXPR_OR && p.a == 2 && p.list[0] == EXPR_END ? run_of(x, p.list[1], run)
                 : p.kind == EXPR_OR                                    ? run_of_or(x, p, run)
                                                                        : run_of(x, a, run);
    return known || run_of_graph(x, a, many, run);
}
