#include "history/releases.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/ticker.h"
#include "bus/bus.h"
#include "bus/subjects.h"
#include "history/pg.h"
#include "parley/v1/internal.pb-c.h"
#include "wire/wire.h"

/* TIMEOUT_MS: upload removes them one after the other, and a store may be slow */
enum { PERIOD_MS = 1000, AT_ONCE = 100, TIMEOUT_MS = 30000, REQUEST_MAX = 64 << 10 };

/* What another message carries by now is not released; both at once, so that nothing comes between. */
static const struct pg_stmt stmt_used = {
        "releases_used", "DELETE FROM file_releases r WHERE since < now() - make_interval(secs => $1::bigint) "
                         "AND EXISTS (SELECT FROM message_files m WHERE m.file_id = r.file_id)"};
static const struct pg_stmt stmt_load = {
        "releases_load",
        "SELECT file_id FROM file_releases r WHERE since < now() - make_interval(secs => $1::bigint) "
        "AND NOT EXISTS (SELECT FROM message_files m WHERE m.file_id = r.file_id) ORDER BY since LIMIT $2::bigint"};
static const struct pg_stmt stmt_done = {"releases_done", "DELETE FROM file_releases WHERE file_id = ANY($1::text[])"};

struct releases {
        struct env *env;
        struct ticker *ticker;
        bool running, busy;
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

static void on_crossed_off(int error, const struct pg_results *results, void *userdata)
{
        (void)error; /* asked for once more, which finds nothing */
        (void)results;
        over(userdata);
}

static void cross_off(struct releases *r, const Parley__V1__ReleaseFilesResponse *gone)
{
        struct pg_job *job = gone->n_file_ids ? pg_job_new(PG_WRITE) : NULL;
        struct pg_array ids;

        if (!job) {
                over(r);
                return;
        }
        pg_array_init(&ids, PG_TEXT, SIZE_MAX);
        for (size_t i = 0; i < gone->n_file_ids; i++)
                pg_array_text(&ids, gone->file_ids[i]);
        pg_job_add(job, &stmt_done);
        pg_arg_array(job, &ids);
        pg_array_done(&ids);
        pg_run(r->env->pg_worker, job, 0, on_crossed_off, r);
}

/* Without an answer they are asked for again with the next turn. */
static void on_released(int error, const struct bus_msg *msg, void *userdata)
{
        struct releases *r = userdata;
        struct wire_error wire_error;
        ProtobufCMessage *m = NULL;
        const Parley__V1__ReleaseFilesResponse *answer;

        if (error || wire_proto_decode(&parley__v1__release_files_response__descriptor, msg->data, msg->len,
                                       &wire_limits_internal, &m, &wire_error) != 0) {
                if (error != BUS_E_NO_RESPONDERS) /* upload may be away for long: nothing to say each second */
                        log_warn("files of deleted messages are not removed yet", LOG_I("error", error));
                over(r);
                return;
        }
        answer = (const Parley__V1__ReleaseFilesResponse *)m;
        if (answer->error)
                log_warn("files of deleted messages are not removed yet", LOG_S("why", answer->error->message));
        cross_off(r, answer);
        protobuf_c_message_free_unpacked(m, NULL);
}

static void on_loaded(int error, const struct pg_results *results, void *userdata)
{
        struct releases *r = userdata;
        Parley__V1__ReleaseFilesRequest request = PARLEY__V1__RELEASE_FILES_REQUEST__INIT;
        struct buf bytes = BUF_INIT(REQUEST_MAX);
        char *ids[AT_ONCE];
        int e = -1;

        request.file_ids = ids;
        request.n_file_ids = error ? 0 : pg_rows(results, 1);
        for (unsigned i = 0; i < request.n_file_ids; i++)
                ids[i] = (char *)pg_text(results, 1, i, 0);
        if (request.n_file_ids && wire_proto_encode(&request.base, &bytes) == 0)
                e = bus_request(r->env->bus, RPC_UPLOAD_RELEASE, bytes.data, bytes.len, TIMEOUT_MS, NULL, on_released,
                                r);
        buf_done(&bytes);
        if (e != 0)
                over(r);
}

static void on_tick(void *userdata)
{
        struct releases *r = userdata;
        int64_t age_s = (int64_t)r->env->config->file_release_s;
        struct pg_job *job;

        ticker_start(r->ticker, PERIOD_MS, PERIOD_MS);
        if (r->busy || !bus_connected(r->env->bus))
                return;
        job = pg_job_new(PG_WRITE);
        if (!job)
                return;
        r->busy = true;
        pg_job_add(job, &stmt_used);
        pg_arg_i64(job, age_s);
        pg_job_add(job, &stmt_load);
        pg_arg_i64(job, age_s);
        pg_arg_i64(job, AT_ONCE);
        pg_run(r->env->pg_worker, job, 0, on_loaded, r);
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
        ticker_start(r->ticker, PERIOD_MS, PERIOD_MS);
}

void releases_stop(struct releases *r, void (*done)(void *userdata), void *userdata)
{
        r->running = false;
        r->stop_done = done;
        r->stop_userdata = userdata;
        ticker_stop(r->ticker);
        if (!r->busy)
                over(r);
}
