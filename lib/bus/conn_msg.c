/* Messages of a connection, out and in. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bus/codec.h"
#include "bus/conn_impl.h"

#define ITEM_OVERHEAD 512 /* what nats.c and we hold for a message besides its payload */

struct delivered {
        struct loop_item item;
        struct conn_sub *sub;
        natsMsg *msg;
        struct bus_msg view;
};

int conn_error(natsStatus s)
{
        switch (s) {
        case NATS_OK:
                return 0;
        case NATS_MAX_PAYLOAD:
                return BUS_E_REFUSED;
        case NATS_NO_MEMORY:
                return -ENOMEM;
        case NATS_INVALID_ARG:
        case NATS_INVALID_SUBJECT:
                return -EINVAL;
        default:
                return BUS_E_DISCONNECTED;
        }
}

static const char *header(natsMsg *msg, const char *name)
{
        const char *value = NULL;

        return natsMsgHeader_Get(msg, name, &value) == NATS_OK ? value : NULL;
}

/* Everything points into msg */
static void view(natsMsg *msg, struct bus_msg *ret)
{
        const char *subject = header(msg, HEADER_SUBJECT), *operation = header(msg, HEADER_KV_OPERATION);

        *ret = (struct bus_msg){
                .subject = subject != NULL ? subject : natsMsg_GetSubject(msg),
                .reply = natsMsg_GetReply(msg),
                .data = (const uint8_t *)natsMsg_GetData(msg),
                .len = (size_t)natsMsg_GetDataLength(msg),
                .trace_id = header(msg, HEADER_TRACE_ID),
                .msg_id = header(msg, HEADER_MSG_ID),
                .seq = codec_header_u64(header(msg, HEADER_SEQUENCE)),
                .prev = codec_header_u64(header(msg, HEADER_LAST_SEQUENCE)),
                .time_ns = codec_time_ns(header(msg, HEADER_TIME_STAMP)),
                .deleted = operation != NULL &&
                           (strcmp(operation, KV_OPERATION_DELETE) == 0 || strcmp(operation, KV_OPERATION_PURGE) == 0),
        };
}

static void delivered_run(struct loop_item *item, bool drop)
{
        struct delivered *d = (struct delivered *)item;

        if (!drop && d->sub->handler != NULL)
                d->sub->handler(&d->view, d->sub->userdata);
        natsMsg_Destroy(d->msg);
        free(d);
}

/* On nats.c's delivery thread */
static void on_message(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *closure)
{
        struct conn_sub *s = closure;
        const struct conn_options *o = &s->conn->options;
        struct delivered *d = malloc(sizeof(*d));

        (void)nc;
        (void)sub;
        if (d != NULL) {
                *d = (struct delivered){.item.run = delivered_run, .sub = s, .msg = msg};
                view(msg, &d->view);
                d->item.inbox.bytes = d->view.len + ITEM_OVERHEAD;
                if (inbox_post(o->inbox, &d->item.inbox) == 0)
                        return;
        }
        free(d);
        natsMsg_Destroy(msg);
        o->lost(o->userdata);
}

static void sub_done(struct loop_item *item, bool drop)
{
        struct conn_sub *s = (struct conn_sub *)item;
        struct conn *c = s->conn;

        (void)drop;
        if (s->next != NULL)
                s->next->prev = s->prev;
        *s->prev = s->next;
        natsSubscription_Destroy(s->sub);
        free(s);
        c->n_subs--;
        conn_settle(c);
}

/* On nats.c's delivery thread, after the last message. Items of no size are never refused by an open inbox. */
static void on_complete(void *closure)
{
        struct conn_sub *s = closure;

        inbox_post(s->conn->options.inbox, &s->done.inbox);
}

