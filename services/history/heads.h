/* Whether ingest has passed what is in the logs now. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "history/env.h"

/* ingested: whatever the database says of messages from now on takes everything into account that was acknowledged before the call. error: 0, BUS_E_*,
 * PG_E_*, -ENOMEM; then it is not known */
typedef void (*heads_handler)(int error, bool ingested, void *userdata);
/* Asks the leaders of all shards' streams for their ends, and waits for wait_ms at most until ingest is there, whoever does it: under load it is
 * always a little behind. 0: handler is called later, exactly once; or BUS_E_*, -ENOMEM */
int heads_wait_ingested(struct env *env, uint32_t wait_ms, heads_handler handler, void *userdata);
