#include "upload/rest.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "bus/bus.h"
#include "upload/access.h"
#include "upload/local_store.h"
#include "upload/local_url.h"
#include "upload/quota.h"
#include "upload/records.h"

enum { RETRY_MS = 1000, BODY_SMALL = 16 << 10, BODY_PARTS = 64 << 10, JSON_MAX = 1 << 20, BODY_ELEMENTS = 1000 };

/* --- the local store's own addresses --- */

/* NULL: bodies are elsewhere, and it was answered */
static struct local_store *local(struct http_request *rq, void *userdata)
{
        struct env *env = ((struct rest *)userdata)->env;

        if (!upload_config_s3(env->config))
                return (struct local_store *)env->store;
        http_problem(rq, PARLEY_NOT_FOUND, 0, "there is no such path");
        return NULL;
}

static void store_put(struct http_request *rq, void *userdata)
{
        struct local_store *s = local(rq, userdata);

        if (s)
                local_put(rq, s);
}

static void store_put_begin(struct http_request *rq, void *userdata)
{
        struct local_store *s = local(rq, userdata);

        if (s)
                local_put_begin(rq, s);
}

static size_t store_put_piece(struct http_request *rq, const uint8_t *data, size_t n, void *userdata)
{
        (void)userdata;
        return local_put_piece(rq, data, n);
}

static void store_get(struct http_request *rq, void *userdata)
{
        struct local_store *s = local(rq, userdata);

        if (s)
                local_get(rq, s);
}

static const struct http_sink store_sink = {store_put_begin, store_put_piece};

const struct http_route rest_routes[REST_ROUTES] = {
        {"POST", "/api/uploads", rest_create, BODY_SMALL, NULL},
        {"GET", "/api/uploads/reconciliation", rest_get_reconciliation, 0, NULL},
        {"POST", "/api/uploads/reconciliation", rest_start_reconciliation, BODY_SMALL, NULL},
        {"GET", "/api/uploads/{id}", rest_get_upload, 0, NULL},
        {"DELETE", "/api/uploads/{id}", rest_abort, 0, NULL},
        {"POST", "/api/uploads/{id}/parts", rest_parts, BODY_PARTS, NULL},
        {"POST", "/api/uploads/{id}/complete", rest_complete, BODY_SMALL, NULL},
        {"GET", "/api/uploads/{id}/content", rest_scan_content, 0, NULL},
        {"POST", "/api/uploads/{id}/quarantine", rest_quarantine, BODY_SMALL, NULL},
        {"POST", "/api/uploads/{id}/release", rest_release, BODY_SMALL, NULL},
        {"GET", "/api/files/{id}", rest_get_file, 0, NULL},
        {"DELETE", "/api/files/{id}", rest_delete_file, 0, NULL},
        {"GET", "/api/files/{id}/thumbnail", rest_get_thumbnail, 0, NULL},
        {"POST", "/api/files/{id}/descriptors", rest_describe, BODY_SMALL, NULL},
        {"PUT", LOCAL_URL_PATH "{name}/{part}", store_put, PLAN_PART_BYTES_MAX, &store_sink},
        {"GET", LOCAL_URL_PATH "{name}", store_get, 0, NULL},
};

/* --- answers --- */

void rest_json(struct rest_call *c, unsigned status, const ProtobufCMessage *message)
{
        struct buf b = BUF_INIT(JSON_MAX);

        if (wire_json_encode(message, &b) == 0)
                http_respond_json(c->rq, status, &b);
        else
                rest_problem(c, PARLEY_INTERNAL, "the answer cannot be written as JSON");
        buf_done(&b);
}

void rest_empty(struct rest_call *c, unsigned status)
{
        http_respond(c->rq, status, "application/json", "", 0);
}

void rest_problem(struct rest_call *c, enum parley_code code, const char *format, ...)
{
        char detail[256];
        va_list args;

        va_start(args, format);
        (void)vsnprintf(detail, sizeof(detail), format, args);
        va_end(args);
        http_problem(c->rq, code, code == PARLEY_UNAVAILABLE ? RETRY_MS : 0, "%s", detail);
}

void rest_unavailable(struct rest_call *c, const char *what, int error)
{
        log_warn("a request could not be answered", LOG_S("path", http_path(c->rq)), LOG_S("what", what),
                 LOG_I("error", error), LOG_S("trace_id", http_trace_id(c->rq)));
        rest_problem(c, PARLEY_UNAVAILABLE, "%s cannot be reached now; try again", what);
}

void rest_refuse(struct rest_call *c, enum parley_code code)
{
        static const char *const words[_PARLEY_CODE_N] = {
                [PARLEY_NOT_A_MEMBER] = "you are not a member of this channel",
                [PARLEY_FORBIDDEN] = "your role in this channel does not allow this",
                [PARLEY_ARCHIVED] = "the channel is archived",
                [PARLEY_UNAVAILABLE] = "memberships cannot be read now; try again",
        };

        rest_problem(c, code, "%s", words[code] ? words[code] : parley_code_title(code));
}

/* --- who asks --- */

static void call_free(void *context)
{
        struct rest_call *c = context;
        struct env *env = c->rest->env;

        if (c->expected)
                quota_expect_end(env->quota, c->claims.user_id);
        if (c->body)
                protobuf_c_message_free_unpacked(c->body, NULL);
        if (c->upload)
                protobuf_c_message_free_unpacked(&c->upload->base, NULL);
        if (c->file)
                protobuf_c_message_free_unpacked(&c->file->base, NULL);
        free(c);
        env_end(env);
}

static bool within_rate(struct rest_call *c, struct ratetable *table, const char *name)
{
        return http_within_rate(c->rq, table, name, env_now_ms(c->rest->env), 1);
}

