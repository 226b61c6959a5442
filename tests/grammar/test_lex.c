// Languages of strings and numbers against oracles that share nothing with them: every string over
// a small alphabet is judged by plain evaluation of the same and/or/not tree, and the automaton
// must say the same about membership, dead ends, the shortest finish and the number of texts. If
// this fails, the decoder lets wrong strings through, or gets stuck in one.
#include "test.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include "base/buf.h"
#include "base/rng.h"
#include "engine/lex.h"

#include <pcre2.h>

// ---- strings: a tree of languages beside its plain meaning ----

#define N_CHAR  8
#define LEN_MAX 4
#define N_TEXT  4681 // 1 + 8 + 64 + 512 + 4096

// The last three stand for every word character, end of line, and other character that no language
// here tells apart from them.
static const char *const character[N_CHAR] = {"a", "b",  "\xc3\xa9", "\n", "\xf0\x9f\x98\x80",
                                              "z", "\r", " "};
static const uint32_t cost[N_CHAR] = {1, 1, 2, 2, 4, 1, 2, 1};
enum { OTHER_WORD = 5, OTHER_END, OTHER };

struct text {
    uint8_t n, at[LEN_MAX];
    char bytes[4 * LEN_MAX + 1];
    size_t len;
};
static struct text texts[N_TEXT];

static void make_texts(void)
{
    size_t n = 1, from = 0;
    for (int len = 1; len <= LEN_MAX; len++) {
        size_t end = n;
        for (; from < end; from++) {
            for (uint8_t c = 0; c < N_CHAR; c++) {
                struct text t = texts[from];
                t.at[t.n++] = c;
                t.len += (size_t)sprintf(t.bytes + t.len, "%s", character[c]);
                texts[n++] = t;
            }
        }
    }
    assert_int_equal(n, N_TEXT);
}

struct tree {
    lex_lang lang;
    bool has[N_TEXT];
};

static void leaf_words(lex *x, rng *r, struct tree *t)
{
    const char *word[5];
    size_t len[5], n = rng_below(r, 5);
    memset(t->has, 0, sizeof t->has);
    for (size_t i = 0; i < n; i++) {
        size_t k = rng_below(r, rng_below(r, 2) ? 73 : N_TEXT);
        while (strpbrk(texts[k].bytes, "z\r ")) k--; // they stand for others too
        word[i] = texts[k].bytes;
        len[i] = texts[k].len;
        t->has[k] = true;
    }
    t->lang = lex_words(x, word, len, n);
}

static void leaf_length(lex *x, rng *r, struct tree *t)
{
    uint64_t min = rng_below(r, 4), max = rng_below(r, 3) ? min + rng_below(r, 3) : UINT64_MAX;
    for (int i = 0; i < N_TEXT; i++) t->has[i] = texts[i].n >= min && texts[i].n <= max;
    t->lang = lex_length(x, min, max);
}

// ---- patterns: PCRE2 is the slow twin ----

static void random_pattern(rng *r, int depth, buf *b)
{
    static const char *const atom[] = {
        "a",   "b",   "\xc3\xa9", "\xf0\x9f\x98\x80", ".",       "[ab]", "[^a]",
        "\\w", "\\W", "[^]",      "[\\w\n]",          "\\u0061", "\\x62"};
    static const char *const open[] = {"(", "(?:", "(?=", "(?!", "(?<n>"};
    static const char *const look[] = {"^", "$", "\\b", "\\B"};
    static const char *const often[] = {"*",     "+",    "?",  "{2}",   "{1,2}",
                                        "{0,3}", "{1,}", "*?", "{2,3}?"};
    uint64_t n = 1 + rng_below(r, 3);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t kind = rng_below(r, depth ? 10 : 6);
        if (kind == 0) {
            buf_str(b, look[rng_below(r, 4)]);
            continue;
        }
        if (kind == 9) {
            random_pattern(r, depth - 1, b);
            buf_str(b, "|");
            continue;
        }
        if (kind >= 6) {
            uint64_t which = rng_below(r, 5);
            if (which == 4 && strstr(buf_text(b), "<n>")) which = 0;
            buf_str(b, open[which]);
            random_pattern(r, depth - 1, b);
            buf_str(b, ")");
        } else {
            buf_str(b, atom[rng_below(r, sizeof atom / sizeof *atom)]);
        }
        if (rng_below(r, 3) == 0) buf_str(b, often[rng_below(r, sizeof often / sizeof *often)]);
    }
}

