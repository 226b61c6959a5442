// If this fails, figures are wrong: a right function call is counted as wrong or the other way
// round, an interval or a test does not say what its name says, or replies in place of a model are
// not what a model could have written.
#include "test.h"

#include "base/mem.h"
#include "bfcl.h"
#include "eval_report.h"
#include "temp_dir.h"

#include <math.h>

// ---- function calls ----

static struct eval_suite suite;

static int read_questions(void **state)
{
    (void)state;
    err e;
    if (bfcl_read(HEARTH_SOURCE_DIR "/tests/eval/questions.jsonl",
                  HEARTH_SOURCE_DIR "/tests/eval/answers.jsonl", &suite, &e) == 0)
        return 0;
    printf("%s\n", e.msg);
    return -1;
}

static int free_questions(void **state)
{
    (void)state;
    eval_suite_free(&suite);
    return 0;
}

static const struct eval_task *task(const char *id)
{
    for (size_t i = 0; i < suite.n; i++)
        if (strcmp(suite.tasks[i].id, id) == 0) return &suite.tasks[i];
    fail_msg("no question %s", id);
    return NULL;
}

#define PAINT(THING, COLOR)                                                                        \
    "{\"name\": \"paint\", \"arguments\": {\"thing\": \"" THING "\", \"color\": \"" COLOR "\"}}"
#define AREA  "{\"name\": \"geometry.triangle_area\", \"arguments\": "
#define ORDER "[{\"name\": \"order\", \"arguments\": {\"items\": "

static const struct {
    const char *id, *calls, *why; // why: NULL when the calls are right
} cases[] = {
    {"simple_0", "[" AREA "{\"base\": 10, \"height\": 5}}]", NULL},
    {"simple_0", "[" AREA "{\"base\": 10.0, \"height\": 5, \"unit\": \"Meters\"}}]", NULL},
    {"simple_0", "[" AREA "{\"base\": 10, \"height\": 5, \"unit\": \"feet\"}}]",
     "`unit` is not among"},
    {"simple_0", "[" AREA "{\"base\": 10, \"height\": 5.5}}]", "`height` is not among"},
    {"simple_0", "[" AREA "{\"base\": \"10\", \"height\": 5}}]", "`base` is not among"},
    {"simple_0", "[" AREA "{\"base\": 10}}]", "`height` is required"},
    {"simple_0", "[" AREA "{\"base\": 10, \"height\": 5, \"depth\": 1}}]",
     "`depth` is not expected"},
    {"simple_0", "[{\"name\": \"triangle_area\", \"arguments\": {\"base\": 10, \"height\": 5}}]",
     "expected a call of geometry.triangle_area"},
    {"simple_0", "[]", "expected 1 call, found 0"},
    {"simple_0", "[" AREA "{\"base\": 10, \"height\": 5}}, " AREA "{\"base\": 10, \"height\": 5}}]",
     "expected 1 call, found 2"},
    {"multiple_0",
     "[{\"name\": \"ring_bell\", \"arguments\": {\"address\": \"rue-de-l\\\"est, 14.\", \"times\": "
     "2}}]",
     NULL},
    {"multiple_0",
     "[{\"name\": \"ring_bell\", \"arguments\": {\"address\": \"Rue de l'Ouest 14\", \"times\": "
     "2}}]",
     "`address` is not among"},
    {"multiple_0", "[{\"name\": \"knock\", \"arguments\": {\"address\": \"Rue de l'Est 14\"}}]",
     "expected a call of ring_bell, found knock"},
    {"parallel_0", "[" PAINT("gate", "white") ", " PAINT("the fence", "green") "]", NULL},
    {"parallel_0", "[" PAINT("gate", "white") ", " PAINT("gate", "white") "]", "paint"},
    {"parallel_0", "[" PAINT("gate", "green") ", " PAINT("fence", "white") "]", "paint"},
    {"live_simple_3-1-0", ORDER "[{\"drink\": \"tea\", \"milk\": true}, {\"drink\": \"Tea\"}]}}]",
     NULL},
    {"live_simple_3-1-0",
     ORDER "[{\"drink\": \"tea\", \"milk\": true}, {\"drink\": \"tea\", \"milk\": false}], "
           "\"place\": [3.0, 4]}}]",
     NULL},
    {"live_simple_3-1-0", ORDER "[{\"drink\": \"tea\", \"milk\": true}]}}]",
     "`items` is not among"},
    {"live_simple_3-1-0", ORDER "[{\"drink\": \"tea\"}, {\"drink\": \"tea\"}]}}]",
     "`items` is not among"},
    {"live_simple_3-1-0",
     ORDER "[{\"drink\": \"tea\", \"milk\": true}, {\"drink\": \"tea\", \"ice\": 1}]}}]",
     "`items` is not among"},
    {"live_simple_3-1-0",
     ORDER "[{\"drink\": \"tea\", \"milk\": true}, {\"drink\": \"tea\"}], \"place\": [4, 3]}}]",
     "`place` is not among"},
};

