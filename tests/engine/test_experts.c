// If this fails, models whose feed-forward blocks are made of experts answer with other numbers
// than those they were trained to, or a checkpoint that does not fit its config is taken.
//
// The pinned logits are those of the transformers library (5.24, float32) for the directory that
// tiny_make writes: experts.py says how to make them again.
#include "test.h"

#include "engine/session.h"
#include "tiny_model.h"

#include <math.h>

static const int32_t tokens[] = {1, 100, 57, 200, 3, 3, 250};
enum { N_TOKEN = sizeof tokens / sizeof *tokens };

static const struct {
    int token;
    double logit;
} pinned[] = {{0, 0.1893043},    {23, 0.1675962},   {46, -0.0374542},  {69, -0.0947199},
              {92, 0.1574439},   {115, -0.3994736}, {138, 0.1675950},  {161, -0.0997545},
              {184, -0.1368413}, {207, -0.2758902}, {230, -0.3845639}, {253, 0.0007303},
              {276, -0.2455136}, {299, -0.3525825}};

static struct model *open_tiny(const struct tiny *t, const char *backend)
{
    err e = {0};
    struct model *m = model_open(t->dir, k_ops_find(backend), 2, &e);
    if (!m) fail_msg("%s", e.msg);
    return m;
}

// The logits after all tokens, read at once or one by one; n_vocab of them, to be freed.
static float *logits_of(const struct tiny *t, const char *backend, bool one_by_one)
{
    err e = {0};
    struct model *m = open_tiny(t, backend);
    session *s = session_open(m, NULL, 64, &e);
    assert_non_null(s);
    for (size_t n = one_by_one ? 1 : N_TOKEN; n <= N_TOKEN; n++)
        if (session_sync(s, tokens, n, NULL, NULL, &e)) fail_msg("%s", e.msg);
    size_t n_vocab = (size_t)m->config.n_vocab;
    float *out = malloc(n_vocab * sizeof *out);
    assert_non_null(out);
    memcpy(out, session_logits(s), n_vocab * sizeof *out);
    session_free(s);
    model_close(m);
    return out;
}

static void test_as_published(void **state)
{
    (void)state;
    struct tiny t = tiny_make("Qwen3MoeForCausalLM", "F32", 9);
    tiny_write(&t);
    const char *const backends[] = {"ref", "cpu"};
    for (int b = 0; b < 2; b++)
        for (int one_by_one = 0; one_by_one < 2; one_by_one++) {
            float *logits = logits_of(&t, backends[b], one_by_one);
            for (size_t i = 0; i < sizeof pinned / sizeof *pinned; i++)
                if (!(fabs((double)logits[pinned[i].token] - pinned[i].logit) < 2e-5))
                    fail_msg("%s: logit %d is %.7f, expected %.7f", backends[b], pinned[i].token,
                             (double)logits[pinned[i].token], pinned[i].logit);
            free(logits);
        }
    tiny_free(&t);
}

static void test_fp8_experts(void **state)
{
    (void)state;
    struct tiny t = tiny_make("Qwen3MoeForCausalLM", "F8_E4M3", 4);
    tiny_write(&t);
    float *ref = logits_of(&t, "ref", false), *cpu = logits_of(&t, "cpu", true);
    for (int i = 0; i < 300; i++) assert_true(fabsf(ref[i] - cpu[i]) < 1e-4f);
    free(ref);
    free(cpu);
    tiny_free(&t);
}

static void test_wrong_ones(void **state)
{
    (void)state;
    struct tiny t = tiny_make("Qwen3MoeForCausalLM", "BF16", 2);
    json_object_set_new(t.config, "num_experts_per_tok", json_integer(6));
    tiny_refused(&t, "num_experts_per_tok: expected an integer from 1 to 5, found 6");
    json_object_set_new(t.config, "num_experts_per_tok", json_integer(2));
    json_object_set_new(t.config, "mlp_only_layers", json_pack("[i]", 1));
    tiny_refused(&t, "mlp_only_layers: only [] is supported, found [1]");
    json_object_del(t.config, "mlp_only_layers");
    json_object_set_new(t.config, "num_experts", json_integer(6));
    tiny_refused(&t, "model.layers.0.mlp.gate.weight: expected shape [6, 8] by config.json");
    json_object_set_new(t.config, "num_experts", json_integer(5));
    const char name[] = "model.layers.1.mlp.experts.3.up_proj.weight";
    json_object_set(t.header, "other", json_object_get(t.header, name));
    json_object_del(t.header, name);
    tiny_refused(&t, "model.layers.1.mlp.experts.3.up_proj.weight");
    tiny_free(&t);
    t = tiny_make("Qwen3ForCausalLM", "BF16", 2);
    json_object_set_new(t.config, "num_experts", json_integer(4));
    tiny_refused(&t, "num_experts: only 0 is supported");
    tiny_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_published),
        cmocka_unit_test(test_fp8_experts),
        cmocka_unit_test(test_wrong_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
