// The decoder over a real vocabulary of byte-level BPE. If this fails, what holds for the small
// vocabularies of the other tests does not hold for a model's own.
#include "test.h"

#include "engine/schema.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "engine/tokenizer.h"
#include "random_schema.h"

struct real {
    tokenizer *t;
    grammar_vocab v;
};

static bool open_real(struct real *x, const char *path)
{
    err e = {0};
    if (!file_exists(path)) {
        print_message("no %s\n", path);
        return false;
    }
    x->t = tokenizer_open(path, &e);
    if (!x->t) fail_msg("%s", e.msg);
    int n = tokenizer_size(x->t);
    const char **bytes = mem_new((size_t)n * sizeof *bytes);
    uint32_t *len = mem_new((size_t)n * sizeof *len);
    uint8_t *kind = mem_new((size_t)n);
    for (int i = 0; i < n; i++) {
        size_t m = 0;
        bytes[i] = tokenizer_bytes(x->t, i, &m);
        len[i] = bytes[i] ? (uint32_t)m : 0;
        kind[i] = tokenizer_is_special(x->t, i) ? VOCAB_SPECIAL
                  : tokenizer_is_added(x->t, i) ? VOCAB_ADDED
                                                : VOCAB_TEXT;
    }
    int32_t end = tokenizer_id(x->t, "<|im_end|>");
    x->v = (grammar_vocab){n, bytes, len, kind, end >= 0 ? end : n - 1, NULL};
    int64_t start = clock_us();
    if (grammar_vocab_prepare(&x->v, &e) < 0) fail_msg("%s", e.msg);
    print_message("%s: %d tokens, prepared in %.1f ms\n", path, n,
                  (double)(clock_us() - start) / 1000);
    return true;
}

static void close_real(struct real *x)
{
    grammar_vocab_release(&x->v);
    free(x->v.bytes);
    free((void *)x->v.len);
    free((void *)x->v.kind);
    tokenizer_close(x->t);
}

static int32_t choose(const grammar_vocab *v, const uint64_t *bits, rng *r)
{
    int32_t chosen = -1;
    uint64_t n = 0;
    for (int32_t t = 0; t < v->n_token; t++)
        if (bits[t / 64] >> (t % 64) & 1) {
            uint64_t weight = t == v->end ? 2000 : v->len[t] == 1 ? 40 : 1;
            n += weight;
            if (rng_below(r, n) < weight) chosen = t;
        }
    return chosen;
}

// Random walks: masks as the slow twin's, documents valid, budgets kept.
static void walks(struct real *x, int n_schema)
{
    rng r = rng_seed(17);
    size_t bytes = (size_t)(x->v.n_token + 63) / 64 * 8;
    uint64_t *fast = mem_new(bytes), *slow = mem_new(bytes);
    int documents = 0, masks = 0;
    for (int i = 0; i < n_schema; i++) {
        err e;
        json_t *schema = random_schema(&r);
        grammar *g = grammar_from_schema(&x->v, schema,
                                         &(struct grammar_options){.spacing = SPACING_PYTHON}, &e);
        grammar_state *s = g ? grammar_start(g) : NULL;
        buf text = buf_new(1 << 20);
        int budget = g ? grammar_shortest_finish(s) + (int)rng_below(&r, 30) : 0;
        for (int32_t t = -1; g && t != x->v.end; budget--) {
            int n = grammar_mask(s, budget, fast);
            assert_true(n > 0);
            if (masks++ % 3 == 0) {
                assert_int_equal(grammar_mask_slow(s, budget, slow), n);
                assert_memory_equal(fast, slow, bytes);
            }
            t = choose(&x->v, fast, &r);
            assert_true(grammar_accept(s, t));
            if (t != x->v.end) buf_put(&text, x->v.bytes[t], x->v.len[t]);
        }
        if (g) {
            json_t *doc = json_loadb(text.p, text.n, JSON_DECODE_ANY, NULL);
            if (!doc && !strstr(buf_text(&text), "\\u0000"))
                fail_msg("no JSON: %s", buf_text(&text));
            if (doc && schema_validate(schema, doc, &e) < 0)
                fail_msg("%s: %s", buf_text(&text), e.msg);
            json_decref(doc);
            documents++;
        }
        buf_free(&text);
        grammar_state_free(s);
        grammar_free(g);
        json_decref(schema);
    }
    print_message("%d documents, %d masks\n", documents, masks);
    assert_true(documents > n_schema / 2);
    free(fast);
    free(slow);
}

