/* Gateways, and the way from them to a roster, for tests: messages are lost, come twice, or late. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "presence/roster.h"

#define WORLD_START_S 1700000000
enum { WORLD_GATEWAYS = 4, WORLD_USERS = 12, WORLD_WIRE = 64 };

/* The truth about one gateway, and what it told */
struct world_gateway {
        char id[16];
        uint64_t epoch, counter, told_ms;
        uint8_t devices[WORLD_USERS], active[WORLD_USERS];
        uint8_t told[WORLD_USERS];
        bool up, wanted;
};

struct world {
        struct roster *roster;
        uint64_t now_ms;
        struct world_gateway gateways[WORLD_GATEWAYS];
        unsigned asked;      /* snapshots */
        char stored[16][65]; /* last seen written */
        unsigned n_stored;
};

void world_init(struct world *w);
void world_done(struct world *w);
/* For tests that need no more: a world as *state */
int world_setup(void **state);
int world_teardown(void **state);
void world_pass(struct world *w, uint64_t ms);
/* One message of a gateway with this user; devices 0: gone */
void world_tell(struct world *w, const char *gateway, uint64_t epoch, uint64_t counter, const char *user,
                unsigned devices, bool active);
/* Likewise: of these none is in use, as the one that was has been closed */
void world_left(struct world *w, const char *gateway, uint64_t epoch, uint64_t counter, const char *user,
                unsigned devices);
void world_snapshot(struct world *w, const char *gateway, uint64_t epoch, uint64_t counter, const char *const *users,
                    unsigned n);
void world_member(struct world *w, const char *user,
                  const char *channels); /* "a b -c": -: left; the order does not matter */
const struct person *world_person(struct world *w, const char *user);
/* What others see; offline for one who is not known */
unsigned world_shown(struct world *w, const char *user);
