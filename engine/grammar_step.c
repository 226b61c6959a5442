// The automaton: one byte further, and how many bytes the shortest finish takes from there.
//
// A step never fails late. A choice is kept only while its own completion exists (a number whose
// digits have left the range, a key that no remaining property begins with, a string at its maximum
// length: gone at once), so a position that is not dead can be finished, and pos_finish says in how
// many bytes. The bound is kept with the structure: a frame's item knows the bytes from the end of
// its child to the end of the document, so only the lexeme on top has to be looked at.
#include "base/utf8.h"
#include "engine/grammar_private.h"

#include <assert.h>
#include <string.h>

#define DEEP 500 // from here on only what is needed is written, so that nesting ends

static bool python(const struct schema *s)
{
    return s->spacing == SPACING_PYTHON;
}
static uint32_t comma_bytes(const struct schema *s)
{
    return python(s) ? 2 : 1;
}
static uint32_t min_of(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static void set_bit(uint64_t *row, uint32_t i)
{
    row[i / 64] |= 1ull << (i % 64);
}
static bool has_bit(const uint64_t *row, uint32_t i)
{
    return row[i / 64] >> (i % 64) & 1;
}

static void or_row(uint64_t *into, const uint64_t *row, uint32_t words)
{
    for (uint32_t w = 0; w < words; w++) into[w] |= row[w];
}

static bool any_bit(const uint64_t *row, uint32_t words)
{
    for (uint32_t w = 0; w < words; w++)
        if (row[w]) return true;
    return false;
}

static struct frame *frame_new(struct chunks *mem, enum frame_kind kind, uint32_t n,
                               const struct frame *parent)
{
    uint32_t words = parent ? bit_words(parent->n) : 0;
    struct frame *f =
        chunk_alloc(mem, sizeof *f + n * sizeof(struct item) + n * words * sizeof(uint64_t));
    f->parent = parent;
    f->kind = kind;
    f->n = n;
    f->words = words;
    f->depth = parent ? parent->depth + 1 : 0;
    return f;
}

static struct choices *choices_new(struct chunks *mem, uint32_t n, uint32_t words)
{
    struct choices *x =
        chunk_alloc(mem, sizeof *x + n * sizeof(struct choice) + n * words * sizeof(uint64_t));
    x->n = n;
    x->words = words;
    return x;
}

// ---- arrays and objects ----

static uint32_t array_rest(const struct schema *s, const struct array *a, uint32_t count)
{
    uint32_t total = 1, at = count;
    if (at < a->n_prefix && at < a->min) {
        uint32_t to = min_of(a->n_prefix, a->min);
        total += a->cost[to] - a->cost[at];
        at = to;
    }
    if (at < a->min)
        total = far_add(total,
                        far_mul(a->min - at, far_add(comma_bytes(s), s->node[a->items].shortest)));
    return total;
}

// The node of element number `count`, or NONE when there is none.
static uint32_t element_node(const struct array *a, uint32_t count, bool deep)
{
    if (count >= a->max || (deep && count >= a->min)) return NONE;
    return count < a->n_prefix ? a->prefix[count] : a->items;
}

// Beyond what any rule looks at, one count is as good as another, and equal states are recognised.
static uint32_t settle_count(const struct array *a, uint32_t count)
{
    uint32_t enough = a->min > a->n_prefix ? a->min : a->n_prefix;
    return a->max == NONE && count > enough ? enough : count;
}

static void set_element(const struct schema *s, struct item *i, bool deep)
{
    const struct array *a = s->alt[i->alt].array;
    i->child = element_node(a, i->count, deep);
    i->after = i->child == NONE ? FAR : far_add(array_rest(s, a, i->count + 1), i->up);
}

static uint32_t n_used(const struct frame *f)
{
    return f->used ? f->used->n : 0;
}

// Properties that minProperties asks for beyond the required ones.
static bool needs_more(const struct object *o, const struct item *i)
{
    return i->count + o->required_from[i->next] < o->min;
}

static bool key_allowed(const struct frame *f, const struct object *o, const struct item *i,
                        uint32_t j)
{
    if (j < i->next || j > o->next_required[i->next] || j >= o->n || !o->p[j].usable) return false;
    if (f->depth >= DEEP && !o->p[j].required && !needs_more(o, i)) return false;
    if (i->count + 1 + o->required_from[j + 1] > o->max) return false;
    uint32_t extra = o->extra == NONE ? 0 : EXTRA_KEYS_MAX - n_used(f);
    return i->count + 1 + o->usable_from[j + 1] + extra >= o->min;
}

static bool extra_allowed(const struct frame *f, const struct object *o, const struct item *i)
{
    if (o->extra == NONE || o->required_from[i->next] || i->count + 1 > o->max) return false;
    if (f->depth >= DEEP && !needs_more(o, i)) return false;
    uint32_t used = n_used(f);
    return used < EXTRA_KEYS_MAX && i->count + EXTRA_KEYS_MAX - used >= o->min;
}

// Keys that may come next are a run of the properties in schema order.
static uint32_t last_key(const struct object *o, const struct item *i)
{
    uint32_t r = o->next_required[i->next];
    return r < o->n ? r + 1 : o->n;
}

static bool key_possible(const struct frame *f, const struct object *o, const struct item *i)
{
    if (extra_allowed(f, o, i)) return true;
    for (uint32_t j = i->next, end = last_key(o, i); j < end; j++)
        if (key_allowed(f, o, i, j)) return true;
    return false;
}

static bool can_close(const struct schema *s, const struct frame *f, const struct item *i)
{
    if (f->kind == FRAME_ARRAY) return i->count >= s->alt[i->alt].array->min;
    const struct object *o = s->alt[i->alt].object;
    return o->required_from[i->next] == 0 && i->count >= o->min;
}

// Bytes of colon, value and rest once the key is written.
static uint32_t after_key(const struct schema *s, const struct frame *f, const struct item *i,
                          uint32_t j)
{
    const struct object *o = s->alt[i->alt].object;
    bool extra = j == NONE;
    uint32_t value = s->node[extra ? o->extra : o->p[j].node].shortest;
    uint32_t rest = object_rest(s, o, extra ? o->n : j + 1, i->count + 1, n_used(f) + extra);
    return far_add(far_add(comma_bytes(s) + value, rest), i->up); // a colon is as long as a comma
}

// Bytes to the end of the document when a key must come next.
static uint32_t key_finish(const struct schema *s, const struct frame *f, const struct item *i)
{
    const struct object *o = s->alt[i->alt].object;
    uint32_t best = FAR;
    for (uint32_t j = i->next, end = last_key(o, i); j < end; j++)
        if (key_allowed(f, o, i, j))
            best = min_of(best, far_add(o->p[j].key_len, after_key(s, f, i, j)));
    if (extra_allowed(f, o, i))
        best = min_of(best, far_add(EXTRA_KEY_BYTES, after_key(s, f, i, NONE)));
    return best;
}

// Bytes to the end of the document from after an element.
static uint32_t next_finish(const struct schema *s, const struct frame *f, const struct item *i)
{
    const struct alt *a = &s->alt[i->alt];
    uint32_t rest = f->kind == FRAME_ARRAY
                        ? array_rest(s, a->array, i->count)
                        : object_rest(s, a->object, i->next, i->count, n_used(f));
    return far_add(rest, i->up);
}

// The same from just after the opening bracket.
static uint32_t first_finish(const struct schema *s, const struct frame *f, const struct item *i)
{
    if (can_close(s, f, i)) return far_add(1, i->up);
    uint32_t n = next_finish(s, f, i);
    return n == FAR ? FAR : n - comma_bytes(s);
}

// ---- ends of values ----

static void enter_literal(const struct grammar *g, enum literal which, struct pos *to);

// The value that the frame's items in `row` waited for is complete.
static bool complete(const struct grammar *g, struct chunks *mem, const struct frame *f,
                     const uint64_t *row, struct pos *to)
{
    const struct schema *s = &g->s;
    *to = (struct pos){.mode = M_DONE};
    if (f->kind == FRAME_ROOT) {
        if (g->tools.on) enter_literal(g, LIT_CLOSE, to);
        return true;
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->n; i++) n += has_bit(row, i);
    struct frame *next = frame_new(mem, (enum frame_kind)f->kind, n, f->parent);
    next->used = f->used;
    n = 0;
    for (uint32_t i = 0; i < f->n; i++) {
        if (!has_bit(row, i)) continue;
        struct item *it = &FRAME_ITEMS(next)[n];
        *it = FRAME_ITEMS(f)[i];
        memcpy(FRAME_SERVES(next) + n * f->words, FRAME_SERVES(f) + i * f->words,
               f->words * sizeof(uint64_t));
        if (f->kind == FRAME_ARRAY) {
            it->count = settle_count(s->alt[it->alt].array, it->count + 1);
            set_element(s, it, f->depth >= DEEP);
        } else {
            it->child = NONE;
            it->after = FAR;
        }
        n++;
    }
    to->mode = M_NEXT;
    to->top = next;
    return true;
}

// The choices in `kept` end here.
static bool complete_choices(const struct grammar *g, struct chunks *mem, const struct pos *from,
                             const bool *kept, struct pos *to)
{
    const struct choices *x = from->choices;
    uint64_t *row = chunk_alloc(mem, (x->words + 1) * sizeof *row);
    for (uint32_t i = 0; i < x->n; i++)
        if (kept[i]) or_row(row, CHOICE_SERVES(x) + i * x->words, x->words);
    return any_bit(row, x->words) && complete(g, mem, from->top, row, to);
}

static bool close_container(const struct grammar *g, struct chunks *mem, const struct frame *f,
                            struct pos *to)
{
    uint64_t *row = chunk_alloc(mem, (f->words + 1) * sizeof *row);
    for (uint32_t i = 0; i < f->n; i++)
        if (can_close(&g->s, f, &FRAME_ITEMS(f)[i]))
            or_row(row, FRAME_SERVES(f) + i * f->words, f->words);
    return any_bit(row, f->words) && complete(g, mem, f->parent, row, to);
}

// ---- beginnings of values ----

// Alternatives of the children of all items, each once, with the items that each serves.
struct gathered {
    uint32_t n, words;
    uint32_t *alt;   // [n]
    uint64_t *serve; // [n][words]
};

static bool begins_with(const struct alt *a, uint8_t c)
{
    uint32_t lo = 0, hi;
    struct number number;
    switch (a->kind) {
    case ALT_STRING: return c == '"';
    case ALT_NUMBER: return number_begin(&number, c) && number_rest(a->range, &number) < FAR;
    case ALT_WORDS: hi = a->words->n; return words_narrow(a->words, &lo, &hi, 0, c);
    case ALT_ARRAY: return c == '[';
    default: return c == '{';
    }
}

static struct gathered gather(const struct schema *s, struct chunks *mem, const struct frame *f,
                              uint8_t c)
{
    struct gathered g = {.words = bit_words(f->n)};
    uint32_t cap = 0;
    for (uint32_t i = 0; i < f->n; i++)
        if (FRAME_ITEMS(f)[i].child != NONE) cap += s->node[FRAME_ITEMS(f)[i].child].n;
    g.alt = chunk_alloc(mem, (cap + 1) * sizeof *g.alt);
    g.serve = chunk_alloc(mem, ((size_t)cap * g.words + 1) * sizeof *g.serve);
    uint32_t *seen = f->n > 8 ? chunk_alloc(mem, (s->n_alt + 1) * sizeof *seen) : NULL;
    for (uint32_t i = 0; i < f->n; i++) {
        if (FRAME_ITEMS(f)[i].child == NONE) continue;
        const struct node *node = &s->node[FRAME_ITEMS(f)[i].child];
        for (uint32_t k = 0; k < node->n; k++) {
            const struct alt *a = &s->alt[node->alt[k]];
            if (!begins_with(a, c) || (f->depth >= DEEP && a->shortest > node->shortest)) continue;
            uint32_t at = 0;
            if (seen)
                at = seen[node->alt[k]] ? seen[node->alt[k]] - 1 : g.n;
            else
                while (at < g.n && g.alt[at] != node->alt[k]) at++;
            if (at == g.n) g.alt[g.n++] = node->alt[k];
            if (seen) seen[node->alt[k]] = at + 1;
            set_bit(g.serve + (size_t)at * g.words, i);
        }
    }
    return g;
}

static uint32_t least_after(const struct frame *f, const uint64_t *row)
{
    uint32_t best = FAR;
    for (uint32_t i = 0; i < f->n; i++)
        if (has_bit(row, i)) best = min_of(best, FRAME_ITEMS(f)[i].after);
    return best;
}

static bool open_container(const struct grammar *g, struct chunks *mem, const struct frame *f,
                           const struct gathered *all, uint8_t c, struct pos *to)
{
    struct frame *next = frame_new(mem, c == '[' ? FRAME_ARRAY : FRAME_OBJECT, all->n, f);
    for (uint32_t i = 0; i < all->n; i++) {
        struct item *it = &FRAME_ITEMS(next)[i];
        *it = (struct item){.alt = all->alt[i], .child = NONE, .after = FAR};
        it->up = least_after(f, all->serve + (size_t)i * all->words);
        if (c == '[') set_element(&g->s, it, next->depth >= DEEP);
    }
    memcpy(FRAME_SERVES(next), all->serve, (size_t)all->n * all->words * sizeof(uint64_t));
    *to = (struct pos){.mode = M_FIRST, .top = next};
    return true;
}

static bool keeps_digits(const struct schema *s, const struct choices *x)
{
    for (uint32_t i = 0; i < x->n; i++) {
        const struct alt *a = &s->alt[CHOICE_LIST(x)[i].alt];
        if (a->kind == ALT_NUMBER && a->range->bounded) return true;
    }
    return false;
}

static void set_number(const struct schema *s, struct chunks *mem, const struct number *n,
                       struct pos *to)
{
    struct number *copy = chunk_alloc(mem, sizeof *copy);
    *copy = *n;
    if (!keeps_digits(s, to->choices)) memset(copy->digit, 0, sizeof copy->digit);
    to->number = copy;
}

static bool begin_value(const struct grammar *g, struct chunks *mem, const struct frame *f,
                        uint8_t c, struct pos *to)
{
    const struct schema *s = &g->s;
    struct gathered all = gather(s, mem, f, c);
    if (all.n == 0) return false;
    if (c == '[' || c == '{') return open_container(g, mem, f, &all, c, to);
    struct choices *x = choices_new(mem, all.n, all.words);
    for (uint32_t i = 0; i < all.n; i++) {
        struct choice *ch = &CHOICE_LIST(x)[i];
        const struct alt *a = &s->alt[all.alt[i]];
        *ch = (struct choice){.alt = all.alt[i],
                              .tail = least_after(f, all.serve + (size_t)i * all.words)};
        ch->b = a->kind == ALT_WORDS ? a->words->n : 0;
        if (a->kind == ALT_WORDS) words_narrow(a->words, &ch->a, &ch->b, 0, c);
    }
    memcpy(CHOICE_SERVES(x), all.serve, (size_t)all.n * all.words * sizeof(uint64_t));
    *to = (struct pos){.top = f, .choices = x, .off = 1};
    if (c == '"') {
        to->mode = M_STRING;
    } else if (c >= 'a') {
        to->mode = M_WORD;
    } else {
        struct number n;
        to->mode = M_NUMBER;
        number_begin(&n, c);
        set_number(s, mem, &n, to);
    }
    return true;
}

// ---- strings ----

enum string_event {
    EVENT_BAD,
    EVENT_BYTE,   // a byte of a character as itself
    EVENT_CHAR,   // an escape is complete: `cp`
    EVENT_WITHIN, // within an escape
    EVENT_CLOSE
};

int utf8_step(uint8_t sub, uint8_t c)
{
    switch (sub) {
    case STR_PLAIN:
        if (c < 0x80) return STR_PLAIN;
        if (c >= 0xc2 && c <= 0xdf) return STR_U1;
        if (c == 0xe0) return STR_E0;
        if (c == 0xed) return STR_ED;
        if (c >= 0xe1 && c <= 0xef) return STR_U2;
        if (c == 0xf0) return STR_F0;
        if (c >= 0xf1 && c <= 0xf3) return STR_U3;
        return c == 0xf4 ? STR_F4 : -1;
    case STR_U1: return (c & 0xc0) == 0x80 ? STR_PLAIN : -1;
    case STR_U2: return (c & 0xc0) == 0x80 ? STR_U1 : -1;
    case STR_U3: return (c & 0xc0) == 0x80 ? STR_U2 : -1;
    case STR_E0: return c >= 0xa0 && c <= 0xbf ? STR_U1 : -1;
    case STR_ED: return c >= 0x80 && c <= 0x9f ? STR_U1 : -1;
    case STR_F0: return c >= 0x90 && c <= 0xbf ? STR_U2 : -1;
    case STR_F4: return c >= 0x80 && c <= 0x8f ? STR_U2 : -1;
    default: return -1;
    }
}

static int hex_value(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

// One hexadecimal digit of \uXXXX. A pair of surrogates is one character; a lone one is none.
static enum string_event step_hex(struct pos *p, uint8_t c, uint32_t *cp)
{
    int h = hex_value(c);
    if (h < 0) return EVENT_BAD;
    uint16_t unit = (uint16_t)(p->unit << 4 | h);
    bool low = p->sub == STR_LOW;
    if (low && ((p->digits == 0 && unit != 0xd) || (p->digits == 1 && unit < 0xdc)))
        return EVENT_BAD;
    if (!low && p->digits == 1 && unit >= 0xdc && unit <= 0xdf) return EVENT_BAD;
    p->unit = unit;
    if (++p->digits < 4) return EVENT_WITHIN;
    p->digits = 0;
    p->unit = 0;
    if (!low && unit >= 0xd800 && unit <= 0xdbff) {
        p->high = unit;
        p->sub = STR_HIGH;
        return EVENT_WITHIN;
    }
    *cp = low ? 0x10000 + (((uint32_t)p->high - 0xd800) << 10) + (unit - 0xdc00u) : unit;
    p->high = 0;
    p->sub = STR_PLAIN;
    return EVENT_CHAR;
}

static enum string_event step_escape(struct pos *p, uint8_t c, uint32_t *cp)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (c == 'u') {
        p->sub = STR_HEX;
        return EVENT_WITHIN;
    }
    const char *known = c ? strchr(from, c) : NULL;
    if (!known) return EVENT_BAD;
    *cp = (uint8_t)to[known - from];
    p->sub = STR_PLAIN;
    return EVENT_CHAR;
}

static enum string_event step_string_lexer(struct pos *p, uint8_t c, uint32_t *cp)
{
    switch (p->sub) {
    case STR_ESCAPE: return step_escape(p, c, cp);
    case STR_HEX:
    case STR_LOW: return step_hex(p, c, cp);
    case STR_HIGH: p->sub = STR_HIGH_ESCAPE; return c == '\\' ? EVENT_WITHIN : EVENT_BAD;
    case STR_HIGH_ESCAPE: p->sub = STR_LOW; return c == 'u' ? EVENT_WITHIN : EVENT_BAD;
    case STR_PLAIN:
        if (c < 0x20) return EVENT_BAD;
        if (c == '"') return EVENT_CLOSE;
        if (c == '\\') {
            p->sub = STR_ESCAPE;
            return EVENT_WITHIN;
        }
        break;
    default: break;
    }
    int sub = utf8_step(p->sub, c);
    if (sub < 0) return EVENT_BAD;
    p->sub = (uint8_t)sub;
    return EVENT_BYTE;
}

bool string_goes_on(const char *p, uint32_t n)
{
    struct pos at = {.mode = M_STRING};
    uint32_t cp;
    for (uint32_t i = 0; i < n; i++) {
        enum string_event event = step_string_lexer(&at, (uint8_t)p[i], &cp);
        if (event == EVENT_BAD || event == EVENT_CLOSE) return false;
    }
    return n > 0;
}

// Fewest bytes until the character that has been begun is complete.
static uint32_t character_rest(const struct pos *p)
{
    switch (p->sub) {
    case STR_PLAIN: return 0;
    case STR_U1:
    case STR_ESCAPE: return 1;
    case STR_U2:
    case STR_E0:
    case STR_ED: return 2;
    case STR_U3:
    case STR_F0:
    case STR_F4: return 3;
    case STR_HEX: // d8 to db: a second unit has to follow
        if (p->digits >= 2 && (p->unit >> 4 * (p->digits - 2)) >= 0xd8 &&
            (p->unit >> 4 * (p->digits - 2)) <= 0xdb)
            return (uint32_t)(4 - p->digits) + 6;
        return (uint32_t)(4 - p->digits);
    case STR_HIGH: return 6;
    case STR_HIGH_ESCAPE: return 5;
    default: return (uint32_t)(4 - p->digits);
    }
}

static bool string_choice(const struct schema *s, const struct pos *from, struct choice *ch,
                          uint8_t c, bool starts, bool closes)
{
    const struct alt *a = &s->alt[ch->alt];
    if (a->kind == ALT_WORDS) return words_narrow(a->words, &ch->a, &ch->b, from->off, c);
    if (starts && from->points >= a->string.max) return false;
    return !closes || from->points >= a->string.min;
}

// Replaces the choices by those in v that are kept.
static void keep_choices(struct chunks *mem, struct pos *to, const struct choice *v,
                         const bool *kept, uint32_t n_kept)
{
    const struct choices *x = to->choices;
    struct choices *y = choices_new(mem, n_kept, x->words);
    uint32_t n = 0;
    for (uint32_t i = 0; i < x->n; i++) {
        if (!kept[i]) continue;
        CHOICE_LIST(y)[n] = v[i];
        memcpy(CHOICE_SERVES(y) + (size_t)n * x->words, CHOICE_SERVES(x) + (size_t)i * x->words,
               x->words * sizeof(uint64_t));
        n++;
    }
    to->choices = y;
}

static bool lone_string(const struct schema *s, const struct choices *x)
{
    return x->n == 1 && s->alt[CHOICE_LIST(x)[0].alt].kind == ALT_STRING;
}

static bool step_string(const struct grammar *g, struct chunks *mem, const struct pos *from,
                        uint8_t c, struct pos *to)
{
    const struct schema *s = &g->s;
    const struct choices *x = from->choices;
    *to = *from;
    uint32_t cp;
    enum string_event event = step_string_lexer(to, c, &cp);
    if (event == EVENT_BAD) return false;
    bool closes = event == EVENT_CLOSE, starts = from->sub == STR_PLAIN && !closes;
    struct choice one, *v = x->n == 1 ? &one : chunk_alloc(mem, x->n * sizeof *v);
    bool kept_one, *kept = x->n == 1 ? &kept_one : chunk_alloc(mem, x->n);
    uint32_t n = 0;
    for (uint32_t i = 0; i < x->n; i++) {
        v[i] = CHOICE_LIST(x)[i];
        kept[i] = string_choice(s, from, &v[i], c, starts, closes);
        n += kept[i];
    }
    if (n == 0) return false;
    if (closes) return complete_choices(g, mem, from, kept, to);
    if (n < x->n || !lone_string(s, x)) keep_choices(mem, to, v, kept, n);
    to->off = from->off + 1;
    if (to->sub == STR_PLAIN) to->points++;
    if (lone_string(s, to->choices)) { // what no rule looks at any more does not tell states apart
        const struct alt *a = &s->alt[CHOICE_LIST(to->choices)[0].alt];
        to->off = 1;
        if (a->string.max == NONE && to->points > a->string.min) to->points = a->string.min;
    }
    return true;
}

// ---- numbers and words ----

static bool end_number(const struct grammar *g, struct chunks *mem, const struct pos *from,
                       struct pos *to)
{
    const struct choices *x = from->choices;
    bool *kept = chunk_alloc(mem, x->n);
    bool whole = from->number->sub != NUM_MINUS && from->number->sub != NUM_DOT &&
                 from->number->sub != NUM_E && from->number->sub != NUM_ESIGN;
    for (uint32_t i = 0; i < x->n; i++) {
        const struct choice *ch = &CHOICE_LIST(x)[i];
        const struct alt *a = &g->s.alt[ch->alt];
        kept[i] = a->kind == ALT_WORDS ? a->words->len[ch->a] == from->off
                                       : whole && number_rest(a->range, from->number) == 0;
    }
    return complete_choices(g, mem, from, kept, to);
}

static bool step_number(const struct grammar *g, struct chunks *mem, const struct pos *from,
                        uint8_t c, struct pos *to)
{
    const struct schema *s = &g->s;
    const struct choices *x = from->choices;
    struct number number = *from->number;
    if (!number_step(&number, c)) {
        struct pos end;
        return (c == ',' || c == ']' || c == '}' || g->tools.on) &&
               end_number(g, mem, from, &end) && pos_step(g, mem, &end, c, to);
    }
    struct choice *v = chunk_alloc(mem, x->n * sizeof *v);
    bool *kept = chunk_alloc(mem, x->n);
    uint32_t n = 0;
    for (uint32_t i = 0; i < x->n; i++) {
        v[i] = CHOICE_LIST(x)[i];
        const struct alt *a = &s->alt[v[i].alt];
        kept[i] = a->kind == ALT_WORDS ? words_narrow(a->words, &v[i].a, &v[i].b, from->off, c)
                                       : number_rest(a->range, &number) < FAR;
        n += kept[i];
    }
    if (n == 0) return false;
    *to = *from;
    to->off++;
    keep_choices(mem, to, v, kept, n);
    set_number(s, mem, &number, to);
    return true;
}

static bool step_word(const struct grammar *g, struct chunks *mem, const struct pos *from,
                      uint8_t c, struct pos *to)
{
    const struct choices *x = from->choices;
    struct choice *v = chunk_alloc(mem, x->n * sizeof *v);
    bool *kept = chunk_alloc(mem, x->n), ended = false;
    uint32_t n = 0;
    for (uint32_t i = 0; i < x->n; i++) {
        v[i] = CHOICE_LIST(x)[i];
        const struct words *w = g->s.alt[v[i].alt].words;
        kept[i] = words_narrow(w, &v[i].a, &v[i].b, from->off, c);
        if (kept[i]) ended = w->len[v[i].a] == from->off + 1; // no constant begins another
        n += kept[i];
    }
    if (n == 0) return false;
    if (ended) return complete_choices(g, mem, from, kept, to);
    *to = *from;
    to->off++;
    keep_choices(mem, to, v, kept, n);
    return true;
}

// ---- keys ----

static bool begin_key(const struct grammar *g, struct chunks *mem, const struct frame *f,
                      struct pos *to)
{
    const struct schema *s = &g->s;
    struct choices *x = choices_new(mem, f->n, 0);
    x->n = 0;
    for (uint32_t i = 0; i < f->n; i++) {
        const struct item *it = &FRAME_ITEMS(f)[i];
        const struct object *o = s->alt[it->alt].object;
        if (!key_possible(f, o, it)) continue;
        bool extra = extra_allowed(f, o, it);
        CHOICE_LIST(x)
        [x->n++] = (struct choice){i, 0, o->keys.n, extra ? 0 : NONE, extra ? o->names.n : 0, 0};
    }
    if (x->n == 0) return false;
    *to = (struct pos){.mode = M_KEY, .top = f, .choices = x};
    to->similar = f->used ? (f->used->n == 64 ? ~0ull : (1ull << f->used->n) - 1) : 0;
    return true;
}

static bool live_keys(const struct frame *f, const struct object *o, const struct item *it,
                      const struct choice *ch)
{
    for (uint32_t k = ch->a; k < ch->b; k++)
        if (key_allowed(f, o, it, o->keys.id[k])) return true;
    return false;
}

// One byte of the decoded key.
static void decode_key_byte(const struct grammar *g, struct chunks *mem, struct pos *to,
                            struct choice *v, uint32_t n, uint8_t c)
{
    const struct used_keys *used = to->top->used;
    bool extra = false;
    for (uint32_t i = 0; i < n; i++) {
        if (v[i].c == NONE) continue;
        extra = true;
        const struct object *o = g->s.alt[FRAME_ITEMS(to->top)[v[i].alt].alt].object;
        if (v[i].c < v[i].d && !words_narrow(&o->names, &v[i].c, &v[i].d, to->points, c))
            v[i].c = v[i].d = 0;
    }
    for (uint32_t k = 0; used && k < used->n; k++)
        if (to->similar >> k & 1 &&
            (used->len[k] <= to->points || (uint8_t)used->text[k][to->points] != c))
            to->similar &= ~(1ull << k);
    to->points++;
    if (!extra) return;
    struct key_byte *b = chunk_alloc(mem, sizeof *b);
    *b = (struct key_byte){to->key, (char)c};
    to->key = b;
}

static bool key_taken(const struct object *o, const struct pos *p, const struct choice *ch)
{
    if (ch->c < ch->d && o->names.len[ch->c] == p->points) return true;
    for (uint32_t k = 0; p->similar && k < p->top->used->n; k++)
        if (p->similar >> k & 1 && p->top->used->len[k] == p->points) return true;
    return false;
}

// Fewest bytes to add to the decoded key until it is one that may be used. The names are sparse
// among all strings, so that nearly always one character leads away from all of them.
static uint32_t key_rest(const struct object *o, const struct pos *p, const struct choice *ch)
{
    if (!key_taken(o, p, ch)) return 0;
    uint32_t best = 3;
    for (uint8_t c = ' '; c < 127 && best > 1; c++) {
        if (c == '"' || c == '\\') continue;
        struct pos q = *p;
        struct choice next = *ch;
        if (next.c < next.d && !words_narrow(&o->names, &next.c, &next.d, p->points, c))
            next.c = next.d = 0;
        for (uint32_t k = 0; q.similar && k < p->top->used->n; k++)
            if (p->top->used->len[k] <= p->points || (uint8_t)p->top->used->text[k][p->points] != c)
                q.similar &= ~(1ull << k);
        q.points++;
        best = min_of(best, 1 + key_rest(o, &q, &next));
    }
    return best;
}

static const struct used_keys *add_used(struct chunks *mem, const struct pos *p)
{
    const struct used_keys *old = p->top->used;
    struct used_keys *u = chunk_alloc(mem, sizeof *u);
    if (old) *u = *old;
    char *text = chunk_alloc(mem, p->points + 1);
    uint32_t at = p->points;
    for (const struct key_byte *b = p->key; b; b = b->before) text[--at] = b->byte;
    assert(at == 0 && u->n < EXTRA_KEYS_MAX);
    u->text[u->n] = text;
    u->len[u->n++] = p->points;
    return u;
}

static bool end_key(const struct grammar *g, struct chunks *mem, const struct pos *from,
                    struct pos *to)
{
    const struct schema *s = &g->s;
    const struct frame *f = from->top;
    const struct choices *x = from->choices;
    struct frame *next = frame_new(mem, FRAME_OBJECT, x->n, f->parent);
    uint32_t n = 0;
    bool any_extra = false;
    // The rows of `serves` follow the items, whose number is not known yet: collect indices first.
    uint32_t *source = chunk_alloc(mem, x->n * sizeof *source);
    struct item *items = chunk_alloc(mem, x->n * sizeof *items);
    for (uint32_t i = 0; i < x->n; i++) {
        struct choice ch = CHOICE_LIST(x)[i];
        struct item it = FRAME_ITEMS(f)[ch.alt];
        const struct object *o = s->alt[it.alt].object;
        uint32_t j = words_narrow(&o->keys, &ch.a, &ch.b, from->off, '"') ? o->keys.id[ch.a] : NONE;
        bool declared = j != NONE && key_allowed(f, o, &it, j);
        bool extra = !declared && ch.c != NONE && !key_taken(o, from, &ch);
        if (!declared && !extra) continue;
        any_extra = any_extra || extra;
        it.next = declared ? j + 1 : o->n;
        it.count++;
        it.child = declared ? o->p[j].node : o->extra;
        it.after = far_add(object_rest(s, o, it.next, it.count, n_used(f) + extra), it.up);
        source[n] = ch.alt;
        items[n++] = it;
    }
    if (n == 0) return false;
    next->n = n;
    memcpy(FRAME_ITEMS(next), items, n * sizeof *items);
    for (uint32_t i = 0; i < n; i++)
        memcpy(FRAME_SERVES(next) + (size_t)i * f->words,
               FRAME_SERVES(f) + (size_t)source[i] * f->words, f->words * sizeof(uint64_t));
    next->used = any_extra ? add_used(mem, from) : f->used;
    *to = (struct pos){.mode = M_COLON, .top = next};
    return true;
}

static bool step_key(const struct grammar *g, struct chunks *mem, const struct pos *from, uint8_t c,
                     struct pos *to)
{
    const struct choices *x = from->choices;
    *to = *from;
    uint32_t cp = 0;
    enum string_event event = step_string_lexer(to, c, &cp);
    if (event == EVENT_BAD) return false;
    if (event == EVENT_CLOSE) return end_key(g, mem, from, to);
    struct choices *y = choices_new(mem, x->n, 0);
    struct choice *v = CHOICE_LIST(y);
    y->n = 0;
    for (uint32_t i = 0; i < x->n; i++) {
        struct choice ch = CHOICE_LIST(x)[i];
        const struct item *it = &FRAME_ITEMS(from->top)[ch.alt];
        const struct object *o = g->s.alt[it->alt].object;
        if (!words_narrow(&o->keys, &ch.a, &ch.b, from->off, c) ||
            !live_keys(from->top, o, it, &ch))
            ch.a = ch.b = 0;
        if (ch.a < ch.b || ch.c != NONE) v[y->n++] = ch;
    }
    if (y->n == 0) return false;
    to->choices = y;
    to->off++;
    char utf8[4];
    int len = event == EVENT_CHAR ? utf8_put(cp, utf8) : 0;
    if (event == EVENT_BYTE) decode_key_byte(g, mem, to, v, y->n, c);
    for (int i = 0; i < len; i++) decode_key_byte(g, mem, to, v, y->n, (uint8_t)utf8[i]);
    return true;
}

uint32_t extra_key_finish(const grammar *g, const struct pos *p, const struct choice *ch)
{
    return far_add(CHARACTER_REST_MAX + 3 + 1,
                   after_key(&g->s, p->top, &FRAME_ITEMS(p->top)[ch->alt], NONE));
}

static uint32_t key_choice_finish(const struct schema *s, const struct pos *p,
                                  const struct choice *ch)
{
    const struct item *it = &FRAME_ITEMS(p->top)[ch->alt];
    const struct object *o = s->alt[it->alt].object;
    uint32_t best = FAR;
    for (uint32_t k = ch->a; k < ch->b; k++) {
        uint32_t j = o->keys.id[k];
        if (!key_allowed(p->top, o, it, j)) continue;
        best = min_of(best, far_add(o->keys.len[k] - p->off, after_key(s, p->top, it, j)));
    }
    if (ch->c == NONE) return best;
    // Within a character, its shortest completion may or may not be new: allow for a detour.
    uint32_t rest = p->sub == STR_PLAIN ? key_rest(o, p, ch) : character_rest(p) + 3;
    return min_of(best, far_add(rest + 1, after_key(s, p->top, it, NONE)));
}

// ---- between the lexemes ----

// Keeps the items of which `kept` says so; the same frame when that is all.
static const struct frame *keep_items(struct chunks *mem, const struct frame *f, const bool *kept,
                                      uint32_t n_kept)
{
    if (n_kept == f->n) return f;
    struct frame *next = frame_new(mem, (enum frame_kind)f->kind, n_kept, f->parent);
    next->used = f->used;
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->n; i++) {
        if (!kept[i]) continue;
        FRAME_ITEMS(next)[n] = FRAME_ITEMS(f)[i];
        memcpy(FRAME_SERVES(next) + (size_t)n * f->words, FRAME_SERVES(f) + (size_t)i * f->words,
               f->words * sizeof(uint64_t));
        n++;
    }
    return next;
}

