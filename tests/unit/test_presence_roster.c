/* Who is here: connections, grace, gateways that die, what users say of themselves. */
#include <stdio.h>

#include "presence/status.h"
#include "presence_world.h"

#define SHOWN(x) PARLEY__V1__USER_PRESENCE__AVAILABILITY__##x

static void test_grace(void **state)
{
        struct world *w = *state;

        world_tell(w, "gw0", 7, 1, "ada", 1, true);
        assert_int_equal(world_shown(w, "ada"), SHOWN(online));
        roster_discard(w->roster);
        world_tell(w, "gw0", 7, 2, "ada", 0, false);
        world_pass(w, 9800);
        world_tell(w, "gw0", 7, 3, "ada", 1, true); /* back in time: nobody has seen anything */
        world_pass(w, 15000);
        assert_int_equal(w->roster->n_dirty, 0);
        world_tell(w, "gw0", 7, 4, "ada", 0, false);
        world_pass(w, 9800);
        assert_int_equal(world_shown(w, "ada"), SHOWN(online));
        world_pass(w, 400);
        assert_int_equal(world_shown(w, "ada"), SHOWN(offline));
        assert_int_equal(w->roster->n_dirty, 1);
        assert_int_equal(w->n_stored, 1);
        assert_string_equal(w->stored[0], "ada");
}

static void test_devices(void **state)
{
        struct world *w = *state;

        world_tell(w, "gw0", 7, 1, "ada", 1, false);
        assert_int_equal(world_shown(w, "ada"), SHOWN(away));
        world_tell(w, "gw1", 9, 1, "ada", 4, true);
        assert_int_equal(world_shown(w, "ada"), SHOWN(online));
        assert_int_equal(world_person(w, "ada")->shown_devices, 5);
        world_tell(w, "gw1", 9, 2, "ada", 0, false); /* the one in use is gone, the other one remains */
        world_pass(w, 10200);
        assert_int_equal(world_shown(w, "ada"), SHOWN(away));
        assert_int_equal(world_person(w, "ada")->shown_devices, 1);
}

static void test_gateway_dies(void **state)
{
        struct world *w = *state;

        world_tell(w, "gw0", 7, 1, "ada", 1, true);
        world_tell(w, "gw1", 9, 1, "bob", 1, true);
        for (unsigned i = 0; i < 4; i++) {
                world_pass(w, 8000);
                world_tell(w, "gw1", 9, 2 + i, NULL, 0, false);
        }
        assert_int_equal(world_shown(w, "ada"), SHOWN(offline));
        assert_int_equal(world_shown(w, "bob"), SHOWN(online));
        assert_int_equal(world_person(w, "ada") ? world_person(w, "ada")->held & PERSON_DEVICES : 0, 0);
        /* it was only paused: it goes on with its count, and is asked for everything */
        w->asked = 0;
        world_tell(w, "gw0", 7, 2, NULL, 0, false);
        assert_int_equal(w->asked, 1);
        world_snapshot(w, "gw0", 7, 3, (const char *const[]){"ada"}, 1);
        assert_int_equal(world_shown(w, "ada"), SHOWN(online));
        assert_true(sources_settled(&w->roster->sources));
}

static void test_restarted_under_its_name(void **state)
{
        struct world *w = *state;

        world_tell(w, "gw0", 7, 1, "ada", 1, true);
        world_tell(w, "gw0", 7, 2, "bob", 1, true);
        world_tell(w, "gw0", 8, 1, "bob", 1, true); /* another process: ada was not seen by it */
        world_tell(w, "gw0", 7, 3, "ada", 1, true); /* a late word of the first one */
        world_pass(w, 10200);
        assert_int_equal(world_shown(w, "ada"), SHOWN(offline));
        assert_int_equal(world_shown(w, "bob"), SHOWN(online));
}

