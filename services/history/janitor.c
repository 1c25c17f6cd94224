#include "history/janitor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/ticker.h"
#include "bus/bus.h"
#include "bus/subjects.h"
#include "history/history_metrics.h"
#include "history/pg.h"
#include "history/trim_core.h"

/* Secure deletes run at about 1,400/s in one server: 16 at once keep it busy and leave room for the rest. */
enum { PERIOD_MS = 500, DELETIONS_LOADED = 256, DELETIONS_AT_ONCE = 16 };
#define TRIM_MIN_MS UINT64_C(1000)
#define TRIM_MAX_MS UINT64_C(600000)

static const struct pg_stmt stmt_load = {
        "janitor_load", "SELECT seq FROM log_deletions WHERE stream = $1::text ORDER BY seq LIMIT $2::bigint"};
static const struct pg_stmt stmt_done = {
        "janitor_done", "DELETE FROM log_deletions WHERE stream = $1::text AND seq = ANY($2::bigint[])"};
static const struct pg_stmt stmt_mark = {
        "janitor_mark", "SELECT max(seq) FROM ingest_marks WHERE stream = $1::text AND at_ns < $2::bigint"};
static const struct pg_stmt stmt_cursor = {"janitor_cursor",
                                           "SELECT epoch, last_seq FROM streams WHERE name = $1::text"};
static const struct pg_stmt stmt_trimmed = {"janitor_trimmed",
                                            "DELETE FROM ingest_marks WHERE stream = $1::text AND seq <= $2::bigint"};

struct deletion {
        struct janitor *janitor;
        uint64_t seq;
};

struct janitor {
        struct env *env;
        char stream[SUBJECT_MAX];
        struct ticker *ticker;
        bool running, deleting, trimming;
        struct deletion items[DELETIONS_LOADED];
        unsigned n, next, in_flight;
        struct pg_array gone; /* deleted, to be crossed off the list */
        uint64_t next_trim_ms, trim_seq;
        struct trim_log log;         /* as it was at the last look */
        bool full, full_told, early; /* early: the trim under way is because of its size */
        void (*stop_done)(void *userdata);
        void *stop_userdata;
};

static void maybe_stopped(struct janitor *j)
{
        void (*done)(void *userdata) = j->stop_done;

        if (j->running || j->deleting || j->trimming || !done)
                return;
        j->stop_done = NULL;
        done(j->stop_userdata);
}

/* --- deletions: load, delete, cross off --- */

static void deletions_over(struct janitor *j)
{
        j->deleting = false;
        maybe_stopped(j);
}

static void on_crossed_off(int error, const struct pg_results *r, void *userdata)
{
        struct janitor *j = userdata;

        /* When it failed they are deleted once more, which finds nothing. */
        if (error == 0)
                metric_add(&metric_log_deletions, (double)pg_affected(r, 0));
        deletions_over(j);
}

static void cross_off(struct janitor *j)
{
        struct pg_job *job = j->gone.n ? pg_job_new(PG_WRITE) : NULL;

        if (job) {
                pg_job_add(job, &stmt_done);
                pg_arg_text(job, j->stream);
                pg_arg_array(job, &j->gone);
        }
        pg_array_done(&j->gone);
        if (job)
                pg_run(j->env->pg_worker, job, 0, on_crossed_off, j);
        else
                deletions_over(j);
}

static void delete_some(struct janitor *j);

static void on_deleted(int error, const char *text, void *userdata)
{
        struct deletion *d = userdata;
        struct janitor *j = d->janitor;

        j->in_flight--;
        if (error == 0 || error == BUS_E_NOT_FOUND) {
                pg_array_i64(&j->gone, (int64_t)d->seq);
        } else {
                log_warn("a deleted message is still in the log", LOG_S("stream", j->stream), LOG_U("seq", d->seq),
                         LOG_S("why", text && *text ? text : bus_error_text(error)));
                j->next = j->n; /* the others with the next turn */
        }
        delete_some(j);
}

