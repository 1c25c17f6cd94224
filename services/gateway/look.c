/* What a session looks at: made, replaced, ended. */
#include "gateway/look.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/codes.h"
#include "gateway/changes.h"
#include "gateway/channel.h"
#include "gateway/session.h"
#include "gateway/stats.h"
#include "gateway/typing.h"
#include "gateway/user.h"

/* What an edge takes in memory, with its half in the table. Users and channels count where they are made. */
#define EDGE_BYTES (sizeof(struct watch_edge) + 2 * sizeof(struct look_ref))
#define FOCUS_BYTES (sizeof(struct focus_edge) + 2 * sizeof(struct look_ref))
/* The sessions of one user have this part of all, at most */
#define USER_SHARE 128
/* Questions about places that are under way at once */
#define GATE_PLACES 8

static struct looks *looks_get(struct core *core)
{
        struct looks *all = core->looks;

        if (all)
                return all;
        all = calloc(1, sizeof(*all));
        if (!all)
                return NULL;
        all->core = core;
        all->generation = 1;
        gate_init(&all->gate, GATE_PLACES);
        all->epoch = 1;
        calendar_init(&all->telling);
        ring_init(&all->all);
        ring_init(&all->queue);
        ring_init(&all->later);
        core->looks = all;
        return all;
}

struct look *look_get(struct session *s)
{
        struct looks *all = looks_get(s->core);
        struct look *l = s->look;

        if (l || !all)
                return l;
        if (looks_listen(all))
                return NULL;
        l = calloc(1, sizeof(*l));
        if (!l)
                return NULL;
        l->session = s;
        l->news_first = UINT32_MAX;
        l->epoch = all->epoch;
        s->look = l;
        ring_add(&all->all, &l->all);
        all->n++;
        return l;
}

/* --- what it takes --- */

static size_t look_price(size_t n_edges, size_t n_focus)
{
        return n_edges * EDGE_BYTES + n_focus * FOCUS_BYTES;
}

void looks_charge(struct looks *all, ptrdiff_t bytes)
{
        all->bytes += (size_t)bytes;
        metric_set(&stat_look_bytes, (double)all->bytes);
}

static void look_bytes(struct look *l)
{
        size_t bytes = look_price(l->n_edges, l->n_focus);

        looks_charge(l->session->core->looks, (ptrdiff_t)(bytes - l->bytes));
        l->bytes = bytes;
}

/* For a user: he pays for those whom he looks at as if he were the only one */
static size_t user_price(size_t n_edges, size_t n_focus)
{
        return look_price(n_edges, n_focus) + n_edges * (sizeof(struct seen) + IDENT_MAX / 2) +
               n_focus * sizeof(struct place);
}

/* What one user's sessions may hold: a part of all, but what one session is allowed to name in any case */
static bool user_fits(const struct look *l, size_t n_edges, size_t n_focus)
{
        const struct gateway_config *config = l->session->core->config;
        size_t share = config->max_watch_bytes / USER_SHARE, one = user_price(config->max_watch, config->max_focus);
        size_t bytes = user_price(n_edges, n_focus);

        for (const struct session *s = l->session->user->sessions; s; s = s->user_next)
                bytes += s->look && s->look != l ? user_price(s->look->n_edges, s->look->n_focus) : 0;
        return bytes <= (share > one ? share : one);
}

/* Those who are known only because of it are counted in all->bytes already */
static bool look_fits(const struct look *l, size_t n_edges, size_t n_focus)
{
        const struct core *core = l->session->core;
        size_t bytes = look_price(n_edges, n_focus);

        return bytes <= l->bytes || (core->looks->bytes - l->bytes + bytes <= core->config->max_watch_bytes &&
                                     user_fits(l, n_edges, n_focus));
}

/* --- watched users --- */

static void edges_drop(struct look *l, struct watch_edge *edges, uint32_t n)
{
        struct looks *all = l->session->core->looks;

        for (uint32_t i = 0; i < n; i++) {
                struct look_refs *by = &edges[i].seen->by;
                struct look_ref *moved = &by->refs[--by->n];

                by->refs[edges[i].at] = *moved;
                if (edges[i].at < by->n)
                        moved->look->edges[moved->index].at = edges[i].at;
                seen_drop(all, edges[i].seen);
        }
        metric_add(&stat_watch_edges, -(double)n);
        free(edges);
}

/* The users of the new set, each once and held, with room for one more watcher. 0, -ENOMEM */
static int edges_prepare(struct looks *all, char *const *user_ids, size_t n, struct watch_edge *ret, uint32_t *ret_n)
{
        uint32_t mark = ++all->mark;

        *ret_n = 0;
        for (size_t i = 0; i < n; i++) {
                struct seen *who = seen_get(all, user_ids[i]);

                if (!who || refs_reserve(&who->by)) {
                        if (who)
                                seen_drop(all, who);
                        return -ENOMEM;
                }
                if (who->mark == mark)
                        continue;
                who->mark = mark;
                who->slot = *ret_n;
                who->holds++;
                ret[(*ret_n)++] = (struct watch_edge){.seen = who};
        }
        return 0;
}

