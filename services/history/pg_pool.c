/* The pool: who waits, who runs, and when to connect again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/ident.h"
#include "history/history_metrics.h"
#include "history/pg_internal.h"

/* ASKED_MS: who asks for a connection gets a try of his own, when the last one was so long ago */
enum {
        TICK_MS = 100,
        BACKOFF_MIN_MS = 100,
        BACKOFF_MAX_MS = 2000,
        ASKED_MS = 100,
        CONNECTING_MAX = 2,
        TIMEOUT_DEFAULT_MS = 6000
};

static uint64_t now_ms(const struct pg *pg)
{
        return uv_now(pg->options.loop);
}

static void maybe_closed(struct pg *pg);
static void connect_some(struct pg *pg);

/* --- jobs --- */

void pg_job_finished(struct pg *pg, struct pg_job *job)
{
        (void)pg;
        job->handler(job->error, job_results(job), job->userdata);
        pg_job_free(job);
}

static void on_report(uv_timer_t *timer)
{
        struct pg *pg = timer->data;
        struct pg_job *job = pg->failed, *next;

        /* what fails in a handler comes with the next report */
        pg->failed = NULL;
        pg->failed_tail = &pg->failed;
        for (; job; job = next) {
                next = job->next;
                pg_job_finished(pg, job);
        }
        maybe_closed(pg);
}

void pg_job_fail_later(struct pg *pg, struct pg_job *job)
{
        job->next = NULL;
        *pg->failed_tail = job;
        pg->failed_tail = &job->next;
        /* 1 and not 0: libuv before 1.45 runs a timer that its own callback starts with 0 at once, and nothing else ever again */
        (void)uv_timer_start(&pg->report, on_report, 1, 0);
}

static void fail_later(struct pg *pg, struct pg_job *job, int error)
{
        job->error = error;
        pg_job_fail_later(pg, job);
}

static struct pg_job *queue_pop(struct pg *pg)
{
        struct pg_job *job = pg->queue;

        if (!job)
                return NULL;
        pg->queue = job->next;
        if (!pg->queue)
                pg->queue_tail = &pg->queue;
        pg->n_queued--;
        return job;
}

static void fail_queue(struct pg *pg)
{
        struct pg_job *job;

        while ((job = queue_pop(pg)))
                fail_later(pg, job, PG_E_UNAVAILABLE);
}

/* Whether there is a connection, or soon may be: a database that is there again is not to be denied until the backoff has passed */
static bool worth_waiting(struct pg *pg)
{
        if (pg->n_ready || pg->n_connecting || !pg->tried)
                return true;
        if (now_ms(pg) < pg->failed_ms + ASKED_MS)
                return false;
        pg->retry_at_ms = 0;
        connect_some(pg);
        return pg->n_connecting > 0;
}

static void run(struct pg_conn *c, struct pg_job *job)
{
        metric_observe(&metric_pg_wait_seconds, (double)(now_ms(c->pg) - job->asked_ms) / 1e3);
        pg_conn_run(c, job);
}

void pg_run(struct pg *pg, struct pg_job *job, uint32_t timeout_ms, pg_handler handler, void *userdata)
{
        job->handler = handler;
        job->userdata = userdata;
        job->asked_ms = now_ms(pg);
        job->due_ms = job->asked_ms + (timeout_ms ? timeout_ms : TIMEOUT_DEFAULT_MS);
        if (job->build_error) {
                fail_later(pg, job, job->build_error);
                return;
        }
        if (pg->closing || pg->n_queued >= pg->options.max_queue || !worth_waiting(pg)) {
                fail_later(pg, job, PG_E_UNAVAILABLE);
                return;
        }
        for (unsigned i = 0; !pg->queue && i < pg->options.connections; i++)
                if (pg->conns[i].state == PG_CONN_IDLE) {
                        run(&pg->conns[i], job);
                        return;
                }
        job->next = NULL;
        *pg->queue_tail = job;
        pg->queue_tail = &job->next;
        pg->n_queued++;
}

/* --- connections --- */

static uint32_t next_backoff(struct pg *pg)
{
        uint16_t random;
        uint32_t base = pg->backoff_ms;

        pg->backoff_ms = base * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : base * 2;
        random_bytes(&random, sizeof(random));
        return base / 2 + base * random / UINT16_MAX;
}

static void on_connected(PGconn *pq, void *userdata)
{
        struct pg_conn *c = userdata;
        struct pg *pg = c->pg;
        bool first = pg->n_ready == 0;

        pg->n_connecting--;
        pg->tried = true;
        c->state = PG_CONN_DOWN;
        if (!pq || PQstatus(pq) != CONNECTION_OK || pg->closing) {
                char text[PG_MESSAGE_MAX];

                pg_first_line(text, sizeof(text), pg_connect_error(pq));
                PQfinish(pq);
                pg->failed_ms = now_ms(pg);
                pg->retry_at_ms = pg->failed_ms + next_backoff(pg);
                if (first) {
                        fail_queue(pg);
                        if (pg->options.on_state && !pg->closing)
                                pg->options.on_state(false, text, pg->options.userdata);
                }
                maybe_closed(pg);
                return;
        }
        pg->backoff_ms = BACKOFF_MIN_MS;
        pg->retry_at_ms = 0;
        pg->n_ready++;
        if (first && pg->options.on_state)
                pg->options.on_state(true, "connected", pg->options.userdata);
        pg_conn_start(c, pq);
}

