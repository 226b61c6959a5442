// The automaton: one byte further, and how many bytes the shortest finish takes from there.
//
// A step never fails late: a reading of the text is kept only while its own completion exists, so a
// position that is not dead can be finished. New frames stand in the caller's scratch memory; a
// position that is to stay is copied to the heap, where its frames are shared and counted, so that
// a copy of a state, or going back to an older one, costs nothing.
#include "base/mem.h"
#include "base/utf8.h"
#include "engine/grammar_private.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

// Elements that are compared by value, after which an array ends where it may: each is taken from
// what the next one may be, which grows with them.
#define SCALARS_MAX    96
#define CONTAINERS_MAX 48

#define DEEP 500 // from here on only what is needed is written, so that nesting ends

static bool python(const grammar *g)
{
    return g->o.spacing == SPACING_PYTHON;
}
static uint32_t comma_bytes(const grammar *g)
{
    return python(g) ? 2 : 1;
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

// ---- frames ----

static size_t frame_bytes(uint32_t n, uint32_t words, uint32_t n_seen)
{
    return sizeof(struct frame) + n * sizeof(struct item) +
           ((size_t)n * words + n_seen) * sizeof(uint64_t);
}

static struct frame *frame_new(struct chunks *mem, enum frame_kind kind, uint32_t n,
                               const struct frame *parent, uint32_t n_seen)
{
    uint32_t words = parent ? bit_words(parent->n) : 0;
    struct frame *f = chunk_alloc(mem, frame_bytes(n, words, n_seen));
    f->parent = parent;
    f->kind = (uint8_t)kind;
    f->n = n;
    f->words = words;
    f->n_seen = n_seen;
    f->depth = parent ? parent->depth + 1 : 0;
    f->record = parent && parent->record;
    f->guessed = parent && (parent->guessed || parent->unmerged);
    return f;
}

// Like `from`, with n items.
static struct frame *frame_like(struct chunks *mem, const struct frame *from, uint32_t n)
{
    struct frame *f = frame_new(mem, (enum frame_kind)from->kind, n, from->parent, from->n_seen);
    f->keys = from->keys;
    f->extra = from->extra;
    f->record = from->record;
    f->count = from->count;
    f->next = from->next;
    f->column = from->column;
    f->entry = from->entry;
    f->edge = from->edge;
    f->used = from->used;
    f->n_used = from->n_used;
    f->unmerged = from->unmerged;
    f->unmerged_box = from->unmerged_box;
    f->last = from->last;
    f->distinct = from->distinct;
    f->start = from->start;
    if (from->n_seen) memcpy(FRAME_SEEN(f), FRAME_SEEN(from), from->n_seen * sizeof(uint64_t));
    return f;
}

static void copy_row(struct frame *to, uint32_t at, const struct frame *from, uint32_t i)
{
    memcpy(FRAME_SERVES(to) + (size_t)at * to->words, FRAME_SERVES(from) + (size_t)i * from->words,
           from->words * sizeof(uint64_t));
}

// Called when the frame is filled in.
static const struct frame *frame_seal(struct frame *f)
{
    uint64_t h = mix((uint64_t)f->kind << 32 | f->n, (uint64_t)f->count << 32 | f->next);
    uint64_t k = mix((uint64_t)(uintptr_t)f->keys, f->used);
    k = mix(k, (uint64_t)f->distinct << 1 | (f->depth >= DEEP));
    k = mix(k, (uint64_t)f->unmerged << 32 | f->n_used);
    for (uint32_t i = 0; i < f->n; i++)
        h = mix(h, (uint64_t)FRAME_ITEMS(f)[i].form << 32 | FRAME_ITEMS(f)[i].child);
    const uint64_t *rows = FRAME_SERVES(f);
    for (size_t i = 0, n = (size_t)f->n * f->words + f->n_seen; i < n; i++) k = mix(k, rows[i]);
    for (const struct seen_key *x = f->extra; x; x = x->before) {
        k = mix(k, x->len);
        for (uint32_t i = 0; i < x->len; i++) k = mix(k, (uint8_t)x->text[i]);
    }
    f->hash[0] = mix(h, f->parent ? f->parent->hash[0] : 1);
    f->hash[1] = mix(k + h, f->parent ? f->parent->hash[1] : 2);
    return f;
}

const struct frame *frame_root(struct chunks *mem, set_id child)
{
    struct frame *f = frame_new(mem, FRAME_ROOT, 1, NULL, 0);
    FRAME_ITEMS(f)[0] = (struct item){.form = FORM_TRUE, .child = child};
    return frame_seal(f);
}

static struct object_at object_at(const struct frame *f)
{
    return (struct object_at){
        .k = f->keys, .seen = FRAME_SEEN(f), .next = f->next, .count = f->count, .extra = f->extra};
}

static struct used frame_used(const struct frame *f)
{
    return (struct used){.set = f->used, .words = f->distinct, .taken = FRAME_SEEN(f)};
}

static bool is_closed(grammar *g, const struct frame *f, uint32_t i)
{
    form_id form = FRAME_ITEMS(f)[i].form;
    if (f->kind == FRAME_ARRAY) return array_closes(g, form, f->count);
    struct object_at at = object_at(f);
    return object_closes(g, form, &at);
}

// ---- ends of values ----

// From the ends of two elements' texts (a NULL: not known) back: strings without escapes are the
// same where their texts are, and a string is like nothing else.
static bool surely_differ(const struct text_byte *a, const struct text_byte *b)
{
    bool differ = false;
    if (!a) return false;
    if ((a->byte == '"') != (b->byte == '"')) return true;
    if (a->byte != '"') return false;
    for (a = a->before, b = b->before; a->byte != '"' || b->byte != '"';) {
        if (a->byte == '\\' || b->byte == '\\') return false;
        differ = differ || a->byte != b->byte;
        if (a->byte != '"') a = a->before;
        if (b->byte != '"') b = b->before;
    }
    return differ;
}

// Leaves the element out of `used` for now.
static void leave_unmerged(grammar *g, struct frame *f, const struct pos *p, bool box)
{
    bool differs = f->unmerged == 0 || (f->unmerged == 1 && surely_differ(f->last, p->text));
    f->n_used++;
    f->unmerged = differs ? f->unmerged + 1 : UNMERGED_MAX;
    f->unmerged_box = f->unmerged_box || box;
    f->last = p->text;
    g->guesses = (uint8_t)max_of(g->guesses, f->unmerged);
}

static void add_to_used(grammar *g, struct frame *f, const struct pos *p, bool box)
{
    if (g->guess) {
        leave_unmerged(g, f, p, box);
        return;
    }
    uint32_t n = (p->text ? p->text->len : 0) - (f->start ? f->start->len : 0);
    char *text = mem_new(n + 1);
    const struct text_byte *b = p->text;
    for (uint32_t i = n; i-- > 0; b = b->before) text[i] = b->byte;
    json_t *v = json_loadb(text, n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (!v)
        v = json_loadb(text, n, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
    f->n_used++;
    if (v) f->used = values_or(g, f->used, values_of_json(g, v));
    json_decref(v);
    free(text);
}

static uint32_t settle(const grammar *g, const struct frame *f, uint32_t count)
{
    uint32_t most = 1;
    for (uint32_t i = 0; i < f->n; i++)
        if (g->forms[FRAME_ITEMS(f)[i].form].settled > most)
            most = g->forms[FRAME_ITEMS(f)[i].form].settled;
    return min_of(count, most);
}

// Items that serve the same ones below are one item, in which either form may hold. Forms in which
// elements are compared stand alone.
static uint32_t merge_items(grammar *g, struct frame *f, uint32_t n)
{
    uint32_t m = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct item it = FRAME_ITEMS(f)[i];
        bool alone = form_compares(g, it.form);
        const uint64_t *row = FRAME_SERVES(f) + (size_t)i * f->words;
        uint32_t k = 0;
        for (; k < m; k++) {
            form_id form = FRAME_ITEMS(f)[k].form;
            if (form != it.form && (alone || form_compares(g, form))) continue;
            if (memcmp(FRAME_SERVES(f) + (size_t)k * f->words, row, f->words * sizeof *row) == 0)
                break;
        }
        if (k < m) {
            FRAME_ITEMS(f)[k].form = form_or(g, FRAME_ITEMS(f)[k].form, it.form);
            continue;
        }
        FRAME_ITEMS(f)[m] = it;
        memmove(FRAME_SERVES(f) + (size_t)m * f->words, row, f->words * sizeof *row);
        m++;
    }
    return m;
}

static bool any_compares(const grammar *g, const struct frame *f)
{
    for (uint32_t i = 0; i < f->n; i++)
        if (form_compares(g, FRAME_ITEMS(f)[i].form)) return true;
    return false;
}

// Takes the word that the string at `from` is; where it may be several, one that is left.
static void take_word(grammar *g, struct frame *f, const struct pos *from)
{
    uint32_t lo = 0, hi = 0;
    lex_words_range(g->x, from->s, &lo, &hi);
    lo = lex_words_next(FRAME_SEEN(f), lo, hi);
    if (lo < hi) set_bit(FRAME_SEEN(f), lo);
}

// The value that the frame's items in `row` waited for is complete.
static bool complete(grammar *g, struct chunks *mem, const struct pos *from, const struct frame *f,
                     const uint64_t *row, struct pos *to)
{
    bool box = from->top != f;
    *to = (struct pos){.mode = M_DONE, .text = from->text}; // which may be `from`
    if (f->kind == FRAME_ROOT) {
        to->text = NULL;
        return !f->column || rules_json_done(g, mem, f, to);
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->n; i++) n += has_bit(row, i);
    struct frame *next = frame_like(mem, f, n);
    n = 0;
    for (uint32_t i = 0; i < f->n; i++) {
        if (!has_bit(row, i)) continue;
        FRAME_ITEMS(next)[n] = (struct item){.form = FRAME_ITEMS(f)[i].form};
        copy_row(next, n++, f, i);
    }
    if (n > 1) {
        uint32_t m = merge_items(g, next, n);
        if (m < n) {
            struct frame *less = frame_like(mem, next, m);
            memcpy(FRAME_ITEMS(less), FRAME_ITEMS(next), m * sizeof(struct item));
            memcpy(FRAME_SERVES(less), FRAME_SERVES(next), (size_t)m * f->words * sizeof(uint64_t));
            next = less;
        }
    }
    if (f->distinct != LEX_EMPTY) take_word(g, next, from);
    if (f->kind == FRAME_ARRAY && f->record) {
        if (f->distinct == LEX_EMPTY && any_compares(g, next)) add_to_used(g, next, from, box);
        next->start = NULL;
        if (!f->parent->record) to->text = NULL;
    }
    next->count = settle(g, next, f->count + 1);
    to->mode = M_NEXT;
    to->top = frame_seal(next);
    return true;
}

static bool close_container(grammar *g, struct chunks *mem, const struct pos *from, struct pos *to)
{
    const struct frame *f = from->top;
    uint64_t room[4] = {0}, *row = f->words <= 4 ? room : chunk_alloc(mem, f->words * sizeof *row);
    for (uint32_t i = 0; i < f->n; i++)
        if (is_closed(g, f, i)) or_row(row, FRAME_SERVES(f) + (size_t)i * f->words, f->words);
    return any_bit(row, f->words) && complete(g, mem, from, f->parent, row, to);
}

// ---- beginnings of values ----

struct reading {
    uint32_t id; // form or lexical state
    uint32_t item;
};

static uint32_t least_scalar(grammar *g, const struct frame *f)
{
    uint32_t best = FAR;
    for (uint32_t i = 0; i < f->n; i++)
        best = min_of(best, g->sets[FRAME_ITEMS(f)[i].child].scalar_cost);
    return best;
}

// Forms in which elements are compared stand alone, not as one of several alternatives.
static void split_compared(grammar *g, form_id f, struct reading *v, uint32_t *n, uint32_t cap,
                           uint32_t item)
{
    struct form x = g->forms[f];
    if (form_compares(g, f) && x.kind == F_OR) {
        for (uint32_t i = 0; i < x.n; i++) split_compared(g, x.list[i], v, n, cap, item);
        return;
    }
    if (form_compares(g, f) && x.kind == F_AND)
        for (uint32_t i = 0; i < x.n; i++) {
            struct form y = g->forms[x.list[i]];
            if (y.kind != F_OR || !form_compares(g, x.list[i])) continue;
            form_id rest = FORM_TRUE;
            for (uint32_t k = 0; k < x.n; k++)
                if (k != i) rest = form_and(g, rest, x.list[k]);
            for (uint32_t k = 0; k < y.n; k++)
                split_compared(g, form_and(g, rest, y.list[k]), v, n, cap, item);
            return;
        }
    if (f == FORM_FALSE || array_rest(g, f, 0, &(struct used){.set = SET_NONE}) >= FAR) return;
    if (*n < cap) v[(*n)++] = (struct reading){f, item};
}

// The language of which the elements are words under every form, see array_words.
static lex_lang common_words(grammar *g, const form_id *form, uint32_t n)
{
    lex_lang words = array_words(g, form[0]);
    for (uint32_t i = 1; i < n && words != LEX_EMPTY; i++)
        if (array_words(g, form[i]) != words) words = LEX_EMPTY;
    return words;
}

static const struct frame *open_frame(grammar *g, struct chunks *mem, const struct frame *f,
                                      enum frame_kind kind, const struct reading *v, uint32_t n)
{
    form_id room[32], *form = n <= 32 ? room : chunk_alloc(mem, n * sizeof *form);
    uint32_t m = 0;
    struct frame *next = frame_new(mem, kind, n, f, 0);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = 0;
        while (k < m && form[k] != v[i].id) k++;
        if (k == m) form[m++] = v[i].id;
        FRAME_ITEMS(next)[k].form = v[i].id;
    }
    const struct keys *keys = kind == FRAME_OBJECT ? keys_of(g, form, m) : NULL;
    lex_lang words = kind == FRAME_ARRAY ? common_words(g, form, m) : (lex_lang)LEX_EMPTY;
    uint32_t bits = keys ? keys->n : words ? lex_words_count(g->x, words) : 0;
    next = frame_new(mem, kind, m, f, bit_words(bits));
    next->keys = keys;
    next->distinct = words;
    for (uint32_t k = 0; k < m; k++) {
        FRAME_ITEMS(next)[k].form = form[k];
        next->record = next->record || (kind == FRAME_ARRAY && !words && form_compares(g, form[k]));
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = 0;
        while (form[k] != v[i].id) k++;
        set_bit(FRAME_SERVES(next) + (size_t)k * next->words, v[i].item);
    }
    return frame_seal(next);
}

static bool open_container(grammar *g, struct chunks *mem, const struct pos *from, bool object,
                           struct pos *to)
{
    const struct frame *f = from->top;
    bool deep = f->depth >= DEEP && least_scalar(g, f) < FAR;
    uint32_t n = 0, cap = f->n * 4 + 60;
    struct reading room[8], *v = f->n == 1 ? room : chunk_alloc(mem, cap * sizeof *v);
    if (f->n == 1) cap = 8;
    if (deep) return false;
    for (uint32_t i = 0; i < f->n; i++) {
        const struct set *s = &g->sets[FRAME_ITEMS(f)[i].child];
        form_id form = object ? s->object : s->array;
        if (form == FORM_FALSE || !form_lives(g, form, object)) continue;
        if (!object && form_compares(g, form))
            split_compared(g, form, v, &n, cap, i);
        else if (n < cap)
            v[n++] = (struct reading){form, i};
    }
    if (n == 0) return false;
    *to = (struct pos){.mode = M_FIRST,
                       .top = open_frame(g, mem, f, object ? FRAME_OBJECT : FRAME_ARRAY, v, n),
                       .text = from->text};
    return true;
}

static struct choices *choices_new(struct chunks *mem, uint32_t n, uint32_t words)
{
    struct choices *x = chunk_alloc(mem, sizeof *x + ((n + 1) & ~1u) * sizeof(lex_state) +
                                             (size_t)n * words * sizeof(uint64_t));
    x->n = n;
    x->words = words;
    return x;
}

// Readings of a string or a number, equal states as one.
static bool set_readings(struct chunks *mem, const struct frame *f, const struct reading *v,
                         uint32_t n, struct pos *to)
{
    uint32_t m = 0, words = bit_words(f->n);
    struct choices *x = choices_new(mem, n, words);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = 0;
        while (k < m && CHOICE_STATES(x)[k] != v[i].id) k++;
        if (k == m) CHOICE_STATES(x)[m++] = v[i].id;
        set_bit(CHOICE_SERVES(x) + (size_t)k * words, v[i].item);
    }
    x->n = m;
    if (((m + 1) & ~1u) != ((n + 1) & ~1u)) // the rows stand after the states
        memmove(CHOICE_SERVES(x), (uint64_t *)(CHOICE_STATES(x) + ((n + 1) & ~1u)),
                (size_t)m * words * sizeof(uint64_t));
    to->choices = x;
    to->s = m == 1 ? CHOICE_STATES(x)[0] : LEX_DEAD;
    return m > 0;
}

