// Formats: a table of strings that tells every rule apart, and the JSON Schema Test Suite's
// optional format tests where they are at hand. If this fails, a date that is none, or an address
// with a stray bracket, passes as what its schema asks for.
#include "test.h"

#include "base/file.h"
#include "engine/lex.h"

#include <jansson.h>

static const struct {
    const char *format, *text;
    bool valid;
} rows[] = {
    {"date", "2024-02-29", true},
    {"date", "2023-02-29", false},
    {"date", "1900-02-29", false},
    {"date", "2000-02-29", true},
    {"date", "2023-02-28", true},
    {"date", "2023-04-31", false},
    {"date", "2023-04-30", true},
    {"date", "2023-12-31", true},
    {"date", "2023-00-10", false},
    {"date", "2023-13-01", false},
    {"date", "2023-01-00", false},
    {"date", "23-01-01", false},
    {"date", "2023-1-01", false},
    {"time", "23:59:59Z", true},
    {"time", "24:00:00Z", false},
    {"time", "12:00:00", false},
    {"time", "12:00:00.25+05:30", true},
    {"time", "12:00:00.+05:30", false},
    {"time", "12:00:60Z", false},
    {"time", "23:59:60z", true},
    {"time", "15:59:60.5-08:00", true},
    {"time", "15:59:60-08:01", false},
    {"time", "00:00:60+00:01", true},
    {"time", "00:00:60Z", false},
    {"date-time", "2024-02-29T00:00:00Z", true},
    {"date-time", "2024-02-29t00:00:00.123456z", true},
    {"date-time", "2024-02-30T00:00:00Z", false},
    {"date-time", "2024-02-29 00:00:00Z", false},
    {"duration", "P1Y2M3DT4H5M6S", true},
    {"duration", "P1Y3D", false},
    {"duration", "P3W", true},
    {"duration", "PT", false},
    {"email", "a.b+c@example.com", true},
    {"email", "a@b@c", false},
    {"email", "a@[IPv6:::1]", true},
    {"email", "a@[IPv6:1:2:3:4:5:6:7::]", false},
    {"email", "a@-b.c", false},
    {"email", "a@bc--d.e", true},
    {"hostname", "a", true},
    {"hostname", "a--b.c", true},
    {"hostname", "ab--c", false}, // not said to be valid, though some such names are
    {"hostname", "aa-b", true},
    {"hostname", "a-", false},
    {"hostname", "a..b", false},
    {"ipv4", "255.255.255.255", true},
    {"ipv4", "256.0.0.0", false},
    {"ipv4", "01.0.0.0", false},
    {"ipv4", "1.2.3", false},
    {"ipv6", "::", true},
    {"ipv6", "1:2:3:4:5:6:7:8", true},
    {"ipv6", "1:2:3:4:5:6:7::", true},
    {"ipv6", "1::2::3", false},
    {"ipv6", "::1.2.3.4", true},
    {"ipv6", "1:2:3:4:5:6:7:1.2.3.4", false},
    {"uri", "https://user@example.com:80/a/b?c=d#e", true},
    {"uri", "a", false},
    {"uri", "a:", true},
    {"uri", "http://[::1]/", true},
    {"uri", "http://[::1/", false},
    {"uri", "http://a/%zz", false},
    {"uri-reference", "../a?b", true},
    {"uri-reference", "a:b", true},
    {"uri-reference", "1:b", false},
    {"iri", "http://\xc3\xa9/", true},
    {"uri", "http://\xc3\xa9/", false},
    {"iri-reference", "\xc3\xa9", true},
    {"uri-template", "/a/{b:3,c*}", true},
    {"uri-template", "/a/{b", false},
    {"uuid", "123e4567-e89b-12d3-a456-426614174000", true},
    {"uuid", "123e4567e89b12d3a456426614174000", false},
    {"json-pointer", "/a~1b", true},
    {"json-pointer", "/a~2b", false},
    {"relative-json-pointer", "1/a", true},
    {"relative-json-pointer", "01/a", false},
};