static bool step_comma(const struct grammar *g, struct chunks *mem, const struct frame *f,
                       struct pos *to)
{
    bool *kept = chunk_alloc(mem, f->n);
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->n; i++) {
        const struct item *it = &FRAME_ITEMS(f)[i];
        kept[i] = f->kind == FRAME_ARRAY ? it->child != NONE
                                         : key_possible(f, g->s.alt[it->alt].object, it);
        n += kept[i];
    }
    if (n == 0) return false;
    enum mode next = f->kind == FRAME_ARRAY ? M_VALUE : M_QUOTE;
    *to = (struct pos){.mode = python(&g->s) ? M_COMMA : next, .top = keep_items(mem, f, kept, n)};
    return true;
}

static bool step_first(const struct grammar *g, struct chunks *mem, const struct pos *from,
                       uint8_t c, struct pos *to)
{
    const struct frame *f = from->top;
    if (c == (f->kind == FRAME_ARRAY ? ']' : '}')) return close_container(g, mem, f, to);
    if (f->kind == FRAME_ARRAY) return begin_value(g, mem, f, c, to);
    return c == '"' && begin_key(g, mem, f, to);
}

static bool step_next(const struct grammar *g, struct chunks *mem, const struct pos *from,
                      uint8_t c, struct pos *to)
{
    const struct frame *f = from->top;
    if (c == (f->kind == FRAME_ARRAY ? ']' : '}')) return close_container(g, mem, f, to);
    return c == ',' && step_comma(g, mem, f, to);
}

