#include "gateway/frames.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "gateway/address.h"
#include "gateway/backlog.h"
#include "gateway/stats.h"
#include "wire/wire.h"

/* So many frames more that come too fast than there are others end the connection: at more than twice the rate, before long */
#define LIMITED_FRAMES_MAX 200
/* How long a client should wait that spoke before `ready` */
#define NOT_READY_RETRY_MS 100
/* A ping is answered this often whatever else the client sends: it would take the connection for dead */
#define PING_MS 1000

static const struct {
        void (*handler)(struct session *s, const Parley__V1__ClientFrame *frame);
        bool early; /* may come before `ready` */
} frames_table[] = {
        [PARLEY__V1__CLIENT_FRAME__BODY_HELLO] = {frame_hello, true},
        [PARLEY__V1__CLIENT_FRAME__BODY_AUTH] = {frame_auth, false},
        [PARLEY__V1__CLIENT_FRAME__BODY_RESUME] = {frame_resume, true},
        [PARLEY__V1__CLIENT_FRAME__BODY_SEND] = {frame_send, false},
        [PARLEY__V1__CLIENT_FRAME__BODY_EDIT] = {frame_edit, false},
        [PARLEY__V1__CLIENT_FRAME__BODY_DELETE] = {frame_delete, false},
        [PARLEY__V1__CLIENT_FRAME__BODY_PING] = {frame_ping, true},
        [PARLEY__V1__CLIENT_FRAME__BODY_WATCH] = {frame_watch, false},
        [PARLEY__V1__CLIENT_FRAME__BODY_FOCUS] = {frame_focus, false},
        [PARLEY__V1__CLIENT_FRAME__BODY_TYPING] = {frame_typing, false},
        [PARLEY__V1__CLIENT_FRAME__BODY_IDLE] = {frame_idle, false},
        [PARLEY__V1__CLIENT_FRAME__BODY_STATUS] = {frame_status, false},
};

/* Users of `watch` that cost as much as a frame */
#define WATCH_COST_USERS 10

/* A cursor may cost a replay. Before `ready` they are only kept, as many as a session may have. Whom one looks at is asked of presence. */
static uint32_t frames_cost(const struct session *s, const Parley__V1__ClientFrame *frame)
{
        if (frame->body_case == PARLEY__V1__CLIENT_FRAME__BODY_WATCH)
                return 1 + (uint32_t)frame->watch->n_user_ids / WATCH_COST_USERS;
        if (frame->body_case == PARLEY__V1__CLIENT_FRAME__BODY_FOCUS)
                return 1 + (uint32_t)frame->focus->n_channel_ids;
        if (frame->body_case != PARLEY__V1__CLIENT_FRAME__BODY_RESUME || s->state != SESSION_LIVE)
                return 1;
        return 1 + (uint32_t)frame->resume->n_cursors;
}

/* How long to wait, or 0 */
static uint32_t frames_limit(struct session *s, uint32_t cost)
{
        struct core *core = s->core;
        const struct gateway_config *config = core->config;
        uint32_t wait = ratelimit_take(&s->frames, core->now_ms, core_rate(core, config->rate_frames_per_connection),
                                       (uint32_t)config->burst_frames_per_connection, cost);

        s->paid = true;
        if (wait || !s->address)
                return wait;
        return ratelimit_take(&s->address->frames, core->now_ms, core_rate(core, config->rate_frames_per_address),
                              (uint32_t)config->burst_frames_per_address, cost);
}

static void frames_over_limit(struct session *s)
{
        if (++s->limited_frames >= LIMITED_FRAMES_MAX)
                session_fail(s, 0, PARLEY_RATE_LIMITED, PARLEY_CLOSE_TOO_MANY, "too many frames");
}

/* A frame that means nothing here: as dear as one that does, and not for ever */
static void frames_refuse(struct session *s, uint32_t ref, enum parley_code code, const char *text)
{
        uint64_t most = s->core->config->max_bad_frames;
        uint32_t wait = frames_limit(s, 1);

        if (wait) {
                session_error(s, ref, PARLEY_RATE_LIMITED, wait, "too many frames; wait %u ms", wait);
                frames_over_limit(s);
        } else {
                session_error(s, ref, code, 0, "%s", text);
        }
        if (++s->bad_frames >= most && most)
                session_fail(s, 0, PARLEY_BAD_FRAME, PARLEY_CLOSE_PROTOCOL_ERROR,
                             "too many frames in a row that cannot be read");
}

static void frames_bad(struct session *s, int error, const struct wire_error *detail)
{
        static const enum parley_code codes[] = {
                [WIRE_E_SYNTAX] = PARLEY_BAD_FRAME,  [WIRE_E_TYPE] = PARLEY_UNKNOWN_TYPE,
                [WIRE_E_FIELD] = PARLEY_BAD_REQUEST, [WIRE_E_TEXT] = PARLEY_BAD_REQUEST,
                [WIRE_E_LIMIT] = PARLEY_BAD_FRAME,
        };

        if (error < 0)
                session_error(s, detail->ref, PARLEY_INTERNAL, 1000, "no memory");
        else
                frames_refuse(s, detail->ref, codes[error], detail->detail);
}

