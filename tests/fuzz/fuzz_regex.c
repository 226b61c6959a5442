// libs: engine PkgConfig::PCRE2
// The first line is a pattern, the rest a string: the pattern compiles or is refused within its
// caps, the automaton reads the string byte by byte as it judges it whole, never runs into a dead
// end that it promised a way out of, and where PCRE2 means the same by the pattern, agrees with it.
#define PCRE2_CODE_UNIT_WIDTH 8
#include "base/utf8.h"
#include "engine/lex.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(bool holds, const char *what, const char *pattern, size_t n)
{
    if (holds) return;
    fprintf(stderr, "%s: /%.*s/\n", what, (int)n, pattern);
    abort();
}

static bool contains(const char *text, size_t n, const char *what)
{
    return memmem(text, n, what, strlen(what)) != NULL;
}

// Do both dialects mean the same by this pattern, on this string?
static bool is_common(const char *p, size_t n, const char *text, size_t len)
{
    static const char *const other[] = {"[]", "\\p", "\\P", "[:", "[.", "[=", "\\c", "(?P"};
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        if (contains(p, n, other[i])) return false;
    bool plain = !contains(text, len, "\r");
    for (size_t i = 0; i < len; i++) plain = plain && (uint8_t)text[i] < 0x80;
    return plain || !(contains(p, n, ".") || contains(p, n, "\\s") || contains(p, n, "\\S"));
}

// 1 or 0, or -1 where PCRE2 does not say.
static int pcre2_says(const char *pattern, size_t n, const char *text, size_t len)
{
    int code;
    size_t at;
    pcre2_compile_context *c = pcre2_compile_context_create(NULL);
    pcre2_set_compile_extra_options(c, PCRE2_EXTRA_ALT_BSUX);
    pcre2_code *re =
        pcre2_compile((PCRE2_SPTR)pattern, n,
                      PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_ALLOW_EMPTY_CLASS, &code, &at, c);
    pcre2_compile_context_free(c);
    if (!re) return -1;
    pcre2_match_context *limits = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(limits, 100000);
    pcre2_match_data *m = pcre2_match_data_create(1, NULL);
    int rc = pcre2_match(re, (PCRE2_SPTR)text, len, 0, 0, m, limits);
    pcre2_match_data_free(m);
    pcre2_match_context_free(limits);
    pcre2_code_free(re);
    return rc >= 0 ? 1 : rc == PCRE2_ERROR_NOMATCH ? 0 : -1;
}

static lex_state read_string(lex *x, lex_state s, const char *text, size_t n, const char *pattern,
                             size_t len)
{
    for (size_t i = 0; i < n && s; i++) {
        char bytes[8];
        uint8_t c = (uint8_t)text[i];
        bool escaped = c < 0x20 || c == '"' || c == '\\';
        size_t m = escaped ? (size_t)snprintf(bytes, sizeof bytes, "\\u%04x", c) : 1;
        if (!escaped) bytes[0] = (char)c;
        for (size_t k = 0; k < m && s; k++) {
            lex_state next = lex_step(x, s, (uint8_t)bytes[k]);
            check(next == LEX_DEAD || lex_rest(x, next) + 1 >= lex_rest(x, s), "rest", pattern,
                  len);
            s = next;
        }
    }
    return s;
}

static void check_finish(lex *x, lex_state s, const char *pattern, size_t n)
{
    for (uint32_t rest = lex_rest(x, s); rest > 0 && rest < 200; rest--) {
        lex_state next = LEX_DEAD;
        for (int c = 0; c < 256 && !next; c++) {
            lex_state to = lex_step(x, s, (uint8_t)c);
            if (to && lex_rest(x, to) == rest - 1) next = to;
        }
        check(next != LEX_DEAD, "no finish", pattern, n);
        s = next;
    }
}

static void judge(const char *pattern, size_t n, const char *text, size_t len)
{
    err e = {0};
    lex *x = lex_new(ESCAPES_ANY);
    lex_lang a = lex_regex(x, pattern, n, &e);
    if (a != LEX_FAILED && lex_prepare(x, a, &e) == 0) {
        bool has = lex_has(x, a, text, len);
        lex_state s = read_string(x, lex_start(x, a), text, len, pattern, n);
        check(lex_accepts(x, s) == has, "bytes and characters differ", pattern, n);
        if (s) check_finish(x, s, pattern, n);
        int other = is_common(pattern, n, text, len) ? pcre2_says(pattern, n, text, len) : -1;
        check(other < 0 || other == has, "PCRE2 differs", pattern, n);
        lex_lang not = lex_not(x, a);
        if (not != LEX_FAILED && lex_prepare(x, not, &e) == 0)
            check(lex_has(x, not, text, len) == !has, "complement", pattern, n);
    } else {
        check(e.code == ERR_INPUT && e.msg[0], "refused without a reason", pattern, n);
    }
    lex_free(x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *text = memchr(data, '\n', n);
    if (!text || n > 400) return 0;
    size_t len = (size_t)(text - (const char *)data), rest = n - len - 1;
    judge((const char *)data, len, text + 1, utf8_valid_prefix(text + 1, rest));
    return 0;
}
