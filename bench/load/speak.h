/* How a system is spoken to and understood. Knows Parley's two packed subprotocols from docs/protocol.md, not from its code, and any other
 * that sends text messages from templates. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
        const char *p;
        size_t n;
};

enum heard_kind {
        HEARD_READY, /* the session is open; text: a mark of readiness */
        HEARD_STATE, /* where a room stands: seq is its head */
        HEARD_EVENT,
        HEARD_ACK,    /* seq is that of the event (0: not told) */
        HEARD_REPLAY, /* ends a replay, whose events came before: from prev through seq */
        HEARD_GAP,
        HEARD_ERROR,
        HEARD_OTHER,
};

struct heard {
        enum heard_kind kind;
        bool more;    /* replay: another one of this room follows */
        uint32_t ref; /* ack, error: of the request; 0: of none */
        struct span room;
        uint64_t seq, prev, epoch;
        struct span text; /* event: where the payload is; error: what it says */
};
typedef void (*heard_func)(void *arg, const struct heard *h);

enum speak_how { SPEAK_JSON, SPEAK_PROTO, SPEAK_TEXT };

struct speaker {
        enum speak_how how;
        /* templates of text; see --help */
        const char *hello, *join, *send;
        const char *ready, *event, *ack; /* marks; empty: none */
};

/* What goes into a frame; only what the frame needs is set */
struct said {
        const char *user, *token, *room, *content, *id;
        uint64_t n;
        uint32_t ref;
        uint64_t target; /* edit: seq of the message */
        const struct cursor {
                const char *room;
                uint64_t epoch, seq;
        } * cursors; /* hello */
        unsigned n_cursors;
};

enum speak_frame { SPEAK_HELLO, SPEAK_JOIN, SPEAK_SEND, SPEAK_EDIT, SPEAK_PING };

/* Writes one frame to buf. Returns its length; 0: this system has no such frame, or it is longer than cap. */
size_t speak(const struct speaker *s, enum speak_frame frame, const struct said *said, char *buf, size_t cap);
/* Reads one WebSocket message and calls func for each thing it says, in order */
void speak_hear(const struct speaker *s, const char *data, size_t n, heard_func func, void *arg);
bool speak_is_binary(const struct speaker *s);
/* Replaces {name} in a template by what `said` has of that name (user, token, room, content, id, n, ref). Length, or 0 when longer than cap. */
size_t speak_template(const char *text, const struct said *said, char *buf, size_t cap);

/* speak_proto.c */
size_t speak_proto(enum speak_frame frame, const struct said *said, char *buf, size_t cap);
void speak_proto_hear(const char *data, size_t n, heard_func func, void *arg);
