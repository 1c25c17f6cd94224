/* Who is known, and what is shown of him while one of his devices connects again. */
#include "presence/status.h"
#include "presence_world.h"

#define SHOWN(x) PARLEY__V1__USER_PRESENCE__AVAILABILITY__##x

/* Which users are named in `regrouped` */
static void expect_regrouped(struct world *w, const char *user)
{
        struct tidings t;

        assert_int_equal(tidings_init(&t, 10), 0);
        (void)roster_changes(w->roster, &t);
        assert_int_equal(t.message.n_regrouped, user != NULL);
        if (user)
                assert_string_equal(t.message.regrouped[0], user);
        roster_told(w->roster, &t);
        tidings_done(&t);
}

/* Whoever asked before he was known was answered that he is hidden */
static void test_who_was_not_known_is_asked_about_again(void **state)
{
        struct world *w = *state;
        Parley__V1__PresenceRecord record = PARLEY__V1__PRESENCE_RECORD__INIT;
        Google__Protobuf__Timestamp seen = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        Parley__V1__Status status = PARLEY__V1__STATUS__INIT;

        world_tell(w, "gw0", 7, 1, "ada", 1, true);
        expect_regrouped(w, "ada");
        world_tell(w, "gw0", 7, 2, "ada", 1, false);
        expect_regrouped(w, NULL);
        status.text = (char *)"hello";
        assert_int_equal(roster_status(w->roster, "bob", &status), 0);
        expect_regrouped(w, "bob");
        seen.seconds = WORLD_START_S;
        record.last_seen_at = &seen;
        assert_int_equal(roster_record(w->roster, "eve", &record, 1), 0);
        expect_regrouped(w, "eve");
        assert_int_equal(roster_record(w->roster, "nobody", NULL, 1), 0);
        expect_regrouped(w, NULL);
        assert_null(world_person(w, "nobody"));
}

/* Whoever looks at him, or lets him look, asks again who may see whom */
static void test_memberships_change(void **state)
{
        struct world *w = *state;

        world_member(w, "ada", "x y");
        expect_regrouped(w, "ada");
        world_member(w, "ada", "y x");
        expect_regrouped(w, NULL);
        world_member(w, "ada", "x -y");
        expect_regrouped(w, "ada");
        world_member(w, "ada", "");
        expect_regrouped(w, "ada");
}

/* Nothing is kept of him: he is as unknown as before his first time */
static void test_forgotten_and_known_again(void **state)
{
        struct world *w = *state;

        w->roster->options.last_seen = false;
        world_tell(w, "gw0", 7, 1, "ada", 1, true);
        expect_regrouped(w, "ada");
        world_tell(w, "gw0", 7, 2, "ada", 0, false);
        world_pass(w, 10200);
        expect_regrouped(w, NULL);
        assert_null(world_person(w, "ada"));
        world_tell(w, "gw0", 7, 3, "ada", 1, true);
        expect_regrouped(w, "ada");
}

/* The phone lies there all the time; the page that is in use breaks off and comes back, on either gateway */
static void test_one_of_two_devices_connects_again(void **state)
{
        struct world *w = *state;

        world_tell(w, "gw0", 7, 1, "ada", 4, false);
        world_tell(w, "gw1", 9, 1, "ada", 1, true);
        roster_discard(w->roster);
        world_tell(w, "gw1", 9, 2, "ada", 0, false);
        world_pass(w, 9800);
        world_tell(w, "gw0", 7, 2, "ada", 5, true);
        world_pass(w, 15000);
        world_tell(w, "gw0", 7, 3, "ada", 4, false);
        world_pass(w, 5000);
        world_tell(w, "gw0", 7, 4, "ada", 5, true);
        assert_int_equal(w->roster->n_dirty, 0);
        assert_int_equal(world_shown(w, "ada"), SHOWN(online));
        world_tell(w, "gw0", 7, 5, "ada", 5, false); /* he says so himself */
        assert_int_equal(world_shown(w, "ada"), SHOWN(away));
}

