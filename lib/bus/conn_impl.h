/* The inside of a connection, for conn*.c only. */
#pragma once

#include <nats/nats.h>
#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "bus/conn.h"

enum conn_state {
        CONN_OPENING, /* a worker connects */
        CONN_OPEN,
        CONN_CLOSING, /* a worker destroys it; the loop still writes what is left */
        CONN_BROKEN,  /* as CONN_CLOSING, after it broke */
};

enum { CONN_TRASH_MAX = 64 };

struct conn {
        struct conn_options options;
        char *strings[7]; /* copies of the options' */
        uint64_t id;      /* for the registry: what nats.c's error thread may still ask for after the end */
        struct conn *next;
        enum conn_state state;
        bool close_wanted; /* while OPENING */

        natsConnection *nc;        /* set by the worker that connects, destroyed by another; see `acks` */
        natsSubscription *answers; /* answers but acks */
        natsSubscription
                *acks; /* to ack_prefix: without a thread. They also keep the memory of nc while the loop uses it. */
        struct loop_item answers_done;
        struct conn_sub *subs,
                *directs; /* with a thread of nats.c, and without (conn_direct.c): the latter are gone through often */
        natsMsg *trash[CONN_TRASH_MAX]; /* loop only: to be released */
        unsigned n_trash;
        size_t trash_bytes;
        unsigned n_subs; /* of both, of which nats.c has not yet said that it is done */
        uv_work_t work;
        bool working;
        int error; /* of connecting */
        char text[160];

        /* The event adapter. nats.c calls its functions with the connection's lock held, from any of its threads. */
        uv_poll_t poll;
        uv_prepare_t prepare; /* writes before the loop waits: no epoll_ctl while the socket takes all */
        uv_async_t kick;      /* another thread changed something below */
        uv_thread_t thread;   /* the loop's */
        int fd;
        int poll_events;
        bool polling, flushing;
        bool ending;        /* the handles are being closed */
        unsigned n_handles; /* that have to be closed before the end */
        pthread_mutex_t lock;
        atomic_bool stopped;    /* nats.c wants the socket closed: the connection is over */
        atomic_bool want_write; /* nats.c has bytes to send */
        bool detached;          /* under lock: nats.c will not call the adapter again */
};

struct conn_sub {
        struct loop_item done; /* posted after the last delivery */
        struct conn *conn;
        struct conn_sub *next, **prev; /* in conn->subs or conn->directs */
        natsSubscription *sub;
        bus_handler handler; /* loop only; NULL: unsubscribed */
        bool direct;         /* conn_direct.c */
        void *userdata;
};

/* conn.c */
void conn_settle(struct conn *c); /* frees it when everything has ended */

/* conn_link.c: the adapter, and reading and writing */
natsStatus conn_attach(void **userdata, void *loop, natsConnection *nc, natsSock fd);
natsStatus conn_want_read(void *userdata, bool add);
natsStatus conn_want_write(void *userdata, bool add);
natsStatus conn_detach(void *userdata);
int conn_link_init(struct conn *c);
void conn_link_close(struct conn *c);
int conn_poll_start(struct conn *c);
void conn_poll_stop(struct conn *c);
bool conn_on_loop(const struct conn *c);
void conn_over(struct conn *c); /* conn.c: the socket is gone */

/* conn_trash.c; on the loop */
void conn_trash_put(struct conn *c, natsMsg *msg); /* takes it over; NULL is fine */
void conn_trash_empty(struct conn *c);

/* conn_msg.c: messages in and out */
int conn_error(natsStatus s);
int conn_answers_start(struct conn *c);
void conn_answers_release(struct conn *c);
unsigned conn_acks_drain(struct conn *c);          /* returns how many */
void conn_view(natsMsg *msg, struct bus_msg *ret); /* everything points into msg */
void conn_sub_link(struct conn *c, struct conn_sub *sub);
void conn_sub_done(struct loop_item *item, bool drop);

/* conn_direct.c */
unsigned conn_direct_drain(struct conn *c); /* returns how many */
void conn_subs_release(struct conn *c);
