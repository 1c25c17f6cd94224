/* What the log is about to bring back, made ready while it is being stored.
 *
 * From a publish to its live copy, 100 µs and more, a gateway with nothing else to do waits for the server. Reading the event and encoding it
 * is half of what is left to do when the copy is there. What it will say is known by then, and its place in the log can be guessed. What is taken
 * in the end is what would have been made of the same bytes at the same place, and nothing else, so a wrong guess costs time and no more. */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "gateway/frame.h"
#include "parley/v1/event.pb-c.h"

struct channel;
struct core;
struct raw_event;

/* One event at most, and what it takes is bounded by PARLEY_MAX_EVENT_BYTES. */
struct foresight {
        struct buf stored;        /* the bytes that were published */
        Parley__V1__Event *event; /* what they say; NULL: nothing was foreseen */
        uint64_t seq, prev;       /* the place that it was given */
        struct frame *frames[_ENCODING_N];
        ProtobufCMessage *spent; /* is done with, and to be freed when there is time */
};

void foresight_init(struct foresight *f, size_t max_event_bytes);
void foresight_done(struct foresight *f);
/* The event of these bytes, with its place, if it was foreseen: the caller's. NULL: it was not. ret_frames: those that are made
 * already, each with a reference for the caller; else untouched. */
Parley__V1__Event *foresight_take(struct foresight *f, const struct raw_event *raw, uint64_t prev,
                                  struct frame *ret_frames[_ENCODING_N]);
/* Frees a message, but not while somebody waits for what it has become: the next one, or the end of the turn, does. */
void foresight_spend(struct foresight *f, ProtobufCMessage *message);
