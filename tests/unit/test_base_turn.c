/* What blocks a loop shows, wherever it blocks; waiting does not. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/buf.h"
#include "base/metrics.h"
#include "base/turn.h"

#define STALL_NS UINT64_C(60000000)

struct world {
        uv_loop_t loop;
        struct turn *turn;
        uv_poll_t poll;
        uv_timer_t timer;
        double longest;
        unsigned turns;
};

static void on_turn(double seconds, void *userdata)
{
        struct world *w = userdata;

        w->turns++;
        if (seconds > w->longest)
                w->longest = seconds;
}

static void stall(void)
{
        uint64_t until = uv_hrtime() + STALL_NS;

        while (uv_hrtime() < until)
                ;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
        (void)status;
        (void)events;
        stall();
        uv_close((uv_handle_t *)poll, NULL);
}

static void on_timer(uv_timer_t *timer)
{
        uv_close((uv_handle_t *)timer, NULL);
}

static void world_init(struct world *w)
{
        *w = (struct world){0};
        assert_int_equal(uv_loop_init(&w->loop), 0);
        assert_int_equal(turn_new(&w->turn, &w->loop, on_turn, w), 0);
        uv_timer_init(&w->loop, &w->timer);
        uv_timer_start(&w->timer, on_timer, 200, 0);
}

static void world_run(struct world *w)
{
        uv_run(&w->loop, UV_RUN_DEFAULT);
        turn_close(w->turn);
        uv_run(&w->loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&w->loop), 0);
        assert_true(w->turns > 0);
}

/* The callback of a descriptor, which runs within the poll */
static void test_stalled_descriptor(void **state)
{
        struct world w;
        int fds[2];

        (void)state;
        world_init(&w);
        assert_int_equal(pipe(fds), 0);
        assert_int_equal(write(fds[1], "x", 1), 1);
        uv_poll_init(&w.loop, &w.poll, fds[0]);
        uv_poll_start(&w.poll, UV_READABLE, on_readable);
        world_run(&w);
        assert_true(w.longest >= (double)STALL_NS / 1e9);
        close(fds[0]);
        close(fds[1]);
}

/* 200 ms of nothing to do are none of work */
static void test_waiting(void **state)
{
        struct world w;

        (void)state;
        world_init(&w);
        world_run(&w);
        assert_true(w.longest < 0.15);
}

/* The names are the service's, and every turn is in the histogram */
static void test_measured(void **state)
{
        struct world w;
        struct buf out = BUF_INIT(1 << 20);
        const char *count;

        (void)state;
        world_init(&w);
        turn_close(w.turn);
        assert_int_equal(turn_measure(&w.turn, &w.loop, "test"), 0);
        w.turns = 1; /* on_turn is not asked */
        world_run(&w);
        assert_int_equal(metrics_write(&out), 0);
        assert_int_equal(buf_append(&out, "", 1), 0);
        assert_non_null(strstr((char *)out.data, "\nparley_test_loop_turn_max_seconds "));
        count = strstr((char *)out.data, "\nparley_test_loop_turn_seconds_count ");
        assert_non_null(count);
        assert_true(strtod(strchr(count, ' '), NULL) > 0);
        buf_done(&out);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_stalled_descriptor),
                cmocka_unit_test(test_waiting),
                cmocka_unit_test(test_measured),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
