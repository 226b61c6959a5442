// If this fails, a quantised checkpoint is read as other weights than its publisher meant, or a
// damaged one is read at all. Checkpoints are written as ModelOpt, compressed-tensors and the FP8
// block publishers name and shape their tensors, with random codes and the values at the ends: -0,
// blocks of zeros, the largest and the smallest scale, columns that are no multiple of a block.
// Every dequantised weight is compared bit for bit with the format's definition, computed here.
#include "test.h"

#include "base/mem.h"
#include "base/rng.h"
#include "engine/model.h"
#include "kernels/number.h"
#include "tiny_model.h"

#include <math.h>

enum { DIM = 160, N_HEAD = 5, N_KV = 1, HEAD_DIM = 32, FFN = 288, N_VOCAB = 64 };

static const char *const formats[] = {"fp8 tensor", "fp8 channel",  "fp8 block",   "fp8 block bf16",
                                      "modelopt",   "nvfp4-packed", "mxfp4-packed"};
enum {
    FP8_TENSOR,
    FP8_CHANNEL,
    FP8_BLOCK,
    FP8_BLOCK_BF16,
    MODELOPT,
    NVFP4_PACKED,
    MXFP4_PACKED,
    N_FORMAT
};

// A checkpoint in the making.
struct file {
    json_t *header;
    unsigned char *data;
    size_t n;
};

struct made {
    char *dir;
    int format;
    bool tied, sharded, keep_o; // keep_o: o_proj stays bf16
    struct file files[2];
    json_t *map; // weight_map, when sharded
    rng random;
    float *want[7]; // of q, k, v, o, gate, up, down
};

static void put(struct made *m, const char *name, const char *type, json_t *shape,
                const void *bytes, size_t n)
{
    struct file *f = &m->files[m->sharded && strstr(name, "mlp") != NULL];
    f->data = mem_grow(f->data, f->n + n + 1);
    memcpy(f->data + f->n, bytes, n);
    json_object_set_new(f->header, name,
                        json_pack("{s:s, s:o, s:[I, I]}", "dtype", type, "shape", shape,
                                  "data_offsets", (json_int_t)f->n, (json_int_t)(f->n + n)));
    f->n += n;
    json_object_set_new(m->map, name,
                        json_string(f == m->files ? "a.safetensors" : "b.safetensors"));
}

// Random bf16 values; out (may be NULL) gets them as f32.
static void put_bf16(struct made *m, const char *name, size_t n_row, size_t n_col, float *out)
{
    size_t n = n_row * (n_col ? n_col : 1);
    uint16_t *bits = mem_new(n * sizeof *bits);
    for (size_t i = 0; i < n; i++) {
        bits[i] = f32_to_bf16((float)rng_normal(&m->random) * 0.1f);
        if (out) out[i] = bf16_to_f32(bits[i]);
    }
    put(m, name, "BF16",
        n_col ? json_pack("[i, i]", (int)n_row, (int)n_col) : json_pack("[i]", (int)n_row), bits,
        n * sizeof *bits);
    free(bits);
}

// The formats' definitions, from their fields.
static double e4m3(unsigned code)
{
    int e = code >> 3 & 15, f = code & 7;
    double x = e ? ldexp(8 + f, e - 10) : ldexp(f, -9);
    return code & 128 ? -x : x;
}

static double e2m1(unsigned code)
{
    int e = code >> 1 & 3, f = code & 1;
    double x = e ? ldexp(2 + f, e - 2) : 0.5 * f;
    return code & 8 ? -x : x;
}

static float *random_scales(struct made *m, size_t n)
{
    float *s = mem_new(n * sizeof *s);
    for (size_t i = 0; i < n; i++)
        s[i] = (float)ldexp(1 + rng_unit(&m->random), (int)rng_below(&m->random, 12) - 10);
    s[0] = 0;
    return s;
}

