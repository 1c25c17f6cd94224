#include "upload/sweeper.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "bus/bus.h"
#include "bus/subjects.h"
#include "upload/objects.h"
#include "upload/quota.h"
#include "upload/records.h"
#include "upload/upload_metrics.h"

/* Uploads are read in batches, and those of a batch that are over are ended one after the other: no hurry. */
enum { BATCH = 100, LINGER_MS = 50 };

struct sweeper {
        struct env *env;
        struct bus_reader *reader; /* NULL: no look is under way */
        unsigned n_pending;        /* that are not over, in this look */
        bool stopping, last;       /* last: the batch ends with the newest entry there was */
        bool barred;               /* the one that is looked at can become no file, or is one */
        Parley__V1__PendingUpload *found[BATCH];
        uint64_t revisions[BATCH];
        unsigned n_found, at;
};

static void next(struct sweeper *s);

static void drop_found(struct sweeper *s)
{
        for (unsigned i = 0; i < s->n_found; i++)
                protobuf_c_message_free_unpacked(&s->found[i]->base, NULL);
        s->n_found = s->at = 0;
}

static void look_over(struct sweeper *s)
{
        drop_found(s);
        bus_reader_free(s->reader);
        s->reader = NULL;
        env_end(s->env);
}

/* An error leaves the upload for the next look */
static void failed(struct sweeper *s, const char *what, int error)
{
        log_warn("an upload that is over could not be ended", LOG_S("upload", s->found[s->at]->id), LOG_S("what", what),
                 LOG_I("error", error));
        s->at++;
        next(s);
}

/* --- one upload; the record goes last, and only if it is still the one that was read --- */

static void on_deleted(int error, void *userdata)
{
        struct sweeper *s = userdata;

        if (error && error != BUS_E_CONFLICT) {
                failed(s, "NATS", error);
                return;
        }
        metric_add(&metric_swept, 1);
        s->at++;
        next(s);
}

static void on_settled(int error, void *userdata)
{
        struct sweeper *s = userdata;
        int r = error ? error : record_delete_upload(s->env, s->found[s->at]->id, s->revisions[s->at], on_deleted, s);

        if (r != 0)
                failed(s, "NATS", r);
}

static void settle(struct sweeper *s, enum quota_kind kind)
{
        const Parley__V1__PendingUpload *u = s->found[s->at];
        struct quota_change change = {.kind = kind, .id = u->id};
        struct objects o;
        int r;

        objects_of_upload(u, &o);
        change.size = objects_bytes(&o);
        r = quota_run(s->env->quota, u->user_id, &change, on_settled, s);

        if (r != 0)
                failed(s, "quota", r);
}

static void on_forgotten(int error, void *userdata)
{
        struct sweeper *s = userdata;

        if (error)
                failed(s, "the store", error);
        else
                settle(s, QUOTA_COMMIT);
}

static void on_removed(int error, void *userdata)
{
        struct sweeper *s = userdata;

        if (error)
                failed(s, "the store", error);
        else
                settle(s, QUOTA_RELEASE);
}

static int look_for_file(struct sweeper *s);

static void remove_found(struct sweeper *s)
{
        struct objects o;

        objects_of_upload(s->found[s->at], &o);
        objects_run(s->env, &o, s->env->store->ops->remove, on_removed, s);
}

/* Nothing is removed before it is sure that nobody makes a file of it meanwhile */
static void on_barred(int error, void *userdata)
{
        struct sweeper *s = userdata;
        int r = error;

        s->barred = true;
        if (error == 0) {
                remove_found(s);
                return;
        }
        if (error == BUS_E_CONFLICT) /* it was barred before; or it is a file now */
                r = look_for_file(s);
        if (r != 0)
                failed(s, "NATS", r);
}

static void bar(struct sweeper *s)
{
        int r = record_delete_file(s->env, s->found[s->at]->id, BUS_KV_NEVER, on_barred, s);

        if (r != 0)
                failed(s, "NATS", r);
}

static void on_file(int error, ProtobufCMessage *m, uint64_t revision, void *userdata)
{
        struct sweeper *s = userdata;
        const struct store_ops *ops = s->env->store->ops;
        struct objects o;

        (void)revision;
        if (m)
                protobuf_c_message_free_unpacked(m, NULL);
        objects_of_upload(s->found[s->at], &o);
        if (error == 0) /* it was completed: only the end of that is missing */
                objects_run(s->env, &o, ops->forget, on_forgotten, s);
        else if (error == BUS_E_NOT_FOUND && s->barred)
                remove_found(s);
        else if (error == BUS_E_NOT_FOUND)
                bar(s);
        else
                failed(s, "NATS", error);
}

static int look_for_file(struct sweeper *s)
{
        return record_get_file(s->env, s->found[s->at]->id, on_file, s);
}

static void next(struct sweeper *s)
{
        int r;

        if (s->at < s->n_found && !s->stopping) {
                s->barred = false;
                r = look_for_file(s);
                if (r == 0)
                        return;
                s->stopping = s->stopping || r < 0;
                s->last = true; /* NATS is away: the next look will do */
        }
        if (s->last || s->stopping) {
                look_over(s);
                return;
        }
        drop_found(s);
        bus_reader_next(s->reader);
}

/* --- reading the bucket --- */

static void on_entry(const struct bus_msg *msg, void *userdata)
{
        struct sweeper *s = userdata;
        Parley__V1__PendingUpload *u;

        s->last = msg->pending == 0;
        if (msg->deleted || s->n_found == BATCH)
                return;
        if (record_read_upload(msg->data, msg->len, &u) < 0) {
                log_warn("an entry of the bucket cannot be read", LOG_S("subject", msg->subject));
                return;
        }
        if (u->expires_at_ms > env_wall_ms()) {
                s->n_pending++;
                protobuf_c_message_free_unpacked(&u->base, NULL);
                return;
        }
        s->revisions[s->n_found] = msg->seq;
        s->found[s->n_found++] = u;
}

static void on_batch(int error, unsigned n, void *userdata)
{
        struct sweeper *s = userdata;

        s->last = s->last || error || n == 0;
        if (s->last && !error)
                metric_set(&metric_pending, s->n_pending);
        next(s);
}

void sweeper_run(struct sweeper *s)
{
        const struct bus_reader_options options = {.stream = "KV_" BUCKET_UPLOADS,
                                                   .batch = BATCH,
                                                   .linger_ms = LINGER_MS,
                                                   .last_per_subject = true,
                                                   .handler = on_entry,
                                                   .batch_end = on_batch,
                                                   .userdata = s};

        if (s->reader || s->stopping || !s->env->buckets_there || !bus_connected(s->env->bus))
                return;
        s->last = false;
        s->n_pending = 0;
        if (bus_reader_new(&s->reader, s->env->bus, &options) < 0)
                s->reader = NULL;
        else
                env_begin(s->env);
}

void sweeper_stop(struct sweeper *s)
{
        s->stopping = true;
        if (s->reader && s->n_found == 0)
                look_over(s); /* it waits for entries */
}

int sweeper_new(struct sweeper **ret_sweeper, struct env *env)
{
        struct sweeper *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->env = env;
        *ret_sweeper = s;
        return 0;
}

void sweeper_free(struct sweeper *s)
{
        free(s);
}
