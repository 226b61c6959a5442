// The cuda instance: its device and memory, the recording of operations as a graph, and the choice
// of a kernel for each fused operation. The kernels are in the other cuda_*.cu.
//
// One stream carries everything in the order of issue. An operation does not fail by itself: the
// first error is kept, everything after it is in vain, and `finish` reports it.
#include "kernels/composed_plain.h"
#include "kernels/cuda.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

enum { PARTS_BYTES = 4096 * 16 * 130 * 4, COUNTERS = 4096 };

bool cuda_check(k_device *d, cudaError_t rc, const char *where)
{
    if (rc != cudaSuccess && d->failed == cudaSuccess) {
        d->failed = rc;
        snprintf(d->failed_at, sizeof d->failed_at, "%s", where);
    }
    return rc == cudaSuccess;
}

__global__ void nothing_kernel(void) {}

// Which device, and whether this build can run there.
static int choose_device(k_device *d, err *e)
{
    cudaDeviceProp prop;
    cudaFuncAttributes code;
    char why[400];
    int count = 0;
    cudaError_t rc = cudaGetDeviceCount(&count);
    if (rc != cudaSuccess || count == 0) {
        cuda_why_none(rc, why, sizeof why);
        return err_set(e, ERR_SYSTEM, "backend cuda: %s; or use --backend cpu", why);
    }
    if ((rc = cudaGetDeviceProperties(&prop, 0)) != cudaSuccess ||
        (rc = cudaSetDevice(0)) != cudaSuccess) {
        cuda_why_failed(rc, "opening the GPU", why, sizeof why);
        return err_set(e, ERR_SYSTEM, "backend cuda: %s", why);
    }
    if (cudaFuncGetAttributes(&code, nothing_kernel) != cudaSuccess) {
        cuda_why_no_code(prop.name, prop.major, prop.minor, why, sizeof why);
        return err_set(e, ERR_SYSTEM, "backend cuda: %s; or use --backend cpu", why);
    }
    d->major = prop.major, d->minor = prop.minor, d->n_sm = prop.multiProcessorCount;
    // A step leaves two sums of squares for each multiprocessor that it uses.
    if (d->n_sm > SUMS_MAX / 2) d->n_sm = SUMS_MAX / 2;
    d->integrated = prop.integrated;
    d->shared_max = prop.sharedMemPerBlockOptin, d->shared_sm = prop.sharedMemPerMultiprocessor;
    snprintf(d->name, sizeof d->name, "cuda %.100s", prop.name);
    return 0;
}

static int device_failed(const k_device *d, err *e)
{
    char why[400];
    cuda_why_failed(d->failed, d->failed_at, why, sizeof why);
    return err_set(e, ERR_SYSTEM, "backend cuda: %s", why);
}

static void device_close(k_device *d)
{
    if (!d) return;
    cuda_steps_close(d);
    cuda_lt_close(d);
    cuda_sample_close(d);
    if (d->stream) cudaStreamDestroy(d->stream);
    for (int i = 0; i < 3; i++) cudaFree(d->scratch[i]);
    cudaFree(d->parts);
    cudaFree(d->counters);
    cudaFree(d->read_sum);
    delete d;
}

static k_device *device_open(int n_thread, err *e)
{
    (void)n_thread;
    k_device *d = new k_device();
    if (choose_device(d, e)) {
        delete d;
        return NULL;
    }
    bool ok =
        cuda_check(d, cudaStreamCreateWithFlags(&d->stream, cudaStreamNonBlocking), "stream") &&
        cuda_check(d, cudaMalloc(&d->parts, PARTS_BYTES), "scratch") &&
        cuda_check(d, cudaMalloc(&d->counters, COUNTERS * sizeof(unsigned)), "scratch") &&
        cuda_check(d, cudaMemset(d->counters, 0, COUNTERS * sizeof(unsigned)), "scratch") &&
        cuda_check(d, cudaMalloc(&d->read_sum, sizeof *d->read_sum), "scratch") &&
        cuda_sample_open(d) && cuda_steps_open(d) && cuda_lt_open(d) && cuda_short_open(d);
    if (ok) return d;
    device_failed(d, e);
    device_close(d);
    return NULL;
}

