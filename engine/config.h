// A model's shape, from config.json, generation_config.json and hf_quant_config.json. A field
// of config.json that asks for arithmetic which Hearth does not have is refused by its name.
#pragma once
#include "base/err.h"
#include "kernels/kernels.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EOS_MAX = 16, HEAD_DIM_MAX = 512, LAYER_MAX = 1024 };

struct config {
    const char *architecture; // "qwen3", "qwen2", "llama", "qwen3_moe", "gpt_oss"
    bool qk_norm;             // RMS norm on each head of q and k
    bool qkv_bias, o_bias;
    bool sinks;               // a head's softmax has one
    bool windowed[LAYER_MAX]; // [n_layer] a token sees `window` positions only, its own among them
    int window;
    bool has_quantization; // config.json says how weights are quantised
    bool fp8_x;   // of FP8 weights in a checkpoint whose activations are meant to be FP8, too
    bool nvfp4_x; // of NVFP4 weights, the same; those of which the weights alone are stay false
    bool tied;    // the output head is the embedding
    int n_layer, dim, n_head, n_kv_head, head_dim, ffn_dim, n_vocab, ctx_max;
    int n_expert, n_expert_used; // 0: feed-forward blocks have none; else ffn_dim is an expert's
    bool normalise_experts;      // the chosen ones' weights are divided by their sum
    bool stacked_experts;   // a tensor has those of all, gate and up in turn; they have biases, as
                            // has the router
    struct k_gating gating; // of experts; slope 0: silu
    float norm_eps;
    double inv_freq[HEAD_DIM_MAX / 2]; // [head_dim / 2] RoPE, scaling applied
    float rope_scale;                  // of its cosines and sines
    int32_t eos[EOS_MAX];              // tokens that end a text
    int n_eos;
};

// `dir` holds config.json and, if the model has them, generation_config.json, and
// hf_quant_config.json, where ModelOpt said what config.json does not.
int config_load(struct config *c, const char *dir, err *e);

// The same from the text of a config.json; `where` names it in errors.
int config_parse(struct config *c, const char *text, size_t n, const char *where, err *e);

// Adds to c what the text of a hf_quant_config.json says.
int config_parse_modelopt(struct config *c, const char *text, size_t n, const char *where, err *e);
