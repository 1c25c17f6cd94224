/* Which sequences a user may see, and what may be done to whom. */
#include "history/members_core.h"
#include "history/visibility.h"
#include "unit.h"

#define OPEN_END UINT64_MAX

static Parley__V1__Channel channel_of(bool joined, bool everyone)
{
        Parley__V1__Channel c = PARLEY__V1__CHANNEL__INIT;

        c.history_visibility = joined ? PARLEY__V1__CHANNEL__HISTORY_VISIBILITY__joined
                                      : PARLEY__V1__CHANNEL__HISTORY_VISIBILITY__all;
        c.everyone = everyone;
        return c;
}

static void test_all(void **state)
{
        Parley__V1__Channel c = channel_of(false, false);
        struct visibility v;

        (void)state;
        visibility_compute(&c, NULL, 0, false, &v);
        assert_true(visibility_sees(&v, 0) && visibility_sees(&v, 1) && visibility_sees(&v, OPEN_END));
}

static void test_joined(void **state)
{
        Parley__V1__Channel c = channel_of(true, false);
        const struct seq_span spans[] = {{30, OPEN_END}, {10, 20}}; /* as the database gives them: newest first */
        struct visibility v;

        (void)state;
        visibility_compute(&c, spans, 2, false, &v);
        assert_int_equal(v.n, 2);
        assert_false(visibility_sees(&v, 9));
        assert_true(visibility_sees(&v, 10) &&
                    visibility_sees(&v, 20)); /* joining and leaving are seen by who does it */
        assert_false(visibility_sees(&v, 21) || visibility_sees(&v, 29));
        assert_true(visibility_sees(&v, 30) && visibility_sees(&v, OPEN_END));
        /* a join that is not ingested yet shows nothing */
        visibility_compute(&c, NULL, 0, false, &v);
        assert_int_equal(v.n, 0);
        assert_false(visibility_sees(&v, 1));
        /* an administrator, a service */
        visibility_compute(&c, NULL, 0, true, &v);
        assert_true(visibility_sees(&v, 1));
}

static void test_everyone(void **state)
{
        Parley__V1__Channel c = channel_of(true, true);
        const struct seq_span spans[] = {{50, OPEN_END}, {0, 40}};
        struct visibility v;

        (void)state;
        visibility_compute(&c, NULL, 0, false, &v);
        assert_true(visibility_sees(&v, 1));
        /* left at 40, came back at 50 */
        visibility_compute(&c, spans, 2, false, &v);
        assert_true(visibility_sees(&v, 1) && visibility_sees(&v, 40) && visibility_sees(&v, 50));
        assert_false(visibility_sees(&v, 45));
}

static void test_spans_meet(void **state)
{
        Parley__V1__Channel c = channel_of(true, false);
        const struct seq_span spans[] = {{10, 20}, {21, 30}, {15, 25}, {40, 35}, {50, OPEN_END}, {60, 70}};
        struct visibility v;

        (void)state;
        visibility_compute(&c, spans, 6, false, &v);
        assert_int_equal(v.n, 2);
        assert_int_equal(v.spans[0].from, 10);
        assert_int_equal(v.spans[0].to, 30);
        assert_int_equal(v.spans[1].from, 50);
        assert_true(v.spans[1].to == OPEN_END);
}

static void test_bounded(void **state)
{
        Parley__V1__Channel c = channel_of(true, false);
        struct seq_span spans[VISIBILITY_SPANS_MAX + 10];
        struct visibility v;

        (void)state;
        for (unsigned i = 0; i < VISIBILITY_SPANS_MAX + 10; i++)
                spans[i] = (struct seq_span){1000000 - 10 * i, 1000000 - 10 * i + 2};
        visibility_compute(&c, spans, VISIBILITY_SPANS_MAX + 10, false, &v);
        assert_int_equal(v.n, VISIBILITY_SPANS_MAX);
        assert_true(visibility_sees(&v, 1000000));
        assert_false(visibility_sees(&v, spans[VISIBILITY_SPANS_MAX + 9].from));
}

#define NONE PARLEY__V1__ROLE__none
#define GUEST PARLEY__V1__ROLE__guest
#define MEMBER PARLEY__V1__ROLE__member
#define MODERATOR PARLEY__V1__ROLE__moderator
#define OWNER PARLEY__V1__ROLE__owner

