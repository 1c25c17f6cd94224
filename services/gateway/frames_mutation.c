#include <string.h>

#include "auth/attachment.h"
#include "base/ident.h"
#include "gateway/channel.h"
#include "gateway/frames.h"
#include "gateway/mutation.h"
#include "gateway/stats.h"
#include "gateway/typing.h"
#include "gateway/user.h"
#include "gateway/wiretime.h"
#include "policy/message.h"
#include "policy/policy.h"

#define BUSY_RETRY_MS 500
#define HINT_MAX_MS 10000

/* The message, or an edit's new content; prefix: where in the frame it is */
static bool check_message(struct session *s, uint32_t ref, const char *prefix, const struct message_fields *message)
{
        const struct message_limits limits = gateway_config_message(s->core->config);
        char what[128];
        enum parley_code code = message_check(message, &limits, what, sizeof(what));

        if (code != PARLEY_OK)
                session_error(s, ref, code, 0, "%s%s", prefix, what);
        return code == PARLEY_OK;
}

static bool check_id(struct session *s, uint32_t ref, const char *id)
{
        if (uuid_valid(id))
                return true;
        session_error(s, ref, PARLEY_BAD_REQUEST, 0, "id must be a UUID");
        return false;
}

/* Each refusal is told a later time, one after the other at the rate that is allowed: told the same time they would all come at once, and
 * all but one in vain. 0: not refused */
static uint32_t check_rate(struct user *u)
{
        const struct core *core = u->core;
        uint32_t rate = core_rate(core, core->config->rate_messages_per_user);
        uint32_t wait = ratelimit_take(&u->messages, core->now_ms, rate,
                                       (uint32_t)core->config->burst_messages_per_user, 1);

        if (!wait || !rate) /* without a rate there is no wait */
                return 0;
        if (u->hinted_ms < core->now_ms + wait)
                u->hinted_ms = core->now_ms + wait;
        else if (u->hinted_ms < core->now_ms + HINT_MAX_MS)
                u->hinted_ms += 1000 / rate + 1;
        return (uint32_t)(u->hinted_ms - core->now_ms);
}

static bool check_capacity(struct session *s, uint32_t ref)
{
        struct core *core = s->core;
        const struct gateway_config *config = core->config;
        uint32_t wait;

        if (s->n_pending >= config->session_max_pending) {
                session_error(s, ref, PARLEY_RATE_LIMITED, BUSY_RETRY_MS, "%u mutations wait for their answer already",
                              s->n_pending);
                return false;
        }
        if (core->n_pending >= config->max_pending || core->pending_bytes >= config->max_pending_bytes) {
                metric_add(&stat_mutations_refused, 1);
                session_error(s, ref, PARLEY_UNAVAILABLE, BUSY_RETRY_MS, "too many mutations wait for the log");
                return false;
        }
        wait = check_rate(s->user);
        if (wait)
                session_error(s, ref, PARLEY_RATE_LIMITED, wait, "too many messages; wait %u ms", wait);
        return wait == 0;
}

struct channel *frame_channel(struct session *s, uint32_t ref, const char *id, enum policy_action action)
{
        struct channel *c;
        enum parley_code code = PARLEY_NOT_A_MEMBER;

        if (!ident_valid(id)) {
                session_error(s, ref, PARLEY_BAD_REQUEST, 0, "channelId is no channel id ([A-Za-z0-9_-], 1 to 64)");
                return NULL;
        }
        c = channel_find(s->core, id);
        if (c && c->doc)
                code = policy_check(c->doc, user_role(s->user, c), s->admin, action);
        if (code == PARLEY_OK)
                return c;
        if (code == PARLEY_ARCHIVED)
                session_error(s, ref, code, 0, "the channel %s is archived", id);
        else if (code == PARLEY_FORBIDDEN)
                session_error(s, ref, code, 0, "not allowed in %s", id);
        else
                session_error(s, ref, PARLEY_NOT_A_MEMBER, 0, "not a member of %s", id);
        return NULL;
}

static void event_author(struct session *s, struct channel *c, char *id, Parley__V1__Event *event,
                         Google__Protobuf__Timestamp *at)
{
        wiretime_set(at, s->core->wall_ns);
        event->channel_id = c->id;
        event->id = id;
        event->actor_id = s->user->id;
        event->created_at = at;
}

/* What the upload service has signed for this user in this channel, and nothing else. *ret_expired: see struct mutation */
static bool open_attachments(struct session *s, uint32_t ref, const struct channel *c, const Parley__V1__Send *send,
                             struct attachments *ret, size_t *ret_expired)
{
        const Parley__V1__OutgoingMessage *out = send->message;
        const char *secret = s->core->config->upload_secret;
        const struct attachment_terms now = {
                .user_id = s->user->id, .channel_id = c->id, .expires_at_s = s->core->wall_ns / 1000000000};
        size_t bad = 0;
        int r;

        *ret_expired = 0;
        if (send->retry)
                r = attachments_open_retry(secret, out->attachments, out->n_attachments, &now, ret, &bad, ret_expired);
        else
                r = attachments_open(secret, out->attachments, out->n_attachments, &now, ret, &bad);

        if (r > 0)
                session_error(s, ref, PARLEY_BAD_REQUEST, 0, "message.attachments[%zu] %s", bad,
                              attachment_error_text(r));
        else if (r < 0)
                session_error(s, ref, PARLEY_INTERNAL, BUSY_RETRY_MS, "no memory");
        return r == 0;
}

