#include "unit.h"

#include "base/ratelimit.h"

static void test_size(void **state)
{
        (void)state;
        assert_int_equal(sizeof(struct ratelimit), 16);
}

static void test_off(void **state)
{
        struct ratelimit r = {0};

        (void)state;
        for (unsigned i = 0; i < 1000; i++)
                assert_int_equal(ratelimit_take(&r, 0, 0, 1, 1000000), 0);
}

/* A new bucket is full, whatever the clock says; then it refills at its rate */
static void test_burst_and_refill(void **state)
{
        struct ratelimit r = {0};
        const uint64_t t = UINT64_C(1) << 40;

        (void)state;
        for (unsigned i = 0; i < 20; i++)
                assert_int_equal(ratelimit_take(&r, t, 10, 20, 1), 0);
        assert_int_equal(ratelimit_take(&r, t, 10, 20, 1), 100);
        assert_int_equal(ratelimit_take(&r, t + 60, 10, 20, 1), 40);
        assert_int_equal(ratelimit_take(&r, t + 99, 10, 20, 1), 1);
        assert_int_equal(ratelimit_take(&r, t + 100, 10, 20, 1), 0);
        assert_int_equal(ratelimit_take(&r, t + 100, 10, 20, 1), 100);

        /* Never above the burst */
        for (unsigned i = 0; i < 20; i++)
                assert_int_equal(ratelimit_take(&r, t + 1000000, 10, 20, 1), 0);
        assert_int_equal(ratelimit_take(&r, t + 1000000, 10, 20, 1), 100);
}

/* The answer is exact: one ms earlier it is refused, at the time it is taken */
static void test_wait_is_exact(void **state)
{
        static const uint32_t rates[] = {1, 3, 7, 10, 999, 1000, 1001, 50000, 4000000};
        uint64_t seed = 4;

        (void)state;
        for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
                struct ratelimit r = {0};
                uint64_t now = 1;

                for (unsigned k = 0; k < 1000; k++) {
                        uint32_t cost = (uint32_t)(unit_random(&seed) % 50), wait;

                        wait = ratelimit_take(&r, now, rates[i], 50, cost);
                        if (wait == 0)
                                continue;
                        if (wait > 1) {
                                struct ratelimit early = r;
                                assert_int_equal(ratelimit_take(&early, now + wait - 1, rates[i], 50, cost), 1);
                        }
                        now += wait;
                        assert_int_equal(ratelimit_take(&r, now, rates[i], 50, cost), 0);
                }
        }
}

/* Over a long time no more passes than burst + rate * time, and with a waiting client no less than one below */
static void test_long_run(void **state)
{
        struct ratelimit r = {0};
        uint64_t taken = 0;

        (void)state;
        for (uint64_t now = 0; now < 100000; now++)
                while (ratelimit_take(&r, now, 333, 5, 1) == 0)
                        taken++;
        assert_in_range(taken, 5 + 333 * 100 - 1, 5 + 333 * 100);
}

static void test_cost_above_burst(void **state)
{
        struct ratelimit r = {0};

        (void)state;
        assert_int_equal(ratelimit_take(&r, 0, 10, 5, 1000), 0);
        assert_int_equal(ratelimit_take(&r, 0, 10, 5, 1000), 500);
        assert_int_equal(ratelimit_take(&r, 500, 10, 5, 1000), 0);
}

static void test_extremes(void **state)
{
        struct ratelimit r = {0};

        (void)state;
        assert_int_equal(ratelimit_take(&r, 0, 1, 0, 1), 0); /* burst 0 counts as 1 */
        assert_int_equal(ratelimit_take(&r, 0, 1, 0, 1), 1000);
        assert_int_equal(ratelimit_take(&r, 0, 1, 0, 0), 0);

        r = (struct ratelimit){0};
        assert_int_equal(ratelimit_take(&r, 0, UINT32_MAX, UINT32_MAX, UINT32_MAX), 0);
        assert_int_equal(ratelimit_take(&r, 0, UINT32_MAX, UINT32_MAX, UINT32_MAX), 1);
        assert_int_equal(ratelimit_take(&r, UINT64_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX), 0);

        /* One token a second, a burst of millions: the longest wait there is */
        r = (struct ratelimit){0};
        assert_int_equal(ratelimit_take(&r, 0, 1, UINT32_MAX, UINT32_MAX), 0);
        assert_int_equal(ratelimit_take(&r, 0, 1, UINT32_MAX, UINT32_MAX), UINT32_MAX / 1000 * 1000);
}

static void test_clock_goes_back(void **state)
{
        struct ratelimit r = {0};

        (void)state;
        assert_int_equal(ratelimit_take(&r, 10000, 10, 1, 1), 0);
        assert_int_equal(ratelimit_take(&r, 5000, 10, 1, 1), 100);
        assert_int_equal(ratelimit_take(&r, 5100, 10, 1, 1), 100);
        assert_int_equal(ratelimit_take(&r, 10099, 10, 1, 1), 1);
        assert_int_equal(ratelimit_take(&r, 10100, 10, 1, 1), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_size),
                cmocka_unit_test(test_off),
                cmocka_unit_test(test_burst_and_refill),
                cmocka_unit_test(test_wait_is_exact),
                cmocka_unit_test(test_long_run),
                cmocka_unit_test(test_cost_above_burst),
                cmocka_unit_test(test_extremes),
                cmocka_unit_test(test_clock_goes_back),
        };
        return cmocka_run_group_tests_name("base/ratelimit", tests, NULL, NULL);
}
