/* Reads a part of a channel's log that is not in the tail: from JetStream one by one, or from history. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ident.h"
#include "gateway/gate.h"
#include "parley/v1/event.pb-c.h"

struct channel;
struct core;
struct fetch;

/* An event as it was stored: seq and prev in the bytes do not count */
struct raw_event {
        struct raw_event *next;
        uint64_t seq;
        int64_t time_ns;
        uint32_t len;
        const uint8_t *data;
};

enum fetch_result {
        FETCH_OK,       /* all with after < seq <= through */
        FETCH_TOO_LONG, /* more than max_events or max_bytes: what is there is good, and complete through `through` */
        FETCH_UNAVAILABLE, /* the rest cannot be had now; what is there is good */
};

/* events: in order, valid during the call. through: complete through this sequence. */
typedef void (*fetch_done)(struct channel *c, enum fetch_result result, const struct raw_event *events, unsigned n,
                           uint64_t through, void *userdata);

struct fetch_options {
        uint64_t after, until;
        unsigned max_events;
        size_t max_bytes;
        unsigned max_gets;        /* read one by one, before history is asked */
        bool prefer_history;      /* the first thing to ask */
        uint64_t history_through; /* below this only history may answer (it knows who may see what) */
        const char *user_id;      /* on whose behalf, "": of all members; NULL: the gateway's own repair */
        fetch_done done;
        void *userdata;
};

struct raw_event *raw_event_new(uint64_t seq, int64_t time_ns, const uint8_t *data, size_t len);
/* Packs it without seq and prev; NULL: no memory */
struct raw_event *raw_event_pack(const Parley__V1__Event *event);
void raw_event_free_list(struct raw_event *events);

/* done is called exactly once, perhaps at once; unless -ENOMEM is returned. ret_fetch: NULL, or where it stands until done is called,
 * when it is set to NULL */
int fetch_start(struct channel *c, const struct fetch_options *options, struct fetch **ret_fetch);
/* done is not called any more, and nothing more is asked */
void fetch_cancel(struct fetch *f);
/* At the end of the process */
void fetch_free_all(struct core *core);
