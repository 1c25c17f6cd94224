#include "base/ticker.h"

#include <stdlib.h>
#include <uv.h>

struct ticker {
        uv_timer_t timer;
        void (*func)(void *userdata);
        void *userdata;
};

static void on_timer(uv_timer_t *timer)
{
        struct ticker *t = timer->data;

        t->func(t->userdata);
}

struct ticker *ticker_new(uv_loop_t *loop, void (*func)(void *userdata), void *userdata)
{
        struct ticker *t = calloc(1, sizeof(*t));

        if (!t)
                return NULL;
        t->func = func;
        t->userdata = userdata;
        (void)uv_timer_init(loop, &t->timer);
        t->timer.data = t;
        return t;
}

void ticker_start(struct ticker *t, uint64_t delay_ms, uint64_t repeat_ms)
{
        (void)uv_timer_start(&t->timer, on_timer, delay_ms, repeat_ms);
}

void ticker_stop(struct ticker *t)
{
        (void)uv_timer_stop(&t->timer);
}

bool ticker_active(const struct ticker *t)
{
        return uv_is_active((const uv_handle_t *)&t->timer);
}

static void on_closed(uv_handle_t *handle)
{
        free(handle->data);
}

void ticker_free(struct ticker *t)
{
        if (t)
                uv_close((uv_handle_t *)&t->timer, on_closed);
}
