/* What comes at the wrong time: removals while something is asked, channels that presence does not know yet, and much at once. */
#include "gateway/look.h"
#include "gateway/stats.h"
#include "gateway_fake.h"

#define ONLINE PARLEY__V1__USER_PRESENCE__AVAILABILITY__online
#define OFFLINE PARLEY__V1__USER_PRESENCE__AVAILABILITY__offline
#define AWAY PARLEY__V1__USER_PRESENCE__AVAILABILITY__away
#define PRESENCE PARLEY__V1__SERVER_FRAME__BODY_PRESENCE
#define CHANNEL_PRESENCE PARLEY__V1__SERVER_FRAME__BODY_CHANNEL_PRESENCE
#define MANY 1100

static struct fake *world(struct fake_presence **ret_presence)
{
        const char *const names[] = {"ada", "bob", "carla"};
        struct fake *f = fake_new();

        fake_start(f);
        fake_put_channel(f, "general", true, false);
        fake_put_channel(f, "news", true, false);
        *ret_presence = fake_presence_new(f);
        for (unsigned i = 0; i < 3; i++) {
                strcpy((*ret_presence)->members[(*ret_presence)->n_members++], names[i]);
                fake_presence_set(*ret_presence, names[i], ONLINE, false);
        }
        return f;
}

static void end(struct fake *f)
{
        fake_presence_free(f->presence);
        fake_free(f);
}

static void watch_list(struct fake_client *c, const char *const *ids, size_t n)
{
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Watch body = PARLEY__V1__WATCH__INIT;

        body.user_ids = (char **)ids;
        body.n_user_ids = n;
        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_WATCH;
        frame.watch = &body;
        fake_client_send(c, &frame);
        fake_run(c->f);
}

#define watch(c, ...)                                                                                                  \
        watch_list(c, (const char *[]){__VA_ARGS__}, sizeof((const char *[]){__VA_ARGS__}) / sizeof(const char *))

static void focus(struct fake_client *c, const char *channel)
{
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Focus body = PARLEY__V1__FOCUS__INIT;

        body.channel_ids = (char **)&channel;
        body.n_channel_ids = 1;
        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_FOCUS;
        frame.focus = &body;
        fake_client_send(c, &frame);
        fake_run(c->f);
}

static void ping(struct fake_client *c)
{
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Ping body = PARLEY__V1__PING__INIT;

        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_PING;
        frame.ping = &body;
        fake_client_send(c, &frame);
        fake_run(c->f);
}

static const Parley__V1__Presence *told(const struct fake_client *c)
{
        const Parley__V1__ServerFrame *frame = fake_last(c, PRESENCE);

        assert_non_null(frame);
        return frame->presence;
}

/* The last frame shows nobody, and tells that this one is hidden */
static bool hides_alone(const struct fake_client *c, const char *user)
{
        const Parley__V1__Presence *p = told(c);
        bool hidden = false;

        for (size_t i = 0; i < p->n_hidden_user_ids; i++)
                hidden |= strcmp(p->hidden_user_ids[i], user) == 0;
        for (size_t i = 0; i < p->n_users; i++)
                hidden &= strcmp(p->users[i]->user_id, user) != 0;
        return hidden;
}

/* --- removals --- */

/* A snapshot waits for the answer about one of the set, and meanwhile another one is removed */
static void test_snapshot_waits_for_doubt(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        watch(c, "bob");
        fake_advance(f, 1100);
        p->down = true;
        watch(c, "bob", "carla");
        fake_left(f, "general", "bob", 2);
        fake_run(f);
        p->down = false;
        fake_presence_set(p, "bob", AWAY, true);
        fake_advance(f, 1300); /* carla was answered of by now */
        assert_int_equal(fake_count(c, PRESENCE), 1);
        fake_presence_hide(p, "ada", "bob");
        fake_advance(f, 2000);
        assert_int_equal(fake_count(c, PRESENCE), 2);
        assert_true(told(c)->snapshot && told(c)->n_users == 1 && hides_alone(c, "bob"));
        end(f);
}

