/* Makes sure that the log of a shard and the buckets are there, after the cursor was read, and says from where to ingest. */
#pragma once

#include "bus/subjects.h"
#include "history/env.h"
#include "history/provision_core.h"

struct provision {
        struct env *env;
        unsigned shard;
        char stream[SUBJECT_MAX];
        unsigned step;
        uint64_t max_bytes;
        struct log_cursor cursor, start;
        struct log_state log;
        int64_t cursor_time_ns; /* when the event at the cursor was stored */
        bool created;
        bool setup; /* streams and buckets alone, those of upload too; the cursor stays as it is */
        char failure[200];
        void (*done)(int error, void *userdata);
        void *userdata;
};

/* done: 0 and p->start is set; otherwise p->failure says what is in the way, and trying again later is right. Exactly once, later.
 * p must live until then. -ERANGE: the stream would repeat sequences. */
void provision_run(struct provision *p, struct env *env, unsigned shard, void (*done)(int error, void *userdata),
                   void *userdata);
/* For parley-history --provision: makes and changes what there has to be, whatever PARLEY_PROVISION says, and leaves ingest's cursor
 * to the instance that has the lease. done as above; p->start is not set. */
void provision_setup(struct provision *p, struct env *env, unsigned shard, void (*done)(int error, void *userdata),
                     void *userdata);
