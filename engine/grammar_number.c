// Numbers in a range, digit by digit, exactly. A range of JSON numbers is a set of decimals; the
// texts that begin with the digits written so far are again ranges, one for each number of digits
// still to come: after 12 come 12, 12.xxx, 120 to 129, 1200 to 1299 ... So the question "does some
// continuation lie within the bounds" is a comparison of decimals of fixed size, and the answer is
// also the length of the shortest such continuation. No binary floating point takes part: a bound
// that the schema gave as a real number counts as the shortest decimal that reads back as it.
//
// Caps, so that a number ends: 18 digits before the point (all of int64; more where the lower bound
// needs them), 20 after it, exponents of two digits and only where no bound has to be compared.
// With an exclusive bound 15 digits in all: that many survive a double, so that a reader who
// rounds still finds the bound kept.
#include "engine/grammar_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- decimals ----

static int compare(const struct decimal *a, const struct decimal *b)
{
    return memcmp(a->d, b->d, DECIMAL_ALL);
}

static bool is_zero(const struct decimal *a)
{
    for (int i = 0; i < DECIMAL_ALL; i++)
        if (a->d[i]) return false;
    return true;
}

// Adds one unit at digit position i (0 is the most significant); false on overflow.
static bool add_unit(struct decimal *a, int i)
{
    for (; i >= 0; i--) {
        if (a->d[i] < 9) {
            a->d[i]++;
            return true;
        }
        a->d[i] = 0;
    }
    return false;
}

// Takes one unit away at position i; a is not below it.
static void take_unit(struct decimal *a, int i)
{
    while (i > 0 && a->d[i] == 0) a->d[i--] = 9;
    a->d[i]--;
}

static bool has_digits_from(const struct decimal *a, int i)
{
    for (; i < DECIMAL_ALL; i++)
        if (a->d[i]) return true;
    return false;
}

static void clear_from(struct decimal *a, int i)
{
    memset(a->d + i, 0, (size_t)(DECIMAL_ALL - i));
}

static int int_digits(const struct decimal *a)
{
    for (int i = 0; i < DECIMAL_INT; i++)
        if (a->d[i]) return DECIMAL_INT - i;
    return 0;
}

static int frac_digits(const struct decimal *a)
{
    for (int i = DECIMAL_ALL; i > DECIMAL_INT; i--)
        if (a->d[i - 1]) return i - DECIMAL_INT;
    return 0;
}

// ---- bounds ----

int bound_compare(const struct bound *a, const struct bound *b)
{
    bool az = is_zero(&a->size), bz = is_zero(&b->size);
    bool an = a->negative && !az, bn = b->negative && !bz;
    if (an != bn) return an ? -1 : 1;
    int o = compare(&a->size, &b->size);
    return an ? -o : o;
}

// The shortest decimal text with an exponent that reads back as f.
static void shortest_text(double f, char out[40])
{
    for (int precision = 0; precision < 17; precision++) {
        snprintf(out, 40, "%.*e", precision, f);
        if (strtod(out, NULL) == f) return;
    }
}

bool bound_from_json(struct bound *b, const json_t *v)
{
    char text[40];
    *b = (struct bound){.given = true};
    if (json_is_integer(v))
        snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT "e0", json_integer_value(v));
    else
        shortest_text(json_real_value(v), text);
    const char *s = text, *e = strchr(text, 'e');
    b->negative = *s == '-';
    s += *s == '-';
    const char *point = memchr(s, '.', (size_t)(e - s));
    int exponent = atoi(e + 1), before = (int)((point ? point : e) - s);
    int at = DECIMAL_INT - before - exponent;
    for (; s < e; s++) {
        if (*s == '.') continue;
        if (*s != '0' && (at < 0 || at >= DECIMAL_ALL)) return false;
        if (at >= 0 && at < DECIMAL_ALL) b->size.d[at] = (uint8_t)(*s - '0');
        at++;
    }
    return true;
}

// The nearest integer within the bound, as an inclusive bound. Up: towards larger numbers.
static void round_to_integer(struct bound *b, bool up)
{
    if (!b->given) return;
    bool fraction = has_digits_from(&b->size, DECIMAL_INT);
    clear_from(&b->size, DECIMAL_INT);
    if (!fraction && !b->exclusive) return;
    b->exclusive = false;
    bool zero = is_zero(&b->size);
    if (b->negative && zero && !fraction) b->negative = false;
    bool away = b->negative ? !up : up; // from zero
    if (away) {
        add_unit(&b->size, DECIMAL_INT - 1);
    } else if (!fraction) { // an exclusive whole number: one step towards zero, or across it
        if (zero) {
            b->negative = !b->negative;
            add_unit(&b->size, DECIMAL_INT - 1);
        } else {
            take_unit(&b->size, DECIMAL_INT - 1);
        }
    }
}

void range_close_integer(struct range *r)
{
    round_to_integer(&r->low, true);
    round_to_integer(&r->high, false);
}

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

