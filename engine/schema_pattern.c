// ECMA-262 regular expressions by way of PCRE2. The two look alike and differ in the small: \s and
// the dot know Unicode's spaces and line ends, \v is one character, $ is the very end, [] matches
// nothing, (?i) and \A are no syntax at all. So the pattern is read by ECMA's grammar (with the
// flag u: text is code points) and written anew in the part of PCRE2's that means the same; PCRE2
// never sees the original.
//
// Kinder than the flag u asks: an escaped punctuation mark means itself, and so do a lone `]`, `}`
// and a `{` that opens no count. Letters stay strict: \Z is a mistake and not a `Z`.
#define PCRE2_CODE_UNIT_WIDTH 8
#include "base/mem.h"
#include "base/utf8.h"
#include "engine/schema_private.h"

#include <ctype.h>
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MATCH_LIMIT       1000000
#define PATTERN_BYTES_MAX ((size_t)1 << 20)
enum { CLASS = -1, EMPTY = -2, WRONG = -3 }; // of an escape that is no single character
enum { GROUPS_NESTED_MAX = 200 };

struct reader {
    const char *p, *end;
    buf out;
    const char *why; // what is wrong; NULL: nothing so far
    int n_group;     // capturing groups in the whole pattern
    int open;        // parentheses
};

static bool more(const struct reader *r)
{
    return r->p < r->end;
}

static bool at(const struct reader *r, const char *s)
{
    size_t n = strlen(s);
    return (size_t)(r->end - r->p) >= n && memcmp(r->p, s, n) == 0;
}

static bool take(struct reader *r, const char *s)
{
    if (!at(r, s)) return false;
    r->p += strlen(s);
    return true;
}

static int wrong(struct reader *r, const char *why)
{
    if (!r->why) r->why = why;
    r->p = r->end;
    return WRONG;
}

// ---- escapes ----

static const char space_set[] = "\\x{9}-\\x{d}\\x{20}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}"
                                "\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{feff}";
static const char no_space_set[] =
    "\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-"
    "\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{fefe}\\x{ff00}"
    "-"
    "\\x{10ffff}";

static int hex_digits(struct reader *r, int n)
{
    int value = 0;
    for (int i = 0; i < n; i++, r->p++) {
        if (!more(r) || !isxdigit((unsigned char)*r->p))
            return wrong(r, "expected hexadecimal digits behind \\x or \\u");
        int c = *r->p | 0x20;
        value = value * 16 + (isdigit((unsigned char)*r->p) ? *r->p - '0' : c - 'a' + 10);
    }
    return value;
}

static int braced_code_point(struct reader *r)
{
    int value = 0;
    if (!more(r) || *r->p == '}') return wrong(r, "expected hexadecimal digits in \\u{}");
    while (more(r) && *r->p != '}') {
        int digit = hex_digits(r, 1);
        if (digit < 0) return WRONG;
        value = value * 16 + digit;
        if (value > 0x10ffff) return wrong(r, "expected a code point up to 10FFFF in \\u{}");
    }
    return take(r, "}") ? value : wrong(r, "expected } behind \\u{");
}

static int unicode_escape(struct reader *r)
{
    if (take(r, "{")) return braced_code_point(r);
    int high = hex_digits(r, 4);
    if (high < 0xd800 || high > 0xdbff || !at(r, "\\u")) return high;
    const char *back = r->p;
    r->p += 2;
    int low = at(r, "{") ? 0 : hex_digits(r, 4);
    if (low >= 0xdc00 && low <= 0xdfff) return 0x10000 + ((high - 0xd800) << 10) + low - 0xdc00;
    if (low >= 0) r->p = back;
    return low < 0 ? WRONG : high;
}

// \p{...}: the names that PCRE2 knows by another spelling.
static const char *property_name(const char *name)
{
    static const char *const rows[][2] = {{"Letter", "L"},
                                          {"Uppercase_Letter", "Lu"},
                                          {"Lowercase_Letter", "Ll"},
                                          {"Titlecase_Letter", "Lt"},
                                          {"Modifier_Letter", "Lm"},
                                          {"Other_Letter", "Lo"},
                                          {"Mark", "M"},
                                          {"Nonspacing_Mark", "Mn"},
                                          {"Number", "N"},
                                          {"Decimal_Number", "Nd"},
                                          {"digit", "Nd"},
                                          {"Letter_Number", "Nl"},
                                          {"Punctuation", "P"},
                                          {"punct", "P"},
                                          {"Dash_Punctuation", "Pd"},
                                          {"Symbol", "S"},
                                          {"Math_Symbol", "Sm"},
                                          {"Currency_Symbol", "Sc"},
                                          {"Separator", "Z"},
                                          {"Space_Separator", "Zs"},
                                          {"Other", "C"},
                                          {"Control", "Cc"},
                                          {"cntrl", "Cc"},
                                          {"Format", "Cf"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i][0], name) == 0) return rows[i][1];
    return name;
}

