/* Dead letters of history: what could not be processed, with the reason, on dlq.history. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "bus/bus.h"
#include "history/env.h"

struct dead_letter {
        const char *subject;
        uint64_t seq;
        const char *reason;
        const uint8_t *data;
        size_t len; /* cut at 512 KiB: the original is still in the log */
};

/* As bus_publish_stream */
int dead_letter_publish(struct env *env, const struct dead_letter *letter, const char *msg_id, bus_ack_handler handler,
                        void *userdata);
