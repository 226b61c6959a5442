// What the decoder does not enforce it must refuse, naming the place; hostile schemas must end
// quickly. If this fails, a constraint that someone relies on is silently absent.
#include "test.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "test_vocab.h"

static grammar_vocab *v;

static int setup(void **state)
{
    (void)state;
    rng r = rng_seed(1);
    v = test_vocab_new(&r, 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    test_vocab_free(v);
    return 0;
}

static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *message;
    } rows[] = {
        {"{\"type\": \"string\", \"pattern\": \"(a)\\\\1\"}",
         "#/pattern: back-references are not enforced (at byte 5 of the pattern)"},
        {"{\"properties\": {\"a/b\": {\"items\": {\"pattern\": \"(\"}}}}",
         "#/properties/a~1b/items/pattern: a group has no ) (at byte 1 of the pattern)"},
        {"{\"patternProperties\": {\"(\": {}}}",
         "#/patternProperties/(: a group has no ) (at byte 1 of the pattern)"},
        {"{\"prefixItems\": [{}], \"items\": [{}]}",
         "#/items: a list beside prefixItems: which of them is meant?"},
        {"{\"patternProperties\": []}", "#/patternProperties: expected an object"},
        {"{\"not\": {\"uniqueItems\": true}}",
         "#/not: that some elements of an array are equal cannot be enforced"},
        {"{\"type\": \"array\", \"uniqueItems\": true, \"contains\": {\"enum\": [1, 2]}, "
         "\"minContains\": 3}",
         "#: no value of reasonable length satisfies this schema"},
        {"{\"type\": \"array\", \"uniqueItems\": true, \"minItems\": 4, \"items\": {\"enum\": "
         "[[1], [2], {\"a\": 1}]}}",
         "#: no value of reasonable length satisfies this schema"},
        {"{\"type\": \"array\", \"uniqueItems\": true, \"items\": {\"type\": \"boolean\"}, "
         "\"anyOf\": [{\"minItems\": 3}, {\"contains\": {\"const\": 1}}]}",
         "#: no value of reasonable length satisfies this schema"},
        {"{\"type\": \"array\", \"uniqueItems\": true, \"prefixItems\": [{\"enum\": [1, 2]}, "
         "{\"enum\": [1, 2]}, {\"const\": 2}], \"minItems\": 3}",
         "#: no value of reasonable length satisfies this schema"},
        {"{\"type\": \"object\", \"patternProperties\": {\"^[fg]$\": {}}, "
         "\"additionalProperties\": false, \"minProperties\": 3}",
         "#: no value of reasonable length satisfies this schema"},
        {"{\"not\": {}}", "#: no value of reasonable length satisfies this schema"},
        {"{\"type\": \"number\", \"multipleOf\": 0}", "#/multipleOf: expected a number above 0"},
        {"{\"allOf\": []}", "#/allOf: expected a list of schemas"},
        {"{\"oneOf\": 3}", "#/oneOf: expected a list of schemas"},
        {"{\"anyOf\": []}", "#/anyOf: expected a list of schemas"},
        {"{\"dependentRequired\": {\"a\": [1]}}",
         "#/dependentRequired/a: expected a list of names"},
        {"{\"dependentRequired\": []}", "#/dependentRequired: expected an object"},
        {"{\"$ref\": \"#\"}", "#: this schema comes back to itself without a value in between"},
        {"{\"$defs\": {\"a\": {\"anyOf\": [{\"$ref\": \"#/$defs/a\"}, {}]}}, \"$ref\": "
         "\"#/$defs/a\"}",
         "#/$defs/a: this schema comes back to itself without a value in between"},
        {"{\"$ref\": \"#/$defs/none\"}", "#/$ref: there is nothing at this place"},
        {"{\"$ref\": \"https://example.org/x\"}",
         "#/$ref: refers to another document: only references within the schema are resolved"},
        {"{\"$ref\": 3}", "#/$ref: expected a reference"},
        {"{\"$ref\": \"#none\"}", "#/$ref: there is nothing at this place"},
        {"{\"$defs\": {\"a\": {\"minLength\": []}}, \"items\": {\"$ref\": \"#/$defs/a\"}}",
         "#/$defs/a/minLength: expected a count"},
        {"{\"type\": \"text\"}",
         "#/type: expected null, boolean, integer, number, string, array or object"},
        {"{\"type\": \"string\", \"minLength\": -1}", "#/minLength: expected a count"},
        {"{\"type\": \"string\", \"minLength\": 25001}",
         "#/minLength: more than 25,000 characters"},
        {"{\"not\": {\"type\": \"string\", \"maxLength\": 25001}}",
         "#/not: a language of strings or numbers grows too large"},
        {"{\"type\": \"object\", \"properties\": []}", "#/properties: expected an object"},
        {"{\"type\": \"object\", \"required\": [1]}", "#/required: expected a list of names"},
        {"{\"items\": 3}", "#/items: expected a schema: an object, true or false"},
        {"{\"type\": \"number\", \"minimum\": \"1\"}", "#/minimum: expected a number"},
        {"{\"enum\": 3}", "#/enum: expected a list of values"},
        {"{\"contains\": 1}", "#/contains: expected a schema: an object, true or false"},
        {"{\"if\": 1, \"then\": {}}", "#/if: expected a schema: an object, true or false"},
        {"{\"type\": \"string\", \"minLength\": 3, \"maxLength\": 2}",
         "#: no value of reasonable length satisfies this schema"},
        {"{\"enum\": []}", "#: no value of reasonable length satisfies this schema"},
        {"{\"properties\": {\"a\": {\"$ref\": \"#\"}}, \"required\": [\"a\"], \"type\": "
         "\"object\"}",
         "#: no value of reasonable length satisfies this schema"},
        {"{\"type\": \"integer\", \"minimum\": 0.2, \"maximum\": 0.8}",
         "#: no value of reasonable length satisfies this schema"},
        {"{\"minItems\": 4294967296, \"type\": \"array\"}",
         "#: no value of reasonable length satisfies this schema"},
        {"{\"type\": \"string\", \"enum\": [1]}",
         "#: no value of reasonable length satisfies this schema"},
        {"{\"allOf\": [{\"type\": \"string\"}, {\"type\": \"null\"}]}",
         "#: no value of reasonable length satisfies this schema"},
        {"{\"type\": \"string\", \"not\": {\"format\": \"hostname\"}}",
         "#/not: a language of strings or numbers grows too large"},
        {"{\"type\": \"array\", \"items\": {\"type\": \"boolean\"}, \"uniqueItems\": true, "
         "\"minItems\": 3}",
         "#: no value of reasonable length satisfies this schema"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        err e = {0};
        char expected[300];
        json_t *schema = json_loads(rows[i].schema, 0, NULL);
        assert_non_null(schema);
        grammar *g = grammar_from_schema(v, schema,
                                         &(struct grammar_options){.spacing = SPACING_COMPACT}, &e);
        if (g) fail_msg("compiled: %s", rows[i].schema);
        snprintf(expected, sizeof expected, "schema: %s", rows[i].message);
        assert_string_equal(e.msg, expected);
        assert_int_equal(e.code, ERR_INPUT);
        json_decref(schema);
    }
}

