/* Files: reading, descriptors for other channels, deleting. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "bus/bus.h"
#include "upload/access.h"
#include "upload/disposition.h"
#include "upload/hold_core.h"
#include "upload/plan.h"
#include "upload/records.h"
#include "upload/removal.h"
#include "upload/rest.h"

/* CHANNELS_MAX: that one file can be in; each may cost a look. MEMBER_MAX, MEMBERS_MAX: of these, that one member who is not its owner can put it into, and
 * all of them: its owner always finds room. TRIES_MAX: somebody else changed the file in between. */
enum { CHANNELS_MAX = 50, MEMBERS_MAX = 30, MEMBER_MAX = 10, TRIES_MAX = 5, CHECKING_RETRY_MS = 2000 };

/* --- may he read it? --- */

static void no_file(struct rest_call *c)
{
        rest_problem(c, PARLEY_NOT_FOUND, "there is no such file");
}

/* Who may not hears the same as of a file that is not there. */
static void on_look(enum parley_code code, void *userdata)
{
        struct rest_call *c = userdata;

        if (code == PARLEY_OK)
                c->then(c);
        else if (code == PARLEY_UNAVAILABLE)
                rest_refuse(c, code);
        else
                no_file(c);
}

static void look(struct rest_call *c)
{
        int r = access_read_any(c->rest->env, c->claims.user_id, c->claims.admin, c->file->channel_ids,
                                c->file->n_channel_ids, POLICY_READ, on_look, c);

        if (r != 0)
                rest_unavailable(c, "NATS", r);
}

/* --- reading --- */

/* What a browser could run goes out as bytes of no type. */
void rest_redirect(struct rest_call *c, const char *name, const char *type)
{
        struct env *env = c->rest->env;
        bool shown = plan_type_inline(type);
        char disposition[DISPOSITION_MAX];
        struct buf url;

        disposition_write(disposition, c->file->attachment->name, shown);
        if (env->store->ops->sign_get(env->store, name, shown ? type : "application/octet-stream", disposition,
                                      c->claims.user_id, env_wall_s(), (uint32_t)env->config->download_ttl_s,
                                      &url) != 0) {
                rest_problem(c, PARLEY_INTERNAL, "the address cannot be signed");
                return;
        }
        http_set_header(c->rq, "Location", (const char *)url.data);
        buf_done(&url);
        rest_empty(c, 302);
}

static void redirect(struct rest_call *c)
{
        rest_redirect(c, c->file->attachment->id, c->file->attachment->content_type);
}

static void redirect_thumbnail(struct rest_call *c)
{
        const Parley__V1__Thumbnail *t = c->file->attachment->thumbnail;

        if (t)
                rest_redirect(c, t->id, t->content_type);
        else
                rest_problem(c, PARLEY_NOT_FOUND, "the file has no thumbnail");
}

/* Only now that he may know of it */
static void if_not_held(struct rest_call *c)
{
        switch (c->file->state) {
        case PARLEY__V1__FILE_STATE__ready:
                c->held_then(c);
                break;
        case PARLEY__V1__FILE_STATE__checking:
                http_problem(c->rq, PARLEY_CONFLICT, CHECKING_RETRY_MS, "the file is being checked; try again");
                break;
        default: /* also a state that this build does not know */
                rest_problem(c, PARLEY_NOT_FOUND, "the file is quarantined: nobody may read it");
        }
}

static void if_carried(struct rest_call *c)
{
        rest_carried(c, if_not_held);
}

static void get(struct http_request *rq, void *userdata, rest_then then)
{
        struct rest_call *c = rest_begin(rq, userdata);

        if (!c)
                return;
        c->held_then = then;
        c->then = if_carried;
        rest_file(c, look, NULL);
}

void rest_get_file(struct http_request *rq, void *userdata)
{
        get(rq, userdata, redirect);
}

void rest_get_thumbnail(struct http_request *rq, void *userdata)
{
        get(rq, userdata, redirect_thumbnail);
}

/* --- for another channel: who may read it here, and send there --- */

static void on_recorded(int error, void *userdata)
{
        struct rest_call *c = userdata;

        if (error == 0)
                rest_descriptor(c);
        else if (error == BUS_E_CONFLICT && ++c->tries < TRIES_MAX)
                rest_file(c, look, NULL);
        else
                rest_unavailable(c, "NATS", error);
}

