// EBNF as rules: a parser by recursive descent, straight to pieces. A rule that does not lead back
// to itself could stand where it is called, but stays a rule: the net shares it.
#include "base/mem.h"
#include "base/utf8.h"
#include "engine/grammar_rules.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum {
    TEXT_MAX = 1 << 18,
    DEPTH_MAX = 200,
    RULES_MAX = 10000,
    REPEAT_MAX = 10000,
    CODE_POINT_END = 0x110000
};

struct named {
    const char *name;
    size_t n;
    uint32_t rule;
    size_t at;    // where it is defined, or first used
    bool defined; // else only used so far
};

struct parser {
    grammar *g;
    const char *text;
    size_t n, at;
    struct named *named; // [n_named] by rule
    uint32_t n_named, cap_named;
    int depth;
    bool failed;
    err *e;
};

static piece fault_at(struct parser *p, size_t at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static piece fault_at(struct parser *p, size_t at, const char *fmt, ...)
{
    char text[400];
    int line = 1, column = 1;
    va_list args;
    if (p->failed) return PIECE_FAILED;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    for (size_t i = 0; i < at && i < p->n; i++) {
        bool newline = p->text[i] == '\n';
        line += newline;
        column = newline ? 1 : column + ((p->text[i] & 0xc0) != 0x80);
    }
    err_set(p->e, ERR_INPUT, "%d:%d: %s", line, column, text);
    p->failed = true;
    return PIECE_FAILED;
}

static piece fault(struct parser *p, const char *what)
{
    return fault_at(p, p->at, "%s", what);
}

// ---- the text ----

static int peek(const struct parser *p)
{
    return p->at < p->n ? (uint8_t)p->text[p->at] : -1;
}

static bool take(struct parser *p, const char *s)
{
    size_t n = strlen(s);
    if (p->n - p->at < n || memcmp(p->text + p->at, s, n) != 0) return false;
    p->at += n;
    return true;
}

static void skip(struct parser *p)
{
    for (;;) {
        size_t start = p->at;
        int c = peek(p);
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            p->at++;
        } else if (c == '#') {
            while (p->at < p->n && p->text[p->at] != '\n') p->at++;
        } else if (take(p, "(*")) {
            const char *end = memmem(p->text + p->at, p->n - p->at, "*)", 2);
            if (!end) {
                fault_at(p, start, "a comment without its *)");
                p->at = p->n;
            } else {
                p->at = (size_t)(end - p->text) + 2;
            }
        } else {
            return;
        }
    }
}

static bool is_name(int c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (!first && ((c >= '0' && c <= '9') || c == '-'));
}

// The name that stands here; 0: none.
static size_t name_length(const struct parser *p)
{
    size_t n = 0;
    while (p->at + n < p->n && is_name((uint8_t)p->text[p->at + n], n == 0)) n++;
    return n;
}

// Does a rule begin here? Its name and the sign behind it.
static bool at_rule(struct parser *p)
{
    size_t start = p->at, n = name_length(p);
    p->at += n;
    if (n) skip(p);
    bool is = n && (take(p, "::=") || take(p, "="));
    p->at = start;
    return is;
}

// ---- what stands for itself ----

