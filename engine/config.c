// Two tables carry this file. `architectures` says what the known ones differ in: whether heads are
// normed, which projections have a bias, whether feed-forward blocks are made of experts and how
// these are stored, and whether layers may have windows, and heads sinks.
// `refused` lists the fields by which a config of a known architecture asks for other arithmetic,
// each with the values that do not. A field in neither is metadata. New checkpoints invent fields,
// so the second table cannot be complete; what it misses shows as wrong tensors, because the
// tensors of a file are checked against the list the architecture needs and unknown ones are
// refused.
#include "engine/config.h"

#include "base/file.h"
#include "kernels/kernels.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONFIG_BYTES_MAX = 1 << 20 };

static const struct architecture {
    const char *class_name, *name;
    bool qk_norm, qkv_bias, o_bias, sinks, windows;
    const char *n_expert; // the field that says how many there are; NULL: none
    bool stacked;
} architectures[] = {
    {.class_name = "Qwen3ForCausalLM", .name = "qwen3", .qk_norm = true},
    {.class_name = "Qwen2ForCausalLM", .name = "qwen2", .qkv_bias = true},
    {.class_name = "LlamaForCausalLM", .name = "llama"},
    {.class_name = "Qwen3MoeForCausalLM",
     .name = "qwen3_moe",
     .qk_norm = true,
     .n_expert = "num_experts"},
    {.class_name = "GptOssForCausalLM",
     .name = "gpt_oss",
     .qkv_bias = true,
     .o_bias = true,
     .sinks = true,
     .windows = true,
     .n_expert = "num_local_experts",
     .stacked = true},
};

// Each field may be absent, null, false, or the neutral value given here as JSON.
static const struct {
    const char *field, *neutral;
} refused[] = {
    {"attention_bias", "false"},         {"mlp_bias", "false"},
    {"use_sliding_window", "false"},     {"hidden_act", "\"silu\""},
    {"partial_rotary_factor", "1.0"},    {"num_experts", "0"},
    {"num_local_experts", "0"},          {"n_routed_experts", "0"},
    {"num_nextn_predict_layers", "0"},   {"attn_logit_softcapping", "null"},
    {"final_logit_softcapping", "null"}, {"logit_scale", "1.0"},
    {"logits_scaling", "1.0"},           {"embedding_multiplier", "1.0"},
    {"residual_multiplier", "1.0"},      {"attention_multiplier", "null"},
    {"rope_interleaved", "false"},       {"use_cross_attention", "false"},
    {"is_encoder_decoder", "false"},     {"vision_config", "null"},
};

static int load_json(json_t **doc, const char *text, size_t n, const char *where, err *e)
{
    json_error_t je;
    *doc = json_loadb(text, n, JSON_REJECT_DUPLICATES, &je);
    if (!*doc) return err_set(e, ERR_INPUT, "%s: line %d: %s", where, je.line, je.text);
    if (!json_is_object(*doc)) {
        json_decref(*doc);
        *doc = NULL;
        return err_set(e, ERR_INPUT, "%s: expected a JSON object", where);
    }
    return 0;
}

struct reader {
    json_t *doc;
    const char *where;
    err *e;
};

// Writes at most 60 bytes of a value, for messages.
static const char *show(const json_t *v, char out[64])
{
    char *text = v ? json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    snprintf(out, 64, "%.60s", text ? text : "nothing");
    free(text);
    return out;
}

// An integer in [low, high]; `fallback` < 0 means that it must be there.
static int read_int(const struct reader *r, const char *field, int low, int high, int fallback,
                    int *out)
{
    char shown[64];
    json_t *v = json_object_get(r->doc, field);
    if ((!v || json_is_null(v)) && fallback >= 0) {
        *out = fallback;
        return 0;
    }
    if (!json_is_integer(v) || json_integer_value(v) < low || json_integer_value(v) > high)
        return err_set(r->e, ERR_INPUT, "%s: %s: expected an integer from %d to %d, found %s",
                       r->where, field, low, high, show(v, shown));
    *out = (int)json_integer_value(v);
    return 0;
}

static int read_positive(const struct reader *r, const json_t *in, const char *field,
                         double fallback, double *out)
{
    char shown[64];
    json_t *v = json_object_get(in, field);
    if ((!v || json_is_null(v)) && fallback > 0) {
        *out = fallback;
        return 0;
    }
    double x = json_number_value(v);
    if (!json_is_number(v) || !(x > 0) || !isfinite(x))
        return err_set(r->e, ERR_INPUT, "%s: %s: expected a positive number, found %s", r->where,
                       field, show(v, shown));
    *out = x;
    return 0;
}

