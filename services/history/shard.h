/* One shard's work, for whoever holds its lease: provision, ingest, outbox, digests, and what follows behind. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "history/env.h"

struct shard;

int shard_new(struct shard **ret_shard, struct env *env, unsigned index);
void shard_start(struct shard *s);
/* Finishes the batch that is under way, gives the lease back, and frees; done is called on the loop */
void shard_close(struct shard *s, void (*done)(void *userdata), void *userdata);
void shard_wake_outbox(struct shard *s);
/* The connection to NATS is there, or gone */
void shard_bus_changed(struct shard *s, bool connected);
/* Postgres was away, and may be another database since: what the buckets know is looked at again */
void shard_database_changed(struct shard *s);
/* Sets the metrics that are about the shards of this instance: what ingest has before it, and how full the logs are */
void shards_measure(struct shard *const *shards, unsigned n);
/* This instance works on it, or another one does */
bool shard_ready(const struct shard *s);
/* What is in the way, for the log and /readyz; "" when nothing is */
const char *shard_trouble(const struct shard *s);
