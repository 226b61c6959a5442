// Sets of JSON values and the forms of containers: hash-consed, so that equal ones have equal ids
// and every question about one is answered once.
//
// A form's terms are how it is taken apart by one property or element: its value is in term.value
// and what comes after it in term.rest, for some term. They need not exclude each other. Where one
// term is already satisfied by its value alone (rest is TRUE), the others are asked only for what
// that leaves, which keeps the product of many alternatives ("if type is A, then …", ten times) as
// small as the number of values they tell apart.
#include "base/mem.h"
#include "engine/grammar_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define TERMS_MAX  600                // of one form and symbol
#define EFFORT_MAX 6000000            // a fifth of a second
#define BYTES_MAX  ((size_t)24 << 20) // of a grammar while it is compiled
#define BESIDE_MAX 300                // members of a form that are compared with one another

// ---- tables ----

void table_room(struct table *t, uint64_t (*hash_of)(const void *owner, uint32_t id),
                const void *owner)
{
    if ((t->n + 1) * 2 <= t->cap) return;
    uint32_t cap = t->cap ? t->cap * 2 : 32, *old = t->slot, old_cap = t->cap;
    t->slot = mem_new(cap * sizeof *t->slot);
    t->cap = cap;
    for (uint32_t i = 0; i < old_cap; i++) {
        if (!old[i]) continue;
        uint32_t at = (uint32_t)hash_of(owner, old[i] - 1) & (cap - 1);
        while (t->slot[at]) at = (at + 1) & (cap - 1);
        t->slot[at] = old[i];
    }
    free(old);
}

size_t table_bytes(const struct table *t)
{
    return t->cap * sizeof *t->slot;
}

#define GROW(p, n, cap, first)                                                                     \
    do {                                                                                           \
        if ((n) == (cap)) {                                                                        \
            (cap) = (cap) ? (cap)*2 : (first);                                                     \
            (p) = mem_grow((p), (cap) * sizeof *(p));                                              \
        }                                                                                          \
    } while (0)

// While a schema is compiled it is refused for this; later, what was given up counts as not
// allowed.
void grammar_too_much(grammar *g, const char *why)
{
    if (!g->compiler || (g->trying && !g->beyond)) return;
    if (!g->too_much) snprintf(g->why, sizeof g->why, "%.*s", (int)sizeof g->why - 1, why);
    g->too_much = true;
}

void grammar_effort(grammar *g, uint64_t n)
{
    g->effort += n;
    if (!g->compiler || g->effort <= EFFORT_MAX) return;
    g->beyond = true;
    grammar_too_much(g, "combined schemas that take too long to tell apart");
}

// Asked for every new set and form: the sums are looked at now and then.
static void look_at_size(grammar *g)
{
    if (!g->compiler || ++g->n_made % 256) return;
    if (grammar_interned_bytes(g) <= BYTES_MAX) return;
    g->beyond = true;
    grammar_too_much(g, "subschemas that need more than 24 MB together");
}

// ---- names ----

static uint64_t hash_bytes(const char *p, size_t n)
{
    uint64_t h = n;
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t v;
        memcpy(&v, p, 8);
        h = mix(h, v);
    }
    uint64_t v = 0;
    memcpy(&v, p, n);
    h = mix(h, v);
    return h ^ h >> 32;
}

static uint64_t name_hash(const void *owner, uint32_t id)
{
    const grammar *g = owner;
    return hash_bytes(g->names[id].text, g->names[id].len);
}

uint32_t quoted_bytes(const char *p, size_t n)
{
    uint32_t bytes = 2;
    for (size_t i = 0; i < n; i++) {
        uint8_t c = (uint8_t)p[i];
        if (c >= 0x20)
            bytes += c == '"' || c == '\\' ? 2 : 1;
        else
            bytes += strchr("\b\f\n\r\t", c) && c ? 2 : 6;
    }
    return bytes;
}

name_id name_of(grammar *g, const char *text, size_t len)
{
    struct table *t = &g->name_table;
    table_room(t, name_hash, g);
    uint32_t at = (uint32_t)hash_bytes(text, len) & (t->cap - 1);
    for (; t->slot[at]; at = (at + 1) & (t->cap - 1)) {
        const struct name *x = &g->names[t->slot[at] - 1];
        if (x->len == len && memcmp(x->text, text, len) == 0) return t->slot[at] - 1;
    }
    GROW(g->names, g->n_name, g->cap_name, 16);
    char *copy = chunk_alloc(&g->mem, len + 1);
    memcpy(copy, text, len);
    g->names[g->n_name] = (struct name){copy, (uint32_t)len, quoted_bytes(text, len)};
    t->slot[at] = g->n_name + 1;
    t->n++;
    return g->n_name++;
}

// ---- sets ----

static uint64_t set_hash_of(const struct set *s)
{
    uint64_t h = mix((uint64_t)s->literals << 32 | s->number, s->string);
    h = mix(h, (uint64_t)s->array << 32 | s->object);
    return h ^ h >> 32;
}

static uint64_t set_hash(const void *owner, uint32_t id)
{
    return set_hash_of(&((const grammar *)owner)->sets[id]);
}

// An empty language is one id, so that equal sets are seen to be equal.
static lex_lang tidy(grammar *g, lex_lang a)
{
    err e;
    if (a == LEX_EMPTY || a == LEX_ANY_STRING || a == LEX_ANY_NUMBER) return a;
    if (a == LEX_FAILED || lex_prepare(g->x, a, &e) < 0) {
        grammar_too_much(g, a == LEX_FAILED ? "a language of strings or numbers grows too large"
                                            : e.msg);
        return LEX_EMPTY;
    }
    return lex_is_empty(g->x, a) ? LEX_EMPTY : a;
}

static lex_lang number_not(grammar *g, lex_lang a)
{
    return a == LEX_EMPTY ? LEX_ANY_NUMBER : a == LEX_ANY_NUMBER ? LEX_EMPTY : lex_not(g->x, a);
}

