// The constrained decoder against oracles. If this fails, a model is kept from writing what its
// schema allows, may write what it forbids, or is led into a text that cannot be finished.
#include "test.h"

#include "base/mem.h"
#include "engine/json_write.h"
#include "engine/schema.h"
#include "oracle.h"
#include "random_schema.h"
#include "test_vocab.h"

#define TEXT_MAX 4000

// Other numbers ask other questions: SEED=7 build/release/test_grammar
static rng seed(uint64_t n)
{
    const char *other = getenv("SEED");
    return rng_seed(other ? strtoull(other, NULL, 10) : n);
}

// ROUNDS=10 asks ten times as many questions.
static int rounds(int n)
{
    const char *times = getenv("ROUNDS");
    return times ? n * atoi(times) : n;
}

static char *dump(const json_t *j)
{
    return json_dumps(j, JSON_ENCODE_ANY);
}

static bool bit(const uint64_t *bits, int32_t t)
{
    return bits[t / 64] >> (t % 64) & 1;
}

// A random allowed token, small ones (which close things) a little more often; -1: none.
static int32_t choose(const grammar_vocab *v, const uint64_t *bits, rng *r)
{
    int32_t chosen = -1;
    uint64_t n = 0;
    for (int32_t t = 0; t < v->n_token; t++)
        if (bit(bits, t)) {
            uint64_t weight = t == v->end                                         ? 20
                              : v->len[t] == 1 && strchr("]},\"", v->bytes[t][0]) ? 12
                                                                                  : 1;
            n += weight;
            if (rng_below(r, n) < weight) chosen = t;
        }
    return chosen;
}

struct walk {
    const grammar_vocab *v;
    const json_t *schema;
    struct grammar_options o;
    grammar *g;
    grammar_state *s;
    rng *r;
    char text[TEXT_MAX + 64];
    size_t n;
    uint64_t *fast, *slow;
};

static void fail_walk(struct walk *w, int32_t t, const char *why)
{
    char *text = dump(w->schema);
    printf("schema %s\nspacing %d order %d escapes %d closed %d\nafter  %.*s\ntoken  %d '%.*s'\n",
           text, w->o.spacing, w->o.order, w->o.escapes, w->o.closed, (int)w->n, w->text, t,
           (int)(t >= 0 ? w->v->len[t] : 0), t >= 0 ? w->v->bytes[t] : "");
    fflush(stdout); // print_message would cut it off
    fail_msg("%s", why);
}

static size_t mask_bytes(const struct walk *w)
{
    return (size_t)(w->v->n_token + 63) / 64 * 8;
}

static size_t masks_compared;

// The mask at this place, bit by bit, against the slow twin.
static int compare_masks(struct walk *w, int budget)
{
    int n = grammar_mask(w->s, budget, w->fast), m = grammar_mask_slow(w->s, budget, w->slow);
    masks_compared++;
    for (int32_t t = 0; t < w->v->n_token; t++)
        if (bit(w->fast, t) != bit(w->slow, t))
            fail_walk(w, t, bit(w->fast, t) ? "fast only" : "slow only");
    if (n != m) fail_walk(w, -1, "the count is not that of the slow mask");
    if (n == 0) fail_walk(w, -1, "dead end");
    return n;
}

static struct grammar_options random_options(rng *r)
{
    return (struct grammar_options){.spacing = (enum grammar_spacing)rng_below(r, 3),
                                    .order = (enum grammar_order)rng_below(r, 3),
                                    .escapes = (enum lex_escapes)rng_below(r, 2),
                                    .space_max = UNIVERSE_GAP,
                                    .closed = rng_below(r, 4) == 0};
}

// Schemas that may be refused: nothing satisfies them, they lead in a circle, or a cap is met.
static size_t refused_caps;

static bool begin_walk(struct walk *w, const grammar_vocab *v, rng *r, json_t *schema,
                       struct grammar_options o)
{
    err e;
    *w = (struct walk){.v = v, .schema = schema, .o = o, .r = r};
    w->g = grammar_from_schema(v, schema, &o, &e);
    if (!w->g) {
        bool empty = strstr(e.msg, "no value of reasonable length") != NULL;
        if (!empty && !strstr(e.msg, "comes back to itself")) {
            if (!strstr(e.msg, "grow") && !strstr(e.msg, "cannot be enforced") &&
                !strstr(e.msg, "nested deeper") && !strstr(e.msg, "more than") &&
                !strstr(e.msg, "no completion"))
                fail_walk(w, -1, e.msg);
            refused_caps++;
        }
        return false;
    }
    w->s = grammar_start(w->g);
    w->fast = mem_new(mask_bytes(w));
    w->slow = mem_new(mask_bytes(w));
    return true;
}

static void end_walk(struct walk *w)
{
    grammar_state_free(w->s);
    grammar_free(w->g);
    free(w->fast);
    free(w->slow);
}

static void take(struct walk *w, int32_t t)
{
    if (!grammar_accept(w->s, t)) fail_walk(w, t, "masked in, but not accepted");
    if (t == w->v->end) return;
    if (w->n + w->v->len[t] > TEXT_MAX) fail_walk(w, t, "the text does not end");
    memcpy(w->text + w->n, w->v->bytes[t], w->v->len[t]);
    w->n += w->v->len[t];
}

static void check_document(struct walk *w)
{
    err e;
    json_error_t je;
    json_t *doc =
        json_read(w->text, w->n, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &je);
    w->text[w->n] = 0;
    // Jansson holds no NUL in keys; everything else must parse.
    if (!doc && strstr(w->text, "\\u0000")) return;
    if (!doc) fail_walk(w, -1, je.text);
    if (schema_validate(w->schema, doc, &e) < 0 && e.code == ERR_FAILED) fail_walk(w, -1, e.msg);
    json_decref(doc);
}

