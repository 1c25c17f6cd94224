#include "history/rpc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codes.h"
#include "base/ident.h"
#include "base/log.h"
#include "bus/bus.h"
#include "bus/subjects.h"
#include "history/access.h"
#include "history/channel_rows.h"
#include "history/files.h"
#include "history/history_metrics.h"
#include "history/lookup.h"
#include "history/pages.h"
#include "parley/v1/internal.pb-c.h"
#include "wire/wire.h"

/* ANSWER_MAX: what NATS carries, 1 MiB, less its headers. EVENTS_MAX_BYTES: how much of that one answer fills before it says `more`. */
enum { RUNNING_MAX = 1000, ANSWER_MAX = 1000 << 10, EVENTS_MAX_BYTES = 512 << 10 };

struct rpc {
        struct env *env;
        struct bus_sub *events, *lookup, *event, *files;
        unsigned running;
};

/* One request */
struct call {
        struct rpc *rpc;
        char reply[SUBJECT_MAX];
        char trace_id[64];
        struct access *access;
        /* of events */
        char channel_id[IDENT_MAX + 1];
        uint64_t after, through;
        uint32_t limit;
};

/* --- answering --- */

static void call_free(struct call *c)
{
        struct env *env = c->rpc->env;

        c->rpc->running--;
        access_free(c->access);
        free(c);
        env_end(env);
}

static void answer(struct call *c, const ProtobufCMessage *message)
{
        struct buf bytes = BUF_INIT(ANSWER_MAX);
        int r = wire_proto_encode(message, &bytes);

        if (r == 0)
                r = bus_publish(c->rpc->env->bus, c->reply, bytes.data, bytes.len, *c->trace_id ? c->trace_id : NULL);
        if (r != 0)
                log_warn("a request over NATS could not be answered", LOG_S("reply", c->reply), LOG_I("error", r));
        else
                metric_add(&metric_rpc, 1);
        buf_done(&bytes);
        call_free(c);
}

static void set_error(Parley__V1__RpcError *e, enum parley_code code, const char *text)
{
        parley__v1__rpc_error__init(e);
        e->code = (char *)parley_code_text(code);
        e->message = (char *)text;
}

/* For each kind of answer, the same words */
#define DEFINE_FAIL(name, type, INIT)                                                                                  \
        static void name(struct call *c, enum parley_code code, const char *text)                                      \
        {                                                                                                              \
                type response = INIT;                                                                                  \
                Parley__V1__RpcError e;                                                                                \
                                                                                                                       \
                set_error(&e, code, text);                                                                             \
                response.error = &e;                                                                                   \
                answer(c, &response.base);                                                                             \
        }

DEFINE_FAIL(fail_events, Parley__V1__EventsResponse, PARLEY__V1__EVENTS_RESPONSE__INIT)
DEFINE_FAIL(fail_lookup, Parley__V1__LookupResponse, PARLEY__V1__LOOKUP_RESPONSE__INIT)
DEFINE_FAIL(fail_event, Parley__V1__EventResponse, PARLEY__V1__EVENT_RESPONSE__INIT)
DEFINE_FAIL(fail_files, Parley__V1__FilesResponse, PARLEY__V1__FILES_RESPONSE__INIT)

static const char unavailable[] = "the database cannot be asked now";

/* --- events --- */

static void on_events(int error, const struct events_page *page, void *userdata)
{
        struct call *c = userdata;
        Parley__V1__EventsResponse response = PARLEY__V1__EVENTS_RESPONSE__INIT;

        if (error) {
                fail_events(c, PARLEY_UNAVAILABLE, unavailable);
                return;
        }
        response.events = page->events;
        response.n_events = page->n;
        response.through_seq = page->through;
        response.more = page->more;
        response.epoch = page->epoch;
        answer(c, &response.base);
}

