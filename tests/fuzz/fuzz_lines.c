// libs: engine
// Any bytes as a file of lines, plain or packed with xz, each line as JSON: read to the end or
// refused; what Jansson reads alone is read the same.
#include "engine/json_write.h"
#include "engine/lines.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void read_one(const char *text, size_t n)
{
    json_error_t e;
    json_t *alone = json_loadb(text, n, JSON_DECODE_ANY, NULL),
           *v = json_read(text, n, JSON_DECODE_ANY, &e);
    if (alone && (!v || !json_equal(alone, v))) abort();
    if (v) {
        buf b = buf_new(1 << 24);
        json_write(&b, v, n % 2);
        json_t *again = json_read(buf_text(&b), b.n, JSON_DECODE_ANY, &e);
        if (!again) abort();
        json_decref(again);
        buf_free(&b);
    }
    json_decref(alone);
    json_decref(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    err e;
    char path[64];
    const char *text;
    size_t k, bytes = 0;
    int fd = memfd_create("lines", 0);
    if (fd < 0 || write(fd, data, n) != (ssize_t)n) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    lines *l = lines_open(path, &e);
    if (!l) abort();
    while (bytes < 1 << 22 && lines_next(l, &text, &k, &e) > 0) { // a small file may unpack to much
        bytes += k + 1;
        read_one(text, k);
    }
    lines_close(l);
    close(fd);
    return 0;
}
