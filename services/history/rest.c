#include "history/rest.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "bus/bus.h"
#include "history/names.h"
#include "history/pg.h"

enum { RETRY_MS = 1000, CONFLICTS_MAX = 5, BODY_SMALL = 16 << 10, BODY_CREATE = 128 << 10, JSON_MAX = 64 << 20 };

/* The body of rest_send depends on the settings. */
static const struct http_route routes[] = {
        {"GET", "/api/me", rest_me, 0, NULL},
        {"POST", "/api/demo/session", rest_demo_session, BODY_SMALL, NULL},
        {"GET", "/api/channels", rest_list_channels, 0, NULL},
        {"POST", "/api/channels", rest_create_channel, BODY_CREATE, NULL},
        {"GET", "/api/channels/{id}", rest_get_channel, 0, NULL},
        {"PATCH", "/api/channels/{id}", rest_change_channel, BODY_SMALL, NULL},
        {"POST", "/api/channels/{id}/join", rest_join, BODY_SMALL, NULL},
        {"POST", "/api/channels/{id}/leave", rest_leave, BODY_SMALL, NULL},
        {"GET", "/api/channels/{id}/members", rest_list_members, 0, NULL},
        {"POST", "/api/channels/{id}/members", rest_add_member, BODY_SMALL, NULL},
        {"DELETE", "/api/channels/{id}/members/{userId}", rest_remove_member, BODY_SMALL, NULL},
        {"GET", "/api/channels/{id}/messages", rest_list_messages, 0, NULL},
        {"POST", "/api/channels/{id}/messages", rest_send, 0, NULL},
        {"GET", "/api/channels/{id}/messages/{message}", rest_get_message, 0, NULL},
        {"GET", "/api/channels/{id}/events", rest_list_events, 0, NULL},
};
_Static_assert(ARRAY_SIZE(routes) == REST_ROUTES, "rest.h says how many there are");

void rest_routes(const struct history_config *config, struct http_route ret_routes[REST_ROUTES])
{
        const struct message_limits limits = history_config_message(config);

        memcpy(ret_routes, routes, sizeof(routes));
        for (unsigned i = 0; i < REST_ROUTES; i++) {
                /* room for a content beyond its limit, so that it is refused by name */
                if (ret_routes[i].handler == rest_send)
                        ret_routes[i].max_body = BODY_SMALL + (size_t)message_json_max(&limits);
        }
}

/* --- answers --- */

void rest_json(struct rest_call *c, unsigned status, const ProtobufCMessage *message)
{
        struct buf b = BUF_INIT(JSON_MAX);
        int r = wire_json_encode(message, &b);

        (void)FAILPOINT("history.rest.before_answer");
        if (r == 0)
                http_respond_json(c->rq, status, &b);
        else
                rest_problem(c, PARLEY_INTERNAL, "the answer cannot be written as JSON");
        buf_done(&b);
}