static int32_t byte_token(const grammar_vocab *v, char byte)
{
    for (int32_t t = 0; t < v->n_token; t++)
        if (t != v->end && v->len[t] == 1 && v->bytes[t][0] == byte) return t;
    fail_msg("no token for byte %d", byte);
    return -1;
}

// Strings and keys whose tokens are put together from those of kinds of characters: the slow masks
// bit by bit, at every byte of a text.
static void strings(struct real *x)
{
    static const struct {
        const char *schema, *text;
    } rows[] = {
        // what ends within a character may be white space, or must not be
        {"{\"pattern\": \"^[\\\\w\\\\s-]+$\"}", "\"a b\""},
        {"{\"pattern\": \"^[^:\\\\s]+:[^:\\\\s]+(:[^\\\\s]+)?$\"}", "\"ab:c\""},
        // the run of the first set reads what the tail begins with, too
        {"{\"pattern\": \"^([\\\\da-z.-]+)\\\\.([a-z.]{2,6})([/\\\\w .-]*)*$\"}", "\"www.x.abE\""},
        {"{\"type\": \"array\", \"uniqueItems\": true, \"items\": {\"type\": [\"string\", "
         "\"null\"],"
         " \"minLength\": 1, \"maxLength\": 12}}",
         "[\"Shell\", \"She\", \"x\"]"},
        {"{\"patternProperties\": {\"^[a-z0-9]{1,3}$\": true}, \"additionalProperties\": false,"
         " \"properties\": {\"ab\": {}}, \"type\": \"object\"}",
         "{\"ab\": 3, \"k1\": 1, \"k\": 2, \"abc\": 4}"},
        {"{\"patternProperties\": {\"^(é|a|a\\\\u00e9b)$\": true}, \"additionalProperties\": false,"
         " \"type\": \"object\"}",
         "{\"a\": 1, \"aéb\": 2, \"é\": 3}"},
    };
    size_t bytes = (size_t)(x->v.n_token + 63) / 64 * 8;
    uint64_t *fast = mem_new(bytes), *slow = mem_new(bytes);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        err e;
        json_t *schema = json_loads(rows[i].schema, 0, NULL);
        if (!schema) fail_msg("%s", rows[i].schema);
        grammar *g = grammar_from_schema(&x->v, schema,
                                         &(struct grammar_options){.spacing = SPACING_PYTHON}, &e);
        if (!g) fail_msg("%s: %s", rows[i].schema, e.msg);
        grammar_state *s = grammar_start(g);
        for (const char *t = rows[i].text; *t; t++) {
            int n = grammar_mask(s, -1, fast);
            assert_int_equal(grammar_mask_slow(s, -1, slow), n);
            if (memcmp(fast, slow, bytes) != 0) fail_msg("%s before %s", rows[i].schema, t);
            if (!grammar_accept(s, byte_token(&x->v, *t)))
                fail_msg("%s refused at %s", rows[i].schema, t);
        }
        grammar_state_free(s);
        grammar_free(g);
        json_decref(schema);
    }
    free(fast);
    free(slow);
}

enum kind { EBNF, REGEX, TAGS };

static grammar *rules_of(const struct real *x, enum kind kind, const char *text, err *e)
{
    if (kind == EBNF) return grammar_from_ebnf(&x->v, text, e);
    if (kind == REGEX) return grammar_from_regex(&x->v, text, e);
    json_t *spec = json_loads(text, 0, NULL);
    if (!spec) fail_msg("%s", text);
    grammar *g = grammar_from_tags(&x->v, spec, NULL, e);
    json_decref(spec);
    return g;
}

