/* Migrations: blocking, in a worker thread; versioned files, one transaction each, one program at a time. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "history/migrations.h"
#include "history/pg_internal.h"

/* Any number that nobody else uses in this database; "parl" and "migr" in ASCII */
#define LOCK_SQL "SELECT pg_try_advisory_lock(1885434476, 1835624306)"
#define LIST_SQL "SELECT version::text, checksum FROM schema_migrations ORDER BY version"

enum { RETRY_MIN_MS = 200, RETRY_MAX_MS = 5000 };

struct pg_migrate {
        uv_loop_t *loop;
        uv_work_t work;
        uv_timer_t timer;
        char *conninfo, *application;
        uint32_t backoff_ms;
        bool working, closing;
        int error;
        char text[PG_MESSAGE_MAX];
        void (*on_result)(int error, const char *text, void *userdata);
        void *userdata;
        void (*close_done)(void *userdata);
        void *close_userdata;
};

DEFINE_FREEP(PGconn, PQfinish)
DEFINE_FREEP(PGresult, PQclear)

static int failed(struct pg_migrate *m, int error, const char *what, const char *why)
{
        char line[PG_MESSAGE_MAX / 2];

        pg_first_line(line, sizeof(line), why);
        (void)snprintf(m->text, sizeof(m->text), "%s: %s", what, line);
        return error;
}

static int run(struct pg_migrate *m, PGconn *pq, const char *what, const char *sql)
{
        _cleanup_(PQclearp) PGresult *res = PQexec(pq, sql);
        ExecStatusType status = PQresultStatus(res);

        if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
                return 0;
        return failed(m, -EIO, what, PQresultErrorMessage(res));
}

static int lock(struct pg_migrate *m, PGconn *pq)
{
        _cleanup_(PQclearp) PGresult *res = PQexec(pq, LOCK_SQL);

        if (PQresultStatus(res) != PGRES_TUPLES_OK)
                return failed(m, -EIO, "lock", PQresultErrorMessage(res));
        if (PQgetvalue(res, 0, 0)[0] != 't')
                return failed(m, -EAGAIN, "lock", "another instance is migrating");
        return 0;
}

/* What is applied must be a prefix of what this program knows. */
static int check_applied(struct pg_migrate *m, PGconn *pq, unsigned *ret_n)
{
        _cleanup_(PQclearp) PGresult *res = PQexec(pq, LIST_SQL);
        unsigned n;

        if (PQresultStatus(res) != PGRES_TUPLES_OK)
                return failed(m, -EIO, "schema_migrations", PQresultErrorMessage(res));
        n = (unsigned)PQntuples(res);
        if (n > n_migrations)
                return failed(m, -ENOTSUP, "schema_migrations", "the database is newer than this program");
        for (unsigned i = 0; i < n; i++)
                if (strtoul(PQgetvalue(res, (int)i, 0), NULL, 10) != migrations[i].version ||
                    strcmp(PQgetvalue(res, (int)i, 1), migrations[i].checksum) != 0)
                        return failed(m, -ENOTSUP, migrations[i].name,
                                      "was applied in another form than this program has it");
        *ret_n = n;
        return 0;
}

static int apply(struct pg_migrate *m, PGconn *pq, const struct migration *mig)
{
        char version[16];
        const char *const values[] = {version, mig->name, mig->checksum};
        PGresult *res;
        int r;

        (void)snprintf(version, sizeof(version), "%u", mig->version);
        r = run(m, pq, mig->name, "BEGIN");
        if (r == 0)
                r = run(m, pq, mig->name, mig->sql);
        if (r < 0)
                return r; /* closing the connection rolls back */
        res = PQexecParams(pq, "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1::integer, $2, $3)",
                           3, NULL, values, NULL, NULL, 0);
        r = PQresultStatus(res) == PGRES_COMMAND_OK ? 0 : failed(m, -EIO, mig->name, PQresultErrorMessage(res));
        PQclear(res);
        return r < 0 ? r : run(m, pq, mig->name, "COMMIT");
}

