/* Users whom somebody looks at, and where they stand. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/look.h"
#include "gateway/session.h"
#include "gateway/stats.h"
#include "gateway/user.h"
#include "gateway/wiretime.h"

#define REFS_FIRST 2

int refs_reserve(struct look_refs *refs)
{
        uint32_t cap = refs->cap ? refs->cap + refs->cap / 2 + 1 : REFS_FIRST;
        struct look_ref *grown;

        if (refs->n < refs->cap)
                return 0;
        grown = realloc(refs->refs, cap * sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        refs->refs = grown;
        refs->cap = cap;
        return 0;
}

uint32_t refs_add(struct look_refs *refs, struct look *l, uint32_t index)
{
        refs->refs[refs->n] = (struct look_ref){.look = l, .index = index};
        return refs->n++;
}

struct seen *seen_find(const struct looks *all, const char *user_id)
{
        struct seen *who;

        HASH_FIND_STR(all->seen, user_id, who);
        return who;
}

struct seen *seen_get(struct looks *all, const char *user_id)
{
        struct seen *who = seen_find(all, user_id);
        size_t n = strlen(user_id);

        if (who)
                return who;
        who = calloc(1, sizeof(*who) + n + 1);
        if (!who)
                return NULL;
        memcpy(who->id, user_id, n + 1);
        who->since = all->heard ? all->counter : 0;
        HASH_ADD_KEYPTR(hh, all->seen, who->id, n, who);
        if (!who->hh.tbl) {
                free(who);
                return NULL;
        }
        looks_charge(all, (ptrdiff_t)(sizeof(*who) + n + 1));
        metric_set(&stat_seen, HASH_COUNT(all->seen));
        return who;
}

/* Beside the struct */
static size_t state_bytes(const struct seen_state *state)
{
        return state->text ? strlen(state->text) + strlen(state->emoji) + 2 : 0;
}

void seen_drop(struct looks *all, struct seen *who)
{
        if (who->by.n || who->residents || who->holds)
                return;
        HASH_DEL(all->seen, who);
        all->stamp++; /* another one may get his address */
        metric_set(&stat_seen, HASH_COUNT(all->seen));
        looks_charge(all, -(ptrdiff_t)(sizeof(*who) + strlen(who->id) + 1 + state_bytes(&who->state)));
        free(who->by.refs);
        free(who->state.text);
        free(who);
}

/* --- states --- */

/* ret->text: allocated, with the emoji behind it */
static int state_read(const Parley__V1__PresenceChange *change, struct seen_state *ret)
{
        const Parley__V1__UserPresence *u = change->user;
        size_t n_text = strlen(u->status_text), n_emoji = strlen(u->status_emoji);

        *ret = (struct seen_state){.availability = (uint8_t)u->availability,
                                   .invisible = change->invisible,
                                   .status_until_s = u->status_until ? u->status_until->seconds : 0,
                                   .last_seen_s = u->last_seen_at ? u->last_seen_at->seconds : 0};
        for (size_t i = 0; i < u->n_devices; i++)
                ret->devices |= u->devices[i] <= PARLEY__V1__DEVICE__bot ? (uint8_t)(1U << u->devices[i]) : 0;
        if (!n_text && !n_emoji)
                return 0;
        ret->text = malloc(n_text + n_emoji + 2);
        if (!ret->text)
                return -ENOMEM;
        memcpy(ret->text, u->status_text, n_text + 1);
        ret->emoji = ret->text + n_text + 1;
        memcpy(ret->emoji, u->status_emoji, n_emoji + 1);
        return 0;
}

static bool same_text(const char *a, const char *b)
{
        return strcmp(a ? a : "", b ? b : "") == 0;
}

/* For all but himself: that he is invisible and not away is nobody's business */
static bool state_same(const struct seen_state *a, const struct seen_state *b)
{
        return a->availability == b->availability && a->devices == b->devices &&
               a->status_until_s == b->status_until_s && a->last_seen_s == b->last_seen_s &&
               same_text(a->text, b->text) && same_text(a->emoji, b->emoji);
}

/* He has become invisible, or is it no longer, and to others that is the same */
static void seen_news_himself(struct seen *who)
{
        for (uint32_t i = 0; i < who->by.n; i++) {
                const struct look_ref *ref = &who->by.refs[i];

                if (ref->look->edges[ref->index].sight == SIGHT_VISIBLE &&
                    strcmp(ref->look->session->user->id, who->id) == 0)
                        look_news_of(ref->look, ref->index);
        }
        for (struct resident *r = who->residents; r; r = r->next)
                for (uint32_t i = 0; i < r->place->by.n; i++)
                        if (strcmp(r->place->by.refs[i].look->session->user->id, who->id) == 0)
                                focus_due(&r->place->by.refs[i]);
}

