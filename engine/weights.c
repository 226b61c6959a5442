// safetensors: 8 bytes little-endian length, that many bytes of JSON
// {"name": {"dtype", "shape", "data_offsets": [begin, end]}, "__metadata__": {...}}, then the data.
//
// A file is believed only as far as it can be checked before any tensor is touched: the header must
// lie inside the file, every tensor's range inside the data, its length equal to its shape times
// its type, and the ranges together must tile the data without overlap, gap or rest (the format
// demands that, and it catches every truncated download). All sizes are compared in a way that
// cannot wrap.
//
// Files are mapped, not read: the pages of a CPU model are shared between processes and with the
// page cache, and opening costs nothing. The price is that a file truncated while it is in use
// kills the process; a model directory is replaced by renaming, as model_quantize does.
#include "engine/weights.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/sha256.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HEADER_BYTES_MAX = 100 << 20, // the limit of the format's own reader
    INDEX_BYTES_MAX = 64 << 20,
    TENSORS_MAX = 1 << 20,
    SHARDS_MAX = 1024
};

static const struct {
    const char *name;
    enum tensor_type type;
    unsigned n_bytes;
} types[] = {
    {"F32", TENSOR_F32, 4},         {"F16", TENSOR_F16, 2},       {"BF16", TENSOR_BF16, 2},
    {"F8_E4M3", TENSOR_F8_E4M3, 1}, {"F8_E5M2", TENSOR_OTHER, 1}, {"F8_E8M0", TENSOR_OTHER, 1},
    {"F64", TENSOR_OTHER, 8},       {"I64", TENSOR_OTHER, 8},     {"U64", TENSOR_OTHER, 8},
    {"I32", TENSOR_OTHER, 4},       {"U32", TENSOR_OTHER, 4},     {"I16", TENSOR_OTHER, 2},
    {"U16", TENSOR_OTHER, 2},       {"I8", TENSOR_OTHER, 1},      {"U8", TENSOR_U8, 1},
    {"BOOL", TENSOR_OTHER, 1},
};

struct shard {
    char *path;
    void *map;
    size_t n_bytes;
};

struct weights {
    struct shard *shards; // [n_shard]
    size_t n_shard;
    struct tensor *tensors; // [n_tensor], in order of name
    size_t n_tensor, cap;
    void **copies; // [n_copy] tensors that lay unaligned in their file
    size_t n_copy;
    sha256 sum;
    char digest[65];
};

const char *tensor_shape_text(const struct tensor *t, char out[128])
{
    size_t at = 0;
    out[0] = 0;
    for (int i = 0; i < t->n_dim && at < 100; i++)
        at += (size_t)snprintf(out + at, 128 - at, "%s%llu", i ? ", " : "[",
                               (unsigned long long)t->shape[i]);
    snprintf(out + at, 128 - at, t->n_dim ? "]" : "[]");
    return out;
}

uint64_t tensor_bytes_apart(const struct tensor *t, uint64_t align)
{
    uint64_t row = t->n_dim ? t->shape[t->n_dim - 1] : 0;
    bool is_bytes = t->type == TENSOR_U8 || t->type == TENSOR_F8_E4M3;
    return is_bytes && row ? t->n_bytes / row * ((row + align - 1) / align * align) : t->n_bytes;
}

int code_check_bytes(const struct code_check *c, const void *bytes, size_t n,
                     const struct tensor *t, uint64_t at, err *e)
{
    const uint8_t *p = bytes;
    const uint8_t nan = c->nan, forbidden = (uint8_t)~c->allowed;
    if (!c->nan && !c->allowed) return 0;
    for (size_t i = 0; i < n; i += 4096) {
        size_t end = n - i < 4096 ? n : i + 4096;
        uint8_t any = 0;
        for (size_t k = i; k < end; k++)
            any |= (uint8_t)((p[k] & nan) == nan || (p[k] & forbidden));
        if (any)
            return err_set(e, ERR_INPUT, "%s: tensor %s: holds NaN%s near element %llu", t->file,
                           t->name, forbidden ? " or a negative scale" : "",
                           (unsigned long long)(at + i));
    }
    return 0;
}

static bool read_u64(const json_t *v, uint64_t *out)
{
    if (!json_is_integer(v) || json_integer_value(v) < 0) return false;
    *out = (uint64_t)json_integer_value(v);
    return true;
}

