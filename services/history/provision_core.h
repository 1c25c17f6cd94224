/* Where the log of a shard goes on: from what Postgres knows and what JetStream has. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A recreated stream begins so far above everything that was ever acked: sequences never repeat. */
#define PROVISION_JUMP (UINT64_C(1) << 32)

struct log_cursor {
        bool exists; /* Postgres has a row */
        uint64_t epoch, last_seq;
};

struct log_state {
        bool exists; /* the stream is there */
        uint64_t epoch, first_seq, last_seq;
};

/* first_seq of a stream that is not there */
uint64_t provision_first_seq(const struct log_cursor *cursor);

enum provision_verdict {
        PROVISION_CONTINUE,  /* the cursor is right */
        PROVISION_BEGIN,     /* there was no cursor: from the stream's first message */
        PROVISION_NEW_EPOCH, /* the stream was recreated above the cursor: from its first message */
        PROVISION_LOST_END,  /* the same stream ends before the cursor: it would give sequences again */
        PROVISION_REPEATS,   /* another stream holds sequences that were given before: refuse */
};
/* After the stream is there. ret: the cursor to go on from, for the first three. */
enum provision_verdict provision_resume(const struct log_cursor *cursor, const struct log_state *log,
                                        struct log_cursor *ret);