static const char *device_describe(const k_device *d)
{
    return d->name;
}

static int device_n_thread(const k_device *d)
{
    (void)d;
    return 1;
}

// Memory

// A GPU that shares the host's memory counts the page cache as used and takes what it is asked for
// until the whole machine stands still: there the host's own figure counts, less a floor for
// everything else.
static const uint64_t shared_floor = (uint64_t)8 << 30;

static void device_memory(k_device *d, uint64_t *free_bytes, uint64_t *floor_bytes)
{
    size_t left = 0, total = 0;
    *floor_bytes = d->integrated ? shared_floor : 0;
    if (d->integrated) {
        uint64_t available = k_memory_available();
        *free_bytes = available > shared_floor ? available - shared_floor : 0;
    } else {
        *free_bytes = cudaMemGetInfo(&left, &total) == cudaSuccess ? left : 0;
    }
}

static uint64_t memory_left(k_device *d)
{
    uint64_t left, kept;
    device_memory(d, &left, &kept);
    return left;
}

static void *device_alloc(k_device *d, size_t n_bytes)
{
    void *p = NULL;
    if (d->integrated && n_bytes > memory_left(d)) return NULL;
    if (cudaMalloc(&p, n_bytes ? n_bytes : 1) != cudaSuccess) {
        cudaGetLastError(); // NULL says it
        return NULL;
    }
    cuda_check(d, cudaMemsetAsync(p, 0, n_bytes, d->stream), "alloc");
    return p;
}

static void device_release(k_device *d, void *p)
{
    if (p) cuda_check(d, cudaStreamSynchronize(d->stream), "release");
    cudaFree(p);
}

static void device_upload(k_device *d, void *to, const void *host, size_t n_bytes)
{
    cuda_check(d, cudaMemcpyAsync(to, host, n_bytes, cudaMemcpyHostToDevice, d->stream), "upload");
}

static void device_download(k_device *d, void *host, const void *from, size_t n_bytes)
{
    cuda_check(d, cudaMemcpyAsync(host, from, n_bytes, cudaMemcpyDeviceToHost, d->stream),
               "download");
    cuda_check(d, cudaStreamSynchronize(d->stream), "download");
}

static void *device_stage(k_device *d, int i, size_t n_bytes)
{
    struct send_buffer *s = &d->stages[i];
    if (!s->bytes) {
        if (cudaMallocHost(&s->bytes, n_bytes) != cudaSuccess ||
            cudaEventCreateWithFlags(&s->left, cudaEventDisableTiming) != cudaSuccess) {
            cudaGetLastError(); // NULL says it
            return NULL;
        }
        return s->bytes;
    }
    return cuda_check(d, cudaEventSynchronize(s->left), "a buffer to leave") ? s->bytes : NULL;
}

static void device_send(k_device *d, int i, size_t at, void *to, size_t n_bytes)
{
    struct send_buffer *s = &d->stages[i];
    device_upload(d, to, s->bytes + at, n_bytes);
    cuda_check(d, cudaEventRecord(s->left, d->stream), "send");
}

static void device_stage_free(k_device *d)
{
    cuda_check(d, cudaStreamSynchronize(d->stream), "send");
    for (int i = 0; i < K_STAGES; i++) {
        struct send_buffer *s = &d->stages[i];
        if (s->left) cudaEventDestroy(s->left);
        cudaFreeHost(s->bytes);
        s->bytes = NULL, s->left = NULL;
    }
}

static int device_reserve(k_device *d, int n_token, int n_col, err *e)
{
    size_t n = (size_t)n_token * (size_t)n_col;
    if (n <= d->scratch_size) return 0;
    for (int i = 0; i < 3; i++) {
        cudaFree(d->scratch[i]);
        d->scratch[i] = NULL;
    }
    d->scratch_size = 0;
    for (int i = 0; i < 3; i++)
        if (cudaMalloc(&d->scratch[i], n * sizeof(float)) != cudaSuccess) {
            cudaGetLastError();
            return err_set(e, ERR_SYSTEM,
                           "no GPU memory for the scratch of %d tokens of %d columns", n_token,
                           n_col);
        }
    d->scratch_size = n;
    return 0;
}

