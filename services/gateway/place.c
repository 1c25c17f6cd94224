/* Channels that somebody has in focus, and who of their members is there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "bus/subjects.h"
#include "gateway/changes.h"
#include "gateway/channel.h"
#include "gateway/look.h"
#include "gateway/stats.h"
#include "gateway/typing.h"

struct place *place_get(struct looks *all, struct channel *c)
{
        struct place *p = c->place;

        if (p)
                return p;
        p = calloc(1, sizeof(*p));
        if (!p)
                return NULL;
        p->core = all->core;
        p->channel = c;
        HASH_ADD_PTR(all->places, channel, p);
        if (!p->hh.tbl || typing_listen(p)) {
                if (p->hh.tbl)
                        HASH_DEL(all->places, p);
                free(p);
                return NULL;
        }
        looks_charge(all, sizeof(*p));
        channel_ref(c);
        c->place = p;
        metric_set(&stat_places, HASH_COUNT(all->places));
        return p;
}

static void resident_unlink(struct resident *r)
{
        struct seen *who = r->seen;

        if (!who)
                return;
        if (r->prev)
                r->prev->next = r->next;
        else
                who->residents = r->next;
        if (r->next)
                r->next->prev = r->prev;
        r->seen = NULL;
        seen_drop(r->place->core->looks, who);
}

static void place_empty(struct place *p)
{
        looks_charge(p->core->looks, -(ptrdiff_t)(p->n_residents * sizeof(*p->residents)));
        for (uint32_t i = 0; i < p->n_residents; i++)
                resident_unlink(&p->residents[i]);
        free(p->residents);
        p->residents = NULL;
        p->n_residents = 0;
}

/* Nobody has it in focus any more, so nothing keeps its list true */
static void place_forget(struct place *p)
{
        wheel_disarm(&p->timer);
        place_empty(p);
        place_stale(p);
        p->kind = PLACE_UNKNOWN;
}

/* An answer that is under way finds the place by pointer: then it is dropped once that has come */
void place_drop(struct place *p)
{
        struct looks *all = p->core->looks;

        if (p->by.n || p->held)
                return;
        if (p->asking && gate_cancel(&p->gate))
                p->asking = false;
        place_forget(p);
        if (p->asking) /* it goes on listening: somebody may have it in focus again before the answer comes */
                return;
        typing_deaf(p);
        HASH_DEL(all->places, p);
        looks_charge(all, -(ptrdiff_t)sizeof(*p));
        metric_set(&stat_places, HASH_COUNT(all->places));
        p->channel->place = NULL;
        channel_unref(p->channel);
        free(p->by.refs);
        free(p);
}

void focus_due(const struct look_ref *ref)
{
        ref->look->focus[ref->index].due = true;
        look_soon(ref->look);
}

void place_due(struct place *p)
{
        place_stale(p);
        for (uint32_t i = 0; i < p->by.n; i++)
                focus_due(&p->by.refs[i]);
}

void place_count(struct place *p, uint32_t members, uint32_t online)
{
        if (p->kind != PLACE_COUNTED || (p->members == members && p->online == online))
                return;
        p->members = members;
        p->online = online;
        place_due(p);
}

void place_remove(struct place *p, struct seen *who)
{
        for (struct resident *r = who->residents; r; r = r->next) {
                if (r->place != p)
                        continue;
                if (p->online && seen_is_online(who))
                        p->online--;
                if (p->members)
                        p->members--;
                resident_unlink(r);
                place_due(p);
                return;
        }
}

/* --- what presence says --- */

bool place_has(const struct place *p, const struct seen *who)
{
        for (const struct resident *r = who->residents; r; r = r->next)
                if (r->place == p)
                        return true;
        return false;
}

/* All whom it lists were listed before */
static bool place_knows(const struct place *p, const Parley__V1__PresenceAnswer *answer)
{
        if (p->kind != PLACE_LISTED)
                return false;
        for (size_t i = 0; i < answer->n_users; i++) {
                const struct seen *who = answer->users[i]->user
                                                 ? seen_find(p->core->looks, answer->users[i]->user->user_id)
                                                 : NULL;

                if (!who || !place_has(p, who))
                        return false;
        }
        return true;
}

