/* Whether the log of a shard is so full that what Postgres has of it must go before its time. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "history/provision_core.h"

/* Once begun, a trim goes so many percentage points of the maximum below the share at which it begins: not each message trims again. */
#define TRIM_STEP_PERCENT UINT64_C(10)
/* PARLEY_LOG_TRIM_PERCENT: room for the step below it, and above it for what is written until the next look */
#define TRIM_PERCENT_MIN UINT64_C(20)
#define TRIM_PERCENT_MAX UINT64_C(95)

struct trim_log {
        uint64_t epoch, first_seq, last_seq; /* nothing in it: last_seq below first_seq */
        uint64_t bytes, max_bytes;           /* max_bytes 0: no limit */
};

struct trim_verdict {
        bool full;            /* to be given again with the next look: the lower mark is not reached yet */
        uint64_t through_seq; /* trim everything through it; 0: nothing */
};

/* percent: 0 (never), or TRIM_PERCENT_MIN to TRIM_PERCENT_MAX. cursor: what Postgres has committed; nothing above it is ever trimmed, and nothing
 * when it is not about this log. How many messages hold the bytes that are too many is estimated by their mean size: when the oldest are smaller,
 * the next look trims again. */
struct trim_verdict trim_decide(const struct trim_log *log, const struct log_cursor *cursor, uint64_t percent,
                                bool full);
