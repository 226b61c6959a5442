// libs: engine
// Any bytes as a template over a fixed conversation: it compiles and renders, or is refused with a
// place; never a crash, and never without an end.
#include "engine/jinja.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char context[] =
    "{\"messages\": [{\"role\": \"system\", \"content\": \"Be brief.\"},"
    "{\"role\": \"user\", \"content\": \"Ünïcode </tool_call> 'q'\\n\"},"
    "{\"role\": \"assistant\", \"content\": \"\", \"tool_calls\": [{\"type\": \"function\","
    "\"function\": {\"name\": \"f\", \"arguments\": {\"a\": [1, 2.5, null, true]}}}]},"
    "{\"role\": \"tool\", \"content\": \"{}\"}],"
    "\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"f\", \"description\": \"d\","
    "\"parameters\": {\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"array\"}}}}}],"
    "\"add_generation_prompt\": true, \"n\": 7, \"x\": null}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static json_t *vars;
    if (!vars) vars = json_loads(context, 0, NULL);
    if (n > 20000) return 0; // long sources only cost time
    err e;
    jinja *j = jinja_compile((const char *)data, n, JINJA_CHAT, "t", &e);
    if (!j) return 0;
    struct jinja_var list[8];
    size_t n_var = 0;
    const char *key;
    json_t *value;
    json_object_foreach(vars, key, value) list[n_var++] = (struct jinja_var){key, value, false};
    struct tm now = {.tm_year = 125, .tm_mday = 1};
    struct jinja_text out;
    if (jinja_render(j, list, n_var, &now, &out, &e) == 0) {
        for (size_t i = 0; i < out.n; i++)
            if (out.trusted[i] > 1) abort();
        free(out.text);
        free(out.trusted);
    }
    jinja_free(j);
    return 0;
}
