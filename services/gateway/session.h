/* A session: one WebSocket connection and what it is entitled to. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/close_codes.h"
#include "base/codes.h"
#include "base/ident.h"
#include "base/ratelimit.h"
#include "gateway/core.h"
#include "gateway/frame.h"

struct replay;
struct look;

enum session_state {
        SESSION_CONNECTED,      /* waits for hello */
        SESSION_AUTHENTICATING, /* the token's key is being fetched */
        SESSION_LOADING,        /* memberships and channels are being read */
        SESSION_LIVE,           /* ready was sent */
        SESSION_CLOSING,        /* entitled to nothing; only what is queued still leaves */
};

enum link_state {
        LINK_WAITING,   /* the channel is not known far enough yet */
        LINK_KNOWN,     /* it is, and `ready` has not gone out yet */
        LINK_REPLAYING, /* a replay comes first; live events are not queued */
        LINK_LIVE,
};

/* One channel of a session */
struct link {
        struct channel *channel;
        struct replay *replay; /* REPLAYING: what it waits for */
        uint64_t cursor;       /* REPLAYING: the client has everything through this */
        uint64_t until;        /* the last sequence it may get: the membership ends there; UINT64_MAX */
        uint32_t index;        /* in channel->subs */
        uint8_t state;
        bool announced;     /* the client was told of the channel */
        bool resumed;       /* while cursors are gone through: its last one was met */
        bool epoch_changed; /* REPLAYING: the cursor was of another epoch */
};

/* Where the client says that it stands */
struct cursor {
        uint64_t epoch, seq;
        char channel_id[IDENT_MAX + 1];
};

#define SESSION_QUEUE_INLINE 4

struct session {
        /* what fan-out touches */
        struct core *core;
        void *connection;
        struct frame **queue; /* NULL: `first` holds it */
        uint32_t n_queue, cap_queue;
        uint32_t queue_bytes;
        uint32_t kept_bytes;  /* by the transport, of messages that were written */
        uint32_t dirty_index; /* in core->dirty, + 1; 0: not there */
        uint8_t state;
        uint8_t encoding;
        uint8_t device; /* Parley__V1__Device */
        bool idle;      /* the device is not in use */
        bool plain;     /* one frame a message, no newline */
        bool blocked;   /* the transport was busy; it will call session_writable */
        bool compress;  /* large messages may be deflated */
        bool admin;
        bool hello_seen;
        bool ready_sent;
        bool pinged;            /* silent for a period, and asked */
        bool keys_refreshed;    /* AUTHENTICATING: this is the second try */
        bool linking, linked;   /* LOADING: links are being, were made */
        uint8_t limited_frames; /* refused for their rate, less those taken since */
        uint16_t bad_frames;    /* in a row */
        uint16_t close_code;
        struct link *links;
        uint32_t n_links, cap_links;
        uint32_t n_pending; /* mutations */
        struct user *user;
        struct session *user_prev, *user_next;
        struct session *prev, *next;
        struct look *look; /* whom it looks at; NULL: nobody */
        struct address *address;
        uint64_t handle;
        uint64_t heard_ms;
        uint64_t entered_ms; /* the state */
        uint64_t stuck_ms;   /* blocked, or bytes are kept: since when */
        int64_t expires_at;  /* unix seconds */
        struct wheel_timer timer;
        struct ratelimit frames;
        bool paid;              /* a frame of this message was charged for */
        uint64_t pinged_ms;     /* the last `ping` that was answered whatever the rate */
        struct cursor *cursors; /* LOADING: from hello and resume */
        uint32_t n_cursors;
        uint32_t hello_ref;
        char *name;
        char *token; /* AUTHENTICATING */
        char id[37];
        struct frame *first[SESSION_QUEUE_INLINE];
};

struct session_options {
        void *connection;
        enum encoding encoding;
        bool plain;
        struct address *address; /* taken over; may be NULL */
};

int session_new(struct session **ret_session, struct core *core, const struct session_options *options);
/* One whole WebSocket message */
void session_receive(struct session *s, const uint8_t *data, size_t n, bool binary);
/* A token of the upgrade; the session may be closing afterwards */
void session_authenticate(struct session *s, const char *token, uint32_t ref);
/* Anything came */
void session_heard(struct session *s);
/* A pong, which is charged like a frame */
void session_pong(struct session *s);
/* A ping that was answered, or whatever else costs as much as a frame and is none */
void session_control(struct session *s);
/* The transport takes more. True: nothing is left to write */
bool session_writable(struct session *s);
/* The connection is gone; frees the session */
void session_gone(struct session *s);
/* Releases all but the connection; text: NULL for the code's own. `transport.close` is called once. */
void session_close(struct session *s, enum parley_close code, const char *text);
/* An error frame (when error is not PARLEY_OK) and then session_close */
void session_fail(struct session *s, uint32_t ref, enum parley_code error, enum parley_close code, const char *text);

/* Steps of opening, called when something that LOADING waits for has come */
void session_advance(struct session *s);
/* The token was renewed: its expiry is looked at again */
void session_rearm(struct session *s);
/* The token was tried: enters LOADING or ends. Used by session_authenticate and core_keys_changed. */
void session_try_token(struct session *s);
/* Changes the state, or aborts when there is no such change */
void session_enter(struct session *s, enum session_state state);

/* --- links (session_link.c) --- */
struct link *session_link(struct session *s, const struct channel *c);
/* Makes a link, WAITING, or live at once when the channel is known far enough */
int session_link_add(struct session *s, struct channel *c);
void session_link_remove(struct session *s, struct link *l);
void session_links_done(struct session *s);
void session_link_set(struct session *s, struct link *l, enum link_state state);
/* Sets the last sequence the link may get */
void session_link_limit(struct session *s, struct link *l, uint64_t until);
/* It waits for what may never come (a description, the event of a join): the session opens without it, and hears of it later */
bool session_link_stalled(const struct session *s, const struct link *l);
/* The channel has moved: is a WAITING link through? */
void session_link_check(struct session *s, struct link *l);

/* --- queue (fanout.c) --- */
/* Takes no reference over. Overflow closes the session. */
void session_queue(struct session *s, struct frame *f);
/* Encodes and queues */
void session_send(struct session *s, const Parley__V1__ServerFrame *message);
void session_error(struct session *s, uint32_t ref, enum parley_code code, uint32_t retry_ms, const char *format, ...)
        __attribute__((__format__(__printf__, 5, 6)));
void session_queue_drop(struct session *s);
