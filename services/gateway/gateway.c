#include "gateway/gateway.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <uv.h>

#include "auth/auth.h"
#include "auth/jwks.h"
#include "auth/open.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/turn.h"
#include "gateway/bus_link.h"
#include "gateway/core.h"
#include "gateway/digest.h"
#include "gateway/here.h"
#include "gateway/stats.h"
#include "gateway/ws.h"
#include "gateway/ws_door.h"
#include "gateway/ws_tls.h"
#include "http/http.h"

#define TICK_MS 50
/* WebSocket messages that one turn writes; the rest follows in the next, so that what comes in meanwhile is not kept waiting */
#define WRITES_PER_TURN 1024
/* Of the sessions that are due to be told of presence the TELL_SHARE-th part is told in TELL_EVERY_MS, and TELL_LEAST more: each is a write, and a client
 * that wakes up. All that are due in a tick of 50 ms at once would keep both of two cores from the messages meanwhile. A loop that nothing else
 * turns is turned for them, after TELL_TURN_MS. */
#define TELL_EVERY_MS 2
#define TELL_TURN_MS 4
#define TELL_SHARE 16
#define TELL_LEAST 2
/* When these are many: while one turn has taken no longer than TELL_NS for writing it goes on to tell TELL_STEP more (fewer where whole sets or channels
 * are told): a message waits for no more than that and a step, a third of a millisecond, and 10,000 sessions are told within some tenths of a second. */
#define TELL_NS 250000
#define TELL_STEP 8
/* How long the answers of the admin port may take at the end */
#define ADMIN_GRACE_MS 500

struct gateway {
        const struct gateway_config *config;
        uv_loop_t loop;
        uv_timer_t tick, pace;
        unsigned to_tell;  /* until paced_ms + TELL_EVERY_MS */
        uint64_t paced_ms; /* of the loop's clock */
        struct turn *turn;
        uv_check_t check;
        uv_prepare_t spare;
        uv_idle_t busy; /* keeps the loop turning while something is left to write */
        struct signals signals;
        struct auth *auth;
        struct jwks *jwks;
        struct upstream upstream;
        struct transport transport;
        struct bus_link *link;
        struct ws *ws;
        struct ws_tls *tls; /* NULL: without */
        struct core *core;
        struct door *door, *tls_door;
        struct http_server *admin;
        bool stopping;
};

static void gateway_clock(uint64_t *ret_now_ns, int64_t *ret_wall_ns)
{
        struct timespec wall;

        clock_gettime(CLOCK_REALTIME, &wall);
        *ret_now_ns = uv_hrtime();
        *ret_wall_ns = wall.tv_sec * INT64_C(1000000000) + wall.tv_nsec;
}

/* --- turns of the loop --- */

static void on_busy(uv_idle_t *handle)
{
        (void)handle; /* that it is active is enough */
}

static void on_pace(uv_timer_t *timer)
{
        (void)timer; /* that the loop turns is enough */
}

static void pace(struct gateway *g)
{
        unsigned due = core_due(g->core);
        bool next = uv_now(&g->loop) - g->paced_ms >= TELL_EVERY_MS;

        if (next) {
                g->paced_ms = uv_now(&g->loop);
                g->to_tell = due ? due / TELL_SHARE + TELL_LEAST : 0;
        }
        if (due && (next || !uv_is_active((uv_handle_t *)&g->pace)))
                uv_timer_start(&g->pace, on_pace, TELL_TURN_MS, 0);
}

/* True: something is left for the next turn */
static bool write_some(struct gateway *g)
{
        uint64_t began_ns = uv_hrtime();
        unsigned due, step;
        bool writing;

        pace(g);
        do {
                step = g->to_tell < TELL_STEP ? g->to_tell : TELL_STEP;
                g->to_tell -= step;
                due = step ? core_tell(g->core, step) : 0;
                writing = core_flush(g->core, WRITES_PER_TURN);
        } while (due && g->to_tell && !writing && uv_hrtime() - began_ns < TELL_NS);
        return writing || (due && g->to_tell);
}

static void on_check(uv_check_t *handle)
{
        struct gateway *g = handle->data;

        if (write_some(g))
                uv_idle_start(&g->busy, on_busy);
        else
                uv_idle_stop(&g->busy);
}

/* Behind what sends to NATS, which is started anew for each turn that has something to send: the last to be started is the first to be called */
static void on_spare(uv_prepare_t *handle)
{
        struct gateway *g = handle->data;

        core_foresee(g->core);
}

