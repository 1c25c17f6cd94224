/* Digests find a lost last event, which no chain can show: who stored something says so every 2 s. */
#pragma once

#include "gateway/channel.h"

#define DIGEST_MS 2000
#define ALIVE_MS 2000

/* Our own ack: goes into the next digest */
void digest_note(struct channel *c, uint64_t seq);
/* Subscribes to the digests of all shards and begins to send our own */
int digest_start(struct core *core);
void digest_send(struct core *core);
void digest_stop(struct core *core);
/* gateway.alive, at once */
void alive_send(struct core *core);
