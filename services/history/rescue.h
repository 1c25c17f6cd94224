/* After the log lost its end: JetStream writes to disk only now and then, Postgres with each commit, so a power failure can leave the
 * stream behind what was ingested. It would then give sequences a second time, and whoever has seen them would drop what is new.
 *
 * The stream is made to count on far above the cursor. What was stored meanwhile under a sequence that history has already is kept as
 * dead letters and stored once more, under a new sequence. */
#pragma once

#include <stdint.h>

#include "history/env.h"

struct rescue_from {
        const char *stream;
        uint64_t ingested_seq;        /* the cursor */
        int64_t ingested_time_ns;     /* when the event there was stored */
        uint64_t first_seq, last_seq; /* of the stream */
};

/* done: 0, or an error after which it should be begun anew. Exactly once, later. */
int rescue_run(struct env *env, const struct rescue_from *from,
               void (*done)(int error, const char *why, void *userdata), void *userdata);
