#include "gateway/session.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "gateway/address.h"
#include "gateway/backlog.h"
#include "gateway/channel.h"
#include "gateway/everyone.h"
#include "gateway/here.h"
#include "gateway/look.h"
#include "gateway/ready.h"
#include "gateway/stats.h"
#include "gateway/user.h"

static void session_timer(struct wheel_timer *t, uint64_t now_ms);

/* What may follow on what */
static const uint8_t session_next[] = {
        [SESSION_CONNECTED] = 1 << SESSION_AUTHENTICATING | 1 << SESSION_CLOSING,
        [SESSION_AUTHENTICATING] = 1 << SESSION_LOADING | 1 << SESSION_CLOSING,
        [SESSION_LOADING] = 1 << SESSION_LIVE | 1 << SESSION_CLOSING,
        [SESSION_LIVE] = 1 << SESSION_CLOSING,
        [SESSION_CLOSING] = 0,
};

int session_new(struct session **ret_session, struct core *core, const struct session_options *options)
{
        struct session *s = calloc(1, sizeof(*s));
        uint8_t random[10];
        int r;

        if (!s)
                return -ENOMEM;
        r = handle_put(&core->handles, s, &s->handle);
        if (r) {
                free(s);
                return r;
        }
        s->core = core;
        s->connection = options->connection;
        s->encoding = (uint8_t)options->encoding;
        s->plain = options->plain;
        s->address = options->address;
        s->heard_ms = s->entered_ms = core->now_ms;
        s->expires_at = INT64_MAX;
        random_bytes(random, sizeof(random));
        uuid_v7((uint64_t)core->wall_ns / 1000000, random, s->id);
        s->next = core->sessions;
        if (s->next)
                s->next->prev = s;
        core->sessions = s;
        core->n_sessions++;
        metric_set(&stat_connections, core->n_sessions);
        wheel_arm(core->wheel, &s->timer, core->now_ms + core->config->handshake_timeout_ms, session_timer);
        *ret_session = s;
        return 0;
}

/* When a LIVE session must be looked at again: its token expires, or it has been silent */
static void session_arm_live(struct session *s)
{
        struct core *core = s->core;
        uint64_t due = s->heard_ms + core->config->heartbeat_ms * (s->pinged ? 2 : 1);
        int64_t left_s = s->expires_at - core_wall_s(core);

        if (left_s < (int64_t)(core->config->heartbeat_ms / 500)) {
                uint64_t expiry = core->now_ms + (left_s > 0 ? (uint64_t)left_s * 1000 : 0);

                if (expiry < due)
                        due = expiry;
        }
        wheel_arm(core->wheel, &s->timer, due > core->now_ms ? due : core->now_ms + 1, session_timer);
}

void session_rearm(struct session *s)
{
        if (s->state == SESSION_LIVE)
                session_arm_live(s);
}

/* The one place where a session's state changes */
void session_enter(struct session *s, enum session_state state)
{
        struct core *core = s->core;

        assert(session_next[s->state] & 1 << state);
        if (s->state == SESSION_LIVE) {
                metric_add(&stat_sessions, -1);
                here_left(s);
        }
        s->state = (uint8_t)state;
        s->entered_ms = core->now_ms;
        switch (state) {
        case SESSION_CONNECTED:
        case SESSION_AUTHENTICATING: /* the deadline of the handshake goes on */
                break;
        case SESSION_LOADING:
                wheel_arm(core->wheel, &s->timer, core->now_ms + core->config->loading_timeout_ms, session_timer);
                break;
        case SESSION_LIVE:
                metric_add(&stat_sessions, 1);
                here_touch(s->user);
                session_arm_live(s);
                break;
        case SESSION_CLOSING:
                wheel_disarm(&s->timer);
                break;
        }
}

static void session_timer_live(struct session *s)
{
        struct core *core = s->core;
        uint64_t silent = core->now_ms - s->heard_ms;

        if (core_wall_s(core) >= s->expires_at) {
                session_fail(s, 0, PARLEY_TOKEN_EXPIRED, PARLEY_CLOSE_TOKEN_EXPIRED, "the token has expired");
                return;
        }
        if (silent >= 2 * core->config->heartbeat_ms) {
                session_close(s, PARLEY_CLOSE_IDLE, NULL);
                return;
        }
        if (silent >= core->config->heartbeat_ms && !s->pinged) {
                s->pinged = true;
                core->transport.ping(s->connection);
        }
        session_arm_live(s);
}

