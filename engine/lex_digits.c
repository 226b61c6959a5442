// The text of a JSON number, byte by byte. A position knows how far the digits have been compared
// with the points of the set (by their digits alone, since how many more come before the point is
// open), what they leave modulo each divisor, and how many digits there are. What can no longer
// matter is forgotten, so that most positions are shared by many texts. A position is alive when a
// breadth-first search finds its end; what it learns on the way is kept.
#include "engine/lex_number.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define SEARCH_MAX    50000u // positions
#define EXPONENT_FREE 280    // where up to 18 digits stand before it
#define PRUNED_POINTS 8u     // with more, sizes are not looked at one by one

static bool same_digits(const lex *x, uint32_t id, const void *key)
{
    return memcmp(&x->numbers->digits[id].key, key, sizeof(struct digits_key)) == 0;
}

static const struct spelling *spelling_at(const lex *x, const struct digits_key *k)
{
    return &x->numbers->spelling[k->spelling];
}

// ---- what is read ----

static uint32_t digit_at(const struct decimal *d, uint32_t k)
{
    return k < d->n ? d->digit[k] : 0;
}

// One more digit to compare with the points.
static void compare_more(const struct spelling *s, struct digits_key *key, uint32_t c)
{
    const struct side *side = &s->side[key->minus];
    if (key->settled) return;
    if (!key->started) {
        if (c == 0) return;
        key->hi = side->n_rank;
    }
    uint32_t lo = key->lo, hi = key->hi;
    while (lo < hi && digit_at(&side->rank[lo], key->k) < c) lo++;
    while (hi > lo && digit_at(&side->rank[hi - 1], key->k) > c) hi--;
    key->lo = lo;
    key->hi = hi;
    key->k = lo < hi ? key->k + 1 : 0;
    if (hi == lo + 1 && key->k > side->rank[lo].n) key->k = side->rank[lo].n;
}

// Where the digits stand when only zeros follow: see atom_at.
static uint32_t place_of(const struct spelling *s, const struct digits_key *key)
{
    bool equal = key->lo < key->hi && s->side[key->minus].rank[key->lo].n <= key->k;
    return 2 * key->lo + equal;
}

static void divide_more(const struct spelling *s, struct digits_key *key, uint32_t c)
{
    if (s->n_divisor == 0) return;
    int32_t at = key->phase == PHASE_FRAC ? key->n_frac : 0; // the digit's own scale
    if (c == 0 && (key->phase == PHASE_FRAC || s->free)) {
        if (key->phase == PHASE_INT && key->n_int > 1) key->scale--;
        return;
    }
    int32_t up = key->phase == PHASE_FRAC ? at - key->scale : key->n_int > 1 ? 1 - key->scale : 0;
    for (uint32_t i = 0; i < s->n_divisor; i++) {
        uint32_t size = s->divisor[i].size;
        uint64_t left = (uint64_t)key->left[i] * power_of_ten((uint32_t)up, size) + c;
        key->left[i] = (uint32_t)(left % size);
    }
    key->scale = at;
}

static uint32_t pattern_at(const struct spelling *s, const struct digits_key *key, int32_t exponent)
{
    uint32_t pattern = 0;
    for (uint32_t i = 0; i < s->n_divisor; i++) {
        int32_t up = (int32_t)s->divisor[i].frac - key->scale + exponent;
        uint32_t size = s->divisor[i].size;
        bool whole =
            !key->started ||
            (up >= 0 && (uint64_t)key->left[i] * power_of_ten((uint32_t)up, size) % size == 0);
        pattern |= (uint32_t)whole << i;
    }
    return pattern;
}

static bool has_zero_value(const struct spelling *s, bool minus, int how)
{
    uint32_t all = (1u << s->n_divisor) - 1;
    bool zero = half(s->mask[2 * s->n_negative + s->has_zero], how) >> all & 1;
    return zero && (!minus || s->minus_zero);
}

