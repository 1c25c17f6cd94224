/* The core of ingest: what a message of the log becomes. */
#include "history/ingest_core.h"
#include "unit.h"

static const struct ingest_limits limits = {.max_event_bytes = 4096};

#define ID(n) "00000000-0000-4000-8000-00000000000" n

/* An event that is right; the tests bend it */
struct draft {
        Parley__V1__Event event;
        Parley__V1__Message message;
        Parley__V1__MessageEdited edited;
        Parley__V1__MessageDeleted deleted;
        Parley__V1__MemberJoined joined;
        Parley__V1__MemberLeft left;
        Parley__V1__ChannelChanged changed;
        Parley__V1__Channel channel;
        Google__Protobuf__Timestamp at;
        const char *subject;
};

static void draft_init(struct draft *d, const char *channel, const char *actor, const char *id)
{
        parley__v1__event__init(&d->event);
        parley__v1__message__init(&d->message);
        parley__v1__message_edited__init(&d->edited);
        parley__v1__message_deleted__init(&d->deleted);
        parley__v1__member_joined__init(&d->joined);
        parley__v1__member_left__init(&d->left);
        parley__v1__channel_changed__init(&d->changed);
        parley__v1__channel__init(&d->channel);
        google__protobuf__timestamp__init(&d->at);
        d->at.seconds = 1700000000;
        d->at.nanos = 123456789;
        d->event.channel_id = (char *)channel;
        d->event.actor_id = (char *)actor;
        d->event.id = (char *)id;
        d->event.created_at = &d->at;
        d->event.body_case = PARLEY__V1__EVENT__BODY_MESSAGE;
        d->event.message = &d->message;
        d->message.id = (char *)id;
        d->message.channel_id = (char *)channel;
        d->message.sender_id = (char *)actor;
        d->message.sender_name = (char *)"Ada";
        d->message.content = (char *)"hello";
        d->message.created_at = &d->at;
        d->subject = NULL;
}

static void add(struct ingest_batch *b, const struct draft *d, uint64_t seq)
{
        uint8_t bytes[4096];
        char subject[SUBJECT_MAX];
        size_t n = parley__v1__event__get_packed_size(&d->event);

        assert_true(n <= sizeof(bytes));
        (void)parley__v1__event__pack(&d->event, bytes);
        if (d->subject)
                (void)snprintf(subject, sizeof(subject), "%s", d->subject);
        else
                subject_chat(subject, 0, d->event.channel_id);
        assert_int_equal(ingest_batch_add(b, &limits, subject, bytes, n, seq, 5000 + (int64_t)seq), 0);
}

static void add_message(struct ingest_batch *b, const char *channel, const char *actor, const char *id, uint64_t seq)
{
        struct draft d;

        draft_init(&d, channel, actor, id);
        add(b, &d, seq);
}

/* --- reading arrays back --- */

static const uint8_t *element(const struct pg_array *a, unsigned i, int32_t *ret_n)
{
        const uint8_t *p = a->data.data + 20;

        assert_true(i < a->n);
        for (;;) {
                *ret_n = (int32_t)pg_get_be(p, 4);
                p += 4;
                if (i-- == 0)
                        return p;
                p += *ret_n > 0 ? *ret_n : 0;
        }
}

static void expect_text(const struct pg_array *a, unsigned i, const char *text)
{
        int32_t n;
        const uint8_t *p = element(a, i, &n);

        if (!text) {
                assert_int_equal(n, -1);
                return;
        }
        assert_int_equal(n, strlen(text));
        assert_memory_equal(p, text, strlen(text));
}

#define NULL_NUMBER INT64_MIN
static void expect_number(const struct pg_array *a, unsigned i, int64_t v)
{
        int32_t n;
        const uint8_t *p = element(a, i, &n);

        if (v == NULL_NUMBER) {
                assert_int_equal(n, -1);
                return;
        }
        assert_true(n == 8 || n == 2);
        assert_int_equal(n == 8 ? (int64_t)pg_get_be(p, 8) : (int16_t)pg_get_be(p, 2), v);
}

