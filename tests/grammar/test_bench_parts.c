// What the measurements stand on: the lines of a file, packed or not; JSON as Python spells it and
// integers beyond 64 bits; percentiles; random texts. If this fails, figures and verdicts about the
// decoder are about other texts than the file's.
#include "test.h"

#include "base/file.h"
#include "base/mem.h"
#include "engine/grammar.h"
#include "engine/json_write.h"
#include "engine/lines.h"
#include "engine/random_text.h"
#include "engine/schema.h"
#include "engine/spread.h"
#include "engine/uri.h"
#include "engine/vocab.h"
#include "temp_dir.h"

// ---- lines ----

// "3:abc|0:|..." of the file, or the error.
static char *told_lines(const char *path)
{
    err e = {0};
    const char *text;
    size_t n;
    int rc;
    buf b = buf_new(1 << 20);
    lines *l = lines_open(path, &e);
    if (!l) return mem_str(e.msg);
    while ((rc = lines_next(l, &text, &n, &e)) > 0)
        buf_printf(&b, "%zu:%zu:%.10s|", lines_number(l), n, text);
    if (rc < 0) buf_str(&b, strstr(e.msg, ": ") + 2);
    lines_close(l);
    return buf_take(&b);
}

static void expect_lines(const char *path, const char *told)
{
    char *found = told_lines(path);
    assert_string_equal(found, told);
    free(found);
}

static void line_by_line(void **state)
{
    (void)state;
    err e;
    char *dir = temp_dir(), *path = path_join(dir, "lines"),
         *pack = mem_printf("xz -k %s 2>/dev/null", path), *packed = mem_printf("%s.xz", path);
    static const char text[] = "abc\n\n{}\nlast";
    assert_int_equal(file_replace(path, text, sizeof text - 1, &e), 0);
    expect_lines(path, "1:3:abc|2:0:|3:2:{}|4:4:last|");
    if (system(pack) == 0) {
        size_t n;
        expect_lines(packed, "1:3:abc|2:0:|3:2:{}|4:4:last|");
        char *bytes = file_read(packed, 1 << 20, &n, &e);
        assert_int_equal(file_replace(packed, bytes, n - 8, &e), 0);
        char *found = told_lines(packed);
        assert_non_null(strstr(found, "expected an xz file, found damage or a cut"));
        free(found);
        free(bytes);
    }
    char *large = mem_new(200001); // across the buffers of reading
    memset(large, 'x', 200000);
    large[100000] = '\n';
    assert_int_equal(file_replace(path, large, 200000, &e), 0);
    expect_lines(path, "1:100000:xxxxxxxxxx|2:99999:xxxxxxxxxx|");
    free(large);
    free(pack);
    free(packed);
    free(path);
    temp_remove(dir);
}

// ---- JSON ----