/* The clock went back between two processes of one name: the second one has the lower epoch, and is the one that answers */
static void test_restarted_with_the_clock_set_back(void **state)
{
        struct world *w = *state;

        world_tell(w, "gw0", 7000, 1, "ada", 1, true);
        world_pass(w, 1000);
        w->asked = 0;
        world_tell(w, "gw0", 5000, 1, "bob", 1, true);
        assert_int_equal(w->asked, 1);
        world_snapshot(w, "gw0", 5000, 2, (const char *const[]){"bob"}, 1);
        assert_true(sources_settled(&w->roster->sources));
        assert_int_equal(world_shown(w, "bob"), SHOWN(online));
        world_pass(w, 10200);
        assert_int_equal(world_shown(w, "ada"), SHOWN(offline));
        world_tell(w, "gw0", 5000, 3, "eve", 1, true);
        assert_int_equal(world_shown(w, "eve"), SHOWN(online));
}

/* It had answered just before it was gone: whoever is heard then is asked all the same, and not ten seconds later */
static void test_restarted_behind_an_answer(void **state)
{
        struct world *w = *state;

        world_tell(w, "gw0", 7000, 1, "ada", 1, true);
        world_pass(w, 1000);
        world_tell(w, "gw0", 7000, 3, NULL, 0, false);
        world_snapshot(w, "gw0", 7000, 4, (const char *const[]){"ada"}, 1);
        world_pass(w, 200);
        w->asked = 0;
        world_tell(w, "gw0", 5000, 1, "bob", 1, true);
        assert_int_equal(w->asked, 1);
        world_snapshot(w, "gw0", 5000, 2, (const char *const[]){"bob"}, 1);
        assert_int_equal(world_shown(w, "bob"), SHOWN(online));
}

/* Two gateways that were given one name by mistake, each with a user */
struct twin {
        uint64_t epoch, counter, told_ms;
        const char *user; /* NULL: he has left */
        bool wanted;
};

static void twins_turn(struct world *w, struct twin *twins)
{
        if (w->gateways[0].wanted)
                twins[0].wanted = twins[1].wanted = true;
        w->gateways[0].wanted = false;
        for (unsigned i = 0; i < 2; i++) {
                struct twin *t = &twins[i];

                if (t->wanted)
                        world_snapshot(w, "gw0", t->epoch, ++t->counter, &t->user, t->user != NULL);
                else if (w->now_ms - t->told_ms >= 10000)
                        world_tell(w, "gw0", t->epoch, ++t->counter, NULL, 0, false);
                else
                        continue;
                t->wanted = false;
                t->told_ms = w->now_ms;
        }
        world_pass(w, 1000);
}

/* Those of the one that began last are there, and go when they go; and the words of the other one are not a new question each time */
static void test_two_of_one_name(void **state)
{
        struct world *w = *state;
        struct twin twins[] = {{.epoch = 7, .user = "ada"}, {.epoch = 8, .user = "bob", .told_ms = 5000}};

        for (unsigned i = 0; i < 2; i++)
                world_tell(w, "gw0", twins[i].epoch, ++twins[i].counter, twins[i].user, 1, true);
        w->asked = 0;
        for (unsigned i = 0; i < 120; i++) {
                twins_turn(w, twins);
                assert_int_equal(world_shown(w, "bob"), SHOWN(online));
        }
        assert_in_range(w->asked, 1, 13);
        twins[1].user = NULL;
        world_tell(w, "gw0", 8, ++twins[1].counter, "bob", 0, false);
        for (unsigned i = 0; i < 25; i++)
                twins_turn(w, twins);
        assert_int_equal(world_shown(w, "bob"), SHOWN(offline));
        w->gateways[0].wanted = false;
        for (unsigned i = 0; i < 61; i++) { /* the one that began last ends, as by a signal */
                if (!i)
                        world_tell(w, "gw0", 7, ++twins[0].counter, NULL, 0, false);
                world_pass(w, 1000);
                if (w->gateways[0].wanted || i % 10 == 9)
                        world_snapshot(w, "gw0", 7, ++twins[0].counter, &twins[0].user, 1);
                w->gateways[0].wanted = false;
        }
        assert_int_equal(world_shown(w, "ada"), SHOWN(online));
}

