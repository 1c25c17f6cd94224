/* How long a file is kept because descriptors of it may still be sent. */
#include "unit.h"

#include "upload/hold_core.h"

enum { TTL_S = 86400, HOUR_MS = 3600000, DAY_MS = 24 * HOUR_MS };
static const uint64_t now = 1700000000000;

static void test_none_ends_after_what_is_recorded(void **state)
{
        (void)state;
        for (uint64_t until = now - 2 * DAY_MS; until < now + 3ULL * DAY_MS; until += HOUR_MS / 7) {
                uint64_t end = hold_descriptor_end(until, now, TTL_S);

                assert_true(end <= until && end <= now + DAY_MS);
                assert_true(end == 0 || end >= now + DAY_MS - HOUR_MS);
        }
        assert_int_equal(hold_descriptor_end(0, now, TTL_S), 0);
}

static void test_the_first_one_needs_no_more_writes(void **state)
{
        uint64_t until = hold_first(now, TTL_S);

        (void)state;
        assert_int_equal(hold_descriptor_end(until, now, TTL_S), now + DAY_MS);
        assert_int_equal(hold_descriptor_end(until, now + HOUR_MS, TTL_S), now + DAY_MS);
        assert_int_equal(hold_descriptor_end(until, now + HOUR_MS + 1, TTL_S), 0);
}

/* A descriptor a minute, for a month */
static void test_a_record_is_written_once_a_day(void **state)
{
        uint64_t until = hold_first(now, TTL_S);
        unsigned n_written = 0;

        (void)state;
        for (uint64_t t = now; t < now + 30ULL * DAY_MS; t += 60000) {
                if (hold_descriptor_end(until, t, TTL_S))
                        continue;
                until = hold_extended(t, TTL_S);
                n_written++;
                assert_int_equal(hold_descriptor_end(until, t, TTL_S), t + DAY_MS);
        }
        assert_true(n_written > 0 && n_written <= 30);
}

static void test_the_bytes_go_after_the_last_one(void **state)
{
        (void)state;
        assert_true(hold_end(now, TTL_S) >= now + HOUR_MS);
        assert_true(hold_end(now, 1) >= now + 5000); /* a message may be under way for so long */
}

static void test_an_end_that_no_record_says(void **state)
{
        uint64_t until = 0;

        (void)state;
        assert_true(hold_known(&until, now, TTL_S));
        assert_int_equal(until, now + DAY_MS);
        assert_true(hold_end(until, TTL_S) > now);
        assert_false(hold_known(&until, now + DAY_MS, TTL_S));
        assert_int_equal(until, now + DAY_MS);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_none_ends_after_what_is_recorded),
                cmocka_unit_test(test_the_first_one_needs_no_more_writes),
                cmocka_unit_test(test_a_record_is_written_once_a_day),
                cmocka_unit_test(test_the_bytes_go_after_the_last_one),
                cmocka_unit_test(test_an_end_that_no_record_says),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
