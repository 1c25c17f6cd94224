#include "gateway/upstream.h"

static int refusal(int r)
{
        return r > 0 ? r : BUS_E_REFUSED;
}

void up_request(const struct upstream *up, const char *subject, const void *data, size_t len, bus_reply_handler handler,
                void *userdata)
{
        int r = up->request(up->self, subject, data, len, handler, userdata);

        if (r)
                handler(refusal(r), NULL, userdata);
}

void up_publish_stream(const struct upstream *up, const char *subject, const char *msg_id, const void *data, size_t len,
                       const char *trace_id, bus_ack_handler handler, void *userdata)
{
        int r = up->publish_stream(up->self, subject, msg_id, data, len, trace_id, handler, userdata);

        if (r)
                handler(refusal(r), NULL, NULL, userdata);
}

void up_stream_info(const struct upstream *up, const char *stream, bus_stream_handler handler, void *userdata)
{
        int r = up->stream_info(up->self, stream, handler, userdata);

        if (r)
                handler(refusal(r), NULL, NULL, userdata);
}

void up_stream_last(const struct upstream *up, const char *stream, const char *subject, bus_reply_handler handler,
                    void *userdata)
{
        int r = up->stream_last(up->self, stream, subject, handler, userdata);

        if (r)
                handler(refusal(r), NULL, userdata);
}

void up_stream_get(const struct upstream *up, const char *stream, uint64_t seq, bool direct, bus_reply_handler handler,
                   void *userdata)
{
        int r = up->stream_get(up->self, stream, seq, direct, handler, userdata);

        if (r)
                handler(refusal(r), NULL, userdata);
}

void up_stream_next(const struct upstream *up, const char *stream, const char *subject, uint64_t min_seq,
                    bus_reply_handler handler, void *userdata)
{
        int r = up->stream_next(up->self, stream, subject, min_seq, handler, userdata);

        if (r)
                handler(refusal(r), NULL, userdata);
}

void up_kv_get(const struct upstream *up, const char *bucket, const char *key, bus_reply_handler handler,
               void *userdata)
{
        int r = up->kv_get(up->self, bucket, key, handler, userdata);

        if (r)
                handler(refusal(r), NULL, userdata);
}
