#include "history/import.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/ident.h"
#include "base/log.h"
#include "bus/bus.h"
#include "bus/subjects.h"
#include "history/ingest_core.h"
#include "history/pg.h"
#include "wire/wire.h"

enum { BATCH = 200, BATCH_BYTES = 2 << 20, LINGER_MS = 20, JOB_TIMEOUT_MS = 30000 };
#define KV_PREFIX(bucket) "$KV." bucket "."

static const struct pg_stmt stmt_channels = {
        "import_channels",
        "INSERT INTO channels AS c (id, kind, name, topic, everyone, history_visibility, archived, version, created_ns, created_by) "
        "SELECT id, kind, name, topic, everyone <> 0, visibility, archived <> 0, version, created_ns, created_by "
        "FROM unnest($1::text[], $2::smallint[], $3::text[], $4::text[], $5::smallint[], $6::smallint[], $7::smallint[], $8::bigint[], "
        "$9::bigint[], $10::text[]) AS b(id, kind, name, topic, everyone, visibility, archived, version, created_ns, created_by) "
        "ON CONFLICT (id) DO UPDATE SET kind = EXCLUDED.kind, name = EXCLUDED.name, topic = EXCLUDED.topic, everyone = EXCLUDED.everyone, "
        "history_visibility = EXCLUDED.history_visibility, archived = EXCLUDED.archived, version = EXCLUDED.version "
        "WHERE c.version < EXCLUDED.version"};
/* Spans of before the log's beginning are known of the present stay only. */
static const struct pg_stmt stmt_members = {
        "import_members",
        "WITH taken AS (INSERT INTO members AS m (channel_id, user_id, role, version, since_seq, left_seq, had_absence) "
        "SELECT channel_id, user_id, role, version, since_seq, left_seq, had_absence <> 0 FROM unnest($1::text[], $2::text[], "
        "$3::smallint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::smallint[]) "
        "AS b(channel_id, user_id, role, version, since_seq, left_seq, had_absence) "
        "ON CONFLICT (channel_id, user_id) DO UPDATE SET role = EXCLUDED.role, version = EXCLUDED.version, "
        "since_seq = GREATEST(m.since_seq, EXCLUDED.since_seq), left_seq = GREATEST(m.left_seq, EXCLUDED.left_seq), "
        "had_absence = m.had_absence OR EXCLUDED.had_absence WHERE m.version < EXCLUDED.version RETURNING *) "
        "INSERT INTO member_spans (channel_id, user_id, from_seq, to_seq) "
        "SELECT t.channel_id, t.user_id, CASE WHEN t.role > 0 THEN t.since_seq ELSE 0 END, CASE WHEN t.role > 0 THEN NULL ELSE t.left_seq END "
        "FROM taken t WHERE CASE WHEN t.role > 0 THEN t.since_seq > 0 ELSE t.left_seq > 0 "
        "AND EXISTS (SELECT FROM channels c WHERE c.id = t.channel_id AND c.everyone) END "
        "AND NOT EXISTS (SELECT FROM member_spans s WHERE s.channel_id = t.channel_id AND s.user_id = t.user_id "
        "AND (s.to_seq IS NULL OR t.role = 0)) ON CONFLICT DO NOTHING"};

struct import {
        struct env *env;
        bool members; /* the second bucket */
        struct bus_reader *reader;
        uint64_t pending;
        struct pg_array a[10];
        unsigned n;
        uint64_t total;
        bool failed, writing, cancelled;
        void (*done)(int error, void *userdata);
        void *userdata;
};

static void begin_bucket(struct import *im);

static void arrays_init(struct import *im)
{
        static const enum pg_element channels[10] = {PG_TEXT, PG_INT2, PG_TEXT, PG_TEXT, PG_INT2,
                                                     PG_INT2, PG_INT2, PG_INT8, PG_INT8, PG_TEXT};
        static const enum pg_element members[10] = {PG_TEXT, PG_TEXT, PG_INT2, PG_INT8, PG_INT8,
                                                    PG_INT8, PG_INT2, PG_INT2, PG_INT2, PG_INT2};

        for (unsigned i = 0; i < 10; i++)
                pg_array_init(&im->a[i], im->members ? members[i] : channels[i], SIZE_MAX);
        im->n = 0;
}

static void arrays_done(struct import *im)
{
        for (unsigned i = 0; i < 10; i++)
                pg_array_done(&im->a[i]);
}

static void finish(struct import *im, int error)
{
        bus_reader_free(im->reader);
        arrays_done(im);
        if (!im->cancelled)
                im->done(error, im->userdata);
        free(im);
}

/* --- entries --- */

static void take_channel(struct import *im, const Parley__V1__Channel *c)
{
        int64_t created = 0;

        if (!ident_valid(c->id) || c->version == 0)
                return;
        if (c->created_at)
                (void)ingest_time_ns(c->created_at, &created); /* one out of range counts as unknown */
        pg_array_text(&im->a[0], c->id);
        pg_array_i16(&im->a[1], (int16_t)c->kind);
        pg_array_text(&im->a[2], c->name);
        pg_array_text(&im->a[3], c->topic);
        pg_array_i16(&im->a[4], c->everyone != 0);
        pg_array_i16(&im->a[5], (int16_t)c->history_visibility);
        pg_array_i16(&im->a[6], c->archived != 0);
        pg_array_i64(&im->a[7], (int64_t)c->version);
        pg_array_i64(&im->a[8], created);
        pg_array_text(&im->a[9], c->created_by);
        im->n++;
}

