// How many values a number may still become. A finite set is written out, in decimal, and every
// value is asked whether one of its spellings begins as the text does.
#include "engine/lex_number.h"

#include "base/buf.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define VALUES_MAX 65535u
#define TRIES_MAX  400000 // multiples looked at in one atom

typedef __int128 wide;

// ---- the values of a set ----

struct list {
    arena *mem; // digits
    struct listed {
        struct decimal v;
        uint64_t spelt; // bit 0 of each half: it may be spelt so
    } * value;
    uint32_t n, cap;
    bool many;
};

static void list_add(struct list *l, struct decimal v, uint64_t spelt)
{
    if (l->n == VALUES_MAX) {
        l->many = true;
        return;
    }
    l->value = array_room(l->value, l->n, &l->cap, sizeof *l->value);
    l->value[l->n++] = (struct listed){v, spelt};
}

// d * 10^frac rounded down; false: it does not fit.
static bool scaled(const struct decimal *d, uint32_t frac, wide *out, bool *exact)
{
    int64_t digits = (int64_t)d->exp + 1 + frac;
    wide v = 0;
    *exact = digits >= (int64_t)d->n || d->n == 0;
    if (digits > 36) return false;
    for (int64_t i = 0; i < digits; i++) v = v * 10 + (i < (int64_t)d->n ? d->digit[i] : 0);
    *out = d->sign < 0 ? -v - !*exact : v;
    return true;
}

static struct decimal decimal_of_wide(wide v, uint32_t frac, uint8_t digit[40])
{
    uint8_t reversed[40];
    uint32_t n = 0, zeros = 0;
    int sign = v < 0 ? -1 : v > 0;
    for (wide rest = v < 0 ? -v : v; rest; rest /= 10) reversed[n++] = (uint8_t)(rest % 10);
    while (zeros < n && reversed[zeros] == 0) zeros++;
    for (uint32_t i = 0; i < n - zeros; i++) digit[i] = reversed[n - 1 - i];
    return (struct decimal){sign, (int32_t)n - 1 - (int32_t)frac, n - zeros, digit};
}

// The multiples of a divisor within an open atom: size * 10^-frac times first to last.
struct multiples {
    wide first, last;
};

// False: too many, or too large.
static bool multiples_of(const struct spelling *s, uint32_t atom, struct divisor d,
                         struct multiples *m)
{
    wide lo, hi;
    bool exact;
    if (atom == 0 || atom == 2 * s->n_point) return false;
    if (!scaled(&s->point[atom / 2 - 1], d.frac, &lo, &exact)) return false;
    m->first = lo / d.size - (lo % d.size < 0) + 1; // the first above the lower end
    if (!scaled(&s->point[atom / 2], d.frac, &hi, &exact)) return false;
    hi -= exact; // the last that lies below the upper end
    m->last = hi / d.size - (hi % d.size < 0);
    return true;
}

// The spellings in which the value that is k times divisor `at` belongs to the set; 0 also where
// that one is not the first of its divisors.
static uint64_t spelt_as(const struct spelling *s, uint32_t atom, uint32_t at, wide k,
                         uint8_t digit[40], struct decimal *v)
{
    *v = decimal_of_wide(k * s->divisor[at].size, s->divisor[at].frac, digit);
    uint32_t p = pattern_of(s->divisor, s->n_divisor, v);
    return p & ((1u << at) - 1) ? 0 : s->mask[atom] >> p & BOTH;
}

static void list_multiples(const struct spelling *s, uint32_t atom, uint32_t at, struct list *l)
{
    struct multiples m;
    l->many = !multiples_of(s, atom, s->divisor[at], &m) || m.last - m.first > TRIES_MAX;
    for (wide k = m.first; !l->many && k <= m.last; k++) {
        uint8_t digit[40];
        struct decimal v;
        uint64_t spelt = spelt_as(s, atom, at, k, digit, &v);
        if (!spelt) continue;
        uint8_t *copy = arena_alloc(l->mem, v.n + 1);
        memcpy(copy, v.digit, v.n);
        v.digit = copy;
        list_add(l, v, spelt);
    }
}

#define LOOKS 1000 // multiples looked at before an atom is taken to have some

uint64_t atom_halves(const struct spelling *s, uint32_t atom)
{
    uint64_t wanted = 0, some = s->mask[atom] & BOTH; // multiples of nothing are everywhere
    if (half(s->mask[atom], PLAIN)) wanted |= 1;
    if (half(s->mask[atom], POINTED)) wanted |= BOTH - 1;
    for (uint32_t at = 0; at < s->n_divisor && some != wanted; at++) {
        struct multiples m;
        if (!multiples_of(s, atom, s->divisor[at], &m)) return wanted;
        for (wide k = m.first; k <= m.last && some != wanted; k++) {
            uint8_t digit[40];
            struct decimal v;
            if (k - m.first > LOOKS) return wanted;
            some |= spelt_as(s, atom, at, k, digit, &v);
        }
    }
    return some;
}

