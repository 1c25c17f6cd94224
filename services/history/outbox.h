/* Publishes what was decided about channels and members, in the order of each channel, and sees it through: PubAck, the sequence in
 * members, the buckets, the users' devices, the confirmation of the gateways. A row leaves the table when its event is ingested.
 *
 * Before it publishes anything after a start, a reconnect or a missing PubAck, it lets ingest reach what was the log's end then: a row
 * whose event is in the log already is gone by that, however late it is. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "history/env.h"

/* NOTIFY channels: something is in the table for this shard; somebody's change is through (see waiters.h) */
#define NOTIFY_OUTBOX "parley_outbox"
#define NOTIFY_DONE "parley_outbox_done"

struct outbox;

int outbox_new(struct outbox **ret_outbox, struct env *env, unsigned shard);
void outbox_free(struct outbox *o); /* NULL is fine; only after `done` of outbox_stop */
void outbox_start(struct outbox *o, uint64_t ingested_seq);
/* done: nothing is under way any more; may be called from within */
void outbox_stop(struct outbox *o, void (*done)(void *userdata), void *userdata);
void outbox_wake(struct outbox *o);
/* Ingest has committed through this */
void outbox_ingested(struct outbox *o, uint64_t last_seq);
/* The connection to NATS was lost or is there again: what was published is uncertain */
void outbox_uncertain(struct outbox *o);