static void session_timer(struct wheel_timer *t, uint64_t now_ms)
{
        struct session *s = (struct session *)((char *)t - offsetof(struct session, timer));

        (void)now_ms;
        switch (s->state) {
        case SESSION_CONNECTED:
                session_fail(s, 0, PARLEY_UNAUTHENTICATED, PARLEY_CLOSE_HELLO_TIMEOUT, "no hello in time");
                break;
        case SESSION_AUTHENTICATING:
                session_fail(s, s->hello_ref, PARLEY_UNAVAILABLE, PARLEY_CLOSE_TRY_AGAIN_LATER,
                             "the keys of tokens cannot be read now");
                break;
        case SESSION_LOADING:
                session_fail(s, s->hello_ref, PARLEY_UNAVAILABLE, PARLEY_CLOSE_TRY_AGAIN_LATER,
                             "memberships cannot be read now");
                break;
        case SESSION_LIVE:
                session_timer_live(s);
                break;
        case SESSION_CLOSING:
                break;
        }
}

void session_heard(struct session *s)
{
        s->heard_ms = s->core->now_ms;
        s->pinged = false;
}

void session_authenticate(struct session *s, const char *token, uint32_t ref)
{
        s->hello_ref = ref;
        s->token = strdup(token);
        session_enter(s, SESSION_AUTHENTICATING);
        if (!s->token)
                session_fail(s, ref, PARLEY_INTERNAL, PARLEY_CLOSE_TRY_AGAIN_LATER, "no memory");
        else
                session_try_token(s);
}

static void session_refuse_token(struct session *s, int error)
{
        char text[160];
        bool expired = error == AUTH_E_EXPIRED;

        snprintf(text, sizeof(text), "the token is refused: %s", auth_error_text(error));
        session_fail(s, s->hello_ref, expired ? PARLEY_TOKEN_EXPIRED : PARLEY_UNAUTHENTICATED,
                     expired ? PARLEY_CLOSE_TOKEN_EXPIRED : PARLEY_CLOSE_UNAUTHENTICATED, text);
}

static void session_refuse_opening(struct session *s, uint32_t wait_ms)
{
        session_error(s, s->hello_ref, PARLEY_RATE_LIMITED, wait_ms, "too many new sessions of this user; wait %u ms",
                      wait_ms);
        session_close(s, PARLEY_CLOSE_TOO_MANY, "too many new sessions of this user");
}

static void session_admit(struct session *s, const struct auth_claims *claims)
{
        struct core *core = s->core;
        uint32_t wait_ms = 0;
        int r;

        free(s->token);
        s->token = NULL;
        s->name = strdup(claims->name);
        s->admin = claims->admin;
        s->expires_at = claims->expires_at;
        session_enter(s, SESSION_LOADING);
        r = s->name ? user_attach(core, claims->user_id, s, &wait_ms) : -ENOMEM;
        if (r == PARLEY_RATE_LIMITED && wait_ms)
                session_refuse_opening(s, wait_ms);
        else if (r == PARLEY_RATE_LIMITED)
                session_fail(s, s->hello_ref, PARLEY_RATE_LIMITED, PARLEY_CLOSE_TOO_MANY,
                             "too many connections of this user");
        else if (r)
                session_fail(s, s->hello_ref, PARLEY_INTERNAL, PARLEY_CLOSE_TRY_AGAIN_LATER, "no memory");
        else
                session_advance(s);
}

void session_try_token(struct session *s)
{
        struct core *core = s->core;
        struct auth_claims claims;
        int r = auth_verify(core->auth, s->token, strlen(s->token), core_wall_s(core), &claims);

        if (r == AUTH_E_UNKNOWN_KEY && core->refresh_keys && !s->keys_refreshed) {
                s->keys_refreshed = true;
                core->refresh_keys(core->userdata);
        } else if (r < 0) {
                session_fail(s, s->hello_ref, PARLEY_INTERNAL, PARLEY_CLOSE_TRY_AGAIN_LATER, "no memory");
        } else if (r) {
                session_refuse_token(s, r);
        } else {
                session_admit(s, &claims);
        }
}

