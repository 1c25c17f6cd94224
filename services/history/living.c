#include "history/living.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct living_gateway *find(const struct living *l, const char *id, uint64_t epoch)
{
        struct living_key key;
        struct living_gateway *gw;

        memset(&key, 0, sizeof(key)); /* what fills it up, too */
        key.epoch = epoch;
        memcpy(key.id, id, strlen(id) + 1);
        HASH_FIND(hh, l->all, &key, sizeof(key), gw);
        return gw;
}

static void drop(struct living *l, struct living_gateway *gw)
{
        HASH_DEL(l->all, gw);
        free(gw);
}

/* NULL: no memory */
static struct living_gateway *add(struct living *l, const struct living_gateway *like)
{
        struct living_gateway *gw = malloc(sizeof(*gw));

        if (!gw)
                return NULL;
        memcpy(gw, like, sizeof(*gw));
        HASH_ADD(hh, l->all, key, sizeof(gw->key), gw);
        if (!gw->hh.tbl) {
                free(gw);
                return NULL;
        }
        return gw;
}

static void drop_dead(struct living *l, uint64_t now_ms)
{
        struct living_gateway *gw, *tmp;

        HASH_ITER (hh, l->all, gw, tmp) {
                if (now_ms - gw->heard_ms > LIVING_FOR_MS)
                        drop(l, gw);
        }
}

int living_heard(struct living *l, uint64_t now_ms, const char *id, uint64_t epoch, bool stopping)
{
        struct living_gateway *gw, fresh;

        if (!ident_valid(id))
                return -EINVAL;
        gw = find(l, id, epoch);
        if (!gw) {
                if (HASH_COUNT(l->all) >= LIVING_MAX)
                        drop_dead(l, now_ms);
                if (HASH_COUNT(l->all) >= LIVING_MAX)
                        return -ENOSPC;
                memset(&fresh, 0, sizeof(fresh));
                fresh.key.epoch = epoch;
                memcpy(fresh.key.id, id, strlen(id) + 1);
                gw = add(l, &fresh);
        }
        if (!gw)
                return -ENOMEM;
        gw->heard_ms = now_ms;
        gw->stopping = stopping;
        return 0;
}

int living_copy(struct living *l, uint64_t now_ms, struct living *ret)
{
        const struct living_gateway *gw;

        drop_dead(l, now_ms);
        for (gw = l->all; gw; gw = gw->hh.next)
                if (!gw->stopping && !add(ret, gw))
                        return -ENOMEM;
        return 0;
}

bool living_answered(struct living *l, const char *id, uint64_t epoch)
{
        struct living_gateway *gw = ident_valid(id) ? find(l, id, epoch) : NULL;

        if (!gw)
                return false;
        drop(l, gw);
        return !l->all;
}

void living_clear(struct living *l)
{
        struct living_gateway *gw, *tmp;

        HASH_ITER (hh, l->all, gw, tmp)
                drop(l, gw);
}
