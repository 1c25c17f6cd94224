/* Is an identity stored? Together with how far that can be known. */
#pragma once

#include <stdint.h>

#include "history/env.h"
#include "wire/event.h"

struct lookup_result {
        const Parley__V1__Event *event; /* NULL: not in the ingested range */
        const uint8_t *fingerprint;     /* of the original request; NULL when it is not known */
        uint64_t ingested_seq;
        /* Everything that the log stored before this time is ingested; 0: unknown. The log may be made anew at any time: see dedupe_since_ms */
        int64_t ingested_through_ns;
};
/* r is valid during the callback; NULL on error (PG_E_*, -ENOMEM, -EBADMSG) */
typedef void (*lookup_handler)(int error, const struct lookup_result *r, void *userdata);
/* 0 and the handler is called exactly once, later; or -ENOMEM */
int lookup_run(struct env *env, const char *channel_id, const char *actor_id, const char *id, lookup_handler handler,
               void *userdata);
/* One event by its sequence; ingested_through_ns is not set */
int lookup_event(struct env *env, const char *channel_id, uint64_t seq, lookup_handler handler, void *userdata);
