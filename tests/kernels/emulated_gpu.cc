// The part of the emulation that is not inline, and of the CUDA runtime what a list of jobs needs.
#include "emulated_gpu.h"

#include <chrono>
#include <stdio.h>
#include <stdlib.h>
#include <thread>
#include <ucontext.h>
#include <unordered_map>
#include <vector>

enum { THREADS_MAX = 512, WARPS_MAX = THREADS_MAX / 32, BARRIERS = 16, STACK = 192 << 10 };
enum { ROUNDS_MAX = 600000 }; // in which nothing happens, before it is taken for a deadlock

struct copy {
    void *to;
    const void *from;
    size_t n, there; // bytes; those that `from` has, the rest is zero
    void *sync;
    bool is_read; // what it brings is in `bytes`
    unsigned char bytes[16];
};

// What others will see.
struct store {
    void *to;
    size_t n;
    unsigned char bytes[8];
};

struct fiber {
    ucontext_t context;
    bool done;
    std::vector<copy> open;                // not committed
    std::vector<std::vector<copy>> groups; // committed
};

struct meeting {
    int arrived, n; // of n threads
    unsigned generation;
    bool has[THREADS_MAX]; // which have
};

struct sync_state {
    unsigned count, pending, phase;
    long bytes;
};

struct block {
    struct fiber fibers[THREADS_MAX];
    int n, current;
    unsigned id, n_x, n_y; // of a grid of n_x by n_y
    ucontext_t scheduler;
    const std::function<void()> *kernel;
    struct meeting warps[WARPS_MAX], barriers[BARRIERS];
    char slots[WARPS_MAX][2][32][64]; // what a warp exchanges, by generation modulo 2
    std::unordered_map<void *, struct sync_state> syncs;
    std::vector<copy> flying; // boxes, in parts
    std::vector<store> late;
    int rest[WARPS_MAX]; // rounds that a warp leaves out
    unsigned char *shared;
    unsigned random;
    long idle; // rounds
};

static thread_local struct block *here;

static void fault(const char *what)
{
    fprintf(stderr, "block %u, thread %d: %s\n", here->id, here->current, what);
    abort();
}

const struct emulated_index threadIdx = {{[] { return (unsigned)here->current; }}, {}},
                            blockIdx = {{[] { return here->id % here->n_x; }},
                                        {[] { return here->id / here->n_x; }}},
                            blockDim = {{[] { return (unsigned)here->n; }}, {}},
                            gridDim = {{[] { return here->n_x; }}, {[] { return here->n_y; }}};

unsigned char *emulated_shared()
{
    return here->shared;
}

static unsigned draw(unsigned n)
{
    here->random = here->random * 1664525u + 1013904223u;
    return (here->random >> 8) % n;
}

static void yield()
{
    swapcontext(&here->fibers[here->current].context, &here->scheduler);
}

static void meet(struct meeting *m, int n)
{
    unsigned generation = m->generation;
    if (m->arrived && m->n != n) fault("a barrier waits for two different numbers of threads");
    if (m->arrived && m->has[here->current]) fault("a thread arrives twice");
    if (!m->arrived) memset(m->has, 0, sizeof m->has);
    m->n = n, m->has[here->current] = true;
    if (++m->arrived == n) m->arrived = 0, m->generation++, here->idle = 0;
    while (m->generation == generation) yield();
}

void emulated_exchange(const void *mine, void *all, size_t n)
{
    int warp = here->current / 32;
    struct meeting *m = &here->warps[warp];
    unsigned which = m->generation & 1;
    if (n > sizeof here->slots[0][0][0]) fault("too much to exchange");
    memcpy(here->slots[warp][which][here->current % 32], mine, n);
    meet(m, 32);
    for (size_t i = 0; i < 32; i++) memcpy((char *)all + i * n, here->slots[warp][which][i], n);
}

void barrier(int id, int n)
{
    meet(&here->barriers[id], n);
}

void emulated_sync_threads()
{
    meet(&here->barriers[0], here->n);
}

static void land(size_t i)
{
    const store &s = here->late[i];
    memcpy(s.to, s.bytes, s.n);
    here->late.erase(here->late.begin() + (long)i);
}

static void land_all()
{
    while (!here->late.empty()) land(0);
}

void emulated_store(void *to, const void *from, size_t n)
{
    for (size_t i = here->late.size(); i--;)
        if (here->late[i].to == to) land(i);
    struct store s = {to, n, {}};
    memcpy(s.bytes, from, n);
    here->late.push_back(s);
}

void add_release(unsigned *p)
{
    land_all();
    here->idle = 0;
    __atomic_fetch_add(p, 1, __ATOMIC_SEQ_CST);
}

