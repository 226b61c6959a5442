// What an object may still become. Its conditions are collected into one list; alternatives that
// contradict it, or hold already, are passed over, and of the others those with the fewest ways are
// tried first. What then has to be added is a set of keys, each with the set that all conditions
// together ask of its value. The search ends at the first completion where only life and death is
// asked, and looks at a few more where a short end is.
#include "base/mem.h"
#include "engine/grammar_private.h"

#include <stdlib.h>
#include <string.h>

#define CLASSES_MAX 64
#define LANGS_MAX   128
#define NEEDS_MAX   24
#define SEARCH_MAX  1500 // completions looked at until one is found
#define SHORTER_MAX 48   // and after that
#define TRIES_MAX   4000 // witnesses tried in one search
#define FEW_MAX     40   // of both, where the terms of the form can be asked instead

// ---- keys ----

struct gathered {
    name_id *name;
    uint32_t n, cap;
    lex_lang lang[LANGS_MAX];
    uint32_t n_lang;
    bool full;
};

static void gather_name(struct gathered *x, name_id name)
{
    if (x->n == x->cap) {
        x->cap = x->cap ? x->cap * 2 : 16;
        x->name = mem_grow(x->name, x->cap * sizeof *x->name);
    }
    x->name[x->n++] = name;
}

static void gather_lang(struct gathered *x, lex_lang lang)
{
    if (lang == LEX_ANY_STRING || lang == LEX_EMPTY) return;
    for (uint32_t i = 0; i < x->n_lang; i++)
        if (x->lang[i] == lang) return;
    if (x->n_lang == LANGS_MAX)
        x->full = true;
    else
        x->lang[x->n_lang++] = lang;
}

static void gather(grammar *g, form_id f, bool properties, struct gathered *x)
{
    struct form *a = &g->forms[f];
    switch (a->kind) {
    case F_AND:
    case F_OR:
        if (a->asked == g->question) break;
        a->asked = g->question;
        for (uint32_t i = 0; i < a->n; i++) gather(g, a->list[i], properties, x);
        break;
    case O_PROPS:
    case O_BAD: {
        const struct props *p = g->props[a->a];
        for (uint32_t i = 0; properties && i < p->n; i++) gather_name(x, p->p[i].name);
        for (uint32_t i = 0; i < p->n_pattern; i++) gather_lang(x, p->pattern[i].lang);
        break;
    }
    case O_HAS:
        for (uint32_t i = 0; !properties && i < a->n; i++) gather_name(x, a->list[i]);
        break;
    case O_LACKS:
        if (!properties) gather_name(x, a->a);
        break;
    case O_NAMES:
    case O_BAD_NAME: gather_lang(x, a->a); break;
    default: break;
    }
}

struct ordered {
    name_id name;
    uint32_t at;
};

