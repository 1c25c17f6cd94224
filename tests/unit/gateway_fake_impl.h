/* The inside of the fake world. */
#pragma once

#include "gateway_fake.h"

enum fake_kind { TASK_REPLY, TASK_ACK, TASK_INFO, TASK_LIVE };

/* Something that is to be delivered */
struct fake_task {
        struct fake_task *next;
        enum fake_kind kind;
        int error;
        struct bus_msg msg;
        struct bus_ack ack;
        struct bus_stream_info info;
        void *handler, *userdata;
        char subject[256];
        uint8_t data[];
};

struct fake_key {
        struct fake_key *next;
        char bucket[32], key[96];
        uint8_t *data;
        size_t len;
};

/* What is in a bucket; NULL: nothing */
const struct fake_key *fake_key_find(const struct fake *f, const char *bucket, const char *key);
/* An answer to a question; data is copied */
struct fake_task *fake_reply(struct fake *f, int error, bus_reply_handler handler, void *userdata, const void *data,
                             size_t len);
void fake_live(struct fake *f, const char *subject, const void *data, size_t len, uint64_t seq, uint64_t prev);
uint64_t fake_log(struct fake *f, const char *channel, const char *msg_id, const void *data, size_t len);
/* gateway_fake_presence.c */
void fake_presence_query(struct fake *f, const void *data, size_t len, bus_reply_handler handler, void *userdata);
/* gateway_fake_history.c */
int fake_request(void *self, const char *subject, const void *data, size_t len, bus_reply_handler handler,
                 void *userdata);
