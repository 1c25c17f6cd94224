/* Who waits until an event of the outbox is published and applied by the gateways. By the event's id. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ident.h"

#include <uthash.h>

/* Part of its owner */
struct waiter {
        char event_id[UUID_LEN + 1];
        void (*done)(struct waiter *w, uint64_t seq, bool confirmed); /* taken off the list before */
        bool listed;
        UT_hash_handle hh;
};

struct waiters {
        struct waiter *all;
};

/* Without memory it is not listed, and not called */
void waiters_add(struct waiters *ws, struct waiter *w);
void waiters_remove(struct waiters *ws, struct waiter *w); /* fine when it is not listed */
/* Whether somebody here waited for it */
bool waiters_done(struct waiters *ws, const char *event_id, uint64_t seq, bool confirmed);

/* What one instance tells another by NOTIFY: "<event id> <seq> <1: confirmed, 0: not>". Pure. */
enum { WAITERS_TEXT_MAX = 96 };
void waiters_format(char ret[WAITERS_TEXT_MAX], const char *event_id, uint64_t seq, bool confirmed);
/* 0 or -EINVAL */
int waiters_parse(const char *text, char ret_event_id[UUID_LEN + 1], uint64_t *ret_seq, bool *ret_confirmed);
