// The validator against the published JSON-Schema-Test-Suite, three drafts, and against the
// judgements that come with maskbench's instances. If this fails, what we call valid is not what
// others do.
#include "test.h"

#include "base/file.h"
#include "base/mem.h"
#include "engine/json_write.h"
#include "engine/lines.h"
#include "engine/schema.h"

#include <dirent.h>

#define SUITE  HEARTH_BINARY_DIR "/json-schema-test-suite/JSON-Schema-Test-Suite"
#define ASSETS HEARTH_SHARED_DIR "/assets/constrained/"

struct tally {
    size_t right, refused, wrong;
};

static json_t *remotes; // {URI: schema}: what the suite's references may lead to

static bool unpack_suite(void)
{
    const char *archive = ASSETS "JSON-Schema-Test-Suite-44401e0c.tar.xz";
    if (!file_exists(archive)) {
        print_message("no %s\n", archive);
        return false;
    }
    int rc = system("mkdir -p " HEARTH_BINARY_DIR "/json-schema-test-suite && tar -xJf " ASSETS
                    "JSON-Schema-Test-Suite-44401e0c.tar.xz -C " HEARTH_BINARY_DIR
                    "/json-schema-test-suite 2>/dev/null");
    if (rc) print_message("tar cannot unpack %s\n", archive);
    return rc == 0;
}

static bool ends(const char *s, const char *tail)
{
    size_t n = strlen(s), k = strlen(tail);
    return n >= k && strcmp(s + n - k, tail) == 0;
}

static void each_file(const char *dir, const char *name, void *context,
                      void use(const char *path, const char *name, void *context))
{
    DIR *d = opendir(dir);
    for (struct dirent *x; d && (x = readdir(d));) {
        if (x->d_name[0] == '.') continue;
        char *path = path_join(dir, x->d_name), *below = mem_printf("%s/%s", name, x->d_name);
        if (file_is_dir(path))
            each_file(path, below, context, use);
        else if (ends(path, ".json"))
            use(path, below, context);
        free(path);
        free(below);
    }
    if (d) closedir(d);
}

static void add_remote(const char *path, const char *name, void *unused)
{
    (void)unused;
    if (strncmp(name, "/v1", 3) == 0) return; // a draft to come
    json_t *schema = json_load_file(path, JSON_DECODE_ANY, NULL);
    const char *own = json_string_value(json_object_get(schema, "$schema"));
    char *uri = mem_printf("http://localhost:1234%s", name);
    // A metaschema of the suite's own names itself; no draft of ours.
    if (schema && (!own || !strstr(own, "localhost"))) json_object_set(remotes, uri, schema);
    json_decref(schema);
    free(uri);
}

static void judge(const char *name, const json_t *group, const json_t *test, validator *v,
                  const err *refusal, struct tally *t)
{
    struct schema_fault f = {.code = ERR_INPUT};
    bool expected = json_is_true(json_object_get(test, "valid"));
    bool valid = v && validator_check(v, json_object_get(test, "data"), &f) == 0;
    if (!valid && f.code == ERR_INPUT) {
        t->refused++;
        print_message("refused %s: %s: %s\n", name,
                      json_string_value(json_object_get(group, "description")),
                      v ? f.text : refusal->msg);
    } else if (valid == expected) {
        t->right++;
    } else {
        t->wrong++;
        print_message("WRONG %s: %s: %s: expected %s (%s %s: %s)\n", name,
                      json_string_value(json_object_get(group, "description")),
                      json_string_value(json_object_get(test, "description")),
                      expected ? "valid" : "invalid", f.instance, f.rule, f.text);
    }
}

struct run {
    const char *draft;
    bool formats;
    struct tally total;
};

