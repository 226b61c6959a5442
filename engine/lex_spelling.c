// How the values of a set may be written. Where a set has no bound but 0 and asks for nothing but
// whole numbers, any exponent may follow any digits. Otherwise the digits of a number are compared
// with the points of the set while they come, and an exponent may follow only one digit before the
// point, so that those digits are all that has to be known of what came before it.
//
// A reader may take a number as a double. A value so close to a refused point that it could be
// rounded onto it is therefore not written: it lies within two units of the point's 16th digit.
#include "engine/lex_number.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define INT_DIGITS  18u // more where a bound has more
#define FRAC_DIGITS 20u

// ---- points ----

static int by_value(const void *a, const void *b)
{
    return decimal_compare(a, b);
}

static int by_digits(const void *a, const void *b)
{
    return compare_digits(a, b);
}

// `digits`, of which the first of 16 counts 10^exp.
static struct decimal decimal_from(lex *x, int sign, uint64_t digits, int32_t exp)
{
    uint8_t reversed[20];
    uint32_t n = 0, zeros = 0;
    for (; digits; digits /= 10) reversed[n++] = (uint8_t)(digits % 10);
    while (zeros < n && reversed[zeros] == 0) zeros++;
    uint8_t *digit = arena_alloc(x->mem, n);
    for (uint32_t i = 0; i < n - zeros; i++) digit[i] = reversed[n - 1 - i];
    return (struct decimal){sign, exp + (int32_t)n - 16, n - zeros, digit};
}

// The ends of the zone around p whose numbers a double may not tell from p.
static void zone_of(lex *x, const struct decimal *p, struct decimal *lo, struct decimal *hi)
{
    uint64_t digits = 0;
    for (uint32_t i = 0; i < 16; i++) digits = digits * 10 + (i < p->n ? p->digit[i] : 0);
    struct decimal less = decimal_from(x, p->sign, digits - 2, p->exp);
    struct decimal more = decimal_from(x, p->sign, digits + 3, p->exp);
    *lo = p->sign > 0 ? less : more;
    *hi = p->sign > 0 ? more : less;
}

// Do all values beside the point lie on a grid so coarse that none is in its zone?
static bool is_coarse(const struct values *v, uint32_t i, int how)
{
    const struct decimal *p = &v->point[i];
    uint32_t beside = half(v->mask[2 * i] | v->mask[2 * i + 2], how), frac = 0;
    for (uint32_t k = 0; k < v->n_divisor; k++)
        if (v->divisor[k].frac > frac) frac = v->divisor[k].frac;
    return !(beside & 1) && p->n <= 15 && p->exp + (int32_t)frac <= 13;
}

static bool needs_zone(const struct values *v, uint32_t i, int how)
{
    bool beside = half(v->mask[2 * i] | v->mask[2 * i + 2], how);
    return v->point[i].sign && !half(v->mask[2 * i + 1], how) && beside && !is_coarse(v, i, how);
}

struct zones {
    struct decimal *lo, *hi;
    uint64_t *cut; // the halves that have nothing in it
    uint32_t n;
};

// What is cut off the mask of the atom between `above` and `below`.
static uint64_t cut_at(const struct zones *z, const struct decimal *above,
                       const struct decimal *below)
{
    uint64_t cut = 0;
    for (uint32_t i = 0; i < z->n && above && below; i++)
        if (decimal_compare(above, &z->lo[i]) >= 0 && decimal_compare(below, &z->hi[i]) <= 0)
            cut |= z->cut[i];
    return cut;
}

static uint64_t cut_at_point(const struct zones *z, const struct decimal *p)
{
    uint64_t cut = 0;
    for (uint32_t i = 0; i < z->n; i++)
        if (decimal_compare(p, &z->lo[i]) > 0 && decimal_compare(p, &z->hi[i]) < 0)
            cut |= z->cut[i];
    return cut;
}

