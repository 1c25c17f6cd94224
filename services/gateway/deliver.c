/* From one event to everybody who may get it. */
#include <string.h>

#include "base/log.h"
#include "gateway/channel.h"
#include "gateway/ready.h"
#include "gateway/session.h"
#include "gateway/stats.h"

/* One frame for each encoding, made when the first session wants it */
struct encoded {
        struct core *core;
        const Parley__V1__ServerFrame *message;
        struct frame *frames[_ENCODING_N];
};

static struct frame *encoded_get(struct encoded *e, uint8_t encoding)
{
        int r;

        if (e->frames[encoding])
                return e->frames[encoding];
        r = frame_encode(&e->core->scratch, e->message, encoding, &e->frames[encoding]);
        if (r) {
                log_error("a frame cannot be encoded", LOG_I("error", r));
                return NULL;
        }
        return e->frames[encoding];
}

static void encoded_done(struct encoded *e)
{
        for (unsigned i = 0; i < _ENCODING_N; i++)
                frame_unref(e->frames[i]);
}

static void deliver_to(struct session *s, struct encoded *e)
{
        struct frame *f = encoded_get(e, s->encoding);

        if (!f) /* what cannot be given must not be skipped in silence */
                session_close(s, PARLEY_CLOSE_RECONNECT, NULL);
        else
                session_queue(s, f);
}

/* The membership of this link ends (or has ended) at a known sequence: authorization is checked for each event */
static void deliver_checked(struct session *s, uint32_t link, uint64_t seq, struct encoded *e)
{
        struct link *l = &s->links[link];

        if (seq > l->until) {
                ready_channel_removed(s, l);
                return;
        }
        if (l->state == LINK_LIVE)
                deliver_to(s, e);
}

/* Backwards: a session that is closed or unlinked here is replaced by one that had its turn already */
void deliver_event(struct channel *c, Parley__V1__Event *event, struct frame *const frames[_ENCODING_N])
{
        Parley__V1__ServerFrame message = PARLEY__V1__SERVER_FRAME__INIT;
        struct encoded e = {.core = c->core, .message = &message};
        uint32_t n = c->n_subs;

        memcpy(e.frames, frames, sizeof(e.frames));
        message.body_case = PARLEY__V1__SERVER_FRAME__BODY_EVENT;
        message.event = event;
        while (n-- > 0) {
                struct sub *sub = &c->subs[n];

                if (sub->live)
                        deliver_to(sub->session, &e);
                else
                        deliver_checked(sub->session, sub->link, event->seq, &e);
        }
        metric_add(&stat_deliveries, c->n_subs);
        encoded_done(&e);
}

static void deliver_to_live(struct channel *c, const Parley__V1__ServerFrame *message)
{
        struct encoded e = {.core = c->core, .message = message};
        uint32_t n = c->n_subs;

        while (n-- > 0) {
                struct session *s = c->subs[n].session;

                if (s->links[c->subs[n].link].state == LINK_LIVE)
                        deliver_to(s, &e);
        }
        encoded_done(&e);
}

void deliver_gap(struct channel *c, uint64_t from, enum parley_gap reason)
{
        Parley__V1__ServerFrame message = PARLEY__V1__SERVER_FRAME__INIT;
        Parley__V1__Gap gap = PARLEY__V1__GAP__INIT;

        gap.channel_id = c->id;
        gap.epoch = c->shard->epoch;
        gap.from_seq = from;
        gap.head_seq = channel_position(c);
        gap.reason = (char *)parley_gap_text(reason);
        message.body_case = PARLEY__V1__SERVER_FRAME__BODY_GAP;
        message.gap = &gap;
        deliver_to_live(c, &message);
        metric_add(&stat_gaps, c->n_subs);
}

/* An empty replay carries it: everything through the head is there already */
void deliver_epoch(struct channel *c)
{
        Parley__V1__ServerFrame message = PARLEY__V1__SERVER_FRAME__INIT;
        Parley__V1__Replay replay = PARLEY__V1__REPLAY__INIT;

        replay.channel_id = c->id;
        replay.epoch = c->shard->epoch;
        replay.from_seq = replay.through_seq = c->head;
        message.body_case = PARLEY__V1__SERVER_FRAME__BODY_REPLAY;
        message.replay = &replay;
        deliver_to_live(c, &message);
}
