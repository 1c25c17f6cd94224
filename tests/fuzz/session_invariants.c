/* What must hold inside of the core after every step. */
#include "session_world.h"

#include "gateway/backlog.h"
#include "gateway/channel.h"
#include "gateway/look.h"
#include "gateway/mutation.h"
#include "gateway/user.h"

/* As in chain.c */
enum { HELD_MAX = 1024, HELD_MAX_BYTES = 1024 * 1024 };

static void check_queue(const struct session *s)
{
        struct frame *const *queue = s->queue ? s->queue : s->first;
        size_t bytes = 0;

        for (unsigned i = 0; i < s->n_queue; i++) {
                REQUIRE(queue[i]->refs > 0);
                REQUIRE(queue[i]->queued > 0 && queue[i]->queued <= queue[i]->refs);
                bytes += queue[i]->len + QUEUE_FRAME_COST;
        }
        REQUIRE(bytes == s->queue_bytes);
        REQUIRE(bytes <= s->core->config->session_max_queue_bytes || s->n_queue == 1);
        /* what waits will be written: by the next flush, or when the transport takes more */
        REQUIRE(s->n_queue == 0 || s->blocked || s->dirty_index || s->state == SESSION_CLOSING);
        if (s->dirty_index)
                REQUIRE(s->core->dirty[s->dirty_index - 1] == s);
}

static void check_link(const struct session *s, unsigned i)
{
        const struct link *l = &s->links[i];
        const struct sub *sub = &l->channel->subs[l->index];

        REQUIRE(l->index < l->channel->n_subs && sub->session == s && sub->link == i);
        REQUIRE(sub->live == (l->state == LINK_LIVE && l->until == UINT64_MAX));
        REQUIRE((l->state == LINK_REPLAYING) == (l->replay != NULL));
        if (l->state == LINK_LIVE || l->state == LINK_REPLAYING)
                REQUIRE(s->state == SESSION_LIVE && l->announced);
        if (l->state == LINK_KNOWN)
                REQUIRE(s->state == SESSION_LOADING);
        REQUIRE(!l->resumed);
        for (unsigned k = 0; k < i; k++)
                REQUIRE(s->links[k].channel != l->channel);
}

static void check_session(const struct session *s)
{
        const struct gateway_config *config = s->core->config;
        unsigned pending = 0;

        check_queue(s);
        for (unsigned i = 0; i < s->n_links; i++)
                check_link(s, i);
        for (const struct mutation *m = s->core->mutations; m; m = m->next)
                pending += m->session == s->handle;
        REQUIRE(pending == s->n_pending && pending <= config->session_max_pending);
        REQUIRE(s->n_cursors <= config->max_cursors);
        REQUIRE(handle_get(&s->core->handles, s->handle) == s);
        REQUIRE((s->state == SESSION_LOADING || s->state == SESSION_LIVE) == (s->user != NULL));
        REQUIRE((s->state == SESSION_CLOSING) == (s->close_code != 0));
        if (s->state == SESSION_CLOSING)
                REQUIRE(s->n_links == 0 && !s->cursors && !wheel_armed(&s->timer));
        else
                REQUIRE(wheel_armed(&s->timer));
        if (s->state == SESSION_LIVE)
                REQUIRE(s->ready_sent);
}

/* What it adds to the bytes of all: a frame that waits for several counts once */
static double queue_share(const struct session *s)
{
        struct frame *const *queue = s->queue ? s->queue : s->first;
        double bytes = 0;

        for (unsigned i = 0; i < s->n_queue; i++)
                bytes += QUEUE_FRAME_COST + (double)queue[i]->len / queue[i]->queued;
        return bytes;
}

static void check_sessions(const struct core *core)
{
        size_t kept_bytes = 0, cursor_bytes = 0, mutation_bytes = 0;
        double queue_bytes = 0;
        unsigned n = 0, n_mutations = 0;

        for (const struct session *s = core->sessions; s; s = s->next) {
                check_session(s);
                n++;
                queue_bytes += queue_share(s);
                kept_bytes += s->kept_bytes;
                cursor_bytes += s->n_cursors * sizeof(*s->cursors);
        }
        for (const struct mutation *m = core->mutations; m; m = m->next) {
                n_mutations++;
                mutation_bytes += m->bytes;
        }
        REQUIRE(n == core->n_sessions);
        REQUIRE((size_t)(queue_bytes + 0.5) == core->queue_bytes && kept_bytes == core->kept_bytes);
        REQUIRE(n_mutations == core->n_pending && n_mutations <= core->config->max_pending);
        REQUIRE(cursor_bytes + mutation_bytes == core->pending_bytes);
        REQUIRE(core->config->max_pending_bytes != PENDING_BYTES || core->pending_bytes < 2 * PENDING_BYTES);
}

void check_backlog(const struct core *core)
{
        uint64_t limit = core->config->max_queue_bytes;
        bool stuck = false;

        for (const struct session *s = core->sessions; s; s = s->next)
                stuck |= s->state != SESSION_CLOSING && (s->blocked || s->kept_bytes);
        REQUIRE(!limit || !stuck || core->queue_bytes + core->kept_bytes - core->leaving_bytes <= limit);
}