static uint32_t scalar_cost(grammar *g, const struct set *s)
{
    uint32_t best = s->literals & (LITERAL_NULL | LITERAL_TRUE) ? 4 : s->literals ? 5 : FAR;
    lex_state start;
    if (s->number && (start = lex_start(g->x, s->number)))
        best = min_of(best, lex_rest(g->x, start));
    if (s->string && (start = lex_start(g->x, s->string)))
        best = min_of(best, far_add(2, lex_rest(g->x, start)));
    return best;
}

set_id values_make(grammar *g, struct set s)
{
    if (g->too_much) return SET_NONE;
    s.number = tidy(g, s.number);
    s.string = tidy(g, s.string);
    struct table *t = &g->set_table;
    table_room(t, set_hash, g);
    uint32_t at = (uint32_t)set_hash_of(&s) & (t->cap - 1);
    for (; t->slot[at]; at = (at + 1) & (t->cap - 1)) {
        const struct set *x = &g->sets[t->slot[at] - 1];
        if (x->literals == s.literals && x->number == s.number && x->string == s.string &&
            x->array == s.array && x->object == s.object)
            return t->slot[at] - 1;
    }
    look_at_size(g);
    GROW(g->sets, g->n_set, g->cap_set, 16);
    s.complement = NONE;
    s.scalar_cost = scalar_cost(g, &s);
    g->sets[g->n_set] = s;
    t->slot[at] = g->n_set + 1;
    t->n++;
    return g->n_set++;
}

set_id values_and(grammar *g, set_id a, set_id b)
{
    if (a == b || b == SET_ALL) return a;
    if (a == SET_ALL) return b;
    if (a == SET_NONE || b == SET_NONE) return SET_NONE;
    struct set x = g->sets[a], y = g->sets[b];
    if (x.complement == b) return SET_NONE;
    struct joined *known = &g->joined[(a * 31 + b) & (JOINED_MAX - 1)];
    if (known->a == a && known->b == b) return known->result;
    set_id s = values_make(g, (struct set){.literals = x.literals & y.literals,
                                           .number = lex_and(g->x, x.number, y.number),
                                           .string = lex_and(g->x, x.string, y.string),
                                           .array = form_and(g, x.array, y.array),
                                           .object = form_and(g, x.object, y.object)});
    *known = (struct joined){a, b, s};
    return s;
}

set_id values_or(grammar *g, set_id a, set_id b)
{
    if (a == b || b == SET_NONE) return a;
    if (a == SET_NONE) return b;
    if (a == SET_ALL || b == SET_ALL) return SET_ALL;
    struct set x = g->sets[a], y = g->sets[b];
    if (x.complement == b) return SET_ALL;
    return values_make(g, (struct set){.literals = x.literals | y.literals,
                                       .number = lex_or(g->x, x.number, y.number),
                                       .string = lex_or(g->x, x.string, y.string),
                                       .array = form_or(g, x.array, y.array),
                                       .object = form_or(g, x.object, y.object)});
}

static lex_lang string_not(grammar *g, lex_lang a)
{
    return a == LEX_EMPTY ? LEX_ANY_STRING : a == LEX_ANY_STRING ? LEX_EMPTY : lex_not(g->x, a);
}

set_id values_not(grammar *g, set_id a)
{
    if (a <= SET_ALL) return !a;
    if (g->sets[a].complement != NONE) return g->sets[a].complement;
    struct set x = g->sets[a];
    set_id b = values_make(g, (struct set){.literals = LITERAL_ALL & ~x.literals,
                                           .number = number_not(g, x.number),
                                           .string = string_not(g, x.string),
                                           .array = form_not(g, x.array),
                                           .object = form_not(g, x.object)});
    g->sets[a].complement = b;
    if (b > SET_ALL && g->sets[b].complement == NONE) g->sets[b].complement = a;
    return b;
}

// a without b; parts of b that a has nothing of are not even looked at.
set_id values_minus(grammar *g, set_id a, set_id b)
{
    if (a == SET_NONE || b == SET_NONE) return a;
    struct set x = g->sets[a], y = g->sets[b];
    x.literals &= ~y.literals;
    if (x.number && y.number) x.number = lex_and(g->x, x.number, number_not(g, y.number));
    if (x.string && y.string) x.string = lex_and(g->x, x.string, string_not(g, y.string));
    if (x.array && y.array) x.array = form_and(g, x.array, form_not(g, y.array));
    if (x.object && y.object && !forms_disjoint(g, x.object, y.object))
        x.object = form_and(g, x.object, form_not(g, y.object));
    return values_make(g, x);
}

bool values_is_scalar(const grammar *g, set_id a)
{
    return g->sets[a].array <= FORM_TRUE && g->sets[a].object <= FORM_TRUE;
}

uint32_t values_cost(grammar *g, set_id a)
{
    struct set s = g->sets[a];
    uint32_t best = s.scalar_cost;
    if (best > 2 && s.array) best = min_of(best, form_cost(g, s.array, false));
    if (best > 2 && s.object) best = min_of(best, form_cost(g, s.object, true));
    return best;
}

// ---- how many there are ----

#define COUNT_DEPTH 6 // containers within one another that are looked into

static uint32_t count_add(uint32_t a, uint32_t b)
{
    uint64_t n = (uint64_t)a + b;
    return n > 65535 ? LEX_MANY : (uint32_t)n;
}

static uint32_t count_mul(uint32_t a, uint32_t b)
{
    uint64_t n = (uint64_t)a * b;
    return n > 65535 ? LEX_MANY : (uint32_t)n;
}

static uint32_t count_values(grammar *g, set_id a, int depth);

static uint32_t count_node(grammar *g, uint32_t node, int depth)
{
    return g->nodes[node].state == 2 ? count_values(g, g->nodes[node].set, depth + 1) : LEX_MANY;
}

