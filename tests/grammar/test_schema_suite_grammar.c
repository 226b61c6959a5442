// The decoder against the published JSON-Schema-Test-Suite: of the schemas that compile, it writes
// the valid instances and none of the invalid ones. If this fails, the decoder understands a
// keyword in another way than the specification does.
#include "test.h"

#include "base/file.h"
#include "base/mem.h"
#include "engine/json_write.h"
#include "test_vocab.h"

#include <dirent.h>

#define FOLDER  HEARTH_BINARY_DIR "/json-schema-test-suite-grammar"
#define ARCHIVE HEARTH_SHARED_DIR "/assets/constrained/JSON-Schema-Test-Suite-44401e0c.tar.xz"

struct tally {
    size_t passed, refused, strict, wrong; // strict: a valid instance is not written
};

struct suite {
    const grammar_vocab *v;
    const char *draft;
    struct tally total;
};

static bool unpack_suite(void)
{
    if (!file_exists(ARCHIVE)) {
        print_message("no %s\n", ARCHIVE);
        return false;
    }
    int rc = system("mkdir -p " FOLDER " && tar -xJf " ARCHIVE " -C " FOLDER);
    if (rc) print_message("tar cannot unpack %s\n", ARCHIVE);
    return rc == 0;
}

static bool writes(const grammar *g, const json_t *instance)
{
    buf text = buf_new(1 << 20);
    grammar_state *s = grammar_start(g);
    bool all = true;
    json_write(&text, instance, false);
    for (size_t i = 0; i < text.n && all; i++)
        all = grammar_accept(s, (uint8_t)text.p[i]); // tokens of one byte come first
    all = all && grammar_may_end(s);

    grammar_state_free(s);
    buf_free(&text);
    return all;
}

static void judge(struct suite *x, const char *file, const json_t *group, const json_t *test,
                  const grammar *g, bool refused)
{
    struct tally *t = &x->total;
    bool valid = json_is_true(json_object_get(test, "valid"));
    // A schema that nothing satisfies has no grammar, and that is right.
    bool written = g && writes(g, json_object_get(test, "data"));
    t->refused += refused;
    t->passed += !refused && written == valid;
    t->strict += !refused && valid && !written;
    t->wrong += !refused && !valid && written;
    if (!refused && written != valid)
        print_message("%s %s: %s: %s\n", valid ? "not written" : "WRONG", file,
                      json_string_value(json_object_get(group, "description")),
                      json_string_value(json_object_get(test, "description")));
}

static void run_group(struct suite *x, const char *file, const json_t *group)
{
    static const struct grammar_options any = {.spacing = SPACING_FLEXIBLE, .order = ORDER_ANY};
    size_t i;
    json_t *test, *schema = json_object_get(group, "schema");
    err e = {0};
    // The suite is of one draft; a schema that does not say so is meant for it.
    if (json_is_object(schema) && strcmp(x->draft, "draft7") == 0 &&
        !json_object_get(schema, "$schema"))
        json_object_set_new(schema, "$schema",
                            json_string("http://json-schema.org/draft-07/schema#"));
    grammar *g = grammar_from_schema(x->v, schema, &any, &e);
    bool refused = !g && !strstr(e.msg, "no value of reasonable length");
    if (refused)
        print_message("refused %s: %s: %s\n", file,
                      json_string_value(json_object_get(group, "description")), e.msg);
    json_array_foreach(json_object_get(group, "tests"), i, test)
    {
        judge(x, file, group, test, g, refused);
    }
    grammar_free(g);
}

static void run_file(struct suite *x, const char *dir, const char *name)
{
    size_t i, n;
    json_t *group;
    json_error_t je;
    char *path = path_join(dir, name);
    char *text = file_read(path, 1 << 24, &n, &(err){0});
    assert_non_null(text);
    json_t *groups = json_read(text, n, JSON_ALLOW_NUL, &je);
    if (!groups) fail_msg("%s: %s", path, je.text);
    json_array_foreach(groups, i, group)
    {
        run_group(x, name, group);
    }
    json_decref(groups);
    free(text);
    free(path);
}

// The required files of a draft. format.json says that formats are annotations; here they assert.
static void run_draft(struct suite *x)
{
    char *dir = mem_printf(FOLDER "/JSON-Schema-Test-Suite/tests/%s", x->draft);
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *f; (f = readdir(d));) {
        size_t n = strlen(f->d_name);
        if (n < 6 || strcmp(f->d_name + n - 5, ".json") != 0) continue;
        if (strcmp(f->d_name, "format.json") != 0) run_file(x, dir, f->d_name);
    }
    closedir(d);
    free(dir);
}

static void published_suite(void **state)
{
    (void)state;
    static const struct {
        const char *draft;
        double share; // of cases that pass; a little below what is measured
    } drafts[] = {{"draft2020-12", 0.93}, {"draft7", 0.96}};
    if (!unpack_suite()) skip();
    rng r = rng_seed(1);
    grammar_vocab *v = test_vocab_new(&r, 0);
    for (size_t i = 0; i < sizeof drafts / sizeof *drafts; i++) {
        struct suite x = {.v = v, .draft = drafts[i].draft};
        run_draft(&x);
        struct tally t = x.total;
        size_t all = t.passed + t.refused + t.strict + t.wrong;
        print_message("%s: %zu cases: %zu passed (%.1f %%), %zu refused, %zu not written, "
                      "%zu wrong\n",
                      x.draft, all, t.passed, 100 * (double)t.passed / (double)all, t.refused,
                      t.strict, t.wrong);
        assert_int_equal(t.wrong, 0);
        assert_true((double)t.passed >= drafts[i].share * (double)all);
    }
    test_vocab_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(published_suite)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