/* The grace of the last one counts from its own end; what comes meanwhile is shown at once */
static void test_one_after_the_other_goes(void **state)
{
        struct world *w = *state;

        world_tell(w, "gw0", 7, 1, "ada", 5, false);
        world_tell(w, "gw0", 7, 2, "ada", 4, false);
        world_pass(w, 5000);
        world_tell(w, "gw1", 9, 1, "ada", 8, true);
        assert_int_equal(world_shown(w, "ada"), SHOWN(online));
        assert_int_equal(world_person(w, "ada")->shown_devices, 13);
        world_tell(w, "gw1", 9, 2, "ada", 0, false);
        world_pass(w, 4000);
        world_tell(w, "gw0", 7, 3, "ada", 0, false);
        world_pass(w, 9800);
        assert_int_equal(world_shown(w, "ada"), SHOWN(away)); /* the one that lay there is left, the others are over */
        assert_int_equal(world_person(w, "ada")->shown_devices, 4);
        assert_int_equal(w->n_stored, 0);
        world_pass(w, 400);
        assert_int_equal(world_shown(w, "ada"), SHOWN(offline));
        assert_int_equal(w->n_stored, 1);
}

/* The page that was in use is closed for good. The phone breaks off every nine seconds, which must not keep the page there. */
static void test_one_breaks_off_again_and_again(void **state)
{
        struct world *w = *state;
        uint64_t counter = 0;

        world_tell(w, "gw0", 7, ++counter, "ada", 5, true);
        world_pass(w, 1000);
        world_tell(w, "gw0", 7, ++counter, "ada", 4, false);
        world_pass(w, 8000);
        world_tell(w, "gw0", 7, ++counter, "ada", 0, false);
        world_pass(w, 1000);
        assert_int_equal(world_person(w, "ada")->shown_devices, 5);
        assert_int_equal(world_shown(w, "ada"), SHOWN(online));
        for (unsigned i = 0; i < 10; i++) {
                world_tell(w, "gw0", 7, ++counter, "ada", 4, false);
                world_pass(w, 8000);
                assert_int_equal(world_person(w, "ada")->shown_devices, 4);
                assert_int_equal(world_shown(w, "ada"), SHOWN(away));
                world_tell(w, "gw0", 7, ++counter, "ada", 0, false);
                world_pass(w, 1000);
                assert_int_equal(world_person(w, "ada")->shown_devices, 4);
        }
}

/* Each kind ends when its own time is over */
static void test_each_kind_has_its_grace(void **state)
{
        static const unsigned left[] = {14, 12, 8, 0};
        struct world *w = *state;

        world_tell(w, "gw0", 7, 1, "ada", 15, true);
        for (unsigned i = 0; i < 4; i++) {
                world_tell(w, "gw0", 7, 2 + i, "ada", left[i], left[i]);
                world_pass(w, 2000);
        }
        assert_int_equal(world_person(w, "ada")->shown_devices, 15);
        world_pass(w, 1800);
        for (unsigned i = 0; i < 4; i++) {
                assert_int_equal(world_shown(w, "ada"), SHOWN(online));
                assert_int_equal(world_person(w, "ada")->shown_devices, i ? left[i - 1] : 15);
                world_pass(w, 400);
                assert_int_equal(world_person(w, "ada")->shown_devices, left[i]);
                world_pass(w, 1600);
        }
        assert_int_equal(world_shown(w, "ada"), SHOWN(offline));
}

/* It takes nothing from a device that closed elsewhere a moment ago */
static void test_a_gateway_dies_while_a_device_connects_again(void **state)
{
        struct world *w = *state;

        world_tell(w, "gw0", 7, 1, "ada", 4, false);
        world_tell(w, "gw1", 9, 1, "ada", 1, true);
        for (unsigned i = 0; i < 2; i++) {
                world_pass(w, 12000);
                world_tell(w, "gw1", 9, 2 + i, NULL, 0, false);
        }
        world_pass(w, 4000);
        world_tell(w, "gw1", 9, 4, "ada", 0, false);
        world_pass(w, 4000); /* gw0 was silent for 32 s */
        assert_int_equal(world_shown(w, "ada"), SHOWN(online));
        assert_int_equal(world_person(w, "ada")->shown_devices, 1);
        world_tell(w, "gw1", 9, 5, "ada", 1, true);
        assert_int_equal(world_shown(w, "ada"), SHOWN(online));
}

