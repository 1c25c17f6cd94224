#include "history/history.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "auth/auth.h"
#include "auth/jwks.h"
#include "auth/open.h"
#include "base/ident.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/turn.h"
#include "bus/bus.h"
#include "history/env.h"
#include "history/gateways.h"
#include "history/history_metrics.h"
#include "history/outbox.h"
#include "history/pg.h"
#include "history/rest.h"
#include "history/rpc.h"
#include "history/shard.h"
#include "history/waiters.h"
#include "http/http.h"

/* RATE_ENTRIES: users, or addresses, whose rate is remembered; about 150 bytes each. WORKER_CONNECTIONS: for the lease and what is
 * behind ingest, beside one for each shard's transactions. */
enum {
        RATE_ENTRIES = 50000,
        WORKER_CONNECTIONS = 2,
        WORKER_CONNECTIONS_MAX = 16,
        WORKER_QUEUE = 4096,
        STATEMENT_TIMEOUT_MS = 15000
};

struct history {
        uv_loop_t *loop;
        const struct history_config *config;
        struct env env;
        struct waiters waiters;
        struct auth *auth;
        struct rest rest;
        struct rpc *rpc;
        struct pg_listener *listener;
        struct pg_migrate *migrate;
        struct pool {
                struct history *history;
                const char *name;
        } pools[2]; /* for requests, for ingest */
        bool checking_database;
        char database_trouble[256]; /* why the database cannot be used, "" while nobody has said */
        struct http_server *http, *admin;
        struct shard **shards;
        unsigned n_shards, n_parts; /* that are being closed */
        struct signals signals;
        uv_timer_t second;
        struct turn *turn;
        bool stopping, http_closed, closing;
};

/* --- what the parts say --- */

static void on_bus_connected(void *userdata)
{
        struct history *h = userdata;

        log_info("connected to NATS");
        gateways_connected(h->env.gateways);
        if (!h->stopping)
                rpc_connected(h->rpc);
        for (unsigned i = 0; i < h->n_shards; i++)
                shard_bus_changed(h->shards[i], true);
}

static void on_bus_disconnected(void *userdata)
{
        struct history *h = userdata;

        log_warn("the connection to NATS is lost");
        for (unsigned i = 0; i < h->n_shards; i++)
                shard_bus_changed(h->shards[i], false);
}

static void on_bus_loss(void *userdata)
{
        (void)userdata;
        log_warn("messages of NATS were dropped: too much was waiting");
}

static void on_bus_error(const char *text, void *userdata)
{
        (void)userdata;
        log_warn("NATS", LOG_S("why", text));
}

static void on_pg_state(bool up, const char *text, void *userdata)
{
        const struct pool *pool = userdata;
        struct history *h = pool->history;

        if (!up) {
                log_warn("no connection to Postgres", LOG_S("pool", pool->name), LOG_S("why", text));
                return;
        }
        log_info("connected to Postgres", LOG_S("pool", pool->name));
        /* All connections were lost: this may be another database, an empty one or an older one from a backup. */
        if (pool == &h->pools[1] && h->env.migrated && !h->stopping) {
                h->env.migrated = false;
                h->checking_database = true;
                pg_migrate_again(h->migrate);
        }
}

static void on_migrated(int error, const char *text, void *userdata)
{
        struct history *h = userdata;

        (void)snprintf(h->database_trouble, sizeof(h->database_trouble), "%s", error ? text : "");
        if (error == 0) {
                h->env.migrated = true;
                log_info("the database is ready", LOG_S("schema", text));
                for (unsigned i = 0; h->checking_database && i < h->n_shards; i++)
                        shard_database_changed(h->shards[i]);
                h->checking_database = false;
        } else if (error != -EAGAIN) {
                log_warn("the database is not ready", LOG_S("why", text));
        }
}

static void on_jwks(int error, const char *text, void *userdata)
{
        (void)userdata;
        if (error)
                log_warn("the key set cannot be fetched", LOG_S("why", text));
}

static void wake_outboxes(void *userdata)
{
        struct history *h = userdata;

        for (unsigned i = 0; i < h->n_shards; i++)
                shard_wake_outbox(h->shards[i]);
}

static void on_notify(const char *channel, const char *payload, void *userdata)
{
        struct history *h = userdata;
        char event_id[UUID_LEN + 1];
        bool confirmed;
        uint64_t seq;

        if (strcmp(channel, NOTIFY_OUTBOX) == 0)
                wake_outboxes(h);
        else if (waiters_parse(payload, event_id, &seq, &confirmed) == 0)
                (void)waiters_done(&h->waiters, event_id, seq, confirmed);
}

static bool on_ready(struct buf *out, void *userdata)
{
        const struct history *h = userdata;
        bool nats, postgres, log = true;

        if (h->stopping) {
                (void)http_ready_flag(out, "running", false);
                return false;
        }
        nats = bus_connected(h->env.bus);
        postgres = pg_up(h->env.pg) && h->env.migrated;
        for (unsigned i = 0; i < h->n_shards; i++)
                log = log && shard_ready(h->shards[i]);
        if (http_ready_flag(out, "nats", nats) || http_ready_flag(out, "postgres", postgres) ||
            http_ready_flag(out, "log", log))
                return false;
        if (!h->env.migrated && h->database_trouble[0])
                (void)http_ready_why(out, "database", h->database_trouble);
        for (unsigned i = 0; i < h->n_shards; i++)
                if (!shard_ready(h->shards[i]) && http_ready_text(out, "shard", i, shard_trouble(h->shards[i])))
                        break; /* there are more than the answer has room for */
        return nats && postgres && log;
}

