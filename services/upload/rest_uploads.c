/* Beginning an upload, its parts, giving it up. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "bus/bus.h"
#include "upload/objects.h"
#include "upload/plan.h"
#include "upload/quota.h"
#include "upload/records.h"
#include "upload/rest.h"
#include "upload/upload_metrics.h"

/* A reservation outlives its upload: whoever completes one in time still finds it. */
enum { RESERVATION_MORE_MS = 3600 * 1000, SIGNED_MAX = 100 };

/* --- the plan, as the client sees it --- */

static void set_time(Google__Protobuf__Timestamp *at, int64_t unix_s)
{
        google__protobuf__timestamp__init(at);
        at->seconds = unix_s;
}

/* One signed request, with what it points to */
struct signed_request {
        Parley__V1__SignedRequest request;
        Parley__V1__SignedRequest__Header header[STORE_HEADERS_MAX], *headers[STORE_HEADERS_MAX];
        Google__Protobuf__Timestamp expires;
        struct store_put put;
};

static int sign(struct rest_call *c, const struct store_object *o, uint32_t part, const char *sha256,
                struct signed_request *ret)
{
        struct env *env = c->rest->env;
        uint32_t ttl_s = objects_url_ttl(env, c->upload);
        int64_t now_s = env_wall_s();
        int r = env->store->ops->sign_put(env->store, o, part, sha256, c->claims.user_id, now_s, ttl_s, &ret->put);

        if (r != 0)
                return r;
        parley__v1__signed_request__init(&ret->request);
        set_time(&ret->expires, now_s + ttl_s);
        ret->request.method = (char *)"PUT";
        ret->request.url = (char *)ret->put.url.data;
        ret->request.part = part;
        ret->request.size = plan_part_bytes(o->size, o->part_size, part);
        ret->request.expires_at = &ret->expires;
        for (unsigned i = 0; i < ret->put.n_headers; i++) {
                parley__v1__signed_request__header__init(&ret->header[i]);
                ret->header[i].name = (char *)ret->put.headers[i].name;
                ret->header[i].value = ret->put.headers[i].value;
                ret->headers[i] = &ret->header[i];
        }
        ret->request.headers = ret->headers;
        ret->request.n_headers = ret->put.n_headers;
        return 0;
}

static void answer_plan(struct rest_call *c, unsigned status, const struct store_result *there)
{
        const Parley__V1__PendingUpload *u = c->upload;
        Parley__V1__Upload answer = PARLEY__V1__UPLOAD__INIT;
        struct signed_request put = {0}, thumbnail = {0};
        Google__Protobuf__Timestamp expires;
        struct objects o;

        set_time(&expires, (int64_t)(u->expires_at_ms / 1000));
        answer.id = u->id;
        answer.channel_id = u->channel_id;
        answer.name = u->name;
        answer.size = u->size;
        answer.content_type = u->content_type;
        answer.part_size = u->part_size;
        answer.part_count = u->part_count;
        answer.parts_there = there ? there->parts : NULL;
        answer.n_parts_there = there ? there->n_parts : 0;
        answer.expires_at = &expires;
        objects_of_upload(u, &o);
        if ((u->part_count == 1 && sign(c, &o.all[0], 1, u->sha256, &put) != 0) ||
            (u->thumbnail && sign(c, &o.all[1], 1, u->thumbnail->sha256, &thumbnail) != 0)) {
                rest_problem(c, PARLEY_INTERNAL, "the address cannot be signed");
        } else {
                answer.put = u->part_count == 1 ? &put.request : NULL;
                answer.thumbnail = u->thumbnail ? &thumbnail.request : NULL;
                rest_json(c, status, &answer.base);
        }
        store_put_done(&put.put);
        store_put_done(&thumbnail.put);
}

/* --- begin --- */

static void begun_before(struct rest_call *c);

static void on_recorded(int error, void *userdata)
{
        struct rest_call *c = userdata;

        (void)FAILPOINT("upload.recorded");
        if (error == BUS_E_CONFLICT) { /* the same request was here, just now */
                begun_before(c);
                return;
        }
        if (error) {
                rest_give_back(c, true, "NATS", error);
                return;
        }
        metric_add(&metric_begun, 1);
        answer_plan(c, 201, NULL);
}

/* What is there is the empty default, which is nobody's to free */
static bool keep_store_id(char **ret, const struct store_result *r)
{
        char *copy = *r->store_id ? strdup(r->store_id) : *ret;

        if (copy)
                *ret = copy;
        return copy != NULL;
}

