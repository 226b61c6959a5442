// If this fails, a stop string that arrives in pieces is missed, or its beginning is shown to the
// person.
#include "test.h"

#include "base/rng.h"
#include "engine/stop.h"

// The slow twin: every place, every string, from scratch.
static size_t find_slow(const struct stop_list *s, const char *text, size_t n)
{
    for (size_t at = 0; at < n; at++)
        for (size_t i = 0; i < s->n; i++)
            if (strlen(s->text[i]) <= n - at &&
                memcmp(text + at, s->text[i], strlen(s->text[i])) == 0)
                return at;
    return STOP_NONE;
}

// Feeds text in random pieces as tokens come; what is found and what is held back must be what the
// whole text says.
static void test_pieces_find_what_the_whole_text_holds(void **state)
{
    (void)state;
    static const char *const sets[][3] = {
        {"ab", "bca", "c"}, {"aaab", "aab", "ab"}, {"abcabd", "cab", "bb"}};
    rng r = rng_seed(11);
    int found = 0;
    for (int round = 0; round < 20000; round++) {
        char text[24];
        size_t n = 1 + rng_below(&r, sizeof text - 1);
        for (size_t i = 0; i < n; i++) text[i] = (char)('a' + rng_below(&r, 4));
        struct stop_list s = {sets[rng_below(&r, 3)], 1 + rng_below(&r, 3)};
        size_t from = rng_below(&r, n), seen = from, at = STOP_NONE, held;
        for (size_t end = from; end < n && at == STOP_NONE;) {
            end += 1 + rng_below(&r, 4);
            if (end > n) end = n;
            at = stop_find(&s, text, from, seen, end, &held);
            size_t slow = find_slow(&s, text + from, end - from);
            assert_int_equal(at, slow == STOP_NONE ? STOP_NONE : slow + from);
            seen = end;
            if (at != STOP_NONE) break;
            // Held: the longest end that some continuation turns into a stop string.
            size_t longest = 0;
            for (size_t i = 0; i < s.n; i++)
                for (size_t k = 1; k < strlen(s.text[i]) && k <= end - from; k++)
                    if (memcmp(text + end - k, s.text[i], k) == 0 && k > longest) longest = k;
            assert_int_equal(held, longest);
        }
        found += at != STOP_NONE;
    }
    assert_in_range(found, 1000, 19000);
}

static void test_no_strings_never_stop(void **state)
{
    (void)state;
    struct stop_list none = {0};
    size_t held = 7;
    assert_int_equal(stop_find(&none, "text", 0, 0, 4, &held), STOP_NONE);
    assert_int_equal(held, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_find_what_the_whole_text_holds),
        cmocka_unit_test(test_no_strings_never_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