static void edges_release(struct looks *all, struct watch_edge *edges, uint32_t n)
{
        for (uint32_t i = 0; i < n; i++) {
                edges[i].seen->holds--;
                seen_drop(all, edges[i].seen);
        }
        free(edges);
}

struct fresh_edges {
        struct look *look;
        struct watch_edge *edges;
        uint32_t n;
};

/* Presence may not have heard of it yet */
static void on_left(void *userdata, uint64_t number, const char *user_id, const char *channel_id)
{
        struct fresh_edges *fresh = userdata;
        struct looks *all = fresh->look->session->core->looks;
        const struct seen *who = seen_find(all, user_id);

        (void)number;
        (void)channel_id;
        if (strcmp(user_id, fresh->look->session->user->id) == 0) {
                for (uint32_t i = 0; i < fresh->n; i++)
                        fresh->edges[i].flags = EDGE_LATER | EDGE_DOUBT;
        } else if (who && who->mark == all->mark) {
                fresh->edges[who->slot].flags = EDGE_LATER | EDGE_DOUBT;
        }
}

/* What is known of those who were watched before stays known, and a doubt stays a doubt */
static void edges_keep(struct look *l, struct watch_edge *edges, uint32_t n)
{
        const uint32_t mark = l->session->core->looks->mark;
        struct fresh_edges fresh = {.look = l, .edges = edges, .n = n};

        for (uint32_t i = 0; i < n; i++)
                edges[i].flags = EDGE_ASK;
        changes_unsettled(l->session->core, on_left, &fresh);
        for (uint32_t i = 0; i < l->n_edges; i++) {
                const struct watch_edge *was = &l->edges[i];
                struct watch_edge *e = was->seen->mark == mark ? &edges[was->seen->slot] : NULL;

                if (e && was->flags & EDGE_LATER)
                        e->flags = EDGE_LATER | EDGE_DOUBT;
                if (!e || was->sight == SIGHT_UNKNOWN || was->flags & ~EDGE_NEWS)
                        continue;
                e->sight = was->sight;
                e->flags = 0;
        }
}

/* Those who may not be asked yet */
static bool edges_wait(const struct look *l)
{
        for (uint32_t i = 0; i < l->n_edges; i++)
                if (l->edges[i].flags & EDGE_LATER)
                        return true;
        return false;
}

static void edges_install(struct look *l, struct watch_edge *edges, uint32_t n)
{
        struct watch_edge *former = l->edges;
        uint32_t n_former = l->n_edges;

        edges_keep(l, edges, n);
        edges_drop(l, former, n_former);
        l->edges = edges;
        l->n_edges = n;
        l->generation++;
        l->pending = 0;
        l->news_first = UINT32_MAX;
        l->news_last = 0;
        for (uint32_t i = 0; i < n; i++) {
                edges[i].seen->holds--;
                edges[i].at = refs_add(&edges[i].seen->by, l, i);
                l->pending += edges[i].sight == SIGHT_UNKNOWN;
        }
        metric_add(&stat_watch_edges, n);
        look_bytes(l);
}

int look_watch(struct look *l, char *const *user_ids, size_t n)
{
        struct looks *all = l->session->core->looks;
        struct watch_edge *edges;
        uint32_t n_edges;

        if (!look_fits(l, n, l->n_focus))
                return PARLEY_UNAVAILABLE;
        edges = calloc(n + 1, sizeof(*edges));
        if (!edges)
                return -ENOMEM;
        if (edges_prepare(all, user_ids, n, edges, &n_edges)) {
                edges_release(all, edges, n_edges);
                return -ENOMEM;
        }
        if (!look_fits(l, n_edges, l->n_focus)) {
                edges_release(all, edges, n_edges);
                return PARLEY_UNAVAILABLE;
        }
        edges_install(l, edges, n_edges);
        if (!l->snapshot_due) /* else naming a set again and again would put off the end of its waiting */
                l->snapshot_ms = all->core->now_ms;
        l->snapshot_due = true;
        if (edges_wait(l))
                look_ask_later(l);
        if (l->pending)
                look_ask(l);
        else
                look_soon(l);
        return 0;
}

/* --- channels in focus --- */

static void focus_leave(struct focus_edge *e)
{
        struct place *p = e->place;
        struct look_ref *moved;

        if (!p)
                return;
        moved = &p->by.refs[--p->by.n];
        p->by.refs[e->at] = *moved;
        if (e->at < p->by.n)
                moved->look->focus[moved->index].at = e->at;
        e->place = NULL;
        place_drop(p);
}

static void focus_drop(struct look *l)
{
        for (uint32_t i = 0; i < l->n_focus; i++)
                focus_leave(&l->focus[i]);
        free(l->focus);
        l->focus = NULL;
        l->n_focus = 0;
}

