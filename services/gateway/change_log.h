/* The newest change of each membership that was heard of within CHANGES_KEEP_MS; changes.c says what is made of it.
 *
 * A newer change of the same membership takes the place of the older one, so that whoever leaves and joins all the time has one place.
 * At CHANGES_MAX memberships a new one takes the place of the oldest settled one. Only where none is settled it takes that of an unsettled one: then
 * it is not known any more that presence may not have heard of that one, which change_log_lost tells for as long as it would have
 * counted. Memory is taken once, for all. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ident.h"
#include "parley/v1/event.pb-c.h"

#define CHANGES_MAX 4096
#define CHANGES_KEEP_MS 60000

struct change {
        struct change *prev, *next;       /* of all: the last one heard of first */
        struct change *prev_in, *next_in; /* of those that are settled, or not */
        struct change *prev_of, *next_of; /* of the same hash of the user */
        uint64_t number;                  /* of all there ever were; 0: none is here */
        uint64_t at_ms;                   /* heard of last */
        uint64_t seq, version;
        /* Role changes without a gap in their versions are one stay: the first of them, or the event with which the stay began */
        uint64_t from_seq, from_version;
        bool joined;  /* it did begin there; else what was before is not known */
        bool settled; /* no removal, or presence has heard of it */
        bool unheard; /* presence was asked, and had not */
        Parley__V1__Role role;
        char user_id[IDENT_MAX + 1];
        char channel_id[IDENT_MAX + 1];
};

struct change_log;

struct change_log *change_log_new(void); /* NULL: no memory */
void change_log_free(struct change_log *log);
/* What is too old is forgotten. Returns how many of these are removals of which presence was asked, and is not known to have heard. */
unsigned change_log_time(struct change_log *log, uint64_t now_ms);
/* Heard at heard->at_ms: replaces an older one, adds to the same one, or is itself too old */
void change_log_take(struct change_log *log, const struct change *heard);
/* NULL: there is none. Pointers are good until the next change_log_time or change_log_take. */
const struct change *change_log_find(const struct change_log *log, const char *user_id, const char *channel_id);
/* All of a user, in no order; after: the last one returned, NULL at first */
const struct change *change_log_next(const struct change_log *log, const char *user_id, const struct change *after);
/* The last one heard of, of all (the others follow by `next`), or of those that are not settled (by `next_in`) */
const struct change *change_log_last(const struct change_log *log);
const struct change *change_log_unsettled(const struct change_log *log);
void change_log_settle(struct change_log *log, uint64_t number);
void change_log_unheard(struct change_log *log, uint64_t number);
/* No removal is settled any more, also of those that had to go */
void change_log_unsettle(struct change_log *log);
/* There were unsettled ones, not too old yet, that had to go */
bool change_log_lost(const struct change_log *log);
