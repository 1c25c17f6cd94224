#include "policy/policy.h"

#include <stddef.h>

struct policy_rule {
        Parley__V1__Role role; /* the least that may; `none`: nobody has to be a member for it */
        bool direct;           /* there is such a thing in direct channels, whose members are fixed */
        bool archived;         /* stays possible in archived channels */
        bool inside; /* reading and writing: outside of open channels even an administrator must be a member */
};

#define NONE PARLEY__V1__ROLE__none
#define GUEST PARLEY__V1__ROLE__guest
#define MEMBER PARLEY__V1__ROLE__member
#define MODERATOR PARLEY__V1__ROLE__moderator
#define OWNER PARLEY__V1__ROLE__owner

/* clang-format off */
static const struct policy_rule policy_rules[_POLICY_ACTION_N] = {
        /*                         role       direct  archived  inside */
        [POLICY_READ]           = {GUEST,     true,   true,     true},
        [POLICY_SEND]           = {GUEST,     true,   false,    true},
        [POLICY_EDIT_OWN]       = {MEMBER,    true,   false,    true},
        [POLICY_DELETE_OWN]     = {MEMBER,    true,   false,    true},
        [POLICY_DELETE_ANY]     = {MODERATOR, true,   true,     false},
        [POLICY_JOIN]           = {NONE,      false,  false,    false},
        [POLICY_LEAVE]          = {GUEST,     true,   true,     false},
        [POLICY_INVITE]         = {MEMBER,    false,  false,    false},
        [POLICY_REMOVE_MEMBER]  = {MODERATOR, false,  true,     false},
        [POLICY_CHANGE_ROLE]    = {OWNER,     false,  true,     false},
        [POLICY_CHANGE_CHANNEL] = {MODERATOR, true,   false,    false},
        [POLICY_ARCHIVE]        = {OWNER,     true,   true,     false},
};
/* clang-format on */

/* Roles come from buckets that a newer service may have written: one that this build does not know gives nothing. */
static bool is_member(Parley__V1__Role role)
{
        return role >= GUEST && role <= OWNER;
}

Parley__V1__Role policy_role(const Parley__V1__Channel *channel, const Parley__V1__Role *explicit_role)
{
        if (explicit_role)
                return is_member(*explicit_role) ? *explicit_role : NONE;
        return channel->everyone && channel->kind == PARLEY__V1__CHANNEL__KIND__open ? MEMBER : NONE;
}

static enum parley_code check_role(const Parley__V1__Channel *channel, Parley__V1__Role role, bool admin,
                                   enum policy_action action)
{
        const struct policy_rule *rule = &policy_rules[action];
        bool open = channel->kind == PARLEY__V1__CHANNEL__KIND__open;

        if (action == POLICY_JOIN)
                return open || admin || is_member(role) ? PARLEY_OK : PARLEY_NOT_A_MEMBER;
        if (!is_member(role)) {
                if (!admin || action == POLICY_LEAVE || (rule->inside && !open))
                        return PARLEY_NOT_A_MEMBER;
                return PARLEY_OK;
        }
        return admin || role >= rule->role ? PARLEY_OK : PARLEY_FORBIDDEN;
}

enum parley_code policy_check(const Parley__V1__Channel *channel, Parley__V1__Role role, bool admin,
                              enum policy_action action)
{
        const struct policy_rule *rule;
        enum parley_code code;

        if ((unsigned)action >= _POLICY_ACTION_N)
                return PARLEY_FORBIDDEN;
        /* Who may delete everybody's may delete his own, also where others may not any more */
        if (action == POLICY_DELETE_OWN && policy_check(channel, role, admin, POLICY_DELETE_ANY) == PARLEY_OK)
                return PARLEY_OK;

        rule = &policy_rules[action];
        code = check_role(channel, role, admin, action);
        if (code == PARLEY_OK && channel->kind == PARLEY__V1__CHANNEL__KIND__direct && !rule->direct)
                code = PARLEY_FORBIDDEN;
        if (code == PARLEY_OK && channel->archived && !rule->archived)
                code = PARLEY_ARCHIVED;
        return code;
}
