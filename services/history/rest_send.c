/* Sending by REST: the same path as through a gateway. The answer comes after the PubAck; the identity is (channel, sender, id). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/attachment.h"
#include "base/text.h"
#include "bus/bus.h"
#include "bus/subjects.h"
#include "history/channel_rows.h"
#include "history/lookup.h"
#include "history/pages.h"
#include "history/rest.h"
#include "parley/v1/client.pb-c.h"
#include "policy/message.h"
#include "policy/retry.h"
#include "wire/event.h"

struct sending {
        Parley__V1__SendRequest *body;
        struct attachments files; /* of body->attachments, once he may send at all */
        char id[UUID_LEN + 1];
        bool retry;
        size_t expired; /* of a retry: 0, or 1 and which descriptor has; it is acked if it is stored, and never published */
        int64_t through_ns; /* of a retry: it is not among what was stored before this time */
        int64_t created_ns;
        uint8_t fingerprint[FINGERPRINT_LEN];
};

static void free_sending(void *own)
{
        struct sending *s = own;

        if (s->body)
                protobuf_c_message_free_unpacked(&s->body->base, NULL);
        attachments_done(&s->files);
        free(s);
}

/* --- answers --- */

static void acked(struct rest_call *c, unsigned status, uint64_t seq, const Google__Protobuf__Timestamp *created_at)
{
        const struct sending *s = c->own;
        Parley__V1__Ack ack = PARLEY__V1__ACK__INIT;

        ack.id = (char *)s->id;
        ack.channel_id = c->channel_id;
        ack.seq = seq;
        ack.created_at = (Google__Protobuf__Timestamp *)created_at;
        ack.duplicate = status == 200;
        rest_json(c, status, &ack.base);
}

/* It is stored already: the same request, or another under the same id? */
static void stored(struct rest_call *c, const Parley__V1__Event *event, const uint8_t *fingerprint)
{
        const struct sending *s = c->own;

        if (fingerprint && memcmp(fingerprint, s->fingerprint, FINGERPRINT_LEN) == 0)
                acked(c, 200, event->seq, event->created_at);
        else
                rest_problem(c, PARLEY_ID_CONFLICT, "id %s was used for something else in this channel", s->id);
}

/* --- publishing --- */

static struct message_fields fields(const struct sending *s)
{
        return (struct message_fields){.id = s->id,
                                       .content = s->body->content,
                                       .thread_id = s->body->thread_id,
                                       .reply_to = s->body->reply_to,
                                       .type = s->body->type,
                                       .mentions = s->body->mentions,
                                       .n_mentions = s->body->n_mentions,
                                       .attachments = s->files.all,
                                       .n_attachments = s->body->n_attachments};
}

static void fill(const struct rest_call *c, Parley__V1__Event *e, Parley__V1__Message *m,
                 Google__Protobuf__Timestamp *at)
{
        const struct sending *s = c->own;
        const struct message_fields of = fields(s);
        const struct message_author author = {
                .channel_id = c->channel_id, .user_id = c->claims.user_id, .name = c->claims.name, .at = at};

        time_from_ns(s->created_ns, at);
        message_event(&of, &author, e, m);
}

static void on_identity(int error, const struct lookup_result *r, void *userdata)
{
        struct rest_call *c = userdata;

        if (error)
                rest_unavailable(c, error);
        else if (r->event)
                stored(c, r->event, r->fingerprint);
        else
                rest_problem(c, PARLEY_UNAVAILABLE, "it is not known yet whether this id is stored; try again");
}

static void on_stored(int error, const struct bus_msg *msg, void *userdata)
{
        struct rest_call *c = userdata;
        const struct sending *s = c->own;
        uint8_t fingerprint[FINGERPRINT_LEN];
        Parley__V1__Event *event = NULL;
        struct wire_error wire_error;
        int r = error ? error : event_decode(msg->data, msg->len, msg->seq, 0, &event, &wire_error);

        if (r == 0)
                r = event_fingerprint(event, fingerprint);
        if (r == 0 && strcmp(event->id, s->id) == 0 && strcmp(event->actor_id, c->claims.user_id) == 0)
                stored(c, event, fingerprint);
        /* removed from the log since, or trimmed: history has it */
        else if (lookup_run(c->rest->env, c->channel_id, c->claims.user_id, s->id, on_identity, c) < 0)
                rest_unavailable(c, -ENOMEM);
        if (event)
                protobuf_c_message_free_unpacked(&event->base, NULL);
}

