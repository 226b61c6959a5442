// libs: tools
// The table that a tool file returns, as JSON from the box. What is accepted must have every field
// that the rest of Hearth relies on.
#include "base/mem.h"
#include "sandbox/frame.h"
#include "tools/json_text.h"
#include "tools/manifest.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    err e = {ERR_NONE, ""};
    json_t *manifest = frame_json((const char *)data, n, &e);
    if (!manifest) return 0;
    buf text = buf_new(1 << 20);
    json_text(&text, manifest);
    json_t *again = json_loadb(buf_text(&text), text.n, JSON_DECODE_ANY, NULL);
    assert(text.full || json_equal(manifest, again)); // the fewest digits still say the same number
    json_decref(again);
    buf_free(&text);
    tool t = {0};
    if (manifest_read(manifest, "fuzz.lua", &t, &e) == 0) {
        assert(t.name && strlen(t.name) >= 1 && strlen(t.name) <= 64);
        assert(t.description && json_is_object(t.parameters) && json_is_object(t.capabilities));
        assert(t.limits.wall_ms > 0 && t.limits.cpu_ms > 0);
        assert(t.limits.memory_mb > 0 && t.limits.output_kb > 0);
        json_t *d = tool_describe(&t);
        assert(d);
        json_decref(d);
    } else {
        assert(e.code == ERR_INPUT && strncmp(e.msg, "fuzz.lua: ", 10) == 0);
    }
    json_decref(manifest);
    return 0;
}
