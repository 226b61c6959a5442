// The adversarial mode of the mask bench. A pass or fail over recorded texts cannot see a decoder
// that is too strict: it must also take every other spelling of a valid document that its policies
// allow, cut into tokens in any way. So each instance is respelt at random (white space, escapes,
// order of keys, forms of numbers), damaged at random, cut at random, and must be accepted if and
// only if the validator says so of the text's value. On the way, at random steps: the fast mask is
// the slow one, bit for bit; no mask is empty; a copy of the state stays what it was; and from
// there the text can be finished within what grammar_shortest_finish promises, as a valid document.
#include "engine/mask_bench_private.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "engine/float_text.h"
#include "engine/json_write.h"
#include "engine/schema.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES_MAX ((size_t)16 << 20)
enum { RESPELT_PER_TEST = 3, DAMAGED_PER_TEST = 3, FINISHED_MAX = 500 };

// Tokens by their first two bytes. One of a single byte stands with those whose second is 0.
struct cutter {
    int32_t *ids;          // [n_token], grouped
    uint32_t start[65537]; // of each group in ids
};

struct attack {
    struct bench *b;
    struct cutter *cutter;
    grammar *g;
    validator *v;
    uint64_t *kept, *slow; // masks, [n_token]
    size_t n_word;
};

// ---- random spelling ----

static void put_gap(const struct attack *a, buf *out, bool usual)
{
    rng *r = &a->b->random;
    if (a->b->o->grammar.spacing != SPACING_FLEXIBLE) {
        if (usual && a->b->o->grammar.spacing == SPACING_PYTHON) buf_byte(out, ' ');
        return;
    }
    for (uint64_t n = rng_below(r, 3) ? 0 : 1 + rng_below(r, 3); n; n--)
        buf_byte(out, " \n\t\r"[rng_below(r, 4)]);
}

static void put_u(buf *out, rng *r, uint32_t unit)
{
    buf_printf(out, rng_below(r, 2) ? "\\u%04x" : "\\u%04X", unit);
}

static void put_escaped(buf *out, rng *r, uint32_t c)
{
    static const char codes[] = "\"\\/\b\f\n\r\t", letters[] = "\"\\/bfnrt";
    const char *known = c && c < 0x80 ? strchr(codes, (int)c) : NULL;
    if (known && rng_below(r, 2)) {
        buf_printf(out, "\\%c", letters[known - codes]);
    } else if (c < 0x10000) {
        put_u(out, r, c);
    } else {
        put_u(out, r, 0xd800 + ((c - 0x10000) >> 10));
        put_u(out, r, 0xdc00 + ((c - 0x10000) & 0x3ff));
    }
}

static void put_string(const struct attack *a, buf *out, const char *s, size_t n)
{
    rng *r = &a->b->random;
    bool free = a->b->o->grammar.escapes == ESCAPES_ANY && rng_below(r, 2);
    if (!free) { // as Python spells it
        json_t *v = json_stringn(s, n);
        json_write(out, v, false);
        json_decref(v);
        return;
    }
    buf_byte(out, '"');
    for (size_t i = 0; i < n;) {
        uint32_t c;
        size_t k = (size_t)utf8_decode(s + i, n - i, &c);
        assert(k && "Jansson holds UTF-8 only");
        if (c < 0x20 || c == '"' || c == '\\' || rng_below(r, 6) == 0)
            put_escaped(out, r, c);
        else
            buf_put(out, s + i, k);
        i += k;
    }
    buf_byte(out, '"');
}

// With an exponent and one digit before the point, which is allowed beside bounds too: 12.5 is
// 1.25e1.
static void put_scientific(buf *out, rng *r, const char *text)
{
    const char *p = text + (*text == '-'), *point = strchr(p, '.');
    const char *first = p + strspn(p, "0.");
    int before = (int)(point ? point - p : (long)strlen(p));
    int exponent = before - (int)(first - p) - (first < p + before);
    if (!*first) { // 0
        buf_printf(out, "%se%s", text, rng_below(r, 2) ? "1" : "-00");
        return;
    }
    buf_printf(out, "%s%c", *text == '-' ? "-" : "", *first);
    bool rest = false;
    for (const char *c = first + 1; *c; c++) {
        if (*c == '.') continue;
        if (!rest) buf_byte(out, '.');
        rest = true;
        buf_byte(out, *c);
    }
    buf_printf(out, rng_below(r, 2) ? "e%d" : "E%+03d", exponent);
}

