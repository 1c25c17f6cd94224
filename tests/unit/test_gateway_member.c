/* G5: nobody gets an event of a channel that he is no member of, from the moment of his removal. */
#include "gateway_fake.h"

#include "gateway/channel.h"

#define ROOM "room"
#define MEMBER PARLEY__V1__ROLE__member
#define NONE PARLEY__V1__ROLE__none

static struct fake *world(void)
{
        struct fake *f = fake_new();
        struct fake_membership m = {ROOM, MEMBER, 1, 0, 0, false};

        fake_start(f);
        fake_put_channel(f, ROOM, false, false);
        fake_put_members(f, "ada", 1, &m, 1, false);
        fake_put_members(f, "eve", 1, &m, 1, false);
        return f;
}

static const char *send_error(struct fake *f, struct fake_client *c)
{
        char id[37];
        uint32_t ref;
        const Parley__V1__ServerFrame *answer;

        fake_uuid(f, id);
        ref = fake_client_message(c, ROOM, id, "x", false);
        fake_run(f);
        answer = fake_answer(c, ref);
        assert_non_null(answer);
        return answer->body_case == PARLEY__V1__SERVER_FRAME__BODY_ERROR ? answer->error->code : "";
}

/* In a burst: the last event that the removed one gets is at most his own removal */
static void removed_in_a_burst(uint64_t seed)
{
        struct fake *f = world();
        struct fake_client *ada = fake_connect(f, "ada", ENCODING_PROTO), *eve = fake_connect(f, "eve", ENCODING_PROTO);
        uint64_t left = 0;

        f->seed = seed;
        f->lose = f->repeat = f->swap = 20;
        for (unsigned i = 0; i < 300; i++) {
                fake_message(f, ROOM, "ada", "x");
                if (i == 150) {
                        left = fake_left(f, ROOM, "eve", 2);
                        if (seed % 2) /* the announcement may come before the event, or never */
                                fake_announce(f, ROOM, "eve", NONE, left, 2);
                }
                if (unit_random(&f->seed) % 10 == 0)
                        fake_run(f);
        }
        f->lose = 0;
        fake_run(f);
        fake_message(f, ROOM, "ada", "after");
        fake_run(f);
        fake_advance(f, 2000);
        fake_check_complete(ada, ROOM);
        assert_true(fake_view(eve, ROOM)->removed);
        /* all through her own removal, and nothing behind it */
        assert_int_equal(fake_view(eve, ROOM)->n_seqs, left);
        assert_true(fake_view(eve, ROOM)->seqs[left - 1] == left);
        assert_int_equal(fake_view(eve, ROOM)->breaks + fake_view(eve, ROOM)->gaps, 0);
        assert_int_equal(eve->close_code, 0);
        assert_string_equal(send_error(f, eve), "not_a_member");
        /* a new session of hers does not get it, even while her list is older */
        eve = fake_connect(f, "eve", ENCODING_PROTO);
        assert_int_equal(fake_last(eve, PARLEY__V1__SERVER_FRAME__BODY_READY)->ready->n_channels, 0);
        fake_message(f, ROOM, "ada", "not for eve");
        fake_run(f);
        assert_int_equal(fake_count(eve, PARLEY__V1__SERVER_FRAME__BODY_EVENT), 0);
        fake_free(f);
}

static void test_removed_in_a_burst(void **state)
{
        (void)state;
        for (uint64_t seed = 1; seed <= 30; seed++)
                removed_in_a_burst(seed);
}

/* The announcement takes the right to send at once; what is at or below the removal still comes */
static void test_announced_before_the_event(void **state)
{
        struct fake *f = world();
        struct fake_client *eve = fake_connect(f, "eve", ENCODING_PROTO);

        (void)state;
        fake_announce(f, ROOM, "eve", NONE, 3, 2);
        assert_string_equal(send_error(f, eve), "not_a_member");
        fake_message(f, ROOM, "ada", "1");
        fake_message(f, ROOM, "ada", "2");
        fake_run(f);
        assert_int_equal(fake_view(eve, ROOM)->n_seqs, 2);
        fake_left(f, ROOM, "eve", 2);
        fake_message(f, ROOM, "ada", "4");
        fake_run(f);
        assert_int_equal(fake_view(eve, ROOM)->n_seqs, 3);
        assert_true(fake_view(eve, ROOM)->removed);
        fake_free(f);
}

