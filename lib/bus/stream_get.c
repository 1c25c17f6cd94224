/* Single messages of a stream. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bus/bus_impl.h"
#include "bus/codec.h"
#include "bus/jsapi.h"

#define BODY_MAX 400 /* a subject of 255 bytes, a number, and what stands around them */

/* The leader's answer is JSON */
static void on_leader_message(struct pending *p, int error, const struct bus_msg *msg, const struct conn_extra *extra)
{
        struct jsapi_result result = {0};
        struct jsapi_message m = {0};

        if (error == 0)
                error = request_status(msg, extra);
        if (error == 0)
                error = jsapi_parse_message(msg->data, msg->len, &m, &result);
        struct bus_msg found = {
                .subject = m.subject,
                .data = m.data,
                .len = m.len,
                .trace_id = m.trace_id,
                .msg_id = m.msg_id,
                .seq = m.seq,
                .time_ns = m.time_ns,
                .deleted = m.deleted,
        };
        p->handler.reply(error, error == 0 ? &found : NULL, p->userdata);
        jsapi_message_done(&m);
}

/* A direct answer is the message itself, with headers that say where it is from */
static void on_direct_message(struct pending *p, int error, const struct bus_msg *msg, const struct conn_extra *extra)
{
        if (error == 0)
                error = request_status(msg, extra);
        if (error == 0 && msg->seq == 0)
                error = BUS_E_BAD_REPLY;
        p->handler.reply(error, error == 0 ? msg : NULL, p->userdata);
}

static int get(struct bus *bus, const char *stream, bool direct, const char *body, bus_reply_handler handler,
               void *userdata, struct pending **ret)
{
        char subject[160];
        struct request r = {.subject = subject, .data = body, .len = strlen(body)};
        struct pending *p;

        if (!codec_name_valid(stream))
                return -EINVAL;
        snprintf(subject, sizeof(subject), "$JS.API.%s.%s", direct ? "DIRECT.GET" : "STREAM.MSG.GET", stream);
        int e = request_send(bus, &r, direct ? on_direct_message : on_leader_message, &p);
        if (e != 0)
                return e;
        p->handler.reply = handler;
        p->userdata = userdata;
        if (ret != NULL)
                *ret = p;
        return 0;
}

/* Subjects go into JSON as they are */
static bool json_plain(const char *subject)
{
        return codec_subject_valid(subject, true) && strpbrk(subject, "\"\\") == NULL;
}

int bus_stream_last(struct bus *bus, const char *stream, const char *subject, bus_reply_handler handler, void *userdata)
{
        char body[BODY_MAX];

        if (!json_plain(subject))
                return -EINVAL;
        snprintf(body, sizeof(body), "{\"last_by_subj\":\"%s\"}", subject);
        return get(bus, stream, false, body, handler, userdata, NULL);
}

int bus_stream_get(struct bus *bus, const char *stream, uint64_t seq, bool direct, bus_reply_handler handler,
                   void *userdata)
{
        char body[BODY_MAX];

        if (seq == 0)
                return -EINVAL;
        snprintf(body, sizeof(body), "{\"seq\":%" PRIu64 "}", seq);
        return get(bus, stream, direct, body, handler, userdata, NULL);
}

static int next(struct bus *bus, const char *stream, const char *subject, uint64_t min_seq, bus_reply_handler handler,
                void *userdata, struct pending **ret)
{
        char body[BODY_MAX];

        if (!json_plain(subject))
                return -EINVAL;
        snprintf(body, sizeof(body), "{\"seq\":%" PRIu64 ",\"next_by_subj\":\"%s\"}", min_seq > 0 ? min_seq : 1,
                 subject);
        return get(bus, stream, false, body, handler, userdata, ret);
}

int bus_stream_next(struct bus *bus, const char *stream, const char *subject, uint64_t min_seq,
                    bus_reply_handler handler, void *userdata)
{
        return next(bus, stream, subject, min_seq, handler, userdata, NULL);
}

int stream_first(struct bus *bus, const char *stream, uint64_t min_seq, bus_reply_handler handler, void *userdata,
                 struct pending **ret)
{
        return next(bus, stream, ">", min_seq, handler, userdata, ret);
}
