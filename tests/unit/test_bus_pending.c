#include "bus/pending.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct seen {
        unsigned n;
        int error;
        struct pending *end;  /* to be ended from within */
        struct pendings *add; /* one more from within */
        struct pending *added;
};

static void func(struct pending *p, int error, const struct bus_msg *msg, const struct conn_extra *extra)
{
        struct seen *s = p->context;

        assert_true((error == 0) == (msg != NULL));
        (void)extra;
        s->n++;
        s->error = error;
        if (s->end != NULL)
                pending_end(s->end);
        if (s->add != NULL) {
                assert_int_equal(pending_add(s->add, 0, 1000, func, &s->added), 0);
                s->added->context = s;
                assert_ptr_not_equal(s->added, p); /* the one that runs is not given away */
        }
}

static struct pending *add(struct pendings *t, uint64_t now, uint32_t timeout, struct seen *s)
{
        struct pending *p;

        assert_int_equal(pending_add(t, now, timeout, func, &p), 0);
        p->context = s;
        return p;
}

static const struct bus_msg message;

static void test_answers_once(void **state)
{
        struct pendings t;
        struct seen s = {0};

        (void)state;
        assert_int_equal(pendings_init(&t, 0), 0);
        struct pending *p = add(&t, 0, 1000, &s);
        uint64_t id = p->id;
        assert_ptr_equal(pending_find(&t, id), p);
        pending_answer(p, &message, NULL);
        assert_int_equal(s.n, 1);
        assert_null(pending_find(&t, id));
        assert_int_equal(t.n, 0);
        /* the slot is used again, the number is not */
        struct pending *q = add(&t, 0, 1000, &s);
        assert_ptr_equal(q, p);
        assert_true(q->id != id);
        assert_null(pending_find(&t, id));
        pending_end(q);
        pendings_advance(&t, 5000);
        assert_int_equal(s.n, 1); /* ended: no call */
        pendings_done(&t);
}

static void test_unknown_numbers(void **state)
{
        struct pendings t;
        struct seen s = {0};

        (void)state;
        assert_int_equal(pendings_init(&t, 0), 0);
        assert_null(pending_find(&t, 0));
        assert_null(pending_find(&t, UINT64_MAX));
        struct pending *p = add(&t, 0, 1000, &s);
        assert_null(pending_find(&t, p->id + 1)); /* a free slot */
        assert_null(pending_find(&t, p->id + PENDING_MAX));
        assert_null(pending_find(&t, p->id & (PENDING_MAX - 1)));
        pending_end(p);
        pendings_done(&t);
}

static void test_timeout(void **state)
{
        struct pendings t;
        struct seen s = {0}, forever = {0};

        (void)state;
        assert_int_equal(pendings_init(&t, 1000000), 0);
        add(&t, 1000000, 500, &s);
        struct pending *p = add(&t, 1000000, PENDING_FOREVER, &forever);
        assert_int_equal(pendings_advance(&t, 1000499), 0);
        assert_int_equal(s.n, 0);
        assert_int_equal(pendings_advance(&t, 1000520), 1);
        assert_true(s.n == 1 && s.error == BUS_E_TIMEOUT);
        assert_int_equal(pendings_advance(&t, 9000000), 0);
        assert_int_equal(forever.n, 0);
        pending_end(p);
        /* the clock went on while nothing waited */
        add(&t, 20000000, 500, &s);
        assert_int_equal(pendings_advance(&t, 20000100), 0);
        assert_int_equal(pendings_advance(&t, 20000520), 1);
        pendings_done(&t);
}

static void test_many(void **state)
{
        struct pendings t;
        struct seen s = {0};

        (void)state;
        assert_int_equal(pendings_init(&t, 0), 0);
        struct pending *p = add(&t, 0, 1000, &s);
        p->many = true;
        for (unsigned i = 1; i <= 3; i++) {
                pending_answer(p, &message, NULL);
                assert_int_equal(s.n, i);
        }
        assert_ptr_equal(pending_find(&t, p->id), p);
        s.end = p; /* from within its own call */
        uint64_t id = p->id;
        pending_answer(p, &message, NULL);
        assert_null(pending_find(&t, id));
        assert_int_equal(t.n, 0);
        pendings_done(&t);
}

static void test_fail_all(void **state)
{
        struct pendings t;
        struct seen plain = {0}, unknown = {0}, ends = {0}, victim = {0}, adds = {0};

        (void)state;
        assert_int_equal(pendings_init(&t, 0), 0);
        add(&t, 0, 1000, &plain);
        add(&t, 0, 1000, &unknown)->unknown = true;
        add(&t, 0, 1000, &ends);
        ends.end = add(&t, 0, 1000, &victim);
        add(&t, 0, 1000, &adds);
        adds.add = &t;
        pendings_fail(&t, BUS_E_DISCONNECTED);
        assert_true(plain.n == 1 && plain.error == BUS_E_DISCONNECTED);
        assert_true(unknown.n == 1 && unknown.error == BUS_E_TIMEOUT);
        assert_int_equal(ends.n, 1);
        assert_int_equal(victim.n, 0);
        assert_true(adds.n >= 1 && adds.n <= 2); /* what was added meanwhile may be ended too, not for ever */
        adds.add = NULL;
        pendings_fail(&t, BUS_E_DISCONNECTED);
        assert_int_equal(t.n, 0);
        pendings_done(&t);
}

static void test_add_in_timeout(void **state)
{
        struct pendings t;
        struct seen s = {0};

        (void)state;
        assert_int_equal(pendings_init(&t, 0), 0);
        add(&t, 0, 100, &s);
        s.add = &t;
        assert_int_equal(pendings_advance(&t, 200), 1);
        assert_int_equal(t.n, 1);
        s.add = NULL;
        pending_end(s.added);
        pendings_done(&t);
}

static void test_limit(void **state)
{
        struct pendings t;
        struct seen s = {0};
        struct pending *p = NULL;

        (void)state;
        assert_int_equal(pendings_init(&t, 0), 0);
        for (unsigned i = 0; i < PENDING_MAX; i++)
                add(&t, 0, 1000, &s);
        assert_int_equal(pending_add(&t, 0, 1000, func, &p), BUS_E_FULL);
        assert_null(p);
        pendings_fail(&t, BUS_E_DISCONNECTED);
        assert_int_equal(s.n, PENDING_MAX);
        assert_int_equal(t.n, 0);
        pendings_done(&t);
}

static void test_id_text(void **state)
{
        static const uint64_t ids[] = {1, 15, 16, 0x40000, 0x123456789abcdef0, UINT64_MAX};
        char text[PENDING_ID_LEN + 1];

        (void)state;
        for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
                size_t n = pending_id_format(ids[i], text);
                assert_int_equal(n, strlen(text));
                assert_true(pending_id_parse(text, n) == ids[i]);
        }
        assert_int_equal(pending_id_format(0xab, text), 2);
        assert_string_equal(text, "ab");
        assert_int_equal(pending_id_parse("", 0), 0);
        assert_int_equal(pending_id_parse("0x1", 3), 0);
        assert_int_equal(pending_id_parse("AB", 2), 0);
        assert_int_equal(pending_id_parse("11111111111111111", 17), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_answers_once),   cmocka_unit_test(test_unknown_numbers),
                cmocka_unit_test(test_timeout),        cmocka_unit_test(test_many),
                cmocka_unit_test(test_fail_all),       cmocka_unit_test(test_limit),
                cmocka_unit_test(test_add_in_timeout), cmocka_unit_test(test_id_text),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
