/* What the table of settings allows is what the service bears. */
#include "base/config.h"
#include "bus/subjects.h"
#include "presence/leader.h"
#include "presence/presence_config.h"
#include "presence_world.h"

static const struct config_item *item(const char *name)
{
        for (size_t i = 0; i < n_presence_config_items; i++)
                if (strcmp(presence_config_items[i].name, name) == 0)
                        return &presence_config_items[i];
        fail_msg("%s is no setting", name);
        return NULL;
}

/* One that may speak, and says so to the other. True: it did. */
static bool speaks(struct leader *l, struct leader *other, uint64_t now_ms, uint64_t *said_ms)
{
        if (!leader_tick(l, now_ms, true) || now_ms - *said_ms < LEADER_SPEAK_MS)
                return false;
        *said_ms = now_ms;
        (void)leader_heard(other, l->id, now_ms);
        return true;
}

/* Two instances that look at each other as rarely as may be, each in the middle between two looks of the other one */
static void test_two_with_the_longest_tick(void **state)
{
        uint64_t tick_ms = item("PARLEY_PRESENCE_TELL_MS")->max, said_a = 0, said_b = 0;
        struct leader a, b;
        unsigned n_a = 0, n_b = 0;

        (void)state;
        leader_init(&a, "a", 0, 1500);
        leader_init(&b, "b", 0, 1500);
        for (uint64_t now_ms = 0; now_ms < 120000; now_ms += 10) {
                n_a += now_ms % tick_ms == 0 && speaks(&a, &b, now_ms, &said_a);
                n_b += now_ms % tick_ms == tick_ms / 2 && speaks(&b, &a, now_ms, &said_b);
        }
        assert_in_range(n_a + n_b, 100, 120);
        assert_true(n_a == 0 || n_b == 0); /* else whoever listens asks for everything with each word */
}

/* A gateway with nothing to say, whose heartbeat comes as late as its own tick lets it */
static void test_a_quiet_gateway(void **state)
{
        struct world *w = *state;

        w->roster->options.silent_ms = w->roster->sources.options.silent_ms = item("PARLEY_PRESENCE_SILENT_MS")->min;
        world_tell(w, "gw0", 7, 1, "ada", 1, true);
        for (unsigned i = 0; i < 5; i++) {
                world_pass(w, PRESENCE_HEARTBEAT_MS + 1000);
                assert_int_equal(world_shown(w, "ada"), PARLEY__V1__USER_PRESENCE__AVAILABILITY__online);
                world_tell(w, "gw0", 7, 2 + i, NULL, 0, false);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_two_with_the_longest_tick),
                cmocka_unit_test_setup_teardown(test_a_quiet_gateway, world_setup, world_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
