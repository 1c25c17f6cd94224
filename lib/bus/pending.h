/* What waits for an answer: a table from the number in a reply subject to who asked. Slots are reused, numbers are not.
 * Bounded; the time is an argument; no network. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/wheel.h"
#include "bus/bus.h"

#define PENDING_MAX 262144 /* 27,000 publishes/s that all wait 5 s are half of it; about 35 MB */

struct conn_extra;
struct pending;
/* error 0: an answer. Otherwise msg and extra are NULL and it is the last call. */
typedef void (*pending_func)(struct pending *p, int error, const struct bus_msg *msg, const struct conn_extra *extra);

struct pending {
        struct wheel_timer timer;
        struct pending *prev, *next; /* of those in use, or of the free ones */
        struct pendings *table;
        uint64_t id; /* 0: free */
        bool many;   /* stays after an answer, until pending_end or its time is over */
        bool running, ended;
        bool unknown; /* when the connection breaks nobody knows what became of it: BUS_E_TIMEOUT */
        bool fast;    /* an ack, answered on ack_prefix */
        pending_func func;
        struct bus *bus;
        union {
                bus_reply_handler reply;
                bus_ack_handler ack;
                bus_stream_handler stream;
                bus_done_handler done;
                void (*flushed)(int error, void *userdata);
        } handler;
        void *userdata;
        void *context; /* of func */
};

struct pendings {
        struct wheel *wheel;
        struct pending **chunks;
        size_t n_chunks;
        struct pending *free;
        struct pending in_use; /* head of a circular list */
        size_t n;
        unsigned n_timeouts; /* since somebody asked: what was not answered */
        bool advancing;
};

/* 0, -ENOMEM */
int pendings_init(struct pendings *t, uint64_t now_ms);
void pendings_done(struct pendings *t); /* nothing may be in use */
#define PENDING_FOREVER UINT32_MAX
/* 0, BUS_E_FULL, -ENOMEM. Everything but timer, table and id is zero. */
int pending_add(struct pendings *t, uint64_t now_ms, uint32_t timeout_ms, pending_func func, struct pending **ret);
/* Takes it out without a call; fine from within its func */
void pending_end(struct pending *p);
struct pending *pending_find(struct pendings *t, uint64_t id);
/* Hands an answer to its func */
void pending_answer(struct pending *p, const struct bus_msg *msg, const struct conn_extra *extra);
/* Ends one with an error */
void pending_fail(struct pending *p, int error);
/* Ends all that are there now: BUS_E_TIMEOUT for the unknown ones, error for the others */
void pendings_fail(struct pendings *t, int error);
/* Ends those whose time is over. Returns how many. */
unsigned pendings_advance(struct pendings *t, uint64_t now_ms);

#define PENDING_ID_LEN 16 /* hex digits at most */
/* Writes id in hex; returns the length, without the terminating NUL */
size_t pending_id_format(uint64_t id, char ret[PENDING_ID_LEN + 1]);
/* n hex digits; 0 when they are not */
uint64_t pending_id_parse(const char *s, size_t n);
