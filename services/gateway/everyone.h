/* The channels of which every user is a member without having joined. */
#pragma once

#include <stdint.h>

#include "gateway/core.h"

struct session;

/* A channel's description in the bucket, under its key with KEY_EVERYONE_PREFIX; len 0: it was removed */
void everyone_put(struct core *core, const char *channel_id, const uint8_t *data, size_t len);
/* All that was there at the start has been put */
void everyone_complete(struct core *core);
/* Links of a session that is being opened */
void everyone_relink(struct core *core, struct session *s);
void everyone_free(struct core *core);