static void seen_news(struct seen *who)
{
        for (uint32_t i = 0; i < who->by.n; i++) {
                const struct look_ref *ref = &who->by.refs[i];

                if (ref->look->edges[ref->index].sight == SIGHT_VISIBLE)
                        look_news_of(ref->look, ref->index);
        }
        for (struct resident *r = who->residents; r; r = r->next) {
                r->changed = ++r->place->changes;
                place_stale(r->place);
                for (uint32_t i = 0; i < r->place->by.n; i++)
                        look_news(r->place->by.refs[i].look);
        }
}

/* Nobody knew him so far, so he was hidden from all; now he may be there for some */
static void seen_appears(struct looks *all, struct seen *who)
{
        for (uint32_t i = 0; i < who->by.n; i++) {
                struct look *l = who->by.refs[i].look;
                struct watch_edge *e = &l->edges[who->by.refs[i].index];

                if (e->sight != SIGHT_HIDDEN || e->flags & EDGE_ASKED)
                        continue;
                e->flags |= EDGE_ASK;
                ring_add(&all->queue, &l->asking);
        }
}

/* What was taken in is older than what was heard, and a change in between may have passed unheard */
static void seen_again(struct looks *all, struct seen *who)
{
        for (uint32_t i = 0; who->fresh != all->epoch && i < who->by.n; i++) {
                struct look *l = who->by.refs[i].look;

                l->edges[who->by.refs[i].index].flags |= EDGE_ASK;
                ring_add(&all->queue, &l->asking);
        }
        for (struct resident *r = who->residents; who->fresh != all->epoch && r; r = r->next)
                place_ask(r->place, 0);
}

/* The counts of his places follow */
static void seen_count(struct seen *who, int by)
{
        for (struct resident *r = who->residents; by && r; r = r->next)
                r->place->online += (uint32_t)by;
}

int seen_take(struct looks *all, const Parley__V1__PresenceChange *change)
{
        struct seen *who = change->user ? seen_find(all, change->user->user_id) : NULL;
        struct seen_state state;
        bool same, first, himself;
        int r;

        if (!who || (who->generation == all->generation && change->version < who->version))
                return 0;
        r = state_read(change, &state);
        if (r) {
                who->fresh = 0;
                return r;
        }
        first = !who->generation;
        same = !first && state_same(&state, &who->state);
        himself = same && state.invisible != who->state.invisible;
        if (!first)
                seen_count(who, (int)state_is_online(&state) - (int)state_is_online(&who->state));
        looks_charge(all, (ptrdiff_t)(state_bytes(&state) - state_bytes(&who->state)));
        free(who->state.text);
        who->state = state;
        who->version = change->version;
        who->generation = all->generation;
        if (all->taking < all->missed || all->taking < who->since)
                seen_again(all, who);
        else
                who->fresh = all->epoch;
        all->stamp += !same || himself;
        if (!same && (!first || all->taking == UINT64_MAX)) /* what an answer says of somebody new is no change */
                look_changed(all);
        if (!same)
                seen_news(who);
        if (himself)
                seen_news_himself(who);
        if (first)
                seen_appears(all, who);
        return 0;
}

void seen_show(const struct seen *who, const char *viewer_id, struct shown_user *ret)
{
        const struct seen_state *state = &who->state;

        parley__v1__user_presence__init(&ret->user);
        ret->user.user_id = (char *)who->id;
        ret->user.availability = (Parley__V1__UserPresence__Availability)state->availability;
        if (state->invisible && strcmp(who->id, viewer_id) == 0)
                ret->user.availability = PARLEY__V1__USER_PRESENCE__AVAILABILITY__invisible;
        ret->user.devices = ret->devices;
        for (unsigned d = 0; d <= PARLEY__V1__DEVICE__bot; d++) {
                if (state->devices & (1U << d))
                        ret->devices[ret->user.n_devices++] = (Parley__V1__Device)d;
        }
        if (state->text) {
                ret->user.status_text = state->text;
                ret->user.status_emoji = state->emoji;
        }
        if (state->status_until_s) {
                wiretime_set_s(&ret->status_until, state->status_until_s);
                ret->user.status_until = &ret->status_until;
        }
        if (state->last_seen_s) {
                wiretime_set_s(&ret->last_seen, state->last_seen_s);
                ret->user.last_seen_at = &ret->last_seen;
        }
}