static bool step_colon(const struct grammar *g, const struct pos *from, uint8_t c, struct pos *to)
{
    *to = *from;
    if (c != ": "[from->off]) return false;
    to->off++;
    if (to->off < comma_bytes(&g->s)) return true;
    *to = (struct pos){.mode = M_VALUE, .top = from->top};
    return true;
}

// ---- text, literals, tool calls ----

static void enter_literal(const struct grammar *g, enum literal which, struct pos *to)
{
    *to = (struct pos){.mode = M_LITERAL, .literal = (uint8_t)which};
    if (g->tools.literal[which].len) return;
    *to = (struct pos){0};
    switch (which) { // an empty literal is passed at once
    case LIT_OPEN:
    case LIT_RETRY: *to = (struct pos){.mode = M_NAME, .b = g->tools.names.n}; break;
    case LIT_CLOSE: to->mode = M_AFTER; break;
    default: to->mode = M_BEGIN; break;
    }
}

static bool step_literal(const struct grammar *g, const struct pos *from, uint8_t c, struct pos *to)
{
    const struct literal_text *l = &g->tools.literal[from->literal];
    if ((uint8_t)l->text[from->off] != c) return false;
    *to = *from;
    if (++to->off < l->len) return true;
    bool name = from->literal == LIT_OPEN || from->literal == LIT_RETRY ||
                (from->literal == LIT_BETWEEN && g->tools.begin_token < 0);
    *to = (struct pos){.mode = name ? M_NAME : from->literal == LIT_CLOSE ? M_AFTER : M_BEGIN};
    if (name) to->b = g->tools.names.n;
    return true;
}

