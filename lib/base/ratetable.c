#include "base/ratetable.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

#include "base/ratelimit.h"

struct entry {
        char name[65];
        struct ratelimit limit;
        UT_hash_handle hh;
};

struct ratetable {
        uint32_t per_second, burst;
        unsigned max;
        struct entry *all; /* in the order of their last use */
};

int ratetable_new(struct ratetable **ret_table, uint32_t per_second, uint32_t burst, unsigned max_entries)
{
        struct ratetable *t = calloc(1, sizeof(*t));

        if (!t)
                return -ENOMEM;
        *t = (struct ratetable){.per_second = per_second, .burst = burst, .max = max_entries};
        *ret_table = t;
        return 0;
}

void ratetable_free(struct ratetable *t)
{
        struct entry *e, *tmp;

        if (!t)
                return;
        HASH_ITER (hh, t->all, e, tmp) {
                HASH_DEL(t->all, e);
                free(e);
        }
        free(t);
}

uint32_t ratetable_take(struct ratetable *t, const char *name, uint64_t now_ms, uint32_t cost)
{
        char key[sizeof(t->all->name)];
        struct entry *e;

        if (t->per_second == 0)
                return 0;
        (void)snprintf(key, sizeof(key), "%s", name);
        HASH_FIND_STR(t->all, key, e);
        if (e) {
                HASH_DEL(t->all, e);
        } else if (HASH_COUNT(t->all) >= t->max) {
                e = t->all; /* the oldest */
                HASH_DEL(t->all, e);
                e->limit = (struct ratelimit){0};
        } else {
                e = calloc(1, sizeof(*e));
                if (!e)
                        return 1000;
        }
        memcpy(e->name, key, sizeof(key));
        HASH_ADD_STR(t->all, name, e);
        if (!e->hh.tbl) {
                free(e);
                return 1000;
        }
        return ratelimit_take(&e->limit, now_ms, t->per_second, t->burst, cost);
}
