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

/* PAIRS_A_TURN: of viewers and users. Each takes up to some thousand steps, where both are in as many channels as history lets them be
 * (5 us, measured). QUESTIONS_MAX: that wait; a gateway asks one at a time. */
enum { PAIRS_A_TURN = 512, QUESTIONS_MAX = 1000 };

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

/* What was answered of a question in earlier turns */
struct part {
        protobuf_c_boolean *visible;
        size_t n_visible;
        uint32_t *behind;
        size_t n_behind;
};

/* part: NULL: nothing was */
static void answer_query(struct voice *v, const char *reply, const Parley__V1__PresenceQuery *q, uint64_t counter,
                         const struct part *part)
{
        struct answer answer;
        const char *why = NULL;
        enum parley_code code = roster_query(v->options.roster, q, &answer, &why);

        if (code == PARLEY_OK) {
                answer.message.source = v->leader.id;
                answer.message.counter = counter;
                if (part) {
                        answer.message.visible = part->visible;
                        answer.message.n_visible = part->n_visible;
                        answer.message.behind = part->behind;
                        answer.message.n_behind = part->n_behind;
                }
                (void)voice_publish(v, reply, &answer.message.base);
        } else {
                fail_query(v, reply, code, why);
        }
        answer_done(&answer);
}

/* --- questions about many, in turns --- */

/* A question about more pairs than one turn of the loop is to take. Each that waits gets a part in turn, and those about fewer pass them all.
 * The counter is that of the beginning: what was told since then may be missing in the answer. */
struct question {
        struct question *next;
        Parley__V1__PresenceQuery *query;
        struct part part;
        struct sights_at at;
        uint64_t counter;
        char reply[SUBJECT_MAX];
};

static void question_free(struct question *a)
{
        parley__v1__presence_query__free_unpacked(a->query, NULL);
        free(a->part.visible);
        free(a->part.behind);
        free(a);
}

static void question_append(struct voice *v, struct question *a)
{
        struct question **last = &v->questions;

        while (*last)
                last = &(*last)->next;
        a->next = NULL;
        *last = a;
        v->n_questions++;
}

static struct question *question_take(struct voice *v)
{
        struct question *a = v->questions;

        if (a) {
                v->questions = a->next;
                v->n_questions--;
        }
        return a;
}

/* Takes q */
static void question_add(struct voice *v, const char *reply, Parley__V1__PresenceQuery *q, size_t n)
{
        struct question *a = v->n_questions < QUESTIONS_MAX && strlen(reply) < SUBJECT_MAX ? calloc(1, sizeof(*a))
                                                                                           : NULL;

        if (a) {
                a->part.visible = calloc(n, sizeof(*a->part.visible));
                a->part.behind = calloc(q->n_left + 1, sizeof(*a->part.behind));
        }
        if (!a || !a->part.visible || !a->part.behind) {
                fail_query(v, reply, PARLEY_UNAVAILABLE, a ? "out of memory" : "too many questions at once");
                parley__v1__presence_query__free_unpacked(q, NULL);
                free(a ? a->part.visible : NULL);
                free(a ? a->part.behind : NULL);
                free(a);
                return;
        }
        a->query = q;
        a->part.n_behind = roster_behind(v->options.roster, q, a->part.behind);
        a->counter = v->counter;
        memcpy(a->reply, reply, strlen(reply) + 1);
        question_append(v, a);
        v->options.more(v->options.userdata);
}

bool voice_answer_some(struct voice *v)
{
        struct question *a;

        v->options.before(v->options.userdata);
        a = question_take(v);
        if (!a)
                return false;
        if (roster_sights(v->options.roster, a->query, &a->at, a->part.visible, PAIRS_A_TURN)) {
                size_t n_sights = a->query->n_sights;

                a->query->n_sights = 0;
                a->part.n_visible = a->at.n;
                answer_query(v, a->reply, a->query, a->counter, &a->part);
                a->query->n_sights = n_sights;
                question_free(a);
        } else {
                question_append(v, a);
        }
        return v->questions != NULL;
}

static void on_query(const struct bus_msg *msg, void *userdata)
{
        struct voice *v = userdata;
        struct wire_error error = {0};
        ProtobufCMessage *m = NULL;
        Parley__V1__PresenceQuery *q;
        size_t n;

        v->options.before(v->options.userdata);
        if (!msg->reply || !v->query) /* we are silent: whoever asks asks again */
                return;
        metric_add(&metric_queries, 1);
        if (wire_proto_decode(&parley__v1__presence_query__descriptor, msg->data, msg->len, &wire_limits_internal, &m,
                              &error) != 0) {
                fail_query(v, msg->reply, PARLEY_BAD_REQUEST, error.detail);
                return;
        }
        q = (Parley__V1__PresenceQuery *)m;
        if (!roster_sights_check(q, &n) && n > PAIRS_A_TURN) {
                question_add(v, msg->reply, q, n);
                return;
        }
        answer_query(v, msg->reply, q, v->counter, NULL);
        protobuf_c_message_free_unpacked(m, NULL);
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
        struct question *a;

        bus_unsubscribe(v->query);
        bus_unsubscribe(v->status);
        v->query = v->status = NULL;
        while ((a = question_take(v)))
                question_free(a);
}