// Finishes by the shortest way: each token must bring the end nearer.
static void finish(struct walk *w)
{
    for (int32_t t = -1; t != w->v->end;) {
        int bound = grammar_shortest_finish(w->s);
        if (grammar_mask(w->s, bound, w->fast) == 0)
            fail_walk(w, t, "no token within the shortest finish");
        t = choose(w->v, w->fast, w->r);
        take(w, t);
        if (grammar_shortest_finish(w->s) >= bound)
            fail_walk(w, t, "the finish does not come nearer");
    }
    check_document(w);
}

// What may come can be completed: finishes from a copy of this place, which stays as it is.
static void finish_aside(struct walk *w, int32_t t)
{
    grammar_state *here = w->s;
    size_t n = w->n;
    w->s = grammar_copy(here);
    if (t >= 0) take(w, t);
    if (t != w->v->end)
        finish(w);
    else
        check_document(w);
    grammar_state_free(w->s);
    w->s = here;
    w->n = n;
}

// ---- all documents of a small universe ----

struct exam {
    struct walk w;
    const struct universe *u;
    bool *valid;    // [u->n] and written under these options
    bool *accepted; // [u->n]
};

static size_t places_looked_at;

// Documents [lo, hi) share the first `at` bytes, which the state has accepted.
static void examine(struct exam *x, size_t lo, size_t hi, size_t at)
{
    struct walk *w = &x->w;
    places_looked_at++;
    if (x->u->doc[lo].n == at) x->accepted[lo++] = grammar_may_end(w->s);
    for (size_t mid; lo < hi; lo = mid) {
        char c = x->u->doc[lo].text[at];
        bool some = false;
        for (mid = lo; mid < hi && x->u->doc[mid].text[at] == c; mid++)
            some = some || x->valid[mid];
        w->n = at;
        memcpy(w->text, x->u->doc[lo].text, at + 1);
        if (!grammar_accept(w->s, (uint8_t)c)) {
            if (some && w->o.order == ORDER_ANY)
                fail_walk(w, (uint8_t)c, "refused, but a document goes on so");
            continue;
        }
        w->n++;
        if (rng_below(w->r, some ? 200 : 20) == 0) finish_aside(w, -1);
        if (rng_below(w->r, 100) == 0) compare_masks(w, -1);
        examine(x, lo, mid, at + 1);
        grammar_rollback(w->s, 1);
    }
}

// Whether a text of this value is among those marked.
static bool value_marked(const struct universe *u, const bool *mark, uint32_t value)
{
    for (size_t i = 0; i < u->n; i++)
        if (u->doc[i].value == value && mark[i]) return true;
    return false;
}

static void compare_verdicts(struct exam *x)
{
    struct walk *w = &x->w;
    for (size_t i = 0; i < x->u->n; i++) {
        const struct universe_doc *d = &x->u->doc[i];
        w->n = d->n;
        memcpy(w->text, d->text, d->n);
        if (x->accepted[i] && !x->valid[i]) fail_walk(w, -1, "accepted, but not valid");
        if (!x->valid[i] || x->accepted[i]) continue;
        // Under a fixed order one of the texts of each value is written, unless its gaps are wide.
        if (w->o.order == ORDER_ANY || (!d->one_order && w->o.spacing != SPACING_FLEXIBLE &&
                                        !value_marked(x->u, x->accepted, d->value)))
            fail_walk(w, -1, "valid, but not accepted");
    }
}

// Exactly the valid documents are accepted, and each byte of them.
static bool sit_exam(const grammar_vocab *v, rng *r, json_t *schema, const struct universe *u,
                     struct grammar_options o)
{
    struct exam x = {.u = u, .valid = mem_new(u->n), .accepted = mem_new(u->n)};
    json_t *judged = o.closed ? schema_closed(schema) : json_incref(schema);
    bool begun = begin_walk(&x.w, v, r, schema, o);
    if (universe_judge(u, judged, x.valid)) {
        for (size_t i = 0; i < u->n; i++)
            if (u->doc[i].escaped && o.escapes == ESCAPES_MINIMAL) x.valid[i] = false;
        if (begun) {
            examine(&x, 0, u->n, 0);
            compare_verdicts(&x);
        }
    }
    if (begun) end_walk(&x.w);
    json_decref(judged);
    free(x.valid);
    free(x.accepted);
    return begun;
}

static void small_universe(void **state)
{
    (void)state;
    rng r = seed(11);
    grammar_vocab *v = test_vocab_new(&r, 40);
    struct universe *u[3];
    int compiled = 0;
    for (int i = 0; i < 3; i++) u[i] = universe_new((enum grammar_spacing)i, &r);
    for (int i = 0; i < rounds(400); i++) {
        json_t *schema = i % 4 ? random_small_schema(&r) : random_schema(&r);
        struct grammar_options o = random_options(&r);
        // A definition may be combined in one place and not in another.
        char *text = dump(schema);
        o.closed = o.closed && !strstr(text, "$ref");
        free(text);
        compiled += sit_exam(v, &r, schema, u[o.spacing], o);
        json_decref(schema);
    }
    print_message("%d schemas, %zu documents each, %zu places, %zu met a cap\n", compiled, u[0]->n,
                  places_looked_at, refused_caps);
    assert_true(compiled > rounds(200) && places_looked_at > (size_t)rounds(100000));
    for (int i = 0; i < 3; i++) universe_free(u[i]);
    test_vocab_free(v);
}

// ---- random walks ----

static json_t *some_schema(rng *r)
{
    return rng_below(r, 2) ? random_small_schema(r) : random_schema(r);
}

