/* Time in which nobody could be heard: this process stood still, NATS was away, or the wall clock was set. */
#include "presence/status.h"
#include "presence_world.h"

#define SHOWN(x) PARLEY__V1__USER_PRESENCE__AVAILABILITY__##x

static bool jump(struct world *w, uint64_t ms)
{
        w->now_ms += ms;
        return roster_time(w->roster, w->now_ms, WORLD_START_S + (int64_t)(w->now_ms / 1000));
}

/* Nobody was silent but we ourselves; that bob closed and came back waits to be read */
static void test_we_stood_still(void **state)
{
        struct world *w = *state;

        world_tell(w, "gw0", 7, 1, "ada", 1, true);
        world_tell(w, "gw0", 7, 2, "bob", 1, true);
        world_tell(w, "gw0", 7, 3, "bob", 0, true);
        world_pass(w, 9900);
        roster_discard(w->roster);
        w->asked = 0;
        assert_true(jump(w, 40000));
        assert_false(sources_settled(&w->roster->sources));
        assert_int_equal(w->asked, 1);
        world_pass(w, 1000);
        assert_int_equal(world_shown(w, "bob"), SHOWN(online));
        world_snapshot(w, "gw0", 7, 4, (const char *const[]){"ada", "bob"}, 2);
        assert_true(sources_settled(&w->roster->sources));
        world_pass(w, 20000);
        assert_int_equal(world_shown(w, "ada"), SHOWN(online));
        assert_int_equal(world_shown(w, "bob"), SHOWN(online));
        assert_int_equal(w->roster->n_dirty, 0);
        assert_int_equal(w->n_stored, 0);
        world_pass(w, 12000); /* now it is silent */
        assert_int_equal(world_shown(w, "ada"), SHOWN(offline));
}

/* A turn that takes long is none */
static void test_a_slow_turn(void **state)
{
        struct world *w = *state;

        world_tell(w, "gw0", 7, 1, "ada", 1, true);
        assert_false(jump(w, 1900));
        assert_true(sources_settled(&w->roster->sources));
}

static void test_nats_is_away(void **state)
{
        struct world *w = *state;

        world_tell(w, "gw0", 7, 1, "ada", 1, true);
        world_tell(w, "gw0", 7, 2, "bob", 1, true);
        world_tell(w, "gw0", 7, 3, "bob", 0, true);
        world_pass(w, 2200);
        assert_true(roster_known(w->roster));
        roster_deaf(w->roster);
        world_pass(w, 60000);
        assert_false(roster_known(w->roster));
        w->asked = 0;
        roster_doubt(w->roster, true);
        assert_int_equal(w->asked, 1);
        world_pass(w, 1400);
        assert_int_equal(world_shown(w, "ada"), SHOWN(online));
        world_snapshot(w, "gw0", 7, 4, (const char *const[]){"ada"}, 1); /* bob did not come back */
        world_pass(w, 7500);
        assert_int_equal(world_shown(w, "bob"), SHOWN(online)); /* his grace goes on where it stood */
        world_pass(w, 1000);
        assert_int_equal(world_shown(w, "bob"), SHOWN(offline));
        assert_int_equal(world_shown(w, "ada"), SHOWN(online));
}

/* Whoever asks is told what there is, not what came in so far; one that never answers does not hinder that for ever */
static void test_known(void **state)
{
        struct world *w = *state;

        assert_false(roster_known(w->roster));
        world_tell(w, "gw0", 7, 1, "ada", 1, true);
        assert_false(roster_known(w->roster)); /* others may not have been heard of yet */
        world_pass(w, 2100);
        assert_false(roster_known(w->roster));
        world_pass(w, 100);
        assert_true(roster_known(w->roster));
        roster_doubt(w->roster, false);
        world_pass(w, 2900);
        assert_false(roster_known(w->roster)); /* asked, and silent */
        world_pass(w, 200);
        assert_true(roster_known(w->roster));
}

/* It has just begun, and did not reach a gateway that is slow with its question: it is heard of by its own sign of life, and waited for. Its
 * users would be told as offline, and come back. */
static void test_a_slow_gateway_at_the_start(void **state)
{
        struct world *w = *state;

        world_pass(w, 500);
        roster_doubt(w->roster, true); /* NATS is there */
        world_snapshot(w, "gw0", 7, 1, (const char *const[]){"ada"}, 1);
        world_pass(w, 2000);
        assert_false(roster_known(w->roster));
        roster_alive(w->roster, "gw1");
        world_pass(w, 500);
        assert_false(roster_known(w->roster));
        world_snapshot(w, "gw1", 9, 1, (const char *const[]){"bob"}, 1);
        assert_true(roster_known(w->roster));
        world_pass(w, 100);
        roster_doubt(w->roster, true); /* later all of them are known, and asked */
        world_snapshot(w, "gw0", 7, 2, (const char *const[]){"ada"}, 1);
        world_snapshot(w, "gw1", 9, 2, (const char *const[]){"bob"}, 1);
        world_pass(w, 1300);
        assert_false(roster_known(w->roster));
        world_pass(w, 200);
        assert_true(roster_known(w->roster));
}

/* One that said goodbye is not asked, nor waited for */
static void test_one_has_stopped(void **state)
{
        Parley__V1__GatewayPresence m = PARLEY__V1__GATEWAY_PRESENCE__INIT;
        struct world *w = *state;

        world_tell(w, "gw0", 7, 1, "ada", 1, true);
        world_tell(w, "gw1", 9, 1, "bob", 1, true);
        m.gateway_id = (char *)"gw1";
        m.epoch = 9;
        m.counter = 2;
        m.stopping = true;
        assert_int_equal(roster_report(w->roster, &m), 0);
        world_pass(w, 3000);
        w->asked = 0;
        roster_doubt(w->roster, true);
        assert_int_equal(w->asked, 1);
        world_snapshot(w, "gw0", 7, 2, (const char *const[]){"ada"}, 1);
        world_pass(w, 1600);
        assert_int_equal(w->asked, 1);
        assert_true(roster_known(w->roster));
}

/* The wall clock is set on: what ends by it ends at once, not when its time by our clock has come */
static void test_the_wall_clock_is_set(void **state)
{
        struct world *w = *state;
        Parley__V1__Status s = PARLEY__V1__STATUS__INIT;
        Google__Protobuf__Timestamp t = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

        world_tell(w, "gw0", 7, 1, "ada", 1, true);
        t.seconds = WORLD_START_S + 1800;
        s.mode = PARLEY__V1__STATUS__MODE__dnd;
        s.mode_until = &t;
        assert_int_equal(roster_status(w->roster, "ada", &s), 0);
        assert_int_equal(world_shown(w, "ada"), SHOWN(dnd));
        for (unsigned i = 0; i < 3; i++) {
                w->now_ms += 100;
                (void)roster_time(w->roster, w->now_ms, WORLD_START_S + 1801);
        }
        assert_int_equal(world_shown(w, "ada"), SHOWN(online));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_we_stood_still, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_a_slow_turn, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_nats_is_away, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_known, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_a_slow_gateway_at_the_start, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_one_has_stopped, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_the_wall_clock_is_set, world_setup, world_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
