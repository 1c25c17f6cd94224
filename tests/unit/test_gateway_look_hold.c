/* How long news wait for each other: on a calm day, in a storm, and between the two. */
#include "base/cleanup.h"
#include "gateway/look.h"
#include "gateway_fake_look.h"

/* MANY watch bob and somebody else each; FEW of them carla, too. EVERY_MS: bob changes so often, which is 1,600 news a second, less than there are sessions */
enum { MANY = 1900, FEW = 32, EVERY_MS = MANY * 1000 / 1600 };
enum { CALM_MS = 6000, STORM_MS = 2000, TICK_MS = 2 * TELL_TICK_MS };
/* So many of all who are looked at change within five seconds, bob's own changes among them, and it is no storm yet */
enum { MOST = (MANY + 2) * 3 / 100 };

struct crowd {
        struct fake *f;
        struct fake_presence *p;
        struct fake_client *clients[MANY];
        unsigned changes; /* of bob */
};

static void crowd_init(struct crowd *crowd)
{
        char id[16], other[16];

        crowd->f = fake_look_new(&crowd->p);
        crowd->changes = 0;
        for (unsigned i = 0; i < MANY; i++) {
                (void)snprintf(id, sizeof(id), "u%u", i);
                (void)snprintf(other, sizeof(other), "friend%u", i);
                fake_presence_set(crowd->p, other, OFFLINE, true);
                crowd->clients[i] = fake_connect(crowd->f, id, ENCODING_PROTO);
                if (i < FEW)
                        fake_watch(crowd->clients[i], "carla", other);
                else
                        fake_watch(crowd->clients[i], "bob", other);
        }
        fake_advance(crowd->f, 6000);
}

static void bob_changes(struct crowd *crowd, unsigned times, unsigned every_ms)
{
        while (times--) {
                fake_presence_set(crowd->p, "bob", crowd->changes++ % 2 ? ONLINE : AWAY, true);
                fake_advance(crowd->f, every_ms);
        }
}

static void friends_change(struct crowd *crowd, unsigned n, int availability)
{
        char id[16];

        for (unsigned i = 0; i < n; i++) {
                (void)snprintf(id, sizeof(id), "friend%u", MANY - 1 - i);
                fake_presence_set(crowd->p, id, availability, true);
        }
}

static unsigned told_of_carla(const struct crowd *crowd)
{
        unsigned told = 0;

        for (unsigned i = 0; i < FEW; i++)
                told += fake_count(crowd->clients[i], PRESENCE);
        return told;
}

/* How many of her watchers are told of carla within so many milliseconds */
static unsigned told_within(struct crowd *crowd, unsigned ms)
{
        unsigned before = told_of_carla(crowd);

        fake_advance(crowd->f, ms);
        return told_of_carla(crowd) - before;
}

/* At once while there is little to tell */
static void test_not_held(void **state)
{
        struct crowd crowd;

        (void)state;
        crowd_init(&crowd);
        fake_presence_set(crowd.p, "carla", AWAY, true);
        assert_int_equal(told_within(&crowd, 150), FEW);
        fake_look_free(crowd.f);
}

/* With some news for each it is worth to wait, but not for ever: here it would be longer by the count of news alone */
static void test_held_when_calm(void **state)
{
        struct crowd crowd;

        (void)state;
        crowd_init(&crowd);
        bob_changes(&crowd, 12, EVERY_MS);
        fake_presence_set(crowd.p, "carla", AWAY, true);
        assert_int_equal(told_within(&crowd, CALM_MS * 3 / 4 - TICK_MS), 0);
        assert_int_equal(told_within(&crowd, CALM_MS / 4 + 2 * TICK_MS), FEW);
        fake_look_free(crowd.f);
}

