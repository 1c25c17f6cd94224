/* How long the turns of a loop take: everything between two waits for the kernel, callbacks of descriptors too, which run
 * before any uv_check. */
#pragma once

typedef struct uv_loop_s uv_loop_t;
struct turn;

/* on_turn: at the end of each turn but the first, with what it took without the waiting. Switches UV_METRICS_IDLE_TIME of the loop
 * on: to be called before uv_run. Does not keep the loop alive. Negative errno */
int turn_new(struct turn **ret_turn, uv_loop_t *loop, void (*on_turn)(double seconds, void *userdata), void *userdata);
/* The same, measured: parley_<service>_loop_turn_seconds and …_loop_turn_max_seconds. Once in a process. */
int turn_measure(struct turn **ret_turn, uv_loop_t *loop, const char *service);
/* No on_turn after this; frees itself on the loop. NULL is fine. */
void turn_close(struct turn *t);
