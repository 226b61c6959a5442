// Histories of states: copies, ways back and memory. If this fails, speculation and branches of a
// conversation change what may come next, or a long answer fills the memory.
#include "test.h"

#include "base/buf.h"
#include "base/mem.h"
#include "random_schema.h"
#include "test_vocab.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static rng r;
static grammar_vocab *vocab;

static int setup(void **state)
{
    (void)state;
    r = rng_seed(99);
    vocab = test_vocab_new(&r, 50);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    test_vocab_free(vocab);
    return 0;
}

static size_t words(void)
{
    return (size_t)(vocab->n_token + 63) / 64;
}

static int32_t pick(const uint64_t *bits)
{
    int32_t t = -1;
    uint64_t total = 0;
    for (int32_t k = 0; k < vocab->n_token; k++) {
        uint64_t weight = !(bits[k / 64] >> (k % 64) & 1) ? 0
                          : vocab->kind[k] == VOCAB_TEXT  ? 1
                                                          : 20;
        total += weight;
        if (weight && rng_below(&r, total) < weight) t = k;
    }
    return t;
}

static grammar *grammar_of(int kind)
{
    static const char tags[] =
        "{\"type\": \"triggered_tags\", \"triggers\": [\"<f=\", \"<tool_call>\"], \"tags\": ["
        "{\"begin\": \"<f=\", \"content\": {\"type\": \"grammar\", \"grammar\": \"r = '(' r ')' | "
        "r r | 'x'\"}, \"end\": \"\\n\"},"
        "{\"begin\": \"<tool_call>\", \"content\": {\"type\": \"json_schema\", \"json_schema\": "
        "{\"type\": \"array\", "
        "\"uniqueItems\": true, \"items\": {\"type\": \"string\", \"maxLength\": 3}}}, \"end\": "
        "\"</tool_call>\"}]}";
    err e;
    grammar *g = NULL;
    json_t *o;
    struct grammar_options options = {.spacing = (enum grammar_spacing)rng_below(&r, 3),
                                      .order = (enum grammar_order)rng_below(&r, 3)};
    switch (kind) {
    case 0: return grammar_from_regex(vocab, "([a-z]+ ){2,}end|(\\d{1,3}\\.?)+", &e);
    case 1:
        return grammar_from_ebnf(
            vocab, "root = e ; e = e '+' t | t ; t = [0-9]+ | '(' e ')' | <think> e </think>", &e);
    case 2:
        o = json_loads(tags, 0, NULL);
        g = grammar_from_tags(vocab, o, &options, &e);
        break;
    default:
        o = kind % 2 ? random_schema(&r) : random_small_schema(&r);
        g = grammar_from_schema(vocab, o, &options, &e);
    }
    json_decref(o);
    return g;
}

// Many states of one grammar at once, moved, copied, taken back and thrown away at random; each is
// checked against a new one that its tokens lead to.
enum { STATES = 12, LENGTH_MAX = 300 };

struct tracked {
    grammar_state *s;
    int32_t token[LENGTH_MAX];
    size_t n;
};

static void check_replay(const grammar *g, const struct tracked *x)
{
    uint64_t *bits = mem_new(8 * words()), *fresh_bits = mem_new(8 * words()),
             *slow = mem_new(8 * words());
    grammar_state *fresh = grammar_start(g);
    for (size_t i = 0; i < x->n; i++) assert_true(grammar_accept(fresh, x->token[i]));
    assert_int_equal(grammar_length(x->s), x->n);
    assert_int_equal(grammar_mask(x->s, -1, bits), grammar_mask(fresh, -1, fresh_bits));
    grammar_mask_slow(x->s, -1, slow);
    assert_memory_equal(bits, fresh_bits, 8 * words());
    assert_memory_equal(bits, slow, 8 * words());
    assert_int_equal(grammar_shortest_finish(x->s), grammar_shortest_finish(fresh));
    assert_int_equal(grammar_may_end(x->s), grammar_may_end(fresh));
    grammar_state_free(fresh);
    free(bits);
    free(fresh_bits);
    free(slow);
}

static void move(struct tracked *x, uint64_t *bits)
{
    for (int i = (int)rng_below(&r, 12); i >= 0 && x->n < LENGTH_MAX; i--) {
        if (grammar_mask(x->s, -1, bits) == 0) return;
        int32_t t = pick(bits);
        if (t == vocab->end && rng_below(&r, 4)) continue;
        assert_true(grammar_accept(x->s, t));
        x->token[x->n++] = t;
    }
}