static bool begin_scalar(grammar *g, struct chunks *mem, const struct pos *from, uint8_t c,
                         struct pos *to)
{
    const struct frame *f = from->top;
    struct reading room[8], *v = f->n <= 8 ? room : chunk_alloc(mem, f->n * sizeof *v);
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->n; i++) {
        const struct set *s = &g->sets[FRAME_ITEMS(f)[i].child];
        lex_lang lang = c == '"' ? s->string : s->number;
        if (lang == LEX_EMPTY) continue;
        lex_state state = lex_start(g->x, lang);
        if (c != '"') state = lex_step(g->x, state, c);
        if (state != LEX_DEAD) v[n++] = (struct reading){state, i};
    }
    *to = (struct pos){.mode = c == '"' ? M_STRING : M_NUMBER, .top = f, .text = from->text};
    return n > 0 && set_readings(mem, f, v, n, to);
}

static const char *const word_text[] = {"null", "true", "false"};

static bool begin_word(const grammar *g, const struct pos *from, uint8_t c, struct pos *to)
{
    uint8_t which = c == 'n' ? 0 : c == 't' ? 1 : 2;
    for (uint32_t i = 0; i < from->top->n; i++) {
        if (!(g->sets[FRAME_ITEMS(from->top)[i].child].literals >> which & 1)) continue;
        *to = (struct pos){
            .mode = M_WORD, .literal = which, .off = 1, .top = from->top, .text = from->text};
        return true;
    }
    return false;
}

