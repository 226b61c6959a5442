// Labels of internationalised domain names: which code points RFC 5892 allows and where, the order
// of writing that RFC 5893 asks for, and the ASCII form of RFC 3492. The categories come from
// utf8proc; scripts and joining types are ranges of the blocks that the rules name.
#include "base/utf8.h"
#include "engine/schema_private.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { LABEL_MAX = 63 }; // code points, and bytes of the ASCII form

struct label {
    uint32_t c[LABEL_MAX + 1];
    size_t n;
};

static bool in(uint32_t c, uint32_t from, uint32_t to)
{
    return c >= from && c <= to;
}

// ---- which code points: RFC 5892, section 3 ----

enum status { DISALLOWED, ALLOWED, BY_CONTEXT };

static bool exception(uint32_t c, enum status *s)
{
    static const uint32_t allowed[] = {0xdf, 0x3c2, 0x6fd, 0x6fe, 0xf0b, 0x3007},
                          context[] = {0xb7, 0x375, 0x5f3, 0x5f4, 0x30fb, 0x200c, 0x200d},
                          disallowed[] = {0x640,  0x7fa,  0x302e, 0x302f, 0x3031,
                                          0x3032, 0x3033, 0x3034, 0x3035, 0x303b};
    for (size_t i = 0; i < sizeof disallowed / sizeof *disallowed; i++) {
        if (c == disallowed[i]) return *s = DISALLOWED, true;
        if (i < sizeof allowed / sizeof *allowed && c == allowed[i]) return *s = ALLOWED, true;
        if (i < sizeof context / sizeof *context && c == context[i]) return *s = BY_CONTEXT, true;
    }
    if (in(c, 0x660, 0x669) || in(c, 0x6f0, 0x6f9)) return *s = BY_CONTEXT, true;
    return false;
}

// Does compatibility composition or folding of case change it?
static bool is_unstable(uint32_t c)
{
    char text[4];
    utf8proc_uint8_t *folded = NULL;
    int n = utf8_put(c, text);
    utf8proc_ssize_t k =
        utf8proc_map((const utf8proc_uint8_t *)text, n, &folded,
                     UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD);
    bool same = k == n && memcmp(folded, text, (size_t)n) == 0;
    free(folded);
    return !same;
}

static enum status status_of(uint32_t c)
{
    enum status s;
    if (exception(c, &s)) return s;
    const utf8proc_property_t *p = utf8proc_get_property((utf8proc_int32_t)c);
    if (c == '-' || in(c, '0', '9') || in(c, 'a', 'z')) return ALLOWED;
    if (p->ignorable || is_unstable(c) || in(c, 0x20d0, 0x20ff) || in(c, 0x1d100, 0x1d24f) ||
        in(c, 0x1100, 0x11ff) || in(c, 0xa960, 0xa97f) || in(c, 0xd7b0, 0xd7ff))
        return DISALLOWED;
    switch (p->category) {
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ND: return ALLOWED;
    default: return DISALLOWED;
    }
}

// ---- where: RFC 5892, appendix A ----

static bool is_virama(uint32_t c)
{
    return utf8proc_get_property((utf8proc_int32_t)c)->combining_class == 9;
}

static bool is_mark(uint32_t c)
{
    utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_MC || k == UTF8PROC_CATEGORY_ME;
}

// Letters of the Arabic block that join on both sides, and those that join to the right only.
static bool joins_right_only(uint32_t c)
{
    return in(c, 0x622, 0x625) || c == 0x627 || c == 0x629 || in(c, 0x62f, 0x632) || c == 0x648 ||
           in(c, 0x671, 0x673) || in(c, 0x675, 0x677) || in(c, 0x688, 0x699) || c == 0x6c0 ||
           in(c, 0x6c3, 0x6cb) || c == 0x6cd || c == 0x6cf || in(c, 0x6d2, 0x6d3) || c == 0x6d5;
}

static bool joins_both(uint32_t c)
{
    return (in(c, 0x620, 0x64a) || in(c, 0x66e, 0x66f) || in(c, 0x678, 0x6d3) || c == 0x6ff ||
            in(c, 0x6fa, 0x6fc)) &&
           c != 0x621 && c != 0x640 && !joins_right_only(c);
}

// A non-joiner between letters that would join without it.
static bool parts_joining_letters(const struct label *l, size_t at)
{
    size_t before = at, after = at + 1;
    while (before > 0 && is_mark(l->c[before - 1])) before--;
    while (after < l->n && is_mark(l->c[after])) after++;
    return before > 0 && after < l->n && joins_both(l->c[before - 1]) &&
           (joins_both(l->c[after]) || joins_right_only(l->c[after]));
}

static bool has_any(const struct label *l, bool is(uint32_t))
{
    for (size_t i = 0; i < l->n; i++)
        if (is(l->c[i])) return true;
    return false;
}

static bool is_greek(uint32_t c)
{
    return (in(c, 0x370, 0x3ff) && c != 0x37e) || in(c, 0x1f00, 0x1fff);
}

