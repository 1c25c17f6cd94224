#include "unit.h"

#include <errno.h>

#include "base/text.h"

#define LITERAL(s) (s), sizeof(s) - 1

struct bytes {
        const char *p;
        size_t n;
};

static void test_utf8_good(void **state)
{
        static const struct bytes good[] = {
                {LITERAL("")},
                {LITERAL("plain")},
                {LITERAL("\x01\x7f")},
                {LITERAL("\xc2\x80\xdf\xbf")},                                           /* U+0080, U+07FF */
                {LITERAL("\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf")},           /* U+0800, D7FF, E000, FFFF */
                {LITERAL("\xf0\x90\x80\x80\xf3\xbf\xbf\xbf\xf4\x8f\xbf\xbf")},           /* U+10000, FFFFF, 10FFFF */
                {LITERAL("na\xc3\xafve \xe2\x82\xac \xf0\x9f\x91\x8d\xf0\x9f\x8f\xbd")}, /* naïve € 👍🏽 */
        };

        (void)state;
        for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
                assert_true(utf8_valid(good[i].p, good[i].n));
        assert_true(utf8_valid(NULL, 0));
}

static void test_utf8_bad(void **state)
{
        static const struct bytes bad[] = {
                {LITERAL("\0")},
                {LITERAL("a\0b")},
                {LITERAL("\x80")}, /* a continuation byte alone */
                {LITERAL("\xbf")},
                {LITERAL("a\x80")},
                {LITERAL("\xc3\xa9\xa9")}, /* one too many */
                {LITERAL("\xc0\x80")},     /* overlong NUL */
                {LITERAL("\xc0\xaf")},     /* overlong slash, 2 bytes */
                {LITERAL("\xc1\xbf")},
                {LITERAL("\xe0\x80\xaf")}, /* overlong slash, 3 bytes */
                {LITERAL("\xe0\x9f\xbf")},
                {LITERAL("\xf0\x80\x80\xaf")}, /* overlong slash, 4 bytes */
                {LITERAL("\xf0\x8f\xbf\xbf")},
                {LITERAL("\xed\xa0\x80")},             /* the first surrogate */
                {LITERAL("\xed\xbf\xbf")},             /* the last surrogate */
                {LITERAL("\xed\xa0\xbd\xed\xb1\x8d")}, /* a surrogate pair (CESU-8) */
                {LITERAL("\xf4\x90\x80\x80")},         /* U+110000 */
                {LITERAL("\xf5\x80\x80\x80")},
                {LITERAL("\xf8\x88\x80\x80\x80")}, /* five bytes */
                {LITERAL("\xfc\x84\x80\x80\x80\x80")},
                {LITERAL("\xfe")},
                {LITERAL("\xff")},
                {LITERAL("\xc3")}, /* cut short */
                {LITERAL("\xe2\x82")},
                {LITERAL("\xe2")},
                {LITERAL("\xf0\x9f\x91")},
                {LITERAL("\xf0\x9f")},
                {LITERAL("\xf0")},
                {LITERAL("\xc3(")}, /* no continuation byte */
                {LITERAL("\xe2(\xa1")},
                {LITERAL("\xe2\x82(")},
                {LITERAL("\xf0(\x8c\xbc")},
                {LITERAL("\xf0\x90(\xbc")},
                {LITERAL("\xf0\x90\x8c(")},
                {LITERAL("\xe9t\xe9")}, /* Latin-1 */
        };

        (void)state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                if (utf8_valid(bad[i].p, bad[i].n))
                        fail_msg("case %zu is taken", i);
}

/* Every code point, encoded by the rules of RFC 3629, and each of its proper prefixes */
static void test_utf8_every_code_point(void **state)
{
        (void)state;
        for (uint32_t c = 1; c < 0x110000; c++) {
                char text[4];
                size_t n;
                bool expected = c < 0xd800 || c > 0xdfff;

                if (c < 0x80) {
                        text[0] = (char)c;
                        n = 1;
                } else if (c < 0x800) {
                        text[0] = (char)(0xc0 | c >> 6);
                        n = 2;
                } else if (c < 0x10000) {
                        text[0] = (char)(0xe0 | c >> 12);
                        n = 3;
                } else {
                        text[0] = (char)(0xf0 | c >> 18);
                        n = 4;
                }
                for (size_t i = 1; i < n; i++)
                        text[i] = (char)(0x80 | (c >> (6 * (n - 1 - i)) & 0x3f));
                if (utf8_char_len(text, n) != (expected ? n : 0))
                        fail_msg("U+%04X: %zu", c, utf8_char_len(text, n));
                for (size_t i = 0; i < n; i++)
                        if (utf8_char_len(text, i) != 0)
                                fail_msg("U+%04X: its first %zu bytes are taken", c, i);
        }
}

