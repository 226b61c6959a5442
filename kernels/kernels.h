// Every numeric operation of a forward pass, as one flat table. `ref` is the oracle: one scalar
// loop per operation, obviously right. `cpu` is the same operations with threads and SIMD, `cuda`
// with a GPU. The engine is written once against the table and never asks which instance it holds.
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

#ifdef __cplusplus
extern "C" {
#endif

enum k_type { K_F32, K_F16, K_BF16, K_E4M3, K_NVFP4, K_MXFP4, K_N_TYPE };

size_t k_row_bytes(enum k_type type, int n_col); // of a row of values, without scales
const char *k_type_name(enum k_type type); // "f32", "f16", "bf16", "fp8_e4m3", "nvfp4", "mxfp4"

enum {
    K_HEAD_DIM_MAX = 512, // head_dim, a multiple of 2
    K_GROUP_MAX = 64      // query heads that share one key head
};

// A weight matrix as the checkpoint stores it. Its value at (r, c) is data[r, c] * block scale *
// scale[r]. The FP4 types pack two values in a byte, the even column in the low half. Block scales:
//
//   K_E4M3    f32   [ceil(n_row / 128), ceil(n_col / 128)], or NULL: all 1
//   K_NVFP4   e4m3  [n_row, n_col / 16]
//   K_MXFP4   e8m0  [n_row, n_col / 32]: 2^(byte - 127)
struct k_matrix {
    enum k_type type;
    int n_row, n_col;
    const void *data;   // [n_row, n_col]
    const void *block;  // as above; NULL for the other types
    const float *scale; // [n_row], or NULL: all 1
    // FP4: bytes from a row to the next, of data (multiples of 16) and of block; 0: there is
    // nothing between them. K_BEHIND bytes behind the last row of data may be read, too.
    size_t data_step, block_step;
    bool short_x; // made to meet activations that are rounded like the weights; an instance may do
                  // so where there are many tokens. K_E4M3: e4m3 with an f32 scale for each token,
                  // or each of its blocks of 128 columns; K_NVFP4: e2m1 with an e4m3 scale for each
                  // 16 columns and an f32 one for each token
};

enum { K_E4M3_BLOCK = 128, K_NVFP4_BLOCK = 16, K_MXFP4_BLOCK = 32, K_BEHIND = 128 };
size_t k_block_bytes(const struct k_matrix *w); // of w's block scales; 0 when it has none
size_t k_data_step(const struct k_matrix *w);   // w->data_step, or what stands for 0
size_t k_block_step(const struct k_matrix *w);  // the same of an FP4 matrix's block scales

// One product of a call of matmul: out = x W^T + bias, or added to what out holds.
struct k_product {
    const struct k_matrix *w;
    const float *bias; // [w->n_row], or NULL
    float *out;        // [n_token, w->n_row]
    bool add;
};

// Keys and values of one layer: [n_kv_head, ctx_max, head_dim] of the table's kv_type, of K_BF16,
// rounded to the nearest, or of K_E4M3, so that one head's history is one contiguous run.
//
// A row of K_E4M3, the key or value of one head at one position, is codes times 2^(scale - 127),
// the smallest such power (scale at least 1) with which no code need exceed 448. A power of two
// leaves nothing to be gained: codes are floating point, as near to their values with any scale,
// and what is stored and read has no second rounding, so that it is the same bits everywhere. A row
// with a NaN or an infinity is NaN throughout.
struct k_cache {
    enum k_type type;
    void *k, *v;
    unsigned char *k_scale, *v_scale; // K_E4M3: [n_kv_head, ctx_max rounded up to K_SCALE_STEP]
    int n_kv_head, head_dim, ctx_max;
};

enum { K_SCALE_STEP = 16 }; // a multiple of this many scales can be copied at once

// Bytes of a cache's keys, or of its values, and of the scales of either (0 but for K_E4M3), whose
// pointers are not looked at.
size_t k_cache_bytes(const struct k_cache *c);
size_t k_scale_bytes(const struct k_cache *c);

enum { K_STAGES = 16 };

typedef struct k_device k_device; // threads, streams, scratch: one per loaded model

// What the products of a layer read: [n_token, n_col] activations in the form that suits the
// instance (f32 on a CPU; a GPU splits each into two bf16, or leaves the factor of a norm to its
// reader). Only the instance looks inside.
typedef struct k_act k_act;

// Attention of one layer, from the products q, k, v to what the output projection reads: norm of
// each head (if the model has it), rotation, the cache's new rows, and the attention itself. q, k
// and v may be overwritten. Token t stands at *pos + t and sees that position and those before it.
//
// A sink is one more score in a head's softmax, without a key and without a value: it takes its
// share, so that a head may find less than nothing worth seeing.
struct k_attend {
    float *q, *k, *v;             // [n_token, n_head or n_kv_head, head_dim]
    const float *q_norm, *k_norm; // [head_dim], or NULL
    float eps;
    const float *rope; // made by rope_table
    const struct k_cache *cache;
    int n_head;
    const int32_t *pos;
    int window;         // positions that a token sees at most, its own among them; 0: all
    const float *sinks; // [n_head], or NULL
};

// What becomes of a pair of gate and up: with g = min(gate, limit) and u = up, but within +-limit,
// g sigmoid(slope g) (u + shift). Where a pointer to it is NULL it is {1, 0, INFINITY}: silu(gate)
// up.
struct k_gating {
    float slope, shift, limit;
};
extern const struct k_gating k_silu;

// The first half of a feed-forward block: silu(a gate^T) * (a up^T).
struct k_gate {
    const struct k_matrix *gate, *up; // of one shape
    float *room[2];                   // [n_token, gate->n_row] each, for the instance's use
};

// The end of a block: x += a w^T + bias, and what the next block reads, next = norm(x) * gain.
struct k_add {
    const struct k_matrix *w;
    const float *bias; // [w->n_row], or NULL
    float *x;          // [n_token, w->n_row]
    k_act *next;       // or NULL: no norm follows
    const float *gain; // [w->n_row]
    float eps;
};

// A feed-forward block of experts: softmax(a router^T + its bias) says for each token which n_used
// of n_expert work for it, the lower index among equals, and with what weight; with `normalise` the
// chosen weights are divided by their sum.
struct k_experts {
    const struct k_matrix *router;           // [n_expert, dim]
    const struct k_matrix *gate, *up, *down; // [n_expert] of [ffn, dim], [ffn, dim], [dim, ffn]
    const float *router_bias;                // [n_expert], or NULL, as the others
    const float *gate_bias, *up_bias, *down_bias; // [n_expert, ffn] x 2, [n_expert, dim]
    const struct k_gating *gating;                // or NULL
    int n_expert, n_used;
    bool normalise;
    void *list; // of list_experts
};

// The second half of a layer with experts: x += the chosen experts' outputs by their weights, then
// as k_add.
struct k_mix {
    const struct k_experts *experts;
    float *x;    // [n_token, dim]
    float *room; // [mix_room] for the instance's use
    k_act *next; // or NULL: no norm follows
    const float *gain;
    float eps;
};

// How an index is drawn from a row of logits. Each filter keeps a first part of the order, which is
// larger logit first, then lower index, and renormalises for the next: top-k, top-p, min-p.
struct k_sampling {
    float temperature; // 0: the largest, the rest is ignored
    float top_p;       // the fewest whose weights sum up to this; 1: off
    float min_p;       // those of at least this, relative to the first; 0: off
    int top_k;         // 0: off
    uint64_t word;     // uniformly random
};

enum { K_SAMPLE_MAX = 1 << 22 }; // logits in a row

struct k_ops {
    const char *name;
    enum k_type kv_type; // of a cache that is asked for nothing else
    int batch_max;       // tokens in one call, at most
    bool reads_host;     // operations read the host's memory as it is

    k_device *(*open)(int n_thread, err *e); // n_thread 0: one per CPU this process may use
    void (*close)(k_device *d);
    const char *(*describe)(const k_device *d); // "cpu avx2"
    int (*n_thread)(const k_device *d);

    // Bytes that may still be taken, and those of the machine's that are kept for everything else
    // and not among them.
    void (*memory)(k_device *d, uint64_t *free_bytes, uint64_t *floor_bytes);
    void *(*alloc)(k_device *d, size_t n_bytes); // zeroed, aligned to 64; NULL: not enough memory
    void (*release)(k_device *d, void *p);       // of alloc; NULL is allowed
    void (*upload)(k_device *d, void *to, const void *host, size_t n_bytes);
    void (*download)(k_device *d, void *host, const void *from, size_t n_bytes);
    // Memory of the host from which the device copies while the host goes on; NULL functions where
    // upload is as good. stage: buffer i (below K_STAGES) of n_bytes, once what was sent from it
    // has left it; NULL: no memory. send: n_bytes from `at` on of it. stage_free: all of them.
    void *(*stage)(k_device *d, int i, size_t n_bytes);
    void (*send)(k_device *d, int i, size_t at, void *to, size_t n_bytes);
    void (*stage_free)(k_device *d);
    // Where reads_host, else NULL: makes host bytes that outlive the device readable to operations.
    // The pointer itself.
    const void *(*place)(k_device *d, const void *host, size_t n_bytes);
    // Once for each matrix in its memory, before any operation reads it: the instance may bring w's
    // bytes into an order of its own.
    void (*arrange)(k_device *d, const struct k_matrix *w);
    // Bytes of which block_step should be a multiple (FP4): fast operations take no other.
    int block_align;
    // Where that is not 1, else NULL: n_row rows of n_bytes, which lie behind each other in `from`,
    // to places `step` bytes apart. What is between becomes 0.
    void (*spread)(k_device *d, void *to, size_t step, const void *from, size_t n_bytes,
                   size_t n_row);
    // Scratch for calls of up to n_token tokens and matrices of up to n_col columns; called before
    // the first operation and whenever these grow. After it no operation allocates.
    int (*reserve)(k_device *d, int n_token, int n_col, err *e);
    // Waits for what was issued; -1 when any operation since the last call failed.
    int (*finish)(k_device *d, err *e);

    // Issues what `issue` issues. *recording begins as NULL and belongs to the caller until forget;
    // calls with one recording issue the same operations on the same memory with the same sizes, so
    // an instance may keep the first and repeat it.
    void (*replay)(k_device *d, void **recording, void (*issue)(void *context), void *context);
    void (*forget)(k_device *d, void *recording); // NULL is allowed

    // The forward pass. `tokens` and `pos` are in the instance's memory, too, so that a recording
    // finds there what has changed.
    void (*embed)(k_device *d, float *out, const struct k_matrix *table, const int32_t *tokens,
                  int n_token); // out [n_token, table->n_col]
    // out[i] = x[i] / sqrt(mean(x[i]^2) + eps) * gain, for rows of `dim`; out may be x
    void (*rms_norm)(k_device *d, float *out, const float *x, const float *gain, int n_row, int dim,
                     float eps);
    void (*matmul)(k_device *d, const float *x, int n_token, const struct k_product *p,
                   int n_product); // x [n_token, n_col], the same n_col in all products
    // out [n_token, 2, n_half]: cos, then sin, of (*pos + t) * inv_freq[i], times `scale`
    void (*rope_table)(k_device *d, float *out, const double *inv_freq, int n_half, float scale,
                       const int32_t *pos, int n_token);
    // Turns the pair (x[i], x[i + half]) of every head by its angle, in place
    void (*rope)(k_device *d, float *x, const float *table, int n_token, int n_head, int head_dim);
    void (*kv_store)(k_device *d, const struct k_cache *c, const float *k, const float *v,
                     const int32_t *pos, int n_token); // k, v [n_token, n_kv_head, head_dim]
    // The last part of attend alone: q is normed and turned, the cache has the new rows. out
    // [n_token, n_head, head_dim]
    void (*attention)(k_device *d, float *out, const struct k_attend *at, int n_token);
    // gate = what becomes of gate and up
    void (*swiglu)(k_device *d, float *gate, const float *up, int n_token, int dim,
                   const struct k_gating *how);
    void (*sum_rows)(k_device *d, float *out, const float *x, int n_row,
                     int dim); // out [dim] += each row

    // The same steps fused, as the engine issues them.
    size_t (*act_bytes)(int n_token, int n_col);            // that act_new takes
    k_act *(*act_new)(k_device *d, int n_token, int n_col); // for up to n_token; NULL: no memory
    void (*act_free)(k_device *d, k_act *a);                // NULL is allowed
    void (*norm)(k_device *d, k_act *a, const float *x, const float *gain, int n_token, int dim,
                 float eps); // a = rms_norm(x)
    void (*project)(k_device *d, const k_act *a, int n_token, const struct k_product *p,
                    int n_product); // matmul of an act
    // How n_token tokens meet p->w, in words for people; `runs`: as experts do. Neither p->out nor
    // the weights' values are looked at. NULL: there is nothing to choose from.
    void (*explain)(k_device *d, const struct k_product *p, int n_token, bool runs, char *text,
                    size_t n);
    void (*attend)(k_device *d, k_act *a, const struct k_attend *at, int n_token);
    void (*gate)(k_device *d, k_act *out, const k_act *a, const struct k_gate *g, int n_token);
    void (*add)(k_device *d, const k_act *a, const struct k_add *p, int n_token);
    // Once for each block of experts, with its matrices in place: what the instance wants to have
    // of them in its own memory, or NULL; e->list until it is given back with release. -1: no
    // memory.
    int (*list_experts)(k_device *d, const struct k_experts *e, void **list);
    size_t (*mix_room)(const struct k_experts *e, int n_token); // floats, for up to n_token
    void (*mix)(k_device *d, const k_act *a, const struct k_mix *m, int n_token);

    // The index of the largest of x[0..n), the lowest among equals; NaN counts as -infinity. `mask`
    // is host memory, a bit for each index that may be chosen, or NULL. -1 when there is none.
    int32_t (*argmax)(k_device *d, const float *x, int n, const uint64_t *mask);
    // An index of x[0..n), drawn with softmax(x / temperature) as `how` says; -1 when mask allows
    // none, and the first in order when the largest is infinite. Every instance gives the same for
    // the same x (sample.h). `room` [n] of host memory is for the instance's use.
    int32_t (*sample)(k_device *d, const float *x, int n, const uint64_t *mask,
                      const struct k_sampling *how, uint64_t *room);

    // Word i of 8 bytes becomes (k_random_word(seed, i) & keep) | set: weights for measuring speed.
    void (*fill)(k_device *d, void *to, size_t n_bytes, uint64_t seed, uint64_t keep, uint64_t set);

    // Reads n_bytes once with all threads at full width: what decode speed is measured against.
    // The number depends on every byte and on the instance.
    uint64_t (*read_all)(k_device *d, const void *p, size_t n_bytes);
};

extern const struct k_ops k_ref;
extern const struct k_ops k_cpu;                   // with the best instructions this machine has
extern const struct k_ops k_cpu_avx2, k_cpu_plain; // with given ones: open fails where they lack
extern const struct k_ops k_cuda; // one NVIDIA GPU; only in a build with HEARTH_CUDA

// MemAvailable of /proc/meminfo in bytes; 0 when it cannot be read.
uint64_t k_memory_available(void);

// By .name; NULL: k_cuda where this build has it and the machine has a GPU, else k_cpu. NULL when
// unknown
const struct k_ops *k_ops_find(const char *name);
bool k_ops_known(const char *name, err *e); // else the error says which there are

// The type of a cache by its name: "bf16", "fp8", or the table's kv_type's; NULL: that.
int k_kv_type(const struct k_ops *ops, const char *name, enum k_type *type, err *e);

#ifdef __cplusplus
}
#endif
