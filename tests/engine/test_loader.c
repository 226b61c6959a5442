// If this fails, a GPU computes with weights that are not those of the files, or a damaged file is
// taken for whole.
#include "test.h"

#include "base/rng.h"
#include "engine/loader.h"
#include "engine/session.h"
#include "tiny_model.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

// A device that copies as late as it may: what was sent leaves its buffer only when somebody asks
// for the buffer or for everything. Whoever writes into one too early spoils what was sent.
static struct {
    char *buffers[K_STAGES];
    struct sent {
        int i;
        size_t at, n;
        char *to;
    } * sent;
    size_t n_sent;
} lazy;

static void deliver(int i)
{
    for (size_t k = 0; k < lazy.n_sent; k++) {
        struct sent *s = &lazy.sent[k];
        if ((i >= 0 && s->i != i) || !s->to) continue;
        memcpy(s->to, lazy.buffers[i < 0 ? s->i : i] + s->at, s->n);
        s->to = NULL;
    }
}

static void *lazy_stage(k_device *d, int i, size_t n_bytes)
{
    (void)d;
    if (!lazy.buffers[i]) lazy.buffers[i] = aligned_alloc(4096, n_bytes);
    deliver(i);
    return lazy.buffers[i];
}

static void lazy_send(k_device *d, int i, size_t at, void *to, size_t n)
{
    (void)d;
    lazy.sent = realloc(lazy.sent, (lazy.n_sent + 1) * sizeof *lazy.sent);
    assert_non_null(lazy.sent);
    lazy.sent[lazy.n_sent++] = (struct sent){i, at, n, to};
}

static int lazy_finish(k_device *d, err *e)
{
    (void)d, (void)e;
    deliver(-1);
    return 0;
}

static void lazy_stage_free(k_device *d)
{
    (void)d;
    for (int i = 0; i < K_STAGES; i++) {
        free(lazy.buffers[i]);
        lazy.buffers[i] = NULL;
    }
    free(lazy.sent);
    lazy.sent = NULL, lazy.n_sent = 0;
}

static struct k_ops lazy_ops(void)
{
    struct k_ops ops = k_cpu;
    ops.stage = lazy_stage, ops.send = lazy_send, ops.stage_free = lazy_stage_free;
    ops.finish = lazy_finish;
    return ops;
}

enum { FILES = 3, TENSORS = 24, GUARD = 64 };

struct files {
    char *dir;
    char path[FILES][512];
    unsigned char *bytes[FILES];
    size_t n[FILES];
    struct tensor tensors[TENSORS];
    struct load_item items[TENSORS];
    unsigned char *memory[TENSORS];
};

// Tensors one behind the other with gaps here and there, some empty, some longer than a piece.
static struct files make_files(rng *r, const char *dir)
{
    struct files f = {.dir = dir ? NULL : tiny_dir_new("loader")};
    size_t at[FILES];
    for (int i = 0; i < FILES; i++) at[i] = rng_below(r, 20000);
    for (int k = 0; k < TENSORS; k++) {
        int i = (int)rng_below(r, FILES);
        size_t n = rng_below(r, 12) == 0  ? 0
                   : rng_below(r, 6) == 0 ? rng_below(r, 20u << 20)
                                          : rng_below(r, 200000);
        if (rng_below(r, 3) == 0) at[i] += rng_below(r, 3u << 20);
        f.tensors[k] = (struct tensor){
            .name = "t", .file = (char *)(intptr_t)(i + 1), .n_bytes = n, .file_at = at[i]};
        at[i] += n;
    }
    for (int i = 0; i < FILES; i++) {
        snprintf(f.path[i], sizeof f.path[i], "%s/%d.%d", dir ? dir : f.dir, i, (int)getpid());
        f.n[i] = at[i];
        f.bytes[i] = malloc(f.n[i] + 1);
        for (size_t k = 0; k < f.n[i]; k++) f.bytes[i][k] = (unsigned char)(k * 131 >> 5 ^ k);
        for (int k = 0; k < 1000 && f.n[i]; k++)
            f.bytes[i][rng_below(r, (uint32_t)f.n[i])] = (unsigned char)rng_u64(r);
        FILE *out = fopen(f.path[i], "wb");
        assert_non_null(out);
        assert_int_equal(fwrite(f.bytes[i], 1, f.n[i], out), f.n[i]);
        assert_int_equal(fclose(out), 0);
    }
    return f;
}

