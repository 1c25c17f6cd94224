#include "history/lookup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ticker.h"
#include "bus/bus.h"
#include "bus/subjects.h"
#include "history/event_rows.h"
#include "history/pages.h"
#include "history/pg.h"

/* How far the clocks of NATS and of this machine may differ */
#define CLOCK_MARGIN_NS INT64_C(250000000)
/* What was stored a moment ago is ingested in the next: so often is looked once more before "not there" is said */
enum { TRIES_MAX = 10, TRY_MS = 50 };

#define FOUND                                                                                                          \
        "SELECT s.last_seq, s.last_time_ns, s.epoch, x.* FROM (SELECT last_seq, last_time_ns, epoch FROM streams WHERE name = $1::text) s LEFT JOIN LATERAL ("
static const struct pg_stmt stmt_identity = {"lookup_identity",
                                             FOUND "SELECT " EVENT_COLUMNS " FROM " EVENT_TABLES
                                                   " WHERE e.channel_id = $2::text AND e.actor_id = $3::text "
                                                   "AND e.id = $4::text) x ON true"};
static const struct pg_stmt stmt_event = {"lookup_event",
                                          FOUND "SELECT " EVENT_COLUMNS " FROM " EVENT_TABLES
                                                " WHERE e.channel_id = $2::text AND e.seq = $3::bigint) x ON true"};

struct lookup {
        struct env *env;
        char stream[SUBJECT_MAX];
        char channel_id[IDENT_MAX + 1], actor_id[IDENT_MAX + 1], id[UUID_LEN + 1];
        int64_t asked_ns;
        bool log_known;
        uint64_t log_seq, log_epoch; /* the log's end, not before asked_ns */
        unsigned tries;
        struct ticker *ticker;
        lookup_handler handler;
        void *userdata;
};

static void lookup_free(struct lookup *l)
{
        ticker_free(l->ticker);
        free(l);
}

static void find(struct lookup *l);

static void on_tick(void *userdata)
{
        find(userdata);
}

/* Ingest has reached the end that the log had when we were asked. The end of another log says nothing about this one. */
static bool reached(const struct lookup *l, uint64_t epoch, uint64_t ingested_seq)
{
        return l->log_known && epoch == l->log_epoch && ingested_seq >= l->log_seq;
}

static bool look_again(struct lookup *l, bool found, bool all)
{
        if (found || !l->log_known || all || ++l->tries > TRIES_MAX)
                return false;
        if (!l->ticker)
                l->ticker = ticker_new(l->env->loop, on_tick, l);
        if (!l->ticker)
                return false;
        ticker_start(l->ticker, TRY_MS, 0);
        return true;
}

static void on_found(int error, const struct pg_results *r, void *userdata)
{
        struct lookup *l = userdata;
        struct lookup_result result = {0};
        struct event_rows rows = {0};
        bool all = false;
        size_t n;

        if (!error)
                error = event_rows_read(r, 0, 0, pg_rows(r, 0), 3, &rows);
        if (!error && pg_rows(r, 0)) {
                result.ingested_seq = (uint64_t)pg_i64(r, 0, 0, 0);
                result.ingested_through_ns = pg_i64(r, 0, 0, 1);
                all = reached(l, (uint64_t)pg_i64(r, 0, 0, 2), result.ingested_seq);
                if (all)
                        result.ingested_through_ns = l->asked_ns - CLOCK_MARGIN_NS;
        }
        if (rows.n) {
                const uint8_t *fingerprint = pg_bytes(r, 0, 0, 3 + EVENT_COLUMN_FINGERPRINT, &n);

                result.event = rows.events[0];
                result.fingerprint = n == FINGERPRINT_LEN ? fingerprint : NULL;
        }
        if (error || !look_again(l, result.event, all)) {
                l->handler(error, error ? NULL : &result, l->userdata);
                lookup_free(l);
        }
        event_rows_done(&rows);
}

static void find(struct lookup *l)
{
        struct pg_job *job = pg_job_new(PG_READ);

        if (!job) {
                l->handler(-ENOMEM, NULL, l->userdata);
                lookup_free(l);
                return;
        }
        pg_job_add(job, &stmt_identity);
        pg_arg_text(job, l->stream);
        pg_arg_text(job, l->channel_id);
        pg_arg_text(job, l->actor_id);
        pg_arg_text(job, l->id);
        pg_run(l->env->pg, job, 0, on_found, l);
}

static void on_info(int error, const struct bus_stream_info *info, const char *text, void *userdata)
{
        struct lookup *l = userdata;

        (void)text;
        l->log_known = error == 0;
        l->log_seq = error ? 0 : info->last_seq;
        l->log_epoch = error ? 0 : info->epoch;
        find(l);
}

static struct lookup *lookup_new(struct env *env, const char *channel_id, lookup_handler handler, void *userdata)
{
        struct lookup *l = calloc(1, sizeof(*l));

        if (!l)
                return NULL;
        *l = (struct lookup){.env = env, .asked_ns = env_now_ns(), .handler = handler, .userdata = userdata};
        (void)snprintf(l->channel_id, sizeof(l->channel_id), "%s", channel_id);
        pages_stream_of(env, channel_id, l->stream);
        return l;
}

int lookup_run(struct env *env, const char *channel_id, const char *actor_id, const char *id, lookup_handler handler,
               void *userdata)
{
        struct lookup *l = lookup_new(env, channel_id, handler, userdata);

        if (!l)
                return -ENOMEM;
        (void)snprintf(l->actor_id, sizeof(l->actor_id), "%s", actor_id);
        (void)snprintf(l->id, sizeof(l->id), "%s", id);
        /* The log's end first: then what is found in Postgres is at least as new. */
        if (bus_stream_info(env->bus, l->stream, on_info, l) != 0)
                find(l);
        return 0;
}

int lookup_event(struct env *env, const char *channel_id, uint64_t seq, lookup_handler handler, void *userdata)
{
        struct lookup *l = lookup_new(env, channel_id, handler, userdata);
        struct pg_job *job = pg_job_new(PG_READ);

        if (!l || !job) {
                free(l);
                pg_job_free(job);
                return -ENOMEM;
        }
        pg_job_add(job, &stmt_event);
        pg_arg_text(job, l->stream);
        pg_arg_text(job, channel_id);
        pg_arg_i64(job, seq > INT64_MAX ? INT64_MAX : (int64_t)seq);
        pg_run(env->pg, job, 0, on_found, l);
        return 0;
}
