// The validator on its own: its messages, what it refuses, its patterns and formats.
// If this fails, tool calls with wrong arguments run, or right ones are turned away.
#include "test.h"

#include "base/rng.h"
#include "engine/schema.h"

static void messages(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *doc, *message;
    } rows[] = {
        {"{\"required\": [\"path\"]}", "{}", "/path: missing"},
        {"{\"properties\": {\"n\": {\"type\": \"integer\"}}}", "{\"n\": \"3\"}",
         "/n: expected integer, found string"},
        {"{\"type\": [\"string\", \"null\"]}", "1",
         "the value: expected string or null, found integer"},
        {"{\"enum\": [\"a\", 1]}", "\"b\"", "the value: expected one of \"a\", 1; found \"b\""},
        {"{\"const\": null}", "\"b\"", "the value: expected null"},
        {"{\"properties\": {\"a\": {}, \"b\": {}}, \"additionalProperties\": false}", "{\"c\": 1}",
         "/c: not a known property; known are a, b"},
        {"{\"items\": {\"minimum\": 3}}", "[4, 2]", "/1: must be at least 3"},
        {"{\"items\": {\"exclusiveMaximum\": 3.5}}", "[4]", "/0: must be less than 3.5"},
        {"{\"minLength\": 2}", "\"é\"", "the value: must have at least 2 characters, has 1"},
        {"{\"anyOf\": [{\"type\": \"null\"}, {\"required\": [\"a\"]}]}", "{}", "/a: missing"},
        {"{\"oneOf\": [{}, {}]}", "1",
         "the value: fits 2 of the alternatives; it must fit exactly one"},
        {"{\"pattern\": \"^a+$\"}", "\"b\"", "the value: must match the pattern ^a+$"},
        {"{\"uniqueItems\": true}", "[1, 2, 1.0]",
         "the value: items 0 and 2 are equal; all must differ"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        err e = {0};
        json_t *schema = json_loads(rows[i].schema, 0, NULL),
               *doc = json_loads(rows[i].doc, JSON_DECODE_ANY, NULL);
        assert_int_equal(schema_validate(schema, doc, &e), -1);
        assert_string_equal(e.msg, rows[i].message);
        assert_int_equal(e.code, ERR_FAILED);
        json_decref(schema);
        json_decref(doc);
    }
}

static json_t *parsed(const char *text)
{
    json_error_t e;
    json_t *v = json_loads(text, JSON_DECODE_ANY, &e);
    if (!v) fail_msg("%s: %s", e.text, text);
    return v;
}

// 1: valid, 0: invalid, -1: refused.
static int verdict(const char *schema, const char *doc, struct schema_fault *f)
{
    err e = {0};
    json_t *s = parsed(schema), *d = parsed(doc);
    validator *v = validator_open(s, NULL, &e);
    *f = (struct schema_fault){.code = ERR_INPUT};
    if (!v) snprintf(f->text, sizeof f->text, "%.400s", e.msg);
    int rc = v ? validator_check(v, d, f) : -1;
    validator_close(v);
    json_decref(s);
    json_decref(d);
    return rc == 0 ? 1 : f->code == ERR_FAILED ? 0 : -1;
}

static void places(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *doc, *instance, *rule;
    } rows[] = {
        {"{\"properties\": {\"a/b\": {\"$ref\": \"#/$defs/n\"}}, \"$defs\": {\"n\": {\"type\": "
         "\"null\"}}}",
         "{\"a/b\": 1}", "/a~1b", "/$defs/n/type"},
        {"{\"allOf\": [{}, {\"items\": [{}, {\"const\": 1}]}]}", "[0, 2]", "/1",
         "/allOf/1/items/1/const"},
        {"{\"if\": true, \"then\": {\"maximum\": 3}}", "4", "", "/then/maximum"},
        {"{\"$defs\": {\"x\": {\"$anchor\": \"here\", \"minLength\": 2}}, \"$ref\": \"#here\"}",
         "\"a\"", "", "/$defs/x/minLength"},
        {"{\"patternProperties\": {\"^a\": {\"type\": \"null\"}}}", "{\"ab\": 1}", "/ab",
         "/patternProperties/^a/type"},
        {"{\"dependencies\": {\"a\": [\"b\"]}}", "{\"a\": 1}", "/b", "/dependencies/a"},
        {"{\"propertyNames\": {\"maxLength\": 1}}", "{\"ab\": 1}", "/ab",
         "/propertyNames/maxLength"},
        {"{\"if\": {\"const\": 1}, \"else\": {\"not\": {}}}", "4", "", "/else/not"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct schema_fault f;
        assert_int_equal(verdict(rows[i].schema, rows[i].doc, &f), 0);
        assert_string_equal(f.instance, rows[i].instance);
        assert_string_equal(f.rule, rows[i].rule);
    }
}