void frame_send(struct session *s, const Parley__V1__ClientFrame *frame)
{
        const Parley__V1__Send *send = frame->send;
        const Parley__V1__OutgoingMessage *out = send->message;
        struct message_fields fields;
        struct attachments files;
        size_t expired;
        Parley__V1__Event event;
        Parley__V1__Message message;
        Google__Protobuf__Timestamp at;
        struct channel *c;

        if (!out) {
                session_error(s, frame->ref, PARLEY_BAD_REQUEST, 0, "message is missing");
                return;
        }
        fields = (struct message_fields){.id = out->id,
                                         .content = out->content,
                                         .thread_id = out->thread_id,
                                         .reply_to = out->reply_to,
                                         .type = out->type,
                                         .mentions = out->mentions,
                                         .n_mentions = out->n_mentions,
                                         .n_attachments = out->n_attachments};
        if (!check_message(s, frame->ref, "message.", &fields))
                return;
        c = frame_channel(s, frame->ref, send->channel_id, POLICY_SEND);
        if (!c || !check_capacity(s, frame->ref) || !open_attachments(s, frame->ref, c, send, &files, &expired))
                return;
        typing_sent(s->user, c, out->thread_id);
        fields.attachments = files.all;
        wiretime_set(&at, s->core->wall_ns);
        message_event(&fields,
                      &(struct message_author){.channel_id = c->id, .user_id = s->user->id, .name = s->name, .at = &at},
                      &event, &message);
        mutation_begin(s, c, &event,
                       &(struct mutation_options){.ref = frame->ref,
                                                  .retry = send->retry,
                                                  .retry_age_ms = send->retry_age_ms,
                                                  .expired = expired,
                                                  .action = POLICY_SEND});
        attachments_done(&files);
}

static bool check_target(struct session *s, uint32_t ref, uint64_t target_seq)
{
        if (target_seq)
                return true;
        session_error(s, ref, PARLEY_BAD_REQUEST, 0, "targetSeq is missing");
        return false;
}

/* Where history is shown from the join on: the sequence of the join; else 0 */
static uint64_t visible_from(struct session *s, const struct channel *c)
{
        const struct member *m = user_member(s->user, c);

        return m && channel_joined_only(c) ? m->since_seq : 0;
}

void frame_edit(struct session *s, const Parley__V1__ClientFrame *frame)
{
        const Parley__V1__Edit *edit = frame->edit;
        Parley__V1__Event event = PARLEY__V1__EVENT__INIT;
        Parley__V1__MessageEdited edited = PARLEY__V1__MESSAGE_EDITED__INIT;
        Google__Protobuf__Timestamp at;
        struct channel *c;

        if (!check_message(s, frame->ref, "",
                           &(struct message_fields){.id = edit->id,
                                                    .content = edit->content,
                                                    .thread_id = "",
                                                    .reply_to = "",
                                                    .mentions = edit->mentions,
                                                    .n_mentions = edit->n_mentions}) ||
            !check_target(s, frame->ref, edit->target_seq))
                return;
        c = frame_channel(s, frame->ref, edit->channel_id, POLICY_EDIT_OWN);
        if (!c || !check_capacity(s, frame->ref))
                return;
        event_author(s, c, edit->id, &event, &at);
        edited.target_seq = edit->target_seq;
        edited.content = edit->content;
        edited.mentions = edit->mentions;
        edited.n_mentions = edit->n_mentions;
        event.body_case = PARLEY__V1__EVENT__BODY_MESSAGE_EDITED;
        event.message_edited = &edited;
        mutation_begin(s, c, &event,
                       &(struct mutation_options){.ref = frame->ref,
                                                  .retry = edit->retry,
                                                  .retry_age_ms = edit->retry_age_ms,
                                                  .action = POLICY_EDIT_OWN,
                                                  .target_seq = edit->target_seq,
                                                  .visible_from = visible_from(s, c)});
}

void frame_delete(struct session *s, const Parley__V1__ClientFrame *frame)
{
        const Parley__V1__Delete *delete = frame->delete_;
        Parley__V1__Event event = PARLEY__V1__EVENT__INIT;
        Parley__V1__MessageDeleted deleted = PARLEY__V1__MESSAGE_DELETED__INIT;
        Google__Protobuf__Timestamp at;
        struct channel *c;
        bool any;

        if (!check_id(s, frame->ref, delete->id) || !check_target(s, frame->ref, delete->target_seq))
                return;
        c = frame_channel(s, frame->ref, delete->channel_id, POLICY_DELETE_OWN);
        if (!c || !check_capacity(s, frame->ref))
                return;
        any = policy_check(c->doc, user_role(s->user, c), s->admin, POLICY_DELETE_ANY) == PARLEY_OK;
        event_author(s, c, delete->id, &event, &at);
        deleted.target_seq = delete->target_seq;
        event.body_case = PARLEY__V1__EVENT__BODY_MESSAGE_DELETED;
        event.message_deleted = &deleted;
        mutation_begin(s, c, &event,
                       &(struct mutation_options){.ref = frame->ref,
                                                  .retry = delete->retry,
                                                  .retry_age_ms = delete->retry_age_ms,
                                                  .action = POLICY_DELETE_OWN,
                                                  .target_seq = delete->target_seq,
                                                  .visible_from = visible_from(s, c),
                                                  .target_may_any = any});
}
