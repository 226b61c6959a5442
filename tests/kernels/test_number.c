// If this fails, weights are read as other numbers than they are, or quantising rounds wrongly.
// Every code of every small format is checked against its definition, and rounding against a search
// for the nearest code.
#include "test.h"

#include "base/rng.h"
#include "kernels/number.h"

#include <float.h>

static void test_e4m3_codes(void **state)
{
    (void)state;
    for (int code = 0; code < 256; code++) {
        int exponent = code >> 3 & 15, fraction = code & 7;
        double size =
            exponent ? (1 + fraction / 8.0) * pow(2, exponent - 7) : fraction / 8.0 * pow(2, -6);
        float x = e4m3_to_f32((uint8_t)code);
        if ((code & 0x7f) == 0x7f) {
            assert_true(isnan(x) && e4m3_is_nan((uint8_t)code));
            continue;
        }
        assert_true((double)x == (code & 0x80 ? -size : size));
        assert_int_equal(!!signbit(x), code >> 7);
        assert_int_equal(f32_to_e4m3(x), code);
    }
    assert_true((double)e4m3_to_f32(0x7e) == 448);
}

static void test_f16_and_bf16_codes(void **state)
{
    (void)state;
    for (int code = 0; code < 65536; code++) {
        int exponent = code >> 10 & 31, fraction = code & 1023;
        float x = f16_to_f32((uint16_t)code), b = bf16_to_f32((uint16_t)code);
        double size = exponent == 31 ? (fraction ? NAN : INFINITY)
                      : exponent     ? (1 + fraction / 1024.0) * pow(2, exponent - 15)
                                     : fraction / 1024.0 * pow(2, -14);
        if (isnan(size))
            assert_true(isnan(x));
        else
            assert_true((double)x == (code & 0x8000 ? -size : size));
        assert_int_equal(f32_bits(b) >> 16, code);
        if (!isnan(b)) assert_int_equal(f32_to_bf16(b), code);
    }
}

// The nearest of all finite codes of x's sign; of two equally near the one with the even code.
static uint8_t nearest_e4m3(float x)
{
    int sign = signbit(x) ? 0x80 : 0, best = 0;
    for (int code = 1; code < 0x7f; code++) {
        double d = fabs(fabs((double)x) - (double)e4m3_to_f32((uint8_t)code));
        double d_best = fabs(fabs((double)x) - (double)e4m3_to_f32((uint8_t)best));
        if (d < d_best || (d == d_best && code % 2 == 0)) best = code;
    }
    return (uint8_t)(sign | best);
}

static void test_rounding_to_e4m3_is_to_the_nearest(void **state)
{
    (void)state;
    rng r = rng_seed(1);
    for (int i = 0; i < 200000; i++) {
        float x = (float)(rng_normal(&r) * pow(2, (double)rng_below(&r, 24) - 14));
        assert_int_equal(f32_to_e4m3(x), nearest_e4m3(x));
    }
    for (int code = 0; code < 0x7e; code++) { // exact ties, and their neighbours
        float tie = (e4m3_to_f32((uint8_t)code) + e4m3_to_f32((uint8_t)(code + 1))) / 2;
        assert_int_equal(f32_to_e4m3(tie), nearest_e4m3(tie));
        assert_int_equal(f32_to_e4m3(nextafterf(tie, 0)), code);
        assert_int_equal(f32_to_e4m3(nextafterf(tie, FLT_MAX)), code + 1);
    }
    assert_int_equal(f32_to_e4m3(1e30f), 0x7e);
    assert_int_equal(f32_to_e4m3(-INFINITY), 0xfe);
    assert_true(e4m3_is_nan(f32_to_e4m3(NAN)));
}

static void test_rounding_to_e2m1_is_to_the_nearest(void **state)
{
    (void)state;
    rng r = rng_seed(3);
    for (int i = 0; i < 100000; i++) {
        // Steps of an eighth meet all ties, the others none.
        float x = (float)(rng_normal(&r) * 3);
        if (i % 2) x = roundf(x * 8) / 8;
        int best = 0;
        for (int code = 1; code < 8; code++) {
            float d = fabsf(fabsf(x) - e2m1_to_f32((uint8_t)code));
            float d_best = fabsf(fabsf(x) - e2m1_to_f32((uint8_t)best));
            if (d < d_best || (d == d_best && code % 2 == 0)) best = code;
        }
        assert_int_equal(f32_to_e2m1(x), best | (signbit(x) ? 8 : 0));
    }
    for (uint8_t code = 0; code < 16; code++)
        assert_int_equal(f32_to_e2m1(e2m1_to_f32(code)), code);
    assert_int_equal(f32_to_e2m1(INFINITY), 7);
}

static void test_rounding_to_bf16_is_to_the_nearest(void **state)
{
    (void)state;
    rng r = rng_seed(2);
    for (int i = 0; i < 200000; i++) {
        float x = f32_from_bits((uint32_t)rng_u64(&r));
        if (!isfinite(x) || fabsf(x) > 3e38f) continue;
        uint16_t down = (uint16_t)(f32_bits(x) >> 16), got = f32_to_bf16(x);
        double below = fabs((double)x - (double)bf16_to_f32(down));
        double above = fabs((double)x - (double)bf16_to_f32((uint16_t)(down + 1)));
        bool up = above < below || (above == below && down % 2);
        assert_int_equal(got, down + up);
    }
    assert_true(isnan(bf16_to_f32(f32_to_bf16(NAN))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_e4m3_codes),
        cmocka_unit_test(test_f16_and_bf16_codes),
        cmocka_unit_test(test_rounding_to_e4m3_is_to_the_nearest),
        cmocka_unit_test(test_rounding_to_e2m1_is_to_the_nearest),
        cmocka_unit_test(test_rounding_to_bf16_is_to_the_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