static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *why;
    } rows[] = {
        {"{\"$ref\": \"https://example.org\"}", "leads out of the schema"},
        {"{\"$ref\": \"#/x\"}", "there is nothing at #/x"},
        {"{\"$ref\": \"#\"}", "refers to itself without an end"},
        {"{\"anyOf\": [{\"$ref\": \"#\"}, {}]}", "refers to itself without an end"},
        {"{\"not\": {\"$ref\": \"#/x\"}}", "there is nothing at #/x"},
        {"{\"$schema\": \"http://json-schema.org/draft-03/schema#\"}", "$schema: expected"},
        {"{\"$schema\": 7}", "$schema: expected"},
        {"{\"pattern\": \"(\"}", "not closed"},
        {"{\"pattern\": \"(a|aa|aaa)*b|((a*)*)*c\"}", "too long to match"},
        {"{\"pattern\": \"(?<=a+)b\"}", "lookbehind"},
        {"{\"type\": \"text\"}", "the name of a type"},
        {"{\"type\": [\"string\", 1]}", "the name of a type"},
        {"{\"minLength\": \"1\"}", "expected a count"},
        {"{\"minLength\": 1.5}", "expected a count"},
        {"{\"enum\": 1}", "expected a list"},
        {"{\"required\": true}", "expected a list of names"},
        {"{\"anyOf\": []}", "expected a list of schemas"},
        {"{\"multipleOf\": 0}", "above 0"},
        {"{\"minimum\": \"1\"}", "expected a number"},
        {"{\"format\": 1}", "the name of a format"},
        {"{\"allOf\": [3]}", "expected a schema"},
        {"3", "expected an object, true or false"},
    };
    const char *doc =
        "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"";
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct schema_fault f;
        if (verdict(rows[i].schema, doc, &f) != -1) fail_msg("%s: not refused", rows[i].schema);
        if (!strstr(f.text, rows[i].why)) fail_msg("%s: %s", rows[i].schema, f.text);
    }
}

