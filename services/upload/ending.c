#include "upload/ending.h"

#include <errno.h>
#include <stdlib.h>

#include "base/failpoint.h"
#include "upload/objects.h"
#include "upload/quota.h"
#include "upload/records.h"

struct ending {
        struct env *env;
        struct ending_terms terms;
        int left; /* the store's error, where the rest went on */
};

static void end(struct ending *e, int error, const char *what)
{
        const struct ending_terms terms = e->terms;
        struct env *env = e->env;

        if (error == 0 && e->left) {
                error = e->left;
                what = "the store";
        }
        free(e);
        terms.handler(error, what, terms.userdata);
        env_end(env);
}

static void on_unrecorded(int error, void *userdata)
{
        (void)FAILPOINT("upload.end_unrecorded");
        end(userdata, error, "NATS");
}

static void on_released(int error, void *userdata)
{
        struct ending *e = userdata;
        int r;

        (void)FAILPOINT("upload.end_released");
        if (error || e->terms.unrecorded) {
                end(e, error, "NATS");
                return;
        }
        r = record_delete_upload(e->env, e->terms.upload->id, e->terms.revision, on_unrecorded, e);
        if (r != 0)
                end(e, r, "NATS");
}

static void on_removed(int error, void *userdata)
{
        struct ending *e = userdata;
        const Parley__V1__PendingUpload *u = e->terms.upload;
        struct quota_change change = {.kind = QUOTA_RELEASE, .id = u->id, .leaves_mark = !e->terms.untold};
        int r;

        (void)FAILPOINT("upload.end_removed");
        e->left = error;
        if (error && !e->terms.untold) {
                end(e, error, "the store");
                return;
        }
        if (!e->terms.untold)
                objects_hold(e->env, u, &change);
        r = quota_run(e->env->quota, u->user_id, &change, on_released, e);
        if (r != 0)
                end(e, r, "NATS");
}

void ending_run(struct env *env, const struct ending_terms *terms)
{
        struct ending *e = malloc(sizeof(*e));
        struct objects o;

        if (!e) {
                terms->handler(-ENOMEM, "memory", terms->userdata);
                return;
        }
        *e = (struct ending){.env = env, .terms = *terms};
        env_begin(env);
        if (terms->unbegun) {
                on_removed(0, e);
                return;
        }
        objects_of_upload(terms->upload, &o);
        objects_run(env, &o, env->store->ops->remove, on_removed, e);
}