static int device_finish(k_device *d, err *e)
{
    cuda_check(d, cudaStreamSynchronize(d->stream), "waiting for the GPU");
    return d->failed == cudaSuccess ? 0 : device_failed(d, e);
}

// Recordings

struct recording {
    cudaGraphExec_t exec;
    std::vector<void *> lists; // of jobs, in device memory
};

static void device_forget(k_device *d, void *recording)
{
    struct recording *r = (struct recording *)recording;
    if (!r) return;
    cuda_check(d, cudaStreamSynchronize(d->stream), "forget");
    if (r->exec) cudaGraphExecDestroy(r->exec);
    for (void *list : r->lists) cudaFree(list);
    delete r;
}

// Relaxed: lists of jobs are allocated and copied meanwhile, on a stream of their own.
static struct recording *record(k_device *d, void (*issue)(void *context), void *context)
{
    cudaGraph_t graph = NULL;
    struct recording *r = new recording();
    if (!cuda_check(d, cudaStreamBeginCapture(d->stream, cudaStreamCaptureModeRelaxed),
                    "recording")) {
        delete r;
        return NULL;
    }
    cuda_steps_record(d, &r->lists);
    issue(context);
    cuda_steps_record(d, NULL);
    bool ok = cuda_check(d, cudaStreamEndCapture(d->stream, &graph), "recording") &&
              cuda_check(d, cudaGraphInstantiate(&r->exec, graph, 0), "recording") &&
              cuda_check(d, cudaGraphUpload(r->exec, d->stream), "recording");
    if (graph) cudaGraphDestroy(graph);
    if (ok) return r;
    device_forget(d, r);
    return NULL;
}

static void device_replay(k_device *d, void **recording, void (*issue)(void *context),
                          void *context)
{
    if (!*recording) *recording = record(d, issue, context);
    if (*recording)
        cuda_check(d, cudaGraphLaunch(((struct recording *)*recording)->exec, d->stream),
                   "a recorded step");
}

// Acts

static void act_free(k_device *d, k_act *a)
{
    if (!a) return;
    device_release(d, a->x);
    for (int i = 0; i < X_N_KIND; i++) {
        device_release(d, a->hi[i]);
        device_release(d, a->lo[i]);
    }
    device_release(d, a->q);
    device_release(d, a->q_scale);
    device_release(d, a->sums);
    free(a);
}

// Of a token's columns, for any q_form.
static size_t q_scales(int n_col)
{
    return n_col < K_E4M3_BLOCK ? 1 : (size_t)(n_col / K_E4M3_BLOCK);
}

static size_t act_bytes(int n_token, int n_col)
{
    size_t cols = (size_t)n_col, rows = (size_t)(n_token > FEW_TOKENS ? n_token : FEW_TOKENS);
    if (n_col % COLUMNS_STEP) return (size_t)n_token * cols * sizeof(float);
    size_t n = X_N_KIND * (rows + FEW_TOKENS) * cols * sizeof(uint16_t) +
               (size_t)SUMS_MAX * FEW_TOKENS * sizeof(float);
    return n_token > FEW_TOKENS ? n + rows * (cols + q_scales(n_col) * sizeof(float)) : n;
}

