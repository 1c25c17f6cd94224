/* Takes over what the buckets know better than Postgres: all of it into an empty database, newer versions into an older one. */
#pragma once

#include "history/env.h"

struct import;

/* done: 0 or an error after which it should be tried again. Exactly once, later. */
int import_start(struct import **ret_import, struct env *env, void (*done)(int error, void *userdata), void *userdata);
/* Ends it: done is not called any more unless it was already. Must not be called after done. */
void import_cancel(struct import *im);