static int32_t exp_of(const struct digits_key *key)
{
    return key->phase == PHASE_INT ? key->n_int - 1 : key->exp;
}

static bool accepts_plain(const struct spelling *s, const struct digits_key *key)
{
    if (key->phase == PHASE_START || key->phase == PHASE_MINUS || key->phase == PHASE_DOT)
        return false;
    int how = key->phase >= PHASE_DOT ? POINTED : PLAIN;
    if (!key->started) return has_zero_value(s, key->minus, how);
    uint32_t atom = key->settled ? key->lo : atom_at(s, key->minus, exp_of(key), place_of(s, key));
    return half(s->mask[atom], how) >> pattern_at(s, key, 0) & 1;
}

// ---- one form ----

// After the point, without an exponent to come, only points of this size matter.
static void settle(const struct spelling *s, struct digits_key *key)
{
    const struct side *side = &s->side[key->minus];
    bool some = false;
    if (key->phase < PHASE_DOT || key->settled || !key->started || key->normal || s->free) return;
    for (uint32_t i = 0; i < side->n_point && !some; i++)
        some = side->point[i].exp == key->exp && side->point[i].rank >= key->lo &&
               side->point[i].rank < key->hi;
    if (some) return;
    key->lo = atom_at(s, key->minus, key->exp, 2 * key->lo);
    key->settled = true;
    key->hi = key->k = key->minus = 0;
    key->exp = 0;
}

// No multiple of anything any more: it does not matter of what it is none.
static void forget_remainders(const struct spelling *s, struct digits_key *key)
{
    int32_t most = 0;
    if (s->free || key->normal || key->phase != PHASE_FRAC || s->n_divisor == 0) return;
    for (uint32_t i = 0; i < s->n_divisor; i++)
        if ((int32_t)s->divisor[i].frac > most) most = (int32_t)s->divisor[i].frac;
    if (key->scale <= most) return;
    key->scale = most + 1;
    memset(key->left, 0, sizeof key->left);
}

static uint32_t digits_intern(lex *x, struct digits_key *key, uint32_t parent, uint8_t byte)
{
    const struct spelling *s = spelling_at(x, key);
    struct numbers *m = x->numbers;
    settle(s, key);
    forget_remainders(s, key);
    uint32_t hash = hash_words((const uint32_t *)key, sizeof *key / sizeof(uint32_t), 0);
    uint32_t id = ids_find(&m->digit_ids, hash, same_digits, x, key);
    if (id) return id;
    id = m->n_digits++;
    m->digits = array_room(m->digits, id, &m->cap_digits, sizeof *m->digits);
    m->digits[id] = (struct digits){.key = *key,
                                    .parent = parent,
                                    .byte = byte,
                                    .accepts = accepts_plain(s, key),
                                    .rest = UNKNOWN};
    ids_add(&m->digit_ids, hash, id);
    return id;
}

// ---- steps ----

static bool step_int(const struct spelling *s, struct digits_key *key, uint32_t c)
{
    if (key->n_int == s->int_max) return false;
    if (key->phase != PHASE_INT && c == 0) {
        key->phase = PHASE_ZERO;
        return true;
    }
    key->phase = PHASE_INT;
    key->n_int++;
    key->normal = key->n_int == 1;
    compare_more(s, key, c);
    divide_more(s, key, c);
    key->started = true;
    return true;
}

static bool step_frac(const struct spelling *s, struct digits_key *key, uint32_t c)
{
    if (key->n_frac == s->frac_max) return false;
    if (s->rounds && c && key->n_before + key->n_frac >= EXACT_DIGITS) return false;
    key->phase = PHASE_FRAC;
    key->n_frac++;
    compare_more(s, key, c);
    divide_more(s, key, c);
    if (c && !key->started) {
        key->started = true;
        key->exp = s->free ? 0 : -key->n_frac;
    }
    return true;
}