static void put_fp8(struct made *m, const char *name, size_t n_row, size_t n_col, float *want)
{
    size_t down = (n_row + 127) / 128, across = (n_col + 127) / 128;
    bool in_blocks = m->format == FP8_BLOCK || m->format == FP8_BLOCK_BF16;
    size_t n_scale = in_blocks ? down * across : m->format == FP8_CHANNEL ? n_row : 1;
    unsigned char *codes = mem_new(n_row * n_col);
    float *scales = random_scales(m, n_scale);
    uint16_t *bits = mem_new(n_scale * sizeof *bits);
    if (n_scale == 1) scales[0] = 0.37f;
    for (size_t i = 0; i < n_scale; i++) {
        bits[i] = f32_to_bf16(scales[i]);
        if (m->format == FP8_BLOCK_BF16) scales[i] = bf16_to_f32(bits[i]);
    }
    for (size_t i = 0; i < n_row * n_col; i++) {
        codes[i] = (unsigned char)rng_u64(&m->random);
        if ((codes[i] & 0x7f) == 0x7f) codes[i] = 0x80; // -0 instead of NaN
        size_t r = i / n_col, c = i % n_col;
        size_t at = in_blocks ? r / 128 * across + c / 128 : m->format == FP8_CHANNEL ? r : 0;
        want[i] = (float)e4m3(codes[i]) * scales[at];
    }
    char *scale_name = mem_printf("%s_scale%s", name, in_blocks ? "_inv" : "");
    put(m, name, "F8_E4M3", json_pack("[i, i]", (int)n_row, (int)n_col), codes, n_row * n_col);
    json_t *shape = in_blocks                  ? json_pack("[i, i]", (int)down, (int)across)
                    : m->format == FP8_CHANNEL ? json_pack("[i, i]", (int)n_row, 1)
                                               : json_array();
    if (m->format == FP8_BLOCK_BF16)
        put(m, scale_name, "BF16", shape, bits, n_scale * sizeof *bits);
    else
        put(m, scale_name, "F32", shape, scales, n_scale * sizeof *scales);
    free(scale_name);
    free(codes);
    free(scales);
    free(bits);
}

static void put_scalar(struct made *m, const char *name, const char *suffix, bool as_list,
                       float value)
{
    char *full = mem_printf("%s%s", name, suffix);
    put(m, full, "F32", as_list ? json_pack("[i]", 1) : json_array(), &value, sizeof value);
    free(full);
}

static void put_fp4(struct made *m, const char *name, size_t n_row, size_t n_col, float *want)
{
    bool is_mx = m->format == MXFP4_PACKED, is_packed = m->format != MODELOPT;
    size_t block = is_mx ? 32 : 16, n_block = n_row * n_col / block;
    unsigned char *codes = mem_new(n_row * n_col / 2), *scales = mem_new(n_block);
    float global = is_packed ? 3.7f : 0.0123f, factor = is_mx ? 1 : is_packed ? 1 / global : global;
    for (size_t i = 0; i < n_row * n_col / 2; i++) codes[i] = (unsigned char)rng_u64(&m->random);
    memset(codes, 0, block / 2);                // a block of zeros
    memset(codes + block / 2, 0x88, block / 2); // and of -0
    for (size_t i = 0; i < n_block; i++)
        scales[i] =
            (unsigned char)(is_mx ? 60 + rng_below(&m->random, 130) : rng_below(&m->random, 0x7f));
    scales[2] = is_mx ? 0 : 0x01;    // 2^-127, 2^-9
    scales[3] = is_mx ? 0xfe : 0x7e; // 2^127, 448
    for (size_t i = 0; i < n_row * n_col; i++) {
        double s = is_mx ? ldexp(1, scales[i / block] - 127) : e4m3(scales[i / block]);
        want[i] = (float)(e2m1(codes[i / 2] >> (i % 2 * 4) & 15) * s) * factor;
    }
    char *data_name = mem_printf("%s%s", name, is_packed ? "_packed" : "");
    char *scale_name = mem_printf("%s_scale", name);
    put(m, data_name, "U8", json_pack("[i, i]", (int)n_row, (int)n_col / 2), codes,
        n_row * n_col / 2);
    put(m, scale_name, is_mx ? "U8" : "F8_E4M3",
        json_pack("[i, i]", (int)n_row, (int)(n_col / block)), scales, n_block);
    if (!is_mx) put_scalar(m, name, is_packed ? "_global_scale" : "_scale_2", is_packed, global);
    char *stem = mem_printf("%.*s", (int)(strlen(name) - strlen("weight")), name);
    if (!is_mx) put_scalar(m, stem, is_packed ? "input_global_scale" : "input_scale", is_packed, 1);
    free(stem);
    free(data_name);
    free(scale_name);
    free(codes);
    free(scales);
}