static void record(struct rest_call *c)
{
        int r = FAILPOINT("upload.record");

        if (r == 0)
                r = record_put_upload(c->rest->env, c->upload, 0, on_recorded, c);
        if (r != 0)
                rest_give_back(c, false, "NATS", r);
}

static void on_thumbnail_begun(int error, const struct store_result *r, void *userdata)
{
        struct rest_call *c = userdata;

        if (error)
                rest_give_back(c, false, "the store", error);
        else if (keep_store_id(&c->upload->thumbnail_store_id, r))
                record(c);
        else
                rest_give_back(c, false, "memory", -ENOMEM);
}

static void on_begun(int error, const struct store_result *r, void *userdata)
{
        struct rest_call *c = userdata;
        struct env *env = c->rest->env;
        struct objects o;
        int e;

        (void)FAILPOINT("upload.begun");
        if (error) {
                rest_give_back(c, false, "the store", error);
        } else if (!keep_store_id(&c->upload->store_id, r)) {
                rest_give_back(c, false, "memory", -ENOMEM);
        } else if (!c->upload->thumbnail) {
                record(c);
        } else {
                objects_of_upload(c->upload, &o);
                e = env->store->ops->begin(env->store, &o.all[1], on_thumbnail_begun, c);
                if (e != 0)
                        rest_give_back(c, false, "the store", e);
        }
}

static void begin(struct rest_call *c)
{
        const struct store_object o = record_object(c->upload);
        struct env *env = c->rest->env;
        int r = env->store->ops->begin(env->store, &o, on_begun, c);

        if (r != 0)
                rest_give_back(c, false, "the store", r);
}

/* --- the same request again, whose answer was lost --- */

static void show(struct rest_call *c);

static void not_the_same(struct rest_call *c)
{
        rest_problem(c, PARLEY_CONFLICT, "another upload of yours was begun with this clientId");
}

static void show_same(struct rest_call *c)
{
        const Parley__V1__CreateUploadRequest *b = (const Parley__V1__CreateUploadRequest *)c->body;
        const Parley__V1__PendingUpload *u = c->upload;

        if (u->size != b->size || strcmp(u->channel_id, b->channel_id) != 0 || strcmp(u->name, b->name) != 0 ||
            strcasecmp(u->sha256, b->sha256) != 0)
                not_the_same(c);
        else
                show(c);
}

/* It ended before it had a record, or has not come so far: nothing of it is taken back here */
static void begin_again(struct rest_call *c)
{
        if (rest_plan_make(c) == 0)
                begin(c);
        else
                rest_unavailable(c, "memory", -ENOMEM);
}

static void begun_before(struct rest_call *c)
{
        protobuf_c_message_free_unpacked(&c->upload->base, NULL);
        c->upload = NULL;
        rest_upload(c, show_same, begin_again);
}

static void on_reserved(int error, void *userdata)
{
        struct rest_call *c = userdata;
        struct env *env = c->rest->env;

        (void)FAILPOINT("upload.reserved");
        switch (error) {
        case 0:
                begin(c);
                break;
        case QUOTA_E_KNOWN:
                c->known = true;
                memcpy(c->id, c->known_id, sizeof(c->id));
                begun_before(c);
                break;
        case QUOTA_E_OTHER:
                not_the_same(c);
                break;
        case QUOTA_E_BYTES:
                rest_problem(c, PARLEY_TOO_LARGE, "your files would pass %llu bytes together",
                             (unsigned long long)env->config->quota_bytes);
                break;
        case QUOTA_E_FILES:
                rest_problem(c, PARLEY_TOO_LARGE, "you would have more than %llu files",
                             (unsigned long long)env->config->quota_files);
                break;
        case QUOTA_E_PENDING:
                rest_problem(c, PARLEY_RATE_LIMITED, "you have begun %llu uploads: complete or remove some first",
                             (unsigned long long)env->config->max_pending);
                break;
        case QUOTA_E_HELD:
                rest_problem(c, PARLEY_RATE_LIMITED,
                             "you have uploaded too much in a short time: wait until the addresses of it are over");
                break;
        case QUOTA_E_ENDED:
                rest_problem(c, PARLEY_RATE_LIMITED,
                             "you have given up or deleted more than %llu uploads in an hour: wait for some minutes",
                             (unsigned long long)env->config->max_ended);
                break;
        default: /* perhaps it was reserved all the same */
                rest_give_back(c, false, "NATS", error);
        }
}

