/* What sessions are told of those whom they look at, and when.
 *
 * Looks with something to tell stand in a calendar, and are visited when that is due: not before, however long it takes. What is told is told at
 * once as long as little is. When there is much, news wait a little, for with what comes meanwhile they are one write, which costs
 * more than all the rest; and whatever else leaves for a session takes them along.
 *
 * The wheel says whose turn it is; they are told turn by turn of the loop (core_tell), as many in each as leave room for everything else. */
#include <errno.h>

#include "gateway/look.h"
#include "gateway/session.h"
#include "gateway/stats.h"

/* TELL_MS: between two `presence` of a session. PLACE_MS: between two descriptions of a channel. QUEUE_SHARE: with more than this part of its
 * queue filled a session is told nothing, until that is better. DESCRIBE_MS, DESCRIBE_BURST: descriptions of channels to one session in the long run, and at once.
 * DOUBT_MS: a snapshot waits for those in doubt; an answer takes LOOK_LATER_MS and half a second, mostly. */
enum {
        TELL_MS = 1000,
        PLACE_MS = 5000,
        DOUBT_MS = 3000,
        QUEUE_SHARE = 4,
        SPREAD = 16,
        DESCRIBE_MS = 300,
        DESCRIBE_BURST = 32
};

static struct looks *looks_of(const struct look *l)
{
        return l->session->core->looks;
}

/* --- the calendar --- */

static void on_tell(struct wheel_timer *t, uint64_t now_ms);

void calendar_init(struct calendar *telling)
{
        ring_init(&telling->due);
        for (unsigned i = 0; i < TELL_TICKS; i++)
                ring_init(&telling->ticks[i]);
}

void look_forget(struct look *l)
{
        struct calendar *c = &looks_of(l)->telling;

        if (ring_holds(&l->telling)) {
                c->n--;
                c->n_due -= l->due_tick <= c->tick;
        }
        ring_remove(&l->telling);
}

/* To be visited then, or before */
static void look_due(struct look *l, uint64_t due_ms)
{
        struct core *core = l->session->core;
        struct calendar *c = &core->looks->telling;
        uint64_t tick = (due_ms + TELL_TICK_MS - 1) / TELL_TICK_MS;

        if (!c->n)
                c->tick = core->now_ms / TELL_TICK_MS;
        if (tick <= c->tick)
                tick = c->tick + 1;
        if (tick >= c->tick + TELL_TICKS)
                tick = c->tick + TELL_TICKS - 1;
        if (ring_holds(&l->telling) && l->due_tick <= tick)
                return;
        look_forget(l);
        l->due_tick = tick;
        ring_add(&c->ticks[tick % TELL_TICKS], &l->telling);
        c->n++;
        if (!wheel_armed(&c->timer))
                wheel_arm(core->wheel, &c->timer, core->now_ms + TELL_TICK_MS, on_tell);
}

static void calendar_turn(struct calendar *c, uint64_t now_ms)
{
        uint64_t now = now_ms / TELL_TICK_MS;

        for (unsigned i = 0; c->tick < now && i < TELL_TICKS; i++) {
                struct ring *tick = &c->ticks[++c->tick % TELL_TICKS];

                while (tick->next != tick) {
                        struct ring *item = tick->next;

                        ring_remove(item);
                        ring_add(&c->due, item);
                        c->n_due++;
                }
        }
        if (c->tick < now) /* longer than a round of the calendar ago */
                c->tick = now;
}

/* --- what there is to tell --- */

static bool is_busy(const struct session *s)
{
        return s->queue_bytes > s->core->config->session_max_queue_bytes / QUEUE_SHARE;
}

static uint64_t told_next_ms(const struct look *l)
{
        return l->told_ms ? l->told_ms + TELL_MS : 0;
}

/* What was to be told soon, as it came in a storm, does not wait for longer when that is over */
static uint64_t news_due_ms(struct look *l)
{
        uint64_t hold = hold_news_ms(looks_of(l)), by_ms;

        /* What one message of presence brings is news for many at once. Those who wait are spread over the last quarter, or a message in a
         * hundred would wait for all of their writes. */
        hold -= hold / 4 * ((l->session->handle * 0x9E3779B97F4A7C15u >> 32) % SPREAD) / SPREAD;
        by_ms = l->news_ms + hold;
        if (by_ms < l->news_by_ms)
                l->news_by_ms = by_ms;
        return l->news_by_ms > told_next_ms(l) ? l->news_by_ms : told_next_ms(l);
}

/* Those who would wait for longer than in a storm */
static void calendar_hasten(struct looks *all)
{
        for (struct ring *item = all->all.next; item != &all->all; item = item->next) {
                struct look *l = RING_OWNER(item, struct look, all);

                if (l->news_ms)
                        look_due(l, news_due_ms(l));
        }
}