/* Whoever names him again, or anew, or comes anew, is told no sooner than who named him before */
static void test_doubt_is_not_washed_off(void **state)
{
        for (unsigned way = 0; way < 4; way++) {
                struct fake_presence *p;
                struct fake *f = world(&p);
                struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
                unsigned before;

                (void)state;
                if (way != 1)
                        watch(c, "bob");
                fake_advance(f, 1100);
                fake_left(f, "general", way == 3 ? "ada" : "bob", 2);
                fake_run(f);
                if (way == 2)
                        watch_list(c, NULL, 0);
                if (way == 3)
                        c = fake_connect(f, "ada", ENCODING_PROTO);
                watch(c, "bob");
                fake_advance(f, 1100);
                before = fake_count(c, PRESENCE);
                assert_int_equal(before, way == 0 || way == 2); /* that of before the removal */
                fake_presence_hide(p, "ada", "bob");
                fake_advance(f, 2000);
                assert_true(fake_count(c, PRESENCE) == before + 1 && told(c)->snapshot && hides_alone(c, "bob"));
                end(f);
        }
}

/* Presence is behind by far more than it mostly is: nothing is told of him to those who watch him, watch him anew, or come, until it is there */
static void test_doubt_waits_for_presence(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *watches = fake_connect(f, "ada", ENCODING_PROTO), *comes;

        (void)state;
        watch(watches, "bob");
        fake_advance(f, 1100);
        p->behind = "bob";
        fake_left(f, "general", "bob", 2);
        fake_run(f);
        fake_presence_set(p, "bob", AWAY, true);
        fake_advance(f, 6000);
        assert_int_equal(p->n_left, 1);
        comes = fake_connect(f, "dora", ENCODING_PROTO);
        watch(comes, "bob");
        fake_presence_speak(p, "bob"); /* something else of him has changed */
        fake_advance(f, 6000);
        assert_int_equal(fake_count(watches, PRESENCE), 1);
        assert_int_equal(fake_count(comes, PRESENCE), 0);
        fake_presence_hide(p, "ada", "bob");
        p->behind = NULL;
        fake_advance(f, 2100);
        assert_int_equal(fake_count(watches, PRESENCE), 2);
        assert_true(hides_alone(watches, "bob"));
        assert_int_equal(told(comes)->users[0]->availability, AWAY);
        fake_presence_speak(p, "bob");
        fake_advance(f, 1100);
        assert_int_equal(p->n_left, 0); /* it is known to have heard */
        end(f);
}

/* He is back before presence has heard that he was gone, or is told of in another order: there is nothing to wait for */
static void test_doubt_ends_with_return(void **state)
{
        for (unsigned way = 0; way < 2; way++) {
                struct fake_presence *p;
                struct fake *f = world(&p);
                struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

                (void)state;
                watch(c, "bob");
                fake_advance(f, 1100);
                p->behind = "bob";
                if (way)
                        fake_joined(f, "general", "bob", 3);
                fake_left(f, "general", "bob", 2);
                fake_run(f);
                fake_presence_set(p, "bob", AWAY, true);
                if (!way) {
                        fake_advance(f, 6000);
                        assert_int_equal(fake_count(c, PRESENCE), 1);
                        fake_joined(f, "general", "bob", 3);
                }
                fake_advance(f, 3100);
                assert_int_equal(p->n_left, 0);
                assert_int_equal(told(c)->users[0]->availability, AWAY);
                end(f);
        }
}

/* More have left than one question may name: of those whom it does not nothing is believed either */
static void test_many_in_doubt(void **state)
{
        static char ids[400][IDENT_MAX + 1];
        const char *list[400];
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        for (unsigned i = 0; i < 400; i++) {
                snprintf(ids[i], sizeof(ids[i]), "m%u", i);
                fake_presence_set(p, ids[i], ONLINE, false);
                list[i] = ids[i];
        }
        watch_list(c, list, 400);
        fake_advance(f, 1100);
        for (unsigned i = 0; i < 400; i++)
                fake_left(f, "general", ids[i], 2);
        p->behind_all = true;
        fake_run(f);
        for (unsigned i = 0; i < 400; i += 40)
                fake_presence_set(p, ids[i], AWAY, true);
        fake_advance(f, 6000);
        assert_int_equal(p->n_left, 256);
        assert_int_equal(fake_count(c, PRESENCE), 1);
        p->behind_all = false;
        fake_advance(f, 6000);
        assert_in_range(fake_count(c, PRESENCE), 2, 10);
        fake_presence_speak(p, "m0");
        fake_advance(f, 1100);
        assert_int_equal(p->n_left, 0);
        end(f);
}

