/* What waits for one worker: of each user in the order in which it came, and in turn by user. Nobody may have more than a share of the places;
 * when all are taken, whoever has most of them waiting gives one up to whoever has fewer. Pure; not locked. */
#pragma once

#include <stddef.h>

struct fair_owner;

/* Lies in what waits */
struct fair_item {
        struct fair_item *prev, *next;
        struct fair_owner *owner; /* NULL: it does not wait */
};

struct fair {
        unsigned max, max_owner;
        unsigned n;                /* that wait */
        struct fair_owner *owners; /* who has something waiting; the first one's turn is next */
};

enum fair_error {
        FAIR_E_OWNER = 1, /* he has his share of them waiting */
        FAIR_E_FULL,      /* all places are taken, and nobody has so many more that one of them is his */
};

/* 0, and ret_victim is NULL, or what waits no more for this one's sake: the last one of whoever has most, and at least two more than this owner.
 * FAIR_E_*, -ENOMEM: nothing has changed. */
int fair_join(struct fair *f, struct fair_item *item, const char *owner, struct fair_item **ret_victim);
/* Takes out what is to be done next: the oldest of the user whose turn it is, who is last then. NULL: nothing waits */
struct fair_item *fair_next(struct fair *f);
