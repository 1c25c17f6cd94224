/* An upload that could not be begun: nothing of it counts any more, and nothing of it stays. */
#include <errno.h>

#include "base/log.h"
#include "bus/bus.h"
#include "upload/objects.h"
#include "upload/quota.h"
#include "upload/records.h"
#include "upload/rest.h"

static void answer(struct rest_call *c)
{
        rest_unavailable(c, c->undone.what, c->undone.error);
}

/* What cannot be undone now ends by itself: the reservation with its time, a record by the sweeper */
static void left(struct rest_call *c, const char *what, int error)
{
        log_warn("what was begun of an upload could not be taken back", LOG_S("upload", c->id),
                 LOG_S("user", c->claims.user_id), LOG_S("what", what), LOG_I("error", error));
        answer(c);
}

static void on_released(int error, void *userdata)
{
        struct rest_call *c = userdata;

        if (error)
                left(c, "the quota", error);
        else
                answer(c);
}

/* Not before it is sure that there is no record: an upload that can still be completed has to count */
static void on_unrecorded(int error, void *userdata)
{
        struct rest_call *c = userdata;
        const struct quota_change change = {.kind = QUOTA_RELEASE, .id = c->id};
        int r = error;

        if (r == 0)
                r = quota_run(c->rest->env->quota, c->claims.user_id, &change, on_released, c);
        if (r != 0)
                left(c, error ? "the record" : "the quota", r);
}

static void unrecord(struct rest_call *c)
{
        int r;

        if (!c->undone.recorded) {
                on_unrecorded(0, c);
                return;
        }
        r = record_delete_upload(c->rest->env, c->id, BUS_KV_ANY, on_unrecorded, c);
        if (r != 0)
                on_unrecorded(r, c);
}

/* Parts of an upload that nobody knows are removed by the bucket's own rule */
static void on_removed(int error, void *userdata)
{
        struct rest_call *c = userdata;

        if (error)
                log_warn("what was begun of an upload stays in the store", LOG_S("upload", c->id),
                         LOG_I("error", error));
        unrecord(c);
}

void rest_give_back(struct rest_call *c, bool recorded, const char *what, int error)
{
        struct env *env = c->rest->env;
        const Parley__V1__PendingUpload *u = c->upload;
        struct objects o;

        c->undone = (struct undone){.what = what, .error = error, .recorded = recorded};
        if (upload_config_s3(env->config) && !*u->store_id && !*u->thumbnail_store_id) {
                unrecord(c); /* nothing was begun there */
                return;
        }
        objects_of_upload(u, &o);
        objects_run(env, &o, env->store->ops->remove, on_removed, c);
}
