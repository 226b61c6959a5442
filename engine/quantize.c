// A row w of a projection becomes codes c and a scale s = max|w| / 448, so that the largest weight
// of a row is the largest e4m3 number; c = w / s to the nearest, ties to even. One scale per row
// costs four bytes per thousands of weights and keeps rows of small weights out of the subnormals,
// where e4m3 has no precision; a scale per block would cost a multiplication in every inner loop
// that reads it. Embedding, head and norms are what FP8 hurts most, and stay.
//
// The file is written in one pass in the order of element size, so that every tensor is aligned to
// its type and the first byte of data to a cache line.
#include "engine/quantize.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "engine/model.h"
#include "kernels/number.h"

#include <assert.h>
#include <errno.h>
#include <float.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DATA_ALIGN = 64, TEXT_BYTES_MAX = 256 << 20 };

// Files that travel with the weights; only the first two are always there.
static const char *const companions[] = {"tokenizer.json", "tokenizer_config.json",
                                         "generation_config.json", "chat_template.jinja"};

enum part { PART_SCALE, PART_KEPT_32, PART_KEPT_16, PART_CODES, N_PART }; // in order of writing

static bool is_projection(const struct tensor *t)
{
    static const char begin[] = "model.layers.", end[] = "_proj.weight";
    size_t n = strlen(t->name);
    return t->n_dim == 2 && n > sizeof begin + sizeof end &&
           !strncmp(t->name, begin, sizeof begin - 1) &&
           !strcmp(t->name + n - (sizeof end - 1), end);
}

static float element(const struct tensor *t, size_t i)
{
    switch (t->type) {
    case TENSOR_F32: return ((const float *)t->data)[i];
    case TENSOR_F16: return f16_to_f32(((const uint16_t *)t->data)[i]);
    default: return bf16_to_f32(((const uint16_t *)t->data)[i]);
    }
}

// What tensor t contributes to a part of the file: false when nothing.
static bool has_part(const struct tensor *t, enum part part)
{
    switch (part) {
    case PART_SCALE:
    case PART_CODES: return is_projection(t);
    case PART_KEPT_32: return !is_projection(t) && t->used && t->type == TENSOR_F32;
    default: return !is_projection(t) && t->used && t->type != TENSOR_F32;
    }
}

static json_t *describe(const struct tensor *t, enum part part, uint64_t *at)
{
    uint64_t n_bytes = part == PART_SCALE   ? 4 * t->shape[0]
                       : part == PART_CODES ? t->shape[0] * t->shape[1]
                                            : t->n_bytes;
    json_t *shape = json_array();
    if (part == PART_SCALE) {
        json_array_append_new(shape, json_integer((json_int_t)t->shape[0]));
        json_array_append_new(shape, json_integer(1));
    } else {
        for (int i = 0; i < t->n_dim; i++)
            json_array_append_new(shape, json_integer((json_int_t)t->shape[i]));
    }
    const char *type = part == PART_SCALE ? "F32" : part == PART_CODES ? "F8_E4M3" : t->type_name;
    json_t *meta = json_pack("{s:s, s:o, s:[I, I]}", "dtype", type, "shape", shape, "data_offsets",
                             (json_int_t)*at, (json_int_t)(*at + n_bytes));
    *at += n_bytes;
    return meta;
}

static char *make_header(struct weights *w, size_t *n)
{
    json_t *header = json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
    uint64_t at = 0;
    for (int part = 0; part < N_PART; part++) {
        const struct tensor *t;
        for (size_t i = 0; (t = weights_at(w, i)); i++) {
            if (!has_part(t, (enum part)part)) continue;
            char *name = mem_printf("%s%s", t->name, part == PART_SCALE ? "_scale" : "");
            json_object_set_new(header, name, describe(t, (enum part)part, &at));
            free(name);
        }
    }
    char *text = json_dumps(header, JSON_COMPACT);
    json_decref(header);
    assert(text);
    size_t used = strlen(text), padded = used;
    while ((8 + padded) % DATA_ALIGN) padded++;
    text = mem_grow(text, padded + 1);
    memset(text + used, ' ', padded - used);
    text[padded] = 0;
    *n = padded;
    return text;
}

// The scale of row r: 1 where all is zero.
static int row_scale(const struct tensor *t, size_t r, float *scale, err *e)
{
    size_t n = (size_t)t->shape[1];
    float largest = 0;
    for (size_t i = 0; i < n; i++) {
        float x = fabsf(element(t, r * n + i));
        if (!isfinite(x))
            return err_set(e, ERR_INPUT, "%s: tensor %s: element [%zu, %zu] is %f", t->file,
                           t->name, r, i, (double)x);
        if (x > largest) largest = x;
    }
    *scale = largest == 0 ? 1.0f : fmaxf(largest / E4M3_LARGEST, FLT_MIN);
    return 0;
}

static int write_scales(FILE *f, const struct tensor *t, err *e)
{
    for (size_t r = 0; r < t->shape[0]; r++) {
        float scale;
        if (row_scale(t, r, &scale, e)) return -1;
        fwrite(&scale, sizeof scale, 1, f);
    }
    return 0;
}

static int write_codes(FILE *f, const struct tensor *t, err *e)
{
    size_t n = (size_t)t->shape[1];
    uint8_t *codes = mem_new(n);
    int rc = 0;
    for (size_t r = 0; !rc && r < t->shape[0]; r++) {
        float scale;
        if ((rc = row_scale(t, r, &scale, e))) break;
        for (size_t i = 0; i < n; i++) codes[i] = f32_to_e4m3(element(t, r * n + i) / scale);
        fwrite(codes, 1, n, f);
    }
    free(codes);
    return rc;
}