void rest_empty(struct rest_call *c, unsigned status)
{
        (void)FAILPOINT("history.rest.before_answer");
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

void rest_unavailable(struct rest_call *c, int error)
{
        if (error == PG_E_DATA || error == -EBADMSG) {
                log_error("a request could not be answered", LOG_S("path", http_path(c->rq)), LOG_I("error", error),
                          LOG_S("trace_id", http_trace_id(c->rq)));
                rest_problem(c, PARLEY_INTERNAL, "what is stored cannot be read");
        } else {
                rest_problem(c, PARLEY_UNAVAILABLE, "history cannot reach its database or the log now; try again");
        }
}

void rest_refuse(struct rest_call *c, enum parley_code code)
{
        static const char *const words[_PARLEY_CODE_N] = {
                [PARLEY_NOT_FOUND] = "there is no such channel",
                [PARLEY_NOT_A_MEMBER] = "you are not a member of this channel",
                [PARLEY_FORBIDDEN] = "your role in this channel does not allow this",
                [PARLEY_ARCHIVED] = "the channel is archived",
        };

        rest_problem(c, code, "%s", words[code] ? words[code] : parley_code_title(code));
}

void rest_channel_entry(struct rest_call *c, unsigned status, const Parley__V1__Channel *channel, Parley__V1__Role role,
                        uint64_t since_seq)
{
        Parley__V1__ChannelEntry entry = PARLEY__V1__CHANNEL_ENTRY__INIT;

        entry.channel = (Parley__V1__Channel *)channel;
        entry.role = role;
        entry.since_seq = since_seq;
        rest_json(c, status, &entry.base);
}

/* --- who asks --- */

static void call_free(void *context)
{
        struct rest_call *c = context;
        struct env *env = c->rest->env;

        access_free(c->access);
        change_free(c->change);
        if (c->free_own)
                c->free_own(c->own);
        free(c);
        env_end(env);
}

static bool within_rate(struct rest_call *c, struct ratetable *table, const char *name, uint32_t cost)
{
        return http_within_rate(c->rq, table, name, env_now_ms(c->rest->env), cost);
}

bool rest_within_invites(struct rest_call *c, uint32_t n_members)
{
        return c->claims.admin || within_rate(c, c->rest->invites_by_user, c->claims.user_id, n_members);
}

bool rest_within_messages(struct rest_call *c)
{
        return within_rate(c, c->rest->messages_by_user, c->claims.user_id, 1);
}

static bool authenticate(struct rest_call *c)
{
        const char *token = http_bearer(c->rq);
        int r = token ? auth_verify(c->rest->auth, token, strlen(token), env_now_s(), &c->claims) : AUTH_E_MALFORMED;

        if (r == 0)
                return within_rate(c, c->rest->by_user, c->claims.user_id, 1);
        if (!within_rate(c, c->rest->by_address, http_counted_as(c->rq), 1))
                return false;
        if (r == AUTH_E_UNKNOWN_KEY && c->rest->jwks)
                jwks_refresh(c->rest->jwks);
        if (r < 0)
                rest_problem(c, PARLEY_INTERNAL, "the token cannot be checked");
        else
                http_refuse_token(c->rq, token != NULL, r == AUTH_E_EXPIRED, auth_error_text(r));
        return false;
}

static struct rest_call *call_new(struct http_request *rq, struct rest *rest)
{
        struct rest_call *c = calloc(1, sizeof(*c));

        if (!c) {
                http_problem(rq, PARLEY_UNAVAILABLE, RETRY_MS, "out of memory");
                return NULL;
        }
        c->rest = rest;
        c->rq = rq;
        env_begin(rest->env);
        http_set_context(rq, c, call_free);
        return c;
}

struct rest_call *rest_begin(struct http_request *rq, void *userdata)
{
        struct rest_call *c = call_new(rq, userdata);
        const char *channel = http_param(rq, "id");

        if (!c || !authenticate(c))
                return NULL;
        if (channel && !ident_valid(channel)) {
                rest_problem(c, PARLEY_BAD_REQUEST, "the channel's id must be 1 to %d of A-Z a-z 0-9 _ -", IDENT_MAX);
                return NULL;
        }
        if (channel)
                memcpy(c->channel_id, channel, strlen(channel) + 1);
        return c;
}

ProtobufCMessage *rest_body(struct rest_call *c, const ProtobufCMessageDescriptor *type)
{
        struct wire_error error = {0};
        ProtobufCMessage *m;
        size_t n;
        const uint8_t *body = http_body(c->rq, &n); /* within its route's limit */
        const struct wire_limits limits = {.max_bytes = n, .max_elements = 2000};
        int r = wire_json_decode(type, (const char *)body, n, &limits, &m, &error);

        if (r == 0)
                return m;
        if (r < 0)
                rest_problem(c, PARLEY_INTERNAL, "the body cannot be read");
        else
                rest_problem(c, PARLEY_BAD_REQUEST, "%s", *error.detail ? error.detail : "the body is not valid");
        return NULL;
}

/* --- who is it in this channel --- */

struct accessing {
        struct rest_call *call;
        rest_then then;
        int action; /* -1: any */
};

/* A token without a name has the user's id instead, which is worse than what a backend may have said */
static void learn_name(const struct rest_call *c)
{
        const char *name = c->claims.name;
        const struct access *a = c->access;

        if (a->found && a->role != PARLEY__V1__ROLE__none && strcmp(name, c->claims.user_id) != 0 &&
            (!a->name || strcmp(a->name, name) != 0))
                names_learn(c->rest->env, c->claims.user_id, name);
}

static void on_access(int error, struct access *a, void *userdata)
{
        struct accessing *w = userdata;
        struct rest_call *c = w->call;
        rest_then then = w->then;
        int action = w->action;
        enum parley_code code = PARLEY_OK;

        free(w);
        if (error) {
                rest_unavailable(c, error);
                return;
        }
        access_free(c->access);
        c->access = a;
        if (action >= 0)
                code = access_check(a, c->claims.admin, (enum policy_action)action);
        if (code != PARLEY_OK) {
                rest_refuse(c, code);
                return;
        }
        learn_name(c);
        if (a->found && a->role == PARLEY__V1__ROLE__none && c->claims.admin)
                access_see_all(a);
        then(c);
}

static void read_access(struct rest_call *c, const char *const *targets, unsigned n_targets, int action, rest_then then)
{
        struct accessing *w = calloc(1, sizeof(*w));
        int r = -ENOMEM;

        if (w) {
                *w = (struct accessing){.call = c, .then = then, .action = action};
                r = c->rest->env->migrated ? access_read(c->rest->env, c->channel_id, c->claims.user_id, targets,
                                                         n_targets, on_access, w)
                                           : PG_E_UNAVAILABLE;
        }
        if (r != 0) {
                free(w);
                rest_unavailable(c, r);
        }
}

void rest_access(struct rest_call *c, const char *const *targets, unsigned n_targets, rest_then then)
{
        read_access(c, targets, n_targets, -1, then);
}

void rest_access_for(struct rest_call *c, enum policy_action action, rest_then then)
{
        read_access(c, NULL, 0, (int)action, then);
}

/* --- changes --- */

struct changing {
        struct rest_call *call;
        rest_changed then;
};

static void on_changed(struct change *change, enum change_outcome outcome, void *userdata)
{
        struct changing *w = userdata;
        struct rest_call *c = w->call;
        rest_changed then = w->then;

        (void)change; /* the call's own */
        free(w);
        switch (outcome) {
        case CHANGE_IN_FORCE:
                then(c, 200);
                break;
        case CHANGE_ACCEPTED:
                then(c, 202);
                break;
        case CHANGE_CONFLICT:
                change_free(c->change);
                c->change = NULL;
                if (c->start && ++c->tries < CONFLICTS_MAX)
                        c->start(c);
                else
                        rest_problem(c, PARLEY_CONFLICT, "this was changed by somebody else at the same time");
                break;
        case CHANGE_UNAVAILABLE:
                rest_unavailable(c, PG_E_UNAVAILABLE);
                break;
        case CHANGE_UNKNOWN:
                rest_problem(c, PARLEY_UNAVAILABLE,
                             "the database broke off: the change may have been made, look before trying again");
                break;
        }
}

void rest_change(struct rest_call *c, rest_changed then)
{
        struct changing *w = malloc(sizeof(*w));

        if (w) {
                *w = (struct changing){.call = c, .then = then};
                if (c->change && change_run(c->change, on_changed, w) == 0)
                        return;
        }
        free(w);
        rest_unavailable(c, -ENOMEM);
}
