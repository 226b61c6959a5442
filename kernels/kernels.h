// Every numeric operation of a forward pass, as one flat table. `ref` is the oracle: one scalar
// loop per operation, obviously right. `cpu` is the same operations with threads and SIMD. The
// engine is written once against the table and never asks which instance it holds.
//
// Memory: an operation's pointers are in memory that the instance owns (alloc) or has agreed to
// read (place); the engine moves bytes in and out with upload and download only, so an instance may
// keep all of it on a device. Operations are issued in order and see each other's results; download
// waits for what was issued before it. Activations are f32, [n_token, ...] with the last index
// contiguous. Sizes were checked when the model was loaded: here a wrong size is our bug.
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum k_type { K_F32, K_F16, K_BF16, K_E4M3, K_N_TYPE };

size_t k_type_bytes(enum k_type type);
const char *k_type_name(enum k_type type); // "f32", "f16", "bf16", "fp8_e4m3"

enum {
    K_BATCH_MAX = 512,    // tokens in one call
    K_HEAD_DIM_MAX = 512, // head_dim, a multiple of 2
    K_GROUP_MAX = 64      // query heads that share one key head
};

// A weight matrix as the checkpoint stores it. Its value at (r, c) is data[r, c] * scale[r].
struct k_matrix {
    enum k_type type;
    int n_row, n_col;
    const void *data;   // [n_row, n_col]
    const float *scale; // [n_row], or NULL: all 1
};

// One product of a call of matmul: out = x W^T + bias, or added to what out holds.
struct k_product {
    const struct k_matrix *w;
    const float *bias; // [w->n_row], or NULL
    float *out;        // [n_token, w->n_row]
    bool add;
};

// Keys and values of one layer: [n_kv_head, ctx_max, head_dim] of the table's kv_type, so that one
// head's history is one contiguous run.
struct k_cache {
    void *k, *v;
    int n_kv_head, head_dim, ctx_max;
};

typedef struct k_device k_device; // threads, streams, scratch: one per loaded model

struct k_ops {
    const char *name;
    enum k_type kv_type;

    k_device *(*open)(int n_thread, err *e); // n_thread 0: one per CPU this process may use
    void (*close)(k_device *d);
    const char *(*describe)(const k_device *d); // "cpu avx2"
    int (*n_thread)(const k_device *d);

    void *(*alloc)(k_device *d, size_t n_bytes); // zeroed, aligned to 64; NULL: not enough memory
    void (*release)(k_device *d, void *p);       // of alloc; NULL is allowed
    void (*upload)(k_device *d, void *to, const void *host, size_t n_bytes);
    void (*download)(k_device *d, void *host, const void *from, size_t n_bytes);
    // Makes host bytes that outlive the device readable to operations: the pointer itself where
    // operations read host memory, a copy on a device otherwise. NULL: not enough memory.
    const void *(*place)(k_device *d, const void *host, size_t n_bytes);
    // Scratch for calls of up to n_token tokens and matrices of up to n_col columns; called before
    // the first operation and whenever these grow. After it no operation allocates.
    int (*reserve)(k_device *d, int n_token, int n_col, err *e);

    // The forward pass, in its order. `tokens` and the tables made by rope_table are host input
    // and op-owned memory respectively.
    void (*embed)(k_device *d, float *out, const struct k_matrix *table, const int32_t *tokens,
                  int n_token); // out [n_token, table->n_col]
    // out[i] = x[i] / sqrt(mean(x[i]^2) + eps) * gain, for rows of `dim`; out may be x
    void (*rms_norm)(k_device *d, float *out, const float *x, const float *gain, int n_row, int dim,
                     float eps);
    void (*matmul)(k_device *d, const float *x, int n_token, const struct k_product *p,
                   int n_product); // x [n_token, n_col], the same n_col in all products
    // out [n_token, 2, n_half]: cos, then sin, of (pos + t) * inv_freq[i]; inv_freq is host memory
    void (*rope_table)(k_device *d, float *out, const double *inv_freq, int n_half, int pos,
                       int n_token);
    // Turns the pair (x[i], x[i + half]) of every head by its angle, in place
    void (*rope)(k_device *d, float *x, const float *table, int n_token, int n_head, int head_dim);
    void (*kv_store)(k_device *d, const struct k_cache *c, const float *k, const float *v, int pos,
                     int n_token); // k, v [n_token, n_kv_head, head_dim]
    // Token t stands at pos + t and sees positions 0 .. pos + t. q, out [n_token, n_head, head_dim]
    void (*attention)(k_device *d, float *out, const float *q, const struct k_cache *c, int n_head,
                      int pos, int n_token);
    // gate = gate * sigmoid(gate) * up
    void (*swiglu)(k_device *d, float *gate, const float *up, int n_token, int dim);
    void (*sum_rows)(k_device *d, float *out, const float *x, int n_row,
                     int dim); // out [dim] += each row

    // Reads n_bytes once with all threads at full width: what decode speed is measured against.
    // The number depends on every byte and on the instance.
    uint64_t (*read_all)(k_device *d, const void *p, size_t n_bytes);
};

extern const struct k_ops k_ref;
extern const struct k_ops k_cpu;                   // with the best instructions this machine has
extern const struct k_ops k_cpu_avx2, k_cpu_plain; // with given ones: open fails where they lack

const struct k_ops *k_ops_find(const char *name); // by .name; NULL: k_cpu. NULL when unknown