static void on_second(uv_timer_t *timer)
{
        const struct history *h = timer->data;
        struct pg_stats a = pg_stats(h->env.pg), b = pg_stats(h->env.pg_worker);

        metric_set(&metric_pg_connections, a.connections + b.connections);
        metric_set(&metric_pg_busy, a.busy + b.busy);
        metric_set(&metric_pg_queued, a.queued + b.queued);
        shards_measure(h->shards, h->n_shards);
        metric_set(&metric_send_backlog, h->env.bus ? (double)bus_send_backlog(h->env.bus) : 0);
}

/* --- stopping, in the reverse order: who asks, who works, what they use --- */

static void part_closed(void *userdata)
{
        struct history *h = userdata;

        if (--h->n_parts)
                return;
        signals_close(&h->signals);
        uv_close((uv_handle_t *)&h->second, NULL);
        turn_close(h->turn);
}

static void close_connections(struct history *h)
{
        (void)uv_timer_stop(&h->second);
        h->n_parts = 6;
        pg_listener_close(h->listener, part_closed, h);
        pg_migrate_close(h->migrate, part_closed, h);
        bus_close(h->env.bus, part_closed, h);
        pg_close(h->env.pg, 1000, part_closed, h);
        pg_close(h->env.pg_worker, 1000, part_closed, h);
        http_server_close(h->admin, 0, part_closed, h);
}

static void on_shard_closed(void *userdata)
{
        struct history *h = userdata;

        if (--h->n_parts == 0)
                close_connections(h);
}

static void close_shards(struct history *h)
{
        if (!h->http_closed || h->env.n_running || h->closing)
                return;
        h->closing = true;
        h->n_parts = h->n_shards;
        h->n_shards = 0; /* nobody is to speak to them any more */
        if (h->n_parts == 0)
                close_connections(h); /* the start failed before there were any */
        for (unsigned i = 0, n = h->n_parts; i < n; i++)
                shard_close(h->shards[i], on_shard_closed, h);
}

static void on_http_closed(void *userdata)
{
        struct history *h = userdata;

        h->http_closed = true;
        close_shards(h);
}

static void on_idle(struct env *env)
{
        close_shards((struct history *)((char *)env - offsetof(struct history, env)));
}

static void stop(struct history *h)
{
        h->stopping = true;
        h->env.on_idle = on_idle;
        rpc_stop(h->rpc);
        jwks_close(h->rest.jwks);
        h->rest.jwks = NULL;
        http_server_close(h->http, (uint32_t)h->config->drain_ms, on_http_closed, h);
}

static void on_signal(int number, void *userdata)
{
        struct history *h = userdata;

        if (h->stopping)
                return;
        log_info("stopping", LOG_I("signal", number));
        stop(h);
}

/* --- starting --- */

static int open_auth(struct history *h)
{
        char error[256];
        int r = auth_open(&h->auth, &h->rest.jwks, h->loop, &h->config->auth, on_jwks, h, error, sizeof(error));

        if (r < 0)
                log_error(error);
        return r;
}

static int open_postgres(struct history *h)
{
        static const char *const channels[] = {NOTIFY_OUTBOX, NOTIFY_DONE};
        const struct history_config *c = h->config;
        unsigned workers = WORKER_CONNECTIONS + (unsigned)c->shards;
        struct pg_options options = {.loop = h->loop,
                                     .conninfo = c->pg_url,
                                     .application = h->env.instance,
                                     .connections = (unsigned)c->pg_pool,
                                     .max_queue = (unsigned)c->pg_queue,
                                     .statement_timeout_ms = STATEMENT_TIMEOUT_MS,
                                     .on_state = on_pg_state,
                                     .userdata = &h->pools[0]};
        int r;

        h->pools[0] = (struct pool){h, "requests"};
        h->pools[1] = (struct pool){h, "ingest"};
        r = pg_new(&h->env.pg, &options);

        options.connections = workers > WORKER_CONNECTIONS_MAX ? WORKER_CONNECTIONS_MAX : workers;
        options.max_queue = WORKER_QUEUE;
        options.userdata = &h->pools[1];
        if (r == 0)
                r = pg_new(&h->env.pg_worker, &options);
        if (r == 0)
                r = pg_listener_new(&h->listener, h->loop, c->pg_url, h->env.instance, channels, 2, wake_outboxes,
                                    on_notify, h);
        if (r == 0)
                r = pg_migrate_start(&h->migrate, h->loop, c->pg_url, h->env.instance, on_migrated, h);
        return r;
}

