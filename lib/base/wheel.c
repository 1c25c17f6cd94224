#include "base/wheel.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* A slot is a circular list with a head of its own. `tick` is the last tick that was served: whatever was due by then
 * has fired, or is in the slot of tick + 1. */
struct wheel {
        uint64_t tick;
        uint32_t tick_ms;
        uint32_t mask;
        bool advancing;
        struct wheel_timer slots[];
};

static void list_init(struct wheel_timer *head)
{
        head->prev = head;
        head->next = head;
}

static void list_append(struct wheel_timer *head, struct wheel_timer *t)
{
        t->prev = head->prev;
        t->next = head;
        head->prev->next = t;
        head->prev = t;
}

static void list_unlink(struct wheel_timer *t)
{
        assert(t->prev && t->next);
        t->prev->next = t->next;
        t->next->prev = t->prev;
        t->prev = NULL;
        t->next = NULL;
}

/* Moves everything from one list to the end of another, empty one */
static void list_take(struct wheel_timer *from, struct wheel_timer *to)
{
        list_init(to);
        if (from->next == from)
                return;
        to->next = from->next;
        to->prev = from->prev;
        to->next->prev = to;
        to->prev->next = to;
        list_init(from);
}

int wheel_new(struct wheel **ret_wheel, uint64_t now_ms, uint32_t tick_ms, uint32_t n_slots)
{
        struct wheel *w;

        if (tick_ms == 0 || n_slots == 0 || (n_slots & (n_slots - 1)) != 0)
                return -EINVAL;
        w = calloc(1, sizeof(*w) + n_slots * sizeof(w->slots[0]));
        if (!w)
                return -ENOMEM;
        w->tick_ms = tick_ms;
        w->tick = now_ms / tick_ms;
        w->mask = n_slots - 1;
        for (uint32_t i = 0; i < n_slots; i++)
                list_init(&w->slots[i]);
        *ret_wheel = w;
        return 0;
}

void wheel_free(struct wheel *w)
{
        if (!w)
                return;
        assert(!w->advancing);
        /* Owners may disarm their timers after the wheel is gone */
        for (uint32_t i = 0; i <= w->mask; i++)
                while (w->slots[i].next != &w->slots[i])
                        list_unlink(w->slots[i].next);
        free(w);
}

void wheel_arm(struct wheel *w, struct wheel_timer *t, uint64_t due_ms, wheel_func func)
{
        uint64_t tick = due_ms / w->tick_ms + (due_ms % w->tick_ms != 0);

        assert(func);
        wheel_disarm(t);
        t->due_ms = due_ms;
        t->func = func;
        if (tick <= w->tick) {
                /* That slot may still be served in this very wheel_advance: the time keeps the timer there */
                tick = w->tick + 1;
                t->due_ms = tick * w->tick_ms;
        }
        list_append(&w->slots[tick & w->mask], t);
}

void wheel_disarm(struct wheel_timer *t)
{
        if (wheel_armed(t))
                list_unlink(t);
}

/* Fires what is due by due_ms in one slot, and leaves the rest. The slot's list is taken out first and then emptied
 * from its front, so a timer's func may arm, disarm and free any timer, also its neighbours. */
static unsigned wheel_serve(struct wheel_timer *slot, uint64_t due_ms, uint64_t now_ms)
{
        struct wheel_timer todo;
        unsigned n = 0;

        list_take(slot, &todo);
        while (todo.next != &todo) {
                struct wheel_timer *t = todo.next;

                list_unlink(t);
                if (t->due_ms > due_ms) {
                        list_append(slot, t);
                        continue;
                }
                n++;
                t->func(t, now_ms);
        }
        return n;
}

unsigned wheel_advance(struct wheel *w, uint64_t now_ms)
{
        uint64_t from = w->tick, to = now_ms / w->tick_ms, steps;
        unsigned n = 0;

        assert(!w->advancing);
        if (to <= from)
                return 0;
        /* From here on a timer is armed for tick `to` + 1 at the earliest: none fires twice in one call */
        w->tick = to;
        w->advancing = true;
        steps = to - from > w->mask ? (uint64_t)w->mask + 1 : to - from;
        for (uint64_t i = 1; i <= steps; i++)
                n += wheel_serve(&w->slots[(from + i) & w->mask], to * w->tick_ms, now_ms);
        w->advancing = false;
        return n;
}