static void on_access(int error, struct access *a, void *userdata)
{
        struct call *c = userdata;
        struct events_query query = {.channel_id = c->channel_id,
                                     .after = c->after,
                                     .through = c->through,
                                     .limit = c->limit,
                                     .max_bytes = EVENTS_MAX_BYTES};
        enum parley_code code;

        if (error) {
                fail_events(c, PARLEY_UNAVAILABLE, unavailable);
                return;
        }
        c->access = a;
        /* a service may repair a channel whose creation is not ingested yet: then there is nothing to give */
        code = *a->user_id ? access_check(a, false, POLICY_READ) : PARLEY_OK;
        if (code != PARLEY_OK) {
                fail_events(c, code, parley_code_title(code));
                return;
        }
        if (!a->found)
                access_see_all(a);
        query.visibility = &a->visibility;
        if (pages_events(c->rpc->env, &query, on_events, c) < 0)
                fail_events(c, PARLEY_UNAVAILABLE, unavailable);
}

static void start_events(struct call *c, const Parley__V1__EventsRequest *rq)
{
        if (!ident_valid(rq->channel_id) || (*rq->user_id && !ident_valid(rq->user_id))) {
                fail_events(c, PARLEY_BAD_REQUEST, "channel_id or user_id is not an id");
                return;
        }
        if (rq->limit < 1 || rq->limit > EVENTS_LIMIT_MAX) {
                fail_events(c, PARLEY_BAD_REQUEST, "limit must be a number from 1 to 500");
                return;
        }
        memcpy(c->channel_id, rq->channel_id, strlen(rq->channel_id) + 1);
        c->after = rq->after_seq;
        c->through = rq->through_seq;
        c->limit = rq->limit;
        if (access_read(c->rpc->env, rq->channel_id, *rq->user_id ? rq->user_id : NULL, NULL, 0, on_access, c) < 0)
                fail_events(c, PARLEY_UNAVAILABLE, unavailable);
}

/* --- lookup --- */

static void on_identity(int error, const struct lookup_result *r, void *userdata)
{
        struct call *c = userdata;
        Parley__V1__LookupResponse response = PARLEY__V1__LOOKUP_RESPONSE__INIT;
        Google__Protobuf__Timestamp through;

        if (error) {
                fail_lookup(c, PARLEY_UNAVAILABLE, unavailable);
                return;
        }
        response.event = (Parley__V1__Event *)r->event;
        response.ingested_seq = r->ingested_seq;
        if (r->ingested_through_ns) {
                time_from_ns(r->ingested_through_ns, &through);
                response.ingested_through = &through;
        }
        if (r->fingerprint) {
                response.content_hash.data = (uint8_t *)r->fingerprint;
                response.content_hash.len = FINGERPRINT_LEN;
        }
        answer(c, &response.base);
}

static void start_lookup(struct call *c, const Parley__V1__LookupRequest *rq)
{
        if (!ident_valid(rq->channel_id) || !ident_valid(rq->actor_id) || !uuid_valid(rq->id))
                fail_lookup(c, PARLEY_BAD_REQUEST, "channel_id, actor_id or id is not an id");
        else if (lookup_run(c->rpc->env, rq->channel_id, rq->actor_id, rq->id, on_identity, c) < 0)
                fail_lookup(c, PARLEY_UNAVAILABLE, unavailable);
}

/* --- event --- */

static void on_event(int error, const struct lookup_result *r, void *userdata)
{
        struct call *c = userdata;
        Parley__V1__EventResponse response = PARLEY__V1__EVENT_RESPONSE__INIT;

        if (error) {
                fail_event(c, PARLEY_UNAVAILABLE, unavailable);
        } else if (!r->event) {
                fail_event(c, PARLEY_NOT_FOUND, "there is no such event, or it is not ingested yet");
        } else {
                response.event = (Parley__V1__Event *)r->event;
                answer(c, &response.base);
        }
}

static void start_event(struct call *c, const Parley__V1__EventRequest *rq)
{
        if (!ident_valid(rq->channel_id))
                fail_event(c, PARLEY_BAD_REQUEST, "channel_id is not an id");
        else if (lookup_event(c->rpc->env, rq->channel_id, rq->seq, on_event, c) < 0)
                fail_event(c, PARLEY_UNAVAILABLE, unavailable);
}

/* --- files --- */

static void on_files(int error, const Parley__V1__FilesResponse *response, void *userdata)
{
        struct call *c = userdata;

        if (error)
                fail_files(c, PARLEY_UNAVAILABLE, "the database or the log cannot be asked now");
        else
                answer(c, &response->base);
}

