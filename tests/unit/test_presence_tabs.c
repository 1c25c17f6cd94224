/* Several connections of one kind of device, of which one is in use: it closes and comes again, or is used no longer. */
#include "presence_world.h"

#define SHOWN(x) PARLEY__V1__USER_PRESENCE__AVAILABILITY__##x

/* A tab that is reloaded shows nothing, though another one of its kind is there and idle, on the same gateway or on another */
static void test_used_one_comes_again(void **state)
{
        struct world *w = *state;

        world_tell(w, "gw0", 7, 1, "ada", 1, true);
        roster_discard(w->roster);
        world_left(w, "gw0", 7, 2, "ada", 1);
        world_pass(w, 9800);
        world_tell(w, "gw0", 7, 3, "ada", 1, true);
        world_pass(w, 15000);
        world_tell(w, "gw1", 9, 1, "ada", 1, false);
        world_tell(w, "gw0", 7, 4, "ada", 0, false);
        world_pass(w, 9800);
        world_tell(w, "gw1", 9, 2, "ada", 1, true);
        world_pass(w, 15000);
        assert_int_equal(w->roster->n_dirty, 0);
        assert_int_equal(world_shown(w, "ada"), SHOWN(online));
}

static void test_used_one_stays_away(void **state)
{
        struct world *w = *state;

        world_tell(w, "gw0", 7, 1, "ada", 1, true);
        world_left(w, "gw0", 7, 2, "ada", 1);
        world_pass(w, 5000);
        world_tell(w, "gw1", 9, 1, "ada", 1, false); /* an idle one more changes nothing */
        world_pass(w, 4800);
        assert_int_equal(world_shown(w, "ada"), SHOWN(online));
        world_pass(w, 400);
        assert_int_equal(world_shown(w, "ada"), SHOWN(away));
        world_tell(w, "gw0", 7, 3, "ada", 0, false); /* one that is idle */
        assert_int_equal(world_shown(w, "ada"), SHOWN(away));
        world_pass(w, 10200);
        assert_int_equal(world_shown(w, "ada"), SHOWN(away));
}

/* Who says so is away at once, also after a tab has come again */
static void test_used_one_becomes_idle(void **state)
{
        struct world *w = *state;

        world_tell(w, "gw0", 7, 1, "ada", 1, true);
        world_tell(w, "gw0", 7, 2, "ada", 1, false);
        assert_int_equal(world_shown(w, "ada"), SHOWN(away));
        world_tell(w, "gw0", 7, 3, "ada", 1, true);
        world_left(w, "gw0", 7, 4, "ada", 1);
        world_tell(w, "gw0", 7, 5, "ada", 1, true);
        world_tell(w, "gw0", 7, 6, "ada", 1, false);
        assert_int_equal(world_shown(w, "ada"), SHOWN(away));
}

/* All close, one after the other: what was in use ends before what was not */
static void test_all_close(void **state)
{
        struct world *w = *state;

        world_tell(w, "gw0", 7, 1, "ada", 1, true);
        world_left(w, "gw0", 7, 2, "ada", 1);
        world_pass(w, 5000);
        world_tell(w, "gw0", 7, 3, "ada", 0, false);
        world_pass(w, 4800);
        assert_int_equal(world_shown(w, "ada"), SHOWN(online));
        world_pass(w, 5000);
        assert_int_equal(world_shown(w, "ada"), SHOWN(away));
        world_pass(w, 400);
        assert_int_equal(world_shown(w, "ada"), SHOWN(offline));
}

/* A gateway that fell silent was waited for already */
static void test_gateway_is_silent(void **state)
{
        struct world *w = *state;

        world_tell(w, "gw0", 7, 1, "ada", 1, true);
        for (unsigned i = 0; i < 4; i++) {
                world_tell(w, "gw1", 9, 1 + i, "ada", 1, false);
                world_pass(w, 8000);
        }
        assert_int_equal(world_shown(w, "ada"), SHOWN(away));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_used_one_comes_again, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_used_one_stays_away, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_used_one_becomes_idle, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_all_close, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_gateway_is_silent, world_setup, world_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
