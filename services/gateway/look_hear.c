/* What presence says by itself, and what it is asked of channels.
 *
 * presence.changes is counted: a jump of the counter, or another source, means that something was missed, and everything is asked again. */
#include <string.h>

#include "base/log.h"
#include "bus/subjects.h"
#include "gateway/changes.h"
#include "gateway/channel.h"
#include "gateway/look.h"
#include "gateway/session.h"
#include "gateway/stats.h"
#include "gateway/typing.h"
#include "gateway/user.h"

/* RESYNC_MS: everything is not asked again more often. PLACE_MS, COUNT_MS: nor a channel with a list, or a count. MOVED_MS: so long after
 * a change of its members is a channel asked again when presence says that somebody's memberships have changed. FAILED_MS: until
 * a channel is asked again for which there was no answer; when presence is heard of, that is sooner. RESYNC_EDGES: in one turn of the loop.
 * FOCUS_BURST: so often is a channel asked at once that leaves the focus of all and comes back, then every second. */
enum {
        RESYNC_MS = 2000,
        PLACE_MS = 1000,
        COUNT_MS = 5000,
        MOVED_MS = 30000,
        FAILED_MS = 5000,
        RESYNC_EDGES = 20000,
        FOCUS_BURST = 12
};

/* --- everything again --- */

/* Those who were not asked again since the epoch stand in front. A turn takes some of them. */
static bool resync_some(struct looks *all)
{
        uint32_t edges = 0;

        while (all->all.next != &all->all && edges < RESYNC_EDGES) {
                struct look *l = RING_OWNER(all->all.next, struct look, all);

                if (l->epoch == all->epoch)
                        return false;
                l->epoch = all->epoch;
                ring_remove(&l->all);
                ring_add(&all->all, &l->all);
                for (uint32_t i = 0; i < l->n_edges; i++)
                        l->edges[i].flags |= EDGE_ASK;
                if (l->n_edges)
                        ring_add(&all->queue, &l->asking);
                edges += l->n_edges + 1;
        }
        return all->all.next != &all->all;
}

static void on_resync_more(struct wheel_timer *t, uint64_t now_ms)
{
        struct looks *all = RING_OWNER(t, struct looks, resync_timer);

        if (resync_some(all))
                wheel_arm(all->core->wheel, t, now_ms, on_resync_more);
        else if (all->resync_again)
                looks_resync(all);
        look_ask_go(all);
}

static void on_resync(struct wheel_timer *t, uint64_t now_ms)
{
        struct looks *all = RING_OWNER(t, struct looks, resync_timer);
        struct place *p, *tmp_p;

        all->resynced_ms = now_ms;
        all->resync_again = false;
        all->epoch++;
        metric_add(&stat_presence_resyncs, 1);
        HASH_ITER (hh, all->places, p, tmp_p)
                place_ask(p, 0);
        on_resync_more(t, now_ms);
}

void looks_resync(struct looks *all)
{
        uint64_t now_ms = all->core->now_ms, due_ms = all->resynced_ms + RESYNC_MS;

        if (wheel_armed(&all->resync_timer)) /* of which a part may be done already */
                all->resync_again = true;
        else
                wheel_arm(all->core->wheel, &all->resync_timer, due_ms > now_ms ? due_ms : now_ms, on_resync);
}

/* What the one before had heard of leavings is not what this one has */
static void speaker_heard(struct looks *all, const char *source)
{
        if (strcmp(all->speaker, source) == 0)
                return;
        if (*all->speaker) {
                changes_unsettle(all->core);
                all->speakers++;
        }
        memcpy(all->speaker, source, strlen(source) + 1);
}

