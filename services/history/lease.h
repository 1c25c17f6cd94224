/* The right to work on one shard: a row with an owner and an end, by the database's clock.
 *
 * Who holds it renews it three times in its length. Another instance takes it when it ran out, or at once when the owner has no
 * connection to Postgres any more (its process is gone). Taking it over ends the connections that a hanging owner still has, so that it
 * holds no locks. That nobody applies anything twice does not depend on the lease: the cursor row sees to it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ticker.h"
#include "history/env.h"

struct lease {
        struct env *env;
        char name[64];
        bool wanted, held, busy, releasing;
        bool elsewhere;                      /* at the last try somebody else had it */
        uint64_t sent_at_ms, valid_until_ms; /* uv_now */
        struct ticker *ticker;
        void (*on_gained)(void *userdata);
        void (*on_lost)(void *userdata);
        void (*on_released)(void *userdata);
        void *userdata;
};

/* 0 or -ENOMEM */
int lease_init(struct lease *l, struct env *env, const char *name, void (*on_gained)(void *userdata),
               void (*on_lost)(void *userdata), void *userdata);
/* Whether it should be tried for; takes effect at the next turn of its timer. What is held stays held until lease_release. */
void lease_want(struct lease *l, bool wanted);
/* Gives it back, when it is held; done is called on the loop, also without Postgres. Nothing is tried any more until lease_want. */
void lease_release(struct lease *l, void (*done)(void *userdata));
/* After lease_release was done */
void lease_done(struct lease *l);