static const struct {
    const char *name;
    size_t n_row, n_col, at;
} matrices[7] = {
    {"model.layers.0.self_attn.q_proj.weight", N_HEAD *HEAD_DIM, DIM, offsetof(struct layer, q)},
    {"model.layers.0.self_attn.k_proj.weight", N_KV *HEAD_DIM, DIM, offsetof(struct layer, k)},
    {"model.layers.0.self_attn.v_proj.weight", N_KV *HEAD_DIM, DIM, offsetof(struct layer, v)},
    {"model.layers.0.self_attn.o_proj.weight", DIM, N_HEAD *HEAD_DIM, offsetof(struct layer, o)},
    {"model.layers.0.mlp.gate_proj.weight", FFN, DIM, offsetof(struct layer, gate)},
    {"model.layers.0.mlp.up_proj.weight", FFN, DIM, offsetof(struct layer, up)},
    {"model.layers.0.mlp.down_proj.weight", DIM, FFN, offsetof(struct layer, down)},
};

// The texts of a quantization_config and a hf_quant_config.json, or NULL.
static void write_config(struct made *m, const char *quantization, const char *modelopt)
{
    json_t *c = json_pack("{s:[s], s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:b}", "architectures",
                          "LlamaForCausalLM", "num_hidden_layers", 1, "hidden_size", DIM,
                          "num_attention_heads", N_HEAD, "num_key_value_heads", N_KV, "head_dim",
                          HEAD_DIM, "intermediate_size", FFN, "vocab_size", N_VOCAB,
                          "max_position_embeddings", 64, "tie_word_embeddings", m->tied);
    if (quantization) {
        json_t *q = json_loads(quantization, 0, NULL);
        assert_non_null(q);
        json_object_set_new(c, "quantization_config", q);
    }
    tiny_write_json(m->dir, "config.json", c);
    json_decref(c);
    if (modelopt) tiny_write_file(m->dir, "hf_quant_config.json", modelopt, strlen(modelopt));
}

static void write_file(const struct made *m, const struct file *f, const char *name)
{
    char *text = json_dumps(f->header, JSON_COMPACT);
    size_t n = strlen(text);
    unsigned char *all = mem_new(8 + n + f->n);
    for (int i = 0; i < 8; i++) all[i] = (unsigned char)((uint64_t)n >> 8 * i);
    memcpy(all + 8, text, n);
    memcpy(all + 8 + n, f->data, f->n);
    tiny_write_file(m->dir, name, all, 8 + n + f->n);
    free(all);
    free(text);
}

static void write_all(struct made *m)
{
    write_config(m, NULL, NULL);
    if (!m->sharded) {
        write_file(m, &m->files[0], "model.safetensors");
        return;
    }
    json_t *index = json_pack("{s:O}", "weight_map", m->map);
    write_file(m, &m->files[0], "a.safetensors");
    write_file(m, &m->files[1], "b.safetensors");
    tiny_write_json(m->dir, "model.safetensors.index.json", index);
    json_decref(index);
}

static void make(struct made *m)
{
    m->dir = tiny_dir_new("formats");
    m->random = rng_seed((uint64_t)m->format + 1);
    m->map = json_object();
    m->files[0].header = json_object();
    m->files[1].header = json_object();
    put_bf16(m, "model.embed_tokens.weight", N_VOCAB, DIM, NULL);
    put_bf16(m, "model.norm.weight", DIM, 0, NULL);
    if (!m->tied) put_bf16(m, "lm_head.weight", N_VOCAB, DIM, NULL);
    put_bf16(m, "model.layers.0.input_layernorm.weight", DIM, 0, NULL);
    put_bf16(m, "model.layers.0.post_attention_layernorm.weight", DIM, 0, NULL);
    for (int i = 0; i < 7; i++) {
        size_t n_row = matrices[i].n_row, n_col = matrices[i].n_col;
        m->want[i] = mem_new(n_row * n_col * sizeof(float));
        if (i == 3 && m->keep_o)
            put_bf16(m, matrices[i].name, n_row, n_col, m->want[i]);
        else
            (m->format >= MODELOPT ? put_fp4 : put_fp8)(m, matrices[i].name, n_row, n_col,
                                                        m->want[i]);
    }
}

