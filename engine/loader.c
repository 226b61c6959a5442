#include "engine/loader.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    RING = 10,             // buffers
    SENDING = 4,           // of them on their way to the device; the others are read ahead
    PIECE_BYTES = 8 << 20, // of a buffer
    ALIGN = 4096,          // of offset, size and address, as O_DIRECT wants them
};

// What is read at once: a range of a file.
struct piece {
    const char *file;
    uint64_t begin; // a multiple of ALIGN
    size_t n;       // at most PIECE_BYTES
    uint64_t want;  // bytes from `begin` on that must be there: the file may end before n
};

_Static_assert((int)RING <= (int)K_STAGES, "a buffer of the device for each");

struct loading {
    const struct k_ops *ops;
    k_device *device;
    const struct load_item **items; // [n_item] in order of file and place
    size_t n_item;
    struct piece *pieces; // [n_piece]
    size_t n_piece;
    char *ring[RING];

    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t n_read, n_free; // pieces that came, and whose buffers may be used again
    bool stop;             // the caller's thread has given up
    bool failed;           // the reading one has, for this reason:
    err why;

    int fd; // of the reading thread
    const char *file;
    bool is_direct, was_cached;
};

static int by_place(const void *a, const void *b)
{
    const struct tensor *x = (*(const struct load_item *const *)a)->tensor,
                        *y = (*(const struct load_item *const *)b)->tensor;
    int order = strcmp(x->file, y->file);
    if (order) return order;
    return x->file_at < y->file_at ? -1 : x->file_at > y->file_at;
}

static void add_piece(struct loading *l, size_t *cap, const char *file, uint64_t begin,
                      uint64_t end)
{
    uint64_t n = (end - begin + ALIGN - 1) / ALIGN * ALIGN;
    if (l->n_piece == *cap) {
        *cap = *cap ? 2 * *cap : 64;
        l->pieces = mem_grow(l->pieces, *cap * sizeof *l->pieces);
    }
    l->pieces[l->n_piece++] = (struct piece){file, begin, (size_t)n, end - begin};
}

// The ranges of the items, touching ones joined, in pieces.
static void make_pieces(struct loading *l)
{
    size_t cap = 0;
    for (size_t i = 0; i < l->n_item;) {
        const char *file = l->items[i]->tensor->file;
        uint64_t begin = l->items[i]->tensor->file_at / ALIGN * ALIGN, end = begin;
        for (; i < l->n_item && !strcmp(l->items[i]->tensor->file, file); i++) {
            const struct tensor *t = l->items[i]->tensor;
            if (t->file_at / ALIGN * ALIGN > end) break;
            if (t->file_at + t->n_bytes > end) end = t->file_at + t->n_bytes;
        }
        for (; begin < end; begin += PIECE_BYTES)
            add_piece(l, &cap, file, begin, end - begin > PIECE_BYTES ? begin + PIECE_BYTES : end);
    }
}

// The reading thread

static int open_file(struct loading *l, const char *file, bool direct)
{
    if (l->fd >= 0) close(l->fd);
    l->file = file;
    l->is_direct = direct;
    l->fd = open(file, O_RDONLY | O_CLOEXEC | (direct ? O_DIRECT : 0));
    if (l->fd < 0 && direct && errno == EINVAL) return open_file(l, file, false);
    if (l->fd < 0) return err_sys(&l->why, errno, "%s", file);
    if (!l->is_direct) l->was_cached = true;
    return 0;
}

static int read_piece(struct loading *l, const struct piece *p, char *to)
{
    if ((!l->file || strcmp(l->file, p->file)) && open_file(l, p->file, true)) return -1;
    for (size_t at = 0, from; at < p->want;) {
        ssize_t n = pread(l->fd, to + at, p->n - at, (off_t)(p->begin + at));
        if (n < 0 && errno == EINTR) continue;
        // The file system has O_DIRECT, but not for this file or this place.
        if (n < 0 && errno == EINVAL && l->is_direct) {
            if (open_file(l, p->file, false)) return -1;
            continue;
        }
        if (n < 0)
            return err_sys(&l->why, errno, "%s: at byte %llu", p->file,
                           (unsigned long long)(p->begin + at));
        from = at;
        at += (size_t)n;
        // After a short read the rest begins anywhere, which only a cached file allows: what is
        // left of a block is read again. Less than a block is the file's end.
        if (at < p->want && l->is_direct) at -= at % ALIGN;
        if (at == from)
            return err_set(&l->why, ERR_INPUT,
                           "%s: ends before byte %llu: it was cut off while open", p->file,
                           (unsigned long long)(p->begin + p->want));
    }
    if (!l->is_direct)
        (void)posix_fadvise(l->fd, (off_t)p->begin, (off_t)p->n, POSIX_FADV_DONTNEED);
    return 0;
}

static void *reader(void *arg)
{
    struct loading *l = arg;
    for (size_t k = 0; k < l->n_piece; k++) {
        pthread_mutex_lock(&l->lock);
        while (!l->stop && k >= l->n_free + RING) pthread_cond_wait(&l->changed, &l->lock);
        bool stop = l->stop;
        pthread_mutex_unlock(&l->lock);
        if (stop) break;
        int rc = read_piece(l, &l->pieces[k], l->ring[k % RING]);
        pthread_mutex_lock(&l->lock);
        if (rc)
            l->failed = true;
        else
            l->n_read = k + 1;
        pthread_cond_broadcast(&l->changed);
        pthread_mutex_unlock(&l->lock);
        if (rc) break;
    }
    if (l->fd >= 0) close(l->fd);
    return NULL;
}