static bool is_null(const struct pg_array *a, unsigned i)
{
        int32_t n;

        (void)element(a, i, &n);
        return n < 0;
}

/* --- verdicts --- */

static void expect_rejected(const struct draft *d, const char *reason)
{
        struct ingest_batch b = {0};

        add(&b, d, 10);
        assert_int_equal(b.items[0].verdict, INGEST_REJECT);
        assert_true(b.items[0].dead_letter);
        assert_non_null(strstr(b.items[0].reason, reason));
        ingest_batch_done(&b);
}

static void test_rejects(void **state)
{
        struct draft d;

        (void)state;
        draft_init(&d, "c", "ada", "not-a-uuid");
        d.message.id = (char *)"";
        expect_rejected(&d, "id is not a UUID");
        draft_init(&d, "c", "a b", ID("1"));
        expect_rejected(&d, "actor_id");
        draft_init(&d, "c", "ada", ID("1"));
        d.subject = "chat.0.other";
        expect_rejected(&d, "channel of the subject");
        draft_init(&d, "c", "ada", ID("1"));
        d.message.id = (char *)ID("2");
        expect_rejected(&d, "message.id");
        draft_init(&d, "c", "ada", ID("1"));
        d.message.sender_id = (char *)"bob";
        expect_rejected(&d, "sender_id");
        draft_init(&d, "c", "ada", ID("1"));
        d.message.channel_id = (char *)"other";
        expect_rejected(&d, "channel_id");
        draft_init(&d, "c", "ada", ID("1"));
        d.message.thread_id = (char *)"x";
        expect_rejected(&d, "thread_id");
        draft_init(&d, "c", "ada", ID("1"));
        d.event.created_at = NULL;
        expect_rejected(&d, "created_at");
        draft_init(&d, "c", "ada", ID("1"));
        d.at.seconds = INT64_C(250000000000); /* year 9892: a time, but no 64 bits of nanoseconds */
        expect_rejected(&d, "created_at");
        draft_init(&d, "c", "ada", ID("1"));
        d.event.body_case = PARLEY__V1__EVENT__BODY__NOT_SET;
        expect_rejected(&d, "no body");
}

static void test_rejects_bodies(void **state)
{
        char *bad_mention[] = {(char *)"a,b"};
        struct draft d;

        (void)state;
        draft_init(&d, "c", "ada", ID("1"));
        d.message.mentions = bad_mention;
        d.message.n_mentions = 1;
        expect_rejected(&d, "mention");
        draft_init(&d, "c", "ada", ID("1"));
        d.event.body_case = PARLEY__V1__EVENT__BODY_MESSAGE_EDITED;
        d.event.message_edited = &d.edited;
        expect_rejected(&d, "target_seq");
        d.edited.target_seq = 10; /* itself */
        expect_rejected(&d, "target_seq");
        draft_init(&d, "c", "ada", ID("1"));
        d.event.body_case = PARLEY__V1__EVENT__BODY_MESSAGE_DELETED;
        d.event.message_deleted = &d.deleted;
        d.deleted.target_seq = 11;
        expect_rejected(&d, "target_seq");
        draft_init(&d, "c", "ada", ID("1"));
        d.event.body_case = PARLEY__V1__EVENT__BODY_MEMBER_JOINED;
        d.event.member_joined = &d.joined;
        d.joined.user_id = (char *)"bob";
        d.joined.version = 1;
        expect_rejected(&d, "role");
        d.joined.role = PARLEY__V1__ROLE__member;
        d.joined.version = 0;
        expect_rejected(&d, "version");
        d.joined.version = UINT64_MAX;
        expect_rejected(&d, "version");
        d.joined.version = 1;
        d.joined.user_id = (char *)"";
        expect_rejected(&d, "user_id");
        draft_init(&d, "c", "ada", ID("1"));
        d.event.body_case = PARLEY__V1__EVENT__BODY_CHANNEL_CHANGED;
        d.event.channel_changed = &d.changed;
        expect_rejected(&d, "channel.id");
}