/* Presence answers with a list that is older than the removal */
static void test_removed_stays_out_of_place(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        const Parley__V1__ChannelPresence *last;

        (void)state;
        focus(c, "general");
        fake_advance(f, 100);
        assert_int_equal(fake_last(c, CHANNEL_PRESENCE)->channel_presence->n_users, 3);
        fake_left(f, "general", "bob", 2);
        fake_run(f);
        p->n_queries = 0;
        fake_advance(f, 6000);
        assert_true(p->n_queries > 0); /* and has answered with him in it */
        last = fake_last(c, CHANNEL_PRESENCE)->channel_presence;
        assert_true(last->n_users == 2 && last->members == 2 && last->online == 2);
        fake_presence_set(p, "bob", AWAY, true);
        fake_advance(f, 1200);
        assert_int_equal(fake_count(c, PRESENCE), 0);
        end(f);
}

/* --- questions that fail --- */

/* One channel that presence knows nothing of is asked for again, and nothing else is */
static void test_unknown_channel(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        double resyncs = stat_presence_resyncs.value;

        (void)state;
        p->refused = "news";
        watch(c, "bob");
        focus(c, "news");
        fake_advance(f, 200);
        p->n_pairs = 0;
        for (unsigned i = 0; i < 12; i++) {
                fake_presence_speak(p, NULL);
                fake_advance(f, 1000);
        }
        assert_true(stat_presence_resyncs.value == resyncs);
        assert_int_equal(p->n_pairs, 0);
        assert_int_equal(fake_count(c, CHANNEL_PRESENCE), 0);
        p->refused = NULL;
        fake_advance(f, 5200);
        assert_int_equal(fake_count(c, CHANNEL_PRESENCE), 1);
        end(f);
}

/* Presence did not answer of a channel, and nothing of it was missed */
static void test_answer_lost(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        double resyncs = stat_presence_resyncs.value;

        (void)state;
        watch(c, "bob");
        p->down = true;
        focus(c, "news");
        fake_advance(f, 1000);
        p->down = false;
        fake_presence_speak(p, NULL);
        fake_advance(f, 3000);
        assert_int_equal(fake_count(c, CHANNEL_PRESENCE), 1); /* long before its own next try */
        assert_true(stat_presence_resyncs.value == resyncs);
        end(f);
}

/* --- much at once --- */

struct crowd {
        struct fake *f;
        struct fake_presence *p;
        struct fake_client *clients[MANY];
};

/* All watch bob */
static void crowd_init(struct crowd *crowd)
{
        char id[16];

        crowd->f = world(&crowd->p);
        for (unsigned i = 0; i < MANY; i++) {
                snprintf(id, sizeof(id), "u%u", i);
                crowd->clients[i] = fake_connect(crowd->f, id, ENCODING_PROTO);
                watch(crowd->clients[i], "bob");
        }
        fake_advance(crowd->f, 6000);
}

static unsigned made(const struct crowd *crowd)
{
        const struct looks *all = crowd->f->core->looks;
        unsigned n = 0;

        for (unsigned i = 0; i < SHARED_FRAMES; i++)
                n += all->shared[i].frame && all->shared[i].stamp == all->stamp;
        return n;
}

static void tick(struct fake *f)
{
        f->now_ns += 50000000;
        core_tick(f->core);
}

/* One frame for all who are told the same. A turn of the loop tells as many as it is allowed, and the next one goes on: nobody waits for a tick. */
static void test_shared_in_turns(void **state)
{
        struct crowd crowd;
        double before;
        unsigned turns = 0;

        (void)state;
        crowd_init(&crowd);
        before = stat_presence_frames.value;
        fake_presence_set(crowd.p, "bob", AWAY, true);
        fake_run(crowd.f);
        assert_float_equal(stat_presence_frames.value, before, 0);
        for (unsigned i = 0; i < 3; i++)
                tick(crowd.f);
        assert_float_equal(stat_presence_frames.value, before, 0);
        while (core_tell(crowd.f->core, 100)) {
                turns++;
                assert_float_equal(stat_presence_frames.value - before, 100 * turns, 0);
        }
        assert_float_equal(stat_presence_frames.value - before, MANY, 0);
        assert_int_equal(turns, MANY / 100 - 1);
        assert_int_equal(made(&crowd), 1);
        fake_run(crowd.f);
        for (unsigned i = 0; i < MANY; i++)
                assert_int_equal(told(crowd.clients[i])->users[0]->availability, AWAY);
        end(crowd.f);
}

