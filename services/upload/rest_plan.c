/* What a client wants to upload: refused, or planned. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "upload/plan.h"
#include "upload/rest.h"

static enum parley_code check_sha256(const Parley__V1__CreateUploadRequest *b, uint32_t n_parts)
{
        uint8_t sha256[MAC_LEN];
        char hex[MAC_HEX_LEN + 1], end[16] = "";

        if (!*b->sha256)
                return PARLEY_OK;
        if (strlen(b->sha256) < MAC_HEX_LEN || strlen(b->sha256) > STORE_SUM_MAX)
                return PARLEY_BAD_REQUEST;
        if (n_parts > 1)
                (void)snprintf(end, sizeof(end), "-%u", n_parts);
        memcpy(hex, b->sha256, MAC_HEX_LEN);
        hex[MAC_HEX_LEN] = '\0';
        return mac_unhex(hex, sha256) == 0 && strcmp(b->sha256 + MAC_HEX_LEN, end) == 0 ? PARLEY_OK
                                                                                        : PARLEY_BAD_REQUEST;
}

static bool sha256_valid(const char *hex)
{
        uint8_t sha256[MAC_LEN];

        return strlen(hex) == MAC_HEX_LEN && mac_unhex(hex, sha256) == 0;
}

/* Whether it was answered. What a client says of an image is bounded here; what counts is what the content says. */
static bool image_refused(struct rest_call *c, const Parley__V1__CreateUploadRequest *b)
{
        const Parley__V1__ThumbnailRequest *t = b->thumbnail;

        if (b->width > PLAN_PIXELS_MAX || b->height > PLAN_PIXELS_MAX)
                rest_problem(c, PARLEY_BAD_REQUEST, "width and height must be at most %u pixels", PLAN_PIXELS_MAX);
        else if (*b->blurhash && !plan_blurhash_valid(b->blurhash))
                rest_problem(c, PARLEY_BAD_REQUEST, "blurhash is none: 6 to 166 characters, as the first one says");
        else if (t && (t->size == 0 || t->size > PLAN_THUMBNAIL_BYTES))
                rest_problem(c, PARLEY_BAD_REQUEST, "thumbnail.size must be 1 to %llu bytes",
                             (unsigned long long)PLAN_THUMBNAIL_BYTES);
        else if (t && !plan_thumbnail_type(t->content_type))
                rest_problem(c, PARLEY_BAD_REQUEST,
                             "thumbnail.contentType must be image/jpeg, image/png or image/webp");
        else if (t && *t->sha256 && !sha256_valid(t->sha256))
                rest_problem(c, PARLEY_BAD_REQUEST, "thumbnail.sha256 must be 64 hexadecimal digits");
        else if (t && (t->width > PLAN_THUMBNAIL_PIXELS || t->height > PLAN_THUMBNAIL_PIXELS))
                rest_problem(c, PARLEY_BAD_REQUEST, "thumbnail.width and thumbnail.height must be at most %u pixels",
                             PLAN_THUMBNAIL_PIXELS);
        else
                return false;
        return true;
}

bool rest_plan_refuse(struct rest_call *c, const Parley__V1__CreateUploadRequest *b)
{
        const struct upload_config *config = c->rest->env->config;
        const char *type = *b->content_type ? b->content_type : "application/octet-stream";
        const char *wrong = plan_name_wrong(b->name);
        uint64_t part_size = 0;
        uint32_t n_parts = 1;

        if (b->size > 0 && b->size <= PLAN_SIZE_MAX)
                plan_parts(b->size, &n_parts, &part_size);
        if (!ident_valid(b->channel_id))
                rest_problem(c, PARLEY_BAD_REQUEST, "channelId is no channel id ([A-Za-z0-9_-], 1 to 64)");
        else if (wrong)
                rest_problem(c, PARLEY_BAD_REQUEST, "name %s", wrong);
        else if (*b->client_id && !uuid_valid(b->client_id))
                rest_problem(c, PARLEY_BAD_REQUEST, "clientId must be a UUID, or empty");
        else if (b->size == 0)
                rest_problem(c, PARLEY_BAD_REQUEST, "size must be at least 1");
        else if (b->size > config->max_file_bytes)
                rest_problem(c, PARLEY_TOO_LARGE, "size is %llu; at most %llu bytes are taken",
                             (unsigned long long)b->size, (unsigned long long)config->max_file_bytes);
        else if (!plan_type_valid(type))
                rest_problem(c, PARLEY_BAD_REQUEST,
                             "contentType must be type/subtype in lower case, without parameters");
        else if (!plan_type_allowed(config->types, type))
                rest_problem(c, PARLEY_FORBIDDEN, "files of the type %s are not taken here", type);
        else if (check_sha256(b, n_parts) != PARLEY_OK)
                rest_problem(c, PARLEY_BAD_REQUEST, "sha256 must be 64 hexadecimal digits%s",
                             n_parts > 1 ? ", a dash and the number of parts: the SHA-256 of the parts' SHA-256s" : "");
        else
                return image_refused(c, b);
        return true;
}

