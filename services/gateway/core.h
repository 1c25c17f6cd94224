/* The gateway without any network: sessions, users, channels and what moves between them.
 *
 * Everything happens on one thread, in the calls below and in the handlers given to `upstream`. The clock is given, too. What leaves goes through `transport` (to clients) and `upstream` (to the message system). Nothing is written while
 * something is being handled: it is queued, and core_flush writes what a whole turn of the loop has collected. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "auth/auth.h"
#include "base/buf.h"
#include "base/wheel.h"
#include "gateway/foresight.h"
#include "gateway/gate.h"
#include "gateway/gateway_config.h"
#include "gateway/handle.h"
#include "gateway/transport.h"
#include "gateway/upstream.h"
#include "parley/v1/internal.pb-c.h"

struct session;
struct user;
struct channel;
struct address;
struct tail_entry;
struct pack_cache;
struct change_log;
struct everyone;
struct looks;

#define CORE_ID_MAX 64

/* One shard of the log */
struct shard {
        struct core *core;
        uint32_t number;
        uint64_t epoch;                              /* 0: not known yet */
        uint64_t first_seq;                          /* of the stream; everything below was removed from it */
        uint64_t heard, heard_before;                /* highest sequence heard of; when the connection was made last */
        bool returned;                               /* the connection was made; the stream was not seen since */
        bool known;                                  /* the stream was seen */
        bool asking;                                 /* stream_info is on its way */
        struct shard_waiter *waiters, *next_waiters; /* of the question under way, of the next */
        struct wheel_timer retry;
        char trouble[128]; /* why it cannot be seen, for the log and /readyz; "" */
        struct bus_sub *digest_sub;
        struct bus_sub *live_sub; /* all channels of the shard */
};

/* What presence is told (here.c) */
struct here {
        struct user *dirty;     /* users to look at */
        struct here_gone *gone; /* who was freed, and is to be told of as gone */
        unsigned n_gone;
        struct bus_sub *sub;
        struct wheel_timer timer;
        uint64_t counter;
        uint64_t told_ms, all_ms; /* the last message, the last snapshot */
        bool wanted;              /* a snapshot */
};

struct core_options {
        const struct gateway_config *config;
        struct upstream upstream;
        struct transport transport;
        const struct auth *auth;
        /* An unknown key: fetch the key set again, then call core_keys_changed. NULL: there is none */
        void (*refresh_keys)(void *userdata);
        void *userdata;
        void (*clock)(uint64_t *ret_now_ns, int64_t *ret_wall_ns); /* monotonic, unix */
};

struct core {
        const struct gateway_config *config;
        struct upstream up;
        struct transport transport;
        const struct auth *auth;
        void (*refresh_keys)(void *userdata);
        void *userdata;
        char id[CORE_ID_MAX + 1];
        uint64_t epoch; /* unix milliseconds of its start, which tells it from another process of that name */

        void (*clock)(uint64_t *ret_now_ns, int64_t *ret_wall_ns);
        uint64_t now_ns, now_ms; /* monotonic, as last read */
        int64_t wall_ns;         /* unix */
        struct wheel *wheel;
        struct buf scratch;

        struct handle_table handles; /* sessions */
        struct session *sessions;    /* list */
        unsigned n_sessions;
        struct user *users;        /* hash */
        struct channel *channels;  /* hash */
        struct address *addresses; /* hash */
        struct shard *shards;
        struct everyone *everyone; /* channels open to everyone */
        bool everyone_known;
        struct change_log *changes; /* recent changes of membership */

        struct gate gate_users, gate_channels, gate_repairs, gate_replays;
        struct fetch *fetches;      /* list */
        unsigned n_pending;         /* mutations */
        struct mutation *mutations; /* list */
        size_t pending_bytes;       /* of mutations, and of cursors before `ready` */

        struct session **dirty; /* sessions with something to write */
        unsigned n_dirty, cap_dirty;
        struct pack_cache *packs;
        struct foresight foresight;

        struct replay_cache *replay_caches; /* hash */
        struct replay_frames *replay_last;  /* one that is not shared */
        uint64_t n_private_replays;
        struct tail_entry *tail_oldest, *tail_newest; /* of all channels */
        size_t tail_bytes;
        size_t queue_bytes;   /* of all sessions; what several wait for counts once */
        size_t kept_bytes;    /* by the transport */
        size_t leaving_bytes; /* of these: of sessions that are being closed */
        bool opening_waits;   /* a session would be live, but too much is waiting */

        struct here here;
        unsigned typing_reads;  /* whether somebody who writes may be shown is being read */
        uint32_t typing_number; /* of the last of these */
        struct looks *looks;    /* whom sessions look at; NULL: nobody did so far */
        struct channel **acked; /* channels of our own acks since the last digest */
        unsigned n_acked, cap_acked;
        struct wheel_timer digest_timer, alive_timer;
        uint64_t trace_base[2];

        bool draining;
        struct wheel_timer drain_timer;
        uint64_t drain_from_ms;
        uint64_t drain_total; /* sessions then */
        uint64_t swept_ms;
};

int core_new(struct core **ret_core, const struct core_options *options);
/* After the last callback of upstream; closes what is left */
void core_free(struct core *core);

/* Reads the clock; whoever calls into the core does so before */
void core_time(struct core *core);
/* Timers; at least every 100 ms */
void core_tick(struct core *core);
/* How many sessions it is the turn of to be told what is new of those whom they look at */
unsigned core_due(const struct core *core);
/* Tells sessions whose turn it is what is new of those whom they look at, until they and the users who had to be encoded for them are so many; a session is
 * told whole. Returns how many more it is the turn of. Before core_flush, in each turn of the loop. Reads the clock. */
unsigned core_tell(struct core *core, unsigned max_work);
/* Writes what is pending, at most max_writes messages; true: there is more. */
bool core_flush(struct core *core, unsigned max_writes);
/* At the end of a turn, when everything has left, also what was published: does what the next one would have to do. Not to be called
 * costs latency and nothing else. */
void core_foresee(struct core *core);

/* The message system: it is there (again), or something was lost on the way. Everything is verified. */
void core_connected(struct core *core);
void core_loss(struct core *core);
/* All that is needed to serve is known */
bool core_ready(const struct core *core);
/* The key set was fetched (or could not be): sessions that wait for it are tried again */
void core_keys_changed(struct core *core);

/* Sends everybody away over PARLEY_DRAIN_MS. core_drained: nobody is left, nothing is pending. */
void core_drain(struct core *core);
bool core_drained(const struct core *core);

static inline int64_t core_wall_s(const struct core *core)
{
        return core->wall_ns / 1000000000;
}
/* 0, no limit, when rates are switched off as a whole */
static inline uint32_t core_rate(const struct core *core, uint64_t rate)
{
        return core->config->rate_limits ? (uint32_t)rate : 0;
}
/* 32 hex digits, unique among all gateways */
void core_trace_id(struct core *core, char ret[33]);
