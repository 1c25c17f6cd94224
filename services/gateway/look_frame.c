/* What is told of those whom sessions look at: frames, made once for all who get the same. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "gateway/channel.h"
#include "gateway/look.h"
#include "gateway/session.h"
#include "gateway/stats.h"
#include "gateway/user.h"

struct found *looks_found(struct looks *all, size_t n)
{
        size_t cap = all->cap_found ? all->cap_found : 64;
        struct found *grown;

        while (cap < n)
                cap *= 2;
        if (cap == all->cap_found)
                return all->found;
        grown = realloc(all->found, cap * sizeof(*grown));
        if (!grown)
                return NULL;
        all->found = grown;
        all->cap_found = cap;
        return grown;
}

/* As others see him, but for himself */
static bool is_special(const struct seen *who, const char *viewer_id)
{
        return who->state.invisible && strcmp(who->id, viewer_id) == 0;
}

/* --- users, as they are in a frame --- */

/* For all of them, in one allocation: `shown` */
struct listed {
        struct shown_user *shown;
        Parley__V1__UserPresence **users;
        char **hidden;
        size_t n_users, n_hidden;
};

static bool listed_init(struct listed *t, size_t n)
{
        *t = (struct listed){.shown = malloc(n * (sizeof(*t->shown) + sizeof(*t->users) + sizeof(*t->hidden)) + 1)};
        if (!t->shown)
                return false;
        t->users = (Parley__V1__UserPresence **)(void *)(t->shown + n);
        t->hidden = (char **)(t->users + n);
        return true;
}

static void listed_add(struct listed *t, const struct seen *who, const char *viewer_id)
{
        struct shown_user *shown = &t->shown[t->n_users];

        seen_show(who, viewer_id, shown);
        t->users[t->n_users++] = &shown->user;
}

/* The frame of these users; it points into t, which is to be freed */
static int users_fill(Parley__V1__ServerFrame *frame, Parley__V1__Presence *m, struct listed *t,
                      const struct found *found, size_t n, const char *viewer_id)
{
        if (!listed_init(t, n))
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                if (found[i].hidden)
                        t->hidden[t->n_hidden++] = found[i].who->id;
                else
                        listed_add(t, found[i].who, viewer_id);
        }
        m->users = t->users;
        m->n_users = t->n_users;
        m->hidden_user_ids = t->hidden;
        m->n_hidden_user_ids = t->n_hidden;
        frame->body_case = PARLEY__V1__SERVER_FRAME__BODY_PRESENCE;
        frame->presence = m;
        return 0;
}

/* --- frames that several get --- */

void shared_clear(struct looks *all)
{
        for (unsigned i = 0; i < SHARED_FRAMES; i++) {
                frame_unref(all->shared[i].frame);
                all->shared[i].frame = NULL;
        }
}

/* The users in one order, whichever way they were found. False: it is for this session alone. */
static bool shared_key(struct shared_frame *key, const struct look *l, const struct found *found, size_t n)
{
        *key = (struct shared_frame){.stamp = l->session->core->looks->stamp, .encoding = l->session->encoding};
        if (n > SHARED_USERS)
                return false;
        for (; key->n < n; key->n++) {
                struct seen *who = found[key->n].who;
                unsigned at = key->n;

                if (found[key->n].hidden || is_special(who, l->session->user->id))
                        return false;
                for (; at && (uintptr_t)key->users[at - 1] > (uintptr_t)who; at--)
                        key->users[at] = key->users[at - 1];
                key->users[at] = who;
        }
        return true;
}

static struct shared_frame *shared_slot(struct looks *all, const struct shared_frame *key)
{
        uint64_t h = key->encoding;

        for (unsigned i = 0; i < key->n; i++)
                h = (h ^ (uint64_t)(uintptr_t)key->users[i] >> 4) * 0x9E3779B97F4A7C15u;
        return &all->shared[(h >> 32) % SHARED_FRAMES];
}

static bool shared_is(const struct shared_frame *slot, const struct shared_frame *key)
{
        return slot->frame && slot->stamp == key->stamp && slot->n == key->n && slot->encoding == key->encoding &&
               memcmp((const void *)slot->users, (const void *)key->users, key->n * sizeof(key->users[0])) == 0;
}

