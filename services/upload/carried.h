/* Which files messages carry, as history says. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "parley/v1/internal.pb-c.h"
#include "upload/env.h"

enum { CARRIED_IDS_MAX = 500, CARRIED_WHOLE_MAX = 100, CARRIED_CHANNELS_MAX = 50 }; /* of history/files.h */

/* error: 0; BUS_E_*; -EAGAIN: history cannot say now, or has not ingested all that was acknowledged before the question. r is NULL then, else borrowed */
typedef void (*carried_handler)(int error, const Parley__V1__FilesResponse *r, void *userdata);
/* 0: handler is called later; or BUS_E_*, negative errno */
int carried_ask(struct env *env, const Parley__V1__FilesRequest *rq, carried_handler handler, void *userdata);