/* The event of the removal cannot be read: its announced sequence alone ends what comes */
static void test_announced_and_never_told(void **state)
{
        struct fake *f = world();
        struct fake_client *eve = fake_connect(f, "eve", ENCODING_PROTO);

        (void)state;
        fake_announce(f, ROOM, "eve", NONE, 2, 2);
        for (unsigned i = 0; i < 5; i++)
                fake_message(f, ROOM, "ada", "x");
        fake_run(f);
        assert_int_equal(fake_view(eve, ROOM)->n_seqs, 2);
        assert_true(fake_view(eve, ROOM)->removed);
        fake_free(f);
}

static void test_stale_list_undoes_nothing(void **state)
{
        struct fake *f = world();
        struct fake_client *eve = fake_connect(f, "eve", ENCODING_PROTO);
        struct fake_membership m = {ROOM, MEMBER, 1, 0, 0, false};

        (void)state;
        fake_left(f, ROOM, "eve", 2);
        fake_run(f);
        assert_true(fake_view(eve, ROOM)->removed);
        /* the bucket still has the old list, and is read again after a reconnect */
        fake_reconnect(f);
        assert_string_equal(send_error(f, eve), "not_a_member");
        /* the same list under a higher version of the whole, but with the old membership */
        fake_put_members(f, "eve", 5, &m, 1, true);
        fake_run(f);
        assert_string_equal(send_error(f, eve), "not_a_member");
        assert_int_equal(fake_count(eve, PARLEY__V1__SERVER_FRAME__BODY_CHANNEL_ADDED), 0);
        fake_free(f);
}

/* Somebody who comes only after his removal, while his list in the bucket is still the old one */
static void test_stale_list_of_a_latecomer(void **state)
{
        struct fake *f = world();
        struct fake_client *eve;

        (void)state;
        fake_connect(f, "ada", ENCODING_PROTO);
        fake_left(f, ROOM, "eve", 2);
        fake_run(f);
        eve = fake_connect(f, "eve", ENCODING_PROTO);
        assert_int_equal(fake_last(eve, PARLEY__V1__SERVER_FRAME__BODY_READY)->ready->n_channels, 0);
        assert_string_equal(send_error(f, eve), "not_a_member");
        fake_message(f, ROOM, "ada", "not for eve");
        fake_run(f);
        assert_int_equal(fake_count(eve, PARLEY__V1__SERVER_FRAME__BODY_EVENT), 0);
        fake_free(f);
}

static void test_added(void **state)
{
        struct fake *f = world();
        struct fake_client *bob = fake_connect(f, "bob", ENCODING_PROTO);
        struct fake_membership m = {ROOM, MEMBER, 1, 0, 0, false};
        const Parley__V1__ServerFrame *added;

        (void)state;
        fake_connect(f, "ada", ENCODING_PROTO);
        assert_string_equal(send_error(f, bob), "not_a_member");
        m.since_seq = fake_message(f, ROOM, "ada", "bob joins");
        fake_put_members(f, "bob", 1, &m, 1, true);
        fake_run(f);
        added = fake_last(bob, PARLEY__V1__SERVER_FRAME__BODY_CHANNEL_ADDED);
        assert_non_null(added);
        assert_true(added->channel_added->state->head_seq >= m.since_seq);
        assert_string_equal(send_error(f, bob), "");
        fake_check_complete(bob, ROOM);
        fake_free(f);
}

/* His list comes before the event that made him a member: nothing of before may reach him */
static void test_added_before_the_event_is_here(void **state)
{
        struct fake *f = world();
        struct fake_client *bob = fake_connect(f, "bob", ENCODING_PROTO);
        struct fake_membership m = {ROOM, MEMBER, 1, 0, 0, false};
        struct channel *room;

        (void)state;
        fake_connect(f, "ada", ENCODING_PROTO);
        f->lose = 100;
        fake_message(f, ROOM, "ada", "before");
        m.since_seq = fake_message(f, ROOM, "ada", "bob joins");
        fake_put_members(f, "bob", 1, &m, 1, true);
        fake_run(f);
        room = channel_find(f->core, ROOM);
        assert_true(room->head < m.since_seq);
        assert_null(fake_last(bob, PARLEY__V1__SERVER_FRAME__BODY_CHANNEL_ADDED));
        f->lose = 0;
        fake_advance(f, 2000); /* the sequence is known: it is fetched */
        assert_non_null(fake_last(bob, PARLEY__V1__SERVER_FRAME__BODY_CHANNEL_ADDED));
        assert_int_equal(fake_count(bob, PARLEY__V1__SERVER_FRAME__BODY_EVENT), 0);
        fake_message(f, ROOM, "ada", "for bob");
        fake_run(f);
        fake_check_complete(bob, ROOM);
        fake_free(f);
}

