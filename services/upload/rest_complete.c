/* Completing an upload. In this order, so that after a death at any point the same request, or the sweeper, goes on:
 *
 *   seal      no address that was given can change the object any more
 *   verify    size, checksum, and what it is by its first bytes
 *   publish   the object has its place
 *   FILES     from here on it is a file
 *   quota     it counts as one
 *   upload.completed
 *   forget    what only the upload needed; UPLOADS last */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "bus/bus.h"
#include "bus/subjects.h"
#include "upload/ending.h"
#include "upload/hold_core.h"
#include "upload/plan.h"
#include "upload/quota.h"
#include "upload/records.h"
#include "upload/rest.h"
#include "upload/upload_metrics.h"

/* A completion that goes on for so long after its upload's end makes no file any more; reconcile_mend.c counts on it */
enum { LATE_MS = 3600 * 1000 };

/* One of the store's calls with all of its objects */
static void run_all(struct rest_call *c, objects_call call, objects_handler then)
{
        struct objects o;

        objects_of_upload(c->upload, &o);
        objects_run(c->rest->env, &o, call, then, c);
}

void rest_store_failed(struct rest_call *c, int error)
{
        if (error == STORE_E_BUSY)
                rest_problem(c, PARLEY_UNAVAILABLE, "the upload is being written or ended right now; try again");
        else
                rest_unavailable(c, "the store", error);
}

/* --- what was found wrong: the upload is over --- */

static const struct rejection wrong_size = {PARLEY_CONFLICT, "the object has not the size that was announced"};
static const struct rejection wrong_sum = {PARLEY_CONFLICT, "the object's SHA-256 is not the one that was announced"};
static const struct rejection wrong_type = {PARLEY_CONFLICT, "the content is not what contentType says"};
static const struct rejection type_refused = {PARLEY_FORBIDDEN,
                                              "files of the type that the content has are not taken here"};

static void on_barred(int error, void *userdata)
{
        struct rest_call *c = userdata;

        (void)FAILPOINT("upload.barred");
        if (error == 0)
                c->barred(c);
        else if (error == BUS_E_CONFLICT) /* by another request before; or it is a file */
                rest_file(c, c->is_file, c->barred);
        else
                rest_unavailable(c, "NATS", error);
}

void rest_bar(struct rest_call *c, rest_then then, rest_then is_file)
{
        int r;

        c->barred = then;
        c->is_file = is_file;
        r = record_delete_file(c->rest->env, c->id, BUS_KV_NEVER, on_barred, c);
        if (r != 0)
                rest_unavailable(c, "NATS", r);
}

static void on_ended(int error, const char *what, void *userdata)
{
        struct rest_call *c = userdata;

        if (error == STORE_E_BUSY)
                rest_store_failed(c, error);
        else if (error)
                rest_unavailable(c, what, error);
        else
                c->ended(c);
}

void rest_end(struct rest_call *c, rest_then then)
{
        const struct ending_terms terms = {
                .upload = c->upload, .revision = BUS_KV_ANY, .handler = on_ended, .userdata = c};

        c->ended = then;
        ending_run(c->rest->env, &terms);
}

static void rejected(struct rest_call *c)
{
        rest_problem(c, c->why->code, "%s; the upload was removed", c->why->text);
}

static void reject(struct rest_call *c)
{
        const struct rejection *why = c->why;

        metric_add(&metric_rejected, 1);
        log_info("an upload was refused", LOG_S("upload", c->id), LOG_S("user", c->claims.user_id),
                 LOG_S("why", why->text));
        rest_end(c, rejected);
}

/* Another service may have completed it at the same time, with what it saw: then this is its object, and stays */
void rest_reject(struct rest_call *c, const struct rejection *why)
{
        c->why = why;
        rest_bar(c, reject, rest_answer_again);
}

/* --- the end, last step first --- */

static void on_upload_deleted(int error, void *userdata)
{
        struct rest_call *c = userdata;

        if (error) {
                rest_unavailable(c, "NATS", error);
                return;
        }
        metric_add(&metric_completed, 1);
        rest_descriptor(c);
}

static void on_forgotten(int error, void *userdata)
{
        struct rest_call *c = userdata;
        int e;

        (void)FAILPOINT("upload.before_upload_deleted");
        e = error ? error : record_delete_upload(c->rest->env, c->id, BUS_KV_ANY, on_upload_deleted, c);
        if (e != 0)
                rest_unavailable(c, error ? "the store" : "NATS", e);
}