int conn_subscribe(struct conn *c, const char *subject, const char *queue, bus_handler handler, void *userdata, struct conn_sub **ret_sub)
{
        natsStatus s;

        if (c->state != CONN_OPEN)
                return BUS_E_DISCONNECTED;
        struct conn_sub *sub = calloc(1, sizeof(*sub));
        if (sub == NULL)
                return -ENOMEM;
        *sub = (struct conn_sub){.done.run = sub_done, .conn = c, .handler = handler, .userdata = userdata};
        if (queue != NULL)
                s = natsConnection_QueueSubscribe(&sub->sub, c->nc, subject, queue, on_message, sub);
        else
                s = natsConnection_Subscribe(&sub->sub, c->nc, subject, on_message, sub);
        /* Messages are read by this thread only: none can have come yet */
        if (s == NATS_OK)
                s = natsSubscription_SetOnCompleteCB(sub->sub, on_complete, sub);
        if (s != NATS_OK) {
                natsSubscription_Destroy(sub->sub);
                free(sub);
                return conn_error(s);
        }
        sub->next = c->subs;
        sub->prev = &c->subs;
        if (sub->next != NULL)
                sub->next->prev = &sub->next;
        c->subs = sub;
        c->n_subs++;
        *ret_sub = sub;
        return 0;
}

void conn_unsubscribe(struct conn_sub *sub)
{
        sub->handler = NULL;
        natsSubscription_Destroy(sub->sub); /* unsubscribes; on_complete follows */
        sub->sub = NULL;
}

void conn_subs_release(struct conn *c)
{
        for (struct conn_sub *s = c->subs; s != NULL; s = s->next) {
                natsSubscription_Destroy(s->sub);
                s->sub = NULL;
        }
}

int conn_answers_start(struct conn *c)
{
        char subject[128];

        snprintf(subject, sizeof(subject), "%s*", c->options.reply_prefix);
        natsStatus s = natsConnection_SubscribeSync(&c->answers, c->nc, subject);
        /* It is emptied after each read, so it never holds more than one read's worth */
        if (s == NATS_OK)
                s = natsSubscription_SetPendingLimits(c->answers, -1, -1);
        return conn_error(s);
}

void conn_answers_drain(struct conn *c)
{
        const struct conn_options *o = &c->options;
        int n = 0, done = 0;

        if (natsSubscription_GetPending(c->answers, &n, NULL) != NATS_OK)
                return;
        for (; done < n; done++) {
                natsMsg *msg = NULL;
                struct bus_msg seen;
                struct conn_extra extra = {0};

                if (natsSubscription_NextMsg(&msg, c->answers, 0) != NATS_OK) /* 0: does not wait */
                        break;
                if (c->state == CONN_OPEN) {
                        view(msg, &seen);
                        extra.status = (unsigned)codec_header_u64(header(msg, HEADER_STATUS));
                        extra.description = header(msg, HEADER_DESCRIPTION);
                        extra.subject = natsMsg_GetSubject(msg);
                        o->answer(&seen, &extra, o->userdata);
                }
                natsMsg_Destroy(msg);
        }
        if (done > 0 && c->state == CONN_OPEN)
                o->turn_end(o->userdata);
}

size_t conn_backlog(const struct conn *c)
{
        int n = c->state == CONN_OPEN ? natsConnection_Buffered(c->nc) : 0;

        return n > 0 ? (size_t)n : 0;
}

static natsStatus publish_with_headers(struct conn *c, const char *subject, const char *reply, const struct conn_header *headers,
                                       size_t n_headers, const void *data, size_t len)
{
        natsMsg *msg = NULL;
        natsStatus s = natsMsg_Create(&msg, subject, reply, data, (int)len);

        for (size_t i = 0; s == NATS_OK && i < n_headers; i++)
                if (headers[i].value != NULL)
                        s = natsMsgHeader_Set(msg, headers[i].name, headers[i].value);
        if (s == NATS_OK)
                s = natsConnection_PublishMsg(c->nc, msg);
        natsMsg_Destroy(msg);
        return s;
}

int conn_publish(struct conn *c, const char *subject, const char *reply, const struct conn_header *headers, size_t n_headers, const void *data,
                 size_t len)
{
        bool with_headers = false;
        natsStatus s;

        if (c->state != CONN_OPEN || atomic_load(&c->stopped))
                return BUS_E_DISCONNECTED;
        if (len > INT32_MAX / 2)
                return BUS_E_REFUSED;
        if (conn_backlog(c) + len > c->options.max_send_bytes)
                return BUS_E_FULL;
        for (size_t i = 0; i < n_headers; i++)
                with_headers |= headers[i].value != NULL;
        if (with_headers)
                s = publish_with_headers(c, subject, reply, headers, n_headers, data, len);
        else if (reply != NULL)
                s = natsConnection_PublishRequest(c->nc, subject, reply, data, (int)len);
        else
                s = natsConnection_Publish(c->nc, subject, data, (int)len);
        return conn_error(s);
}