static bool leaf_regex(lex *x, rng *r, struct tree *t)
{
    buf b = buf_new(200);
    err e = {0};
    size_t at;
    int code;
    random_pattern(r, 2, &b);
    if (b.full || b.n > 60) {
        buf_free(&b);
        return false;
    }
    pcre2_compile_context *c = pcre2_compile_context_create(NULL);
    pcre2_set_compile_extra_options(c, PCRE2_EXTRA_ALT_BSUX);
    buf dots = buf_new(1000); // to PCRE2, `.` would be everything but \n
    for (size_t i = 0; i < b.n; i++)
        if (b.p[i] == '.')
            buf_str(&dots, "[^\\n\\r]");
        else
            buf_byte(&dots, b.p[i]);
    pcre2_code *re =
        pcre2_compile((PCRE2_SPTR)dots.p, dots.n,
                      PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_ALLOW_EMPTY_CLASS, &code, &at, c);
    if (!re) fail_msg("PCRE2 refuses %s", buf_text(&b));
    t->lang = lex_regex(x, b.p, b.n, &e);
    if (t->lang == LEX_FAILED) fail_msg("%s: %s", buf_text(&b), e.msg);
    pcre2_match_data *m = pcre2_match_data_create_from_pattern(re, NULL);
    for (int i = 0; i < N_TEXT; i++) {
        t->has[i] = pcre2_match(re, (PCRE2_SPTR)texts[i].bytes, texts[i].len, 0, 0, m, NULL) >= 0;
        if (t->has[i] != lex_has(x, t->lang, texts[i].bytes, texts[i].len))
            fail_msg("/%s/ on <%s>: PCRE2 says %d", buf_text(&b), texts[i].bytes, t->has[i]);
    }
    pcre2_match_data_free(m);
    pcre2_code_free(re);
    pcre2_compile_context_free(c);
    buf_free(&b);
    buf_free(&dots);
    return true;
}

static void make_tree(lex *x, rng *r, int depth, struct tree *t)
{
    if (depth == 0 || rng_below(r, 4) == 0) {
        uint64_t kind = rng_below(r, 4);
        if (kind == 0)
            leaf_words(x, r, t);
        else if (kind == 1 || !leaf_regex(x, r, t))
            leaf_length(x, r, t);
        return;
    }
    struct tree other;
    uint64_t op = rng_below(r, 3);
    make_tree(x, r, depth - 1, t);
    if (op == 0) {
        t->lang = lex_not(x, t->lang);
        for (int i = 0; i < N_TEXT; i++) t->has[i] = !t->has[i];
        return;
    }
    make_tree(x, r, depth - 1, &other);
    t->lang = op == 1 ? lex_and(x, t->lang, other.lang) : lex_or(x, t->lang, other.lang);
    for (int i = 0; i < N_TEXT; i++)
        t->has[i] = op == 1 ? t->has[i] && other.has[i] : t->has[i] || other.has[i];
}

// One of the ways to write a character in a JSON string.
static size_t spell(rng *r, uint8_t c, char *out)
{
    static const char *const other[N_CHAR][2] = {{"\\u0061", "a"},
                                                 {"\\u0062", "b"},
                                                 {"\\u00E9", "\\u00e9"},
                                                 {"\\n", "\\u000a"},
                                                 {"\\ud83d\\uDE00", "\xf0\x9f\x98\x80"},
                                                 {"z", "\\u007A"},
                                                 {"\\r", "\\u000D"},
                                                 {" ", "\\u0020"}};
    uint64_t how = rng_below(r, 3);
    return (size_t)sprintf(out, "%s",
                           how == 2 && c != 3 && c != OTHER_END ? character[c] : other[c][how % 2]);
}

static bool begins(const struct text *t, const struct text *with)
{
    return t->n >= with->n && memcmp(t->at, with->at, with->n) == 0;
}

#define UNSURE (LEX_MANY - 1)
struct expected {
    uint32_t rest, count;
};

static struct expected expect_after(const struct tree *t, const struct text *prefix)
{
    struct expected e = {UINT32_MAX, 0};
    bool unsure = false;
    for (int i = 0; i < N_TEXT; i++) {
        if (!t->has[i] || !begins(&texts[i], prefix)) continue;
        uint32_t rest = 0;
        bool many = false;
        for (uint8_t k = prefix->n; k < texts[i].n; k++) {
            rest += cost[texts[i].at[k]];
            many = many || texts[i].at[k] == OTHER;
            unsure = unsure || texts[i].at[k] == OTHER_END || texts[i].at[k] == OTHER_WORD;
        }
        if (rest < e.rest) e.rest = rest;
        e.count = many || e.count == LEX_MANY ? LEX_MANY : e.count + 1;
    }
    if (unsure && e.count != LEX_MANY) e.count = UNSURE;
    return e;
}

