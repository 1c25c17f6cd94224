#include "history/setup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "base/log.h"
#include "bus/bus.h"
#include "history/env.h"
#include "history/pg.h"
#include "history/provision.h"

enum { AGAIN_MS = 1000, STATEMENT_TIMEOUT_MS = 15000 };

struct setup {
        uv_loop_t *loop;
        struct env env;
        struct pg_migrate *migrate;
        uv_timer_t deadline, again;
        struct provision provision;
        unsigned shard; /* the next one */
        bool pg_up, working, over;
        int error;
        unsigned n_parts;
        char trouble[256]; /* what was in the way last */
};

/* --- the end --- */

static void part_closed(void *userdata)
{
        struct setup *s = userdata;

        if (--s->n_parts)
                return;
        uv_close((uv_handle_t *)&s->deadline, NULL);
        uv_close((uv_handle_t *)&s->again, NULL);
}

static void finish(struct setup *s, int error, const char *what)
{
        if (s->over)
                return;
        s->over = true;
        s->error = error;
        if (error)
                log_error(what, LOG_S("why", s->trouble[0] ? s->trouble : "nothing answered"));
        else
                log_info(what);
        (void)uv_timer_stop(&s->again);
        (void)uv_timer_stop(&s->deadline);
        s->n_parts = 3;
        pg_migrate_close(s->migrate, part_closed, s);
        bus_close(s->env.bus, part_closed, s);
        pg_close(s->env.pg_worker, 1000, part_closed, s);
}

static void on_deadline(uv_timer_t *timer)
{
        struct setup *s = timer->data;

        if (s->migrate && !pg_migrate_give_up(s->migrate)) {
                /* It commits all the same: to call it failed would be untrue */
                log_info("PARLEY_SETUP_TIMEOUT_S is over, and the migration has begun: it goes on to its end");
                return;
        }
        finish(s, -ETIMEDOUT, "given up after PARLEY_SETUP_TIMEOUT_S");
}

/* --- migrating --- */

static void on_migrated(int error, const char *text, void *userdata)
{
        struct setup *s = userdata;

        (void)snprintf(s->trouble, sizeof(s->trouble), "%s", text);
        if (error == 0)
                finish(s, 0, text);
        else if (error == -EAGAIN || error == -ECONNREFUSED)
                log_info("waiting", LOG_S("why", text));
        else
                finish(s, error, "the schema cannot be brought to this version");
}

/* --- streams and buckets --- */

static void next_shard(struct setup *s);

static void on_again(uv_timer_t *timer)
{
        next_shard(timer->data);
}

static void on_provisioned(int error, void *userdata)
{
        struct setup *s = userdata;

        s->working = false;
        if (s->over)
                return;
        if (error) {
                (void)snprintf(s->trouble, sizeof(s->trouble), "%s", s->provision.failure);
                log_info("waiting", LOG_S("why", s->trouble));
                (void)uv_timer_start(&s->again, on_again, AGAIN_MS, 0);
                return;
        }
        if (++s->shard == s->env.config->shards)
                finish(s, 0, "streams and buckets are as the settings say");
        else
                next_shard(s);
}

static void next_shard(struct setup *s)
{
        if (s->over || s->working || !s->pg_up || !bus_connected(s->env.bus))
                return;
        s->working = true;
        provision_setup(&s->provision, &s->env, s->shard, on_provisioned, s);
}

static void on_pg_state(bool up, const char *text, void *userdata)
{
        struct setup *s = userdata;

        s->pg_up = up;
        if (up)
                next_shard(s);
        else
                (void)snprintf(s->trouble, sizeof(s->trouble), "Postgres: %s", text);
}

static void on_bus_connected(void *userdata)
{
        next_shard(userdata);
}

static void on_bus_error(const char *text, void *userdata)
{
        struct setup *s = userdata;

        (void)snprintf(s->trouble, sizeof(s->trouble), "NATS: %s", text);
        log_info("waiting", LOG_S("why", s->trouble));
}

static int open_provision(struct setup *s)
{
        const struct history_config *c = s->env.config;
        const struct pg_options pg = {.loop = s->loop,
                                      .conninfo = c->pg_url,
                                      .application = s->env.instance,
                                      .connections = 1,
                                      .max_queue = 8,
                                      .statement_timeout_ms = STATEMENT_TIMEOUT_MS,
                                      .on_state = on_pg_state,
                                      .userdata = s};
        struct bus_options bus = bus_options_of(&c->nats, s->loop);
        int r = pg_new(&s->env.pg_worker, &pg);

        bus.name = s->env.instance;
        bus.on_connected = on_bus_connected;
        bus.on_error = on_bus_error;
        bus.userdata = s;
        if (r == 0)
                r = bus_new(&s->env.bus, &bus);
        return r;
}

/* --- both --- */

static void prepare(struct setup *s, const struct history_config *config, const char *instance)
{
        *s = (struct setup){.loop = uv_default_loop()};
        s->env = (struct env){.loop = s->loop, .config = config};
        (void)snprintf(s->env.instance, sizeof(s->env.instance), "%s", instance);
        (void)uv_timer_init(s->loop, &s->deadline);
        (void)uv_timer_init(s->loop, &s->again);
        s->deadline.data = s->again.data = s;
        (void)uv_timer_start(&s->deadline, on_deadline, config->setup_timeout_s * 1000, 0);
}

static int run(struct setup *s, int opened)
{
        if (opened < 0) {
                (void)snprintf(s->trouble, sizeof(s->trouble), "%s", strerror(-opened));
                finish(s, opened, "cannot begin");
        }
        (void)uv_run(s->loop, UV_RUN_DEFAULT);
        (void)uv_loop_close(s->loop);
        return s->error;
}

int setup_migrate(const struct history_config *config)
{
        struct setup s;

        prepare(&s, config, "parley-history-migrate");
        return run(&s, pg_migrate_start(&s.migrate, s.loop, config->pg_url, s.env.instance, on_migrated, &s));
}

int setup_provision(const struct history_config *config)
{
        struct setup s;

        prepare(&s, config, "parley-history-provision");
        return run(&s, open_provision(&s));
}
