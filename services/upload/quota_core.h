/* What counts for one user: files that are there, and uploads that were begun. Pure; the value of the bucket FILES under user.<id>. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "parley/v1/upload.pb-c.h"

struct quota_limits {
        uint64_t max_bytes;   /* of files and begun uploads together; 0: no limit */
        uint64_t max_files;   /* the same; 0: no limit */
        uint64_t max_held;    /* bytes that addresses of uploads that ended still take; 0: no limit */
        uint64_t max_pending; /* begun uploads; they stand in one value of a bucket */
        uint64_t max_ended;   /* uploads given up and files deleted, in an hour; 0: no limit */
};

/* QUOTA_E_HELD: of uploads that have ended max_held can be sent again. QUOTA_E_ENDED: more than max_ended have. QUOTA_E_KNOWN: there is a reservation with
 * this client_id, of the upload ret_id. QUOTA_E_OTHER: there is one with this client_id, and of another size: that counts, and not this one */
enum quota_error {
        QUOTA_E_BYTES = 1,
        QUOTA_E_FILES,
        QUOTA_E_PENDING,
        QUOTA_E_HELD,
        QUOTA_E_ENDED,
        QUOTA_E_KNOWN,
        QUOTA_E_OTHER
};
#define QUOTA_ENDED_MS UINT64_C(3600000)
/* max_held where a quota is smaller: a few uploads in a row are no abuse */
#define QUOTA_HELD_MIN (UINT64_C(256) << 20)
/* What is held is counted by the minute, and at most so many of these; beyond, with the last */
#define QUOTA_HELD_MS UINT64_C(60000)
#define QUOTA_HELD_MAX 64u

/* A reservation that is over counts no more, but is kept for so long: a completion that is ended late, by the sweeper, finds it and is counted. ms */
#define QUOTA_KEEP_MS (UINT64_C(7) * 86400 * 1000)
#define QUOTA_KEPT_MAX 1000u /* of those; and so many files that were freed are remembered, each for QUOTA_FREED_MS */
#define QUOTA_FREED_MAX 200u
#define QUOTA_FREED_MS (UINT64_C(2) * 86400 * 1000)

struct quota_change {
        enum quota_kind {
                QUOTA_RESERVE, /* an upload begins */
                QUOTA_COMMIT, /* it became a file. Counts where there is a reservation, also one that is over, and drops that: once */
                QUOTA_RELEASE, /* it was given up */
                QUOTA_FREE,    /* a file of this size is gone; once, as long as it is remembered */
        } kind;
        const char *id;
        uint64_t size;
        uint64_t expires_at_ms;             /* RESERVE */
        const char *client_id;              /* RESERVE: or NULL. It and ret_id stay until the change is over */
        char *ret_id;                       /* UUID_LEN + 1; written with QUOTA_E_KNOWN */
        uint64_t held_bytes, held_until_ms; /* COMMIT, RELEASE: what its addresses still take, and until when */
        bool leaves_mark; /* RELEASE, FREE: in the bucket, for days; such ends are never refused, but what is begun after too many is */
};

/* Applies a change to u, from which it drops what need not be kept any longer. Everything of u is malloc'ed, as protobuf-c unpacks it.
 * 0, QUOTA_E_*, -ENOMEM; u is only changed by what was dropped unless 0 */
int quota_apply(Parley__V1__UserFiles *u, const struct quota_change *change, const struct quota_limits *limits,
                uint64_t now_ms);
