#include "upload/fair.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct fair_owner {
        struct fair_owner *prev, *next;
        struct fair_item *items; /* oldest first */
        unsigned n;
        char name[];
};

static struct fair_owner *find_owner(const struct fair *f, const char *name)
{
        struct fair_owner *o = f->owners;

        while (o && strcmp(o->name, name) != 0)
                o = o->next;
        return o;
}

static struct fair_owner *owner_new(struct fair *f, const char *name)
{
        size_t n = strlen(name) + 1;
        struct fair_owner *o = calloc(1, sizeof(*o) + n);

        if (!o)
                return NULL;
        memcpy(o->name, name, n);
        DL_APPEND(f->owners, o);
        return o;
}

static void leave(struct fair *f, struct fair_item *item)
{
        struct fair_owner *o = item->owner;

        DL_DELETE(o->items, item);
        item->owner = NULL;
        o->n--;
        f->n--;
}

static struct fair_owner *with_most(const struct fair *f)
{
        struct fair_owner *most = f->owners;

        for (struct fair_owner *o = f->owners; o; o = o->next)
                if (o->n > most->n)
                        most = o;
        return most;
}

int fair_join(struct fair *f, struct fair_item *item, const char *owner, struct fair_item **ret_victim)
{
        struct fair_owner *own = find_owner(f, owner);
        struct fair_item *victim = NULL;
        unsigned n = own ? own->n : 0;

        if (n >= f->max_owner)
                return FAIR_E_OWNER;
        if (f->n >= f->max) {
                struct fair_owner *most = with_most(f);

                if (!most || most == own ||
                    most->n <= n + 1) /* with one more only the two would take it from each other in turn */
                        return FAIR_E_FULL;
                victim = most->items->prev; /* utlist: the last one */
        }
        if (!own)
                own = owner_new(f, owner);
        if (!own)
                return -ENOMEM;
        if (victim)
                leave(f, victim); /* he has others left */
        *item = (struct fair_item){.owner = own};
        DL_APPEND(own->items, item);
        own->n++;
        f->n++;
        *ret_victim = victim;
        return 0;
}

struct fair_item *fair_next(struct fair *f)
{
        struct fair_owner *o = f->owners;
        struct fair_item *item;

        if (!o)
                return NULL;
        item = o->items;
        leave(f, item);
        DL_DELETE(f->owners, o);
        if (o->items)
                DL_APPEND(f->owners, o);
        else
                free(o);
        return item;
}