static const struct grammar_options options[] = {
    {0},
    {.closed = true, .order = ORDER_ANY},
    {.order = ORDER_ANY},
    {.order = ORDER_REQUIRED_FIRST},
    {.spacing = SPACING_PYTHON},
    {.spacing = SPACING_FLEXIBLE, .space_max = 2},
    {.escapes = ESCAPES_MINIMAL},
};
#define D4 "\"$schema\": \"http://json-schema.org/draft-04/schema#\""
enum chosen { PLAIN, CLOSED, ANY, REQUIRED, PYTHON, FLEXIBLE, MINIMAL };

static void accepted(const char *schema_text, const char *text, bool expected, enum chosen chosen)
{
    err e = {0};
    rng r = rng_seed(2);
    json_t *schema = json_loads(schema_text, 0, NULL);
    grammar *g = grammar_from_schema(v, schema, &options[chosen], &e);
    if (!g) fail_msg("%s: %s", schema_text, e.msg);
    grammar_state *s = grammar_start(g);
    bool got = test_vocab_feed(v, s, &r, text, strlen(text)) && grammar_may_end(s);
    if (got != expected)
        fail_msg("%s (%d): %s: %s", schema_text, chosen, text, got ? "accepted" : "refused");
    grammar_state_free(s);
    grammar_free(g);
    json_decref(schema);
}

