/* Writes the entries of MEMBERS and CHANNELS that are still marked as behind: after a crash between a change and its bucket, after
 * ingest learned of a change from the log, after an import. One instance does it: the one that works on shard 0. */
#pragma once

#include "history/env.h"

struct sweeper;

int sweeper_new(struct sweeper **ret_sweeper, struct env *env);
void sweeper_free(struct sweeper *s); /* NULL is fine; only after `done` of sweeper_stop */
void sweeper_start(struct sweeper *s);
/* done: nothing is under way any more; may be called from within */
void sweeper_stop(struct sweeper *s, void (*done)(void *userdata), void *userdata);
