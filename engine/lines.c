#include "engine/lines.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES_MAX      ((size_t)1 << 30)
#define XZ_MEMORY_BYTES_MAX ((uint64_t)1 << 30)
enum { CHUNK = 1 << 16 };

struct lines {
    FILE *f;
    char *path;
    bool packed, over; // an xz file; nothing is left to read
    lzma_stream xz;
    uint8_t in[CHUNK], out[CHUNK];
    size_t out_at, out_n; // what of `out` is not yet taken
    buf line;
    size_t number;
};

static bool starts_like_xz(FILE *f)
{
    static const uint8_t magic[6] = {0xfd, '7', 'z', 'X', 'Z', 0};
    uint8_t first[sizeof magic];
    bool is =
        fread(first, 1, sizeof first, f) == sizeof first && memcmp(first, magic, sizeof magic) == 0;
    rewind(f);
    return is;
}

lines *lines_open(const char *path, err *e)
{
    FILE *f = fopen(path, "re");
    if (f && file_is_dir(path)) {
        fclose(f);
        err_set(e, ERR_INPUT, "%s: expected a file, found a folder", path);
        return NULL;
    }
    if (!f) {
        err_sys(e, errno, "%s", path);
        e->code = ERR_INPUT;
        return NULL;
    }
    lines *l = mem_new(sizeof *l);
    *l = (lines){.f = f, .path = mem_str(path), .packed = starts_like_xz(f)};
    l->line = buf_new(LINE_BYTES_MAX);
    l->xz = (lzma_stream)LZMA_STREAM_INIT;
    if (l->packed &&
        lzma_stream_decoder(&l->xz, XZ_MEMORY_BYTES_MAX, LZMA_CONCATENATED) != LZMA_OK) {
        err_set(e, ERR_SYSTEM, "%s: the xz decoder cannot start", path);
        lines_close(l);
        return NULL;
    }
    return l;
}

void lines_close(lines *l)
{
    if (!l) return;
    lzma_end(&l->xz);
    fclose(l->f);
    buf_free(&l->line);
    free(l->path);
    free(l);
}

size_t lines_number(const lines *l)
{
    return l->number;
}

static int unpack(lines *l, err *e)
{
    l->xz.next_out = l->out;
    l->xz.avail_out = CHUNK;
    while (l->xz.avail_out > 0 && !l->over) {
        if (l->xz.avail_in == 0 && !feof(l->f)) {
            l->xz.next_in = l->in;
            l->xz.avail_in = fread(l->in, 1, CHUNK, l->f);
            if (ferror(l->f)) return err_sys(e, errno, "%s", l->path);
        }
        lzma_ret rc = lzma_code(&l->xz, feof(l->f) ? LZMA_FINISH : LZMA_RUN);
        l->over = rc == LZMA_STREAM_END;
        if (rc != LZMA_OK && !l->over)
            return err_set(e, ERR_INPUT, "%s: expected an xz file, found damage or a cut (%d)",
                           l->path, (int)rc);
    }
    l->out_n = CHUNK - l->xz.avail_out;
    return 0;
}

static int refill(lines *l, err *e)
{
    l->out_at = 0;
    if (l->packed) return unpack(l, e);
    l->out_n = fread(l->out, 1, CHUNK, l->f);
    l->over = l->out_n < CHUNK;
    return ferror(l->f) ? err_sys(e, errno, "%s", l->path) : 0;
}

int lines_next(lines *l, const char **text, size_t *n, err *e)
{
    bool any = false;
    buf_clear(&l->line);
    for (;;) {
        if (l->out_at == l->out_n && !l->over && refill(l, e)) return -1;
        if (l->out_at == l->out_n) break;
        const uint8_t *from = l->out + l->out_at, *end = memchr(from, '\n', l->out_n - l->out_at);
        size_t k = end ? (size_t)(end - from) : l->out_n - l->out_at;
        any = true;
        buf_put(&l->line, from, k);
        l->out_at += k + (end != NULL);
        if (end) break;
    }
    l->number += any;
    if (l->line.full)
        return err_set(e, ERR_INPUT, "%s:%zu: a line of more than %zu bytes", l->path, l->number,
                       LINE_BYTES_MAX);
    *text = buf_text(&l->line);
    *n = l->line.n;
    return any;
}
