/* One change after its PubAck: the sequence, the bucket, the gateways, whoever waits. */
#include "history/outbox_row.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "history/bucket.h"
#include "history/bucket_leave.h"
#include "history/gateways.h"
#include "history/waiters.h"
#include "parley/v1/internal.pb-c.h"

/* GREATEST: ingest may have been here first, and it knows more. */
static const struct pg_stmt stmt_since = {
        "outbox_since",
        "UPDATE members SET since_seq = GREATEST(since_seq, $3::bigint) WHERE channel_id = $1::text AND user_id = $2::text"};
static const struct pg_stmt stmt_left = {
        "outbox_left",
        "UPDATE members SET left_seq = GREATEST(left_seq, $3::bigint) WHERE channel_id = $1::text AND user_id = $2::text"};
static const struct pg_stmt stmt_done = {"outbox_done", "SELECT pg_notify('" NOTIFY_DONE "', $1::text)"};

static void row_free(struct outbox *o, struct outbox_row *row)
{
        HASH_DEL(o->rows, row);
        free(row->payload);
        free(row);
}

int outbox_row_add(struct outbox *o, const struct pg_results *r, unsigned i)
{
        struct outbox_row *row = calloc(1, sizeof(*row));
        const uint8_t *payload;

        if (!row)
                return -ENOMEM;
        row->outbox = o;
        row->id = pg_i64(r, 0, i, 0);
        (void)snprintf(row->channel_id, sizeof(row->channel_id), "%s", pg_text(r, 0, i, 1));
        (void)snprintf(row->actor_id, sizeof(row->actor_id), "%s", pg_text(r, 0, i, 2));
        (void)snprintf(row->event_id, sizeof(row->event_id), "%s", pg_text(r, 0, i, 3));
        row->kind = (int)pg_i64(r, 0, i, 4);
        (void)snprintf(row->user_id, sizeof(row->user_id), "%s", pg_text(r, 0, i, 5));
        row->role = (int)pg_i64(r, 0, i, 6);
        row->version = (uint64_t)pg_i64(r, 0, i, 7);
        payload = pg_bytes(r, 0, i, 8, &row->n_payload);
        row->payload = malloc(row->n_payload + 1);
        if (!row->payload) {
                free(row);
                return -ENOMEM;
        }
        memcpy(row->payload, payload, row->n_payload);
        HASH_ADD(hh, o->rows, id, sizeof(row->id), row);
        if (!row->hh.tbl) {
                free(row->payload);
                free(row);
                return -ENOMEM;
        }
        return 0;
}

unsigned outbox_rows_waiting(const struct outbox *o)
{
        unsigned n = 0;

        for (const struct outbox_row *row = o->rows; row; row = row->hh.next)
                n += row->state != OUTBOX_FINISHED;
        return n;
}

static void forget(struct outbox *o, bool (*which)(const struct outbox *o, const struct outbox_row *row))
{
        struct outbox_row *row, *tmp;

        HASH_ITER (hh, o->rows, row, tmp) {
                if (which(o, row))
                        row_free(o, row);
        }
}

static bool any(const struct outbox *o, const struct outbox_row *row)
{
        (void)o;
        (void)row;
        return true;
}

static bool waiting(const struct outbox *o, const struct outbox_row *row)
{
        (void)o;
        return row->state == OUTBOX_WAITING;
}

static bool ingested(const struct outbox *o, const struct outbox_row *row)
{
        return row->state == OUTBOX_FINISHED && row->seq <= o->ingested;
}

/* Nothing is under way any more */
void outbox_rows_forget(struct outbox *o)
{
        forget(o, any);
}

void outbox_rows_forget_waiting(struct outbox *o)
{
        forget(o, waiting);
}

void outbox_rows_forget_ingested(struct outbox *o)
{
        forget(o, ingested);
}

/* --- the last step: whoever waits --- */

static void on_told(int error, const struct pg_results *r, void *userdata)
{
        (void)error; /* then the one who waits answers 202 */
        (void)r;
        (void)userdata;
}

