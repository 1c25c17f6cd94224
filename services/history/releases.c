#include "history/releases.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ident.h"
#include "base/log.h"
#include "base/ticker.h"
#include "bus/bus.h"
#include "bus/subjects.h"
#include "history/heads.h"
#include "history/history_metrics.h"
#include "history/pg.h"
#include "parley/v1/internal.pb-c.h"
#include "wire/wire.h"

/* AT_ONCE: upload removes them one after the other within TIMEOUT_MS, and a store may be slow. WAIT_MS: for ingest. BACK_OFF_MAX_S: between
 * two tries to remove one file that cannot be removed */
enum {
        PERIOD_MS = 1000,
        COUNT_MS = 15000,
        AT_ONCE = 20,
        TIMEOUT_MS = 30000,
        WAIT_MS = 5000,
        BACK_OFF_MAX_S = 3600,
        REQUEST_MAX = 64 << 10
};

static const struct pg_stmt stmt_due = {
        "releases_due", "SELECT EXISTS (SELECT FROM file_releases WHERE greatest(since, next_at) <= now() "
                        "AND since < now() - make_interval(secs => $1::bigint))"};
/* What another message carries by now is not released; both at once, so that nothing comes between. */
static const struct pg_stmt stmt_load = {
        "releases_load",
        "WITH due AS (SELECT file_id FROM file_releases WHERE greatest(since, next_at) <= now() "
        "AND since < now() - make_interval(secs => $1::bigint) ORDER BY greatest(since, next_at) LIMIT $2::bigint FOR UPDATE), "
        "used AS (DELETE FROM file_releases r USING due WHERE r.file_id = due.file_id "
        "AND EXISTS (SELECT FROM message_files m WHERE m.file_id = r.file_id) RETURNING r.file_id) "
        "SELECT file_id FROM due WHERE file_id NOT IN (SELECT file_id FROM used)"};
static const struct pg_stmt stmt_done = {"releases_done", "DELETE FROM file_releases WHERE file_id = ANY($1::text[])"};
static const struct pg_stmt stmt_again = {
        "releases_again", "UPDATE file_releases SET tries = tries + 1, next_at = now() + interval '1 second' "
                          "* least(power(2, least(tries, 20)), $2::bigint) WHERE file_id = ANY($1::text[])"};
static const struct pg_stmt stmt_held = {
        "releases_held",
        "UPDATE file_releases r SET held_until = h.until, next_at = h.until FROM (SELECT id, to_timestamp(ms / 1000.0) AS until "
        "FROM unnest($1::text[], $2::bigint[]) AS x(id, ms)) AS h WHERE r.file_id = h.id"};
/* What should have been removed by now; and files that nobody asks about, because a message with them is a dead letter */
static const struct pg_stmt stmt_count = {
        "releases_count",
        "SELECT count(*), COALESCE(extract(epoch FROM max(now() - due)), 0)::bigint, "
        "(SELECT count(DISTINCT file_id) FROM message_files WHERE dead_letter) FROM (SELECT greatest(since "
        "+ make_interval(secs => $1::bigint), held_until) AS due FROM file_releases) r WHERE due < now()"};

struct releases {
        struct env *env;
        struct ticker *ticker;
        bool running, busy;
        uint64_t count_ms; /* when it is counted again */
        size_t n_asked;    /* for these */
        char asked[AT_ONCE][UUID_LEN + 1];
        uint64_t checked_ms; /* wall clock: messages from before it are in the database */
        void (*stop_done)(void *userdata);
        void *stop_userdata;
};

static void over(struct releases *r)
{
        void (*done)(void *userdata) = r->stop_done;

        r->busy = false;
        if (r->running || !done)
                return;
        r->stop_done = NULL;
        done(r->stop_userdata);
}

/* --- what upload said --- */

static void on_noted(int error, const struct pg_results *results, void *userdata)
{
        (void)error; /* asked for once more, which changes nothing */
        (void)results;
        over(userdata);
}

