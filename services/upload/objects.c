#include "upload/objects.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "upload/plan.h"
#include "upload/records.h"

void objects_thumbnail_name(const char *id, char *ret)
{
        (void)snprintf(ret, OBJECTS_NAME_MAX + 1, OBJECTS_THUMBNAIL_PREFIX "%s", id);
}

static void add_thumbnail(struct objects *o, const char *store_id, const char *content_type, uint64_t size)
{
        objects_thumbnail_name(o->all[0].name, o->thumbnail);
        o->all[o->n++] = (struct store_object){.name = o->thumbnail,
                                               .store_id = store_id,
                                               .content_type = content_type,
                                               .size = size,
                                               .part_size = size,
                                               .n_parts = 1};
}

void objects_of_upload(const Parley__V1__PendingUpload *u, struct objects *ret)
{
        ret->all[0] = record_object(u);
        ret->n = 1;
        if (u->thumbnail)
                add_thumbnail(ret, u->thumbnail_store_id, u->thumbnail->content_type, u->thumbnail->size);
}

void objects_of_file(const Parley__V1__StoredFile *f, struct objects *ret)
{
        const Parley__V1__Attachment *a = f->attachment;

        ret->all[0] = (struct store_object){
                .name = a->id, .store_id = "", .content_type = a->content_type, .size = a->size};
        plan_parts(a->size, &ret->all[0].n_parts, &ret->all[0].part_size);
        ret->n = 1;
        if (a->thumbnail)
                add_thumbnail(ret, "", a->thumbnail->content_type, a->thumbnail->size);
}

void objects_of_id(const char *id, struct objects *ret)
{
        ret->all[0] = (struct store_object){.name = id, .store_id = "", .content_type = "", .n_parts = 1};
        ret->n = 1;
        add_thumbnail(ret, "", "", 0);
}

uint64_t objects_bytes(const struct objects *o)
{
        uint64_t bytes = 0;

        for (unsigned i = 0; i < o->n; i++)
                bytes += o->all[i].size;
        return bytes;
}

uint32_t objects_url_ttl(const struct env *env, const Parley__V1__PendingUpload *u)
{
        uint64_t now_ms = env_wall_ms(), left_s = u->expires_at_ms > now_ms ? (u->expires_at_ms - now_ms) / 1000 : 0;
        uint64_t ttl_s = left_s < env->config->url_ttl_s ? left_s : env->config->url_ttl_s;

        return ttl_s ? (uint32_t)ttl_s : 1;
}

/* The local store takes nothing after the end, and joining ends the addresses of parts */
void objects_hold(const struct env *env, const Parley__V1__PendingUpload *u, struct quota_change *ret)
{
        struct objects o;

        objects_of_upload(u, &o);
        ret->held_bytes = 0;
        for (unsigned i = 0; upload_config_s3(env->config) && i < o.n; i++)
                ret->held_bytes += o.all[i].n_parts == 1 ? o.all[i].size : 0;
        ret->held_until_ms = env_wall_ms() + (uint64_t)objects_url_ttl(env, u) * 1000;
}

/* --- */

struct run {
        struct env *env;
        struct objects objects;
        unsigned at;
        objects_call call;
        objects_handler handler;
        void *userdata;
};

static void go_on(struct run *run);

static void end(struct run *run, int error)
{
        struct env *env = run->env;

        run->handler(error, run->userdata);
        free(run);
        env_end(env);
}

static void on_done(int error, const struct store_result *r, void *userdata)
{
        struct run *run = userdata;

        (void)r;
        run->at++;
        if (run->at < run->objects.n)
                (void)FAILPOINT("upload.between_objects");
        if (error || run->at == run->objects.n)
                end(run, error);
        else
                go_on(run);
}

static void go_on(struct run *run)
{
        int r = run->call(run->env->store, &run->objects.all[run->at], on_done, run);

        if (r != 0)
                end(run, r);
}

void objects_run(struct env *env, const struct objects *o, objects_call call, objects_handler handler, void *userdata)
{
        struct run *run = malloc(sizeof(*run));

        if (!run) {
                handler(-ENOMEM, userdata);
                return;
        }
        *run = (struct run){.env = env, .objects = *o, .call = call, .handler = handler, .userdata = userdata};
        if (o->n > 1)
                run->objects.all[1].name = run->objects.thumbnail;
        env_begin(env);
        go_on(run);
}
