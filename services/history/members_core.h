/* What the policy's table does not say about changes of channels and members: whom they are done to. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "parley/v1/rest.pb-c.h"
#include "policy/policy.h"

/* Adding `target` (his present role) with `wanted`, or giving a member another role. Nobody gives more than he has, and nobody changes
 * who stands above him. */
enum parley_code members_may_add(const Parley__V1__Channel *channel, Parley__V1__Role actor, bool admin,
                                 Parley__V1__Role target, Parley__V1__Role wanted);
/* Removing somebody else: who stands below; an owner also other owners */
enum parley_code members_may_remove(const Parley__V1__Channel *channel, Parley__V1__Role actor, bool admin,
                                    Parley__V1__Role target);

/* A name or topic: at most max bytes, and no control characters, nor those that turn the direction of text (they make one name look like
 * another). text is UTF-8. */
bool members_text_valid(const char *text, size_t max);

/* Applies a PATCH to channel (borrowing from the request), or says why not. Taking a channel out of the archive comes first. */
enum parley_code members_change_channel(Parley__V1__Channel *channel, const Parley__V1__ChangeChannelRequest *request,
                                        Parley__V1__Role actor, bool admin);
/* In all that a PATCH can change */
bool members_same_channel(const Parley__V1__Channel *a, const Parley__V1__Channel *b);

/* The entry of MEMBERS for one channel after a leaving; old: what is there, or NULL. left_seq 0: not known yet. False: what is there
 * knows as much or more. channel_id is left to the caller. */
bool members_left(const Parley__V1__Membership *old, uint64_t version, uint64_t left_seq,
                  Parley__V1__Membership *ret_left);