static void test_calls_are_judged(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err why;
        json_t *calls = json_loads(cases[i].calls, 0, NULL);
        if (!calls) fail_msg("case %zu is not JSON", i);
        bool right = bfcl_check(task(cases[i].id)->bfcl, calls, &why);
        if (right != !cases[i].why) fail_msg("%s: %s", cases[i].calls, why.msg);
        if (!right && !strstr(why.msg, cases[i].why))
            fail_msg("%s: expected `%s` in `%s`", cases[i].calls, cases[i].why, why.msg);
        json_decref(calls);
    }
}

// The first call fits both that are wanted; taken for the first one, the second would find none.
static void test_calls_are_matched_whatever_their_order(void **state)
{
    (void)state;
    err e;
    static const char question[] = "{\"id\": \"p_1\", \"question\": [[{\"role\": \"user\", "
                                   "\"content\": \"x\"}]], \"function\": "
                                   "[{\"name\": \"f\", \"parameters\": {\"type\": \"dict\", "
                                   "\"properties\": {\"a\": {\"type\": "
                                   "\"integer\"}}}}]}";
    static const char answer[] =
        "{\"id\": \"p_1\", \"ground_truth\": [{\"f\": {\"a\": [1, 2]}}, {\"f\": {\"a\": [1]}}]}";
    struct eval_suite s = {0};
    if (bfcl_read_text(question, strlen(question), "q", answer, strlen(answer), "a", &s, &e))
        fail_msg("%s", e.msg);
    json_t *calls = json_loads("[{\"name\": \"f\", \"arguments\": {\"a\": 1}}, {\"name\": \"f\", "
                               "\"arguments\": {\"a\": 2}}]",
                               0, NULL);
    assert_true(bfcl_check(s.tasks[0].bfcl, calls, &e));
    json_decref(calls);
    eval_suite_free(&s);
}

static void test_types_become_those_of_json_schema(void **state)
{
    (void)state;
    json_t *wanted = json_loads(
        "{\"type\": \"object\", \"required\": [\"items\"], \"properties\": {\"items\": {\"type\": "
        "\"array\", \"items\": {\"type\": \"object\", \"properties\": {\"drink\": {\"type\": "
        "\"string\", "
        "\"enum\": [\"tea\", \"coffee\"]}, \"milk\": {\"type\": \"boolean\"}}}}, \"place\": "
        "{\"type\": "
        "\"array\", \"items\": {\"type\": \"number\"}}, \"note\": {}}}",
        0, NULL);
    const json_t *f =
        json_array_get(json_object_get(task("live_simple_3-1-0")->bfcl, "function"), 0);
    assert_true(json_equal(wanted, json_object_get(f, "parameters")));
    assert_string_equal(task("live_simple_3-1-0")->kind, "live_simple");
    json_decref(wanted);
}