/* It is only late: the one that lives goes on */
static void test_late_words_of_the_one_before(void **state)
{
        struct world *w = *state;

        world_tell(w, "gw0", 8, 1, "bob", 1, true);
        world_snapshot(w, "gw0", 7, 5, (const char *const[]){"ada"}, 1); /* not asked for */
        assert_int_equal(world_shown(w, "ada"), SHOWN(offline));
        world_tell(w, "gw0", 8, 2, NULL, 0, false);
        world_snapshot(w, "gw0", 7, 6, (const char *const[]){"ada"}, 1); /* the answer came from the other one */
        assert_int_equal(world_shown(w, "ada"), SHOWN(offline));
        assert_int_equal(world_shown(w, "bob"), SHOWN(online));
}

static void test_gap(void **state)
{
        struct world *w = *state;

        world_tell(w, "gw0", 7, 1, "ada", 1, true);
        world_tell(w, "gw0", 7, 2, "bob", 1, true);
        w->asked = 0;
        world_tell(w, "gw0", 7, 4, "eve", 1, true); /* 3 is lost: ada left */
        assert_int_equal(w->asked, 1);
        assert_false(sources_settled(&w->roster->sources));
        assert_int_equal(world_shown(w, "eve"), SHOWN(online)); /* what came is true all the same */
        world_pass(w, 600);
        assert_int_equal(w->asked, 2);               /* nobody answered */
        world_tell(w, "gw0", 7, 3, "ada", 0, false); /* too late: what follows may contradict it */
        world_snapshot(w, "gw0", 7, 5, (const char *const[]){"bob", "eve"}, 2);
        assert_true(sources_settled(&w->roster->sources));
        world_pass(w, 10200);
        assert_int_equal(world_shown(w, "ada"), SHOWN(offline));
        assert_int_equal(world_shown(w, "bob"), SHOWN(online));
}

static void test_first_heard_in_the_middle(void **state)
{
        struct world *w = *state;

        world_tell(w, "gw0", 7, 50, NULL, 0, false);
        assert_int_equal(w->asked, 1);
        world_snapshot(w, "gw0", 7, 51, (const char *const[]){"ada"}, 1);
        assert_int_equal(world_shown(w, "ada"), SHOWN(online));
        roster_alive(w->roster, "gw1"); /* one that lives and was not heard yet */
        assert_int_equal(w->asked, 2);
}

static void test_drained(void **state)
{
        struct world *w = *state;
        Parley__V1__GatewayPresence m = PARLEY__V1__GATEWAY_PRESENCE__INIT;

        world_tell(w, "gw0", 7, 1, "ada", 1, true);
        m.gateway_id = (char *)"gw0";
        m.epoch = 7;
        m.counter = 2;
        m.stopping = true;
        assert_int_equal(roster_report(w->roster, &m), 0);
        world_tell(w, "gw1", 9, 1, "ada", 1, true);
        world_pass(w, 20000);
        assert_int_equal(world_shown(w, "ada"), SHOWN(online));
}

static void test_bad_messages(void **state)
{
        struct world *w = *state;
        Parley__V1__GatewayPresence m = PARLEY__V1__GATEWAY_PRESENCE__INIT;
        Parley__V1__GatewayUser u = PARLEY__V1__GATEWAY_USER__INIT, *users = &u;
        char id[16];

        m.gateway_id = (char *)"no.id";
        assert_int_equal(roster_report(w->roster, &m), -22);
        m.gateway_id = (char *)"gw0";
        m.counter = m.epoch = m.n_users = 1;
        m.users = &users;
        u.user_id = (char *)"*";
        assert_int_equal(roster_report(w->roster, &m), -22);
        for (unsigned i = 0; i < 20; i++) { /* no more gateways than are allowed */
                (void)snprintf(id, sizeof(id), "gw%u", i);
                roster_alive(w->roster, id);
        }
        assert_int_equal(HASH_COUNT(w->roster->sources.by_id), 8);
        assert_int_equal(w->roster->sources.n_refused, 12);
}

