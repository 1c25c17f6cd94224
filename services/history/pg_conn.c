/* One connection: sends a job's statements at once, reads the answers as they come, then commits. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "history/pg_internal.h"

static void on_poll(uv_poll_t *poll, int status, int events);

static void no_notice(void *userdata, const char *message)
{
        (void)userdata;
        (void)message;
}

static void poll_closed(uv_handle_t *handle)
{
        free(handle);
}

/* Waits for what libpq needs; false when the connection is gone */
static bool conn_flush(struct pg_conn *c)
{
        int r = PQflush(c->pq), events;

        if (r < 0)
                return false;
        events = UV_READABLE | (r > 0 ? UV_WRITABLE : 0);
        if (events == c->events)
                return true;
        c->events = events;
        return uv_poll_start(c->poll, events, on_poll) == 0;
}

void pg_conn_start(struct pg_conn *c, PGconn *pq)
{
        c->pq = pq;
        c->events = 0;
        c->n_prepared = 0;
        c->state = PG_CONN_IDLE;
        (void)PQsetNoticeProcessor(pq, no_notice, NULL);
        c->poll = calloc(1, sizeof(*c->poll));
        if (!c->poll || uv_poll_init(c->pg->options.loop, c->poll, PQsocket(pq)) < 0) {
                free(c->poll);
                c->poll = NULL;
                pg_conn_break(c, "out of memory");
                return;
        }
        c->poll->data = c;
        if (PQsetnonblocking(pq, 1) != 0 || PQenterPipelineMode(pq) != 1 || !conn_flush(c))
                pg_conn_break(c, PQerrorMessage(pq));
        else
                pg_conn_idle(c);
}

void pg_conn_break(struct pg_conn *c, const char *why)
{
        struct pg_job *job = c->job;
        char text[PG_MESSAGE_MAX];

        pg_first_line(text, sizeof(text), why);
        if (job) {
                /* An error that the server told before it hung up says less than the moment does. */
                job->error = c->state == PG_CONN_ENDING && c->committing ? PG_E_UNKNOWN : PG_E_LOST;
                if (!job->message[0])
                        (void)snprintf(job->message, sizeof(job->message), "%s", text);
        }
        if (c->poll) {
                (void)uv_poll_stop(c->poll);
                uv_close((uv_handle_t *)c->poll, poll_closed);
        }
        c->poll = NULL;
        c->job = NULL;
        PQfinish(c->pq);
        c->pq = NULL;
        c->state = PG_CONN_DOWN;
        if (job)
                pg_job_fail_later(c->pg, job);
        pg_conn_gone(c, text);
}

/* --- sending --- */

static bool is_prepared(const struct pg_conn *c, const struct pg_stmt *stmt)
{
        for (unsigned i = 0; i < c->n_prepared; i++)
                if (c->prepared[i] == stmt)
                        return true;
        for (unsigned i = 0; i < c->n_ops; i++)
                if (c->ops[i].kind == PG_OP_PREPARE && c->job->stmts[c->ops[i].stmt].stmt == stmt)
                        return true;
        return false;
}

static void await(struct pg_conn *c, enum pg_op_kind kind, unsigned stmt)
{
        c->ops[c->n_ops++] = (struct pg_op){.kind = (uint8_t)kind, .stmt = (uint8_t)stmt};
}

static bool send_stmt(struct pg_conn *c, unsigned i)
{
        const struct pg_job_stmt *s = &c->job->stmts[i];
        const char *values[PG_ARGS_PER_STMT];
        int lengths[PG_ARGS_PER_STMT], formats[PG_ARGS_PER_STMT];

        if (!is_prepared(c, s->stmt)) {
                if (PQsendPrepare(c->pq, s->stmt->name, s->stmt->sql, 0, NULL) != 1)
                        return false;
                await(c, PG_OP_PREPARE, i);
        }
        for (unsigned a = 0; a < s->n_args; a++) {
                if (s->args[a].length < 0)
                        values[a] = NULL;
                else if (s->args[a].length == 0)
                        values[a] = ""; /* not null */
                else
                        values[a] = (const char *)c->job->data.data + s->args[a].offset;
                lengths[a] = s->args[a].length < 0 ? 0 : s->args[a].length;
                formats[a] = 1;
        }
        if (PQsendQueryPrepared(c->pq, s->stmt->name, (int)s->n_args, values, lengths, formats, 1) != 1)
                return false;
        await(c, PG_OP_EXECUTE, i);
        return true;
}

static bool send_plain(struct pg_conn *c, const char *sql, enum pg_op_kind kind)
{
        if (PQsendQueryParams(c->pq, sql, 0, NULL, NULL, NULL, NULL, 1) != 1)
                return false;
        await(c, kind, 0);
        return true;
}

static bool send_sync(struct pg_conn *c)
{
        if (PQpipelineSync(c->pq) != 1)
                return false;
        await(c, PG_OP_SYNC, 0);
        return conn_flush(c);
}