static void test_unreadable(void **state)
{
        struct ingest_batch b = {0};
        uint8_t large[5000] = {0};

        (void)state;
        assert_int_equal(ingest_batch_add(&b, &limits, "chat.0.c", "\xff\xff\xff", 3, 1, 77), 0);
        assert_int_equal(b.items[0].verdict, INGEST_REJECT);
        assert_int_equal(b.items[0].created_ns, 77);
        assert_int_equal(ingest_batch_add(&b, &limits, "chat.0.c", large, sizeof(large), 2, 77), 0);
        assert_non_null(strstr(b.items[1].reason, "too large"));
        /* no channel: not even a placeholder */
        assert_int_equal(ingest_batch_add(&b, &limits, "chat.0.a.b", "", 0, 3, 77), 0);
        assert_int_equal(b.items[2].verdict, INGEST_SKIP);
        assert_true(b.items[2].dead_letter);
        assert_int_equal(ingest_batch_add(&b, &limits, "chat.0.c", NULL, 0, 4, 77), 0);
        assert_int_equal(b.items[3].verdict, INGEST_REJECT);
        ingest_batch_done(&b);
}

/* A kind that a later program writes is kept for it. */
static void test_later_kind(void **state)
{
        struct ingest_batch b = {0};
        struct ingest_rows rows;
        struct draft d;
        uint8_t bytes[256];
        size_t n;

        (void)state;
        draft_init(&d, "c", "ada", ID("1"));
        d.event.body_case = PARLEY__V1__EVENT__BODY__NOT_SET;
        n = parley__v1__event__pack(&d.event, bytes);
        memcpy(bytes + n, "\xf2\x04\x00", 3); /* field 78, empty */
        assert_int_equal(ingest_batch_add(&b, &limits, "chat.0.c", bytes, n + 3, 1, 77), 0);
        assert_int_equal(b.items[0].verdict, INGEST_APPLY);
        assert_int_equal(ingest_batch_close(&b), 0);
        assert_int_equal(ingest_rows_build(&b, 0, 1, &rows), 0);
        assert_int_equal(rows.events.n, 1);
        assert_false(is_null(&rows.events.payload, 0));
        assert_int_equal(rows.messages.n, 0);
        ingest_rows_done(&rows);
        ingest_batch_done(&b);
}

/* --- rows --- */

static void test_chain_and_numbers(void **state)
{
        struct ingest_batch b = {0};
        struct ingest_rows rows;
        struct draft d;

        (void)state;
        add_message(&b, "c1", "ada", ID("1"), 11);
        add_message(&b, "c2", "ada", ID("1"), 12); /* the same id in another channel is another message */
        add_message(&b, "c1", "bob", ID("1"), 15); /* and of another sender */
        draft_init(&d, "c1", "ada", ID("2"));
        d.message.thread_id = (char *)ID("1"); /* not at the top level: no number */
        add(&b, &d, 16);
        draft_init(&d, "c1", "system", ID("3"));
        d.message.type = PARLEY__V1__MESSAGE__TYPE__system;
        add(&b, &d, 17);
        add_message(&b, "c1", "ada", ID("4"), 18);
        assert_int_equal(ingest_batch_close(&b), 0);
        assert_int_equal(ingest_rows_build(&b, 0, b.n, &rows), 0);
        assert_int_equal(rows.events.n, 6);
        /* what is before the batch the database knows */
        expect_number(&rows.events.prev, 0, NULL_NUMBER);
        expect_number(&rows.events.prev, 1, NULL_NUMBER);
        expect_number(&rows.events.prev, 2, 11);
        expect_number(&rows.events.prev, 3, 15);
        expect_number(&rows.events.prev, 5, 17);
        expect_number(&rows.messages.n_offset, 0, 1);
        expect_number(&rows.messages.n_offset, 1, 1);
        expect_number(&rows.messages.n_offset, 2, 2);
        expect_number(&rows.messages.n_offset, 3, NULL_NUMBER);
        expect_number(&rows.messages.n_offset, 4, NULL_NUMBER);
        expect_number(&rows.messages.n_offset, 5, 3);
        assert_int_equal(rows.heads.n, 2);
        expect_text(&rows.heads.channel, 0, "c1");
        expect_number(&rows.heads.last_seq, 0, 18);
        expect_number(&rows.heads.n_added, 0, 3);
        expect_text(&rows.heads.channel, 1, "c2");
        /* plain: no bytes are kept */
        assert_true(is_null(&rows.events.payload, 0));
        expect_number(&rows.events.created, 0, INT64_C(1700000000123456789));
        ingest_rows_done(&rows);
        /* a part of it stands for itself */
        assert_int_equal(ingest_rows_build(&b, 2, 4, &rows), 0);
        assert_int_equal(rows.events.n, 2);
        expect_number(&rows.events.prev, 0, NULL_NUMBER);
        expect_number(&rows.messages.n_offset, 0, 1);
        ingest_rows_done(&rows);
        ingest_batch_done(&b);
}

