#include "gateway/replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "gateway/shard.h"
#include "gateway/stats.h"
#include "gateway/user.h"

/* A fetch that sessions wait for. Those that ask for the same thing meanwhile share it. */
struct replay {
        struct replay *next;
        struct channel *channel; /* a reference */
        struct replay_source source;
        struct raw_event *events, **last;
        uint64_t history_through; /* below this only history may answer */
        bool private;             /* for one user */
        uint64_t *waiters;        /* handles of sessions */
        unsigned n_waiters, cap_waiters;
        char user_id[IDENT_MAX + 1];
};

static int replay_fetch(struct replay *r);

static void replay_gap(struct session *s, struct link *l, const char *reason)
{
        struct channel *c = l->channel;
        Parley__V1__ServerFrame message = PARLEY__V1__SERVER_FRAME__INIT;
        Parley__V1__Gap gap = PARLEY__V1__GAP__INIT;

        gap.channel_id = c->id;
        gap.epoch = c->shard->epoch;
        gap.from_seq = l->cursor;
        gap.head_seq = channel_position(c);
        gap.reason = (char *)reason;
        message.body_case = PARLEY__V1__SERVER_FRAME__BODY_GAP;
        message.gap = &gap;
        session_link_set(s, l, LINK_LIVE);
        metric_add(&stat_gaps, 1);
        session_send(s, &message);
}

/* Everything from the cursor to the channel's position is there: the session gets it and is live */
static void replay_serve(struct session *s, struct link *l, const struct replay_source *source, bool shared)
{
        int error = 0;
        const struct replay_frames *frames = replay_frames_get(l->channel, source, s->encoding, shared, &error);

        /* what would overflow its queue would close it, and it would come back for the same */
        if (!frames || s->queue_bytes + frames->bytes > s->core->config->session_max_queue_bytes * 3 / 4) {
                replay_gap(s, l, error && error != -E2BIG ? "unavailable" : "too_long");
                return;
        }
        session_link_set(s, l, LINK_LIVE);
        for (unsigned i = 0; i < frames->n; i++)
                session_queue(s, frames->frames[i]);
}

/* --- shared fetches --- */

static void replay_free(struct replay *r)
{
        raw_event_free_list(r->events);
        free(r->waiters);
        free(r);
}

void replay_free_all(struct channel *c)
{
        while (c->replays) {
                struct replay *r = c->replays;

                c->replays = r->next;
                replay_free(r);
        }
}

/* The link that this session waits with, when it still does */
static struct link *replay_waiter(struct replay *r, unsigned i, struct session **ret_session)
{
        struct session *s = handle_get(&r->channel->core->handles, r->waiters[i]);
        struct link *l = s && s->state == SESSION_LIVE ? session_link(s, r->channel) : NULL;

        if (!l || l->state != LINK_REPLAYING || l->cursor != r->source.from)
                return NULL;
        *ret_session = s;
        return l;
}

static void replay_finish(struct replay *r, enum fetch_result result)
{
        struct channel *c = r->channel;
        struct replay **at = &c->replays;

        while (*at != r)
                at = &(*at)->next;
        *at = r->next;
        for (unsigned i = 0; i < r->n_waiters; i++) {
                struct session *s;
                struct link *l = replay_waiter(r, i, &s);

                if (!l)
                        continue;
                if (result == FETCH_OK)
                        replay_serve(s, l, &r->source, !r->private);
                else if (result == FETCH_TOO_LONG)
                        replay_gap(s, l, "too_long");
                else
                        replay_gap(s, l, l->epoch_changed ? "epoch_changed" : "unavailable");
        }
        replay_free(r);
        channel_unref(c);
}

static void replay_fetched(struct channel *c, enum fetch_result result, const struct raw_event *events, unsigned n,
                           uint64_t through, void *userdata)
{
        struct replay *r = userdata;

        for (; n; n--, events = events->next) {
                struct raw_event *copy = raw_event_new(events->seq, events->time_ns, events->data, events->len);

                if (!copy) {
                        result = FETCH_UNAVAILABLE;
                        break;
                }
                *r->last = copy;
                r->last = &copy->next;
                r->source.n++;
        }
        r->source.events = r->events;
        r->source.through = through;
        if (result == FETCH_OK && (!tail_covers(c, through) || through < r->history_through)) {
                /* the tail has moved on meanwhile */
                if (r->source.n > c->core->config->replay_max_events)
                        result = FETCH_TOO_LONG;
                else if (replay_fetch(r) == 0)
                        return;
                else
                        result = FETCH_UNAVAILABLE;
        }
        replay_finish(r, result);
}

