// If this fails, a model directory that is damaged, hostile or not supported is run instead of
// refused, or refused without naming what is wrong; or one of the forms a good one may have (types,
// scales, shards, biases) is read as other weights.
#include "test.h"

#include "base/file.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "tiny_model.h"

#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const architectures[] = {"Qwen3ForCausalLM", "Qwen2ForCausalLM",
                                            "LlamaForCausalLM"};
static const char *const types[] = {"F32", "F16", "BF16", "F8_E4M3"};
static const int32_t prompt[] = {7, 256, 100, 299, 3, 3, 64, 80, 12, 33};
enum { N_PROMPT = sizeof prompt / sizeof *prompt, N_VOCAB = 300 };

// Good directories

static void run(const struct tiny *t, const char *backend, float *logits)
{
    err e = {0};
    struct engine_options o = {.model_dir = t->dir, .backend = backend, .n_thread = 2};
    engine *en = engine_open(&o, &e);
    if (!en) fail_msg("%s", e.msg);
    session *s = session_new(en, &e);
    assert_non_null(s);
    if (session_sync(s, prompt, N_PROMPT, NULL, NULL, &e)) fail_msg("%s", e.msg);
    memcpy(logits, session_logits(s), N_VOCAB * sizeof *logits);
    session_free(s);
    engine_close(en);
}

static void check_same(const float *a, const float *b, double limit)
{
    for (int i = 0; i < N_VOCAB; i++) {
        double differ = fabs((double)a[i] - (double)b[i]);
        if (!(differ <= limit))
            fail_msg("logit %d differs by %g", i, differ); // so that NaN fails too
    }
}

// The values are exact in every type, so every type must give the same logits on every backend.
static void test_types_and_architectures_agree(void **state)
{
    (void)state;
    float want[N_VOCAB], got[N_VOCAB], first[N_VOCAB];
    for (size_t a = 0; a < sizeof architectures / sizeof *architectures; a++) {
        for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
            struct tiny t = tiny_make(architectures[a], types[i], 1);
            tiny_write(&t);
            run(&t, "ref", i ? got : want);
            if (i) check_same(got, want, 1e-6);
            run(&t, "cpu", got);
            check_same(got, want, 1e-5);
            tiny_free(&t);
        }
        if (a == 0) memcpy(first, want, sizeof first);
    }
    // The architectures are not the same network.
    int apart = 0;
    for (int i = 0; i < N_VOCAB; i++) apart += fabs((double)(first[i] - want[i])) > 1e-3;
    assert_true(apart > 0);
}

// A power of two moved from the codes to the scale, in each of the four shapes, changes nothing.
static void test_scales(void **state)
{
    (void)state;
    static const char name[] = "model.layers.1.mlp.down_proj.weight";
    static const char scale_name[] = "model.layers.1.mlp.down_proj.weight_scale";
    static const char *const shapes[] = {"[8, 1]", "[8]", "[1]", "[]"};
    float want[N_VOCAB], got[N_VOCAB];
    struct tiny plain = tiny_make("Qwen3ForCausalLM", "F8_E4M3", 3);
    tiny_write(&plain);
    run(&plain, "cpu", want);
    for (int i = 0; i < 4; i++) {
        struct tiny t = tiny_make("Qwen3ForCausalLM", "F8_E4M3", 3);
        unsigned char *codes = tiny_data(&t, name);
        float *scale = tiny_data(&t, scale_name);
        for (int k = 0; k < 80; k++) // two exponents up: times 4
            if (codes[k] & 0x7f) codes[k] = (unsigned char)(codes[k] + 16);
        for (int k = 0; k < 8; k++) scale[k] = 0.25f;
        json_t *meta = json_object_get(t.header, scale_name);
        json_object_set_new(meta, "shape", json_loads(shapes[i], JSON_DECODE_ANY, NULL));
        if (i >= 2) { // one scale: the seven others become a tensor that is allowed to be there
            json_t *range = json_object_get(meta, "data_offsets");
            json_int_t begin = json_integer_value(json_array_get(range, 0));
            json_object_set_new(t.header, "model.layers.1.mlp.down_proj.input_scale",
                                json_pack("{s:s, s:[i], s:[I, I]}", "dtype", "F32", "shape", 7,
                                          "data_offsets", begin + 4, begin + 32));
            json_array_set_new(range, 1, json_integer(begin + 4));
        }
        tiny_write(&t);
        run(&t, "cpu", got);
        check_same(got, want, 1e-6);
        tiny_free(&t);
    }
    tiny_free(&plain);
}

