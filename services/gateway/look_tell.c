/* What sessions are told of those whom they look at: collected, and told once a second. */
#include <stdlib.h>

#include "base/log.h"
#include "gateway/channel.h"
#include "gateway/look.h"
#include "gateway/session.h"
#include "gateway/stats.h"
#include "gateway/user.h"

/* TELL_MS: between two `presence` of a session. TICK_MS: who may be told is looked at so often. PLACE_MS: between two descriptions of a channel.
 * QUEUE_SHARE: with more than this part of its queue filled a session is told nothing, until that is better. */
enum { TELL_MS = 1000, TICK_MS = 50, PLACE_MS = 5000, QUEUE_SHARE = 4 };

/* A frame that is being filled */
struct telling {
        struct look *look;
        Parley__V1__Presence presence;
        struct shown_user *shown;
        Parley__V1__UserPresence **users;
        char **hidden;
        size_t max;
};

static bool telling_init(struct telling *t, struct look *l, size_t max)
{
        *t = (struct telling){.look = l,
                              .shown = calloc(max + 1, sizeof(*t->shown)),
                              .users = calloc(max + 1, sizeof(Parley__V1__UserPresence *)),
                              .hidden = calloc(max + 1, sizeof(char *)),
                              .max = max};
        parley__v1__presence__init(&t->presence);
        t->presence.users = t->users;
        t->presence.hidden_user_ids = t->hidden;
        return t->shown && t->users && t->hidden;
}

static void telling_done(struct telling *t)
{
        free(t->shown);
        free((void *)t->users);
        free((void *)t->hidden);
}

static void telling_add(struct telling *t, const struct seen *who)
{
        struct shown_user *shown = &t->shown[t->presence.n_users];

        seen_show(who, t->look->session->user->id, shown);
        t->users[t->presence.n_users++] = &shown->user;
}

static void telling_send(struct telling *t)
{
        Parley__V1__ServerFrame frame = PARLEY__V1__SERVER_FRAME__INIT;

        frame.body_case = PARLEY__V1__SERVER_FRAME__BODY_PRESENCE;
        frame.presence = &t->presence;
        metric_add(&stat_presence_frames, 1);
        session_send(t->look->session, &frame);
}

static bool is_busy(const struct session *s)
{
        return s->queue_bytes > s->core->config->session_max_queue_bytes / QUEUE_SHARE;
}

/* --- watched users --- */

/* Takes the news of an edge */
static void telling_edge(struct telling *t, struct watch_edge *e)
{
        e->flags &= (uint8_t)~EDGE_NEWS;
        if (e->sight == SIGHT_VISIBLE)
                telling_add(t, e->seen);
        else
                t->hidden[t->presence.n_hidden_user_ids++] = e->seen->id;
}

/* False: no memory */
static bool snapshot_send(struct look *l)
{
        struct telling t;

        if (!l->snapshot_due || l->pending)
                return true;
        if (!telling_init(&t, l, l->n_edges)) {
                telling_done(&t);
                return false;
        }
        l->snapshot_due = false;
        l->told_ms = l->session->core->now_ms;
        t.presence.snapshot = true;
        for (uint32_t i = 0; i < l->n_edges; i++)
                telling_edge(&t, &l->edges[i]);
        telling_send(&t);
        telling_done(&t);
        return true;
}

/* --- channels in focus --- */

static bool is_shown(const struct shown_user *shown)
{
        return shown->user.availability != PARLEY__V1__USER_PRESENCE__AVAILABILITY__offline;
}

/* False: no memory */
static bool place_send(struct look *l, const struct place *p)
{
        Parley__V1__ServerFrame frame = PARLEY__V1__SERVER_FRAME__INIT;
        Parley__V1__ChannelPresence m = PARLEY__V1__CHANNEL_PRESENCE__INIT;
        struct telling t;

        if (!telling_init(&t, l, p->n_residents)) {
                telling_done(&t);
                return false;
        }
        for (uint32_t i = 0; i < p->n_residents; i++) {
                if (!p->residents[i].seen)
                        continue;
                telling_add(&t, p->residents[i].seen);
                if (!is_shown(&t.shown[t.presence.n_users - 1]))
                        t.presence.n_users--;
        }
        m.channel_id = (char *)p->channel->id;
        m.members = p->members;
        m.online = p->online;
        m.counted = p->kind == PLACE_COUNTED;
        m.users = t.users;
        m.n_users = t.presence.n_users;
        frame.body_case = PARLEY__V1__SERVER_FRAME__BODY_CHANNEL_PRESENCE;
        frame.channel_presence = &m;
        metric_add(&stat_presence_frames, 1);
        session_send(l->session, &frame);
        telling_done(&t);
        return true;
}

