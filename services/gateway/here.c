#include "gateway/here.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "bus/subjects.h"
#include "gateway/session.h"
#include "gateway/user.h"
#include "parley/v1/presence.pb-c.h"

/* USERS_MAX: in one message, which then stays below 200 KB. SNAPSHOT_MS: not more often than this. ACTIVITY_MS, ACTIVITY_BURST: that a user is
 * active, or is it no longer, in the long run and at once: each costs all who look at him a frame, and him nothing. */
enum { TELL_MS = 1000, SNAPSHOT_MS = 1000, USERS_MAX = 2000, MESSAGE_MAX = 1000 << 10 };
enum { ACTIVITY_MS = 10000, ACTIVITY_BURST = 3 };

#define ACTIVE 0x80 /* beside the bits of the devices */

/* --- what there is to tell --- */

/* With a token in its address it is ready before it has said what kind of device it is on, and may never do so */
static bool is_unknown(const struct session *s)
{
        return s->state == SESSION_LIVE && !s->hello_seen && s->core->now_ms - s->entered_ms < TELL_MS;
}

/* *ret_again: there is somebody of whom it is not known yet */
static uint8_t here_of(const struct user *u, bool *ret_again)
{
        uint8_t bits = 0;

        *ret_again = false;
        for (const struct session *s = u->sessions; s; s = s->user_next) {
                if (is_unknown(s))
                        *ret_again = true;
                else if (s->state == SESSION_LIVE)
                        bits |= (uint8_t)(1U << s->device) | (s->idle ? 0 : ACTIVE);
        }
        return bits;
}

struct here_entry {
        Parley__V1__GatewayUser user;
        Parley__V1__Device devices[4];
};

/* A message that is being filled */
struct here_message {
        struct core *core;
        Parley__V1__GatewayPresence m;
        struct here_entry entries[USERS_MAX];
        Parley__V1__GatewayUser *list[USERS_MAX];
};

static struct here_message *message_new(struct core *core, bool snapshot)
{
        struct here_message *h = malloc(sizeof(*h));

        if (!h)
                return NULL; /* it is tried again at the next tick */
        h->core = core;
        parley__v1__gateway_presence__init(&h->m);
        h->m.gateway_id = core->id;
        h->m.epoch = core->epoch;
        h->m.users = h->list;
        h->m.snapshot = h->m.first = snapshot;
        return h;
}

static bool message_publish(const struct here_message *h)
{
        struct core *core = h->core;
        char subject[SUBJECT_MAX];
        size_t n = parley__v1__gateway_presence__get_packed_size(&h->m);

        buf_reset(&core->scratch, MESSAGE_MAX);
        if (buf_reserve(&core->scratch, n))
                return false;
        parley__v1__gateway_presence__pack(&h->m, core->scratch.data);
        subject_presence_gateway(subject, core->id);
        core->here.told_ms = core->now_ms;
        return core->up.publish(core->up.self, subject, core->scratch.data, n) == 0;
}

/* What does not get through is missing in the count, which presence mends; the message is empty again in any case */
static void message_send(struct here_message *h)
{
        h->m.counter = ++h->core->here.counter;
        if (!message_publish(h))
                log_debug("presence was not told");
        h->m.n_users = 0;
        h->m.first = false;
}

static void message_add(struct here_message *h, const char *user_id, uint8_t bits, bool left)
{
        struct here_entry *e = &h->entries[h->m.n_users];

        if (h->m.n_users == USERS_MAX) {
                message_send(h);
                e = &h->entries[0];
        }
        parley__v1__gateway_user__init(&e->user);
        e->user.user_id = (char *)user_id;
        e->user.devices = e->devices;
        e->user.active = bits & ACTIVE;
        e->user.left = left && !(bits & ACTIVE);
        for (unsigned d = 0; d <= PARLEY__V1__DEVICE__bot; d++) {
                if (bits & (1U << d))
                        e->devices[e->user.n_devices++] = (Parley__V1__Device)d;
        }
        h->list[h->m.n_users++] = &e->user;
}

/* --- changes --- */

void here_touch(struct user *u)
{
        struct here *here = &u->core->here;

        if (u->here_dirty)
                return;
        u->here_dirty = true;
        u->here_prev = NULL;
        u->here_next = here->dirty;
        if (here->dirty)
                here->dirty->here_prev = u;
        here->dirty = u;
}

void here_left(struct session *s)
{
        s->user->here_left |= !s->idle;
        here_touch(s->user);
}

static void here_clean(struct user *u)
{
        if (u->here_prev)
                u->here_prev->here_next = u->here_next;
        else
                u->core->here.dirty = u->here_next;
        if (u->here_next)
                u->here_next->here_prev = u->here_prev;
        u->here_dirty = false;
}

/* It is told later, if it is still so */
static bool here_waits(struct user *u, uint8_t bits)
{
        uint64_t now_ms = u->core->now_ms;

        if ((bits ^ u->here_told) != ACTIVE)
                return false;
        if (u->activity_ms > now_ms + (ACTIVITY_BURST - 1) * ACTIVITY_MS)
                return true;
        u->activity_ms = (u->activity_ms > now_ms ? u->activity_ms : now_ms) + ACTIVITY_MS;
        return false;
}

