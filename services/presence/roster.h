/* Who is here, as others see it: from what gateways say, what users say of themselves, and who shares a channel. Pure.
 *
 * The clock is given with roster_time. The time that gateways are silent, and that users are gone, is counted only while they could be heard:
 * not while this process stood still, nor while NATS was away. What has changed is collected with roster_changes, once for all changes of a user since
 * the last time. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/codes.h"
#include "parley/v1/event.pb-c.h"
#include "parley/v1/presence.pb-c.h"
#include "presence/people.h"
#include "presence/sources.h"

struct roster_options {
        uint64_t grace_ms;  /* after a close, before a device is gone, or its user offline */
        uint64_t silent_ms; /* of a gateway: then its users are offline */
        uint64_t count_ms;  /* a channel's count is told at most this often */
        uint32_t list_max;  /* members; larger channels have counts */
        unsigned gateways_max;
        uint64_t read_ms;                                    /* roster_time is called at least that often */
        bool last_seen;                                      /* is remembered and told at all */
        void (*ask)(const char *gateway_id, void *userdata); /* a snapshot is wanted */
        /* A user's last seen changed, and is to be written: roster_record of him, within the minute */
        void (*store)(const char *user_id, void *userdata);
        void *userdata; /* of `store` */
};

struct roster {
        struct roster_options options;
        struct wheel *wheel;
        struct people people;
        struct sources sources;
        uint64_t now_ms;
        uint64_t
                lived_ms; /* the same without the times in which nobody could be heard: sources and the wheel count in it */
        uint64_t held_until_ms; /* until then it stands still: what was missed is still to come in */
        uint64_t doubt_ms;      /* since when all gateways are asked, or the start */
        int64_t wall_s,
                skew_s; /* skew: of the wall clock against lived_ms, as the ends of statuses were armed with it */
        bool deaf;
        bool begun; /* it was known once what there is: all gateways since were heard of */
        uint64_t version;
        struct person *dirty_first, *dirty_last; /* in the order of their first change */
        uint64_t dirty_since_ms;                 /* since when there are any */
        struct place *places_dirty;
        unsigned n_dirty;
        bool regrouped_all; /* a channel was opened to everyone, or is no more */
};

int roster_new(struct roster **ret_roster, uint64_t now_ms, int64_t wall_s, const struct roster_options *options);
void roster_free(struct roster *r);
/* To be called before all others of a turn of the loop; runs what is due. True: this process stood still, and all gateways were asked again. */
bool roster_time(struct roster *r, uint64_t now_ms, int64_t wall_s);
/* Nobody can be heard, until roster_doubt */
void roster_deaf(struct roster *r);
/* Messages may have been lost: all gateways are asked again. hold: so many that nobody's time goes on until they had time to answer. */
void roster_doubt(struct roster *r, bool hold);
/* What is here is what there is: the gateways have answered, or had their time to. It is so at the earliest when all could be heard of. */
bool roster_known(const struct roster *r);

/* --- what is heard: 0, or negative errno when it could not be taken in --- */
int roster_report(struct roster *r, const Parley__V1__GatewayPresence *m);
void roster_alive(struct roster *r,
                  const char *gateway_id); /* gateway.alive: asked for a snapshot when it is not known */
int roster_memberships(struct roster *r, const char *user_id, const Parley__V1__Memberships *list); /* NULL: none */
int roster_everyone(struct roster *r, const char *channel_id, bool everyone);
/* record: NULL: none. One that is older than what is known, by its revision, is passed over: it was on its way while another was written. */
int roster_record(struct roster *r, const char *user_id, const Parley__V1__PresenceRecord *record, uint64_t revision);
/* A status that was checked, in force at once */
int roster_status(struct roster *r, const char *user_id, const Parley__V1__Status *status);
/* Before `invisible` is written of him: whoever sees him is to see what he would see of one who leaves, last seen now */
void roster_vanish(struct roster *r, const char *user_id);
/* `store` again for whoever is gone, and is not known to be written: another instance may have died with it, or it failed */
void roster_store(struct roster *r);
/* A record was written by ourselves */
void roster_written(struct roster *r, const char *user_id, uint64_t revision);
/* The bucket is read anew, and may be another one, whose revisions begin again */
void roster_forget_revisions(struct roster *r);
void roster_forget_revision(struct roster *r, const char *user_id);
/* What has to be in the bucket for roster_record of him to be its successor; 0: nothing */
uint64_t roster_revision(const struct roster *r, const char *user_id);