// Two shards under an index are the same model; the digest names the files' headers, so it differs.
static void test_shards(void **state)
{
    (void)state;
    float want[N_VOCAB], got[N_VOCAB];
    struct tiny t = tiny_make("LlamaForCausalLM", "BF16", 5);
    tiny_write(&t);
    run(&t, "cpu", want);

    // The second shard holds all but the embedding, which comes first in the data.
    json_t *map = json_object(), *embedding = json_object(), *meta, *range;
    const char *name;
    json_int_t cut = N_VOCAB * 8 * 2;
    unsigned char *all = t.data;
    size_t n_all = t.n_data;
    json_object_set(embedding, "model.embed_tokens.weight",
                    json_object_get(t.header, "model.embed_tokens.weight"));
    json_object_del(t.header, "model.embed_tokens.weight");
    json_object_foreach(t.header, name, meta)
    {
        range = json_object_get(meta, "data_offsets");
        for (size_t i = 0; i < 2; i++)
            json_array_set_new(range, i,
                               json_integer(json_integer_value(json_array_get(range, i)) - cut));
        json_object_set_new(map, name, json_string("b.safetensors"));
    }
    json_object_set_new(map, "model.embed_tokens.weight", json_string("a.safetensors"));

    char *from = path_join(t.dir, "model.safetensors"), *to = path_join(t.dir, "b.safetensors");
    char *to_a = path_join(t.dir, "a.safetensors");
    json_t *rest = t.header;
    t.data = all + cut;
    t.n_data = n_all - (size_t)cut;
    tiny_write(&t);
    assert_int_equal(rename(from, to), 0);
    t.header = embedding;
    t.data = all;
    t.n_data = (size_t)cut;
    tiny_write(&t);
    assert_int_equal(rename(from, to_a), 0);
    json_t *index = json_pack("{s:O}", "weight_map", map);
    tiny_write_json(t.dir, "model.safetensors.index.json", index);
    run(&t, "cpu", got);
    check_same(got, want, 0);

    // The index must tell the truth, and only about files beside it.
    static const struct {
        const char *file, *message;
    } lies[] = {{"a.safetensors", "is not in a.safetensors"},
                {"../b.safetensors", "without a folder"},
                {"c.safetensors", "No such file"}};
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        err e = {0};
        struct engine_options o = {.model_dir = t.dir};
        json_object_set_new(map, "model.norm.weight", json_string(lies[i].file));
        tiny_write_json(t.dir, "model.safetensors.index.json", index);
        assert_null(engine_open(&o, &e));
        if (!strstr(e.msg, lies[i].message)) fail_msg("unexpected message: %s", e.msg);
    }
    json_decref(index);
    json_decref(map);
    json_decref(rest);
    free(from);
    free(to);
    free(to_a);
    tiny_free(&t);
}

// Bad directories: one thing is changed, and the message must name it.

static void expect_refusal(const struct tiny *t, const char *what, const char *message)
{
    err e = {0};
    struct engine_options o = {.model_dir = t->dir};
    engine *en = engine_open(&o, &e);
    if (en) fail_msg("%s was accepted", what);
    assert_int_equal(e.code, ERR_INPUT);
    if (!strstr(e.msg, message)) fail_msg("%s: expected \"%s\" in: %s", what, message, e.msg);
    if (strchr(e.msg, '\n')) fail_msg("%s: more than one line: %s", what, e.msg);
}

