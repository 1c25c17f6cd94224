/* Who has how many of a bounded number of places. Nobody may have more than a share of them; when all are taken, whoever has most gives one up to
 * whoever has fewer. Pure; not locked. */
#pragma once

#include <stdbool.h>

struct owner {
        struct owner *prev, *next;
        unsigned n; /* that he has; never 0 */
        char name[];
};

struct owners {
        unsigned max, max_owner;
        unsigned n; /* that are taken */
        struct owner *all;
};

enum owners_error {
        OWNERS_E_OWNER = 1, /* he has his share */
        OWNERS_E_FULL,      /* all are taken, and nobody has so many more that one of them is his */
};

/* Whether there is one for this owner. 0, and ret_most is NULL, or who has to give one up first: whoever has most, and at least two more than this one.
 * Or OWNERS_E_*. */
int owners_room(const struct owners *o, const char *name, struct owner **ret_most);
/* One is taken. Who had none is the first of all. NULL: no memory */
struct owner *owners_take(struct owners *o, const char *name);
/* One is given back. Who has none then is forgotten: false, and owner is freed */
bool owners_leave(struct owners *o, struct owner *owner);
/* He is the last of all */
void owners_last(struct owners *o, struct owner *owner);
