// Sets of numeric values under and, or and not. Bounds and constants cut the line into atoms;
// within an atom only divisibility tells values apart. A set is then a table of bits, the boolean
// operations are those of its words, and a table has one shortest form.
#include "engine/lex_number.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define POINTS_MAX     20000u
#define DIVISOR_MAX    100000u // remainders to tell apart
#define DIGITS_MAX     400u    // of a bound
#define EXPONENT_LIMIT 100000

// ---- decimals ----

static long exponent_of(const char *text, size_t n)
{
    long e = 0, sign = 1;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '-') sign = -1;
        if (text[i] >= '0' && text[i] <= '9' && e < EXPONENT_LIMIT) e = e * 10 + text[i] - '0';
    }
    return sign * e;
}

// `digits` has room for n; false: more digits than any bound has, or an absurd exponent.
bool decimal_of(const char *text, size_t n, uint8_t *digits, struct decimal *d)
{
    size_t i = 0;
    long exp = -1; // of the digit read last, counted from the point
    bool point = false;
    *d = (struct decimal){.sign = 1, .digit = digits};
    if (i < n && text[i] == '-') {
        d->sign = -1;
        i++;
    }
    long before = 0, first = 0; // digits before the point; place of the first that is not 0
    for (; i < n && text[i] != 'e' && text[i] != 'E'; i++) {
        if (text[i] == '.') {
            point = true;
            continue;
        }
        uint8_t c = (uint8_t)(text[i] - '0');
        exp++;
        before += !point;
        if (d->n == 0 && c == 0) continue;
        if (d->n == 0) first = exp;
        digits[d->n++] = c;
    }
    while (d->n && digits[d->n - 1] == 0) d->n--;
    long shift = i < n ? exponent_of(text + i + 1, n - i - 1) : 0;
    if (d->n == 0) {
        d->sign = 0;
        return true;
    }
    long e = before - 1 - first + shift;
    d->exp = (int32_t)e;
    return e > -EXPONENT_LIMIT && e < EXPONENT_LIMIT;
}

int compare_digits(const struct decimal *a, const struct decimal *b)
{
    uint32_t n = a->n < b->n ? a->n : b->n;
    int o = n ? memcmp(a->digit, b->digit, n) : 0;
    return o ? o : (a->n > b->n) - (a->n < b->n);
}

int decimal_compare(const struct decimal *a, const struct decimal *b)
{
    if (a->sign != b->sign) return a->sign < b->sign ? -1 : 1;
    if (a->sign == 0) return 0;
    int size = a->exp != b->exp ? (a->exp < b->exp ? -1 : 1) : compare_digits(a, b);
    return a->sign * size;
}

struct decimal decimal_keep(lex *x, const struct decimal *d)
{
    struct decimal copy = *d;
    uint8_t *digit = arena_alloc(x->mem, d->n + 1);
    memcpy(digit, d->digit, d->n);
    copy.digit = digit;
    return copy;
}

// ---- divisibility ----

uint32_t power_of_ten(uint32_t exponent, uint32_t modulus)
{
    uint64_t power = 1 % modulus, base = 10 % modulus;
    for (; exponent; exponent >>= 1) {
        if (exponent & 1) power = power * base % modulus;
        base = base * base % modulus;
    }
    return (uint32_t)power;
}

uint32_t pattern_of(const struct divisor *d, uint32_t n, const struct decimal *v)
{
    uint32_t pattern = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t left = 0;
        for (uint32_t k = 0; k < v->n; k++) left = (left * 10 + v->digit[k]) % d[i].size;
        // v is its digits as a whole number, times 10^-scale; what is left of the point after
        // multiplying by 10^frac must be nothing, for those digits do not end in 0.
        int64_t scale = (int64_t)v->n - 1 - v->exp, up = (int64_t)d[i].frac - scale;
        bool multiple =
            v->n == 0 || (up >= 0 && left * power_of_ten((uint32_t)up, d[i].size) % d[i].size == 0);
        pattern |= (uint32_t)multiple << i;
    }
    return pattern;
}

typedef unsigned __int128 wide;

