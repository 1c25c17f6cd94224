/* A user with at least one session here: his memberships and his rate, shared by his sessions. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "base/ident.h"
#include "base/ratelimit.h"
#include "gateway/core.h"
#include "parley/v1/event.pb-c.h"

/* A membership, or its end: those with role none stay, so that an older message cannot undo them. */
struct member {
        struct channel *channel; /* a reference */
        uint64_t version;
        uint64_t since_seq, left_seq;
        uint8_t role; /* Parley__V1__Role */
        bool had_absence;
        bool left_himself; /* role none: nobody removed him */
};

struct user {
        struct core *core;
        struct session *sessions;
        unsigned n_sessions;
        struct member *members;
        unsigned n_members, cap_members;
        uint64_t list_version; /* of the newest Memberships applied */
        struct bus_sub *sub;
        struct ratelimit messages, openings;
        uint64_t hinted_ms; /* until when retries of refused messages were told to wait */
        struct gate_item gate;
        struct wheel_timer expiry;          /* to be dropped */
        struct wheel_timer retry;           /* to be read again */
        struct user *here_prev, *here_next; /* in core->here.dirty */
        struct typed *typed;                /* where he writes; NULL: nowhere so far */
        uint64_t activity_ms;               /* so often was he told of as active or not that this would be the time */
        uint8_t here_told;                  /* what presence knows of him */
        bool here_dirty;
        bool here_left; /* a session that was in use has ended since he was told of */
        bool loaded;
        bool loading; /* behind the gate */
        bool load_again;
        UT_hash_handle hh;
        char id[IDENT_MAX + 1];
};

/* What a message says of a membership */
struct member_change {
        Parley__V1__Role role;
        uint64_t version, since_seq, left_seq;
        bool had_absence, left_himself;
};

/* Puts the session under its user, who is loaded if need be; then session_advance is called. PARLEY_RATE_LIMITED: too many sessions,
 * or, with *ret_wait_ms above 0, opened too fast. */
int user_attach(struct core *core, const char *user_id, struct session *s, uint32_t *ret_wait_ms);
void user_detach(struct session *s);
struct user *user_find(struct core *core, const char *user_id);
struct member *user_member(struct user *u, const struct channel *c);
/* The event that begins the present stay has not been reached, or is not even known: nothing is due to the member yet */
bool member_joining(const struct member *m, const struct channel *c);
/* The same, when that event's sequence is not known */
bool member_join_unknown(const struct member *m);
/* The role that counts now */
Parley__V1__Role user_role(struct user *u, const struct channel *c);
/* Applies a newer state of one membership to permissions and sessions; an older one changes nothing. Without memory all is read again. */
void user_apply(struct user *u, struct channel *c, const struct member_change *change);
/* Applies a whole list, unless it is older than the last */
void user_apply_list(struct user *u, const Parley__V1__Memberships *list);
/* The roles in this channel may have changed: links are made and removed */
void user_relink(struct user *u, struct channel *c);
/* The same for one session, which may be closed by it */
void user_relink_session(struct user *u, struct session *s, struct channel *c);
/* All of MEMBERS is read again */
void user_reload(struct user *u);
/* The same, soon: there was no memory for something that was told of this user */
void user_missed(struct user *u);
void user_free(struct user *u);