// Fast mask == slow mask, each token can be completed, and every document is valid.
static void documents_are_valid(void **state)
{
    (void)state;
    rng r = seed(5);
    grammar_vocab *v = test_vocab_new(&r, 60);
    int documents = 0;
    for (int i = 0; i < rounds(600); i++) {
        json_t *schema = some_schema(&r);
        struct walk w;
        if (begin_walk(&w, v, &r, schema, random_options(&r))) {
            int32_t t = -1;
            for (int step = 0; step < 30 && t != v->end; step++) {
                if (step % 4 == 0)
                    compare_masks(&w, -1);
                else
                    grammar_mask(w.s, -1, w.fast);
                if (step % 4 == 1) finish_aside(&w, choose(v, w.fast, &r));
                grammar_mask(w.s, -1, w.fast);
                t = choose(v, w.fast, &r);
                if (t < 0) fail_walk(&w, t, "dead end");
                take(&w, t);
            }
            if (t == v->end)
                check_document(&w);
            else
                finish(&w);
            documents++;
            end_walk(&w);
        }
        json_decref(schema);
    }
    print_message("%d documents valid, %zu masks as the slow twin's\n", documents, masks_compared);
    assert_true(documents > rounds(300));
    test_vocab_free(v);
}

static int keep_budgets(grammar_vocab *v, json_t *schema, struct grammar_options o, rng *r)
{
    struct walk w;
    int runs = 0;
    for (int extra = 0; extra < 16; extra += 1 + extra / 5) {
        if (!begin_walk(&w, v, r, schema, o)) break;
        int budget = grammar_shortest_finish(w.s) + extra;
        assert_int_equal(grammar_mask(w.s, grammar_shortest_finish(w.s) - 1, w.fast), 0);
        for (int32_t t = -1; t != v->end; budget--) {
            int n =
                (runs + extra) % 7 ? grammar_mask(w.s, budget, w.fast) : compare_masks(&w, budget);
            if (n == 0) fail_walk(&w, t, "dead end under a budget");
            t = choose(v, w.fast, r);
            take(&w, t);
        }
        assert_true(budget >= 0);
        check_document(&w);
        end_walk(&w);
        runs++;
    }
    return runs;
}

// Under every budget from the least upwards, a random walk ends in time with a valid document.
static void budgets_are_kept(void **state)
{
    (void)state;
    rng r = seed(7);
    grammar_vocab *v = test_vocab_new(&r, 30);
    int runs = 0;
    for (int i = 0; i < rounds(160); i++) {
        json_t *schema = some_schema(&r);
        runs += keep_budgets(v, schema, random_options(&r), &r);
        json_decref(schema);
    }
    print_message("%d runs under a budget\n", runs);
    assert_true(runs > rounds(500));
    test_vocab_free(v);
}

static void keep_budgets_of(const char *const *sources, size_t n, rng *r)
{
    grammar_vocab *v = test_vocab_new(r, 30);
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < rounds(12); k++) {
            char *text = mem_str(sources[i]);
            for (char *c = text; *c; c++) *c = *c == '\'' ? '"' : *c;
            json_error_t e;
            json_t *schema = json_loads(text, 0, &e);
            if (!schema) fail_msg("%s: %s", text, e.text);
            assert_int_equal(keep_budgets(v, schema, random_options(r), r), 10);
            json_decref(schema);
            free(text);
        }
    test_vocab_free(v);
}

// Where words must differ, those that are left are longer than those that were taken.
static void budgets_of_distinct_words(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "{'type': 'array', 'uniqueItems': true, 'minItems': 2, 'items': {'enum': ['a', 'ab', 'é', "
        "'\\\\q']}}",
        "{'type': 'array', 'uniqueItems': true, 'minItems': 3, 'items': {'enum': ['', 'a', 'a word "
        "of "
        "more than twelve bytes', 'and one that is longer than that', 'b']}}",
        "{'type': 'array', 'uniqueItems': true, 'minItems': 3, 'maxItems': 3, 'items': {'enum': "
        "['x', "
        "'\\n\\n\\n\\n\\n\\n\\n\\n\\n', 'all of them have to come']}}",
        "{'type': 'array', 'prefixItems': [{'type': 'integer'}], 'uniqueItems': true, 'minItems': "
        "4, "
        "'items': {'enum': ['a', 'ab', 'all that is left of these words', 'é']}}",
        "{'type': 'array', 'prefixItems': [{'format': 'date'}], 'uniqueItems': true, 'minItems': "
        "6, "
        "'items': {'enum': ['a', 'ab', 'é', 'è', '\\\\q']}}",
        "{'type': 'array', 'uniqueItems': true, 'minItems': 3, 'items': {'pattern': "
        "'^(f|g{30}|h{50})$', 'type': 'string'}}",
        "{'type': 'array', 'uniqueItems': true, 'minItems': 3, 'items': {'enum': [1, 2, "
        "1234567890123456]}}",
        "{'type': 'array', 'uniqueItems': true, 'minItems': 3, 'items': {'enum': [[1], "
        "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], {'a': 1}, {'a': 'as long as all of the others'}]}}",
        "{'type': 'array', 'uniqueItems': true, 'minItems': 3, 'items': {'enum': [[], [1], "
        "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]]}}",
        "{'type': 'array', 'uniqueItems': true, 'minItems': 3, 'items': {'type': 'array', "
        "'items': {'const': 'an element of many bytes'}}}",
        "{'type': 'array', 'uniqueItems': true, 'minItems': 3, 'items': {'type': 'object', "
        "'required': ['a'], 'additionalProperties': false, 'properties': {'a': {'type': 'string', "
        "'pattern': '^(f|g{20}|h{50})$'}}}}",
        "{'type': 'array', 'uniqueItems': true, 'minItems': 3, 'items': {'type': 'object', "
        "'additionalProperties': false, 'properties': {'a name of many bytes': {'enum': [1, 2, "
        "'xxxxxxxxxxxxxxxxxxxxxxx']}}}}",
        "{'type': 'array', 'uniqueItems': true, 'minItems': 6, 'items': {'type': 'array', "
        "'maxItems': 2, 'uniqueItems': true, 'items': {'enum': [1, null, "
        "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx']}}}",
    };
    rng r = seed(8);
    keep_budgets_of(sources, sizeof sources / sizeof *sources, &r);
}