bool range_finish(struct range *r)
{
    struct bound zero = {.given = true};
    int low_sign = r->low.given ? bound_compare(&r->low, &zero) : -1;
    bool from_zero = r->low.given && low_sign == 0;
    r->minus = !r->low.given || low_sign < 0;
    r->bounded = r->high.given || (r->low.given && !from_zero);
    r->exponent = !r->integer && !r->bounded;
    r->nonzero = r->exponent && from_zero && r->low.exclusive;
    if (r->integer && from_zero && r->low.exclusive)
        return false; // range_close_integer was not called
    // The least size that a number of either sign must have decides how many digits are needed.
    uint32_t need = 0;
    if (r->low.given && low_sign > 0) need = (uint32_t)int_digits(&r->low.size);
    if (r->high.given && bound_compare(&r->high, &zero) < 0)
        need = (uint32_t)int_digits(&r->high.size);
    r->int_digits = need < 18 ? 18 : need < DECIMAL_INT ? need + 1 : need;
    uint32_t fraction = 0;
    if (r->low.given) fraction = (uint32_t)frac_digits(&r->low.size);
    if (r->high.given) fraction = larger(fraction, (uint32_t)frac_digits(&r->high.size));
    if (fraction + 1 > DECIMAL_FRAC) return false;
    r->frac_digits = r->integer ? 0 : larger(20, fraction + 1);
    r->digits = r->int_digits + r->frac_digits;
    bool exclusive = (r->low.given && r->low.exclusive) || (r->high.given && r->high.exclusive);
    if (!r->integer && exclusive && r->bounded) {
        r->digits = 15;
        if (need > 15) return false;
    }
    return r->digits <= DECIMAL_ALL;
}

// ---- writing ----

bool number_begin(struct number *n, uint8_t c)
{
    *n = (struct number){0};
    if (c == '-') {
        n->minus = true;
        n->sub = NUM_MINUS;
        return true;
    }
    n->sub = NUM_MINUS; // the first digit follows the same rules with and without a sign
    return number_step(n, c);
}

static bool add_digit(struct number *n, uint8_t c)
{
    if (n->n_int + n->n_frac >= DECIMAL_ALL) return false;
    n->digit[n->n_int + n->n_frac] = (uint8_t)(c - '0');
    if (n->sub == NUM_FRAC)
        n->n_frac++;
    else
        n->n_int++;
    n->nonzero = n->nonzero || c != '0';
    return true;
}

bool number_step(struct number *n, uint8_t c)
{
    bool digit = c >= '0' && c <= '9';
    switch (n->sub) {
    case NUM_MINUS:
        if (!digit) return false;
        n->sub = c == '0' ? NUM_ZERO : NUM_INT;
        return add_digit(n, c);
    case NUM_INT:
        if (digit) return add_digit(n, c);
        break;
    case NUM_ZERO: break;
    case NUM_DOT:
        if (!digit) return false;
        n->sub = NUM_FRAC;
        return add_digit(n, c);
    case NUM_FRAC:
        if (digit) return add_digit(n, c);
        break;
    case NUM_E:
        if (c == '+' || c == '-') {
            n->sub = NUM_ESIGN;
            return true;
        }
        // fall through
    case NUM_ESIGN:
    case NUM_EXP:
        if (!digit || n->n_exp == 2) return false;
        n->sub = NUM_EXP;
        n->n_exp++;
        return true;
    }
    if (c == '.' && n->sub != NUM_FRAC) {
        n->sub = NUM_DOT;
        return true;
    }
    if (c != 'e' && c != 'E') return false;
    n->sub = NUM_E;
    return true;
}

// ---- what may follow ----

// Sizes (absolute values) that the number may have.
struct sizes {
    bool low_given, low_exclusive, high_given, high_exclusive;
    const struct decimal *low, *high;
};

// The bounds on the size of a number of this sign; false: there is no number of this sign.
static bool sizes_of(const struct range *r, bool minus, struct sizes *s)
{
    const struct bound *near = minus ? &r->high : &r->low, *far = minus ? &r->low : &r->high;
    *s = (struct sizes){0};
    struct bound zero = {.given = true};
    if (near->given) {
        int sign = bound_compare(near, &zero) * (minus ? -1 : 1);
        if (sign > 0 || (sign == 0 && near->exclusive)) {
            s->low_given = true;
            s->low_exclusive = near->exclusive;
            s->low = &near->size;
        }
    }
    if (far->given) {
        int sign = bound_compare(far, &zero) * (minus ? -1 : 1);
        if (sign < 0 || (sign == 0 && far->exclusive)) return false;
        s->high_given = true;
        s->high_exclusive = far->exclusive;
        s->high = &far->size;
    }
    return true;
}

