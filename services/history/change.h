/* One change of a channel and of members: a transaction with its events in the outbox, then the wait until it is in force. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ident.h"
#include "history/env.h"
#include "history/waiters.h"
#include "parley/v1/event.pb-c.h"

enum change_outcome {
        CHANGE_IN_FORCE, /* published, and confirmed by every gateway */
        CHANGE_ACCEPTED, /* committed: will be published, or is and not every gateway has said so */
        CHANGE_CONFLICT, /* somebody changed the same meanwhile (or the new channel's id is taken): nothing was done */
        CHANGE_UNAVAILABLE, /* nothing was done */
        CHANGE_UNKNOWN,     /* may have been done */
};

enum { CHANGE_NAME_MAX = 128 };

struct change_member {
        char user_id[IDENT_MAX + 1];
        char name[CHANGE_NAME_MAX + 1]; /* empty: not known */
        Parley__V1__Role role;          /* the new one; none: leaves */
        uint64_t version;               /* the one it had; 0: there was no row */
        bool joins;                     /* was no member: MemberJoined, else MemberChanged */
        bool removed;                   /* leaves, by somebody else */
        bool was_owner; /* and is none any more: refused as a conflict where others would be left without one */
        uint64_t seq;   /* of its event, once it is published */
};

struct change;
typedef void (*change_done)(struct change *c, enum change_outcome outcome, void *userdata);

/* The channel as it is, or is to be. `created`: it must not exist. `changed`: its row is written and a ChannelChanged published; the
 * version in it is the new one. Otherwise version is the one that must still be there. Texts are copied. NULL without memory. */
struct change *change_new(struct env *env, const Parley__V1__Channel *channel, bool created, bool changed,
                          const char *actor_id);
/* 0 or -ENOMEM */
int change_add_member(struct change *c, const struct change_member *member);
/* 0, and done is called exactly once, later; the change lives until change_free, which may be called from there. Or -ENOMEM, and done
 * is not called. */
int change_run(struct change *c, change_done done, void *userdata);
void change_free(struct change *c);
const Parley__V1__Channel *change_channel(const struct change *c);
const struct change_member *change_members(const struct change *c, unsigned *ret_n);
