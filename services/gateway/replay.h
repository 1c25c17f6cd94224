/* Resume: what a session is missing of a channel, from the tail, from JetStream, from history, or a gap. */
#pragma once

#include <stdint.h>

#include "gateway/channel.h"
#include "gateway/session.h"

/* A link that was announced and is LIVE or REPLAYING: its client stands at this cursor. A replay or a gap follows, perhaps at once;
 * until then live events are not queued for it. */
void replay_begin(struct session *s, struct link *l, uint64_t epoch, uint64_t seq);
/* The link waits for nothing any more; what nobody waits for is not asked for */
void replay_leave(struct link *l);
void replay_free_all(struct channel *c);

/* --- encoded replays that several sessions ask for at the same time (replay_frames.c) --- */
struct replay_frames {
        unsigned n;
        size_t bytes; /* of all frames */
        struct frame *frames[];
};

#define REPLAY_CACHE_MAX 64
#define REPLAY_CACHE_MS 2000

struct replay_source {
        uint64_t from;                  /* the cursor that it is shown for */
        uint64_t after;                 /* events above this */
        const struct raw_event *events; /* fetched ones, in order; the tail goes on behind them */
        unsigned n;
        uint64_t through; /* of the fetched ones */
};

/* The frames that bring `from` to the channel's position, from the cache or made now. NULL: too many or too large (-E2BIG), or no memory.
 * Valid until the next call. */
const struct replay_frames *replay_frames_get(struct channel *c, const struct replay_source *source,
                                              enum encoding encoding, bool shared, int *ret_error);
void replay_cache_drop(struct channel *c);
void replay_frames_free(struct replay_frames *frames);
/* Drops what is old */
void replay_cache_sweep(struct core *core);