// Undeclared keys: those that are left are much longer than those that were taken.
static void budgets_of_keys(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "{'type': 'object', 'patternProperties': {'^(f|g{40})$': {'type': 'null'}}, "
        "'additionalProperties': false, 'minProperties': 2}",
        "{'type': 'object', 'propertyNames': {'pattern': '^(f|g{9}|h{30})$'}, "
        "'additionalProperties': {'type': 'null'}, 'minProperties': 3}",
        "{'type': 'object', 'patternProperties': {'^a+$': {'type': 'null'}, '^b{20,}$': {'const': "
        "1}}, 'additionalProperties': false, 'minProperties': 5}",
        "{'type': 'object', 'patternProperties': {'^(f|g{20})$': {'type': 'null'}, "
        "'^(g*|f|é{9})$': "
        "{'enum': [null, 1]}}, 'additionalProperties': false, 'minProperties': 4}",
        "{'type': 'array', 'minItems': 2, 'items': {'type': 'object', 'minProperties': 2, "
        "'propertyNames': {'enum': ['k', 'a key of more bytes than any other']}, "
        "'additionalProperties': {'type': 'object', 'minProperties': 2, 'propertyNames': "
        "{'pattern': '^(x|y{15})$'}, 'additionalProperties': {'type': 'null'}}}}",
        "{'type': 'object', 'properties': {'f': {'type': 'null'}, 'gg': {'const': 1}}, 'required': "
        "['f'], 'patternProperties': {'^(f|ff|g{2}|g{25}|[gh]{20})$': {'type': ['null', "
        "'number']}}, "
        "'additionalProperties': false, 'minProperties': 4}",
        "{'type': 'object', 'patternProperties': {'^(\\u0001{3}|\\\\\\\\{2}|\\\"{12}|é|€€€)$': "
        "{'type': 'null'}}, 'additionalProperties': false, 'minProperties': 4}",
        "{'anyOf': [{'type': 'object', 'patternProperties': {'^(f|g{12}|gi{19})$': {'const': 3}}, "
        "'additionalProperties': false, 'minProperties': 3}, {'type': 'object', "
        "'patternProperties': {'^(f|i{40})$': {'const': 4}}, 'additionalProperties': false, "
        "'minProperties': 2}]}",
        "{'type': 'object', 'patternProperties': {'^(f|g{30})$': {'type': 'null'}, '^(ab)*$': "
        "{'type': 'null'}}, 'additionalProperties': {'type': 'integer'}, 'not': "
        "{'patternProperties': {'^g': false}}}",
        "{'type': 'object', 'patternProperties': {'^(f|g{30})$': {'enum': [1, null]}}, "
        "'additionalProperties': false, 'minProperties': 1, 'not': {'additionalProperties': "
        "{'const': 1}}, 'if': {'minProperties': 2}, 'then': {'minProperties': 2}, 'else': false}",
        // which two of them stand decides, not how many or how long they are
        "{'type': 'array', 'minItems': 3, 'items': {'type': 'object', 'additionalProperties': "
        "false, 'minProperties': 3, 'patternProperties': {'^[ab]$': {'const': 'a value that takes "
        "many bytes, more than all others'}, '^[cd]$': {'type': 'null'}}}}",
    };
    rng r = seed(9);
    keep_budgets_of(sources, sizeof sources / sizeof *sources, &r);
}

// Tokens that end an element that must differ and begin the next one, and the one after it.
static void tokens_across_compared_elements(void **state)
{
    (void)state;
    static const char *const pieces[] = {"\"",  ",",    "a",  "b", "[",       "]",
                                         "{",   "}",    "1",  "2", ",\"",     "\",\"",
                                         "\":", "null", ",1", "0", "\"},{\"", "\",\",\","};
    static const char *const items[] = {
        "{'pattern': '^a?b?$', 'type': 'string'}",
        "{'pattern': '^(a|b[ab]*)$', 'type': 'string'}",
        "{'type': ['string', 'null'], 'maxLength': 1}",
        "{'type': ['string', 'integer']}",
        "{'type': 'integer', 'minimum': 0, 'maximum': 12}",
        "{'enum': ['a', 'b', 'ab', 1, null]}",
        "{}",
        "{'type': 'object', 'properties': {'a': {'enum': [1, 2]}, 'b': {'type': 'string'}}, "
        "'additionalProperties': false}",
        "{'type': 'object', 'properties': {'a': {'enum': [1, 2]}, 'b': {'type': 'null'}}, "
        "'additionalProperties': false}",
        "{'type': 'array', 'items': {'enum': [1, 2]}, 'maxItems': 2}",
        "{'type': ['array', 'string'], 'uniqueItems': true, 'items': {'type': ['string', 'null']}}",
    };
    rng r = seed(9);
    size_t before = masks_compared;
    for (size_t i = 0; i < sizeof items / sizeof *items; i++)
        for (int k = 0; k < rounds(24); k++) {
            grammar_vocab *v = test_vocab_of(&r, pieces, sizeof pieces / sizeof *pieces, 80);
            char *text = mem_str(items[i]);
            for (char *c = text; *c; c++) *c = *c == '\'' ? '"' : *c;
            json_t *schema = json_pack("{s:s, s:b, s:o}", "type", "array", "uniqueItems", 1,
                                       "items", json_loads(text, 0, NULL));
            if (k % 3 == 0) json_object_set_new(schema, "minItems", json_integer(2));
            struct walk w;
            if (!begin_walk(&w, v, &r, schema, random_options(&r))) fail_msg("%s", text);
            int32_t t = -1;
            for (int n = 0; n < 60 && t != v->end; n++) {
                if (compare_masks(&w, -1) == 0) fail_walk(&w, t, "dead end");
                do t = choose(v, w.fast, &r);
                while (t == v->end && n < 20 && rng_below(&r, 4));
                take(&w, t);
            }
            if (t != v->end) finish(&w);
            check_document(&w);
            end_walk(&w);
            json_decref(schema);
            free(text);
            test_vocab_free(v);
        }
    print_message("%zu masks as the slow twin's\n", masks_compared - before);
    assert_true(masks_compared - before > (size_t)rounds(1000));
}

