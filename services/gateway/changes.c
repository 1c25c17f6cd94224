#include "gateway/changes.h"

#include <string.h>

#include "base/log.h"
#include "gateway/change_log.h"
#include "gateway/channel.h"
#include "gateway/look.h"
#include "gateway/stats.h"
#include "gateway/user.h"

/* Does a stay begin here, or does the role change within one? */
static bool change_joins(const struct change *change, const struct member *m)
{
        if (m->role == PARLEY__V1__ROLE__none || (change->joined && m->version <= change->from_version))
                return true;
        return change->from_version > m->version + 1 /* what lies between may be a removal */
               || member_join_unknown(m);
}

static void change_to_user(struct user *u, const struct change *change)
{
        struct channel *c = channel_get(u->core, change->channel_id);
        struct member_change m = {.role = change->role, .version = change->version};

        const struct member *was;

        if (!c) {
                log_error("no memory for a channel", LOG_S("user", u->id));
                user_missed(u);
                return;
        }
        was = user_member(u, c);
        if (change->role == PARLEY__V1__ROLE__none) {
                m.left_seq = change->seq;
        } else if (was && change_joins(change, was)) {
                m.since_seq = change->from_seq;
                m.left_seq = was->version < change->from_version ? 0 : was->left_seq;
                /* where it is unknown history decides what he may see of the time before */
                m.had_absence = was->version < change->from_version || was->had_absence;
        } else if (was) {
                m.since_seq = was->since_seq;
                m.left_seq = was->left_seq;
                m.had_absence = was->had_absence;
        }
        channel_ref(c);
        /* who becomes a member for the first time is told by his list */
        if (was || change->role == PARLEY__V1__ROLE__none)
                user_apply(u, c, &m);
        channel_unref(c);
}

/* What is remembered, as of now; NULL: nothing */
static struct change_log *changes_now(const struct core *core)
{
        if (core->changes)
                metric_add(&stat_presence_unheard, change_log_time(core->changes, core->now_ms));
        return core->changes;
}

static void change_keep(struct core *core, const struct change *change)
{
        bool lost;

        if (!core->changes)
                core->changes = change_log_new();
        if (!changes_now(core))
                return;
        lost = change_log_lost(core->changes);
        change_log_take(core->changes, change);
        if (!lost && change_log_lost(core->changes))
                log_warn("more members were removed within a minute than are remembered");
}

static void changes_take(struct core *core, const Parley__V1__MembershipChange *message, bool joined)
{
        struct change change = {.at_ms = core->now_ms,
                                .seq = message->seq,
                                .version = message->version,
                                .from_seq = message->seq,
                                .from_version = message->version,
                                .joined = joined,
                                .settled = message->role != PARLEY__V1__ROLE__none,
                                .role = message->role};
        struct user *u;

        if (!ident_valid(message->user_id) || !ident_valid(message->channel_id)) {
                log_warn("a change of membership with a bad id");
                return;
        }
        memcpy(change.user_id, message->user_id, strlen(message->user_id) + 1); /* valid ids fit */
        memcpy(change.channel_id, message->channel_id, strlen(message->channel_id) + 1);
        change_keep(core, &change);
        if (core->looks)
                looks_membership(core, change.channel_id, change.user_id, change.role == PARLEY__V1__ROLE__none);
        u = user_find(core, change.user_id);
        if (u && u->loaded)
                change_to_user(u, &change);
}

void changes_apply(struct core *core, const Parley__V1__MembershipChange *message)
{
        changes_take(core, message, false);
}

void changes_joined(struct core *core, const Parley__V1__MembershipChange *message)
{
        changes_take(core, message, true);
}

void changes_replay(struct core *core, struct user *u)
{
        struct change_log *log = changes_now(core);
        const struct change *change = log ? change_log_next(log, u->id, NULL) : NULL;

        for (; change; change = change_log_next(log, u->id, change))
                change_to_user(u, change);
}

bool changes_removed(const struct core *core, const char *user_id, const char *channel_id)
{
        struct change_log *log = changes_now(core);
        const struct change *change = log ? change_log_find(log, user_id, channel_id) : NULL;

        return change && change->role == PARLEY__V1__ROLE__none && core->now_ms - change->at_ms <= CHANGES_LATE_MS;
}

void changes_unsettled(struct core *core, changes_func found, void *userdata)
{
        struct change_log *log = changes_now(core);
        const struct change *change = log ? change_log_unsettled(log) : NULL;

        for (; change; change = change->next_in)
                found(userdata, change->number, change->user_id, change->channel_id);
}

bool changes_lost(const struct core *core)
{
        struct change_log *log = changes_now(core);

        return log && change_log_lost(log);
}

void changes_settle(struct core *core, uint64_t number)
{
        change_log_settle(core->changes, number);
}

void changes_unheard(struct core *core, uint64_t number)
{
        change_log_unheard(core->changes, number);
}

void changes_unsettle(struct core *core)
{
        if (core->changes)
                change_log_unsettle(core->changes);
}

void changes_free(struct change_log *log)
{
        change_log_free(log);
}
