/* The JSON of JetStream's API: requests built, answers read. Pure.
 *
 * Field names and error numbers are nats-server's (server/jetstream_api.go, server/errors.json of 2.10). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/bus.h"

#define JSAPI_TEXT_MAX 192
#define JSAPI_METADATA_EPOCH "parley_epoch" /* of a stream */

/* How an answer ended: 0 or BUS_E_*; text is empty without an error */
struct jsapi_result {
        int error;
        unsigned err_code; /* nats-server's; 0: none */
        char text[JSAPI_TEXT_MAX];
};
enum {
        JSAPI_ERR_STREAM_EXISTS = 10058, /* with another configuration */
        JSAPI_ERR_WRONG_LAST_SEQUENCE = 10071,
        JSAPI_ERR_SEQUENCE_NOT_FOUND = 10043,
        JSAPI_ERR_DELETE_FAILED = 10057, /* also: the message is not there */
};

/* Each returns 0, or BUS_E_* as in ret_result (BUS_E_BAD_REPLY when it is no answer of this kind). */
int jsapi_parse_ack(const uint8_t *data, size_t n, struct bus_ack *ret, struct jsapi_result *ret_result);
int jsapi_parse_done(const uint8_t *data, size_t n, struct jsapi_result *ret_result);
/* *ret_pending: how many messages wait for the new consumer */
int jsapi_parse_consumer(const uint8_t *data, size_t n, uint64_t *ret_pending, struct jsapi_result *ret_result);
int jsapi_parse_stream(const uint8_t *data, size_t n, struct bus_stream_info *ret, struct jsapi_result *ret_result);

/* A message of STREAM.MSG.GET. The strings are one allocation, freed with jsapi_message_done. */
struct jsapi_message {
        char *subject;
        char *msg_id;   /* NULL: none */
        char *trace_id; /* NULL: none */
        uint8_t *data;
        size_t len;
        uint64_t seq;
        int64_t time_ns;
        bool deleted; /* KV-Operation: DEL or PURGE */
        void *memory;
};
int jsapi_parse_message(const uint8_t *data, size_t n, struct jsapi_message *ret, struct jsapi_result *ret_result);
void jsapi_message_done(struct jsapi_message *m);

/* The body of STREAM.CREATE. malloc'ed; NULL without memory. */
char *jsapi_stream_create(const struct bus_stream_config *config);
/* The subject of a stream with a first_seq that is only being made, see stream.c: "making.<name>" */
#define JSAPI_MAKING "making."
/* From the answer of STREAM.INFO: the sequence at which it was made, where that is as far as it came; 0: it is a stream like others */
uint64_t jsapi_stream_making(const uint8_t *info, size_t n);
/* From the answer of STREAM.INFO the body of STREAM.UPDATE: what is there, with what config may change. *ret_body is NULL when nothing
 * differs. 0, BUS_E_BAD_REPLY, -ENOMEM. */
int jsapi_stream_update(const uint8_t *info, size_t n, const struct bus_stream_config *config, char **ret_body);

struct jsapi_consumer {
        const char *stream;
        const char *name;
        const char *filter; /* NULL: all */
        uint64_t start_seq;
        bool last_per_subject; /* instead of start_seq */
        uint64_t inactive_ms;
};
char *jsapi_consumer_create(const struct jsapi_consumer *consumer);
