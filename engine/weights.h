// The tensors of a model directory: model.safetensors, or the shards that
// model.safetensors.index.json names. Files stay mapped while `weights` is open.
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tensor_type { TENSOR_F32, TENSOR_F16, TENSOR_BF16, TENSOR_F8_E4M3, TENSOR_U8, TENSOR_OTHER };
enum { TENSOR_DIM_MAX = 8 };

struct tensor {
    const char *name;
    const char *file; // for messages
    enum tensor_type type;
    const char *type_name; // as the file spells it
    int n_dim;
    uint64_t shape[TENSOR_DIM_MAX];
    const void *data;          // aligned to the type's size
    uint64_t n_bytes, file_at; // where its bytes begin in the file
    bool used;                 // for finding what nobody asked for
};

struct weights;

// Codes that a tensor must not hold, since fast paths read them as numbers: those in which all bits
// of `nan` are set, and those with a bit that is not `allowed`. All zero: any may be there.
struct code_check {
    uint8_t nan, allowed;
};
// Of n bytes of the tensor, the first of which is its byte `at`. -1 when there is one.
int code_check_bytes(const struct code_check *c, const void *bytes, size_t n,
                     const struct tensor *t, uint64_t at, err *e);

struct weights *weights_open(const char *dir, err *e);
void weights_close(struct weights *w);
struct tensor *weights_find(struct weights *w, const char *name); // NULL when there is none
struct tensor *weights_at(struct weights *w, size_t i);           // in order of name; NULL past end
const char *weights_digest(const struct weights *w); // SHA-256 of all headers, 64 hex digits

// Bytes that a tensor takes when its rows, of the last dimension, begin at multiples of `align`.
uint64_t tensor_bytes_apart(const struct tensor *t, uint64_t align);

// Checks one file's bytes as weights_open does and counts its tensors: for the fuzz driver.
int weights_check(const void *bytes, size_t n_bytes, const char *where, size_t *n_tensor, err *e);

// "[8192, 512]" into out.
const char *tensor_shape_text(const struct tensor *t, char out[128]);