static void set_status(struct world *w, const char *user, Parley__V1__Status__Mode mode, int64_t until_s,
                       const char *text)
{
        Parley__V1__Status s = PARLEY__V1__STATUS__INIT;
        Google__Protobuf__Timestamp t = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

        s.mode = mode;
        t.seconds = until_s;
        s.mode_until = until_s ? &t : NULL;
        s.text = (char *)text;
        assert_int_equal(roster_status(w->roster, user, &s), 0);
}

static void test_status(void **state)
{
        struct world *w = *state;
        int64_t now = WORLD_START_S + (int64_t)(w->now_ms / 1000);

        world_tell(w, "gw0", 7, 1, "ada", 1, true);
        set_status(w, "ada", PARLEY__V1__STATUS__MODE__dnd, now + 20, "");
        assert_int_equal(world_shown(w, "ada"), SHOWN(dnd));
        world_pass(w, 21000);
        world_tell(w, "gw0", 7, 2, NULL, 0, false);
        assert_int_equal(world_shown(w, "ada"), SHOWN(online));
        set_status(w, "ada", PARLEY__V1__STATUS__MODE__invisible, 0, "");
        assert_int_equal(world_shown(w, "ada"), SHOWN(offline));
        set_status(w, "ada", PARLEY__V1__STATUS__MODE__away, 0, "");
        assert_int_equal(world_shown(w, "ada"), SHOWN(away));
        roster_discard(w->roster);
        set_status(w, "ada", PARLEY__V1__STATUS__MODE__away, 0, "");
        assert_int_equal(w->roster->n_dirty, 0); /* said twice */
        set_status(w, "ada", PARLEY__V1__STATUS__MODE__away, 0, "lunch");
        assert_int_equal(w->roster->n_dirty, 1);
}

/* A text ends by itself, and leaves nothing behind, not even the one who said it */
static void test_text_ends(void **state)
{
        struct world *w = *state;
        Parley__V1__Status s = PARLEY__V1__STATUS__INIT;
        Google__Protobuf__Timestamp t = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        struct tidings news;

        assert_int_equal(tidings_init(&news, 10), 0);
        t.seconds = WORLD_START_S + (int64_t)(w->now_ms / 1000) + 20;
        s.text = (char *)"lunch";
        s.emoji = (char *)":fork:";
        s.text_until = &t;
        assert_int_equal(roster_status(w->roster, "ada", &s), 0);
        world_pass(w, 19000);
        assert_true(roster_changes(w->roster, &news));
        assert_string_equal(news.message.changes[0]->user->status_text, "lunch");
        assert_int_equal(news.message.changes[0]->user->status_until->seconds, t.seconds);
        roster_told(w->roster, &news);
        world_pass(w, 2100);
        assert_true(roster_changes(w->roster, &news));
        assert_int_equal(news.message.n_changes, 1);
        assert_string_equal(news.message.changes[0]->user->status_text, "");
        assert_string_equal(news.message.changes[0]->user->status_emoji, "");
        assert_null(news.message.changes[0]->user->status_until);
        roster_told(w->roster, &news);
        assert_null(world_person(w, "ada"));
        tidings_done(&news);
}

/* When he was here last is told, unless he does not want it, or nobody is to know */
static void test_last_seen_is_hidden(void **state)
{
        struct world *w = *state;
        Parley__V1__Status s = PARLEY__V1__STATUS__INIT;
        struct tidings t;

        assert_int_equal(tidings_init(&t, 10), 0);
        world_tell(w, "gw0", 7, 1, "ada", 1, true);
        world_tell(w, "gw0", 7, 2, "ada", 0, true);
        world_pass(w, 11000);
        for (unsigned i = 0; i < 3; i++) {
                s.hide_last_seen = i == 1;
                s.text = (char *)(i == 0 ? "a" : i == 1 ? "b" : "c");
                w->roster->options.last_seen = i != 2;
                assert_int_equal(roster_status(w->roster, "ada", &s), 0);
                assert_true(roster_changes(w->roster, &t));
                assert_int_equal(t.message.changes[0]->user->last_seen_at != NULL, i == 0);
                roster_told(w->roster, &t);
        }
        tidings_done(&t);
}

