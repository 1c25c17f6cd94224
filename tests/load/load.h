/* A client for load: many connections in one process, epoll, and no more work for each event than measuring needs.
 *
 * Open loop: messages are due at fixed times whatever the answers do, and latency is counted from when a message was due. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOAD_BUCKETS 2000

struct load_histogram {
        uint64_t counts[LOAD_BUCKETS];
        uint64_t n, max_us;
};

void histogram_add(struct load_histogram *h, uint64_t us);
uint64_t histogram_percentile(const struct load_histogram *h, double percent);

struct load_options {
        const char *host;
        unsigned port;
        const char *secret, *issuer, *audience;
        const char *mode;    /* idle, fanout */
        const char *user;    /* prefix: USER-1, USER-2, … */
        const char *channel; /* that is sent to */
        unsigned connections, senders;
        double rate; /* messages a second, all senders together */
        double seconds;
        unsigned bytes;    /* of content */
        unsigned sources;  /* addresses 127.0.0.2 and up that connections come from */
        unsigned parallel; /* connections that are being opened at once */
        bool proto;
        bool compress;
        double warmup; /* seconds at the beginning that do not count */
};

enum load_state { LOAD_CONNECTING, LOAD_UPGRADING, LOAD_OPENING, LOAD_READY, LOAD_CLOSED };

struct load_connection {
        struct load *load;
        int fd;
        unsigned number; /* from 1 */
        enum load_state state;
        bool writing; /* waits for the socket */
        bool reading; /* `in` is the buffer of all */
        uint8_t *in;  /* an incomplete message */
        size_t n_in, cap_in;
        uint8_t *out;
        size_t n_out, cap_out;
        uint64_t last_seq; /* of the channel */
        bool known;        /* last_seq is */
        uint64_t asked_ns; /* the connection */
};

struct load {
        struct load_options options;
        int epoll, timer;
        struct load_connection *connections;
        unsigned n_opened, n_opening, n_ready, n_closed;
        unsigned closes[5000]; /* by close code */
        uint64_t started_ns, next_due_ns, interval_ns, stop_ns, measure_ns;
        uint64_t n_sent, n_acked, n_errors, n_events, n_measured, n_breaks, n_duplicates, n_messages, n_bytes;
        uint64_t first_event_ns, last_event_ns;
        uint64_t *due; /* by ref, a ring: when it was due */
        struct load_histogram deliveries, acks, opens;
        char last_error[256];
};

#define LOAD_REFS (1u << 20)

uint64_t load_now_ns(void);
/* load_run.c: 0 when everything went well */
int load_run(struct load *load);
/* load_connection.c */
int connection_open(struct load *load, struct load_connection *c);
void connection_event(struct load_connection *c, uint32_t events);
void connection_send(struct load_connection *c, const void *data, size_t n, bool binary);
void connection_close(struct load_connection *c, unsigned code);
void connection_message(struct load_connection *c, uint64_t due_ns, uint64_t number);
/* load_event.c: one WebSocket message that came */
void load_take(struct load_connection *c, const uint8_t *data, size_t n);