/* Returns the bytes of its tail */
static size_t check_channel(const struct core *core, const struct channel *c)
{
        uint64_t at = c->tail_base;
        size_t bytes = 0, held_bytes = 0;
        unsigned n = 0, n_held = 0;

        for (const struct tail_entry *e = c->tail_first; e; e = e->next, n++) {
                REQUIRE(e->channel == c && e->event.seq > at && e->event.seq <= c->head);
                at = e->event.seq;
                bytes += sizeof(*e) + e->event.len;
        }
        REQUIRE(n == c->n_tail && n <= core->config->tail_events);
        at = 0;
        for (const struct held_event *h = c->held; h; h = h->next, n_held++) {
                REQUIRE(h->event.seq > at);
                at = h->event.seq;
                held_bytes += sizeof(*h) + h->event.len;
        }
        REQUIRE(n_held == c->n_held && n_held <= HELD_MAX);
        REQUIRE(held_bytes == c->held_bytes && held_bytes <= HELD_MAX_BYTES + 65536);
        for (unsigned i = 0; i < c->n_subs; i++)
                REQUIRE(c->subs[i].session->links[c->subs[i].link].channel == c);
        return bytes;
}

static void check_user(const struct user *u)
{
        unsigned n = 0;

        for (const struct session *s = u->sessions; s; s = s->user_next, n++)
                REQUIRE(s->user == u);
        REQUIRE(n == u->n_sessions && n <= u->core->config->max_connections_per_user);
        REQUIRE(n || wheel_armed(&u->expiry));
}

/* Edges and those whom they lead to know each other */
static size_t check_look(const struct look *l)
{
        uint32_t pending = 0;

        for (uint32_t i = 0; i < l->n_edges; i++) {
                const struct watch_edge *e = &l->edges[i];

                REQUIRE(e->at < e->seen->by.n && e->seen->by.refs[e->at].look == l &&
                        e->seen->by.refs[e->at].index == i);
                REQUIRE(!e->seen->holds);
                pending += e->sight == SIGHT_UNKNOWN;
                if (e->flags & EDGE_ASK)
                        REQUIRE(ring_holds(&l->asking));
                if (e->flags & EDGE_LATER)
                        REQUIRE(ring_holds(&l->later));
        }
        REQUIRE(pending == l->pending);
        for (uint32_t i = 0; i < l->n_focus; i++) {
                const struct focus_edge *e = &l->focus[i];

                REQUIRE(!e->place || (e->place->by.refs[e->at].look == l && e->place->by.refs[e->at].index == i));
        }
        return l->bytes;
}

/* What those take who are looked at, beside the looks themselves */
static size_t seen_bytes(const struct looks *all)
{
        size_t bytes = 0;

        for (const struct seen *who = all->seen; who; who = who->hh.next) {
                bytes += sizeof(*who) + strlen(who->id) + 1;
                if (who->state.text)
                        bytes += strlen(who->state.text) + strlen(who->state.emoji) + 2;
        }
        for (const struct place *p = all->places; p; p = p->hh.next) {
                bytes += sizeof(*p) + p->n_residents * sizeof(*p->residents);
                for (unsigned e = 0; e < _ENCODING_N; e++)
                        bytes += p->shown[e] ? p->shown[e]->len : 0;
        }
        return bytes;
}

static void check_looks(const struct core *core)
{
        const struct looks *all = core->looks;
        size_t bytes = 0;
        unsigned n = 0;

        for (const struct session *s = core->sessions; s; s = s->next) {
                if (!s->look)
                        continue;
                REQUIRE(s->state == SESSION_LIVE && s->look->session == s);
                bytes += check_look(s->look);
                n++;
        }
        if (!all)
                return;
        REQUIRE(n == all->n && bytes <= core->config->max_watch_bytes);
        REQUIRE(bytes + seen_bytes(all) == all->bytes);
        REQUIRE(n ? all->sub != NULL : !all->seen && !all->sub);
        for (const struct seen *who = all->seen; who; who = who->hh.next)
                REQUIRE(who->by.n || who->residents);
        for (const struct place *p = all->places; p; p = p->hh.next) {
                REQUIRE(p->channel->place == p && !p->held && (p->by.n || p->asking));
                for (const struct resident *r = p->residents; r && r < p->residents + p->n_residents; r++)
                        REQUIRE(r->place == p);
        }
}

void check_core(const struct world *w)
{
        const struct core *core = w->f->core;
        const struct channel *c;
        const struct user *u;
        size_t tail_bytes = 0;

        check_sessions(core);
        check_looks(core);
        for (c = core->channels; c; c = c->hh.next)
                tail_bytes += check_channel(core, c);
        REQUIRE(tail_bytes == core->tail_bytes && tail_bytes <= core->config->tail_bytes);
        for (u = core->users; u; u = u->hh.next)
                check_user(u);
        REQUIRE(core->scratch.len == 0 || core->scratch.len <= core->scratch.max);
}
