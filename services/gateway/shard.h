/* What is known of the stream of a shard. */
#pragma once

#include "gateway/core.h"

/* error: 0, or BUS_E_*; 0: shard->first_seq and shard->epoch are as of after the question */
typedef void (*shard_answer)(struct shard *shard, int error, uint64_t last_seq, void *userdata);

int shards_new(struct core *core);
/* Subscribes to live.<p>.>; the subscription outlives connections. 0 or an error of the bus */
int shards_listen(struct core *core);
void shards_free(struct core *core);
/* Asks the leader for the stream's state; questions that come while one is under way share the next one. answer is called once, perhaps at once. */
void shard_ask(struct shard *shard, shard_answer answer, void *userdata);
/* The connection is there (again): epoch and first sequence are read again */
void shard_connected(struct shard *shard);
/* The same whenever there may be a new epoch, which is told to the clients */
void shard_refresh(struct shard *shard);
struct shard *shard_of(struct core *core, const char *channel_id);
