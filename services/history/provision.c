#include "history/provision.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "bus/bus.h"
#include "bus/subjects.h"
#include "history/pg.h"
#include "history/rescue.h"

static const struct pg_stmt stmt_cursor = {"provision_cursor",
                                           "SELECT epoch, last_seq, last_time_ns FROM streams WHERE name = $1::text"};
static const struct pg_stmt stmt_begin = {
        "provision_begin",
        "INSERT INTO streams (name, epoch, last_seq) VALUES ($1::text, $2::bigint, $3::bigint) ON CONFLICT DO NOTHING"};
static const struct pg_stmt stmt_epoch = {
        "provision_epoch", "UPDATE streams SET epoch = $2::bigint, last_seq = $3::bigint, updated_at = now() "
                           "WHERE name = $1::text AND epoch = $4::bigint AND last_seq = $5::bigint"};
/* Where the log was lost, or its end, the buckets were too */
static const struct pg_stmt stmt_buckets = {
        "provision_buckets",
        "INSERT INTO dirty (kind, key) SELECT 'user', user_id FROM members GROUP BY user_id UNION ALL SELECT 'channel', id FROM channels "
        "ON CONFLICT (kind, key) DO UPDATE SET stamp = EXCLUDED.stamp"};

/* Marking every user and channel takes a second for some 100,000 */
enum { MARK_TIMEOUT_MS = 60000 };
enum { STEP_SETUP = 5, STEP_LOG = 7 };

static void next(struct provision *p);

static void fail(struct provision *p, int error, const char *what, const char *why)
{
        (void)snprintf(p->failure, sizeof(p->failure), "%s: %s", what, why && *why ? why : "failed");
        p->done(error, p->userdata);
}

/* --- steps: each ends in next() or fail() --- */

static void on_cursor(int error, const struct pg_results *r, void *userdata)
{
        struct provision *p = userdata;

        if (error) {
                fail(p, -EAGAIN, "cursor", pg_error_text(error));
                return;
        }
        p->cursor = (struct log_cursor){.exists = pg_rows(r, 0) > 0};
        if (p->cursor.exists) {
                p->cursor.epoch = (uint64_t)pg_i64(r, 0, 0, 0);
                p->cursor.last_seq = (uint64_t)pg_i64(r, 0, 0, 1);
                p->cursor_time_ns = pg_i64(r, 0, 0, 2);
        }
        next(p);
}

static void read_cursor(struct provision *p)
{
        struct pg_job *job = pg_job_new(PG_READ);

        if (!job) {
                fail(p, -ENOMEM, "cursor", strerror(ENOMEM));
                return;
        }
        pg_job_add(job, &stmt_cursor);
        pg_arg_text(job, p->stream);
        pg_run(p->env->pg_worker, job, 0, on_cursor, p);
}

static void on_ensured(int error, const struct bus_stream_info *info, const char *text, void *userdata)
{
        struct provision *p = userdata;

        (void)info;
        if (error)
                fail(p, -EAGAIN, "stream", text && *text ? text : bus_error_text(error));
        else
                next(p);
}

/* Makes it or changes it; where that is not ours to do, it only has to be there */
static int ensure_stream(struct provision *p, const struct bus_stream_config *config, bus_stream_handler handler)
{
        if (p->setup || p->env->config->provision)
                return bus_stream_ensure(p->env->bus, config, handler, p);
        return bus_stream_info(p->env->bus, config->name, handler, p);
}

static void ensure(struct provision *p, const struct bus_stream_config *config)
{
        int r = ensure_stream(p, config, on_ensured);

        if (r)
                fail(p, -EAGAIN, config->name, r < 0 ? strerror(-r) : bus_error_text(r));
}

static void ensure_bucket(struct provision *p, const char *name, const char *subject)
{
        const struct bus_stream_config config = {.name = name,
                                                 .subject = subject,
                                                 .max_per_subject = 1,
                                                 .replicas = (uint32_t)p->env->config->stream_replicas,
                                                 .kv = true};

        ensure(p, &config);
}

static void ensure_system(struct provision *p)
{
        const struct history_config *c = p->env->config;
        const struct bus_stream_config config = {.name = STREAM_SYSTEM,
                                                 .subject = "dlq.>,upload.completed",
                                                 .max_bytes = c->system_max_bytes,
                                                 .max_age_ms = c->system_keep_days * 86400000,
                                                 .dedupe_window_ms = c->dedupe_window_ms,
                                                 .replicas = (uint32_t)c->stream_replicas,
                                                 .allow_direct = true};

        ensure(p, &config);
}

