/* What ends of uploads and deletions leave behind: how many of them a user may have in an hour, and for how long it stays. */
#include "unit.h"

#include <stdio.h>

#include "upload/marks_core.h"
#include "upload/quota_core.h"

#define HOUR_MS UINT64_C(3600000)
#define DAY_S UINT64_C(86400)
#define MAX_S (30 * DAY_S)

static Parley__V1__UserFiles *files_new(void)
{
        return parley__v1__user_files__unpack(NULL, 0, (const uint8_t *)"");
}

static int apply(Parley__V1__UserFiles *u, enum quota_kind kind, const char *id, bool leaves_mark, uint64_t now_ms)
{
        const struct quota_limits limits = {.max_pending = 3, .max_ended = 6};

        return quota_apply(
                u,
                &(struct quota_change){
                        .kind = kind, .id = id, .size = 1, .expires_at_ms = UINT64_MAX, .leaves_mark = leaves_mark},
                &limits, now_ms);
}

static int begun_and_ended(Parley__V1__UserFiles *u, bool leaves_mark, uint64_t now_ms)
{
        int r = apply(u, QUOTA_RESERVE, "a", false, now_ms);

        return r ? r : apply(u, QUOTA_RELEASE, "a", leaves_mark, now_ms);
}

/* Six an hour, six at once; then one each ten minutes */
static void test_begun_and_given_up(void **state)
{
        Parley__V1__UserFiles *u = files_new();
        unsigned n = 0;

        (void)state;
        for (uint64_t now = HOUR_MS; now < 25 * HOUR_MS; now += 1000)
                n += begun_and_ended(u, true, now) == 0;
        assert_int_equal(n, 6 + 1 + 24 * 6 - 1); /* the begin that finds room for its end, too */
        assert_int_equal(begun_and_ended(u, true, 25 * HOUR_MS), 0);
        assert_int_equal(begun_and_ended(u, true, 25 * HOUR_MS), QUOTA_E_ENDED);
        protobuf_c_message_free_unpacked(&u->base, NULL);
}

/* What could not be begun leaves nothing, and an end that is repeated no second mark */
static void test_what_leaves_none(void **state)
{
        Parley__V1__UserFiles *u = files_new();

        (void)state;
        for (unsigned i = 0; i < 100; i++)
                assert_int_equal(begun_and_ended(u, false, HOUR_MS), 0);
        for (unsigned i = 0; i < 100; i++)
                assert_int_equal(apply(u, QUOTA_RELEASE, "a", true, HOUR_MS), 0);
        assert_int_equal(u->ended_until_ms, 0);
        protobuf_c_message_free_unpacked(&u->base, NULL);
}

/* A file of a message that was deleted is removed without a mark; one that its owner deletes leaves a record, once */
static void test_deletions(void **state)
{
        Parley__V1__UserFiles *u = files_new();
        char id[8];

        (void)state;
        u->files = 1000;
        for (unsigned i = 0; i < 100; i++) {
                (void)snprintf(id, sizeof(id), "r%u", i);
                assert_int_equal(apply(u, QUOTA_FREE, id, false, HOUR_MS), 0);
        }
        assert_int_equal(begun_and_ended(u, false, HOUR_MS), 0);
        for (unsigned i = 0; i < 14; i++) {
                (void)snprintf(id, sizeof(id), "d%u", i / 2);
                assert_int_equal(apply(u, QUOTA_FREE, id, true, HOUR_MS), 0); /* never refused */
        }
        assert_int_equal(u->ended_until_ms, HOUR_MS + 7 * HOUR_MS / 6);
        assert_int_equal(begun_and_ended(u, false, HOUR_MS), QUOTA_E_ENDED);
        assert_int_equal(begun_and_ended(u, false, HOUR_MS + HOUR_MS / 6), 0);
        protobuf_c_message_free_unpacked(&u->base, NULL);
}

/* --- for how long they stay --- */

static void test_when_a_mark_goes(void **state)
{
        const uint64_t begun = 1000 * HOUR_MS;

        (void)state;
        assert_false(marks_over(begun, DAY_S, begun + 26 * HOUR_MS - 1));
        assert_true(marks_over(begun, DAY_S, begun + 26 * HOUR_MS));
        assert_false(marks_over(begun, MAX_S, begun + 26 * HOUR_MS));
        assert_false(marks_over(begun, 0, begun + 10000 * HOUR_MS));
}

/* The longest setting that any upload may have begun with, until the last of those is over */
static void test_the_longest_setting_counts(void **state)
{
        Parley__V1__ReconciliationState s = PARLEY__V1__RECONCILIATION_STATE__INIT;
        uint64_t now = 1000 * HOUR_MS;

        (void)state;
        assert_true(marks_remember(&s, DAY_S, MAX_S, now));
        assert_int_equal(s.pending_ttl_s, DAY_S);
        assert_false(marks_remember(&s, DAY_S, MAX_S, now + HOUR_MS - 1));
        assert_true(marks_remember(&s, 3 * DAY_S, MAX_S, now)); /* another instance, at once */
        now += HOUR_MS;
        assert_true(marks_remember(&s, 3 * DAY_S, MAX_S, now));
        for (uint64_t t = now; t <= now + 73 * HOUR_MS; t += HOUR_MS / 2)
                assert_false(marks_remember(&s, DAY_S, MAX_S, t));
        assert_int_equal(s.pending_ttl_s, 3 * DAY_S);
        assert_true(marks_remember(&s, DAY_S, MAX_S, now + 73 * HOUR_MS + 1));
        assert_int_equal(s.pending_ttl_s, DAY_S);
}

/* The state of a version that did not say it: whatever it was */
static void test_a_setting_of_before_is_not_known(void **state)
{
        Parley__V1__ReconciliationState s = PARLEY__V1__RECONCILIATION_STATE__INIT;

        (void)state;
        s.started_at_ms = 1;
        assert_true(marks_remember(&s, DAY_S, MAX_S, 1000 * HOUR_MS));
        assert_int_equal(s.pending_ttl_s, MAX_S);
        assert_false(marks_remember(&s, DAY_S, MAX_S, 1100 * HOUR_MS));
        assert_true(marks_remember(&s, DAY_S, MAX_S, (1000 + 30 * 24 + 2) * HOUR_MS));
        assert_int_equal(s.pending_ttl_s, DAY_S);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_begun_and_given_up),
                cmocka_unit_test(test_what_leaves_none),
                cmocka_unit_test(test_deletions),
                cmocka_unit_test(test_when_a_mark_goes),
                cmocka_unit_test(test_the_longest_setting_counts),
                cmocka_unit_test(test_a_setting_of_before_is_not_known),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