/* Each link that is known at once comes back to session_advance: it must not go on before all are made. */
static bool session_make_links(struct session *s)
{
        if (s->linking)
                return false;
        s->linking = true;
        for (unsigned i = 0; s->state == SESSION_LOADING && i < s->user->n_members; i++)
                user_relink_session(s->user, s, s->user->members[i].channel);
        if (s->state == SESSION_LOADING)
                everyone_relink(s->core, s);
        s->linking = false;
        s->linked = true;
        return true;
}

static bool session_waits(const struct session *s)
{
        for (uint32_t i = 0; i < s->n_links; i++)
                if (s->links[i].state == LINK_WAITING && !session_link_stalled(s, &s->links[i]))
                        return true;
        return false;
}

void session_advance(struct session *s)
{
        struct core *core = s->core;

        if (s->state != SESSION_LOADING || !s->user->loaded || !core->everyone_known)
                return;
        if (!s->linked && !session_make_links(s))
                return;
        if (s->state != SESSION_LOADING || session_waits(s))
                return;
        if (backlog_is_full(core))
                core->opening_waits = true; /* `ready` may be megabytes */
        else
                ready_go_live(s);
}

static struct metric *session_close_metric(enum parley_close code)
{
        switch (code) {
        case PARLEY_CLOSE_TOO_SLOW:
                return &stat_closed_slow;
        case PARLEY_CLOSE_IDLE:
        case PARLEY_CLOSE_HELLO_TIMEOUT:
                return &stat_closed_idle;
        case PARLEY_CLOSE_PROTOCOL_ERROR:
                return &stat_closed_protocol;
        case PARLEY_CLOSE_UNAUTHENTICATED:
        case PARLEY_CLOSE_TOKEN_EXPIRED:
        case PARLEY_CLOSE_FORBIDDEN:
                return &stat_closed_auth;
        case PARLEY_CLOSE_TOO_MANY:
                return &stat_closed_limit;
        default:
                return &stat_closed_other;
        }
}

/* From here on it gets nothing more of anything */
static void session_release(struct session *s)
{
        session_enter(s, SESSION_CLOSING);
        s->core->leaving_bytes += s->kept_bytes;
        look_free(s);
        session_links_done(s);
        user_detach(s);
        s->core->pending_bytes -= s->n_cursors * sizeof(*s->cursors);
        free(s->cursors);
        s->cursors = NULL;
        s->n_cursors = 0;
        free(s->token);
        s->token = NULL;
}

void session_close(struct session *s, enum parley_close code, const char *text)
{
        if (s->state == SESSION_CLOSING)
                return;
        metric_add(session_close_metric(code), 1);
        s->close_code = (uint16_t)code;
        session_release(s);
        if (code == PARLEY_CLOSE_TOO_SLOW)
                session_queue_drop(s);
        s->core->transport.close(s->connection, code, text ? text : parley_close_text(code));
}

void session_fail(struct session *s, uint32_t ref, enum parley_code error, enum parley_close code, const char *text)
{
        if (s->state == SESSION_CLOSING)
                return;
        if (error != PARLEY_OK)
                session_error(s, ref, error, 0, "%s", text);
        session_close(s, code, text);
}

void session_gone(struct session *s)
{
        struct core *core = s->core;

        if (s->state != SESSION_CLOSING)
                session_release(s);
        session_queue_drop(s);
        backlog_kept(s, 0);
        if (s->dirty_index)
                core->dirty[s->dirty_index - 1] = NULL;
        handle_remove(&core->handles, s->handle);
        if (s->prev)
                s->prev->next = s->next;
        else
                core->sessions = s->next;
        if (s->next)
                s->next->prev = s->prev;
        core->n_sessions--;
        metric_set(&stat_connections, core->n_sessions);
        address_leave(core, s->address);
        free(s->name);
        free(s);
}
