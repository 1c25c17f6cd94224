/* The stored form of events: kinds, the fingerprint of what was asked for, and reading them back. */
#include "unit.h"
#include "wire/event.h"
#include "wire_random.h"

static char *texts[] = {(char *)"bob", (char *)"carl"};

static void fingerprint(const Parley__V1__Event *event, uint8_t ret[FINGERPRINT_LEN])
{
        assert_int_equal(event_fingerprint(event, ret), 0);
}

static bool same(const Parley__V1__Event *a, const Parley__V1__Event *b)
{
        uint8_t fa[FINGERPRINT_LEN], fb[FINGERPRINT_LEN];

        fingerprint(a, fa);
        fingerprint(b, fb);
        return memcmp(fa, fb, FINGERPRINT_LEN) == 0;
}

static Parley__V1__Event event_of(Parley__V1__Event__BodyCase body_case, void *body)
{
        Parley__V1__Event event = PARLEY__V1__EVENT__INIT;

        event.body_case = body_case;
        event.message = body;
        return event;
}

static void test_message(void **state)
{
        Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        Parley__V1__Message a = PARLEY__V1__MESSAGE__INIT, b;
        Parley__V1__Event ea = event_of(PARLEY__V1__EVENT__BODY_MESSAGE, &a),
                          eb = event_of(PARLEY__V1__EVENT__BODY_MESSAGE, &b);

        (void)state;
        a.content = (char *)"hi";
        a.n_mentions = 1;
        a.mentions = texts;
        b = a;
        /* What the service adds does not count */
        b.id = b.channel_id = b.sender_id = b.sender_name = (char *)"x";
        b.seq = 5;
        b.deleted = 1;
        b.created_at = b.updated_at = &at;
        eb.seq = 7;
        eb.created_at = &at;
        eb.id = eb.actor_id = eb.channel_id = (char *)"x";
        assert_true(same(&ea, &eb));

        b = a, b.content = (char *)"ho";
        assert_false(same(&ea, &eb));
        b = a, b.type = PARLEY__V1__MESSAGE__TYPE__image;
        assert_false(same(&ea, &eb));
        b = a, b.thread_id = (char *)"t";
        assert_false(same(&ea, &eb));
        b = a, b.reply_to = (char *)"t";
        assert_false(same(&ea, &eb));
        b = a, b.n_mentions = 2;
        assert_false(same(&ea, &eb));
        b = a, b.mentions = texts + 1;
        assert_false(same(&ea, &eb));
        b = a, b.n_attachments = 1,
        b.attachments = (Parley__V1__Attachment *[]){&(Parley__V1__Attachment)PARLEY__V1__ATTACHMENT__INIT};
        assert_false(same(&ea, &eb));
        /* The same text in another field */
        a.thread_id = (char *)"t";
        b = a, b.thread_id = a.reply_to, b.reply_to = a.thread_id;
        assert_false(same(&ea, &eb));
}

static void test_edit_and_delete(void **state)
{
        Parley__V1__MessageEdited a = PARLEY__V1__MESSAGE_EDITED__INIT, b;
        Parley__V1__MessageDeleted d1 = PARLEY__V1__MESSAGE_DELETED__INIT, d2 = d1;
        Parley__V1__Event ea = event_of(PARLEY__V1__EVENT__BODY_MESSAGE_EDITED, &a),
                          eb = event_of(PARLEY__V1__EVENT__BODY_MESSAGE_EDITED, &b),
                          e1 = event_of(PARLEY__V1__EVENT__BODY_MESSAGE_DELETED, &d1),
                          e2 = event_of(PARLEY__V1__EVENT__BODY_MESSAGE_DELETED, &d2);

        (void)state;
        a.target_seq = d1.target_seq = d2.target_seq = 5;
        b = a, b.target_id = (char *)"looked up by the service";
        assert_true(same(&ea, &eb));
        b = a, b.target_seq = 6;
        assert_false(same(&ea, &eb));
        b = a, b.content = (char *)"new";
        assert_false(same(&ea, &eb));
        b = a, b.n_mentions = 1, b.mentions = texts;
        assert_false(same(&ea, &eb));

        /* The kind counts: these two pack to the same bytes */
        assert_false(same(&ea, &e1));
        d2.target_id = (char *)"looked up by the service";
        assert_true(same(&e1, &e2));
        d2.target_seq = 6;
        assert_false(same(&e1, &e2));
}

