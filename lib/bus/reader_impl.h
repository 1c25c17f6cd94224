/* The inside of a reader, for reader*.c only. */
#pragma once

#include "bus/bus_impl.h"

/* Before a new consumer, when the one before it gave nothing, and before the leader is asked again */
#define READER_RETRY_MS 250

struct held {
        struct held *next;
        uint64_t
                hole_from; /* nothing came of what is from here up to this one, and the leader has not said why; 0: all is clear */
        struct bus_msg msg; /* points behind this */
};

struct bus_reader {
        struct bus *bus;
        struct bus_reader *next, **prev; /* in bus->readers */
        struct bus_reader_options options;
        char *stream, *filter;
        bool freed;
        unsigned n_handles;

        /* fetching: reader_fetch.c */
        uint64_t position;        /* sequence of the last message that was taken in; 0: none yet */
        struct pending *create;   /* a consumer is being made */
        struct pending *consumer; /* takes its messages; its number is part of the consumer's name */
        char name[64];
        uint64_t waiting;      /* messages for this consumer, as the server said last */
        uint64_t consumer_seq; /* of the last message of this consumer */
        struct pending *pull;  /* takes what the server says about a fetch */
        unsigned pull_left;    /* messages that may still come of it */
        unsigned pull_got;
        bool pull_at_once; /* it takes what is there and does not wait for more */
        bool oversized;    /* the next message alone is above batch_bytes */
        unsigned failures; /* consumers in a row that gave nothing */
        uv_timer_t retry;
        struct pending *question; /* what is next, to the leader: reader_whole.c */

        /* batches: reader.c */
        bool active;    /* a batch is being filled */
        bool busy;      /* the one before was not empty */
        bool pausing;   /* messages come one after the other: nothing is fetched before the batch's time is over */
        bool gathering; /* that time is over; the last fetch for it is under way */
        unsigned n;
        size_t bytes;
        struct held *held, **held_end; /* came while no batch was */
        unsigned n_held;
        uv_timer_t timer;
};

/* reader.c */
/* Gives it to the handler, or holds it. before: the sequence of the one before it. 0 or -ENOMEM. */
int reader_take(struct bus_reader *r, const struct bus_msg *msg, uint64_t before);
/* Puts it before all that is held. 0 or -ENOMEM. */
int reader_hold_first(struct bus_reader *r, const struct bus_msg *msg);
/* Ends the batch, if there is one */
void reader_end_batch(struct bus_reader *r, int error);
/* Waits for the first message of a batch */
void reader_wait(struct bus_reader *r);
/* Ends what the batch waits for */
void reader_on_timer(uv_timer_t *timer);

/* reader_fetch.c */
/* Does what is needed next so that messages come: makes a consumer, or fetches; nothing while enough is under way */
void reader_fetch(struct bus_reader *r);
/* Fetches what has come since the batch began. false: nothing can be fetched now */
bool reader_gather(struct bus_reader *r);
/* Forgets the consumer, and what was asked */
void reader_reset(struct bus_reader *r);

/* reader_whole.c */
/* Asks the leader what there is between the first that is held and what was given before it */
void reader_ask_hole(struct bus_reader *r);
/* Asks the leader whether there is more, and ends the batch if not */
void reader_ask_end(struct bus_reader *r);
