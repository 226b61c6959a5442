#include "tiny_model.h"

#include "test.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "engine/session.h"
#include "kernels/number.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIM = 8, N_HEAD = 4, N_KV_HEAD = 2, HEAD_DIM = 6, FFN = 10, N_LAYER = 2, N_VOCAB = 300 };
enum { N_EXPERT = 5, N_EXPERT_USED = 2, EXPERT_FFN = 6 };

char *tiny_dir_new(const char *name)
{
    static int number;
    // A test may run on a machine that did not build it.
    const char *base = access(HEARTH_BINARY_DIR, W_OK) ? "/tmp" : HEARTH_BINARY_DIR;
    char *dir = mem_printf("%s/%s.%ld.%d", base, name, (long)getpid(), number++);
    assert_int_equal(mkdir(dir, 0700), 0);
    return dir;
}

void tiny_dir_remove(char *dir)
{
    DIR *d = opendir(dir);
    for (struct dirent *f; d && (f = readdir(d));) {
        char *path = path_join(dir, f->d_name);
        unlink(path);
        free(path);
    }
    if (d) closedir(d);
    rmdir(dir);
    free(dir);
}

void tiny_write_file(const char *dir, const char *name, const void *bytes, size_t n)
{
    err e = {0};
    char *path = path_join(dir, name);
    if (file_replace(path, bytes, n, &e)) fail_msg("%s", e.msg);
    free(path);
}

void tiny_write_json(const char *dir, const char *name, const json_t *doc)
{
    char *text = json_dumps(doc, JSON_COMPACT | JSON_ENCODE_ANY);
    tiny_write_file(dir, name, text, strlen(text));
    free(text);
}

json_t *tiny_tokenizer(int n_token)
{
    json_t *vocab = json_object();
    uint32_t next = 0x100;
    for (int b = 0; b < 256; b++) {
        char name[8] = {0};
        bool printable = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b != 0xad);
        utf8_put(printable ? (uint32_t)b : next++, name);
        json_object_set_new(vocab, name, json_integer(b));
    }
    json_object_set_new(vocab, "th", json_integer(256));
    json_object_set_new(vocab, "the", json_integer(257));
    for (int id = 259; id < n_token; id++) {
        char name[32];
        snprintf(name, sizeof name, "unreachable%d", id);
        json_object_set_new(vocab, name, json_integer(id));
    }
    return json_pack("{s:[{s:i, s:s, s:b}], s:n, s:{s:s, s:b, s:b}, s:{s:s, s:o, s:[s, s]}}",
                     "added_tokens", "id", 258, "content", "<|end|>", "special", 1, "normalizer",
                     "pre_tokenizer", "type", "ByteLevel", "add_prefix_space", 0, "use_regex", 1,
                     "model", "type", "BPE", "vocab", vocab, "merges", "t h", "th e");
}

void tiny_add(struct tiny *t, const char *name, const char *type, json_t *shape, const void *bytes,
              size_t n)
{
    t->data = mem_grow(t->data, t->n_data + n);
    memcpy(t->data + t->n_data, bytes, n);
    json_object_set_new(t->header, name,
                        json_pack("{s:s, s:o, s:[i, i]}", "dtype", type, "shape", shape,
                                  "data_offsets", (int)t->n_data, (int)(t->n_data + n)));
    t->n_data += n;
}