static uint32_t count_arrays(grammar *g, const struct form *x, int depth)
{
    uint32_t least = 0, most = NONE, total = 0, times = 1;
    const struct items *p = NULL;
    for (uint32_t i = 0; i < x->n; i++) {
        const struct form *y = &g->forms[x->list[i]];
        if (y->kind == A_ITEMS) p = g->items[y->a];
        if (y->kind == A_MIN && y->a > least) least = y->a;
        if (y->kind == A_MAX && y->a < most) most = y->a;
    }
    for (uint32_t n = 0; n <= most; n++) {
        if (n >= least) total = count_add(total, times);
        if (!p || n == most || times == 0 || total == LEX_MANY) break;
        times = count_mul(times, count_node(g, n < p->n ? p->prefix[n] : p->rest, depth));
    }
    return !p && most > 0 ? LEX_MANY : total;
}

static uint32_t count_objects(grammar *g, const struct form *x, int depth)
{
    const struct props *p = NULL;
    uint32_t total = 1;
    for (uint32_t i = 0; i < x->n; i++) {
        const struct form *y = &g->forms[x->list[i]];
        if (y->kind == O_MAX && y->a == 0) return 1;
        if (y->kind == O_PROPS && !g->props[y->a]->n_pattern && g->props[y->a]->extra == NODE_NONE)
            p = g->props[y->a];
    }
    for (uint32_t k = 0; p && k < p->n; k++) {
        bool needed = false;
        for (uint32_t i = 0; i < x->n; i++) {
            const struct form *y = &g->forms[x->list[i]];
            for (uint32_t j = 0; y->kind == O_HAS && j < y->n; j++)
                needed = needed || y->list[j] == p->p[k].name;
        }
        total = count_mul(total, count_add(count_node(g, p->p[k].node, depth), !needed));
    }
    return p ? total : LEX_MANY;
}

static uint32_t count_form(grammar *g, form_id f, bool object, int depth);

// No more than of each of the conditions that has alternatives.
static uint32_t count_all_of(grammar *g, const struct form *x, bool object, int depth)
{
    uint32_t total = object ? count_objects(g, x, depth) : count_arrays(g, x, depth);
    for (uint32_t i = 0; i < x->n && total == LEX_MANY; i++)
        if (g->forms[x->list[i]].kind == F_OR) total = count_form(g, x->list[i], object, depth);
    return total;
}

// The dead ones count too.
static uint32_t count_form(grammar *g, form_id f, bool object, int depth)
{
    struct form x = g->forms[f];
    uint32_t total = 0;
    if (f == FORM_FALSE) return 0;
    if (x.members) return x.members == LEX_MANY ? LEX_MANY : x.members - 1;
    if (depth > COUNT_DEPTH) return LEX_MANY;
    if (x.kind == F_OR) {
        for (uint32_t i = 0; i < x.n && total != LEX_MANY; i++)
            total = count_add(total, count_form(g, x.list[i], object, depth));
    } else {
        if (x.kind != F_AND) {
            x.n = 1;
            x.list = &f;
        }
        total = count_all_of(g, &x, object, depth);
    }
    if (g->finding == 0) g->forms[f].members = total == LEX_MANY ? LEX_MANY : total + 1;
    return total;
}

static uint32_t count_live(grammar *g, form_id f, bool object, int depth)
{
    struct form x = g->forms[f];
    uint32_t total = 0;
    if (f == FORM_FALSE || form_cost(g, f, object) >= FAR) return 0;
    if (x.kind != F_OR) return count_form(g, f, object, depth);
    for (uint32_t i = 0; i < x.n && total != LEX_MANY; i++)
        total = count_add(total, count_live(g, x.list[i], object, depth));
    return total;
}

static uint32_t count_values(grammar *g, set_id a, int depth)
{
    struct set s = g->sets[a];
    uint32_t n = (uint32_t)__builtin_popcount(s.literals);
    if (s.number) n = count_add(n, lex_count(g->x, lex_start(g->x, s.number)));
    if (s.string) n = count_add(n, lex_count(g->x, lex_start(g->x, s.string)));
    if (n != LEX_MANY) n = count_add(n, count_live(g, s.array, false, depth));
    if (n != LEX_MANY) n = count_add(n, count_live(g, s.object, true, depth));
    return n;
}

uint32_t values_count(grammar *g, set_id a)
{
    return count_values(g, a, 0);
}

bool scalars_many(grammar *g, set_id a)
{
    struct set s = g->sets[a];
    return (s.string && lex_count(g->x, lex_start(g->x, s.string)) == LEX_MANY) ||
           (s.number && lex_count(g->x, lex_start(g->x, s.number)) == LEX_MANY);
}

bool values_many(grammar *g, set_id a)
{
    name_id name;
    struct set s = g->sets[a];
    return scalars_many(g, a) || (s.array && array_many(g, s.array)) ||
           (s.object && object_many(g, s.object, &name));
}

// ---- forms ----

static uint64_t form_hash_of(const struct form *f)
{
    uint64_t h = mix((uint64_t)f->kind << 32 | f->a, (uint64_t)f->b << 32 | f->c);
    for (uint32_t i = 0; i < f->n; i++) h = mix(h, f->list[i]);
    return h ^ h >> 32;
}

static uint64_t form_hash(const void *owner, uint32_t id)
{
    return form_hash_of(&((const grammar *)owner)->forms[id]);
}

static uint32_t settled_count(const grammar *g, const struct form *f)
{
    uint32_t most = 0;
    switch (f->kind) {
    case F_AND:
    case F_OR:
        for (uint32_t i = 0; i < f->n; i++)
            if (g->forms[f->list[i]].settled > most) most = g->forms[f->list[i]].settled;
        return most;
    case O_MIN:
    case A_MIN: return f->a;
    case O_MAX:
    case A_MAX: return f->a == NONE ? NONE : f->a + 1;
    case A_ITEMS:
    case A_BAD: return g->items[f->a]->n;
    default: return 0;
    }
}

static bool is_plain(const grammar *g, const struct form *f)
{
    if (f->kind == F_OR || f->kind == O_BAD || f->kind == O_BAD_NAME || f->kind == A_BAD ||
        f->kind == A_CONTAINS)
        return false;
    for (uint32_t i = 0; f->kind == F_AND && i < f->n; i++)
        if (!g->forms[f->list[i]].plain) return false;
    return true;
}

