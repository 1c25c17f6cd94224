/* Jobs: built before they run, read after. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "history/pg_internal.h"

/* A batch of ingest with large messages; more is a mistake of the caller */
#define JOB_DATA_MAX ((size_t)256 << 20)

const char *pg_error_text(int error)
{
        switch (error) {
#define X(name, value, text)                                                                                           \
        case PG_E_##name:                                                                                              \
                return text;
                PG_ERROR_MAP(X)
#undef X
        }
        return error < 0 ? strerror(-error) : "";
}

struct pg_job *pg_job_new(enum pg_mode mode)
{
        struct pg_job *job = calloc(1, sizeof(*job));

        if (!job)
                return NULL;
        job->mode = mode;
        job->data = BUF_INIT(JOB_DATA_MAX);
        job->failed_stmt = UINT_MAX;
        return job;
}

void pg_job_free(struct pg_job *job)
{
        if (!job)
                return;
        for (unsigned i = 0; i < job->n_stmts; i++)
                PQclear(job->stmts[i].result);
        buf_done(&job->data);
        free(job);
}

void pg_job_add(struct pg_job *job, const struct pg_stmt *stmt)
{
        if (!job || job->build_error)
                return;
        if (job->n_stmts == PG_STMTS_PER_JOB) {
                job->build_error = -E2BIG;
                return;
        }
        job->stmts[job->n_stmts++] = (struct pg_job_stmt){.stmt = stmt};
}

static void add_arg(struct pg_job *job, const void *p, size_t n)
{
        struct pg_job_stmt *s;

        if (!job || job->build_error)
                return;
        s = job->n_stmts ? &job->stmts[job->n_stmts - 1] : NULL;
        if (!s || s->n_args == PG_ARGS_PER_STMT || n > INT_MAX) {
                job->build_error = -E2BIG;
                return;
        }
        if (p && buf_append(&job->data, p, n) != 0) {
                job->build_error = -ENOMEM;
                return;
        }
        s->args[s->n_args++] = (struct pg_arg){.offset = job->data.len - (p ? n : 0), .length = p ? (int)n : -1};
}

void pg_arg_text(struct pg_job *job, const char *s)
{
        add_arg(job, s, s ? strlen(s) : 0);
}

static void add_number(struct pg_job *job, uint64_t v, unsigned bytes)
{
        uint8_t be[8];

        pg_put_be(be, v, bytes);
        add_arg(job, be, bytes);
}

void pg_arg_i64(struct pg_job *job, int64_t v)
{
        add_number(job, (uint64_t)v, 8);
}

void pg_arg_i32(struct pg_job *job, int32_t v)
{
        add_number(job, (uint32_t)v, 4);
}

void pg_arg_i16(struct pg_job *job, int16_t v)
{
        add_number(job, (uint16_t)v, 2);
}

void pg_arg_bool(struct pg_job *job, bool v)
{
        add_number(job, v, 1);
}

void pg_arg_array(struct pg_job *job, const struct pg_array *a)
{
        struct pg_array copy = *a; /* finishing only writes numbers into the header */
        size_t n;
        const uint8_t *p = pg_array_finish(&copy, &n);

        if (p)
                add_arg(job, p, n);
        else if (job)
                job->build_error = -ENOMEM;
}

void pg_job_expect(struct pg_job *job, uint64_t rows)
{
        struct pg_job_stmt *s;

        if (!job || !job->n_stmts)
                return;
        s = &job->stmts[job->n_stmts - 1];
        s->expects = true;
        s->expected_rows = rows;
}

void pg_job_before_commit(struct pg_job *job, int (*check)(void *userdata))
{
        if (job)
                job->before_commit = check;
}

/* --- results --- */

static const PGresult *result(const struct pg_results *r, unsigned stmt)
{
        const struct pg_job *job = results_job(r);

        return stmt < job->n_stmts ? job->stmts[stmt].result : NULL;
}

unsigned pg_rows(const struct pg_results *r, unsigned stmt)
{
        return (unsigned)PQntuples(result(r, stmt));
}

uint64_t pg_affected(const struct pg_results *r, unsigned stmt)
{
        const PGresult *res = result(r, stmt);

        return res ? strtoull(PQcmdTuples((PGresult *)res), NULL, 10) : 0;
}

bool pg_null(const struct pg_results *r, unsigned stmt, unsigned row, unsigned col)
{
        return PQgetisnull(result(r, stmt), (int)row, (int)col);
}

int64_t pg_i64(const struct pg_results *r, unsigned stmt, unsigned row, unsigned col)
{
        const PGresult *res = result(r, stmt);
        const uint8_t *p = (const uint8_t *)PQgetvalue(res, (int)row, (int)col);

        switch (PQgetlength(res, (int)row, (int)col)) {
        case 8:
                return (int64_t)pg_get_be(p, 8);
        case 4:
                return (int32_t)pg_get_be(p, 4);
        case 2:
                return (int16_t)pg_get_be(p, 2);
        }
        return 0;
}

bool pg_bool(const struct pg_results *r, unsigned stmt, unsigned row, unsigned col)
{
        size_t n;
        const uint8_t *p = pg_bytes(r, stmt, row, col, &n);

        return n == 1 && p[0];
}

const char *pg_text(const struct pg_results *r, unsigned stmt, unsigned row, unsigned col)
{
        const char *s = PQgetvalue(result(r, stmt), (int)row, (int)col);

        return s ? s : "";
}

const uint8_t *pg_bytes(const struct pg_results *r, unsigned stmt, unsigned row, unsigned col, size_t *ret_n)
{
        const PGresult *res = result(r, stmt);

        *ret_n = (size_t)PQgetlength(res, (int)row, (int)col);
        return (const uint8_t *)PQgetvalue(res, (int)row, (int)col);
}

unsigned pg_failed_stmt(const struct pg_results *r)
{
        return results_job(r)->failed_stmt;
}

const char *pg_message(const struct pg_results *r)
{
        return results_job(r)->message;
}

const char *pg_sqlstate(const struct pg_results *r)
{
        return results_job(r)->sqlstate;
}
