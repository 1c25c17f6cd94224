/* A token bucket; 16 bytes, no clock of its own. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct ratelimit {
        uint64_t stamp_ms;
        uint32_t milli_tokens; /* thousandths */
        uint32_t used;         /* 0: never used, the bucket is full */
};

/* Takes cost tokens from a bucket that refills with per_second up to burst. per_second 0: no limit.
 * burst is at least 1 and at most 4,294,967; a cost above it counts as the whole bucket, else it could never be paid.
 * Nothing is taken on refusal; a clock that goes back refills nothing.
 * Returns 0 when taken, else how many ms until it would be. */
uint32_t ratelimit_take(struct ratelimit *r, uint64_t now_ms, uint32_t per_second, uint32_t burst, uint32_t cost);
