#include "presence_world.h"

#include <stdio.h>
#include <stdlib.h>

static void on_ask(const char *gateway_id, void *userdata)
{
        struct world *w = userdata;

        w->asked++;
        for (unsigned g = 0; g < WORLD_GATEWAYS; g++) {
                if (strcmp(w->gateways[g].id, gateway_id) == 0)
                        w->gateways[g].wanted = true;
        }
}

static void on_store(const char *user_id, void *userdata)
{
        struct world *w = userdata;

        if (w->n_stored < 16)
                (void)snprintf(w->stored[w->n_stored++], 65, "%s", user_id);
}

void world_init(struct world *w)
{
        const struct roster_options options = {.grace_ms = 10000,
                                               .silent_ms = 30000,
                                               .count_ms = 5000,
                                               .list_max = 3,
                                               .gateways_max = 8,
                                               .last_seen = true,
                                               .ask = on_ask,
                                               .store = on_store,
                                               .userdata = w};

        *w = (struct world){.now_ms = 1000};
        assert_int_equal(roster_new(&w->roster, w->now_ms, WORLD_START_S, &options), 0);
        for (unsigned g = 0; g < WORLD_GATEWAYS; g++)
                (void)snprintf(w->gateways[g].id, sizeof(w->gateways[g].id), "gw%u", g);
}

void world_done(struct world *w)
{
        roster_free(w->roster);
}

int world_setup(void **state)
{
        static struct world world;

        world_init(&world);
        *state = &world;
        return 0;
}

int world_teardown(void **state)
{
        world_done(*state);
        return 0;
}

/* As the service does: the clock is read several times a second */
void world_pass(struct world *w, uint64_t ms)
{
        for (uint64_t end = w->now_ms + ms; w->now_ms < end;) {
                w->now_ms += end - w->now_ms < 100 ? end - w->now_ms : 100;
                roster_time(w->roster, w->now_ms, WORLD_START_S + (int64_t)(w->now_ms / 1000));
        }
}

static void fill_user(Parley__V1__GatewayUser *u, Parley__V1__Device *list, const char *user, unsigned devices,
                      bool active)
{
        parley__v1__gateway_user__init(u);
        u->user_id = (char *)user;
        u->devices = list;
        u->active = active;
        for (unsigned d = 0; d < 4; d++) {
                if (devices & (1U << d))
                        list[u->n_devices++] = (Parley__V1__Device)d;
        }
}

static void tell(struct world *w, const char *gateway, uint64_t epoch, uint64_t counter, const char *user,
                 unsigned devices, bool active, bool left)
{
        Parley__V1__GatewayPresence m = PARLEY__V1__GATEWAY_PRESENCE__INIT;
        Parley__V1__Device list[4];
        Parley__V1__GatewayUser u, *users = &u;

        m.gateway_id = (char *)gateway;
        m.epoch = epoch;
        m.counter = counter;
        if (user) {
                fill_user(&u, list, user, devices, active);
                u.left = left;
                m.users = &users;
                m.n_users = 1;
        }
        assert_int_equal(roster_report(w->roster, &m), 0);
}

void world_tell(struct world *w, const char *gateway, uint64_t epoch, uint64_t counter, const char *user,
                unsigned devices, bool active)
{
        tell(w, gateway, epoch, counter, user, devices, active, false);
}

void world_left(struct world *w, const char *gateway, uint64_t epoch, uint64_t counter, const char *user,
                unsigned devices)
{
        tell(w, gateway, epoch, counter, user, devices, false, true);
}

void world_snapshot(struct world *w, const char *gateway, uint64_t epoch, uint64_t counter, const char *const *users,
                    unsigned n)
{
        Parley__V1__GatewayPresence m = PARLEY__V1__GATEWAY_PRESENCE__INIT;
        Parley__V1__Device list[WORLD_USERS][4];
        Parley__V1__GatewayUser u[WORLD_USERS], *pointers[WORLD_USERS];

        for (unsigned i = 0; i < n; i++) {
                fill_user(&u[i], list[i], users[i], 1, true);
                pointers[i] = &u[i];
        }
        m.gateway_id = (char *)gateway;
        m.epoch = epoch;
        m.counter = counter;
        m.users = pointers;
        m.n_users = n;
        m.snapshot = m.first = m.last = true;
        assert_int_equal(roster_report(w->roster, &m), 0);
}

void world_member(struct world *w, const char *user, const char *channels)
{
        Parley__V1__Memberships list = PARLEY__V1__MEMBERSHIPS__INIT;
        Parley__V1__Membership m[16], *pointers[16];
        char copy[256], *rest = copy, *word;

        (void)snprintf(copy, sizeof(copy), "%s", channels);
        list.memberships = pointers;
        while ((word = strtok_r(rest, " ", &rest))) {
                parley__v1__membership__init(&m[list.n_memberships]);
                m[list.n_memberships].role = *word == '-' ? PARLEY__V1__ROLE__none : PARLEY__V1__ROLE__member;
                m[list.n_memberships].channel_id = word + (*word == '-');
                pointers[list.n_memberships] = &m[list.n_memberships];
                list.n_memberships++;
        }
        assert_int_equal(roster_memberships(w->roster, user, &list), 0);
}

const struct person *world_person(struct world *w, const char *user)
{
        return people_find(&w->roster->people, user);
}

unsigned world_shown(struct world *w, const char *user)
{
        const struct person *who = world_person(w, user);

        return who ? who->shown : 0;
}