// What the options choose, and corners of the keywords.
static void policies(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *text;
        bool accepted;
        enum chosen chosen;
    } rows[] = {
        {"{\"properties\": {\"a\": {}}}", "{\"a\":1}", true, PLAIN},
        {"{\"properties\": {\"a\": {}}}", "{\"b\":1}", true, PLAIN},
        {"{\"properties\": {\"a\": {}}}", "{\"b\":1}", false, CLOSED},
        {"{\"properties\": {\"a\": {}}}", "{\"a\":1}", true, CLOSED},
        {"{\"properties\": {\"a\": {}}, \"additionalProperties\": {}}", "{\"b\":1}", true, CLOSED},
        {"{\"type\": \"object\"}", "{\"b\":1}", true, CLOSED},
        {"{\"not\": {\"properties\": {\"a\": {\"type\": \"null\"}}}}", "{\"a\":null,\"b\":1}",
         false, CLOSED},
        {"{\"allOf\": [{\"properties\": {\"a\": {}}}, {\"properties\": {\"b\": {}}}]}",
         "{\"a\":1,\"b\":1}", true, CLOSED},
        {"{\"oneOf\": [{\"properties\": {\"a\": {}}}, {\"required\": [\"b\"]}]}", "{\"b\":1}",
         false, CLOSED},
        {"{\"$ref\": \"#/$defs/x\", \"$defs\": {\"x\": {\"properties\": {\"a\": {}}}}}",
         "{\"b\":1}", false, CLOSED},
        {"{\"properties\": {\"a\": {}}, \"additionalProperties\": true}", "{\"b\":1,\"c\":[]}",
         true, PLAIN},
        {"{\"properties\": {\"a\": {}}}", "{\"b\":1,\"b\":2}", false, PLAIN},
        {"{\"properties\": {\"a\": {}}}", "{\"b\":1,\"\\u0062\":2}", false, PLAIN},
        {"{\"properties\": {\"a\": {}}}", "{\"a\":1,\"\\u0061\":2}", false, PLAIN},
        {"{\"properties\": {\"a\": {}}}", "{\"\\u0061\":1}", true, PLAIN},
        {"{\"properties\": {\"a\": {}}}", "{\"\\u0061\":1}", false, MINIMAL},
        {"{\"enum\": [\"a/\\n\"]}", "\"\\u0061\\/\\n\"", true, PLAIN},
        {"{\"enum\": [\"a/\\n\"]}", "\"a/\\n\"", true, MINIMAL},
        {"{\"enum\": [\"a/\\n\"]}", "\"a\\/\\n\"", false, MINIMAL},
        {"{\"type\": \"object\"}", "{\"any\":{\"thing\":null}}", true, PLAIN},
        {"{\"properties\": {\"a\": {}, \"b\": {}}}", "{\"b\":1,\"a\":2}", false, PLAIN},
        {"{\"properties\": {\"a\": {}, \"b\": {}}}", "{\"a\":1,\"b\":2,\"c\":3}", true, PLAIN},
        {"{\"properties\": {\"a\": {}, \"b\": {}}}", "{\"c\":1,\"a\":2}", false, PLAIN},
        {"{\"properties\": {\"a\": {}, \"b\": {}}}", "{\"c\":1,\"b\":1,\"a\":2}", true, ANY},
        {"{\"properties\": {\"a\": {}, \"b\": {}, \"c\": {}}, \"required\": [\"c\", \"b\"]}",
         "{\"b\":1,\"c\":1,\"a\":1}", true, REQUIRED},
        {"{\"properties\": {\"a\": {}, \"b\": {}, \"c\": {}}, \"required\": [\"c\", \"b\"]}",
         "{\"a\":1,\"b\":1,\"c\":1}", false, REQUIRED},
        {"{\"properties\": {\"a\": {}, \"b\": {}, \"c\": {}}, \"required\": [\"c\", \"b\"]}",
         "{\"c\":1,\"b\":1}", false, REQUIRED},
        {"{\"properties\": {\"a\": {}, \"b\": {}, \"c\": {}}, \"required\": [\"c\", \"b\"]}",
         "{\"a\":1,\"b\":1,\"c\":1}", true, PLAIN},
        {"{\"properties\": {\"a\": {}}}", "3", true, PLAIN},
        {"{\"properties\": {\"a\": {}}, \"type\": \"object\"}", "3", false, PLAIN},
        {"{\"anyOf\": [{\"uniqueItems\": true}, {\"items\": {\"type\": \"object\"}}]}", "[{},{}]",
         true, PLAIN},
        {"{\"anyOf\": [{\"uniqueItems\": true}, {\"items\": {\"type\": \"object\"}}]}", "[1,1]",
         false, PLAIN},
        {"{\"anyOf\": [{\"uniqueItems\": true}, {\"items\": {\"type\": \"object\"}}]}", "[1,{}]",
         true, PLAIN},
        {"{\"type\": \"object\", \"patternProperties\": {\"^[fg]$\": {}}, "
         "\"additionalProperties\": false, \"allOf\": [{\"not\": {\"additionalProperties\": "
         "{\"type\": \"string\"}}}, {\"not\": {\"additionalProperties\": {\"type\": "
         "\"integer\"}}}], \"maxProperties\": 1}",
         "{\"g\":true}", true, PLAIN},
        {"{\"type\": \"object\", \"patternProperties\": {\"^[fg]$\": {}}, "
         "\"additionalProperties\": false, \"allOf\": [{\"not\": {\"additionalProperties\": "
         "{\"type\": \"string\"}}}, {\"not\": {\"additionalProperties\": {\"type\": "
         "\"integer\"}}}], \"maxProperties\": 1}",
         "{\"g\":\"a\"}", false, PLAIN},
        {"{\"type\": \"object\", \"patternProperties\": {\"^[fg]$\": {}}, "
         "\"additionalProperties\": false, \"allOf\": [{\"not\": {\"additionalProperties\": "
         "{\"type\": \"string\"}}}, {\"not\": {\"additionalProperties\": {\"type\": "
         "\"integer\"}}}], \"minProperties\": 2}",
         "{\"g\":\"a\",\"f\":1}", true, PLAIN},
        {"{\"type\": \"object\", \"patternProperties\": {\"^[fg]$\": {}}, "
         "\"additionalProperties\": false, \"allOf\": [{\"not\": {\"additionalProperties\": "
         "{\"type\": \"string\"}}}, {\"not\": {\"additionalProperties\": {\"type\": "
         "\"integer\"}}}], \"minProperties\": 2}",
         "{\"g\":1,\"f\":1}", false, PLAIN},
        {"{\"not\": {\"additionalProperties\": {\"not\": {\"type\": \"string\"}}}, \"allOf\": "
         "[{\"not\": {\"additionalProperties\": {\"not\": {\"type\": \"integer\"}}}}], \"type\": "
         "\"object\"}",
         "{\"a\":\"\",\"b\":1}", true, PLAIN},
        {"{\"not\": {\"additionalProperties\": {\"not\": {\"type\": \"string\"}}}, \"allOf\": "
         "[{\"not\": {\"additionalProperties\": {\"not\": {\"type\": \"integer\"}}}}], \"type\": "
         "\"object\"}",
         "{\"a\":\"\",\"b\":\"\"}", false, PLAIN},
        {"{\"type\": \"array\", \"uniqueItems\": true, \"prefixItems\": [{\"enum\": [1, 2, 3]}, "
         "{\"enum\": [1, 2]}, {\"const\": 2}], \"minItems\": 3}",
         "[3,1,2]", true, PLAIN},
        {"{\"type\": \"array\", \"uniqueItems\": true, \"prefixItems\": [{\"enum\": [1, 2, 3]}, "
         "{\"enum\": [1, 2]}, {\"const\": 2}], \"minItems\": 3}",
         "[3,1,2,1e0]", false, PLAIN},
        {"{\"type\": \"array\", \"uniqueItems\": true, \"prefixItems\": [{\"enum\": [1, 2, 3]}, "
         "{\"enum\": [1, 2]}, {\"const\": 2}], \"minItems\": 3}",
         "[3,1.0,2,4]", true, PLAIN},
        {"{\"prefixItems\": [{\"const\": 2}], \"minItems\": 2, \"uniqueItems\": true}", "[2,1]",
         true, PLAIN},
        {"{\"items\": {\"type\": \"integer\"}}", "[1,2]", true, PLAIN},
        {"{\"items\": {\"type\": \"integer\"}}", "[1, 2]", false, PLAIN},
        {"{\"items\": {\"type\": \"integer\"}}", "[1, 2]", true, PYTHON},
        {"{\"items\": {\"type\": \"integer\"}}", "[1,2]", false, PYTHON},
        {"{\"items\": {\"type\": \"integer\"}}", " [ 1 ,\n2\t]\r\n", true, FLEXIBLE},
        {"{\"items\": {\"type\": \"integer\"}}", "[   1]", false, FLEXIBLE},
        {"{\"items\": {\"type\": \"integer\"}}", "[1]   ", false, FLEXIBLE},
        {"{\"minLength\": 2}", "\"ab\"", true, PLAIN},
        {"{}", "-0.5e+10", true, PLAIN},
        {"{\"format\": \"int32\", \"type\": \"integer\"}", "7", true, PLAIN},
        {"{\"type\": \"integer\", \"format\": \"date\"}", "7", true, PLAIN},
        {"{\"format\": \"date\"}", "\"2024-02-29\"", true, PLAIN},
        {"{\"format\": \"date\"}", "\"2023-02-29\"", false, PLAIN},
        {"{\"type\": \"string\", \"pattern\": \"^a+$\"}", "\"aa\"", true, PLAIN},
        {"{\"type\": \"string\", \"pattern\": \"^a+$\"}", "\"ab\"", false, PLAIN},
        {"{\"type\": \"integer\"}", "123456789012345678", true, PLAIN},
        {"{\"type\": \"integer\"}", "1234567890123456789", false, PLAIN},
        {"{\"type\": \"integer\"}", "1.0", true, PLAIN},
        {"{\"type\": \"integer\"}", "1.5", false, PLAIN},
        {"{" D4 ", \"type\": \"integer\"}", "1.0", false, PLAIN},
        {"{" D4 ", \"enum\": [0, 7]}", "7.0", true, PLAIN},
        {"{" D4 ", \"enum\": [0, 7]}", "0.0", true, PLAIN},
        {"{" D4 ", \"enum\": [0, 70]}", "7e1", true, PLAIN},
        {"{" D4 ", \"type\": \"integer\", \"enum\": [0, 7]}", "7.0", false, PLAIN},
        {"{" D4 ", \"multipleOf\": 5}", "10.0", true, PLAIN},
        {"{" D4 ", \"anyOf\": [{\"type\": \"integer\"}, {\"enum\": [2.5]}]}", "2.0", false, PLAIN},
        {"{" D4 ", \"anyOf\": [{\"type\": \"integer\"}, {\"enum\": [2.5]}]}", "2.50", true, PLAIN},
        {"{" D4 ", \"anyOf\": [{\"type\": \"integer\"}, {\"enum\": [2.5]}]}", "31", true, PLAIN},
        {"{" D4 ", \"not\": {\"type\": \"integer\"}}", "2.0", true, PLAIN},
        {"{" D4 ", \"not\": {\"type\": \"integer\"}}", "2", false, PLAIN},
        {"{\"type\": \"integer\", \"minimum\": 9007199254740993}", "9007199254740992", false,
         PLAIN},
        {"{\"type\": \"integer\", \"minimum\": 9007199254740993}", "9007199254740993", true, PLAIN},
        {"{\"type\": \"integer\", \"maximum\": -5}", "-5", true, PLAIN},
        {"{\"type\": \"integer\", \"maximum\": -5}", "-4", false, PLAIN},
        {"{\"type\": \"integer\", \"exclusiveMaximum\": 10, \"minimum\": 1}", "10", false, PLAIN},
        {"{\"type\": \"number\", \"minimum\": 0.1, \"maximum\": 0.25}", "0.10", true, PLAIN},
        {"{\"type\": \"number\", \"minimum\": 0.1, \"maximum\": 0.25}", "0.0999", false, PLAIN},
        {"{\"type\": \"number\", \"minimum\": 0.1, \"maximum\": 0.25}", "0.251", false, PLAIN},
        {"{\"type\": \"number\", \"exclusiveMinimum\": 0}", "0.0", false, PLAIN},
        {"{\"type\": \"number\", \"exclusiveMinimum\": 0}", "1e-07", true, PLAIN},
        {"{\"type\": \"number\", \"minimum\": 0}", "-1", false, PLAIN},
        {"{\"type\": \"number\", \"minimum\": 5, \"exclusiveMinimum\": true}", "5", false, PLAIN},
        {"{\"type\": \"number\", \"multipleOf\": 0.01}", "19.99", true, PLAIN},
        {"{\"type\": \"number\", \"multipleOf\": 0.01}", "19.999", false, PLAIN},
        {"{\"enum\": [1.0, \"1\"]}", "1", true, PLAIN},
        {"{\"enum\": [1.0, \"1\"]}", "1.0", true, PLAIN},
        {"{\"enum\": [1]}", "1.0", true, PLAIN},
        {"{\"enum\": [1]}", "1.1", false, PLAIN},
        {"{\"const\": {\"a\": [1, {\"b\": null}]}}", "{\"a\":[1,{\"b\":null}]}", true, PLAIN},
        {"{\"const\": {\"a\": [1, {\"b\": null}]}}", "{\"a\":[1,{\"b\":null}],\"c\":1}", false,
         PLAIN},
        {"{\"type\": [\"integer\", \"null\"], \"minimum\": 3}", "null", true, PLAIN},
        {"{\"type\": \"string\", \"enum\": [\"a\", 1]}", "1", false, PLAIN},
        {"{\"type\": \"string\", \"maxLength\": 2}", "\"\\ud83d\\ude00é\"", true, PLAIN},
        {"{\"type\": \"string\", \"maxLength\": 2}", "\"😀é.\"", false, PLAIN},
        {"{\"type\": \"string\"}", "\"\\ud83d\"", false, PLAIN},
        {"{\"type\": \"string\"}", "\"\\udc00\"", false, PLAIN},
        {"{\"type\": \"string\"}", "\"\t\"", false, PLAIN},
        {"{\"type\": \"array\", \"items\": [{\"type\": \"null\"}], \"additionalItems\": false}",
         "[null]", true, PLAIN},
        {"{\"type\": \"array\", \"items\": [{\"type\": \"null\"}], \"additionalItems\": false}",
         "[null,1]", false, PLAIN},
        {"{\"uniqueItems\": true}", "[1,1.0]", false, PLAIN},
        {"{\"uniqueItems\": true}", "[{\"a\":1,\"b\":2},{\"b\":2,\"a\":1}]", false, PLAIN},
        {"{\"uniqueItems\": true}", "[1,\"1\"]", true, PLAIN},
        {"{\"contains\": {\"const\": 1}, \"maxContains\": 1}", "[1,2]", true, PLAIN},
        {"{\"contains\": {\"const\": 1}, \"maxContains\": 1}", "[1,1]", false, PLAIN},
        {"{\"contains\": {\"const\": 1}}", "[2]", false, PLAIN},
        {"{\"oneOf\": [{\"type\": \"null\"}]}", "null", true, PLAIN},
        {"{\"oneOf\": [{\"minimum\": 2}, {\"maximum\": 3}]}", "2.5", false, PLAIN},
        {"{\"oneOf\": [{\"minimum\": 2}, {\"maximum\": 3}]}", "4", true, PLAIN},
        {"{\"if\": {\"required\": [\"a\"]}, \"then\": {\"required\": [\"b\"]}}", "{\"a\":1}", false,
         PLAIN},
        {"{\"if\": {\"required\": [\"a\"]}, \"then\": {\"required\": [\"b\"]}}", "{\"c\":1}", true,
         PLAIN},
        {"{\"dependentRequired\": {\"a\": [\"b\"]}}", "{\"a\":1,\"b\":1}", true, ANY},
        {"{\"allOf\": [{\"properties\": {\"a\": {}}}], \"unevaluatedProperties\": false}",
         "{\"a\":1}", true, PLAIN},
        {"{\"allOf\": [{\"properties\": {\"a\": {}}}], \"unevaluatedProperties\": false}",
         "{\"b\":1}", false, PLAIN},
        {"{\"properties\": {\"a\": {\"$ref\": \"#/$defs/x~1y/%7A\"}}, \"$defs\": {\"x/y\": {\"z\": "
         "{\"type\": \"null\"}}}}",
         "{\"a\":null}", true, PLAIN},
        {"{\"$ref\": \"#n\", \"$defs\": {\"x\": {\"$anchor\": \"n\", \"type\": \"null\"}}}", "null",
         true, PLAIN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        accepted(rows[i].schema, rows[i].text, rows[i].accepted, rows[i].chosen);
}

static json_t *nested(size_t depth, const char *keyword)
{
    json_t *s = json_pack("{s:s}", "type", "null");
    for (size_t i = 0; i < depth; i++) s = json_pack("{s:o}", keyword, s);
    return s;
}

static json_t *chain(size_t n)
{
    json_t *defs = json_object();
    for (size_t i = 0; i < n; i++) {
        char name[32], ref[40];
        snprintf(name, sizeof name, "d%zu", i);
        snprintf(ref, sizeof ref, "#/$defs/d%zu", i + 1);
        json_object_set_new(defs, name,
                            i + 1 < n ? json_pack("{s:{s:{s:s}}, s:[s]}", "properties", "a", "$ref",
                                                  ref, "required", "a")
                                      : json_pack("{s:s}", "type", "null"));
    }
    return json_pack("{s:s, s:o}", "$ref", "#/$defs/d0", "$defs", defs);
}

static json_t *wide_union(size_t n, size_t levels)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        char name[32];
        snprintf(name, sizeof name, "p%zu", i);
        json_t *below =
            levels > 1 ? wide_union(n, levels - 1) : json_pack("{s:s}", "type", "integer");
        json_array_append_new(list, json_pack("{s:s, s:{s:o, s:{s:s}}}", "type", "object",
                                              "properties", "x", below, name, "type", "null"));
    }
    return json_pack("{s:o}", "anyOf", list);
}