static bool authenticate(struct rest_call *c)
{
        const char *token = http_bearer(c->rq);
        int r = token ? auth_verify(c->rest->auth, token, strlen(token), env_wall_s(), &c->claims) : AUTH_E_MALFORMED;

        if (r == 0)
                return within_rate(c, c->rest->by_user, c->claims.user_id);
        if (!within_rate(c, c->rest->by_address, http_counted_as(c->rq)))
                return false;
        if (r == AUTH_E_UNKNOWN_KEY && c->rest->jwks)
                jwks_refresh(c->rest->jwks);
        if (r < 0)
                rest_problem(c, PARLEY_INTERNAL, "the token cannot be checked");
        else
                http_refuse_token(c->rq, token != NULL, r == AUTH_E_EXPIRED, auth_error_text(r));
        return false;
}

struct rest_call *rest_begin(struct http_request *rq, void *userdata)
{
        struct rest_call *c = calloc(1, sizeof(*c));
        const char *id = http_param(rq, "id");

        if (!c) {
                http_problem(rq, PARLEY_UNAVAILABLE, RETRY_MS, "out of memory");
                return NULL;
        }
        c->rest = userdata;
        c->rq = rq;
        env_begin(c->rest->env);
        http_set_context(rq, c, call_free);
        if (!authenticate(c))
                return NULL;
        if (!c->rest->env->buckets_there) {
                rest_problem(c, PARLEY_UNAVAILABLE, "the service is starting; try again");
                return NULL;
        }
        /* Ours are in lower case; another writing of the same would be another key. */
        if (id && (!uuid_valid(id) || strpbrk(id, "ABCDEF"))) {
                rest_problem(c, PARLEY_NOT_FOUND, "there is no such upload or file");
                return NULL;
        }
        if (id)
                memcpy(c->id, id, UUID_LEN + 1);
        return c;
}

bool rest_body(struct rest_call *c, const ProtobufCMessageDescriptor *type)
{
        struct wire_error error = {0};
        size_t n;
        const uint8_t *body = http_body(c->rq, &n); /* within its route's limit */
        const struct wire_limits limits = {.max_bytes = n, .max_elements = BODY_ELEMENTS};
        int r = wire_json_decode(type, (const char *)body, n, &limits, &c->body, &error);

        if (r == 0)
                return true;
        if (r < 0)
                rest_problem(c, PARLEY_INTERNAL, "the body cannot be read");
        else
                rest_problem(c, PARLEY_BAD_REQUEST, "%s", *error.detail ? error.detail : "the body is not valid");
        return false;
}

/* --- what is asked for first --- */

struct going {
        struct rest_call *call;
        rest_then then, absent;
};

static struct going *going_new(struct rest_call *c, rest_then then, rest_then absent)
{
        struct going *g = malloc(sizeof(*g));

        if (g)
                *g = (struct going){c, then, absent};
        return g;
}

static struct going going_end(void *userdata)
{
        struct going g = *(struct going *)userdata;

        free(userdata);
        return g;
}

static void on_access(enum parley_code code, void *userdata)
{
        struct going g = going_end(userdata);

        if (code == PARLEY_OK)
                g.then(g.call);
        else
                rest_refuse(g.call, code);
}

void rest_access(struct rest_call *c, enum policy_action action, rest_then then)
{
        struct going *g = going_new(c, then, NULL);
        int r = g ? access_read(c->rest->env, c->claims.user_id, c->claims.admin, c->channel_id, action, on_access, g)
                  : -ENOMEM;

        if (r != 0) {
                free(g);
                rest_unavailable(c, "NATS", r);
        }
}

static void on_upload(int error, ProtobufCMessage *m, uint64_t revision, void *userdata)
{
        struct going g = going_end(userdata);
        struct rest_call *c = g.call;

        (void)revision;
        c->upload = (Parley__V1__PendingUpload *)m;
        if (error && error != BUS_E_NOT_FOUND)
                rest_unavailable(c, "NATS", error);
        else if (m && strcmp(c->upload->user_id, c->claims.user_id) == 0 && c->upload->expires_at_ms > env_wall_ms())
                g.then(c);
        else if (!m && g.absent)
                g.absent(c);
        else
                rest_problem(c, PARLEY_NOT_FOUND, "there is no such upload of yours, or its time is over");
}

void rest_upload(struct rest_call *c, rest_then then, rest_then absent)
{
        struct going *g = going_new(c, then, absent);
        int r = g ? record_get_upload(c->rest->env, c->id, on_upload, g) : -ENOMEM;

        if (r != 0) {
                free(g);
                rest_unavailable(c, "NATS", r);
        }
}

static void on_file(int error, ProtobufCMessage *m, uint64_t revision, void *userdata)
{
        struct going g = going_end(userdata);
        struct rest_call *c = g.call;
        bool there;

        c->file = (Parley__V1__StoredFile *)m;
        c->revision = revision;
        there = m && c->file->attachment && c->file->state != PARLEY__V1__FILE_STATE__deleted;
        if (error && error != BUS_E_NOT_FOUND)
                rest_unavailable(c, "NATS", error);
        else if (there && (c->file->state != PARLEY__V1__FILE_STATE__removing || c->removing_too))
                g.then(c);
        else if (g.absent)
                g.absent(c);
        else
                rest_problem(c, PARLEY_NOT_FOUND, "there is no such file");
}

void rest_file(struct rest_call *c, rest_then then, rest_then absent)
{
        struct going *g = going_new(c, then, absent);
        int r;

        if (c->file)
                protobuf_c_message_free_unpacked(&c->file->base, NULL);
        c->file = NULL;
        r = g ? record_get_file(c->rest->env, c->id, on_file, g) : -ENOMEM;
        if (r != 0) {
                free(g);
                rest_unavailable(c, "NATS", r);
        }
}
