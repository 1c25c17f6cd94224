/* A door that only so many may be behind at once: keeps a storm of equal questions to the message system within bounds. */
#pragma once

#include <stdbool.h>

struct gate_item;
typedef void (*gate_func)(struct gate_item *item);

struct gate_item {
        struct gate_item *prev, *next; /* prev is not NULL while it waits */
        gate_func start;
};

struct gate {
        struct gate_item queue; /* ring */
        unsigned running, max;
        bool pumping;
};

void gate_init(struct gate *g, unsigned max);
/* Calls start now, or when somebody left. Who was started must call gate_leave once. */
void gate_enter(struct gate *g, struct gate_item *item, gate_func start);
void gate_leave(struct gate *g);
/* Takes a waiting item out. False: it was not waiting. */
bool gate_cancel(struct gate_item *item);
