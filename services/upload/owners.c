#include "upload/owners.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

static struct owner *find(const struct owners *o, const char *name)
{
        struct owner *owner = o->all;

        while (owner && strcmp(owner->name, name) != 0)
                owner = owner->next;
        return owner;
}

static struct owner *with_most(const struct owners *o)
{
        struct owner *most = o->all;

        for (struct owner *one = o->all; one; one = one->next)
                if (one->n > most->n)
                        most = one;
        return most;
}

int owners_room(const struct owners *o, const char *name, struct owner **ret_most)
{
        const struct owner *own = find(o, name);
        struct owner *most = NULL;
        unsigned n = own ? own->n : 0;

        if (n >= o->max_owner)
                return OWNERS_E_OWNER;
        if (o->n >= o->max) {
                most = with_most(o);
                if (!most || most->n <= n + 1) /* with one more only the two would take it from each other in turn */
                        return OWNERS_E_FULL;
        }
        *ret_most = most;
        return 0;
}

static struct owner *owner_new(struct owners *o, const char *name)
{
        size_t n = strlen(name) + 1;
        struct owner *owner = calloc(1, sizeof(*owner) + n);

        if (!owner)
                return NULL;
        memcpy(owner->name, name, n);
        DL_PREPEND(o->all, owner);
        return owner;
}

struct owner *owners_take(struct owners *o, const char *name)
{
        struct owner *owner = find(o, name);

        if (!owner)
                owner = owner_new(o, name);
        if (!owner)
                return NULL;
        owner->n++;
        o->n++;
        return owner;
}

bool owners_leave(struct owners *o, struct owner *owner)
{
        o->n--;
        if (--owner->n > 0)
                return true;
        DL_DELETE(o->all, owner);
        free(owner);
        return false;
}

void owners_last(struct owners *o, struct owner *owner)
{
        DL_DELETE(o->all, owner);
        DL_APPEND(o->all, owner);
}
