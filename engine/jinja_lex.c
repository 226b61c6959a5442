// Template text to tokens. The rules for white space are Jinja's: a minus sign in a tag eats all of
// it on that side, a plus sign keeps it; lstrip_blocks eats the spaces between the start of a line
// and a block or comment tag, trim_blocks the newline after one. An expression's end tag counts
// only where all brackets are closed, so that {{ {'a': {}} }} is one expression.
#include "base/utf8.h"
#include "engine/jinja_private.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct lexer {
    jrun *r;
    const char *s;
    size_t n, at;
    unsigned flags;
    struct jtoken *v;
    size_t n_token, cap;
    size_t line_at; // position up to which lines were counted
    int line;
    size_t line_start;
    bool line_starting; // what came before this position ended a line (or there was nothing)
};

static void locate(struct lexer *l, size_t at)
{
    for (; l->line_at < at; l->line_at++)
        if (l->s[l->line_at] == '\n') {
            l->line++;
            l->line_start = l->line_at + 1;
        }
    l->r->line = l->line;
    l->r->col = (int)(at - l->line_start) + 1;
}

static struct jtoken *emit(struct lexer *l, enum jtoken_kind kind, size_t from, size_t to)
{
    if (l->n_token == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 64;
        struct jtoken *v = jalloc(l->r, cap, sizeof *v);
        if (l->n_token) memcpy(v, l->v, l->n_token * sizeof *v);
        l->v = v;
        l->cap = cap;
    }
    locate(l, from);
    struct jtoken *t = &l->v[l->n_token++];
    *t = (struct jtoken){kind, l->r->line, l->r->col, l->s + from, to - from, {0}};
    return t;
}

static bool at_text(const struct lexer *l, size_t at, const char *text)
{
    size_t n = strlen(text);
    return l->n - at >= n && memcmp(l->s + at, text, n) == 0;
}

static size_t skip_space(const struct lexer *l, size_t at)
{
    uint32_t cp;
    int len;
    while (at < l->n && (len = utf8_decode(l->s + at, l->n - at, &cp)) > 0 && jspace(cp))
        at += (size_t)len;
    return at;
}

// Where the white space at the end of s[from..to) begins.
static size_t rstrip(const struct lexer *l, size_t from, size_t to)
{
    while (to > from) {
        size_t start = to - 1;
        while (start > from && ((unsigned char)l->s[start] & 0xc0) == 0x80) start--;
        uint32_t cp;
        if (utf8_decode(l->s + start, to - start, &cp) == 0 || !jspace(cp)) break;
        to = start;
    }
    return to;
}

// The end of the text before a tag at `to`, after the stripping that the tag asks for.
static size_t text_end(const struct lexer *l, size_t from, size_t to)
{
    char sign = to + 2 < l->n ? l->s[to + 2] : 0;
    if (sign == '-') return rstrip(l, from, to);
    if (sign == '+' || !(l->flags & JINJA_LSTRIP_BLOCKS) || l->s[to + 1] == '{') return to;
    size_t line = to;
    while (line > from && l->s[line - 1] != '\n') line--;
    if (line == from && !l->line_starting) return to;
    return rstrip(l, line, to) == line ? line : to;
}

// Moves past the end of a tag whose sign (0, '-' or '+') stood before it.
static void after_tag(struct lexer *l, size_t end, char sign, bool block)
{
    l->at = end;
    if (sign == '-')
        l->at = skip_space(l, end);
    else if (sign != '+' && block && (l->flags & JINJA_TRIM_BLOCKS) && at_text(l, end, "\n"))
        l->at = end + 1;
    l->line_starting = l->s[l->at - 1] == '\n';
}

// "%}" with an optional sign at `at`; its length, or 0.
static size_t tag_end(const struct lexer *l, size_t at, char close, char *sign)
{
    size_t n = 0;
    *sign = 0;
    if (at < l->n && (l->s[at] == '-' || (close != '}' && l->s[at] == '+'))) *sign = l->s[at + n++];
    return l->n - at >= n + 2 && l->s[at + n] == close && l->s[at + n + 1] == '}' ? n + 2 : 0;
}

static bool name_byte(unsigned char c, bool first)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (!first && c >= '0' && c <= '9');
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static uint32_t hex_number(struct lexer *l, size_t at, int digits)
{
    uint32_t v = 0;
    for (int i = 0; i < digits; i++) {
        int h = at + (size_t)i < l->n ? hex_digit(l->s[at + (size_t)i]) : -1;
        if (h < 0) {
            locate(l, at);
            jfail(l->r, "string escape with fewer than %d hexadecimal digits", digits);
        }
        v = v << 4 | (uint32_t)h;
    }
    return v;
}