static void finished(struct outbox_row *row, bool confirmed)
{
        struct outbox *o = row->outbox;
        char text[WAITERS_TEXT_MAX];
        struct pg_job *job;

        row->state = OUTBOX_FINISHED;
        if (!waiters_done(o->env->waiters, row->event_id, row->seq, confirmed)) {
                /* the request may have come to another instance */
                job = pg_job_new(PG_READ);
                if (job) {
                        waiters_format(text, row->event_id, row->seq, confirmed);
                        pg_job_add(job, &stmt_done);
                        pg_arg_text(job, text);
                        pg_run(o->env->pg_worker, job, 0, on_told, NULL);
                }
        }
        o->n_active--;
        outbox_rows_forget_ingested(o);
        outbox_row_over(o);
}

static void on_confirmed(bool confirmed, void *userdata)
{
        finished(userdata, confirmed);
}

static void tell_gateways(struct outbox_row *row)
{
        Parley__V1__MembershipChange change = PARLEY__V1__MEMBERSHIP_CHANGE__INIT;

        change.channel_id = row->channel_id;
        change.user_id = row->user_id;
        change.role = (Parley__V1__Role)row->role;
        change.seq = row->seq;
        change.version = row->version;
        gateways_confirm(row->outbox->env->gateways, &change, on_confirmed, row);
}

static void on_left_written(int error, void *userdata)
{
        struct outbox_row *row = userdata;

        if (error)
                log_warn("where a membership ended is not in the bucket yet", LOG_S("channel", row->channel_id),
                         LOG_S("user", row->user_id), LOG_I("error", error));
        tell_gateways(row);
}

static void on_synced(int error, void *userdata)
{
        struct outbox_row *row = userdata;
        int r;

        /* The entry stays marked and is written later; the gateways are told in any case. */
        if (error)
                log_warn("a bucket is behind", LOG_S("channel", row->channel_id), LOG_S("user", row->user_id),
                         LOG_I("error", error));
        if (!*row->user_id) {
                finished(row, error == 0);
                return;
        }
        if (!error || row->kind != PARLEY__V1__EVENT__BODY_MEMBER_LEFT) {
                tell_gateways(row);
                return;
        }
        /* Postgres is away: the row itself knows enough */
        r = bucket_leave(row->outbox->env, row->user_id, row->channel_id, row->version, row->seq, on_left_written, row);
        if (r != 0)
                on_left_written(r, row);
}

static void on_marked(int error, void *userdata)
{
        struct outbox_row *row = userdata;

        /* nothing will make it fit, and nobody can read it: the log tells the gateways */
        if (error == -EBADMSG || error == -E2BIG) {
                log_error("a leaving cannot be written to a bucket", LOG_S("channel", row->channel_id),
                          LOG_S("user", row->user_id), LOG_I("error", error));
                error = 0;
        }
        row->marked = error == 0;
        outbox_row_marked(row, error);
}

int outbox_row_mark(struct outbox_row *row)
{
        return bucket_leave(row->outbox->env, row->user_id, row->channel_id, row->version, 0, on_marked, row);
}

static void sync_bucket(struct outbox_row *row)
{
        bool user = *row->user_id != '\0';
        int r = bucket_sync(row->outbox->env, user ? BUCKET_USER : BUCKET_CHANNEL,
                            user ? row->user_id : row->channel_id, on_synced, row);

        if (r != 0)
                on_synced(r, row);
}

static void on_sequence_written(int error, const struct pg_results *r, void *userdata)
{
        (void)error; /* ingest writes it as well */
        (void)r;
        sync_bucket(userdata);
}

void outbox_row_finish(struct outbox_row *row)
{
        bool left = row->kind == PARLEY__V1__EVENT__BODY_MEMBER_LEFT,
             joined = row->kind == PARLEY__V1__EVENT__BODY_MEMBER_JOINED;
        struct pg_job *job = left || joined ? pg_job_new(PG_WRITE) : NULL;

        row->outbox->n_active++;
        if (!job) {
                sync_bucket(row);
                return;
        }
        pg_job_add(job, left ? &stmt_left : &stmt_since);
        pg_arg_text(job, row->channel_id);
        pg_arg_text(job, row->user_id);
        pg_arg_i64(job, (int64_t)row->seq);
        pg_run(row->outbox->env->pg_worker, job, 0, on_sequence_written, row);
}
