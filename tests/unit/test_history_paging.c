/* Pages: parsing of cursors and limits, the plan of the scans, and what of the rows makes the page. */
#include "history/paging.h"
#include "unit.h"

static const char uuid[] = "7f6b1c9e-1f7a-4c68-9b1f-0d1c2f3a4b5c";

static void refuses(const char *before, const char *after, const char *around, const char *limit, const char *names)
{
        struct page_query q = {.limit = 77};
        char error[160] = "";

        assert_true(page_parse(before, after, around, limit, &q, error, sizeof(error)) < 0);
        assert_non_null(strstr(error, names));
        assert_int_equal(q.limit, 77); /* nothing is written on error */
}

static void test_parse(void **state)
{
        struct page_query q;
        char error[160];

        (void)state;
        assert_int_equal(page_parse(NULL, NULL, NULL, NULL, &q, error, sizeof(error)), 0);
        assert_int_equal(q.mode, PAGE_LATEST);
        assert_int_equal(q.limit, PAGE_LIMIT_DEFAULT);
        assert_int_equal(page_parse("42", NULL, NULL, "1", &q, error, sizeof(error)), 0);
        assert_int_equal(q.mode, PAGE_BEFORE);
        assert_false(q.by_id);
        assert_int_equal(q.seq, 42);
        assert_int_equal(q.limit, 1);
        assert_int_equal(page_parse(NULL, uuid, NULL, "200", &q, error, sizeof(error)), 0);
        assert_int_equal(q.mode, PAGE_AFTER);
        assert_true(q.by_id);
        assert_string_equal(q.id, uuid);
        assert_int_equal(page_parse(NULL, NULL, "0", "200", &q, error, sizeof(error)), 0);
        assert_int_equal(q.mode, PAGE_AROUND);
        assert_int_equal(page_parse(NULL, "9223372036854775807", NULL, NULL, &q, error, sizeof(error)), 0);
        assert_int_equal(q.seq, INT64_MAX);
}

static void test_parse_refuses(void **state)
{
        static const char *const limits[] = {"0",  "-1",   "1000000000",          "abc", "", "201", "1.5", " 1",
                                             "+1", "0x10", "18446744073709551617"};
        static const char *const cursors[] = {
                "", "-1", "abc", "9223372036854775808", "7f6b1c9e", "1 ", "7f6b1c9e-1f7a-4c68-9b1f-0d1c2f3a4b5"};

        (void)state;
        for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++)
                refuses(NULL, NULL, NULL, limits[i], "limit");
        for (size_t i = 0; i < sizeof(cursors) / sizeof(*cursors); i++) {
                refuses(cursors[i], NULL, NULL, NULL, "before");
                refuses(NULL, cursors[i], NULL, NULL, "after");
                refuses(NULL, NULL, cursors[i], NULL, "around");
        }
        refuses("1", "2", NULL, NULL, "only one");
        refuses("1", NULL, "2", NULL, "only one");
        refuses(NULL, "1", "2", NULL, "only one");
}

/* A channel of the sequences 10, 20, … 10 * n: what the two scans find, and the page of it */
static struct page_cut page(enum page_mode mode, uint64_t seq, uint32_t limit, unsigned n, uint64_t *ret_first)
{
        const struct page_query q = {.mode = mode, .limit = limit, .seq = seq};
        uint32_t n_down = 0, n_up = 0;
        struct page_plan plan;
        struct page_cut cut;
        uint64_t lowest = 0;

        page_plan(&q, seq, &plan);
        for (unsigned i = n; i > 0 && n_down < plan.down_n; i--)
                if (i * 10 <= plan.down_from) {
                        n_down++;
                        lowest = i * 10;
                }
        for (unsigned i = 1; i <= n && n_up < plan.up_n; i++)
                if (i * 10 >= plan.up_from) {
                        n_up++;
                        if (!lowest)
                                lowest = i * 10;
                }
        page_cut(&plan, n_down, n_up, &cut);
        assert_true(cut.n <= limit);
        assert_true(cut.first + cut.n <= n_down + n_up);
        *ret_first = cut.n ? lowest + 10 * cut.first : 0;
        return cut;
}

static void expect(enum page_mode mode, uint64_t seq, uint32_t limit, unsigned n, uint64_t first, uint32_t count,
                   bool before, bool after)
{
        uint64_t got;
        struct page_cut cut = page(mode, seq, limit, n, &got);

        assert_int_equal(cut.n, count);
        if (count)
                assert_int_equal(got, first);
        assert_int_equal(cut.has_before, before);
        assert_int_equal(cut.has_after, after);
}

static void test_latest(void **state)
{
        (void)state;
        expect(PAGE_LATEST, 0, 5, 0, 0, 0, false, false);
        expect(PAGE_LATEST, 0, 5, 4, 10, 4, false, false);
        expect(PAGE_LATEST, 0, 5, 5, 10, 5, false, false);
        expect(PAGE_LATEST, 0, 5, 6, 20, 5, true, false);
}

static void test_before(void **state)
{
        (void)state;
        expect(PAGE_BEFORE, 60, 5, 10, 10, 5, false, true);
        expect(PAGE_BEFORE, 70, 5, 10, 20, 5, true, true);
        expect(PAGE_BEFORE, 65, 5, 10, 20, 5, true, true); /* between two */
        expect(PAGE_BEFORE, 10, 5, 10, 0, 0, false, true);
        expect(PAGE_BEFORE, 0, 5, 10, 0, 0, false, true);
        expect(PAGE_BEFORE, 1000, 20, 10, 10, 10, false, false);
        expect(PAGE_BEFORE, PAGE_SEQ_MAX, 20, 10, 10, 10, false, false);
}