unsigned load_acquire(const unsigned *p)
{
    yield();
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

unsigned arrive_of(unsigned *p, unsigned n)
{
    land_all();
    unsigned was = __atomic_fetch_add(p, 1, __ATOMIC_SEQ_CST);
    if (was == n - 1) __atomic_store_n(p, 0, __ATOMIC_SEQ_CST);
    return was;
}

void emulated_yield()
{
    yield();
}

static void advance(struct sync_state *s)
{
    here->idle = 0;
    if (s->pending || s->bytes) return;
    s->phase ^= 1, s->pending = s->count;
}

void sync_init(unsigned long long *s, unsigned n)
{
    here->syncs[s] = {n, n, 0, 0};
}

void sync_arrive(unsigned long long *s)
{
    struct sync_state *state = &here->syncs[s];
    if (!state->pending) fault("more arrivals than a barrier expects");
    state->pending--;
    advance(state);
}

void sync_expect(unsigned long long *s, unsigned n_bytes)
{
    here->syncs[s].bytes += n_bytes;
    sync_arrive(s);
}

bool sync_try(unsigned long long *s, unsigned phase)
{
    if (here->syncs[s].phase == phase) yield();
    return here->syncs[s].phase != phase;
}

// What a tensor_map holds here.
struct box_map {
    const unsigned char *base;
    uint64_t size[3], stride[3]; // elements; bytes
    uint32_t box[3];
    int n_byte, swizzled, n_dim;
};
static_assert(sizeof(struct box_map) <= sizeof(struct tensor_map), "it fits");

bool cuda_make_map(struct tensor_map *map, const void *base, int n_byte, int n_dim,
                   const uint64_t *size, const uint64_t *stride, const uint32_t *box, bool swizzled)
{
    struct box_map m = {(const unsigned char *)base,
                        {1, 1, 1},
                        {(uint64_t)n_byte, 0, 0},
                        {1, 1, 1},
                        n_byte,
                        swizzled,
                        n_dim};
    // What the driver asks for.
    if ((size_t)base % 16 || (size_t)map % 64) return false;
    for (int i = 0; i < n_dim; i++) {
        m.size[i] = size[i], m.box[i] = box[i];
        if (i) m.stride[i] = stride[i - 1];
        if (!size[i] || size[i] >> 32 || !box[i] || box[i] > 256) return false;
        if (i && (stride[i - 1] % 16 || stride[i - 1] >> 40)) return false;
    }
    if (box[0] * (unsigned)n_byte % 16 || (swizzled && box[0] * (unsigned)n_byte > 128))
        return false;
    *map = {};
    memcpy(map, &m, sizeof m);
    return true;
}

// Where byte `at` of a box goes: 16-byte parts change places with others of their 128 bytes, by the
// number of these among eight.
static size_t place_in_box(const struct box_map &m, size_t at)
{
    return m.swizzled ? at ^ (at >> 7 & 7) << 4 : at;
}

static void copy_box(void *shared, const struct tensor_map *map, const int from[3],
                     unsigned long long *s)
{
    struct box_map m;
    memcpy(&m, map, sizeof m);
    size_t row = m.box[0] * (size_t)m.n_byte, n = row * m.box[1] * m.box[2];
    unsigned char *to = (unsigned char *)shared;
    if ((size_t)map % 64 || !m.base) fault("no map");
    if ((size_t)shared % (m.swizzled ? 1024 : 128)) fault("a box is not aligned");
    if (to < here->shared || to + n > here->shared + EMULATED_SHARED)
        fault("a box leaves shared memory");
    // Its parts arrive in any order.
    for (size_t at = 0; at < n; at += 16) {
        size_t y = at / row % m.box[1], z = at / row / m.box[1], x = at % row;
        size_t column = (size_t)from[0] * (size_t)m.n_byte + x, i = (size_t)from[1] + y,
               k = (size_t)from[2] + z, width = m.size[0] * (size_t)m.n_byte;
        struct copy c = {to + place_in_box(m, at), NULL, 16, 0, s, false, {}};
        if (column < width && i < m.size[1] && k < m.size[2]) {
            c.from = m.base + column + i * m.stride[1] + k * m.stride[2];
            c.there = width - column < 16 ? width - column : 16;
        }
        here->flying.push_back(c);
    }
}

void copy_box_2(void *shared, const struct tensor_map *map, int x, int y, unsigned long long *s)
{
    const int from[] = {x, y, 0};
    copy_box(shared, map, from, s);
}

void copy_box_3(void *shared, const struct tensor_map *map, int x, int y, int z,
                unsigned long long *s)
{
    const int from[] = {x, y, z};
    copy_box(shared, map, from, s);
}

static void land_one()
{
    if (here->flying.empty()) return;
    unsigned i = draw((unsigned)here->flying.size());
    copy c = here->flying[i];
    here->flying[i] = here->flying.back();
    here->flying.pop_back();
    memset(c.to, 0, c.n);
    if (c.there) memcpy(c.to, c.from, c.there);
    struct sync_state *s = &here->syncs[c.sync];
    s->bytes -= (long)c.n;
    advance(s);
}

void emulated_copy(void *shared, const void *global, size_t n_bytes)
{
    if (((size_t)shared | (size_t)global) % n_bytes) fault("a copy is not aligned");
    struct copy c = {shared, global, n_bytes, n_bytes, NULL, draw(2) == 0, {}};
    if (c.is_read) memcpy(c.bytes, global, n_bytes);
    here->fibers[here->current].open.push_back(c);
}

void copy_commit()
{
    struct fiber *f = &here->fibers[here->current];
    f->groups.push_back(f->open);
    f->open.clear();
}

void emulated_copy_wait(int n)
{
    struct fiber *f = &here->fibers[here->current];
    while ((int)f->groups.size() > n) {
        for (const copy &c : f->groups[0]) memcpy(c.to, c.is_read ? c.bytes : c.from, c.n);
        f->groups.erase(f->groups.begin());
    }
}

static void run_fiber()
{
    (*here->kernel)();
    here->fibers[here->current].done = true, here->idle = 0;
    yield();
}

// A round: the warps that do not rest, in an order that changes, and some copies.
static int run_round()
{
    int n_warp = (here->n + 31) / 32, first = (int)draw((unsigned)n_warp), ended = 0;
    for (int k = 0; k < n_warp; k++) {
        int warp = (first + k) % n_warp;
        if (here->rest[warp] > 0) {
            here->rest[warp]--;
            continue;
        }
        if (draw(400) == 0) here->rest[warp] = (int)draw(300);
        for (int i = warp * 32; i < here->n && i < warp * 32 + 32; i++) {
            if (here->fibers[i].done) continue;
            here->current = i;
            swapcontext(&here->scheduler, &here->fibers[i].context);
            ended += here->fibers[i].done;
        }
    }
    for (unsigned n = draw(3) * 64; n; n--) land_one();
    for (unsigned n = draw(3) * 16; n && !here->late.empty(); n--, here->idle = 0)
        land(draw((unsigned)here->late.size()));
    if (++here->idle > 1000) // other blocks may be the slower ones
        std::this_thread::sleep_for(std::chrono::microseconds(100));
    if (here->idle > ROUNDS_MAX) fault("nobody moves any more");
    return ended;
}

static void run_block(struct block *b)
{
    char *stacks = (char *)malloc((size_t)b->n * STACK);
    here = b;
    b->shared = (unsigned char *)aligned_alloc(1024, EMULATED_SHARED);
    memset(b->shared, 0xff, EMULATED_SHARED);
    for (int i = 0; i < b->n; i++) {
        ucontext_t *c = &b->fibers[i].context;
        getcontext(c);
        c->uc_stack.ss_sp = stacks + (size_t)i * STACK, c->uc_stack.ss_size = STACK;
        c->uc_link = NULL;
        makecontext(c, run_fiber, 0);
    }
    for (int left = b->n; left;) left -= run_round();
    land_all();
    if (!b->flying.empty()) fault("a copy was never waited for");
    free(stacks);
    free(b->shared);
}

extern "C" {
cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t *config, const void *kernel, void **args);
}

