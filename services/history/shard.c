#include "history/shard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/ticker.h"
#include "bus/bus.h"
#include "bus/subjects.h"
#include "history/digest.h"
#include "history/general.h"
#include "history/history_metrics.h"
#include "history/import.h"
#include "history/ingest.h"
#include "history/janitor.h"
#include "history/lease.h"
#include "history/outbox.h"
#include "history/provision.h"
#include "history/releases.h"
#include "history/sweeper.h"

/* How often it looks after itself; how long it waits before it provisions again; how often it asks how long the log is that nobody reads */
enum { PERIOD_MS = 250, AGAIN_MIN_MS = 250, AGAIN_MAX_MS = 10000, LOOK_MS = 3000 };

enum shard_state {
        SHARD_OFF,          /* without the lease */
        SHARD_WAITING,      /* with the lease, until again_ms */
        SHARD_PROVISIONING, /* its outcome is awaited */
        SHARD_RUNNING,
        SHARD_STOPPING, /* parts are under way that must end */
};

struct shard {
        struct env *env;
        unsigned index;
        char stream[SUBJECT_MAX];
        enum shard_state state;
        bool closing;
        bool leave; /* after STOPPING: without the lease */
        struct lease lease;
        struct provision provision;
        struct ingest *ingest;
        struct outbox *outbox;
        struct janitor *janitor;
        struct digest *digest;
        struct sweeper *sweeper;   /* of shard 0 only */
        struct releases *releases; /* the same */
        struct import *import;
        bool imported;
        unsigned n_stopping;
        bool checking, looking, released;
        struct ticker *ticker;
        uint64_t again_ms, backoff_ms, bus_lost_ms;
        uint64_t stands_ms; /* since when it does not run, or last did not; another instance neither */
        uint64_t looked_ms;
        struct bus_stream_info log; /* when it was looked at last, since it stands */
        char trouble[200];
        void (*close_done)(void *userdata);
        void *close_userdata;
};

static void enter(struct shard *s, enum shard_state state)
{
        s->state = state;
}

static void again_later(struct shard *s)
{
        s->again_ms = env_now_ms(s->env) + s->backoff_ms;
        s->backoff_ms = s->backoff_ms * 2 > AGAIN_MAX_MS ? AGAIN_MAX_MS : s->backoff_ms * 2;
        enter(s, SHARD_WAITING);
}

/* --- stopping the parts --- */

static void shard_free(struct shard *s)
{
        ticker_free(s->ticker);
        lease_done(&s->lease);
        ingest_free(s->ingest);
        outbox_free(s->outbox);
        janitor_free(s->janitor);
        digest_free(s->digest);
        sweeper_free(s->sweeper);
        releases_free(s->releases);
        free(s);
}

static void maybe_closed(struct shard *s)
{
        void (*done)(void *userdata) = s->close_done;
        void *done_userdata = s->close_userdata;

        if (!s->released || s->checking || s->looking)
                return;
        shard_free(s);
        done(done_userdata);
}

static void on_released(void *userdata)
{
        struct shard *s = userdata;

        s->released = true;
        maybe_closed(s);
}

static void stopped(struct shard *s)
{
        if (s->closing) {
                lease_release(&s->lease, on_released);
        } else if (s->leave) {
                enter(s, SHARD_OFF);
        } else {
                again_later(s);
        }
}

static void on_part_stopped(void *userdata)
{
        struct shard *s = userdata;

        if (--s->n_stopping == 0)
                stopped(s);
}

static void stop(struct shard *s, bool leave)
{
        s->leave = s->leave || leave;
        if (s->state != SHARD_RUNNING) {
                if (s->state == SHARD_WAITING && (leave || s->closing))
                        stopped(s);
                return; /* else the outcome that is awaited ends in stopped() */
        }
        enter(s, SHARD_STOPPING);
        s->stands_ms = env_now_ms(s->env);
        s->log = (struct bus_stream_info){0};
        s->n_stopping = s->sweeper ? 5 : 3;
        if (s->import)
                import_cancel(s->import);
        s->import = NULL;
        digest_stop(s->digest);
        ingest_stop(s->ingest);
        outbox_stop(s->outbox, on_part_stopped, s);
        janitor_stop(s->janitor, on_part_stopped, s);
        if (s->sweeper) {
                sweeper_stop(s->sweeper, on_part_stopped, s);
                releases_stop(s->releases, on_part_stopped, s);
        }
}

/* --- what the parts say --- */

static void on_head(const char *channel_id, uint64_t seq, void *userdata)
{
        struct shard *s = userdata;

        digest_note(s->digest, channel_id, seq);
}

static void on_committed(uint64_t last_seq, void *userdata)
{
        struct shard *s = userdata;

        s->backoff_ms = AGAIN_MIN_MS;
        if (s->state == SHARD_RUNNING)
                outbox_ingested(s->outbox, last_seq);
}

