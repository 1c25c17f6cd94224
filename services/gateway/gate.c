#include "gateway/gate.h"

#include <stddef.h>

void gate_init(struct gate *g, unsigned max)
{
        *g = (struct gate){.max = max};
        g->queue.prev = g->queue.next = &g->queue;
}

/* A start may fail at once and leave: the loop keeps that from becoming a recursion as deep as the queue is long. */
static void gate_pump(struct gate *g)
{
        if (g->pumping)
                return;
        g->pumping = true;
        while (g->running < g->max && g->queue.next != &g->queue) {
                struct gate_item *item = g->queue.next;

                gate_cancel(item);
                g->running++;
                item->start(item);
        }
        g->pumping = false;
}

void gate_enter(struct gate *g, struct gate_item *item, gate_func start)
{
        item->start = start;
        item->prev = g->queue.prev;
        item->next = &g->queue;
        g->queue.prev->next = item;
        g->queue.prev = item;
        gate_pump(g);
}

void gate_leave(struct gate *g)
{
        g->running--;
        gate_pump(g);
}

bool gate_cancel(struct gate_item *item)
{
        if (!item->prev)
                return false;
        item->prev->next = item->next;
        item->next->prev = item->prev;
        item->prev = item->next = NULL;
        return true;
}