static int read_architecture(const struct reader *r, struct config *c,
                             const struct architecture **found)
{
    char shown[64];
    json_t *list = json_object_get(r->doc, "architectures");
    const char *name = json_string_value(json_array_get(list, 0));
    for (size_t i = 0; name && i < sizeof architectures / sizeof *architectures; i++) {
        if (strcmp(name, architectures[i].class_name)) continue;
        const struct architecture *a = *found = &architectures[i];
        c->architecture = a->name;
        c->qk_norm = a->qk_norm;
        c->qkv_bias = a->qkv_bias;
        c->o_bias = a->o_bias;
        c->sinks = a->sinks;
        c->stacked_experts = a->stacked;
        return 0;
    }
    return err_set(r->e, ERR_INPUT,
                   "%s: architectures: expected Qwen3ForCausalLM, Qwen3MoeForCausalLM, "
                   "Qwen2ForCausalLM, LlamaForCausalLM or GptOssForCausalLM, found %s",
                   r->where, show(list, shown));
}

static int check_refused(const struct reader *r, const struct architecture *a)
{
    char shown[64];
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        json_t *v = json_object_get(r->doc, refused[i].field);
        if (!v || json_is_null(v) || json_is_false(v)) continue;
        // Qwen2's own code has its biases whatever this field says.
        if (a->qkv_bias && !strcmp(refused[i].field, "attention_bias")) continue;
        if (a->n_expert && !strcmp(refused[i].field, a->n_expert)) continue;
        json_t *neutral = json_loads(refused[i].neutral, JSON_DECODE_ANY, NULL);
        bool same = json_is_number(v) && json_is_number(neutral)
                        ? json_number_value(v) == json_number_value(neutral)
                        : json_equal(v, neutral);
        json_decref(neutral);
        if (!same)
            return err_set(r->e, ERR_INPUT, "%s: %s: only %s is supported, found %s", r->where,
                           refused[i].field, refused[i].neutral, show(v, shown));
    }
    return 0;
}

// Which layers see a window only. Where the architecture has none, no layer may.
static int read_windows(const struct reader *r, const struct architecture *a, struct config *c)
{
    char shown[64];
    size_t i;
    json_t *layer, *types = json_object_get(r->doc, "layer_types");
    bool any = false;
    if (a->windows && json_array_size(types) != (size_t)c->n_layer)
        return err_set(r->e, ERR_INPUT,
                       "%s: layer_types: expected one for each of %d layers, found %s", r->where,
                       c->n_layer, show(types, shown));
    json_array_foreach(types, i, layer)
    {
        const char *name = json_string_value(layer);
        bool windowed = a->windows && name && !strcmp(name, "sliding_attention");
        if (!windowed && (!name || strcmp(name, "full_attention")))
            return err_set(r->e, ERR_INPUT, "%s: layer_types: only %s supported, found %s",
                           r->where,
                           a->windows ? "\"full_attention\" and \"sliding_attention\" are"
                                      : "\"full_attention\" is",
                           show(layer, shown));
        if (windowed) any = c->windowed[i] = true;
    }
    return any ? read_int(r, "sliding_window", 1, 1 << 28, -1, &c->window) : 0;
}

// Llama 3.1's stretching of the slow frequencies: waves longer than the old context are slowed by
// `factor`, short ones kept, those between blended.
static int scale_llama3(const struct reader *r, const json_t *scaling, struct config *c)
{
    double factor, low, high, old;
    if (read_positive(r, scaling, "factor", 0, &factor) ||
        read_positive(r, scaling, "low_freq_factor", 0, &low) ||
        read_positive(r, scaling, "high_freq_factor", 0, &high) ||
        read_positive(r, scaling, "original_max_position_embeddings", 0, &old))
        return -1;
    if (!(high > low))
        return err_set(r->e, ERR_INPUT, "%s: rope: high_freq_factor must exceed low_freq_factor",
                       r->where);
    for (int i = 0; i < c->head_dim / 2; i++) {
        double turns = old * c->inv_freq[i] / (2 * M_PI); // of this frequency in the old context
        double keep = fmin(fmax((turns - low) / (high - low), 0), 1);
        c->inv_freq[i] *= keep + (1 - keep) / factor;
    }
    return 0;
}

