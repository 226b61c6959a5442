// Model directories of a few kilobytes with random weights, for changing one thing at a time.
#pragma once
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct tiny {
    char *dir;         // exists while the struct lives
    json_t *config;    // config.json
    json_t *tokenizer; // tokenizer.json
    json_t *header;    // of model.safetensors
    unsigned char *data;
    size_t n_data;
};

// architecture: "Qwen3ForCausalLM", ...; type: of all matrices, "F32", "F16", "BF16", "F8_E4M3"
// (with scales of shape [N, 1]). The same seed gives the same values, rounded to the type.
struct tiny tiny_make(const char *architecture, const char *type, uint64_t seed);
void tiny_write(const struct tiny *t); // all three files, as the documents are now
void tiny_free(struct tiny *t);
void tiny_refused(const struct tiny *t, const char *why); // fails unless the error says why

// Appends a tensor of n bytes; takes its shape.
void tiny_add(struct tiny *t, const char *name, const char *type, json_t *shape, const void *bytes,
              size_t n);

// Values of a tensor; NULL when there is none. Writing through it changes the data.
void *tiny_data(const struct tiny *t, const char *name);

// Byte-level BPE: 256 bytes, the merges "t h" and "th e", the added token <|end|>, and unreachable
// tokens up to n_token ids.
json_t *tiny_tokenizer(int n_token);

void tiny_write_file(const char *dir, const char *name, const void *bytes, size_t n);
void tiny_write_json(const char *dir, const char *name, const json_t *doc);
char *tiny_dir_new(const char *name); // an empty directory in the build folder
void tiny_dir_remove(char *dir);      // with the files in it; frees the name
