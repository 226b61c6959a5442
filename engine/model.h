// A model: the shape from its config, its tensors bound to their places and checked, and the device
// that computes with them. Read-only once open.
#pragma once
#include "base/err.h"
#include "engine/config.h"
#include "engine/loader.h"
#include "engine/plan.h"
#include "engine/weights.h"
#include "kernels/kernels.h"

struct layer {
    float *attn_norm;           // [dim]
    struct k_matrix q, k, v, o; // [n_head * head_dim, dim], [n_kv_head * head_dim, dim] x 2,
                                // [dim, n_head * head_dim]
    float *q_bias, *k_bias, *v_bias, *o_bias; // as many as rows, or NULL
    float *sinks;                             // [n_head], or NULL
    float *q_norm, *k_norm;                   // [head_dim], or NULL
    float *ffn_norm;                          // [dim]
    struct k_matrix gate, up, down;           // [ffn_dim, dim] x 2, [dim, ffn_dim]; without experts

    struct k_matrix router;                  // [n_expert, dim]; with experts
    float *router_bias;                      // [n_expert], or NULL
    struct k_matrix *e_gate, *e_up, *e_down; // [n_expert] of the same shapes
    struct k_experts experts;                // these, as operations take them
};

struct model {
    struct config config;
    const struct k_ops *ops;
    k_device *device;
    enum k_type kv_type;       // of the sessions' caches
    struct k_matrix embedding; // [n_vocab, dim]
    struct k_matrix head;      // [n_vocab, dim]; the embedding when tied
    float *final_norm;         // [dim]
    struct layer *layers;      // [n_layer]

    enum k_type weight_type; // that most weight bytes have
    uint64_t n_parameter, weight_bytes, weight_bytes_per_token;
    char digest[65];

    struct weights *weights; // mapped files, or NULL

    // Of an instance that does not read host memory: its copies of the tensors, in one piece.
    char *store;
    uint64_t store_bytes, store_used;
    struct load_item *incoming; // [n_incoming] what is still to be loaded there
    size_t n_incoming;
    const struct k_matrix **to_arrange; // [n_to_arrange] once they are loaded
    size_t n_to_arrange;
    struct spread_scales *to_spread; // [n_to_spread] before that
    size_t n_to_spread;
    struct load_result loaded; // how it went

    void **owned; // [n_owned] device memory to give back
    size_t n_owned;
};

struct model *model_open(const char *dir, const struct k_ops *ops, int n_thread, err *e);

// The same with a plan of the memory that it and n_session sessions of ctx_max tokens take (0: the
// model's own context, at most ctx_default), which is made, and refused if it does not fit, before
// anything is loaded.
struct model_need {
    int ctx_max, ctx_default, n_session;
    const char *kv; // as k_kv_type
    struct load_watch watch;
};
struct model *model_open_planned(const char *dir, const struct k_ops *ops, int n_thread,
                                 const struct model_need *need, struct memory_plan *plan, err *e);

// The same shape filled with random weights: the layers' matrices of `type`, the head of `head`,
// the embedding of an untied model bf16, as checkpoints have it. For measuring speed without a
// download.
struct model *model_synthetic(const struct config *c, enum k_type type, enum k_type head,
                              const struct k_ops *ops, int n_thread, uint64_t seed, err *e);
void model_close(struct model *m);