/* Users whose sessions have gone may be freed before they are told of: where they do not linger */
struct here_gone {
        struct here_gone *next;
        char id[];
};

static void here_gone_clear(struct here *here)
{
        struct here_gone *gone;

        while ((gone = here->gone)) {
                here->gone = gone->next;
                free(gone);
        }
        here->n_gone = 0;
}

static void here_tell_changes(struct core *core)
{
        struct here *here = &core->here;
        struct here_message *h = here->dirty || here->gone ? message_new(core, false) : NULL;
        struct user *u, *next;

        if (!h)
                return;
        for (const struct here_gone *gone = here->gone; gone; gone = gone->next)
                message_add(h, gone->id, 0, false); /* he may have come again, which stands behind it */
        for (u = here->dirty; u; u = next) {
                bool again;
                uint8_t bits = here_of(u, &again);

                next = u->here_next;
                if (here_waits(u, bits))
                        continue;
                here_clean(u);
                if (again)
                        here_touch(u); /* in front of those who are left */
                if (bits != u->here_told)
                        message_add(h, u->id, bits, u->here_left);
                u->here_told = bits;
                u->here_left = false;
        }
        if (h->m.n_users)
                message_send(h);
        free(h);
        here_gone_clear(here); /* the message names them by these */
}

void here_forget(struct user *u)
{
        struct here *here = &u->core->here;
        size_t n = strlen(u->id) + 1;
        struct here_gone *gone;

        if (u->here_dirty)
                here_clean(u);
        if (!u->here_told || !here->sub || here->wanted)
                return;
        gone = here->n_gone < USERS_MAX ? malloc(sizeof(*gone) + n) : NULL;
        if (!gone) {
                here->wanted = true; /* he is not in it */
                return;
        }
        memcpy(gone->id, u->id, n);
        gone->next = here->gone;
        here->gone = gone;
        here->n_gone++;
}

/* --- everything --- */

static void here_tell_all(struct core *core)
{
        struct here_message *h = message_new(core, true);
        struct user *u;
        bool again;

        if (!h)
                return;
        here_gone_clear(&core->here);
        while (core->here.dirty)
                here_clean(core->here.dirty);
        for (u = core->users; u; u = u->hh.next) {
                u->here_told = here_of(u, &again);
                if (again)
                        here_touch(u);
                if (u->here_told)
                        message_add(h, u->id, u->here_told, u->here_left);
                u->here_left = false;
        }
        h->m.last = true;
        message_send(h);
        free(h);
        core->here.wanted = false;
        core->here.all_ms = core->now_ms;
}

static void here_heartbeat(struct core *core)
{
        struct here_message *h = message_new(core, false);

        if (h)
                message_send(h);
        free(h);
}

static void here_on_timer(struct wheel_timer *t, uint64_t now_ms)
{
        struct core *core = (struct core *)((char *)t - offsetof(struct core, here.timer));

        if (core->here.wanted && now_ms - core->here.all_ms >= SNAPSHOT_MS)
                here_tell_all(core);
        else
                here_tell_changes(core);
        if (now_ms - core->here.told_ms >= PRESENCE_HEARTBEAT_MS)
                here_heartbeat(core);
        wheel_arm(core->wheel, t, now_ms + TELL_MS, here_on_timer);
}

static void here_on_sync(const struct bus_msg *msg, void *userdata)
{
        struct core *core = userdata;
        Parley__V1__PresenceSync *sync = parley__v1__presence_sync__unpack(NULL, msg->len, msg->data);

        if (sync && (!*sync->gateway_id || strcmp(sync->gateway_id, core->id) == 0))
                core->here.wanted = true;
        if (!sync)
                log_warn("a request for presence that cannot be read");
        parley__v1__presence_sync__free_unpacked(sync, NULL);
}

int here_start(struct core *core)
{
        struct here *here = &core->here;
        int r = here->sub ? 0
                          : core->up.subscribe(core->up.self, SUBJECT_PRESENCE_SYNC, here_on_sync, core, &here->sub);

        if (r)
                return r;
        here->wanted = true; /* who listens was perhaps not reached for a while */
        if (!wheel_armed(&here->timer))
                wheel_arm(core->wheel, &here->timer, core->now_ms + TELL_MS, here_on_timer);
        return 0;
}

void here_leave(struct core *core)
{
        struct here_message *h = message_new(core, false);

        wheel_disarm(&core->here.timer);
        if (!h)
                return;
        h->m.stopping = true;
        message_send(h);
        free(h);
}

void here_stop(struct core *core)
{
        wheel_disarm(&core->here.timer);
        if (core->here.sub)
                core->up.unsubscribe(core->up.self, core->here.sub);
        core->here.sub = NULL;
        here_gone_clear(&core->here);
}
