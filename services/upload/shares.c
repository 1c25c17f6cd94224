#include "upload/shares.h"

#include <errno.h>
#include <stddef.h>
#include <utlist.h>

/* Bytes a second, of the window that runs and the one before it; UINT64_MAX: nothing to go by */
static uint64_t rate(const struct share *p, uint64_t now_ms)
{
        uint64_t ms = now_ms - p->before_ms;

        return p->whole || ms < SHARES_YOUNG_MS ? UINT64_MAX : (p->moved - p->moved_before) * 1000 / ms;
}

static struct share *slowest_of(const struct shares *s, const struct owner *o, uint64_t now_ms)
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
        struct share *victim = NULL;
        struct owner *most;
        int r = owners_room(&s->owners, owner, &most);

        if (r != 0)
                return r;
        if (most) {
                victim = slowest_of(s, most, now_ms);
                if (!victim)
                        return OWNERS_E_FULL;
        }
        *ret_victim = victim;
        return 0;
}

int shares_take(struct shares *s, struct share *p, const char *owner, uint64_t moved, uint64_t now_ms)
{
        struct owner *o = owners_take(&s->owners, owner);

        if (!o)
                return -ENOMEM;
        *p = (struct share){.owner = o, .moved = moved, .before_ms = now_ms, .moved_before = moved};
        share_waited(p, now_ms);
        DL_PREPEND(s->all, p);
        return 0;
}

void shares_leave(struct shares *s, struct share *p)
{
        struct owner *o = p->owner;

        if (!o)
                return;
        DL_DELETE(s->all, p);
        p->owner = NULL;
        (void)owners_leave(&s->owners, o);
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
