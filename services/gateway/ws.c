#include "gateway/ws.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "base/log.h"
#include "gateway/pack.h"
#include "gateway/ws_impl.h"

/* What is read from a connection at once. The library keeps such a buffer for each one: most client frames fit, larger ones come in pieces. */
#define WS_RECEIVE_BYTES 512
/* The largest piece that is given to the socket at once; a batch fits in whole */
#define WS_SEND_BYTES (PACK_MAX_BYTES * 2)

#define PROTOCOL(n)                                                                                                    \
        {                                                                                                              \
                .name = (n), .callback = ws_callback, .per_session_data_size = sizeof(struct ws_connection),           \
                .rx_buffer_size = WS_RECEIVE_BYTES, .tx_packet_size = WS_SEND_BYTES                                    \
        }

static const struct lws_protocols ws_protocols[] = {
        PROTOCOL("parley.v1.plain"), /* the first is taken where none was asked for */
        PROTOCOL("parley.v1.json"),
        PROTOCOL("parley.v1.proto"),
        LWS_PROTOCOL_LIST_TERM,
};

static const struct lws_extension ws_extensions[] = {
        {"permessage-deflate", lws_extension_callback_pm_deflate, "permessage-deflate"},
        {NULL, NULL, NULL},
};

/* No keep-alive of the library's own: the sessions have theirs */
static const lws_retry_bo_t ws_no_validity = {.secs_since_valid_ping = 0, .secs_since_valid_hangup = 0};

int ws_new(struct ws **ret_ws, uv_loop_t *loop, const struct gateway_config *config, struct transport *ret_transport)
{
        struct ws *ws = calloc(1, sizeof(*ws));
        void *loops[] = {loop};
        struct lws_context_creation_info info = {
                .port = CONTEXT_PORT_NO_LISTEN_SERVER,
                .protocols = ws_protocols,
                .extensions = ws_extensions,
                .foreign_loops = loops,
                .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
                .user = ws,
                .gid = (gid_t)-1,
                .uid = (uid_t)-1,
                .retry_and_idle_policy = &ws_no_validity,
                .vhost_name = "parley",
                .max_http_header_pool = 16,
        };

        if (!ws)
                return -ENOMEM;
        lws_set_log_level(0, NULL); /* it takes every adopted connection for an error */
        ws->config = config;
        ws->context = lws_create_context(&info);
        if (ws->context)
                ws->vhost = lws_create_vhost(ws->context, &info);
        if (!ws->vhost) {
                if (ws->context)
                        lws_context_destroy(ws->context);
                free(ws);
                return -EIO;
        }
        *ret_transport = (struct transport){.write = ws_write, .ping = ws_ping, .close = ws_close_connection};
        *ret_ws = ws;
        return 0;
}

void ws_start(struct ws *ws, struct core *core)
{
        ws->core = core;
}

int ws_adopt(struct ws *ws, int fd, const struct upgrade *upgrade, const struct buf *head, struct address *address)
{
        struct ws_guest guest = {.upgrade = upgrade, .address = address};

        /* the whole request is there: the library handles it before this returns */
        ws->adopting = &guest;
        if (!lws_adopt_socket_vhost_readbuf(ws->vhost, fd, (const char *)head->data, head->len) && !guest.taken)
                log_debug("a connection ended while it was opened");
        ws->adopting = NULL;
        return guest.taken ? 0 : -EPIPE;
}

bool ws_deflate_left(const struct ws *ws)
{
        return (uint64_t)(ws->n_deflate + 1) * WS_DEFLATE_COST <= ws->config->deflate_budget_bytes;
}

void ws_close(struct ws *ws)
{
        lws_context_destroy(ws->context);
}

void ws_free(struct ws *ws)
{
        if (!ws)
                return;
        /* with a loop that is not its own the library frees the rest only when asked again, after its handles are closed */
        lws_context_destroy(ws->context);
        free(ws);
}