/* With news for each session every second it waits for two seconds at most; or leaves with whatever else does */
static void test_held_with_much_for_each(void **state)
{
        struct crowd crowd;
        unsigned before, messages;

        (void)state;
        crowd_init(&crowd);
        bob_changes(&crowd, 16, 250);
        fake_presence_set(crowd.p, "carla", ONLINE, true);
        fake_presence_set(crowd.p, "carla", AWAY, true);
        assert_int_equal(told_within(&crowd, 1000), 0);
        assert_int_equal(told_within(&crowd, STORM_MS - 1000 + TICK_MS), FEW);
        bob_changes(&crowd, 16, 250);
        fake_presence_set(crowd.p, "carla", ONLINE, true);
        fake_advance(crowd.f, 300);
        before = fake_count(crowd.clients[0], PRESENCE);
        messages = crowd.clients[0]->n_messages;
        fake_ping(crowd.clients[0]);
        assert_int_equal(fake_count(crowd.clients[0], PRESENCE), before + 1);
        assert_int_equal(crowd.clients[0]->n_messages, messages + 1);
        fake_look_free(crowd.f);
}

/* The longer the more there is: here for a second and a quarter */
static void test_held_longer_with_more(void **state)
{
        struct crowd crowd;

        (void)state;
        crowd_init(&crowd);
        bob_changes(&crowd, 8, MANY * 1000 / 500);
        fake_presence_set(crowd.p, "carla", AWAY, true);
        assert_int_equal(told_within(&crowd, 1250 * 3 / 4 - 2 * TICK_MS), 0);
        assert_int_equal(told_within(&crowd, 1250 / 4 + 4 * TICK_MS), FEW);
        fake_look_free(crowd.f);
}

/* What was much some seconds ago is none any more */
static void test_not_held_after_silence(void **state)
{
        struct crowd crowd;

        (void)state;
        crowd_init(&crowd);
        bob_changes(&crowd, 12, EVERY_MS);
        fake_advance(crowd.f, CALM_MS);
        fake_presence_set(crowd.p, "carla", AWAY, true);
        assert_int_equal(told_within(&crowd, 150), FEW);
        fake_look_free(crowd.f);
}

/* While no more than three in a hundred of those who are looked at change within five seconds, it is no storm */
static void test_no_storm(void **state)
{
        struct crowd crowd;

        (void)state;
        crowd_init(&crowd);
        bob_changes(&crowd, 12, EVERY_MS);
        fake_presence_set(crowd.p, "carla", AWAY, true);
        friends_change(&crowd, MOST - 8, ONLINE); /* and bob, and carla */
        assert_int_equal(told_within(&crowd, CALM_MS * 3 / 4 - TICK_MS), 0);
        fake_look_free(crowd.f);
}

/* When more do, also those are told within two seconds who would have waited for longer; and it is calm again some seconds later */
static void test_storm(void **state)
{
        struct crowd crowd;

        (void)state;
        crowd_init(&crowd);
        bob_changes(&crowd, 12, EVERY_MS);
        fake_presence_set(crowd.p, "carla", AWAY, true);
        fake_advance(crowd.f, 100);
        friends_change(&crowd, MOST + 1, ONLINE);
        assert_int_equal(told_within(&crowd, STORM_MS + TICK_MS), FEW);
        bob_changes(&crowd, 8, EVERY_MS);
        fake_presence_set(crowd.p, "carla", ONLINE, true);
        assert_int_equal(told_within(&crowd, STORM_MS + TICK_MS), 0);
        fake_look_free(crowd.f);
}

/* A storm has a tail, of which what comes last waits no longer than all the rest, also when the storm is over meanwhile */
static void test_tail_of_a_storm(void **state)
{
        static const unsigned later[] = {2, 4, 7}; /* the last time behind all who made it one */

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(later); i++) {
                struct crowd crowd;

                crowd_init(&crowd);
                bob_changes(&crowd, 12, EVERY_MS);
                friends_change(&crowd, MOST + 1, AWAY);
                bob_changes(&crowd, later[i], EVERY_MS);
                fake_presence_set(crowd.p, "carla", AWAY, true);
                assert_int_equal(told_within(&crowd, STORM_MS + 2 * TICK_MS), FEW);
                fake_look_free(crowd.f);
        }
}

