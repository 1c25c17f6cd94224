/* What was lost on the way is looked for again, whatever else is under way meanwhile. */
#include "gateway_fake.h"

#include "gateway/channel.h"

#define ROOM "room"

static struct fake *world(void)
{
        struct fake *f = fake_new();

        fake_start(f);
        fake_put_channel(f, ROOM, false, false);
        return f;
}

static struct fake_client *member(struct fake *f, const char *user)
{
        struct fake_membership m = {ROOM, PARLEY__V1__ROLE__member, 1, 0, 0, false};

        fake_put_members(f, user, 1, &m, 1, false);
        return fake_connect(f, user, ENCODING_PROTO);
}

/* The stream is made anew, and the last event of the old one was missed: nobody is told that all is there before it is */
static void test_new_epoch(void **state)
{
        struct fake *f = world();
        struct fake_client *eve = member(f, "eve");
        uint64_t missed;

        (void)state;
        fake_message(f, ROOM, "ada", "1");
        fake_run(f);
        f->connected = false;
        missed = fake_message(f, ROOM, "ada", "2");
        fake_new_stream(f);
        f->history_down = true;
        fake_reconnect(f);
        fake_advance(f, 2000);
        assert_int_equal(fake_count(eve, PARLEY__V1__SERVER_FRAME__BODY_REPLAY), 0);
        f->history_down = false;
        fake_advance(f, 2000);
        assert_true(fake_saw(eve, ROOM, missed));
        fake_check_complete(eve, ROOM);
        assert_true(fake_view(eve, ROOM)->epoch == f->epoch);
        fake_free(f);
}

/* So much was trimmed while NATS was away that nothing of the channel is left: what it had is not forgotten */
static void test_trimmed_meanwhile(void **state)
{
        struct fake *f = world();
        struct fake_client *eve = member(f, "eve");

        (void)state;
        fake_message(f, ROOM, "ada", "1");
        fake_run(f);
        f->connected = false;
        fake_message(f, ROOM, "ada", "2");
        fake_message(f, "another", "ada", "3");
        fake_trim(f, 3);
        fake_reconnect(f);
        fake_advance(f, 2000);
        fake_check_complete(eve, ROOM);
        assert_int_equal(fake_view(eve, ROOM)->n_seqs, 2);
        fake_free(f);
}

/* But an idle channel, of which nothing was missed, needs nobody who is away */
static void test_trimmed_and_idle(void **state)
{
        struct fake *f = world();
        struct fake_client *eve = member(f, "eve");

        (void)state;
        fake_message(f, ROOM, "ada", "1");
        fake_run(f);
        fake_message(f, "another", "ada", "2");
        fake_reconnect(f);
        f->connected = false;
        fake_trim(f, 2);
        f->history_down = true;
        fake_reconnect(f);
        fake_advance(f, 30000);
        assert_int_equal(fake_view(eve, ROOM)->gaps, 0);
        assert_int_equal(f->n_history, 0);
        fake_free(f);
}

/* Memberships are read again after a failure, although a second device came, or the last one left */
static void test_reload_fails(void **state)
{
        struct fake *f = world();
        struct fake_membership m = {ROOM, PARLEY__V1__ROLE__member, 1, 0, 0, false};
        struct fake_client *eve, *second;

        (void)state;
        fake_put_members(f, "eve", 1, NULL, 0, false);
        eve = fake_connect(f, "eve", ENCODING_PROTO);
        f->connected = false;
        fake_put_members(f, "eve", 2, &m, 1, false);
        f->connected = true;
        core_time(f->core);
        core_connected(f->core);
        fake_fail_tasks(f, BUS_E_TIMEOUT);
        second = fake_connect(f, "eve", ENCODING_PROTO);
        fake_advance(f, 2000);
        assert_int_equal(eve->session->n_links, 1);
        assert_int_equal(second->session->n_links, 1);
        /* and when nobody is there to retry for, whoever comes next reads it */
        fake_put_members(f, "eve", 3, NULL, 0, false);
        core_connected(f->core);
        fake_fail_tasks(f, BUS_E_TIMEOUT);
        fake_client_drop(eve);
        fake_client_drop(second);
        fake_advance(f, 2000);
        eve = fake_connect(f, "eve", ENCODING_PROTO);
        assert_int_equal(eve->session->n_links, 0);
        fake_free(f);
}

