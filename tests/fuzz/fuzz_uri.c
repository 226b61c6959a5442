// libs: engine
// A reference, then a line break, then a JSON document: where the reference leads lies in the
// document, in a resource that there is, and a reference that leads nowhere says why.
#include "engine/grammar_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool lies_within(const json_t *document, const json_t *wanted)
{
    const char *key;
    json_t *sub;
    size_t i;
    if (document == wanted) return true;
    json_array_foreach(document, i, sub) if (lies_within(sub, wanted)) return true;
    json_object_foreach((json_t *)document, key, sub) if (lies_within(sub, wanted)) return true;
    return false;
}

static void check(bool holds, const char *what)
{
    if (holds) return;
    fprintf(stderr, "%s\n", what);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const uint8_t *line = memchr(data, '\n', n);
    char ref[200];
    if (!line || line - data >= (ptrdiff_t)sizeof ref) return 0;
    memcpy(ref, data, (size_t)(line - data));
    ref[line - data] = 0;
    n -= (size_t)(line + 1 - data);
    json_t *document = json_loadb((const char *)line + 1, n, JSON_DECODE_ANY, NULL);
    if (!document) return 0;
    struct places p = {.ref_alone = n % 2};
    places_add(&p, document);
    for (uint32_t from = 0; from < p.n; from++) {
        uint32_t base = p.v[from].base;
        const char *why = NULL;
        const json_t *found = places_find(&p, ref, &base, &why);
        check(base < p.n, "a resource that there is not");
        check(found || why, "no place and no reason");
        check(!found || lies_within(document, found), "a place outside the document");
    }
    places_dynamic(&p, ref);
    places_free(&p);
    json_decref(document);
    return 0;
}