/* The same members as are known */
static bool place_same(const struct place *p, const Parley__V1__PresenceAnswer *answer)
{
        uint32_t n = 0;

        for (uint32_t i = 0; i < p->n_residents; i++)
                n += p->residents[i].seen != NULL;
        return n == answer->n_users && place_knows(p, answer);
}

static void resident_link(struct place *p, struct resident *r, struct seen *who)
{
        r->seen = who;
        r->place = p;
        r->changed = p->changes;
        r->prev = NULL;
        r->next = who->residents;
        if (r->next)
                r->next->prev = r;
        who->residents = r;
}

/* Holds keep those who are in both lists */
static int place_replace(struct place *p, const Parley__V1__PresenceAnswer *answer)
{
        struct looks *all = p->core->looks;
        struct resident *list = calloc(answer->n_users + 1, sizeof(*list));
        size_t n = 0;

        if (!list)
                return -ENOMEM;
        while (n < answer->n_users && answer->users[n]->user && ident_valid(answer->users[n]->user->user_id)) {
                list[n].seen = seen_get(all, answer->users[n]->user->user_id);
                if (!list[n].seen)
                        break;
                list[n++].seen->holds++;
        }
        if (n < answer->n_users) {
                while (n-- > 0) {
                        list[n].seen->holds--;
                        seen_drop(all, list[n].seen);
                }
                free(list);
                return -ENOMEM;
        }
        place_empty(p);
        p->residents = list;
        p->n_residents = (uint32_t)n;
        looks_charge(all, (ptrdiff_t)(n * sizeof(*list)));
        for (size_t i = 0; i < n; i++) {
                struct seen *who = list[i].seen;

                who->holds--;
                resident_link(p, &list[i], who);
        }
        return 0;
}

static uint32_t place_online(const struct place *p)
{
        uint32_t n = 0;

        for (uint32_t i = 0; i < p->n_residents; i++) {
                const struct seen *who = p->residents[i].seen;

                n += who && seen_is_online(who);
        }
        return n;
}

/* Presence may not have heard of it when it answered. Of what it is known to have heard by then it has heard for this answer, too: it
 * answers in the order of the questions. */
static void on_left(void *userdata, uint64_t number, const char *user_id, const char *channel_id)
{
        struct place *p = userdata;
        struct seen *who = strcmp(channel_id, p->channel->id) == 0 ? seen_find(p->core->looks, user_id) : NULL;

        (void)number;
        if (who && place_has(p, who))
                place_remove(p, who);
}

/* Who is new in it may be one who has left, and of whom it is not known any more */
static bool list_doubted(const struct place *p, const Parley__V1__PresenceAnswer *answer)
{
        return changes_lost(p->core) && !place_knows(p, answer);
}

/* A list of members who are not known yet, at worst, and its encoded descriptions */
static bool list_fits(const struct place *p, size_t n)
{
        const struct looks *all = p->core->looks;

        return n <= p->n_residents || all->bytes + n * (sizeof(struct resident) + sizeof(struct seen) + IDENT_MAX) <=
                                              p->core->config->max_watch_bytes;
}

int place_take(struct place *p, const Parley__V1__PresenceAnswer *answer)
{
        bool unlisted = !answer->counted && (!list_fits(p, answer->n_users) || list_doubted(p, answer)),
             counted = answer->counted || unlisted;
        bool same = counted ? p->kind == PLACE_COUNTED && p->members == answer->members && p->online == answer->online
                            : place_same(p, answer);
        int r = 0;

        p->unlisted = unlisted;
        if (!same && !counted)
                r = place_replace(p, answer);
        else if (!same)
                place_empty(p);
        if (r)
                return r;
        p->kind = counted ? PLACE_COUNTED : PLACE_LISTED;
        for (size_t i = 0; i < answer->n_users && !counted; i++)
                (void)seen_take(p->core->looks, answer->users[i]); /* else he is asked for again with all */
        p->members = answer->members;
        p->online = counted ? answer->online : place_online(p);
        place_stale(p);
        if (!same)
                place_due(p);
        if (p->kind == PLACE_LISTED)
                changes_unsettled(p->core, on_left, p);
        return 0;
}
