/* Descriptors, and files whose last message was deleted: somebody may still have a descriptor of one, so that it may come back. Whether one did is
 * history's to say. */
#include <errno.h>

#include "auth/attachment.h"
#include "bus/bus.h"
#include "upload/carried.h"
#include "upload/hold_core.h"
#include "upload/records.h"
#include "upload/rest.h"

enum { TRIES_MAX = 5 }; /* somebody else changed the file in between */

static void no_file(struct rest_call *c)
{
        rest_problem(c, PARLEY_NOT_FOUND, "there is no such file");
}

/* --- released files --- */

static void look_again(struct rest_call *c)
{
        rest_carried(c, c->carried_then);
}

/* A release in between, of what carried it just now, has written the record: then everything is asked anew. */
static void on_restored(int error, void *userdata)
{
        struct rest_call *c = userdata;

        if (error == 0 || (error == BUS_E_CONFLICT && ++c->tries < TRIES_MAX))
                rest_file(c, look_again, NULL);
        else
                rest_unavailable(c, "NATS", error);
}

static void on_carried(int error, const Parley__V1__FilesResponse *r, void *userdata)
{
        struct rest_call *c = userdata;
        int e;

        if (error) {
                rest_unavailable(c, "history", error);
                return;
        }
        if (r->n_files == 0) {
                no_file(c);
                return;
        }
        c->file->released_at_ms = 0;
        e = record_put_file(c->rest->env, c->file, c->revision, on_restored, c);
        if (e != 0)
                rest_unavailable(c, "NATS", e);
}

void rest_carried(struct rest_call *c, rest_then then)
{
        Parley__V1__FilesRequest rq = PARLEY__V1__FILES_REQUEST__INIT;
        char *ids[] = {c->id};
        int r;

        if (!c->file->released_at_ms) {
                then(c);
                return;
        }
        c->carried_then = then;
        rq.file_ids = ids;
        rq.n_file_ids = 1;
        r = carried_ask(c->rest->env, &rq, on_carried, c);
        if (r != 0)
                rest_unavailable(c, "history", r);
}

/* --- descriptors: none ends after what the record says --- */

static void sign(struct rest_call *c, uint64_t end_ms)
{
        Parley__V1__FileDescriptor answer = PARLEY__V1__FILE_DESCRIPTOR__INIT;
        Google__Protobuf__Timestamp expires = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        char token[ATTACHMENT_TOKEN_MAX + 1];
        const struct attachment_terms terms = {
                .user_id = c->claims.user_id, .channel_id = c->channel_id, .expires_at_s = (int64_t)(end_ms / 1000)};

        if (attachment_sign(c->rest->env->config->secret, c->file->attachment, &terms, token) < 0) {
                rest_problem(c, PARLEY_INTERNAL, "the descriptor cannot be written");
                return;
        }
        expires.seconds = terms.expires_at_s;
        answer.attachment = c->file->attachment;
        answer.descriptor = token;
        answer.channel_id = c->channel_id;
        answer.expires_at = &expires;
        answer.state = c->file->state;
        rest_json(c, 200, &answer.base);
}

static void on_extended(int error, void *userdata)
{
        struct rest_call *c = userdata;

        if (error == 0 || (error == BUS_E_CONFLICT && ++c->tries < TRIES_MAX))
                rest_file(c, rest_descriptor, NULL);
        else
                rest_unavailable(c, "NATS", error);
}

static void extend(struct rest_call *c)
{
        const struct env *env = c->rest->env;
        int r;

        if (c->file->released_at_ms ||
            hold_descriptor_end(c->file->descriptor_until_ms, env_wall_ms(), env->config->descriptor_ttl_s)) {
                rest_descriptor(c);
                return;
        }
        c->file->descriptor_until_ms = hold_extended(env_wall_ms(), env->config->descriptor_ttl_s);
        r = record_put_file(c->rest->env, c->file, c->revision, on_extended, c);
        if (r != 0)
                rest_unavailable(c, "NATS", r);
}

/* c->file may have been written just now, by this call: its revision is not known then, and it is read again */
static void give(struct rest_call *c)
{
        uint64_t end_ms = hold_descriptor_end(c->file->descriptor_until_ms, env_wall_ms(),
                                              c->rest->env->config->descriptor_ttl_s);

        if (end_ms)
                sign(c, end_ms);
        else
                rest_file(c, extend, NULL);
}

void rest_descriptor(struct rest_call *c)
{
        rest_carried(c, give);
}
