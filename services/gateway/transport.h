/* How the core writes to its clients; ws.c implements it with libwebsockets, tests with a list. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room that must lie in front of what is written: the WebSocket header is put there. */
#define TRANSPORT_ROOM 16

enum { TRANSPORT_E_BUSY = 1 };

struct transport {
        /* Writes one WebSocket message. 0: taken, sent or kept by the transport; *ret_kept is what that costs at most, and where it
         * is not 0, session_writable follows once it has left.
         * TRANSPORT_E_BUSY: not now; session_writable follows. -EPIPE: the connection is dead; session_gone follows. */
        int (*write)(void *connection, uint8_t *data, size_t n, bool binary, size_t *ret_kept);
        void (*ping)(void *connection);
        /* Ends the connection with this code once session_writable has nothing more to write; session_gone follows, at the latest
         * after a bound of seconds */
        void (*close)(void *connection, unsigned code, const char *reason);
};