static int property_escape(struct reader *r, char letter)
{
    static const char *const prefixes[] = {
        "General_Category=", "gc=", "Script=", "sc=", "Script_Extensions=", "scx="};
    char name[64];
    size_t n = 0;
    if (!take(r, "{")) return wrong(r, "expected { behind \\p");
    for (; more(r) && *r->p != '}' && n + 1 < sizeof name; r->p++) name[n++] = *r->p;
    name[n] = 0;
    if (!take(r, "}") || n == 0) return wrong(r, "expected the name of a property in \\p{}");
    const char *known = name;
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0) known += strlen(prefixes[i]);
    for (const char *p = known; *p; p++)
        if (!isalnum((unsigned char)*p) && *p != '_') return wrong(r, "no such property");
    buf_printf(&r->out, "\\%c{%s}", letter, property_name(known));
    return CLASS;
}

static int control_escape(struct reader *r)
{
    if (!more(r) || !isalpha((unsigned char)*r->p)) return wrong(r, "expected a letter behind \\c");
    return *r->p++ & 31;
}

// An escape that means a character or a class of them, in a class or outside; r->p is behind the
// backslash. A class is written out, `in_class` without brackets.
static int common_escape(struct reader *r, bool in_class)
{
    static const char letters[] = "tnvfr", codes[] = "\t\n\v\f\r";
    if (!more(r)) return wrong(r, "expected something behind the last backslash");
    unsigned char c = (unsigned char)*r->p++;
    const char *known = c ? strchr(letters, c) : NULL;
    if (known) return codes[known - letters];
    switch (c) {
    case 'd':
    case 'D':
    case 'w':
    case 'W': buf_printf(&r->out, "\\%c", c); return CLASS; // ASCII here as there
    case 's': buf_printf(&r->out, in_class ? "%s" : "[%s]", space_set); return CLASS;
    case 'S': buf_printf(&r->out, in_class ? "%s" : "[%s]", no_space_set); return CLASS;
    case 'p':
    case 'P': return property_escape(r, (char)c);
    case 'c': return control_escape(r);
    case 'x': return hex_digits(r, 2);
    case 'u': return unicode_escape(r);
    case '0':
        return more(r) && isdigit((unsigned char)*r->p) ? wrong(r, "octal escapes are no ECMA-262")
                                                        : 0;
    default: break;
    }
    if (c >= 0x80 || isalnum(c)) {
        if (c < 0x80) return wrong(r, "an escaped letter or digit that means nothing in ECMA-262");
        r->p--;
        uint32_t cp;
        int k = utf8_decode(r->p, (size_t)(r->end - r->p), &cp);
        r->p += k;
        return k ? (int)cp : wrong(r, "not UTF-8");
    }
    return c;
}

static void put_code_point(struct reader *r, int c)
{
    buf_printf(&r->out, "\\x{%x}", (unsigned)c);
}

// ---- classes ----

// One member of a class: a code point, CLASS (written already) or WRONG.
static int class_atom(struct reader *r)
{
    uint32_t c;
    if (take(r, "\\")) {
        if (take(r, "b")) return '\b';
        if (take(r, "-")) return '-';
        return common_escape(r, true);
    }
    int k = utf8_decode(r->p, (size_t)(r->end - r->p), &c);
    if (!k) return wrong(r, "not UTF-8");
    r->p += k;
    return (int)c;
}

static void put_range(struct reader *r, int from)
{
    r->p++; // the hyphen
    int to = class_atom(r);
    if (to == WRONG) return;
    if (from >= 0 && to >= 0) {
        if (from > to) wrong(r, "a range of a class from a later character to an earlier one");
        buf_printf(&r->out, "\\x{%x}-\\x{%x}", (unsigned)from, (unsigned)to);
        return;
    }
    // A class at either end: the hyphen means itself.
    if (from >= 0) put_code_point(r, from);
    if (to >= 0) put_code_point(r, to);
    put_code_point(r, '-');
}

static void read_class(struct reader *r)
{
    bool negated = take(r, "^");
    if (take(r, "]")) {
        buf_str(&r->out, negated ? "[\\x{0}-\\x{10ffff}]" : "(?!)");
        return;
    }
    buf_str(&r->out, negated ? "[^" : "[");
    while (more(r) && *r->p != ']') {
        int c = class_atom(r);
        if (c == WRONG) return;
        if (r->end - r->p >= 2 && r->p[0] == '-' && r->p[1] != ']')
            put_range(r, c);
        else if (c >= 0)
            put_code_point(r, c);
    }
    if (!r->why && !take(r, "]")) wrong(r, "expected ] behind the members of a class");
    buf_str(&r->out, "]");
}