static uint64_t mask_in(const struct values *v, const struct decimal *p)
{
    uint32_t lo = 0, hi = v->n_point;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        int o = decimal_compare(&v->point[mid], p);
        if (o == 0) return v->mask[2 * mid + 1];
        if (o < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    uint32_t pattern = pattern_of(v->divisor, v->n_divisor, p);
    return (v->mask[2 * lo] >> pattern & BOTH) * UINT32_MAX;
}

// Points and masks of the spelling: those of the values, and the ends of the zones.
static void set_points(lex *x, struct spelling *s, const struct values *v)
{
    struct zones z = {mem_new(v->n_point * sizeof *z.lo), mem_new(v->n_point * sizeof *z.hi),
                      mem_new(v->n_point * sizeof *z.cut), 0};
    for (uint32_t i = 0; i < v->n_point; i++) {
        uint64_t plain = needs_zone(v, i, PLAIN), pointed = needs_zone(v, i, POINTED);
        if (!plain && !pointed) continue;
        z.cut[z.n] = (pointed << 32 | plain) * UINT32_MAX;
        zone_of(x, &v->point[i], &z.lo[z.n], &z.hi[z.n]);
        z.n++;
    }
    uint32_t n = 0, all = v->n_point + 2 * z.n;
    struct decimal *point = arena_alloc(x->mem, all * sizeof *point);
    memcpy(point, v->point, v->n_point * sizeof *point);
    memcpy(point + v->n_point, z.lo, z.n * sizeof *point);
    memcpy(point + v->n_point + z.n, z.hi, z.n * sizeof *point);
    qsort(point, all, sizeof *point, by_value);
    for (uint32_t i = 0; i < all; i++)
        if (n == 0 || decimal_compare(&point[n - 1], &point[i]) != 0) point[n++] = point[i];
    uint64_t *mask = arena_alloc(x->mem, (2 * n + 1) * sizeof *mask);
    for (uint32_t i = 0, from = 0; i <= n; i++) {
        // Open atoms lie within one of the values' own: the one after `from` points of theirs.
        mask[2 * i] = v->mask[2 * from];
        mask[2 * i] &= ~cut_at(&z, i ? &point[i - 1] : NULL, i < n ? &point[i] : NULL);
        if (i == n) break;
        bool own = from < v->n_point && decimal_compare(&v->point[from], &point[i]) == 0;
        mask[2 * i + 1] = mask_in(v, &point[i]) & ~cut_at_point(&z, &point[i]);
        from += own;
    }
    free(z.lo);
    free(z.hi);
    free(z.cut);
    s->n_point = n;
    s->point = point;
    s->mask = mask;
    for (uint32_t i = 0; i < 2 * n + 1; i += 2) {
        s->dense = s->dense || mask[i] & BOTH;
        mask[i] &= atom_halves(s, i) * UINT32_MAX;
    }
}

static int by_magnitude(const void *a, const void *b)
{
    const struct magnitude *p = a, *q = b;
    if (p->exp != q->exp) return p->exp < q->exp ? -1 : 1;
    return (p->rank > q->rank) - (p->rank < q->rank);
}

static void set_side(lex *x, struct side *side, const struct decimal *point, uint32_t n)
{
    struct decimal *rank = arena_alloc(x->mem, n * sizeof *rank);
    struct magnitude *size = arena_alloc(x->mem, n * sizeof *size);
    uint32_t m = 0;
    if (n) memcpy(rank, point, n * sizeof *rank);
    if (n) qsort(rank, n, sizeof *rank, by_digits);
    for (uint32_t i = 0; i < n; i++)
        if (m == 0 || compare_digits(&rank[m - 1], &rank[i]) != 0) rank[m++] = rank[i];
    for (uint32_t i = 0; i < n; i++) {
        const struct decimal *at = bsearch(&point[i], rank, m, sizeof *rank, by_digits);
        size[i] = (struct magnitude){point[i].exp, (uint32_t)(at - rank)};
    }
    if (n) qsort(size, n, sizeof *size, by_magnitude);
    *side = (struct side){m, n, rank, size};
}

// For every atom the first from it on in which some of these patterns belong to the set.
static const uint32_t *live_from(lex *x, const struct spelling *s, uint64_t patterns)
{
    uint32_t n = 2 * s->n_point + 1, *live = arena_alloc(x->mem, (n + 1) * sizeof *live);
    live[n] = n;
    for (uint32_t i = n; i-- > 0;) live[i] = s->mask[i] & patterns ? i : live[i + 1];
    return live;
}

static void set_sides(lex *x, struct spelling *s)
{
    while (s->n_negative < s->n_point && s->point[s->n_negative].sign < 0) s->n_negative++;
    s->has_zero = s->n_negative < s->n_point && s->point[s->n_negative].sign == 0;
    uint32_t above = s->n_negative + s->has_zero;
    set_side(x, &s->side[0], s->point + above, s->n_point - above);
    set_side(x, &s->side[1], s->point, s->n_negative);
    s->live[PLAIN] = live_from(x, s, UINT64_MAX); // a point may come still
    s->live[POINTED] = live_from(x, s, UINT32_MAX * (BOTH - 1));
    s->live_none[PLAIN] = live_from(x, s, BOTH);
    s->live_none[POINTED] = live_from(x, s, BOTH - 1);
}

static void set_digit_counts(struct spelling *s, const struct values *v)
{
    s->int_max = INT_DIGITS;
    s->frac_max = FRAC_DIGITS;
    for (uint32_t i = 0; i < v->n_point; i++) {
        int32_t before = v->point[i].exp + 1, after = (int32_t)v->point[i].n - before;
        if (before <= 40 && before > (int32_t)s->int_max) s->int_max = (uint32_t)before;
        if (after <= 60 && after > (int32_t)s->frac_max) s->frac_max = (uint32_t)after;
    }
}

uint32_t spelling_of(lex *x, uint32_t values)
{
    struct numbers *m = numbers_of(x);
    if (m->values[values].spelled) return m->values[values].spelled;
    struct values v = m->values[values];
    struct spelling s = {.values = values, .free = true, .n_divisor = v.n_divisor};
    memcpy(s.divisor, v.divisor, sizeof s.divisor);
    for (uint32_t i = 0; i < v.n_point; i++) s.free = s.free && v.point[i].sign == 0;
    for (uint32_t i = 0; i < v.n_divisor; i++)
        s.free = s.free && v.divisor[i].size == 1 && v.divisor[i].frac == 0;
    for (uint32_t i = 0; i < v.n_divisor; i++)
        s.rounds = s.rounds || v.divisor[i].size != 1 || v.divisor[i].frac != 0;
    set_points(x, &s, &v);
    set_sides(x, &s);
    set_digit_counts(&s, &v);
    m->spelling = array_room(m->spelling, m->n_spelling, &m->cap_spelling, sizeof *m->spelling);
    m->spelling[m->n_spelling] = s;
    return m->values[values].spelled = m->n_spelling++;
}

// The atom of a number other than 0: `place` is twice the rank of its digits and one, or twice the
// number of ranks below them.
uint32_t atom_at(const struct spelling *s, bool minus, int32_t exp, uint32_t place)
{
    const struct side *side = &s->side[minus];
    uint32_t lo = 0, hi = side->n_point;
    bool equal = false;
    while (lo < hi && !equal) {
        uint32_t mid = (lo + hi) / 2, at = 2 * side->point[mid].rank + 1;
        int32_t e = side->point[mid].exp;
        int o = e != exp ? (e < exp ? -1 : 1) : (at > place) - (at < place);
        equal = o == 0;
        if (o < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (minus) return 2 * (s->n_negative - hi) - equal;
    return 2 * (s->n_negative + s->has_zero + hi) + equal;
}