static int read_type(struct tensor *t, const json_t *meta, unsigned *type_bytes, err *e)
{
    const char *name = json_string_value(json_object_get(meta, "dtype"));
    for (size_t i = 0; name && i < sizeof types / sizeof *types; i++)
        if (!strcmp(name, types[i].name)) {
            t->type = types[i].type;
            t->type_name = types[i].name;
            *type_bytes = types[i].n_bytes;
            return 0;
        }
    return err_set(e, ERR_INPUT, "%s: tensor %.100s: dtype: expected a known type, found %.40s",
                   t->file, t->name, name ? name : "no string");
}

// Fills all but `data`; *begin and *end are offsets into the data.
static int read_tensor(struct tensor *t, const json_t *meta, uint64_t data_bytes, uint64_t *begin,
                       uint64_t *end, err *e)
{
    unsigned type_bytes = 0;
    if (read_type(t, meta, &type_bytes, e)) return -1;
    const json_t *shape = json_object_get(meta, "shape");
    if (!json_is_array(shape) || json_array_size(shape) > TENSOR_DIM_MAX)
        return err_set(e, ERR_INPUT, "%s: tensor %.100s: shape: expected a list of up to %d sizes",
                       t->file, t->name, TENSOR_DIM_MAX);
    t->n_dim = (int)json_array_size(shape);
    uint64_t need = type_bytes;
    for (int i = 0; i < t->n_dim; i++)
        if (!read_u64(json_array_get(shape, (size_t)i), &t->shape[i]) ||
            __builtin_mul_overflow(need, t->shape[i], &need))
            return err_set(e, ERR_INPUT, "%s: tensor %.100s: shape: size %d is not one", t->file,
                           t->name, i);
    const json_t *range = json_object_get(meta, "data_offsets");
    if (json_array_size(range) != 2 || !read_u64(json_array_get(range, 0), begin) ||
        !read_u64(json_array_get(range, 1), end) || *end < *begin)
        return err_set(e, ERR_INPUT,
                       "%s: tensor %.100s: data_offsets: expected [begin, end], begin <= end",
                       t->file, t->name);
    if (*end > data_bytes)
        return err_set(e, ERR_INPUT,
                       "%s: tensor %.100s: ends at byte %llu of the data, the file has %llu",
                       t->file, t->name, (unsigned long long)*end, (unsigned long long)data_bytes);
    if (*end - *begin != need) {
        char text[128];
        return err_set(e, ERR_INPUT,
                       "%s: tensor %.100s: %s %s is %llu bytes, data_offsets give %llu", t->file,
                       t->name, t->type_name, tensor_shape_text(t, text), (unsigned long long)need,
                       (unsigned long long)(*end - *begin));
    }
    t->n_bytes = need;
    return 0;
}

struct extent {
    uint64_t begin, end;
    const char *name;
};