// A key that leaves the declared name it began like owes that name still.
static void a_left_name_is_owed(void **state)
{
    (void)state;
    rng r = seed(8);
    grammar_vocab *v = test_vocab_new(&r, 60);
    json_t *schema =
        json_loads("{\"type\": \"object\", \"required\": [\"abcdefghijklmnopqrstuvw\"],"
                   "\"properties\": {\"abcdefghijklmnopqrstuvw\": {}}}",
                   0, NULL);
    struct walk w;
    assert_true(begin_walk(&w, v, &r, schema, (struct grammar_options){.order = ORDER_ANY}));
    for (const char *c = "{\"abcdefghijklmnopqrst"; *c; c++) {
        assert_true(grammar_accept(w.s, (uint8_t)*c));
        for (int extra = 0; extra < 60; extra += 3)
            compare_masks(&w, grammar_shortest_finish(w.s) + extra);
    }
    end_walk(&w);
    json_decref(schema);
    test_vocab_free(v);
}

// ---- documents by another writer ----

static const char *value_end(const char *p)
{
    int depth = 0;
    do {
        if (*p == '"')
            for (p++; *p != '"'; p++) p += *p == '\\';
        else if (strchr("[{", *p))
            depth++;
        else if (strchr("]}", *p))
            depth--;
        else if (!depth) // a number or a word
            return p + strcspn(p, ",]} ");
        p++;
    } while (depth);
    return p;
}

// Byte by byte; the state stays where it was when some are refused.
static bool feed_bytes(grammar_state *s, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!grammar_accept(s, (uint8_t)p[i])) {
            grammar_rollback(s, i);
            return false;
        }
    return true;
}

enum { MEMBERS_MAX = 16 };
struct member {
    const char *key, *value, *end; // up to the value stand quotes and colon, too
};

static bool feed_any_order(grammar_state *s, const char *p, const char *end, const char *comma);

static bool feed_members(grammar_state *s, const struct member *m, int n, uint32_t written,
                         const char *comma)
{
    size_t before = grammar_length(s);
    if (written + 1 == 1u << n) return feed_bytes(s, "}", 1);
    for (int i = 0; i < n; i++) {
        if (written >> i & 1) continue;
        if (feed_bytes(s, comma, written ? strlen(comma) : 0) &&
            feed_bytes(s, m[i].key, (size_t)(m[i].value - m[i].key)) &&
            feed_any_order(s, m[i].value, m[i].end, comma) &&
            feed_members(s, m, n, written | 1u << i, comma))
            return true;
        grammar_rollback(s, grammar_length(s) - before);
    }
    return false;
}

// The value at p with the keys of each object in some order.
static bool feed_any_order(grammar_state *s, const char *p, const char *end, const char *comma)
{
    struct member m[MEMBERS_MAX];
    int n = 0;
    if (!strchr("[{", *p) || end - p == 2) return feed_bytes(s, p, (size_t)(end - p));
    bool object = *p == '{';
    if (!feed_bytes(s, p, 1)) return false;
    for (const char *at = p + 1; at < end; at = m[n++].end + strlen(comma)) {
        assert_true(n < MEMBERS_MAX);
        m[n].key = m[n].value = at;
        if (object) m[n].value = value_end(at) + strlen(comma); // a colon is as wide
        m[n].end = value_end(m[n].value);
        if (*m[n].end == (object ? '}' : ']')) at = end;
        if (!object && !(feed_bytes(s, comma, n ? strlen(comma) : 0) &&
                         feed_any_order(s, m[n].value, m[n].end, comma)))
            return false;
        if (at == end) {
            n++;
            break;
        }
    }
    return object ? feed_members(s, m, n, 0, comma) : feed_bytes(s, "]", 1);
}

// Alternatives may list the same keys in other orders than the one that the writer follows.
static bool feed_document(struct walk *w, const char *p, size_t n)
{
    if (test_vocab_feed(w->v, w->s, w->r, p, n)) return true;
    char *schema = dump(w->schema);
    bool alternatives = strstr(schema, "\"anyOf\"") != NULL;
    free(schema);
    grammar_rollback(w->s, grammar_length(w->s));
    return w->o.order == ORDER_SCHEMA && alternatives &&
           feed_any_order(w->s, p, p + n, w->o.spacing == SPACING_PYTHON ? ", " : ",");
}

