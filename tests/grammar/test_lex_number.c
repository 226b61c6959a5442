// Languages of numbers against exact arithmetic: random sets of values under and, or and not, every
// short text of a number judged by its value, and the automaton walked byte by byte. If this fails,
// the decoder writes numbers that a schema refuses, or cannot write one that it allows.
#include "test.h"

#include "base/rng.h"
#include "engine/lex.h"

#include <math.h>

typedef __int128 wide;
#define SCALE 100000000 // values are kept times this

// ---- texts and their values ----

struct text {
    char s[24];
    bool normal; // may be written in every set of values
    wide value;
    double about; // of those that are found by walking
};

static struct text *texts;
static size_t n_text;

static wide power(wide v, int e)
{
    for (; e > 0; e--) v *= 10;
    for (; e < 0; e++) v /= 10;
    return v;
}

static void add_text(const char *sign, const char *whole, const char *frac, const char *e, int exp)
{
    struct text t = {.normal = !*e || (strlen(whole) == 1 && *whole != '0')};
    sprintf(t.s, "%s%s%s%s%s", sign, whole, *frac ? "." : "", frac, e);
    for (const char *c = whole; *c; c++) t.value = t.value * 10 + (*c - '0') * (wide)SCALE;
    wide unit = SCALE;
    for (const char *c = frac; *c; c++) t.value += (*c - '0') * (unit /= 10);
    t.value = power(t.value, exp) * (*sign ? -1 : 1);
    t.normal = t.normal || t.value == 0;
    texts[n_text++] = t;
}

static void make_texts(void)
{
    static const char *const sign[] = {"", "-"};
    static const char *const whole[] = {"0", "1",  "2",  "3",  "4",  "5",  "6",   "7",   "8",
                                        "9", "10", "12", "15", "20", "25", "100", "101", "250"};
    static const char *const frac[] = {"", "0", "1", "5", "00", "05", "25", "50", "99", "001"};
    static const struct {
        const char *s;
        int exp;
    } e[] = {{"", 0}, {"e0", 0}, {"E+1", 1}, {"e1", 1}, {"e02", 2}, {"e-1", -1}, {"e-02", -2}};
    texts = calloc(2 * 18 * 10 * 7, sizeof *texts);
    for (int a = 0; a < 2; a++)
        for (int b = 0; b < 18; b++)
            for (int c = 0; c < 10; c++)
                for (int d = 0; d < 7; d++) add_text(sign[a], whole[b], frac[c], e[d].s, e[d].exp);
}

// ---- sets ----

struct tree {
    lex_lang lang;
    bool *has; // [n_text]
};

static const char *const bounds[] = {"0",   "1",    "-1",   "2",    "5",   "7.5",  "10",  "-10",
                                     "0.1", "12",   "100",  "250",  "1e2", "0.25", "9.9", "-5",
                                     "4.0", "1e-2", "0.05", "20.0", "101", "-0",   "15",  "99.5"};
static const char *const divisors[] = {"1",   "2",   "3",    "5",    "10",
                                       "0.5", "0.1", "0.01", "0.25", "2.5"};

static wide value_of(const char *s)
{
    return (wide)llround(strtod(s, NULL) * SCALE); // short decimals: exact after rounding
}

static void make_leaf(lex *x, rng *r, struct tree *t)
{
    err e = {0};
    const char *s = bounds[rng_below(r, sizeof bounds / sizeof *bounds)];
    const char *d = divisors[rng_below(r, sizeof divisors / sizeof *divisors)];
    uint64_t kind = rng_below(r, 7);
    wide bound = value_of(s), unit = value_of(d);
    bool exclusive = rng_below(r, 2);
    t->lang = kind == 0   ? lex_at_least(x, s, exclusive, &e)
              : kind == 1 ? lex_at_most(x, s, exclusive, &e)
              : kind == 2 ? lex_number(x, s, &e)
              : kind == 3 ? lex_integer(x)
              : kind == 4 ? lex_plain_integer(x)
                          : lex_multiple(x, d, &e);
    for (size_t i = 0; i < n_text; i++) {
        wide v = texts[i].value;
        t->has[i] = kind == 0   ? (exclusive ? v > bound : v >= bound)
                    : kind == 1 ? (exclusive ? v < bound : v <= bound)
                    : kind == 2 ? v == bound
                    : kind == 3 ? v % SCALE == 0
                    : kind == 4 ? v % SCALE == 0 && !strpbrk(texts[i].s, ".eE")
                                : v % unit == 0;
    }
}