// The digits one byte further; 0: they may not go on so.
static uint32_t digits_step(lex *x, uint32_t from, uint8_t byte)
{
    struct digits_key key = x->numbers->digits[from].key;
    const struct spelling *s = spelling_at(x, &key);
    bool fine = false, digit = byte >= '0' && byte <= '9';
    if (byte == '-' && key.phase == PHASE_START) {
        key.phase = PHASE_MINUS;
        key.minus = fine = true;
    } else if (byte == '.' && (key.phase == PHASE_ZERO || key.phase == PHASE_INT)) {
        key.exp = key.phase == PHASE_INT && !s->free ? key.n_int - 1 : 0;
        key.phase = PHASE_DOT;
        if (s->rounds) key.n_before = key.n_int;
        fine = !s->rounds || key.n_int <= EXACT_DIGITS;
        key.n_int = 0;
    } else if (digit && key.phase >= PHASE_DOT) {
        fine = step_frac(s, &key, byte - '0');
    } else if (digit && key.phase != PHASE_ZERO) {
        fine = step_int(s, &key, byte - '0');
    }
    return fine ? digits_intern(x, &key, from, byte) : 0;
}

// ---- exponents ----

static bool exponent_has(const struct exponents *p, int e)
{
    uint32_t i = (uint32_t)(e + EXPONENT_MAX);
    return e >= -EXPONENT_MAX && e <= EXPONENT_MAX && (p->has[i / 64] >> i % 64 & 1);
}

static bool same_exponents(const lex *x, uint32_t id, const void *key)
{
    const struct exponents *p = &x->numbers->exponents[id], *q = key;
    return p->zero == q->zero && memcmp(p->has, q->has, sizeof p->has) == 0;
}

#define NO_EXPONENT 1u // the id of the empty set

static uint32_t exponents_intern(lex *x, const struct exponents *p)
{
    struct numbers *m = x->numbers;
    uint32_t hash =
        hash_words((const uint32_t *)p->has, 2 * (sizeof p->has / sizeof *p->has), p->zero);
    uint32_t id = ids_find(&m->exponent_ids, hash, same_exponents, x, p);
    if (id) return id;
    id = m->n_exponents++;
    m->exponents = array_room(m->exponents, id, &m->cap_exponents, sizeof *m->exponents);
    m->exponents[id] = *p;
    ids_add(&m->exponent_ids, hash, id);
    return id;
}

#define HALVINGS 17 // a power of ten above this has all factors of any divisor that tens can have

// The next exponent, above e, with which something may be different from with e.
static int exponent_change(const struct spelling *s, const struct digits_key *key, int e)
{
    const struct side *side = &s->side[key->minus];
    int next = EXPONENT_MAX + 1;
    for (uint32_t i = 0; i < s->n_divisor; i++) {
        int least = key->scale - (int)s->divisor[i].frac; // below it is no multiple
        if (e < least) next = least < next ? least : next;
        if (e >= least && e < least + HALVINGS) return e + 1;
    }
    uint32_t lo = 0, hi = side->n_point; // the first point with an exponent above e
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (side->point[mid].exp <= e)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo > 0 && side->point[lo - 1].exp == e) return e + 1;
    if (lo < side->n_point && side->point[lo].exp < next) next = side->point[lo].exp;
    return next;
}

static uint32_t exponents_make(lex *x, const struct digits_key *key)
{
    const struct spelling *s = spelling_at(x, key);
    struct exponents p = {.zero = !key->started};
    int limit = key->normal ? EXPONENT_MAX : EXPONENT_FREE;
    bool zero = has_zero_value(s, key->minus, POINTED);
    uint32_t place = place_of(s, key);
    for (int e = -limit; e <= limit;) {
        bool has = zero;
        int next = limit + 1;
        if (key->started) {
            uint32_t mask = half(s->mask[atom_at(s, key->minus, e, place)], POINTED);
            has = mask >> pattern_at(s, key, e) & 1;
            next = exponent_change(s, key, e);
        }
        for (; e < next && e <= limit; e++) {
            uint32_t i = (uint32_t)(e + EXPONENT_MAX);
            p.has[i / 64] |= (uint64_t)has << i % 64;
        }
    }
    return exponents_intern(x, &p);
}

