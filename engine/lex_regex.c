// ECMA-262 patterns as JSON Schema uses them: by code points, not multi-line, case kept. Greedy or
// lazy makes no difference to whether a pattern matches. What the `u` flag forbids and engines
// accept without it is accepted where its meaning is plain (\- \_ \@, a lone { or ]); what other
// dialects write and ECMA-262 reads otherwise, or not at all, is refused with its place.
#include "engine/lex_regex.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define DEPTH_MAX   200
#define PATTERN_MAX 10000u // bytes: translation and derivatives recurse along it

struct parser {
    lex *x;
    arena *mem;
    const char *text;
    size_t n, at;
    int depth;
    err *e;
    bool failed;
    struct known_class { // classes come again and again: the last few, by their text
        const char *text;
        size_t n;
        uint32_t set;
    } known[8];
    uint32_t n_known;
};

static struct part *parse_choice(struct parser *p);

// ---- the text ----

static void *refuse(struct parser *p, const char *why)
{
    if (!p->failed) err_set(p->e, ERR_INPUT, "%s (at byte %zu of the pattern)", why, p->at);
    p->failed = true;
    return NULL;
}

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

static uint32_t take_character(struct parser *p)
{
    uint32_t c = 0;
    int n = utf8_decode(p->text + p->at, p->n - p->at, &c);
    if (n == 0) refuse(p, "the pattern is not UTF-8");
    p->at += n ? (size_t)n : 1;
    return c;
}

static struct part *part_new(struct parser *p, enum part_kind kind)
{
    struct part *q = arena_alloc(p->mem, sizeof *q);
    q->kind = kind;
    q->closed = kind <= PART_REPEAT;
    return q;
}

static struct part *part_set(struct parser *p, uint32_t set)
{
    struct part *q = part_new(p, PART_SET);
    q->set = set;
    return q;
}

// ---- sets by name ----

static uint32_t set_digits(lex *x)
{
    return set_of(x, &(struct span){'0', '9'}, 1);
}