// YaRN: of frequencies that turn less than beta_slow times in the old context the angles become
// smaller by `factor`, those that turn more than beta_fast times are kept, those between blended
// along their index; and all cosines and sines grow, which sharpens attention.
static int scale_yarn(const struct reader *r, const json_t *scaling, double theta, struct config *c)
{
    double factor, fast, slow, old, gain;
    char shown[64];
    const json_t *truncate = json_object_get(scaling, "truncate");
    static const char *const others[] = {"mscale", "mscale_all_dim"}; // of the gain
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (json_is_number(json_object_get(scaling, others[i])))
            return err_set(r->e, ERR_INPUT, "%s: rope_scaling: %s: not supported, found %s",
                           r->where, others[i], show(json_object_get(scaling, others[i]), shown));
    if (truncate && !json_is_boolean(truncate))
        return err_set(r->e, ERR_INPUT,
                       "%s: rope_scaling: truncate: expected true or false, found %s", r->where,
                       show(truncate, shown));
    if (read_positive(r, scaling, "factor", 0, &factor) ||
        read_positive(r, scaling, "beta_fast", 32, &fast) ||
        read_positive(r, scaling, "beta_slow", 1, &slow) ||
        read_positive(r, scaling, "original_max_position_embeddings", 0, &old) ||
        read_positive(r, scaling, "attention_factor", factor > 1 ? 0.1 * log(factor) + 1 : 1,
                      &gain))
        return -1;
    if (!(fast > slow))
        return err_set(r->e, ERR_INPUT, "%s: rope_scaling: beta_fast must exceed beta_slow",
                       r->where);
    // The index of the frequency that turns so often.
    double per_turn = c->head_dim / (2 * log(theta));
    double from = per_turn * log(old / (2 * M_PI * fast));
    double to = per_turn * log(old / (2 * M_PI * slow));
    if (!truncate || json_is_true(truncate)) from = floor(from), to = ceil(to);
    from = fmax(from, 0), to = fmin(to, c->head_dim - 1);
    if (from == to) to += 0.001;
    for (int i = 0; i < c->head_dim / 2; i++) {
        double slowed = fmin(fmax((i - from) / (to - from), 0), 1);
        c->inv_freq[i] *= 1 - slowed + slowed / factor;
    }
    c->rope_scale = (float)gain;
    if (isfinite(c->rope_scale)) return 0;
    return err_set(r->e, ERR_INPUT, "%s: rope_scaling: attention_factor: %g is too large", r->where,
                   gain);
}

static int read_rope(const struct reader *r, struct config *c)
{
    // Newer files put theta and scaling together as rope_parameters.
    char shown[64];
    json_t *scaling = json_object_get(r->doc, "rope_parameters");
    const json_t *holder = json_is_object(scaling) ? scaling : r->doc;
    if (!json_is_object(scaling)) scaling = json_object_get(r->doc, "rope_scaling");

    double theta;
    c->rope_scale = 1;
    if (read_positive(r, holder, "rope_theta", 10000, &theta)) return -1;
    for (int i = 0; i < c->head_dim / 2; i++) c->inv_freq[i] = pow(theta, -2.0 * i / c->head_dim);

    if (!scaling || json_is_null(scaling)) return 0;
    json_t *type = json_object_get(scaling, "rope_type");
    if (!type) type = json_object_get(scaling, "type");
    const char *name = json_string_value(type);
    if (name && !strcmp(name, "default")) return 0;
    if (name && !strcmp(name, "llama3")) return scale_llama3(r, scaling, c);
    if (name && !strcmp(name, "yarn")) return scale_yarn(r, scaling, theta, c);
    return err_set(r->e, ERR_INPUT,
                   "%s: rope_scaling: rope_type: expected \"default\", \"llama3\" or \"yarn\", "
                   "found %s",
                   r->where, show(type, shown));
}

static bool is_one_of(const char *name, const char *const *known)
{
    for (; name && *known; known++)
        if (!strcmp(name, *known)) return true;
    return false;
}

static bool is_square(const json_t *block) // [128, 128]
{
    return json_array_size(block) == 2 &&
           json_integer_value(json_array_get(block, 0)) == K_E4M3_BLOCK &&
           json_integer_value(json_array_get(block, 1)) == K_E4M3_BLOCK;
}