// Is there a decimal with at most `frac` digits after the point in [from, from + one unit at
// position `unit`) that the sizes allow?
static bool meets(const struct sizes *s, const struct decimal *from, int unit, int frac)
{
    struct decimal x = *from, end = *from;
    if (s->low_given &&
        (compare(&x, s->low) < 0 || (compare(&x, s->low) == 0 && s->low_exclusive))) {
        x = *s->low;
        bool up = has_digits_from(&x, DECIMAL_INT + frac) || s->low_exclusive;
        clear_from(&x, DECIMAL_INT + frac);
        if (up && !add_unit(&x, DECIMAL_INT + frac - 1)) return false;
    }
    // An end that overflows lies beyond every number.
    if (add_unit(&end, unit) && compare(&x, &end) >= 0) return false;
    if (!s->high_given) return true;
    int o = compare(&x, s->high);
    return o < 0 || (o == 0 && !s->high_exclusive);
}

// The digits so far with `more` zeros appended to the part before the point.
static void value_of(const struct number *n, int more, struct decimal *out)
{
    memset(out, 0, sizeof *out);
    int at = DECIMAL_INT - n->n_int - more;
    for (int i = 0; i < n->n_int; i++) out->d[at + i] = n->digit[i];
    for (int i = 0; i < n->n_frac; i++) out->d[DECIMAL_INT + i] = n->digit[n->n_int + i];
}

static int frac_cap(const struct range *r, int n_int)
{
    int left = (int)r->digits - n_int;
    return left < (int)r->frac_digits ? left : (int)r->frac_digits;
}

// Fewest digits after the point (at least `least`, at most cap) for which meets holds; -1: none.
static int fewest_frac(const struct sizes *s, const struct decimal *from, int unit, int least,
                       int cap)
{
    if (cap < least || !meets(s, from, unit, cap)) return -1;
    int f = least;
    while (!meets(s, from, unit, f)) f++;
    return f;
}

static void shorter(uint32_t *best, int n)
{
    if ((uint32_t)n < *best) *best = (uint32_t)n;
}

// Before the point: the number may end, grow, or get a fraction.
static uint32_t rest_of_int(const struct range *r, const struct sizes *s, const struct number *n)
{
    uint32_t best = FAR;
    int grow = n->sub == NUM_ZERO ? 0 : (int)r->int_digits - n->n_int;
    for (int more = n->n_int == 0 ? 1 : 0; more <= grow && (uint32_t)more < best; more++) {
        struct decimal from;
        value_of(n, more, &from);
        int unit = DECIMAL_INT - 1 - more, cap = frac_cap(r, n->n_int + more);
        if (n->n_int + more > (int)r->digits) break;
        if (n->n_int == 0) { // only a sign so far: the first digit is 1 to 9, or a lone 0
            for (int first = more > 1 ? 1 : 0; first <= 9; first++) {
                from.d[DECIMAL_INT - more] = (uint8_t)first;
                if (meets(s, &from, DECIMAL_INT - more, 0)) shorter(&best, more);
                int f = r->integer ? -1 : fewest_frac(s, &from, DECIMAL_INT - more, 1, cap);
                if (f > 0) shorter(&best, more + 1 + f);
            }
            continue;
        }
        if (meets(s, &from, unit, 0)) {
            shorter(&best, more);
        } else if (!r->integer) {
            int f = fewest_frac(s, &from, unit, 1, cap);
            if (f > 0) shorter(&best, more + 1 + f);
        }
    }
    return best;
}

// After the point: between one and the capped number of digits in all.
static uint32_t rest_of_frac(const struct range *r, const struct sizes *s, const struct number *n)
{
    struct decimal from;
    value_of(n, 0, &from);
    int least = n->n_frac > 0 ? n->n_frac : 1;
    int f = fewest_frac(s, &from, DECIMAL_INT + n->n_frac - 1, least, frac_cap(r, n->n_int));
    return f < 0 ? FAR : (uint32_t)(f - n->n_frac);
}

static uint32_t rest_unbounded(const struct range *r, const struct number *n)
{
    if (n->n_int > r->int_digits || n->n_frac > r->frac_digits) return FAR;
    bool zero = r->nonzero && !n->nonzero; // a digit other than 0 has still to come
    switch (n->sub) {
    case NUM_MINUS: return r->int_digits ? 1 : FAR;
    case NUM_ZERO: return zero ? 2 : 0;
    case NUM_INT: return 0;
    case NUM_DOT: return 1;
    case NUM_FRAC: return !zero ? 0 : n->n_frac < r->frac_digits ? 1 : FAR;
    case NUM_E:
    case NUM_ESIGN: return zero ? FAR : 1;
    default: return 0;
    }
}

uint32_t number_rest(const struct range *r, const struct number *n)
{
    if (n->minus && !r->minus) return FAR;
    bool exponent = n->sub >= NUM_E;
    if (exponent && !r->exponent) return FAR;
    if (r->integer && n->sub >= NUM_DOT) return FAR;
    if (!r->bounded) return rest_unbounded(r, n);
    struct sizes s;
    if (!sizes_of(r, n->minus, &s)) return FAR;
    if (n->n_int > r->int_digits || n->n_int + n->n_frac > r->digits) return FAR;
    return n->sub >= NUM_DOT ? rest_of_frac(r, &s, n) : rest_of_int(r, &s, n);
}
