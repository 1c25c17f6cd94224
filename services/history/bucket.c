#include "history/bucket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/ident.h"
#include "base/log.h"
#include "bus/bus.h"
#include "bus/subjects.h"
#include "history/channel_rows.h"
#include "history/history_metrics.h"
#include "parley/v1/internal.pb-c.h"
#include "wire/wire.h"

/* VALUE_MAX: below the usual largest message of NATS, 1 MiB; PARLEY_MAX_CHANNELS_PER_USER keeps to it */
enum { TRIES_MAX = 10, VALUE_MAX = 900 << 10, KEY_MAX = IDENT_MAX + 16 };

static const struct pg_stmt stmt_stamp = {"bucket_stamp",
                                          "SELECT stamp FROM dirty WHERE kind = $1::text AND key = $2::text"};
/* The version of the whole is the sum of the parts' versions: it rises with each change, and is the same again when the rows were
 * ingested anew. What was left longest ago is dropped first where there is too much. */
static const struct pg_stmt stmt_user = {
        "bucket_user",
        "SELECT (SELECT sum(version)::bigint FROM members WHERE user_id = $1::text), " MEMBERSHIP_COLUMNS
        " FROM members m WHERE m.user_id = $1::text ORDER BY m.role = 0, m.left_seq DESC, m.channel_id LIMIT $2::bigint"};
static const struct pg_stmt stmt_channel = {"bucket_channel",
                                            "SELECT " CHANNEL_COLUMNS " FROM channels c WHERE c.id = $1::text"};
static const struct pg_stmt stmt_clean = {
        "bucket_clean", "DELETE FROM dirty WHERE kind = $1::text AND key = $2::text AND stamp = $3::bigint"};

struct sync {
        struct env *env;
        enum bucket_kind kind;
        char key[IDENT_MAX + 1];
        char entry[KEY_MAX]; /* of the bucket */
        bool second;         /* the copy under everyone.<channel> */
        bool everyone;
        int64_t stamp;
        uint64_t version;
        struct buf value, signal;
        unsigned tries;
        bool put_any; /* the key was deleted before: its last revision is that of the deletion */
        void (*done)(int error, void *userdata);
        void *userdata;
};

static void get_entry(struct sync *s);

static const char *kind_text(const struct sync *s)
{
        return s->kind == BUCKET_USER ? "user" : "channel";
}

static const char *bucket_name(const struct sync *s)
{
        return s->kind == BUCKET_USER ? BUCKET_MEMBERS : BUCKET_CHANNELS;
}

static void finish(struct sync *s, int error)
{
        s->done(error, s->userdata);
        buf_done(&s->value);
        buf_done(&s->signal);
        free(s);
}

/* --- last step: no longer dirty, unless it changed meanwhile --- */

static void on_cleaned(int error, const struct pg_results *r, void *userdata)
{
        (void)r;
        finish(userdata, error);
}

static void clean(struct sync *s)
{
        struct pg_job *job = s->stamp ? pg_job_new(PG_WRITE) : NULL;

        if (!job) {
                finish(s, s->stamp ? -ENOMEM : 0);
                return;
        }
        pg_job_add(job, &stmt_clean);
        pg_arg_text(job, kind_text(s));
        pg_arg_text(job, s->key);
        pg_arg_i64(job, s->stamp);
        pg_run(s->env->pg_worker, job, 0, on_cleaned, s);
}

/* --- the entry of the bucket --- */

static void entry_settled(struct sync *s)
{
        if (s->kind == BUCKET_CHANNEL && !s->second) {
                s->second = true;
                s->tries = 0;
                s->put_any = false;
                (void)snprintf(s->entry, sizeof(s->entry), KEY_EVERYONE_PREFIX "%s", s->key);
                get_entry(s);
                return;
        }
        clean(s);
}

static void on_put(int error, const struct bus_ack *ack, const char *text, void *userdata)
{
        struct sync *s = userdata;

        (void)ack;
        if (error == BUS_E_CONFLICT && ++s->tries < TRIES_MAX) {
                s->put_any = s->tries > 1;
                get_entry(s);
                return;
        }
        if (error) {
                log_warn("an entry of a bucket cannot be written", LOG_S("bucket", bucket_name(s)),
                         LOG_S("key", s->entry), LOG_S("why", text && *text ? text : bus_error_text(error)));
                finish(s, error);
                return;
        }
        metric_add(&metric_bucket_writes, 1);
        if (s->signal.len) {
                char subject[SUBJECT_MAX];

                subject_user(subject, s->key);
                /* devices that miss it learn it from the channel's log */
                (void)bus_publish(s->env->bus, subject, s->signal.data, s->signal.len, NULL);
        }
        entry_settled(s);
}

static void on_deleted(int error, const struct bus_ack *ack, const char *text, void *userdata)
{
        struct sync *s = userdata;

        (void)ack;
        (void)text;
        if (error)
                finish(s, error);
        else
                entry_settled(s);
}

static uint64_t version_of(const struct sync *s, const uint8_t *data, size_t len)
{
        const ProtobufCMessageDescriptor *type = s->kind == BUCKET_USER ? &parley__v1__memberships__descriptor
                                                                        : &parley__v1__channel__descriptor;
        ProtobufCMessage *m;
        struct wire_error error;
        uint64_t version;

        if (wire_proto_decode(type, data, len, &wire_limits_internal, &m, &error) != 0)
                return 0; /* not ours: replaced */
        version = s->kind == BUCKET_USER ? ((Parley__V1__Memberships *)m)->version
                                         : ((Parley__V1__Channel *)m)->version;
        protobuf_c_message_free_unpacked(m, NULL);
        return version;
}

