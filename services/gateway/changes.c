#include "gateway/changes.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "gateway/channel.h"
#include "gateway/look.h"
#include "gateway/user.h"

struct change {
        uint64_t at_ms, seq, version;
        uint64_t number; /* of all there ever were */
        bool joined;     /* by the event itself; else it is not told from another role */
        bool settled;    /* no removal, or presence has heard of it, or another change has come after it */
        Parley__V1__Role role;
        char user_id[IDENT_MAX + 1];
        char channel_id[IDENT_MAX + 1];
};

struct change_log {
        unsigned n, next;       /* a ring */
        uint64_t last, settled; /* numbers: of the newest; all through this one are settled, or too old */
        struct change ring[CHANGES_MAX];
};

/* Does a stay begin here, or does the role change within one? */
static bool change_joins(const struct change *change, const struct member *m)
{
        if (change->joined || m->role == PARLEY__V1__ROLE__none)
                return true;
        if (change->version <= m->version)
                return member_join_unknown(m);
        return change->version > m->version + 1; /* what lies between may be a removal */
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
                m.since_seq = change->seq;
                /* where it is unknown history decides what he may see of the time before */
                m.had_absence = change->version != was->version || was->had_absence;
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

static struct change *change_back(struct change_log *log, unsigned i)
{
        return &log->ring[(log->next + CHANGES_MAX - 1 - i) % CHANGES_MAX];
}

static bool is_of(const struct change *change, const char *user_id, const char *channel_id)
{
        return strcmp(change->user_id, user_id) == 0 && strcmp(change->channel_id, channel_id) == 0;
}

/* What is older of the same membership does not count any more; one change is heard of in several ways */
static void change_supersede(struct change_log *log, struct change *change)
{
        for (unsigned i = 0; i < log->n; i++) {
                struct change *was = change_back(log, i);

                if (change->at_ms - was->at_ms > CHANGES_KEEP_MS)
                        return;
                if (!is_of(was, change->user_id, change->channel_id))
                        continue;
                if (was->version > change->version || (was->version == change->version && was->settled))
                        change->settled = true;
                else
                        was->settled = true;
        }
}

static void change_keep(struct core *core, struct change *change)
{
        if (!core->changes)
                core->changes = calloc(1, sizeof(*core->changes));
        if (!core->changes)
                return;
        change_supersede(core->changes, change);
        change->number = ++core->changes->last;
        core->changes->ring[core->changes->next] = *change;
        core->changes->next = (core->changes->next + 1) % CHANGES_MAX;
        if (core->changes->n < CHANGES_MAX)
                core->changes->n++;
}

static void changes_take(struct core *core, const Parley__V1__MembershipChange *message, bool joined)
{
        struct change change = {.at_ms = core->now_ms,
                                .seq = message->seq,
                                .version = message->version,
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
        struct change_log *log = core->changes;

        if (!log)
                return;
        for (unsigned i = 0; i < log->n; i++) {
                const struct change *change = &log->ring[(log->next + CHANGES_MAX - log->n + i) % CHANGES_MAX];

                if (core->now_ms - change->at_ms <= CHANGES_KEEP_MS && strcmp(change->user_id, u->id) == 0)
                        change_to_user(u, change);
        }
}

bool changes_removed(const struct core *core, const char *user_id, const char *channel_id)
{
        struct change_log *log = core->changes;

        for (unsigned i = 0; log && i < log->n; i++) {
                const struct change *change = change_back(log, i);

                if (core->now_ms - change->at_ms > CHANGES_LATE_MS)
                        return false;
                if (is_of(change, user_id, channel_id))
                        return change->role == PARLEY__V1__ROLE__none;
        }
        return false;
}

void changes_left(const struct core *core, uint64_t within_ms,
                  void (*found)(void *userdata, const char *user_id, const char *channel_id), void *userdata)
{
        struct change_log *log = core->changes;

        for (unsigned i = 0; log && i < log->n; i++) {
                const struct change *change = change_back(log, i);

                if (core->now_ms - change->at_ms > within_ms)
                        return;
                if (change->role == PARLEY__V1__ROLE__none)
                        found(userdata, change->user_id, change->channel_id);
        }
}

void changes_unsettled(struct core *core, changes_func found, void *userdata)
{
        struct change_log *log = core->changes;
        uint64_t settled = log ? log->last : 0;

        for (unsigned i = 0; log && i < log->n; i++) {
                const struct change *change = change_back(log, i);

                if (change->number <= log->settled || core->now_ms - change->at_ms > CHANGES_KEEP_MS)
                        break;
                if (change->settled)
                        continue;
                settled = change->number - 1;
                found(userdata, change->number, change->user_id, change->channel_id);
        }
        if (log)
                log->settled = settled;
}

void changes_settle(struct core *core, uint64_t number)
{
        struct change *change = &core->changes->ring[(number - 1) % CHANGES_MAX];

        if (change->number == number)
                change->settled = true;
}

void changes_free(struct change_log *log)
{
        free(log);
}
