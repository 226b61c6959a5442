#include "engine/vocab.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static size_t encode(const void *user, const char *text, size_t n, int32_t *out, size_t cap)
{
    token_buf ids = {0};
    tokenizer_encode(user, text, n, &ids);
    size_t n_id = ids.n;
    if (n_id) memcpy(out, ids.ids, (n_id < cap ? n_id : cap) * sizeof *out);
    token_buf_free(&ids);
    return n_id;
}

int vocab_make(grammar_vocab *v, const tokenizer *t, int n_token, int32_t end, err *e)
{
    size_t n = (size_t)n_token;
    const char **bytes = mem_new(n * sizeof *bytes);
    uint32_t *len = mem_new(n * sizeof *len);
    uint8_t *kind = mem_new(n * sizeof *kind);
    for (int id = 0; id < n_token; id++) {
        size_t k;
        bytes[id] = tokenizer_bytes(t, id, &k);
        len[id] = (uint32_t)k;
        // An id without bytes is a hole of the vocabulary: nothing may choose it.
        bool special = k == 0 || tokenizer_is_special(t, id);
        kind[id] = special ? VOCAB_SPECIAL : tokenizer_is_added(t, id) ? VOCAB_ADDED : VOCAB_TEXT;
    }
    *v = (grammar_vocab){.n_token = n_token,
                         .bytes = bytes,
                         .len = len,
                         .kind = kind,
                         .end = end,
                         .encode = encode,
                         .user = t};
    return grammar_vocab_prepare(v, e);
}

int vocab_of_bytes(grammar_vocab *v, err *e)
{
    enum { N = 257, END = 256 };
    static char text[256];
    const char **bytes = mem_new(N * sizeof *bytes);
    uint32_t *len = mem_new(N * sizeof *len);
    uint8_t *kind = mem_new(N * sizeof *kind);
    for (int c = 0; c < 256; c++) {
        text[c] = (char)c;
        bytes[c] = &text[c];
        len[c] = 1;
        kind[c] = VOCAB_TEXT;
    }
    bytes[END] = "";
    kind[END] = VOCAB_SPECIAL;
    *v = (grammar_vocab){.n_token = N, .bytes = bytes, .len = len, .kind = kind, .end = END};
    return grammar_vocab_prepare(v, e);
}

void vocab_free(grammar_vocab *v)
{
    grammar_vocab_release(v);
    free(v->bytes);
    free((void *)v->len);
    free((void *)v->kind);
    *v = (grammar_vocab){0};
}
