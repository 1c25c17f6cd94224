#include "gateway/user.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/codes.h"
#include "base/log.h"
#include "bus/subjects.h"
#include "gateway/changes.h"
#include "gateway/channel.h"
#include "gateway/everyone.h"
#include "gateway/here.h"
#include "gateway/ready.h"
#include "gateway/session.h"
#include "gateway/stats.h"
#include "policy/policy.h"

#define USER_RETRY_MS 500

static void user_load(struct user *u);

struct user *user_find(struct core *core, const char *user_id)
{
        struct user *u;

        HASH_FIND_STR(core->users, user_id, u);
        return u;
}

void user_free(struct user *u)
{
        struct core *core = u->core;

        here_forget(u);
        wheel_disarm(&u->expiry);
        wheel_disarm(&u->retry);
        if (u->sub)
                core->up.unsubscribe(core->up.self, u->sub);
        for (unsigned i = 0; i < u->n_members; i++)
                channel_unref(u->members[i].channel);
        free(u->members);
        free(u->typed);
        HASH_DEL(core->users, u);
        metric_set(&stat_users, HASH_COUNT(core->users));
        free(u);
}

/* The last session left a while ago. What is under way must end first: its answer finds the user by pointer. */
static void user_expire(struct wheel_timer *t, uint64_t now_ms)
{
        struct user *u = (struct user *)((char *)t - offsetof(struct user, expiry));

        if (u->sessions)
                return;
        if (u->loading)
                wheel_arm(u->core->wheel, &u->expiry, now_ms + USER_RETRY_MS, user_expire);
        else
                user_free(u);
}

static void user_retry(struct wheel_timer *t, uint64_t now_ms)
{
        struct user *u = (struct user *)((char *)t - offsetof(struct user, retry));

        (void)now_ms;
        user_reload(u);
}

/* live.user.<user>: something of this user changed */
static void user_on_signal(const struct bus_msg *msg, void *userdata)
{
        struct user *u = userdata;
        Parley__V1__UserSignal *signal = parley__v1__user_signal__unpack(NULL, msg->len, msg->data);

        if (!signal) {
                log_warn("a signal that cannot be read", LOG_S("subject", msg->subject));
                user_missed(u);
                return;
        }
        if (signal->body_case == PARLEY__V1__USER_SIGNAL__BODY_MEMBERSHIPS_CHANGED && u->loaded)
                user_apply_list(u, signal->memberships_changed);
        else if (u->loading)
                u->load_again = true;
        parley__v1__user_signal__free_unpacked(signal, NULL);
}

void user_missed(struct user *u)
{
        wheel_arm(u->core->wheel, &u->retry, u->core->now_ms + USER_RETRY_MS, user_retry);
}

static void user_sessions_advance(struct user *u)
{
        struct session *s, *next;

        for (s = u->sessions; s; s = next) {
                next = s->user_next;
                session_advance(s);
        }
}

static void user_loaded(struct user *u, const struct bus_msg *msg)
{
        Parley__V1__Memberships *list = NULL;

        if (msg) {
                list = parley__v1__memberships__unpack(NULL, msg->len, msg->data);
                if (!list) {
                        log_error("memberships that cannot be read", LOG_S("user", u->id));
                        user_missed(u);
                        return;
                }
                user_apply_list(u, list);
                parley__v1__memberships__free_unpacked(list, NULL);
        }
        changes_replay(u->core, u);
        if (wheel_armed(&u->retry))
                return; /* there was no memory for all of it: nobody is told half of his channels */
        u->loaded = true;
        user_sessions_advance(u);
}

static void user_on_members(int error, const struct bus_msg *msg, void *userdata)
{
        struct user *u = userdata;
        struct core *core = u->core;

        u->loading = false;
        if (error && error != BUS_E_NOT_FOUND) {
                wheel_arm(core->wheel, &u->retry, core->now_ms + USER_RETRY_MS, user_retry);
        } else if (u->load_again) {
                user_load(u);
        } else {
                user_loaded(u, error ? NULL : msg);
        }
        gate_leave(&core->gate_users);
}

static void user_load_start(struct gate_item *item)
{
        struct user *u = (struct user *)((char *)item - offsetof(struct user, gate));
        struct core *core = u->core;
        char subject[SUBJECT_MAX];
        int r;

        u->load_again = false;
        /* listening first: a change between the reading and the listening would be missed */
        if (!u->sub) {
                subject_user(subject, u->id);
                r = core->up.subscribe(core->up.self, subject, user_on_signal, u, &u->sub);
                if (r) {
                        user_on_members(r > 0 ? r : BUS_E_REFUSED, NULL, u);
                        return;
                }
        }
        up_kv_get(&core->up, BUCKET_MEMBERS, u->id, user_on_members, u);
}

static void user_load(struct user *u)
{
        wheel_disarm(&u->retry);
        if (u->loading) {
                u->load_again = true;
                return;
        }
        u->loading = true;
        gate_enter(&u->core->gate_users, &u->gate, user_load_start);
}

void user_reload(struct user *u)
{
        if (u->sessions)
                user_load(u);
        else
                u->loaded = false; /* whoever comes next reads it */
}

static struct user *user_new(struct core *core, const char *user_id)
{
        struct user *u = calloc(1, sizeof(*u));

        if (!u)
                return NULL;
        u->core = core;
        memcpy(u->id, user_id, strlen(user_id) + 1);
        HASH_ADD_STR(core->users, id, u);
        if (!u->hh.tbl) {
                free(u);
                return NULL;
        }
        metric_set(&stat_users, HASH_COUNT(core->users));
        return u;
}

/* How long a user is kept: not shorter than his bucket takes to fill, or he could empty it again by leaving */
static uint64_t user_linger_ms(const struct core *core)
{
        uint32_t rate = core_rate(core, core->config->rate_sessions_per_user);
        uint64_t fill_ms = rate ? core->config->burst_sessions_per_user * 1000 / rate : 0;

        return fill_ms > core->config->linger_ms ? fill_ms : core->config->linger_ms;
}

int user_attach(struct core *core, const char *user_id, struct session *s, uint32_t *ret_wait_ms)
{
        struct user *u = user_find(core, user_id);
        uint64_t most = core->config->max_connections_per_user;

        *ret_wait_ms = 0;
        if (u && most && u->n_sessions >= most)
                return PARLEY_RATE_LIMITED;
        if (!u)
                u = user_new(core, user_id);
        if (!u)
                return -ENOMEM;
        *ret_wait_ms = ratelimit_take(&u->openings, core->now_ms, core_rate(core, core->config->rate_sessions_per_user),
                                      (uint32_t)core->config->burst_sessions_per_user, 1);
        if (*ret_wait_ms)
                return PARLEY_RATE_LIMITED;
        s->user = u;
        s->user_prev = NULL;
        s->user_next = u->sessions;
        if (u->sessions)
                u->sessions->user_prev = s;
        u->sessions = s;
        u->n_sessions++;
        wheel_disarm(&u->expiry);
        if (!u->loaded && !u->loading)
                user_load(u);
        return 0;
}

void user_detach(struct session *s)
{
        struct user *u = s->user;

        if (!u)
                return;
        if (s->user_prev)
                s->user_prev->user_next = s->user_next;
        else
                u->sessions = s->user_next;
        if (s->user_next)
                s->user_next->user_prev = s->user_prev;
        s->user_prev = s->user_next = NULL;
        s->user = NULL;
        if (--u->n_sessions == 0)
                wheel_arm(u->core->wheel, &u->expiry, u->core->now_ms + user_linger_ms(u->core), user_expire);
}