/* Who waits for the event of his joining is let in when it is given up */
static void test_given_up(void **state)
{
        struct fake *f = world();
        struct fake_membership m = {ROOM, PARLEY__V1__ROLE__member, 1, 0, 0, false};
        struct fake_client *eve;

        (void)state;
        fake_message(f, ROOM, "ada", "0");
        member(f, "ada");
        fake_put_members(f, "eve", 1, NULL, 0, false);
        eve = fake_connect(f, "eve", ENCODING_PROTO);
        f->lose = 100;
        m.since_seq = fake_joined(f, ROOM, "eve", 1);
        f->lose = 0;
        f->history_down = true;
        fake_trim(f, m.since_seq + 1);
        fake_put_members(f, "eve", 2, &m, 1, true);
        fake_run(f);
        fake_advance(f, 30000);
        assert_int_equal(fake_count(eve, PARLEY__V1__SERVER_FRAME__BODY_CHANNEL_ADDED), 1);
        fake_free(f);
}

/* The head cannot be read while a repair is under way: it is read later */
static void test_verify_fails_while_repairing(void **state)
{
        struct fake *f = world();
        struct fake_client *eve = member(f, "eve");
        struct channel *room = channel_find(f->core, ROOM);

        (void)state;
        fake_message(f, ROOM, "ada", "1");
        fake_run(f);
        f->lose = 100;
        fake_message(f, ROOM, "ada", "2");
        chain_expect(room, 2, 0);
        f->silent = true;
        fake_advance(f, 100);
        assert_true(room->repairing);
        fake_message(f, ROOM, "ada", "3"); /* whoever stored it is gone: nobody tells of it */
        core_loss(f->core);
        /* the fetch is not answered; the question for the head fails, and is due again while the fetch goes on */
        fake_fail_after(f, 1, BUS_E_TIMEOUT);
        fake_advance(f, 1000);
        assert_true(room->repairing);
        f->silent = false;
        fake_run(f);
        fake_advance(f, 1000);
        fake_check_complete(eve, ROOM);
        fake_free(f);
}

/* Something is lost while the channel's head is being read */
static void test_loss_while_activating(void **state)
{
        struct fake *f = world();
        struct fake_membership m = {ROOM, PARLEY__V1__ROLE__member, 1, 0, 0, false};
        struct fake_client *eve;
        char *token = fake_token(f, "eve");

        (void)state;
        fake_message(f, ROOM, "ada", "1");
        fake_put_members(f, "eve", 1, &m, 1, false);
        eve = fake_connect_raw(f, ENCODING_PROTO, false);
        session_authenticate(eve->session, token, 0);
        free(token);
        while (!channel_find(f->core, ROOM))
                fake_step(f);
        assert_int_equal(channel_find(f->core, ROOM)->state, CHANNEL_ACTIVATING);
        f->lose = 100;
        fake_message(f, ROOM, "ada", "2");
        f->lose = 0;
        core_loss(f->core);
        fake_run(f);
        fake_advance(f, 1000);
        assert_true(channel_position(channel_find(f->core, ROOM)) == 2);
        fake_free(f);
}

/* And a digest that comes then is not forgotten */
static void test_expected_while_activating(void **state)
{
        struct fake *f = world();
        struct fake_membership m = {ROOM, PARLEY__V1__ROLE__member, 1, 0, 0, false};
        struct fake_client *eve;
        char *token = fake_token(f, "eve");

        (void)state;
        fake_message(f, ROOM, "ada", "1");
        fake_put_members(f, "eve", 1, &m, 1, false);
        eve = fake_connect_raw(f, ENCODING_PROTO, false);
        session_authenticate(eve->session, token, 0);
        free(token);
        while (!channel_find(f->core, ROOM))
                fake_step(f);
        f->lose = 100;
        chain_expect(channel_find(f->core, ROOM), fake_message(f, ROOM, "ada", "2"), 300);
        f->lose = 0;
        fake_run(f);
        fake_advance(f, 1000);
        assert_true(channel_position(channel_find(f->core, ROOM)) == 2);
        fake_free(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_new_epoch),
                cmocka_unit_test(test_trimmed_meanwhile),
                cmocka_unit_test(test_trimmed_and_idle),
                cmocka_unit_test(test_reload_fails),
                cmocka_unit_test(test_given_up),
                cmocka_unit_test(test_verify_fails_while_repairing),
                cmocka_unit_test(test_loss_while_activating),
                cmocka_unit_test(test_expected_while_activating),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