/* One more at the end; before it, what is not known */
static int append(char ***all, size_t *n, size_t at, const char *text)
{
        char **more = realloc(*all, (at + 1) * sizeof(*more));

        if (!more)
                return -ENOMEM;
        *all = more;
        for (; *n <= at; ++*n) {
                more[*n] = strdup(*n < at ? "" : text);
                if (!more[*n])
                        return -ENOMEM;
        }
        return 0;
}

static int add_channel(struct rest_call *c)
{
        Parley__V1__StoredFile *f = c->file;
        uint64_t ttl_s = c->rest->env->config->descriptor_ttl_s;
        int r = append(&f->channel_users, &f->n_channel_users, f->n_channel_ids, c->claims.user_id);

        if (r == 0)
                r = append(&f->channel_ids, &f->n_channel_ids, f->n_channel_ids, c->channel_id);
        if (r != 0)
                return r;
        if (!hold_descriptor_end(f->descriptor_until_ms, env_wall_ms(), ttl_s)) /* with the same write */
                f->descriptor_until_ms = hold_extended(env_wall_ms(), ttl_s);
        return record_put_file(c->rest->env, f, c->revision, on_recorded, c);
}

/* How many channels he may not pass; 0: he may go on */
static unsigned full(const struct rest_call *c)
{
        const Parley__V1__StoredFile *f = c->file;
        unsigned n_his = 0, n_members = 0;

        for (size_t i = 0; i < f->n_channel_users && i < f->n_channel_ids; i++) {
                n_his += strcmp(f->channel_users[i], c->claims.user_id) == 0;
                n_members += *f->channel_users[i] && strcmp(f->channel_users[i], f->user_id) != 0;
        }
        if (f->n_channel_ids >= CHANNELS_MAX)
                return CHANNELS_MAX;
        if (strcmp(f->user_id, c->claims.user_id) == 0)
                return 0;
        if (n_his >= MEMBER_MAX)
                return MEMBER_MAX;
        return n_members >= MEMBERS_MAX ? MEMBERS_MAX : 0;
}

static void add(struct rest_call *c)
{
        int r;

        for (size_t i = 0; i < c->file->n_channel_ids; i++) {
                if (strcmp(c->file->channel_ids[i], c->channel_id) == 0) {
                        rest_descriptor(c);
                        return;
                }
        }
        if (full(c)) {
                rest_problem(c, PARLEY_CONFLICT, "the file is in %u channels already%s: upload it again", full(c),
                             full(c) == CHANNELS_MAX ? ""
                             : full(c) == MEMBER_MAX ? " by you"
                                                     : " by others than its owner");
                return;
        }
        r = add_channel(c);
        if (r != 0)
                rest_unavailable(c, "NATS", r);
}

static void add_if_carried(struct rest_call *c)
{
        rest_carried(c, add);
}

static void may_send(struct rest_call *c)
{
        if (c->file->state == PARLEY__V1__FILE_STATE__quarantined) {
                rest_problem(c, PARLEY_NOT_FOUND, "the file is quarantined: nobody may read it");
                return;
        }
        rest_access(c, POLICY_SEND, add_if_carried);
}

void rest_describe(struct http_request *rq, void *userdata)
{
        struct rest_call *c = rest_begin(rq, userdata);
        const Parley__V1__DescriptorRequest *b;

        if (!c || !rest_body(c, &parley__v1__descriptor_request__descriptor))
                return;
        b = (const Parley__V1__DescriptorRequest *)c->body;
        if (!ident_valid(b->channel_id)) {
                rest_problem(c, PARLEY_BAD_REQUEST, "channelId is no channel id ([A-Za-z0-9_-], 1 to 64)");
                return;
        }
        memcpy(c->channel_id, b->channel_id, strlen(b->channel_id) + 1);
        c->then = may_send;
        rest_file(c, look, NULL);
}

/* --- deleting --- */

static void on_removed(int error, const char *what, void *userdata)
{
        struct rest_call *c = userdata;

        if (error)
                rest_unavailable(c, what, error);
        else
                rest_empty(c, 204);
}

static void remove_file(struct rest_call *c)
{
        int r;

        if (!c->claims.admin && strcmp(c->file->user_id, c->claims.user_id) != 0) {
                no_file(c);
                return;
        }
        r = removal_delete(c->rest->env, c->id, on_removed, c);
        if (r != 0)
                rest_unavailable(c, "NATS", r);
}

void rest_delete_file(struct http_request *rq, void *userdata)
{
        struct rest_call *c = rest_begin(rq, userdata);

        if (!c)
                return;
        c->removing_too = true; /* whoever was interrupted goes on */
        rest_file(c, remove_file, NULL);
}