/* Somebody who takes nothing is told nothing, and holds nobody up: a turn looks at him once */
static void test_busy_in_turns(void **state)
{
        struct crowd crowd;

        (void)state;
        crowd_init(&crowd);
        crowd.clients[0]->session->queue_bytes += crowd.f->config.session_max_queue_bytes;
        fake_presence_set(crowd.p, "bob", AWAY, true);
        fake_run(crowd.f);
        tick(crowd.f);
        tick(crowd.f);
        while (core_tell(crowd.f->core, 100))
                ;
        crowd.clients[0]->session->queue_bytes -= crowd.f->config.session_max_queue_bytes;
        assert_false(core_tell(crowd.f->core, 100));
        fake_run(crowd.f);
        assert_int_equal(told(crowd.clients[0])->users[0]->availability, ONLINE);
        assert_int_equal(told(crowd.clients[1])->users[0]->availability, AWAY);
        fake_advance(crowd.f, 100);
        assert_int_equal(told(crowd.clients[0])->users[0]->availability, AWAY);
        end(crowd.f);
}

static void crowd_load(struct crowd *crowd)
{
        for (unsigned i = 0; i < 16; i++) {
                fake_presence_set(crowd->p, "bob", i % 2 ? ONLINE : AWAY, true);
                fake_advance(crowd->f, 250);
        }
}

/* With news for each session every second it waits for more, for two seconds at most; or leaves with whatever else does */
static void test_held_in_storm(void **state)
{
        struct crowd crowd;
        struct fake_client *c;
        unsigned before, messages;

        (void)state;
        crowd_init(&crowd);
        c = fake_connect(crowd.f, "ada", ENCODING_PROTO);
        watch(c, "carla");
        fake_advance(crowd.f, 3000);
        before = fake_count(c, PRESENCE);
        fake_presence_set(crowd.p, "carla", AWAY, true);
        fake_advance(crowd.f, 150);
        assert_int_equal(fake_count(c, PRESENCE), before + 1); /* at once, while there is little */
        crowd_load(&crowd);
        fake_presence_set(crowd.p, "carla", ONLINE, true);
        fake_advance(crowd.f, 1000);
        assert_int_equal(fake_count(c, PRESENCE), before + 1);
        fake_advance(crowd.f, 1300);
        assert_int_equal(fake_count(c, PRESENCE), before + 2);
        crowd_load(&crowd);
        fake_presence_set(crowd.p, "carla", AWAY, true);
        fake_advance(crowd.f, 300);
        messages = c->n_messages;
        ping(c);
        assert_int_equal(fake_count(c, PRESENCE), before + 3);
        assert_int_equal(c->n_messages, messages + 1);
        end(crowd.f);
}

/* With less for each it is worth to wait longer, but not for ever */
static void test_held_longer(void **state)
{
        struct crowd crowd;
        struct fake_client *c;
        unsigned before;

        (void)state;
        crowd_init(&crowd);
        c = fake_connect(crowd.f, "ada", ENCODING_PROTO);
        watch(c, "carla");
        fake_advance(crowd.f, 3000);
        before = fake_count(c, PRESENCE);
        for (unsigned i = 0; i < 10; i++) {
                fake_presence_set(crowd.p, "bob", i % 2 ? ONLINE : AWAY, true);
                fake_advance(crowd.f, 1050);
        }
        fake_presence_set(crowd.p, "carla", AWAY, true);
        fake_advance(crowd.f, 2100);
        assert_int_equal(fake_count(c, PRESENCE), before);
        fake_advance(crowd.f, 2000);
        assert_int_equal(fake_count(c, PRESENCE), before + 1);
        end(crowd.f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_snapshot_waits_for_doubt),
                cmocka_unit_test(test_doubt_is_not_washed_off),
                cmocka_unit_test(test_doubt_waits_for_presence),
                cmocka_unit_test(test_doubt_ends_with_return),
                cmocka_unit_test(test_many_in_doubt),
                cmocka_unit_test(test_removed_stays_out_of_place),
                cmocka_unit_test(test_unknown_channel),
                cmocka_unit_test(test_answer_lost),
                cmocka_unit_test(test_shared_in_turns),
                cmocka_unit_test(test_busy_in_turns),
                cmocka_unit_test(test_held_in_storm),
                cmocka_unit_test(test_held_longer),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