// The state that a spelling of the text leads to; on the way a finish must never be out of reach.
static lex_state walk(lex *x, lex_lang a, const struct text *t, rng *r)
{
    lex_state s = lex_start(x, a);
    for (uint8_t i = 0; i < t->n; i++) {
        char bytes[16];
        size_t n = spell(r, t->at[i], bytes);
        for (size_t k = 0; k < n; k++) {
            lex_state next = lex_step(x, s, (uint8_t)bytes[k]);
            if (next != LEX_DEAD) assert_true(lex_rest(x, next) + 1 >= lex_rest(x, s));
            s = next;
        }
    }
    return s;
}

static void check_tree(lex *x, const struct tree *t, rng *r)
{
    err e = {0};
    assert_int_not_equal(t->lang, LEX_FAILED);
    assert_int_equal(lex_prepare(x, t->lang, &e), 0);
    for (int i = 0; i < N_TEXT; i++) {
        lex_state s = walk(x, t->lang, &texts[i], r);
        assert_int_equal(lex_has(x, t->lang, texts[i].bytes, texts[i].len), t->has[i]);
        assert_int_equal(lex_accepts(x, s), t->has[i]);
        if (texts[i].n > 1 && rng_below(r, 10)) continue;
        struct expected want = expect_after(t, &texts[i]);
        assert_int_equal(lex_rest(x, s), want.rest);
        assert_int_equal(s == LEX_DEAD, want.rest == UINT32_MAX);
        if (want.count != UNSURE) assert_int_equal(lex_count(x, s), want.count);
    }
}

static void strings(void **state)
{
    (void)state;
    rng r = rng_seed(14);
    make_texts();
    for (int i = 0; i < 300; i++) {
        lex *x = lex_new(ESCAPES_ANY);
        struct tree t;
        make_tree(x, &r, 3, &t);
        // Bounded by what the oracle can see.
        t.lang = lex_and(x, t.lang, lex_length(x, 0, LEN_MAX));
        check_tree(x, &t, &r);
        lex_free(x);
    }
}

static bool reads(lex *x, lex_lang a, const char *text)
{
    lex_state s = lex_start(x, a);
    for (; *text; text++) s = lex_step(x, s, (uint8_t)*text);
    return lex_accepts(x, s);
}

static void escapes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool any, minimal;
    } row[] = {
        {"plain", true, true},
        {"\\n\\r\\t\\b\\f\\\"\\\\", true, true},
        {"\\/", true, false},
        {"/", true, true},
        {"\\u0041", true, false},
        {"\\u001f", true, true},
        {"\\u001F", true, false},
        {"\\u000a", true, false},
        {"\\u0000", true, true},
        {"\x7f", true, true},
        {"\n", false, false},
        {"\x01", false, false},
        {"\\x", false, false},
        {"\\u12g4", false, false},
        {"\\ud800", false, false},
        {"\\udc00", false, false},
        {"\\ud83d\\ude00", true, false},
        {"\\ud83d\\ud83d", false, false},
        {"\\ud83dx", false, false},
        {"\xf0\x9f\x98\x80", true, true},
        {"\xc3\xa9", true, true},
        {"\xc3", false, false},
        {"\xc0\xaf", false, false},
        {"\xe0\x80\x80", false, false},
        {"\xed\xa0\x80", false, false},
        {"\xed\x9f\xbf", true, true},
        {"\xf4\x8f\xbf\xbf", true, true},
        {"\xf4\x90\x80\x80", false, false},
        {"\xf0\x80\x80\x80", false, false},
        {"\xff", false, false},
        {"\\", false, false},
        {"\\u00", false, false},
    };
    for (int minimal = 0; minimal < 2; minimal++) {
        lex *x = lex_new(minimal ? ESCAPES_MINIMAL : ESCAPES_ANY);
        for (size_t i = 0; i < sizeof row / sizeof *row; i++)
            if (reads(x, LEX_ANY_STRING, row[i].text) != (minimal ? row[i].minimal : row[i].any))
                fail_msg("escape row %zu, minimal %d", i, minimal);
        lex_free(x);
    }
}