// Appends n values to the data in `type` and describes them in the header.
static void add_tensor(struct tiny *t, const char *name, const char *type, json_t *shape,
                       const float *values, size_t n)
{
    size_t type_bytes = !strcmp(type, "F32") ? 4 : !strcmp(type, "F8_E4M3") ? 1 : 2;
    t->data = mem_grow(t->data, t->n_data + n * type_bytes);
    for (size_t i = 0; i < n; i++) {
        unsigned char *to = t->data + t->n_data + i * type_bytes;
        uint16_t bf16 = f32_to_bf16(values[i]);
        if (type_bytes == 4)
            memcpy(to, &values[i], 4);
        else if (type_bytes == 1)
            *to = f32_to_e4m3(values[i]);
        else if (!strcmp(type, "BF16"))
            memcpy(to, &bf16, 2);
        else {
            // The values are small multiples of 1/64: exact in f16, whose bits follow from bf16's.
            uint16_t f16 = 0;
            int exponent = (bf16 >> 7 & 255) - 127 + 15;
            if (exponent > 0)
                f16 = (uint16_t)((bf16 & 0x8000) | exponent << 10 | (bf16 & 127) << 3);
            memcpy(to, &f16, 2);
        }
    }
    json_object_set_new(t->header, name,
                        json_pack("{s:s, s:o, s:[i, i]}", "dtype", type, "shape", shape,
                                  "data_offsets", (int)t->n_data,
                                  (int)(t->n_data + n * type_bytes)));
    t->n_data += n * type_bytes;
}

static void add_random(struct tiny *t, rng *r, const char *name, const char *type, int n_row,
                       int n_col)
{
    size_t n = (size_t)n_row * (size_t)(n_col ? n_col : 1);
    float *values = mem_new(n * sizeof *values);
    // Multiples of 1/64 below 1/4 (norms: around 1) are exact in every type.
    for (size_t i = 0; i < n; i++)
        values[i] = (float)((double)rng_below(r, 15) - 7) / 64 + (n_col ? 0 : 1);
    json_t *shape = n_col ? json_pack("[i, i]", n_row, n_col) : json_pack("[i]", n_row);
    add_tensor(t, name, n_col ? type : "BF16", shape, values, n);
    if (n_col && !strcmp(type, "F8_E4M3")) {
        char *scale_name = mem_printf("%s_scale", name);
        for (int i = 0; i < n_row; i++) values[i] = 1;
        add_tensor(t, scale_name, "F32", json_pack("[i, i]", n_row, 1), values, (size_t)n_row);
        free(scale_name);
    }
    free(values);
}

static void add_experts(struct tiny *t, rng *r, int layer, const char *type)
{
    static const struct {
        const char *name;
        int n_row, n_col;
    } of_each[] = {{"gate_proj", EXPERT_FFN, DIM},
                   {"up_proj", EXPERT_FFN, DIM},
                   {"down_proj", DIM, EXPERT_FFN}};
    char *router = mem_printf("model.layers.%d.mlp.gate.weight", layer);
    add_random(t, r, router, "BF16", N_EXPERT, DIM);
    free(router);
    for (int k = 0; k < N_EXPERT; k++)
        for (int i = 0; i < 3; i++) {
            char *name =
                mem_printf("model.layers.%d.mlp.experts.%d.%s.weight", layer, k, of_each[i].name);
            add_random(t, r, name, type, of_each[i].n_row, of_each[i].n_col);
            free(name);
        }
    json_object_update_new(t->config,
                           json_pack("{s:i, s:i, s:i, s:b}", "num_experts", N_EXPERT,
                                     "num_experts_per_tok", N_EXPERT_USED, "moe_intermediate_size",
                                     EXPERT_FFN, "norm_topk_prob", layer >= 0));
}

