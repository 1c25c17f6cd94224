/* Listens, reads the request that opens a WebSocket, refuses what must not come in, and hands the rest to ws.h. */
#pragma once

#include "gateway/core.h"
#include "gateway/ws.h"

struct door;
struct ws_tls;

struct door_options {
        const char *setting; /* the name of what listen was set by, for errors */
        const char *listen;  /* "127.0.0.1:8081", "[::]:8081", ":8081" */
        struct ws_tls *tls;  /* NULL: without; outlives the door */
};

/* 0; -EADDRINUSE and other negative errno; ret_error: one line for the log. The options are copied. */
int door_new(struct door **ret_door, uv_loop_t *loop, struct core *core, struct ws *ws,
             const struct door_options *options, char *ret_error, size_t n_error);
/* No new connections; those that have not finished their request are dropped. Frees itself on the loop. */
void door_close(struct door *door);