// Texts by rules, where whole subtrees of tokens are taken at once: the slow masks bit by bit.
static void texts(struct real *x, int n_compare)
{
    static const struct {
        enum kind kind;
        const char *text;
    } rows[] = {
        {TAGS,
         "{\"type\": \"triggered_tags\", \"triggers\": [\"<f=\", \"\\n#\"], \"tags\": ["
         "{\"begin\": \"<f=a>\", \"content\": {\"type\": \"regex\", \"pattern\": \"[^<]*\"}, "
         "\"end\": \"</f>\"}, {\"begin\": \"\\n# \", \"content\": {\"type\": \"json_schema\", "
         "\"json_schema\": {\"type\": \"array\", \"items\": {\"type\": \"string\"}}}, \"end\": "
         "\"\"}]}"},
        {TAGS,
         "{\"type\": \"sequence\", \"elements\": [{\"type\": \"any_text\", \"excludes\": "
         "[\"the\", \"\\t\", \"\\u00e9\"]}, {\"type\": \"const_string\", \"value\": \"the\"}]}"},
        {EBNF, "root = line+; line = [^\\n\\x00-\\x08]{0,30} \"\\n\" | '(' line ')'"},
        {EBNF, "root = s; s = s ' ' s | [a-z]+ | '\"' [^\"]* '\"' | [A-Z] s"},
        {REGEX, "([\\w ]*|[^\\w]{1,3}|\\n+){1,9}"},
    };
    rng r = rng_seed(23);
    size_t bytes = (size_t)(x->v.n_token + 63) / 64 * 8;
    uint64_t *fast = mem_new(bytes), *slow = mem_new(bytes);
    for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
        err e;
        const char *text = rows[i / 2].text;
        grammar *g = rules_of(x, rows[i / 2].kind, text, &e);
        if (!g) fail_msg("%s: %s", text, e.msg);
        grammar_state *s = grammar_start(g);
        int budget = i % 2 ? grammar_shortest_finish(s) + 9 : -1;
        for (int k = 0; k < 7; k++, budget -= budget >= 0) {
            int n = grammar_mask(s, budget, fast);
            assert_true(n > 0);
            if (k < n_compare || k + n_compare > 7) {
                assert_int_equal(grammar_mask_slow(s, budget, slow), n);
                assert_memory_equal(fast, slow, bytes);
            }
            int32_t t = choose(&x->v, fast, &r);
            assert_true(grammar_accept(s, t));
            if (t == x->v.end) break;
        }
        grammar_state_free(s);
        grammar_free(g);
    }
    free(fast);
    free(slow);
}

// A list of `n` parts, with the number of each put in where it says %d.
static char *list_of(const char *before, const char *part, const char *between, int n,
                     const char *after)
{
    buf b = buf_new(1 << 22);
    buf_str(&b, before);
    for (int i = 0; i < n; i++) {
        const char *from = part;
        buf_str(&b, i ? between : "");
        for (const char *at; (at = strstr(from, "%d")); from = at + 2) {
            buf_put(&b, from, (size_t)(at - from));
            buf_printf(&b, "%d", i);
        }
        buf_str(&b, from);
    }
    buf_str(&b, after);
    char *text = mem_str(buf_text(&b));
    buf_free(&b);
    return text;
}

