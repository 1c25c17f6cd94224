/* Who there is, and who shares a channel with whom: the buckets MEMBERS and CHANNELS, mirrored in as few bytes as they take. Pure.
 *
 * Users and channels are numbered; a membership is 4 bytes with the user and 4 with the channel. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "base/ident.h"
#include "base/wheel.h"
#include "parley/v1/event.pb-c.h"

struct report;
struct status;

struct people;

/* Kinds of devices that are connected, as bits, and that one of them is in use */
enum { PERSON_DEVICES = 15, PERSON_ACTIVE = 16, PERSON_BITS = 5 };

/* One user. roster.c owns all from `reports` on. */
struct person {
        UT_hash_handle hh;
        struct people *people;
        uint32_t *channels; /* sorted: number of the channel * 2, + 1 where he has left or was removed */
        uint32_t n_channels;
        uint32_t number;
        struct report *reports; /* what gateways have of him; NULL: not connected */
        struct status *status;  /* NULL: none */
        struct wheel_timer
                grace; /* armed: something went a moment ago, and is shown still; until the first of it ends */
        struct person *next_dirty; /* of those that have changed */
        uint64_t version;
        uint64_t revision;      /* of his record in the bucket, as far as is known; 0: none */
        uint32_t last_seen_min; /* unix minutes; 0: not known */
        uint32_t wrote_min;     /* the one that the bucket brought: it is stored */
        uint32_t closed_min;    /* when his last connection closed */
        uint16_t ends[5];       /* what is in `held` and not in `reported`: when it ends, in roster.c's ticks */
        uint8_t reported;       /* PERSON_*: as gateways have it */
        uint8_t held;           /* with what went a moment ago */
        uint8_t shown;          /* UserPresence.Availability, as others see it */
        uint8_t shown_devices;
        bool connected : 1; /* as it was when others last could see something else, or he himself */
        bool dirty : 1, regrouped : 1;
        bool news : 1; /* with dirty: others see something else */
        char id[];
};

/* One channel that somebody is in */
struct place {
        UT_hash_handle hh;
        uint32_t *members; /* numbers of persons, in no order */
        uint32_t n_members, cap_members;
        uint32_t number;
        uint32_t n_online;          /* of the members; not kept for those open to everyone */
        uint32_t n_excluded;        /* who left, which counts where it is open to everyone */
        uint32_t n_excluded_online; /* of those */
        uint64_t counted_ms;        /* when its count was told last */
        struct place *next_dirty;
        bool everyone : 1, dirty : 1;
        char id[];
};

struct people {
        struct person *by_id, **persons; /* hash; by number, NULL where it is free */
        struct place *places, **by_number;
        uint32_t n_persons, cap_persons, free_person; /* free_person: where to look for a free number */
        uint32_t n_places, cap_places, free_place;
        uint32_t *everyone; /* numbers of channels open to everyone */
        uint32_t n_everyone, cap_everyone;
        uint32_t n_online; /* persons that are not shown offline */
};

void people_init(struct people *p);
void people_done(struct people *p);
struct person *people_find(const struct people *p, const char *user_id);
/* Finds or adds. NULL: no memory */
struct person *people_get(struct people *p, const char *user_id);
/* Forgets one who is in no channel and has no `reports` nor `status` */
void people_forget(struct people *p, struct person *who);
struct place *people_place(const struct people *p, const char *channel_id);

/* All memberships of a user, instead of those that are known. *ret_changed: there was a difference. 0, -ENOMEM (nothing changed) */
int people_set(struct people *p, struct person *who, const Parley__V1__Memberships *list, bool *ret_changed);
/* Whether a channel is open to everyone; *ret_changed: it was not so before. 0, -ENOMEM */
int people_set_everyone(struct people *p, const char *channel_id, bool everyone, bool *ret_changed);
/* Forgets a channel that nobody is in, or has left; not while it is dirty */
void people_prune(struct people *p, struct place *c);
/* A person is shown, or is not any more: the counts of his channels follow. Calls changed for each channel that is in the table. */
void people_online(struct people *p, struct person *who, bool online,
                   void (*changed)(struct place *place, void *userdata), void *userdata);

/* who may be NULL: a user of whom nothing is known yet, as one who has just come, is in the channels that are open to everyone */
bool people_is_member(const struct person *who, const struct place *place);
/* Whether one may see the other: the one function that decides. viewer as above; nobody sees NULL.
 * Takes about as many steps as the one in fewer channels has of them, at most as many as both have. */
bool people_may_see(const struct people *p, const struct person *viewer, const struct person *who);
uint32_t people_members(const struct people *p, const struct place *place);
uint32_t people_members_online(const struct people *p, const struct place *place);
