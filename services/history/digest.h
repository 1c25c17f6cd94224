/* digest.<p>: every 2 s the last sequence of each channel that changed since, so that a gateway notices a last event that it missed. */
#pragma once

#include <stdint.h>

#include "history/env.h"

struct digest;

int digest_new(struct digest **ret_digest, struct env *env, unsigned shard);
/* NULL is fine */
void digest_free(struct digest *d);
/* What is noted is told under this epoch; forgets what was noted before */
void digest_start(struct digest *d, uint64_t epoch);
void digest_stop(struct digest *d);
void digest_note(struct digest *d, const char *channel_id, uint64_t seq);