/* That an invisible one comes and goes is told to him alone: gateways know it, and others see no change */
static void test_invisible_comes(void **state)
{
        struct world *w = *state;
        struct tidings t;

        assert_int_equal(tidings_init(&t, 10), 0);
        set_status(w, "ada", PARLEY__V1__STATUS__MODE__invisible, 0, "");
        assert_true(roster_changes(w->roster, &t));
        roster_told(w->roster, &t);
        for (unsigned i = 0; i < 2; i++) {
                unsigned devices = 1 - i;

                world_tell(w, "gw0", 7, 1 + i, "ada", devices, true);
                world_pass(w, 10200);
                assert_true(roster_changes(w->roster, &t));
                assert_int_equal(t.message.n_changes, 1);
                assert_int_equal(t.message.changes[0]->invisible, devices != 0);
                assert_int_equal(t.message.changes[0]->user->availability, SHOWN(offline));
                assert_false(t.shown[0].news);
                roster_told(w->roster, &t);
        }
        world_tell(w, "gw0", 7, 3, "ada", 1, true);
        set_status(w, "ada", PARLEY__V1__STATUS__MODE__automatic, 0, "");
        assert_true(roster_changes(w->roster, &t));
        assert_true(t.shown[0].news);
        assert_false(t.message.changes[0]->invisible);
        tidings_done(&t);
}

/* Forgotten is everybody of whom nothing is left */
static void test_memory_comes_back(void **state)
{
        struct world *w = *state;
        char user[16];

        for (unsigned i = 0; i < 100; i++) {
                (void)snprintf(user, sizeof(user), "u%u", i);
                world_member(w, user, "a b");
                world_member(w, user, "");
                world_tell(w, "gw0", 7, 1 + i, user, 0, false);
        }
        roster_discard(w->roster);
        assert_int_equal(HASH_COUNT(w->roster->people.by_id), 0);
        assert_int_equal(HASH_COUNT(w->roster->people.places), 0);
        assert_true(w->roster->people.n_persons <= 100);
}

/* The same while changes are told: whoever has nothing left is forgotten behind the telling of it, and so is his channel */
static void test_memory_comes_back_while_leading(void **state)
{
        struct world *w = *state;
        struct tidings t;
        char user[16];

        assert_int_equal(tidings_init(&t, 500), 0);
        for (unsigned i = 0; i < 100; i++) {
                (void)snprintf(user, sizeof(user), "u%u", i);
                world_member(w, user, "a big");
                world_tell(w, "gw0", 7, 1 + i, user, 1, true); /* its count is to be told */
        }
        world_pass(w, 5000);
        assert_true(roster_changes(w->roster, &t));
        roster_told(w->roster, &t);
        w->roster->options.last_seen = false;
        for (unsigned i = 0; i < 100; i++) {
                (void)snprintf(user, sizeof(user), "u%u", i);
                world_tell(w, "gw0", 7, 101 + i, user, 0, false);
        }
        world_pass(w, 10200);
        for (unsigned i = 0; i < 100; i++) {
                (void)snprintf(user, sizeof(user), "u%u", i);
                world_member(w, user, "");
        }
        assert_int_equal(HASH_COUNT(w->roster->people.by_id), 100); /* that they went is still to be told */
        assert_int_equal(HASH_COUNT(w->roster->people.places), 2);
        assert_true(roster_changes(w->roster, &t));
        assert_int_equal(t.message.n_changes, 100);
        assert_int_equal(t.message.n_regrouped, 100);
        roster_told(w->roster, &t);
        assert_int_equal(HASH_COUNT(w->roster->people.by_id), 0);
        assert_int_equal(HASH_COUNT(w->roster->people.places), 0);
        tidings_done(&t);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_grace, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_devices, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_gateway_dies, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_restarted_under_its_name, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_restarted_with_the_clock_set_back, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_restarted_behind_an_answer, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_two_of_one_name, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_late_words_of_the_one_before, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_gap, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_first_heard_in_the_middle, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_drained, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_bad_messages, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_status, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_invisible_comes, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_text_ends, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_last_seen_is_hidden, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_memory_comes_back, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_memory_comes_back_while_leading, world_setup, world_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
