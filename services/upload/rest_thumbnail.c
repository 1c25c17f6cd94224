/* The thumbnail of an upload that is being completed: sealed and looked at like the file itself. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "upload/plan.h"
#include "upload/rest.h"

static const struct rejection wrong_size = {PARLEY_CONFLICT, "the thumbnail has not the size that was announced"};
static const struct rejection wrong_sum = {PARLEY_CONFLICT,
                                           "the thumbnail's SHA-256 is not the one that was announced"};
static const struct rejection wrong_type = {PARLEY_CONFLICT, "the thumbnail is not what its contentType says"};
static const struct rejection wrong_pixels = {PARLEY_CONFLICT,
                                              "the thumbnail has more than 512 pixels across or down, or does not say"};

static int describe(struct rest_call *c)
{
        const Parley__V1__ThumbnailRequest *from = c->upload->thumbnail;
        Parley__V1__Thumbnail *t = malloc(sizeof(*t));
        char name[OBJECTS_NAME_MAX + 1];

        if (!t)
                return -ENOMEM;
        parley__v1__thumbnail__init(t);
        c->file->attachment->thumbnail = t;
        objects_thumbnail_name(c->id, name);
        t->id = strdup(name);
        t->content_type = strdup(from->content_type);
        t->size = from->size;
        t->width = c->width;
        t->height = c->height;
        return t->id && t->content_type ? 0 : -ENOMEM;
}

static void on_sniffed(struct rest_call *c)
{
        if (strcmp(c->found, c->upload->thumbnail->content_type) != 0)
                rest_reject(c, &wrong_type);
        else if (c->width == 0 || c->width > PLAN_THUMBNAIL_PIXELS || c->height > PLAN_THUMBNAIL_PIXELS)
                rest_reject(c, &wrong_pixels);
        else if (describe(c) < 0)
                rest_unavailable(c, "memory", -ENOMEM);
        else
                c->then(c);
}

static void missing(struct rest_call *c)
{
        rest_problem(c, PARLEY_CONFLICT, "the thumbnail was not uploaded: GET the upload for its address");
}

static void on_sealed(int error, const struct store_result *r, void *userdata)
{
        struct rest_call *c = userdata;
        const Parley__V1__ThumbnailRequest *t = c->upload->thumbnail;

        (void)FAILPOINT("upload.thumbnail_sealed");
        if (error == STORE_E_MISSING) /* or another request has just completed it */
                rest_file(c, rest_answer_again, missing);
        else if (error)
                rest_store_failed(c, error);
        else if (r->size != t->size)
                rest_reject(c, &wrong_size);
        else if (*t->sha256 && strcmp(t->sha256, r->sum) != 0)
                rest_reject(c, &wrong_sum);
        else
                rest_sniff(c, OBJECT_THUMBNAIL, on_sniffed);
}

void rest_thumbnail_check(struct rest_call *c, rest_then then)
{
        c->then = then;
        if (c->upload->thumbnail)
                rest_ask_store(c, OBJECT_THUMBNAIL, c->rest->env->store->ops->seal, on_sealed);
        else
                then(c);
}
