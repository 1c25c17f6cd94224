#include "upload/shares.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct shares_owner {
        struct shares_owner *prev, *next;
        unsigned n;
        char name[SHARES_OWNER_LEN + 1];
};

static struct shares_owner *find_owner(const struct shares *s, const char *name)
{
        struct shares_owner *o = s->owners;

        while (o && strcmp(o->name, name) != 0)
                o = o->next;
        return o;
}

/* Bytes a second, of the window that runs and the one before it; UINT64_MAX: nothing to go by */
static uint64_t rate(const struct share *p, uint64_t now_ms)
{
        uint64_t ms = now_ms - p->before_ms;

        return p->whole || ms < SHARES_YOUNG_MS ? UINT64_MAX : (p->moved - p->moved_before) * 1000 / ms;
}

static struct share *slowest_of(const struct shares *s, const struct shares_owner *o, uint64_t now_ms)
{
        struct share *slowest = NULL;
        uint64_t least = UINT64_MAX;

        for (struct share *p = s->all; p; p = p->next) {
                uint64_t r = p->owner == o ? rate(p, now_ms) : UINT64_MAX;

                if (r < least) {
                        least = r;
                        slowest = p;
                }
        }
        return slowest;
}

int shares_find(const struct shares *s, const char *owner, uint64_t now_ms, struct share **ret_victim)
{
        const struct shares_owner *own = find_owner(s, owner), *most = NULL;
        unsigned n = own ? own->n : 0;
        struct share *victim = NULL;

        if (n >= s->max_owner)
                return SHARES_E_OWNER;
        if (s->n >= s->max) {
                for (const struct shares_owner *o = s->owners; o; o = o->next)
                        if (!most || o->n > most->n)
                                most = o;
                /* with one more only the two would take it from each other in turn */
                if (most && most->n > n + 1)
                        victim = slowest_of(s, most, now_ms);
                if (!victim)
                        return SHARES_E_FULL;
        }
        *ret_victim = victim;
        return 0;
}

static struct shares_owner *owner_new(struct shares *s, const char *name)
{
        struct shares_owner *o = calloc(1, sizeof(*o));

        if (!o)
                return NULL;
        memcpy(o->name, name, strnlen(name, SHARES_OWNER_LEN));
        o->next = s->owners;
        if (o->next)
                o->next->prev = o;
        s->owners = o;
        return o;
}

int shares_take(struct shares *s, struct share *p, const char *owner, uint64_t moved, uint64_t now_ms)
{
        struct shares_owner *o = find_owner(s, owner);

        if (!o)
                o = owner_new(s, owner);
        if (!o)
                return -ENOMEM;
        *p = (struct share){.owner = o, .next = s->all, .moved = moved, .before_ms = now_ms, .moved_before = moved};
        share_waited(p, now_ms);
        if (p->next)
                p->next->prev = p;
        s->all = p;
        s->n++;
        o->n++;
        return 0;
}

void shares_leave(struct shares *s, struct share *p)
{
        struct shares_owner *o = p->owner;

        if (!o)
                return;
        if (p->prev)
                p->prev->next = p->next;
        else
                s->all = p->next;
        if (p->next)
                p->next->prev = p->prev;
        s->n--;
        p->owner = NULL;
        if (--o->n > 0)
                return;
        if (o->prev)
                o->prev->next = o->next;
        else
                s->owners = o->next;
        if (o->next)
                o->next->prev = o->prev;
        free(o);
}

bool share_slow(struct share *p, uint64_t bytes_per_s, uint64_t window_ms, uint64_t now_ms)
{
        uint64_t ms = now_ms - p->since_ms, moved = p->moved - p->moved_then;

        if (ms < window_ms)
                return false;
        p->before_ms = p->since_ms;
        p->moved_before = p->moved_then;
        p->since_ms = now_ms;
        p->moved_then = p->moved;
        return !p->whole && moved * 1000 < bytes_per_s * ms;
}

void share_waited(struct share *p, uint64_t now_ms)
{
        p->since_ms = now_ms;
        p->moved_then = p->moved;
}
