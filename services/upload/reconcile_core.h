/* What a comparison of objects, records and messages has seen, and what it found apart. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ident.h"
#include "parley/v1/upload.pb-c.h"

/* Files that one comparison can take in, 24 bytes each, and users; beyond it says that it is not complete */
#define FINDINGS_FILES_MAX 1000000u
#define FINDINGS_DELETED_MAX 1000000u /* records of files that were deleted; more of them wait for a later one */
#define FINDINGS_USERS_MAX 200000u
#define FINDINGS_IDS_MAX 20u /* that are named of one class */

/* name, and whether it is mended where it is found: then `mended` counts that */
#define FINDING_MAP(X)                                                                                                 \
        X(OBJECT_WITHOUT_RECORD, "object_without_record")                                                              \
        X(RECORD_WITHOUT_OBJECT, "record_without_object")                                                              \
        X(RECORD_WITHOUT_MESSAGE, "record_without_message")                                                            \
        X(MESSAGE_WITHOUT_RECORD, "message_without_record")                                                            \
        X(MESSAGE_WITHOUT_OBJECT, "message_without_object")                                                            \
        X(CHECKING_TOO_LONG, "checking_too_long")                                                                      \
        X(REMOVING_TOO_LONG, "removing_too_long")                                                                      \
        X(PENDING_WITHOUT_UPLOAD, "pending_without_upload")                                                            \
        X(QUOTA_DIFFERS, "quota_differs")                                                                              \
        X(MESSAGE_LOST, "message_lost")                                                                                \
        X(NOT_COLLECTED, "not_collected")

enum finding {
#define X(name, text) FINDING_##name,
        FINDING_MAP(X)
#undef X
                _FINDING_N
};
const char *finding_text(enum finding f);

/* Of a file */
enum {
        SEEN_OBJECT = 1, /* its object is in the store */
        SEEN_THUMBNAIL = 2,
        SEEN_MESSAGE = 4,  /* a message carries it */
        HAS_THUMBNAIL = 8, /* its record says so */
        OLD = 16,          /* so old that its object has to be there */
        UNSENDABLE = 32,   /* so old that it should be in a message if it ever is */
        UNSENT_LONG = 64,  /* and so much older that it goes where it is in none */
        DELETED = 128,     /* on purpose: its record says so, and counts for nobody */
        IN_CHANNELS = 256, /* members of several channels may read it */
        SENT = 512,        /* a message carried it at a comparison before, and nobody has released it since */
};

struct findings;

struct findings *findings_new(void); /* NULL without memory */
void findings_free(struct findings *f);

/* --- what is there --- */

/* A file of the bucket; size: what counts for its user, but for one that is DELETED; sure: whether the user's sum must have it now. 0, -ENOMEM, -EINVAL (id is no UUID), E2BIG: there
 * are more than can be compared */
int findings_add_file(struct findings *f, const char *id, unsigned flags, const char *user_id, uint64_t size,
                      bool sure);
/* All were added: from here on they can be found */
void findings_sort(struct findings *f);
/* Sets flags of a file; false: there is none of this id */
bool findings_see(struct findings *f, const char *id, unsigned flags);
unsigned findings_flags(const struct findings *f, const char *id); /* 0: there is none of this id */
/* The name of an object of the store: the file that it belongs to, and SEEN_OBJECT or SEEN_THUMBNAIL. False: it is no name of ours */
bool findings_object_name(const char *name, char ret_id[UUID_LEN + 1], unsigned *ret_flag);
/* Whether a user's value is what his files come to. It is where that cannot be told: something is under way. */
bool findings_user_right(const struct findings *f, const char *user_id, const Parley__V1__UserFiles *value,
                         uint64_t *ret_bytes, uint64_t *ret_files);
size_t findings_files(const struct findings *f);
/* One of them, in the order of their ids */
unsigned findings_file(const struct findings *f, size_t i, char ret_id[UUID_LEN + 1]);

/* What no message carries: the i-th file is due, that is UNSENT_LONG and never SENT. Each once, all before findings_goes. */
void findings_due(struct findings *f, size_t i);
/* Whether a file of these flags is removed where history, asked again, knows of no message that carries it. One that was SENT is not: what messages carry
 * was lost. Nor is any that is due where these are more than FINDINGS_DUE_MIN and of more than one user, and more than one in FINDINGS_DUE_SHARE of all
 * users has some: a loss is everybody's, drafts are one's own. anyway: an administrator says that there was none, and all go. */
#define FINDINGS_DUE_MIN 100u
#define FINDINGS_DUE_SHARE 10u
bool findings_goes(const struct findings *f, unsigned flags, bool anyway);

/* --- what is apart --- */
void findings_note(struct findings *f, enum finding kind, const char *id);
void findings_mended(struct findings *f, enum finding kind);
uint64_t findings_count(const struct findings *f, enum finding kind);
/* Calls `with` with the report; borrowed for the call */
void findings_report(const struct findings *f, void (*with)(Parley__V1__Reconciliation *r, void *userdata),
                     void *userdata);
