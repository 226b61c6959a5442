// The content of a JSON string, byte by byte. Between two characters a state is an expression. In
// the middle of one it is that expression and the range of characters that the bytes so far leave
// open: the continuation bytes of UTF-8 and the digits of \uXXXX both narrow a range from the top.
// When everything in the range leads to the same expression, the state is that expression and what
// bytes are due, so that (say) all three-byte characters of a free string pass through a few
// states.
#include "engine/lex_private.h"

// ---- which characters a stage leaves open ----

static void spans_add(struct open_spans *p, uint32_t lo, uint32_t hi, uint32_t least, uint32_t most)
{
    if (lo < least) lo = least;
    if (hi > most) hi = most;
    if (lo <= hi) p->s[p->n++] = (struct span){lo, hi};
}

// Code units lo..hi of \u escapes: characters below U+10000, and first halves of surrogate pairs.
static struct open_spans open_units(const lex *x, uint32_t lo, uint32_t hi)
{
    struct open_spans p = {0};
    if (x->escapes == ESCAPES_MINIMAL) { // controls without a short form
        spans_add(&p, lo, hi, 0x00, 0x07);
        spans_add(&p, lo, hi, 0x0b, 0x0b);
        spans_add(&p, lo, hi, 0x0e, 0x1f);
        return p;
    }
    spans_add(&p, lo, hi, 0, 0xd7ff);
    spans_add(&p, lo, hi, 0xe000, 0xffff);
    uint32_t from = lo > 0xd800 ? lo : 0xd800, to = hi < 0xdbff ? hi : 0xdbff;
    if (from <= to)
        spans_add(&p, 0x10000 + ((from - 0xd800) << 10), 0x103ff + ((to - 0xd800) << 10), 0,
                  CODE_POINT_MAX);
    return p;
}

struct open_spans string_open(const lex *x, enum stage stage, uint32_t lo)
{
    struct open_spans p = {0};
    switch (stage) {
    case STAGE_ESCAPE:
        if (x->escapes == ESCAPES_ANY) return open_units(x, 0, 0xffff);
        spans_add(&p, 0, 0x1f, 0, 0x1f);
        spans_add(&p, '"', '"', 0, 0x7f);
        spans_add(&p, '\\', '\\', 0, 0x7f);
        return p;
    case STAGE_UTF8_1: spans_add(&p, lo, lo + 0x3f, 0x80, CODE_POINT_MAX); return p;
    case STAGE_UTF8_2:
        spans_add(&p, lo, lo + 0xfff, 0x800, 0xd7ff);
        spans_add(&p, lo, lo + 0xfff, 0xe000, CODE_POINT_MAX);
        return p;
    case STAGE_UTF8_3: spans_add(&p, lo, lo + 0x3ffff, 0x10000, CODE_POINT_MAX); return p;
    case STAGE_HEX_4: return open_units(x, 0, 0xffff);
    case STAGE_HEX_3: return open_units(x, lo, lo + 0xfff);
    case STAGE_HEX_2: return open_units(x, lo, lo + 0xff);
    case STAGE_HEX_1: return open_units(x, lo, lo + 0xf);
    case STAGE_LOW_2: spans_add(&p, lo, lo + 0xff, 0, CODE_POINT_MAX); return p;
    case STAGE_LOW_1: spans_add(&p, lo, lo + 0xf, 0, CODE_POINT_MAX); return p;
    default: spans_add(&p, lo, lo + 0x3ff, 0, CODE_POINT_MAX); return p; // a first half is read
    }
}

// A stand-in for lo that leads to the same bytes, where the characters do not matter.
static uint32_t bytes_alike(const lex *x, enum stage stage, uint32_t lo)
{
    switch (stage) {
    case STAGE_ESCAPE: return 0;
    case STAGE_UTF8_1: return 0x80;
    case STAGE_UTF8_2: return lo == 0 || lo == 0xd000 ? lo : 0x1000;
    case STAGE_UTF8_3: return lo == 0 || lo == 0x100000 ? lo : 0x40000;
    case STAGE_HEX_4:
    case STAGE_HEX_3:
    case STAGE_HEX_2:
    case STAGE_HEX_1:
        if (x->escapes == ESCAPES_MINIMAL) return lo;
        if (stage == STAGE_HEX_3) return lo == 0xd000 ? lo : 0x1000;
        return lo >= 0xd800 && lo <= 0xdbff ? 0xd800 : 0x1000;
    default: return 0x10000;
    }
}

