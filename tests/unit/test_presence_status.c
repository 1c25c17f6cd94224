/* What users may say of themselves. */
#include "presence/status.h"
#include "presence_world.h"

#define N(list) (sizeof(list) / sizeof((list)[0]))

static void check_refused(const char *field, Parley__V1__Status s)
{
        char why[128] = "";

        assert_int_equal(status_check(&s, WORLD_START_S, why, sizeof(why)), -22);
        assert_non_null(strstr(why, field));
}

static void test_status_check(void **state)
{
        static const char *const lines[] = {"a\u202eb", "a\u2028b", "\xc2\x85", "\u2066", "\x7f"};
        static const char *const words[] = {
                "VERIFIED-ADMIN", "админ",   "ＡＤＭＩＮ", "Ⓐ",      "🄰",      "1",      ":A:",          "::", ":a",
                ":a: ",           "🌴\u202e", "🌴 ",         "\u200d", "\ufe0f", "🌴admin", "1\u20e3\u20e3"};
        static const char *const pictures[] = {"🌴",
                                               "❤️",
                                               "👍🏽",
                                               "🇩🇪",
                                               "👩‍❤️‍💋‍👩",
                                               "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
                                               "1️⃣",
                                               "#️⃣",
                                               "☎",
                                               ":+1:",
                                               ":palm_tree:",
                                               "©️",
                                               "🅰️"};
        Parley__V1__Status s = PARLEY__V1__STATUS__INIT, bad;
        Google__Protobuf__Timestamp past = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        char text[1024] = "", why[128];

        (void)state;
        past.seconds = WORLD_START_S - 1;
        for (unsigned i = 0; i < 140; i++)
                strcat(text, "ä");
        s.text = text;
        s.emoji = (char *)":palm_tree:";
        assert_int_equal(status_check(&s, WORLD_START_S, why, sizeof(why)), 0);
        strcat(text, "x");
        check_refused("text", s);
        bad = s, bad.text = (char *)"two\nlines";
        check_refused("text", bad);
        s.text = (char *)"";
        bad = s, bad.emoji = (char *)"not an emoji at all, is it";
        check_refused("emoji", bad);
        for (unsigned i = 0; i < N(lines); i++) {
                bad = s, bad.text = (char *)lines[i];
                check_refused("text", bad);
        }
        for (unsigned i = 0; i < N(words); i++) {
                bad = s, bad.emoji = (char *)words[i];
                check_refused("emoji", bad);
        }
        for (unsigned i = 0; i < N(pictures); i++) {
                s.emoji = (char *)pictures[i];
                assert_int_equal(status_check(&s, WORLD_START_S, why, sizeof(why)), 0);
        }
        s.emoji = (char *)"";
        bad = s, bad.mode = (Parley__V1__Status__Mode)9;
        check_refused("mode", bad);
        bad = s, bad.mode_until = &past;
        check_refused("modeUntil", bad);
        bad = s, bad.text_until = &past;
        check_refused("textUntil", bad);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_status_check),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
