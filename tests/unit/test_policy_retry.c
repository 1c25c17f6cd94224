/* From when on the log knows what was published. */
#include "policy/retry.h"
#include "unit.h"

#define EPOCH 1700000000
#define LATER ((int64_t)EPOCH * 1000 + 3600000)

static void test_window(void **state)
{
        (void)state;
        /* a tenth of a short window, 5 s of a long one */
        assert_int_equal(dedupe_since_ms(10000, EPOCH, LATER), LATER - 9000);
        assert_int_equal(dedupe_since_ms(50000, EPOCH, LATER), LATER - 45000);
        assert_int_equal(dedupe_since_ms(120000, EPOCH, LATER), LATER - 115000);
}

static void test_young_stream(void **state)
{
        const int64_t begin = ((int64_t)EPOCH + 1) * 1000;

        (void)state;
        /* what was published before the stream was made, it does not know, however long its window is */
        assert_int_equal(dedupe_since_ms(120000, EPOCH, begin), begin + 5000);
        assert_int_equal(dedupe_since_ms(10000, EPOCH, begin), begin + 1000);
        assert_int_equal(dedupe_since_ms(120000, EPOCH, begin + 120000), begin + 5000);
        assert_int_equal(dedupe_since_ms(120000, EPOCH, begin + 120001), begin + 5001);
}

/* What history does not find was not stored, once it has ingested up to when that was asked, within 5 s */
static void test_unstored(void **state)
{
        (void)state;
        assert_true(retry_unstored(LATER, LATER));
        assert_true(retry_unstored(LATER - 5000, LATER));
        assert_false(retry_unstored(LATER - 5001, LATER));
        assert_false(retry_unstored(0, LATER));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_window),
                cmocka_unit_test(test_young_stream),
                cmocka_unit_test(test_unstored),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