// ---- states ----

lex_state string_state(lex *x, expr a)
{
    if (expr_rest(x, a) == FAR) return LEX_DEAD;
    if (!x->expr[a].state) {
        lex_state s = state_of(x, STAGE_CHAR, false, a, 0, x->expr[a].nullable);
        x->expr[a].state = s;
    }
    return x->expr[a].state;
}

// What every character of the spans leads to: one expression, EXPR_NONE when all are dead, or FAR.
static expr common_target(lex *x, const struct open_spans *p, expr a)
{
    const struct row *r = expr_row(x, a);
    expr to = FAR;
    for (int i = 0; i < p->n; i++) {
        for (uint32_t k = 0; k < r->n; k++) {
            uint32_t hi = k + 1 < r->n ? r->from[k + 1] - 1 : CODE_POINT_MAX;
            if (hi < p->s[i].lo || r->from[k] > p->s[i].hi) continue;
            expr q = expr_rest(x, r->to[k]) == FAR ? EXPR_NONE : r->to[k];
            if (to != FAR && q != to) return FAR;
            to = q;
        }
    }
    return to == FAR ? EXPR_NONE : to;
}

static lex_state middle(lex *x, enum stage stage, bool same, expr a, uint32_t lo)
{
    struct open_spans p = string_open(x, stage, lo);
    if (p.n == 0) return LEX_DEAD;
    if (same) return state_of(x, stage, true, a, bytes_alike(x, stage, lo), false);
    expr to = common_target(x, &p, a);
    if (to == EXPR_NONE) return LEX_DEAD;
    // Words stay as they are, to tell their range; else nothing depends on where we came from.
    if (to != FAR && x->expr[a].kind != EXPR_WORDS)
        return state_of(x, stage, true, to, bytes_alike(x, stage, lo), false);
    return state_of(x, stage, false, a, lo, false);
}

static lex_state whole(lex *x, const struct state *s, uint32_t c)
{
    return string_state(x, s->same ? s->a : row_find(expr_row(x, s->a), c));
}

// ---- steps ----

static int hex_value(const lex *x, uint8_t c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' && x->escapes == ESCAPES_ANY ? c - 'A' + 10 : -1;
}

static lex_state step_char(lex *x, const struct state *s, uint8_t c)
{
    if (x->escapes == ESCAPES_NONE && c < 0x80) return whole(x, s, c);
    if (c == '\\') return middle(x, STAGE_ESCAPE, false, s->a, 0);
    if (c < 0x20 || c == '"') return LEX_DEAD;
    if (c < 0x80) return whole(x, s, c);
    if (c >= 0xc2 && c <= 0xdf) return middle(x, STAGE_UTF8_1, false, s->a, (c & 0x1fu) << 6);
    if (c >= 0xe0 && c <= 0xef) return middle(x, STAGE_UTF8_2, false, s->a, (c & 0x0fu) << 12);
    if (c >= 0xf0 && c <= 0xf4) return middle(x, STAGE_UTF8_3, false, s->a, (c & 0x07u) << 18);
    return LEX_DEAD;
}

static lex_state step_escape(lex *x, const struct state *s, uint8_t c)
{
    switch (c) {
    case '/': return x->escapes == ESCAPES_ANY ? whole(x, s, '/') : LEX_DEAD;
    case '"':
    case '\\': return whole(x, s, c);
    case 'b': return whole(x, s, '\b');
    case 'f': return whole(x, s, '\f');
    case 'n': return whole(x, s, '\n');
    case 'r': return whole(x, s, '\r');
    case 't': return whole(x, s, '\t');
    case 'u': return middle(x, STAGE_HEX_4, s->same, s->a, 0);
    default: return LEX_DEAD;
    }
}

