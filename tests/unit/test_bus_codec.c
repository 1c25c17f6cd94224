#include "bus/codec.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "bus/subjects.h"

/* Fixed at the first installation: a change here splits every channel's log */
static void test_shards(void **state)
{
        static const struct {
                const char *channel;
                uint32_t of[3]; /* 2, 3, 16 shards */
        } vectors[] = {
                {"a", {0, 1, 12}},
                {"general", {1, 1, 11}},
                {"random", {0, 2, 2}},
                {"Support_42", {1, 2, 3}},
                {"f3b1c9de-0000-7000-8000-000000000001", {0, 0, 4}},
                {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", {1, 0, 5}},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
                assert_int_equal(subject_shard(vectors[i].channel, 1), 0);
                assert_int_equal(subject_shard(vectors[i].channel, 2), vectors[i].of[0]);
                assert_int_equal(subject_shard(vectors[i].channel, 3), vectors[i].of[1]);
                assert_int_equal(subject_shard(vectors[i].channel, 16), vectors[i].of[2]);
        }
        assert_int_equal(subject_shard("general", UINT32_MAX), 1057030306);
}

static void test_subjects(void **state)
{
        char s[SUBJECT_MAX];
        char longest[65];

        (void)state;
        memset(longest, 'x', 64);
        longest[64] = '\0';
        subject_chat(s, 0, "general");
        assert_string_equal(s, "chat.0.general");
        subject_live(s, 12, "general");
        assert_string_equal(s, "live.12.general");
        subject_chat_stream(s, 3);
        assert_string_equal(s, "CHAT_3");
        subject_chat_all(s, 0);
        assert_string_equal(s, "chat.0.>");
        subject_live_all(s, 1);
        assert_string_equal(s, "live.1.>");
        subject_user(s, "u_1");
        assert_string_equal(s, "live.user.u_1");
        subject_digest(s, 4);
        assert_string_equal(s, "digest.4");
        subject_dlq(s, "history");
        assert_string_equal(s, "dlq.history");
        subject_chat(s, UINT32_MAX, longest);
        assert_int_equal(strlen(s), 5 + 10 + 1 + 64);
        subject_msg_id(s, longest, longest, "018f3c1e-0000-7000-8000-0000000000ff");
        assert_int_equal(strlen(s), 64 + 1 + 64 + 1 + 36);
        subject_msg_id(s, "general", "ann", "018f3c1e-0000-7000-8000-0000000000ff");
        assert_string_equal(s, "general:ann:018f3c1e-0000-7000-8000-0000000000ff");
}

static void test_subject_channel(void **state)
{
        static const char *const none[] = {
                "",          "chat",       "chat.",    "chat.0",   "chat.0.",   "chat.x.general", "live.user.ann",
                "live..ann", "chat.0.a.b", "digest.0", "Chat.0.a", "chat.1x.a", "livex.0.a",      "live.-1.a"};

        (void)state;
        assert_string_equal(subject_channel("chat.0.general"), "general");
        assert_string_equal(subject_channel("live.17.a-b_C"), "a-b_C");
        for (size_t i = 0; i < ARRAY_SIZE(none); i++)
                assert_null(subject_channel(none[i]));
}

static void test_delivery(void **state)
{
        static const char *const bad[] = {
                "",
                "$JS.ACK.",
                "_INBOX.a.b",
                "$JS.ACK.S.C.1.2.3.4",                      /* one too few */
                "$JS.ACK.S.C.1.2.3.4.x",                    /* not a number */
                "$JS.ACK.S.C.1.2.3.4.",                     /* empty */
                "$JS.ACK.S.C.1.2.3.4.-5",                   /* a sign */
                "$JS.ACK.S.C.1.2.3.4.18446744073709551616", /* 2^64 */
                "$JS.ACK.S.C.1.2.3.4.5.6",                  /* neither form */
                "$JS.ACK.1.2.3.4.5.6.7.8.9.10.11.12.13",    /* one too many */
        };
        struct delivery d;

        (void)state;
        assert_false(codec_is_delivery(NULL));
        assert_int_equal(codec_delivery("$JS.ACK.CHAT_0.parley-0123-1f.1.4294967300.17.1700000000123456789.9", &d), 0);
        assert_int_equal(d.n_consumer, strlen("parley-0123-1f"));
        assert_memory_equal(d.consumer, "parley-0123-1f", d.n_consumer);
        assert_int_equal(d.seq, 4294967300);
        assert_int_equal(d.consumer_seq, 17);
        assert_int_equal(d.time_ns, 1700000000123456789);
        assert_int_equal(d.pending, 9);
        assert_int_equal(codec_delivery("$JS.ACK.hub.ACCHASH.CHAT_0.C.1.5.6.7.8.random", &d), 0);
        assert_memory_equal(d.consumer, "C.", 2);
        assert_int_equal(d.seq, 5);
        assert_int_equal(d.consumer_seq, 6);
        assert_int_equal(codec_delivery("$JS.ACK._.ACCHASH.CHAT_0.C.1.18446744073709551615.6.7.8", &d), 0);
        assert_true(d.seq == UINT64_MAX);
        d.seq = 77;
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_int_equal(codec_delivery(bad[i], &d), -EBADMSG);
        assert_int_equal(d.seq, 77); /* written only on success */
}

static void test_headers(void **state)
{
        static const char block[] =
                "NATS/1.0 404 No Messages\r\nNats-Msg-Id: general:ann:1\r\nParley-Trace-Id:x\r\nEmpty:\r\n\r\n";
        char value[16];

        (void)state;
        assert_true(codec_raw_header(block, sizeof(block) - 1, "Nats-Msg-Id", value, sizeof(value)));
        assert_string_equal(value, "general:ann:1");
        assert_true(codec_raw_header(block, sizeof(block) - 1, "Parley-Trace-Id", value, sizeof(value)));
        assert_string_equal(value, "x");
        assert_true(codec_raw_header(block, sizeof(block) - 1, "Empty", value, sizeof(value)));
        assert_string_equal(value, "");
        assert_false(codec_raw_header(block, sizeof(block) - 1, "Nats-Msg", value, sizeof(value)));
        assert_false(codec_raw_header(block, sizeof(block) - 1, "Nats-Msg-Id", value, 13)); /* no room for the NUL */
        assert_false(codec_raw_header("", 0, "Empty", value, sizeof(value)));
        assert_false(codec_raw_header("Empty: x", 8, "Empty", value, sizeof(value))); /* the line has no end */

        assert_int_equal(codec_header_u64("42"), 42);
        assert_true(codec_header_u64("18446744073709551615") == UINT64_MAX);
        assert_int_equal(codec_header_u64("18446744073709551616"), 0);
        assert_int_equal(codec_header_u64("4 2"), 0);
        assert_int_equal(codec_header_u64(""), 0);
        assert_int_equal(codec_header_u64(NULL), 0);
        assert_int_equal(codec_time_ns("2024-01-02T03:04:05.123456789Z"), INT64_C(1704164645123456789));
        assert_int_equal(codec_time_ns("2024-01-02T03:04:05Z"), INT64_C(1704164645000000000));
        assert_int_equal(codec_time_ns("9999-01-02T03:04:05Z"), 0); /* not in 64 bits of nanoseconds */
        assert_int_equal(codec_time_ns("yesterday"), 0);
        assert_int_equal(codec_time_ns(NULL), 0);
}

static void test_names(void **state)
{
        char longest[130];

        (void)state;
        assert_true(codec_name_valid("CHAT_0"));
        assert_false(codec_name_valid(""));
        assert_false(codec_name_valid("a.b"));
        assert_false(codec_name_valid("a b"));
        assert_false(codec_name_valid("a*"));
        assert_false(codec_name_valid("\xc3\xa9"));
        memset(longest, 'x', sizeof(longest));
        longest[64] = '\0';
        assert_true(codec_name_valid(longest));
        longest[64] = 'x';
        longest[65] = '\0';
        assert_false(codec_name_valid(longest));

        assert_true(codec_key_valid("everyone.general"));
        assert_true(codec_key_valid("a/b=c"));
        assert_false(codec_key_valid(""));
        assert_false(codec_key_valid(".a"));
        assert_false(codec_key_valid("a."));
        assert_false(codec_key_valid("a..b"));
        assert_false(codec_key_valid("a.>"));
        assert_false(codec_key_valid("a b"));
        memset(longest, 'x', sizeof(longest));
        longest[128] = '\0';
        assert_true(codec_key_valid(longest));
        longest[128] = 'x';
        longest[129] = '\0';
        assert_false(codec_key_valid(longest));
}

static void test_subject_valid(void **state)
{
        static const char *const bad[] = {"",      ".",  "a.", ".a", "a..b", "a b", "a\tb", "a\r\nPUB b 1",
                                          "a.>.b", "a>", "a*b"};
        char longest[257];

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                assert_false(codec_subject_valid(bad[i], true));
                assert_false(codec_subject_valid(bad[i], false));
        }
        assert_true(codec_subject_valid("a.b.c", false));
        assert_true(codec_subject_valid("$KV.B.a/b", false));
        assert_true(codec_subject_valid("a.*.>", true));
        assert_true(codec_subject_valid(">", true));
        assert_false(codec_subject_valid("a.*", false));
        assert_false(codec_subject_valid(">", false));
        memset(longest, 'x', sizeof(longest));
        longest[255] = '\0';
        assert_true(codec_subject_valid(longest, false));
        longest[255] = 'x';
        longest[256] = '\0';
        assert_false(codec_subject_valid(longest, false));
}

static void test_subject_list(void **state)
{
        static const char *const bad[] = {",", "a,", ",a", "a,,b", "a, b", "a,b c"};
        const char *cursor = "dlq.>,upload.completed";
        char subject[256];

        (void)state;
        assert_int_equal(codec_next_subject(&cursor, subject), 1);
        assert_string_equal(subject, "dlq.>");
        assert_int_equal(codec_next_subject(&cursor, subject), 1);
        assert_string_equal(subject, "upload.completed");
        assert_int_equal(codec_next_subject(&cursor, subject), 0);
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                int r;

                cursor = bad[i];
                while ((r = codec_next_subject(&cursor, subject)) > 0)
                        ;
                assert_int_equal(r, -EINVAL);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_shards),          cmocka_unit_test(test_subjects),
                cmocka_unit_test(test_subject_channel), cmocka_unit_test(test_delivery),
                cmocka_unit_test(test_headers),         cmocka_unit_test(test_names),
                cmocka_unit_test(test_subject_valid),   cmocka_unit_test(test_subject_list),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