static k_act *act_new(k_device *d, int n_token, int n_col)
{
    k_act *a = (k_act *)calloc(1, sizeof *a);
    if (!a) return NULL;
    size_t cols = (size_t)n_col, rows = (size_t)(n_token > FEW_TOKENS ? n_token : FEW_TOKENS);
    a->n_col = n_col;
    if (n_col % COLUMNS_STEP) {
        a->x = (float *)device_alloc(d, (size_t)n_token * cols * sizeof *a->x);
    } else {
        for (int i = 0; i < X_N_KIND; i++) {
            a->hi[i] = (uint16_t *)device_alloc(d, rows * cols * sizeof **a->hi);
            a->lo[i] = (uint16_t *)device_alloc(d, FEW_TOKENS * cols * sizeof **a->lo);
        }
        if (n_token > FEW_TOKENS) {
            a->q = (unsigned char *)device_alloc(d, rows * cols);
            a->q_scale = (float *)device_alloc(d, rows * q_scales(n_col) * sizeof *a->q_scale);
        }
        a->sums = (float *)device_alloc(d, (size_t)SUMS_MAX * FEW_TOKENS * sizeof *a->sums);
    }
    if (a->x || (a->hi[0] && a->hi[1] && a->lo[0] && a->lo[1] && a->sums)) return a;
    act_free(d, a);
    return NULL;
}

// The fused operations: a job for few tokens, the fast kernel for many where the shape allows it,
// else the small operations.

void cuda_project(k_device *d, const k_act *a, int n_token, const struct k_product *p,
                  int n_product)
{
    bool few = a->form == FORM_PAIR, many = a->form == FORM_SHORT;
    for (int i = 0; i < n_product; i++)
        few &= cuda_step_takes(p[i].w), many &= cuda_gemm_takes(p[i].w);
    if (few) {
        cuda_step_project(d, a, n_token, p, n_product);
        return;
    }
    cuda_steps_flush(d);
    if (many)
        for (int i = 0; i < n_product; i++)
            if (cuda_lt_takes(d, a, p + i, n_token))
                cuda_lt_product(d, (k_act *)a, p + i, n_token);
            else if (cuda_short_takes(d, a, p[i].w))
                cuda_short_product(d, (k_act *)a, p + i, n_token);
            else
                cuda_gemm(d, a, n_token, p + i);
    else
        cuda_matmul(d, cuda_act_read(d, a, n_token), n_token, p, n_product);
}

// What cuda_project, or cuda_mix with its runs, does with an act of that many tokens.
static void explain(k_device *d, const struct k_product *p, int n_token, bool runs, char *text,
                    size_t n)
{
    enum form form = act_form(n_token, p->w->n_col);
    if (form == FORM_PAIR && cuda_step_takes(p->w)) {
        snprintf(text, n, "a job of the resident kernel");
        return;
    }
    if (form != FORM_SHORT || !cuda_gemm_takes(p->w)) {
        snprintf(text, n, "the plain kernel, slow: %s",
                 p->w->type == K_F32 || p->w->type == K_F16
                     ? "there is no fast one for this type of weights"
                     : "the columns are no multiple of what the fast one takes");
        return;
    }
    const char *why = runs ? "" : cuda_lt_refuses(d, p, n_token);
    if (!why)
        snprintf(text, n, "cuBLASLt with FP8 activations, %s",
                 cuda_lt_scales_rows(d, p->w, n_token) ? "scales within the product"
                                                       : "scales in a pass behind the product");
    else
        snprintf(text, n, "own kernel on tensor cores, 16-bit activations%s%s%s", *why ? " (" : "",
                 why, *why ? ")" : "");
}

static void fused_attend(k_device *d, k_act *a, const struct k_attend *at, int n_token)
{
    if (cuda_step_attends(at, n_token)) {
        cuda_step_attend(d, a, at, n_token);
        return;
    }
    cuda_steps_flush(d);
    if (n_token > FEW_TOKENS && (at->cache->head_dim == 64 || at->cache->head_dim == 128)) {
        composed_prepare(&k_cuda, d, at, n_token);
        cuda_attend_many(d, a, at, n_token);
    } else {
        composed_attend(&k_cuda, d, d->scratch[0], at, n_token);
        cuda_act_write(d, a, d->scratch[0], n_token);
    }
}