form_id form_make(grammar *g, struct form f)
{
    struct table *t = &g->form_table;
    table_room(t, form_hash, g);
    uint32_t at = (uint32_t)form_hash_of(&f) & (t->cap - 1);
    for (; t->slot[at]; at = (at + 1) & (t->cap - 1)) {
        const struct form *x = &g->forms[t->slot[at] - 1];
        if (x->kind == f.kind && x->a == f.a && x->b == f.b && x->c == f.c && x->n == f.n &&
            (f.n == 0 || memcmp(x->list, f.list, f.n * sizeof *f.list) == 0))
            return t->slot[at] - 1;
    }
    look_at_size(g);
    grammar_effort(g, f.n / 8);
    GROW(g->forms, g->n_form, g->cap_form, 32);
    if (f.n) {
        uint32_t *list = chunk_alloc(&g->mem, f.n * sizeof *list);
        memcpy(list, f.list, f.n * sizeof *list);
        f.list = list;
    }
    f.complement = NONE;
    f.cost = 0;
    f.cost_state = 0;
    f.plain = is_plain(g, &f);
    f.compares = f.kind == A_UNIQUE;
    for (uint32_t i = 0; (f.kind == F_AND || f.kind == F_OR) && i < f.n; i++)
        f.compares = f.compares || g->forms[f.list[i]].compares;
    f.settled = settled_count(g, &f);
    g->forms[g->n_form] = f;
    t->slot[at] = g->n_form + 1;
    t->n++;
    return g->n_form++;
}

form_id form_atom(grammar *g, enum form_kind kind, uint32_t a, uint32_t b, uint32_t c)
{
    switch (kind) {
    case O_MIN:
    case A_MIN:
        if (a == 0) return FORM_TRUE;
        break;
    case O_MAX:
    case A_MAX:
        if (a == NONE) return FORM_TRUE;
        break;
    case O_NAMES:
        if (a == LEX_ANY_STRING) return FORM_TRUE;
        break;
    case O_BAD_NAME:
        if (a == LEX_ANY_STRING) return FORM_FALSE;
        break;
    case A_CONTAINS:
        if (b == 0 && c == NONE) return FORM_TRUE;
        if (b > c) return FORM_FALSE;
        break;
    default: break;
    }
    return form_make(g, (struct form){.kind = (uint8_t)kind, .a = a, .b = b, .c = c});
}

