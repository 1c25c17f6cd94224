/* Who connects and which rooms each is in: a file of lines "USER TOKEN ROOM,ROOM,…" ("-": none), the same for all processes. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define PLAN_MAX_ROOMS 2048 /* of one client */

struct plan_client {
        char *user, *token;
        uint32_t *rooms; /* indexes into plan.rooms */
        unsigned n_rooms;
};

struct plan {
        struct plan_client *clients;
        unsigned n_clients;
        char **rooms;
        unsigned n_rooms;
        void *ids; /* of the rooms, for reading */
};

/* Reads it, or says on standard error what is wrong with it and exits */
void plan_read(struct plan *p, const char *path);
void plan_done(struct plan *p);
/* How many of the first n clients are in each room, for all rooms of the plan; the caller frees it */
uint32_t *plan_audience(const struct plan *p, unsigned n);