static void ensure_log(struct provision *p);

/* A server with less room than is asked for refuses to create the stream: then half of it. */
static bool smaller(struct provision *p)
{
        if (p->max_bytes < UINT64_C(128) << 20)
                return false;
        p->max_bytes /= 2;
        return true;
}

static void on_log_ensured(int error, const struct bus_stream_info *info, const char *text, void *userdata)
{
        struct provision *p = userdata;

        if (error == BUS_E_REFUSED && text && strstr(text, "insufficient storage") && smaller(p)) {
                log_warn("the server has less room for the log than was asked for", LOG_S("stream", p->stream),
                         LOG_U("try_bytes", p->max_bytes));
                ensure_log(p);
                return;
        }
        if (error) {
                fail(p, -EAGAIN, p->stream, text && *text ? text : bus_error_text(error));
                return;
        }
        p->created = info->created;
        p->log = (struct log_state){
                .exists = true, .epoch = info->epoch, .first_seq = info->first_seq, .last_seq = info->last_seq};
        next(p);
}

static void ensure_log(struct provision *p)
{
        const struct history_config *c = p->env->config;
        char chat[SUBJECT_MAX], live[SUBJECT_MAX];
        const struct bus_stream_config config = {.name = p->stream,
                                                 .subject = chat,
                                                 .republish_from = chat,
                                                 .republish_to = live,
                                                 .first_seq = provision_first_seq(&p->cursor),
                                                 .epoch = (uint64_t)env_now_s(),
                                                 .max_bytes = p->max_bytes,
                                                 .dedupe_window_ms = c->dedupe_window_ms,
                                                 .replicas = (uint32_t)c->stream_replicas,
                                                 .discard_new = true,
                                                 .allow_direct = true};
        int r;

        subject_chat_all(chat, p->shard);
        subject_live_all(live, p->shard);
        r = ensure_stream(p, &config, on_log_ensured);
        if (r)
                fail(p, -EAGAIN, p->stream, r < 0 ? strerror(-r) : bus_error_text(r));
}

static void on_cursor_written(int error, const struct pg_results *r, void *userdata)
{
        struct provision *p = userdata;

        if (error)
                fail(p, -EAGAIN, "cursor", *pg_message(r) ? pg_message(r) : pg_error_text(error));
        else
                next(p);
}

static void write_cursor(struct provision *p, enum provision_verdict verdict)
{
        struct pg_job *job = pg_job_new(PG_WRITE);

        if (!job) {
                fail(p, -ENOMEM, "cursor", strerror(ENOMEM));
                return;
        }
        pg_job_add(job, verdict == PROVISION_BEGIN ? &stmt_begin : &stmt_epoch);
        pg_arg_text(job, p->stream);
        pg_arg_i64(job, (int64_t)p->start.epoch);
        pg_arg_i64(job, (int64_t)p->start.last_seq);
        if (verdict == PROVISION_NEW_EPOCH) {
                pg_arg_i64(job, (int64_t)p->cursor.epoch);
                pg_arg_i64(job, (int64_t)p->cursor.last_seq);
        }
        pg_job_expect(job, 1);
        if (verdict == PROVISION_NEW_EPOCH)
                pg_job_add(job, &stmt_buckets);
        pg_run(p->env->pg_worker, job, MARK_TIMEOUT_MS, on_cursor_written, p);
}

static void on_rescued(int error, const char *why, void *userdata)
{
        struct provision *p = userdata;

        if (error) {
                fail(p, -EAGAIN, "the log's end", why);
                return;
        }
        p->step = STEP_LOG; /* look at it again */
        next(p);
}

static void on_buckets_marked(int error, const struct pg_results *r, void *userdata)
{
        struct provision *p = userdata;
        const struct rescue_from from = {.stream = p->stream,
                                         .ingested_seq = p->cursor.last_seq,
                                         .ingested_time_ns = p->cursor_time_ns,
                                         .first_seq = p->log.first_seq,
                                         .last_seq = p->log.last_seq};

        if (error)
                fail(p, -EAGAIN, "the buckets", *pg_message(r) ? pg_message(r) : pg_error_text(error));
        else if (rescue_run(p->env, &from, on_rescued, p) < 0)
                fail(p, -ENOMEM, "the log's end", strerror(ENOMEM));
}

