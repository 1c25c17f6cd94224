/* Inside of typing: who writes (typing.c), who is told (typing_tell.c), and what is told of one's own users (typing_say.c). */
#pragma once

#include "gateway/typing.h"

/* As docs/protocol.md has them. NAMES: in one update. THREADS: of a channel, told in one second. */
enum {
        TYPING_SHOWN_MS = 6000,
        TYPING_UPDATE_MS = 1000,
        TYPING_REPEAT_MS = 5000,
        TYPING_EVERY_MS = 3000,
        TYPING_NAMES = 20,
        TYPING_THREADS = 8
};

struct writer {
        UT_hash_handle hh;
        struct writer *prev, *next; /* of the thread, in the order of their beginning */
        struct typing_thread *thread;
        uint64_t until_ms;
        bool told; /* he was in the last update */
        char id[];
};

/* One thread of a channel, or what is in none */
struct typing_thread {
        struct typing_thread *next;
        struct writer *first, *last;
        uint32_t n, n_told; /* writers; in the last update */
        bool changed;       /* since that */
        uint64_t sent_ms;
        char sole[IDENT_MAX + 1]; /* the only one in the last update */
        char id[UUID_LEN + 1];    /* "": in none */
};

struct typing {
        struct place *place;
        struct writer *writers; /* hash */
        struct typing_thread *threads;
        struct wheel_timer timer; /* the next update */
        uint64_t sent_ms;
};

/* The timer: updates, at most once a second */
void typing_tell(struct wheel_timer *timer, uint64_t now_ms);
void typing_arm(struct typing *t);
struct typing_thread *thread_find(struct typing *t, const char *id);
void threads_clean(struct typing *t);
void threads_append(struct typing *t, struct typing_thread *threads);
void typing_expire(struct typing *t, uint64_t now_ms);
void typing_free(struct place *p);
/* It is too large for anybody to be shown writing */
bool typing_crowd(const struct channel *c);