static wide common_divisor(wide a, wide b)
{
    while (b) {
        wide rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

// The least that is a multiple of both; false: it does not fit.
static bool common_multiple(wide a, wide b, wide *out)
{
    return !__builtin_mul_overflow(a / common_divisor(a, b), b, out);
}

// Is there a value that is a multiple of the divisors of pattern p, and of no other? Where there is
// one, the least common multiple of those divisors is one.
static bool is_possible(const wide *size, uint32_t n, uint32_t p)
{
    wide all = 1;
    if (p == 0) return true;
    for (uint32_t i = 0, first = 1; i < n; i++) {
        if (!(p >> i & 1)) continue;
        if (first) all = size[i];
        first = 0;
        if (!common_multiple(all, size[i], &all)) return true; // cannot tell
    }
    for (uint32_t i = 0; i < n; i++)
        if (!(p >> i & 1) && all % size[i] == 0) return false;
    return true;
}

static uint32_t possible_patterns(const struct values *v)
{
    wide size[DIVISORS_MAX] = {0}; // in units of the last digit that any of them has
    uint32_t frac = 0, all = 0;
    for (uint32_t i = 0; i < v->n_divisor; i++)
        frac = v->divisor[i].frac > frac ? v->divisor[i].frac : frac;
    for (uint32_t i = 0; i < v->n_divisor; i++) {
        size[i] = v->divisor[i].size;
        for (uint32_t k = v->divisor[i].frac; k < frac; k++) size[i] *= 10;
    }
    for (uint32_t p = 0; p < 1u << v->n_divisor; p++)
        all |= (uint32_t)is_possible(size, v->n_divisor, p) << p;
    return all;
}

// ---- one form ----

// A set under construction: its arrays are on the heap and may shrink.
struct draft {
    struct values v;
    struct decimal *point;
    uint64_t *mask;
};

static void draft_free(struct draft *d)
{
    free(d->point);
    free(d->mask);
}

static void settle_masks(struct draft *d)
{
    uint32_t possible = possible_patterns(&d->v);
    for (uint32_t i = 0; i < 2 * d->v.n_point + 1; i++) {
        if (i % 2 == 0) {
            d->mask[i] &= possible * BOTH;
            continue;
        }
        uint32_t p = pattern_of(d->v.divisor, d->v.n_divisor, &d->point[i / 2]);
        d->mask[i] = (d->mask[i] >> p & BOTH) * UINT32_MAX;
    }
}

// Puts bit `at` out of pattern p.
static uint32_t without_bit(uint32_t p, uint32_t at)
{
    return (p & ((1u << at) - 1)) | (p >> (at + 1) << at);
}

// Half of a mask without divisor `at`; false: it matters.
static bool half_without(uint32_t mask, uint32_t at, uint32_t n, uint32_t possible, uint32_t *out)
{
    *out = 0;
    for (uint32_t p = 0; p < 1u << n; p++) {
        uint32_t q = p | 1u << at;
        if (p == q) continue;
        bool no = possible >> p & 1, yes = possible >> q & 1;
        bool in_no = mask >> p & 1, in_yes = mask >> q & 1;
        if (no && yes && in_no != in_yes) return false;
        if ((no && in_no) || (yes && in_yes)) *out |= 1u << without_bit(p, at);
    }
    return true;
}

static bool mask_without(uint64_t mask, uint32_t at, uint32_t n, uint32_t possible, uint64_t *out)
{
    uint32_t plain, pointed;
    bool fine = half_without(half(mask, PLAIN), at, n, possible, &plain) &&
                half_without(half(mask, POINTED), at, n, possible, &pointed);
    if (fine) *out = (uint64_t)pointed << 32 | plain;
    return fine;
}

static void drop_divisors(struct draft *d)
{
    uint32_t n_mask = 2 * d->v.n_point + 1;
    uint64_t *fewer = mem_new(n_mask * sizeof *fewer);
    for (uint32_t at = d->v.n_divisor; at-- > 0;) {
        uint32_t n = d->v.n_divisor, possible = possible_patterns(&d->v);
        bool drop = true;
        for (uint32_t i = 0; i < n_mask && drop; i++) {
            fewer[i] = d->mask[i];
            if (i % 2 == 0) drop = mask_without(d->mask[i], at, n, possible, &fewer[i]);
        }
        if (!drop) continue;
        memcpy(d->mask, fewer, n_mask * sizeof *fewer);
        for (uint32_t i = at; i + 1 < n; i++) d->v.divisor[i] = d->v.divisor[i + 1];
        d->v.n_divisor--;
    }
    free(fewer);
}

static void drop_points(struct draft *d)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < d->v.n_point; i++) {
        uint64_t left = d->mask[2 * n], here = d->mask[2 * i + 1], right = d->mask[2 * i + 2];
        uint32_t p = pattern_of(d->v.divisor, d->v.n_divisor, &d->point[i]);
        if (left == right && (left >> p & BOTH) == (here & BOTH)) continue;
        d->point[n] = d->point[i];
        d->mask[2 * n + 1] = here;
        d->mask[2 * n + 2] = right;
        n++;
    }
    d->v.n_point = n;
}

