// The grammar library by itself, as another program would use it: a vocabulary of its own, a loop
// that picks tokens. Links `grammar` alone; if this does not link, the decoder has come to know
// something of models.
#include "test.h"

#include "engine/grammar.h"

#include <stdlib.h>
#include <string.h>

enum { END = 256, WORD, N_TOKEN };

static char letters[256];
static const char *bytes[N_TOKEN];
static uint32_t len[N_TOKEN];
static uint8_t kind[N_TOKEN];
static grammar_vocab vocab = {
    .n_token = N_TOKEN, .bytes = bytes, .len = len, .kind = kind, .end = END};

static int setup(void **state)
{
    (void)state;
    err e;
    for (int i = 0; i < 256; i++) {
        letters[i] = (char)i;
        bytes[i] = &letters[i];
        len[i] = 1;
    }
    bytes[END] = "";
    kind[END] = VOCAB_SPECIAL;
    bytes[WORD] = "true";
    len[WORD] = 4;
    return grammar_vocab_prepare(&vocab, &e);
}

static int teardown(void **state)
{
    (void)state;
    grammar_vocab_release(&vocab);
    return 0;
}

// Takes the first token that may come, whatever it is, until the answer ends.
static void write_answer(const grammar *g, char *out, size_t cap)
{
    uint64_t mask[(N_TOKEN + 63) / 64];
    grammar_state *s = grammar_start(g);
    size_t n = 0;
    for (int32_t token = -1; token != END;) {
        assert_true(grammar_mask(s, 200 - (int)grammar_length(s), mask) > 0);
        for (token = N_TOKEN - 1; !(mask[token / 64] >> (token % 64) & 1);) token--;
        assert_true(grammar_accept(s, token));
        assert_true(n + len[token] < cap);
        memcpy(out + n, bytes[token], len[token]);
        n += len[token];
    }
    out[n] = 0;
    grammar_state_free(s);
}

static void answers(void **state)
{
    (void)state;
    err e;
    char text[400];
    json_t *schema = json_loads("{\"type\": \"object\", \"properties\": {\"ok\": {\"type\": "
                                "\"boolean\"}}, \"required\": [\"ok\"], "
                                "\"additionalProperties\": false}",
                                0, NULL);
    grammar *g = grammar_from_schema(&vocab, schema, NULL, &e);
    assert_non_null(g);
    write_answer(g, text, sizeof text);
    json_t *value = json_loads(text, 0, NULL);
    assert_true(json_is_boolean(json_object_get(value, "ok")));
    json_decref(value);
    grammar_free(g);
    json_decref(schema);

    g = grammar_from_regex(&vocab, "[a-c]{3}", &e);
    write_answer(g, text, sizeof text);
    assert_string_equal(text, "ccc");
    grammar_free(g);

    g = grammar_from_ebnf(&vocab, "root = '(' root ')' | 'true'", &e);
    write_answer(g, text, sizeof text);
    assert_string_equal(text, "true");
    grammar_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(answers)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