static void test_after(void **state)
{
        (void)state;
        expect(PAGE_AFTER, 0, 5, 10, 10, 5, false, true);
        expect(PAGE_AFTER, 50, 5, 10, 60, 5, true, false);
        expect(PAGE_AFTER, 49, 5, 10, 50, 5, true, true);
        expect(PAGE_AFTER, 100, 5, 10, 0, 0, true, false);
        expect(PAGE_AFTER, PAGE_SEQ_MAX, 5, 10, 0, 0, true, false);
}

static void test_around(void **state)
{
        (void)state;
        expect(PAGE_AROUND, 50, 5, 10, 30, 5, true, true); /* 30 40 50 60 70 */
        expect(PAGE_AROUND, 50, 4, 10, 40, 4, true, true); /* 40 50 60 70 */
        expect(PAGE_AROUND, 55, 5, 10, 30, 5, true, true);
        expect(PAGE_AROUND, 10, 5, 10, 10, 5, false, true); /* one side gets what the other lacks */
        expect(PAGE_AROUND, 100, 5, 10, 60, 5, true, false);
        expect(PAGE_AROUND, 50, 1, 10, 50, 1, true, true);
        expect(PAGE_AROUND, 50, 200, 10, 10, 10, false, false);
        expect(PAGE_AROUND, 0, 3, 10, 10, 3, false, true);
        expect(PAGE_AROUND, PAGE_SEQ_MAX, 3, 10, 80, 3, true, false);
}

static void fits(enum page_mode mode, uint32_t n_down, uint32_t n_up, size_t max, uint32_t first, uint32_t n,
                 bool before, bool after)
{
        const struct page_plan plan = {.mode = mode, .limit = 6};
        size_t sizes[6] = {10, 10, 10, 10, 10, 10};
        struct page_cut cut;

        page_cut(&plan, n_down, n_up, &cut);
        page_fit(&plan, sizes, max, n_down, &cut);
        assert_int_equal(cut.first, first);
        assert_int_equal(cut.n, n);
        assert_int_equal(cut.has_before, before);
        assert_int_equal(cut.has_after, after);
}

static void test_fit(void **state)
{
        (void)state;
        fits(PAGE_LATEST, 6, 0, 60, 0, 6, false, false);
        fits(PAGE_LATEST, 6, 0, 59, 1, 5, true, false);
        fits(PAGE_BEFORE, 7, 1, 25, 5, 2, true, true);
        fits(PAGE_AFTER, 1, 6, 25, 1, 2, true, true);
        fits(PAGE_AFTER, 0, 6, 0, 0, 1, false, true); /* one at least */
        fits(PAGE_AROUND, 3, 3, 30, 1, 3, true, true);
        fits(PAGE_AROUND, 3, 3, 0, 2, 1, true, true); /* the cursor's own */
        fits(PAGE_LATEST, 0, 0, 0, 0, 0, false, false);
}

static void test_events_through(void **state)
{
        bool more;

        (void)state;
        /* all there is: through the cursor of ingest */
        assert_int_equal(page_events_through(5, 3, 10, 9, 100, 0, &more), 100);
        assert_false(more);
        /* nothing, and ingest is behind the one who asks: nothing is missing in an empty range */
        assert_int_equal(page_events_through(500, 0, 10, 0, 100, 0, &more), 500);
        assert_false(more);
        /* cut by the limit */
        assert_int_equal(page_events_through(5, 10, 10, 42, 100, 0, &more), 42);
        assert_true(more);
        /* cut by the limit exactly at the end */
        assert_int_equal(page_events_through(5, 10, 10, 100, 100, 0, &more), 100);
        assert_false(more);
        /* not further than was asked for */
        assert_int_equal(page_events_through(5, 3, 10, 9, 100, 50, &more), 50);
        assert_false(more);
        assert_int_equal(page_events_through(5, 10, 10, 50, 100, 50, &more), 50);
        assert_false(more);
        assert_int_equal(page_events_through(5, 0, 10, 0, 20, 50, &more), 20);
}

static void test_seq_and_lists(void **state)
{
        char error[160] = "";
        uint64_t seq = 1;
        uint32_t limit = 1;

        (void)state;
        assert_int_equal(page_parse_seq("after", NULL, &seq, error, sizeof(error)), 0);
        assert_int_equal(seq, 0);
        assert_int_equal(page_parse_seq("after", "17", &seq, error, sizeof(error)), 0);
        assert_int_equal(seq, 17);
        assert_true(page_parse_seq("after", "x", &seq, error, sizeof(error)) < 0);
        assert_non_null(strstr(error, "after"));
        assert_int_equal(page_parse_limit(NULL, 100, 500, &limit, error, sizeof(error)), 0);
        assert_int_equal(limit, 100);
        assert_int_equal(page_parse_limit("500", 100, 500, &limit, error, sizeof(error)), 0);
        assert_true(page_parse_limit("501", 100, 500, &limit, error, sizeof(error)) < 0);
        assert_non_null(strstr(error, "limit"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),         cmocka_unit_test(test_parse_refuses),
                cmocka_unit_test(test_latest),        cmocka_unit_test(test_before),
                cmocka_unit_test(test_after),         cmocka_unit_test(test_around),
                cmocka_unit_test(test_fit),           cmocka_unit_test(test_events_through),
                cmocka_unit_test(test_seq_and_lists),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