static void test_duplicates(void **state)
{
        struct ingest_batch b = {0};
        struct ingest_rows rows;

        (void)state;
        add_message(&b, "c", "ada", ID("1"), 1);
        add_message(&b, "c", "ada", ID("1"), 2);
        add_message(&b, "c", "ada", ID("2"), 3);
        assert_int_equal(ingest_batch_close(&b), 0);
        assert_int_equal(b.items[0].verdict, INGEST_APPLY);
        assert_int_equal(b.items[1].verdict, INGEST_DUPLICATE);
        assert_false(b.items[1].dead_letter);
        assert_int_equal(ingest_rows_build(&b, 0, b.n, &rows), 0);
        assert_int_equal(rows.events.n, 3);
        assert_int_equal(rows.messages.n, 2);
        expect_text(&rows.events.id, 1, NULL);
        expect_number(&rows.events.removed, 0, NULL_NUMBER);
        expect_number(&rows.events.removed, 1, PARLEY__V1__EVENT_REMOVED__REASON__duplicate);
        expect_number(&rows.events.prev, 2, 2); /* the chain goes over the placeholder */
        expect_number(&rows.messages.n_offset, 1, 2);
        ingest_rows_done(&rows);
        ingest_batch_done(&b);
}

static void test_placeholders(void **state)
{
        struct ingest_batch b = {0};
        struct ingest_rows rows;

        (void)state;
        assert_int_equal(ingest_batch_add(&b, &limits, "chat.0.c", "\xff", 1, 1, 77), 0);
        assert_int_equal(ingest_batch_add(&b, &limits, "chat.0.a.b", "\xff", 1, 2, 77), 0);
        add_message(&b, "c", "ada", ID("1"), 3);
        ingest_reject(&b.items[2], "Postgres does not like it");
        assert_int_equal(ingest_batch_close(&b), 0);
        assert_int_equal(ingest_rows_build(&b, 0, b.n, &rows), 0);
        assert_int_equal(rows.events.n, 2);
        assert_int_equal(rows.messages.n, 0);
        for (unsigned i = 0; i < 2; i++) {
                expect_number(&rows.events.removed, i, PARLEY__V1__EVENT_REMOVED__REASON__rejected);
                expect_text(&rows.events.id, i, NULL);
                expect_text(&rows.events.actor, i, "");
                assert_true(is_null(&rows.events.payload, i) && is_null(&rows.events.fingerprint, i));
        }
        expect_number(&rows.events.prev, 1, 1);
        ingest_rows_done(&rows);
        ingest_batch_done(&b);
}