static void on_ingest_ended(enum ingest_end end, const char *why, void *userdata)
{
        struct shard *s = userdata;

        if (end != INGEST_STOPPED) {
                log_warn("ingest ended", LOG_S("stream", s->stream), LOG_S("why", why),
                         LOG_U("seq", ingest_last_seq(s->ingest)));
                (void)snprintf(s->trouble, sizeof(s->trouble), "%s", why);
        }
        if (s->state == SHARD_RUNNING)
                stop(s, false); /* comes here again for ingest, which has nothing left to stop */
        else
                on_part_stopped(s);
}

static void on_imported(int error, void *userdata)
{
        struct shard *s = userdata;

        s->import = NULL;
        if (error) {
                (void)snprintf(s->trouble, sizeof(s->trouble), "the buckets could not be read");
                stop(s, false);
                return;
        }
        s->imported = true;
        general_ensure(s->env);
        outbox_start(s->outbox, ingest_last_seq(s->ingest));
        sweeper_start(s->sweeper);
}

static void on_provisioned(int error, void *userdata)
{
        struct shard *s = userdata;
        const struct provision *p = &s->provision;
        int r = 0;

        if (s->closing || s->leave) {
                stopped(s);
                return;
        }
        if (error) {
                log_warn("the log is not ready", LOG_S("stream", s->stream), LOG_S("why", p->failure));
                (void)snprintf(s->trouble, sizeof(s->trouble), "%s", p->failure);
                again_later(s);
                return;
        }
        s->trouble[0] = '\0';
        enter(s, SHARD_RUNNING);
        log_info("ingesting", LOG_S("stream", s->stream), LOG_U("epoch", p->start.epoch),
                 LOG_U("after_seq", p->start.last_seq));
        digest_start(s->digest, p->start.epoch);
        janitor_start(s->janitor);
        if (s->sweeper && !s->imported)
                r = import_start(&s->import, s->env, on_imported, s);
        else
                outbox_start(s->outbox, p->start.last_seq);
        if (s->sweeper && s->imported)
                sweeper_start(s->sweeper);
        if (s->releases)
                releases_start(s->releases);
        ingest_start(s->ingest, p->start.epoch, p->start.last_seq);
        if (r != 0)
                stop(s, false);
}

/* --- the lease --- */

static void on_gained(void *userdata)
{
        struct shard *s = userdata;

        s->leave = false;
        s->imported = false;
        s->backoff_ms = AGAIN_MIN_MS;
        s->again_ms = 0;
        s->stands_ms = env_now_ms(s->env);
        enter(s, SHARD_WAITING);
}

static void on_lost(void *userdata)
{
        stop(userdata, true);
}

static void on_tick(void *userdata)
{
        struct shard *s = userdata;
        uint64_t now = env_now_ms(s->env);
        bool connected = bus_connected(s->env->bus);

        if (s->closing)
                return;
        /* Without NATS for long, another instance may have better luck. */
        if (!connected && s->lease.held && s->bus_lost_ms && now - s->bus_lost_ms > 2 * s->env->config->lease_ms &&
            (s->state == SHARD_RUNNING || s->state == SHARD_WAITING)) {
                lease_want(&s->lease, false);
                s->lease.held = false;
                stop(s, true);
                return;
        }
        /* not before the last work is over: it must not go on beside its own successor */
        if (s->state == SHARD_OFF)
                lease_want(&s->lease, s->env->migrated && connected);
        if (s->state == SHARD_RUNNING && s->imported && !s->env->general_there)
                general_ensure(s->env);
        if (s->state == SHARD_WAITING && connected && now >= s->again_ms) {
                enter(s, SHARD_PROVISIONING);
                provision_run(&s->provision, s->env, s->index, on_provisioned, s);
        }
}

/* --- life --- */

int shard_new(struct shard **ret_shard, struct env *env, unsigned index)
{
        struct shard *s = calloc(1, sizeof(*s));
        struct ingest_events events = {
                .head = on_head, .committed = on_committed, .ended = on_ingest_ended, .userdata = s};
        char name[64];
        int r;

        if (!s)
                return -ENOMEM;
        s->env = env;
        s->index = index;
        s->stands_ms = env_now_ms(env);
        subject_chat_stream(s->stream, index);
        (void)snprintf(name, sizeof(name), "shard_%u", index);
        r = ingest_new(&s->ingest, env, s->stream, &events);
        if (r == 0)
                r = outbox_new(&s->outbox, env, index);
        if (r == 0)
                r = janitor_new(&s->janitor, env, s->stream);
        if (r == 0)
                r = digest_new(&s->digest, env, index);
        if (r == 0 && index == 0)
                r = sweeper_new(&s->sweeper, env);
        if (r == 0 && index == 0)
                r = releases_new(&s->releases, env);
        if (r == 0)
                r = lease_init(&s->lease, env, name, on_gained, on_lost, s);
        s->ticker = ticker_new(env->loop, on_tick, s);
        if (r < 0 || !s->ticker) {
                shard_free(s);
                return -ENOMEM;
        }
        *ret_shard = s;
        return 0;
}

