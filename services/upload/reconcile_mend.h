/* What a comparison puts right where it finds it: scans that nobody answered are asked for again, quotas are set to what files come to, marks of
 * deletions that nobody needs any more are removed, and files that nobody has sent. */
#pragma once

#include "bus/bus.h"
#include "parley/v1/internal.pb-c.h"
#include "upload/env.h"
#include "upload/reconcile_core.h"

struct mend {
        struct env *env;
        struct findings *findings;
        unsigned n_running;
        char again[FINDINGS_IDS_MAX][IDENT_MAX + 1]; /* users whose quota differed the last time */
        unsigned n_again;
        void (*idle)(void *userdata); /* called when the last one that ran is over */
        void *userdata;
};

/* upload.completed of a file, which is the value of its entry */
void mend_tell_again(struct mend *m, const char *id, const struct bus_msg *entry);
/* Of the last report, which may be NULL: the users whose quota differed */
void mend_remember(struct mend *m, const Parley__V1__Reconciliation *before);
/* The value that a user should have: put where his differs a second time, if nobody has changed it since it was read */
void mend_quota(struct mend *m, const char *user_id, const Parley__V1__UserFiles *value, uint64_t revision);
/* A removal that was begun and not ended goes on */
void mend_remove(struct mend *m, const char *id);
/* A file that no message carried at checked_at_ms, unix, unless somebody can still send it */
enum collect {
        COLLECT_UNSENT,
        COLLECT_LOST,  /* one did before: of findings_goes, anyway */
        COLLECT_RECORD /* it was deleted: there is no more of it than its record */
};
void mend_collect(struct mend *m, const char *id, uint64_t checked_at_ms, enum collect what);
/* A message carries it: its record says so from here on */
void mend_sent(struct mend *m, const char *id);
/* One did, and none does: a finding, where its record still says so, and no release came meanwhile. due: it is kept for that alone */
void mend_lost(struct mend *m, const char *id, bool due);
/* Members of channels that it was given for, and that have no message with it, read it no more; unless it can still be sent */
void mend_channels(struct mend *m, const Parley__V1__CarriedFile *carried, uint64_t now_ms);
/* The mark of a deletion in FILES: it stays as long as somebody could still make a file of the upload with this id. ttl_s: of marks_over */
void mend_mark(struct mend *m, const char *id, uint64_t revision, uint64_t ttl_s, uint64_t now_ms);