static void test_others(void **state)
{
        Parley__V1__MemberJoined a = PARLEY__V1__MEMBER_JOINED__INIT, b;
        Parley__V1__Event ea = event_of(PARLEY__V1__EVENT__BODY_MEMBER_JOINED, &a), none = PARLEY__V1__EVENT__INIT,
                          eb = event_of(PARLEY__V1__EVENT__BODY_MEMBER_JOINED, &b);

        (void)state;
        b = a, b.version = 2;
        assert_false(same(&ea, &eb));
        b = a;
        assert_true(same(&ea, &eb));
        assert_false(same(&ea, &none));
}

/* Stored by history for ever: these bytes may never change. SHA-256 of "message\0" + 2a02'hi' 4a03'bob' in protobuf's form, by sha256sum. */
static void test_fixed(void **state)
{
        static const uint8_t expected[FINGERPRINT_LEN] = {0x4c, 0x78, 0x94, 0x8a, 0x95, 0xe2, 0x6b, 0xa3,
                                                          0x41, 0x80, 0xa5, 0x5f, 0x45, 0x62, 0x2a, 0x56};
        Parley__V1__Message m = PARLEY__V1__MESSAGE__INIT;
        Parley__V1__Event event = event_of(PARLEY__V1__EVENT__BODY_MESSAGE, &m);
        uint8_t got[FINGERPRINT_LEN];

        (void)state;
        m.content = (char *)"hi";
        m.n_mentions = 1;
        m.mentions = texts;
        fingerprint(&event, got);
        assert_memory_equal(got, expected, FINGERPRINT_LEN);
}

static void test_kind(void **state)
{
        static const char *const kinds[] = {"message",     "message_edited", "message_deleted", "member_joined",
                                            "member_left", "member_changed", "channel_changed", "removed"};
        Parley__V1__Event event = PARLEY__V1__EVENT__INIT;

        (void)state;
        assert_string_equal(event_kind(&event), "none");
        for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
                event.body_case = (Parley__V1__Event__BodyCase)(PARLEY__V1__EVENT__BODY_MESSAGE + i);
                assert_string_equal(event_kind(&event), kinds[i]);
        }
}

static void test_decode(void **state)
{
        uint64_t seed = 11;
        struct wire_error error;

        (void)state;
        for (unsigned i = 0; i < 200; i++) {
                Parley__V1__Event *event, *back = NULL;
                struct buf bytes = BUF_INIT(1 << 20);

                event = (Parley__V1__Event *)wire_random_message(&parley__v1__event__descriptor, 4, &seed);
                event->seq = event->prev = 0;
                assert_int_equal(wire_proto_encode(&event->base, &bytes), 0);
                assert_int_equal(event_decode(bytes.data, bytes.len, 43, 41, &back, &error), 0);
                assert_int_equal(back->seq, 43);
                assert_int_equal(back->prev, 41);
                assert_true(same(event, back));
                event->seq = 43;
                event->prev = 41;
                assert_true(wire_equal(&event->base, &back->base));
                protobuf_c_message_free_unpacked(&event->base, NULL);
                protobuf_c_message_free_unpacked(&back->base, NULL);
                buf_done(&bytes);
        }
        Parley__V1__Event *event = NULL;
        assert_int_equal(event_decode((const uint8_t *)"\x0a\x01\xff", 3, 1, 0, &event, &error), WIRE_E_TEXT);
        assert_string_equal(error.detail, "channelId: invalid UTF-8");
        assert_null(event);
        /* A kind of a newer service: no body, yet an event */
        assert_int_equal(event_decode((const uint8_t *)"\xfa\x06\x00", 3, 1, 0, &event, &error), 0);
        assert_string_equal(event_kind(event), "none");
        protobuf_c_message_free_unpacked(&event->base, NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_message), cmocka_unit_test(test_edit_and_delete),
                cmocka_unit_test(test_others),  cmocka_unit_test(test_fixed),
                cmocka_unit_test(test_kind),    cmocka_unit_test(test_decode),
        };
        return cmocka_run_group_tests_name("wire/event", tests, NULL, NULL);
}
