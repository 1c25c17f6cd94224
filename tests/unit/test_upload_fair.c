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
        *w = (struct world){.fair = {.owners = {.max = PLACES, .max_owner = SHARE}}};
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

/* For this one that one goes */
static void joins_for(struct world *w, const char *owner, unsigned number)
{
        struct work *victim;

        assert_int_equal(join(w, owner, &victim), 0);
        assert_ptr_equal(victim, &w->works[number]);
        assert_null(w->works[number].item.owner);
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
        assert_int_equal(w->fair.owners.n, 0);
        assert_null(w->fair.owners.all);
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
        assert_int_equal(join(&w, "mallory", &victim), OWNERS_E_OWNER);
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
        joins(&w, "mallory", SHARE);                               /* 0 to 3 */
        joins(&w, "eve", SHARE - 1);                               /* 4 to 6 */
        joins(&w, "ann", 1);                                       /* 7 */
        joins_for(&w, "bob", 3);                                   /* 8 */
        joins_for(&w, "bob", 2);                                   /* 9: mallory and eve have three; bob has one */
        joins_for(&w, "ann", 6);                                   /* 10 */
        assert_int_equal(join(&w, "ann", &victim), OWNERS_E_FULL); /* all have two */
        assert_int_equal(w.fair.owners.n, PLACES);
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

/* --- at random --- */

enum { USERS = 5 };

struct model {
        struct fair fair;
        struct work works[PLACES + 1];
        unsigned waits[USERS];  /* of each user */
        unsigned passed[USERS]; /* how many others came since he did, or since it was his turn */
        unsigned n;
};

static unsigned user_of(const struct work *work)
{
        return (unsigned)(*work->owner - 'a');
}

static void gone(struct model *m, const struct work *work)
{
        m->waits[user_of(work)]--;
        m->n--;
}

static void model_join(struct model *m, const char *owner, unsigned number)
{
        struct fair_item *victim = NULL;
        struct work *work = m->works;
        unsigned who;

        while (work->item.owner)
                work++;
        *work = (struct work){.owner = owner, .number = number};
        if (fair_join(&m->fair, &work->item, owner, &victim) != 0)
                return;
        who = user_of(work);
        if (m->waits[who]++ == 0)
                m->passed[who] = 0;
        m->n++;
        if (!victim)
                return;
        assert_true(m->waits[user_of(of(victim))] > m->waits[who]);
        gone(m, of(victim));
}

static void model_next(struct model *m)
{
        const struct work *work = of(fair_next(&m->fair));

        assert_true((work != NULL) == (m->n > 0));
        if (!work)
                return;
        for (unsigned i = 0; i < USERS; i++)
                m->passed[i]++;
        m->passed[user_of(work)] = 0;
        gone(m, work);
        for (unsigned i = 0; i <= PLACES; i++) /* it was his oldest */
                assert_false(m->works[i].item.owner && m->works[i].owner == work->owner &&
                             m->works[i].number < work->number);
}

/* Counts are right, shares are kept, each user's come out in his order, and nobody waits for more than one of each other user */
static void test_model(void **state)
{
        static const char *const names[USERS] = {"a", "b", "c", "d", "e"};
        struct model m = {.fair = {.owners = {.max = PLACES, .max_owner = SHARE}}};
        uint64_t seed = 7;

        (void)state;
        for (unsigned round = 0; round < ROUNDS; round++) {
                const char *owner = names[unit_random(&seed) % USERS];

                if (unit_random(&seed) % 5 < 3)
                        model_join(&m, owner, round);
                else
                        model_next(&m);
                assert_int_equal(m.fair.owners.n, m.n);
                for (unsigned i = 0; i < USERS; i++)
                        assert_true(m.waits[i] <= SHARE && (m.waits[i] == 0 || m.passed[i] < USERS));
        }
        while (m.n)
                model_next(&m);
        assert_null(m.fair.owners.all);
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