static void enter_arguments(const struct grammar *g, struct chunks *mem, uint32_t tool,
                            struct pos *to)
{
    struct frame *f = frame_new(mem, FRAME_ROOT, 1, NULL);
    f->tool = tool;
    FRAME_ITEMS(f)[0] = (struct item){.alt = NONE, .child = g->tools.node[tool]};
    FRAME_ITEMS(f)[0].after = g->tools.literal[LIT_CLOSE].cost[0];
    *to = (struct pos){.mode = M_VALUE, .top = f};
}

static bool step_name(const struct grammar *g, struct chunks *mem, const struct pos *from,
                      uint8_t c, struct pos *to)
{
    const struct words *w = &g->tools.names;
    *to = *from;
    if (!words_narrow(w, &to->a, &to->b, from->off, c)) return false;
    to->off++;
    if (w->len[to->a] == to->off) enter_arguments(g, mem, w->id[to->a], to);
    return true;
}

static bool may_call(const struct tools *t)
{
    return t->choice != CHOICE_NONE && t->names.n > 0;
}

// The bytes that open a call are recognised wherever they end.
static bool step_trigger(const struct grammar *g, struct pos *to, uint8_t c)
{
    const struct tools *t = &g->tools;
    if (t->trigger_len == 0) return true;
    uint32_t k = to->off;
    while (k > 0 && (uint8_t)t->trigger[k] != c) k = t->failure[k];
    if ((uint8_t)t->trigger[k] == c) k++;
    to->off = k;
    if (k < t->trigger_len) return true;
    if (!may_call(t)) return false;
    enter_literal(g, LIT_RETRY, to);
    return true;
}

