/* What the files pg_*.c share. Nothing else includes this. */
#pragma once

#include <libpq-fe.h>
#include <uv.h>

#include "history/pg.h"
#include "history/pg_sqlstate.h"

enum {
        PG_STMTS_PER_JOB = 24,
        PG_ARGS_PER_STMT = 16,
        PG_STMTS_PER_CONN = 128, /* prepared ones; the service has far fewer */
        PG_MESSAGE_MAX = 256,
};

struct pg_arg {
        size_t offset; /* in the job's data */
        int length;    /* -1: null */
};

struct pg_job_stmt {
        const struct pg_stmt *stmt;
        struct pg_arg args[PG_ARGS_PER_STMT];
        unsigned n_args;
        bool expects;
        uint64_t expected_rows;
        PGresult *result;
};

struct pg_job {
        struct pg_job *next;
        struct buf data;
        struct pg_job_stmt stmts[PG_STMTS_PER_JOB];
        unsigned n_stmts;
        enum pg_mode mode;
        int build_error;
        uint64_t asked_ms, due_ms; /* uv_now */
        int (*before_commit)(void *userdata);
        pg_handler handler;
        void *userdata;
        /* the first failure */
        int error;
        unsigned failed_stmt;
        char sqlstate[6];
        char message[PG_MESSAGE_MAX];
};

/* What a handler is shown is the job itself. */
static inline const struct pg_job *results_job(const struct pg_results *r)
{
        return (const struct pg_job *)r;
}

static inline const struct pg_results *job_results(const struct pg_job *job)
{
        return (const struct pg_results *)job;
}

enum pg_op_kind { PG_OP_BEGIN, PG_OP_PREPARE, PG_OP_EXECUTE, PG_OP_END, PG_OP_SYNC };

/* An answer that is awaited */
struct pg_op {
        uint8_t kind;
        uint8_t stmt;
};

enum pg_conn_state {
        PG_CONN_DOWN,
        PG_CONN_CONNECTING, /* in a worker thread */
        PG_CONN_IDLE,
        PG_CONN_RUNNING, /* the statements were sent */
        PG_CONN_ENDING,  /* COMMIT or ROLLBACK was sent */
};

struct pg_conn {
        struct pg *pg;
        enum pg_conn_state state;
        PGconn *pq;
        uv_poll_t *poll;
        int events; /* what poll waits for */
        struct pg_job *job;
        struct pg_op ops[2 * PG_STMTS_PER_JOB + 4];
        unsigned n_ops, op; /* op: the next answer */
        bool committing;    /* ENDING: with COMMIT */
        const struct pg_stmt *prepared[PG_STMTS_PER_CONN];
        unsigned n_prepared;
};

struct pg {
        struct pg_options options;
        char *conninfo, *application;
        struct pg_conn *conns;
        struct pg_job *queue, **queue_tail;
        unsigned n_queued, n_ready, n_connecting;
        struct pg_job *failed, **failed_tail; /* refused: reported from the loop, not from pg_run */
        uv_timer_t tick, report;
        unsigned n_open_handles;
        uint64_t retry_at_ms, failed_ms;
        uint32_t backoff_ms;
        bool tried; /* at least one attempt to connect has ended */
        bool closing;
        uint64_t close_due_ms;
        void (*close_done)(void *userdata);
        void *close_userdata;
};

/* pg_connect.c: connects in a worker thread. done is called on the loop; pq may be bad (PQstatus), and is NULL where the
 * address cannot be read. Returns 0, or negative errno, and then done is not called. */
typedef void (*pg_connected)(PGconn *pq, void *userdata);
int pg_connect(uv_loop_t *loop, const char *conninfo, const char *application, uint32_t statement_timeout_ms,
               pg_connected done, void *userdata);
/* The same, blocking: for worker threads. NULL where the address cannot be read, and without memory. */
PGconn *pg_connect_blocking(const char *conninfo, const char *application, uint32_t statement_timeout_ms);
/* Why it is bad or NULL, with nothing of the address that may be part of a password. Valid as long as pq */
const char *pg_connect_error(const PGconn *pq);
/* The first line of a libpq message, for the log */
void pg_first_line(char *ret, size_t n, const char *message);

/* pg_conn.c: runs jobs on one connection */
void pg_conn_start(struct pg_conn *c, PGconn *pq);
void pg_conn_run(struct pg_conn *c, struct pg_job *job);
/* Drops the connection; a job on it fails as the moment demands */
void pg_conn_break(struct pg_conn *c, const char *why);

/* pg_pool.c: called by pg_conn.c */
void pg_job_finished(struct pg *pg, struct pg_job *job);   /* calls its handler and frees it */
void pg_job_fail_later(struct pg *pg, struct pg_job *job); /* the same from the loop, with job->error as it is */
void pg_conn_idle(struct pg_conn *c);
void pg_conn_gone(struct pg_conn *c, const char *why);