void look_changed(struct looks *all)
{
        if (hold_change(all))
                calendar_hasten(all);
}

void look_news(struct look *l)
{
        struct looks *all = looks_of(l);

        if (hold_news(all))
                calendar_hasten(all);
        if (!l->news_ms) {
                l->news_ms = all->core->now_ms;
                l->news_by_ms = UINT64_MAX;
        }
        look_due(l, news_due_ms(l));
}

void look_news_of(struct look *l, uint32_t index)
{
        l->edges[index].flags |= EDGE_NEWS;
        if (l->news_first > index)
                l->news_first = index;
        if (l->news_last < index)
                l->news_last = index;
        if (!edge_doubted(&l->edges[index]))
                look_news(l);
}

void look_soon(struct look *l)
{
        look_due(l, l->session->core->now_ms);
}

/* --- watched users --- */

static void found_edge(struct found *found, size_t *n, struct watch_edge *e)
{
        e->flags &= (uint8_t)~EDGE_NEWS;
        found[(*n)++] = (struct found){.who = e->seen, .hidden = e->sight != SIGHT_VISIBLE};
}

/* What it waits for: an answer about each. Of whom there is a doubt there may be none that is believed for as long as somebody leaves and
 * comes back, so it waits for these only for a while; not for ever, or one could keep it from all who may see him. */
static bool snapshot_waits(struct look *l)
{
        uint64_t late_ms = l->snapshot_ms + DOUBT_MS;
        bool doubted = false;

        for (uint32_t i = 0; i < l->n_edges; i++) {
                if (edge_doubted(&l->edges[i]))
                        doubted = true;
                else if (l->edges[i].sight == SIGHT_UNKNOWN)
                        return true; /* until his answer comes */
        }
        if (!doubted || l->session->core->now_ms >= late_ms)
                return false;
        look_due(l, late_ms);
        return true;
}

/* Who is in doubt is told as hidden; what is so is a change then */
static void edge_hide(struct look *l, struct watch_edge *e)
{
        l->pending -= e->sight == SIGHT_UNKNOWN;
        e->sight = SIGHT_HIDDEN;
        metric_add(&stat_presence_doubted, 1);
}

/* It has all news of users who are watched */
static void snapshot_tell(struct look *l)
{
        uint64_t now_ms = l->session->core->now_ms;
        struct found *found;
        size_t n = 0;

        if (!l->snapshot_due || snapshot_waits(l))
                return;
        if (now_ms < told_next_ms(l)) {
                look_due(l, told_next_ms(l));
                return;
        }
        found = looks_found(looks_of(l), l->n_edges);
        for (uint32_t i = 0; i < l->n_edges; i++)
                if (edge_doubted(&l->edges[i]))
                        edge_hide(l, &l->edges[i]);
        for (uint32_t i = 0; found && i < l->n_edges; i++)
                found[n++] = (struct found){.who = l->edges[i].seen, .hidden = l->edges[i].sight != SIGHT_VISIBLE};
        l->told_ms = now_ms;
        l->snapshot_due = false;
        for (uint32_t i = 0; i < l->n_edges; i++)
                l->edges[i].flags &= (uint8_t)~EDGE_NEWS;
        l->news_first = UINT32_MAX;
        l->news_last = 0;
        if (found && frame_users(l, found, n, true) == 0) /* which may have been its end */
                return;
        l->snapshot_due = true;
        look_due(l, now_ms + TELL_MS);
}

/* --- channels in focus --- */

/* When the session may be told of it. The first count is often made before presence has heard of the session itself: it is corrected soon, once. */
static uint64_t place_due_ms(const struct look *l, const struct focus_edge *e)
{
        uint64_t next_ms = e->told_ms + (e->place->kind == PLACE_COUNTED && !e->again ? TELL_MS : PLACE_MS),
                 due_ms = l->described_ms > DESCRIBE_BURST * DESCRIBE_MS
                                  ? l->described_ms - DESCRIBE_BURST * DESCRIBE_MS
                                  : 0;

        return e->begun && due_ms < next_ms ? next_ms : due_ms;
}

static void place_tell(struct look *l, struct focus_edge *e)
{
        uint64_t now_ms = l->session->core->now_ms;
        struct focus_edge was = *e;

        if (!e->due || !e->place || e->place->kind == PLACE_UNKNOWN)
                return;
        if (is_busy(l->session) || place_due_ms(l, e) > now_ms) {
                look_due(l, is_busy(l->session) ? now_ms : place_due_ms(l, e));
                return;
        }
        e->due = false;
        e->again = e->begun;
        e->begun = true;
        e->told = e->place->changes;
        e->told_ms = now_ms;
        l->described_ms = (l->described_ms > now_ms ? l->described_ms : now_ms) + DESCRIBE_MS;
        if (frame_place(l, e->place) == 0) /* which may have been the end of the session, and of the edge */
                return;
        *e = was;
        look_due(l, now_ms + TELL_MS);
}

