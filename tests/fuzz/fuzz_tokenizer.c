// libs: engine
// The first line of the input is text, the rest a tokenizer.json. A file that is accepted must
// encode the text, and the built-in model's tokenizer must encode the whole input: the same ids by
// both ways of merging, no added token out of plain text, and all bytes back.
#include "base/file.h"
#include "engine/tokenizer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static size_t count_bytes(const tokenizer *t, const token_buf *ids)
{
    size_t n = 0, k;
    for (size_t i = 0; i < ids->n; i++) {
        tokenizer_bytes(t, ids->ids[i], &k);
        n += k;
    }
    return n;
}

static void check_encoding(const tokenizer *t, const char *text, size_t n, int normalises)
{
    token_buf fast = {0}, slow = {0}, template = {0};
    uint8_t *trusted = malloc(n + 1);
    for (size_t i = 0; i < n; i++) trusted[i] = text[i] != 'u'; // some holes
    tokenizer_encode(t, text, n, &fast);
    tokenizer_encode_slow(t, text, n, &slow);
    tokenizer_encode_template(t, text, trusted, n, &template);
    assert(fast.n == slow.n && (!fast.n || !memcmp(fast.ids, slow.ids, fast.n * sizeof *fast.ids)));
    for (size_t i = 0; i < fast.n; i++) assert(!tokenizer_is_added(t, fast.ids[i]));
    if (!normalises) {
        assert(count_bytes(t, &fast) == n);
        assert(count_bytes(t, &template) == n);
    }
    token_buf_free(&fast);
    token_buf_free(&slow);
    token_buf_free(&template);
    free(trusted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static tokenizer *builtin;
    err e = {0};
    const char *text = (const char *)data, *end = n ? memchr(data, '\n', n) : NULL;
    if (!builtin)
        builtin = tokenizer_open(HEARTH_SOURCE_DIR "/engine/builtin-model/tokenizer.json", &e);
    assert(builtin);
    check_encoding(builtin, text, n < 4096 ? n : 4096, 0);
    if (!end) return 0;
    size_t n_text = (size_t)(end - text), n_json = n - n_text - 1;
    tokenizer *t = tokenizer_parse(end + 1, n_json, "fuzz", &e);
    if (!t) {
        assert(e.code == ERR_INPUT && !strncmp(e.msg, "fuzz: ", 6));
        return 0;
    }
    check_encoding(t, text, n_text < 4096 ? n_text : 4096, 1);
    tokenizer_close(t);
    return 0;
}
