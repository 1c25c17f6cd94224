/* What outbox.c and outbox_row.c share: the rows that are under way. */
#pragma once

#include "base/ident.h"
#include "history/outbox.h"
#include "history/pg.h"
#include "parley/v1/event.pb-c.h"

#include <uthash.h>

enum outbox_state {
        OUTBOX_WAITING,
        OUTBOX_MARKING,   /* MEMBERS is told of a leaving first */
        OUTBOX_SENT,      /* its PubAck is awaited */
        OUTBOX_PUBLISHED, /* the buckets and the gateways are next */
        OUTBOX_FINISHED,  /* stays known until it is ingested, so that it is not read again */
};

enum outbox_barrier { OUTBOX_BARRIER_NEEDED, OUTBOX_BARRIER_WAITING, OUTBOX_BARRIER_PASSED };

struct outbox_row {
        struct outbox *outbox;
        int64_t id;
        char channel_id[IDENT_MAX + 1], actor_id[IDENT_MAX + 1], user_id[IDENT_MAX + 1], event_id[UUID_LEN + 1];
        int kind, role;
        uint64_t version, seq;
        uint8_t *payload;
        size_t n_payload;
        enum outbox_state state;
        bool marked;       /* MEMBERS was told */
        UT_hash_handle hh; /* by id; in their order */
};

struct outbox {
        struct env *env;
        unsigned shard;
        bool running, loading, asking;
        bool again; /* woken while it was loading */
        bool empty; /* the last load found nothing new */
        enum outbox_barrier barrier;
        uint64_t barrier_seq, ingested;
        struct outbox_row *rows;
        unsigned n_active; /* steps whose end is awaited */
        struct ticker *ticker;
        void (*stop_done)(void *userdata);
        void *stop_userdata;
};

/* outbox_row.c */
int outbox_row_add(struct outbox *o, const struct pg_results *r, unsigned i);
/* A leaving stands in MEMBERS before it is published: whoever reads the bucket afterwards knows, though Postgres, or this process, ends
 * at any moment. 0: outbox_row_marked follows; else it cannot be done now. */
int outbox_row_mark(struct outbox_row *row);
static inline bool outbox_row_must_mark(const struct outbox_row *row)
{
        return row->kind == PARLEY__V1__EVENT__BODY_MEMBER_LEFT && !row->marked;
}
/* All that follows a PubAck; ends in outbox_row_over */
void outbox_row_finish(struct outbox_row *row);
unsigned outbox_rows_waiting(const struct outbox *o);
void outbox_rows_forget(struct outbox *o);
void outbox_rows_forget_waiting(struct outbox *o);
void outbox_rows_forget_ingested(struct outbox *o);

/* outbox.c */
void outbox_row_marked(struct outbox_row *row, int error);
void outbox_row_over(struct outbox *o);