// Replaces the value at a path of keys and indices separated by '/'; NULL deletes it.
static void set_at(json_t *doc, const char *path, const char *value)
{
    char key[128];
    const char *slash;
    for (; (slash = strchr(path, '/')); path = slash + 1) {
        snprintf(key, sizeof key, "%.*s", (int)(slash - path), path);
        doc =
            json_is_array(doc) ? json_array_get(doc, (size_t)atoi(key)) : json_object_get(doc, key);
        assert_non_null(doc);
    }
    if (!value) {
        json_object_del(doc, path);
        return;
    }
    json_t *v = json_loads(value, JSON_DECODE_ANY, NULL);
    assert_non_null(v);
    if (json_is_array(doc))
        json_array_set_new(doc, (size_t)atoi(path), v);
    else
        json_object_set_new(doc, path, v);
}

struct edit {
    const char *path, *value, *message;
};

static const struct edit config_edits[] = {
    {"architectures", "[\"MixtralForCausalLM\"]", "architectures: expected"},
    {"architectures", NULL, "architectures: expected"},
    {"hidden_size", "\"8\"", "hidden_size: expected an integer"},
    {"hidden_size", "0", "hidden_size: expected"},
    {"hidden_size", "1000000000000", "hidden_size: expected"},
    {"hidden_size", NULL, "hidden_size: expected"},
    {"num_key_value_heads", "3", "num_key_value_heads"},
    {"head_dim", "5", "head_dim"},
    {"head_dim", "514", "head_dim"},
    {"hidden_act", "\"gelu\"", "hidden_act"},
    {"attention_bias", "true", "attention_bias"},
    {"mlp_bias", "true", "mlp_bias"},
    {"num_experts", "8", "num_experts"},
    {"use_sliding_window", "true", "use_sliding_window"},
    {"layer_types", "[\"full_attention\", \"sliding_attention\"]", "layer_types"},
    {"partial_rotary_factor", "0.5", "partial_rotary_factor"},
    {"rope_scaling", "{\"rope_type\": \"longrope\", \"factor\": 4}", "rope_type"},
    {"rope_scaling", "{\"rope_type\": \"yarn\", \"factor\": 4}", "original_max_position"},
    {"rope_scaling",
     "{\"rope_type\": \"yarn\", \"factor\": 4, \"original_max_position_embeddings\": 64, "
     "\"mscale\": 1.0}",
     "mscale"},
    {"rope_scaling",
     "{\"rope_type\": \"yarn\", \"factor\": 4, \"original_max_position_embeddings\": 64, "
     "\"beta_fast\": 1, \"beta_slow\": 2}",
     "beta_fast"},
    {"rope_scaling", "{\"rope_type\": \"llama3\", \"factor\": 8}", "low_freq_factor"},
    {"rope_theta", "-1", "rope_theta"},
    {"rms_norm_eps", "\"small\"", "rms_norm_eps"},
    {"tie_word_embeddings", "1", "tie_word_embeddings"},
    {"vocab_size", "290", "expected shape [290, 8] by config.json, found [300, 8]"},
    {"eos_token_id", "300", "eos_token_id"},
    {"quantization_config", "{\"quant_method\": \"gptq\"}", "quant_method"},
    {"quantization_config", "{\"quant_method\": \"fp8\", \"weight_block_size\": [64, 128]}",
     "weight_block_size"},
    {"intermediate_size", "12",
     "mlp.gate_proj.weight: expected shape [12, 8] by config.json, found [10, 8]"},
    {"num_hidden_layers", "3", "model.layers.2.input_layernorm.weight [8] is missing"},
    {"num_hidden_layers", "1", "model.layers.1.input_layernorm.weight is not part of"},
};