static int by_id(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

form_id form_names(grammar *g, enum form_kind kind, uint32_t a, const name_id *list, uint32_t n)
{
    if (kind == O_HAS && n == 0) return FORM_TRUE;
    uint32_t *v = mem_new((n + 1) * sizeof *v), m = 0;
    if (n) memcpy(v, list, n * sizeof *v);
    if (n) qsort(v, n, sizeof *v, by_id);
    for (uint32_t i = 0; i < n; i++)
        if (i == 0 || v[i] != v[i - 1]) v[m++] = v[i];
    form_id f = form_make(g, (struct form){.kind = (uint8_t)kind, .a = a, .list = v, .n = m});
    free(v);
    return f;
}

static bool among(const uint32_t *v, uint32_t n, uint32_t x)
{
    return bsearch(&x, v, n, sizeof *v, by_id) != NULL;
}

static form_id join(grammar *g, enum form_kind kind, form_id a, form_id b);

// A member of the other kind is superfluous when one of its own members stands beside it (a and (a
// or b) is a), and loses those whose complement does (a and (not a or b) is a and b). NONE: it
// stays as it is, else what takes its place.
static form_id beside(grammar *g, enum form_kind kind, const uint32_t *v, uint32_t n,
                      form_id member)
{
    struct form x = g->forms[member];
    form_id neutral = kind == F_AND ? FORM_TRUE : FORM_FALSE, left = !neutral;
    bool changed = false;
    grammar_effort(g, x.n);
    for (uint32_t i = 0; i < x.n; i++) {
        if (among(v, n, x.list[i])) return neutral;
        form_id c = g->forms[x.list[i]].complement;
        changed = changed || (c != NONE && among(v, n, c));
    }
    if (!changed) return NONE;
    for (uint32_t i = 0; i < x.n; i++) {
        form_id c = g->forms[x.list[i]].complement;
        if (c == NONE || !among(v, n, c))
            left = join(g, kind == F_AND ? F_OR : F_AND, left, x.list[i]);
    }
    return left;
}

static form_id simplified(grammar *g, enum form_kind kind, const uint32_t *v, uint32_t n)
{
    enum form_kind other = kind == F_AND ? F_OR : F_AND;
    for (uint32_t i = 0; i < n && n <= BESIDE_MAX; i++) {
        if (g->forms[v[i]].kind != other) continue;
        form_id instead = beside(g, kind, v, n, v[i]);
        if (instead == NONE) continue;
        form_id f = kind == F_AND ? FORM_TRUE : FORM_FALSE;
        for (uint32_t k = 0; k < n; k++) f = join(g, kind, f, k == i ? instead : v[k]);
        return f;
    }
    if (n == 1) return v[0];
    return form_make(g, (struct form){.kind = (uint8_t)kind, .list = v, .n = n});
}

// The members of a and b, sorted and each once, as and/or of them; the neutral element left out.
static form_id join(grammar *g, enum form_kind kind, form_id a, form_id b)
{
    form_id neutral = kind == F_AND ? FORM_TRUE : FORM_FALSE, absorbing = !neutral;
    if (a == b || b == neutral) return a;
    if (a == neutral) return b;
    if (a == absorbing || b == absorbing || g->too_much) return absorbing;
    struct form x = g->forms[a], y = g->forms[b];
    const uint32_t *p = x.kind == kind ? x.list : &a, *q = y.kind == kind ? y.list : &b;
    uint32_t np = x.kind == kind ? x.n : 1, nq = y.kind == kind ? y.n : 1, n = 0;
    uint32_t room[64], *v = np + nq <= 64 ? room : mem_new((np + nq) * sizeof *v);
    grammar_effort(g, np + nq);
    for (uint32_t i = 0, k = 0; i < np || k < nq;) {
        uint32_t next = k == nq || (i < np && p[i] <= q[k]) ? p[i] : q[k];
        if (i < np && p[i] == next) i++;
        if (k < nq && q[k] == next) k++;
        v[n++] = next;
    }
    bool clash = false;
    for (uint32_t i = 0; i < n && !clash; i++) {
        form_id c = g->forms[v[i]].complement;
        clash = c != NONE && among(v, n, c);
    }
    form_id f = clash ? absorbing : simplified(g, kind, v, n);
    if (v != room) free(v);
    return f;
}

form_id form_and(grammar *g, form_id a, form_id b)
{
    return join(g, F_AND, a, b);
}

form_id form_or(grammar *g, form_id a, form_id b)
{
    return join(g, F_OR, a, b);
}

static form_id complement_of(grammar *g, struct form f)
{
    form_id r;
    switch ((enum form_kind)f.kind) {
    case F_AND:
    case F_OR:
        r = f.kind == F_AND ? FORM_FALSE : FORM_TRUE;
        for (uint32_t i = 0; i < f.n; i++) {
            form_id c = form_not(g, f.list[i]);
            r = f.kind == F_AND ? form_or(g, r, c) : form_and(g, r, c);
        }
        return r;
    case O_PROPS: return form_names(g, O_BAD, f.a, NULL, 0);
    case O_BAD: return form_atom(g, O_PROPS, f.a, 0, 0); // only made where nothing is removed
    case O_HAS:
        r = FORM_FALSE;
        for (uint32_t i = 0; i < f.n; i++)
            r = form_or(g, r, form_atom(g, O_LACKS, f.list[i], 0, 0));
        return r;
    case O_LACKS: return form_names(g, O_HAS, 0, &f.a, 1);
    case O_MIN: return form_atom(g, O_MAX, f.a - 1, 0, 0);
    case O_MAX: return form_atom(g, O_MIN, f.a + 1, 0, 0);
    case O_NAMES: return form_atom(g, O_BAD_NAME, f.a, 0, 0);
    case O_BAD_NAME: return form_atom(g, O_NAMES, f.a, 0, 0);
    case A_ITEMS: return form_atom(g, A_BAD, f.a, 0, 0);
    case A_BAD: return form_atom(g, A_ITEMS, f.a, 0, 0);
    case A_MIN: return form_atom(g, A_MAX, f.a - 1, 0, 0);
    case A_MAX: return form_atom(g, A_MIN, f.a + 1, 0, 0);
    case A_CONTAINS:
        r = f.b ? form_atom(g, A_CONTAINS, f.a, 0, f.b - 1) : FORM_FALSE;
        return f.c == NONE ? r : form_or(g, r, form_atom(g, A_CONTAINS, f.a, f.c + 1, NONE));
    case A_UNIQUE:
        grammar_too_much(g, "that some elements of an array are equal cannot be enforced");
        return FORM_FALSE;
    case F_FALSE:
    case F_TRUE: break;
    }
    return f.kind == F_TRUE ? FORM_FALSE : FORM_TRUE;
}

form_id form_not(grammar *g, form_id a)
{
    if (a <= FORM_TRUE) return !a;
    if (g->forms[a].complement != NONE) return g->forms[a].complement;
    form_id b = complement_of(g, g->forms[a]);
    g->forms[a].complement = b;
    if (b > FORM_TRUE && g->forms[b].complement == NONE) g->forms[b].complement = a;
    return b;
}

bool form_compares(const grammar *g, form_id f)
{
    return g->forms[f].compares;
}

// The least cost of any container of this form. Recursion that comes back to a form whose cost is
// being found out gains nothing there: the cheapest container does not hold another like it. Such a
// FAR is not remembered, except by the form that began.
static uint32_t find_cost(grammar *g, form_id a, bool object, bool any)
{
    g->forms[a].cost_state = 1;
    bool outer_cut = g->cut;
    g->cut = false;
    g->finding++;
    uint32_t cost;
    if (object) {
        const struct keys *k = keys_of(g, &a, 1);
        uint64_t *seen = mem_new((bit_words(k->n) + 1) * sizeof *seen);
        cost = object_rest(g, a, &(struct object_at){.k = k, .seen = seen}, any);
        free(seen);
    } else {
        cost = array_rest(g, a, 0, &(struct used){.set = SET_NONE});
    }
    cost = far_add(cost, 1);
    g->finding--;
    struct form *f = &g->forms[a];
    bool final = cost < FAR || !g->cut || g->finding == 0;
    f->lives = cost < FAR;
    f->cost_state = final && !(any && f->lives) ? 2 : 0;
    f->cost = cost;
    g->cut = outer_cut || (g->cut && !final);
    return cost;
}

uint32_t form_cost(grammar *g, form_id a, bool object)
{
    const struct form *f = &g->forms[a];
    if (a <= FORM_TRUE) return a == FORM_TRUE ? 2 : FAR;
    if (f->cost_state == 2) return f->cost;
    if (f->cost_state == 1) {
        g->cut = true;
        return FAR;
    }
    return find_cost(g, a, object, false);
}

bool form_lives(grammar *g, form_id a, bool object)
{
    const struct form *f = &g->forms[a];
    if (a <= FORM_TRUE || f->lives || f->cost_state || !object)
        return f->lives || form_cost(g, a, object) < FAR;
    return find_cost(g, a, object, true) < FAR;
}

bool values_live(grammar *g, set_id a)
{
    struct set s = g->sets[a];
    return s.scalar_cost < FAR || (s.array && form_lives(g, s.array, false)) ||
           (s.object && form_lives(g, s.object, true));
}

// ---- nodes ----

uint32_t node_of_set(grammar *g, set_id s)
{
    if (s == SET_NONE) return NODE_NONE;
    if (s == SET_ALL) return NODE_ALL;
    GROW(g->nodes, g->n_node, g->cap_node, 32);
    g->nodes[g->n_node] = (struct node){.set = s, .state = 2};
    return g->n_node++;
}

uint32_t prop_node(const struct props *p, name_id name)
{
    uint32_t lo = 0, hi = p->n;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (p->p[p->by_name[mid]].name < name)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < p->n && p->p[p->by_name[lo]].name == name ? p->p[p->by_name[lo]].node : NONE;
}

static bool class_in(const struct keys *k, uint32_t symbol, lex_lang lang)
{
    for (uint32_t i = 0; i < k->n_lang; i++)
        if (k->lang[i] == lang) return has_bit(k->cls[symbol - k->n].in, i);
    return lang == LEX_ANY_STRING;
}

bool symbol_in(grammar *g, const struct keys *k, uint32_t symbol, lex_lang lang)
{
    if (lang == LEX_ANY_STRING || lang == LEX_EMPTY) return lang == LEX_ANY_STRING;
    if (symbol >= k->n) return class_in(k, symbol, lang);
    const struct name *x = &g->names[k->name[symbol]];
    return lex_has(g->x, lang, x->text, x->len);
}

// What the properties of `p` ask of the value of this key.
set_id prop_set(grammar *g, const struct props *p, const struct keys *k, uint32_t symbol)
{
    set_id s = SET_ALL;
    uint32_t own = symbol < k->n ? prop_node(p, k->name[symbol]) : NONE;
    bool named = own != NONE;
    if (named) s = node_set(g, own);
    for (uint32_t i = 0; i < p->n_pattern; i++) {
        if (!symbol_in(g, k, symbol, p->pattern[i].lang)) continue;
        s = values_and(g, s, node_set(g, p->pattern[i].node));
        named = true;
    }
    return named ? s : node_set(g, p->extra);
}

static set_id item_set(grammar *g, const struct items *p, uint32_t index)
{
    return node_set(g, index < p->n ? p->prefix[index] : p->rest);
}

// ---- terms ----

struct term_entry {
    form_id f;
    const struct keys *k;
    uint32_t symbol, n;
    struct term *v;
};

struct term_list {
    struct term *v;
    uint32_t n, cap;
};

static void add_term(grammar *g, struct term_list *l, set_id value, form_id rest)
{
    if (value == SET_NONE || rest == FORM_FALSE || g->too_much) return;
    for (uint32_t i = 0; i < l->n; i++) {
        if (l->v[i].rest == rest) {
            l->v[i].value = values_or(g, l->v[i].value, value);
            return;
        }
        if (l->v[i].value == value) {
            l->v[i].rest = form_or(g, l->v[i].rest, rest);
            return;
        }
    }
    if (l->n == TERMS_MAX) {
        grammar_too_much(g, "alternatives that cannot be told apart: more than 600 at one place");
        return;
    }
    GROW(l->v, l->n, l->cap, 8);
    l->v[l->n++] = (struct term){value, rest};
}

static bool still_bad(grammar *g, const struct form *f, name_id removed)
{
    const struct props *p = g->props[f->a];
    if (p->n_pattern || p->extra != NODE_ALL) return true;
    for (uint32_t i = 0; i < p->n; i++) {
        name_id name = p->p[i].name;
        bool gone =
            name == removed || (f->n && bsearch(&name, f->list, f->n, sizeof name, by_id) != NULL);
        if (!gone && node_set(g, p->p[i].node) != SET_ALL) return true;
    }
    return false;
}

static void bad_terms(grammar *g, form_id f, const struct keys *k, uint32_t symbol,
                      struct term_list *out)
{
    struct form x = g->forms[f];
    set_id s = prop_set(g, g->props[x.a], k, symbol);
    add_term(g, out, values_not(g, s), FORM_TRUE);
    if (symbol >= k->n || prop_node(g->props[x.a], k->name[symbol]) == NONE) {
        add_term(g, out, s, f);
        return;
    }
    name_id removed = k->name[symbol];
    if (!still_bad(g, &x, removed)) return;
    name_id *list = mem_new((x.n + 1) * sizeof *list);
    if (x.n) memcpy(list, x.list, x.n * sizeof *list);
    list[x.n] = removed;
    add_term(g, out, s, form_names(g, O_BAD, x.a, list, x.n + 1));
    free(list);
}

static void contains_terms(grammar *g, const struct form *f, struct term_list *out)
{
    set_id s = node_set(g, f->a);
    uint32_t most = f->c == NONE ? NONE : f->c - 1;
    if (f->c > 0) add_term(g, out, s, form_atom(g, A_CONTAINS, f->a, f->b ? f->b - 1 : 0, most));
    add_term(g, out, values_not(g, s), form_atom(g, A_CONTAINS, f->a, f->b, f->c));
}

static void find_terms(grammar *g, form_id f, const struct keys *k, uint32_t symbol,
                       struct term_list *out);

// Nothing is in s, and that does not hang on a cost that is being found out.
static bool surely_empty(grammar *g, set_id s)
{
    bool outer = g->cut;
    g->cut = false;
    bool empty = !values_live(g, s) && !g->cut;
    g->cut = outer;
    return empty;
}

static void or_terms(grammar *g, const struct form *f, const struct keys *k, uint32_t symbol,
                     struct term_list *out)
{
    struct term_list all = {0};
    set_id enough = SET_NONE; // values after which nothing more is asked
    for (uint32_t i = 0; i < f->n; i++) {
        uint32_t n;
        const struct term *v = form_terms(g, f->list[i], k, symbol, &n);
        for (uint32_t t = 0; t < n; t++) {
            if (v[t].rest == FORM_TRUE) enough = values_or(g, enough, v[t].value);
            GROW(all.v, all.n, all.cap, 16);
            all.v[all.n++] = v[t];
        }
    }
    bool cut = enough != SET_NONE && values_is_scalar(g, enough);
    set_id left = cut ? values_not(g, enough) : SET_ALL;
    add_term(g, out, enough, FORM_TRUE);
    for (uint32_t t = 0; t < all.n; t++) {
        if (all.v[t].rest == FORM_TRUE) continue;
        set_id s = cut ? values_and(g, all.v[t].value, left) : all.v[t].value;
        if (!surely_empty(g, s)) add_term(g, out, s, all.v[t].rest);
    }
    free(all.v);
}

static void and_terms(grammar *g, const struct form *f, const struct keys *k, uint32_t symbol,
                      struct term_list *out)
{
    struct term_list now = {0};
    add_term(g, &now, SET_ALL, FORM_TRUE);
    for (uint32_t i = 0; i < f->n && now.n && !g->too_much; i++) {
        uint32_t n;
        const struct term *v = form_terms(g, f->list[i], k, symbol, &n);
        struct term_list next = {0};
        for (uint32_t x = 0; x < now.n; x++)
            for (uint32_t y = 0; y < n; y++) {
                set_id s = values_and(g, now.v[x].value, v[y].value);
                if (s == SET_NONE || ((now.n > 1 || n > 1) && surely_empty(g, s))) continue;
                add_term(g, &next, s, form_and(g, now.v[x].rest, v[y].rest));
            }
        free(now.v);
        now = next;
    }
    *out = now;
}

static void find_terms(grammar *g, form_id f, const struct keys *k, uint32_t symbol,
                       struct term_list *out)
{
    struct form x = g->forms[f];
    switch ((enum form_kind)x.kind) {
    case F_FALSE: break;
    case F_AND: and_terms(g, &x, k, symbol, out); break;
    case F_OR: or_terms(g, &x, k, symbol, out); break;
    case O_PROPS: add_term(g, out, prop_set(g, g->props[x.a], k, symbol), f); break;
    case O_BAD: bad_terms(g, f, k, symbol, out); break;
    case O_LACKS:
        if (symbol >= k->n || k->name[symbol] != x.a) add_term(g, out, SET_ALL, f);
        break;
    case O_NAMES:
        if (symbol_in(g, k, symbol, x.a)) add_term(g, out, SET_ALL, f);
        break;
    case O_BAD_NAME:
        add_term(g, out, SET_ALL, symbol_in(g, k, symbol, x.a) ? f : (form_id)FORM_TRUE);
        break;
    case A_ITEMS: add_term(g, out, item_set(g, g->items[x.a], symbol), f); break;
    case A_BAD: {
        const struct items *p = g->items[x.a];
        set_id s = item_set(g, p, symbol);
        bool more = node_set(g, p->rest) != SET_ALL;
        for (uint32_t i = symbol + 1; i < p->n && !more; i++)
            more = node_set(g, p->prefix[i]) != SET_ALL;
        add_term(g, out, values_not(g, s), FORM_TRUE);
        if (more) add_term(g, out, s, f);
        break;
    }
    case A_CONTAINS: contains_terms(g, &x, out); break;
    default: add_term(g, out, SET_ALL, f); break; // the count, or what is there, decides at the end
    }
}

static uint64_t term_hash_of(form_id f, const struct keys *k, uint32_t symbol)
{
    uint64_t h = mix(f, (uint64_t)(uintptr_t)k);
    h = mix(h, symbol);
    return h ^ h >> 32;
}

static uint64_t term_hash(const void *owner, uint32_t id)
{
    const struct term_entry *x = &((const grammar *)owner)->terms[id];
    return term_hash_of(x->f, x->k, x->symbol);
}

const struct term *form_terms(grammar *g, form_id f, const struct keys *k, uint32_t symbol,
                              uint32_t *n)
{
    struct table *t = &g->term_table;
    if (!k && symbol > g->forms[f].settled) symbol = g->forms[f].settled;
    table_room(t, term_hash, g);
    uint32_t hash = (uint32_t)term_hash_of(f, k, symbol);
    for (uint32_t at = hash & (t->cap - 1); t->slot[at]; at = (at + 1) & (t->cap - 1)) {
        const struct term_entry *x = &g->terms[t->slot[at] - 1];
        if (x->f == f && x->k == k && x->symbol == symbol) {
            *n = x->n;
            return x->v;
        }
    }
    struct term_list l = {0};
    find_terms(g, f, k, symbol, &l);
    struct term *v = chunk_alloc(&g->mem, (l.n + 1) * sizeof *v);
    if (l.n) memcpy(v, l.v, l.n * sizeof *v);
    free(l.v);
    *n = l.n;
    if (g->too_much) return v;
    table_room(t, term_hash, g);
    GROW(g->terms, g->n_term, g->cap_term, 32);
    g->terms[g->n_term] = (struct term_entry){f, k, symbol, *n, v};
    uint32_t at = hash & (t->cap - 1);
    while (t->slot[at]) at = (at + 1) & (t->cap - 1);
    t->slot[at] = ++g->n_term;
    t->n++;
    return v;
}

// ---- constants ----

static char *decimal_text(const json_t *v)
{
    char text[40];
    if (json_is_integer(v)) return mem_printf("%lld", (long long)json_integer_value(v));
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, json_real_value(v));
        if (strtod(text, NULL) == json_real_value(v)) break;
    }
    return mem_str(text);
}

