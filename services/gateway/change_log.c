#include "gateway/change_log.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

/* Lists by the hash of the user: unlike a table that grows, they cannot run out of memory, and a removal must not depend on it */
#define N_LISTS CHANGES_MAX

struct change_log {
        uint64_t now_ms, last; /* last: number, in units of CHANGES_MAX */
        uint64_t lost_ms;      /* the unsettled ones that had to go would have counted until then */
        uint64_t gone_ms;      /* the settled removals */
        unsigned n;            /* places that were ever taken */
        struct change *all, *settled, *unsettled, *unused;
        struct change *of[N_LISTS];
        struct change places[CHANGES_MAX];
};

struct change_log *change_log_new(void)
{
        return calloc(1, sizeof(struct change_log));
}

void change_log_free(struct change_log *log)
{
        free(log);
}

static unsigned list_of(const char *user_id)
{
        unsigned hash;

        HASH_VALUE(user_id, strlen(user_id), hash);
        return hash % N_LISTS;
}

/* --- places --- */

/* Now it is the last one heard of */
static void change_link(struct change_log *log, struct change *c)
{
        DL_PREPEND(log->all, c);
        if (c->settled)
                DL_PREPEND2(log->settled, c, prev_in, next_in);
        else
                DL_PREPEND2(log->unsettled, c, prev_in, next_in);
}

static void change_unlink(struct change_log *log, struct change *c)
{
        DL_DELETE(log->all, c);
        if (c->settled)
                DL_DELETE2(log->settled, c, prev_in, next_in);
        else
                DL_DELETE2(log->unsettled, c, prev_in, next_in);
}

static void place_free(struct change_log *log, struct change *c)
{
        change_unlink(log, c);
        DL_DELETE2(log->of[list_of(c->user_id)], c, prev_of, next_of);
        c->number = 0;
        LL_PREPEND(log->unused, c);
}

/* utlist: the last one is before the first */
static void place_clear(struct change_log *log)
{
        struct change *c = log->settled ? log->settled->prev_in : log->unsettled->prev_in;
        uint64_t *until = c->settled ? &log->gone_ms : &log->lost_ms;

        if (c->role == PARLEY__V1__ROLE__none && c->at_ms + CHANGES_KEEP_MS > *until)
                *until = c->at_ms + CHANGES_KEEP_MS;
        place_free(log, c);
}

static struct change *place_take(struct change_log *log)
{
        struct change *c;

        if (!log->unused && log->n < CHANGES_MAX)
                return &log->places[log->n++];
        if (!log->unused)
                place_clear(log);
        c = log->unused;
        LL_DELETE(log->unused, c);
        return c;
}

unsigned change_log_time(struct change_log *log, uint64_t now_ms)
{
        unsigned n_unheard = 0;

        log->now_ms = now_ms;
        while (log->all && now_ms - log->all->prev->at_ms > CHANGES_KEEP_MS) {
                n_unheard += log->all->prev->unheard && !log->all->prev->settled;
                place_free(log, log->all->prev);
        }
        return n_unheard;
}

/* --- changes --- */

const struct change *change_log_next(const struct change_log *log, const char *user_id, const struct change *after)
{
        const struct change *c = after ? after->next_of : log->of[list_of(user_id)];

        while (c && strcmp(c->user_id, user_id) != 0)
                c = c->next_of;
        return c;
}

static struct change *find(const struct change_log *log, const char *user_id, const char *channel_id)
{
        const struct change *c = NULL;

        do {
                c = change_log_next(log, user_id, c);
        } while (c && strcmp(c->channel_id, channel_id) != 0);
        return (struct change *)c;
}

const struct change *change_log_find(const struct change_log *log, const char *user_id, const char *channel_id)
{
        return find(log, user_id, channel_id);
}

static void change_add(struct change_log *log, const struct change *heard)
{
        struct change *c = place_take(log);

        *c = *heard;
        c->number = ++log->last * CHANGES_MAX + (uint64_t)(c - log->places);
        DL_PREPEND2(log->of[list_of(c->user_id)], c, prev_of, next_of);
        change_link(log, c);
}

/* The same change, heard of in another way */
static void change_again(struct change_log *log, struct change *c, const struct change *heard)
{
        if (heard->joined) {
                c->joined = true;
                c->from_seq = heard->from_seq;
                c->from_version = heard->from_version;
        }
        if (heard->seq > c->seq)
                c->seq = heard->seq;
        c->at_ms = heard->at_ms;
        change_unlink(log, c);
        change_link(log, c);
}

/* The change after it */
static void change_follow(struct change_log *log, struct change *c, const struct change *heard)
{
        struct change next = *heard;

        if (!heard->joined && heard->role != PARLEY__V1__ROLE__none && c->role != PARLEY__V1__ROLE__none &&
            heard->version == c->version + 1) {
                next.joined = c->joined;
                next.from_seq = c->from_seq;
                next.from_version = c->from_version;
        }
        place_free(log, c);
        change_add(log, &next);
}

void change_log_take(struct change_log *log, const struct change *heard)
{
        struct change *c;

        (void)change_log_time(log, heard->at_ms);
        c = find(log, heard->user_id, heard->channel_id);
        if (!c)
                change_add(log, heard);
        else if (heard->version == c->version && heard->role == c->role)
                change_again(log, c, heard);
        else if (heard->version >= c->version)
                change_follow(log, c, heard);
}

const struct change *change_log_last(const struct change_log *log)
{
        return log->all;
}

const struct change *change_log_unsettled(const struct change_log *log)
{
        return log->unsettled;
}

void change_log_settle(struct change_log *log, uint64_t number)
{
        struct change *c = &log->places[number % CHANGES_MAX];

        if (c->number != number || c->settled)
                return;
        DL_DELETE2(log->unsettled, c, prev_in, next_in);
        DL_PREPEND2(log->settled, c, prev_in, next_in);
        c->settled = true;
}

void change_log_unheard(struct change_log *log, uint64_t number)
{
        struct change *c = &log->places[number % CHANGES_MAX];

        if (c->number == number)
                c->unheard = true;
}

/* They stand in the order of their settling, behind those that were not settled */
void change_log_unsettle(struct change_log *log)
{
        struct change *c, *next;

        if (log->gone_ms > log->lost_ms)
                log->lost_ms = log->gone_ms;
        for (c = log->settled; c; c = next) {
                next = c->next_in;
                if (c->role != PARLEY__V1__ROLE__none)
                        continue;
                DL_DELETE2(log->settled, c, prev_in, next_in);
                DL_APPEND2(log->unsettled, c, prev_in, next_in);
                c->settled = false;
        }
}

bool change_log_lost(const struct change_log *log)
{
        return log->now_ms < log->lost_ms;
}