static void start_files(struct call *c, const Parley__V1__FilesRequest *rq)
{
        const char *wrong = files_wrong(rq);

        if (wrong)
                fail_files(c, PARLEY_BAD_REQUEST, wrong);
        else if (files_run(c->rpc->env, rq, on_files, c) != 0)
                fail_files(c, PARLEY_UNAVAILABLE, unavailable);
}

/* --- requests --- */

static struct call *call_new(struct rpc *rpc, const struct bus_msg *msg)
{
        struct call *c;

        /* Without a place to answer to, or too much at once: who asks runs into his timeout and tries again. */
        if (!msg->reply || strlen(msg->reply) >= sizeof(c->reply) || rpc->running >= RUNNING_MAX)
                return NULL;
        c = calloc(1, sizeof(*c));
        if (!c)
                return NULL;
        c->rpc = rpc;
        rpc->running++;
        env_begin(rpc->env);
        memcpy(c->reply, msg->reply, strlen(msg->reply) + 1);
        (void)snprintf(c->trace_id, sizeof(c->trace_id), "%s", msg->trace_id ? msg->trace_id : "");
        return c;
}

static ProtobufCMessage *decode(const struct bus_msg *msg, const ProtobufCMessageDescriptor *type,
                                struct wire_error *error)
{
        ProtobufCMessage *m;

        return wire_proto_decode(type, msg->data, msg->len, &wire_limits_internal, &m, error) == 0 ? m : NULL;
}

/* One handler for each subject: they differ in their types alone */
#define HANDLER(name, Request, request, fail, start)                                                                   \
        static void name(const struct bus_msg *msg, void *userdata)                                                    \
        {                                                                                                              \
                struct rpc *rpc = userdata;                                                                            \
                struct call *c = call_new(rpc, msg);                                                                   \
                struct wire_error error = {0};                                                                         \
                ProtobufCMessage *m;                                                                                   \
                                                                                                                       \
                if (!c)                                                                                                \
                        return;                                                                                        \
                m = decode(msg, &parley__v1__##request##__descriptor, &error);                                         \
                if (!m)                                                                                                \
                        fail(c, PARLEY_BAD_REQUEST, error.detail);                                                     \
                else if (!rpc->env->migrated)                                                                          \
                        fail(c, PARLEY_UNAVAILABLE, unavailable);                                                      \
                else                                                                                                   \
                        start(c, (const Parley__V1__##Request *)m);                                                    \
                if (m)                                                                                                 \
                        protobuf_c_message_free_unpacked(m, NULL);                                                     \
        }

HANDLER(on_events_request, EventsRequest, events_request, fail_events, start_events)
HANDLER(on_lookup_request, LookupRequest, lookup_request, fail_lookup, start_lookup)
HANDLER(on_event_request, EventRequest, event_request, fail_event, start_event)
HANDLER(on_files_request, FilesRequest, files_request, fail_files, start_files)

/* --- life --- */

int rpc_new(struct rpc **ret_rpc, struct env *env)
{
        struct rpc *rpc = calloc(1, sizeof(*rpc));

        if (!rpc)
                return -ENOMEM;
        rpc->env = env;
        *ret_rpc = rpc;
        return 0;
}

void rpc_free(struct rpc *rpc)
{
        free(rpc);
}

static void subscribe(struct rpc *rpc, const char *subject, bus_handler handler, struct bus_sub **sub)
{
        int r = *sub ? 0 : bus_subscribe(rpc->env->bus, subject, "history", handler, rpc, sub);

        if (r != 0)
                log_error("cannot answer requests over NATS", LOG_S("subject", subject), LOG_I("error", r));
}

void rpc_connected(struct rpc *rpc)
{
        subscribe(rpc, RPC_HISTORY_EVENTS, on_events_request, &rpc->events);
        subscribe(rpc, RPC_HISTORY_LOOKUP, on_lookup_request, &rpc->lookup);
        subscribe(rpc, RPC_HISTORY_EVENT, on_event_request, &rpc->event);
        subscribe(rpc, RPC_HISTORY_FILES, on_files_request, &rpc->files);
}

void rpc_stop(struct rpc *rpc)
{
        if (!rpc)
                return;
        bus_unsubscribe(rpc->events);
        bus_unsubscribe(rpc->lookup);
        bus_unsubscribe(rpc->event);
        bus_unsubscribe(rpc->files);
        rpc->events = rpc->lookup = rpc->event = rpc->files = NULL;
}