static void test_edits_and_deletions(void **state)
{
        char *mentions[] = {(char *)"bob", (char *)"eve"};
        struct ingest_batch b = {0};
        struct ingest_rows rows;
        struct draft d;

        (void)state;
        draft_init(&d, "c", "ada", ID("1"));
        d.event.body_case = PARLEY__V1__EVENT__BODY_MESSAGE_EDITED;
        d.event.message_edited = &d.edited;
        d.edited.target_seq = 3;
        d.edited.content = (char *)"better";
        d.edited.mentions = mentions;
        d.edited.n_mentions = 2;
        add(&b, &d, 5);
        draft_init(&d, "c", "ada", ID("2"));
        d.event.body_case = PARLEY__V1__EVENT__BODY_MESSAGE_DELETED;
        d.event.message_deleted = &d.deleted;
        d.deleted.target_seq = 4;
        add(&b, &d, 6);
        assert_int_equal(ingest_batch_close(&b), 0);
        assert_int_equal(ingest_rows_build(&b, 0, b.n, &rows), 0);
        assert_int_equal(rows.events.n, 2);
        assert_int_equal(rows.messages.n, 0);
        assert_int_equal(rows.mutations.n, 2);
        expect_text(&rows.mutations.content, 0, "better");
        expect_text(&rows.mutations.mentions, 0, "bob,eve");
        expect_number(&rows.mutations.target, 0, 3);
        expect_text(&rows.mutations.content, 1, NULL);
        expect_number(&rows.mutations.target, 1, 4);
        expect_number(&rows.events.target, 0, 3);
        assert_false(is_null(&rows.events.payload, 0));
        ingest_rows_done(&rows);
        ingest_batch_done(&b);
}

static void test_members_and_channels(void **state)
{
        struct ingest_batch b = {0};
        struct ingest_rows rows;
        struct draft d;

        (void)state;
        for (unsigned version = 3; version > 0; version--) {
                draft_init(&d, "c", "ada", version == 3 ? ID("1") : version == 2 ? ID("2") : ID("3"));
                d.event.body_case = PARLEY__V1__EVENT__BODY_CHANNEL_CHANGED;
                d.event.channel_changed = &d.changed;
                d.changed.channel = &d.channel;
                d.channel.id = (char *)"c";
                d.channel.name = version == 3 ? (char *)"newest" : (char *)"older";
                d.channel.version = version;
                add(&b, &d, 10 - version);
        }
        draft_init(&d, "c", "ada", ID("4"));
        d.event.body_case = PARLEY__V1__EVENT__BODY_MEMBER_JOINED;
        d.event.member_joined = &d.joined;
        d.joined.user_id = (char *)"bob";
        d.joined.name = (char *)"Bob";
        d.joined.role = PARLEY__V1__ROLE__moderator;
        d.joined.version = 7;
        add(&b, &d, 10);
        draft_init(&d, "c", "ada", ID("5"));
        d.event.body_case = PARLEY__V1__EVENT__BODY_MEMBER_LEFT;
        d.event.member_left = &d.left;
        d.left.user_id = (char *)"bob";
        d.left.version = 8;
        add(&b, &d, 11);
        add_message(&b, "c", "ada", ID("6"), 12);
        assert_int_equal(ingest_batch_close(&b), 0);
        assert_int_equal(ingest_rows_build(&b, 0, b.n, &rows), 0);
        assert_int_equal(rows.channels.n, 1);
        expect_text(&rows.channels.name, 0, "newest");
        assert_int_equal(rows.members.n, 2);
        expect_number(&rows.members.role, 0, PARLEY__V1__ROLE__moderator);
        expect_number(&rows.members.role, 1, PARLEY__V1__ROLE__none);
        expect_number(&rows.members.version, 1, 8);
        assert_int_equal(rows.outbox.n, 5);
        assert_int_equal(rows.users.n, 2);
        expect_text(&rows.users.id, 0, "ada");
        expect_text(&rows.users.name, 1, "Bob");
        ingest_rows_done(&rows);
        /* one that cannot be applied is not published for ever */
        ingest_reject(&b.items[3], "no");
        assert_int_equal(ingest_rows_build(&b, 3, 4, &rows), 0);
        assert_int_equal(rows.members.n, 0);
        assert_int_equal(rows.outbox.n, 1);
        ingest_rows_done(&rows);
        ingest_batch_done(&b);
}

