/* Postgres for an actor: a pool of connections on the loop, jobs of prepared statements, nothing that blocks.
 *
 * The only code that includes libpq-fe.h lies in the files pg*.c. A job is a list of statements that are sent at once (pipeline mode)
 * on one connection: in one transaction (PG_WRITE) or without one (PG_READ). A writing job is sent in two steps, the statements and
 * then COMMIT, so that it is known exactly whether a broken connection may have committed.
 *
 * Connecting happens off the loop: libpq's name look-up blocks. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "history/pg_array.h"

typedef struct uv_loop_s uv_loop_t;

#define PG_ERROR_MAP(X)                                                                                                \
        X(UNAVAILABLE, 1, "not run: no connection, or too much is waiting")                                            \
        X(LOST, 2, "the connection broke before the commit: nothing was done")                                         \
        X(UNKNOWN, 3, "the connection broke at the commit: it may have been done")                                     \
        X(DATA, 4, "the data was refused; it will be again")                                                           \
        X(EXPECT, 5, "a statement touched another number of rows than it had to: nothing was done")                    \
        X(RETRY, 6, "deadlock, lock or time: nothing was done, try again")                                             \
        X(SERVER, 7, "the server refused for a reason of its own: nothing was done")

enum pg_error {
#define X(name, value, text) PG_E_##name = (value),
        PG_ERROR_MAP(X)
#undef X
};
const char *pg_error_text(int error);

struct pg;
struct pg_job;
struct pg_results;

struct pg_options {
        uv_loop_t *loop;
        const char *conninfo;          /* libpq's: keywords or URI */
        const char *application;       /* application_name: names this instance to the lease of another */
        unsigned connections;          /* 1 to 64 */
        unsigned max_queue;            /* jobs that wait for a connection; further ones are UNAVAILABLE */
        uint32_t statement_timeout_ms; /* of the server, for each statement */
        /* The first connection is there, or the last one is gone. text: why, for the log; never holds the conninfo's secrets. */
        void (*on_state)(bool up, const char *text, void *userdata);
        void *userdata;
};

/* A statement is prepared under its name on each connection that uses it. Both must live as long as the process; parameters are binary,
 * so their types must be written in the text ($1::bigint). */
struct pg_stmt {
        const char *name;
        const char *sql;
};

int pg_new(struct pg **ret_pg, const struct pg_options *options);
/* Waiting jobs fail, running ones are waited for (grace_ms at most); done is called on the loop when nothing is left. pg may
 * be NULL (done is called at once), and so may the others that are closed below. */
void pg_close(struct pg *pg, uint32_t grace_ms, void (*done)(void *userdata), void *userdata);
bool pg_up(const struct pg *pg);
struct pg_stats {
        unsigned connections, busy, queued;
};
struct pg_stats pg_stats(const struct pg *pg);

/* --- a job --- */
enum pg_mode { PG_READ, PG_WRITE };

/* error: 0 or PG_E_*. Valid during the callback. */
typedef void (*pg_handler)(int error, const struct pg_results *r, void *userdata);

/* NULL without memory. A failed call on a job makes the whole job fail when it is run, so that callers check once. */
struct pg_job *pg_job_new(enum pg_mode mode);
/* For a job that is not run after all; NULL is fine */
void pg_job_free(struct pg_job *job);
/* Adds a statement; the arguments that follow belong to it */
void pg_job_add(struct pg_job *job, const struct pg_stmt *stmt);
void pg_arg_text(struct pg_job *job, const char *s); /* NULL: null */
void pg_arg_i64(struct pg_job *job, int64_t v);
void pg_arg_i32(struct pg_job *job, int32_t v);
void pg_arg_i16(struct pg_job *job, int16_t v);
void pg_arg_bool(struct pg_job *job, bool v);
void pg_arg_array(struct pg_job *job, const struct pg_array *a); /* copied */
/* The last added statement must return or touch so many rows, else the job is rolled back with PG_E_EXPECT */
void pg_job_expect(struct pg_job *job, uint64_t rows);
/* Called when all statements are through and before COMMIT; anything but 0 rolls back and becomes the job's error */
void pg_job_before_commit(struct pg_job *job, int (*check)(void *userdata));
/* Takes the job. handler is called exactly once, later, never from within. timeout_ms covers waiting and running; 0: 6 s. */
void pg_run(struct pg *pg, struct pg_job *job, uint32_t timeout_ms, pg_handler handler, void *userdata);

/* --- results: stmt counts the job's statements from 0 --- */
unsigned pg_rows(const struct pg_results *r, unsigned stmt);
uint64_t pg_affected(const struct pg_results *r, unsigned stmt);
bool pg_null(const struct pg_results *r, unsigned stmt, unsigned row, unsigned col);
/* bigint, integer or smallint; 0 for null */
int64_t pg_i64(const struct pg_results *r, unsigned stmt, unsigned row, unsigned col);
bool pg_bool(const struct pg_results *r, unsigned stmt, unsigned row, unsigned col);
/* NUL-terminated; "" for null; lives as long as the results */
const char *pg_text(const struct pg_results *r, unsigned stmt, unsigned row, unsigned col);
const uint8_t *pg_bytes(const struct pg_results *r, unsigned stmt, unsigned row, unsigned col, size_t *ret_n);
/* Of a failed job, for the log: the statement that failed (UINT_MAX: none), and the server's primary message, which holds no row's data */
unsigned pg_failed_stmt(const struct pg_results *r);
const char *pg_message(const struct pg_results *r);
const char *pg_sqlstate(const struct pg_results *r); /* "" when the server did not say */

/* --- a connection that listens --- */
struct pg_listener;
/* on_notify may be called for what this instance sent itself. on_up: listening (again): something may have been missed before. */
int pg_listener_new(struct pg_listener **ret_listener, uv_loop_t *loop, const char *conninfo, const char *application,
                    const char *const *channels, unsigned n_channels, void (*on_up)(void *userdata),
                    void (*on_notify)(const char *channel, const char *payload, void *userdata), void *userdata);
/* No callback but done comes after this */
void pg_listener_close(struct pg_listener *l, void (*done)(void *userdata), void *userdata);

/* --- migrations --- */
struct pg_migrate;
/* Brings the schema to this program's version, off the loop; tries again with backoff until it is done. Two instances at once are safe.
 * on_result: after each try; 0: done, and no more calls; otherwise text says why not. */
int pg_migrate_start(struct pg_migrate **ret_migrate, uv_loop_t *loop, const char *conninfo, const char *application,
                     void (*on_result)(int error, const char *text, void *userdata), void *userdata);
/* Once more, after it was through: the database may be another one */
void pg_migrate_again(struct pg_migrate *m);
/* True: from now on no try applies anything. False: one has the lock and goes on until PostgreSQL is through with it, however long that takes;
 * on_result follows. */
bool pg_migrate_give_up(struct pg_migrate *m);
/* Stops trying and releases; done is called on the loop. May be called at any time after start, once. */
void pg_migrate_close(struct pg_migrate *m, void (*done)(void *userdata), void *userdata);