static void copies_and_ways_back_agree(void **state)
{
    (void)state;
    uint64_t *bits = mem_new(8 * words());
    int made = 0;
    for (int round = 0; round < 60; round++) {
        grammar *g = grammar_of(round % 6);
        if (!g) continue;
        made++;
        struct tracked *all = mem_new(STATES * sizeof *all);
        for (int i = 0; i < STATES; i++) all[i].s = grammar_start(g);
        for (int step = 0; step < 60; step++) {
            struct tracked *x = &all[rng_below(&r, STATES)], *y = &all[rng_below(&r, STATES)];
            switch (rng_below(&r, 4)) {
            case 0:
                if (x == y) break;
                grammar_state_free(y->s);
                *y = *x;
                y->s = grammar_copy(x->s);
                break;
            case 1: {
                size_t back = rng_below(&r, x->n + 1);
                grammar_rollback(x->s, back);
                x->n -= back;
                break;
            }
            default: move(x, bits);
            }
            if (step % 5 == 0) check_replay(g, x);
        }
        for (int i = 0; i < STATES; i++) {
            check_replay(g, &all[i]);
            grammar_state_free(all[i].s);
        }
        free(all);
        grammar_free(g);
    }
    assert_true(made > 40);
    free(bits);
}

static size_t heap(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

// A history of 20,000 tokens and 10,000 copies of it: each token and copy costs the same, and the
// way back to any place is a way to where it was.
static void long_histories_are_cheap(void **state)
{
    (void)state;
    static const char *const schemas[] = {
        "{\"type\": \"string\"}", // one long string
        "{\"type\": \"array\", \"items\": {\"type\": \"integer\"}}",
        "{\"type\": \"object\", \"additionalProperties\": {\"type\": \"null\"}}", // one long key
        "{\"type\": \"array\", \"uniqueItems\": true, \"items\": {\"type\": \"string\"}}"};
    static const char *const begin[] = {"\"", "[", "{\"", "[\""};
    static const char *const more[] = {"ab", "12", "ab", "ab"};
    for (int i = 0; i < 4; i++) {
        err e;
        json_t *schema = json_loads(schemas[i], JSON_DECODE_ANY, NULL);
        grammar *g = grammar_from_schema(vocab, schema, NULL, &e);
        grammar_state *s = grammar_start(g);
        assert_true(test_vocab_feed(vocab, s, &r, begin[i], strlen(begin[i])));
        size_t n = 20000, half_bytes = 0, start = heap();
        int32_t letters = test_vocab_find(vocab, more[i], VOCAB_TEXT);
        int32_t comma = test_vocab_find(vocab, ",", VOCAB_TEXT);
        assert_true(letters >= 0 && comma >= 0);
        for (size_t k = 0; k < n; k++) {
            assert_true(grammar_accept(s, i == 1 && k % 2 ? comma : letters));
            if (k + 1 == n / 2) half_bytes = heap() - start;
        }
        size_t bytes = heap() - start;
        // Bytes that the allocator adds are in the one figure and not in the other. ASan's own
        // allocator tells nothing.
        size_t counted = grammar_state_bytes(s, n);
        printf("%s: %zu bytes a token by our count, %zu on the heap; the last one %zu\n",
               schemas[i], counted / n, bytes / n, grammar_state_bytes(s, 1));
        assert_true(counted / n < 600 && grammar_state_bytes(s, 1) < 1024);
        assert_true(bytes < 2 * half_bytes + (1 << 16));
        grammar_state *copies[1000];
        size_t before = heap();
        for (size_t k = 0; k < 1000; k++) copies[k] = grammar_copy(s);
        assert_true(heap() - before <= 1000 * 64);
        for (size_t k = 0; k < 1000; k++) grammar_rollback(copies[k], k * 20);
        assert_int_equal(grammar_length(copies[999]), grammar_length(s) - 19980);
        grammar_rollback(s, n);
        for (size_t k = 0; k < 1000; k++) grammar_state_free(copies[k]);
        if (bytes) assert_true(heap() - start < bytes / 100 + (1 << 16));
        grammar_state_free(s);
        grammar_free(g);
        json_decref(schema);
    }
}

// The memory of a position in documents of random schemas.
static void positions_are_small(void **state)
{
    (void)state;
    size_t most = 0, total = 0, tokens = 0;
    for (int i = 0; i < 200; i++) {
        err e;
        json_t *schema = random_schema(&r);
        grammar *g = grammar_from_schema(vocab, schema, NULL, &e);
        buf text = buf_new(10000);
        if (g && random_document(&r, schema, schema, SPACING_COMPACT, &text)) {
            grammar_state *s = grammar_start(g);
            assert_true(test_vocab_feed(vocab, s, &r, text.p, text.n));
            size_t n = grammar_length(s);
            total += grammar_state_bytes(s, n);
            tokens += n;
            for (size_t k = 0; k < n; k++) {
                size_t one = grammar_state_bytes(s, 1);
                if (one > most) most = one;
                grammar_rollback(s, 1);
            }
            grammar_state_free(s);
        }
        buf_free(&text);
        grammar_free(g);
        json_decref(schema);
    }
    printf("%zu bytes a token, at most %zu\n", total / tokens, most);
    assert_true(total / tokens < 1024 && most <= 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_and_ways_back_agree),
        cmocka_unit_test(long_histories_are_cheap),
        cmocka_unit_test(positions_are_small),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
