#include "upload/sweeper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "bus/bus.h"
#include "bus/subjects.h"
#include "upload/carried.h"
#include "upload/ending.h"
#include "upload/objects.h"
#include "upload/quota.h"
#include "upload/records.h"
#include "upload/upload_metrics.h"
#include "wire/wire.h"

/* Uploads are read in batches, and those of a batch that are over are ended one after the other: no hurry. */
enum { BATCH = CARRIED_WHOLE_MAX, LINGER_MS = 50, EVENT_MAX = 64 << 10, ANSWER_MAX = 1 << 20 };

struct sweeper {
        struct env *env;
        struct bus_reader *reader; /* NULL: no look is under way */
        unsigned n_pending;        /* that are not over, in this look */
        uint64_t first_live;       /* the oldest entry that stays; UINT64_MAX: none does */
        uint64_t newest;           /* entry that was seen */
        uint64_t trimmed;          /* below it nothing is left */
        bool whole;                /* every entry was seen */
        bool stopping, last;       /* last: the batch ends with the newest entry there was */
        bool barred;               /* the one that is looked at can become no file, or is one */
        Parley__V1__PendingUpload *found[BATCH];
        uint64_t revisions[BATCH];
        unsigned n_found, at;
        Parley__V1__StoredFile *file; /* that the one that is looked at has become; NULL: none */
        ProtobufCMessage *carried;    /* FilesResponse: those of the batch that messages carry; NULL: not known */
};

static void next(struct sweeper *s);

static void drop_file(struct sweeper *s)
{
        if (s->file)
                protobuf_c_message_free_unpacked(&s->file->base, NULL);
        s->file = NULL;
}

static void drop_found(struct sweeper *s)
{
        for (unsigned i = 0; i < s->n_found; i++)
                protobuf_c_message_free_unpacked(&s->found[i]->base, NULL);
        s->n_found = s->at = 0;
        if (s->carried)
                protobuf_c_message_free_unpacked(s->carried, NULL);
        s->carried = NULL;
        drop_file(s);
}

static void look_over(struct sweeper *s)
{
        drop_found(s);
        bus_reader_free(s->reader);
        s->reader = NULL;
        env_end(s->env);
}

static void stays(struct sweeper *s, uint64_t seq)
{
        if (seq < s->first_live)
                s->first_live = seq;
}

/* An error leaves the upload for the next look */
static void failed(struct sweeper *s, const char *what, int error)
{
        log_warn("an upload that is over could not be ended", LOG_S("upload", s->found[s->at]->id), LOG_S("what", what),
                 LOG_I("error", error));
        stays(s, s->revisions[s->at]);
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
        if (error)
                stays(s, s->revisions[s->at]);
        metric_add(&metric_swept, 1);
        s->at++;
        next(s);
}

static void delete_found(struct sweeper *s)
{
        int r = record_delete_upload(s->env, s->found[s->at]->id, s->revisions[s->at], on_deleted, s);

        if (r != 0)
                failed(s, "NATS", r);
}

static void on_told(int error, const struct bus_ack *ack, const char *text, void *userdata)
{
        struct sweeper *s = userdata;

        (void)ack;
        (void)text;
        if (error)
                failed(s, "NATS", error);
        else
                delete_found(s);
}

/* Whoever completed it may have died before: scanners wait for this. With the same id, should they have heard it just now */
static void tell(struct sweeper *s)
{
        struct buf bytes = BUF_INIT(EVENT_MAX);
        int r = wire_proto_encode(&s->file->base, &bytes);

        if (r == 0)
                r = bus_publish_stream(s->env->bus, SUBJECT_UPLOAD_COMPLETED, s->found[s->at]->id, bytes.data,
                                       bytes.len, NULL, on_told, s);
        buf_done(&bytes);
        if (r != 0)
                failed(s, "NATS", r);
}

static void on_settled(int error, void *userdata)
{
        struct sweeper *s = userdata;

        if (error)
                failed(s, "NATS", error);
        else if (s->file && s->file->state != PARLEY__V1__FILE_STATE__removing)
                tell(s);
        else
                delete_found(s);
}

static void settle(struct sweeper *s)
{
        const Parley__V1__PendingUpload *u = s->found[s->at];
        struct quota_change change = {.kind = QUOTA_COMMIT, .id = u->id};
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
                settle(s);
}

static int look_for_file(struct sweeper *s);

static void on_ended(int error, const char *what, void *userdata)
{
        struct sweeper *s = userdata;

        if (error && error != BUS_E_CONFLICT)
                failed(s, what, error);
        else
                on_deleted(error, s);
}