static int migrate(struct pg_migrate *m)
{
        /* no limit of time: a later migration may have to rewrite a table */
        _cleanup_(PQfinishp) PGconn *pq = pg_connect_blocking(m->conninfo, m->application, 0);
        unsigned applied = 0;
        int r;

        if (PQstatus(pq) != CONNECTION_OK)
                return failed(m, -ECONNREFUSED, "connect", PQerrorMessage(pq));
        r = lock(m, pq);
        if (r == 0)
                r = run(m, pq, "schema_migrations",
                        "CREATE TABLE IF NOT EXISTS schema_migrations (version integer PRIMARY KEY, name text NOT NULL, "
                        "checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())");
        if (r == 0)
                r = check_applied(m, pq, &applied);
        for (unsigned i = applied; r == 0 && i < n_migrations; i++)
                r = apply(m, pq, &migrations[i]);
        if (r == 0)
                (void)snprintf(m->text, sizeof(m->text), "the schema is at version %u", n_migrations);
        return r;
}

/* --- on the loop --- */

static void start(uv_timer_t *timer);

static void work(uv_work_t *w)
{
        struct pg_migrate *m = w->data;

        m->error = migrate(m);
}

static void on_timer_closed(uv_handle_t *handle)
{
        struct pg_migrate *m = handle->data;

        if (m->close_done)
                m->close_done(m->close_userdata);
        free(m->conninfo);
        free(m->application);
        free(m);
}

static void after(uv_work_t *w, int status)
{
        struct pg_migrate *m = w->data;

        (void)status;
        m->working = false;
        if (m->closing) {
                uv_close((uv_handle_t *)&m->timer, on_timer_closed);
                return;
        }
        if (m->error != 0) {
                (void)uv_timer_start(&m->timer, start, m->backoff_ms, 0);
                m->backoff_ms = m->backoff_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : m->backoff_ms * 2;
        }
        m->on_result(m->error, m->text, m->userdata);
}

static void start(uv_timer_t *timer)
{
        struct pg_migrate *m = timer->data;

        if (uv_queue_work(m->loop, &m->work, work, after) == 0)
                m->working = true;
        else
                (void)uv_timer_start(&m->timer, start, RETRY_MAX_MS, 0);
}

int pg_migrate_start(struct pg_migrate **ret_migrate, uv_loop_t *loop, const char *conninfo, const char *application,
                     void (*on_result)(int error, const char *text, void *userdata), void *userdata)
{
        struct pg_migrate *m = calloc(1, sizeof(*m));

        if (!m)
                return -ENOMEM;
        *m = (struct pg_migrate){
                .loop = loop, .backoff_ms = RETRY_MIN_MS, .on_result = on_result, .userdata = userdata};
        m->conninfo = strdup(conninfo);
        m->application = strdup(application);
        if (!m->conninfo || !m->application) {
                free(m->conninfo);
                free(m->application);
                free(m);
                return -ENOMEM;
        }
        m->work.data = m;
        (void)uv_timer_init(loop, &m->timer);
        m->timer.data = m;
        (void)uv_timer_start(&m->timer, start, 0, 0);
        *ret_migrate = m;
        return 0;
}

void pg_migrate_again(struct pg_migrate *m)
{
        m->backoff_ms = RETRY_MIN_MS;
        if (!m->working && !m->closing)
                (void)uv_timer_start(&m->timer, start, 0, 0);
}

void pg_migrate_close(struct pg_migrate *m, void (*done)(void *userdata), void *userdata)
{
        if (!m) {
                if (done)
                        done(userdata);
                return;
        }
        m->closing = true;
        m->close_done = done;
        m->close_userdata = userdata;
        (void)uv_timer_stop(&m->timer);
        if (!m->working)
                uv_close((uv_handle_t *)&m->timer, on_timer_closed);
}