static void put(struct sync *s, uint64_t revision)
{
        int r = bus_kv_put(s->env->bus, bucket_name(s), s->entry, s->value.data, s->value.len, revision, on_put, s);

        if (r != 0)
                finish(s, r);
}

static void on_entry(int error, const struct bus_msg *msg, void *userdata)
{
        struct sync *s = userdata;
        bool wanted = !s->second || s->everyone;
        uint64_t there;
        int r;

        if (error && error != BUS_E_NOT_FOUND) {
                finish(s, error);
                return;
        }
        if (error == BUS_E_NOT_FOUND) {
                if (wanted)
                        put(s, s->put_any ? BUS_KV_ANY : 0);
                else
                        entry_settled(s);
                return;
        }
        there = version_of(s, msg->data, msg->len);
        if (there > s->version) {
                log_error("Postgres is older than a bucket", LOG_S("bucket", bucket_name(s)), LOG_S("key", s->entry),
                          LOG_U("version", s->version), LOG_U("bucket_version", there));
                entry_settled(s);
        } else if (!wanted) {
                r = bus_kv_delete(s->env->bus, bucket_name(s), s->entry, BUS_KV_ANY, on_deleted, s);
                if (r != 0)
                        finish(s, r);
        } else if (there == s->version && msg->len == s->value.len && memcmp(msg->data, s->value.data, msg->len) == 0) {
                entry_settled(s);
        } else {
                put(s, msg->seq);
        }
}

static void get_entry(struct sync *s)
{
        int r = bus_kv_get(s->env->bus, bucket_name(s), s->entry, on_entry, s);

        if (r != 0)
                finish(s, r);
}

/* --- first step: what Postgres has --- */

static int pack_user(struct sync *s, const struct pg_results *r)
{
        unsigned n = pg_rows(r, 1);
        _cleanup_free_ Parley__V1__Membership *all = calloc(n + 1, sizeof(*all));
        _cleanup_free_ Parley__V1__Membership **pointers = calloc(n + 1, sizeof(*pointers));
        Parley__V1__Memberships value = PARLEY__V1__MEMBERSHIPS__INIT;
        Parley__V1__UserSignal signal = PARLEY__V1__USER_SIGNAL__INIT;
        int e;

        if (!all || !pointers)
                return -ENOMEM;
        for (unsigned i = 0; i < n; i++) {
                membership_read(r, 1, i, 1, &all[i]);
                pointers[i] = &all[i];
        }
        value.user_id = s->key;
        value.version = s->version = n ? (uint64_t)pg_i64(r, 1, 0, 0) : 0;
        value.memberships = pointers;
        value.n_memberships = n;
        signal.body_case = PARLEY__V1__USER_SIGNAL__BODY_MEMBERSHIPS_CHANGED;
        signal.memberships_changed = &value;
        e = wire_proto_encode(&value.base, &s->value);
        return e ? e : wire_proto_encode(&signal.base, &s->signal);
}

static int pack_channel(struct sync *s, const struct pg_results *r)
{
        Parley__V1__Channel channel;
        Google__Protobuf__Timestamp at;

        channel_read(r, 1, 0, 0, &channel, &at);
        s->version = channel.version;
        s->everyone = channel.everyone;
        return wire_proto_encode(&channel.base, &s->value);
}

static void on_read(int error, const struct pg_results *r, void *userdata)
{
        struct sync *s = userdata;
        int e;

        if (error) {
                finish(s, error);
                return;
        }
        s->stamp = pg_rows(r, 0) ? pg_i64(r, 0, 0, 0) : 0;
        if (pg_rows(r, 1) == 0) {
                clean(s); /* nothing of it is here: then nothing is written either */
                return;
        }
        e = s->kind == BUCKET_USER ? pack_user(s, r) : pack_channel(s, r);
        if (e) {
                log_error("an entry of a bucket is too large", LOG_S("bucket", bucket_name(s)), LOG_S("key", s->key));
                finish(s, e < 0 ? e : -E2BIG);
                return;
        }
        get_entry(s);
}

int bucket_sync(struct env *env, enum bucket_kind kind, const char *key, void (*done)(int error, void *userdata),
                void *userdata)
{
        struct sync *s = calloc(1, sizeof(*s));
        struct pg_job *job = pg_job_new(PG_READ);

        if (!s || !job) {
                free(s);
                pg_job_free(job);
                return -ENOMEM;
        }
        *s = (struct sync){.env = env,
                           .kind = kind,
                           .value = BUF_INIT(VALUE_MAX),
                           .signal = BUF_INIT(VALUE_MAX + 64),
                           .done = done,
                           .userdata = userdata};
        (void)snprintf(s->key, sizeof(s->key), "%s", key);
        (void)snprintf(s->entry, sizeof(s->entry), "%s", key);
        /* the mark before the rows: a change in between leaves it marked */
        pg_job_add(job, &stmt_stamp);
        pg_arg_text(job, kind_text(s));
        pg_arg_text(job, key);
        pg_job_add(job, kind == BUCKET_USER ? &stmt_user : &stmt_channel);
        pg_arg_text(job, key);
        if (kind == BUCKET_USER)
                pg_arg_i64(job, (int64_t)(env->config->max_channels_per_user * 4));
        pg_run(env->pg_worker, job, 0, on_read, s);
        return 0;
}