static void make_tree(lex *x, rng *r, int depth, struct tree *t)
{
    if (depth == 0 || rng_below(r, 5) == 0) {
        make_leaf(x, r, t);
        return;
    }
    uint64_t op = rng_below(r, 4);
    make_tree(x, r, depth - 1, t);
    if (op == 0) {
        t->lang = lex_not(x, t->lang);
        for (size_t i = 0; i < n_text; i++) t->has[i] = !t->has[i];
        return;
    }
    struct tree other = {.has = calloc(n_text, 1)};
    make_tree(x, r, depth - 1, &other);
    t->lang = op == 1 ? lex_or(x, t->lang, other.lang) : lex_and(x, t->lang, other.lang);
    for (size_t i = 0; i < n_text; i++)
        t->has[i] = op == 1 ? t->has[i] || other.has[i] : t->has[i] && other.has[i];
    free(other.has);
}

// ---- checks ----

static lex_state walk(lex *x, lex_state s, const char *text)
{
    for (; *text; text++) s = lex_step(x, s, (uint8_t)*text);
    return s;
}

// The bytes that lex_rest promises do lead to an end.
static void check_finish(lex *x, lex_state s)
{
    for (uint32_t rest = lex_rest(x, s); rest > 0; rest--) {
        assert_true(rest < 400);
        lex_state next = LEX_DEAD;
        for (int c = 0; c < 256 && !next; c++) {
            lex_state to = lex_step(x, s, (uint8_t)c);
            assert_true(to == LEX_DEAD || lex_rest(x, to) + 1 >= rest);
            if (to && lex_rest(x, to) == rest - 1) next = to;
        }
        assert_int_not_equal(next, LEX_DEAD);
        s = next;
    }
    assert_true(lex_accepts(x, s));
}

static void check_texts(lex *x, const struct tree *t)
{
    for (size_t i = 0; i < n_text; i++) {
        const struct text *p = &texts[i];
        bool minus_zero = p->s[0] == '-' && p->value == 0;
        assert_int_equal(lex_has(x, t->lang, p->s, strlen(p->s)), t->has[i]);
        bool accepts = lex_accepts(x, walk(x, lex_start(x, t->lang), p->s));
        if (accepts && !t->has[i]) fail_msg("%s is accepted", p->s);
        if (!accepts && t->has[i] && p->normal && !minus_zero) fail_msg("%s is refused", p->s);
    }
}

static int by_value(const void *a, const void *b)
{
    const struct text *p = a, *q = b;
    return (p->about > q->about) - (p->about < q->about);
}

#define CONTINUATIONS 30000

// Every accepted text that goes on from s with at most `more` bytes.
static void continuations(lex *x, lex_state s, const char *text, int more, struct text *out,
                          size_t *n)
{
    if (*n == CONTINUATIONS) return;
    if (lex_accepts(x, s)) {
        snprintf(out[*n].s, sizeof out->s, "%s", text);
        out[(*n)++].about = strtod(text, NULL);
    }
    for (const char *c = "0123456789.-eE+"; *c && more > 0; c++) {
        char next[32];
        lex_state to = lex_step(x, s, (uint8_t)*c);
        snprintf(next, sizeof next, "%s%c", text, *c);
        if (to) continuations(x, to, next, more - 1, out, n);
    }
}

// Of a set of few values: the distinct values that texts of up to 9 bytes have.
static void check_count(lex *x, lex_state s, const char *text)
{
    uint32_t count = lex_count(x, s);
    if (s == LEX_DEAD || count > 12) return;
    struct text *all = calloc(CONTINUATIONS, sizeof *all);
    size_t n = 0, distinct = 0;
    continuations(x, s, text, (int)(9 - strlen(text)), all, &n);
    qsort(all, n, sizeof *all, by_value);
    for (size_t i = 0; i < n; i++) distinct += i == 0 || all[i].about != all[i - 1].about;
    if (n < CONTINUATIONS && distinct != count)
        fail_msg("after '%s': %zu values, but the count is %u", text, distinct, count);
    free(all);
}

static void check_prefixes(lex *x, const struct tree *t, rng *r)
{
    check_count(x, lex_start(x, t->lang), "");
    for (int k = 0; k < 40; k++) {
        char prefix[16];
        const struct text *p = &texts[rng_below(r, n_text)];
        snprintf(prefix, 1 + rng_below(r, strlen(p->s) + 1), "%s", p->s);
        lex_state s = walk(x, lex_start(x, t->lang), prefix);
        if (s) check_finish(x, s);
        if (k < 8 && strlen(prefix) < 5) check_count(x, s, prefix);
        for (size_t i = 0; i < n_text && s == LEX_DEAD; i++) {
            bool minus_zero = texts[i].s[0] == '-' && texts[i].value == 0;
            if (t->has[i] && texts[i].normal && !minus_zero &&
                strncmp(texts[i].s, prefix, strlen(prefix)) == 0)
                fail_msg("nothing may follow %s, but %s is a value", prefix, texts[i].s);
        }
    }
}

