// Frames on the channel between hearth and a child: four bytes of length (little endian), then that
// many bytes. A frame from the child is one JSON object of a fixed shape; everything about it is
// doubted, since the child may be anything by now.
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include <jansson.h>
#include <stdint.h>

enum {
    FRAME_HEAD = 4,
    FRAME_DEPTH_MAX = 72,         // values are capped at 64 by the child; the envelope adds a few
    FRAME_VALUES_MAX = 250000,    // values in one frame, at some 300 bytes of memory each
    FRAME_CALL_MAX = 4 << 20,     // bytes of a service call's frame
    FRAME_REPLY_MAX = 8 << 20,    // bytes of the answer to it
    FRAME_SOURCE_MAX = 1 << 20,   // bytes of Lua text
    FRAME_REQUEST_MAX = 16 << 20, // bytes of a request with its arguments
    FRAME_SERVICE_CALLS_MAX = 1000
};

void frame_put(buf *out, const void *bytes, size_t n);

// Looks for a whole frame at the start of `in`: 1 and the payload, 0 when bytes are missing, -1
// when its length is 0 or over max.
int frame_next(const char *in, size_t n_in, size_t max, const char **payload, size_t *n, err *e);

// JSON with everything strict: UTF-8, no duplicate keys, no NUL, bounded depth and size. NULL and
// *e otherwise.
json_t *frame_json(const char *payload, size_t n, err *e);

enum message_kind { MESSAGE_CALL, MESSAGE_DONE, MESSAGE_FAIL, MESSAGE_REFUSED };

// What a child may say.
struct message {
    enum message_kind kind;
    int64_t started_us;  // clock_us of the first Lua instruction; 0: not reached (or refused)
    int64_t id;          // MESSAGE_CALL: 1, 2, 3, ...
    const char *service; // MESSAGE_CALL
    const char *status;  // MESSAGE_FAIL: error, timeout, memory or output
    const char *text;    // MESSAGE_FAIL; MESSAGE_REFUSED: the step that failed
    int errno_value;     // MESSAGE_REFUSED
    json_t *value;       // borrowed: MESSAGE_CALL its arguments, MESSAGE_DONE the result
    json_t *json;        // owned: what the pointers above point into
};
int message_parse(const char *payload, size_t n, struct message *m, err *e);
void message_free(struct message *m);

// The other direction, read by the child: the answer to call `id`.
struct reply {
    json_t *value;     // borrowed; NULL: failed
    const char *error; // borrowed
    json_t *json;      // owned
};
int reply_parse(const char *payload, size_t n, int64_t id, struct reply *r, err *e);