/* Places with room for one more; those that nobody has in focus are dropped again when it fails */
static int focus_prepare(struct looks *all, struct channel *const *channels, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                struct place *p = place_get(all, channels[i]);

                if (p && refs_reserve(&p->by) == 0)
                        continue;
                for (size_t k = 0; k <= i; k++)
                        if (channels[k]->place)
                                place_drop(channels[k]->place);
                return -ENOMEM;
        }
        return 0;
}

/* What was told of it counts on: it is described again, but not sooner than if it had stayed */
static void focus_keep(struct look *l, const struct focus_edge *was)
{
        for (uint32_t i = 0; i < l->n_focus; i++) {
                struct focus_edge *e = &l->focus[i];

                if (e->place != was->place)
                        continue;
                e->told = was->told;
                e->told_ms = was->told_ms;
                e->begun = was->begun;
                e->again = was->again;
        }
}

static void focus_install(struct look *l, struct focus_edge *focus, uint32_t n)
{
        struct focus_edge *former = l->focus;
        uint32_t n_former = l->n_focus;

        /* joined before the former ones are left: a place that is in both lives on */
        l->focus = focus;
        l->n_focus = n;
        for (uint32_t i = 0; i < n; i++) {
                focus[i].at = refs_add(&focus[i].place->by, l, i);
                focus[i].due = true;
        }
        for (uint32_t i = 0; i < n_former; i++)
                focus_keep(l, &former[i]);
        for (uint32_t i = 0; i < n_former; i++)
                focus_leave(&former[i]);
        free(former);
        look_bytes(l);
}

static bool is_among(const struct focus_edge *focus, uint32_t n, const struct place *p)
{
        while (n-- > 0)
                if (focus[n].place == p)
                        return true;
        return false;
}

int look_focus(struct look *l, struct channel *const *channels, size_t n)
{
        struct looks *all = l->session->core->looks;
        struct focus_edge *focus;
        uint32_t n_focus = 0;

        if (!look_fits(l, l->n_edges, n))
                return PARLEY_UNAVAILABLE;
        focus = calloc(n + 1, sizeof(*focus));
        if (!focus)
                return -ENOMEM;
        if (focus_prepare(all, channels, n)) {
                free(focus);
                return -ENOMEM;
        }
        for (size_t i = 0; i < n; i++) {
                if (!is_among(focus, n_focus, channels[i]->place))
                        focus[n_focus++].place = channels[i]->place;
        }
        focus_install(l, focus, n_focus);
        for (uint32_t i = 0; i < n_focus; i++) {
                if (focus[i].place->kind == PLACE_UNKNOWN)
                        place_ask(focus[i].place, 0);
        }
        look_soon(l);
        return 0;
}

/* --- what ends it --- */

static void look_doubt(struct look *l)
{
        for (uint32_t i = 0; i < l->n_edges; i++)
                l->edges[i].flags |= EDGE_DOUBT | EDGE_LATER;
        if (l->n_edges)
                look_ask_later(l);
}

void look_left(struct session *s, struct channel *c)
{
        struct look *l = s->look;

        for (uint32_t i = 0; i < l->n_focus; i++) {
                if (l->focus[i].place && l->focus[i].place->channel == c)
                        focus_leave(&l->focus[i]);
        }
        look_doubt(l);
}

static void seen_doubt(struct seen *who)
{
        for (uint32_t i = 0; i < who->by.n; i++) {
                struct look *l = who->by.refs[i].look;

                l->edges[who->by.refs[i].index].flags |= EDGE_DOUBT | EDGE_LATER;
                look_ask_later(l);
        }
}

void looks_membership(struct core *core, const char *channel_id, const char *user_id, bool left)
{
        struct looks *all = core->looks;
        struct channel *c = channel_find(core, channel_id);
        struct place *p = c ? c->place : NULL;
        struct seen *who = seen_find(all, user_id);

        if (p && left)
                typing_left(p, user_id);
        if (p) {
                p->moved_ms = all->moved_ms = core->now_ms;
                place_ask(p, 1000);
        }
        if (!who || !left)
                return;
        seen_doubt(who);
        if (p)
                place_remove(p, who); /* which may be the last to know him */
}

void look_free(struct session *s)
{
        struct look *l = s->look;
        struct looks *all = s->core->looks;

        if (!l)
                return;
        look_forget(l);
        ring_remove(&l->all);
        ring_remove(&l->asking);
        ring_remove(&l->later);
        edges_drop(l, l->edges, l->n_edges);
        l->edges = NULL;
        l->n_edges = 0;
        focus_drop(l);
        look_bytes(l);
        s->look = NULL;
        free(l);
        if (--all->n == 0)
                looks_deaf(all);
}

void looks_free(struct core *core)
{
        struct looks *all = core->looks;
        struct place *p, *tmp;

        if (!all)
                return;
        looks_deaf(all);
        HASH_ITER (hh, all->places, p, tmp) {
                p->asking = false; /* nothing calls back any more */
                place_drop(p);
        }
        shared_clear(all);
        free(all->found);
        free(all->asking);
        free(all);
        core->looks = NULL;
}
