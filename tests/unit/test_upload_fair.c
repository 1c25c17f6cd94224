/* What waits for one worker: in turn by user, nobody more than his share, room made by whoever has most. */
#include "unit.h"

#include "upload/fair.h"

enum { PLACES = 8, SHARE = 4, ROUNDS = 20000 };

struct work {
        struct fair_item item;
        const char *owner;
        unsigned number; /* in the order in which they joined */
};

struct world {
        struct fair fair;
        struct work works[64];
        unsigned n;
};

static void begin(struct world *w)
{
        *w = (struct world){.fair = {.max = PLACES, .max_owner = SHARE}};
}

static struct work *of(struct fair_item *item)
{
        return item ? (struct work *)((char *)item - offsetof(struct work, item)) : NULL;
}

static int join(struct world *w, const char *owner, struct work **ret_victim)
{
        struct work *work = &w->works[w->n];
        struct fair_item *victim = &work->item; /* not written where it is refused */
        int r;

        assert_true(w->n < 64);
        *work = (struct work){.owner = owner, .number = w->n};
        r = fair_join(&w->fair, &work->item, owner, &victim);
        if (r == 0)
                w->n++;
        else
                assert_ptr_equal(victim, &work->item);
        *ret_victim = r == 0 ? of(victim) : NULL;
        return r;
}

static void joins(struct world *w, const char *owner, unsigned n)
{
        struct work *victim;

        for (unsigned i = 0; i < n; i++) {
                assert_int_equal(join(w, owner, &victim), 0);
                assert_null(victim);
        }
}

static void next_is(struct world *w, unsigned number)
{
        struct work *work = of(fair_next(&w->fair));

        assert_non_null(work);
        assert_int_equal(work->number, number);
        assert_null(work->item.owner);
}

static void none(struct world *w)
{
        assert_null(fair_next(&w->fair));
        assert_int_equal(w->fair.n, 0);
        assert_null(w->fair.owners);
}

static void test_in_turn(void **state)
{
        struct world w;

        (void)state;
        begin(&w);
        none(&w);
        joins(&w, "mallory", 3); /* 0 1 2 */
        joins(&w, "ann", 2);     /* 3 4 */
        next_is(&w, 0);
        joins(&w, "bob", 1); /* 5: behind mallory, whose turn is over */
        next_is(&w, 3);
        next_is(&w, 1);
        joins(&w, "ann", 1); /* 6 */
        next_is(&w, 5);
        next_is(&w, 4);
        next_is(&w, 2);
        next_is(&w, 6);
        none(&w);
}

static void test_a_share(void **state)
{
        struct work *victim;
        struct world w;

        (void)state;
        begin(&w);
        joins(&w, "mallory", SHARE);
        assert_int_equal(join(&w, "mallory", &victim), FAIR_E_OWNER);
        next_is(&w, 0);
        joins(&w, "mallory", 1);
        for (unsigned i = 1; i <= SHARE; i++)
                next_is(&w, i);
        none(&w);
}

static void test_room_is_made(void **state)
{
        struct work *victim;
        struct world w;

        (void)state;
        begin(&w);
        joins(&w, "mallory", SHARE);                   /* 0 to 3 */
        joins(&w, "eve", SHARE - 1);                   /* 4 to 6 */
        joins(&w, "ann", 1);                           /* 7 */
        assert_int_equal(join(&w, "bob", &victim), 0); /* 8 */
        assert_int_equal(victim->number, 3);
        assert_null(victim->item.owner);
        assert_int_equal(join(&w, "bob", &victim), 0); /* 9: mallory and eve have three; bob has one */
        assert_int_equal(victim->number, 2);
        assert_int_equal(join(&w, "ann", &victim), 0); /* 10 */
        assert_int_equal(victim->number, 6);
        assert_int_equal(join(&w, "ann", &victim), FAIR_E_FULL); /* all have two */
        assert_int_equal(w.fair.n, PLACES);
        next_is(&w, 0);
        next_is(&w, 4);
        next_is(&w, 7);
        next_is(&w, 8);
        next_is(&w, 1);
        next_is(&w, 5);
        next_is(&w, 10);
        next_is(&w, 9);
        none(&w);
}

/* At random: counts are right, shares are kept, each user's come out in his order, and nobody waits for more than one of each other user */
static void test_model(void **state)
{
        static const char *const names[] = {"a", "b", "c", "d", "e"};
        struct fair f = {.max = PLACES, .max_owner = SHARE};
        struct work works[64] = {0};
        unsigned waits[5] = {0}, passed[5] = {0}, n = 0;
        uint64_t seed = 7;

        (void)state;
        for (unsigned round = 0; round < ROUNDS; round++) {
                unsigned who = (unsigned)(unit_random(&seed) % 5), i = 0;
                struct fair_item *victim = NULL;
                struct work *done = NULL;

                while (works[i].item.owner)
                        i++;
                if (unit_random(&seed) % 5 < 3) {
                        works[i] = (struct work){.owner = names[who], .number = round};
                        if (fair_join(&f, &works[i].item, names[who], &victim) == 0) {
                                if (waits[who]++ == 0)
                                        passed[who] = 0;
                                n++;
                                done = of(victim);
                                if (done)
                                        assert_true(waits[*done->owner - 'a'] > waits[who]);
                        }
                } else {
                        done = of(fair_next(&f));
                        assert_true((done != NULL) == (n > 0));
                        for (unsigned j = 0; done && j < 5; j++)
                                passed[j]++;
                        if (done)
                                passed[*done->owner - 'a'] = 0;
                }
                if (done) {
                        waits[*done->owner - 'a']--;
                        n--;
                        for (i = 0; !victim && i < 64; i++)
                                assert_false(works[i].item.owner && works[i].owner == done->owner &&
                                             works[i].number < done->number);
                }
                assert_int_equal(f.n, n);
                for (unsigned j = 0; j < 5; j++)
                        assert_true(waits[j] <= SHARE && (waits[j] == 0 || passed[j] < 5));
        }
        while (fair_next(&f))
                n--;
        assert_int_equal(n, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_in_turn),
                cmocka_unit_test(test_a_share),
                cmocka_unit_test(test_room_is_made),
                cmocka_unit_test(test_model),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