bool looks_source(struct looks *all, const char *source, uint64_t counter, bool told)
{
        bool other = strcmp(all->source, source) != 0, missed;
        struct seen *who, *tmp;

        if (!ident_valid(source))
                return false;
        speaker_heard(all, source);
        missed = all->heard && (other || (told && counter > all->counter + 1));
        if (told && (other || !all->heard || counter > all->counter + 1))
                all->missed = counter - 1;
        all->taking = told || other ? UINT64_MAX : counter;
        if (other) {
                all->generation++;
                HASH_ITER (hh, all->seen, who, tmp)
                        who->since = 0;
        }
        if (other || !all->heard || (told && counter > all->counter))
                all->counter = counter;
        all->heard = true;
        memcpy(all->source, source, strlen(source) + 1);
        return missed;
}

/* --- what it says --- */

/* He has joined or left a channel: who may see him, and whom he may see, is asked again */
static void regrouped(struct looks *all, const char *user_id)
{
        struct seen *who = seen_find(all, user_id);
        struct user *u = user_find(all->core, user_id);

        for (uint32_t i = 0; who && i < who->by.n; i++) {
                struct look *l = who->by.refs[i].look;
                struct watch_edge *e = &l->edges[who->by.refs[i].index];

                e->flags = (uint8_t)((e->flags & ~EDGE_LATER) | EDGE_ASK);
                ring_add(&all->queue, &l->asking);
        }
        for (struct resident *r = who ? who->residents : NULL; r; r = r->next)
                place_ask(r->place, 0);
        for (struct session *s = u ? u->sessions : NULL; s; s = s->user_next) {
                struct look *l = s->look;

                for (uint32_t i = 0; l && i < l->n_edges; i++)
                        l->edges[i].flags = (uint8_t)((l->edges[i].flags & ~EDGE_LATER) | EDGE_ASK);
                if (l && l->n_edges)
                        ring_add(&all->queue, &l->asking);
        }
}

static void places_regrouped(struct looks *all)
{
        struct place *p, *tmp;

        if (!all->moved_ms || all->core->now_ms - all->moved_ms > MOVED_MS)
                return;
        HASH_ITER (hh, all->places, p, tmp) {
                if (p->moved_ms && all->core->now_ms - p->moved_ms <= MOVED_MS)
                        place_ask(p, 0);
        }
}

/* Presence is there again: those that it did not answer of */
static void places_again(struct looks *all)
{
        struct place *p, *tmp;

        HASH_ITER (hh, all->places, p, tmp) {
                if (p->failed)
                        place_ask(p, 0);
        }
}

static void count_take(struct looks *all, const Parley__V1__ChannelCount *count)
{
        const struct channel *c = channel_find(all->core, count->channel_id);

        if (c && c->place)
                place_count(c->place, count->members, count->online);
}

/* Whoever has become invisible is not shown writing any more, as he looks like one who left */
static void vanished(struct looks *all, const char *user_id)
{
        struct place *p, *tmp;

        HASH_ITER (hh, all->places, p, tmp) {
                if (p->typing)
                        typing_left(p, user_id);
        }
}

static void change_take(struct looks *all, const Parley__V1__PresenceChange *change)
{
        if (change->invisible && change->user)
                vanished(all, change->user->user_id);
        if (seen_take(all, change))
                looks_resync(all);
}

static void on_changes(const struct bus_msg *msg, void *userdata)
{
        struct looks *all = userdata;
        Parley__V1__PresenceChanges *m = parley__v1__presence_changes__unpack(NULL, msg->len, msg->data);

        if (!m) {
                log_warn("changes of presence that cannot be read");
                looks_resync(all);
                return;
        }
        metric_add(&stat_presence_changes, (double)m->n_changes);
        if (looks_source(all, m->source, m->counter, true) || m->regrouped_all)
                looks_resync(all);
        else if (all->failed)
                places_again(all);
        all->failed = false;
        for (size_t i = 0; i < m->n_changes; i++)
                change_take(all, m->changes[i]);
        for (size_t i = 0; i < m->n_counts; i++)
                count_take(all, m->counts[i]);
        for (size_t i = 0; i < m->n_regrouped; i++)
                regrouped(all, m->regrouped[i]);
        if (m->n_regrouped)
                places_regrouped(all);
        look_ask_go(all);
        parley__v1__presence_changes__free_unpacked(m, NULL);
}

