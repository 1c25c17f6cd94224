/* What presence says over NATS: changes, and answers to rpc.presence.*. Of several instances one speaks (leader.h). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "parley/v1/presence.pb-c.h"

struct bus;
struct roster;
struct voice;

struct voice_options {
        struct bus *bus;
        struct roster *roster;
        const char *instance;     /* comes first in the order of all that have started earlier */
        uint32_t status_per_hour; /* of one user; 0: no limit */
        uint32_t status_burst;
        /* Called before the roster is touched: it reads the clock */
        void (*before)(void *userdata);
        /* There are answers to go on with: voice_answer_some is to be called in the turns of the loop that follow */
        void (*more)(void *userdata);
        void *userdata;
};

int voice_new(struct voice **ret_voice, const struct voice_options *options);
/* Hears and answers no more; before the bus is closed */
void voice_stop(struct voice *v);
/* After it: what is being written calls back until then */
void voice_free(struct voice *v);
/* NATS is there (again): all gateways are asked for snapshots, and we are silent until they have answered,
 * or were waited for (roster_known) */
void voice_connected(struct voice *v);
/* NATS is away */
void voice_deaf(struct voice *v);
/* NATS dropped messages: all gateways are asked */
void voice_lost(struct voice *v);
/* roster_time says that we stood still: we are silent until it is known again what there is */
void voice_doubt(struct voice *v);
/* Regularly: says what has changed. ready: all is known, but for gateways that do not answer. */
void voice_tick(struct voice *v, bool ready);
bool voice_leading(const struct voice *v);
/* We spoke, or heard another one speak, at some time: before that a gateway that asks has nobody to ask */
bool voice_begun(const struct voice *v);
/* Goes on with an answer. False: there is no more to do. */
bool voice_answer_some(struct voice *v);
/* A snapshot of one gateway is wanted */
void voice_ask(struct voice *v, const char *gateway_id);
/* A user's record is to be written, soon */
void voice_store(struct voice *v, const char *user_id);

/* Sets a status durably, behind whatever else is written of the user. done is called once, maybe at once; error: PARLEY_OK, or with why in words and, for the rate, how long to wait. */
typedef void (*voice_status_done)(int code, const char *why, uint32_t retry_ms, void *userdata);
void voice_set_status(struct voice *v, const char *user_id, const Parley__V1__Status *status, voice_status_done done,
                      void *userdata);
