/* The world around the gateway's core for tests: a message system with a log, buckets and history, a clock, and clients that check their
 * chains. No network, no thread; what is asked is answered when fake_run is called. */
#pragma once

#include "auth/auth.h"
#include "gateway/core.h"
#include "gateway/session.h"
#include "parley/v1/client.pb-c.h"
#include "unit.h"

#define FAKE_EPOCH 1700000000

struct fake_event {
        uint64_t seq;
        uint8_t *data;
        size_t len;
        char channel[IDENT_MAX + 1];
        char msg_id[256];
        bool removed; /* from the stream */
        bool in_history;
};

struct fake {
        struct core *core;
        struct gateway_config config;
        struct auth *auth;
        uint64_t now_ns;
        int64_t wall_ns;
        uint64_t seed;

        struct fake_event *log; /* all that was ever stored, by seq */
        size_t n_log, cap_log;
        uint64_t next_seq, first_seq, epoch;
        size_t dedupe_from; /* index in log: the stream knows the ids from here on */
        struct fake_task *tasks, **last_task;
        struct bus_sub *subs;
        struct fake_key *keys; /* buckets */
        struct fake_client *clients;

        struct fake_presence *presence; /* NULL: there is no such service */

        /* what goes wrong */
        bool connected;
        bool silent; /* requests are not answered; fake_time_out ends them */
        bool history_down;
        bool history_empty;          /* it answers, and knows no event */
        uint64_t ingested_seq;       /* history knows the log through here; UINT64_MAX: all */
        unsigned lose, repeat, swap; /* of live copies: percent */
        bool lose_acks;              /* stored, and the ack is lost */
        unsigned n_direct, n_history, n_lookups, n_published, n_last; /* what was asked */
};

/* A client behind a fake connection. It takes in what a session writes, in the binary protocol, and follows docs/protocol.md. */
struct fake_view {
        char channel[IDENT_MAX + 1];
        uint64_t cursor, start;
        uint64_t epoch;
        uint64_t *seqs; /* applied, in order */
        size_t n_seqs, cap_seqs;
        unsigned breaks, gaps, replays;
        bool removed;
};

struct fake_client {
        struct fake_client *next;
        struct fake *f;
        struct session *session;          /* NULL: gone */
        Parley__V1__ServerFrame **frames; /* all that came */
        size_t n_frames, cap_frames;
        struct fake_view views[64];
        size_t n_views;
        unsigned n_messages; /* WebSocket messages */
        size_t n_bytes;
        unsigned close_code;
        bool stuck;   /* takes nothing */
        bool clogged; /* the next message is taken, and all of it kept; stuck from then on */
        bool text;    /* frames are not decoded, but kept as text */
        char *last_text;
        uint32_t next_ref;
};

struct fake *fake_new(void); /* defaults; change fake->config, then fake_start */
void fake_start(struct fake *f);
void fake_free(struct fake *f);
/* Answers what is asked and writes what is pending, until nothing moves */
void fake_run(struct fake *f);
void fake_advance(struct fake *f, uint64_t ms);
/* Everything unanswered ends with this error */
void fake_fail_tasks(struct fake *f, int error);
/* The same, but for the first n */
void fake_fail_after(struct fake *f, unsigned n, int error);
/* Answers one thing */
void fake_step(struct fake *f);
void fake_reconnect(struct fake *f);

/* Buckets */
/* What a user says of himself; until_s: 0: for good */
void fake_put_mode(struct fake *f, const char *user, Parley__V1__Status__Mode mode, int64_t until_s);
void fake_put_channel(struct fake *f, const char *id, bool everyone, bool joined_only);
struct fake_membership {
        const char *channel;
        Parley__V1__Role role;
        uint64_t version, since_seq, left_seq;
        bool had_absence;
};
void fake_put_members(struct fake *f, const char *user, uint64_t version, const struct fake_membership *m, size_t n,
                      bool signal);

/* The log, by others than this gateway. Returns the sequence. */
uint64_t fake_message(struct fake *f, const char *channel, const char *actor, const char *content);
uint64_t fake_store(struct fake *f, const Parley__V1__Event *event);
uint64_t fake_left(struct fake *f, const char *channel, const char *user, uint64_t version);
uint64_t fake_joined(struct fake *f, const char *channel, const char *user, uint64_t version);
/* History tells all gateways, beside the log */
void fake_announce(struct fake *f, const char *channel, const char *user, Parley__V1__Role role, uint64_t seq,
                   uint64_t version);
