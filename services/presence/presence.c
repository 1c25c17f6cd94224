#include "presence/presence.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#include "auth/auth.h"
#include "auth/jwks.h"
#include "auth/open.h"
#include "base/ident.h"
#include "base/log.h"
#include "base/service.h"
#include "base/signals.h"
#include "base/turn.h"
#include "bus/bus.h"
#include "presence/mirror.h"
#include "presence/presence_metrics.h"
#include "presence/rest.h"
#include "presence/roster.h"
#include "presence/voice.h"

/* RATE_ENTRIES: users, or addresses, whose rate is remembered; about 150 bytes each */
enum { RATE_ENTRIES = 50000, GATEWAYS_MAX = 10000 };

struct presence {
        uv_loop_t *loop;
        const struct presence_config *config;
        char instance[IDENT_MAX + 1];
        struct bus *bus;
        struct roster *roster;
        struct mirror *mirror;
        struct voice *voice;
        struct auth *auth;
        struct rest rest;
        struct http_server *http, *admin;
        struct signals signals;
        uv_timer_t teller;
        uv_idle_t answerer; /* runs while there are answers to go on with */
        struct turn *turn;
        unsigned n_parts; /* that are being closed */
        bool stopping;
};

/* --- the clocks --- */

static void read_clock(void *userdata)
{
        struct presence *p = userdata;
        struct timespec t;

        (void)clock_gettime(CLOCK_REALTIME, &t);
        if (roster_time(p->roster, uv_now(p->loop), t.tv_sec) && p->voice) {
                log_warn("this process stood still; all gateways are asked again");
                voice_doubt(p->voice);
        }
}

/* --- what the parts say --- */

static bool is_ready(void *userdata)
{
        const struct presence *p = userdata;

        return mirror_complete(p->mirror) && bus_connected(p->bus) && roster_known(p->roster);
}

static void on_tell(uv_timer_t *timer)
{
        struct presence *p = timer->data;
        const struct roster *r = p->roster;

        voice_tick(p->voice, is_ready(p));
        metric_set(&metric_users, HASH_COUNT(r->people.by_id));
        metric_set(&metric_online, r->people.n_online);
        metric_set(&metric_gateways, HASH_COUNT(r->sources.by_id));
        metric_set(&metric_gaps, (double)r->sources.n_gaps);
        metric_set(&metric_old, (double)r->sources.n_old);
        metric_set(&metric_leading, voice_leading(p->voice) ? 1 : 0);
}

static void on_ask(const char *gateway_id, void *userdata)
{
        voice_ask(((struct presence *)userdata)->voice, gateway_id);
}

static void on_answer(uv_idle_t *idle)
{
        if (!voice_answer_some(((struct presence *)idle->data)->voice))
                (void)uv_idle_stop(idle);
}

static void on_more(void *userdata)
{
        (void)uv_idle_start(&((struct presence *)userdata)->answerer, on_answer);
}

static void on_store(const char *user_id, void *userdata)
{
        voice_store(((struct presence *)userdata)->voice, user_id);
}

static void on_bus_connected(void *userdata)
{
        struct presence *p = userdata;

        log_info("connected to NATS");
        if (!p->stopping)
                voice_connected(p->voice);
}

static void on_bus_disconnected(void *userdata)
{
        struct presence *p = userdata;

        log_warn("the connection to NATS is lost");
        if (p->stopping)
                return;
        mirror_broken(p->mirror);
        voice_deaf(p->voice);
}

static void on_bus_loss(void *userdata)
{
        struct presence *p = userdata;

        log_warn("messages of NATS were dropped; all gateways are asked again");
        if (!p->stopping)
                voice_lost(p->voice);
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
        struct presence *p = userdata;
        bool nats = bus_connected(p->bus), buckets = mirror_complete(p->mirror), gateways = roster_known(p->roster),
             answers = voice_begun(p->voice);

        if (p->stopping) {
                (void)http_ready_flag(out, "running", false);
                return false;
        }
        if (http_ready_flag(out, "nats", nats) || http_ready_flag(out, "buckets", buckets) ||
            http_ready_flag(out, "gateways", gateways) || http_ready_flag(out, "answers", answers))
                return false;
        return nats && buckets && gateways && answers; /* one that does not answer is waited for 3 s */
}

/* --- stopping --- */

static void part_closed(void *userdata)
{
        struct presence *p = userdata;

        if (--p->n_parts)
                return;
        signals_close(&p->signals);
        uv_close((uv_handle_t *)&p->teller, NULL);
        uv_close((uv_handle_t *)&p->answerer, NULL);
}

static void on_http_closed(void *userdata)
{
        struct presence *p = userdata;

        p->n_parts = 2;
        mirror_free(p->mirror);
        p->mirror = NULL;
        bus_close(p->bus, part_closed, p);
        http_server_close(p->admin, 0, part_closed, p);
}

static void stop(struct presence *p)
{
        p->stopping = true;
        (void)uv_timer_stop(&p->teller);
        voice_stop(p->voice);
        jwks_close(p->rest.jwks);
        p->rest.jwks = NULL;
        http_server_close(p->http, (uint32_t)p->config->drain_ms, on_http_closed, p);
}

static void on_signal(int number, void *userdata)
{
        struct presence *p = userdata;

        if (p->stopping)
                return;
        log_info("stopping", LOG_I("signal", number));
        stop(p);
}

/* --- starting --- */

static int open_auth(struct presence *p)
{
        char error[256];
        int r = auth_open(&p->auth, &p->rest.jwks, p->loop, &p->config->auth, on_jwks, p, error, sizeof(error));

        if (r < 0)
                log_error(error);
        return r;
}

