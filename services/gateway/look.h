/* Whom sessions look at: users that they watch, and channels that they have in focus. Core: no clock of its own, no network.
 *
 * A user who is watched is a `seen`, however many watch him: his state is kept once, by the version that presence gave it. Each watcher
 * has an edge to him, which knows whether the watcher may see him; that, presence decides (look_ask.c). A channel in focus is a
 * `place`, with its members where it is small, its count else, and those who write there (typing.c).
 *
 * Nobody is told at once: look_tell.c collects what has changed for a session, and tells it once a second; look_frame.c makes what is told,
 * once for all who get the same. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "base/ident.h"
#include "base/wheel.h"
#include "gateway/core.h"
#include "gateway/frame.h"
#include "gateway/gate.h"
#include "parley/v1/presence.pb-c.h"

struct session;
struct user;
struct channel;
struct look;
struct typing;
struct ask;

/* A list that knows its items by their place in it; an item that is in none has no `next` */
struct ring {
        struct ring *prev, *next;
};
static inline void ring_init(struct ring *head)
{
        head->prev = head->next = head;
}
static inline bool ring_holds(const struct ring *item)
{
        return item->next != NULL;
}
static inline void ring_add(struct ring *head, struct ring *item)
{
        if (item->next)
                return;
        item->prev = head->prev;
        item->next = head;
        head->prev->next = item;
        head->prev = item;
}
static inline void ring_remove(struct ring *item)
{
        if (!item->next)
                return;
        item->prev->next = item->next;
        item->next->prev = item->prev;
        item->prev = item->next = NULL;
}
#define RING_OWNER(item, type, member) ((type *)((char *)(item)-offsetof(type, member)))

/* Somebody's place in a list of those who look; index: of the edge */
struct look_ref {
        struct look *look;
        uint32_t index;
};
struct look_refs {
        struct look_ref *refs;
        uint32_t n, cap;
};

/* What others see of a user */
struct seen_state {
        int64_t status_until_s, last_seen_s; /* 0: none */
        char *text, *emoji;                  /* one allocation; NULL: both are empty */
        uint8_t availability;
        uint8_t devices; /* bits */
        bool invisible;  /* he himself is told so */
};

struct seen {
        UT_hash_handle hh;
        struct look_refs by;        /* watchers */
        struct resident *residents; /* list: of places where he is a member */
        uint64_t version;           /* of the state, within one life of the source */
        uint64_t since;             /* what was heard then; changes before it were not for him */
        uint32_t generation;        /* which life; 0: no state is known */
        uint32_t mark, slot;        /* in a pass over many: seen in it, and where */
        uint32_t holds;             /* he is about to be watched */
        uint32_t fresh;             /* looks->epoch: nothing of him can have been missed */
        struct seen_state state;
        char id[];
};

/* A member of a place with a list */
struct resident {
        struct seen *seen; /* NULL: gone */
        struct place *place;
        struct resident *prev, *next; /* of `seen` */
        uint32_t changed;             /* place->changes then */
};

enum place_kind { PLACE_UNKNOWN, PLACE_LISTED, PLACE_COUNTED };

struct place {
        UT_hash_handle hh; /* by channel */
        struct core *core;
        struct channel *channel; /* a reference */
        struct look_refs by;
        struct resident *residents;
        uint32_t n_residents;
        uint32_t members, online;
        uint32_t changes; /* counts changes of residents */
        uint8_t kind;
        bool asking;                      /* behind the gate, or under way */
        bool failed;                      /* there was no answer to the last question */
        bool unlisted;                    /* there is a list, and no room for it, or doubt: it is counted instead */
        bool unsure;                      /* to be asked again once the answer is there */
        bool held;                        /* its looks are being gone through */
        struct frame *shown[_ENCODING_N]; /* its description, for all but the invisible; NULL: to be made */
        uint64_t asked_ms, moved_ms;      /* the last question; the last change of membership */
        struct gate_item gate;
        struct wheel_timer timer; /* the next question */
        struct bus_sub *typing_sub;
        struct typing *typing; /* NULL: nobody writes */
};

enum sight { SIGHT_UNKNOWN, SIGHT_HIDDEN, SIGHT_VISIBLE };

/* For a change of membership to have reached presence, as it mostly has; else it is asked again after as long */
enum { LOOK_LATER_MS = 1500 };

enum {
        EDGE_ASK = 1,   /* to be asked */
        EDGE_ASKED = 2, /* under way */
        EDGE_LATER = 4, /* to be asked when presence can have heard of the change */
        EDGE_DOUBT = 8, /* the right to see may be gone: nothing is told until it was asked, but that he is hidden */
        EDGE_NEWS = 16, /* something is to be told */
};

