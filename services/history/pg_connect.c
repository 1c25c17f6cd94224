/* Connecting: in a worker thread, because the look-up of a host's name blocks. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "history/history_config.h"
#include "history/pg_internal.h"

struct attempt {
        uv_work_t work;
        char *conninfo, *application;
        uint32_t statement_timeout_ms;
        PGconn *pq;
        pg_connected done;
        void *userdata;
};

/* Whether libpq finds a host and a port in it. Its own words about what it cannot read quote a piece of it, which may be one of the
 * password: a % that begins nothing, or what stands behind an @ or a / that was not encoded. */
static bool is_sound(const char *conninfo)
{
        PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
        bool sound = options != NULL;

        for (PQconninfoOption *o = options; o && o->keyword; o++) {
                if (!o->val || !o->val[0])
                        continue;
                if (strcmp(o->keyword, "port") == 0)
                        sound = sound && o->val[strspn(o->val, "0123456789,")] == '\0';
                else if (strcmp(o->keyword, "host") == 0)
                        sound = sound && !strchr(o->val + 1, '@'); /* the first one names a socket */
        }
        PQconninfoFree(options);
        return sound;
}

const char *pg_connect_error(const PGconn *pq)
{
        return pq ? PQerrorMessage(pq)
                  : PG_URL_SETTING
                       " cannot be read (in its URI : / ? # [ ] @ % of a password are written as %3A and so on)";
}

/* A peer that vanished is noticed within 10-15 s; a transaction that its owner left open (a stopped process) ends after 5 s and
 * gives back its locks. Every statement goes by keys, whatever its parameters are: one plan serves all. Left to itself Postgres plans each
 * page anew, for it counts the partitions that the one plan prunes only when it runs; that was a third of a page's processor time. */
PGconn *pg_connect_blocking(const char *conninfo, const char *application, uint32_t statement_timeout_ms)
{
        /* as it is by now: its password may have been changed since the start */
        char *now = config_secret_again(PG_URL_SETTING, conninfo);
        char options[200];
        PGconn *pq = NULL;
        /* the last ones win over what the conninfo says */
        const char *const keys[] = {
                "dbname",           "application_name", "connect_timeout", "keepalives_idle", "keepalives_interval",
                "keepalives_count", "tcp_user_timeout", "client_encoding", "options",         NULL};
        const char *const values[] = {
                now ? now : conninfo, application, "5", "5", "2", "3", "10000", "UTF8", options, NULL};

        (void)snprintf(
                options, sizeof(options),
                "-c statement_timeout=%u -c idle_in_transaction_session_timeout=5000 -c lock_timeout=%u -c jit=off "
                "-c client_min_messages=error -c plan_cache_mode=force_generic_plan",
                statement_timeout_ms, statement_timeout_ms);
        if (is_sound(values[0]))
                pq = PQconnectdbParams(keys, values, 1);
        if (now)
                explicit_bzero(now, strlen(now));
        free(now);
        return pq;
}

static void connect_work(uv_work_t *work)
{
        struct attempt *a = work->data;

        a->pq = pg_connect_blocking(a->conninfo, a->application, a->statement_timeout_ms);
}

static void attempt_free(struct attempt *a)
{
        free(a->conninfo);
        free(a->application);
        free(a);
}

static void connect_after(uv_work_t *work, int status)
{
        struct attempt *a = work->data;

        (void)status; /* never cancelled */
        a->done(a->pq, a->userdata);
        attempt_free(a);
}

int pg_connect(uv_loop_t *loop, const char *conninfo, const char *application, uint32_t statement_timeout_ms,
               pg_connected done, void *userdata)
{
        struct attempt *a = calloc(1, sizeof(*a));
        int r;

        if (!a)
                return -ENOMEM;
        a->conninfo = strdup(conninfo);
        a->application = strdup(application);
        a->statement_timeout_ms = statement_timeout_ms;
        a->done = done;
        a->userdata = userdata;
        a->work.data = a;
        r = a->conninfo && a->application ? uv_queue_work(loop, &a->work, connect_work, connect_after) : -ENOMEM;
        if (r < 0)
                attempt_free(a);
        return r;
}

void pg_first_line(char *ret, size_t n, const char *message)
{
        size_t len = message ? strcspn(message, "\n") : 0;

        (void)snprintf(ret, n, "%.*s", (int)(len < n ? len : n - 1), message ? message : "");
}