static int hex(int c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool take_hex(struct parser *p, int min, int max, uint32_t *out)
{
    int n = 0;
    for (*out = 0; n < max && hex(peek(p)) >= 0; n++)
        *out = *out * 16 + (uint32_t)hex(p->text[p->at++]);
    return n >= min;
}

static void take_escape(struct parser *p, buf *out)
{
    static const char names[] = "ntrbf0", means[] = "\n\t\r\b\f\0";
    size_t start = p->at - 1;
    uint32_t c = 0;
    int letter = peek(p);
    const char *at = letter > 0 ? strchr(names, letter) : NULL;
    p->at += letter >= 0;
    if (at) {
        c = (uint8_t)means[at - names];
    } else if (letter == 'x') {
        if (!take_hex(p, 2, 2, &c)) c = CODE_POINT_END;
    } else if (letter == 'u' && take(p, "{")) {
        if (!take_hex(p, 1, 6, &c) || !take(p, "}")) c = CODE_POINT_END;
    } else if (letter == 'u') {
        if (!take_hex(p, 4, 4, &c)) c = CODE_POINT_END;
    } else if (letter > ' ' && letter < 127 && !is_name(letter, false)) {
        c = (uint32_t)letter;
    } else {
        c = CODE_POINT_END;
    }
    if (c >= CODE_POINT_END || (c >= 0xd800 && c <= 0xdfff)) {
        fault_at(p, start,
                 "expected one of \\n \\t \\r \\b \\f \\0 \\xHH \\uHHHH \\u{H...}, or \\ in front "
                 "of a mark");
        return;
    }
    char bytes[4];
    buf_put(out, bytes, (size_t)utf8_put(c, bytes));
}

// 'text' or "text".
static piece literal(struct parser *p)
{
    size_t start = p->at;
    char quote = p->text[p->at++];
    buf text = buf_new(TEXT_MAX);
    while (!p->failed && peek(p) != quote) {
        if (peek(p) < 0 || peek(p) == '\n')
            fault_at(p, start, "a text without its closing %c", quote);
        else if (take(p, "\\"))
            take_escape(p, &text);
        else
            buf_put(&text, &p->text[p->at++], 1);
    }
    if (!p->failed) p->at++; // the closing quote
    piece all = p->failed ? PIECE_FAILED : piece_text(p->g, buf_text(&text), text.n);
    buf_free(&text);
    return all == PIECE_FAILED ? fault_at(p, start, "too large") : all;
}

// A class of characters, as in a pattern.
static piece class(struct parser *p)
{
    size_t start = p->at;
    err why = {0};
    p->at++;
    while (p->at < p->n && p->text[p->at] != ']' && p->text[p->at] != '\n')
        p->at += p->text[p->at] == '\\' && p->at + 1 < p->n ? 2 : 1;
    if (!take(p, "]")) return fault_at(p, start, "a class without its ]");
    piece all = piece_pattern(p->g, p->text + start, p->at - start, &why);
    if (all == PIECE_FAILED) return fault_at(p, start, "%s", why.msg);
    return all == PIECE_NONE ? fault_at(p, start, "a class without characters") : all;
}

static piece added_token(struct parser *p)
{
    size_t start = p->at, n;
    const grammar_vocab *v = p->g->v;
    const char *end = memchr(p->text + start, '>', p->n - start);
    n = end ? (size_t)(end - p->text) + 1 - start : 0;
    for (int32_t i = 0; n && i < v->n_token; i++) {
        if (v->kind[i] == VOCAB_TEXT || v->len[i] != n ||
            memcmp(v->bytes[i], p->text + start, n) != 0)
            continue;
        if (i == v->end) return fault(p, "this token ends the answer: it comes by itself");
        p->at += n;
        return piece_token(p->g, i);
    }
    return fault_at(p, start, "`%.*s` is no added token of the vocabulary", (int)(n ? n : 1),
                    p->text + start);
}

// ---- expressions ----

static uint32_t rule_named(struct parser *p, const char *name, size_t n, size_t at)
{
    for (uint32_t i = 0; i < p->n_named; i++)
        if (p->named[i].n == n && memcmp(p->named[i].name, name, n) == 0) return i;
    if (p->n_named == p->cap_named) {
        p->cap_named = p->cap_named ? p->cap_named * 2 : 32;
        p->named = mem_grow(p->named, p->cap_named * sizeof *p->named);
    }
    p->named[p->n_named] = (struct named){.name = name, .n = n, .rule = rule_new(p->g), .at = at};
    if (p->n_named == RULES_MAX) fault_at(p, at, "more than %d rules", RULES_MAX);
    return p->n_named++;
}

static piece choice(struct parser *p);

static piece item(struct parser *p)
{
    err why = {0};
    size_t start = p->at, n = name_length(p);
    if (n) {
        p->at += n;
        uint32_t i = rule_named(p, p->text + start, n, start); // the array may move
        return piece_rule(p->g, p->named[i].rule);
    }
    switch (peek(p)) {
    case '"':
    case '\'': return literal(p);
    case '[': return class(p);
    case '<': return added_token(p);
    case '.': p->at++; return piece_pattern(p->g, ".", 1, &why);
    case '(': {
        p->at++;
        piece all = choice(p);
        if (!p->failed && !take(p, ")")) return fault_at(p, start, "a ( without its )");
        return all;
    }
    default: return fault(p, "expected a text, a class, a name or (");
    }
}

static bool number(struct parser *p, uint32_t *out)
{
    size_t start = p->at;
    for (*out = 0; peek(p) >= '0' && peek(p) <= '9' && *out <= REPEAT_MAX; p->at++)
        *out = *out * 10 + (uint32_t)(p->text[p->at] - '0');
    if (*out > REPEAT_MAX) fault_at(p, start, "more than %d times", REPEAT_MAX);
    return p->at > start;
}

// {n} {m,n} {m,} behind its {.
static void counts(struct parser *p, size_t start, uint32_t *min, uint32_t *max)
{
    skip(p);
    bool first = number(p, min);
    *max = *min;
    skip(p);
    if (take(p, ",")) {
        skip(p);
        if (!number(p, max)) *max = UINT32_MAX;
        skip(p);
    } else if (!first) {
        fault_at(p, start, "expected {n}, {m,n} or {m,}");
    }
    if (!p->failed && !take(p, "}")) fault_at(p, start, "expected {n}, {m,n} or {m,}");
    if (!p->failed && *max < *min) fault_at(p, start, "{%u,%u}: the other way round", *min, *max);
}

static piece repeated(struct parser *p)
{
    piece all = item(p);
    for (;;) {
        uint32_t min = 0, max = UINT32_MAX;
        if (p->failed) return PIECE_FAILED;
        skip(p);
        size_t start = p->at;
        if (take(p, "?"))
            max = 1;
        else if (take(p, "+"))
            min = 1;
        else if (take(p, "{"))
            counts(p, start, &min, &max);
        else if (!take(p, "*"))
            return all;
        if (p->failed) return PIECE_FAILED;
        all = piece_repeat(p->g, all, min, max);
        if (all == PIECE_FAILED) return fault_at(p, start, "too large");
    }
}

static piece sequence(struct parser *p)
{
    piece all = PIECE_EMPTY;
    for (;;) {
        skip(p);
        int c = peek(p);
        if (p->failed) return PIECE_FAILED;
        if (c < 0 || c == '|' || c == ')' || c == ';' || at_rule(p)) return all;
        all = piece_then(p->g, all, repeated(p));
        if (all == PIECE_FAILED) return fault(p, "too large");
    }
}

static piece choice(struct parser *p)
{
    piece *list = NULL, all;
    uint32_t n = 0, cap = 0;
    if (++p->depth > DEPTH_MAX) return fault(p, "nested too deep");
    do {
        if (n == cap) list = mem_grow(list, (cap = cap ? cap * 2 : 8) * sizeof *list);
        list[n++] = sequence(p);
    } while (!p->failed && take(p, "|"));
    all = p->failed ? PIECE_FAILED : piece_or_all(p->g, list, n);
    free(list);
    p->depth--;
    return all == PIECE_FAILED ? fault(p, "too large") : all;
}

// ---- rules ----

static void rule(struct parser *p)
{
    size_t start = p->at, n = name_length(p);
    if (!at_rule(p)) {
        fault(p, n ? "expected = or ::= behind the name of a rule" : "expected a rule: NAME = ...");
        return;
    }
    uint32_t i = rule_named(p, p->text + start, n, start);
    if (p->named[i].defined)
        fault_at(p, start, "rule %.*s is defined twice", (int)n, p->text + start);
    p->named[i].defined = true;
    p->named[i].at = start;
    p->at += n;
    skip(p);
    if (!take(p, "::=")) take(p, "=");
    piece body = choice(p);
    if (body == PIECE_FAILED) return;
    rule_set(p->g, p->named[i].rule, body);
    skip(p);
    if (peek(p) == ')') fault(p, "a ) without its (");
    if (take(p, ";")) skip(p);
}

// The rule that is the answer: root, or the first.
static const struct named *find_root(const struct parser *p)
{
    for (uint32_t i = 0; i < p->n_named; i++)
        if (p->named[i].n == 4 && memcmp(p->named[i].name, "root", 4) == 0) return &p->named[i];
    return &p->named[0];
}

static piece parse(struct parser *p)
{
    if (p->n > TEXT_MAX) return fault_at(p, 0, "longer than %d bytes", TEXT_MAX);
    size_t valid = utf8_valid_prefix(p->text, p->n);
    if (valid < p->n) return fault_at(p, valid, "no valid UTF-8");
    for (skip(p); !p->failed && p->at < p->n; skip(p)) rule(p);
    if (!p->failed && p->n_named == 0) return fault_at(p, 0, "there is no rule");
    for (uint32_t i = 0; i < p->n_named && !p->failed; i++)
        if (!p->named[i].defined)
            fault_at(p, p->named[i].at, "there is no rule %.*s", (int)p->named[i].n,
                     p->named[i].name);
    return p->failed ? PIECE_FAILED : piece_rule(p->g, find_root(p)->rule);
}

piece ebnf_piece(grammar *g, const char *text, size_t n, err *e)
{
    struct parser p = {.g = g, .text = text, .n = n, .e = e};
    piece all = parse(&p);
    // Where a rule cannot be completed is told here; that it is so is found out for all rules.
    uint32_t bad = all == PIECE_FAILED ? NONE : rules_unproductive(g);
    for (uint32_t i = 0; i < p.n_named; i++)
        if (p.named[i].rule == bad)
            all = fault_at(&p, p.named[i].at, "rule %.*s never ends: no text completes it",
                           (int)p.named[i].n, p.named[i].name);
    free(p.named);
    return all;
}

int ebnf_add(grammar *g, const char *text, size_t n, err *e)
{
    piece all = ebnf_piece(g, text, n, e);
    int rc = all == PIECE_FAILED ? -1 : rules_compile(g, all, e);
    if (rc < 0) err_wrap(e, "grammar");
    return rc;
}
