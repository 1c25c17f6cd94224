/* Who may do what in a channel, by the buckets MEMBERS and CHANNELS, read from their leader for each request. */
#pragma once

#include <stdbool.h>

#include "base/codes.h"
#include "policy/policy.h"
#include "upload/env.h"

/* PARLEY_OK, or why not: PARLEY_NOT_A_MEMBER also where there is no such channel, PARLEY_UNAVAILABLE */
typedef void (*access_handler)(enum parley_code code, void *userdata);
/* 0, or BUS_E_* and negative errno, with which handler is not called */
int access_read(struct env *env, const char *user_id, bool admin, const char *channel_id, enum policy_action action,
                access_handler handler, void *userdata);
/* The same where one of several channels is enough: those that he is a member of are asked first. PARLEY_NOT_A_MEMBER: none of them.
 * channel_ids: borrowed until handler is called */
int access_read_any(struct env *env, const char *user_id, bool admin, char *const *channel_ids, size_t n,
                    enum policy_action action, access_handler handler, void *userdata);
