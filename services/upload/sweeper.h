/* Uploads whose time is over, and what a death left behind of completed ones. */
#pragma once

#include "upload/env.h"

struct sweeper;

int sweeper_new(struct sweeper **ret_sweeper, struct env *env);
/* Looks through UPLOADS once; nothing while a look is under way, or without the bucket */
void sweeper_run(struct sweeper *s);
/* Begins nothing new; what runs counts in env */
void sweeper_stop(struct sweeper *s);
void sweeper_free(struct sweeper *s); /* NULL is fine */