static void on_told(int error, const struct bus_ack *ack, const char *text, void *userdata)
{
        struct rest_call *c = userdata;

        (void)ack;
        (void)text;
        (void)FAILPOINT("upload.before_forget");
        if (error)
                rest_unavailable(c, "NATS", error);
        else
                run_all(c, c->rest->env->store->ops->forget, on_forgotten);
}

/* Told again after a death or an error: with the same id, which JetStream knows for its window */
static void on_committed(int error, void *userdata)
{
        struct rest_call *c = userdata;
        struct buf bytes = BUF_INIT(64 << 10);
        int r = error;

        (void)FAILPOINT("upload.before_told");
        if (r == 0)
                r = wire_proto_encode(&c->file->base, &bytes);
        if (r == 0)
                r = bus_publish_stream(c->rest->env->bus, SUBJECT_UPLOAD_COMPLETED, c->id, bytes.data, bytes.len,
                                       http_trace_id(c->rq), on_told, c);
        buf_done(&bytes);
        if (r != 0)
                rest_unavailable(c, "NATS", r);
}

static void commit(struct rest_call *c)
{
        struct quota_change change = {.kind = QUOTA_COMMIT, .id = c->id};
        struct objects o;
        int r;

        objects_of_upload(c->upload, &o);
        change.size = objects_bytes(&o);
        objects_hold(c->rest->env, c->upload, &change);
        (void)FAILPOINT("upload.before_commit");
        r = quota_run(c->rest->env->quota, c->claims.user_id, &change, on_committed, c);
        if (r != 0)
                rest_unavailable(c, "NATS", r);
}

static void on_left_removed(int error, void *userdata)
{
        struct rest_call *c = userdata;

        if (error)
                rest_store_failed(c, error);
        else
                rest_problem(c, PARLEY_NOT_FOUND,
                             "the upload was refused, or removed, or the file was deleted meanwhile");
}

/* No request can make a file of it any more: what was sealed here after the others had removed it is nobody's */
static void gone_meanwhile(struct rest_call *c)
{
        run_all(c, c->rest->env->store->ops->remove, on_left_removed);
}

static void on_recorded(int error, void *userdata)
{
        struct rest_call *c = userdata;

        if (error == 0)
                commit(c);
        else if (error == BUS_E_CONFLICT) /* it is one already: another request was here, or this one before a death */
                rest_file(c, commit, gone_meanwhile);
        else
                rest_unavailable(c, "NATS", error);
}

static void on_published(int error, void *userdata)
{
        struct rest_call *c = userdata;
        int e;

        if (error) {
                rest_store_failed(c, error);
                return;
        }
        (void)FAILPOINT("upload.before_file");
        if (c->upload->expires_at_ms + LATE_MS < env_wall_ms()) { /* the mark against it may be gone by now */
                rest_bar(c, gone_meanwhile, commit);
                return;
        }
        e = record_put_file(c->rest->env, c->file, BUS_KV_NEVER, on_recorded, c);
        if (e != 0)
                rest_unavailable(c, "NATS", e);
}

static void publish(struct rest_call *c)
{
        run_all(c, c->rest->env->store->ops->publish, on_published);
}

/* --- what it is --- */

static Parley__V1__Attachment *attachment_new(const struct rest_call *c, const char *type)
{
        Parley__V1__Attachment *a = malloc(sizeof(*a));

        if (!a)
                return NULL;
        parley__v1__attachment__init(a);
        a->id = strdup(c->id);
        a->name = strdup(c->upload->name);
        a->content_type = strdup(type);
        a->sha256 = strdup(c->sum);
        a->blurhash = strdup(c->upload->blurhash);
        a->size = c->upload->size;
        a->width = c->upload->width;
        a->height = c->upload->height;
        return a;
}

/* What an image says itself counts, but for its side: photos may be turned when they are shown. Others, and those that do not say it so
 * early, are as large as their sender says. */
static void measure(const struct rest_call *c, Parley__V1__Attachment *a)
{
        if (c->width == 0 || (a->width == c->height && a->height == c->width))
                return;
        a->width = c->width;
        a->height = c->height;
}

