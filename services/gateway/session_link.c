/* Links: what a session gets of which channel. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "gateway/channel.h"
#include "gateway/ready.h"
#include "gateway/replay.h"
#include "gateway/session.h"
#include "gateway/user.h"

struct link *session_link(struct session *s, const struct channel *c)
{
        for (uint32_t i = 0; i < s->n_links; i++)
                if (s->links[i].channel == c)
                        return &s->links[i];
        return NULL;
}

static void link_update_sub(struct session *s, const struct link *l)
{
        struct sub *sub = &l->channel->subs[l->index];

        sub->session = s;
        sub->link = (uint32_t)(l - s->links);
        sub->live = l->state == LINK_LIVE && l->until == UINT64_MAX;
}

void session_link_set(struct session *s, struct link *l, enum link_state state)
{
        l->state = (uint8_t)state;
        link_update_sub(s, l);
}

void session_link_limit(struct session *s, struct link *l, uint64_t until)
{
        l->until = until;
        link_update_sub(s, l);
}

int session_link_add(struct session *s, struct channel *c)
{
        struct link *l;
        int r;

        if (s->n_links == s->cap_links) {
                uint32_t cap = s->cap_links ? s->cap_links + s->cap_links / 2 + 1 : 4;
                struct link *links = realloc(s->links, cap * sizeof(*links));

                if (!links)
                        return -ENOMEM;
                s->links = links;
                s->cap_links = cap;
        }
        l = &s->links[s->n_links];
        *l = (struct link){.channel = c, .until = UINT64_MAX, .state = LINK_WAITING};
        r = channel_sub_add(c, s, s->n_links, &l->index);
        if (r)
                return r;
        s->n_links++;
        channel_want(c);
        return 0;
}

void session_link_remove(struct session *s, struct link *l)
{
        uint32_t i = (uint32_t)(l - s->links);

        assert(i < s->n_links);
        replay_leave(l);
        channel_sub_remove(l->channel, l->index);
        s->n_links--;
        if (i < s->n_links) {
                s->links[i] = s->links[s->n_links];
                link_update_sub(s, &s->links[i]);
        }
}

void session_links_done(struct session *s)
{
        while (s->n_links)
                session_link_remove(s, &s->links[s->n_links - 1]);
        free(s->links);
        s->links = NULL;
        s->cap_links = 0;
}

/* The channel is known up to the event that made the user a member: nothing before it must be delivered to him as live */
static bool link_known(struct session *s, const struct link *l)
{
        const struct member *m = user_member(s->user, l->channel);

        return channel_active(l->channel) && !(m && member_joining(m, l->channel));
}

bool session_link_stalled(const struct session *s, const struct link *l)
{
        const struct member *m = user_member(s->user, l->channel);

        return l->state == LINK_WAITING && (l->channel->state == CHANNEL_MISSING || (m && member_join_unknown(m)));
}

void session_link_check(struct session *s, struct link *l)
{
        if (l->state != LINK_WAITING)
                return;
        if (session_link_stalled(s, l)) {
                session_advance(s);
                return;
        }
        if (!link_known(s, l))
                return;
        if (s->state == SESSION_LOADING) {
                session_link_set(s, l, LINK_KNOWN);
                session_advance(s);
        } else if (s->state == SESSION_LIVE) {
                session_link_set(s, l, LINK_LIVE);
                ready_channel_added(s, l);
        }
}