void shard_start(struct shard *s)
{
        ticker_start(s->ticker, 0, PERIOD_MS);
}

void shard_close(struct shard *s, void (*done)(void *userdata), void *userdata)
{
        s->closing = true;
        s->close_done = done;
        s->close_userdata = userdata;
        ticker_stop(s->ticker);
        if (s->state == SHARD_OFF)
                stopped(s);
        else
                stop(s, true);
}

void shard_wake_outbox(struct shard *s)
{
        if (s->state == SHARD_RUNNING)
                outbox_wake(s->outbox);
}

static void on_checked(int error, const struct bus_stream_info *info, const char *text, void *userdata)
{
        struct shard *s = userdata;

        (void)text;
        s->checking = false;
        if (error == 0 && s->state == SHARD_RUNNING &&
            (info->epoch != s->provision.start.epoch || info->last_seq < ingest_last_seq(s->ingest))) {
                log_warn("the log is another one than before", LOG_S("stream", s->stream), LOG_U("epoch", info->epoch),
                         LOG_U("last_seq", info->last_seq), LOG_U("ingested_seq", ingest_last_seq(s->ingest)));
                stop(s, false);
        }
        maybe_closed(s);
}

void shard_bus_changed(struct shard *s, bool connected)
{
        /* The server may have come back with less than it had, or with a new stream. */
        if (connected && s->state == SHARD_RUNNING && !s->checking)
                s->checking = bus_stream_info(s->env->bus, s->stream, on_checked, s) == 0;
        s->bus_lost_ms = connected ? 0 : env_now_ms(s->env);
        if (s->state == SHARD_RUNNING && !s->import)
                outbox_uncertain(s->outbox);
}

void shard_database_changed(struct shard *s)
{
        s->imported = false;
        if (s->state == SHARD_RUNNING)
                stop(s, false);
}

bool shard_ready(const struct shard *s)
{
        bool complete = !s->sweeper || s->env->general_there;

        return (s->state == SHARD_RUNNING && complete) || (s->state == SHARD_OFF && s->lease.elsewhere);
}

const char *shard_trouble(const struct shard *s)
{
        return s->trouble;
}

/* --- for /metrics --- */

static void on_looked(int error, const struct bus_stream_info *info, const char *text, void *userdata)
{
        struct shard *s = userdata;

        (void)text;
        s->looking = false;
        if (error == 0)
                s->log = *info;
        maybe_closed(s);
}

/* The log goes on without Postgres, and what reads it does not run then */
static void look(struct shard *s, uint64_t now_ms)
{
        if (s->looking || s->closing || now_ms < s->looked_ms + LOOK_MS)
                return;
        s->looked_ms = now_ms;
        s->looking = bus_stream_info(s->env->bus, s->stream, on_looked, s) == 0;
}

struct measured {
        uint64_t events;
        double seconds, full;
};

/* While it stands still */
static void measure_standing(struct shard *s, uint64_t now_ms, struct measured *m)
{
        double stands = (double)(now_ms - s->stands_ms) / 1e3;
        uint64_t applied = ingest_last_seq(s->ingest), epoch = ingest_epoch(s->ingest);

        look(s, now_ms);
        if (s->log.max_bytes)
                m->full = (double)s->log.bytes / (double)s->log.max_bytes;
        m->seconds = stands > m->seconds ? stands : m->seconds;
        /* of a log that this instance has not read yet it cannot know */
        if (epoch && s->log.epoch == epoch && s->log.last_seq > applied + m->events)
                m->events = s->log.last_seq - applied;
}

static struct measured measure(struct shard *s, uint64_t now_ms)
{
        struct measured m = {.full = janitor_log_full(s->janitor)};

        ingest_lag(s->ingest, &m.events, &m.seconds);
        if (s->state != SHARD_RUNNING)
                measure_standing(s, now_ms, &m);
        return m;
}

void shards_measure(struct shard *const *shards, unsigned n)
{
        struct measured all = {0};

        for (unsigned i = 0; i < n; i++) {
                struct shard *s = shards[i];
                uint64_t now_ms = env_now_ms(s->env);
                struct measured one;

                /* Another instance works on it, and tells of it; or may, as it is this one that cannot reach NATS */
                if (s->state == SHARD_OFF && (s->lease.elsewhere || !bus_connected(s->env->bus))) {
                        s->stands_ms = now_ms;
                        continue;
                }
                one = measure(s, now_ms);
                all.events += one.events;
                all.seconds = one.seconds > all.seconds ? one.seconds : all.seconds;
                all.full = one.full > all.full ? one.full : all.full;
        }
        metric_set(&metric_lag_events, (double)all.events);
        metric_set(&metric_lag_seconds, all.seconds);
        metric_set(&metric_log_full, all.full);
}