// The same number in another form: 7, 7.0, 7e0, 1.25e1.
static void put_number(const struct attack *a, buf *out, const json_t *v)
{
    char text[48];
    rng *r = &a->b->random;
    if (json_is_integer(v))
        snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
    else
        float_text(json_real_value(v), text);
    bool plain = strlen(text) < 12 && !strchr(text, 'e');
    uint64_t form = rng_below(r, 6);
    if (plain && form == 1) {
        put_scientific(out, r, text);
        return;
    }
    buf_str(out, text);
    if (plain && form == 0) buf_str(out, strchr(text, '.') ? "0" : ".0");
}

static void put_value(const struct attack *a, buf *out, const json_t *v);

static void put_array(const struct attack *a, buf *out, const json_t *v)
{
    size_t i;
    json_t *sub;
    buf_byte(out, '[');
    put_gap(a, out, false);
    json_array_foreach(v, i, sub)
    {
        if (i) {
            buf_byte(out, ',');
            put_gap(a, out, true);
        }
        put_value(a, out, sub);
        put_gap(a, out, false);
    }
    buf_byte(out, ']');
}

static void shuffle(rng *r, const char **keys, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t k = rng_below(r, i);
        const char *kept = keys[i - 1];
        keys[i - 1] = keys[k];
        keys[k] = kept;
    }
}

static void put_object(const struct attack *a, buf *out, const json_t *v)
{
    const char *key, **keys = mem_new((json_object_size(v) + 1) * sizeof *keys);
    json_t *sub;
    size_t n = 0;
    json_object_foreach((json_t *)v, key, sub)
    {
        keys[n++] = key;
    }
    if (a->b->o->grammar.order == ORDER_ANY) shuffle(&a->b->random, keys, n);
    buf_byte(out, '{');
    put_gap(a, out, false);
    for (size_t i = 0; i < n; i++) {
        if (i) {
            buf_byte(out, ',');
            put_gap(a, out, true);
        }
        put_string(a, out, keys[i], strlen(keys[i]));
        put_gap(a, out, false);
        buf_byte(out, ':');
        put_gap(a, out, true);
        put_value(a, out, json_object_get(v, keys[i]));
        put_gap(a, out, false);
    }
    buf_byte(out, '}');
    free(keys);
}

static void put_value(const struct attack *a, buf *out, const json_t *v)
{
    if (json_is_object(v))
        put_object(a, out, v);
    else if (json_is_array(v))
        put_array(a, out, v);
    else if (json_is_string(v))
        put_string(a, out, json_string_value(v), json_string_length(v));
    else if (json_is_number(v))
        put_number(a, out, v);
    else
        json_write(out, v, false);
}

// ---- random damage ----

static void damage(rng *r, buf *text)
{
    static const char telling[] = "\"\\{}[],: 019.-eEtfnul/\x80\xc3\xff";
    size_t at = rng_below(r, text->n + 1), rest = text->n - at;
    char c = telling[rng_below(r, sizeof telling - 1)];
    char *tail = mem_strn(buf_text(text) + at, rest), *from = tail;
    size_t cut = rest ? 1 + rng_below(r, rest < 4 ? rest : 4) : 0;
    text->n = at;
    switch (rng_below(r, 4)) {
    case 0: buf_byte(text, c); break;                                     // insert
    case 1: from += cut, rest -= cut; break;                              // leave out
    case 2: buf_byte(text, c), from += rest > 0, rest -= rest > 0; break; // replace
    default: buf_put(text, tail, cut); break;                             // repeat
    }
    buf_put(text, from, rest);
    free(tail);
}

// ---- random cuts ----

static uint32_t place(const char *s, size_t n)
{
    return (uint32_t)(unsigned char)s[0] << 8 | (n > 1 ? (unsigned char)s[1] : 0);
}

static struct cutter *cutter_new(const grammar_vocab *v)
{
    struct cutter *c = mem_new(sizeof *c);
    c->ids = mem_new((size_t)v->n_token * sizeof *c->ids);
    for (int i = 0; i < v->n_token; i++)
        if (v->kind[i] == VOCAB_TEXT && v->len[i]) c->start[place(v->bytes[i], v->len[i]) + 1]++;
    for (size_t i = 1; i <= 65536; i++) c->start[i] += c->start[i - 1];
    uint32_t *next = mem_new(65536 * sizeof *next);
    memcpy(next, c->start, 65536 * sizeof *next);
    for (int i = 0; i < v->n_token; i++)
        if (v->kind[i] == VOCAB_TEXT && v->len[i])
            c->ids[next[place(v->bytes[i], v->len[i])]++] = i;
    free(next);
    return c;
}

static void cutter_free(struct cutter *c)
{
    free(c->ids);
    free(c);
}