void pg_conn_run(struct pg_conn *c, struct pg_job *job)
{
        bool ok = true;

        c->job = job;
        c->state = PG_CONN_RUNNING;
        c->n_ops = c->op = 0;
        if (job->mode == PG_WRITE)
                ok = send_plain(c, "BEGIN", PG_OP_BEGIN);
        for (unsigned i = 0; ok && i < job->n_stmts; i++)
                ok = send_stmt(c, i);
        if (!ok || !send_sync(c))
                pg_conn_break(c, PQerrorMessage(c->pq));
}

static bool send_end(struct pg_conn *c, bool commit)
{
        c->state = PG_CONN_ENDING;
        c->committing = commit;
        c->n_ops = c->op = 0;
        return send_plain(c, commit ? "COMMIT" : "ROLLBACK", PG_OP_END) && send_sync(c);
}

/* --- reading --- */

static void fail(struct pg_job *job, int error, unsigned stmt, const char *message)
{
        if (job->error)
                return;
        job->error = error;
        job->failed_stmt = stmt;
        pg_first_line(job->message, sizeof(job->message), message);
}

static void on_error(struct pg_conn *c, const struct pg_op *op, const PGresult *res)
{
        const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
        /* only the primary message: the detail may quote a row, and with it what somebody wrote */
        const char *primary = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
        struct pg_job *job = c->job;

        if (job->error)
                return;
        if (state)
                (void)snprintf(job->sqlstate, sizeof(job->sqlstate), "%s", state);
        fail(job, state ? pg_classify(state) : PG_E_SERVER,
             op->kind == PG_OP_PREPARE || op->kind == PG_OP_EXECUTE ? op->stmt : UINT_MAX, primary ? primary : "");
}

/* Takes res */
static void on_result(struct pg_conn *c, PGresult *res)
{
        const struct pg_op *op = &c->ops[c->op];

        switch (PQresultStatus(res)) {
        case PGRES_PIPELINE_SYNC:
                c->op++;
                break;
        case PGRES_FATAL_ERROR:
                on_error(c, op, res);
                break;
        case PGRES_TUPLES_OK:
        case PGRES_COMMAND_OK:
                if (op->kind == PG_OP_PREPARE) {
                        c->prepared[c->n_prepared++] = c->job->stmts[op->stmt].stmt;
                } else if (op->kind == PG_OP_EXECUTE) {
                        c->job->stmts[op->stmt].result = res;
                        return;
                }
                break;
        default: /* aborted: an earlier statement has failed */
                break;
        }
        PQclear(res);
}

static void check_expectations(struct pg_job *job)
{
        for (unsigned i = 0; i < job->n_stmts; i++) {
                const struct pg_job_stmt *s = &job->stmts[i];

                if (s->expects && pg_affected(job_results(job), i) != s->expected_rows)
                        fail(job, PG_E_EXPECT, i, "another number of rows than expected");
        }
}

static void finish(struct pg_conn *c)
{
        struct pg_job *job = c->job;
        struct pg *pg = c->pg;

        c->job = NULL;
        c->state = PG_CONN_IDLE;
        pg_conn_idle(c); /* may start the next job, or close the connection */
        pg_job_finished(pg, job);
}

static void on_answered(struct pg_conn *c)
{
        struct pg_job *job = c->job;

        if (c->state == PG_CONN_ENDING || job->mode == PG_READ) {
                if (c->state == PG_CONN_RUNNING)
                        check_expectations(job);
                finish(c);
                return;
        }
        check_expectations(job);
        if (!job->error && job->before_commit) {
                int r = job->before_commit(job->userdata);

                if (r != 0)
                        fail(job, r, UINT_MAX, "given up before the commit");
        }
        if (!send_end(c, !job->error))
                pg_conn_break(c, PQerrorMessage(c->pq));
}

static void read_answers(struct pg_conn *c)
{
        while (c->job && c->op < c->n_ops) {
                PGresult *res;

                if (PQisBusy(c->pq))
                        return;
                res = PQgetResult(c->pq);
                if (res)
                        on_result(c, res);
                else if (PQstatus(c->pq) == CONNECTION_BAD)
                        return;
                else
                        c->op++; /* NULL ends the results of one statement */
        }
        if (c->job && PQstatus(c->pq) != CONNECTION_BAD)
                on_answered(c);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
        struct pg_conn *c = poll->data;

        if (status < 0) {
                pg_conn_break(c, uv_strerror(status));
                return;
        }
        if (events & UV_READABLE && PQconsumeInput(c->pq) != 1) {
                pg_conn_break(c, PQerrorMessage(c->pq));
                return;
        }
        if (c->state == PG_CONN_IDLE)
                (void)PQisBusy(c->pq); /* reads what the server says unasked */
        else
                read_answers(c);
        /* the job's handler may have broken this connection, by closing the pool */
        if (!c->pq || c->poll != poll)
                return;
        if (PQstatus(c->pq) == CONNECTION_BAD || !conn_flush(c))
                pg_conn_break(c, PQerrorMessage(c->pq));
}