// The items in any order, each into memory of its own; one in eight is only read.
static void make_items(struct files *f, rng *r)
{
    for (int k = 0; k < TENSORS; k++) {
        struct tensor *t = &f->tensors[k];
        t->file = f->path[(intptr_t)t->file - 1];
        f->memory[k] = malloc(t->n_bytes + 2 * GUARD);
        memset(f->memory[k], 0xa5, t->n_bytes + 2 * GUARD);
        f->items[k] = (struct load_item){t, rng_below(r, 8) ? f->memory[k] + GUARD : NULL, {0, 0}};
    }
    for (uint32_t k = TENSORS - 1; k > 0; k--) {
        uint32_t other = rng_below(r, k + 1);
        struct load_item x = f->items[k];
        f->items[k] = f->items[other], f->items[other] = x;
    }
}

static void check_memory(const struct files *f)
{
    for (int k = 0; k < TENSORS; k++) {
        const struct load_item *x = &f->items[k];
        size_t n = (size_t)x->tensor->n_bytes;
        int of = 0;
        while (f->path[of] != x->tensor->file) of++;
        if (!x->to) continue;
        const unsigned char *to = x->to;
        assert_memory_equal(to, f->bytes[of] + x->tensor->file_at, n);
        for (int i = 0; i < GUARD; i++)
            assert_true(to[-1 - i] == 0xa5 && to[n + (size_t)i] == 0xa5);
    }
}

static void free_files(struct files *f)
{
    for (int i = 0; i < FILES; i++) {
        unlink(f->path[i]);
        free(f->bytes[i]);
    }
    for (int k = 0; k < TENSORS; k++) free(f->memory[k]);
    if (f->dir) tiny_dir_remove(f->dir);
}

struct watched {
    uint64_t last, n_bytes;
    int calls;
};

static void watch(void *user, uint64_t n_done, uint64_t n_bytes)
{
    struct watched *w = user;
    assert_true(n_done >= w->last && n_done <= n_bytes);
    w->last = n_done, w->n_bytes = n_bytes, w->calls++;
}

static struct load_result load_files(const char *dir, uint64_t seed)
{
    err e = {0};
    rng r = rng_seed(seed);
    struct k_ops lazy_one = lazy_ops();
    struct load_result result = {0};
    for (int late = 0; late < 2; late++) {
        struct files f = make_files(&r, dir);
        make_items(&f, &r);
        struct watched seen = {0};
        const struct load_watch w = {watch, &seen};
        const struct k_ops *ops = late ? &lazy_one : &k_cpu;
        k_device *d = ops->open(1, &e);
        if (load_tensors(ops, d, f.items, TENSORS, &w, &result, &e)) fail_msg("%s", e.msg);
        ops->close(d);
        check_memory(&f);
        uint64_t n = 0;
        for (int k = 0; k < TENSORS; k++) n += f.tensors[k].n_bytes;
        assert_true(seen.calls > 0 && seen.last == n && seen.n_bytes == n && result.n_bytes == n);
        free_files(&f);
    }
    return result;
}

static void test_as_in_the_files(void **state)
{
    (void)state;
    struct load_result r = {0};
    for (uint64_t seed = 1; seed <= 3; seed++) r = load_files(NULL, seed);
    print_message("read %s\n", r.is_direct ? "directly" : "through the page cache");
    // A file system in memory has no direct reading.
    if (access("/dev/shm", W_OK)) return;
    load_files("/dev/shm", 9);
}

