/* Ingest without a network: messages of the log in, rows and decisions out. Pure.
 *
 * A batch holds what was read, in the order of the log. Each message gets a verdict; the rows of any part of the batch can be built
 * and applied in one transaction. When the database refuses a part for its data, the part is halved until the one that cannot be
 * applied stands alone; it becomes a placeholder, and everything else goes on. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ident.h"
#include "bus/subjects.h"
#include "history/pg_array.h"
#include "wire/event.h"

enum ingest_verdict {
        INGEST_APPLY,
        INGEST_DUPLICATE, /* another event of the same identity came first: a placeholder */
        INGEST_REJECT,    /* cannot be applied: a dead letter and a placeholder */
        INGEST_SKIP,      /* nothing can be stored of it: no channel is named, or it is stored already */
};

struct ingest_item {
        uint64_t seq;
        int64_t time_ns; /* when it was stored */
        char *subject;
        uint8_t *data;
        size_t len;
        char channel_id[IDENT_MAX + 1]; /* of the subject; empty: none */
        enum ingest_verdict verdict;
        bool dead_letter;         /* must be published to the dead letters before the cursor passes it */
        char reason[160];         /* why not, for the dead letter */
        Parley__V1__Event *event; /* NULL: could not be read */
        int64_t created_ns;
        uint8_t fingerprint[FINGERPRINT_LEN];
        char identity[SUBJECT_MAX];
};

struct ingest_batch {
        struct ingest_item *items;
        unsigned n, cap;
        size_t bytes;
};

struct ingest_limits {
        size_t max_event_bytes;
};

/* Takes a copy. 0, -ENOMEM; a message that cannot be used is an item too. */
int ingest_batch_add(struct ingest_batch *b, const struct ingest_limits *limits, const char *subject, const void *data,
                     size_t len, uint64_t seq, int64_t time_ns);
/* Finds second events of one identity within the batch. 0, -ENOMEM. Once, when all are in. */
int ingest_batch_close(struct ingest_batch *b);
void ingest_batch_reset(struct ingest_batch *b);
void ingest_batch_done(struct ingest_batch *b);
/* The item can not be applied after all */
void ingest_reject(struct ingest_item *item, const char *reason);

/* What one transaction writes, as arrays of one length for each table */
struct ingest_rows {
        struct {
                struct pg_array channel, seq, prev, kind, removed, actor, id, created, target, fingerprint, payload;
                unsigned n;
        } events;
        struct {
                struct pg_array channel, seq, id, sender, sender_name, content, type, thread, reply, mentions, created,
                        n_offset, attachments;
                unsigned n;
        } messages;
        struct {
                struct pg_array file, channel, seq; /* that rejected messages carry */
                unsigned n;
        } dead_files;
        struct {
                struct pg_array channel, last_seq, n_added;
                unsigned n;
        } heads;
        struct {
                struct pg_array kind, channel, seq, target, actor, content, mentions, at;
                unsigned n;
        } mutations;
        struct {
                struct pg_array kind, channel, seq, user, role, version;
                unsigned n;
        } members;
        struct {
                struct pg_array id, kind, name, topic, everyone, visibility, archived, version, created, created_by;
                unsigned n;
        } channels;
        struct {
                struct pg_array id, name, own; /* own: 1 where the user himself says it, 0 where somebody else does */
                unsigned n;
        } users;
        struct {
                struct pg_array channel, actor, id;
                unsigned n;
        } outbox;
};

/* The rows of items [from, to). prev is null, and n_offset counts from 1, for what the database knows: the head of each channel before
 * this part. 0, -ENOMEM. ret is initialised in any case and must be released. */
int ingest_rows_build(const struct ingest_batch *b, unsigned from, unsigned to, struct ingest_rows *ret);
void ingest_rows_done(struct ingest_rows *rows);

/* Which part to try next. Parts come in order and without overlap: what is done is committed with its own cursor. */
struct bisect {
        unsigned done; /* items before this are committed */
        unsigned end;  /* of the part that is tried now */
        unsigned n;
};
void bisect_init(struct bisect *bi, unsigned n);
static inline bool bisect_finished(const struct bisect *bi)
{
        return bi->done == bi->n;
}
/* The part [done, end) was committed: on to the rest */
void bisect_ok(struct bisect *bi);
/* It was refused. true: a smaller part is to be tried; false: it was a single item, which must be given another verdict. */
bool bisect_refused(struct bisect *bi);

/* Whether an event's message can be rebuilt from its columns, so that its bytes need not be kept */
bool ingest_is_plain(const Parley__V1__Event *event);
/* Seconds and nanoseconds as unix nanoseconds; -ERANGE for times that 64 bits do not hold */
int ingest_time_ns(const Google__Protobuf__Timestamp *t, int64_t *ret_ns);