static const struct edit header_edits[] = {
    {"model.norm.weight", NULL, "leaves a gap"},
    {"model.norm.weight/dtype", "\"F64\"", "model.norm.weight: F64 [8] is 64 bytes"},
    {"model.norm.weight/dtype", "\"Q4\"", "dtype: expected a known type, found Q4"},
    {"model.norm.weight/dtype", "7", "dtype"},
    {"model.norm.weight/dtype", "\"U16\"",
     "model.norm.weight: expected F32, F16 or BF16, found U16"},
    {"model.layers.0.mlp.up_proj.weight/dtype", "\"I16\"",
     "expected F32, F16, BF16, F8_E4M3 or U8, found I16"},
    {"model.layers.0.mlp.up_proj.weight/shape", "[8, 10]",
     "expected shape [10, 8] by config.json, found [8, 10]"},
    {"model.norm.weight/shape", "[-8]", "size 0 is not one"},
    {"model.norm.weight/shape", "[4294967296, 4294967296, 16]", "shape: size 1 is not one"},
    {"model.norm.weight/shape", "[1,1,1,1,1,1,1,1,8]", "shape: expected a list"},
    {"model.norm.weight/shape", "8", "shape: expected a list"},
    {"model.norm.weight/data_offsets", "[4816, 4800]", "begin <= end"},
    {"model.norm.weight/data_offsets", "[0]", "data_offsets"},
    {"model.norm.weight/data_offsets", "[9223372036854775807, 9223372036854775807]",
     "ends at byte"},
    {"model.norm.weight/data_offsets", "[4784, 4800]", "overlaps"},
    {"model.norm.weight", "3", "model.norm.weight: dtype"},
    {"__metadata__", "{\"format\": \"pt\"}", NULL}, // harmless
};

static void test_bad_documents(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof config_edits / sizeof *config_edits; i++) {
        struct tiny t = tiny_make("LlamaForCausalLM", "BF16", 1);
        set_at(t.config, config_edits[i].path, config_edits[i].value);
        tiny_write(&t);
        expect_refusal(&t, config_edits[i].path, config_edits[i].message);
        tiny_free(&t);
    }
    for (size_t i = 0; i < sizeof header_edits / sizeof *header_edits; i++) {
        struct tiny t = tiny_make("LlamaForCausalLM", "BF16", 1);
        float logits[N_VOCAB];
        set_at(t.header, header_edits[i].path, header_edits[i].value);
        tiny_write(&t);
        if (header_edits[i].message)
            expect_refusal(&t, header_edits[i].path, header_edits[i].message);
        else
            run(&t, "ref", logits);
        tiny_free(&t);
    }
}

// Appends a tensor of zeros with the next free bytes.
static void append_tensor(struct tiny *t, const char *name, const char *type, int n, int n_bytes)
{
    t->data = mem_grow(t->data, t->n_data + (size_t)n_bytes);
    memset(t->data + t->n_data, 0, (size_t)n_bytes);
    json_object_set_new(t->header, name,
                        json_pack("{s:s, s:[i], s:[i, i]}", "dtype", type, "shape", n,
                                  "data_offsets", (int)t->n_data, (int)t->n_data + n_bytes));
    t->n_data += (size_t)n_bytes;
}

static void test_unknown_tensors(void **state)
{
    (void)state;
    static const struct {
        const char *name, *message; // NULL: harmless
    } cases[] = {
        {"model.layers.0.self_attn.rotary_emb.inv_freq", NULL},
        {"model.layers.0.mlp.up_proj.input_scale", NULL},
        {"model.layers.0.self_attn.q_proj.bias", "q_proj.bias is not part of llama"},
        {"model.layers.0.mlp.experts.0.up_proj.weight", "is not part of llama"},
        {"visual.patch.weight", "is not part of llama"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float logits[N_VOCAB];
        struct tiny t = tiny_make("LlamaForCausalLM", "BF16", 1);
        append_tensor(&t, cases[i].name, "F32", 4, 16);
        tiny_write(&t);
        if (cases[i].message)
            expect_refusal(&t, cases[i].name, cases[i].message);
        else
            run(&t, "cpu", logits);
        tiny_free(&t);
    }
}

static void test_bad_values(void **state)
{
    (void)state;
    static const char scale[] = "model.layers.0.mlp.up_proj.weight_scale";
    static const struct {
        float value;
        const char *message;
    } scales[] = {{NAN, "weight_scale: element 3 is nan"},
                  {INFINITY, "weight_scale: element 3 is inf"},
                  {-1, "scale 3 is negative"}};
    for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) {
        struct tiny t = tiny_make("Qwen3ForCausalLM", "F8_E4M3", 1);
        ((float *)tiny_data(&t, scale))[3] = scales[i].value;
        tiny_write(&t);
        expect_refusal(&t, scale, scales[i].message);
        tiny_free(&t);
    }
    struct tiny t = tiny_make("Qwen3ForCausalLM", "F8_E4M3", 1);
    unsigned char *codes = tiny_data(&t, "model.layers.1.self_attn.k_proj.weight");
    unsigned char was = codes[95];
    codes[95] = 0xff;
    tiny_write(&t);
    expect_refusal(&t, "a NaN code", "model.layers.1.self_attn.k_proj.weight: holds NaN");
    codes[95] = was;
    set_at(t.header, "model.layers.0.mlp.up_proj.weight_scale/shape", "[1, 10]");
    tiny_write(&t);
    expect_refusal(&t, "scales per column",
                   "expected shape [], [1], [10], [10, 1] or [1, 1], found [1, 10]");
    json_t *moved = json_incref(json_object_get(t.header, scale));
    json_object_del(t.header, scale);
    json_object_set_new(t.header, "model.layers.0.mlp.up_proj.weight_scales", moved);
    tiny_write(&t);
    expect_refusal(&t, "no scale",
                   "is F8_E4M3 but there is no model.layers.0.mlp.up_proj.weight_scale");
    tiny_free(&t);
}