// Files of optional/format are about formats as assertions, all others about annotations.
static void run_file(const char *path, const char *name, void *context)
{
    struct run *r = context;
    json_error_t je;
    size_t i, k, n;
    json_t *group, *test;
    // Looking into base64 is no check that any draft asks for.
    if (strcmp(name, "/optional/content.json") == 0) return;
    if ((strstr(name, "optional/format/") != NULL) != r->formats) return;
    char *text = file_read(path, 1 << 24, &n, &(err){0});
    assert_non_null(text);
    json_t *groups = json_read(text, n, JSON_ALLOW_NUL, &je);
    if (!groups) fail_msg("%s: %s", path, je.text);
    struct schema_options o = {.formats_ignored = !r->formats, .documents = remotes};
    json_array_foreach(groups, i, group)
    {
        json_t *schema = json_object_get(group, "schema");
        // The suite is of one draft; a schema that does not say so is meant for it.
        json_t *dialect = json_object_get(schema, "$schema");
        if (json_is_object(schema) && !dialect && strcmp(r->draft, "draft7") == 0)
            json_object_set_new(schema, "$schema",
                                json_string("http://json-schema.org/draft-07/schema#"));
        err e = {0};
        validator *v = validator_open(schema, &o, &e);
        json_array_foreach(json_object_get(group, "tests"), k, test)
        {
            judge(name, group, test, v, &e, &r->total);
        }
        validator_close(v);
    }
    json_decref(groups);
    free(text);
}

static void published_suite(void **state)
{
    (void)state;
    static const char *const drafts[] = {"draft2020-12", "draft2019-09", "draft7"};
    if (!unpack_suite()) skip();
    for (size_t i = 0; i < 3; i++) {
        struct run r = {.draft = drafts[i]};
        char *dir = path_join(SUITE "/tests", drafts[i]);
        remotes = json_object();
        each_file(SUITE "/remotes", "", NULL, add_remote);
        for (int formats = 0; formats < 2; formats++) {
            r.total = (struct tally){0};
            r.formats = formats;
            each_file(dir, "", &r, run_file);
            struct tally t = r.total;
            print_message("%s%s: %zu right, %zu refused, %zu wrong\n", drafts[i],
                          formats ? " optional/format" : "", t.right, t.refused, t.wrong);
            assert_int_equal(t.wrong, 0);
            assert_true(t.right > (formats ? 400 : 900));
            assert_true((double)t.right >= 0.98 * (double)(t.right + t.refused));
        }
        json_decref(remotes);
        free(dir);
    }
}

// ---- maskbench ----

static void judge_line(const json_t *line, struct tally *t)
{
    err e = {0};
    size_t i;
    json_t *test;
    const char *id = json_string_value(json_object_get(line, "id"));
    validator *v = validator_open(json_object_get(line, "schema"), NULL, &e);
    json_array_foreach(json_object_get(line, "tests"), i, test)
    {
        struct schema_fault f = {.code = ERR_INPUT};
        bool expected = json_is_true(json_object_get(test, "valid"));
        bool valid = v && validator_check(v, json_object_get(test, "data"), &f) == 0;
        bool refused = !valid && f.code == ERR_INPUT;
        t->refused += refused;
        t->right += !refused && valid == expected;
        t->wrong += !refused && valid != expected;
        if (refused || valid != expected)
            print_message("%s %s test %zu: expected %s; %s: %s: %s\n",
                          refused ? "refused" : "WRONG", id, i, expected ? "valid" : "invalid",
                          f.instance, f.rule, v ? f.text : e.msg);
    }
    validator_close(v);
}

static void maskbench(void **state)
{
    (void)state;
    err e;
    const char *text, *path = ASSETS "maskbench-dev.jsonl.xz";
    size_t n;
    struct tally t = {0};
    if (!file_exists(path)) skip();
    lines *l = lines_open(path, &e);
    assert_non_null(l);
    while (lines_next(l, &text, &n, &e) > 0) {
        json_error_t je;
        json_t *line = json_read(text, n, JSON_ALLOW_NUL, &je);
        if (!line) fail_msg("%s:%zu: %s", path, lines_number(l), je.text);
        judge_line(line, &t);
        json_decref(line);
    }
    lines_close(l);
    print_message("maskbench dev: %zu right, %zu refused, %zu wrong\n", t.right, t.refused,
                  t.wrong);
    assert_int_equal(t.wrong + t.refused, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_suite),
        cmocka_unit_test(maskbench),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