// Where the drafts differ, and what holds without $schema.
static void drafts(void **state)
{
    (void)state;
#define D4    "\"$schema\": \"http://json-schema.org/draft-04/schema#\""
#define D7    "\"$schema\": \"http://json-schema.org/draft-07/schema#\""
#define D2019 "\"$schema\": \"https://json-schema.org/draft/2019-09/schema\""
#define D2020 "\"$schema\": \"https://json-schema.org/draft/2020-12/schema\""
    static const struct {
        const char *schema, *doc;
        int verdict;
    } rows[] = {
        {"{" D7 ", \"$ref\": \"#/definitions/a\", \"maximum\": 1, \"definitions\": {\"a\": {}}}",
         "2", 1},
        {"{" D2019 ", \"$ref\": \"#/$defs/a\", \"maximum\": 1, \"$defs\": {\"a\": {}}}", "2", 0},
        {"{\"$ref\": \"#/$defs/a\", \"maximum\": 1, \"$defs\": {\"a\": {}}}", "2", 0},
        {"{" D4 ", \"maximum\": 2, \"exclusiveMaximum\": true}", "2", 0},
        {"{\"maximum\": 2, \"exclusiveMaximum\": true}", "2", 0},
        {"{" D4 ", \"type\": \"integer\"}", "1.0", 0},
        {"{\"type\": \"integer\"}", "1.0", 1},
        {"{" D4 ", \"const\": 1}", "2", 1},
        {"{" D7 ", \"const\": 1}", "2", 0},
        {"{" D7 ", \"prefixItems\": [false]}", "[1]", 1},
        {"{" D2020 ", \"prefixItems\": [false]}", "[1]", 0},
        {"{\"items\": [{}], \"additionalItems\": false}", "[1, 2]", 0},
        {"{\"prefixItems\": [{}], \"items\": false}", "[1, 2]", 0},
        {"{" D7 ", \"dependentRequired\": {\"a\": [\"b\"]}}", "{\"a\": 1}", 1},
        {"{\"dependentRequired\": {\"a\": [\"b\"]}}", "{\"a\": 1}", 0},
        {"{\"dependencies\": {\"a\": [\"b\"]}}", "{\"a\": 1}", 0},
        {"{" D7 ", \"contains\": {}, \"minContains\": 0}", "[]", 0},
        {"{" D2019 ", \"contains\": {}, \"minContains\": 0}", "[]", 1},
        {"{" D4 ", \"id\": \"x:/a\", \"properties\": {\"b\": {\"$ref\": \"c\"}}, "
         "\"definitions\": {\"c\": {\"id\": \"c\", \"type\": \"null\"}}}",
         "{\"b\": 1}", 0},
        {"{\"properties\": {\"b\": {\"id\": \"c\", \"$ref\": \"#/d\"}}, \"d\": false}",
         "{\"b\": 1}", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct schema_fault f;
        int v = verdict(rows[i].schema, rows[i].doc, &f);
        if (v != rows[i].verdict)
            fail_msg("%s of %s: %d (%s)", rows[i].doc, rows[i].schema, v, f.text);
    }
}

static void numbers(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *doc;
        bool valid;
    } rows[] = {
        {"{\"multipleOf\": 0.1}", "0.3", true},
        {"{\"multipleOf\": 0.01}", "19.99", true},
        {"{\"multipleOf\": 0.01}", "19.995", false},
        {"{\"multipleOf\": 3}", "9000000000000000000", true},
        {"{\"multipleOf\": 7}", "9000000000000000000", false},
        {"{\"multipleOf\": 3}", "3e300", true},
        {"{\"multipleOf\": 7}", "1e300", false},
        {"{\"multipleOf\": 1e300}", "5", false},
        {"{\"multipleOf\": 1e300}", "0", true},
        {"{\"multipleOf\": 9223372036854775807}", "9223372036854775807", true},
        {"{\"multipleOf\": 9223372036854775807}", "9223372036854775806", false},
        {"{\"const\": 1}", "1.0", true},
        {"{\"enum\": [{\"a\": [1.0]}]}", "{\"a\": [1]}", true},
        {"{\"const\": 9007199254740993}", "9007199254740992.0", false},
        {"{\"maximum\": 9007199254740992.0}", "9007199254740993", false},
        {"{\"const\": 0}", "-0.0", true},
        {"{\"uniqueItems\": true}", "[0, -0.0]", false},
        {"{\"uniqueItems\": true}", "[{\"a\": 1, \"b\": 2}, {\"b\": 2.0, \"a\": 1}]", false},
        {"{\"uniqueItems\": true}", "[1, true, \"1\", [1], {\"1\": 1}, null, 0, false]", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct schema_fault f;
        if (verdict(rows[i].schema, rows[i].doc, &f) != rows[i].valid)
            fail_msg("%s of %s: %s", rows[i].doc, rows[i].schema, f.text);
    }
}

// The pairs of a small list, each judged by const, are the slow twin of uniqueItems.
static void unique_as_pairs(void **state)
{
    (void)state;
    static const char *const pool[] = {"1",
                                       "1.0",
                                       "2",
                                       "true",
                                       "\"1\"",
                                       "[1]",
                                       "[1.0]",
                                       "{\"a\": 1}",
                                       "{\"a\": 1, \"b\": 0}",
                                       "{\"b\": 0.0, \"a\": 1}",
                                       "[]",
                                       "{}",
                                       "null",
                                       "0",
                                       "-0.0",
                                       "1e2",
                                       "100"};
    rng r = rng_seed(11);
    json_t *unique = parsed("{\"uniqueItems\": true}");
    for (int round = 0; round < 2000; round++) {
        json_t *list = json_array();
        bool differ = true;
        err e;
        for (uint64_t n = rng_below(&r, 5); n; n--)
            json_array_append_new(list, parsed(pool[rng_below(&r, sizeof pool / sizeof *pool)]));
        for (size_t i = 0; i < json_array_size(list); i++)
            for (size_t k = 0; k < i; k++) {
                json_t *as = json_pack("{s:O}", "const", json_array_get(list, i));
                if (schema_validate(as, json_array_get(list, k), &e) == 0) differ = false;
                json_decref(as);
            }
        assert_int_equal(schema_validate(unique, list, &e) == 0, differ);
        json_decref(list);
    }
    json_decref(unique);
}

static void patterns(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool matches;
    } rows[] = {
        {"^a$", "a\n", false},
        {"^.$", "\u2028", false},
        {"^.$", "\U0001F600", true},
        {"^\\s$", "\u00a0", true},
        {"^[\\s]$", "\ufeff", true},
        {"^\\S$", "\u3000", false},
        {"^[^\\S]$", "\u3000", true},
        {"^\\d$", "\u0663", false},
        {"^\\w$", "\u00e9", false},
        {"^\\v$", "\n", false},
        {"^[]$", "", false},
        {"^[^]$", "\n", true},
        {"^[[:alpha:]]$", "a]", true},
        {"^\\cJ$", "\n", true},
        {"^\\u0061\\x62$", "ab", true},
        {"^\\u{1F600}$", "\U0001F600", true},
        {"^\\uD83D\\uDE00$", "\U0001F600", true},
        {"^[\\b]$", "\b", true},
        {"a\\b", "a-", true},
        {"^(a)?\\1b$", "b", true},
        {"^(?<x>a)\\k<x>$", "aa", true},
        {"^\\p{Letter}+$", "\u00e9\u0416", true},
        {"^\\p{Script=Greek}$", "\u03b1", true},
        {"^\\P{Lu}$", "A", false},
        {"^a{2}{$", "aa{", true},
        {"^a{,2}$", "a{,2}", true},
        {"^a{2,}?$", "aaa", true},
        {"^\\/\\-\\@$", "/-@", true},
        {"(?=.*b)^a", "ab", true},
        {"(?<!x)y", "xy", false},
        {"^[a-c-e]$", "-", true},
        {"^[\\w-.]$", "-", true},
        {"^[a\\-c]$", "b", false},
        {"a|^$", "", true},
        {"^\\0$", "\x01", false},
    };
    static const char *const wrong[] = {
        "(",       ")",           "[",       "a**",           "*",        "a++",   "(?i)a",
        "\\A",     "\\Z",         "\\a",     "\\8",           "(?P<n>a)", "(?>a)", "[b-a]",
        "\\u12",   "\\u{110000}", "\\x1",    "\\p{Nonsense}", "\\p",      "\\c1",  "\\",
        "(?<1>a)", "^*",          "\\Qa\\E", "(?#x)",         "a{2,1}",   "\\07"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        err e;
        json_t *schema = json_pack("{s:s}", "pattern", rows[i].pattern),
               *doc = json_string(rows[i].text);
        bool valid = schema_validate(schema, doc, &e) == 0;
        if (valid != rows[i].matches)
            fail_msg("%s on %s: %s", rows[i].pattern, rows[i].text, e.msg);
        assert_true(schema_format_holds("regex", rows[i].pattern, strlen(rows[i].pattern)));
        json_decref(schema);
        json_decref(doc);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (schema_format_holds("regex", wrong[i], strlen(wrong[i])))
            fail_msg("%s: taken for a pattern", wrong[i]);
}

// What the published suite leaves out.
static void formats(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        bool holds;
    } rows[] = {
        {"date", "1900-02-29", false},
        {"date", "2000-02-29", true},
        {"date", "2024-06-00", false},
        {"time", "23:59:60+00:30", false},
        {"time", "23:29:60-00:30", true},
        {"time", "12:00:00", false},
        {"date-time", "2024-01-01T00:00:00.5+23:59", true},
        {"date-time", "2024-01-01 00:00:00Z", false},
        {"duration", "P1Y2M3DT4H5M6S", true},
        {"duration", "P1Y3D", false},
        {"duration", "PT", false},
        {"duration", "P1W2D", false},
        {"ipv4", "1.2.3.256", false},
        {"ipv4", "1.2.3.04", false},
        {"ipv6", "1::2::3", false},
        {"ipv6", "::ffff:1.2.3.4", true},
        {"ipv6", "1:2:3:4:5:6:7:8:9", false},
        {"ipv6", "1:2:3:4:5:6:7::", true},
        {"ipv6", "fe80::1%eth0", false},
        {"email", "a.@b.c", false},
        {"email", "\"a b\"@[IPv6:::1]", true},
        {"email", "a@bc--d.e", true},
        {"email", "a@b.-c", false},
        {"email", "a@b..c", false},
        {"email", "a@b.c.", false},
        {"email", "a@", false},
        {"email", "a@[1.2.3]", false},
        {"hostname", "a..b", false},
        {"hostname", "xn--", false},
        {"idn-hostname", "b\u00fccher.de", true},
        {"uri", "http://[::1]:80/%zz", false},
        {"uri", "urn:a:b?c#d", true},
        {"uri", "//a/b", false},
        {"uri-reference", "//a/b", true},
        {"uri-reference", "a b", false},
        {"iri", "http://\u00e4/\u00f6", true},
        {"uuid", "123e4567-e89b-12d3-a456-42661417400G", false},
        {"uri-template", "/a/{b:0}", false},
        {"uri-template", "/a/{?b*,c:12}", true},
        {"json-pointer", "/a~2", false},
        {"relative-json-pointer", "01/a", false},
        {"no such format", "", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (schema_format_holds(rows[i].name, rows[i].text, strlen(rows[i].text)) != rows[i].holds)
            fail_msg("%s: %s", rows[i].name, rows[i].text);
}

// References lead to documents that were handed in, by the URI they came from and by their own.
static void documents(void **state)
{
    (void)state;
    err e;
    struct schema_fault f;
    json_t *docs =
        parsed("{\"x:/a\": {\"$id\": \"y:/b\", \"$defs\": {\"n\": {\"type\": \"null\"}}}}");
    static const char *const refs[] = {"x:/a#/$defs/n", "y:/b#/$defs/n"};
    struct schema_options o = {.documents = docs};
    for (size_t i = 0; i < 2; i++) {
        json_t *schema = json_pack("{s:s}", "$ref", refs[i]), *one = json_integer(1);
        validator *v = validator_open(schema, &o, &e);
        assert_non_null(v);
        assert_int_equal(validator_check(v, one, &f), -1);
        assert_int_equal(f.code, ERR_FAILED);
        assert_string_equal(f.rule, "x:/a#/$defs/n/type");
        assert_int_equal(validator_check(v, json_null(), &f), 0);
        validator_close(v);
        json_decref(schema);
        json_decref(one);
    }
    json_decref(docs);
}

// A document may nest as deep as a parser allows with room for one reference a level, no deeper.
static void depth(void **state)
{
    (void)state;
    err e = {0};
    json_t *schema = parsed("{\"items\": {\"$ref\": \"#\"}}"), *list = json_array();
    for (int i = 0; i < 400; i++) {
        json_t *outer = json_array();
        json_array_append_new(outer, list);
        list = outer;
    }
    assert_int_equal(schema_validate(schema, list, &e), 0);
    for (int i = 0; i < 400; i++) {
        json_t *outer = json_array();
        json_array_append_new(outer, list);
        list = outer;
    }
    assert_int_equal(schema_validate(schema, list, &e), -1);
    assert_int_equal(e.code, ERR_INPUT);
    json_decref(list);
    json_decref(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages), cmocka_unit_test(places),  cmocka_unit_test(refusals),
        cmocka_unit_test(drafts),   cmocka_unit_test(numbers), cmocka_unit_test(unique_as_pairs),
        cmocka_unit_test(patterns), cmocka_unit_test(formats), cmocka_unit_test(documents),
        cmocka_unit_test(depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
