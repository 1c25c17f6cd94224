#include "presence/sources.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "presence/people.h"

/* ASK_AGAIN_MS: an answer to presence.sync is waited for. REMEMBER_MS: a gateway that went is remembered, so that its late messages do not bring it
 * back. RIVAL_MS: between two questions which of two processes of a name lives, as both may, by mistake: their answers would be new questions. */
enum { ASK_AGAIN_MS = 500, REMEMBER_MS = 60000, RIVAL_MS = 10000 };

static void source_on_timer(struct wheel_timer *t, uint64_t now_ms);

void sources_init(struct sources *s, const struct sources_options *options)
{
        *s = (struct sources){.options = *options};
}

/* --- reports --- */

static void report_drop(struct report *r)
{
        LL_DELETE(r->person->reports, r);
        DL_DELETE2(r->source->reports, r, prev_in, next_in);
        free(r);
}

/* Drops those of another round than the present one; all when round is 0 */
static void reports_sweep(struct source *g, uint32_t round, bool closed)
{
        struct report *r, *next;

        DL_FOREACH_SAFE2(g->reports, r, next, next_in)
        {
                struct person *who = r->person;
                enum source_news news = !closed ? SOURCE_GONE : r->active ? SOURCE_LEFT : SOURCE_SAYS;

                if (round && r->round == round)
                        continue;
                report_drop(r);
                g->all->options.touched(who, news, g->all->options.userdata);
        }
}

static struct report *report_of(struct source *g, struct person *who)
{
        struct report *r;

        LL_FOREACH (who->reports, r) {
                if (r->source == g)
                        return r;
        }
        return NULL;
}

static uint8_t device_bits(const Parley__V1__GatewayUser *u)
{
        uint8_t bits = 0;

        for (size_t i = 0; i < u->n_devices; i++)
                bits |= u->devices[i] <= PARLEY__V1__DEVICE__bot ? (uint8_t)(1U << u->devices[i]) : 1U;
        return bits;
}

static int report_apply(struct source *g, const Parley__V1__GatewayUser *u)
{
        const struct sources_options *o = &g->all->options;
        struct person *who;
        struct report *r;
        bool was_active;

        if (!ident_valid(u->user_id))
                return -EINVAL;
        who = o->find(u->user_id, o->userdata);
        if (!who)
                return -ENOMEM;
        r = report_of(g, who);
        was_active = r && r->active;
        if (!u->n_devices) {
                if (r)
                        report_drop(r);
                /* also one who was made here, to be forgotten */
                o->touched(who, was_active ? SOURCE_LEFT : SOURCE_SAYS, o->userdata);
                return 0;
        }
        if (!r) {
                r = calloc(1, sizeof(*r));
                if (!r)
                        return -ENOMEM;
                r->source = g;
                r->person = who;
                LL_PREPEND(who->reports, r);
                DL_PREPEND2(g->reports, r, prev_in, next_in);
        }
        r->devices = device_bits(u);
        r->active = u->active;
        r->round = g->round;
        o->touched(who, was_active && u->left ? SOURCE_LEFT : SOURCE_SAYS, o->userdata);
        return 0;
}

/* --- gateways --- */

static struct source *source_get(struct sources *s, const char *id)
{
        struct source *g;

        HASH_FIND_STR(s->by_id, id, g);
        if (g)
                return g;
        if (HASH_COUNT(s->by_id) >= s->options.max) {
                s->n_refused++;
                return NULL;
        }
        g = calloc(1, sizeof(*g));
        if (!g)
                return NULL;
        g->all = s;
        memcpy(g->id, id, strlen(id) + 1);
        HASH_ADD_STR(s->by_id, id, g);
        return g;
}

static void source_free(struct source *g)
{
        reports_sweep(g, 0, false);
        wheel_disarm(&g->timer);
        HASH_DEL(g->all->by_id, g);
        free(g);
}

void sources_clear(struct sources *s)
{
        struct source *g, *next;
        struct report *r, *r_next;

        HASH_ITER (hh, s->by_id, g, next) {
                DL_FOREACH_SAFE2(g->reports, r, r_next, next_in)
                {
                        report_drop(r);
                }
                source_free(g);
        }
}

static void source_arm(struct source *g)
{
        uint64_t due = g->heard_ms + g->all->options.silent_ms;

        if (g->state != SOURCE_LIVE && !g->stopped && g->asked_ms + ASK_AGAIN_MS < due)
                due = g->asked_ms + ASK_AGAIN_MS;
        wheel_arm(g->all->options.wheel, &g->timer, due, source_on_timer);
}

static void source_sync(struct source *g)
{
        g->asked_ms = g->all->now_ms;
        g->all->options.ask(g->id, g->all->options.userdata);
}

static void source_ask(struct source *g)
{
        if (!g->asked_ms || g->all->now_ms - g->asked_ms >= ASK_AGAIN_MS)
                source_sync(g);
        source_arm(g);
}