static void test_what_has_no_place_in_a_line(void **state)
{
        static const char *const controls[] = {"\x01", "\n", "\x1f", "\x7f", "\xc2\x80", "\xc2\x9f"};
        static const char *const layout[] = {"\u061c", "\u200e", "\u200f", "\u2028", "\u2029",
                                             "\u202a", "\u202e", "\u2066", "\u2069"};
        static const char *const text[] = {" ",      "~",      "\u00a0", "\u061b", "\u200d", "\u2027",
                                           "\u202f", "\u2065", "\u206a", "€",      "🌴"};

        (void)state;
        for (size_t i = 0; i < sizeof(controls) / sizeof(controls[0]); i++)
                assert_true(utf8_is_control(controls[i]) && !utf8_is_layout(controls[i]));
        for (size_t i = 0; i < sizeof(layout) / sizeof(layout[0]); i++)
                assert_true(utf8_is_layout(layout[i]) && !utf8_is_control(layout[i]));
        for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++)
                assert_false(utf8_is_layout(text[i]) || utf8_is_control(text[i]));
}

static void test_parse_u64(void **state)
{
        static const char *const bad[] = {"", " 1", "1 ", "+1", "-1", "0x10", "1e3", "1.0", "abc", "1a", "\n", "٣"};
        uint64_t v = 77;

        (void)state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_int_equal(text_parse_u64(bad[i], 0, UINT64_MAX, &v), -EINVAL);
        assert_int_equal(text_parse_u64(NULL, 0, UINT64_MAX, &v), -EINVAL);
        assert_int_equal(text_parse_u64("18446744073709551616", 0, UINT64_MAX, &v), -ERANGE);
        assert_int_equal(text_parse_u64("99999999999999999999999999", 0, UINT64_MAX, &v), -ERANGE);
        assert_int_equal(text_parse_u64("99999999999999999999999999x", 0, UINT64_MAX, &v), -EINVAL);
        assert_int_equal(text_parse_u64("4", 5, 9, &v), -ERANGE);
        assert_int_equal(text_parse_u64("10", 5, 9, &v), -ERANGE);
        assert_int_equal(v, 77);

        assert_int_equal(text_parse_u64("5", 5, 9, &v), 0);
        assert_int_equal(v, 5);
        assert_int_equal(text_parse_u64("9", 5, 9, &v), 0);
        assert_int_equal(v, 9);
        assert_int_equal(text_parse_u64("0007", 5, 9, &v), 0);
        assert_int_equal(v, 7);
        assert_int_equal(text_parse_u64("18446744073709551615", 0, UINT64_MAX, &v), 0);
        assert_true(v == UINT64_MAX);
        assert_int_equal(text_parse_u64("0", 0, 0, &v), 0);
        assert_int_equal(v, 0);
}