static void on_ack(int error, const struct bus_ack *ack, const char *text, void *userdata)
{
        struct rest_call *c = userdata;
        const struct sending *s = c->own;
        Google__Protobuf__Timestamp at;
        char stream[SUBJECT_MAX];

        (void)text;
        if (error == BUS_E_TIMEOUT) {
                rest_problem(c, PARLEY_UNAVAILABLE, "the log has not acknowledged: send the same id again, with retry");
        } else if (error) {
                rest_problem(c, PARLEY_UNAVAILABLE, "the log takes no messages now: %s", bus_error_text(error));
        } else if (ack->duplicate) {
                pages_stream_of(c->rest->env, c->channel_id, stream);
                if (bus_stream_get(c->rest->env->bus, stream, ack->seq, true, on_stored, c) != 0)
                        on_stored(BUS_E_DISCONNECTED, NULL, c);
        } else {
                time_from_ns(s->created_ns, &at);
                acked(c, 201, ack->seq, &at);
        }
}

static void publish(struct rest_call *c)
{
        const struct sending *s = c->own;
        char subject[SUBJECT_MAX], msg_id[SUBJECT_MAX];
        size_t max = (size_t)c->rest->env->config->max_event_bytes;
        struct buf bytes = BUF_INIT(max + 4096);
        Google__Protobuf__Timestamp at;
        Parley__V1__Message m;
        Parley__V1__Event e;
        int r;

        fill(c, &e, &m, &at);
        subject_chat(subject, subject_shard(c->channel_id, (uint32_t)c->rest->env->config->shards), c->channel_id);
        subject_msg_id(msg_id, c->channel_id, c->claims.user_id, s->id);
        r = wire_proto_encode(&e.base, &bytes);
        if (r == 0 && bytes.len > max) { /* ingest would not take it: then it must not be acknowledged */
                rest_problem(c, PARLEY_TOO_LARGE, "the event has %zu bytes; at most %zu are taken", bytes.len, max);
                buf_done(&bytes);
                return;
        }
        if (r == 0)
                r = bus_publish_stream(c->rest->env->bus, subject, msg_id, bytes.data, bytes.len, http_trace_id(c->rq),
                                       on_ack, c);
        buf_done(&bytes);
        if (r != 0)
                rest_problem(c, PARLEY_UNAVAILABLE, "the log takes no messages now: %s",
                             r < 0 ? strerror(-r) : bus_error_text(r));
}

/* --- a retry: may it be stored from long ago? --- */

/* What history does not know yet, the log must still know: the log of now, of which Postgres may not have heard. */
static void on_log(int error, const struct bus_stream_info *info, const char *text, void *userdata)
{
        struct rest_call *c = userdata;
        const struct sending *s = c->own;
        uint64_t window_ms = c->rest->env->config->dedupe_window_ms;

        (void)text;
        if (error)
                rest_problem(c, PARLEY_UNAVAILABLE, "whether the log knows this id cannot be known now: %s",
                             bus_error_text(error));
        else if (s->through_ns / 1000000 < dedupe_since_ms(window_ms, info->epoch, env_now_ns() / 1000000))
                rest_problem(c, PARLEY_UNAVAILABLE,
                             "history is behind: it is not known whether this id is stored; try again");
        else
                publish(c);
}

static void ask_log(struct rest_call *c)
{
        char stream[SUBJECT_MAX];
        int r;

        pages_stream_of(c->rest->env, c->channel_id, stream);
        r = bus_stream_info(c->rest->env->bus, stream, on_log, c);
        if (r < 0)
                rest_unavailable(c, r);
        else if (r > 0)
                on_log(r, NULL, NULL, c);
}

/* It is not among what was ingested through this time, and may not be stored any more */
static void refuse_expired(struct rest_call *c, int64_t through_ns)
{
        const struct sending *s = c->own;

        if (retry_unstored(through_ns / 1000000, s->created_ns / 1000000))
                rest_problem(c, PARLEY_BAD_REQUEST, "attachments[%zu] %s", s->expired - 1,
                             attachment_error_text(ATTACHMENT_E_EXPIRED));
        else
                rest_problem(c, PARLEY_UNAVAILABLE,
                             "history is behind: it is not known whether this id is stored; try again");
}