static void gateway_stop(struct gateway *g);

/* Nobody comes in any more */
static void gateway_shut(struct gateway *g)
{
        door_close(g->door);
        door_close(g->tls_door);
        g->door = g->tls_door = NULL;
}

static void on_tick(uv_timer_t *handle)
{
        struct gateway *g = handle->data;

        core_tick(g->core);
        metric_set(&stat_send_backlog, (double)bus_link_backlog(g->link));
        if (core_drained(g->core) && !g->stopping) {
                here_leave(g->core);
                alive_send(g->core); /* or a removal would wait for us in vain */
                gateway_stop(g);
        }
}

static void on_signal(int signum, void *userdata)
{
        struct gateway *g = userdata;

        log_info("stopping", LOG_S("signal", strsignal(signum)), LOG_U("connections", g->core->n_sessions));
        core_time(g->core);
        core_drain(g->core);
        gateway_shut(g);
}

/* --- keys --- */

static void on_refresh_keys(void *userdata)
{
        struct gateway *g = userdata;

        jwks_refresh(g->jwks);
}

static void on_keys(int error, const char *text, void *userdata)
{
        struct gateway *g = userdata;

        if (error)
                log_warn("the key set cannot be fetched", LOG_S("error", text));
        if (g->core) {
                core_time(g->core);
                core_keys_changed(g->core);
        }
}

/* --- building --- */

static int gateway_auth(struct gateway *g)
{
        char error[256];
        int r = auth_open(&g->auth, &g->jwks, &g->loop, &g->config->auth, on_keys, g, error, sizeof(error));

        if (r)
                log_error(error);
        return r;
}

static bool gateway_ready(struct buf *out, void *userdata)
{
        struct gateway *g = userdata;
        const struct core *core = g->core;
        bool streams = true;

        for (uint32_t i = 0; i < g->config->shards; i++)
                streams &= core->shards[i].known;
        if (http_ready_flag(out, "nats", g->upstream.connected(g->upstream.self)) ||
            http_ready_flag(out, "streams", streams) || http_ready_flag(out, "channels", core->everyone_known) ||
            http_ready_flag(out, "accepting", !core->draining))
                return false;
        if (g->tls && http_ready_flag(out, "certificate", ws_tls_not_after(g->tls) > core_wall_s(core)))
                return false; /* what has run out is said, and alerted of: sessions go on with it */
        for (uint32_t i = 0; i < g->config->shards; i++)
                if (*core->shards[i].trouble && http_ready_text(out, "shard", i, core->shards[i].trouble))
                        break; /* there are more than the answer has room for */
        return core_ready(core);
}

static int gateway_admin(struct gateway *g)
{
        struct http_admin_options options = {
                .loop = &g->loop, .listen = g->config->admin_listen, .ready = gateway_ready, .userdata = g};
        int r = http_admin_new(&g->admin, &options);

        if (r)
                log_error("cannot listen for health and metrics", LOG_S("listen", g->config->admin_listen),
                          LOG_S("error", strerror(-r)));
        return r;
}

static int gateway_core(struct gateway *g)
{
        struct core_options options = {
                .config = g->config,
                .upstream = g->upstream,
                .transport = g->transport,
                .auth = g->auth,
                .refresh_keys = g->jwks ? on_refresh_keys : NULL,
                .userdata = g,
                .clock = gateway_clock,
        };

        return core_new(&g->core, &options);
}

/* With TLS there are two: what stands between clients and gateway on the same machine needs none */
static int gateway_doors(struct gateway *g)
{
        struct door_options plain = {.setting = "PARLEY_LISTEN", .listen = g->config->listen};
        struct door_options tls = {.setting = "PARLEY_TLS_LISTEN", .listen = g->config->tls_listen};
        char error[512];
        int r = 0;

        if (g->config->tls_cert_file)
                r = ws_tls_new(&g->tls, &g->loop, g->core, error, sizeof(error));
        tls.tls = g->tls;
        if (r == 0 && g->tls)
                r = door_new(&g->tls_door, &g->loop, g->core, g->ws, &tls, error, sizeof(error));
        if (r == 0)
                r = door_new(&g->door, &g->loop, g->core, g->ws, &plain, error, sizeof(error));
        if (r)
                log_error(error);
        return r;
}

