/* What a user is a member of, and how that changes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "gateway/changes.h"
#include "gateway/channel.h"
#include "gateway/look.h"
#include "gateway/ready.h"
#include "gateway/session.h"
#include "gateway/user.h"
#include "policy/policy.h"

struct member *user_member(struct user *u, const struct channel *c)
{
        for (unsigned i = 0; i < u->n_members; i++)
                if (u->members[i].channel == c)
                        return &u->members[i];
        return NULL;
}

Parley__V1__Role user_role(struct user *u, const struct channel *c)
{
        const struct member *m = user_member(u, c);
        Parley__V1__Role role;

        if (!c->doc)
                return m ? (Parley__V1__Role)m->role : PARLEY__V1__ROLE__none;
        if (!m)
                return policy_role(c->doc, NULL);
        role = (Parley__V1__Role)m->role;
        return policy_role(c->doc, &role);
}

bool member_join_unknown(const struct member *m)
{
        if (m->role == PARLEY__V1__ROLE__none)
                return false;
        return (m->left_seq && m->left_seq >= m->since_seq) || (m->had_absence && !m->since_seq);
}

bool member_joining(const struct member *m, const struct channel *c)
{
        if (m->role == PARLEY__V1__ROLE__none)
                return false;
        return member_join_unknown(m) || m->since_seq > channel_position(c);
}

static struct member *user_member_add(struct user *u, struct channel *c)
{
        struct member *m;

        if (u->n_members == u->cap_members) {
                unsigned cap = u->cap_members ? u->cap_members + u->cap_members / 2 + 1 : 4;
                struct member *members = realloc(u->members, cap * sizeof(*members));

                if (!members)
                        return NULL;
                u->members = members;
                u->cap_members = cap;
        }
        m = &u->members[u->n_members++];
        *m = (struct member){.channel = channel_ref(c)};
        return m;
}

/* The membership ended at left_seq: what is at or below it still belongs to the session */
static void user_unlink(struct session *s, struct link *l, const struct member *m)
{
        if (m && m->left_seq > channel_position(l->channel) && l->state != LINK_WAITING)
                session_link_limit(s, l, m->left_seq);
        else
                ready_channel_removed(s, l);
}

/* Left and came back before the leaving was reached here: the absence must not be bridged */
static bool user_link_ended(const struct link *l, const struct member *m)
{
        if (l->until != UINT64_MAX)
                return true;
        return l->state != LINK_WAITING && m && member_joining(m, l->channel);
}

void user_relink_session(struct user *u, struct session *s, struct channel *c)
{
        struct link *l = session_link(s, c);
        const struct member *m = user_member(u, c);

        if (user_role(u, c) == PARLEY__V1__ROLE__none) {
                if (s->look && l && l->until == UINT64_MAX) /* now, and not long ago */
                        look_left(s, c);
                if (l)
                        user_unlink(s, l, m);
                return;
        }
        if (l && user_link_ended(l, m)) {
                ready_channel_removed(s, l);
                if (s->state != SESSION_LIVE && s->state != SESSION_LOADING)
                        return; /* the frame was too much for its queue */
                l = NULL;
        }
        if (!l && session_link_add(s, c)) {
                session_fail(s, 0, PARLEY_INTERNAL, PARLEY_CLOSE_TRY_AGAIN_LATER, "no memory");
                return;
        }
        if (m)
                chain_expect(c, m->since_seq, 1000);
        l = session_link(s, c);
        if (l)
                session_link_check(s, l);
}

void user_relink(struct user *u, struct channel *c)
{
        struct session *s, *next;

        for (s = u->sessions; s; s = next) {
                next = s->user_next;
                if (s->state == SESSION_LIVE || (s->state == SESSION_LOADING && s->linked))
                        user_relink_session(u, s, c);
        }
}

void user_apply(struct user *u, struct channel *c, const struct member_change *change)
{
        struct member *m = user_member(u, c);

        if (m && change->version < m->version)
                return;
        if (!m)
                m = user_member_add(u, c);
        if (!m) {
                log_error("no memory for a membership", LOG_S("user", u->id));
                user_missed(u);
                return;
        }
        if (change->version > m->version || change->since_seq > m->since_seq)
                m->since_seq = change->since_seq;
        if (change->version > m->version || change->left_seq > m->left_seq)
                m->left_seq = change->left_seq;
        /* a change was missed between: before this leaving there may have been another, and what lies between is not the session's */
        if (change->role == PARLEY__V1__ROLE__none && change->version > m->version + 1 && channel_joined_only(c))
                m->left_seq = 0;
        if (change->version > m->version)
                m->had_absence = m->left_himself = false;
        m->had_absence |= change->had_absence;
        m->left_himself |= change->left_himself;
        m->version = change->version;
        m->role = (uint8_t)change->role;
        user_relink(u, c);
}

/* What a newer list does not name any more is no membership */
static void user_drop_unnamed(struct user *u, const Parley__V1__Memberships *list)
{
        for (unsigned i = 0; i < u->n_members; i++) {
                struct member *m = &u->members[i];
                bool named = false;

                for (size_t k = 0; k < list->n_memberships && !named; k++)
                        named = strcmp(list->memberships[k]->channel_id, m->channel->id) == 0;
                if (named || m->role == PARLEY__V1__ROLE__none)
                        continue;
                m->role = PARLEY__V1__ROLE__none;
                m->left_seq = 0;
                user_relink(u, m->channel);
        }
}

void user_apply_list(struct user *u, const Parley__V1__Memberships *list)
{
        bool newer = list->version > u->list_version;

        if (list->version < u->list_version)
                return;
        for (size_t i = 0; i < list->n_memberships; i++) {
                const Parley__V1__Membership *m = list->memberships[i];
                struct channel *c;

                if (!ident_valid(m->channel_id))
                        continue;
                c = channel_get(u->core, m->channel_id);
                if (!c) {
                        log_error("no memory for a channel", LOG_S("user", u->id));
                        user_missed(u);
                        return;
                }
                channel_ref(c);
                user_apply(u, c,
                           &(struct member_change){.role = m->role,
                                                   .version = m->version,
                                                   .since_seq = m->since_seq,
                                                   .left_seq = m->left_seq,
                                                   .had_absence = m->had_absence});
                channel_unref(c);
        }
        if (newer)
                user_drop_unnamed(u, list);
        u->list_version = list->version;
}
