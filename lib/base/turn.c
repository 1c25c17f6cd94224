#include "base/turn.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <uv.h>

struct turn {
        uv_prepare_t prepare;
        uint64_t ended_ns, idle_ns; /* of the turn before; the time that the loop had waited by then */
        bool started;               /* the first turn has begun */
        void (*on_turn)(double seconds, void *userdata);
        void *userdata;
};

static void on_prepare(uv_prepare_t *handle)
{
        struct turn *t = handle->data;
        uint64_t now = uv_hrtime(), idle = uv_metrics_idle_time(handle->loop), took;

        took = now - t->ended_ns - (idle - t->idle_ns);
        t->ended_ns = now;
        t->idle_ns = idle;
        if (t->started)
                t->on_turn((double)took / 1e9, t->userdata);
        t->started = true;
}

int turn_new(struct turn **ret_turn, uv_loop_t *loop, void (*on_turn)(double seconds, void *userdata), void *userdata)
{
        struct turn *t = calloc(1, sizeof(*t));
        int r;

        if (!t)
                return -ENOMEM;
        r = uv_loop_configure(loop, UV_METRICS_IDLE_TIME);
        if (r < 0) {
                free(t);
                return r;
        }
        t->on_turn = on_turn;
        t->userdata = userdata;
        uv_prepare_init(loop, &t->prepare);
        t->prepare.data = t;
        uv_prepare_start(&t->prepare, on_prepare);
        uv_unref((uv_handle_t *)&t->prepare);
        *ret_turn = t;
        return 0;
}

static void on_closed(uv_handle_t *handle)
{
        free(handle->data);
}

void turn_close(struct turn *t)
{
        if (t)
                uv_close((uv_handle_t *)&t->prepare, on_closed);
}