// Which exponents may follow. How many digits there are does not matter for it, so it is kept with
// the position that has no digit after the point.
static uint32_t exponents_of(lex *x, uint32_t a)
{
    struct digits_key key = x->numbers->digits[a].key;
    const struct spelling *s = spelling_at(x, &key);
    bool value = key.phase == PHASE_ZERO || key.phase == PHASE_INT || key.phase == PHASE_FRAC;
    if (x->numbers->n_exponents == 1) exponents_intern(x, &(struct exponents){0});
    if (!value || !(s->free || key.normal || !key.started)) return NO_EXPONENT;
    key.phase = PHASE_FRAC;
    key.n_frac = key.n_int = key.n_before = 0;
    key.exp = 0;
    uint32_t kept = digits_intern(x, &key, 0, 0);
    if (!x->numbers->digits[kept].exponents) {
        uint32_t id = exponents_make(x, &key);
        x->numbers->digits[kept].exponents = id;
    }
    return x->numbers->digits[kept].exponents;
}

enum { AFTER_E, AFTER_SIGN, AFTER_DIGITS };

// An exponent so far, as the `b` of a state.
struct exponent {
    uint32_t part, minus, n, value;
};

static uint32_t exponent_pack(struct exponent p)
{
    return p.part | p.minus << 2 | p.n << 3 | p.value << 8;
}

static struct exponent exponent_unpack(uint32_t b)
{
    return (struct exponent){b & 3, b >> 2 & 1, b >> 3 & 31, b >> 8};
}

static bool exponent_complete(const struct exponents *set, struct exponent p)
{
    int e = p.minus ? -(int)p.value : (int)p.value;
    return p.part == AFTER_DIGITS && exponent_has(set, e);
}

// Fewest digits until it is one of the set; FAR: none do.
static uint32_t exponent_rest(const struct exponents *set, struct exponent p)
{
    if (exponent_complete(set, p)) return 0;
    uint32_t least = FAR;
    if (p.part == AFTER_E) {
        least = far_sum(1, exponent_rest(set, (struct exponent){AFTER_SIGN, 1, 0, 0}));
        p.part = AFTER_SIGN;
    }
    uint32_t lo = p.value, hi = p.value;
    for (uint32_t n = p.n; n < 3 && n - p.n < least;) {
        lo = lo * 10;
        hi = hi * 10 + 9;
        n++;
        for (uint32_t v = lo; v <= hi && v <= EXPONENT_MAX; v++)
            if (exponent_has(set, p.minus ? -(int)v : (int)v) && n - p.n < least) least = n - p.n;
    }
    return least;
}

static lex_state exponent_state(lex *x, uint32_t set, struct exponent p)
{
    const struct exponents *e = &x->numbers->exponents[set];
    if (exponent_rest(e, p) == FAR) return LEX_DEAD;
    bool accepts = exponent_complete(e, p);
    if (p.n == 3) { // nothing may follow
        p = (struct exponent){AFTER_DIGITS, 0, 3, 0};
        set = 0;
    }
    return state_of(x, STAGE_EXPONENT, false, set, exponent_pack(p), accepts);
}

static lex_state exponent_step(lex *x, const struct state *s, uint8_t byte)
{
    struct exponent p = exponent_unpack(s->b);
    if (p.part == AFTER_E && (byte == '+' || byte == '-')) {
        p.part = AFTER_SIGN;
        p.minus = byte == '-';
    } else if (byte >= '0' && byte <= '9' && p.n < 3) {
        p.part = AFTER_DIGITS;
        p.value = p.value * 10 + (byte - '0');
        p.n++;
    } else {
        return LEX_DEAD;
    }
    return exponent_state(x, s->a, p);
}