static bool begin_value(grammar *g, struct chunks *mem, const struct pos *from, uint8_t c,
                        struct pos *to)
{
    switch (c) {
    case '{':
    case '[': return open_container(g, mem, from, c == '{', to);
    case 'n':
    case 't':
    case 'f': return begin_word(g, from, c, to);
    case '"': return begin_scalar(g, mem, from, c, to);
    default: return (c == '-' || (c >= '0' && c <= '9')) && begin_scalar(g, mem, from, c, to);
    }
}

// ---- strings, numbers and words ----

static bool takes_words(const struct pos *p)
{
    return p->mode == M_STRING && p->top->distinct != LEX_EMPTY;
}

// The choices that accept here end.
static bool complete_choices(grammar *g, struct chunks *mem, const struct pos *from, struct pos *to)
{
    const struct choices *x = from->choices;
    if (x->n == 1 && takes_words(from)) {
        uint32_t lo, hi; // the shortest of those that begin so is this one
        if (!lex_accepts(g->x, from->s) || !lex_words_range(g->x, from->s, &lo, &hi)) return false;
        if (has_bit(FRAME_SEEN(from->top), lo)) return false;
    }
    if (x->n == 1)
        return lex_accepts(g->x, from->s) &&
               complete(g, mem, from, from->top, CHOICE_SERVES(x), to);
    uint64_t *row = chunk_alloc(mem, (x->words + 1) * sizeof *row);
    for (uint32_t i = 0; i < x->n; i++)
        if (lex_accepts(g->x, CHOICE_STATES(x)[i]))
            or_row(row, CHOICE_SERVES(x) + (size_t)i * x->words, x->words);
    return any_bit(row, x->words) && complete(g, mem, from, from->top, row, to);
}

// All choices one byte further; false: none goes on.
static bool step_choices(grammar *g, struct chunks *mem, const struct pos *from, uint8_t c,
                         struct pos *to)
{
    const struct choices *x = from->choices;
    if (x->n == 1) {
        lex_state s = lex_step(g->x, from->s, c);
        if (s == LEX_DEAD) return false;
        if (takes_words(from) && !lex_words_left(g->x, s, FRAME_SEEN(from->top))) return false;
        *to = *from;
        to->s = s;
        return true;
    }
    lex_state room[16], *s = x->n <= 16 ? room : chunk_alloc(mem, x->n * sizeof *s);
    uint32_t n = 0;
    for (uint32_t i = 0; i < x->n; i++) {
        s[i] = lex_step(g->x, CHOICE_STATES(x)[i], c);
        n += s[i] != LEX_DEAD;
    }
    if (n == 0) return false;
    struct choices *y = choices_new(mem, n, x->words);
    uint32_t m = 0;
    for (uint32_t i = 0; i < x->n; i++) {
        if (s[i] == LEX_DEAD) continue;
        CHOICE_STATES(y)[m] = s[i];
        memcpy(CHOICE_SERVES(y) + (size_t)m * x->words, CHOICE_SERVES(x) + (size_t)i * x->words,
               x->words * sizeof(uint64_t));
        m++;
    }
    *to = *from;
    to->choices = y;
    to->s = n == 1 ? CHOICE_STATES(y)[0] : LEX_DEAD;
    return true;
}

static bool step_string(grammar *g, struct chunks *mem, const struct pos *from, uint8_t c,
                        struct pos *to)
{
    if (step_choices(g, mem, from, c, to)) return true;
    return c == '"' && complete_choices(g, mem, from, to);
}

struct pos pos_reading(struct chunks *mem, const struct pos *p, uint32_t i)
{
    const struct choices *x = p->choices;
    struct choices *one = choices_new(mem, 1, x->words);
    struct pos q = *p;
    CHOICE_STATES(one)[0] = q.s = CHOICE_STATES(x)[i];
    memcpy(CHOICE_SERVES(one), CHOICE_SERVES(x) + (size_t)i * x->words,
           x->words * sizeof(uint64_t));
    q.choices = one;
    return q;
}

bool pos_without_taken(struct chunks *mem, const struct pos *p, struct pos *to)
{
    bool some = false;
    *to = *p;
    for (uint32_t w = 0; takes_words(p) && w < p->top->n_seen; w++)
        some = some || FRAME_SEEN(p->top)[w];
    if (!some) return false;
    struct frame *f = frame_like(mem, p->top, p->top->n);
    memcpy(FRAME_ITEMS(f), FRAME_ITEMS(p->top), f->n * sizeof(struct item));
    memcpy(FRAME_SERVES(f), FRAME_SERVES(p->top), (size_t)f->n * f->words * sizeof(uint64_t));
    memset(FRAME_SEEN(f), 0, f->n_seen * sizeof(uint64_t));
    to->top = frame_seal(f);
    return true;
}

const struct choices *choices_alike(grammar *g, struct chunks *mem, const struct choices *x)
{
    bool same = true;
    struct choices *y = choices_new(mem, x->n, x->words);
    for (uint32_t i = 0; i < x->n; i++) {
        CHOICE_STATES(y)[i] = lex_alike(g->x, CHOICE_STATES(x)[i], REACH_FAR);
        same = same && CHOICE_STATES(y)[i] == CHOICE_STATES(x)[i];
    }
    memcpy(CHOICE_SERVES(y), CHOICE_SERVES(x), (size_t)x->n * x->words * sizeof(uint64_t));
    return same ? x : y;
}