static int replay_fetch(struct replay *r)
{
        struct channel *c = r->channel;
        const struct gateway_config *config = c->core->config;
        struct fetch_options options = {
                .after = r->source.through,
                .until = c->tail_base > r->history_through ? c->tail_base : r->history_through,
                .max_events = (unsigned)config->replay_max_events - r->source.n,
                .max_bytes = config->session_max_queue_bytes / 2,
                .max_gets = (unsigned)config->replay_direct_gets,
                .history_through = r->history_through,
                .user_id = r->user_id,
                .done = replay_fetched,
                .userdata = r,
        };

        return fetch_start(c, &options);
}

static bool replay_join(struct replay *r, struct session *s)
{
        if (r->n_waiters == r->cap_waiters) {
                unsigned cap = r->cap_waiters ? r->cap_waiters * 2 : 4;
                uint64_t *waiters = realloc(r->waiters, cap * sizeof(*waiters));

                if (!waiters)
                        return false;
                r->waiters = waiters;
                r->cap_waiters = cap;
        }
        r->waiters[r->n_waiters++] = s->handle;
        return true;
}

static struct replay *replay_find(struct channel *c, const struct replay_source *source, uint64_t history_through)
{
        for (struct replay *r = c->replays; r; r = r->next)
                if (!r->private && !history_through && r->source.from == source->from &&
                    r->source.after == source->after)
                        return r;
        return NULL;
}

static void replay_wait(struct session *s, struct link *l, const struct replay_source *source, uint64_t history_through)
{
        struct channel *c = l->channel;
        struct replay *r = replay_find(c, source, history_through);

        if (r) {
                if (!replay_join(r, s))
                        replay_gap(s, l, "unavailable");
                return;
        }
        r = calloc(1, sizeof(*r));
        if (!r || !replay_join(r, s)) {
                free(r);
                replay_gap(s, l, "unavailable");
                return;
        }
        r->channel = channel_ref(c);
        r->source = *source;
        r->source.through = source->after;
        r->last = &r->events;
        r->history_through = history_through;
        r->private = history_through != 0;
        if (r->private)
                memcpy(r->user_id, s->user->id, sizeof(r->user_id));
        r->next = c->replays;
        c->replays = r;
        if (replay_fetch(r))
                replay_finish(r, FETCH_UNAVAILABLE);
}

/* --- a cursor above what is known here --- */

struct ahead {
        struct channel *channel; /* a reference */
        uint64_t session;
        uint64_t seq;
};

/* A cursor may be above the channel's last event (a replay is complete through a later sequence of the stream), but not above the stream's. */
static void ahead_answer(struct shard *shard, int error, uint64_t last_seq, void *userdata)
{
        struct ahead *ahead = userdata;
        struct channel *c = ahead->channel;
        struct session *s = handle_get(&shard->core->handles, ahead->session);
        struct link *l = s && s->state == SESSION_LIVE ? session_link(s, c) : NULL;

        if (l && l->state == LINK_REPLAYING && l->cursor == ahead->seq) {
                if (error)
                        replay_gap(s, l, "unavailable");
                else if (ahead->seq > last_seq)
                        replay_gap(s, l, "cursor_ahead");
                else
                        replay_serve(
                                s, l,
                                &(struct replay_source){.from = ahead->seq, .after = ahead->seq, .through = ahead->seq},
                                false);
        }
        if (!error && ahead->seq <= last_seq)
                chain_verify(c); /* perhaps the client knows of an event that has not come here */
        channel_unref(c);
        free(ahead);
}

static void ahead_ask(struct session *s, struct link *l)
{
        struct ahead *ahead = malloc(sizeof(*ahead));

        if (!ahead) {
                replay_gap(s, l, "unavailable");
                return;
        }
        *ahead = (struct ahead){.channel = channel_ref(l->channel), .session = s->handle, .seq = l->cursor};
        shard_ask(l->channel->shard, ahead_answer, ahead);
}

void replay_begin(struct session *s, struct link *l, uint64_t epoch, uint64_t seq)
{
        struct channel *c = l->channel;
        const struct member *m = user_member(s->user, c);
        struct replay_source source = {.from = seq, .after = seq, .through = seq};
        uint64_t history_through = 0;

        session_link_set(s, l, LINK_REPLAYING);
        l->cursor = seq;
        l->epoch_changed = epoch && epoch != c->shard->epoch;
        if (channel_joined_only(c) && m && (!m->since_seq || seq + 1 < m->since_seq)) {
                if (!m->since_seq)
                        history_through = channel_position(c);
                else if (m->had_absence)
                        history_through = m->since_seq - 1;
                else
                        source.after = source.through = m->since_seq - 1;
        }
        if (seq > channel_position(c)) {
                ahead_ask(s, l);
        } else if (seq >= history_through && tail_covers(c, source.after)) {
                metric_add(&stat_replays_tail, 1);
                replay_serve(s, l, &source, true);
        } else {
                replay_wait(s, l, &source, history_through);
        }
}
