/* G5 across an absence: who was removed and added again sees nothing of between, however the news of it come. */
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
        fake_put_channel(f, ROOM, false, true);
        m.since_seq = fake_joined(f, ROOM, "eve", 1);
        fake_put_members(f, "ada", 1, &m, 1, false);
        fake_put_members(f, "eve", 1, &m, 1, false);
        fake_connect(f, "ada", ENCODING_PROTO);
        return f;
}

static unsigned removed(const struct fake_client *c)
{
        return fake_count(c, PARLEY__V1__SERVER_FRAME__BODY_CHANNEL_REMOVED);
}

static unsigned added(const struct fake_client *c)
{
        return fake_count(c, PARLEY__V1__SERVER_FRAME__BODY_CHANNEL_ADDED);
}

/* She is live again, and what comes now reaches her */
static void check_back(struct fake *f, struct fake_client *eve)
{
        uint64_t seq = fake_message(f, ROOM, "ada", "welcome back");

        fake_run(f);
        fake_advance(f, 3000);
        assert_int_equal(removed(eve), 1);
        assert_int_equal(added(eve), 1);
        assert_true(fake_saw(eve, ROOM, seq));
}

/* Removed and added again while NATS was away: the list is there before the events are */
static void test_away_meanwhile(void **state)
{
        struct fake *f = world();
        struct fake_client *eve = fake_connect(f, "eve", ENCODING_PROTO);
        struct fake_membership m = {ROOM, MEMBER, 3, 0, 0, true};
        uint64_t hidden;

        (void)state;
        fake_message(f, ROOM, "ada", "before");
        fake_run(f);
        f->connected = false;
        fake_left(f, ROOM, "eve", 2);
        hidden = fake_message(f, ROOM, "ada", "hidden");
        m.since_seq = fake_joined(f, ROOM, "eve", 3);
        fake_put_members(f, "eve", 3, &m, 1, false);
        fake_reconnect(f);
        fake_advance(f, 3000);
        check_back(f, eve);
        assert_false(fake_saw(eve, ROOM, hidden));
        fake_free(f);
}

/* The announcement of the rejoin comes without a list, and before the log does */
static void test_rejoin_is_announced(void **state)
{
        struct fake *f = world();
        struct fake_client *eve = fake_connect(f, "eve", ENCODING_PROTO);
        uint64_t hidden, joined;

        (void)state;
        fake_message(f, ROOM, "ada", "before");
        fake_left(f, ROOM, "eve", 2);
        fake_run(f);
        f->lose = 100;
        hidden = fake_message(f, ROOM, "ada", "hidden");
        joined = fake_joined(f, ROOM, "eve", 3);
        f->lose = 0;
        fake_announce(f, ROOM, "eve", MEMBER, joined, 3);
        fake_run(f);
        assert_int_equal(added(eve), 0);
        fake_advance(f, 3000);
        check_back(f, eve);
        assert_false(fake_saw(eve, ROOM, hidden));
        fake_free(f);
}

/* The announcement of the removal was lost, too */
static void test_only_the_rejoin_is_announced(void **state)
{
        struct fake *f = world();
        struct fake_client *eve = fake_connect(f, "eve", ENCODING_PROTO);
        uint64_t hidden, joined;

        (void)state;
        fake_message(f, ROOM, "ada", "before");
        fake_run(f);
        f->lose = 100;
        fake_left(f, ROOM, "eve", 2);
        hidden = fake_message(f, ROOM, "ada", "hidden");
        joined = fake_joined(f, ROOM, "eve", 3);
        f->lose = 0;
        fake_announce(f, ROOM, "eve", MEMBER, joined, 3);
        fake_run(f);
        fake_advance(f, 3000);
        check_back(f, eve);
        assert_false(fake_saw(eve, ROOM, hidden));
        fake_free(f);
}

/* Decided, but not in the log yet: the list says member again, and not since when */
static void test_rejoin_is_not_in_the_log(void **state)
{
        struct fake *f = world();
        struct fake_client *eve = fake_connect(f, "eve", ENCODING_PROTO), *late;
        struct fake_membership m = {ROOM, MEMBER, 3, 0, 0, true};
        uint64_t hidden;

        (void)state;
        fake_message(f, ROOM, "ada", "before");
        fake_run(f);
        fake_put_members(f, "eve", 3, &m, 1, true);
        fake_left(f, ROOM, "eve", 2);
        hidden = fake_message(f, ROOM, "ada", "hidden");
        fake_run(f);
        assert_int_equal(removed(eve), 1);
        assert_int_equal(added(eve), 0);
        /* a session does not wait for it, which may take as long as history is away */
        late = fake_connect(f, "eve", ENCODING_PROTO);
        assert_int_equal(fake_last(late, PARLEY__V1__SERVER_FRAME__BODY_READY)->ready->n_channels, 0);
        fake_joined(f, ROOM, "eve", 3);
        fake_run(f);
        check_back(f, eve);
        assert_false(fake_saw(eve, ROOM, hidden) || fake_saw(late, ROOM, hidden));
        assert_int_equal(added(late), 1);
        fake_free(f);
}

