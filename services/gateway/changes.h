/* Changes of membership that were announced lately, for users who are loaded later: what they then read may be older. The newest of each
 * membership is remembered for CHANGES_KEEP_MS, of at most CHANGES_MAX memberships (change_log.h). */
#pragma once

#include <stdint.h>

#include "gateway/core.h"

struct user;

#define CHANGES_LATE_MS 10000

/* gateway.membership: applied to permissions at once, remembered for a while */
void changes_apply(struct core *core, const Parley__V1__MembershipChange *message);
/* The same for a member_joined event of the log, which tells where a stay begins */
void changes_joined(struct core *core, const Parley__V1__MembershipChange *message);
/* Applies what is remembered of this user. Of a change that had to go his list must have it: history writes it there first. */
void changes_replay(struct core *core, struct user *u);
/* He was removed from this channel, or left it, within CHANGES_LATE_MS: what is heard of him there now may be older */
bool changes_removed(const struct core *core, const char *user_id, const char *channel_id);
/* Removals that presence is not known to have heard of, of at most CHANGES_KEEP_MS ago, the newest first; not of who is back as far as is
 * known. number: for changes_settle. */
typedef void (*changes_func)(void *userdata, uint64_t number, const char *user_id, const char *channel_id);
void changes_unsettled(struct core *core, changes_func found, void *userdata);
/* There are others, which had to go: of nobody who was not shown before is an answer known to be new enough */
bool changes_lost(const struct core *core);
/* Presence has heard of it; or it has not */
void changes_settle(struct core *core, uint64_t number);
void changes_unheard(struct core *core, uint64_t number);
/* Another instance speaks for presence, and may not have heard of what the one before had */
void changes_unsettle(struct core *core);
void changes_free(struct change_log *log);