// One backslash escape at `at` (the byte after the backslash); returns the position after it.
static size_t lex_escape(struct lexer *l, size_t at, struct jbuild *b)
{
    static const char from[] = "nrtabfv\\'\"", to[] = "\n\r\t\a\b\f\v\\'\"";
    char c = l->s[at];
    const char *known = c ? strchr(from, c) : NULL;
    if (known) {
        jadd_bytes(b, &to[known - from], 1, 1);
        return at + 1;
    }
    uint32_t cp;
    size_t end;
    if (c == '\n') return at + 1;
    if (c == 'x' || c == 'u' || c == 'U') {
        int digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        cp = hex_number(l, at + 1, digits);
        end = at + 1 + (size_t)digits;
    } else if (c >= '0' && c <= '7') {
        cp = 0;
        for (end = at; end < at + 3 && l->s[end] >= '0' && l->s[end] <= '7'; end++)
            cp = cp << 3 | (uint32_t)(l->s[end] - '0');
    } else if (c == 'N') {
        locate(l, at);
        jfail(l->r, "string escape \\N is not supported");
    } else { // Python keeps the backslash of an escape that it does not know
        jadd_bytes(b, "\\", 1, 1);
        return at;
    }
    char utf8[4];
    int n = utf8_put(cp, utf8);
    if (n == 0) {
        locate(l, at);
        jfail(l->r, "string escape that is no character");
    }
    jadd_bytes(b, utf8, (size_t)n, 1);
    return end;
}

static void lex_string(struct lexer *l)
{
    size_t from = l->at, at = from + 1;
    struct jbuild b = {.r = l->r};
    for (;;) {
        if (at >= l->n || (l->s[at] == '\\' && at + 1 >= l->n)) {
            locate(l, from);
            jfail(l->r, "string without its closing quote");
        }
        if (l->s[at] == l->s[from]) break;
        if (l->s[at] == '\\')
            at = lex_escape(l, at + 1, &b);
        else
            jadd_bytes(&b, l->s + at++, 1, 1);
    }
    l->at = at + 1;
    emit(l, T_STR, from, l->at)->value = jdone(&b);
}

// Copies digits (with single underscores between them) of the base to out; the end position.
static size_t digits(const struct lexer *l, size_t at, int base, char *out, size_t *n, size_t cap)
{
    for (;;) {
        size_t next = at + (*n > 0 && at < l->n && l->s[at] == '_');
        int h = next < l->n ? hex_digit(l->s[next]) : -1;
        if (h < 0 || h >= base || *n + 1 >= cap) return at;
        out[(*n)++] = l->s[next];
        at = next + 1;
    }
}

static void lex_number(struct lexer *l)
{
    char text[400];
    size_t from = l->at, at = from, n = 0;
    static const struct {
        const char *lower, *upper;
        int base;
    } prefixes[] = {{"0x", "0X", 16}, {"0o", "0O", 8}, {"0b", "0B", 2}};
    int base = 10;
    for (size_t i = 0; i < 3; i++)
        if (at_text(l, at, prefixes[i].lower) || at_text(l, at, prefixes[i].upper))
            base = prefixes[i].base;
    at = digits(l, at + (base == 10 ? 0 : 2), base, text, &n, sizeof text);
    size_t n_int = n;
    bool real = false;
    if (base == 10 && at + 1 < l->n && l->s[at] == '.' && hex_digit(l->s[at + 1]) >= 0 &&
        hex_digit(l->s[at + 1]) < 10) {
        real = true;
        text[n++] = '.';
        at = digits(l, at + 1, 10, text, &n, sizeof text - 8);
    }
    if (base == 10 && at < l->n && (l->s[at] | 32) == 'e') {
        size_t d = at + 1 + (at + 1 < l->n && (l->s[at + 1] == '+' || l->s[at + 1] == '-'));
        if (d < l->n && l->s[d] >= '0' && l->s[d] <= '9' && n + 4 < sizeof text) {
            real = true;
            text[n++] = 'e';
            if (d > at + 1) text[n++] = l->s[at + 1];
            at = digits(l, d, 10, text, &n, sizeof text);
        }
    }
    text[n] = 0;
    locate(l, from);
    errno = 0;
    jval v = real ? jfloat(strtod(text, NULL)) : jint((int64_t)strtoll(text, NULL, base));
    bool zeros = strspn(text, "0") == n; // 007 is no number, 000 is
    if (errno == ERANGE || n_int == 0 || n + 9 >= sizeof text ||
        (at < l->n && (name_byte((unsigned char)l->s[at], false))) ||
        (!real && base == 10 && text[0] == '0' && !zeros) || (real && !isfinite(v.f)))
        jfail(l->r, "number that is not supported");
    l->at = at;
    emit(l, T_NUM, from, at)->value = v;
}

