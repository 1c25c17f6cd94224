/* The quota of users, in the bucket FILES under user.<id>, by compare-and-set: several services and any number of requests at a time cannot
 * pass it. Changes of one user wait for each other here, and what has gathered is written at once. */
#pragma once

#include "upload/env.h"
#include "upload/quota_core.h"

/* error: 0, QUOTA_E_*, or negative errno: -EAGAIN (the bucket cannot be reached, or others write all the time; nothing was changed, or, with a
 * lost answer, perhaps it was: a reservation ends by itself) */
typedef void (*quota_handler)(int error, void *userdata);

int quota_new(struct quota **ret_quota, struct env *env);
void quota_free(struct quota *q); /* nothing may be running; NULL is fine */
/* A change of this user's will come soon: what it needs is read meanwhile. Where it returned true (memory), it is ended once, after quota_run or
 * without it. */
bool quota_expect(struct quota *q, const char *user_id);
void quota_expect_end(struct quota *q, const char *user_id);
/* change is copied, its id (at most LOCAL ids of ours) too. 0: handler is called later; -ENOMEM, -EAGAIN: too many wait */
int quota_run(struct quota *q, const char *user_id, const struct quota_change *change, quota_handler handler,
              void *userdata);
