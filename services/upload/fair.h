/* What waits for one worker: of each user in the order in which it came, and in turn by user. Places are shared as owners.h has it: who gives one up
 * loses what came last. Pure; not locked. */
#pragma once

#include "upload/owners.h"

/* Lies in what waits */
struct fair_item {
        struct fair_item *prev, *next;
        struct owner *owner; /* NULL: it does not wait */
};

struct fair {
        struct owners owners;    /* who has something waiting; the first one's turn is next */
        struct fair_item *items; /* oldest first */
};

/* 0, and ret_victim is NULL, or what waits no more for this one's sake. OWNERS_E_*, -ENOMEM: nothing has changed. */
int fair_join(struct fair *f, struct fair_item *item, const char *owner, struct fair_item **ret_victim);
/* Takes out what is to be done next: the oldest of the user whose turn it is, who is last then. NULL: nothing waits */
struct fair_item *fair_next(struct fair *f);
