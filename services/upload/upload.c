#include "upload/upload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "auth/auth.h"
#include "auth/jwks.h"
#include "base/log.h"
#include "base/service.h"
#include "base/signals.h"
#include "base/turn.h"
#include "bus/bus.h"
#include "upload/buckets.h"
#include "upload/local_store.h"
#include "upload/quota.h"
#include "upload/reconcile.h"
#include "upload/releases.h"
#include "upload/rest.h"
#include "upload/s3_store.h"
#include "upload/sniffer.h"
#include "upload/sweeper.h"
#include "upload/upload_metrics.h"

/* Users, or addresses, whose rate is remembered; about 150 bytes each */
enum { RATE_ENTRIES = 20000 };

struct upload {
        uv_loop_t *loop;
        const struct upload_config *config;
        struct env env;
        struct auth *auth;
        struct rest rest;
        struct buckets buckets;
        struct sweeper *sweeper;
        struct releases *releases;
        struct reconcile *reconcile;
        struct http_server *http, *admin;
        struct signals signals;
        uv_timer_t second;
        struct turn *turn;
        uint64_t next_sweep_ms;
        unsigned n_parts; /* that are being closed */
        bool stopping, http_closed, closing;
};

/* --- what the parts say --- */

static void on_bus_connected(void *userdata)
{
        struct upload *u = userdata;

        log_info("connected to NATS");
        u->env.buckets_there = false; /* another server, perhaps, or one that lost its store */
        if (u->stopping)
                return;
        buckets_ensure(&u->buckets);
        releases_connected(u->releases);
}

static void on_bus_disconnected(void *userdata)
{
        (void)userdata;
        log_warn("the connection to NATS is lost");
}

static void on_bus_error(const char *text, void *userdata)
{
        (void)userdata;
        log_warn("NATS", LOG_S("why", text));
}

static void on_jwks(int error, const char *text, void *userdata)
{
        (void)userdata;
        if (error)
                log_warn("the key set cannot be fetched", LOG_S("why", text));
}

static bool on_ready(struct buf *out, void *userdata)
{
        const struct upload *u = userdata;
        bool nats = bus_connected(u->env.bus), store = u->env.store->ops->ready(u->env.store);

        if (u->stopping) {
                (void)http_ready_flag(out, "running", false);
                return false;
        }
        if (http_ready_flag(out, "nats", nats) || http_ready_flag(out, "buckets", u->env.buckets_there) ||
            http_ready_flag(out, "store", store))
                return false;
        return nats && u->env.buckets_there && store;
}

static void on_second(uv_timer_t *timer)
{
        struct upload *u = timer->data;

        if (u->stopping)
                return;
        buckets_ensure(&u->buckets);
        reconcile_tick(u->reconcile);
        if (!upload_config_s3(u->config)) {
                local_transfers_look((struct local_store *)u->env.store);
                local_reads_look((struct local_store *)u->env.store);
        }
        if (uv_now(u->loop) < u->next_sweep_ms)
                return;
        u->next_sweep_ms = uv_now(u->loop) + u->config->sweep_s * 1000;
        sweeper_run(u->sweeper);
}

/* --- stopping, in the reverse order: who asks, what they use --- */

static void part_closed(void *userdata)
{
        struct upload *u = userdata;

        if (--u->n_parts)
                return;
        signals_close(&u->signals);
        uv_close((uv_handle_t *)&u->second, NULL);
        turn_close(u->turn);
}

static void close_parts(struct upload *u)
{
        if (!u->http_closed || u->env.n_running || u->closing)
                return;
        u->closing = true;
        u->n_parts = 3;
        sniffer_free(u->env.sniffer);
        u->env.store->ops->close(u->env.store, part_closed, u);
        bus_close(u->env.bus, part_closed, u);
        http_server_close(u->admin, 0, part_closed, u);
}

static void on_http_closed(void *userdata)
{
        struct upload *u = userdata;

        u->http_closed = true;
        sniffer_stop(u->env.sniffer); /* who is left has no connection any more */
        close_parts(u);
}

static void on_idle(struct env *env)
{
        close_parts((struct upload *)((char *)env - offsetof(struct upload, env)));
}

static void on_signal(int number, void *userdata)
{
        struct upload *u = userdata;

        if (u->stopping)
                return;
        log_info("stopping", LOG_I("signal", number));
        u->stopping = true;
        u->env.on_idle = on_idle;
        sweeper_stop(u->sweeper);
        releases_stop(u->releases);
        reconcile_stop(u->reconcile);
        jwks_close(u->rest.jwks);
        u->rest.jwks = NULL;
        http_server_close(u->http, (uint32_t)u->config->drain_ms, on_http_closed, u);
}

/* --- starting --- */

static int open_auth(struct upload *u)
{
        char error[256];
        int r = auth_open(&u->auth, &u->rest.jwks, u->loop, &u->config->auth, on_jwks, u, error, sizeof(error));

        if (r < 0)
                log_error(error);
        return r;
}

