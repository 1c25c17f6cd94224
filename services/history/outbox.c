#include "history/outbox.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/ticker.h"
#include "bus/bus.h"
#include "bus/subjects.h"
#include "history/bucket.h"
#include "history/gateways.h"
#include "history/history_metrics.h"
#include "history/outbox_row.h"
#include "history/waiters.h"

enum { PERIOD_MS = 1000, BARRIER_MS = 50, ROWS_MAX = 256 };

static const struct pg_stmt stmt_load = {
        "outbox_load", "SELECT id, channel_id, actor_id, event_id, kind, user_id, role, version, payload FROM outbox "
                       "WHERE shard = $1::integer AND id <> ALL ($2::bigint[]) ORDER BY id LIMIT $3::bigint"};

static void next(struct outbox *o);

static void maybe_stopped(struct outbox *o)
{
        void (*done)(void *userdata) = o->stop_done;

        if (o->running || o->loading || o->asking || o->n_active || !done)
                return;
        o->stop_done = NULL;
        outbox_rows_forget(o);
        done(o->stop_userdata);
}

/* --- the barrier --- */

static void on_info(int error, const struct bus_stream_info *info, const char *text, void *userdata)
{
        struct outbox *o = userdata;

        (void)text;
        o->asking = false;
        if (error == 0) {
                o->barrier = OUTBOX_BARRIER_WAITING;
                o->barrier_seq = info->last_seq;
        }
        if (o->running)
                next(o);
        else
                maybe_stopped(o);
}

static void raise_barrier(struct outbox *o)
{
        char stream[SUBJECT_MAX];

        if (o->asking || o->n_active)
                return; /* what is under way must end first: its outcome counts */
        subject_chat_stream(stream, o->shard);
        if (bus_stream_info(o->env->bus, stream, on_info, o) == 0)
                o->asking = true;
}

/* --- loading --- */

static void on_loaded(int error, const struct pg_results *r, void *userdata)
{
        struct outbox *o = userdata;

        o->loading = false;
        if (error == 0) {
                for (unsigned i = 0; i < pg_rows(r, 0); i++)
                        if (outbox_row_add(o, r, i) < 0)
                                break; /* the rest with the next turn */
                o->empty = pg_rows(r, 0) == 0;
        }
        if (!o->running) {
                maybe_stopped(o);
                return;
        }
        if (error)
                return; /* not at once again: with the next tick */
        if (o->again) {
                o->again = false;
                o->empty = false;
        }
        next(o);
}

static void load(struct outbox *o)
{
        struct pg_job *job = pg_job_new(PG_READ);
        struct pg_array known;
        unsigned n = HASH_COUNT(o->rows);

        if (!job)
                return;
        pg_array_init(&known, PG_INT8, SIZE_MAX);
        for (const struct outbox_row *row = o->rows; row; row = row->hh.next)
                pg_array_i64(&known, row->id);
        pg_job_add(job, &stmt_load);
        pg_arg_i32(job, (int32_t)o->shard);
        pg_arg_array(job, &known);
        pg_arg_i64(job, ROWS_MAX - n);
        pg_array_done(&known);
        o->loading = true;
        pg_run(o->env->pg_worker, job, 0, on_loaded, o);
}

/* --- publishing --- */

static void on_ack(int error, const struct bus_ack *ack, const char *text, void *userdata)
{
        struct outbox_row *row = userdata;
        struct outbox *o = row->outbox;

        o->n_active--;
        if (error) {
                log_warn("a change is not published yet", LOG_S("channel", row->channel_id),
                         LOG_S("event", row->event_id), LOG_S("why", text && *text ? text : bus_error_text(error)));
                row->state = OUTBOX_WAITING;
                /* refused is certain: the log is full, or there is none */
                if (error != BUS_E_REFUSED && error != BUS_E_NO_RESPONDERS)
                        o->barrier = OUTBOX_BARRIER_NEEDED;
        } else {
                (void)FAILPOINT("history.outbox.after_puback");
                metric_add(&metric_outbox_published, 1);
                row->seq = ack->seq;
                row->state = OUTBOX_PUBLISHED;
                outbox_row_finish(row);
        }
        if (!o->running)
                maybe_stopped(o);
        else if (!error)
                next(o);
}

