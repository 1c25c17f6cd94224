/* Brings one entry of MEMBERS or CHANNELS up to what Postgres has. Never replaces a newer one. */
#pragma once

#include "history/env.h"

enum bucket_kind { BUCKET_USER, BUCKET_CHANNEL };

/* Of a user also tells his devices (live.user.<user>). done: 0, or an error after which the entry stays marked and is tried again
 * (BUS_E_*, PG_E_*, negative errno). Exactly once, later. */
int bucket_sync(struct env *env, enum bucket_kind kind, const char *key, void (*done)(int error, void *userdata),
                void *userdata);