static void remove_found(struct sweeper *s)
{
        const struct ending_terms terms = {
                .upload = s->found[s->at], .revision = s->revisions[s->at], .handler = on_ended, .userdata = s};

        ending_run(s->env, &terms);
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

/* --- a file whose record was lost: with the last moments of NATS, or by a restored bucket --- */

static const Parley__V1__CarriedFile *carried_of(const struct sweeper *s)
{
        const Parley__V1__FilesResponse *r = (const Parley__V1__FilesResponse *)s->carried;

        for (size_t i = 0; r && i < r->n_files; i++)
                if (strcmp(r->files[i]->file_id, s->found[s->at]->id) == 0)
                        return r->files[i];
        return NULL;
}

static void on_restored(int error, void *userdata)
{
        struct sweeper *s = userdata;
        int r = error && error != BUS_E_CONFLICT ? error : 0;

        /* There was a record, and it was removed, or somebody saw to it that there is none: what is left of the upload goes, or its bytes would
         * for ever be those of a file that nobody may read */
        s->barred = s->barred || error == BUS_E_CONFLICT;
        if (r == 0)
                r = look_for_file(s);
        if (error == 0)
                log_warn("the record of a file that messages carry was lost, and is written again",
                         LOG_S("file", s->found[s->at]->id));
        if (r != 0)
                failed(s, "NATS", r);
}

/* As the message has it. Whoever else has had a descriptor for another channel may read it where a message carries it. */
static void restore(struct sweeper *s, const Parley__V1__CarriedFile *carried)
{
        Parley__V1__StoredFile f = PARLEY__V1__STORED_FILE__INIT;
        int r = -EBADMSG;

        f.attachment = carried->attachment;
        f.user_id = s->found[s->at]->user_id;
        f.channel_ids = carried->channel_ids;
        f.n_channel_ids = carried->n_channel_ids;
        f.uploaded_for = s->found[s->at]->channel_id;
        f.created_at_ms = env_wall_ms();
        f.state = s->env->config->require_scan ? PARLEY__V1__FILE_STATE__checking : PARLEY__V1__FILE_STATE__ready;
        if (f.attachment)
                r = record_put_file(s->env, &f, BUS_KV_NEVER, on_restored, s);
        if (r != 0)
                failed(s, "NATS", r);
}

static void on_no_file(struct sweeper *s)
{
        const Parley__V1__CarriedFile *carried = carried_of(s);

        if (!s->carried)
                failed(s, "history", -EAGAIN);
        else if (carried && !s->barred)
                restore(s, carried);
        else if (s->barred)
                remove_found(s);
        else
                bar(s);
}

static void on_file(int error, ProtobufCMessage *m, uint64_t revision, void *userdata)
{
        struct sweeper *s = userdata;
        struct objects o;

        (void)revision;
        drop_file(s);
        s->file = (Parley__V1__StoredFile *)m;
        if (s->file && s->file->state == PARLEY__V1__FILE_STATE__deleted) {
                drop_file(s);
                s->barred = true;
                error = BUS_E_NOT_FOUND;
        }
        objects_of_upload(s->found[s->at], &o);
        if (error == 0) /* it was completed: only the end of that is missing */
                objects_run(s->env, &o, s->env->store->ops->forget, on_forgotten, s);
        else if (error == BUS_E_NOT_FOUND)
                on_no_file(s);
        else
                failed(s, "NATS", error);
}

static int look_for_file(struct sweeper *s)
{
        return record_get_file(s->env, s->found[s->at]->id, on_file, s);
}

static void on_trimmed(int error, const char *text, void *userdata)
{
        struct sweeper *s = userdata;

        if (error)
                log_warn("marks of uploads that were ended stay in their bucket",
                         LOG_S("why", text && *text ? text : bus_error_text(error)));
        else
                s->trimmed = s->first_live;
        look_over(s);
}

/* Deleting an entry leaves a mark, one an upload: what is before the oldest entry that stays is such marks alone, and no id comes twice. */
static void trim(struct sweeper *s)
{
        if (s->first_live == UINT64_MAX)
                s->first_live = s->newest + 1;
        if (!s->whole || s->stopping || s->first_live == s->trimmed ||
            bus_stream_trim(s->env->bus, "KV_" BUCKET_UPLOADS, s->first_live, on_trimmed, s) != 0)
                look_over(s);
}

static void next(struct sweeper *s)
{
        int r;

        if (s->at < s->n_found && !s->stopping) {
                s->barred = false;
                drop_file(s);
                r = look_for_file(s);
                if (r == 0)
                        return;
                s->stopping = s->stopping || r < 0;
                s->last = true; /* NATS is away: the next look will do */
                s->whole = false;
        }
        if (s->last || s->stopping) {
                trim(s);
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
        s->newest = msg->seq;
        if (msg->deleted || s->n_found == BATCH)
                return;
        if (record_read_upload(msg->data, msg->len, &u) < 0) {
                log_warn("an entry of the bucket cannot be read", LOG_S("subject", msg->subject));
                stays(s, msg->seq);
                return;
        }
        if (u->expires_at_ms > env_wall_ms()) {
                s->n_pending++;
                stays(s, msg->seq);
                protobuf_c_message_free_unpacked(&u->base, NULL);
                return;
        }
        s->revisions[s->n_found] = msg->seq;
        s->found[s->n_found++] = u;
}

static void on_carried(int error, const Parley__V1__FilesResponse *r, void *userdata)
{
        struct sweeper *s = userdata;
        struct buf bytes = BUF_INIT(ANSWER_MAX);
        struct wire_error wire_error;

        /* kept: r is gone when this returns */
        if (error == 0 && wire_proto_encode(&r->base, &bytes) == 0)
                (void)wire_proto_decode(&parley__v1__files_response__descriptor, bytes.data, bytes.len,
                                        &wire_limits_internal, &s->carried, &wire_error);
        buf_done(&bytes);
        next(s);
}

/* Which of the batch messages carry, before anything is removed: of these the record was lost */
static int ask_history(struct sweeper *s)
{
        Parley__V1__FilesRequest rq = PARLEY__V1__FILES_REQUEST__INIT;
        char *ids[BATCH];

        for (unsigned i = 0; i < s->n_found; i++)
                ids[i] = s->found[i]->id;
        rq.file_ids = ids;
        rq.n_file_ids = s->n_found;
        rq.with_attachments = true;
        return s->n_found ? carried_ask(s->env, &rq, on_carried, s) : -ENOENT;
}

static void on_batch(int error, unsigned n, void *userdata)
{
        struct sweeper *s = userdata;

        s->last = s->last || error || n == 0;
        s->whole = s->last && !error;
        if (s->last && !error)
                metric_set(&metric_pending, s->n_pending);
        if (ask_history(s) != 0)
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
        s->first_live = UINT64_MAX;
        s->newest = 0;
        s->whole = false;
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