bool pos_close_string(grammar *g, struct chunks *mem, const struct pos *from, struct pos *to)
{
    if (!complete(g, mem, from, from->top, CHOICE_SERVES(from->choices), to)) return false;
    if (to->top && to->top->unmerged) ((struct frame *)to->top)->last = NULL;
    return true;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

// A number ends before what follows it.
static bool step_number(grammar *g, struct chunks *mem, const struct pos *from, uint8_t c,
                        struct pos *to)
{
    if (step_choices(g, mem, from, c, to)) return true;
    if (c != ',' && c != ']' && c != '}' && !is_space(c) && !from->top->column) return false;
    struct pos number = *from, end;
    if (from->top->record) number.text = from->text->before; // c is no part of it
    return complete_choices(g, mem, &number, &end) && pos_step(g, mem, &end, c, to);
}

static bool step_word(grammar *g, struct chunks *mem, const struct pos *from, uint8_t c,
                      struct pos *to)
{
    const char *text = word_text[from->literal];
    if ((uint8_t)text[from->off] != c) return false;
    *to = *from;
    to->off++;
    if (text[to->off]) return true;
    const struct frame *f = from->top;
    uint32_t words = bit_words(f->n);
    uint64_t room[4] = {0}, *row = words <= 4 ? room : chunk_alloc(mem, words * sizeof *row);
    for (uint32_t i = 0; i < f->n; i++)
        if (g->sets[FRAME_ITEMS(f)[i].child].literals >> from->literal & 1) set_bit(row, i);
    return complete(g, mem, to, f, row, to);
}

// ---- keys ----

static bool declared_can_come(const struct frame *f, uint32_t symbol)
{
    return symbol >= f->next && !has_bit(FRAME_SEEN(f), symbol);
}

// Where the object stands once the key is written.
static struct object_at after_symbol(const grammar *g, const struct frame *f, uint32_t symbol,
                                     uint64_t *seen, uint32_t count)
{
    struct object_at at = object_at(f);
    if (f->n_seen) memcpy(seen, FRAME_SEEN(f), f->n_seen * sizeof *seen);
    if (symbol < f->keys->n)
        set_bit(seen, symbol);
    else
        at.more = symbol - f->keys->n + 1;
    at.seen = seen;
    at.count = count;
    if (g->o.order != ORDER_ANY) at.next = symbol < f->keys->n ? symbol + 1 : f->keys->n;
    return at;
}

static bool deep_enough(grammar *g, const struct frame *f, uint32_t i)
{
    return f->depth >= DEEP && is_closed(g, f, i);
}

// Terms of item i for a key that leave a way to the end; at most `cap` are put into v.
static uint32_t live_terms(grammar *g, struct chunks *mem, const struct frame *f, uint32_t i,
                           uint32_t symbol, struct term *v, uint32_t cap)
{
    form_id form = FRAME_ITEMS(f)[i].form;
    uint32_t n, m = 0;
    if (deep_enough(g, f, i)) return 0;
    const struct term *t = form_terms(g, form, f->keys, symbol, &n);
    if (n == 0) return 0;
    uint64_t room[16], *seen = f->n_seen <= 16 ? room : chunk_alloc(mem, f->n_seen * sizeof *seen);
    struct object_at at = after_symbol(g, f, symbol, seen, min_of(f->count + 1, NONE - 1));
    for (uint32_t k = 0; k < n && m < cap; k++) {
        if (!values_live(g, t[k].value)) continue;
        if (object_rest(g, t[k].rest, &at, true) >= FAR) continue;
        v[m++] = t[k];
    }
    return m;
}

// Whether a declared key can come next under item i. Where keys come in an order, it is the first
// one of those that are left from it on. Such a search does not take alternatives apart, as the
// terms do, most of which are never asked for again.
static enum may may_come(grammar *g, const struct frame *f, uint32_t i, uint32_t symbol)
{
    form_id form = FRAME_ITEMS(f)[i].form;
    if (symbol >= f->keys->n || g->forms[form].plain) return MAY_UNKNOWN;
    if (deep_enough(g, f, i)) return MAY_NOT;
    struct object_at at = object_at(f);
    if (g->o.order != ORDER_ANY) at.next = symbol;
    return object_may_have(g, form, &at, symbol);
}

static bool find_allowed(grammar *g, struct chunks *mem, const struct frame *f, uint32_t symbol)
{
    struct term one;
    for (uint32_t i = 0; i < f->n; i++) {
        enum may may = may_come(g, f, i, symbol);
        if (may == MAY_UNKNOWN) may = live_terms(g, mem, f, i, symbol, &one, 1) ? MAY : MAY_NOT;
        if (may == MAY) return true;
    }
    return false;
}

// Remembered for the frames of late: a walk asks for the same key again and again.
static bool symbol_allowed(grammar *g, struct chunks *mem, const struct frame *f, uint32_t symbol)
{
    if (symbol < f->keys->n && !declared_can_come(f, symbol)) return false;
    struct allowed *a = &g->allowed[f->hash[0] & (ALLOWED_MAX - 1)];
    uint32_t n = f->keys->n + f->keys->n_class;
    if (a->hash[0] != f->hash[0] || a->hash[1] != f->hash[1] || !a->may) {
        if (a->cap < n) a->may = mem_grow(a->may, (a->cap = n) * sizeof *a->may);
        memset(a->may, 0, n);
        memcpy(a->hash, f->hash, sizeof a->hash);
    }
    if (a->may[symbol] == 0) {
        bool may = find_allowed(g, mem, f, symbol);
        a->may[symbol] = may ? 2 : 1;
    }
    return a->may[symbol] == 2;
}

static bool range_allowed(grammar *g, struct chunks *mem, const struct frame *f, uint32_t lo,
                          uint32_t hi)
{
    for (uint32_t i = lo; i < hi; i++)
        if (symbol_allowed(g, mem, f, f->keys->by_bytes[i])) return true;
    return false;
}

// Does some allowed name go on from this state of the names?
static bool names_alive(grammar *g, struct chunks *mem, const struct frame *f, lex_state s,
                        int depth)
{
    uint32_t lo, hi;
    if (s == LEX_DEAD || !lex_words_range(g->x, s, &lo, &hi)) return false;
    if (!range_allowed(g, mem, f, lo, hi)) return false;
    if (lex_between(g->x, s)) return true;
    for (int c = 0; c < 256 && depth < 16; c++) { // within a character or an escape
        lex_state next = lex_step(g->x, s, (uint8_t)c);
        if (next != LEX_DEAD && names_alive(g, mem, f, next, depth + 1)) return true;
    }
    return false;
}

// Decodes what stands between quotes: at most as many bytes. `out` may be where `raw` is.
static uint32_t decode(const char *raw, uint32_t n, char *out)
{
    if (!memchr(raw, '\\', n)) {
        memmove(out, raw, n);
        return n;
    }
    char *quoted = mem_printf("\"%.*s\"", (int)n, raw);
    json_t *v = json_loads(quoted, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    uint32_t m = (uint32_t)json_string_length(v);
    if (v) memcpy(out, json_string_value(v), m);
    json_decref(v);
    free(quoted);
    return m;
}

static uint32_t raw_key(const struct pos *p, char *raw)
{
    uint32_t n = p->key ? p->key->len : 0;
    const struct text_byte *b = p->key;
    for (uint32_t i = n; i-- > 0; b = b->before) raw[i] = b->byte;
    return n;
}

static uint32_t decode_key(const struct pos *p, char *out, char *raw)
{
    return decode(raw, raw_key(p, raw), out);
}

// Bytes before an escape or a character that is only begun.
static uint32_t whole_length(const char *raw, uint32_t n)
{
    uint32_t i = 0;
    while (i < n) {
        uint32_t len = 1;
        if (raw[i] == '\\') {
            bool unicode = i + 1 < n && raw[i + 1] == 'u';
            bool high =
                unicode && n - i >= 4 && (raw[i + 2] | 32) == 'd' && strchr("89abAB", raw[i + 3]);
            len = high ? 12 : unicode ? 6 : 2;
        }
        if (len > n - i) return i;
        i += len;
    }
    return n - (uint32_t)utf8_incomplete_tail(raw, n);
}

static bool is_new(const struct frame *f, const char *key, uint32_t n)
{
    for (const struct seen_key *x = f->extra; x; x = x->before)
        if (x->len == n && memcmp(x->text, key, n) == 0) return false;
    return true;
}

// May the bytes of an escape, which is not complete, be those of character c?
static bool may_spell(const char *escape, uint32_t n, uint32_t c)
{
    char text[16];
    uint32_t high = 0xd800 + ((c - 0x10000) >> 10), low = 0xdc00 + ((c - 0x10000) & 0x3ff);
    if (n < 2) return true;
    if (c < 0x10000)
        snprintf(text, sizeof text, "\\u%04x", c);
    else
        snprintf(text, sizeof text, "\\u%04x\\u%04x", high, low);
    return n <= strlen(text) && strncasecmp(text, escape, n) == 0;
}

struct begun_key { // what is written of a key
    char *text;    // decoded, then the bytes of a character that is only begun
    uint32_t n, whole;
    const char *escape; // one that is only begun
    uint32_t n_escape;
};

static struct begun_key begun_key(struct chunks *mem, const struct pos *p)
{
    uint32_t len = p->key ? p->key->len : 0;
    char *raw = chunk_alloc(mem, 2 * (size_t)len + 2);
    struct begun_key b = {.text = raw + len + 1};
    uint32_t n = raw_key(p, raw), whole = whole_length(raw, n);
    b.whole = b.n = decode(raw, whole, b.text);
    if (whole == n) return b;
    if (raw[whole] == '\\') {
        b.escape = raw + whole;
        b.n_escape = n - whole;
    } else {
        memcpy(b.text + b.whole, raw + whole, n - whole);
        b.n += n - whole;
    }
    return b;
}

// Does this text begin like the key? Then it goes on behind the characters that are complete.
static bool begins_so(const struct begun_key *b, const char *text, uint32_t n)
{
    uint32_t c = 0;
    if (n < b->n || memcmp(text, b->text, b->n) != 0) return false;
    if (!b->n_escape) return true;
    return utf8_decode(text + b->whole, n - b->whole, &c) > 0 &&
           may_spell(b->escape, b->n_escape, c);
}

// The first of by_bytes that is not less than text.
static uint32_t name_from(const grammar *g, const struct keys *k, const char *text, uint32_t len)
{
    uint32_t lo = 0, hi = k->n;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        const struct name *x = &g->names[k->name[k->by_bytes[mid]]];
        int o = memcmp(x->text, text, min_of(x->len, len));
        if (o < 0 || (o == 0 && x->len < len))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct spent { // keys that are no longer new and go on from a state: what each costs from there
    uint32_t *cost, n, cap;
};

static void add_spent(grammar *g, struct spent *x, lex_state s, const struct begun_key *b,
                      const char *text, uint32_t n)
{
    uint32_t cost = lex_rest_of(g->x, s, text + b->whole, n - b->whole);
    if (cost == LEX_NONE) return;
    if (x->n == x->cap) {
        x->cap = x->cap ? x->cap * 2 : 16;
        x->cost = mem_grow(x->cost, x->cap * sizeof *x->cost);
    }
    x->cost[x->n++] = cost;
}

// Keys that are taken, and declared names where the class has not been rid of them, that begin like
// the text so far, which led to s; the caller frees them.
static struct spent spent_from(grammar *g, const struct pos *p, lex_state s)
{
    const struct keys *k = p->top->keys;
    struct chunk_mark mark = chunk_mark(&g->work);
    struct spent x = {0};
    if (!p->top->extra && !k->n) return x;
    struct begun_key b = begun_key(&g->work, p);
    for (const struct seen_key *e = p->top->extra; e; e = e->before)
        if (begins_so(&b, e->text, e->len)) add_spent(g, &x, s, &b, e->text, e->len);
    for (uint32_t i = name_from(g, k, b.text, b.n); i < k->n; i++) {
        const struct name *name = &g->names[k->name[k->by_bytes[i]]];
        if (name->len < b.n || memcmp(name->text, b.text, b.n) != 0) break;
        if (begins_so(&b, name->text, name->len)) add_spent(g, &x, s, &b, name->text, name->len);
    }
    chunk_rewind(&g->work, mark);
    return x;
}

static bool class_alive(grammar *g, const struct pos *p, lex_state s)
{
    if (s == LEX_DEAD) return false;
    uint32_t n = lex_count(g->x, s);
    if (n == LEX_MANY || (!p->top->extra && !p->top->keys->n)) return true;
    struct spent x = spent_from(g, p, s);
    free(x.cost);
    return n > x.n;
}

static bool begin_key(grammar *g, struct chunks *mem, const struct pos *from, struct pos *to)
{
    const struct frame *f = from->top;
    const struct keys *k = f->keys;
    *to = (struct pos){.mode = M_KEY, .top = f, .text = from->text};
    to->s = names_alive(g, mem, f, k->words, 0) ? k->words : (lex_state)LEX_DEAD;
    struct choices *x = k->n_class > 1 ? choices_new(mem, k->n_class, 0) : NULL;
    bool any = to->s != LEX_DEAD;
    for (uint32_t c = 0; c < k->n_class; c++) {
        bool may = symbol_allowed(g, mem, f, k->n + c) && class_alive(g, to, k->cls[c].start);
        lex_state s = may ? k->cls[c].start : (lex_state)LEX_DEAD;
        if (x)
            CHOICE_STATES(x)[c] = s;
        else
            to->other = s;
        any = any || may;
    }
    to->choices = x;
    return any;
}

uint64_t pos_classes(grammar *g, struct chunks *mem, const struct pos *p)
{
    const struct keys *k = p->top->keys;
    uint64_t classes = 0;
    for (uint32_t c = 0; c < k->n_class; c++)
        if (symbol_allowed(g, mem, p->top, k->n + c)) classes |= 1ull << c;
    return classes;
}

static lex_state class_state(const struct pos *p, uint32_t c)
{
    return p->choices ? CHOICE_STATES(p->choices)[c] : p->other;
}

// Which symbol the key is, as it stands; NONE: it may not end here.
static uint32_t key_symbol(grammar *g, const struct pos *p)
{
    const struct keys *k = p->top->keys;
    uint32_t lo, hi;
    if (p->s != LEX_DEAD && lex_accepts(g->x, p->s) && lex_words_range(g->x, p->s, &lo, &hi))
        return k->by_bytes[lo]; // the shortest of those that begin so is this one
    for (uint32_t c = 0; c < k->n_class; c++) {
        lex_state s = class_state(p, c);
        if (s != LEX_DEAD && lex_accepts(g->x, s)) return k->n + c;
    }
    return NONE;
}

static bool is_declared(const grammar *g, const struct keys *k, const char *text, uint32_t len)
{
    uint32_t i = name_from(g, k, text, len);
    const struct name *x = i < k->n ? &g->names[k->name[k->by_bytes[i]]] : NULL;
    return x && x->len == len && memcmp(x->text, text, len) == 0;
}

// The key is this symbol; `extra` when it is not declared.
static bool end_key_as(grammar *g, struct chunks *mem, const struct pos *from, uint32_t symbol,
                       const struct seen_key *extra, struct pos *to)
{
    const struct frame *f = from->top;
    const struct keys *k = f->keys;
    struct frame *next = frame_like(mem, f, f->n);
    uint32_t n = 0, cap = f->n;
    for (uint32_t i = 0; i < f->n; i++) {
        struct term room[8], *v = room;
        uint32_t m = live_terms(g, mem, f, i, symbol, v, 8);
        if (m == 8) {
            v = chunk_alloc(mem, 1024 * sizeof *v);
            m = live_terms(g, mem, f, i, symbol, v, 1024);
        }
        if (n + m > cap) {
            cap = (n + m) * 2;
            struct frame *more = frame_like(mem, f, cap);
            memcpy(FRAME_ITEMS(more), FRAME_ITEMS(next), n * sizeof(struct item));
            memcpy(FRAME_SERVES(more), FRAME_SERVES(next), (size_t)n * f->words * sizeof(uint64_t));
            next = more;
        }
        for (uint32_t t = 0; t < m; t++) {
            FRAME_ITEMS(next)[n] = (struct item){.form = v[t].rest, .child = v[t].value};
            copy_row(next, n++, f, i);
        }
    }
    if (n == 0) return false;
    if (n < next->n) {
        struct frame *less = frame_like(mem, f, n);
        memcpy(FRAME_ITEMS(less), FRAME_ITEMS(next), n * sizeof(struct item));
        memcpy(FRAME_SERVES(less), FRAME_SERVES(next), (size_t)n * f->words * sizeof(uint64_t));
        next = less;
    }
    if (f->n_seen) memcpy(FRAME_SEEN(next), FRAME_SEEN(f), f->n_seen * sizeof(uint64_t));
    if (symbol < k->n)
        set_bit(FRAME_SEEN(next), symbol);
    else
        next->extra = extra;
    if (g->o.order != ORDER_ANY) next->next = symbol < k->n ? symbol + 1 : k->n;
    *to = (struct pos){.mode = M_COLON, .top = frame_seal(next), .text = from->text};
    return true;
}

static bool end_key(grammar *g, struct chunks *mem, const struct pos *from, struct pos *to)
{
    const struct frame *f = from->top;
    const struct keys *k = f->keys;
    uint32_t symbol = key_symbol(g, from);
    if (symbol == NONE || (symbol < k->n && !declared_can_come(f, symbol))) return false;
    if (symbol < k->n) return end_key_as(g, mem, from, symbol, NULL, to);
    uint32_t len = from->key ? from->key->len : 0;
    char *raw = chunk_alloc(mem, len + 1);
    struct seen_key *extra = chunk_alloc(mem, sizeof *extra + len + 1);
    extra->len = decode_key(from, extra->text, raw);
    extra->before = f->extra;
    if (!is_new(f, extra->text, extra->len) || is_declared(g, k, extra->text, extra->len))
        return false;
    return end_key_as(g, mem, from, symbol, extra, to);
}

bool pos_close_key(grammar *g, struct chunks *mem, const struct pos *from, uint32_t symbol,
                   struct pos *to)
{
    struct seen_key *extra = chunk_alloc(mem, sizeof *extra + 2);
    extra->len = 1;
    extra->text[0] = '\xff'; // like no other key
    extra->before = from->top->extra;
    return end_key_as(g, mem, from, symbol, extra, to);
}

static bool step_key(grammar *g, struct chunks *mem, const struct pos *from, uint8_t c,
                     struct pos *to)
{
    const struct keys *k = from->top->keys;
    *to = *from;
    to->s = from->s == LEX_DEAD ? (lex_state)LEX_DEAD : lex_step(g->x, from->s, c);
    bool any = to->s != LEX_DEAD, other = false;
    if (!any && !from->choices && c != '"') { // the most frequent end of a walk
        if (from->other == LEX_DEAD || lex_step(g->x, from->other, c) == LEX_DEAD) return false;
    }
    struct text_byte *b = chunk_alloc(mem, sizeof *b);
    *b = (struct text_byte){from->key, (from->key ? from->key->len : 0) + 1, (char)c};
    to->key = b;
    if (from->choices) {
        struct choices *x = choices_new(mem, k->n_class, 0);
        to->choices = x;
        for (uint32_t i = 0; i < k->n_class; i++) {
            lex_state s = CHOICE_STATES(from->choices)[i];
            if (s != LEX_DEAD) s = lex_step(g->x, s, c);
            if (s != LEX_DEAD && !class_alive(g, to, s)) s = LEX_DEAD;
            CHOICE_STATES(x)[i] = s;
            other = other || s != LEX_DEAD;
        }
    } else if (from->other != LEX_DEAD) {
        to->other = lex_step(g->x, from->other, c);
        if (to->other != LEX_DEAD && !class_alive(g, to, to->other)) to->other = LEX_DEAD;
        other = to->other != LEX_DEAD;
    }
    if (any && !other) any = names_alive(g, mem, from->top, to->s, 0);
    if (any || other) return true;
    return c == '"' && end_key(g, mem, from, to);
}

// ---- between the lexemes ----

static bool is_full(const grammar *g, const struct frame *f)
{
    const struct set *s = &g->sets[f->used];
    return f->n_used >= (s->array || s->object ? CONTAINERS_MAX : SCALARS_MAX);
}

// Items that can go on with one more element, taken apart by it; NULL: none can.
static const struct frame *next_element(grammar *g, struct chunks *mem, const struct pos *from,
                                        const struct text_byte *start)
{
    const struct frame *f = from->top;
    uint32_t n = 0, cap = f->n + 8;
    struct frame *next = frame_like(mem, f, cap);
    struct used used = frame_used(f);
    used.writing = true;
    for (uint32_t i = 0; i < f->n; i++) {
        form_id form = FRAME_ITEMS(f)[i].form;
        uint32_t m;
        if (deep_enough(g, f, i)) continue;
        bool compares = f->record && form_compares(g, form);
        if (compares && is_full(g, f) && is_closed(g, f, i)) continue;
        const struct term *t = form_terms(g, form, NULL, f->count, &m);
        for (uint32_t k = 0; k < m; k++) {
            set_id s = t[k].value;
            if (compares && f->used != SET_NONE) s = values_and(g, s, values_not(g, f->used));
            s = array_spare(g, t[k].rest, f->count + 1, &used, s);
            if (!values_live(g, s)) continue;
            if (f->distinct && !lex_words_left(g->x, lex_start(g->x, f->distinct), FRAME_SEEN(f)))
                continue;
            used.open = s;
            if (array_rest(g, t[k].rest, f->count + 1, &used) >= FAR) continue;
            if (n == cap) {
                cap *= 2;
                struct frame *more = frame_like(mem, f, cap);
                memcpy(FRAME_ITEMS(more), FRAME_ITEMS(next), n * sizeof(struct item));
                memcpy(FRAME_SERVES(more), FRAME_SERVES(next), (size_t)n * f->words * 8);
                next = more;
            }
            FRAME_ITEMS(next)[n] = (struct item){.form = t[k].rest, .child = s};
            copy_row(next, n++, f, i);
        }
    }
    if (n == 0) return NULL;
    struct frame *exact = frame_like(mem, f, n);
    memcpy(FRAME_ITEMS(exact), FRAME_ITEMS(next), n * sizeof(struct item));
    memcpy(FRAME_SERVES(exact), FRAME_SERVES(next), (size_t)n * f->words * sizeof(uint64_t));
    exact->start = f->record ? start : NULL;
    return frame_seal(exact);
}

// Some key may come.
static bool key_possible(grammar *g, struct chunks *mem, const struct frame *f)
{
    const struct keys *k = f->keys;
    struct pos p = {.top = f};
    for (uint32_t c = 0; c < k->n_class; c++)
        if (symbol_allowed(g, mem, f, k->n + c) && class_alive(g, &p, k->cls[c].start)) return true;
    for (uint32_t i = f->next; i < k->n; i++)
        if (symbol_allowed(g, mem, f, i)) return true;
    return false;
}

static bool step_comma(grammar *g, struct chunks *mem, const struct pos *from, struct pos *to)
{
    const struct frame *f = from->top;
    bool array = f->kind == FRAME_ARRAY;
    *to = (struct pos){.mode = python(g) ? M_COMMA
                               : array   ? M_VALUE
                                         : M_QUOTE,
                       .top = f,
                       .text = from->text};
    if (!array) return key_possible(g, mem, f);
    to->top = next_element(g, mem, from, from->text);
    return to->top != NULL;
}

static bool step_first(grammar *g, struct chunks *mem, const struct pos *from, uint8_t c,
                       struct pos *to)
{
    const struct frame *f = from->top;
    if (c == (f->kind == FRAME_ARRAY ? ']' : '}')) return close_container(g, mem, from, to);
    if (f->kind == FRAME_OBJECT) return c == '"' && begin_key(g, mem, from, to);
    const struct text_byte *before = f->record ? from->text->before : NULL;
    struct pos first = {
        .mode = M_VALUE, .top = next_element(g, mem, from, before), .text = from->text};
    return first.top && begin_value(g, mem, &first, c, to);
}

static bool step_next(grammar *g, struct chunks *mem, const struct pos *from, uint8_t c,
                      struct pos *to)
{
    if (c == (from->top->kind == FRAME_ARRAY ? ']' : '}')) return close_container(g, mem, from, to);
    return c == ',' && step_comma(g, mem, from, to);
}

static bool step_colon(const grammar *g, const struct pos *from, uint8_t c, struct pos *to)
{
    *to = *from;
    if (c != ": "[from->off]) return false;
    to->off++;
    to->space = 0;
    if (to->off < comma_bytes(g)) return true;
    to->mode = M_VALUE;
    to->off = 0;
    return true;
}

// ---- the steps ----

void pos_start(grammar *g, struct chunks *mem, struct pos *p)
{
    if (g->rules)
        rules_start(g, mem, p);
    else
        *p = (struct pos){.mode = M_VALUE, .top = frame_root(mem, g->root)};
}

static bool step_json(grammar *g, struct chunks *mem, const struct pos *from, uint8_t c,
                      struct pos *to)
{
    switch (from->mode) {
    case M_VALUE: return begin_value(g, mem, from, c, to);
    case M_FIRST: return step_first(g, mem, from, c, to);
    case M_NEXT: return step_next(g, mem, from, c, to);
    case M_COMMA:
        *to = *from;
        to->mode = from->top->kind == FRAME_ARRAY ? M_VALUE : M_QUOTE;
        return c == ' ';
    case M_QUOTE: return c == '"' && begin_key(g, mem, from, to);
    case M_KEY: return step_key(g, mem, from, c, to);
    case M_COLON: return step_colon(g, from, c, to);
    case M_STRING: return step_string(g, mem, from, c, to);
    case M_NUMBER: return step_number(g, mem, from, c, to);
    case M_WORD: return step_word(g, mem, from, c, to);
    default: return false;
    }
}

bool pos_may_begin(const grammar *g, const struct pos *p, uint8_t c)
{
    bool space = g->o.spacing == SPACING_FLEXIBLE && is_space(c);
    bool array = p->top && p->top->kind == FRAME_ARRAY;
    switch (p->mode) {
    case M_FIRST:
        if (space || c == (array ? ']' : '}')) return true;
        if (!array) return c == '"';
        break;
    case M_VALUE: break;
    case M_NEXT: return space || c == ',' || c == (array ? ']' : '}');
    case M_COMMA: return c == ' ';
    case M_QUOTE: return space || c == '"';
    case M_COLON: return space || c == (uint8_t) ": "[p->off];
    case M_WORD: return c == (uint8_t)word_text[p->literal][p->off];
    case M_DONE: return space;
    default: return true;
    }
    return space || (c >= '0' && c <= '9') || c == '-' || c == '"' || c == '[' || c == '{' ||
           c == 't' || c == 'f' || c == 'n';
}

static bool may_space(const struct pos *p)
{
    return p->mode == M_VALUE || p->mode == M_FIRST || p->mode == M_NEXT || p->mode == M_QUOTE ||
           p->mode == M_COLON || p->mode == M_DONE;
}

bool pos_step(grammar *g, struct chunks *mem, const struct pos *from, uint8_t c, struct pos *to)
{
    if (from->mode == M_RULES) return rules_step(g, mem, from, c, to);
    struct pos at = *from;
    bool record = from->top && from->top->record;
    if (record) {
        struct text_byte *b = chunk_alloc(mem, sizeof *b);
        *b = (struct text_byte){from->text, (from->text ? from->text->len : 0) + 1, (char)c};
        at.text = b;
    }
    if (g->o.spacing == SPACING_FLEXIBLE && is_space(c) && may_space(from)) {
        if (from->space >= g->o.space_max || (from->mode == M_DONE && g->rules)) return false;
        *to = at;
        to->space = (uint16_t)(from->space + 1);
        return true;
    }
    if (!step_json(g, mem, record ? &at : from, c, to)) return false;
    if (to->top && !to->top->record) to->text = NULL;
    return true;
}

// ---- guesses ----

// The array around p that was guessed about, where it is only one, and one of many elements; NULL:
// it is not so.
static const struct frame *guessed_array(grammar *g, const struct pos *p, uint32_t most)
{
    const struct frame *f = p->top;
    while (f && !f->unmerged) f = f->parent;
    if (!f || f->unmerged > most || f->guessed) return NULL;
    if (f->unmerged_box && f->n_used >= CONTAINERS_MAX && !is_full(g, f)) return NULL;
    for (uint32_t i = 0; i < f->n; i++) {
        set_id s = array_even(g, FRAME_ITEMS(f)[i].form);
        if (s == SET_NONE || !values_many(g, s)) return NULL;
    }
    return f;
}

static bool choice_of_many(grammar *g, const struct pos *p)
{
    if (p->choices->n == 1) return lex_count(g->x, p->s) == LEX_MANY;
    for (uint32_t i = 0; i < p->choices->n; i++)
        if (lex_count(g->x, CHOICE_STATES(p->choices)[i]) == LEX_MANY) return true;
    return false;
}

static bool class_of_many(grammar *g, const struct pos *p)
{
    for (uint32_t c = 0; c < p->top->keys->n_class; c++) {
        lex_state s = class_state(p, c);
        if (s != LEX_DEAD && lex_count(g->x, s) == LEX_MANY) return true;
    }
    return false;
}

// Can the declared key still come in this object?
static bool still_comes(grammar *g, struct chunks *mem, const struct pos *p, name_id name)
{
    const struct frame *f = p->top;
    uint32_t symbol = keys_find(f->keys, name), lo, hi;
    if (symbol == NONE || !declared_can_come(f, symbol)) return false;
    if (p->mode != M_KEY || g->o.order == ORDER_ANY) return true;
    if (p->s == LEX_DEAD || !lex_words_range(g->x, p->s, &lo, &hi)) return false;
    for (uint32_t i = lo; i < hi; i++) // the key being written is this one, or one before it
        if (f->keys->by_bytes[i] <= symbol && symbol_allowed(g, mem, f, f->keys->by_bytes[i]))
            return true;
    return false;
}

// An element of `array` that has begun with this container: are there many more of those?
static bool container_of_many(grammar *g, struct chunks *mem, const struct pos *p,
                              const struct frame *array)
{
    const struct frame *f = p->top;
    if (f->parent != array || f->depth >= DEEP - 2) return false;
    for (uint32_t i = 0; i < array->n; i++) {
        struct set s = g->sets[array_even(g, FRAME_ITEMS(array)[i].form)];
        name_id name;
        bool many = f->kind == FRAME_ARRAY ? array_many(g, s.array)
                                           : object_many(g, s.object, &name) &&
                                                 (name == NONE || still_comes(g, mem, p, name));
        if (!many) return false;
    }
    return true;
}

#define DIGITS_MAX 12 // of a number that is certainly no other double than the others

// There are many numbers of two digits more.
static bool number_of_many(grammar *g, const struct pos *p)
{
    const struct frame *f = p->top;
    uint32_t n = p->text->len - (f->start ? f->start->len : 0), found = 0;
    bool point = false;
    const struct text_byte *b = p->text;
    if (p->choices->n > 1 || n > DIGITS_MAX) return false;
    for (; n > 0; n--, b = b->before) {
        if ((b->byte | 32) == 'e') return false;
        point = point || b->byte == '.';
    }
    for (uint8_t c = '0'; c <= '9'; c++) {
        lex_state s = lex_step(g->x, p->s, c);
        for (uint8_t d = point ? '1' : '0'; d <= '9' && s != LEX_DEAD; d++) {
            lex_state t = lex_step(g->x, s, d);
            found += t != LEX_DEAD && lex_accepts(g->x, t);
        }
    }
    return found > f->n_used;
}

bool pos_unclear(grammar *g, struct chunks *mem, const struct pos *p, uint32_t most)
{
    const struct frame *f = p->top;
    if (g->guesses > most) return true; // the array may be at its end already
    if (!f || (!f->unmerged && !f->guessed)) return false;
    if (p->mode == M_NEXT && f->unmerged && f->unmerged <= most && !f->guessed) return false;
    const struct frame *array = guessed_array(g, p, most);
    if (!array) return true;
    switch (p->mode) {
    case M_COMMA:
        if (f == array) return false;
        break;
    case M_VALUE:
    case M_COLON:
        if (f == array) return false;
        for (uint32_t i = 0; i < f->n; i++)
            if (scalars_many(g, FRAME_ITEMS(f)[i].child)) return false;
        break;
    case M_STRING:
        if (choice_of_many(g, p)) return false;
        break;
    case M_NUMBER:
        if (f == array) return !number_of_many(g, p);
        break;
    case M_KEY:
        if (class_of_many(g, p)) return false;
        break;
    default: break;
    }
    return !container_of_many(g, mem, p, array);
}

bool pos_end_number(grammar *g, struct chunks *mem, const struct pos *from, struct pos *to)
{
    return complete_choices(g, mem, from, to);
}

bool pos_may_end(grammar *g, struct chunks *mem, const struct pos *p)
{
    struct pos end;
    switch (p->mode) {
    case M_DONE: return true;
    case M_RULES: return rules_may_end(p);
    case M_NUMBER:
        return p->top->kind == FRAME_ROOT && complete_choices(g, mem, p, &end) &&
               (end.mode == M_DONE || (end.mode == M_RULES && rules_may_end(&end)));
    default: return false;
    }
}

// ---- the shortest finish ----

// Bytes from after each item's value, or from its present place, to the end of its container.
static uint32_t rest_of(grammar *g, const struct frame *f, uint32_t i, bool value_open)
{
    form_id form = FRAME_ITEMS(f)[i].form;
    if (f->kind == FRAME_ROOT) return f->column ? rules_json_tail(g, f) : 0;
    uint32_t count = f->count + value_open;
    if (f->kind == FRAME_ARRAY) {
        struct used used = frame_used(f);
        used.writing = value_open;
        used.n = f->unmerged && !g->least ? f->n_used : 0;
        used.open = FRAME_ITEMS(f)[i].child;
        return array_rest(g, form, count, &used);
    }
    struct object_at at = object_at(f);
    at.count = count;
    return object_finish(g, form, &at);
}

// up[i]: bytes from the end of the value that the frame's item i waits for to the end of all.
static uint32_t *rests(grammar *g, const struct frame *f)
{
    uint32_t *up = chunk_alloc(&g->work, (f->n + 1) * sizeof *up);
    uint32_t *below = f->parent ? rests(g, f->parent) : NULL;
    for (uint32_t i = 0; i < f->n; i++) {
        uint32_t best = below ? FAR : 0;
        for (uint32_t k = 0; below && k < f->parent->n; k++)
            if (has_bit(FRAME_SERVES(f) + (size_t)i * f->words, k)) best = min_of(best, below[k]);
        up[i] = far_add(best, rest_of(g, f, i, true));
    }
    return up;
}

static uint32_t below_item(const struct frame *f, const uint32_t *below, uint32_t i)
{
    uint32_t best = FAR;
    for (uint32_t k = 0; below && k < f->parent->n; k++)
        if (has_bit(FRAME_SERVES(f) + (size_t)i * f->words, k)) best = min_of(best, below[k]);
    return best;
}

// Bytes of a declared name from what is written of it on, with the closing quote.
static uint32_t name_rest(grammar *g, const struct pos *p, uint32_t symbol)
{
    const struct name *x = &g->names[p->top->keys->name[symbol]];
    uint32_t written = p->key ? p->key->len : 0;
    char *raw = chunk_alloc(&g->work, 2 * (size_t)written + 2);
    uint32_t m = decode_key(p, raw, raw + written + 1);
    return m < x->len ? quoted_bytes(x->text + m, x->len - m) - 1 : 1;
}

// Bytes of an undeclared key from here on, with the closing quote: of the shortest that is new.
static uint32_t class_rest(grammar *g, const struct pos *p, lex_state s)
{
    uint32_t one = 1;
    if (s == LEX_DEAD) return FAR;
    struct spent x = spent_from(g, p, s);
    uint32_t rest = lex_rest_left(g->x, s, x.cost, x.n, 0, 1, &one);
    free(x.cost);
    if (rest == LEX_UNKNOWN) rest = lex_rest(g->x, s) + NEW_KEY;
    return rest == LEX_NONE ? FAR : far_add(rest, 1);
}

// Bytes until the key is complete, if it becomes this symbol.
static uint32_t key_rest(grammar *g, const struct pos *p, uint32_t symbol)
{
    const struct keys *k = p->top->keys;
    struct object_at at = object_at(p->top);
    if (p->mode != M_KEY) return symbol_bytes(g, &at, symbol);
    if (symbol >= k->n) return class_rest(g, p, class_state(p, symbol - k->n));
    if (p->s == LEX_DEAD) return FAR;
    uint32_t lo, hi;
    if (!lex_words_range(g->x, p->s, &lo, &hi)) return FAR;
    for (uint32_t i = lo; i < hi; i++)
        if (k->by_bytes[i] == symbol) return name_rest(g, p, symbol);
    return FAR;
}

static uint32_t key_finish(grammar *g, const struct pos *p, const uint32_t *below);

// Within an escape of a declared name: which names it can still be part of shows at its end.
static uint32_t escape_finish(grammar *g, const struct pos *p, const uint32_t *below)
{
    struct pos q = *p;
    uint32_t best = FAR;
    q.other = LEX_DEAD;
    q.choices = NULL;
    if (p->choices) q.choices = choices_new(&g->work, p->choices->n, 0); // all dead
    for (int c = 0; c < 256; c++) {
        struct text_byte b = {p->key, (p->key ? p->key->len : 0) + 1, (char)c};
        q.s = lex_step(g->x, p->s, (uint8_t)c);
        q.key = &b;
        if (q.s != LEX_DEAD) best = min_of(best, key_finish(g, &q, below));
    }
    return far_add(best, 1);
}

static uint32_t key_finish(grammar *g, const struct pos *p, const uint32_t *below)
{
    const struct frame *f = p->top;
    const struct keys *k = f->keys;
    uint64_t *seen = chunk_alloc(&g->work, (f->n_seen + 1) * sizeof *seen);
    bool within = p->mode == M_KEY && p->s != LEX_DEAD && !lex_between(g->x, p->s);
    uint32_t best = within ? escape_finish(g, p, below) : FAR;
    for (uint32_t symbol = within ? k->n : 0; symbol < k->n + k->n_class; symbol++) {
        if (symbol < k->n && !declared_can_come(f, symbol)) continue;
        uint32_t key = key_rest(g, p, symbol);
        if (key >= best) continue;
        for (uint32_t i = 0; i < f->n; i++) {
            uint32_t n;
            const struct term *t = form_terms(g, FRAME_ITEMS(f)[i].form, k, symbol, &n);
            struct object_at at = after_symbol(g, f, symbol, seen, f->count + 1);
            for (uint32_t x = 0; x < n; x++) {
                uint32_t cost =
                    far_add(values_cost(g, t[x].value), object_finish(g, t[x].rest, &at));
                cost = far_add(far_add(cost, key + comma_bytes(g)), below_item(f, below, i));
                best = min_of(best, cost);
            }
        }
    }
    return best;
}

// A bound of the rest of an element that has to be another one than those before it, which are not
// known.
static uint32_t guessed_lexeme(grammar *g, const struct pos *p, lex_state s)
{
    uint32_t k = p->top->n_used + 1, upto = k;
    if (p->mode == M_NUMBER) return NUMBER_BYTES;
    if (lex_count(g->x, s) != LEX_MANY) return FAR;
    return min_of(lex_rest_left(g->x, s, NULL, 0, 0, k, &upto), FAR);
}

static uint32_t lexeme_finish(grammar *g, const struct pos *p, const uint32_t *up)
{
    const struct choices *x = p->choices;
    uint32_t best = FAR;
    for (uint32_t i = 0; x && i < x->n; i++) {
        lex_state s = x->n == 1 ? p->s : CHOICE_STATES(x)[i];
        uint32_t tail = FAR;
        for (uint32_t k = 0; k < p->top->n; k++)
            if (has_bit(CHOICE_SERVES(x) + (size_t)i * x->words, k)) tail = min_of(tail, up[k]);
        uint32_t rest = p->top->unmerged && !g->least ? guessed_lexeme(g, p, s)
                        : takes_words(p)              ? lex_words_rest(g->x, s, FRAME_SEEN(p->top))
                                                      : lex_rest(g->x, s);
        best = min_of(best, far_add(rest, tail));
    }
    return far_add(best, p->mode == M_STRING);
}

static uint32_t word_finish(const grammar *g, const struct pos *p, const uint32_t *up)
{
    uint32_t tail = FAR;
    for (uint32_t k = 0; k < p->top->n; k++)
        if (g->sets[FRAME_ITEMS(p->top)[k].child].literals >> p->literal & 1)
            tail = min_of(tail, up[k]);
    return far_add((uint32_t)strlen(word_text[p->literal]) - p->off, tail);
}

static uint32_t element_cost(grammar *g, const struct frame *f, uint32_t i)
{
    if (f->unmerged && !g->least) {
        set_id s = array_even(g, FRAME_ITEMS(f)[i].form);
        return s == SET_NONE ? FAR : many_cost(g, s, f->n_used + 1);
    }
    if (f->distinct == LEX_EMPTY) return values_cost(g, FRAME_ITEMS(f)[i].child);
    return far_add(2, lex_words_rest(g->x, lex_start(g->x, f->distinct), FRAME_SEEN(f)));
}

static uint32_t value_finish(grammar *g, const struct pos *p, const uint32_t *up)
{
    uint32_t best = FAR;
    for (uint32_t i = 0; i < p->top->n; i++)
        best = min_of(best, far_add(element_cost(g, p->top, i), up[i]));
    if (p->mode == M_COLON) best = far_add(best, comma_bytes(g) - p->off);
    return p->mode == M_COMMA ? far_add(best, 1) : best;
}

static uint32_t finish_here(grammar *g, const struct pos *p)
{
    const struct frame *f = p->top;
    bool key =
        p->mode == M_QUOTE || p->mode == M_KEY || (p->mode == M_COMMA && f->kind == FRAME_OBJECT);
    bool between = p->mode == M_FIRST || p->mode == M_NEXT;
    if (!key && !between) {
        const uint32_t *up = rests(g, f);
        return p->mode == M_STRING || p->mode == M_NUMBER ? lexeme_finish(g, p, up)
               : p->mode == M_WORD                        ? word_finish(g, p, up)
                                                          : value_finish(g, p, up);
    }
    const uint32_t *below = rests(g, f->parent);
    if (key) return far_add(key_finish(g, p, below), p->mode == M_COMMA);
    uint32_t best = FAR;
    for (uint32_t i = 0; i < f->n; i++)
        best = min_of(best, far_add(rest_of(g, f, i, false), below_item(f, below, i)));
    return best;
}

// In an element of an array, which has to be another one than those before it, which are not known:
// bytes by which it can be that.
static uint32_t guessed_more(grammar *g, const struct frame *f)
{
    const struct frame *array = f->parent;
    uint32_t most = 0;
    if (!array->unmerged) return FAR;
    for (uint32_t i = 0; i < array->n; i++) {
        set_id even = array_even(g, FRAME_ITEMS(array)[i].form);
        struct set s = g->sets[even];
        uint32_t k = array->n_used + 1;
        most = max_of(most, f->kind == FRAME_ARRAY ? array_more(g, s.array, k)
                                                   : object_more(g, s.object, k));
    }
    return far_add(most, 32); // which a search may find too much
}

uint32_t pos_finish(grammar *g, const struct pos *p)
{
    if (p->mode == M_RULES) return rules_finish(g, p);
    if (p->mode == M_DONE || p->mode == M_ENDED) return 0;
    uint32_t finish = finish_here(g, p);
    return p->top->guessed && !g->least ? far_add(finish, guessed_more(g, p->top)) : finish;
}

// ---- positions that stay ----

static const struct seen_key *keep_seen(const struct seen_key *x)
{
    if (!x) return NULL;
    struct seen_key *copy = mem_new(sizeof *copy + x->len + 1);
    memcpy(copy, x, sizeof *x + x->len);
    copy->before = keep_seen(x->before);
    return copy;
}

static void drop_seen(const struct seen_key *x)
{
    for (const struct seen_key *next; x; x = next) {
        next = x->before;
        free((void *)x);
    }
}

// What of a text is new is copied as one piece of bytes, each pointing to the one before it; pieces
// are shared and counted.
struct text_piece {
    atomic_uint refs;
    struct text_byte byte[];
};

static struct text_piece *piece_of(const struct text_byte *b)
{
    return (struct text_piece *)((char *)(b - b->at) - offsetof(struct text_piece, byte));
}

static const struct text_byte *keep_text(const struct text_byte *b)
{
    uint32_t n = 0;
    const struct text_byte *old = b;
    for (; old && !old->kept; old = old->before) n++;
    if (old) atomic_fetch_add_explicit(&piece_of(old)->refs, 1, memory_order_relaxed);
    if (n == 0) return old;
    struct text_piece *p = mem_new(sizeof *p + n * sizeof *p->byte);
    atomic_init(&p->refs, 1);
    for (uint32_t i = n; i-- > 0; b = b->before) {
        p->byte[i] = *b;
        p->byte[i].kept = true;
        p->byte[i].at = (uint16_t)i; // a token's bytes at most
        p->byte[i].before = i ? &p->byte[i - 1] : old;
    }
    return &p->byte[n - 1];
}

static void drop_text(const struct text_byte *b)
{
    while (b) {
        struct text_piece *p = piece_of(b);
        if (atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1) return;
        b = p->byte[0].before;
        free(p);
    }
}

static const struct frame *keep_frame(const struct frame *f)
{
    if (!f) return NULL;
    if (f->kept) {
        atomic_fetch_add_explicit(&((struct frame *)f)->refs, 1, memory_order_relaxed);
        return f;
    }
    size_t n = frame_bytes(f->n, f->words, f->n_seen);
    struct frame *copy = mem_new(n);
    memcpy(copy, f, n);
    copy->kept = true;
    copy->extra = keep_seen(f->extra);
    copy->start = keep_text(f->start);
    copy->parent = keep_frame(f->parent);
    copy->column = column_keep(f->column);
    atomic_init(&copy->refs, 1);
    return copy;
}

static void drop_frame(const struct frame *f)
{
    while (f &&
           atomic_fetch_sub_explicit(&((struct frame *)f)->refs, 1, memory_order_acq_rel) == 1) {
        const struct frame *parent = f->parent;
        drop_seen(f->extra);
        drop_text(f->start);
        column_drop(f->column);
        free((void *)f);
        f = parent;
    }
}

static const struct choices *keep_choices(const struct choices *x)
{
    if (!x) return NULL;
    size_t n = sizeof *x + ((x->n + 1) & ~1u) * sizeof(lex_state) +
               (size_t)x->n * x->words * sizeof(uint64_t);
    struct choices *copy = mem_new(n);
    memcpy(copy, x, n);
    return copy;
}

struct pos pos_keep(const struct pos *p)
{
    struct pos q = *p;
    q.top = keep_frame(p->top);
    q.choices = keep_choices(p->choices);
    q.key = keep_text(p->key);
    q.text = keep_text(p->text);
    q.threads = threads_keep(p->threads);
    return q;
}

void pos_drop(struct pos *p)
{
    drop_frame(p->top);
    free((void *)p->choices);
    drop_text(p->key);
    drop_text(p->text);
    threads_drop(p->threads);
    *p = (struct pos){0};
}

static bool holds_frame(const struct pos *p, const struct frame *f)
{
    const struct frame *x = p ? p->top : NULL;
    while (x && x != f) x = x->parent;
    return x != NULL;
}

static size_t new_text(const struct text_byte *b, const struct text_byte *before)
{
    size_t n = 0;
    uint32_t had = before ? before->len : 0;
    for (; b && b->len > had; b = piece_of(b)->byte[0].before)
        n += sizeof(struct text_piece) + (b->at + 1u) * sizeof *b;
    return n;
}

size_t pos_bytes(const struct pos *p, const struct pos *before)
{
    size_t n = 0;
    for (const struct frame *f = p->top; f && !holds_frame(before, f); f = f->parent) {
        n += frame_bytes(f->n, f->words, f->n_seen);
        for (const struct seen_key *x = f->extra; x; x = x->before) n += sizeof *x + x->len + 1;
    }
    const struct choices *x = p->choices;
    if (x)
        n += sizeof *x + ((x->n + 1) & ~1u) * sizeof(lex_state) +
             (size_t)x->n * x->words * sizeof(uint64_t);
    n += new_text(p->key, before ? before->key : NULL);
    n += new_text(p->text, before ? before->text : NULL);
    return n + threads_bytes(p->threads, before ? before->threads : NULL);
}

struct digest pos_digest(const struct pos *p)
{
    uint64_t h = mix((uint64_t)p->mode << 32 | (uint64_t)p->sub << 16 | p->literal,
                     (uint64_t)p->space << 32 | p->off);
    uint64_t k = mix(17, (uint64_t)p->s << 32 | p->other);
    if (p->threads) return rules_digest(p);
    for (uint32_t i = 0; p->choices && i < p->choices->n; i++) {
        h = mix(h, CHOICE_STATES(p->choices)[i]);
        for (uint32_t w = 0; w < p->choices->words; w++)
            k = mix(k, CHOICE_SERVES(p->choices)[(size_t)i * p->choices->words + w]);
    }
    for (const struct text_byte *b = p->key; b; b = b->before) k = mix(k, (uint8_t)b->byte);
    if (p->top && p->top->record)
        for (const struct text_byte *b = p->text; b; b = b->before) h = mix(h, (uint8_t)b->byte);
    if (p->top) {
        h = mix(h, p->top->hash[0]);
        k = mix(k, p->top->hash[1]);
    }
    return (struct digest){{h, mix(k, h)}};
}
