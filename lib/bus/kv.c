/* Buckets: the newest message of the subject $KV.<bucket>.<key> in the stream KV_<bucket>. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "bus/bus_impl.h"
#include "bus/codec.h"

#define SUBJECT_SIZE 256

static int kv_names(const char *bucket, const char *key, char ret_subject[SUBJECT_SIZE], char ret_stream[80])
{
        if (!codec_name_valid(bucket) || !codec_key_valid(key))
                return -EINVAL;
        snprintf(ret_subject, SUBJECT_SIZE, "$KV.%s.%s", bucket, key);
        snprintf(ret_stream, 80, "KV_%s", bucket);
        return 0;
}

/* --- get --- */

struct kv_get {
        bus_reply_handler handler;
        void *userdata;
};

static void on_got(int error, const struct bus_msg *msg, void *userdata)
{
        struct kv_get *g = userdata;

        if (error == 0 && msg->deleted)
                error = BUS_E_NOT_FOUND;
        g->handler(error, error == 0 ? msg : NULL, g->userdata);
        free(g);
}

int bus_kv_get(struct bus *bus, const char *bucket, const char *key, bus_reply_handler handler, void *userdata)
{
        char subject[SUBJECT_SIZE], stream[80];

        if (kv_names(bucket, key, subject, stream) < 0)
                return -EINVAL;
        struct kv_get *g = malloc(sizeof(*g));
        if (g == NULL)
                return -ENOMEM;
        *g = (struct kv_get){handler, userdata};
        int r = bus_stream_last(bus, stream, subject, on_got, g);
        if (r != 0)
                free(g);
        return r;
}

/* --- put and delete --- */

enum { REVISION_SIZE = 24 };

static void kv_revision(uint64_t expected, char ret[REVISION_SIZE])
{
        (void)snprintf(ret, REVISION_SIZE, "%" PRIu64, expected == BUS_KV_NEVER ? 0 : expected);
}

static int put(struct bus *bus, const char *subject, const void *data, size_t len, uint64_t expected,
               bus_ack_handler handler, void *userdata)
{
        char revision[REVISION_SIZE];
        struct conn_header headers[] = {{HEADER_EXPECTED_SUBJECT_SEQUENCE, expected != BUS_KV_ANY ? revision : NULL}};
        struct request r = {
                .subject = subject, .headers = headers, .n_headers = ARRAY_SIZE(headers), .data = data, .len = len};

        kv_revision(expected, revision);
        return request_ack(bus, &r, handler, userdata);
}

/* "Must not exist" is true of a deleted key too, but the server sees the mark of the deletion and refuses. Then the mark's own revision
 * is what must be there. */
struct kv_create {
        struct bus *bus;
        bus_ack_handler handler;
        void *userdata;
        size_t len;
        char subject[SUBJECT_SIZE], stream[80];
        uint8_t data[];
};

static void create_end(struct kv_create *c, int error, const struct bus_ack *ack, const char *text)
{
        c->handler(error, ack, text, c->userdata);
        free(c);
}

static void on_second_try(int error, const struct bus_ack *ack, const char *text, void *userdata)
{
        create_end(userdata, error, ack, text);
}

static void on_mark(int error, const struct bus_msg *msg, void *userdata)
{
        struct kv_create *c = userdata;

        if (error == 0)
                error = msg->deleted ? put(c->bus, c->subject, c->data, c->len, msg->seq, on_second_try, c)
                                     : BUS_E_CONFLICT;
        if (error != 0)
                create_end(c, error, NULL, bus_error_text(error));
}

static void on_first_try(int error, const struct bus_ack *ack, const char *text, void *userdata)
{
        struct kv_create *c = userdata;

        if (error == BUS_E_CONFLICT && bus_stream_last(c->bus, c->stream, c->subject, on_mark, c) == 0)
                return;
        create_end(c, error, ack, text);
}

static int create(struct bus *bus, const char *subject, const char *stream, const void *data, size_t len,
                  bus_ack_handler handler, void *userdata)
{
        struct kv_create *c = malloc(sizeof(*c) + len);

        if (c == NULL)
                return -ENOMEM;
        *c = (struct kv_create){.bus = bus, .handler = handler, .userdata = userdata, .len = len};
        snprintf(c->subject, sizeof(c->subject), "%s", subject);
        snprintf(c->stream, sizeof(c->stream), "%s", stream);
        memcpy(c->data, data, len);
        int r = put(bus, subject, data, len, 0, on_first_try, c);
        if (r != 0)
                free(c);
        return r;
}

int bus_kv_put(struct bus *bus, const char *bucket, const char *key, const void *data, size_t len, uint64_t expected,
               bus_ack_handler handler, void *userdata)
{
        char subject[SUBJECT_SIZE], stream[80];

        if (kv_names(bucket, key, subject, stream) < 0)
                return -EINVAL;
        if (expected == 0)
                return create(bus, subject, stream, data, len, handler, userdata);
        return put(bus, subject, data, len, expected, handler, userdata);
}

int bus_kv_delete(struct bus *bus, const char *bucket, const char *key, uint64_t expected, bus_ack_handler handler,
                  void *userdata)
{
        char subject[SUBJECT_SIZE], stream[80], revision[REVISION_SIZE];
        struct conn_header headers[] = {{HEADER_KV_OPERATION, KV_OPERATION_DELETE},
                                        {HEADER_EXPECTED_SUBJECT_SEQUENCE, expected != BUS_KV_ANY ? revision : NULL}};
        struct request r = {
                .subject = subject, .headers = headers, .n_headers = ARRAY_SIZE(headers), .data = "", .len = 0};

        if (kv_names(bucket, key, subject, stream) < 0)
                return -EINVAL;
        kv_revision(expected, revision);
        return request_ack(bus, &r, handler, userdata);
}

int bus_kv_purge(struct bus *bus, const char *bucket, const char *key, uint64_t revision, bus_done_handler handler,
                 void *userdata)
{
        char subject[SUBJECT_SIZE], stream[80];

        /* nats-server reads "seq": 0 or 1 as: everything */
        if (kv_names(bucket, key, subject, stream) < 0 || revision == 0 || revision == UINT64_MAX)
                return -EINVAL;
        return stream_purge_subject(bus, stream, subject, revision + 1, handler, userdata);
}