/* Many who come in a few seconds, not in one */
static void test_slow_storm(void **state)
{
        struct crowd crowd;

        (void)state;
        crowd_init(&crowd);
        bob_changes(&crowd, 12, EVERY_MS);
        fake_presence_set(crowd.p, "carla", AWAY, true);
        for (unsigned i = 0; i < 4; i++) {
                char id[16];

                for (unsigned k = 0; k <= MOST / 4; k++) {
                        (void)snprintf(id, sizeof(id), "friend%u", MANY - 1 - i * 100 - k);
                        fake_presence_set(crowd.p, id, ONLINE, true);
                }
                assert_true(crowd.f->core->looks->telling.storm_until_ms <= crowd.f->core->now_ms);
                fake_advance(crowd.f, 1000);
        }
        assert_true(crowd.f->core->looks->telling.storm_until_ms > crowd.f->core->now_ms);
        fake_look_free(crowd.f);
}

/* More than one piece of news a second for each session is one, too, and hastens those who wait already */
static void test_storm_of_news(void **state)
{
        struct crowd crowd;
        unsigned before;

        (void)state;
        crowd_init(&crowd);
        bob_changes(&crowd, 12, EVERY_MS);
        before = told_of_carla(&crowd);
        fake_presence_set(crowd.p, "carla", AWAY, true);
        bob_changes(&crowd, 13, 250);
        assert_int_equal(told_of_carla(&crowd), before + FEW);
        fake_look_free(crowd.f);
}

/* A watcher who comes, and what is answered of those whom nobody has looked at so far, are no changes */
static void test_watchers_are_no_storm(void **state)
{
        enum { NEW = 2 * MOST };
        static char ids[NEW][16];
        const char *list[NEW];
        struct crowd crowd;

        (void)state;
        crowd_init(&crowd);
        for (unsigned i = 0; i < NEW; i++) {
                (void)snprintf(ids[i], sizeof(ids[i]), "new%u", i);
                list[i] = ids[i];
                fake_presence_set(crowd.p, ids[i], ONLINE, false);
        }
        fake_watch_list(crowd.clients[0], list, NEW);
        fake_advance(crowd.f, 500);
        assert_int_equal(fake_sees(crowd.clients[0], "new0"), ONLINE);
        assert_true(crowd.f->core->looks->telling.storm_until_ms <= crowd.f->core->now_ms);
        fake_look_free(crowd.f);
}

/* Of very many who are looked at a storm is no three hundredths: 3,000 are one in any case */
static void test_storm_of_very_many(void **state)
{
        enum { SEEN = 120000, LIMIT = 3000 };
        static char ids[500][16];
        const char *list[500];
        struct fake_presence *p;
        struct fake *f = fake_look_new(&p);
        struct fake_client *c = NULL;

        (void)state;
        for (unsigned i = 0; i < SEEN; i += 500) {
                char id[16];

                for (unsigned k = 0; k < 500; k++) {
                        (void)snprintf(ids[k], sizeof(ids[k]), "s%u", i + k);
                        list[k] = ids[k];
                }
                (void)snprintf(id, sizeof(id), "u%u", i);
                c = fake_connect(f, id, ENCODING_PROTO);
                fake_watch_list(c, list, 500);
        }
        fake_advance(f, 5000);

        for (unsigned i = 0; i <= LIMIT; i++) {
                char id[16];

                assert_true(f->core->looks->telling.storm_until_ms <= f->core->now_ms);
                (void)snprintf(id, sizeof(id), "s%u", i);
                fake_presence_set(p, id, ONLINE, true);
                fake_run(f);
        }
        assert_true(f->core->looks->telling.storm_until_ms > f->core->now_ms);
        fake_look_free(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_not_held),
                cmocka_unit_test(test_held_when_calm),
                cmocka_unit_test(test_held_longer_with_more),
                cmocka_unit_test(test_not_held_after_silence),
                cmocka_unit_test(test_held_with_much_for_each),
                cmocka_unit_test(test_no_storm),
                cmocka_unit_test(test_storm),
                cmocka_unit_test(test_tail_of_a_storm),
                cmocka_unit_test(test_slow_storm),
                cmocka_unit_test(test_storm_of_news),
                cmocka_unit_test(test_watchers_are_no_storm),
                cmocka_unit_test(test_storm_of_very_many),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