static void take_memberships(struct import *im, const Parley__V1__Memberships *ms)
{
        if (!ident_valid(ms->user_id))
                return;
        for (size_t i = 0; i < ms->n_memberships; i++) {
                const Parley__V1__Membership *m = ms->memberships[i];

                if (!ident_valid(m->channel_id) || m->version == 0)
                        continue;
                pg_array_text(&im->a[0], m->channel_id);
                pg_array_text(&im->a[1], ms->user_id);
                pg_array_i16(&im->a[2], (int16_t)m->role);
                pg_array_i64(&im->a[3], (int64_t)m->version);
                pg_array_i64(&im->a[4], (int64_t)m->since_seq);
                pg_array_i64(&im->a[5], (int64_t)m->left_seq);
                pg_array_i16(&im->a[6], m->had_absence != 0);
                im->n++;
        }
}

static void on_entry(const struct bus_msg *msg, void *userdata)
{
        struct import *im = userdata;
        const ProtobufCMessageDescriptor *type = im->members ? &parley__v1__memberships__descriptor
                                                             : &parley__v1__channel__descriptor;
        ProtobufCMessage *m;
        struct wire_error error;
        int r;

        im->pending = msg->pending;
        if (msg->len == 0 || strncmp(msg->subject, KV_PREFIX(BUCKET_CHANNELS) KEY_EVERYONE_PREFIX,
                                     strlen(KV_PREFIX(BUCKET_CHANNELS) KEY_EVERYONE_PREFIX)) == 0)
                return; /* a deleted key; a copy */
        r = wire_proto_decode(type, msg->data, msg->len, &wire_limits_internal, &m, &error);
        if (r != 0) {
                log_warn("an entry of a bucket cannot be read", LOG_S("subject", msg->subject),
                         LOG_S("why", error.detail));
                im->failed = im->failed || r < 0;
                return;
        }
        if (im->members)
                take_memberships(im, (const Parley__V1__Memberships *)m);
        else
                take_channel(im, (const Parley__V1__Channel *)m);
        protobuf_c_message_free_unpacked(m, NULL);
}

/* --- batches --- */

static void bucket_over(struct import *im)
{
        bus_reader_free(im->reader);
        im->reader = NULL;
        if (im->total)
                log_debug("compared with a bucket", LOG_S("bucket", im->members ? BUCKET_MEMBERS : BUCKET_CHANNELS),
                          LOG_U("entries", im->total));
        im->total = 0;
        if (im->members) {
                finish(im, 0);
                return;
        }
        im->members = true;
        begin_bucket(im);
}

static void batch_over(struct import *im)
{
        arrays_done(im);
        arrays_init(im);
        if (im->pending == 0)
                bucket_over(im);
        else
                bus_reader_next(im->reader);
}

static void on_written(int error, const struct pg_results *r, void *userdata)
{
        struct import *im = userdata;

        im->writing = false;
        if (error || im->cancelled) {
                if (!im->cancelled)
                        log_warn("the buckets cannot be taken over now",
                                 LOG_S("why", *pg_message(r) ? pg_message(r) : pg_error_text(error)));
                finish(im, error);
                return;
        }
        im->total += im->n;
        batch_over(im);
}

static void on_batch_end(int error, unsigned n, void *userdata)
{
        struct import *im = userdata;
        struct pg_job *job;

        if (error || im->failed) {
                finish(im, error ? error : -ENOMEM);
                return;
        }
        if (n == 0)
                im->pending = 0;
        if (im->n == 0) {
                batch_over(im);
                return;
        }
        job = pg_job_new(PG_WRITE);
        if (!job) {
                finish(im, -ENOMEM);
                return;
        }
        pg_job_add(job, im->members ? &stmt_members : &stmt_channels);
        for (unsigned i = 0; i < (im->members ? 7 : 10); i++)
                pg_arg_array(job, &im->a[i]);
        im->writing = true;
        pg_run(im->env->pg_worker, job, JOB_TIMEOUT_MS, on_written, im);
}

static void on_info(int error, const struct bus_stream_info *info, const char *text, void *userdata)
{
        struct import *im = userdata;
        struct bus_reader_options options = {.stream = im->members ? "KV_" BUCKET_MEMBERS : "KV_" BUCKET_CHANNELS,
                                             .batch = BATCH,
                                             .batch_bytes = BATCH_BYTES,
                                             .linger_ms = LINGER_MS,
                                             .last_per_subject = true,
                                             .handler = on_entry,
                                             .batch_end = on_batch_end,
                                             .userdata = im};

        (void)text;
        im->writing = false;
        if (im->cancelled || error) {
                finish(im, error);
        } else if (info->messages == 0) {
                bucket_over(im);
        } else {
                arrays_done(im);
                arrays_init(im);
                error = bus_reader_new(&im->reader, im->env->bus, &options);
                if (error) {
                        im->reader = NULL;
                        finish(im, error);
                }
        }
}

/* An empty bucket is known at once; a reader would wait for a first entry. */
static void begin_bucket(struct import *im)
{
        int r = bus_stream_info(im->env->bus, im->members ? "KV_" BUCKET_MEMBERS : "KV_" BUCKET_CHANNELS, on_info, im);

        if (r != 0)
                finish(im, r);
        else
                im->writing = true;
}

int import_start(struct import **ret_import, struct env *env, void (*done)(int error, void *userdata), void *userdata)
{
        struct import *im = calloc(1, sizeof(*im));
        int r;

        if (!im)
                return -ENOMEM;
        *im = (struct import){.env = env, .done = done, .userdata = userdata};
        r = bus_stream_info(env->bus, "KV_" BUCKET_CHANNELS, on_info, im);
        if (r != 0) {
                free(im);
                return r;
        }
        im->writing = true;
        *ret_import = im;
        return 0;
}

void import_cancel(struct import *im)
{
        im->cancelled = true;
        bus_reader_free(im->reader);
        im->reader = NULL;
        if (!im->writing) {
                arrays_done(im);
                free(im);
        }
}