// ---- groups and repeats ----

static void put_name(struct reader *r)
{
    const char *start = r->p;
    while (more(r) && (isalnum((unsigned char)*r->p) || *r->p == '_' || *r->p == '$')) r->p++;
    size_t n = (size_t)(r->p - start);
    if (n == 0 || n > 30 || isdigit((unsigned char)*start) || !take(r, ">"))
        wrong(r, "expected the name of a group");
    for (size_t i = 0; i < n; i++) buf_byte(&r->out, start[i] == '$' ? '_' : start[i]);
    buf_byte(&r->out, '>');
}

static void open_group(struct reader *r)
{
    static const char *const kinds[] = {"?:", "?=", "?!", "?<=", "?<!"};
    if (++r->open > GROUPS_NESTED_MAX) wrong(r, "groups nest too deeply");
    buf_byte(&r->out, '(');
    if (!at(r, "?")) return;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (take(r, kinds[i])) {
            buf_str(&r->out, kinds[i]);
            return;
        }
    if (take(r, "?<")) {
        buf_str(&r->out, "?<");
        put_name(r);
    } else {
        wrong(r, "expected one of (?: (?= (?! (?<= (?<! (?<name>");
    }
}

// {n}, {n,} or {n,m} at r->p: its length, else 0: the brace means itself.
static size_t count_length(const struct reader *r)
{
    const char *p = r->p + 1;
    const char *digits = p;
    while (p < r->end && isdigit((unsigned char)*p)) p++;
    if (p == digits) return 0;
    if (p < r->end && *p == ',')
        for (p++; p < r->end && isdigit((unsigned char)*p);) p++;
    return p < r->end && *p == '}' ? (size_t)(p + 1 - r->p) : 0;
}

// A repeat, if one stands here. It must have something to repeat.
static bool read_repeat(struct reader *r, bool repeatable)
{
    size_t n = more(r) && strchr("*+?", *r->p) && *r->p ? 1 : at(r, "{") ? count_length(r) : 0;
    if (n == 0) return false;
    if (!repeatable) wrong(r, "a repeat that has nothing to repeat");
    if (r->why) return true;
    buf_put(&r->out, r->p, n);
    r->p += n;
    if (take(r, "?")) buf_byte(&r->out, '?');
    return true;
}

static int count_groups(const char *p, const char *end)
{
    int n = 0;
    for (bool in_class = false; p < end; p++) {
        if (*p == '\\')
            p++;
        else if (in_class || *p == '[')
            in_class = *p != ']';
        else if (*p == '(')
            n += end - p < 2 || p[1] != '?' ||
                 (end - p > 3 && p[2] == '<' && p[3] != '=' && p[3] != '!');
    }
    return n;
}

static void back_reference(struct reader *r)
{
    long n = 0;
    while (more(r) && isdigit((unsigned char)*r->p) && n < 100000) n = n * 10 + (*r->p++ - '0');
    if (n > r->n_group) wrong(r, "a back-reference to a group that is not there");
    buf_printf(&r->out, "\\g{%ld}", n);
}

// Behind a backslash, outside a class. True: something that can be repeated.
static bool read_escape(struct reader *r)
{
    if (at(r, "b") || at(r, "B")) {
        buf_printf(&r->out, "\\%c", *r->p++);
        return false;
    }
    if (more(r) && *r->p >= '1' && *r->p <= '9') {
        back_reference(r);
    } else if (take(r, "k<")) {
        buf_str(&r->out, "\\k<");
        put_name(r);
    } else {
        int c = common_escape(r, false);
        if (c >= 0) put_code_point(r, c);
    }
    return true;
}

static bool close_group(struct reader *r)
{
    if (--r->open < 0) wrong(r, "a ) that closes nothing");
    buf_byte(&r->out, ')');
    return true;
}

// One term without its repeat. True: something that can be repeated.
static bool read_term(struct reader *r)
{
    uint32_t c;
    if (take(r, "\\")) return read_escape(r);
    int k = utf8_decode(r->p, (size_t)(r->end - r->p), &c);
    if (!k) wrong(r, "not UTF-8");
    if (r->why) return false;
    r->p += k;
    switch (c) {
    case '^': buf_str(&r->out, "\\A"); return false;
    case '$': buf_str(&r->out, "\\z"); return false;
    case '|': buf_byte(&r->out, '|'); return false;
    case '(': open_group(r); return false;
    case ')': return close_group(r);
    case '.': buf_str(&r->out, "[^\\n\\r\\x{2028}\\x{2029}]"); return true;
    case '[': read_class(r); return true;
    default: put_code_point(r, (int)c); return true;
    }
}

