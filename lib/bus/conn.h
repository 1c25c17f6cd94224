/* One TCP connection to a nats-server: made by a worker thread, then driven by the loop, and given up when it breaks. Only conn*.c
 * include nats.h.
 *
 * nats.c's own reconnecting is off. Its reconnect thread holds the connection's lock while it connects and waits for the server's
 * greeting (up to the connect timeout, 2 s, each time), and every call of nats.c needs that lock: against a stopped server the loop would
 * stand still. It would also send, after a reconnect, what was published long ago. So a connection lives once; what has to
 * outlive it (subscriptions, the address list) lies in bus.c.
 *
 * nats.c parses on the loop thread (its read event); what it parsed goes two ways:
 *  - acks of stream publishes (everything sent to ack_prefix) lie in a subscription without a thread and are handed on at once, on the
 *    loop: a serial ack takes 50-80 us instead of 120;
 *  - so do messages of direct subscriptions (conn_direct.c);
 *  - everything else goes through nats.c's delivery thread, where headers are parsed, into the inbox.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/inbox.h"
#include "bus/bus.h"

struct conn;
struct conn_sub;

/* An item of the inbox: run is called on the loop, or with drop set when the inbox closes; it frees the item */
struct loop_item {
        struct inbox_item inbox;
        void (*run)(struct loop_item *item, bool drop);
};

struct conn_header {
        const char *name;
        const char *value; /* NULL: not sent */
};

/* What came with a message besides what handlers see */
struct conn_extra {
        const char *subject; /* what it was sent to: our reply subject (bus_msg has Nats-Subject, where there is one) */
        unsigned status;     /* of a status message: 404, 408, 409, 503; else 0 */
        const char *description; /* of a status message, or NULL */
};

struct conn_options {
        uv_loop_t *loop;
        struct inbox *inbox; /* gets struct loop_item */
        unsigned first;      /* which address is tried first, modulo their number; then those behind it */
        const char *url, *name, *user, *password, *tls_ca;
        const char *answers;    /* what to listen to: "_INBOX.<user>.*.<random>.*" */
        const char *ack_prefix; /* "_INBOX.<user>.<random>.a." */
        size_t max_send_bytes;
        /* On the loop. The strings above are copied. */
        void (*opened)(int error, const char *text, void *userdata); /* after an error only `closed` comes */
        void (*answer)(const struct bus_msg *msg, const struct conn_extra *extra, void *userdata);
        void (*refused)(
                void *userdata); /* one of what was sent with ack_prefix found nobody who listens; nats.c does not say which */
        void (*turn_end)(void *userdata); /* after acks */
        void (*broken)(void *userdata);   /* sends nothing, receives nothing any more */
        void (*closed)(void *userdata);   /* the last: the conn is freed after it */
        /* On any thread: a delivery was refused by the inbox, or nats.c dropped one */
        void (*lost)(void *userdata);
        /* On any thread: the server complained (a permission); text is valid during the call only */
        void (*complaint)(const char *text, void *userdata);
        void *userdata;
};

/* Starts to connect. 0, -ENOMEM, negative errno. */
int conn_new(struct conn **ret_conn, const struct conn_options *options);
/* Ends it from any state, without waiting; what waits to be sent is sent if the server takes it within 500 ms. `closed` follows. */
void conn_close(struct conn *c);

/* 0, BUS_E_DISCONNECTED, BUS_E_FULL, BUS_E_REFUSED (larger than the server takes), -ENOMEM, -EINVAL. reply may be NULL. */
int conn_publish(struct conn *c, const char *subject, const char *reply, const struct conn_header *headers,
                 size_t n_headers, const void *data, size_t len);
/* Bytes that nats.c holds because the socket takes no more */
size_t conn_backlog(const struct conn *c);
int conn_subscribe(struct conn *c, const char *subject, const char *queue, bus_handler handler, void *userdata,
                   struct conn_sub **ret_sub);
/* The same without nats.c's delivery thread: handled on the loop after each read. For few and busy subjects. */
int conn_subscribe_direct(struct conn *c, const char *subject, bus_handler handler, void *userdata,
                          struct conn_sub **ret_sub);
/* The handler is not called again. The sub frees itself when nats.c is done with it. */
void conn_unsubscribe(struct conn_sub *sub);