static bool step_text(const struct grammar *g, const struct pos *from, uint8_t c, struct pos *to)
{
    int sub = utf8_step(from->sub, c);
    if (sub < 0) return false;
    *to = *from;
    to->sub = (uint8_t)sub;
    return g->tools.anchored || step_trigger(g, to, c);
}

static bool step_anchor(const struct grammar *g, const struct pos *from, uint8_t c, struct pos *to)
{
    const struct tools *t = &g->tools;
    if ((uint8_t)t->trigger[from->off] == c) {
        *to = *from;
        if (++to->off < t->trigger_len) return true;
        *to = (struct pos){.mode = M_NAME, .b = t->names.n};
        return may_call(t);
    }
    struct pos text = {.mode = M_TEXT};
    return (t->choice == CHOICE_AUTO || t->choice == CHOICE_NONE) && step_text(g, &text, c, to);
}

static bool step_after(const struct grammar *g, const struct pos *from, uint8_t c, struct pos *to)
{
    (void)from;
    if (!g->tools.parallel) return false;
    struct pos between;
    enter_literal(g, LIT_BETWEEN, &between);
    return between.mode == M_LITERAL && step_literal(g, &between, c, to);
}

// ---- the public steps ----

void pos_start(const grammar *g, struct chunks *mem, struct pos *p)
{
    *p = (struct pos){.mode = g->tools.anchored ? M_ANCHOR : M_TEXT};
    if (g->tools.on) return;
    struct frame *f = frame_new(mem, FRAME_ROOT, 1, NULL);
    FRAME_ITEMS(f)[0] = (struct item){.alt = NONE, .child = g->root};
    *p = (struct pos){.mode = M_VALUE, .top = f};
}

