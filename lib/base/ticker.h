/* A timer on the loop, for those who know the loop only through this. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct uv_loop_s uv_loop_t;

struct ticker;

/* NULL without memory */
struct ticker *ticker_new(uv_loop_t *loop, void (*func)(void *userdata), void *userdata);
/* Calls func after delay_ms (0: in the next turn), then every repeat_ms (0: once). Anew when it runs already. */
void ticker_start(struct ticker *t, uint64_t delay_ms, uint64_t repeat_ms);
void ticker_stop(struct ticker *t);
bool ticker_active(const struct ticker *t);
/* func is not called any more; may be called from within it. NULL is fine. */
void ticker_free(struct ticker *t);
