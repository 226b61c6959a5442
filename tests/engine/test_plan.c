// If this fails, a model is loaded that does not fit, or one that fits is refused: the plan does
// not say what a session then takes.
#include "test.h"

#include "engine/forward.h"
#include "engine/model.h"
#include "tiny_model.h"

static uint64_t taken, claimed_free;

static void *counting_alloc(k_device *d, size_t n_bytes)
{
    taken += n_bytes;
    return k_ref.alloc(d, n_bytes);
}

static void claiming_memory(k_device *d, uint64_t *free_bytes, uint64_t *floor_bytes)
{
    (void)d;
    *free_bytes = claimed_free;
    *floor_bytes = (uint64_t)8 << 30;
}

static struct k_ops counting_ops(void)
{
    struct k_ops ops = k_ref;
    ops.alloc = counting_alloc;
    ops.memory = claiming_memory;
    return ops;
}

static uint64_t check_session(const char *architecture, int ctx, const char *kv)
{
    err e = {0};
    struct tiny t = tiny_make(architecture, "BF16", 1);
    struct k_ops ops = counting_ops();
    struct memory_plan plan;
    const struct model_need need = {.ctx_max = ctx, .ctx_default = 64, .n_session = 3, .kv = kv};
    claimed_free = (uint64_t)1 << 30;
    tiny_write(&t);
    struct model *m = model_open_planned(t.dir, &ops, 1, &need, &plan, &e);
    if (!m) fail_msg("%s", e.msg);
    struct work w;
    taken = 0;
    if (work_open(&w, m, plan.ctx_max, &e)) fail_msg("%s", e.msg);
    // Acts are made through the instance's own table, not this one.
    const struct config *c = &m->config;
    int n = w.chunk_max;
    uint64_t acts = ops.act_bytes(n, c->dim) + ops.act_bytes(n, c->n_head * c->head_dim) +
                    ops.act_bytes(n, c->ffn_dim);
    assert_int_equal(plan.ctx_max, ctx ? ctx : 64);
    assert_int_equal(plan.cache + plan.scratch, 3 * (taken + acts));
    assert_true(plan.is_mapped && plan.weights > 0);
    char *text = memory_plan_text(&plan);
    assert_non_null(strstr(text, kv ? " in fp8_e4m3 " : " in f32 "));
    free(text);
    work_close(&w, m);
    model_close(m);
    tiny_free(&t);
    return plan.cache;
}

static void test_says_what_is_taken(void **state)
{
    (void)state;
    check_session("Qwen3ForCausalLM", 0, NULL);
    check_session("LlamaForCausalLM", 17, NULL);
    check_session("Qwen3MoeForCausalLM", 33, NULL);
    check_session("LlamaForCausalLM", 17, "fp8");
    // A byte for each value and one for each row, where there were four for each value.
    uint64_t full = check_session("Qwen3ForCausalLM", 64, NULL),
             small = check_session("Qwen3ForCausalLM", 64, "fp8");
    assert_true(small > full / 4 && small < full / 3);
}

static void test_refuses(void **state)
{
    (void)state;
    err e = {0};
    struct tiny t = tiny_make("Qwen3ForCausalLM", "BF16", 1);
    struct k_ops ops = counting_ops();
    struct memory_plan plan;
    const struct model_need need = {.ctx_max = 50, .n_session = 1};
    tiny_write(&t);
    claimed_free = (uint64_t)1 << 30;
    struct model *m = model_open_planned(t.dir, &ops, 1, &need, &plan, &e);
    assert_non_null(m);
    model_close(m);

    claimed_free = memory_plan_need(&plan); // exactly enough
    m = model_open_planned(t.dir, &ops, 1, &need, &plan, &e);
    assert_non_null(m);
    model_close(m);

    claimed_free--;
    taken = 0;
    assert_null(model_open_planned(t.dir, &ops, 1, &need, &plan, &e));
    assert_int_equal(taken, 0); // nothing was loaded
    assert_non_null(strstr(e.msg, "does not fit the memory of ref"));
    assert_non_null(strstr(e.msg, "context of 50 tokens"));
    assert_non_null(strstr(e.msg, "8.6 GB kept for everything else"));

    // An instance that copies weights needs room for them, too.
    ops.reads_host = false;
    claimed_free++;
    assert_null(model_open_planned(t.dir, &ops, 1, &need, &plan, &e));
    claimed_free += plan.weights;
    m = model_open_planned(t.dir, &ops, 1, &need, &plan, &e);
    assert_non_null(m);
    model_close(m);

    const struct model_need other = {.ctx_max = 50, .n_session = 1, .kv = "fp16"};
    assert_null(model_open_planned(t.dir, &ops, 1, &other, &plan, &e));
    assert_non_null(strstr(e.msg, "kv: backend ref has f32, bf16 and fp8, found \"fp16\""));

    const struct model_need too_long = {.ctx_max = 65, .n_session = 1};
    assert_null(model_open_planned(t.dir, &ops, 1, &too_long, &plan, &e));
    assert_non_null(strstr(e.msg, "max_position_embeddings is 64"));
    tiny_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_says_what_is_taken),
        cmocka_unit_test(test_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
