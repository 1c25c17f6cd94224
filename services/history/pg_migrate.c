/* Migrations: blocking, in a worker thread; versioned files, one transaction each, one program at a time. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "history/migrations.h"
#include "history/pg_internal.h"
#include "history/schema_core.h"

/* Any number that nobody else uses in this database; "parl" and "migr" in ASCII */
#define LOCK_SQL "SELECT pg_try_advisory_lock(1885434476, 1835624306)"
#define TABLE_SQL                                                                                                      \
        "CREATE TABLE IF NOT EXISTS schema_migrations (version integer PRIMARY KEY, name text NOT NULL, "              \
        "checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now(), min_reader integer)"
/* Tables that were made before there was a min_reader. Only when something is applied: it waits for whoever reads the table, as pg_dump. */
#define COLUMN_SQL "ALTER TABLE schema_migrations ADD COLUMN IF NOT EXISTS min_reader integer"
/* By way of JSON the column may be missing */
#define LIST_SQL                                                                                                       \
        "SELECT version::text, checksum, coalesce(to_jsonb(s)->>'min_reader', '0') FROM schema_migrations s "          \
        "ORDER BY version"
#define ENTRY_SQL                                                                                                      \
        "INSERT INTO schema_migrations (version, name, checksum, min_reader) VALUES ($1::integer, $2, $3, $4::integer)"

enum { RETRY_MIN_MS = 200, RETRY_MAX_MS = 5000 };
/* Who has the say: a try that got the lock, or the loop that gives up */
enum { TRYING, LOCKED, GIVEN_UP };

struct pg_migrate {
        uv_loop_t *loop;
        uv_work_t work;
        uv_timer_t timer;
        char *conninfo, *application;
        uint32_t backoff_ms;
        bool working, closing;
        atomic_int phase; /* of both threads */
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
        int trying = TRYING;

        if (PQresultStatus(res) != PGRES_TUPLES_OK)
                return failed(m, -EIO, "lock", PQresultErrorMessage(res));
        if (PQgetvalue(res, 0, 0)[0] != 't')
                return failed(m, -EAGAIN, "lock", "another instance is migrating");
        if (!atomic_compare_exchange_strong(&m->phase, &trying, LOCKED))
                return failed(m, -ECANCELED, "lock", "given up meanwhile");
        return 0;
}

/* How much is applied: more than this program knows where a newer one made the schema, and lets it work with that. */
static int check_applied(struct pg_migrate *m, PGconn *pq, unsigned *ret_n)
{
        _cleanup_(PQclearp) PGresult *res = PQexec(pq, LIST_SQL);
        char why[PG_MESSAGE_MAX / 2];
        unsigned n;

        if (PQresultStatus(res) != PGRES_TUPLES_OK)
                return failed(m, -EIO, "schema_migrations", PQresultErrorMessage(res));
        n = (unsigned)PQntuples(res);
        for (unsigned i = 0; i < n; i++) {
                const struct schema_row row = {.version = (unsigned)strtoul(PQgetvalue(res, (int)i, 0), NULL, 10),
                                               .checksum = PQgetvalue(res, (int)i, 1),
                                               .min_reader = (unsigned)strtoul(PQgetvalue(res, (int)i, 2), NULL, 10)};

                if (schema_row_fits(migrations, n_migrations, i, &row, why, sizeof(why)) < 0)
                        return failed(m, -ENOTSUP, "schema", why);
        }
        *ret_n = n;
        return 0;
}

static int apply(struct pg_migrate *m, PGconn *pq, const struct migration *mig)
{
        char version[16], min_reader[16];
        const char *const values[] = {version, mig->name, mig->checksum, min_reader};
        PGresult *res;
        int r;

        (void)snprintf(version, sizeof(version), "%u", mig->version);
        (void)snprintf(min_reader, sizeof(min_reader), "%u", mig->min_reader);
        r = run(m, pq, mig->name, "BEGIN");
        if (r == 0)
                r = run(m, pq, mig->name, mig->sql);
        if (r < 0)
                return r; /* closing the connection rolls back */
        res = PQexecParams(pq, ENTRY_SQL, 4, NULL, values, NULL, NULL, 0);
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
                return failed(m, -ECONNREFUSED, "connect", pg_connect_error(pq));
        r = lock(m, pq);
        if (r == 0)
                r = run(m, pq, "schema_migrations", TABLE_SQL);
        if (r == 0)
                r = check_applied(m, pq, &applied);
        if (r == 0 && applied < n_migrations)
                r = run(m, pq, "schema_migrations", COLUMN_SQL);
        for (unsigned i = applied; r == 0 && i < n_migrations; i++)
                r = apply(m, pq, &migrations[i]);
        if (r == 0 && applied > n_migrations)
                (void)snprintf(m->text, sizeof(m->text), "the schema is newer, and lets programs of version %u use it",
                               n_migrations);
        else if (r == 0)
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
        int locked = LOCKED;

        (void)status;
        m->working = false;
        (void)atomic_compare_exchange_strong(&m->phase, &locked, TRYING);
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

bool pg_migrate_give_up(struct pg_migrate *m)
{
        int trying = TRYING;

        return atomic_compare_exchange_strong(&m->phase, &trying, GIVEN_UP) || trying == GIVEN_UP;
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