// The caller's thread

static bool wait_for(struct loading *l, size_t k)
{
    pthread_mutex_lock(&l->lock);
    while (l->n_read <= k && !l->failed) pthread_cond_wait(&l->changed, &l->lock);
    bool there = l->n_read > k;
    pthread_mutex_unlock(&l->lock);
    return there;
}

static void give_back(struct loading *l, size_t n_free, bool stop)
{
    pthread_mutex_lock(&l->lock);
    l->n_free = n_free;
    l->stop |= stop;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

static void send(struct loading *l, size_t slot, size_t at, void *to, size_t n_bytes)
{
    if (l->ops->send)
        l->ops->send(l->device, (int)slot, at, to, n_bytes);
    else
        l->ops->upload(l->device, to, l->ring[slot] + at, n_bytes);
}

// What piece k has of the items; *first is the first item that is not yet whole.
static int take_piece(struct loading *l, size_t k, size_t *first, uint64_t *n_done, err *e)
{
    const struct piece *p = &l->pieces[k];
    uint64_t end = p->begin + p->want;
    for (size_t i = *first; i < l->n_item; i++) {
        const struct load_item *x = l->items[i];
        const struct tensor *t = x->tensor;
        if (strcmp(t->file, p->file) || t->file_at >= end) break;
        uint64_t from = t->file_at > p->begin ? t->file_at : p->begin;
        uint64_t to = t->file_at + t->n_bytes < end ? t->file_at + t->n_bytes : end;
        size_t n = (size_t)(to - from), at = (size_t)(from - p->begin);
        uint64_t in_tensor = from - t->file_at;
        if (code_check_bytes(&x->check, l->ring[k % RING] + at, n, t, in_tensor, e)) return -1;
        if (x->to && n) send(l, k % RING, at, (char *)x->to + in_tensor, n);
        *n_done += n;
        if (to == t->file_at + t->n_bytes) *first = i + 1;
    }
    return 0;
}

static int take_all(struct loading *l, const struct load_watch *watch, uint64_t n_bytes, err *e)
{
    size_t first = 0, n_free = 0;
    uint64_t n_done = 0;
    for (size_t k = 0; k < l->n_piece; k++) {
        if (!wait_for(l, k)) {
            *e = l->why;
            return -1;
        }
        if (take_piece(l, k, &first, &n_done, e)) return -1;
        for (; n_free + SENDING <= k; n_free++)
            if (l->ops->stage && !l->ops->stage(l->device, (int)(n_free % RING), PIECE_BYTES))
                return err_set(e, ERR_SYSTEM, "a buffer of the device did not come back");
        give_back(l, n_free, false);
        if (watch && watch->progress) watch->progress(watch->user, n_done, n_bytes);
    }
    return 0;
}

static int make_ring(struct loading *l, err *e)
{
    for (int i = 0; i < RING; i++) {
        l->ring[i] = l->ops->stage ? l->ops->stage(l->device, i, PIECE_BYTES)
                                   : aligned_alloc(ALIGN, PIECE_BYTES);
        if (!l->ring[i])
            return err_set(e, ERR_SYSTEM, "no memory for %d buffers of %d bytes to read into", RING,
                           PIECE_BYTES);
    }
    return 0;
}

static void free_ring(struct loading *l)
{
    if (l->ops->stage_free)
        l->ops->stage_free(l->device);
    else
        for (int i = 0; i < RING; i++) free(l->ring[i]);
}

static int run(struct loading *l, const struct load_watch *watch, uint64_t n_bytes, err *e)
{
    pthread_t thread;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->changed, NULL);
    int rc = pthread_create(&thread, NULL, reader, l);
    if (rc) {
        rc = err_sys(e, rc, "a thread to read with");
    } else {
        rc = take_all(l, watch, n_bytes, e);
        give_back(l, l->n_free, true);
        pthread_join(thread, NULL);
    }
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->lock);
    return rc;
}

int load_tensors(const struct k_ops *ops, k_device *d, const struct load_item *items, size_t n,
                 const struct load_watch *watch, struct load_result *r, err *e)
{
    struct loading l = {.ops = ops, .device = d, .fd = -1};
    int64_t start = clock_us();
    *r = (struct load_result){.ring_bytes = (uint64_t)RING * PIECE_BYTES};
    l.items = mem_new((n + 1) * sizeof *l.items);
    for (size_t i = 0; i < n; i++) {
        if (!items[i].tensor->n_bytes) continue;
        l.items[l.n_item++] = &items[i];
        r->n_bytes += items[i].tensor->n_bytes;
    }
    if (l.n_item) qsort(l.items, l.n_item, sizeof *l.items, by_place);
    make_pieces(&l);
    for (size_t k = 0; k < l.n_piece; k++) r->n_read += l.pieces[k].want;
    int rc = make_ring(&l, e);
    if (!rc) rc = run(&l, watch, r->n_bytes, e);
    if (!rc) rc = ops->finish(d, e);
    free_ring(&l);
    free(l.pieces);
    free(l.items);
    r->is_direct = !l.was_cached;
    r->seconds = (double)(clock_us() - start) / 1e6;
    return rc;
}
