/* Who may see whom, what is told and what is answered; which of several instances speaks. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "presence/leader.h"
#include "presence_world.h"

static bool may_see(struct world *w, const char *viewer, const char *who)
{
        bool a = people_may_see(&w->roster->people, world_person(w, viewer), world_person(w, who));

        assert_int_equal(a, people_may_see(&w->roster->people, world_person(w, who), world_person(w, viewer)));
        return a;
}

static void test_sharing(void **state)
{
        struct world w;

        (void)state;
        world_init(&w);
        world_member(&w, "ada", "x y z");
        world_member(&w, "bob", "k y");
        world_member(&w, "eve", "k -y");
        world_member(&w, "sue", "-y -z");
        assert_true(may_see(&w, "ada", "bob"));
        assert_true(may_see(&w, "bob", "eve"));
        assert_false(may_see(&w, "ada", "eve"));
        assert_false(may_see(&w, "sue", "eve")); /* both have left y */
        assert_true(may_see(&w, "sue", "sue"));
        assert_false(may_see(&w, "nobody", "ada"));
        world_member(&w, "bob", "k");
        assert_false(may_see(&w, "ada", "bob"));
        assert_int_equal(roster_everyone(w.roster, "y", true), 0);
        assert_true(may_see(&w, "ada", "bob"));
        assert_false(may_see(&w, "ada", "sue")); /* who left it */
        /* Who has just come, and is in no other channel, of whom nothing is known yet */
        assert_true(people_may_see(&w.roster->people, NULL, world_person(&w, "ada")));
        assert_false(people_may_see(&w.roster->people, NULL, world_person(&w, "sue")));
        assert_false(people_may_see(&w.roster->people, world_person(&w, "ada"), NULL));
        assert_int_equal(roster_everyone(w.roster, "y", false), 0);
        assert_false(may_see(&w, "ada", "bob"));
        world_done(&w);
}

/* Of many memberships, made at random: the decision is what comparing each with each says */
static void test_sharing_among_many(void **state)
{
        struct world w;
        bool in[8][12] = {{false}};
        char name[8], list[64];
        unsigned seed = 1, n_shared = 0;

        (void)state;
        world_init(&w);
        for (unsigned round = 0; round < 400; round++) {
                unsigned u = round % 8;

                *list = '\0';
                for (unsigned c = 0; c < 12; c++) {
                        seed = seed * 1103515245 + 12345;
                        in[u][c] = (seed >> 16) % (round % 5 + 2) == 0;
                        if (in[u][c] || (seed >> 20) % 7 == 0) /* or has left it */
                                (void)snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%c ",
                                               in[u][c] ? "" : "-", 'a' + (int)c);
                }
                (void)snprintf(name, sizeof(name), "u%u", u);
                world_member(&w, name, list);
                for (unsigned other = 0; other < 8; other++) {
                        bool shared = u == other;

                        for (unsigned c = 0; c < 12; c++)
                                shared = shared || (in[u][c] && in[other][c]);
                        (void)snprintf(list, sizeof(list), "u%u", other);
                        if (world_person(&w, name) && world_person(&w, list))
                                assert_int_equal(may_see(&w, name, list), shared);
                        n_shared += shared;
                }
        }
        assert_in_range(n_shared, 500, 2500);
        world_done(&w);
}

static double cpu_s(void)
{
        return (double)clock() / CLOCKS_PER_SEC;
}

static void join_many(struct world *w, const char *user, unsigned from, unsigned n, unsigned step)
{
        Parley__V1__Memberships list = PARLEY__V1__MEMBERSHIPS__INIT;
        Parley__V1__Membership *m = calloc(n, sizeof(*m)), **pointers = calloc(n, sizeof(*pointers));
        char(*names)[24] = calloc(n, sizeof(*names));

        list.memberships = pointers;
        for (list.n_memberships = 0; list.n_memberships < n; list.n_memberships++) {
                size_t i = list.n_memberships;

                (void)snprintf(names[i], sizeof(names[i]), "c%zu", from + i * step);
                parley__v1__membership__init(&m[i]);
                m[i].role = PARLEY__V1__ROLE__member;
                m[i].channel_id = names[i];
                pointers[i] = &m[i];
        }
        assert_int_equal(roster_memberships(w->roster, user, &list), 0);
        free(m);
        free((void *)pointers);
        free(names);
}

