#include "upload/fair.h"

#include <errno.h>
#include <stddef.h>
#include <utlist.h>

static struct fair_item *oldest_of(const struct fair *f, const struct owner *o)
{
        struct fair_item *item = f->items;

        while (item->owner != o)
                item = item->next;
        return item;
}

static struct fair_item *newest_of(const struct fair *f, const struct owner *o)
{
        struct fair_item *item = f->items->prev; /* utlist: the last one */

        while (item->owner != o)
                item = item->prev;
        return item;
}

/* Whether its owner has others */
static bool leave(struct fair *f, struct fair_item *item)
{
        struct owner *o = item->owner;

        DL_DELETE(f->items, item);
        item->owner = NULL;
        return owners_leave(&f->owners, o);
}

int fair_join(struct fair *f, struct fair_item *item, const char *owner, struct fair_item **ret_victim)
{
        struct fair_item *victim = NULL;
        struct owner *most, *own;
        int r = owners_room(&f->owners, owner, &most);

        if (r != 0)
                return r;
        own = owners_take(&f->owners, owner);
        if (!own)
                return -ENOMEM;
        if (own->n == 1)
                owners_last(&f->owners, own);
        if (most) {
                victim = newest_of(f, most);
                (void)leave(f, victim); /* he has others left */
        }
        *item = (struct fair_item){.owner = own};
        DL_APPEND(f->items, item);
        *ret_victim = victim;
        return 0;
}

struct fair_item *fair_next(struct fair *f)
{
        struct owner *o = f->owners.all;
        struct fair_item *item;

        if (!o)
                return NULL;
        item = oldest_of(f, o);
        if (leave(f, item))
                owners_last(&f->owners, o);
        return item;
}