// Every truncation of the file, and header lengths that lie.
static void test_damaged_files(void **state)
{
    (void)state;
    err e = {0};
    size_t n;
    struct tiny t = tiny_make("LlamaForCausalLM", "BF16", 1);
    tiny_write(&t);
    char *path = path_join(t.dir, "model.safetensors");
    char *whole = file_read(path, 1 << 20, &n, &e);
    for (size_t cut = 0; cut < n; cut += cut < 32 ? 1 : 611) {
        tiny_write_file(t.dir, "model.safetensors", whole, cut);
        expect_refusal(&t, "a truncated file", "model.safetensors");
    }
    tiny_write_file(t.dir, "model.safetensors", whole, n - 1);
    expect_refusal(&t, "one byte less", "the file has");
    whole = mem_grow(whole, n + 1);
    whole[n] = 0;
    tiny_write_file(t.dir, "model.safetensors", whole, n + 1);
    expect_refusal(&t, "one byte more", "its tensors cover");
    for (int bit = 0; bit < 64; bit++) {
        whole[bit / 8] = (char)(whole[bit / 8] ^ 1 << bit % 8);
        tiny_write_file(t.dir, "model.safetensors", whole, n);
        expect_refusal(&t, "a wrong header length", "model.safetensors");
        whole[bit / 8] = (char)(whole[bit / 8] ^ 1 << bit % 8);
    }
    // A name twice in one header.
    static const char twice[] = "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},"
                                "\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}";
    char file[8 + sizeof twice] = {(char)(sizeof twice - 1)};
    memcpy(file + 8, twice, sizeof twice);
    tiny_write_file(t.dir, "model.safetensors", file, 8 + sizeof twice - 1);
    expect_refusal(&t, "a name twice", "duplicate");
    unlink(path);
    expect_refusal(&t, "no file", "model.safetensors: No such file");
    assert_int_equal(mkdir(path, 0700), 0);
    expect_refusal(&t, "a directory", "no regular file");
    rmdir(path);
    free(path);
    free(whole);
    tiny_free(&t);
}

