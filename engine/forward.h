// The forward pass over one chunk of tokens, against a KV cache.
#pragma once
#include "engine/model.h"

enum { STEP_ROWS = 8 }; // tokens that a step takes at most

// Activations of one chunk and the cache of one timeline; all in the device's memory.
struct work {
    int chunk_max, ctx_max;
    int32_t *host_place;    // [1 + chunk_max] what place is filled from
    int32_t *place;         // [1 + chunk_max] the chunk's first position, then its tokens
    double *inv_freq;       // [head_dim / 2]
    float *x;               // [chunk_max, dim] the residual stream
    k_act *h;               // [chunk_max, dim] normed
    k_act *attn;            // [chunk_max, n_head * head_dim]
    k_act *ffn;             // [chunk_max, ffn_dim]
    float *q;               // [chunk_max, n_head * head_dim]
    float *k, *v;           // [chunk_max, n_kv_head * head_dim]
    float *gate, *up;       // [chunk_max, ffn_dim]; without experts
    float *mix;             // [mix_room]; with experts
    float *rope;            // [chunk_max, head_dim]
    float *logits;          // [STEP_ROWS, n_vocab]
    float *pooled;          // [dim]
    struct k_cache *caches; // [n_layer]
    void *steps[STEP_ROWS]; // the recordings of chunks of 1 .. STEP_ROWS tokens and their heads
};

// What work_open takes, in bytes: keys and values, and everything else.
void work_bytes(const struct config *c, const struct k_ops *ops, enum k_type kv_type, int ctx_max,
                uint64_t *cache, uint64_t *scratch);

int work_open(struct work *w, const struct model *m, int ctx_max, err *e);
void work_close(struct work *w, const struct model *m);

// Runs tokens[0..n), n <= chunk_max, which stand at pos .. pos + n - 1; writes their keys and
// values, and leaves the final hidden state of each, before the last norm, in w->x. Returns -1
// when *cancel became non-zero (NULL: never) and the chunk was given up.
int forward_chunk(struct work *w, const struct model *m, const int32_t *tokens, int n, int pos,
                  const volatile int *cancel);

// The logits after token `t` of the chunk that ran last, into w->logits.
void forward_head(struct work *w, const struct model *m, int t);

// forward_chunk of n <= STEP_ROWS tokens and the head for each, logits in row t, in one piece that
// the device may record.
void forward_step(struct work *w, const struct model *m, const int32_t *tokens, int n, int pos);