static bool answered(const struct releases *r, const Parley__V1__ReleaseFilesResponse *a, size_t i)
{
        for (size_t k = 0; a && k < a->n_file_ids; k++)
                if (strcmp(a->file_ids[k], r->asked[i]) == 0)
                        return true;
        for (size_t k = 0; a && k < a->n_held; k++)
                if (strcmp(a->held[k]->file_id, r->asked[i]) == 0)
                        return true;
        return false;
}

static void add_gone(struct pg_job *job, const Parley__V1__ReleaseFilesResponse *a)
{
        struct pg_array ids;

        pg_array_init(&ids, PG_TEXT, SIZE_MAX);
        for (size_t i = 0; i < a->n_file_ids; i++)
                pg_array_text(&ids, a->file_ids[i]);
        pg_job_add(job, &stmt_done);
        pg_arg_array(job, &ids);
        pg_array_done(&ids);
}

static void add_held(struct pg_job *job, const Parley__V1__ReleaseFilesResponse *a)
{
        struct pg_array ids, until;

        pg_array_init(&ids, PG_TEXT, SIZE_MAX);
        pg_array_init(&until, PG_INT8, SIZE_MAX);
        for (size_t i = 0; i < a->n_held; i++) {
                pg_array_text(&ids, a->held[i]->file_id);
                pg_array_i64(&until, (int64_t)a->held[i]->until_ms);
        }
        pg_job_add(job, &stmt_held);
        pg_arg_array(job, &ids);
        pg_arg_array(job, &until);
        pg_array_done(&ids);
        pg_array_done(&until);
}

/* The others are asked for later and later, so that they do not stand in the way */
static void add_again(struct pg_job *job, const struct releases *r, const Parley__V1__ReleaseFilesResponse *a)
{
        struct pg_array ids;

        pg_array_init(&ids, PG_TEXT, SIZE_MAX);
        for (size_t i = 0; i < r->n_asked; i++)
                if (!answered(r, a, i))
                        pg_array_text(&ids, r->asked[i]);
        pg_job_add(job, &stmt_again);
        pg_arg_array(job, &ids);
        pg_arg_i64(job, BACK_OFF_MAX_S);
        pg_array_done(&ids);
}

/* a NULL: there was no answer */
static void note(struct releases *r, const Parley__V1__ReleaseFilesResponse *a)
{
        struct pg_job *job = pg_job_new(PG_WRITE);

        if (!job) {
                over(r);
                return;
        }
        if (a) {
                add_gone(job, a);
                add_held(job, a);
        }
        add_again(job, r, a);
        pg_run(r->env->pg_worker, job, 0, on_noted, r);
}

static void on_released(int error, const struct bus_msg *msg, void *userdata)
{
        struct releases *r = userdata;
        struct wire_error wire_error;
        ProtobufCMessage *m = NULL;
        const Parley__V1__ReleaseFilesResponse *answer;

        if (error == BUS_E_NO_RESPONDERS || error == BUS_E_DISCONNECTED) {
                over(r); /* upload may be away for long: nothing to say each second */
                return;
        }
        if (error || wire_proto_decode(&parley__v1__release_files_response__descriptor, msg->data, msg->len,
                                       &wire_limits_internal, &m, &wire_error) != 0) {
                log_warn("files of deleted messages are not removed yet", LOG_I("error", error));
                note(r, NULL);
                return;
        }
        answer = (const Parley__V1__ReleaseFilesResponse *)m;
        if (answer->error)
                log_warn("files of deleted messages are not removed yet", LOG_S("why", answer->error->message));
        note(r, answer);
        protobuf_c_message_free_unpacked(m, NULL);
}

/* --- asking --- */