bool rest_plan_parts_refuse(struct rest_call *c, const Parley__V1__UploadPartsRequest *b)
{
        uint8_t sha256[MAC_LEN];

        if (c->upload->part_count == 1)
                rest_problem(c, PARLEY_BAD_REQUEST, "this upload has one part: its address came with it");
        else if (b->n_parts == 0 || b->n_parts > PLAN_BATCH_MAX)
                rest_problem(c, PARLEY_BAD_REQUEST, "parts must have 1 to %d entries", PLAN_BATCH_MAX);
        else {
                for (size_t i = 0; i < b->n_parts; i++) {
                        if (b->parts[i]->number >= 1 && b->parts[i]->number <= c->upload->part_count &&
                            mac_unhex(b->parts[i]->sha256, sha256) == 0)
                                continue;
                        rest_problem(c, PARLEY_BAD_REQUEST,
                                     "parts[%zu] must have a number from 1 to %u, and the sha256 of its bytes in hex",
                                     i, c->upload->part_count);
                        return true;
                }
                return false;
        }
        return true;
}

void rest_plan_lower(char *s)
{
        for (; *s; s++)
                if (*s >= 'A' && *s <= 'F')
                        *s += 'a' - 'A';
}

static Parley__V1__ThumbnailRequest *thumbnail_copy(const Parley__V1__ThumbnailRequest *t)
{
        Parley__V1__ThumbnailRequest *copy = malloc(sizeof(*copy));

        if (!copy)
                return NULL;
        parley__v1__thumbnail_request__init(copy);
        copy->size = t->size;
        copy->content_type = strdup(t->content_type);
        copy->sha256 = strdup(t->sha256);
        copy->width = t->width;
        copy->height = t->height;
        if (copy->sha256)
                rest_plan_lower(copy->sha256);
        if (copy->content_type && copy->sha256)
                return copy;
        protobuf_c_message_free_unpacked(&copy->base, NULL);
        return NULL;
}

int rest_plan_make(struct rest_call *c)
{
        const Parley__V1__CreateUploadRequest *b = (const Parley__V1__CreateUploadRequest *)c->body;
        Parley__V1__PendingUpload *u = malloc(sizeof(*u));
        uint64_t now_ms = env_wall_ms();
        uint8_t random[10];

        if (!u)
                return -ENOMEM;
        parley__v1__pending_upload__init(u);
        c->upload = u;
        random_bytes(random, sizeof(random));
        if (!*c->id)
                uuid_v7(now_ms, random, c->id);
        u->id = strdup(c->id);
        u->user_id = strdup(c->claims.user_id);
        u->channel_id = strdup(c->channel_id);
        u->name = strdup(b->name);
        u->content_type = strdup(*b->content_type ? b->content_type : "application/octet-stream");
        u->sha256 = strdup(b->sha256);
        u->blurhash = strdup(b->blurhash);
        u->width = b->width;
        u->height = b->height;
        u->size = b->size;
        u->created_at_ms = now_ms;
        u->expires_at_ms = now_ms + c->rest->env->config->pending_ttl_s * 1000;
        plan_parts(u->size, &u->part_count, &u->part_size);
        if (b->thumbnail)
                u->thumbnail = thumbnail_copy(b->thumbnail);
        if (!u->id || !u->user_id || !u->channel_id || !u->name || !u->content_type || !u->sha256 || !u->blurhash ||
            (b->thumbnail && !u->thumbnail))
                return -ENOMEM;
        rest_plan_lower(u->sha256);
        return 0;
}