static json_t *large_enum(size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        char text[40];
        snprintf(text, sizeof text, "value %zu", i * 7919 % n);
        json_array_append_new(list, json_string(text));
    }
    return json_pack("{s:o}", "enum", list);
}

static json_t *many_properties(size_t n)
{
    json_t *p = json_object(), *required = json_array();
    for (size_t i = 0; i < n; i++) {
        char text[40];
        snprintf(text, sizeof text, "key %zu", i);
        json_object_set_new(p, text, json_pack("{s:s}", "type", "boolean"));
        if (i % 3 == 0) json_array_append_new(required, json_string(text));
    }
    return json_pack("{s:o, s:o, s:b}", "properties", p, "required", required,
                     "additionalProperties", 1);
}

// Each level is one of three that overlap.
static json_t *nested_one_of(size_t depth)
{
    json_t *s = json_pack("{s:s, s:i}", "type", "string", "maxLength", 3);
    for (size_t i = 0; i < depth; i++) {
        char key[32], pattern[32];
        snprintf(key, sizeof key, "k%zu", i);
        snprintf(pattern, sizeof pattern, "^%zu", i);
        s = json_pack("{s:[o, {s:s, s:{s:{s:s, s:s}}, s:[s]}, {s:s, s:{s:{s:s}}, s:i}]}", "oneOf",
                      s, "type", "object", "properties", key, "type", "string", "pattern", pattern,
                      "required", key, "type", "object", "properties", key, "type", "integer",
                      "minProperties", (int)i);
    }
    return s;
}