static bool frames_is_heartbeat(struct session *s, const Parley__V1__ClientFrame *frame)
{
        if (frame->body_case != PARLEY__V1__CLIENT_FRAME__BODY_PING || s->core->now_ms - s->pinged_ms < PING_MS)
                return false;
        s->pinged_ms = s->core->now_ms;
        s->paid = true;
        return true;
}

static void frames_dispatch(struct session *s, const Parley__V1__ClientFrame *frame)
{
        unsigned which = frame->body_case;
        uint32_t wait;

        if (which >= sizeof(frames_table) / sizeof(frames_table[0]) || !frames_table[which].handler) {
                frames_refuse(s, frame->ref, PARLEY_UNKNOWN_TYPE, "the frame has no type that is known here");
                return;
        }
        wait = frames_is_heartbeat(s, frame) ? 0 : frames_limit(s, frames_cost(s, frame));
        if (wait) {
                session_error(s, frame->ref, PARLEY_RATE_LIMITED, wait, "too many frames; wait %u ms", wait);
                frames_over_limit(s);
                return;
        }
        if (s->limited_frames)
                s->limited_frames--; /* not all of them: one gets through now and then however fast they come */
        s->bad_frames = 0;
        if (s->state == SESSION_LIVE || frames_table[which].early)
                frames_table[which].handler(s, frame);
        else if (s->state == SESSION_CONNECTED)
                session_error(s, frame->ref, PARLEY_UNAUTHENTICATED, 0, "say hello with a token first");
        else
                session_error(s, frame->ref, PARLEY_UNAVAILABLE, NOT_READY_RETRY_MS, "not ready yet: wait for `ready`");
}

/* RFC 6455 asks for it of every text message; a NUL is only bad JSON */
static bool is_utf8(const char *p, size_t n)
{
        while (n) {
                size_t len = *p ? utf8_char_len(p, n) : 1;

                if (!len)
                        return false;
                p += len;
                n -= len;
        }
        return true;
}

static void frames_take(struct session *s, const uint8_t *data, size_t n)
{
        const struct wire_limits limits = {.max_bytes = s->core->config->max_frame_bytes};
        const ProtobufCMessageDescriptor *type = &parley__v1__client_frame__descriptor;
        ProtobufCMessage *message = NULL;
        struct wire_error error = {.detail = "", .ref = 0};
        int r;

        metric_add(&stat_frames_in, 1);
        if (s->encoding == ENCODING_PROTO)
                r = wire_proto_decode(type, data, n, &limits, &message, &error);
        else
                r = wire_frame_json_decode(type, (const char *)data, n, &limits, &message, &error);
        if (r > 0 && s->encoding == ENCODING_JSON && !is_utf8((const char *)data, n)) {
                session_fail(s, 0, PARLEY_BAD_FRAME, PARLEY_CLOSE_PROTOCOL_ERROR, "a text message must be UTF-8");
                return;
        }
        if (r) {
                frames_bad(s, r, &error);
                return;
        }
        frames_dispatch(s, (const Parley__V1__ClientFrame *)message);
        foresight_spend(&s->core->foresight, message);
}

static void frames_take_lines(struct session *s, const char *data, size_t n)
{
        size_t offset = 0, n_line;
        const char *line;

        while (s->state != SESSION_CLOSING && wire_next_line(data, n, &offset, &line, &n_line) > 0)
                frames_take(s, (const uint8_t *)line, n_line);
}

static void frames_take_delimited(struct session *s, const uint8_t *data, size_t n)
{
        size_t offset = 0, n_frame;
        const uint8_t *frame;
        int r = 0;

        while (s->state != SESSION_CLOSING && (r = wire_next_delimited(data, n, &offset, &frame, &n_frame)) > 0)
                frames_take(s, frame, n_frame);
        if (r < 0)
                session_fail(s, 0, PARLEY_BAD_FRAME, PARLEY_CLOSE_PROTOCOL_ERROR,
                             "a frame's length points beyond the message");
}

/* What has no frame that was charged (an empty message, one of newlines, a ping or pong) costs as much as one */
static void frames_charge_empty(struct session *s)
{
        if (s->state != SESSION_CLOSING && !s->paid && frames_limit(s, 1))
                frames_over_limit(s);
}

void session_pong(struct session *s)
{
        session_control(s);
        session_heard(s);
}

void session_control(struct session *s)
{
        core_time(s->core);
        s->paid = false;
        frames_charge_empty(s);
}

void session_receive(struct session *s, const uint8_t *data, size_t n, bool binary)
{
        core_time(s->core);
        session_heard(s);
        if (s->state == SESSION_CLOSING)
                return;
        backlog_limit(s->core); /* answers may be much larger than what asks for them */
        if (s->state == SESSION_CLOSING)
                return;
        s->paid = false;
        if (binary != (s->encoding == ENCODING_PROTO))
                session_fail(s, 0, PARLEY_BAD_FRAME, PARLEY_CLOSE_PROTOCOL_ERROR,
                             binary ? "binary messages need the subprotocol parley.v1.proto"
                                    : "parley.v1.proto takes binary messages only");
        else if (s->encoding == ENCODING_PROTO)
                frames_take_delimited(s, data, n);
        else if (s->plain)
                frames_take(s, data, n);
        else
                frames_take_lines(s, (const char *)data, n);
        frames_charge_empty(s);
}