static bool same_values(const lex *x, uint32_t id, const void *key)
{
    const struct values *p = &x->numbers->values[id], *q = key;
    if (p->n_point != q->n_point || p->n_divisor != q->n_divisor) return false;
    if (memcmp(p->divisor, q->divisor, q->n_divisor * sizeof *q->divisor) != 0) return false;
    if (memcmp(p->mask, q->mask, (2 * q->n_point + 1) * sizeof *q->mask) != 0) return false;
    for (uint32_t i = 0; i < q->n_point; i++)
        if (decimal_compare(&p->point[i], &q->point[i]) != 0) return false;
    return true;
}

static uint32_t values_hash(const struct values *v)
{
    uint32_t hash = hash_words((const uint32_t *)v->mask, 4 * v->n_point + 2, v->n_divisor);
    for (uint32_t i = 0; i < v->n_divisor; i++)
        hash = hash_words((const uint32_t *)&v->divisor[i], 2, hash);
    for (uint32_t i = 0; i < v->n_point; i++) {
        const struct decimal *p = &v->point[i];
        uint32_t key[4] = {(uint32_t)p->sign, (uint32_t)p->exp, p->n, p->n ? p->digit[0] : 0};
        hash = hash_words(key, 4, hash);
    }
    return hash;
}

static uint32_t values_intern(lex *x, struct draft *d)
{
    settle_masks(d);
    drop_divisors(d);
    drop_points(d);
    settle_masks(d);
    struct numbers *m = x->numbers;
    struct values v = d->v;
    v.point = d->point;
    v.mask = d->mask;
    uint32_t hash = values_hash(&v), id = ids_find(&m->value_ids, hash, same_values, x, &v);
    if (!id) {
        uint32_t n_mask = 2 * v.n_point + 1;
        uint64_t *mask = arena_alloc(x->mem, n_mask * sizeof *mask);
        struct decimal *point = arena_alloc(x->mem, v.n_point * sizeof *point);
        memcpy(mask, v.mask, n_mask * sizeof *mask);
        for (uint32_t i = 0; i < v.n_point; i++) point[i] = decimal_keep(x, &v.point[i]);
        v.mask = mask;
        v.point = point;
        id = m->n_values++;
        m->values = array_room(m->values, id, &m->cap_values, sizeof *m->values);
        m->values[id] = v;
        ids_add(&m->value_ids, hash, id);
    }
    draft_free(d);
    return id;
}

static struct draft draft_of(uint32_t n_point)
{
    return (struct draft){.v = {.n_point = n_point},
                          .point = mem_new(n_point * sizeof(struct decimal)),
                          .mask = mem_new((2 * n_point + 1) * sizeof(uint64_t))};
}

// NUMBER_ANY and NUMBER_NONE, when numbers first come up.
struct numbers *numbers_of(lex *x)
{
    if (x->numbers) return x->numbers;
    x->numbers = mem_new(sizeof *x->numbers);
    x->numbers->n_values = x->numbers->n_spelling = 1;
    x->numbers->n_digits = x->numbers->n_exponents = 1;
    x->numbers->values = array_room(NULL, 0, &x->numbers->cap_values, sizeof *x->numbers->values);
    struct draft any = draft_of(0), none = draft_of(0);
    any.mask[0] = BOTH;
    uint32_t a = values_intern(x, &any), b = values_intern(x, &none);
    assert(a == NUMBER_ANY && b == NUMBER_NONE);
    (void)a, (void)b;
    return x->numbers;
}

// ---- operations ----