static void test_add(void **state)
{
        Parley__V1__Channel c = PARLEY__V1__CHANNEL__INIT;

        (void)state;
        c.kind = PARLEY__V1__CHANNEL__KIND__private;
        assert_int_equal(members_may_add(&c, MEMBER, false, NONE, MEMBER), PARLEY_OK);
        assert_int_equal(members_may_add(&c, MEMBER, false, NONE, MODERATOR), PARLEY_FORBIDDEN); /* more than one has */
        assert_int_equal(members_may_add(&c, NONE, false, NONE, MEMBER), PARLEY_NOT_A_MEMBER);
        assert_int_equal(members_may_add(&c, NONE, false, NONE, OWNER), PARLEY_NOT_A_MEMBER);
        assert_int_equal(members_may_add(&c, MODERATOR, false, MEMBER, MODERATOR), PARLEY_FORBIDDEN);
        assert_int_equal(members_may_add(&c, OWNER, false, MEMBER, MODERATOR), PARLEY_OK);
        assert_int_equal(members_may_add(&c, OWNER, false, MEMBER, OWNER), PARLEY_OK);
        assert_int_equal(members_may_add(&c, NONE, true, NONE, OWNER), PARLEY_OK); /* administrators add anybody */
}

static void test_remove(void **state)
{
        Parley__V1__Channel c = PARLEY__V1__CHANNEL__INIT;

        (void)state;
        c.kind = PARLEY__V1__CHANNEL__KIND__private;
        assert_int_equal(members_may_remove(&c, MEMBER, false, GUEST), PARLEY_FORBIDDEN);
        assert_int_equal(members_may_remove(&c, MODERATOR, false, MEMBER), PARLEY_OK);
        assert_int_equal(members_may_remove(&c, MODERATOR, false, MODERATOR), PARLEY_FORBIDDEN);
        assert_int_equal(members_may_remove(&c, MODERATOR, false, OWNER), PARLEY_FORBIDDEN);
        assert_int_equal(members_may_remove(&c, OWNER, false, OWNER), PARLEY_OK);
        assert_int_equal(members_may_remove(&c, NONE, false, MEMBER), PARLEY_NOT_A_MEMBER);
        assert_int_equal(members_may_remove(&c, NONE, true, OWNER), PARLEY_OK);
}

static void test_change_channel(void **state)
{
        Parley__V1__ChangeChannelRequest rq = PARLEY__V1__CHANGE_CHANNEL_REQUEST__INIT;
        Parley__V1__Channel c = PARLEY__V1__CHANNEL__INIT, old;

        (void)state;
        c.kind = PARLEY__V1__CHANNEL__KIND__private;
        c.name = (char *)"old";
        old = c;
        /* nothing in it: nothing changes, but a stranger is told that he is one */
        assert_int_equal(members_change_channel(&c, &rq, MEMBER, false), PARLEY_OK);
        assert_true(members_same_channel(&c, &old));
        assert_int_equal(members_change_channel(&c, &rq, NONE, false), PARLEY_NOT_A_MEMBER);
        rq.new_name_case = PARLEY__V1__CHANGE_CHANNEL_REQUEST__NEW_NAME_NAME;
        rq.name = (char *)"new";
        assert_int_equal(members_change_channel(&c, &rq, MEMBER, false), PARLEY_FORBIDDEN);
        assert_string_equal(c.name, "old");
        assert_int_equal(members_change_channel(&c, &rq, MODERATOR, false), PARLEY_OK);
        assert_string_equal(c.name, "new");
        assert_false(members_same_channel(&c, &old));
        /* an archived channel is renamed only together with taking it out */
        c.archived = true;
        assert_int_equal(members_change_channel(&c, &rq, OWNER, false), PARLEY_ARCHIVED);
        rq.new_archived_case = PARLEY__V1__CHANGE_CHANNEL_REQUEST__NEW_ARCHIVED_ARCHIVED;
        assert_int_equal(members_change_channel(&c, &rq, MODERATOR, false), PARLEY_FORBIDDEN);
        assert_int_equal(members_change_channel(&c, &rq, OWNER, false), PARLEY_OK);
        assert_false(c.archived);
        rq.archived = true;
        assert_int_equal(members_change_channel(&c, &rq, OWNER, false), PARLEY_OK);
        assert_true(c.archived);
        /* for administrators */
        rq = (Parley__V1__ChangeChannelRequest)PARLEY__V1__CHANGE_CHANNEL_REQUEST__INIT;
        rq.new_everyone_case = PARLEY__V1__CHANGE_CHANNEL_REQUEST__NEW_EVERYONE_EVERYONE;
        rq.everyone = true;
        assert_int_equal(members_change_channel(&c, &rq, OWNER, false), PARLEY_FORBIDDEN);
        assert_int_equal(members_change_channel(&c, &rq, NONE, true), PARLEY_OK);
        assert_true(c.everyone);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_all),      cmocka_unit_test(test_joined),
                cmocka_unit_test(test_everyone), cmocka_unit_test(test_spans_meet),
                cmocka_unit_test(test_bounded),  cmocka_unit_test(test_add),
                cmocka_unit_test(test_remove),   cmocka_unit_test(test_change_channel),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