bool pos_step(const grammar *g, struct chunks *mem, const struct pos *from, uint8_t c,
              struct pos *to)
{
    switch (from->mode) {
    case M_VALUE: return begin_value(g, mem, from->top, c, to);
    case M_FIRST: return step_first(g, mem, from, c, to);
    case M_NEXT: return step_next(g, mem, from, c, to);
    case M_COMMA:
        *to = (struct pos){.mode = from->top->kind == FRAME_ARRAY ? M_VALUE : M_QUOTE,
                           .top = from->top};
        return c == ' ';
    case M_QUOTE: return c == '"' && begin_key(g, mem, from->top, to);
    case M_KEY: return step_key(g, mem, from, c, to);
    case M_COLON: return step_colon(g, from, c, to);
    case M_STRING: return step_string(g, mem, from, c, to);
    case M_NUMBER: return step_number(g, mem, from, c, to);
    case M_WORD: return step_word(g, mem, from, c, to);
    case M_TEXT: return step_text(g, from, c, to);
    case M_ANCHOR: return step_anchor(g, from, c, to);
    case M_LITERAL: return step_literal(g, from, c, to);
    case M_NAME: return step_name(g, mem, from, c, to);
    case M_AFTER: return step_after(g, from, c, to);
    default: return false;
    }
}