static void test_plain(void **state)
{
        Google__Protobuf__Timestamp other = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        struct draft d;

        (void)state;
        draft_init(&d, "c", "ada", ID("1"));
        assert_true(ingest_is_plain(&d.event));
        d.message.created_at = NULL;
        assert_true(ingest_is_plain(&d.event));
        other.seconds = 1;
        d.message.created_at = &other;
        assert_false(ingest_is_plain(&d.event));
        d.message.created_at = &d.at;
        d.message.updated_at = &d.at;
        assert_false(ingest_is_plain(&d.event));
        d.message.updated_at = NULL;
        d.message.deleted = true;
        assert_false(ingest_is_plain(&d.event));
        d.message.deleted = false;
        d.message.base.n_unknown_fields = 1;
        assert_false(ingest_is_plain(&d.event));
        d.message.base.n_unknown_fields = 0;
        d.event.body_case = PARLEY__V1__EVENT__BODY_MESSAGE_DELETED;
        assert_false(ingest_is_plain(&d.event));
}

static void test_time(void **state)
{
        Google__Protobuf__Timestamp t = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        int64_t ns = 7;

        (void)state;
        assert_true(ingest_time_ns(NULL, &ns) < 0);
        t.seconds = INT64_MAX;
        assert_true(ingest_time_ns(&t, &ns) < 0);
        t.seconds = 1;
        t.nanos = 1000000000;
        assert_true(ingest_time_ns(&t, &ns) < 0);
        t.nanos = -1;
        assert_true(ingest_time_ns(&t, &ns) < 0);
        assert_int_equal(ns, 7);
        t.seconds = -1;
        t.nanos = 5;
        assert_int_equal(ingest_time_ns(&t, &ns), 0);
        assert_int_equal(ns, -999999995);
}

/* --- bisection: every item is tried until only the bad ones are left, in order --- */

static void test_bisect(void **state)
{
        uint64_t seed = 42;

        (void)state;
        for (unsigned round = 0; round < 2000; round++) {
                unsigned n = 1 + unit_random(&seed) % 500, tries = 0, committed = 0, n_bad = 0;
                bool bad[500] = {false}, rejected[500] = {false};
                struct bisect bi;

                for (unsigned k = unit_random(&seed) % 4; k > 0; k--)
                        bad[unit_random(&seed) % n] = true;
                for (unsigned i = 0; i < n; i++)
                        n_bad += bad[i];
                bisect_init(&bi, n);
                while (!bisect_finished(&bi)) {
                        bool fails = false;

                        assert_true(bi.done < bi.end && bi.end <= n);
                        for (unsigned i = bi.done; i < bi.end; i++)
                                fails = fails || (bad[i] && !rejected[i]);
                        if (!fails) {
                                assert_int_equal(bi.done, committed);
                                committed = bi.end;
                                bisect_ok(&bi);
                        } else if (!bisect_refused(&bi)) {
                                assert_true(bad[bi.done]);
                                rejected[bi.done] = true;
                        }
                        assert_true(++tries < 1000);
                }
                assert_int_equal(committed, n);
                for (unsigned i = 0; i < n; i++)
                        assert_int_equal(rejected[i], bad[i]);
                /* a few times the logarithm for each bad one: down, and up again */
                assert_true(tries <= 1 + n_bad * 40);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rejects),
                cmocka_unit_test(test_rejects_bodies),
                cmocka_unit_test(test_unreadable),
                cmocka_unit_test(test_later_kind),
                cmocka_unit_test(test_chain_and_numbers),
                cmocka_unit_test(test_duplicates),
                cmocka_unit_test(test_placeholders),
                cmocka_unit_test(test_edits_and_deletions),
                cmocka_unit_test(test_members_and_channels),
                cmocka_unit_test(test_plain),
                cmocka_unit_test(test_time),
                cmocka_unit_test(test_bisect),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