// What a separate writer of documents produces is accepted, in any tokenisation.
static void valid_documents_are_accepted(void **state)
{
    (void)state;
    rng r = seed(3);
    grammar_vocab *v = test_vocab_new(&r, 60);
    int accepted = 0;
    for (int i = 0; i < rounds(1500); i++) {
        json_t *schema = random_schema(&r);
        struct grammar_options o = {.spacing = i % 2 ? SPACING_PYTHON : SPACING_COMPACT,
                                    .order = i % 3 ? ORDER_ANY : ORDER_SCHEMA};
        buf text = buf_new(100000);
        struct walk w;
        if (random_document(&r, schema, schema, o.spacing, &text) &&
            begin_walk(&w, v, &r, schema, o)) {
            json_t *doc =
                json_loadb(text.p, text.n, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
            assert_non_null(doc);
            w.n = text.n < TEXT_MAX ? text.n : TEXT_MAX;
            memcpy(w.text, text.p, w.n);
            if (!feed_document(&w, text.p, text.n))
                fail_walk(&w, -1, "a valid document is refused");
            if (!grammar_may_end(w.s))
                fail_walk(&w, -1, "the end is refused after a valid document");
            accepted++;
            json_decref(doc);
            end_walk(&w);
        }
        buf_free(&text);
        json_decref(schema);
    }
    print_message("%d documents accepted\n", accepted);
    assert_true(accepted > rounds(600));
    test_vocab_free(v);
}

// ---- speculation ----

// Masks and bounds of a state are those of another one that took the same tokens one by one.
static void compare_with_replay(struct walk *w, const int32_t *tokens, size_t n)
{
    grammar_state *fresh = grammar_start(w->g);
    int budget = rng_below(w->r, 2) ? -1 : grammar_shortest_finish(w->s) + (int)rng_below(w->r, 9);
    for (size_t i = 0; i < n; i++)
        if (!grammar_accept(fresh, tokens[i])) fail_walk(w, tokens[i], "the replay is refused");
    if (grammar_length(w->s) != n) fail_walk(w, -1, "not as long as what was accepted");
    int a = grammar_mask(w->s, budget, w->fast), b = grammar_mask(fresh, budget, w->slow);
    if (a != b || memcmp(w->fast, w->slow, mask_bytes(w)) != 0)
        fail_walk(w, -1, "not the mask of the replay");
    if (grammar_shortest_finish(w->s) != grammar_shortest_finish(fresh))
        fail_walk(w, -1, "not the finish of the replay");
    if (grammar_may_end(w->s) != grammar_may_end(fresh))
        fail_walk(w, -1, "not the end of the replay");
    grammar_state_free(fresh);
}

enum { SPECULATED = 40 };

// Tokens are tried and taken back, copies go their own way, as a draft model has it.
static void speculate(struct walk *w)
{
    int32_t tokens[SPECULATED + 1], ends[SPECULATED + 2] = {0};
    size_t n = 0;
    for (int step = 0; step < 60 && n < SPECULATED; step++) {
        bool ended = n > 0 && tokens[n - 1] == w->v->end;
        if (ended || (n > 0 && rng_below(w->r, 4) == 0)) {
            size_t back = 1 + rng_below(w->r, n);
            grammar_rollback(w->s, back);
            n -= back;
            w->n = (size_t)ends[n];
        } else if (rng_below(w->r, 6) == 0) {
            grammar_state *copy = grammar_copy(w->s), *old = w->s;
            w->s = rng_below(w->r, 2) ? copy : old; // either may outlive the other
            grammar_state_free(w->s == copy ? old : copy);
        } else if (rng_below(w->r, 8) == 0) {
            finish_aside(w, -1);
        } else {
            grammar_mask(w->s, -1, w->fast);
            int32_t t = choose(w->v, w->fast, w->r);
            take(w, t);
            tokens[n++] = t;
            ends[n] = (int32_t)w->n;
        }
        if (step % 3 == 0) compare_with_replay(w, tokens, n);
        int32_t other = (int32_t)rng_below(w->r, (uint64_t)w->v->n_token);
        grammar_mask(w->s, -1, w->fast);
        if (bit(w->fast, other)) continue;
        if (grammar_accept(w->s, other)) fail_walk(w, other, "accepted, but masked out");
        if (grammar_length(w->s) != n) fail_walk(w, other, "refused, but longer");
    }
}

static void speculation_leaves_no_trace(void **state)
{
    (void)state;
    rng r = seed(9);
    grammar_vocab *v = test_vocab_new(&r, 30);
    for (int i = 0; i < rounds(200); i++) {
        json_t *schema = some_schema(&r);
        struct walk w;
        if (begin_walk(&w, v, &r, schema, random_options(&r))) {
            speculate(&w);
            end_walk(&w);
        }
        json_decref(schema);
    }
    test_vocab_free(v);
}

// ---- characters that are special ----

// A random walk that looks at each mask, now and then under a budget.
static void compare_on_the_way(struct walk *w, int steps)
{
    for (int32_t t = -1; steps-- > 0 && t != w->v->end && w->n < TEXT_MAX / 2;) {
        if (rng_below(w->r, 6) == 0)
            compare_masks(w, grammar_shortest_finish(w->s) + (int)rng_below(w->r, 5));
        compare_masks(w, -1);
        t = choose(w->v, w->fast, w->r);
        take(w, t);
    }
}

static const char *const letters[] = {"a", "b", "\"", "\\", "\n", "\x01", "/", "é", "漢", "😀", " "};

static json_t *random_names_schema(rng *r)
{
    static const char *const values[] = {"boolean", "null", "integer", "array"};
    json_t *props = json_object(), *required = json_array();
    for (uint64_t n = 1 + rng_below(r, 5); n; n--) {
        char name[64] = "";
        for (uint64_t k = rng_below(r, 4); k; k--)
            strcat(name, letters[rng_below(r, sizeof letters / sizeof letters[0])]);
        if (rng_below(r, 3) == 0 && !json_object_get(props, name))
            json_array_append_new(required, json_string(name));
        json_object_set_new(props, name, json_pack("{s:s}", "type", values[rng_below(r, 4)]));
    }
    json_t *schema =
        json_pack("{s:s, s:o, s:o}", "type", "object", "properties", props, "required", required);
    if (rng_below(r, 3) == 0)
        json_object_set_new(schema, "additionalProperties", json_boolean(rng_below(r, 3)));
    else
        json_object_set_new(schema, "additionalProperties", json_pack("{s:s}", "type", "string"));
    if (rng_below(r, 3) == 0)
        json_object_set_new(schema, "propertyNames",
                            json_pack("{s:i}", "maxLength", 1 + (int)rng_below(r, 4)));
    return schema;
}

// Declared names with characters that JSON writes with a backslash, or may, and tokens that spell
// parts of them in any way, and what follows them.
static void names_with_escapes(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "a",       "b",   "ab",      "\\\"",      "\\\\",      "\\n",   "\\u",     "\\u00",
        "22",      "5c",  "\\u0022", "0a",        "/",         "\\/",   "é",       "\xc3",
        "\xa9",    "漢",  "\xe6",    "😀",         "\xf0\x9f",  "\\ud8", "3d",      "\\ude00",
        "\\u005C", "\"",  "\":",     "\": ",      "\":tr",     "\":nu", "\":[",    "\":1",
        "\":\"",   " ",   "\\",      "\\u0061\"", "\\u000A\"", "\\n\"", "\\\"\"",  "\\\\\"",
        "\",\"",   "{\"", ",\"",     "é\"",       "a\"",       "b\":",  "\\u00e9", "\xa9\""};
    rng r = seed(12);
    size_t before = masks_compared;
    for (int i = 0; i < rounds(150); i++) {
        grammar_vocab *v = test_vocab_of(&r, pieces, sizeof pieces / sizeof pieces[0], 400);
        for (int k = 0; k < 3; k++) {
            json_t *schema = random_names_schema(&r);
            struct walk w;
            if (begin_walk(&w, v, &r, schema, random_options(&r))) {
                compare_on_the_way(&w, 30);
                end_walk(&w);
            }
            json_decref(schema);
        }
        test_vocab_free(v);
    }
    print_message("%zu masks compared\n", masks_compared - before);
}