static void on_looked_up(int error, const struct lookup_result *r, void *userdata)
{
        struct rest_call *c = userdata;
        struct sending *s = c->own;

        if (error) {
                rest_unavailable(c, error);
        } else if (r->event) {
                stored(c, r->event, r->fingerprint);
        } else if (s->expired) {
                refuse_expired(c, r->ingested_through_ns);
        } else {
                s->through_ns = r->ingested_through_ns;
                rest_access_for(c, POLICY_SEND, ask_log); /* the look-up took a while: he may have been removed */
        }
}

/* What the upload service has signed for this user in this channel, and nothing else. False: it was answered already. */
static bool open_attachments(struct rest_call *c)
{
        struct sending *s = c->own;
        const struct attachment_terms now = {
                .user_id = c->claims.user_id, .channel_id = c->channel_id, .expires_at_s = env_now_s()};
        const char *secret = c->rest->env->config->upload_secret;
        char **tokens = s->body->attachments;
        size_t n = s->body->n_attachments, bad = 0;
        int r = s->retry ? attachments_open_retry(secret, tokens, n, &now, &s->files, &bad, &s->expired)
                         : attachments_open(secret, tokens, n, &now, &s->files, &bad);

        if (r > 0)
                rest_problem(c, PARLEY_BAD_REQUEST, "attachments[%zu] %s", bad, attachment_error_text(r));
        else if (r < 0)
                rest_unavailable(c, r);
        return r == 0;
}

static void permitted(struct rest_call *c)
{
        struct sending *s = c->own;
        Google__Protobuf__Timestamp at;
        Parley__V1__Message m;
        Parley__V1__Event e;
        int r;

        if (!open_attachments(c))
                return;
        s->created_ns = env_stamp_ns();
        fill(c, &e, &m, &at);
        r = event_fingerprint(&e, s->fingerprint);
        if (r == 0 && s->retry)
                r = lookup_run(c->rest->env, c->channel_id, c->claims.user_id, s->id, on_looked_up, c);
        else if (r == 0)
                publish(c);
        if (r < 0)
                rest_unavailable(c, r);
}

/* --- the request --- */

/* Whether it was answered */
static bool refuse(struct rest_call *c, const char *key)
{
        const struct message_limits limits = history_config_message(c->rest->env->config);
        const struct sending *s = c->own;
        struct message_fields m = fields(s);
        char what[128];
        enum parley_code code;

        m.id = s->body->id;
        m.id_optional = true;
        code = message_check(&m, &limits, what, sizeof(what));
        if (code != PARLEY_OK)
                rest_problem(c, code, "%s", what);
        else if (key && (!uuid_valid(key) || (*m.id && strcmp(key, m.id) != 0)))
                rest_problem(c, PARLEY_BAD_REQUEST,
                             "Idempotency-Key must be a UUID, the same as id where both are given");
        else
                return false;
        return true;
}

void rest_send(struct http_request *rq, void *userdata)
{
        struct rest_call *c = rest_begin(rq, userdata);
        ProtobufCMessage *body;
        const char *key;
        struct sending *s;
        uint8_t random[10];

        if (!c)
                return;
        if (!rest_within_messages(c))
                return;
        s = c->own = calloc(1, sizeof(*s));
        c->free_own = free_sending;
        if (!s) {
                rest_unavailable(c, -ENOMEM);
                return;
        }
        body = rest_body(c, &parley__v1__send_request__descriptor);
        if (!body)
                return; /* answered, and with that s is gone */
        s->body = (Parley__V1__SendRequest *)body;
        key = http_header(rq, "Idempotency-Key");
        if (refuse(c, key))
                return;
        random_bytes(random, sizeof(random));
        if (*s->body->id || key)
                memcpy(s->id, *s->body->id ? s->body->id : key, UUID_LEN + 1);
        else
                uuid_v7((uint64_t)(env_now_ns() / 1000000), random, s->id);
        s->retry = s->body->retry || key;
        rest_access_for(c, POLICY_SEND, permitted);
}