static struct list list_values(const struct spelling *s)
{
    struct list l = {.mem = arena_new(4000)};
    for (uint32_t i = s->live[PLAIN][0]; i <= 2 * s->n_point && !l.many;
         i = s->live[PLAIN][i + 1]) {
        if (i % 2) {
            list_add(&l, s->point[i / 2], s->mask[i] & BOTH);
            continue;
        }
        // Of values in between that are multiples of nothing there is no end.
        l.many = s->mask[i] & BOTH;
        for (uint32_t at = 0; at < s->n_divisor && !l.many; at++) {
            bool some = false;
            for (uint32_t p = 1u << at; p < 1u << s->n_divisor; p++)
                some = some || (p >> at & 1 && s->mask[i] >> p & BOTH);
            if (some) list_multiples(s, i, at, &l);
        }
    }
    return l;
}

// ---- texts ----

// Is `text` the beginning of digits[0..n), zeros behind them for as long as one likes?
static bool begins(const uint8_t *digits, int64_t n, const char *text, size_t n_text)
{
    for (size_t i = 0; i < n_text; i++)
        if (text[i] - '0' != ((int64_t)i < n ? digits[i] : 0)) return false;
    return true;
}

// In plain digits: those before the point, then those after it.
static bool begins_plain(const struct spelling *s, const struct decimal *v, const char *text,
                         size_t n)
{
    uint8_t digits[160] = {0};
    int64_t before = v->n && v->exp >= 0 ? v->exp + 1 : 1, lead = v->n && v->exp < 0 ? -v->exp : 0;
    int64_t all = lead + (v->n ? v->n : 1);
    if (before > (int64_t)s->int_max || all - before > (int64_t)s->frac_max) return false;
    if (v->n) memcpy(digits + lead, v->digit, v->n);
    const char *point = memchr(text, '.', n);
    size_t n_int = point ? (size_t)(point - text) : n;
    if ((int64_t)n_int > before || (point && (int64_t)n_int < before)) return false;
    if (!begins(digits, all, text, n_int)) return false;
    return !point || begins(digits + before, all - before, point + 1, n - n_int - 1);
}

// With an exponent to come: one digit before the point.
static bool begins_normal(const struct spelling *s, const struct decimal *v, const char *text,
                          size_t n)
{
    if (v->n == 0 || v->n - 1 > s->frac_max || v->exp > EXPONENT_MAX || v->exp < -EXPONENT_MAX)
        return false;
    if (n > 0 && text[0] - '0' != v->digit[0]) return false;
    if (n > 1 && text[1] != '.') return false;
    return n < 3 || begins(v->digit + 1, v->n - 1, text + 2, n - 2);
}

static bool begins_with(const struct spelling *s, const struct listed *l, const char *text,
                        size_t n)
{
    const struct decimal *v = &l->v;
    bool minus = n && text[0] == '-';
    if (minus && (v->sign > 0 || (v->sign == 0 && !s->minus_zero))) return false;
    if (n && !minus && v->sign < 0) return false;
    if (half(l->spelt, POINTED) && begins_normal(s, v, text + minus, n - minus)) return true;
    if (!half(l->spelt, POINTED) && memchr(text, '.', n)) return false;
    return begins_plain(s, v, text + minus, n - minus);
}

// The text of a position, from the last byte back to the first.
static size_t text_of(const struct numbers *m, uint32_t a, char *out, size_t cap)
{
    size_t n = 0;
    for (uint32_t i = a; m->digits[i].parent && n < cap; i = m->digits[i].parent)
        out[n++] = (char)m->digits[i].byte;
    for (size_t i = 0; i < n / 2; i++) {
        char c = out[i];
        out[i] = out[n - 1 - i];
        out[n - 1 - i] = c;
    }
    return n;
}

uint32_t digits_count(lex *x, uint32_t a)
{
    char text[128];
    struct numbers *m = x->numbers;
    struct spelling s = m->spelling[m->digits[a].key.spelling];
    size_t n = text_of(m, a, text, sizeof text);
    struct list l = list_values(&s);
    uint32_t total = 0;
    for (uint32_t i = 0; i < l.n; i++) total += begins_with(&s, &l.value[i], text, n);
    free(l.value);
    arena_free(l.mem);
    return l.many ? LEX_MANY : total;
}
