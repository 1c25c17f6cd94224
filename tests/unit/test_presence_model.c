/* Gateways whose messages are lost, come twice, late or never; that are paused, killed and restarted, also with their clock set back: when it is
 * quiet again, the roster is what the gateways have. */
#include <stdio.h>
#include <stdlib.h>

#include "presence_world.h"

enum { RUNS = 60, STEPS = 400, EPOCH_BASE = 1000000 };

/* A message on its way: what world_send was told */
struct on_wire {
        unsigned gateway;
        uint64_t epoch, counter;
        uint8_t bits[WORLD_USERS]; /* 0xff: not named */
        bool snapshot;
};

struct model {
        struct world w;
        struct on_wire wire[WORLD_WIRE];
        unsigned n_wire, seed;
        bool quiet; /* nothing is lost any more */
};

static unsigned chance(struct model *m, unsigned n)
{
        m->seed = m->seed * 1103515245 + 12345;
        return (m->seed >> 16) % n;
}

static uint8_t bits_of(const struct world_gateway *g, unsigned user)
{
        return g->devices[user] | (g->devices[user] && g->active[user] ? 0x80 : 0);
}

static void deliver(struct model *m, const struct on_wire *o)
{
        Parley__V1__GatewayPresence p = PARLEY__V1__GATEWAY_PRESENCE__INIT;
        Parley__V1__GatewayUser users[WORLD_USERS], *list[WORLD_USERS];
        Parley__V1__Device devices[WORLD_USERS][4];
        char names[WORLD_USERS][8];

        p.gateway_id = m->w.gateways[o->gateway].id;
        p.epoch = o->epoch;
        p.counter = o->counter;
        p.users = list;
        p.snapshot = p.first = p.last = o->snapshot;
        for (unsigned u = 0; u < WORLD_USERS; u++) {
                Parley__V1__GatewayUser *user = &users[p.n_users];

                if (o->bits[u] == 0xff)
                        continue;
                (void)snprintf(names[u], sizeof(names[u]), "u%u", u);
                parley__v1__gateway_user__init(user);
                user->user_id = names[u];
                user->devices = devices[u];
                user->active = o->bits[u] & 0x80;
                user->left = !user->active && chance(m, 2);
                for (unsigned d = 0; d < 4; d++) {
                        if (o->bits[u] & (1U << d))
                                user->devices[user->n_devices++] = (Parley__V1__Device)d;
                }
                list[p.n_users++] = user;
        }
        assert_int_equal(roster_report(m->w.roster, &p), 0);
}

/* Puts it on the wire, where it may be lost, doubled, or pass another one */
static void send(struct model *m, const struct on_wire *o)
{
        unsigned fate = m->quiet ? 9 : chance(m, 10);

        if (fate == 0 || m->n_wire + 2 > WORLD_WIRE)
                return;
        m->wire[m->n_wire++] = *o;
        if (fate == 1)
                m->wire[m->n_wire++] = *o;
        if (fate == 2 && m->n_wire > 1) {
                struct on_wire last = m->wire[m->n_wire - 1];

                m->wire[m->n_wire - 1] = m->wire[m->n_wire - 2];
                m->wire[m->n_wire - 2] = last;
        }
}

static void speak(struct model *m, unsigned number)
{
        struct world_gateway *g = &m->w.gateways[number];
        struct on_wire o = {.gateway = number, .epoch = g->epoch, .snapshot = g->wanted};
        bool news = g->wanted || m->w.now_ms - g->told_ms >= 10000;

        for (unsigned u = 0; u < WORLD_USERS; u++) {
                uint8_t bits = bits_of(g, u);
                bool named = g->wanted ? bits != 0 : bits != g->told[u];

                o.bits[u] = named ? bits : 0xff;
                g->told[u] = bits;
                news = news || named;
        }
        if (!news)
                return;
        g->wanted = false;
        g->told_ms = m->w.now_ms;
        o.counter = ++g->counter;
        send(m, &o);
}

static void act(struct model *m)
{
        struct world_gateway *g = &m->w.gateways[chance(m, WORLD_GATEWAYS)];
        unsigned u = chance(m, WORLD_USERS), what = chance(m, 30);

        if (what == 0 || !g->up) { /* (re)started, with or without having stopped */
                memset(g->devices, 0, sizeof(g->devices));
                memset(g->told, 0, sizeof(g->told));
                g->up = chance(m, 3) != 0;
                g->epoch = EPOCH_BASE + m->w.now_ms -
                           (chance(m, 4) ? 0 : chance(m, EPOCH_BASE)); /* or the clock was set back */
                g->counter = 0;
        } else if (what < 20) {
                g->devices[u] = (uint8_t)chance(m, 16);
                g->active[u] = (uint8_t)chance(m, 2);
        } else if (what == 20) {
                world_pass(&m->w, chance(m, 20000));
        }
}

static void turn(struct model *m)
{
        world_pass(&m->w, 1000);
        for (unsigned i = 0; i < WORLD_GATEWAYS; i++) {
                if (m->w.gateways[i].up)
                        speak(m, i);
        }
        for (unsigned i = 0; i < m->n_wire; i++)
                deliver(m, &m->wire[i]);
        m->n_wire = 0;
}

static void check(struct model *m)
{
        unsigned online = 0;
        char name[8];

        for (unsigned u = 0; u < WORLD_USERS; u++) {
                unsigned devices = 0;
                bool active = false;

                for (unsigned i = 0; i < WORLD_GATEWAYS; i++) {
                        const struct world_gateway *g = &m->w.gateways[i];

                        devices |= g->up ? g->devices[u] : 0;
                        active = active || (g->up && g->devices[u] && g->active[u]);
                }
                (void)snprintf(name, sizeof(name), "u%u", u);
                online += devices != 0;
                assert_int_equal(world_shown(&m->w, name), devices == 0 ? 0 : active ? 1 : 2);
                if (devices)
                        assert_int_equal(world_person(&m->w, name)->shown_devices, devices);
        }
        assert_int_equal(m->w.roster->people.n_online, online);
}

static void test_converges(void **state)
{
        static struct model m;

        (void)state;
        for (unsigned run = 0; run < RUNS; run++) {
                m = (struct model){.seed = run + 1};
                world_init(&m.w);
                for (unsigned i = 0; i < STEPS; i++) {
                        act(&m);
                        if (chance(&m, 3) == 0)
                                turn(&m);
                }
                /* one heartbeat to see what was lost, and 30 s for gateways that are gone, and the grace */
                m.quiet = true;
                for (unsigned i = 0; i < 45; i++)
                        turn(&m);
                check(&m);
                world_done(&m.w);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_converges)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
