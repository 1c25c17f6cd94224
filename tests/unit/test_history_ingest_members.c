/* The core of ingest: members and channels, what is kept as it came, and how a batch that fails is halved. */
#include "history_drafts.h"

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
        /* ada says her own name by writing, and bob's by inviting him */
        expect_number(&rows.users.own, 0, 1);
        expect_number(&rows.users.own, 1, 0);
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
                cmocka_unit_test(test_members_and_channels),
                cmocka_unit_test(test_plain),
                cmocka_unit_test(test_time),
                cmocka_unit_test(test_bisect),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
