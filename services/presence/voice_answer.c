/* Answers to rpc.presence.query and rpc.presence.status. */
#include <stdlib.h>
#include <string.h>

#include "base/codes.h"
#include "base/log.h"
#include "base/metrics.h"
#include "bus/bus.h"
#include "bus/subjects.h"
#include "parley/v1/internal.pb-c.h"
#include "presence/presence_metrics.h"
#include "presence/voice_impl.h"
#include "wire/wire.h"

static void set_error(Parley__V1__RpcError *e, int code, const char *why)
{
        parley__v1__rpc_error__init(e);
        e->code = (char *)parley_code_text((enum parley_code)code);
        e->message = (char *)(why ? why : parley_code_title((enum parley_code)code));
}

static void fail_query(struct voice *v, const char *reply, int code, const char *why)
{
        Parley__V1__PresenceAnswer m = PARLEY__V1__PRESENCE_ANSWER__INIT;
        Parley__V1__RpcError e;

        set_error(&e, code, why);
        m.error = &e;
        (void)voice_publish(v, reply, &m.base);
}

static void on_query(const struct bus_msg *msg, void *userdata)
{
        struct voice *v = userdata;
        struct wire_error error = {0};
        ProtobufCMessage *q = NULL;
        struct answer answer;
        const char *why = NULL;
        enum parley_code code;

        if (!msg->reply)
                return;
        v->options.before(v->options.userdata);
        metric_add(&metric_queries, 1);
        if (wire_proto_decode(&parley__v1__presence_query__descriptor, msg->data, msg->len, &wire_limits_internal, &q,
                              &error) != 0) {
                fail_query(v, msg->reply, PARLEY_BAD_REQUEST, error.detail);
                return;
        }
        code = roster_query(v->options.roster, (const Parley__V1__PresenceQuery *)q, &answer, &why);
        if (code == PARLEY_OK) {
                answer.message.source = v->leader.id;
                answer.message.counter = v->counter;
                (void)voice_publish(v, msg->reply, &answer.message.base);
        } else {
                fail_query(v, msg->reply, code, why);
        }
        answer_done(&answer);
        protobuf_c_message_free_unpacked(q, NULL);
}

/* Who is to be answered */
struct asked {
        struct voice *voice;
        char reply[SUBJECT_MAX];
};

static void on_status_set(int code, const char *why, uint32_t retry_ms, void *userdata)
{
        struct asked *a = userdata;
        Parley__V1__StatusAnswer m = PARLEY__V1__STATUS_ANSWER__INIT;
        Parley__V1__RpcError e;

        if (code != PARLEY_OK) {
                set_error(&e, code, why);
                m.error = &e;
                m.retry_ms = retry_ms;
        }
        (void)voice_publish(a->voice, a->reply, &m.base);
        free(a);
}

static void on_status(const struct bus_msg *msg, void *userdata)
{
        static const Parley__V1__Status none = PARLEY__V1__STATUS__INIT;
        struct voice *v = userdata;
        struct wire_error error = {0};
        ProtobufCMessage *m = NULL;
        struct asked *a;

        if (!msg->reply || strlen(msg->reply) >= sizeof(a->reply) || !(a = calloc(1, sizeof(*a))))
                return;
        v->options.before(v->options.userdata);
        a->voice = v;
        memcpy(a->reply, msg->reply, strlen(msg->reply) + 1);
        if (wire_proto_decode(&parley__v1__status_request__descriptor, msg->data, msg->len, &wire_limits_internal, &m,
                              &error) != 0) {
                on_status_set(PARLEY_BAD_REQUEST, error.detail, 0, a);
                return;
        }
        voice_set_status(v, ((Parley__V1__StatusRequest *)m)->user_id,
                         ((Parley__V1__StatusRequest *)m)->status ? ((Parley__V1__StatusRequest *)m)->status : &none,
                         on_status_set, a);
        protobuf_c_message_free_unpacked(m, NULL);
}

static void subscribe(struct voice *v, const char *subject, bus_handler handler, struct bus_sub **sub)
{
        int r = *sub ? 0 : bus_subscribe(v->options.bus, subject, NULL, handler, v, sub);

        if (r != 0)
                log_error("cannot answer requests over NATS", LOG_S("subject", subject), LOG_I("error", r));
}

void voice_answer_begin(struct voice *v)
{
        subscribe(v, RPC_PRESENCE_QUERY, on_query, &v->query);
        subscribe(v, RPC_PRESENCE_STATUS, on_status, &v->status);
}

void voice_answer_end(struct voice *v)
{
        bus_unsubscribe(v->query);
        bus_unsubscribe(v->status);
        v->query = v->status = NULL;
}
