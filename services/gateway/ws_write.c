#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/ws_impl.h"

_Static_assert(TRANSPORT_ROOM >= LWS_PRE, "libwebsockets' header fits in front of each frame");

/* A client that does not read must be gone after this; one that is closed for that reason hardly begins to read now */
#define CLOSE_WITHIN_S 5
#define CLOSE_SLOW_WITHIN_S 1

static void ws_kill(struct ws_connection *c)
{
        if (c->dead)
                return;
        c->dead = true;
        lws_set_timeout(c->wsi, PENDING_TIMEOUT_KILLED_BY_PARENT, LWS_TO_KILL_ASYNC);
}

/* With permessage-deflate a message may leave in several fragments, which only the library's callback keeps in order. It goes on
 * reading our bytes until the last one has left, and calls again only then. */
static int ws_write_deflated(struct ws_connection *c, const uint8_t *data, size_t n, enum lws_write_protocol kind)
{
        if (!c->in_writeable || c->wrote) {
                ws_ask(c);
                return TRANSPORT_E_BUSY;
        }
        c->deflating = malloc(LWS_PRE + n);
        if (!c->deflating) {
                ws_kill(c);
                return -EPIPE;
        }
        memcpy(c->deflating + LWS_PRE, data, n);
        c->wrote = true;
        if (lws_write(c->wsi, c->deflating + LWS_PRE, n, kind) < 0) {
                ws_kill(c);
                return -EPIPE;
        }
        ws_ask(c);
        return 0;
}

/* Outside of the library's own callbacks, too: one send, no change of what epoll watches. Only when the socket takes no more
 * (the library keeps what is left of a message) it waits for the callback. */
int ws_write(void *connection, uint8_t *data, size_t n, bool binary, size_t *ret_kept)
{
        struct ws_connection *c = connection;
        enum lws_write_protocol kind = binary ? LWS_WRITE_BINARY : LWS_WRITE_TEXT;

        if (c->dead)
                return -EPIPE;
        if (lws_partial_buffered(c->wsi)) {
                ws_ask(c);
                return TRANSPORT_E_BUSY;
        }
        if (c->deflate) {
                int r = ws_write_deflated(c, data, n, kind);

                if (r == 0)
                        *ret_kept = n;
                return r;
        }
        if (lws_write(c->wsi, data, n, kind) < 0) {
                ws_kill(c);
                return -EPIPE;
        }
        *ret_kept = lws_partial_buffered(c->wsi) ? n : 0; /* it does not say how much of it */
        if (*ret_kept)
                ws_ask(c);
        return 0;
}

void ws_ping(void *connection)
{
        struct ws_connection *c = connection;
        uint8_t room[LWS_PRE + 1] = {0}; /* one byte: of an empty pong libwebsockets tells nobody */

        if (c->dead || c->close_code || lws_partial_buffered(c->wsi))
                return; /* it is not silent, it does not read: the queue's limit is for that */
        if (lws_write(c->wsi, room + LWS_PRE, 1, LWS_WRITE_PING) < 0)
                ws_kill(c);
}

void ws_close_connection(void *connection, unsigned code, const char *reason)
{
        struct ws_connection *c = connection;

        if (c->close_code || c->dead)
                return;
        c->close_code = (uint16_t)code;
        c->close_reason = strdup(reason);
        lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_REASON_BASE,
                        code == PARLEY_CLOSE_TOO_SLOW ? CLOSE_SLOW_WITHIN_S : CLOSE_WITHIN_S);
        ws_ask(c);
}

int ws_on_writeable(struct ws_connection *c)
{
        bool empty, asked;

        if (!c->session || c->dead)
                return -1;
        /* The library answers pings without telling, but calls once behind each answer; it calls for nothing else that was
         * not asked for. */
        asked = c->asked;
        c->asked = false;
        if (!asked)
                session_control(c->session);
        free(c->deflating); /* it has left, or this would not be called */
        c->deflating = NULL;
        c->in_writeable = true;
        c->wrote = false;
        empty = session_writable(c->session);
        c->in_writeable = false;
        if (!c->close_code || c->dead)
                return c->dead ? -1 : 0;
        if (!empty || lws_partial_buffered(c->wsi)) {
                ws_ask(c);
                return 0;
        }
        /* Not by -1 from here: where libwebsockets was built without NDEBUG, as Debian 13's is, it then closes twice in a row ("uv
         * repeat test" in its service.c), and the second time drops the close frame that waits to be sent. */
        lws_set_timer_usecs(c->wsi, 0);
        return 0;
}

int ws_on_timer(struct ws_connection *c)
{
        size_t n = c->close_reason ? strlen(c->close_reason) : 0;

        if (!c->session || c->dead || !c->close_code)
                return 0;
        if (lws_partial_buffered(c->wsi)) {
                ws_ask(c);
                return 0;
        }
        lws_close_reason(c->wsi, (enum lws_close_status)c->close_code, (unsigned char *)c->close_reason,
                         n < 123 ? n : 123);
        return -1;
}
