#include "history/members_core.h"

#include <string.h>

enum parley_code members_may_add(const Parley__V1__Channel *channel, Parley__V1__Role actor, bool admin,
                                 Parley__V1__Role target, Parley__V1__Role wanted)
{
        bool invite = target == PARLEY__V1__ROLE__none;
        enum parley_code code = policy_check(channel, actor, admin, invite ? POLICY_INVITE : POLICY_CHANGE_ROLE);

        if (code != PARLEY_OK || admin)
                return code;
        return wanted > actor || target > actor ? PARLEY_FORBIDDEN : PARLEY_OK;
}

enum parley_code members_may_remove(const Parley__V1__Channel *channel, Parley__V1__Role actor, bool admin,
                                    Parley__V1__Role target)
{
        enum parley_code code = policy_check(channel, actor, admin, POLICY_REMOVE_MEMBER);

        if (code != PARLEY_OK || admin || actor == PARLEY__V1__ROLE__owner)
                return code;
        return target >= actor ? PARLEY_FORBIDDEN : PARLEY_OK;
}

/* U+0080 to U+009F (C1), U+2028 to U+202E (separators of lines, embeddings), U+2066 to U+2069 (isolates) */
static bool unwanted(const unsigned char *p)
{
        if (*p < 0x20 || *p == 0x7f)
                return true;
        if (*p == 0xc2)
                return p[1] >= 0x80 && p[1] <= 0x9f;
        return *p == 0xe2 &&
               ((p[1] == 0x80 && p[2] >= 0xa8 && p[2] <= 0xae) || (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9));
}

bool members_text_valid(const char *text, size_t max)
{
        const unsigned char *p = (const unsigned char *)text;

        for (; *p; p++)
                if (unwanted(p))
                        return false;
        return (size_t)(p - (const unsigned char *)text) <= max;
}

enum parley_code members_change_channel(Parley__V1__Channel *channel, const Parley__V1__ChangeChannelRequest *request,
                                        Parley__V1__Role actor, bool admin)
{
        enum parley_code code = PARLEY_OK;
        bool archive = request->new_archived_case && request->archived;

        if (request->new_archived_case)
                code = policy_check(channel, actor, admin, POLICY_ARCHIVE);
        if (code == PARLEY_OK && request->new_archived_case && !archive)
                channel->archived = false;
        if (code == PARLEY_OK &&
            (request->new_name_case || request->new_topic_case || request->new_history_visibility_case))
                code = policy_check(channel, actor, admin, POLICY_CHANGE_CHANNEL);
        if (code == PARLEY_OK && request->new_everyone_case && !admin)
                code = PARLEY_FORBIDDEN;
        /* a stranger is told the same whatever the request holds */
        if (code == PARLEY_OK)
                code = policy_check(channel, actor, admin, POLICY_ARCHIVE) == PARLEY_NOT_A_MEMBER ? PARLEY_NOT_A_MEMBER
                                                                                                  : PARLEY_OK;
        if (code != PARLEY_OK)
                return code;
        if (request->new_name_case)
                channel->name = request->name;
        if (request->new_topic_case)
                channel->topic = request->topic;
        if (request->new_history_visibility_case)
                channel->history_visibility = request->history_visibility;
        if (request->new_everyone_case)
                channel->everyone = request->everyone;
        channel->archived = channel->archived || archive;
        return PARLEY_OK;
}

bool members_same_channel(const Parley__V1__Channel *a, const Parley__V1__Channel *b)
{
        return strcmp(a->name, b->name) == 0 && strcmp(a->topic, b->topic) == 0 &&
               a->history_visibility == b->history_visibility && a->archived == b->archived &&
               a->everyone == b->everyone;
}

bool members_left(const Parley__V1__Membership *old, uint64_t version, uint64_t left_seq,
                  Parley__V1__Membership *ret_left)
{
        uint64_t known = old && old->role == PARLEY__V1__ROLE__none ? old->left_seq : 0;

        if (old && (old->version > version ||
                    (old->version == version && known >= left_seq && old->role == PARLEY__V1__ROLE__none)))
                return false;
        parley__v1__membership__init(ret_left);
        ret_left->role = PARLEY__V1__ROLE__none;
        ret_left->version = version;
        ret_left->left_seq = left_seq;
        ret_left->had_absence = old && old->had_absence;
        return true;
}
