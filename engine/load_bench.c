// Each repetition first reads all tensors with the loader itself and sends them nowhere, then opens
// the model. Host memory is the process's own high-water mark, set back before each opening; the
// device is opened once before, so that what its driver takes is not counted. Pinned buffers are
// the driver's and need not show there: at least the ring counts.
#include "engine/load_bench.h"

#include "base/clock.h"
#include "base/median.h"
#include "base/mem.h"
#include "engine/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bench {
    struct k_ops ops;
    double *load, *open, *read; // [repeat]
};

// A line of /proc/self/status, in bytes; 0 when it cannot be read.
static uint64_t status_bytes(const char *key)
{
    char line[256];
    unsigned long long kb = 0;
    size_t n = strlen(key);
    FILE *file = fopen("/proc/self/status", "r");
    if (!file) return 0;
    while (fgets(line, sizeof line, file))
        if (!strncmp(line, key, n) && line[n] == ':') sscanf(line + n + 1, "%llu", &kb);
    fclose(file);
    return kb << 10;
}

static void reset_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (!file) return;
    fputs("5", file);
    fclose(file);
}

static int read_files(const struct load_bench_options *o, double *seconds, err *e)
{
    struct load_result got = {0};
    struct weights *w = weights_open(o->model_dir, e);
    struct load_item *items = NULL;
    struct tensor *t;
    size_t n = 0;
    int rc = -1;
    if (!w) return -1;
    for (; (t = weights_at(w, n)); n++) {
        items = mem_grow(items, (n + 1) * sizeof *items);
        items[n] = (struct load_item){.tensor = t};
    }
    k_device *d = k_cpu.open(1, e);
    if (d) rc = load_tensors(&k_cpu, d, items, n, NULL, &got, e);
    if (d) k_cpu.close(d);
    *seconds = got.seconds;
    free(items);
    weights_close(w);
    return rc;
}

static int measure_once(struct bench *b, const struct load_bench_options *o, int i,
                        struct load_bench_result *r, err *e)
{
    if (read_files(o, &b->read[i], e)) return -1;
    uint64_t before = status_bytes("VmRSS");
    reset_peak();
    int64_t start = clock_us();
    struct model *m = model_open(o->model_dir, &b->ops, 1, e);
    if (!m) return -1;
    b->open[i] = (double)(clock_us() - start) / 1e6;
    b->load[i] = m->loaded.seconds;
    uint64_t peak = status_bytes("VmHWM"), own = o->copy ? m->store_bytes : 0;
    uint64_t extra = peak > before + own ? peak - before - own : 0;
    if (extra < m->loaded.ring_bytes) extra = m->loaded.ring_bytes;
    if (extra > r->extra_bytes) r->extra_bytes = extra;
    r->n_bytes = m->loaded.n_bytes;
    r->is_direct = m->loaded.is_direct;
    snprintf(r->backend, sizeof r->backend, "%s%s", m->ops->describe(m->device),
             o->copy ? ", copied" : "");
    model_close(m);
    return 0;
}

static int choose(struct bench *b, const struct load_bench_options *o, err *e)
{
    if (!k_ops_known(o->backend, e)) return -1;
    b->ops = *k_ops_find(o->backend);
    if (b->ops.reads_host && !o->copy)
        return err_set(e, ERR_USAGE,
                       "backend %s maps weights and loads nothing; --copy measures copying them "
                       "nevertheless",
                       b->ops.name);
    if (b->ops.reads_host) b->ops.reads_host = false, b->ops.place = NULL;
    k_device *d = b->ops.open(1, e);
    if (!d) return -1;
    b->ops.close(d);
    return 0;
}

int load_bench(const struct load_bench_options *o, struct load_bench_result *r, err *e)
{
    struct bench b = {.load = NULL};
    size_t n = (size_t)o->repeat;
    *r = (struct load_bench_result){.n_bytes = 0};
    b.load = mem_new(3 * n * sizeof *b.load);
    b.open = b.load + n, b.read = b.open + n;
    int rc = choose(&b, o, e);
    for (int i = 0; !rc && i < o->repeat; i++) rc = measure_once(&b, o, i, r, e);
    if (!rc) {
        r->load_seconds = median(b.load, o->repeat);
        r->open_seconds = median(b.open, o->repeat);
        r->read_seconds = median(b.read, o->repeat);
        r->load_gbps = (double)r->n_bytes / r->load_seconds / 1e9;
        r->read_gbps = (double)r->n_bytes / r->read_seconds / 1e9;
        r->ratio = r->read_seconds / r->load_seconds;
    }
    free(b.load);
    return rc;
}