// Distinct values from here.
static uint32_t exponent_count(const struct exponents *set, struct exponent p)
{
    uint32_t n = 0;
    if (p.n == 3 || set->zero) return 1;
    for (int e = -EXPONENT_MAX; e <= EXPONENT_MAX; e++) {
        if (!exponent_has(set, e)) continue;
        uint32_t v = (uint32_t)abs(e);
        bool sign = p.part == AFTER_E || (p.minus ? e <= 0 : e >= 0), digits = p.n == 0;
        for (uint32_t k = p.n, lo = p.value, hi = p.value; k <= 3 && p.n; k++) {
            digits = digits || (v >= lo && v <= hi);
            lo = lo * 10;
            hi = hi * 10 + 9;
        }
        n += sign && digits;
    }
    return n;
}

// ---- aliveness ----

// May a number that goes on so be a multiple of something, in the end?
static bool may_divide(const struct spelling *s, const struct digits_key *key, int32_t shift)
{
    if (s->n_divisor == 0) return false;
    bool fixed = key->phase >= PHASE_DOT && !key->normal;
    uint32_t now = fixed ? pattern_at(s, key, 0) : 0;
    for (uint32_t i = 0; i < s->n_divisor; i++) {
        int32_t frac = (int32_t)s->divisor[i].frac, digits = fixed ? key->n_frac : key->scale;
        // More digits after the point than the divisor has make it none, except zeros.
        if (now >> i & 1 || (fixed ? digits < frac : digits - shift <= frac)) return true;
    }
    return false;
}

// Is there an atom of the set among those that digits from place lo to hi come to with this size?
static bool is_live(const struct spelling *s, const struct digits_key *key, int32_t exp,
                    uint32_t hi)
{
    uint32_t a = atom_at(s, key->minus, exp, place_of(s, key)), b = atom_at(s, key->minus, exp, hi);
    int32_t shift = key->normal ? exp - exp_of(key) : 0;
    int how = key->phase >= PHASE_DOT ? POINTED : PLAIN;
    const uint32_t *live = may_divide(s, key, shift) ? s->live[how] : s->live_none[how];
    return live[a < b ? a : b] <= (a < b ? b : a);
}

