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

void conn_view(natsMsg *msg, struct bus_msg *ret)
{
        const char *operation = header(msg, HEADER_KV_OPERATION);

        *ret = (struct bus_msg){
                .subject = natsMsg_GetSubject(msg),
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
        conn_trash_put(d->sub->conn, d->msg);
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
                conn_view(msg, &d->view);
                d->item.inbox.bytes = d->view.len + ITEM_OVERHEAD;
                if (inbox_post(o->inbox, &d->item.inbox) == 0)
                        return;
        }
        free(d);
        natsMsg_Destroy(msg);
        o->lost(o->userdata);
}

void conn_sub_done(struct loop_item *item, bool drop)
{
        struct conn_sub *s = (struct conn_sub *)item;
        struct conn *c = s->conn;

        /* Not ended by us: a thread of nats.c has closed the connection (no answer to its pings), and `kick` may be seen after this. Whoever
         * has the sub learns it now and lets it go. */
        if (!drop && s->sub != NULL)
                conn_over(c);
        if (s->next != NULL)
                s->next->prev = s->prev;
        *s->prev = s->next;
        natsSubscription_Destroy(s->sub);
        c->n_subs--;
        free(s);
        conn_settle(c);
}

/* On nats.c's delivery thread, after the last message. Items of no size are never refused by an open inbox. */
static void on_complete(void *closure)
{
        struct conn_sub *s = closure;

        inbox_post(s->conn->options.inbox, &s->done.inbox);
}

void conn_sub_link(struct conn *c, struct conn_sub *sub)
{
        struct conn_sub **list = sub->direct ? &c->directs : &c->subs;

        sub->next = *list;
        sub->prev = list;
        if (sub->next != NULL)
                sub->next->prev = &sub->next;
        *list = sub;
        c->n_subs++;
}

int conn_subscribe(struct conn *c, const char *subject, const char *queue, bus_handler handler, void *userdata,
                   struct conn_sub **ret_sub)
{
        natsStatus s;

        if (c->state != CONN_OPEN)
                return BUS_E_DISCONNECTED;
        struct conn_sub *sub = calloc(1, sizeof(*sub));
        if (sub == NULL)
                return -ENOMEM;
        *sub = (struct conn_sub){.done.run = conn_sub_done, .conn = c, .handler = handler, .userdata = userdata};
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
        conn_sub_link(c, sub);
        *ret_sub = sub;
        return 0;
}

void conn_unsubscribe(struct conn_sub *sub)
{
        sub->handler = NULL;
        natsSubscription_Destroy(sub->sub); /* unsubscribes; on_complete follows */
        sub->sub = NULL;
        if (sub->direct) /* has no thread that completes it */
                inbox_post(sub->conn->options.inbox, &sub->done.inbox);
}

static void subs_release(struct conn_sub *list)
{
        for (struct conn_sub *s = list; s != NULL; s = s->next) {
                natsSubscription_Destroy(s->sub);
                s->sub = NULL;
        }
}

void conn_subs_release(struct conn *c)
{
        subs_release(c->subs);
        subs_release(c->directs);
}

/* --- answers --- */

struct answered {
        struct loop_item item;
        struct conn *conn;
        natsMsg *msg;
        struct bus_msg view;
        struct conn_extra extra;
};

static void view_answer(natsMsg *msg, struct bus_msg *ret, struct conn_extra *ret_extra)
{
        const char *subject = header(msg, HEADER_SUBJECT);

        conn_view(msg, ret);
        if (subject != NULL) /* of a direct get */
                ret->subject = subject;
        *ret_extra = (struct conn_extra){
                .subject = natsMsg_GetSubject(msg),
                .status = (unsigned)codec_header_u64(header(msg, HEADER_STATUS)),
                .description = header(msg, HEADER_DESCRIPTION),
        };
}

static void answered_run(struct loop_item *item, bool drop)
{
        struct answered *a = (struct answered *)item;
        const struct conn_options *o = &a->conn->options;

        if (!drop && a->conn->state == CONN_OPEN)
                o->answer(&a->view, &a->extra, o->userdata);
        conn_trash_put(a->conn, a->msg);
        free(a);
}