static json_t *enum_of_objects(size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:i, s:[i]}", "a", (int)i, "b", (int)i * 7));
    return json_pack("{s:o}", "enum", list);
}

static json_t *distinct(json_t *items, size_t min)
{
    return json_pack("{s:s, s:b, s:o, s:i}", "type", "array", "uniqueItems", 1, "items", items,
                     "minItems", (int)min);
}

// A character of a string that has a limit is a state: such a string ends after 25,000 of them.
static void long_strings_stay_small(void **state)
{
    (void)state;
    static const char *const schemas[] = {
        "{\"type\": \"string\", \"maxLength\": 1000000}",
        "{\"type\": \"string\", \"minLength\": 25000}",
        "{\"type\": \"string\", \"maxLength\": 1000000, \"pattern\": \"^([a-z]|[b-z]{3})*$\"}",
    };
    uint64_t *bits = mem_new(8 * (size_t)(v->n_token / 64 + 1));
    int32_t a = 0;
    while (v->len[a] != 1 || v->bytes[a][0] != 'a') a++;
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++) {
        err e = {0};
        rng r = rng_seed(4);
        json_t *schema = json_loads(schemas[i], 0, NULL);
        grammar *g = grammar_from_schema(v, schema, NULL, &e);
        if (!g) fail_msg("%s: %s", schemas[i], e.msg);
        grammar_state *s = grammar_start(g);
        assert_true(test_vocab_feed(v, s, &r, "\"", 1));
        for (int n = 0; n < 25000; n++) {
            if (n % 100 == 0) assert_true(grammar_mask(s, -1, bits) > 0);
            assert_true(grammar_accept(s, a));
        }
        if (i != 1) assert_false(grammar_accept(s, a));
        assert_true(test_vocab_feed(v, s, &r, "\"", 1) && grammar_may_end(s));
        size_t bytes = grammar_bytes(g) + grammar_state_bytes(s, 25002);
        if (bytes > (size_t)32 << 20) fail_msg("%s: %zu bytes", schemas[i], bytes);
        grammar_state_free(s);
        grammar_free(g);
        json_decref(schema);
    }
    free(bits);
}