static int gateway_build(struct gateway *g)
{
        int r = gateway_auth(g);

        if (r)
                return r;
        r = bus_link_new(&g->link, &g->loop, g->config, &g->upstream);
        if (r) {
                log_error("PARLEY_NATS_URL cannot be used", LOG_S("error", strerror(-r))); /* it may hold a password */
                return r;
        }
        r = ws_new(&g->ws, &g->loop, g->config, &g->transport);
        if (r == 0)
                r = gateway_core(g);
        if (r == 0)
                r = bus_link_start(g->link, g->core);
        if (r) {
                log_error("cannot start", LOG_S("error", strerror(-r)));
                return r;
        }
        ws_start(g->ws, g->core);
        r = gateway_doors(g);
        if (r)
                return r;
        return gateway_admin(g);
}

/* --- taking apart --- */

static void on_link_closed(void *userdata)
{
        (void)userdata; /* the loop ends by itself when nothing is left on it */
}

static void on_admin_closed(void *userdata)
{
        struct gateway *g = userdata;

        g->admin = NULL;
}

/* Closes every handle; uv_run returns when all are closed */
static void gateway_stop(struct gateway *g)
{
        g->stopping = true;
        gateway_shut(g);
        if (g->admin)
                http_server_close(g->admin, ADMIN_GRACE_MS, on_admin_closed, g);
        if (g->ws)
                ws_close(g->ws);
        ws_tls_close(g->tls);
        if (g->link)
                bus_link_close(g->link, on_link_closed, g);
        if (g->jwks)
                jwks_close(g->jwks);
        uv_close((uv_handle_t *)&g->tick, NULL);
        uv_close((uv_handle_t *)&g->pace, NULL);
        turn_close(g->turn);
        uv_close((uv_handle_t *)&g->check, NULL);
        uv_close((uv_handle_t *)&g->spare, NULL);
        uv_close((uv_handle_t *)&g->busy, NULL);
        signals_close(&g->signals);
}

static void gateway_handles(struct gateway *g)
{
        uv_timer_init(&g->loop, &g->tick);
        uv_timer_init(&g->loop, &g->pace);
        uv_check_init(&g->loop, &g->check);
        uv_prepare_init(&g->loop, &g->spare);
        uv_idle_init(&g->loop, &g->busy);
        signals_init(&g->signals, &g->loop);
        g->tick.data = g->check.data = g->spare.data = g;
}

static int gateway_handles_start(struct gateway *g)
{
        int r = signals_start(&g->signals, on_signal, g);

        if (r) {
                log_error("SIGTERM and SIGINT cannot be listened for", LOG_S("why", uv_strerror(r)));
                return r;
        }
        uv_timer_start(&g->tick, on_tick, TICK_MS, TICK_MS);
        uv_check_start(&g->check, on_check);
        uv_prepare_start(&g->spare, on_spare);
        return 0;
}

/* A descriptor for each connection, and some for the rest; the library's tables grow with it */
static void gateway_descriptors(const struct gateway_config *config)
{
        struct rlimit limit;
        rlim_t want = config->max_connections * (config->tls_cert_file ? 3 : 1) + 4096; /* a socket, and a pair */

        if (getrlimit(RLIMIT_NOFILE, &limit))
                return;
        limit.rlim_cur = limit.rlim_max == RLIM_INFINITY || want < limit.rlim_max ? want : limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < want)
                log_info("fewer descriptors than PARLEY_MAX_CONNECTIONS", LOG_U("descriptors", limit.rlim_cur));
}

int gateway_run(const struct gateway_config *config)
{
        struct gateway g = {.config = config};
        int r;

        signal(SIGPIPE, SIG_IGN);
        gateway_descriptors(config);
        stats_register();
        r = uv_loop_init(&g.loop);
        if (r)
                return r;
        gateway_handles(&g);
        r = turn_measure(&g.turn, &g.loop, "gateway");
        if (r == 0)
                r = gateway_build(&g);
        if (r == 0)
                r = gateway_handles_start(&g);
        if (r == 0) {
                log_info("listening", LOG_S("listen", config->listen), LOG_S("admin", config->admin_listen),
                         LOG_S("gateway", g.core->id));
        } else {
                gateway_stop(&g);
        }
        uv_run(&g.loop, UV_RUN_DEFAULT);
        ws_free(g.ws);
        ws_tls_free(g.tls);
        core_free(g.core);
        bus_link_free(g.link);
        auth_free(g.auth);
        if (uv_loop_close(&g.loop))
                log_warn("handles are left on the loop");
        if (r == 0)
                log_info("stopped");
        return r;
}
