/* Who holds the places of the local store, who gives one up to whom, and who moves too little. */
#include "unit.h"

#include "upload/shares.h"

enum { PLACES = 64, SHARE = 16 };

struct world {
        struct shares shares;
        struct share places[PLACES];
        unsigned n;
        uint64_t now_ms;
};

static void begin(struct world *w, unsigned max, unsigned max_owner)
{
        *w = (struct world){.shares = {.owners = {.max = max, .max_owner = max_owner}}, .now_ms = 1000000};
}

static void end(struct world *w)
{
        for (unsigned i = 0; i < w->n; i++)
                shares_leave(&w->shares, &w->places[i]);
        assert_int_equal(w->shares.owners.n, 0);
        assert_null(w->shares.all);
        assert_null(w->shares.owners.all);
}

static int find(const struct world *w, const char *owner, struct share **ret_victim)
{
        *ret_victim = (struct share *)w; /* not written where there is no place */
        return shares_find(&w->shares, owner, w->now_ms, ret_victim);
}

static struct share *take(struct world *w, const char *owner)
{
        assert_int_equal(shares_take(&w->shares, &w->places[w->n], owner, 0, w->now_ms), 0);
        return &w->places[w->n++];
}

static void take_all(struct world *w, const char *owner, unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                (void)take(w, owner);
}

static void test_a_share(void **state)
{
        struct share *victim;
        struct world w;

        (void)state;
        begin(&w, PLACES, SHARE);
        take_all(&w, "mallory", SHARE);
        assert_int_equal(find(&w, "mallory", &victim), OWNERS_E_OWNER);
        assert_ptr_equal(victim, &w);
        assert_int_equal(find(&w, "ann", &victim), 0);
        assert_null(victim);
        shares_leave(&w.shares, &w.places[3]);
        shares_leave(&w.shares, &w.places[3]); /* only once */
        assert_int_equal(w.shares.owners.n, SHARE - 1);
        assert_int_equal(find(&w, "mallory", &victim), 0);
        assert_null(victim);
        end(&w);
}

static void test_the_slowest_of_whom_holds_most(void **state)
{
        static const char *const owners[] = {"a", "b", "c", "d"};
        struct share *victim;
        struct world w;

        (void)state;
        begin(&w, 10, 10);
        for (unsigned i = 0; i < 4; i++)
                take_all(&w, owners[i], i + 1);
        w.now_ms += SHARES_YOUNG_MS - 1;
        assert_int_equal(find(&w, "e", &victim), OWNERS_E_FULL); /* of all too little is known */
        w.now_ms++;
        for (unsigned i = 0; i < 10; i++)
                w.places[i].moved = 1000 - i;
        w.places[7].moved = 1; /* of d, whose places are 6 to 9 */
        w.places[0].moved = 0; /* slower, but of who holds one */
        assert_int_equal(find(&w, "e", &victim), 0);
        assert_ptr_equal(victim, &w.places[7]);
        w.places[7].whole = true; /* what has come is not taken away */
        assert_int_equal(find(&w, "e", &victim), 0);
        assert_ptr_equal(victim, &w.places[9]);
        assert_int_equal(find(&w, "b", &victim), 0); /* two against four */
        assert_ptr_equal(victim, &w.places[9]);
        assert_int_equal(find(&w, "c", &victim), OWNERS_E_FULL); /* three: they would take it from each other in turn */
        end(&w);
}

/* However fast one account comes back, the others' places are safe from it, and none is taken in a circle. */
static void test_nobody_goes_in_circles(void **state)
{
        struct share *victim;
        struct world w;
        char owner[8];

        (void)state;
        begin(&w, PLACES, SHARE);
        for (unsigned i = 0; i < PLACES; i++) {
                (void)snprintf(owner, sizeof(owner), "u%u", i % 32);
                (void)take(&w, owner);
        }
        w.now_ms += SHARES_YOUNG_MS;
        for (unsigned i = 0; i < 32; i++) {
                (void)snprintf(owner, sizeof(owner), "u%u", i);
                assert_int_equal(find(&w, owner, &victim), OWNERS_E_FULL);
        }
        assert_int_equal(find(&w, "new", &victim), 0);
        assert_non_null(victim);
        end(&w);
}

/* The rate of late counts, not that of the beginning */
static void test_who_was_fast_once(void **state)
{
        struct share *was, *is, *victim;
        struct world w;

        (void)state;
        begin(&w, 2, 2);
        was = take(&w, "a");
        is = take(&w, "a");
        was->moved = 1 << 30;
        for (unsigned i = 0; i < 3; i++) {
                w.now_ms += 10000;
                is->moved += 500000;
                assert_int_equal(share_slow(was, 16384, 10000, w.now_ms), i > 0);
                assert_false(share_slow(is, 16384, 10000, w.now_ms));
        }
        w.now_ms += 1000;
        assert_int_equal(find(&w, "b", &victim), 0);
        assert_ptr_equal(victim, was);
        end(&w);
}

static void test_windows(void **state)
{
        struct world w;
        struct share *p;

        (void)state;
        begin(&w, 4, 4);
        p = take(&w, "a");
        w.now_ms += 9999;
        assert_false(share_slow(p, 100, 10000, w.now_ms)); /* not before its end */
        w.now_ms++;
        p->moved = 1000;
        assert_false(share_slow(p, 100, 10000, w.now_ms)); /* exactly enough */
        w.now_ms += 10000;
        p->moved += 999;
        assert_true(share_slow(p, 100, 10000, w.now_ms));
        w.now_ms += 15000; /* looked at late: as much more is asked for */
        p->moved += 1499;
        assert_true(share_slow(p, 100, 10000, w.now_ms));
        w.now_ms += 15000;
        p->moved += 1500;
        assert_false(share_slow(p, 100, 10000, w.now_ms));
        w.now_ms += 9000;
        share_waited(p, w.now_ms); /* for us: that time does not count */
        w.now_ms += 9000;
        assert_false(share_slow(p, 100, 10000, w.now_ms));
        w.now_ms += 1000;
        assert_true(share_slow(p, 100, 10000, w.now_ms));
        w.now_ms += 10000;
        assert_false(share_slow(p, 0, 10000, w.now_ms)); /* no floor */
        p->whole = true;
        w.now_ms += 10000;
        assert_false(share_slow(p, 100, 10000, w.now_ms));
        end(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_share),
                cmocka_unit_test(test_the_slowest_of_whom_holds_most),
                cmocka_unit_test(test_nobody_goes_in_circles),
                cmocka_unit_test(test_who_was_fast_once),
                cmocka_unit_test(test_windows),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
