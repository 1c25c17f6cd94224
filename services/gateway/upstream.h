/* How the core speaks to the message system: lib/bus as a table, so that tests can be the message system.
 *
 * The semantics are those of bus/bus.h. Core code calls the up_* functions: they call the handler in every case, at once with the
 * error when the bus refused. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/bus.h"

struct upstream {
        void *self;
        bool (*connected)(void *self);
        int (*subscribe)(void *self, const char *subject, bus_handler handler, void *userdata,
                         struct bus_sub **ret_sub);
        /* For few and busy subjects: bus_subscribe_direct */
        int (*subscribe_direct)(void *self, const char *subject, bus_handler handler, void *userdata,
                                struct bus_sub **ret_sub);
        void (*unsubscribe)(void *self, struct bus_sub *sub);
        int (*publish)(void *self, const char *subject, const void *data, size_t len);
        int (*request)(void *self, const char *subject, const void *data, size_t len, bus_reply_handler handler,
                       void *userdata);
        int (*publish_stream)(void *self, const char *subject, const char *msg_id, const void *data, size_t len,
                              const char *trace_id, bus_ack_handler handler, void *userdata);
        int (*stream_info)(void *self, const char *stream, bus_stream_handler handler, void *userdata);
        int (*stream_last)(void *self, const char *stream, const char *subject, bus_reply_handler handler,
                           void *userdata);
        int (*stream_get)(void *self, const char *stream, uint64_t seq, bool direct, bus_reply_handler handler,
                          void *userdata);
        int (*stream_next)(void *self, const char *stream, const char *subject, uint64_t min_seq,
                           bus_reply_handler handler, void *userdata);
        int (*kv_get)(void *self, const char *bucket, const char *key, bus_reply_handler handler, void *userdata);
};

void up_request(const struct upstream *up, const char *subject, const void *data, size_t len, bus_reply_handler handler,
                void *userdata);
void up_publish_stream(const struct upstream *up, const char *subject, const char *msg_id, const void *data, size_t len,
                       const char *trace_id, bus_ack_handler handler, void *userdata);
void up_stream_info(const struct upstream *up, const char *stream, bus_stream_handler handler, void *userdata);
void up_stream_last(const struct upstream *up, const char *stream, const char *subject, bus_reply_handler handler,
                    void *userdata);
void up_stream_get(const struct upstream *up, const char *stream, uint64_t seq, bool direct, bus_reply_handler handler,
                   void *userdata);
void up_stream_next(const struct upstream *up, const char *stream, const char *subject, uint64_t min_seq,
                    bus_reply_handler handler, void *userdata);
void up_kv_get(const struct upstream *up, const char *bucket, const char *key, bus_reply_handler handler,
               void *userdata);