static void table(void **state)
{
    (void)state;
    lex *x = lex_new(ESCAPES_ANY);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        err e = {0};
        bool found;
        lex_lang a = lex_format(x, rows[i].format, &found, &e);
        if (!found || a == LEX_FAILED) fail_msg("%s: %s", rows[i].format, e.msg);
        assert_int_equal(lex_prepare(x, a, &e), 0);
        if (lex_has(x, a, rows[i].text, strlen(rows[i].text)) != rows[i].valid)
            fail_msg("%s: '%s'", rows[i].format, rows[i].text);
    }
    bool found;
    err e;
    // What is narrower than its grammar has no complement here; the others have.
    assert_int_equal(lex_not(x, lex_format(x, "hostname", &found, &e)), LEX_FAILED);
    assert_int_not_equal(lex_not(x, lex_format(x, "date", &found, &e)), LEX_FAILED);
    assert_int_equal(lex_format(x, "color", &found, &e), LEX_FAILED);
    assert_false(found);
    assert_int_equal(lex_format(x, "regex", &found, &e), LEX_FAILED);
    assert_true(found);
    lex_free(x);
}

// ---- the suite ----

#define ARCHIVE HEARTH_SHARED_DIR "/assets/constrained/JSON-Schema-Test-Suite-44401e0c.tar.xz"

struct tally {
    int valid, refused, invalid, wrong;
};

static void run_group(const json_t *group, struct tally *t)
{
    size_t i;
    json_t *test;
    bool found;
    err e;
    const char *name =
        json_string_value(json_object_get(json_object_get(group, "schema"), "format"));
    lex *x = lex_new(ESCAPES_ANY);
    lex_lang a = name ? lex_format(x, name, &found, &e) : LEX_FAILED;
    if (a != LEX_FAILED) assert_int_equal(lex_prepare(x, a, &e), 0);
    json_array_foreach(json_object_get(group, "tests"), i, test)
    {
        const json_t *data = json_object_get(test, "data");
        if (a == LEX_FAILED || !json_is_string(data)) continue;
        bool valid = json_is_true(json_object_get(test, "valid"));
        bool has = lex_has(x, a, json_string_value(data), json_string_length(data));
        t->valid += valid;
        t->invalid += !valid;
        t->refused += valid && !has;
        t->wrong += !valid && has;
        if (valid != has)
            print_message("%s: %s '%s': %s\n", name, has ? "accepted" : "refused",
                          json_string_value(data),
                          json_string_value(json_object_get(test, "description")));
    }
    lex_free(x);
}

static void suite(void **state)
{
    (void)state;
    static const char *const name[] = {"date",
                                       "date-time",
                                       "duration",
                                       "email",
                                       "hostname",
                                       "idn-email",
                                       "ipv4",
                                       "ipv6",
                                       "iri",
                                       "iri-reference",
                                       "json-pointer",
                                       "time",
                                       "uri",
                                       "uri-reference",
                                       "uri-template",
                                       "uuid",
                                       "regex",
                                       "idn-hostname",
                                       "relative-json-pointer"};
    static const char *const draft[] = {"draft2020-12", "draft7"};
    if (!file_exists(ARCHIVE)) skip();
    struct tally t = {0};
    for (size_t i = 0; i < 2 * (sizeof name / sizeof *name); i++) {
        char command[600];
        snprintf(
            command, sizeof command,
            "tar -xJOf '%s' JSON-Schema-Test-Suite/tests/%s/optional/format/%s.json 2>/dev/null",
            ARCHIVE, draft[i % 2], name[i / 2]);
        FILE *f = popen(command, "r");
        json_t *groups = f ? json_loadf(f, JSON_ALLOW_NUL, NULL) : NULL;
        if (f) pclose(f);
        size_t k;
        json_t *group;
        json_array_foreach(groups, k, group) run_group(group, &t);
        json_decref(groups);
    }
    print_message("%d of %d valid strings refused, %d of %d others accepted\n", t.refused, t.valid,
                  t.wrong, t.invalid);
    assert_true(t.valid > 300 && t.invalid > 300);
    assert_int_equal(t.wrong, 0);
    assert_true(t.refused <= 30); // encoded host names
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table),
        cmocka_unit_test(suite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