static int by_begin(const void *a, const void *b)
{
    const struct extent *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

static int check_tiling(struct extent *x, size_t n, uint64_t data_bytes, const char *file, err *e)
{
    uint64_t at = 0;
    qsort(x, n, sizeof *x, by_begin);
    for (size_t i = 0; i < n; i++) {
        if (x[i].begin != at)
            return err_set(e, ERR_INPUT, "%s: tensor %.100s: begins at byte %llu, %s at %llu", file,
                           x[i].name, (unsigned long long)x[i].begin,
                           x[i].begin < at ? "overlaps a tensor that ends"
                                           : "leaves a gap after one that ends",
                           (unsigned long long)at);
        at = x[i].end;
    }
    if (at != data_bytes)
        return err_set(e, ERR_INPUT, "%s: %llu bytes of data, its tensors cover %llu", file,
                       (unsigned long long)data_bytes, (unsigned long long)at);
    return 0;
}

// A tensor whose file offset is not a multiple of its element is copied: operations read whole
// elements.
static int set_data(struct weights *w, struct tensor *t, const char *data, err *e)
{
    unsigned align = t->type == TENSOR_F32                               ? 4
                     : t->type == TENSOR_F8_E4M3 || t->type == TENSOR_U8 ? 1
                                                                         : 2;
    t->data = data;
    if (t->type == TENSOR_OTHER || (uintptr_t)data % align == 0) return 0;
    void *copy = mem_try(t->n_bytes);
    if (!copy)
        return err_set(e, ERR_SYSTEM, "%s: tensor %.100s: no memory for %llu bytes", t->file,
                       t->name, (unsigned long long)t->n_bytes);
    memcpy(copy, data, t->n_bytes);
    w->copies = mem_grow(w->copies, (w->n_copy + 1) * sizeof *w->copies);
    w->copies[w->n_copy++] = copy;
    t->data = copy;
    return 0;
}

static struct tensor *push_tensor(struct weights *w)
{
    if (w->n_tensor == w->cap) {
        w->cap = w->cap ? 2 * w->cap : 256;
        w->tensors = mem_grow(w->tensors, w->cap * sizeof *w->tensors);
    }
    w->tensors[w->n_tensor] = (struct tensor){0};
    return &w->tensors[w->n_tensor++];
}

static int read_header(struct weights *w, const json_t *header, const char *data,
                       uint64_t data_bytes, uint64_t n_before, const char *file, err *e)
{
    const char *name;
    json_t *meta;
    size_t n = 0, n_all = json_object_size(header);
    if (n_all > TENSORS_MAX)
        return err_set(e, ERR_INPUT, "%s: %zu tensors, at most %d are read", file, n_all,
                       TENSORS_MAX);
    struct extent *extents = mem_new(n_all * sizeof *extents);
    int rc = -1;
    json_object_foreach((json_t *)header, name, meta)
    {
        if (!strcmp(name, "__metadata__")) continue;
        struct tensor *t = push_tensor(w);
        t->file = file;
        t->name = mem_str(name);
        struct extent *x = &extents[n++];
        if (read_tensor(t, meta, data_bytes, &x->begin, &x->end, e)) goto out;
        x->name = t->name;
        t->file_at = n_before + x->begin;
        if (set_data(w, t, data + x->begin, e)) goto out;
    }
    rc = check_tiling(extents, n, data_bytes, file, e);
out:
    free(extents);
    return rc;
}

static int read_bytes(struct weights *w, const void *bytes, size_t n_bytes, const char *file,
                      err *e)
{
    const unsigned char *p = bytes;
    uint64_t n = 0;
    if (n_bytes < 8)
        return err_set(e, ERR_INPUT, "%s: %zu bytes are too few for a safetensors file", file,
                       n_bytes);
    for (int i = 7; i >= 0; i--) n = n << 8 | p[i];
    if (n > HEADER_BYTES_MAX || n > n_bytes - 8)
        return err_set(e, ERR_INPUT,
                       "%s: claims a header of %llu bytes, the file has %zu after its length (and "
                       "at most %d are read)",
                       file, (unsigned long long)n, n_bytes - 8, HEADER_BYTES_MAX);
    json_error_t je;
    json_t *header = json_loadb((const char *)p + 8, (size_t)n, JSON_REJECT_DUPLICATES, &je);
    if (!header)
        return err_set(e, ERR_INPUT, "%s: header, byte %d: %s", file, je.position, je.text);
    int rc;
    if (json_is_object(header))
        rc = read_header(w, header, (const char *)p + 8 + n, n_bytes - 8 - n, 8 + n, file, e);
    else
        rc = err_set(e, ERR_INPUT, "%s: header: expected a JSON object", file);
    json_decref(header);
    sha256_add(&w->sum, p, 8 + (size_t)n);
    return rc;
}

static int map_shard(struct weights *w, const char *dir, const char *name, err *e)
{
    struct stat st;
    struct shard *s = &w->shards[w->n_shard++];
    s->path = path_join(dir, name);
    int fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0) {
        err_sys(e, errno, "%s", s->path);
        e->code = ERR_INPUT;
        if (fd >= 0) close(fd);
        return -1;
    }
    if (!S_ISREG(st.st_mode) || st.st_size == 0) {
        close(fd);
        return err_set(e, ERR_INPUT, "%s: expected a safetensors file, found %s", s->path,
                       S_ISREG(st.st_mode) ? "an empty file" : "no regular file");
    }
    s->n_bytes = (size_t)st.st_size;
    s->map = mmap(NULL, s->n_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    int failed = errno;
    close(fd);
    if (s->map == MAP_FAILED) {
        s->map = NULL;
        return err_sys(e, failed, "%s: mmap of %zu bytes", s->path, s->n_bytes);
    }
    return read_bytes(w, s->map, s->n_bytes, s->path, e);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct tensor *)a)->name, ((const struct tensor *)b)->name);
}

static int sort_tensors(struct weights *w, err *e)
{
    if (w->n_tensor) qsort(w->tensors, w->n_tensor, sizeof *w->tensors, by_name);
    for (size_t i = 1; i < w->n_tensor; i++)
        if (!strcmp(w->tensors[i - 1].name, w->tensors[i].name))
            return err_set(e, ERR_INPUT, "%s: tensor %.100s is also in %s", w->tensors[i].file,
                           w->tensors[i].name, w->tensors[i - 1].file);
    return 0;
}

struct tensor *weights_find(struct weights *w, const char *name)
{
    struct tensor key = {.name = name};
    if (!w->n_tensor) return NULL;
    return bsearch(&key, w->tensors, w->n_tensor, sizeof key, by_name);
}