static void test_bad_companions(void **state)
{
    (void)state;
    static const struct {
        const char *file, *text, *message;
    } cases[] = {
        {"config.json", "{", "config.json: line 1"},
        {"config.json", "[]", "config.json: expected a JSON object"},
        {"config.json", "{\"hidden_size\": 8, \"hidden_size\": 9}", "duplicate"},
        {"generation_config.json", "nonsense", "generation_config.json: line 1"},
        {"generation_config.json", "{\"eos_token_id\": [1, -1]}",
         "generation_config.json: eos_token_id"},
        {"tokenizer_config.json", "{\"chat_template\": ", "tokenizer_config.json: line 1"},
        {"tokenizer_config.json", "7", "tokenizer_config.json: line 1"},
        {"tokenizer.json", "", "tokenizer.json: line"},
        {"tokenizer.json", "{\"model\": {\"type\": \"WordPiece\"}}",
         "model.type: expected \"BPE\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tiny t = tiny_make("LlamaForCausalLM", "BF16", 1);
        tiny_write(&t);
        tiny_write_file(t.dir, cases[i].file, cases[i].text, strlen(cases[i].text));
        expect_refusal(&t, cases[i].text, cases[i].message);
        tiny_free(&t);
    }
    struct tiny t = tiny_make("LlamaForCausalLM", "BF16", 1);
    set_at(t.tokenizer, "model/vocab/one_too_many", "300");
    tiny_write(&t);
    expect_refusal(&t, "a larger tokenizer", "301 tokens, but config.json: vocab_size is 300");
    tiny_free(&t);
}

static void test_bad_options(void **state)
{
    (void)state;
    struct tiny t = tiny_make("LlamaForCausalLM", "BF16", 1);
    tiny_write(&t);
    const struct {
        struct engine_options o;
        const char *message;
    } cases[] = {
        {{.model_dir = "/nowhere"}, "expected the directory of a model"},
        {{.model_dir = NULL}, "expected the directory of a model"},
        {{.model_dir = t.dir, .backend = "abacus"}, "found \"abacus\""},
        {{.model_dir = t.dir, .n_thread = -1}, "threads"},
        {{.model_dir = t.dir, .ctx_max = 65}, "max_position_embeddings is 64"},
        {{.model_dir = t.dir, .ctx_max = -5}, "context"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err e = {0};
        assert_null(engine_open(&cases[i].o, &e));
        if (!strstr(e.msg, cases[i].message)) fail_msg("unexpected message: %s", e.msg);
    }
    tiny_free(&t);
}

// The end of a turn, the list of ends, and the template in its three places.
static void test_what_the_companions_say(void **state)
{
    (void)state;
    err e = {0};
    struct tiny t = tiny_make("LlamaForCausalLM", "BF16", 1);
    tiny_write(&t);
    struct engine_options o = {.model_dir = t.dir};
    static const struct {
        const char *config, *jinja, *template;
    } cases[] = {
        {"{\"chat_template\": \"A\"}", NULL, "A"},
        {"{\"chat_template\": [{\"name\": \"tool_use\", \"template\": \"T\"}, {\"name\": "
         "\"default\", \"template\": \"B\"}]}",
         NULL, "B"},
        {"{}", "C", "C"},
        {"{}", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *jinja = path_join(t.dir, "chat_template.jinja");
        unlink(jinja);
        free(jinja);
        tiny_write_file(t.dir, "tokenizer_config.json", cases[i].config, strlen(cases[i].config));
        if (cases[i].jinja)
            tiny_write_file(t.dir, "chat_template.jinja", cases[i].jinja, strlen(cases[i].jinja));
        engine *en = engine_open(&o, &e);
        if (!en) fail_msg("%s", e.msg);
        if (cases[i].template)
            assert_string_equal(engine_chat_template(en), cases[i].template);
        else
            assert_null(engine_chat_template(en));
        engine_close(en);
    }
    tiny_write_file(t.dir, "generation_config.json", "{\"eos_token_id\": [7, 258]}", 26);
    static const char named[] = "{\"eos_token\": {\"content\": \"<|end|>\"}}";
    tiny_write_file(t.dir, "tokenizer_config.json", named, sizeof named - 1);
    engine *en = engine_open(&o, &e);
    if (!en) fail_msg("%s", e.msg);
    assert_int_equal(tokenizer_eos(engine_tokenizer(en)), 258);
    assert_int_equal(engine_vocab(en)->end, 258);
    assert_int_equal(engine_vocab(en)->kind[258], VOCAB_SPECIAL);
    assert_true(engine_is_end(en, 7) && engine_is_end(en, 258) && !engine_is_end(en, 8));
    engine_close(en);
    tiny_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types_and_architectures_agree),
        cmocka_unit_test(test_scales),
        cmocka_unit_test(test_shards),
        cmocka_unit_test(test_bad_documents),
        cmocka_unit_test(test_unknown_tensors),
        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_bad_companions),
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_what_the_companions_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
