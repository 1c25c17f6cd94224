/* Asks upload to remove the files whose last message was deleted, PARLEY_FILE_RELEASE_S ago: until it has answered that they are gone. Only while everything
 * is ingested that was acknowledged: a message with such a file may be what is missing. One instance
 * does it: the one that works on shard 0. */
#pragma once

#include "history/env.h"

struct releases;

int releases_new(struct releases **ret_releases, struct env *env);
void releases_free(struct releases *r); /* NULL is fine; only after `done` of releases_stop */
void releases_start(struct releases *r);
/* done: nothing is under way any more; may be called from within */
void releases_stop(struct releases *r, void (*done)(void *userdata), void *userdata);