// Whatever is read one byte at a time into an unescaped string must be what the escape layer says.
static void free_strings_and_words(void **state)
{
    (void)state;
    static const char *const word[] = {"red",
                                       "r\xc3\xa9"
                                       "d",
                                       "green", "", "re"};
    static const size_t len[] = {3, 4, 5, 0, 2};
    lex *x = lex_new(ESCAPES_ANY);
    uint32_t lo, hi;
    lex_lang words = lex_words(x, word, len, 5), longish = lex_length(x, 3, UINT64_C(2000000000));
    lex_state s = lex_start(x, words);
    assert_true(lex_words_range(x, s, &lo, &hi) && lo == 0 && hi == 5 && lex_accepts(x, s));
    s = lex_step(x, s, 'r'); // "", green, re, red, réd
    assert_true(lex_words_range(x, s, &lo, &hi) && lo == 2 && hi == 5 && !lex_accepts(x, s));
    assert_int_equal(lex_count(x, s), 3);
    lex_state escape = lex_step(x, lex_step(x, s, '\\'), 'u');
    assert_true(lex_words_range(x, escape, &lo, &hi) && lo == 2 && hi == 5);
    s = lex_step(x, lex_step(x, s, 0xc3), 0xa9);
    assert_true(lex_words_range(x, s, &lo, &hi) && lo == 4 && hi == 5 && !lex_accepts(x, s));
    assert_int_equal(lex_rest(x, s), 1);
    s = lex_start(x, longish);
    for (int i = 0; i < 1000; i++) s = lex_step(x, s, 'x');
    assert_true(lex_is_free(x, s, &lo, &hi) && lo == 0 && hi == 2000000000 - 1000);
    assert_true(lex_is_free(x, lex_start(x, LEX_ANY_STRING), &lo, &hi) && lo == 0);
    assert_int_equal(hi, UINT32_MAX);
    assert_false(lex_is_free(x, lex_step(x, lex_start(x, longish), 0xc3), &lo, &hi));
    assert_int_equal(lex_not(x, LEX_EMPTY), LEX_ANY_STRING);
    assert_int_equal(lex_and(x, words, lex_not(x, words)), LEX_EMPTY);
    lex_free(x);
}

// Patterns whose place and reason must be named, and forms that people write which must pass.
static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *why; // NULL: accepted
    } row[] = {
        {"(a)\\1", "back-references are not enforced"},
        {"(?<n>a)\\k<n>", "back-references are not enforced"},
        {"(?<=a)b", "look-behind"},
        {"(?i)a", "not of ECMA-262"},
        {"(?>a)", "not of ECMA-262"},
        {"\\Aa\\Z", "gives no meaning"},
        {"a++", "nothing to repeat"},
        {"*a", "nothing to repeat"},
        {"a{3,2}", "n is greater than m"},
        {"a{,3}", "engines differ"},
        {"[b-a]", "wrong order"},
        {"[a", "no ]"},
        {"(a", "no )"},
        {"a)", "without its ("},
        {"a\\", "backslash"},
        {"\\p{Script=Greek}", "no scripts"},
        {"\\x4", "two hex digits"},
        {"(((a{1,99}b){1,99}c){1,99}d|(e{1,99}){2}){1,99}", NULL},
        {"^\\-\\_\\@\\/[\\w-.]+{x}]$", NULL},
        {"^\\u{1F600}\\ud83d\\ude00\\cJ\\0$", NULL},
        {"^\\p{Lu}\\P{L}[\\p{Nd}_]$", NULL},
        {"(?P<year>\\d{4})", NULL},
        {"^.{0,25000}$", NULL},
        {"^.{0,1000000}$", "25,000 times"},
        {"^.{25001,}$", "25,000 times"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        err e = {0};
        lex *x = lex_new(ESCAPES_ANY);
        lex_lang a = lex_regex(x, row[i].pattern, strlen(row[i].pattern), &e);
        if ((a == LEX_FAILED) != (row[i].why != NULL))
            fail_msg("/%s/: %s", row[i].pattern, a == LEX_FAILED ? e.msg : "accepted");
        if (row[i].why && !strstr(e.msg, row[i].why)) fail_msg("/%s/: %s", row[i].pattern, e.msg);
        lex_free(x);
    }
}

// Work is bounded: what would take a million states is refused, quickly and with its reason.
static void caps(void **state)
{
    (void)state;
    static const char *const pattern[] = {
        "^((a{0,300}b?){0,300}c?){0,300}$",
        "^(?!(a|b)*a(a|b){17}$)(a|b)*$",
        "^(?=.*a.{15}b)(?=.*b.{16}a)(?=.*c.{17}a).*$",
    };
    for (size_t i = 0; i < sizeof pattern / sizeof *pattern; i++) {
        err e = {0};
        lex *x = lex_new(ESCAPES_ANY);
        lex_lang a = lex_regex(x, pattern[i], strlen(pattern[i]), &e);
        assert_int_not_equal(a, LEX_FAILED);
        assert_int_equal(lex_prepare(x, a, &e), -1);
        assert_non_null(strstr(e.msg, "states"));
        assert_true(lex_bytes(x) < 200000000);
        lex_free(x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings),
        cmocka_unit_test(escapes),
        cmocka_unit_test(free_strings_and_words),
        cmocka_unit_test(refusals),
        cmocka_unit_test(caps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
