#include "unit.h"

#include "base/ident.h"

static void test_ident(void **state)
{
        char text[IDENT_MAX + 2];

        (void)state;
        assert_true(ident_valid("a"));
        assert_true(ident_valid("general"));
        assert_true(ident_valid("u_Az09-_"));
        assert_false(ident_valid(NULL));
        assert_false(ident_valid(""));

        memset(text, 'x', sizeof(text));
        text[IDENT_MAX] = '\0';
        assert_true(ident_valid(text));
        text[IDENT_MAX] = 'x';
        text[IDENT_MAX + 1] = '\0';
        assert_false(ident_valid(text));
}

/* Of all bytes, exactly the 64 of the alphabet, at the front, in the middle and at the end */
static void test_ident_alphabet(void **state)
{
        unsigned n = 0;

        (void)state;
        for (unsigned c = 0; c < 256; c++) {
                const char ch = (char)c;
                const char text[3][3] = {{ch, 'a', 'a'}, {'a', ch, 'a'}, {'a', 'a', ch}};
                bool expected = c && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-",
                                            (int)c) != NULL;

                n += expected;
                for (unsigned i = 0; i < 3; i++)
                        assert_int_equal(ident_valid_n(text[i], 3), expected);
        }
        assert_int_equal(n, 64);
}

static void test_ident_n(void **state)
{
        (void)state;
        assert_true(ident_valid_n("abc.def", 3));
        assert_false(ident_valid_n("abc.def", 4));
        assert_false(ident_valid_n("abc", 0));
        assert_false(ident_valid_n(NULL, 0));
        assert_false(ident_valid_n("a\0b", 3));
}

static void test_uuid(void **state)
{
        static const char *const good[] = {
                "00000000-0000-0000-0000-000000000000", "f47ac10b-58cc-4372-a567-0e02b2c3d479",
                "F47AC10B-58CC-4372-A567-0E02B2C3D479", "017f22e2-79b0-7cc3-98c4-dc0c0c07398f",
                "ffffffff-ffff-ffff-ffff-ffffffffffff",
        };
        static const char *const bad[] = {
                "",
                "f47ac10b-58cc-4372-a567-0e02b2c3d47",
                "f47ac10b-58cc-4372-a567-0e02b2c3d4790",
                "f47ac10b58cc4372a5670e02b2c3d479",
                "{f47ac10b-58cc-4372-a567-0e02b2c3d479}",
                "f47ac10b-58cc-4372-a567-0e02b2c3d47g",
                "f47ac10b-58cc-4372-a567 0e02b2c3d479",
                "f47ac10b_58cc_4372_a567_0e02b2c3d479",
                " f47ac10b-58cc-4372-a567-0e02b2c3d47",
                "f47ac10-b58cc-4372-a567-0e02b2c3d479",
                "f47ac10b-58cc-4372-a567-0e02b2c3d47\n",
                "------------------------------------",
        };

        (void)state;
        for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
                assert_true(uuid_valid(good[i]));
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                if (uuid_valid(bad[i]))
                        fail_msg("%s is taken", bad[i]);
        assert_false(uuid_valid(NULL));
}

/* The example of RFC 9562, appendix A.6: 0x17F22E279B0, rand_a 0xCC3, rand_b 0x18C4DC0C0C07398F */
static void test_uuid_v7(void **state)
{
        static const uint8_t random[10] = {0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f};
        static const uint8_t ones[10] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
        char text[UUID_LEN + 1];

        (void)state;
        uuid_v7(UINT64_C(0x17F22E279B0), random, text);
        assert_string_equal(text, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
        uuid_v7(0, ones, text);
        assert_string_equal(text, "00000000-0000-7fff-bfff-ffffffffffff");
        assert_true(uuid_valid(text));
}

static void test_uuid_v7_time(void **state)
{
        uint64_t ms = 7;

        (void)state;
        assert_true(uuid_v7_time("017f22e2-79b0-7cc3-98c4-dc0c0c07398f", &ms));
        assert_int_equal(ms, UINT64_C(0x17F22E279B0));
        assert_true(uuid_v7_time("FFFFFFFF-FFFF-7CC3-98C4-DC0C0C07398F", &ms));
        assert_int_equal(ms, UINT64_C(0xFFFFFFFFFFFF));
        assert_false(uuid_v7_time("017f22e2-79b0-4cc3-98c4-dc0c0c07398f", &ms)); /* random alone */
        assert_false(uuid_v7_time("017f22e2-79b0-7cc3-98c4", &ms));
        assert_int_equal(ms, UINT64_C(0xFFFFFFFFFFFF));
}

static void test_random(void **state)
{
        uint8_t big[4096], zero[64] = {0}, a[64], b[64];
        unsigned ones = 0;

        (void)state;
        random_bytes(a, sizeof(a));
        random_bytes(b, sizeof(b));
        assert_memory_not_equal(a, b, sizeof(a));
        assert_memory_not_equal(a, zero, sizeof(a));
        random_bytes(a, 0);

        /* 32768 fair bits: outside 15000 to 17700 is more than 14 standard deviations away */
        random_bytes(big, sizeof(big));
        for (size_t i = 0; i < sizeof(big); i++)
                ones += (unsigned)__builtin_popcount(big[i]);
        assert_in_range(ones, 15000, 17700);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ident),   cmocka_unit_test(test_ident_alphabet),
                cmocka_unit_test(test_ident_n), cmocka_unit_test(test_uuid),
                cmocka_unit_test(test_uuid_v7), cmocka_unit_test(test_uuid_v7_time),
                cmocka_unit_test(test_random),
        };
        return cmocka_run_group_tests_name("base/ident", tests, NULL, NULL);
}