static set_id set_of_number(grammar *g, const json_t *v)
{
    err e;
    char *text = decimal_text(v);
    lex_lang lang = lex_number(g->x, text, &e);
    if (lang == LEX_FAILED) grammar_too_much(g, e.msg);
    free(text);
    return values_make(g, (struct set){.number = lang == LEX_FAILED ? LEX_EMPTY : lang});
}

static set_id set_of_array(grammar *g, const json_t *v)
{
    struct items *p = chunk_alloc(&g->mem, sizeof *p);
    p->n = (uint32_t)json_array_size(v);
    p->prefix = chunk_alloc(&g->mem, (p->n + 1) * sizeof *p->prefix);
    for (uint32_t i = 0; i < p->n; i++)
        p->prefix[i] = node_of_set(g, values_of_json(g, json_array_get(v, i)));
    p->rest = NODE_NONE;
    GROW(g->items, g->n_items, g->cap_items, 8);
    g->items[g->n_items] = p;
    form_id f = form_atom(g, A_ITEMS, g->n_items++, 0, 0);
    f = form_and(g, f, form_atom(g, A_MIN, p->n, 0, 0));
    f = form_and(g, f, form_atom(g, A_MAX, p->n, 0, 0));
    return values_make(g, (struct set){.array = f});
}