struct tiny tiny_make(const char *architecture, const char *type, uint64_t seed)
{
    static const struct {
        const char *name;
        int n_row, n_col;
        const char *only; // architectures, or NULL
    } tensors[] = {
        {"input_layernorm.weight", DIM, 0, NULL},
        {"self_attn.q_proj.weight", N_HEAD * HEAD_DIM, DIM, NULL},
        {"self_attn.k_proj.weight", N_KV_HEAD * HEAD_DIM, DIM, NULL},
        {"self_attn.v_proj.weight", N_KV_HEAD * HEAD_DIM, DIM, NULL},
        {"self_attn.q_proj.bias", N_HEAD * HEAD_DIM, 0, "Qwen2ForCausalLM"},
        {"self_attn.k_proj.bias", N_KV_HEAD * HEAD_DIM, 0, "Qwen2ForCausalLM"},
        {"self_attn.v_proj.bias", N_KV_HEAD * HEAD_DIM, 0, "Qwen2ForCausalLM"},
        {"self_attn.q_norm.weight", HEAD_DIM, 0, "Qwen3ForCausalLM Qwen3MoeForCausalLM"},
        {"self_attn.k_norm.weight", HEAD_DIM, 0, "Qwen3ForCausalLM Qwen3MoeForCausalLM"},
        {"self_attn.o_proj.weight", DIM, N_HEAD * HEAD_DIM, NULL},
        {"post_attention_layernorm.weight", DIM, 0, NULL},
        {"mlp.gate_proj.weight", FFN, DIM, "Qwen3ForCausalLM Qwen2ForCausalLM LlamaForCausalLM"},
        {"mlp.up_proj.weight", FFN, DIM, "Qwen3ForCausalLM Qwen2ForCausalLM LlamaForCausalLM"},
        {"mlp.down_proj.weight", DIM, FFN, "Qwen3ForCausalLM Qwen2ForCausalLM LlamaForCausalLM"},
    };
    struct tiny t = {.dir = tiny_dir_new("tiny"), .header = json_object()};
    rng r = rng_seed(seed);
    t.config = json_pack("{s:[s], s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:b, s:i}",
                         "architectures", architecture, "hidden_size", DIM, "num_hidden_layers",
                         N_LAYER, "num_attention_heads", N_HEAD, "num_key_value_heads", N_KV_HEAD,
                         "head_dim", HEAD_DIM, "intermediate_size", FFN, "vocab_size", N_VOCAB,
                         "max_position_embeddings", 64, "rms_norm_eps", 1e-6, "rope_theta", 1e4,
                         "tie_word_embeddings", 0, "eos_token_id", 258);
    t.tokenizer = tiny_tokenizer(N_VOCAB);
    add_random(&t, &r, "model.embed_tokens.weight", type, N_VOCAB, DIM);
    add_random(&t, &r, "model.norm.weight", type, DIM, 0);
    add_random(&t, &r, "lm_head.weight", type, N_VOCAB, DIM);
    for (int l = 0; l < N_LAYER; l++) {
        for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
            if (tensors[i].only && !strstr(tensors[i].only, architecture)) continue;
            char *name = mem_printf("model.layers.%d.%s", l, tensors[i].name);
            add_random(&t, &r, name, type, tensors[i].n_row, tensors[i].n_col);
            free(name);
        }
        if (!strcmp(architecture, "Qwen3MoeForCausalLM")) add_experts(&t, &r, l, type);
    }
    return t;
}

void *tiny_data(const struct tiny *t, const char *name)
{
    json_t *range = json_object_get(json_object_get(t->header, name), "data_offsets");
    return range ? t->data + json_integer_value(json_array_get(range, 0)) : NULL;
}

void tiny_write(const struct tiny *t)
{
    char *header = json_dumps(t->header, JSON_COMPACT);
    size_t n = strlen(header);
    unsigned char *file = mem_new(8 + n + t->n_data);
    for (int i = 0; i < 8; i++) file[i] = (unsigned char)((uint64_t)n >> 8 * i);
    memcpy(file + 8, header, n);
    memcpy(file + 8 + n, t->data, t->n_data);
    tiny_write_file(t->dir, "model.safetensors", file, 8 + n + t->n_data);
    tiny_write_json(t->dir, "config.json", t->config);
    tiny_write_json(t->dir, "tokenizer.json", t->tokenizer);
    free(header);
    free(file);
}

void tiny_free(struct tiny *t)
{
    json_decref(t->config);
    json_decref(t->tokenizer);
    json_decref(t->header);
    free(t->data);
    tiny_dir_remove(t->dir);
}

void tiny_refused(const struct tiny *t, const char *why)
{
    err e = {0};
    tiny_write(t);
    struct model *m = model_open(t->dir, &k_ref, 1, &e);
    if (m) fail_msg("taken, expected: %s", why);
    if (!strstr(e.msg, why)) fail_msg("\"%s\" does not say \"%s\"", e.msg, why);
}