/* Somebody who is in thousands of channels asks for many who are in one: that is no more work than for one who is in one himself. (With a walk
 * over all of his channels it takes about a hundred times as long.) */
static void test_many_channels_cost_little(void **state)
{
        enum { TIMES = 200000, CHANNELS = 4000 };
        struct world w;
        const struct person *all, *few, *other;
        double began, plain, much;
        unsigned seen = 0;

        (void)state;
        world_init(&w);
        join_many(&w, "all", 0, CHANNELS, 1);
        join_many(&w, "few", CHANNELS, 1, 1);
        join_many(&w, "other", CHANNELS + 1, 1, 1); /* above all of them: found by the end of a walk */
        all = world_person(&w, "all"), few = world_person(&w, "few"), other = world_person(&w, "other");
        began = cpu_s();
        for (unsigned i = 0; i < TIMES; i++)
                seen += people_may_see(&w.roster->people, few, other);
        plain = cpu_s() - began;
        began = cpu_s();
        for (unsigned i = 0; i < TIMES; i++)
                seen += people_may_see(&w.roster->people, all, other);
        much = cpu_s() - began;
        assert_int_equal(seen, 0);
        assert_true(much < 40 * plain + 0.05);
        world_done(&w);
}

/* The count of a channel open to everyone, which many have left, whoever is there, and at no more cost than another */
static void test_count_without_those_who_left(void **state)
{
        enum { USERS = 20000, TIMES = 20000 };
        struct world w;
        const struct place *c;
        char user[16];
        double began;
        uint64_t sum = 0;

        (void)state;
        world_init(&w);
        assert_int_equal(roster_everyone(w.roster, "all", true), 0);
        for (unsigned i = 0; i < USERS; i++) {
                (void)snprintf(user, sizeof(user), "u%u", i);
                world_member(&w, user, i % 4 == 0 ? "-all" : "x");
                if (i % 2 == 0)
                        world_tell(&w, "gw0", 7, 1 + i / 2, user, 1, true);
        }
        c = people_place(&w.roster->people, "all");
        assert_int_equal(people_members(&w.roster->people, c), USERS * 3 / 4);
        assert_int_equal(people_members_online(&w.roster->people, c), USERS / 4);
        world_tell(&w, "gw1", 7, 1, "u1", 1, true); /* comes */
        world_member(&w, "u2", "-all");             /* leaves while he is there */
        world_member(&w, "u0", "all");              /* comes back */
        world_tell(&w, "gw0", 8, 1, "u4", 1,
                   true); /* all others of this gateway are gone, of those who had left and of those who had not */
        world_pass(&w, 10200);
        assert_int_equal(people_members(&w.roster->people, c), USERS * 3 / 4);
        assert_int_equal(people_members_online(&w.roster->people, c), 1); /* u1: u4 has left it */
        began = cpu_s();
        for (unsigned i = 0; i < TIMES; i++)
                sum += people_members_online(&w.roster->people, c);
        assert_int_equal(sum, TIMES);
        assert_true(cpu_s() - began < 0.2); /* a walk over all users would be several seconds */
        world_done(&w);
}

static enum parley_code ask(struct world *w, const char *viewer, const char *const *users, size_t n,
                            const char *channel, struct answer *ret)
{
        Parley__V1__PresenceQuery q = PARLEY__V1__PRESENCE_QUERY__INIT;
        const char *why;

        q.viewer_id = (char *)viewer;
        q.user_ids = (char **)users;
        q.n_user_ids = n;
        q.channel_id = (char *)channel;
        return roster_query(w->roster, &q, ret, &why);
}