static int by_name_then_place(const void *a, const void *b)
{
    const struct ordered *x = a, *y = b;
    if (x->name != y->name) return x->name < y->name ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static int by_place(const void *a, const void *b)
{
    const struct ordered *x = a, *y = b;
    return x->at < y->at ? -1 : x->at > y->at;
}

static int by_key_bytes(const void *a, const void *b, void *arg)
{
    const struct keys *k = ((void **)arg)[0];
    const grammar *g = ((void **)arg)[1];
    const struct name *x = &g->names[k->name[*(const uint32_t *)a]];
    const struct name *y = &g->names[k->name[*(const uint32_t *)b]];
    int o = memcmp(x->text, y->text, min_of(x->len, y->len));
    return o ? o : (x->len > y->len) - (x->len < y->len);
}

// Each name once, where it came first.
static void set_names(grammar *g, struct keys *k, const struct gathered *x)
{
    struct ordered *v = mem_new((x->n + 1) * sizeof *v);
    uint32_t n = 0;
    for (uint32_t i = 0; i < x->n; i++) v[i] = (struct ordered){x->name[i], i};
    if (x->n) qsort(v, x->n, sizeof *v, by_name_then_place);
    for (uint32_t i = 0; i < x->n; i++)
        if (i == 0 || v[i].name != v[i - 1].name) v[n++] = v[i];
    if (n) qsort(v, n, sizeof *v, by_place);
    k->n = n;
    k->name = chunk_alloc(&g->mem, (n + 1) * sizeof *k->name);
    k->by_name = chunk_alloc(&g->mem, (n + 1) * sizeof *k->by_name);
    k->by_bytes = chunk_alloc(&g->mem, (n + 1) * sizeof *k->by_bytes);
    for (uint32_t i = 0; i < n; i++) {
        k->name[i] = v[i].name;
        k->by_bytes[i] = i;
        v[i].at = i;
    }
    if (n) qsort(v, n, sizeof *v, by_name_then_place);
    for (uint32_t i = 0; i < n; i++) k->by_name[i] = v[i].at;
    if (n) qsort_r(k->by_bytes, n, sizeof *k->by_bytes, by_key_bytes, (void *[]){k, g});
    free(v);
}

static lex_lang names_lang(grammar *g, const struct keys *k)
{
    if (k->n == 0) return LEX_EMPTY;
    const char **text = mem_new(k->n * sizeof *text);
    size_t *len = mem_new(k->n * sizeof *len);
    for (uint32_t i = 0; i < k->n; i++) {
        text[i] = g->names[k->name[i]].text;
        len[i] = g->names[k->name[i]].len;
    }
    lex_lang lang = lex_words(g->x, text, len, k->n);
    free(text);
    free(len);
    return lang;
}

static lex_lang checked(grammar *g, lex_lang a)
{
    err e;
    if (a == LEX_FAILED || (a != LEX_EMPTY && lex_prepare(g->x, a, &e) < 0)) {
        grammar_too_much(g,
                         a == LEX_FAILED ? "patterns of property names: too many states" : e.msg);
        return LEX_EMPTY;
    }
    return lex_is_empty(g->x, a) ? LEX_EMPTY : a;
}

static void split_classes(grammar *g, struct keys *k, struct key_class *v, uint32_t *n,
                          uint32_t lang)
{
    uint32_t old = *n;
    lex_lang in = k->lang[lang], out = lex_not(g->x, in);
    for (uint32_t i = 0; i < old && !g->too_much; i++) {
        lex_lang with = checked(g, lex_and(g->x, v[i].lang, in));
        lex_lang without =
            with == LEX_EMPTY ? v[i].lang : checked(g, lex_and(g->x, v[i].lang, out));
        if (with != LEX_EMPTY && without != LEX_EMPTY) {
            if (*n == CLASSES_MAX) {
                grammar_too_much(g, "patterns of property names overlap in more than 64 ways");
                return;
            }
            v[*n] = v[i];
            v[(*n)++].lang = without;
        }
        if (with == LEX_EMPTY) continue;
        v[i].lang = with;
        set_bit(v[i].in, lang);
    }
}

// Does any form let in keys of this class? Asked of a draft of k, in which no class has been left
// out yet, so that a symbol means the same whenever terms are asked for it.
static bool class_is_wanted(grammar *g, const struct keys *draft, uint32_t symbol)
{
    for (uint32_t i = 0; i < draft->n_form; i++) {
        uint32_t n;
        form_terms(g, draft->form[i], draft, symbol, &n);
        if (n) return true;
    }
    return false;
}

struct together {
    uint64_t classes;
    lex_state start;
};

// The complement of what is left out: mostly that is the smaller part.
static lex_state start_together(grammar *g, const struct keys *k, uint64_t classes)
{
    lex_lang out = k->left_out;
    for (uint32_t c = 0; c < k->n_class; c++)
        if (!has_bit(&classes, c)) out = lex_or(g->x, out, k->cls[c].lang);
    lex_lang all = lex_not(g->x, out);
    err e;
    bool known = all != LEX_FAILED && lex_prepare(g->x, all, &e) == 0;
    return known ? lex_start(g->x, all) : (lex_state)LEX_DEAD;
}

lex_state keys_together(grammar *g, const struct keys *k, uint64_t classes)
{
    struct together *t = k->together;
    if (t->classes != classes) *t = (struct together){classes, start_together(g, k, classes)};
    return t->start;
}

static void price_names(grammar *g, const struct keys *k, struct key_class *c)
{
    uint32_t *cost = mem_new((k->n + 1) * sizeof *cost), n = 0;
    for (uint32_t i = 0; i < k->n; i++) {
        const struct name *x = &g->names[k->name[i]];
        cost[n] = lex_rest_of(g->x, c->start, x->text, x->len);
        n += cost[n] != LEX_NONE;
    }
    c->n_named = n;
    c->named = n ? chunk_alloc(&g->mem, n * sizeof *cost) : NULL;
    if (n) memcpy(c->named, cost, n * sizeof *cost);
    free(cost);
}

static void set_classes(grammar *g, struct keys *k, lex_lang names)
{
    struct key_class v[CLASSES_MAX] = {{.lang = LEX_ANY_STRING}};
    uint32_t n = 1;
    for (uint32_t i = 0; i < k->n_lang && !g->too_much; i++) split_classes(g, k, v, &n, i);
    struct keys *draft = chunk_alloc(&g->mem, sizeof *draft);
    *draft = *k;
    draft->n_class = n;
    draft->cls = chunk_alloc(&g->mem, n * sizeof *draft->cls);
    memcpy(draft->cls, v, n * sizeof *v);
    k->cls = chunk_alloc(&g->mem, n * sizeof *k->cls);
    for (uint32_t i = 0; i < n; i++) {
        struct key_class c = v[i];
        c.start = lex_start(g->x, c.lang);
        if (k->n && lex_count(g->x, c.start) != LEX_MANY) {
            c.lang = checked(g, lex_and(g->x, c.lang, lex_not(g->x, names)));
            c.start = c.lang == LEX_EMPTY ? LEX_DEAD : lex_start(g->x, c.lang);
        }
        c.cost = c.start ? 2 + lex_rest(g->x, c.start) + NEW_KEY : FAR;
        price_names(g, k, &c);
        if (c.start && class_is_wanted(g, draft, k->n + i))
            k->cls[k->n_class++] = c;
        else
            k->left_out = lex_or(g->x, k->left_out, v[i].lang);
    }
    k->together = chunk_alloc(&g->mem, sizeof *k->together);
}

static uint64_t keys_hash_of(const form_id *f, uint32_t n)
{
    uint64_t h = n;
    for (uint32_t i = 0; i < n; i++) h = mix(h, f[i]);
    return h ^ h >> 32;
}

static uint64_t keys_hash(const void *owner, uint32_t id)
{
    const struct keys *k = ((const grammar *)owner)->keys[id];
    return keys_hash_of(k->form, k->n_form);
}

static struct keys *keys_make(grammar *g, const form_id *f, uint32_t n)
{
    struct keys *k = chunk_alloc(&g->mem, sizeof *k);
    struct gathered x = {0};
    k->form = chunk_alloc(&g->mem, (n + 1) * sizeof *k->form);
    memcpy(k->form, f, n * sizeof *f);
    k->n_form = n;
    bool required_first = g->o.order == ORDER_REQUIRED_FIRST;
    for (uint32_t pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; i < n; i++) {
            g->question++;
            gather(g, f[i], required_first ? pass == 1 : pass == 0, &x);
        }
    if (x.full) grammar_too_much(g, "more than 128 patterns for the keys of one object");
    set_names(g, k, &x);
    k->n_lang = x.n_lang;
    k->lang = chunk_alloc(&g->mem, (x.n_lang + 1) * sizeof *k->lang);
    memcpy(k->lang, x.lang, x.n_lang * sizeof *x.lang);
    free(x.name);
    lex_lang names = names_lang(g, k);
    k->words = names == LEX_EMPTY ? LEX_DEAD : lex_start(g->x, names);
    set_classes(g, k, names);
    return k;
}

const struct keys *keys_of(grammar *g, const form_id *f, uint32_t n)
{
    struct table *t = &g->keys_table;
    table_room(t, keys_hash, g);
    uint32_t hash = (uint32_t)keys_hash_of(f, n);
    for (uint32_t at = hash & (t->cap - 1); t->slot[at]; at = (at + 1) & (t->cap - 1)) {
        struct keys *k = g->keys[t->slot[at] - 1];
        if (k->n_form == n && memcmp(k->form, f, n * sizeof *f) == 0) return k;
    }
    struct keys *k = keys_make(g, f, n);
    if (g->n_keys == g->cap_keys) {
        g->cap_keys = g->cap_keys ? g->cap_keys * 2 : 8;
        g->keys = mem_grow(g->keys, g->cap_keys * sizeof *g->keys);
    }
    table_room(t, keys_hash, g);
    g->keys[g->n_keys] = k;
    uint32_t at = hash & (t->cap - 1);
    while (t->slot[at]) at = (at + 1) & (t->cap - 1);
    t->slot[at] = ++g->n_keys;
    t->n++;
    return k;
}

uint32_t keys_find(const struct keys *k, name_id name)
{
    uint32_t lo = 0, hi = k->n;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (k->name[k->by_name[mid]] < name)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < k->n && k->name[k->by_name[lo]] == name ? k->by_name[lo] : NONE;
}

uint32_t class_bytes(grammar *g, const struct object_at *at, uint32_t c, uint32_t least, uint32_t k,
                     uint32_t *upto)
{
    const struct key_class *cls = &at->k->cls[c];
    uint32_t room[64], *spent = room, n = cls->n_named, cap = n;
    for (const struct seen_key *x = at->extra; x; x = x->before) cap++;
    if (cap > 64) spent = mem_new(cap * sizeof *spent);
    if (n) memcpy(spent, cls->named, n * sizeof *spent);
    for (const struct seen_key *x = at->extra; x; x = x->before) {
        uint32_t cost = lex_rest_of(g->x, cls->start, x->text, x->len);
        if (cost != LEX_NONE) spent[n++] = cost;
    }
    uint32_t rest = lex_rest_left(g->x, cls->start, spent, n, least < 2 ? 0 : least - 2, k, upto);
    if (spent != room) free(spent);
    return rest == LEX_UNKNOWN ? cls->cost : rest == LEX_NONE ? FAR : rest + 2;
}

uint32_t symbol_bytes(grammar *g, const struct object_at *at, uint32_t symbol)
{
    const struct keys *k = at->k;
    uint32_t one = 1;
    if (symbol < k->n) return g->names[k->name[symbol]].quoted;
    return class_bytes(g, at, symbol - k->n, 0, 1, &one);
}

// What conditions without alternatives ask of the value of a key.
static set_id plain_value(grammar *g, const form_id *atom, uint32_t n, const struct keys *k,
                          uint32_t symbol)
{
    set_id v = SET_ALL;
    for (uint32_t i = 0; i < n && v != SET_NONE; i++) {
        const struct form *x = &g->forms[atom[i]];
        bool lacks = x->kind == O_LACKS && symbol < k->n && k->name[symbol] == x->a;
        if (lacks || (x->kind == O_NAMES && !symbol_in(g, k, symbol, x->a)))
            v = SET_NONE;
        else if (x->kind == O_PROPS)
            v = values_and(g, v, prop_set(g, g->props[x->a], k, symbol));
    }
    return v;
}

// Of the declared keys the last one that does it, since that can come longest.
static bool find_many(grammar *g, form_id f, name_id *name)
{
    struct form x = g->forms[f];
    const form_id *atom = x.kind == F_AND ? x.list : &f;
    uint32_t n = x.kind == F_AND ? x.n : 1;
    *name = NONE;
    if (f == FORM_FALSE || !x.plain || form_cost(g, f, true) >= FAR) return false;
    for (uint32_t i = 0; i < n; i++)
        if (g->forms[atom[i]].kind == O_MAX) return false;
    const struct keys *k = keys_of(g, &f, 1);
    for (uint32_t c = 0; c < k->n_class; c++)
        if (lex_count(g->x, k->cls[c].start) == LEX_MANY &&
            values_live(g, plain_value(g, atom, n, k, k->n + c)))
            return true;
    for (uint32_t i = k->n; i-- > 0;) {
        if (!scalars_many(g, plain_value(g, atom, n, k, i))) continue;
        *name = k->name[i];
        return true;
    }
    return false;
}

bool object_many(grammar *g, form_id f, name_id *name)
{
    if (g->forms[f].many == 0) {
        name_id found;
        bool many = find_many(g, f, &found);
        g->forms[f].many = many ? 2 : 1;
        g->forms[f].many_name = found;
    }
    *name = g->forms[f].many_name;
    return g->forms[f].many == 2;
}

uint32_t object_more(grammar *g, form_id f, uint32_t k)
{
    name_id name;
    struct form x = g->forms[f];
    const form_id *atom = x.kind == F_AND ? x.list : &f;
    uint32_t n = x.kind == F_AND ? x.n : 1, best = FAR;
    if (!object_many(g, f, &name)) return FAR;
    const struct keys *keys = keys_of(g, &f, 1);
    struct object_at at = {.k = keys};
    if (name != NONE) {
        uint32_t symbol = keys_find(keys, name);
        set_id value = plain_value(g, atom, n, keys, symbol);
        return far_add(g->names[name].quoted + 4, many_cost(g, value, k));
    }
    for (uint32_t c = 0; c < keys->n_class; c++) {
        uint32_t cost = values_cost(g, plain_value(g, atom, n, keys, keys->n + c)), upto = k;
        if (lex_count(g->x, keys->cls[c].start) != LEX_MANY || cost >= best) continue;
        cost = far_add(far_add(cost, 4), class_bytes(g, &at, c, 0, k, &upto));
        best = min_of(best, cost);
    }
    return best;
}

// ---- is it complete? ----

static bool is_seen(const struct object_at *at, name_id name)
{
    uint32_t symbol = keys_find(at->k, name);
    return symbol != NONE && has_bit(at->seen, symbol);
}

static bool closes(grammar *g, form_id f, const struct object_at *at)
{
    struct form *x = &g->forms[f];
    switch (x->kind) {
    case F_AND:
    case F_OR:
        if (x->asked == g->question) return x->answer;
        x->answer = x->kind == F_AND;
        for (uint32_t i = 0; i < x->n && x->answer == (x->kind == F_AND); i++)
            x->answer = closes(g, x->list[i], at);
        x->asked = g->question;
        return x->answer;
    case O_HAS:
        for (uint32_t i = 0; i < x->n; i++)
            if (!is_seen(at, x->list[i])) return false;
        return true;
    case O_LACKS: return !is_seen(at, x->a);
    case O_MIN: return at->count >= x->a;
    case O_MAX: return at->count <= x->a;
    case F_FALSE:
    case O_BAD:
    case O_BAD_NAME: return false;
    default: return true;
    }
}

bool object_closes(grammar *g, form_id f, const struct object_at *at)
{
    g->question++;
    return closes(g, f, at);
}

// ---- can it be completed? ----

struct need { // one property that has to come
    uint32_t symbol;
    set_id set;
};

struct search {
    grammar *g;
    const struct object_at *at;
    form_id *atom; // conditions that all have to hold
    uint32_t n_atom, cap_atom;
    struct need need[NEEDS_MAX];
    uint32_t n_need;
    uint32_t used[CLASSES_MAX]; // keys of each class that the present completion has counted
    uint32_t best, left;
    uint32_t tries; // properties that may still be tried as witnesses
    bool any;
    bool passed_over; // something that there is no room for
    bool brief;       // of few completions: those where a property fails something come last
};

static void witnesses(struct search *s, uint32_t from);

static bool can_come(const struct search *s, uint32_t symbol)
{
    const struct object_at *at = s->at;
    return symbol >= at->k->n || (symbol >= at->next && !has_bit(at->seen, symbol));
}

// All conditions on the value of such a key together; SET_NONE: the key may not come.
static set_id value_set(struct search *s, uint32_t symbol)
{
    grammar *g = s->g;
    set_id v = SET_ALL;
    for (uint32_t i = 0; i < s->n_atom && v != SET_NONE; i++) {
        const struct form *x = &g->forms[s->atom[i]];
        if (x->kind == O_PROPS)
            v = values_and(g, v, prop_set(g, g->props[x->a], s->at->k, symbol));
        else if (x->kind == O_NAMES && !symbol_in(g, s->at->k, symbol, x->a))
            v = SET_NONE;
    }
    return v;
}

static set_id need_set(struct search *s, const struct need *x)
{
    return values_and(s->g, value_set(s, x->symbol), x->set);
}

// Of a declared key that has to come.
static set_id must_set(struct search *s, uint32_t symbol)
{
    for (uint32_t i = 0; i < s->n_need; i++)
        if (s->need[i].symbol == symbol) return need_set(s, &s->need[i]);
    return value_set(s, symbol);
}

static uint32_t property_cost(struct search *s, uint32_t key, set_id set)
{
    uint32_t separators = s->g->o.spacing == SPACING_PYTHON ? 4 : 2;
    return far_add(far_add(separators, key), values_cost(s->g, set));
}

// Bytes of the next of the shortest keys of a class that the search has not used; *n: how many of
// them take no more, of at most so many.
static uint32_t next_of_class(struct search *s, uint32_t c, uint32_t least, uint32_t *n)
{
    uint32_t used = s->used[c] + (s->at->more == c + 1), upto = used + *n;
    if (s->any) return s->at->k->cls[c].cost; // how long they are does not matter
    uint32_t cost = class_bytes(s->g, s->at, c, least, used + 1, &upto);
    *n = upto - used;
    return cost;
}

struct demand {
    uint64_t *must, *lacks; // [bit_words(n)] declared keys
    uint32_t least, most;
};

// What the list of conditions demands; false: it cannot be met.
static bool collect(struct search *s, struct demand *d)
{
    const struct keys *k = s->at->k;
    for (uint32_t i = 0; i < s->n_atom; i++) {
        const struct form *x = &s->g->forms[s->atom[i]];
        uint32_t symbol;
        switch (x->kind) {
        case O_HAS:
            for (uint32_t j = 0; j < x->n; j++) {
                symbol = keys_find(k, x->list[j]);
                if (symbol == NONE) return false;
                if (has_bit(s->at->seen, symbol)) continue;
                if (symbol < s->at->next) return false;
                set_bit(d->must, symbol);
            }
            break;
        case O_LACKS:
            symbol = keys_find(k, x->a);
            if (symbol == NONE) break;
            if (has_bit(s->at->seen, symbol)) return false;
            set_bit(d->lacks, symbol);
            break;
        case O_MIN:
            if (x->a > d->least) d->least = x->a;
            break;
        case O_MAX:
            if (x->a < d->most) d->most = x->a;
            break;
        default: break;
        }
    }
    for (uint32_t i = 0; i < s->n_need; i++)
        if (s->need[i].symbol < k->n) set_bit(d->must, s->need[i].symbol);
    for (uint32_t w = 0; w < bit_words(k->n); w++)
        if (d->must[w] & d->lacks[w]) return false;
    return true;
}

// Undeclared keys of a class that are neither taken nor needed; saturates.
static uint32_t class_left(struct search *s, uint32_t c)
{
    const struct key_class *cls = &s->at->k->cls[c];
    uint32_t n = lex_count(s->g->x, cls->start);
    if (n == LEX_MANY) return n;
    n -= n && s->at->more == c + 1;
    for (uint32_t i = 0; i < s->n_need; i++) n -= n && s->need[i].symbol == s->at->k->n + c;
    for (const struct seen_key *x = s->at->extra; x; x = x->before)
        n -= n && lex_has(s->g->x, cls->lang, x->text, x->len);
    return n;
}

struct offer { // properties that may come, at this cost each
    uint32_t cost, left;
};
struct offers {
    struct offer *v;
    uint32_t n, cap;
};

static void add_offer(struct offers *o, uint32_t cost, uint32_t left)
{
    if (cost >= FAR || left == 0) return;
    if (o->n == o->cap) {
        o->cap = o->cap ? o->cap * 2 : 16;
        o->v = mem_grow(o->v, o->cap * sizeof *o->v);
    }
    o->v[o->n++] = (struct offer){cost, left};
}

// The shortest n keys of class c.
static void add_class(struct search *s, struct offers *o, uint32_t c, uint32_t n)
{
    uint32_t symbol = s->at->k->n + c, key = 0, least = 0;
    set_id set = value_set(s, symbol);
    n = min_of(n, class_left(s, c));
    s->used[c] = 0;
    for (uint32_t i = 0; i < s->n_need; i++) s->used[c] += s->need[i].symbol == symbol;
    if (set == SET_NONE) return;
    for (uint32_t some = n; n && key < FAR; n -= some, some = n) {
        key = next_of_class(s, c, least, &some);
        add_offer(o, property_cost(s, key, set), some);
        s->used[c] += some;
        least = key;
    }
}

static int by_cost(const void *a, const void *b)
{
    uint32_t x = ((const struct offer *)a)->cost, y = ((const struct offer *)b)->cost;
    return x < y ? -1 : x > y;
}

// Bytes of `n` more properties than the conditions name, the cheapest ones.
static uint32_t fill_cost(struct search *s, const struct demand *d, uint32_t n)
{
    const struct keys *k = s->at->k;
    struct offers o = {0};
    uint32_t total = 0;
    for (uint32_t i = s->at->next; i < k->n; i++)
        if (can_come(s, i) && !has_bit(d->must, i) && !has_bit(d->lacks, i))
            add_offer(&o, property_cost(s, symbol_bytes(s->g, s->at, i), value_set(s, i)), 1);
    for (uint32_t c = 0; c < k->n_class; c++) add_class(s, &o, c, n);
    if (o.n) qsort(o.v, o.n, sizeof *o.v, by_cost);
    for (uint32_t i = 0; i < o.n && n; i++) {
        uint32_t taken = min_of(o.v[i].left, n);
        total = far_add(total, far_mul(taken, o.v[i].cost));
        n -= taken;
    }
    free(o.v);
    return n ? FAR : total;
}

static uint32_t demand_cost(struct search *s, struct demand *d)
{
    const struct keys *k = s->at->k;
    if (!collect(s, d)) return FAR;
    uint32_t total = 0, n_new = 0;
    for (uint32_t w = 0; w < bit_words(k->n); w++)
        for (uint64_t bits = d->must[w]; bits && total < FAR; bits &= bits - 1) {
            uint32_t symbol = w * 64 + (uint32_t)__builtin_ctzll(bits);
            uint32_t key = symbol_bytes(s->g, s->at, symbol);
            total = far_add(total, property_cost(s, key, must_set(s, symbol)));
            n_new++;
        }
    memset(s->used, 0, k->n_class * sizeof *s->used);
    for (uint32_t i = 0; i < s->n_need; i++) {
        const struct need *x = &s->need[i];
        uint32_t c = x->symbol - k->n, one = 1;
        if (x->symbol < k->n) continue;
        total = far_add(total, property_cost(s, next_of_class(s, c, 0, &one), need_set(s, x)));
        s->used[c]++;
        n_new++;
    }
    uint32_t count = s->at->count + n_new;
    if (count > d->most || total >= FAR || d->least > d->most) return FAR;
    if (count < d->least) {
        total = far_add(total, fill_cost(s, d, d->least - count));
        n_new += d->least - count;
    }
    bool first = s->at->count == 0;
    uint32_t comma = s->g->o.spacing == SPACING_PYTHON ? 2 : 1;
    return total >= FAR ? FAR : total + 1 - (first && n_new ? comma : 0);
}

static void judge(struct search *s)
{
    uint64_t room[16] = {0};
    uint32_t words = bit_words(s->at->k->n);
    uint64_t *bits = words <= 8 ? room : mem_new(2 * words * sizeof *bits);
    struct demand d = {.must = bits, .lacks = bits + words, .most = NONE};
    uint32_t cost = demand_cost(s, &d);
    if (s->best >= FAR && cost < FAR) s->left = min_of(s->left, SHORTER_MAX);
    if (cost < s->best) s->best = cost;
    if (s->left) s->left--;
    grammar_effort(s->g, 20 + 10 * (uint64_t)s->n_atom);
    if (bits != room) free(bits);
}

static bool finished(const struct search *s)
{
    return (s->any && s->best < FAR) || s->left == 0 || s->tries == 0 || s->g->too_much;
}

static void try_witness(struct search *s, const struct need *x, uint32_t from)
{
    if (finished(s)) return;
    s->tries--;
    grammar_effort(s->g, 20 + 5 * (uint64_t)s->n_atom);
    if (need_set(s, x) != SET_NONE) witnesses(s, from + 1);
}

// A property with a value of this set: one that has to come anyway, or another one.
static void try_need(struct search *s, uint32_t symbol, set_id set, uint32_t from)
{
    uint32_t n_declared = s->at->k->n;
    if (set == SET_NONE || !can_come(s, symbol) || finished(s)) return;
    for (uint32_t i = 0; i < s->n_need; i++) {
        struct need *x = &s->need[i], before = *x;
        if (x->symbol != symbol) continue;
        x->set = values_and(s->g, x->set, set);
        try_witness(s, x, from);
        *x = before;
        if (symbol < n_declared) return;
    }
    if (symbol >= n_declared && class_left(s, symbol - n_declared) == 0) return;
    if (s->n_need == NEEDS_MAX) {
        s->passed_over = true;
        if (!s->brief)
            grammar_too_much(s->g, "more than 24 conditions that some property must not meet");
        return;
    }
    s->need[s->n_need++] = (struct need){symbol, set};
    try_witness(s, &s->need[s->n_need - 1], from);
    s->n_need--;
}

// A property that has to come anyway fails p for certain.
static bool fails_anyway(struct search *s, const struct props *p)
{
    const struct keys *k = s->at->k;
    for (uint32_t i = 0; i < s->n_need; i++) {
        set_id good = prop_set(s->g, p, k, s->need[i].symbol);
        if (values_and(s->g, need_set(s, &s->need[i]), good) == SET_NONE) return true;
    }
    for (uint32_t i = 0; i < s->n_atom; i++) {
        struct form x = s->g->forms[s->atom[i]];
        for (uint32_t j = 0; x.kind == O_HAS && j < x.n; j++) {
            uint32_t symbol = keys_find(k, x.list[j]);
            if (symbol == NONE || has_bit(s->at->seen, symbol)) continue;
            if (values_and(s->g, must_set(s, symbol), prop_set(s->g, p, k, symbol)) == SET_NONE)
                return true;
        }
    }
    return false;
}

static bool fails_something(const struct form *f)
{
    return f->kind == O_BAD || f->kind == O_BAD_NAME;
}

// From atom `from` on, each condition that something has to fail gets a property that fails it.
static void witnesses(struct search *s, uint32_t from)
{
    grammar *g = s->g;
    const struct keys *k = s->at->k;
    while (from < s->n_atom && !fails_something(&g->forms[s->atom[from]])) from++;
    if (from == s->n_atom) {
        judge(s);
        return;
    }
    struct form x = g->forms[s->atom[from]];
    if (x.kind == O_BAD_NAME) {
        for (uint32_t i = 0; i < k->n + k->n_class; i++)
            if (!symbol_in(g, k, i, x.a)) try_need(s, i, SET_ALL, from);
        return;
    }
    const struct props *p = g->props[x.a];
    bool rest = p->n_pattern || p->extra != NODE_ALL;
    if (fails_anyway(s, p)) {
        witnesses(s, from + 1);
        return;
    }
    if (!rest) { // only its own properties can fail it
        for (uint32_t i = 0; i < p->n; i++) {
            uint32_t symbol = keys_find(k, p->p[i].name);
            if (p->p[i].node != NODE_ALL && symbol != NONE)
                try_need(s, symbol, values_not(g, node_set(g, p->p[i].node)), from);
        }
        return;
    }
    for (uint32_t i = 0; i < k->n + k->n_class; i++)
        if (can_come(s, i)) try_need(s, i, values_not(g, prop_set(g, p, k, i)), from);
}

static void add_atom(struct search *s, form_id f)
{
    if (s->n_atom == s->cap_atom) {
        s->cap_atom = s->cap_atom ? s->cap_atom * 2 : 16;
        s->atom = mem_grow(s->atom, s->cap_atom * sizeof *s->atom);
    }
    s->atom[s->n_atom++] = f;
}

// Where a search stands: what is decided about declared keys, and the alternatives still open.
struct level {
    uint64_t *must, *lacks;
    form_id *either;
    uint32_t n_either, cap_either;
};

enum outlook { DEAD, OPEN, HOLDS };

static enum outlook has_outlook(const struct search *s, const struct level *l, const struct form *x)
{
    enum outlook all = HOLDS;
    for (uint32_t i = 0; i < x->n; i++) {
        uint32_t symbol = keys_find(s->at->k, x->list[i]);
        if (symbol == NONE) return DEAD;
        if (has_bit(s->at->seen, symbol) || has_bit(l->must, symbol)) continue;
        if (!can_come(s, symbol) || has_bit(l->lacks, symbol)) return DEAD;
        all = OPEN;
    }
    return all;
}

static enum outlook lacks_outlook(const struct search *s, const struct level *l, name_id name)
{
    uint32_t symbol = keys_find(s->at->k, name);
    if (symbol == NONE) return HOLDS;
    if (has_bit(s->at->seen, symbol) || has_bit(l->must, symbol)) return DEAD;
    return has_bit(l->lacks, symbol) || !can_come(s, symbol) ? HOLDS : OPEN;
}

// Can any property still fail to meet p?
static enum outlook bad_outlook(const struct search *s, const struct level *l,
                                const struct props *p)
{
    if (p->n_pattern || p->extra != NODE_ALL) return OPEN;
    for (uint32_t i = 0; i < p->n; i++) {
        uint32_t symbol = keys_find(s->at->k, p->p[i].name);
        if (p->p[i].node != NODE_ALL && symbol != NONE && can_come(s, symbol) &&
            !has_bit(l->lacks, symbol))
            return OPEN;
    }
    return DEAD;
}

static enum outlook props_outlook(const struct search *s, const struct level *l,
                                  const struct props *p)
{
    for (uint32_t w = 0; w < bit_words(s->at->k->n); w++)
        for (uint64_t bits = l->must[w]; bits; bits &= bits - 1) {
            uint32_t symbol = w * 64 + (uint32_t)__builtin_ctzll(bits);
            if (prop_set(s->g, p, s->at->k, symbol) == SET_NONE) return DEAD;
        }
    return OPEN;
}

// What is to be expected of a form, as far as it can be seen without a search.
static enum outlook outlook_of(const struct search *s, const struct level *l, form_id f,
                               uint32_t question)
{
    const struct form *x = &s->g->forms[f];
    if (x->asked == question) return x->answer;
    grammar_effort(s->g, 2);
    if (s->g->too_much) return OPEN;
    bool and = x->kind == F_AND;
    enum outlook all = and? HOLDS : DEAD;
    switch (x->kind) {
    case F_AND:
    case F_OR:
        for (uint32_t i = 0; i < x->n; i++) {
            enum outlook o = outlook_of(s, l, x->list[i], question);
            x = &s->g->forms[f];
            if (o == OPEN || o == (and? DEAD : HOLDS)) all = o;
            if (o == (and? DEAD : HOLDS)) break;
        }
        s->g->forms[f].asked = question;
        s->g->forms[f].answer = (uint8_t)all;
        return all;
    case O_HAS: return has_outlook(s, l, x);
    case O_LACKS: return lacks_outlook(s, l, x->a);
    case O_BAD: return bad_outlook(s, l, s->g->props[x->a]);
    case O_PROPS: return props_outlook(s, l, s->g->props[x->a]);
    case F_FALSE: return DEAD;
    case F_TRUE: return HOLDS;
    default: return OPEN;
    }
}

static enum outlook outlook(const struct search *s, const struct level *l, form_id f)
{
    return outlook_of(s, l, f, ++s->g->question);
}

// Adds what a form demands to the level; false: it contradicts what is there.
static bool demand(struct search *s, struct level *l, form_id f)
{
    struct form x = s->g->forms[f];
    enum outlook o = x.kind == F_AND || x.kind == F_OR ? OPEN : outlook(s, l, f);
    switch (x.kind) {
    case F_AND:
        for (uint32_t i = 0; i < x.n; i++)
            if (!demand(s, l, x.list[i])) return false;
        return true;
    case F_OR:
        if (l->n_either == l->cap_either) {
            l->cap_either = l->cap_either ? l->cap_either * 2 : 8;
            l->either = mem_grow(l->either, l->cap_either * sizeof *l->either);
        }
        l->either[l->n_either++] = f;
        return true;
    case O_HAS:
        for (uint32_t i = 0; o != DEAD && i < x.n; i++) {
            uint32_t symbol = keys_find(s->at->k, x.list[i]);
            if (!has_bit(s->at->seen, symbol)) set_bit(l->must, symbol);
        }
        break;
    case O_LACKS: {
        uint32_t symbol = keys_find(s->at->k, x.a);
        if (symbol != NONE && o != DEAD) set_bit(l->lacks, symbol);
        break;
    }
    default: break;
    }
    if (f != FORM_TRUE) add_atom(s, f);
    return o != DEAD;
}

static struct level level_copy(const struct level *l, uint32_t words)
{
    struct level m = *l;
    m.must = mem_grow(NULL, (2 * words + 1) * sizeof *m.must);
    m.lacks = m.must + words;
    memcpy(m.must, l->must, words * sizeof *m.must);
    memcpy(m.lacks, l->lacks, words * sizeof *m.lacks);
    m.cap_either = l->n_either + 8;
    m.either = mem_grow(NULL, m.cap_either * sizeof *m.either);
    memcpy(m.either, l->either, l->n_either * sizeof *m.either);
    return m;
}

// Takes the open alternative with the fewest ways out of the level; NONE: none is open,
// FORM_FALSE: one has no way left.
static form_id fewest_ways(struct search *s, struct level *l)
{
    uint32_t best = NONE, at = 0, n = 0;
    for (uint32_t i = 0; i < l->n_either; i++) {
        const struct form *x = &s->g->forms[l->either[i]];
        uint32_t ways = 0, n_form = x->n;
        const form_id *list = x->list;
        bool holds = false;
        for (uint32_t k = 0; k < n_form && !holds; k++) {
            enum outlook o = outlook(s, l, list[k]);
            holds = o == HOLDS;
            ways += o == OPEN;
        }
        if (holds) continue;
        if (ways == 0) return FORM_FALSE;
        if (ways < best) {
            best = ways;
            at = n;
        }
        l->either[n++] = l->either[i];
    }
    l->n_either = n;
    if (best == NONE) return NONE;
    form_id f = l->either[at];
    l->either[at] = l->either[--l->n_either];
    return f;
}

static void solve(struct search *s, struct level *l)
{
    if (finished(s)) return;
    form_id f = fewest_ways(s, l);
    if (f == FORM_FALSE) {
        if (s->left) s->left--;
        return;
    }
    if (f == NONE) {
        witnesses(s, 0);
        return;
    }
    uint32_t n_atom = s->n_atom, words = bit_words(s->at->k->n);
    struct form x = s->g->forms[f];
    for (uint32_t i = 0; i < (s->brief ? 2 : 1) * x.n && !finished(s); i++) {
        form_id way = x.list[i % x.n];
        if (s->brief && fails_something(&s->g->forms[way]) != (i >= x.n)) continue;
        if (outlook(s, l, way) == DEAD) continue;
        struct level m = level_copy(l, words);
        if (demand(s, &m, way)) solve(s, &m);
        free(m.must);
        free(m.either);
        s->n_atom = n_atom;
    }
}

// Looks through the completions of f; false: not through all of those that matter.
static bool look_through(struct search *s, form_id f)
{
    grammar *g = s->g;
    form_id room[24];
    const struct form *x = &g->forms[f];
    if (x->plain && (x->kind != F_AND || x->n <= 24)) {
        s->atom = room;
        s->n_atom = x->kind == F_AND ? x->n : 1;
        memcpy(room, x->kind == F_AND ? x->list : &f, s->n_atom * sizeof *room);
        for (uint32_t i = 0; i < s->n_atom; i++) {
            if (g->forms[room[i]].kind == F_FALSE) return true;
            if (g->forms[room[i]].kind == F_AND || g->forms[room[i]].kind == F_OR) s->atom = NULL;
        }
    }
    if (s->atom) {
        judge(s);
        return true;
    }
    s->n_atom = 0;
    struct level l = {0};
    uint32_t words = bit_words(s->at->k->n);
    l.must = mem_new((2 * words + 1) * sizeof *l.must);
    l.lacks = l.must + words;
    for (uint32_t i = 0; i < s->n_need; i++) set_bit(l.must, s->need[i].symbol);
    if (demand(s, &l, f)) solve(s, &l);
    free(l.must);
    free(l.either);
    free(s->atom);
    return s->best < FAR || (s->left && s->tries);
}

// A short search for any completion, with a property of this symbol or (NONE) without a condition.
static enum may may_complete(grammar *g, form_id f, const struct object_at *at, uint32_t symbol)
{
    struct search s = {.g = g,
                       .at = at,
                       .need = {{symbol, SET_ALL}},
                       .n_need = symbol != NONE,
                       .best = FAR,
                       .left = FEW_MAX,
                       .tries = FEW_MAX,
                       .any = true,
                       .brief = true};
    if (!look_through(&s, f) || (s.passed_over && s.best >= FAR)) return MAY_UNKNOWN;
    return s.best < FAR ? MAY : MAY_NOT;
}

enum may object_may_have(grammar *g, form_id f, const struct object_at *at, uint32_t symbol)
{
    return g->too_much ? MAY_UNKNOWN : may_complete(g, f, at, symbol);
}

uint32_t object_rest(grammar *g, form_id f, const struct object_at *at, bool any)
{
    if (g->too_much) return FAR;
    if (any && !g->forms[f].plain) {
        enum may may = may_complete(g, f, at, NONE);
        if (may != MAY_UNKNOWN) return may == MAY ? 0 : FAR;
    }
    struct search s = {
        .g = g, .at = at, .best = FAR, .left = SEARCH_MAX, .tries = TRIES_MAX, .any = any};
    if (!look_through(&s, f))
        grammar_too_much(g, "alternatives of an object: no completion found among 1,500");
    return s.best;
}

struct place_hash {
    uint64_t h, k;
};

static void hash_in(struct place_hash *x, uint64_t v)
{
    x->h = mix(x->h, v);
    x->k = mix(x->k ^ 0x5bd1e995, v);
}

static struct place_hash hash_place(form_id f, const struct object_at *at)
{
    struct place_hash x = {f, at->more};
    hash_in(&x, (uint64_t)(uintptr_t)at->k);
    hash_in(&x, (uint64_t)at->count << 32 | at->next);
    for (uint32_t i = 0; i < bit_words(at->k->n); i++) hash_in(&x, at->seen[i]);
    for (const struct seen_key *e = at->extra; e; e = e->before) {
        hash_in(&x, e->len);
        for (uint32_t i = 0; i < e->len; i++) hash_in(&x, (uint8_t)e->text[i]);
    }
    return x;
}

// Under a budget the same places are asked about at every token until the object has another
// property. While a cost is being found out the answer may be that of a cut, and does not last.
uint32_t object_finish(grammar *g, form_id f, const struct object_at *at)
{
    if (g->finding || g->forget) return object_rest(g, f, at, false);
    struct place_hash x = hash_place(f, at);
    if (!g->rests) g->rests = mem_new(RESTS_MAX * sizeof *g->rests);
    struct rest_known *known = &g->rests[x.h & (RESTS_MAX - 1)];
    if (known->hash[0] == x.h && known->hash[1] == x.k) return known->rest;
    uint32_t rest = object_rest(g, f, at, false);
    if (!g->too_much) *known = (struct rest_known){{x.h, x.k}, rest};
    return rest;
}