static void connect_some(struct pg *pg)
{
        unsigned most = pg->n_ready ? CONNECTING_MAX : 1;

        if (pg->closing || now_ms(pg) < pg->retry_at_ms)
                return;
        for (unsigned i = 0; i < pg->options.connections && pg->n_connecting < most; i++) {
                struct pg_conn *c = &pg->conns[i];

                if (c->state != PG_CONN_DOWN)
                        continue;
                if (pg_connect(pg->options.loop, pg->conninfo, pg->application, pg->options.statement_timeout_ms,
                               on_connected, c) < 0)
                        return;
                c->state = PG_CONN_CONNECTING;
                pg->n_connecting++;
        }
}

void pg_conn_idle(struct pg_conn *c)
{
        struct pg_job *job;

        if (c->pg->closing) {
                pg_conn_break(c, "closing");
                return;
        }
        job = queue_pop(c->pg);
        if (job)
                run(c, job);
}

void pg_conn_gone(struct pg_conn *c, const char *why)
{
        struct pg *pg = c->pg;

        pg->n_ready--;
        if (pg->n_ready == 0) {
                fail_queue(pg);
                if (pg->options.on_state && !pg->closing)
                        pg->options.on_state(false, why, pg->options.userdata);
        }
        maybe_closed(pg);
}

static void expire_queue(struct pg *pg)
{
        struct pg_job **p = &pg->queue, *job;

        while ((job = *p)) {
                if (job->due_ms > now_ms(pg)) {
                        p = &job->next;
                        continue;
                }
                *p = job->next;
                pg->n_queued--;
                fail_later(pg, job, PG_E_UNAVAILABLE);
        }
        pg->queue_tail = p;
}

static void on_tick(uv_timer_t *timer)
{
        struct pg *pg = timer->data;

        expire_queue(pg);
        for (unsigned i = 0; i < pg->options.connections; i++) {
                struct pg_conn *c = &pg->conns[i];

                if (c->job && c->job->due_ms <= now_ms(pg))
                        pg_conn_break(c, "no answer in time");
                else if (c->job && pg->closing && pg->close_due_ms <= now_ms(pg))
                        pg_conn_break(c, "closing");
        }
        connect_some(pg);
        maybe_closed(pg);
}

/* --- life --- */

int pg_new(struct pg **ret_pg, const struct pg_options *options)
{
        struct pg *pg = calloc(1, sizeof(*pg));

        if (!pg)
                return -ENOMEM;
        pg->options = *options;
        pg->conninfo = strdup(options->conninfo);
        pg->application = strdup(options->application);
        pg->conns = calloc(options->connections, sizeof(*pg->conns));
        if (!pg->conninfo || !pg->application || !pg->conns) {
                free(pg->conninfo);
                free(pg->application);
                free(pg->conns);
                free(pg);
                return -ENOMEM;
        }
        pg->queue_tail = &pg->queue;
        pg->failed_tail = &pg->failed;
        pg->backoff_ms = BACKOFF_MIN_MS;
        for (unsigned i = 0; i < options->connections; i++)
                pg->conns[i].pg = pg;
        (void)uv_timer_init(options->loop, &pg->tick);
        (void)uv_timer_init(options->loop, &pg->report);
        pg->tick.data = pg->report.data = pg;
        (void)uv_timer_start(&pg->tick, on_tick, 0, TICK_MS);
        *ret_pg = pg;
        return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
        struct pg *pg = handle->data;

        if (--pg->n_open_handles)
                return;
        if (pg->close_done)
                pg->close_done(pg->close_userdata);
        free(pg->conninfo);
        free(pg->application);
        free(pg->conns);
        free(pg);
}

static void maybe_closed(struct pg *pg)
{
        if (!pg->closing || pg->n_open_handles || pg->n_ready || pg->n_connecting || pg->failed)
                return;
        pg->n_open_handles = 2;
        uv_close((uv_handle_t *)&pg->tick, on_handle_closed);
        uv_close((uv_handle_t *)&pg->report, on_handle_closed);
}

void pg_close(struct pg *pg, uint32_t grace_ms, void (*done)(void *userdata), void *userdata)
{
        if (!pg) {
                if (done)
                        done(userdata);
                return;
        }
        pg->closing = true;
        pg->close_due_ms = now_ms(pg) + grace_ms;
        pg->close_done = done;
        pg->close_userdata = userdata;
        fail_queue(pg);
        for (unsigned i = 0; i < pg->options.connections; i++)
                if (pg->conns[i].state == PG_CONN_IDLE)
                        pg_conn_break(&pg->conns[i], "closing");
}

bool pg_up(const struct pg *pg)
{
        return pg->n_ready > 0;
}

struct pg_stats pg_stats(const struct pg *pg)
{
        struct pg_stats s = {.connections = pg->n_ready, .queued = pg->n_queued};

        for (unsigned i = 0; i < pg->options.connections; i++)
                s.busy += pg->conns[i].job != NULL;
        return s;
}