// Writes the pattern in PCRE2's words; the caller frees. NULL and *why where it is not ECMA-262.
static char *translate(const char *pattern, size_t n, const char **why)
{
    struct reader r = {.p = pattern,
                       .end = pattern + n,
                       .out = buf_new(PATTERN_BYTES_MAX),
                       .n_group = count_groups(pattern, pattern + n)};
    bool repeatable = false;
    while (more(&r) && !r.why) repeatable = read_repeat(&r, repeatable) ? false : read_term(&r);
    if (r.open > 0) wrong(&r, "a group that is not closed");
    if (r.out.full) wrong(&r, "the pattern is too long");
    *why = r.why;
    if (!r.why) return buf_take(&r.out);
    buf_free(&r.out);
    return NULL;
}

// NULL and `why` where the pattern is not ECMA-262, or *beyond where it is and PCRE2 cannot do it.
static pcre2_code *compile(const char *pattern, size_t n, char why[200], bool *beyond)
{
    const char *mistake;
    *beyond = false;
    char *text = translate(pattern, n, &mistake);
    pcre2_code *re = NULL;
    int code;
    PCRE2_SIZE offset;
    if (!text) {
        snprintf(why, 200, "%s", mistake);
        return NULL;
    }
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    pcre2_set_compile_extra_options(context, PCRE2_EXTRA_ALLOW_SURROGATE_ESCAPES);
    re = pcre2_compile((PCRE2_SPTR)text, strlen(text), PCRE2_UTF | PCRE2_MATCH_UNSET_BACKREF, &code,
                       &offset, context);
    if (!re) pcre2_get_error_message(code, (PCRE2_UCHAR *)why, 200);
    *beyond = !re && code == PCRE2_ERROR_LOOKBEHIND_NOT_FIXED_LENGTH;
    pcre2_compile_context_free(context);
    free(text);
    return re;
}

bool pattern_is_ecma(const char *pattern, size_t n)
{
    char why[200];
    bool beyond;
    pcre2_code *re = compile(pattern, n, why, &beyond);
    pcre2_code_free(re);
    return re || beyond;
}

// ---- the patterns of a schema, each compiled once ----

struct pattern {
    struct pattern *next;
    char *text;
    size_t n;
    pcre2_code *re; // NULL: refused
    char why[200];
};

static struct pattern *find(struct validator *v, const char *text, size_t n)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)text[i]) * 16777619u;
    struct pattern **slot = &v->patterns[h % 256];
    for (struct pattern *p = *slot; p; p = p->next)
        if (p->n == n && memcmp(p->text, text, n) == 0) return p;
    struct pattern *p = mem_new(sizeof *p);
    *p = (struct pattern){.next = *slot, .text = mem_new(n + 1), .n = n};
    memcpy(p->text, text, n);
    p->re = compile(text, n, p->why, &(bool){false});
    return *slot = p;
}

void patterns_free(struct validator *s)
{
    for (size_t i = 0; i < 256; i++)
        for (struct pattern *p = s->patterns[i], *next; p; p = next) {
            next = p->next;
            pcre2_code_free(p->re);
            free(p->text);
            free(p);
        }
}

int pattern_matches(struct checker *c, const char *pattern, size_t pattern_n, const char *text,
                    size_t n)
{
    struct pattern *p = find(c->v, pattern, pattern_n);
    if (!spend(c, 1 + (unsigned)(n / 16))) {
        refused(c, "the check takes too many steps");
        return -1;
    }
    if (!p->re) {
        refused(c, "the pattern %.100s: %s", pattern, p->why);
        return -1;
    }
    pcre2_match_context *limits = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(limits, MATCH_LIMIT);
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    int rc = pcre2_match(p->re, (PCRE2_SPTR)text, n, 0, 0, data, limits);
    pcre2_match_data_free(data);
    pcre2_match_context_free(limits);
    if (rc >= 0 || rc == PCRE2_ERROR_NOMATCH) return rc >= 0;
    refused(c, "the pattern takes too long to match");
    return -1;
}

enum verdict check_pattern(struct checker *c, const struct rule *r, const json_t *doc)
{
    if (!json_is_string(r->value)) return refused(c, "expected a pattern");
    if (!json_is_string(doc)) return VALID;
    const char *pattern = json_string_value(r->value);
    int m = pattern_matches(c, pattern, json_string_length(r->value), json_string_value(doc),
                            json_string_length(doc));
    if (m < 0) return REFUSED;
    return m ? VALID : invalid(c, "must match the pattern %.200s", pattern);
}