static void test_relevance_needs_no_answers(void **state)
{
    (void)state;
    err e;
    struct eval_suite s = {0};
    if (bfcl_read(HEARTH_SOURCE_DIR "/tests/eval/irrelevance.jsonl", NULL, &s, &e))
        fail_msg("%s", e.msg);
    assert_int_equal(s.n, 2);
    json_t *none = json_array(), *one = json_pack("[{s:s, s:{}}]", "name", "x", "arguments");
    assert_string_equal(s.tasks[0].id, "irrelevance_0");
    assert_true(bfcl_check(s.tasks[0].bfcl, none, &e));
    assert_false(bfcl_check(s.tasks[0].bfcl, one, &e));
    assert_non_null(strstr(e.msg, "expected no call"));
    assert_false(bfcl_check(s.tasks[1].bfcl, none, &e));
    assert_true(bfcl_check(s.tasks[1].bfcl, one, &e));
    json_decref(none);
    json_decref(one);
    eval_suite_free(&s);
}

static void test_wrong_files_are_told(void **state)
{
    (void)state;
#define Q(ID, FUNCTION)                                                                            \
    "{\"id\": \"" ID                                                                               \
    "\", \"question\": [[{\"role\": \"user\", \"content\": \"x\"}]], \"function\": " FUNCTION "}"
#define F "[{\"name\": \"f\", \"parameters\": {}}]"
    static const struct {
        const char *questions, *answers, *why;
    } wrong[] = {
        {"", NULL, "q: holds no question"},
        {"\n{", NULL, "q: line 2: "},
        {"[]", NULL, "q: line 1: expected an object with a text `id`"},
        {"{\"id\": \"a\"}", NULL, "q: line 1: a: question: expected"},
        {"{\"id\": \"a\", \"question\": [[{\"role\": \"user\"}]]}", NULL, "a: question: message 1"},
        {Q("a", "[]"), NULL, "a: function: expected a list"},
        {Q("a", "[{\"parameters\": {}}]"), NULL, "a: function 1: expected {name"},
        {Q("a", F) "\n" Q("a", F), NULL, "two questions of the id `a`"},
        {Q("a", F), NULL, "q: there is no answer to the question `a`"},
        {Q("a", F), "", "a: there is no answer to the question `a`"},
        {Q("a", F), "{\"id\": \"b\"}", "a: line 1: b: there is no question of this id"},
        {Q("a", F), "{\"id\": \"a\", \"ground_truth\": [{\"f\": {\"x\": 1}}]}",
         "a: line 1: a: ground_truth: expected"},
        {Q("a", F), "{\"id\": \"a\", \"ground_truth\": [{}]}", "ground_truth: expected"},
        {Q("a", F), "{\"id\": \"a\", \"ground_truth\": []}\n{\"id\": \"a\", \"ground_truth\": []}",
         "a: line 2: a: answered twice"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        err e = {0};
        struct eval_suite s = {0};
        const char *q = wrong[i].questions, *a = wrong[i].answers;
        assert_int_equal(bfcl_read_text(q, strlen(q), "q", a, a ? strlen(a) : 0, "a", &s, &e), -1);
        assert_int_equal(e.code, ERR_INPUT);
        if (!strstr(e.msg, wrong[i].why)) fail_msg("expected `%s` in `%s`", wrong[i].why, e.msg);
        eval_suite_free(&s);
    }
}

// ---- figures ----

static void test_wilson(void **state)
{
    (void)state;
    // Solving (p - k/n)^2 = z^2 p (1 - p) / n for p gives the ends: they must satisfy it.
    const double z = 1.959963984540054;
    for (int n = 1; n < 200; n += 7) {
        for (int k = 0; k <= n; k++) {
            double ends[2];
            eval_wilson(k, n, &ends[0], &ends[1]);
            assert_true(ends[0] <= (double)k / n + 1e-12 && ends[1] >= (double)k / n - 1e-12);
            for (int i = 0; i < 2; i++) {
                double d = ends[i] - (double)k / n;
                assert_true(fabs(d * d - z * z * ends[i] * (1 - ends[i]) / n) < 1e-12);
            }
        }
    }
    double low, high;
    eval_wilson(0, 0, &low, &high);
    assert_true(low == 0 && high == 1);
}

static void test_sign_test(void **state)
{
    (void)state;
    assert_true(eval_sign_test(0, 0) == 1);
    assert_true(fabs(eval_sign_test(5, 0) - 2.0 / 32) < 1e-12);
    assert_true(fabs(eval_sign_test(1, 5) - 14.0 / 64) < 1e-12);
    assert_true(fabs(eval_sign_test(3, 3) - 1) < 1e-12);
    // Against counting: Pascal's triangle.
    for (int n = 1; n <= 50; n++) {
        double row[51] = {1};
        for (int i = 1; i <= n; i++)
            for (int k = i; k > 0; k--) row[k] += row[k - 1];
        double sum = 0;
        for (int a = 0; a <= n / 2; a++) {
            sum += row[a];
            double p = fmin(1, 2 * sum / pow(2, n));
            assert_true(fabs(eval_sign_test(a, n - a) - p) < 1e-9);
            assert_true(fabs(eval_sign_test(n - a, a) - p) < 1e-9);
        }
    }
}

static json_t *report_of(const char *tasks)
{
    json_t *list = json_loads(tasks, 0, NULL);
    assert_non_null(list);
    return json_pack("{s:o}", "tasks", list);
}

static void test_two_reports_are_compared(void **state)
{
    (void)state;
    err e;
    json_t *before = report_of("[{\"id\": \"a\", \"passed\": 1, \"runs\": [{}]},"
                               " {\"id\": \"b\", \"passed\": 0, \"runs\": [{}, {}]},"
                               " {\"id\": \"c\", \"passed\": 1, \"runs\": [{}]},"
                               " {\"id\": \"x\", \"passed\": 0, \"runs\": [{}]}]");
    json_t *after = report_of("[{\"id\": \"a\", \"passed\": 0, \"runs\": [{}]},"
                              " {\"id\": \"b\", \"passed\": 1, \"runs\": [{}, {}]},"
                              " {\"id\": \"c\", \"passed\": 2, \"runs\": [{}, {}]},"
                              " {\"id\": \"y\", \"passed\": 0, \"runs\": [{}]}]");
    json_t *c = eval_compare(before, "a.json", after, "b.json", &e);
    assert_non_null(c);
    json_t *wanted = json_loads("{\"better\": [{\"id\": \"b\", \"before\": 0.0, \"after\": 0.5}],"
                                " \"worse\": [{\"id\": \"a\", \"before\": 1.0, \"after\": 0.0}],"
                                " \"same\": 1, \"only_before\": [\"x\"], \"only_after\": [\"y\"],"
                                " \"p\": 1.0}",
                                0, NULL),
           *v;
    const char *key;
    json_object_foreach(wanted, key, v) if (!json_equal(v, json_object_get(c, key)))
        fail_msg("field %s", key);
    json_decref(wanted);
    json_decref(c);
    json_decref(after);
    after = report_of("[{\"id\": \"a\", \"passed\": 0, \"runs\": []}]");
    assert_null(eval_compare(before, "a.json", after, "b.json", &e));
    assert_non_null(strstr(e.msg, "b.json: task 1"));
    json_decref(before);
    json_decref(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_are_judged),
        cmocka_unit_test(test_calls_are_matched_whatever_their_order),
        cmocka_unit_test(test_types_become_those_of_json_schema),
        cmocka_unit_test(test_relevance_needs_no_answers),
        cmocka_unit_test(test_wrong_files_are_told),
        cmocka_unit_test(test_wilson),
        cmocka_unit_test(test_sign_test),
        cmocka_unit_test(test_two_reports_are_compared),
    };
    return cmocka_run_group_tests(tests, read_questions, free_questions);
}