static int open_s3(struct upload *u)
{
        int r = store_s3_new(&u->env.store, &u->env);

        if (r == -ENOTSUP)
                log_error(
                        "this libcurl looks up names in a way that blocks: one with a threaded resolver, or c-ares, is needed");
        else if (r < 0)
                log_error("the store in S3 cannot be used", LOG_S("setting", "PARLEY_S3_CA"),
                          LOG_S("value", u->config->s3.ca), LOG_S("why", strerror(-r)));
        return r;
}

static int open_store(struct upload *u)
{
        const struct sniffer_options options = {.loop = u->loop,
                                                .max = (unsigned)u->config->max_checks,
                                                .max_owner = (unsigned)u->config->max_user_checks};
        int r = sniffer_new(&u->env.sniffer, &options);

        if (r < 0) {
                log_error("libmagic cannot be used", LOG_S("why", strerror(-r)));
                return r;
        }
        if (upload_config_s3(u->config))
                return open_s3(u);
        r = store_local_new(&u->env.store, &u->env);
        if (r < 0)
                log_error("the folder of the store cannot be used", LOG_S("setting", "PARLEY_UPLOAD_DIR"),
                          LOG_S("value", u->config->dir),
                          LOG_S("why", r == -EBUSY ? "another service uses it" : strerror(-r)));
        return r;
}

static int open_bus(struct upload *u)
{
        const struct upload_config *c = u->config;
        struct bus_options options = bus_options_of(&c->nats, u->loop);
        int r;

        options.name = "parley-upload";
        options.on_connected = on_bus_connected;
        options.on_disconnected = on_bus_disconnected;
        options.on_error = on_bus_error;
        options.userdata = u;
        r = bus_new(&u->env.bus, &options);
        if (r < 0)
                log_error("NATS cannot be used", LOG_S("url_setting", "PARLEY_NATS_URL"), LOG_S("why", strerror(-r)));
        return r;
}

static int open_work(struct upload *u)
{
        const struct upload_config *c = u->config;
        uint32_t rate = c->rate_limits ? (uint32_t)c->rest_rate : 0,
                 guess = c->rate_limits ? (uint32_t)c->guess_rate : 0;
        int r = quota_new(&u->env.quota, &u->env);

        u->buckets.env = &u->env;
        u->rest.env = &u->env;
        u->rest.auth = u->auth;
        if (r == 0)
                r = sweeper_new(&u->sweeper, &u->env);
        if (r == 0)
                r = releases_new(&u->releases, &u->env);
        if (r == 0)
                r = reconcile_new(&u->reconcile, &u->env);
        if (r == 0)
                r = ratetable_new(&u->rest.by_user, rate, (uint32_t)c->rest_burst, RATE_ENTRIES);
        if (r == 0)
                r = ratetable_new(&u->rest.by_address, guess, guess * 10, RATE_ENTRIES);
        return r;
}

static int open_http(struct upload *u)
{
        const struct upload_config *c = u->config;
        const struct http_options options = {.loop = u->loop,
                                             .listen = c->listen,
                                             .routes = rest_routes,
                                             .n_routes = REST_ROUTES,
                                             .max_connections = (unsigned)c->max_connections,
                                             .max_connections_per_ip = (unsigned)c->max_connections_per_ip,
                                             .cors_origin = c->cors_origin,
                                             .trusted_proxies = c->trusted_proxies,
                                             .userdata = &u->rest};
        const struct http_admin_options admin = {
                .loop = u->loop, .listen = c->admin_listen, .ready = on_ready, .userdata = u};
        char error[256];
        int r = http_serve(&u->http, &u->admin, "upload", &options, &admin, error, sizeof(error));

        if (r < 0)
                log_error(error);
        return r;
}

static int open_loop_handles(struct upload *u)
{
        int r;

        signals_init(&u->signals, u->loop);
        r = signals_start(&u->signals, on_signal, u);
        if (r < 0) {
                log_error("SIGTERM and SIGINT cannot be listened for", LOG_S("why", uv_strerror(r)));
                return r;
        }
        (void)uv_timer_init(u->loop, &u->second);
        u->second.data = u;
        (void)uv_timer_start(&u->second, on_second, 1000, 1000);
        return 0;
}

int upload_run(const struct upload_config *config)
{
        struct upload u = {.loop = uv_default_loop(), .config = config};
        int r;

        u.env = (struct env){.loop = u.loop, .config = config};
        upload_metrics_register();
        r = turn_measure(&u.turn, u.loop, "upload");
        if (r == 0)
                r = open_auth(&u);
        if (r == 0)
                r = open_store(&u);
        if (r == 0)
                r = open_work(&u);
        if (r == 0)
                r = open_bus(&u);
        if (r == 0)
                r = open_http(&u);
        if (r == 0)
                r = open_loop_handles(&u);
        if (r < 0)
                service_fail(); /* the kernel takes back what was opened, and threads of nats.c know u until then */
        log_info("started", LOG_S("listen", config->listen));
        (void)uv_run(u.loop, UV_RUN_DEFAULT);
        sweeper_free(u.sweeper);
        releases_free(u.releases);
        reconcile_free(u.reconcile);
        quota_free(u.env.quota);
        ratetable_free(u.rest.by_user);
        ratetable_free(u.rest.by_address);
        auth_free(u.auth);
        (void)uv_loop_close(u.loop);
        log_info("stopped");
        return 0;
}
