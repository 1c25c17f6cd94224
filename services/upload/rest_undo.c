/* An upload that could not be begun: nothing of it counts any more, and nothing of it stays. */
#include "base/log.h"
#include "bus/bus.h"
#include "upload/ending.h"
#include "upload/rest.h"

/* What cannot be undone now ends by itself: the reservation with its time, a record by the sweeper, parts of an upload that nobody knows by the bucket's own
 * rule */
static void on_ended(int error, const char *what, void *userdata)
{
        struct rest_call *c = userdata;

        if (error)
                log_warn("what was begun of an upload could not be taken back", LOG_S("upload", c->id),
                         LOG_S("user", c->claims.user_id), LOG_S("what", what), LOG_I("error", error));
        rest_unavailable(c, c->undone.what, c->undone.error);
}

static void take_back(struct rest_call *c)
{
        const struct env *env = c->rest->env;
        const Parley__V1__PendingUpload *u = c->upload;
        const struct ending_terms terms = {.upload = u,
                                           .revision = BUS_KV_ANY,
                                           .unbegun = upload_config_s3(env->config) && !*u->store_id &&
                                                      !*u->thumbnail_store_id,
                                           .unrecorded = !c->undone.recorded,
                                           .untold = true,
                                           .handler = on_ended,
                                           .userdata = c};

        ending_run(c->rest->env, &terms);
}

static void became_a_file(struct rest_call *c)
{
        rest_unavailable(c, c->undone.what, c->undone.error);
}

/* With an id of the client's own the same request may have come by another instance, which was told this upload's id, and has ended it meanwhile */
void rest_give_back(struct rest_call *c, bool recorded, const char *what, int error)
{
        const Parley__V1__CreateUploadRequest *b = (const Parley__V1__CreateUploadRequest *)c->body;

        c->undone = (struct undone){.what = what, .error = error, .recorded = recorded};
        if (c->known) /* the other one may still be at it */
                rest_unavailable(c, what, error);
        else if (*b->client_id)
                rest_bar(c, take_back, became_a_file);
        else
                take_back(c);
}