uint32_t regex_word_set(lex *x)
{
    return set_of(x, (struct span[]){{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}, 4);
}

static uint32_t set_spaces(lex *x)
{
    return set_of(x,
                  (struct span[]){{0x09, 0x0d},
                                  {0x20, 0x20},
                                  {0xa0, 0xa0},
                                  {0x1680, 0x1680},
                                  {0x2000, 0x200a},
                                  {0x2028, 0x2029},
                                  {0x202f, 0x202f},
                                  {0x205f, 0x205f},
                                  {0x3000, 0x3000},
                                  {0xfeff, 0xfeff}},
                  10);
}

static uint32_t set_line_ends(lex *x)
{
    return set_of(x, (struct span[]){{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}, 3);
}

// \d \w \s and their complements; false: not one of them.
static bool named_set(lex *x, int c, uint32_t *set)
{
    switch (c | 0x20) {
    case 'd': *set = set_digits(x); break;
    case 'w': *set = regex_word_set(x); break;
    case 's': *set = set_spaces(x); break;
    default: return false;
    }
    if (c < 'a') *set = set_not(x, *set);
    return true;
}

// General categories by their short and long names; bit i: utf8proc's category i.
#define CATEGORY(a) (1u << UTF8PROC_CATEGORY_##a)
static const struct category {
    const char *name, *long_name;
    uint32_t bits;
} categories[] = {
    {"L", "Letter", CATEGORY(LU) | CATEGORY(LL) | CATEGORY(LT) | CATEGORY(LM) | CATEGORY(LO)},
    {"LC", "Cased_Letter", CATEGORY(LU) | CATEGORY(LL) | CATEGORY(LT)},
    {"Lu", "Uppercase_Letter", CATEGORY(LU)},
    {"Ll", "Lowercase_Letter", CATEGORY(LL)},
    {"Lt", "Titlecase_Letter", CATEGORY(LT)},
    {"Lm", "Modifier_Letter", CATEGORY(LM)},
    {"Lo", "Other_Letter", CATEGORY(LO)},
    {"M", "Mark", CATEGORY(MN) | CATEGORY(MC) | CATEGORY(ME)},
    {"Mn", "Nonspacing_Mark", CATEGORY(MN)},
    {"Mc", "Spacing_Mark", CATEGORY(MC)},
    {"Me", "Enclosing_Mark", CATEGORY(ME)},
    {"N", "Number", CATEGORY(ND) | CATEGORY(NL) | CATEGORY(NO)},
    {"Nd", "Decimal_Number", CATEGORY(ND)},
    {"digit", "digit", CATEGORY(ND)},
    {"Nl", "Letter_Number", CATEGORY(NL)},
    {"No", "Other_Number", CATEGORY(NO)},
    {"P", "Punctuation",
     CATEGORY(PC) | CATEGORY(PD) | CATEGORY(PS) | CATEGORY(PE) | CATEGORY(PI) | CATEGORY(PF) |
         CATEGORY(PO)},
    {"Pc", "Connector_Punctuation", CATEGORY(PC)},
    {"Pd", "Dash_Punctuation", CATEGORY(PD)},
    {"Ps", "Open_Punctuation", CATEGORY(PS)},
    {"Pe", "Close_Punctuation", CATEGORY(PE)},
    {"Pi", "Initial_Punctuation", CATEGORY(PI)},
    {"Pf", "Final_Punctuation", CATEGORY(PF)},
    {"Po", "Other_Punctuation", CATEGORY(PO)},
    {"S", "Symbol", CATEGORY(SM) | CATEGORY(SC) | CATEGORY(SK) | CATEGORY(SO)},
    {"Sm", "Math_Symbol", CATEGORY(SM)},
    {"Sc", "Currency_Symbol", CATEGORY(SC)},
    {"Sk", "Modifier_Symbol", CATEGORY(SK)},
    {"So", "Other_Symbol", CATEGORY(SO)},
    {"Z", "Separator", CATEGORY(ZS) | CATEGORY(ZL) | CATEGORY(ZP)},
    {"Zs", "Space_Separator", CATEGORY(ZS)},
    {"Zl", "Line_Separator", CATEGORY(ZL)},
    {"Zp", "Paragraph_Separator", CATEGORY(ZP)},
    {"C", "Other", CATEGORY(CC) | CATEGORY(CF) | CATEGORY(CS) | CATEGORY(CO) | CATEGORY(CN)},
    {"Cc", "Control", CATEGORY(CC)},
    {"Cf", "Format", CATEGORY(CF)},
    {"Co", "Private_Use", CATEGORY(CO)},
    {"Cn", "Unassigned", CATEGORY(CN)},
    {"Any", "Any", UINT32_MAX},
    {"Assigned", "Assigned", ~CATEGORY(CN)},
};

static uint32_t set_of_categories(lex *x, uint32_t bits)
{
    struct span *s = NULL;
    uint32_t n = 0, cap = 0;
    for (uint32_t c = 0; c <= CODE_POINT_MAX; c++) {
        if (!(bits >> utf8proc_category((utf8proc_int32_t)c) & 1)) continue;
        if (n && s[n - 1].hi + 1 == c) {
            s[n - 1].hi = c;
        } else {
            s = array_room(s, n, &cap, sizeof *s);
            s[n++] = (struct span){c, c};
        }
    }
    uint32_t set = set_of(x, s, n);
    free(s);
    return set;
}

// After \p or \P: {Name} or {General_Category=Name}.
static uint32_t take_property(struct parser *p, bool negative)
{
    char name[64];
    const char *close = memchr(p->text + p->at, '}', p->n - p->at);
    if (peek(p) != '{' || !close) return refuse(p, "\\p: expected {Name}"), 0;
    size_t from = p->at + 1, n = (size_t)(close - p->text) - from;
    const char *equals = memchr(p->text + from, '=', n);
    if (equals) {
        size_t left = (size_t)(equals - p->text) - from;
        bool general = (left == 2 && memcmp(p->text + from, "gc", 2) == 0) ||
                       (left == 16 && memcmp(p->text + from, "General_Category", 16) == 0);
        if (!general) return refuse(p, "\\p: only general categories are known, no scripts"), 0;
        from += left + 1;
        n -= left + 1;
    }
    if (n >= sizeof name) return refuse(p, "\\p: an unknown name"), 0;
    memcpy(name, p->text + from, n);
    name[n] = 0;
    uint32_t set = 0;
    bool known = strcmp(name, "ASCII") == 0;
    if (known) set = set_of(p->x, &(struct span){0, 0x7f}, 1);
    for (size_t i = 0; i < sizeof categories / sizeof *categories && !known; i++) {
        const struct category *c = &categories[i];
        known = strcmp(name, c->name) == 0 || strcmp(name, c->long_name) == 0;
        if (known) set = set_of_categories(p->x, c->bits);
    }
    if (!known) return refuse(p, "\\p: only general categories are known, no scripts"), 0;
    p->at = (size_t)(close - p->text) + 1;
    return negative ? set_not(p->x, set) : set;
}

// ---- escapes ----

static int hex_digit(int c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// `n` hex digits at `at`; false: there are not as many.
static bool hex_at(const struct parser *p, size_t at, int n, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < n; i++) {
        int v = at + (size_t)i < p->n ? hex_digit((uint8_t)p->text[at + (size_t)i]) : -1;
        if (v < 0) return false;
        *out = *out * 16 + (uint32_t)v;
    }
    return true;
}

// After \u.
static uint32_t take_unicode(struct parser *p)
{
    uint32_t c = 0, low = 0;
    if (take(p, "{")) {
        int v, n = 0;
        while ((v = hex_digit(peek(p))) >= 0 && c <= CODE_POINT_MAX) {
            c = c * 16 + (uint32_t)v;
            p->at++;
            n++;
        }
        if (n == 0 || c > CODE_POINT_MAX || !take(p, "}")) refuse(p, "\\u{...}: no code point");
        return c;
    }
    if (!hex_at(p, p->at, 4, &c)) return refuse(p, "\\u: expected four hex digits"), 0;
    p->at += 4;
    bool pair = c >= 0xd800 && c <= 0xdbff && p->n - p->at >= 6 && p->text[p->at] == '\\' &&
                p->text[p->at + 1] == 'u' && hex_at(p, p->at + 2, 4, &low);
    if (!pair || low < 0xdc00 || low > 0xdfff) return c;
    p->at += 6;
    return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

// The character that an escape (after its backslash) stands for.
static uint32_t take_escape(struct parser *p)
{
    uint32_t c = take_character(p);
    switch (c) {
    case 't': return '\t';
    case 'n': return '\n';
    case 'v': return '\v';
    case 'f': return '\f';
    case 'r': return '\r';
    case '0':
        if (peek(p) >= '0' && peek(p) <= '9') refuse(p, "octal escapes are not of ECMA-262");
        return 0;
    case 'c':
        if ((peek(p) | 0x20) < 'a' || (peek(p) | 0x20) > 'z') refuse(p, "\\c: expected a letter");
        return (uint32_t)p->text[p->at++] & 0x1f;
    case 'x':
        if (!hex_at(p, p->at, 2, &c)) return refuse(p, "\\x: expected two hex digits"), 0;
        p->at += 2;
        return c;
    case 'u': return take_unicode(p);
    case 'k': return refuse(p, "back-references are not enforced"), 0;
    default: break;
    }
    if (c >= '1' && c <= '9') return refuse(p, "back-references are not enforced"), 0;
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
        return refuse(p, "an escaped letter that ECMA-262 gives no meaning"), 0;
    return c;
}

// ---- classes ----

// One item of a class: a character, or a set (*is_set).
static uint32_t take_class_item(struct parser *p, bool *is_set, uint32_t *set)
{
    *is_set = false;
    if (!take(p, "\\")) return take_character(p);
    int c = peek(p);
    if (c < 0) return refuse(p, "a pattern cannot end in a backslash"), 0;
    if (c == 'b') return p->at++, '\b';
    if (c == 'p' || c == 'P') {
        p->at++;
        *set = take_property(p, c == 'P');
        *is_set = true;
    } else if (named_set(p->x, c, set)) {
        p->at++;
        *is_set = true;
    }
    return *is_set ? 0 : take_escape(p);
}

// After [, where a class of the same text was read before.
static struct part *take_known_class(struct parser *p)
{
    for (uint32_t i = 0; i < p->n_known && i < 8; i++) {
        const struct known_class *k = &p->known[i];
        if (p->n - p->at < k->n || memcmp(p->text + p->at, k->text, k->n) != 0) continue;
        p->at += k->n;
        return part_set(p, k->set);
    }
    return NULL;
}

// After [.
static struct part *parse_class(struct parser *p)
{
    struct part *known = take_known_class(p);
    if (known) return known;
    size_t from = p->at;
    struct span *s = NULL;
    uint32_t n = 0, cap = 0, sets = 0;
    bool negative = take(p, "^");
    while (!p->failed && !take(p, "]")) {
        if (p->at >= p->n) {
            refuse(p, "a class has no ]");
            break;
        }
        bool lo_set, hi_set = false;
        uint32_t set = 0, lo = take_class_item(p, &lo_set, &set), hi = lo;
        if (lo_set) sets = set_or(p->x, sets, set);
        bool range = peek(p) == '-' && p->at + 1 < p->n && p->text[p->at + 1] != ']';
        if (range && lo_set) { // [\w-x]: the - is itself
            continue;
        }
        if (range) {
            p->at++;
            hi = take_class_item(p, &hi_set, &set);
            if (hi_set) { // [x-\w]: so here
                sets = set_or(p->x, sets, set_or(p->x, set, set_one(p->x, '-')));
                hi = lo;
            }
            if (hi < lo) refuse(p, "a range of a class has its ends in the wrong order");
        }
        if (lo_set) continue;
        s = array_room(s, n, &cap, sizeof *s);
        s[n++] = (struct span){lo, hi};
    }
    uint32_t set = p->failed ? 0 : set_or(p->x, sets, n ? set_of(p->x, s, n) : 0);
    free(s);
    if (p->failed) return NULL;
    if (negative) set = set_not(p->x, set);
    p->known[p->n_known++ % 8] = (struct known_class){p->text + from, p->at - from, set};
    return part_set(p, set);
}

// ---- terms ----

static bool take_number(struct parser *p, uint32_t *out)
{
    size_t from = p->at;
    uint64_t v = 0;
    for (; peek(p) >= '0' && peek(p) <= '9'; p->at++)
        if (v < UINT32_MAX) v = v * 10 + (uint64_t)(peek(p) - '0');
    *out = v >= UNKNOWN ? UNKNOWN - 1 : (uint32_t)v;
    return p->at > from;
}

// {n} {n,} {n,m}; false and nothing taken: the { is itself.
static bool take_counts(struct parser *p, uint32_t *min, uint32_t *max)
{
    size_t from = p->at;
    if (!take(p, "{")) return false;
    if (peek(p) == ',' && p->at + 1 < p->n && p->text[p->at + 1] >= '0' &&
        p->text[p->at + 1] <= '9') {
        refuse(p, "{,n}: engines differ in what it means; write {0,n}");
        return false;
    }
    bool fine = take_number(p, min);
    *max = *min;
    if (fine && take(p, ",") && !take_number(p, max)) *max = NO_MAX;
    fine = fine && take(p, "}");
    if (!fine) p->at = from;
    if (fine && *min > *max) refuse(p, "{n,m}: n is greater than m");
    if (fine && (*min > LEX_LENGTH_MAX || (*max > LEX_LENGTH_MAX && *max != NO_MAX)))
        refuse(p, "more than 25,000 times");
    return fine && !p->failed;
}

static struct part *parse_quantifier(struct parser *p, struct part *body)
{
    uint32_t min = 0, max = NO_MAX;
    if (take(p, "*")) {
    } else if (take(p, "+")) {
        min = 1;
    } else if (take(p, "?")) {
        max = 1;
    } else if (!take_counts(p, &min, &max)) {
        return p->failed ? NULL : body;
    }
    take(p, "?"); // lazy
    int next = peek(p);
    if (next == '*' || next == '+' || next == '?') return refuse(p, "nothing to repeat");
    if (body->kind == PART_START || body->kind == PART_END || body->kind == PART_WORD)
        return refuse(p, "nothing to repeat");
    struct part *q = part_new(p, PART_REPEAT);
    q->first = body;
    q->closed = body->closed;
    q->min = min;
    q->max = max;
    return q;
}

static bool take_group_name(struct parser *p)
{
    const char *close = memchr(p->text + p->at, '>', p->n - p->at);
    if (!close) return refuse(p, "a group's name has no >"), false;
    p->at = (size_t)(close - p->text) + 1;
    return true;
}

// After (.
static struct part *parse_group(struct parser *p)
{
    bool ahead = false, negative = false;
    if (take(p, "?<=") || take(p, "?<!")) return refuse(p, "look-behind is not enforced");
    if (take(p, "?=")) {
        ahead = true;
    } else if (take(p, "?!")) {
        ahead = negative = true;
    } else if (take(p, "?<") || take(p, "?P<")) {
        if (!take_group_name(p)) return NULL;
    } else if (!take(p, "?:") && peek(p) == '?') {
        return refuse(p, "a group of this kind is not of ECMA-262");
    }
    struct part *body = parse_choice(p);
    if (!body) return NULL;
    if (!take(p, ")")) return refuse(p, "a group has no )");
    if (!ahead) return body;
    struct part *q = part_new(p, PART_AHEAD);
    q->first = body;
    q->negative = negative;
    return q;
}

static struct part *parse_escape(struct parser *p)
{
    uint32_t set;
    int c = peek(p);
    if (c < 0) return refuse(p, "a pattern cannot end in a backslash");
    if (c == 'b' || c == 'B') {
        struct part *q = part_new(p, PART_WORD);
        q->negative = c == 'B';
        p->at++;
        return q;
    }
    if (c == 'p' || c == 'P') {
        p->at++;
        return part_set(p, take_property(p, c == 'P'));
    }
    if (named_set(p->x, c, &set)) {
        p->at++;
        return part_set(p, set);
    }
    c = (int)take_escape(p);
    return part_set(p, set_one(p->x, (uint32_t)c));
}

static struct part *parse_atom(struct parser *p)
{
    uint32_t min, max;
    if (take(p, "^")) return part_new(p, PART_START);
    if (take(p, "$")) return part_new(p, PART_END);
    if (take(p, "(")) return parse_group(p);
    if (take(p, "[")) return parse_class(p);
    if (take(p, ".")) return part_set(p, set_not(p->x, set_line_ends(p->x)));
    if (take(p, "\\")) return parse_escape(p);
    int c = peek(p);
    if (c == '*' || c == '+' || c == '?') return refuse(p, "nothing to repeat");
    if (c == '{' && take_counts(p, &min, &max)) return refuse(p, "nothing to repeat");
    if (p->failed) return NULL;
    return part_set(p, set_one(p->x, take_character(p)));
}

static struct part *parse_sequence(struct parser *p)
{
    struct part *all = part_new(p, PART_SEQUENCE), **end = &all->first;
    while (p->at < p->n && peek(p) != '|' && peek(p) != ')') {
        struct part *q = parse_atom(p);
        if (q) q = parse_quantifier(p, q);
        if (!q || p->failed) return NULL;
        all->closed = all->closed && q->closed;
        *end = q;
        end = &q->next;
    }
    return all;
}

static struct part *parse_choice(struct parser *p)
{
    if (++p->depth > DEPTH_MAX) return refuse(p, "groups are nested too deep");
    struct part *one = parse_sequence(p);
    if (!one) return NULL;
    if (peek(p) != '|') {
        p->depth--;
        return one;
    }
    struct part *all = part_new(p, PART_CHOICE), **end = &one->next;
    all->first = one;
    all->closed = one->closed;
    while (take(p, "|")) {
        struct part *q = parse_sequence(p);
        if (!q) return NULL;
        all->closed = all->closed && q->closed;
        *end = q;
        end = &q->next;
    }
    p->depth--;
    return all;
}

struct part *regex_parse(lex *x, arena *mem, const char *pattern, size_t n, err *e)
{
    struct parser p = {.x = x, .mem = mem, .text = pattern, .n = n, .e = e};
    if (n > PATTERN_MAX) return refuse(&p, "longer than 10000 bytes");
    struct part *all = parse_choice(&p);
    if (all && !p.failed && p.at < n) refuse(&p, "a ) without its (");
    return p.failed ? NULL : all;
}