static void unmake(struct made *m)
{
    tiny_dir_remove(m->dir);
    json_decref(m->map);
    for (int i = 0; i < 2; i++) {
        json_decref(m->files[i].header);
        free(m->files[i].data);
    }
    for (int i = 0; i < 7; i++) free(m->want[i]);
}

// Every weight of a matrix, as the backend's `embed` takes rows.
static void check_matrix(const struct model *model, const struct k_matrix *w, const float *want,
                         const char *what)
{
    int32_t rows[FFN], *there = model->ops->alloc(model->device, sizeof rows);
    size_t n = (size_t)w->n_row * (size_t)w->n_col;
    float *got = mem_new(n * sizeof *got), *out = model->ops->alloc(model->device, n * sizeof *out);
    for (int i = 0; i < w->n_row; i++) rows[i] = i;
    model->ops->upload(model->device, there, rows, sizeof rows);
    model->ops->embed(model->device, out, w, there, w->n_row);
    model->ops->download(model->device, got, out, n * sizeof *got);
    for (size_t i = 0; i < n; i++)
        if (f32_bits(got[i]) != f32_bits(want[i]))
            fail_msg("%s: element %zu is %a, expected %a", what, i, (double)got[i],
                     (double)want[i]);
    model->ops->release(model->device, there);
    model->ops->release(model->device, out);
    free(got);
}

static void check_model(const struct made *m, const struct k_ops *ops)
{
    err e = {0};
    struct model *model = model_open(m->dir, ops, 1, &e);
    if (!model) fail_msg("%s on %s: %s", formats[m->format], ops->name, e.msg);
    for (int i = 0; i < 7; i++) {
        char what[160];
        const struct k_matrix *w = (void *)((char *)model->layers + matrices[i].at);
        snprintf(what, sizeof what, "%s on %s: %s", formats[m->format], ops->name,
                 matrices[i].name);
        check_matrix(model, w, m->want[i], what);
    }
    assert_true(m->tied == (model->head.data == model->embedding.data));
    model_close(model);
}

static void test_values(void **state)
{
    (void)state;
    for (int format = 0; format < N_FORMAT; format++)
        for (int kind = 0; kind < 4; kind++) {
            struct made m = {
                .format = format, .tied = kind & 1, .sharded = kind & 2, .keep_o = kind == 1};
            make(&m);
            write_all(&m);
            check_model(&m, &k_ref);
            check_model(&m, &k_cpu);
#ifdef HEARTH_CUDA
            if (k_ops_find(NULL) == &k_cuda) check_model(&m, &k_cuda);
#endif
            unmake(&m);
        }
}

// One change to a good checkpoint, and what the refusal must name.
struct wrong {
    const char *what;
    int format;
    const char *tensor; // whose description changes: taken away when `shape` and `byte` are not set
    const char *shape;
    int byte; // of its data, set to this value; -1: not
    const char *says;
};

#define UP "model.layers.0.mlp.up_proj."

static const struct wrong wrongs[] = {
    {"no scales", MODELOPT, UP "weight_scale", NULL, -1, "there is no " UP "weight_scale"},
    {"no factor", MODELOPT, UP "weight_scale_2", NULL, -1, UP "weight_scale_2 is missing"},
    {"no divisor", NVFP4_PACKED, UP "weight_global_scale", NULL, -1,
     UP "weight_global_scale is missing"},
    {"a NaN scale", MODELOPT, UP "weight_scale", NULL, 0x7f, "NaN"},
    {"a negative scale", NVFP4_PACKED, UP "weight_scale", NULL, 0x90, "negative"},
    {"a NaN power", MXFP4_PACKED, UP "weight_scale", NULL, 0xff, "NaN"},
    {"another shape", MODELOPT, UP "weight", "[160, 144]", -1, "expected shape [288, 80]"},
    {"scales of another shape", MXFP4_PACKED, UP "weight_scale", "[144, 10]", -1,
     "expected shape [288, 5]"},
    {"blocks of another shape", FP8_BLOCK, UP "weight_scale_inv", "[2, 3]", -1,
     "or [3, 2], found [2, 3]"},
    {"no block scales", FP8_BLOCK, UP "weight_scale_inv", NULL, -1,
     "there is no " UP "weight_scale"},
};