static void permitted(struct rest_call *c)
{
        int r = rest_plan_make(c);
        struct quota_change change;
        struct objects o;

        if (r == 0) {
                objects_of_upload(c->upload, &o);
                change = (struct quota_change){.kind = QUOTA_RESERVE,
                                               .id = c->id,
                                               .size = objects_bytes(&o),
                                               .client_id = ((Parley__V1__CreateUploadRequest *)c->body)->client_id,
                                               .ret_id = c->known_id,
                                               .expires_at_ms = c->upload->expires_at_ms + RESERVATION_MORE_MS};
                r = quota_run(c->rest->env->quota, c->claims.user_id, &change, on_reserved, c);
        }
        if (r != 0)
                rest_unavailable(c, r == -ENOMEM ? "memory" : "NATS", r);
}

void rest_create(struct http_request *rq, void *userdata)
{
        struct rest_call *c = rest_begin(rq, userdata);
        const Parley__V1__CreateUploadRequest *b;

        if (!c || !rest_body(c, &parley__v1__create_upload_request__descriptor))
                return;
        b = (const Parley__V1__CreateUploadRequest *)c->body;
        if (rest_plan_refuse(c, b))
                return;
        memcpy(c->channel_id, b->channel_id, strlen(b->channel_id) + 1);
        c->expected = quota_expect(c->rest->env->quota, c->claims.user_id);
        rest_access(c, POLICY_SEND, permitted);
}

/* --- what is there --- */

static void on_parts(int error, const struct store_result *r, void *userdata)
{
        struct rest_call *c = userdata;

        if (error == STORE_E_MISSING)
                rest_problem(c, PARLEY_NOT_FOUND, "there is no such upload any more");
        else if (error)
                rest_unavailable(c, "the store", error);
        else
                answer_plan(c, 200, r);
}

static void show(struct rest_call *c)
{
        const struct store_object o = record_object(c->upload);
        struct env *env = c->rest->env;
        int r = env->store->ops->parts(env->store, &o, on_parts, c);

        if (r != 0)
                rest_unavailable(c, "the store", r);
}

void rest_get_upload(struct http_request *rq, void *userdata)
{
        struct rest_call *c = rest_begin(rq, userdata);

        if (c)
                rest_upload(c, show, NULL);
}

/* --- addresses for parts --- */

static void sign_parts(struct rest_call *c)
{
        const Parley__V1__UploadPartsRequest *b = (const Parley__V1__UploadPartsRequest *)c->body;
        Parley__V1__UploadParts answer = PARLEY__V1__UPLOAD_PARTS__INIT;
        const struct store_object o = record_object(c->upload);
        Parley__V1__SignedRequest *list[PLAN_BATCH_MAX];
        struct signed_request *all;
        size_t n = 0;
        int r = 0;

        if (rest_plan_parts_refuse(c, b))
                return;
        all = calloc(b->n_parts, sizeof(*all));
        for (; all && r == 0 && n < b->n_parts; n++) {
                rest_plan_lower(b->parts[n]->sha256);
                r = sign(c, &o, b->parts[n]->number, b->parts[n]->sha256, &all[n]);
                list[n] = &all[n].request;
        }
        answer.parts = list;
        answer.n_parts = b->n_parts;
        if (all && r == 0)
                rest_json(c, 200, &answer.base);
        else
                rest_problem(c, PARLEY_INTERNAL, "the addresses cannot be signed");
        for (size_t i = 0; all && i < n; i++)
                store_put_done(&all[i].put);
        free(all);
}

void rest_parts(struct http_request *rq, void *userdata)
{
        struct rest_call *c = rest_begin(rq, userdata);

        if (c && rest_body(c, &parley__v1__upload_parts_request__descriptor))
                rest_upload(c, sign_parts, NULL);
}

/* --- giving up --- */

static void given_up(struct rest_call *c)
{
        rest_empty(c, 204);
}

/* Never what became a file meanwhile: that is deleted as a file. */
static void is_file(struct rest_call *c)
{
        rest_problem(c, PARLEY_CONFLICT, "this upload is complete: it is a file now");
}

static void end(struct rest_call *c)
{
        rest_end(c, given_up);
}

static void bar(struct rest_call *c)
{
        rest_bar(c, end, is_file);
}

void rest_abort(struct http_request *rq, void *userdata)
{
        struct rest_call *c = rest_begin(rq, userdata);

        if (c)
                rest_upload(c, bar, NULL);
}
