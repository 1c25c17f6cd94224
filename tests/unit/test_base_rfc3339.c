#include "unit.h"

#include <errno.h>
#include <time.h>

#include "base/text.h"

static void check_format(int64_t seconds, int32_t nanos, const char *expected)
{
        char text[RFC3339_LEN + 1];

        memset(text, '#', sizeof(text));
        assert_int_equal(rfc3339_format(seconds, nanos, text), 0);
        assert_string_equal(text, expected);
}

static void test_format(void **state)
{
        (void)state;
        check_format(0, 0, "1970-01-01T00:00:00Z");
        check_format(0, 1, "1970-01-01T00:00:00.000000001Z");
        check_format(0, 1000, "1970-01-01T00:00:00.000001Z");
        check_format(0, 1000000, "1970-01-01T00:00:00.001Z");
        check_format(0, 100000000, "1970-01-01T00:00:00.100Z");
        check_format(0, 999999999, "1970-01-01T00:00:00.999999999Z");
        check_format(-1, 500000000, "1969-12-31T23:59:59.500Z");
        check_format(951782399, 0, "2000-02-28T23:59:59Z");
        check_format(951782400, 0, "2000-02-29T00:00:00Z");
        check_format(INT64_C(4107542399), 0, "2100-02-28T23:59:59Z");
        check_format(INT64_C(4107542400), 0, "2100-03-01T00:00:00Z");
        check_format(INT64_C(-62135596800), 0, "0001-01-01T00:00:00Z");
        check_format(INT64_C(253402300799), 999999999, "9999-12-31T23:59:59.999999999Z");
        assert_int_equal(strlen("9999-12-31T23:59:59.999999999Z"), RFC3339_LEN);
}

static void test_format_range(void **state)
{
        char text[RFC3339_LEN + 1] = "kept";

        (void)state;
        assert_int_equal(rfc3339_format(INT64_C(-62135596801), 0, text), -ERANGE);
        assert_int_equal(rfc3339_format(INT64_C(253402300800), 0, text), -ERANGE);
        assert_int_equal(rfc3339_format(INT64_MIN, 0, text), -ERANGE);
        assert_int_equal(rfc3339_format(INT64_MAX, 0, text), -ERANGE);
        assert_int_equal(rfc3339_format(0, -1, text), -ERANGE);
        assert_int_equal(rfc3339_format(0, 1000000000, text), -ERANGE);
        assert_string_equal(text, "kept");
}

static void check_parse(const char *text, int64_t seconds, int32_t nanos)
{
        int64_t s = 0;
        int32_t n = 0;

        if (rfc3339_parse(text, &s, &n) != 0)
                fail_msg("%s is refused", text);
        assert_true(s == seconds);
        assert_int_equal(n, nanos);
}

static void test_parse(void **state)
{
        (void)state;
        check_parse("1970-01-01T00:00:00Z", 0, 0);
        check_parse("1970-01-01T00:00:00.1Z", 0, 100000000);
        check_parse("1970-01-01T00:00:00.123456789Z", 0, 123456789);
        check_parse("1970-01-01T00:00:00.000000001Z", 0, 1);
        check_parse("1970-01-01T01:00:00+01:00", 0, 0);
        check_parse("1969-12-31T18:30:00-05:30", 0, 0);
        check_parse("1970-01-01T00:00:00-00:00", 0, 0);
        check_parse("1970-01-01T23:59:00+23:59", 0, 0);
        check_parse("2000-02-29T00:00:00Z", 951782400, 0);
        check_parse("0001-01-01T00:00:00Z", INT64_C(-62135596800), 0);
        check_parse("9999-12-31T23:59:59.999999999Z", INT64_C(253402300799), 999999999);
        check_parse("2024-02-29T23:59:59.5Z", 1709251199, 500000000);
}

static void test_parse_bad(void **state)
{
        static const char *const bad[] = {
                "",
                "now",
                "2024",
                "2024-01-01",
                "2024-01-01T00:00:00",
                "2024-01-01 00:00:00Z",
                "2024-01-01t00:00:00Z",
                "2024-01-01T00:00:00z",
                "2024-01-01T00:00Z",
                "2024-1-01T00:00:00Z",
                "24-01-01T00:00:00Z",
                "02024-01-01T00:00:00Z",
                "2024-00-01T00:00:00Z",
                "2024-13-01T00:00:00Z",
                "2024-01-00T00:00:00Z",
                "2024-01-32T00:00:00Z",
                "2024-04-31T00:00:00Z",
                "2023-02-29T00:00:00Z",
                "1900-02-29T00:00:00Z",
                "2024-01-01T24:00:00Z",
                "2024-01-01T00:60:00Z",
                "2016-12-31T23:59:60Z",
                "2024-01-01T00:00:00.Z",
                "2024-01-01T00:00:00.1234567890Z",
                "2024-01-01T00:00:00,5Z",
                "2024-01-01T00:00:00.-5Z",
                "2024-01-01T00:00:00+0100",
                "2024-01-01T00:00:00+1:00",
                "2024-01-01T00:00:00+24:00",
                "2024-01-01T00:00:00+01:60",
                "2024-01-01T00:00:00+01",
                "2024-01-01T00:00:00Z ",
                " 2024-01-01T00:00:00Z",
                "2024-01-01T00:00:00ZZ",
                "-001-01-01T00:00:00Z",
                "0000-01-01T00:00:00Z",
                "0001-01-01T00:00:00+00:01",
                "9999-12-31T23:59:59-00:01",
                "2024-01-01T-1:00:00Z",
        };
        int64_t s = 5;
        int32_t n = 6;

        (void)state;
        assert_int_equal(rfc3339_parse(NULL, &s, &n), -EINVAL);
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                if (rfc3339_parse(bad[i], &s, &n) != -EINVAL)
                        fail_msg("%s is taken", bad[i]);
        assert_int_equal(s, 5);
        assert_int_equal(n, 6);
}

/* Against the C library, and back again, over all of the range: one random instant in each of 200,000 steps */
static void test_against_libc(void **state)
{
        const int64_t low = INT64_C(-62135596800), high = INT64_C(253402300799), step = (high - low) / 200000;
        uint64_t seed = 3;

        (void)state;
        for (int64_t at = low; at <= high - step; at += step) {
                int64_t t = at + (int64_t)(unit_random(&seed) % (uint64_t)step), back;
                int32_t nanos = (int32_t)(unit_random(&seed) % 1000000000), nanos_back;
                time_t tt = (time_t)t;
                struct tm tm;
                char text[RFC3339_LEN + 1], expected[64];

                assert_non_null(gmtime_r(&tt, &tm));
                snprintf(expected, sizeof(expected), "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1,
                         tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
                assert_int_equal(rfc3339_format(t, nanos, text), 0);
                assert_memory_equal(text, expected, strlen(expected));
                assert_int_equal(rfc3339_parse(text, &back, &nanos_back), 0);
                assert_true(back == t);
                assert_int_equal(nanos_back, nanos);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_format),    cmocka_unit_test(test_format_range), cmocka_unit_test(test_parse),
                cmocka_unit_test(test_parse_bad), cmocka_unit_test(test_against_libc),
        };
        return cmocka_run_group_tests_name("base/rfc3339", tests, NULL, NULL);
}