// Patterns that tell white space beyond ASCII from other characters, and tokens that end before it
// is clear which it will be.
static void tokens_that_end_within_characters(void **state)
{
    (void)state;
    static const char *const patterns[] = {
        "^\\S+$",       "^[\\w\\s-]+$", "^[^\\s,]{2,5}$", "^\\s*$",         "^.+$",
        "^[^\u3000]+$", "^\\W+$",       "^[а-я ]+$",      "^\\S+\\s+\\S+$", "\\s",
        "^(\\S|a )*$",  "^[^漢]*$",     "^\\w*\\s?$",     "^[^\\S]{3,}$",   "^(\\s*|а*|b*)$"};
    static const char *const pieces[] = {"a",
                                         "b",
                                         " ",
                                         ",",
                                         "-",
                                         "\n",
                                         "\\n",
                                         "\xe3",
                                         "\xe3\x80",
                                         "　",
                                         "о",
                                         "\xd0",
                                         "\xbe",
                                         "\xc2",
                                         "\xa0",
                                         "\xc2\xa0",
                                         "é",
                                         "\xe2",
                                         "\xe2\x80",
                                         "\xa8",
                                         "\xe2\x80\xa8",
                                         "\xef\xbb\xbf",
                                         "\xef\xbb",
                                         "\xef",
                                         "漢",
                                         "\xe6\xbc",
                                         "😀",
                                         "\xf0\x9f",
                                         "\"",
                                         "\",\"",
                                         "\\u",
                                         "\\u30",
                                         "00"};
    rng r = seed(13);
    size_t before = masks_compared;
    for (int i = 0; i < rounds(40); i++) {
        grammar_vocab *v = test_vocab_of(&r, pieces, sizeof pieces / sizeof pieces[0], 400);
        for (size_t k = 0; k < sizeof patterns / sizeof patterns[0]; k++) {
            json_t *schema = json_pack("{s:s, s:s}", "type", "string", "pattern", patterns[k]);
            if (rng_below(&r, 4) == 0)
                json_object_set_new(schema, "maxLength", json_integer(4 + (int)rng_below(&r, 9)));
            struct walk w;
            if (begin_walk(&w, v, &r, schema, random_options(&r))) {
                compare_on_the_way(&w, 12);
                end_walk(&w);
            }
            json_decref(schema);
        }
        test_vocab_free(v);
    }
    print_message("%zu masks compared\n", masks_compared - before);
}

// A counter farther from its end than most tokens reach and nearer than the longest: in the middle
// of an escape or a character, too, what was made for a state alike is not all.
static void long_tokens_and_counters(void **state)
{
    (void)state;
    static const char *const pieces[] = {"a",
                                         "b ",
                                         "\\",
                                         "\\\\",
                                         "\"",
                                         "\\\"",
                                         "\\n",
                                         "\\u00",
                                         "61",
                                         "\",\"",
                                         "\":\"",
                                         "}",
                                         "]",
                                         "é",
                                         "\xe6\xbc",
                                         "\xa2",
                                         "\xa2\"",
                                         "abcdefghijklmnopqrst",
                                         "éééééééééééééééééééé",
                                         "---------",
                                         "0123456789012345678901234567890123456789"};
    static const char *const sources[] = {
        "{'type': 'string', 'maxLength': %d}",
        "{'type': 'string', 'minLength': 3, 'maxLength': %d}",
        "{'type': 'array', 'items': {'type': 'string', 'minLength': 1, 'maxLength': %d}}",
        "{'type': 'object', 'additionalProperties': {'type': 'string', 'pattern': '^.{1,%d}$'}}",
        "{'type': 'object', 'propertyNames': {'maxLength': %d}}"};
    rng r = seed(15);
    size_t before = masks_compared;
    for (int i = 0; i < rounds(60); i++) {
        grammar_vocab *v = test_vocab_of(&r, pieces, sizeof pieces / sizeof *pieces, 200);
        for (size_t k = 0; k < sizeof sources / sizeof *sources; k++) {
            char *text = mem_printf(sources[k], 24 + (int)rng_below(&r, 60));
            for (char *c = text; *c; c++) *c = *c == '\'' ? '"' : *c;
            json_t *schema = json_loads(text, 0, NULL);
            struct walk w;
            if (begin_walk(&w, v, &r, schema, random_options(&r))) {
                compare_on_the_way(&w, 16);
                end_walk(&w);
            }
            json_decref(schema);
            free(text);
        }
        test_vocab_free(v);
    }
    print_message("%zu masks compared\n", masks_compared - before);
}

