#include "history/sweeper.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ident.h"
#include "base/ticker.h"
#include "bus/bus.h"
#include "history/bucket.h"
#include "history/pg.h"

enum { PERIOD_MS = 1000, LOADED = 256, AT_ONCE = 16 };

/* What the outbox has not published yet is not told either: the log comes first. */
static const struct pg_stmt stmt_load = {
        "sweeper_load",
        "SELECT kind = 'user', key FROM dirty d WHERE NOT EXISTS (SELECT FROM outbox o WHERE CASE d.kind WHEN 'user' THEN o.user_id = d.key "
        "ELSE o.channel_id = d.key AND o.user_id = '' END) ORDER BY stamp LIMIT $1::bigint"};

struct sweeper {
        struct env *env;
        struct ticker *ticker;
        bool running, busy;
        struct {
                enum bucket_kind kind;
                char key[IDENT_MAX + 1];
        } items[LOADED];
        unsigned n, next, in_flight;
        void (*stop_done)(void *userdata);
        void *stop_userdata;
};

static void on_tick(void *userdata);

static void maybe_stopped(struct sweeper *s)
{
        void (*done)(void *userdata) = s->stop_done;

        if (s->running || s->busy || !done)
                return;
        s->stop_done = NULL;
        done(s->stop_userdata);
}

static void sync_some(struct sweeper *s);

static void on_synced(int error, void *userdata)
{
        struct sweeper *s = userdata;

        s->in_flight--;
        if (error)
                s->next = s->n; /* stays marked: with the next turn */
        sync_some(s);
}

static void sync_some(struct sweeper *s)
{
        bool all = s->n == LOADED;

        while (s->running && s->next < s->n && s->in_flight < AT_ONCE) {
                if (bucket_sync(s->env, s->items[s->next].kind, s->items[s->next].key, on_synced, s) != 0) {
                        s->next = s->n;
                        all = false;
                        break;
                }
                s->next++;
                s->in_flight++;
        }
        if (s->in_flight)
                return;
        s->busy = false;
        if (s->running && all)
                ticker_start(s->ticker, 0, PERIOD_MS);
        maybe_stopped(s);
}

static void on_loaded(int error, const struct pg_results *r, void *userdata)
{
        struct sweeper *s = userdata;

        s->n = error ? 0 : pg_rows(r, 0);
        s->next = 0;
        for (unsigned i = 0; i < s->n; i++) {
                s->items[i].kind = pg_bool(r, 0, i, 0) ? BUCKET_USER : BUCKET_CHANNEL;
                (void)snprintf(s->items[i].key, sizeof(s->items[i].key), "%s", pg_text(r, 0, i, 1));
        }
        sync_some(s);
}

static void on_tick(void *userdata)
{
        struct sweeper *s = userdata;
        struct pg_job *job;

        ticker_start(s->ticker, PERIOD_MS, PERIOD_MS);
        if (s->busy || !bus_connected(s->env->bus))
                return;
        job = pg_job_new(PG_READ);
        if (!job)
                return;
        s->busy = true;
        pg_job_add(job, &stmt_load);
        pg_arg_i64(job, LOADED);
        pg_run(s->env->pg_worker, job, 0, on_loaded, s);
}

int sweeper_new(struct sweeper **ret_sweeper, struct env *env)
{
        struct sweeper *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->env = env;
        s->ticker = ticker_new(env->loop, on_tick, s);
        if (!s->ticker) {
                free(s);
                return -ENOMEM;
        }
        *ret_sweeper = s;
        return 0;
}

void sweeper_free(struct sweeper *s)
{
        if (s)
                ticker_free(s->ticker);
        free(s);
}

void sweeper_start(struct sweeper *s)
{
        s->running = true;
        ticker_start(s->ticker, PERIOD_MS, PERIOD_MS);
}

void sweeper_stop(struct sweeper *s, void (*done)(void *userdata), void *userdata)
{
        s->running = false;
        s->stop_done = done;
        s->stop_userdata = userdata;
        ticker_stop(s->ticker);
        maybe_stopped(s);
}
