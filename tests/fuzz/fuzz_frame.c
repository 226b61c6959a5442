// libs: sandbox
// Both directions of the channel between hearth and a box. The first byte picks the reader, the
// rest is what a hostile process sent. Beyond not crashing: what is accepted has the promised
// shape, and nothing accepted nests deeper than promised (measured on the tree, not by the scanner
// that checks).
#include "sandbox/frame.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int depth_of(const json_t *j)
{
    int deepest = 0, d;
    size_t i;
    const char *key;
    json_t *item;
    if (json_is_array(j)) {
        json_array_foreach(j, i, item) if ((d = depth_of(item)) > deepest) deepest = d;
        return deepest + 1;
    }
    if (json_is_object(j)) {
        json_object_foreach((json_t *)(uintptr_t)j, key, item) if ((d = depth_of(item)) > deepest)
            deepest = d;
        return deepest + 1;
    }
    return 0;
}

static void read_message(const char *p, size_t n)
{
    struct message m;
    err e = {ERR_NONE, ""};
    if (message_parse(p, n, &m, &e) < 0) {
        assert(e.code != ERR_NONE && e.msg[0] && !m.json);
        return;
    }
    assert(m.json && m.started_us >= 0 && depth_of(m.json) <= FRAME_DEPTH_MAX);
    assert(m.kind != MESSAGE_CALL || (m.service && json_is_array(m.value)));
    assert(m.kind != MESSAGE_DONE || m.value);
    assert(m.kind != MESSAGE_FAIL || (m.status && m.text));
    assert(m.kind != MESSAGE_REFUSED || m.text);
    message_free(&m);
}

static void read_reply(const char *p, size_t n)
{
    struct reply r;
    err e = {ERR_NONE, ""};
    if (reply_parse(p, n, 1, &r, &e) < 0) {
        assert(e.code != ERR_NONE && !r.json);
        return;
    }
    assert((r.value != NULL) != (r.error != NULL));
    json_decref(r.json);
}

// A whole stream, given in one piece and byte by byte: both must see the same frames.
static void read_stream(const char *p, size_t n)
{
    enum { MOST = 4096 };
    const char *payload;
    size_t n_payload, at = 0, have = 0, start = 0;
    err e;
    while (frame_next(p + at, n - at, MOST, &payload, &n_payload, &e) == 1) {
        assert(payload == p + at + FRAME_HEAD && n_payload >= 1 && n_payload <= MOST);
        assert(payload + n_payload <= p + n);
        read_message(payload, n_payload);
        at += FRAME_HEAD + n_payload;
    }
    for (have = 0; have <= n; have++) {
        int rc = frame_next(p + start, have - start, MOST, &payload, &n_payload, &e);
        if (rc < 0) break;
        if (rc == 1) start += FRAME_HEAD + n_payload;
    }
    assert(start == at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0) return 0;
    char *copy = malloc(n); // exact, so that a read past the end is seen
    memcpy(copy, data, n);
    switch (data[0] % 3) {
    case 0: read_message(copy + 1, n - 1); break;
    case 1: read_reply(copy + 1, n - 1); break;
    case 2: read_stream(copy + 1, n - 1); break;
    }
    free(copy);
    return 0;
}
