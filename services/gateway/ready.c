#include "gateway/ready.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/channel.h"
#include "gateway/replay.h"
#include "gateway/user.h"
#include "gateway/wiretime.h"

static void channel_state_fill(struct session *s, const struct link *l, Parley__V1__ChannelState *ret)
{
        parley__v1__channel_state__init(ret);
        ret->channel = l->channel->doc;
        ret->role = user_role(s->user, l->channel);
        ret->epoch = l->channel->shard->epoch;
        ret->head_seq = l->channel->head;
}

static void ready_send(struct session *s, uint32_t ref)
{
        struct core *core = s->core;
        Parley__V1__ServerFrame frame = PARLEY__V1__SERVER_FRAME__INIT;
        Parley__V1__Ready ready = PARLEY__V1__READY__INIT;
        Google__Protobuf__Timestamp now, expires;
        Parley__V1__ChannelState *states = calloc(s->n_links + 1, sizeof(*states));
        Parley__V1__ChannelState **list = calloc(s->n_links + 1, sizeof(Parley__V1__ChannelState *));

        if (!states || !list) {
                free(states);
                free(list);
                session_fail(s, 0, PARLEY_INTERNAL, PARLEY_CLOSE_TRY_AGAIN_LATER, "no memory");
                return;
        }
        for (uint32_t i = 0; i < s->n_links; i++) {
                if (s->links[i].state == LINK_WAITING)
                        continue;
                channel_state_fill(s, &s->links[i], &states[i]);
                list[ready.n_channels++] = &states[i];
                s->links[i].announced = true;
        }
        ready.channels = list;
        ready.user_id = s->user->id;
        ready.name = s->name;
        ready.session_id = s->id;
        wiretime_set(&now, core->wall_ns);
        ready.server_time = &now;
        if (s->expires_at != INT64_MAX) {
                wiretime_set_s(&expires, s->expires_at);
                ready.token_expires_at = &expires;
        }
        ready.heartbeat_ms = (uint32_t)core->config->heartbeat_ms;
        ready.max_content_bytes = (uint32_t)core->config->max_content_bytes;
        ready.max_watch = (uint32_t)core->config->max_watch;
        ready.max_focus = (uint32_t)core->config->max_focus;
        frame.ref = ref;
        frame.body_case = PARLEY__V1__SERVER_FRAME__BODY_READY;
        frame.ready = &ready;
        session_send(s, &frame);
        free(states);
        free(list);
}

static void ready_resume_one(struct session *s, const struct cursor *cursor, bool answer_all)
{
        struct channel *c = channel_find(s->core, cursor->channel_id);
        struct link *l = c ? session_link(s, c) : NULL;

        if (!l || !l->announced || l->resumed)
                return; /* not announced: the client knows that it is no member */
        l->resumed = true;
        if (answer_all || cursor->seq != c->head || cursor->epoch != c->shard->epoch)
                replay_begin(s, l, cursor->epoch, cursor->seq);
}

/* Backwards: of several cursors of a channel the last one counts */
void ready_resume(struct session *s, bool answer_all)
{
        for (uint32_t i = s->n_cursors; i-- > 0 && s->state == SESSION_LIVE;)
                ready_resume_one(s, &s->cursors[i], answer_all);
        for (uint32_t i = 0; i < s->n_links; i++)
                s->links[i].resumed = false;
        s->core->pending_bytes -= s->n_cursors * sizeof(*s->cursors);
        free(s->cursors);
        s->cursors = NULL;
        s->n_cursors = 0;
}

void ready_go_live(struct session *s)
{
        ready_send(s, s->hello_ref);
        if (s->state != SESSION_LOADING)
                return;
        s->ready_sent = true;
        session_enter(s, SESSION_LIVE);
        for (uint32_t i = 0; i < s->n_links; i++)
                if (s->links[i].state == LINK_KNOWN)
                        session_link_set(s, &s->links[i], LINK_LIVE);
        ready_resume(s, false);
}

void ready_again(struct session *s, uint32_t ref)
{
        ready_send(s, ref);
        if (s->state == SESSION_LIVE)
                ready_resume(s, false);
}

void ready_channel_added(struct session *s, struct link *l)
{
        Parley__V1__ServerFrame frame = PARLEY__V1__SERVER_FRAME__INIT;
        Parley__V1__ChannelAdded added = PARLEY__V1__CHANNEL_ADDED__INIT;
        Parley__V1__ChannelState state;

        channel_state_fill(s, l, &state);
        l->announced = true;
        added.state = &state;
        frame.body_case = PARLEY__V1__SERVER_FRAME__BODY_CHANNEL_ADDED;
        frame.channel_added = &added;
        session_send(s, &frame);
}

void ready_channel_removed(struct session *s, struct link *l)
{
        Parley__V1__ServerFrame frame = PARLEY__V1__SERVER_FRAME__INIT;
        Parley__V1__ChannelRemoved removed = PARLEY__V1__CHANNEL_REMOVED__INIT;
        struct channel *c = l->channel;
        const struct member *m = user_member(s->user, c);
        bool announced = l->announced;

        session_link_remove(s, l);
        if (announced) {
                removed.channel_id = c->id;
                removed.removed = !m || !m->left_himself;
                frame.body_case = PARLEY__V1__SERVER_FRAME__BODY_CHANNEL_REMOVED;
                frame.channel_removed = &removed;
                session_send(s, &frame);
        }
        if (s->state == SESSION_LOADING)
                session_advance(s);
}
