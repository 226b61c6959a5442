// Bytes to token ids and back, from a Hugging Face tokenizer.json (byte-level BPE). Added tokens
// ("<|im_start|>") can only be produced by tokenizer_encode_template and tokenizer_id: text that
// came from a user or a tool is encoded with tokenizer_encode and can never become one of them.
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tokenizer tokenizer;

typedef struct token_buf {
    int32_t *ids; // owned by whoever owns the struct; free with token_buf_free
    size_t n, cap;
} token_buf;

void token_buf_free(token_buf *t);
void token_buf_push(token_buf *t, int32_t id);

tokenizer *tokenizer_open(const char *path, err *e); // path of tokenizer.json
// The same from the text of one; `where` names it in errors.
tokenizer *tokenizer_parse(const char *json, size_t n, const char *where, err *e);
void tokenizer_close(tokenizer *t);
int tokenizer_size(const tokenizer *t); // ids are [0, size)

// Appends the ids of plain text. Never fails: every byte has a token.
void tokenizer_encode(const tokenizer *t, const char *text, size_t n, token_buf *out);

// The same for text of which some bytes may spell added tokens: trusted[i] != 0 marks the bytes
// that came from the chat template itself. An added token is recognised only where all its bytes
// are trusted. trusted == NULL: all are.
void tokenizer_encode_template(const tokenizer *t, const char *text, const uint8_t *trusted,
                               size_t n, token_buf *out);

// Bytes of one token (not NUL-terminated; may be a part of a UTF-8 sequence). Added tokens give
// their content.
const char *tokenizer_bytes(const tokenizer *t, int32_t id, size_t *n);
bool tokenizer_is_added(const tokenizer *t, int32_t id);   // listed in added_tokens
bool tokenizer_is_special(const tokenizer *t, int32_t id); // added with "special": true
int32_t tokenizer_id(const tokenizer *t,
                     const char *content); // of an added token; -1 when there is none
int32_t tokenizer_eos(
    const tokenizer *t); // end of a turn; from config/generation_config when the engine opened it
void tokenizer_set_eos(tokenizer *t, int32_t id);

// The slow twin of tokenizer_encode, for tests: merges by scanning for the lowest rank each time.
void tokenizer_encode_slow(const tokenizer *t, const char *text, size_t n, token_buf *out);