static int describe(struct rest_call *c, const char *type)
{
        Parley__V1__StoredFile *f = malloc(sizeof(*f));
        Parley__V1__Attachment *a;

        if (!f)
                return -ENOMEM;
        parley__v1__stored_file__init(f);
        c->file = f;
        f->attachment = a = attachment_new(c, type);
        f->user_id = strdup(c->claims.user_id);
        f->channel_ids = calloc(1, sizeof(*f->channel_ids));
        f->created_at_ms = env_wall_ms();
        f->descriptor_until_ms = hold_first(f->created_at_ms, c->rest->env->config->descriptor_ttl_s);
        f->state = c->rest->env->config->require_scan ? PARLEY__V1__FILE_STATE__checking
                                                      : PARLEY__V1__FILE_STATE__ready;
        f->uploaded_for = strdup(c->upload->channel_id);
        if (!f->channel_ids || !a || !a->id || !a->name || !a->content_type || !a->sha256 || !a->blurhash ||
            !f->user_id || !f->uploaded_for)
                return -ENOMEM;
        f->channel_ids[0] = strdup(c->upload->channel_id);
        f->n_channel_ids = 1;
        if (!f->channel_ids[0])
                return -ENOMEM;
        measure(c, a);
        return 0;
}

static void on_sniffed(struct rest_call *c)
{
        struct env *env = c->rest->env;
        const char *found = c->found, *type = plan_type_named(c->upload->content_type, found);

        if (!plan_type_fits(c->upload->content_type, found))
                rest_reject(c, &wrong_type);
        else if (!plan_type_allowed(env->config->types, type) && !plan_type_allowed(env->config->types, found))
                rest_reject(c, &type_refused);
        else if (describe(c, type) < 0)
                rest_unavailable(c, "memory", -ENOMEM);
        else
                rest_thumbnail_check(c, publish);
}

void rest_answer_again(struct rest_call *c)
{
        if (c->file->state == PARLEY__V1__FILE_STATE__quarantined)
                rest_problem(c, PARLEY_NOT_FOUND, "the file is quarantined: nobody may read it");
        else if (strcmp(c->file->user_id, c->claims.user_id) == 0)
                rest_descriptor(c);
        else
                rest_problem(c, PARLEY_NOT_FOUND, "there is no such upload of yours, or its time is over");
}

static void not_whole(struct rest_call *c)
{
        rest_problem(c, PARLEY_CONFLICT, "not all of it was uploaded: GET the upload to see which parts are there");
}

static void on_sealed(int error, const struct store_result *r, void *userdata)
{
        struct rest_call *c = userdata;

        (void)FAILPOINT("upload.sealed");
        if (error == STORE_E_MISSING) { /* or another request has just completed it */
                rest_file(c, rest_answer_again, not_whole);
        } else if (error) {
                rest_store_failed(c, error);
        } else if (r->size != c->upload->size) {
                rest_reject(c, &wrong_size);
        } else if (*c->upload->sha256 && strcmp(c->upload->sha256, r->sum) != 0) {
                rest_reject(c, &wrong_sum);
        } else {
                memcpy(c->sum, r->sum, sizeof(c->sum));
                rest_sniff(c, OBJECT_CONTENT, on_sniffed);
        }
}

/* --- the request --- */

static void seal(struct rest_call *c)
{
        rest_ask_store(c, OBJECT_CONTENT, c->rest->env->store->ops->seal, on_sealed);
}

static void check_channel(struct rest_call *c)
{
        memcpy(c->channel_id, c->upload->channel_id, strlen(c->upload->channel_id) + 1);
        rest_access(c, POLICY_SEND, seal);
}

/* The channel that it was uploaded for, as long as the file is there; NULL: it is not any more */
static const char *channel_of(const Parley__V1__StoredFile *f)
{
        for (size_t i = 0; i < f->n_channel_ids; i++)
                if (!*f->uploaded_for || strcmp(f->channel_ids[i], f->uploaded_for) == 0)
                        return f->channel_ids[i];
        return NULL;
}

/* It was completed before: the caller lost the answer */
static void look_again(struct rest_call *c)
{
        const char *channel_id = channel_of(c->file);

        if (!channel_id || strcmp(c->file->user_id, c->claims.user_id) != 0) {
                rest_problem(c, PARLEY_NOT_FOUND, "there is no such upload of yours, or its time is over");
                return;
        }
        memcpy(c->channel_id, channel_id, strlen(channel_id) + 1);
        rest_access(c, POLICY_SEND, rest_answer_again);
}

static void look_for_file(struct rest_call *c)
{
        rest_file(c, look_again, NULL);
}

void rest_complete(struct http_request *rq, void *userdata)
{
        struct rest_call *c = rest_begin(rq, userdata);

        if (c)
                rest_upload(c, check_channel, look_for_file);
}