static int open_bus(struct presence *p)
{
        const struct presence_config *c = p->config;
        struct bus_options options = bus_options_of(&c->nats, p->loop);
        int r;

        options.name = "parley-presence";
        options.on_connected = on_bus_connected;
        options.on_disconnected = on_bus_disconnected;
        options.on_loss = on_bus_loss;
        options.on_error = on_bus_error;
        options.userdata = p;
        r = bus_new(&p->bus, &options);
        if (r < 0)
                log_error("NATS cannot be used", LOG_S("setting", "PARLEY_NATS_URL"), LOG_S("why", strerror(-r)));
        return r;
}

static int open_roster(struct presence *p)
{
        const struct presence_config *c = p->config;
        const struct roster_options options = {.grace_ms = c->grace_ms,
                                               .silent_ms = c->silent_ms,
                                               .count_ms = c->count_ms,
                                               .list_max = (uint32_t)c->list_max,
                                               .gateways_max = GATEWAYS_MAX,
                                               .read_ms = c->tell_ms,
                                               .last_seen = c->last_seen,
                                               .ask = on_ask,
                                               .store = on_store,
                                               .userdata = p};

        return roster_new(&p->roster, uv_now(p->loop), time(NULL), &options);
}

static int open_voice(struct presence *p)
{
        const struct voice_options options = {
                .bus = p->bus,
                .roster = p->roster,
                .instance = p->instance,
                .status_per_hour = p->config->rate_limits ? (uint32_t)p->config->status_per_hour : 0,
                .status_burst = (uint32_t)p->config->status_burst,
                .before = read_clock,
                .more = on_more,
                .userdata = p};
        int r = voice_new(&p->voice, &options);

        return r < 0 ? r : mirror_new(&p->mirror, p->bus, p->roster, read_clock, p);
}

static int open_http(struct presence *p)
{
        const struct presence_config *c = p->config;
        struct http_route routes[REST_ROUTES];
        const struct http_options options = {.loop = p->loop,
                                             .listen = c->listen,
                                             .routes = routes,
                                             .n_routes = REST_ROUTES,
                                             .max_connections = (unsigned)c->max_connections,
                                             .max_connections_per_ip = (unsigned)c->max_connections_per_ip,
                                             .cors_origin = c->cors_origin,
                                             .trusted_proxies = c->trusted_proxies,
                                             .userdata = &p->rest};
        const struct http_admin_options admin = {
                .loop = p->loop, .listen = c->admin_listen, .ready = on_ready, .userdata = p};
        uint32_t rate = c->rate_limits ? (uint32_t)c->rest_rate : 0,
                 refused = c->rate_limits ? (uint32_t)c->refused_rate : 0;
        char error[256];
        int r;

        p->rest = (struct rest){.roster = p->roster,
                                .voice = p->voice,
                                .auth = p->auth,
                                .jwks = p->rest.jwks,
                                .ready = is_ready,
                                .before = read_clock,
                                .userdata = p};
        rest_routes(routes);
        r = ratetable_new(&p->rest.by_user, rate, (uint32_t)c->rest_burst, RATE_ENTRIES);
        if (r == 0)
                r = ratetable_new(&p->rest.by_address, refused, refused * 10, RATE_ENTRIES);
        if (r < 0)
                return r;
        r = http_serve(&p->http, &p->admin, "presence", &options, &admin, error, sizeof(error));
        if (r < 0)
                log_error(error);
        return r;
}

static int open_loop_handles(struct presence *p)
{
        int r;

        signals_init(&p->signals, p->loop);
        r = signals_start(&p->signals, on_signal, p);
        if (r < 0) {
                log_error("SIGTERM and SIGINT cannot be listened for", LOG_S("why", uv_strerror(r)));
                return r;
        }
        (void)uv_timer_init(p->loop, &p->teller);
        p->teller.data = p;
        (void)uv_timer_start(&p->teller, on_tell, p->config->tell_ms, p->config->tell_ms);
        (void)uv_idle_init(p->loop, &p->answerer);
        p->answerer.data = p;
        return 0;
}

/* Those that started earlier come first in the order */
static void name_instance(struct presence *p)
{
        uint8_t random[4];

        random_bytes(random, sizeof(random));
        (void)snprintf(p->instance, sizeof(p->instance), "%012llx-%02x%02x%02x%02x", (unsigned long long)time(NULL),
                       random[0], random[1], random[2], random[3]);
}

static int open_all(struct presence *p)
{
        int r = turn_measure(&p->turn, p->loop, "presence");

        if (r == 0)
                r = open_auth(p);
        if (r == 0)
                r = open_roster(p);
        if (r == 0)
                r = open_bus(p);
        if (r == 0)
                r = open_voice(p);
        if (r == 0)
                r = open_http(p);
        return r;
}

int presence_run(const struct presence_config *config)
{
        struct presence p = {.loop = uv_default_loop(), .config = config};
        int r;

        name_instance(&p);
        presence_metrics_register();
        r = open_all(&p);
        if (r == 0)
                r = open_loop_handles(&p);
        if (r < 0)
                service_fail(); /* the kernel takes back what was opened, and threads of nats.c know p until then */
        log_info("started", LOG_S("instance", p.instance), LOG_S("listen", config->listen));
        (void)uv_run(p.loop, UV_RUN_DEFAULT);
        turn_close(p.turn);
        (void)uv_run(p.loop, UV_RUN_DEFAULT);
        voice_free(p.voice);
        roster_free(p.roster);
        ratetable_free(p.rest.by_user);
        ratetable_free(p.rest.by_address);
        auth_free(p.auth);
        (void)uv_loop_close(p.loop);
        log_info("stopped");
        return 0;
}