// An array of n elements, each with `len` letters at random between these texts.
static char *array_text(rng *r, size_t n, size_t len, const char *before, const char *after)
{
    buf b = buf_new(1 << 20);
    buf_str(&b, "[");
    for (size_t i = 0; i < n; i++) {
        buf_str(&b, i ? "," : "");
        buf_str(&b, before);
        for (size_t k = 0; k < len; k++) buf_byte(&b, "abcdefghijklmnop"[rng_below(r, 16)]);
        buf_str(&b, after);
    }
    buf_str(&b, "]");
    char *text = mem_str(buf_text(&b));
    buf_free(&b);
    return text;
}

// What an element would be if it ended here is not kept for each place where a token could end it.
static void compared_elements_stay_small(void **state)
{
    (void)state;
    static const char *const pieces[] = {"\"", ",", "}", "{", ",\"", "\",\"", "\"},{\"", "a", "1"};
    static const struct {
        const char *items;
        size_t n, len;
        const char *before, *after;
    } rows[] = {
        {"{\"type\": \"string\"}", 2, 5000, "\"", "\""},
        {"{\"type\": \"string\"}", 90, 111, "\"", "\""},
        {"{}", 48, 200, "{\"a\":\"", "\"}"},
        {"{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"string\"}}, \"required\": "
         "[\"a\"], \"additionalProperties\": false}",
         48, 200, "{\"a\":\"", "\"}"},
        {"{\"type\": [\"string\", \"integer\"]}", 60, 80, "\"", "\""},
    };
    rng r = rng_seed(6);
    grammar_vocab *w = test_vocab_of(&r, pieces, sizeof pieces / sizeof *pieces, 60);
    uint64_t *bits = mem_new(8 * (size_t)(w->n_token / 64 + 1));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        err e = {0};
        json_t *items = json_loads(rows[i].items, 0, NULL);
        json_t *schema =
            json_pack("{s:s, s:b, s:o}", "type", "array", "uniqueItems", 1, "items", items);
        grammar *g = grammar_from_schema(w, schema, NULL, &e);
        if (!g) fail_msg("%s: %s", rows[i].items, e.msg);
        char *text = array_text(&r, rows[i].n, rows[i].len, rows[i].before, rows[i].after);
        grammar_state *s = grammar_start(g);
        for (const char *c = text; *c; c++) {
            int32_t t = 0;
            while (w->len[t] != 1 || w->bytes[t][0] != *c) t++;
            assert_true(grammar_mask(s, -1, bits) > 0);
            assert_true(grammar_accept(s, t));
        }
        assert_true(grammar_may_end(s));
        print_message("row %zu: %.1f MB\n", i, (double)grammar_bytes(g) / 1e6);
        if (grammar_bytes(g) > (size_t)32 << 20)
            fail_msg("%s: %zu bytes", rows[i].items, grammar_bytes(g));
        grammar_state_free(s);
        grammar_free(g);
        json_decref(schema);
        free(text);
    }
    free(bits);
    test_vocab_free(w);
}