struct watch_edge {
        struct seen *seen;
        uint32_t at; /* in seen->by */
        uint8_t sight;
        uint8_t flags;
};

struct focus_edge {
        struct place *place; /* NULL: left */
        uint32_t at;         /* in place->by */
        uint32_t told;       /* place->changes, as told */
        uint64_t told_ms;
        bool due;   /* a channelPresence is */
        bool begun; /* one was sent */
        bool again; /* and another one after it */
};

/* What one session looks at */
struct look {
        struct session *session;
        struct ring all, telling, asking, later; /* in those of `looks` */
        uint64_t due_tick;                       /* in `telling`: when it is looked at */
        struct watch_edge *edges;
        struct focus_edge *focus;
        uint32_t n_edges, n_focus;
        uint32_t generation;            /* of `edges` */
        uint32_t pending;               /* edges whose sight is unknown */
        uint32_t epoch;                 /* of `looks`: everything was asked again then */
        uint32_t mark;                  /* in a pass over many: its user is one of them */
        uint32_t news_first, news_last; /* edges with EDGE_NEWS are among these; first above last: none */
        bool snapshot_due;
        uint64_t snapshot_ms;                /* since then */
        uint64_t told_ms, news_ms, later_ms; /* the last `presence`; the first news since, 0: none */
        uint64_t news_by_ms;                 /* when these are to be told; only ever sooner */
        uint64_t described_ms; /* so many descriptions of channels were told that this would be the time */
        size_t bytes;
};

/* Some users in the order of their addresses, and what is told of them */
enum { SHARED_USERS = 8, SHARED_FRAMES = 64 };
struct shared_frame {
        struct frame *frame; /* NULL: none */
        uint64_t stamp;      /* looks->stamp then */
        uint8_t n, encoding;
        const struct seen *users[SHARED_USERS];
};

/* Somebody who is in a frame that is being made */
struct found {
        struct seen *who;
        bool hidden;
};

/* When looks are told: at a tick, or as soon as it is their turn (look_tell.c) */
enum { TELL_TICK_MS = 50, TELL_TICKS = 128 };
/* The present second, and the five before it */
enum { CHANGES_S = 6 };
struct calendar {
        struct ring ticks[TELL_TICKS], due;
        uint64_t tick;     /* the last that is over */
        unsigned n, n_due; /* looks in it, and in `due` */
        struct wheel_timer timer;
        /* how much there is to tell: news a second, by the last seconds, and since `since_ms` */
        uint64_t since_ms;
        unsigned news, per_s;
        /* how many of those who are looked at have changed in each of the last seconds, and until when that is too many to wait for long */
        unsigned changes[CHANGES_S];
        uint64_t second, storm_until_ms;
};

/* All of a gateway */
struct looks {
        struct core *core;
        unsigned n; /* looks */
        struct seen *seen;
        struct place *places;
        size_t bytes;
        uint32_t mark;
        uint32_t epoch;      /* counts how often everything was asked again */
        uint32_t generation; /* of the source */
        char source[IDENT_MAX + 1];
        char speaker[IDENT_MAX + 1]; /* the last source, also while nobody listened */
        uint32_t speakers;           /* counts how often that became another one */
        uint64_t counter;            /* last heard */
        uint64_t missed;             /* what an answer of a lower counter says may have changed unheard */
        uint64_t taking;             /* the counter of the answer that is being taken in; UINT64_MAX: it is news */
        bool heard;                  /* of `source` */
        bool resync_again;           /* something was missed while everything was being asked again */
        bool failed;                 /* a question about a channel was, since something was heard */
        struct bus_sub *sub;
        struct calendar telling;
        struct ring all, queue, later; /* looks: each, with something to ask, with something to ask later */
        struct wheel_timer later_timer, retry_timer, resync_timer;
        struct found *found; /* scratch */
        size_t cap_found;
        uint64_t stamp;   /* counts changes of what anybody is seen as */
        uint64_t encoded; /* counts users in frames that were made */
        struct shared_frame shared[SHARED_FRAMES];
        struct ask *asking; /* the question under way */
        uint64_t resynced_ms, moved_ms;
        struct gate gate; /* questions about places */
};

/* --- life (look.c) --- */
/* More, or less, memory is held */
void looks_charge(struct looks *all, ptrdiff_t bytes);
/* What the session looks at; made when it is not there yet. NULL: no memory */
struct look *look_get(struct session *s);
/* The session ends */
void look_free(struct session *s);
void looks_free(struct core *core);
/* Replace what is looked at. 0; -ENOMEM, PARLEY_UNAVAILABLE (too much is held already): nothing has changed. Ids are valid. */
int look_watch(struct look *l, char *const *user_ids, size_t n);
int look_focus(struct look *l, struct channel *const *channels, size_t n);
/* The session's user is no member of this channel any more */
void look_left(struct session *s, struct channel *c);
/* Somebody's membership has changed (told by the channel's log, or to all gateways). left: he is no member. */
void looks_membership(struct core *core, const char *channel_id, const char *user_id, bool left);

