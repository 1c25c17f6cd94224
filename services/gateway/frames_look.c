/* What clients send of whom they look at, and of writing. */
#include "base/log.h"
#include "gateway/channel.h"
#include "gateway/frames.h"
#include "gateway/look.h"
#include "gateway/stats.h"
#include "gateway/typing.h"
#include "gateway/user.h"

/* When there is no room for more */
#define FULL_RETRY_MS 5000

/* True: it was done */
static bool look_done(struct session *s, uint32_t ref, int r)
{
        if (r > 0)
                session_error(s, ref, PARLEY_UNAVAILABLE, FULL_RETRY_MS, "too much is being watched here already");
        else if (r)
                session_error(s, ref, PARLEY_INTERNAL, 1000, "no memory");
        else
                frame_done(s, ref);
        return r == 0;
}

void frame_watch(struct session *s, const Parley__V1__ClientFrame *frame)
{
        const Parley__V1__Watch *watch = frame->watch;
        uint64_t most = s->core->config->max_watch;
        struct look *l;

        if (watch->n_user_ids > most) {
                session_error(s, frame->ref, PARLEY_TOO_LARGE, 0, "userIds: at most %u", (unsigned)most);
                return;
        }
        for (size_t i = 0; i < watch->n_user_ids; i++) {
                if (ident_valid(watch->user_ids[i]))
                        continue;
                session_error(s, frame->ref, PARLEY_BAD_REQUEST, 0, "userIds[%zu] is no user id", i);
                return;
        }
        l = look_get(s);
        look_done(s, frame->ref, l ? look_watch(l, watch->user_ids, watch->n_user_ids) : -1);
}

/* Those that he is a member of; else answered with an error */
static bool focus_channels(struct session *s, const Parley__V1__ClientFrame *frame, struct channel **ret)
{
        const Parley__V1__Focus *focus = frame->focus;

        for (size_t i = 0; i < focus->n_channel_ids; i++) {
                const char *id = focus->channel_ids[i];

                if (!ident_valid(id)) {
                        session_error(s, frame->ref, PARLEY_BAD_REQUEST, 0, "channelIds[%zu] is no channel id", i);
                        return false;
                }
                ret[i] = channel_find(s->core, id);
                if (!ret[i] || user_role(s->user, ret[i]) == PARLEY__V1__ROLE__none) {
                        session_error(s, frame->ref, PARLEY_NOT_A_MEMBER, 0, "not a member of %s", id);
                        return false;
                }
        }
        return true;
}

void frame_focus(struct session *s, const Parley__V1__ClientFrame *frame)
{
        struct channel *channels[GATEWAY_MAX_FOCUS];
        uint64_t most = s->core->config->max_focus;
        struct look *l;

        if (frame->focus->n_channel_ids > most) {
                session_error(s, frame->ref, PARLEY_TOO_LARGE, 0, "channelIds: at most %u", (unsigned)most);
                return;
        }
        if (!focus_channels(s, frame, channels))
                return;
        l = look_get(s);
        if (look_done(s, frame->ref, l ? look_focus(l, channels, frame->focus->n_channel_ids) : -1))
                typing_greet(s);
}

void frame_typing(struct session *s, const Parley__V1__ClientFrame *frame)
{
        const Parley__V1__Typing *typing = frame->typing;
        struct channel *c = frame_channel(s, frame->ref, typing->channel_id, POLICY_SEND);

        if (!c)
                return;
        if (*typing->thread_id && !uuid_valid(typing->thread_id)) {
                session_error(s, frame->ref, PARLEY_BAD_REQUEST, 0, "threadId must be a UUID");
                return;
        }
        metric_add(&stat_typing_received, 1);
        typing_write(s->user, c, typing->thread_id, typing->stopped);
        frame_done(s, frame->ref);
}
