/* Who am I; the demo sign-in. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "history/rest.h"
#include "history/slug.h"

void rest_me(struct http_request *rq, void *userdata)
{
        struct rest_call *c = rest_begin(rq, userdata);
        Parley__V1__Me me = PARLEY__V1__ME__INIT;
        Google__Protobuf__Timestamp expires = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

        if (!c)
                return;
        me.user_id = c->claims.user_id;
        me.external_id = c->claims.external_id;
        me.name = c->claims.name;
        me.admin = c->claims.admin;
        expires.seconds = c->claims.expires_at;
        if (c->claims.expires_at != INT64_MAX)
                me.expires_at = &expires;
        rest_json(c, 200, &me.base);
}

/* Characters, not bytes; the text is UTF-8 */
static size_t n_characters(const char *s)
{
        size_t n = 0;

        for (; *s; s++)
                n += ((unsigned char)*s & 0xc0) != 0x80;
        return n;
}

static bool name_valid(const char *name)
{
        for (const char *p = name; *p; p++)
                if ((unsigned char)*p < 0x20 || *p == 0x7f)
                        return false;
        return *name && *name != ' ' && name[strlen(name) - 1] != ' ' && n_characters(name) <= 64 &&
               strlen(name) <= AUTH_NAME_MAX;
}

static void sign_in(struct rest_call *c, const char *user_id, const char *name)
{
        const struct history_config *config = c->rest->env->config;
        Parley__V1__DemoSession session = PARLEY__V1__DEMO_SESSION__INIT;
        Google__Protobuf__Timestamp expires = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        _cleanup_free_ char *token = NULL;

        expires.seconds = env_now_s() + (int64_t)config->demo_token_ttl_s;
        if (auth_sign(c->rest->auth, user_id, name, false, env_now_s(), (int64_t)config->demo_token_ttl_s, &token) !=
            0) {
                rest_problem(c, PARLEY_INTERNAL, "a token cannot be signed: PARLEY_TOKEN_SECRET is not set");
                return;
        }
        session.token = token;
        session.user_id = (char *)user_id;
        session.name = (char *)name;
        session.expires_at = &expires;
        rest_json(c, 200, &session.base);
}

/* user_id NULL: a new one, made of the name */
static void sign_in_as(struct rest_call *c, const char *user_id)
{
        ProtobufCMessage *body = rest_body(c, &parley__v1__demo_session_request__descriptor);
        char made[IDENT_MAX + 1];
        uint8_t random[5];
        const char *name;

        if (!body)
                return;
        name = ((const Parley__V1__DemoSessionRequest *)body)->name;
        if (name_valid(name)) {
                random_bytes(random, sizeof(random));
                slug_user_id(name, random, made);
                sign_in(c, user_id ? user_id : made, name);
        } else {
                rest_problem(
                        c, PARLEY_BAD_REQUEST,
                        "name must be 1 to 64 characters (%d bytes at most), without control characters or spaces around it",
                        AUTH_NAME_MAX);
        }
        protobuf_c_message_free_unpacked(body, NULL);
}

/* Who has a token that is still good stays who he is. The rights of an administrator are not passed on, and the user of another
 * issuer, whose id is not his token's sub, could not be signed again as himself. */
static void renew(struct http_request *rq, struct rest *rest)
{
        struct rest_call *c = rest_begin(rq, rest);

        if (!c)
                return;
        if (strcmp(c->claims.user_id, c->claims.external_id) == 0)
                sign_in_as(c, c->claims.user_id);
        else
                rest_problem(c, PARLEY_FORBIDDEN, "the token is not of a demo sign-in: renew it where it was issued");
}

void rest_demo_session(struct http_request *rq, void *userdata)
{
        struct rest *rest = userdata;
        struct rest_call c = {.rest = rest, .rq = rq};
        uint32_t wait;

        if (!rest->env->config->demo_signin) {
                http_problem(rq, PARLEY_NOT_FOUND, 0, "the demo sign-in is switched off (PARLEY_DEMO_SIGNIN)");
                return;
        }
        if (http_bearer(rq)) {
                renew(rq, rest);
                return;
        }
        /* the limit before the work: anybody may come here */
        wait = ratetable_take(rest->by_address, http_counted_as(rq), env_now_ms(rest->env), 1);
        if (wait)
                http_problem(rq, PARLEY_RATE_LIMITED, wait, "too many sign-ins: wait %u ms", wait);
        else
                sign_in_as(&c, NULL);
}