static bool is_float(const json_t *x, int n_bit)
{
    const char *type = json_string_value(json_object_get(x, "type"));
    return json_integer_value(json_object_get(x, "num_bits")) == n_bit && type &&
           !strcmp(type, "float");
}

static bool is_nvfp4(const json_t *x)
{
    return is_float(x, 4) && json_integer_value(json_object_get(x, "group_size")) == K_NVFP4_BLOCK;
}

// The `weights` of a group. ModelOpt leaves out the strategy where its own algorithms have but one.
static bool is_known_group(const json_t *w, bool is_modelopt)
{
    static const char *const whole[] = {"channel", "tensor", NULL};
    static const char *const grouped[] = {"group", "tensor_group", NULL};
    const char *strategy = json_string_value(json_object_get(w, "strategy"));
    json_t *group_size = json_object_get(w, "group_size");
    json_int_t size = json_integer_value(group_size);
    bool has_size = size == K_NVFP4_BLOCK || size == K_MXFP4_BLOCK;
    if (is_modelopt && !json_object_get(w, "strategy"))
        return is_float(w, 4) ? has_size : is_float(w, 8) && !group_size;
    if (!strategy) return false;
    if (is_float(w, 4)) return is_one_of(strategy, grouped) && has_size;
    if (!is_float(w, 8)) return false;
    return is_one_of(strategy, whole) ||
           (!strcmp(strategy, "block") && is_square(json_object_get(w, "block_structure")));
}

// ModelOpt's name of what it did to all matrices, or to those that `place` names.
static int read_algorithm(const struct reader *r, struct config *c, const char *place,
                          const json_t *algo)
{
    static const char *const known[] = {"FP8", "NVFP4", "W4A16_NVFP4", "MIXED_PRECISION", NULL};
    char shown[64];
    const char *name = json_string_value(algo);
    if (!is_one_of(name, known))
        return err_set(r->e, ERR_INPUT,
                       "%s: %s: quant_algo: expected \"FP8\", \"NVFP4\", \"W4A16_NVFP4\" or "
                       "\"MIXED_PRECISION\", found %s",
                       r->where, place, show(algo, shown));
    c->fp8_x |= !strcmp(name, "FP8");
    c->nvfp4_x |= !strcmp(name, "NVFP4");
    return 0;
}

static int read_modelopt(const struct reader *r, struct config *c, const char *field,
                         const json_t *q)
{
    char place[192];
    const char *key;
    json_t *layer, *algo = json_object_get(q, "quant_algo");
    if (algo && !json_is_null(algo) && read_algorithm(r, c, field, algo)) return -1;
    json_object_foreach(json_object_get(q, "quantized_layers"), key, layer)
    {
        snprintf(place, sizeof place, "%s: quantized_layers: %.120s", field, key);
        if (read_algorithm(r, c, place, json_object_get(layer, "quant_algo"))) return -1;
    }
    return 0;
}

// The kinds of quantisation are recognised by the tensors themselves; here only those are refused
// whose tensors could be taken for something else. And whether activations are meant to be rounded
// like the weights they meet.
static int read_quantization(const struct reader *r, struct config *c)
{
    static const char *const known[] = {"compressed-tensors", "fp8", "modelopt", "mxfp4", NULL};
    char shown[64];
    json_t *q = json_object_get(r->doc, "quantization_config");
    if (!q || json_is_null(q)) return 0;
    const char *method = json_string_value(json_object_get(q, "quant_method"));
    if (!is_one_of(method, known))
        return err_set(r->e, ERR_INPUT,
                       "%s: quantization_config: quant_method: expected \"compressed-tensors\", "
                       "\"fp8\", \"modelopt\" or \"mxfp4\", found %s",
                       r->where, show(json_object_get(q, "quant_method"), shown));
    json_t *block = json_object_get(q, "weight_block_size");
    if (block && !json_is_null(block) && !is_square(block))
        return err_set(r->e, ERR_INPUT,
                       "%s: quantization_config: weight_block_size: expected [128, 128], found %s",
                       r->where, show(block, shown));
    if (read_modelopt(r, c, "quantization_config", q)) return -1;
    bool is_modelopt = !strcmp(method, "modelopt");
    const char *key;
    json_t *group;
    json_object_foreach(json_object_get(q, "config_groups"), key, group)
    {
        json_t *w = json_object_get(group, "weights"), *x;
        // What it has no other words for ModelOpt calls by its name.
        json_t *algo = w || !is_modelopt ? NULL : json_object_get(group, "quant_algo");
        if (algo) {
            if (read_algorithm(r, c, "quantization_config: config_groups", algo)) return -1;
            continue;
        }
        if (!is_known_group(w, is_modelopt))
            return err_set(r->e, ERR_INPUT,
                           "%s: quantization_config: config_groups: %s: weights: expected floats "
                           "of 8 bits with strategy \"channel\", \"tensor\" or \"block\" "
                           "[128, 128], or of 4 bits in groups of 16 or 32, found %s",
                           r->where, key, show(w, shown));
        x = json_object_get(group, "input_activations");
        c->fp8_x |= is_float(w, 8) && is_float(x, 8);
        c->nvfp4_x |= is_nvfp4(w) && is_nvfp4(x);
    }
    c->fp8_x |= json_is_string(json_object_get(q, "activation_scheme"));
    return 0;
}