static void hostile(struct real *x)
{
    struct {
        enum kind kind;
        char *text;
    } rows[] = {
        {EBNF, mem_str("root = s; s = s s | 'a' | [a-z] s 'x' | ''")},
        {EBNF, mem_str("root = s; s = [a-z]+ s [a-z]+ | [a-z ]+ | s s s")},
        {EBNF, mem_str("root = s; s = s [a-z ]* s | '(' s ')' | [^()]")},
        {EBNF,
         mem_str("root = s; s = a b | b a | [a-z ]+; a = s s | 'a' s; b = s s | s 'b' | a a")},
        {EBNF, mem_str("root = (a b){1,5000}; a = [a-z ]+ | '(' a ')'; b = [a-z]* | '[' b ']'")},
        {EBNF, list_of("root = ", "[a-z ]+ t 'q%d'", " | ", 2400, "; t = 'z' t 'y' | 'w'")},
        {EBNF, list_of("root = (w ' '?)+ ; w = ", "[a-z]+ '%d' x", " | ", 30,
                       "; x = '(' x ')' | [a-z]+")},
        {EBNF, list_of("root = r0; ", "r%d = [a-z ]+ r%d 'x' | 'b%d' | r%d? 'c'", "; ", 280, "")},
        {REGEX, mem_str(".*[aeiou].{30}[xyz]")},
        {REGEX, mem_str("(.*[aeiou].{200}[xyz])+")},
        {REGEX, list_of("(", "[a-z ]*%d[a-z ]{%d}", "|", 60, ")+")},
        {REGEX, mem_str("(([a-z ]{1,100}[b-y ]{1,100}){1,100}c?){1,100}")},
        {TAGS, list_of("{\"type\": \"sequence\", \"elements\": [",
                       "{\"type\": \"any_text\", \"excludes\": [\"a%d\"]}", ", ", 1000, "]}")},
        {TAGS,
         list_of("{\"type\": \"or\", \"elements\": [",
                 "{\"type\": \"sequence\", \"elements\": [{\"type\": \"any_text\", "
                 "\"excludes\": [\"a%d\"]}, {\"type\": \"json_schema\", \"json_schema\": {}}]}",
                 ", ", 1000, "]}")},
        {TAGS, list_of("{\"type\": \"or\", \"elements\": [",
                       "{\"type\": \"sequence\", \"elements\": [{\"type\": \"json_schema\", "
                       "\"json_schema\": {\"properties\": {\"a%d\": {}}, \"type\": \"object\"}}, "
                       "{\"type\": \"const_string\", \"value\": \"x%d\"}]}",
                       ", ", 45, "]}")},
        {TAGS, list_of("{\"type\": \"triggered_tags\", \"triggers\": [\"<f\"], \"tags\": [",
                       "{\"begin\": \"<f%d=\", \"content\": {\"type\": \"json_schema\", "
                       "\"json_schema\": {}}, \"end\": \"</f>\"}",
                       ", ", 500, "]}")},
        {TAGS, list_of("{\"type\": \"any_text\", \"excludes\": [", "\"aab%daaaaaaaab%daaaaaaaaab\"",
                       ", ", 3000, "]}")},
    };
    rng r = rng_seed(4);
    uint64_t *bits = mem_new((size_t)(x->v.n_token + 63) / 64 * 8);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        err e = {0};
        int64_t start = clock_us(), worst = 0;
        grammar *g = rules_of(x, rows[i].kind, rows[i].text, &e);
        int64_t compile = clock_us() - start;
        grammar_state *s = g ? grammar_start(g) : NULL;
        for (int k = 0; g && k < 40; k++) {
            start = clock_us();
            assert_true(grammar_mask(s, -1, bits) > 0);
            int32_t t = choose(&x->v, bits, &r);
            assert_true(grammar_accept(s, t));
            if (clock_us() - start > worst) worst = clock_us() - start;
            if (t == x->v.end) break;
        }
        if (g) assert_true(grammar_bytes(g) < (size_t)32 << 20);
        print_message("row %zu: %.0f ms, worst token %.0f ms, %s\n", i, (double)compile / 1000,
                      (double)worst / 1000, g ? "compiled" : e.msg);
        assert_true(compile < 20000000 && worst < 20000000); // for hangs; the figures matter
        grammar_state_free(s);
        grammar_free(g);
        free(rows[i].text);
    }
    free(bits);
}

static void small_vocabulary(void **state)
{
    (void)state;
    struct real x;
    if (!open_real(&x, HEARTH_SHARED_DIR "/default-model/model/tokenizer.json")) skip();
    walks(&x, 120);
    strings(&x);
    texts(&x, 3);
    hostile(&x);
    close_real(&x);
}

static void large_vocabulary(void **state)
{
    (void)state;
    struct real x;
    if (!open_real(&x, HEARTH_SHARED_DIR "/assets/tokenizers/derived/qwen2.5/tokenizer.json"))
        skip();
    walks(&x, 12);
    strings(&x);
    texts(&x, 1);
    hostile(&x);
    close_real(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_vocabulary),
        cmocka_unit_test(large_vocabulary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
