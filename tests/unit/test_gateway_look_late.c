/* What comes at the wrong time: channels that presence does not know yet, answers that are lost, and much at once. */
#include "gateway/look.h"
#include "gateway/stats.h"
#include "gateway_fake_look.h"

#define MANY 1100

/* --- questions that fail --- */

/* One channel that presence knows nothing of is asked for again, and nothing else is */
static void test_unknown_channel(void **state)
{
        struct fake_presence *p;
        struct fake *f = fake_look_new(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        double resyncs = stat_presence_resyncs.value;

        (void)state;
        p->refused = "news";
        fake_watch(c, "bob");
        fake_focus(c, "news");
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
        fake_look_free(f);
}

/* Presence did not answer of a channel, and nothing of it was missed */
static void test_answer_lost(void **state)
{
        struct fake_presence *p;
        struct fake *f = fake_look_new(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        double resyncs = stat_presence_resyncs.value;

        (void)state;
        fake_watch(c, "bob");
        p->down = true;
        fake_focus(c, "news");
        fake_advance(f, 1000);
        p->down = false;
        fake_presence_speak(p, NULL);
        fake_advance(f, 3000);
        assert_int_equal(fake_count(c, CHANNEL_PRESENCE), 1); /* long before its own next try */
        assert_true(stat_presence_resyncs.value == resyncs);
        fake_look_free(f);
}

/* Presence stood still, and the question was waited for for three seconds: it is asked again at once, as another one may speak by now */
static void test_asked_again_at_once(void **state)
{
        struct fake_presence *p;
        struct fake *f = fake_look_new(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        p->hold = true;
        fake_watch(c, "bob");
        fake_advance(f, 3000);
        assert_true(p->n_queries == 1 && p->n_held == 1);
        p->hold = false;
        fake_presence_release(p, 1, BUS_E_TIMEOUT);
        fake_run(f);
        fake_advance(f, 150);
        assert_int_equal(p->n_queries, 2);
        assert_true(fake_told(c)->snapshot);
        fake_look_free(f);
}

/* An answer from before he was looked at again comes after a change of his that passed while nobody looked */
static void test_answer_older_than_a_change(void **state)
{
        struct fake_presence *p;
        struct fake *f = fake_look_new(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        fake_watch(c, "carla");
        fake_presence_speak(p, NULL);
        p->hold = true;
        fake_watch(c, "bob");
        assert_int_equal(p->n_held, 1);
        fake_watch(c, "carla");
        fake_presence_set(p, "bob", AWAY, true);
        fake_run(f);
        fake_watch(c, "bob");
        p->hold = false;
        fake_presence_release(p, 100, 0);
        fake_run(f);
        fake_advance(f, 3000);
        assert_int_equal(fake_told(c)->n_users, 1);
        assert_string_equal(fake_told(c)->users[0]->user_id, "bob");
        assert_int_equal(fake_told(c)->users[0]->availability, AWAY);
        fake_look_free(f);
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

        crowd->f = fake_look_new(&crowd->p);
        for (unsigned i = 0; i < MANY; i++) {
                snprintf(id, sizeof(id), "u%u", i);
                crowd->clients[i] = fake_connect(crowd->f, id, ENCODING_PROTO);
                fake_watch(crowd->clients[i], "bob");
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
        assert_int_equal(core_due(crowd.f->core), MANY);
        while (core_tell(crowd.f->core, 100)) {
                turns++;
                assert_float_equal(stat_presence_frames.value - before, 100 * turns - 1,
                                   0); /* and one user was encoded */
        }
        assert_float_equal(stat_presence_frames.value - before, MANY, 0);
        assert_int_equal(core_due(crowd.f->core), 0);
        assert_int_equal(turns, MANY / 100);
        assert_int_equal(made(&crowd), 1);
        fake_run(crowd.f);
        for (unsigned i = 0; i < MANY; i++)
                assert_int_equal(fake_told(crowd.clients[i])->users[0]->availability, AWAY);
        fake_look_free(crowd.f);
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
        assert_int_equal(fake_told(crowd.clients[0])->users[0]->availability, ONLINE);
        assert_int_equal(fake_told(crowd.clients[1])->users[0]->availability, AWAY);
        fake_advance(crowd.f, 100);
        assert_int_equal(fake_told(crowd.clients[0])->users[0]->availability, AWAY);
        fake_look_free(crowd.f);
}

/* Each is told of 40 others: what a turn takes is counted in users, too */
static void test_whole_sets_in_turns(void **state)
{
        static char ids[MANY][IDENT_MAX + 1];
        struct fake_client *clients[20];
        struct fake_presence *p;
        struct fake *f = fake_look_new(&p);
        double before;
        unsigned turns = 0;

        (void)state;
        for (unsigned i = 0; i < 60; i++) {
                snprintf(ids[i], sizeof(ids[i]), "m%u", i);
                fake_presence_set(p, ids[i], ONLINE, false);
        }
        for (unsigned i = 0; i < 20; i++) {
                const char *list[40];

                for (unsigned k = 0; k < 40; k++)
                        list[k] = ids[i + k];
                clients[i] = fake_connect(f, "ada", ENCODING_PROTO);
                fake_watch_list(clients[i], list, 40);
        }
        before = stat_presence_frames.value;
        tick(f);
        tick(f);
        while (core_tell(f->core, 100)) {
                turns++;
                assert_float_equal(stat_presence_frames.value - before, 3 * turns,
                                   0); /* 41 each; the third one begins below 100 */
        }
        assert_int_equal(turns, 6);
        fake_run(f);
        for (unsigned i = 0; i < 20; i++)
                assert_int_equal(fake_told(clients[i])->n_users, 40);
        fake_look_free(f);
}

/* A turn of the loop, as gateway.c makes them while a turn takes longer than it should */
static void turn(struct fake *f)
{
        (void)core_tell(f->core, 32);
        (void)core_flush(f->core, 1024);
}

/* While all of a crowd are to be told, a message that comes in leaves in the next turn, and not behind the rest of presence */
static void test_message_before_the_rest(void **state)
{
        const struct fake_membership alone = {.channel = "alone", .role = PARLEY__V1__ROLE__member, .version = 1};
        struct crowd crowd;
        struct fake_client *c;
        double before;
        uint64_t seq;

        (void)state;
        crowd_init(&crowd);
        fake_put_channel(crowd.f, "alone", false, false);
        fake_put_members(crowd.f, "ada", 1, &alone, 1, false);
        c = fake_connect(crowd.f, "ada", ENCODING_PROTO);
        fake_presence_set(crowd.p, "bob", AWAY, true);
        fake_run(crowd.f);
        before = stat_presence_frames.value;
        for (unsigned i = 0; i < 4; i++)
                tick(crowd.f);
        turn(crowd.f);
        assert_in_range((int)(stat_presence_frames.value - before), 1, 32);
        seq = fake_message(crowd.f, "alone", "ada", "hi");
        while (crowd.f->tasks)
                fake_step(crowd.f);
        turn(crowd.f);
        assert_true(fake_saw(c, "alone", seq));
        assert_in_range((int)(stat_presence_frames.value - before), 33, 64);
        fake_run(crowd.f);
        assert_float_equal(stat_presence_frames.value - before, MANY, 0);
        fake_look_free(crowd.f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_unknown_channel),     cmocka_unit_test(test_answer_lost),
                cmocka_unit_test(test_asked_again_at_once), cmocka_unit_test(test_answer_older_than_a_change),
                cmocka_unit_test(test_whole_sets_in_turns), cmocka_unit_test(test_message_before_the_rest),
                cmocka_unit_test(test_shared_in_turns),     cmocka_unit_test(test_busy_in_turns),

        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
