#include "gateway/changes.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "gateway/channel.h"
#include "gateway/user.h"

struct change {
        uint64_t at_ms, seq, version;
        Parley__V1__Role role;
        char user_id[IDENT_MAX + 1];
        char channel_id[IDENT_MAX + 1];
};

struct change_log {
        unsigned n, next; /* a ring */
        struct change ring[CHANGES_MAX];
};

static void change_to_user(struct user *u, const struct change *change)
{
        struct channel *c = channel_get(u->core, change->channel_id);
        struct member_change m = {.role = change->role, .version = change->version};

        if (!c) {
                log_error("no memory for a channel", LOG_S("user", u->id));
                return;
        }
        if (change->role == PARLEY__V1__ROLE__none)
                m.left_seq = change->seq;
        else
                m.had_absence = true; /* unknown here: history decides what he may see of the time before */
        channel_ref(c);
        /* who becomes a member is told by his list, which knows since when */
        if (user_member(u, c) || change->role == PARLEY__V1__ROLE__none)
                user_apply(u, c, &m);
        channel_unref(c);
}

static void change_keep(struct core *core, const struct change *change)
{
        if (!core->changes)
                core->changes = calloc(1, sizeof(*core->changes));
        if (!core->changes)
                return;
        core->changes->ring[core->changes->next] = *change;
        core->changes->next = (core->changes->next + 1) % CHANGES_MAX;
        if (core->changes->n < CHANGES_MAX)
                core->changes->n++;
}

void changes_apply(struct core *core, const Parley__V1__MembershipChange *message)
{
        struct change change = {
                .at_ms = core->now_ms, .seq = message->seq, .version = message->version, .role = message->role};
        struct user *u;

        if (!ident_valid(message->user_id) || !ident_valid(message->channel_id)) {
                log_warn("a change of membership with a bad id");
                return;
        }
        strcpy(change.user_id, message->user_id);
        strcpy(change.channel_id, message->channel_id);
        change_keep(core, &change);
        u = user_find(core, change.user_id);
        if (u && u->loaded)
                change_to_user(u, &change);
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

void changes_free(struct change_log *log)
{
        free(log);
}
