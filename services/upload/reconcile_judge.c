/* Judging what was seen, and removing what nobody will ever send. */
#include <string.h>

#include "upload/carried.h"
#include "upload/reconcile_phases.h"

/* JUDGED: files a page, and SENT_MAX of them whose records are written. COLLECTED: that history is asked for at a time */
enum { JUDGED = 1000, SENT_MAX = 100, COLLECTED = 100 };

void run_judge(struct reconcile_run *run)
{
        size_t n = findings_files(run->findings), n_sent = 0, i = 0;
        char id[UUID_LEN + 1];

        for (; run->judged < n && i < JUDGED && n_sent < SENT_MAX; run->judged++, i++) {
                unsigned flags = findings_file(run->findings, run->judged, id),
                         there = SEEN_OBJECT | (flags & HAS_THUMBNAIL ? SEEN_THUMBNAIL : 0);

                if (flags & OLD && (flags & there) != there)
                        run_seems_missing(run, id);
                if (flags & SEEN_MESSAGE && !(flags & (SENT | DELETED))) {
                        mend_sent(&run->mend, id);
                        n_sent++;
                }
                if (flags & (SEEN_MESSAGE | DELETED | SENT) || !(flags & UNSENDABLE) || !run->messages_known)
                        continue;
                findings_note(run->findings, FINDING_RECORD_WITHOUT_MESSAGE, id);
                if (flags & UNSENT_LONG)
                        findings_due(run->findings, run->judged);
        }
        run->last = run->judged == n;
        run_ask_next(run);
}

/* --- what goes --- */

static const Parley__V1__CarriedFile *carried_of(const Parley__V1__FilesResponse *r, const char *id)
{
        for (size_t i = 0; i < r->n_files; i++)
                if (strcmp(r->files[i]->file_id, id) == 0)
                        return r->files[i];
        return NULL;
}

static bool releasing(const Parley__V1__FilesResponse *r, const char *id)
{
        for (size_t i = 0; i < r->n_releasing; i++)
                if (strcmp(r->releasing[i], id) == 0)
                        return true;
        return false;
}

/* In no message, as history has just said; its flags are what it was before */
static void not_carried(struct reconcile_run *run, const Parley__V1__FilesResponse *r, const char *id, unsigned flags)
{
        if (findings_goes(run->findings, flags, run->terms.collect))
                mend_collect(&run->mend, id, run->now_ms,
                             flags & DELETED ? COLLECT_RECORD
                             : flags & SENT  ? COLLECT_LOST
                                             : COLLECT_UNSENT);
        else if (flags & SENT && !releasing(r, id))
                mend_lost(&run->mend, id, flags & UNSENT_LONG);
}

static void on_carried(int error, const Parley__V1__FilesResponse *r, void *userdata)
{
        struct reconcile_run *run = userdata;

        for (size_t i = 0; error == 0 && i < run->n_names; i++) {
                const char *id = run->names[i];
                const Parley__V1__CarriedFile *carried = carried_of(r, id);
                unsigned flags = findings_flags(run->findings, id);

                if (carried)
                        mend_channels(&run->mend, carried, run->now_ms);
                else
                        not_carried(run, r, id, flags);
        }
        if (error)
                run_lacks(run, "history cannot say which files messages carry", error);
        run->last = run->last || error;
        run_page_over(run);
}

/* Asked once more, right before: what messages carry was read before the rest */
static void ask(struct reconcile_run *run)
{
        Parley__V1__FilesRequest rq = PARLEY__V1__FILES_REQUEST__INIT;
        char *ids[COLLECTED];
        int r;

        for (size_t i = 0; i < run->n_names; i++)
                ids[i] = run->names[i];
        rq.file_ids = ids;
        rq.n_file_ids = run->n_names;
        r = carried_ask(run->env, &rq, on_carried, run);
        if (r != 0)
                on_carried(r, NULL, run);
}

void run_collect(struct reconcile_run *run)
{
        size_t n = run->messages_known ? findings_files(run->findings) : 0;
        char id[UUID_LEN + 1];

        for (; run->collected < n && run->n_names < COLLECTED; run->collected++) {
                unsigned flags = findings_file(run->findings, run->collected, id);
                bool goes = findings_goes(run->findings, flags, run->terms.collect),
                     lost = flags & SENT && !(flags & (SEEN_MESSAGE | DELETED));

                if (goes || lost || (flags & UNSENDABLE && flags & IN_CHANNELS))
                        run_seems_missing(run, id);
                if (!goes && !lost && flags & UNSENT_LONG && !(flags & SEEN_MESSAGE))
                        findings_note(run->findings, FINDING_NOT_COLLECTED, id);
        }
        run->last = run->collected >= n;
        if (run->n_names)
                ask(run);
        else
                run_page_over(run);
}
