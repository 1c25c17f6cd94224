/* What the files ingest*.c share. */
#pragma once

#include "base/ticker.h"
#include "history/ingest.h"
#include "history/pg.h"

struct ingest {
        struct env *env;
        char stream[SUBJECT_MAX];
        struct ingest_events events;
        struct ingest_limits limits;
        bool running, stopping;
        enum ingest_end end;
        char why[200];
        uint64_t epoch, last_seq;
        struct bus_reader *reader;
        struct ingest_batch batches[2]; /* one is filled while the other is applied */
        unsigned filling;
        bool filled; /* the filling one is complete and waits */
        bool applying;
        uint64_t pending;  /* how many the stream holds behind the last one read */
        int64_t oldest_ns; /* when the oldest that is not committed was stored; 0: all that is known of is committed */
        /* of the batch that is applied */
        struct bisect part;
        bool resolved; /* its identities were looked up */
        unsigned awaited_acks;
        bool dlq_failed;
        uint64_t batch_began_ns, last_mark_ns;
        struct ticker *retry;
};

static inline struct ingest_batch *ingest_applying(struct ingest *in)
{
        return &in->batches[!in->filling];
}

/* ingest.c */
void ingest_fail(struct ingest *in, enum ingest_end how, const char *what, const char *why);
void ingest_part_done(struct ingest *in);
void ingest_retry_later(struct ingest *in, uint32_t ms);

/* ingest_apply.c: one part of the batch as one transaction */
void ingest_apply_part(struct ingest *in);
/* ingest_dlq.c: the part's dead letters first; ends in ingest_apply_part */
void ingest_dead_letters(struct ingest *in);
