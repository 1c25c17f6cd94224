/* Requests: publish with a reply subject of ours, and find who asked by the number in it. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "bus/bus_impl.h"
#include "bus/codec.h"
#include "bus/jsapi.h"

#define TICKER_MS 20

static void on_tick(uv_timer_t *timer)
{
        struct bus *bus = timer->data;
        unsigned ended = pendings_advance(&bus->pendings, uv_now(bus->options.loop));

        bus_metrics_timeouts(bus->pendings.n_timeouts);
        bus->pendings.n_timeouts = 0;
        if (ended > 0 && bus->options.turn_end != NULL && !bus->closing)
                bus->options.turn_end(bus->options.userdata);
        if (bus->pendings.n == 0)
                uv_timer_stop(timer);
}

static void start_ticker(struct bus *bus)
{
        if (!uv_is_active((uv_handle_t *)&bus->ticker))
                uv_timer_start(&bus->ticker, on_tick, TICKER_MS, TICKER_MS);
}

int request_publish(struct bus *bus, const struct request *r, const struct pending *p)
{
        char reply[BUS_REPLY_MAX];
        size_t n = strlen(bus->ack_prefix);

        if (!bus->connected)
                return BUS_E_DISCONNECTED;
        if (r->fast) {
                memcpy(reply, bus->ack_prefix, n);
                pending_id_format(p->id, reply + n);
        } else {
                names_reply(bus, r->subject, p->id, reply);
        }
        return conn_publish(bus->conn, r->subject, reply, r->headers, r->n_headers, r->data, r->len);
}

int request_send(struct bus *bus, const struct request *r, pending_func func, struct pending **ret)
{
        struct pending *p;

        if (!codec_subject_valid(r->subject, false))
                return -EINVAL;
        if (!bus->connected)
                return BUS_E_DISCONNECTED;
        int e = pending_add(&bus->pendings, uv_now(bus->options.loop),
                            r->timeout_ms != 0 ? r->timeout_ms : bus->options.request_timeout_ms, func, &p);
        if (e != 0)
                return e;
        p->bus = bus;
        e = request_publish(bus, r, p);
        if (e != 0) {
                pending_end(p);
                return e;
        }
        start_ticker(bus);
        *ret = p;
        return 0;
}

void request_on_answer(const struct bus_msg *msg, const struct conn_extra *extra, void *userdata)
{
        struct bus *bus = userdata;
        struct delivery d;
        struct pending *p = NULL;
        size_t n = strlen(bus->inbox_prefix), n_consumer = strlen(bus->consumer_prefix);
        const char *id = strrchr(extra->subject, '.') + 1;

        if (strncmp(extra->subject, bus->inbox_prefix, n) == 0) /* and so do acks begin */
                p = pending_find(&bus->pendings, pending_id_parse(id, strlen(id)));
        else if (codec_delivery(msg->reply, &d) == 0 && d.n_consumer > n_consumer &&
                 memcmp(d.consumer, bus->consumer_prefix, n_consumer) ==
                         0) /* a stream's message keeps its own subject */
                p = pending_find(&bus->pendings, pending_id_parse(d.consumer + n_consumer, d.n_consumer - n_consumer));
        if (p != NULL) /* else it came too late */
                pending_answer(p, msg, extra);
}

int request_status(const struct bus_msg *msg, const struct conn_extra *extra)
{
        if (extra->status == 0 || msg->len > 0)
                return 0;
        if (extra->status == 503)
                return BUS_E_NO_RESPONDERS;
        return extra->status == 404 ? BUS_E_NOT_FOUND : BUS_E_REFUSED;
}

/* --- one answer --- */

static void on_reply(struct pending *p, int error, const struct bus_msg *msg, const struct conn_extra *extra)
{
        if (error == 0)
                error = request_status(msg, extra);
        p->handler.reply(error, error == 0 ? msg : NULL, p->userdata);
}

int bus_request(struct bus *bus, const char *subject, const void *data, size_t len, uint32_t timeout_ms,
                const char *trace_id, bus_reply_handler handler, void *userdata)
{
        struct conn_header headers[] = {{HEADER_TRACE_ID, trace_id}};
        struct request r = {.subject = subject,
                            .headers = headers,
                            .n_headers = 1,
                            .data = data,
                            .len = len,
                            .timeout_ms = timeout_ms};
        struct pending *p;

        int e = request_send(bus, &r, on_reply, &p);
        if (e != 0)
                return e;
        p->handler.reply = handler;
        p->userdata = userdata;
        return 0;
}

/* --- many answers --- */

/* A gather is its pending: the public type has no members */
static void on_gathered(struct pending *p, int error, const struct bus_msg *msg, const struct conn_extra *extra)
{
        if (error == 0)
                error = request_status(msg, extra);
        if (error != 0)
                pending_end(p); /* nothing more comes */
        p->handler.reply(error, error == 0 ? msg : NULL, p->userdata);
}