// An added token counts as its content within a literal, and as the begin tag where one may come.
bool pos_added(const grammar *g, struct chunks *mem, const struct pos *from, int32_t token,
               struct pos *to)
{
    const struct tools *t = &g->tools;
    if (!t->on) return false;
    bool begins = from->mode == M_BEGIN ||
                  (from->mode == M_TEXT && from->sub == STR_PLAIN && may_call(t)) ||
                  (from->mode == M_AFTER && t->parallel && t->literal[LIT_BETWEEN].len == 0);
    if (begins && token == t->begin_token) {
        enter_literal(g, LIT_OPEN, to);
        return true;
    }
    struct pos p = *from;
    if (p.mode == M_AFTER && t->parallel) enter_literal(g, LIT_BETWEEN, &p);
    if (p.mode != M_LITERAL) return false;
    const struct literal_text *l = &t->literal[p.literal];
    const char *text = g->v->bytes[token];
    uint32_t n = g->v->len[token];
    if (n == 0 || n > l->len - p.off || memcmp(l->text + p.off, text, n) != 0) return false;
    for (uint32_t i = 0; i < n; i++) {
        struct pos next;
        if (!pos_step(g, mem, &p, (uint8_t)text[i], &next)) return false;
        p = next;
    }
    *to = p;
    return true;
}

bool pos_may_end(const grammar *g, const struct pos *p)
{
    const struct tools *t = &g->tools;
    struct chunks scratch = {0};
    struct pos end;
    bool may;
    switch (p->mode) {
    case M_DONE:
    case M_AFTER: return true;
    case M_TEXT:
        return p->sub == STR_PLAIN && t->choice != CHOICE_REQUIRED && t->choice != CHOICE_NAMED;
    case M_ANCHOR: return t->choice == CHOICE_AUTO || t->choice == CHOICE_NONE;
    case M_NUMBER:
        if (p->top->kind != FRAME_ROOT || t->on) return false;
        may = end_number(g, &scratch, p, &end);
        chunk_free(&scratch);
        return may;
    default: return false;
    }
}

static uint32_t names_finish(const struct tools *t, const struct schema *s, uint32_t lo,
                             uint32_t hi, uint32_t off)
{
    uint32_t best = FAR;
    for (uint32_t i = lo; i < hi; i++)
        best =
            min_of(best, far_add(t->names.len[i] - off, s->node[t->node[t->names.id[i]]].shortest));
    return far_add(best, t->literal[LIT_CLOSE].cost[0]);
}

static uint32_t literal_finish(const struct grammar *g, const struct pos *p)
{
    const struct tools *t = &g->tools;
    uint32_t rest = t->literal[p->literal].cost[p->off],
             call = names_finish(t, &g->s, 0, t->names.n, 0);
    if (p->literal == LIT_CLOSE) return rest;
    if (p->literal == LIT_BETWEEN && t->begin_token >= 0)
        return far_add(far_add(rest, 1 + t->literal[LIT_OPEN].cost[0]), call);
    return far_add(rest, call);
}

static uint32_t text_finish(const struct grammar *g, const struct pos *p)
{
    const struct tools *t = &g->tools;
    bool must_call = t->choice == CHOICE_REQUIRED || t->choice == CHOICE_NAMED;
    if (!must_call) return p->mode == M_ANCHOR ? 0 : character_rest(p);
    uint32_t call = names_finish(t, &g->s, 0, t->names.n, 0);
    if (p->mode == M_ANCHOR) return far_add(t->trigger_len - p->off, call);
    if (t->begin_token >= 0)
        return far_add(character_rest(p) + 1 + t->literal[LIT_OPEN].cost[0], call);
    uint32_t begun = p->sub == STR_PLAIN ? p->off : 0; // a continuation byte breaks off the trigger
    return far_add(character_rest(p) + t->trigger_len - begun + t->literal[LIT_RETRY].cost[0],
                   call);
}

static uint32_t number_choice_rest(const struct alt *a, const struct pos *p,
                                   const struct choice *ch)
{
    if (a->kind == ALT_NUMBER) return number_rest(a->range, p->number);
    uint32_t best = FAR;
    for (uint32_t k = ch->a; k < ch->b; k++) best = min_of(best, a->words->len[k] - p->off);
    return best;
}

static uint32_t lexeme_finish(const struct grammar *g, const struct pos *p)
{
    uint32_t best = FAR;
    for (uint32_t i = 0; i < p->choices->n; i++) {
        const struct choice *ch = &CHOICE_LIST(p->choices)[i];
        if (p->mode == M_KEY) {
            best = min_of(best, key_choice_finish(&g->s, p, ch));
            continue;
        }
        const struct alt *a = &g->s.alt[ch->alt];
        uint32_t rest;
        if (a->kind == ALT_STRING) {
            uint32_t have = p->points + (p->sub != STR_PLAIN);
            rest = character_rest(p) + 1 + (a->string.min > have ? a->string.min - have : 0);
        } else {
            rest = number_choice_rest(a, p, ch);
        }
        best = min_of(best, far_add(rest, ch->tail));
    }
    return best;
}

