/* That the process is to end: SIGTERM and SIGINT, on a loop. */
#pragma once

#include <uv.h>

struct signals {
        uv_signal_t handles[2];
        void (*on_signal)(int number, void *userdata);
        void *userdata;
};

/* Before anything is opened that may fail: what was initialised must be closed. s must live until the loop has ended. */
void signals_init(struct signals *s, uv_loop_t *loop);
/* on_signal: for each that comes, from the loop; it may come again while the service stops. Negative errno */
int signals_start(struct signals *s, void (*on_signal)(int number, void *userdata), void *userdata);
void signals_close(struct signals *s);
