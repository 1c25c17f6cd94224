#include "gateway/everyone.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "gateway/channel.h"
#include "gateway/session.h"
#include "gateway/user.h"

struct everyone {
        struct channel **channels; /* references */
        unsigned n, cap;
};

static int everyone_index(const struct everyone *e, const struct channel *c)
{
        for (unsigned i = 0; e && i < e->n; i++)
                if (e->channels[i] == c)
                        return (int)i;
        return -1;
}

static bool everyone_add(struct core *core, struct channel *c)
{
        struct everyone *e = core->everyone;

        if (!e)
                e = core->everyone = calloc(1, sizeof(*e));
        if (!e)
                return false;
        if (e->n == e->cap) {
                unsigned cap = e->cap ? e->cap * 2 : 8;
                struct channel **channels = realloc(e->channels, cap * sizeof(struct channel *));

                if (!channels)
                        return false;
                e->channels = channels;
                e->cap = cap;
        }
        e->channels[e->n++] = channel_ref(c);
        return true;
}

/* Everybody's role in it may have changed */
static void everyone_relink_all(struct core *core, struct channel *c)
{
        struct user *u, *tmp;

        HASH_ITER (hh, core->users, u, tmp)
                user_relink(u, c);
}

static void everyone_drop(struct core *core, struct channel *c)
{
        int i = everyone_index(core->everyone, c);

        if (i < 0)
                return;
        core->everyone->channels[i] = core->everyone->channels[--core->everyone->n];
        if (c->doc)
                c->doc->everyone = false;
        everyone_relink_all(core, c);
        channel_unref(c);
}

void everyone_put(struct core *core, const char *channel_id, const uint8_t *data, size_t len)
{
        Parley__V1__Channel *doc;
        struct channel *c;

        if (!ident_valid(channel_id))
                return;
        c = channel_get(core, channel_id);
        doc = len ? parley__v1__channel__unpack(NULL, len, data) : NULL;
        if (!c || (len && !doc)) {
                log_error("a channel open to everyone cannot be read", LOG_S("channel", channel_id));
        } else if (!doc || !doc->everyone) {
                everyone_drop(core, c);
        } else {
                channel_set_doc(c, doc);
                if (everyone_index(core->everyone, c) < 0 && everyone_add(core, c))
                        everyone_relink_all(core, c);
        }
        if (doc)
                parley__v1__channel__free_unpacked(doc, NULL);
}

void everyone_complete(struct core *core)
{
        struct session *s, *next;

        if (core->everyone_known)
                return;
        core->everyone_known = true;
        for (s = core->sessions; s; s = next) {
                next = s->next;
                session_advance(s);
        }
}

void everyone_relink(struct core *core, struct session *s)
{
        struct everyone *e = core->everyone;

        for (unsigned i = 0; e && s->state == SESSION_LOADING && i < e->n; i++)
                user_relink_session(s->user, s, e->channels[i]);
}

void everyone_free(struct core *core)
{
        struct everyone *e = core->everyone;

        core->everyone = NULL;
        for (unsigned i = 0; e && i < e->n; i++)
                channel_unref(e->channels[i]);
        if (e)
                free(e->channels);
        free(e);
}
