/* Who may do what: one table for all services. Pure; no I/O, no clock. */
#pragma once

#include <stdbool.h>

#include "base/codes.h"
#include "parley/v1/event.pb-c.h"

enum policy_action {
        POLICY_READ, /* receive events, read history */
        POLICY_SEND,
        POLICY_EDIT_OWN,
        POLICY_DELETE_OWN,
        POLICY_DELETE_ANY,
        POLICY_JOIN, /* by oneself */
        POLICY_LEAVE,
        POLICY_INVITE, /* add members */
        POLICY_REMOVE_MEMBER,
        POLICY_CHANGE_ROLE,
        POLICY_CHANGE_CHANNEL, /* name, topic, visibility */
        POLICY_ARCHIVE,
        _POLICY_ACTION_N,
};

/* The role that counts: the explicit one, or `member` where the channel is open to everyone and there is no explicit
 * one. explicit_role: NULL when the user has no entry for the channel. An explicit `none` in a channel that is open to
 * everyone is kept by whoever left it or was removed, and counts. */
Parley__V1__Role policy_role(const Parley__V1__Channel *channel, const Parley__V1__Role *explicit_role);

/* PARLEY_OK, or why not: NOT_A_MEMBER before FORBIDDEN before ARCHIVED, so that a stranger learns nothing of the
 * channel. role: from policy_role; one that this build does not know counts as none.
 *
 *                        guest  member  moderator  owner    in archived channels    in direct channels
 *   read                   x      x         x        x       as ever                 as ever
 *   send                   x      x         x        x       nobody                  as ever
 *   edit own                      x         x        x       nobody                  as ever
 *   delete own                    x         x        x       who may delete any      as ever
 *   delete any                              x        x       as ever                 as ever
 *   join                by anybody where the kind is open    nobody                  nobody
 *   leave                  x      x         x        x       as ever                 as ever
 *   invite                        x         x        x       nobody                  nobody: nobody is added
 *   remove a member                         x        x       as ever                 nobody
 *   change roles                                     x       as ever                 nobody
 *   change the channel                      x        x       nobody                  as ever
 *   archive, or undo it                              x       as ever                 as ever
 *
 * A member who joins again is told OK: there is nothing to do. There are no bans: who was removed from an open channel
 * may join again.
 *
 * admin: the token's claim. May do everything in every channel, within the last two columns, except as a non-member:
 * read or write (send, edit or delete his own) in private and direct channels (he may join a private one, which its log
 * shows), and leave. */
enum parley_code policy_check(const Parley__V1__Channel *channel, Parley__V1__Role role, bool admin,
                              enum policy_action action);
