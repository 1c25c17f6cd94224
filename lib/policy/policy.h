/* Who may do what: one table for all services. Pure; no I/O, no clock. */
#pragma once

#include <stdbool.h>

#include "base/codes.h"
#include "parley/v1/event.pb-c.h"

enum policy_action {
        POLICY_READ,            /* receive events, read history */
        POLICY_SEND,
        POLICY_EDIT_OWN,
        POLICY_DELETE_OWN,
        POLICY_DELETE_ANY,
        POLICY_JOIN,            /* by oneself */
        POLICY_LEAVE,
        POLICY_INVITE,          /* add members */
        POLICY_REMOVE_MEMBER,
        POLICY_CHANGE_ROLE,
        POLICY_CHANGE_CHANNEL,  /* name, topic, visibility */
        POLICY_ARCHIVE,
        _POLICY_ACTION_N,
};

/* The role that counts: the explicit one, or `member` where the channel is open to everyone and there is no explicit one.
 * explicit_role: NULL when the user has no entry for the channel. */
Parley__V1__Role policy_role(const Parley__V1__Channel *channel, const Parley__V1__Role *explicit_role);

/* PARLEY_OK, or why not (NOT_A_MEMBER, FORBIDDEN, ARCHIVED). admin: the token's claim: may do everything but read or write private and
 * direct channels as a non-member. */
enum parley_code policy_check(const Parley__V1__Channel *channel, Parley__V1__Role role, bool admin, enum policy_action action);
