/* When the log is trimmed because it is full, and how far. */
#include "history/trim_core.h"
#include "unit.h"

static const struct trim_log base = {.epoch = 7, .first_seq = 1001, .last_seq = 2000, .bytes = 810, .max_bytes = 1000};
static const struct log_cursor all = {.exists = true, .epoch = 7, .last_seq = 2000};

static void test_marks(void **state)
{
        struct trim_log log = base;
        struct trim_verdict v = trim_decide(&log, &all, 80, false);

        (void)state;
        /* 110 of 810 bytes are too many: 135 of 1000 messages */
        assert_true(v.full && v.through_seq == 1135);
        log.bytes = 800; /* at the mark is not above it */
        v = trim_decide(&log, &all, 80, false);
        assert_true(!v.full && v.through_seq == 0);
        /* once begun, down to the lower mark */
        v = trim_decide(&log, &all, 80, true);
        assert_true(v.full && v.through_seq == 1125);
        log.bytes = 701;
        v = trim_decide(&log, &all, 80, true);
        assert_true(v.full && v.through_seq == 1001);
        log.bytes = 700;
        v = trim_decide(&log, &all, 80, true);
        assert_true(!v.full && v.through_seq == 0);
        log.bytes = 201;
        v = trim_decide(&log, &all, TRIM_PERCENT_MIN, false);
        assert_true(v.full && v.through_seq == 1502);
}

static void test_never_above_the_cursor(void **state)
{
        struct log_cursor cursor = all;
        struct trim_verdict v;

        (void)state;
        cursor.last_seq = 1100;
        v = trim_decide(&base, &cursor, 80, false);
        assert_true(v.full && v.through_seq == 1100);
        cursor.last_seq = 1001;
        v = trim_decide(&base, &cursor, 80, false);
        assert_true(v.full && v.through_seq == 1001);
        cursor.last_seq = 1000; /* nothing of what is there is ingested */
        v = trim_decide(&base, &cursor, 80, false);
        assert_true(v.full && v.through_seq == 0);
        cursor.last_seq = 0;
        v = trim_decide(&base, &cursor, 80, false);
        assert_true(v.full && v.through_seq == 0);
}

static void test_another_log(void **state)
{
        struct log_cursor cursor = all;

        (void)state;
        cursor.epoch = 8;
        assert_int_equal(trim_decide(&base, &cursor, 80, false).through_seq, 0);
        cursor = (struct log_cursor){.exists = false, .epoch = 7, .last_seq = 2000};
        assert_int_equal(trim_decide(&base, &cursor, 80, false).through_seq, 0);
}

/* A cursor above the log (which lost its end): what is not there is not trimmed, or the server would go on counting from there */
static void test_never_above_the_log(void **state)
{
        struct trim_log log = base;
        struct log_cursor cursor = all;

        (void)state;
        cursor.last_seq = UINT64_MAX;
        log.bytes = UINT64_MAX;
        log.max_bytes = 1;
        assert_int_equal(trim_decide(&log, &cursor, 80, false).through_seq, 2000);
}

static void test_off_and_empty(void **state)
{
        struct trim_log log = base;

        (void)state;
        assert_false(trim_decide(&log, &all, 0, true).full);
        log.max_bytes = 0;
        assert_false(trim_decide(&log, &all, 80, true).full);
        log = base;
        log.first_seq = 2001;
        log.bytes = 0;
        assert_false(trim_decide(&log, &all, 80, true).full);
}

static void test_large_numbers(void **state)
{
        struct trim_log log = {.epoch = 7,
                               .first_seq = UINT64_C(1) << 40,
                               .last_seq = (UINT64_C(1) << 62) - 1,
                               .bytes = UINT64_C(1) << 50,
                               .max_bytes = UINT64_C(1) << 50};
        struct log_cursor cursor = {.exists = true, .epoch = 7, .last_seq = log.last_seq};
        uint64_t n = trim_decide(&log, &cursor, 80, false).through_seq - log.first_seq;

        (void)state;
        /* down from 100 to 70 percent */
        assert_true(n > (UINT64_C(1) << 62) / 100 * 29 && n < (UINT64_C(1) << 62) / 100 * 31);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_marks),         cmocka_unit_test(test_never_above_the_cursor),
                cmocka_unit_test(test_another_log),   cmocka_unit_test(test_never_above_the_log),
                cmocka_unit_test(test_off_and_empty), cmocka_unit_test(test_large_numbers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