static bool earlier_waits(const struct outbox_row *row)
{
        for (const struct outbox_row *other = row->outbox->rows; other && other != row; other = other->hh.next)
                if (other->state < OUTBOX_PUBLISHED && strcmp(other->channel_id, row->channel_id) == 0)
                        return true;
        return false;
}

void outbox_row_marked(struct outbox_row *row, int error)
{
        struct outbox *o = row->outbox;

        o->n_active--;
        row->state = OUTBOX_WAITING;
        if (error)
                log_warn("a bucket cannot be told of a leaving yet", LOG_S("channel", row->channel_id),
                         LOG_S("user", row->user_id), LOG_I("error", error));
        if (!o->running)
                maybe_stopped(o);
        else if (!error)
                next(o); /* else with the next tick */
}

static void publish(struct outbox_row *row)
{
        struct outbox *o = row->outbox;
        char subject[SUBJECT_MAX], msg_id[SUBJECT_MAX];

        if (outbox_row_must_mark(row)) {
                if (outbox_row_mark(row) != 0)
                        return;
                row->state = OUTBOX_MARKING;
                o->n_active++;
                return;
        }
        subject_chat(subject, o->shard, row->channel_id);
        subject_msg_id(msg_id, row->channel_id, row->actor_id, row->event_id);
        if (bus_publish_stream(o->env->bus, subject, msg_id, row->payload, row->n_payload, NULL, on_ack, row) != 0)
                return;
        row->state = OUTBOX_SENT;
        o->n_active++;
}

/* --- what is to be done now --- */

static void next(struct outbox *o)
{
        metric_set(&metric_outbox_rows, outbox_rows_waiting(o));
        if (!bus_connected(o->env->bus))
                return;
        if (o->barrier == OUTBOX_BARRIER_NEEDED) {
                raise_barrier(o);
                return;
        }
        if (o->barrier == OUTBOX_BARRIER_WAITING) {
                if (o->ingested < o->barrier_seq)
                        return;
                /* Rows that were read before may be ingested by now. */
                o->barrier = OUTBOX_BARRIER_PASSED;
                outbox_rows_forget_waiting(o);
                o->empty = false;
        }
        for (struct outbox_row *row = o->rows; row; row = row->hh.next)
                if (row->state == OUTBOX_WAITING && !earlier_waits(row))
                        publish(row);
        if (!o->empty && !o->loading && HASH_COUNT(o->rows) < ROWS_MAX)
                load(o);
}

void outbox_row_over(struct outbox *o)
{
        if (o->running)
                next(o);
        else
                maybe_stopped(o);
}

static void on_tick(void *userdata)
{
        outbox_wake(userdata);
}

void outbox_wake(struct outbox *o)
{
        if (!o->running)
                return;
        o->empty = false;
        o->again = o->loading;
        next(o);
}

void outbox_ingested(struct outbox *o, uint64_t last_seq)
{
        bool waited = o->barrier == OUTBOX_BARRIER_WAITING && o->ingested < o->barrier_seq;

        o->ingested = last_seq;
        outbox_rows_forget_ingested(o);
        if (o->running && waited && o->ingested >= o->barrier_seq)
                next(o);
}

void outbox_uncertain(struct outbox *o)
{
        o->barrier = OUTBOX_BARRIER_NEEDED;
        outbox_wake(o);
}

/* --- life --- */

int outbox_new(struct outbox **ret_outbox, struct env *env, unsigned shard)
{
        struct outbox *o = calloc(1, sizeof(*o));

        if (!o)
                return -ENOMEM;
        o->env = env;
        o->shard = shard;
        o->ticker = ticker_new(env->loop, on_tick, o);
        if (!o->ticker) {
                free(o);
                return -ENOMEM;
        }
        *ret_outbox = o;
        return 0;
}

void outbox_free(struct outbox *o)
{
        if (!o)
                return;
        outbox_rows_forget(o);
        ticker_free(o->ticker);
        free(o);
}

void outbox_start(struct outbox *o, uint64_t ingested_seq)
{
        o->running = true;
        o->ingested = ingested_seq;
        o->barrier = OUTBOX_BARRIER_NEEDED;
        o->empty = false;
        ticker_start(o->ticker, 0, PERIOD_MS);
}

void outbox_stop(struct outbox *o, void (*done)(void *userdata), void *userdata)
{
        o->running = false;
        o->stop_done = done;
        o->stop_userdata = userdata;
        ticker_stop(o->ticker);
        maybe_stopped(o);
}
