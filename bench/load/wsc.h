/* A bare WebSocket client for load: one non-blocking socket, no library, knows only what a load generator needs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wsc {
        int fd;      /* -1: closed */
        bool open;   /* the upgrade was answered */
        bool closed; /* the server closed or broke it */
        uint16_t close_code;
        unsigned index;
        /* what came in and is not a whole frame yet */
        uint8_t *in;
        size_t in_len, in_cap;
        /* what could not be written yet */
        uint8_t *out;
        size_t out_len, out_cap;
        void *user;
};

/* Text of one WebSocket message; data is not NUL-terminated */
typedef void (*wsc_message)(struct wsc *c, const char *data, size_t n);

/* Connects (blocking for the TCP handshake, then non-blocking) from 127.0.0.(2 + index % 8) and sends the upgrade.
 * path holds the query. protocol: subprotocol or NULL. 0 or negative errno. */
int wsc_connect(struct wsc *c, unsigned index, const char *host, int port, const char *path, const char *protocol);
void wsc_done(struct wsc *c);
/* Sends one masked text message (mask 0: the bytes as they are). 0 or negative errno; what does not fit is kept. */
int wsc_send(struct wsc *c, const char *text, size_t n);
int wsc_flush(struct wsc *c);
/* Reads once and hands out whole messages. Returns how many bytes were read (0: nothing there), sets c->closed at the end. */
int64_t wsc_read(struct wsc *c, wsc_message on_message);