static int shared_make(struct looks *all, struct shared_frame *key, const struct found *found)
{
        Parley__V1__ServerFrame frame = PARLEY__V1__SERVER_FRAME__INIT;
        Parley__V1__Presence m = PARLEY__V1__PRESENCE__INIT;
        struct listed t;
        int r = users_fill(&frame, &m, &t, found, key->n, "");

        all->encoded += key->n;
        if (r == 0)
                r = frame_encode(&all->core->scratch, &frame, (enum encoding)key->encoding, &key->frame);
        free(t.shown);
        return r;
}

/* --- telling --- */

static int users_alone(struct look *l, const struct found *found, size_t n, bool snapshot)
{
        Parley__V1__ServerFrame frame = PARLEY__V1__SERVER_FRAME__INIT;
        Parley__V1__Presence m = PARLEY__V1__PRESENCE__INIT;
        struct listed t;
        int r = users_fill(&frame, &m, &t, found, n, l->session->user->id);

        m.snapshot = snapshot;
        l->session->core->looks->encoded += n;
        if (r == 0)
                session_send(l->session, &frame);
        free(t.shown);
        return r;
}

int frame_users(struct look *l, const struct found *found, size_t n, bool snapshot)
{
        struct looks *all = l->session->core->looks;
        struct shared_frame key, *slot;
        int r = 0;

        metric_add(&stat_presence_frames, 1);
        if (snapshot || !shared_key(&key, l, found, n))
                return users_alone(l, found, n, snapshot);
        slot = shared_slot(all, &key);
        if (!shared_is(slot, &key)) {
                r = shared_make(all, &key, found);
                if (r)
                        return r;
                frame_unref(slot->frame);
                *slot = key;
        }
        session_queue(l->session, slot->frame);
        return 0;
}

/* --- channels --- */

void place_stale(struct place *p)
{
        for (unsigned e = 0; e < _ENCODING_N; e++) {
                looks_charge(p->core->looks, p->shown[e] ? -(ptrdiff_t)p->shown[e]->len : 0);
                frame_unref(p->shown[e]);
                p->shown[e] = NULL;
        }
}

static int place_fill(Parley__V1__ServerFrame *frame, Parley__V1__ChannelPresence *m, struct listed *t,
                      const struct place *p, const char *viewer_id)
{
        if (!listed_init(t, p->n_residents))
                return -ENOMEM;
        for (uint32_t i = 0; i < p->n_residents; i++) {
                const struct seen *who = p->residents[i].seen;

                if (who && (seen_is_online(who) || is_special(who, viewer_id)))
                        listed_add(t, who, viewer_id);
        }
        m->channel_id = (char *)p->channel->id;
        m->members = p->members;
        m->online = p->online;
        m->counted = p->kind == PLACE_COUNTED;
        m->users = t->users;
        m->n_users = t->n_users;
        frame->body_case = PARLEY__V1__SERVER_FRAME__BODY_CHANNEL_PRESENCE;
        frame->channel_presence = m;
        return 0;
}

/* ret: NULL: straight to the session */
static int place_make(struct look *l, const struct place *p, const char *viewer_id, struct frame **ret)
{
        Parley__V1__ServerFrame frame = PARLEY__V1__SERVER_FRAME__INIT;
        Parley__V1__ChannelPresence m = PARLEY__V1__CHANNEL_PRESENCE__INIT;
        struct session *s = l->session;
        struct listed t;
        int r = place_fill(&frame, &m, &t, p, viewer_id);

        s->core->looks->encoded += m.n_users;
        if (r == 0 && ret)
                r = frame_encode(&s->core->scratch, &frame, (enum encoding)s->encoding, ret);
        else if (r == 0)
                session_send(s, &frame);
        free(t.shown);
        return r;
}

int frame_place(struct look *l, struct place *p)
{
        struct session *s = l->session;
        const struct seen *self = seen_find(s->core->looks, s->user->id);
        bool made = !p->shown[s->encoding];
        int r = 0;

        metric_add(&stat_presence_frames, 1);
        if (self && self->state.invisible && place_has(p, self))
                return place_make(l, p, s->user->id, NULL);
        if (made)
                r = place_make(l, p, "", &p->shown[s->encoding]);
        if (r)
                return r;
        looks_charge(s->core->looks, made ? (ptrdiff_t)p->shown[s->encoding]->len : 0);
        session_queue(s, p->shown[s->encoding]);
        return 0;
}