static void forced_bytes(void **state)
{
    (void)state;
    rng r = rng_seed(1);
    err e;
    grammar_vocab *v = test_vocab_new(&r, 0);
    static const struct {
        const char *schema, *written, *forced;
    } rows[] = {
        {"{\"type\": \"object\", \"properties\": {\"path\": {\"type\": \"string\"}}, \"required\": "
         "[\"path\"], \"additionalProperties\": false}",
         "", "{\"path\": \""},
        {"{\"enum\": [\"left\", \"lemon\"]}", "", "\"le"},
        {"{\"enum\": [\"left\", \"lemon\"]}", "\"lef", "t\""},
        {"{\"const\": {\"a\": [1, true]}}", "", "{\"a\": [1"},
        {"{\"type\": \"boolean\"}", "t", "rue"},
        {"{\"type\": \"integer\"}", "1", ""},
        {"{\"type\": \"string\", \"maxLength\": 1}", "\"a", "\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_t *schema = json_loads(rows[i].schema, 0, NULL);
        grammar *g = grammar_from_schema(
            v, schema,
            &(struct grammar_options){.spacing = SPACING_PYTHON, .escapes = ESCAPES_MINIMAL}, &e);
        assert_non_null(g);
        grammar_state *s = grammar_start(g);
        char out[64] = {0};
        assert_true(test_vocab_feed(v, s, &r, rows[i].written, strlen(rows[i].written)));
        size_t n = grammar_forced(s, out, sizeof out - 1);
        out[n] = 0;
        assert_string_equal(out, rows[i].forced);
        grammar_state_free(s);
        grammar_free(g);
        json_decref(schema);
    }
    test_vocab_free(v);
}

// More texts behind a quote than a mask lists one by one.
static void many_texts_behind_a_quote(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *text;
    } cases[] = {
        {"{'type': 'array', 'items': {'type': 'string'}}", "[\"a\",\"b"},
        {"{'type': 'array', 'items': {'type': 'string', 'maxLength': 9}}", "[\"a\",\"b"},
        {"{'type': 'array', 'items': {'type': 'string'}, 'uniqueItems': true}", "[\"a\",\"b"},
        {"{'type': 'array', 'items': {'pattern': '^[a-z0-9]*$', 'type': 'string'}, 'uniqueItems': "
         "true, 'minItems': 3}",
         "[\"a\",\"b"},
        {"{'type': 'array', 'uniqueItems': true, 'minItems': 3}", "[\"a\",\"b"},
        {"{'type': 'object', 'additionalProperties': {'type': 'string'}}", "{\"a\":\"b"},
        {"{'type': 'object', 'additionalProperties': {'type': 'string'}}", "{\"a\":\"b\",\"c"},
        {"{'type': 'array', 'items': {'type': 'object'}, 'uniqueItems': true}",
         "[{\"a\":\"b\"},{\"c\":\"d"},
        {"{'type': 'array', 'items': {'type': 'array'}, 'uniqueItems': true}", "[[\"a\"],[\"b"},
    };
    enum { PIECES = 1300 };
    const char *piece[PIECES];
    rng r = seed(14);
    for (int i = 0; i < PIECES; i++)
        piece[i] = mem_printf(i % 3 ? "\",\"%x" : "\":\"%x", (unsigned)rng_below(&r, 4096));
    grammar_vocab *v = test_vocab_of(&r, piece, PIECES, rounds(4500));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct walk w;
        char *text = mem_str(cases[i].schema);
        for (char *c = text; *c; c++) *c = *c == '\'' ? '"' : *c;
        json_t *schema = json_loads(text, 0, NULL);
        assert_true(begin_walk(&w, v, &r, schema, (struct grammar_options){.spacing = 0}));
        int most = 0;
        for (const char *c = cases[i].text; *c; c++) {
            int n = compare_masks(&w, -1);
            most = n > most ? n : most;
            compare_masks(&w, 3000);
            take(&w, (uint8_t)*c);
        }
        int n = compare_masks(&w, -1);
        assert_true(n > 1500 || most > 1500);
        compare_masks(&w, 3000);
        compare_masks(&w, grammar_shortest_finish(w.s) + 8);
        end_walk(&w);
        json_decref(schema);
        free(text);
    }
    for (int i = 0; i < PIECES; i++) free((char *)piece[i]);
    test_vocab_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_universe),
        cmocka_unit_test(documents_are_valid),
        cmocka_unit_test(budgets_are_kept),
        cmocka_unit_test(budgets_of_distinct_words),
        cmocka_unit_test(budgets_of_keys),
        cmocka_unit_test(many_texts_behind_a_quote),
        cmocka_unit_test(tokens_across_compared_elements),
        cmocka_unit_test(a_left_name_is_owed),
        cmocka_unit_test(valid_documents_are_accepted),
        cmocka_unit_test(speculation_leaves_no_trace),
        cmocka_unit_test(names_with_escapes),
        cmocka_unit_test(tokens_that_end_within_characters),
        cmocka_unit_test(long_tokens_and_counters),
        cmocka_unit_test(forced_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
