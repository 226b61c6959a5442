// libs: engine base
// The input is a structural tag as JSON: it compiles, or is refused with the place of the fault;
// its fast masks are the slow ones, it never runs into a dead end, and the budget holds.
#include "rule_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char *const texts[] = {"",    "a",    "ab", "x", "<f=",  "<f=a>", "</f>",
                                    "<t>", "</t>", "12", "(", "\n\n", "null"};

static const char *any(rng *r, size_t from)
{
    return texts[from + rng_below(r, sizeof texts / sizeof *texts - from)];
}

static json_t *random_spec(rng *r, int depth)
{
    static const char *const schemas[] = {
        "{\"type\": \"number\"}",
        "{\"enum\": [\"a\", 12, null]}",
        "{\"type\": \"array\", \"items\": {\"type\": \"boolean\"}}",
        "{\"type\": \"object\", \"properties\": {\"ab\": {\"type\": \"integer\", \"maximum\": "
        "12}}, \"additionalProperties\": false}",
        "{\"type\": \"string\", \"maxLength\": 3}",
        "true"};
    static const char *const patterns[] = {"[0-9]+", "(ab|a)*", "x{0,3}|12", "[^a]", "", "-?12"};
    static const char *const grammars[] = {"r = 'a' r | 'x'", "r = r 'x' | '12'", "r = '(' r* ')'",
                                           "r = <t> | 'ab'?"};
    uint64_t what = rng_below(r, depth > 3 ? 6 : 13);
    json_t *a, *b;
    switch (what) {
    case 0: return json_pack("{s:s, s:s}", "type", "const_string", "value", any(r, 0));
    case 1:
        return json_pack("{s:s, s:o}", "type", "json_schema", "json_schema",
                         json_loads(schemas[rng_below(r, 6)], JSON_DECODE_ANY, NULL));
    case 2: return json_pack("{s:s, s:s}", "type", "regex", "pattern", patterns[rng_below(r, 6)]);
    case 3: return json_pack("{s:s, s:s}", "type", "grammar", "grammar", grammars[rng_below(r, 4)]);
    case 4:
        return rng_below(r, 2) ? json_pack("{s:s, s:[s, s]}", "type", "any_text", "excludes",
                                           any(r, 1), any(r, 1))
                               : json_pack("{s:s}", "type", "any_text");
    case 5:
        return json_pack("{s:s, s:s}", "type", "token", "token", rng_below(r, 2) ? "<t>" : "<|x|>");
    case 6:
    case 7:
        a = random_spec(r, depth + 1), b = random_spec(r, depth + 1);
        return json_pack("{s:s, s:[o, o, o]}", "type", what == 6 ? "sequence" : "or", "elements", a,
                         b, random_spec(r, depth + 1));
    case 8:
        a = random_spec(r, depth + 1);
        return json_pack("{s:s, s:o}", "type", rng_below(r, 2) ? "optional" : "star", "content", a);
    case 9:
        a = random_spec(r, depth + 1);
        return json_pack("{s:s, s:i, s:i, s:o}", "type", "repeat", "min", (int)rng_below(r, 3),
                         "max", 3 + (int)rng_below(r, 9), "content", a);
    case 10:
        a = random_spec(r, depth + 1), b = random_spec(r, depth + 1);
        return json_pack("{s:s, s:[s, s], s:b, s:b, s:[{s:s, s:o, s:s}, {s:s, s:o, s:s}]}", "type",
                         "triggered_tags", "triggers", "<f=", rng_below(r, 2) ? "<t>" : "ab",
                         "at_least_one", (int)rng_below(r, 2), "stop_after_first",
                         (int)rng_below(r, 2), "tags", "begin", "<f=a>", "content", a, "end",
                         any(r, 0), "begin", rng_below(r, 2) ? "<t>" : "abx", "content", b, "end",
                         any(r, 0));
    case 11:
        a = random_spec(r, depth + 1), b = random_spec(r, depth + 1);
        return json_pack("{s:s, s:s, s:[{s:s, s:o, s:s}, {s:s, s:o, s:s}]}", "type",
                         "tags_with_separator", "separator", any(r, 0), "tags", "begin", any(r, 1),
                         "content", a, "end", any(r, 0), "begin", any(r, 1), "content", b, "end",
                         any(r, 1));
    default:
        return json_pack("{s:s, s:s, s:s}", "type", "reasoning", "begin",
                         rng_below(r, 2) ? "<t>" : "", "end", "</t>");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    err e = {0};
    if (n > 2000) return 0;
    uint64_t seed = walk_seed(data, n);
    rng r = rng_seed(seed);
    json_t *spec = json_loadb((const char *)data, n, 0, NULL);
    if (!spec) spec = random_spec(&r, 0);
    struct grammar_options o = {.spacing = (enum grammar_spacing)(seed % 3),
                                .order = (enum grammar_order)(seed / 3 % 3),
                                .escapes = (enum lex_escapes)(seed / 9 % 2),
                                .space_max = 3};
    grammar *g = grammar_from_tags(walk_vocabulary(), spec, &o, &e);
    if (g)
        walk_anyhow(g, seed);
    else
        walk_check(strncmp(e.msg, "tags: ", 6) == 0, e.msg);
    grammar_free(g);
    json_decref(spec);
    return 0;
}