static int write_part(FILE *f, const struct tensor *t, enum part part, err *e)
{
    if (part == PART_SCALE) return write_scales(f, t, e);
    if (part == PART_CODES) return write_codes(f, t, e);
    fwrite(t->data, 1, t->n_bytes, f);
    return 0;
}

static int write_weights(struct weights *w, const char *path, err *e)
{
    size_t n;
    unsigned char length[8];
    int rc = 0;
    FILE *f = fopen(path, "wbx");
    if (!f) return err_sys(e, errno, "%s", path);
    char *header = make_header(w, &n);
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)n >> 8 * i);
    fwrite(length, 1, 8, f);
    fwrite(header, 1, n, f);
    for (int part = 0; !rc && part < N_PART; part++) {
        const struct tensor *t;
        for (size_t i = 0; !rc && (t = weights_at(w, i)); i++)
            if (has_part(t, (enum part)part)) rc = write_part(f, t, (enum part)part, e);
    }
    free(header);
    bool failed = fflush(f) != 0 || ferror(f) || fsync(fileno(f)) != 0;
    if (!rc && failed) rc = err_sys(e, errno, "%s", path);
    if (fclose(f) != 0 && !rc) rc = err_sys(e, errno, "%s", path);
    return rc;
}

static int write_config(const char *from, const char *to, err *e)
{
    size_t n;
    json_error_t je;
    char *text = file_read(from, TEXT_BYTES_MAX, &n, e);
    if (!text) return -1;
    json_t *doc = json_loadb(text, n, JSON_REJECT_DUPLICATES, &je);
    free(text);
    if (!doc) return err_set(e, ERR_INPUT, "%s: line %d: %s", from, je.line, je.text);
    json_object_set_new(
        doc, "quantization_config",
        json_pack("{s:s, s:s, s:s, s:{s:{s:[s], s:{s:i, s:s, s:s, s:b, s:b}, s:n}}, s:[s]}",
                  "quant_method", "compressed-tensors", "format", "float-quantized",
                  "quantization_status", "compressed", "config_groups", "group_0", "targets",
                  "Linear", "weights", "num_bits", 8, "type", "float", "strategy", "channel",
                  "symmetric", 1, "dynamic", 0, "input_activations", "ignore", "lm_head"));
    text = json_dumps(doc, JSON_INDENT(1) | JSON_REAL_PRECISION(15));
    json_decref(doc);
    assert(text);
    char *whole = mem_printf("%s\n", text);
    int rc = file_replace(to, whole, strlen(whole), e);
    free(text);
    free(whole);
    return rc;
}

static int copy_file(const char *from, const char *to, err *e)
{
    size_t n;
    char *bytes = file_read(from, TEXT_BYTES_MAX, &n, e);
    int rc = bytes ? file_replace(to, bytes, n, e) : -1;
    free(bytes);
    return rc;
}

typedef int (*file_step)(const char *from, const char *to, err *e);

static int between(file_step step, const char *in_dir, const char *out_dir, const char *name,
                   err *e)
{
    char *from = path_join(in_dir, name), *to = path_join(out_dir, name);
    int rc = step(from, to, e);
    free(from);
    free(to);
    return rc;
}

static int fill_directory(struct model *m, const char *in_dir, const char *dir, err *e)
{
    char *path = path_join(dir, "model.safetensors");
    int rc = write_weights(m->weights, path, e);
    free(path);
    if (!rc) rc = between(write_config, in_dir, dir, "config.json", e);
    for (size_t i = 0; !rc && i < sizeof companions / sizeof *companions; i++) {
        path = path_join(in_dir, companions[i]);
        if (file_exists(path)) rc = between(copy_file, in_dir, dir, companions[i], e);
        free(path);
    }
    return rc;
}

// Takes away what a failed attempt left; the directory is ours and flat.
static void remove_attempt(const char *dir)
{
    static const char *const made[] = {"model.safetensors", "config.json"};
    for (size_t i = 0; i < sizeof made / sizeof *made + sizeof companions / sizeof *companions;
         i++) {
        char *path = path_join(dir, i < 2 ? made[i] : companions[i - 2]);
        unlink(path);
        free(path);
    }
    rmdir(dir);
}

int model_quantize(const char *in_dir, const char *out_dir, err *e)
{
    int rc = -1;
    struct stat st;
    if (lstat(out_dir, &st) == 0)
        return err_set(e, ERR_INPUT, "%s: expected a path where nothing is yet", out_dir);
    struct model *m = model_open(in_dir, &k_ref, 1, e); // checks every tensor
    if (!m) return -1;
    char *attempt = mem_printf("%s.tmp.%ld", out_dir, (long)getpid());
    enum k_type type = m->layers[0].q.type;
    if (type != K_F32 && type != K_F16 && type != K_BF16) {
        err_set(e, ERR_INPUT, "%s: expected bf16, f16 or f32 weights, found %s", in_dir,
                type == K_E4M3 ? "F8_E4M3" : k_type_name(type));
    } else if (mkdir(attempt, 0755) != 0) {
        err_sys(e, errno, "%s", attempt);
    } else {
        rc = fill_directory(m, in_dir, attempt, e);
        if (!rc && rename(attempt, out_dir) != 0) rc = err_sys(e, errno, "%s", out_dir);
        if (rc) remove_attempt(attempt);
    }
    free(attempt);
    model_close(m);
    return rc;
}
