#include <stdlib.h>
#include <string.h>

#include "base/ident.h"
#include "base/log.h"
#include "gateway/channel.h"
#include "gateway/frames.h"
#include "gateway/here.h"
#include "gateway/ready.h"
#include "gateway/replay.h"
#include "gateway/user.h"
#include "gateway/wiretime.h"

#define CLIENT_NAME_MAX 64

/* False: answered with an error */
static bool cursors_check(struct session *s, uint32_t ref, Parley__V1__Cursor *const *cursors, size_t n)
{
        if (n > s->core->config->max_cursors || s->n_cursors + n > s->core->config->max_cursors) {
                session_error(s, ref, PARLEY_BAD_REQUEST, 0, "cursors: at most %u",
                              (unsigned)s->core->config->max_cursors);
                return false;
        }
        for (size_t i = 0; i < n; i++) {
                if (!ident_valid(cursors[i]->channel_id)) {
                        session_error(s, ref, PARLEY_BAD_REQUEST, 0, "cursors[%zu].channelId is no channel id", i);
                        return false;
                }
        }
        return true;
}

/* Kept until `ready` has gone out */
static bool cursors_keep(struct session *s, uint32_t ref, Parley__V1__Cursor *const *cursors, size_t n)
{
        struct core *core = s->core;
        struct cursor *kept;

        if (!n)
                return true;
        if (core->pending_bytes + n * sizeof(*kept) > core->config->max_pending_bytes) {
                session_fail(s, ref, PARLEY_UNAVAILABLE, PARLEY_CLOSE_TRY_AGAIN_LATER,
                             "too many cursors of all clients wait");
                return false;
        }
        kept = realloc(s->cursors, (s->n_cursors + n) * sizeof(*kept));
        if (!kept) {
                session_error(s, ref, PARLEY_INTERNAL, 1000, "no memory");
                return false;
        }
        s->cursors = kept;
        core->pending_bytes += n * sizeof(*kept);
        for (size_t i = 0; i < n; i++) {
                struct cursor *cursor = &kept[s->n_cursors++];

                cursor->epoch = cursors[i]->epoch;
                cursor->seq = cursors[i]->seq;
                memcpy(cursor->channel_id, cursors[i]->channel_id, strlen(cursors[i]->channel_id) + 1);
        }
        return true;
}

/* hello after an opening that the upgrade's token has begun */
static void hello_again(struct session *s, const Parley__V1__ClientFrame *frame)
{
        if (s->state == SESSION_LIVE) {
                here_touch(s->user);
                ready_again(s, frame->ref);
        } else {
                s->hello_ref = frame->ref; /* the `ready` to come answers it */
        }
}

void frame_hello(struct session *s, const Parley__V1__ClientFrame *frame)
{
        const Parley__V1__Hello *hello = frame->hello;

        if (s->hello_seen) {
                session_fail(s, frame->ref, PARLEY_BAD_REQUEST, PARLEY_CLOSE_PROTOCOL_ERROR, "hello was said already");
                return;
        }
        if (strlen(hello->client) > CLIENT_NAME_MAX) {
                session_error(s, frame->ref, PARLEY_BAD_REQUEST, 0, "client: at most %d bytes", CLIENT_NAME_MAX);
                return;
        }
        if (!cursors_check(s, frame->ref, hello->cursors, hello->n_cursors) ||
            !cursors_keep(s, frame->ref, hello->cursors, hello->n_cursors))
                return;
        s->hello_seen = true;
        s->device = (uint8_t)hello->device;
        s->compress = hello->compress && !s->plain;
        if (s->state != SESSION_CONNECTED)
                hello_again(s, frame);
        else if (!hello->token[0])
                session_fail(s, frame->ref, PARLEY_UNAUTHENTICATED, PARLEY_CLOSE_UNAUTHENTICATED, "hello has no token");
        else
                session_authenticate(s, hello->token, frame->ref);
}

void frame_auth(struct session *s, const Parley__V1__ClientFrame *frame)
{
        struct core *core = s->core;
        const char *token = frame->auth->token;
        struct auth_claims claims;
        int r = auth_verify(core->auth, token, strlen(token), core_wall_s(core), &claims);
        Parley__V1__ServerFrame answer = PARLEY__V1__SERVER_FRAME__INIT;
        Parley__V1__Authenticated body = PARLEY__V1__AUTHENTICATED__INIT;
        Google__Protobuf__Timestamp expires;

        if (r == AUTH_E_UNKNOWN_KEY && core->refresh_keys) {
                core->refresh_keys(core->userdata);
                session_error(s, frame->ref, PARLEY_UNAVAILABLE, 1000, "the token's key is not known yet");
                return;
        }
        if (r) {
                session_error(s, frame->ref, r == AUTH_E_EXPIRED ? PARLEY_TOKEN_EXPIRED : PARLEY_UNAUTHENTICATED, 0,
                              "the token is refused: %s", r < 0 ? "no memory" : auth_error_text(r));
                return;
        }
        if (strcmp(claims.user_id, s->user->id) != 0) {
                session_error(s, frame->ref, PARLEY_FORBIDDEN, 0, "the token is another user's");
                return;
        }
        s->expires_at = claims.expires_at;
        s->admin = claims.admin;
        session_rearm(s);
        if (s->expires_at != INT64_MAX) {
                wiretime_set_s(&expires, s->expires_at);
                body.token_expires_at = &expires;
        }
        answer.ref = frame->ref;
        answer.body_case = PARLEY__V1__SERVER_FRAME__BODY_AUTHENTICATED;
        answer.authenticated = &body;
        session_send(s, &answer);
}

void frame_ack(struct session *s, uint32_t ref)
{
        Parley__V1__ServerFrame answer = PARLEY__V1__SERVER_FRAME__INIT;
        Parley__V1__Ack ack = PARLEY__V1__ACK__INIT;

        answer.ref = ref;
        answer.body_case = PARLEY__V1__SERVER_FRAME__BODY_ACK;
        answer.ack = &ack;
        session_send(s, &answer);
}

void frame_done(struct session *s, uint32_t ref)
{
        if (ref)
                frame_ack(s, ref);
}

void frame_resume(struct session *s, const Parley__V1__ClientFrame *frame)
{
        const Parley__V1__Resume *resume = frame->resume;

        if (s->state == SESSION_CONNECTED) {
                session_error(s, frame->ref, PARLEY_UNAUTHENTICATED, 0, "say hello with a token first");
                return;
        }
        if (!cursors_check(s, frame->ref, resume->cursors, resume->n_cursors))
                return;
        if (!cursors_keep(s, frame->ref, resume->cursors, resume->n_cursors))
                return;
        frame_ack(s, frame->ref);
        if (s->state == SESSION_LIVE)
                ready_resume(s, true);
}

void frame_ping(struct session *s, const Parley__V1__ClientFrame *frame)
{
        Parley__V1__ServerFrame answer = PARLEY__V1__SERVER_FRAME__INIT;
        Parley__V1__Pong pong = PARLEY__V1__PONG__INIT;

        answer.ref = frame->ref;
        answer.body_case = PARLEY__V1__SERVER_FRAME__BODY_PONG;
        answer.pong = &pong;
        session_send(s, &answer);
}
