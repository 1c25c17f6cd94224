/* A bare WebSocket client for load: one non-blocking socket, no library, knows only what a load generator needs. Made for edge-triggered
 * epoll: register the socket once for EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, call wsc_ready for each event. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wsc {
        int fd;                 /* -1: none */
        bool open;              /* the upgrade was answered with 101 */
        bool closed;            /* the server closed, refused or broke it */
        uint16_t close_code;    /* once closed: the code; 1006 without one, as RFC 6455 has it */
        uint64_t frames, bytes; /* data frames that came, and all bytes */
        uint64_t read_ns;       /* when what is handed out was taken out of the socket */
        void *user;
        /* what came in and is not a whole frame yet */
        uint8_t *in;
        size_t in_len, in_cap;
        /* what could not be written yet */
        uint8_t *out;
        size_t out_len, out_cap;
};

/* Payload of one WebSocket message; data is not NUL-terminated and lives until the function returns */
typedef void (*wsc_message)(struct wsc *c, const char *data, size_t n);

/* Begins to connect from 127.0.0.(2 + index % 8) when host is 127.0.0.1, and queues the upgrade; never blocks. target: path and query.
 * protocol: subprotocol, or "" for none. 0 or negative errno (-EINVAL: the request is longer than 8 KB, or host is no address). */
int wsc_connect(struct wsc *c, unsigned index, const char *host, int port, const char *target, const char *protocol);
/* Closes the socket without a word, as a cut network does not: the server sees the end */
void wsc_done(struct wsc *c);
/* Sends one message. The mask is zero, so that its bytes go as they are. What does not fit is kept. 0, or negative errno (-EMSGSIZE: over 65535). */
int wsc_send(struct wsc *c, bool binary, const void *data, size_t n);
/* Writes what was kept, reads all there is and hands out whole messages; pings are answered. At the end c->closed is set.
 * ended: the event had EPOLLRDHUP, EPOLLHUP or EPOLLERR. on_message is called with no data once when the upgrade is answered. */
void wsc_ready(struct wsc *c, bool ended, wsc_message on_message);
/* Data segments that came from the server, as TCP counts them: one for each of its writes (loopback does not split below 64 KB) */
uint64_t wsc_segments(const struct wsc *c);
