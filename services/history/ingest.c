/* Reading: batches from the log, one filled while the other is applied. */
#include "history/ingest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "bus/bus.h"
#include "history/history_metrics.h"
#include "history/ingest_impl.h"

enum { BATCH_BYTES = 4 << 20 };

static void forget_lag(struct ingest *in)
{
        in->pending = 0;
        in->oldest_ns = 0;
}

/* Read, and not committed. The batch that is applied is empty between two. */
static unsigned unapplied(const struct ingest *in)
{
        const struct ingest_batch *applied = &in->batches[!in->filling];

        return in->batches[in->filling].n + (applied->n ? applied->n - in->part.done : 0);
}

static void finish_if_idle(struct ingest *in)
{
        if (!in->stopping || in->applying || ticker_active(in->retry))
                return;
        in->running = in->stopping = false;
        bus_reader_free(in->reader);
        in->reader = NULL;
        in->pending += unapplied(in); /* they are read again */
        ingest_batch_reset(&in->batches[0]);
        ingest_batch_reset(&in->batches[1]);
        in->events.ended(in->end, in->why, in->events.userdata);
}

static void end(struct ingest *in, enum ingest_end how, const char *why)
{
        if (in->stopping)
                return;
        in->stopping = true;
        in->end = how;
        (void)snprintf(in->why, sizeof(in->why), "%s", why);
}

/* From within the work on a batch, which is over with this */
void ingest_fail(struct ingest *in, enum ingest_end how, const char *what, const char *why)
{
        char text[sizeof(in->why)];

        (void)snprintf(text, sizeof(text), "%s: %s", what, why);
        end(in, how, text);
        in->applying = false;
        finish_if_idle(in);
}

/* --- applying --- */

static void apply_filled(struct ingest *in)
{
        in->filling = !in->filling;
        in->filled = false;
        in->applying = true;
        in->resolved = false;
        in->batch_began_ns = env_mono_ns();
        bisect_init(&in->part, ingest_applying(in)->n);
        if (ingest_batch_close(ingest_applying(in)) < 0) {
                ingest_fail(in, INGEST_FAILED, "batch", strerror(ENOMEM));
                return;
        }
        ingest_dead_letters(in);
}

static void announce(struct ingest *in)
{
        const struct ingest_batch *b = ingest_applying(in);

        for (unsigned i = in->part.done; i < in->part.end; i++) {
                const struct ingest_item *item = &b->items[i];

                if (item->verdict != INGEST_SKIP)
                        in->events.head(item->channel_id, item->seq, in->events.userdata);
                if (item->verdict == INGEST_DUPLICATE)
                        metric_add(&metric_duplicates, 1);
        }
        metric_add(&metric_ingested, in->part.end - in->part.done);
        metric_add(&metric_batches, 1);
        in->events.committed(in->last_seq, in->events.userdata);
}

/* The oldest of what is not committed; when that is not read yet, at most as old as the last that is */
static int64_t oldest_after(const struct ingest *in, const struct ingest_batch *b)
{
        const struct ingest_batch *filling = &in->batches[in->filling];

        if (in->part.end < b->n)
                return b->items[in->part.end].time_ns;
        if (filling->n)
                return filling->items[0].time_ns;
        return in->pending ? b->items[in->part.end - 1].time_ns : 0;
}

/* [done, end) of the batch is committed */
void ingest_part_done(struct ingest *in)
{
        struct ingest_batch *b = ingest_applying(in);

        (void)FAILPOINT("history.ingest.after_commit");
        in->last_seq = b->items[in->part.end - 1].seq;
        in->oldest_ns = oldest_after(in, b);
        announce(in);
        bisect_ok(&in->part);
        if (!bisect_finished(&in->part)) {
                if (in->stopping) {
                        in->applying = false;
                        finish_if_idle(in);
                } else {
                        ingest_dead_letters(in);
                }
                return;
        }
        metric_observe(&metric_batch_seconds, (double)(env_mono_ns() - in->batch_began_ns) / 1e9);
        ingest_batch_reset(b);
        in->applying = false;
        if (in->stopping) {
                finish_if_idle(in);
        } else if (in->filled) {
                apply_filled(in);
                if (in->reader && !in->stopping)
                        bus_reader_next(in->reader);
        }
}

/* --- reading --- */