/* On nats.c's delivery thread. An answer that finds no room is lost: who asked waits for its time to be over. */
static void on_answer(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *closure)
{
        struct conn *c = closure;
        struct answered *a = malloc(sizeof(*a));

        (void)nc;
        (void)sub;
        if (a != NULL) {
                *a = (struct answered){.item.run = answered_run, .conn = c, .msg = msg};
                view_answer(msg, &a->view, &a->extra);
                a->item.inbox.bytes = a->view.len + ITEM_OVERHEAD;
                if (inbox_post(c->options.inbox, &a->item.inbox) == 0)
                        return;
        }
        free(a);
        natsMsg_Destroy(msg);
}

static void answers_done(struct loop_item *item, bool drop)
{
        struct conn *c = (struct conn *)((char *)item - offsetof(struct conn, answers_done));

        (void)drop;
        c->n_subs--;
        conn_settle(c);
}

static void on_answers_complete(void *closure)
{
        struct conn *c = closure;

        inbox_post(c->options.inbox, &c->answers_done.inbox);
}

int conn_answers_start(struct conn *c)
{
        char subject[128];

        natsStatus s = natsConnection_Subscribe(&c->answers, c->nc, c->options.answers, on_answer, c);
        if (s == NATS_OK) {
                c->answers_done.run = answers_done;
                s = natsSubscription_SetOnCompleteCB(c->answers, on_answers_complete, c);
                c->n_subs += s == NATS_OK;
        }
        snprintf(subject, sizeof(subject), "%s*", c->options.ack_prefix);
        if (s == NATS_OK)
                s = natsConnection_SubscribeSync(&c->acks, c->nc, subject);
        /* It is emptied after each read, so it never holds more than one read's worth */
        if (s == NATS_OK)
                s = natsSubscription_SetPendingLimits(c->acks, -1, -1);
        return conn_error(s);
}

void conn_answers_release(struct conn *c)
{
        natsSubscription_Destroy(c->answers);
        natsSubscription_Destroy(c->acks);
        c->answers = NULL;
        c->acks = NULL;
}

/* Hands one ack on. false: nothing more */
static bool take_ack(struct conn *c)
{
        const struct conn_options *o = &c->options;
        natsMsg *msg = NULL;
        struct bus_msg seen;
        struct conn_extra extra;
        natsStatus s = natsSubscription_NextMsg(&msg, c->acks, 0); /* 0: does not wait */

        if (s == NATS_NO_RESPONDERS && c->state == CONN_OPEN)
                o->refused(o->userdata); /* nats.c keeps the message, and with it whom it is for */
        if (s != NATS_OK)
                return s == NATS_NO_RESPONDERS;
        if (c->state == CONN_OPEN) {
                view_answer(msg, &seen, &extra);
                o->answer(&seen, &extra, o->userdata);
        }
        conn_trash_put(c, msg);
        return true;
}

unsigned conn_acks_drain(struct conn *c)
{
        int n = 0, done = 0;

        if (natsSubscription_GetPending(c->acks, &n, NULL) != NATS_OK)
                return 0;
        while (done < n && take_ack(c))
                done++;
        return (unsigned)done;
}

size_t conn_backlog(const struct conn *c)
{
        int n = c->state == CONN_OPEN ? natsConnection_Buffered(c->nc) : 0;

        return n > 0 ? (size_t)n : 0;
}

static natsStatus publish_with_headers(struct conn *c, const char *subject, const char *reply,
                                       const struct conn_header *headers, size_t n_headers, const void *data,
                                       size_t len)
{
        natsMsg *msg = NULL;
        natsStatus s = natsMsg_Create(&msg, subject, reply, data, (int)len);

        for (size_t i = 0; s == NATS_OK && i < n_headers; i++)
                if (headers[i].value != NULL)
                        s = natsMsgHeader_Set(msg, headers[i].name, headers[i].value);
        if (s == NATS_OK)
                s = natsConnection_PublishMsg(c->nc, msg);
        conn_trash_put(c, msg);
        return s;
}

int conn_publish(struct conn *c, const char *subject, const char *reply, const struct conn_header *headers,
                 size_t n_headers, const void *data, size_t len)
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