static void sets(void **state)
{
    (void)state;
    rng r = rng_seed(7);
    make_texts();
    for (int i = 0; i < 250; i++) {
        lex *x = lex_new(ESCAPES_ANY);
        err e = {0};
        struct tree t = {.has = calloc(n_text, 1)};
        make_tree(x, &r, 3, &t);
        assert_int_not_equal(t.lang, LEX_FAILED);
        if (lex_prepare(x, t.lang, &e) < 0) fail_msg("%s", e.msg);
        check_texts(x, &t);
        check_prefixes(x, &t, &r);
        bool some = false;
        for (size_t k = 0; k < n_text; k++) some = some || t.has[k];
        if (lex_is_empty(x, t.lang)) assert_false(some);
        free(t.has);
        lex_free(x);
    }
    free(texts);
}

static bool reads(lex *x, lex_lang a, const char *text)
{
    return lex_accepts(x, walk(x, lex_start(x, a), text));
}

// What is not written although its decimal value belongs to the set, and what must be.
static void spellings(void **state)
{
    (void)state;
    err e;
    lex *x = lex_new(ESCAPES_ANY);
    lex_lang above = lex_at_least(x, "0.1", true, &e), whole = lex_integer(x);
    lex_lang range = lex_and(
        x, whole, lex_and(x, lex_at_least(x, "1", false, &e), lex_at_most(x, "5", false, &e)));
    lex_lang large = lex_at_least(x, "1e30", false, &e),
             id = lex_number(x, "12345678901234567890", &e);
    lex_lang plain = lex_plain_integer(x), half = lex_number(x, "2.5", &e);
    lex_lang mixed = lex_or(x, plain, half), rest = lex_not(x, plain);
    lex_lang tiny = lex_at_least(x, "0", true, &e), cents = lex_multiple(x, "0.01", &e);
    assert_false(reads(x, above, "0.1000000000000000000001")); // rounds onto the bound
    assert_false(reads(x, above, "0.1000000000000000001"));
    assert_true(reads(x, above, "0.100000000000001"));
    assert_true(reads(x, above, "1e-00"));
    assert_true(reads(x, tiny, "1e-300"));
    assert_true(reads(x, tiny, "2.5e-07"));
    assert_true(reads(x, tiny, "1e-06"));
    assert_false(reads(x, tiny, "1e-400")); // a double reads 0
    assert_false(reads(x, tiny, "0.000"));
    assert_false(reads(x, LEX_ANY_NUMBER, "1e400")); // a double reads infinity
    assert_true(reads(x, LEX_ANY_NUMBER, "123.25E+10"));
    assert_true(reads(x, LEX_ANY_NUMBER, "-0.0"));
    assert_false(reads(x, LEX_ANY_NUMBER, "01"));
    assert_false(reads(x, LEX_ANY_NUMBER, ".5"));
    assert_false(reads(x, LEX_ANY_NUMBER, "1."));
    assert_false(reads(x, LEX_ANY_NUMBER, "+1"));
    assert_true(reads(x, large, "1e30"));
    assert_true(reads(x, large, "1000000000000000000000000000000"));
    assert_false(reads(x, large, "999999999999999999999999999999"));
    assert_true(reads(x, id, "12345678901234567890"));
    assert_false(reads(x, id, "12345678901234567891"));
    assert_true(reads(x, whole, "600.0"));
    assert_true(reads(x, whole, "100e-2"));
    assert_false(reads(x, whole, "105e-2"));
    assert_true(reads(x, plain, "600"));
    assert_false(reads(x, plain, "600.0"));
    assert_false(reads(x, plain, "6e2"));
    assert_true(reads(x, mixed, "2"));
    assert_true(reads(x, mixed, "2.50"));
    assert_false(reads(x, mixed, "2.0"));
    assert_true(reads(x, rest, "2.0"));
    assert_false(reads(x, rest, "2"));
    assert_int_equal(lex_or(x, plain, rest), LEX_ANY_NUMBER);
    assert_int_equal(lex_and(x, plain, whole), plain);
    assert_int_equal(lex_rest(x, walk(x, lex_start(x, lex_and(x, plain, large)), "1")), 30);
    assert_true(reads(x, cents, "1.50"));
    assert_true(reads(x, cents, "1e+16"));
    assert_true(reads(x, cents, "1.500000"));
    assert_false(reads(x, cents, "1.505"));
    assert_int_equal(lex_count(x, lex_start(x, range)), 5);
    assert_int_equal(lex_count(x, walk(x, lex_start(x, range), "4")), 1);
    assert_int_equal(lex_count(x, lex_start(x, whole)), LEX_MANY);
    assert_int_equal(lex_not(x, LEX_NO_NUMBER), LEX_ANY_NUMBER);
    assert_int_equal(lex_and(x, range, lex_not(x, range)), LEX_NO_NUMBER);
    assert_int_equal(lex_or(x, range, lex_not(x, range)), LEX_ANY_NUMBER);
    assert_int_equal(lex_and(x, whole, lex_multiple(x, "5", &e)), lex_multiple(x, "5.0", &e));
    assert_int_equal(lex_multiple(x, "0.123456789", &e), LEX_FAILED);
    assert_int_equal(lex_multiple(x, "0", &e), LEX_FAILED);
    lex_free(x);
}