int looks_listen(struct looks *all)
{
        struct upstream *up = &all->core->up;

        return all->sub ? 0 : up->subscribe(up->self, SUBJECT_PRESENCE_CHANGES, on_changes, all, &all->sub);
}

void looks_deaf(struct looks *all)
{
        if (all->sub)
                all->core->up.unsubscribe(all->core->up.self, all->sub);
        all->sub = NULL;
        all->heard = false;
        all->source[0] = '\0';
        all->generation++;
        wheel_disarm(&all->resync_timer);
        wheel_disarm(&all->later_timer);
        wheel_disarm(&all->retry_timer);
        wheel_disarm(&all->telling.timer);
        shared_clear(all);
}

/* --- who of a channel is there --- */

static void place_answered(struct place *p, bool fine)
{
        struct looks *all = p->core->looks;

        p->asking = false;
        gate_leave(&all->gate);
        if (!p->by.n)
                place_drop(p);
        else if (!fine || p->unsure || p->unlisted)
                place_ask(p, fine && p->unsure ? 0 : FAILED_MS);
}

static void on_place(int error, const struct bus_msg *msg, void *userdata)
{
        struct place *p = userdata;
        struct looks *all = p->core->looks;
        Parley__V1__PresenceAnswer *answer = look_answer(error, msg);
        bool fine = answer && !answer->error;

        if (fine && looks_source(all, answer->source, answer->counter, false))
                looks_resync(all);
        p->failed = !answer; /* one that is refused (nobody is known to be in it yet) is asked again without haste */
        all->failed |= p->failed;
        if (fine && p->by.n)
                fine = place_take(p, answer) == 0;
        place_answered(p, fine);
        look_ask_go(all);
        parley__v1__presence_answer__free_unpacked(answer, NULL);
}

static void place_ask_start(struct gate_item *item)
{
        struct place *p = RING_OWNER(item, struct place, gate);
        Parley__V1__PresenceQuery q = PARLEY__V1__PRESENCE_QUERY__INIT;
        size_t n;

        p->unsure = false;
        p->asked_ms = p->core->now_ms;
        q.channel_id = p->channel->id;
        n = look_query(p->core, &q);
        if (n)
                up_request(&p->core->up, RPC_PRESENCE_QUERY, p->core->scratch.data, n, on_place, p);
        else
                on_place(BUS_E_REFUSED, NULL, p);
}

static void on_place_timer(struct wheel_timer *t, uint64_t now_ms)
{
        struct place *p = RING_OWNER(t, struct place, timer);
        uint32_t wait_ms = p->asked_ms ? 0 : ratelimit_take(&p->channel->focused, now_ms, 1, FOCUS_BURST, 1);

        if (wait_ms) {
                wheel_arm(p->core->wheel, &p->timer, now_ms + wait_ms, on_place_timer);
                return;
        }
        if (p->asking) {
                p->unsure = true;
                return;
        }
        p->asking = true;
        gate_enter(&p->core->looks->gate, &p->gate, place_ask_start);
}

void place_ask(struct place *p, uint64_t after_ms)
{
        uint64_t now_ms = p->core->now_ms, due_ms = now_ms + after_ms,
                 next_ms = p->asked_ms + (p->kind == PLACE_COUNTED ? COUNT_MS : PLACE_MS);

        if (p->asked_ms && due_ms < next_ms)
                due_ms = next_ms;
        if (wheel_armed(&p->timer) && p->timer.due_ms <= due_ms)
                return;
        wheel_disarm(&p->timer);
        if (due_ms <= now_ms)
                on_place_timer(&p->timer, now_ms);
        else
                wheel_arm(p->core->wheel, &p->timer, due_ms, on_place_timer);
}