// 5,000 words that must differ, all of them: a step does not look at each of them.
static void many_distinct_words_end(void **state)
{
    (void)state;
    err e = {0};
    uint64_t *bits = mem_new(8 * (size_t)(v->n_token / 64 + 1));
    json_t *words = large_enum(5000), *schema = distinct(words, 5000);
    grammar *g = grammar_from_schema(v, schema, NULL, &e);
    if (!g) fail_msg("%s", e.msg);
    char *text = json_dumps(json_object_get(words, "enum"), JSON_COMPACT);
    int64_t start = clock_us();
    grammar_state *s = grammar_start(g);
    for (const char *c = text; *c; c++) {
        int32_t t = 0;
        while (v->len[t] != 1 || v->bytes[t][0] != *c) t++;
        assert_true(grammar_mask(s, -1, bits) > 0);
        assert_true(grammar_accept(s, t));
    }
    assert_true(grammar_may_end(s));
    print_message("%.0f ms\n", (double)(clock_us() - start) / 1000);
    assert_true(clock_us() - start < 20000000 && grammar_bytes(g) < (size_t)32 << 20);
    grammar_state_free(s);
    grammar_free(g);
    json_decref(schema);
    free(text);
    free(bits);
}

// Compiles (or is refused) and walks some way, in bounded time and memory.
static void hostile_schemas_end(void **state)
{
    (void)state;
    json_t *rows[] = {
        nested(100000, "items"),
        nested(150, "items"),
        chain(150),
        chain(5000),
        wide_union(60, 2),
        wide_union(6, 4),
        large_enum(20000),
        nested_one_of(16),
        enum_of_objects(5000),
        distinct(large_enum(5000), 1000),
        distinct(json_pack("{s:s}", "type", "string"), 0),
        distinct(enum_of_objects(20), 15),
        many_properties(2000),
        json_loads("{\"type\": \"string\", \"minLength\": 100000, \"maxLength\": 1000000}", 0,
                   NULL),
        json_loads("{\"type\": \"array\", \"minItems\": 10000, \"maxItems\": 10000, \"items\": {}}",
                   0, NULL),
        json_loads("{\"type\": \"object\", \"minProperties\": 60, \"additionalProperties\": "
                   "{\"type\": \"null\"}}",
                   0, NULL),
        json_loads("{\"$defs\": {\"n\": {\"anyOf\": [{\"type\": \"null\"}, {\"properties\": "
                   "{\"l\": {\"$ref\": \"#/$defs/n\"}}, "
                   "\"required\": [\"l\"]}, {\"properties\": {\"l\": {\"$ref\": \"#/$defs/n\"}, "
                   "\"r\": {\"$ref\": \"#/$defs/n\"}}, "
                   "\"required\": [\"l\"]}]}}, \"$ref\": \"#/$defs/n\"}",
                   0, NULL),
        json_loads("{\"items\": {\"$ref\": \"#\"}}", 0, NULL),
    };
    rng r = rng_seed(4);
    uint64_t *bits = mem_new(8 * (size_t)(v->n_token / 64 + 1));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        err e = {0};
        int64_t start = clock_us();
        assert_non_null(rows[i]);
        grammar *g = grammar_from_schema(v, rows[i],
                                         &(struct grammar_options){.spacing = SPACING_COMPACT}, &e);
        if (g) {
            grammar_state *s = grammar_start(g);
            for (int step = 0; step < 60; step++) {
                int n = grammar_mask(s, -1, bits);
                assert_true(n > 0);
                int32_t t = -1;
                uint64_t seen = 0;
                for (int32_t k = 0; k < v->n_token; k++)
                    if (bits[k / 64] >> (k % 64) & 1 && rng_below(&r, ++seen) == 0) t = k;
                assert_true(grammar_accept(s, t));
                if (t == v->end) break;
            }
            grammar_state_free(s);
        }
        if (g) assert_true(grammar_bytes(g) < (size_t)32 << 20);
        print_message("row %zu: %s, %.0f ms\n", i, g ? "compiled" : e.msg,
                      (double)(clock_us() - start) / 1000);
        assert_true(clock_us() - start < 20000000);
        grammar_free(g);
        json_decref(rows[i]);
    }
    free(bits);
}

