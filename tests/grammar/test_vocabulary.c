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

static void small_vocabulary(void **state)
{
    (void)state;
    struct real x;
    if (!open_real(&x, HEARTH_SHARED_DIR "/default-model/model/tokenizer.json")) skip();
    walks(&x, 120);
    close_real(&x);
}

static void large_vocabulary(void **state)
{
    (void)state;
    struct real x;
    if (!open_real(&x, HEARTH_SHARED_DIR "/assets/tokenizers/derived/qwen2.5/tokenizer.json"))
        skip();
    walks(&x, 12);
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