int bus_request_many(struct bus *bus, const char *subject, const void *data, size_t len, uint32_t timeout_ms,
                     bus_reply_handler handler, void *userdata, struct bus_gather **ret_gather)
{
        struct request r = {.subject = subject, .data = data, .len = len, .timeout_ms = timeout_ms};
        struct pending *p;

        int e = request_send(bus, &r, on_gathered, &p);
        if (e != 0)
                return e;
        p->many = true;
        p->handler.reply = handler;
        p->userdata = userdata;
        *ret_gather = (struct bus_gather *)p;
        return 0;
}

void bus_request_end(struct bus_gather *gather)
{
        if (gather != NULL)
                pending_end((struct pending *)gather);
}

/* --- flush --- */

static void on_flushed(struct pending *p, int error, const struct bus_msg *msg, const struct conn_extra *extra)
{
        (void)msg;
        (void)extra;
        p->handler.flushed(error, p->userdata);
}

/* A message to ourselves comes back after the server has handled what was sent before it: as PING and PONG, for which nats.c has only
 * calls that wait */
int bus_flush(struct bus *bus, void (*done)(int error, void *userdata), void *userdata)
{
        struct pending *p;
        char subject[BUS_REPLY_MAX];

        if (!bus->connected)
                return BUS_E_DISCONNECTED;
        int e = pending_add(&bus->pendings, uv_now(bus->options.loop), bus->options.request_timeout_ms, on_flushed, &p);
        if (e != 0)
                return e;
        names_reply(bus, "self", p->id, subject);
        e = conn_publish(bus->conn, subject, NULL, NULL, 0, "", 0);
        if (e != 0) {
                pending_end(p);
                return e;
        }
        p->bus = bus;
        p->handler.flushed = done;
        p->userdata = userdata;
        start_ticker(bus);
        return 0;
}

/* --- acknowledged publishes --- */

/* An ack comes on the fast way, where nats.c says only that somebody was refused (no stream). Who, is known as soon as everybody else
 * has an ack; until then new publishes go the slower way, on which a refusal has a name. */
static void acks_check(struct bus *bus)
{
        if (bus->acks.in_flight == 0) {
                bus->acks.refused = 0;
                bus->acks.uncertain = false;
        }
        if (bus->acks.resolving)
                return; /* from a handler that is called below */
        bus->acks.resolving = true;
        while (bus->acks.refused > 0 && !bus->acks.uncertain && bus->acks.refused == bus->acks.in_flight) {
                struct pending *p = bus->pendings.in_use.next;

                while (!p->fast)
                        p = p->next;
                bus->acks.refused--;
                pending_fail(p, BUS_E_NO_RESPONDERS);
        }
        bus->acks.resolving = false;
}

void request_on_refused(void *userdata)
{
        struct bus *bus = userdata;

        if (bus->acks.in_flight == 0)
                return; /* it has ended already */
        bus->acks.refused++;
        acks_check(bus);
}

static void on_ack(struct pending *p, int error, const struct bus_msg *msg, const struct conn_extra *extra)
{
        struct bus *bus = p->bus;
        struct jsapi_result result = {0};
        struct bus_ack ack;

        if (p->fast) {
                bus->acks.in_flight--;
                bus->acks.uncertain |= error != 0 && error != BUS_E_NO_RESPONDERS && bus->acks.refused > 0;
        }
        if (error == 0)
                error = request_status(msg, extra);
        if (error == 0)
                error = jsapi_parse_ack(msg->data, msg->len, &ack, &result);
        const char *text = error != 0 && result.text[0] != '\0' ? result.text : bus_error_text(error);
        p->handler.ack(error, error == 0 ? &ack : NULL, text, p->userdata);
        if (p->fast)
                acks_check(bus);
}

int request_ack(struct bus *bus, const struct request *r, bus_ack_handler handler, void *userdata)
{
        struct request with = *r;
        struct pending *p;

        with.fast = bus->acks.refused == 0 && !bus->acks.uncertain;
        int e = request_send(bus, &with, on_ack, &p);
        if (e != 0)
                return e;
        p->unknown = true;
        p->fast = with.fast;
        bus->acks.in_flight += with.fast;
        p->handler.ack = handler;
        p->userdata = userdata;
        return 0;
}

int bus_publish_stream(struct bus *bus, const char *subject, const char *msg_id, const void *data, size_t len,
                       const char *trace_id, bus_ack_handler handler, void *userdata)
{
        struct conn_header headers[] = {{HEADER_MSG_ID, msg_id}, {HEADER_TRACE_ID, trace_id}};
        struct request r = {
                .subject = subject, .headers = headers, .n_headers = ARRAY_SIZE(headers), .data = data, .len = len};

        return request_ack(bus, &r, handler, userdata);
}