/* False: it is to be told later */
static bool place_tell(struct look *l, struct focus_edge *e)
{
        uint64_t now_ms = l->session->core->now_ms, told_ms = e->told_ms;
        bool begun = e->begun;

        if (!e->due || !e->place || e->place->kind == PLACE_UNKNOWN)
                return true;
        if (begun && now_ms - told_ms < PLACE_MS)
                return false;
        e->due = false;
        e->begun = true;
        e->told = e->place->changes;
        e->told_ms = now_ms;
        if (place_send(l, e->place)) /* which may have been the end of the session, and of the edge */
                return true;
        e->due = true;
        e->begun = begun;
        return false;
}

/* --- the news of a second --- */

static size_t news_max(const struct look *l)
{
        size_t n = l->n_edges;

        for (uint32_t i = 0; i < l->n_focus; i++) {
                const struct focus_edge *e = &l->focus[i];

                if (e->place && e->begun && e->told != e->place->changes)
                        n += e->place->n_residents;
        }
        return n;
}

/* Each once, whichever way he is seen */
static void news_add(struct telling *t, struct seen *who, uint32_t mark)
{
        if (who->mark == mark)
                return;
        who->mark = mark;
        telling_add(t, who);
}

static void news_of_place(struct telling *t, struct focus_edge *e, uint32_t mark)
{
        struct place *p = e->place;

        if (!p || !e->begun || e->told == p->changes)
                return;
        for (uint32_t i = 0; i < p->n_residents; i++) {
                const struct resident *r = &p->residents[i];

                if (r->seen && (int32_t)(r->changed - e->told) > 0)
                        news_add(t, r->seen, mark);
        }
        e->told = p->changes;
}

/* False: no memory */
static bool news_send(struct look *l)
{
        uint32_t mark = ++l->session->core->looks->mark;
        struct telling t;

        if (!telling_init(&t, l, news_max(l))) {
                telling_done(&t);
                return false;
        }
        for (uint32_t i = 0; i < l->n_edges && !l->snapshot_due; i++) {
                struct watch_edge *e = &l->edges[i];

                if (!(e->flags & EDGE_NEWS) || e->flags & EDGE_DOUBT)
                        continue;
                e->seen->mark = mark;
                telling_edge(&t, e);
        }
        for (uint32_t i = 0; i < l->n_focus; i++)
                news_of_place(&t, &l->focus[i], mark);
        if (t.presence.n_users || t.presence.n_hidden_user_ids) {
                l->told_ms = l->session->core->now_ms;
                telling_send(&t);
        }
        telling_done(&t);
        return true;
}

/* --- whose turn it is --- */

/* True: nothing is left. What is sent may be too much for the session, which is closed then and looks at nothing any more. */
static bool look_tell(struct session *s)
{
        struct look *l = s->look;
        bool done;

        if (s->state != SESSION_LIVE || is_busy(s))
                return false;
        done = snapshot_send(l);
        for (uint32_t i = 0; s->look && i < l->n_focus; i++)
                done = place_tell(l, &l->focus[i]) && done;
        if (!s->look)
                return true;
        if (s->core->now_ms - l->told_ms < TELL_MS)
                return false;
        return news_send(l) && done;
}

static void on_tell(struct wheel_timer *t, uint64_t now_ms)
{
        struct looks *all = RING_OWNER(t, struct looks, tell_timer);
        struct ring *at = all->telling.next, *next;

        for (; at != &all->telling; at = next) {
                struct session *s = RING_OWNER(at, struct look, telling)->session;

                next = at->next;
                if (look_tell(s) && s->look)
                        ring_remove(&s->look->telling);
        }
        if (all->telling.next != &all->telling)
                wheel_arm(all->core->wheel, t, now_ms + TICK_MS, on_tell);
}

void look_news(struct look *l)
{
        struct looks *all = l->session->core->looks;

        ring_add(&all->telling, &l->telling);
        if (!wheel_armed(&all->tell_timer))
                wheel_arm(all->core->wheel, &all->tell_timer, all->core->now_ms + TICK_MS, on_tell);
}