// The error of loading the files after `spoil`, which may change the items or the files.
static err error_of(void (*spoil)(struct files *f))
{
    err e = {0};
    rng r = rng_seed(5);
    struct load_result result;
    struct files f = make_files(&r, NULL);
    make_items(&f, &r);
    spoil(&f);
    k_device *d = k_cpu.open(1, &e);
    assert_int_equal(load_tensors(&k_cpu, d, f.items, TENSORS, NULL, &result, &e), -1);
    k_cpu.close(d);
    free_files(&f);
    return e;
}

// Within the longest tensor, at a place that is no multiple of anything.
static void cut(struct files *f)
{
    const struct tensor *t = &f->tensors[0];
    for (int k = 1; k < TENSORS; k++)
        if (f->tensors[k].n_bytes > t->n_bytes) t = &f->tensors[k];
    assert_int_equal(truncate(t->file, (off_t)((t->file_at + t->n_bytes / 2) | 1)), 0);
}

static void take_away(struct files *f)
{
    assert_int_equal(unlink(f->path[2]), 0);
}

static void forbid(struct files *f)
{
    for (int k = 0; k < TENSORS; k++) f->items[k].check = (struct code_check){0x7f, 0xff};
}

static void test_refuses(void **state)
{
    (void)state;
    assert_non_null(strstr(error_of(cut).msg, "cut off while open"));
    assert_non_null(strstr(error_of(take_away).msg, "No such file"));
    assert_non_null(strstr(error_of(forbid).msg, "tensor t: holds NaN near element"));
}

// One code of many, in every place of the blocks in which codes are looked at.
static void test_finds_the_code(void **state)
{
    (void)state;
    err e = {0};
    unsigned char bytes[9000];
    const struct tensor t = {.name = "t", .file = "f"};
    const struct code_check check = {0x7f, 0x7f};
    memset(bytes, 0x7e, sizeof bytes);
    assert_int_equal(code_check_bytes(&check, bytes, sizeof bytes, &t, 0, &e), 0);
    for (size_t i = 0; i < sizeof bytes; i += 37)
        for (int k = 0; k < 2; k++) {
            bytes[i] = k ? 0x7f : 0x81;
            assert_int_equal(code_check_bytes(&check, bytes, sizeof bytes, &t, 0, &e), -1);
            bytes[i] = 0x7e;
        }
    const struct code_check any = {0, 0};
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(code_check_bytes(&any, bytes, sizeof bytes, &t, 0, &e), 0);
}

// A model whose weights are copied answers as one whose weights are mapped.
static void test_same_logits(void **state)
{
    (void)state;
    static const int32_t tokens[] = {1, 100, 57, 200, 3, 3, 250};
    static const char *const types[] = {"BF16", "F8_E4M3", "F32"};
    struct k_ops copying = lazy_ops();
    copying.reads_host = false;
    copying.place = NULL;
    for (int i = 0; i < 6; i++) {
        err e = {0};
        struct tiny t = tiny_make(i % 2 ? "Qwen3MoeForCausalLM" : "Qwen3ForCausalLM", types[i / 2],
                                  (uint64_t)i + 1);
        tiny_write(&t);
        const struct k_ops *ops[] = {&k_cpu, &copying};
        float *logits[2];
        size_t n_vocab = 0;
        for (int k = 0; k < 2; k++) {
            struct model *m = model_open(t.dir, ops[k], 2, &e);
            if (!m) fail_msg("%s", e.msg);
            session *s = session_open(m, NULL, 64, &e);
            if (session_sync(s, tokens, 7, NULL, NULL, &e)) fail_msg("%s", e.msg);
            n_vocab = (size_t)m->config.n_vocab;
            logits[k] = malloc(n_vocab * sizeof **logits);
            memcpy(logits[k], session_logits(s), n_vocab * sizeof **logits);
            assert_true(k ? m->loaded.n_bytes > 0 : m->loaded.n_bytes == 0);
            session_free(s);
            model_close(m);
        }
        assert_memory_equal(logits[0], logits[1], n_vocab * sizeof **logits);
        free(logits[0]);
        free(logits[1]);
        tiny_free(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_in_the_files),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_finds_the_code),
        cmocka_unit_test(test_same_logits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