/* He closes while he is invisible, which ends while his device is shown still, to himself alone: others see nothing of it, nor that he was here */
static void test_gone_when_invisible_ends(void **state)
{
        struct world *w = *state;
        Parley__V1__Status s = PARLEY__V1__STATUS__INIT;
        Google__Protobuf__Timestamp end = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

        s.mode = PARLEY__V1__STATUS__MODE__invisible;
        end.seconds = WORLD_START_S + (int64_t)(w->now_ms / 1000) + 60;
        s.mode_until = &end;
        assert_int_equal(roster_status(w->roster, "ada", &s), 0);
        s.mode_until = NULL;
        assert_int_equal(roster_status(w->roster, "bob", &s), 0);
        world_tell(w, "gw0", 7, 1, "ada", 1, true);
        world_tell(w, "gw0", 7, 2, "bob", 5, true);
        world_pass(w, 20000);
        world_tell(w, "gw0", 7, 3, NULL, 0, false);
        world_pass(w, 20000);
        world_tell(w, "gw0", 7, 4, NULL, 0, false);
        world_pass(w, 15000);
        world_tell(w, "gw0", 7, 5, "ada", 0, false);
        world_tell(w, "gw0", 7, 6, "bob", 4, false);
        s.mode = PARLEY__V1__STATUS__MODE__automatic;
        assert_int_equal(roster_status(w->roster, "bob", &s), 0);
        assert_int_equal(world_shown(w, "bob"), SHOWN(away)); /* with what he has now */
        assert_int_equal(world_person(w, "bob")->shown_devices, 4);
        for (unsigned i = 0; i < 20; i++) {
                world_pass(w, 1000);
                assert_int_equal(world_shown(w, "ada"), SHOWN(offline));
        }
        assert_int_equal(w->n_stored, 0);
}

/* A gateway that fell silent had its time: what others have of him is all there is */
static void test_one_of_two_gateways_dies(void **state)
{
        struct world *w = *state;

        world_tell(w, "gw0", 7, 1, "ada", 4, false);
        world_tell(w, "gw1", 9, 1, "ada", 1, true);
        for (unsigned i = 0; i < 4; i++) {
                world_pass(w, 8000);
                world_tell(w, "gw0", 7, 2 + i, NULL, 0, false);
        }
        assert_int_equal(world_shown(w, "ada"), SHOWN(away));
        assert_int_equal(world_person(w, "ada")->shown_devices, 4);
}

/* We stood still, and one of two gateways never answers: the other one's users are waiting */
static void test_known_without_the_dead(void **state)
{
        struct world *w = *state;

        world_tell(w, "gw0", 7, 1, "ada", 1, true);
        world_tell(w, "gw1", 9, 1, "bob", 1, true);
        world_pass(w, 2000);
        roster_doubt(w->roster, true);
        world_pass(w, 1000);
        world_snapshot(w, "gw0", 7, 2, (const char *const[]){"ada"}, 1);
        world_pass(w, 2200);
        assert_false(sources_settled(&w->roster->sources));
        assert_true(roster_known(w->roster));
        assert_int_equal(world_shown(w, "bob"), SHOWN(online));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_who_was_not_known_is_asked_about_again, world_setup,
                                                world_teardown),
                cmocka_unit_test_setup_teardown(test_memberships_change, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_forgotten_and_known_again, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_one_of_two_devices_connects_again, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_one_after_the_other_goes, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_one_breaks_off_again_and_again, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_each_kind_has_its_grace, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_a_gateway_dies_while_a_device_connects_again, world_setup,
                                                world_teardown),
                cmocka_unit_test_setup_teardown(test_gone_when_invisible_ends, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_one_of_two_gateways_dies, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_known_without_the_dead, world_setup, world_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
