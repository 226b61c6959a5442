#include "tiny_oss.h"

#include "base/mem.h"
#include "base/rng.h"
#include "kernels/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void add_bf16(struct tiny *t, rng *r, const char *name, json_t *shape, size_t n, double mean,
                     double size)
{
    uint16_t *bits = mem_new(n * sizeof *bits);
    for (size_t i = 0; i < n; i++) bits[i] = f32_to_bf16((float)(mean + rng_normal(r) * size));
    tiny_add(t, name, "BF16", shape, bits, n * sizeof *bits);
    free(bits);
}

static void add_vector(struct tiny *t, rng *r, const char *name, int n, double mean, double size)
{
    add_bf16(t, r, name, json_pack("[i]", n), (size_t)n, mean, size);
}

static void add_matrix(struct tiny *t, rng *r, const char *name, int n_row, int n_col, double size)
{
    add_bf16(t, r, name, json_pack("[i, i]", n_row, n_col), (size_t)n_row * (size_t)n_col, 0,
             size / sqrt(n_col));
}

// The weights of one projection of all experts, all codes, scales around 1 / sqrt(n_col); and its
// biases.
static void add_stack(struct tiny *t, rng *r, const char *name, int n_expert, int n_row, int n_col)
{
    char full[160];
    size_t n_block = (size_t)n_expert * (size_t)n_row * (size_t)(n_col / 32);
    unsigned char *codes = mem_new(n_block * 16), *scales = mem_new(n_block);
    int middle = 126 - ilogb(sqrt(n_col));
    for (size_t i = 0; i < n_block * 16; i++) codes[i] = (unsigned char)rng_u64(r);
    for (size_t i = 0; i < n_block; i++)
        scales[i] = (unsigned char)(middle - 2 + (int)rng_below(r, 3));
    snprintf(full, sizeof full, "%s_blocks", name);
    tiny_add(t, full, "U8", json_pack("[i, i, i, i]", n_expert, n_row, n_col / 32, 16), codes,
             n_block * 16);
    snprintf(full, sizeof full, "%s_scales", name);
    tiny_add(t, full, "U8", json_pack("[i, i, i]", n_expert, n_row, n_col / 32), scales, n_block);
    snprintf(full, sizeof full, "%s_bias", name);
    add_bf16(t, r, full, json_pack("[i, i]", n_expert, n_row), (size_t)n_expert * (size_t)n_row, 0,
             0.5);
    free(codes);
    free(scales);
}

static void add_layer(struct tiny *t, rng *r, const struct oss_shape *s, int l)
{
    int n_q = s->n_head * s->head_dim, n_kv = s->n_kv_head * s->head_dim;
    const struct {
        const char *name;
        int n_row, n_col; // n_col 0: a vector
        double mean, size;
    } tensors[] = {
        // scores that differ clearly: the weakest expert matters little
        {"input_layernorm.weight", s->dim, 0, 1, 0.2},
        {"self_attn.q_proj.weight", n_q, s->dim, 0, 1},
        {"self_attn.q_proj.bias", n_q, 0, 0, 0.5},
        {"self_attn.k_proj.weight", n_kv, s->dim, 0, 1},
        {"self_attn.k_proj.bias", n_kv, 0, 0, 0.5},
        {"self_attn.v_proj.weight", n_kv, s->dim, 0, 1},
        {"self_attn.v_proj.bias", n_kv, 0, 0, 0.5},
        {"self_attn.o_proj.weight", s->dim, n_q, 0, 1},
        {"self_attn.o_proj.bias", s->dim, 0, 0, 0.5},
        {"self_attn.sinks", s->n_head, 0, 1, 2},
        {"post_attention_layernorm.weight", s->dim, 0, 1, 0.2},
        {"mlp.router.weight", s->n_expert, s->dim, 0, 4},
        {"mlp.router.bias", s->n_expert, 0, 0, 0.5},
    };
    char name[128];
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        snprintf(name, sizeof name, "model.layers.%d.%s", l, tensors[i].name);
        if (tensors[i].n_col)
            add_matrix(t, r, name, tensors[i].n_row, tensors[i].n_col, tensors[i].size);
        else
            add_vector(t, r, name, tensors[i].n_row, tensors[i].mean, tensors[i].size);
    }
    snprintf(name, sizeof name, "model.layers.%d.mlp.experts.gate_up_proj", l);
    add_stack(t, r, name, s->n_expert, 2 * s->ffn, s->dim);
    snprintf(name, sizeof name, "model.layers.%d.mlp.experts.down_proj", l);
    add_stack(t, r, name, s->n_expert, s->dim, s->ffn);
}

static json_t *config_of(const struct oss_shape *s)
{
    json_t *c = json_pack("{s:[s], s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}",
                          "architectures", "GptOssForCausalLM", "model_type", "gpt_oss",
                          "hidden_size", s->dim, "intermediate_size", s->ffn, "num_hidden_layers",
                          s->n_layer, "num_attention_heads", s->n_head, "num_key_value_heads",
                          s->n_kv_head, "head_dim", s->head_dim, "vocab_size", s->n_vocab,
                          "num_local_experts", s->n_expert, "num_experts_per_tok", s->n_used);
    json_t *more =
        json_pack("{s:i, s:f, s:f, s:f, s:b, s:b, s:s, s:i, s:i}", "sliding_window", s->window,
                  "swiglu_limit", s->limit, "rms_norm_eps", 1e-5, "rope_theta", 150000.0,
                  "attention_bias", 1, "tie_word_embeddings", 0, "hidden_act", "silu",
                  "max_position_embeddings", 131072, "eos_token_id", 258);
    json_t *rope = json_pack("{s:s, s:f, s:i, s:f, s:f, s:b}", "rope_type", "yarn", "factor", 32.0,
                             "original_max_position_embeddings", 4096, "beta_fast", 32.0,
                             "beta_slow", 1.0, "truncate", 0);
    json_t *layers = json_array(), *quantization = json_pack("{s:s}", "quant_method", "mxfp4");
    for (int l = 0; l < s->n_layer; l++)
        json_array_append_new(layers, json_string(l % 2 ? "full_attention" : "sliding_attention"));
    json_object_set_new(c, "rope_scaling", rope);
    json_object_set_new(c, "layer_types", layers);
    json_object_set_new(c, "quantization_config", quantization);
    json_object_update_new(c, more);
    return c;
}

struct tiny tiny_oss(const struct oss_shape *s, uint64_t seed)
{
    struct tiny t = {.dir = tiny_dir_new("oss"), .header = json_object()};
    rng r = rng_seed(seed);
    t.config = config_of(s);
    t.tokenizer = tiny_tokenizer(s->n_vocab);
    add_bf16(&t, &r, "model.embed_tokens.weight", json_pack("[i, i]", s->n_vocab, s->dim),
             (size_t)s->n_vocab * (size_t)s->dim, 0, 1);
    add_vector(&t, &r, "model.norm.weight", s->dim, 1, 0.2);
    add_matrix(&t, &r, "lm_head.weight", s->n_vocab, s->dim, 1);
    for (int l = 0; l < s->n_layer; l++) add_layer(&t, &r, s, l);
    return t;
}
