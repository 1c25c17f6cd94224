/* Changes of membership that were announced lately, for users who are loaded later: what they then read may be older. */
#pragma once

#include <stdint.h>

#include "gateway/core.h"

struct user;

#define CHANGES_MAX 4096
#define CHANGES_KEEP_MS 60000

/* gateway.membership: applied to permissions at once, remembered for a while */
void changes_apply(struct core *core, const Parley__V1__MembershipChange *message);
/* The same for a member_joined event of the log, which tells where a stay begins */
void changes_joined(struct core *core, const Parley__V1__MembershipChange *message);
/* Applies what is remembered of this user */
void changes_replay(struct core *core, struct user *u);
void changes_free(struct change_log *log);