// Takes a tensor's name away: its bytes go to one that is allowed to be there.
static void rename_tensor(struct made *m, const char *name)
{
    json_t *meta = json_incref(json_object_get(m->files[0].header, name));
    assert_non_null(meta);
    json_object_del(m->files[0].header, name);
    json_object_set_new(m->files[0].header, "model.layers.0.mlp.up_proj.k_scale", meta);
}

static void test_wrong_checkpoints(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        const struct wrong *w = &wrongs[i];
        err e = {0};
        struct made m = {.format = w->format};
        make(&m);
        json_t *meta = json_object_get(m.files[0].header, w->tensor);
        json_int_t begin =
            json_integer_value(json_array_get(json_object_get(meta, "data_offsets"), 0));
        if (w->shape)
            json_object_set_new(meta, "shape", json_loads(w->shape, JSON_DECODE_ANY, NULL));
        if (w->byte >= 0) m.files[0].data[begin + 3] = (unsigned char)w->byte;
        if (!w->shape && w->byte < 0) rename_tensor(&m, w->tensor);
        write_all(&m);
        struct model *model = model_open(m.dir, &k_ref, 1, &e);
        if (model) fail_msg("%s: accepted", w->what);
        if (!strstr(e.msg, w->says))
            fail_msg("%s: expected \"%s\" in: %s", w->what, w->says, e.msg);
        assert_int_equal(e.code, ERR_INPUT);
        unmake(&m);
    }
}

// Which matrices may meet activations that are rounded like them. Where weights alone are quantised
// none may: rounding would lose what the publisher kept.
#define GROUP(weights, x)                                                                          \
    "{\"quant_method\": \"compressed-tensors\", \"config_groups\": {\"group_0\": "                 \
    "{\"weights\": " weights ", \"input_activations\": " x "}}}"
#define NV4                                                                                        \
    "{\"num_bits\": 4, \"type\": \"float\", \"strategy\": \"tensor_group\", \"group_size\": 16}"
#define MX4                                                                                        \
    "{\"num_bits\": 4, \"type\": \"float\", "                                                      \
    "\"strategy\": \"group\", \"group_size\": 32}"
#define FP8         "{\"num_bits\": 8, \"type\": \"float\", \"strategy\": \"channel\"}"
#define ALGO(name)  "{\"quant_method\": \"modelopt\", \"quant_algo\": \"" name "\"}"
#define FILED(name) "{\"quantization\": {\"quant_algo\": \"" name "\"}}"

enum { NONE, EACH, ALL_BUT_UP };

static const struct {
    int format;
    const char *quantization, *modelopt;
    int short_x;
} meant[] = {
    {MODELOPT, NULL, NULL, NONE},
    {MODELOPT, ALGO("NVFP4"), NULL, EACH},
    {MODELOPT, ALGO("W4A16_NVFP4"), NULL, NONE},
    {MODELOPT, NULL, FILED("NVFP4"), EACH},
    {MODELOPT, NULL, FILED("W4A16_NVFP4"), NONE},
    {MODELOPT, ALGO("W4A16_NVFP4"), FILED("NVFP4"), NONE}, // config.json says it
    {MODELOPT,
     "{\"quant_method\": \"modelopt\", \"config_groups\": {\"group_0\": {\"weights\": "
     "{\"num_bits\": 4, "
     "\"type\": \"float\", \"group_size\": 16}, \"input_activations\": {\"num_bits\": 4, \"type\": "
     "\"float\", \"group_size\": 16}}}}",
     NULL, EACH},
    {MODELOPT,
     "{\"quant_method\": \"modelopt\", \"quant_algo\": \"MIXED_PRECISION\", \"config_groups\": "
     "{\"a\": "
     "{\"quant_algo\": \"W4A16_NVFP4\", \"targets\": []}}, \"quantized_layers\": {\"x\": "
     "{\"quant_algo\": \"W4A16_NVFP4\"}}}",
     NULL, NONE},
    {MODELOPT,
     "{\"quant_method\": \"modelopt\", \"quant_algo\": \"MIXED_PRECISION\", \"quantized_layers\": "
     "{\"x\": {\"quant_algo\": \"NVFP4\"}, \"y\": {\"quant_algo\": \"W4A16_NVFP4\"}}}",
     NULL, ALL_BUT_UP},
    {MODELOPT, NULL,
     "{\"quantization\": {\"quant_algo\": \"MIXED_PRECISION\", \"quantized_layers\": {\"x\": "
     "{\"quant_algo\": \"NVFP4\"}}}}",
     ALL_BUT_UP},
    {NVFP4_PACKED, GROUP(NV4, NV4), NULL, EACH},
    {NVFP4_PACKED, GROUP(NV4, NV4), NULL, ALL_BUT_UP},
    {NVFP4_PACKED, GROUP(NV4, FP8), NULL, NONE},
    {NVFP4_PACKED, GROUP(NV4, "null"), NULL, NONE},
    {NVFP4_PACKED, GROUP(FP8, FP8), NULL, NONE},
    {MXFP4_PACKED, GROUP(MX4, MX4), NULL, NONE},
    {FP8_CHANNEL, GROUP(FP8, FP8), NULL, EACH},
    {FP8_CHANNEL, GROUP(FP8, "null"), NULL, NONE},
    {FP8_CHANNEL, NULL, FILED("FP8"), EACH},
    {FP8_BLOCK, "{\"quant_method\": \"fp8\", \"activation_scheme\": \"dynamic\"}", NULL, EACH},
    {FP8_BLOCK, "{\"quant_method\": \"fp8\"}", NULL, NONE},
};

