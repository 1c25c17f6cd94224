/* The inside of the bus, for lib/bus only. */
#pragma once

#include <stdatomic.h>
#include <uv.h>

#include "bus/bus.h"
#include "bus/conn.h"
#include "bus/pending.h"

/* Bytes of the user's name in a subject: longer ones are cut. Room for a subject of an answer. */
enum { BUS_USER_MAX = 64, BUS_REPLY_MAX = BUS_USER_MAX + 96 };

struct bus_sub {
        struct bus *bus;
        struct bus_sub *next, **prev;
        char *subject, *queue;
        bool direct;
        bus_handler handler;
        void *userdata;
        struct conn_sub *wire; /* on the connection of now; NULL without one */
};

/* health.c: whether JetStream can be reached by way of the server that this is connected to. Only where there are several. */
struct health {
        uv_timer_t timer;
        struct pending *probe; /* under way */
        unsigned failed;       /* probes in a row */
};

struct bus {
        struct bus_options options; /* strings are copies */
        char *strings[5];
        char random[25];                      /* hex digits */
        char inbox_prefix[BUS_USER_MAX + 10]; /* "_INBOX.<user>." */
        char answers[BUS_USER_MAX + 40];      /* "_INBOX.<user>.*.<random>.*": all answers but acks */
        char ack_prefix[BUS_USER_MAX + 40];   /* "_INBOX.<user>.<random>.a." */
        char consumer_prefix[32];             /* "parley-<random>-" */
        struct inbox *inbox;
        struct conn *conn; /* connecting or open; NULL between two tries */
        bool connected;
        unsigned n_conns;  /* that are not yet freed */
        unsigned attempts; /* since the last connection */
        unsigned first;    /* which of the servers is tried first */
        struct health health;
        struct bus_sub *subs;
        struct bus_reader *readers;
        struct pendings pendings;
        struct {
                unsigned in_flight; /* pendings that are `fast` */
                unsigned refused;   /* of which so many found no stream */
                bool uncertain;     /* one of them ended otherwise: the rest cannot be told apart */
                bool resolving;
        } acks;
        uv_timer_t ticker; /* drives the pendings; runs while there are any */
        uv_timer_t retry;
        struct loop_item loss, finish;
        atomic_bool loss_posted;
        bool closing, finished;
        void (*done)(void *userdata);
        void *done_userdata;
};

/* bus.c: gives the connection up, and tries the next server */
void bus_leave(struct bus *bus, const char *why);

/* health.c */
void health_init(struct bus *bus);
void health_connected(struct bus *bus);
void health_disconnected(struct bus *bus);

/* bus_metrics.c: what every service says of its connection. Loop thread. */
void bus_metrics_register(void);
void bus_metrics_connected(void);
void bus_metrics_disconnected(void);
void bus_metrics_loss(void);
void bus_metrics_timeouts(unsigned n);
void bus_metrics_hole(void);

/* names.c */
void names_make(struct bus *bus);
/* Where the answer to a request is to go; id: of the pending */
void names_reply(const struct bus *bus, const char *subject, uint64_t id, char ret[BUS_REPLY_MAX]);

/* request.c */
struct request {
        const char *subject;
        const struct conn_header *headers;
        size_t n_headers;
        const void *data;
        size_t len;
        uint32_t timeout_ms; /* 0: the default */
        bool fast;           /* answered on ack_prefix */
};
/* Adds a pending and sends. On success *ret may be filled in by the caller before it returns to the loop. */
int request_send(struct bus *bus, const struct request *r, pending_func func, struct pending **ret);
/* Publishes with an answer to an existing pending */
int request_publish(struct bus *bus, const struct request *r, const struct pending *p);
void request_on_answer(const struct bus_msg *msg, const struct conn_extra *extra, void *userdata);
void request_on_refused(void *userdata);
/* BUS_E_* of a status message, or 0 */
int request_status(const struct bus_msg *msg, const struct conn_extra *extra);
/* A publish to a stream with any headers; trace_id and msg_id may be NULL */
int request_ack(struct bus *bus, const struct request *r, bus_ack_handler handler, void *userdata);

/* stream_get.c: the first message at or above min_seq, from the leader. *ret: to end it sooner */
int stream_first(struct bus *bus, const char *stream, uint64_t min_seq, bus_reply_handler handler, void *userdata,
                 struct pending **ret);

/* stream.c: removes what is below below_seq of one subject, which needs no escaping */
int stream_purge_subject(struct bus *bus, const char *stream, const char *subject, uint64_t below_seq,
                         bus_done_handler handler, void *userdata);

/* reader.c */
void readers_connected(struct bus *bus);
void readers_broken(struct bus *bus);
void readers_close(struct bus *bus);
