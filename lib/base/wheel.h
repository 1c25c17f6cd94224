/* A timer wheel: O(1) to arm, to disarm and per tick. Time is whatever the caller counts, in milliseconds, monotonic.
 *
 * Timers are embedded in their owner. A timer fires once, not before its time and at most one tick late
 * (seen from wheel_advance being called at least once a tick). Not thread-safe. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wheel;
struct wheel_timer;
typedef void (*wheel_func)(struct wheel_timer *timer, uint64_t now_ms);

struct wheel_timer {
        struct wheel_timer *prev, *next; /* NULL: not armed */
        uint64_t due_ms;                 /* as armed; the next tick when that was in the past */
        wheel_func func;
};

/* tick_ms: resolution, above 0; n_slots: a power of two; longer times wrap around and are looked at once a round.
 * 0, -EINVAL, -ENOMEM. */
int wheel_new(struct wheel **ret_wheel, uint64_t now_ms, uint32_t tick_ms, uint32_t n_slots);
void wheel_free(struct wheel *w); /* armed timers are forgotten: they count as not armed. Not from a func. */
/* Arms (or moves) a timer. func may re-arm, arm others, disarm others, and free the timer's owner.
 * A timer armed for the past fires at the next tick, and one armed by a func never in the same wheel_advance. */
void wheel_arm(struct wheel *w, struct wheel_timer *t, uint64_t due_ms, wheel_func func);
void wheel_disarm(struct wheel_timer *t); /* fine when not armed */
static inline bool wheel_armed(const struct wheel_timer *t)
{
        return t->next != NULL;
}
/* Fires what is due. Returns how many fired. A time that goes back does nothing. Not from a func. */
unsigned wheel_advance(struct wheel *w, uint64_t now_ms);
