/* The core of ingest: what a message of the log becomes. */
#include "history_drafts.h"

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

/* Of one that cannot be applied, and of one that is not read at all, for its length */
static void test_files_of_the_rejected(void **state)
{
        Parley__V1__Attachment good = PARLEY__V1__ATTACHMENT__INIT, bad = PARLEY__V1__ATTACHMENT__INIT;
        Parley__V1__Attachment *both[] = {&good, &bad};
        const struct ingest_limits none = {.max_event_bytes = 1};
        struct ingest_batch b = {0};
        struct ingest_rows rows;
        uint8_t bytes[4096];
        struct draft d;

        (void)state;
        good.id = (char *)ID("7");
        bad.id = (char *)"x";
        draft_init(&d, "c", "ada", ID("1"));
        d.message.attachments = both;
        d.message.n_attachments = 2;
        add(&b, &d, 1);
        (void)parley__v1__event__pack(&d.event, bytes);
        assert_int_equal(
                ingest_batch_add(&b, &none, "chat.0.c", bytes, parley__v1__event__get_packed_size(&d.event), 2, 5), 0);
        assert_int_equal(ingest_batch_add(&b, &limits, "chat.0.c", "\xff", 1, 3, 5), 0);
        assert_int_equal(ingest_rows_build(&b, 0, b.n, &rows), 0);
        assert_int_equal(rows.dead_files.n, 2);
        for (unsigned i = 0; i < 2; i++) {
                expect_text(&rows.dead_files.file, i, ID("7"));
                expect_text(&rows.dead_files.channel, i, "c");
                expect_number(&rows.dead_files.seq, i, i + 1);
        }
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

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rejects),
                cmocka_unit_test(test_rejects_bodies),
                cmocka_unit_test(test_unreadable),
                cmocka_unit_test(test_later_kind),
                cmocka_unit_test(test_chain_and_numbers),
                cmocka_unit_test(test_files_of_the_rejected),
                cmocka_unit_test(test_duplicates),
                cmocka_unit_test(test_placeholders),
                cmocka_unit_test(test_edits_and_deletions),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
