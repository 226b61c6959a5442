// libs: engine
// Any bytes as a safetensors file: refused with one line, or every tensor lies inside them. The
// bytes are copied to a block of just their size, so that a sanitizer sees one byte read too many.
#include "engine/weights.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    err e = {0};
    size_t n_tensor;
    uint8_t *exact = malloc(n ? n : 1);
    if (n) memcpy(exact, data, n);
    if (weights_check(exact, n, "fuzz", &n_tensor, &e)) {
        assert(e.code != ERR_NONE && e.msg[0] && !strncmp(e.msg, "fuzz: ", 6));
    }
    free(exact);
    return 0;
}
