#include "unit.h"

#include <errno.h>

#include "base/wheel.h"

struct shot {
        struct wheel_timer timer; /* first: a timer is its shot */
        uint64_t fired_at;
        unsigned n_fired;
};

static void on_shot(struct wheel_timer *timer, uint64_t now_ms)
{
        struct shot *s = (struct shot *)timer;

        assert_false(wheel_armed(timer));
        s->fired_at = now_ms;
        s->n_fired++;
}

static void test_new(void **state)
{
        struct wheel *w = NULL;

        (void)state;
        assert_int_equal(wheel_new(&w, 0, 0, 8), -EINVAL);
        assert_int_equal(wheel_new(&w, 0, 10, 0), -EINVAL);
        assert_int_equal(wheel_new(&w, 0, 10, 12), -EINVAL);
        assert_null(w);
        assert_int_equal(wheel_new(&w, 0, 10, 1), 0);
        wheel_free(w);
        wheel_free(NULL);
}

static void test_once_and_in_time(void **state)
{
        struct wheel *w;
        struct shot s = {0};

        (void)state;
        assert_int_equal(wheel_new(&w, 1003, 10, 8), 0);
        wheel_arm(w, &s.timer, 1025, on_shot);
        assert_true(wheel_armed(&s.timer));
        assert_int_equal(wheel_advance(w, 1010), 0);
        assert_int_equal(wheel_advance(w, 1024), 0);
        assert_int_equal(wheel_advance(w, 1029), 0);
        assert_int_equal(wheel_advance(w, 1030), 1);
        assert_int_equal(s.fired_at, 1030);
        assert_false(wheel_armed(&s.timer));
        assert_int_equal(wheel_advance(w, 5000), 0);
        assert_int_equal(s.n_fired, 1);
        wheel_free(w);
}

/* For the past, for now, and for the end of time */
static void test_edges_of_time(void **state)
{
        struct wheel *w;
        struct shot past = {0}, now = {0}, never = {0};

        (void)state;
        assert_int_equal(wheel_new(&w, 1000, 10, 8), 0);
        wheel_arm(w, &past.timer, 0, on_shot);
        wheel_arm(w, &now.timer, 1000, on_shot);
        wheel_arm(w, &never.timer, UINT64_MAX, on_shot);
        assert_int_equal(wheel_advance(w, 1009), 0);
        assert_int_equal(wheel_advance(w, 1010), 2);
        assert_int_equal(wheel_advance(w, UINT64_C(1) << 60), 0);
        assert_true(wheel_armed(&never.timer));
        assert_int_equal(wheel_advance(w, 500), 0); /* back: nothing happens */
        wheel_free(w);
        assert_false(wheel_armed(&never.timer));
        wheel_disarm(&never.timer);
}

static void test_longer_than_a_round(void **state)
{
        struct wheel *w;
        struct shot s[3] = {{{0}, 0, 0}};

        (void)state;
        assert_int_equal(wheel_new(&w, 0, 10, 8), 0); /* a round is 80 ms */
        wheel_arm(w, &s[0].timer, 20, on_shot);
        wheel_arm(w, &s[1].timer, 100, on_shot);
        wheel_arm(w, &s[2].timer, 820, on_shot);
        for (uint64_t t = 10; t < 1000; t += 10)
                wheel_advance(w, t);
        assert_int_equal(s[0].fired_at, 20);
        assert_int_equal(s[1].fired_at, 100);
        assert_int_equal(s[2].fired_at, 820);
        wheel_free(w);
}

static void test_rearm_moves(void **state)
{
        struct wheel *w;
        struct shot s = {0};

        (void)state;
        assert_int_equal(wheel_new(&w, 0, 10, 8), 0);
        wheel_arm(w, &s.timer, 50, on_shot);
        wheel_arm(w, &s.timer, 200, on_shot);
        assert_int_equal(wheel_advance(w, 190), 0);
        wheel_arm(w, &s.timer, 195, on_shot);
        assert_int_equal(wheel_advance(w, 200), 1);
        assert_int_equal(wheel_advance(w, 400), 0);
        wheel_disarm(&s.timer);
        wheel_free(w);
}

struct busy {
        struct wheel_timer timer;
        struct wheel *wheel;
        struct busy *neighbours[3];
        struct busy *freed;
        unsigned n_fired;
        uint64_t again_in;
};

static void on_busy(struct wheel_timer *timer, uint64_t now_ms)
{
        struct busy *b = (struct busy *)timer;

        b->n_fired++;
        for (unsigned i = 0; i < 3; i++)
                if (b->neighbours[i])
                        wheel_disarm(&b->neighbours[i]->timer);
        if (b->freed) {
                wheel_disarm(&b->freed->timer);
                free(b->freed);
                b->freed = NULL;
        }
        if (b->again_in != UINT64_MAX)
                wheel_arm(b->wheel, &b->timer, now_ms + b->again_in, on_busy);
}

/* All three are due in one slot: the first disarms one neighbour and frees the other */
static void test_disarm_and_free_in_func(void **state)
{
        struct wheel *w;
        struct busy a = {.again_in = UINT64_MAX}, b = {.again_in = UINT64_MAX};
        struct busy *c = calloc(1, sizeof(*c));

        (void)state;
        assert_non_null(c);
        assert_int_equal(wheel_new(&w, 0, 10, 8), 0);
        a.neighbours[0] = &a;
        a.neighbours[1] = &b;
        a.freed = c;
        wheel_arm(w, &a.timer, 10, on_busy);
        wheel_arm(w, &b.timer, 10, on_busy);
        wheel_arm(w, &c->timer, 10, on_busy);
        assert_int_equal(wheel_advance(w, 10), 1);
        assert_int_equal(b.n_fired, 0);
        assert_int_equal(wheel_advance(w, 1000), 0);
        wheel_free(w);
}

