// If this fails, facts are lost, doubled, mixed between agents, or a query's punctuation becomes an
// error.
#include "test.h"

#include "base/file.h"
#include "base/rng.h"
#include "memory.h"

#include <sys/stat.h>
#include <unistd.h>

static char dir[64], path[96];
static store *s;
static memory *m, *other;

static int setup(void **state)
{
    (void)state;
    err e = {0};
    strcpy(dir, "/tmp/hearth-memory-XXXXXX");
    if (!mkdtemp(dir)) return -1;
    snprintf(path, sizeof path, "%s/hearth.db", dir);
    s = store_open(path, STORE_WRITE, &e);
    m = s ? memory_open(s, store_agent(s, "a", &e), NULL, NULL, &e) : NULL;
    other = m ? memory_open(s, store_agent(s, "b", &e), NULL, NULL, &e) : NULL;
    return other ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    memory_close(m);
    memory_close(other);
    store_close(s);
    file_remove_tree(dir);
    return 0;
}

static const char *best(memory *of, const char *query)
{
    static char text[256];
    err e = {0};
    json_t *found = memory_recall(of, query, 3, &e);
    if (!found) fail_msg("recall `%s`: %s", query, e.msg);
    const char *t = json_string_value(json_object_get(json_array_get(found, 0), "text"));
    snprintf(text, sizeof text, "%s", t ? t : "");
    json_decref(found);
    return text;
}

static void test_remembered_is_recalled(void **state)
{
    (void)state;
    err e = {0};
    assert_true(memory_remember(m, 0, "my dog's name is Rex", &e) > 0);
    assert_true(memory_remember(m, 0, "the budget of Falcon is 12500 EUR", &e) > 0);
    assert_string_equal(best(m, "What is my dog's name?"), "my dog's name is Rex");
    assert_string_equal(best(m, "budget"), "the budget of Falcon is 12500 EUR");
    assert_string_equal(best(other, "dog"), "");
}

static void test_the_same_fact_is_kept_once(void **state)
{
    (void)state;
    err e = {0};
    int64_t id = memory_remember(m, 0, "Ana likes tea", &e);
    assert_int_equal(memory_remember(m, 0, "  ana LIKES\n tea ", &e), id);
    assert_int_equal(memory_count(m, &e), 1);
    assert_true(memory_remember(other, 0, "Ana likes tea", &e) != id);
    assert_int_equal(memory_remember(m, 0, " \n", &e), -1);
    assert_int_equal(e.code, ERR_INPUT);
    assert_int_equal(memory_remember(m, 0, "Ana \xff", &e), -1);
    assert_int_equal(e.code, ERR_INPUT);
}

// Any bytes a person types are a query: operators, quotes, unbalanced parentheses, emoji.
static void test_no_query_is_an_error(void **state)
{
    (void)state;
    err e = {0};
    memory_remember(m, 0, "C++ and \"quotes\" AND NOT NEAR(x)", &e);
    static const char *const queries[] = {
        "",          "\"",         "AND",   "NOT a OR",         "a*",    "NEAR(",
        "content:x", "C++",        "-x -y", "\xf0\x9f\x98\x80", "{a b}", "^x",
        "''';",      "x) OR (1=1", ".",     "\xff\xfe"};
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) best(m, queries[i]);
    char blob[9001]; // one word, longer than words are
    memset(blob, 'x', sizeof blob - 1);
    blob[sizeof blob - 1] = 0;
    best(m, blob);
    memcpy(blob + 8995, " C++", 5);
    assert_string_equal(best(m, blob), "C++ and \"quotes\" AND NOT NEAR(x)");
    rng r = rng_seed(3);
    for (int i = 0; i < 2000; i++) {
        char q[24];
        size_t n = rng_below(&r, sizeof q);
        for (size_t k = 0; k < n; k++) q[k] = (char)(1 + rng_below(&r, 255));
        q[n] = 0;
        best(m, q);
    }
    assert_string_equal(best(m, "C++"), "C++ and \"quotes\" AND NOT NEAR(x)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_remembered_is_recalled, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_same_fact_is_kept_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_query_is_an_error, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
