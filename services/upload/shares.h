/* Who holds the places of the local store: bodies on their way in, files on their way out. They are shared as owners.h has it: who gives one up loses
 * the one where the least moved; and who moves too little can be found. Pure: times in ms of any clock that only goes forward. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "upload/owners.h"

/* A place is not judged, and not given up for its rate, before it is so old: nothing is known of it. */
#define SHARES_YOUNG_MS 1000

/* One place; lies in what holds it, zeroed */
struct share {
        struct share *prev, *next;
        struct owner *owner; /* NULL: it is none */
        bool whole;          /* all of it has come: the rest is ours */
        uint64_t moved;      /* bytes, up to now */
        /* the window that runs, and the one before it: since when, and how many bytes there were then */
        uint64_t since_ms, moved_then, before_ms, moved_before;
};

struct shares {
        struct owners owners;
        struct share *all;
};

/* 0, and ret_victim is NULL, or whose place has to be taken first (shares_leave). Or OWNERS_E_*: FULL also where of all places too little is known. */
int shares_find(const struct shares *s, const char *owner, uint64_t now_ms, struct share **ret_victim);
/* moved: what p->moved begins with. 0 or -ENOMEM */
int shares_take(struct shares *s, struct share *p, const char *owner, uint64_t moved, uint64_t now_ms);
/* Fine for what is no place */
void shares_leave(struct shares *s, struct share *p);

/* At the end of each window of window_ms: whether less moved in it than bytes_per_s on the average. false in between. */
bool share_slow(struct share *p, uint64_t bytes_per_s, uint64_t window_ms, uint64_t now_ms);
/* It had to wait for us: the window begins anew */
void share_waited(struct share *p, uint64_t now_ms);