static int by_prop_name(const void *a, const void *b, void *props)
{
    const struct prop *p = props;
    name_id x = p[*(const uint32_t *)a].name, y = p[*(const uint32_t *)b].name;
    return x < y ? -1 : x > y;
}

void props_sort(grammar *g, struct props *p)
{
    p->by_name = chunk_alloc(&g->mem, (p->n + 1) * sizeof *p->by_name);
    for (uint32_t i = 0; i < p->n; i++) p->by_name[i] = i;
    if (p->n) qsort_r(p->by_name, p->n, sizeof *p->by_name, by_prop_name, p->p);
}

static set_id set_of_object(grammar *g, const json_t *v)
{
    const char *key;
    size_t len;
    json_t *sub;
    struct props *p = chunk_alloc(&g->mem, sizeof *p);
    size_t n = json_object_size(v);
    name_id *names = mem_new((n + 1) * sizeof *names);
    p->p = chunk_alloc(&g->mem, (n + 1) * sizeof *p->p);
    json_object_keylen_foreach((json_t *)v, key, len, sub)
    {
        set_id s = values_of_json(g, sub);
        names[p->n] = name_of(g, key, len);
        p->p[p->n] = (struct prop){names[p->n], node_of_set(g, s)};
        p->n++;
    }
    p->extra = NODE_NONE;
    props_sort(g, p);
    GROW(g->props, g->n_props, g->cap_props, 8);
    g->props[g->n_props] = p;
    form_id f = form_atom(g, O_PROPS, g->n_props++, 0, 0);
    f = form_and(g, f, form_names(g, O_HAS, 0, names, p->n));
    free(names);
    return values_make(g, (struct set){.object = f});
}