static void delete_some(struct janitor *j)
{
        while (j->running && j->next < j->n && j->in_flight < DELETIONS_AT_ONCE) {
                struct deletion *d = &j->items[j->next];

                if (bus_stream_delete(j->env->bus, j->stream, d->seq, true, on_deleted, d) != 0) {
                        j->next = j->n;
                        break;
                }
                j->next++;
                j->in_flight++;
        }
        if (j->in_flight == 0)
                cross_off(j);
}

static void on_loaded(int error, const struct pg_results *r, void *userdata)
{
        struct janitor *j = userdata;

        j->n = error ? 0 : pg_rows(r, 0);
        metric_set(&metric_log_deletions_waiting, j->n);
        if (j->n == 0) {
                deletions_over(j);
                return;
        }
        for (unsigned i = 0; i < j->n; i++)
                j->items[i] = (struct deletion){.janitor = j, .seq = (uint64_t)pg_i64(r, 0, i, 0)};
        j->next = 0;
        pg_array_init(&j->gone, PG_INT8, SIZE_MAX);
        delete_some(j);
}

static void load_deletions(struct janitor *j)
{
        struct pg_job *job = pg_job_new(PG_READ);

        if (!job)
                return;
        j->deleting = true;
        pg_job_add(job, &stmt_load);
        pg_arg_text(job, j->stream);
        pg_arg_i64(job, DELETIONS_LOADED);
        pg_run(j->env->pg_worker, job, 0, on_loaded, j);
}

/* --- trimming: which sequence (by age, or by size), trim, forget the marks --- */

static void trim_over(struct janitor *j)
{
        j->trimming = false;
        maybe_stopped(j);
}

static void on_marks_forgotten(int error, const struct pg_results *r, void *userdata)
{
        (void)error; /* trimmed again with the next turn, which changes nothing */
        (void)r;
        trim_over(userdata);
}

static void on_trimmed(int error, const char *text, void *userdata)
{
        struct janitor *j = userdata;
        struct pg_job *job;

        if (error) {
                log_warn("the log cannot be trimmed", LOG_S("stream", j->stream),
                         LOG_S("why", text && *text ? text : bus_error_text(error)));
                trim_over(j);
                return;
        }
        metric_add(j->early ? &metric_early_trims : &metric_trims, 1);
        log_debug("trimmed the log", LOG_S("stream", j->stream), LOG_U("through_seq", j->trim_seq));
        job = pg_job_new(PG_WRITE);
        if (!job) {
                trim_over(j);
                return;
        }
        pg_job_add(job, &stmt_trimmed);
        pg_arg_text(job, j->stream);
        pg_arg_i64(job, (int64_t)j->trim_seq);
        pg_run(j->env->pg_worker, job, 0, on_marks_forgotten, j);
}

static void trim_through(struct janitor *j, uint64_t seq)
{
        j->trim_seq = seq;
        if (!j->running || seq == 0 || bus_stream_trim(j->env->bus, j->stream, seq + 1, on_trimmed, j) != 0)
                trim_over(j);
}

static void on_mark(int error, const struct pg_results *r, void *userdata)
{
        struct janitor *j = userdata;

        trim_through(j, error || !pg_rows(r, 0) ? 0 : (uint64_t)pg_i64(r, 0, 0, 0));
}

static void trim_by_age(struct janitor *j, int64_t keep_ns)
{
        struct pg_job *job = pg_job_new(PG_READ);

        if (!job)
                return;
        j->trimming = true;
        j->early = false;
        pg_job_add(job, &stmt_mark);
        pg_arg_text(job, j->stream);
        pg_arg_i64(job, env_now_ns() - keep_ns);
        pg_run(j->env->pg_worker, job, 0, on_mark, j);
}