static lex_state step_utf8(lex *x, const struct state *s, uint8_t c)
{
    if ((c & 0xc0) != 0x80) return LEX_DEAD;
    uint32_t left = (uint32_t)(s->stage - STAGE_UTF8_1), lo = s->b + ((c & 0x3fu) << 6 * left);
    if (left == 0) return whole(x, s, lo);
    // Overlong forms, surrogates and what lies above U+10FFFF leave nothing open.
    bool overlong = (left == 1 && lo < 0x800) || (left == 2 && lo < 0x10000);
    if (overlong || lo > CODE_POINT_MAX || (lo >= 0xd800 && lo <= 0xdfff)) return LEX_DEAD;
    return middle(x, s->stage - 1, s->same, s->a, lo);
}

static lex_state step_hex(lex *x, const struct state *s, uint8_t c)
{
    int v = hex_value(x, c);
    if (v < 0) return LEX_DEAD;
    uint32_t left = (uint32_t)(s->stage - STAGE_HEX_1), lo = s->b + ((uint32_t)v << 4 * left);
    if (left == 3) lo = (uint32_t)v << 12;
    if (left) return middle(x, s->stage - 1, s->same, s->a, lo);
    if (open_units(x, lo, lo).n == 0) return LEX_DEAD;
    if (lo < 0xd800 || lo > 0xdbff) return whole(x, s, lo);
    return middle(x, STAGE_LOW_BACKSLASH, s->same, s->a, 0x10000 + ((lo - 0xd800) << 10));
}

static lex_state step_low(lex *x, const struct state *s, uint8_t c)
{
    if (s->stage == STAGE_LOW_BACKSLASH)
        return c == '\\' ? middle(x, STAGE_LOW_U, s->same, s->a, s->b) : LEX_DEAD;
    if (s->stage == STAGE_LOW_U)
        return c == 'u' ? middle(x, STAGE_LOW_4, s->same, s->a, s->b) : LEX_DEAD;
    int v = hex_value(x, c);
    if (v < 0) return LEX_DEAD;
    switch (s->stage) { // DC00 to DFFF
    case STAGE_LOW_4: return v == 0xd ? middle(x, STAGE_LOW_3, s->same, s->a, s->b) : LEX_DEAD;
    case STAGE_LOW_3:
        if (v < 0xc) return LEX_DEAD;
        return middle(x, STAGE_LOW_2, s->same, s->a, s->b + ((uint32_t)(v - 0xc) << 8));
    case STAGE_LOW_2: return middle(x, STAGE_LOW_1, s->same, s->a, s->b + ((uint32_t)v << 4));
    default: return whole(x, s, s->b + (uint32_t)v);
    }
}

lex_state string_step(lex *x, const struct state *s, uint8_t byte)
{
    switch (s->stage) {
    case STAGE_CHAR: return step_char(x, s, byte);
    case STAGE_ESCAPE: return step_escape(x, s, byte);
    case STAGE_UTF8_1:
    case STAGE_UTF8_2:
    case STAGE_UTF8_3: return step_utf8(x, s, byte);
    case STAGE_HEX_1:
    case STAGE_HEX_2:
    case STAGE_HEX_3:
    case STAGE_HEX_4: return step_hex(x, s, byte);
    default: return step_low(x, s, byte);
    }
}

// ---- counts ----

// Texts from the middle of a character: those of everything it may still be.
uint32_t string_count(lex *x, const struct state *s)
{
    if (s->stage == STAGE_CHAR) return expr_count(x, s->a);
    struct open_spans p = string_open(x, s->stage, s->b);
    const struct row *r = s->same ? NULL : expr_row(x, s->a);
    uint64_t total = 0;
    for (int i = 0; i < p.n; i++) {
        for (uint32_t k = 0; k < (r ? r->n : 1); k++) {
            uint32_t lo = r && r->from[k] > p.s[i].lo ? r->from[k] : p.s[i].lo, hi = p.s[i].hi;
            if (r && k + 1 < r->n && r->from[k + 1] - 1 < hi) hi = r->from[k + 1] - 1;
            if (lo > hi) continue;
            uint32_t n = expr_count(x, r ? r->to[k] : s->a);
            if (n == LEX_MANY) return LEX_MANY;
            total += (uint64_t)n * span_size(lo, hi);
        }
    }
    return total > 65535 ? LEX_MANY : (uint32_t)total;
}