// A token that the text at s begins with, drawn from all of them.
static int32_t cut(const struct attack *a, const char *s, size_t n)
{
    const grammar_vocab *v = a->b->o->vocab;
    const uint32_t places[2] = {place(s, 1), place(s, n)};
    uint64_t fits = 0;
    int32_t id = -1;
    for (int p = 0; p < 1 + (places[1] != places[0]); p++)
        for (uint32_t i = a->cutter->start[places[p]]; i < a->cutter->start[places[p] + 1]; i++) {
            int32_t t = a->cutter->ids[i];
            if (v->len[t] <= n && memcmp(v->bytes[t], s, v->len[t]) == 0 &&
                rng_below(&a->b->random, ++fits) == 0)
                id = t;
        }
    return id;
}

// ---- what must hold on the way ----

static void hold(const struct attack *a, bool holds, const char *what, const char *text, size_t n)
{
    a->b->tally->row.checks++;
    if (holds) return;
    a->b->tally->row.check_failures++;
    bench_report(a->b, "%s behind byte %zu of %.300s", what, n, text);
}

// 1: a JSON value that satisfies the schema; 0: not; -1: nobody can tell.
static int expected(const struct attack *a, const char *text, size_t n)
{
    json_error_t je;
    struct schema_fault f;
    json_t *v = json_read(text, n, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &je);
    if (!v)
        return json_error_code(&je) == json_error_numeric_overflow ||
                       json_error_code(&je) == json_error_null_byte_in_key
                   ? -1
                   : 0;
    int rc = validator_check(a->v, v, &f);
    json_decref(v);
    return rc == 0 ? 1 : f.code == ERR_FAILED ? 0 : -1;
}

static int32_t pick_any(const struct attack *a)
{
    uint64_t seen = 0;
    int32_t id = -1;
    for (size_t w = 0; w < a->n_word; w++)
        for (uint64_t bits = a->b->bits[w]; bits; bits &= bits - 1)
            if (rng_below(&a->b->random, ++seen) == 0)
                id = (int32_t)(w * 64) + __builtin_ctzll(bits);
    return id;
}

// Writes on at random within the tokens promised.
static void check_finish(const struct attack *a, const grammar_state *at, const char *text,
                         size_t n)
{
    const grammar_vocab *v = a->b->o->vocab;
    int budget = grammar_shortest_finish(at);
    if (budget > FINISHED_MAX) return;
    grammar_state *s = grammar_copy(at);
    buf whole = buf_new(TEXT_BYTES_MAX);
    buf_put(&whole, text, n);
    int32_t id = -1;
    for (; id != v->end && budget > 0; budget--) {
        if (grammar_mask(s, budget, a->b->bits) == 0) break;
        id = pick_any(a);
        if (!grammar_accept(s, id)) break;
        if (id != v->end) buf_put(&whole, v->bytes[id], v->len[id]);
    }
    a->b->tally->row.checks++;
    if (id != v->end) {
        a->b->tally->row.check_failures++;
        bench_report(a->b,
                     "no finish within %d tokens, the shortest promised, behind byte %zu of "
                     "%.300s; stuck with %d left at %.300s",
                     grammar_shortest_finish(at), n, text, budget, buf_text(&whole));
    } else
        hold(a, expected(a, buf_text(&whole), whole.n) != 0, "the finish is not valid",
             buf_text(&whole), n);
    buf_free(&whole);
    grammar_state_free(s);
}

// The checks of one place in a text, all from the mask that is there.
static void check_place(const struct attack *a, const grammar_state *s, const char *text, size_t n)
{
    size_t bytes = a->n_word * sizeof *a->kept;
    int set = grammar_mask(s, -1, a->kept), slow = grammar_mask_slow(s, -1, a->slow);
    hold(a, set > 0, "an empty mask", text, n);
    hold(a, set == slow && memcmp(a->kept, a->slow, bytes) == 0,
         "the fast mask is not the slow one", text, n);
    check_finish(a, s, text, n);
    grammar_mask(s, -1, a->b->bits);
    hold(a, memcmp(a->kept, a->b->bits, bytes) == 0, "a copy changed what it was copied from", text,
         n);
}

// How far a text was accepted.
struct progress {
    size_t n;      // bytes
    int32_t token; // that was tried last; -1: none
};

// Is the text accepted, cut at random, up to an allowed end? In one text of `places` a look around
// at a random place: the slow mask takes nearly all of the time.
static bool accepted(const struct attack *a, const buf *text, struct progress *at)
{
    grammar_state *s = grammar_start(a->g);
    const char *p = buf_text(text);
    size_t look = rng_below(&a->b->random, text->n + 1);
    bool ok = true, looked = rng_below(&a->b->random, a->b->o->places) != 0;
    *at = (struct progress){.token = -1};
    while (ok && at->n < text->n) {
        if (!looked && at->n >= look) {
            check_place(a, s, p, at->n);
            looked = true;
        }
        at->token = cut(a, p + at->n, text->n - at->n);
        ok = at->token >= 0 && bench_step(a->b, s, at->token);
        at->n += ok ? a->b->o->vocab->len[at->token] : 0;
    }
    ok = ok && grammar_may_end(s);
    grammar_state_free(s);
    return ok;
}