// The union of both points, and which atom of a and b each new atom lies in.
static uint32_t merge_points(const struct values *a, const struct values *b, struct draft *d,
                             uint32_t *from_a, uint32_t *from_b)
{
    uint32_t i = 0, k = 0, n = 0;
    from_a[0] = from_b[0] = 0;
    while (i < a->n_point || k < b->n_point) {
        int o = i == a->n_point   ? 1
                : k == b->n_point ? -1
                                  : decimal_compare(&a->point[i], &b->point[k]);
        d->point[n] = o <= 0 ? a->point[i] : b->point[k];
        from_a[2 * n + 1] = o <= 0 ? 2 * i + 1 : 2 * i;
        from_b[2 * n + 1] = o >= 0 ? 2 * k + 1 : 2 * k;
        i += o <= 0;
        k += o >= 0;
        n++;
        from_a[2 * n] = 2 * i;
        from_b[2 * n] = 2 * k;
    }
    return n;
}

static bool merge_divisors(const struct values *a, const struct values *b, struct values *out)
{
    uint32_t i = 0, k = 0, n = 0;
    while (i < a->n_divisor || k < b->n_divisor) {
        struct divisor p = i < a->n_divisor ? a->divisor[i] : (struct divisor){UINT32_MAX, 0};
        struct divisor q = k < b->n_divisor ? b->divisor[k] : (struct divisor){UINT32_MAX, 0};
        int o =
            p.size != q.size ? (p.size < q.size ? -1 : 1) : (p.frac > q.frac) - (p.frac < q.frac);
        if (n == DIVISORS_MAX) return false;
        out->divisor[n++] = o <= 0 ? p : q;
        i += o <= 0;
        k += o >= 0;
    }
    out->n_divisor = n;
    return true;
}

// A mask over the divisors of v, said over those of w, which has them all.
static uint64_t widen(const struct values *v, uint64_t mask, const struct values *w)
{
    uint64_t out = 0;
    for (uint32_t p = 0; p < 1u << w->n_divisor; p++) {
        uint32_t q = 0;
        for (uint32_t i = 0, k = 0; i < v->n_divisor; i++) {
            while (memcmp(&w->divisor[k], &v->divisor[i], sizeof *v->divisor) != 0) k++;
            q |= (p >> k & 1) << i;
        }
        out |= (mask >> q & BOTH) << p;
    }
    return out;
}

static uint32_t combine(lex *x, uint32_t a, uint32_t b, bool both)
{
    struct numbers *m = numbers_of(x);
    struct values p = m->values[a], q = m->values[b];
    uint32_t n = p.n_point + q.n_point;
    struct draft d = draft_of(n);
    if (n > POINTS_MAX || !merge_divisors(&p, &q, &d.v)) {
        draft_free(&d);
        return 0;
    }
    uint32_t *from_a = mem_new((2 * n + 1) * sizeof *from_a);
    uint32_t *from_b = mem_new((2 * n + 1) * sizeof *from_b);
    d.v.n_point = merge_points(&p, &q, &d, from_a, from_b);
    for (uint32_t i = 0; i < 2 * d.v.n_point + 1; i++) {
        uint64_t s = widen(&p, p.mask[from_a[i]], &d.v), t = widen(&q, q.mask[from_b[i]], &d.v);
        d.mask[i] = both ? s & t : s | t;
    }
    free(from_a);
    free(from_b);
    return values_intern(x, &d);
}

uint32_t number_and(lex *x, uint32_t a, uint32_t b)
{
    return combine(x, a, b, true);
}

uint32_t number_or(lex *x, uint32_t a, uint32_t b)
{
    return combine(x, a, b, false);
}

uint32_t number_not(lex *x, uint32_t a)
{
    struct values v = numbers_of(x)->values[a];
    struct draft d = draft_of(v.n_point);
    d.v = v;
    d.v.spelled = 0; // of the other set
    memcpy(d.point, v.point, v.n_point * sizeof *d.point);
    for (uint32_t i = 0; i < 2 * v.n_point + 1; i++) d.mask[i] = ~v.mask[i];
    return values_intern(x, &d);
}