static bool is_hebrew(uint32_t c)
{
    return in(c, 0x591, 0x5f4);
}

static bool is_kana_or_han(uint32_t c)
{
    return in(c, 0x3041, 0x309f) || (in(c, 0x30a1, 0x30ff) && c != 0x30fb) || c == 0x3005 ||
           c == 0x3007 || in(c, 0x3400, 0x4dbf) || in(c, 0x4e00, 0x9fff) || in(c, 0xf900, 0xfaff) ||
           in(c, 0x20000, 0x3134f);
}

static bool is_arabic_digit(uint32_t c)
{
    return in(c, 0x660, 0x669);
}

static bool is_extended_digit(uint32_t c)
{
    return in(c, 0x6f0, 0x6f9);
}

static bool fits_context(const struct label *l, size_t i)
{
    uint32_t c = l->c[i], before = i ? l->c[i - 1] : 0, after = i + 1 < l->n ? l->c[i + 1] : 0;
    switch (c) {
    case 0x200c: return (i && is_virama(before)) || parts_joining_letters(l, i);
    case 0x200d: return i && is_virama(before);
    case 0xb7: return before == 'l' && after == 'l';
    case 0x375: return after && is_greek(after);
    case 0x5f3:
    case 0x5f4: return i && is_hebrew(before);
    case 0x30fb: return has_any(l, is_kana_or_han);
    default:
        return is_arabic_digit(c) ? !has_any(l, is_extended_digit) : !has_any(l, is_arabic_digit);
    }
}

// ---- the order of writing: RFC 5893, section 2 ----

static unsigned bidi(uint32_t c) // a bit for the class
{
    return 1u << utf8proc_get_property((utf8proc_int32_t)c)->bidi_class;
}

#define BIDI(name) (1u << UTF8PROC_BIDI_CLASS_##name)

static bool is_right_to_left(const struct label *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (bidi(l->c[i]) & (BIDI(R) | BIDI(AL) | BIDI(AN))) return true;
    return false;
}

// The rule for one label of a name in which some label runs from right to left.
static bool bidi_holds(const struct label *l)
{
    const unsigned right = BIDI(R) | BIDI(AL), neutral = BIDI(EN) | BIDI(ES) | BIDI(CS) | BIDI(ET) |
                                                         BIDI(ON) | BIDI(BN) | BIDI(NSM);
    if (l->n == 0) return false;
    unsigned all = 0, first = bidi(l->c[0]);
    size_t end = l->n;
    for (size_t i = 0; i < l->n; i++) all |= bidi(l->c[i]);
    while (end > 1 && bidi(l->c[end - 1]) == BIDI(NSM)) end--;
    unsigned last = bidi(l->c[end - 1]);
    if (first & right)
        return !(all & ~(right | BIDI(AN) | neutral)) && (last & (right | BIDI(EN) | BIDI(AN))) &&
               (all & (BIDI(EN) | BIDI(AN))) != (BIDI(EN) | BIDI(AN));
    return (first & BIDI(L)) && !(all & ~(BIDI(L) | neutral)) && (last & (BIDI(L) | BIDI(EN)));
}

// ---- the ASCII form: RFC 3492 ----

enum { BASE = 36, T_MIN = 1, T_MAX = 26, SKEW = 38, DAMP = 700, BIAS = 72, FIRST = 0x80 };

static uint32_t adapt(uint32_t delta, uint32_t points, bool first)
{
    uint32_t k = 0;
    delta = first ? delta / DAMP : delta / 2;
    for (delta += delta / points; delta > (BASE - T_MIN) * T_MAX / 2; k += BASE)
        delta /= BASE - T_MIN;
    return k + (BASE - T_MIN + 1) * delta / (delta + SKEW);
}

static uint32_t threshold(uint32_t k, uint32_t bias)
{
    return k <= bias + T_MIN ? T_MIN : k >= bias + T_MAX ? T_MAX : k - bias;
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0' + 26;
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z' ? (c | 0x20) - 'a' : -1;
}

// The number at *p, of which each digit's weight depends on the ones before.
static bool decode_number(const char **p, const char *end, uint32_t bias, uint32_t *out)
{
    uint64_t w = 1, value = 0;
    for (uint32_t k = BASE;; k += BASE) {
        int digit = *p < end ? digit_value(*(*p)++) : -1;
        uint32_t t = threshold(k, bias);
        if (digit < 0) return false;
        value += (uint64_t)digit * w;
        if (value > UINT32_MAX) return false;
        *out = (uint32_t)value;
        if ((uint32_t)digit < t) return true;
        w *= BASE - t;
        if (w > UINT32_MAX) return false;
    }
}

