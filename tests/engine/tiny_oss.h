// Checkpoints with random weights as gpt-oss is published: experts in MXFP4, stacked, with biases;
// windows in every second layer; sinks; YaRN.
#pragma once
#include "tiny_model.h"

struct oss_shape {
    int dim, ffn; // multiples of 32
    int n_head, n_kv_head, head_dim, n_layer, n_vocab, n_expert, n_used, window;
    double limit; // of the gating: what some gates and ups go beyond
};

struct tiny tiny_oss(const struct oss_shape *s, uint64_t seed);
