/* A channel that somebody here is a member of: its chain, its newest events, who gets them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "base/gap_reasons.h"
#include "base/ident.h"
#include "base/ratelimit.h"
#include "gateway/core.h"
#include "gateway/fetch.h"
#include "parley/v1/event.pb-c.h"

enum channel_state {
        CHANNEL_IDLE,       /* nobody listens */
        CHANNEL_ACTIVATING, /* subscribing, reading the head and the description */
        CHANNEL_ACTIVE,
        CHANNEL_MISSING, /* there is no description in CHANNELS: nobody may do anything; tried again */
};

struct sub {
        struct session *session;
        uint32_t link; /* index in session->links */
        bool live;     /* gets every event without a further look at the link */
};

/* What an event of the tail does to another one; 0: nothing */
struct tail_mark {
        uint64_t edits, deletes; /* sequence of the message */
};

/* One of the newest events, as it was stored */
struct tail_entry {
        struct tail_entry *prev, *next;         /* of the channel */
        struct tail_entry *all_prev, *all_next; /* of all channels, by age */
        struct channel *channel;
        struct tail_mark mark;
        struct raw_event event; /* last: its data stands behind it */
};

struct held_event {
        struct held_event *next;
        uint64_t prev;
        struct raw_event event; /* last */
};

struct channel {
        struct core *core;
        struct shard *shard;
        uint8_t state;
        bool repairing;
        bool verifying;     /* the head is being asked for */
        bool verify_again;  /* and something happened since */
        bool epoch_due;     /* those who are live are told of the epoch once its beginning is reached */
        uint8_t activating; /* answers that are awaited */
        uint8_t activation_error;
        unsigned refs; /* memberships, links, everyone, whatever is under way */

        uint64_t head;            /* last sequence delivered; 0: none known */
        uint64_t floor;           /* there is nothing of the channel between head and this */
        uint64_t known_head;      /* highest sequence heard of */
        uint64_t begins;          /* of the log, when it was new or trimmed unseen: what is below may be missing */
        uint64_t verified_head;   /* what the leader said last */
        uint64_t doubted_head;    /* head when it was asked whether the log reaches so far */
        uint64_t repair_since_ms; /* the first try that failed; 0: none */
        uint64_t acked_seq;       /* highest of our own acks since the last digest; 0: none */

        struct sub *subs;
        uint32_t n_subs, cap_subs;

        /* everything with tail_base < seq <= head */
        struct tail_entry *tail_first, *tail_last;
        unsigned n_tail;
        uint64_t tail_base;

        struct held_event *held; /* by seq */
        unsigned n_held;
        size_t held_bytes;

        Parley__V1__Channel *doc; /* NULL: not read yet */
        struct place *place;      /* NULL: nobody has it in focus */
        struct ratelimit focused; /* how often presence is asked of it because somebody has it in focus who had not */
        struct replay *replays;   /* under way */
        struct replay_cache *replay_cache;
        struct wheel_timer timer;   /* to be dropped, or to try again */
        struct wheel_timer suspect; /* known_head should have come by then */
        struct gate_item gate, verify_gate;
        UT_hash_handle hh;
        char id[IDENT_MAX + 1];
};

/* Finds or makes it. The caller takes a reference with channel_ref. NULL: no memory */
struct channel *channel_get(struct core *core, const char *id);
struct channel *channel_find(struct core *core, const char *id);
struct channel *channel_ref(struct channel *c);
/* The last reference lets it linger, then it is freed */
void channel_unref(struct channel *c);
void channel_free(struct channel *c);

/* Somebody wants its events: activates it when it is idle */
void channel_want(struct channel *c);
static inline bool channel_active(const struct channel *c)
{
        return c->state == CHANNEL_ACTIVE;
}
/* Everything through here was delivered */
static inline uint64_t channel_position(const struct channel *c)
{
        return c->head > c->floor ? c->head : c->floor;
}
int channel_sub_add(struct channel *c, struct session *s, uint32_t link, uint32_t *ret_index);
void channel_sub_remove(struct channel *c, uint32_t index);
/* The state or the head moved: looks at links that wait for it */
void channel_check_links(struct channel *c);
/* A newer description: archived, visibility, name */
void channel_set_doc(struct channel *c, const Parley__V1__Channel *doc);
/* members see what happened while they were members */
static inline bool channel_joined_only(const struct channel *c)
{
        return c->doc && c->doc->history_visibility == PARLEY__V1__CHANNEL__HISTORY_VISIBILITY__joined;
}

/* --- chain (chain.c) --- */
/* A live copy arrived */
void chain_offer(struct channel *c, const struct bus_msg *msg);
/* The next event, in order: applied, kept, delivered */
void chain_accept(struct channel *c, const struct raw_event *raw);
/* Head and floor were read while activating: goes on with what was held meanwhile */
void chain_begin(struct channel *c);
/* This sequence exists: if it does not come by itself it is fetched */
void chain_expect(struct channel *c, uint64_t seq, uint32_t within_ms);
/* Asks the leader for the head, and repairs */
void chain_verify(struct channel *c);
/* The stream has been made anew, or trimmed while nobody listened: what lies below its beginning only history has */
void chain_begins(struct channel *c, bool new_epoch);
void chain_done(struct channel *c);

/* --- tail (tail.c) --- */
void tail_push(struct channel *c, const struct raw_event *event, struct tail_mark mark);
/* This event is not kept, nor what lies before it */
void tail_skip(struct channel *c, uint64_t seq);
/* The tail has a deletion of this message */
bool tail_deletes(const struct channel *c, uint64_t target_seq);
/* Content of the target and of its edits goes */
void tail_forget(struct channel *c, uint64_t target_seq);
struct tail_entry *tail_find(struct channel *c, uint64_t seq);
/* Everything above seq is there */
static inline bool tail_covers(const struct channel *c, uint64_t seq)
{
        return seq >= c->tail_base;
}
void tail_done(struct channel *c);

/* --- delivery (deliver.c) --- */
/* Queues one event for everybody who may get it. frames: those that there are already, by encoding; they are taken over. */
void deliver_event(struct channel *c, Parley__V1__Event *event, struct frame *const frames[_ENCODING_N]);
/* Tells all who are live that too much is missing */
void deliver_gap(struct channel *c, uint64_t from, enum parley_gap reason);
/* Tells all who are live the stream's new epoch */
void deliver_epoch(struct channel *c);
