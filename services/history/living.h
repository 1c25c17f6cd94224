/* The gateways that live, as they say every 2 s, and which of them have not answered yet. Pure.
 *
 * A process is known by its name and its epoch, so that of two of one name each has to answer for itself: of one that was restarted and the one
 * before, which may still serve, and of two that were given the same name. A process that sends no epoch, as it is older, has 0 in all it sends. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ident.h"

#include <uthash.h>

/* Three times not heard is dead. LIVING_MAX: those beyond are not known, and not waited for. */
enum { LIVING_EVERY_MS = 2000, LIVING_FOR_MS = 6000, LIVING_MAX = 10000 };

struct living_key {
        uint64_t epoch;
        char id[IDENT_MAX + 1]; /* zeros behind its end, as the whole is compared */
};

struct living_gateway {
        struct living_key key;
        uint64_t heard_ms;
        bool stopping;
        UT_hash_handle hh;
};

struct living {
        struct living_gateway *all;
};

/* It says that it lives, or that it is about to end. 0, -EINVAL, -ENOMEM, -ENOSPC: it is not known. */
int living_heard(struct living *l, uint64_t now_ms, const char *id, uint64_t epoch, bool stopping);
/* Those that have to answer, to an empty ret. -ENOMEM: ret may hold some. */
int living_copy(struct living *l, uint64_t now_ms, struct living *ret);
/* One of them has. True: it was the last one. */
bool living_answered(struct living *l, const char *id, uint64_t epoch);
void living_clear(struct living *l);
