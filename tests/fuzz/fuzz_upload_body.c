/* Bodies of upload's REST requests: read as rest_body does, judged by rest_plan.c itself; an upload that is taken has parts, a name that may stand in a header, and
 * a descriptor. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "auth/attachment.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "fuzz.h"
#include "fuzz_body.h"
#include "upload/disposition.h"
#include "upload/rest.h"

/* as in upload/rest.c: the largest of its routes */
enum { BODY_MAX = 64 << 10, ELEMENTS_MAX = 1000 };
#define NOW_MS UINT64_C(1800000000000)
#define SECRET "a secret of thirty-two bytes, at least"

static unsigned n_answers;

uint64_t env_wall_ms(void)
{
        return NOW_MS;
}

/* The answer ends the call */
void rest_problem(struct rest_call *c, enum parley_code code, const char *format, ...)
{
        char text[4096];
        va_list args;

        (void)c;
        va_start(args, format);
        int n = vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        REQUIRE(code != PARLEY_OK && code != PARLEY_INTERNAL);
        REQUIRE(n > 0 && (size_t)n < sizeof(text) && utf8_valid(text, (size_t)n));
        n_answers++;
}

/* The last part, too, and together they are the file */
static void check_parts(const Parley__V1__PendingUpload *u)
{
        uint64_t last = plan_part_bytes(u->size, u->part_size, u->part_count);

        REQUIRE(u->part_count >= 1 && u->part_count <= PLAN_PARTS_MAX && u->part_size <= PLAN_PART_BYTES_MAX);
        REQUIRE(last >= 1 && last <= u->part_size);
        REQUIRE((u->part_count - 1) * u->part_size + last == u->size);
        REQUIRE(u->part_count == 1 || plan_part_bytes(u->size, u->part_size, 1) == u->part_size);
}

static void check_name(const char *name)
{
        char header[DISPOSITION_MAX];

        for (int shown = 0; shown < 2; shown++) {
                disposition_write(header, name, shown);
                for (const char *at = header; *at; at++)
                        REQUIRE((unsigned char)*at >= 0x20 && (unsigned char)*at < 0x7f);
        }
}

/* What was planned has to become a file of which one can speak */
static void check_descriptor(const Parley__V1__PendingUpload *u, const char *user_id)
{
        Parley__V1__Attachment a = PARLEY__V1__ATTACHMENT__INIT, *opened = NULL;
        Parley__V1__Thumbnail t = PARLEY__V1__THUMBNAIL__INIT;
        const struct attachment_terms terms = {
                .user_id = user_id, .channel_id = u->channel_id, .expires_at_s = NOW_MS / 1000 + 60};
        char token[ATTACHMENT_TOKEN_MAX + 1];

        a.id = t.id = u->id;
        a.name = u->name;
        a.size = u->size;
        a.content_type = u->content_type;
        a.sha256 = u->sha256;
        a.width = u->width;
        a.height = u->height;
        a.blurhash = u->blurhash;
        if (u->thumbnail) {
                t.content_type = u->thumbnail->content_type;
                t.size = u->thumbnail->size;
                a.thumbnail = &t;
        }
        REQUIRE(attachment_sign(SECRET, &a, &terms, token) == 0);
        REQUIRE(attachment_open(SECRET, token, user_id, u->channel_id, (int64_t)(NOW_MS / 1000), &opened) == 0);
        REQUIRE(strcmp(opened->name, u->name) == 0 && opened->size == u->size);
        protobuf_c_message_free_unpacked(&opened->base, NULL);
}

static void check_create(struct rest_call *c, const struct upload_config *config)
{
        const Parley__V1__CreateUploadRequest *b = (const void *)c->body;
        const Parley__V1__PendingUpload *u;

        if (rest_plan_refuse(c, b)) {
                REQUIRE(n_answers == 1);
                return;
        }
        REQUIRE(n_answers == 0 && ident_valid(b->channel_id));
        memcpy(c->channel_id, b->channel_id, strlen(b->channel_id) + 1);
        REQUIRE(rest_plan_make(c) == 0);
        u = c->upload;
        REQUIRE(u->size >= 1 && u->size <= config->max_file_bytes && plan_type_allowed(config->types, u->content_type));
        REQUIRE(u->expires_at_ms > NOW_MS && strcmp(u->user_id, c->claims.user_id) == 0);
        for (const char *at = u->sha256; *at; at++)
                REQUIRE(strchr("0123456789abcdef-", *at));
        REQUIRE(strlen(u->name) <= PLAN_NAME_MAX && !strpbrk(u->name, "/\\\r\n"));
        check_parts(u);
        check_name(u->name);
        check_descriptor(u, c->claims.user_id);
        protobuf_c_message_free_unpacked(&c->upload->base, NULL);
}

static void check_addresses(struct rest_call *c, uint8_t n_parts)
{
        const Parley__V1__UploadPartsRequest *b = (const void *)c->body;
        Parley__V1__PendingUpload upload = PARLEY__V1__PENDING_UPLOAD__INIT;
        uint8_t sha256[MAC_LEN];

        upload.part_count = n_parts;
        c->upload = &upload;
        if (rest_plan_parts_refuse(c, b)) {
                REQUIRE(n_answers == 1);
                return;
        }
        REQUIRE(n_answers == 0 && b->n_parts >= 1 && b->n_parts <= PLAN_BATCH_MAX);
        for (size_t i = 0; i < b->n_parts; i++) {
                REQUIRE(b->parts[i]->number >= 1 && b->parts[i]->number <= n_parts);
                REQUIRE(mac_unhex(b->parts[i]->sha256, sha256) == 0);
        }
}

static void check_body(ProtobufCMessage *body, uint8_t how)
{
        static const uint64_t sizes[] = {1, 5000, UINT64_C(1) << 30, PLAN_SIZE_MAX};
        static char *const types[] = {(char *)"*", (char *)"image/*,application/pdf", (char *)"text/plain"};
        struct upload_config config = {
                .max_file_bytes = sizes[how & 3], .types = types[(how >> 2) % 3], .pending_ttl_s = 3600};
        struct env env = {.config = &config};
        struct rest rest = {.env = &env};
        struct rest_call c = {.rest = &rest, .claims.user_id = "ann", .body = body};

        n_answers = 0;
        if (body->descriptor == &parley__v1__create_upload_request__descriptor)
                check_create(&c, &config);
        else if (body->descriptor == &parley__v1__upload_parts_request__descriptor)
                check_addresses(&c, how);
        else if (body->descriptor == &parley__v1__descriptor_request__descriptor)
                (void)ident_valid(((const Parley__V1__DescriptorRequest *)body)->channel_id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        static const ProtobufCMessageDescriptor *const kinds[] = {
                &parley__v1__create_upload_request__descriptor, &parley__v1__upload_parts_request__descriptor,
                &parley__v1__descriptor_request__descriptor, &parley__v1__quarantine_request__descriptor};
        ProtobufCMessage *body;

        if (n < 2 || n > BODY_MAX)
                return 0;
        body = fuzz_body_read(kinds[data[0] % ARRAY_SIZE(kinds)], data + 2, n - 2, ELEMENTS_MAX);
        if (!body)
                return 0;
        check_body(body, data[1]);
        protobuf_c_message_free_unpacked(body, NULL);
        return 0;
}