static void spelling(void **state)
{
    (void)state;
    static const struct {
        const char *json, *spaced, *compact;
    } rows[] = {
        {"{\"b\":[1,2.50,-0.0],\"a\":{}}", "{\"b\": [1, 2.5, -0.0], \"a\": {}}",
         "{\"b\":[1,2.5,-0.0],\"a\":{}}"},
        {"\"\\u00e9\\u0001\\/\\t\\u007f\"", "\"\u00e9\\u0001/\\t\x7f\"",
         "\"\u00e9\\u0001/\\t\x7f\""},
        {"[1e100,1E-7,100000.0,1e16,[],null,true]",
         "[1e+100, 1e-07, 100000.0, 1e+16, [], null, true]",
         "[1e+100,1e-07,100000.0,1e+16,[],null,true]"},
        {"9223372036854775807", "9223372036854775807", "9223372036854775807"},
        {"9223372036854775808", "9.223372036854776e+18", "9.223372036854776e+18"},
        {"[-9223372036854775808, -9223372036854775809]",
         "[-9223372036854775808, -9.223372036854776e+18]",
         "[-9223372036854775808,-9.223372036854776e+18]"},
        {"[\"9223372036854775808\", 10000000000000000000000]", "[\"9223372036854775808\", 1e+22]",
         "[\"9223372036854775808\",1e+22]"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_error_t e;
        json_t *v = json_read(rows[i].json, strlen(rows[i].json), JSON_DECODE_ANY, &e);
        if (!v) fail_msg("%s: %s", rows[i].json, e.text);
        for (int spaced = 0; spaced < 2; spaced++) {
            buf b = buf_new(1000);
            json_write(&b, v, spaced);
            assert_string_equal(buf_text(&b), spaced ? rows[i].spaced : rows[i].compact);
            buf_free(&b);
        }
        json_decref(v);
    }
    json_error_t e;
    assert_null(json_read("1e400", 5, JSON_DECODE_ANY, &e));
    assert_null(json_read("[1", 2, JSON_DECODE_ANY, &e));
}

// ---- percentiles ----

static void percentiles(void **state)
{
    (void)state;
    struct samples s = {0}, more = {0};
    for (uint64_t i = 1001; i > 1; i--) samples_add(&s, i - 1); // 1..1000, largest first
    samples_add(&more, 0);
    samples_add_all(&more, &s); // 0..1000
    struct spread p = samples_spread(&more, 10);
    assert_true(p.avg == 50 && p.p50 == 50 && p.p90 == 90 && p.p99 == 99);
    assert_true(p.p999 == 99.9 && p.max == 100);
    assert_true(samples_spread(&(struct samples){0}, 1).max == 0);
    samples_free(&s);
    samples_free(&more);
}

// ---- URIs: the examples of RFC 3986, section 5.4 ----

static void references(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"g:h", "g:h"},
        {"g", "http://a/b/c/g"},
        {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},
        {"/g", "http://a/g"},
        {"//g", "http://g"},
        {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},
        {"#s", "http://a/b/c/d;p?q"},
        {";x", "http://a/b/c/;x"},
        {"", "http://a/b/c/d;p?q"},
        {".", "http://a/b/c/"},
        {"..", "http://a/b/"},
        {"../g", "http://a/b/g"},
        {"../..", "http://a/"},
        {"../../g", "http://a/g"},
        {"../../../g", "http://a/g"},
        {"/./g", "http://a/g"},
        {"/../g", "http://a/g"},
        {"g.", "http://a/b/c/g."},
        {"..g", "http://a/b/c/..g"},
        {"./../g", "http://a/b/g"},
        {"./g/.", "http://a/b/c/g/"},
        {"g;x=1/../y", "http://a/b/c/y"},
        {"http:g", "http:g"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *uri = uri_resolve("http://a/b/c/d;p?q", rows[i][0]);
        assert_string_equal(uri, rows[i][1]);
        free(uri);
    }
    char *uri = uri_resolve("", "a/b#c");
    assert_string_equal(uri, "a/b");
    free(uri);
    uri = uri_resolve("urn:x:y", "#c");
    assert_string_equal(uri, "urn:x:y");
    free(uri);
}

// ---- random texts ----

static void random_texts(void **state)
{
    (void)state;
    static const char schema_text[] =
        "{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"array\", \"items\": "
        "{\"type\": "
        "[\"integer\", \"string\"]}}, \"b\": {\"enum\": [\"x\", null]}}, \"required\": [\"b\"]}";
    err e = {0};
    json_t *schema = json_loads(schema_text, 0, NULL);
    grammar_vocab v;
    assert_int_equal(vocab_of_bytes(&v, &e), 0);
    const struct grammar_options policy = {.spacing = SPACING_PYTHON};
    grammar *g = grammar_from_schema(&v, schema, &policy, &e);
    assert_non_null(g);
    for (int how = RANDOM_UNIFORM; how <= RANDOM_RAREST; how++) {
        struct random_text_options o = {.vocab = &v, .how = (enum random_how)how, .max_tokens = 80};
        random_text *t = random_text_new(&o);
        rng r = rng_seed(5);
        buf text = buf_new(1 << 16);
        size_t with_a = 0;
        for (int i = 0; i < 200; i++) {
            assert_int_equal(random_text_make(t, g, &r, &text, &e), 0);
            assert_true(text.n < 80);
            json_t *doc = json_loadb(text.p, text.n, 0, NULL);
            if (!doc || schema_validate(schema, doc, &e)) fail_msg("%s", buf_text(&text));
            with_a += json_object_get(doc, "a") != NULL;
            json_decref(doc);
        }
        // Not always the same; the rarest byte leads where few have been yet.
        assert_true(with_a > 10 && (how == RANDOM_RAREST || with_a < 190));
        buf_free(&text);
        random_text_free(t);
    }
    grammar_free(g);
    vocab_free(&v);
    json_decref(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_by_line), cmocka_unit_test(spelling),
        cmocka_unit_test(percentiles),  cmocka_unit_test(references),
        cmocka_unit_test(random_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