/* --- tables (seen.c, place.c) --- */
struct seen *seen_find(const struct looks *all, const char *user_id);
struct seen *seen_get(struct looks *all, const char *user_id); /* NULL: no memory */
/* Forgets him when nobody looks at him */
void seen_drop(struct looks *all, struct seen *who);
/* Takes a state, unless it is an older one; look_ask_go is to follow. 0, -ENOMEM: then he is not fresh, and will be asked for. */
int seen_take(struct looks *all, const Parley__V1__PresenceChange *change);
/* 0, -ENOMEM: room for one more */
int refs_reserve(struct look_refs *refs);
uint32_t refs_add(struct look_refs *refs, struct look *l, uint32_t index);

struct shown_user {
        Parley__V1__UserPresence user;
        Parley__V1__Device devices[4];
        Google__Protobuf__Timestamp status_until, last_seen;
};
static inline bool state_is_online(const struct seen_state *state)
{
        return state->availability != PARLEY__V1__USER_PRESENCE__AVAILABILITY__offline;
}
static inline bool seen_is_online(const struct seen *who)
{
        return state_is_online(&who->state);
}
/* As the viewer sees him; texts belong to `who` */
void seen_show(const struct seen *who, const char *viewer_id, struct shown_user *ret);

bool place_has(const struct place *p, const struct seen *who);
struct place *place_get(struct looks *all, struct channel *c); /* NULL: no memory */
void place_drop(struct place *p);
/* Presence says who is there. 0, -ENOMEM (what was known stays) */
int place_take(struct place *p, const Parley__V1__PresenceAnswer *answer);
void place_count(struct place *p, uint32_t members, uint32_t online);
void place_remove(struct place *p, struct seen *who);
/* One of those who have a place in focus is due a new description of it */
void focus_due(const struct look_ref *ref);
/* All of them are */
void place_due(struct place *p);

/* --- asking presence (look_ask.c) --- */
int looks_listen(struct looks *all);
void looks_deaf(struct looks *all);
void look_ask(struct look *l);                      /* edges with EDGE_ASK */
void look_ask_later(struct look *l);                /* edges with EDGE_LATER */
void look_ask_go(struct looks *all);                /* sends what is queued */
void place_ask(struct place *p, uint64_t after_ms); /* not more often than every second */
/* Everything is asked again, soon: something was missed */
void looks_resync(struct looks *all);
/* What presence's answer says of its source, and how far that has come. told: it is no answer. True: something was missed before. */
bool looks_source(struct looks *all, const char *source, uint64_t counter, bool told);
/* Packs a question into the core's buffer; 0: no memory */
size_t look_query(struct core *core, const Parley__V1__PresenceQuery *q);
/* NULL: there is none, or it cannot be read */
Parley__V1__PresenceAnswer *look_answer(int error, const struct bus_msg *msg);

/* --- telling sessions (look_tell.c) --- */
void calendar_init(struct calendar *telling);
/* Somebody has changed who is looked at; before the news of him */
void look_changed(struct looks *all);
/* One of the watched users has changed, or a member of a channel in focus: to be told within a second, or some when there is much to tell */
void look_news_of(struct look *l, uint32_t index);
void look_news(struct look *l);
/* There is something else to tell: a snapshot, the description of a channel */
void look_soon(struct look *l);
/* Something leaves for this session now: its news may go with it */
void look_ride(struct look *l);
void look_forget(struct look *l); /* it is not told any more */
/* True: nothing is told of this edge before it was asked again */
static inline bool edge_doubted(const struct watch_edge *e)
{
        return e->flags & EDGE_DOUBT;
}

/* --- how long news wait (look_hold.c) --- */
/* Somebody has changed who is looked at. True: a storm begins, those who wait already are told sooner */
bool hold_change(struct looks *all);
/* There is something new for a look; likewise */
bool hold_news(struct looks *all);
uint64_t hold_news_ms(const struct looks *all);

/* --- what is told (look_frame.c) --- */
/* Room for n; NULL: no memory */
struct found *looks_found(struct looks *all, size_t n);
/* A `presence` of these to the session, which may be closed by it. -ENOMEM: it is to be tried again */
int frame_users(struct look *l, const struct found *found, size_t n, bool snapshot);
/* A `channelPresence`; likewise */
int frame_place(struct look *l, struct place *p);
/* What is seen of somebody, or who is somewhere, has changed */
void place_stale(struct place *p);
void shared_clear(struct looks *all);
