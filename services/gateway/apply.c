#include "gateway/apply.h"

#include <string.h>

#include "base/log.h"
#include "gateway/changes.h"
#include "gateway/typing.h"
#include "gateway/user.h"
#include "gateway/wiretime.h"
#include "wire/event.h"

static Parley__V1__Event *apply_rejected(struct channel *c, const struct raw_event *raw, uint64_t prev)
{
        Parley__V1__Event event = PARLEY__V1__EVENT__INIT;
        Parley__V1__EventRemoved removed = PARLEY__V1__EVENT_REMOVED__INIT;
        Google__Protobuf__Timestamp at;
        struct raw_event *packed;
        Parley__V1__Event *copy;

        wiretime_set(&at, raw->time_ns);
        event.channel_id = c->id;
        event.seq = raw->seq;
        event.prev = prev;
        event.created_at = &at;
        removed.reason = PARLEY__V1__EVENT_REMOVED__REASON__rejected;
        event.body_case = PARLEY__V1__EVENT__BODY_REMOVED;
        event.removed = &removed;
        packed = raw_event_pack(&event);
        copy = packed ? parley__v1__event__unpack(NULL, packed->len, packed->data) : NULL;
        raw_event_free_list(packed);
        if (copy) {
                copy->seq = raw->seq;
                copy->prev = prev;
        }
        return copy;
}

Parley__V1__Event *apply_decode(struct channel *c, const struct raw_event *raw, uint64_t prev)
{
        Parley__V1__Event *event = NULL;
        struct wire_error error;
        int r = event_decode(raw->data, raw->len, raw->seq, prev, &event, &error);

        if (r < 0)
                return NULL;
        if (r == 0 && strcmp(event->channel_id, c->id) == 0) {
                if (event->body_case == PARLEY__V1__EVENT__BODY_MESSAGE)
                        event->message->seq = raw->seq;
                return event;
        }
        log_warn("an event of the log cannot be read", LOG_S("channel", c->id), LOG_U("seq", raw->seq),
                 LOG_S("error", r ? error.detail : "of another channel"));
        if (r == 0)
                parley__v1__event__free_unpacked(event, NULL);
        return apply_rejected(c, raw, prev);
}

void apply_blank(Parley__V1__Event *event)
{
        if (event->body_case == PARLEY__V1__EVENT__BODY_MESSAGE)
                parley__v1__message__free_unpacked(event->message, NULL);
        else
                parley__v1__message_edited__free_unpacked(event->message_edited, NULL);
        /* reason 0: deleted. Without memory nothing is told of it but its place */
        event->removed = parley__v1__event_removed__unpack(NULL, 0, NULL);
        event->body_case = event->removed ? PARLEY__V1__EVENT__BODY_REMOVED : PARLEY__V1__EVENT__BODY__NOT_SET;
}

/* An edit that came into the log behind the deletion of its message is told to nobody */
static void apply_edit_too_late(struct channel *c, Parley__V1__Event *event, const struct raw_event *raw)
{
        struct raw_event *blank;

        apply_blank(event);
        blank = raw_event_pack(event);
        if (blank) {
                blank->time_ns = raw->time_ns;
                tail_push(c, blank, (struct tail_mark){0});
        } else {
                tail_skip(c, raw->seq);
        }
        raw_event_free_list(blank);
}

void apply_before(struct channel *c, Parley__V1__Event *event, const struct raw_event *raw)
{
        struct tail_mark mark = {0};

        switch (event->body_case) {
        case PARLEY__V1__EVENT__BODY_MESSAGE_EDITED:
                mark.edits = event->message_edited->target_seq;
                if (tail_deletes(c, mark.edits)) {
                        apply_edit_too_late(c, event, raw);
                        return;
                }
                break;
        case PARLEY__V1__EVENT__BODY_MESSAGE_DELETED:
                mark.deletes = event->message_deleted->target_seq;
                tail_forget(c, mark.deletes);
                break;
        case PARLEY__V1__EVENT__BODY_CHANNEL_CHANGED:
                if (event->channel_changed->channel && strcmp(event->channel_changed->channel->id, c->id) == 0)
                        channel_set_doc(c, event->channel_changed->channel);
                break;
        default:
                break;
        }
        tail_push(c, raw, mark);
}

static Parley__V1__MembershipChange membership(struct channel *c, uint64_t seq, char *user_id, Parley__V1__Role role,
                                               uint64_t version)
{
        Parley__V1__MembershipChange change = PARLEY__V1__MEMBERSHIP_CHANGE__INIT;

        change.channel_id = c->id;
        change.user_id = user_id;
        change.role = role;
        change.seq = seq;
        change.version = version;
        return change;
}

static void apply_member_left(struct channel *c, uint64_t seq, const Parley__V1__MemberLeft *left)
{
        struct user *u = user_find(c->core, left->user_id);
        Parley__V1__MembershipChange change = membership(c, seq, left->user_id, PARLEY__V1__ROLE__none, left->version);

        if (u && u->loaded)
                user_apply(u, c,
                           &(struct member_change){.role = PARLEY__V1__ROLE__none,
                                                   .version = left->version,
                                                   .left_seq = seq,
                                                   .left_himself = !left->removed});
        /* and to users who are loaded later, from a list that may be older */
        changes_apply(c->core, &change);
}

static void apply_member_changed(struct channel *c, uint64_t seq, const Parley__V1__MemberChanged *changed)
{
        Parley__V1__MembershipChange change = membership(c, seq, changed->user_id, changed->role, changed->version);

        changes_apply(c->core, &change);
}

static void apply_member_joined(struct channel *c, uint64_t seq, const Parley__V1__MemberJoined *joined)
{
        Parley__V1__MembershipChange change = membership(c, seq, joined->user_id, joined->role, joined->version);

        changes_joined(c->core, &change);
}

void apply_after(struct channel *c, const Parley__V1__Event *event)
{
        if (event->body_case == PARLEY__V1__EVENT__BODY_MESSAGE) {
                if (c->place)
                        typing_message(c->place, event->actor_id, event->message->thread_id);
        } else if (event->body_case == PARLEY__V1__EVENT__BODY_MEMBER_LEFT)
                apply_member_left(c, event->seq, event->member_left);
        else if (event->body_case == PARLEY__V1__EVENT__BODY_MEMBER_CHANGED)
                apply_member_changed(c, event->seq, event->member_changed);
        else if (event->body_case == PARLEY__V1__EVENT__BODY_MEMBER_JOINED)
                apply_member_joined(c, event->seq, event->member_joined);
}