static void test_query(void **state)
{
        const char *names[] = {"bob", "eve", "nobody", "ada"}, *many[501];
        struct world w;
        struct answer a;

        (void)state;
        world_init(&w);
        world_member(&w, "ada", "x");
        world_member(&w, "bob", "x");
        world_member(&w, "eve", "y");
        world_tell(&w, "gw0", 7, 1, "bob", 4, true);
        assert_int_equal(ask(&w, "ada", names, 4, "", &a), PARLEY_OK);
        assert_int_equal(a.message.n_users, 2);
        assert_string_equal(a.message.users[0]->user->user_id, "bob");
        assert_int_equal(a.message.users[0]->user->availability, PARLEY__V1__USER_PRESENCE__AVAILABILITY__online);
        assert_int_equal(a.message.users[0]->user->devices[0], PARLEY__V1__DEVICE__mobile);
        assert_int_equal(a.message.n_hidden_user_ids, 2);
        assert_string_equal(a.message.hidden_user_ids[0], "eve");
        assert_string_equal(a.message.hidden_user_ids[1], "nobody");
        answer_done(&a);
        assert_int_equal(ask(&w, "", names, 4, "", &a), PARLEY_OK); /* a service sees all that there is */
        assert_int_equal(a.message.n_users, 3);
        answer_done(&a);
        for (unsigned i = 0; i < 501; i++)
                many[i] = "ada";
        assert_int_equal(ask(&w, "ada", many, 501, "", &a), PARLEY_TOO_LARGE);
        assert_int_equal(ask(&w, "ada", (const char *const[]){"a.b"}, 1, "", &a), PARLEY_BAD_REQUEST);
        assert_int_equal(ask(&w, "ada", NULL, 0, "y", &a), PARLEY_NOT_A_MEMBER);
        assert_int_equal(ask(&w, "ada", NULL, 0, "no such", &a), PARLEY_BAD_REQUEST);
        assert_int_equal(ask(&w, "ada", NULL, 0, "x", &a), PARLEY_OK);
        assert_int_equal(a.message.members, 2);
        assert_int_equal(a.message.online, 1);
        assert_int_equal(a.message.n_users, 2);
        assert_false(a.message.counted);
        answer_done(&a);
        world_done(&w);
}

/* Above list_max (3) a channel has a count, told at most every 5 s */
static void test_counts(void **state)
{
        struct world w;
        struct tidings t;
        struct answer a;
        char user[16];

        (void)state;
        world_init(&w);
        assert_int_equal(tidings_init(&t, 100), 0);
        for (unsigned i = 0; i < 10; i++) {
                (void)snprintf(user, sizeof(user), "u%u", i);
                world_member(&w, user, "big");
        }
        roster_discard(w.roster);
        world_tell(&w, "gw0", 7, 1, "u0", 1, true);
        assert_true(roster_changes(w.roster, &t));
        assert_int_equal(t.message.n_changes, 1);
        assert_int_equal(t.message.n_counts, 1);
        assert_int_equal(t.message.counts[0]->online, 1);
        assert_int_equal(t.message.counts[0]->members, 10);
        world_tell(&w, "gw0", 7, 2, "u1", 1, true);
        world_pass(&w, 4800);
        assert_true(roster_changes(w.roster, &t));
        assert_int_equal(t.message.n_counts, 0);
        world_pass(&w, 300);
        assert_true(roster_changes(w.roster, &t));
        assert_int_equal(t.message.n_changes, 0);
        assert_int_equal(t.message.counts[0]->online, 2);
        assert_false(roster_changes(w.roster, &t));
        assert_int_equal(ask(&w, "u3", NULL, 0, "big", &a), PARLEY_OK);
        assert_true(a.message.counted);
        assert_int_equal(a.message.n_users, 0);
        assert_int_equal(a.message.online, 2);
        answer_done(&a);
        tidings_done(&t);
        world_done(&w);
}

/* A user who changes often is told once, as he is last; a change of membership is told, too */
static void test_coalesced(void **state)
{
        struct world w;
        struct tidings t;

        (void)state;
        world_init(&w);
        assert_int_equal(tidings_init(&t, 2), 0);
        world_member(&w, "ada", "x");
        roster_discard(w.roster);
        for (unsigned i = 0; i < 50; i++)
                world_tell(&w, "gw0", 7, 1 + i, "ada", 1, i % 2);
        world_member(&w, "ada", "x y");
        assert_true(roster_changes(w.roster, &t));
        assert_int_equal(t.message.n_changes, 1);
        assert_int_equal(t.message.changes[0]->user->availability, PARLEY__V1__USER_PRESENCE__AVAILABILITY__online);
        assert_int_equal(t.message.n_regrouped, 1);
        assert_string_equal(t.message.regrouped[0], "ada");
        assert_false(roster_changes(w.roster, &t));
        for (unsigned i = 0; i < 5; i++) /* more than go into one message */
                world_tell(&w, "gw1", 7, 1 + i, (const char *const[]){"a", "b", "c", "d", "e"}[i], 1, true);
        for (unsigned i = 0; i < 3; i++) {
                assert_true(roster_changes(w.roster, &t));
                assert_int_equal(t.message.n_changes, i < 2 ? 2 : 1);
        }
        assert_false(roster_changes(w.roster, &t));
        tidings_done(&t);
        world_done(&w);
}

