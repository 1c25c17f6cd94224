/* A world around the gateway's core that a byte code drives: what is true (log, memberships), clients that check what they are told
 * against it, and what must hold inside of the core. Built on the fake world of the unit tests, whose clients are not used. */
#pragma once

#include <stdbool.h>

#include "fuzz.h"
#include "gateway_fake_impl.h"

enum {
        N_USERS = 3,
        N_CHANNELS = 3,
        N_CLIENTS = 5,
        N_STAYS = 16,
        N_IDS = 24,
        N_ASKED = 96,
        N_CURSORS = 3,
        N_HOLES = 16,
        PENDING_BYTES = 4096, /* of all mutations and cursors, where there is such a limit; one mutation is smaller */
        N_CHANGES = 8
};
/* Channel 2 is open to everyone; 1 shows its members what happened while they were members; 0 shows all */
enum { CHANNEL_ALL, CHANNEL_JOINED, CHANNEL_EVERYONE };

struct world;

/* A member from one sequence to another, both included; to UINT64_MAX: still there */
struct stay {
        uint64_t from, to;
};

struct truth {
        struct stay stays[N_STAYS];
        unsigned n_stays;
        uint64_t version, since_seq, left_seq;
        bool had_absence;
        bool leaving; /* the bucket says so already; the event is still to come */
};

/* What the client asked, and how often it was answered */
struct asked {
        uint32_t ref;
        uint8_t kind; /* Parley__V1__ClientFrame__BodyCase */
        uint8_t answers;
        uint8_t n_cursors;
        bool accepted, applied; /* its cursors, by the server */
        int id;                 /* of world.ids; -1: none */
        struct {
                uint8_t channel;
                bool ahead; /* above the log's end */
                uint64_t epoch, seq;
        } cursors[N_CURSORS];
};

/* One channel, as docs/protocol.md has a client keep it */
struct view {
        bool announced;
        bool awaiting; /* a replay or a gap, before anything live */
        uint64_t cursor, epoch;
        uint64_t past; /* what lies below was before it was announced: it comes by REST */
        uint64_t
                live; /* what comes live from now on lies above: it came already, or a replay or a gap went through here */
        uint64_t asked_epoch; /* with the cursor that is awaited, or was last */
        bool ahead;           /* that was above the log's end when it was sent */
};

/* Who may be watched: the users, one who has no session, one who does not exist, and one whom nobody may see */
enum { N_WATCHED = N_USERS + 3 };

struct client {
        struct world *w;
        struct session *session; /* NULL: gone */
        unsigned user;
        enum encoding encoding;
        bool plain, stuck, ready, garbled, packing;
        unsigned close_code;
        size_t may_come; /* frames that were queued when it was closed */
        struct view views[N_CHANNELS];
        struct asked asked[N_ASKED];
        unsigned n_asked;
        bool focused;             /* it has had a channel in focus */
        uint8_t watched;          /* bits: the set that was acknowledged last */
        uint8_t shown[N_WATCHED]; /* availability + 2; 1: hidden; 0: nothing */
        uint32_t next_ref;
        size_t read_bytes; /* since its queue was empty last: no more can have been in front of what comes */
        struct buf out;    /* frames of one message, while packing */
};

struct sent_id {
        char id[37];
        unsigned user, channel;
        uint8_t content;
        uint64_t sent_ns; /* first */
        uint64_t acked_seq;
};

struct world {
        struct fake *f;
        struct client clients[N_CLIENTS];
        struct truth truth[N_USERS][N_CHANNELS];
        uint64_t list_version[N_USERS];
        struct sent_id ids[N_IDS];
        int n_ids;
        Parley__V1__MembershipChange changes[N_CHANGES]; /* that the gateways are still to be told of */
        unsigned n_changes;
        uint64_t holes
                [N_HOLES]; /* removed one by one from the log, as deletions are: a repair from there passes over them */
        unsigned n_holes;
        bool trouble;       /* something was asked in vain, and its consequences may still be on their way */
        uint64_t waited_ns; /* since unanswered questions timed out last */
        const uint8_t *input, *end;
};

/* PARLEY_FUZZ_TRACE is set: each step, and each frame that comes, goes to stderr */
extern bool world_trace;
extern const char *const world_users[N_USERS], *const world_channels[N_CHANNELS], *const world_watched[N_WATCHED];

/* --- session_world.c --- */
void world_init(struct world *w, uint8_t setup);
/* Everything works again, and time passes: then all must be where it belongs */
void world_heal(struct world *w);
void world_done(struct world *w);
/* Runs tasks, and lets clients read */
void world_run(struct world *w, unsigned n_tasks);
void world_settle(struct world *w);
/* As the loop does it; returns whether there is more to write */
bool world_flush(struct world *w, unsigned max_writes);
/* Whether the user may ever be shown this event, as the log stands */
bool world_sees(const struct world *w, unsigned user, unsigned channel, uint64_t seq);
/* Removed from the log alone: whoever is repaired from there does not hear of it */
bool world_is_hole(const struct world *w, uint64_t seq);
bool world_is_member(const struct world *w, unsigned user, unsigned channel);
int world_channel(const char *id); /* -1: none */
const struct fake_event *world_event(const struct world *w, uint64_t seq);
/* As history does it: a leaving is marked in the bucket, then its event goes into the log; a join begins with its event. Then the bucket
 * is due. only_mark: the event of a leaving comes with the next call. */
void world_change_member(struct world *w, unsigned user, unsigned channel, bool only_mark);
/* Every gateway is told, and answers, before the removal counts: it may overtake the event, but no time passes before it */
void world_announce(struct world *w);
void world_put_bucket(struct world *w, unsigned user, bool signal);
void world_digest(struct world *w);

/* --- session_client.c --- */
extern const struct transport client_transport;
void client_connect(struct world *w, struct client *c, unsigned user, unsigned how);
void client_gone(struct client *c);
/* What the transport does between two turns */
void client_turn(struct client *c);
struct asked *client_ask(struct client *c, Parley__V1__ClientFrame *frame);
void client_send(struct client *c, const Parley__V1__ClientFrame *frame);
void client_unpack(struct client *c);
void client_check_end(const struct client *c);

/* --- session_gap.c --- */
/* A gap says what is so, and nothing else could be done */
void check_gap(const struct client *c, const struct view *v, const Parley__V1__Gap *g);
/* Forgets trouble when nothing is left of it. After each step. */
void world_calm(struct world *w);

/* --- session_invariants.c --- */
void check_core(const struct world *w);
/* What waits for all sessions together is within its limit, or nobody could be closed for it. After a flush. */
void check_backlog(const struct core *core);

static inline uint8_t take_byte(struct world *w)
{
        return w->input < w->end ? *w->input++ : 0;
}