// Beyond some depth only what is needed is written: `[[[[...` ends by itself.
static void nesting_ends(void **state)
{
    (void)state;
    err e;
    json_t *schema = json_loads("{\"items\": {\"$ref\": \"#\"}, \"type\": \"array\"}", 0, NULL);
    grammar *g =
        grammar_from_schema(v, schema, &(struct grammar_options){.spacing = SPACING_COMPACT}, &e);
    grammar_state *s = grammar_start(g);
    int depth = 0;
    while (depth < 5000 && grammar_accept(s, '[')) depth++;
    assert_true(depth >= 500 && depth < 1000);
    assert_true(grammar_accept(s, ']'));
    grammar_state_free(s);
    grammar_free(g);
    json_decref(schema);
}

static void bad_vocabularies(void **state)
{
    (void)state;
    err e = {0};
    const char *bytes[] = {"a", "b"};
    const uint32_t len[] = {1, 1};
    const uint8_t kind[] = {VOCAB_TEXT, VOCAB_TEXT};
    grammar_vocab w = {2, bytes, len, kind, 0, NULL};
    assert_int_equal(grammar_vocab_prepare(&w, &e), -1);
    assert_string_equal(e.msg, "vocabulary: no token for the byte 0x0a alone");
    w.end = 2;
    assert_int_equal(grammar_vocab_prepare(&w, &e), -1);
    assert_string_equal(e.msg, "vocabulary: end token 2 is not one of 2 tokens");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals),
        cmocka_unit_test(policies),
        cmocka_unit_test(long_strings_stay_small),
        cmocka_unit_test(compared_elements_stay_small),
        cmocka_unit_test(many_distinct_words_end),
        cmocka_unit_test(hostile_schemas_end),
        cmocka_unit_test(nesting_ends),
        cmocka_unit_test(bad_vocabularies),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
