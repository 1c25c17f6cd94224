/* What comes in, and the life of a connection. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "gateway/stats.h"
#include "gateway/ws_impl.h"

static enum encoding guest_encoding(const struct upgrade *u)
{
        return u->protocol == UPGRADE_PROTO ? ENCODING_PROTO : ENCODING_JSON;
}

static void connection_deflate(struct ws_connection *c)
{
        c->deflate = true;
        c->ws->n_deflate++;
        /* the library mixes up both sides' windows where it does not listen itself: this one is ours */
        lws_set_extension_option(c->wsi, "permessage-deflate", "client_max_window_bits", WS_DEFLATE_WINDOW);
        lws_set_extension_option(c->wsi, "permessage-deflate", "mem_level", WS_DEFLATE_MEM_LEVEL);
        lws_set_extension_option(c->wsi, "permessage-deflate", "tx_buf_size", WS_DEFLATE_OUT);
}

static int connection_open(struct lws *wsi, struct ws_connection *c, struct ws *ws)
{
        struct ws_guest *guest = ws->adopting;
        struct session_options options;

        if (!guest)
                return -1;
        *c = (struct ws_connection){.ws = ws, .wsi = wsi};
        buf_init(&c->receive, ws->config->max_frame_bytes);
        options = (struct session_options){
                .connection = c,
                .encoding = guest_encoding(guest->upgrade),
                .plain = guest->upgrade->protocol <= UPGRADE_PLAIN,
                .address = guest->address,
        };
        core_time(ws->core);
        if (session_new(&c->session, ws->core, &options))
                return -1;
        guest->taken = true;
        if (guest->upgrade->deflate)
                connection_deflate(c);
        if (guest->upgrade->token)
                session_authenticate(c->session, guest->upgrade->token, 0);
        return 0;
}

static void receive_done(struct ws_connection *c)
{
        c->ws->receive_bytes -= c->receive.cap;
        buf_done(&c->receive);
        buf_init(&c->receive, c->ws->config->max_frame_bytes);
        metric_set(&stat_receive_bytes, (double)c->ws->receive_bytes);
}

static void connection_closed(struct ws_connection *c)
{
        if (!c->session)
                return;
        receive_done(c);
        if (c->deflate)
                c->ws->n_deflate--;
        core_time(c->ws->core);
        session_gone(c->session);
        c->session = NULL;
        free(c->close_reason);
        c->close_reason = NULL;
        free(c->deflating);
        c->deflating = NULL;
}

/* Keeps the beginning of a message: only what has come costs memory, whatever length was announced */
static bool receive_keep(struct ws_connection *c, const void *in, size_t len)
{
        struct ws *ws = c->ws;
        size_t before = c->receive.cap;
        int r = ws->receive_bytes + len > ws->config->max_receive_bytes ? -ENOMEM : buf_append(&c->receive, in, len);

        ws->receive_bytes += c->receive.cap - before;
        metric_set(&stat_receive_bytes, (double)ws->receive_bytes);
        if (r == BUF_E_FULL)
                session_fail(c->session, 0, PARLEY_TOO_LARGE, PARLEY_CLOSE_PROTOCOL_ERROR, "the message is too large");
        else if (r)
                session_fail(c->session, 0, PARLEY_UNAVAILABLE, PARLEY_CLOSE_TRY_AGAIN_LATER,
                             "too many incomplete messages");
        return r == 0;
}

static int connection_receive(struct ws_connection *c, const void *in, size_t len)
{
        bool whole = lws_is_final_fragment(c->wsi) && lws_remaining_packet_payload(c->wsi) == 0;
        bool binary = lws_frame_is_binary(c->wsi);

        if (!c->session || c->close_code)
                return 0;
        if (len == 0 && !whole) {
                session_control(c->session); /* an empty fragment, of which a message may have any number */
                return 0;
        }
        if (whole && c->receive.len == 0) {
                session_receive(c->session, in, len, binary);
                return 0;
        }
        if (!receive_keep(c, in, len) || !whole) {
                if (c->close_code)
                        receive_done(c);
                return 0;
        }
        session_receive(c->session, c->receive.data, c->receive.len, binary);
        receive_done(c);
        return 0;
}

int ws_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
        struct ws_connection *c = user;

        switch (reason) {
        case LWS_CALLBACK_ESTABLISHED:
                return connection_open(wsi, c, lws_context_user(lws_get_context(wsi)));
        case LWS_CALLBACK_RECEIVE:
                return connection_receive(c, in, len);
        case LWS_CALLBACK_RECEIVE_PONG:
                if (c->session)
                        session_pong(c->session);
                return 0;
        case LWS_CALLBACK_SERVER_WRITEABLE:
                return ws_on_writeable(c);
        case LWS_CALLBACK_TIMER:
                return ws_on_timer(c);
        case LWS_CALLBACK_CLOSED:
                connection_closed(c);
                return 0;
        default:
                return 0;
        }
}