/* Whom one may see changes for all when a channel is opened to everyone, or closed: it is told once, to those who asked before */
static void test_opened_to_everyone(void **state)
{
        struct world w;
        struct tidings t;

        (void)state;
        world_init(&w);
        assert_int_equal(tidings_init(&t, 10), 0);
        assert_int_equal(roster_everyone(w.roster, "x", true), 0);
        roster_discard(w.roster);
        assert_int_equal(roster_everyone(w.roster, "x", true), 0);
        assert_false(roster_changes(w.roster, &t)); /* it was so before */
        for (unsigned i = 0; i < 2; i++) {
                assert_int_equal(roster_everyone(w.roster, "x", i), 0);
                assert_true(roster_changes(w.roster, &t));
                assert_true(t.message.regrouped_all);
                roster_told(w.roster, &t);
                assert_false(roster_changes(w.roster, &t));
        }
        tidings_done(&t);
        world_done(&w);
}

/* Who comes and goes while it is open to everyone is not counted as its member; that begins again when it is closed */
static void test_count_after_everyone(void **state)
{
        Parley__V1__PresenceQuery q = PARLEY__V1__PRESENCE_QUERY__INIT;
        struct world w;
        struct answer a;
        const char *why = NULL;

        (void)state;
        world_init(&w);
        w.roster->options.grace_ms = 0;
        world_member(&w, "ada", "x");
        world_member(&w, "bob", "x");
        world_member(&w, "carla", "x");
        world_tell(&w, "gw0", 7, 1, "ada", 1, true);
        assert_int_equal(roster_everyone(w.roster, "x", true), 0);
        world_tell(&w, "gw0", 7, 2, "bob", 1, true);
        world_tell(&w, "gw0", 7, 3, "carla", 1, true);
        assert_int_equal(roster_everyone(w.roster, "x", false), 0);
        world_tell(&w, "gw0", 7, 4, "carla", 0, true);
        world_pass(&w, 200);
        q.channel_id = (char *)"x";
        assert_int_equal(roster_query(w.roster, &q, &a, &why), PARLEY_OK);
        assert_int_equal(a.message.members, 3);
        assert_int_equal(a.message.online, 2);
        answer_done(&a);
        world_done(&w);
}

static void test_leader(void **state)
{
        struct leader a, b;

        (void)state;
        leader_init(&a, "0001-a", 1000, 1500);
        leader_init(&b, "0002-b", 1000, 1500);
        assert_false(leader_tick(&a, 2400, true));
        assert_false(leader_tick(&a, 2600, false)); /* nothing to say yet */
        assert_true(leader_tick(&a, 2600, true));
        assert_true(leader_heard(&b, "0001-a", 2650));
        assert_false(leader_tick(&b, 5600, true));
        assert_true(leader_tick(&b, 5700, true));       /* a is silent */
        assert_false(leader_heard(&a, "0002-b", 5750)); /* it was only cut off: it comes first */
        assert_true(leader_tick(&a, 5800, true));
        assert_true(leader_heard(&b, "0001-a", 5850));
        assert_false(leader_tick(&b, 5900, true));
        assert_false(leader_heard(&a, "0001-a", 5900)); /* itself */
        assert_true(leader_tick(&a, 5900, true));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_sharing),
                cmocka_unit_test(test_sharing_among_many),
                cmocka_unit_test(test_many_channels_cost_little),
                cmocka_unit_test(test_count_without_those_who_left),
                cmocka_unit_test(test_query),
                cmocka_unit_test(test_counts),
                cmocka_unit_test(test_coalesced),
                cmocka_unit_test(test_opened_to_everyone),
                cmocka_unit_test(test_count_after_everyone),
                cmocka_unit_test(test_leader),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