/* --- what is told --- */

/* One user, with the memory that his description takes. Texts are the roster's: valid until the next call that changes it. */
struct shown {
        Parley__V1__PresenceChange change;
        Parley__V1__UserPresence user;
        Parley__V1__Device devices[4];
        Google__Protobuf__Timestamp status_until, last_seen;
        bool news; /* of what has changed: others see something else */
};

/* What has changed; as above */
struct tidings {
        Parley__V1__PresenceChanges message; /* source and counter are the caller's */
        struct shown *shown;
        Parley__V1__PresenceChange **changes;
        Parley__V1__ChannelCount *counts, **count_list;
        char **regrouped;
        unsigned max;
};

/* max: users, and channels, in one message. 0, -ENOMEM */
int tidings_init(struct tidings *t, unsigned max);
void tidings_done(struct tidings *t);
/* Takes what has changed, up to max. False: nothing has. What it points to is there until roster_told. */
bool roster_changes(struct roster *r, struct tidings *t);
/* They were told: whoever, and whatever channel, was only kept for that is forgotten. Empties them. */
void roster_told(struct roster *r, struct tidings *t);
/* Forgets what has changed: nobody is to be told */
void roster_discard(struct roster *r);

/* --- what is asked --- */

#define ROSTER_QUERY_MAX 500
#define ROSTER_SIGHTS_MAX 4096 /* users of all sights */
#define ROSTER_LEFT_MAX 256

struct answer {
        Parley__V1__PresenceAnswer message; /* source and counter are the caller's */
        struct shown *shown;
        Parley__V1__PresenceChange **users;
        char **hidden;
        protobuf_c_boolean *visible;
        uint32_t *behind;
};

/* PARLEY_OK with an answer that is to be done with; its hidden ids are those of the query. Else what is wrong, in words. */
enum parley_code roster_query(struct roster *r, const Parley__V1__PresenceQuery *q, struct answer *ret,
                              const char **ret_why);
void answer_done(struct answer *a);

/* How far the sights of a question are answered */
struct sights_at {
        size_t sight, user, n; /* n: pairs, in all */
};
/* Goes through at most max pairs of them, from *at on, into ret[at->n…]. True: these were the last. */
bool roster_sights(const struct roster *r, const Parley__V1__PresenceQuery *q, struct sights_at *at,
                   protobuf_c_boolean *ret, size_t max);
/* Which of the leavings that a question names are not in what the buckets gave so far, as places in q->left: to be asked for before the sights,
 * which may take some turns. Returns their number; ret: room for all of them. */
size_t roster_behind(const struct roster *r, const Parley__V1__PresenceQuery *q, uint32_t *ret);
/* How many pairs a question asks for; what is wrong with them, or NULL */
const char *roster_sights_check(const Parley__V1__PresenceQuery *q, size_t *ret_n);

/* What the bucket is to hold of a user */
struct record {
        Parley__V1__PresenceRecord message;
        Parley__V1__Status status;
        Google__Protobuf__Timestamp mode_until, text_until, last_seen;
};
void roster_to_record(const struct roster *r, const char *user_id, struct record *ret);

/* A channel has a list of who is there, not only a count */
bool roster_listed(const struct roster *r, const struct place *c);
/* Forgets one of whom nothing is left to know */
void roster_drop(struct roster *r, struct person *who);