static void on_loaded(int error, const struct pg_results *results, void *userdata)
{
        struct releases *r = userdata;
        Parley__V1__ReleaseFilesRequest request = PARLEY__V1__RELEASE_FILES_REQUEST__INIT;
        struct buf bytes = BUF_INIT(REQUEST_MAX);
        char *ids[AT_ONCE];
        int e = -1;

        request.file_ids = ids;
        request.checked_at_ms = r->checked_ms;
        r->n_asked = 0;
        for (unsigned i = 0; error == 0 && i < pg_rows(results, 0); i++) {
                const char *id = pg_text(results, 0, i, 0);

                ids[r->n_asked] = r->asked[r->n_asked];
                (void)snprintf(r->asked[r->n_asked++], UUID_LEN + 1, "%s", id);
        }
        request.n_file_ids = r->n_asked;
        if (request.n_file_ids && wire_proto_encode(&request.base, &bytes) == 0)
                e = bus_request(r->env->bus, RPC_UPLOAD_RELEASE, bytes.data, bytes.len, TIMEOUT_MS, NULL, on_released,
                                r);
        buf_done(&bytes);
        if (e != 0)
                over(r);
}

/* One shard that is behind, or a database from a backup, may have messages with these files still before it */
static void on_ingested(int error, bool ingested, void *userdata)
{
        struct releases *r = userdata;
        struct pg_job *job = error == 0 && ingested && r->running ? pg_job_new(PG_WRITE) : NULL;

        if (!job) {
                over(r);
                return;
        }
        pg_job_add(job, &stmt_load);
        pg_arg_i64(job, (int64_t)r->env->config->file_release_s);
        pg_arg_i64(job, AT_ONCE);
        pg_run(r->env->pg_worker, job, 0, on_loaded, r);
}

static void on_due(int error, const struct pg_results *results, void *userdata)
{
        struct releases *r = userdata;

        if (error == 0 && pg_rows(results, 1)) {
                metric_set(&metric_releases_waiting, (double)pg_i64(results, 1, 0, 0));
                metric_set(&metric_releases_age, (double)pg_i64(results, 1, 0, 1));
                metric_set(&metric_dead_letter_files, (double)pg_i64(results, 1, 0, 2));
        }
        r->checked_ms = (uint64_t)env_now_ns() / 1000000;
        if (error || !pg_bool(results, 0, 0, 0) || heads_wait_ingested(r->env, WAIT_MS, on_ingested, r) != 0)
                over(r);
}

static void on_tick(void *userdata)
{
        struct releases *r = userdata;
        uint64_t now = env_now_ms(r->env);
        struct pg_job *job;

        ticker_start(r->ticker, PERIOD_MS, PERIOD_MS);
        if (r->busy || !bus_connected(r->env->bus))
                return;
        job = pg_job_new(PG_READ);
        if (!job)
                return;
        r->busy = true;
        pg_job_add(job, &stmt_due);
        pg_arg_i64(job, (int64_t)r->env->config->file_release_s);
        if (now >= r->count_ms) {
                r->count_ms = now + COUNT_MS;
                pg_job_add(job, &stmt_count);
                pg_arg_i64(job, (int64_t)r->env->config->file_release_s);
        }
        pg_run(r->env->pg_worker, job, 0, on_due, r);
}

int releases_new(struct releases **ret_releases, struct env *env)
{
        struct releases *r = calloc(1, sizeof(*r));

        if (!r)
                return -ENOMEM;
        r->env = env;
        r->ticker = ticker_new(env->loop, on_tick, r);
        if (!r->ticker) {
                free(r);
                return -ENOMEM;
        }
        *ret_releases = r;
        return 0;
}

void releases_free(struct releases *r)
{
        if (r)
                ticker_free(r->ticker);
        free(r);
}

void releases_start(struct releases *r)
{
        r->running = true;
        r->count_ms = 0;
        ticker_start(r->ticker, PERIOD_MS, PERIOD_MS);
}

void releases_stop(struct releases *r, void (*done)(void *userdata), void *userdata)
{
        r->running = false;
        metric_set(&metric_releases_waiting, 0); /* whoever goes on tells it */
        metric_set(&metric_releases_age, 0);
        metric_set(&metric_dead_letter_files, 0);
        r->stop_done = done;
        r->stop_userdata = userdata;
        ticker_stop(r->ticker);
        if (!r->busy)
                over(r);
}