// Whatever is accepted beside a bound keeps it after a double was made of both.
static void doubles(void **state)
{
    (void)state;
    rng r = rng_seed(3);
    for (int i = 0; i < 300; i++) {
        err e;
        lex *x = lex_new(ESCAPES_ANY);
        char bound[40], text[60];
        int digits = 1 + (int)rng_below(&r, 17);
        double b = (rng_unit(&r) - 0.5) * pow(10, (double)rng_below(&r, 12) - 5);
        snprintf(bound, sizeof bound, "%.*g", digits, b);
        bool above = rng_below(&r, 2);
        lex_lang a = above ? lex_at_least(x, bound, true, &e) : lex_at_most(x, bound, true, &e);
        assert_int_equal(lex_prepare(x, a, &e), 0);
        int accepted = 0;
        for (int k = 0; k < 60; k++) {
            // From far away to the last digits that a number has.
            double near = strtod(bound, NULL) * (1 + (rng_unit(&r) - 0.5) * pow(10, -k / 3.0));
            snprintf(text, sizeof text, rng_below(&r, 2) ? "%.*f" : "%.*e", (int)rng_below(&r, 20),
                     near);
            if (!reads(x, a, text)) continue;
            accepted++;
            double v = strtod(text, NULL), limit = strtod(bound, NULL);
            if (above ? v <= limit : v >= limit) fail_msg("%s beside %s", text, bound);
        }
        assert_true(accepted > 0);
        lex_free(x);
    }
}

// Walks at random to the last digits that a number has: where the text may not end it goes on, and
// some byte brings the end nearer.
static void long_multiples(void **state)
{
    (void)state;
    static const char *const of[] = {"33", "11",      "7",     "0.03", "1.5",
                                     "97", "1000003", "0.007", "64"};
    rng r = rng_seed(11);
    int refused = 0;
    for (int i = 0; i < 60; i++) {
        err e = {0};
        lex *x = lex_new(ESCAPES_ANY);
        size_t n = sizeof of / sizeof of[0];
        lex_lang a = lex_multiple(x, of[rng_below(&r, n)], &e);
        if (rng_below(&r, 2)) a = lex_and(x, a, lex_at_least(x, "100", false, &e));
        if (rng_below(&r, 2)) a = lex_or(x, a, lex_multiple(x, of[rng_below(&r, n)], &e));
        if (lex_prepare(x, a, &e)) { // refused: too many numbers to look at
            refused++;
            lex_free(x);
            continue;
        }
        for (int k = 0; k < 60; k++) {
            char text[200];
            size_t at = 0;
            for (lex_state s = lex_start(x, a); at + 1 < sizeof text;) {
                uint32_t rest = lex_rest(x, s);
                char next[16];
                uint32_t n_next = 0, nearest = UINT32_MAX;
                for (const char *c = "0123456789.e-+"; *c; c++) {
                    lex_state to = lex_step(x, s, (uint8_t)*c);
                    if (to == LEX_DEAD) continue;
                    if (lex_rest(x, to) < nearest) nearest = lex_rest(x, to);
                    next[n_next++] = *c;
                }
                text[at] = 0;
                if (rest > 0 && nearest >= rest)
                    fail_msg("%s: %u bytes to the end, and %u from the best of %.*s", text, rest,
                             nearest, (int)n_next, next);
                if (n_next == 0) break;
                text[at] = next[rng_below(&r, n_next)];
                s = lex_step(x, s, (uint8_t)text[at++]);
            }
        }
        lex_free(x);
    }
    assert_in_range(refused, 0, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets),
        cmocka_unit_test(spellings),
        cmocka_unit_test(doubles),
        cmocka_unit_test(long_multiples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