static uint32_t frame_finish(const struct grammar *g, const struct pos *p)
{
    const struct frame *f = p->top;
    uint32_t best = FAR;
    for (uint32_t i = 0; i < f->n; i++) {
        const struct item *it = &FRAME_ITEMS(f)[i];
        uint32_t n = FAR;
        bool value = p->mode == M_VALUE || p->mode == M_COLON ||
                     (p->mode == M_COMMA && f->kind == FRAME_ARRAY);
        if (value)
            n = it->child == NONE ? FAR : far_add(g->s.node[it->child].shortest, it->after);
        else if (p->mode == M_FIRST)
            n = first_finish(&g->s, f, it);
        else if (p->mode == M_NEXT)
            n = next_finish(&g->s, f, it);
        else
            n = key_finish(&g->s, f, it);
        best = min_of(best, n);
    }
    if (p->mode == M_COLON) best = far_add(best, comma_bytes(&g->s) - p->off);
    return p->mode == M_COMMA ? far_add(best, 1) : best;
}

uint32_t pos_finish(const grammar *g, const struct pos *p)
{
    const struct tools *t = &g->tools;
    switch (p->mode) {
    case M_DONE:
    case M_AFTER:
    case M_ENDED: return 0;
    case M_TEXT:
    case M_ANCHOR: return text_finish(g, p);
    case M_LITERAL: return literal_finish(g, p);
    case M_NAME: return names_finish(t, &g->s, p->a, p->b, p->off);
    case M_BEGIN:
        return far_add(1 + t->literal[LIT_OPEN].cost[0], names_finish(t, &g->s, 0, t->names.n, 0));
    case M_STRING:
    case M_NUMBER:
    case M_WORD:
    case M_KEY: return lexeme_finish(g, p);
    default: return frame_finish(g, p);
    }
}

// ---- copies and comparison ----

static const struct used_keys *copy_used(struct chunks *mem, const struct used_keys *u)
{
    if (!u) return NULL;
    struct used_keys *copy = chunk_alloc(mem, sizeof *copy);
    *copy = *u;
    for (uint32_t i = 0; i < u->n; i++) {
        char *text = chunk_alloc(mem, u->len[i] + 1);
        memcpy(text, u->text[i], u->len[i]);
        copy->text[i] = text;
    }
    return copy;
}

static size_t frame_bytes(const struct frame *f)
{
    return sizeof *f + f->n * sizeof(struct item) + (size_t)f->n * f->words * sizeof(uint64_t);
}

static size_t choices_bytes(const struct choices *x)
{
    return sizeof *x + x->n * sizeof(struct choice) + (size_t)x->n * x->words * sizeof(uint64_t);
}

void pos_copy(struct chunks *mem, const struct pos *from, struct pos *to)
{
    struct pos p = *from;
    const struct frame **link = &p.top;
    for (const struct frame *f = from->top; f; f = f->parent) {
        struct frame *copy = chunk_alloc(mem, frame_bytes(f));
        memcpy(copy, f, frame_bytes(f));
        copy->used = copy_used(mem, f->used);
        *link = copy;
        link = &copy->parent;
    }
    if (from->choices) {
        struct choices *x = chunk_alloc(mem, choices_bytes(from->choices));
        memcpy(x, from->choices, choices_bytes(from->choices));
        p.choices = x;
    }
    if (from->number) {
        struct number *n = chunk_alloc(mem, sizeof *n);
        *n = *from->number;
        p.number = n;
    }
    const struct key_byte **key = &p.key;
    for (const struct key_byte *b = from->key; b; b = b->before) {
        struct key_byte *copy = chunk_alloc(mem, sizeof *copy);
        *copy = *b;
        *key = copy;
        key = &copy->before;
    }
    *to = p;
}

static bool used_equal(const struct used_keys *a, const struct used_keys *b)
{
    if (!a || !b) return a == b;
    if (a->n != b->n) return false;
    for (uint32_t i = 0; i < a->n; i++)
        if (a->len[i] != b->len[i] || memcmp(a->text[i], b->text[i], a->len[i]) != 0) return false;
    return true;
}

static bool frame_equal(const struct frame *a, const struct frame *b)
{
    for (; a && b; a = a->parent, b = b->parent) {
        if (a == b) return true;
        if (a->kind != b->kind || a->depth != b->depth || a->n != b->n || a->tool != b->tool)
            return false;
        size_t n = frame_bytes(a) - sizeof *a;
        if (memcmp(FRAME_ITEMS(a), FRAME_ITEMS(b), n) != 0 || !used_equal(a->used, b->used))
            return false;
    }
    return a == b;
}

bool pos_equal(const struct pos *a, const struct pos *b)
{
    if (a->mode != b->mode || a->sub != b->sub || a->digits != b->digits ||
        a->literal != b->literal || a->unit != b->unit || a->high != b->high || a->off != b->off ||
        a->points != b->points || a->similar != b->similar || a->a != b->a || a->b != b->b)
        return false;
    if (!a->choices != !b->choices || !a->number != !b->number) return false;
    if (a->choices && (a->choices->n != b->choices->n || a->choices->words != b->choices->words ||
                       memcmp(CHOICE_LIST(a->choices), CHOICE_LIST(b->choices),
                              choices_bytes(a->choices) - sizeof *a->choices) != 0))
        return false;
    if (a->number && memcmp(a->number, b->number, sizeof *a->number) != 0) return false;
    const struct key_byte *x = a->key, *y = b->key;
    for (; x && y; x = x->before, y = y->before)
        if (x->byte != y->byte) return false;
    return !x && !y && frame_equal(a->top, b->top);
}

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}

uint64_t pos_hash(const struct pos *p)
{
    uint64_t h = mix(p->mode, (uint64_t)p->sub << 32 | (uint64_t)p->unit << 8 | p->digits);
    h = mix(h, (uint64_t)p->off << 32 | p->points);
    h = mix(h, p->similar + p->literal);
    h = mix(h, (uint64_t)p->a << 32 | p->b);
    for (uint32_t i = 0; p->choices && i < p->choices->n; i++)
        h = mix(h, (uint64_t)CHOICE_LIST(p->choices)[i].alt << 32 | CHOICE_LIST(p->choices)[i].a);
    if (p->number)
        h = mix(h, (uint64_t)p->number->n_int << 16 | (uint64_t)p->number->n_frac << 8 |
                       p->number->sub);
    for (const struct frame *f = p->top; f; f = f->parent) {
        const struct item *it = FRAME_ITEMS(f);
        h = mix(h, (uint64_t)f->kind << 32 | f->n);
        h = mix(h, (uint64_t)it->alt << 32 | it->child);
        h = mix(h, (uint64_t)it->next << 32 | it->count);
    }
    return h;
}