static uint32_t atom_of(const struct values *v, const struct decimal *d)
{
    uint32_t lo = 0, hi = v->n_point;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        int o = decimal_compare(&v->point[mid], d);
        if (o == 0) return 2 * mid + 1;
        if (o < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return 2 * lo;
}

bool number_has(lex *x, uint32_t a, const char *text, size_t n)
{
    struct decimal d;
    uint8_t *digits = mem_new(n);
    decimal_of(text, n, digits, &d);
    const struct values *v = &numbers_of(x)->values[a];
    bool pointed = memchr(text, '.', n) || memchr(text, 'e', n) || memchr(text, 'E', n);
    uint32_t mask = half(v->mask[atom_of(v, &d)], pointed ? POINTED : PLAIN);
    bool has = mask >> pattern_of(v->divisor, v->n_divisor, &d) & 1;
    free(digits);
    return has;
}

lex_lang number_lang(lex *x, uint32_t a)
{
    return a ? lang_of(x, true, false, a) : LEX_FAILED;
}

// ---- leaves ----

static uint32_t leaf(lex *x, const char *text, uint32_t below, uint32_t at, uint32_t above, err *e)
{
    size_t n = strlen(text);
    numbers_of(x);
    struct draft d = draft_of(1);
    uint8_t digits[DIGITS_MAX];
    if (n > DIGITS_MAX || !decimal_of(text, n, digits, &d.point[0])) {
        draft_free(&d);
        err_set(e, ERR_INPUT, "%.40s...: expected a number of at most %u digits", text, DIGITS_MAX);
        return 0;
    }
    d.mask[0] = below * BOTH;
    d.mask[1] = at * BOTH;
    d.mask[2] = above * BOTH;
    return values_intern(x, &d);
}

static lex_lang leaf_lang(lex *x, uint32_t a)
{
    return a ? number_lang(x, a) : LEX_FAILED;
}

lex_lang lex_at_least(lex *x, const char *text, bool exclusive, err *e)
{
    return leaf_lang(x, leaf(x, text, 0, !exclusive, 1, e));
}

lex_lang lex_at_most(lex *x, const char *text, bool exclusive, err *e)
{
    return leaf_lang(x, leaf(x, text, 1, !exclusive, 0, e));
}

lex_lang lex_number(lex *x, const char *text, err *e)
{
    return leaf_lang(x, leaf(x, text, 0, 1, 0, e));
}

static lex_lang multiples(lex *x, struct divisor of, uint64_t spelt)
{
    numbers_of(x);
    struct draft d = draft_of(0);
    d.v.n_divisor = 1;
    d.v.divisor[0] = of;
    d.mask[0] = 2 * spelt;
    return number_lang(x, values_intern(x, &d));
}

lex_lang lex_multiple(lex *x, const char *text, err *e)
{
    struct decimal v;
    uint8_t digits[DIGITS_MAX];
    size_t n = strlen(text);
    uint64_t size = 0;
    bool fine = n <= DIGITS_MAX && decimal_of(text, n, digits, &v) && v.sign > 0;
    if (!fine) {
        err_set(e, ERR_INPUT, "%.40s: expected a number above 0", text);
        return LEX_FAILED;
    }
    for (uint32_t i = 0; i < v.n && size <= DIVISOR_MAX; i++) size = size * 10 + digits[i];
    int64_t frac = (int64_t)v.n - 1 - v.exp;
    for (; frac < 0 && size <= DIVISOR_MAX; frac++) size *= 10;
    if (size > DIVISOR_MAX || frac > 20) {
        err_set(e, ERR_INPUT, "%.40s: more than %u remainders to tell apart", text, DIVISOR_MAX);
        return LEX_FAILED;
    }
    return multiples(x, (struct divisor){(uint32_t)size, (uint32_t)frac}, BOTH);
}

lex_lang lex_integer(lex *x)
{
    return multiples(x, (struct divisor){1, 0}, BOTH);
}

lex_lang lex_plain_integer(lex *x)
{
    return multiples(x, (struct divisor){1, 0}, 1); // PLAIN
}

// ---- memory ----

void numbers_free(struct numbers *m)
{
    if (!m) return;
    free(m->values);
    free(m->spelling);
    free(m->digits);
    free(m->exponents);
    free(m->value_ids.slot);
    free(m->digit_ids.slot);
    free(m->exponent_ids.slot);
    free(m);
}

size_t numbers_bytes(const struct numbers *m)
{
    if (!m) return 0;
    size_t ids = m->value_ids.cap + m->digit_ids.cap + m->exponent_ids.cap;
    return sizeof *m + ids * sizeof(struct ids_slot) + m->cap_values * sizeof *m->values +
           m->cap_spelling * sizeof *m->spelling + m->cap_digits * sizeof *m->digits +
           m->cap_exponents * sizeof *m->exponents;
}