static int open_bus(struct history *h)
{
        const struct history_config *c = h->config;
        struct bus_options options = bus_options_of(&c->nats, h->loop);
        int r;

        options.name = h->env.instance;
        options.on_connected = on_bus_connected;
        options.on_disconnected = on_bus_disconnected;
        options.on_loss = on_bus_loss;
        options.on_error = on_bus_error;
        options.userdata = h;
        r = bus_new(&h->env.bus, &options);
        if (r < 0)
                log_error("NATS cannot be used", LOG_S("url_setting", "PARLEY_NATS_URL"), LOG_S("why", strerror(-r)));
        return r;
}

static int open_work(struct history *h)
{
        const struct history_config *c = h->config;
        uint32_t rate = c->rate_limits ? (uint32_t)c->rest_rate : 0,
                 signin = c->rate_limits ? (uint32_t)c->signin_rate : 0;
        int r = gateways_new(&h->env.gateways, &h->env);

        if (r == 0)
                r = rpc_new(&h->rpc, &h->env);
        if (r == 0)
                r = ratetable_new(&h->rest.by_user, rate, (uint32_t)c->rest_burst, RATE_ENTRIES);
        if (r == 0)
                r = ratetable_new(&h->rest.invites_by_user, c->rate_limits ? (uint32_t)c->invite_rate : 0,
                                  (uint32_t)c->invite_burst, RATE_ENTRIES);
        if (r == 0)
                r = ratetable_new(&h->rest.messages_by_user, c->rate_limits ? (uint32_t)c->message_rate : 0,
                                  (uint32_t)c->message_burst, RATE_ENTRIES);
        if (r == 0)
                r = ratetable_new(&h->rest.by_address, signin, signin * 10, RATE_ENTRIES);
        h->rest.env = &h->env;
        h->rest.auth = h->auth;
        h->shards = calloc(c->shards, sizeof(struct shard *));
        if (r == 0 && !h->shards)
                r = -ENOMEM;
        for (; r == 0 && h->n_shards < c->shards; h->n_shards++) {
                r = shard_new(&h->shards[h->n_shards], &h->env, h->n_shards);
                if (r < 0)
                        break;
                shard_start(h->shards[h->n_shards]);
        }
        return r;
}

static int open_http(struct history *h)
{
        const struct history_config *c = h->config;
        struct http_route routes[REST_ROUTES];
        const struct http_options options = {.loop = h->loop,
                                             .listen = c->listen,
                                             .routes = routes,
                                             .n_routes = REST_ROUTES,
                                             .max_connections = (unsigned)c->max_connections,
                                             .max_connections_per_ip = (unsigned)c->max_connections_per_ip,
                                             .max_answer_bytes = c->max_answer_bytes,
                                             .max_answer_bytes_per_address = c->max_answer_bytes_per_address,
                                             .cors_origin = c->cors_origin,
                                             .trusted_proxies = c->trusted_proxies,
                                             .userdata = &h->rest};
        const struct http_admin_options admin = {
                .loop = h->loop, .listen = c->admin_listen, .ready = on_ready, .userdata = h};
        char error[256];
        int r;

        rest_routes(c, routes);
        r = http_serve(&h->http, &h->admin, "history", &options, &admin, error, sizeof(error));
        if (r < 0)
                log_error(error);
        return r;
}

static void init_loop_handles(struct history *h)
{
        signals_init(&h->signals, h->loop);
        (void)uv_timer_init(h->loop, &h->second);
        h->second.data = h;
}

static int start_loop_handles(struct history *h)
{
        int r = signals_start(&h->signals, on_signal, h);

        if (r < 0) {
                log_error("SIGTERM and SIGINT cannot be listened for", LOG_S("why", uv_strerror(r)));
                return r;
        }
        (void)uv_timer_start(&h->second, on_second, 1000, 1000);
        return 0;
}

static int open_all(struct history *h)
{
        int r = turn_measure(&h->turn, h->loop, "history");

        if (r == 0)
                r = open_auth(h);
        if (r == 0)
                r = open_postgres(h);
        if (r == 0)
                r = open_bus(h);
        if (r == 0)
                r = open_work(h);
        if (r == 0)
                r = open_http(h);
        return r;
}

int history_run(const struct history_config *config)
{
        struct history h = {.loop = uv_default_loop(), .config = config};
        int r;

        h.env = (struct env){.loop = h.loop, .config = config, .waiters = &h.waiters};
        env_name_instance(&h.env);
        history_metrics_register();
        init_loop_handles(&h);
        r = open_all(&h);
        if (r == 0)
                r = start_loop_handles(&h);
        if (r == 0) {
                log_info("started", LOG_S("instance", h.env.instance), LOG_S("listen", config->listen));
        } else {
                stop(&h);
        }
        (void)uv_run(h.loop, UV_RUN_DEFAULT);
        rpc_free(h.rpc);
        gateways_free(h.env.gateways);
        ratetable_free(h.rest.by_user);
        ratetable_free(h.rest.by_address);
        ratetable_free(h.rest.invites_by_user);
        ratetable_free(h.rest.messages_by_user);
        auth_free(h.auth);
        free(h.shards);
        (void)uv_loop_close(h.loop);
        if (r == 0)
                log_info("stopped");
        return r;
}