// Models in which some layers have no experts are refused.
static int read_experts(const struct reader *r, struct config *c)
{
    char shown[64];
    int step;
    json_t *dense = json_object_get(r->doc, "mlp_only_layers");
    json_t *normalise = json_object_get(r->doc, "norm_topk_prob");
    if (read_int(r, "num_experts", 1, 4096, -1, &c->n_expert) ||
        read_int(r, "num_experts_per_tok", 1, c->n_expert, -1, &c->n_expert_used) ||
        read_int(r, "moe_intermediate_size", 1, 1 << 20, -1, &c->ffn_dim) ||
        read_int(r, "decoder_sparse_step", 1, 1, 1, &step))
        return -1;
    if (json_array_size(dense))
        return err_set(r->e, ERR_INPUT, "%s: mlp_only_layers: only [] is supported, found %s",
                       r->where, show(dense, shown));
    if (normalise && !json_is_boolean(normalise))
        return err_set(r->e, ERR_INPUT, "%s: norm_topk_prob: expected true or false, found %s",
                       r->where, show(normalise, shown));
    c->normalise_experts = json_is_true(normalise);
    return 0;
}

// Experts that are stored as one tensor; their width is the model's intermediate_size.
static int read_stacked_experts(const struct reader *r, struct config *c)
{
    // What OpenAI's own code has without a field for it.
    static const float slope = 1.702f, shift = 1;
    const char *used = "num_experts_per_tok";
    double limit;
    if (!json_object_get(r->doc, used)) used = "experts_per_token";
    if (read_int(r, "num_local_experts", 1, 4096, -1, &c->n_expert) ||
        read_int(r, used, 1, c->n_expert, -1, &c->n_expert_used) ||
        read_positive(r, r->doc, "swiglu_limit", 7, &limit))
        return -1;
    c->normalise_experts = true;
    c->gating = (struct k_gating){slope, shift, (float)limit};
    return 0;
}

static int read_shape(const struct reader *r, struct config *c)
{
    char shown[64];
    if (read_int(r, "num_hidden_layers", 1, LAYER_MAX, -1, &c->n_layer) ||
        read_int(r, "hidden_size", 1, 65536, -1, &c->dim) ||
        read_int(r, "num_attention_heads", 1, 1024, -1, &c->n_head) ||
        read_int(r, "num_key_value_heads", 1, 1024, c->n_head, &c->n_kv_head) ||
        read_int(r, "head_dim", 2, HEAD_DIM_MAX, c->dim / c->n_head, &c->head_dim) ||
        read_int(r, "intermediate_size", 1, 1 << 20, -1, &c->ffn_dim) ||
        read_int(r, "vocab_size", 1, 1 << 22, -1, &c->n_vocab) ||
        read_int(r, "max_position_embeddings", 1, 1 << 28, -1, &c->ctx_max))
        return -1;
    if (c->n_head % c->n_kv_head || c->n_head / c->n_kv_head > K_GROUP_MAX)
        return err_set(r->e, ERR_INPUT,
                       "%s: num_key_value_heads: expected a divisor of num_attention_heads %d, at "
                       "most %d heads for one; found %d",
                       r->where, c->n_head, K_GROUP_MAX, c->n_kv_head);
    if (c->head_dim % 2 || c->head_dim < 2 || c->head_dim > HEAD_DIM_MAX)
        return err_set(r->e, ERR_INPUT, "%s: head_dim: expected an even number up to %d, found %d",
                       r->where, HEAD_DIM_MAX, c->head_dim);
    json_t *tied = json_object_get(r->doc, "tie_word_embeddings");
    if (tied && !json_is_boolean(tied))
        return err_set(r->e, ERR_INPUT, "%s: tie_word_embeddings: expected true or false, found %s",
                       r->where, show(tied, shown));
    c->tied = json_is_true(tied);
    double eps;
    if (read_positive(r, r->doc, "rms_norm_eps", 1e-6, &eps)) return -1;
    c->norm_eps = (float)eps;
    return 0;
}