// A kernel with one argument, which args[0] points to: its caller says how to call it.
void (*emulated_call)(const void *kernel, void *argument);

void emulated_run(const cudaLaunchConfig_t *config, const std::function<void()> &thread)
{
    std::vector<std::thread> threads;
    if (config->blockDim.x > THREADS_MAX || config->dynamicSmemBytes > EMULATED_SHARED) abort();
    for (unsigned id = 0; id < config->gridDim.x * config->gridDim.y; id++)
        threads.emplace_back([&, id] {
            struct block *b = new block();
            b->n = (int)config->blockDim.x, b->id = id, b->random = id * 977 + 13;
            b->n_x = config->gridDim.x, b->n_y = config->gridDim.y;
            b->kernel = &thread;
            run_block(b);
            delete b;
        });
    for (std::thread &t : threads) t.join();
}

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t *config, const void *kernel, void **args)
{
    emulated_run(config, [=] { emulated_call(kernel, args[0]); });
    return cudaSuccess;
}

cudaError_t cudaMalloc(void **p, size_t n)
{
    *p = aligned_alloc(256, (n + 255) / 256 * 256);
    return *p ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaFree(void *p)
{
    free(p);
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **p, size_t n)
{
    return cudaMalloc(p, n);
}

cudaError_t cudaFreeHost(void *p)
{
    return cudaFree(p);
}

cudaError_t cudaMemset(void *p, int value, size_t n)
{
    memset(p, value, n);
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t n, enum cudaMemcpyKind, cudaStream_t)
{
    memcpy(to, from, n);
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned)
{
    *s = NULL;
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t)
{
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t)
{
    return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void *, enum cudaFuncAttribute, int)
{
    return cudaSuccess;
}

cudaError_t cudaGetLastError()
{
    return cudaSuccess;
}
