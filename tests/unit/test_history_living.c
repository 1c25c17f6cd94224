/* Which gateways live, and whose confirmation of a removal is still to come. */
#include <errno.h>
#include <stdio.h>

#include "history/living.h"
#include "unit.h"

static unsigned count(const struct living *l)
{
        return HASH_COUNT(l->all);
}

/* Those that have to answer now */
static struct living asked(struct living *l, uint64_t now_ms)
{
        struct living missing = {0};

        assert_int_equal(living_copy(l, now_ms, &missing), 0);
        return missing;
}

static void test_all_have_to_answer(void **state)
{
        struct living l = {0}, missing;

        (void)state;
        assert_int_equal(living_heard(&l, 1000, "a", 7, false), 0);
        assert_int_equal(living_heard(&l, 1000, "b", 7, false), 0);
        assert_int_equal(living_heard(&l, 3000, "a", 7, false), 0);
        assert_int_equal(living_heard(&l, 3000, "no name", 7, false), -EINVAL);
        missing = asked(&l, 3000);
        assert_int_equal(count(&missing), 2);
        assert_false(living_answered(&missing, "a", 7));
        assert_false(living_answered(&missing, "a", 7));
        assert_false(living_answered(&missing, "c", 7));
        assert_false(living_answered(&missing, "no name", 7));
        assert_true(living_answered(&missing, "b", 7));
        assert_int_equal(count(&l), 2);
        living_clear(&l);
}

/* Two that were given one name, or one that was started again beside the one before: each answers for itself, and ends for itself */
static void test_two_of_one_name(void **state)
{
        struct living l = {0}, missing;

        (void)state;
        living_heard(&l, 1000, "one", 7, false);
        living_heard(&l, 1000, "one", 8, false);
        missing = asked(&l, 1000);
        assert_int_equal(count(&missing), 2);
        assert_false(living_answered(&missing, "one", 8));
        assert_false(living_answered(&missing, "one", 8));
        assert_true(living_answered(&missing, "one", 7));
        living_heard(&l, 2000, "one", 7, true);
        missing = asked(&l, 2000);
        assert_int_equal(count(&missing), 1);
        assert_true(living_answered(&missing, "one", 8));
        living_clear(&l);
}

/* While gateways are renewed, some send no epoch: they have answered when they have answered without one */
static void test_older_gateways(void **state)
{
        struct living l = {0}, missing;

        (void)state;
        living_heard(&l, 1000, "old", 0, false);
        living_heard(&l, 1000, "new", 8, false);
        living_heard(&l, 1000, "old", 9, false); /* the one that takes its place */
        missing = asked(&l, 1000);
        assert_false(living_answered(&missing, "old", 9));
        assert_false(living_answered(&missing, "new", 8));
        assert_true(living_answered(&missing, "old", 0));
        living_clear(&l);
}

static void test_the_dead_are_not_waited_for(void **state)
{
        struct living l = {0}, missing;

        (void)state;
        living_heard(&l, 1000, "dead", 7, false);
        living_heard(&l, 1000 + LIVING_FOR_MS, "lives", 7, false);
        missing = asked(&l, 1000 + LIVING_FOR_MS);
        assert_int_equal(count(&missing), 2);
        living_clear(&missing);
        missing = asked(&l, 1001 + LIVING_FOR_MS);
        assert_true(living_answered(&missing, "lives", 7));
        assert_int_equal(count(&l), 1);
        living_clear(&l);
}

/* Whoever is started again and again, while nobody is removed, takes no places from those that live */
static void test_limit(void **state)
{
        struct living l = {0};

        (void)state;
        for (uint64_t epoch = 1; epoch <= LIVING_MAX; epoch++)
                assert_int_equal(living_heard(&l, 1000, "again", epoch, false), 0);
        assert_int_equal(living_heard(&l, 1000, "other", 1, false), -ENOSPC);
        assert_int_equal(living_heard(&l, 2000, "again", 5, false), 0);
        assert_int_equal(living_heard(&l, 1001 + LIVING_FOR_MS, "other", 1, false), 0);
        assert_int_equal(count(&l), 2);
        living_clear(&l);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_all_have_to_answer),
                cmocka_unit_test(test_two_of_one_name),
                cmocka_unit_test(test_older_gateways),
                cmocka_unit_test(test_the_dead_are_not_waited_for),
                cmocka_unit_test(test_limit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
