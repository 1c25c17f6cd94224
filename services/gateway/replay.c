#include "gateway/replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/log.h"
#include "gateway/shard.h"
#include "gateway/stats.h"
#include "gateway/user.h"

/* What is asked: the same thing is asked once for all */
struct replay_key {
        uint64_t from, after;
        uint64_t alone; /* a number of its own: shared with nobody; 0 */
};

/* What links wait for: a fetch, or the stream's last sequence. A link waits for one at most, and names it. */
struct replay {
        struct replay_key key;
        struct channel *channel; /* a reference */
        struct fetch *fetch;
        struct replay_source source;
        struct raw_event *events, **last;
        uint64_t history_through; /* below this only history may answer */
        bool private;             /* for one user */
        uint64_t *waiters;        /* handles of sessions */
        unsigned n_waiters, cap_waiters;
        unsigned n_waiting; /* of them still do */
        bool listed;        /* in channel->replays */
        UT_hash_handle hh;
        char user_id[IDENT_MAX + 1];
};

static int replay_fetch(struct replay *r);

static void replay_gap(struct session *s, struct link *l, enum parley_gap reason)
{
        struct channel *c = l->channel;
        Parley__V1__ServerFrame message = PARLEY__V1__SERVER_FRAME__INIT;
        Parley__V1__Gap gap = PARLEY__V1__GAP__INIT;

        gap.channel_id = c->id;
        gap.epoch = c->shard->epoch;
        gap.from_seq = l->cursor;
        gap.head_seq = channel_position(c);
        gap.reason = (char *)parley_gap_text(reason);
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
                replay_gap(s, l, error && error != -E2BIG ? PARLEY_GAP_UNAVAILABLE : PARLEY_GAP_TOO_LONG);
                return;
        }
        session_link_set(s, l, LINK_LIVE);
        for (unsigned i = 0; i < frames->n; i++)
                session_queue(s, frames->frames[i]);
}

/* --- shared fetches --- */

static void replay_free(struct replay *r)
{
        if (r->listed)
                HASH_DEL(r->channel->replays, r);
        raw_event_free_list(r->events);
        free(r->waiters);
        free(r);
}

void replay_free_all(struct channel *c)
{
        while (c->replays)
                replay_free(c->replays);
}

void replay_leave(struct link *l)
{
        struct replay *r = l->replay;
        struct channel *c;

        l->replay = NULL;
        if (!r || --r->n_waiting || !r->fetch)
                return;
        c = r->channel;
        fetch_cancel(r->fetch);
        replay_free(r);
        channel_unref(c);
}

/* The link that this session waits with, when it still does */
static struct link *replay_waiter(struct replay *r, unsigned i, struct session **ret_session)
{
        struct session *s = handle_get(&r->channel->core->handles, r->waiters[i]);
        struct link *l = s && s->state == SESSION_LIVE ? session_link(s, r->channel) : NULL;

        if (!l || l->replay != r)
                return NULL;
        l->replay = NULL;
        r->n_waiting--;
        *ret_session = s;
        return l;
}

static void replay_finish(struct replay *r, enum fetch_result result)
{
        struct channel *c = r->channel;

        if (r->listed)
                HASH_DEL(c->replays, r);
        r->listed = false;
        for (unsigned i = 0; i < r->n_waiters; i++) {
                struct session *s;
                struct link *l = replay_waiter(r, i, &s);

                if (!l)
                        continue;
                if (result == FETCH_OK)
                        replay_serve(s, l, &r->source, !r->private);
                else if (result == FETCH_TOO_LONG)
                        replay_gap(s, l, PARLEY_GAP_TOO_LONG);
                else
                        replay_gap(s, l, l->epoch_changed ? PARLEY_GAP_EPOCH_CHANGED : PARLEY_GAP_UNAVAILABLE);
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

        return fetch_start(c, &options, &r->fetch);
}

static bool replay_join(struct replay *r, struct session *s, struct link *l)
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
        r->n_waiting++;
        l->replay = r;
        return true;
}