/* Silent for too long: its users are gone. Long after that it is forgotten. */
static void source_on_timer(struct wheel_timer *t, uint64_t now_ms)
{
        struct source *g = (struct source *)((char *)t - offsetof(struct source, timer));
        struct sources *s = g->all;
        uint64_t silent = now_ms - g->heard_ms;

        s->now_ms = now_ms;
        if (silent >= s->options.silent_ms + REMEMBER_MS) {
                source_free(g);
        } else if (silent >= s->options.silent_ms) {
                g->state = SOURCE_BROKEN;
                reports_sweep(g, 0, false);
                wheel_arm(s->options.wheel, t, g->heard_ms + s->options.silent_ms + REMEMBER_MS, source_on_timer);
        } else if (g->state != SOURCE_LIVE && !g->stopped) {
                source_ask(g);
        } else {
                source_arm(g);
        }
}

static void source_break(struct source *g)
{
        if (g->state == SOURCE_LIVE || g->state == SOURCE_SNAPSHOT) {
                g->all->n_gaps++;
                g->state = SOURCE_BROKEN;
        }
}

/* Of an epoch before the present one: late, or of a process whose clock was set back. True: it is this one that answers. */
static bool source_came_back(struct source *g, const Parley__V1__GatewayPresence *m)
{
        if (m->snapshot && m->first && g->rival == m->epoch)
                return true;
        if (!m->stopping) {
                g->rival = m->epoch;
                if (!g->rival_ms || g->all->now_ms - g->rival_ms >= RIVAL_MS) {
                        g->rival_ms = g->all->now_ms;
                        /* also when it was asked a moment ago: the one that answered may be dead since */
                        source_sync(g);
                }
        }
        return false;
}

/* Is the message newer than all that came? A counter of 1 begins a chain in which nothing can be missing. */
static bool source_follows(struct source *g, const Parley__V1__GatewayPresence *m)
{
        bool back = m->epoch < g->epoch && source_came_back(g, m);

        if (!back && (m->epoch < g->epoch || (m->epoch == g->epoch && m->counter <= g->counter))) {
                g->all->n_old++;
                return false;
        }
        g->rival = 0;
        if (m->epoch != g->epoch) {
                g->epoch = m->epoch;
                g->state = SOURCE_UNKNOWN;
                g->stopped = false;
                if (m->counter == 1) { /* of another process: all of the one before are closed */
                        g->state = SOURCE_LIVE;
                        g->round++;
                        reports_sweep(g, g->round, true);
                }
        } else if (m->counter != g->counter + 1) {
                source_break(g);
        }
        g->counter = m->counter;
        return true;
}

/* Before and behind the users of a message */
static void source_begin(struct source *g, const Parley__V1__GatewayPresence *m)
{
        if (m->snapshot && m->first) {
                g->state = SOURCE_SNAPSHOT;
                g->round++;
        }
}

static void source_end(struct source *g, const Parley__V1__GatewayPresence *m)
{
        if (m->snapshot && m->last && g->state == SOURCE_SNAPSHOT) {
                g->state = SOURCE_LIVE;
                reports_sweep(g, g->round, true);
        }
        if (m->stopping) {
                g->stopped = true;
                g->state = SOURCE_LIVE;
                reports_sweep(g, 0, true);
        }
}

int sources_message(struct sources *s, uint64_t now_ms, const Parley__V1__GatewayPresence *m)
{
        struct source *g = ident_valid(m->gateway_id) ? source_get(s, m->gateway_id) : NULL;
        int r = 0;

        if (!g)
                return ident_valid(m->gateway_id) ? -ENOMEM : -EINVAL;
        s->now_ms = now_ms;
        if (!source_follows(g, m)) {
                if (!wheel_armed(&g->timer))
                        source_arm(g);
                return 0;
        }
        g->heard_ms = now_ms;
        source_begin(g, m);
        for (size_t i = 0; i < m->n_users; i++) {
                int error = report_apply(g, m->users[i]);

                if (error < 0)
                        r = error;
        }
        if (r == -ENOMEM)
                source_break(g);
        source_end(g, m);
        if (g->state == SOURCE_UNKNOWN || g->state == SOURCE_BROKEN)
                source_ask(g);
        else
                source_arm(g);
        return r;
}

void sources_alive(struct sources *s, uint64_t now_ms, const char *gateway_id)
{
        struct source *g = ident_valid(gateway_id) ? source_get(s, gateway_id) : NULL;

        if (!g)
                return;
        s->now_ms = now_ms;
        if (!g->heard_ms)
                g->heard_ms = now_ms; /* else it would be forgotten at once */
        if (g->state == SOURCE_UNKNOWN || (g->state == SOURCE_BROKEN && !g->stopped))
                source_ask(g);
}

void sources_doubt(struct sources *s, uint64_t now_ms)
{
        struct source *g, *next;

        s->now_ms = now_ms;
        HASH_ITER (hh, s->by_id, g, next) {
                if (g->stopped)
                        continue;
                source_break(g);
                source_ask(g);
        }
}

bool sources_settled(const struct sources *s)
{
        const struct source *g;

        for (g = s->by_id; g; g = g->hh.next) {
                if (g->state != SOURCE_LIVE && s->now_ms - g->heard_ms < s->options.silent_ms)
                        return false;
        }
        return true;
}