static void lex_operator(struct lexer *l, char *brackets, size_t *n_bracket)
{
    static const char *const ops[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                      "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                      ">",  "<",  "=",  ".",  ":",  "|",  ",", NULL};
    const char *const *op = ops;
    while (*op && !at_text(l, l->at, *op)) op++;
    locate(l, l->at);
    if (!*op) jfail(l->r, "a character that no expression can hold");
    char c = (*op)[0];
    static const char opening[] = "([{", closing[] = ")]}";
    const char *o = strchr(opening, c), *k = strchr(closing, c);
    if (o) {
        if (*n_bracket >= JINJA_DEPTH_MAX) jfail(l->r, "brackets nested too deeply");
        brackets[(*n_bracket)++] = closing[o - opening];
    } else if (k && (*n_bracket == 0 || brackets[--*n_bracket] != c)) {
        jfail(l->r, "'%c' closes nothing", c);
    }
    emit(l, T_OP, l->at, l->at + strlen(*op));
    l->at += strlen(*op);
}

// The inside of {{ }} or {% %}, up to and with its end.
static void lex_expression(struct lexer *l, size_t open_at, bool block)
{
    char brackets[JINJA_DEPTH_MAX];
    size_t n_bracket = 0;
    for (;;) {
        l->at = skip_space(l, l->at);
        if (l->at >= l->n) {
            locate(l, open_at);
            jfail(l->r, "%s without its end", block ? "{%" : "{{");
        }
        char sign, c = l->s[l->at];
        size_t end = n_bracket ? 0 : tag_end(l, l->at, block ? '%' : '}', &sign);
        if (end) {
            emit(l, block ? T_TAG_END : T_PRINT_END, l->at, l->at + end);
            after_tag(l, l->at + end, sign, block);
            return;
        }
        if (c == '\'' || c == '"') {
            lex_string(l);
        } else if (c >= '0' && c <= '9') {
            lex_number(l);
        } else if (name_byte((unsigned char)c, true)) {
            size_t from = l->at;
            while (l->at < l->n && name_byte((unsigned char)l->s[l->at], false)) l->at++;
            emit(l, T_NAME, from, l->at);
        } else {
            lex_operator(l, brackets, &n_bracket);
        }
    }
}

static void lex_comment(struct lexer *l, size_t open_at)
{
    size_t from = open_at + 2;
    if (from < l->n && (l->s[from] == '-' || l->s[from] == '+')) from++;
    for (size_t at = from; at + 1 < l->n; at++)
        if (at_text(l, at, "#}")) {
            char sign = at > from ? l->s[at - 1] : 0;
            after_tag(l, at + 2, sign == '-' || sign == '+' ? sign : 0, true);
            return;
        }
    locate(l, open_at);
    jfail(l->r, "{# without its end");
}

// {% raw %} at `at`? Then *body is where the raw text begins.
static bool raw_tag(const struct lexer *l, size_t at, const char *word, size_t *end, char *sign)
{
    at += 2;
    if (at < l->n && (l->s[at] == '-' || l->s[at] == '+')) at++;
    at = skip_space(l, at);
    if (!at_text(l, at, word)) return false;
    at = skip_space(l, at + strlen(word));
    size_t n = at < l->n ? tag_end(l, at, '%', sign) : 0;
    *end = at + n;
    return n > 0;
}

static void lex_raw(struct lexer *l, size_t open_at, size_t body, char sign)
{
    size_t from = sign == '-' ? skip_space(l, body) : body, end;
    l->line_starting = l->s[from - 1] == '\n';
    for (size_t at = from; at + 1 < l->n; at++)
        if (at_text(l, at, "{%") && raw_tag(l, at, "endraw", &end, &sign)) {
            size_t to = text_end(l, from, at);
            if (to > from) emit(l, T_DATA, from, to);
            after_tag(l, end, sign, true);
            return;
        }
    locate(l, open_at);
    jfail(l->r, "{%% raw %%} without {%% endraw %%}");
}

// The next "{{", "{%" or "{#" at or after `at`, or the end.
static size_t find_tag(const struct lexer *l, size_t at)
{
    for (; at + 1 < l->n; at++)
        if (l->s[at] == '{' && (l->s[at + 1] == '{' || l->s[at + 1] == '%' || l->s[at + 1] == '#'))
            return at;
    return l->n;
}

struct jtoken *jinja_lex(jrun *r, const char *source, size_t n, unsigned flags, size_t *n_token)
{
    struct lexer l = {.r = r, .s = source, .n = n, .flags = flags, .line = 1};
    l.line_starting = true;
    while (l.at < n) {
        size_t open = find_tag(&l, l.at);
        size_t end = open < n ? text_end(&l, l.at, open) : n;
        if (end > l.at) emit(&l, T_DATA, l.at, end);
        if (open >= n) break;
        char kind = source[open + 1], sign;
        size_t raw;
        if (kind == '#') {
            lex_comment(&l, open);
        } else if (kind == '%' && raw_tag(&l, open, "raw", &raw, &sign)) {
            lex_raw(&l, open, raw, sign);
        } else {
            emit(&l, kind == '%' ? T_TAG : T_PRINT, open, open + 2);
            l.at = open + 2;
            if (l.at < n && (source[l.at] == '-' || source[l.at] == '+')) l.at++;
            lex_expression(&l, open, kind == '%');
        }
    }
    emit(&l, T_EOF, n, n);
    *n_token = l.n_token;
    return l.v;
}