// The text at fault, an arrow at the place and the token that was turned away there.
static void report_text(const struct attack *a, const buf *text, const char *what,
                        const struct progress *at)
{
    const grammar_vocab *v = a->b->o->vocab;
    const char *before = at->n > 60 ? text->p + at->n - 60 : buf_text(text);
    bool token = at->n < text->n && at->token >= 0;
    bench_report(a->b, "%s at byte %zu, token `%.*s`: %.*s --> %.60s <-- in %.400s", what, at->n,
                 token ? (int)v->len[at->token] : 0, token ? v->bytes[at->token] : "",
                 (int)(buf_text(text) + at->n - before), before, buf_text(text) + at->n,
                 buf_text(text));
}

static bool has_outer_space(const buf *b)
{
    return b->n && (strchr(" \t\r\n", b->p[0]) || strchr(" \t\r\n", b->p[b->n - 1]));
}

// A number -0, in any spelling, outside of strings: beside a bound of 0 it is not written (lex.h).
static bool has_minus_zero(const buf *b)
{
    bool within = false;
    for (size_t i = 0; i < b->n; i++) {
        within ^= b->p[i] == '"';
        if (within && b->p[i] == '\\') i++;
        bool sign = !within && b->p[i] == '-' && (i == 0 || !strchr("eE", b->p[i - 1]));
        if (!sign) continue;
        while (i + 1 < b->n && (b->p[i + 1] == '0' || b->p[i + 1] == '.')) i++;
        if (i + 1 == b->n || !isdigit((uint8_t)b->p[i + 1])) return true;
    }
    return false;
}

static void judge(const struct attack *a, const buf *text, const char *how)
{
    struct mask_row *row = &a->b->tally->row;
    // White space around the whole value is no part of an answer, though JSON allows it.
    int valid = has_outer_space(text) ? -1 : expected(a, buf_text(text), text->n);
    if (valid < 0) return;
    struct progress at;
    bool ok = accepted(a, text, &at);
    if (valid && !ok && has_minus_zero(text)) return;
    row->valid += valid;
    row->invalid += !valid;
    row->valid_rejected += valid && !ok;
    row->invalid_accepted += !valid && ok;
    if (ok == valid) return;
    char what[80];
    snprintf(what, sizeof what, "%s: %s", how, valid ? "valid, rejected" : "invalid, accepted");
    report_text(a, text, what, &at);
}

static void run_test(const struct attack *a, const json_t *data)
{
    buf text = buf_new(TEXT_BYTES_MAX);
    for (int i = 0; i < RESPELT_PER_TEST; i++) {
        buf_clear(&text);
        put_value(a, &text, data);
        judge(a, &text, "respelt");
    }
    for (int i = 0; i < DAMAGED_PER_TEST; i++) {
        buf_clear(&text);
        json_write(&text, data, a->b->o->grammar.spacing == SPACING_PYTHON);
        damage(&a->b->random, &text);
        judge(a, &text, "damaged");
    }
    buf_free(&text);
}

bool mask_adversarial(struct bench *b, const json_t *tests)
{
    err e = {0};
    size_t i;
    json_t *test;
    struct attack a = {.b = b, .n_word = (size_t)b->o->vocab->n_token / 64 + 1};
    a.g = bench_compile(b, b->o->grammar.spacing, &e);
    a.v = a.g ? validator_open(b->schema, NULL, &e) : NULL;
    if (!a.v) {
        b->tally->row.compile_errors++;
        bench_report(b, "compile error: %s", e.msg);
        grammar_free(a.g);
        return false;
    }
    if (!b->cutter) b->cutter = cutter_new(b->o->vocab);
    a.cutter = b->cutter;
    a.kept = mem_new(a.n_word * sizeof *a.kept);
    a.slow = mem_new(a.n_word * sizeof *a.slow);
    json_array_foreach(tests, i, test)
    {
        run_test(&a, json_object_get(test, "data"));
    }
    samples_add(&b->tally->bytes, grammar_bytes(a.g));
    free(a.kept);
    free(a.slow);
    validator_close(a.v);
    grammar_free(a.g);
    return true;
}

void mask_adversarial_free(struct bench *b)
{
    if (b->cutter) cutter_free(b->cutter);
}
