/* Says in MEMBERS that somebody is no member any more, without Postgres: by what stands there, and by the change itself. */
#pragma once

#include "history/env.h"

/* left_seq 0: not known yet. An entry that knows as much or more of this channel stays as it is. done: 0, BUS_E_* or a negative errno
 * (-EBADMSG: the entry cannot be read; -E2BIG); exactly once, later, unless an error is
 * returned. */
int bucket_leave(struct env *env, const char *user_id, const char *channel_id, uint64_t version, uint64_t left_seq,
                 void (*done)(int error, void *userdata), void *userdata);