static void test_left_and_back(void **state)
{
        struct fake *f = world();
        struct fake_client *eve = fake_connect(f, "eve", ENCODING_PROTO);
        struct fake_membership m = {ROOM, MEMBER, 3, 0, 0, true};

        (void)state;
        fake_connect(f, "ada", ENCODING_PROTO);
        fake_message(f, ROOM, "ada", "1");
        fake_left(f, ROOM, "eve", 2);
        fake_message(f, ROOM, "ada", "while she was away");
        m.since_seq = fake_message(f, ROOM, "ada", "eve is back");
        fake_put_members(f, "eve", 3, &m, 1, true);
        fake_message(f, ROOM, "ada", "welcome");
        fake_run(f);
        assert_false(fake_view(eve, ROOM)->removed);
        assert_int_equal(fake_count(eve, PARLEY__V1__SERVER_FRAME__BODY_CHANNEL_REMOVED), 1);
        assert_int_equal(fake_count(eve, PARLEY__V1__SERVER_FRAME__BODY_CHANNEL_ADDED), 1);
        for (size_t i = 0; i < eve->n_frames; i++)
                if (eve->frames[i]->body_case == PARLEY__V1__SERVER_FRAME__BODY_EVENT)
                        assert_true(eve->frames[i]->event->seq != 3);
        fake_free(f);
}

static void test_unnamed_in_a_newer_list(void **state)
{
        struct fake *f = world();
        struct fake_client *eve = fake_connect(f, "eve", ENCODING_PROTO);

        (void)state;
        fake_put_members(f, "eve", 2, NULL, 0, true);
        fake_run(f);
        assert_int_equal(fake_count(eve, PARLEY__V1__SERVER_FRAME__BODY_CHANNEL_REMOVED), 1);
        assert_string_equal(send_error(f, eve), "not_a_member");
        fake_free(f);
}

static void test_left_a_channel_of_everyone(void **state)
{
        struct fake *f = world();
        struct fake_client *eve, *again;

        (void)state;
        fake_put_channel(f, "general", true, false);
        eve = fake_connect(f, "eve", ENCODING_PROTO);
        assert_int_equal(fake_last(eve, PARLEY__V1__SERVER_FRAME__BODY_READY)->ready->n_channels, 2);
        fake_left(f, "general", "eve", 1);
        fake_message(f, "general", "ada", "without eve");
        fake_run(f);
        assert_true(fake_view(eve, "general")->removed);
        again = fake_connect(f, "eve", ENCODING_PROTO);
        assert_int_equal(fake_last(again, PARLEY__V1__SERVER_FRAME__BODY_READY)->ready->n_channels, 1);
        fake_free(f);
}

/* A channel for everyone appears while people are there */
static void test_new_channel_of_everyone(void **state)
{
        struct fake *f = world();
        struct fake_client *eve = fake_connect(f, "eve", ENCODING_PROTO);

        (void)state;
        fake_put_channel(f, "news", true, false);
        fake_run(f);
        assert_string_equal(
                fake_last(eve, PARLEY__V1__SERVER_FRAME__BODY_CHANNEL_ADDED)->channel_added->state->channel->id,
                "news");
        fake_message(f, "news", "ada", "x");
        fake_run(f);
        fake_check_complete(eve, "news");
        fake_free(f);
}

/* A membership of a channel that has no description yet does not keep the session from opening */
static void test_missing_channel(void **state)
{
        struct fake *f = world();
        struct fake_membership m[] = {{ROOM, MEMBER, 1, 0, 0, false}, {"soon", MEMBER, 1, 0, 0, false}};
        struct fake_client *eve;

        (void)state;
        fake_put_members(f, "eve", 2, m, 2, false);
        eve = fake_connect(f, "eve", ENCODING_PROTO);
        assert_int_equal(fake_last(eve, PARLEY__V1__SERVER_FRAME__BODY_READY)->ready->n_channels, 1);
        fake_put_channel(f, "soon", false, false);
        fake_advance(f, 6000);
        assert_string_equal(
                fake_last(eve, PARLEY__V1__SERVER_FRAME__BODY_CHANNEL_ADDED)->channel_added->state->channel->id,
                "soon");
        fake_free(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_removed_in_a_burst),
                cmocka_unit_test(test_announced_before_the_event),
                cmocka_unit_test(test_announced_and_never_told),
                cmocka_unit_test(test_stale_list_undoes_nothing),
                cmocka_unit_test(test_stale_list_of_a_latecomer),
                cmocka_unit_test(test_added),
                cmocka_unit_test(test_added_before_the_event_is_here),
                cmocka_unit_test(test_left_and_back),
                cmocka_unit_test(test_unnamed_in_a_newer_list),
                cmocka_unit_test(test_left_a_channel_of_everyone),
                cmocka_unit_test(test_new_channel_of_everyone),
                cmocka_unit_test(test_missing_channel),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
