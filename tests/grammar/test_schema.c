// The validator on its own: the published test suite for the keywords it checks, and its messages.
// If this fails, tool calls with wrong arguments run, or right ones are turned away.
#include "test.h"

#include "base/file.h"
#include "base/mem.h"
#include "engine/grammar.h"

#include <dirent.h>

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

static void refusals(void **state)
{
    (void)state;
    static const char *const rows[] = {"{\"unevaluatedProperties\": false}",
                                       "{\"$ref\": \"https://example.org\"}",
                                       "{\"$ref\": \"#\"}",
                                       "{\"pattern\": \"(\"}",
                                       "{\"pattern\": \"(a|aa|aaa)*b|((a*)*)*c\"}",
                                       "{\"$ref\": \"#/x\"}",
                                       "3"};
    json_t *doc =
        json_string("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        err e = {0};
        json_t *schema = json_loads(rows[i], JSON_DECODE_ANY, NULL);
        assert_int_equal(schema_validate(schema, doc, &e), -1);
        assert_int_equal(e.code, ERR_INPUT);
        json_decref(schema);
    }
    json_decref(doc);
}

struct tally {
    size_t right, refused, wrong;
};

// A schema in which `format` stands among other keywords is judged as the suite's default does:
// format is an annotation.
static void run_group(const json_t *group, const char *file, struct tally *t)
{
    const json_t *schema = json_object_get(group, "schema");
    size_t i;
    json_t *test;
    json_array_foreach(json_object_get(group, "tests"), i, test)
    {
        err e = {0};
        bool valid = schema_validate(schema, json_object_get(test, "data"), &e) == 0;
        bool expected = json_is_true(json_object_get(test, "valid"));
        if (!valid && e.code == ERR_INPUT) {
            t->refused++;
        } else if (valid == expected) {
            t->right++;
        } else {
            t->wrong++;
            print_error("%s: %s: %s: expected %s (%s)\n", file,
                        json_string_value(json_object_get(group, "description")),
                        json_string_value(json_object_get(test, "description")),
                        expected ? "valid" : "invalid", e.msg);
        }
    }
}

static void run_file(const char *dir, const char *name, struct tally *t)
{
    char *path = path_join(dir, name);
    json_t *groups = json_load_file(path, 0, NULL), *group;
    size_t i;
    json_array_foreach(groups, i, group)
    {
        run_group(group, name, t);
    }
    json_decref(groups);
    free(path);
}

static bool suite_dir(char *out, size_t cap)
{
    const char *archive =
        HEARTH_SHARED_DIR "/assets/constrained/JSON-Schema-Test-Suite-44401e0c.tar.xz";
    snprintf(out, cap, HEARTH_BINARY_DIR "/json-schema-test-suite");
    if (!file_exists(archive)) {
        print_message("no %s\n", archive);
        return false;
    }
    char *command = mem_printf("mkdir -p %s && tar -xJf %s -C %s 2>/dev/null", out, archive, out);
    bool ok = system(command) == 0;
    free(command);
    if (!ok) print_message("tar cannot unpack %s\n", archive);
    return ok;
}

// Finds tests/draft2020-12 below dir, however the archive names its top folder.
static char *find_draft(const char *dir, int depth)
{
    char *here = path_join(dir, "draft2020-12"), *found = NULL;
    if (file_is_dir(here)) return here;
    free(here);
    DIR *d = depth > 0 ? opendir(dir) : NULL;
    for (struct dirent *x; d && !found && (x = readdir(d));) {
        if (x->d_name[0] == '.') continue;
        char *sub = path_join(dir, x->d_name);
        if (file_is_dir(sub)) found = find_draft(sub, depth - 1);
        free(sub);
    }
    if (d) closedir(d);
    return found;
}

static void published_suite(void **state)
{
    (void)state;
    char dir[1000];
    if (!suite_dir(dir, sizeof dir)) skip();
    char *draft = find_draft(dir, 4);
    assert_non_null(draft);
    struct tally total = {0};
    size_t files = 0;
    DIR *d = opendir(draft);
    for (struct dirent *x; (x = readdir(d));) {
        if (!strstr(x->d_name, ".json")) continue;
        if (strcmp(x->d_name, "vocabulary.json") == 0) continue; // $schema is not looked at
        struct tally t = {0};
        run_file(draft, x->d_name, &t);
        if (t.refused) print_message("%s: %zu right, %zu refused\n", x->d_name, t.right, t.refused);
        total.right += t.right;
        total.refused += t.refused;
        total.wrong += t.wrong;
        files++;
    }
    closedir(d);
    free(draft);
    print_message("%zu files: %zu right, %zu refused, %zu wrong\n", files, total.right,
                  total.refused, total.wrong);
    assert_int_equal(total.wrong, 0);
    assert_true(total.right > 850);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages),
        cmocka_unit_test(refusals),
        cmocka_unit_test(published_suite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
