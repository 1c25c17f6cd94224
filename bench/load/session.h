/* One client of the load: what it knows of its rooms, and what it makes of what it hears. */
#pragma once

#include "plan.h"
#include "speak.h"
#include "tally.h"
#include "wsc.h"

enum audience { AUDIENCE_ROOM, AUDIENCE_OTHERS, AUDIENCE_SELF };

struct load_options {
        char host[64];
        int port;
        char *target; /* path and query, a template */
        const char *plan, *protocol;
        unsigned procs, payload, window, watch;
        enum audience audience;
        struct speaker speaker;
};

/* A room of a client */
struct chain {
        uint64_t epoch, cursor;
        uint64_t own;    /* seq of the last message that this client sent here; 0: none */
        unsigned missed; /* events since the resume */
        bool known;      /* the server has told where it stands */
        bool filled;
};

enum session_state { SESSION_NONE, SESSION_CONNECTING, SESSION_READY, SESSION_CLOSED };

struct worker;

struct session {
        struct wsc ws;
        enum session_state state;
        unsigned index; /* in the plan */
        const struct plan_client *plan;
        struct worker *worker;
        struct chain *chains; /* by room of the plan's client */
        unsigned last_chain, readies, n_filled, attempts;
        uint8_t *got; /* of this load: one bit a message */
};

struct worker {
        const struct load_options *o;
        struct plan plan;
        unsigned index;
        struct shared *shared;
        struct tally *t;
        struct command c; /* the one that runs */
        uint32_t *audience;
        struct session *sessions;
        unsigned n_sessions, n_all; /* of this worker: to be connected now; in the whole plan */
        unsigned begun, pending;    /* of them: connecting was begun; and is neither ready nor refused */
        int ep, pipe;
        uint64_t now, next; /* next: number of the next message that may be ours */
        uint64_t next_ping;
        unsigned pinged;
        size_t hint; /* where the payload stood last */
        char *content;
        uint8_t *answered; /* of this load: one bit a message */
};

/* Begins to connect; returns 0 or negative errno */
int session_connect(struct session *s);
/* An event of epoll */
void session_ready(struct session *s, uint32_t events);
/* Sends message number n of the load, which was meant for `due` */
void session_send(struct session *s, uint64_t n, uint64_t due);
void session_ping(struct session *s);
/* Which of the client's rooms message n goes to */
unsigned session_room_of(const struct session *s, uint64_t n);
/* Forgets what a load or a resume has counted */
void session_begin(struct session *s);
void session_cut(struct session *s);
void session_done(struct session *s);
