// libs: engine
// Any bytes as a schema and a document behind a newline: judged or refused, never a crash, and the
// same twice. The rest of the line is also tried as a pattern, a URI and every other format.
#include "engine/schema.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void judge(const json_t *schema, const json_t *doc)
{
    err e;
    struct schema_fault f, again;
    validator *v = validator_open(schema, NULL, &e);
    if (!v) return;
    int first = validator_check(v, doc, &f);
    if (first != validator_check(v, doc, &again)) abort();
    if (first && (f.code != again.code || strcmp(f.rule, again.rule) != 0)) abort();
    validator_close(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const names[] = {"date-time",     "duration",
                                        "idn-email",     "hostname",
                                        "ipv6",          "idn-hostname",
                                        "iri-reference", "regex",
                                        "uuid",          "uri-template",
                                        "json-pointer",  "email",
                                        "uri",           "relative-json-pointer"};
    const char *text = (const char *)data, *line = n ? memchr(text, '\n', n) : NULL;
    if (n > 4000) return 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)schema_format_holds(names[i], line ? line + 1 : text,
                                  line ? n - (size_t)(line + 1 - text) : n);
    if (!line) return 0;
    size_t k = (size_t)(line - text);
    json_t *schema = json_loadb(text, k, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL),
           *doc = json_loadb(line + 1, n - k - 1, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (schema && doc) judge(schema, doc);
    json_decref(schema);
    json_decref(doc);
    return 0;
}