static void test_short_activations(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof meant / sizeof *meant; i++) {
        err e = {0};
        struct made m = {.format = meant[i].format};
        make(&m);
        if (meant[i].short_x == ALL_BUT_UP) // which has no scale for its activations
            rename_tensor(&m, m.format == MODELOPT ? UP "input_scale" : UP "input_global_scale");
        write_all(&m);
        write_config(&m, meant[i].quantization, meant[i].modelopt);
        struct model *model = model_open(m.dir, &k_ref, 1, &e);
        if (!model) fail_msg("case %zu: %s", i, e.msg);
        for (int k = 0; k < 7; k++) {
            const struct k_matrix *w = (void *)((char *)model->layers + matrices[k].at);
            bool want = meant[i].short_x && (k != 5 || meant[i].short_x == EACH);
            if (w->short_x != want) fail_msg("case %zu: %s: %d", i, matrices[k].name, w->short_x);
        }
        assert_false(model->embedding.short_x || model->head.short_x);
        model_close(model);
        unmake(&m);
    }
}

static void test_wrong_configs(void **state)
{
    static const struct {
        const char *quantization, *modelopt, *says;
    } cases[] = {
        {ALGO("NVFP4_SVD"), NULL, "config.json: quantization_config: quant_algo: expected"},
        {NULL, FILED("NVFP4_SVD"),
         "hf_quant_config.json: quantization: quant_algo: expected \"FP8\""},
        {NULL, "{\"quantization\": {\"quantized_layers\": {\"a.b\": {\"quant_algo\": 4}}}}",
         "quantization: quantized_layers: a.b: quant_algo: expected"},
        {NULL, "{}", "hf_quant_config.json: quantization: expected an object, found nothing"},
        {NULL, "[]", "hf_quant_config.json: expected a JSON object"},
        {"{\"quant_method\": \"modelopt\", \"config_groups\": {\"a\": {\"quant_algo\": \"W4A8\"}}}",
         NULL, "config_groups: quant_algo: expected"},
        {"{\"quant_method\": \"modelopt\", \"config_groups\": {\"a\": {\"weights\": {\"num_bits\": "
         "8, "
         "\"type\": \"float\", \"group_size\": 32}}}}",
         NULL, "config_groups: a: weights: expected"},
        {GROUP("{\"num_bits\": 4, \"type\": \"float\", \"group_size\": 16}", "null"), NULL,
         "config_groups: group_0: weights: expected"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err e = {0};
        struct made m = {.format = MODELOPT};
        make(&m);
        write_all(&m);
        write_config(&m, cases[i].quantization, cases[i].modelopt);
        struct model *model = model_open(m.dir, &k_ref, 1, &e);
        if (model) fail_msg("case %zu: accepted", i);
        if (!strstr(e.msg, cases[i].says))
            fail_msg("case %zu: expected \"%s\" in: %s", i, cases[i].says, e.msg);
        assert_int_equal(e.code, ERR_INPUT);
        unmake(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short_activations),
        cmocka_unit_test(test_wrong_configs),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_wrong_checkpoints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
