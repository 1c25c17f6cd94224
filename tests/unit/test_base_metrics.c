#include "unit.h"

#include <errno.h>
#include <math.h>

#include "base/buf.h"
#include "base/metrics.h"

static struct metric acks_ok = {
        .name = "t_acks_total", .help = "Acks\nby \\code", .type = METRIC_COUNTER, .labels = "code=\"ok\""};
static struct metric sessions = {.name = "t_sessions", .help = "Open sessions", .type = METRIC_GAUGE};
static struct metric acks_bad = {
        .name = "t_acks_total", .help = "Acks\nby \\code", .type = METRIC_COUNTER, .labels = "code=\"bad\""};
static struct metric_histogram took = {.name = "t_took_seconds", .help = "How long", .bounds = {0.001, 0.01, 0.1, 1}};

/* Metrics of one name stand beside each other under one head, whenever they were registered */
static const char expected[] = "# HELP t_acks_total Acks\\nby \\\\code\n"
                               "# TYPE t_acks_total counter\n"
                               "t_acks_total{code=\"ok\"} 9007199254740991\n"
                               "t_acks_total{code=\"bad\"} 0\n"
                               "# HELP t_sessions Open sessions\n"
                               "# TYPE t_sessions gauge\n"
                               "t_sessions -2.5\n"
                               "# HELP t_took_seconds How long\n"
                               "# TYPE t_took_seconds histogram\n"
                               "t_took_seconds_bucket{le=\"0.001\"} 1\n"
                               "t_took_seconds_bucket{le=\"0.01\"} 3\n"
                               "t_took_seconds_bucket{le=\"0.1\"} 3\n"
                               "t_took_seconds_bucket{le=\"1\"} 4\n"
                               "t_took_seconds_bucket{le=\"+Inf\"} 5\n"
                               "t_took_seconds_sum 8.0125\n"
                               "t_took_seconds_count 5\n";

static void test_empty(void **state)
{
        struct buf b = BUF_INIT(100);

        (void)state;
        assert_int_equal(metrics_write(&b), 0);
        assert_int_equal(b.len, 0);
}

static void test_text(void **state)
{
        static const double observed[] = {0.001, 0.0015, 0.01, 1, 7};
        struct buf b = BUF_INIT(10000);

        (void)state;
        for (unsigned i = 0; i < 2; i++) { /* twice: registering again does nothing */
                metric_register(&acks_ok);
                metric_register(&sessions);
                metric_register(&acks_bad);
                metric_histogram_register(&took);
        }
        metric_add(&acks_ok, 9007199254740990.0);
        metric_add(&acks_ok, 1);
        metric_set(&sessions, -2.5);
        for (size_t i = 0; i < sizeof(observed) / sizeof(observed[0]); i++)
                metric_observe(&took, observed[i]);
        assert_int_equal(buf_append_str(&b, "before\n"), 0);
        assert_int_equal(metrics_write(&b), 0);
        assert_int_equal(buf_append(&b, "", 1), 0);
        assert_memory_equal(b.data, "before\n", 7);
        assert_string_equal((char *)b.data + 7, expected);
        buf_done(&b);
}

/* All or nothing */
static void test_full(void **state)
{
        (void)state;
        for (size_t max = 0; max < sizeof(expected) - 1; max++) {
                struct buf b = BUF_INIT(max);

                assert_int_equal(metrics_write(&b), BUF_E_FULL);
                assert_int_equal(b.len, 0);
                buf_done(&b);
        }
}

static void test_numbers(void **state)
{
        static const struct {
                double value;
                const char *text;
        } numbers[] = {
                {0, "t_sessions 0\n"},           {0.1, "t_sessions 0.1\n"},
                {1e21, "t_sessions 1e+21\n"},    {1.0 / 3, "t_sessions 0.33333333333333331\n"},
                {INFINITY, "t_sessions +Inf\n"}, {-INFINITY, "t_sessions -Inf\n"},
                {NAN, "t_sessions NaN\n"},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
                struct buf b = BUF_INIT(10000);

                metric_set(&sessions, numbers[i].value);
                assert_int_equal(metrics_write(&b), 0);
                assert_int_equal(buf_append(&b, "", 1), 0);
                assert_non_null(strstr((char *)b.data, numbers[i].text));
                buf_done(&b);
        }
}

/* As many bounds as there is room for: no zero ends the list */
static void test_all_buckets(void **state)
{
        static struct metric_histogram full = {.name = "t_full", .help = "Full"};
        struct buf b = BUF_INIT(10000);

        (void)state;
        for (unsigned i = 0; i < METRIC_BUCKETS; i++)
                full.bounds[i] = i + 1;
        metric_histogram_register(&full);
        metric_observe(&full, METRIC_BUCKETS);
        metric_observe(&full, METRIC_BUCKETS + 1);
        assert_int_equal(full.counts[METRIC_BUCKETS - 1], 1);
        assert_int_equal(full.counts[METRIC_BUCKETS], 1);
        assert_int_equal(metrics_write(&b), 0);
        assert_int_equal(buf_append(&b, "", 1), 0);
        assert_non_null(strstr((char *)b.data, "t_full_bucket{le=\"16\"} 1\nt_full_bucket{le=\"+Inf\"} 2\n"));
        buf_done(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_empty),   cmocka_unit_test(test_text),        cmocka_unit_test(test_full),
                cmocka_unit_test(test_numbers), cmocka_unit_test(test_all_buckets),
        };
        return cmocka_run_group_tests_name("base/metrics", tests, NULL, NULL);
}
