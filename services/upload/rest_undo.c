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

void rest_give_back(struct rest_call *c, bool recorded, const char *what, int error)
{
        const struct env *env = c->rest->env;
        const Parley__V1__PendingUpload *u = c->upload;
        const struct ending_terms terms = {.upload = u,
                                           .revision = BUS_KV_ANY,
                                           .unbegun = upload_config_s3(env->config) && !*u->store_id &&
                                                      !*u->thumbnail_store_id,
                                           .unrecorded = !recorded,
                                           .untold = true,
                                           .handler = on_ended,
                                           .userdata = c};

        if (c->known) { /* the other one may still be at it */
                rest_unavailable(c, what, error);
                return;
        }
        c->undone = (struct undone){.what = what, .error = error};
        ending_run(c->rest->env, &terms);
}