static bool punycode_decode(const char *s, size_t n, struct label *l)
{
    const char *p = s, *end = s + n, *dash = NULL;
    for (size_t i = 0; i < n; i++)
        if (s[i] == '-') dash = s + i;
    l->n = 0;
    for (; dash && p < dash; p++)
        l->c[l->n++] = (unsigned char)(*p >= 'A' && *p <= 'Z' ? *p | 0x20 : *p);
    if (dash) p = dash + 1;
    uint32_t code = FIRST, bias = BIAS, at = 0, delta;
    for (bool first = true; p < end; first = false) {
        if (l->n == LABEL_MAX || !decode_number(&p, end, bias, &delta)) return false;
        uint64_t place = (uint64_t)at + delta;
        uint32_t points = (uint32_t)l->n + 1;
        bias = adapt(delta, points, first);
        if (code + place / points > 0x10ffff) return false;
        code += (uint32_t)(place / points);
        at = (uint32_t)(place % points);
        memmove(l->c + at + 1, l->c + at, (l->n - at) * sizeof *l->c);
        l->c[at++] = code;
        l->n++;
    }
    return true;
}

static size_t number_digits(uint32_t value, uint32_t bias)
{
    size_t n = 1;
    for (uint32_t k = BASE;; k += BASE, n++) {
        uint32_t t = threshold(k, bias);
        if (value < t) return n;
        value = (value - t) / (BASE - t);
    }
}

// Bytes of the label's ASCII form behind "xn--".
static size_t punycode_length(const struct label *l)
{
    size_t done = 0, length;
    for (size_t i = 0; i < l->n; i++) done += l->c[i] < FIRST;
    length = done + (done > 0);
    uint32_t code = FIRST, bias = BIAS, delta = 0;
    for (bool first = true; done < l->n; delta++, code++) {
        uint32_t next = UINT32_MAX;
        for (size_t i = 0; i < l->n; i++)
            if (l->c[i] >= code && l->c[i] < next) next = l->c[i];
        delta += (next - code) * (uint32_t)(done + 1);
        code = next;
        for (size_t i = 0; i < l->n; i++) {
            delta += l->c[i] < code;
            if (l->c[i] != code) continue;
            length += number_digits(delta, bias);
            bias = adapt(delta, (uint32_t)++done, first);
            first = false;
            delta = 0;
        }
    }
    return length;
}

// ---- labels ----

char *idn_composed(const char *s, size_t n)
{
    utf8proc_uint8_t *out = NULL;
    utf8proc_map((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)n, &out,
                 UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    return (char *)out;
}

static bool is_composed(const char *s, size_t n)
{
    char *composed = idn_composed(s, n);
    bool same = composed && strlen(composed) == n && memcmp(composed, s, n) == 0;
    free(composed);
    return same;
}

static bool decode(const char *s, size_t n, struct label *l)
{
    l->n = 0;
    for (size_t i = 0; i < n;) {
        uint32_t c;
        int k = utf8_decode(s + i, n - i, &c);
        if (!k || l->n == LABEL_MAX) return false;
        l->c[l->n++] = c;
        i += (size_t)k;
    }
    return true;
}

static bool code_points_hold(const struct label *l)
{
    if (l->n == 0 || l->c[0] == '-' || l->c[l->n - 1] == '-' || is_mark(l->c[0])) return false;
    if (l->n >= 4 && l->c[2] == '-' && l->c[3] == '-') return false;
    for (size_t i = 0; i < l->n; i++) {
        enum status s = status_of(l->c[i]);
        if (s == DISALLOWED || (s == BY_CONTEXT && !fits_context(l, i))) return false;
    }
    return true;
}

size_t idn_u_label(const char *label, size_t n, bool *right_to_left)
{
    struct label l;
    if (!decode(label, n, &l) || !is_composed(label, n) || !code_points_hold(&l)) return 0;
    size_t ascii = punycode_length(&l) + 4;
    if (is_right_to_left(&l)) *right_to_left = true;
    return ascii <= LABEL_MAX ? ascii : 0;
}

bool idn_is_a_label(const char *label, size_t n)
{
    struct label l;
    char text[4 * LABEL_MAX];
    size_t bytes = 0;
    bool ascii = true;
    if (n < 5 || n > LABEL_MAX || (label[0] | 0x20) != 'x' || (label[1] | 0x20) != 'n' ||
        !punycode_decode(label + 4, n - 4, &l))
        return false;
    for (size_t i = 0; i < l.n; i++) {
        int k = utf8_put(l.c[i], text + bytes);
        if (!k) return false;
        bytes += (size_t)k;
        ascii = ascii && l.c[i] < 0x80;
    }
    return !ascii && is_composed(text, bytes) && code_points_hold(&l) &&
           (!is_right_to_left(&l) || bidi_holds(&l)) && punycode_length(&l) == n - 4;
}

bool idn_order_holds(const char *name, size_t n)
{
    struct label l = {.n = 0};
    for (size_t i = 0; i < n;) {
        uint32_t c;
        int k = utf8_decode(name + i, n - i, &c);
        if (!k) return false;
        i += (size_t)k;
        if (c == '.' || c == 0x3002 || c == 0xff0e || c == 0xff61) {
            if (!bidi_holds(&l)) return false;
            l.n = 0;
        } else if (l.n < LABEL_MAX) {
            l.c[l.n++] = c;
        }
    }
    return bidi_holds(&l);
}