// May some number that goes on with digits or a point belong to the set, as far as its size tells?
static bool may_reach(const struct spelling *s, const struct digits_key *key)
{
    if (key->phase >= PHASE_DOT && s->live[POINTED][0] > 2 * s->n_point) return false;
    if (!key->started || s->free) return true;
    if (key->settled) {
        uint32_t mask = half(s->mask[key->lo], POINTED);
        return may_divide(s, key, 0) ? mask : mask & 1;
    }
    uint32_t hi = key->lo < key->hi ? 2 * key->hi : 2 * key->lo;
    int32_t exp = exp_of(key);
    int32_t most = key->phase == PHASE_INT ? (int32_t)s->int_max - 1 : exp;
    for (; exp <= most; exp++)
        if (is_live(s, key, exp, hi)) return true;
    if (!key->normal) return false;
    // Any size may still come; between those of the points all are alike.
    const struct side *side = &s->side[key->minus];
    if (side->n_point > PRUNED_POINTS) return true;
    if (is_live(s, key, EXPONENT_MAX, hi) || is_live(s, key, -EXPONENT_MAX, hi)) return true;
    for (uint32_t i = 0; i < 3 * side->n_point; i++) {
        exp = side->point[i / 3].exp + (int32_t)(i % 3) - 1;
        if (abs(exp) <= EXPONENT_MAX && is_live(s, key, exp, hi)) return true;
    }
    return false;
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

// Fewest digits to come until a whole number, of which `left` is the remainder, is a multiple of d
// times some power of ten: 10^frac, or as high as one likes where an exponent may follow.
static uint32_t digits_to_multiple(struct divisor d, uint32_t left, bool exponent)
{
    uint32_t tens = exponent ? HALVINGS : d.frac;
    uint64_t size = d.size, ten = 1;
    for (uint64_t part = 0; tens > 0 && part != 1; tens--) {
        part = common_divisor(size, 10);
        size /= part;
    }
    for (uint32_t n = 0; n < 8; n++, ten *= 10) {
        uint64_t up = left % size * (ten % size) % size;
        if ((size - up) % size < ten) return n;
    }
    return 8;
}

// A lower bound on the bytes to come, which leads the search. Only where nothing but multiples is
// left, and no point, does it say anything.
static uint32_t least_rest(const struct spelling *s, const struct digits_key *key)
{
    bool whole = key->phase == PHASE_INT && !key->normal;
    if (s->free || s->n_divisor == 0 || s->dense || key->lo < key->hi || !key->started) return 0;
    if (!whole && !key->normal) return 0;
    uint32_t least = FAR;
    // Zeros after the point are not in the remainder until another digit follows.
    uint32_t zeros = key->phase == PHASE_FRAC ? (uint32_t)(key->n_frac - key->scale) : 0;
    for (uint32_t i = 0; i < s->n_divisor; i++) {
        uint32_t size = s->divisor[i].size;
        uint64_t left = (uint64_t)key->left[i] * power_of_ten(zeros, size) % size;
        uint32_t n = digits_to_multiple(s->divisor[i], (uint32_t)left, key->normal);
        if (whole && s->divisor[i].frac && n > 2) n = 2; // a point and a digit
        if (n < least) least = n;
    }
    return least;
}

#define BUCKETS 160 // bytes of the longest number, and more

// A best-first search: buckets by the bytes that a number through the node has at least.
struct walk {
    struct visit {
        uint32_t a, from, depth, next;
    } * node; // node[0] is not used
    uint32_t n, cap;
    uint32_t first[BUCKETS]; // of each bucket; 0: empty
    uint32_t bucket;         // that is looked at
    uint32_t best, end;      // fewest bytes found, and the node they go through
    bool too_large;
};

static void walk_end(struct walk *w, uint32_t at, uint32_t rest)
{
    uint32_t all = far_sum(w->node[at].depth, rest);
    if (all >= w->best) return;
    w->best = all;
    w->end = at;
}

static void walk_add(lex *x, struct walk *w, uint32_t a, uint32_t from, uint32_t depth)
{
    const struct digits *p = &x->numbers->digits[a];
    if (p->seen == x->numbers->n_search || p->rest == FAR) return;
    uint32_t bucket = depth + least_rest(spelling_at(x, &p->key), &p->key);
    if (bucket < w->bucket)
        bucket = w->bucket; // the bound fell: a point may come where digits had to
    if (bucket >= BUCKETS) return;
    w->node = array_room(w->node, w->n, &w->cap, sizeof *w->node);
    w->node[w->n] = (struct visit){a, from, depth, w->first[bucket]};
    w->first[bucket] = w->n++;
}

static void walk_from(lex *x, struct walk *w, uint32_t at)
{
    struct visit v = w->node[at];
    struct digits *p = &x->numbers->digits[v.a];
    if (p->seen == x->numbers->n_search) return;
    p->seen = x->numbers->n_search;
    if (p->accepts || p->rest != UNKNOWN) {
        walk_end(w, at, p->accepts ? 0 : p->rest);
        return;
    }
    struct digits_key key = p->key;
    uint32_t set = exponents_of(x, v.a);
    const struct exponents *e = &x->numbers->exponents[set];
    if (set != NO_EXPONENT) walk_end(w, at, far_sum(1, exponent_rest(e, (struct exponent){0})));
    if (!may_reach(spelling_at(x, &key), &key)) return;
    for (const char *c = "0123456789.-"; *c; c++) {
        uint32_t to = digits_step(x, v.a, (uint8_t)*c);
        if (to) walk_add(x, w, to, at, v.depth + 1);
    }
}

static void walk_all(lex *x, struct walk *w)
{
    for (; w->bucket < BUCKETS && w->bucket < w->best; w->bucket++) {
        while (w->first[w->bucket] && w->bucket < w->best && !w->too_large) {
            uint32_t at = w->first[w->bucket];
            w->first[w->bucket] = w->node[at].next;
            walk_from(x, w, at);
            if (w->n <= SEARCH_MAX) continue;
            w->too_large = x->too_large = true;
            x->why = "numbers: more than 50000 beginnings to look at";
        }
    }
}

static uint32_t digits_rest(lex *x, uint32_t a)
{
    struct numbers *m = x->numbers;
    if (m->digits[a].accepts) return 0;
    if (m->digits[a].rest != UNKNOWN) return m->digits[a].rest;
    struct walk w = {.n = 1, .best = FAR};
    m->n_search++;
    w.node = array_room(NULL, 1, &w.cap, sizeof *w.node);
    walk_add(x, &w, a, 0, 0);
    walk_all(x, &w);
    if (w.best == FAR && !w.too_large)
        for (uint32_t i = 1; i < w.n; i++) m->digits[w.node[i].a].rest = FAR;
    for (uint32_t i = w.best == FAR ? 0 : w.end; i; i = w.node[i].from)
        m->digits[w.node[i].a].rest = w.best - w.node[i].depth;
    // Where that takes too long the text does not go there, then and later. That is no dead end: a
    // text comes to where it is by a way that was found, and on that way it can go on.
    if (w.best == FAR) m->digits[a].rest = FAR;
    free(w.node);
    return m->digits[a].rest;
}

// ---- states ----

static lex_state digits_state(lex *x, uint32_t a)
{
    if (a == 0 || digits_rest(x, a) == FAR) return LEX_DEAD;
    return state_of(x, STAGE_NUMBER, false, a, 0, x->numbers->digits[a].accepts);
}

static uint32_t digits_start(lex *x, uint32_t values)
{
    uint32_t spelling = spelling_of(x, values);
    return digits_intern(x, &(struct digits_key){.spelling = spelling}, 0, 0);
}

lex_state number_start(lex *x, uint32_t a)
{
    uint32_t known = x->numbers ? x->numbers->values[a].spelled : 0;
    uint32_t start = digits_start(x, a);
    if (!known) {
        // -0 is written where 0 and something below it are: found out before it may be.
        uint32_t minus = digits_step(x, start, '-');
        struct spelling *s = &x->numbers->spelling[x->numbers->values[a].spelled];
        bool zero = has_zero_value(s, false, PLAIN) || has_zero_value(s, false, POINTED);
        zero = zero && digits_rest(x, minus) != FAR;
        s = &x->numbers->spelling[x->numbers->values[a].spelled];
        if (zero) { // what was looked at until now did not know
            struct spelling with = *s;
            with.minus_zero = true;
            struct numbers *m = x->numbers;
            m->spelling =
                array_room(m->spelling, m->n_spelling, &m->cap_spelling, sizeof *m->spelling);
            m->spelling[m->n_spelling] = with;
            m->values[a].spelled = m->n_spelling++;
            start = digits_start(x, a);
        }
    }
    return digits_state(x, start);
}

lex_state number_read(lex *x, const struct state *s, uint8_t byte)
{
    if (s->stage == STAGE_EXPONENT) return exponent_step(x, s, byte);
    if (byte != 'e' && byte != 'E') return digits_state(x, digits_step(x, s->a, byte));
    uint32_t set = exponents_of(x, s->a);
    return set == NO_EXPONENT ? LEX_DEAD : exponent_state(x, set, (struct exponent){0});
}

uint32_t number_finish(lex *x, uint32_t a)
{
    return digits_rest(x, a);
}

uint32_t number_count(lex *x, const struct state *s)
{
    if (s->stage == STAGE_NUMBER) return digits_count(x, s->a);
    return exponent_count(&x->numbers->exponents[s->a], exponent_unpack(s->b));
}

bool number_prepare(lex *x, uint32_t a)
{
    x->too_large = false;
    number_start(x, a);
    bool fine = !x->too_large;
    x->too_large = false;
    return fine;
}