// One id or a list of ids; absent or null leaves the list as it is.
static int read_eos(const struct reader *r, struct config *c)
{
    char shown[64];
    json_t *v = json_object_get(r->doc, "eos_token_id");
    if (!v || json_is_null(v)) return 0;
    size_t n = json_is_array(v) ? json_array_size(v) : 1;
    c->n_eos = 0;
    for (size_t i = 0; i < n; i++) {
        json_t *id = json_is_array(v) ? json_array_get(v, i) : v;
        if (!json_is_integer(id) || json_integer_value(id) < 0 ||
            json_integer_value(id) >= c->n_vocab || n > EOS_MAX)
            return err_set(r->e, ERR_INPUT,
                           "%s: eos_token_id: expected at most %d ids below vocab_size %d, found "
                           "%s",
                           r->where, EOS_MAX, c->n_vocab, show(v, shown));
        c->eos[c->n_eos++] = (int32_t)json_integer_value(id);
    }
    return 0;
}

int config_parse(struct config *c, const char *text, size_t n, const char *where, err *e)
{
    struct reader r = {.where = where, .e = e};
    *c = (struct config){0};
    if (load_json(&r.doc, text, n, where, e)) return -1;
    const struct architecture *a = NULL;
    int rc = -1;
    c->has_quantization = json_is_object(json_object_get(r.doc, "quantization_config"));
    if (!read_architecture(&r, c, &a) && !check_refused(&r, a) && !read_quantization(&r, c) &&
        !read_shape(&r, c) && !read_windows(&r, a, c) &&
        (!a->n_expert || !(a->stacked ? read_stacked_experts : read_experts)(&r, c)) &&
        !read_rope(&r, c) && !read_eos(&r, c))
        rc = 0;
    json_decref(r.doc);
    return rc;
}

// generation_config.json knows better than config.json where a chat model stops.
static int load_generation(struct config *c, const char *path, err *e)
{
    struct reader r = {.where = path, .e = e};
    size_t n;
    if (!file_exists(path)) return 0;
    char *text = file_read(path, CONFIG_BYTES_MAX, &n, e);
    if (!text) return -1;
    int rc = load_json(&r.doc, text, n, path, e);
    if (!rc) rc = read_eos(&r, c);
    if (r.doc) json_decref(r.doc);
    free(text);
    return rc;
}

int config_parse_modelopt(struct config *c, const char *text, size_t n, const char *where, err *e)
{
    struct reader r = {.where = where, .e = e};
    char shown[64];
    if (load_json(&r.doc, text, n, where, e)) return -1;
    json_t *q = json_object_get(r.doc, "quantization");
    int rc = json_is_object(q)
                 ? read_modelopt(&r, c, "quantization", q)
                 : err_set(e, ERR_INPUT, "%s: quantization: expected an object, found %s", where,
                           show(q, shown));
    json_decref(r.doc);
    return rc;
}

static int load_modelopt(struct config *c, const char *path, err *e)
{
    size_t n;
    if (c->has_quantization || !file_exists(path)) return 0;
    char *text = file_read(path, CONFIG_BYTES_MAX, &n, e);
    int rc = text ? config_parse_modelopt(c, text, n, path, e) : -1;
    free(text);
    return rc;
}

int config_load(struct config *c, const char *dir, err *e)
{
    size_t n;
    char *path = path_join(dir, "config.json"), *more = path_join(dir, "generation_config.json");
    char *modelopt = path_join(dir, "hf_quant_config.json");
    char *text = file_read(path, CONFIG_BYTES_MAX, &n, e);
    int rc = !text || config_parse(c, text, n, path, e) || load_generation(c, more, e) ||
                     load_modelopt(c, modelopt, e)
                 ? -1
                 : 0;
    free(text);
    free(path);
    free(more);
    free(modelopt);
    return rc;
}
