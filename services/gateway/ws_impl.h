/* The inside of ws.h */
#pragma once

#include <libwebsockets.h>

#include "gateway/session.h"
#include "gateway/ws.h"

/* What one connection with permessage-deflate is counted as: the two buffers of libwebsockets and, while a message is being
 * compressed, zlib's state with the window and memory level below */
#define WS_DEFLATE_COST (40 * 1024)
#define WS_DEFLATE_WINDOW "12"
#define WS_DEFLATE_MEM_LEVEL "4"
#define WS_DEFLATE_OUT "14" /* 2 to the power of: one fragment */

struct ws {
        struct lws_context *context;
        struct lws_vhost *vhost;
        struct core *core;
        const struct gateway_config *config;
        size_t receive_bytes; /* incomplete messages of all */
        unsigned n_deflate;
        struct ws_guest *adopting; /* whose upgrade is being handled just now */
};

/* libwebsockets' own memory for each connection */
struct ws_connection {
        struct ws *ws;
        struct lws *wsi;
        struct session *session;
        struct buf receive; /* the beginning of a message; nothing while none is incomplete */
        char *close_reason;
        uint16_t close_code; /* not 0: it is to be closed once all is written */
        bool deflate;
        bool asked;         /* for the library's callback */
        bool in_writeable;  /* the library has just called: it takes a message */
        bool wrote;         /* and has got one */
        uint8_t *deflating; /* a message that the library may not be done with; until its next callback */
        bool dead;
};

/* What the door knows of a connection that is being opened */
struct ws_guest {
        const struct upgrade *upgrade;
        struct address *address;
        bool taken; /* there is a session */
};

int ws_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len);

/* Asks the library to call when it takes a message */
static inline void ws_ask(struct ws_connection *c)
{
        c->asked = true;
        lws_callback_on_writable(c->wsi);
}

/* ws_write.c: struct transport */
int ws_write(void *connection, uint8_t *data, size_t n, bool binary, size_t *ret_kept);
void ws_ping(void *connection);
void ws_close_connection(void *connection, unsigned code, const char *reason);
/* The library can take more; -1: end the connection */
int ws_on_writeable(struct ws_connection *c);
/* All is written; -1: end the connection with its close code */
int ws_on_timer(struct ws_connection *c);