static struct replay *replay_find(struct channel *c, const struct replay_source *source)
{
        struct replay_key key;
        struct replay *r;

        memset(&key, 0, sizeof(key));
        key.from = source->from;
        key.after = source->after;
        HASH_FIND(hh, c->replays, &key, sizeof(key), r);
        return r;
}

/* Somebody waits for it already. NULL: no memory */
static struct replay *replay_new(struct session *s, struct link *l, const struct replay_source *source)
{
        struct replay *r = calloc(1, sizeof(*r));

        if (!r || !replay_join(r, s, l)) {
                free(r);
                return NULL;
        }
        r->channel = channel_ref(l->channel);
        r->source = *source;
        r->source.through = source->after;
        r->last = &r->events;
        return r;
}

static void replay_wait(struct session *s, struct link *l, const struct replay_source *source, uint64_t history_through)
{
        struct channel *c = l->channel;
        struct replay *r = history_through ? NULL : replay_find(c, source);

        if (r) {
                if (!replay_join(r, s, l))
                        replay_gap(s, l, PARLEY_GAP_UNAVAILABLE);
                return;
        }
        r = replay_new(s, l, source);
        if (!r) {
                replay_gap(s, l, PARLEY_GAP_UNAVAILABLE);
                return;
        }
        r->history_through = history_through;
        r->private = history_through != 0;
        if (r->private)
                memcpy(r->user_id, s->user->id, sizeof(r->user_id));
        r->key.from = source->from;
        r->key.after = source->after;
        r->key.alone = r->private ? ++c->core->n_private_replays : 0;
        HASH_ADD(hh, c->replays, key, sizeof(r->key), r);
        r->listed = r->hh.tbl != NULL; /* without memory nobody can join it */
        if (replay_fetch(r))
                replay_finish(r, FETCH_UNAVAILABLE);
}

/* --- a cursor above what is known here --- */

/* A cursor may be above the channel's last event (a replay is complete through a later sequence of the stream), but not above the stream's. */
static void ahead_answer(struct shard *shard, int error, uint64_t last_seq, void *userdata)
{
        struct replay *r = userdata;
        struct channel *c = r->channel;
        struct session *s;
        struct link *l = replay_waiter(r, 0, &s);

        (void)shard;
        if (l && error)
                replay_gap(s, l, PARLEY_GAP_UNAVAILABLE);
        else if (l && r->source.from > last_seq)
                replay_gap(s, l, PARLEY_GAP_CURSOR_AHEAD);
        else if (l && tail_covers(c, r->source.after))
                replay_serve(s, l, &r->source, false);
        else if (l)
                replay_wait(s, l, &r->source,
                            0); /* the channel has passed the cursor meanwhile, and the tail with it */
        if (!error && r->source.from <= last_seq)
                chain_verify(c); /* perhaps the client knows of an event that has not come here */
        replay_free(r);
        channel_unref(c);
}

static void ahead_ask(struct session *s, struct link *l, const struct replay_source *source)
{
        struct channel *c = l->channel;
        struct replay *r = replay_new(s, l, source);

        if (r)
                shard_ask(c->shard, ahead_answer, r);
        else
                replay_gap(s, l, PARLEY_GAP_UNAVAILABLE);
}

void replay_begin(struct session *s, struct link *l, uint64_t epoch, uint64_t seq)
{
        struct channel *c = l->channel;
        const struct member *m = user_member(s->user, c);
        struct replay_source source = {.from = seq, .after = seq, .through = seq};
        uint64_t history_through = 0;

        replay_leave(l); /* the client has moved on */
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
                ahead_ask(s, l, &source);
        } else if (seq >= history_through && tail_covers(c, source.after)) {
                metric_add(&stat_replays_tail, 1);
                replay_serve(s, l, &source, true);
        } else {
                replay_wait(s, l, &source, history_through);
        }
}