/* Another role is no other stay: nobody is removed, and history need not be asked for what was hers */
static void test_another_role(void **state)
{
        struct fake *f = world();
        struct fake_client *eve = fake_connect(f, "eve", ENCODING_PROTO);

        (void)state;
        fake_message(f, ROOM, "ada", "1");
        fake_run(f);
        fake_announce(f, ROOM, "eve", PARLEY__V1__ROLE__moderator, 100, 2);
        fake_message(f, ROOM, "ada", "2");
        fake_run(f);
        assert_int_equal(removed(eve), 0);
        f->history_down = true;
        fake_client_resume(eve, ROOM, FAKE_EPOCH, 1);
        fake_run(f);
        fake_check_complete(eve, ROOM);
        fake_free(f);
}

static size_t queue_room(struct fake_client *c)
{
        return c->f->config.session_max_queue_bytes - c->session->queue_bytes;
}

/* One message in the other channel; how much room of her queue it takes */
static size_t fill(struct fake_client *c, size_t n)
{
        size_t before = queue_room(c);
        char text[400];

        memset(text, 'x', n);
        text[n] = 0;
        fake_message(c->f, "other", "ada", text);
        fake_run(c->f);
        return before - queue_room(c);
}

/* The frame that says channelRemoved is the one that overflows her queue */
static void test_full_queue(void **state)
{
        struct fake *f = fake_new();
        struct fake_membership m[2] = {{ROOM, MEMBER, 1, 0, 0, false}, {"other", MEMBER, 1, 0, 0, false}};
        struct fake_client *eve;
        size_t size;

        (void)state;
        f->config.session_max_queue_bytes = 16384;
        fake_start(f);
        fake_put_channel(f, ROOM, false, false);
        fake_put_channel(f, "other", false, false);
        fake_put_members(f, "eve", 1, m, 2, false);
        eve = fake_connect(f, "eve", ENCODING_PROTO);
        fake_message(f, ROOM, "ada", "x");
        fake_run(f);
        fake_announce(f, ROOM, "eve", NONE, 1000, 2);
        eve->stuck = true;
        size = fill(eve, 60);
        while (queue_room(eve) >= 2 * size)
                fill(eve, 60);
        fill(eve, 60 + queue_room(eve) - size - 8);
        assert_int_equal(eve->close_code, 0);
        assert_in_range(queue_room(eve), 0, 10);
        fake_announce(f, ROOM, "eve", MEMBER, 2000, 3);
        assert_int_equal(eve->close_code, PARLEY_CLOSE_TOO_SLOW);
        fake_free(f);
}

/* A replay that everybody shared was asked for before she was removed: it must not answer who came back */
static void test_replay_of_the_stay_before(void **state)
{
        struct fake *f = world();
        struct fake_client *eve;
        struct fake_membership m = {ROOM, MEMBER, 3, 0, 0, true};
        uint64_t from, hidden;

        (void)state;
        f->config.tail_events = 3;
        eve = fake_connect(f, "eve", ENCODING_PROTO);
        from = fake_message(f, ROOM, "ada", "before");
        for (unsigned i = 0; i < 10; i++)
                fake_message(f, ROOM, "ada", "x");
        fake_run(f);
        fake_client_resume(eve, ROOM, FAKE_EPOCH, from); /* not answered yet */
        {
                struct channel *room = channel_find(f->core, ROOM);
                uint64_t left = fake_left(f, ROOM, "eve", 2);

                hidden = fake_message(f, ROOM, "ada", "hidden");
                m.since_seq = fake_joined(f, ROOM, "eve", 3);
                for (uint64_t seq = left; seq <= m.since_seq; seq++) {
                        const struct fake_event *e = &f->log[seq - 1];

                        chain_offer(room, &(struct bus_msg){.subject = "live.0." ROOM,
                                                            .data = e->data,
                                                            .len = e->len,
                                                            .seq = seq,
                                                            .prev = seq - 1});
                }
                fake_announce(f, ROOM, "eve", MEMBER, m.since_seq, 3);
        }
        fake_put_members(f, "eve", 3, &m, 1, false);
        assert_non_null(session_link(eve->session, channel_find(f->core, ROOM)));
        fake_client_resume(eve, ROOM, FAKE_EPOCH, from);
        fake_run(f);
        assert_false(fake_saw(eve, ROOM, hidden));
        assert_true(fake_saw(eve, ROOM, m.since_seq));
        fake_free(f);
}

/* There is nothing between the last event and where the removal is: it has been reached */
static void test_removal_behind_the_last_event(void **state)
{
        struct fake *f = world();
        struct fake_client *eve = fake_connect(f, "eve", ENCODING_PROTO);
        uint64_t seq;

        (void)state;
        fake_message(f, ROOM, "ada", "1");
        fake_run(f);
        f->lose = 100;
        seq = fake_message(f, ROOM, "ada", "removed before it was seen");
        fake_remove(f, seq);
        chain_expect(channel_find(f->core, ROOM), seq, 0);
        fake_advance(f, 1000);
        assert_true(channel_position(channel_find(f->core, ROOM)) == seq);
        fake_announce(f, ROOM, "eve", NONE, seq, 2);
        fake_run(f);
        assert_int_equal(removed(eve), 1);
        fake_free(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_away_meanwhile),
                cmocka_unit_test(test_rejoin_is_announced),
                cmocka_unit_test(test_only_the_rejoin_is_announced),
                cmocka_unit_test(test_rejoin_is_not_in_the_log),
                cmocka_unit_test(test_another_role),
                cmocka_unit_test(test_full_queue),
                cmocka_unit_test(test_replay_of_the_stay_before),
                cmocka_unit_test(test_removal_behind_the_last_event),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
