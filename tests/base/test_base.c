// If this fails, nothing above can be trusted: buffers that grow past their maximum, arenas that
// hand out overlapping memory, UTF-8 that lets an overlong form through, files replaced by halves.
#include "test.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/sha256.h"
#include "base/utf8.h"

#include <sys/stat.h>
#include <unistd.h>

static void test_buf_stops_at_its_maximum(void **state)
{
    (void)state;
    buf b = buf_new(10);
    buf_str(&b, "12345");
    buf_printf(&b, "%d", 67890);
    assert_false(b.full);
    assert_string_equal(buf_text(&b), "1234567890");
    buf_byte(&b, 'x');
    assert_true(b.full);
    assert_int_equal(b.n, 10);
    char *taken = buf_take(&b);
    assert_string_equal(taken, "1234567890");
    free(taken);
    buf_free(&b);
}

static void test_arena_hands_out_disjoint_zeroed_memory(void **state)
{
    (void)state;
    arena *a = arena_new(256);
    rng r = rng_seed(7);
    for (int round = 0; round < 3; round++) {
        unsigned char *p[200];
        size_t n[200];
        for (int i = 0; i < 200; i++) {
            n[i] = rng_below(&r, 700);
            p[i] = arena_alloc(a, n[i]);
            assert_int_equal((uintptr_t)p[i] % 16, 0);
            for (size_t k = 0; k < n[i]; k++) assert_int_equal(p[i][k], 0);
            memset(p[i], i + 1, n[i]);
        }
        for (int i = 0; i < 200; i++)
            for (size_t k = 0; k < n[i]; k++) assert_int_equal(p[i][k], (unsigned char)(i + 1));
        arena_reset(a);
        assert_int_equal(arena_used(a), 0);
    }
    arena_free(a);
}

// Every code point encodes and decodes to itself; every two-to-four byte string is judged by the
// table of RFC 3629.
static void test_utf8_round_trip_and_rejection(void **state)
{
    (void)state;
    for (uint32_t cp = 0; cp <= 0x110005; cp++) {
        char s[4];
        uint32_t back = 0;
        int n = utf8_put(cp, s);
        bool scalar = cp <= 0x10ffff && !(cp >= 0xd800 && cp <= 0xdfff);
        assert_int_equal(n > 0, scalar);
        if (!scalar) continue;
        assert_int_equal(utf8_decode(s, (size_t)n, &back), n);
        assert_int_equal(back, cp);
        for (int cut = 1; cut < n; cut++) {
            assert_int_equal(utf8_decode(s, (size_t)cut, &back), 0);
            assert_int_equal(utf8_incomplete_tail(s, (size_t)cut), cut);
        }
        assert_int_equal(utf8_incomplete_tail(s, (size_t)n), 0);
    }
    static const char *const bad[] = {
        "\xc0\x80",         "\xc1\xbf",         "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\x80",         "\xff"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint32_t cp;
        assert_int_equal(utf8_decode(bad[i], strlen(bad[i]), &cp), 0);
    }
    assert_int_equal(utf8_valid_prefix("ab\xc3\xa9\xff", 5), 4);
}

static void test_file_replace_and_read(void **state)
{
    (void)state;
    char dir[] = "/tmp/hearth-base-XXXXXX";
    assert_non_null(mkdtemp(dir));
    err e = {0};
    char *path = path_join(dir, "f");
    assert_int_equal(file_replace(path, "hello", 5, &e), 0);
    size_t n;
    char *text = file_read(path, 100, &n, &e);
    assert_string_equal(text, "hello");
    free(text);
    assert_null(file_read(path, 4, &n, &e));
    assert_int_equal(e.code, ERR_INPUT);
    assert_non_null(strstr(e.msg, path));
    assert_null(file_read(dir, 100, &n, &e));
    assert_non_null(strstr(e.msg, "directory"));
    char *fifo = path_join(dir, "fifo");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_null(file_read(fifo, 100, &n, &e)); // and does not hang
    mem_try_fail_at(1);
    assert_null(file_read(path, 100, &n, &e));
    assert_non_null(strstr(e.msg, "no memory"));
    unlink(fifo);
    unlink(path);
    rmdir(dir);
    free(fifo);
    free(path);
}

// What is quoted may be no UTF-8, or be cut within a character; the message still goes into JSON.
static void test_err_messages_are_utf8(void **state)
{
    (void)state;
    err e = {0};
    err_set(&e, ERR_INPUT, "%.3s|\xff|%s", "\xc3\xa9\xc3\xa9", "\xc3\xa9");
    assert_string_equal(e.msg, "\xc3\xa9?|?|\xc3\xa9");
    char longer[2001];
    for (size_t i = 0; i < 2000; i += 2) memcpy(longer + i, "\xc3\xa9", 2);
    longer[2000] = 0;
    err_set(&e, ERR_INPUT, "x%s", longer); // cut at the end of msg
    err_wrap(&e, "yy%.1s", longer);
    assert_int_equal(utf8_valid_prefix(e.msg, strlen(e.msg)), strlen(e.msg));
    err_sys(&e, 2, "\xff");
    assert_int_equal(e.msg[0], '?');
}

static void test_err_wrap_keeps_code_and_text(void **state)
{
    (void)state;
    err e = {0};
    assert_int_equal(err_set(&e, ERR_INPUT, "bad %s", "field"), -1);
    err_wrap(&e, "file %d", 3);
    assert_string_equal(e.msg, "file 3: bad field");
    assert_int_equal(e.code, ERR_INPUT);
}

// The vectors of FIPS 180-4 and the lengths where padding changes shape, fed in pieces of every
// size.
static void test_sha256(void **state)
{
    (void)state;
    static const struct {
        const char *text, *hex;
    } rows[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    char hex[65], again[65];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        sha256 s = sha256_start();
        sha256_add(&s, rows[i].text, strlen(rows[i].text));
        sha256_hex(&s, hex);
        assert_string_equal(hex, rows[i].hex);
    }
    char text[200];
    memset(text, 'a', sizeof text);
    for (size_t n = 0; n <= sizeof text; n++) {
        sha256 whole = sha256_start();
        sha256_add(&whole, text, n);
        sha256_hex(&whole, hex);
        for (size_t piece = 1; piece < 70; piece += 23) {
            sha256 s = sha256_start();
            for (size_t i = 0; i < n; i += piece)
                sha256_add(&s, text + i, n - i < piece ? n - i : piece);
            sha256_hex(&s, again);
            assert_string_equal(hex, again);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf_stops_at_its_maximum),
        cmocka_unit_test(test_arena_hands_out_disjoint_zeroed_memory),
        cmocka_unit_test(test_utf8_round_trip_and_rejection),
        cmocka_unit_test(test_file_replace_and_read),
        cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_err_messages_are_utf8),
        cmocka_unit_test(test_err_wrap_keeps_code_and_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