/* --- the news of a second --- */

static size_t news_max(const struct look *l)
{
        size_t n = l->news_first <= l->news_last ? l->news_last - l->news_first + 1 : 0;

        for (uint32_t i = 0; i < l->n_focus; i++) {
                const struct focus_edge *e = &l->focus[i];

                if (e->place && e->begun && e->told != e->place->changes)
                        n += e->place->n_residents;
        }
        return n;
}

/* What is in doubt stays, for later */
static size_t news_of_edges(struct look *l, struct found *found, uint32_t mark)
{
        uint32_t first = l->news_first, last = l->news_last;
        size_t n = 0;

        l->news_first = UINT32_MAX;
        l->news_last = 0;
        for (uint32_t i = first; i <= last && i < l->n_edges; i++) {
                struct watch_edge *e = &l->edges[i];

                if (!(e->flags & EDGE_NEWS))
                        continue;
                if (edge_doubted(e)) {
                        l->news_first = i < l->news_first ? i : l->news_first;
                        l->news_last = i;
                        continue;
                }
                e->seen->mark = mark;
                found_edge(found, &n, e);
        }
        return n;
}

/* Each once, whichever way he is seen */
static void news_of_place(struct found *found, size_t *n, struct focus_edge *e, uint32_t mark)
{
        struct place *p = e->place;

        if (!p || !e->begun || e->told == p->changes)
                return;
        for (uint32_t i = 0; i < p->n_residents; i++) {
                const struct resident *r = &p->residents[i];

                if (!r->seen || (int32_t)(r->changed - e->told) <= 0 || r->seen->mark == mark)
                        continue;
                r->seen->mark = mark;
                found[(*n)++] = (struct found){.who = r->seen};
        }
        e->told = p->changes;
}

/* The whole set is due, and has what is new of it */
static void news_tell(struct look *l)
{
        struct looks *all = looks_of(l);
        uint32_t mark = ++all->mark;
        struct found *found = looks_found(all, news_max(l));
        size_t n;

        if (!found) {
                look_due(l, all->core->now_ms + TELL_MS);
                return;
        }
        l->news_ms = 0;
        n = l->snapshot_due ? 0 : news_of_edges(l, found, mark);
        for (uint32_t i = 0; i < l->n_focus; i++)
                news_of_place(found, &n, &l->focus[i], mark);
        if (!n)
                return;
        l->told_ms = all->core->now_ms;
        if (frame_users(l, found, n, false))
                session_close(l->session, PARLEY_CLOSE_RECONNECT,
                              NULL); /* no memory: all is told when it comes again */
}

/* --- whose turn it is --- */

/* What is sent may be too much for the session, which is closed then and looks at nothing any more */
static void look_tell(struct session *s)
{
        struct look *l = s->look;
        uint64_t now_ms = s->core->now_ms;

        if (s->state != SESSION_LIVE || is_busy(s)) {
                look_due(l, now_ms);
                return;
        }
        snapshot_tell(l);
        for (uint32_t i = 0; s->look && i < l->n_focus; i++)
                place_tell(l, &l->focus[i]);
        if (!s->look || !l->news_ms)
                return;
        if (news_due_ms(l) <= now_ms)
                news_tell(l);
        else
                look_due(l, news_due_ms(l));
}

static void on_tell(struct wheel_timer *t, uint64_t now_ms)
{
        struct calendar *c = RING_OWNER(t, struct calendar, timer);

        calendar_turn(c, now_ms);
        if (c->n)
                wheel_arm(RING_OWNER(c, struct looks, telling)->core->wheel, t, now_ms + TELL_TICK_MS, on_tell);
}

unsigned core_due(const struct core *core)
{
        return core->looks ? core->looks->telling.n_due : 0;
}

/* Who is not ready to be told is due at a later tick: it goes through each of them once */
unsigned core_tell(struct core *core, unsigned max_work)
{
        struct calendar *c = core->looks ? &core->looks->telling : NULL;
        uint64_t max = core->looks ? core->looks->encoded + max_work : 0;

        if (!c || !c->n_due)
                return 0;
        core_time(core);
        for (; c->due.next != &c->due && core->looks->encoded < max; max--) {
                struct look *l = RING_OWNER(c->due.next, struct look, telling);

                look_forget(l);
                look_tell(l->session);
        }
        return c->n_due;
}

void look_ride(struct look *l)
{
        struct session *s = l->session;
        uint64_t now_ms = s->core->now_ms;

        if (l->news_ms && s->state == SESSION_LIVE && !l->snapshot_due && now_ms >= told_next_ms(l) && !is_busy(s))
                news_tell(l);
}
