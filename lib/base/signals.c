#include "base/signals.h"

#include <signal.h>

#include "base/cleanup.h"

void signals_init(struct signals *s, uv_loop_t *loop)
{
        for (unsigned i = 0; i < ARRAY_SIZE(s->handles); i++) {
                (void)uv_signal_init(loop, &s->handles[i]);
                s->handles[i].data = s;
        }
}

static void on_caught(uv_signal_t *handle, int number)
{
        const struct signals *s = handle->data;

        s->on_signal(number, s->userdata);
}

int signals_start(struct signals *s, void (*on_signal)(int number, void *userdata), void *userdata)
{
        static const int numbers[] = {SIGTERM, SIGINT};
        int r = 0;

        s->on_signal = on_signal;
        s->userdata = userdata;
        for (unsigned i = 0; r == 0 && i < ARRAY_SIZE(s->handles); i++)
                r = uv_signal_start(&s->handles[i], on_caught, numbers[i]);
        return r;
}

void signals_close(struct signals *s)
{
        for (unsigned i = 0; i < ARRAY_SIZE(s->handles); i++)
                uv_close((uv_handle_t *)&s->handles[i], NULL);
}