static void rescue(struct provision *p)
{
        struct pg_job *job = pg_job_new(PG_WRITE);

        if (!job) {
                fail(p, -ENOMEM, "the log's end", strerror(ENOMEM));
                return;
        }
        pg_job_add(job, &stmt_buckets);
        pg_run(p->env->pg_worker, job, MARK_TIMEOUT_MS, on_buckets_marked, p);
}

static void settle(struct provision *p)
{
        enum provision_verdict verdict = provision_resume(&p->cursor, &p->log, &p->start);

        if (verdict == PROVISION_LOST_END) {
                rescue(p);
                return;
        }
        if (verdict == PROVISION_REPEATS) {
                (void)snprintf(
                        p->failure, sizeof(p->failure),
                        "%.32s ends at %llu (epoch %llu) but Postgres has it through %llu (epoch %llu): sequences would repeat",
                        p->stream, (unsigned long long)p->log.last_seq, (unsigned long long)p->log.epoch,
                        (unsigned long long)p->cursor.last_seq, (unsigned long long)p->cursor.epoch);
                p->done(-ERANGE, p->userdata);
                return;
        }
        if (p->cursor.exists && p->log.first_seq > p->start.last_seq + 1 && verdict == PROVISION_CONTINUE)
                log_error("the log was cut above what was ingested", LOG_S("stream", p->stream),
                          LOG_U("ingested", p->start.last_seq), LOG_U("first_seq", p->log.first_seq));
        if (verdict == PROVISION_BEGIN && p->start.last_seq > 0)
                log_warn(
                        "the database is empty and the log does not reach back to its beginning: what was below is lost",
                        LOG_S("stream", p->stream), LOG_U("first_seq", p->start.last_seq + 1));
        if (verdict != PROVISION_CONTINUE) {
                log_info("ingest begins at the stream's first message", LOG_S("stream", p->stream),
                         LOG_U("epoch", p->start.epoch), LOG_U("after_seq", p->start.last_seq),
                         LOG_S("created", p->created ? "yes" : "no"));
                write_cursor(p, verdict);
        } else {
                next(p);
        }
}

static void next(struct provision *p)
{
        if (p->step == STEP_SETUP && !p->setup)
                p->step = STEP_LOG;
        switch (p->step++) {
        case 0:
                read_cursor(p);
                break;
        case 1:
                ensure_system(p);
                break;
        case 2:
                ensure_bucket(p, "KV_" BUCKET_MEMBERS, "$KV." BUCKET_MEMBERS ".>");
                break;
        case 3:
                ensure_bucket(p, "KV_" BUCKET_CHANNELS, "$KV." BUCKET_CHANNELS ".>");
                break;
        case 4:
                ensure_bucket(p, "KV_" BUCKET_PRESENCE, "$KV." BUCKET_PRESENCE ".>");
                break;
        case STEP_SETUP: /* upload makes them itself where it may */
                ensure_bucket(p, "KV_" BUCKET_UPLOADS, "$KV." BUCKET_UPLOADS ".>");
                break;
        case STEP_SETUP + 1:
                ensure_bucket(p, "KV_" BUCKET_FILES, "$KV." BUCKET_FILES ".>");
                break;
        case STEP_LOG:
                ensure_log(p);
                break;
        case STEP_LOG + 1:
                if (p->setup)
                        p->done(0, p->userdata);
                else
                        settle(p);
                break;
        default:
                p->done(0, p->userdata);
        }
}

static void run(struct provision *p, struct env *env, unsigned shard, bool setup,
                void (*done)(int error, void *userdata), void *userdata)
{
        *p = (struct provision){.env = env,
                                .shard = shard,
                                .setup = setup,
                                .max_bytes = env->config->log_max_bytes,
                                .done = done,
                                .userdata = userdata};
        subject_chat_stream(p->stream, shard);
        next(p);
}

void provision_run(struct provision *p, struct env *env, unsigned shard, void (*done)(int error, void *userdata),
                   void *userdata)
{
        run(p, env, shard, false, done, userdata);
}

void provision_setup(struct provision *p, struct env *env, unsigned shard, void (*done)(int error, void *userdata),
                     void *userdata)
{
        run(p, env, shard, true, done, userdata);
}