static void on_message(const struct bus_msg *msg, void *userdata)
{
        struct ingest *in = userdata;
        int r;

        if (in->stopping)
                return;
        in->pending = msg->pending;
        if (!in->oldest_ns)
                in->oldest_ns = msg->time_ns;
        r = ingest_batch_add(&in->batches[in->filling], &in->limits, msg->subject, msg->data, msg->len, msg->seq,
                             msg->time_ns);
        if (r < 0)
                end(in, INGEST_FAILED, strerror(-r));
}

static void on_batch_end(int error, unsigned n, void *userdata)
{
        struct ingest *in = userdata;
        bool unanswered = error == BUS_E_DISCONNECTED || error == BUS_E_TIMEOUT;

        (void)n;
        if (unanswered)
                error = 0; /* the reader goes on by itself */
        if (error && !in->stopping)
                end(in, INGEST_FAILED, bus_error_text(error));
        if (in->stopping) {
                finish_if_idle(in);
                return;
        }
        if (in->batches[in->filling].n == 0) {
                if (!unanswered && !unapplied(in))
                        forget_lag(in);
                bus_reader_next(in->reader);
        } else if (in->applying) {
                in->filled = true;
        } else {
                apply_filled(in);
                if (in->reader && !in->stopping)
                        bus_reader_next(in->reader);
        }
}

/* --- life --- */

static void on_retry(void *userdata)
{
        struct ingest *in = userdata;

        if (in->stopping) {
                in->applying = false;
                finish_if_idle(in);
        } else {
                ingest_dead_letters(in);
        }
}

int ingest_new(struct ingest **ret_ingest, struct env *env, const char *stream, const struct ingest_events *events)
{
        struct ingest *in = calloc(1, sizeof(*in));

        if (!in)
                return -ENOMEM;
        in->env = env;
        in->events = *events;
        in->limits.max_event_bytes = env->config->max_event_bytes;
        (void)snprintf(in->stream, sizeof(in->stream), "%s", stream);
        in->retry = ticker_new(env->loop, on_retry, in);
        if (!in->retry) {
                free(in);
                return -ENOMEM;
        }
        *ret_ingest = in;
        return 0;
}

void ingest_free(struct ingest *in)
{
        if (!in)
                return;
        ticker_free(in->retry);
        ingest_batch_done(&in->batches[0]);
        ingest_batch_done(&in->batches[1]);
        free(in);
}

void ingest_start(struct ingest *in, uint64_t epoch, uint64_t last_seq)
{
        const struct history_config *c = in->env->config;
        const struct bus_reader_options options = {.stream = in->stream,
                                                   .start_seq = last_seq + 1,
                                                   .batch = (uint32_t)c->ingest_batch,
                                                   .batch_bytes = BATCH_BYTES,
                                                   .linger_ms = (uint32_t)c->ingest_linger_ms,
                                                   .whole = true,
                                                   .handler = on_message,
                                                   .batch_end = on_batch_end,
                                                   .userdata = in};
        int r;

        in->running = true;
        in->stopping = in->filled = in->applying = false;
        in->filling = 0;
        if (in->epoch != epoch || in->last_seq != last_seq)
                forget_lag(in); /* somebody else went on meanwhile */
        in->epoch = epoch;
        in->last_seq = last_seq;
        in->last_mark_ns = 0;
        r = bus_reader_new(&in->reader, in->env->bus, &options);
        if (r != 0) {
                in->reader = NULL;
                ingest_fail(in, INGEST_FAILED, "reader", r < 0 ? strerror(-r) : bus_error_text(r));
        }
}

void ingest_stop(struct ingest *in)
{
        if (!in->running) {
                in->events.ended(INGEST_STOPPED, "not running", in->events.userdata);
                return;
        }
        end(in, INGEST_STOPPED, "stopped");
        if (ticker_active(in->retry)) {
                ticker_stop(in->retry);
                in->applying = false;
        }
        finish_if_idle(in);
}

void ingest_retry_later(struct ingest *in, uint32_t ms)
{
        ticker_start(in->retry, ms, 0);
}

uint64_t ingest_last_seq(const struct ingest *in)
{
        return in->last_seq;
}

uint64_t ingest_epoch(const struct ingest *in)
{
        return in->epoch;
}

void ingest_lag(const struct ingest *in, uint64_t *ret_events, double *ret_seconds)
{
        int64_t age_ns = in->oldest_ns ? env_now_ns() - in->oldest_ns : 0;

        *ret_events = in->pending + unapplied(in);
        *ret_seconds = age_ns > 0 ? (double)age_ns / 1e9 : 0;
}