/* The stream is lost and made anew, far above, now */
void fake_new_stream(struct fake *f);
/* The client got this event, live or in a replay */
bool fake_saw(struct fake_client *c, const char *channel, uint64_t seq);
/* History has taken it out of the log */
void fake_remove(struct fake *f, uint64_t seq);
void fake_trim(struct fake *f, uint64_t below_seq);

/* Clients */
struct fake_client *fake_connect(struct fake *f, const char *user, enum encoding encoding);
struct fake_client *fake_connect_raw(struct fake *f, enum encoding encoding, bool plain);
char *fake_token(struct fake *f, const char *user); /* malloc'ed */
void fake_client_send(struct fake_client *c, const Parley__V1__ClientFrame *frame);
void fake_client_text(struct fake_client *c, const char *text);
uint32_t fake_client_message(struct fake_client *c, const char *channel, const char *id, const char *content,
                             bool retry);
void fake_client_resume(struct fake_client *c, const char *channel, uint64_t epoch, uint64_t seq);
void fake_client_drop(struct fake_client *c);
struct fake_view *fake_view(struct fake_client *c, const char *channel);
/* The frame that answers this ref; NULL: none yet. More than one is a failure. */
const Parley__V1__ServerFrame *fake_answer(const struct fake_client *c, uint32_t ref);
const Parley__V1__ServerFrame *fake_last(const struct fake_client *c, Parley__V1__ServerFrame__BodyCase body);
unsigned fake_count(const struct fake_client *c, Parley__V1__ServerFrame__BodyCase body);
/* The view holds every event of the channel above its start, in order, once */
/* n events, the first of them right above this sequence of a log that only has this channel */
void fake_check_view_from(struct fake_client *c, const char *channel, uint64_t above, size_t n);
void fake_check_complete(struct fake_client *c, const char *channel);
void fake_uuid(struct fake *f, char ret[37]);

extern const struct transport fake_transport;
void fake_clients_free(struct fake *f);

/* A presence service (gateway_fake_presence.c). Users are known by fake_presence_set; who may see whom is told by pairs. */
enum { FAKE_USERS = 4000 };
struct fake_presence_user {
        char id[IDENT_MAX + 1];
        Parley__V1__UserPresence__Availability availability;
        uint64_t version;
        bool invisible;
};
struct fake_presence {
        struct fake *f;
        struct fake_presence_user users[FAKE_USERS];
        size_t n_users;
        char hidden[16][2][IDENT_MAX + 1]; /* viewer, user: may not be seen */
        size_t n_hidden;
        char members[600][IDENT_MAX + 1]; /* of every channel, in a list */
        size_t n_members;
        uint32_t counted, online; /* instead of a list */
        char source[16];
        uint64_t counter, version;
        unsigned n_queries, n_pairs, n_left; /* n_left: of the last question */
        const char *behind; /* it has not heard yet that this user left a channel; NULL: of all it has */
        bool behind_all;
        const char *refused; /* it knows of nobody in this channel; NULL: none */
        bool down;
        bool hold; /* answers are under way until fake_presence_release: they say what was true when they were asked for */
        struct fake_held *held, **last_held;
        unsigned n_held;
};
/* Becomes f->presence; freed with fake_presence_free */
struct fake_presence *fake_presence_new(struct fake *f);
void fake_presence_free(struct fake_presence *p);
/* A new state; told: with a message of its own, at once */
void fake_presence_set(struct fake_presence *p, const char *user, Parley__V1__UserPresence__Availability availability,
                       bool told);
void fake_presence_hide(struct fake_presence *p, const char *viewer, const char *user);
/* A message without changes, but with this one regrouped (NULL: nobody) */
void fake_presence_speak(struct fake_presence *p, const char *regrouped);
/* A message without changes, but that who may see whom has changed for all */
void fake_presence_regroup_all(struct fake_presence *p);
void fake_presence_count(struct fake_presence *p, const char *channel, uint32_t members, uint32_t online);
/* The first n of the answers that are held come with the next fake_run; error: as this instead. True: there were some. */
bool fake_presence_release(struct fake_presence *p, unsigned n, int error);