struct tensor *weights_at(struct weights *w, size_t i)
{
    return i < w->n_tensor ? &w->tensors[i] : NULL;
}

const char *weights_digest(const struct weights *w)
{
    return w->digest;
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// The distinct file names of the index, sorted. They come from outside: only plain names.
static int list_shards(const json_t *map, const char *where, const char ***names, size_t *n, err *e)
{
    const char *tensor;
    json_t *file;
    size_t n_all = 0, n_out = 0;
    const char **list = mem_new((json_object_size(map) + 1) * sizeof *list);
    *names = list;
    json_object_foreach((json_t *)map, tensor, file)
    {
        const char *name = json_string_value(file);
        if (!name || !*name || strchr(name, '/') || name[0] == '.')
            return err_set(e, ERR_INPUT,
                           "%s: weight_map: %.100s: expected a file name without a folder, found "
                           "%.60s",
                           where, tensor, name ? name : "no string");
        list[n_all++] = name;
    }
    qsort(list, n_all, sizeof *list, compare_strings);
    for (size_t i = 0; i < n_all; i++)
        if (!i || strcmp(list[i], list[n_out - 1])) list[n_out++] = list[i];
    if (n_out == 0 || n_out > SHARDS_MAX)
        return err_set(e, ERR_INPUT, "%s: weight_map: expected 1 to %d files, found %zu", where,
                       SHARDS_MAX, n_out);
    *n = n_out;
    return 0;
}

static int check_index(struct weights *w, const json_t *map, const char *where, err *e)
{
    const char *name;
    json_t *file;
    json_object_foreach((json_t *)map, name, file)
    {
        const struct tensor *t = weights_find(w, name);
        const char *base = t ? strrchr(t->file, '/') : NULL;
        if (!t || strcmp(base ? base + 1 : t->file, json_string_value(file)))
            return err_set(e, ERR_INPUT, "%s: weight_map: tensor %.100s is not in %.100s", where,
                           name, json_string_value(file));
    }
    return 0;
}

static int open_sharded(struct weights *w, const char *dir, const char *index, err *e)
{
    size_t n_text, n_name = 0;
    const char **names = NULL;
    json_t *doc = NULL;
    json_error_t je;
    int rc = -1;
    char *text = file_read(index, INDEX_BYTES_MAX, &n_text, e);
    if (!text) return -1;
    doc = json_loadb(text, n_text, JSON_REJECT_DUPLICATES, &je);
    const json_t *map = json_object_get(doc, "weight_map");
    if (!json_is_object(map)) {
        err_set(e, ERR_INPUT, "%s: %s", index, doc ? "expected a weight_map object" : je.text);
        goto out;
    }
    if (list_shards(map, index, &names, &n_name, e)) goto out;
    w->shards = mem_new(n_name * sizeof *w->shards);
    for (size_t i = 0; i < n_name; i++)
        if (map_shard(w, dir, names[i], e)) goto out;
    rc = sort_tensors(w, e) || check_index(w, map, index, e) ? -1 : 0;
out:
    free(names);
    free(text);
    json_decref(doc);
    return rc;
}

struct weights *weights_open(const char *dir, err *e)
{
    struct weights *w = mem_new(sizeof *w);
    char *index = path_join(dir, "model.safetensors.index.json");
    w->sum = sha256_start();
    int rc;
    if (file_exists(index)) {
        rc = open_sharded(w, dir, index, e);
    } else {
        w->shards = mem_new(sizeof *w->shards);
        rc = map_shard(w, dir, "model.safetensors", e) || sort_tensors(w, e) ? -1 : 0;
    }
    free(index);
    sha256_hex(&w->sum, w->digest);
    if (!rc) return w;
    weights_close(w);
    return NULL;
}

void weights_close(struct weights *w)
{
    if (!w) return;
    for (size_t i = 0; i < w->n_tensor; i++) free((char *)w->tensors[i].name);
    for (size_t i = 0; i < w->n_copy; i++) free(w->copies[i]);
    for (size_t i = 0; i < w->n_shard; i++) {
        if (w->shards[i].map) munmap(w->shards[i].map, w->shards[i].n_bytes);
        free(w->shards[i].path);
    }
    free(w->tensors);
    free(w->copies);
    free(w->shards);
    free(w);
}

int weights_check(const void *bytes, size_t n_bytes, const char *where, size_t *n_tensor, err *e)
{
    struct weights *w = mem_new(sizeof *w);
    w->sum = sha256_start();
    int rc = read_bytes(w, bytes, n_bytes, where, e) || sort_tensors(w, e) ? -1 : 0;
    *n_tensor = w->n_tensor;
    weights_close(w);
    return rc;
}