/* Without an answer of Postgres nothing is known to be ingested: the log fills, and refuses. */
static void on_cursor(int error, const struct pg_results *r, void *userdata)
{
        struct janitor *j = userdata;
        struct log_cursor cursor = {.exists = error == 0 && pg_rows(r, 0) > 0};
        uint64_t through;

        if (cursor.exists) {
                cursor.epoch = (uint64_t)pg_i64(r, 0, 0, 0);
                cursor.last_seq = (uint64_t)pg_i64(r, 0, 0, 1);
        }
        through = trim_decide(&j->log, &cursor, j->env->config->log_trim_percent, j->full).through_seq;
        j->full = true;
        if (through && !j->full_told) {
                j->full_told = true;
                log_warn("the log is filling up: what Postgres has of it is trimmed before its time",
                         LOG_S("stream", j->stream), LOG_U("bytes", j->log.bytes), LOG_U("max_bytes", j->log.max_bytes),
                         LOG_U("through_seq", through));
        }
        trim_through(j, through);
}

static void on_size(int error, const struct bus_stream_info *info, const char *text, void *userdata)
{
        static const struct log_cursor unknown = {0};
        struct janitor *j = userdata;
        struct pg_job *job;

        if (error) {
                log_warn("the size of the log is not known", LOG_S("stream", j->stream),
                         LOG_S("why", text && *text ? text : bus_error_text(error)));
                trim_over(j);
                return;
        }
        j->log = (struct trim_log){.epoch = info->epoch,
                                   .first_seq = info->first_seq,
                                   .last_seq = info->last_seq,
                                   .bytes = info->bytes,
                                   .max_bytes = info->max_bytes};
        if (!trim_decide(&j->log, &unknown, j->env->config->log_trim_percent, j->full).full) {
                j->full = j->full_told = false;
                trim_over(j);
                return;
        }
        job = pg_job_new(PG_READ);
        if (!job) {
                trim_over(j);
                return;
        }
        pg_job_add(job, &stmt_cursor);
        pg_arg_text(job, j->stream);
        pg_run(j->env->pg_worker, job, 0, on_cursor, j);
}

static void trim_by_size(struct janitor *j)
{
        j->trimming = j->early = true;
        if (bus_stream_info(j->env->bus, j->stream, on_size, j) != 0)
                trim_over(j);
}

/* --- life --- */

static void on_tick(void *userdata)
{
        struct janitor *j = userdata;
        int64_t keep_ns = history_config_keep_ns(j->env->config);
        uint64_t now = env_now_ms(j->env), every = (uint64_t)(keep_ns / 20 / 1000000);

        if (!bus_connected(j->env->bus))
                return;
        if (!j->deleting)
                load_deletions(j);
        if (keep_ns && !j->trimming && now >= j->next_trim_ms) {
                j->next_trim_ms = now + (every < TRIM_MIN_MS ? TRIM_MIN_MS : every > TRIM_MAX_MS ? TRIM_MAX_MS : every);
                trim_by_age(j, keep_ns);
        }
        if (!j->trimming)
                trim_by_size(j);
}

int janitor_new(struct janitor **ret_janitor, struct env *env, const char *stream)
{
        struct janitor *j = calloc(1, sizeof(*j));

        if (!j)
                return -ENOMEM;
        j->env = env;
        (void)snprintf(j->stream, sizeof(j->stream), "%s", stream);
        j->ticker = ticker_new(env->loop, on_tick, j);
        if (!j->ticker) {
                free(j);
                return -ENOMEM;
        }
        *ret_janitor = j;
        return 0;
}

void janitor_free(struct janitor *j)
{
        if (j)
                ticker_free(j->ticker);
        free(j);
}

void janitor_start(struct janitor *j)
{
        j->running = true;
        ticker_start(j->ticker, PERIOD_MS, PERIOD_MS);
}

void janitor_stop(struct janitor *j, void (*done)(void *userdata), void *userdata)
{
        j->running = false;
        j->stop_done = done;
        j->stop_userdata = userdata;
        ticker_stop(j->ticker);
        maybe_stopped(j);
}

double janitor_log_full(const struct janitor *j)
{
        return j->log.max_bytes ? (double)j->log.bytes / (double)j->log.max_bytes : 0;
}