static void on_free_owner(struct wheel_timer *timer, uint64_t now_ms)
{
        (void)now_ms;
        free(timer);
}

static void test_free_itself_in_func(void **state)
{
        struct wheel *w;

        (void)state;
        assert_int_equal(wheel_new(&w, 0, 10, 4), 0);
        for (unsigned i = 0; i < 100; i++) {
                struct wheel_timer *t = calloc(1, sizeof(*t));

                assert_non_null(t);
                wheel_arm(w, t, i, on_free_owner);
        }
        assert_int_equal(wheel_advance(w, 1000), 100);
        wheel_free(w);
}

/* A timer that arms itself for "now" must not hold the loop, not even when many ticks are served at once */
static void test_rearm_in_func(void **state)
{
        struct wheel *w;
        struct busy b = {.again_in = 0};

        (void)state;
        assert_int_equal(wheel_new(&w, 0, 10, 8), 0);
        b.wheel = w;
        wheel_arm(w, &b.timer, 10, on_busy);
        assert_int_equal(wheel_advance(w, 10), 1);
        assert_int_equal(wheel_advance(w, 5000), 1);
        assert_int_equal(wheel_advance(w, 5009), 0);
        assert_int_equal(wheel_advance(w, 5010), 1);
        assert_int_equal(b.n_fired, 3);
        wheel_free(w);
}

/* The model: each timer's due time or none; every operation and every firing is checked against it. */
#define MODEL_TIMERS 200
#define MODEL_TICK 16

struct model_timer {
        struct wheel_timer timer;
        struct model *model;
        bool armed;
        uint64_t due, armed_at;
};

struct model {
        struct wheel *wheel;
        struct model_timer timers[MODEL_TIMERS];
        uint64_t now, seed;
        unsigned n_fired;
};

static void on_model(struct wheel_timer *timer, uint64_t now_ms);

static void model_arm(struct model *m, struct model_timer *t)
{
        static const uint64_t spans[] = {1, 20, 300, 5000, 100000};
        uint64_t span = spans[unit_random(&m->seed) % 5], due = m->now + unit_random(&m->seed) % span;

        if (unit_random(&m->seed) % 10 == 0)
                due = unit_random(&m->seed) % (m->now + 1); /* in the past */
        wheel_arm(m->wheel, &t->timer, due, on_model);
        t->armed = true;
        t->due = due;
        t->armed_at = m->now;
}

static void model_disarm(struct model_timer *t)
{
        wheel_disarm(&t->timer);
        t->armed = false;
}

static void model_random_operation(struct model *m)
{
        struct model_timer *t = &m->timers[unit_random(&m->seed) % MODEL_TIMERS];

        assert_int_equal(wheel_armed(&t->timer), t->armed);
        if (unit_random(&m->seed) % 3 == 0)
                model_disarm(t);
        else
                model_arm(m, t);
}

static void on_model(struct wheel_timer *timer, uint64_t now_ms)
{
        struct model_timer *t = (struct model_timer *)timer;
        struct model *m = t->model;

        assert_true(now_ms == m->now);
        assert_true(t->armed);
        assert_true(t->due <= now_ms); /* not before its time */
        t->armed = false;
        m->n_fired++;
        while (unit_random(&m->seed) % 2)
                model_random_operation(m);
}

/* Nothing that is due for a tick or more is left. What was armed in this very call may wait for the next. */
static void model_check(const struct model *m, bool strict)
{
        for (unsigned i = 0; i < MODEL_TIMERS; i++) {
                const struct model_timer *t = &m->timers[i];
                uint64_t from = t->due > t->armed_at ? t->due : t->armed_at;

                assert_int_equal(wheel_armed(&t->timer), t->armed);
                if (t->armed && strict && t->armed_at != m->now)
                        assert_true(m->now < from + MODEL_TICK);
        }
}

static void run_model(uint64_t seed, uint32_t n_slots)
{
        struct model *m = calloc(1, sizeof(*m));
        unsigned fired = 0;

        assert_non_null(m);
        m->seed = seed;
        m->now = 12345;
        assert_int_equal(wheel_new(&m->wheel, m->now, MODEL_TICK, n_slots), 0);
        for (unsigned i = 0; i < MODEL_TIMERS; i++)
                m->timers[i].model = m;
        for (unsigned i = 0; i < 5000; i++) {
                unsigned n;

                m->now += unit_random(&m->seed) % (unit_random(&m->seed) % 50 ? 2 * MODEL_TICK : 20000);
                n = wheel_advance(m->wheel, m->now);
                fired += n;
                assert_int_equal(fired, m->n_fired);
                model_check(m, true);
                for (unsigned k = unit_random(&m->seed) % 5; k > 0; k--)
                        model_random_operation(m);
                model_check(m, false);
        }
        assert_true(fired > 1000);
        wheel_free(m->wheel);
        for (unsigned i = 0; i < MODEL_TIMERS; i++)
                assert_false(wheel_armed(&m->timers[i].timer));
        free(m);
}

static void test_model(void **state)
{
        (void)state;
        run_model(10, 1);
        run_model(11, 2);
        run_model(12, 64);
        run_model(13, 64);
        run_model(14, 8192);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_new),
                cmocka_unit_test(test_once_and_in_time),
                cmocka_unit_test(test_edges_of_time),
                cmocka_unit_test(test_longer_than_a_round),
                cmocka_unit_test(test_rearm_moves),
                cmocka_unit_test(test_disarm_and_free_in_func),
                cmocka_unit_test(test_free_itself_in_func),
                cmocka_unit_test(test_rearm_in_func),
                cmocka_unit_test(test_model),
        };
        return cmocka_run_group_tests_name("base/wheel", tests, NULL, NULL);
}