set_id values_of_json(grammar *g, const json_t *v)
{
    const char *text;
    size_t len;
    switch (json_typeof(v)) {
    case JSON_NULL: return values_make(g, (struct set){.literals = LITERAL_NULL});
    case JSON_TRUE: return values_make(g, (struct set){.literals = LITERAL_TRUE});
    case JSON_FALSE: return values_make(g, (struct set){.literals = LITERAL_FALSE});
    case JSON_INTEGER:
    case JSON_REAL: return set_of_number(g, v);
    case JSON_STRING:
        text = json_string_value(v);
        len = json_string_length(v);
        return values_make(g, (struct set){.string = lex_words(g->x, &text, &len, 1)});
    case JSON_ARRAY: return set_of_array(g, v);
    default: return set_of_object(g, v);
    }
}

// ---- what is cheap to see ----

// The conditions that hold for certain in a form, by kind.
static const form_id *conjuncts(const grammar *g, const form_id *f, uint32_t *n)
{
    const struct form *x = &g->forms[*f];
    *n = x->kind == F_AND ? x->n : 1;
    return x->kind == F_AND ? x->list : f;
}

// What form f asks of a property that it has to have.
static set_id required_set(grammar *g, form_id f, name_id name)
{
    uint32_t n;
    set_id s = SET_ALL;
    const form_id *v = conjuncts(g, &f, &n);
    for (uint32_t i = 0; i < n; i++) {
        const struct form *x = &g->forms[v[i]];
        if (x->kind != O_PROPS) continue;
        const struct props *p = g->props[x->a];
        uint32_t node = prop_node(p, name);
        if (node == NONE && p->n_pattern == 0) node = p->extra;
        if (node == NONE || g->nodes[node].state == 1) continue;
        s = values_and(g, s, node_set(g, node));
    }
    return s;
}

static bool requires_name(const grammar *g, form_id f, name_id name)
{
    uint32_t n;
    const form_id *v = conjuncts(g, &f, &n);
    for (uint32_t i = 0; i < n; i++) {
        const struct form *x = &g->forms[v[i]];
        if (x->kind == O_HAS && bsearch(&name, x->list, x->n, sizeof name, by_id)) return true;
    }
    return false;
}

bool forms_disjoint(grammar *g, form_id a, form_id b)
{
    uint32_t n;
    if (a == FORM_FALSE || b == FORM_FALSE) return true;
    const form_id *v = conjuncts(g, &a, &n);
    for (uint32_t i = 0; i < n; i++) {
        struct form x = g->forms[v[i]];
        if (x.kind != O_HAS) continue;
        for (uint32_t k = 0; k < x.n; k++) {
            if (!requires_name(g, b, x.list[k])) {
                if (required_set(g, b, x.list[k]) == SET_NONE) return true;
                continue;
            }
            set_id s = values_and(g, required_set(g, a, x.list[k]), required_set(g, b, x.list[k]));
            if (s == SET_NONE) return true;
        }
    }
    return false;
}

size_t grammar_interned_bytes(const grammar *g)
{
    return chunk_bytes(&g->mem) + g->cap_set * sizeof *g->sets + g->cap_form * sizeof *g->forms +
           g->cap_name * sizeof *g->names + g->cap_node * sizeof *g->nodes +
           g->cap_props * sizeof *g->props + g->cap_items * sizeof *g->items +
           g->cap_keys * sizeof *g->keys + g->cap_term * sizeof *g->terms +
           table_bytes(&g->set_table) + table_bytes(&g->form_table) + table_bytes(&g->name_table) +
           table_bytes(&g->keys_table) + table_bytes(&g->term_table) + table_bytes(&g->node_table) +
           table_bytes(&g->cheapest_table) + g->cap_cheapest * sizeof *g->cheapest +
           lex_bytes(g->x);
}