static void fused_gate(k_device *d, k_act *out, const k_act *a, const struct k_gate *g, int n_token)
{
    const struct k_product both[] = {{g->gate, NULL, g->room[0], false},
                                     {g->up, NULL, g->room[1], false}};
    bool alike = g->gate->type == g->up->type && !g->gate->block == !g->up->block;
    if (a->form == FORM_PAIR && out->n_col % COLUMNS_STEP == 0 && alike &&
        cuda_step_takes(g->gate) && cuda_step_takes(g->up)) {
        cuda_step_gate(d, out, a, g, n_token);
        return;
    }
    if (cuda_short_gates(d, out, a, g, n_token)) {
        cuda_steps_flush(d);
        cuda_short_gate(d, out, (k_act *)a, g, n_token);
        return;
    }
    cuda_project(d, a, n_token, both, 2);
    cuda_steps_flush(d);
    cuda_gate_act(d, out, g->room[0], g->room[1], n_token);
}

static void fused_add(k_device *d, const k_act *a, const struct k_add *p, int n_token)
{
    const struct k_product back = {p->w, p->bias, p->x, true};
    if (a->form == FORM_PAIR && cuda_step_takes(p->w) &&
        (!p->next || p->next->n_col % COLUMNS_STEP == 0)) {
        cuda_step_add(d, a, p, n_token);
        return;
    }
    cuda_project(d, a, n_token, &back, 1);
    cuda_steps_flush(d);
    if (p->next) cuda_norm(d, p->next, p->x, p->gain, n_token, p->w->n_row, p->eps);
}

// Sessions may run in threads of their own. One operation at a time issues its kernels, so that a
// recording and the scratch between two kernels of one operation stay its own. What is listed goes
// first, but for the operations that add to the list.
template <auto OPERATION> struct locked;
template <typename Result, typename... Rest, Result (*OPERATION)(k_device *, Rest...)>
struct locked<OPERATION> {
    static Result call(k_device *d, Rest... rest)
    {
        std::lock_guard<std::recursive_mutex> held(d->lock);
        cuda_steps_flush(d);
        return OPERATION(d, rest...);
    }
    static Result list(k_device *d, Rest... rest)
    {
        std::lock_guard<std::recursive_mutex> held(d->lock);
        return OPERATION(d, rest...);
    }
};

extern const struct k_ops k_cuda = {
    .name = "cuda",
    .kv_type = K_BF16,
    .batch_max = 2048,
    .reads_host = false,
    .open = device_open,
    .close = device_close,
    .describe = device_describe,
    .n_thread = device_n_thread,
    .memory = locked<device_memory>::call,
    .alloc = locked<device_alloc>::call,
    .release = locked<device_release>::call,
    .upload = locked<device_upload>::call,
    .download = locked<device_download>::call,
    .stage = locked<device_stage>::call,
    .send = locked<device_send>::call,
    .stage_free = locked<device_stage_free>::call,
    .place = NULL,
    .arrange = locked<cuda_arrange>::call,
    .block_align = BLOCK_ALIGN,
    .spread = locked<cuda_spread>::call,
    .reserve = locked<device_reserve>::call,
    .finish = locked<device_finish>::call,
    .replay = locked<device_replay>::call,
    .forget = locked<device_forget>::call,
    .embed = locked<cuda_embed>::call,
    .rms_norm = locked<cuda_rms_norm>::call,
    .matmul = locked<cuda_matmul>::call,
    .rope_table = locked<cuda_rope_table>::call,
    .rope = locked<cuda_rope>::call,
    .kv_store = locked<cuda_kv_store>::call,
    .attention = locked<cuda_attention>::call,
    .swiglu = locked<cuda_swiglu>::call,
    .sum_rows = locked<cuda_sum_rows>::call,
    .act_bytes = act_bytes,
    .act_new = locked<act_new>::call,
    .act_free = locked<act_free>::call,
    .norm = locked<cuda_norm>::call,
    .project = locked<cuda_project>::list,
    .explain = locked<explain>::call,
    .attend = locked<fused_attend>::list,
    .gate = locked<fused_gate>::list,
    .add = locked<fused_add>::list,
    .list_experts = locked<cuda_list_experts>::call,
    .mix_room = cuda_mix_room,
    .mix = locked<cuda_mix>::list,
    .argmax = locked<cuda_argmax>::call,
    .sample = locked<cuda_sample>::call,
    .fill = locked<cuda_fill>::call,
    .read_all = locked<cuda_read_all>::call,
};