/* RFC 4648, section 10, and the two characters in which base64url differs */
static void test_base64url_known(void **state)
{
        static const struct {
                const char *bytes, *text;
        } known[] = {
                {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
                {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff\xbf", "-_-_"},
        };
        char text[32];
        uint8_t bytes[32];

        (void)state;
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
                size_t n = strlen(known[i].bytes);

                assert_int_equal(base64url_encode((const uint8_t *)known[i].bytes, n, text), strlen(known[i].text));
                assert_string_equal(text, known[i].text);
                assert_int_equal(base64url_decode(text, strlen(text), bytes, sizeof(bytes)), n);
                assert_memory_equal(bytes, known[i].bytes, n);
        }
}

static void test_base64_known(void **state)
{
        static const struct {
                const char *bytes, *text;
        } known[] = {
                {"", ""},
                {"f", "Zg=="},
                {"fo", "Zm8="},
                {"foo", "Zm9v"},
                {"foob", "Zm9vYg=="},
                {"fooba", "Zm9vYmE="},
                {"foobar", "Zm9vYmFy"},
                {"\xfb\xff\xbf", "+/+/"},
        };
        char text[32];
        uint8_t bytes[32];

        (void)state;
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
                size_t n = strlen(known[i].bytes), n_text = strlen(known[i].text);

                assert_int_equal(base64_encode((const uint8_t *)known[i].bytes, n, text), n_text);
                assert_string_equal(text, known[i].text);
                assert_int_equal(n_text + 1, BASE64_SIZE(n));
                assert_int_equal(base64_decode(text, n_text, bytes, sizeof(bytes)), n);
                assert_memory_equal(bytes, known[i].bytes, n);
                /* and what base64url writes */
                n_text = base64url_encode((const uint8_t *)known[i].bytes, n, text);
                assert_int_equal(base64_decode(text, n_text, bytes, sizeof(bytes)), n);
                assert_memory_equal(bytes, known[i].bytes, n);
        }
        assert_int_equal(base64_decode("+_-/", 4, bytes, 3), 3);
        assert_int_equal(base64_decode("Zm9v", 4, bytes, 2), -ENOBUFS);
}

static void test_base64_bad(void **state)
{
        static const char *const bad[] = {"=",    "==",   "===",  "====", "A",    "A===",  "Zg=",      "Zm8==", "Zm9v=",
                                          "Zh==", "Zm9=", "Z=g=", "=Zg=", "Zg =", "Zm9 v", "Zg==Zg==", "Zm9v\n"};
        uint8_t bytes[32];

        (void)state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                if (base64_decode(bad[i], strlen(bad[i]), bytes, sizeof(bytes)) != -EINVAL)
                        fail_msg("%s is taken", bad[i]);
}

static void test_base64url_bad(void **state)
{
        static const char *const bad[] = {
                "A",    "AAAAA",                                      /* one digit is no byte */
                "Zg==", "Zm8=",                                       /* padding */
                "Zm9+", "Zm9/",  "Zm 9", "Zm9\n", "Zm\xc3\xa9", "Zh", /* bits behind the last byte */
                "Zm9",
        };
        uint8_t bytes[32] = {0xee};

        (void)state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                if (base64url_decode(bad[i], strlen(bad[i]), bytes, sizeof(bytes)) != -EINVAL)
                        fail_msg("%s is taken", bad[i]);
        assert_int_equal(base64url_decode("Zg\0A", 4, bytes, sizeof(bytes)), -EINVAL);
        assert_int_equal(base64url_decode("Zm9v", 4, bytes, 2), -ENOBUFS);
        assert_int_equal(bytes[0], 0xee);
        assert_int_equal(base64url_decode("Zm9v", 4, bytes, 3), 3);
        assert_int_equal(base64url_decode("", 0, NULL, 0), 0);
}

static void test_base64url_round_trip(void **state)
{
        uint64_t seed = 2;

        (void)state;
        for (size_t n = 0; n < 200; n++) {
                uint8_t bytes[200], back[200];
                char text[BASE64_SIZE(200)];
                size_t len;

                for (size_t i = 0; i < n; i++)
                        bytes[i] = (uint8_t)unit_random(&seed);
                len = base64url_encode(bytes, n, text);
                assert_int_equal(len, strlen(text));
                assert_true(len + 1 <= BASE64_SIZE(n));
                assert_int_equal(base64url_decode(text, len, back, n), n);
                if (n > 0)
                        assert_memory_equal(bytes, back, n);
                len = base64_encode(bytes, n, text);
                assert_int_equal(base64_decode(text, len, back, n), n);
                if (n > 0)
                        assert_memory_equal(bytes, back, n);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_utf8_good),
                cmocka_unit_test(test_utf8_bad),
                cmocka_unit_test(test_utf8_every_code_point),
                cmocka_unit_test(test_what_has_no_place_in_a_line),
                cmocka_unit_test(test_parse_u64),
                cmocka_unit_test(test_base64url_known),
                cmocka_unit_test(test_base64url_bad),
                cmocka_unit_test(test_base64_known),
                cmocka_unit_test(test_base64_bad),
                cmocka_unit_test(test_base64url_round_trip),
        };
        return cmocka_run_group_tests_name("base/text", tests, NULL, NULL);
}
