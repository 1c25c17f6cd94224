/* The REST interface. rest.c has the table of routes; each rest_*.c the handlers of one resource. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "auth/auth.h"
#include "auth/jwks.h"
#include "base/ratetable.h"
#include "history/access.h"
#include "history/change.h"
#include "history/env.h"
#include "http/serve.h"
#include "parley/v1/rest.pb-c.h"
#include "wire/wire.h"

struct rest {
        struct env *env;
        struct auth *auth;
        struct jwks *jwks; /* NULL: none */
        struct ratetable *by_user, *by_address, *invites_by_user, *messages_by_user;
};

#define REST_ROUTES 15
void rest_routes(const struct history_config *config, struct http_route ret_routes[REST_ROUTES]);

/* One request. Lives until it is answered: after rest_json, rest_problem… it must not be touched. */
struct rest_call {
        struct rest *rest;
        struct http_request *rq;
        struct auth_claims claims;
        char channel_id[IDENT_MAX + 1];
        struct access *access;
        struct change *change;
        void (*start)(
                struct rest_call *c); /* of a change: again from the beginning, when another one came in between */
        unsigned tries;
        void *own; /* the handler's; freed with free_own */
        void (*free_own)(void *own);
};

/* Who asks, within the limits of rate, and whether the database is there; with a {id} in the path also the channel's id. NULL: it was
 * answered already. */
struct rest_call *rest_begin(struct http_request *rq, void *userdata);
/* The body, as a message of this type. NULL: it was answered already. */
ProtobufCMessage *rest_body(struct rest_call *c, const ProtobufCMessageDescriptor *type);
/* Within the rate of members that one user brings into channels, himself counted; administrators have none. False: it was answered
 * already. */
bool rest_within_invites(struct rest_call *c, uint32_t n_members);
/* Within the rate of messages of one user. False: it was answered already. */
bool rest_within_messages(struct rest_call *c);
/* Answers */
void rest_json(struct rest_call *c, unsigned status, const ProtobufCMessage *message);
void rest_empty(struct rest_call *c, unsigned status);
__attribute__((__format__(__printf__, 3, 4))) void rest_problem(struct rest_call *c, enum parley_code code,
                                                                const char *format, ...);
/* The database or the log cannot be asked now: PG_E_*, BUS_E_*, negative errno */
void rest_unavailable(struct rest_call *c, int error);
/* What policy says, in words */
void rest_refuse(struct rest_call *c, enum parley_code code);

/* Reads who the caller is in the channel, then calls `then`, or answers */
typedef void (*rest_then)(struct rest_call *c);
void rest_access(struct rest_call *c, const char *const *targets, unsigned n_targets, rest_then then);
/* As above, and only with the permission */
void rest_access_for(struct rest_call *c, enum policy_action action, rest_then then);
/* Runs c->change, then calls `then` with the status to answer (200 or 202); answers everything else itself. Begins anew with c->start
 * when another change came in between. */
typedef void (*rest_changed)(struct rest_call *c, unsigned status);
void rest_change(struct rest_call *c, rest_changed then);

/* A channel as the caller stands to it */
void rest_channel_entry(struct rest_call *c, unsigned status, const Parley__V1__Channel *channel, Parley__V1__Role role,
                        uint64_t since_seq);

/* The handlers */
void rest_me(struct http_request *rq, void *userdata);
void rest_demo_session(struct http_request *rq, void *userdata);
void rest_list_channels(struct http_request *rq, void *userdata);
void rest_create_channel(struct http_request *rq, void *userdata);
void rest_get_channel(struct http_request *rq, void *userdata);
void rest_change_channel(struct http_request *rq, void *userdata);
void rest_join(struct http_request *rq, void *userdata);
void rest_leave(struct http_request *rq, void *userdata);
void rest_list_members(struct http_request *rq, void *userdata);
void rest_add_member(struct http_request *rq, void *userdata);
void rest_remove_member(struct http_request *rq, void *userdata);
void rest_list_messages(struct http_request *rq, void *userdata);
void rest_get_message(struct http_request *rq, void *userdata);
void rest_send(struct http_request *rq, void *userdata);
void rest_list_events(struct http_request *rq, void *userdata);
